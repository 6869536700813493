# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""What torture.sh's collectors have of the lines that lines.c wrote. usage: torture_lines.py FOLDER
FOLDER/N is the Nth cycle (a boot): `kind` (killed; or ended, by an unmount with nothing waiting; or quiet: ended, and nothing was
disturbed), `acks` ("ROUND WRITER LINES": so many were durable; "event ...": something was disturbed), out/relp.* tcp.* udp.*, one file
each start of rsyslogd. Rounds are 10 N + 0, 3 and 4 (RELP), 1 (TCP), 2 (UDP).

Of RELP all that was durable is there, of TCP what a quiet cycle wrote. What comes is a line that was written, or, by its CRC, what a crash left
of one, and comes by its own protocol; the same identity is the same bytes. Nothing comes twice in a quiet cycle, or after one that
ended; in others each disturbance has one connection's window come twice at most, and what a killed guest had not recorded."""
import os
import sys
import ship_lines

WINDOW = {'relp': 128, 'tcp': 512}  # messages on their way: SHIP_RELP_WINDOW, SENDER_FLIGHTS
PROTOCOL = {0: 'relp', 3: 'relp', 4: 'relp', 1: 'tcp', 2: 'udp'}
WRITERS = 40  # a crash leaves half a line of each at most, and of what they removed

CRC = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
    CRC.append(i)


def crc32c(text):
    c = 0xffffffff
    for b in text.encode():
        c = c >> 8 ^ CRC[(c ^ b) & 255]
    return c ^ 0xffffffff


class Cycle:
    def __init__(self, folder, n):
        self.n, self.folder = n, '%s/%d' % (folder, n)
        self.kind = open(self.folder + '/kind').read().strip()
        self.durable = ship_lines.durable(self.folder + '/acks')
        self.events = [a.split()[1] for a in open(self.folder + '/acks') if a.startswith('event ')]

    def files(self, protocol):
        names = [f for f in os.listdir(self.folder + '/out') if f.startswith(protocol + '.')]
        return ['%s/out/%s' % (self.folder, f) for f in sorted(names, key=lambda f: int(f.split('.')[1]))]

    def want(self, protocol):
        return {(r, t, n) for (r, t), many in self.durable.items() if PROTOCOL[r % 10] == protocol for n in range(many)}


failed = False


def bad(text, *values):
    global failed
    failed = True
    print('FAILED: ' + text % values)


def take(cycle, protocol, seen, ended):
    """All messages of a cycle; those that came twice in it, and those that came in an earlier one, too."""
    mine, twice, again = set(), 0, 0
    for path in cycle.files(protocol):
        for key, is_ in ship_lines.messages(path, True):
            before = ship_lines.taken(seen, key, is_)
            if key in ended:
                bad('cycle %d, %s: %s came again after a clean unmount', cycle.n, protocol, key)
                return twice, again
            twice += key in mine
            again += before and key not in mine
            mine.add(key)
    if cycle.kind == 'quiet' and twice:
        bad('cycle %d, %s: nothing was disturbed, and %d messages came twice', cycle.n, protocol, twice)
    if protocol in WINDOW and twice > WINDOW[protocol] * len(cycle.events):
        bad('cycle %d, %s: %d messages came twice by %d disturbances', cycle.n, protocol, twice, len(cycle.events))
    if cycle.kind != 'killed':
        ended |= mine
    return twice, again


def check(protocol, cycles):
    seen, ended, twice, again = {}, set(), 0, 0
    for c in cycles:
        a, b = take(c, protocol, seen, ended)
        twice, again = twice + a, again + b
    got, rest = ship_lines.lines(seen)
    for key in rest:
        if crc32c(seen[key][1]) != int(seen[key][0], 16):
            bad('%s: %s is not what was sent: %r', protocol, key, seen[key][1][:200])
    stray = [r for r, _, _ in got if PROTOCOL.get(r % 10) != protocol]
    if stray:
        bad('%s: lines of round %d', protocol, stray[0])
    if len(rest) > WRITERS * sum(c.kind == 'killed' for c in cycles) and protocol == 'relp':
        bad('%s: %d messages are parts of no line', protocol, len(rest))
    want, quiet = set(), set()
    for c in cycles:
        want |= c.want(protocol)
        if c.kind == 'quiet':
            quiet |= c.want(protocol)
    missing = want - got
    promised = {'relp': missing, 'tcp': missing & quiet}.get(protocol, set())
    if promised or not want:
        bad('%s: missing, among them round, writer, line %s', protocol, sorted(promised)[:3])
    print('%s: lines durable %d, arrived %d, missing %d (of quiet cycles: %d of %d), messages twice in a cycle %d, again after one %d, parts of lines %d' % (
        protocol, len(want), len(got), len(missing), len(missing & quiet), len(quiet), twice, again, len(rest)))


def main():
    folder = sys.argv[1]
    cycles = [Cycle(folder, n) for n in sorted(int(d) for d in os.listdir(folder) if d.isdigit())]
    for protocol in 'relp', 'tcp', 'udp':
        check(protocol, cycles)
    events = [e for c in cycles for e in c.events]
    print('%d cycles, guest killed in %d, disturbances: %s' % (len(cycles), sum(c.kind == 'killed' for c in cycles),
          ', '.join('%s %d' % (e, events.count(e)) for e in sorted(set(events)))))
    sys.exit(failed)


main()
