// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * mutate: which change is made. The named ones stand in tables by what they damage; "random:SEED" draws one to four
 * bytes or items of any tree. For mutate.c, which does it to an image, and mutated.c, which then uses the volume.
 */
#include "tests/fsck/mutate.h"

static const struct mutation *const tables[] = {mutations_names, mutations_inodes, mutations_extents, mutations_space,
                                                mutations_snaps};

void mutate_each(void (*fn)(void *arg, const struct mutation *m), void *arg)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct mutation *m = tables[t]; m->name; m++)
			fn(arg, m);
}

struct sought {
	const char *name;
	const struct mutation *found;
};

static void compare(void *arg, const struct mutation *m)
{
	struct sought *s = arg;

	if (!strcmp(s->name, m->name))
		s->found = m;
}

/* One to four random changes to items: bytes of values, or a swap of two values of the same length; any tree. */
static void random_damage(u64 seed)
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

		if (vol->snaps && (x >> 44) % 4 == 0)
			tree = TFS_TREE_SNAP;
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
			item_del(k);
		else if ((x >> 60) % 4)
			value[(x >> 20) % (len < 64 ? len : 64)] ^= (u8)(1u << (x >> 50) % 8);
		else
			value[(x >> 20) % len] = (u8)(x >> 52);
	}
}

int mutate_damage(const char *name)
{
	struct sought s = {name, NULL};

	mutate_each(compare, &s);
	if (!s.found && strncmp(name, "random:", 7))
		return -ENOENT;
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	if (s.found)
		s.found->fn();
	else
		random_damage(strtoull(name + 7, NULL, 10));
	return 0;
}
