// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The items of the FS tree as they come in key order: those of one inode stand together, the inode item first. Each is
 * held against its inode's type and against its neighbours; sizes, blocks and entries are summed and compared when the
 * next inode begins. Leaves behind the table of objects and the list of names for fsck_names.c.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

#define NAMES_OF_HASH 256

struct fsck_item_state {
	struct fsck *f;
	u64 ino;
	bool begun, have; /* have: its inode item was there */
	struct tfs_inode inode;
	u32 types;       /* 1 << item type seen */
	u64 blocks, end; /* mapped and promised; end of the last extent, blocks */
	u32 target, inline_bytes;
	u32 entries, subdirs;
	u64 past;              /* first block mapped behind the inode's size */
	bool past_pending;     /* a pending range covers all from there on: it is to go */
	u64 promised, dropped; /* where the last promised and the last pending range end */
	u64 window;
	struct tfs_extent seen[FSCK_WINDOW_BLOCKS]; /* compressed extents of this window already counted */
	u32 seens;
	u64 hash; /* of the names kept below, with the item type: xattrs are not entries */
	u32 same;
	u8 name[NAMES_OF_HASH][256];
	u8 name_len[NAMES_OF_HASH];
	u8 *buf; /* for --data */
};

static const char *object_name(u64 ino, char *out, size_t size, const char *what, u64 n)
{
	if (what)
		snprintf(out, size, "inode %llu %s %llu", (unsigned long long)ino, what, (unsigned long long)n);
	else
		snprintf(out, size, "inode %llu", (unsigned long long)ino);
	return out;
}

int fsck_items_begin(struct fsck *f, struct fsck_item_state **out)
{
	struct fsck_item_state *s = calloc(1, sizeof(*s) + (f->data ? 1u << 18 : 0));

	if (!s)
		return -ENOMEM;
	s->f = f;
	s->buf = f->data ? (u8 *)(s + 1) : NULL;
	*out = s;
	return 0;
}

static u32 inode_type(const struct tfs_inode *i)
{
	return tfs_le32(i->mode) >> 12;
}

static u64 size_blocks(const struct fsck_item_state *s)
{
	return (tfs_le64(s->inode.size) + TFS_BLOCK - 1) / TFS_BLOCK;
}

/* The last block of the largest file is one byte short. */
static u64 bytes_to(u64 block)
{
	return block * TFS_BLOCK > TFS_FILE_SIZE_MAX ? TFS_FILE_SIZE_MAX : block * TFS_BLOCK;
}

/* Item types that an inode of this type may have, a bit each. */
static u32 items_of(u32 inode)
{
	const u32 any = 1u << TFS_IT_INODE | 1u << TFS_IT_XATTR;

	if (inode == 4)
		return any | 1u << TFS_IT_DIRENT;
	if (inode == 10)
		return any | 1u << TFS_IT_SYMLINK;
	if (inode == 8)
		return any | 1u << TFS_IT_INLINE | 1u << TFS_IT_EXTENT | 1u << TFS_IT_PREALLOC | 1u << TFS_IT_PENDING;
	return any;
}

/* ---- the end of an inode's items ---- */

/* No inode item: one is made from what its items say it was. */
static void inode_make(struct fsck_item_state *s)
{
	struct tfs_inode *i = &s->inode;
	char object[64];
	bool root = s->ino == TFS_INO_ROOT;
	u32 type = root || s->types >> TFS_IT_DIRENT & 1 ? 4 : s->types >> TFS_IT_SYMLINK & 1 ? 10 : 8;
	u64 size = type == 4 ? s->entries : type == 10 ? s->target : s->end ? bytes_to(s->end) : s->inline_bytes;
	u32 unfit = s->types & ~items_of(type);

	memset(i, 0, sizeof(*i));
	i->mode = tfs_cpu32(type << 12 | (type == 4 ? 0700 : type == 10 ? 0777 : 0600));
	i->nlink = tfs_cpu32(type == 4 ? 2 + s->subdirs : 1);
	i->size = tfs_cpu64(size);
	i->blocks = tfs_cpu64(type == 8 ? s->blocks : 0);
	i->parent = tfs_cpu64(type == 4 ? TFS_INO_ROOT : 0);
	i->codec = TFS_CODEC_NONE;
	i->window_bits = TFS_WINDOW_BITS;
	if (fsck_problem(s->f, root ? FSCK_ROOT_MISSING : FSCK_INODE_MISSING,
	                 object_name(s->ino, object, sizeof(object), NULL, 0),
	                 "expected an inode item, found only items of type mask %x", s->types))
		fsck_fix_add(s->f, FIX_PUT, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), 0, i, sizeof(*i));
	if (unfit && fsck_problem(s->f, FSCK_ITEM_UNFIT, object_name(s->ino, object, sizeof(object), NULL, 0),
	                          "expected none of type mask %x under an inode of type %u", unfit, type))
		fsck_fix_add(s->f, FIX_UNFIT, TFS_TREE_FS, fsck_key(s->ino, 0, 0), unfit, NULL, 0);
}

