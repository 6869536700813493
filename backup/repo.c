// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A repository: making one, opening it with a passphrase or key file, its sealed objects by name, its keys. `config`
 * is put last when a repository is made: without it there is none. Called by main.c and all commands.
 */
#include "backup/backup.h"

#include <json-c/json.h>
#include <stdlib.h>

#define KEY_OBJECTS_MAX 256u

int bk_store_code(int err, int missing)
{
	return err == -ENOENT ? missing : err == -ENOMEM ? BK_HOST : err == -EINVAL ? BK_USAGE : BK_STORE;
}

int bk_store_failed(const struct bk_repo *r, int err, int missing)
{
	return tfs_cli_fail(bk_store_code(err, missing), NULL, "%s", tfs_store_error(r->store));
}

/* ---- sealed objects ---- */

int bk_load(struct bk_repo *r, int type, const char *name, const void *identity, size_t identity_len, size_t min,
            size_t max, u8 **plain, size_t *len, u8 *digest, bool *gone)
{
	size_t size;
	void *object;
	const char *why;
	int err = tfs_store_load(r->store, name, max + BK_HEADED, &object, &size);

	if (gone && err == -ENOENT) {
		*gone = true;
		return BK_DAMAGE;
	}
	if (err == -EFBIG)
		return tfs_cli_fail(BK_DAMAGE, name, "is larger than such an object can be");
	if (err)
		return bk_store_failed(r, err, BK_DAMAGE);
	*plain = malloc(size + 1);
	if (!*plain) {
		free(object);
		return bk_no_memory();
	}
	why = bk_object_open(r->crypt, type, identity, identity_len, object, size, *plain);
	if (!why && size - BK_HEADED < min)
		why = "is shorter than such an object can be";
	if (!why && digest)
		bk_name(r->crypt, type, object, size, digest);
	free(object);
	if (why) {
		free(*plain);
		*plain = NULL;
		return tfs_cli_fail(BK_DAMAGE, name, "%s", why);
	}
	*len = size - BK_HEADED;
	return 0;
}

/* Named by its content when name is NULL, else under that name. *err: what the store said. */
int bk_save(struct bk_repo *r, int type, const char *name, const void *identity, size_t identity_len, const void *plain,
            size_t len, unsigned flags, u8 *digest, int *err)
{
	u8 *object = malloc(len + BK_HEADED), hash[BK_HASH];
	char own[BK_KEY_MAX];

	*err = 0;
	if (!object)
		return bk_no_memory();
	bk_object_seal(r->crypt, type, identity, identity_len, plain, len, object);
	bk_name(r->crypt, type, object, len + BK_HEADED, hash);
	bk_object_name(own, type, hash);
	*err = tfs_store_put(r->store, name ? name : own, object, len + BK_HEADED, flags);
	free(object);
	if (digest)
		memcpy(digest, hash, BK_HASH);
	if (!*err || (*err == -EEXIST && flags & TFS_STORE_IF_ABSENT))
		return *err ? BK_OVERTAKEN : 0;
	return bk_store_failed(r, *err, BK_STORE);
}

/* ---- keys ---- */

struct key_names {
	char (*name)[BK_KEY_MAX];
	size_t count, max;
};

static int key_name(void *arg, const struct tfs_store_entry *e)
{
	struct key_names *k = arg;

	if (strlen(e->name) >= BK_KEY_MAX || k->count == KEY_OBJECTS_MAX)
		return 0;
	if (bk_grow(&k->name, &k->max, k->count + 1, BK_KEY_MAX))
		return BK_HOST;
	strcpy(k->name[k->count++], e->name);
	return 0;
}

static int key_list(struct bk_repo *r, struct key_names *k)
{
	int err = tfs_store_list(r->store, "keys/", NULL, key_name, k);

	return err < 0 ? bk_store_failed(r, err, BK_STORE) : err;
}

/* 0: *key holds it; an exit code; *why: it is damaged. */
static int key_load(struct bk_repo *r, const char *name, struct bk_key *key, const char **why)
{
	size_t len;
	void *data;
	int err = tfs_store_load(r->store, name, 4096, &data, &len);

	*why = NULL;
	if (err == -EFBIG) {
		*why = "is larger than a key is";
		return 0;
	}
	if (err)
		return bk_store_failed(r, err, BK_DAMAGE);
	memset(key, 0, sizeof(*key));
	memcpy(key, data, len < sizeof(*key) ? len : sizeof(*key));
	*why = bk_key_check(key, len);
	free(data);
	return 0;
}

