/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Inside the S3 store. From the bottom up:
 *   s3_sign.c s3_xml.c s3_credentials.c   know nothing of each other
 *   s3_error.c     what an answer means: an errno, whether to repeat it, what a person should do
 *   s3_call.c      one HTTP call with all its attempts; the loop over libcurl's multi interface
 *   s3_object.c    put, get, stat, delete of one object as calls
 *   s3_multipart.c s3_absent.c            the two puts that are several calls
 *   s3_list.c      listing, the server's clock, cleaning
 *   s3_store.c     URL, configuration, open and close
 * All of it runs on the caller's thread, inside tfs_store_step and the blocking calls.
 */
#ifndef TFS_BACKUP_S3_H
#define TFS_BACKUP_S3_H

#include "backup/s3_credentials.h"
#include "backup/s3_sign.h"
#include "backup/store_impl.h"

#include <curl/curl.h>

/* What an answer said. Texts are cut to fit. */
struct s3_reply {
	long status;   /* 0: none came */
	char code[64]; /* S3's, from the body: "NoSuchKey" */
	char message[160];
	char request_id[80];
	char region[40]; /* x-amz-bucket-region, or from the body */
	char etag[96];
	char token[40]; /* x-amz-meta-tfs: of the put that made the object */
	s64 date, modified;
	u64 content_length;
	bool has_length, ranged;
	u64 range_first, range_last, range_total;
	s64 locked_until;     /* Object Lock; -1: legal hold */
	unsigned retry_after; /* seconds */
};

enum s3_next { S3_DONE, S3_GIVE_UP, S3_AGAIN, S3_NEW_CREDENTIALS, S3_NEW_CLOCK, S3_ASK_WHY };

struct s3_store;

/* One HTTP call. Made by s3_call_new, started by s3_call_start; after done has returned it is freed. */
struct s3_call {
	struct s3_store *store;
	const char *method, *what; /* what: for messages */
	char *name;                /* of the object as callers know it; NULL: the bucket */
	char *key;                 /* the whole key; NULL: the bucket */
	struct s3_pair query[S3_MAX_QUERY], headers[S3_MAX_HEADERS]; /* values are the call's own */
	unsigned queries, header_count;
	const void *body; /* sent; stays valid until done */
	size_t body_length;
	char *own_body; /* freed with the call */
	void *into;     /* get: where the range goes */
	u64 offset;
	size_t length;
	bool ranged;
	bool xml;        /* a success has a document; one that is not whole is asked for again */
	s64 deadline_ms; /* 0: from the option patience */
	void (*done)(struct s3_call *c);
	void *arg;

	/* ---- the outcome ---- */
	int result;
	struct s3_reply reply;
	struct s3_text text; /* the body, when it does not go into `into` */
	size_t got;
	unsigned attempts;
	char error[TFS_STORE_ERROR_MAX];

	/* ---- one attempt ---- */
	CURL *curl;
	struct curl_slist *wire_headers;
	size_t sent;
	u64 skipped;
	bool too_long, renewed, clock_set, asking;
	char curl_error[CURL_ERROR_SIZE];
	char sha256[65];
	s64 first_ms, due_ms;
	struct s3_call *next;
};

struct s3_store {
	struct tfs_store s;         /* first */
	struct tfs_store_options o; /* texts are copies */
	char *bucket, *prefix;      /* prefix: "" or ends with a slash */
	char *scheme_host;          /* "https://s3.eu-west-1.amazonaws.com", the bucket in it when host style */
	char *host;                 /* for the Host header */
	char *region;
	bool path_style;
	struct s3_credentials credentials;
	bool have_credentials;
	s64 skew;        /* the server's clock minus ours, seconds, once known to matter */
	s64 server_date; /* newest Date seen, and when, by s3_boot_ms */
	s64 server_date_ms;
	bool answered;    /* anything ever came from there: retries of a wrong endpoint are short until then */
	bool bucket_seen; /* a call succeeded, so the bucket is there */
	enum tfs_store_conditional conditional; /* AUTO: not known yet */
	bool told_foreign;
	CURLM *multi;
	CURL *idle[64];
	unsigned idle_count, running;
	s64 next_start_ms; /* for the bandwidth limit */
	struct s3_call *waiting, **waiting_end, *active;
	struct s3_job *jobs; /* all that have not completed, for close */
};

