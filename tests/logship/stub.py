#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""Collectors of HTTP, written from their specifications and not from our code: OTLP/HTTP in JSON (opentelemetry-proto's JSON
mapping), Loki's push API, Elasticsearch's bulk API, Splunk's HEC, GELF 1.1. Each request is held strictly against its format, and what
is taken is appended to a file, a JSON object a line: {"format", "id", "text"}. Faults come by rule, one after the other, so that no run
depends on time. The server prints its port, ends by SIGTERM, and ends with 1 when a request was not as its format says.
usage: stub.py OUT [--tls CERT KEY [--client-ca CA]] [--want-auth VALUE] [--bad REGEX] [--faults NAME,NAME...] [--gzip] [--largest N]
faults, one a request: ok 429 429s 429d 429long 503 500 reset cut huge slow html 401 404 empty some partial; then ok for ever. --bad: a text that
matches is refused for good, item by item where the format can, else the request. --largest: bodies above it get a 413."""
import argparse
import email.utils
import gzip
import http.server
import json
import re
import signal
import ssl
import sys
import threading
import time

ap = argparse.ArgumentParser()
ap.add_argument('out')
ap.add_argument('--tls', nargs=2)
ap.add_argument('--client-ca')
ap.add_argument('--want-auth')
ap.add_argument('--bad')
ap.add_argument('--faults', default='')
ap.add_argument('--gzip', action='store_true')
ap.add_argument('--largest', type=int, default=1 << 40)
opt = ap.parse_args()
out = open(opt.out, 'a')
faults = [f for f in opt.faults.split(',') if f]
known = {}        # Elasticsearch: _id -> text
wrong = []        # what was not as the format says
counts = {}
waited = []       # (when a Retry-After was sent, its seconds)
UID = re.compile(r'[0-9a-f]{16}-\d+-\d+-\d+-[0-9a-f]{8}$')


class Wrong(Exception):
    pass


def need(ok, what, *found):
    if not ok:
        raise Wrong(what + (': %r' % (found,) if found else ''))


def strict(text):
    """JSON of RFC 8259 with each key once, no NaN, nothing that is not UTF-8."""
    def pairs(p):
        need(len({k for k, _ in p}) == len(p), 'a key twice', p)
        return dict(p)

    def no(x):
        raise Wrong('a number that JSON has not: ' + x)
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=no)
    except (ValueError, UnicodeDecodeError) as e:
        raise Wrong('no JSON: %s in %r' % (e, text[:200]))


def keys(o, must, may=()):
    need(isinstance(o, dict), 'no object', o)
    need(set(must) <= set(o) <= set(must) | set(may), 'keys', sorted(o))


def nanoseconds(x):
    need(isinstance(x, str) and re.match(r'[1-9]\d{18}$', x), 'nanoseconds since 1970 as a string', x)
    need(abs(int(x) / 1e9 - time.time()) < 86400, 'a time of today', x)


def uid_of(d):
    """As the fields have it."""
    u = '%s-%d-%d-%d-%s' % (d['volume'], int(d['inode']), int(d['generation']), int(d['offset']), d['crc'])
    need(UID.match(u), 'an identity', u)
    need(re.match(r'[0-9a-f]{32}$', d['boot']), 'a boot', d)
    need(set(d) <= {'volume', 'inode', 'generation', 'offset', 'crc', 'sequence', 'boot', 'part', 'more', 'esc'}, 'fields', d)
    return u


def raw(text, d):
    """The line's bytes, escapes undone."""
    if d.get('esc'):
        return re.sub(rb'\\x([0-9a-f]{2})', lambda m: bytes([int(m.group(1), 16)]), text.encode())
    return text.encode()


def any_value(v):
    keys(v, (), ('stringValue', 'intValue'))
    need(len(v) == 1, 'one value', v)
    if 'intValue' in v:
        need(isinstance(v['intValue'], str) and re.match(r'-?\d+$', v['intValue']), 'an int64 as a string', v)
        return v['intValue']
    need(isinstance(v['stringValue'], str), 'a string', v)
    return v['stringValue']


