/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What becomes of a log file's bytes on their way to a collector, and what a collector sends back: pure functions that
 * keep nothing, allocate nothing and know no socket, so that the kernel's sender, tfs-logship and the fuzzers share
 * them. Buffers are the caller's; every length from outside is checked before use.
 *
 *   cut.c       a stream of bytes into messages: lines, lines that belong together, pieces of what is too long
 *   severity.c  how grave a message is
 *   rfc5424.c   a message in the syslog protocol, with the identity that lets a collector drop repeats
 *   octet.c     messages on a TCP stream (RFC 6587)
 *   relp.c      RELP: messages that are acknowledged
 *   kmsg.c      the kernel's own messages as lines of a file
 *   target.c    a rule's text: where to, and the options of all above
 */
#ifndef TFS_SHIP_H
#define TFS_SHIP_H

#include "tfs/port.h"

/* Bytes one behind the other into a buffer. len counts on past size: what it would have taken. */
struct ship_out {
	u8 *buf;
	u32 size, len;
};
static inline bool ship_fits(const struct ship_out *o)
{
	return o->len <= o->size;
}
void ship_put(struct ship_out *o, const void *bytes, u32 n);
void ship_put_text(struct ship_out *o, const char *text);    /* up to its NUL */
void ship_put_u64(struct ship_out *o, u64 v);                /* decimal */
void ship_put_padded(struct ship_out *o, u32 v, u32 digits); /* decimal, at most 10 digits */
void ship_put_hex(struct ship_out *o, u64 v, u32 digits);    /* at most 16 */
void ship_put_boot(struct ship_out *o, const u8 boot[16]);   /* 32 hexadecimal digits */

/* Decimal digits at the front of [at, end), at most `max_digits` and no leading zero but "0" itself. Returns how many,
 * 0: none, too many, or a leading zero. *v: their value (max_digits at most 9). */
u32 ship_digits(const u8 *at, const u8 *end, u32 max_digits, u32 *v);
/* Bytes of the UTF-8 character at the front (RFC 3629: no surrogates, nothing overlong), 0: it is none. n is at
 * least 1. */
u32 ship_utf8(const u8 *at, u32 n);
/* Bytes compared without regard to the case of A-Z. `word` is in small letters. */
bool ship_same_word(const u8 *at, u32 n, const char *word);

/* ---- cut.c ---- */
enum ship_multi {
	SHIP_LINES,  /* each line is a message */
	SHIP_INDENT, /* a line that begins with a blank or a tab goes on with the one before */
	SHIP_START,  /* a line that does not match `start` goes on with the one before */
};
struct ship_cut {
	u32 max; /* bytes of a message at most; longer ones go in pieces of so many. At least 4 */
	enum ship_multi multi;
	const char *start; /* SHIP_START: `*` any bytes, `?` one, `#` a digit, `\` the next as it is; from the line's
	                      beginning, which needs not match whole */
	u32 start_len;
};
#define SHIP_START_MAX 64u
struct ship_piece {
	u32 bytes; /* of the stream, line end and all: the next one begins behind them */
	u32 text;  /* of them, the message's: from the front, without its line end */
	bool more; /* a piece of a message that goes on in the next one */
};
/*
 * The first message of [buf, buf + n), which begins where a message or a piece of one does. ended: nothing follows for
 * now (a time has passed, or the file is at its end for good), so what stands there is taken without a line end. False:
 * nothing is whole yet. Line ends are \n; a \r before it is none of the text. A piece ends between two UTF-8 characters
 * where the text is UTF-8.
 */
bool ship_cut(const struct ship_cut *rule, const u8 *buf, u32 n, bool ended, struct ship_piece *out);
/* NULL, or what is wrong with a pattern for SHIP_START. */
const char *ship_start_check(const char *start, u32 len);

