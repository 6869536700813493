// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Splunk's HTTP Event Collector, events in JSON, one behind the other. Acknowledged means that Splunk said "Success";
 * its indexer acknowledgement, a thing of its own, is not asked for. Pure.
 */
#include "logship/web/web.h"

#include <json-c/json.h>
#include <stdio.h>

void web_splunk_item(struct ship_out *o, const struct ship_message *m, u64 ns)
{
	struct web_field field[WEB_FIELDS_MAX];
	u32 n = web_fields(m, field);

	ship_put_text(o, "{\"time\":");
	web_put_seconds(o, ns);
	ship_put_text(o, ",\"host\":");
	web_put_json_text(o, m->host);
	if (m->file) {
		ship_put_text(o, ",\"source\":");
		web_put_json_text(o, m->file);
	}
	ship_put_text(o, ",\"event\":");
	web_put_message(o, m, "-"); /* a blank one is refused */
	ship_put_text(o, ",\"fields\":{\"severity\":\"");
	ship_put_text(o, web_severity(m->priority));
	ship_put_text(o, "\"");
	if (m->app && *m->app) {
		ship_put_text(o, ",\"app\":");
		web_put_json_text(o, m->app);
	}
	for (u32 i = 0; i < n; i++) {
		ship_put_text(o, ",\"tfs_");
		ship_put_text(o, field[i].name);
		ship_put_text(o, "\":");
		web_put_json_text(o, field[i].value);
	}
	ship_put_text(o, "}}\n");
}

/* -1: there is none. */
static int number(struct json_object *o, const char *key)
{
	struct json_object *x = NULL;

	return o && json_object_object_get_ex(o, key, &x) && json_object_is_type(x, json_type_int)
	           ? json_object_get_int(x)
	           : -1;
}

void web_splunk_taken(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v)
{
	struct json_object *o = web_answer_object(a);
	int code = number(o, "code");

	json_object_put(o);
	for (u32 i = 0; !code && i < n; i++)
		item[i]->fate = WEB_TAKEN;
	if (!code)
		return;
	v->next = WEB_STOP;
	web_say(v->why, sizeof(v->why), "expected \"code\":0, found %.*s", a->body, a->len);
}

/* Codes 5, 6, 12, 13 and 15 are of events, and the answer may say of which; others are of the token or the index. */
bool web_splunk_refused(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v)
{
	struct json_object *o = web_answer_object(a);
	int code = number(o, "code"), bad = number(o, "invalid-event-number");

	json_object_put(o);
	if (code < 0)
		return false;
	web_say(v->why, sizeof(v->why), "%.*s", a->body, a->len);
	if (code != 5 && code != 6 && code != 12 && code != 13 && code != 15) {
		v->next = WEB_STOP;
		return true;
	}
	if (bad < 0 || (u32)bad >= n)
		return false;
	/* whether those before it were taken is not said: they go again, alone, rather twice than not at all */
	v->next = bad ? WEB_SPLIT : WEB_DONE;
	v->first = (u32)bad;
	item[bad]->fate = WEB_DEAD;
	snprintf(item[bad]->reason, sizeof(item[bad]->reason), "%.120s", v->why);
	return true;
}
