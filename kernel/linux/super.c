// SPDX-License-Identifier: GPL-2.0
/*
 * Mounting and its options, the superblock's operations and the module itself. A checkpoint runs every 30 seconds
 * (sync.c), at freeze, when the volume turns read-only and at unmount.
 */
#include "tfs_linux.h"
#include "sysfs.h"
#include "trace.h"

#include <linux/blkdev.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/seq_file.h>
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

static void env_quiesce(void *ctx, u64 epoch)
{
	struct tfs_sb *s = ctx;

	if (!tfs_quiet(s, epoch)) {
		atomic64_inc(&s->bdev.waits);
		tfs_quiesce(s, epoch);
	}
}

static bool env_quiet(void *ctx, u64 epoch)
{
	((struct tfs_sb *)ctx)->closing = epoch;
	return tfs_quiet(ctx, epoch);
}

static void env_logged(void *ctx, u64 sequence, const struct tfs_rec_head *rec)
{
	struct tfs_sb *s = ctx;

	atomic64_inc(&s->records);
	trace_tfs_op(s->sb, sequence, tfs_le16(rec->type), tfs_le64(rec->ino));
}

/* Changed nodes cannot be reclaimed: a sixteenth of memory at most. */
static u32 dirty_nodes(void)
{
	return clamp_t(unsigned long, totalram_pages() / 16 / (TFS_NODE_SIZE / PAGE_SIZE), 128, 4096);
}

static int volume_mount(struct tfs_sb *s, bool read_only, struct tfs_vol **out)
{
	struct tfs_mount_options opt = {.flags = (read_only ? TFS_MOUNT_RO : 0) |
	                                         (s->opt.discard ? TFS_MOUNT_DISCARD : 0) | TFS_MOUNT_FREES |
	                                         TFS_MOUNT_CHECKPOINTS,
	                                .cache_nodes = 4096,
	                                .dirty_nodes = dirty_nodes()};
	struct tfs_env env = {.ctx = s,
	                      .now = env_now,
	                      .random = env_random,
	                      .logged = env_logged,
	                      .quiesce = env_quiesce,
	                      .quiet = env_quiet,
	                      .event = tfs_core_event};
	unsigned int nofs = memalloc_nofs_save();
	int err = tfs_mount(&s->bdev.dev, &env, &opt, out);

	memalloc_nofs_restore(nofs);
	trace_tfs_mount(s->sb, read_only, err);
	if (!err) {
		tfs_compact_set(*out, s->opt.compact_off);
		tfs_snapshots_stepwise(*out, true);
	}
	return err;
}

/* ---- inodes in memory ---- */

static struct inode *alloc_inode(struct super_block *sb)
{
	struct tfs_inode_info *i = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!i)
		return NULL;
	i->seen = NULL;
	return &i->vfs_inode;
}

static void free_inode(struct inode *inode)
{
	kmem_cache_free(inode_cache, tfs_info(inode));
}

static void inode_init_once_info(void *p)
{
	struct tfs_inode_info *i = p;

	mutex_init(&i->writeback);
	inode_init_once(&i->vfs_inode);
}

/* ---- superblock ---- */

static int sync_fs(struct super_block *sb, int wait)
{
	return wait && !sb_rdonly(sb) ? tfs_sync_wait(sb) : 0;
}

/* Under sbi->lock, after a checkpoint that nothing came behind: a call for one is answered. Its work does not run in a
 * freeze, and nobody else would call before the time of the next. */
static void checkpoint_taken(struct tfs_sb *s, struct tfs_vol *vol)
{
	s->checkpoint_called = false;
	WRITE_ONCE(s->checkpoint_sequence, tfs_sequence(vol));
}

