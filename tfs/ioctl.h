/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Administration of a volume: requests that user space hands to a mounted volume as ioctls on any directory or regular
 * file of it (the kernel module, tfs-fuse), and a tool to the core when the volume is not mounted: tfs/admin.c does
 * what they say in all three. docs/man/tfs.5 has what each needs and returns.
 *
 * One fixed-size structure each, in and out, without pointers: the same layout for 32 and 64 bits. Integers are in CPU
 * order. Whoever asks fills the structure with zeros and then in what the request takes; what is reserved, or not of
 * the request, must be zero (-EINVAL). A number holds the structure's size: one that changes is another request, and
 * unknown ones end with ENOTTY. Versions only add; TFS_IOC_INFO says which requests there are.
 *
 * Snapshots are named by their epochs: those are never used twice, so a request cannot meet another snapshot that took
 * over a name.
 */
#ifndef TFS_IOCTL_H
#define TFS_IOCTL_H

#include "tfs/format.h"

#define TFS_IOC_VERSION 1u
#define TFS_IOC_LETTER 0xf2u
/* as _IOWR of most architectures */
#define TFS_IOC(number, type) (3u << 30 | (u32)sizeof(type) << 16 | TFS_IOC_LETTER << 8 | (number))

/* ---- the volume ---- */
#define TFS_INFO_READ_ONLY 1u
#define TFS_INFO_DAMAGED 2u      /* by what the mount found */
#define TFS_INFO_COMPACT_AUTO 4u /* the host's idle time goes to the compactor */
struct tfs_ioc_info {
	u32 version;  /* TFS_IOC_VERSION */
	u32 flags;    /* TFS_INFO_* */
	u64 requests; /* bit n: the one with number n is known */
	u64 volume, epoch;
	u8 uuid[16];
	char label[64];
	u64 size;                                  /* bytes */
	u64 blocks, free_blocks, available_blocks; /* of 4 KiB; available: for users */
	u64 snapshot_blocks;                       /* held by snapshots alone */
	u64 prealloc_blocks, delayed_blocks;       /* promised to files; to what is not written yet */
	u64 inodes, segments;
	u32 segment_bits, snapshots, dying; /* dying: deleted, not all freed yet */
	u32 reserved0;
	/* since the mount, blocks */
	u64 user_blocks, data_blocks, node_blocks, log_blocks, moved_blocks;
	u64 checkpoints, compact_sweeps, compact_emptied;
	u64 next_ino; /* no inode has a number from here on yet */
	u64 reserved[15];
};
#define TFS_IOC_INFO TFS_IOC(1, struct tfs_ioc_info)

/* How free space is spread over some segments; a whole volume is asked for in pieces, and added up. */
#define TFS_IOC_RUN_CLASSES 15u
#define TFS_IOC_SPREAD_MAX 64u
struct tfs_ioc_spread {
	u64 segment; /* in: where to begin; out: where to go on */
	u64 count;   /* in: of segments, at most TFS_IOC_SPREAD_MAX are looked at */
	u64 free_blocks, used_blocks, live_units, whole_segments;
	u64 runs[TFS_IOC_RUN_CLASSES];   /* free runs of 2^i to 2^(i+1)-1 blocks; the last: and longer */
	u64 blocks[TFS_IOC_RUN_CLASSES]; /* in them */
	u64 reserved[4];
};
#define TFS_IOC_SPREAD TFS_IOC(2, struct tfs_ioc_spread)

