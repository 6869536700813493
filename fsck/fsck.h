/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * fsck.tfs: what its parts share. The order: places in place (superblocks, anchors), a mount that writes nothing, then
 * the passes over trees and items, names, space; each notes problems and, where it knows one, a fix. Fixes are applied
 * at the end, in memory, and made durable in one checkpoint (tfs/repair.c).
 */
#ifndef FSCK_H
#define FSCK_H

#include "fsck/problems.h"
#include "tfs/user/cli.h"

/* fsck(8) */
enum fsck_exit { FSCK_OK = 0, FSCK_FIXED = 1, FSCK_LEFT = 4, FSCK_FAILED = 8, FSCK_USAGE = 16, FSCK_CANCELLED = 32 };
enum fsck_mode { MODE_CHECK, MODE_PREEN, MODE_YES, MODE_ASK };

/* ---- found objects ---- */
enum { OBJ_DIR = 1, OBJ_ORPHAN = 2, OBJ_NAMED = 4, OBJ_REACHED = 8, OBJ_WALKED = 16, OBJ_TRUE = 32 };
struct fsck_object {            /* one an inode, in ascending order */
	u64 ino, parent, size;  /* parent: directories; size: those and files */
	u64 name_dir, name_pos; /* where it says that its name stands; OBJ_TRUE: it does */
	size_t name;            /* OBJ_NAMED: index of its entry, of several one that stays if any does */
	u32 nlink, links;       /* stated, found */
	u32 entries, subdirs;
	u8 type, flags;
};
struct fsck_name { /* one a directory entry */
	u64 parent, pos;
	u64 child; /* type << 56 | ino */
};
struct fsck_ship {      /* one an inode with forwarding cursors */
	u64 ino, acked; /* acked: of the one that is furthest */
	u64 origin;     /* 0, or whose bytes the inode holds */
};
struct fsck_run { /* blocks that the extents of one inode map, ascending, not adjacent */
	u64 block, end;
};
struct fsck_span { /* units used twice; base: how many lie in the spans before */
	u64 addr, end, base;
};
struct fsck_raw { /* of each block of a shared range: references, and what the tree says */
	u32 found[16], stated[16];
};
struct fsck_ref { /* count: what its item states, 0: it has none of this length; found: references */
	u64 addr;
	u32 len, count, found;
	bool there, left;     /* in the tree; it is to stay wrong */
	struct fsck_raw *raw; /* NULL: no raw block was found to refer to it */
};

/* ---- fixes, applied in the order noted ---- */
enum fsck_fix_kind {
	FIX_DEL,   /* item */
	FIX_PUT,   /* item with value */
	FIX_PIN,   /* value: struct tfs_ptr of a node that was rescued */
	FIX_NODE,  /* blank a node: key = lo, n = tree << 8 | level; before all others */
	FIX_UNFIT, /* items of inode key.a whose type is in the mask n */
	FIX_SIZE,  /* of inode key.a: n */
	FIX_BLOCKS,
	FIX_FLAGS,
	FIX_ACKED, /* of inode key.a: cursors past n are set to it */
	FIX_MODE,  /* of inode key.a: the bits n go */
	FIX_NLINK,
	FIX_PARENT,
	FIX_NAME,       /* of inode key.a: value: struct tfs_key of the entry that it states, or zeros */
	FIX_ENTRY_TYPE, /* of the entry at key: n */
	FIX_REHASH,     /* move the entry or xattr at key to its own hash */
	FIX_LOST,       /* give inode key.a a name in lost+found */
	FIX_MOVE,       /* nodes of tree from key up to new places */
	FIX_PLACE,      /* the item at key: n is a mask of blocks to get a new place, and << 16 of blocks to go */
};
struct fsck_fix {
	enum fsck_fix_kind kind;
	int tree;
	struct tfs_key key;
	u64 n;
	u32 len;
	u8 *value; /* owned */
};

struct fsck_seen { /* a node that was walked, with all below it */
	u64 addr;  /* 0: free place */
	u32 crc, tree;
};

/* A leaf that no readable index node leads to. */
struct fsck_leaf {
	struct tfs_ptr ptr;
	struct tfs_key first, last;
	u8 tree;
	bool doubtful;
};

