/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * tfs-backup: what its parts share. A repository is opened once (repo.c), its chain of manifests read (chain.c); a
 * backup is looked into through a device whose blocks come from packs (image.c), with the core's own code above it; a
 * run walks a snapshot (run.c, source.c) and fills packs (pack.c). Functions return 0 or an exit code after they have
 * printed what is wrong; only where the core calls are there errnos. One thread.
 */
#ifndef TFS_BACKUP_H
#define TFS_BACKUP_H

#include "backup/crypt.h"
#include "backup/store.h"
#include "tfs/user/cli.h"
#include "tfs/user/file_dev.h"

enum bk_exit {
	BK_OK,
	BK_USAGE,     /* command line, or no such backup, volume or path */
	BK_DAMAGE,    /* something in the repository is missing or was changed */
	BK_STORE,     /* the store cannot be reached, refuses, or is full */
	BK_VOLUME,    /* the volume cannot be read or written, is in use, or is damaged */
	BK_SECRET,    /* wrong passphrase or key file */
	BK_REWOUND,   /* the repository shows an older state than was seen before */
	BK_OVERTAKEN, /* a run did not commit: its base was forgotten, its snapshot deleted, or the grace time is over */
	BK_HOST,      /* memory, output, local files */
};

struct bk_options {
	const char *passphrase_file, *key_file, *new_passphrase_file, *new_key_file, *label, *state, *to, *snapshot;
	const char *volume;             /* which one, where a repository has several */
	const char *format, *partition; /* of Nanos volumes: restore, run */
	struct tfs_store_options *store;
	u64 grace, offset, expect, kdf_memory, pack_bytes;
	u32 read_percent; /* verify: of the packs' bytes, 0: none */
	u32 repack;       /* prune: percent, a pack of which less is needed is repacked */
	u32 keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly;
	bool json, quiet, force, dry_run, full;
	bool adding;                  /* a key to those there are: never the one that opens the repository */
	bool foreground, allow_other; /* mount */
	bool dump_long, dump_recursive, dump_null; /* ls -l -R, -0 */
};

/* ---- a repository ---- */
struct bk_number { /* a manifest that was read in the chain */
	u64 sequence;
	u8 digest[BK_HASH];
};
struct bk_chain {
	struct bk_listed *live; /* backups that are kept, ascending; CPU order */
	struct bk_number *seen; /* descending from the head to where the catalog stands */
	u64 *present;           /* sequences of all manifest objects, ascending */
	size_t lives, lives_max, seens, seens_max, presents, presents_max;
	u64 head, head_time;
	u64 missing; /* a manifest that others name and that is not there; 0: none */
	u8 head_digest[BK_HASH];
};
struct bk_repo {
	const char *url;
	const struct bk_options *o;
	struct tfs_store *store;
	struct bk_config config;
	struct bk_crypt *crypt;
	struct bk_chain chain;
	u32 grace;                   /* seconds */
	struct bk_moved_list *moved; /* newest first: moved.c */
	size_t moveds, moveds_max;
	bool moved_loaded;
};

/* repo.c: opens the store, finds a key, and reads the chain (chain: false: not). */
int bk_repo_open(struct bk_repo *r, const char *url, const struct bk_options *o, bool chain);
int bk_repo_init(const char *url, const struct bk_options *o);
void bk_repo_close(struct bk_repo *r);
int bk_repo_key_command(struct bk_repo *r, const char *what, const char *id);
int bk_repo_keys_check(struct bk_repo *r);                                   /* are all key objects whole? */
void bk_hex(const u8 *bytes, size_t n, char *out);                           /* 2 n + 1 bytes */
bool bk_unhex(const char *text, u8 *out, size_t n);                          /* exactly 2 n digits and then the end */
#define BK_KEY_MAX 100u                                                      /* bytes of an object's name */
void bk_object_name(char out[BK_KEY_MAX], int type, const u8 name[BK_HASH]); /* of packs and shards */
int bk_no_memory(void);                                                      /* says so; BK_HOST */
int bk_grow(void *array, size_t *max, size_t need, size_t size); /* array: address of the pointer; 0 or BK_HOST */
/* A store error, in its own words: the exit code. missing: what -ENOENT gives. */
int bk_store_code(int err, int missing);
int bk_store_failed(const struct bk_repo *r, int err, int missing); /* of the last blocking call */
/* A sealed object, opened: plain is the caller's. min: bytes it has at least. BK_DAMAGE names it. digest may be NULL.
 * gone: NULL, or set when there is no such object: then BK_DAMAGE, and nothing is said. */