/* ---- snapshots ---- */
#define TFS_SNAP_USAGE 1u /* in: `exclusive` is wanted, which takes longer */
#define TFS_SNAP_DYING 2u /* out: deleted, not all freed yet */
struct tfs_ioc_snapshot {
	u64 epoch; /* NEXT: the first at or after it. CREATE: out. Else: which one */
	u32 flags;
	u32 name_len; /* CREATE, RENAME: in; NEXT: out */
	char name[256];
	u32 holds, reserved0;
	u8 id[16]; /* random, its own for ever */
	s64 created;
	u32 created_nsec, reserved1;
	u64 inodes;                   /* in it */
	u64 referenced;               /* bytes that the volume referred to when it was made */
	u64 exclusive;                /* bytes that deleting it would free */
	struct tfs_disk_ptr fs, refs; /* NEXT, out: its roots, as on disk; zeros while it is being made */
	u64 reserved[2];
};
#define TFS_IOC_SNAPSHOT_NEXT TFS_IOC(16, struct tfs_ioc_snapshot)    /* ENOENT: no more */
#define TFS_IOC_SNAPSHOT_CREATE TFS_IOC(17, struct tfs_ioc_snapshot)  /* EEXIST, EINVAL, ENAMETOOLONG, ENOSPC */
#define TFS_IOC_SNAPSHOT_RENAME TFS_IOC(18, struct tfs_ioc_snapshot)  /* ENOENT, EEXIST, EINVAL, ENAMETOOLONG */
#define TFS_IOC_SNAPSHOT_DELETE TFS_IOC(19, struct tfs_ioc_snapshot)  /* ENOENT, EBUSY: held */
#define TFS_IOC_SNAPSHOT_HOLD TFS_IOC(20, struct tfs_ioc_snapshot)    /* ENOENT, EOVERFLOW */
#define TFS_IOC_SNAPSHOT_RELEASE TFS_IOC(21, struct tfs_ioc_snapshot) /* ENOENT, EINVAL: not held */

/*
 * Items of the FS tree (tfs/format.h) in key order: all of a snapshot's, or those that differ between it and a later
 * one. As many as fit, of a bounded part of the tree: `more` says that there may be others from {a, b} on. Two requests
 * on what is mounted for writing (newer 0) see two moments of it.
 */
#define TFS_ITEMS_VALUES                                                                                               \
	1u /* also the values of inline data, symlinks and attributes, which are left out otherwise                    \
	    */
struct tfs_ioc_items {
	u64 older;          /* 0: all items; else an epoch: those that differ from it */
	u64 newer;          /* an epoch, or 0: the volume as it is */
	u64 a, b;           /* in: first key; out: where to go on */
	u64 last_a, last_b; /* with older 0: the last key that is wanted; zeros: to the end */
	u32 flags;
	u32 bytes; /* out: used of data */
	u32 more;  /* out */
	u32 reserved0;
	u8 data[16256]; /* struct tfs_ioc_item, each with its values */
};
struct tfs_ioc_item {
	u64 a, b;
	u16 bytes;            /* of all, a multiple of 8 */
	u16 old_len, new_len; /* of the values that follow, the older first, each padded to 8 */
	u8 there;             /* TFS_ITEM_*: also when the value was left out */
	u8 reserved;
};
#define TFS_ITEM_OLD 1u
#define TFS_ITEM_NEW 2u
#define TFS_IOC_ITEMS TFS_IOC(22, struct tfs_ioc_items) /* ENOENT: no such snapshot; EINVAL: the later is older */

/*
 * Blocks as the device has them, where a snapshot is known to be there: asked before and after they are read. What the
 * snapshot holds is on the device and not written over while it is there, and stands under CRCs from its roots on; what
 * else is read is of the moment. For backups. `to` is for large pieces, where the host can write into the caller's
 * memory: the module; elsewhere EOPNOTSUPP.
 */
#define TFS_IOC_RAW_DATA 12288u
#define TFS_IOC_RAW_MAX (512u << 10)
struct tfs_ioc_raw {
	u64 snapshot; /* in: its epoch */
	u64 offset;   /* in: on the volume, a multiple of 4096 */
	u64 to;       /* in: 0: into data; else the address of a buffer */
	u32 bytes;    /* in: a multiple of 4096, at most TFS_IOC_RAW_DATA, with `to` TFS_IOC_RAW_MAX; 0: is it there? */
	u32 reserved0;
	u64 reserved[4];
	u8 data[TFS_IOC_RAW_DATA];
};
#define TFS_IOC_RAW TFS_IOC(23, struct tfs_ioc_raw) /* ENOENT: no such snapshot; EIO; EINVAL: beyond the end */

/* ---- the compactor ---- */
enum tfs_compact_what {
	TFS_COMPACT_OFF = 1, /* not by itself */
	TFS_COMPACT_AUTO,    /* in idle time, as it pays */
	TFS_COMPACT_STEP,    /* one step at once, as long as anything is gained */
};
struct tfs_ioc_compact {
	u32 what;
	u32 more;   /* out, STEP: there is more to do */
	u64 blocks; /* in, STEP: at most about so many are moved, 1 to 4096 */
	u64 reserved[6];
};
#define TFS_IOC_COMPACT TFS_IOC(32, struct tfs_ioc_compact)