/* Tries every key of the secret's kind. */
static int unlock_with(struct bk_repo *r, const struct key_names *k, int kind, const u8 *secret, size_t len)
{
	u8 master[BK_MASTER];
	u32 tried = 0;

	for (size_t i = 0; i < k->count; i++) {
		struct bk_key key;
		const char *why;
		int err = key_load(r, k->name[i], &key, &why);

		if (err)
			return err;
		if (why) {
			tfs_cli_warn(k->name[i], "%s; another key is tried", why);
			continue;
		}
		if (tfs_le32(key.kind) != (u32)kind)
			continue;
		tried++;
		err = bk_key_open(&key, &r->config, secret, len, master);
		if (err == -ENOMEM)
			return tfs_cli_fail(BK_HOST, k->name[i], "this key needs %llu MiB of memory",
			                    (unsigned long long)(tfs_le64(key.memory) >> 20));
		if (err)
			continue;
		r->crypt = bk_crypt_new(master);
		bk_wipe(master, sizeof(master));
		return r->crypt ? 0 : bk_no_memory();
	}
	return tfs_cli_fail(BK_SECRET, r->url, "%s does not open it: expected one of %u %s",
	                    kind == BK_KEY_FILE ? "this key file" : "this passphrase", tried,
	                    kind == BK_KEY_FILE ? "key files" : "passphrases");
}

static int unlock(struct bk_repo *r)
{
	struct key_names k = {0};
	int kind, code = key_list(r, &k);
	size_t len;
	u8 *secret;

	if (!code && !k.count)
		code = tfs_cli_fail(BK_DAMAGE, r->url,
		                    "there are no objects below keys/: without one nothing can be read");
	if (!code)
		code = bk_secret_get(r->o, false, &kind, &secret, &len);
	if (!code) {
		code = unlock_with(r, &k, kind, secret, len);
		bk_secret_free(secret, len);
	}
	free(k.name);
	return code;
}

/* name: of the object, set. */
static int key_add(struct bk_repo *r, const u8 master[BK_MASTER], char name[BK_KEY_MAX])
{
	char hex[2 * 16 + 1];
	struct bk_key key;
	u8 *secret, id[16];
	size_t len;
	int kind, err, code = bk_secret_get(r->o, true, &kind, &secret, &len);

	if (code)
		return code;
	err = bk_key_make(&key, &r->config, kind, secret, len, 3, r->o->kdf_memory, r->o->label ? r->o->label : "",
	                  master);
	bk_secret_free(secret, len);
	if (err)
		return tfs_cli_fail(BK_HOST, NULL, "deriving a key needs %llu MiB of memory; see --kdf-memory",
		                    (unsigned long long)(r->o->kdf_memory >> 20));
	bk_random(id, sizeof(id));
	bk_hex(id, sizeof(id), hex);
	snprintf(name, BK_KEY_MAX, "keys/%s", hex);
	err = tfs_store_put(r->store, name, &key, sizeof(key), 0);
	if (err)
		return bk_store_failed(r, err, BK_STORE);
	if (!r->o->quiet)
		printf("key %s added\n", hex);
	return 0;
}

static int key_print(struct bk_repo *r, const char *name)
{
	struct json_object *o;
	struct bk_key key;
	const char *why, *kind;
	int code = key_load(r, name, &key, &why);

	if (code)
		return code;
	if (why)
		return tfs_cli_fail(BK_DAMAGE, name, "%s", why);
	kind = tfs_le32(key.kind) == BK_KEY_FILE ? "key file" : "passphrase";
	if (!r->o->json) {
		printf("%s  %-10s  ", name + 5, kind);
		tfs_cli_print_name(stdout, (char *)key.label, strnlen((char *)key.label, sizeof(key.label)));
		putchar('\n');
		return 0;
	}
	o = json_object_new_object();
	tfs_json_text(o, "key", name + 5);
	tfs_json_text(o, "kind", kind);
	tfs_json_bytes(o, "label", key.label, strnlen((char *)key.label, sizeof(key.label)));
	tfs_json_u64(o, "created", tfs_le64(key.created));
	tfs_json_line(stdout, o);
	return 0;
}

/* Is there a whole one beside it? A damaged one opens nothing. */
static bool other_whole(struct bk_repo *r, const struct key_names *k, size_t but)
{
	for (size_t i = 0; i < k->count; i++) {
		struct bk_key key;
		const char *why;

		if (i != but && !key_load(r, k->name[i], &key, &why) && !why)
			return true;
	}
	return false;
}

