// SPDX-License-Identifier: GPL-2.0
/*
 * One connection to a collector, over a socket of the kernel in the mounter's network namespace: RELP, syslog with
 * octet counting over TCP, datagrams; with TLS over a socket that an agent gave (ship_agent.c). In the order of sending,
 * always: a count of messages that arrived is of the oldest. RELP is told so by the collector; TCP knows that the other
 * end's kernel has it, UDP only that it was sent.
 *
 * The socket is never waited in: what it would wait for wakes the thread through callbacks, as nvme-tcp does it. A wait
 * inside recvmsg would spin once kthread_stop was called (wait_woken returns at once then), and would keep the machine
 * from being suspended. Called by the thread whose link it is, with no lock held; callbacks run in soft interrupts and
 * only set a flag and wake.
 */
#include "ship.h"

#include <linux/file.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inet.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#if IS_ENABLED(CONFIG_INET)

#define KEEPALIVE_IDLE 15 /* seconds */
#define KEEPALIVE_INTERVAL 5
#define KEEPALIVE_COUNT 3
#define POLL_JIFFIES (HZ / 100 + 1) /* TCP tells nobody when the other end has it */

/* ---- waiting ---- */

static void woken(struct sock *sk, bool in, bool out)
{
	struct tfs_link *l;

	read_lock_bh(&sk->sk_callback_lock);
	l = sk->sk_user_data;
	if (l) {
		if (in)
			WRITE_ONCE(l->in_ready, true);
		if (out)
			WRITE_ONCE(l->out_ready, true);
		wake_up_all(l->wait);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/* With TLS the callbacks that were there are its own: they look for records, and send those that had no room. */
static void tls_told(struct sock *sk, bool in)
{
	struct tfs_link *l;

	read_lock_bh(&sk->sk_callback_lock);
	l = sk->sk_user_data;
	if (l && l->file)
		(in ? l->data_ready : l->write_space)(sk);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void data_ready(struct sock *sk)
{
	tls_told(sk, true);
	woken(sk, true, false);
}

static void write_space(struct sock *sk)
{
	tls_told(sk, false);
	if (sk_stream_is_writeable(sk)) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		woken(sk, false, true);
	}
}

static void state_change(struct sock *sk)
{
	woken(sk, true, true);
}

/* -EBUSY: somebody else has the socket: one that an agent gave twice. */
static int callbacks_set(struct tfs_link *l)
{
	struct sock *sk = l->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_user_data) {
		write_unlock_bh(&sk->sk_callback_lock);
		return -EBUSY;
	}
	l->data_ready = sk->sk_data_ready;
	l->write_space = sk->sk_write_space;
	l->state_change = sk->sk_state_change;
	sk->sk_user_data = l;
	sk->sk_state_change = state_change;
	if (sk->sk_type == SOCK_STREAM) { /* nobody reads datagrams: the socket's own limit bounds them */
		sk->sk_data_ready = data_ready;
		sk->sk_write_space = write_space;
	}
	write_unlock_bh(&sk->sk_callback_lock);
	return 0;
}

static void callbacks_unset(struct tfs_link *l)
{
	struct sock *sk = l->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = NULL;
	sk->sk_data_ready = l->data_ready;
	sk->sk_write_space = l->write_space;
	sk->sk_state_change = l->state_change;
	write_unlock_bh(&sk->sk_callback_lock);
}

static bool timed_out(const struct tfs_link *l)
{
	return time_after(jiffies, l->progress + msecs_to_jiffies(SENDER_TIMEOUT_MS));
}

/* Until *ready, the thread is to stop, or a while passed: then what was waited for is tried again. */
static int link_wait(struct tfs_sender *t, bool *ready)
{
	bool polls = t->target.transport == SHIP_TCP;

	wait_event_freezable_timeout(t->s->ship.wait, READ_ONCE(*ready) || tfs_sender_stopping(t),
	                             polls ? POLL_JIFFIES : HZ);
	if (tfs_sender_stopping(t))
		return -EINTR;
	return timed_out(&t->link) ? -ETIMEDOUT : 0;
}

/* ---- bytes out and in ---- */

static int socket_send(struct tfs_link *l, const u8 *buf, u32 len)
{
	struct msghdr msg = {.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL};
	struct kvec vec = {.iov_base = (void *)buf, .iov_len = len};

	WRITE_ONCE(l->out_ready, false);
	smp_mb(); /* who makes room after it was tried sets it */
	return kernel_sendmsg(l->sock, &msg, &vec, 1, len);
}

static int socket_recv(struct tfs_link *l, u8 *buf, u32 len)
{
	struct msghdr msg = {.msg_flags = MSG_DONTWAIT};
	struct kvec vec = {.iov_base = buf, .iov_len = len};

	if (l->file)
		return tfs_tls_recv(l, buf, len);
	return kernel_recvmsg(l->sock, &msg, &vec, 1, len, MSG_DONTWAIT);
}

/* As much as the socket takes now: 1: all. */
static int flush_some(struct tfs_link *l)
{
	while (l->out_at < l->out.len) {
		int n = socket_send(l, l->out.buf + l->out_at, l->out.len - l->out_at);

		if (n <= 0)
			return n == -EAGAIN ? 0 : n ? n : -EIO;
		l->out_at += n;
		l->progress = jiffies;
	}
	l->out.len = l->out_at = 0;
	return 1;
}

int tfs_link_flush(struct tfs_sender *t)
{
	int n;

	while (!(n = flush_some(&t->link))) {
		n = link_wait(t, &t->link.out_ready);
		if (n)
			return n;
	}
	return n < 0 ? n : 0;
}

/* ---- answers ---- */

static void said(struct tfs_link *l, const struct ship_relp_frame *f)
{
	scnprintf(l->said, sizeof(l->said), "it says %*pE", (int)min(f->len, 40u), f->data);
}

/* Those that are whole in `in`. */
static int answers_take(struct tfs_link *l)
{
	int arrived = 0, n = 0;
	u32 at = 0;
	s64 took = 0;

	while (n >= 0 && at < l->in_len) {
		struct ship_relp_frame f;

		took = ship_relp_parse(l->in + at, l->in_len - at, sizeof(l->in) - 256, &f);
		if (took <= 0)
			break;
		n = ship_relp_answer(&l->relp, &f);
		if (n == -ECONNREFUSED)
			said(l, &f);
		if (n > 0)
			arrived += n;
		at += took;
	}
	memmove(l->in, l->in + at, l->in_len - at);
	l->in_len -= at;
	if (arrived) /* an end that came behind answers is met again */
		return arrived;
	return n < 0 ? n : took < 0 ? -EPROTO : 0;
}

static int relp_take(struct tfs_link *l)
{
	int arrived = 0, n;

	WRITE_ONCE(l->in_ready, false);
	smp_mb();
	for (;;) {
		if (l->relp.state == SHIP_RELP_OVER)
			return arrived ? arrived : -ECONNRESET;
		n = socket_recv(l, l->in + l->in_len, sizeof(l->in) - l->in_len);
		if (n == -EAGAIN)
			return arrived;
		if (!n)
			n = -ECONNRESET;
		if (n > 0) {
			l->in_len += n;
			n = answers_take(l);
		}
		if (n < 0)
			return arrived ? arrived : n;
		arrived += n;
	}
}

#define TCP_READS 64 /* a syslog collector has nothing to say; who never ends must not hold up an unmount */

/* All that was sent arrived, or none of it: the other end's kernel says how much it has. One that ends before it has
 * read it loses it, which TCP cannot tell. */
static int tcp_take(struct tfs_link *l)
{
	const struct tcp_sock *tp = tcp_sk(l->sock->sk);
	u8 nothing[64];
	int n, reads = 0;
	u32 left;

	WRITE_ONCE(l->in_ready, false);
	smp_mb();
	do
		n = socket_recv(l, nothing, sizeof(nothing));
	while (n > 0 && ++reads < TCP_READS);
	if (n > 0)
		return -EPROTO;
	if (n != -EAGAIN)
		return n ? n : -ECONNRESET;
	left = l->file ? tfs_tls_left(l->sock->sk) : READ_ONCE(tp->write_seq) - READ_ONCE(tp->snd_una);
	if (left != l->left)
		l->progress = jiffies;
	l->left = left;
	return left || l->out.len ? 0 : l->unacked;
}

static int settled(struct tfs_link *l, int n)
{
	if (n > 0) {
		l->unacked -= n;
		l->progress = jiffies;
	}
	return n;
}

int tfs_link_take(struct tfs_sender *t)
{
	struct tfs_link *l = &t->link;

	if (!l->sock)
		return 0;
	return settled(l, t->target.transport == SHIP_RELP  ? relp_take(l)
	                  : t->target.transport == SHIP_TCP ? tcp_take(l)
	                                                    : 0);
}

int tfs_link_last(struct tfs_sender *t)
{
	int n = flush_some(&t->link);

	return n < 0 ? n : tfs_link_take(t);
}

/* ---- connecting ---- */

static int address_of(struct net *net, const struct ship_target *target, struct sockaddr_storage *a)
{
	char port[8];

	snprintf(port, sizeof(port), "%u", target->port);
	return inet_pton_with_scope(net, AF_UNSPEC, target->host, port, a);
}

const char *tfs_link_check(struct net *net, const struct ship_target *target)
{
	struct sockaddr_storage a;

	if (target->transport != SHIP_RELP && target->transport != SHIP_TCP && target->transport != SHIP_UDP)
		return "only tfs-logship writes there";
	if (target->tls) /* its name is the agent's to resolve, and the certificate's */
		return IS_ENABLED(CONFIG_TLS) ? NULL : "this kernel has no TLS; tfs-logship has";
	return address_of(net, target, &a)
	           ? "expected an address, IPv4 or [IPv6]: the kernel resolves no names; see tfs ship add --resolve"
	           : NULL;
}

static void socket_set(struct tfs_link *l)
{
	struct sock *sk = l->sock->sk;

	sk->sk_allocation = GFP_NOFS; /* memory for sending is never waited for by writing back */
	sk->sk_use_task_frag = false;
	if (sk->sk_type != SOCK_STREAM)
		return;
	sock_set_keepalive(sk);
	tcp_sock_set_keepidle(sk, KEEPALIVE_IDLE);
	tcp_sock_set_keepintvl(sk, KEEPALIVE_INTERVAL);
	tcp_sock_set_keepcnt(sk, KEEPALIVE_COUNT);
	tcp_sock_set_user_timeout(sk, SENDER_TIMEOUT_MS);
	tcp_sock_set_nodelay(sk);
}

static int connected_wait(struct tfs_sender *t)
{
	struct sock *sk = t->link.sock->sk;
	int err;

	for (;;) {
		WRITE_ONCE(t->link.out_ready, false);
		smp_mb();
		err = sock_error(sk);
		if (err || (1 << READ_ONCE(sk->sk_state)) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT))
			return err;
		if (READ_ONCE(sk->sk_state) == TCP_CLOSE)
			return -ECONNREFUSED;
		err = link_wait(t, &t->link.out_ready);
		if (err)
			return err;
	}
}