extern struct tfs_env fsck_env; /* the host's clock and random numbers */
struct fsck {
	const char *image;
	struct tfs_dev *dev;
	struct tfs_vol *vol;
	struct tfs_stat st;
	enum fsck_mode mode;
	bool json, data, quiet;
	bool stop_preen; /* -p met a LOSS problem */
	bool log_kept;   /* what a repair would give up of the log was not given up */
	bool incomplete; /* damaged nodes: counts and links may be wrong for that reason alone */
	bool space_bad, counters_bad, log_bad;
	bool recount; /* after the repair: fsck_use notes nothing */
	u32 found, fixed, left;
	struct tfs_progress progress;

	struct fsck_object *object;
	struct fsck_name *name;
	struct fsck_ship *ship;
	struct fsck_ref *ref;
	struct fsck_run *run; /* of the inode being looked at */
	struct fsck_fix *fix;
	struct fsck_span *span;
	struct fsck_fix *lifted; /* items taken out, to be put back at a new place: key, value, len */
	size_t objects, names, ships, refs, runs, fixes, spans, lifts;
	size_t objects_max, names_max, ships_max, refs_max, runs_max, fixes_max, spans_max, lifts_max;
	struct tfs_snapshot_info *snap; /* ascending, fsck_snaps.c */
	struct fsck_seen *seen;         /* a hash of nodes, on volumes with snapshots */
	size_t seens, seen_max;
	struct tfs_old_info old; /* what a rollback left; epoch 0: nothing */
	u64 *condemned;          /* epochs of those that are to go */
	size_t snaps, snaps_max, condemneds, condemned_max;
	bool dying, snaps_fix, snap_kept; /* deadlists to be built anew; a damaged snapshot is to stay */
	u64 prealloc, max_ino;
	struct fsck_leaf *leaf; /* by tree and first key, not overlapping */
	size_t leaves, leaves_max;

	u8 **live; /* per segment: live units, a byte a block; NULL: none */
};

/* fsck_run.c: all passes over f->dev, with what f->mode asks for. 0, or why it could not be done: -EINVAL is said
 * already unless f->live is set. Found, fixed and left are counted in f. The volume is closed afterwards. */
int fsck_check(struct fsck *f, bool force); /* force: although the volume is clean */
void fsck_free(struct fsck *f);

