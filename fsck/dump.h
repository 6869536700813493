/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * dump.tfs: what its parts share. A command gets a struct dump and returns an exit code. Damage found on the way is
 * reported where it is met, noted (dump_note), and the command goes on with what is left.
 */
#ifndef DUMP_H
#define DUMP_H

#include "tfs/user/lines.h"
#include "tfs/user/file_dev.h"
#include "tfs/user/reader.h"
#include "tfs/user/nanos_dev.h"

enum dump_exit { DUMP_OK, DUMP_USAGE, DUMP_DAMAGE, DUMP_HOST };

struct dump {
	struct tfs_file_dev dev;
	struct tfs_env env;
	struct tfs_super super;
	struct tfs_vol *vol; /* NULL in commands that look at the bare device, and of a Nanos volume */
	struct nanos_vol *nanos;
	struct tfs_reader view; /* either of them */
	const char *image;
	char **arg; /* after IMAGE, `args` of them */
	int args;
	int noted; /* exit code so far */
	bool json, no_replay, items, quiet;
	bool full_lines, recursive, unsorted, self, inodes, null; /* -l -R -U -d -i -0 */
	bool by_ino, by_addr;
	u64 ino, addr;
	const char *glob, *types, *output, *snapshot, *format, *partition;
	struct tfs_nanos_place place;
};

/* Damage goes before what the host refused. Returns code. */
int dump_note(struct dump *d, int code);
bool dump_interrupted(void); /* a signal asks to stop: clean up and return */
void dump_catch_signals(void);
void dump_end_by_signal(void); /* when one was seen: does not return */

/* ---- dump_dev.c: the device, checked ---- */
int dump_read(struct dump *d, u64 addr, u32 units, void *buf);    /* whole blocks, by units; -EIO outside */
bool dump_place_valid(const struct dump *d, u64 addr, u64 units); /* inside one segment */
/* NULL, or what is wrong with a block of this type; the block must hold max bytes */
const char *dump_head_check(const void *block, int type, u64 volume, u32 max);

/* ---- dump_out.c: a line of fields (tfs/user/lines.h), as text or as one JSON object ---- */
void dump_begin(struct dump *d, struct tfs_line *l, int indent, const char *what);
void dump_begin_tall(struct dump *d, struct tfs_line *l, const char *what);
void dump_ptr(struct tfs_line *l, const struct tfs_disk_ptr *p);
char *dump_mode_text(u32 mode, char out[12]); /* "-rwxr-xr-x" */
const char *dump_codec_text(u32 codec);

/* ---- dump_walk.c ---- */
struct dump_entry {
	const char *name; /* of the start: its last component, "" of the root; name and path end with NUL */
	u32 name_len;
	const char *path; /* from the volume's root, without a leading slash */
	size_t path_len;
	u32 depth; /* 0: the start */
	struct tfs_attr attr;
};
#define DUMP_SKIP (-1) /* from entry: do not go into this directory */
struct dump_walk_ops {
	int (*entry)(void *arg, const struct dump_entry *e); /* 0, DUMP_SKIP, or an exit code that ends the walk */
	int (*leave)(void *arg, const struct dump_entry *e); /* after a directory's content; may be NULL */
	bool sorted;                                         /* by bytes of names; else in the volume's order */
};
/* path: an argument, NULL for the root. An exit code; what is damaged has been reported and noted. */
int dump_walk(struct dump *d, const char *path, const struct dump_walk_ops *ops, void *arg);
/* DUMP_USAGE (no such path), DUMP_DAMAGE, both with a message. No symlink is followed. */
int dump_resolve(struct dump *d, const char *path, u64 *ino);

