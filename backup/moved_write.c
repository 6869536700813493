// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Moved lists as they are put: from what was copied (repack.c), and from older lists that become part of a new one. What was
 * moved and moved again is then one step away: the lists that had the steps are gone soon after, so chains are no longer
 * than there are lists. No I/O.
 */
#include "backup/backup.h"

#include <stdlib.h>

int bk_moves_add(struct bk_moves *m, struct bk_move move)
{
	int code = bk_grow(&m->move, &m->max, m->count + 1, sizeof(*m->move));

	if (!code)
		m->move[m->count++] = move;
	return code;
}

static int by_from(const void *a, const void *b)
{
	const struct bk_move *x = a, *y = b;
	int order = memcmp(x->from_pack, y->from_pack, BK_HASH);

	return order ? order : x->from < y->from ? -1 : x->from > y->from;
}

static u32 targets_fill(const struct bk_moves *m, struct bk_moved_to *to, u32 *which)
{
	u32 n = 0, last = 0; /* what lies together went together, as a rule: looked for first */

	for (size_t i = 0; i < m->count; i++) {
		u32 t = last && !memcmp(to[last - 1].pack, m->move[i].to_pack, BK_HASH) ? last : n;

		while (t && memcmp(to[t - 1].pack, m->move[i].to_pack, BK_HASH))
			t--;
		if (!t) {
			to[n] = (struct bk_moved_to){.size = tfs_cpu32(m->move[i].to_size)};
			memcpy(to[n++].pack, m->move[i].to_pack, BK_HASH);
			t = n;
		}
		which[i] = t - 1;
		last = t;
	}
	return n;
}

static size_t groups_fill(const struct bk_moves *m, u8 *at, const u32 *which, u32 *groups)
{
	u8 *begin = at;

	for (size_t i = 0, end; i < m->count; i = end, ++*groups) {
		struct bk_moved_from *g = (struct bk_moved_from *)at;
		struct bk_moved_entry *e = (struct bk_moved_entry *)(g + 1);

		for (end = i; end < m->count && !memcmp(m->move[end].from_pack, m->move[i].from_pack, BK_HASH); end++)
			*e++ = (struct bk_moved_entry){tfs_cpu32(m->move[end].from), tfs_cpu32(m->move[end].to),
			                               tfs_cpu32(which[end]), 0};
		*g = (struct bk_moved_from){.count = tfs_cpu32((u32)(end - i))};
		memcpy(g->pack, m->move[i].from_pack, BK_HASH);
		at = (u8 *)e;
	}
	return (size_t)(at - begin);
}

u8 *bk_moved_encode(struct bk_moves *m, u64 generation, size_t *len)
{
	size_t max = sizeof(struct bk_moved) + m->count * (sizeof(struct bk_moved_to) + sizeof(struct bk_moved_from) +
	                                                   sizeof(struct bk_moved_entry));
	u8 *plain = malloc(max);
	u32 *which = malloc((m->count + 1) * sizeof(*which)), targets, groups = 0;
	struct bk_moved *l = (struct bk_moved *)plain;

	if (!plain || !which) {
		free(plain);
		free(which);
		return NULL;
	}
	if (m->count)
		qsort(m->move, m->count, sizeof(*m->move), by_from);
	targets = targets_fill(m, (struct bk_moved_to *)(l + 1), which);
	*len = sizeof(*l) + targets * sizeof(struct bk_moved_to);
	*len += groups_fill(m, plain + *len, which, &groups);
	*l = (struct bk_moved){tfs_cpu64(generation), tfs_cpu32(targets), tfs_cpu32(groups), 0};
	free(which);
	return plain;
}

