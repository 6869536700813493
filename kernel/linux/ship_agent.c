// SPDX-License-Identifier: GPL-2.0
/*
 * Connections with TLS, which user space makes: a collector's thread that wants one puts a need on the mount's desk and
 * waits; `tfs ship tls-agent` takes it from there, connects, shakes hands, verifies, and lays down a socket that has
 * the keys (kTLS). Always: without such a socket nothing is sent, and what is laid down is checked to be one.
 *
 * An agent has a descriptor of the desk, not of the volume, so it keeps nobody from unmounting; the desk outlives the
 * mount until the last agent has closed it, and what it waits for ends with the mount. A need stays on the desk until
 * it is answered or its thread gives it up, whatever becomes of an agent that has read it: the next one finds it again.
 * `lock` covers the desk and the needs on it, is innermost but for wait queues, and nothing is waited for under it; a
 * thread takes its need away before it goes, so what is on the desk has a thread, and a mount.
 */
#include "ship.h"
#include "tfs/ioctl.h"

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/freezer.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct tfs_desk {
	refcount_t refs; /* the mount's, and one for each agent's descriptor */
	spinlock_t lock;
	wait_queue_head_t wait; /* agents */
	struct list_head needs; /* struct tfs_need, the oldest first, which has the smallest number */
	u64 asked, given;       /* needs so far: the last one's number; sockets */
	u32 agents;
	bool closed; /* the mount is gone */
};

struct tfs_desk *tfs_desk_new(void)
{
	struct tfs_desk *d = kzalloc(sizeof(*d), GFP_KERNEL);

	if (!d)
		return NULL;
	refcount_set(&d->refs, 1);
	spin_lock_init(&d->lock);
	init_waitqueue_head(&d->wait);
	INIT_LIST_HEAD(&d->needs);
	return d;
}

static void desk_put(struct tfs_desk *d)
{
	if (refcount_dec_and_test(&d->refs))
		kfree(d);
}

void tfs_desk_close(struct tfs_desk *d)
{
	if (!d)
		return;
	spin_lock(&d->lock);
	d->closed = true;
	spin_unlock(&d->lock);
	wake_up_all(&d->wait);
	desk_put(d);
}

u64 tfs_desk_asked(const struct tfs_desk *d)
{
	return d ? READ_ONCE(d->asked) : 0;
}

u64 tfs_desk_given(const struct tfs_desk *d)
{
	return d ? READ_ONCE(d->given) : 0;
}

/* ---- the thread's side ---- */

/* Whether there is an agent. */
static bool need_put(struct tfs_desk *d, struct tfs_need *n)
{
	bool agents;

	spin_lock(&d->lock);
	n->answered = false;
	n->error = 0;
	WRITE_ONCE(n->number, ++d->asked);
	list_add_tail(&n->list, &d->needs);
	agents = d->agents;
	spin_unlock(&d->lock);
	wake_up_all(&d->wait);
	return agents;
}

/* Why the agent has no connection; numbers that say something of a file, of freezing or of stopping to the thread would
 * be misunderstood. */
static int agent_error(int error)
{
	switch (error) {
	case ENOENT:
	case ESTALE:
	case ENODATA:
	case EINTR:
	case EAGAIN:
	case ENOLINK:
		return -ECONNABORTED;
	}
	return -error;
}

/* 0: *file is the thread's own. */
static int need_take_back(struct tfs_sender *t, struct tfs_desk *d, struct file **file)
{
	struct tfs_need *n = &t->need;
	int err;

	spin_lock(&d->lock);
	if (!n->answered)
		list_del(&n->list);
	err = n->file ? 0 : n->answered ? agent_error(n->error) : tfs_sender_stopping(t) ? -EINTR : -ENOLINK;
	*file = n->file;
	n->file = NULL;
	WRITE_ONCE(n->number, 0);
	spin_unlock(&d->lock);
	return err;
}

int tfs_need_wait(struct tfs_sender *t, struct file **file)
{
	struct tfs_desk *d = t->s->ship.desk;
	int err;

	if (!d)
		return -ENOMEM;
	if (!need_put(d, &t->need) && !t->told) {
		pr_notice(SHIP_MINE "%s: %*pE: waits for tfs ship tls-agent, which is not running\n", t->s->sb->s_id,
		          (int)t->text_len, t->text);
		t->told = true;
	}
	wait_event_freezable_timeout(t->s->ship.wait, READ_ONCE(t->need.answered) || tfs_sender_stopping(t),
	                             msecs_to_jiffies(SENDER_AGENT_MS));
	err = need_take_back(t, d, file);
	if (err && err != -EINTR)
		strscpy(t->link.said,
		        err == -ENOLINK ? "no tfs ship tls-agent gave a connection" : "tfs ship tls-agent says why",
		        sizeof(t->link.said));
	return err;
}

