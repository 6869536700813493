// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The dead-letter file: a JSON object a line for each message that a collector refused for good. Always: it is in the
 * file and synced before the cursor moves over it. A crash in between writes it again: the identity tells. Called by
 * deliver.c.
 */
#include "logship/web/deliver.h"

#include <json-c/json.h>
#include <string.h>
#include <time.h>

static struct json_object *letter(const struct web *w, const struct web_item *i)
{
	struct json_object *o = json_object_new_object();
	char text[48];
	struct ship_out out = {.buf = (u8 *)text, .size = sizeof(text) - 1};
	struct timespec t;

	if (!o)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &t);
	ship_put_time(&out, t.tv_sec, (u32)t.tv_nsec);
	text[out.len] = 0;
	tfs_json_text(o, "time", text);
	tfs_json_text(o, "collector", w->way->text);
	tfs_json_text(o, "reason", i->reason);
	tfs_json_bool(o, "unsure", i->unsure);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)i->id.volume);
	tfs_json_text(o, "volume", text);
	tfs_json_u64(o, "ino", i->id.ino);
	tfs_json_u64(o, "generation", i->id.generation);
	tfs_json_u64(o, "offset", i->id.offset);
	tfs_json_u64(o, "crc", i->id.crc);
	tfs_json_u64(o, "priority", i->priority);
	if (i->file_len)
		tfs_json_bytes(o, "file", w->batch.arena.buf + i->file, i->file_len);
	tfs_json_bytes(o, "message", w->batch.arena.buf + i->text, i->text_len);
	if (json_object_object_get(o, "message") || json_object_object_get(o, "message_hex"))
		return o;
	json_object_put(o); /* no memory: a letter without its message is none */
	return NULL;
}

int web_dead_write(struct web *w, const struct web_item *item, u32 *n)
{
	u32 first = 0, dead = 0;
	int err = 0;

	while (first < *n && item[first].fate != WEB_DEAD)
		first++;
	if (first == *n)
		return 0;
	if (!w->file.path && logship_output_open(&w->file, w->way->dead_letter, true))
		err = -EIO;
	for (u32 i = first; !err && i < *n; i++)
		if (item[i].fate == WEB_DEAD) {
			err = logship_output_add_object(&w->file, letter(w, &item[i]));
			dead++;
		}
	if (!err && logship_output_sync(&w->file))
		err = -EIO;
	if (err)
		*n = first;
	else
		w->dead += dead;
	return err;
}
