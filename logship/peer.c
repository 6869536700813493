// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One sender's connection: RELP, or messages on a TCP stream. What it sends is taken apart by logship/ship; answers are
 * kept until the round's messages are durable. A sender that does not read its answers is not read from either.
 */
#include "logship/logship.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUF_SIZE (LOGSHIP_MESSAGE_MAX + 64) /* a message and what stands before it */
#define ANSWERS_MAX 65536u                  /* bytes that wait: above it nothing is read */

struct logship_peer *logship_peer_new(enum logship_proto proto, int fd, const char *name)
{
	struct logship_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->proto = proto;
	p->fd = fd;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->size = BUF_SIZE;
	p->buf = malloc(p->size);
	p->answer_size = ANSWERS_MAX + 256;
	p->answer = malloc(p->answer_size);
	if (p->buf && p->answer)
		return p;
	free(p->buf);
	free(p->answer);
	free(p);
	return NULL;
}

void logship_peer_free(struct logship_peer *p)
{
	close(p->fd);
	free(p->buf);
	free(p->answer);
	free(p);
}

/* ---- RELP ---- */

static void answer(struct logship_peer *p, u32 txnr, const char *command, const char *text)
{
	struct ship_out o = {.buf = p->answer, .size = p->answer_size, .len = p->answer_len};

	ship_relp_head(&o, txnr, command, (u32)strlen(text));
	ship_put_text(&o, text);
	ship_put(&o, "\n", 1);
	p->answer_len = o.len; /* fits: frames are taken only below ANSWERS_MAX */
}

static int relp_frame(struct logship_peer *p, const struct ship_relp_frame *f, struct logship_output *o)
{
	int err = 0;

	if (ship_relp_is(f, "open")) {
		p->open = true;
		answer(p, f->txnr, "rsp", "200 OK\nrelp_version=0\nrelp_software=tfs-logship\ncommands=syslog");
	} else if (ship_relp_is(f, "close")) {
		answer(p, f->txnr, "rsp", "");
		answer(p, 0, "serverclose", "");
		p->closing = true;
	} else if (p->open && ship_relp_is(f, "syslog")) {
		err = logship_output_add(o, p->proto, p->name, f->data, f->len);
		answer(p, f->txnr, "rsp", "200 OK");
	} else {
		answer(p, f->txnr, "rsp", "500 expected open, syslog or close");
	}
	return err;
}

static s64 take_relp(struct logship_peer *p, const u8 *buf, u32 n, struct logship_output *o)
{
	struct ship_relp_frame f;
	s64 took;
	int err;

	p->stalled = p->answer_len >= ANSWERS_MAX;
	if (p->stalled)
		return 0;
	took = ship_relp_parse(buf, n, LOGSHIP_MESSAGE_MAX, &f);
	err = took > 0 ? relp_frame(p, &f, o) : 0;
	return err ? err : took;
}

/* ---- TCP ---- */

static s64 take_tcp(struct logship_peer *p, const u8 *buf, u32 n, struct logship_output *o)
{
	const u8 *msg;
	u32 len;
	s64 took = ship_octet_parse(buf, n, LOGSHIP_MESSAGE_MAX, &msg, &len);
	int err = took > 0 && len ? logship_output_add(o, p->proto, p->name, msg, len) : 0;

	return err ? err : took;
}

/* ---- reading and sending ---- */

/* All messages that are whole. 0 or -ENOMEM. */
static int take_all(struct logship_peer *p, struct logship_output *o)
{
	u32 at = 0;
	s64 took = 1;

	while (took > 0 && at < p->len && !p->closing) {
		took = p->proto == LOGSHIP_RELP ? take_relp(p, p->buf + at, p->len - at, o)
		                                : take_tcp(p, p->buf + at, p->len - at, o);
		if (took > 0)
			at += (u32)took;
	}
	memmove(p->buf, p->buf + at, p->len - at);
	p->len -= at;
	if (took == -EINVAL) {
		tfs_cli_warn(p->name, "expected %s, found something else (or a message above %u bytes); closed",
		             p->proto == LOGSHIP_RELP ? "RELP frames" : "octet-counted messages or lines",
		             LOGSHIP_MESSAGE_MAX);
		p->closing = true;
	}
	return took == -ENOMEM ? -ENOMEM : 0;
}

static void ended(struct logship_peer *p)
{
	if (p->len && p->proto == LOGSHIP_TCP)
		tfs_cli_warn(p->name, "ended within a message: %u bytes of it are dropped", p->len);
	p->closing = true;
}

int logship_peer_read(struct logship_peer *p, struct logship_output *o)
{
	ssize_t n;
	int err = p->stalled ? take_all(p, o) : 0;

	if (err || p->closing || p->stalled)
		return err;
	n = recv(p->fd, p->buf + p->len, p->size - p->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0) {
		p->len += (u32)n;
		err = take_all(p, o);
	} else {
		ended(p);
	}
	return err;
}

bool logship_peer_send(struct logship_peer *p)
{
	ssize_t n;

	if (!p->answer_len)
		return !p->closing;
	n = send(p->fd, p->answer, p->answer_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	memmove(p->answer, p->answer + n, p->answer_len - (size_t)n);
	p->answer_len -= (u32)n;
	return p->answer_len || !p->closing;
}
