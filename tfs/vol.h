/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The volume in memory, whole: for tree, space, log, checkpoint and mount. Names and data get by with core.h. */
#ifndef TFS_VOL_H
#define TFS_VOL_H

#include "tfs/core.h"

#define TFS_LOG_BUFFER (128u << 10)
#define TFS_HEAD_BLOCKS 64u      /* a head's open run, at most */
#define TFS_NODE_HEAD_BLOCKS 16u /* of nodes: what an fsync may have to wait for while a checkpoint goes on */
#define TFS_HASH_BUCKETS 1024u
#define TFS_PIN_BUCKETS 256u
#define TFS_CACHE_MIN 1024u
#define TFS_DIRTY_MAX 4096u /* nodes */
#define TFS_LOG_MAX 16384u  /* blocks */
#define TFS_SCRATCH (256u << 10)

/* Blocks that are dead in SPACE and must not be reused yet, by reason. A block is pinned for one reason at most. */
enum tfs_pin { TFS_PIN_EVEN, TFS_PIN_ODD, TFS_PIN_META, TFS_PINS };

struct tfs_pin_chunk { /* 1024 blocks */
	struct tfs_pin_chunk *next;
	u64 index;
	u64 bits[TFS_PINS][16];
};

/* Where content of one kind goes: an open run of free blocks, filled in ascending order and written when closed. */
struct tfs_head {
	u64 segment; /* where it looks first */
	u64 pos;     /* block to look on from */
	u64 from;    /* block: the run's first not yet written */
	u64 end;     /* block after the run; from == end: no run */
	u32 fill;    /* bytes placed in buf since from */
	u8 *buf;     /* TFS_HEAD_BLOCKS blocks */
};
enum {
	TFS_HEAD_DATA,
	TFS_HEAD_COLD,
	TFS_HEAD_NODE,
	TFS_HEAD_LOG,
	TFS_HEAD_BESIDE,
	TFS_HEADS
};                            /* COLD: what the compactor moves */
#define TFS_BESIDE_BLOCKS 16u /* of data behind one log write, at most */

struct tfs_log_run {
	struct tfs_log_run *older;
	u64 addr;
	u32 from, blocks; /* pinned: blocks [from, blocks) of it */
};

struct tfs_log {
	struct tfs_log_position pos; /* CPU order; sequence: of the next record to be written */
	struct tfs_log_run *runs;    /* newest (pos.next) first; all pinned */
	u8 *pending;                 /* records not yet written */
	u32 bytes;
	u32 begun;       /* records that begin in pending */
	u32 carry;       /* bytes at pending's front that belong to a record begun in the last write */
	u64 next;        /* sequence of the next record */
	u64 durable;     /* records below are durable */
	u64 blocks_used; /* since the last checkpoint began */
	u32 beside;      /* blocks of data placed behind the next write */
	u8 *write;       /* the write being built */
};

struct tfs_drop {
	struct tfs_drop *next;
	struct tfs_ptr ptr;
};

#define TFS_PLACED_MAX 64u
struct tfs_placed {
	u64 block;
	u32 blocks;
};

struct tfs_gang_ref { /* gangs read by tfs_ptr_prepare, until the next operation begins */
	struct tfs_gang_ref *next;
	u64 addr;
	struct tfs_gang gang;
};

struct tfs_snap { /* a snapshot that is not dying */
	u64 epoch, first_list;
	u64 list, runs; /* where goes what it is the oldest to hold, 0: nowhere yet; runs used of it */
	u64 reserved;   /* runs that prepared drops may still add */
};

