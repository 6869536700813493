/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module: what its files share. The core has one caller at a time: sbi->lock. Lock order, outermost first:
 *   s_umount
 *   sb_start_write / _pagefault / _intwrite
 *   sbi->ship.lock        threads that forward are started and ended under it: they take neither it nor what stands above,
 *                         but the last, which a freeze holds only when those who wait for them are through
 *   i_rwsem               of a directory, then of a file: also by the thread of kernel messages (kmsg.c), for which the holder
 *                         of s_umount waits: it takes what stands here, and s_umount never
 *   invalidate_lock
 *   info->writeback       one writer back an inode: windows go in ascending order; truncate keeps it out
 *   a staging buffer      (tfs_stage_get; a pool of a few, returned before anything else is waited for)
 *   folio lock
 *   sbi->stepping         a checkpoint in steps, one at a time; taken with none of the above but the first
 *   sbi->syncing          a bit: one flush at a time; who waits for it is served by it or takes the next turn
 *   sbi->lock             the core
 *   sbi->pool_lock, bdev.lock   spinlocks, held for a few instructions
 * Under sbi->lock no folio is locked, no user memory touched, and allocation does not enter a filesystem. The core may
 * wait under it for I/O of its own and, in env_quiesce, for reads in flight: so whoever holds a mapping submits what it
 * needs at once, from pools of which nobody who waits for sbi->lock has anything, and completing a read takes none of
 * these locks. No folio is locked while space is reserved.
 */
#ifndef TFS_LINUX_H
#define TFS_LINUX_H

#include "compat.h"
#include "tfs/tfs.h"

#include <linux/bio.h>
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#define TFS_SUPER_MAGIC 0x54465376
#define TFS_WINDOW_BLOCKS (1u << (TFS_WINDOW_BITS - TFS_BLOCK_BITS))
#define TFS_WINDOW_BYTES (1u << TFS_WINDOW_BITS)
#define TFS_STAGES 4

struct tfs_bdev {
	struct tfs_dev dev; /* first */
	struct block_device *bdev;
	struct bio_set bios;
	mempool_t *pages;
	spinlock_t spare_lock;
	struct list_head spare; /* pages that were written */
	unsigned int spares;
	spinlock_t lock;
	struct list_head writes; /* in flight, oldest first */
	u64 sequence;            /* of the next write */
	u64 in_flight;           /* bytes */
	wait_queue_head_t wait;
	int error; /* of a write that was deferred or of a flush: given to every later call */
	atomic64_t flushes, written, discarded;
	atomic64_t waits; /* for a request, or for requests to end, within a call of the core's: under sbi->lock */
};

struct tfs_stage { /* a window to write back, and its encoded form */
	struct list_head list;
	u8 *data, *encoded;
};

struct tfs_gather {        /* of the holder of the turn to flush */
	int expected;      /* syncers when the last flush ended */
	u64 flush_ns;      /* that one took */
	unsigned int skip; /* turns that do not wait */
	unsigned int pause;
};

enum tfs_errors { TFS_ERRORS_CONTINUE, TFS_ERRORS_RO, TFS_ERRORS_PANIC };
struct tfs_options {
	enum tfs_errors errors;
	bool discard, compact_off, ship;
	char *snapshot; /* NULL: the volume itself */
	char *rollback; /* of a mount, which does it once; a mounted volume has none */
	bool rolled;    /* it did */
	char *kmsg;     /* NULL: none; of one mount call: tfs_kmsg_set takes it over. What is not named stays */
	u64 kmsg_max;
	bool kmsg_named;
};

struct tfs_kmsg {          /* kernel messages into a file: kmsg.h; of who holds s_umount, but for the counters */
	struct mutex lock; /* of path, for who only reads it */
	char *path;        /* NULL: none; without a leading slash */
	u64 max;           /* bytes of the file and the one before it */
	struct task_struct *task;
	struct tfs_kmsg_thread *thread;
	wait_queue_head_t wait;
	u64 messages, lost, failures; /* the thread's; read by /sys without a lock */
};

struct tfs_shipping {      /* log forwarding: ship.h */
	struct mutex lock; /* of the list; s_umount may be held, threads never take it */
	struct list_head senders;
	u32 count;
	bool on;
	struct net *net;        /* of who mounted it */
	struct tfs_desk *desk;  /* where threads and agents meet; NULL: there was no memory for it */
	wait_queue_head_t wait; /* of all threads */
	unsigned long written;  /* jiffies, when pages were last made dirty */
	atomic_t ended;         /* counts files without a name that nobody has any more and of which lines are kept */
};

