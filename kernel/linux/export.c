// SPDX-License-Identifier: GPL-2.0
/*
 * File handles, for NFS and open_by_handle_at: inode number, all 64 bits, and generation; the parent's number behind
 * for what is not a directory. Inode numbers are never used again, so a handle names its file or nothing.
 */
#include "tfs_linux.h"

#include <linux/exportfs.h>

#define HANDLE 0x74 /* a number of our own: others' handles do not get in here */
#define HANDLE_PARENT 0x75

struct handle {
	__le64 ino;
	__le32 generation;
	__le64 parent;
} __packed;
#define WORDS (offsetof(struct handle, parent) / 4)
#define WORDS_PARENT (sizeof(struct handle) / 4)

static int encode_fh(struct inode *inode, u32 *fh, int *max_len, struct inode *parent)
{
	int words = parent ? WORDS_PARENT : WORDS;
	struct handle *h = (struct handle *)fh;

	if (tfs_of_snapshots(inode)) /* a handle would name the volume's own inode */
		return FILEID_INVALID;
	if (*max_len < words) {
		*max_len = words;
		return FILEID_INVALID;
	}
	*max_len = words;
	h->ino = cpu_to_le64(inode->i_ino);
	h->generation = cpu_to_le32(inode->i_generation);
	if (parent)
		h->parent = cpu_to_le64(parent->i_ino);
	return parent ? HANDLE_PARENT : HANDLE;
}

static struct dentry *dentry_of(struct super_block *sb, u64 ino, const __le32 *generation)
{
	struct inode *inode = ino ? tfs_iget(sb, ino) : ERR_PTR(-ESTALE);

	if (!IS_ERR(inode) && (!inode->i_nlink || (generation && le32_to_cpu(*generation) != inode->i_generation))) {
		iput(inode);
		inode = ERR_PTR(-ESTALE);
	}
	return d_obtain_alias(inode);
}

static struct dentry *fh_to_dentry(struct super_block *sb, struct fid *fid, int len, int type)
{
	struct handle *h = (struct handle *)fid->raw;

	if ((type != HANDLE && type != HANDLE_PARENT) || len < WORDS)
		return NULL;
	return dentry_of(sb, le64_to_cpu(h->ino), &h->generation);
}

static struct dentry *fh_to_parent(struct super_block *sb, struct fid *fid, int len, int type)
{
	struct handle *h = (struct handle *)fid->raw;

	if (type != HANDLE_PARENT || len < WORDS_PARENT)
		return NULL;
	return dentry_of(sb, le64_to_cpu(h->parent), NULL);
}

static struct dentry *get_parent(struct dentry *child)
{
	return dentry_of(child->d_sb, tfs_info(d_inode(child))->parent, NULL);
}

/* What an NFS client is told has happened outlives a crash of its server: names, too, which nobody else syncs. */
static int commit_metadata(struct inode *inode)
{
	return tfs_sync_wait(inode->i_sb);
}

const struct export_operations tfs_export_ops = {
    .encode_fh = encode_fh,
    .fh_to_dentry = fh_to_dentry,
    .fh_to_parent = fh_to_parent,
    .get_parent = get_parent,
    .commit_metadata = commit_metadata,
};
