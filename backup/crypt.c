// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Sealing, naming and keys: see crypt.h. What an object is sealed with: its head, then its identity. */
#include "backup/crypt.h"

#include <sodium.h>
#include <time.h>

#define IDENTITY_MAX 640u
#define KEY_MEMORY_MAX (4ull << 30) /* of Argon2id: what a key object may ask for */
#define KEY_PASSES_MAX 64u

int bk_crypt_start(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

void bk_random(void *buf, size_t bytes)
{
	randombytes_buf(buf, bytes);
}

void bk_wipe(void *buf, size_t bytes)
{
	sodium_memzero(buf, bytes);
}

static void derive(u8 out[32], const u8 master[BK_MASTER], u64 id)
{
	crypto_kdf_derive_from_key(out, 32, id, "tfsbackp", master);
}

struct bk_crypt *bk_crypt_new(const u8 master[BK_MASTER])
{
	struct bk_crypt *c = sodium_malloc(sizeof(*c));

	if (!c)
		return NULL;
	memcpy(c->master, master, BK_MASTER);
	derive(c->name, master, 1);
	for (u32 t = 0; t < BK_TYPES; t++) {
		derive(c->seal[t], master, 16 + 2 * t);
		derive(c->nonce[t], master, 17 + 2 * t);
	}
	return c;
}

void bk_crypt_free(struct bk_crypt *c)
{
	sodium_free(c);
}

/* ---- sealing ---- */

static void nonce_make(const struct bk_crypt *c, int type, const void *identity, size_t identity_len, const void *data,
                       size_t bytes, u8 nonce[BK_NONCE])
{
	crypto_generichash_state s;
	u64 len = tfs_cpu64(identity_len);

	crypto_generichash_init(&s, c->nonce[type], 32, BK_NONCE);
	crypto_generichash_update(&s, (const u8 *)&len, sizeof(len));
	crypto_generichash_update(&s, identity, identity_len);
	crypto_generichash_update(&s, data, bytes);
	crypto_generichash_final(&s, nonce, BK_NONCE);
}

void bk_seal(const struct bk_crypt *c, int type, const void *identity, size_t identity_len, const void *data,
             size_t bytes, u8 *out)
{
	nonce_make(c, type, identity, identity_len, data, bytes, out);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + BK_NONCE, NULL, data, bytes, identity, identity_len, NULL, out,
	                                           c->seal[type]);
}

int bk_open(const struct bk_crypt *c, int type, const void *identity, size_t identity_len, const u8 *sealed,
            size_t bytes, void *out)
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed + BK_NONCE, bytes + 16, identity,
	                                                  identity_len, sealed, c->seal[type])
	           ? -EBADMSG
	           : 0;
}

void bk_head_fill(struct bk_head *h, int type)
{
	*h = (struct bk_head){.magic = "TFSb", .version = BK_VERSION, .type = (u8)type};
}

const char *bk_head_check(const void *object, size_t size, int type)
{
	struct bk_head want, h;

	if (size < sizeof(h))
		return "is cut short";
	memcpy(&h, object, sizeof(h));
	bk_head_fill(&want, type);
	if (memcmp(h.magic, want.magic, sizeof(h.magic)))
		return "is no object of a repository";
	if (h.version != want.version)
		return "is of a version that this program does not know";
	return memcmp(&h, &want, sizeof(h)) ? "is an object of another type" : NULL;
}

static size_t identity_join(u8 *out, const void *head, const void *identity, size_t len)
{
	memcpy(out, head, sizeof(struct bk_head));
	if (len)
		memcpy(out + sizeof(struct bk_head), identity, len);
	return sizeof(struct bk_head) + len;
}

void bk_object_seal(const struct bk_crypt *c, int type, const void *identity, size_t identity_len, const void *data,
                    size_t bytes, u8 *out)
{
	u8 whole[IDENTITY_MAX];
	size_t len;

	bk_head_fill((struct bk_head *)out, type);
	len = identity_join(whole, out, identity, identity_len);
	bk_seal(c, type, whole, len, data, bytes, out + sizeof(struct bk_head));
}

const char *bk_object_open(const struct bk_crypt *c, int type, const void *identity, size_t identity_len,
                           const u8 *object, size_t size, void *out)
{
	const char *why = bk_head_check(object, size, type);
	u8 whole[IDENTITY_MAX];
	size_t len;

	if (why || size < BK_HEADED)
		return why ? why : "is cut short";
	len = identity_join(whole, object, identity, identity_len);
	return bk_open(c, type, whole, len, object + sizeof(struct bk_head), size - BK_HEADED, out)
	           ? "was changed, or put in another's place"
	           : NULL;
}

void bk_name(const struct bk_crypt *c, int type, const void *object, size_t size, u8 name[BK_HASH])
{
	crypto_generichash_state s;
	u8 t = (u8)type;

	crypto_generichash_init(&s, c->name, 32, BK_HASH);
	crypto_generichash_update(&s, &t, 1);
	crypto_generichash_update(&s, object, size);
	crypto_generichash_final(&s, name, BK_HASH);
}

/* ---- config ---- */

static const char config_text[] = "tfs-backup repository\n";

/* Without a key: against damage, not against change. */
static void check_make(const void *data, size_t bytes, u8 out[16])
{
	crypto_generichash(out, 16, data, bytes, NULL, 0);
}

