// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a host may do to a volume that mounted, whatever it holds: look at everything, then change things at random.
 * Errors are fine; what is not is found by the sanitizers, by the device, and by the clock. All loops are bounded here,
 * since a crafted image may say that it holds anything.
 */
#include "fuzz/fuzz.h"

#define INODES 256u
#define ENTRIES 512u

struct seen {
	u64 ino[INODES], dir[INODES]; /* inodes met and the directory each was met in */
	u8 type[INODES];
	char name[INODES][TFS_NAME_MAX];
	u8 name_len[INODES];
	u32 count, entries;
	u64 now; /* directory being read */
};

static struct seen seen;
static u8 buffer[1 << 17];

static void seen_add(u64 ino, u8 type, const char *name, u32 len)
{
	u32 i;

	for (i = 0; i < seen.count; i++)
		if (seen.ino[i] == ino)
			return;
	if (seen.count == INODES)
		return;
	seen.ino[i] = ino;
	seen.dir[i] = seen.now;
	seen.type[i] = type;
	seen.name_len[i] = (u8)len;
	if (len)
		memcpy(seen.name[i], name, len);
	seen.count++;
}

static int emit(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	(void)arg;
	FUZZ_CHECK(len && len <= TFS_NAME_MAX && !memchr(name, '/', len) && !memchr(name, 0, len),
	           "readdir: expected a name, found one of %u bytes that is none", len);
	FUZZ_CHECK(next && next <= 1ull << TFS_POS_BITS, "readdir: position out of range");
	seen_add(ino, type, name, len);
	return ++seen.entries >= ENTRIES;
}

static void look_xattrs(struct tfs_vol *vol, u64 ino)
{
	int n = tfs_listxattr(vol, ino, NULL, 0), at = 0, count = 0;
	static char names[8192];

	if (n <= 0)
		return;
	n = tfs_listxattr(vol, ino, names, sizeof(names));
	for (; at < n && count < 64; count++) {
		u32 len = (u32)strlen(names + at);

		tfs_getxattr(vol, ino, names + at, len, NULL, 0);
		tfs_getxattr(vol, ino, names + at, len, buffer, TFS_XATTR_MAX);
		at += (int)len + 1;
	}
}

static void look_data(struct tfs_vol *vol, u64 ino, u64 size)
{
	u64 off = 0, end = size > 65536 ? size - 65536 : 0;
	s64 at = 0;
	u32 i;

	for (i = 0; i < 3; i++, off += sizeof(buffer))
		tfs_read(vol, ino, off, buffer, sizeof(buffer));
	tfs_read(vol, ino, end, buffer, 65536 + 17);
	for (i = 0; i < 16 && at >= 0; i++) {
		s64 next = tfs_seek(vol, ino, (u64)at, i & 1);

		FUZZ_CHECK(next < 0 || next >= at, "seek: expected at least %lld, found %lld", (long long)at,
		           (long long)next);
		at = next;
	}
}

static void look_inode(struct tfs_vol *vol, u64 ino)
{
	struct tfs_attr a;
	u64 pos = 0;

	if (tfs_getattr(vol, ino, &a))
		return;
	look_xattrs(vol, ino);
	seen.now = ino;
	tfs_readdir(vol, ino, &pos, emit, NULL);
	tfs_readlink(vol, ino, (char *)buffer, TFS_SYMLINK_MAX);
	look_data(vol, ino, a.size);
}

static int node(void *arg, const struct tfs_node_info *info)
{
	u32 *left = arg;

	FUZZ_CHECK(info->err < 0 || info->node, "walk: a node without content or error");
	return !--*left;
}

static void look_space(struct tfs_vol *vol)
{
	static u8 map[(1u << TFS_SEGMENT_BITS_MAX) / TFS_BLOCK];
	struct tfs_segment info;
	struct tfs_stat st;
	u64 s, ino = 0, orphan;
	u32 left;
	int t;

	for (t = 0; t < TFS_TREES; t++) {
		left = 4096;
		tfs_tree_walk(vol, t, node, &left);
	}
	tfs_statfs(vol, &st);
	for (s = 0; s < st.segments && s < 64; s++)
		tfs_segment_map(vol, s, map, &info);
	for (left = 0; left < 64 && !tfs_next_orphan(vol, ino, &orphan); left++) {
		FUZZ_CHECK(orphan > ino, "orphans: expected one after %llu, found %llu", (unsigned long long)ino,
		           (unsigned long long)orphan);
		ino = orphan;
		look_inode(vol, ino);
	}
}

static int differs(void *arg, struct tfs_key key, const void *a, u32 a_len, const void *b, u32 b_len)
{
	u32 *left = arg;

	FUZZ_CHECK(a || b, "diff: key %llx of neither side", (unsigned long long)key.b);
	FUZZ_CHECK(a_len <= TFS_ITEM_MAX && b_len <= TFS_ITEM_MAX, "diff: an item is too long");
	return !--*left;
}