#define TFS_META_BLOCKS (TFS_LIST_PTRS + 1)
enum tfs_ck_state { TFS_CK_IDLE, TFS_CK_NODES, TFS_CK_META, TFS_CK_ANCHOR, TFS_CK_SETTLE, TFS_CK_CLAIM };
struct tfs_ck {
	enum tfs_ck_state state;
	u64 epoch;
	u64 snapshot; /* the epoch, when the checkpoint is to be one; 0: not */
	bool clean;
	u8 level, pass;
	struct tfs_node *cursor;
	struct tfs_list_head frozen;
	struct tfs_ptr root[TFS_TREES];
	struct tfs_counters counters;
	u64 live_units;
	u64 sequence;
	struct tfs_log_position log;
	struct tfs_disk_ptr block; /* the checkpoint block */
	u64 writes;                /* of the volume when that was, then when the anchors were written: to be flushed */
	u64 meta[TFS_META_BLOCKS]; /* addresses of its checkpoint and list blocks */
	u32 metas;
};

/* The compactor's sweep (compact.c); victim NULL: none is under way. */
struct tfs_compact {
	u8 *victim; /* a bit a segment: to be emptied */
	u8 *stuck;  /* a bit a segment: was a victim, and something in it does not move */
	int tree;   /* the sweep goes on at `next` of it, in a leaf that ends before `leaf_end` */
	struct tfs_key next, leaf_end;
	u64 victims, whole;  /* free segments when the sweep began */
	u64 moved;           /* moved_blocks at the last checkpoint for their places */
	u64 spent;           /* blocks that it moved since the mount */
	u32 misses;          /* extents that found no place in this sweep */
	bool moving;         /* what is placed now is moved */
	bool ignored;        /* nothing else is left: victims may be written into */
	bool off;            /* only on demand */
	u64 sweeps, emptied; /* since the mount: done, and victims that they left empty */
};

/* A leaf that a search ended in, and its keys: lo <= key < hi (finger.c). */
#define TFS_FINGERS 4u /* of each tree */
struct tfs_finger {
	struct tfs_node *leaf; /* good while shape is the volume's */
	u64 root;              /* address of the root it was found from */
	u64 shape;
	struct tfs_key lo, hi;
};

/* kept.c: files without a name whose lines have not all arrived, oldest first. 128 KiB at most. */
#define TFS_KEPT_MAX 4096u
struct tfs_kept_file {
	u64 ino, blocks; /* blocks: of its unsent bytes, when it came here */
	u64 origin; /* whose lines they are, as whoever sends them knows it: its own, or of the file they were cut off */
	u32 generation;
};
struct tfs_kept {
	struct tfs_kept_file *file;
	u32 count, room;
	u64 blocks; /* sum */
	u64 lost;   /* bytes that went unsent, since the mount */
};

#define TFS_SEGMENT_GROUP 16u
struct tfs_segment_bounds { /* blocks, at most */
	u16 free, longest;
};

struct tfs_vol {
	struct tfs_dev *dev;
	struct tfs_env env;
	struct tfs_super super;
	u64 volume;
	bool bulk, read_only, replaying, damaged, was_clean;
	bool leaving; /* the checkpoint that begins is the last: no log follows it */
	bool discard;
	bool repairing; /* fsck: SPACE is not looked at, it will be rebuilt (repair.c) */
	bool mending;   /* fsck: SPACE was rebuilt, the checkpoint that ends the repair is still to come */
	int stopped;    /* first I/O error that ended writing */
	u64 epoch;      /* open */
	u64 anchor;     /* newest durable at both ends */

	struct tfs_ptr root[TFS_TREES];
	struct tfs_node *hash[TFS_HASH_BUCKETS];
	struct tfs_list_head lru, ahead, dirty;
	u64 next_mem;
	u64 shape; /* from 1 on; another one: what fingers know of the leaves need not hold */
	struct tfs_finger finger[TFS_TREES][TFS_FINGERS];
	u32 finger_next[TFS_TREES]; /* the next to be replaced */
	u32 cache_max;
	u32 dirty_max; /* nodes, of both epochs, by memory */
	u32 dirty_cap; /* and by the reserve: what a checkpoint can always place */
	struct tfs_drop *drops;
	struct tfs_gang_ref *gangs;

