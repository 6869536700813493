/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What hosts call. Every function returns 0 (or a count) or a negative errno and, unless it says otherwise, changes
 * nothing when it fails. The host serialises all calls on one volume (the kernel's finer locking is its own issue).
 * Names are bytes with a length: no NUL, no '/'; "." and ".." are refused with -EINVAL.
 */
#ifndef TFS_TFS_H
#define TFS_TFS_H

#include "tfs/format.h"

struct tfs_vol;

/* ---- the host's device ---- */
enum tfs_io_op { TFS_IO_READ, TFS_IO_WRITE };
#define TFS_IO_FUA 1u /* durable when complete */

struct tfs_dev {
	const struct tfs_dev_ops *ops;
	u64 size; /* bytes */
	bool read_only;
	bool no_gaps; /* blocks that nothing live lies in are not to be read: of a backup they may be gone */
	int (*resized)(struct tfs_dev *dev); /* sets size to what it is now, for tfs_grow. NULL: it is what it was */
};
struct tfs_dev_ops {
	/* Whole blocks (offset and bytes multiples of 4096). A write may be deferred until flush or a later call of
	 * any kind, but buf is the caller's again on return. */
	int (*io)(struct tfs_dev *dev, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags);
	/* All writes that returned before this are durable when it returns 0. */
	int (*flush)(struct tfs_dev *dev);
	int (*discard)(struct tfs_dev *dev, u64 offset, u64 bytes); /* may be NULL */
};

/* ---- the host's environment ---- */
enum tfs_event {
	TFS_EVENT_LOG_WRITE,       /* a: address in units, b: blocks */
	TFS_EVENT_CHECKPOINT,      /* one begins. a: epoch, b: dirty nodes */
	TFS_EVENT_CHECKPOINT_DONE, /* durable, its drops reusable. a: epoch */
	TFS_EVENT_DAMAGED,         /* a structure contradicts itself: a message was logged. a: inode or 0 */
	TFS_EVENT_STOPPED,         /* nothing more is written until the next mount. a: errno, positive */
};
struct tfs_env {
	void *ctx;
	struct tfs_time (*now)(void *ctx); /* fields little endian */
	u64 (*random)(void *ctx);
	/* A record got its sequence number (after it was applied). May be NULL. The simulator's model hangs on it. */
	void (*logged)(void *ctx, u64 sequence, const struct tfs_rec_head *rec);
	/* Records below `sequence` are durable. May be NULL. */
	void (*durable)(void *ctx, u64 sequence);
	/* Returns when no mapping (tfs_map) made in this epoch or an earlier one is in use: their places are about to
	 * be reused. May be NULL when the host reads with tfs_read only. Must not wait for anything that calls the
	 * core. */
	void (*quiesce)(void *ctx, u64 epoch);
	/* Would quiesce return at once? Asked by a checkpoint in small steps, which then leaves the waiting to the
	 * host (TFS_CHECKPOINT_READS). May be NULL: quiesce is called. */
	bool (*quiet)(void *ctx, u64 epoch);
	/* For counters, traces and what to do about errors. Called within operations: must not call the core. May be
	 * NULL. */
	void (*event)(void *ctx, enum tfs_event event, u64 a, u64 b);
};

/* ---- making and mounting ---- */
struct tfs_format_options {
	u64 size;                           /* bytes; rounded down to blocks */
	u32 segment_bits;                   /* 0: chosen from size */
	u8 codec, codec_level, window_bits; /* 0: LZ4 is NOT the default: give it; window_bits 0: 16 */
	u8 uuid[16];
	char label[64];
	u32 root_mode, root_uid, root_gid; /* permission bits; 0 mode: 0755 */
	struct tfs_time created;           /* also the root's times */
};
int tfs_format_check(const struct tfs_format_options *opt); /* -EINVAL: no volume can be made so */
/* Starts a volume in memory and returns it mounted in bulk mode: no log, nothing durable, until
 * tfs_format_finish writes the last checkpoint, anchors, and the superblocks last. Volume id, first generation and
 * hash seed derive from the uuid. Ends with tfs_unmount either way. new_size (0: as is) cuts an unused end off. */
int tfs_format(struct tfs_dev *dev, const struct tfs_env *env, const struct tfs_format_options *opt,
               struct tfs_vol **out);
int tfs_format_finish(struct tfs_vol *vol, u64 new_size);
/* Between operations after tfs_format: more segments, on a device that the caller made larger before. new_size: bytes,
 * at least as many as now. -EINVAL beyond what the format holds with this segment size; -ENOMEM: as it was. */
int tfs_format_grow(struct tfs_vol *vol, u64 new_size);
/* After tfs_format: smallest size tfs_format_finish takes for what is in the volume now. */
u64 tfs_format_min_size(struct tfs_vol *vol);

#define TFS_MOUNT_RO 1u       /* replays into memory, writes nothing */
#define TFS_MOUNT_NOREPLAY 2u /* with RO: the last checkpoint only */
#define TFS_MOUNT_DISCARD 8u  /* tells the device of blocks when they become reusable, after each checkpoint */
#define TFS_MOUNT_FREES 16u   /* the host calls tfs_snapshot_step by itself: a mount does not wait for it */
#define TFS_MOUNT_REPAIR 4u   /* with RO: whatever can be read and replayed, for tfs_repair_*; SPACE is not looked at */
#define TFS_MOUNT_CHECKPOINTS 32u /* the host takes a checkpoint in steps when tfs_checkpoint_due says so */
struct tfs_mount_options {
	u32 flags;
	u32 cache_nodes; /* clean nodes kept, 0: 1024 */
	u32 dirty_nodes; /* changed ones that no checkpoint has written yet, at most, 16 KiB of memory each; 0: 4096 */
};
/* -EINVAL not a volume; -EUCLEAN damaged (message logged); -EROFS an unknown ro_compat feature or read-only device
 * asked to be written; -EOPNOTSUPP an unknown incompat feature. */
int tfs_mount(struct tfs_dev *dev, const struct tfs_env *env, const struct tfs_mount_options *opt,
              struct tfs_vol **out);
/* Read-write: a last checkpoint marked clean. Frees vol whatever it returns. */
int tfs_unmount(struct tfs_vol *vol);
/* Frees vol and writes nothing: what a crash would leave. */
void tfs_abandon(struct tfs_vol *vol);

/* ---- durability ---- */
u64 tfs_sequence(const struct tfs_vol *vol); /* of the next record */
/* Makes every record so far durable with one flush; nothing to do: no flush. */
int tfs_sync(struct tfs_vol *vol);
/*
 * tfs_sync in two halves, for a host that flushes outside of its lock. begin hands every record so far to the device
 * and returns 1, or 0 when all is durable already. Then all writes so far must reach the device and one flush go over
 * them; then end, with the flush's result. Operations and other syncs may come between.
 */
struct tfs_sync_ticket {
	u64 sequence, writes;
};
int tfs_sync_begin(struct tfs_vol *vol, struct tfs_sync_ticket *t);
int tfs_sync_end(struct tfs_vol *vol, const struct tfs_sync_ticket *t, int flushed);
u64 tfs_durable(const struct tfs_vol *vol); /* records below are durable */
int tfs_checkpoint(struct tfs_vol *vol);
/* A checkpoint marked clean; the volume stays mounted, as for a host that turns read-only. */
int tfs_rest(struct tfs_vol *vol);
/* Ends writing at once with -EIO, as a failed write does: what is not durable by now is lost. */
void tfs_shutdown(struct tfs_vol *vol);
int tfs_stopped(const struct tfs_vol *vol); /* 0, or the error that ended writing */
/* One checkpoint in pieces, for tests and background threads: starts one when none runs; writes up to `nodes` nodes.
 * Returns 1 while there is more, 0 when it is durable. Operations may come between. TFS_CHECKPOINT_SYNC: there is more,
 * and it begins with a flush, which a sync of the host's (tfs_sync_begin to _end) before the next step takes over:
 * outside of the host's lock, that is. TFS_CHECKPOINT_READS: there is more once env.quiet says so. A host that does both
 * and takes small steps waits for no write and no flush within them. */
#define TFS_CHECKPOINT_SYNC 2
#define TFS_CHECKPOINT_READS 3
int tfs_checkpoint_step(struct tfs_vol *vol, u32 nodes);
/*
 * Half of what may wait for a checkpoint waits: it is time for one. An operation begins with one, whole, unless the host
 * promised to take it (TFS_MOUNT_CHECKPOINTS); then only when all of that waits, the host being too late.
 */
bool tfs_checkpoint_due(const struct tfs_vol *vol);
bool tfs_checkpoint_running(const struct tfs_vol *vol); /* one has begun, and what is to be done goes on */

/* ---- attributes ---- */
struct tfs_attr {                      /* CPU order, times as on disk */
	u64 ino, size, blocks, parent; /* blocks: of 4 KiB */
	u32 mode, uid, gid, nlink, rdev_major, rdev_minor, flags, user_flags, generation;
	u8 codec, codec_level, window_bits;
	struct tfs_time atime, mtime, ctime, btime;
};
int tfs_getattr(struct tfs_vol *vol, u64 ino, struct tfs_attr *out); /* -ENOENT */
/* mask: TFS_SET_*. ctime is now unless TFS_SET_CTIME. */
int tfs_setattr(struct tfs_vol *vol, u64 ino, u32 mask, const struct tfs_attr *attr);

/* ---- names ---- */
struct tfs_create {
	u32 mode; /* type and permission bits */
	u32 uid, gid, rdev_major, rdev_minor;
	const char *target; /* symlinks */
	u32 target_len;
};
/* -EEXIST, -ENOTDIR, -ENOENT (parent gone), -ENAMETOOLONG, -EMLINK, -ENOSPC. A new inode takes codec and window from
 * its parent. name_len 0: O_TMPFILE, an orphan (nlink 0) until linked. */
int tfs_create(struct tfs_vol *vol, u64 parent, const char *name, u32 name_len, const struct tfs_create *c,
               u64 *ino_out);
int tfs_lookup(struct tfs_vol *vol, u64 parent, const char *name, u32 name_len, u64 *ino_out, u8 *type_out);
int tfs_link(struct tfs_vol *vol, u64 ino, u64 parent, const char *name, u32 name_len);
/* Removes a name (dir: an empty directory's, else -EISDIR / -ENOTDIR / -ENOTEMPTY). An inode without a name left
 * becomes an orphan; when the host holds it no longer it calls tfs_evict. ino_out: which inode lost the name. */
int tfs_unlink(struct tfs_vol *vol, u64 parent, const char *name, u32 name_len, bool dir, u64 *ino_out);
#define TFS_RENAME_NOREPLACE 1u
/* victim_out: the inode replaced (0: none), maybe an orphan now. Moving a directory below itself: -EINVAL. */
int tfs_rename(struct tfs_vol *vol, u64 old_parent, const char *old_name, u32 old_len, u64 new_parent,
               const char *new_name, u32 new_len, u32 flags, u64 *victim_out);
int tfs_readlink(struct tfs_vol *vol, u64 ino, char *buf, u32 size); /* bytes copied; no NUL */
/* Calls emit for entries at positions from *pos on (start with 0); emit returns nonzero to stop before that entry is
 * consumed. next is the position after the entry: stable while other names come and go. *pos is kept up to date. */
typedef int (*tfs_emit_fn)(void *arg, const char *name, u32 name_len, u64 ino, u8 type, u64 next);
int tfs_readdir(struct tfs_vol *vol, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg);
/* Frees an orphan's content and then itself, in bounded steps: 1 while there is more, 0 done (also if not an orphan). One
 * of which lines are to be forwarded stays until they have arrived (kept.c). The host has nothing of it in memory.
 * A read-write mount does so for all orphans that a crash left. -ENOSPC: only while snapshots hold old nodes; call
 * again when one was deleted. */
int tfs_evict(struct tfs_vol *vol, u64 ino);
int tfs_next_orphan(struct tfs_vol *vol, u64 after, u64 *ino_out); /* -ENOENT when none */

/* ---- extended attributes: full names with prefix, not interpreted ---- */
#define TFS_XATTR_CREATE 1u
#define TFS_XATTR_REPLACE 2u
int tfs_getxattr(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len, void *buf,
                 u32 size); /* size 0: length */
int tfs_setxattr(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len, const void *value, u32 len, u32 flags);
int tfs_removexattr(struct tfs_vol *vol, u64 ino, const char *name, u32 name_len); /* -ENODATA */
int tfs_listxattr(struct tfs_vol *vol, u64 ino, char *buf, u32 size); /* NUL-terminated names; size 0: length */

/*
 * ---- log forwarding: the core keeps rules and cursors, and sends nothing ----
 * A rule says where the lines of a file, or of the files below a directory, go. What is made, linked or renamed into a
 * directory gets its rules: directories all, files those whose pattern their name fits. For each rule a file has a
 * cursor: up to there its target acknowledged. `acked` of add and mark: where a file begins, its end at most.
 */
#define TFS_SHIP_END (~0ull)
#define TFS_SHIP_KEPT_MAX (16 << 20) /* bytes of a file that was removed with lines unsent; of all: 1% of the volume */
struct tfs_ship_rule_info {
	u64 ino; /* that it was put on; it may be gone */
	u32 pattern_len, target_len;
	char pattern[TFS_SHIP_PATTERN_MAX], target[TFS_SHIP_TARGET_MAX];
};
struct tfs_ship_file {
	u64 ino, acked, size; /* size: as the volume knows it */
	u64 origin;     /* its own number; or, of bytes that were cut off a file, that one's: who sends them names it */
	u32 generation; /* of its content: another one after each time it shrank */
	u32 nlink;      /* 0: it was removed, or the bytes were cut off */
	bool ended;     /* and nobody has it open: nothing will come behind its last byte */
};
/* *rule: its number, never used again. -EINVAL: neither a file nor a directory, or a text too long; -EMLINK: it has as
 * many rules as can be. */
int tfs_ship_add(struct tfs_vol *vol, u64 ino, const char *pattern, u32 pattern_len, const char *target, u32 target_len,
                 u64 acked, u64 *rule);
int tfs_ship_remove(struct tfs_vol *vol, u64 rule); /* -ENOENT */
/* The rule holds for this inode too, if it did not. -ENOENT, -EINVAL, -EMLINK. */
int tfs_ship_mark(struct tfs_vol *vol, u64 ino, u64 rule, u64 acked);
/* All before `acked` arrived of what was read of this inode in this generation, though it was cut off it by now; what is known already changes nothing. -ENOENT: no such cursor; -ESTALE: the file shrank
 * since, and they are not kept; -EINVAL: past its end. */
int tfs_ship_acked(struct tfs_vol *vol, u64 ino, u64 rule, u32 generation, u64 acked);
/* The first at or after *rule, which becomes its number; -ENOENT: no more. */
int tfs_ship_rule_next(struct tfs_vol *vol, u64 *rule, struct tfs_ship_rule_info *out);
/* The first file at or after *ino that has a cursor for the rule; looks at so many items at most: 1, go on at *ino. */
int tfs_ship_file_next(struct tfs_vol *vol, u64 rule, u64 *ino, u32 items, struct tfs_ship_file *out);
/* 1: of that many bytes those from *from on, the lowest cursor of a rule that is there, are to be forwarded; 0: none. */
int tfs_ship_unsent(struct tfs_vol *vol, u64 ino, u64 size, u64 *from);
/* Of a file without a name: may what stands at offset have been freed, since all before a later place arrived? */
bool tfs_ship_freed(struct tfs_vol *vol, u64 ino, u64 offset);
/* Does a name fit a rule's pattern? An empty one fits all. */
bool tfs_ship_match(const u8 *pattern, u32 pattern_len, const u8 *name, u32 len);
/* Of one inode. -ENOENT: it never was under a rule; -ENODATA: not under this one, *generation is set. */
int tfs_ship_state(struct tfs_vol *vol, u64 ino, u64 rule, u32 *generation, u64 *acked);

/* ---- data: the host keeps the page cache; the core knows what is on disk ---- */
/* Bytes of [off, off + len) as the volume holds them, verified; holes as zeros; short at the end of the file. -EIO on
 * damage, with a message. */
s64 tfs_read(struct tfs_vol *vol, u64 ino, u64 off, void *buf, u32 len);

/*
 * Where a window's content lies, for a host that reads it by itself. Good until env.quiesce for its epoch returned. All
 * units are on the device once the writes handed to it are. What no piece maps is zeros, and so is what lies past size.
 * direct false: inline, scattered or pending content, which only tfs_read gives.
 */
#define TFS_MAP_BLOCKS 16u
struct tfs_map_piece {
	u64 addr;        /* units of 512 bytes; raw: a multiple of 8 */
	u32 units, crc;  /* compressed: CRC-32C of all its units */
	u16 at, blocks;  /* of the window */
	u16 skip, total; /* compressed: blocks decoded before, and in all */
	u8 codec;
};
struct tfs_map {
	u64 size, epoch; /* size: of the file, as the volume knows it */
	u32 pieces;
	bool direct;
	struct tfs_map_piece piece[TFS_MAP_BLOCKS];
	u32 crc[TFS_MAP_BLOCKS]; /* raw: of each block */
};
int tfs_map(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_map *out); /* the window of `block` */
/* The next mapped range that ends after `block`: 1, or 0 when there is none. */
enum tfs_range_kind { TFS_RANGE_DATA, TFS_RANGE_INLINE, TFS_RANGE_PREALLOC };
struct tfs_range {
	u64 block, blocks;
	u64 addr;  /* DATA: units */
	u32 units; /* 0: scattered */
	enum tfs_range_kind kind;
	u8 codec;
	bool shared; /* other files, or other places of this one, refer to it */
};
int tfs_range_next(struct tfs_vol *vol, u64 ino, u64 block, struct tfs_range *out);

/* An encoded window part: pure computation, any thread, no volume. */
struct tfs_encoded {
	u8 codec;        /* what it came to be; TFS_CODEC_NONE: buf is the data itself */
	u32 blocks;      /* decoded */
	u32 bytes;       /* stored */
	const void *buf; /* scratch or data */
	bool beside;     /* a sync follows at once: where it fits, the log takes it along in the write of its record */
};
/* data: blocks * 4096 bytes (the tail past the end of the file zero). scratch: as large. */
void tfs_encode(int codec, int level, const void *data, u32 blocks, void *scratch, struct tfs_encoded *out);
/*
 * Writeback: blocks [block, block + e->blocks) of the file, within one window, become these; size becomes `size` if
 * larger than the volume's; mtime and ctime become *mtime when given. A file whose whole new size is at most
 * TFS_INLINE_MAX and that is written from block 0 with raw data is kept inline. On -ENOSPC nothing changed.
 */
int tfs_write(struct tfs_vol *vol, u64 ino, u64 block, const struct tfs_encoded *e, u64 size,
              const struct tfs_time *mtime);
/*
 * Blocks [block, block + blocks) of the file, within one window, come to share what source holds at `from`, within one
 * window as well: no data is written. Size and times as tfs_write. -EOPNOTSUPP: what lies there cannot be shared
 * (inline, in a gang, or its end does not fit): copy it instead. -EINVAL: not within windows, or of one file and
 * overlapping. On an error nothing changed.
 */
int tfs_clone(struct tfs_vol *vol, u64 source, u64 from, u64 ino, u64 block, u32 blocks, u64 size,
              const struct tfs_time *mtime);
/*
 * One step of the same for a range of any length: what can be shared is, and what cannot is copied, so that it only
 * fails for want of space or memory, or by an error of the device. Returns how many blocks are done, at least one: the
 * caller goes on behind them. Each step is one record: after a crash the first steps are there. size: of the file when
 * all is done (smaller than it is: stays); a step makes it as large as it got. mtime NULL: no time changes, as for
 * content that is equal already. The source's size must cover the range but for its last block.
 */
s64 tfs_reflink(struct tfs_vol *vol, u64 source, u64 from, u64 ino, u64 block, u64 blocks, u64 size,
                const struct tfs_time *mtime);
/* Sets the size, drops what lies behind, keeps PREALLOC below. Growing past a dirty tail rewrites that block first. */
int tfs_truncate(struct tfs_vol *vol, u64 ino, u64 size);
/* Whole blocks become a hole (PREALLOC in it is given back). */
int tfs_punch(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks);
/* Promises space for the holes in the range; size (0: as is) grows the file. -ENOSPC: nothing promised. */
int tfs_preallocate(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks, u64 size);
/* Next data (or hole) at or after byte off; -ENXIO past the end. PREALLOC counts as a hole. */
s64 tfs_seek(struct tfs_vol *vol, u64 ino, u64 off, bool hole);
/* Delayed allocation: a promise that tfs_write of so many more blocks will not meet ENOSPC. Give back what was used or
 * dropped with tfs_unreserve, after the tfs_write. */
int tfs_reserve(struct tfs_vol *vol, u64 blocks);
/* 1: these blocks of the file are promised by tfs_preallocate, so that writing them needs no other promise; 0: not all,
 * or snapshots are there, under which a write takes more than its blocks. -EIO, -ENOMEM. */
int tfs_preallocated(struct tfs_vol *vol, u64 ino, u64 block, u64 blocks);
void tfs_unreserve(struct tfs_vol *vol, u64 blocks);

/* ---- the whole volume ---- */
struct tfs_stat {
	u64 blocks, free, available; /* 4 KiB; available: what users can still write */
	u64 inodes, live_units, prealloc_blocks, delayed_blocks;
	u64 stated_units, loaded_units; /* live at the mounted checkpoint: what its block says, what its SPACE holds */
	u64 epoch, sequence, next_ino;
	u64 size, segments;
	u32 segment_bits;
	u64 volume;
	u64 log_blocks, checkpoints; /* written since the mount */
	u64 checkpoints_forced;      /* that an operation had to make */
	/* Since the mount, of 4 KiB: given to tfs_write; written by data heads, by the node head (with list and
	 * checkpoint blocks); of the data, moved by the compactor. Write amplification is what was written, the log
	 * too, for each block given. */
	u64 user_blocks, data_blocks, node_blocks, moved_blocks;
	u64 compact_sweeps, compact_emptied; /* done since the mount; segments that they left empty */
	u32 cache_nodes, dirty_nodes;
	u32 snapshots, dying;        /* dying: deleted ones of which not all is freed yet */
	u64 kept_blocks, lost_bytes; /* kept for forwarding alone (tfs_evict); what went unsent, since the mount */
	u64 snapshot_blocks;         /* of 4 KiB, rounded up: what snapshots alone hold */
	bool read_only, damaged, was_clean;
};
void tfs_statfs(struct tfs_vol *vol, struct tfs_stat *out);
const struct tfs_super *tfs_super_of(const struct tfs_vol *vol);
/*
 * The volume becomes new_size bytes (rounded down to blocks; 0: all of its device), on a device that was made larger
 * before (dev->resized tells). Data, snapshots and open files stay as they are. Durable when it returns 0; a crash
 * leaves the old or the new size. Nothing happens where it would grow by less than 32 KiB. A volume never shrinks:
 * -EINVAL, also for more than the device has; -EFBIG: more segments than the format holds; -ENOSPC: too full for the
 * table of so many, grow by less first; -ENOMEM. The end's old copies are zeros afterwards.
 */
int tfs_grow(struct tfs_vol *vol, u64 new_size);
int tfs_set_label(struct tfs_vol *vol, const char *label, u32 len); /* both superblocks, one after the other */

/*
 * How free space is spread over segments [segment, segment + count): adds to *out, so that a host may ask in pieces.
 * What is dead counts as free, also while a checkpoint still pins it. -EIO: a map cannot be read.
 */
#define TFS_RUN_CLASSES 15u
struct tfs_spread {
	u64 free_blocks, used_blocks, live_units;
	u64 whole_segments;          /* free ones */
	u64 runs[TFS_RUN_CLASSES];   /* free runs of 2^i to 2^(i+1)-1 blocks within a segment; the last: and longer */
	u64 blocks[TFS_RUN_CLASSES]; /* in them */
};
int tfs_spread_add(struct tfs_vol *vol, u64 segment, u64 count, struct tfs_spread *out);

/*
 * One bounded step of the compactor, which empties segments by moving what is live in them into the holes of others:
 * at most about `blocks` of 4 KiB are moved. 1: there is more to do; 0: nothing worth it, now. Content and attributes
 * stay as they are; what was moved is durable as any record is, and its old place stays untouched until a checkpoint. A
 * host calls it when it has nothing else to do; with no flags it moves only as long as less than half of the free space
 * is in whole segments, where it is cheap, and at most half of what users wrote since the mount and a sixteenth of the
 * volume. -EROFS, -EIO (stopped), -ENOMEM.
 */
#define TFS_COMPACT_NOW 1u   /* as long as anything is gained, at any cost */
#define TFS_COMPACT_FORCE 2u /* one sweep, even where nothing is gained: for tests */
int tfs_compact_step(struct tfs_vol *vol, u32 blocks, u32 flags);
/* Off: with no flags a step does nothing. On is how a volume is mounted. */
void tfs_compact_set(struct tfs_vol *vol, bool off);

/*
 * Defragmentation: one bounded step over windows of files, from {ino, block} to inode `last`; raw content that lies in
 * `places` or more, and might lie in one, comes to lie in one, where there is a hole of that length. What snapshots
 * hold and what is shared stays. At most about `blocks` windows are looked at, and blocks of 4 KiB moved; of files without
 * such content 16 times as many. 1: go on; 0: done. -ENOSPC: too little is left to move anything; -EROFS, -EIO (stopped),
 * -EUCLEAN, -ENOMEM.
 */
struct tfs_defrag {
	u64 ino, block, last; /* ino, block: go on there */
	u32 places;           /* from 2 on */
	bool look;            /* count, and move nothing */
	/* Added up: windows looked at, found in more than one place, where something was joined, where a hole was lacking. */
	u64 windows, scattered, joined, lacking;
	u64 moved; /* blocks */
};
int tfs_defrag_step(struct tfs_vol *vol, struct tfs_defrag *d, u32 blocks);

/* Discards the segment's blocks that hold nothing any more within [from, to) bytes of the device, in runs of at least
 * `min` bytes; adds what was discarded. -EINVAL: past the last segment; -EOPNOTSUPP: the device cannot. */
int tfs_trim(struct tfs_vol *vol, u64 segment, u64 from, u64 to, u64 min, u64 *discarded);

/* ---- looking inside: fsck, dump, fuzzers ---- */
struct tfs_key {
	u64 a, b;
};
struct tfs_ptr { /* CPU order */
	u64 addr, birth;
	u32 crc;
	u16 len, flags;
};
static inline struct tfs_ptr tfs_ptr_cpu(const struct tfs_disk_ptr *d)
{
	return (struct tfs_ptr){tfs_le64(d->addr), tfs_le64(d->birth), tfs_le32(d->crc), tfs_le16(d->len),
	                        tfs_le16(d->flags)};
}
static inline struct tfs_log_position tfs_log_position_cpu(const struct tfs_log_position *p)
{
	return (struct tfs_log_position){
	    .generation = tfs_le64(p->generation),
	    .run = tfs_le64(p->run),
	    .next = tfs_le64(p->next),
	    .run_blocks = tfs_le32(p->run_blocks),
	    .next_blocks = tfs_le32(p->next_blocks),
	    .offset = tfs_le32(p->offset),
	    .prev_crc = tfs_le32(p->prev_crc),
	    .sequence = tfs_le64(p->sequence),
	};
}

/*
 * ---- snapshots: read-only images of the whole volume, named by the epoch they end with ----
 * What changes them is durable when it returns 0. -EIO and the like end writing as anywhere; after -ENOMEM it may have
 * been done, and the next checkpoint makes it durable: tfs_snapshot_find tells.
 */
struct tfs_snapshot_info {
	u64 epoch;
	u8 id[16]; /* random, for ever its own */
	struct tfs_time created;
	u64 inodes, units;       /* inodes in it; units of 512 bytes that the volume referred to when it was made */
	struct tfs_ptr fs, refs; /* its roots */
	u32 holds;
	bool dying; /* deleted, not all freed yet: only tfs_snapshot_next shows it */
	u8 name_len;
	char name[TFS_NAME_MAX]; /* no NUL behind it */
};
/*
 * On: create, rename, hold and delete begin their checkpoint and return 0 without waiting for the device; the host then
 * takes tfs_checkpoint_step until that returns 0, and only then what was changed is durable (a crash before it may leave
 * it undone, also when later records are there). What a snapshot holds is what there was when create returned,
 * whatever comes between. -EAGAIN: first take such steps, and sync, and call again. Off is how a volume is mounted.
 */
void tfs_snapshots_stepwise(struct tfs_vol *vol, bool on);
/* The first at or after *epoch (updated). -ENOENT when there is none. */
int tfs_snapshot_next(struct tfs_vol *vol, u64 *epoch, struct tfs_snapshot_info *out);
int tfs_snapshot_find(struct tfs_vol *vol, const char *name, u32 len, u64 *epoch); /* -ENOENT */
/* What the volume holds now, all records so far. A host writes back what it holds dirty before. *epoch may be NULL.
 * -EEXIST, -EINVAL (no name), -ENAMETOOLONG, -ENOSPC. */
int tfs_snapshot_create(struct tfs_vol *vol, const char *name, u32 len, u64 *epoch);
int tfs_snapshot_rename(struct tfs_vol *vol, u64 epoch, const char *name, u32 len); /* -ENOENT, -EEXIST */
/* A snapshot that is held cannot be deleted; each hold takes a release. -EINVAL: released too often. */
int tfs_snapshot_hold(struct tfs_vol *vol, u64 epoch, bool hold);
/* Out of sight at once; then tfs_snapshot_step frees what it alone held. Both work on a full volume. -EBUSY: held. The
 * one that was rolled back to goes after all that the rollback gave up: that is freed here, however much it is. */
int tfs_snapshot_delete(struct tfs_vol *vol, u64 epoch);
/* Bounded: 1 while there is more, 0 when nothing of a deleted snapshot is left. A read-write mount does all of it,
 * without TFS_MOUNT_FREES. */
int tfs_snapshot_step(struct tfs_vol *vol);
/*
 * The snapshot's state becomes the live state; later snapshots are deleted, and what was born since is freed by
 * tfs_snapshot_step. Epochs, record numbers and inode numbers go on from where they are. For a host that knows nothing
 * of the volume's files yet: right after a mount. Works on a full volume. Durable when it returns 0, and a crash leaves
 * all as it was or all done. -EBUSY: a later snapshot is held (*held is its epoch), or data is delayed (*held is 0);
 * -ENOENT; -EUCLEAN, -EIO: damaged, run fsck.tfs. After -ENOMEM it may have been done, as with tfs_snapshot_create.
 */
int tfs_rollback(struct tfs_vol *vol, u64 epoch, u64 *held);
struct tfs_node_info; /* below */
typedef int (*tfs_node_fn)(void *arg, const struct tfs_node_info *info);
/* What a rollback left and is not freed yet: tfs/format.h says what the fields mean. */
struct tfs_old_info {
	u64 epoch, since, lists_from, lists_end;
	enum tfs_old_stage stage;
	struct tfs_key next;
	struct tfs_ptr fs, refs;
};
int tfs_old_state(struct tfs_vol *vol, struct tfs_old_info *out); /* -ENOENT */
/* The nodes of its FS or REFS tree that are still in use, parents first; in the first leaf items below `next` are not.
 * -EIO: one cannot be read (a message says which). */
int tfs_old_walk(struct tfs_vol *vol, int tree, tfs_node_fn fn, void *arg);
/* Was the place shared, by its REFS tree? 0 or 1; *units: that is the answer for so many, from its first on. */
int tfs_old_shared(struct tfs_vol *vol, const struct tfs_ptr *ptr, u32 *units);
/* Bytes that deleting it would free. Its size is not bounded: it looks at each of its deadlists. */
int tfs_snapshot_usage(struct tfs_vol *vol, u64 epoch, u64 *exclusive);
/* Until it is closed all that reads (names, attributes, data, items, walks) reads the snapshot; what writes fails with
 * -EROFS, a checkpoint with -EBUSY. -ENOENT; -EBUSY: one is open, or it is not durable yet. */
int tfs_view_open(struct tfs_vol *vol, u64 epoch);
void tfs_view_close(struct tfs_vol *vol); /* none open: nothing */
/*
 * The same for a few calls at a time, on a host that changes the volume between them and serves readers of several
 * snapshots: find tells what the snapshot is, once; between enter and leave all that reads reads it. No other call may
 * come in between, so enter and leave stand under one lock. A snapshot that was deleted since reads as -ESTALE.
 */
struct tfs_view {
	u64 epoch;
	struct tfs_ptr fs, refs;
};
int tfs_view_find(struct tfs_vol *vol, u64 epoch, struct tfs_view *out); /* -ENOENT; -EBUSY: not durable yet */
void tfs_view_enter(struct tfs_vol *vol, const struct tfs_view *view);
void tfs_view_leave(struct tfs_vol *vol);
/*
 * Items of the FS tree that differ between a snapshot and a later one (0: what is now), in key order: a NULL: only the
 * later has it, b NULL: only the older. Values are good until fn returns, and fn must not call the core. Costs what
 * changed. -EINVAL: the later is older. fn's nonzero ends it and is returned.
 */
typedef int (*tfs_diff_fn)(void *arg, struct tfs_key key, const void *a, u32 a_len, const void *b, u32 b_len);
int tfs_snapshot_diff(struct tfs_vol *vol, u64 older, u64 newer, tfs_diff_fn fn, void *arg);
/* The same from *at on, at most `leaves` leaves of the later tree. 1: there may be more from *at on; 0: that was all.
 * An item for which fn returned nonzero is the first of the next step. */
int tfs_snapshot_diff_step(struct tfs_vol *vol, u64 older, u64 newer, struct tfs_key *at, u32 leaves, tfs_diff_fn fn,
                           void *arg);

/*
 * What tfs/ioctl.h asks for, by its number and structure, which the caller has copied in: -ENOTTY for a request that is
 * not known. The host writes back what it holds dirty before TFS_IOC_SNAPSHOT_CREATE; after TFS_IOC_SNAPSHOT_DELETE it
 * calls tfs_snapshot_step until that returns 0, when it has time.
 */
int tfs_admin(struct tfs_vol *vol, u32 request, void *arg);

/* First item at or after *key; value points into the cache until the next call on vol. -ENOENT at the end. */
int tfs_item_next(struct tfs_vol *vol, int tree, struct tfs_key *key, const void **value, u32 *len);
/* Every node of a tree, parents first. ptr.addr 0: changed in memory only. A damaged node is reported with err < 0
 * (node NULL, keys [lo, hi) unknown) and skipped. fn returns nonzero to stop. */
struct tfs_node_info {
	struct tfs_ptr ptr;
	const void *node; /* TFS_NODE_SIZE bytes, verified, as in memory */
	u8 tree, level;
	int err;
	struct tfs_key lo, hi;
};
int tfs_tree_walk(struct tfs_vol *vol, int tree, tfs_node_fn fn, void *arg);
/* The same, but a node that skip says true of is not read, and nothing below it: as a part that was seen before. */
typedef bool (*tfs_skip_fn)(void *arg, const struct tfs_ptr *ptr);
int tfs_tree_walk_new(struct tfs_vol *vol, int tree, tfs_skip_fn skip, tfs_node_fn fn, void *arg);
/* The same, but leaves are neither read nor reported; a damaged root is, as level 0. */
int tfs_index_walk(struct tfs_vol *vol, int tree, tfs_node_fn fn, void *arg);
/* Live bitmap of a segment as the volume believes it: segment size / 4096 bytes into map (NULL: only its counts). */
int tfs_segment_map(struct tfs_vol *vol, u64 segment, u8 *map, struct tfs_segment *info);
/* Calls fn for every run of units that ptr stands for, until it returns nonzero. -EIO: its gang cannot be read. */
int tfs_ptr_runs(struct tfs_vol *vol, const struct tfs_ptr *ptr, int (*fn)(void *arg, u64 addr, u32 units), void *arg);
/* Reads and verifies stored bytes of a pointer (gangs put together). crc: false to skip (raw extents). */
int tfs_read_ptr(struct tfs_vol *vol, const struct tfs_ptr *ptr, void *buf, bool crc);
/* ---- repair: on a volume mounted with TFS_MOUNT_REPAIR. Everything stays in memory until tfs_repair_finish, which
 * makes it durable in one checkpoint: a crash before it leaves the volume as it was. ---- */
/* The node that a walk reported as damaged becomes an empty one. */
int tfs_repair_node(struct tfs_vol *vol, int tree, struct tfs_key lo, int level);
/* Items of a damaged leaf that are sound one by one (its stored bytes must match their CRC). Returns how many. */
typedef int (*tfs_item_fn)(void *arg, struct tfs_key key, const void *value, u32 len);
int tfs_repair_salvage(struct tfs_vol *vol, const struct tfs_node_info *info, tfs_item_fn fn, void *arg);
int tfs_repair_put(struct tfs_vol *vol, int tree, struct tfs_key key, const void *value, u32 len);
int tfs_repair_del(struct tfs_vol *vol, int tree, struct tfs_key key);
/* Places of nodes that the mounted checkpoint lists, which the SPACE tree of a volume mounted with TFS_MOUNT_REPAIR
 * does not call live. */
int tfs_repair_lists(struct tfs_vol *vol, int (*fn)(void *arg, u64 addr, u32 units), void *arg);
/* Snapshots and deadlists were put or deleted as items: the table in memory is made anew. */
int tfs_repair_snapshots(struct tfs_vol *vol);
/* The place is not written before the repair is durable. */
int tfs_repair_pin(struct tfs_vol *vol, const struct tfs_ptr *ptr);
/* The node that covers key at any level, and those above it, get new places. */
int tfs_repair_move(struct tfs_vol *vol, int tree, struct tfs_key key);
/* SPACE is built anew. map: the live bytes of a segment, or NULL: none live. Items can still be put and deleted after
 * it, and only after it content be placed. -ENOMEM, -ENOSPC, -EIO. */
int tfs_repair_space(struct tfs_vol *vol, const u8 *(*map)(void *arg, u64 segment), void *arg);
/* Puts an extent or xattr item whose content (buf, as stored, whole units) gets a place of its own; where no run is
 * long enough, a raw extent becomes several. -ENOSPC. */
int tfs_repair_copy(struct tfs_vol *vol, struct tfs_key key, const void *value, u32 len, const void *buf);
struct tfs_repair_counters {
	u64 next_ino, inodes, prealloc_blocks;
};
/* After tfs_repair_space: makes it durable. The volume is mounted read-write afterwards. */
int tfs_repair_finish(struct tfs_vol *vol, const struct tfs_repair_counters *c);
u64 tfs_name_position(const struct tfs_vol *vol, const void *name, u32 len); /* of a dirent or xattr, n = 0 */

/*
 * ---- verifying what is stored, for fsck.tfs --data and scrub: what does not match is told, nothing is changed ----
 */
enum tfs_bad_kind { TFS_BAD_NODE, TFS_BAD_DATA, TFS_BAD_CODE, TFS_BAD_GANG }; /* CODE: matches and does not decode */
struct tfs_bad {
	enum tfs_bad_kind kind;
	u8 tree, level;      /* of a node */
	struct tfs_key key;  /* of the item; of a node its lower bound */
	u64 snapshot;        /* epoch of the one it was found in; 0: live */
	struct tfs_ptr ptr;  /* the place */
	int block;           /* of a raw extent: which one; -1: all of the place */
	u32 expected, found; /* CRC-32C; CODE: the codec, and the blocks that it was to give */
	int err;             /* it could not be read: why; 0 */
};
typedef int (*tfs_bad_fn)(void *arg, const struct tfs_bad *bad); /* what it returns is not looked at */
#define TFS_VERIFY_UNITS 128u                                    /* of a place, at most; and as much decoded */
#define TFS_VERIFY_BYTES (2 * TFS_VERIFY_UNITS * TFS_UNIT)
/* The content of an extent or large attribute value. buf: TFS_VERIFY_BYTES; what was read, and behind TFS_VERIFY_UNITS of
 * them what it decodes to. 0: sound, or there is none; 1: it is not, and fn was told; -EOPNOTSUPP: larger than this
 * version writes; -ENOMEM. */
int tfs_data_verify(struct tfs_vol *vol, struct tfs_key key, const void *value, u8 *buf, tfs_bad_fn fn, void *arg);
/*
 * Every live place, once (of the nodes of all trees, extents, attribute values, gangs; snapshots' too), in steps of about
 * `bytes` beside any operations: how often is the host's to say. *s is zero at first and the host's own, also over
 * remounts; what is dropped before its turn comes is not looked at, what is new behind the cursor not waited for. 1:
 * there is more, 0: done. -ENOMEM: as if not called; -EBUSY: a view is open.
 */
struct tfs_scrub {
	u64 since, snapshot; /* epochs: what was born by then is done; the snapshot under way, 0: the live trees */
	u32 tree;            /* TFS_TREES: done */
	struct tfs_key next;
	u64 bytes, nodes, places, bad; /* verified so far; damage found */
	u64 recent[256];               /* places of compressed extents, which other items may name */
};
int tfs_scrub_step(struct tfs_vol *vol, struct tfs_scrub *s, u64 bytes, tfs_bad_fn fn, void *arg);

/* Verifiers: NULL or a static text of what is wrong. */
const char *tfs_super_check(const void *block, u64 dev_size);
const char *tfs_anchor_check(const void *block, u64 volume);
const char *tfs_item_check(int tree, struct tfs_key key, const void *value, u32 len);
/* The stored bytes that a sound item refers to: an extent's or a large xattr value's. False: none. */
bool tfs_item_ptr(int tree, struct tfs_key key, const void *value, struct tfs_ptr *out);
const char *tfs_node_check(const void *node, u64 volume);
/* A node found by scanning, without a pointer that holds its CRC: bytes of its stored form if a sound one of this
 * volume begins at stored (of which `bytes` can be read), decoded into node (2 * TFS_NODE_SIZE,
 * the second half is for decoding); 0: none. */
u32 tfs_node_find(u8 *stored, u32 bytes, u64 volume, u8 *node);
const char *tfs_log_head_check(const void *block, u64 volume);
/* Picks superblock and newest anchor. Any of the outputs may be NULL. */
int tfs_probe(struct tfs_dev *dev, const struct tfs_env *env, struct tfs_super *super, struct tfs_anchor *anchor);

#endif
