// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Damages one thing in a sound volume and keeps all checksums right, for the tests of fsck.tfs: `mutate IMAGE NAME`;
 * `mutate list` names them all with the problem that fsck must report, and `mutate make IMAGE` builds the volume they
 * work on. Uses the core from inside: the edits are those that no host can make.
 */
#include "tfs/name.h"
#include "tfs/user/cli.h"
#include "tfs/user/file_dev.h"
#include "tfs/vol.h"

#include <stdlib.h>

static struct tfs_vol *vol;

static void must(int err, const char *what)
{
	if (err < 0)
		exit(tfs_cli_fail(2, what, "%s", strerror(-err)));
}

/* ---- the volume: /dir/{a,b,sub/deep}, /big raw, /packed lz4, /link, /twin (hard link of dir/a), an orphan; /shared
 * lz4, which /clone and /clone2 share ---- */

static u64 make(u64 parent, const char *name, u32 mode)
{
	struct tfs_create c = {.mode = mode, .target = "dir/a", .target_len = 5};
	u64 ino;

	must(tfs_create(vol, parent, name, (u32)strlen(name), &c, &ino), name);
	return ino;
}

static void write_blocks(u64 ino, u32 blocks, int codec)
{
	static u8 data[16 * TFS_BLOCK], scratch[16 * TFS_BLOCK];
	struct tfs_encoded e;

	for (u32 done = 0; done < blocks; done += 16) {
		for (u32 i = 0; i < sizeof(data); i++)
			data[i] = (u8)(codec ? i / 64 % 8
			                     : i * 2654435761u >> 13); /* all 256 values alike would be stored raw */
		tfs_encode(codec, 0, data, 16, scratch, &e);
		must(tfs_write(vol, ino, done, &e, (u64)(done + 16) * TFS_BLOCK, NULL), "write");
	}
}

static void volume_make(const char *path)
{
	struct tfs_format_options opt = {.size = 32u << 20, .uuid = "mutation test 1", .label = "mutate"};
	struct tfs_env env = tfs_user_env();
	struct tfs_file_dev dev;
	static u8 big[8192];
	u64 dir, a, shared;

	must(tfs_file_dev_open(&dev, path, 0, true, opt.size), path);
	must(tfs_format(&dev.dev, &env, &opt, &vol), path);
	dir = make(TFS_INO_ROOT, "dir", 0040755);                   /* 2 */
	a = make(dir, "a", 0100644);                                /* 3 */
	make(dir, "b", 0100644);                                    /* 4 */
	make(make(dir, "sub", 0040755), "deep", 0100644);           /* 5, 6 */
	write_blocks(make(TFS_INO_ROOT, "big", 0100644), 64, 0);    /* 7 */
	write_blocks(make(TFS_INO_ROOT, "packed", 0100644), 32, 1); /* 8 */
	make(TFS_INO_ROOT, "link", 0120777);                        /* 9 */
	must(tfs_link(vol, a, TFS_INO_ROOT, "twin", 4), "link");
	must(tfs_setxattr(vol, a, "user.small", 10, "v", 1, 0), "xattr");
	must(tfs_setxattr(vol, a, "user.big", 8, big, sizeof(big), 0), "xattr");
	must(tfs_preallocate(vol, 4, 0, 4, 0), "preallocate");
	dir = make(TFS_INO_ROOT, "same", 0040755); /* 10 */
	make(dir, "user.x", 0100644);              /* 11: of the hash of its directory's xattr */
	must(tfs_setxattr(vol, dir, "user.x", 6, "v", 1, 0), "xattr");
	shared = make(TFS_INO_ROOT, "shared", 0100644); /* 12 */
	write_blocks(shared, 256, 1);
	for (u32 i = 0; i < 2; i++) { /* 13, 14 */
		u64 ino = make(TFS_INO_ROOT, i ? "clone2" : "clone", 0100644);

		for (u64 b = 0; b < 256; b += 16)
			must(tfs_clone(vol, shared, b, ino, b, 16, (b + 16) * TFS_BLOCK, NULL), "clone");
	}
	must(tfs_format_finish(vol, 0), "finish");
	must(tfs_unmount(vol), "unmount");
	must(tfs_file_dev_close(&dev), path);
}

/*
 * A volume that was not unmounted, its log full of what a repair must not write over before it is durable: content
 * written and dropped again, not known to be durable; and a truncate into a window whose extents are yet to be dropped.
 */
static void log_make(void)
{
	u64 ino = make(TFS_INO_ROOT, "logged", 0100644), holes = make(TFS_INO_ROOT, "holes", 0100644);
	static u8 data[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};

	for (u64 i = 0; i < 100; i++)
		must(tfs_write(vol, holes, 2 * i, &e, (2 * i + 1) * TFS_BLOCK, NULL), "write");
	must(tfs_truncate(vol, holes, 5000), "truncate");
	must(tfs_sync(vol), "sync");
	for (u32 i = 0; i < 3; i++)
		write_blocks(ino, 320, 0);
	must(tfs_head_close(vol, TFS_HEAD_DATA), "write");
	must(tfs_log_submit(vol), "log");
}

