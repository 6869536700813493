// SPDX-License-Identifier: GPL-2.0
/*
 * Making things durable. Who syncs notes the sequence it needs; one at a time hands all pending records to the device
 * and flushes, without sbi->lock. Meanwhile operations go on and the others wait (group commit): those whose records
 * were along return, all at once, and of the rest one takes the next turn. Where several sync all the time, who has the
 * turn waits a little for those that the last flush served. A checkpoint by time, and that of a snapshot, goes in steps,
 * the lock given back in between: its writes, flushes and reads of the closed epoch are waited for without the lock.
 * One is taken every 30 seconds, and when tfs_leave finds that half of what may wait for one waits.
 */
#include "tfs_linux.h"
#include "trace.h"

#define CHECKPOINT_SECONDS 30
#define CHECKPOINT_NODES 16 /* a step */

#define GATHER_MAX_NS (10 * NSEC_PER_MSEC)
#define GATHER_PAUSE_MAX 64u /* flushes */

/*
 * Threads that sync one operation after the other come back soon after a flush. If the first of them flushes at once,
 * the others miss it: two flushes then serve what one could. So it waits until as many are there as were when the last
 * flush ended, at most for as long as that flush took: which costs no more than the flush that it saves. If they do not
 * come it is left for a while, twice as long each time. One thread alone never waits. Called by whose turn it is.
 */
static void gather(struct tfs_sb *s)
{
	struct tfs_gather *g = &s->gather;

	if (g->expected < 2 || atomic_read(&s->syncers) >= g->expected)
		return;
	if (g->skip) {
		g->skip--;
		return;
	}
	wait_event_hrtimeout(s->gather_wait, atomic_read(&s->syncers) >= g->expected, ns_to_ktime(g->flush_ns));
	if (atomic_read(&s->syncers) >= g->expected)
		g->pause = 0;
	else
		g->skip = g->pause = clamp(2 * g->pause, 1u, GATHER_PAUSE_MAX);
}

/* All records so far, by whose turn it is. */
static int sync_now(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	struct tfs_sync_ticket t;
	int todo = tfs_sync_begin(tfs_enter(sb), &t), err;
	u64 start;

	tfs_leave(sb);
	if (todo <= 0)
		return todo;
	start = ktime_get_ns();
	err = tfs_bdev_flush(&s->bdev);
	err = tfs_sync_end(tfs_enter(sb), &t, err);
	tfs_leave(sb);
	s->gather.flush_ns = min_t(u64, ktime_get_ns() - start, GATHER_MAX_NS);
	WRITE_ONCE(s->gather.expected, atomic_read(&s->syncers));
	return err;
}

/* True: nothing to wait for any more. *turn: because it is the caller's to flush. */
static bool sync_settled(struct tfs_sb *s, u64 target, bool *turn)
{
	if (READ_ONCE(s->stopped) || (u64)atomic64_read(&s->durable) >= target)
		return true;
	*turn = !test_and_set_bit_lock(0, &s->syncing);
	return *turn;
}

int tfs_sync_wait(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	u64 target = atomic64_read(&s->sequence);
	bool turn = false;
	int err;

	if (atomic_inc_return(&s->syncers) == READ_ONCE(s->gather.expected))
		wake_up(&s->gather_wait);
	wait_event(s->sync_wait, sync_settled(s, target, &turn));
	if (turn) {
		gather(s);
		err = sync_now(sb);
		clear_bit_unlock(0, &s->syncing);
		wake_up_all(&s->sync_wait);
	} else {
		err = READ_ONCE(s->stopped);
	}
	atomic_dec(&s->syncers);
	atomic64_inc(turn ? &s->syncs : &s->syncs_joined);
	trace_tfs_sync(sb, target, !turn, err);
	return tfs_user_err(err);
}

/* A flush without sbi->lock, also when every record is durable. */
static void flush_turn(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);

	wait_event(s->sync_wait, !test_and_set_bit_lock(0, &s->syncing));
	sync_now(sb); /* an error stops the volume, which the next step says */
	clear_bit_unlock(0, &s->syncing);
	wake_up_all(&s->sync_wait);
}

/* ---- checkpoints in steps: by the holder of stepping ---- */

struct held { /* sbi->lock, by a step */
	u64 since, waits;
};

