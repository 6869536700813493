// SPDX-License-Identifier: GPL-2.0
/*
 * Mounting, the superblock's operations and the module itself. A checkpoint runs every 30 seconds from a work item, and
 * at freeze and unmount.
 */
#include "tfs_linux.h"

#include <linux/blkdev.h>
#include <linux/exportfs.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#define CHECKPOINT_SECONDS 30

static struct kmem_cache *inode_cache;

/* ---- the core's environment ---- */

static struct tfs_time env_now(void *ctx)
{
	struct timespec64 t;

	ktime_get_real_ts64(&t);
	return tfs_time_in(t);
}

static u64 env_random(void *ctx)
{
	return get_random_u64();
}

static int volume_mount(struct tfs_sb *s, bool read_only, struct tfs_vol **out)
{
	struct tfs_mount_options opt = {.flags = read_only ? TFS_MOUNT_RO : 0, .cache_nodes = 4096};
	struct tfs_env env = {.ctx = s->sb->s_id, .now = env_now, .random = env_random};
	unsigned int nofs = memalloc_nofs_save();
	int err = tfs_bdev_open(&s->bdev, s->sb->s_bdev, read_only);

	if (!err)
		err = tfs_mount(&s->bdev.dev, &env, &opt, out);
	memalloc_nofs_restore(nofs);
	return err;
}

/* ---- inodes in memory ---- */

static struct inode *alloc_inode(struct super_block *sb)
{
	struct tfs_inode_info *i = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	return i ? &i->vfs_inode : NULL;
}

static void free_inode(struct inode *inode)
{
	kmem_cache_free(inode_cache, tfs_info(inode));
}

static void inode_init_once_info(void *p)
{
	inode_init_once(&((struct tfs_inode_info *)p)->vfs_inode);
}

/* ---- superblock ---- */

static void checkpoint_work(struct work_struct *work)
{
	struct tfs_sb *s = container_of(work, struct tfs_sb, checkpoint.work);

	if (!sb_rdonly(s->sb) && sb_start_intwrite_trylock(s->sb)) {
		tfs_checkpoint(tfs_enter(s->sb));
		tfs_leave(s->sb);
		sb_end_intwrite(s->sb);
	}
	schedule_delayed_work(&s->checkpoint, CHECKPOINT_SECONDS * HZ);
}

static int sync_fs(struct super_block *sb, int wait)
{
	int err = 0;

	if (wait && !sb_rdonly(sb)) {
		err = tfs_sync(tfs_enter(sb));
		tfs_leave(sb);
	}
	return tfs_user_err(err);
}

static int freeze_fs(struct super_block *sb)
{
	int err = sb_rdonly(sb) ? 0 : tfs_checkpoint(tfs_enter(sb));

	if (!sb_rdonly(sb))
		tfs_leave(sb);
	return tfs_user_err(err);
}

static int statfs_op(struct dentry *dentry, struct kstatfs *out)
{
	struct super_block *sb = dentry->d_sb;
	struct tfs_stat st;

	tfs_statfs(tfs_enter(sb), &st);
	tfs_leave(sb);
	out->f_type = TFS_SUPER_MAGIC;
	out->f_bsize = out->f_frsize = TFS_BLOCK;
	out->f_blocks = st.blocks;
	out->f_bfree = st.free;
	out->f_bavail = st.available;
	out->f_ffree = st.available * 4; /* made as they are needed */
	out->f_files = st.inodes + out->f_ffree;
	out->f_namelen = TFS_NAME_MAX;
	out->f_fsid = u64_to_fsid(st.volume);
	return 0;
}

static void put_super(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	int err;

	cancel_delayed_work_sync(&s->checkpoint);
	err = tfs_unmount(s->vol);
	if (err)
		pr_err("tfs: %s: last checkpoint failed: error %d; the log holds what was synced\n", sb->s_id, err);
	kvfree(s->staging);
	kvfree(s->encoded);
	kfree(s);
	sb->s_fs_info = NULL;
}

static const struct super_operations super_ops = {
    .alloc_inode = alloc_inode,
    .free_inode = free_inode,
    .write_inode = tfs_write_inode,
    .evict_inode = tfs_evict_inode,
    .put_super = put_super,
    .sync_fs = sync_fs,
    .freeze_fs = freeze_fs,
    .statfs = statfs_op,
};

/* ---- file handles: inode numbers are never used again ---- */

static struct inode *handle_inode(struct super_block *sb, u64 ino, u32 generation)
{
	return ino ? tfs_iget(sb, ino) : ERR_PTR(-ESTALE);
}

static struct dentry *fh_to_dentry(struct super_block *sb, struct fid *fid, int len, int type)
{
	return generic_fh_to_dentry(sb, fid, len, type, handle_inode);
}

static struct dentry *fh_to_parent(struct super_block *sb, struct fid *fid, int len, int type)
{
	return generic_fh_to_parent(sb, fid, len, type, handle_inode);
}

static struct dentry *get_parent(struct dentry *child)
{
	return d_obtain_alias(tfs_iget(child->d_sb, tfs_info(d_inode(child))->parent));
}

