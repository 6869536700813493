// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The edits that mutations are made of, by the core from inside: mutate.h says what each does. Any failure ends the
 * program. */
#include "tests/fsck/mutate.h"

struct tfs_vol *vol;
u8 buf[TFS_ITEM_MAX];
struct tfs_inode inode;

void must(int err, const char *what)
{
	if (err < 0)
		exit(tfs_cli_fail(2, what, "%s", strerror(-err)));
}

void room(int tree, struct tfs_key key, u32 len)
{
	tfs_need_reset(vol);
	tfs_need(vol, tree, key, len);
	must(tfs_prepare(vol), "prepare");
}

struct tfs_key item_first(u64 ino, u32 type)
{
	struct tfs_key k = tfs_key(ino, type, 0);
	const void *v;
	u32 len;

	must(tfs_item_next(vol, TFS_TREE_FS, &k, &v, &len), "item");
	return k;
}

void item_put(struct tfs_key key, const void *value, u32 len)
{
	room(TFS_TREE_FS, key, len ? len : 1);
	tfs_item_put(vol, TFS_TREE_FS, key, value, len);
}

void item_del(struct tfs_key key)
{
	room(TFS_TREE_FS, key, 0);
	tfs_item_del(vol, TFS_TREE_FS, key);
}

u32 item_get(struct tfs_key key, void *out)
{
	const void *v;
	u32 len;

	must(tfs_item_find(vol, TFS_TREE_FS, key, &v, &len), "item");
	memcpy(out, v, len);
	return len;
}

void inode_load(u64 ino)
{
	item_get(tfs_inode_key(ino), &inode);
}

void inode_store(u64 ino)
{
	item_put(tfs_inode_key(ino), &inode, sizeof(inode));
}

struct tfs_key entry_of(u64 dir, const char *name)
{
	struct tfs_key k;
	u64 ino;
	u8 type;

	must(tfs_dirent_find(vol, dir, name, (u32)strlen(name), &k, &ino, &type), name);
	return k;
}

void entry_put(u64 dir, u64 pos, const char *name, u64 ino, u8 type)
{
	room(TFS_TREE_FS, tfs_key(dir, TFS_IT_DIRENT, pos), 300);
	tfs_dirent_put(vol, tfs_key(dir, TFS_IT_DIRENT, pos), name, (u32)strlen(name), ino, type);
}

u64 free_pos(const char *name)
{
	return tfs_name_position(vol, name, (u32)strlen(name));
}

u64 make(u64 parent, const char *name, u32 mode)
{
	struct tfs_create c = {.mode = mode, .target = "dir/a", .target_len = 5};
	u64 ino;

	must(tfs_create(vol, parent, name, (u32)strlen(name), &c, &ino), name);
	return ino;
}

void write_blocks(u64 ino, u32 blocks, int codec)
{
	static u8 data[16 * TFS_BLOCK], scratch[16 * TFS_BLOCK];
	struct tfs_encoded e;

	for (u32 done = 0; done < blocks; done += 16) {
		for (u32 i = 0; i < sizeof(data); i++)
			data[i] = (u8)(codec ? i / 64 % 8
			                     : i * 2654435761u >> 13); /* all 256 values alike would be stored raw */
		tfs_encode(codec, 0, data, 16, scratch, &e);
		must(tfs_write(vol, ino, done, &e, (u64)(done + 16) * TFS_BLOCK, NULL), "write");
	}
}
