// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What an ACL's value means, and how it follows a mode: see acl.h. */
#include "tfs/user/acl.h"

#define VERSION 2u

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

/* Values come from messages and items, at any address. */
struct entry {
	le16 tag, perm;
	le32 id;
} __attribute__((packed));
struct list {
	le32 version;
	struct entry e[];
} __attribute__((packed));

static u32 count(u32 len)
{
	return (len - (u32)sizeof(struct list)) / (u32)sizeof(struct entry);
}

static u32 tag_of(const struct list *a, u32 i)
{
	return tfs_le16(a->e[i].tag);
}

const char *tfs_acl_check(const void *value, u32 len)
{
	const struct list *a = value;
	u32 last = 0, seen = 0, i;

	if (len < sizeof(*a) || (len - sizeof(*a)) % sizeof(struct entry) || len > TFS_ACL_MAX)
		return "its length is not that of whole entries";
	if (tfs_le32(a->version) != VERSION)
		return "its version is not 2";
	for (i = 0; i < count(len); i++) {
		u32 tag = tag_of(a, i);

		if (!tag || tag & (tag - 1) || tag > OTHER)
			return "an entry is of no known kind";
		if (tag < last || (tag == last && tag != USER && tag != GROUP))
			return "its entries are not in order";
		if (tfs_le16(a->e[i].perm) > 7)
			return "an entry has other bits than read, write and execute";
		if ((tag == USER || tag == GROUP) && tfs_le32(a->e[i].id) == 0xffffffffu)
			return "an entry is of nobody";
		seen |= tag;
		last = tag;
	}
	if ((seen & (USER_OBJ | GROUP_OBJ | OTHER)) != (USER_OBJ | GROUP_OBJ | OTHER))
		return "owner, group or others are missing";
	if (seen & (USER | GROUP) && !(seen & MASK))
		return "its mask is missing";
	return NULL;
}

const char *tfs_acl_named(const void *name, u32 name_len, const void *value, u32 len)
{
	if (name_len == strlen(TFS_ACL_ACCESS) && !memcmp(name, TFS_ACL_ACCESS, name_len))
		return tfs_acl_check(value, len);
	if (name_len == strlen(TFS_ACL_DEFAULT) && !memcmp(name, TFS_ACL_DEFAULT, name_len))
		return tfs_acl_check(value, len);
	return NULL;
}

/* The entry that shows as the mode's group bits: the mask, or the group where there is none. */
static struct entry *group_class(struct list *a, u32 len)
{
	struct entry *found = NULL;
	u32 i;

	for (i = 0; i < count(len); i++)
		if (tag_of(a, i) & (GROUP_OBJ | MASK))
			found = &a->e[i];
	return found;
}

static struct entry *class_of(struct list *a, u32 len, u32 i)
{
	struct entry *e = &a->e[i];

	return tag_of(a, i) & (USER_OBJ | OTHER) || e == group_class(a, len) ? e : NULL;
}

static u32 shift_of(u32 tag)
{
	return tag == USER_OBJ ? 6 : tag == OTHER ? 0 : 3;
}

u32 tfs_acl_mode(const void *value, u32 len)
{
	struct list *a = (struct list *)value;
	u32 mode = 0, i;

	for (i = 0; i < count(len); i++)
		if (class_of(a, len, i))
			mode |= (u32)tfs_le16(a->e[i].perm) << shift_of(tag_of(a, i));
	return mode;
}

bool tfs_acl_minimal(const void *value, u32 len)
{
	(void)value;
	return count(len) == 3;
}

static void classes_set(struct list *a, u32 len, u32 mode, bool only_less)
{
	u32 i;

	for (i = 0; i < count(len); i++) {
		struct entry *e = class_of(a, len, i);
		u32 perm = mode >> shift_of(tag_of(a, i)) & 7;

		if (e)
			e->perm = tfs_cpu16((u16)(only_less ? perm & tfs_le16(e->perm) : perm));
	}
}

void tfs_acl_chmod(void *value, u32 len, u32 mode)
{
	classes_set(value, len, mode, false);
}

void tfs_acl_inherit(void *value, u32 len, u32 mode)
{
	classes_set(value, len, mode, true);
}
