# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""taken.py OUT FORMATS FILES LINES [once | FORMAT] [dead FILE [twice]]: what stub.py took in so many formats, held against the lines that
were written (lines.py): none missing, each whole. once: no identity came twice; FORMAT: none in that one. dead: lines may be in that
file instead, or, with twice, beside it."""
import json
import re
import sys

out, formats, files, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rest = sys.argv[5:]
sys.argv[1:] = ['make', '/dev/null', '0', '0']
sys.path.insert(0, 'tests/logship')
from lines import line  # noqa: E402

def key(uid):
    volume, ino, generation, offset, crc = uid.split('-')
    return int(ino), int(generation), int(offset)


def dead_of(path):
    dead = {}
    for raw in open(path):
        o = json.loads(raw)
        uid = '%s-%d-%d-%d-%08x' % (o['volume'], o['ino'], o['generation'], o['offset'], o['crc'])
        if not o['reason'] or not o['collector']:
            sys.exit('FAILED: a dead letter without its reason: %r' % o)
        dead.setdefault(o['collector'].split('+')[0], {})[uid] = \
            bytes.fromhex(o['message_hex']) if 'message_hex' in o else o['message'].encode()
    return dead


def lines_of(places):
    """The lines that are whole."""
    whole, got = b'', set()
    for uid in sorted(places, key=key):
        whole += places[uid]
        m = re.match(rb'file (\d+) line (\d+): ', whole)
        if not m or not line(int(m.group(1)), int(m.group(2))).startswith(whole):
            sys.exit('FAILED: a line that nobody wrote: %r' % whole[:200])
        if whole == line(int(m.group(1)), int(m.group(2))):
            got.add((int(m.group(1)), int(m.group(2))))
            whole = b''
    return got


taken, repeats = {}, 0
for raw in open(out):
    o = json.loads(raw)
    text, seen = o['text'].encode('latin-1'), taken.setdefault(o['format'], {})
    if o['id'] in seen:
        repeats += 1
        if seen[o['id']] != text:
            sys.exit('FAILED: two texts of one identity: %r' % o)
        if o['format'] in rest:
            sys.exit('FAILED: came twice: %r' % o)
    seen[o['id']] = text
dead = dead_of(rest[rest.index('dead') + 1]) if 'dead' in rest else {}
if len(taken) != formats:
    sys.exit('FAILED: expected %d formats, found %s' % (formats, sorted(taken)))
for name, seen in taken.items():
    mine = dead.get(name, {})
    if set(seen) & set(mine) and 'twice' not in rest:
        sys.exit('FAILED: %s: taken, and dead: %s' % (name, sorted(set(seen) & set(mine))[0]))
    missing = {(f, n) for f in range(files) for n in range(lines)} - lines_of({**seen, **mine})
    if missing:
        sys.exit('FAILED: %s: missing %d of %d lines, first %s' % (name, len(missing), files * lines, min(missing)))
if repeats and 'once' in rest:
    sys.exit('FAILED: %d came twice' % repeats)
print('%s: lines written %d each, missing 0, dead %d, repeated %d' % (' '.join(taken), files * lines, sum(map(len, dead.values())), repeats))
