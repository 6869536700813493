// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Damages one thing in a sound volume and keeps all checksums right, for the tests of fsck.tfs: `mutate IMAGE NAME`;
 * `mutate list` names them all with the problem that fsck must report, `mutate make IMAGE` builds the volume they work
 * on, and the commands below grow it or say where its parts lie. Uses the core from inside: the edits are those that no
 * host can make. This file is the command line; mutate.h says where the rest is.
 */
#include "tests/fsck/mutate.h"

/* ---- commands on a mounted volume ---- */
static void print(void *arg, const struct mutation *m)
{
	(void)arg;
	printf("%s %d %d %d\n", m->name, m->problem, m->left, m->data);
}

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
	if (mutate_damage(name))
		exit(tfs_cli_fail(1, name, "no such mutation"));
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
	} else if (!strcmp(name, "scatter")) {
		scatter_make();
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
		mutate_each(print, NULL);
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
