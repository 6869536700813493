/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The crash simulator: see main.c. */
#ifndef POWER_H
#define POWER_H

#include "tfs/tfs.h"

#define POWER_SIZE (16u << 20)
#define POWER_SIZE_LARGE (24u << 20) /* over 64 segments: heads and log take them whole */
#define POWER_PAGES (POWER_SIZE_LARGE / TFS_BLOCK)

/* ---- ram.c: a device of page pointers over a shared base ---- */
struct power_write {
	u64 page;
	u32 pages;
	u8 *data;
};
struct power_dev {
	struct tfs_dev dev;
	u64 size_first;        /* what a reset goes back to */
	u8 *page[POWER_PAGES]; /* what a read sees */
	u32 touched[POWER_PAGES], touches;
	u8 *arena;
	size_t used;
	/* recording: writes since the last flush, and who wants to know */
	struct power_write *flight;
	u32 flights, flights_max;
	u64 writes, blocks, flushes; /* counts of what was issued */
	void (*before_flush)(struct power_dev *d, void *arg);
	void *arg;
	bool fua;     /* it is the last write in flight alone that becomes durable */
	u8 *reads;    /* when set: one for each page that was read */
	long fail_in; /* the nth request from now fails with EIO; -1: never */
	long dies_in; /* from the nth write or flush on each of them fails; -1: never */
};
extern u8 *power_base[POWER_PAGES];                 /* pages of the volume all workloads start from */
void power_dev_init(struct power_dev *d, u64 size); /* or again */
void power_dev_reset(struct power_dev *d);          /* back to the base */
/* State: what was durable before the writes in flight, as pages of `from`'s shadow. */
void power_dev_page(struct power_dev *d, u64 page, u8 *data); /* shares data */
u8 *power_dev_alloc(struct power_dev *d);

/* ---- ops.c: the table of concrete operations, and the model of contents ---- */
struct power_content { /* by inode number, modulo; what was handed to tfs_write */
	u64 ino;
	u8 *data;    /* POWER_FILE_MAX bytes */
	u64 changed; /* another number after each change */
};
#define POWER_FILE_MAX (512u << 10)
#define POWER_FILES 4096u
extern struct power_content power_content[POWER_FILES];
extern u64 power_clock;
int power_ops(void); /* how many there are */
const char *power_op_name(int op);
int power_op_run(struct tfs_vol *vol, int op); /* its errno */
/* Large files g0... until ENOSPC; of those only the first block is compared, and in a few states, for speed. */
#define POWER_FILL_SIZE 200704u
int power_fill(struct tfs_vol *vol);
int power_large(struct tfs_vol *vol, u32 n, int what); /* g<n> goes (0), or comes, or is written over in parts */
void power_unshred(struct tfs_vol *vol);
void power_shred_touch(struct tfs_vol *vol, u32 n);
void power_shred(struct tfs_vol *vol); /* then free space is single blocks: nodes become gangs */
#define POWER_NAME_MAX 200u
void power_names(struct tfs_vol *vol, u32 first, u32 n, bool there);
/* Delayed data: promised by one call, written by the next, whatever came between. A mount forgets the promise. */
void power_promise(struct tfs_vol *vol);
void power_promise_forget(void);
void power_promise_drop(struct tfs_vol *vol);
int power_model_reload(struct tfs_vol *vol);
void power_restore(struct tfs_vol *vol); /* a, d and d/c again, if they are gone */
void power_model_save(void);             /* what reset goes back to */
void power_model_reset(void);
u8 *power_file(u64 ino); /* zeros at first */
struct tfs_env power_env(void);

/* ---- state.c: what each sequence number must look like, and judging a volume by it ---- */
extern struct power_dev power_run, power_crash;
extern u64 power_first_seq, power_durable_seq, power_hash; /* hash: of the state after the last step */
extern unsigned long power_states, power_failures;
extern char power_workload[160]; /* id of what runs, for messages */
extern int power_verbose, power_failures_max;
extern bool power_judging; /* a crash state, which has a number */
void power_fail(const char *state, const char *what);
void power_must(int err, const char *what);
u64 power_want(u64 seq); /* hash of the state at a sequence number */
bool power_known(u64 seq);
void power_want_set(u64 seq, u64 hash); /* ahead of a call that makes no record */
struct tfs_env power_env_model(void);   /* an environment that keeps the model */
void power_begin(struct tfs_vol *vol);
void power_step(struct tfs_vol *vol); /* the model and the live volume agree now */
/* ops.c calls it after every call into the core; as it stands: a step if err is 0. */
extern void (*power_called)(struct tfs_vol *vol, int err);
void power_states_keep(u64 upto); /* for later runs of the same workload, which begin with power_states_back */
void power_states_back(void);
extern u32 power_record_type; /* of the last record */
extern bool power_frozen;     /* the states are known from an earlier run of the same workload: records add none */
void power_judge(struct tfs_vol *vol, struct tfs_dev *dev, const char *state, bool account);
void power_base_make(u64 size, u8 codec); /* a, d and d/c, on a new volume */
void power_base_take(void);               /* what power_run and the model hold now becomes the base */