int bk_load(struct bk_repo *r, int type, const char *name, const void *identity, size_t identity_len, size_t min,
            size_t max, u8 **plain, size_t *len, u8 *digest, bool *gone);
int bk_save(struct bk_repo *r, int type, const char *name, const void *identity, size_t identity_len, const void *plain,
            size_t len, unsigned flags, u8 *digest, int *err);

/* secret.c: passphrases and key files. kind: enum bk_key_kind. The secret is the caller's, to be wiped with
 * bk_secret_free. fresh: a new one, asked for twice on a terminal. */
int bk_secret_get(const struct bk_options *o, bool fresh, int *kind, u8 **secret, size_t *len);
void bk_secret_free(u8 *secret, size_t len);

/* state.c: the newest head that this machine has seen. */
int bk_state_check(struct bk_repo *r);
void bk_state_save(const struct bk_repo *r);

/* ---- chain.c ---- */
struct bk_backup { /* one manifest, decoded in place; everything in disk order */
	struct bk_manifest *m;
	struct bk_listed *catalog;
	struct bk_shard_ref *shard;
	u32 catalogs, shards;
	u64 sequence, volume;
	u8 *buf; /* owned */
};
/* NULL, or what is wrong with a manifest's plaintext; b points into it. */
const char *bk_manifest_decode(u8 *plain, size_t len, u64 sequence, struct bk_backup *b);
int bk_chain_load(struct bk_repo *r);
void bk_chain_free(struct bk_chain *c);
const struct bk_listed *bk_chain_find(const struct bk_repo *r, u64 sequence); /* NULL: not kept */
/* BK_OVERTAKEN, with a warning: another program has forgotten it since the chain was read. To whom that is no matter goes on. */
int bk_backup_load(struct bk_repo *r, const struct bk_listed *l, struct bk_backup *b);
void bk_backup_free(struct bk_backup *b);
/* which: "latest", a sequence, or the name of a snapshot; of o->volume when given. */
int bk_backup_find(struct bk_repo *r, const char *which, struct bk_backup *b);
/* Appends a manifest: sequence, predecessor and catalog are filled in. still: asked again after another writer came
 * first, with the chain as it is then; may change `m` and what is kept; an exit code gives up. */
int bk_chain_commit(struct bk_repo *r, struct bk_manifest *m, const struct bk_shard_ref *shard, u32 shards,
                    int (*still)(void *arg, struct bk_repo *r), void *arg);
bool bk_same_volume(const struct bk_options *o, const struct bk_backup *b); /* o->volume: uuid, number or label */

/* ---- intents.c ---- */
struct bk_intent_info {
	u8 run[BK_RUN];
	u64 volume, base;
	s64 age; /* seconds, by the store's clock */
};
int bk_intents(struct bk_repo *r, struct bk_intent_info **out, size_t *count);
int bk_intent_put(struct bk_repo *r, const u8 run[BK_RUN], u64 volume, const struct bk_listed *base);
int bk_intent_age(struct bk_repo *r, const u8 run[BK_RUN], s64 *age);
int bk_intent_remove(struct bk_repo *r, const u8 run[BK_RUN]);
/* Calls fn for each condemned object of each list, and with NULL at the end of each; age in seconds. */
int bk_condemned(struct bk_repo *r, int (*fn)(void *arg, const char *list, s64 age, const struct bk_doomed *d),
                 void *arg);

