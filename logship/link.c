// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The way to a collector: connecting, sending a message, and learning what arrived. In the order of sending, always: a
 * count of messages that arrived is of the oldest. RELP is told so by the collector; TCP, with TLS too, knows that the
 * other end's kernel has it, UDP only that it was sent; a file is synced. One thread; every wait has an end. Called by sender.c.
 */
#include "logship/logship.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNACKED_MAX 4096u /* messages that TCP or a file holds before it is asked what arrived */

/* 0 when the socket is ready; -ETIMEDOUT at the end of the wait. */
static int wait_ready(const struct logship_link *l, short events, u64 end)
{
	for (;;) {
		struct pollfd p = {.fd = l->fd, .events = events};
		u64 now = logship_now_ms();
		int n;

		if (logship_stopped && !l->ending)
			return -EINTR;
		n = poll(&p, 1, now < end ? (int)(end - now) : 0);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -ETIMEDOUT;
	}
}

/* ---- connecting ---- */

static int connect_one(struct logship_link *l, const struct addrinfo *a)
{
	socklen_t len = sizeof(int);
	int err = 0;

	l->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	if (connect(l->fd, a->ai_addr, a->ai_addrlen))
		err = errno == EINPROGRESS ? wait_ready(l, POLLOUT, logship_now_ms() + l->timeout_ms) : -errno;
	if (!err && getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	err = err > 0 ? -err : err;
	if (err) {
		close(l->fd);
		l->fd = -1;
	}
	return err;
}

static int connect_any(struct logship_link *l)
{
	struct addrinfo hints = {.ai_socktype = l->target->transport == SHIP_UDP ? SOCK_DGRAM : SOCK_STREAM}, *found,
	                *a;
	char port[8];
	int err;

	snprintf(port, sizeof(port), "%u", l->target->port);
	if (getaddrinfo(l->target->host, port, &hints, &found))
		return -EHOSTUNREACH;
	err = -EHOSTUNREACH;
	for (a = found; a; a = a->ai_next) {
		err = connect_one(l, a);
		if (!err || err == -EINTR)
			break;
	}
	freeaddrinfo(found);
	return err;
}

/* ---- bytes out and in ---- */

/* Bytes, or a negative errno, -EAGAIN: not now. */
static ssize_t stream_send(struct logship_link *l, const u8 *buf, size_t len)
{
	ssize_t n = l->tls ? logship_tls_send(l, buf, len) : send(l->fd, buf, len, MSG_NOSIGNAL);

	return n >= 0 || l->tls ? n : errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t stream_recv(struct logship_link *l, u8 *buf, size_t len)
{
	ssize_t n = l->tls ? logship_tls_recv(l, buf, len) : recv(l->fd, buf, len, MSG_DONTWAIT);

	return n >= 0 || l->tls ? n : errno == EINTR ? -EAGAIN : -errno;
}

/* All of it. What comes in meanwhile is left to be read. */
static int put_all(struct logship_link *l, const u8 *buf, size_t len)
{
	u64 end = logship_now_ms() + l->timeout_ms;

	while (len) {
		ssize_t n = stream_send(l, buf, len);
		int err;

		if (n > 0) {
			buf += n;
			len -= (size_t)n;
			end = logship_now_ms() + l->timeout_ms;
			continue;
		}
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		if (logship_now_ms() >= end) /* TLS that waits for the other end finds its socket ready all the time */
			return -ETIMEDOUT;
		err = wait_ready(l, POLLOUT, end);
		if (err)
			return err;
	}
	return 0;
}

static int flush_out(struct logship_link *l)
{
	int err = l->out.len ? put_all(l, l->out.buf, l->out.len) : 0;

	l->out.len = 0;
	return err;
}

static void refused(struct logship_link *l, const struct ship_relp_frame *f)
{
	char text[401];

	tfs_cli_escape(text, sizeof(text), (const char *)f->data, f->len < 100 ? f->len : 100);
	snprintf(l->said, sizeof(l->said), "the collector refuses: %.200s", text);
}

/* Answers that are here: how many messages arrived by them. */
static int answers_take(struct logship_link *l)
{
	u32 at = 0;
	int arrived = 0, n = 0;

	while (n >= 0 && at < l->in_len) {
		struct ship_relp_frame f;
		s64 took = ship_relp_parse(l->in + at, l->in_len - at, sizeof(l->in) - 256, &f);

		if (took <= 0)
			return took < 0 ? -EPROTO
			                : (memmove(l->in, l->in + at, l->in_len - at), l->in_len -= at, arrived);
		n = ship_relp_answer(&l->relp, &f);
		if (n == -ECONNREFUSED)
			refused(l, &f);
		if (n > 0)
			arrived += n;
		at += (u32)took;
	}
	memmove(l->in, l->in + at, l->in_len - at);
	l->in_len -= at;
	return arrived || n >= 0 ? arrived : n; /* an end that came behind answers is met again */
}

/* Reads what is there. end: until then it may wait for some, 0: it does not. Bytes that come one by one, and end no
 * answer that counts, make the wait no longer: behind end they are -ETIMEDOUT. TLS may hold what came already, so
 * reading goes before waiting. */
static int answers_read(struct logship_link *l, u64 end)
{
	ssize_t n = -ECONNRESET;
	int err;

	if (l->relp.state != SHIP_RELP_OVER)
		n = stream_recv(l, l->in + l->in_len, sizeof(l->in) - l->in_len);
	if (n == -EAGAIN && end) {
		err = wait_ready(l, POLLIN, end);
		if (err)
			return err;
		n = stream_recv(l, l->in + l->in_len, sizeof(l->in) - l->in_len);
	}
	if (n < 0 && n != -EAGAIN)
		return (int)n;
	if (!n)
		return -ECONNRESET;
	l->in_len += n > 0 ? (u32)n : 0;
	err = n > 0 ? answers_take(l) : 0;
	return err || !end || logship_now_ms() < end ? err : -ETIMEDOUT;
}

/* How many messages arrived by the answers that come next: one at least. */
static int answers_await(struct logship_link *l)
{
	u64 end = logship_now_ms() + l->timeout_ms;
	int n;

	do
		n = answers_read(l, end);
	while (!n);
	return n;
}

/* ---- the transports ---- */

static int relp_open(struct logship_link *l)
{
	u64 end;
	int err;

	ship_relp_open(&l->relp, &l->out);
	err = flush_out(l);
	end = logship_now_ms() + l->timeout_ms;
	while (!err && l->relp.state == SHIP_RELP_OPENING)
		err = answers_read(l, end);
	return err;
}

static int relp_send(struct logship_link *l, const u8 *msg, u32 len)
{
	int arrived = answers_read(l, 0), n;
	u32 txnr;

	while (arrived >= 0 && !(txnr = ship_relp_next(&l->relp, SHIP_RELP_WINDOW))) {
		n = flush_out(l);
		if (!n)
			n = answers_await(l);
		if (n < 0)
			return n;
		arrived += n;
	}
	if (arrived < 0)
		return arrived;
	ship_relp_head(&l->out, txnr, "syslog", len);
	ship_put(&l->out, msg, len);
	ship_put(&l->out, "\n", 1);
	n = l->out.len > LOGSHIP_BATCH ? flush_out(l) : 0;
	return n ? n : arrived;
}

static int relp_wait(struct logship_link *l)
{
	int n = flush_out(l), arrived = 0;

	while (n >= 0 && l->relp.count) {
		n = answers_await(l);
		if (n > 0)
			arrived += n;
	}
	return arrived || n >= 0 ? arrived : n;
}

/* Until the other end's kernel has all. A collector that ends before it has read it loses it: TCP cannot tell. */
static int tcp_wait(struct logship_link *l)
{
	u64 end = logship_now_ms() + l->timeout_ms;
	int err = flush_out(l), left = 1, before = 0;

	while (!err && left) {
		ssize_t n = stream_recv(l, l->in, sizeof(l->in)); /* it has nothing to say, but an end */

		if (!n || (n < 0 && n != -EAGAIN))
			return n ? (int)n : -ECONNRESET;
		if (ioctl(l->fd, SIOCOUTQ, &left))
			return -errno;
		if (left != before)
			end = logship_now_ms() + l->timeout_ms;
		before = left;
		if (left)
			err = logship_now_ms() > end          ? -ETIMEDOUT
			      : logship_stopped && !l->ending ? -EINTR
			                                      : (usleep(1000), 0);
	}
	return err ? err : (int)l->unacked;
}

static int tcp_send(struct logship_link *l, const u8 *msg, u32 len)
{
	int err;

	ship_octet_head(&l->out, len);
	ship_put(&l->out, msg, len);
	err = l->out.len > LOGSHIP_BATCH ? flush_out(l) : 0;
	return err || l->unacked + 1 < UNACKED_MAX ? err : tcp_wait(l);
}

static int udp_send(struct logship_link *l, const u8 *msg, u32 len)
{
	int err = put_all(l, msg, len);

	return err ? err : 1;
}

static int file_wait(struct logship_link *l)
{
	return logship_output_sync(&l->file) ? -EIO : (int)l->unacked;
}

static int file_send(struct logship_link *l, const u8 *msg, u32 len)
{
	int err = logship_output_add(&l->file, LOGSHIP_RELP, "", msg, len);

	return err || l->unacked + 1 < UNACKED_MAX ? err : file_wait(l);
}

/* ---- what sender.c calls ---- */

static bool on_socket(const struct logship_link *l)
{
	return l->target->transport == SHIP_RELP || l->target->transport == SHIP_TCP ||
	       l->target->transport == SHIP_UDP;
}

int logship_link_open(struct logship_link *l, const struct logship_way *way)
{
	const struct ship_target *t = way->target;
	int err;

	*l = (struct logship_link){.target = t, .fd = -1, .timeout_ms = way->timeout_ms};
	if (ship_is_http(t)) {
		err = logship_web_open(&l->web, way);
		if (l->web)
			logship_web_tell(l->web, l);
		return err;
	}
	l->msg = malloc(LOGSHIP_MESSAGE_BYTES);
	if (!l->msg)
		return -ENOMEM;
	if (!on_socket(l))
		return logship_output_open(&l->file, t->transport == SHIP_FILE ? t->path : NULL, false) ? -EIO : 0;
	l->out.size = LOGSHIP_BATCH + LOGSHIP_MESSAGE_BYTES + 64;
	l->out.buf = malloc(l->out.size);
	err = !l->out.buf ? -ENOMEM : t->tls ? logship_tls_open(l, way) : connect_any(l);
	if (!err && t->transport == SHIP_RELP)
		err = relp_open(l);
	return err;
}

static int settled(struct logship_link *l, int n)
{
	if (n > 0)
		l->unacked -= (u32)n;
	return n;
}

static int framed_send(struct logship_link *l, const struct ship_message *m)
{
	static int (*const send[])(struct logship_link *, const u8 *, u32) = {[SHIP_RELP] = relp_send,
	                                                                      [SHIP_TCP] = tcp_send,
	                                                                      [SHIP_UDP] = udp_send,
	                                                                      [SHIP_FILE] = file_send,
	                                                                      [SHIP_STDOUT] = file_send};
	struct ship_out o = {.buf = l->msg, .size = LOGSHIP_MESSAGE_BYTES};

	ship_rfc5424(&o, m);
	return send[l->target->transport](l, l->msg, o.len);
}

int logship_link_send(struct logship_link *l, const struct ship_message *m)
{
	int n;

	l->unacked++;
	n = l->web ? logship_web_send(l->web, m) : framed_send(l, m);
	if (l->web)
		logship_web_tell(l->web, l);
	return settled(l, n);
}

int logship_link_wait(struct logship_link *l)
{
	int n = !l->unacked                         ? 0
	        : l->web                            ? logship_web_wait(l->web)
	        : l->target->transport == SHIP_RELP ? relp_wait(l)
	        : l->target->transport == SHIP_TCP  ? tcp_wait(l)
	                                            : file_wait(l);

	if (l->web)
		logship_web_tell(l->web, l);
	return settled(l, n);
}

void logship_link_close(struct logship_link *l)
{
	if (!l->target)
		return;
	logship_web_close(l->web);
	if (l->target->transport == SHIP_FILE || l->target->transport == SHIP_STDOUT)
		logship_output_close(&l->file);
	if (l->fd >= 0 && l->target->transport == SHIP_RELP && l->relp.state == SHIP_RELP_READY) {
		ship_relp_close(&l->relp, &l->out);
		flush_out(l);
	}
	if (l->tls)
		logship_tls_close(l);
	if (l->fd >= 0)
		close(l->fd);
	free(l->msg);
	free(l->out.buf);
	*l = (struct logship_link){.fd = -1};
}
