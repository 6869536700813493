// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Read-ahead of nodes. A checkpoint writes nodes in the order of their keys, so those that follow each other in the
 * tree lie behind each other on the device, as a rule. When a node has to be read and the one before it is in memory,
 * the next ones of the same parent come along in the same request, as far as they lie behind it: it is requests that a
 * disk counts. Who reads only what was born after an epoch reads in order, too: the nodes that one checkpoint wrote. This only fills the cache: an error, damage or want of memory leaves it to the read proper, which says
 * what is wrong. Called by the tree, under the lock of its host.
 */
#include "tfs/vol.h"

#define AHEAD_UNITS ((128u << 10) / TFS_UNIT)
#define GAP_UNITS (2 * TFS_UNITS_PER_BLOCK) /* read over what a head left unused at its end */

static bool readable(const struct tfs_vol *vol, const struct tfs_ptr *p)
{
	return !(p->addr & TFS_MEM_ADDR) && !(p->flags & TFS_PTR_GANG) && tfs_space_valid(vol, p->addr, p->len);
}

/* Does the tree get read in order here? */
static bool in_order(struct tfs_vol *vol, struct tfs_node *n, u32 slot)
{
	return slot && tfs_cache_find(vol, tfs_le64(tfs_branch_at(n->buf, slot - 1)->ptr.addr));
}

/* May what lies between the end of one child and the next be read with them? */
static bool gap_readable(const struct tfs_vol *vol, u64 end, u64 addr)
{
	if (vol->dev->no_gaps) /* their blocks touch */
		return addr / TFS_UNITS_PER_BLOCK <= (end + TFS_UNITS_PER_BLOCK - 1) / TFS_UNITS_PER_BLOCK;
	return addr - end <= GAP_UNITS;
}

/* Up to where children from slot on, those that were born after `since`, lie behind each other, how many these are, and
 * where the last of them ends. */
static u32 children_together(struct tfs_vol *vol, struct tfs_node *n, u32 slot, u64 since, u32 *together, u64 *first,
                             u64 *end)
{
	u32 count = tfs_node_count(n->buf), i;

	for (i = slot; i < count && *together < TFS_AHEAD_NODES; i++) {
		struct tfs_ptr p = tfs_ptr_cpu(&tfs_branch_at(n->buf, i)->ptr);

		if (!(p.addr & TFS_MEM_ADDR) && p.birth <= since)
			continue;
		if (!readable(vol, &p))
			break;
		if (!*together)
			*first = *end = p.addr / TFS_UNITS_PER_BLOCK * TFS_UNITS_PER_BLOCK;
		if (p.addr < *end || !gap_readable(vol, *end, p.addr) || p.addr + p.len - *first > AHEAD_UNITS)
			break;
		*end = p.addr + p.len;
		++*together;
	}
	return i;
}

static void children_offer(struct tfs_vol *vol, struct tfs_node *n, u32 slot, u32 to, u64 since, struct tfs_key hi,
                           const u8 *buf, u64 first)
{
	u32 i;

	for (i = slot; i < to; i++) {
		struct tfs_ptr p = tfs_ptr_cpu(&tfs_branch_at(n->buf, i)->ptr);

		if (p.birth <= since)
			continue;
		tfs_cache_offer(vol, n->tree, &p, n->level - 1, tfs_node_key(n->buf, i),
		                i + 1 < tfs_node_count(n->buf) ? tfs_node_key(n->buf, i + 1) : hi,
		                buf + (p.addr - first) * TFS_UNIT);
	}
}

static void read_together(struct tfs_vol *vol, struct tfs_node *n, u32 slot, u64 since, struct tfs_key hi)
{
	u64 first = 0, end = 0;
	u32 children = 0, to = children_together(vol, n, slot, since, &children, &first, &end), bytes;
	u8 *buf;

	if (children < 2)
		return;
	bytes = (u32)((end - first + TFS_UNITS_PER_BLOCK - 1) / TFS_UNITS_PER_BLOCK * TFS_BLOCK);
	buf = tfs_port_alloc(bytes);
	if (!buf)
		return;
	if (!vol->dev->ops->io(vol->dev, TFS_IO_READ, first * TFS_UNIT, buf, bytes, 0)) /* quiet about errors */
		children_offer(vol, n, slot, to, since, hi, buf, first);
	tfs_port_free(buf);
}

void tfs_ahead(struct tfs_vol *vol, struct tfs_node *n, u32 slot, struct tfs_key hi)
{
	if (!vol->replaying && in_order(vol, n, slot))
		read_together(vol, n, slot, 0, hi);
}

void tfs_ahead_born(struct tfs_vol *vol, struct tfs_node *n, u32 slot, u64 since, struct tfs_key hi)
{
	if (!vol->replaying && !tfs_cache_find(vol, tfs_le64(tfs_branch_at(n->buf, slot)->ptr.addr)))
		read_together(vol, n, slot, since, hi);
}
