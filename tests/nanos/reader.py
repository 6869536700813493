#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""A reader of Nanos volumes that shares no line with tfs/nanos: written from the facts about the format alone (now
docs/NANOS.md), slow and simple. Prints one JSON line a name: path, kind, size, SHA-256 of content, target, xattrs, the
group of hard links it is in; the same lines that `compare.py` makes of a directory. Also checks what a sound volume keeps:
framing, one meaning for each dictionary index, blocks used once, and what its kernel's source asks for at a mount. usage: reader.py IMAGE [OFFSET]"""
import hashlib
import json
import sys

BLOCK = 512
BYTES, TUPLE, VECTOR, INTEGER, STRING = range(5)


class Damage(Exception):
    pass


def expect(sound, what):
    if not sound:
        raise Damage(what)


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def u8(self):
        expect(self.at < len(self.data), 'ends early')
        self.at += 1
        return self.data[self.at - 1]

    def take(self, n):
        expect(n <= len(self.data) - self.at, 'ends early')
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self, value=0):
        for _ in range(10):
            b = self.u8()
            value = value << 7 | b & 127
            if b < 128:
                return value
        raise Damage('varint of more than 10 bytes')


class Tuple(dict):
    def __init__(self, number):
        super().__init__()
        self.number = number


class Volume:
    def __init__(self, path, offset=0):
        self.file = open(path, 'rb')
        self.offset = offset
        self.blocks = (self.file.seek(0, 2) - offset) // BLOCK
        self.dictionary = [None]
        self.used = []  # (start, blocks, what)
        self.records = self.links = 0
        self.log()
        expect(len(self.dictionary) > 1 and isinstance(self.dictionary[1], Tuple), 'no root tuple')
        self.root = self.dictionary[1]

    def read(self, block, blocks):
        expect(0 <= block and blocks <= self.blocks - block, 'blocks %d+%d outside of the volume' % (block, blocks))
        self.file.seek(self.offset + block * BLOCK)
        return self.file.read(blocks * BLOCK)

    # ---- log ----

    def log(self):
        start, blocks = 0, 1
        pending, left = b'', 0
        while True:
            self.used.append((start, blocks, 'log'))
            b = Bytes(self.read(start, blocks))
            expect(b.take(6) == b'NVMTFS', 'magic of the extension at block %d' % start)
            version = b.varint()
            expect(version in (4, 5), 'version')
            expect(b.varint() == blocks, 'length of the extension at block %d' % start)
            if start == 0:
                self.version, self.uuid = version, b.take(16)
                text = b.take(32)
                expect(0 in text, 'label without an end')
                self.label = text[:text.index(0)]
                b.at -= 31 - text.index(0)
            while True:
                frame = b.u8()
                if frame == 1:
                    expect(left == 0, 'log ends inside a record')
                    self.end = start * BLOCK + b.at - 1
                    return
                if frame == 4:
                    continue
                if frame == 5:
                    expect(len(b.data) - (b.at - 1) >= 21, 'link begins less than 21 bytes before the end')
                    start, blocks = b.varint(), b.varint()
                    self.links += 1
                    break
                if frame == 2:
                    expect(left == 0, 'record inside a record')
                    left, pending = b.varint(), b''
                else:
                    expect(frame == 3, 'unknown frame %d' % frame)
                n = b.varint()
                expect(0 < n <= left, 'segment of %d bytes, %d are left' % (n, left))
                pending += b.take(n)
                left -= n
                if left == 0:
                    self.record(Bytes(pending), version)

    def record(self, b, version):
        value = self.value(b, version)
        expect(isinstance(value, Tuple), 'record is no tuple')
        expect(b.at == len(b.data), 'bytes behind a record')
        self.records += 1

    def header(self, b, version):
        h = b.u8()
        immediate = h >> 7
        if version == 4:
            kind, more, length = h >> 6 & 1, h & 32, h & 31
        else:
            kind, more, length = h >> 4 & 7, h & 8, h & 7
        return immediate, kind, b.varint(length) if more else length

    def entry(self, index, kind):
        expect(0 < index < len(self.dictionary) and isinstance(self.dictionary[index], kind), 'reference %d' % index)
        return self.dictionary[index]

    def add(self, thing):
        self.dictionary.append(thing)
        return thing

    def name(self, b, version):
        immediate, kind, length = self.header(b, version)
        expect(kind == BYTES, 'name of another kind')
        return self.add(b.take(length)) if immediate else self.entry(length, bytes)

    def value(self, b, version):
        immediate, kind, length = self.header(b, version)
        if kind == TUPLE:
            t = self.add(Tuple(len(self.dictionary))) if immediate else self.entry(b.varint(), Tuple)
            for _ in range(length):
                name = self.name(b, version)
                value = self.value(b, version)
                if value is None:
                    t.pop(name, None)
                else:
                    t[name] = value
            return t
        if kind == VECTOR:
            v = self.add([]) if immediate else self.entry(b.varint(), list)
            for _ in range(length):
                v.append(self.value(b, version))
            return v
        if kind == INTEGER:
            expect(immediate and length < 2, 'sign of an integer')
            return -b.varint() if length else b.varint()
        expect(kind in (BYTES, STRING), 'value of kind %d' % kind)
        if kind == BYTES and length == 0:
            return None
        return b.take(length) if immediate else self.entry(length, bytes)

    # ---- files ----

    def content(self, node, path):
        size = number(node.get(b'filelength', 0))
        data = bytearray(size)
        for name, e in sorted(node[b'extents'].items(), key=lambda x: int(x[0])):
            block, start = int(name), number(e[b'offset'])
            expect(b'allocated' in e, '%s: an extent without allocated, at which its kernel stops' % path)
            length, allocated = number(e[b'length']), number(e[b'allocated'])
            expect(0 < length <= allocated, '%s: lengths of an extent' % path)
            expect(allocated <= 65536, '%s: an extent of more than 32 MiB, which its kernel never makes' % path)
            self.used.append((start, allocated, path))
            if b'uninited' not in e:
                piece = self.read(start, length)
                at = block * BLOCK
                if at < size:
                    data[at:at + len(piece)] = piece[:size - at]
        expect(len(data) == size, '%s: extents over the end' % path)
        return data

    def walk(self):
        """{path: facts}; hard links by tuple."""
        out, stack, contents = {}, [(b'', self.root)], {}
        while stack:
            path, t = stack.pop()
            facts = {'tuple': t.number}
            if b'children' in t:
                facts['kind'] = 'directory'
                for name, child in t[b'children'].items():
                    expect(name and b'/' not in name and b'\0' not in name and name not in (b'.', b'..') and
                           len(name) < 256, 'name %r' % name)
                    stack.append((path + (b'/' if path else b'') + name, child))
            elif b'linktarget' in t:
                facts.update(kind='symlink', target=t[b'linktarget'].decode('latin-1'))
            elif b'extents' in t:
                if t.number not in contents:
                    contents[t.number] = hashlib.sha256(self.content(t, path)).hexdigest()
                facts.update(kind='file', size=number(t.get(b'filelength', 0)), sha256=contents[t.number])
                if b'mtime' in t:
                    facts['mtime'] = t[b'mtime']
            elif b'socket' in t:
                facts['kind'] = 'socket'
            else:
                facts['kind'] = 'other'
            facts['xattrs'] = {k.decode('latin-1'): v.hex() for k, v in sorted(t.items())
                               if b'.' in k.strip(b'.') and isinstance(v, bytes)}
            out[path] = facts
        return out

    def check_places(self):
        end, last, room = 0, None, 0
        for start, blocks, what in sorted(self.used, key=lambda x: x[0]):
            expect(start >= end, 'blocks from %d used by %r and %r' % (start, last, what))
            room += (start - end) // 1024
            end, last = start + blocks, what
        expect(end <= self.blocks, 'blocks outside of the volume')
        room += (self.blocks - end) // 1024
        expect(room >= 2, 'no two free places of 512 KiB, without which its kernel does not mount it')


def number(v):
    return v if isinstance(v, int) else int(v)


def main():
    try:
        v = Volume(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
        files = v.walk()
        v.check_places()
    except Damage as e:
        sys.exit('reader.py: %s: %s' % (sys.argv[1], e))
    names = {}
    for path, facts in files.items():
        names.setdefault(facts.pop('tuple'), []).append(path)
    links = {p: sorted(x.decode('latin-1') for x in group) for group in names.values() for p in group if len(group) > 1}
    config = {k.decode('latin-1') for k in v.root if k != b'children'}
    print(json.dumps({'version': v.version, 'uuid': v.uuid.hex(), 'label': v.label.decode('latin-1'),
                      'records': v.records, 'config': sorted(config)}, sort_keys=True))
    for path in sorted(files):
        f = dict(files[path], path=path.decode('latin-1'), links=links.get(path, []))
        print(json.dumps(f, sort_keys=True))


if __name__ == '__main__':
    main()