	u32 segment_bits;
	u32 segment_blocks, map_bytes; /* map_bytes: of one SPACE map item */
	u64 segments, total_blocks;
	struct tfs_segment *segment; /* CPU order */
	u16 *longest; /* of each segment: no free run is longer than so many blocks, as far as is known */
	struct tfs_segment_bounds *group; /* of each TFS_SEGMENT_GROUP segments, of which none has more: free.c */
	u64 used_blocks, live_units, pinned_blocks, reserve_blocks;
	u64 stated_units, loaded_units; /* live, by the checkpoint block that was mounted and by its SPACE tree */
	struct tfs_pin_chunk *pins[TFS_PIN_BUCKETS];
	struct tfs_head head[TFS_HEADS];
	u64 search;                               /* segment to look at first for a new run */
	struct tfs_placed placed[TFS_PLACED_MAX]; /* by the operation under way, pinned META until claimed */
	u32 placeds;

	struct tfs_compact compact;
	struct tfs_kept kept;

	struct tfs_counters counters;
	struct tfs_log log;
	u32 log_share;              /* blocks */
	u64 writes, flushed_writes; /* handed to the device; of them before the last flush */
	u64 super_writes;           /* when the last superblock was written that waits for a flush */
	u64 feature_writes;         /* of the superblock with a new feature, its second copy alone; 0: none is due */
	u64 log_blocks, checkpoints, checkpoints_forced;
	bool host_checkpoints;                                   /* TFS_MOUNT_CHECKPOINTS */
	u64 user_blocks, data_blocks, node_blocks, moved_blocks; /* as in struct tfs_stat */
	struct tfs_ck ck;
	u8 node_codec;             /* of nodes written; zlib when a zlib volume is made */
	u64 meta[TFS_META_BLOCKS]; /* of the durable anchor */
	u32 metas;

	struct tfs_snap *snap; /* ascending */
	u32 snaps, snaps_max, dying;
	u64 snap_newest; /* epoch of the last, 0: none. What was born by then is held */
	u64 next_list;
	u64 dying_epoch, dying_list; /* the one being freed, 0: to be looked for; the next list to look at */
	bool snap_reserved;          /* some .reserved is not 0 */
	bool rolling;                /* rolled back in memory, and the checkpoint that makes it so is not through */
	u64 old;                     /* key of what a rollback left to be freed, 0: nothing */
	bool old_lists, old_stuck;   /* its deadlists are not emptied yet; it cannot be read: fsck's work */
	u64 dead_units;              /* on deadlists: live in SPACE, held by snapshots alone */
	bool stepwise;  /* what changes snapshots leaves its checkpoint to the host: tfs_snapshots_stepwise */
	bool viewing;   /* root[] of FS and REFS are a snapshot's, view_root the live ones */
	bool view_gone; /* a snapshot that was deleted meanwhile */
	struct tfs_ptr view_root[TFS_TREES];

	struct tfs_need need[TFS_NEEDS_MAX];
	struct tfs_node *need_leaf[TFS_NEEDS_MAX];
	u32 needs;
	u8 *rec, *scratch;
	u8 *node_scratch; /* 3 * TFS_NODE_SIZE: a stored node, and the last third for decoding it */
};

/* node.c: one node in its buffer; no volume, no I/O */
void tfs_node_init(void *buf, int tree, int level, u64 volume);
u32 tfs_node_count(const void *buf);
int tfs_node_level(const void *buf);
/* Lowest slot whose key is >= key; *exact tells whether it is equal. Leaf and index. */
u32 tfs_node_search(const void *buf, struct tfs_key key, bool *exact);
struct tfs_key tfs_node_key(const void *buf, u32 slot);
void *tfs_leaf_value(void *buf, u32 slot, u32 *len);
u32 tfs_leaf_free(const void *buf); /* bytes for slots and aligned values */
u32 tfs_leaf_cost(u32 len);         /* what a value of len bytes takes of it */
/* spare: TFS_NODE_SIZE bytes to compact with */
void tfs_leaf_insert(void *buf, u8 *spare, u32 slot, struct tfs_key key, const void *value, u32 len);
void tfs_leaf_remove(void *buf, u32 slot);
void tfs_leaf_move(void *to, u8 *spare, void *from,
                   u32 slot); /* slots from `slot` on go to the (emptier, higher) node `to` */
