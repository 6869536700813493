/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * mkfs.tfs: what its parts share.
 *
 * Three kinds of thread. The producer (walk.c, tar.c, manifest.c) finds out what there is and hands jobs to the pool,
 * in an order that depends on names or on the archive only. Workers (pool.c) read and encode, in any order. The main
 * thread (fill.c) takes the jobs in the order they were handed in and is the only one to touch the volume: so the image
 * does not depend on how many workers there are or who is faster.
 */
#ifndef MKFS_H
#define MKFS_H

#include "tfs/user/cli.h"
#include "tfs/user/file_dev.h"

#include <pthread.h>
#include <sys/stat.h>

enum mkfs_exit { MKFS_OK = 0, MKFS_USAGE = 1, MKFS_SOURCE = 2, MKFS_DEVICE = 3, MKFS_FULL = 4 };

#define MKFS_WINDOW 65536u
#define MKFS_JOBS_MAX 64u /* workers */

/* The least level whose images are as small as mksquashfs makes them, see docs/DESIGN.md. */
#define MKFS_ZLIB_LEVEL 10

struct mkfs_options {
	const char *from, *tar, *manifest, *size, *image, *config;
	struct tfs_format_options format;
	u32 jobs;
	u8 level; /* of zlib: libdeflate's, 1 to 12 */
	bool force, quiet, all_root, uuid_given, codec_given, dry_run, json, nanos;
};
/* MKFS_OK, or the exit code after a message; *done: there is nothing to do (--help, -V). */
int mkfs_options_parse(struct mkfs_options *o, int argc, char **argv, bool *done);

/* ---- what is known about a file before it is made ---- */
struct mkfs_node {
	u32 mode, uid, gid, major, minor; /* mode with type */
	u64 size;                         /* of a regular file */
	struct tfs_time mtime;
};

struct mkfs_sub { /* a directory's directory */
	u64 ino;  /* set when the volume has it */
	u32 at;   /* its name */
};

/* A directory of the source. It lives from its first job to its JOB_UP. */
struct mkfs_dir {
	struct mkfs_dir *up;
	const char *name; /* in up->names; the root's: as given */
	int fd;
	struct stat st;
	const u64 *ino; /* in up->sub */
	char *names;
	u32 *at; /* offsets of names, sorted */
	u32 count, next;
	struct mkfs_sub *sub; /* room for `count`, so that it never moves */
	u32 subs, next_sub;
};

struct mkfs_file { /* a source file read window by window; lives until its JOB_END */
	int fd;
	struct stat st;
};

struct mkfs_seen { /* a source inode with several names */
	struct mkfs_seen *next;
	dev_t dev;
	ino_t from;
	u64 ino; /* set when the volume has it */
};

enum mkfs_job_kind {
	JOB_NODE,  /* dir, name, node: a new file of a directory; with bytes: all of its content */
	JOB_LINK,  /* dir, name, seen: one more name */
	JOB_UP,    /* dir: all of it is there */
	JOB_ENTRY, /* text, node: an archive entry; target: of a symlink */
	JOB_HARD,  /* text, target: an archive's hard link */
	JOB_TIMES, /* the archive is at its end: directories get their times */
	JOB_LINE,  /* line: of a manifest */
	JOB_DATA,  /* a window of the file that was made last */
	JOB_END,   /* that file is complete; file: to be compared with what it was, and closed */
	JOB_FAIL,  /* the producer gave up: fail says why */
	JOB_LAST,
};

struct mkfs_line; /* manifest.c */
struct mkfs_job {
	enum mkfs_job_kind kind;
	bool ready;
	struct mkfs_dir *dir;
	struct mkfs_sub *sub; /* the directory that JOB_NODE makes */
	const char *name;     /* not owned; JOB_DATA, JOB_END: what messages call the file */
	struct mkfs_node node;
	struct mkfs_file *file;
	struct mkfs_seen *seen;
	struct mkfs_line *line;
	char *text; /* owned: an archive's or manifest's path, for messages too */
	const char *target;
	u32 target_len;

	void (*work)(struct mkfs_job *job); /* in a worker, before encoding; may be NULL */
	u64 off, total;                     /* of the window in the file, and the file's size */
	u32 bytes;                          /* of data; 0: nothing to encode */
	u32 first;                          /* blocks of zeros before what is encoded */
	struct tfs_encoded e;               /* blocks 0: all zeros */
	u32 sum;                            /* CRC-32C of what is stored; compressed content only */
	u8 *data, *scratch;                 /* a window each */
	u8 *xattrs;                         /* owned; see xattr.c */
	u32 xattr_bytes;