static void number_check(struct fsck_item_state *s, enum fsck_problem p, enum fsck_fix_kind fix, u64 stated, u64 found)
{
	char object[64];

	if (stated == found)
		return;
	if (fsck_problem(s->f, p, object_name(s->ino, object, sizeof(object), NULL, 0), "expected %llu, found %llu",
	                 (unsigned long long)found, (unsigned long long)stated))
		fsck_fix_add(s->f, fix, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), found, NULL, 0);
}

static void target_check(struct fsck_item_state *s, u64 size)
{
	char object[64];

	if (!(s->types >> TFS_IT_SYMLINK & 1)) {
		if (fsck_problem(s->f, FSCK_TARGET_MISSING, object_name(s->ino, object, sizeof(object), NULL, 0),
		                 "expected a target of %llu bytes, found none", (unsigned long long)size)) {
			fsck_fix_add(s->f, FIX_PUT, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_SYMLINK, 0), 0, "lost-target",
			             11);
			fsck_fix_add(s->f, FIX_SIZE, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), 11, NULL, 0);
		}
		return;
	}
	number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, s->target);
}

static void flags_check(struct fsck_item_state *s, bool tail)
{
	u32 flags = tfs_le32(s->inode.flags);
	char object[64];

	if (fsck_problem(s->f, FSCK_TAIL_FLAG, object_name(s->ino, object, sizeof(object), NULL, 0),
	                 tail ? "expected it, since bytes behind the end are not zero; found none"
	                      : "expected none, since it is no regular file; found one"))
		fsck_fix_add(s->f, FIX_FLAGS, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), flags ^ TFS_INODE_TAIL,
		             NULL, 0);
}

static void content_check(struct fsck_item_state *s)
{
	u32 type = inode_type(&s->inode);
	u64 size = tfs_le64(s->inode.size);

	if (type != 8 && tfs_le32(s->inode.flags) & TFS_INODE_TAIL)
		flags_check(s, false);
	number_check(s, FSCK_BLOCKS_WRONG, FIX_BLOCKS, tfs_le64(s->inode.blocks), s->blocks);
	if (type == 10)
		target_check(s, size);
	else if (type == 8 && s->end > size_blocks(s) && !s->past_pending) /* shrinking would lose what was written */
		number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, bytes_to(s->end));
	else if (type == 8 && s->inline_bytes > size)
		number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, s->inline_bytes);
	else if (type != 8 && type != 4)
		number_check(s, FSCK_SIZE_WRONG, FIX_SIZE, size, 0);
}

static int object_end(struct fsck_item_state *s)
{
	struct fsck *f = s->f;
	struct fsck_object *o;

	if (!s->begun || !s->ino)
		return 0;
	if (s->have)
		content_check(s);
	else
		inode_make(s);
	if (fsck_grow(&f->object, &f->objects_max, f->objects + 1, sizeof(*f->object)))
		return -ENOMEM;
	o = &f->object[f->objects++];
	memset(o, 0, sizeof(*o));
	o->ino = s->ino;
	o->type = (u8)inode_type(&s->inode);
	o->nlink = tfs_le32(s->inode.nlink);
	o->entries = s->entries;
	o->subdirs = s->subdirs;
	if (o->type == 4) {
		o->flags |= OBJ_DIR;
		o->parent = tfs_le64(s->inode.parent);
		o->size = tfs_le64(s->inode.size);
	}
	if (s->ino > f->max_ino)
		f->max_ino = s->ino;
	tfs_progress_add(&f->progress, 0);
	return 0;
}

static int object_begin(struct fsck_item_state *s, u64 ino)
{
	int err = object_end(s);

	s->begun = true;
	s->have = s->past_pending = false;
	s->ino = ino;
	s->types = s->target = s->inline_bytes = s->entries = s->subdirs = s->seens = s->same = 0;
	s->blocks = s->end = s->promised = s->dropped = 0;
	s->window = s->hash = s->past = ~0ull;
	s->f->runs = 0;
	memset(&s->inode, 0, sizeof(s->inode));
	return err;
}

