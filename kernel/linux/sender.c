// SPDX-License-Identifier: GPL-2.0
/*
 * A collector's thread: the lines of all rules that name it go there, and what arrived moves their cursors. It sleeps
 * until something became durable, an answer came, or a second passed; pauses while the volume is frozen, read-only or
 * ended; and comes back after an error with growing pauses. A cursor becomes a record at most once a second a file, and
 * at the end; at an error, what arrived is recorded and all else forgotten, so sending begins at the cursors again.
 *
 * Nothing is held over a pass: no lock, no inode, no list of files. Messages of the thread itself begin with SHIP_MINE,
 * by which logship/ship/kmsg.c leaves them out, and are one for each change between working and not.
 */
#include "ship.h"

#include <linux/freezer.h>
#include <linux/random.h>
#include <linux/utsname.h>

#define COMMIT_JIFFIES HZ
#define BACKOFF_MIN 200u /* ms */
#define BACKOFF_MAX 30000u
#define PAUSE_JIFFIES (HZ / 10)

u8 tfs_boot_id[16];

/* ---- cursors ---- */

/* -EAGAIN: frozen. */
static int acked_record(struct tfs_sender *t, const struct tfs_ship_slot *p)
{
	struct super_block *sb = t->s->sb;
	struct tfs_vol *vol;
	int err = -EROFS;

	if (!sb_start_intwrite_trylock(sb))
		return -EAGAIN;
	vol = tfs_enter_writing(sb);
	if (vol) {
		err = tfs_ship_acked(vol, p->ino, p->rule, p->generation, p->acked);
		tfs_leave(sb);
	}
	sb_end_intwrite(sb);
	return err;
}

static int commit(struct tfs_sender *t)
{
	int err = 0, first = 0;
	u32 i;

	for (i = 0; err != -EAGAIN && i < SENDER_FILES; i++) {
		struct tfs_ship_slot *p = &t->slot[i];

		if (!p->rule || p->acked == p->committed)
			continue;
		err = acked_record(t, p);
		if (err == -ESTALE || err == -ENOENT) { /* it shrank or went: what arrived was of before */
			t->stale++;
			err = 0;
		}
		if (!err)
			p->committed = p->acked;
		else if (!first)
			first = err; /* one file's trouble keeps no other's cursor */
	}
	t->committed = jiffies;
	return first;
}

/* The oldest n went into the collector. */
static void arrived(struct tfs_sender *t, int n)
{
	while (n-- > 0 && t->flights) {
		struct tfs_flight *f = &t->flight[t->first];
		struct tfs_ship_slot *p = &t->slot[f->slot];

		p->acked = f->end;
		p->flights--;
		t->first = (t->first + 1) % SENDER_FLIGHTS;
		t->flights--;
		t->acked++;
		t->backoff = BACKOFF_MIN;
	}
}

static int answers(struct tfs_sender *t)
{
	int n = tfs_link_take(t);

	arrived(t, n);
	if (n >= 0 && t->flights && time_after(jiffies, t->link.progress + msecs_to_jiffies(SENDER_TIMEOUT_MS)))
		n = -ETIMEDOUT;
	return n < 0 ? n : 0;
}

static long wait_jiffies(const struct tfs_sender *t)
{
	return t->flights && t->target.transport == SHIP_TCP ? HZ / 50 + 1 : HZ;
}

static int arrival_wait(struct tfs_sender *t)
{
	int err = tfs_link_flush(t);

	if (!err)
		err = answers(t);
	if (err)
		return err;
	if (t->flights)
		wait_event_freezable_timeout(t->s->ship.wait, READ_ONCE(t->link.in_ready) || tfs_sender_stopping(t),
		                             wait_jiffies(t));
	return tfs_sender_stopping(t) ? -EINTR : 0;
}

/* ---- files of which something is on its way ---- */

static struct tfs_ship_slot *slot_find(struct tfs_sender *t, u64 rule, const struct tfs_ship_file *f)
{
	u32 i;

	for (i = 0; i < SENDER_FILES; i++)
		if (t->slot[i].rule == rule && t->slot[i].origin == f->origin && t->slot[i].generation == f->generation)
			return &t->slot[i];
	return NULL;
}

static struct tfs_ship_slot *slot_free(struct tfs_sender *t)
{
	u32 i;

	for (i = 0; i < SENDER_FILES; i++)
		if (!t->slot[i].rule || (!t->slot[i].flights && t->slot[i].committed == t->slot[i].acked))
			return &t->slot[i];
	return NULL;
}

