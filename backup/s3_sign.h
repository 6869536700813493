/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Amazon's Signature Version 4, as S3 uses it: each request carries a MAC over method, path, query, headers and the
 * SHA-256 of its body, under a key derived from the secret, the day, the region and the service. No state, no I/O.
 */
#ifndef TFS_BACKUP_S3_SIGN_H
#define TFS_BACKUP_S3_SIGN_H

#include "tfs/user/tfs_host.h"

/* ---- a string that grows; after no memory it stays empty and says so ---- */
struct s3_text {
	char *s; /* terminated; NULL: nothing yet */
	size_t length, room;
	bool failed;
};
void s3_text_add(struct s3_text *t, const char *s);
void s3_text_add_bytes(struct s3_text *t, const void *bytes, size_t length);
void s3_text_printf(struct s3_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Percent-encodes all but [A-Za-z0-9._~-], and slashes unless they are kept. */
void s3_text_encode(struct s3_text *t, const char *s, bool keep_slashes);
void s3_text_free(struct s3_text *t);

struct s3_pair {
	const char *name, *value;
};

enum { S3_MAX_HEADERS = 24, S3_MAX_QUERY = 12 };

struct s3_to_sign {
	const char *method;
	const char *path;            /* as it goes over the wire: begins with a slash, percent-encoded once */
	const struct s3_pair *query; /* not encoded, any order */
	unsigned queries;
	const struct s3_pair *headers; /* all to be signed, `host` among them, names in lower case, any order */
	unsigned header_count;
	const char *payload_sha256; /* 64 hex digits, the value of x-amz-content-sha256 */
	const char *time;           /* 20130524T000000Z */
	const char *region, *service;
	const char *access_key, *secret_key;
};

void s3_sha256_hex(const void *data, size_t length, char out[65]);
/* The query as it is signed and sent: sorted, encoded, without "?". */
void s3_sign_query(struct s3_text *out, const struct s3_pair *query, unsigned n);
void s3_sign_canonical(struct s3_text *out, const struct s3_to_sign *r); /* the canonical request */
/* The value of the Authorization header. */
void s3_sign(struct s3_text *out, const struct s3_to_sign *r);

#endif