/* ---- severity.c ---- */
enum ship_severity { SHIP_EMERG, SHIP_ALERT, SHIP_CRIT, SHIP_ERR, SHIP_WARNING, SHIP_NOTICE, SHIP_INFO, SHIP_DEBUG };
/*
 * Facility * 8 + severity (RFC 5424, 6.2.1). By a leading "<PRI>", which is no part of the message (*skip bytes); else
 * the facility of `standard` with the severity that the text tells: the level of a JSON object, "level=", a word in
 * capitals or before a colon near the front, klog's letter; else `standard` itself.
 */
u8 ship_priority(u8 standard, const u8 *text, u32 n, u32 *skip);

/* ---- rfc5424.c ---- */
struct ship_identity {           /* of a message: a collector that saw it before, with these numbers, drops it */
	u64 volume, ino, offset; /* offset: bytes, of the piece's first */
	u32 generation;          /* of the file's content: another one after each truncation */
	u32 crc;                 /* CRC-32C of the piece as it stands in the file */
};
struct ship_message {
	u8 priority;
	bool more; /* goes on in the next piece */
	u32 part;  /* 0: whole; 1, 2...: a piece of it */
	s64 seconds;
	u32 nanoseconds; /* above 999,999,999: no time is known, "-" */
	const char *host, *app,
	    *proc;        /* NUL-terminated; NULL or "": "-". What RFC 5424 does not allow in them becomes _ */
	const char *file; /* name for people, may be NULL */
	struct ship_identity id;
	u64 sequence; /* counts the messages of a sender since it began */
	u8 boot[16];  /* of the machine's start that counts */
	const u8 *text;
	u32 len;
};
/* Enterprise number in the name of our structured data: 32473, which RFC 5612 keeps for documentation. TFS has none. */
#define SHIP_SD_ID "tfs@32473"
/* Seconds since 1970 as 2026-11-29T10:00:00.000000Z; "-": no time. */
void ship_put_time(struct ship_out *o, s64 seconds, u32 nanoseconds);
/*
 * The message, without framing. Text that is UTF-8 without control characters (but tab) goes as it is; of other text
 * each such byte, and the backslash, becomes \xHH, and the structured data says esc="1". Line ends within a message of
 * several lines stay as they are. At most SHIP_HEAD_MAX + 4 * len bytes.
 */
#define SHIP_HEAD_MAX 1280u
void ship_rfc5424(struct ship_out *o, const struct ship_message *m);
/* The identity in a message that was received; false: it has none. */
bool ship_identity_find(const u8 *msg, u32 n, struct ship_identity *id);

/* ---- octet.c: RFC 6587 ---- */
/* "LEN ", to stand before a message of len bytes. */
void ship_octet_head(struct ship_out *o, u32 len);
/*
 * The first message in a receiver's buffer: counted when it begins with a digit, else up to a line end. Returns bytes
 * of the buffer that it takes, 0: more must come, -EINVAL: no message (a count that is none or above max, a line longer
 * than that).
 */
s64 ship_octet_parse(const u8 *buf, u32 n, u32 max, const u8 **msg, u32 *len);

/* ---- relp.c ---- */
#define SHIP_RELP_WINDOW 128u
#define SHIP_RELP_MAX_TXNR 999999999u
struct ship_relp_frame {
	u32 txnr;
	const u8 *command, *data;
	u32 command_len, len;
};
/* "TXNR COMMAND LEN " or, for no data, "TXNR COMMAND LEN"; behind the data goes a \n. */
void ship_relp_head(struct ship_out *o, u32 txnr, const char *command, u32 len);
/* The first frame of a buffer: bytes that it takes, 0: more must come, -EINVAL: none, or data above max. */
s64 ship_relp_parse(const u8 *buf, u32 n, u32 max, struct ship_relp_frame *f);
bool ship_relp_is(const struct ship_relp_frame *f, const char *command);

enum ship_relp_state { SHIP_RELP_OPENING, SHIP_RELP_READY, SHIP_RELP_OVER };
/* A client's session: one connection. After another one is made it begins anew, with the messages from the first that
 * was not acknowledged. */
