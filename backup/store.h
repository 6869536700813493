/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Where backups are kept: one narrow interface, behind it a local directory and S3-compatible storage. A store holds
 * objects: a name, bytes, and the time at which they were put. tests/backup/store_test.c says the same of every store.
 *
 * What always holds:
 *  - An object appears whole or not at all, and is durable when its put has completed with 0.
 *  - What a get delivers is what was put, or the get fails: truncated and interrupted transfers are repeated. Whether
 *    the store itself damaged it is for the caller's own checksums to find.
 *  - A put that has failed may have been done all the same (its answer was lost). Objects are named by their content,
 *    so that repeating it does no harm; one put with TFS_STORE_IF_ABSENT is the exception and tells the truth: 0 if
 *    this put made the object, -EEXIST if another did, also when answers were lost on the way.
 *  - What was put is found by get, stat and list from then on, by everybody (strong consistency, as S3 has since 2020).
 *  - Any number of processes may use one store at a time, without locks. One struct tfs_store is used by one thread.
 *
 * Results are 0 or one of these, and an error's text (`error`) names the store, the object, what was answered and what
 * to do next:
 *  -ENOENT      no such object (or the bucket, or the folder, is gone: the text says which)
 *  -EEXIST      TFS_STORE_IF_ABSENT, and it is there
 *  -EACCES      refused: credentials are missing, wrong or expired, a policy, permissions, a read-only filesystem
 *  -EPERM       the object is locked (S3 Object Lock; an immutable file)
 *  -ENOSPC      full, or a quota is used up
 *  -ETIMEDOUT   the store did not answer, or asked to come back later, until the total limit was over (`patience`)
 *  -EIO         anything else, after the retries that make sense
 *  -EINVAL      not a name or URL, or a wrong option
 *  -EFBIG       too large for the store
 *  -ENOMEM
 *  -EOPNOTSUPP  the store cannot do it (put if absent, on a filesystem or server without)
 *
 * Names: 1 to 512 bytes of [a-z0-9/._-]; parts between slashes are 1 to 200 bytes, at most 16, and do not begin with a
 * dot. A name is never also the folder of another one ("a" and "a/b").
 */
#ifndef TFS_BACKUP_STORE_H
#define TFS_BACKUP_STORE_H

#include "tfs/user/tfs_host.h"

struct tfs_store;

enum {
	TFS_STORE_NAME_MAX = 512,
	TFS_STORE_ERROR_MAX = 640,
};

/* ---- options: "KEY=VALUE", one at a time, from a command line or configuration file ---- */
struct tfs_store_options;
struct tfs_store_options *tfs_store_options_new(void); /* NULL: no memory */
void tfs_store_options_free(struct tfs_store_options *o);
/* -EINVAL: unknown key or wrong value, `error` says what is expected. A later value of a key counts. */
int tfs_store_option(struct tfs_store_options *o, const char *key_value, char error[TFS_STORE_ERROR_MAX]);
const char *tfs_store_option_help(void); /* every key, one a line, for --help */

/* ---- open and close ---- */
enum tfs_store_open_flags {
	TFS_STORE_CREATE = 1, /* make the directory when it is absent; a bucket is never made */
};
/* url: a path, "file:///path" or "s3://bucket[/prefix]". options: NULL: none; they may be freed afterwards. With
 * -errno *out is NULL and error has the text. Opening S3 finds credentials and sends nothing yet. */
int tfs_store_open(struct tfs_store **out, const char *url, const struct tfs_store_options *options, unsigned flags,
                   char error[TFS_STORE_ERROR_MAX]);
/* What has not completed is given up: its `done` is not called, its buffers are the caller's again. NULL is fine. */
void tfs_store_close(struct tfs_store *s);
const char *tfs_store_url(const struct tfs_store *s); /* without secrets, for messages */
/* Where notes go: retries, credentials renewed, foreign objects left alone. NULL: nowhere (the default). */
void tfs_store_notes(struct tfs_store *s, void (*note)(void *arg, const char *line), void *arg);

/* ---- requests ---- */
enum tfs_store_op {
	TFS_STORE_PUT,    /* `length` bytes at `data` become the object `name`; replaces one that is there */
	TFS_STORE_GET,    /* up to `length` bytes from `offset` into `buffer` */
	TFS_STORE_STAT,   /* size and time */
	TFS_STORE_DELETE, /* 0 also when it is not there */
};
enum tfs_store_request_flags {
	TFS_STORE_IF_ABSENT = 1, /* put: -EEXIST when there is one; two at the same moment: exactly one gets 0 */
};

