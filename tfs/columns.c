// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A node by columns: what LZ4 gets instead of the node. Slots, branches and values of one length are tables; all first
 * bytes of a table's rows stand together, then all second bytes, and so on. Most columns are then of one byte, or
 * nearly, and what cannot be foreseen (addresses, CRCs) no longer stands between what can. Keys are differences to the
 * key before. FORMAT.md (Nodes) has the order. Called by cache.c on the way out and in; knows no volume, does no I/O.
 * On the way in nothing is trusted, and only what stays in the node is written; the verifier comes after.
 */
#include "tfs/vol.h"

#define HEAD ((u32)sizeof(struct tfs_node_head))
#define BODY (TFS_NODE_SIZE - HEAD)
#define SLOT ((u32)sizeof(struct tfs_slot))
#define BRANCH ((u32)sizeof(struct tfs_branch))
#define GROUP 8u                      /* rows that are turned at a time; a table has as many, or more */
#define LENGTHS (TFS_COLUMN_MAX / 8u) /* of values in tables */
_Static_assert(TFS_COLUMN_ROWS == GROUP, "a table has a whole group");

/* Rows of one length: their columns from `base` on in the body by columns. `in` below: from there into the node. */
struct table {
	u16 base, rows, done;
	u16 at[GROUP]; /* where the last rows lie in the node, by their numbers % GROUP */
};

static inline u64 load(const u8 *p)
{
	le64 v;

	memcpy(&v, p, sizeof(v));
	return tfs_le64(v);
}

static inline void store(u8 *p, u64 v)
{
	le64 out = tfs_cpu64(v);

	memcpy(p, &out, sizeof(out));
}

static inline __attribute__((always_inline)) void swap(u64 *a, u64 *b, int shift, u64 mask)
{
	u64 t = (*a >> shift ^ *b) & mask;

	*b ^= t;
	*a ^= t << shift;
}

/* Byte i of word j becomes byte j of word i. */
static inline __attribute__((always_inline)) void turn(u64 *v)
{
	const u64 half = 0x00000000ffffffffull, quarter = 0x0000ffff0000ffffull, eighth = 0x00ff00ff00ff00ffull;

	swap(&v[0], &v[4], 32, half);
	swap(&v[1], &v[5], 32, half);
	swap(&v[2], &v[6], 32, half);
	swap(&v[3], &v[7], 32, half);
	swap(&v[0], &v[2], 16, quarter);
	swap(&v[1], &v[3], 16, quarter);
	swap(&v[4], &v[6], 16, quarter);
	swap(&v[5], &v[7], 16, quarter);
	swap(&v[0], &v[1], 8, eighth);
	swap(&v[2], &v[3], 8, eighth);
	swap(&v[4], &v[5], 8, eighth);
	swap(&v[6], &v[7], 8, eighth);
}

/* The last GROUP rows that the table got. Where they are no multiple, the last group has some of the one before again. */
static inline __attribute__((always_inline)) void group_turn(const struct table *t, u32 len, u8 *node, u8 *columns,
                                                             bool in)
{
	u8 *row[GROUP], *c = columns + t->base + t->done - GROUP;
	u64 v[GROUP];
	u32 w, i;

	for (i = 0; i < GROUP; i++)
		row[i] = node + t->at[(t->done + i) % GROUP];
	for (w = 0; w < len; w += 8) {
		for (i = 0; i < GROUP; i++)
			v[i] = load(in ? c + i * t->rows : row[i] + w);
		turn(v);
		for (i = 0; i < GROUP; i++)
			store(in ? row[i] + w : c + i * t->rows, v[i]);
		c += 8 * t->rows;
	}
}

static void table_add(struct table *t, u32 at, u32 len, u8 *node, u8 *columns, bool in)
{
	t->at[t->done++ % GROUP] = (u16)at;
	if (t->done % GROUP && t->done != t->rows)
		return;
	if (in)
		group_turn(t, len, node, columns, true);
	else
		group_turn(t, len, node, columns, false);
}