static int relp_open(struct tfs_sender *t)
{
	struct tfs_link *l = &t->link;
	int err;

	ship_relp_open(&l->relp, &l->out);
	err = tfs_link_flush(t);
	while (!err && l->relp.state == SHIP_RELP_OPENING) {
		err = relp_take(l);
		if (!err && l->relp.state == SHIP_RELP_OPENING)
			err = link_wait(t, &l->in_ready);
	}
	return err;
}

/* Connected, with the keys, by somebody who knows whose it is. */
static int given_open(struct tfs_sender *t)
{
	struct tfs_link *l = &t->link;
	struct file *file;
	int err = tfs_need_wait(t, &file);

	if (err)
		return err;
	l->file = file;
	l->sock = sock_from_file(file);
	err = callbacks_set(l);
	if (!err) {
		socket_set(l);
		l->in_ready = true; /* what came before is told by nobody */
		return 0;
	}
	l->file = NULL;
	l->sock = NULL;
	fput(file);
	return err;
}

static int own_open(struct tfs_sender *t)
{
	bool datagrams = t->target.transport == SHIP_UDP;
	struct tfs_link *l = &t->link;
	struct sockaddr_storage a;
	int err = address_of(t->s->ship.net, &t->target, &a);

	if (err)
		return -EHOSTUNREACH;
	/* Not the kernel's own: such a socket holds no namespace, and closing it stops its timers, so that data and FIN
	 * that got lost are never sent again and it stays for ever (tcp_close, inet_csk_clear_xmit_timers_sync). */
	err = __sock_create(t->s->ship.net, a.ss_family, datagrams ? SOCK_DGRAM : SOCK_STREAM,
	                    datagrams ? IPPROTO_UDP : IPPROTO_TCP, &l->sock, 0);
	if (err) {
		l->sock = NULL;
		return err;
	}
	socket_set(l);
	callbacks_set(l); /* nobody else has it */
	err = kernel_connect(l->sock, (struct sockaddr *)&a,
	                     a.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
	                     O_NONBLOCK);
	return err == -EINPROGRESS ? connected_wait(t) : err;
}

