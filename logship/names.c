// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Names for inode numbers, for people who read at the collector: a name in the volume says nothing about who sends, so
 * where one is not found nothing is said. All entries below the rule's directory are read as items, once, and again
 * after a number was met that is not known (a file that is new), at most so often. Memory: a name for each file.
 */
#include "logship/logship.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_MAX 16u /* messages of unknown files, for each reading again */

struct name {
	u64 ino, parent;
	char text[]; /* of the last component */
};
struct logship_names {
	struct name **by; /* a hash, open addressing; size a power of two */
	size_t size, count;
	char path[4096];
};

static size_t slot_of(const struct logship_names *n, u64 ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15ull >> 20) & (n->size - 1);

	while (n->by[i] && n->by[i]->ino != ino)
		i = (i + 1) & (n->size - 1);
	return i;
}

static bool grow(struct logship_names *n)
{
	struct logship_names larger = {.size = n->size ? 2 * n->size : 1024};

	larger.by = calloc(larger.size, sizeof(*larger.by));
	if (!larger.by)
		return false;
	for (size_t i = 0; i < n->size; i++)
		if (n->by[i])
			larger.by[slot_of(&larger, n->by[i]->ino)] = n->by[i];
	free(n->by);
	n->by = larger.by;
	n->size = larger.size;
	return true;
}

static void name_set(struct logship_names *n, u64 parent, const struct tfs_dirent *d)
{
	struct name *x;
	size_t i;

	if (2 * n->count >= n->size && !grow(n))
		return;
	i = slot_of(n, tfs_le64(d->ino));
	x = malloc(sizeof(*x) + d->name_len + 1);
	if (!x)
		return;
	x->ino = tfs_le64(d->ino);
	x->parent = parent;
	memcpy(x->text, d->name, d->name_len);
	x->text[d->name_len] = 0;
	n->count += !n->by[i];
	free(n->by[i]);
	n->by[i] = x;
}

/* All entries of the volume: the rule's directory may have any path. */
static void names_read(struct logship_sender *s)
{
	static struct tfs_ioc_items q;
	u64 a = 1, b = 0;
	u32 at;

	do {
		memset(&q, 0, sizeof(q));
		q.a = a;
		q.b = b;
		if (target_request(&s->target, TFS_IOC_ITEMS, &q))
			return;
		for (at = 0; at < q.bytes;) {
			struct tfs_ioc_item i;

			memcpy(&i, q.data + at, sizeof(i));
			if (i.b >> TFS_POS_BITS == TFS_IT_DIRENT && i.new_len)
				name_set(s->names, i.a, (const struct tfs_dirent *)(q.data + at + sizeof(i)));
			at += i.bytes;
		}
		a = q.a;
		b = q.b;
	} while (q.more);
}

static const char *path_of(struct logship_names *n, u64 ino)
{
	size_t at = sizeof(n->path) - 1;

	n->path[at] = 0;
	while (ino != TFS_INO_ROOT) {
		const struct name *x = n->size ? n->by[slot_of(n, ino)] : NULL;
		size_t len = x ? strlen(x->text) : 0;

		if (!x || len + 1 > at)
			return NULL;
		at -= len;
		memcpy(n->path + at, x->text, len);
		n->path[--at] = '/';
		ino = x->parent;
	}
	return n->path + at;
}

const char *logship_name_of(struct logship_sender *s, u64 ino)
{
	const char *path;

	if (!s->names)
		s->names = calloc(1, sizeof(*s->names));
	if (!s->names)
		return NULL;
	path = path_of(s->names, ino);
	if (!path && s->names_read < AGAIN_MAX) {
		s->names_read++;
		names_read(s);
		path = path_of(s->names, ino);
	}
	return path;
}

void logship_names_free(struct logship_sender *s)
{
	for (size_t i = 0; s->names && i < s->names->size; i++)
		free(s->names->by[i]);
	if (s->names)
		free(s->names->by);
	free(s->names);
	s->names = NULL;
	s->names_read = 0;
}
