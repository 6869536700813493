/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Lines of fields: the same calls give "what key=value key=value" for people or one JSON object for programs, so that
 * neither can show less than the other. Names are escaped as text. For every tool that prints structures.
 */
#ifndef TFS_USER_LINES_H
#define TFS_USER_LINES_H

#include "tfs/user/cli.h"

struct tfs_line {
	struct json_object *o; /* NULL: text */
	bool tall;             /* as text: a line for each field, aligned */
};
void tfs_line_begin(struct tfs_line *l, bool json, int indent, const char *what);
void tfs_line_begin_tall(struct tfs_line *l, bool json, const char *what);
void tfs_line_num(struct tfs_line *l, const char *key, u64 v);
void tfs_line_int(struct tfs_line *l, const char *key, s64 v);
/* 64-bit numbers that are names, not counts, go to JSON as text: many readers hold only 53 bits. */
void tfs_line_hex(struct tfs_line *l, const char *key, u64 v, int digits);
void tfs_line_octal(struct tfs_line *l, const char *key, u32 v);
void tfs_line_bool(struct tfs_line *l, const char *key, bool v); /* as text: the key when true, else nothing */
void tfs_line_text(struct tfs_line *l, const char *key, const char *text);
void tfs_line_bytes(struct tfs_line *l, const char *key, const void *bytes, size_t len);
void tfs_line_time(struct tfs_line *l, const char *key, const struct tfs_time *t);
void tfs_line_end(struct tfs_line *l);
/* "2001-02-03T04:05:06.123456789Z", or "@SECONDS" beyond what a calendar holds */
char *tfs_time_text(const struct tfs_time *t, char out[48]);
const char *tfs_type_text(u32 mode); /* "file", "directory", ... */

#endif