/* ---- shard.c: encoding and decoding ---- */
struct bk_pack_ref {
	u8 name[BK_HASH], run[BK_RUN];
	u32 number, size;
	u64 lists; /* by which moved lists its ranges are found: a bit each, the last for all from there on */
};
struct bk_place { /* CPU order */
	u64 addr, birth;
	u32 units, pack, offset; /* pack: into the table */
};
struct bk_index {
	struct bk_pack_ref *pack;
	struct bk_place *place;
	size_t packs, packs_max, places, places_max;
	u32 longest; /* units */
	u64 volume;
};
void bk_index_free(struct bk_index *x);
/* Adds what a shard's plaintext holds. NULL, or what is wrong with it. */
const char *bk_shard_decode(struct bk_index *x, const u8 *plain, size_t len);
/* The plaintext of a shard with all of x; NULL: no memory. Places stand pack by pack. */
u8 *bk_shard_encode(const struct bk_index *x, size_t *len);
int bk_shard_load(struct bk_repo *r, struct bk_index *x, const struct bk_shard_ref *s);
int bk_shard_save(struct bk_repo *r, const struct bk_index *x, struct bk_shard_ref *out);
int bk_index_load(struct bk_repo *r, struct bk_index *x, const struct bk_backup *b); /* all shards, sorted */
void bk_index_sort(struct bk_index *x);                                              /* before finding */
/* The place that holds unit `addr` last, by births; NULL: none. *end: up to where that is so. */
const struct bk_place *bk_index_find(const struct bk_index *x, u64 addr, u64 *end);
/* [at, stop), which p holds, is a part of a block that has something younger: nobody needs it. */
bool bk_index_stale(const struct bk_index *x, const struct bk_place *p, u64 at, u64 stop);

/* ---- moved.c: where ranges lie that prune has moved ---- */
struct bk_moved_list { /* decoded in place */
	u8 name[BK_HASH];
	u64 generation, entries;
	u32 targets, groups;
	struct bk_moved_to *target;
	struct bk_moved_from **group; /* owned; each is followed by its entries */
	u8 *plain;                    /* owned */
};
/* NULL, or what is wrong with a list's plaintext; l points into it, l->group is to be freed. */
const char *bk_moved_decode(struct bk_moved_list *l, u8 *plain, size_t len);
int bk_moved_load(struct bk_repo *r); /* once */
void bk_moved_free(struct bk_repo *r);
const struct bk_moved_from *bk_moved_group(const struct bk_moved_list *l, const u8 name[BK_HASH]); /* NULL: none */
/* Of the newest list that moves this range, *list; NULL: none does. */
const struct bk_moved_entry *bk_moved_step(const struct bk_repo *r, const u8 name[BK_HASH], u32 from, size_t *list);
struct bk_now {                         /* where a range lies */
	const struct bk_moved_to *pack; /* NULL: where it was */
	u32 offset;
	u64 lists; /* by which: a bit each, as in struct bk_pack_ref */
};
/* Follows it through all lists. NULL, or what is wrong with them. */
const char *bk_moved_follow(const struct bk_repo *r, const u8 name[BK_HASH], u32 from, struct bk_now *now);
/* Places of x, as shards have them, become those of now. */
int bk_moved_apply(struct bk_repo *r, struct bk_index *x);

/* ---- fetch.c: ranges out of packs ---- */
struct bk_fetch;
struct bk_fetch *bk_fetch_new(struct bk_repo *r, const struct bk_index *x);
void bk_fetch_free(struct bk_fetch *f);
/* The opened content of a place, good until the next call. stale: its pack may be gone, *data is NULL then. */
int bk_fetch_range(struct bk_fetch *f, const struct bk_place *p, bool stale, const u8 **data);
/* A whole pack, held against its name. name: the object's, for messages. *data: to be freed also when it was changed;
 * NULL: it cannot be read. An exit code. */