/* ---- extents ---- */

/* The file's last block, which the extent maps if it ends inside it and says nothing of what lies behind the end. */
static bool tail_here(const struct fsck_item_state *s, const struct tfs_extent *e, u64 block)
{
	u64 size = tfs_le64(s->inode.size);

	return s->have && size < TFS_FILE_SIZE_MAX && size % TFS_BLOCK && size / TFS_BLOCK >= block &&
	       size / TFS_BLOCK < block + tfs_le16(e->blocks) && !(tfs_le32(s->inode.flags) & TFS_INODE_TAIL);
}

/* data: the extent's mapped blocks, decoded. Bytes behind the end would appear when the file grows. */
static void tail_check(struct fsck_item_state *s, const u8 *data, u64 block)
{
	u64 size = tfs_le64(s->inode.size);

	data += (size / TFS_BLOCK - block) * TFS_BLOCK;
	for (u32 i = (u32)(size % TFS_BLOCK); i < TFS_BLOCK; i++)
		if (data[i]) {
			flags_check(s, true);
			return;
		}
}

/* The stored bytes against their checksums. 1: they differ, and that is said. */
static int crc_check(struct fsck_item_state *s, const struct tfs_extent *e, const struct tfs_ptr *ptr,
                     const char *object)
{
	int bad = 0, err = tfs_read_ptr(s->f->vol, ptr, s->buf, e->codec != 0);

	if (err == -ENOMEM)
		return err;
	if (err) {
		fsck_problem(s->f, FSCK_DATA_BAD, object, "%s", fsck_core_message());
		return 1;
	}
	for (u32 i = 0; !e->codec && i < tfs_le16(e->blocks); i++) {
		u32 crc = tfs_port_crc32c(0, s->buf + i * TFS_BLOCK, TFS_BLOCK);

		if (crc == tfs_le32(e->crc[i]))
			continue;
		fsck_problem(s->f, FSCK_DATA_BAD, object, "block %u at unit %llu: expected CRC %08x, found %08x", i,
		             (unsigned long long)ptr->addr, tfs_le32(e->crc[i]), crc);
		bad = 1;
	}
	return bad;
}

/* What the extent's blocks decode to, NULL: they do not, and that is said. */
static const u8 *decoded(struct fsck_item_state *s, const struct tfs_extent *e, const struct tfs_ptr *ptr,
                         const char *object)
{
	u32 total = tfs_le16(e->total);
	u8 *out = s->buf + FSCK_WINDOW_BLOCKS * TFS_BLOCK;

	if (!e->codec)
		return s->buf;
	if (!tfs_port_decompress(e->codec, out, total * TFS_BLOCK, s->buf, ptr->len * TFS_UNIT))
		return out + tfs_le16(e->skip) * TFS_BLOCK;
	fsck_problem(s->f, FSCK_DATA_CODE, object, "expected codec %u to give %u blocks from unit %llu+%u, found other",
	             e->codec, total, (unsigned long long)ptr->addr, ptr->len);
	return NULL;
}

static int data_check(struct fsck_item_state *s, const struct tfs_extent *e, const struct tfs_ptr *ptr, u64 block)
{
	const u8 *data;
	char object[64];
	int err;

	object_name(s->ino, object, sizeof(object), "block", block);
	err = crc_check(s, e, ptr, object);
	if (err)
		return err < 0 ? err : 0;
	data = decoded(s, e, ptr, object);
	if (data && tail_here(s, e, block))
		tail_check(s, data, block);
	return 0;
}

/* Several pieces may show parts of one compressed extent, if they agree about it. */
static bool counted_before(struct fsck_item_state *s, u64 window, const struct tfs_extent *e)
{
	if (window != s->window)
		s->seens = 0;
	s->window = window;
	for (u32 i = 0; e->codec && i < s->seens; i++)
		if (!memcmp(&s->seen[i].ptr, &e->ptr, sizeof(e->ptr)) && s->seen[i].total == e->total &&
		    s->seen[i].codec == e->codec)
			return true;
	if (e->codec && s->seens < FSCK_WINDOW_BLOCKS)
		memcpy(&s->seen[s->seens++], e, sizeof(*e));
	return false;
}