/* ---- volumes whose index nodes are damaged by the test ---- */

static struct tfs_node_info place; /* what `where-index` looks for */

static int index_found(void *arg, const struct tfs_node_info *info)
{
	if (info->level == *(int *)arg && info->ptr.addr)
		place = *info;
	return 0;
}

/* Many leaves, and old ones of other content all over the device. */
static void many_make(u32 files)
{
	char name[24];
	u64 dir = make(TFS_INO_ROOT, "many", 0040755), ino;
	u8 type;

	for (u32 i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		make(dir, name, 0100644);
		if (i % 1000 == 0)
			must(tfs_checkpoint(vol), "checkpoint");
	}
	for (u32 i = 0; i < files; i += 3) { /* spread over all leaves: each has a newer form */
		snprintf(name, sizeof(name), "file-%u", i);
		must(tfs_lookup(vol, dir, name, (u32)strlen(name), &ino, &type), name);
		if (i % 2)
			must(tfs_setxattr(vol, ino, "user.new", 8, "value", 5, 0), name);
		else
			must(tfs_unlink(vol, dir, name, (u32)strlen(name), false, &ino), name);
		if (!(i % 2))
			while (tfs_evict(vol, ino) > 0)
				;
		if (i % 600 == 0)
			must(tfs_checkpoint(vol), "checkpoint");
	}
}

/* A file whose content is the stored form of every leaf there is: what an image of this volume inside it would be. */
static int leaf_copy(void *arg, const struct tfs_node_info *info)
{
	static u8 data[TFS_NODE_SIZE + TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 4, .bytes = TFS_NODE_SIZE, .buf = data};
	u64 *n = arg;

	if (info->level || !info->ptr.addr || *n >= 400)
		return 0;
	memset(data, 0, sizeof(data));
	tfs_node_store(info->node, TFS_CODEC_LZ4, data);
	must(tfs_write(vol, place.ptr.addr, *n, &e, (*n + 4) * TFS_BLOCK, NULL), "write");
	*n += 16; /* one a window */
	return 0;
}
static void copies_make(void)
{
	u64 n = 0;

	must(tfs_checkpoint(vol), "checkpoint");
	place.ptr.addr = make(TFS_INO_ROOT, "copies", 0100644);
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_tree_walk(vol, TFS_TREE_FS, leaf_copy, &n), "walk");
}

/* ---- edits ---- */

static struct tfs_key key_of(u64 ino, u32 type, u64 pos)
{
	return tfs_key(ino, type, pos);
}

static struct tfs_key item_first(u64 ino, u32 type)
{
	struct tfs_key k = tfs_key(ino, type, 0);
	const void *v;
	u32 len;

	must(tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len), "item");
	return k;
}

static void put(struct tfs_key key, const void *value, u32 len)
{
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, key, len ? len : 1);
	must(tfs_prepare(vol), "prepare");
	tfs_item_put(vol, TFS_TREE_FS, key, value, len);
}

static void del(struct tfs_key key)
{
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, key, 0);
	must(tfs_prepare(vol), "prepare");
	tfs_item_del(vol, TFS_TREE_FS, key);
}

static u32 get(struct tfs_key key, void *out)
{
	const void *v;
	u32 len;

	must(tfs_item_find(vol, TFS_TREE_FS, key, &v, &len), "item");
	memcpy(out, v, len);
	return len;
}

static u8 buf[TFS_ITEM_MAX];
static struct tfs_inode inode;

static void inode_load(u64 ino)
{
	get(tfs_inode_key(ino), &inode);
}
static void inode_store(u64 ino)
{
	put(tfs_inode_key(ino), &inode, sizeof(inode));
}

static struct tfs_key entry_of(u64 dir, const char *name)
{
	struct tfs_key k;
	u64 ino;
	u8 type;

	must(tfs_dirent_find(vol, dir, name, (u32)strlen(name), &k, &ino, &type), name);
	return k;
}

static void entry_put(u64 dir, u64 pos, const char *name, u64 ino, u8 type)
{
	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_FS, key_of(dir, TFS_IT_DIRENT, pos), 300);
	must(tfs_prepare(vol), "prepare");
	tfs_dirent_put(vol, key_of(dir, TFS_IT_DIRENT, pos), name, (u32)strlen(name), ino, type);
}

static u64 free_pos(const char *name)
{
	return tfs_name_position(vol, name, (u32)strlen(name));
}

