// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The volume's structures: super, anchors, log, tree, segments, object. The first three look at the bare device, so
 * that they also serve where a mount fails.
 */
#include "fsck/dump.h"

#include <stdlib.h>

/* ---- super ---- */

static void super_copy(struct dump *d, const char *which, u64 at, u8 *block)
{
	const struct tfs_super *s = (const struct tfs_super *)block;
	const char *why = "cannot be read";
	struct tfs_line l;

	if (at + TFS_BLOCK <= d->dev.dev.size && !d->dev.dev.ops->io(&d->dev.dev, TFS_IO_READ, at, block, TFS_BLOCK, 0))
		why = tfs_super_check(block, d->dev.dev.size);
	dump_begin(d, &l, 0, "superblock");
	tfs_line_text(&l, "copy", which);
	tfs_line_num(&l, "offset", at);
	tfs_line_text(&l, "state", why ? why : "whole");
	if (why)
		dump_note(d, DUMP_DAMAGE);
	else
		tfs_line_num(&l, "size", tfs_le64(s->size));
	tfs_line_end(&l);
}

static void super_fields(struct dump *d)
{
	const struct tfs_super *s = &d->super;
	struct tfs_line l;
	char uuid[37];

	dump_begin_tall(d, &l, "volume");
	tfs_line_bytes(&l, "label", s->label, strnlen((const char *)s->label, sizeof(s->label)));
	tfs_cli_uuid_text(s->uuid, uuid);
	tfs_line_text(&l, "uuid", uuid);
	tfs_line_hex(&l, "volume", tfs_le64(s->head.volume), 16);
	tfs_line_time(&l, "created", &s->created);
	tfs_line_num(&l, "size", tfs_le64(s->size));
	tfs_line_num(&l, "segments", tfs_le64(s->segments));
	tfs_line_num(&l, "segment_size", 1ull << tfs_le32(s->segment_bits));
	tfs_line_num(&l, "node_size", tfs_le32(s->node_size));
	tfs_line_text(&l, "codec", dump_codec_text(s->codec));
	tfs_line_num(&l, "level", s->codec_level);
	tfs_line_num(&l, "window", 1u << s->window_bits);
	tfs_line_hex(&l, "compat", tfs_le64(s->compat), 1);
	tfs_line_hex(&l, "ro_compat", tfs_le64(s->ro_compat), 1);
	tfs_line_hex(&l, "incompat", tfs_le64(s->incompat), 1);
	tfs_line_end(&l);
}

static void state_fields(struct dump *d, struct tfs_vol *vol)
{
	struct tfs_line l;
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	dump_begin_tall(d, &l, "state");
	tfs_line_num(&l, "bytes_in_use", st.live_units * TFS_UNIT);
	tfs_line_num(&l, "blocks", st.blocks);
	tfs_line_num(&l, "free", st.free);
	tfs_line_num(&l, "available", st.available);
	tfs_line_num(&l, "promised", st.prealloc_blocks);
	tfs_line_num(&l, "inodes", st.inodes);
	tfs_line_num(&l, "next_ino", st.next_ino);
	tfs_line_num(&l, "epoch", st.epoch);
	tfs_line_num(&l, "next_record", st.sequence);
	tfs_line_bool(&l, "clean", st.was_clean);
	tfs_line_bool(&l, "damaged", st.damaged);
	tfs_line_end(&l);
	if (st.damaged)
		dump_note(d, DUMP_DAMAGE);
}

int dump_cmd_super(struct dump *d)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_RO | (d->no_replay ? TFS_MOUNT_NOREPLAY : 0)};
	u64 end = d->dev.dev.size & ~(u64)(TFS_BLOCK - 1);
	struct tfs_vol *vol;
	static u8 block[TFS_BLOCK];
	int err = tfs_probe(&d->dev.dev, &d->env, &d->super, NULL);

	if (!err)
		end = tfs_le64(d->super.size);
	super_copy(d, "first", TFS_SUPER_OFFSET, block);
	if (end > TFS_BLOCK)
		super_copy(d, "last", end - TFS_BLOCK, block);
	if (err)
		return tfs_cli_fail(
		    DUMP_DAMAGE, d->image,
		    "expected a TFS superblock at byte 4096 or in the last block, found none; is --offset missing?");
	super_fields(d);
	err = tfs_mount(&d->dev.dev, &d->env, &opt, &vol);
	if (err)
		return tfs_cli_fail(DUMP_DAMAGE, d->image, "cannot be opened: %s; run fsck.tfs", strerror(-err));
	state_fields(d, vol);
	tfs_abandon(vol);
	return 0;
}

