// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Names in hex, growing arrays, sets of names: what all of tfs-backup uses and what knows no store. */
#include "backup/backup.h"

#include <stdlib.h>

void bk_hex(const u8 *bytes, size_t n, char *out)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digit[bytes[i] >> 4];
		out[2 * i + 1] = digit[bytes[i] & 15];
	}
	out[2 * n] = 0;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool bk_unhex(const char *text, u8 *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hi = nibble(text[2 * i]), lo = hi < 0 ? -1 : nibble(text[2 * i + 1]);

		if (lo < 0)
			return false;
		out[i] = (u8)(hi << 4 | lo);
	}
	return !text[2 * n];
}

void bk_object_name(char out[BK_KEY_MAX], int type, const u8 name[BK_HASH])
{
	char hex[2 * BK_HASH + 1];

	bk_hex(name, BK_HASH, hex);
	snprintf(out, BK_KEY_MAX, "%s/%.2s/%s",
	         type == BK_PACK    ? "packs"
	         : type == BK_MOVED ? "moved"
	                            : "index",
	         hex, hex);
}

int bk_no_memory(void)
{
	return tfs_cli_fail(BK_HOST, NULL, "out of memory");
}

int bk_grow(void *array, size_t *max, size_t need, size_t size)
{
	void **p = array, *more;

	if (need <= *max)
		return 0;
	more = realloc(*p, (need + need / 2 + 16) * size);
	if (!more)
		return bk_no_memory();
	*p = more;
	*max = need + need / 2 + 16;
	return 0;
}

int bk_names_add(struct bk_names *n, const u8 name[BK_HASH])
{
	int code = bk_grow(&n->name, &n->max, n->count + 1, BK_HASH);

	if (!code)
		memcpy(n->name[n->count++], name, BK_HASH);
	n->sorted = false;
	return code;
}

static int name_cmp(const void *a, const void *b)
{
	return memcmp(a, b, BK_HASH);
}

bool bk_names_have(struct bk_names *n, const u8 name[BK_HASH])
{
	if (!n->sorted && n->count)
		qsort(n->name, n->count, BK_HASH, name_cmp);
	n->sorted = true;
	return n->count && bsearch(name, n->name, n->count, BK_HASH, name_cmp);
}
