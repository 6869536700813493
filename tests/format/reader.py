# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""A reader of TFS volumes that shares no line with the core: written from docs/FORMAT.md alone, to show that the page is
enough and right. Slow and simple; holds everything in memory. Anything that the page forbids raises Damage. This file has
all but the log, which is replay.py's; test_format.py compares both with dump.tfs."""
import struct
import zlib

UNIT, BLOCK, NODE, WINDOW = 512, 4096, 16384, 16
SUPER, ANCHOR, CHECKPOINT, LIST, LOG, NODE_TYPE, GANG = range(1, 8)
INODE, SYMLINK, INLINE, XATTR, DIRENT, EXTENT, PREALLOC, PENDING, ORPHAN, RULE, SHIP = range(1, 12)
FS, SPACE, SNAP, REFS = range(4)
POS = (1 << 56) - 1
DIRECTORY, FILE = 4, 8


class Damage(Exception):
    pass


def expect(sound, what):
    if not sound:
        raise Damage(what)


def u16(b, at):
    return struct.unpack_from('<H', b, at)[0]


def u32(b, at):
    return struct.unpack_from('<I', b, at)[0]


def u64(b, at):
    return struct.unpack_from('<Q', b, at)[0]


# ---- checksums, hash, codecs ----

def crc_table():
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)  # 0x1EDC6F41 reflected
        yield i


TABLE = tuple(crc_table())


def crc32c(data):
    crc, table = 0xffffffff, TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def siphash(k0, k1, name):
    mask = (1 << 64) - 1
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]

    def rotl(x, n):
        return (x << n | x >> 64 - n) & mask

    def rounds(n):
        for _ in range(n):
            v[0] = v[0] + v[1] & mask
            v[1] = rotl(v[1], 13) ^ v[0]
            v[0] = rotl(v[0], 32)
            v[2] = v[2] + v[3] & mask
            v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3] & mask
            v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1] & mask
            v[1] = rotl(v[1], 17) ^ v[2]
            v[2] = rotl(v[2], 32)

    whole = len(name) // 8 * 8
    words = [u64(name, i) for i in range(0, whole, 8)]
    words.append(int.from_bytes(name[whole:], 'little') | (len(name) & 255) << 56)
    for word in words:
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 255
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def lz4(data, want):
    """One LZ4 block, until `want` bytes have come out."""
    out, at = bytearray(), 0

    def length(n):
        nonlocal at
        more = n == 15
        while more:
            n += data[at]
            more = data[at] == 255
            at += 1
        return n

    while len(out) < want:
        token = data[at]
        at += 1
        literals = length(token >> 4)
        expect(at + literals <= len(data), 'LZ4: literals end behind the block')
        out += data[at:at + literals]
        at += literals
        if len(out) >= want:
            break
        distance = u16(data, at)
        at += 2
        match = length(token & 15) + 4
        expect(0 < distance <= len(out), 'LZ4: match before the block')
        while match > 0:
            piece = out[len(out) - distance:][:match]
            out += piece
            match -= len(piece)
    expect(len(out) == want, 'LZ4: too long')
    return bytes(out)


def decode(codec, data, want):
    try:
        if codec == 0:
            out = data
        elif codec == 1:
            out = lz4(data, want)
        else:
            expect(codec == 2, 'unknown codec')
            out = zlib.decompressobj().decompress(data, want)
    except (zlib.error, IndexError, struct.error) as e:
        raise Damage('does not decode: %s' % e)
    expect(len(out) == want, 'decodes to another length')
    return out


def rows(b, at, count, width):
    """Of a table that stands by columns."""
    expect(at + count * width <= len(b), 'a table is longer than the node')
    return [b[at + i:at + count * width:count] for i in range(count)]


def summed(table, words):
    """Rows whose first words are less those of the row before."""
    before, out = [0] * words, []
    for row in table:
        before = [(x + u64(row, 8 * i)) % 2 ** 64 for i, x in enumerate(before)]
        out.append(struct.pack('<%dQ' % words, *before) + row[8 * words:])
    return out


