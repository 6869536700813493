# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""What a collector has of the lines that lines.c wrote. usage: ship_lines.py OUTPUT ACKS [once]
OUTPUT: of tfs-logship receive --json. ACKS: "ROUND WRITER LINES", so many were durable. All of those are there, none with other
bytes, and what came twice has one identity and is the same; once: nothing came twice. A line that a crash cut off may be there as it is."""
import json
import re
import sys

LINE = re.compile(r'round (\d+) writer (\d+) line (\d+): ([a-z]*) end\.')


def expected(r, t, n):
    x = (r * 7919 + t * 104729 + n) * 2654435761 & 0xffffffff
    fill = 5000 if x % 97 == 5 else x >> 20 & 127
    return ''.join(chr(97 + (i + n) % 26) for i in range(fill))


got, seen, repeats, cut = set(), {}, 0, 0
for raw in open(sys.argv[1], 'rb'):
    try:
        message = json.loads(raw)['message']
    except ValueError:
        continue  # cut off when the collector was killed: it was not acknowledged
    m = re.match(r'<\d+>1 \S+ \S+ \S+ \S+ \S+ \[tfs@32473 ([^\]]*)\] ?(.*)$', message, re.S)
    if not m:
        sys.exit('FAILED: no message of ours: %r' % message[:200])
    data = dict(re.findall(r'([a-z]+)="([^"]*)"', m.group(1)))
    key, is_ = (data['v'], int(data['i']), int(data['g']), int(data['o'])), (data['c'], m.group(2), 'more' in data)
    if key in seen:
        repeats += 1
        if seen[key] != is_:
            sys.exit('FAILED: two messages at %s differ: %r and %r' % (key, seen[key], is_))
    seen[key] = is_
whole = ''
for key in sorted(seen):
    whole += seen[key][1]
    if seen[key][2]:
        continue
    line, text, whole = LINE.fullmatch(whole), whole, ''
    if not line:
        cut += 1
        continue
    r, t, n = (int(x) for x in line.groups()[:3])
    if line.group(4) != expected(r, t, n):
        sys.exit('FAILED: a line that nobody wrote: %r' % text[:200])
    got.add((r, t, n))
durable = {}
for ack in open(sys.argv[2]):
    part = ack.split()
    if len(part) == 3 and ack.endswith('\n'):
        r, t, n = map(int, part)
        durable[r, t] = max(durable.get((r, t), 0), n)
want = {(r, t, n) for (r, t), lines in durable.items() for n in range(lines)}
missing = want - got
print('lines durable %d, arrived %d, missing %d, repeated %d, cut off by a crash %d' % (len(want), len(got), len(missing), repeats, cut))
if missing or not want:
    sys.exit('FAILED: missing, among them round, writer, line %s' % sorted(missing)[:3])
if repeats and 'once' in sys.argv:
    sys.exit('FAILED: %d messages came twice' % repeats)
if cut > 40 * len(durable):
    sys.exit('FAILED: %d lines are not whole' % cut)
