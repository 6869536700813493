// SPDX-License-Identifier: GPL-2.0
/* Counters of a mounted volume, one a file: /sys/fs/tfs/DEVICE/. Counts and bytes since the mount, or the state now. */
#include "tfs_linux.h"
#include "sysfs.h"

static struct kset *volumes;

static struct tfs_stat stat_now(struct tfs_sb *s)
{
	struct tfs_stat st;

	tfs_statfs(tfs_enter(s->sb), &st);
	tfs_leave(s->sb);
	return st;
}

/* What was written for 100 bytes given. */
static u64 amplification(struct tfs_sb *s)
{
	struct tfs_stat st = stat_now(s);

	return st.user_blocks ? div64_u64((st.data_blocks + st.node_blocks + st.log_blocks) * 100, st.user_blocks) : 0;
}

/* In pieces: maps of segments are read for it, and others get in between. */
#define SPREAD_SEGMENTS 64
static struct tfs_spread spread(struct tfs_sb *s)
{
	u64 segments = stat_now(s).segments, at, n;
	struct tfs_spread sum = {0};

	for (at = 0; at < segments; at += n) {
		n = min_t(u64, segments - at, SPREAD_SEGMENTS);
		if (tfs_spread_add(tfs_enter(s->sb), at, n, &sum))
			n = segments; /* said already */
		tfs_leave(s->sb);
		cond_resched();
	}
	return sum;
}

struct counter {
	struct attribute attr;
	u64 (*get)(struct tfs_sb *s);
};

#define COUNTER(what, value)                                                                                           \
	static u64 what##_get(struct tfs_sb *s)                                                                        \
	{                                                                                                              \
		return value;                                                                                          \
	}                                                                                                              \
	static struct counter what##_counter = {.attr = {.name = #what, .mode = 0444}, .get = what##_get}

COUNTER(operations, atomic64_read(&s->records)); /* records appended to the log */
COUNTER(log_bytes, stat_now(s).log_blocks *TFS_BLOCK);
COUNTER(written_bytes, atomic64_read(&s->bdev.written)); /* all writes */
COUNTER(discarded_bytes, atomic64_read(&s->bdev.discarded));
COUNTER(flushes, atomic64_read(&s->bdev.flushes));
COUNTER(syncs, atomic64_read(&s->syncs));               /* fsync and the like that did their own flush */
COUNTER(syncs_joined, atomic64_read(&s->syncs_joined)); /* that another's flush served, or an earlier one */
COUNTER(checkpoints, stat_now(s).checkpoints);
COUNTER(checkpoints_forced, stat_now(s).checkpoints_forced); /* by an operation that could not wait for the thread */
COUNTER(windows_read, atomic64_read(&s->windows_read));
COUNTER(windows_written, atomic64_read(&s->windows_written));
COUNTER(cache_nodes, stat_now(s).cache_nodes);
COUNTER(dirty_nodes, stat_now(s).dirty_nodes);
COUNTER(free_blocks, stat_now(s).free);
COUNTER(available_blocks, stat_now(s).available);
COUNTER(reserved_blocks, stat_now(s).delayed_blocks); /* for dirty pages */
COUNTER(epoch, stat_now(s).epoch);
COUNTER(user_bytes, stat_now(s).user_blocks *TFS_BLOCK); /* given to be written, at their decoded size */
COUNTER(data_bytes, stat_now(s).data_blocks *TFS_BLOCK);
COUNTER(node_bytes, stat_now(s).node_blocks *TFS_BLOCK);
COUNTER(moved_bytes, stat_now(s).moved_blocks *TFS_BLOCK);
COUNTER(compact_sweeps, stat_now(s).compact_sweeps);
COUNTER(compact_emptied, stat_now(s).compact_emptied);
COUNTER(snapshots, stat_now(s).snapshots);
COUNTER(snapshots_dying, stat_now(s).dying);
COUNTER(snapshot_bytes, stat_now(s).snapshot_blocks *TFS_BLOCK); /* that snapshots alone hold */
COUNTER(checkpoint_waits, READ_ONCE(s->checkpoint_waits));       /* requests waited for under the core's lock */
COUNTER(checkpoint_held_ns, READ_ONCE(s->checkpoint_held_ns));   /* the longest that a step held it */
COUNTER(ship_lines, tfs_ship_sum(s, TFS_SHIP_LINES));            /* of threads that there are now */
COUNTER(ship_bytes, tfs_ship_sum(s, TFS_SHIP_BYTES));
COUNTER(ship_acknowledged, tfs_ship_sum(s, TFS_SHIP_ACKED));
COUNTER(ship_unacknowledged, tfs_ship_sum(s, TFS_SHIP_UNACKED));
COUNTER(ship_kept_bytes, stat_now(s).kept_blocks *TFS_BLOCK); /* of removed files */
COUNTER(ship_lost_bytes, stat_now(s).lost_bytes); /* of removed files, that were not kept until they arrived */
COUNTER(ship_reconnects, tfs_ship_sum(s, TFS_SHIP_RECONNECTS));
COUNTER(ship_tls_asked, tfs_desk_asked(s->ship.desk)); /* of agents: connections */
COUNTER(ship_tls_given, tfs_desk_given(s->ship.desk));
COUNTER(kmsg_messages, READ_ONCE(s->kmsg.messages)); /* records of the kernel's, given to the file */
COUNTER(kmsg_lost, READ_ONCE(s->kmsg.lost));         /* overwritten or cleared before they were read */
COUNTER(kmsg_failures, READ_ONCE(s->kmsg.failures)); /* tries to write that failed; nothing is lost by one */
COUNTER(write_amplification, amplification(s));
COUNTER(whole_segments, spread(s).whole_segments);

