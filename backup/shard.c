// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Shards of the index as objects of the repository, and the whole index of a backup: see index.c. */
#include "backup/backup.h"

#include <stdlib.h>

int bk_shard_load(struct bk_repo *r, struct bk_index *x, const struct bk_shard_ref *s)
{
	u8 *plain, digest[BK_HASH];
	char name[BK_KEY_MAX];
	const char *why;
	size_t len;
	int code;

	bk_object_name(name, BK_SHARD, s->name);
	code = bk_load(r, BK_SHARD, name, NULL, 0, sizeof(struct bk_shard), BK_SHARD_RAW_MAX + (1u << 20), &plain, &len,
	               digest, NULL);
	if (code)
		return code;
	why =
	    memcmp(digest, s->name, BK_HASH) ? "is another object than its name says" : bk_shard_decode(x, plain, len);
	free(plain);
	return why ? tfs_cli_fail(BK_DAMAGE, name, "%s", why) : 0;
}

int bk_shard_save(struct bk_repo *r, const struct bk_index *x, struct bk_shard_ref *out)
{
	size_t len;
	u8 *plain = bk_shard_encode(x, &len);
	int err, code;

	if (!plain)
		return bk_no_memory();
	code = bk_save(r, BK_SHARD, NULL, NULL, 0, plain, len, 0, out->name, &err);
	free(plain);
	out->entries = tfs_cpu64(x->places);
	out->size = tfs_cpu64(len + BK_HEADED);
	return code;
}

int bk_index_load(struct bk_repo *r, struct bk_index *x, const struct bk_backup *b)
{
	int code = 0;

	memset(x, 0, sizeof(*x));
	x->volume = b->volume;
	for (u32 i = 0; !code && i < b->shards; i++)
		code = bk_shard_load(r, x, &b->shard[i]);
	if (!code)
		code = bk_moved_apply(r, x);
	bk_index_sort(x);
	return code;
}
