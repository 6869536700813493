// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * OTLP/HTTP in JSON: ExportLogsServiceRequest, as protobuf's JSON mapping has it (64-bit numbers are strings). The time
 * of a line is not known, so it has observedTimeUnixNano alone. log.record.uid is what OpenTelemetry's conventions tell
 * repeats by. Pure.
 */
#include "logship/web/web.h"

#include <json-c/json.h>
#include <stdio.h>

static void attribute(struct ship_out *o, const char *name, const char *value, bool number, bool first)
{
	ship_put_text(o, first ? "{\"key\":" : ",{\"key\":");
	web_put_json_text(o, name);
	ship_put_text(o, number ? ",\"value\":{\"intValue\":" : ",\"value\":{\"stringValue\":");
	web_put_json_text(o, value);
	ship_put_text(o, "}}");
}

void web_otlp_group(struct ship_out *o, const struct ship_message *m)
{
	ship_put_text(o, "{\"resource\":{\"attributes\":[");
	attribute(o, "host.name", m->host, false, true);
	if (m->app && *m->app)
		attribute(o, "service.name", m->app, false, false);
	ship_put_text(o, "]},\"scopeLogs\":[{\"scope\":{\"name\":\"tfs-logship\"},\"logRecords\":[");
}

static void put_uid(struct ship_out *o, const struct ship_identity *id)
{
	ship_put_text(o, "{\"key\":\"log.record.uid\",\"value\":{\"stringValue\":\"");
	web_put_uid(o, id);
	ship_put_text(o, "\"}}");
}

void web_otlp_item(struct ship_out *o, const struct ship_message *m, u64 ns)
{
	/* as the data model's appendix maps syslog's severities */
	static const u8 numbers[] = {21, 19, 18, 17, 13, 10, 9, 5};
	struct web_field field[WEB_FIELDS_MAX];
	u32 n = web_fields(m, field);

	ship_put_text(o, "{\"observedTimeUnixNano\":\"");
	ship_put_u64(o, ns);
	ship_put_text(o, "\",\"severityNumber\":");
	ship_put_u64(o, numbers[m->priority & 7]);
	ship_put_text(o, ",\"severityText\":\"");
	ship_put_text(o, web_severity(m->priority));
	ship_put_text(o, "\",\"body\":{\"stringValue\":");
	web_put_message(o, m, "");
	ship_put_text(o, "},\"attributes\":[");
	put_uid(o, &m->id);
	if (m->file)
		attribute(o, "log.file.path", m->file, false, false);
	for (u32 i = 0; i < n; i++) {
		char name[32] = "tfs.";

		strcat(name, field[i].name);
		attribute(o, name, field[i].value, field[i].number, false);
	}
	ship_put_text(o, "]}");
}

/* Some of them were refused and must not be sent again; which, it does not say. Of what it took none is named either:
 * all of them go where refused ones go, unless none was. */
static void partial(struct json_object *partial, struct web_item **item, u32 n, struct web_verdict *v)
{
	struct json_object *count = NULL, *text = NULL;
	s64 rejected;

	json_object_object_get_ex(partial, "rejectedLogRecords", &count);
	json_object_object_get_ex(partial, "errorMessage", &text);
	rejected = count ? json_object_get_int64(count) : 0; /* of a string, too */
	if (json_object_is_type(text, json_type_string))
		web_say(v->why, sizeof(v->why), "%.*s", json_object_get_string(text),
		        (size_t)json_object_get_string_len(text));
	if (rejected <= 0)
		return;
	v->unsure = (u64)rejected < n;
	for (u32 i = 0; i < n; i++) {
		item[i]->fate = WEB_DEAD;
		snprintf(item[i]->reason, sizeof(item[i]->reason), "%lld of %u in the request: %.60s",
		         (long long)rejected, n, v->why);
	}
}

void web_otlp_taken(const struct web_answer *a, struct web_item **item, u32 n, struct web_verdict *v)
{
	struct json_object *o = web_answer_object(a), *p;

	if (!o && a->len) {
		v->next = WEB_STOP;
		web_say(v->why, sizeof(v->why), "expected an OTLP answer, found %.*s", a->body, a->len);
		return;
	}
	for (u32 i = 0; i < n; i++)
		item[i]->fate = WEB_TAKEN;
	if (o && json_object_object_get_ex(o, "partialSuccess", &p) && json_object_is_type(p, json_type_object))
		partial(p, item, n, v);
	json_object_put(o);
}