static void m_nlink(void)
{
	inode_load(3);
	inode.nlink = tfs_cpu32(7);
	inode_store(3);
}
static void m_dir_nlink(void)
{
	inode_load(2);
	inode.nlink = tfs_cpu32(9);
	inode_store(2);
}
static void m_dir_size(void)
{
	inode_load(2);
	inode.size = tfs_cpu64(1);
	inode_store(2);
}
static void m_size(void)
{
	inode_load(7);
	inode.size = tfs_cpu64(4096);
	inode_store(7);
}
static void m_link_size(void)
{
	inode_load(9);
	inode.size = tfs_cpu64(77);
	inode_store(9);
}
static void m_blocks(void)
{
	inode_load(7);
	inode.blocks = tfs_cpu64(3);
	inode_store(7);
}
static void m_parent(void)
{
	inode_load(5);
	inode.parent = tfs_cpu64(TFS_INO_ROOT);
	inode_store(5);
}
static void m_zero_nlink(void)
{
	inode_load(3);
	inode.nlink = 0;
	inode_store(3);
}
static void m_inode_gone(void)
{
	del(tfs_inode_key(7));
}
static void m_dir_gone(void)
{
	del(tfs_inode_key(5));
}
static void m_root_gone(void)
{
	del(tfs_inode_key(TFS_INO_ROOT));
}
static void m_entry_gone(void)
{
	del(entry_of(2, "b"));
	inode_load(2);
	inode.size = tfs_cpu64(2);
	inode_store(2);
}
static void m_lost_file(void)
{
	entry_put(1, free_pos("lost+found"), "lost+found", 4, 8);
	del(entry_of(2, "sub"));
}
static void m_renames(void) /* many misplaced entries of one name */
{
	for (u64 i = 0; i < 3000; i++)
		entry_put(2, i << 8, "a", 3, 8);
}
static void m_subdir_gone(void)
{
	del(entry_of(2, "sub"));
}
static void m_all_gone(void)
{
	del(tfs_inode_key(6));
}
static void m_target(void)
{
	del(key_of(9, TFS_IT_SYMLINK, 0));
}
static void m_dangling(void)
{
	entry_put(2, free_pos("ghost"), "ghost", 999, 8);
}
static void m_type(void)
{
	entry_put(2, entry_of(2, "a").b & TFS_POS_MASK, "a", 3, 12);
}
static void m_hash(void)
{
	struct tfs_key k = entry_of(2, "a");
	del(k);
	entry_put(2, (k.b & TFS_POS_MASK) ^ 0x5500, "a", 3, 8);
}
static void m_twice(void)
{
	entry_put(2, (entry_of(2, "a").b & TFS_POS_MASK) + 1, "a", 4, 8);
}
static void m_two_names(void)
{
	entry_put(1, free_pos("again"), "again", 5, 4);
}
static void m_cycle(void)
{
	struct tfs_key k = entry_of(TFS_INO_ROOT, "dir");

	del(k);
	entry_put(5, free_pos("dir"), "dir", 2, 4);
	inode_load(2);
	inode.parent = tfs_cpu64(5);
	inode_store(2);
}
static void m_overlap(void)
{
	struct tfs_key k = item_first(7, TFS_IT_EXTENT), n = k;
	struct tfs_extent *e = (struct tfs_extent *)buf;

	get(k, buf);
	n.b += 4; /* raw, four blocks in: the same place again */
	e->blocks = e->total = tfs_cpu16(8);
	e->ptr.len = tfs_cpu16(64);
	put(n, buf, TFS_EXTENT_HEAD + 4 * 8);
}
static void m_range(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	u32 len = get(k, buf);

	((struct tfs_extent *)buf)->ptr.addr = tfs_cpu64(1ull << 40);
	put(k, buf, len);
}
static void m_future(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	u32 len = get(k, buf);

	((struct tfs_extent *)buf)->ptr.birth = tfs_cpu64(1ull << 40);
	put(k, buf, len);
}
static void claim(bool alike)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT), n = k;
	u32 len = get(k, buf);

	n.a = 6;
	if (!alike)
		((struct tfs_extent *)buf)->ptr.birth = 0;
	put(n, buf, len);
	inode_load(6);
	inode.size = tfs_cpu64(65536);
	inode.blocks = tfs_cpu64(16);
	inode_store(6);
}
static void m_claim(void)
{
	claim(false);
}
static void m_claim_alike(void)
{
	claim(true);
}
/* Inode 6 shows inode 7's first window too, but for two blocks that it states other content of. */
static void m_claim_raw(void)
{
	u32 len = get(item_first(7, TFS_IT_EXTENT), buf);
	struct tfs_extent *e = (struct tfs_extent *)buf;

	e->crc[3] ^= 1;
	e->crc[4] ^= 1;
	put(key_of(6, TFS_IT_EXTENT, 0), buf, len);
	inode_load(6);
	inode.size = tfs_cpu64(65536);
	inode.blocks = tfs_cpu64(16);
	inode_store(6);
}
static void m_claim_xattr(void)
{
	struct tfs_key k = item_first(3, TFS_IT_XATTR);
	u32 len;

	while (len = get(k, buf), !((struct tfs_xattr *)buf)->where) {
		const void *v;

		k.b++;
		must(tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len), "xattr");
	}
	k.a = 6;
	put(k, buf, len);
}
/* The largest: two owners in each window, of which one is to be copied. */
static void m_claim_all(void)
{
	struct tfs_key k = item_first(7, TFS_IT_EXTENT);
	const void *v;
	u32 len, n = 0;

	for (; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len) && k.a == 7; k.b++, n++) {
		struct tfs_key to = {6, k.b};

		memcpy(buf, v, len);
		put(to, buf, len);
	}
	inode_load(6);
	inode.size = tfs_cpu64(n * 65536ull);
	inode.blocks = tfs_cpu64(n * 16);
	inode_store(6);
}
static int leaf_last(void *arg, const struct tfs_node_info *info)
{
	if (!info->level && info->ptr.addr)
		memcpy(arg, &info->ptr, sizeof(info->ptr));
	return 0;
}
/* An extent lies where a leaf is. */
static void m_claim_node(void)
{
	struct tfs_extent *e = (struct tfs_extent *)buf;
	struct tfs_ptr leaf = {0};
	char name[16];

	for (u32 i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		make(2, name, 0100644);
	}
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	must(tfs_tree_walk(vol, TFS_TREE_FS, leaf_last, &leaf), "walk");
	get(item_first(8, TFS_IT_EXTENT), buf);
	leaf.crc ^= 1;
	e->ptr = tfs_ptr_disk(&leaf);
	put(key_of(6, TFS_IT_EXTENT, 0), buf, TFS_EXTENT_HEAD);
	inode_load(6);
	inode.size = tfs_cpu64(65536);
	inode.blocks = tfs_cpu64(16);
	inode_store(6);
}
/* Half of a compressed extent as a second piece that states another length. */
static void m_pieces(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	struct tfs_extent *e = (struct tfs_extent *)buf;

	get(k, buf);
	e->blocks = tfs_cpu16(8);
	put(k, buf, TFS_EXTENT_HEAD);
	e->skip = tfs_cpu16(8);
	e->ptr.len = tfs_cpu16((u16)(tfs_le16(e->ptr.len) + 1));
	k.b += 8;
	put(k, buf, TFS_EXTENT_HEAD);
}
/* A small compressed extent becomes a gang whose list of places is no list. */
static void m_gang(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	struct tfs_extent *e = (struct tfs_extent *)buf;

	get(k, buf);
	e->ptr.addr = tfs_cpu64(tfs_le64(e->ptr.addr) & ~7ull);
	e->ptr.flags = tfs_cpu16(TFS_PTR_GANG);
	put(k, buf, TFS_EXTENT_HEAD);
}
static void m_inline(void)
{
	put(key_of(4, TFS_IT_INLINE, 0), "inline", 6);
	inode_load(4);
	inode.size = tfs_cpu64(6);
	inode_store(4);
}
static void range_put(u32 type, u64 ino, u64 block, u64 n)
{
	n = tfs_cpu64(n);
	put(key_of(ino, type, block), &n, 8);
}
static void m_promise_twice(void)
{
	range_put(TFS_IT_PREALLOC, 4, 2, 4);
	vol->counters.prealloc_blocks += 4;
}
static void m_promise_huge(void)
{
	range_put(TFS_IT_PREALLOC, 4, 100, 1ull << 40);
	vol->counters.prealloc_blocks += 1ull << 40;
}
static void m_pending(void)
{
	range_put(TFS_IT_PENDING, 7, 5, 16);
}
static void m_pending_twice(void)
{
	range_put(TFS_IT_PENDING, 7, 128, 1600);
	range_put(TFS_IT_PENDING, 7, 144, 16);
}
static void m_far(void) /* the last block there is: its file's size is one byte short of 2^63 */
{
	struct tfs_key k = item_first(7, TFS_IT_EXTENT);
	u32 len = get(k, buf);

	del(k);
	k.b += (1ull << 51) - 16;
	put(k, buf, len);
}
static void m_dir_blocks(void)
{
	inode_load(2);
	inode.blocks = tfs_cpu64(3);
	inode_store(2);
}
static void m_root_file(void)
{
	inode_load(1);
	inode.mode = tfs_cpu32(0100755);
	inode_store(1);
}
static void m_mixed(void) /* items of a directory and of a file, and no inode */
{
	m_all_gone();
	put(key_of(6, TFS_IT_INLINE, 0), "inline", 6);
	entry_put(6, free_pos("x"), "x", 3, 8);
}
static void m_xattr_left(void)
{
	m_all_gone();
	put(key_of(6, TFS_IT_XATTR, free_pos("user.x")), "\1\0\0\0\6\0user.xv", 13);
}
static void m_no_inode(void)
{
	put(key_of(1ull << 60, TFS_IT_DIRENT, 7), "\4\0\0\0\0\0\0\0\x08\1x", 11);
}
static void m_target_twice(void)
{
	put(key_of(9, TFS_IT_SYMLINK, 7), "other", 5);
}
static void m_unfit(void)
{
	put(key_of(3, TFS_IT_DIRENT, 0x12345600), "\4\0\0\0\0\0\0\0\x08\1x", 11);
}
static void m_orphan_extra(void)
{
	put(tfs_orphan_key(3), "", 0);
}
static void m_orphan_none(void)
{
	put(tfs_orphan_key(4242), "", 0);
}
static void m_orphan_named(void)
{
	m_zero_nlink();
	put(tfs_orphan_key(3), "", 0);
}
static void m_orphan_full(void)
{
	del(entry_of(2, "sub"));
	put(tfs_orphan_key(5), "", 0);
	inode_load(5);
	inode.nlink = 0;
	inode_store(5);
}
static void m_root_parent(void)
{
	inode_load(1);
	inode.parent = tfs_cpu64(5);
	inode_store(1);
}
/* Directories that only name themselves, and a chain that hangs below the first of them. */
static void m_cycles(void)
{
	const u64 first = 100000, chain = first + 3000, end = chain + 3000;

	for (u64 ino = first; ino < end; ino++) {
		u64 parent = ino < chain ? ino : ino == chain ? first : ino - 1;
		u32 holds = ino == first ? 2 : ino + 1 < end;
		const char *name = ino == chain ? "chain" : "x";

		inode_load(5);
		inode.parent = tfs_cpu64(parent);
		inode.size = tfs_cpu64(holds);
		inode.nlink = tfs_cpu32(2 + holds);
		inode_store(ino);
		entry_put(parent, free_pos(name), name, ino, 4);
	}
	vol->counters.inodes += end - first;
	vol->counters.next_ino = end;
}
static void m_prealloc(void)
{
	u64 n = 60;
	put(key_of(7, TFS_IT_PREALLOC, 0), &n, 8);
}
static void m_next_ino(void)
{
	vol->counters.next_ino = 4;
}
static void m_next_huge(void)
{
	vol->counters.next_ino = 1ull << 60;
	m_subdir_gone();
}
static void m_last_ino(void)
{
	inode_load(4);
	inode.blocks = 0;
	inode_store(TFS_INO_MAX);
	vol->counters.inodes++;
	vol->counters.next_ino = TFS_INO_MAX + 1;
}
static void m_inodes(void)
{
	vol->counters.inodes += 5;
}
static void m_promised(void)
{
	vol->counters.prealloc_blocks += 5;
}
static void m_live_units(void)
{
	vol->live_units += 5;
}
static void m_tail(void) /* bytes behind the end that nobody is told of */
{
	inode_load(7);
	inode.size = tfs_cpu64(63 * TFS_BLOCK + 100);
	inode_store(7);
}
/* The checksum of the stored bytes stays right. */
static void m_codec(void)
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	u32 len = get(k, buf);

	((struct tfs_extent *)buf)->codec = TFS_CODEC_ZLIB;
	put(k, buf, len);
}
/* Eight blocks were encoded, and the extent states sixteen. */
static void m_decoded_short(void)
{
	static u8 data[8 * TFS_BLOCK], scratch[8 * TFS_BLOCK];
	struct tfs_encoded e;
	struct tfs_key k;
	u64 ino = make(TFS_INO_ROOT, "short", 0100644);
	u32 len;

	tfs_encode(TFS_CODEC_LZ4, 0, data, 8, scratch, &e);
	must(tfs_write(vol, ino, 0, &e, sizeof(data), NULL), "write");
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	k = item_first(ino, TFS_IT_EXTENT);
	len = get(k, buf);
	((struct tfs_extent *)buf)->total = tfs_cpu16(16);
	put(k, buf, len);
}
static void m_tail_dir(void)
{
	inode_load(2);
	inode.flags = tfs_cpu32(TFS_INODE_TAIL);
	inode_store(2);
}
static void m_bad_item(void)
{
	inode_load(3);
	inode.mode = tfs_cpu32(0170644);
	inode_store(3);
}
/* A hundred branches to one empty leaf. */
static void m_empty_leaf(void)
{
	struct tfs_node *root, *leaf;
	struct tfs_ptr ptr = {0};

	many_make(400);
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	must(tfs_tree_dirty(vol, TFS_TREE_FS, tfs_inode_key(TFS_INO_ROOT), &leaf), "dirty");
	root = tfs_cache_find(vol, vol->root[TFS_TREE_FS].addr);
	leaf = tfs_cache_new(vol, TFS_TREE_FS, 0);
	ptr.addr = leaf->id;
	for (u64 i = 0; i < 100; i++)
		tfs_branch_insert(root->buf, tfs_node_count(root->buf), tfs_inode_key((1ull << 50) + i), &ptr);
}
/* ---- shared extents: three windows refer to each of inode 12's ---- */