struct ship_relp {
	enum ship_relp_state state;
	u32 next, count; /* transaction of the next frame; messages in flight, the oldest next - count */
	u64 answered[SHIP_RELP_WINDOW / 64];
};
void ship_relp_open(struct ship_relp *r, struct ship_out *o);
/* A message may be sent: its transaction number, 0: not now (window full, or not ready). window: 1 to SHIP_RELP_WINDOW.
 */
u32 ship_relp_next(struct ship_relp *r, u32 window);
/*
 * A frame from the server. Returns how many more messages, the oldest first, are acknowledged, or
 * -ECONNREFUSED  it does not take us, or our messages (what it said is in f)
 * -ECONNRESET    it closes
 * -EINVAL        an answer to nothing that was asked
 * after which the session is over.
 */
int ship_relp_answer(struct ship_relp *r, const struct ship_relp_frame *f);
void ship_relp_close(struct ship_relp *r, struct ship_out *o);

/* ---- kmsg.c ---- */
/*
 * A record as kmsg_dump_get_line gives it, "<PRI>[TIME] TEXT" a line, as lines that each begin with a PRI that syslog
 * has (above facility 23: user) and have printable ASCII only: other bytes, and the backslash, are \xHH, as /dev/kmsg
 * shows them. Lines in which the module speaks of forwarding are left out. At most 4 * n + 4 bytes. Returns the gravest
 * severity, SHIP_KMSG_NONE: all was left out.
 */
#define SHIP_KMSG_NONE 8u
u32 ship_kmsg(struct ship_out *o, const u8 *record, u32 n);
/* Lines of the module's own, below SHIP_KMSG_LINE + the release's bytes each. ns: the kernel's clock of messages. wall:
 * seconds since 1970 at that time. */
#define SHIP_KMSG_LINE 192u
void ship_kmsg_begin(struct ship_out *o, u64 ns, const u8 boot[16], const char *release, s64 wall);
void ship_kmsg_lost(struct ship_out *o, u64 ns, u64 lost);
void ship_kmsg_end(struct ship_out *o, u64 ns, const u8 boot[16],
                   u64 next); /* next: number of the first that is not there */
/* A file's last bytes: do they end with a line of ship_kmsg_end, of this boot? *next: as it was given. */
bool ship_kmsg_resume(const u8 *tail, u32 n, const u8 boot[16], u64 *next);

/* ---- target.c ---- */
enum ship_transport {
	SHIP_RELP,
	SHIP_TCP,
	SHIP_UDP,
	SHIP_FILE,
	SHIP_STDOUT,
	/* HTTP from here on: only tfs-logship */
	SHIP_OTLP,
	SHIP_LOKI,
	SHIP_ELASTIC,
	SHIP_SPLUNK,
	SHIP_GELF,
	SHIP_JOURNAL,
};
#define SHIP_TEXT_MAX 16000u /* bytes of a message's text at most: framed, and all of it escaped, below 64 KiB */
struct ship_target {
	enum ship_transport transport;
	char host[254]; /* name or address, without brackets */
	bool tls;
	u16 port;
	char path[512]; /* SHIP_FILE; HTTP: of the request, "": the protocol's own */
	bool gzip;      /* HTTP */
	u32 batch;      /* HTTP: bytes of a request's body at most, unless one message is longer */
	char name[65];  /* SHIP_ELASTIC: index; SHIP_LOKI: tenant, "": none */
	u8 standard;    /* priority of what tells none: user.notice */
	u32 rate;       /* messages a second at most; 0: no limit */
	char app[49];   /* "": the file's name, where it is known */
	struct ship_cut cut;
	char start[SHIP_START_MAX + 1]; /* cut.start points here: a target is not to be copied */
};
#define SHIP_BATCH_MIN 4096u /* of batch, at least */
static inline bool ship_is_http(const struct ship_target *t)
{
	return t->transport >= SHIP_OTLP;
}
/* NULL, or what is wrong with it: "expected ...". */
const char *ship_target_parse(const char *text, u32 len, struct ship_target *t);

#endif
