/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The on-disk format of a TFS volume, and nothing else. docs/FORMAT.md is the prose to this header.
 *
 * All integers are little endian. Addresses and stored lengths count 512-byte units, file positions
 * count 4 KiB blocks, unless a field says bytes. Structures are packed by construction (every field is
 * naturally aligned or a byte array); the asserts below hold their sizes.
 *
 *   0      4 KiB  left free for boot code
 *   4K            superblock
 *   16K           4 anchor slots of 4 KiB, slot = epoch % 4
 *   64K           segments 0..n-1
 *   end-32K       4 anchor slots (second copy)
 *   end-4K        superblock (second copy)
 * where "end" is the size in the superblock, a multiple of 4 KiB.
 */
#ifndef TFS_FORMAT_H
#define TFS_FORMAT_H

#include "tfs/port.h"

#define TFS_UNIT 512u
#define TFS_UNIT_BITS 9
#define TFS_BLOCK 4096u
#define TFS_BLOCK_BITS 12
#define TFS_UNITS_PER_BLOCK 8u
#define TFS_NODE_SIZE 16384u
#define TFS_NODE_BLOCKS 4u

#define TFS_SUPER_OFFSET 4096u
#define TFS_ANCHOR_OFFSET 16384u
#define TFS_ANCHOR_SLOTS 4u
#define TFS_SEGMENTS_OFFSET 65536u
#define TFS_TAIL_SIZE 32768u /* bytes before the end of the device that hold the second copies */
#define TFS_MIN_VOLUME (16ull << 20)
#define TFS_MAX_VOLUME (1ull << 54)
#define TFS_SEGMENT_BITS_MIN 18     /* 256 KiB */
#define TFS_SEGMENT_BITS_MAX 26     /* 64 MiB */
#define TFS_SEGMENTS_MAX (1u << 28) /* of 64 MiB: 16 PiB */
#define TFS_CHUNK_BITS 22           /* a SPACE map item covers at most 4 MiB */
#define TFS_WINDOW_BITS 16
#define TFS_WINDOW_BITS_MIN 14
#define TFS_WINDOW_BITS_MAX 20
#define TFS_NAME_MAX 255u
#define TFS_SYMLINK_MAX 4095u
#define TFS_XATTR_MAX 65536u
#define TFS_XATTR_INLINE_MAX 2048u /* a larger value is stored as one data extent */
#define TFS_INLINE_MAX 3072u       /* bytes of a small file kept in the tree */
#define TFS_ITEM_MAX 4352u         /* bytes of an item's value */
#define TFS_FILE_SIZE_MAX 0x7fffffffffffffffull
#define TFS_LINK_MAX 0x7fffffffu
#define TFS_EPOCH_MAX                                                                                                  \
	((1ull << 62) - 1) /* of anchors; of log writes half of it, so that recovery can open a later one */

/* "TFSv" read as bytes on disk */
#define TFS_MAGIC 0x76534654u
#define TFS_VERSION 1u

enum tfs_block_type {
	TFS_BT_SUPER = 1,
	TFS_BT_ANCHOR = 2,
	TFS_BT_CHECKPOINT = 3,
	TFS_BT_LIST = 4,
	TFS_BT_LOG = 5,
	TFS_BT_NODE = 6,
	TFS_BT_GANG = 7,
};

/* Opens every structure outside a tree. crc is the CRC-32C of `length` bytes with crc itself as zero. */
struct tfs_block_head {
	le32 magic;
	le32 crc;
	le64 volume; /* internal volume id, never changes; zero in a superblock is invalid */
	le16 type;   /* enum tfs_block_type */
	le16 version;
	le32 length; /* bytes covered by crc */
};
TFS_ASSERT_SIZE(struct tfs_block_head, 24);

#define TFS_PTR_GANG 1u /* names one block of struct tfs_gang: the content lies in several runs */

/* Names stored bytes. All zero: none. Node pointers: crc covers all len*512 bytes as stored. Raw extents
 * leave crc zero and carry one CRC a block beside the pointer. */
struct tfs_disk_ptr {
	le64 addr;  /* units; below 2^45 */
	le64 birth; /* epoch it was placed in */
	le32 crc;
	le16 len; /* units */
	le16 flags;
};
TFS_ASSERT_SIZE(struct tfs_disk_ptr, 24);

