// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Writes the first inputs of the targets: DIR/image, DIR/fsck (the same), DIR/replay, DIR/items, DIR/ops, DIR/frames, DIR/answers,
 * DIR/backup.
 * Made by real operations on the targets' own bases, so that they follow the format when it changes and nothing binary
 * is kept in the repository. An image seed repeats a block of the base or spoils a field of one; a replay seed holds
 * the records that operations logged; an items seed the base's items.
 */
#include "backup/format.h"
#include "fuzz/items.h"

#include <stdio.h>
#include <sys/stat.h>

#define SEED_MAX 60000u

static u8 out[SEED_MAX];
static u32 bytes;
static const char *dir;

static void put(const void *p, u32 n)
{
	if (bytes + n > SEED_MAX)
		n = SEED_MAX - bytes;
	memcpy(out + bytes, p, n);
	bytes += n;
}

static void put8(u32 v)
{
	u8 b = (u8)v;

	put(&b, 1);
}

static void put16(u32 v)
{
	put8(v & 255);
	put8(v >> 8);
}

static void save(const char *target, const char *name, u32 n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s-%u", dir, target, name, n);
	f = fopen(path, "wb");
	if (!f || fwrite(out, 1, bytes, f) != bytes || fclose(f))
		fuzz_fail("%s: expected to write %u bytes: %s", path, bytes, strerror(errno));
	bytes = 0;
}

/* ---- image ---- */

/* The FS root as a gang of its own four blocks, listed by a block in the last segment. */
static void gang_seed(const char *target)
{
	const u32 list = FUZZ_PAGES - 60;
	struct tfs_ptr root = fuzz_root(TFS_TREE_FS);
	struct tfs_disk_ptr d = {tfs_cpu64(list * 8), tfs_cpu64(root.birth), tfs_cpu32(FUZZ_CRC), tfs_cpu16(root.len),
	                         tfs_cpu16(TFS_PTR_GANG)};
	struct tfs_anchor anchor;
	struct tfs_super super;
	struct tfs_gang g;
	u32 i;

	fuzz_anchor(&anchor, &super);
	memset(&g, 0, sizeof(g));
	for (i = 0; i < TFS_NODE_BLOCKS; i++) {
		g.run[i].addr = tfs_cpu64(root.addr + i * 8);
		g.run[i].len = tfs_cpu32(8);
		g.run[i].crc = tfs_cpu32(FUZZ_CRC);
	}
	g.count = tfs_cpu32(i);
	g.bytes = tfs_cpu32(TFS_NODE_SIZE);
	tfs_head_seal(&g.head, TFS_BT_GANG, FUZZ_VOLUME, sizeof(g));
	put8(15);
	put16(0x8000 | (u32)(tfs_le64(anchor.checkpoint.addr) / 8));
	put16(offsetof(struct tfs_checkpoint, root[TFS_TREE_FS]));
	put8(sizeof(d) - 1);
	put(&d, sizeof(d));
	put16(0x8000 | list);
	put16(0);
	put8(95);
	put(&g, 96);
	save(target, "gang", 0);
}

/*
 * Each of the first fields behind a block's head beyond every limit: counts, lengths, offsets and addresses of nodes,
 * logs, lists and checkpoints. So the replay alone misses each bounds check that goes (tests/power/breaks.sh).
 */
static void field_seeds(const char *target)
{
	const u32 *used;
	u32 uses, i, off;

	used = fuzz_base_used(&uses);
	for (i = 0; i < uses; i++)
		for (off = 16; off < 128; off += 2) {
			const u8 *b = fuzz_ram_look(used[i]);

			if (tfs_le32(((const struct tfs_block_head *)b)->magic) != TFS_MAGIC)
				break;
			put8(i * 7 + off);
			put16(i);
			put16(off);
			put8(1);
			put16(0xffff);
			save(target, "field", i * 128 + off);
		}
}

