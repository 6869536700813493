/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The command-line layer of every tool: messages, names made safe for a terminal, sizes and uuids, progress, JSON
 * lines.
 *
 * Messages go to standard error as "TOOL: OBJECT: what is wrong", one line, lowercase, no full stop. Progress appears
 * only when standard error is a terminal. JSON goes to standard output, one object a line, so that a listing of any
 * length needs no memory.
 */
#ifndef TFS_USER_CLI_H
#define TFS_USER_CLI_H

#include "tfs/tfs.h"
#include <stdio.h>

struct json_object;

/* Call first in main: the tool's name for messages; core messages are printed as "NAME: volume: ...". */
void tfs_cli_start(const char *name);
/* From here on messages, the core's too, go to the system's log: for daemons. */
void tfs_cli_to_syslog(void);
/* Prints the message, object escaped, and returns code. object NULL: none. */
int tfs_cli_fail(int code, const char *object, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void tfs_cli_warn(const char *object, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Flushes standard output: code, or `full` with a message when what was printed did not get out (a full disk). */
int tfs_cli_end(int code, int full);

/* Control bytes, backslash and bytes that are not UTF-8 become \n, \t, \\ or \xHH. Returns out, always terminated; cut
 * off with "..." when it does not fit. An out of 4 * len + 1 bytes always holds all. */
char *tfs_cli_escape(char *out, size_t out_size, const char *name, size_t len);
bool tfs_cli_is_utf8(const char *s, size_t len); /* json.c */
void tfs_cli_print_name(FILE *f, const char *name, size_t len);

/* "4096", "512M", "4G", "1GiB": bytes, powers of 1024 up to P, at most 2^54. -1: not a size. */
int tfs_cli_size(const char *text, u64 *out);
int tfs_cli_uuid(const char *text, u8 out[16]); /* 32 hex digits, dashes anywhere; -1 */
void tfs_cli_uuid_text(const u8 uuid[16], char out[37]);
/* 1234567 -> "1.2 MiB" */
char *tfs_cli_human(u64 bytes, char out[16]);

/* ---- progress: "[2/5] names, 1200/8914, 0:03", rewritten in place at most ten times a second; of bytes
 * "[1/1] everything, 12.0 MiB/1.2 GiB, 3 packs, 8.1 MiB/s, 0:01, 2:30 left", without what is not known ---- */
struct tfs_progress {
	const char *pass;
	unsigned step, steps;
	u64 done, total; /* total 0: not known */
	u64 objects;
	const char *of; /* what these are; NULL: done and total are no bytes */
	bool on, shown;
	int fd; /* >= 0: also "step done total" lines for fsck -C */
	u64 start_ms, pass_ms, last_ms;
};
void tfs_progress_start(struct tfs_progress *p, bool quiet, int fd, unsigned steps);
void tfs_progress_pass(struct tfs_progress *p, const char *pass, u64 total);
void tfs_progress_pass_bytes(struct tfs_progress *p, const char *pass, u64 total, const char *of);
void tfs_progress_add(struct tfs_progress *p, u64 n);
void tfs_progress_objects(struct tfs_progress *p, u64 n); /* so many in all */
void tfs_progress_end(struct tfs_progress *p);            /* clears the line */

/* ---- JSON by json-c; names that are not UTF-8 get "KEY_hex" instead of "KEY" ---- */
void tfs_json_bytes(struct json_object *o, const char *key, const void *bytes, size_t len);
void tfs_json_text(struct json_object *o, const char *key, const char *text);
void tfs_json_u64(struct json_object *o, const char *key, u64 v);
void tfs_json_bool(struct json_object *o, const char *key, bool v);
void tfs_json_line(FILE *f, struct json_object *o); /* prints it and gives it up */

#endif