/* Not a number but a list of them: free runs of 1, 2 to 3, 4 to 7 ... blocks. */
static struct attribute free_runs_attr = {.name = "free_runs", .mode = 0400};

static ssize_t free_runs_show(struct tfs_sb *s, char *buf)
{
	struct tfs_spread sum = spread(s);
	ssize_t at = 0;
	unsigned int i;

	for (i = 0; i < TFS_RUN_CLASSES; i++)
		at += sysfs_emit_at(buf, at, "%llu%c", sum.runs[i], i + 1 < TFS_RUN_CLASSES ? ' ' : '\n');
	return at;
}

static struct attribute ship_collectors_attr = {.name = "ship_collectors", .mode = 0400};

static struct attribute *counter_attrs[] = {
    &operations_counter.attr,
    &log_bytes_counter.attr,
    &written_bytes_counter.attr,
    &discarded_bytes_counter.attr,
    &flushes_counter.attr,
    &syncs_counter.attr,
    &syncs_joined_counter.attr,
    &checkpoints_counter.attr,
    &checkpoints_forced_counter.attr,
    &windows_read_counter.attr,
    &windows_written_counter.attr,
    &cache_nodes_counter.attr,
    &dirty_nodes_counter.attr,
    &free_blocks_counter.attr,
    &available_blocks_counter.attr,
    &epoch_counter.attr,
    &reserved_blocks_counter.attr,
    &user_bytes_counter.attr,
    &data_bytes_counter.attr,
    &node_bytes_counter.attr,
    &moved_bytes_counter.attr,
    &compact_sweeps_counter.attr,
    &compact_emptied_counter.attr,
    &snapshots_counter.attr,
    &snapshots_dying_counter.attr,
    &snapshot_bytes_counter.attr,
    &checkpoint_waits_counter.attr,
    &checkpoint_held_ns_counter.attr,
    &ship_lines_counter.attr,
    &ship_bytes_counter.attr,
    &ship_acknowledged_counter.attr,
    &ship_unacknowledged_counter.attr,
    &ship_reconnects_counter.attr,
    &ship_tls_asked_counter.attr,
    &ship_tls_given_counter.attr,
    &ship_kept_bytes_counter.attr,
    &ship_lost_bytes_counter.attr,
    &ship_collectors_attr,
    &kmsg_messages_counter.attr,
    &kmsg_lost_counter.attr,
    &kmsg_failures_counter.attr,
    &write_amplification_counter.attr,
    &whole_segments_counter.attr,
    &free_runs_attr,
    NULL,
};
ATTRIBUTE_GROUPS(counter);

static ssize_t show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	if (attr == &free_runs_attr)
		return free_runs_show(container_of(kobj, struct tfs_sb, kobj), buf);
	if (attr == &ship_collectors_attr)
		return tfs_ship_show(container_of(kobj, struct tfs_sb, kobj), buf);
	return sysfs_emit(buf, "%llu\n",
	                  container_of(attr, struct counter, attr)->get(container_of(kobj, struct tfs_sb, kobj)));
}

static void gone(struct kobject *kobj)
{
	complete(&container_of(kobj, struct tfs_sb, kobj)->kobj_gone);
}

static const struct sysfs_ops ops = {.show = show};
static const struct kobj_type type = {.default_groups = counter_groups, .sysfs_ops = &ops, .release = gone};

int tfs_sysfs_add(struct tfs_sb *s)
{
	int err;

	s->kobj.kset = volumes;
	init_completion(&s->kobj_gone);
	err = kobject_init_and_add(&s->kobj, (struct kobj_type *)&type, NULL, "%s", s->sb->s_id);
	if (err) {
		kobject_put(&s->kobj);
		wait_for_completion(&s->kobj_gone);
	}
	return err;
}

void tfs_sysfs_remove(struct tfs_sb *s)
{
	kobject_del(&s->kobj);
	kobject_put(&s->kobj);
	wait_for_completion(&s->kobj_gone); /* readers are through */
}

int tfs_sysfs_init(void)
{
	volumes = kset_create_and_add("tfs", NULL, fs_kobj);
	return volumes ? 0 : -ENOMEM;
}

void tfs_sysfs_exit(void)
{
	kset_unregister(volumes);
}