/* fsck_report.c: notes the problem and says whether it is to be fixed now. fmt: detail, "expected ..., found ...". */
bool fsck_problem(struct fsck *f, enum fsck_problem p, const char *object, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void fsck_list_problems(void);
const char *fsck_core_message(void); /* the last thing the core said, "" if nothing */
void fsck_core_quiet(void);          /* core messages become details of problems from now on */
int fsck_grow(void *array, size_t *max, size_t need, size_t size); /* -ENOMEM; array: address of the pointer */
void fsck_fix_add(struct fsck *f, enum fsck_fix_kind kind, int tree, struct tfs_key key, u64 n, const void *value,
                  u32 len);
struct tfs_key fsck_key(u64 ino, u32 type, u64 pos);

/* Each pass: 0, or -ENOMEM and the like, which end the run. */
int fsck_places(struct fsck *f); /* fsck_places.c: superblocks and anchors; writes copies at once. -EINVAL: no volume */
/* fsck_rescue.c: leaves below damaged index nodes, into f->leaf; before fsck_trees. */
int fsck_rescue(struct fsck *f);
/* The next of them in a damaged node's range, NULL: no more. *i: 0 at first. */
const struct fsck_leaf *fsck_leaf_next(const struct fsck *f, const struct tfs_node_info *info, size_t *i);
/* Calls fn for the items of all those in the range. */
int fsck_rescued(struct fsck *f, const struct tfs_node_info *info, tfs_item_fn fn, void *arg);
/* fn for each item of a verified leaf, until it returns nonzero. */
int fsck_leaf_items(const void *node, tfs_item_fn fn, void *arg);
struct tfs_key fsck_leaf_key(const void *node, u32 slot);
int fsck_trees(struct fsck *f); /* fsck_trees.c: all nodes and items, usage */
struct fsck_item_state;
int fsck_items_begin(struct fsck *f, struct fsck_item_state **out);
int fsck_item(struct fsck_item_state *s, struct tfs_key key, const void *value, u32 len); /* fsck_items.c */
int fsck_items_end(struct fsck_item_state *s);
#define FSCK_WINDOW_BLOCKS (1u << (TFS_WINDOW_BITS - TFS_BLOCK_BITS))
/* The compressed extents that the window being looked at refers to: several pieces of one are one reference. */
struct fsck_window {
	u64 ino, window;
	u32 count;
	struct tfs_extent extent[FSCK_WINDOW_BLOCKS];
};
bool fsck_window_again(struct fsck_window *w, struct tfs_key key, const struct tfs_extent *e); /* met before */
/* What the item refers to can be there: in the volume, born by now, an extent within its window. */
bool fsck_place_sound(const struct fsck *f, struct tfs_key key, const void *value, const struct tfs_ptr *p);
int fsck_names(struct fsck *f); /* fsck_names.c */
struct fsck_object *fsck_object_find(struct fsck *f, u64 ino);
int fsck_space(struct fsck *f); /* fsck_space.c */
/* Counts the place as live; units that were so before are noted in f->span. -EUCLEAN, -EIO: a gang whose list of places
 * is damaged; nothing of it is counted. */
int fsck_use(struct fsck *f, const struct tfs_ptr *ptr);
/* fsck_refs.c: the same for a window's reference to a compressed extent, and for raw blocks, which others may share. */
int fsck_use_shared(struct fsck *f, const struct tfs_ptr *ptr);
int fsck_use_raw(struct fsck *f, const struct tfs_ptr *ptr);
bool fsck_used(const struct fsck *f, u64 addr);
/* Counts what of the place is not in use yet, and tells fn of it. */
int fsck_use_new(struct fsck *f, const struct tfs_ptr *ptr, int (*fn)(void *arg, u64 addr, u32 units), void *arg);
int fsck_use_run_new(struct fsck *f, u64 addr, u32 units);              /* -EUCLEAN: some of it is */
int fsck_seen_add(struct fsck *f, int tree, const struct tfs_ptr *ptr); /* what older snapshots need not walk again */
int fsck_snaps(struct fsck *f);                                         /* fsck_snaps.c: snapshots and deadlists */
int fsck_snaps_try(struct fsck *f);   /* in a repair, after damaged nodes; f->live is of no use afterwards */
int fsck_snaps_again(struct fsck *f); /* in a repair, when the live trees are counted: deadlists built anew */
int fsck_bad(void *arg, const struct tfs_bad *b); /* fsck_data.c: reports what verifying found; arg: the struct fsck */
int fsck_old(struct fsck *f);                     /* fsck_old.c: what a rollback left */
int fsck_old_pin(struct fsck *f);                 /* in a repair, before it is given up */
/* A list that the rollback is about to empty: it says nothing. */
bool fsck_list_void(const struct fsck *f, u64 id, const struct tfs_deadlist *l);
struct fsck_ref *fsck_ref_of(const struct fsck *f, const struct tfs_ptr *ptr); /* NULL: not shared */
struct fsck_ref *fsck_ref_at(const struct fsck *f, u64 addr);                  /* the first at or behind addr */
struct fsck_ref *fsck_ref_over(const struct fsck *f, u64 addr); /* that counts the raw block there; NULL: none */
void fsck_refs_reset(struct fsck *f);                           /* nothing found yet */
void fsck_refs_free(struct fsck *f);
void fsck_refs_compare(struct fsck *f);
int fsck_refs_again(struct fsck *f); /* in a repair, f->ref counted again: what other fixes changed is put right */
int fsck_use_start(struct fsck *f);
void fsck_use_free(struct fsck *f);
int fsck_twice(struct fsck *f);                          /* fsck_twice.c: who keeps a place that is used twice */
int fsck_lift(struct fsck *f, const struct fsck_fix *x); /* fsck_lift.c: FIX_PLACE, first half: out of the tree */
int fsck_put_back(struct fsck *f);                       /* second half: all of them at new places */
int fsck_repair(struct fsck *f); /* fsck_repair.c: applies the fixes; the volume is read-write afterwards */
int fsck_inode_get(struct fsck *f, u64 ino, struct tfs_inode *i); /* -ENOENT */
int fsck_inode_put(struct fsck *f, u64 ino, const struct tfs_inode *i);
int fsck_item_get(struct fsck *f, struct tfs_key key, u8 *buf, u32 *len); /* TFS_ITEM_MAX bytes; -ENOENT */
/* The first free position of a name's hash. */
int fsck_position(struct fsck *f, u64 ino, u32 type, const void *name, u32 name_len, struct tfs_key *key);

/* fsck_undo.c: a device that saves what it overwrites. */
int fsck_undo_open(struct tfs_dev *under, const char *path, struct tfs_dev **out);
int fsck_undo_close(struct tfs_dev *dev);
int fsck_undo_restore(const char *path, struct tfs_dev *dev); /* negative: why is said */

#endif