static struct tfs_extent shared_extent(u64 ino)
{
	get(item_first(ino, TFS_IT_EXTENT), buf);
	return *(struct tfs_extent *)buf;
}
static void ref_put(u64 addr, u32 len, u32 count)
{
	struct tfs_ref r = {tfs_cpu32(len), tfs_cpu32(count)};
	struct tfs_key k = {addr, 0};

	tfs_need_reset(vol);
	tfs_need(vol, TFS_TREE_REFS, k, sizeof(r));
	must(tfs_prepare(vol), "prepare");
	tfs_item_put(vol, TFS_TREE_REFS, k, &r, sizeof(r));
}
static void ref_of(u64 ino, int longer, u32 count)
{
	struct tfs_extent e = shared_extent(ino);

	ref_put(tfs_le64(e.ptr.addr), (u32)(tfs_le16(e.ptr.len) + longer), count);
}
static void m_ref_high(void)
{
	ref_of(12, 0, 4);
}
static void m_ref_low(void)
{
	ref_of(12, 0, 2);
}
static void m_ref_one(void)
{
	ref_of(12, 0, 1);
}
static void m_ref_huge(void)
{
	ref_of(12, 0, ~0u);
}
static void m_ref_long(void) /* over the next extent: two owners in all, one each */
{
	struct tfs_key k = item_first(8, TFS_IT_EXTENT);
	struct tfs_extent e = shared_extent(8);

	k.b += 16;
	get(k, buf);
	ref_put(tfs_le64(e.ptr.addr),
	        (u32)(tfs_le64(((struct tfs_extent *)buf)->ptr.addr) - tfs_le64(e.ptr.addr)) + tfs_le16(e.ptr.len), 2);
}
static void m_ref_short(void)
{
	ref_of(12, -1, 3);
}
static void m_ref_gone(void)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;

	while (!tfs_item_next(vol, TFS_TREE_REFS, &k, &v, &len)) { /* all of them */
		tfs_need_reset(vol);
		tfs_need(vol, TFS_TREE_REFS, k, 0);
		must(tfs_prepare(vol), "prepare");
		tfs_item_del(vol, TFS_TREE_REFS, k);
	}
}
static void m_ref_alone(void)
{
	ref_of(8, 0, 2);
}
static void m_ref_alone_one(void) /* "one reference" needs no item, and nothing that drops it takes one */
{
	ref_of(8, 0, 1);
}
static void m_ref_nothing(void)
{
	ref_put((TFS_SEGMENTS_OFFSET + (20u << 20)) / TFS_UNIT, 8, 0);
}
static void m_ref_raw(void)
{
	ref_of(7, 0, 2);
}
/* A block of raw content in the middle of what is shared; sound: its checksum is right. */
static void raw_over(bool sound)
{
	static u8 data[TFS_BLOCK];
	struct tfs_extent e = shared_extent(12);
	u64 at = (tfs_le64(e.ptr.addr) + 7) & ~7ull; /* of 16 units */

	must(tfs_dev_io(vol, TFS_IO_READ, at * TFS_UNIT, data, TFS_BLOCK, 0), "read");
	memset(&e, 0, sizeof(e));
	e.ptr.addr = tfs_cpu64(at);
	e.ptr.len = tfs_cpu16(8);
	e.blocks = e.total = tfs_cpu16(1);
	memcpy(buf, &e, TFS_EXTENT_HEAD);
	((struct tfs_extent *)buf)->crc[0] = tfs_cpu32(tfs_port_crc32c(0, data, TFS_BLOCK) ^ !sound);
	put(key_of(6, TFS_IT_EXTENT, 0), buf, TFS_EXTENT_HEAD + 4);
	inode_load(6);
	inode.size = tfs_cpu64(TFS_BLOCK);
	inode.blocks = tfs_cpu64(1);
	inode_store(6);
}
static void m_ref_over(void)
{
	raw_over(false);
}
static void m_ref_over_sound(void)
{
	raw_over(true);
}
static void m_ref_over_first(void) /* the other comes before them in key order */
{
	raw_over(true);
	m_ref_gone();
}
/* Who refers to it goes in the same repair: its inode is to be a directory. */
static void m_ref_unfit(void)
{
	del(tfs_inode_key(13));
	entry_put(13, free_pos("x"), "x", 3, 8);
}
static void m_space_live(void)
{
	must(tfs_space_prepare(vol, (TFS_SEGMENTS_OFFSET + (20u << 20)) / TFS_UNIT, 8), "space");
	tfs_space_mark(vol, (TFS_SEGMENTS_OFFSET + (20u << 20)) / TFS_UNIT, 8, true);
}
static void m_space_dead(void)
{
	struct tfs_key k = item_first(7, TFS_IT_EXTENT);
	u64 addr;

	get(k, buf);
	addr = tfs_le64(((struct tfs_extent *)buf)->ptr.addr);
	must(tfs_space_prepare(vol, addr, 8), "space");
	tfs_space_mark(vol, addr, 8, false);
}
static void m_space_count(void)
{
	struct tfs_key k = {TFS_SPACE_SEGS, 0};
	struct tfs_node *leaf;
	struct tfs_segment *s;

	must(tfs_tree_dirty(vol, TFS_TREE_SPACE, k, &leaf), "space");
	s = tfs_item_edit(vol, TFS_TREE_SPACE, k, NULL);
	s[100].live = tfs_cpu32(5);
	s[100].used_blocks = tfs_cpu32(3);
	vol->segment[100].live = 5;
	vol->segment[100].used_blocks = 3;
}