/* ---- model.c: names, attributes and xattrs without the core; ops.c tells it each call and what it returned ---- */
extern struct tfs_time model_now; /* what the environment gave last */
extern u64 model_random;
void model_load(struct tfs_vol *vol);
void model_keep(void); /* for model_back: later runs from the same start */
void model_back(void);
u64 model_hash(void);
void model_create(u64 parent, const char *name, u32 len, const struct tfs_create *c, u64 ino, int got);
void model_link(u64 ino, u64 parent, const char *name, u32 len, int got);
void model_unlink(u64 parent, const char *name, u32 len, bool want_dir, int got);
void model_rename(u64 from, const char *a, u32 a_len, u64 to, const char *b, u32 b_len, u32 flags, u64 whiteout,
                  int got);
void model_write(u64 ino, u64 size, const struct tfs_time *mtime, int got);
void model_truncate(u64 ino, u64 size, int got);
void model_punch(u64 ino, u64 from, u64 to, int got); /* bytes */
void model_preallocate(u64 ino, u64 size, int got);
void model_setattr(u64 ino, u32 mask, const struct tfs_attr *a, int got);
void model_xattr(u64 ino, const char *name, const void *value, u32 len, int got);
void model_ship_add(u64 ino, const char *pattern, u64 acked, u64 rule, int got);
void model_ship_remove(u64 rule, int got);
void model_ship_mark(u64 ino, u64 rule, u64 acked, int got);
void model_ship_acked(u64 ino, u64 rule, u32 generation, u64 acked, int got);
/* Which of [*from, *to) of a file's bytes, that are about to go, are lines still to be sent. */
bool model_lines(u64 ino, bool punch, u64 *from, u64 *to);
void model_lines_cut(u64 ino, u64 copy, u64 from, u64 to); /* they go, and lie in this orphan now */
u64 model_size(u64 ino);
u64 model_copy(u64 ino, u32 generation); /* where those of this generation lie; 0: nowhere */
u32 model_rules(u64 *oldest);            /* how many there are */
u64 model_unsent(u64 ino,
                 struct tfs_attr *a); /* of a file without a name: its lowest cursor + 1; 0: nothing is to be sent */
/* Of an inode's forwarding in a state's hash; of a rule, to be added up over all. */
struct power_ship {
	bool there;
	u32 generation, cursors;
	u64 rule[TFS_SHIP_RULES_MAX], acked[TFS_SHIP_RULES_MAX]; /* of rules that are not gone, ascending */
};
u64 power_ship_mix(u64 h, const struct power_ship *s);
u64 power_rule_mix(u64 rule, u64 ino, const char *pattern, u32 len);
int power_ship_load(struct tfs_vol *vol, u64 ino, struct power_ship *out);
/* Of a name and its directory; and of the one that an inode says is its newest (0: none). -EUCLEAN, -ENOENT: it is not. */
u64 power_name_mix(u64 dir, const char *name, u32 len);
int power_name_load(struct tfs_vol *vol, u64 ino, u64 *out);

/* ---- snaps.c: snapshots, and what each must hold ---- */
extern bool power_viewing;        /* what is walked is a snapshot */
void power_snaps_save(bool none); /* what reset goes back to; none: a new base */
void power_snaps_reset(void);
const char *power_snaps_judge(struct tfs_vol *vol, bool all); /* NULL, or what is wrong */
void power_snaps_settle(struct tfs_vol *vol);                 /* after a mount */
u32 power_snapshots(void);                                    /* how many there are */
int power_snapshot_make(struct tfs_vol *vol, const char *name);
int power_snapshot_begin(struct tfs_vol *vol, const char *name,
                         int steps);                                       /* steps of its checkpoint; the rest later */
void power_snaps_look(struct tfs_vol *vol);                                /* whether what was begun is through */
int power_snapshot_drop(struct tfs_vol *vol, const char *name, int steps); /* steps of freeing; -1: all */
int power_snapshot_name(struct tfs_vol *vol, const char *name, const char *to);
int power_snapshot_hold(struct tfs_vol *vol, const char *name); /* or release it, if it is held */
int power_rollback(struct tfs_vol *vol, const char *name, int steps);
extern bool power_rolled; /* the last call failed, and may have rolled back all the same */
void power_snapshots_drop(struct tfs_vol *vol, u32 left);
void power_snapshot_any(struct tfs_vol *vol, u64 r);