/* Data of a file, holes left out. Start with zeros. */
struct dump_data {
	u64 at, end;
};
#define DUMP_DATA_MAX 65536u
/* 1: *len bytes that belong at *at are in buf; 0: no more; negative: damage, -EIO or such. */
int dump_data_next(struct dump *d, struct dump_data *c, const struct tfs_attr *a, u64 *at, u8 *buf, u32 *len);
/* Next stretch [*at, *end) without reading it. 1, 0, negative. */
int dump_data_range(struct dump *d, struct dump_data *c, const struct tfs_attr *a, u64 *at, u64 *end);
/* Target with a NUL behind it, at most TFS_SYMLINK_MAX + 1 bytes; -EIO: cannot be read, or no target a symlink can have
 */
int dump_target(struct dump *d, u64 ino, char *buf);

/* ---- dump_items.c ---- */
void dump_item(struct dump *d, int indent, int tree, struct tfs_key key, const void *value, u32 len);
void dump_extent_fields(struct tfs_line *l, const struct tfs_extent *e);
const char *dump_tree_text(int tree);

/* ---- dump_log.c ---- */
struct dump_log_ops { /* any may be NULL */
	void (*run)(void *arg, u64 addr, u32 blocks);
	void (*write)(void *arg, const struct tfs_log_head *h);
	void (*record)(void *arg, u64 sequence, const struct tfs_rec_head *rec);
	void (*later)(void *arg, const struct tfs_log_head *h); /* past the end of the chain */
};
struct dump_log_end {
	const char *why;
	u64 addr, sequence, durable, anchor, writes;
	bool damaged; /* a later write proves that records are lost */
};
int dump_log_scan(struct dump *d, const struct tfs_anchor *a, const struct dump_log_ops *ops, void *arg,
                  struct dump_log_end *end);
void dump_record(struct dump *d, u64 sequence, const struct tfs_rec_head *rec);

/* ---- dump_attrs.c: an object's attributes onto the host's ---- */
struct dump_attrs {
	u64 xattrs_skipped; /* trusted and security ones, without root */
	bool privileged;
};
/* fd: of a regular file or a directory; else dirfd and name: no link is followed. Sets all that can be set. 0;
 * DUMP_DAMAGE or DUMP_HOST (errno) for the first that could not, *what says which. */
int dump_attrs_fd(struct dump *d, struct dump_attrs *s, const struct tfs_attr *a, int fd, const char **what);
int dump_attrs_at(struct dump *d, struct dump_attrs *s, const struct tfs_attr *a, int dirfd, const char *name,
                  const char **what);

/* ---- dump_snaps.c ---- */
int dump_view(struct dump *d); /* what --snapshot names is what other commands see; an exit code */

/* ---- dump_nanos.c: volumes of the Nanos kernel ---- */
/* What the device holds: 1 a Nanos volume, to which d->dev is narrowed when it is a partition; 0 not; an exit code as
 * negative number. */
int dump_nanos_find(struct dump *d);
int dump_nanos_open(struct dump *d); /* an exit code; damage is reported and noted, and what can be read is shown */
int dump_nanos_super(struct dump *d);
int dump_nanos_log(struct dump *d);
int dump_nanos_tree(struct dump *d);
int dump_nanos_object(struct dump *d);
struct json_object;
struct json_object *dump_nanos_config_json(struct nanos_vol *vol); /* what the root tuple holds besides names */
int dump_nanos_config(struct dump *d);
int dump_nanos_crashlog(struct dump *d);

/* ---- commands ---- */
int dump_cmd_snapshots(struct dump *d);
int dump_cmd_diff(struct dump *d);
int dump_cmd_super(struct dump *d);
int dump_cmd_anchors(struct dump *d);
int dump_cmd_log(struct dump *d);
int dump_cmd_tree(struct dump *d);
int dump_cmd_segments(struct dump *d);
int dump_cmd_object(struct dump *d);
int dump_cmd_ls(struct dump *d);
int dump_cmd_cat(struct dump *d);
int dump_cmd_stat(struct dump *d);
int dump_cmd_find(struct dump *d);
int dump_cmd_extract(struct dump *d);
int dump_cmd_tar(struct dump *d);
/* shared by ls, find and stat */
void dump_attr_line(struct dump *d, const struct dump_entry *e, const char *shown);
int dump_find_addr(struct dump *d);

#endif
