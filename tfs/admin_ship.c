// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The requests of log forwarding: rules, cursors, the files under a rule and what the volume holds of them. They let a
 * sender outside of the kernel work on a mounted volume and on an image alike, by inode numbers: a name may change and
 * a file shrink meanwhile, which its generation tells. Called from the table in admin.c.
 */
#include "tfs/admin.h"

static bool text_only(const char *text, u32 len, u32 max)
{
	return len <= max && tfs_admin_zero(text + len, max - len);
}

int tfs_admin_ship_add(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_ship_rule *r = arg;

	if (r->rule || !TFS_ALL_ZERO(r->reserved) || !text_only(r->pattern, r->pattern_len, sizeof(r->pattern)) ||
	    !text_only(r->target, r->target_len, sizeof(r->target)))
		return -EINVAL;
	return tfs_ship_add(vol, r->ino, r->pattern, r->pattern_len, r->target, r->target_len, r->acked, &r->rule);
}

/* Which rule, and nothing else, is given. */
static bool rule_only(const struct tfs_ioc_ship_rule *r)
{
	return tfs_admin_zero(&r->ino, sizeof(*r) - sizeof(r->rule));
}

int tfs_admin_ship_remove(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_ship_rule *r = arg;

	return rule_only(r) ? tfs_ship_remove(vol, r->rule) : -EINVAL;
}

int tfs_admin_ship_next(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_ship_rule *r = arg;
	struct tfs_ship_rule_info *i;
	int err;

	if (!rule_only(r))
		return -EINVAL;
	i = tfs_port_alloc(sizeof(*i));
	if (!i)
		return -ENOMEM;
	err = tfs_ship_rule_next(vol, &r->rule, i);
	if (!err) {
		r->ino = i->ino;
		r->pattern_len = i->pattern_len;
		r->target_len = i->target_len;
		memcpy(r->pattern, i->pattern, i->pattern_len);
		memcpy(r->target, i->target, i->target_len);
	}
	tfs_port_free(i);
	return err;
}

int tfs_admin_ship_mark(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_ship_cursor *c = arg;

	if (c->generation || c->reserved0 || !TFS_ALL_ZERO(c->reserved))
		return -EINVAL;
	return tfs_ship_mark(vol, c->ino, c->rule, c->acked);
}

int tfs_admin_ship_acked(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_ship_cursor *c = arg;

	if (c->reserved0 || !TFS_ALL_ZERO(c->reserved))
		return -EINVAL;
	return tfs_ship_acked(vol, c->ino, c->rule, c->generation, c->acked);
}

#define SHIP_ITEMS 256u /* looked at in a request */

int tfs_admin_ship_files(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_ship_files *q = arg;
	u32 left = SHIP_ITEMS;
	int err = 0;

	if (q->count || q->more || !TFS_ALL_ZERO(q->reserved) || !TFS_ALL_ZERO(q->file))
		return -EINVAL;
	while (!err && left-- && q->count < TFS_IOC_SHIP_FILES_MAX) {
		struct tfs_ship_file f;

		err = tfs_ship_file_next(vol, q->rule, &q->ino, 1, &f);
		if (!err) {
			q->file[q->count++] = (struct tfs_ioc_ship_file){
			    f.ino, f.acked, f.size, f.origin, f.generation, f.ended ? TFS_SHIP_ENDED : 0};
			q->ino = f.ino + 1;
		}
		err = err > 0 ? 0 : err;
	}
	q->more = !err;
	return err == -ENOENT ? 0 : err;
}

int tfs_admin_ship_read(struct tfs_vol *vol, void *arg)
{
	struct tfs_ioc_ship_read *q = arg;
	u32 generation;
	u64 acked;
	s64 got;
	int err;

	if (q->bytes || !TFS_ALL_ZERO(q->reserved) || !TFS_ALL_ZERO(q->data))
		return -EINVAL;
	err = tfs_ship_state(vol, q->ino, 0, &generation, &acked);
	if (err != -ENODATA) /* no rule has the number 0 */
		return err;
	if (generation != q->generation || tfs_ship_freed(vol, q->ino, q->offset))
		return -ESTALE;
	got = tfs_read(vol, q->ino, q->offset, q->data, sizeof(q->data));
	q->bytes = got > 0 ? (u32)got : 0;
	return got < 0 ? (int)got : 0;
}