def attributes(a):
    got = {}
    for kv in a:
        keys(kv, ('key', 'value'))
        need(kv['key'] and kv['key'] not in got, 'keys that are there once', kv)
        got[kv['key']] = any_value(kv['value'])
    return got


def otlp(handler, body):
    need(handler.path == '/v1/logs', 'path', handler.path)
    need(handler.headers['content-type'] == 'application/json', 'content type')
    top, got = strict(body), []
    keys(top, ('resourceLogs',))
    for r in top['resourceLogs']:
        keys(r, ('resource', 'scopeLogs'), ('schemaUrl',))
        keys(r['resource'], ('attributes',))
        need('host.name' in attributes(r['resource']['attributes']), 'host.name')
        need(r['scopeLogs'], 'scopes')
        for s in r['scopeLogs']:
            keys(s, ('scope', 'logRecords'))
            keys(s['scope'], ('name',), ('version',))
            need(s['logRecords'], 'records')
            for x in s['logRecords']:
                keys(x, ('observedTimeUnixNano', 'severityNumber', 'severityText', 'body', 'attributes'), ('timeUnixNano',))
                nanoseconds(x['observedTimeUnixNano'])
                need(isinstance(x['severityNumber'], int) and 1 <= x['severityNumber'] <= 24, 'severity', x)
                a = attributes(x['attributes'])
                d = {k[4:]: v for k, v in a.items() if k.startswith('tfs.')}
                need(a['log.record.uid'] == uid_of(d), 'log.record.uid', a)
                got.append((uid_of(d), raw(any_value(x['body']), d)))
    return got


def loki(handler, body):
    need(handler.path == '/loki/api/v1/push', 'path', handler.path)
    need(handler.headers['content-type'] == 'application/json', 'content type')
    need(handler.headers['x-scope-orgid'] in (None, 'me'), 'tenant')
    top, got = strict(body), []
    keys(top, ('streams',))
    for s in top['streams']:
        keys(s, ('stream', 'values'))
        need(s['stream'] and all(re.match(r'[a-zA-Z_][a-zA-Z0-9_]*$', k) and isinstance(v, str) and v for k, v in s['stream'].items()),
             'labels', s['stream'])
        need(s['values'], 'entries')
        for v in s['values']:
            need(isinstance(v, list) and len(v) == 3 and isinstance(v[1], str), 'an entry', v)
            nanoseconds(v[0])
            need(all(isinstance(x, str) for x in v[2].values()), 'structured metadata are strings', v[2])
            d = {k[4:]: x for k, x in v[2].items()}
            need(all(k.startswith('tfs_') for k in v[2]), 'metadata', v[2])
            got.append((uid_of(d), raw(v[1], d)))
    return got