/* One step of defragmentation: struct tfs_defrag of tfs/tfs.h. What only comes out is zero. */
struct tfs_ioc_defrag {
	u64 ino, block; /* in: where to begin, a block of 4 KiB in it; out: where to go on */
	u64 last;       /* in: the last inode */
	u32 blocks;     /* in: at most about so many windows looked at, and blocks moved, 1 to 4096 */
	u32 places;     /* in: windows that lie in so many places or more, from 2 on */
	u32 flags;
	u32 more; /* out */
	/* out, of this step: windows looked at, in several places before, joined, and where a hole was lacking */
	u64 windows, scattered, joined, lacking;
	u64 moved; /* out: blocks */
	u64 reserved[3];
};
#define TFS_DEFRAG_LOOK 1u                                /* move nothing */
#define TFS_IOC_DEFRAG TFS_IOC(35, struct tfs_ioc_defrag) /* ENOSPC: too little is left to move anything */

/* ---- size, and what is stored ---- */
struct tfs_ioc_grow {
	u64 size;   /* in: bytes, 0: all of the device; out: what it is now */
	u64 before; /* out */
	u64 reserved[6];
};
#define TFS_IOC_GROW                                                                                                   \
	TFS_IOC(33, struct tfs_ioc_grow) /* EINVAL: less than it has, more than its device; EFBIG; ENOSPC */

/*
 * Scrub, a step: zeros at first but for `volume` and budget, then as it came back, until more is 0. It is its own cursor,
 * good over remounts.
 */
#define TFS_IOC_BADS 32u
struct tfs_ioc_bad { /* struct tfs_bad */
	u64 snapshot, a, b, addr;
	u32 kind, tree, level, units;
	u32 block;                  /* ~0: all of the place */
	u32 expected, found, error; /* errno, 0: it could be read */
};
struct tfs_ioc_scrub {
	u64 volume; /* in: as TFS_IOC_INFO says */
	u64 budget; /* in: bytes to verify, about; 1 to 16 MiB */
	u64 since, snapshot, next_a, next_b;
	u64 bytes, nodes, places, damaged; /* so far */
	u32 tree;
	u32 more; /* out */
	u32 told; /* out: of bad[]; where a step finds more, they are only counted */
	u32 reserved0;
	u64 reserved[4];
	u64 recent[256];
	struct tfs_ioc_bad bad[TFS_IOC_BADS];
};
#define TFS_IOC_SCRUB TFS_IOC(34, struct tfs_ioc_scrub)

/* ---- log forwarding: tfs.h has what rules and cursors are ---- */
struct tfs_ioc_ship_rule {
	u64 rule;  /* NEXT: the first at or after it. REMOVE: which one. ADD: out */
	u64 ino;   /* ADD: in, NEXT: out: the file or directory it is put on */
	u64 acked; /* ADD: where a file begins, at most its end */
	u32 pattern_len, target_len;
	u64 reserved[4];
	char pattern[256], target[1024];
};
#define TFS_IOC_SHIP_ADD TFS_IOC(40, struct tfs_ioc_ship_rule)    /* EINVAL, ENOENT, EMLINK, ENOSPC */
#define TFS_IOC_SHIP_REMOVE TFS_IOC(41, struct tfs_ioc_ship_rule) /* ENOENT */
#define TFS_IOC_SHIP_NEXT TFS_IOC(42, struct tfs_ioc_ship_rule)   /* ENOENT: no more */

struct tfs_ioc_ship_cursor {
	u64 rule, ino;
	u64 acked;      /* MARK: where a file begins, at most its end. ACKED: all before it arrived */
	u32 generation; /* ACKED */
	u32 reserved0;
	u64 reserved[4];
};
#define TFS_IOC_SHIP_MARK TFS_IOC(43, struct tfs_ioc_ship_cursor)  /* ENOENT, EINVAL, EMLINK, ENOSPC */
#define TFS_IOC_SHIP_ACKED TFS_IOC(44, struct tfs_ioc_ship_cursor) /* ENOENT, ESTALE: it shrank since; EINVAL */

