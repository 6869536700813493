// SPDX-License-Identifier: GPL-2.0
/*
 * The compactor's thread: freezable, of the lowest nice value and idle I/O priority. It takes steps of the core's
 * compactor, which says itself what is worth it (tfs_compact_step without flags), one after the other while nobody
 * uses the volume, and now and then when space is short although somebody does. It does nothing while the volume is
 * frozen or read-only, and once nothing is worth it, not before something was written. A step holds sbi->lock as any
 * operation does.
 */
#include "tfs_linux.h"

#include <linux/freezer.h>
#include <linux/ioprio.h>
#include <linux/kthread.h>

#define IDLE_JIFFIES HZ        /* nobody asked for anything for so long */
#define IDLE_BLOCKS 64         /* a step */
#define BUSY_JIFFIES (HZ / 10) /* between steps while there is traffic */
#define BUSY_BLOCKS 16
#define SHORT_PART 8 /* space is short below so much of the volume */

struct traffic { /* what was done so far, as far as it can be seen without the core */
	u64 records, read;
};

static struct traffic traffic_now(struct tfs_sb *s)
{
	return (struct traffic){atomic64_read(&s->records), atomic64_read(&s->windows_read)};
}

static bool same(const struct traffic *a, const struct traffic *b)
{
	return a->records == b->records && a->read == b->read;
}

static bool space_short(struct tfs_sb *s)
{
	struct tfs_stat st;

	tfs_statfs(tfs_enter(s->sb), &st);
	tfs_leave(s->sb);
	return st.available < st.blocks / SHORT_PART;
}

/* 1: there is more; 0: nothing worth it; -EAGAIN: not now. */
static int step(struct tfs_sb *s, unsigned int blocks)
{
	struct tfs_vol *vol;
	int more = 0;

	if (READ_ONCE(s->stopped))
		return 0;
	if (!sb_start_intwrite_trylock(s->sb))
		return -EAGAIN;
	vol = tfs_enter_writing(s->sb);
	if (vol) {
		more = tfs_compact_step(vol, blocks, 0);
		tfs_leave(s->sb);
	}
	sb_end_intwrite(s->sb);
	return more;
}

/* Its own records are no traffic. Returns how long to wait. */
static long turn(struct tfs_sb *s, struct traffic *seen, u64 *settled)
{
	struct traffic now = traffic_now(s);
	bool idle = same(&now, seen);
	int more;

	*seen = now;
	if (now.records == *settled)
		return IDLE_JIFFIES;
	if (!idle && !space_short(s))
		return IDLE_JIFFIES;
	more = step(s, idle ? IDLE_BLOCKS : BUSY_BLOCKS);
	*seen = traffic_now(s);
	if (more != 1 && more != -EAGAIN)
		*settled = seen->records;
	return more != 1 ? IDLE_JIFFIES : idle ? 1 : BUSY_JIFFIES;
}

static int compactor(void *data)
{
	struct tfs_sb *s = data;
	struct traffic seen = {~0ull, ~0ull};
	u64 settled = 0;
	long wait = IDLE_JIFFIES;

	set_freezable();
	set_user_nice(current, MAX_NICE);
	set_task_ioprio(current, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	while (!kthread_should_stop()) {
		if (wait_event_freezable_timeout(s->compactor_wait,
		                                 kthread_should_stop() || READ_ONCE(s->compactor_asked), wait) &&
		    READ_ONCE(s->compactor_asked)) {
			WRITE_ONCE(s->compactor_asked, false);
			settled = ~0ull;
		}
		if (!kthread_should_stop())
			wait = turn(s, &seen, &settled);
	}
	return 0;
}

int tfs_compactor_start(struct tfs_sb *s)
{
	struct task_struct *t = kthread_run(compactor, s, "tfs-compact/%s", s->sb->s_id);

	if (IS_ERR(t))
		return PTR_ERR(t);
	s->compactor = t;
	return 0;
}

void tfs_compactor_stop(struct tfs_sb *s)
{
	if (s->compactor)
		kthread_stop(s->compactor);
	s->compactor = NULL;
}

/* It was switched on: what was settled is looked at again. */
void tfs_compactor_wake(struct tfs_sb *s)
{
	WRITE_ONCE(s->compactor_asked, true);
	wake_up(&s->compactor_wait);
}
