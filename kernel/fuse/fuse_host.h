/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tfs-fuse: what its parts share. One thread serves requests in turn, as the core asks for; between requests it writes
 * back what is old and takes checkpoints (main.c). Inode numbers of the volume are FUSE's node ids; both call the
 * root 1. In those of snapshots the upper 8 bits are not 0 (seen.c): `id` means one of either kind, `ino` the volume's.
 */
#ifndef FUSE_HOST_H
#define FUSE_HOST_H

#define FUSE_USE_VERSION 34
#include "tfs/user/cli.h"
#include "tfs/user/pagecache.h"

#include <fuse_lowlevel.h>

struct host_inode { /* known to the kernel */
	struct host_inode *next;
	u64 ino, lookups; /* ino: the id */
	u32 opens;
	bool emptied; /* truncated to nothing while open: written back at the last close */
};
#define HOST_BUCKETS 4096u

struct host_seen { /* a snapshot that is looked into */
	struct tfs_view view;
	u32 inodes; /* of it, known to the kernel; 0: the slot is free */
};
#define HOST_SLOT_DIR 255u
#define HOST_SNAPDIR ((u64)HOST_SLOT_DIR << 56 | TFS_INO_ROOT)
static inline u32 host_slot(u64 id)
{
	return (u32)(id >> 56);
}
static inline u64 host_ino(u64 id)
{
	return id & TFS_INO_MAX;
}
static inline u64 host_id(u32 slot, u64 ino)
{
	return (u64)slot << 56 | ino;
}

struct host {
	struct tfs_vol *vol;
	struct tfs_cache *cache;
	struct host_inode *bucket[HOST_BUCKETS];
	struct host_seen seen[HOST_SLOT_DIR];
	u32 viewing;       /* host_view_enter, within each other */
	bool one_snapshot; /* that is all there is to see */
	bool read_only, noatime, nodiratime;
	bool dying;       /* something of deleted snapshots is to be freed */
	u64 compact_seen; /* the compactor found nothing to do at this sequence */
	bool acls;        /* the kernel asks for POSIX ACLs, and leaves the umask to us */
	u64 acl_told;     /* the last inode whose malformed list was reported */
	double timeout;   /* seconds that the kernel may keep names and attributes */
	u8 *buf;          /* HOST_READ_MAX */
};
#define HOST_READ_MAX (1u << 20)

static inline struct host *host_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}
struct tfs_time host_now(void);

/* inodes.c */
struct host_inode *host_inode_find(struct host *h, u64 ino);
int host_inode_hold(struct host *h, u64 ino);               /* one lookup more; -ENOMEM */
void host_inode_drop(struct host *h, u64 ino, u64 lookups); /* the last frees an inode without a name */
void host_inode_unnamed(struct host *h, u64 ino);           /* lost a name: freed at once if nobody holds it */
void host_inodes_free(struct host *h);
int host_stat(struct host *h, u64 id, struct stat *st);
int host_entry(struct host *h, u64 id, struct fuse_entry_param *e); /* with a hold */
struct tfs_time host_time(const struct timespec *t);
void host_atime_touch(struct host *h, u64 ino); /* it was read: relatime */

/* seen.c: snapshots */
bool host_snapdir_named(const struct host *h, u64 dir, const char *name); /* .snapshots in the root */
u64 host_view_enter(struct host *h, u64 id);                              /* for calls that read; returns the ino */
void host_view_leave(struct host *h, u64 id);
void host_seen_count(struct host *h, u64 id, bool more);
u64 host_seen_epoch(const struct host *h, u64 id);
int host_seen_lookup(struct host *h, const char *name, u64 *id); /* a snapshot's root. -ENFILE: 254 are looked into */
int host_snapdir_stat(struct host *h, struct stat *st);
int host_snapdir_read(struct host *h, u64 *pos, tfs_emit_fn emit, void *arg);
/* EROFS is replied when one of the ids is not the volume's own, or the name is that of .snapshots. */
bool host_refused(fuse_req_t req, u64 id, const char *name); /* op_names.c */

