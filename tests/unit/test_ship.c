// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Framing of forwarded lines: what a file's bytes become, and what a collector's answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "logship/ship/ship.h"

static u32 random_state = 1;
static u32 draw(u32 below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

/* ---- cutting ---- */

/* Pieces of the stream, with | behind a message and + behind a piece of one. step: bytes that arrive at a time. */
static void cut_all(const struct ship_cut *rule, const char *stream, u32 n, u32 step, char *out)
{
	u32 from = 0, have = 0;
	struct ship_piece p;

	while (from < n || have < n) {
		if (ship_cut(rule, (const u8 *)stream + from, have - from, have == n, &p)) {
			memcpy(out, stream + from, p.text);
			out += p.text;
			*out++ = p.more ? '+' : '|';
			assert_true(p.bytes > 0 && p.text <= p.bytes && p.bytes <= have - from);
			from += p.bytes;
		} else {
			assert_true(have < n);
			have = n - have < step ? n : have + step;
		}
	}
	*out = 0;
}

static void cuts_to(const struct ship_cut *rule, const char *stream, const char *expected)
{
	char out[400];
	u32 step;

	for (step = 1; step < 20; step++) {
		cut_all(rule, stream, (u32)strlen(stream), step, out);
		assert_string_equal(out, expected);
	}
}

static void cut_lines(void **state)
{
	struct ship_cut rule = {.max = 8, .multi = SHIP_LINES};

	(void)state;
	cuts_to(&rule, "one\ntwo\r\n\nlast", "one|two||last|");
	cuts_to(&rule, "12345678\n123456789\nab", "12345678|12345678+9|ab|");
	cuts_to(&rule, "1234567\xc3\xa4 56\n", "1234567+\xc3\xa4 56|"); /* not within a character */
	cuts_to(&rule, "12345\xf0\x9f\x98\x80z\n", "12345+\xf0\x9f\x98\x80z|");
	cuts_to(&rule, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\n", "\x80\x80\x80\x80\x80\x80\x80\x80+\x80\x80|");
}

static void cut_lines_together(void **state)
{
	struct ship_cut indent = {.max = 40, .multi = SHIP_INDENT};
	struct ship_cut start = {.max = 40, .multi = SHIP_START, .start = "####-##-*:", .start_len = 10};

	(void)state;
	cuts_to(&indent, "Exception\n\tat a\n  at b\nnext\n", "Exception\n\tat a\n  at b|next|");
	cuts_to(&indent, " first\n more\n", " first\n more|");
	cuts_to(&start, "2026-11-28 1: a\n  b\nc\n2026-11-29 x:\n", "2026-11-28 1: a\n  b\nc|2026-11-29 x:|");
	cuts_to(&start, "2026-11-28 1: a\n2026-1-1 x:\n", "2026-11-28 1: a\n2026-1-1 x:|");
	indent.max = 10;
	cuts_to(&indent, "123456789\n more\nx\n", "123456789\n+ more|x|");
}

static void patterns(void **state)
{
	(void)state;
	assert_null(ship_start_check("[####", 5));
	assert_null(ship_start_check("a\\\\", 3));
	assert_non_null(ship_start_check("", 0));
	assert_non_null(ship_start_check("*x", 2));
	assert_non_null(ship_start_check("a\\", 2));
}

/* However the bytes arrive, and wherever a sender that was cut off begins again, the pieces are the same. */
static void cut_is_steady(void **state)
{
	static const char alphabet[] = "a1 \t\r\n\n\xc3\xa4\xf0";
	char stream[121], whole[400], pieces[400];
	u32 round, i;

	(void)state;
	for (round = 0; round < 4000; round++) {
		struct ship_cut rule = {
		    .max = 4 + draw(30), .multi = (enum ship_multi)draw(3), .start = "a?1", .start_len = 3};

		for (i = 0; i < 120; i++)
			stream[i] = alphabet[draw(sizeof(alphabet) - 1)];
		cut_all(&rule, stream, 120, 120, whole);
		cut_all(&rule, stream, 120, 1 + draw(9), pieces);
		assert_string_equal(whole, pieces);
	}
}

/* ---- severity ---- */

static void severity_is(const char *text, u32 expected)
{
	u32 skip;
	u8 got = ship_priority(16 * 8 + SHIP_NOTICE, (const u8 *)text, (u32)strlen(text), &skip);

	if (got != 16 * 8 + expected || skip)
		print_error("%s\n", text);
	assert_int_equal(got, 16 * 8 + expected);
	assert_int_equal(skip, 0);
}

static void severities(void **state)
{
	u32 skip;

	(void)state;
	severity_is("2026-11-28 10:00:00 UTC [77] ERROR:  relation does not exist", SHIP_ERR);
	severity_is("2026-11-28 10:00:00 UTC [77] LOG:  checkpoint starting", SHIP_INFO);
	severity_is("ts=2026-11-28 level=warn msg=\"0 ERROR\"", SHIP_WARNING);
	severity_is("level=\"debug\" msg=x", SHIP_DEBUG);
	severity_is("[error] 7#7: *1 open() failed", SHIP_ERR);
	severity_is("E0102 15:04:05.000 7 x.go:3] gone", SHIP_ERR);
	severity_is("I1231 15:04:05.000 7 x.go:3] ERROR", SHIP_INFO);
	severity_is("finished with 0 errors, no error", SHIP_NOTICE);
	severity_is("/var/log/ERROR/x opened", SHIP_NOTICE);
	severity_is("GET /error: 200", SHIP_NOTICE);
	severity_is("{\"level\":\"error\",\"msg\":\"x\"}", SHIP_ERR);
	severity_is("{\"a\":{\"level\":\"error\"},\"level\": 30}", SHIP_INFO);
	severity_is("{\"msg\":\"\\\"level\\\":\\\"error\\\"\",\"lvl\":\"WARN\"}", SHIP_WARNING);
	severity_is("{\"msg\":\"ERROR: x\"}", SHIP_NOTICE);
	severity_is("{\"priority\":3}", SHIP_ERR);
	severity_is("{\"level\":", SHIP_NOTICE);
	severity_is("", SHIP_NOTICE);
	severity_is("<192>x", SHIP_NOTICE);
	severity_is("<01>x", SHIP_NOTICE);
	assert_int_equal(ship_priority(13, (const u8 *)"<165>x", 6, &skip), 165);
	assert_int_equal(skip, 5);
	assert_int_equal(ship_priority(13, (const u8 *)"<0>", 3, &skip), 0);
	assert_int_equal(skip, 3);
}

/* ---- RFC 5424 ---- */

static u32 format(const struct ship_message *m, char *out, u32 size)
{
	struct ship_out o = {.buf = (u8 *)out, .size = size - 1};

	ship_rfc5424(&o, m);
	assert_true(ship_fits(&o));
	out[o.len] = 0;
	return o.len;
}

static const struct ship_message example = {
    .priority = 165,
    .seconds = 1795867200,
    .nanoseconds = 1999,
    .host = "db 1",
    .app = "postgres",
    .id = {.volume = 0xabc, .ino = 77, .offset = 4096, .generation = 3, .crc = 0x12ab},
    .sequence = 9,
    .text = (const u8 *)"a line",
    .len = 6,
};

static void syslog_format(void **state)
{
	struct ship_message m = example;
	char out[2000];

	(void)state;
	format(&m, out, sizeof(out));
	assert_string_equal(out,
	                    "<165>1 2026-11-28T12:00:00.000001Z db_1 postgres - - [tfs@32473 v=\"0000000000000abc\" "
	                    "i=\"77\" g=\"3\" o=\"4096\" c=\"000012ab\" n=\"9\" "
	                    "b=\"00000000000000000000000000000000\"] a line");
	m.nanoseconds = ~0u;
	m.file = "a\"]\\\xff.log";
	m.part = 2;
	m.more = true;
	m.text = (const u8 *)"\\\xe4\x01\xc3\xa4\n";
	format(&m, out, sizeof(out));
	assert_non_null(strstr(out, ">1 - db_1"));
	assert_non_null(
	    strstr(out, " part=\"2\" more=\"1\" esc=\"1\" file=\"a\\\"\\]\\\\?.log\"] \\x5c\\xe4\\x01\xc3\xa4\n"));
}

static void dates(void **state)
{
	static const s64 seconds[] = {0,          -1,           951782400,    951868800,    4107542399,
	                              4107542400, 253402300799, -62167219200, -62162035201, -62162035200,
	                              1709164800, 1740787199};
	struct ship_message m = example;
	char out[2000], expected[64];
	u32 i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		time_t t = i < sizeof(seconds) / sizeof(seconds[0])
		               ? seconds[i]
		               : -62167219200 + (s64)draw(1u << 24) * 18800 + (s64)draw(1u << 16);
		struct tm tm;

		m.seconds = t;
		format(&m, out, sizeof(out));
		gmtime_r(&t, &tm);
		snprintf(expected, sizeof(expected), "<165>1 %04d-%02d-%02dT%02d:%02d:%02d.000001Z ", tm.tm_year + 1900,
		         tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		assert_memory_equal(out, expected, strlen(expected));
	}
	m.seconds = 253402300800;
	format(&m, out, sizeof(out));
	assert_memory_equal(out, "<165>1 - ", 9);
}

/* The largest message fits what the header promises; one byte less is noticed and not overrun. */
static void syslog_size(void **state)
{
	static char text[1000], name[600], out[SHIP_HEAD_MAX + 4000 + 1];
	struct ship_message m = example;
	struct ship_out o = {.buf = (u8 *)out};
	u32 len;

	(void)state;
	memset(text, 1, sizeof(text));
	memset(name, '"', sizeof(name) - 1);
	m.host = m.app = m.proc = m.file = name;
	m.priority = 191;
	m.id = (struct ship_identity){~0ull, ~0ull, ~0ull, ~0u, ~0u};
	m.sequence = ~0ull;
	m.part = ~0u;
	m.more = true;
	m.text = (const u8 *)text;
	m.len = sizeof(text);
	len = format(&m, out, sizeof(out));
	assert_true(len <= SHIP_HEAD_MAX + 4 * sizeof(text));
	for (o.size = 0; o.size < len; o.size += 97) {
		memset(out, 'z', sizeof(out));
		o.len = 0;
		ship_rfc5424(&o, &m);
		assert_false(ship_fits(&o));
		assert_int_equal(o.len, len);
		assert_int_equal(out[o.size], 'z');
	}
}

static bool same_identity(const struct ship_identity *a, const struct ship_identity *b)
{
	return a->volume == b->volume && a->ino == b->ino && a->offset == b->offset && a->generation == b->generation &&
	       a->crc == b->crc;
}

static void identity(void **state)
{
	static const char other[] = "<1>1 - h a p m [x@1 a=\"]\\\"\" b=\"\"][tfs@32473 v=\"00000000000000ff\" i=\"1\" "
	                            "g=\"2\" o=\"18446744073709551615\" c=\"0000000a\"] text";
	struct ship_message m = example;
	struct ship_identity id;
	char out[2000];
	u32 len, i;

	(void)state;
	m.file = "we\\ird\"]name";
	len = format(&m, out, sizeof(out));
	assert_true(ship_identity_find((u8 *)out, len, &id));
	assert_true(same_identity(&id, &m.id));
	for (i = 0; i < len - 6; i++) /* nothing that is cut off counts, until the element is whole */
		assert_int_equal(ship_identity_find((u8 *)out, i, &id), i >= (u32)(strstr(out, "] a line") + 1 - out));
	assert_true(ship_identity_find((const u8 *)other, sizeof(other) - 1, &id));
	assert_true(same_identity(&id, &(struct ship_identity){255, 1, ~0ull, 2, 10}));
	memcpy(out, other, sizeof(other));
	*strstr(out, "615\"") = '7'; /* above 2^64 */
	assert_false(ship_identity_find((u8 *)out, sizeof(other) - 1, &id));
	assert_false(ship_identity_find((const u8 *)"<1>1 - h a p m - [tfs@32473", 27, &id));
}

/* ---- streams ---- */

static void octets(void **state)
{
	const u8 *msg;
	u8 text[64];
	struct ship_out o = {.buf = text, .size = sizeof(text)};
	u32 len, i;

	(void)state;
	ship_octet_head(&o, 3);
	ship_put(&o, "abc", 3);
	assert_memory_equal(text, "3 abc", 5);
	for (i = 0; i < 5; i++)
		assert_int_equal(ship_octet_parse(text, i, 9, &msg, &len), 0);
	assert_int_equal(ship_octet_parse(text, 5, 9, &msg, &len), 5);
	assert_true(len == 3 && msg == text + 2);
	assert_int_equal(ship_octet_parse((const u8 *)"10 a", 4, 9, &msg, &len), -EINVAL);
	assert_int_equal(ship_octet_parse((const u8 *)"03 abc", 6, 9, &msg, &len), -EINVAL);
	assert_int_equal(ship_octet_parse((const u8 *)"0 ", 2, 9, &msg, &len), -EINVAL);
	assert_int_equal(ship_octet_parse((const u8 *)"3abc", 4, 9, &msg, &len), -EINVAL);
	assert_int_equal(ship_octet_parse((const u8 *)"9999999999 ", 11, 9, &msg, &len), -EINVAL);
	assert_int_equal(ship_octet_parse((const u8 *)"<1>abc\r\nx", 9, 6, &msg, &len), 8);
	assert_int_equal(len, 6);
	assert_int_equal(ship_octet_parse((const u8 *)"<1>abc\n", 7, 5, &msg, &len), -EINVAL);
	assert_int_equal(ship_octet_parse((const u8 *)"<1>abcd", 7, 5, &msg, &len), -EINVAL);
	assert_int_equal(ship_octet_parse((const u8 *)"<1>abc", 6, 5, &msg, &len), 0);
}

static void answer(struct ship_relp *r, u32 txnr, const char *command, const char *data, int expected)
{
	struct ship_relp_frame f;
	u8 text[200];
	struct ship_out o = {.buf = text, .size = sizeof(text)};
	u32 i;

	ship_relp_head(&o, txnr, command, (u32)strlen(data));
	ship_put_text(&o, data);
	ship_put(&o, "\n", 1);
	for (i = 0; i < o.len; i++)
		assert_int_equal(ship_relp_parse(text, i, 100, &f), 0);
	assert_int_equal(ship_relp_parse(text, o.len, 100, &f), o.len);
	assert_int_equal(ship_relp_answer(r, &f), expected);
}

static void session(struct ship_relp *r)
{
	u8 text[200];
	struct ship_out o = {.buf = text, .size = sizeof(text)};

	ship_relp_open(r, &o);
	assert_true(ship_fits(&o));
	assert_memory_equal(text, "1 open 48 relp_version=0\n", 25);
	assert_int_equal(ship_relp_next(r, 9), 0);
	answer(r, 1, "rsp", "200 OK\nrelp_version=0\ncommands=syslog", 0);
}

static void relp_window(void **state)
{
	struct ship_relp r;
	u32 i;

	(void)state;
	session(&r);
	for (i = 2; i < 12; i++)
		assert_int_equal(ship_relp_next(&r, 10), i);
	assert_int_equal(ship_relp_next(&r, 10), 0);
	answer(&r, 4, "rsp", "200 OK", 0);
	answer(&r, 3, "rsp", "200 OK", 0);
	answer(&r, 2, "rsp", "200 OK", 3); /* the gap is closed */
	answer(&r, 5, "rsp", "200", 1);
	assert_int_equal(ship_relp_next(&r, 10), 12);
	answer(&r, 5, "rsp", "200 OK", -EINVAL); /* twice */
	assert_int_equal(ship_relp_next(&r, 10), 0);
	session(&r);
	answer(&r, 2, "rsp", "200 OK", -EINVAL); /* nothing was sent */
	session(&r);
	ship_relp_next(&r, 1);
	answer(&r, 2, "rsp", "500 no", -ECONNREFUSED);
	session(&r);
	answer(&r, 0, "serverclose", "", -ECONNRESET);
	session(&r);
	answer(&r, 1, "syslog", "200", -EINVAL);
}

/* Any order of answers, and past the largest number: what is acknowledged is the oldest without a gap. */
static void relp_wraps(void **state)
{
	struct ship_relp r;
	u32 sent = 0, settled = 0, round;
	static bool done[1 << 16];
	static u32 txnr[1 << 16];

	(void)state;
	session(&r);
	r.next = SHIP_RELP_MAX_TXNR - 700;
	for (round = 0; round < 20000; round++) {
		u32 t, pick;

		while (draw(4) && (t = ship_relp_next(&r, SHIP_RELP_WINDOW)))
			txnr[sent++] = t;
		if (settled == sent)
			continue;
		pick = settled + draw(sent - settled);
		if (done[pick])
			continue;
		done[pick] = true;
		for (t = 0; settled + t < sent && done[settled + t]; t++)
			;
		answer(&r, txnr[pick], "rsp", "200 OK", (int)t);
		settled += t;
	}
	assert_true(settled > 1000);
}

static void relp_malformed(void **state)
{
	static const char *const bad[] = {"x",
	                                  "01 rsp 0\n",
	                                  "1000000000 rsp 0\n",
	                                  "1  rsp 0\n",
	                                  "1 r3p 0\n",
	                                  "1 rsp x",
	                                  "1 rsp 101 ",
	                                  "1 rsp 3\n",
	                                  "1 rsp 3 abcd",
	                                  "1 rsp 0 x",
	                                  "1 abcdefghijklmnopqrstuvwxyzabcdefghi 0\n"};
	struct ship_relp_frame f;
	u32 i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ship_relp_parse((const u8 *)bad[i], (u32)strlen(bad[i]), 100, &f), -EINVAL);
	assert_int_equal(ship_relp_parse((const u8 *)"1 rsp 0 \n", 9, 100, &f), 9);
}

/* ---- targets ---- */

static const char *target(const char *text, struct ship_target *t)
{
	return ship_target_parse(text, (u32)strlen(text), t);
}

static void targets(void **state)
{
	static const char *const bad[] = {"",
	                                  "relp:/x",
	                                  "http://x",
	                                  "relp://",
	                                  "relp://:2514",
	                                  "relp://h:0",
	                                  "relp://h:65536",
	                                  "relp://h:12x",
	                                  "relp://h:",
	                                  "relp://[::1",
	                                  "relp://[::1]2514",
	                                  "relp://a b",
	                                  "relp://h/x",
	                                  "file:",
	                                  "file:%",
	                                  "file:%0g",
	                                  "file:a%00b",
	                                  "stdout:x",
	                                  "udp://h?",
	                                  "udp://h?x=1",
	                                  "udp://h?max=63",
	                                  "tcp://h?max=16001",
	                                  "udp://h?max=8193",
	                                  "udp://h?max=",
	                                  "udp://h?rate=0",
	                                  "udp://h?rate=",
	                                  "udp://h?rate=10000000",
	                                  "udp://h?facility=12",
	                                  "udp://h?severity=",
	                                  "udp://h?app=",
	                                  "udp://h?multi=indented",
	                                  "udp://h?start=*x",
	                                  "udp://h?start=",
	                                  "udp://h?severity=err&",
	                                  "otlp://h",
	                                  "otlp+https://h:0/x",
	                                  "otlp+https:///x",
	                                  "otlp+https://h/a b",
	                                  "otlp+https://h/a#b",
	                                  "otlp+https://h?gzip=1",
	                                  "otlp+https://h?batch=4095",
	                                  "otlp+https://h?batch=16777217",
	                                  "otlp+https://h?index=a",
	                                  "udp://h?gzip",
	                                  "loki+http://h?tenant=",
	                                  "loki+http://h?tenant=a/b",
	                                  "elastic+https://h?index=Logs",
	                                  "elastic+https://h?index=-a",
	                                  "elastic+https://h@x",
	                                  "udp+tls://h",
	                                  "relp+tls://h?gzip"};
	struct ship_target t;
	char text[700];
	u32 i, n;

	(void)state;
	assert_null(target("relp://10.0.0.2:2515", &t));
	assert_int_equal(t.transport, SHIP_RELP);
	assert_string_equal(t.host, "10.0.0.2");
	assert_int_equal(t.port, 2515);
	assert_int_equal(t.standard, 13);
	assert_int_equal(t.cut.max, 6144);
	assert_null(target("tcp://[fe80::1]", &t));
	assert_string_equal(t.host, "fe80::1");
	assert_int_equal(t.port, 601);
	assert_null(target("udp://collector?facility=local7&severity=debug&max=64&app=a%20b&start=%23%23##-", &t));
	assert_int_equal(t.port, 514);
	assert_int_equal(t.standard, 23 << 3 | 7);
	assert_int_equal(t.cut.max, 64);
	assert_string_equal(t.app, "a b");
	assert_int_equal(t.cut.multi, SHIP_START);
	assert_int_equal(t.cut.start_len, 5);
	assert_memory_equal(t.cut.start, "####-", 5);
	assert_null(target("file:/var/log/a%3fb?multi=indent", &t));
	assert_string_equal(t.path, "/var/log/a?b");
	assert_int_equal(t.cut.multi, SHIP_INDENT);
	assert_int_equal(t.rate, 0);
	assert_null(target("stdout:?rate=9999999", &t));
	assert_int_equal(t.rate, 9999999);
	assert_null(target("otlp+https://[::1]/x/v1/logs?gzip&batch=4096&max=16000", &t));
	assert_true(t.transport == SHIP_OTLP && t.tls && t.gzip && ship_is_http(&t));
	assert_string_equal(t.host, "::1");
	assert_string_equal(t.path, "/x/v1/logs");
	assert_int_equal(t.port, 4318);
	assert_int_equal(t.batch, 4096);
	assert_null(target("elastic+http://h?index=logs-a.b_c-1", &t));
	assert_true(t.transport == SHIP_ELASTIC && !t.tls && !t.path[0]);
	assert_string_equal(t.name, "logs-a.b_c-1");
	assert_null(target("tcp+tls://h", &t));
	assert_true(t.transport == SHIP_TCP && t.tls && t.port == 6514 && !ship_is_http(&t));
	assert_null(target("relp+tls://[::1]:1", &t));
	assert_true(t.transport == SHIP_RELP && t.tls && t.port == 1);
	assert_null(target("loki+https://h:443?tenant=Me", &t));
	assert_int_equal(t.batch, 1 << 20);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!target(bad[i], &t))
			fail_msg("%s is taken for a target", bad[i]);
	for (n = 1; n < 600; n++) { /* no length of anything is too much */
		memset(text, 'h', sizeof(text));
		memcpy(text, n % 3 ? n % 3 == 1 ? "relp://" : "file:xx" : "udp://h?app=", n % 3 ? 7 : 12);
		assert_int_equal(ship_target_parse(text, n + 12, &t) == NULL, n % 3 == 1 ? n + 5 < 254
		                                                              : n % 3    ? n + 7 < 512
		                                                                         : n <= 48);
	}
	for (n = 0; n < 200000; n++) { /* of anything at all */
		memcpy(text, "relp://[::1]:25?start=##&max=99&multi=indent", 44);
		for (i = draw(4); i; i--)
			text[draw(44)] = (char)draw(256);
		ship_target_parse(text, draw(45), &t);
	}
}