/* ---- anchors ---- */

static bool all_zero(const u8 *p, size_t n)
{
	while (n && !*p)
		p++, n--;
	return !n;
}

static void position_fields(struct tfs_line *l, const struct tfs_log_position *p)
{
	tfs_line_hex(l, "generation", tfs_le64(p->generation), 16);
	tfs_line_num(l, "run", tfs_le64(p->run));
	tfs_line_num(l, "run_blocks", tfs_le32(p->run_blocks));
	tfs_line_num(l, "next", tfs_le64(p->next));
	tfs_line_num(l, "next_blocks", tfs_le32(p->next_blocks));
	tfs_line_num(l, "log_offset", tfs_le32(p->offset));
	tfs_line_hex(l, "prev_crc", tfs_le32(p->prev_crc), 8);
	tfs_line_num(l, "sequence", tfs_le64(p->sequence));
}

static void anchor_show(struct dump *d, u32 copy, u32 slot, u64 chosen, bool *marked)
{
	u64 at = (copy ? tfs_le64(d->super.size) - TFS_TAIL_SIZE : TFS_ANCHOR_OFFSET) + slot * TFS_BLOCK;
	static u8 block[TFS_BLOCK];
	const struct tfs_anchor *a = (const struct tfs_anchor *)block;
	const char *why = d->dev.dev.ops->io(&d->dev.dev, TFS_IO_READ, at, block, TFS_BLOCK, 0)
	                      ? "cannot be read"
	                      : tfs_anchor_check(block, tfs_le64(d->super.head.volume));
	bool empty = why && all_zero(block, sizeof(*a)), hit;
	struct tfs_line l;

	dump_begin(d, &l, 0, "anchor");
	tfs_line_text(&l, "copy", copy ? "last" : "first");
	tfs_line_num(&l, "slot", slot);
	tfs_line_num(&l, "offset", at);
	tfs_line_text(&l, "state", empty ? "empty" : why ? why : "whole");
	if (!why) {
		hit = tfs_le64(a->epoch) == chosen && !*marked;
		*marked |= hit;
		tfs_line_num(&l, "epoch", tfs_le64(a->epoch));
		tfs_line_bool(&l, "chosen", hit);
		tfs_line_bool(&l, "clean", tfs_le32(a->flags) & TFS_ANCHOR_CLEAN);
		dump_ptr(&l, &a->checkpoint);
		position_fields(&l, &a->log);
	} else if (!empty) {
		dump_note(d, DUMP_DAMAGE);
	}
	tfs_line_end(&l);
}

static const char *checkpoint_read(struct dump *d, const struct tfs_anchor *a, u8 *block)
{
	const char *why;

	if (dump_read(d, tfs_le64(a->checkpoint.addr), TFS_UNITS_PER_BLOCK, block))
		return "cannot be read";
	if (tfs_port_crc32c(0, block, TFS_BLOCK) != tfs_le32(a->checkpoint.crc))
		return "CRC differs from the anchor's";
	why = dump_head_check(block, TFS_BT_CHECKPOINT, tfs_le64(d->super.head.volume), TFS_BLOCK);
	return why                                                                 ? why
	       : tfs_le32(((struct tfs_checkpoint *)block)->lists) > TFS_LIST_PTRS ? "list count out of range"
	                                                                           : NULL;
}

static void checkpoint_show(struct dump *d, const struct tfs_anchor *a)
{
	static u8 block[TFS_BLOCK];
	const struct tfs_checkpoint *c = (const struct tfs_checkpoint *)block;
	const char *why = checkpoint_read(d, a, block);
	struct tfs_line l;
	u32 i;

	dump_begin(d, &l, 0, "checkpoint");
	tfs_line_num(&l, "unit", tfs_le64(a->checkpoint.addr));
	tfs_line_text(&l, "state", why ? why : "whole");
	if (!why) {
		tfs_line_num(&l, "epoch", tfs_le64(c->epoch));
		tfs_line_num(&l, "next_ino", tfs_le64(c->next_ino));
		tfs_line_num(&l, "inodes", tfs_le64(c->inodes));
		tfs_line_num(&l, "live_units", tfs_le64(c->live_units));
		tfs_line_num(&l, "promised", tfs_le64(c->prealloc_blocks));
		tfs_line_num(&l, "sequence", tfs_le64(c->sequence));
		tfs_line_num(&l, "lists", tfs_le32(c->lists));
	}
	tfs_line_end(&l);
	for (i = 0; !why && i < TFS_TREES + tfs_le32(c->lists); i++) {
		dump_begin(d, &l, 2, i < TFS_TREES ? "root" : "list");
		if (i < TFS_TREES)
			tfs_line_text(&l, "tree", dump_tree_text((int)i));
		dump_ptr(&l, i < TFS_TREES ? &c->root[i] : &c->list[i - TFS_TREES]);
		tfs_line_end(&l);
	}
	if (why)
		dump_note(d, DUMP_DAMAGE);
}

