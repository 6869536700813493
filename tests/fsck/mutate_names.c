// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Mutations of directory entries, links between directories, link counts of what they name, and the orphan list. Each
 * function makes one change; the table says what fsck has to call it. */
#include "tests/fsck/mutate.h"

static void m_parent(void)
{
	inode_load(5);
	inode.parent = tfs_cpu64(TFS_INO_ROOT);
	inode_store(5);
}
static void m_zero_nlink(void)
{
	inode_load(3);
	inode.nlink = 0;
	inode_store(3);
}
static void m_entry_gone(void)
{
	item_del(entry_of(2, "b"));
	inode_load(2);
	inode.size = tfs_cpu64(2);
	inode_store(2);
}
static void m_lost_file(void)
{
	entry_put(1, free_pos("lost+found"), "lost+found", 4, 8);
	item_del(entry_of(2, "sub"));
}
static void m_renames(void) /* many misplaced entries of one name */
{
	for (u64 i = 0; i < 3000; i++)
		entry_put(2, i << 8, "a", 3, 8);
}
static void m_subdir_gone(void)
{
	item_del(entry_of(2, "sub"));
}
static void m_dangling(void)
{
	entry_put(2, free_pos("ghost"), "ghost", 999, 8);
}
static void m_type(void)
{
	entry_put(2, entry_of(2, "a").b & TFS_POS_MASK, "a", 3, 12);
}
static void m_hash(void)
{
	struct tfs_key k = entry_of(2, "a");
	item_del(k);
	entry_put(2, (k.b & TFS_POS_MASK) ^ 0x5500, "a", 3, 8);
}
static void m_hash_stated(void) /* the inode states where it stands; so it does when that is mended */
{
	u64 pos = (entry_of(2, "b").b & TFS_POS_MASK) ^ 0x5500;

	item_del(entry_of(2, "b"));
	entry_put(2, pos, "b", 4, 8);
	inode_load(4);
	inode.name_pos = tfs_cpu64(pos);
	inode_store(4);
}
static void m_twice(void)
{
	entry_put(2, (entry_of(2, "a").b & TFS_POS_MASK) + 1, "a", 4, 8);
}
static void m_two_names(void)
{
	entry_put(1, free_pos("again"), "again", 5, 4);
}
static void m_cycle(void)
{
	struct tfs_key k = entry_of(TFS_INO_ROOT, "dir");

	item_del(k);
	entry_put(5, free_pos("dir"), "dir", 2, 4);
	inode_load(2);
	inode.parent = tfs_cpu64(5);
	inode_store(2);
}
static void m_orphan_extra(void)
{
	item_put(tfs_orphan_key(3), "", 0);
}
static void m_orphan_none(void)
{
	item_put(tfs_orphan_key(4242), "", 0);
}
static void m_orphan_named(void)
{
	m_zero_nlink();
	item_put(tfs_orphan_key(3), "", 0);
}
static void m_orphan_full(void)
{
	item_del(entry_of(2, "sub"));
	item_put(tfs_orphan_key(5), "", 0);
	inode_load(5);
	inode.nlink = 0;
	inode_store(5);
}
static void m_root_parent(void)
{
	inode_load(1);
	inode.parent = tfs_cpu64(5);
	inode_store(1);
}
static void m_place(void) /* the name's own hash, and none that is there */
{
	inode_load(3);
	inode.name_pos = tfs_cpu64(tfs_le64(inode.name_pos) + 1);
	inode_store(3);
}
static void m_place_other(void) /* an entry that names another inode */
{
	inode_load(4);
	inode.name_pos = tfs_cpu64(entry_of(2, "sub").b & TFS_POS_MASK);
	inode_store(4);
}
static void m_place_orphan(void) /* no name at all, and one that it states */
{
	inode_load(4);
	inode.nlink = 0;
	inode_store(4);
	item_put(tfs_orphan_key(4), "", 0);
	item_del(entry_of(2, "b"));
	inode_load(2);
	inode.size = tfs_cpu64(tfs_le64(inode.size) - 1);
	inode_store(2);
}
/* Directories that only name themselves, and a chain that hangs below the first of them. */
static void m_cycles(void)
{
	const u64 first = 100000, chain = first + 3000, end = chain + 3000;

	for (u64 ino = first; ino < end; ino++) {
		u64 parent = ino < chain ? ino : ino == chain ? first : ino - 1;
		u32 holds = ino == first ? 2 : ino + 1 < end;
		const char *name = ino == chain ? "chain" : "x";

		inode_load(5);
		inode.parent = tfs_cpu64(parent);
		inode.size = tfs_cpu64(holds);
		inode.nlink = tfs_cpu32(2 + holds);
		inode_store(ino);
		entry_put(parent, free_pos(name), name, ino, 4);
	}
	vol->counters.inodes += end - first;
	vol->counters.next_ino = end;
}

const struct mutation mutations_names[] = {
    {"parent", m_parent, 34, 0, 0}, /* name, edit, problem, left, data */
    {"zero-nlink", m_zero_nlink, 24, 0, 0},
    {"entry-gone", m_entry_gone, 35, 0, 0},
    {"subdir-gone", m_subdir_gone, 35, 0, 0},
    {"dangling", m_dangling, 31, 0, 0},
    {"type", m_type, 32, 0, 0},
    {"hash", m_hash, 29, 0, 0},
    {"hash-stated", m_hash_stated, 29, 0, 0},
    {"twice", m_twice, 30, 0, 0},
    {"two-names", m_two_names, 33, 0, 0},
    {"cycle", m_cycle, 35, 0, 0},
    {"orphan-extra", m_orphan_extra, 36, 0, 0},
    {"orphan-none", m_orphan_none, 36, 0, 0},
    {"orphan-named", m_orphan_named, 36, 0, 0},
    {"orphan-full", m_orphan_full, 35, 0, 0},
    {"root-parent", m_root_parent, 34, 0, 0},
    {"cycles", m_cycles, 35, 0, 0},
    {"lost-file", m_lost_file, 35, 0, 0},
    {"renames", m_renames, 29, 0, 0},
    {"place", m_place, 42, 0, 0},
    {"place-other", m_place_other, 42, 0, 0},
    {"place-orphan", m_place_orphan, 42, 0, 0},
    {NULL, NULL, 0, 0, 0},
};
