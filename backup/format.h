/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What stands in a repository, version 1: docs/REPOSITORY.md says it in prose. All integers are little endian. Every
 * object but `config` and keys is sealed: struct bk_head, nonce, ciphertext, tag; what follows here is the plaintext.
 * Sizes are asserted; whatever is read is checked in decode functions (shard.c, chain.c, crypt.c) before it is used.
 */
#ifndef TFS_BACKUP_FORMAT_H
#define TFS_BACKUP_FORMAT_H

#include "tfs/format.h"

#define BK_VERSION 1
/* What a program has to know to read a repository at all, and to delete in it. init sets all; nothing changes them. */
#define BK_FEATURE_MOVED 1u /* moved lists: without them packs are needed that nobody seems to name */
#define BK_FEATURES BK_FEATURE_MOVED
#define BK_HASH 32u   /* bytes of names and digests */
#define BK_RUN 16u    /* bytes of a run's random id */
#define BK_SEALED 40u /* what sealing adds: nonce 24, tag 16 */
#define BK_NONCE 24u
#define BK_HEADED 48u /* the same with struct bk_head */

enum bk_type { BK_PACK = 1, BK_RANGE, BK_SHARD, BK_MANIFEST, BK_INTENT, BK_CONDEMNED, BK_KEY, BK_MOVED, BK_TYPES };

struct bk_head {
	u8 magic[4]; /* "TFSb" */
	u8 version;
	u8 type; /* enum bk_type */
	le16 zero;
};
TFS_ASSERT_SIZE(struct bk_head, 8);

/* ---- config: plaintext; every key object authenticates it ---- */
struct bk_config {
	u8 text[32]; /* "tfs-backup repository\n", zeros */
	le16 version, features;
	le32 grace; /* seconds */
	u8 id[16];
	u8 check[16]; /* BLAKE2b of what is before */
};
TFS_ASSERT_SIZE(struct bk_config, 72);

/* ---- keys: the master key, sealed by what a person knows or has ---- */
enum bk_key_kind { BK_KEY_PASSPHRASE = 1, BK_KEY_FILE = 2 };
#define BK_MASTER 32u
struct bk_key {
	struct bk_head head;
	le32 kind;
	le32 passes;  /* Argon2id */
	le64 memory;  /* bytes */
	le64 created; /* seconds since 1970 */
	u8 salt[16];
	u8 label[32]; /* text, padded with zeros */
	u8 nonce[BK_NONCE];
	u8 sealed[BK_MASTER + 16]; /* authenticates what is before, and config */
	u8 check[16];              /* BLAKE2b of what is before: damage is seen without the passphrase */
};
TFS_ASSERT_SIZE(struct bk_key, 168);

/* ---- what a range in a pack is authenticated with ---- */
struct bk_range_id {
	u8 run[BK_RUN];
	le32 pack; /* number within the run */
	le32 units;
	le64 volume;
	le64 addr, birth;
};
TFS_ASSERT_SIZE(struct bk_range_id, 48);

/* ---- index shards: struct bk_shard, then the rest as a zlib stream of `raw` bytes: groups, each with its entries ----
 */
#define BK_SHARD_RAW_MAX (64u << 20)
#define BK_PACK_MAX (64u << 20)
struct bk_shard {
	le64 volume;
	le32 raw, groups;
	le32 entries, zero;
};
TFS_ASSERT_SIZE(struct bk_shard, 24);
struct bk_group { /* one a pack */
	u8 pack[BK_HASH];
	u8 run[BK_RUN];
	le32 number, count;
	le32 size, zero; /* bytes of the pack */
};
TFS_ASSERT_SIZE(struct bk_group, 64);
struct bk_entry {
	le64 addr, birth;
	le32 units;  /* 1 to 65536 */
	le32 offset; /* in the pack, of BK_SEALED + units * 512 bytes */
};
TFS_ASSERT_SIZE(struct bk_entry, 24);

/* ---- manifests: struct bk_manifest, `catalog` of struct bk_listed, `shards` of struct bk_shard_ref ---- */
enum bk_kind { BK_KIND_BACKUP = 1, BK_KIND_FORGET = 2 };
#define BK_CATALOG 1u /* flags: the catalog names every backup before this manifest that is kept */
#define BK_NANOS 2u   /* the volume is the shadow of a Nanos volume: docs/REPOSITORY.md */
struct bk_manifest {
	le32 kind, flags; /* flags that are not known are refused */
	le32 catalog, shards;
	le64 sequence;
	u8 previous[BK_HASH]; /* digest of the manifest before */
	le64 time;            /* seconds since 1970, the writer's clock */
	/* of a backup, else zero */
	u8 run[BK_RUN];
	le64 volume;
	le64 base; /* sequence of the backup that this one builds on; 0: full */
	u8 snapshot[16];
	le64 epoch;
	struct tfs_disk_ptr fs, refs;
	le64 inodes, units, next_ino;
	struct tfs_time created; /* of the snapshot */
	le64 added;              /* stored bytes of the volume that this run put */
	le64 sent;               /* bytes of objects it put */
	u8 host[64];
	u8 name_len;
	u8 name[255]; /* of the snapshot */
	u8 super[512];
};
TFS_ASSERT_SIZE(struct bk_manifest, 1056);
struct bk_listed {
	le64 sequence;
	u8 digest[BK_HASH];
	le64 volume;
};
TFS_ASSERT_SIZE(struct bk_listed, 48);
struct bk_shard_ref {
	u8 name[BK_HASH];
	le64 entries;
	le64 size; /* bytes of the object */
};
TFS_ASSERT_SIZE(struct bk_shard_ref, 48);

/* ---- intents ---- */
struct bk_intent {
	u8 run[BK_RUN];
	le64 volume;
	le64 base; /* sequence */
	u8 base_digest[BK_HASH];
	le64 time;
	le64 zero;
};
TFS_ASSERT_SIZE(struct bk_intent, 80);

/* ---- condemned lists: struct bk_condemned, then names of objects: type and hash ---- */
struct bk_condemned {
	le64 count;
	le64 time;
};
TFS_ASSERT_SIZE(struct bk_condemned, 16);
struct bk_doomed {
	le32 type; /* BK_PACK, BK_SHARD or BK_MOVED */
	le32 zero;
	u8 name[BK_HASH];
};
TFS_ASSERT_SIZE(struct bk_doomed, 40);

/* ---- moved lists: struct bk_moved, `targets` of struct bk_moved_to, `groups` of struct bk_moved_from, ascending by
 * name, each with `count` of struct bk_moved_entry, ascending by `from` ---- */
struct bk_moved {
	le64 generation;
	le32 targets, groups;
	le64 zero;
};
TFS_ASSERT_SIZE(struct bk_moved, 24);
struct bk_moved_to {
	u8 pack[BK_HASH];
	le32 size, zero;
};
TFS_ASSERT_SIZE(struct bk_moved_to, 40);
struct bk_moved_from {
	u8 pack[BK_HASH];
	le32 count, zero;
};
TFS_ASSERT_SIZE(struct bk_moved_from, 40);
struct bk_moved_entry {
	le32 from, to; /* offsets of a sealed range in the old and in the new pack */
	le32 target;   /* which */
	le32 zero;
};
TFS_ASSERT_SIZE(struct bk_moved_entry, 16);

#endif