static void image_seeds(const char *target)
{
	const u32 *used;
	u32 uses, i, off, k;

	fuzz_snapshots = !strcmp(target, "image");
	fuzz_base_logging();
	used = fuzz_base_used(&uses);
	for (i = 0; i < uses; i++) {
		const u8 *b = fuzz_ram_look(used[i]);

		put8(i * 7);
		for (off = 0; off < TFS_BLOCK; off += 256) {
			for (k = 0; k < 256 && !b[off + k]; k++)
				;
			if (k == 256)
				continue;
			put16(i);
			put16(off);
			put8(255);
			put(b + off, 256);
		}
		save(target, "block", i);
	}
	gang_seed(target);
}

/* ---- replay ---- */

static void logged(void *ctx, u64 sequence, const struct tfs_rec_head *rec)
{
	(void)ctx;
	(void)sequence;
	put(rec, tfs_le32(rec->len));
}

static u64 at(struct tfs_vol *vol, u64 parent, const char *name)
{
	u64 ino = 0;
	u8 type;

	return tfs_lookup(vol, parent, name, (u32)strlen(name), &ino, &type) ? 0 : ino;
}

static int names(struct tfs_vol *vol, u64 d, u32 n)
{
	struct tfs_create c = {.mode = n == 1   ? 0040755
	                               : n == 2 ? 0120777
	                                        : 0100644,
	                       .target = "t",
	                       .target_len = n == 2};
	u64 ino, e = at(vol, d, "sub");

	switch (n) {
	case 0:
	case 1:
	case 2:
		return tfs_create(vol, 1, &"012"[n], 1, &c, &ino);
	case 3:
		return tfs_create(vol, 1, "", 0, &c, &ino);
	case 4:
		return tfs_link(vol, at(vol, 1, "hard"), d, "again", 5);
	case 5:
		return tfs_unlink(vol, d, "fifo", 4, false, &ino);
	case 6:
		return tfs_rename(vol, d, "raw", 3, 1, "hard", 4, 0, &ino);
	case 7:
		return tfs_rename(vol, d, "sub", 3, 1, "up", 2, 0, &ino);
	case 8:
		return tfs_rename(vol, e, "file", 4, d, "raw", 3, TFS_RENAME_EXCHANGE, &ino);
	}
	return tfs_rename(vol, d, "null", 4, 1, "moved", 5, TFS_RENAME_WHITEOUT, &ino);
}

static int data(struct tfs_vol *vol, u64 d, u32 n)
{
	u64 raw = at(vol, d, "raw"), packed = at(vol, d, "packed"), sparse = at(vol, d, "sparse"),
	    i = at(vol, d, "inline"), twin = at(vol, d, "twin");
	struct tfs_attr a = {.mode = 0600, .uid = 9};

	switch (n) {
	case 0:
		return fuzz_write(vol, raw, 1, 5, 76000, TFS_CODEC_NONE, 1);
	case 1:
		return fuzz_write(vol, packed, 2, 9, 70000, TFS_CODEC_LZ4, 3);
	case 2:
		return fuzz_write(vol, i, 0, 1, 200, TFS_CODEC_NONE, 1);
	case 3:
		return fuzz_write(vol, sparse, 3, 2, 41 * 4096, TFS_CODEC_ZLIB, 3);
	case 4:
		return tfs_truncate(vol, packed, 30001);
	case 5:
		return tfs_truncate(vol, raw, 1 << 20);
	case 6:
		return tfs_punch(vol, packed, 3, 10);
	case 7:
		return tfs_preallocate(vol, raw, 1, 60, 300000);
	case 8:
		return tfs_setattr(vol, raw, TFS_SET_MODE | TFS_SET_UID | TFS_SET_MTIME, &a);
	case 9:
		return tfs_setxattr(vol, d, "user.a", 6, "other", 5, 0);
	case 10:
		return tfs_setxattr(vol, at(vol, 1, "hard"), "user.big", 8, out, 4000, 0);
	case 11:
		return tfs_clone(vol, packed, 0, raw, 0, 4, 76000, NULL);
	case 12:
		return tfs_clone(vol, twin, 39, twin, 23, 9, 0, NULL) | tfs_clone(vol, raw, 1, packed, 20, 7, 0, NULL);
	case 13:
		return tfs_punch(vol, twin, 1, 41);
	case 14:
		return tfs_truncate(vol, packed, 0);
	case 15:
		return tfs_removexattr(vol, at(vol, 1, "hard"), "user.big", 8);
	}
	while ((n = (u32)tfs_compact_step(vol, 64, TFS_COMPACT_FORCE)) == 1)
		;
	return (int)n;
}