static int key_remove(struct bk_repo *r, const struct key_names *k, const char *id)
{
	size_t found = k->count, hits = 0;

	for (size_t i = 0; i < k->count; i++)
		if (!strncmp(k->name[i] + 5, id, strlen(id)))
			found = i, hits++;
	if (hits != 1 || strlen(id) < 4)
		return tfs_cli_fail(BK_USAGE, id,
		                    hits > 1 ? "expected more digits: several keys begin so"
		                             : "expected the first digits, four or more, of a key; see key list");
	if (!other_whole(r, k, found))
		return tfs_cli_fail(BK_USAGE, id,
		                    "is the only key%s: without it nothing could be read again; add another first",
		                    k->count > 1 ? " that is whole" : "");
	int err = tfs_store_delete(r->store, k->name[found]);

	return err ? bk_store_failed(r, err, BK_STORE) : 0;
}

int bk_repo_key_command(struct bk_repo *r, const char *what, const char *id)
{
	struct key_names k = {0};
	char name[BK_KEY_MAX];
	int code;

	if (!strcmp(what, "add") && !id)
		return key_add(r, r->crypt->master, name);
	code = key_list(r, &k);
	if (!code && !strcmp(what, "list") && !id) {
		for (size_t i = 0; i < k.count; i++) {
			int err = key_print(r, k.name[i]);

			code = code ? code : err;
		}
	} else if (!code && !strcmp(what, "remove") && id) {
		code = key_remove(r, &k, id);
	} else if (!code) {
		code = tfs_cli_fail(BK_USAGE, what, "expected add, list, or remove and a key; see tfs-backup --help");
	}
	free(k.name);
	return code;
}

int bk_repo_keys_check(struct bk_repo *r)
{
	struct key_names k = {0};
	int code = key_list(r, &k);

	for (size_t i = 0; i < k.count; i++) {
		struct bk_key key;
		const char *why;
		int err = key_load(r, k.name[i], &key, &why);

		if (!err && why)
			err = tfs_cli_fail(BK_DAMAGE, k.name[i], "%s", why);
		code = code ? code : err;
	}
	free(k.name);
	return code;
}

/* ---- opening ---- */

static void note(void *arg, const char *line)
{
	(void)arg;
	tfs_cli_warn(NULL, "%s", line);
}

static int store_open(struct bk_repo *r, const char *url, const struct bk_options *o, unsigned flags)
{
	char error[TFS_STORE_ERROR_MAX];
	int err;

	memset(r, 0, sizeof(*r));
	r->url = url;
	r->o = o;
	if (bk_crypt_start())
		return tfs_cli_fail(BK_HOST, NULL, "libsodium cannot be started: no random numbers on this machine");
	err = tfs_store_open(&r->store, url, o->store, flags, error);
	if (err)
		return tfs_cli_fail(bk_store_code(err, BK_STORE), NULL, "%s", error);
	if (!o->quiet)
		tfs_store_notes(r->store, note, NULL);
	return 0;
}

static int config_load(struct bk_repo *r)
{
	const char *why;
	size_t len;
	void *data;
	int err = tfs_store_load(r->store, "config", 4096, &data, &len);

	if (err == -ENOENT)
		return tfs_cli_fail(BK_STORE, NULL, "%s; no repository here, see tfs-backup init",
		                    tfs_store_error(r->store));
	if (err && err != -EFBIG)
		return bk_store_failed(r, err, BK_STORE);
	if (!err) {
		memcpy(&r->config, data, len < sizeof(r->config) ? len : sizeof(r->config));
		free(data);
	}
	why = err ? "is larger than a config is" : bk_config_check(&r->config, len);
	if (why)
		return tfs_cli_fail(BK_DAMAGE, "config", "%s", why);
	if (!bk_config_known(&r->config))
		return tfs_cli_fail(
		    BK_STORE, "config",
		    "a repository of format %u with features 0x%x, expected format %u and of features 0x%x "
		    "at most: a newer tfs-backup made it and is needed",
		    tfs_le16(r->config.version), tfs_le16(r->config.features), BK_VERSION, BK_FEATURES);
	r->grace = tfs_le32(r->config.grace);
	return 0;
}

int bk_repo_open(struct bk_repo *r, const char *url, const struct bk_options *o, bool chain)
{
	int code = store_open(r, url, o, 0);

	if (!code)
		code = config_load(r);
	if (!code)
		code = unlock(r);
	if (!code && chain)
		code = bk_chain_load(r);
	if (!code && chain)
		code = bk_state_check(r);
	return code;
}

