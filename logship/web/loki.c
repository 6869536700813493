// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Loki's push API in JSON. A stream is a host, a file, an application and a level; the identity stands in structured
 * metadata (Loki 3, or 2.9 with it allowed), where it makes no streams. Loki drops an entry that equals one it has in
 * time, text and stream, so a request that is repeated repeats nothing. Pure.
 */
#include "logship/web/web.h"

static void label(struct ship_out *o, const char *name, const char *value)
{
	ship_put_text(o, ",\"");
	ship_put_text(o, name);
	ship_put_text(o, "\":");
	web_put_json_text(o, value);
}

void web_loki_group(struct ship_out *o, const struct ship_message *m)
{
	ship_put_text(o, "{\"stream\":{\"job\":\"tfs\"");
	label(o, "host", m->host);
	label(o, "level", web_severity(m->priority));
	if (m->app && *m->app)
		label(o, "service_name", m->app);
	if (m->file)
		label(o, "filename", m->file);
	ship_put_text(o, "},\"values\":[");
}

void web_loki_item(struct ship_out *o, const struct ship_message *m, u64 ns)
{
	struct web_field field[WEB_FIELDS_MAX];
	u32 n = web_fields(m, field);

	ship_put_text(o, "[\"");
	ship_put_u64(o, ns);
	ship_put_text(o, "\",");
	web_put_message(o, m, "");
	for (u32 i = 0; i < n; i++) {
		ship_put_text(o, i ? ",\"tfs_" : ",{\"tfs_");
		ship_put_text(o, field[i].name);
		ship_put_text(o, "\":");
		web_put_json_text(o, field[i].value);
	}
	ship_put_text(o, "}]");
}
