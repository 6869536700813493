#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""Small Nanos volumes byte by byte, most of them with one thing wrong; shares nothing with tfs/nanos. usage: build.py list:
NAME:NUMBER of the problem that fsck.tfs has to find, 0 for what is sound. build.py NAME IMAGE: that volume.
build.py seeds DIRECTORY: all of them as inputs of fuzz/nanos.c."""
import os
import sys

BLOCK, EXT = 512, 1024


def varint(n):
    out = [n & 127]
    while n > 127:
        n >>= 7
        out.append(n & 127 | 128)
    return bytes(reversed(out))


def header(immediate, kind, n, version=5):
    bits, shift = (3, 4) if version == 5 else (5, 6)
    tail = b''
    groups = 0
    while n >> 7 * groups >= 1 << bits:
        groups += 1
    first = immediate << 7 | kind << shift | (1 << bits if groups else 0) | n >> 7 * groups
    for i in reversed(range(groups)):
        tail += bytes([n >> 7 * i & 127 | (128 if i else 0)])
    return bytes([first]) + tail


class Ref:
    """A tuple by a label, written whole at its first appearance and as a reference later."""
    def __init__(self, label, value=None):
        self.label, self.value = label, value


class Log:
    def __init__(self, version=5):
        self.version, self.next, self.symbols, self.labels = version, 1, {}, {}

    def name(self, s):
        s = s if isinstance(s, bytes) else s.encode()
        if s in self.symbols:
            return header(0, 0, self.symbols[s], self.version)
        self.symbols[s] = self.next
        self.next += 1
        return header(1, 0, len(s), self.version) + s

    def value(self, v):
        if isinstance(v, Ref):
            if v.label in self.labels:
                return header(0, 1, 0, self.version) + varint(self.labels[v.label])
            self.labels[v.label] = self.next
            v = v.value
        if v is None:
            return b'\x80'
        if isinstance(v, dict):
            self.next += 1
            return header(1, 1, len(v), self.version) + b''.join(self.name(k) + self.value(x) for k, x in v.items())
        if isinstance(v, list):
            self.next += 1
            return header(1, 2, len(v)) + b''.join(self.value(x) for x in v)
        if isinstance(v, int) and self.version == 5:
            return (b'\xb1' if v < 0 else b'\xb0') + varint(abs(v))
        if isinstance(v, bytes):
            return header(1, 0, len(v), self.version) + v
        text = str(v).encode()
        return header(1, 4 if self.version == 5 else 0, len(text), self.version) + text

    def edit(self, label, **attributes):
        return (header(0, 1, len(attributes), self.version) + varint(self.labels[label]) +
                b''.join(self.name(k) + self.value(v) for k, v in attributes.items()))


def file(start=3073, blocks=1, length=None, block=0, **more):
    e = {'offset': start, 'length': blocks, 'allocated': blocks}
    return dict({'extents': {str(block): e} if blocks else {}, 'filelength': blocks * BLOCK if length is None else length},
                **more)


def framed(record):
    return b'\2' + varint(len(record)) * 2 + record


def pieces(record):
    """The same in three segments, with a frame that means nothing between them."""
    a, b, c = record[:3], record[3:len(record) // 2], record[len(record) // 2:]
    return b'\2' + varint(len(record)) + varint(len(a)) + a + b'\3' + varint(len(b)) + b + b'\4\3' + varint(len(c)) + c


def volume(records, version=5, framed=framed):
    image = bytearray(5120 * BLOCK)
    first = b'NVMTFS' + bytes([version, 1]) + bytes(range(16)) + b'odd\0' + b'\5\1' + varint(EXT) + b'\1'
    later = b'NVMTFS' + bytes([version]) + varint(EXT) + b''.join(map(framed, records)) + b'\1'
    image[:len(first)] = first
    image[BLOCK:BLOCK + len(later)] = later
    for b in range(3073, 3200):
        image[b * BLOCK:(b + 1) * BLOCK] = bytes([b & 255]) * BLOCK
    return image


def tree(children, **root):
    log = Log()
    return volume([log.value(dict({'children': children}, **root))])


def circle():
    log = Log()
    d = Ref('d', {'children': Ref('names', {})})
    one = log.value({'children': {'dir': d, 'f': file()}})
    two = log.edit('names', again=Ref('d'))
    return volume([one, two])


def twice_named():
    log = Log()
    shared = Ref('d', {'children': {'x': file()}})
    return volume([log.value({'children': {'one': shared, 'two': shared}})])


def hard():
    log = Log()
    f = Ref('f', file(nlink=2))
    return volume([log.value({'children': {'one': f, 'two': f}})])


def links(stated):
    log = Log()
    more = {} if stated is None else {'nlink': stated}
    f = Ref('f', file(**more))
    return volume([log.value({'children': {'one': f, 'two': f}})])


def version4():
    log = Log(4)
    return volume([log.value({'children': {'d': {'children': {'f': file(3073, 2, 700)}}, 's': {'linktarget': 'd/f'},
                                           'a-name-of-more-than-thirty-one-bytes.txt': file(3080, 1, 5)}})], 4)


def version4_rich():
    """All that a tree can have, in the old encoding: edits, removals, hard links, flags, holes, attributes, configuration."""
    log = Log(4)
    f = Ref('f', file(3073, 2, 700, **{'user.note': 'hello', 'exec': b'\0'}))
    one = log.value({'children': Ref('names', {'d': {'children': Ref('d', {'f': f, 'gone': file(3076)})}, 'hard': f,
                                               's': {'linktarget': 'd/f'}, 'k': {'socket': b'\0'},
                                               'grows': Ref('g', dict(file(3080, 1, 300), extents=Ref('x', {
                                                   '0': {'offset': 3080, 'length': 1, 'allocated': 4}})))}),
                     'program': '/d/f', 'arguments': {'0': 'a', '1': 'b'}, 'environment': {'A': '1'}})
    two = log.edit('d', gone=None, late={'children': {'x' * 200: file(3090, 1, 512)}})
    three = log.edit('x', **{'9': {'offset': 3100, 'length': 2, 'allocated': 2, 'uninited': b'\0'},
                             '20': {'offset': 3110, 'length': 3, 'allocated': 3}})
    four = log.edit('g', filelength=23 * BLOCK - 7)
    five = log.edit('f', nlink=2)
    return volume([one, two, three, four, five], 4, pieces)


def roles(name):
    """A tuple that is two things at once: a part of one, and a name's or another's."""
    log = Log()
    extents = Ref('x', {'0': Ref('e', {'offset': 3073, 'length': 1, 'allocated': 1})})
    names = Ref('n', {'f': {'extents': extents, 'filelength': 512}})
    return volume([log.value({'children': dict({'d': {'children': names}, 'good': file(3090)}, **{
        'roles-name': {'x': extents},
        'roles-extent': {'x': {'extents': {'0': Ref('e')}, 'filelength': 512}},
        'roles-extents': {'x': {'extents': extents, 'filelength': 512}},
        'roles-names': {'x': {'children': names}},
        'roles-itself': {'x': names}}[name])})])


def removed():
    log = Log()
    one = log.value({'children': Ref('names', {'f': file(), 'g': file(3080)})})
    return volume([one, log.edit('names', f=None)])


def bad_extent(key='0', **changes):
    f = file(3073, 2)
    e = f['extents'].pop('0')
    e.update(changes)
    f['extents'][key] = {k: v for k, v in e.items() if v is not None}
    return tree({'bad': f, 'good': file(3090)})


VOLUMES = {
    'sound': (0, lambda: tree({'f': file(), 'd': {'children': {}}, 's': {'linktarget': 'f'}, 'k': {'socket': b'\0'}})),
    'config': (0, lambda: tree({'f': file()}, program='/f', arguments=['a', 'b'], environment={'A': '1'})),
    'xattr': (0, lambda: tree({'f': file(**{'user.k': 'v'})})),
    'hard': (0, hard),
    'removed': (0, removed),
    'version4': (0, version4),
    'version4-rich': (0, version4_rich),
    'sparse': (0, lambda: tree({'f': file(3073, 1, 1 << 28, 1 << 18)})),
    'uninited': (0, lambda: tree({'f': dict(file(), extents={'0': {'offset': 3073, 'length': 1, 'allocated': 8,
                                                                     'uninited': b'\0'}})})),
    'name-up': (105, lambda: tree({'..': file(), 'f': file(3080)})),
    'name-slash': (105, lambda: tree({'../../outside': file(), 'f': file(3080)})),
    'name-slash-dir': (105, lambda: tree({'a/b': {'children': {'x': file()}}, 'f': file(3080)})),
    'name-nul': (105, lambda: tree({b'a\0b': file(), 'f': file(3080)})),
    'name-long': (105, lambda: tree({'n' * 256: file(), 'f': file(3080)})),
    'name-empty': (105, lambda: tree({'': file(), 'f': file(3080)})),
    'entry-text': (106, lambda: tree({'e': 'text', 'f': file()})),
    'entry-number': (106, lambda: tree({'e': 7, 'f': file()})),
    'unknown': (107, lambda: tree({'e': {'what': 'ever'}, 'f': file()})),
    'circle': (108, circle),
    'dir-twice': (108, twice_named),
    'target-empty': (109, lambda: tree({'s': {'linktarget': ''}, 'f': file()})),
    'target-long': (109, lambda: tree({'s': {'linktarget': 'x' * 4096}, 'f': file()})),
    'target-nul': (109, lambda: tree({'s': {'linktarget': 'a\0b'}, 'f': file()})),
    'length-text': (110, lambda: tree({'f': dict(file(), filelength='many'), 'g': file(3080)})),
    'length-absurd': (110, lambda: tree({'f': dict(file(), filelength=1 << 63), 'g': file(3080)})),
    'time-negative': (118, lambda: tree({'f': file(mtime=-5), 'g': file(3080)})),
    'time-text': (118, lambda: tree({'f': file(atime='noon'), 'd': {'children': {}, 'mtime': {}}})),
    'nlink-none': (111, lambda: links(None)),
    'nlink-wrong': (111, lambda: links(7)),
    'extent-key': (112, lambda: bad_extent('x')),
    'extent-key-zero': (112, lambda: bad_extent('00')),
    'extent-no-offset': (112, lambda: bad_extent(offset=None)),
    'extent-no-length': (112, lambda: bad_extent(length=None)),
    'extent-empty': (112, lambda: bad_extent(length=0)),
    'extent-short': (112, lambda: bad_extent(allocated=1)),
    'extent-absurd': (112, lambda: bad_extent(str((1 << 63) - 1))),
    'extent-longer-than-any': (112, lambda: bad_extent(length=1 << 60, allocated=1 << 60)),
    'extents-text': (112, lambda: tree({'f': dict(file(), extents='x'), 'g': file(3080)})),
    'range': (113, lambda: bad_extent(offset=5119)),
    'range-promised': (113, lambda: bad_extent(allocated=1 << 40)),
    'range-far': (113, lambda: bad_extent(offset=1 << 62)),
    'range-wraps': (113, lambda: bad_extent(offset=(1 << 64) - 1)),
    'range-zero': (113, lambda: bad_extent(offset=0)),
    'overlap': (114, lambda: tree({'f': dict(file(3073, 3), extents={
        '0': {'offset': 3073, 'length': 3, 'allocated': 3}, '2': {'offset': 3080, 'length': 1, 'allocated': 1}})})),
    'beyond': (115, lambda: tree({'f': dict(file(3073, 3, 100), extents={
        '0': {'offset': 3073, 'length': 1, 'allocated': 1}, '9': {'offset': 3080, 'length': 1, 'allocated': 1}})})),
    'twice': (116, lambda: tree({'f': file(3073, 3), 'g': file(3075, 3), 'h': file(3090)})),
    'twice-log': (116, lambda: tree({'f': file(1, 8), 'h': file(3090)})),
    **{n: (117, lambda n=n: roles(n)) for n in ('roles-name', 'roles-extent', 'roles-extents', 'roles-names', 'roles-itself')},
    'root-none': (104, lambda: volume([Log().value({'bhildren': {'d': {'children': {'x': file()}}, 'f': file(3080)}})])),
    'root-text': (104, lambda: volume([Log().value({'children': 'none'})])),
}


def main():
    if sys.argv[1] == 'list':
        for name, (number, _) in VOLUMES.items():
            print('%s:%d' % (name, number))
        return
    if sys.argv[1] == 'seeds':  # for fuzz/nanos.c: the log behind its header
        os.makedirs(sys.argv[2], exist_ok=True)
        for name, (_, make) in VOLUMES.items():
            image = make()
            how = 2 if image[6] == 4 else 0
            with open(os.path.join(sys.argv[2], name), 'wb') as f:
                f.write(bytes([how]) + image[BLOCK + 9:].rstrip(b'\0')[:5000].split(bytes([3073 & 255]) * BLOCK)[0].rstrip(b'\0'))
        return
    with open(sys.argv[2], 'wb') as f:
        f.write(VOLUMES[sys.argv[1]][1]())


if __name__ == '__main__':
    main()