/* A request of a caller, as the calls that it takes. */
struct s3_job {
	struct s3_store *store;
	struct tfs_store_request *r;
	char token[33];
	void *state; /* of s3_multipart.c or s3_absent.c; freed with the job */
	struct s3_job *next;
};

static inline struct s3_store *s3_of(struct tfs_store *s)
{
	return (struct s3_store *)s;
}

/* ---- s3_error.c ---- */
/* What to do after an attempt; sets c->result (used with S3_DONE and S3_GIVE_UP). */
enum s3_next s3_judge(struct s3_call *c, CURLcode code);
/* c->error from the last attempt. */
void s3_explain(struct s3_call *c, CURLcode code);

/* ---- s3_call.c ---- */
s64 s3_now_ms(void);                   /* monotonic */
s64 s3_boot_ms(void);                  /* the same, but it goes on while the machine sleeps: for the server's clock */
s64 s3_wall(const struct s3_store *s); /* our clock corrected by the server's, seconds since 1970 */
u32 s3_random(u32 below);
/* name NULL: of the bucket. NULL: no memory. */
struct s3_call *s3_call_new(struct s3_store *s, const char *method, const char *what, const char *name);
void s3_call_query(struct s3_call *c, const char *name, const char *value);
void s3_call_header(struct s3_call *c, const char *name, const char *value);
/* Takes c over; done is called from a later step, never from here. -ENOMEM: c is NULL or lacks something; it is freed.
 */
int s3_call_start(struct s3_call *c, void (*done)(struct s3_call *), void *arg);
/* Starts it and steps until done has set the bool that arg points to (the first member of something larger). */
int s3_call_wait(struct s3_call *c, void (*done)(struct s3_call *), void *arg);
void s3_step(struct tfs_store *s, int timeout_ms);
void s3_calls_close(struct s3_store *s); /* frees all calls */

/* ---- s3_object.c ---- */
void s3_start(struct tfs_store *s, struct tfs_store_request *r);
void s3_job_end(struct s3_job *j, int result, const char *error);   /* frees j, then the caller's done is called */
void s3_job_fail(struct s3_job *j, int result, const char *reason); /* store, object and operation are put before it */
void s3_job_end_call(struct s3_job *j, const struct s3_call *c);
/* A put of one call, with token, storage class and retention. */
struct s3_call *s3_put_call(struct s3_job *j);
void s3_object_headers(struct s3_job *j, struct s3_call *c); /* those of a new object */

/* ---- s3_multipart.c, s3_absent.c ---- */
void s3_multipart_start(struct s3_job *j);
void s3_absent_start(struct s3_job *j);

/* ---- s3_list.c ---- */
struct s3_page {
	struct s3_listed {
		char *name; /* without the store's prefix */
		u64 size;
		s64 time;
	} * entries;
	size_t count, room;
	char *next; /* continuation token; NULL: this was the last page */
	bool bad;   /* no memory */
};
struct s3_call *s3_list_call(struct s3_store *s, const char *prefix, const char *after, const char *token);
int s3_page_parse(struct s3_store *s, struct s3_call *c, struct s3_page *page); /* on error c->error has the text */
void s3_page_free(struct s3_page *p);
int s3_list(struct tfs_store *s, const char *prefix, const char *after,
            int (*entry)(void *arg, const struct tfs_store_entry *e), void *arg);
int s3_server_now(struct tfs_store *s, s64 *seconds);
int s3_clean(struct tfs_store *s, s64 seconds, u64 *removed);

#define S3_ONE_PUT (5ull << 30) /* bytes that one PUT may have, says Amazon */
#define S3_OWN ".tfs-store/"    /* keys of the store itself: no name begins with a dot */
#define S3_CLAIMS S3_OWN "claims/"

#endif