void bk_repo_close(struct bk_repo *r)
{
	bk_moved_free(r);
	bk_chain_free(&r->chain);
	if (r->crypt)
		bk_crypt_free(r->crypt);
	tfs_store_close(r->store);
}

/* ---- making one ---- */

static int any_object(void *arg, const struct tfs_store_entry *e)
{
	(void)arg;
	(void)e;
	return 1;
}

/* Without `config` but with backups it is one that lost it: making another would bury them. */
static int nothing_there(struct bk_repo *r)
{
	int err = tfs_store_stat(r->store, "config", NULL, NULL);

	if (!err)
		return tfs_cli_fail(BK_USAGE, r->url, "there is a repository already");
	if (err != -ENOENT)
		return bk_store_failed(r, err, BK_STORE);
	err = tfs_store_list(r->store, "manifests/", NULL, any_object, NULL);
	if (err > 0)
		return tfs_cli_fail(BK_DAMAGE, r->url,
		                    "there are backups without the object config: restore it, or choose another place");
	return err ? bk_store_failed(r, err, BK_STORE) : 0;
}

/* Is it a key as key_add makes them? Others may have objects below keys/, too. */
static bool is_key(struct bk_repo *r, const char *name)
{
	const char *hex = name + strlen("keys/"), *why;
	struct bk_key key;

	return strlen(hex) == 32 && strspn(hex, "0123456789abcdef") == 32 && !key_load(r, name, &key, &why) && !why;
}

/* Objects that only a repository has which was used: then its keys are all that opens it, should its config come back. */
static bool was_used(struct bk_repo *r)
{
	static const char *const folders[] = {"packs/", "index/", "moved/", "condemned/"};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(folders) / sizeof(*folders); i++)
		err = tfs_store_list(r->store, folders[i], NULL, any_object, NULL);
	return err != 0;
}

/* What an init that was interrupted left: of a config that was never put, so it opens nothing. This config is there. */
static void leftovers_remove(struct bk_repo *r, const struct key_names *k)
{
	bool used = k->count && was_used(r);

	for (size_t i = 0; i < k->count; i++) {
		if (!is_key(r, k->name[i]))
			continue;
		if (used || tfs_store_delete(r->store, k->name[i]))
			tfs_cli_warn(
			    k->name[i],
			    "is not of this repository: an interrupted init left it, or one that lost its config; "
			    "key remove takes it away");
		else if (!r->o->quiet)
			printf("%s removed: an interrupted init left it\n", k->name[i]);
	}
}

/* Somebody's config is there: ours, when the answer to the first of two puts was lost and the store kept no token. */
static int overtaken(struct bk_repo *r, const char *own)
{
	size_t len;
	void *data;
	int err = tfs_store_load(r->store, "config", sizeof(r->config), &data, &len);
	bool ours = !err && len == sizeof(r->config) && !memcmp(data, &r->config, len);

	if (!err)
		free(data);
	if (ours)
		return 0;
	if (!err)
		tfs_store_delete(r->store, own); /* if that fails, it opens nothing */
	return tfs_cli_fail(BK_USAGE, r->url, "another program made a repository here at the same moment");
}

static int make(struct bk_repo *r)
{
	u8 master[BK_MASTER];
	char own[BK_KEY_MAX];
	int err, code;

	bk_config_make(&r->config, (u32)r->o->grace);
	r->grace = (u32)r->o->grace;
	bk_random(master, sizeof(master));
	code = key_add(r, master, own);
	bk_wipe(master, sizeof(master));
	if (code)
		return code;
	err = tfs_store_put(r->store, "config", &r->config, sizeof(r->config), TFS_STORE_IF_ABSENT);
	if (err == -EEXIST)
		return overtaken(r, own);
	return err ? bk_store_failed(r, err, BK_STORE) : 0;
}

int bk_repo_init(const char *url, const struct bk_options *o)
{
	struct key_names before = {0}; /* only of these is it certain that they are not this repository's */
	struct bk_repo r;
	char hex[33];
	int code = store_open(&r, url, o, TFS_STORE_CREATE);

	if (!code)
		code = key_list(&r, &before); /* first: what a config has that another puts now is not here */
	if (!code)
		code = nothing_there(&r);
	if (!code)
		code = make(&r);
	if (!code)
		leftovers_remove(&r, &before);
	free(before.name);
	if (!code) {
		bk_hex(r.config.id, sizeof(r.config.id), hex);
		if (!o->quiet)
			printf("repository %s made at %s; without its passphrase or key file nothing in it can be read "
			       "again\n",
			       hex, url);
	}
	bk_repo_close(&r);
	return code;
}