static int slot_take(struct tfs_sender *t, u64 rule, const struct tfs_ship_file *f, struct tfs_ship_slot **out)
{
	struct tfs_ship_slot *p = slot_find(t, rule, f);
	int err = 0;

	while (!p && !(p = slot_free(t))) {
		while (!err && t->flights)
			err = arrival_wait(t);
		if (!err)
			err = commit(t);
		if (err)
			return err;
	}
	if (p->rule != rule || p->origin != f->origin || p->generation != f->generation)
		*p = (struct tfs_ship_slot){.rule = rule,
		                            .origin = f->origin,
		                            .generation = f->generation,
		                            .sent = f->acked,
		                            .acked = f->acked,
		                            .committed = f->acked};
	p->ino = f->ino; /* what was cut off lies elsewhere by now */
	*out = p;
	return 0;
}

/* Nothing is sent for an empty line: it has arrived with what stands before it. */
static void empty_took(struct tfs_sender *t, struct tfs_ship_slot *p, u64 end)
{
	u32 i, slot = p - t->slot;

	p->sent = end;
	if (!p->flights) {
		p->acked = end;
		return;
	}
	for (i = t->flights; i--;) {
		struct tfs_flight *f = &t->flight[(t->first + i) % SENDER_FLIGHTS];

		if (f->slot == slot) {
			f->end = end;
			return;
		}
	}
}

/* ---- one message ---- */

static void message_head(struct tfs_sender *t, struct ship_message *m, const char *host)
{
	struct timespec64 now;

	ktime_get_real_ts64(&now);
	*m = (struct ship_message){.seconds = now.tv_sec, .nanoseconds = now.tv_nsec, .host = host};
	m->app = t->target.app;
	memcpy(m->boot, tfs_boot_id, sizeof(m->boot));
	m->sequence = ++t->sequence;
}

static u32 message_make(struct tfs_sender *t, const u8 *text, const struct ship_piece *piece)
{
	const struct tfs_reading *r = &t->reading;
	struct ship_out o = {.buf = t->message, .size = SENDER_MESSAGE};
	struct ship_message m;
	char host[__NEW_UTS_LEN + 1];
	u32 skip = 0;

	strscpy(host, init_utsname()->nodename, sizeof(host));
	message_head(t, &m, host);
	m.priority = r->part ? t->target.standard : ship_priority(t->target.standard, text, piece->text, &skip);
	m.text = text + skip;
	m.len = piece->text - skip;
	m.more = piece->more;
	m.part = r->part || piece->more ? r->part + 1 : 0;
	m.id.volume = t->volume;
	m.id.ino = r->file.origin;
	m.id.generation = r->file.generation;
	m.id.offset = r->offset;
	m.id.crc = tfs_port_crc32c(0, text, piece->text);
	m.file = t->name;
	ship_rfc5424(&o, &m);
	return o.len;
}

/* Waits for the next second where this one's messages are sent. */
static int rate_keep(struct tfs_sender *t)
{
	int err = 0;

	while (!err && t->target.rate && t->in_second >= t->target.rate && time_before(jiffies, t->second + HZ)) {
		err = tfs_link_flush(t);
		if (!err)
			err = answers(t);
		if (!err)
			wait_event_freezable_timeout(t->s->ship.wait, tfs_sender_stopping(t),
			                             max_t(long, t->second + HZ - jiffies, 1));
		if (tfs_sender_stopping(t))
			err = -EINTR;
	}
	if (!time_before(jiffies, t->second + HZ)) {
		t->second = jiffies;
		t->in_second = 0;
	}
	t->in_second++;
	return err;
}

static int connected(struct tfs_sender *t)
{
	int err;

	if (t->link.sock)
		return 0;
	err = tfs_link_open(t);
	t->connected = !err;
	if (!err && t->told)
		pr_notice(SHIP_MINE "%s: %*pE: connected\n", t->s->sb->s_id, (int)t->text_len, t->text);
	if (!err)
		t->told = false;
	return err;
}

static int piece_send(struct tfs_sender *t, struct tfs_ship_slot *p, const u8 *text, const struct ship_piece *piece)
{
	u64 end = t->reading.offset + piece->bytes;
	int err = 0, n;
	u32 len;

	t->bytes += piece->bytes;
	if (!piece->text && !t->reading.part) {
		empty_took(t, p, end);
		return 0;
	}
	while (!err && t->flights == SENDER_FLIGHTS)
		err = arrival_wait(t);
	if (!err) /* first: a collector that resets is not called again before something may be sent */
		err = rate_keep(t);
	if (!err)
		err = connected(t);
	if (err)
		return err;
	len = message_make(t, text, piece);
	t->flight[(t->first + t->flights++) % SENDER_FLIGHTS] = (struct tfs_flight){end, p - t->slot};
	p->flights++;
	p->sent = end;
	n = tfs_link_send(t, t->message, len);
	if (n < 0)
		return n;
	t->lines += !piece->more;
	arrived(t, n);
	return 0;
}

