// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: frames, what a collector or a sender gives us: RELP frames and a session's answers, octet-counted messages,
 * structured data; a rule's target; and what a log file may hold: cutting, severity, formatting. The first byte chooses. Whatever is
 * parsed must lie within the input, and what is formatted within what the header promises and readable again.
 */
#include "fuzz/fuzz.h"

#include "logship/ship/ship.h"

#include <stdlib.h>

static void inside(const u8 *data, u32 n, const u8 *at, u32 len, const char *what)
{
	FUZZ_CHECK(at >= data && at <= data + n && len <= (u32)(data + n - at), "frames: %s lies outside", what);
}

static void relp(const u8 *data, u32 n)
{
	struct ship_relp session;
	struct ship_relp_frame f;
	u8 text[200];
	struct ship_out o = {.buf = text, .size = sizeof(text)};
	u32 at = 0, before;
	s64 took;
	int settled;

	ship_relp_open(&session, &o);
	FUZZ_CHECK(ship_fits(&o), "frames: no room to open");
	while (at < n && (took = ship_relp_parse(data + at, n - at, 1000, &f)) > 0) {
		FUZZ_CHECK(took <= (s64)(n - at), "frames: took more than there is");
		inside(data + at, (u32)took, f.data, f.len, "data");
		inside(data + at, (u32)took, f.command, f.command_len, "a command");
		at += (u32)took;
		while (f.txnr & 1 && ship_relp_next(&session, 100))
			;
		before = session.count;
		settled = ship_relp_answer(&session, &f);
		FUZZ_CHECK(settled < 0 || (u32)settled == before - session.count, "frames: wrong count of answers");
		FUZZ_CHECK(session.count <= SHIP_RELP_WINDOW, "frames: too many in flight");
	}
}

static void octets(const u8 *data, u32 n)
{
	const u8 *msg;
	u32 at = 0, len;
	s64 took;

	while ((took = ship_octet_parse(data + at, n - at, 300, &msg, &len)) > 0) {
		FUZZ_CHECK(took <= (s64)(n - at) && len <= 300, "frames: took more than there is");
		inside(data + at, (u32)took, msg, len, "a message");
		at += (u32)took;
	}
	FUZZ_CHECK(took < 0 || n - at <= 300 + 10, "frames: waits for more than a message may take");
}

/* All pieces are within the rule, and together they are the input. */
static void cut(const u8 *data, u32 n)
{
	struct ship_cut rule;
	struct ship_piece p;
	u32 at = 0;

	if (n < 10)
		return;
	rule.max = 4 + data[0];
	rule.multi = (enum ship_multi)(data[1] % 3);
	rule.start = (const char *)data + 2;
	rule.start_len = 1 + data[1] / 32;
	if (ship_start_check(rule.start, rule.start_len))
		return;
	data += 10;
	n -= 10;
	while (ship_cut(&rule, data + at, n - at, true, &p)) {
		FUZZ_CHECK(p.bytes && p.bytes <= n - at && p.text <= p.bytes, "frames: a piece lies outside");
		FUZZ_CHECK(p.text <= rule.max, "frames: a piece is too long");
		at += p.bytes;
	}
	FUZZ_CHECK(at == n, "frames: bytes are left");
}

static void format(const u8 *data, u32 n)
{
	struct ship_message m = {.text = data, .len = n, .host = "h", .file = "f\"]\\", .part = n, .more = n & 1};
	struct ship_out o = {.size = SHIP_HEAD_MAX + 4 * n};
	struct ship_identity id;
	u32 skip;

	m.priority = ship_priority(13, data, n, &skip);
	FUZZ_CHECK(skip <= n, "frames: skips more than there is");
	m.id = (struct ship_identity){.volume = n, .ino = ~0ull, .offset = skip, .crc = m.priority};
	o.buf = malloc(o.size);
	FUZZ_CHECK(o.buf, "memory: none for a message");
	ship_rfc5424(&o, &m);
	FUZZ_CHECK(ship_fits(&o), "frames: longer than promised");
	FUZZ_CHECK(ship_identity_find(o.buf, o.len, &id), "frames: no identity in what was formatted");
	FUZZ_CHECK(id.volume == n && id.ino == ~0ull && id.offset == skip && id.crc == m.priority,
	           "frames: another identity");
	free(o.buf);
}

/* The kernel's messages as lines: harmless whatever stands in them, and never a line of the module's by another. */
static void kernel_lines(const u8 *data, u32 n)
{
	static const u8 boot[16] = "0123456789abcdef";
	struct ship_out o = {.size = 4 * n + 4};
	u64 next;
	u32 i;

	o.buf = malloc(o.size);
	FUZZ_CHECK(o.buf, "memory: none for lines");
	ship_kmsg(&o, data, n);
	FUZZ_CHECK(ship_fits(&o) && (!o.len || o.buf[o.len - 1] == '\n'),
	           "frames: lines longer than promised, or open");
	for (i = 0; i < o.len; i++)
		FUZZ_CHECK((o.buf[i] >= ' ' && o.buf[i] < 127) || o.buf[i] == '\n', "frames: a byte that is no text");
	FUZZ_CHECK(!ship_kmsg_resume(o.buf, o.len, boot, &next), "frames: a message ends a mount");
	ship_kmsg_resume(data, n, boot, &next);
	free(o.buf);
}

/* A rule's text, as a crafted volume may have it. What is taken is one that can be used. */
static void target(const u8 *data, u32 n)
{
	struct ship_target t;

	if (ship_target_parse((const char *)data, n, &t))
		return;
	FUZZ_CHECK(strnlen(t.host, sizeof(t.host)) < sizeof(t.host) && strnlen(t.app, sizeof(t.app)) < sizeof(t.app) &&
	               strnlen(t.path, sizeof(t.path)) < sizeof(t.path),
	           "frames: a text of the target does not end");
	FUZZ_CHECK(t.transport == SHIP_FILE || t.transport == SHIP_STDOUT || (t.host[0] && t.port),
	           "frames: a target without a place");
	FUZZ_CHECK(strnlen(t.name, sizeof(t.name)) < sizeof(t.name) && t.batch >= SHIP_BATCH_MIN && t.batch <= 16 << 20,
	           "frames: options of HTTP out of range");
	FUZZ_CHECK(t.cut.max >= 64 && t.cut.max <= SHIP_TEXT_MAX && t.standard < 192, "frames: options out of range");
	FUZZ_CHECK(t.cut.multi != SHIP_START || !ship_start_check(t.cut.start, t.cut.start_len),
	           "frames: a pattern that matches every line");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct ship_identity id;

	if (size < 2 || size > 65536)
		return 0;
	switch ((u8)(data[0] - '0') % 6) {
	case 0:
		relp(data + 1, (u32)size - 1);
		break;
	case 1:
		octets(data + 1, (u32)size - 1);
		break;
	case 2:
		cut(data + 1, (u32)size - 1);
		break;
	case 3:
		format(data + 1, (u32)size - 1);
		kernel_lines(data + 1, (u32)size - 1);
		break;
	case 5:
		target(data + 1, (u32)size - 1);
		break;
	default:
		ship_identity_find(data + 1, (u32)size - 1, &id);
	}
	return 0;
}
