// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Fingers: the leaves that the last searches ended in, with the range of keys of each, so that the next search for
 * such a key need not go down from the root. Called by tree.c, under the lock of its host.
 *
 * A stale finger would lose data, so none is ever mended: vol->shape counts the changes after which a leaf may no
 * longer be what its range leads to, and a finger of another count is none. It goes up in cache.c when a node is freed,
 * as in each merge, and when one is new or becomes dirty, as in each split; in tree.c, where items or a branch move
 * without either. A root that is exchanged, as for the view of a snapshot, is not among these: a finger knows the root
 * it was found from. While a root keeps its address and nothing of the above happens, the leaves and their ranges are
 * the same, whatever becomes of the index nodes above.
 */
#include "tfs/vol.h"

const struct tfs_finger *tfs_finger_find(struct tfs_vol *vol, int tree, struct tfs_key key)
{
	u64 root = vol->root[tree].addr;
	u32 i;

	for (i = 0; i < TFS_FINGERS; i++) {
		const struct tfs_finger *f = &vol->finger[tree][i];

		if (f->shape != vol->shape || f->root != root || tfs_key_cmp(key, f->lo) < 0 ||
		    tfs_key_cmp(key, f->hi) >= 0)
			continue;
		tfs_cache_touch(vol, f->leaf);
		return f;
	}
	return NULL;
}

void tfs_finger_set(struct tfs_vol *vol, int tree, struct tfs_node *leaf, struct tfs_key lo, struct tfs_key hi)
{
	struct tfs_finger *f = &vol->finger[tree][vol->finger_next[tree]++ % TFS_FINGERS];

	f->leaf = leaf;
	f->root = vol->root[tree].addr;
	f->shape = vol->shape;
	f->lo = lo;
	f->hi = hi;
}