void tfs_leaf_compact(void *buf, u8 *spare);
struct tfs_branch *tfs_branch_at(void *buf, u32 slot);
u32 tfs_branch_find(const void *buf, struct tfs_key key); /* the child that covers key */
void tfs_branch_insert(void *buf, u32 slot, struct tfs_key key, const struct tfs_ptr *ptr);
void tfs_branch_remove(void *buf, u32 slot);

/* cache.c */
struct tfs_node *tfs_cache_find(struct tfs_vol *vol, u64 id);
/* lo: what the first branch's key must equal and the least key; hi: all keys below (hi.a == ~0: none). */
int tfs_cache_get(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr, int level, struct tfs_key lo,
                  struct tfs_key hi, struct tfs_node **out);
struct tfs_node *tfs_cache_new(struct tfs_vol *vol, int tree, int level); /* dirty, in the open epoch */
int tfs_cache_dirty(struct tfs_vol *vol, struct tfs_node **node);         /* may replace *node by a copy */
void tfs_cache_forget(struct tfs_vol *vol, struct tfs_node *node);        /* dirty, of the open epoch, unlinked */
void tfs_cache_clean(struct tfs_vol *vol,
                     struct tfs_node *node); /* written: goes to the LRU by its address, or away if superseded */
/* The place is about to be another's: a clean node that lay there, if memory still has it, goes. */
void tfs_cache_stale(struct tfs_vol *vol, u64 addr);
void tfs_cache_touch(struct tfs_vol *vol, struct tfs_node *node);
void tfs_cache_trim(struct tfs_vol *vol);
/* For read-ahead: a stored node joins the cache, if it is sound and not there. Until somebody asks for it, it stands
 * with others of its kind in a row of its own, which the oldest leaves when the row is full. */
bool tfs_cache_offer(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr, int level, struct tfs_key lo,
                     struct tfs_key hi, const u8 *stored);
void tfs_cache_destroy(struct tfs_vol *vol);
void tfs_list_add(struct tfs_list_head *l, struct tfs_node *n);
void tfs_list_remove(struct tfs_list_head *l, struct tfs_node *n);
void tfs_list_sort(struct tfs_list_head *l); /* by tree and first key */
/*
 * columns.c: the body, TFS_NODE_SIZE - 64 bytes, of a compact node of TFS_COLUMN_ROWS items or more by columns, which
 * spoils the node; and back, behind the head that is there. False: no node comes to this.
 */
void tfs_columns_out(u8 *columns, u8 *node);
bool tfs_columns_in(u8 *node, u8 *columns);
/* Stored form to memory. spare, of both: TFS_NODE_SIZE bytes. -ENOMEM; -EIO, and what is wrong. */
int tfs_node_decode(u8 *buf, const u8 *in, u32 bytes, u8 *spare, const char **why);
/* Stored form of a compact node, by codec or as TFS_NODE_COLUMNS (or raw, where that saves nothing); bytes, a multiple
 * of 512. */
u32 tfs_node_store(const u8 *node, int codec, u8 *out, u8 *spare);

/* ahead.c: before the child at this slot is got; hi: where the node's own range ends. Reads ahead, or does nothing. */
#define TFS_AHEAD_NODES 24u /* each is decoded, and takes the place of another */
void tfs_ahead(struct tfs_vol *vol, struct tfs_node *n, u32 slot, struct tfs_key hi);
/* The same, by who goes in order through the children that were born after `since`. */
void tfs_ahead_born(struct tfs_vol *vol, struct tfs_node *n, u32 slot, u64 since, struct tfs_key hi);