static const struct export_operations export_ops = {
    TFS_ENCODE_FH.fh_to_dentry = fh_to_dentry,
    .fh_to_parent = fh_to_parent,
    .get_parent = get_parent,
};

/* ---- mounting ---- */

static int root_make(struct super_block *sb)
{
	struct inode *root = tfs_iget(sb, TFS_INO_ROOT);

	if (IS_ERR(root))
		return PTR_ERR(root);
	if (!S_ISDIR(root->i_mode)) {
		iput(root);
		return -EUCLEAN;
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static void super_set(struct super_block *sb)
{
	sb->s_magic = TFS_SUPER_MAGIC;
	sb->s_op = &super_ops;
	sb->s_export_op = &export_ops;
	sb->s_xattr = tfs_xattr_handlers;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_max_links = TFS_LINK_MAX;
	sb->s_time_gran = 1;
	sb->s_time_min = S64_MIN;
	sb->s_time_max = S64_MAX;
}

static int volume_open(struct super_block *sb, struct tfs_sb *s)
{
	struct tfs_stat st;
	int err = volume_mount(s, sb_rdonly(sb), &s->vol);

	if (err)
		return err;
	tfs_statfs(s->vol, &st);
	s->volume_read_only = st.read_only;
	if (st.damaged && !sb_rdonly(sb)) {
		pr_err("tfs: %s: the log is damaged: mounted read-only; run fsck.tfs\n", sb->s_id);
		sb->s_flags |= SB_RDONLY;
	}
	memcpy(&sb->s_uuid, tfs_super_of(s->vol)->uuid, 16);
	return 0;
}

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct tfs_sb *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err = -ENOMEM;

	if (!s)
		return err;
	sb->s_fs_info = s;
	s->sb = sb;
	mutex_init(&s->lock);
	mutex_init(&s->writeback);
	INIT_DELAYED_WORK(&s->checkpoint, checkpoint_work);
	s->staging = kvmalloc(TFS_WINDOW_BYTES, GFP_KERNEL);
	s->encoded = kvmalloc(TFS_WINDOW_BYTES, GFP_KERNEL);
	super_set(sb);
	if (s->staging && s->encoded)
		err = sb_set_blocksize(sb, TFS_BLOCK) ? 0 : -EINVAL;
	if (!err)
		err = volume_open(sb, s);
	if (!err)
		err = root_make(sb);
	if (!err) {
		schedule_delayed_work(&s->checkpoint, CHECKPOINT_SECONDS * HZ);
		return 0;
	}
	if (s->vol)
		tfs_abandon(s->vol);
	kvfree(s->staging);
	kvfree(s->encoded);
	kfree(s);
	sb->s_fs_info = NULL;
	return err;
}

static int get_tree(struct fs_context *fc)
{
	return get_tree_bdev(fc, fill_super);
}

/* rw: the volume is mounted again for writing. ro: what is dirty has been written; a checkpoint makes the log short. */
static int reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	struct tfs_sb *s = tfs_sb(sb);
	bool read_only = fc->sb_flags & SB_RDONLY;
	struct tfs_vol *vol;
	int err = 0;

	sync_filesystem(sb);
	if (read_only == sb_rdonly(sb))
		return 0;
	if (read_only) {
		err = tfs_checkpoint(tfs_enter(sb));
		tfs_leave(sb);
	} else if (s->volume_read_only) {
		if (bdev_read_only(sb->s_bdev))
			return -EROFS;
		tfs_enter(sb);
		err = volume_mount(s, false, &vol);
		if (!err) {
			tfs_abandon(s->vol);
			s->vol = vol;
			s->volume_read_only = false;
		}
		tfs_leave(sb);
	}
	return tfs_user_err(err);
}

static const struct fs_context_operations context_ops = {
    .get_tree = get_tree,
    .reconfigure = reconfigure,
};

static int init_fs_context(struct fs_context *fc)
{
	fc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	kill_block_super(sb);
}

static struct file_system_type tfs_type = {
    .owner = THIS_MODULE,
    .name = "tfs",
    .init_fs_context = init_fs_context,
    .kill_sb = kill_sb,
    .fs_flags = FS_REQUIRES_DEV,
};
MODULE_ALIAS_FS("tfs");

static int __init tfs_init(void)
{
	int err;

	inode_cache = kmem_cache_create("tfs_inode", sizeof(struct tfs_inode_info), 0,
	                                SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, inode_init_once_info);
	if (!inode_cache)
		return -ENOMEM;
	err = register_filesystem(&tfs_type);
	if (err)
		kmem_cache_destroy(inode_cache);
	return err;
}

static void __exit tfs_exit(void)
{
	unregister_filesystem(&tfs_type);
	rcu_barrier(); /* free_inode runs behind it */
	kmem_cache_destroy(inode_cache);
}

module_init(tfs_init);
module_exit(tfs_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("TFS, a log-structured filesystem for data volumes");
MODULE_SOFTDEP("pre: crc32c lz4_compress");