struct tfs_time {
	le64 sec; /* signed, since 1970 */
	le32 nsec;
	le32 reserved;
};
TFS_ASSERT_SIZE(struct tfs_time, 16);

enum tfs_codec { TFS_CODEC_NONE = 0, TFS_CODEC_LZ4 = 1, TFS_CODEC_ZLIB = 2, TFS_CODEC_COUNT };

/* Log writes may have data beside them (struct tfs_log_head). */
#define TFS_INCOMPAT_BESIDE 1ull
#define TFS_INCOMPAT_COLUMNS 2ull /* nodes may be by columns; mkfs sets it */
#define TFS_INCOMPAT_KNOWN (TFS_INCOMPAT_BESIDE | TFS_INCOMPAT_COLUMNS)
/* Set before the first of what they stand for: who does not know that must not write. */
#define TFS_RO_COMPAT_SNAPSHOTS 1ull
#define TFS_RO_COMPAT_SHARED 2ull /* raw blocks are shared, or compressed extents at other places of their windows */
#define TFS_RO_COMPAT_SHIP 4ull   /* there are, or were, rules of log forwarding */
#define TFS_RO_COMPAT_KNOWN (TFS_RO_COMPAT_SNAPSHOTS | TFS_RO_COMPAT_SHARED | TFS_RO_COMPAT_SHIP)

struct tfs_super {
	struct tfs_block_head head;
	le64 compat, ro_compat,
	    incompat;      /* feature bits; an unknown incompat bit: do not mount; ro_compat: read only */
	u8 uuid[16];       /* what users see; may change */
	u8 label[64];      /* UTF-8, padded with zeros */
	le64 hash_seed[2]; /* SipHash-2-4 key of directory and xattr hashes */
	le64 size;         /* bytes; multiple of TFS_BLOCK; the second copies end here */
	le64 segments;
	struct tfs_time created;
	le32 segment_bits;
	le32 node_size; /* TFS_NODE_SIZE */
	le32 checksum;  /* 1: CRC-32C */
	u8 codec;       /* default for new files */
	u8 codec_level; /* zlib level, 0: library default */
	u8 window_bits; /* default for new files */
	u8 reserved0;
	u8 reserved[320];
};
TFS_ASSERT_SIZE(struct tfs_super, 512);

struct tfs_log_position {
	le64 generation; /* random, new at every read-write mount; 0: no log (clean) */
	le64 run, next;  /* addresses, units: the run to go on in and the one after it (0: not reserved) */
	le32 run_blocks, next_blocks;
	le32 offset;   /* blocks into run where the next write will be */
	le32 prev_crc; /* head.crc of the write before it, 0 at the start of a generation */
	le64 sequence; /* of the next record */
};
TFS_ASSERT_SIZE(struct tfs_log_position, 48);

struct tfs_anchor {
	struct tfs_block_head head;
	le64 epoch;                     /* the epoch this closes; births up to it are covered */
	struct tfs_disk_ptr checkpoint; /* one block */
	struct tfs_log_position log;
	le32 flags; /* TFS_ANCHOR_CLEAN */
	le32 reserved0;
	u8 reserved[400];
};
TFS_ASSERT_SIZE(struct tfs_anchor, 512);
#define TFS_ANCHOR_CLEAN 1u

enum tfs_tree_id { TFS_TREE_FS = 0, TFS_TREE_SPACE = 1, TFS_TREE_SNAP = 2, TFS_TREE_REFS = 3, TFS_TREES = 4 };

#define TFS_LIST_PTRS 150u
/* One block: the roots of an epoch. Not counted live; pinned while an anchor names it. */
struct tfs_checkpoint {
	struct tfs_block_head head;
	le64 epoch;
	struct tfs_disk_ptr root[TFS_TREES]; /* all zero: empty tree */
	le64 next_ino;
	le64 inodes;          /* inode items, orphans too */
	le64 live_units;      /* of SPACE, lists folded in */
	le64 prealloc_blocks; /* promised by PREALLOC items */
	le64 sequence;        /* of the last record covered */
	le32 lists;           /* used entries of list[] */
	le32 reserved0;
	u8 reserved[320];
	struct tfs_disk_ptr list[TFS_LIST_PTRS]; /* blocks of struct tfs_list */
};
TFS_ASSERT_SIZE(struct tfs_checkpoint, 4096);