#define TFS_SHIP_ENDED 0x80000000u /* it was removed, and nobody has it open: nothing will come behind its last byte */
/* Files with a cursor for a rule; `more` may be set with none of them. */
#define TFS_IOC_SHIP_FILES_MAX 64u
struct tfs_ioc_ship_file { /* struct tfs_ship_file */
	u64 ino, acked, size;
	u64 origin;            /* whose lines they are: messages name this */
	u32 generation, flags; /* TFS_SHIP_* */
};
struct tfs_ioc_ship_files {
	u64 rule;
	u64 ino; /* in: the first that is wanted; out: where to go on */
	u32 count, more;
	u64 reserved[5];
	struct tfs_ioc_ship_file file[TFS_IOC_SHIP_FILES_MAX];
};
#define TFS_IOC_SHIP_FILES TFS_IOC(45, struct tfs_ioc_ship_files)

/* What the volume holds of such a file, of this generation: what is not written back yet is not there. */
struct tfs_ioc_ship_read {
	u64 ino, offset;
	u32 generation;
	u32 bytes; /* out: 0 at the end */
	u64 reserved[5];
	u8 data[16128];
};
#define TFS_IOC_SHIP_READ TFS_IOC(46, struct tfs_ioc_ship_read) /* ENOENT, ESTALE */

/*
 * For who makes connections with TLS for the kernel's threads (`tfs ship tls-agent`): AGENT, on a volume that the
 * kernel has mounted, takes no structure and returns a descriptor, which keeps nobody from unmounting; the others are
 * for that one. NEED waits for a signal, or for the first need behind `need` (0: the first): needs stay until they are
 * answered or given up, so an agent that begins anew finds what another left. GIVE answers one: by a socket, of which
 * the kernel takes a reference of its own, or by an error.
 */
struct tfs_ioc_ship_need {
	u64 need;       /* NEED: in: the last one known; out: its number, never used twice. GIVE: which */
	int fd;         /* GIVE: a TCP socket, connected, with TLS set both ways (SOL_TLS); -1: there is none */
	u32 error;      /* GIVE: with -1: an errno, 1 to 4095 */
	u32 target_len; /* NEED: out */
	u32 reserved0;
	u64 reserved[5];
	char target[1024]; /* NEED: out: as the rule has it, without a NUL */
};
#define TFS_IOC_SHIP_AGENT (TFS_IOC_LETTER << 8 | 47u)          /* EPERM; ENOTTY elsewhere */
#define TFS_IOC_SHIP_NEED TFS_IOC(48, struct tfs_ioc_ship_need) /* ENODEV: it was unmounted; EINTR */
/* EBADF, ENOTSOCK, EPROTOTYPE: no TCP, ENOTCONN, ENOPROTOOPT: no TLS, or one way only, EBUSY: given already, EXDEV: of another network
 * namespace than the mount, ESTALE: nobody needs it any more, ENODEV */
#define TFS_IOC_SHIP_GIVE TFS_IOC(49, struct tfs_ioc_ship_need)

TFS_ASSERT_SIZE(struct tfs_ioc_ship_need, 1088);
TFS_ASSERT_SIZE(struct tfs_ioc_ship_rule, 1344);
TFS_ASSERT_SIZE(struct tfs_ioc_ship_cursor, 64);
TFS_ASSERT_SIZE(struct tfs_ioc_ship_files, 64 + TFS_IOC_SHIP_FILES_MAX * 40);
TFS_ASSERT_SIZE(struct tfs_ioc_ship_read, 64 + 16128);
TFS_ASSERT_SIZE(struct tfs_ioc_grow, 64);
TFS_ASSERT_SIZE(struct tfs_ioc_bad, 64);
TFS_ASSERT_SIZE(struct tfs_ioc_scrub, 4224);
TFS_ASSERT_SIZE(struct tfs_ioc_info, 392);
TFS_ASSERT_SIZE(struct tfs_ioc_spread, 320);
TFS_ASSERT_SIZE(struct tfs_ioc_snapshot, 400);
TFS_ASSERT_SIZE(struct tfs_ioc_items, 16320);
TFS_ASSERT_SIZE(struct tfs_ioc_item, 24);
TFS_ASSERT_SIZE(struct tfs_ioc_raw, 12352);
TFS_ASSERT_SIZE(struct tfs_ioc_compact, 64);
#endif