/* Operations first..last of both lists, their records as one write, or as writes of `cut` bytes. */
static void replay_seed(u32 first, u32 last, u32 cut)
{
	static u8 records[SEED_MAX];
	struct tfs_vol *vol;
	u32 n, i;
	u64 d;

	fuzz_ram_reset();
	FUZZ_CHECK(!fuzz_mount(0, &vol), "seeds: mount failed");
	d = at(vol, 1, "dir");
	vol->env.logged = logged;
	for (i = first; i <= last; i++)
		/* some undo what a later one needs */
		FUZZ_CHECK(!(i < 10 ? names(vol, d, i) : data(vol, d, i - 10)) || first != last,
		           "seeds: operation %u failed", i);
	tfs_abandon(vol);
	memcpy(records, out, n = bytes);
	bytes = 0;
	put8(first * 5 + last);
	for (i = 0; i < n; i += cut) {
		put8(0);
		put16(n - i < cut ? n - i : cut);
		put(records + i, n - i < cut ? n - i : cut);
	}
	save("replay", cut < 8192 ? "cut" : last == first ? "one" : "several", first);
}

static void replay_seeds(void)
{
	u32 i;

	fuzz_base_filled();
	for (i = 0; i < 27; i++)
		replay_seed(i, i, 8192);
	for (i = 0; i < 25; i++)
		replay_seed(i, i + 2, 8192);
	for (i = 0; i < 24; i += 4)
		replay_seed(i, i + 2, 100);
}

/* ---- items ---- */

static void put_wide(u64 v, u32 n)
{
	if (v < 255) {
		put8((u32)v);
		return;
	}
	put8(255);
	put(&v, n);
}

static void put_item(int tree, struct tfs_key k, const void *value, u32 len)
{
	if (tree == TFS_TREE_SPACE) {
		put_wide(k.a & TFS_POS_MASK, 8);
		put8(0x80 | (u32)(k.a >> TFS_POS_BITS));
		put_wide(k.b, 7);
	} else {
		put_wide(k.a, 8);
		put8((u32)(k.b >> TFS_POS_BITS));
		put_wide(k.b & TFS_POS_MASK, 7);
	}
	put16(len);
	put(value, len);
}

/* All items of a tree in one leaf; of FS without those that `without` numbers as a type. */
static void leaf_seed(struct tfs_vol *vol, int tree, u32 without)
{
	struct tfs_key k = {0, 0};
	const u64 pending[1] = {tfs_cpu64(64)};
	const void *v;
	u32 len;

	put8(tree == TFS_TREE_SPACE ? FUZZ_ITEMS_SPACE : FUZZ_ITEMS_FS);
	put8(without * 16 + 13);
	for (; !tfs_item_next(vol, tree, &k, &v, &len); k.b++)
		if (tree == TFS_TREE_SPACE || k.b >> TFS_POS_BITS != without)
			put_item(tree, k, v, len);
	if (tree == TFS_TREE_FS && without == TFS_IT_PENDING) {
		put_item(tree, (struct tfs_key){5, (u64)TFS_IT_PENDING << TFS_POS_BITS | 16}, pending, 8);
		put_item(tree, (struct tfs_key){6, (u64)TFS_IT_PENDING << TFS_POS_BITS}, pending, 8);
	}
	save("items", tree == TFS_TREE_SPACE ? "space" : "fs", without);
}