/* One to four random changes to items: bytes of values, or a swap of two values of the same length; any tree. */
static void m_random(u64 seed)
{
	u64 x = seed * 0x9e3779b97f4a7c15ull + 1;
	u32 times = 1 + (u32)(seed % 4);

	while (times--) {
		struct tfs_key k = {0, 0};
		int tree = (x >> 40) % 8 > 1 ? TFS_TREE_FS : (x >> 40) % 8 ? TFS_TREE_REFS : TFS_TREE_SPACE;
		u32 skip, n = 0, len;
		struct tfs_node *leaf;
		const void *v;
		u8 *value;

		for (; !tfs_item_next(vol, tree, &k, &v, &len); k.b++)
			n++;
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		skip = (u32)(x >> 33) % n;
		for (k = (struct tfs_key){0, 0}; !tfs_item_next(vol, tree, &k, &v, &len) && skip; k.b++)
			skip--;
		must(tfs_tree_dirty(vol, tree, k, &leaf), "dirty");
		value = tfs_item_edit(vol, tree, k, &len);
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		if (!len)
			del(k);
		else if ((x >> 60) % 4)
			value[(x >> 20) % (len < 64 ? len : 64)] ^= (u8)(1u << (x >> 50) % 8);
		else
			value[(x >> 20) % len] = (u8)(x >> 52);
	}
}

