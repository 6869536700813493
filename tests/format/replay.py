# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
"""The log, as docs/FORMAT.md describes it under Log and Recovery: follows the chain of writes and applies the records to the
items that a reader.Volume holds. After Replay(volume).run() the volume shows what a mount would show."""
import re
import struct

from reader import (BLOCK, DIRECTORY, DIRENT, EXTENT, INLINE, INODE, LOG, ORPHAN, PENDING, POS, PREALLOC, RULE, SHIP, SYMLINK, UNIT, XATTR,
                    Damage, Extent, Inode, Pointer, crc32c, expect, time_before, u16, u32, u64)


class Replay:
    def __init__(self, volume):
        self.v = volume
        (self.generation, self.run_at, self.next, self.run_blocks, self.next_blocks, self.offset, self.prev_crc,
         self.sequence) = struct.unpack('<QQQIIIIQ', volume.log)

    def write_at(self, addr, blocks_left):
        """The whole write of this generation that begins there, or None."""
        b = self.v.bytes_at(addr * UNIT, BLOCK)
        if b[:4] != b'TFSv' or u16(b, 16) != LOG or not 128 <= u32(b, 20) <= 136 << 10:
            return None
        blocks = (u32(b, 20) + BLOCK - 1) // BLOCK
        if blocks > blocks_left:
            return None
        b = self.v.bytes_at(addr * UNIT, blocks * BLOCK)
        try:
            self.v.head_check(b, LOG, 128 + u32(b, 104))
        except Damage:
            return None
        return b if u64(b, 24) == self.generation and u64(b, 40) == addr and u64(b, 32) < 1 << 61 else None

    def chain(self):
        epoch = self.v.epoch
        while True:
            if self.offset == self.run_blocks:
                if not self.next:
                    return
                self.run_at, self.run_blocks, self.next, self.next_blocks, self.offset = self.next, self.next_blocks, 0, 0, 0
            b = self.write_at(self.run_at + 8 * self.offset, self.run_blocks - self.offset)
            if b is None or u64(b, 48) != self.run_at or u32(b, 64) != self.run_blocks or u64(b, 72) != self.sequence or \
               u64(b, 32) < epoch or u32(b, 108) > u32(b, 104) or \
               (u32(b, 20) + BLOCK - 1) // BLOCK + u32(b, 112) > self.run_blocks - self.offset:
                return
            if u32(b, 112):
                self.v.seen.add('data beside the log')
            if self.next and (u64(b, 56), u32(b, 68)) != (self.next, self.next_blocks):
                return
            if u32(b, 96) != self.prev_crc:
                self.v.damaged = 'a log write follows another than the one before it'
                self.v.seen.add('exchanged log write')
                return
            self.next, self.next_blocks, epoch, self.prev_crc = u64(b, 56), u32(b, 68), u64(b, 32), u32(b, 4)
            self.offset += (u32(b, 20) + BLOCK - 1) // BLOCK + u32(b, 112)
            self.sequence += u32(b, 100)
            yield b

    def run(self):
        number, stream, durable, anchor = self.sequence, bytearray(), 0, 0
        for b in self.chain():
            stream += b[128:128 + u32(b, 104)]
            durable, anchor = max(durable, u64(b, 80)), max(anchor, u64(b, 88))
        at = 0
        while at + 32 <= len(stream):
            n = u32(stream, at)
            expect(32 <= n <= 16384 and n % 8 == 0, 'log record length')
            if at + n > len(stream):
                break
            record = Record(self.v, bytes(stream[at:at + n]))
            if number >= durable and not record.content_there():
                self.v.seen.add('torn record')
                break
            record.apply()
            at, number = at + n, number + 1
        self.v.applied = number
        if durable > number or anchor > self.v.epoch:
            self.v.damaged = 'records that were durable are lost'
            self.v.seen.add('durable record lost')
        self.evidence(number)

    def evidence(self, number):
        for run, first, blocks in ((self.run_at, self.offset, self.run_blocks), (self.next, 0, self.next_blocks)):
            for i in range(first, blocks if run else 0):
                b = self.write_at(run + 8 * i, blocks - i)
                if b is not None and (u64(b, 80) > number or u64(b, 88) > self.v.epoch):
                    self.v.damaged = 'a later log write shows that more was durable'
                    self.v.seen.add('evidence of damage')