static int freeze_fs(struct super_block *sb)
{
	struct tfs_vol *vol;
	int err;

	if (sb_rdonly(sb))
		return 0;
	vol = tfs_enter(sb);
	err = tfs_checkpoint(vol);
	if (!err)
		checkpoint_taken(tfs_sb(sb), vol);
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

static const char *const errors_names[] = {"continue", "remount-ro", "panic"};

static int show_options(struct seq_file *m, struct dentry *root)
{
	const struct tfs_options *o = &tfs_sb(root->d_sb)->opt;

	seq_printf(m, ",errors=%s", errors_names[o->errors]);
	if (o->discard)
		seq_puts(m, ",discard");
	if (o->compact_off)
		seq_puts(m, ",compact=off");
	if (o->ship)
		seq_puts(m, ",ship");
	if (o->snapshot)
		seq_show_option(m, "snapshot", o->snapshot);
	tfs_kmsg_show(tfs_sb(root->d_sb), m);
	return 0;
}

/* What a mount built up so far; fields that were not are zeros. */
static void sb_free(struct tfs_sb *s)
{
	tfs_reads_exit(s);
	if (s->work_queue)
		destroy_workqueue(s->work_queue);
	tfs_stages_exit(s);
	tfs_bdev_close(&s->bdev);
	tfs_ship_exit(s);
	tfs_kmsg_exit(s);
	kfree(s->opt.snapshot);
	s->sb->s_fs_info = NULL;
	kfree(s);
}

/* No page is left: nothing may be promised to any, or the volume would seem fuller with each such loss. */
static void promises_check(struct tfs_sb *s)
{
	struct tfs_stat st;

	tfs_pool_drain(s);
	tfs_statfs(tfs_enter(s->sb), &st);
	tfs_leave(s->sb);
	if (st.delayed_blocks)
		pr_err("tfs: internal error: %s: %llu blocks are promised to unwritten pages at unmount\n", s->sb->s_id,
		       st.delayed_blocks);
}

static void checkpoints_on(struct tfs_sb *s, bool on)
{
	tfs_enter(s->sb);
	s->checkpoints_on = on;
	tfs_leave(s->sb);
}

static void put_super(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	int err = 0;

	tfs_sysfs_remove(s);
	tfs_compactor_stop(s);
	checkpoints_on(s, false);
	cancel_delayed_work_sync(&s->freeing); /* first: it may just be about to call the other */
	cancel_delayed_work_sync(&s->checkpoint);
	promises_check(s);
	tfs_enter(sb);
	if (sb_rdonly(sb)) /* reconfigure brought it to rest, or it is not to be written any more */
		tfs_abandon(s->vol);
	else
		err = tfs_unmount(s->vol);
	s->vol = NULL;
	s->trouble = false;
	tfs_leave(sb);
	if (err && !s->shut)
		pr_err("tfs: %s: last checkpoint failed: error %d; the log holds what was synced, the next mount reads "
		       "it\n",
		       sb->s_id, err);
	sb_free(s);
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
    .show_options = show_options,
};

/* ---- options ---- */

enum { OPT_ERRORS, OPT_DISCARD, OPT_COMPACT, OPT_SHIP, OPT_SNAPSHOT, OPT_ROLLBACK, OPT_KMSG, OPT_NOKMSG, OPT_KMSG_MAX };
static const struct constant_table errors_table[] = {
    {"continue", TFS_ERRORS_CONTINUE}, {"remount-ro", TFS_ERRORS_RO}, {"panic", TFS_ERRORS_PANIC}, {}};
static const struct constant_table compact_table[] = {{"off", 1}, {"auto", 0}, {}};
static const struct fs_parameter_spec parameters[] = {fsparam_enum("errors", OPT_ERRORS, errors_table),
                                                      fsparam_flag_no("discard", OPT_DISCARD),
                                                      fsparam_enum("compact", OPT_COMPACT, compact_table),
                                                      fsparam_flag_no("ship", OPT_SHIP),
                                                      fsparam_string("snapshot", OPT_SNAPSHOT),
                                                      fsparam_string("rollback", OPT_ROLLBACK),
                                                      fsparam_string("kmsg", OPT_KMSG),
                                                      fsparam_flag("nokmsg", OPT_NOKMSG),
                                                      fsparam_string("kmsg_max", OPT_KMSG_MAX),
                                                      {}};

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct tfs_options *o = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, parameters, param, &result);

	switch (opt) {
	case OPT_ERRORS:
		o->errors = result.uint_32;
		return 0;
	case OPT_DISCARD:
		o->discard = !result.negated;
		return 0;
	case OPT_COMPACT:
		o->compact_off = result.uint_32;
		return 0;
	case OPT_SHIP:
		o->ship = !result.negated;
		return 0;
	case OPT_SNAPSHOT:
		kfree(o->snapshot);
		o->snapshot = param->string;
		param->string = NULL; /* taken over */
		return 0;
	case OPT_ROLLBACK:
		kfree(o->rollback);
		o->rollback = param->string;
		param->string = NULL;
		return 0;
	case OPT_KMSG:
		opt = tfs_kmsg_path_option(fc, o, param->string);
		if (!opt)
			param->string = NULL;
		return opt;
	case OPT_NOKMSG:
		kfree(o->kmsg);
		o->kmsg = NULL;
		o->kmsg_named = true;
		return 0;
	case OPT_KMSG_MAX:
		return tfs_kmsg_max_option(fc, o, param->string);
	default:
		return opt;
	}
}

