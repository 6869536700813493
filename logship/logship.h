/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * tfs-logship: what its files share. `receive` is a collector in one thread: receive.c waits, peer.c speaks the
 * protocols, listen.c opens sockets, output.c writes what came. What was acknowledged is on the disk: a round reads
 * from everybody, writes, syncs once, and only then answers.
 *
 * `drain` and `run` send what rules of a volume say, mounted or not: reading.c asks the volume, sender.c keeps the order
 * of what is on its way, link.c speaks to the collector, to those of HTTP by what is in web/; drain.c has the commands,
 * status.c those that only look.
 */
#ifndef TFS_LOGSHIP_H
#define TFS_LOGSHIP_H

#include "logship/ship/ship.h"
#include "tfs/user/cli.h"
#include "tfs/user/target.h"

#include <stddef.h>

struct json_object;
enum logship_exit { LOGSHIP_OK, LOGSHIP_USAGE, LOGSHIP_NETWORK, LOGSHIP_OUTPUT, LOGSHIP_VOLUME };

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
int logship_output_add_object(struct logship_output *o, struct json_object *line); /* line is given up. -ENOMEM */
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

/* ---- wait.c ---- */
extern volatile int logship_stopped; /* by a signal: end soon */
#define LOGSHIP_BACKOFF_MIN 200u     /* ms */
#define LOGSHIP_BACKOFF_MAX 30000u
u64 logship_now_ms(void);   /* monotonic */
void logship_sleep(u64 ms); /* or until logship_stopped */
u32 logship_jitter(u32 ms); /* half of it to all of it, at random */

/* ---- config.c ---- */
#define LOGSHIP_PATH 256u
/* What the configuration says about a collector. None of it may stand in a rule: an image's rule that names files or
 * asks for credentials to be sent is anybody's. "": not given. */
struct logship_collector {
	enum ship_transport transport; /* these six tell whom it is for: a rule, which may be anybody's, */
	bool tls;                      /* leads its credentials to no other path, index or tenant */
	char host[254];
	u16 port;
	char path[512], name[65];
	char authorization_file[LOGSHIP_PATH]; /* its first line is an Authorization header's value */
	char ca_file[LOGSHIP_PATH], cert_file[LOGSHIP_PATH], key_file[LOGSHIP_PATH];
};
#define LOGSHIP_COLLECTORS 32u
struct logship_config {
	char host[256];
	u32 timeout_ms, interval_ms;
	u64 retry_ms;
	char ca_file[LOGSHIP_PATH];     /* for all that have none of their own */
	bool files;                     /* rules of the volume may name files to append to */
	char metrics[LOGSHIP_PATH];     /* for Prometheus; "": none */
	char dead_letter[LOGSHIP_PATH]; /* file of messages that were refused for good; "": then it stops there */
	struct logship_collector collector[LOGSHIP_COLLECTORS];
	u32 collectors;
};
/* 0 or LOGSHIP_USAGE after a message. missing: no such file is no error. */
int logship_config_read(struct logship_config *c, const char *path, bool missing);
/* "5", "500ms", "2m", "1h" in ms; -1: none of them, or above a day. */
int logship_duration(const char *text, u64 *ms);
/* NULL: nothing is said about that one. */
const struct logship_collector *logship_collector_of(const struct logship_config *c, const struct ship_target *t);

struct logship_way;
struct tfs_web_trust;
void logship_trust(const struct logship_way *way, struct tfs_web_trust *trust); /* points into way's */

/* ---- link.c: the way to a collector ---- */
struct logship_way {
	const char *text; /* as the rule has it */
	const struct ship_target *target;
	const struct logship_collector *set; /* NULL: nothing */
	const char *ca_file, *dead_letter;   /* of the configuration, "": none */
	u32 timeout_ms;                      /* of each wait */
	u64 retry_ms;                        /* HTTP: without anything taken, before it gives up */
};
#define LOGSHIP_BATCH 32768u                                      /* bytes handed to the socket at once */
#define LOGSHIP_MESSAGE_BYTES (SHIP_HEAD_MAX + 4 * SHIP_TEXT_MAX) /* of one that is framed, at most */
struct web;
struct logship_link {
	const struct ship_target *target;
	int fd;
	u32 timeout_ms;
	u32 unacked; /* sent, and not known to have arrived */
	bool ending; /* logship_stopped is known: what is on its way is waited for, two seconds at most */
	struct ship_out out;
	struct ship_relp relp;
	u8 in[4096];
	u32 in_len;
	char said[256]; /* by a collector that refuses, or about one that cannot be spoken to; printable */
	bool final;     /* trying again changes nothing */
	u32 again_ms;   /* the collector asks not to be asked before */
	u64 dead;       /* of those that arrived: how many are in the dead-letter file */
	struct logship_output file;
	u8 *msg;   /* framed */
	void *tls; /* tls.c's; NULL: the socket is the stream */
	struct web *web;
};
/* 0 or a negative errno: -ECONNREFUSED, -ETIMEDOUT, -EPROTO (no such collector)...; -EINTR: logship_stopped. Closed
 * with logship_link_close either way. way stays the caller's and stays. */
int logship_link_open(struct logship_link *l, const struct logship_way *way);
/* How many messages, the oldest first, arrived meanwhile, or are in the dead-letter file; negative: as above, and the
 * link is over. */
int logship_link_send(struct logship_link *l, const struct ship_message *m);
int logship_link_wait(struct logship_link *l); /* for all that were sent, or as many as come before an error */
void logship_link_close(struct logship_link *l);