def elastic(handler, body):
    need(handler.path == '/logs-tfs-default/_bulk', 'path', handler.path)
    need(handler.headers['content-type'] == 'application/x-ndjson', 'content type')
    need(body.endswith(b'\n'), 'the last line ends with a newline, too')
    lines, got = body[:-1].split(b'\n'), []
    need(len(lines) % 2 == 0, 'two lines for each message', len(lines))
    for action, doc in zip(lines[::2], lines[1::2]):
        action, doc = strict(action), strict(doc)
        keys(action, ('create',))
        keys(action['create'], ('_id',), ('_index',))
        need(len(action['create']['_id']) <= 512, '_id of at most 512 bytes')
        need(re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$', doc['@timestamp']), '@timestamp', doc)
        keys(doc, ('@timestamp', 'message', 'host', 'log', 'tfs'), ('service',))
        need(all(isinstance(doc['tfs'][k], int) for k in ('inode', 'generation', 'offset', 'sequence')), 'numbers', doc)
        need(action['create']['_id'] == uid_of(doc['tfs']), '_id is the identity', action)
        got.append((uid_of(doc['tfs']), raw(doc['message'], doc['tfs'])))
    return got


def splunk(handler, body):
    need(handler.path == '/services/collector/event', 'path', handler.path)
    need((handler.headers['authorization'] or '').startswith('Splunk '), 'a token')
    decoder, text, at, got = json.JSONDecoder(), body.decode(), 0, []
    while at < len(text):
        o, end = decoder.raw_decode(text, at)
        o = strict(text[at:end])
        at = re.compile(r'\s*').match(text, end).end()
        keys(o, ('event',), ('time', 'host', 'source', 'sourcetype', 'index', 'fields'))
        need(isinstance(o['time'], (int, float)) and abs(o['time'] - time.time()) < 86400, 'time', o)
        need(isinstance(o['event'], str) and o['event'].strip(), 'an event that is not blank', o)
        need(all(isinstance(v, str) for v in o['fields'].values()), 'flat fields', o)
        d = {k[4:]: v for k, v in o['fields'].items() if k.startswith('tfs_')}
        got.append((uid_of(d), raw(o['event'], d)))
    return got


def gelf(handler, body):
    need(handler.path == '/gelf', 'path', handler.path)
    o = strict(body)
    need(o['version'] == '1.1' and isinstance(o['host'], str) and o['host'], 'version and host', o)
    need(isinstance(o['short_message'], str) and o['short_message'] and '\n' not in o['short_message'], 'short_message', o)
    need(isinstance(o['timestamp'], (int, float)) and abs(o['timestamp'] - time.time()) < 86400, 'timestamp', o)
    need(isinstance(o['level'], int) and 0 <= o['level'] <= 7, 'level', o)
    for k, v in o.items():
        if k not in ('version', 'host', 'short_message', 'full_message', 'timestamp', 'level'):
            need(re.match(r'_[\w.\-]+$', k) and k != '_id' and isinstance(v, (str, int, float)), 'an additional field', k, v)
    d = {k[5:]: v for k, v in o.items() if k.startswith('_tfs_')}
    uid = d.pop('uid')
    need(uid == uid_of(d), 'uid', o)
    return [(uid, raw(o.get('full_message', o['short_message']), d))]


def format_of(path):
    return {'/v1/logs': otlp, '/loki/api/v1/push': loki, '/services/collector/event': splunk, '/gelf': gelf}.get(path, elastic)


def take(name, got):
    for uid, text in got:
        out.write(json.dumps({'format': name, 'id': uid, 'text': text.decode('latin-1')}) + '\n')
    out.flush()


def bad(text):
    return bool(opt.bad and re.search(opt.bad.encode(), text))


def answer(name, got, fault):
    """Status, headers, body, and takes what is taken."""
    if name == 'elastic':
        items = []
        for n, (uid, text) in enumerate(got):
            if bad(text):
                items.append({'create': {'_index': 'i', '_id': uid, 'status': 400, 'error': {
                    'type': 'document_parsing_exception', 'reason': '[1:57] failed to parse field [message]'}}})
            elif uid in known:
                need(known[uid] == text, 'another text for an _id', uid)
                items.append({'create': {'_index': 'i', '_id': uid, 'status': 409, 'error': {
                    'type': 'version_conflict_engine_exception', 'reason': 'document already exists'}}})
            elif fault == 'some' and n % 3 == 1:
                items.append({'create': {'_index': 'i', '_id': uid, 'status': 429, 'error': {
                    'type': 'es_rejected_execution_exception', 'reason': 'rejected execution of coordinating operation'}}})
            else:
                known[uid] = text
                take(name, [(uid, text)])
                items.append({'create': {'_index': 'i', '_id': uid, '_version': 1, 'result': 'created', 'status': 201}})
        return 200, {'took': 3, 'errors': any(x['create']['status'] > 299 for x in items), 'items': items}
    refused = [i for i, (_, text) in enumerate(got) if bad(text)]
    if name == 'otlp':
        if fault == 'partial':
            take(name, got[1:])
            return 200, {'partialSuccess': {'rejectedLogRecords': '1', 'errorMessage': 'one was too old'}}
        if refused:
            return 400, {'code': 3, 'message': 'invalid record'}
        take(name, got)
        return 200, {'partialSuccess': {}} if fault != 'empty' else None
    if name == 'splunk':
        if refused:
            take(name, got[:refused[0]])
            return 400, {'text': 'Invalid data format', 'code': 6, 'invalid-event-number': refused[0]}
        take(name, got)
        return 200, {'text': 'Success', 'code': 0}
    if refused:
        return 400, None
    take(name, got)
    return 204 if name == 'loki' else 202, None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1  # an answer is one packet

    def log_message(self, *a):
        pass

    def reply(self, status, body=None, headers=()):
        data = b'' if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        if status != 204:
            self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        counts['requests'] = counts.get('requests', 0) + 1
        need(not waited or time.monotonic() - waited[-1][0] >= waited[-1][1] - 1.01, 'Retry-After was not waited for', waited)
        waited.clear()
        fault = faults.pop(0) if faults else 'ok'
        size = int(self.headers['content-length'])
        body = self.rfile.read(size)
        if fault == 'reset':
            self.connection.setsockopt(1, 13, b'\1\0\0\0\0\0\0\0')  # SO_LINGER 0
            self.connection.close()
            raise ConnectionResetError
        if size > opt.largest:
            return self.reply(413, b'too large')
        if opt.want_auth and self.headers['authorization'] != opt.want_auth:
            return self.reply(401, {'text': 'Invalid token', 'code': 4})
        if fault == '429s':
            waited.append((time.monotonic(), 1))
            return self.reply(429, b'slow down', [('Retry-After', '1')])
        if fault == '429d':
            waited.append((time.monotonic(), 2))
            return self.reply(503, b'later', [('Retry-After', email.utils.formatdate(time.time() + 2, usegmt=True))])
        if fault == '429long':
            return self.reply(429, b'slow down', [('Retry-After', '3600')])
        if fault in ('429', '503', '500', '401', '404'):
            return self.reply(int(fault), b'no\x1b[31m')
        if fault == 'html':
            return self.reply(200, b'<html>please log in</html>')
        need((self.headers['content-encoding'] == 'gzip') == opt.gzip, 'content encoding', self.headers['content-encoding'])
        if opt.gzip:
            body = gzip.decompress(body)
        fn = format_of(self.path)
        got = fn(self, body)
        need(got, 'messages in a request')
        status, said = answer(fn.__name__, got, fault)
        if fault == 'cut':  # taken, and the answer is lost
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{')
            self.close_connection = True
            return
        if fault == 'huge':  # who reads all of it never ends
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % (1 << 40))
            self.close_connection = True
            for i in range(1024):
                self.wfile.write(b' ' * 65536)  # an OSError: it was given up
            need(False, '64 MiB of an answer were read')
        if fault == 'slow':
            time.sleep(1.5)
        self.reply(status, said)

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (Wrong, KeyError, TypeError, ValueError, AttributeError) as e:
            wrong.append('%s: %s: %s' % (self.path, type(e).__name__, e))
            self.close_connection = True
            try:
                self.reply(418, b'not as the format says')
            except OSError:
                pass
        except OSError:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


server = Server(('127.0.0.1', 0), Handler)
if opt.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*opt.tls)
    if opt.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(opt.client_ca)
    server.socket = context.wrap_socket(server.socket, server_side=True)
signal.signal(signal.SIGTERM, lambda *a: threading.Thread(target=server.shutdown).start())
print('port %d' % server.server_address[1], flush=True)
server.serve_forever(poll_interval=0.05)
print('requests %d, faults left %d' % (counts.get('requests', 0), len(faults)), flush=True)
for w in wrong:
    print('WRONG', w, flush=True)
sys.exit(1 if wrong else 0)
