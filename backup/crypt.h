/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Sealing, naming and keys, all by libsodium: XChaCha20-Poly1305, keyed BLAKE2b, Argon2id. A nonce is the keyed hash of
 * what is sealed and what it is sealed with, so the same content under the same identity gives the same bytes (a run
 * that is repeated finds what it has put already) and no nonce serves two contents. Every type of object has a key of
 * its own, derived from the repository's master key. No state, no I/O: called by all of backup/.
 */
#ifndef TFS_BACKUP_CRYPT_H
#define TFS_BACKUP_CRYPT_H

#include "backup/format.h"

struct bk_crypt { /* secret: in memory that is not swapped, wiped when freed */
	u8 seal[BK_TYPES][32], nonce[BK_TYPES][32], name[32], master[BK_MASTER];
};

int bk_crypt_start(void); /* before all others; -EIO: libsodium cannot be used */
/* NULL: no memory. */
struct bk_crypt *bk_crypt_new(const u8 master[BK_MASTER]);
void bk_crypt_free(struct bk_crypt *c);
void bk_random(void *buf, size_t bytes);
void bk_wipe(void *buf, size_t bytes);

/* BK_SEALED + bytes go to out: nonce, ciphertext, tag. identity: what it must be opened with again. */
void bk_seal(const struct bk_crypt *c, int type, const void *identity, size_t identity_len, const void *data,
             size_t bytes, u8 *out);
/* sealed: BK_SEALED + bytes. -EBADMSG: changed, or sealed under another identity or key. */
int bk_open(const struct bk_crypt *c, int type, const void *identity, size_t identity_len, const u8 *sealed,
            size_t bytes, void *out);
/* Whole objects: struct bk_head in front; BK_HEADED more than the plaintext. */
void bk_object_seal(const struct bk_crypt *c, int type, const void *identity, size_t identity_len, const void *data,
                    size_t bytes, u8 *out);
/* NULL, or what is wrong with it; out: size - BK_HEADED bytes. */
const char *bk_object_open(const struct bk_crypt *c, int type, const void *identity, size_t identity_len,
                           const u8 *object, size_t size, void *out);
void bk_head_fill(struct bk_head *h, int type);
const char *bk_head_check(const void *object, size_t size, int type);

/* The keyed hash that names packs and shards, and is a manifest's digest. */
void bk_name(const struct bk_crypt *c, int type, const void *object, size_t size, u8 name[BK_HASH]);

/* ---- config and keys ---- */
void bk_config_make(struct bk_config *c, u32 grace);
const char *bk_config_check(const struct bk_config *c, size_t size);
bool bk_config_known(const struct bk_config *c); /* its version and all its features are */
/* secret: a passphrase or a key file's content. passes, memory: of Argon2id, for passphrases. -ENOMEM: not so much. */
int bk_key_make(struct bk_key *k, const struct bk_config *config, int kind, const void *secret, size_t secret_len,
                u32 passes, u64 memory, const char *label, const u8 master[BK_MASTER]);
const char *bk_key_check(const struct bk_key *k, size_t size); /* without the secret */
/* -EACCES: not with this secret. -ENOMEM. */
int bk_key_open(const struct bk_key *k, const struct bk_config *config, const void *secret, size_t secret_len,
                u8 master[BK_MASTER]);

#endif
