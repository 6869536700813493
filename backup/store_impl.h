/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a store is inside: store.c has what all share (queue, blocking calls, names), store_dir.c and s3*.c do the work.
 */
#ifndef TFS_BACKUP_STORE_IMPL_H
#define TFS_BACKUP_STORE_IMPL_H

#include "backup/store.h"
#include "backup/store_options.h"

#include <stdarg.h>

struct tfs_store_ops {
	/* r has a good name. It is completed by tfs_store_complete, at once or from step. */
	void (*start)(struct tfs_store *s, struct tfs_store_request *r);
	/* Work on what was started; wait up to timeout_ms for something to happen, not at all when there is nothing to
	 * do. */
	void (*step)(struct tfs_store *s, int timeout_ms);
	int (*list)(struct tfs_store *s, const char *prefix, const char *after,
	            int (*entry)(void *arg, const struct tfs_store_entry *e), void *arg);
	int (*now)(struct tfs_store *s, s64 *seconds);
	int (*clean)(struct tfs_store *s, s64 seconds, u64 *removed);
	void (*close)(struct tfs_store *s); /* frees s */
};

struct tfs_store {
	const struct tfs_store_ops *ops;
	char *url;
	unsigned parallel;    /* requests worked on at a time */
	unsigned outstanding; /* started, not completed */
	unsigned active;      /* of these, given to ops->start */
	struct tfs_store_request *queue, **queue_end;
	struct tfs_store_stats stats;
	void (*note)(void *arg, const char *line);
	void *note_arg;
	char error[TFS_STORE_ERROR_MAX];
};

int tfs_store_init(struct tfs_store *s, const struct tfs_store_ops *ops, const char *url, unsigned parallel);
void tfs_store_fini(struct tfs_store *s);
/* Sets the result (error text must be there when it is not 0), calls done. r may be gone afterwards. */
void tfs_store_complete(struct tfs_store *s, struct tfs_store_request *r, int result);
/* Writes the text into buf (TFS_STORE_ERROR_MAX) and returns err. */
int tfs_store_say(char *buf, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Into s->error, for the blocking calls. */
#define tfs_store_fail(s, err, ...) tfs_store_say((s)->error, err, __VA_ARGS__)
void tfs_store_note(struct tfs_store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int tfs_store_dir_open(struct tfs_store **out, const char *path, const struct tfs_store_options *o, unsigned flags,
                       char *error);
int tfs_store_s3_open(struct tfs_store **out, const char *url, const struct tfs_store_options *o, char *error);

#endif
