// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own messages into a file of the volume (-o kmsg=PATH), which rules forward as any other. A freezable
 * thread pulls them once a second, and once more when it ends: it is no console, so that nobody who speaks waits for
 * it, at the price of the last second of a machine that dies. Messages of severity err and worse are synced.
 * The file is half of a ring: when it has half of the bytes allowed it becomes PATH.old, in the place of the last one.
 * The file is the cursor, too: a mount ends it with a line by which the next one, of the same boot, goes on; without
 * that line all that the kernel still has is written (again). Gaps in the numbers of messages are counted, and a line
 * says so. Started and stopped by who holds s_umount, which the thread never waits for; kmsg.lock is for the path, which
 * /proc/mounts reads.
 */
#include "kmsg.h"
#include "ship.h"

#include <linux/fs_context.h>
#include <linux/freezer.h>
#include <linux/kmsg_dump.h>
#include <linux/sched/clock.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/utsname.h>

#define MINE "tfs: kernel messages: " /* logship/ship/kmsg.c leaves such lines out */
#define PATH_BYTES 250u               /* room for .old in a name */
#define RING_MIN (512u << 10)
#define RING_MAX (1u << 30)
#define RING_STANDARD (8u << 20)
#define RAW 57344u      /* a record: 1 KiB of text, and a prefix for each line of it */
#define BATCH 65536u    /* is written when it has so much */
#define OUT (2 * BATCH) /* of lines: a batch and one more record */
#define PAUSE_MAX (60 * HZ)

struct tfs_kmsg_thread {
	struct tfs_sb *s;
	const char *path; /* stays while the thread is */
	struct kmsg_dump_iter at;
	bool resumed; /* at is right */
	bool first;   /* and nothing says what came before it: a gap there is none of ours */
	bool grave;   /* something in out is to be synced */
	bool told;
	u64 ino;             /* of the file that was written last; 0: none yet */
	struct ship_out out; /* lines that are not in the file, from out_at on */
	u32 out_at;
	u8 *raw;
	long pause; /* jiffies, until next */
	unsigned long next;
};

static bool may_write(struct tfs_sb *s)
{
	return s->sb->s_flags & SB_BORN && !sb_rdonly(s->sb) && !READ_ONCE(s->stopped);
}

/* The number that the next message will have. */
static u64 newest(void)
{
	struct kmsg_dump_iter i;

	kmsg_dump_rewind(&i);
	return i.next_seq;
}

/* ---- from the kernel ---- */

static u32 lines_put(struct tfs_kmsg_thread *t, u64 lost, u32 n)
{
	if (lost)
		ship_kmsg_lost(&t->out, local_clock(), lost);
	return ship_kmsg(&t->out, t->raw, n);
}

/* One record's lines behind the others. False: there is none, or no room. */
static bool record_take(struct tfs_kmsg_thread *t)
{
	struct kmsg_dump_iter before = t->at;
	u32 had = t->out.len, worst;
	size_t n = 0;
	u64 lost;

	if (had >= BATCH || !kmsg_dump_get_line(&t->at, true, t->raw, RAW, &n))
		return false;
	lost = t->first ? 0 : t->at.cur_seq - 1 - before.cur_seq;
	worst = lines_put(t, lost, n);
	if (!ship_fits(&t->out) && had) {
		t->out.len = had;
		t->at = before;
		return false;
	}
	t->first = false;
	if (!ship_fits(&t->out)) { /* no kernel has such a record: as much as there is room for */
		t->out.len = t->out.size;
		t->out.buf[t->out.size - 1] = '\n';
	}
	t->grave |= worst <= SHIP_ERR;
	WRITE_ONCE(t->s->kmsg.lost, t->s->kmsg.lost + lost);
	WRITE_ONCE(t->s->kmsg.messages, t->s->kmsg.messages + (worst != SHIP_KMSG_NONE));
	return true;
}

/* ---- into the file ---- */

/* A file begins with a line that says whose messages these are. What was cut in the file before begins anew. */
static int begin(struct tfs_kmsg_thread *t, struct tfs_kmsg_file *f)
{
	u8 head[1 + SHIP_KMSG_LINE + __NEW_UTS_LEN], last;
	struct ship_out o = {.buf = head, .size = sizeof(head)};
	int n = tfs_kmsg_tail(f, &last, 1), err;
	u32 done;

	if (n < 0)
		return n;
	while (t->out_at && t->out.buf[t->out_at - 1] != '\n')
		t->out_at--;
	if (n && last != '\n')
		ship_put_text(&o, "\n");
	ship_kmsg_begin(&o, local_clock(), tfs_boot_id, init_utsname()->release, ktime_get_real_seconds());
	err = tfs_kmsg_append(f, head, o.len, &done);
	if (!err)
		t->ino = d_inode(f->file)->i_ino;
	return err;
}