int bk_pack_load(struct bk_repo *r, const u8 pack[BK_HASH], u32 size, char name[BK_KEY_MAX], void **data);
/* Opens a range that lies at `sealed`. NULL, or what is wrong with it. */
const char *bk_range_open(const struct bk_repo *r, const struct bk_index *x, const struct bk_place *p, const u8 *sealed,
                          u8 *out);

/* ---- front.c: the blocks that make a volume of a snapshot's trees ---- */
struct bk_front {
	struct tfs_super super;
	struct tfs_anchor anchor;
	struct tfs_checkpoint checkpoint;
	u64 checkpoint_at; /* bytes */
};
/* checkpoint_at: a block where the snapshot has nothing. */
void bk_front_make(struct bk_front *f, const struct bk_manifest *m, u64 checkpoint_at);
u64 bk_front_anchor_at(const struct bk_front *f);                             /* bytes */
void bk_front_show(const struct bk_front *f, u64 offset, u8 *buf, u32 bytes); /* over what was read */

/* ---- image.c: a backup as a device, and mounted ---- */
struct bk_image {
	struct tfs_dev dev; /* first */
	struct bk_repo *r;
	struct bk_index x;
	struct bk_fetch *fetch;
	struct bk_front front;
	int code;            /* of the first failure */
	struct tfs_vol *vol; /* mounted read-only */
};
/* No memory is mapped and nothing written: an index is loaded, the rest comes when it is read. */
int bk_image_open(struct bk_image *i, struct bk_repo *r, const struct bk_backup *b);
void bk_image_close(struct bk_image *i);
/* Read-only, trees only, as for a repair. The errno. */
int bk_mount(struct tfs_dev *dev, struct tfs_vol **vol);

/* rebuild.c: SPACE and the snapshot's item, from the trees that stand on dev already; path is for messages. */
int bk_rebuild(struct tfs_dev *dev, const char *path, const struct bk_backup *b);

/* ---- moved_write.c: the list that is put ---- */
struct bk_move { /* the names are the caller's */
	const u8 *from_pack, *to_pack;
	u32 from, to, to_size;
};
struct bk_moves {
	struct bk_move *move; /* owned */
	size_t count, max;
};
int bk_moves_add(struct bk_moves *m, struct bk_move move);
#define BK_MOVED_MAX (64u << 20) /* bytes of a list */
/* Sorts them; the plaintext of a list, to be freed; NULL: no memory. */
u8 *bk_moved_encode(struct bk_moves *m, u64 generation, size_t *len);
/* Adds what the repository's lists say and is in force, as one step to where the range lies when `m` is in force, too; of
 * packs that are needed only. The shortest lists first, and of those whole lists only, as long as what comes out is no
 * longer than `max` bytes; *lists: how many. BK_HOST: no memory. */
int bk_moved_merge(const struct bk_repo *r, struct bk_moves *m, size_t max,
                   bool (*needed)(void *arg, const u8 name[BK_HASH]), void *arg, size_t *lists);

/* ---- shared.c: what several items share ---- */
struct bk_shared_range {
	u64 addr;
	u32 len, count; /* units; owners, as REFS says */
	u32 found;      /* windows that refer to a compressed extent */
	u32 *block;     /* items that map each block of raw content; NULL: none did */
};
struct bk_shared {
	struct bk_shared_range *range; /* ascending */
	size_t ranges, ranges_max;
	u64 ino, window, met[16]; /* extents of this window */
	u32 mets;
};
int bk_shared_load(struct bk_shared *s, struct tfs_vol *vol); /* a negative errno; to be freed in any case */
void bk_shared_free(struct bk_shared *s);
/* An EXTENT item: fn gets what of its stored units was not met before, [first, first + units) of it, in order. A
 * negative errno, or what fn returned that was not 0. */
