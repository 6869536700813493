#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""A small S3 server in memory for tests, which believes nothing: every signature, payload hash, date and token is checked
(with sigv4.py). It speaks what tfs-backup uses: put, get with ranges, head, delete, ListObjectsV2, uploads in parts, put if
absent, Object Lock; by path and by host (bucket.localhost). Also an instance metadata service, at /latest.

  stub.py PORTFILE [KEY=VALUE]...     writes its port there when it is up; ends with its parent

Settings, also while it runs by GET /_set?KEY=VALUE (others stay):
  access secret token    credentials that are good (AKTEST, SKTEST, none)
  clock=SECONDS          its clock is that much ahead of the machine's
  conditional=yes|501|ignore
  page=N                 keys in a page at most (1000)
  region=NAME            others are refused (none: any)
  quota=BYTES            what it holds at most; full=1: nothing more
  gone=1                 the bucket was deleted
  role=1                 the metadata service has credentials: it makes new ones at each request, good ones from then on
  lifetime=SECONDS       of those (3600)
  tls=FILE               at the start only: HTTPS, with this certificate and key (PEM)
GET /_count: requests since the last /_set."""
import base64
import hashlib
import os
import re
import ssl
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from sigv4 import signature

settings = {"access": "AKTEST", "secret": "SKTEST", "token": "", "clock": "0", "conditional": "yes", "page": "1000",
            "region": "", "quota": "", "gone": "", "full": "", "role": "", "lifetime": "3600", "tls": ""}
lock = threading.Lock()
objects = {}  # (bucket, key) -> {data, time, meta, until}
uploads = {}  # id -> {bucket, key, time, meta, parts}
counter = {"requests": 0, "uploads": 0, "roles": 0}
EMPTY = hashlib.sha256(b"").hexdigest()


def now():
    return time.time() + float(settings["clock"])


def iso(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(t))


class Refused(Exception):
    def __init__(self, status, code, message="refused by the stub", extra=""):
        super().__init__(code)
        self.status, self.code, self.message, self.extra = status, code, message, extra


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one write: else its body waits for the acknowledgement of its head

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(now(), usegmt=True)

    def answer(self, status, body=b"", headers=None):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        self.send_header("x-amz-request-id", f"stub{counter['requests']}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def xml(self, text, status=200):
        self.answer(status, '<?xml version="1.0" encoding="UTF-8"?>\n' + text, {"Content-Type": "application/xml"})

    def handle_any(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if parts.path == "/_set":
            settings.update(parse_qsl(parts.query, keep_blank_values=True))
            counter["requests"] = 0
            return self.answer(200)
        if parts.path == "/_count":
            return self.answer(200, str(counter["requests"]))
        counter["requests"] += 1
        if parts.path.startswith("/latest/"):
            return self.metadata(parts.path)
        try:
            self.check(parts, body)
            with lock:
                self.serve(parts, body)
        except Refused as e:
            self.xml(f"<Error><Code>{e.code}</Code><Message>{e.message}</Message>{e.extra}"
                     f"<RequestId>stub{counter['requests']}</RequestId></Error>", e.status)
        return None

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    # ---- signatures ----
    def check(self, parts, body):
        headers = {name.lower(): value for name, value in self.headers.items()}
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,\s*"
                         r"SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})", headers.get("authorization", ""))
        if not m:
            raise Refused(403, "AccessDenied", "no signature")
        access, day, region, service, names, given = m.groups()
        names = names.split(";")
        stamp, digest = headers.get("x-amz-date", ""), headers.get("x-amz-content-sha256", "")
        if access != settings["access"]:
            raise Refused(403, "InvalidAccessKeyId")
        if settings["token"] and headers.get("x-amz-security-token") != settings["token"]:
            raise Refused(400, "ExpiredToken", "The provided token has expired.")
        if settings["region"] and region != settings["region"]:
            raise Refused(400, "AuthorizationHeaderMalformed", "the region is wrong",
                          f"<Region>{settings['region']}</Region>")
        unsigned = {n for n in headers if n.startswith("x-amz-") or n == "host"} - set(names)
        if names != sorted(names) or unsigned or service != "s3" or day != stamp[:8]:
            raise Refused(403, "SignatureDoesNotMatch", f"not all signed: {unsigned}")
        want = signature(settings["secret"], stamp, region, service, self.command, parts.path, parts.query, headers, names,
                         digest)
        if given != want:
            raise Refused(403, "SignatureDoesNotMatch")
        then = time.mktime(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.timezone
        if abs(then - now()) > 900:
            raise Refused(403, "RequestTimeTooSkewed")
        if hashlib.sha256(body).hexdigest() != digest:
            raise Refused(400, "XAmzContentSHA256Mismatch")
        if "x-amz-checksum-sha256" in headers and \
                base64.b64decode(headers["x-amz-checksum-sha256"]) != hashlib.sha256(body).digest():
            raise Refused(400, "BadDigest")

    # ---- S3 ----
    def serve(self, parts, body):
        host = self.headers["host"].split(":")[0]
        path = parts.path
        if host.endswith(".localhost"):
            path = "/" + host[:-len(".localhost")] + path
        _, bucket, key = (unquote(path) + "/").split("/", 2)
        key = key[:-1] if key else ""
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if settings["gone"]:
            raise Refused(404, "NoSuchBucket")
        if not key:
            return self.list_uploads(bucket, query) if "uploads" in query else self.list(bucket, query)
        name = self.command.lower() + ("_upload" if "uploads" in query or "uploadId" in query else "")
        return getattr(self, "s3_" + name)(bucket, key, query, body)

    def meta(self):
        kept = {n.lower(): v for n, v in self.headers.items() if n.lower().startswith(("x-amz-meta-", "x-amz-object-lock-"))}
        kept["x-amz-storage-class"] = self.headers.get("x-amz-storage-class", "STANDARD")
        return kept

    def room_for(self, body):
        held = sum(len(o["data"]) for o in objects.values())
        if settings["full"] or (settings["quota"] and held + len(body) > int(settings["quota"])):
            raise Refused(403, "QuotaExceeded")

    def s3_put(self, bucket, key, query, body):
        condition = self.headers.get("if-none-match")
        if condition and settings["conditional"] == "501":
            raise Refused(501, "NotImplemented")
        if condition and settings["conditional"] == "yes" and (bucket, key) in objects:
            raise Refused(412, "PreconditionFailed")
        self.room_for(body)
        objects[bucket, key] = {"data": body, "time": now(), "meta": self.meta()}
        self.answer(200, headers={"ETag": '"' + hashlib.md5(body).hexdigest() + '"'})

    def find(self, bucket, key):
        if (bucket, key) not in objects:
            raise Refused(404, "NoSuchKey")
        return objects[bucket, key]

    def head(self, o, extra):
        return {"Last-Modified": formatdate(o["time"], usegmt=True), **o["meta"], **extra}

    def s3_head(self, bucket, key, query, body):
        o = self.find(bucket, key)
        self.answer(200, headers=self.head(o, {"Content-Length": str(len(o["data"]))}))

    def s3_get(self, bucket, key, query, body):
        o = self.find(bucket, key)
        data = o["data"]
        m = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if not m:
            return self.answer(200, data, self.head(o, {}))
        first, last = int(m[1]), min(int(m[2]), len(data) - 1)
        if first >= len(data):
            raise Refused(416, "InvalidRange")
        return self.answer(206, data[first:last + 1], self.head(o, {"Content-Range": f"bytes {first}-{last}/{len(data)}"}))

    def s3_delete(self, bucket, key, query, body):
        objects.pop((bucket, key), None)
        self.answer(204)

    # ---- uploads in parts ----
    def s3_post_upload(self, bucket, key, query, body):
        if "uploads" in query:
            counter["uploads"] += 1
            name = f"upload+/{counter['uploads']}="
            uploads[name] = {"bucket": bucket, "key": key, "time": now(), "meta": self.meta(), "parts": {}}
            return self.xml(f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>")
        u = self.upload(query)
        parts = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>([^<]*)</ETag>", body.decode())
        if [int(n) for n, _ in parts] != sorted(u["parts"]):
            raise Refused(400, "InvalidPart")
        for n, etag in parts:
            if etag != '"' + hashlib.md5(u["parts"][int(n)]).hexdigest() + '"':
                raise Refused(400, "InvalidPart")
        objects[bucket, key] = {"data": b"".join(u["parts"][int(n)] for n, _ in parts), "time": now(), "meta": u["meta"]}
        del uploads[query["uploadId"]]
        return self.xml("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def upload(self, query):
        if query["uploadId"] not in uploads:
            raise Refused(404, "NoSuchUpload")
        return uploads[query["uploadId"]]

    def s3_put_upload(self, bucket, key, query, body):
        u = self.upload(query)
        self.room_for(body)
        u["parts"][int(query["partNumber"])] = body
        self.answer(200, headers={"ETag": '"' + hashlib.md5(body).hexdigest() + '"'})

    def s3_delete_upload(self, bucket, key, query, body):
        self.upload(query)
        del uploads[query["uploadId"]]
        self.answer(204)

    # ---- listings ----
    def list(self, bucket, query):
        encode = (lambda k: quote(k, safe="-._~/").replace("%20", "+")) if query.get("encoding-type") == "url" else escape
        after = max(query.get("start-after", ""), query.get("continuation-token", "").removeprefix("after:"))
        found = sorted((k.encode(), o) for (b, k), o in objects.items()
                       if b == bucket and k.startswith(query.get("prefix", "")) and k.encode() > after.encode())
        size = min(int(query.get("max-keys", "1000")), int(settings["page"]))
        page, more = found[:size], len(found) > size
        text = "".join(f"<Contents><Key>{encode(k.decode())}</Key><LastModified>{iso(o['time'])}</LastModified>"
                       f"<Size>{len(o['data'])}</Size></Contents>" for k, o in page)
        if more:
            text += f"<NextContinuationToken>{escape('after:' + page[-1][0].decode())}</NextContinuationToken>"
        if query.get("encoding-type") == "url":
            text += "<EncodingType>url</EncodingType>"
        self.xml(f"<ListBucketResult>{text}<IsTruncated>{str(more).lower()}</IsTruncated></ListBucketResult>")

    def list_uploads(self, bucket, query):
        found = sorted((u["key"], name, u["time"]) for name, u in uploads.items()
                       if u["bucket"] == bucket and u["key"].startswith(query.get("prefix", ""))
                       and (u["key"], name) > (query.get("key-marker", ""), query.get("upload-id-marker", "")))
        page, more = found[:int(settings["page"])], len(found) > int(settings["page"])
        text = "".join(f"<Upload><Key>{quote(k)}</Key><UploadId>{escape(n)}</UploadId><Initiated>{iso(t)}</Initiated></Upload>"
                       for k, n, t in page)
        if more:
            text += f"<NextKeyMarker>{quote(page[-1][0])}</NextKeyMarker><NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>"
        self.xml(f"<ListMultipartUploadsResult><EncodingType>url</EncodingType>{text}"
                 f"<IsTruncated>{str(more).lower()}</IsTruncated></ListMultipartUploadsResult>")

    # ---- instance metadata, version 2 ----
    def metadata(self, path):
        if path == "/latest/api/token" and self.command == "PUT" and \
                self.headers.get("x-aws-ec2-metadata-token-ttl-seconds"):
            return self.answer(200, "session")
        if self.headers.get("x-aws-ec2-metadata-token") != "session":
            return self.answer(401)
        if not settings["role"]:
            return self.answer(404)
        if path.endswith("/security-credentials/"):
            return self.answer(200, "tester")
        counter["roles"] += 1
        settings.update(access=f"ASIA{counter['roles']}", secret=f"secret{counter['roles']}", token=f"token/{counter['roles']}+=")
        return self.answer(200, '{"Code": "Success", "AccessKeyId": "%s", "SecretAccessKey": "%s", "Token": "%s", "Expiration": "%s"}'
                           % (settings["access"], settings["secret"], settings["token"],
                              time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now() + float(settings["lifetime"])))))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):  # clients that went away
            super().handle_error(request, client_address)


def end_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def main():
    settings.update(a.split("=", 1) for a in sys.argv[2:])
    server = Server(("127.0.0.1", 0), Handler)
    if settings["tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["tls"])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
        f.write(str(server.server_address[1]))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