/* ---- the kernel's own messages ---- */

static const u8 boot_a[16] = {0xab, 1}, boot_b[16] = {0xab, 2};

static u32 kmsg_to(const char *record, const char *expected)
{
	u8 out[400];
	struct ship_out o = {.buf = out, .size = sizeof(out)};
	u32 n = (u32)strlen(record), worst = ship_kmsg(&o, (const u8 *)record, n);

	assert_int_equal(o.len, strlen(expected));
	assert_memory_equal(out, expected, o.len);
	return worst;
}

static void kmsg_lines(void **state)
{
	(void)state;
	assert_int_equal(kmsg_to("<6>[    0.000000] Linux version 6\n", "<6>[    0.000000] Linux version 6\n"), 6);
	assert_int_equal(kmsg_to("<12>[    1.5] a\n<12>[    1.5] b\n", "<12>[    1.5] a\n<12>[    1.5] b\n"), 4);
	assert_int_equal(kmsg_to("<30>x", "<30>x\n"), 6); /* cut: a line all the same */
	assert_int_equal(kmsg_to("", ""), SHIP_KMSG_NONE);
	/* what a program wrote to /dev/kmsg becomes no line of its own making and nothing that a terminal obeys */
	kmsg_to("<12>[1.0] \x1b[2J\r\t\x7f\\\xc2\x9b\n", "<12>[1.0] \\x1b[2J\\x0d\\x09\\x7f\\x5c\\xc2\\x9b\n");
	kmsg_to("<12>[1.0] <0>[1.0] x\n", "<12>[1.0] <0>[1.0] x\n");
	/* facilities that syslog does not have */
	assert_int_equal(kmsg_to("<191>a\n", "<191>a\n"), 7);
	assert_int_equal(kmsg_to("<1019>a\n", "<11>a\n"), 3);
	kmsg_to("<99999999999999999999>a\n", "<5><99999999999999999999>a\n");
	kmsg_to("<>a\n<6\n6>\n", "<5><>a\n<5><6\n<5>6>\n");
}