/* left: 1 when a repair cannot mend it; data: 1 when only --data finds it */
static const struct mutation {
	const char *name;
	void (*fn)(void);
	int problem, left, data;
} list[] = {
    {"nlink", m_nlink, 24, 0, 0},
    {"dir-nlink", m_dir_nlink, 24, 0, 0},
    {"dir-size", m_dir_size, 22, 0, 0},
    {"size", m_size, 22, 0, 0},
    {"link-size", m_link_size, 22, 0, 0},
    {"blocks", m_blocks, 23, 0, 0},
    {"parent", m_parent, 34, 0, 0},
    {"zero-nlink", m_zero_nlink, 24, 0, 0},
    {"inode-gone", m_inode_gone, 20, 0, 0},
    {"dir-gone", m_dir_gone, 20, 0, 0},
    {"root-gone", m_root_gone, 21, 0, 0},
    {"entry-gone", m_entry_gone, 35, 0, 0},
    {"subdir-gone", m_subdir_gone, 35, 0, 0},
    {"empty-gone", m_all_gone, 31, 0, 0},
    {"target", m_target, 28, 0, 0},
    {"dangling", m_dangling, 31, 0, 0},
    {"type", m_type, 32, 0, 0},
    {"hash", m_hash, 29, 0, 0},
    {"twice", m_twice, 30, 0, 0},
    {"two-names", m_two_names, 33, 0, 0},
    {"cycle", m_cycle, 35, 0, 0},
    {"overlap", m_overlap, 25, 0, 0},
    {"range", m_range, 26, 0, 0},
    {"future", m_future, 26, 0, 0},
    {"claim", m_claim, 50, 0, 0},
    {"claim-alike", m_claim_alike, 60, 0, 0},
    {"claim-raw", m_claim_raw, 50, 0, 0},
    {"claim-taken", m_claim_raw, 54, 0, 0},
    {"claim-all", m_claim_all, 50, 0, 0},
    {"claim-xattr", m_claim_xattr, 50, 0, 0},
    {"claim-node", m_claim_node, 54, 0, 0},
    {"claim-node-moves", m_claim_node, 50, 0, 0},
    {"unfit", m_unfit, 27, 0, 0},
    {"orphan-extra", m_orphan_extra, 36, 0, 0},
    {"orphan-none", m_orphan_none, 36, 0, 0},
    {"orphan-named", m_orphan_named, 36, 0, 0},
    {"orphan-full", m_orphan_full, 35, 0, 0},
    {"root-parent", m_root_parent, 34, 0, 0},
    {"cycles", m_cycles, 35, 0, 0},
    {"lost-file", m_lost_file, 35, 0, 0},
    {"renames", m_renames, 29, 0, 0},
    {"pieces", m_pieces, 54, 0, 0},
    {"gang", m_gang, 53, 0, 0},
    {"inline", m_inline, 25, 0, 0},
    {"promise-twice", m_promise_twice, 25, 0, 0},
    {"promise-huge", m_promise_huge, 26, 0, 0},
    {"pending", m_pending, 26, 0, 0},
    {"pending-twice", m_pending_twice, 25, 0, 0},
    {"far", m_far, 22, 0, 0},
    {"dir-blocks", m_dir_blocks, 23, 0, 0},
    {"root-file", m_root_file, 21, 0, 0},
    {"mixed", m_mixed, 27, 0, 0},
    {"xattr-left", m_xattr_left, 20, 0, 0},
    {"no-inode", m_no_inode, 10, 0, 0},
    {"target-twice", m_target_twice, 10, 0, 0},
    {"prealloc", m_prealloc, 25, 0, 0},
    {"next-ino", m_next_ino, 40, 0, 0},
    {"next-huge", m_next_huge, 40, 0, 0},
    {"last-ino", m_last_ino, 35, 0, 0},
    {"inodes", m_inodes, 41, 0, 0},
    {"promised", m_promised, 41, 0, 0},
    {"live-units", m_live_units, 41, 0, 0},
    {"tail", m_tail, 37, 0, 1},
    {"codec", m_codec, 71, 1, 1},
    {"decoded-short", m_decoded_short, 71, 1, 1},
    {"tail-dir", m_tail_dir, 37, 0, 0},
    {"bad-item", m_bad_item, 10, 0, 0},
    {"empty-leaf", m_empty_leaf, 10, 0, 0},
    {"ref-high", m_ref_high, 60, 0, 0},
    {"ref-low", m_ref_low, 60, 0, 0},
    {"ref-one", m_ref_one, 60, 0, 0},
    {"ref-huge", m_ref_huge, 60, 0, 0},
    {"ref-long", m_ref_long, 60, 0, 0},
    {"ref-short", m_ref_short, 60, 0, 0},
    {"ref-gone", m_ref_gone, 60, 0, 0},
    {"ref-alone", m_ref_alone, 60, 0, 0},
    {"ref-alone-one", m_ref_alone_one, 60, 0, 0},
    {"ref-nothing", m_ref_nothing, 60, 0, 0},
    {"ref-raw", m_ref_raw, 60, 0, 0},
    {"ref-over", m_ref_over, 54, 0, 0},
    {"ref-over-sound", m_ref_over_sound, 50, 0, 0},
    {"ref-over-first", m_ref_over_first, 50, 0, 0},
    {"ref-unfit", m_ref_unfit, 27, 0, 0},
    {"space-live", m_space_live, 51, 0, 0},
    {"space-dead", m_space_dead, 51, 0, 0},
    {"space-count", m_space_count, 52, 0, 0},
};