	int code; /* exit code, not 0: failed, what says why */
	char what[200];
};
void mkfs_job_fail(struct mkfs_job *job, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The object that a message about this job names, unescaped. */
const char *mkfs_job_path(const struct mkfs_job *job, char *buf, size_t size);

/* ---- encode.c ---- */
struct mkfs_encoder;
struct mkfs_encoder *mkfs_encoder_new(u8 codec, u8 level);      /* level: of zlib. NULL: no memory */
void mkfs_encoder_free(struct mkfs_encoder *e);                 /* NULL is fine */
void mkfs_encode(struct mkfs_encoder *e, struct mkfs_job *job); /* sets job->first and job->e */

/* ---- pool.c ---- */
struct mkfs_pool;
struct mkfs_pool *mkfs_pool_new(u32 workers, u8 codec, u8 level);
void mkfs_pool_free(struct mkfs_pool *p);             /* after mkfs_pool_stop and the producer's end */
struct mkfs_job *mkfs_pool_slot(struct mkfs_pool *p); /* producer: an empty job; NULL: stopped, give up */
void mkfs_pool_push(struct mkfs_pool *p, struct mkfs_job *job);
struct mkfs_job *mkfs_pool_take(struct mkfs_pool *p); /* the next in order, done */
void mkfs_pool_release(struct mkfs_pool *p);          /* the one taken last */
void mkfs_pool_stop(struct mkfs_pool *p);
/* The file that the producer is at: workers may read it until the end, so when all stops it goes with the pool. */
void mkfs_pool_keep(struct mkfs_pool *p, struct mkfs_file *file);
u32 mkfs_cpus(void);
u64 mkfs_size_min(const struct mkfs_options *o); /* main.c: bytes of the smallest volume */

/* ---- xattr.c: a list of attributes as one block of bytes ---- */
/* Adds one; -1: out of memory or too much. */
int mkfs_xattr_add(struct mkfs_job *job, const char *name, const void *value, size_t len);
void mkfs_xattr_sort(struct mkfs_job *job);
/* at: 0 at first. False at the end. */
bool mkfs_xattr_next(const struct mkfs_job *job, u32 *at, const char **name, const void **value, u32 *len);
/* Those of an open file (fd >= 0), or of path without following a symlink. Fails the job. */
void mkfs_xattr_read(struct mkfs_job *job, int fd, const char *path);

/* ---- hostfile.c: content of files on the host ---- */
bool mkfs_same_file(const struct stat *a, const struct stat *b); /* and unchanged */
/* All of a file of at most a window, by dir and name: a worker's part of JOB_NODE. */
void mkfs_file_small(struct mkfs_job *job);
/* Jobs for the windows of an open file, and JOB_END, which owns it from here on. -1: stopped. */
int mkfs_file_send(struct mkfs_pool *p, struct mkfs_file *file);

/* ---- producers: false when stopped or failed (JOB_FAIL was pushed) ---- */
struct mkfs_source {
	struct mkfs_pool *pool;
	const struct mkfs_options *opt;
	struct stat image; /* to be kept out of itself: the file, or the directory that it will be in */
	bool image_known;
};
bool mkfs_walk(struct mkfs_source *s);
void mkfs_dir_free(struct mkfs_dir *d);
bool mkfs_tar(struct mkfs_source *s);
bool mkfs_manifest(struct mkfs_source *s);
/* stream.c: what tar.c reads. a: gets the stream to read from; fd stays the caller's. NULL, and why. */
struct mkfs_stream;
struct archive;
struct mkfs_stream *mkfs_stream_open(int fd, struct archive *a, char *why, size_t size);
void mkfs_stream_header(struct mkfs_stream *s, bool begins); /* from here on a header; or what has no limit */
void mkfs_stream_close(struct mkfs_stream *s);               /* after a */
/* Pushes JOB_FAIL; always false. */
bool mkfs_give_up(struct mkfs_source *s, int code, const char *object, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Count what the sources hold, for the size and the progress line. An exit code. */
struct mkfs_count {
	u64 files, bytes;
	bool known; /* an archive's is not: it may come through a pipe, and is read once */
};
int mkfs_walk_count(const char *dir, struct mkfs_count *c, u64 enough); /* stops when that many bytes are found */
int mkfs_manifest_check(const char *path, struct mkfs_count *c);

/* ---- paths of archives and manifests ---- */
/* Strips leading '/' and './', doubled '/' and './' inside, in place. NULL, or what is wrong with it. "" is the root.
 */
const char *mkfs_path_clean(char *path);

/* ---- fill.c: the volume ---- */
struct mkfs_late { /* a directory's time, set when all is in it */
	u64 ino;
	struct tfs_time mtime;
};
struct mkfs_target;
struct mkfs_sink_ops;
struct mkfs_nanos;
struct mkfs_fill {
	const struct mkfs_sink_ops *sink; /* what is filled: vol or nanos */
	struct tfs_vol *vol;
	struct mkfs_nanos *nanos;
	struct mkfs_target *target;
	struct tfs_env env;
	struct tfs_time now, created;
	u64 seed;
	bool all_root, grows; /* grows: the size is `auto` */
	u64 files;
	u64 ino, end; /* the file made last, and how far it is written */
	struct mkfs_twins *twins;
	u64 shared; /* stored bytes that were there already */
	struct mkfs_late *late;
	u32 lates, late_room;
	char parent[4096]; /* of the last archive entry */
	u64 parent_ino;
	struct tfs_progress progress;
};
void mkfs_fill_env(struct mkfs_fill *f, const struct tfs_time *created);
/* Takes all jobs; an exit code. */
int mkfs_fill(struct mkfs_fill *f, struct mkfs_pool *pool);
int mkfs_grow(struct mkfs_fill *f); /* main.c: more segments when those that are there are nearly full; an exit code */
/* The rest is for fill.c and manifest.c. They return 0 or an exit code after a message. */
int mkfs_fill_error(struct mkfs_fill *f, const struct mkfs_job *job, int err);
/* Finds path's parent, makes what is missing of it; name points into path. */
int mkfs_fill_parent(struct mkfs_fill *f, const struct mkfs_job *job, const char *path, bool make, u64 *parent,
                     const char **name);
int mkfs_fill_create(struct mkfs_fill *f, const struct mkfs_job *job, u64 parent, const char *name, u32 len,
                     const struct mkfs_node *node, const char *target, u32 target_len, u64 *ino);
int mkfs_fill_remove(struct mkfs_fill *f, const struct mkfs_job *job, u64 parent, const char *name, bool dir);
int mkfs_fill_xattrs(struct mkfs_fill *f, const struct mkfs_job *job, u64 ino);
int mkfs_fill_attrs(struct mkfs_fill *f, const struct mkfs_job *job, u64 ino, const struct mkfs_node *n);
int mkfs_manifest_apply(struct mkfs_fill *f, struct mkfs_job *job);
void mkfs_line_free(struct mkfs_line *line);

/* ---- twins.c ---- */
/* Writes the job's window into f->ino, or lets it share what is there; size: the file's from now on. Negative errno. */
int mkfs_twins_put(struct mkfs_fill *f, const struct mkfs_job *job, u64 size);
void mkfs_twins_free(struct mkfs_fill *f);

/* ---- newfile.c: an image file that has no name until it is whole ---- */
struct mkfs_newfile {
	int dir;             /* that it will be in */
	const char *name;    /* in there; points into the path */
	char proc[32];       /* where a file without a name is found, or "" */
	char temporary[256]; /* its name meanwhile, or "" */
};
int mkfs_newfile_open(struct mkfs_newfile *n, const char *path); /* a descriptor, or negative errno */
int mkfs_newfile_name(struct mkfs_newfile *n); /* -EEXIST: something has that name now; n is open all the same */
void mkfs_newfile_end(struct mkfs_newfile *n); /* without a name: gone */

/* ---- target.c: the image ---- */
struct mkfs_target {
	struct tfs_dev dev; /* first */
	struct tfs_file_dev file;
	struct mkfs_newfile newfile;
	const char *image;
	int error; /* of the first write that failed */
	bool regular, is_new;
	bool done;    /* whole, and on the disk */
	u64 old_size; /* of an image file that was there */
	u64 kicked;
};
/* Size and kind of what is there. Refuses what is in use or holds something, unless -f. An exit code. */
struct mkfs_found {
	bool exists, block;
	u64 size;
};
int mkfs_target_look(const struct mkfs_options *o, struct mkfs_found *found);
/* size: bytes of the volume to be; a new or old image file becomes as large. */
int mkfs_target_open(struct mkfs_target *t, const struct mkfs_options *o, const struct mkfs_found *found, u64 size);
int mkfs_target_grow(struct mkfs_target *t, u64 size); /* negative errno */
int mkfs_target_cut(struct mkfs_target *t, u64 size);  /* an image file's end; negative errno */
int mkfs_target_done(struct mkfs_target *t);           /* the volume is whole; negative errno, with t->error or not */
/* Before mkfs_target_done: a new file is gone, an old one as long as it was, and neither can be mounted. */
int mkfs_target_close(struct mkfs_target *t);
int mkfs_target_failed(const struct mkfs_target *t, int err); /* message and exit code */

#endif