/* finger.c */
const struct tfs_finger *tfs_finger_find(struct tfs_vol *vol, int tree, struct tfs_key key); /* NULL: none is known */
void tfs_finger_set(struct tfs_vol *vol, int tree, struct tfs_node *leaf, struct tfs_key lo, struct tfs_key hi);
static inline void tfs_fingers_forget(struct tfs_vol *vol)
{
	vol->shape++;
}

/* tree.c */
int tfs_tree_dirty(struct tfs_vol *vol, int tree, struct tfs_key key, struct tfs_node **leaf);
int tfs_tree_split(struct tfs_vol *vol, int tree, struct tfs_key key); /* its leaf in two */
int tfs_tree_ensure(struct tfs_vol *vol, int tree, struct tfs_key key, const void *value,
                    u32 len); /* dirty leaf, item there */
/* Nodes on the way to key that lie in a victim and are clean; *end: where the leaf's keys end, {~0, ~0}: the tree. */
int tfs_tree_victims(struct tfs_vol *vol, int tree, struct tfs_key key, struct tfs_key *end);
int tfs_settle_drops(struct tfs_vol *vol);
int tfs_push_drop(struct tfs_vol *vol, const struct tfs_ptr *ptr);
int tfs_push_node_drop(struct tfs_vol *vol, int tree, const struct tfs_ptr *ptr);
/* The node of this level that covers lo becomes an empty one, if it cannot be read. */
int tfs_tree_blank(struct tfs_vol *vol, int tree, struct tfs_key lo, int level);

/* born.c: the way from the root to a node, by level; node[level] is where it ends */
struct tfs_born {
	struct tfs_node *node[TFS_HEIGHT_MAX];
	struct tfs_key lo[TFS_HEIGHT_MAX], hi[TFS_HEIGHT_MAX];
	int top, level;
	struct tfs_ptr next; /* on an error: of the node that cannot be read, its range in lo and hi */
	int next_level;      /* a damaged root: 0 */
};
/*
 * The way to the first leaf at or behind *key whose nodes were all born after `since` (or are in memory only): *key is
 * carried on to where that begins. level above 0: of the index node there, nothing at or behind *key is new. -ENOENT:
 * nor is the root; -EIO and the like. Good until the next call that may read nodes.
 */
int tfs_born_find(struct tfs_vol *vol, int tree, const struct tfs_ptr *root, u64 since, struct tfs_key *key,
                  struct tfs_born *p);
/* The same, by who goes through all of them: the next ones are read ahead. */
int tfs_born_ahead(struct tfs_vol *vol, int tree, const struct tfs_ptr *root, u64 since, struct tfs_key *key,
                   struct tfs_born *p);

/* space.c */
int tfs_space_init(struct tfs_vol *vol);                 /* geometry and segment table from vol->super */
int tfs_space_resize(struct tfs_vol *vol, u64 segments); /* another table, for more or fewer; vol->super as it was */
/* The same in two steps, of which the second cannot fail. */
struct tfs_segment_table {
	struct tfs_segment *segment;
	u16 *longest;
	struct tfs_segment_bounds *group;
};
int tfs_space_table(struct tfs_vol *vol, u64 segments, struct tfs_segment_table *out);
void tfs_space_table_use(struct tfs_vol *vol, u64 segments, struct tfs_segment_table *table);
void tfs_space_table_free(struct tfs_segment_table *table);
int tfs_space_load(struct tfs_vol *vol);             /* segment table from the SPACE tree */
int tfs_space_format(struct tfs_vol *vol, u64 from); /* items of the table, all zero, for segments from `from` on */
/* Puts a segment's whole map (segment_blocks bytes) and its counts, under keys not there yet. */
int tfs_space_set(struct tfs_vol *vol, u64 segment, const u8 *map);
bool tfs_space_valid(const struct tfs_vol *vol, u64 addr, u32 units);
int tfs_space_prepare(struct tfs_vol *vol, u64 addr, u32 units);
void tfs_space_mark(struct tfs_vol *vol, u64 addr, u32 units, bool live);
int tfs_space_live(struct tfs_vol *vol, u64 addr, u32 units, bool want); /* -EUCLEAN unless all are so */
/* free.c */
/* The map item, NULL when all of it is free; good until the next call that reads a tree. */
int tfs_space_map(struct tfs_vol *vol, u64 segment, u64 chunk, const u8 **map);
/* First run of min..max free blocks at or after block `from` of the segment. Returns its length, 0: none. */
u64 tfs_space_find(struct tfs_vol *vol, u64 segment, u64 from, u32 min, u32 max, u64 *start);
/* The first segment in from..end - 1 with at least `free` blocks that are not live, and a run of min of them as far as is
 * known; end: none. */