/* The FS leaf with byte `at` of its `spoilt`th item at its highest. */
static void spoilt_leaf(struct tfs_vol *vol, u32 spoilt, u32 at)
{
	struct tfs_key k = {0, 0};
	u8 value[TFS_ITEM_MAX];
	const void *v;
	u32 len, n = 0;

	put8(FUZZ_ITEMS_FS);
	put8(spoilt * 16 + at);
	for (; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len); k.b++) {
		memcpy(value, v, len);
		if (n++ == spoilt)
			value[at] = 0xff;
		put_item(TFS_TREE_FS, k, value, len);
	}
	save("items", "spoilt", spoilt * 64 + at);
}

/* For two items of each type, each of their first bytes: what a check of items keeps out (tests/power/breaks.sh). */
static void spoilt_seeds(struct tfs_vol *vol)
{
	struct tfs_key k = {0, 0}, next;
	u32 of_type[256] = {0}, n, len, at;
	const void *v;

	for (n = 0; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len); n++, k = next) {
		next = (struct tfs_key){k.a, k.b + 1};
		if (of_type[k.b >> TFS_POS_BITS]++ < 2)
			for (at = 0; at < len && at < 64; at++)
				spoilt_leaf(vol, n, at);
	}
}

static void item_seeds(struct tfs_vol *vol)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len, n = 0;

	for (; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len); k.b++) {
		put8(FUZZ_ITEMS_CHECK);
		put8(0);
		put8(TFS_TREE_FS);
		put_item(TFS_TREE_FS, k, v, len);
		save("items", "item", n++);
	}
}

static void head_seeds(const struct tfs_vol *vol)
{
	struct tfs_anchor anchor;
	struct tfs_super super;

	(void)vol;
	fuzz_anchor(&anchor, &super);
	put8(FUZZ_ITEMS_SUPER);
	put8(0);
	put16(512);
	put((const u8 *)&super + 24, 488);
	save("items", "super", 0);
	put8(FUZZ_ITEMS_ANCHOR);
	put8(0);
	put16(512);
	put((const u8 *)&anchor + 24, 488);
	save("items", "anchor", 0);
}

/* The body of a node by columns, under a head that says `count` items. */
static void columns_seed(const u8 *node, u32 count, u32 n)
{
	static u8 spoilt[TFS_NODE_SIZE], columns[TFS_NODE_SIZE];
	u32 bytes = TFS_NODE_SIZE - sizeof(struct tfs_node_head);

	memcpy(spoilt, node, sizeof(spoilt));
	tfs_columns_out(columns, spoilt);
	while (bytes && !columns[bytes - 1])
		bytes--;
	put8(FUZZ_ITEMS_COLUMNS);
	put8(0);
	put8(node[6]);
	put8((u32)tfs_node_level(node));
	put16(count);
	put(node + 26, 2); /* heap */
	put(columns, bytes);
	save("items", "columns", n);
}

/* The leaf, an index, and either with a count that is too high. */
static void columns_seeds(const u8 *leaf)
{
	u8 node[TFS_NODE_SIZE];
	u32 i;

	tfs_node_init(node, TFS_TREE_FS, 1, 7);
	for (i = 0; i < 100; i++) {
		struct tfs_ptr p = {.addr = 8 + i * 77777, .len = (u16)(1 + i % 33), .birth = i, .crc = i * 7654321};

		tfs_branch_insert(node, i, (struct tfs_key){i / 9, i}, &p);
	}
	columns_seed(node, 100, 0);
	columns_seed(node, 65535, 1);
	columns_seed(leaf, tfs_node_count(leaf), 2);
	columns_seed(leaf, 680, 3);
	columns_seed(leaf, 5, 4);
}