def by_columns(b, count, leaf):
    """The body of a node, from the one by columns."""
    expect(count >= 8, 'columns of fewer than 8 items')
    if not leaf:
        return b''.join(summed(rows(b, 0, count, 40), 2)).ljust(len(b), b'\0')
    slots, at, tables = summed(rows(b, 0, count, 24), 3), 24 * count, {}
    lengths = [(u16(slot, 18) + 7) // 8 * 8 for slot in slots]
    for n in range(8, 161, 8):
        if lengths.count(n) >= 8:
            tables[n] = iter(rows(b, at, lengths.count(n), n))
            at += n * lengths.count(n)
    off, values = NODE, []
    for i, n in enumerate(lengths):
        if n in tables:
            values.append(next(tables[n]))
        else:
            values.append(b[at:at + n])
            at += n
        off -= n
        slots[i] = slots[i][:16] + struct.pack('<H', off if off >= 0 else 0) + slots[i][18:]
    expect(at <= len(b) and not any(b[at:]), 'more by columns than a node holds')
    head = b''.join(slots)
    return head + bytes(len(b) - at) + b''.join(reversed(values))


# ---- small structures ----

class Pointer:
    def __init__(self, b, at=0):
        self.raw = bytes(b[at:at + 24])
        self.addr, self.birth, self.crc, self.len, self.flags = struct.unpack('<QQIHH', self.raw)

    @classmethod
    def made(cls, addr, length, flags):
        return cls(struct.pack('<QQIHH', addr, 0, 0, length, flags))

    def __bool__(self):
        return any(self.raw)

    gang = property(lambda self: bool(self.flags & 1))


class Extent:
    """Of an EXTENT item; cut() gives the item of a part of it."""

    def __init__(self, value):
        expect(len(value) >= 32, 'extent malformed')
        self.ptr = Pointer(value)
        self.blocks, self.skip, self.total, self.codec, flags = struct.unpack_from('<HHHBB', value, 24)
        self.crc = list(struct.unpack_from('<%dI' % ((len(value) - 32) // 4), value, 32))
        p = self.ptr
        expect(p and not p.addr >> 45 and p.len and not p.flags & ~1 and not flags, 'extent pointer')
        expect(self.blocks and self.skip + self.blocks <= self.total, 'extent range')
        if self.codec:
            expect(not self.crc and p.len < 8 * self.total, 'compressed extent')
        else:
            expect(p.addr % 8 == 0 and p.len == 8 * self.blocks and self.total == self.blocks and not p.crc and
                   not self.skip and not p.gang and len(self.crc) == self.blocks, 'raw extent')

    def cut(self, first, blocks):
        p, skip, total, crc = self.ptr.raw, self.skip + first, self.total, b''
        if not self.codec:
            p = struct.pack('<QQIHH', self.ptr.addr + 8 * first, self.ptr.birth, 0, 8 * blocks, 0)
            skip, total = 0, blocks
            crc = struct.pack('<%dI' % blocks, *self.crc[first:first + blocks])
        return p + struct.pack('<HHHBB', blocks, skip, total, self.codec, 0) + crc


class Inode:
    FIELDS = ('mode', 'uid', 'gid', 'nlink', 'size', 'blocks', 'major', 'minor', 'parent', 'flags', 'user_flags', 'codec',
              'level', 'window_bits', 'generation', 'atime', 'mtime', 'ctime', 'btime', 'name_dir', 'name_pos')
    FORM = struct.Struct('<IIIIQQIIQIIBBBxI16s16s16s16sQQ8x')

    def __init__(self, value=None):
        if value is not None:
            expect(len(value) == 152, 'inode malformed')
            self.__dict__.update(zip(self.FIELDS, self.FORM.unpack(value)))
            for t in (self.atime, self.mtime, self.ctime, self.btime):
                expect(u32(t, 8) < 10 ** 9, 'inode time')

    def pack(self):
        return self.FORM.pack(*(getattr(self, f) for f in self.FIELDS))

    kind = property(lambda self: self.mode >> 12)


def time_before(a, b):
    return struct.unpack_from('<qI', a) < struct.unpack_from('<qI', b)


# ---- the volume ----

class Volume:
    def __init__(self, f):
        self.f = f
        self.seen = set()  # what of the format occurred, for the test to see that nothing was left out
        f.seek(0, 2)
        self.device_size = f.tell()
        self.super_read()
        self.anchor_read()
        self.live = {}  # segment: bytearray of a byte a block
        self.checkpoint_read()
        self.items = {}  # of the FS tree, by key
        self.space, self.refs, self.snap = {}, {}, {}
        for tree, into in ((FS, self.items), (SPACE, self.space), (SNAP, self.snap), (REFS, self.refs)):
            if self.root[tree]:
                self.node_read(self.root[tree], tree, None, (0, 0), None, into, self.mark)
        self.snapshots_read()
        self.applied = None  # number of the first record that replay.py did not apply
        self.damaged = None  # or why the volume must not be written

    def bytes_at(self, at, n):
        self.f.seek(at)
        b = self.f.read(n)
        expect(len(b) == n, 'cannot be read')
        return b

    def head_check(self, b, kind, length=None):
        expect(b[:4] == b'TFSv' and u16(b, 16) == kind and u16(b, 18) == 1, 'wrong magic, type or version')
        n = u32(b, 20)
        expect(24 <= n <= len(b) and (length is None or n == length), 'length')
        expect(kind == SUPER or u64(b, 8) == self.volume, 'another volume')
        expect(crc32c(b[:4] + bytes(4) + b[8:n]) == u32(b, 4), 'CRC')

    def super_read(self):
        for at in (BLOCK, self.device_size // BLOCK * BLOCK - BLOCK):
            try:
                b = self.bytes_at(at, BLOCK)
                self.head_check(b, SUPER, 512)
                expect(at == BLOCK or u64(b, 144) == at + BLOCK, 'the end of a volume of another size')
                break
            except Damage:
                if at != BLOCK:
                    raise
        self.volume, incompat, self.columns = u64(b, 8), u64(b, 40) & ~3, u64(b, 40) & 2
        self.size, self.segments, self.segment_bits = u64(b, 144), u64(b, 152), u32(b, 176)
        self.seed = u64(b, 128), u64(b, 136)
        expect(not incompat and self.volume and u32(b, 180) == NODE and u32(b, 184) == 1, 'not known here')
        expect(18 <= self.segment_bits <= 26 and self.size <= self.device_size and
               65536 + (self.segments << self.segment_bits) <= self.size - 32768, 'geometry')

    def anchor_read(self):
        best = 0
        for at in [base + slot * BLOCK for base in (16384, self.size - 32768) for slot in range(4)]:
            b = self.bytes_at(at, BLOCK)
            try:
                self.head_check(b, ANCHOR, 512)
            except Damage:
                continue
            if best < u64(b, 24) < 1 << 62:
                best, self.anchor = u64(b, 24), b
        expect(best, 'no anchor')
        self.epoch, self.log = best, self.anchor[56:104]

    def checkpoint_read(self):
        b = self.block(Pointer(self.anchor, 32), CHECKPOINT)
        self.root = [Pointer(b, 32 + 24 * i) for i in range(4)]
        self.next_ino, self.inodes, self.live_units, self.prealloc_blocks = struct.unpack_from('<4Q', b, 128)
        self.listed = []
        expect(u32(b, 168) <= 150, 'lists')
        for i in range(u32(b, 168)):
            node_list = self.block(Pointer(b, 496 + 24 * i), LIST)
            expect(u32(node_list, 24) <= 253, 'list count')
            self.listed += [(u64(node_list, 48 + 16 * r), u32(node_list, 56 + 16 * r)) for r in range(u32(node_list, 24))]

    def block(self, ptr, kind):
        expect(ptr.len == 8 and ptr.addr % 8 == 0 and not ptr.flags, 'pointer of a block')
        b = self.bytes_at(ptr.addr * UNIT, BLOCK)
        expect(crc32c(b) == ptr.crc, 'CRC of the pointer')
        self.head_check(b, kind)
        return b

    # ---- places ----

    def place_check(self, addr, units):
        expect(addr >= 128 and units, 'place')
        shift = self.segment_bits - 9
        segment = addr - 128 >> shift
        expect(segment < self.segments and addr - 128 + units - 1 >> shift == segment, "beyond a segment's end")
        return segment

    def runs(self, ptr):
        """The places a pointer stands for, of a gang its block first, and the CRCs of a gang's runs."""
        if not ptr.gang:
            return [(ptr.addr, ptr.len)], []
        self.seen.add('gang')
        b = self.bytes_at(ptr.addr * UNIT, BLOCK)
        self.head_check(b, GANG)
        n = u32(b, 24)
        expect(1 <= n <= 200, 'gang count')
        runs = [struct.unpack_from('<QII', b, 32 + 16 * i) for i in range(n)]
        expect(all(r[1] % 8 == 0 for r in runs) and sum(r[1] for r in runs) == (ptr.len + 7) // 8 * 8, 'gang runs')
        return [(ptr.addr, 8)] + [r[:2] for r in runs], [r[2] for r in runs]

    def stored(self, ptr, check=True):
        runs, crcs = self.runs(ptr)
        parts = []
        for addr, units in runs:
            self.place_check(addr, units)
            parts.append(self.bytes_at(addr * UNIT, units * UNIT))
        if ptr.gang:
            parts = parts[1:]
            expect(all(crc32c(p) == c for p, c in zip(parts, crcs)), 'CRC of a gang run')
        b = b''.join(parts)[:ptr.len * UNIT]
        expect(not check or crc32c(b) == ptr.crc, 'CRC of stored bytes')
        return b

    def mark(self, ptr, once=None):
        """Counts the place as live. once: a set of places that several may refer to."""
        if once is not None:
            if ptr.addr in once:
                return
            once.add(ptr.addr)
        for addr, units in self.runs(ptr)[0]:
            self.run_mark(addr, units)

    def run_mark(self, addr, units):
        segment = self.place_check(addr, units)
        m = self.live.setdefault(segment, bytearray(1 << self.segment_bits - 12))
        at = addr - 128 - (segment << self.segment_bits - 9)
        for unit in range(at, at + units):
            expect(not m[unit >> 3] >> (unit & 7) & 1, 'a place used twice: unit %d' % (addr + unit - at))
            m[unit >> 3] |= 1 << (unit & 7)

    # ---- trees ----

    def node_read(self, ptr, tree, level, low, high, into, mark, child_read=None):
        """All below it, too, or child_read with what is needed to go on."""
        expect(ptr.len <= 33, 'node length')
        b = self.stored(ptr)
        mark(ptr)
        expect(b[:4] == b'TFSv' and u16(b, 4) == NODE_TYPE and b[6] == tree and u64(b, 8) == self.volume, 'node head')
        expect(u64(b, 16) == ptr.birth and b[7] < 8 and (level is None or b[7] == level), 'node birth or level')
        count, heap, n, codec = u16(b, 24), u16(b, 26), u32(b, 28), u16(b, 32)
        expect(n <= len(b) - 64 and (n + 64 + 511) // 512 == ptr.len, 'node stored length')
        expect(crc32c(b[:36] + bytes(4) + b[40:]) == u32(b, 36), 'node check')
        expect(codec != 3 or self.columns, 'columns without the feature')
        body = decode(1 if codec == 3 else codec, b[64:64 + n], NODE - 64)
        node = b[:64] + (by_columns(body, count, not b[7]) if codec == 3 else body)
        width = 40 if b[7] else 24
        self.seen.update(('tree %d level %d' % (tree, b[7]), 'node codec %d' % codec))
        keys = [(u64(node, 64 + width * i), u64(node, 72 + width * i)) for i in range(count)]
        expect(all(x < y for x, y in zip(keys, keys[1:])), 'keys out of order')
        expect(not keys or (keys[0] >= low and (high is None or keys[-1] < high)), "keys outside of the parent's range")
        if not b[7]:
            size = 0
            for i, key in enumerate(keys):
                off, length = u16(node, 80 + 24 * i), u16(node, 82 + 24 * i)
                expect(off % 8 == 0 and heap <= off and off + length <= NODE and length <= 4352, 'item')
                size += (length + 7) // 8 * 8
                into[key] = node[off:off + length]
            expect(heap + size == NODE and heap >= 64 + 24 * count, 'heap')
            return
        expect(1 <= count <= 408 and keys[0] == low, 'branches')
        children = [Pointer(node, 80 + 40 * i) for i in range(count)]
        expect(len({c.addr for c in children}) == count, 'a child named twice')
        for child, first, end in zip(children, keys, keys[1:] + [high]):
            if child_read:
                child_read(child, b[7] - 1, first, end)
            else:
                self.node_read(child, tree, b[7] - 1, first, end, into, mark)

    # ---- snapshots ----

    def snapshots_read(self):
        """What they alone hold is live; and each reads as a tree of its own: by epoch {name, items}."""
        self.snapshots, self.old = {}, None
        for (a, b), value in self.snap.items():
            if a == 4 << 56:
                expect(len(value) == 96 and not self.old, 'old state')
                self.old = struct.unpack_from('<QQQ', value) + (struct.unpack_from('<QQ', value, 72), u32(value, 88))
                self.old_mark(Pointer(value, 24), Pointer(value, 48))
        expect(self.old or not any(k[0] == 5 << 56 for k in self.snap), 'places put aside by nobody')
        for (a, b), value in sorted(self.snap.items()):
            if a == 2 << 56 and self.old and self.list_void(b, value):
                self.seen.add('void deadlist')
            elif a == 2 << 56:
                self.deadlist_mark(b, *struct.unpack('<QQQQ', value))
            elif a == 1 << 56:
                fs, refs, items, counts = Pointer(value, 16), Pointer(value, 40), {}, {}
                expect(len(value) == 112 + value[110] and fs.birth <= b, 'snapshot malformed')
                if u16(value, 108) & 1:
                    self.seen.add('dying snapshot')
                    continue
                self.seen.add('snapshot')
                for root, tree, into in ((fs, FS, items), (refs, REFS, counts)):
                    if root:
                        self.node_read(root, tree, None, (0, 0), None, into, lambda p: expect(p.birth <= b, 'born later'))
                expect(u64(value, 64) == sum(k[1] >> 56 == INODE and k[0] > 0 for k in items), 'inodes of a snapshot')
                self.snapshots[b] = {'name': value[112:], 'items': items}

    def list_void(self, number, value):
        since, first, end, _, stage = self.old
        return stage == 0 and first <= number < end and u64(value, 0) <= since

    def old_mark(self, fs, refs):
        """What a rollback left and is not freed yet: live, and nobody else's."""
        since, _, _, following, stage = self.old
        self.seen.add('old state %d' % stage)
        aside, counts = {}, {}
        for (a, b), value in self.snap.items():
            if a == 5 << 56:
                aside[b] = Pointer.made(b, u32(value, 0), u16(value, 4))
        if refs:
            self.old_node(refs, REFS, since, following if stage == 3 else (0, 0), counts, mark=False)
        if stage < 2:
            items = {}
            self.old_node(fs, FS, since, following if stage == 1 else (0, 0), items)
            for key, value in sorted(items.items()):
                e = Extent(value) if key[1] >> 56 == EXTENT else None
                p = e.ptr if e else Pointer(value, 6 + value[4]) if key[1] >> 56 == XATTR and value[5] else None
                if not p or p.birth <= since or (stage == 1 and key < following):
                    continue
                if e and not e.codec:
                    for addr in range(p.addr, p.addr + p.len, 8):
                        if any(a <= addr < a + u32(v, 0) for (a, _), v in counts.items()):
                            aside[addr] = Pointer.made(addr, 8, 0)
                        else:
                            self.run_mark(addr, 8)
                elif e and e.codec and ((p.addr, 0) in counts or e.blocks < e.total):
                    aside[p.addr] = p
                else:
                    self.mark(p)
        for p in aside.values():
            self.mark(p)
        if refs and stage <= 3:
            self.old_node(refs, REFS, since, following if stage == 3 else (0, 0), {})

    def old_node(self, pointer, tree, since, following, into, low=(0, 0), high=None, level=None, mark=True):
        """Those that were born later and end behind `following`, without going into what the snapshot has."""
        end = (2 ** 64 - 1, 2 ** 64 - 1)
        if pointer.birth <= since or (high or end) <= following:
            return
        children = []
        self.node_read(pointer, tree, level, low, high, into, self.mark if mark else lambda p: None,
                       lambda child, n, first, end: children.append((child, n, first, end)))
        for child, n, first, end in children:
            self.old_node(child, tree, since, following, into, first, end, n, mark)

    def deadlist_mark(self, number, oldest, newest, units, runs):
        self.seen.add('deadlist')
        found = 0
        for i in range(runs):
            addr, n = struct.unpack_from('<QI', self.snap[3 << 56 | number, i // 64], i % 64 * 16)
            self.run_mark(addr, n)
            found += n
        expect(oldest <= newest and found == units, 'deadlist')

    # ---- what stands in the FS tree ----

    def of(self, ino, kind):
        """Keys and values of one type, ascending."""
        first, end = (ino, kind << 56), (ino, kind + 1 << 56)
        return sorted((k, v) for k, v in self.items.items() if first <= k < end)

    def inode(self, ino):
        return Inode(self.items[ino, INODE << 56])

    def position(self, name):
        return (siphash(*self.seed, name) & (1 << 48) - 1) << 8

    def find(self, ino, kind, name):
        """The key of a name, or None, and the key that it would get."""
        at = self.position(name) | kind << 56
        name_at = 10 if kind == DIRENT else 6
        free = None
        for n in range(256):
            value = self.items.get((ino, at | n))
            if value is None:
                free = free or (ino, at | n)
            elif value[name_at:name_at + (value[9] if kind == DIRENT else value[4])] == name:
                return (ino, at | n), None
        return None, free

    def walk(self, ino=1, path=b''):
        for _, value in self.of(ino, DIRENT):
            child, name = u64(value, 0), value[10:10 + value[9]]
            yield path + name, child
            if value[8] == DIRECTORY:
                yield from self.walk(child, path + name + b'/')

    def content(self, ino):
        size, out = self.inode(ino).size, {}
        for key, value in self.of(ino, INLINE):
            out[0] = value.ljust(BLOCK, b'\0')
        for key, value in self.of(ino, EXTENT):
            e, first = Extent(value), key[1] & POS
            expect(first // WINDOW == (first + e.blocks - 1) // WINDOW, 'an extent crosses a window')
            self.seen.add('codec %d' % e.codec)
            if e.codec:
                whole = decode(e.codec, self.stored(e.ptr), e.total * BLOCK)[e.skip * BLOCK:]
            else:
                whole = self.stored(e.ptr, False)
                expect(all(crc32c(whole[i * BLOCK:][:BLOCK]) == c for i, c in enumerate(e.crc)), 'CRC of a block')
            for i in range(e.blocks):
                expect(first + i not in out, 'a block mapped twice')
                out[first + i] = whole[i * BLOCK:][:BLOCK]
        for key, value in self.of(ino, PENDING):
            for block in [b for b in out if 0 <= b - (key[1] & POS) < u64(value, 0)]:
                del out[block]
        blocks = (size + BLOCK - 1) // BLOCK
        return b''.join(out.get(i, bytes(BLOCK)) for i in range(blocks))[:size]

    def xattrs(self, ino):
        for _, value in self.of(ino, XATTR):
            n, at = u32(value, 0), 6 + value[4]
            yield value[6:at], self.stored(Pointer(value, at))[:n] if value[5] else value[at:at + n]

    # ---- SPACE and REFS, recomputed ----

    def space_check(self):
        """Everything that is live against the maps: of the checkpoint, so without replay."""
        shared, owners, blocks = set(), {}, {}
        for (ino, b), value in self.items.items():
            if b >> 56 == EXTENT:
                e = Extent(value)
                if e.codec:
                    self.mark(e.ptr, shared)
                    if not e.ptr.gang:
                        owners.setdefault((e.ptr.addr, e.ptr.len), set()).add((ino, (b & POS) // WINDOW))
                for addr in range(e.ptr.addr, e.ptr.addr + e.ptr.len, 8) if not e.codec else ():
                    blocks[addr] = blocks.get(addr, 0) + 1
                    if blocks[addr] == 1:
                        self.run_mark(addr, 8)
            elif b >> 56 == XATTR and value[5]:
                self.mark(Pointer(value, 6 + value[4]))
        counts = {place: len(o) for place, o in owners.items() if len(o) > 1}
        end = 0
        for (addr, _), value in sorted(self.refs.items()):
            units, n = u32(value, 0), u32(value, 4)
            expect(addr >= end and units and n > 1, 'REFS item malformed')
            end = addr + units
            if (addr, units) in counts:
                expect(counts.pop((addr, units)) == n, 'REFS of a compressed extent')
                self.seen.add('shared extent')
                continue
            expect(addr % 8 == 0 and units % 8 == 0 and units <= 128, 'REFS item of part of a block')
            for block in range(addr, end, 8):
                expect(blocks.pop(block, 0) == n, 'REFS of block at unit %d' % block)
            self.seen.add('shared blocks')
        expect(not counts and all(n == 1 for n in blocks.values()), 'REFS')
        stated = {}
        per_chunk = min(1 << self.segment_bits, 4 << 20) // BLOCK
        for (a, chunk), value in self.space.items():
            if a >> 56 == 2:
                expect(len(value) == per_chunk, 'map length')
                m = stated.setdefault(a & POS, bytearray(1 << self.segment_bits - 12))
                m[chunk * per_chunk:(chunk + 1) * per_chunk] = value
        for s in range(self.segments):
            entry = 16 * (s % 128)
            value = self.space[1 << 56 | s // 128, 0]
            m = stated.get(s, b'')
            expect(u32(value, entry) == sum(bin(x).count('1') for x in m), 'live units of segment %d' % s)
            expect(u32(value, entry + 4) == sum(x != 0 for x in m), 'used blocks of segment %d' % s)
        for addr, units in self.listed:
            s = self.place_check(addr, units)
            m = stated.setdefault(s, bytearray(1 << self.segment_bits - 12))
            for unit in range(addr - 128 - (s << self.segment_bits - 9), addr - 128 - (s << self.segment_bits - 9) + units):
                m[unit >> 3] |= 1 << (unit & 7)
        for s in set(stated) | set(self.live):
            empty = bytes(1 << self.segment_bits - 12)
            expect(stated.get(s, empty) == self.live.get(s, empty), 'live map of segment %d' % s)
        total = sum(bin(x).count('1') for m in stated.values() for x in m)
        expect(total == self.live_units, 'live units: %d, %d stated' % (total, self.live_units))
        expect(self.inodes == sum(k[1] >> 56 == INODE and k[0] > 0 for k in self.items), 'inodes')
        promised = sum(u64(v, 0) for k, v in self.items.items() if k[1] >> 56 == PREALLOC)
        expect(promised == self.prealloc_blocks, 'promised blocks')