int dump_cmd_anchors(struct dump *d)
{
	struct tfs_anchor a;
	bool marked = false;
	int err = tfs_probe(&d->dev.dev, &d->env, NULL, &a);

	for (u32 i = 0; i < 2 * TFS_ANCHOR_SLOTS; i++)
		anchor_show(d, i / TFS_ANCHOR_SLOTS, i % TFS_ANCHOR_SLOTS, err ? 0 : tfs_le64(a.epoch), &marked);
	if (err)
		return DUMP_DAMAGE; /* the probe said why */
	checkpoint_show(d, &a);
	return 0;
}

/* ---- log ---- */

static void log_write(void *arg, const struct tfs_log_head *h, const char *what)
{
	struct tfs_line l;

	dump_begin(arg, &l, 0, what);
	tfs_line_num(&l, "unit", tfs_le64(h->addr));
	tfs_line_num(&l, "epoch", tfs_le64(h->epoch));
	tfs_line_num(&l, "sequence", tfs_le64(h->sequence));
	tfs_line_num(&l, "records", tfs_le32(h->records));
	tfs_line_num(&l, "durable", tfs_le64(h->durable));
	tfs_line_num(&l, "anchor", tfs_le64(h->anchor));
	tfs_line_num(&l, "bytes", tfs_le32(h->bytes));
	tfs_line_num(&l, "carry", tfs_le32(h->carry));
	tfs_line_num(&l, "beside", tfs_le32(h->beside));
	tfs_line_num(&l, "run", tfs_le64(h->run));
	tfs_line_num(&l, "run_blocks", tfs_le32(h->run_blocks));
	tfs_line_num(&l, "next", tfs_le64(h->next));
	tfs_line_num(&l, "next_blocks", tfs_le32(h->next_blocks));
	tfs_line_hex(&l, "crc", tfs_le32(h->head.crc), 8);
	tfs_line_hex(&l, "prev_crc", tfs_le32(h->prev_crc), 8);
	tfs_line_end(&l);
}

static void log_in_chain(void *arg, const struct tfs_log_head *h)
{
	log_write(arg, h, "write");
}

static void log_later(void *arg, const struct tfs_log_head *h)
{
	log_write(arg, h, "later");
}

static void log_record(void *arg, u64 sequence, const struct tfs_rec_head *rec)
{
	dump_record(arg, sequence, rec);
}

int dump_cmd_log(struct dump *d)
{
	static const struct dump_log_ops ops = {.write = log_in_chain, .record = log_record, .later = log_later};
	struct dump_log_end end;
	struct tfs_anchor a;
	struct tfs_line l;
	int err = tfs_probe(&d->dev.dev, &d->env, NULL, &a);

	if (err)
		return DUMP_DAMAGE;
	dump_begin(d, &l, 0, "position");
	tfs_line_num(&l, "epoch", tfs_le64(a.epoch));
	tfs_line_bool(&l, "clean", tfs_le32(a.flags) & TFS_ANCHOR_CLEAN);
	position_fields(&l, &a.log);
	tfs_line_end(&l);
	err = dump_log_scan(d, &a, &ops, d, &end);
	if (err)
		return err;
	dump_begin(d, &l, 0, "end");
	tfs_line_num(&l, "unit", end.addr);
	tfs_line_text(&l, "reason", end.why);
	tfs_line_num(&l, "writes", end.writes);
	tfs_line_num(&l, "next_record", end.sequence);
	tfs_line_num(&l, "durable", end.durable);
	tfs_line_bool(&l, "damaged", end.damaged);
	tfs_line_end(&l);
	if (!end.damaged)
		return 0;
	return tfs_cli_fail(DUMP_DAMAGE, d->image, "records that were durable are missing from the log; run fsck.tfs");
}

/* ---- tree ---- */

static void key_fields(struct tfs_line *l, const char *a, const char *b, struct tfs_key k)
{
	tfs_line_hex(l, a, k.a, 1);
	tfs_line_hex(l, b, k.b, 16);
}