int main(int argc, char **argv)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = tfs_user_env();
	struct tfs_file_dev dev;

	tfs_cli_start("mutate");
	for (size_t i = 0; argc == 2 && i < sizeof(list) / sizeof(*list); i++)
		printf("%s %d %d %d\n", list[i].name, list[i].problem, list[i].left, list[i].data);
	if (argc != 3)
		return argc != 2;
	if (!strcmp(argv[1], "make"))
		return volume_make(argv[2]), 0;
	must(tfs_file_dev_open(&dev, argv[1], 0, true, 0), argv[1]);
	if (!strncmp(argv[2], "where", 5))
		opt.flags = TFS_MOUNT_RO | (argv[2][5] == ':' ? TFS_MOUNT_NOREPLAY : 0);
	must(tfs_mount(&dev.dev, &env, &opt, &vol), argv[1]);
	if (!strncmp(argv[2], "where:", 6)) { /* bytes: the last node of that level in the FS tree */
		int level = atoi(argv[2] + 6);

		must(tfs_tree_walk(vol, TFS_TREE_FS, index_found, &level), "walk");
		printf("%llu\n", (unsigned long long)place.ptr.addr * TFS_UNIT);
		tfs_abandon(vol);
		return 0;
	}
	if (!strcmp(argv[2],
	            "where")) { /* bytes: the FS tree's root as it was stored, data of /big, checkpoint, list block */
		get(item_first(7, TFS_IT_EXTENT), buf);
		printf("%llu %llu %llu %llu\n", (unsigned long long)vol->root[TFS_TREE_FS].addr * TFS_UNIT,
		       (unsigned long long)tfs_le64(((struct tfs_extent *)buf)->ptr.addr) * TFS_UNIT,
		       (unsigned long long)vol->meta[0] * TFS_UNIT, (unsigned long long)vol->meta[1] * TFS_UNIT);
		tfs_abandon(vol);
		return 0;
	}
	if (!strncmp(argv[2], "many:", 5) || !strcmp(argv[2], "copies")) {
		if (argv[2][0] == 'm')
			many_make((u32)strtoul(argv[2] + 5, NULL, 10));
		else
			copies_make();
		must(tfs_unmount(vol), "unmount");
		return tfs_file_dev_close(&dev) != 0;
	}
	if (!strcmp(argv[2], "log")) {
		log_make();
		tfs_abandon(vol);
		return tfs_file_dev_close(&dev) != 0;
	}
	if (!strncmp(argv[2], "random:", 7)) {
		must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
		m_random(strtoull(argv[2] + 7, NULL, 10));
		must(tfs_unmount(vol), "unmount");
		return tfs_file_dev_close(&dev) != 0;
	}
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		if (!strcmp(list[i].name, argv[2])) {
			must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
			list[i].fn();
			must(tfs_unmount(vol), "unmount");
			return tfs_file_dev_close(&dev) != 0;
		}
	return tfs_cli_fail(1, argv[2], "no such mutation");
}