/* ---- mounting ---- */

/* Before anything of the volume is in memory. What came after the snapshot is freed by the work that frees. */
static int rollback(struct super_block *sb, struct fs_context *fc, struct tfs_options *o)
{
	struct tfs_vol *vol;
	u64 epoch, held = 0;
	int err;

	if (sb_rdonly(sb)) /* its log is damaged */
		return -EROFS;
	vol = tfs_enter(sb);
	err = tfs_snapshot_find(vol, o->rollback, strlen(o->rollback), &epoch);
	if (!err)
		err = tfs_rollback(vol, epoch, &held);
	tfs_leave(sb);
	o->rolled = !err;
	if (err == -ENOENT)
		errorf(fc, "tfs: %s: rollback=%s: no such snapshot; see tfs snapshot list", sb->s_id, o->rollback);
	if (err == -EBUSY)
		errorf(fc, "tfs: %s: rollback=%s: a later snapshot is held; see tfs snapshot list and release",
		       sb->s_id, o->rollback);
	return err;
}

static int root_make(struct super_block *sb)
{
	const char *name = tfs_sb(sb)->opt.snapshot;
	struct inode *root = name ? tfs_snapshot_root(sb, name) : tfs_iget(sb, TFS_INO_ROOT);

	if (name && root == ERR_PTR(-ENOENT))
		pr_err("tfs: %s: %s: no such snapshot; see tfs snapshot list\n", sb->s_id, name);
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
	sb->s_flags |= SB_POSIXACL;
	sb->s_magic = TFS_SUPER_MAGIC;
	sb->s_op = &super_ops;
	sb->s_export_op = &tfs_export_ops;
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

static int sb_make(struct super_block *sb, struct tfs_options *opt, struct net *net)
{
	struct tfs_sb *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err;

	if (!s)
		return -ENOMEM;
	sb->s_fs_info = s;
	s->sb = sb;
	s->opt = *opt;
	s->opt.rollback = s->opt.kmsg = NULL;
	tfs_views_init(s);
	tfs_ship_init(s, net);
	tfs_kmsg_init(s);
	tfs_kmsg_set(s, opt);
	init_waitqueue_head(&s->compactor_wait);
	INIT_DELAYED_WORK(&s->freeing, tfs_freeing_work);
	mutex_init(&s->lock);
	mutex_init(&s->stepping);
	init_waitqueue_head(&s->sync_wait);
	init_waitqueue_head(&s->gather_wait);
	spin_lock_init(&s->pool_lock);
	INIT_DELAYED_WORK(&s->checkpoint, tfs_checkpoint_work);
	s->opt.snapshot = opt->snapshot ? kstrdup(opt->snapshot, GFP_KERNEL) : NULL;
	err = opt->snapshot && !s->opt.snapshot ? -ENOMEM : tfs_stages_init(s);
	if (!err)
		err = tfs_reads_init(s);
	s->work_queue = alloc_workqueue("tfs-%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 1, sb->s_id);
	if (!err && !s->work_queue)
		err = -ENOMEM;
	return err;
}

static const char *mount_failure(int err)
{
	switch (err) {
	case -EINVAL:
		return "not a TFS volume, or cut short";
	case -EUCLEAN:
		return "damaged; run fsck.tfs";
	case -EROFS:
		return "the device or a feature of the volume allows reading only; mount with -o ro";
	case -EOPNOTSUPP:
		return "made with features this module does not know; a newer one may";
	case -ENOMEM:
		return "not enough memory";
	case -ENOENT:
		return "no such snapshot";
	case -EBUSY:
		return "a snapshot is held";
	case -ENOSPC:
		return "no space to finish recovery; mount with -o ro";
	default:
		return "device error";
	}
}

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct tfs_options *o = fc->fs_private;
	int err = sb_make(sb, o, fc->net_ns);
	bool shown = false;
	struct tfs_sb *s;

	s = tfs_sb(sb);
	super_set(sb);
	if (!err && !sb_set_blocksize(sb, TFS_BLOCK)) {
		errorf(fc, "tfs: %s: the device's blocks are larger than 4096 bytes", sb->s_id);
		err = -EINVAL;
	} else if (!err) {
		err = tfs_bdev_open(&s->bdev, sb->s_bdev);
	}
	if (!err)
		err = volume_open(sb, s);
	if (!err && o->rollback)
		err = rollback(sb, fc, o);
	if (!err)
		err = tfs_sysfs_add(s);
	shown = !err;
	if (!err)
		err = tfs_compactor_start(s);
	if (!err)
		err = root_make(sb); /* last: with a root, put_super ends what failed */
	if (!err) {
		queue_delayed_work(s->work_queue, &s->checkpoint, CHECKPOINT_SECONDS * HZ);
		checkpoints_on(s, true);
		queue_delayed_work(s->work_queue, &s->freeing, 0);
		tfs_ship_start(s);
		tfs_kmsg_start(s);
		return 0;
	}
	if (err != -EINVAL || !(fc->sb_flags & SB_SILENT)) /* silent: trying what the device may hold */
		errorf(fc, "tfs: %s: cannot mount: error %d: %s", sb->s_id, err, mount_failure(err));
	if (shown)
		tfs_sysfs_remove(s);
	if (s)
		tfs_compactor_stop(s);
	if (s && s->vol)
		tfs_abandon(s->vol);
	if (s)
		sb_free(s);
	return err;
}

/* One device has one superblock, and that one root: what is mounted already decides. */
static bool same_root(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static int get_tree(struct fs_context *fc)
{
	const struct tfs_options *o = fc->fs_private;
	struct super_block *sb;
	int err;

	if (o->rollback && (o->snapshot || fc->sb_flags & SB_RDONLY))
		return invalf(fc, "tfs: rollback= writes: leave out ro and snapshot=");
	if (o->snapshot)
		fc->sb_flags |= SB_RDONLY;
	err = get_tree_bdev(fc, fill_super);
	if (err)
		return err;
	sb = fc->root->d_sb;
	if (same_root(o->snapshot, tfs_sb(sb)->opt.snapshot) && (!o->rollback || o->rolled))
		return 0;
	dput(fc->root);
	fc->root = NULL;
	deactivate_locked_super(sb);
	errorf(fc, o->rollback ? "tfs: mounted already: rollback= goes with its first mount"
	                       : "tfs: mounted already, with another root: see .snapshots there");
	return -EBUSY;
}

static int turn_read_only(struct super_block *sb)
{
	struct tfs_vol *vol;
	int err;

	tfs_pool_drain(tfs_sb(sb));
	vol = tfs_enter(sb);
	sb->s_flags |= SB_RDONLY; /* before the VFS does it: see tfs_enter_writing */
	err = tfs_rest(vol);
	if (err)
		sb->s_flags &= ~SB_RDONLY;
	else
		checkpoint_taken(tfs_sb(sb), vol);
	tfs_leave(sb);
	return err;
}

/* Mounted for reading, the volume is opened once more, which recovers it. */
static int volume_reopen(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	struct tfs_vol *vol;
	struct tfs_stat st;
	int err;

	tfs_enter(sb);
	/* reads in flight hold epochs of the old one, which mean nothing to the new one */
	tfs_quiesce(s, 0);
	tfs_quiesce(s, 1);
	err = volume_mount(s, false, &vol);
	if (!err) {
		tfs_statfs(vol, &st);
		if (st.read_only) { /* damage that its log shows */
			tfs_abandon(vol);
			err = -EUCLEAN;
		}
	}
	if (!err) {
		tfs_abandon(s->vol);
		s->vol = vol;
		s->volume_read_only = false;
	}
	tfs_leave(sb);
	return err;
}

static int turn_writable(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	int err;

	if (s->opt.snapshot) {
		pr_err("tfs: %s: a snapshot cannot be written\n", sb->s_id);
		return -EROFS;
	}
	if (s->failed || bdev_read_only(sb->s_bdev)) {
		pr_err("tfs: %s: cannot be written: %s\n", sb->s_id,
		       s->failed ? "there were errors: unmount, run fsck.tfs, mount again" : "the device is read-only");
		return -EROFS;
	}
	err = s->volume_read_only ? volume_reopen(sb) : 0;
	if (err) {
		pr_err("tfs: %s: stays read-only: error %d: %s\n", sb->s_id, err, mount_failure(err));
		return err;
	}
	sb->s_flags &= ~SB_RDONLY; /* before the VFS does it: what runs in the background looks at it */
	mod_delayed_work(s->work_queue, &s->freeing, 0);
	return 0;
}

static int reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	struct tfs_sb *s = tfs_sb(sb);
	struct tfs_options *o = fc->fs_private;
	bool read_only = fc->sb_flags & SB_RDONLY;
	int err = 0;

	if (o->discard != s->opt.discard)
		return invalf(fc, "tfs: %s: discard cannot change while mounted", sb->s_id);
	if (o->snapshot && !same_root(o->snapshot, s->opt.snapshot))
		return invalf(fc, "tfs: %s: the snapshot cannot change while mounted", sb->s_id);
	if (o->rollback)
		return invalf(fc, "tfs: %s: rollback= goes with the first mount: unmount before", sb->s_id);
	if (read_only)
		tfs_kmsg_stop(s);
	tfs_kmsg_set(s, o);
	sync_filesystem(sb);
	if (read_only || !o->ship)
		tfs_ship_stop(s); /* cursors are written for the last time */
	if (read_only && !sb_rdonly(sb))
		err = turn_read_only(sb);
	else if (!read_only && sb_rdonly(sb))
		err = turn_writable(sb);
	if (!err)
		s->opt.ship = o->ship;
	tfs_ship_start(s);
	tfs_kmsg_start(s);
	if (!err) {
		s->opt.errors = o->errors;
		s->opt.compact_off = o->compact_off;
		tfs_compact_set(tfs_enter(sb), o->compact_off);
		tfs_leave(sb);
		tfs_compactor_wake(s);
	}
	return tfs_user_err(err);
}

static void free_fc(struct fs_context *fc)
{
	struct tfs_options *o = fc->fs_private;

	if (o) {
		kfree(o->snapshot);
		kfree(o->rollback);
		kfree(o->kmsg);
	}
	kfree(o);
}

static const struct fs_context_operations context_ops = {
    .parse_param = parse_param,
    .get_tree = get_tree,
    .reconfigure = reconfigure,
    .free = free_fc,
};

static int init_fs_context(struct fs_context *fc)
{
	struct tfs_options *o = kzalloc(sizeof(*o), GFP_KERNEL);

	if (!o)
		return -ENOMEM;
	o->errors = TFS_ERRORS_RO;
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE) /* what is not named stays */
		*o = tfs_sb(fc->root->d_sb)->opt, o->snapshot = NULL, o->kmsg_named = false, o->kmsg_max = 0;
	fc->fs_private = o;
	fc->ops = &context_ops;
	return 0;
}