int tfs_link_open(struct tfs_sender *t)
{
	struct tfs_link *l = &t->link;
	int err;

	memset(l, 0, sizeof(*l));
	l->wait = &t->s->ship.wait;
	l->out.buf = t->out;
	l->out.size = SENDER_BATCH + SENDER_MESSAGE + 64;
	l->progress = jiffies;
	err = t->target.tls ? given_open(t) : own_open(t);
	l->progress = jiffies;
	if (!err && t->target.transport == SHIP_RELP)
		err = relp_open(t);
	l->progress = jiffies;
	return err;
}

void tfs_link_close(struct tfs_link *l)
{
	if (!l->sock)
		return;
	if (l->relp.state == SHIP_RELP_READY && l->relp.next && !l->out.len) { /* as it goes: nobody waits for it */
		ship_relp_close(&l->relp, &l->out);
		flush_some(l);
	}
	if (l->file)
		tfs_tls_notify(l->sock);
	callbacks_unset(l);
	if (l->file)
		fput(l->file); /* what the agent still has of it goes with the agent */
	else
		sock_release(l->sock);
	l->file = NULL;
	l->sock = NULL;
	l->in_ready = l->out_ready = false; /* nobody waits for what nobody would read */
	l->out.len = l->out_at = l->unacked = 0;
}