bool fsck_place_sound(const struct fsck *f, struct tfs_key key, const void *value, const struct tfs_ptr *p)
{
	u64 in = p->addr - TFS_SEGMENTS_OFFSET / TFS_UNIT, all = f->st.segments << (f->st.segment_bits - TFS_UNIT_BITS);
	u32 bits = f->st.segment_bits - TFS_UNIT_BITS, units = p->flags & TFS_PTR_GANG ? TFS_UNITS_PER_BLOCK : p->len;
	const struct tfs_extent *e = value;
	u64 block = key.b & TFS_POS_MASK;

	if (p->addr < TFS_SEGMENTS_OFFSET / TFS_UNIT || p->birth > f->st.epoch || in >= all ||
	    in >> bits != (in + units - 1) >> bits)
		return false;
	return key.b >> TFS_POS_BITS != TFS_IT_EXTENT ||
	       (tfs_le16(e->total) <= FSCK_WINDOW_BLOCKS &&
	        block / FSCK_WINDOW_BLOCKS == (block + tfs_le16(e->blocks) - 1) / FSCK_WINDOW_BLOCKS);
}

static void item_remove(struct fsck_item_state *s, struct tfs_key key)
{
	fsck_fix_add(s->f, FIX_DEL, TFS_TREE_FS, key, 0, NULL, 0);
}

static bool overlaps(struct fsck_item_state *s, struct tfs_key key, const char *what, u64 end)
{
	char object[64];

	if ((key.b & TFS_POS_MASK) >= end)
		return false;
	object_name(s->ino, object, sizeof(object), what, key.b & TFS_POS_MASK);
	if (fsck_problem(s->f, FSCK_EXTENT_OVERLAP, object, "expected to begin at block %llu or later",
	                 (unsigned long long)end))
		item_remove(s, key);
	return true;
}

/* Counts a place as used. 1: its list of places is damaged, and so the item goes. */
static int place_use(struct fsck_item_state *s, struct tfs_key key, const struct tfs_ptr *ptr, const char *what, u64 n)
{
	char object[64];
	int err = fsck_use(s->f, ptr);

	if (err != -EUCLEAN && err != -EIO)
		return err;
	object_name(s->ino, object, sizeof(object), what, n);
	if (fsck_problem(s->f, FSCK_GANG_BAD, object,
	                 "expected a list of places at unit %llu, found none that is whole",
	                 (unsigned long long)ptr->addr))
		item_remove(s, key);
	else
		s->f->incomplete = true;
	return 1;
}

static int run_add(struct fsck *f, u64 block, u64 end)
{
	if (f->runs && f->run[f->runs - 1].end == block) {
		f->run[f->runs - 1].end = end;
		return 0;
	}
	if (fsck_grow(&f->run, &f->runs_max, f->runs + 1, sizeof(*f->run)))
		return -ENOMEM;
	f->run[f->runs++] = (struct fsck_run){block, end};
	return 0;
}

static int extent(struct fsck_item_state *s, struct tfs_key key, const struct tfs_extent *e)
{
	u64 block = key.b & TFS_POS_MASK, n = tfs_le16(e->blocks), size = size_blocks(s);
	struct tfs_disk_ptr d = e->ptr;
	struct tfs_ptr ptr = tfs_ptr_cpu(&d);
	bool read = false;
	char object[64];
	int err = 0;

	if (!fsck_place_sound(s->f, key, e, &ptr)) {
		object_name(s->ino, object, sizeof(object), "block", block);
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object,
		                 "expected a place in the volume born by epoch %llu, found unit %llu+%u of %llu",
		                 (unsigned long long)s->f->st.epoch, (unsigned long long)ptr.addr, ptr.len,
		                 (unsigned long long)ptr.birth))
			item_remove(s, key);
		return 0;
	}
	if (overlaps(s, key, "block", !s->end && s->types >> TFS_IT_INLINE & 1 ? 1 : s->end))
		return 0;
	if (!counted_before(s, block / FSCK_WINDOW_BLOCKS, e)) {
		err = place_use(s, key, &ptr, "block", block);
		if (err) {
			s->seens -= e->codec && s->seens; /* the next piece of it is to go too */
			return err < 0 ? err : 0;
		}
		read = s->f->data;
	}
	if (read || (s->f->data && tail_here(s, e, block)))
		err = data_check(s, e, &ptr, block);
	s->end = block + n;
	s->blocks += n;
	if (s->past == ~0ull && s->end > size)
		s->past = block > size ? block : size;
	return err ? err : run_add(s->f, block, s->end);
}