struct tfs_sb {
	struct super_block *sb;
	struct tfs_vol *vol;
	struct tfs_bdev bdev;
	struct tfs_options opt;
	struct mutex lock;
	unsigned int nofs; /* of the holder of lock */
	bool trouble;      /* set by the core's events under lock, seen to in tfs_leave */
	bool failed;       /* trouble was seen once: no way back to writing without a new mount */
	bool shut;         /* by the ioctl */
	bool volume_read_only;
	struct mutex stepping;
	bool checkpoints_on;     /* under lock: tfs_checkpoint_work may be called before its time */
	bool checkpoint_called;  /* under lock: it was, and has not begun one yet */
	u64 checkpoint_sequence; /* of the last checkpoint in steps */
	u64 closing;             /* the epoch whose reads a checkpoint waits for */
	/* Of checkpoints in steps: requests waited for under lock, and how long one held it at most. */
	u64 checkpoint_waits, checkpoint_held_ns;

	/* what tfs_leave saw last, for syncs that only wait; by themselves never older than the caller's own operation
	 */
	atomic64_t sequence, durable;
	int stopped;
	unsigned long syncing; /* bit 0 */
	atomic_t syncers;      /* callers of tfs_sync_wait */
	struct tfs_gather gather;
	wait_queue_head_t sync_wait, gather_wait;

	spinlock_t pool_lock;
	unsigned int pool, spent; /* reserved blocks: not given to a folio; whose block was written */
	struct list_head stages;
	wait_queue_head_t stage_wait;
	spinlock_t stage_lock;

	struct workqueue_struct *read_queue, *work_queue;
	mempool_t *reads, *buffers, *windows;
	struct bio_set read_bios;
	atomic_t held[2]; /* mappings in use, by the parity of their epoch */
	wait_queue_head_t held_wait;
	struct delayed_work checkpoint, freeing; /* freeing: what deleted snapshots held */
	struct task_struct *compactor;
	bool compactor_asked;
	wait_queue_head_t compactor_wait;

	struct mutex seen_lock; /* of the list; nothing is waited for and no memory asked for under it */
	struct list_head seen;

	struct kobject kobj;
	struct completion kobj_gone;
	atomic64_t syncs, syncs_joined, windows_read, windows_written, records;
	struct tfs_shipping ship;
	struct tfs_kmsg kmsg;
};

struct tfs_seen { /* a snapshot of which an inode is in memory (views.c) */
	struct list_head list;
	atomic_t refs; /* each inode's */
	struct tfs_view view;
	dev_t dev;
};

struct tfs_inode_info {
	u64 parent;            /* directories */
	struct tfs_seen *seen; /* NULL: of the volume itself */
	struct timespec64 btime;
	struct mutex writeback;
	struct inode vfs_inode;
};

static inline struct tfs_sb *tfs_sb(struct super_block *sb)
{
	return sb->s_fs_info;
}
static inline struct tfs_inode_info *tfs_info(struct inode *inode)
{
	return container_of(inode, struct tfs_inode_info, vfs_inode);
}
static inline struct tfs_vol *tfs_enter(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);

	mutex_lock(&s->lock);
	s->nofs = memalloc_nofs_save();
	return s->vol;
}
void tfs_leave(struct super_block *sb); /* fault.c: and sees to what went wrong meanwhile */
/* For work in the background: NULL, and not entered, once the volume is read-only. Who turns it sets SB_RDONLY under the
 * lock (super.c), so that nothing comes after its last checkpoint. */
static inline struct tfs_vol *tfs_enter_writing(struct super_block *sb)
{
	struct tfs_vol *vol = tfs_enter(sb);

	if (!sb_rdonly(sb))
		return vol;
	tfs_leave(sb);
	return NULL;
}
/* For a call that reads what the inode is of: the volume, or a snapshot. */
static inline struct tfs_vol *tfs_enter_inode(struct inode *inode)
{
	struct tfs_vol *vol = tfs_enter(inode->i_sb);

	if (tfs_info(inode)->seen)
		tfs_view_enter(vol, &tfs_info(inode)->seen->view);
	return vol;
}
static inline void tfs_leave_inode(struct inode *inode)
{
	if (tfs_info(inode)->seen)
		tfs_view_leave(tfs_sb(inode->i_sb)->vol);
	tfs_leave(inode->i_sb);
}
/* What userspace sees of the core's errors: damage is EIO for a file. */
static inline int tfs_user_err(int err)
{
	return err == -EUCLEAN ? -EIO : err;
}

/* port.c */
int tfs_port_init(void);
void tfs_port_exit(void);

/* bdev.c */
int tfs_bdev_open(struct tfs_bdev *d, struct block_device *bdev);
void tfs_bdev_close(struct tfs_bdev *d); /* waits for what is in flight; d may be zeros */
int tfs_bdev_flush(struct tfs_bdev *d);
void tfs_bdev_wait(struct tfs_bdev *d); /* for the writes so far; their errors come with the next call */
void tfs_bdev_wait_range(struct tfs_bdev *d, u64 offset, u64 bytes);
void tfs_bio_add_buffer(struct bio *bio, const void *buf, unsigned int bytes); /* kvmalloc'ed */

