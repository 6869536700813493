// SPDX-License-Identifier: GPL-2.0
/*
 * Making things durable. Who syncs notes the sequence it needs and queues for sbi->flush; the holder hands all pending
 * records to the device and flushes without sbi->lock, so those behind it mostly find their records durable already
 * (group commit), and operations go on meanwhile. A checkpoint by time goes in steps, the lock given back in between.
 */
#include "tfs_linux.h"
#include "trace.h"

#define CHECKPOINT_SECONDS 30
#define CHECKPOINT_NODES 16 /* a step */

/* Under sbi->flush. 0: records below `target` are durable. */
static int sync_now(struct super_block *sb, u64 target, bool *joined)
{
	struct tfs_sb *s = tfs_sb(sb);
	struct tfs_sync_ticket t;
	struct tfs_vol *vol = tfs_enter(sb);
	int todo = tfs_stopped(vol), err;

	*joined = !todo && tfs_durable(vol) >= target;
	if (!todo && !*joined)
		todo = tfs_sync_begin(vol, &t);
	tfs_leave(sb);
	if (todo <= 0)
		return todo;
	err = tfs_bdev_flush(&s->bdev);
	err = tfs_sync_end(tfs_enter(sb), &t, err);
	tfs_leave(sb);
	return err;
}

int tfs_sync_wait(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	u64 target = tfs_sequence(tfs_enter(sb));
	bool joined;
	int err;

	tfs_leave(sb);
	mutex_lock(&s->flush);
	err = sync_now(sb, target, &joined);
	mutex_unlock(&s->flush);
	atomic64_inc(joined ? &s->syncs_joined : &s->syncs);
	trace_tfs_sync(sb, target, joined, err);
	return tfs_user_err(err);
}

static void checkpoint_steps(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	struct tfs_vol *vol = tfs_enter(sb);
	u64 sequence = tfs_sequence(vol);
	int more = sequence != s->checkpoint_sequence; /* nothing happened: an idle volume is left alone */

	tfs_leave(sb);
	while (more > 0) {
		more = tfs_checkpoint_step(tfs_enter(sb), CHECKPOINT_NODES);
		tfs_leave(sb);
		if (!more)
			s->checkpoint_sequence = sequence;
		cond_resched();
	}
}

void tfs_checkpoint_work(struct work_struct *work)
{
	struct tfs_sb *s = container_of(work, struct tfs_sb, checkpoint.work);

	if (!sb_rdonly(s->sb) && sb_start_intwrite_trylock(s->sb)) {
		checkpoint_steps(s->sb);
		sb_end_intwrite(s->sb);
	}
	queue_delayed_work(s->work_queue, &s->checkpoint, CHECKPOINT_SECONDS * HZ);
}