/* Slots or branches: rows that stand together in the node. */
static void heads_turn(u32 rows, u32 len, u8 *node, u8 *columns, bool in)
{
	struct table t = {.rows = (u16)rows};
	u32 i;

	for (i = 0; i < rows; i++)
		table_add(&t, HEAD + i * len, len, node, columns, in);
}

static u32 padded(const struct tfs_slot *s)
{
	return (tfs_le16(s->len) + 7u) & ~7u;
}

/* Where in the body the tables begin, and behind them the longer values; returns the end of these. */
static u32 tables_place(struct table *t, const struct tfs_slot *s, u32 slots, u32 *longer)
{
	u32 i, at = slots * SLOT, rest = 0;

	memset(t, 0, LENGTHS * sizeof(*t));
	for (i = 0; i < slots; i++) {
		u32 len = padded(&s[i]);

		if (len && len <= TFS_COLUMN_MAX)
			t[len / 8 - 1].rows++;
		else
			rest += len;
	}
	for (i = 0; i < LENGTHS; i++) {
		if (t[i].rows < GROUP) {
			rest += t[i].rows * (i + 1) * 8;
			t[i].rows = 0;
		}
		t[i].base = (u16)at;
		at += t[i].rows * (i + 1) * 8;
	}
	*longer = at;
	return at + rest;
}

/* The values, and behind them zeros; on the way in to the places that a compact leaf has. False: more than fits. */
static bool values_turn(u8 *node, u8 *columns, bool in)
{
	struct tfs_slot *s = (struct tfs_slot *)(node + HEAD);
	u32 slots = tfs_node_count(node), off = TFS_NODE_SIZE, longer, end, i;
	struct table t[LENGTHS];

	end = tables_place(t, s, slots, &longer);
	if (end > BODY)
		return false;
	for (i = 0; i < slots; i++) {
		u32 len = padded(&s[i]);

		off -= len;
		if (in)
			s[i].off = tfs_cpu16((u16)off);
		if (len && len <= TFS_COLUMN_MAX && t[len / 8 - 1].rows) {
			table_add(&t[len / 8 - 1], tfs_le16(s[i].off), len, node, columns, in);
		} else {
			memcpy(in ? node + off : columns + longer, in ? columns + longer : node + tfs_le16(s[i].off),
			       len);
			longer += len;
		}
	}
	if (in)
		memset(&s[slots], 0, off - HEAD - slots * SLOT);
	else
		memset(columns + end, 0, BODY - end);
	return true;
}

/* The first `words` words of rows: each less the one before, or back. */
static void differ(u8 *rows, u32 count, u32 len, u32 words, bool in)
{
	u32 i, w;

	for (i = 1; i < count; i++) {
		u8 *row = rows + (in ? i : count - i) * len;

		for (w = 0; w < words * 8; w += 8) {
			u64 before = load(row - len + w), here = load(row + w);

			store(row + w, in ? here + before : here - before);
		}
	}
}

void tfs_columns_out(u8 *columns, u8 *node)
{
	struct tfs_slot *s = (struct tfs_slot *)(node + HEAD);
	u32 count = tfs_node_count(node), i;
	bool fit;

	if (tfs_node_level(node)) {
		differ(node + HEAD, count, BRANCH, 2, false);
		heads_turn(count, BRANCH, node, columns, false);
		memset(columns + count * BRANCH, 0, BODY - count * BRANCH);
		return;
	}
	fit = values_turn(node, columns, false);
	TFS_BUG_ON(!fit); /* of a sound node they fill what is left */
	for (i = 0; i < count; i++)
		s[i].off = 0;
	differ(node + HEAD, count, SLOT, 3, false);
	heads_turn(count, SLOT, node, columns, false);
}

bool tfs_columns_in(u8 *node, u8 *columns)
{
	u32 count = tfs_node_count(node);
	bool leaf = !tfs_node_level(node);
	u32 len = leaf ? SLOT : BRANCH;

	if (count < GROUP || count * len > BODY)
		return false;
	heads_turn(count, len, node, columns, true);
	differ(node + HEAD, count, len, leaf ? 3 : 2, true);
	if (leaf)
		return values_turn(node, columns, true);
	memset(node + HEAD + count * BRANCH, 0, BODY - count * BRANCH);
	return true;
}