/* Threads that forward or write kernel messages hold inodes now and then, so they end before anybody counts those. */
static void kill_sb(struct super_block *sb)
{
	if (tfs_sb(sb)) {
		tfs_kmsg_stop(tfs_sb(sb));
		tfs_ship_stop(tfs_sb(sb));
	}
	kill_block_super(sb);
}

static struct file_system_type tfs_type = {
    .owner = THIS_MODULE,
    .name = "tfs",
    .init_fs_context = init_fs_context,
    .parameters = parameters,
    .kill_sb = kill_sb,
    .fs_flags = FS_REQUIRES_DEV,
};
MODULE_ALIAS_FS("tfs");

static int __init tfs_init(void)
{
	int err = -ENOMEM;

	inode_cache = kmem_cache_create("tfs_inode", sizeof(struct tfs_inode_info), 0,
	                                SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, inode_init_once_info);
	if (inode_cache)
		err = tfs_port_init();
	if (err)
		goto cache;
	err = tfs_sysfs_init();
	if (err)
		goto port;
	tfs_sender_init();
	err = register_filesystem(&tfs_type);
	if (!err)
		return 0;
	tfs_sysfs_exit();
port:
	tfs_port_exit();
cache:
	kmem_cache_destroy(inode_cache);
	return err;
}

static void __exit tfs_exit(void)
{
	unregister_filesystem(&tfs_type);
	tfs_sysfs_exit();
	tfs_port_exit();
	rcu_barrier(); /* free_inode runs behind it */
	kmem_cache_destroy(inode_cache);
}

module_init(tfs_init);
module_exit(tfs_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("TFS, a log-structured filesystem for data volumes");
MODULE_SOFTDEP("pre: crc32c lz4_compress");
