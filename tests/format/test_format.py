#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""docs/FORMAT.md is enough to read a volume: what the independent reader (reader.py, replay.py) finds in each image is what
dump.tfs finds, item by item and byte by byte, before and after the log; and SPACE, REFS and the counters are what the reader
counts itself. usage: test_format.py IMAGE... ; tests/cli/test_format.sh makes the images, and asks by COMPLETE=1 that they hold
between them all that the page describes."""
import datetime
import json
import os
import subprocess
import sys

from reader import (DIRENT, EXTENT, FILE, INLINE, INODE, ORPHAN, PENDING, POS, PREALLOC, RULE, SHIP, SYMLINK, XATTR, Damage, Extent,
                    Inode, Pointer, Volume, crc32c, expect, u16, u32, u64)
from replay import Replay

DUMP = os.path.join(os.environ.get('BIN', 'build/bin'), 'dump.tfs')
TYPES = {1: 'fifo', 2: 'character device', 4: 'directory', 6: 'block device', 8: 'file', 10: 'symlink', 12: 'socket'}
CODECS = ('none', 'lz4', 'zlib')


def dump(command, image, *arguments):
    """Exit code 2 says damage, of which `super` tells more."""
    done = subprocess.run((DUMP, command, image) + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(done.returncode in (0, 2), 'dump.tfs %s: exit %d: %s' % (command, done.returncode, done.stderr.decode()))
    return done.stdout


def text(into, key, value):
    """Bytes that are not UTF-8 are in hexadecimal."""
    try:
        into[key] = value.decode()
    except UnicodeDecodeError:
        into[key + '_hex'] = value.hex()


def moment(t):
    seconds = int.from_bytes(t[:8], 'little', signed=True)
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return at.strftime('%Y-%m-%dT%H:%M:%S') + '.%09dZ' % u32(t, 8)


def place(p):
    return {'addr': p.addr, 'len': p.len, 'birth': p.birth, 'crc': '%08x' % p.crc, 'gang': p.gang}


def inode_line(value):
    i = Inode(value)
    line = {k: getattr(i, k) for k in ('nlink', 'uid', 'gid', 'size', 'blocks', 'major', 'minor', 'parent', 'level',
                                       'window_bits', 'generation')}
    if i.name_dir:
        line.update(name_dir=i.name_dir, name_pos='%014x' % i.name_pos)
    line.update({k: moment(getattr(i, k)) for k in ('atime', 'mtime', 'ctime', 'btime')})
    line.update(type=TYPES[i.kind], mode='%06o' % i.mode, flags='%x' % i.flags, user_flags='%x' % i.user_flags,
                codec=CODECS[i.codec])
    return line


def extent_line(value):
    e = Extent(value)
    line = dict(place(e.ptr), blocks=e.blocks, codec=CODECS[e.codec])
    if e.codec:
        line.update(skip=e.skip, total=e.total)
    else:
        line['crcs'] = ['%08x' % c for c in e.crc]
    return line


def xattr_line(value):
    n = value[4]
    line = {'length': u32(value, 0)}
    text(line, 'name', value[6:6 + n])
    if value[5]:
        line.update(place(Pointer(value, 6 + n)))
    else:
        text(line, 'value', value[6 + n:])
    return line


def dirent_line(value):
    line = {'target': u64(value, 0), 'type': TYPES[value[8]]}
    text(line, 'name', value[10:])
    return line


def symlink_line(value):
    line = {}
    text(line, 'target', value)
    return line


def rule_line(value):
    n = u16(value, 8)
    line = {'on': u64(value, 0)}
    text(line, 'pattern', value[16:16 + n])
    text(line, 'target', value[16 + n:])
    return line


def ship_line(value):
    origin = {'origin': u64(value, 8), 'counts': u16(value, 6)} if u64(value, 8) else {}
    return {'generation': u32(value, 0), **origin,
            'cursors': [{'rule': u64(value, 16 + 16 * i), 'acked': u64(value, 24 + 16 * i)} for i in range(u16(value, 4))]}


LINES = {INODE: ('inode', inode_line), SYMLINK: ('symlink', symlink_line), XATTR: ('xattr', xattr_line),
         INLINE: ('inline', lambda v: {'length': len(v), 'crc': '%08x' % crc32c(v)}), DIRENT: ('dirent', dirent_line),
         EXTENT: ('extent', extent_line), PREALLOC: ('prealloc', lambda v: {'blocks': u64(v, 0)}),
         PENDING: ('pending', lambda v: {'blocks': u64(v, 0)}), ORPHAN: ('orphan', lambda v: {}),
         RULE: ('rule', rule_line), SHIP: ('ship', ship_line)}


def line_of(key, value):
    kind, position = key[1] >> 56, key[1] & POS
    what, fields = LINES[kind]
    line = dict(fields(value), what=what)
    line['rule' if kind == RULE else 'ino'] = key[0] or position
    if kind in (XATTR, DIRENT):
        line['position'] = '%014x' % position
    elif kind in (EXTENT, PREALLOC, PENDING):
        line['block'] = position
    return line


def same(what, ours, theirs):
    for a, b in zip(ours, theirs):
        expect(a == b, '%s: the reader has\n  %s\ndump.tfs has\n  %s' % (what, a, b))
    expect(len(ours) == len(theirs), '%s: the reader has %d, dump.tfs has %d' % (what, len(ours), len(theirs)))


def items_compare(volume, image, *arguments):
    """Of what a truncate left to be dropped later, the reader drops at once: then only names and contents are compared."""
    theirs = [json.loads(x) for x in dump('tree', image, 'fs', '--items', '--json', *arguments).splitlines()]
    theirs = [x for x in theirs if x['what'] not in ('node', 'branch')]
    ours = [line_of(k, v) for k, v in sorted(volume.items.items())]
    later = {x['ino'] for x in theirs if x['what'] == 'pending'} - {k[0] for k in volume.items if k[1] >> 56 == PENDING}
    for lines in (ours, theirs):
        for x in [x for x in lines if x.get('ino') in later]:
            if x['what'] in ('pending', 'extent', 'prealloc'):
                lines.remove(x)
            x.pop('blocks', None)
    same('items', ours, theirs)


def names_compare(volume, image):
    for path, ino in volume.walk():
        at = volume.find(volume.inode(ino).parent, DIRENT, path.split(b'/')[-1]) if volume.inode(ino).kind == 4 else True
        expect(at, 'a name is not under its own hash')
        if volume.inode(ino).kind == FILE:
            expect(volume.content(ino) == dump('cat', image, os.fsdecode(path)), 'content of %r' % path)
        for name, value in volume.xattrs(ino):
            stat = json.loads(dump('stat', image, os.fsdecode(path), '--json'))
            line = {}
            text(line, 'name', name)
            text(line, 'value', value)
            expect(line in stat['xattrs'], 'attribute %r of %r' % (name, path))


def counts(image):
    """What its checkpoint holds: all of SPACE, REFS and the counters."""
    volume = Volume(open(image, 'rb'))
    items_compare(volume, image, '--no-replay')
    volume.space_check()
    return volume


def after_log(image):
    volume = Volume(open(image, 'rb'))
    if u64(volume.log, 0):
        Replay(volume).run()
        state = [json.loads(x) for x in dump('super', image, '--json').splitlines()][-1]
        expect(volume.applied == state['next_record'], 'records: %d applied, dump.tfs went up to %d' %
               (volume.applied, state['next_record']))
        expect(bool(volume.damaged) == state['damaged'], 'damage: %s' % volume.damaged)
    items_compare(volume, image)
    names_compare(volume, image)
    return volume


# What the images have to hold between them, so that the comparison means something.
WANTED = ({'record %d flags 0' % t for t in (1, 2, 3, 5, 6, 8, 9, 10, 11, 12)} |
          {'record 4 flags %d' % f for f in (0, 2, 4)} | {'record 7 flags %d' % f for f in (2, 3)} |
          {'record 13 flags %d' % f for f in (1, 2, 3, 4)} | {'record %d flags 1' % t for t in (8, 9)} | {'inherited rule', 'lines cut off'} |
          {'codec %d' % c for c in (0, 1, 2)} | {'node codec %d' % c for c in (0, 1, 2, 3)} |
          {'gang', 'tree 0 level 0', 'tree 0 level 1', 'tree 1 level 0', 'tree 3 level 0', 'torn record',
           'evidence of damage', 'data beside the log', 'snapshot', 'deadlist', 'void deadlist', 'shared extent', 'shared blocks'} |
          {'old state %d' % n for n in range(4)})


def main():
    bad, seen = 0, set()
    for image in sys.argv[1:]:
        try:
            before, after = counts(image), after_log(image)
            seen |= before.seen | after.seen
            print('%s: %d items, %d after the log, alike' % (os.path.basename(image), len(before.items), len(after.items)))
        except Damage as e:
            print('FAILED: %s: %s; repeat: tests/format/test_format.py %s' % (os.path.basename(image), e, image))
            bad = 1
    if os.environ.get('COMPLETE') and WANTED - seen:
        print('FAILED: in no image: %s' % ', '.join(sorted(WANTED - seen)))
        bad = 1
    return bad


if __name__ == '__main__':
    sys.exit(main())