/* fault.c: errors=, shutdown, the core's events */
void tfs_core_event(void *ctx, enum tfs_event event, u64 a, u64 b);
int tfs_shutdown_op(struct super_block *sb, u32 flags);
/* Want of memory passes: true after a moment, a hundred times. For what loses something when it gives up. */
bool tfs_insist(int err, int *tries);

/* sync.c */
void tfs_checkpoint_steps(struct super_block *sb); /* one, in pieces, if anything happened since the last */
/* A request of tfs/ioctl.h that changes snapshots: what waits for the device does so without sbi->lock. */
int tfs_snapshot_steps(struct super_block *sb, unsigned int request, void *arg);
int tfs_sync_wait(struct super_block *sb); /* every record so far is durable when it returns 0 */
void tfs_checkpoint_work(struct work_struct *work);

/* inode.c */
struct inode *tfs_iget(struct super_block *sb, u64 ino);
struct inode *tfs_ilookup(struct super_block *sb, u64 ino);                          /* NULL: it is not in memory */
struct inode *tfs_iget_seen(struct super_block *sb, struct tfs_seen *seen, u64 ino); /* seen NULL: of the volume */
struct inode *tfs_iget_new(struct super_block *sb, struct tfs_seen *seen, u64 ino);  /* I_NEW: to be filled in */
/* After an operation of the core: link count, times and size (directories) as the volume has them. */
int tfs_refresh(struct inode *inode);
struct tfs_time tfs_time_in(struct timespec64 t);
int tfs_setattr_op(tfs_idmap *idmap, struct dentry *dentry, struct iattr *attr);
int tfs_getattr_op(tfs_idmap *idmap, const struct path *path, struct kstat *st, u32 mask, unsigned int flags);
void tfs_evict_inode(struct inode *inode);
int tfs_write_inode(struct inode *inode, struct writeback_control *wbc);
extern const struct inode_operations tfs_file_inode_ops, tfs_special_inode_ops, tfs_symlink_inode_ops;
const char *tfs_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done);

/* views.c: snapshots */
void tfs_views_init(struct tfs_sb *s);
void tfs_seen_put(struct super_block *sb, struct tfs_seen *seen);
void tfs_seen_ops_set(struct inode *inode);
struct inode *tfs_snapshot_root(struct super_block *sb, const char *name);
bool tfs_snapdir_named(struct inode *dir, const struct qstr *name); /* .snapshots in the root */
bool tfs_is_snapdir(const struct inode *inode);
struct inode *tfs_snapdir_get(struct super_block *sb);
static inline bool tfs_of_snapshots(struct inode *inode) /* of one, or the directory of all */
{
	return tfs_info(inode)->seen || tfs_is_snapdir(inode);
}

/* admin.c: tfs/ioctl.h */
long tfs_admin_ioctl(struct file *file, unsigned int request, void __user *to);
void tfs_freeing_work(struct work_struct *work);

/* compactor.c */
int tfs_compactor_start(struct tfs_sb *s);
void tfs_compactor_stop(struct tfs_sb *s);
void tfs_compactor_wake(struct tfs_sb *s);

/* ship.c: what hosts do for log forwarding; all but _written and _wake may wait, _ended for sbi->lock alone */
void tfs_ship_init(struct tfs_sb *s, struct net *net);
void tfs_ship_exit(struct tfs_sb *s);
void tfs_ship_start(struct tfs_sb *s); /* a thread for each collector that rules name */
void tfs_ship_stop(struct tfs_sb *s);  /* their last acknowledgements are records when it returns */
void tfs_ship_rules_changed(struct tfs_sb *s);
void tfs_ship_ended(struct inode *inode); /* removed, and nobody has it any more */
void tfs_sender_init(void);
enum tfs_ship_count { TFS_SHIP_LINES, TFS_SHIP_BYTES, TFS_SHIP_ACKED, TFS_SHIP_UNACKED, TFS_SHIP_RECONNECTS };
u64 tfs_ship_sum(struct tfs_sb *s, enum tfs_ship_count what); /* over all collectors */
ssize_t tfs_ship_show(struct tfs_sb *s, char *buf);           /* a line for each */
/* ship_agent.c: connections with TLS. The desk is one mount's, closed once. */
struct tfs_desk *tfs_desk_new(void);
void tfs_desk_close(struct tfs_desk *d); /* NULL does nothing; agents learn of it */
long tfs_desk_open(struct tfs_sb *s);    /* for an agent: a descriptor; -EPERM */
u64 tfs_desk_asked(const struct tfs_desk *d);
u64 tfs_desk_given(const struct tfs_desk *d);
static inline void tfs_ship_written(struct tfs_sb *s) /* by whoever made a page dirty */
{
	if (unlikely(READ_ONCE(s->ship.on)) && READ_ONCE(s->ship.written) != jiffies)
		WRITE_ONCE(s->ship.written, jiffies);
}
static inline void tfs_ship_wake(struct tfs_sb *s) /* something became durable */
{
	if (unlikely(READ_ONCE(s->ship.on)) && wq_has_sleeper(&s->ship.wait))
		wake_up_all(&s->ship.wait);
}