u64 tfs_space_next(struct tfs_vol *vol, u64 from, u64 end, u32 free, u32 min);
/* The block may be used again: what was known of its segment's runs no longer holds. */
void tfs_space_freed(struct tfs_vol *vol, u64 block);
void tfs_space_emptier(struct tfs_vol *vol, u64 segment); /* it has fewer live blocks than before */
void tfs_space_unknown(struct tfs_vol *vol);              /* the whole table is another */
static inline u64 tfs_segment_block(const struct tfs_vol *vol, u64 segment)
{
	return (TFS_SEGMENTS_OFFSET >> TFS_BLOCK_BITS) + (segment << (vol->segment_bits - TFS_BLOCK_BITS));
}
static inline u64 tfs_block_segment(const struct tfs_vol *vol, u64 block)
{
	return (block - (TFS_SEGMENTS_OFFSET >> TFS_BLOCK_BITS)) >> (vol->segment_bits - TFS_BLOCK_BITS);
}

/* pin.c */
int tfs_pin_prepare(struct tfs_vol *vol, u64 block, u64 blocks);
void tfs_pin_set(struct tfs_vol *vol, enum tfs_pin pin, u64 block, u64 blocks); /* prepared */
int tfs_pin(struct tfs_vol *vol, enum tfs_pin pin, u64 block, u64 blocks);
/* The blocks pinned for one reason are from now on for the other. */
void tfs_pin_turn(struct tfs_vol *vol, enum tfs_pin from, enum tfs_pin to, u64 block, u64 blocks);
/* Lifts META pins alone: data beside the log may have died before its run is released, and waits for its epoch. */
void tfs_unpin(struct tfs_vol *vol, u64 block, u64 blocks);
void tfs_unpin_claimed(struct tfs_vol *vol, u64 block); /* it is live now */
void tfs_unpin_all(struct tfs_vol *vol, enum tfs_pin pin);
void tfs_pin_discard(struct tfs_vol *vol, enum tfs_pin pin); /* its blocks, best effort */
bool tfs_pinned(const struct tfs_vol *vol, u64 block);
void tfs_pin_destroy(struct tfs_vol *vol);
static inline enum tfs_pin tfs_epoch_pin(u64 epoch)
{
	return epoch & 1 ? TFS_PIN_ODD : TFS_PIN_EVEN;
}

/* place.c */
int tfs_head_open(struct tfs_vol *vol, int head, u32 min, u32 max); /* finds a run of at least min blocks */
int tfs_head_close(struct tfs_vol *vol, int head);
int tfs_data_close(struct tfs_vol *vol); /* both data heads */
int tfs_head_packed(struct tfs_vol *vol, int head, const void *buf, u32 bytes, struct tfs_ptr *out);
int tfs_head_blocks(struct tfs_vol *vol, int head, const void *buf, u32 blocks, struct tfs_ptr *out);
void tfs_placed_forget(struct tfs_vol *vol); /* lifts the pins of what a failed operation placed */
void tfs_gangs_forget(struct tfs_vol *vol);
int tfs_heads_close_over(struct tfs_vol *vol, u64 addr, u32 units); /* writes what a head still buffers of it */