static void look_snapshots(struct tfs_vol *vol)
{
	struct tfs_snapshot_info info;
	u64 epoch = 0, before = 0, held;
	u32 n, left;

	for (n = 0; n < 8 && !tfs_snapshot_next(vol, &epoch, &info); n++, epoch++) {
		tfs_snapshot_usage(vol, epoch, &held);
		if (!tfs_view_open(vol, epoch)) {
			look_inode(vol, TFS_INO_ROOT);
			look_inode(vol, 2);
			left = 256;
			tfs_tree_walk(vol, TFS_TREE_FS, node, &left);
			left = 256;
			tfs_tree_walk(vol, TFS_TREE_REFS, node, &left);
			tfs_view_close(vol);
		}
		left = 4096;
		tfs_snapshot_diff(vol, before ? before : epoch, before ? epoch : 0, differs, &left);
		before = epoch;
	}
}

void fuzz_look(struct tfs_vol *vol)
{
	u64 ino;
	u32 i;
	u8 type;

	memset(&seen, 0, sizeof(seen));
	seen_add(TFS_INO_ROOT, 4, "", 0);
	for (i = 0; i < seen.count; i++) {
		look_inode(vol, seen.ino[i]);
		if (seen.name_len[i])
			tfs_lookup(vol, seen.dir[i], seen.name[i], seen.name_len[i], &ino, &type);
	}
	look_space(vol);
	look_snapshots(vol);
}

/* ---- changes ---- */