static void node_items(struct dump *d, const struct tfs_node_info *info, u32 count)
{
	const u8 *node = info->node;

	for (u32 i = 0; i < count; i++) {
		if (info->level) {
			const struct tfs_branch *b =
			    (const struct tfs_branch *)(node + sizeof(struct tfs_node_head)) + i;
			bool in_memory = tfs_le64(b->ptr.addr) >> 63;
			struct tfs_line l;

			dump_begin(d, &l, 2, "branch");
			key_fields(&l, "key_a", "key_b", (struct tfs_key){tfs_le64(b->key.a), tfs_le64(b->key.b)});
			tfs_line_bool(&l, "in_memory", in_memory);
			if (!in_memory)
				dump_ptr(&l, &b->ptr);
			tfs_line_end(&l);
		} else {
			const struct tfs_slot *s = (const struct tfs_slot *)(node + sizeof(struct tfs_node_head)) + i;

			dump_item(d, 2, info->tree, (struct tfs_key){tfs_le64(s->key.a), tfs_le64(s->key.b)},
			          node + tfs_le16(s->off), tfs_le16(s->len));
		}
	}
}

static int node_show(void *arg, const struct tfs_node_info *info)
{
	struct dump *d = arg;
	const struct tfs_node_head *h = info->node;
	struct tfs_line l;

	if (info->err) {
		dump_note(d, DUMP_DAMAGE);
		h = NULL;
	}
	dump_begin(d, &l, 0, "node");
	tfs_line_text(&l, "tree", dump_tree_text(info->tree));
	tfs_line_num(&l, "level", info->level);
	if (info->ptr.addr) {
		tfs_line_num(&l, "addr", info->ptr.addr);
		tfs_line_num(&l, "len", info->ptr.len);
		tfs_line_num(&l, "birth", info->ptr.birth);
		tfs_line_hex(&l, "crc", info->ptr.crc, 8);
		tfs_line_bool(&l, "gang", info->ptr.flags & TFS_PTR_GANG);
	} else {
		tfs_line_bool(&l, "in_memory", true);
	}
	if (h)
		tfs_line_num(&l, "count", tfs_le16(h->count));
	else
		tfs_line_text(&l, "damage", strerror(-info->err));
	key_fields(&l, "lo_a", "lo_b", info->lo);
	tfs_line_end(&l);
	if (h && d->items)
		node_items(d, info, tfs_le16(h->count));
	return ferror(stdout) ? 1 : 0;
}

int dump_cmd_tree(struct dump *d)
{
	int tree, err = 0;

	if (!d->args) {
		for (tree = 0; !err && tree < (int)TFS_TREES; tree++)
			err = tfs_tree_walk(d->vol, tree, node_show, d);
		return err < 0 ? DUMP_DAMAGE : 0;
	}
	for (tree = 0; tree < (int)TFS_TREES; tree++)
		if (!strcmp(d->arg[0], dump_tree_text(tree)))
			return tfs_tree_walk(d->vol, tree, node_show, d) < 0 ? DUMP_DAMAGE : 0;
	return tfs_cli_fail(DUMP_USAGE, d->arg[0], "expected fs, space, snap or refs");
}

/* ---- segments ---- */

struct log_segments {
	struct dump *d;
	u8 *bit; /* one a segment */
};

static void log_segment(void *arg, u64 addr, u32 blocks)
{
	struct log_segments *s = arg;
	u64 n;

	if (!dump_place_valid(s->d, addr, (u64)blocks * TFS_UNITS_PER_BLOCK))
		return;
	n = (addr * TFS_UNIT - TFS_SEGMENTS_OFFSET) >> tfs_le32(s->d->super.segment_bits);
	s->bit[n / 8] |= (u8)(1u << n % 8);
}

static void segment_show(struct dump *d, u64 n, const struct tfs_segment *s, bool log, bool differs)
{
	u32 bits = tfs_le32(d->super.segment_bits), blocks = 1u << (bits - TFS_BLOCK_BITS);
	struct tfs_line l;

	dump_begin(d, &l, 0, "segment");
	tfs_line_num(&l, "number", n);
	tfs_line_num(&l, "unit", (TFS_SEGMENTS_OFFSET + (n << bits)) / TFS_UNIT);
	tfs_line_text(&l, "state", !s->used_blocks ? "free" : s->used_blocks == blocks ? "full" : "part");
	tfs_line_num(&l, "live_units", s->live);
	tfs_line_num(&l, "used_blocks", s->used_blocks);
	tfs_line_num(&l, "blocks", blocks);
	tfs_line_num(&l, "age", s->age);
	tfs_line_bool(&l, "log", log);
	if (differs)
		tfs_line_text(&l, "damage", "counts differ from the map");
	tfs_line_end(&l);
}