def fits(pattern, name):
    """A forwarding rule's pattern, as a regular expression."""
    out, i = b'', 0
    while i < len(pattern):
        c = pattern[i:i + 1]
        if c == b'\\' and i + 1 < len(pattern):
            i += 1
            out += re.escape(pattern[i:i + 1])
        else:
            out += {b'*': b'.*', b'?': b'.'}.get(c) or re.escape(c)
        i += 1
    return not pattern or re.fullmatch(out, name, re.DOTALL) is not None


class Record:
    def __init__(self, volume, b):
        self.v, self.b = volume, b
        self.items = volume.items
        self.type, self.flags, self.ino, self.time = u16(b, 4), u16(b, 6), u64(b, 8), b[16:32]

    def apply(self):
        self.v.seen.add('record %d flags %d' % (self.type, self.flags if self.type in (4, 7, 8, 9, 13) else 0))
        (None, self.create, self.link, self.unlink, self.rename, self.setattr, self.xattr, self.write, self.truncate,
         self.punch, self.prealloc, self.clone, self.move, self.ship)[self.type]()

    # ---- names ----

    def put(self, ino, inode):
        self.items[ino, INODE << 56] = inode.pack()

    def entry_put(self, parent, name, ino):
        at, free = self.v.find(parent, DIRENT, name)
        i = self.v.inode(ino)
        self.items[at or free] = struct.pack('<QBB', ino, i.kind, len(name)) + name
        i.name_dir, i.name_pos = parent, (at or free)[1] & POS
        self.put(ino, i)
        self.inherit(parent, name, ino)

    def entry_del(self, parent, name):
        del self.items[self.v.find(parent, DIRENT, name)[0]]

    def dir_changed(self, ino, entries, subdirs):
        d = self.v.inode(ino)
        d.size, d.nlink, d.mtime, d.ctime = d.size + entries, d.nlink + subdirs, self.time, self.time
        self.put(ino, d)

    def inode_new(self, ino, **fields):
        i = Inode(bytes(152))
        i.__dict__.update(fields, atime=self.time, mtime=self.time, ctime=self.time, btime=self.time)
        self.put(ino, i)
        return i

    def link_lost(self, ino, parent, name):
        i = self.v.inode(ino)
        if (i.name_dir, DIRENT << 56 | i.name_pos) == self.v.find(parent, DIRENT, name)[0]:
            i.name_dir = i.name_pos = 0
        i.nlink, i.ctime = 0 if i.kind == DIRECTORY else i.nlink - 1, self.time
        self.put(ino, i)
        if not i.nlink:
            self.items[0, ORPHAN << 56 | ino] = b''

    def create(self):
        b = self.b
        parent, mode, uid, gid, major, minor, codec, level, bits, n, generation, t = struct.unpack_from('<QIIIIIBBBBIH', b, 32)
        name, target, is_dir = b[72:72 + n], b[72 + n:72 + n + t], mode >> 12 == DIRECTORY
        self.inode_new(self.ino, mode=mode, uid=uid, gid=gid, major=major, minor=minor, codec=codec, level=level,
                       window_bits=bits, generation=generation, size=t, parent=parent if is_dir else 0,
                       nlink=0 if not n else 2 if is_dir else 1)
        if t:
            self.items[self.ino, SYMLINK << 56] = target
        if n:
            self.entry_put(parent, name, self.ino)
            self.dir_changed(parent, 1, is_dir)
        else:
            self.items[0, ORPHAN << 56 | self.ino] = b''

    def link(self):
        parent, n = struct.unpack_from('<QB', self.b, 32)
        i = self.v.inode(self.ino)
        i.nlink, i.ctime = i.nlink + 1, self.time
        self.put(self.ino, i)
        self.items.pop((0, ORPHAN << 56 | self.ino), None)
        self.entry_put(parent, self.b[48:48 + n], self.ino)
        self.dir_changed(parent, 1, 0)

    def unlink(self):
        parent, n = struct.unpack_from('<QB', self.b, 32)
        self.link_lost(self.ino, parent, self.b[48:48 + n])
        self.entry_del(parent, self.b[48:48 + n])
        self.dir_changed(parent, -1, -(self.v.inode(self.ino).kind == DIRECTORY))

    def rename(self):
        b = self.b
        old_parent, new_parent, target, whiteout, n, m = struct.unpack_from('<QQQQBB', b, 32)
        old, new = b[72:72 + n], b[72 + n:72 + n + m]
        is_dir, i = self.v.inode(self.ino).kind == DIRECTORY, self.v.inode(self.ino)
        i.ctime, i.parent = self.time, new_parent if is_dir else 0
        if self.flags & 2:
            other = self.v.inode(target)
            other_dir = other.kind == DIRECTORY
            other.ctime, other.parent = self.time, old_parent if other_dir else 0
            self.put(target, other)
            self.entry_put(old_parent, old, target)
            self.dir_changed(old_parent, 0, other_dir - is_dir)
            self.dir_changed(new_parent, 0, is_dir - other_dir)
        else:
            if target:
                self.link_lost(target, new_parent, new)
                self.dir_changed(new_parent, -1, -is_dir)
            self.dir_changed(old_parent, -1, -is_dir)
            self.dir_changed(new_parent, 1, is_dir)
            if self.flags & 4:
                parent = self.v.inode(old_parent)
                self.inode_new(whiteout, mode=0o020000, nlink=1, codec=parent.codec, window_bits=parent.window_bits)
                self.entry_put(old_parent, old, whiteout)
                self.dir_changed(old_parent, 1, 0)
            else:
                self.entry_del(old_parent, old)
        self.put(self.ino, i)
        self.entry_put(new_parent, new, self.ino)

    # ---- forwarding ----

    def ship_item(self, ino):
        """Generation, and what each rule's target has."""
        b = self.items.get((0, SHIP << 56 | ino), bytes(16))
        return u32(b, 0), {u64(b, 16 + 16 * i): u64(b, 24 + 16 * i) for i in range(u16(b, 4))}

    def ship_put(self, ino, generation, cursors, origin=None, flags=0):
        if origin is None:  # as it is
            flags, origin = struct.unpack_from('<HQ', self.items.get((0, SHIP << 56 | ino), bytes(16)), 6)
        self.items[0, SHIP << 56 | ino] = struct.pack('<IHHQ', generation, len(cursors), flags, origin) + \
            b''.join(struct.pack('<QQ', *c) for c in sorted(cursors.items()))

    def lines_cut(self, copy, start, end):
        """Bytes go, and the cursors with them; the copy of what was to be sent of them counts."""
        if (0, SHIP << 56 | self.ino) in self.items:
            generation, cursors = self.ship_item(self.ino)
            self.ship_put(self.ino, generation + 1 & 0xffffffff, {r: max(min(a, end), start) for r, a in cursors.items()})
        if copy:
            stated = u64(self.items[0, SHIP << 56 | copy], 8)
            expect(stated == self.ino, 'origin of what was cut off')
            self.ship_put(copy, *self.ship_item(copy), stated, 1)
            self.v.seen.add('lines cut off')

    def ship_add(self, ino, rules):
        generation, cursors = self.ship_item(ino)
        for rule, acked in rules:
            cursors = {r: a for r, a in cursors.items() if (0, RULE << 56 | r) in self.items}
            if len(cursors) < 16:
                cursors[rule] = acked
        self.ship_put(ino, generation, cursors)

    def inherit(self, parent, name, ino):
        kind, (_, has), new = self.v.inode(ino).kind, self.ship_item(ino), []
        for rule in self.ship_item(parent)[1] if kind in (4, 8) else ():
            item = self.items.get((0, RULE << 56 | rule))
            if item and rule not in has and (kind == 4 or fits(item[16:16 + u16(item, 8)], name)):
                new.append((rule, 0))
        if new:
            self.v.seen.add('inherited rule')
            self.ship_add(ino, new)

    def ship(self):
        rule, acked, generation, n, m = struct.unpack_from('<QQIHH', self.b, 32)
        if self.flags == 2:
            del self.items[0, RULE << 56 | rule]
            return
        if self.flags == 1:
            self.items[0, RULE << 56 | rule] = struct.pack('<QHHI', self.ino, n, m, 0) + self.b[56:56 + n + m]
        stated, cursors = self.ship_item(rule if self.flags == 4 else self.ino)
        expect(stated == generation, 'generation of a forwarding record')
        if self.flags == 4:
            size = self.v.inode(self.ino).size
            self.ship_put(self.ino, generation, {r: min(max(a, acked), size) for r, a in cursors.items()
                                                 if (0, RULE << 56 | r) in self.items}, rule)
            return
        if rule in cursors:
            cursors[rule] = acked
            self.ship_put(self.ino, generation, cursors)
        else:
            self.ship_add(self.ino, [(rule, acked)])

    def setattr(self):
        b, i = self.b, self.v.inode(self.ino)
        mode, uid, gid, user_flags, codec, level, bits = struct.unpack_from('<IIIIBBB', b, 32)
        new = {1: {'mode': i.mode & ~0o7777 | mode & 0o7777}, 2: {'uid': uid}, 4: {'gid': gid}, 8: {'atime': b[56:72]},
               16: {'mtime': b[72:88]}, 32: {'ctime': b[88:104]}, 64: {'btime': b[104:120]}, 128: {'user_flags': user_flags},
               256: {'codec': codec, 'level': level, 'window_bits': bits}}
        i.ctime = self.time
        for flag, fields in new.items():
            if self.flags & flag:
                i.__dict__.update(fields)
        self.put(self.ino, i)

    def xattr(self):
        b, i = self.b, self.v.inode(self.ino)
        value_len, n, where = struct.unpack_from('<IBB', b, 32)
        name, payload = b[40:40 + n], 24 if where == 1 else value_len
        at, free = self.v.find(self.ino, XATTR, name)
        if where == 255:
            del self.items[at]
        else:
            self.items[at or free] = struct.pack('<IBB', value_len, n, where) + b[40:40 + n + payload]
        if not self.flags & 1:
            i.ctime = self.time
        self.put(self.ino, i)

    # ---- content ----

    def cut_out(self, first, end):
        """Extents and promises of [first, end) go, whatever is left of them stays; the inode's blocks follow."""
        v, i, lost = self.v, self.v.inode(self.ino), 0
        for key, value in v.of(self.ino, PENDING):
            at, n = key[1] & POS, u64(value, 0)
            del self.items[key]
            lost += self.range_out(at, at + n)
        i.blocks -= lost + self.range_out(first, end)
        self.put(self.ino, i)

    def range_out(self, first, end):
        lost = 0
        for kind in (EXTENT, PREALLOC):
            for key, value in self.v.of(self.ino, kind):
                at = key[1] & POS
                n = u16(value, 24) if kind == EXTENT else u64(value, 0)
                a, b = max(first, at), min(end, at + n)
                if a >= b:
                    continue
                lost += b - a
                del self.items[key]
                for start, stop in ((at, a), (b, at + n)):
                    if start < stop:
                        part = Extent(value).cut(start - at, stop - start) if kind == EXTENT else struct.pack('<Q', stop - start)
                        self.items[self.ino, kind << 56 | start] = part
        return lost

    def extents(self):
        """Of a WRITE or MOVE: first block and value of each."""
        at, out = 56, []
        for _ in range(0 if self.flags & 1 else u32(self.b, 52)):
            n = u32(self.b, at + 8)
            expect(at + 16 + n <= len(self.b), 'write record too short')
            out.append((u64(self.b, at), self.b[at + 16:at + 16 + n]))
            at += 16 + (n + 7) // 8 * 8
        return out

    def content_there(self):
        """Is what the record places on the device?"""
        try:
            if self.type in (7, 12):
                for _, value in self.extents():
                    e = Extent(value)
                    stored = self.v.stored(e.ptr, bool(e.codec))
                    expect(all(crc32c(stored[i * BLOCK:][:BLOCK]) == c for i, c in enumerate(e.crc)), 'CRC of a block')
            elif self.type == 6 and self.b[37] == 1:
                self.v.stored(Pointer(self.b, 40 + self.b[36]))
        except Damage:
            return False
        return True

    def replaced(self, extents):
        """What WRITE and CLONE have in common."""
        block, size, blocks = struct.unpack_from('<QQI', self.b, 32)
        self.cut_out(block, block + blocks)
        i = self.v.inode(self.ino)
        if not block:
            self.items.pop((self.ino, INLINE << 56), None)
        for first, value in extents:
            self.items[self.ino, EXTENT << 56 | first] = value
            i.blocks += u16(value, 24)
        if block <= i.size // BLOCK < block + blocks:
            i.flags &= ~1
        i.size = size
        if self.flags & 2:
            i.mtime = self.time
            if time_before(i.ctime, self.time):
                i.ctime = self.time
        self.put(self.ino, i)

    def write(self):
        self.replaced(self.extents())
        if self.flags & 1:
            self.items[self.ino, INLINE << 56] = self.b[56:56 + u32(self.b, 52)]

    def move(self):
        for first, value in self.extents():
            e = Extent(value)
            if e.codec:
                old = Extent(self.items[self.ino, EXTENT << 56 | first]).ptr.addr
                for key, there in self.v.of(self.ino, EXTENT):
                    x = Extent(there)
                    if x.codec and x.ptr.addr == old and (key[1] & POS) // 16 == first // 16:
                        self.items[key] = e.ptr.raw + there[24:]
                continue
            i = self.v.inode(self.ino)
            self.range_out(first, first + e.blocks)
            self.items[self.ino, EXTENT << 56 | first] = value
            self.put(self.ino, i)

    def clone(self):
        block, _, blocks = struct.unpack_from('<QQI', self.b, 32)
        source, start = struct.unpack_from('<QQ', self.b, 56)
        extents = []
        for key, value in self.v.of(source, EXTENT):
            at = key[1] & POS
            a, b = max(start, at), min(start + blocks, at + u16(value, 24))
            if a < b:
                extents.append((block + a - start, Extent(value).cut(a - at, b - a)))
        self.replaced(extents)

    def truncate(self):
        size, i = u64(self.b, 48), self.v.inode(self.ino)
        mapped = any((k[1] & POS) <= size // BLOCK < (k[1] & POS) + u16(v, 24) for k, v in self.v.of(self.ino, EXTENT))
        shrinks = size < i.size
        self.cut_out((size + BLOCK - 1) // BLOCK, 1 << 52)
        inline = self.items.get((self.ino, INLINE << 56))
        if inline is not None:
            self.inline_cut(inline[:size])
        i = self.v.inode(self.ino)
        if shrinks:
            self.lines_cut(u64(self.b, 32) if self.flags & 1 else 0, 0, size)
        if shrinks:
            i.flags = i.flags & ~1 | (size % BLOCK != 0 and mapped)
        i.size, i.mtime, i.ctime = size, self.time, self.time
        self.put(self.ino, i)

    def inline_cut(self, value):
        if value:
            self.items[self.ino, INLINE << 56] = value
        else:
            del self.items[self.ino, INLINE << 56]

    def punch(self):
        block, blocks = struct.unpack_from('<QQ', self.b, 32)
        self.cut_out(block, block + blocks)
        if not block and (self.ino, INLINE << 56) in self.items:
            self.inline_cut(b'')
        i = self.v.inode(self.ino)
        if self.flags & 1:
            self.lines_cut(u64(self.b, 48), min((block + blocks) * BLOCK, i.size), i.size)
        i.mtime = i.ctime = self.time
        self.put(self.ino, i)

    def prealloc(self):
        block, blocks, size = struct.unpack_from('<QQQ', self.b, 32)
        self.cut_out(0, 0)
        taken = sorted((k[1] & POS, (k[1] & POS) + (u16(v, 24) if kind == EXTENT else u64(v, 0)))
                       for kind in (EXTENT, PREALLOC) for k, v in self.v.of(self.ino, kind))
        if (self.ino, INLINE << 56) in self.items:
            taken.insert(0, (0, 1))
        i, at, end = self.v.inode(self.ino), block, block + blocks
        for first, stop in taken + [(end, end)]:
            gap = min(first, end) - at
            if gap > 0:
                self.items[self.ino, PREALLOC << 56 | at] = struct.pack('<Q', gap)
                i.blocks += gap
            at = max(at, stop)
        if size > i.size:
            i.size, i.mtime = size, self.time
        i.ctime = self.time
        self.put(self.ino, i)