static u32 rng(u32 *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static u64 some_size(u32 *r)
{
	static const u64 size[] = {
	    0, 1, 100, 3072, 4096, 5000, 65536, 70000, 1ull << 20, 1ull << 40, TFS_FILE_SIZE_MAX};

	return size[rng(r) % 11];
}

/* Blocks of one file show in another, or elsewhere in the same; both ends lie in one window. */
static void change_clone(struct tfs_vol *vol, u64 source, u64 ino, u32 *r)
{
	u64 from = rng(r) % 48, block = from % 16 + 16 * (rng(r) % 4);
	u32 blocks = 1 + rng(r) % (16 - (u32)block % 16);

	tfs_clone(vol, source, from, ino, block, blocks, (block + blocks) * TFS_BLOCK, NULL);
}

static void change_data(struct tfs_vol *vol, u64 ino, u32 *r)
{
	u64 block = rng(r) % 48;
	u32 blocks = 1 + rng(r) % (16 - (u32)block % 16);

	switch (rng(r) % 6) {
	case 3:
		change_clone(vol, seen.ino[rng(r) % seen.count], ino, r);
		break;
	case 0:
		tfs_truncate(vol, ino, some_size(r));
		break;
	case 1:
		tfs_punch(vol, ino, block, rng(r) % 4 ? blocks : 1ull << 50);
		break;
	case 2:
		tfs_preallocate(vol, ino, block, rng(r) % 4 ? blocks * 7 : 300, some_size(r));
		break;
	default:
		fuzz_write(vol, ino, block, blocks, (block + blocks) * TFS_BLOCK - rng(r) % TFS_BLOCK,
		           (int)(rng(r) % 3), rng(r));
	}
}

static void change_name(struct tfs_vol *vol, u32 i, u32 *r)
{
	struct tfs_create c = {.mode = rng(r) % 2 ? 0100644 : 0040755};
	u32 j = rng(r) % seen.count, len = 1 + rng(r) % 3;
	u64 dir = seen.type[j] == 4 ? seen.ino[j] : seen.dir[j], ino = 0;
	int err;

	switch (rng(r) % 5) {
	case 0:
		tfs_create(vol, dir, "new", len, &c, &ino);
		break;
	case 1:
		tfs_link(vol, seen.ino[i], dir, "lnk", len);
		break;
	case 2:
		err = tfs_unlink(vol, seen.dir[i], seen.name[i], seen.name_len[i], seen.type[i] == 4, &ino);
		if (!err)
			fuzz_evict(vol, ino);
		break;
	default:
		err =
		    tfs_rename(vol, seen.dir[i], seen.name[i], seen.name_len[i], dir, rng(r) % 2 ? seen.name[j] : "mov",
		               rng(r) % 2 ? seen.name_len[j] : len, (u32[]){0, 0, 1, 2, 4}[rng(r) % 5], &ino);
		if (!err && ino)
			fuzz_evict(vol, ino);
	}
}

static void change_attr(struct tfs_vol *vol, u64 ino, u32 *r)
{
	struct tfs_attr a = {.mode = 0600, .uid = rng(r), .codec = (u8)(rng(r) % 3), .window_bits = 16};
	const char *name = rng(r) % 2 ? "user.a" : "user.new";

	switch (rng(r) % 3) {
	case 0:
		tfs_setattr(vol, ino, rng(r) % 512, &a);
		break;
	case 1:
		tfs_removexattr(vol, ino, name, (u32)strlen(name));
		break;
	default:
		fuzz_pattern(buffer, 5000, rng(r));
		tfs_setxattr(vol, ino, name, (u32)strlen(name), buffer, rng(r) % 2 ? rng(r) % 5000 : rng(r) % 20, 0);
	}
}

/* A rule, a file below it, an answer of its collector. */
static void change_ship(struct tfs_vol *vol, u64 ino, u32 *r)
{
	struct tfs_ship_rule_info info;
	u64 rule = 0;

	switch (rng(r) % 4) {
	case 0:
		tfs_ship_add(vol, ino, "*", 1, "relp://127.0.0.1:2514", 21, 0, &rule);
		break;
	case 1:
		if (!tfs_ship_rule_next(vol, &rule, &info))
			tfs_ship_remove(vol, rule);
		break;
	case 2:
		if (!tfs_ship_rule_next(vol, &rule, &info))
			tfs_ship_mark(vol, ino, rule, rng(r) % 5000);
		break;
	default:
		if (!tfs_ship_rule_next(vol, &rule, &info))
			tfs_ship_acked(vol, ino, rule, rng(r) % 3, rng(r) % 100000);
	}
}

static void change_volume(struct tfs_vol *vol, u32 *r)
{
	u64 epoch = 0, held;
	struct tfs_snapshot_info info;

	switch (rng(r) % 9) {
	case 7:
		tfs_compact_step(vol, 64, rng(r) % 2 ? TFS_COMPACT_FORCE : TFS_COMPACT_NOW);
		break;
	case 8:
		change_ship(vol, seen.ino[rng(r) % seen.count], r);
		break;
	case 4:
		tfs_snapshot_create(vol, "made", 4, &epoch);
		break;
	case 5: /* numbers and names that the caller knows are of before */
		if (!tfs_snapshot_next(vol, &epoch, &info))
			tfs_rollback(vol, epoch, &held);
		break;
	case 6:
		tfs_snapshot_step(vol);
		break;
	case 0:
		tfs_sync(vol);
		break;
	case 1:
		tfs_checkpoint(vol);
		break;
	case 2:
		tfs_checkpoint_step(vol, 1 + rng(r) % 4);
		break;
	default:
		tfs_set_label(vol, "fuzzed", 6);
	}
}

void fuzz_change(struct tfs_vol *vol, u32 seed, u32 steps)
{
	u32 r = seed, n;

	for (n = 0; n < steps; n++) {
		u32 i = rng(&r) % seen.count;

		switch (rng(&r) % 8) {
		case 0:
			change_volume(vol, &r);
			break;
		case 1:
			change_attr(vol, seen.ino[i], &r);
			break;
		case 2:
		case 3:
		case 4:
			change_name(vol, i, &r);
			break;
		default:
			change_data(vol, seen.ino[i], &r);
		}
	}
}

/* All that was seen goes, the latest first, and what a deleted snapshot held. */
static void remove_all(struct tfs_vol *vol)
{
	struct tfs_snapshot_info info;
	u64 epoch = 0, ino;
	u32 i, steps = 0;

	for (i = seen.count; i--;)
		if (!tfs_unlink(vol, seen.dir[i], seen.name[i], seen.name_len[i], seen.type[i] == 4, &ino))
			fuzz_evict(vol, ino);
	for (i = 0; i < 64 && !tfs_snapshot_next(vol, &epoch, &info); i++, epoch++)
		tfs_snapshot_delete(vol, epoch);
	while (steps++ < 1000 && tfs_snapshot_step(vol) > 0)
		;
}

static int look_only(u32 flags)
{
	struct tfs_vol *vol;
	int err = fuzz_mount(TFS_MOUNT_RO | flags, &vol);

	if (err)
		return err;
	if (flags)
		look_space(vol);
	else
		fuzz_look(vol);
	tfs_unmount(vol); /* says so when what it holds contradicts itself */
	return 0;
}

void fuzz_use(u32 seed, bool strict)
{
	struct tfs_vol *vol;
	struct tfs_stat st;
	int err;

	fuzz_no_writes = true;
	look_only(TFS_MOUNT_NOREPLAY);
	look_only(0);
	fuzz_no_writes = false;
	if (fuzz_mount(0, &vol))
		return;
	fuzz_look(vol);
	tfs_statfs(vol, &st);
	fuzz_change(vol, seed, seed ? 8 + seed % 24 : 0);
	if (seed % 8 > 4)
		remove_all(vol);
	if (seed % 4 == 3) {
		tfs_sync(vol);
		tfs_abandon(vol);
		err = 0;
	} else {
		err = tfs_unmount(vol);
	}
	fuzz_no_writes = true;
	err = look_only(0) ? look_only(0) : err;
	fuzz_no_writes = false;
	FUZZ_CHECK(!strict || !err || st.damaged, "mount: expected 0 after an unmount, found %d", err);
}