typedef int (*bk_shared_fn)(void *arg, u32 first, u32 units);
int bk_shared_extent(struct bk_shared *s, struct tfs_key key, const struct tfs_extent *e, const struct tfs_ptr *ptr,
                     bk_shared_fn fn, void *arg);
/* After all items: a range with another number of owners than REFS says; NULL: none. */
const struct bk_shared_range *bk_shared_wrong(const struct bk_shared *s);

/* ---- live.c: what a backup holds ---- */
struct bk_live_ops {
	/* a range of units that the snapshot holds; place: from where. Not in key order. */
	int (*range)(void *arg, const struct bk_place *p, u64 addr, u32 units);
	bool (*skip)(void *arg, const struct tfs_ptr *node); /* NULL: none: what was looked at before */
};
/* Walks all nodes; damage is reported, and ends it. */
int bk_live_walk(struct bk_image *i, const struct bk_live_ops *ops, void *arg);
/* The same of every backup that is kept, volume by volume, oldest first; what an earlier one led to is not looked at
 * again where this one's index has all that the earlier one's had. after: when one is through. An exit code of a
 * backup that cannot be read goes to `failed`, which says whether to go on. */
struct bk_all_ops {
	int (*range)(void *arg, const struct bk_place *p, u64 addr, u32 units);
	int (*begin)(void *arg, const struct bk_backup *b, struct bk_image *i);
	int (*after)(void *arg, const struct bk_backup *b, struct bk_image *i);
	int (*failed)(void *arg, u64 sequence, int code);
};
int bk_live_all(struct bk_repo *r, const struct bk_all_ops *ops, void *arg);

/* A set of names, of packs or shards. */
struct bk_names {
	u8 (*name)[BK_HASH];
	size_t count, max;
	bool sorted;
};
int bk_names_add(struct bk_names *n, const u8 name[BK_HASH]);
bool bk_names_have(struct bk_names *n, const u8 name[BK_HASH]);

/* ---- pack.c ---- */
struct bk_packer;
/* progress: counts the packs put, outlives the packer. */
struct bk_packer *bk_packer_new(struct bk_repo *r, const u8 run[BK_RUN], u64 volume, u64 pack_bytes,
                                struct tfs_progress *progress);
void bk_packer_free(struct bk_packer *p);
/* The names of packs that need not be put again. */
int bk_packer_known(struct bk_packer *p, const u8 name[BK_HASH]);
enum { BK_STREAM_DATA, BK_STREAM_NODES, BK_STREAMS };
int bk_packer_add(struct bk_packer *p, int stream, u64 addr, u64 birth, u32 units, const void *data);
/* Puts what is open and waits for all. The index then holds all places. */
int bk_packer_finish(struct bk_packer *p);
struct bk_index *bk_packer_index(struct bk_packer *p);
void bk_packer_count(const struct bk_packer *p, u64 *added, u64 *sent); /* bytes */

/* ---- commands ---- */
int bk_cmd_run(struct bk_repo *r, const char *volume);
int bk_cmd_list(struct bk_repo *r);
int bk_cmd_show(struct bk_repo *r, const char *which);
int bk_cmd_status(struct bk_repo *r);
int bk_cmd_verify(struct bk_repo *r);
int bk_cmd_restore(struct bk_repo *r, const char *which);
int bk_cmd_mount(struct bk_repo *r, const char *which, const char *dir);
int bk_cmd_look(struct bk_repo *r, const char *command, const char *which, char **arg, int args);
/* The backup as a tar archive into a file or pipe. */
int bk_look_tar(struct bk_repo *r, const char *which, const char *output);
int bk_cmd_diff(struct bk_repo *r, const char *older, const char *newer);
int bk_cmd_forget(struct bk_repo *r, char **which, int n);
int bk_cmd_prune(struct bk_repo *r);

#endif