struct tfs_run {
	le64 addr; /* units */
	le32 len;  /* units */
	le32 reserved;
};
TFS_ASSERT_SIZE(struct tfs_run, 16);

#define TFS_LIST_RUNS 253u
/* Places of the nodes that the naming checkpoint wrote: live, and not yet marked so in its SPACE tree. */
struct tfs_list {
	struct tfs_block_head head;
	le32 count;
	le32 reserved[5];
	struct tfs_run run[TFS_LIST_RUNS];
};
TFS_ASSERT_SIZE(struct tfs_list, 4096);

#define TFS_GANG_RUNS 200u
struct tfs_gang_run {
	le64 addr;
	le32 len; /* units, a multiple of 8 */
	le32 crc;
};
struct tfs_gang {
	struct tfs_block_head head;
	le32 count;
	le32 bytes; /* total content, bytes */
	struct tfs_gang_run run[TFS_GANG_RUNS];
	u8 pad[4096 - 32 - TFS_GANG_RUNS * 16];
};
TFS_ASSERT_SIZE(struct tfs_gang, 4096);

/* ---- tree nodes ---- */

/* A key is two numbers, compared a first: {object, type << 56 | position}. */
struct tfs_disk_key {
	le64 a;
	le64 b;
};
TFS_ASSERT_SIZE(struct tfs_disk_key, 16);

/*
 * Stored form: these 64 bytes, then `stored` bytes: the rest of the node (16320 bytes) as it is, as one LZ4 block or
 * zlib stream, or by columns (columns.c) as one LZ4 block; then zeros to a multiple of 512. The pointer's CRC covers
 * all of it.
 */
struct tfs_node_head {
	le32 magic; /* TFS_MAGIC */
	le16 type;  /* TFS_BT_NODE */
	u8 tree;
	u8 level; /* 0: leaf */
	le64 volume;
	le64 birth;
	le16 count;
	le16 heap;    /* leaf: offset in the node of the lowest value byte; index: 0 */
	le32 stored;  /* on disk only: bytes after the head; 0 in memory */
	le16 codec;   /* on disk only: TFS_CODEC_NONE, _LZ4 or _ZLIB, or TFS_NODE_COLUMNS */
	le16 garbage; /* leaf in memory: heap bytes no slot uses; 0 on disk */
	le32 check; /* on disk only: CRC-32C of the stored bytes with this field zero; for finding nodes by scanning */
	u8 reserved[24];
};
TFS_ASSERT_SIZE(struct tfs_node_head, 64);

#define TFS_NODE_COLUMNS 3u /* of a node with TFS_COLUMN_ROWS items or more, with TFS_INCOMPAT_COLUMNS */
#define TFS_COLUMN_ROWS 8u  /* what there are fewer of makes no table */
#define TFS_COLUMN_MAX 160u /* a longer value stays as it is */

/* Leaf: slots ascend by key after the head; values lie behind them, and between heap and the end of the node. */
struct tfs_slot {
	struct tfs_disk_key key;
	le16 off; /* from the start of the node, a multiple of 8 */
	le16 len;
	le32 reserved;
};
TFS_ASSERT_SIZE(struct tfs_slot, 24);
/* Index: ascending; key is a lower bound of the child's keys (the first entry's is the node's own lower bound). */
struct tfs_branch {
	struct tfs_disk_key key;
	struct tfs_disk_ptr ptr;
};
TFS_ASSERT_SIZE(struct tfs_branch, 40);
#define TFS_BRANCH_MAX ((TFS_NODE_SIZE - 64u) / 40u)
#define TFS_HEIGHT_MAX 8u

/* ---- FS tree: key {inode number, type << 56 | position} ---- */
#define TFS_INO_ORPHANS                                                                                                \
	0ull /* object of orphan items and of those of log forwarding: position is a number of an inode */
#define TFS_INO_ROOT 1ull
#define TFS_INO_MAX ((1ull << 56) - 1)
#define TFS_POS_BITS 56
#define TFS_POS_MASK ((1ull << 56) - 1)