/* Pending ranges begin and end at windows: no compressed extent is cut by one. */
static int pending(struct fsck_item_state *s, struct tfs_key key, const struct tfs_pending *p)
{
	u64 block = key.b & TFS_POS_MASK, n = tfs_le64(p->blocks);
	char object[64];

	if (overlaps(s, key, "pending range", s->dropped))
		return 0;
	if (block % FSCK_WINDOW_BLOCKS || n % FSCK_WINDOW_BLOCKS) {
		object_name(s->ino, object, sizeof(object), "pending range", block);
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object, "expected whole windows, found %llu blocks",
		                 (unsigned long long)n))
			item_remove(s, key);
		return 0;
	}
	s->dropped = block + n;
	s->past_pending |= block <= s->past && block + n >= s->end;
	return 0;
}

/* The first run of the inode's extents that ends behind block, NULL: none. */
static const struct fsck_run *run_after(const struct fsck *f, u64 block)
{
	size_t lo = 0, hi = f->runs;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->run[mid].end <= block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->runs ? &f->run[lo] : NULL;
}

/*
 * Promised space must not lie over an extent, nor over what is promised already. Extents come first in key order; they
 * are remembered instead of read again, since those salvaged from a damaged leaf cannot be.
 */
static void prealloc(struct fsck_item_state *s, struct tfs_key key, const struct tfs_prealloc *p)
{
	u64 block = key.b & TFS_POS_MASK, n = tfs_le64(p->blocks);
	const struct fsck_run *run = run_after(s->f, block);
	bool mapped = run && run->block < block + n;
	char object[64];

	if (overlaps(s, key, "promised block", !s->promised && s->types >> TFS_IT_INLINE & 1 ? 1 : s->promised))
		return;
	object_name(s->ino, object, sizeof(object), "promised block", block);
	if (n > s->f->st.blocks) {
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object,
		                 "expected no more blocks than the volume has, found %llu", (unsigned long long)n))
			item_remove(s, key);
		return;
	}
	if (mapped) {
		if (fsck_problem(s->f, FSCK_EXTENT_OVERLAP, object, "expected no extent there, found one at block %llu",
		                 (unsigned long long)run->block))
			item_remove(s, key);
		return;
	}
	s->promised = block + n;
	s->blocks += n;
	s->f->prealloc += n;
}

/* ---- names and xattrs: under their own hash, each once ---- */

static bool name_again(struct fsck_item_state *s, u64 hash, const u8 *name, u32 len)
{
	if (hash != s->hash)
		s->same = 0;
	s->hash = hash;
	for (u32 i = 0; i < s->same; i++)
		if (s->name_len[i] == len && !memcmp(s->name[i], name, len))
			return true;
	if (s->same < NAMES_OF_HASH) {
		memcpy(s->name[s->same], name, len);
		s->name_len[s->same++] = (u8)len;
	}
	return false;
}

/* False: the item does not stay. */
static bool name_place(struct fsck_item_state *s, struct tfs_key key, const u8 *name, u32 len, bool *moved)
{
	u64 pos = key.b & TFS_POS_MASK, want = tfs_name_position(s->f->vol, name, len);
	char object[600], text[520];
	bool again;

	*moved = pos >> 8 != want >> 8;
	again = !*moved && name_again(s, key.b >> 8, name, len);
	if (!*moved && !again)
		return true;
	snprintf(object, sizeof(object), "inode %llu name %s", (unsigned long long)s->ino,
	         tfs_cli_escape(text, sizeof(text), (const char *)name, len));
	if (*moved) {
		if (fsck_problem(s->f, FSCK_HASH_WRONG, object, "expected position %llx, found %llx",
		                 (unsigned long long)want >> 8, (unsigned long long)pos >> 8))
			fsck_fix_add(s->f, FIX_REHASH, TFS_TREE_FS, key, 0, NULL, 0);
		return true;
	}
	if (!fsck_problem(s->f, FSCK_NAME_TWICE, object, "expected once, found again at position %llx",
	                  (unsigned long long)pos))
		return true;
	item_remove(s, key);
	return false;
}

