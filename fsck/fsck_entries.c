// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Names and xattrs of one inode: each under its own hash, each once; a large xattr value's place is counted as used,
 * and what is to be an ACL has to be one.
 * Called by fsck_items.c; names go to the list that fsck_names.c works on.
 */
#include "fsck/fsck_items.h"
#include "tfs/user/acl.h"

#include <stdlib.h>

static bool name_again(struct fsck_item_state *s, u64 hash, const u8 *name, u32 len)
{
	if (hash != s->hash)
		s->same = 0;
	s->hash = hash;
	for (u32 i = 0; i < s->same; i++)
		if (s->name_len[i] == len && !memcmp(s->name[i], name, len))
			return true;
	if (s->same < NAMES_OF_HASH) {
		memcpy(s->name[s->same], name, len);
		s->name_len[s->same++] = (u8)len;
	}
	return false;
}

/* False: the item does not stay. */
static bool name_place(struct fsck_item_state *s, struct tfs_key key, const u8 *name, u32 len, bool *moved)
{
	u64 pos = key.b & TFS_POS_MASK, want = tfs_name_position(s->f->vol, name, len);
	char object[600], text[520];
	bool again;

	*moved = pos >> 8 != want >> 8;
	again = !*moved && name_again(s, key.b >> 8, name, len);
	if (!*moved && !again)
		return true;
	snprintf(object, sizeof(object), "inode %llu name %s", (unsigned long long)s->ino,
	         tfs_cli_escape(text, sizeof(text), (const char *)name, len));
	if (*moved) {
		if (fsck_problem(s->f, FSCK_HASH_WRONG, object, "expected position %llx, found %llx",
		                 (unsigned long long)want >> 8, (unsigned long long)pos >> 8))
			fsck_fix_add(s->f, FIX_REHASH, TFS_TREE_FS, key, 0, NULL, 0);
		return true;
	}
	if (!fsck_problem(s->f, FSCK_NAME_TWICE, object, "expected once, found again at position %llx",
	                  (unsigned long long)pos))
		return true;
	fsck_item_remove(s, key);
	return false;
}

int fsck_dirent(struct fsck_item_state *s, struct tfs_key key, const struct tfs_dirent *d)
{
	struct fsck *f = s->f;
	bool moved;

	if (!name_place(s, key, d->name, d->name_len, &moved))
		return 0;
	s->entries++;
	if (fsck_grow(&f->name, &f->names_max, f->names + 1, sizeof(*f->name)))
		return -ENOMEM;
	f->name[f->names++] = (struct fsck_name){s->ino, key.b & TFS_POS_MASK, (u64)d->type << 56 | tfs_le64(d->ino)};
	return 0;
}

/* ---- ACLs ---- */

/* Nobody but the owner and others is granted anything for want of the list: the mode's group bits were its mask. */
static void acl_check(struct fsck_item_state *s, struct tfs_key key, const struct tfs_xattr *x, const void *value)
{
	const char *wrong = tfs_acl_named(x->name, x->name_len, value, tfs_le32(x->value_len));
	bool access = x->name_len == strlen(TFS_ACL_ACCESS);
	char object[96];

	if (!wrong)
		return;
	snprintf(object, sizeof(object), "inode %llu xattr %.*s", (unsigned long long)s->ino, x->name_len, x->name);
	if (!fsck_problem(s->f, FSCK_ACL_BAD, object, "expected a list of version 2 that acl(5) allows; %s", wrong))
		return;
	fsck_item_remove(s, key);
	if (access && s->have)
		fsck_fix_add(s->f, FIX_MODE, TFS_TREE_FS, fsck_key(s->ino, TFS_IT_INODE, 0), 0070, NULL, 0);
}

/* One that is stored as an extent; what cannot be read is --data's to report. */
static int acl_check_far(struct fsck_item_state *s, struct tfs_key key, const struct tfs_xattr *x,
                         const struct tfs_ptr *ptr)
{
	u8 *value;

	if (!tfs_acl_named(x->name, x->name_len, "", 0)) /* no ACL at all */
		return 0;
	value = malloc((size_t)ptr->len * TFS_UNIT);
	if (!value)
		return -ENOMEM;
	if (!tfs_read_ptr(s->f->vol, ptr, value, true))
		acl_check(s, key, x, value);
	free(value);
	return 0;
}

/* ---- xattrs ---- */

static int value_far(struct fsck_item_state *s, struct tfs_key key, const struct tfs_xattr *x,
                     const struct tfs_ptr *ptr)
{
	char object[600], text[520];
	int err;

	snprintf(object, sizeof(object), "inode %llu xattr %s", (unsigned long long)s->ino,
	         tfs_cli_escape(text, sizeof(text), (const char *)x->name, x->name_len));
	if (!fsck_place_sound(s->f, key, x, ptr)) {
		if (fsck_problem(s->f, FSCK_EXTENT_RANGE, object, "expected a place in the volume, found unit %llu+%u",
		                 (unsigned long long)ptr->addr, ptr->len))
			fsck_item_remove(s, key);
		return 0;
	}
	err = fsck_place_use(s, key, ptr, NULL, "xattr at", key.b & TFS_POS_MASK);
	if (err)
		return err < 0 ? err : 0;
	err = s->f->data ? tfs_data_verify(s->f->vol, key, x, s->buf, fsck_bad, s->f) : 0;
	if (err == -ENOMEM)
		return err;
	return acl_check_far(s, key, x, ptr);
}

int fsck_xattr(struct fsck_item_state *s, struct tfs_key key, const struct tfs_xattr *x)
{
	struct tfs_ptr ptr;
	bool moved;

	if (!name_place(s, key, x->name, x->name_len, &moved))
		return 0;
	if (tfs_item_ptr(TFS_TREE_FS, key, x, &ptr))
		return value_far(s, key, x, &ptr);
	acl_check(s, key, x, x->name + x->name_len);
	return 0;
}
