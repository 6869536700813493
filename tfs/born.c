// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What of a tree was born after an epoch. A node that changes takes its way up to the root along, so what is new hangs
 * together from the root down, and whoever looks only at that pays for what changed. Used by what compares snapshots
 * (diff.c), frees what a rollback left (old_state.c) and verifies (scrub.c), between operations or within one.
 */
#include "tfs/vol.h"

static const struct tfs_key KEY_MIN = {0, 0};
static const struct tfs_key KEY_MAX = {~0ull, ~0ull};

static bool is_new(const struct tfs_ptr *ptr, u64 since)
{
	return ptr->addr && (ptr->addr & TFS_MEM_ADDR || ptr->birth > since);
}

/* The first new child of the node at p->level that reaches past *key, which it may carry on; *at: its slot. */
static bool child_new(struct tfs_born *p, u64 since, struct tfs_key *key, struct tfs_ptr *ptr, u32 *at)
{
	int level = p->level;
	struct tfs_node *n = p->node[level];
	u32 slot = tfs_branch_find(n->buf, *key), count = tfs_node_count(n->buf);

	for (; slot < count; slot++) {
		*ptr = tfs_ptr_cpu(&tfs_branch_at(n->buf, slot)->ptr);
		if (!is_new(ptr, since))
			continue;
		p->lo[level - 1] = tfs_node_key(n->buf, slot);
		p->hi[level - 1] = slot + 1 < count ? tfs_node_key(n->buf, slot + 1) : p->hi[level];
		if (tfs_key_cmp(p->lo[level - 1], *key) > 0)
			*key = p->lo[level - 1];
		*at = slot;
		return true;
	}
	return false;
}

static int find(struct tfs_vol *vol, int tree, const struct tfs_ptr *root, u64 since, struct tfs_key *key,
                struct tfs_born *p, bool ahead)
{
	struct tfs_ptr ptr = *root;
	struct tfs_node *n;
	u32 slot;
	int err;

	p->next = ptr;
	p->next_level = 0;
	p->lo[0] = KEY_MIN;
	p->hi[0] = KEY_MAX;
	err = is_new(&ptr, since) ? tfs_cache_get(vol, tree, &ptr, -1, KEY_MIN, KEY_MAX, &n) : -ENOENT;
	if (err)
		return err;
	p->top = p->level = n->level;
	p->node[n->level] = n;
	p->lo[n->level] = KEY_MIN;
	p->hi[n->level] = KEY_MAX;
	while (p->level && child_new(p, since, key, &ptr, &slot)) {
		int level = p->level - 1;

		if (ahead)
			tfs_ahead_born(vol, p->node[p->level], slot, since, p->hi[p->level]);
		p->next = ptr;
		p->next_level = level;
		err = tfs_cache_get(vol, tree, &ptr, level, p->lo[level], p->hi[level], &p->node[level]);
		if (err)
			return err;
		p->level = level;
	}
	return 0;
}

int tfs_born_find(struct tfs_vol *vol, int tree, const struct tfs_ptr *root, u64 since, struct tfs_key *key,
                  struct tfs_born *p)
{
	return find(vol, tree, root, since, key, p, false);
}

int tfs_born_ahead(struct tfs_vol *vol, int tree, const struct tfs_ptr *root, u64 since, struct tfs_key *key,
                   struct tfs_born *p)
{
	return find(vol, tree, root, since, key, p, true);
}
