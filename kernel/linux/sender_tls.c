// SPDX-License-Identifier: GPL-2.0
/*
 * A socket on which the kernel does TLS (kTLS), for sender_link.c: whether a file is such a one, records in and out, and
 * the end. Records are sent and read as bytes; what is no data comes with a control message that says so: tickets for
 * later sessions are skipped, everything else, a change of keys among it, ends the connection, and an agent makes
 * another (ship_agent.c). Called by the collector's thread with no lock held, tfs_tls_check by an agent's.
 */
#include "ship.h"

#include <linux/file.h>
#include <linux/net.h>

#if IS_ENABLED(CONFIG_INET) && IS_ENABLED(CONFIG_TLS)

#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>

#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define RECORD_DATA 23
#define ALERT_CLOSE_NOTIFY 0
#define HANDSHAKE_TICKET 4
#define CONTROL_READS 64 /* in a row: who never ends must not hold up an unmount */

/* ---- what an agent gives ---- */

/* With the socket locked. */
static int state_check(const struct sock *sk)
{
	const struct tcp_ulp_ops *ulp = inet_csk(sk)->icsk_ulp_ops;
	const struct tls_context *ctx;

	if (sk->sk_state != TCP_ESTABLISHED)
		return -ENOTCONN;
	if (!ulp || strcmp(ulp->name, "tls"))
		return -ENOPROTOOPT;
	ctx = tls_get_ctx(sk);
	if (ctx->tx_conf == TLS_BASE || ctx->rx_conf == TLS_BASE)
		return -ENOPROTOOPT;
	return sk->sk_user_data ? -EBUSY : 0;
}

int tfs_tls_check(struct file *file, const struct net **net)
{
	struct socket *sock = sock_from_file(file);
	struct sock *sk;
	int err;

	if (!sock)
		return -ENOTSOCK;
	sk = sock->sk;
	if (!sk || sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP ||
	    (sk->sk_family != AF_INET && sk->sk_family != AF_INET6))
		return -EPROTOTYPE;
	lock_sock(sk);
	err = state_check(sk);
	*net = sock_net(sk);
	release_sock(sk);
	return err;
}

/* ---- in ---- */

/* Of a handshake that comes after the handshake: tickets go by, in pieces or several at once. */
static int handshake_skip(struct tfs_tls *s, const u8 *at, u32 len)
{
	while (len) {
		u32 n = min(len, s->skip);

		if (n) {
			s->skip -= n;
		} else {
			n = 1;
			s->head[s->have++] = *at;
		}
		at += n;
		len -= n;
		if (s->have == sizeof(s->head)) {
			if (s->head[0] != HANDSHAKE_TICKET)
				return -EKEYEXPIRED;
			s->skip = s->head[1] << 16 | s->head[2] << 8 | s->head[3];
			s->have = 0;
		}
	}
	return 0;
}

static int control_take(struct tfs_link *l, u8 type, const u8 *at, u32 len)
{
	if (type == RECORD_HANDSHAKE)
		return handshake_skip(&l->tls, at, len);
	if (type != RECORD_ALERT || len != 2)
		return -EPROTO;
	if (at[1] == ALERT_CLOSE_NOTIFY)
		return -ECONNRESET;
	scnprintf(l->said, sizeof(l->said), "it ends TLS with alert %u", at[1]);
	return -ECONNREFUSED;
}

static int record_recv(struct tfs_link *l, u8 *buf, u32 len, u8 *type)
{
	union {
		struct cmsghdr head;
		u8 room[CMSG_SPACE(sizeof(u8))];
	} control;
	struct msghdr msg = {.msg_flags = MSG_DONTWAIT, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct kvec vec = {.iov_base = buf, .iov_len = len};
	int n = kernel_recvmsg(l->sock, &msg, &vec, 1, len, MSG_DONTWAIT);

	*type = RECORD_DATA;
	if (n >= 0 && msg.msg_controllen != sizeof(control) && control.head.cmsg_level == SOL_TLS &&
	    control.head.cmsg_type == TLS_GET_RECORD_TYPE)
		*type = *(u8 *)CMSG_DATA(&control.head);
	return n;
}

int tfs_tls_recv(struct tfs_link *l, u8 *buf, u32 len)
{
	int n, err, reads = 0;
	u8 type;

	do {
		n = record_recv(l, buf, len, &type);
		if (n < 0 || type == RECORD_DATA)
			return n;
		err = control_take(l, type, buf, n);
	} while (!err && ++reads < CONTROL_READS);
	return err ? err : -EPROTO;
}

/* ---- out ---- */

/* Bytes that the other end does not have; of records that the socket had no room for yet: at least one. */
u32 tfs_tls_left(struct sock *sk)
{
	const struct tls_context *ctx;
	u32 left;

	lock_sock(sk);
	ctx = tls_get_ctx(sk);
	left = tcp_sk(sk)->write_seq - tcp_sk(sk)->snd_una;
	if (ctx->partially_sent_record || ctx->pending_open_record_frags ||
	    (ctx->tx_conf == TLS_SW && !list_empty(&tls_sw_ctx_tx(ctx)->tx_list)))
		left++;
	release_sock(sk);
	return left;
}

void tfs_tls_notify(struct socket *sock)
{
	static const u8 alert[] = {1, ALERT_CLOSE_NOTIFY};
	union {
		struct cmsghdr head;
		u8 room[CMSG_SPACE(sizeof(u8))];
	} control = {
	    .head = {.cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE, .cmsg_len = CMSG_LEN(sizeof(u8))}};
	struct msghdr msg = {
	    .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct kvec vec = {.iov_base = (void *)alert, .iov_len = sizeof(alert)};

	*(u8 *)CMSG_DATA(&control.head) = RECORD_ALERT;
	kernel_sendmsg(sock, &msg, &vec, 1, sizeof(alert));
}

#else /* a kernel without TLS: tfs_link_check says so, and no need is put */

int tfs_tls_check(struct file *file, const struct net **net)
{
	return -ENOPROTOOPT;
}
int tfs_tls_recv(struct tfs_link *l, u8 *buf, u32 len)
{
	return -EPROTO;
}
u32 tfs_tls_left(struct sock *sk)
{
	return 1;
}
void tfs_tls_notify(struct socket *sock)
{
}

#endif