static void kmsg_own(void **state)
{
	(void)state;
	assert_int_equal(
	    kmsg_to("<4>[   12.345678] tfs: log forwarding: vda: relp://h: error -111; trying again\n", ""),
	    SHIP_KMSG_NONE);
	kmsg_to("<4>tfs: kernel messages: vda: /k: error -28\n", "");
	kmsg_to("<4>[    1.0][  T123] tfs: kernel messages: vda\n", "");
	/* others' stay: of the module about something else, of programs, of a quotation */
	kmsg_to("<3>[1.0] tfs: vda: error -5 ended writing\n", "<3>[1.0] tfs: vda: error -5 ended writing\n");
	kmsg_to("<12>[1.0] tfs: log forwarding: x\n", "<12>[1.0] tfs: log forwarding: x\n");
	kmsg_to("<6>[1.0] tfs: log forwar[7]: segfault\n", "<6>[1.0] tfs: log forwar[7]: segfault\n");
	kmsg_to("<4>[1.0] not tfs: log forwarding: x\n", "<4>[1.0] not tfs: log forwarding: x\n");
	kmsg_to("<4>[\n<4>[]\n<4>[1.0] \n", "<4>[\n<4>[]\n<4>[1.0] \n");
	assert_int_equal(kmsg_to("<4>[1.0] tfs: log forwarding: a\n<6>[1.0] b\n", "<6>[1.0] b\n"), 6);
}

