// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The volumes that mutations are made in: /dir/{a,b,sub/deep}, /big raw, /packed lz4, /link, /twin (hard link of
 * dir/a), a forwarding rule on dir and big, a directory whose xattr has the name of its file; /shared lz4, which /clone and /clone2 share; /raws raw,
 * which /rawc shares at another place. And what is added to it for damage by bytes: a full log, leaves under several
 * levels of index nodes, old leaves everywhere.
 */
#include "tests/fsck/mutate.h"

const u8 volume_acl[44] = {2,  0, 0, 0,                     /* version; then tag, rights and id: */
                           1,  0, 6, 0, 255, 255, 255, 255, /* owner */
                           2,  0, 4, 0, 232, 3,   0,   0,   /* user 1000 */
                           4,  0, 0, 0, 255, 255, 255, 255, /* group */
                           16, 0, 4, 0, 255, 255, 255, 255, /* mask */
                           32, 0, 4, 0, 255, 255, 255, 255};

void volume_make(const char *path)
{
	struct tfs_format_options opt = {.size = 32u << 20, .uuid = "mutation test 1", .label = "mutate"};
	struct tfs_env env = tfs_user_env();
	struct tfs_file_dev dev;
	static u8 big[8192];
	u64 dir, a, shared, moved, rule;

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
	must(tfs_setxattr(vol, 4, TFS_ACL_ACCESS, (u32)strlen(TFS_ACL_ACCESS), volume_acl, sizeof(volume_acl), 0),
	     "acl");
	must(tfs_setxattr(vol, dir, TFS_ACL_DEFAULT, (u32)strlen(TFS_ACL_DEFAULT), volume_acl, sizeof(volume_acl), 0),
	     "acl");
	shared = make(TFS_INO_ROOT, "shared", 0100644); /* 12 */
	write_blocks(shared, 256, 1);
	for (u32 i = 0; i < 2; i++) { /* 13, 14 */
		u64 ino = make(TFS_INO_ROOT, i ? "clone2" : "clone", 0100644);

		for (u64 b = 0; b < 256; b += 16)
			must(tfs_clone(vol, shared, b, ino, b, 16, (b + 16) * TFS_BLOCK, NULL), "clone");
	}
	shared = make(TFS_INO_ROOT, "raws", 0100644); /* 15 */
	write_blocks(shared, 64, 0);
	moved = make(TFS_INO_ROOT, "rawc", 0100644); /* 16: five blocks further on */
	for (s64 b = 0, n; b < 64; b += n) {
		n = tfs_reflink(vol, shared, (u64)b, moved, (u64)b + 5, (u64)(64 - b), 69 * TFS_BLOCK, NULL);
		must(n < 0 ? (int)n : 0, "reflink");
	}
	must(tfs_ship_add(vol, 2, "*", 1, "relp://127.0.0.1:2514", 21, 0, &rule), "ship"); /* 17: a rule */
	must(tfs_ship_mark(vol, 7, rule, 1000), "ship");
	must(tfs_format_finish(vol, 0), "finish");
	must(tfs_unmount(vol), "unmount");
	must(tfs_file_dev_close(&dev), path);
}

/*
 * A volume that was not unmounted, its log full of what a repair must not write over before it is durable: content
 * written and dropped again, not known to be durable; and a truncate into a window whose extents are yet to be dropped.
 */
void log_make(void)
{
	u64 ino = make(TFS_INO_ROOT, "logged", 0100644), holes = make(TFS_INO_ROOT, "holes", 0100644);
	static u8 data[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};
	struct tfs_time now = {.sec = tfs_cpu64(1700000000)};

	for (u64 i = 0; i < 100; i++)
		must(tfs_write(vol, holes, 2 * i, &e, (2 * i + 1) * TFS_BLOCK, NULL), "write");
	must(tfs_write(vol, make(TFS_INO_ROOT, "short", 0100644), 0, &e, 100, &now), "write");
	must(tfs_truncate(vol, holes, 5000), "truncate");
	must(tfs_sync(vol), "sync");
	for (u32 i = 0; i < 3; i++)
		write_blocks(ino, 320, 0);
	must(tfs_data_close(vol), "write");
	must(tfs_log_submit(vol), "log");
}

/* ---- volumes whose index nodes are damaged by the test ---- */

struct find {
	int level;
	struct tfs_ptr at;
};

static int index_found(void *arg, const struct tfs_node_info *info)
{
	struct find *f = arg;

	if (info->level == f->level && info->ptr.addr)
		f->at = info->ptr;
	return 0;
}

u64 index_place(int level)
{
	struct find f = {.level = level};

	must(tfs_tree_walk(vol, TFS_TREE_FS, index_found, &f), "walk");
	return f.at.addr * TFS_UNIT;
}

/* Many leaves, and old ones of other content all over the device. */
void many_make(u32 files)
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

struct copies {
	u64 ino, blocks;
};

/* A file whose content is the stored form of every leaf there is: what an image of this volume inside it would be. */
static int leaf_copy(void *arg, const struct tfs_node_info *info)
{
	static u8 data[TFS_NODE_SIZE + TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 4, .bytes = TFS_NODE_SIZE, .buf = data};
	struct copies *c = arg;

	if (info->level || !info->ptr.addr || c->blocks >= 400)
		return 0;
	memset(data, 0, sizeof(data));
	tfs_node_store(info->node, TFS_CODEC_LZ4, data, NULL);
	must(tfs_write(vol, c->ino, c->blocks, &e, (c->blocks + 4) * TFS_BLOCK, NULL), "write");
	c->blocks += 16; /* one a window */
	return 0;
}

void copies_make(void)
{
	struct copies c = {0};

	must(tfs_checkpoint(vol), "checkpoint");
	c.ino = make(TFS_INO_ROOT, "copies", 0100644);
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_tree_walk(vol, TFS_TREE_FS, leaf_copy, &c), "walk");
}

/* ---- content in many places ---- */

/* A file of 20 windows whose blocks were written one by one in no order. */
void scatter_make(void)
{
	static u8 data[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 1, .bytes = sizeof(data), .buf = data};
	u64 ino = make(TFS_INO_ROOT, "scattered", 0100644);

	for (u64 i = 0; i < 320; i++) {
		u64 block = i * 263 % 320;

		memset(data, (int)(block % 251), sizeof(data));
		must(tfs_write(vol, ino, block, &e, (block + 1) * TFS_BLOCK, NULL), "write");
	}
}

/* ---- full volumes ---- */

u64 fill_make(u32 free)
{
	static u8 data[16 * TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 16, .bytes = sizeof(data), .buf = data};
	u64 ino = make(TFS_INO_ROOT, "fill", 0100644), block = 0;
	int err;

	for (; !(err = tfs_write(vol, ino, block, &e, (block + 16) * TFS_BLOCK, NULL)); block += 16)
		memset(data, (int)(block / 16 % 251), sizeof(data));
	if (err != -ENOSPC)
		must(err, "fill");
	for (; free; free--, block -= 2) /* every other block, from the end */
		must(tfs_punch(vol, ino, block - 1, 1), "punch");
	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_checkpoint(vol), "checkpoint");
	return ino;
}
