// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is below a directory gets its new rule: directories before what is in them, so that nothing made meanwhile is
 * left out. Names are read as items of the volume, which is the same for one that is mounted and one that is not. What
 * goes away meanwhile is left. Memory: a number for each directory.
 */
#include "admin/admin.h"

#include <stdlib.h>

struct below {
	struct admin *a;
	const struct tfs_ioc_ship_rule *rule;
	u64 *dir; /* found; those before `done` were looked into */
	size_t dirs, done, room;
	u64 files;
};

static int dir_found(struct below *b, u64 ino)
{
	if (b->dirs == b->room) {
		size_t room = b->room ? 2 * b->room : 256;
		u64 *larger = realloc(b->dir, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		b->dir = larger;
		b->room = room;
	}
	b->dir[b->dirs++] = ino;
	return 0;
}

static int entry(struct below *b, const struct tfs_dirent *d)
{
	struct tfs_ioc_ship_cursor c = {.rule = b->rule->rule, .ino = tfs_le64(d->ino), .acked = b->rule->acked};
	int err;

	if (d->type != 4 &&
	    (d->type != 8 || !tfs_ship_match((const u8 *)b->rule->pattern, b->rule->pattern_len, d->name, d->name_len)))
		return 0;
	err = target_request(&b->a->target, TFS_IOC_SHIP_MARK, &c);
	if (err)
		return err == -ENOENT ? 0 : err;
	b->files += d->type == 8;
	return d->type == 4 ? dir_found(b, c.ino) : 0;
}

/* 1: there are more from q->a, q->b on. */
static int entries(struct below *b, struct tfs_ioc_items *q)
{
	int err = target_request(&b->a->target, TFS_IOC_ITEMS, q);
	u32 at = 0;

	while (!err && at < q->bytes) {
		struct tfs_ioc_item i;

		memcpy(&i, q->data + at, sizeof(i));
		err = i.new_len ? entry(b, (const struct tfs_dirent *)(q->data + at + sizeof(i))) : 0;
		at += i.bytes;
	}
	return err ? err : q->more != 0;
}

static int dir_walk(struct below *b, struct tfs_ioc_items *q, u64 dir)
{
	u64 first = (u64)TFS_IT_DIRENT << TFS_POS_BITS, at = first;
	int more = 1;

	while (more > 0) {
		*q = (struct tfs_ioc_items){.a = dir, .b = at, .last_a = dir, .last_b = first | TFS_POS_MASK};
		more = entries(b, q);
		at = q->b;
	}
	return more;
}

int ship_below(struct admin *a, const struct tfs_ioc_ship_rule *rule, u64 *files)
{
	struct below b = {.a = a, .rule = rule};
	struct tfs_ioc_items *q = malloc(sizeof(*q));
	struct tfs_progress p;
	int err = q ? dir_found(&b, rule->ino) : -ENOMEM;

	tfs_progress_start(&p, a->quiet || a->json, -1, 1);
	tfs_progress_pass(&p, "directories", 0);
	while (!err && b.done < b.dirs) {
		err = dir_walk(&b, q, b.dir[b.done++]);
		tfs_progress_add(&p, 1);
	}
	tfs_progress_end(&p);
	free(b.dir);
	free(q);
	*files = b.files;
	if (!err)
		return 0;
	tfs_cli_warn(a->target.path,
	             "rule %llu holds for new files, and for only some of those that are there: remove it, "
	             "or add it again",
	             (unsigned long long)rule->rule);
	return ship_fail(a, NULL, err);
}
