// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The formats of HTTP collectors, byte by byte, bodies put together from any of a batch's messages, and what each answer
 * means for each message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "logship/web/web.h"
#include "tfs/web/web.h"

#define NS 1795946400123456789ull
#define UID "00000000000000ab-7-1-4096-0000beef"

static struct ship_message message(const char *text, u32 len)
{
	return (struct ship_message){.priority = 16 << 3 | SHIP_ERR,
	                             .host = "h",
	                             .app = "a\"b",
	                             .file = "/x\xff.log",
	                             .id = {.volume = 0xab, .ino = 7, .offset = 4096, .generation = 1, .crc = 0xbeef},
	                             .sequence = 3,
	                             .text = (const u8 *)text,
	                             .len = len};
}

static const char *put(void (*fn)(struct ship_out *, const struct ship_message *, u64), const struct ship_message *m)
{
	static u8 buf[WEB_ITEM_MAX + 1];
	struct ship_out o = {.buf = buf, .size = sizeof(buf) - 1};

	fn(&o, m, NS);
	assert_true(ship_fits(&o));
	buf[o.len] = 0;
	return (const char *)buf;
}

#define BOOT "00000000000000000000000000000000"

static void formats(void **state)
{
	static const char journal[] =
	    "__REALTIME_TIMESTAMP=1795946400123456\nPRIORITY=3\nSYSLOG_FACILITY=16\nSYSLOG_IDENTIFIER=a\"b\n_HOSTNAME="
	    "h\n"
	    "TFS_FILE=/x\xff.log\nTFS_VOLUME=00000000000000ab\nTFS_INODE=7\nTFS_GENERATION=1\nTFS_OFFSET=4096\n"
	    "TFS_CRC=0000beef\nTFS_SEQUENCE=3\nTFS_BOOT=" BOOT "\nTFS_UID=" UID
	    "\nMESSAGE\n\x0b\0\0\0\0\0\0\0one\ttwo\n\xc3\xa4\"\n\n";
	static u8 buf[1024];
	struct ship_out o = {.buf = buf, .size = sizeof(buf)};
	struct ship_message m = message("one\ttwo\n\xc3\xa4\"", 11);

	(void)state;
	assert_string_equal(put(web_otlp_item, &m),
	                    "{\"observedTimeUnixNano\":\"1795946400123456789\",\"severityNumber\":17,\"severityText\":"
	                    "\"err\",\"body\":{\"stringValue\":\"one\\ttwo\\n\xc3\xa4\\\"\"},\"attributes\":["
	                    "{\"key\":\"log.record.uid\",\"value\":{\"stringValue\":\"" UID "\"}},"
	                    "{\"key\":\"log.file.path\",\"value\":{\"stringValue\":\"/x?.log\"}},"
	                    "{\"key\":\"tfs.volume\",\"value\":{\"stringValue\":\"00000000000000ab\"}},"
	                    "{\"key\":\"tfs.inode\",\"value\":{\"intValue\":\"7\"}},"
	                    "{\"key\":\"tfs.generation\",\"value\":{\"intValue\":\"1\"}},"
	                    "{\"key\":\"tfs.offset\",\"value\":{\"intValue\":\"4096\"}},"
	                    "{\"key\":\"tfs.crc\",\"value\":{\"stringValue\":\"0000beef\"}},"
	                    "{\"key\":\"tfs.sequence\",\"value\":{\"intValue\":\"3\"}},"
	                    "{\"key\":\"tfs.boot\",\"value\":{\"stringValue\":\"" BOOT "\"}}]}");
	assert_string_equal(
	    put(web_loki_item, &m),
	    "[\"1795946400123456789\",\"one\\ttwo\\n\xc3\xa4\\\"\",{\"tfs_volume\":\"00000000000000ab\","
	    "\"tfs_inode\":\"7\",\"tfs_generation\":\"1\",\"tfs_offset\":\"4096\",\"tfs_crc\":"
	    "\"0000beef\",\"tfs_sequence\":\"3\",\"tfs_boot\":\"" BOOT "\"}]");
	assert_string_equal(put(web_elastic_item, &m),
	                    "{\"create\":{\"_id\":\"" UID "\"}}\n{\"@timestamp\":\"2026-11-29T10:00:00.123456Z\","
	                    "\"message\":\"one\\ttwo\\n\xc3\xa4\\\"\",\"host\":{\"name\":\"h\"},\"service\":{\"name\":"
	                    "\"a\\\"b\"},\"log\":{\"level\":\"err\",\"syslog\":{\"priority\":131},\"file\":{\"path\":"
	                    "\"/x?.log\"}},\"tfs\":{\"volume\":\"00000000000000ab\",\"inode\":7,\"generation\":1,"
	                    "\"offset\":4096,\"crc\":\"0000beef\",\"sequence\":3,\"boot\":\"" BOOT "\"}}\n");
	assert_string_equal(
	    put(web_splunk_item, &m),
	    "{\"time\":1795946400.123456,\"host\":\"h\",\"source\":\"/x?.log\",\"event\":"
	    "\"one\\ttwo\\n\xc3\xa4\\\"\",\"fields\":{\"severity\":\"err\",\"app\":\"a\\\"b\","
	    "\"tfs_volume\":\"00000000000000ab\",\"tfs_inode\":\"7\",\"tfs_generation\":\"1\","
	    "\"tfs_offset\":\"4096\",\"tfs_crc\":\"0000beef\",\"tfs_sequence\":\"3\",\"tfs_boot\":\"" BOOT "\"}}\n");
	assert_string_equal(
	    put(web_gelf_item, &m),
	    "{\"version\":\"1.1\",\"host\":\"h\",\"short_message\":\"one\\ttwo\",\"full_message\":"
	    "\"one\\ttwo\\n\xc3\xa4\\\"\",\"timestamp\":1795946400.123456,\"level\":3,\"_app\":\"a\\\"b\","
	    "\"_file\":\"/x?.log\",\"_tfs_volume\":\"00000000000000ab\",\"_tfs_inode\":7,"
	    "\"_tfs_generation\":1,\"_tfs_offset\":4096,\"_tfs_crc\":\"0000beef\",\"_tfs_sequence\":3,"
	    "\"_tfs_boot\":\"" BOOT "\",\"_tfs_uid\":\"" UID "\"}");
	web_journal_item(&o, &m, NS); /* the length of MESSAGE has zeros */
	assert_int_equal(o.len, sizeof(journal) - 1);
	assert_memory_equal(o.buf, journal, o.len);
}