/* One range of list `number`: not where a newer list moves it, and not when nobody needs where it lies. */
static int entry_merge(const struct bk_repo *r, struct bk_moves *m, size_t batch, const u8 *pack, u32 from,
                       size_t number, bool (*needed)(void *arg, const u8 name[BK_HASH]), void *arg)
{
	struct bk_move move = {.from_pack = pack, .from = from}, *on;
	struct bk_now now;
	size_t first;

	if (!bk_moved_step(r, pack, from, &first) || first != number || bk_moved_follow(r, pack, from, &now) ||
	    !needed(arg, now.pack->pack))
		return 0;
	move.to_pack = now.pack->pack;
	move.to = now.offset;
	move.to_size = tfs_le32(now.pack->size);
	on = batch ? bsearch(&(struct bk_move){.from_pack = move.to_pack, .from = move.to}, m->move, batch,
	                     sizeof(*m->move), by_from)
	           : NULL;
	if (on) {
		move.to_pack = on->to_pack;
		move.to = on->to;
		move.to_size = on->to_size;
	}
	return bk_moves_add(m, move);
}

/* One list whole; the bytes of a list that it adds, but for targets. */
static int list_merge(const struct bk_repo *r, struct bk_moves *m, size_t batch, size_t number,
                      bool (*needed)(void *arg, const u8 name[BK_HASH]), void *arg, size_t *bytes)
{
	const struct bk_moved_list *l = &r->moved[number];
	int code = 0;

	*bytes = 0;
	for (u32 g = 0; !code && g < l->groups; g++) {
		const struct bk_moved_entry *e = (const struct bk_moved_entry *)(l->group[g] + 1);
		size_t before = m->count;

		for (u32 n = 0; !code && n < tfs_le32(l->group[g]->count); n++)
			code = entry_merge(r, m, batch, l->group[g]->pack, tfs_le32(e[n].from), number, needed, arg);
		if (m->count > before)
			*bytes += sizeof(struct bk_moved_from) + (m->count - before) * sizeof(*e);
	}
	return code;
}

/* Of what is there before lists are added, with every target that one can name. At most: a target may be counted more than once. */
static size_t length_begun(const struct bk_repo *r, const struct bk_moves *m)
{
	size_t bytes = sizeof(struct bk_moved) + m->count * sizeof(struct bk_moved_entry);

	for (size_t i = 0; i < m->count; i++) {
		if (!i || memcmp(m->move[i].from_pack, m->move[i - 1].from_pack, BK_HASH))
			bytes += sizeof(struct bk_moved_from);
		if (!i || memcmp(m->move[i].to_pack, m->move[i - 1].to_pack, BK_HASH))
			bytes += sizeof(struct bk_moved_to);
	}
	for (size_t i = 0; i < r->moveds; i++)
		bytes += r->moved[i].targets * sizeof(struct bk_moved_to);
	return bytes;
}

struct length {
	size_t list;
	u64 entries;
};

static int shortest_first(const void *a, const void *b)
{
	const struct length *x = a, *y = b;

	if (x->entries != y->entries)
		return x->entries < y->entries ? -1 : 1;
	return x->list < y->list ? -1 : x->list > y->list;
}

int bk_moved_merge(const struct bk_repo *r, struct bk_moves *m, size_t max,
                   bool (*needed)(void *arg, const u8 name[BK_HASH]), void *arg, size_t *lists)
{
	struct length *order = malloc((r->moveds + 1) * sizeof(*order));
	size_t batch = m->count, length, more; /* the first of `m` stay in front, sorted */
	int code = 0;

	*lists = 0;
	if (!order)
		return bk_no_memory();
	for (size_t i = 0; i < r->moveds; i++)
		order[i] = (struct length){i, r->moved[i].entries};
	qsort(order, r->moveds, sizeof(*order), shortest_first);
	if (batch)
		qsort(m->move, batch, sizeof(*m->move), by_from);
	length = length_begun(r, m);
	for (size_t i = 0; !code && i < r->moveds; i++) {
		size_t before = m->count;

		code = list_merge(r, m, batch, order[i].list, needed, arg, &more);
		if (length + more > max) { /* this one stays: what it says is in force beside the new one */
			m->count = before;
			continue;
		}
		length += more;
		++*lists;
	}
	free(order);
	return code;
}