static int dirent(struct fsck_item_state *s, struct tfs_key key, const struct tfs_dirent *d)
{
	struct fsck *f = s->f;
	bool moved;

	if (!name_place(s, key, d->name, d->name_len, &moved))
		return 0;
	s->entries++;
	if (fsck_grow(&f->name, &f->names_max, f->names + 1, sizeof(*f->name)))
		return -ENOMEM;
	f->name[f->names++] = (struct fsck_name){s->ino, key.b & TFS_POS_MASK, (u64)d->type << 56 | tfs_le64(d->ino)};
	return 0;
}

static int xattr(struct fsck_item_state *s, struct tfs_key key, const struct tfs_xattr *x)
{
	struct tfs_ptr ptr;
	char object[600], text[520];
	bool moved;
	int err;

	if (!name_place(s, key, x->name, x->name_len, &moved) || !tfs_item_ptr(TFS_TREE_FS, key, x, &ptr))
		return 0;
	snprintf(object, sizeof(object), "inode %llu xattr %s", (unsigned long long)s->ino,
	         tfs_cli_escape(text, sizeof(text), (const char *)x->name, x->name_len));
	if (!fsck_place_sound(s->f, key, x, &ptr)) {
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object, "expected a place in the volume, found unit %llu+%u",
		                 (unsigned long long)ptr.addr, ptr.len))
			item_remove(s, key);
		return 0;
	}
	err = place_use(s, key, &ptr, "xattr at", key.b & TFS_POS_MASK);
	if (!err && s->f->data && tfs_read_ptr(s->f->vol, &ptr, s->buf, true))
		fsck_problem(s->f, FSCK_DATA_BAD, object, "%s", fsck_core_message());
	return err < 0 ? err : 0;
}

/* ---- one item ---- */

/* The root is a directory whatever its inode says: what it names is worth more. */
static void root_type(struct fsck_item_state *s)
{
	struct tfs_inode *i = &s->inode;
	u32 type = inode_type(i);

	if (s->ino != TFS_INO_ROOT || type == 4)
		return;
	i->mode = tfs_cpu32((tfs_le32(i->mode) & 07777) | 0040000);
	i->blocks = 0;
	if (fsck_problem(s->f, FSCK_ROOT_MISSING, "inode 1", "expected a directory, found type %u", type))
		fsck_fix_add(s->f, FIX_PUT, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), 0, i, sizeof(*i));
}

static int orphan(struct fsck *f, struct tfs_key key)
{
	struct fsck_name n = {TFS_INO_ORPHANS, key.b & TFS_POS_MASK, key.b & TFS_POS_MASK};

	if (fsck_grow(&f->name, &f->names_max, f->names + 1, sizeof(*f->name)))
		return -ENOMEM;
	f->name[f->names++] = n;
	return 0;
}

static int item_of_inode(struct fsck_item_state *s, struct tfs_key key, const void *value, u32 len)
{
	switch (key.b >> TFS_POS_BITS) {
	case TFS_IT_SYMLINK:
		s->target = len;
		return 0;
	case TFS_IT_INLINE:
		s->inline_bytes = len;
		return 0;
	case TFS_IT_XATTR:
		return xattr(s, key, value);
	case TFS_IT_DIRENT:
		return dirent(s, key, value);
	case TFS_IT_EXTENT:
		return extent(s, key, value);
	case TFS_IT_PREALLOC:
		prealloc(s, key, value);
		return 0;
	case TFS_IT_PENDING:
		return pending(s, key, value);
	}
	return 0;
}

int fsck_item(struct fsck_item_state *s, struct tfs_key key, const void *value, u32 len)
{
	u32 type = (u32)(key.b >> TFS_POS_BITS);
	char object[64];
	int err = !s->begun || key.a != s->ino ? object_begin(s, key.a) : 0;

	if (err)
		return err;
	s->types |= 1u << type;
	if (!key.a)
		return orphan(s->f, key);
	if (type == TFS_IT_INODE) {
		memcpy(&s->inode, value, sizeof(s->inode));
		s->have = true;
		root_type(s);
		return 0;
	}
	if (!s->have || items_of(inode_type(&s->inode)) >> type & 1)
		return item_of_inode(s, key, value, len);
	s->types &= ~(1u << type);
	object_name(s->ino, object, sizeof(object), "item at", key.b & TFS_POS_MASK);
	if (fsck_problem(s->f, FSCK_ITEM_UNFIT, object, "expected none of type %u under an inode of type %u", type,
	                 inode_type(&s->inode)))
		item_remove(s, key);
	return 0;
}

int fsck_items_end(struct fsck_item_state *s)
{
	return object_end(s);
}
