// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Mutations of inodes, of the items beside them, of the counters of the volume, and of nodes as such. Each function
 * makes one change; the table says what fsck has to call it. */
#include "tests/fsck/mutate.h"

static void ship_put(u64 ino, u64 acked)
{
	struct {
		struct tfs_ship_head s;
		struct tfs_ship_cursor c;
	} item;

	memset(&item, 0, sizeof(item));
	item.s.count = tfs_cpu16(1);
	item.c = (struct tfs_ship_cursor){tfs_cpu64(17), tfs_cpu64(acked)};
	item_put(tfs_key(0, TFS_IT_SHIP, ino), &item, sizeof(item));
}
static void m_ship_gone(void)
{
	ship_put(4242, 0);
}
static void m_ship_past(void)
{
	ship_put(7, 64 * TFS_BLOCK + 1);
}
static void m_ship_link(void)
{
	ship_put(9, 0);
}
static void m_ship_origin(void)
{
	struct {
		struct tfs_ship_head s;
	} item = {.s = {.origin = tfs_cpu64(9)}};

	item_put(tfs_key(0, TFS_IT_SHIP, 7), &item, sizeof(item));
}
static void m_ship_dir(void)
{
	ship_put(2, 1);
}
static void m_nlink(void)
{
	inode_load(3);
	inode.nlink = tfs_cpu32(7);
	inode_store(3);
}
static void m_dir_nlink(void)
{
	inode_load(2);
	inode.nlink = tfs_cpu32(9);
	inode_store(2);
}
static void m_dir_size(void)
{
	inode_load(2);
	inode.size = tfs_cpu64(1);
	inode_store(2);
}
static void m_size(void)
{
	inode_load(7);
	inode.size = tfs_cpu64(4096);
	inode_store(7);
}
static void m_link_size(void)
{
	inode_load(9);
	inode.size = tfs_cpu64(77);
	inode_store(9);
}
static void m_blocks(void)
{
	inode_load(7);
	inode.blocks = tfs_cpu64(3);
	inode_store(7);
}
static void m_inode_gone(void)
{
	item_del(tfs_inode_key(7));
}
static void m_dir_gone(void)
{
	item_del(tfs_inode_key(5));
}
static void m_root_gone(void)
{
	item_del(tfs_inode_key(TFS_INO_ROOT));
}
static void m_all_gone(void)
{
	item_del(tfs_inode_key(6));
}
static void m_target(void)
{
	item_del(tfs_key(9, TFS_IT_SYMLINK, 0));
}
static void m_dir_blocks(void)
{
	inode_load(2);
	inode.blocks = tfs_cpu64(3);
	inode_store(2);
}
static void m_root_file(void)
{
	inode_load(1);
	inode.mode = tfs_cpu32(0100755);
	inode_store(1);
}
static void m_mixed(void) /* items of a directory and of a file, and no inode */
{
	m_all_gone();
	item_put(tfs_key(6, TFS_IT_INLINE, 0), "inline", 6);
	entry_put(6, free_pos("x"), "x", 3, 8);
}
static void m_xattr_left(void)
{
	m_all_gone();
	item_put(tfs_key(6, TFS_IT_XATTR, free_pos("user.x")), "\1\0\0\0\6\0user.xv", 13);
}
static void m_no_inode(void)
{
	item_put(tfs_key(1ull << 60, TFS_IT_DIRENT, 7), "\4\0\0\0\0\0\0\0\x08\1x", 11);
}
static void m_target_twice(void)
{
	item_put(tfs_key(9, TFS_IT_SYMLINK, 7), "other", 5);
}
static void m_unfit(void)
{
	item_put(tfs_key(3, TFS_IT_DIRENT, 0x12345600), "\4\0\0\0\0\0\0\0\x08\1x", 11);
}
static void m_next_ino(void)
{
	vol->counters.next_ino = 4;
}
static void m_next_huge(void)
{
	vol->counters.next_ino = 1ull << 60;
	item_del(entry_of(2, "sub"));
}
static void m_last_ino(void)
{
	inode_load(4);
	inode.blocks = 0;
	inode_store(TFS_INO_MAX);
	vol->counters.inodes++;
	vol->counters.next_ino = TFS_INO_MAX + 1;
}
static void m_inodes(void)
{
	vol->counters.inodes += 5;
}
static void m_promised(void)
{
	vol->counters.prealloc_blocks += 5;
}
static void m_live_units(void)
{
	vol->live_units += 5;
}
static void m_tail_dir(void)
{
	inode_load(2);
	inode.flags = tfs_cpu32(TFS_INODE_TAIL);
	inode_store(2);
}
static void m_bad_item(void)
{
	inode_load(3);
	inode.mode = tfs_cpu32(0170644);
	inode_store(3);
}
/* A hundred branches to one empty leaf. */
static void m_empty_leaf(void)
{
	struct tfs_node *root, *leaf;
	struct tfs_ptr ptr = {0};

	many_make(400);
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
	must(tfs_tree_dirty(vol, TFS_TREE_FS, tfs_inode_key(TFS_INO_ROOT), &leaf), "dirty");
	root = tfs_cache_find(vol, vol->root[TFS_TREE_FS].addr);
	leaf = tfs_cache_new(vol, TFS_TREE_FS, 0);
	ptr.addr = leaf->id;
	for (u64 i = 0; i < 100; i++)
		tfs_branch_insert(root->buf, tfs_node_count(root->buf), tfs_inode_key((1ull << 50) + i), &ptr);
}