static int segment_one(struct dump *d, u64 n, u8 *map, bool log)
{
	u32 blocks = 1u << (tfs_le32(d->super.segment_bits) - TFS_BLOCK_BITS), live = 0, used = 0;
	struct tfs_segment s;
	int err = tfs_segment_map(d->vol, n, map, &s);

	if (err) {
		tfs_cli_fail(0, d->image, "segment %llu: its map cannot be read: %s", (unsigned long long)n,
		             strerror(-err));
		return dump_note(d, DUMP_DAMAGE);
	}
	for (u32 i = 0; i < blocks; i++) {
		live += (u32)__builtin_popcount(map[i]);
		used += map[i] != 0;
	}
	if (live != s.live || used != s.used_blocks)
		dump_note(d, DUMP_DAMAGE);
	segment_show(d, n, &s, log, live != s.live || used != s.used_blocks);
	return 0;
}

/* How free space is spread: a line for each class of runs, and one for the whole. */
static void spread_show(struct dump *d, u64 segments)
{
	struct tfs_spread s = {0};
	struct tfs_line l;

	if (tfs_spread_add(d->vol, 0, segments, &s))
		return; /* said already, for the segment */
	for (u32 i = 0; i < TFS_RUN_CLASSES; i++) {
		if (!s.runs[i])
			continue;
		dump_begin(d, &l, 0, "free_runs");
		tfs_line_num(&l, "at_least", 1u << i);
		tfs_line_num(&l, "runs", s.runs[i]);
		tfs_line_num(&l, "blocks", s.blocks[i]);
		tfs_line_end(&l);
	}
	dump_begin(d, &l, 0, "space");
	tfs_line_num(&l, "segments", segments);
	tfs_line_num(&l, "whole_free_segments", s.whole_segments);
	tfs_line_num(&l, "used_blocks", s.used_blocks);
	tfs_line_num(&l, "free_blocks", s.free_blocks);
	tfs_line_num(&l, "live_units", s.live_units);
	tfs_line_end(&l);
}

int dump_cmd_segments(struct dump *d)
{
	u64 n, count = tfs_le64(d->super.segments);
	struct log_segments s = {d, calloc(count / 8 + 1, 1)};
	static const struct dump_log_ops ops = {.run = log_segment};
	u8 *map = malloc(1u << (tfs_le32(d->super.segment_bits) - TFS_BLOCK_BITS));
	struct dump_log_end end;
	struct tfs_anchor a;
	int err = 0;

	if (!s.bit || !map)
		err = tfs_cli_fail(DUMP_HOST, d->image, "out of memory");
	if (!err && !tfs_probe(&d->dev.dev, &d->env, NULL, &a))
		err = dump_log_scan(d, &a, &ops, &s, &end);
	for (n = 0; !err && n < count && !ferror(stdout); n++)
		segment_one(d, n, map, s.bit[n / 8] >> n % 8 & 1);
	if (!err && !ferror(stdout))
		spread_show(d, count);
	free(s.bit);
	free(map);
	return err;
}

/* ---- object ---- */

int dump_cmd_object(struct dump *d)
{
	char *end;
	u64 ino, found = 0;
	struct tfs_key k = {0, 0};
	int err;

	errno = 0;
	ino = k.a = strtoull(d->arg[0], &end, 0);
	if (*d->arg[0] < '0' || *d->arg[0] > '9' || *end || errno || ino > TFS_INO_MAX)
		return tfs_cli_fail(DUMP_USAGE, d->arg[0], "expected an inode number; ls -i and stat show them");
	for (;; k.b++) {
		const void *v;
		u32 len;

		err = tfs_item_next(d->vol, TFS_TREE_FS, &k, &v, &len);
		if (err || k.a != ino)
			break;
		dump_item(d, 0, TFS_TREE_FS, k, v, len);
		found++;
		if (k.b == ~0ull || ferror(stdout))
			break;
	}
	if (err && err != -ENOENT)
		return tfs_cli_fail(DUMP_DAMAGE, d->arg[0], "items cannot be read: %s; run fsck.tfs", strerror(-err));
	return found ? 0 : tfs_cli_fail(DUMP_USAGE, d->arg[0], "no such inode in the volume");
}