/* ---- tls.c ---- */
int logship_tls_open(struct logship_link *l,
                     const struct logship_way *way); /* 0 or a negative errno, l->said says more */
/* Bytes, or a negative errno, -EAGAIN: not now. What was not sent is to be sent again from the same place. */
ssize_t logship_tls_send(struct logship_link *l, const u8 *buf, size_t len);
ssize_t logship_tls_recv(struct logship_link *l, u8 *buf, size_t len); /* 0: the end */
void logship_tls_close(struct logship_link *l);
/* What a CURLcode is as an errno; *final: no other try meets anything else. */
int logship_curl_error(int code, bool *final);

/* ---- web/deliver.c: as those, for collectors of HTTP ---- */
int logship_web_open(struct web **w, const struct logship_way *way);
int logship_web_send(struct web *w, const struct ship_message *m);
int logship_web_wait(struct web *w);
void logship_web_tell(const struct web *w, struct logship_link *l); /* said, final, again_ms, dead */
void logship_web_close(struct web *w);                              /* NULL does nothing */

/* ---- reading.c: what is to be sent ---- */
#define LOGSHIP_LOOK 512u /* bytes behind a message that tell whether it is whole */
struct logship_names;
struct logship_sender {
	struct target target;
	struct logship_names *names; /* of files, read when the first is asked for */
	u32 names_read;
	const struct logship_config *config;
	const char *to; /* a collector instead of the rules' own, NULL: none */
	u64 volume;
	u8 boot[16];
	bool ended; /* a last line without its end is sent as it is: nothing will come behind it */
	bool all;   /* files that are not behind are listed, too */
	bool quiet;
	int volume_err; /* what ended a pass was the volume, not the collector */
	char said[256]; /* about its failure */
	bool final;     /* which is none that passes */
	u32 again_ms;   /* it asks not to be asked before */
	u64 sequence, sent, acked, dead, bytes, stale, reconnects;
	u64 backlog, backlog_files; /* of the rule that was sent last: behind, when it was looked at */
};
struct logship_rule {
	u64 id, ino;
	u32 pattern_len;
	char pattern[TFS_SHIP_PATTERN_MAX + 1], text[TFS_SHIP_TARGET_MAX + 1];
	struct ship_target target;
	bool bad; /* its text is no collector: it was said why */
};
struct logship_reading { /* a file */
	struct tfs_ioc_ship_file file;
	u64 offset;     /* of the next message */
	u32 from, have; /* of buf: what is read and not taken */
	u32 part;       /* of a long message: how many pieces were */
	u8 buf[SHIP_TEXT_MAX + LOGSHIP_LOOK + SHIP_TEXT_MAX + 2 * 16384];
};
/* The first at or after `from`; -ENOENT: no more. */
int logship_rule_next(struct logship_sender *s, u64 from, struct logship_rule *rule);
/* Files of a rule that are behind, with sizes up to which all is durable. *list: the caller's to free. */
int logship_files(struct logship_sender *s, u64 rule, struct tfs_ioc_ship_file **list, size_t *files);
int logship_reading_start(struct logship_sender *s, struct logship_reading *r, const struct tfs_ioc_ship_file *f);
/* 1: the next message, whole; 0: there is none yet; -ESTALE: the file has shrunk. *text: until the next call. */
int logship_reading_next(struct logship_sender *s, struct logship_reading *r, const struct ship_cut *cut,
                         const u8 **text, struct ship_piece *piece);
void logship_reading_took(struct logship_reading *r, const struct ship_piece *piece);

/* ---- names.c ---- */
const char *logship_name_of(struct logship_sender *s,
                            u64 ino); /* path within the volume, until the next call; or NULL */
void logship_names_free(struct logship_sender *s);

/* ---- sender.c ---- */
/* All that is behind now. 0; -EINTR; or what the collector's failure was after the configuration's retry_ms, or
 * s->volume_err. */
int logship_rule_send(struct logship_sender *s, const struct logship_rule *rule);

/* ---- state.c ---- */
struct logship_state {
	u64 rule;
	char text[TFS_SHIP_TARGET_MAX + 1];
	u64 not_before_ms; /* its collector is not spoken to before */
	u32 in_row;        /* failures one after the other */
	u64 sent, acked, repeated, dead, bytes, failures;
	u64 error_time, acked_time; /* the last ones, seconds since 1970 */
	u64 backlog, backlog_files;
	struct logship_state *next;
};
struct logship_state *logship_state_of(const struct logship_rule *rule); /* NULL: no memory */
void logship_state_failed(struct logship_state *s, u32 again_ms);
void logship_metrics_write(const char *path); /* of all states; a message when it cannot */

/* ---- follow.c ---- */
struct logship_tail {
	bool follow; /* whole lines only: more will come */
	bool later;  /* this is not the first look */
};
/* One file of `tail`; arg: such. */
int logship_tail_file(struct logship_sender *s, const struct logship_rule *rule, const struct tfs_ioc_ship_file *f,
                      void *arg);

/* ---- drain.c, status.c: commands ---- */
int logship_drain(int argc, char **argv);
int logship_run(int argc, char **argv);
int logship_status(int argc, char **argv);
int logship_tail(int argc, char **argv);
/* The volume, its identity and this machine's. 0 or an exit code after a message. */
int logship_open(struct logship_sender *s, const char *path, u64 offset, bool write);
int logship_close(struct logship_sender *s, int code);
void logship_signals(void); /* from here on they set logship_stopped */

/* ---- receive.c ---- */
int logship_receive(int argc, char **argv);

#endif