static int rest_write(struct tfs_kmsg_thread *t, struct tfs_kmsg_file *f)
{
	const struct inode *inode = d_inode(f->file);
	int err = t->ino == inode->i_ino && i_size_read(inode) ? 0 : begin(t, f);
	u32 done = 0;

	if (!err)
		err = tfs_kmsg_append(f, t->out.buf + t->out_at, t->out.len - t->out_at, &done);
	t->out_at += done;
	if (err)
		return err;
	t->out.len = t->out_at = 0;
	if (t->grave)
		err = tfs_kmsg_sync(f);
	t->grave &= err != 0;
	return err;
}

/* With what is to be written, its first line and its last. */
static bool is_full(const struct tfs_kmsg_thread *t, const struct tfs_kmsg_file *f)
{
	loff_t size = i_size_read(d_inode(f->file)), half = READ_ONCE(t->s->kmsg.max) / 2;

	return size && size > half - (t->out.len - t->out_at) - 4 * SHIP_KMSG_LINE;
}

/* Of a file that nobody has begun: nothing can be appended where its end does not read. */
static bool is_damaged(const struct tfs_kmsg_thread *t, struct tfs_kmsg_file *f)
{
	int n;
	u8 last;

	if (t->ino == d_inode(f->file)->i_ino)
		return false;
	n = tfs_kmsg_tail(f, &last, 1);
	return n < 0 && n != -ENOMEM;
}

static int out_write(struct tfs_kmsg_thread *t, const char **why)
{
	struct tfs_kmsg_file f;
	int err = tfs_kmsg_open(t->s->sb, t->path, true, &f);

	if (!err && (is_full(t, &f) || is_damaged(t, &f))) {
		err = tfs_kmsg_set_aside(&f);
		tfs_kmsg_close(&f);
		if (!err)
			err = tfs_kmsg_open(t->s->sb, t->path, true, &f);
	}
	*why = f.why;
	if (!f.file) /* not open */
		return err;
	if (!err)
		err = rest_write(t, &f);
	tfs_kmsg_close(&f);
	return err;
}

/* ---- turns ---- */

/* Where a mount of this boot ended, or the oldest message that there is. */
static int resume(struct tfs_kmsg_thread *t, const char **why)
{
	struct tfs_kmsg_file f;
	int n, err = tfs_kmsg_open(t->s->sb, t->path, false, &f);
	u64 next;

	*why = f.why;
	if (err)
		return err;
	n = d_is_positive(f.file) ? tfs_kmsg_tail(&f, t->raw, 2 * SHIP_KMSG_LINE) : 0;
	tfs_kmsg_close(&f);
	if (n == -ENOMEM)
		return n;
	n = max(n, 0); /* damaged: what it said last nobody knows */
	kmsg_dump_rewind(&t->at);
	if (ship_kmsg_resume(t->raw, n, tfs_boot_id, &next) && next <= t->at.next_seq)
		t->at.cur_seq = next;
	else
		t->first = true;
	t->resumed = true;
	return 0;
}

static int pull(struct tfs_kmsg_thread *t, const char **why)
{
	u64 end = newest();
	int err = 0;

	do {
		while (t->at.cur_seq < end && record_take(t))
			;
		if (!t->out.len)
			break;
		err = out_write(t, why);
		cond_resched();
	} while (!err);
	return err;
}

/* All is in the file: the next mount may go on from here. */
static int end_write(struct tfs_kmsg_thread *t, const char **why)
{
	if (!t->ino) /* nothing was written */
		return 0;
	ship_kmsg_end(&t->out, local_clock(), tfs_boot_id, t->at.cur_seq);
	return out_write(t, why);
}

/* Said once for each change between working and not. */
static void settle(struct tfs_kmsg_thread *t, int err, const char *why)
{
	struct tfs_kmsg *k = &t->s->kmsg;
	const char *id = t->s->sb->s_id;

	t->pause = err ? min_t(long, 2 * t->pause, PAUSE_MAX) : HZ;
	t->next = jiffies + (err ? t->pause : 0);
	if (err)
		WRITE_ONCE(k->failures, k->failures + 1);
	if (err && !t->told)
		pr_warn_ratelimited(MINE
		                    "%s: /%*pE: error %d%s%s: messages wait in the kernel's buffer; trying again\n",
		                    id, (int)strlen(t->path), t->path, err, why ? ": " : "", why ?: "");
	else if (!err && t->told)
		pr_notice_ratelimited(MINE "%s: /%*pE: written again\n", id, (int)strlen(t->path), t->path);
	t->told = err;
}

static void turn(struct tfs_kmsg_thread *t, bool last)
{
	struct super_block *sb = t->s->sb;
	const char *why = NULL;
	int err;

	if (!may_write(t->s) || (!last && time_before(jiffies, t->next)))
		return;
	if (!last && t->resumed && !t->out.len && t->at.cur_seq >= newest())
		return;
	if (!sb_start_write_trylock(sb)) /* frozen */
		return;
	err = t->resumed ? 0 : resume(t, &why);
	if (!err)
		err = pull(t, &why);
	if (!err && last)
		err = end_write(t, &why);
	sb_end_write(sb);
	settle(t, err, why);
}