/* compact.c */
bool tfs_segment_busy(const struct tfs_vol *vol,
                      u64 segment); /* something is being written into it: a head's run, or the log's */
static inline bool tfs_compact_victim(const struct tfs_vol *vol, u64 segment)
{
	return vol->compact.victim[segment / 8] >> segment % 8 & 1;
}
void tfs_compact_forget(struct tfs_vol *vol); /* ends a sweep where it is */
void tfs_compact_destroy(struct tfs_vol *vol);

/* dead.c: what snapshots alone hold */
int tfs_snap_load(struct tfs_vol *vol); /* the table, from the SNAP tree */
int tfs_snap_room(struct tfs_vol *vol); /* for one more in the table */
void tfs_snap_add(struct tfs_vol *vol, u64 epoch, u64 first_list);
void tfs_snap_remove(struct tfs_vol *vol, u64 epoch);
void tfs_snap_cut(struct tfs_vol *vol, u64 epoch, u64 first_list); /* it becomes the newest, without lists so far */
u32 tfs_snap_from(const struct tfs_vol *vol, u64 epoch);           /* index of the first at or after it */
bool tfs_dead_span(const struct tfs_vol *vol, const struct tfs_deadlist *l, u32 *oldest,
                   u32 *newest); /* indices; false: none holds it */
int tfs_dead_prepare(struct tfs_vol *vol, u64 birth, u64 addr, u32 units);
void tfs_dead_add(struct tfs_vol *vol, u64 birth, u64 addr, u32 units);
void tfs_dead_reset(struct tfs_vol *vol);                         /* what was prepared is not going to be added */
static inline bool tfs_held(const struct tfs_vol *vol, u64 birth) /* by a snapshot, if it is live now */
{
	return vol->snaps && birth <= vol->snap_newest; /* a crafted birth is 0 */
}

/* snapshot.c */
int tfs_snapshots_finish(struct tfs_vol *vol); /* what a crash left of a delete or a rollback */
int tfs_snapshot_begin(struct tfs_vol *vol, enum tfs_tier tier, u64 blocks); /* for what changes them */
/* One step of taking a deadlist apart; keep: what it names is live again, and stays. 1: there is more. */
int tfs_deadlist_step(struct tfs_vol *vol, u64 id, const struct tfs_deadlist *l, bool keep);
int tfs_deadlist_next(struct tfs_vol *vol, u64 *id, struct tfs_deadlist *out); /* -ENOENT */
int tfs_snap_remove_item(struct tfs_vol *vol, struct tfs_key key);             /* of the SNAP tree */

/* verify.c: a node's stored form; buf: TFS_VERIFY_BYTES. As tfs_data_verify. */
int tfs_node_verify(struct tfs_vol *vol, int tree, int level, struct tfs_key lo, const struct tfs_ptr *ptr, u8 *buf,
                    tfs_bad_fn fn, void *arg);

/* old_state.c: what a rollback left */
int tfs_old_load(struct tfs_vol *vol);
int tfs_old_lists(struct tfs_vol *vol);            /* empties its deadlists at once */
int tfs_old_step(struct tfs_vol *vol);             /* 1: there is more */
int tfs_old_leave(struct tfs_vol *vol, u64 epoch); /* all of it, when it leans on that snapshot, which is to go */
void tfs_snapshot_fill(struct tfs_vol *vol, const struct tfs_disk_ptr *fs, const struct tfs_disk_ptr *refs);

/* log.c */
int tfs_log_start(struct tfs_vol *vol); /* a new generation in fresh runs */
u64 tfs_log_append(struct tfs_vol *vol, const struct tfs_rec_head *rec, u32 len);
int tfs_log_submit(struct tfs_vol *vol);
/* Makes room for bytes of data behind the next log write, in the head TFS_HEAD_BESIDE. False: it goes elsewhere. */
bool tfs_log_beside(struct tfs_vol *vol, u32 bytes);
void tfs_log_release(struct tfs_vol *vol, const struct tfs_log_position *keep); /* runs older than keep's */
int tfs_log_adopt(struct tfs_vol *vol, u64 addr, u32 from, u32 blocks);         /* pins a run found in replay */
/* Data beside the log that died in an epoch, and waits no longer for that, waits for the release of its run. */
void tfs_log_keep_dead(struct tfs_vol *vol, u64 epoch);
void tfs_log_destroy(struct tfs_vol *vol);
int tfs_flush(struct tfs_vol *vol);