void bk_config_make(struct bk_config *c, u32 grace)
{
	memset(c, 0, sizeof(*c));
	memcpy(c->text, config_text, sizeof(config_text) - 1);
	c->version = tfs_cpu16(BK_VERSION);
	c->features = tfs_cpu16(BK_FEATURES);
	c->grace = tfs_cpu32(grace);
	bk_random(c->id, sizeof(c->id));
	check_make(c, offsetof(struct bk_config, check), c->check);
}

const char *bk_config_check(const struct bk_config *c, size_t size)
{
	u8 check[16];

	if (size != sizeof(*c) || memcmp(c->text, config_text, sizeof(config_text)))
		return "is no config of a repository";
	check_make(c, offsetof(struct bk_config, check), check);
	return memcmp(check, c->check, sizeof(check)) ? "is damaged: its checksum differs" : NULL;
}

bool bk_config_known(const struct bk_config *c)
{
	return tfs_le16(c->version) == BK_VERSION && !(tfs_le16(c->features) & ~BK_FEATURES);
}

/* ---- keys ---- */

static const char file_personal[] = "tfs-backup key file";

/* The key that seals the master key. */
static int secret_key(const struct bk_key *k, const void *secret, size_t len, u8 key[32])
{
	if (tfs_le32(k->kind) == BK_KEY_PASSPHRASE)
		return crypto_pwhash(key, 32, secret, len, k->salt, tfs_le32(k->passes), tfs_le64(k->memory),
		                     crypto_pwhash_ALG_ARGON2ID13)
		           ? -ENOMEM
		           : 0;
	crypto_generichash_state s;
	u8 digest[32];

	crypto_generichash(digest, 32, secret, len, NULL, 0);
	crypto_generichash_init(&s, digest, 32, 32);
	crypto_generichash_update(&s, (const u8 *)file_personal, sizeof(file_personal));
	crypto_generichash_update(&s, k->salt, sizeof(k->salt));
	crypto_generichash_final(&s, key, 32);
	bk_wipe(digest, sizeof(digest));
	return 0;
}

#define KEY_IDENTITY offsetof(struct bk_key, nonce)

static void key_identity(const struct bk_key *k, const struct bk_config *config, u8 out[KEY_IDENTITY + sizeof(*config)])
{
	memcpy(out, k, KEY_IDENTITY);
	memcpy(out + KEY_IDENTITY, config, sizeof(*config));
}

int bk_key_make(struct bk_key *k, const struct bk_config *config, int kind, const void *secret, size_t secret_len,
                u32 passes, u64 memory, const char *label, const u8 master[BK_MASTER])
{
	u8 identity[KEY_IDENTITY + sizeof(*config)], key[32];
	bool slow = kind == BK_KEY_PASSPHRASE;
	int err;

	memset(k, 0, sizeof(*k));
	bk_head_fill(&k->head, BK_KEY);
	k->kind = tfs_cpu32((u32)kind);
	k->passes = tfs_cpu32(slow ? passes : 0);
	k->memory = tfs_cpu64(slow ? memory : 0);
	k->created = tfs_cpu64((u64)time(NULL));
	bk_random(k->salt, sizeof(k->salt));
	memcpy(k->label, label, strnlen(label, sizeof(k->label)));
	bk_random(k->nonce, sizeof(k->nonce));
	err = secret_key(k, secret, secret_len, key);
	if (err)
		return err;
	key_identity(k, config, identity);
	crypto_aead_xchacha20poly1305_ietf_encrypt(k->sealed, NULL, master, BK_MASTER, identity, sizeof(identity), NULL,
	                                           k->nonce, key);
	bk_wipe(key, sizeof(key));
	check_make(k, offsetof(struct bk_key, check), k->check);
	return 0;
}

const char *bk_key_check(const struct bk_key *k, size_t size)
{
	const char *why = bk_head_check(k, size, BK_KEY);
	u32 kind, passes;
	u64 memory;
	u8 check[16];

	if (why || size != sizeof(*k))
		return why ? why : "is no key: its size is wrong";
	check_make(k, offsetof(struct bk_key, check), check);
	if (memcmp(check, k->check, sizeof(check)))
		return "is damaged: its checksum differs";
	kind = tfs_le32(k->kind);
	passes = tfs_le32(k->passes);
	memory = tfs_le64(k->memory);
	if (kind == BK_KEY_FILE)
		return NULL;
	if (kind != BK_KEY_PASSPHRASE)
		return "is a key of an unknown kind";
	if (passes < crypto_pwhash_OPSLIMIT_MIN || passes > KEY_PASSES_MAX || memory < crypto_pwhash_MEMLIMIT_MIN ||
	    memory > KEY_MEMORY_MAX)
		return "asks for more memory or passes than a sound key does";
	return NULL;
}

int bk_key_open(const struct bk_key *k, const struct bk_config *config, const void *secret, size_t secret_len,
                u8 master[BK_MASTER])
{
	u8 identity[KEY_IDENTITY + sizeof(*config)], key[32];
	int err = secret_key(k, secret, secret_len, key);

	if (err)
		return err;
	key_identity(k, config, identity);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(master, NULL, NULL, k->sealed, sizeof(k->sealed), identity,
	                                               sizeof(identity), k->nonce, key))
		err = -EACCES;
	bk_wipe(key, sizeof(key));
	return err;
}
