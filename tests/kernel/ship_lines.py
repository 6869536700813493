# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""What a collector has of the lines that lines.c wrote. usage: ship_lines.py OUTPUT ACKS [once]
OUTPUT: of tfs-logship receive --json. ACKS: "ROUND WRITER LINES", so many were durable. All of those are there, none with other
bytes, and what came twice has one identity and is the same; once: nothing came twice. A line that a crash cut off may be there as it is.
torture_lines.py uses the same functions."""
import json
import re
import sys

LINE = re.compile(r'round (\d+) writer (\d+) line (\d+): ([a-z]*) end\.')
MESSAGE = re.compile(r'<\d+>1 \S+ \S+ \S+ \S+ \S+ \[tfs@32473 ([^\]]*)\] ?(.*)$', re.S)


def expected(r, t, n):
    x = (r * 7919 + t * 104729 + n) * 2654435761 & 0xffffffff
    fill = 40000 if x % 997 == 7 else 5000 if x % 97 == 5 else x >> 20 & 127
    return ('abcdefghijklmnopqrstuvwxyz' * (fill // 26 + 2))[n % 26:n % 26 + fill]


def messages(path, last=False):
    """Of each: its identity (volume, inode, generation, offset) and what it is (CRC, text, whether it goes on in the next).
    What was cut off when the collector was killed, and so was not acknowledged, is left out; last: it may only be the last."""
    for raw in open(path, 'rb'):
        try:
            message = json.loads(raw)['message']
        except ValueError:
            if last and raw.endswith(b'\n'):
                sys.exit('FAILED: %s: no JSON: %r' % (path, raw[:200]))
            continue
        m = MESSAGE.match(message)
        if not m:
            sys.exit('FAILED: %s: no message of ours: %r' % (path, message[:200]))
        data = dict(re.findall(r'([a-z]+)="([^"]*)"', m.group(1)))
        yield (data['v'], int(data['i']), int(data['g']), int(data['o'])), (data['c'], m.group(2), 'more' in data)


def taken(seen, key, is_):
    """Whether the message came before; then it must have been the same."""
    if key not in seen:
        seen[key] = is_
        return False
    if seen[key] != is_:
        sys.exit('FAILED: two messages at %s differ: %r and %r' % (key, seen[key], is_))
    return True


def lines(seen):
    """(round, writer, line) of each whole line, and the identities of messages that are none or a part of none."""
    whole, parts, after, got, rest = '', [], None, set(), []
    for key in sorted(seen):
        if key != after:
            rest += parts
            whole, parts = '', []
        text, more = seen[key][1:]
        whole += text
        parts.append(key)
        after = key[:3] + (key[3] + len(text),) if more else None
        if more:
            continue
        line = LINE.fullmatch(whole)
        if not line:
            rest += parts
        else:
            r, t, n = (int(x) for x in line.groups()[:3])
            if line.group(4) != expected(r, t, n):
                sys.exit('FAILED: a line that nobody wrote: %r' % whole[:200])
            got.add((r, t, n))
        whole, parts = '', []
    return got, rest + parts


def durable(path):
    """(round, writer): how many lines."""
    most = {}
    for ack in open(path):
        part = ack.split()
        if len(part) == 3 and ack.endswith('\n'):
            r, t, n = map(int, part)
            most[r, t] = max(most.get((r, t), 0), n)
    return most


def main():
    seen, repeats = {}, 0
    for key, is_ in messages(sys.argv[1]):
        repeats += taken(seen, key, is_)
    got, cut = lines(seen)
    writers = durable(sys.argv[2])
    want = {(r, t, n) for (r, t), many in writers.items() for n in range(many)}
    missing = want - got
    print('lines durable %d, arrived %d, missing %d, repeated %d, cut off by a crash %d' % (len(want), len(got), len(missing), repeats, len(cut)))
    if missing or not want:
        sys.exit('FAILED: missing, among them round, writer, line %s' % sorted(missing)[:3])
    if repeats and 'once' in sys.argv:
        sys.exit('FAILED: %d messages came twice' % repeats)
    if len(cut) > 40 * len(writers):
        sys.exit('FAILED: %d lines are not whole' % len(cut))


if __name__ == '__main__':
    main()