static struct tfs_vol *held_enter(struct super_block *sb, struct held *h)
{
	struct tfs_vol *vol = tfs_enter(sb);

	h->since = ktime_get_ns();
	h->waits = atomic64_read(&tfs_sb(sb)->bdev.waits);
	return vol;
}

static void held_leave(struct super_block *sb, const struct held *h)
{
	struct tfs_sb *s = tfs_sb(sb);

	s->checkpoint_waits += atomic64_read(&s->bdev.waits) - h->waits;
	s->checkpoint_held_ns = max(s->checkpoint_held_ns, ktime_get_ns() - h->since);
	tfs_leave(sb);
}

/* What a step left to be waited for. Its writes first, before the turn is taken: who syncs meanwhile takes one itself,
 * instead of waiting for those and a flush before its own write goes out. */
static void step_wait(struct super_block *sb, int more)
{
	struct tfs_sb *s = tfs_sb(sb);

	if (more > 0 && more != TFS_CHECKPOINT_READS)
		tfs_bdev_wait(&s->bdev);
	if (more == TFS_CHECKPOINT_SYNC)
		flush_turn(sb);
	else if (more == TFS_CHECKPOINT_READS)
		tfs_quiesce(s, READ_ONCE(s->closing));
	cond_resched();
}

/*
 * The checkpoint that is under way to its end, which an operation may also bring about. What syncs meanwhile waits for
 * a step's writes at most, as these are on the disk before the next step: else all nodes would stand in the disk's
 * queue before its own write.
 */
static int steps_to_end(struct super_block *sb)
{
	struct tfs_vol *vol;
	struct held h;
	int more;

	do {
		vol = held_enter(sb, &h);
		more = tfs_checkpoint_running(vol) ? tfs_checkpoint_step(vol, CHECKPOINT_NODES) : tfs_stopped(vol);
		held_leave(sb, &h);
		step_wait(sb, more);
	} while (more > 0);
	return more;
}

/* One that begins now, if anything happened since the last: an idle volume is left alone, and one that was brought to
 * rest meanwhile. */
static int steps_take(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	struct held h;
	struct tfs_vol *vol = held_enter(sb, &h);
	u64 sequence = tfs_sequence(vol);
	int more = 0;

	if (sequence != s->checkpoint_sequence && !sb_rdonly(sb)) {
		more = tfs_checkpoint_step(vol, CHECKPOINT_NODES);
		if (more >= 0) /* else it is tried again at its time, and meanwhile by whoever cannot wait */
			s->checkpoint_called = false;
	}
	held_leave(sb, &h);
	step_wait(sb, more);
	if (more > 0)
		more = steps_to_end(sb);
	if (!more)
		WRITE_ONCE(s->checkpoint_sequence, sequence);
	return more;
}

void tfs_checkpoint_steps(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);

	mutex_lock(&s->stepping);
	steps_take(sb);
	mutex_unlock(&s->stepping);
}

/*
 * A checkpoint before takes most of the work, so that between the gate and the end of the snapshot's own, when what is
 * overwritten has to be kept already, there is little to do.
 */
int tfs_snapshot_steps(struct super_block *sb, unsigned int request, void *arg)
{
	struct tfs_sb *s = tfs_sb(sb);
	struct held h;
	int err;

	mutex_lock(&s->stepping);
	steps_take(sb);
	for (;;) {
		tfs_bdev_wait(&s->bdev); /* the gate writes what is pending, and has room for it then */
		err = tfs_admin(held_enter(sb, &h), request, arg);
		held_leave(sb, &h);
		if (err != -EAGAIN)
			break;
		err = steps_to_end(sb);
		if (err)
			break;
		flush_turn(sb);
	}
	if (!err)
		err = steps_to_end(sb);
	mutex_unlock(&s->stepping);
	return err;
}

void tfs_checkpoint_work(struct work_struct *work)
{
	struct tfs_sb *s = container_of(work, struct tfs_sb, checkpoint.work);

	if (!sb_rdonly(s->sb) && sb_start_intwrite_trylock(s->sb)) {
		tfs_checkpoint_steps(s->sb);
		sb_end_intwrite(s->sb);
	}
	queue_delayed_work(s->work_queue, &s->checkpoint, CHECKPOINT_SECONDS * HZ);
}
