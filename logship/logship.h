/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * tfs-logship: what its files share. `receive` is a collector in one thread: receive.c waits, peer.c speaks the
 * protocols, listen.c opens sockets, output.c writes what came. What was acknowledged is on the disk: a round reads
 * from everybody, writes, syncs once, and only then answers.
 */
#ifndef TFS_LOGSHIP_H
#define TFS_LOGSHIP_H

#include "logship/ship/ship.h"
#include "tfs/user/cli.h"

#include <stddef.h>

enum logship_exit { LOGSHIP_OK, LOGSHIP_USAGE, LOGSHIP_NETWORK, LOGSHIP_OUTPUT };

#define LOGSHIP_MESSAGE_MAX 65536u /* bytes of one message at most */

/* ---- listen.c ---- */
enum logship_proto { LOGSHIP_RELP, LOGSHIP_TCP, LOGSHIP_UDP };
extern const char *const logship_proto_names[];
#define LOGSHIP_PEER_MAX 64u /* bytes of an address as text, its NUL too */
/* A socket bound to "ADDRESS:PORT", "[IPV6]:PORT" or "PORT" (of loopback): its descriptor, or -1 after a message.
 * *port: the one it got. */
int logship_listen(enum logship_proto proto, const char *where, unsigned *port);
/* Of a peer, "127.0.0.1:34567". */
struct sockaddr_storage;
void logship_peer_name(const struct sockaddr_storage *addr, char out[LOGSHIP_PEER_MAX]);

/* ---- output.c ---- */
struct logship_output {
	const char *path; /* NULL: standard output */
	int fd;
	bool json;
	u8 *buf;
	size_t len, size;
	u64 messages, bytes; /* written so far */
};
/* 0, or an exit code after a message. A last line that a crash cut off is ended, so that nothing is put behind it. */
int logship_output_open(struct logship_output *o, const char *path, bool json);
/* The message as a line in memory. -ENOMEM. */
int logship_output_add(struct logship_output *o, enum logship_proto proto, const char *peer, const u8 *msg, u32 len);
/* All lines are in the file, and durable where it is one. 0 or an exit code after a message: nothing since the last
 * sync counts as received. */
int logship_output_sync(struct logship_output *o);
/* After the file was renamed (rotation): goes on in a new one of the name. */
int logship_output_reopen(struct logship_output *o);
void logship_output_close(struct logship_output *o);

/* ---- peer.c: one connection ---- */
struct logship_peer {
	enum logship_proto proto;
	int fd;
	char name[LOGSHIP_PEER_MAX];
	u8 *buf; /* received and not taken yet */
	u32 len, size;
	u8 *answer; /* to be sent, RELP */
	u32 answer_len, answer_size;
	bool open;    /* RELP: it said so */
	bool stalled; /* takes no answers: what it sent waits in buf */
	bool closing; /* nothing more is read; closed when the answers are sent */
};
/* NULL: no memory; fd stays the caller's. */
struct logship_peer *logship_peer_new(enum logship_proto proto, int fd, const char *name);
void logship_peer_free(struct logship_peer *p);
/*
 * Reads what is there and puts its messages into o; answers wait. Call it for one that is stalled, too. 0 or -ENOMEM. A
 * peer that ended or sent what is no message gets `closing`, with a message where it is its fault.
 */
int logship_peer_read(struct logship_peer *p, struct logship_output *o);
/* After a sync: sends what waits. False: the connection is over. */
bool logship_peer_send(struct logship_peer *p);

/* ---- receive.c ---- */
int logship_receive(int argc, char **argv);

#endif