/* What is no UTF-8 is escaped, and a field says so; control characters are JSON's; no text is longer than promised. */
static void texts(void **state)
{
	static u8 worst[SHIP_TEXT_MAX];
	static char file[2000];
	struct ship_message m = message("a\xff\\\x01", 4);
	struct web_batch b;

	(void)state;
	assert_non_null(strstr(put(web_loki_item, &m), "\"a\\\\xff\\\\x5c\\u0001\""));
	assert_non_null(strstr(put(web_loki_item, &m), "\"tfs_esc\":\"1\""));
	m = message("\\\x7f\b\f\r\v", 6);
	m.part = 2;
	m.more = true;
	assert_non_null(strstr(put(web_otlp_item, &m), "\"\\\\\x7f\\b\\f\\r\\u000b\""));
	assert_non_null(strstr(put(web_otlp_item, &m), "\"tfs.part\",\"value\":{\"intValue\":\"2\"}"));
	assert_null(strstr(put(web_otlp_item, &m), "tfs.esc"));
	m.len = 0;
	assert_non_null(strstr(put(web_splunk_item, &m), "\"event\":\"-\""));
	assert_non_null(strstr(put(web_gelf_item, &m), "\"short_message\":\"-\""));
	memset(worst, 1, sizeof(worst));
	worst[0] = '\n';
	memset(file, 1, sizeof(file) - 1);
	m = message((const char *)worst, sizeof(worst));
	m.file = file;
	for (int t = SHIP_OTLP; t <= SHIP_JOURNAL; t++)
		for (worst[1] = 1; worst[1]; worst[1] = worst[1] == 1 ? 0xff : 0) { /* escaped once, and twice */
			struct ship_out o = {.size = 0};

			assert_int_equal(web_batch_open(&b, web_format((enum ship_transport)t), SHIP_BATCH_MIN), 0);
			assert_true(web_batch_add(&b, &m, NS));
			assert_true(b.item[0].len < WEB_ITEM_MAX && b.item[0].glen < WEB_ITEM_MAX);
			assert_int_equal(b.item[0].file_len, WEB_FILE_MAX);
			web_batch_body(&b, (struct web_item *[]){&b.item[0]}, 1, &o);
			assert_true(o.len <= SHIP_BATCH_MIN + 2 * WEB_ITEM_MAX);
			web_batch_close(&b);
		}
}

static struct web_batch filled(enum ship_transport t, u32 limit, u32 n)
{
	struct web_batch b;

	assert_int_equal(web_batch_open(&b, web_format(t), limit), 0);
	for (u32 i = 0; i < n; i++) {
		char text[16];
		struct ship_message m = message(text, (u32)snprintf(text, sizeof(text), "m%u", i));

		m.host = i % 4 < 2 ? "h" : "other";
		if (!web_batch_add(&b, &m, NS))
			break;
	}
	return b;
}