/* ---- sending ---- */

static int relp_send(struct tfs_sender *t, const u8 *msg, u32 len)
{
	struct tfs_link *l = &t->link;
	int arrived = tfs_link_take(t), n;
	u32 txnr;

	while (arrived >= 0 && !(txnr = ship_relp_next(&l->relp, SHIP_RELP_WINDOW))) {
		n = tfs_link_flush(t);
		if (!n)
			n = link_wait(t, &l->in_ready);
		if (!n)
			n = tfs_link_take(t);
		if (n < 0) /* what had arrived before is sent again */
			return n;
		arrived += n;
	}
	if (arrived < 0)
		return arrived;
	ship_relp_head(&l->out, txnr, "syslog", len);
	ship_put(&l->out, msg, len);
	ship_put(&l->out, "\n", 1);
	n = l->out.len > SENDER_BATCH ? tfs_link_flush(t) : 0;
	return n ? n : arrived;
}

static int tcp_send(struct tfs_sender *t, const u8 *msg, u32 len)
{
	struct tfs_link *l = &t->link;

	ship_octet_head(&l->out, len);
	ship_put(&l->out, msg, len);
	return l->out.len > SENDER_BATCH ? tfs_link_flush(t) : 0;
}

static int udp_send(struct tfs_sender *t, const u8 *msg, u32 len)
{
	int n;

	while ((n = socket_send(&t->link, msg, len)) == -EAGAIN) {
		n = link_wait(t, &t->link.out_ready);
		if (n)
			return n;
	}
	return n < 0 ? n : settled(&t->link, 1);
}

int tfs_link_send(struct tfs_sender *t, const u8 *msg, u32 len)
{
	if (!t->link.unacked++)
		t->link.progress = jiffies;
	return t->target.transport == SHIP_RELP  ? relp_send(t, msg, len)
	       : t->target.transport == SHIP_TCP ? tcp_send(t, msg, len)
	                                         : udp_send(t, msg, len);
}

#else /* a kernel without a network */

const char *tfs_link_check(struct net *net, const struct ship_target *target)
{
	return "this kernel has no network";
}
int tfs_link_open(struct tfs_sender *t)
{
	return -EAFNOSUPPORT;
}
int tfs_link_send(struct tfs_sender *t, const u8 *msg, u32 len)
{
	return -EAFNOSUPPORT;
}
int tfs_link_flush(struct tfs_sender *t)
{
	return 0;
}
int tfs_link_take(struct tfs_sender *t)
{
	return 0;
}
int tfs_link_last(struct tfs_sender *t)
{
	return 0;
}
void tfs_link_close(struct tfs_link *l)
{
}

#endif