/* ---- a pass over all rules and files ---- */

static bool may_send(struct tfs_sb *s)
{
	return !sb_rdonly(s->sb) && !READ_ONCE(s->stopped) && s->sb->s_writers.frozen == SB_UNFROZEN;
}

/* What is the file's alone does not keep the others from being sent. */
static bool of_the_file(struct tfs_sender *t, int err)
{
	if (err == -ESTALE || err == -ENOENT || err == -ENODATA) { /* it shrank or went, or its rule did */
		t->stale++;
		return true;
	}
	return false;
}

static int file_send(struct tfs_sender *t, u64 rule, const struct tfs_ship_file *f)
{
	struct tfs_ship_slot *p = slot_find(t, rule, f);
	u64 from = p && p->sent > f->acked ? p->sent : f->acked; /* the volume may have given lines up */
	struct ship_piece piece;
	const u8 *text;
	int err = 0, more;

	if (from >= f->size)
		return 0;
	t->name = tfs_sender_name(t, f->origin);
	more = tfs_reading_start(t, rule, f, from);
	while (!err && more >= 0 && !tfs_sender_stopping(t) && may_send(t->s)) {
		more = tfs_reading_next(t, &text, &piece);
		if (more <= 0)
			break;
		err = slot_take(t, rule, f, &p);
		if (!err)
			err = piece_send(t, p, text, &piece);
		if (!err)
			tfs_reading_took(&t->reading, &piece);
		if (!err && time_after_eq(jiffies, t->committed + COMMIT_JIFFIES))
			err = commit(t);
		cond_resched();
	}
	if (more < 0 && !of_the_file(t, more)) { /* damage: said by whoever found it */
		t->unread++;
		t->again = true;
		t->last_error = more;
	}
	return of_the_file(t, err) ? 0 : err;
}

static int rule_send(struct tfs_sender *t, u64 rule)
{
	u64 ino = 0;
	int more = 1, err = 0;
	u32 i, n;

	while (!err && more > 0 && !tfs_sender_stopping(t)) {
		bool behind = false;

		more = tfs_sender_list(t, rule, &ino, &n);
		for (i = 0; more >= 0 && i < n; i++)
			behind |= t->file[i].acked < t->file[i].size;
		if (more >= 0 && behind)
			err = tfs_sender_durable(t);
		for (i = 0; !err && more >= 0 && behind && i < n; i++)
			err = file_send(t, rule, &t->file[i]);
		cond_resched();
	}
	return err ? err : more < 0 ? more : 0;
}

/* Rules that name this collector, one after the other, with what is to be done for each. */
static int rules_do(struct tfs_sender *t, int (*what)(struct tfs_sender *t, u64 rule))
{
	u64 rule = 0;
	int err = 0;

	while (!err && !tfs_sender_stopping(t)) {
		err = tfs_ship_rule_next(tfs_enter(t->s->sb), &rule, &t->rule);
		tfs_leave(t->s->sb);
		if (!err && t->rule.target_len == t->text_len && !memcmp(t->rule.target, t->text, t->text_len))
			err = what(t, rule);
		rule++;
	}
	return err == -ENOENT ? 0 : err;
}

/* Where many files are behind one rule, to look through them takes a third of the time at most. */
static void rest(struct tfs_sender *t, unsigned long began)
{
	wait_event_freezable_timeout(t->s->ship.wait, tfs_sender_stopping(t),
	                             clamp_t(long, 2 * (jiffies - began), 1, HZ));
}

static int pass(struct tfs_sender *t)
{
	unsigned long began = jiffies;
	int err;

	WRITE_ONCE(t->kicked, false);
	t->again = false;
	t->seen_ended = atomic_read(&t->s->ship.ended);
	t->seen_durable = atomic64_read(&t->s->durable);
	t->seen_sequence = atomic64_read(&t->s->sequence);
	err = rules_do(t, rule_send);
	if (err || !may_send(t->s)) /* not all was looked at: again, when it can be */
		WRITE_ONCE(t->kicked, true);
	if (!err && t->link.sock)
		err = tfs_link_flush(t);
	if (!err)
		rest(t, t->pass_lines == t->lines ? began : jiffies);
	t->pass_lines = t->lines;
	return tfs_sender_stopping(t) ? -EINTR : err;
}

/* ---- errors ---- */

