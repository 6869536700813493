/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Collectors that are spoken to by HTTP. From the bottom up:
 *   json.c fields.c                             texts, and what a message says of itself, for every format
 *   otlp.c loki.c elastic.c splunk.c gelf.c journal.c   a message in a format, and what an answer of such a collector means
 *   format.c                                    the table of formats
 *   answer.c                                    what an answer means, whatever the format
 *   batch.c                                     messages gathered, and a request's body from some of them
 *   dead.c                                      the file of messages that were refused for good
 *   call.c                                      one request over libcurl
 *   deliver.c                                   a batch until each of its messages was taken or is in that file
 * All but the last three are pure: they open nothing, and what a server sends back is input that anybody may have
 * written (fuzz/answers.c).
 */
#ifndef TFS_LOGSHIP_WEB_H
#define TFS_LOGSHIP_WEB_H

#include "logship/ship/ship.h"

#include <stddef.h>

/* ---- json.c ---- */
bool web_is_utf8(const u8 *text, u32 n);
/* A string with its quotes. escaped: bytes that are no UTF-8, and backslashes, become the text \xHH; else those bytes
 * are a question mark. */
void web_put_json(struct ship_out *o, const u8 *text, u32 n, bool escaped);
void web_put_json_text(struct ship_out *o, const char *text);
/* The message's text; `empty` where it has none. */
void web_put_message(struct ship_out *o, const struct ship_message *m, const char *empty);

/* ---- fields.c ---- */
struct web_field {
	const char *name; /* "inode" */
	bool number;
	char value[36];
};
#define WEB_FIELDS_MAX 10u
/* What identifies a message and says how it was cut, one field each. Returns how many. */
u32 web_fields(const struct ship_message *m, struct web_field out[WEB_FIELDS_MAX]);
/* The five numbers of its identity, as one word: equal is the same line. */
void web_put_uid(struct ship_out *o, const struct ship_identity *id);
const char *web_severity(u8 priority);            /* "err" */
void web_put_time(struct ship_out *o, u64 ns);    /* 2026-11-29T10:00:00.000000Z */
void web_put_seconds(struct ship_out *o, u64 ns); /* 1795946400.000000 */

/* ---- batch.c: messages ---- */
enum web_fate { WEB_WAITS, WEB_TAKEN, WEB_DEAD };
#define WEB_REASON_MAX 128u
struct web_item {
	u32 at, len;        /* of the arena: the message as it is sent */
	u32 group, glen;    /* what stands before it, and all that share it */
	u32 text, text_len; /* its text */
	u32 file, file_len; /* its name, 0: none is known */
	struct ship_identity id;
	u8 priority;
	enum web_fate fate;
	char reason[WEB_REASON_MAX]; /* WEB_DEAD */
	bool unsure;                 /* WEB_DEAD: perhaps taken all the same */
};

/* ---- what an answer means ---- */
enum web_next {
	WEB_DONE,  /* each message's fate is said; those that wait are sent again now */
	WEB_AGAIN, /* those that wait, later */
	WEB_SPLIT, /* one of them, or their number, is what it does not take: in two parts; one alone is dead */
	WEB_STOP,  /* nothing that other messages would meet better: whoever runs this must act */
};
struct web_answer {
	u32 status; /* HTTP's */
	const char *body;
	size_t len;
};
struct web_verdict {
	enum web_next next;
	u32 first;      /* WEB_SPLIT: messages of the first part; 0: half of them */
	bool too_large; /* WEB_SPLIT: the body was: later ones had better be smaller */
	bool unsure;    /* of those that are dead some were taken: the collector does not say which */
	char why[200];  /* for people; "": nothing to say. Printable */
};

/* ---- formats ---- */
struct web_format {
	const char *path, *type; /* where to, when the target names no path; Content-Type */
	const char *head, *tail; /* of a body */
	const char *group_end;   /* behind the last of a group */
	bool comma;              /* between messages, and between groups */
	u32 most;                /* messages of a body */
	/* What stands before messages that share it; NULL: nothing does. */
	void (*group)(struct ship_out *o, const struct ship_message *m);
	/* ns: the time of sending, since 1970. That of writing is not known. */
	void (*item)(struct ship_out *o, const struct ship_message *m, u64 ns);
	/* Of an answer of 2xx: sets the fate of each of n. NULL: all were taken. */
	void (*taken)(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v);
	/* Of a refusal by 400 or 403, where the body may say more than the status; false: it does not. */
	bool (*refused)(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v);
};
#define WEB_ITEM_MAX (16384u + 12 * SHIP_TEXT_MAX) /* bytes of a message, or of what stands before it, at most */
const struct web_format *web_format(enum ship_transport transport); /* NULL: none of HTTP */

/* ---- answer.c ---- */
/* item: those n, all waiting, that the request had. */
void web_judge(const struct web_format *f, const struct web_answer *a, struct web_item **item, u32 n,
               struct web_verdict *v);
/* As printf with one %.*s: what is not printable ASCII becomes a blank, cut off to fit. */
void web_say(char *out, size_t room, const char *what, const char *text, size_t len);
/* JSON of the answer, an object; NULL: it is none. The caller's to put. */
struct json_object;
struct json_object *web_answer_object(const struct web_answer *a);

/* ---- the formats' own ---- */
void web_otlp_group(struct ship_out *o, const struct ship_message *m);
void web_otlp_item(struct ship_out *o, const struct ship_message *m, u64 ns);
void web_otlp_taken(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v);
void web_loki_group(struct ship_out *o, const struct ship_message *m);
void web_loki_item(struct ship_out *o, const struct ship_message *m, u64 ns);
void web_elastic_item(struct ship_out *o, const struct ship_message *m, u64 ns);
void web_elastic_taken(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v);
void web_splunk_item(struct ship_out *o, const struct ship_message *m, u64 ns);
void web_splunk_taken(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v);
bool web_splunk_refused(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v);
void web_gelf_item(struct ship_out *o, const struct ship_message *m, u64 ns);
void web_journal_item(struct ship_out *o, const struct ship_message *m, u64 ns);

/* ---- batch.c ---- */
#define WEB_BATCH_ITEMS 4096u
#define WEB_FILE_MAX 1023u /* bytes of a file's name that are kept */
struct web_batch {
	const struct web_format *format;
	u32 limit; /* bytes of a body */
	u32 body;  /* bytes that one with all of them takes */
	u32 count;
	struct web_item *item;
	struct ship_out arena;
	char file[WEB_FILE_MAX + 1];
	u8 *scratch; /* of WEB_ITEM_MAX twice: group, item */
};
int web_batch_open(struct web_batch *b, const struct web_format *f, u32 limit); /* 0 or -ENOMEM */
void web_batch_close(struct web_batch *b);
void web_batch_clear(struct web_batch *b);
/* False: it has no room left, though there are messages in it. */
bool web_batch_add(struct web_batch *b, const struct ship_message *m, u64 ns);
/* A body of those n. o without room counts. */
void web_batch_body(const struct web_batch *b, struct web_item *const *item, u32 n, struct ship_out *o);

#endif
