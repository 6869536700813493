// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What an answer to a request means. By the status, and where a format says more in the body, by that. Always: a
 * message is taken only when the collector said so; a page of HTML, as proxies and portals send it with status 200, is
 * no such answer. Pure. Called by deliver.c.
 */
#include "logship/web/web.h"

#include <json-c/json.h>
#include <stdio.h>

#define DEPTH_MAX 16

void web_say(char *out, size_t room, const char *what, const char *text, size_t len)
{
	snprintf(out, room, what, (int)(len < 160 ? len : 160), text ? text : "");
	for (; *out; out++)
		if (*out < ' ' || *out > '~')
			*out = ' ';
}

struct json_object *web_answer_object(const struct web_answer *a)
{
	struct json_tokener *t = a->len && a->len < (1u << 30) ? json_tokener_new_ex(DEPTH_MAX) : NULL;
	struct json_object *o = t ? json_tokener_parse_ex(t, a->body, (int)a->len) : NULL;

	if (t)
		json_tokener_free(t);
	if (json_object_is_type(o, json_type_object))
		return o;
	json_object_put(o);
	return NULL;
}

static bool is_page(const struct web_answer *a)
{
	size_t i = 0;

	while (i < a->len && (a->body[i] == ' ' || a->body[i] == '\n' || a->body[i] == '\r' || a->body[i] == '\t'))
		i++;
	return i < a->len && a->body[i] == '<';
}

static void by_success(const struct web_format *f, const struct web_answer *a, struct web_item **item, u32 n,
                       struct web_verdict *v)
{
	v->next = WEB_DONE;
	if (is_page(a)) {
		v->next = WEB_STOP;
		web_say(v->why, sizeof(v->why), "expected a collector's answer, found a page: %.*s", a->body, a->len);
	} else if (f->taken) {
		f->taken(a, item, n, v);
	} else {
		for (u32 i = 0; i < n; i++)
			item[i]->fate = WEB_TAKEN;
	}
}

static enum web_next by_status(u32 status)
{
	switch (status) {
	case 400:
	case 413:
	case 422:
		return WEB_SPLIT;
	case 408:
	case 425:
	case 429:
		return WEB_AGAIN;
	default:
		return status >= 500 ? WEB_AGAIN : WEB_STOP; /* credentials, address, a redirect */
	}
}

void web_judge(const struct web_format *f, const struct web_answer *a, struct web_item **item, u32 n,
               struct web_verdict *v)
{
	*v = (struct web_verdict){.next = WEB_DONE};
	if (a->status >= 200 && a->status < 300) {
		by_success(f, a, item, n, v);
		return;
	}
	if ((a->status == 400 || a->status == 403) && f->refused && f->refused(a, item, n, v))
		return;
	v->next = by_status(a->status);
	v->too_large = a->status == 413;
	snprintf(v->why, sizeof(v->why), "%u: ", a->status);
	web_say(v->why + strlen(v->why), sizeof(v->why) - strlen(v->why), "%.*s", a->body, a->len);
}