/* Everything begins at the cursors again. */
static void forget(struct tfs_sender *t)
{
	u32 i;

	t->first = t->flights = 0;
	for (i = 0; i < SENDER_FILES; i++) {
		struct tfs_ship_slot *p = &t->slot[i];

		p->flights = 0;
		p->sent = p->acked;
		if (p->acked == p->committed)
			p->rule = 0;
	}
}

static void back_off(struct tfs_sender *t)
{
	u32 ms =
	    t->backoff / 2 + get_random_u32() % (t->backoff / 2 + 1); /* a thousand machines come back one by one */

	wait_event_freezable_timeout(t->s->ship.wait, tfs_sender_stopping(t), msecs_to_jiffies(ms));
	t->backoff = min(2 * t->backoff, BACKOFF_MAX);
}

static void failed(struct tfs_sender *t, int err)
{
	bool idle = t->connected && !t->flights && err == -ECONNRESET; /* it may: nothing was under way */

	if (err == -EAGAIN) { /* frozen meanwhile */
		wait_event_freezable_timeout(t->s->ship.wait, tfs_sender_stopping(t), PAUSE_JIFFIES);
		return;
	}
	if (!t->told && !idle)
		pr_warn(SHIP_MINE "%s: %*pE: error %d%s%s; trying again\n", t->s->sb->s_id, (int)t->text_len, t->text,
		        err, t->link.said[0] ? ": " : "", t->link.said);
	t->told |= !idle;
	t->connected = false;
	t->last_error = err;
	t->reconnects += !idle;
	WRITE_ONCE(t->kicked, true); /* what was on its way is to be sent again, whatever else happens */
	tfs_link_close(&t->link);
	t->link.said[0] = 0;
	commit(t);
	forget(t);
	if (!idle && err != -ENOLINK) /* nobody to make a connection: that was waited for long enough */
		back_off(t);
}

/* ---- the thread ---- */

/* Pages that nobody syncs are written back once a second, so that no line is long in coming. */
static int write_back(struct tfs_sender *t)
{
	unsigned long now = jiffies;
	int err;

	if (time_before(now, t->flushed + HZ) || time_before(READ_ONCE(t->s->ship.written), t->flushed))
		return 0;
	err = rules_do(t, tfs_sender_write_back);
	t->flushed = now;
	return err;
}

static bool news(const struct tfs_sender *t)
{
	return READ_ONCE(t->kicked) || (u64)atomic64_read(&t->s->durable) != t->seen_durable ||
	       atomic_read(&t->s->ship.ended) != t->seen_ended;
}

static int turn(struct tfs_sender *t, bool *slept)
{
	int err = answers(t);

	if (!err)
		err = write_back(t);
	if (!err && (news(t) || (*slept && (t->again || (u64)atomic64_read(&t->s->sequence) != t->seen_sequence))))
		err = pass(t);
	if (!err && time_after_eq(jiffies, t->committed + COMMIT_JIFFIES))
		err = commit(t);
	if (err)
		return err;
	*slept = !wait_event_freezable_timeout(
	    t->s->ship.wait, tfs_sender_stopping(t) || news(t) || READ_ONCE(t->link.in_ready), wait_jiffies(t));
	return 0;
}

/* What is on its way is waited for, not long. */
static void finish(struct tfs_sender *t)
{
	unsigned long end = jiffies + msecs_to_jiffies(SENDER_ENDING_MS);
	int n = 0;

	while (n >= 0 && t->link.sock && t->flights && time_before(jiffies, end)) {
		n = tfs_link_last(t);
		arrived(t, n);
		if (n >= 0 && t->flights)
			wait_event_freezable_timeout(t->s->ship.wait, READ_ONCE(t->link.in_ready), HZ / 50 + 1);
	}
	commit(t);
	tfs_link_close(&t->link);
}

int tfs_sender_main(void *data)
{
	struct tfs_sender *t = data;
	bool slept = false;
	int err;

	set_freezable();
	t->committed = t->second = jiffies;
	t->flushed = jiffies - HZ;
	t->backoff = BACKOFF_MIN;
	t->kicked = true;
	while (!tfs_sender_stopping(t)) {
		if (t->why || !may_send(t->s)) {
			wait_event_freezable_timeout(t->s->ship.wait, tfs_sender_stopping(t), PAUSE_JIFFIES);
			continue;
		}
		err = turn(t, &slept);
		if (err && err != -EINTR)
			failed(t, err);
	}
	finish(t);
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

void tfs_sender_init(void)
{
	get_random_bytes(tfs_boot_id, sizeof(tfs_boot_id));
}