enum tfs_item_type {
	TFS_IT_INODE = 1,   /* position 0: struct tfs_inode */
	TFS_IT_SYMLINK = 2, /* position 0: the target's bytes, 1..4095 */
	TFS_IT_INLINE = 3,  /* position 0: 1..TFS_INLINE_MAX bytes, the content of block 0 */
	TFS_IT_XATTR = 4,   /* position hash48 << 8 | n: struct tfs_xattr */
	TFS_IT_DIRENT = 5,  /* position hash48 << 8 | n: struct tfs_dirent; n counts names of one hash */
	TFS_IT_EXTENT = 6,  /* position first block: struct tfs_extent */
	TFS_IT_PREALLOC =
	    7, /* position first block: struct tfs_prealloc: promised space, reads as zeros; overlaps no extent */
	TFS_IT_PENDING =
	    8, /* position first block: struct tfs_pending: reads as a hole, extents in it are yet to be dropped */
	TFS_IT_ORPHAN = 9, /* object 0, position inode number: empty: no name left, to be freed */
	TFS_IT_RULE = 10,  /* object 0, position rule number: struct tfs_ship_rule */
	TFS_IT_SHIP = 11,  /* object 0, position inode number: struct tfs_ship */
};

#define TFS_INODE_TAIL 1u /* bytes of the last block past size may be nonzero on disk: rewrite it before growing */
struct tfs_inode {
	le32 mode, uid, gid, nlink;
	le64 size;   /* bytes; a directory: number of entries */
	le64 blocks; /* mapped blocks: extents (holes not counted) and PREALLOC */
	le32 rdev_major, rdev_minor;
	le64 parent; /* directories only, root: itself */
	le32 flags, user_flags;
	u8 codec, codec_level, window_bits, reserved0;
	le32 generation;
	struct tfs_time atime, mtime, ctime, btime;
	le64 name_dir, name_pos; /* where the name given last stands: {name_dir, DIRENT, name_pos}; zeros: not known */
	u8 reserved[8];
};
TFS_ASSERT_SIZE(struct tfs_inode, 152);

struct tfs_dirent {
	le64 ino;
	u8 type; /* S_IFMT bits >> 12 */
	u8 name_len;
	u8 name[]; /* no NUL, no '/', not "." or ".." */
};
struct tfs_xattr {
	le32 value_len;
	u8 name_len; /* full name with prefix, e.g. "user.x" */
	u8 where;    /* 0: value follows the name; 1: struct tfs_disk_ptr follows the name (raw, zero padded to 512) */
	u8 name[];
};
#define TFS_EXTENT_HEAD 32u
struct tfs_extent {
	struct tfs_disk_ptr ptr;
	le16 blocks; /* file blocks this item maps */
	le16 skip;   /* compressed: decoded blocks before the mapped part; raw: 0 */
	le16 total;  /* decoded blocks of the whole extent; raw: == blocks */
	u8 codec;
	u8 flags;
	le32 crc[]; /* raw: one a block; ptr.len == blocks * 8 */
};
struct tfs_prealloc {
	le64 blocks;
};
struct tfs_pending {
	le64 blocks; /* may reach past the largest file block */
};

/*
 * Log forwarding. A rule says where lines go; a file's item says up to where each rule's target acknowledged them. A
 * directory has such an item too: what is made, linked or renamed into it gets its rules. An entry whose rule is gone
 * means nothing.
 */
struct tfs_ship_rule {
	le64 ino; /* the file or directory that it was put on */
	le16 pattern_len, target_len;
	le32 reserved;
	u8 text[]; /* pattern: of names, `*` any bytes, `?` one, `\` the next as it is; empty: all. Then the target */
};
#define TFS_SHIP_PATTERN_MAX 255u
#define TFS_SHIP_TARGET_MAX 1024u
#define TFS_SHIP_RULES_MAX 16u /* of one file or directory */
struct tfs_ship_cursor {
	le64 rule;
	le64 acked; /* bytes; at most the file's size. A directory: 0 */
};
struct tfs_ship_head {
	le32 generation; /* of the file's content: goes up when the file shrinks, or loses lines to a punch */
	le16 count;      /* cursors, ascending by rule */
	le16 flags;      /* TFS_SHIP_COUNTS */
	le64 origin;     /* 0; or of an orphan: the inode that its bytes are to be cut off */
};
#define TFS_SHIP_COUNTS 1u /* with an origin: they were; without it the orphan is an ordinary one */
struct tfs_ship {
	struct tfs_ship_head head;
	struct tfs_ship_cursor cursor[];
};
TFS_ASSERT_SIZE(struct tfs_ship_rule, 16);
TFS_ASSERT_SIZE(struct tfs_ship, 16);

