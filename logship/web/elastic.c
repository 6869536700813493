// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Elasticsearch's bulk API: for each message a line that says what to do and one that is the document, in the names of
 * the Elastic Common Schema where it has them. Always "create" with an _id made of the identity: what was there already
 * is refused as a conflict (409), and counts as taken. The answer has an entry for each, in order. Pure.
 */
#include "logship/web/web.h"

#include <json-c/json.h>
#include <stdio.h>

static void put_log(struct ship_out *o, const struct ship_message *m)
{
	ship_put_text(o, ",\"log\":{\"level\":\"");
	ship_put_text(o, web_severity(m->priority));
	ship_put_text(o, "\",\"syslog\":{\"priority\":");
	ship_put_u64(o, m->priority);
	ship_put_text(o, "}");
	if (m->file) {
		ship_put_text(o, ",\"file\":{\"path\":");
		web_put_json_text(o, m->file);
		ship_put_text(o, "}");
	}
	ship_put_text(o, "}");
}

static void put_own(struct ship_out *o, const struct ship_message *m)
{
	struct web_field field[WEB_FIELDS_MAX];
	u32 n = web_fields(m, field);

	for (u32 i = 0; i < n; i++) {
		ship_put_text(o, i ? ",\"" : ",\"tfs\":{\"");
		ship_put_text(o, field[i].name);
		ship_put_text(o, "\":");
		if (field[i].number)
			ship_put_text(o, field[i].value);
		else
			web_put_json_text(o, field[i].value);
	}
	ship_put_text(o, "}");
}

void web_elastic_item(struct ship_out *o, const struct ship_message *m, u64 ns)
{
	ship_put_text(o, "{\"create\":{\"_id\":\"");
	web_put_uid(o, &m->id);
	ship_put_text(o, "\"}}\n{\"@timestamp\":\"");
	web_put_time(o, ns);
	ship_put_text(o, "\",\"message\":");
	web_put_message(o, m, "");
	ship_put_text(o, ",\"host\":{\"name\":");
	web_put_json_text(o, m->host);
	ship_put_text(o, "}");
	if (m->app && *m->app) {
		ship_put_text(o, ",\"service\":{\"name\":");
		web_put_json_text(o, m->app);
		ship_put_text(o, "}");
	}
	put_log(o, m);
	put_own(o, m);
	ship_put_text(o, "}\n");
}

/* {"type":"mapper_parsing_exception","reason":"..."} or a text. */
static void reason(struct json_object *error, char *out, size_t room)
{
	struct json_object *why = NULL;

	if (!json_object_is_type(error, json_type_object) || !json_object_object_get_ex(error, "reason", &why))
		why = error;
	why = json_object_is_type(why, json_type_string) ? why : NULL;
	web_say(out, room, "%.*s", why ? json_object_get_string(why) : "",
	        why ? (size_t)json_object_get_string_len(why) : 0);
}

/* The entry of a message, {"create":{"status":201,...}}: false, there is no status in it. */
static bool entry(struct json_object *e, struct web_item *item, struct web_verdict *v)
{
	struct json_object *create = NULL, *status = NULL, *error = NULL;
	char why[WEB_REASON_MAX] = "";
	int code;

	if (!json_object_is_type(e, json_type_object) || !json_object_object_get_ex(e, "create", &create) ||
	    !json_object_is_type(create, json_type_object) || !json_object_object_get_ex(create, "status", &status) ||
	    !json_object_is_type(status, json_type_int))
		return false;
	code = json_object_get_int(status);
	if ((code >= 200 && code < 300) || code == 409) {
		item->fate = WEB_TAKEN;
		return true;
	}
	if (json_object_object_get_ex(create, "error", &error))
		reason(error, why, sizeof(why));
	if (code == 400 || code == 413 || code == 422) {
		item->fate = WEB_DEAD;
		snprintf(item->reason, sizeof(item->reason), "%d: %.100s", (int)code, why);
		return true;
	}
	/* 429 and 5xx pass; a missing index, a read-only one, or one that is forbidden is the operator's */
	if (code != 429 && code != 408 && code < 500)
		v->next = WEB_STOP;
	else if (v->next == WEB_DONE)
		v->next = WEB_AGAIN;
	snprintf(v->why, sizeof(v->why), "a message was answered with %d: %.120s", (int)code, why);
	return true;
}

void web_elastic_taken(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v)
{
	struct json_object *o = web_answer_object(a), *items = NULL;
	bool whole = o && json_object_object_get_ex(o, "items", &items) &&
	             json_object_is_type(items, json_type_array) && json_object_array_length(items) == n;

	for (u32 i = 0; whole && i < n; i++)
		whole = entry(json_object_array_get_idx(items, i), item[i], v);
	json_object_put(o);
	if (whole)
		return;
	v->next = WEB_STOP; /* those before the one that is none keep their fate */
	web_say(v->why, sizeof(v->why), "expected a bulk answer with an entry for each message, found %.*s", a->body,
	        a->len);
}