/*
 * The caller fills in the first part (zero what is not used), keeps the struct, name, data and buffer valid and data
 * unchanged until the request has completed, and may use or free all of them from the moment `done` is called.
 */
struct tfs_store_request {
	enum tfs_store_op op;
	unsigned flags;
	const char *name;
	const void *data; /* put */
	void *buffer;     /* get; may be scribbled on also when the get fails */
	u64 offset;       /* get: bytes */
	size_t length;    /* put and get: bytes, may be 0 */
	/* Called from tfs_store_step and whatever waits; may start requests, must not wait. NULL: nothing is called. */
	void (*done)(struct tfs_store_request *r);
	void *arg;

	/* ---- set when it completes ---- */
	int result; /* 0 or -errno */
	size_t got; /* get: bytes delivered: fewer than `length` only where the object ends, 0 at and past its end */
	u64 size;   /* get and stat: of the whole object, bytes */
	s64 time;   /* stat: when it was put, by the store's clock, seconds since 1970 */
	bool completed;
	char error[TFS_STORE_ERROR_MAX]; /* empty when result is 0 */

	/* ---- the store's own ---- */
	struct tfs_store_request *next;
	void *job;
};

/* Queues it; the store works on at most `parallel` (option) at a time, in any order. Nothing fails here: a wrong name
 * completes with -EINVAL. */
void tfs_store_start(struct tfs_store *s, struct tfs_store_request *r);
/* Moves everything on and calls `done` of what completed; waits up to timeout_ms for something to happen (0: not at
 * all). Returns how many have not completed. Call it now and then while doing other work, so that transfers go on. */
unsigned tfs_store_step(struct tfs_store *s, int timeout_ms);
/* Until at most `left` have not completed: 0 waits for all, window - 1 makes room for one more. */
void tfs_store_wait(struct tfs_store *s, unsigned left);
/* Starts it and waits for it (others go on meanwhile, their `done` is called): the result. */
int tfs_store_run(struct tfs_store *s, struct tfs_store_request *r);

/* ---- blocking calls; on error tfs_store_error has the text until the next blocking call ---- */
const char *tfs_store_error(const struct tfs_store *s);
int tfs_store_put(struct tfs_store *s, const char *name, const void *data, size_t length, unsigned flags);
/* *got: bytes delivered, see `got` above. */
int tfs_store_get(struct tfs_store *s, const char *name, u64 offset, void *buffer, size_t length, size_t *got);
/* A whole object of at most max bytes (else -EFBIG), into memory that the caller frees; one byte more than *length is
 * allocated and is 0. */
int tfs_store_load(struct tfs_store *s, const char *name, size_t max, void **data, size_t *length);
int tfs_store_stat(struct tfs_store *s, const char *name, u64 *size, s64 *time); /* size, time may be NULL */
int tfs_store_delete(struct tfs_store *s, const char *name);

struct tfs_store_entry {
	const char *name; /* valid during the call */
	u64 size;
	s64 time;
};
/* Calls entry for every object whose name begins with prefix ("" for all; need not end at a slash) and comes after
 * `after` (NULL: from the start), in the order of strcmp. Names that no put could have made are left out. The callback
 * may use the store in any way; what it returns other than 0 ends the listing and is returned. What is put or deleted
 * meanwhile may be listed or not. Memory: one page of 1000, or one folder of a directory. */
int tfs_store_list(struct tfs_store *s, const char *prefix, const char *after,
                   int (*entry)(void *arg, const struct tfs_store_entry *e), void *arg);
/* Seconds since 1970 by the clock that makes `time`: for grace times, never this machine's own. */
int tfs_store_now(struct tfs_store *s, s64 *seconds);
/* Removes what interrupted puts left (temporary files, multipart uploads) and that is older than `seconds` by the
 * store's clock: never younger than the longest put in flight anywhere. *removed (may be NULL): how many. */
int tfs_store_clean(struct tfs_store *s, s64 seconds, u64 *removed);

/* ---- counters since open ---- */
struct tfs_store_stats {
	u64 requests; /* sent, retries among them */
	u64 retries;
	u64 sent, received;                    /* bytes of objects, repeated ones again */
	u64 puts, gets, stats, deletes, lists; /* asked for */
};
const struct tfs_store_stats *tfs_store_stats(const struct tfs_store *s);

bool tfs_store_name_ok(const char *name);

#endif
