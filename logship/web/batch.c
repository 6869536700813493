// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Messages gathered until they are worth a request, and the body of a request from any of them. Each is formatted once,
 * so that what is sent again is the same bytes. Always: count is at most what the format takes, and a body is at most
 * the limit unless one message alone is longer. Pure but for its memory. Called by deliver.c.
 */
#include "logship/web/web.h"

#include <stdlib.h>

int web_batch_open(struct web_batch *b, const struct web_format *f, u32 limit)
{
	*b = (struct web_batch){.format = f, .limit = limit};
	b->arena.size = 2 * (limit + WEB_ITEM_MAX); /* as it is sent, and as it is read */
	b->arena.buf = malloc(b->arena.size);
	b->item = malloc(f->most * sizeof(*b->item));
	b->scratch = malloc(2 * WEB_ITEM_MAX);
	return b->arena.buf && b->item && b->scratch ? 0 : -ENOMEM;
}

void web_batch_close(struct web_batch *b)
{
	free(b->arena.buf);
	free(b->item);
	free(b->scratch);
	*b = (struct web_batch){0};
}

void web_batch_clear(struct web_batch *b)
{
	b->count = b->body = b->arena.len = 0;
}

static bool same_group(const struct web_batch *b, const u8 *group, u32 n)
{
	const struct web_item *last = &b->item[b->count - 1];

	return b->count && last->glen == n && !memcmp(b->arena.buf + last->group, group, n);
}

static u32 keep(struct web_batch *b, const void *bytes, u32 n)
{
	u32 at = b->arena.len;

	ship_put(&b->arena, bytes, n);
	return at;
}

/* The message with its group, formatted, in scratch. */
static void format(struct web_batch *b, const struct ship_message *m, u64 ns, struct ship_out *group,
                   struct ship_out *item)
{
	*group = (struct ship_out){.buf = b->scratch, .size = WEB_ITEM_MAX};
	*item = (struct ship_out){.buf = b->scratch + WEB_ITEM_MAX, .size = WEB_ITEM_MAX};
	if (b->format->group)
		b->format->group(group, m);
	b->format->item(item, m, ns);
}

bool web_batch_add(struct web_batch *b, const struct ship_message *message, u64 ns)
{
	const struct web_format *f = b->format;
	struct ship_message m = *message;
	struct ship_out group, item;
	struct web_item *i = &b->item[b->count];
	u32 more, fixed = (u32)(strlen(f->head) + strlen(f->tail));
	bool same;

	if (b->count == f->most)
		return false;
	if (m.file)
		m.file = strncpy(b->file, m.file, WEB_FILE_MAX);
	format(b, &m, ns, &group, &item);
	same = same_group(b, group.buf, group.len);
	more = item.len + f->comma + (same || !f->group ? 0 : group.len + (u32)strlen(f->group_end));
	if (b->count && (fixed + b->body + more > b->limit ||
	                 b->arena.size - b->arena.len < item.len + group.len + m.len + WEB_FILE_MAX))
		return false;
	*i = (struct web_item){.len = item.len, .glen = group.len, .id = m.id, .priority = m.priority};
	i->group = same ? b->item[b->count - 1].group : keep(b, group.buf, group.len);
	i->at = keep(b, item.buf, item.len);
	i->text = keep(b, m.text, m.len);
	i->text_len = m.len;
	i->file_len = m.file ? (u32)strlen(m.file) : 0;
	i->file = keep(b, m.file, i->file_len);
	b->body += more;
	b->count++;
	return true;
}

void web_batch_body(const struct web_batch *b, struct web_item *const *item, u32 n, struct ship_out *o)
{
	const struct web_format *f = b->format;

	ship_put_text(o, f->head);
	for (u32 i = 0; i < n; i++) {
		bool begins = f->group && (!i || item[i]->group != item[i - 1]->group);

		if (begins && i)
			ship_put_text(o, f->group_end);
		if (f->comma && i)
			ship_put(o, ",", 1);
		if (begins)
			ship_put(o, b->arena.buf + item[i]->group, item[i]->glen);
		ship_put(o, b->arena.buf + item[i]->at, item[i]->len);
	}
	if (f->group && n)
		ship_put_text(o, f->group_end);
	ship_put_text(o, f->tail);
}