/* ---- the agent's side ---- */

/* The first need behind the one that the agent knows. */
static struct tfs_need *need_next(struct tfs_desk *d, u64 known)
{
	struct tfs_need *n;

	list_for_each_entry(n, &d->needs, list) if (n->number > known) return n;
	return NULL;
}

/* True: *q has it, or there will be none (*err). */
static bool need_read(struct tfs_desk *d, struct tfs_ioc_ship_need *q, int *err)
{
	struct tfs_need *n;

	spin_lock(&d->lock);
	n = need_next(d, q->need);
	*err = d->closed ? -ENODEV : n ? 0 : -EAGAIN;
	if (!*err) {
		struct tfs_sender *t = container_of(n, struct tfs_sender, need);

		q->need = n->number;
		q->target_len = min_t(u32, t->text_len, sizeof(q->target));
		memcpy(q->target, t->text, q->target_len);
	}
	spin_unlock(&d->lock);
	return *err != -EAGAIN;
}

static int need_request(struct tfs_desk *d, struct tfs_ioc_ship_need *q)
{
	int err = 0, signal;

	if (q->fd || q->error || q->target_len)
		return -EINVAL;
	signal = wait_event_interruptible(d->wait, need_read(d, q, &err));
	return signal ? signal : err;
}

/* The need is answered; with a file it keeps that. */
static int need_answer(struct tfs_desk *d, u64 number, struct file *file, const struct net *net, int error)
{
	struct tfs_need *n;
	struct tfs_sender *t;
	int err = 0;

	spin_lock(&d->lock);
	n = number ? need_next(d, number - 1) : NULL;
	if (!n || n->number != number) {
		err = d->closed ? -ENODEV : -ESTALE;
		goto out;
	}
	t = container_of(n, struct tfs_sender, need);
	if (file && net != t->s->ship.net) {
		err = -EXDEV;
		goto out;
	}
	list_del(&n->list);
	n->file = file ? get_file(file) : NULL;
	n->error = error;
	WRITE_ONCE(n->answered, true);
	WRITE_ONCE(d->given, d->given + !!file);
	wake_up_all(&t->s->ship.wait);
out:
	spin_unlock(&d->lock);
	return err;
}

static int give_request(struct tfs_desk *d, const struct tfs_ioc_ship_need *q)
{
	const struct net *net = NULL;
	struct file *file;
	int err;

	if (q->target_len || (q->fd < 0 && (q->error < 1 || q->error > 4095)) || (q->fd >= 0 && q->error))
		return -EINVAL;
	if (q->fd < 0)
		return need_answer(d, q->need, NULL, NULL, q->error);
	file = fget(q->fd);
	if (!file)
		return -EBADF;
	err = tfs_tls_check(file, &net);
	if (!err)
		err = need_answer(d, q->need, file, net, 0);
	fput(file);
	return err;
}

static long desk_ioctl(struct file *file, unsigned int request, unsigned long arg)
{
	void __user *at = (void __user *)arg;
	struct tfs_ioc_ship_need *q;
	long err;

	if (request != TFS_IOC_SHIP_NEED && request != TFS_IOC_SHIP_GIVE)
		return -ENOTTY;
	q = memdup_user(at, sizeof(*q));
	if (IS_ERR(q))
		return PTR_ERR(q);
	err = memchr_inv(q->reserved, 0, sizeof(q->reserved)) ? -EINVAL
	      : request == TFS_IOC_SHIP_NEED                  ? need_request(file->private_data, q)
	                                                      : give_request(file->private_data, q);
	if (!err && request == TFS_IOC_SHIP_NEED && copy_to_user(at, q, sizeof(*q)))
		err = -EFAULT;
	kfree(q);
	return err;
}

static int desk_release(struct inode *inode, struct file *file)
{
	struct tfs_desk *d = file->private_data;

	spin_lock(&d->lock);
	d->agents--;
	spin_unlock(&d->lock);
	desk_put(d);
	return 0;
}

static const struct file_operations desk_ops = {
    .owner = THIS_MODULE,
    .unlocked_ioctl = desk_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .release = desk_release,
    .llseek = noop_llseek,
};

long tfs_desk_open(struct tfs_sb *s)
{
	struct tfs_desk *d = s->ship.desk;
	int fd;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!d)
		return -ENOMEM;
	refcount_inc(&d->refs);
	spin_lock(&d->lock);
	d->agents++;
	spin_unlock(&d->lock);
	fd = anon_inode_getfd("[tfs-ship-agent]", &desk_ops, d, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		spin_lock(&d->lock);
		d->agents--;
		spin_unlock(&d->lock);
		desk_put(d);
	}
	return fd;
}
