// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Damages one thing in a sound volume and keeps all checksums right, for the tests of fsck.tfs: `mutate IMAGE NAME`;
 * `mutate list` names them all with the problem that fsck must report, `mutate make IMAGE` builds the volume they work
 * on, and the commands below grow it or say where its parts lie. Uses the core from inside: the edits are those that no
 * host can make. This file is the command line; mutate.h says where the rest is.
 */
#include "tests/fsck/mutate.h"

static const struct mutation *const tables[] = {mutations_names, mutations_inodes, mutations_extents, mutations_space,
                                                mutations_snaps};

/* With name NULL all are printed. */
static const struct mutation *mutation_find(const char *name)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct mutation *m = tables[t]; m->name; m++) {
			if (!name)
				printf("%s %d %d %d\n", m->name, m->problem, m->left, m->data);
			else if (!strcmp(name, m->name))
				return m;
		}
	return NULL;
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

/* ---- commands on a mounted volume ---- */

/* Bytes: the FS tree's root as it was stored, data of /big, checkpoint, list block. */
static void where_parts(void)
{
	item_get(item_first(7, TFS_IT_EXTENT), buf);
	printf("%llu %llu %llu %llu\n", (unsigned long long)vol->root[TFS_TREE_FS].addr * TFS_UNIT,
	       (unsigned long long)tfs_le64(((struct tfs_extent *)buf)->ptr.addr) * TFS_UNIT,
	       (unsigned long long)vol->meta[0] * TFS_UNIT, (unsigned long long)vol->meta[1] * TFS_UNIT);
}

static void where(const char *what)
{
	if (*what)
		printf("%llu\n", (unsigned long long)index_place(atoi(what + 1)));
	else
		where_parts();
	tfs_abandon(vol);
}

static void damage(const char *name)
{
	const struct mutation *m = mutation_find(name);

	if (!m && strncmp(name, "random:", 7))
		exit(tfs_cli_fail(1, name, "no such mutation"));
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	if (m)
		m->fn();
	else
		random_damage(strtoull(name + 7, NULL, 10));
	must(tfs_unmount(vol), "unmount");
}

static void command(const char *name)
{
	if (!strncmp(name, "where", 5)) {
		where(name + 5);
	} else if (!strcmp(name, "log")) { /* not unmounted */
		log_make();
		tfs_abandon(vol);
	} else if (!strncmp(name, "many:", 5)) {
		many_make((u32)strtoul(name + 5, NULL, 10));
		must(tfs_unmount(vol), "unmount");
	} else if (!strncmp(name, "snapshots:", 10)) {
		snaps_make_some((u32)atoi(name + 10));
		must(tfs_unmount(vol), "unmount");
	} else if (!strncmp(name, "rollback:", 9)) {
		snaps_make_some(4);
		rollback_make(atoi(name + 9));
		must(tfs_unmount(vol), "unmount");
	} else if (!strcmp(name, "grow")) { /* to the end of its file */
		must(tfs_grow(vol, 0), "grow");
		must(tfs_unmount(vol), "unmount");
	} else if (!strncmp(name, "fill:", 5)) {
		fill_make((u32)strtoul(name + 5, NULL, 10));
		must(tfs_unmount(vol), "unmount");
	} else if (!strcmp(name, "copies")) {
		copies_make();
		must(tfs_unmount(vol), "unmount");
	} else {
		damage(name);
	}
}

/* where: as it is; where:LEVEL: as the checkpoint left it. */
static u32 mount_flags(const char *name)
{
	if (strncmp(name, "where", 5))
		return 0;
	return TFS_MOUNT_RO | (name[5] ? TFS_MOUNT_NOREPLAY : 0);
}

int main(int argc, char **argv)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = tfs_user_env();
	struct tfs_file_dev dev;

	tfs_cli_start("mutate");
	if (argc == 2)
		mutation_find(NULL);
	if (argc != 3)
		return argc != 2;
	if (!strcmp(argv[1], "make"))
		return volume_make(argv[2]), 0;
	must(tfs_file_dev_open(&dev, argv[1], 0, true, 0), argv[1]);
	opt.flags = mount_flags(argv[2]);
	must(tfs_mount(&dev.dev, &env, &opt, &vol), argv[1]);
	command(argv[2]);
	return tfs_file_dev_close(&dev) != 0;
}