/* ---- owed.c: lines of files without a name that are still to be forwarded ---- */
void power_owed_first(struct tfs_vol *vol);   /* a new workload begins */
void power_owed_begin(struct tfs_vol *vol);   /* from here on; nothing is owed so far */
void power_owed_mounted(struct tfs_vol *vol); /* it goes on with this one */
int power_unmount(struct tfs_vol *vol);       /* as tfs_unmount, of any volume */
void power_abandon(struct tfs_vol *vol);
void power_owed_unlinked(struct tfs_vol *vol, u64 ino); /* its last name went */
/* Lines of ino were cut off: they are owed by this orphan. 0: none was made. */
void power_owed_cut(struct tfs_vol *vol, u64 ino, u64 copy, u64 from, u64 to);
bool power_owed_has(u64 ino);
void power_owed_called(struct tfs_vol *vol);       /* after every call */
u64 power_owed_any(u32 *size);                     /* an inode number; 0: nothing is owed */
const char *power_owed_judge(struct tfs_vol *vol); /* NULL, or what is wrong */

/* ---- grow.c ---- */
int power_grow(struct tfs_vol *vol, u64 bytes);              /* the device, by so much, and then the volume */
const char *power_size_judge(struct tfs_dev *dev, u64 size); /* NULL, or what is wrong with its ends */
void power_size_reset(void);                                 /* that of the base */
void power_size_settle(struct tfs_vol *vol);                 /* what it is now is what it has to be */

/* ---- crash.c: states of a crash ---- */
extern u64 power_rng;
extern u32 power_exhaust;
extern unsigned long power_state; /* its number in the workload */
extern unsigned long power_only;  /* judge this one alone; 0: all */
u64 power_random(void);
void power_device_grow(u64 size, void (*left)(u64 page, u8 *data));
void power_solid_start(struct power_dev *d);
void power_solid_reset(void);
void power_solid_set(u64 page, u8 *data); /* it holds this on the platter */
void power_solid_state(void);             /* what is on the platter becomes power_crash's content */
void power_solidify(struct power_dev *d, void *arg);
void power_crash_states(struct power_dev *d, void *arg);
void power_crash_few(struct power_dev *d);
void power_crash_flush(struct power_dev *d, void *arg); /* for power_dev.before_flush */

/* ---- workload.c ---- */
void power_pairs(int part, int parts);
u64 power_triples(void); /* how many there are */
void power_triple(u64 index);
void power_history(u64 seed, int length);
struct tfs_vol *power_history_volume(u64 seed, int length); /* mounted, after a history without crash states */
void power_churn(u64 seed, int rounds);
void power_wedge(u64 seed, int rounds);
void power_sharing(u64 seed, int rounds);
bool power_workload_replay(const char *id);

/* ---- plain.c ---- */
extern struct tfs_dev power_plain;
void power_plain_make(u64 size, u64 largest); /* all zeros; may grow up to the second */

/* ---- refill.c ---- */
void power_refill(u64 seed, u32 cycles);
bool power_refill_replay(const char *id);

/* ---- torture.c ---- */
void power_torture(u64 seed, u64 rounds);
bool power_torture_replay(const char *id);

/* ---- the other modes ---- */
int power_costs(void); /* 0 when all is well */
void power_faults(int part, int parts);
extern bool power_flip_all;
void power_flip(int part, int parts);
bool power_flip_replay(const char *id);
bool power_faults_replay(const char *id); /* false: not one of its ids */

void power_image(const char *what); /* image.c; SEED:FILE */

/* ---- check.c ---- */
u64 power_mix(u64 h, const void *data, size_t n);       /* a hash that goes on */
u64 power_content_mix(u64 h, const struct tfs_attr *a); /* of a regular file, from the model of contents */
/* Hash of names, attributes, xattrs, contents. live: contents from the model, so that nothing is read. */
u64 power_walk(struct tfs_vol *vol, bool live, int *err);
/* NULL, or what is wrong with the accounting. */
const char *power_account_dev(struct tfs_vol *vol, struct tfs_dev *dev);
/* What is in use but for SPACE itself, by segment, as tfs_repair_finish asks for it. */
int power_maps_take(struct tfs_vol *vol, struct tfs_dev *dev);
const u8 *power_map(void *vol, u64 segment);
/* A checkpoint and a whole scrub: nothing is damaged, and of what lives every block is read. */
int power_scrub(struct tfs_vol *vol);
/* Blocks pinned for no reason, right after a checkpoint. */
s64 power_pins_stray(const struct tfs_vol *vol);

#endif