static int kmsg_main(void *data)
{
	struct tfs_kmsg_thread *t = data;

	set_freezable();
	while (!kthread_should_stop()) {
		turn(t, false);
		wait_event_freezable_timeout(t->s->kmsg.wait, kthread_should_stop(), HZ);
	}
	turn(t, true);
	return 0;
}

/* ---- start and stop ---- */

static void thread_free(struct tfs_kmsg_thread *t)
{
	if (!t)
		return;
	kvfree(t->raw);
	kvfree(t->out.buf);
	kfree(t);
}

static struct tfs_kmsg_thread *thread_alloc(struct tfs_sb *s)
{
	struct tfs_kmsg_thread *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	t->s = s;
	t->path = s->kmsg.path;
	t->pause = HZ;
	t->next = jiffies;
	t->raw = kvmalloc(RAW, GFP_KERNEL);
	t->out.buf = kvmalloc(OUT, GFP_KERNEL);
	t->out.size = OUT;
	if (t->raw && t->out.buf)
		return t;
	thread_free(t);
	return NULL;
}

void tfs_kmsg_start(struct tfs_sb *s)
{
	struct tfs_kmsg *k = &s->kmsg;
	struct task_struct *task;

	if (!k->path || k->task || sb_rdonly(s->sb))
		return;
	k->thread = thread_alloc(s);
	task = k->thread ? kthread_run(kmsg_main, k->thread, "tfs-kmsg/%s", s->sb->s_id) : ERR_PTR(-ENOMEM);
	if (!IS_ERR(task)) {
		k->task = task;
		return;
	}
	thread_free(k->thread);
	k->thread = NULL;
	pr_err(MINE "%s: error %ld: kernel messages are not written; remount to try again\n", s->sb->s_id,
	       PTR_ERR(task));
}

void tfs_kmsg_stop(struct tfs_sb *s)
{
	struct tfs_kmsg *k = &s->kmsg;

	if (!k->task)
		return;
	kthread_stop(k->task);
	thread_free(k->thread);
	k->task = NULL;
	k->thread = NULL;
}

/* ---- options ---- */

/* Without the slashes around it; NULL, or what is wrong with it. */
static const char *path_check(char *path)
{
	char *from = path, *part;
	size_t n;

	while (*from == '/')
		from++;
	memmove(path, from, strlen(from) + 1);
	if (strlen(path) > PATH_BYTES)
		return "expected a path of at most 250 bytes";
	for (part = path;; part += n + 1) {
		n = strcspn(part, "/");
		if (!n || (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.'))))
			return "expected the path of a file, from the volume's root, without . and ..";
		if (!part[n])
			return NULL;
	}
}

int tfs_kmsg_path_option(struct fs_context *fc, struct tfs_options *o, char *path)
{
	const char *why = path_check(path);

	if (why)
		return invalf(fc, "tfs: kmsg=%s: %s", path, why);
	kfree(o->kmsg);
	o->kmsg = path;
	o->kmsg_named = true;
	return 0;
}

int tfs_kmsg_max_option(struct fs_context *fc, struct tfs_options *o, const char *text)
{
	char *end;
	u64 max = memparse(text, &end);

	if (*end || end == text || max < RING_MIN || max > RING_MAX)
		return invalf(fc, "tfs: kmsg_max=%s: expected 512K to 1G", text);
	o->kmsg_max = max;
	return 0;
}

static bool same_path(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

void tfs_kmsg_set(struct tfs_sb *s, struct tfs_options *o)
{
	struct tfs_kmsg *k = &s->kmsg;

	if (o->kmsg_max)
		WRITE_ONCE(k->max, o->kmsg_max);
	if (!o->kmsg_named || same_path(o->kmsg, k->path))
		return;
	tfs_kmsg_stop(s);
	mutex_lock(&k->lock);
	swap(k->path, o->kmsg); /* the old one is freed with the options */
	mutex_unlock(&k->lock);
}

void tfs_kmsg_show(struct tfs_sb *s, struct seq_file *m)
{
	struct tfs_kmsg *k = &s->kmsg;

	mutex_lock(&k->lock);
	if (k->path) {
		seq_putc(m, ',');
		seq_puts(m, "kmsg=/");
		seq_escape(m, k->path, ",= \t\n\\#");
		seq_printf(m, ",kmsg_max=%llu", READ_ONCE(k->max));
	}
	mutex_unlock(&k->lock);
}

void tfs_kmsg_init(struct tfs_sb *s)
{
	mutex_init(&s->kmsg.lock);
	init_waitqueue_head(&s->kmsg.wait);
	s->kmsg.max = RING_STANDARD;
}

void tfs_kmsg_exit(struct tfs_sb *s)
{
	kfree(s->kmsg.path);
}