static const char *body_of(const struct web_batch *b, u32 mask)
{
	static char text[65536];
	struct web_item *item[32];
	struct ship_out o = {.buf = (u8 *)text, .size = sizeof(text) - 1};
	u32 n = 0;

	for (u32 i = 0; i < b->count && i < 32; i++)
		if (mask >> i & 1)
			item[n++] = &b->item[i];
	web_batch_body(b, item, n, &o);
	assert_true(ship_fits(&o));
	text[o.len] = 0;
	return text;
}

static u32 times(const char *text, const char *what)
{
	u32 n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

/* Neighbours share what they have in common, in any choice of them; a body keeps to its limit. */
static void bodies(void **state)
{
	struct web_batch b = filled(SHIP_LOKI, 1 << 16, 8);
	struct ship_out count = {.size = 0};
	struct web_item *all[WEB_BATCH_ITEMS];

	(void)state;
	assert_int_equal(b.count, 8);
	assert_int_equal(times(body_of(&b, 0xff), "{\"stream\":"), 4); /* h h other other h h other other */
	assert_int_equal(times(body_of(&b, 0x33), "{\"stream\":"), 2);
	assert_int_equal(times(body_of(&b, 0x0f), "\"values\":[["), 2);
	assert_string_equal(body_of(&b, 0) + strlen("{\"streams\":["), "]}");
	assert_null(strstr(body_of(&b, 0x55), ",]"));
	web_batch_close(&b);
	for (int t = SHIP_OTLP; t <= SHIP_SPLUNK; t++) {
		b = filled((enum ship_transport)t, SHIP_BATCH_MIN, 100);
		assert_in_range(b.count, 2, 30);
		for (u32 i = 0; i < b.count; i++)
			all[i] = &b.item[i];
		count.len = 0;
		web_batch_body(&b, all, b.count, &count);
		assert_in_range(count.len, SHIP_BATCH_MIN / 2, SHIP_BATCH_MIN);
		web_batch_clear(&b);
		assert_int_equal(b.count, 0);
		web_batch_close(&b);
	}
	b = filled(SHIP_GELF, 1 << 16, 8);
	assert_int_equal(b.count, 1);
	web_batch_close(&b);
	b = filled(SHIP_SPLUNK, 16 << 20, 5000);
	assert_int_equal(b.count, WEB_BATCH_ITEMS);
	web_batch_close(&b);
}

/* ---- answers ---- */

static const struct answer_case {
	enum ship_transport t;
	u32 status;
	const char *body;
	enum web_next next;
	const char *fates; /* of three messages: w, t, d */
} answers[] = {
    {SHIP_LOKI, 204, "", WEB_DONE, "ttt"},
    {SHIP_GELF, 202, "", WEB_DONE, "ttt"},
    {SHIP_LOKI, 200, " \n<html>", WEB_STOP, "www"},
    {SHIP_LOKI, 400, "entry too far behind", WEB_SPLIT, "www"},
    {SHIP_LOKI, 413, "", WEB_SPLIT, "www"},
    {SHIP_LOKI, 429, "", WEB_AGAIN, "www"},
    {SHIP_LOKI, 503, "", WEB_AGAIN, "www"},
    {SHIP_LOKI, 500, "", WEB_AGAIN, "www"},
    {SHIP_LOKI, 401, "", WEB_STOP, "www"},
    {SHIP_LOKI, 301, "", WEB_STOP, "www"},
    {SHIP_LOKI, 404, "", WEB_STOP, "www"},
    {SHIP_OTLP, 200, "", WEB_DONE, "ttt"},
    {SHIP_OTLP, 200, "{}", WEB_DONE, "ttt"},
    {SHIP_OTLP, 200, "{\"partialSuccess\":{}}", WEB_DONE, "ttt"},
    {SHIP_OTLP, 200, "{\"partialSuccess\":{\"rejectedLogRecords\":\"0\",\"errorMessage\":\"x\"}}", WEB_DONE, "ttt"},
    {SHIP_OTLP, 200, "{\"partialSuccess\":{\"rejectedLogRecords\":\"1\",\"errorMessage\":\"x\"}}", WEB_DONE, "ddd"},
    {SHIP_OTLP, 200, "{\"partialSuccess\":{\"rejectedLogRecords\":3}}", WEB_DONE, "ddd"},
    {SHIP_OTLP, 200, "OK", WEB_STOP, "www"},
    {SHIP_OTLP, 200, "[]", WEB_STOP, "www"},
    {SHIP_SPLUNK, 200, "{\"text\":\"Success\",\"code\":0}", WEB_DONE, "ttt"},
    {SHIP_SPLUNK, 200, "", WEB_STOP, "www"},
    {SHIP_SPLUNK, 200, "{\"code\":\"0\"}", WEB_STOP, "www"},
    {SHIP_SPLUNK, 400, "{\"code\":6,\"invalid-event-number\":1}", WEB_SPLIT, "wdw"},
    {SHIP_SPLUNK, 400, "{\"code\":6,\"invalid-event-number\":0}", WEB_DONE, "dww"},
    {SHIP_SPLUNK, 400, "{\"code\":6,\"invalid-event-number\":3}", WEB_SPLIT, "www"},
    {SHIP_SPLUNK, 400, "{\"code\":6,\"invalid-event-number\":-1}", WEB_SPLIT, "www"},
    {SHIP_SPLUNK, 400, "{\"code\":7}", WEB_STOP, "www"},
    {SHIP_SPLUNK, 403, "{\"code\":4}", WEB_STOP, "www"},
    {SHIP_SPLUNK, 503, "{\"code\":9}", WEB_AGAIN, "www"},
    {SHIP_ELASTIC, 200,
     "{\"errors\":true,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":409}},{\"create\":{\"status\":"
     "400,"
     "\"error\":{\"type\":\"t\",\"reason\":\"r\"}}}]}",
     WEB_DONE, "ttd"},
    {SHIP_ELASTIC, 200,
     "{\"items\":[{\"create\":{\"status\":429}},{\"create\":{\"status\":200}},{\"create\":{\"status\":503}}]}",
     WEB_AGAIN, "wtw"},
    {SHIP_ELASTIC, 200,
     "{\"items\":[{\"create\":{\"status\":429}},{\"create\":{\"status\":403,\"error\":\"read-only\"}},{\"create\":{"
     "\"status\":"
     "201}}]}",
     WEB_STOP, "wwt"},
    {SHIP_ELASTIC, 200, "{\"errors\":false,\"items\":[{\"create\":{\"status\":201}}]}", WEB_STOP, "www"},
    {SHIP_ELASTIC, 200, "{\"errors\":false}", WEB_STOP, "www"},
    {SHIP_ELASTIC, 200,
     "{\"items\":[{\"create\":{\"status\":201}},{\"index\":{\"status\":201}},{\"create\":{\"status\":201}}]}", WEB_STOP,
     "tww"},
    {SHIP_ELASTIC, 413, "", WEB_SPLIT, "www"},
};

