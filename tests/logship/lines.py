# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""Lines to be forwarded, and what a collector has of them. lines.py make FOLDER FILES LINES writes files of numbered lines;
lines.py check OUTPUT FILES LINES [once] [escaped] holds what tfs-logship receive --json wrote against them: none missing, each whole,
in the order of its file, and what came twice is told apart by its identity (once: nothing came twice)."""
import json
import os
import random
import re
import sys


def line(file, n):
    """Of many lengths; some longer than the pieces that the test asks for, some with bytes that are no text."""
    r = random.Random(file * 1000003 + n)
    tail = bytes(r.choice(b'abcdefghijklmnopqrstuvwxyz ') for _ in range(r.choice((5, 30, 30, 30, 200, 900))))
    if n % 50 == 7:
        tail += b'\xff\x01\\\xc3\xa4'
    return b'file %d line %d: %s' % (file, n, tail.rstrip() + b'.')


def text_of(message):
    """The text behind the structured data, escapes undone, and part and more."""
    m = re.match(rb'<\d+>1 \S+ \S+ \S+ \S+ \S+ \[tfs@32473 ((?:[^\]"]|"(?:[^"\\]|\\.)*")*)\] ?(.*)$', message, re.S)
    if not m:
        sys.exit('FAILED: no RFC 5424 message of ours: %r' % message[:200])
    data = dict(re.findall(rb'([a-z]+)="((?:[^"\\]|\\.)*)"', m.group(1)))
    text = m.group(2)
    if data.get(b'esc'):
        text = re.sub(rb'\\x([0-9a-fA-F]{2})', lambda h: bytes([int(h.group(1), 16)]), text)
    return data, text


def unescaped(raw):
    """A line of file: and stdout:, in which control characters and backslashes are escaped."""
    return re.sub(rb'\\(x[0-9a-f]{2}|[nrt\\])', lambda m: bytes([int(m.group(1)[1:], 16)]) if m.group(1)[:1] == b'x' else
                  {b'n': b'\n', b'r': b'\r', b't': b'\t', b'\\': b'\\'}[m.group(1)], raw)


def cut_off(raw):
    """A line of receive --json that ends too early: it was killed in the write, before it acknowledged that, and the next one ended the line."""
    try:
        json.loads(raw)
    except UnicodeDecodeError as e:
        return e.start >= len(raw) - 5
    except ValueError as e:
        return e.pos >= len(raw.decode()) - 7 or 'Unterminated' in e.msg
    return False


def messages(path, escaped):
    """Of receive --json, or of a collector that writes the messages as lines."""
    for raw in open(path, 'rb'):
        if raw.startswith(b'{'):
            if cut_off(raw):
                continue
            o = json.loads(raw)
            yield bytes.fromhex(o['message_hex']) if 'message_hex' in o else o['message'].encode()
        else:
            yield unescaped(raw.rstrip(b'\n')) if escaped else raw.rstrip(b'\n')


def check(path, files, lines, once, escaped):
    seen, repeats = {}, 0
    for message in messages(path, escaped):
        data, text = text_of(message)
        key = int(data[b'i']), int(data[b'g']), int(data[b'o'])
        if key in seen:
            repeats += 1
            if seen[key][:2] != (data[b'c'], text):
                sys.exit('FAILED: two messages at %s differ: %r and %r' % (key, seen[key], text))
        seen[key] = data[b'c'], text, data.get(b'more')
    got, whole = set(), b''
    for key in sorted(seen):
        whole += seen[key][1]
        if seen[key][2]:
            continue
        m = re.match(rb'file (\d+) line (\d+): ', whole)
        if not m or whole != line(int(m.group(1)), int(m.group(2))):
            sys.exit('FAILED: a line that nobody wrote: %r' % whole[:200])
        got.add((int(m.group(1)), int(m.group(2))))
        whole = b''
    missing = {(f, n) for f in range(files) for n in range(lines)} - got
    if missing or len(got) != files * lines:
        sys.exit('FAILED: missing %d of %d lines, first %s; %d found' % (len(missing), files * lines, min(missing or [0]), len(got)))
    if once and repeats:
        sys.exit('FAILED: %d messages came twice' % repeats)
    print('lines written %d, arrived %d, missing 0, repeated %d' % (files * lines, len(got), repeats))


def make(folder, files, lines):
    for f in range(files):
        with open(os.path.join(folder, '%d.log' % f), 'wb') as out:
            out.write(b''.join(line(f, n) + b'\n' for n in range(lines)))


if sys.argv[1] == 'make':
    make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    check(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), 'once' in sys.argv, 'escaped' in sys.argv)