/* acls.c. name: one of the two that host_acl_name knows. */
bool host_acl_name(const char *name);
int host_acl_get(struct host *h, u64 ino, const char *name); /* into h->buf; its length. -EIO: it is malformed */
/* An empty value removes. keep_sgid: whoever sets it may keep a set-group-id bit. -EINVAL, -EACCES, -EOPNOTSUPP */
int host_acl_set(struct host *h, u64 ino, const char *name, const void *value, u32 len, bool keep_sgid);
int host_acl_remove(struct host *h, u64 ino, const char *name); /* 0 also when there is none */
int host_acl_chmod(struct host *h, u64 ino, u32 mode);          /* before the mode is set */
/* What is about to be made in parent: its default list into h->buf and its length, or 0 and *mode without umask. */
int host_acl_default(struct host *h, u64 parent, u32 *mode, u32 umask);
/* It was made, with rights for its owner only: the list in h->buf becomes its own, and the mode with it. */
int host_acl_hand_down(struct host *h, u64 ino, u32 mode, u32 len);

/* raw.c: true: it was a request of those, and is answered. */
bool host_raw(struct fuse_session *se, struct host *h, const void *request, size_t len);

/* The operations, by file. */
extern const struct fuse_lowlevel_ops host_ops;
void op_init(void *userdata, struct fuse_conn_info *conn); /* ops.c */
bool host_in_group(fuse_req_t req, gid_t gid);             /* the caller, or root */
/* The caller changes content or owner: a set-group-id bit without group execute goes, unless they are of the group or
 * the inode is a directory. Of the other set-id bits the kernel takes care. In op_attrs.c. */
int host_group_bit_drop(fuse_req_t req, u64 ino);
void op_lookup(fuse_req_t, fuse_ino_t, const char *); /* op_names.c */
void op_forget(fuse_req_t, fuse_ino_t, uint64_t);
void op_forget_multi(fuse_req_t, size_t, struct fuse_forget_data *);
void op_readlink(fuse_req_t, fuse_ino_t);
void op_mknod(fuse_req_t, fuse_ino_t, const char *, mode_t, dev_t);
void op_mkdir(fuse_req_t, fuse_ino_t, const char *, mode_t);
void op_symlink(fuse_req_t, const char *, fuse_ino_t, const char *);
void op_create(fuse_req_t, fuse_ino_t, const char *, mode_t, struct fuse_file_info *);
void op_link(fuse_req_t, fuse_ino_t, fuse_ino_t, const char *);
void op_unlink(fuse_req_t, fuse_ino_t, const char *);
void op_rmdir(fuse_req_t, fuse_ino_t, const char *);
void op_rename(fuse_req_t, fuse_ino_t, const char *, fuse_ino_t, const char *, unsigned);
void op_opendir(fuse_req_t, fuse_ino_t, struct fuse_file_info *); /* op_dirs.c */
void op_readdir(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_readdirplus(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_fsyncdir(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);
void op_getattr(fuse_req_t, fuse_ino_t, struct fuse_file_info *); /* op_attrs.c */
void op_setattr(fuse_req_t, fuse_ino_t, struct stat *, int, struct fuse_file_info *);
void op_setxattr(fuse_req_t, fuse_ino_t, const char *, const char *, size_t, int);
void op_getxattr(fuse_req_t, fuse_ino_t, const char *, size_t);
void op_listxattr(fuse_req_t, fuse_ino_t, size_t);
void op_removexattr(fuse_req_t, fuse_ino_t, const char *);
void op_statfs(fuse_req_t, fuse_ino_t);
void op_open(fuse_req_t, fuse_ino_t, struct fuse_file_info *); /* op_files.c */
void op_read(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_write(fuse_req_t, fuse_ino_t, const char *, size_t, off_t, struct fuse_file_info *);
void op_flush(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_release(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_fsync(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);
void op_copy_file_range(fuse_req_t, fuse_ino_t, off_t, struct fuse_file_info *, fuse_ino_t, off_t,
                        struct fuse_file_info *, size_t, int);
void op_fallocate(fuse_req_t, fuse_ino_t, int, off_t, off_t, struct fuse_file_info *);
void op_ioctl(fuse_req_t, fuse_ino_t, int, void *, struct fuse_file_info *, unsigned, const void *, size_t,
              size_t); /* op_admin.c */
void op_lseek(fuse_req_t, fuse_ino_t, off_t, int, struct fuse_file_info *);

#endif