static void items_seeds(void)
{
	struct tfs_ptr root;
	struct tfs_vol *vol;
	const u8 *leaf;
	u32 i;

	fuzz_base_small();
	root = fuzz_root(TFS_TREE_FS);
	leaf = fuzz_ram_look((u32)(root.addr / 8));
	put8(FUZZ_ITEMS_NODE);
	put8(0);
	put16(0);              /* tree, level */
	put(leaf + 16 + 8, 4); /* count, heap */
	put(leaf + 64, 1024);
	save("items", "node", 0);
	columns_seeds(leaf);
	FUZZ_CHECK(!fuzz_mount(TFS_MOUNT_RO, &vol), "seeds: mount failed");
	for (i = 0; i < 10; i++)
		leaf_seed(vol, TFS_TREE_FS, i);
	leaf_seed(vol, TFS_TREE_SPACE, 0);
	leaf_seed(vol, TFS_TREE_SPACE, 1);
	item_seeds(vol);
	spoilt_seeds(vol);
	head_seeds(vol);
	tfs_abandon(vol);
}

/* ---- ops ---- */

static void ops_seeds(void)
{
	u32 i, k, r = 1;

	for (i = 0; i < 48; i++) {
		for (k = 0; k < 8u * (20 + i * 5); k++) {
			r = r * 1664525u + 1013904223u;
			/* few inodes and directories, so that operations meet */
			put8(k % 8 >= 1 && k % 8 <= 3 ? r >> 24 & (i % 4 ? 0x1f : 0xff) : r >> 24);
		}
		save("ops", "random", i);
	}
}

/* ---- frames: the first byte chooses what it is for ---- */

static void frame_seeds(void)
{
	static const char *const seeds[] = {
	    "01 rsp 6 200 OK\n3 rsp 6 200 OK\n2 rsp 6 200 OK\n",
	    "01 rsp 56 200 OK\nrelp_version=0\nrelp_software=librelp,1\ncommands=syslog\n3 rsp 3 200\n5 rsp 6 500 no\n",
	    "01 rsp 6 200 OK\n0 serverclose 0\n",
	    "01 rsp 6 500 no\n",
	    "017 <13>1 - - - - - -<1>line\r\n3 abc",
	    "2\x10\x41####-##-2026-11-28 a\n b\n2026-11-29 \xc3\xa4 and more of it\n",
	    "2\x10\x02--------one\n\ttwo\r\n\n three",
	    "3{\"a\":[1,{\"level\":1}],\"level\":\"error\"}",
	    "3<165>2026-11-28 10:00:00 [7] LOG:  x",
	    "3E0102 15:04:05 x\x01\\",
	    ("4<1>1 - h a p m [x@1 a=\"]\\\"\"][tfs@32473 v=\"00000000000000ff\" i=\"1\" g=\"2\" o=\"3\" "
	     "c=\"0000000a\"] x"),
	    "5relp://[::1]:2515?facility=local0&max=512&start=####-%23",
	    "5file:/a%20b?multi=indent&app=x%20y&severity=err",
	    "5elastic+https://[::1]:9200/a/b?gzip&batch=65536&index=logs-x",
	};
	u32 i;

	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		put(seeds[i], (u32)strlen(seeds[i]));
		save("frames", "text", i);
	}
}

/* ---- answers: format, status, how many were sent ---- */

static void answer_seeds(void)
{
	static const char *const seeds[] = {
	    "000{\"partialSuccess\":{\"rejectedLogRecords\":\"1\",\"errorMessage\":\"too old\"}}",
	    "002{}",
	    "00<html>",
	    "162entry for stream too far behind",
	    ("202{\"took\":3,\"errors\":true,\"items\":[{\"create\":{\"_id\":\"a\",\"status\":201}},{\"create\":{"
	     "\"status\":429,"
	     "\"error\":{\"type\":\"t\",\"reason\":\"r\"}}},{\"create\":{\"status\":400,\"error\":\"x\"}}]}"),
	    "304{\"text\":\"Success\",\"code\":0}",
	    "364{\"text\":\"Invalid data format\",\"code\":6,\"invalid-event-number\":2}",
	    "424",
	};
	u32 i;

	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		put(seeds[i], (u32)strlen(seeds[i]));
		save("answers", "text", i);
	}
}

