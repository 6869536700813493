// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `diff`: what changed between two backups of a volume. Each is a volume of its own here (image.c), so the request for
 * what differs is answered by going through the items of both side by side; the rest is tfs/user/diff.h. Epochs OLDER
 * and NEWER stand for the two.
 */
#include "backup/backup.h"
#include "tfs/core.h"
#include "tfs/user/diff.h"

enum { OLDER = 1, NEWER = 2 };

struct pair {
	struct tfs_vol *vol[2];
};
struct cursor {
	struct tfs_vol *vol;
	struct tfs_key key;
	const void *value;
	u32 len;
	bool end;
};

static int cursor_load(struct cursor *c)
{
	int err = tfs_item_next(c->vol, TFS_TREE_FS, &c->key, &c->value, &c->len);

	c->end = err == -ENOENT;
	return c->end ? 0 : err;
}

static int cursor_step(struct cursor *c)
{
	if (!++c->key.b)
		c->key.a++;
	return cursor_load(c);
}

static int cursors_cmp(const struct cursor *a, const struct cursor *b)
{
	return a->end ? 1 : b->end ? -1 : tfs_key_cmp(a->key, b->key);
}

static u8 *value_put(u8 *to, const struct cursor *c, u32 len)
{
	if (len)
		memcpy(to, c->value, len);
	return to + ((len + 7) & ~7u);
}

/* a, b NULL: that side has none. False: there is no room for it any more. */
static bool item_put(struct tfs_ioc_items *q, struct tfs_key key, const struct cursor *a, const struct cursor *b)
{
	u32 type = tfs_key_type(key);
	bool without =
	    !(q->flags & TFS_ITEMS_VALUES) && (type == TFS_IT_INLINE || type == TFS_IT_SYMLINK || type == TFS_IT_XATTR);
	struct tfs_ioc_item i = {.a = key.a,
	                         .b = key.b,
	                         .old_len = (u16)(a && !without ? a->len : 0),
	                         .new_len = (u16)(b && !without ? b->len : 0),
	                         .there = (u8)((a ? TFS_ITEM_OLD : 0) | (b ? TFS_ITEM_NEW : 0))};
	u8 *to = q->data + q->bytes;

	i.bytes = (u16)(sizeof(i) + ((i.old_len + 7) & ~7u) + ((i.new_len + 7) & ~7u));
	if (i.bytes > sizeof(q->data) - q->bytes)
		return false;
	memcpy(to, &i, sizeof(i));
	value_put(value_put(to + sizeof(i), a, i.old_len), b, i.new_len);
	q->bytes += i.bytes;
	return true;
}

static int differing(const struct pair *p, struct tfs_ioc_items *q)
{
	struct cursor a = {.vol = p->vol[0], .key = {q->a, q->b}}, b = {.vol = p->vol[1], .key = {q->a, q->b}};
	int err = cursor_load(&a);

	memset(q->data, 0, sizeof(q->data));
	if (!err)
		err = cursor_load(&b);
	while (!err && !(a.end && b.end)) {
		int cmp = cursors_cmp(&a, &b);
		struct tfs_key key = cmp <= 0 ? a.key : b.key;

		if ((cmp || a.len != b.len || memcmp(a.value, b.value, a.len)) &&
		    !item_put(q, key, cmp <= 0 ? &a : NULL, cmp >= 0 ? &b : NULL)) {
			q->a = key.a;
			q->b = key.b;
			q->more = 1;
			return 0;
		}
		if (cmp <= 0)
			err = cursor_step(&a);
		if (!err && cmp >= 0)
			err = cursor_step(&b);
	}
	return err;
}

static int items(void *arg, struct tfs_ioc_items *q)
{
	const struct pair *p = arg;
	u64 newer = q->newer;
	int err;

	if (q->older)
		return differing(p, q);
	q->newer = 0; /* as it is: that is the snapshot */
	err = tfs_admin(p->vol[newer == OLDER ? 0 : 1], TFS_IOC_ITEMS, q);
	q->newer = newer;
	return err;
}

static int print(struct bk_image image[2], bool json)
{
	static struct tfs_ioc_items batch;
	struct pair p = {{image[0].vol, image[1].vol}};
	struct tfs_items_source source = {items, &p, &batch};
	int err = tfs_diff_print(&source, OLDER, NEWER, json, true);

	if (!err)
		return 0;
	if (image[0].code || image[1].code)
		return image[0].code ? image[0].code : image[1].code;
	return err == -ENOMEM ? bk_no_memory() : tfs_cli_fail(BK_DAMAGE, NULL, "a tree cannot be read");
}

int bk_cmd_diff(struct bk_repo *r, const char *older, const char *newer)
{
	struct bk_image image[2];
	struct bk_backup b[2];
	int code = bk_backup_find(r, older, &b[0]);

	if (code)
		return code;
	code = bk_backup_find(r, newer, &b[1]);
	if (!code && (b[0].volume != b[1].volume || b[0].sequence > b[1].sequence))
		code = tfs_cli_fail(BK_USAGE, newer, "expected two backups of one volume, the older first");
	if (!code)
		code = bk_image_open(&image[0], r, &b[0]);
	if (!code) {
		code = bk_image_open(&image[1], r, &b[1]);
		if (!code) {
			code = print(image, r->o->json);
			bk_image_close(&image[1]);
		}
		bk_image_close(&image[0]);
	}
	bk_backup_free(&b[0]);
	bk_backup_free(&b[1]);
	return code;
}