/* replay.c */
int tfs_replay(struct tfs_vol *vol, const struct tfs_anchor *anchor);

/* checkpoint.c */
int tfs_checkpoint_begin(struct tfs_vol *vol, bool clean);
int tfs_checkpoint_run(struct tfs_vol *vol, bool clean); /* finishes a running one first */
/* The open epoch becomes a snapshot; none must be running. *gone: it is past the gate, whatever failed then. */
int tfs_checkpoint_snapshot(struct tfs_vol *vol, u64 first_list, bool *gone);
/* What changed snapshots becomes durable: all of it, or begun and left to the host. */
int tfs_checkpoint_change(struct tfs_vol *vol);
u32 tfs_dirty_nodes(const struct tfs_vol *vol);

/* super.c */
u32 tfs_head_crc(const struct tfs_block_head *head, u32 length);
void tfs_head_seal(struct tfs_block_head *head, int type, u64 volume, u32 length);
const char *tfs_head_check(const void *block, int type, u64 volume, u32 max);
int tfs_super_write(struct tfs_vol *vol);
int tfs_super_feature(struct tfs_vol *vol, u64 ro_compat); /* sets the bit */
/* The same without waiting, in two calls with a flush between: -EAGAIN until it is over. The next flush ends it. */
int tfs_super_feature_step(struct tfs_vol *vol, u64 ro_compat);
int tfs_anchor_write(struct tfs_vol *vol, struct tfs_anchor *anchor);
int tfs_anchors_copy(struct tfs_vol *vol, u64 size); /* all slots, to where a volume of that size has its second */

/* mkvol.c */
u64 tfs_segments_for(u64 size, u32 segment_bits);

/* kept.c */
/* Of an orphan that is to be freed: *kept says whether it stays, as long as lines of it are to be forwarded. 1: there
 * is more to do for that, call again. */
int tfs_kept_step(struct tfs_vol *vol, u64 ino, const struct tfs_inode *inode, bool *kept);
bool tfs_kept_has(const struct tfs_vol *vol, u64 ino);
u64 tfs_kept_of(const struct tfs_vol *vol, u64 origin, u32 generation); /* which holds these lines; 0: none */
u64 tfs_kept_limit(const struct tfs_vol *vol);                          /* bytes of one file */
void tfs_kept_forget(struct tfs_vol *vol, u64 ino);                     /* it was freed */
void tfs_kept_reset(struct tfs_vol *vol);                  /* another state, or before every orphan is evicted */
int tfs_kept_review(struct tfs_vol *vol, u64 ino);         /* frees it if its lines have arrived or their rules went */
void tfs_kept_review_some(struct tfs_vol *vol, u32 files); /* of the oldest; best effort */
/* For want of space: the oldest is freed. False: there is none, or it failed. */
bool tfs_kept_give_up(struct tfs_vol *vol);

/* mount.c */
int tfs_orphans_evict(struct tfs_vol *vol); /* all of them */
int tfs_vol_new(struct tfs_dev *dev, const struct tfs_env *env, struct tfs_vol **out);
void tfs_vol_free(struct tfs_vol *vol);
int tfs_dev_io(struct tfs_vol *vol, enum tfs_io_op op, u64 offset, void *buf, u32 bytes, u32 flags);
int tfs_stop(struct tfs_vol *vol, int err); /* ends writing; returns err */
void tfs_event(struct tfs_vol *vol, enum tfs_event event, u64 a, u64 b);

#endif