static void meanings(void **state)
{
	(void)state;
	for (u32 i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		const struct answer_case *c = &answers[i];
		struct web_answer a = {.status = c->status, .body = c->body, .len = strlen(c->body)};
		struct web_item item[3] = {0}, *list[] = {&item[0], &item[1], &item[2]};
		struct web_verdict v;
		char fates[4] = "";

		web_judge(web_format(c->t), &a, list, 3, &v);
		for (u32 k = 0; k < 3; k++)
			fates[k] = "wtd"[item[k].fate];
		if (v.next != c->next || strcmp(fates, c->fates))
			fail_msg("%u %s: next %u, fates %s; expected %u, %s", c->status, c->body, v.next, fates,
			         c->next, c->fates);
		assert_true(v.next == WEB_DONE || v.why[0]);
		for (u32 k = 0; k < 3; k++)
			assert_true(item[k].fate != WEB_DEAD || item[k].reason[0]);
	}
}

/* What a collector says reaches terminals and files: nothing but printable ASCII. */
static void sayings(void **state)
{
	char out[16];

	(void)state;
	web_say(out, sizeof(out), "%.*s", "a\x1b[31m\n\xc3\xa4z", 10);
	assert_string_equal(out, "a [31m   z");
	web_say(out, sizeof(out), "%.*s", "0123456789012345678", 19);
	assert_string_equal(out, "012345678901234");
}

static void retry_after(void **state)
{
	(void)state;
	assert_int_equal(tfs_web_retry_after("120", 0), 120);
	assert_int_equal(tfs_web_retry_after("0", 0), 0);
	assert_int_equal(tfs_web_retry_after("99999999999999999999999", 0), 86400);
	assert_int_equal(tfs_web_retry_after("Sun, 29 Nov 2026 10:00:30 GMT", 1795946400), 30);
	assert_int_equal(tfs_web_retry_after("Sun, 29 Nov 2026 10:00:30 GMT", 1795946430), 0);
	assert_int_equal(tfs_web_retry_after("Sun, 29 Nov 2026 10:00:30 GMT", 1795956430), 0);
	assert_int_equal(tfs_web_retry_after("soon", 0), 0);
	assert_int_equal(tfs_web_retry_after("-5", 0), 0);
	assert_int_equal(tfs_web_retry_after("5 minutes", 0), 0);
	assert_int_equal(tfs_web_retry_after("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats),  cmocka_unit_test(texts),   cmocka_unit_test(bodies),
	    cmocka_unit_test(meanings), cmocka_unit_test(sayings), cmocka_unit_test(retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
