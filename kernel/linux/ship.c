// SPDX-License-Identifier: GPL-2.0
/*
 * Log forwarding of a mount: which threads there are. One for each collector that a rule names, from the mount, or
 * the remount, that says -o ship on; rules that come and go bring and end theirs. Without the option rules are inert,
 * so that a volume from elsewhere talks to nobody. ship.lock covers the list: callers may hold s_umount, threads never
 * take either, so they can be waited for under both.
 */
#include "ship.h"

#include <linux/slab.h>
#include <net/net_namespace.h>

/* ---- a thread ---- */

static void sender_free(struct tfs_sender *t)
{
	kvfree(t->reading.buf);
	kvfree(t->message);
	kvfree(t->out);
	kfree(t->path);
	kfree(t->text);
	kvfree(t);
}

static struct tfs_sender *sender_alloc(const struct tfs_ship_rule_info *r)
{
	struct tfs_sender *t = kvzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	t->text = kmemdup_nul(r->target, r->target_len, GFP_KERNEL);
	t->text_len = r->target_len;
	t->path = kmalloc(PAGE_SIZE, GFP_KERNEL);
	t->reading.buf = kvmalloc(SENDER_READ, GFP_KERNEL);
	t->message = kvmalloc(SENDER_MESSAGE, GFP_KERNEL);
	t->out = kvmalloc(SENDER_BATCH + SENDER_MESSAGE + 64, GFP_KERNEL);
	if (t->text && t->path && t->reading.buf && t->message && t->out)
		return t;
	sender_free(t);
	return NULL;
}

static u64 volume_of(struct tfs_sb *s)
{
	struct tfs_stat st;

	tfs_statfs(tfs_enter(s->sb), &st);
	tfs_leave(s->sb);
	return st.volume;
}

static int sender_start(struct tfs_sb *s, const struct tfs_ship_rule_info *r)
{
	struct tfs_sender *t = sender_alloc(r);

	if (!t)
		return -ENOMEM;
	t->s = s;
	t->volume = volume_of(s);
	t->why = ship_target_parse(t->text, t->text_len, &t->target);
	if (!t->why)
		t->why = tfs_link_check(s->ship.net, &t->target);
	t->task = kthread_create(tfs_sender_main, t, "tfs-ship/%s", s->sb->s_id);
	if (IS_ERR(t->task)) {
		int err = PTR_ERR(t->task);

		sender_free(t);
		return err;
	}
	if (t->why)
		pr_warn("tfs: ship: %s: %*pE: nothing is sent there: %s\n", s->sb->s_id, (int)t->text_len, t->text,
		        t->why);
	list_add_tail(&t->list, &s->ship.senders);
	s->ship.count++;
	wake_up_process(t->task);
	return 0;
}

/* Those that were told to, all at once. */
static void senders_end(struct tfs_sb *s)
{
	struct tfs_sender *t, *next;

	wake_up_all(&s->ship.wait);
	list_for_each_entry_safe(t, next, &s->ship.senders, list)
	{
		if (!t->stopping)
			continue;
		kthread_stop(t->task);
		list_del(&t->list);
		s->ship.count--;
		sender_free(t);
	}
}

/* ---- all ---- */

static struct tfs_sender *sender_find(struct tfs_sb *s, const struct tfs_ship_rule_info *r)
{
	struct tfs_sender *t;

	list_for_each_entry(t, &s->ship.senders, list) if (t->text_len == r->target_len &&
	                                                   !memcmp(t->text, r->target, r->target_len)) return t;
	return NULL;
}

/* A thread for each collector, and none for those that no rule names any more; all look at the rules again. */
static int senders_update(struct tfs_sb *s, struct tfs_ship_rule_info *r)
{
	struct tfs_sender *t;
	u64 rule = 0;
	int err;

	list_for_each_entry(t, &s->ship.senders, list) t->wanted = false;
	for (;; rule++) {
		err = tfs_ship_rule_next(tfs_enter(s->sb), &rule, r);
		tfs_leave(s->sb);
		if (err)
			break;
		t = sender_find(s, r);
		if (!t && s->ship.count == SENDERS_MAX) {
			pr_warn_ratelimited(
			    "tfs: ship: %s: more than %u collectors: rule %llu waits until another is removed\n",
			    s->sb->s_id, SENDERS_MAX, rule);
			continue;
		}
		if (!t && sender_start(s, r))
			return -ENOMEM;
		sender_find(s, r)->wanted = true;
	}
	if (err != -ENOENT)
		return err;
	list_for_each_entry(t, &s->ship.senders, list)
	{
		WRITE_ONCE(t->stopping, !t->wanted);
		WRITE_ONCE(t->kicked, true);
	}
	senders_end(s);
	return 0;
}