/* ---- access control lists: the core stores what it is given ---- */

static void acl_set(u64 ino, const char *name, const void *value, u32 len)
{
	must(tfs_setxattr(vol, ino, name, (u32)strlen(name), value, len, 0), name);
	must(tfs_op_begin(vol, TFS_TIER_FREEING, 0), "begin");
}
static void m_acl_version(void)
{
	u8 acl[sizeof(volume_acl)];

	memcpy(acl, volume_acl, sizeof(acl));
	acl[0] = 1;
	acl_set(4, TFS_ACL_ACCESS, acl, sizeof(acl));
}
static void m_acl_order(void) /* group and mask change places */
{
	u8 acl[sizeof(volume_acl)];

	memcpy(acl, volume_acl, sizeof(acl));
	acl[4 + 8 * 2] = volume_acl[4 + 8 * 3];
	acl[4 + 8 * 3] = volume_acl[4 + 8 * 2];
	acl_set(4, TFS_ACL_ACCESS, acl, sizeof(acl));
}
static void m_acl_default(void)
{
	acl_set(10, TFS_ACL_DEFAULT, volume_acl, sizeof(volume_acl) - 1);
}
static void m_acl_far(void) /* too large for its item */
{
	static const u8 zeros[4004];

	acl_set(6, TFS_ACL_ACCESS, zeros, sizeof(zeros));
}

/* Of any volume: the second entry of every list is of no known kind. */
static void m_acl_all(void)
{
	struct tfs_key k = {0, 0};
	const void *v;
	u32 len;

	for (; !tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len); k.b++) {
		struct tfs_xattr *x = (struct tfs_xattr *)buf;

		if (k.b >> TFS_POS_BITS != TFS_IT_XATTR)
			continue;
		memcpy(buf, v, len);
		if (x->where || !tfs_acl_named(x->name, x->name_len, "", 0))
			continue;
		x->name[x->name_len + 4 + 8] = 64;
		item_put(k, buf, len);
	}
}

const struct mutation mutations_inodes[] = {
    {"ship-gone", m_ship_gone, 39, 0, 0},
    {"ship-past", m_ship_past, 39, 0, 0},
    {"ship-link", m_ship_link, 39, 0, 0},
    {"ship-dir", m_ship_dir, 39, 0, 0},
    {"ship-origin", m_ship_origin, 39, 0, 0},
    {"nlink", m_nlink, 24, 0, 0}, /* name, edit, problem, left, data */
    {"dir-nlink", m_dir_nlink, 24, 0, 0},
    {"dir-size", m_dir_size, 22, 0, 0},
    {"size", m_size, 22, 0, 0},
    {"link-size", m_link_size, 22, 0, 0},
    {"blocks", m_blocks, 23, 0, 0},
    {"inode-gone", m_inode_gone, 20, 0, 0},
    {"dir-gone", m_dir_gone, 20, 0, 0},
    {"root-gone", m_root_gone, 21, 0, 0},
    {"empty-gone", m_all_gone, 31, 0, 0},
    {"target", m_target, 28, 0, 0},
    {"unfit", m_unfit, 27, 0, 0},
    {"dir-blocks", m_dir_blocks, 23, 0, 0},
    {"root-file", m_root_file, 21, 0, 0},
    {"mixed", m_mixed, 27, 0, 0},
    {"xattr-left", m_xattr_left, 20, 0, 0},
    {"no-inode", m_no_inode, 10, 0, 0},
    {"target-twice", m_target_twice, 10, 0, 0},
    {"next-ino", m_next_ino, 40, 0, 0},
    {"next-huge", m_next_huge, 40, 0, 0},
    {"last-ino", m_last_ino, 35, 0, 0},
    {"inodes", m_inodes, 41, 0, 0},
    {"promised", m_promised, 41, 0, 0},
    {"live-units", m_live_units, 41, 0, 0},
    {"tail-dir", m_tail_dir, 37, 0, 0},
    {"bad-item", m_bad_item, 10, 0, 0},
    {"empty-leaf", m_empty_leaf, 10, 0, 0},
    {"acl-version", m_acl_version, 38, 0, 0},
    {"acl-order", m_acl_order, 38, 0, 0},
    {"acl-default", m_acl_default, 38, 0, 0},
    {"acl-all", m_acl_all, 38, 0, 0},
    {"acl-far", m_acl_far, 38, 0, 0},
    {NULL, NULL, 0, 0, 0},
};