/* ---- SPACE tree ---- */
#define TFS_SPACE_SEGS                                                                                                 \
	(1ull << 56) /* a = this | segment / 128, b = 0: 128 x struct tfs_segment (all present from mkfs) */
/* a = this | segment, b = chunk: bitmap of live units, min(segment, 4 MiB) / 4096 bytes; absent: none live */
#define TFS_SPACE_MAP (2ull << 56)
#define TFS_SEGS_PER_ITEM 128u
struct tfs_segment {
	le32 live;        /* units */
	le32 used_blocks; /* blocks with a live unit */
	le64 age;         /* epoch of the last placement */
};
TFS_ASSERT_SIZE(struct tfs_segment, 16);

/*
 * ---- REFS tree: a = address in units, b = 0: a shared range ----
 * Of a compressed extent that is no gang the item is all of it, counted once for each {inode, window} that refers. Of
 * raw content it is whole blocks, counted for each EXTENT item that maps them. Ranges do not overlap.
 */
struct tfs_ref {
	le32 len;   /* units */
	le32 count; /* references, 2 or more */
};
/*
 * ---- SNAP tree: snapshots, and what they alone hold ----
 * A snapshot's number is the epoch whose checkpoint it is: it holds all that was born at or before it and lives there.
 * A deadlist names what lost its last live reference: live in SPACE, held by the snapshots from `oldest` to `newest` as
 * they stand. Those in between that are gone or dying do not count: a list that no other lies in is to be freed.
 */
#define TFS_SNAP_ITEM (1ull << 56)   /* a = this, b = epoch: struct tfs_snapshot */
#define TFS_SNAP_LIST (2ull << 56)   /* a = this, b = list id: struct tfs_deadlist */
#define TFS_SNAP_RUNS (3ull << 56)   /* a = this | list id, b = n: its runs from n * 64 on, struct tfs_run */
#define TFS_SNAP_OLD (4ull << 56)    /* a = this, b = epoch: struct tfs_old_state, one at most */
#define TFS_SNAP_SHARED (5ull << 56) /* a = this, b = address: struct tfs_old_shared */
#define TFS_LIST_ID_MAX ((1ull << 56) - 1)
#define TFS_DEAD_RUNS 64u
#define TFS_SNAPSHOT_DYING 1u /* deleted: no longer shown, what it alone held is being freed */
struct tfs_snapshot {
	u8 id[16]; /* random */
	struct tfs_disk_ptr fs, refs;
	le64 inodes;     /* inode items in it */
	le64 units;      /* live when it was made, without what older ones alone held */
	le64 first_list; /* ids of lists made since are at or above it */
	struct tfs_time created;
	le32 holds; /* deleted only when 0 */
	le16 flags; /* TFS_SNAPSHOT_* */
	u8 name_len;
	u8 reserved;
	u8 name[]; /* as of a directory entry */
};
struct tfs_deadlist {
	le64 oldest, newest; /* epochs of the snapshots that held it when it was made */
	le64 units;          /* sum of its runs */
	le64 runs;           /* used ones; what follows in their last items is zero */
};
/*
 * What a rollback left: the trees of the state that was given up, of which everything born after `since` is to be
 * freed, each place once; what is older the snapshot holds that is the live state now. Stages, in this order:
 *  LISTS   the deadlists with ids in [lists_from, lists_end): those whose `oldest` is at or before `since` name what is
 *          live again. They say nothing, and go without anything being freed
 *  FS      in key order: below `next` everything is freed, or named by a SHARED item: what may be met again
 *  SHARED  what these items name is freed, and they go
 *  REFS    the nodes of its REFS tree, as in FS
 */
enum tfs_old_stage { TFS_OLD_LISTS, TFS_OLD_FS, TFS_OLD_SHARED, TFS_OLD_REFS };
struct tfs_old_state {
	le64 since;
	le64 lists_from, lists_end;
	struct tfs_disk_ptr fs, refs;
	struct tfs_disk_key next; /* in the tree of the stage FS or REFS */
	le32 stage;
	le32 reserved;
};
struct tfs_old_shared { /* of a pointer */
	le32 len;
	le16 flags;
	le16 reserved;
};
TFS_ASSERT_SIZE(struct tfs_old_state, 96);
TFS_ASSERT_SIZE(struct tfs_old_shared, 8);
TFS_ASSERT_SIZE(struct tfs_deadlist, 32);
TFS_ASSERT_SIZE(struct tfs_snapshot, 112);

/* ---- log ---- */
/*
 * Every write: whole blocks, this head, then `bytes` bytes of records, then zeros; then, with TFS_INCOMPAT_BESIDE,
 * `beside` blocks of data (to which extents refer as to any other), behind which the next write follows.
 */
struct tfs_log_head {
	struct tfs_block_head head; /* length: 128 + bytes, so crc covers the records */
	le64 generation;
	le64 epoch; /* of all its records */
	le64 addr;  /* own address, units */
	le64 run, next;
	le32 run_blocks, next_blocks;
	le64 sequence; /* of the first record that begins here (or would) */
	le64 durable;  /* records below this sequence were durable when this was written */
	le64 anchor;   /* newest epoch whose anchor was durable at both ends */
	le32 prev_crc; /* head.crc of the write before */
	le32 records;  /* that begin here */
	le32 bytes;
	le32 carry;  /* bytes at the front that continue a record of the write before */
	le32 beside; /* blocks of data behind this write */
	u8 reserved[12];
};
TFS_ASSERT_SIZE(struct tfs_log_head, 128);

enum tfs_rec_type {
	TFS_REC_CREATE = 1, /* struct tfs_rec_create, name, target; name_len 0: O_TMPFILE, an orphan */
	TFS_REC_LINK = 2,
	TFS_REC_UNLINK = 3, /* also rmdir */
	TFS_REC_RENAME = 4,
	TFS_REC_SETATTR = 5,
	TFS_REC_XATTR = 6,
	TFS_REC_WRITE = 7,
	TFS_REC_TRUNCATE = 8,
	TFS_REC_PUNCH = 9, /* a range of whole blocks reads as a hole */
	TFS_REC_PREALLOC = 10,
	TFS_REC_CLONE = 11, /* a range of one window shares what another holds */
	TFS_REC_MOVE = 12,  /* struct tfs_rec_write, size and flags 0: the same content at other places */
	TFS_REC_SHIP = 13,  /* struct tfs_rec_ship */
};

/* Opens every record; payload structures follow. Records are padded to 8 bytes (len counts all). */
struct tfs_rec_head {
	le32 len; /* bytes with this head */
	le16 type;
	le16 flags;
	le64 ino;             /* the object (CREATE: the new inode; LINK, UNLINK: the target) */
	struct tfs_time time; /* when: becomes ctime and what else the operation sets */
};
TFS_ASSERT_SIZE(struct tfs_rec_head, 32);

struct tfs_rec_create {
	struct tfs_rec_head head;
	le64 parent;
	le32 mode, uid, gid, rdev_major, rdev_minor;
	u8 codec, codec_level, window_bits, name_len;
	le32 generation;
	le16 target_len;
	le16 reserved;
	/* name, target */
};
TFS_ASSERT_SIZE(struct tfs_rec_create, 72);

struct tfs_rec_link { /* LINK and UNLINK */
	struct tfs_rec_head head;
	le64 parent;
	u8 name_len;
	u8 reserved[7];
	/* name */
};
TFS_ASSERT_SIZE(struct tfs_rec_link, 48);

#define TFS_RENAME_EXCHANGE 2u
#define TFS_RENAME_WHITEOUT 4u
struct tfs_rec_rename { /* head.ino: what moves; head.flags: TFS_RENAME_* */
	struct tfs_rec_head head;
	le64 old_parent, new_parent;
	le64 target;   /* inode replaced or exchanged, 0: none */
	le64 whiteout; /* number of the new character device 0:0 left behind, 0: none */
	u8 old_len, new_len;
	u8 reserved[6];
	/* old name, new name */
};
TFS_ASSERT_SIZE(struct tfs_rec_rename, 72);

/* SETATTR: head.flags is a mask of these */
#define TFS_SET_MODE 1u
#define TFS_SET_UID 2u
#define TFS_SET_GID 4u
#define TFS_SET_ATIME 8u
#define TFS_SET_MTIME 16u
#define TFS_SET_CTIME 32u
#define TFS_SET_BTIME 64u
#define TFS_SET_FLAGS 128u /* user_flags */
#define TFS_SET_CODEC 256u /* codec, level, window for later writes */
struct tfs_rec_setattr {
	struct tfs_rec_head head;
	le32 mode, uid, gid, user_flags;
	u8 codec, codec_level, window_bits, reserved0;
	le32 reserved;
	struct tfs_time atime, mtime, ctime, btime;
};
TFS_ASSERT_SIZE(struct tfs_rec_setattr, 120);

#define TFS_XATTR_MOVED 1u /* head.flags: where 1, and the same value at another place; no time changes */
struct tfs_rec_xattr {     /* the new state of one attribute */
	struct tfs_rec_head head;
	le32 value_len;
	u8 name_len;
	u8 where; /* as in struct tfs_xattr; 0xff: removed */
	le16 reserved;
	/* name, then value or struct tfs_disk_ptr */
};
TFS_ASSERT_SIZE(struct tfs_rec_xattr, 40);

#define TFS_WRITE_INLINE                                                                                               \
	1u /* payload: bytes, becomes the INLINE item; else items {le64 first block, le32 length, le32 0, struct       \
	      tfs_extent padded to 8} */
#define TFS_WRITE_TIMES 2u /* head.time becomes mtime and ctime */
struct tfs_rec_write {
	struct tfs_rec_head head;
	le64 block;  /* first file block of the range replaced */
	le64 size;   /* file size from now on, bytes */
	le32 blocks; /* range replaced; never crosses a window */
	le32 count;  /* items, or bytes when inline */
};
TFS_ASSERT_SIZE(struct tfs_rec_write, 56);

struct tfs_rec_clone {
	struct tfs_rec_write to; /* flags: TFS_WRITE_TIMES at most; count: 0 */
	le64 source;             /* inode whose extents it is to share */
	le64 from;               /* its first file block; the range lies in one window there, too */
};
TFS_ASSERT_SIZE(struct tfs_rec_clone, 72);

/* In head.flags of TRUNCATE and PUNCH: lines go that were to be sent. Those are in the orphan `copy`, if that is not 0,
 * which counts from now on. PUNCH: the SHIP item's generation goes up, and no cursor stays before the range's end. */
#define TFS_RANGE_LINES 1u
struct tfs_rec_range { /* TRUNCATE: size only; PUNCH, PREALLOC: range; PREALLOC: size too */
	struct tfs_rec_head head;
	le64 block; /* TRUNCATE: copy */
	le64 blocks;
	le64 size; /* PUNCH: copy */
};
TFS_ASSERT_SIZE(struct tfs_rec_range, 56);

enum tfs_ship_what {
	TFS_SHIP_RULE = 1,   /* a new rule, and its entry with the inode, as by CURSOR */
	TFS_SHIP_REMOVE = 2, /* the rule goes; ino 0 */
	TFS_SHIP_CURSOR = 3, /* the inode's entry is added, or set */
	TFS_SHIP_CUT = 4,    /* the orphan's item is made: it holds what will be cut off inode `rule` from `acked` on */
};
struct tfs_rec_ship { /* head.flags: enum tfs_ship_what */
	struct tfs_rec_head head;
	le64 rule; /* RULE: not below next_ino, of which it takes one */
	le64 acked;
	le32 generation; /* that of the inode's item */
	le16 pattern_len, target_len;
	/* RULE: pattern, target */
};
TFS_ASSERT_SIZE(struct tfs_rec_ship, 56);

#endif