/* ---- backup: manifests, and groups and entries of shards ---- */

static void manifest_seed(u32 catalog, u32 shards)
{
	struct bk_manifest m = {.kind = tfs_cpu32(BK_KIND_BACKUP), .sequence = tfs_cpu64(7), .epoch = tfs_cpu64(9)};
	struct bk_listed l = {0};
	struct bk_shard_ref s = {.entries = 4, .size = 500};

	m.flags = tfs_cpu32(catalog ? BK_CATALOG : 0);
	m.catalog = tfs_cpu32(catalog);
	m.shards = tfs_cpu32(shards);
	m.fs.addr = tfs_cpu64(4096);
	memcpy(m.super, fuzz_ram_look(1), sizeof(m.super));
	m.volume = ((struct tfs_super *)m.super)->head.volume;
	put8(0);
	put(&m, sizeof(m));
	for (u32 i = 0; i < catalog; i++) {
		l.sequence = tfs_cpu64(i + 1);
		put(&l, sizeof(l));
	}
	for (u32 i = 0; i < shards; i++)
		put(&s, sizeof(s));
	save("backup", "manifest", catalog * 10 + shards);
}

static void shard_seed(u32 groups, u32 entries)
{
	u32 all = groups * entries;

	put8(2);
	put(&groups, 4);
	put(&all, 4);
	for (u32 g = 0; g < groups; g++) {
		struct bk_group group = {.number = g, .count = tfs_cpu32(entries), .size = tfs_cpu32(100000)};

		put(&group, sizeof(group));
		for (u32 e = 0; e < entries; e++) {
			struct bk_entry entry = {.addr = tfs_cpu64(128 + 7 * e + g), .birth = tfs_cpu64(g + 1)};

			entry.units = tfs_cpu32(e + 1);
			entry.offset = tfs_cpu32(8 + 3000 * e);
			put(&entry, sizeof(entry));
		}
	}
	save("backup", "shard", groups * 10 + entries);
}

static void moved_seed(u32 groups, u32 entries)
{
	struct bk_moved m = {.generation = tfs_cpu64(3), .targets = tfs_cpu32(2), .groups = tfs_cpu32(groups)};

	put8(255);
	put(&m, sizeof(m));
	for (u32 t = 0; t < 2; t++) {
		struct bk_moved_to to = {.pack = {(u8)t}, .size = tfs_cpu32(100000)};

		put(&to, sizeof(to));
	}
	for (u32 g = 0; g < groups; g++) {
		struct bk_moved_from from = {.pack = {(u8)g}, .count = tfs_cpu32(entries)};

		put(&from, sizeof(from));
		for (u32 e = 0; e < entries; e++) {
			struct bk_moved_entry entry = {.from = tfs_cpu32(8 + 600 * e), .to = tfs_cpu32(32 + 600 * e)};

			entry.target = tfs_cpu32(e % 2);
			put(&entry, sizeof(entry));
		}
	}
	save("backup", "moved", groups * 10 + entries);
}

static void backup_seeds(void)
{
	fuzz_base_filled();
	manifest_seed(0, 0);
	manifest_seed(0, 3);
	manifest_seed(5, 2);
	for (u32 g = 0; g < 4; g++)
		shard_seed(g, 1 + g);
	for (u32 g = 0; g < 3; g++)
		moved_seed(g, 1 + g);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	dir = argv[1];
	mkdir(dir, 0777);
	image_seeds("image");
	field_seeds("image");
	image_seeds("fsck");
	replay_seeds();
	items_seeds();
	ops_seeds();
	frame_seeds();
	answer_seeds();
	backup_seeds();
	return 0;
}