static void update(struct tfs_sb *s)
{
	struct tfs_ship_rule_info *r = kmalloc(sizeof(*r), GFP_KERNEL);
	int err = r ? senders_update(s, r) : -ENOMEM;

	if (err)
		pr_err("tfs: ship: %s: error %d: not all that rules say is sent; remount to try again\n", s->sb->s_id,
		       err);
	kfree(r);
}

void tfs_ship_start(struct tfs_sb *s)
{
	mutex_lock(&s->ship.lock);
	if (s->opt.ship && !s->ship.on && !sb_rdonly(s->sb)) {
		s->ship.written = jiffies;
		WRITE_ONCE(s->ship.on, true);
		update(s);
	}
	mutex_unlock(&s->ship.lock);
}

void tfs_ship_rules_changed(struct tfs_sb *s)
{
	mutex_lock(&s->ship.lock);
	if (s->ship.on)
		update(s);
	mutex_unlock(&s->ship.lock);
}

/* A last line without its end goes now, and no record says so: the threads are told. */
void tfs_ship_ended(struct inode *inode)
{
	struct tfs_sb *s = tfs_sb(inode->i_sb);
	u64 from;
	int unsent;

	if (likely(!READ_ONCE(s->ship.on)))
		return;
	unsent = tfs_ship_unsent(tfs_enter(s->sb), inode->i_ino, i_size_read(inode), &from);
	tfs_leave(s->sb);
	if (unsent <= 0)
		return;
	atomic_inc(&s->ship.ended);
	wake_up_all(&s->ship.wait);
}

void tfs_ship_stop(struct tfs_sb *s)
{
	struct tfs_sender *t;

	mutex_lock(&s->ship.lock);
	list_for_each_entry(t, &s->ship.senders, list) WRITE_ONCE(t->stopping, true);
	senders_end(s);
	WRITE_ONCE(s->ship.on, false);
	mutex_unlock(&s->ship.lock);
}

void tfs_ship_init(struct tfs_sb *s, struct net *net)
{
	mutex_init(&s->ship.lock);
	INIT_LIST_HEAD(&s->ship.senders);
	init_waitqueue_head(&s->ship.wait);
	s->ship.net = net ? get_net(net) : NULL;
	s->ship.desk = tfs_desk_new();
}

void tfs_ship_exit(struct tfs_sb *s)
{
	tfs_desk_close(s->ship.desk);
	if (s->ship.net)
		put_net(s->ship.net);
}

/* ---- /sys ---- */

u64 tfs_ship_sum(struct tfs_sb *s, enum tfs_ship_count what)
{
	struct tfs_sender *t;
	u64 sum = 0;

	mutex_lock(&s->ship.lock);
	list_for_each_entry(t, &s->ship.senders, list)
	{
		const u64 counts[] = {[TFS_SHIP_LINES] = READ_ONCE(t->lines),
		                      [TFS_SHIP_BYTES] = READ_ONCE(t->bytes),
		                      [TFS_SHIP_ACKED] = READ_ONCE(t->acked),
		                      [TFS_SHIP_UNACKED] = READ_ONCE(t->flights),
		                      [TFS_SHIP_RECONNECTS] = READ_ONCE(t->reconnects)};

		sum += counts[what];
	}
	mutex_unlock(&s->ship.lock);
	return sum;
}

ssize_t tfs_ship_show(struct tfs_sb *s, char *buf)
{
	struct tfs_sender *t;
	ssize_t at = 0;

	mutex_lock(&s->ship.lock);
	list_for_each_entry(t, &s->ship.senders, list) at +=
	    sysfs_emit_at(buf, at,
	                  "%*pE %s lines=%llu bytes=%llu acknowledged=%llu unacknowledged=%u reconnects=%llu "
	                  "stale=%llu unread=%llu error=%d\n",
	                  (int)min(t->text_len, 200u), t->text,
	                  t->why                      ? "refused"
	                  : READ_ONCE(t->need.number) ? "waiting"
	                  : READ_ONCE(t->connected)   ? "connected"
	                                              : "apart",
	                  t->lines, t->bytes, t->acked, t->flights, t->reconnects, t->stale, t->unread, t->last_error);
	mutex_unlock(&s->ship.lock);
	return at;
}