/* kmsg.c: kernel messages into a file. _set, _start and _stop by who holds s_umount */
struct fs_context;
struct seq_file;
int tfs_kmsg_path_option(struct fs_context *fc, struct tfs_options *o, char *path); /* takes path over when it is 0 */
int tfs_kmsg_max_option(struct fs_context *fc, struct tfs_options *o, const char *text);
void tfs_kmsg_init(struct tfs_sb *s);
void tfs_kmsg_exit(struct tfs_sb *s);
void tfs_kmsg_set(struct tfs_sb *s, struct tfs_options *o); /* may stop it */
void tfs_kmsg_start(struct tfs_sb *s);                      /* if there is a path and the volume may be written */
void tfs_kmsg_stop(struct tfs_sb *s);                       /* its last lines are in the page cache when it returns */
void tfs_kmsg_show(struct tfs_sb *s, struct seq_file *m);

/* namei.c, dir.c, xattr.c, export.c */
extern const struct inode_operations tfs_dir_inode_ops;
struct dentry *tfs_lookup_op(struct inode *dir, struct dentry *dentry, unsigned int flags);
extern const struct file_operations tfs_dir_ops;
ssize_t tfs_listxattr_op(struct dentry *dentry, char *buf, size_t size);
extern const struct xattr_handler *tfs_xattr_handlers[];
int tfs_security_inherit(struct inode *inode, struct inode *dir, const struct qstr *name);
extern const struct export_operations tfs_export_ops;

/* fiemap.c */
int tfs_fiemap(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 len);

/* reserve.c: a promise for one block each, so that writing back cannot meet ENOSPC */
/* After an operation met ENOSPC for the first time: what is promised to unwritten pages is settled, then it is tried
 * again. */
bool tfs_space_retry(struct super_block *sb, int err, bool *again);
/* For that block of the file; no folio locked. -ENOSPC after trying to write back. */
#define TFS_PREALLOCATED 1 /* none was needed */
int tfs_reserve_block(struct inode *inode, pgoff_t block);
void tfs_unreserve_block(struct super_block *sb, int got);           /* what that returned, not used */
void tfs_unreserve_blocks(struct super_block *sb, unsigned int n);   /* not used */
void tfs_reservations_spent(struct super_block *sb, unsigned int n); /* used, or given up in writing back */
/* The folio (locked, about to be dirty) takes over what tfs_reserve_block got for it, or it has one and this one goes
 * back. -EAGAIN: its preallocated block was written meanwhile; unlock, and reserve again. */
int tfs_reservation_keep(struct folio *folio, int got);
bool tfs_reservation_take(struct folio *folio);
void tfs_pool_drain(struct tfs_sb *s); /* before the last checkpoint */

/* read.c */
int tfs_reads_init(struct tfs_sb *s);
void tfs_reads_exit(struct tfs_sb *s);
void tfs_quiesce(struct tfs_sb *s, u64 epoch);
bool tfs_quiet(struct tfs_sb *s, u64 epoch);
int tfs_read_folio_op(struct file *file, struct folio *folio);
void tfs_readahead_op(struct readahead_control *rac);

/* writeback.c */
int tfs_stages_init(struct tfs_sb *s);
void tfs_stages_exit(struct tfs_sb *s);
int tfs_writepages_op(struct address_space *mapping, struct writeback_control *wbc);

/* pages.c, file.c, ioctl.c */
extern const struct address_space_operations tfs_aops;
extern const struct file_operations tfs_file_ops;
extern const struct vm_operations_struct tfs_vm_ops;
void tfs_tail_zero(struct inode *inode, loff_t size); /* bytes past size of the last page, in the cache */
int tfs_fsync(struct file *file, loff_t from, loff_t to, int datasync);
int tfs_truncate_op(struct inode *inode, loff_t size);
/* Before bytes below `end` go: lines of them that are to be forwarded come into the volume, as many as it keeps. */
void tfs_lines_save(struct inode *inode, loff_t end);
loff_t tfs_remap_op(struct file *file_in, loff_t pos_in, struct file *file_out, loff_t pos_out, loff_t len,
                    unsigned int flags); /* remap.c */
long tfs_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif
