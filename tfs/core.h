/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Inside the core: the volume in memory and what its files offer each other. Never included by hosts.
 *
 * An operation: tfs_op_begin (may checkpoint, trim the cache, say ENOSPC) -> validate -> build the record in vol->rec
 * -> tfs_commit, which calls tfs_apply (the same code replays the log) and appends the record. tfs_apply_*: declare
 * every key it will insert, edit or delete with tfs_need, every address it will claim or drop with tfs_ptr_prepare,
 * call tfs_prepare; up to here it may fail and the content of the trees is unchanged. Then only tfs_item_put,
 * tfs_item_del, tfs_item_edit, tfs_ptr_claim, tfs_ptr_drop: these cannot fail.
 *
 * Pointers into nodes stay good until the next call that may read or split nodes; the cache is trimmed in
 * tfs_op_begin only, so nothing is pinned within an operation.
 */
#ifndef TFS_CORE_H
#define TFS_CORE_H

#include "tfs/tfs.h"

#define TFS_MEM_ADDR (1ull << 63) /* node pointers in memory: addr is a dirty node's id, not a place */
#define tfs_err(vol, ...) tfs_port_log(tfs_log_ctx(vol), 0, __VA_ARGS__)
void *tfs_log_ctx(const struct tfs_vol *vol);

struct tfs_node {
	u64 id;                                   /* cache key: address, or TFS_MEM_ADDR | n while in memory only */
	struct tfs_ptr ptr;                       /* place, when it has one (placed) */
	struct tfs_ptr old;                       /* what it replaces on disk, to be dropped; addr 0: nothing */
	u64 epoch;                                /* 0: clean; else the epoch it belongs to */
	struct tfs_node *hash_next, *prev, *next; /* LRU when clean, the epoch's list when dirty */
	u8 tree, level;
	bool placed;     /* written by the running checkpoint */
	bool superseded; /* frozen, and a newer copy exists */
	bool ahead;      /* read ahead, and nobody has asked for it */
	u8 *buf;
};
struct tfs_list_head {
	struct tfs_node *first, *last;
	u32 count;
};

#define TFS_NEEDS_MAX 320 /* an operation's: two cut windows, and a range of 32 items with 96 keys of REFS */
struct tfs_need {
	int tree;
	struct tfs_key key;
	u32 bytes; /* 0: edit or delete only */
};

#define TFS_REC_MAX 16384u
#define TFS_WINDOW_PIECES 16u /* 64 KiB windows; larger ones are not written by this version */

struct tfs_tree_root {
	struct tfs_ptr ptr; /* addr 0: empty */
};

struct tfs_vol; /* the rest: tfs/vol.h, for space, log, checkpoint and mount */

/* ---- items (tree.c) ---- */
/* Exact key. -ENOENT, -EIO, -ENOMEM. */
int tfs_item_find(struct tfs_vol *vol, int tree, struct tfs_key key, const void **value, u32 *len);
/* First item at or after *key (updated). -ENOENT at the tree's end. */
int tfs_item_next(struct tfs_vol *vol, int tree, struct tfs_key *key, const void **value, u32 *len);
/* The same, of what is below hi; no leaf is read that begins there or beyond. */
int tfs_item_next_before(struct tfs_vol *vol, int tree, struct tfs_key hi, struct tfs_key *key, const void **value,
                         u32 *len);
/* Each item of [from, hi) in order, with one search a leaf. fn reads and changes no node; what it returns but 0 ends it,
 * and is returned. */
typedef int (*tfs_scan_fn)(void *arg, struct tfs_key key, const void *value, u32 len);
int tfs_items_scan(struct tfs_vol *vol, int tree, struct tfs_key from, struct tfs_key hi, tfs_scan_fn fn, void *arg);
/* Last item at or before *key (updated). -ENOENT. */
int tfs_item_prev(struct tfs_vol *vol, int tree, struct tfs_key *key, const void **value, u32 *len);
/* In the apply phase, for keys named by tfs_need: */
void tfs_item_put(struct tfs_vol *vol, int tree, struct tfs_key key, const void *value,
                  u32 len); /* insert, or replace: in place when it is as long, so that its need may say 0 bytes */
void tfs_item_del(struct tfs_vol *vol, int tree, struct tfs_key key); /* must exist */
void *tfs_item_edit(struct tfs_vol *vol, int tree, struct tfs_key key,
                    u32 *len);                                          /* in place, same length; must exist */
void *tfs_item_have(struct tfs_vol *vol, int tree, struct tfs_key key); /* as edit; NULL: does not exist */

static inline struct tfs_key tfs_key(u64 ino, u32 type, u64 pos)
{
	return (struct tfs_key){ino, (u64)type << TFS_POS_BITS | (pos & TFS_POS_MASK)};
}
static inline u32 tfs_key_type(struct tfs_key k)
{
	return (u32)(k.b >> TFS_POS_BITS);
}
static inline u64 tfs_key_pos(struct tfs_key k)
{
	return k.b & TFS_POS_MASK;
}
static inline int tfs_key_cmp(struct tfs_key x, struct tfs_key y)
{
	if (x.a != y.a)
		return x.a < y.a ? -1 : 1;
	return x.b == y.b ? 0 : x.b < y.b ? -1 : 1;
}

/* ---- operations (op.c) ---- */
/* EVICT: an orphan's end frees more than it takes. SNAPSHOT dirties SNAP and SPACE alone. */
enum tfs_tier { TFS_TIER_NORMAL, TFS_TIER_FREEING, TFS_TIER_EVICT, TFS_TIER_COMPACT, TFS_TIER_SNAPSHOT };
/* -EROFS, -EIO (stopped), -ENOSPC (blocks is the net growth in blocks; a few items count as 1), -ENOMEM. */
int tfs_op_begin(struct tfs_vol *vol, enum tfs_tier tier, u64 blocks);
/* bytes: value bytes the apply phase will put under the key (0 for edit or delete). A key may be named twice. */
void tfs_need_reset(struct tfs_vol *vol);
void tfs_need(struct tfs_vol *vol, int tree, struct tfs_key key, u32 bytes);
int tfs_prepare(struct tfs_vol *vol);
/* The buffer (TFS_REC_MAX bytes, 16-aligned) to build a record in: zeroed head of `size` bytes, type, ino, time = now.
 */
void *tfs_rec_start(struct tfs_vol *vol, int type, u64 ino, u32 size);
/* Pads, applies, appends. bytes: length of the record before padding. */
int tfs_commit(struct tfs_vol *vol, u32 bytes);
/* After deletes: merges small leaves around key, best effort, content unchanged. */
void tfs_tidy(struct tfs_vol *vol, int tree, struct tfs_key key);
/* Applies one verified-length record. -EUCLEAN: it contradicts the volume. */
int tfs_apply(struct tfs_vol *vol, const struct tfs_rec_head *rec);
int tfs_apply_name(struct tfs_vol *vol,
                   const struct tfs_rec_head *rec); /* name.c: CREATE LINK UNLINK RENAME SETATTR XATTR */
int tfs_apply_data(struct tfs_vol *vol, const struct tfs_rec_head *rec); /* data_apply.c: the others */

/* ---- space (space.c, place.c) ---- */
/* Makes sure that claim or drop of these units cannot fail (reads gangs, dirties SPACE leaves). -EUCLEAN: out of range.
 */
int tfs_ptr_prepare(struct tfs_vol *vol, const struct tfs_ptr *ptr);
/* Does any of it lie in a segment that the compactor empties, and may it move? Negative errno: its gang cannot be read.
 */
int tfs_ptr_victim(struct tfs_vol *vol, const struct tfs_ptr *ptr);
/* Units become live. All must be dead (checked in replay: tfs_ptr_prepare_claim gives -EUCLEAN). */
int tfs_ptr_prepare_claim(struct tfs_vol *vol, const struct tfs_ptr *ptr);
void tfs_ptr_claim(struct tfs_vol *vol, const struct tfs_ptr *ptr);
/* Units die; their blocks are reused after the next checkpoint. */
void tfs_ptr_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr);
/*
 * Extents of files that may be shared (refs.c): as above, for one reference. raw: it is blocks, each counted by itself;
 * else a compressed extent. *shared: others hold some of it, when it was prepared.
 */
int tfs_ref_prepare_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw, bool *shared);
void tfs_ref_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool shared);
/* One more reference to what is live and in no gang. -EOPNOTSUPP: the count is full. */
int tfs_ref_prepare_add(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw);
void tfs_ref_add(struct tfs_vol *vol, const struct tfs_ptr *ptr);
/* How many keys tfs_ref_prepare_drop will name, at most: 2 + 16 (TFS_REF_KEYS), 0 when nothing of it is shared. */
#define TFS_REF_KEYS 18u
int tfs_ref_keys(struct tfs_vol *vol, const struct tfs_ptr *ptr, bool raw);
/* Do others hold its first units? 0 or 1; *units: of how many that is the answer. */
int tfs_ref_shared(struct tfs_vol *vol, const struct tfs_ptr *ptr, u32 *units);
/* Places and writes content (birth = this epoch, crc filled). A failed operation may simply forget what it placed.
 * raw: whole blocks, returns how many blocks were placed contiguously (1..blocks): go on with the rest; crc is left 0.
 * packed: bytes rounded up to 512 (zero padded); contiguous, or a gang. */
/* beside: with the next log write, in one device write, where that can be. */
int tfs_place_raw(struct tfs_vol *vol, const void *buf, u32 blocks, bool beside, struct tfs_ptr *out);
int tfs_place_packed(struct tfs_vol *vol, const void *buf, u32 bytes, bool beside, struct tfs_ptr *out);
void tfs_written_note(struct tfs_vol *vol, u32 blocks); /* a writeback of so many blocks, for the counters */
bool tfs_replaying(const struct tfs_vol *vol);

/* Counters that records change (name.c and data.c keep them exact in the apply phase). */
struct tfs_counters {
	u64 next_ino, inodes, prealloc_blocks, delayed_blocks, delayed_windows;
};
struct tfs_counters *tfs_counters_of(struct tfs_vol *vol);
bool tfs_snapshots_hold(const struct tfs_vol *vol); /* something: each node that changes is growth then */
struct tfs_time tfs_now(struct tfs_vol *vol);
u64 tfs_random(struct tfs_vol *vol);
void *tfs_scratch(struct tfs_vol *vol); /* 256 KiB for data.c and evict: never held across a public call */
/* A damaged or contradicting object: logs `what` with ino and key and returns -EUCLEAN (structure) */
int tfs_corrupt(struct tfs_vol *vol, u64 ino, const char *what);

/* ---- name.c offers data.c, and back ---- */
/* xattr.c, compact.c: the large value of the item at key gets a new place; blocks written. -ENOSPC, -EIO: it stays. */
int tfs_xattr_move(struct tfs_vol *vol, struct tfs_key key);
int tfs_inode_find(struct tfs_vol *vol, u64 ino, struct tfs_inode *out); /* copy, disk order; -ENOENT */
/* data.c: drops content in bounded steps, for evict: 1 more, 0 done */
int tfs_data_free_step(struct tfs_vol *vol, u64 ino);
/* The same of what lies in windows that hold no block of [first, end). */
int tfs_data_outside_step(struct tfs_vol *vol, u64 ino, u64 first, u64 end);
/* data.c, mount.c: one step of a pending range of ino, 1 while there is more */
int tfs_pending_step(struct tfs_vol *vol, u64 ino);

static inline struct tfs_disk_ptr tfs_ptr_disk(const struct tfs_ptr *p)
{
	return (struct tfs_disk_ptr){tfs_cpu64(p->addr), tfs_cpu64(p->birth), tfs_cpu32(p->crc), tfs_cpu16(p->len),
	                             tfs_cpu16(p->flags)};
}
#endif