static void kmsg_between(void **state)
{
	u8 out[SHIP_KMSG_LINE + 8], before[64];
	struct ship_out o = {.buf = out, .size = sizeof(out)};
	u64 next = 0;
	u32 i;

	(void)state;
	ship_kmsg_begin(&o, 12345678999ull, boot_a, "6.1.0-57", 86400);
	out[o.len] = 0;
	assert_string_equal(
	    out, "<5>[   12.345678] tfs: kernel messages: boot ab010000000000000000000000000000, Linux 6.1.0-57, "
	         "1970-01-02T00:00:00.000000Z\n");
	assert_false(ship_kmsg_resume(out, o.len, boot_a, &next));
	o.len = 0;
	ship_kmsg_lost(&o, 0, 7);
	assert_memory_equal(out, "<4>[    0.000000] tfs: kernel messages: 7 messages are missing here", 67);
	memcpy(before, "<6>[1.0] x\n", 11);
	for (i = 0; i < 2; i++) { /* the first line of what was read, or not */
		struct ship_out at = {.buf = out, .size = sizeof(out)};

		ship_put(&at, before, i ? 11 : 0);
		ship_kmsg_end(&at, 123456789 * 1000000000ull, boot_a, i ? 123456 : 0);
		assert_true(ship_fits(&at));
		assert_true(ship_kmsg_resume(out, at.len, boot_a, &next));
		assert_int_equal(next, i ? 123456 : 0);
		assert_false(ship_kmsg_resume(out, at.len, boot_b, &next));     /* of another boot */
		assert_false(ship_kmsg_resume(out, at.len - 1, boot_a, &next)); /* cut */
		assert_false(ship_kmsg_resume(out, at.len - 2, boot_a, &next));
		out[at.len - 2] = 'x';
		assert_false(ship_kmsg_resume(out, at.len, boot_a, &next));
	}
	/* a program that writes the same line does so with its own facility */
	o.len = 0;
	ship_kmsg_end(&o, 5, boot_a, 9);
	out[1] = '6';
	assert_false(ship_kmsg_resume(out, o.len, boot_a, &next));
	for (i = 0; i < 20000; i++) {
		u8 noise[40];
		u32 n = draw(40), j;

		o.len = 0;
		ship_kmsg_end(&o, i, boot_a, i);
		out[draw(o.len)] ^= (u8)(1 + draw(255)); /* breaks, or changes the number or the time */
		ship_kmsg_resume(out, o.len, boot_a, &next);
		for (j = 0; j < n; j++)
			noise[j] = "<>[] \n5t"[draw(8)];
		o.len = 0;
		ship_kmsg(&o, noise, n);
		assert_true(o.len <= 4 * n + 4);
		ship_kmsg_resume(noise, n, boot_a, &next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cut_lines),      cmocka_unit_test(cut_lines_together),
	    cmocka_unit_test(patterns),       cmocka_unit_test(cut_is_steady),
	    cmocka_unit_test(severities),     cmocka_unit_test(syslog_format),
	    cmocka_unit_test(dates),          cmocka_unit_test(syslog_size),
	    cmocka_unit_test(identity),       cmocka_unit_test(octets),
	    cmocka_unit_test(relp_window),    cmocka_unit_test(relp_wraps),
	    cmocka_unit_test(relp_malformed), cmocka_unit_test(targets),
	    cmocka_unit_test(kmsg_lines),     cmocka_unit_test(kmsg_own),
	    cmocka_unit_test(kmsg_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
