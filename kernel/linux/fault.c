// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when something goes wrong: the core tells (damage in a structure, a failed write that ended writing)
 * from within an operation; the policy of errors= acts when sbi->lock is given back. And ending a volume on purpose, by
 * the ioctl of XFS's number. Data that does not match its checksum is the reader's EIO only: read.c.
 */
#include "tfs_linux.h"
#include "trace.h"

#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/errseq.h>

void tfs_core_event(void *ctx, enum tfs_event event, u64 a, u64 b)
{
	struct tfs_sb *s = ctx;

	switch (event) {
	case TFS_EVENT_LOG_WRITE:
		trace_tfs_log_write(s->sb, a, b);
		break;
	case TFS_EVENT_CHECKPOINT:
		trace_tfs_checkpoint(s->sb, a, b);
		break;
	case TFS_EVENT_CHECKPOINT_DONE:
		trace_tfs_checkpoint_done(s->sb, a);
		break;
	case TFS_EVENT_STOPPED:
		if (s->shut) /* asked for: no policy, and every call says EIO by itself */
			break;
		pr_err("tfs: %s: error %lld ended writing: what was synced is kept, the rest is lost; unmount, then "
		       "mount again or run fsck.tfs\n",
		       s->sb->s_id, -(s64)a);
		s->trouble = true;
		break;
	case TFS_EVENT_DAMAGED:
		s->trouble = true;
		break;
	}
}

static void trouble_act(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);

	if (s->failed || !sb->s_root) /* a mount that fails says so itself */
		return;
	s->failed = true;
	errseq_set(&sb->s_wb_err, -EIO); /* syncfs asks a filesystem that is read-only for nothing else */
	if (s->opt.errors == TFS_ERRORS_PANIC)
		panic("tfs: %s: damaged or not writable, and mounted with errors=panic\n", sb->s_id);
	if (s->opt.errors == TFS_ERRORS_RO && !sb_rdonly(sb)) {
		pr_err("tfs: %s: read-only from now on (errors=remount-ro)\n", sb->s_id);
		sb->s_flags |= SB_RDONLY;
	}
}

/* One is due, and nobody said so before. Not where nothing happened since the last: that one left what it changed. */
static bool checkpoint_call(struct tfs_sb *s)
{
	if (!s->checkpoints_on || s->checkpoint_called || sb_rdonly(s->sb) || tfs_stopped(s->vol) ||
	    tfs_sequence(s->vol) == READ_ONCE(s->checkpoint_sequence) || !tfs_checkpoint_due(s->vol))
		return false;
	s->checkpoint_called = true;
	return true;
}

void tfs_leave(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	bool trouble = s->trouble, durable = false, due = false;

	s->trouble = false;
	if (s->vol) {
		atomic64_set(&s->sequence, tfs_sequence(s->vol));
		durable = (u64)atomic64_read(&s->durable) != tfs_durable(s->vol);
		atomic64_set(&s->durable, tfs_durable(s->vol));
		WRITE_ONCE(s->stopped, tfs_stopped(s->vol));
		due = checkpoint_call(s);
	}
	memalloc_nofs_restore(s->nofs);
	mutex_unlock(&s->lock);
	if (due)
		mod_delayed_work(s->work_queue, &s->checkpoint, 0);
	if (durable)
		tfs_ship_wake(s);
	if (unlikely(trouble))
		trouble_act(sb);
}

/* ---- want of memory ---- */

#define INSIST_TRIES 100
#define INSIST_MS 20

bool tfs_insist(int err, int *tries)
{
	if (err != -ENOMEM || *tries >= INSIST_TRIES)
		return false;
	++*tries;
	msleep(INSIST_MS);
	return true;
}

/* ---- shutdown ---- */

static void shut(struct super_block *sb)
{
	struct tfs_vol *vol = tfs_enter(sb);

	if (!tfs_stopped(vol)) {
		pr_notice("tfs: %s: shut down by ioctl\n", sb->s_id);
		tfs_sb(sb)->shut = true;
	}
	tfs_shutdown(vol);
	tfs_leave(sb);
}

int tfs_shutdown_op(struct super_block *sb, u32 flags)
{
	int err;

	switch (flags) {
	case 0: /* with all that is written: a freeze writes it */
		err = tfs_bdev_freeze(sb->s_bdev);
		if (err)
			return err;
		shut(sb);
		tfs_bdev_thaw(sb->s_bdev);
		return 0;
	case 1: /* with what is in the log */
		err = tfs_sync_wait(sb);
		shut(sb);
		return err;
	case 2: /* as a crash would leave it */
		shut(sb);
		return 0;
	default:
		return -EINVAL;
	}
}
