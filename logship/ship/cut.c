// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A stream of bytes into messages. What is taken depends on the bytes and the rule alone, never on how they arrived but
 * for `ended`: so a sender that begins again at an acknowledged place cuts as it did before. Who reads: the kernel's
 * sender and tfs-logship, from the file's pages. Pure; no locks.
 */
#include "logship/ship/ship.h"

/* ---- lines that go on ---- */

/*
 * Does the line begin as `start` says? `*` is tried at every place, the innermost first, with one place remembered: so
 * the work is at most length times length, and there is no recursion.
 */
static bool starts(const char *start, u32 len, const u8 *line, u32 n)
{
	u32 p = 0, i = 0, star = len, from = 0;

	while (p < len) {
		u32 one = start[p] == '\\' && p + 1 < len ? 2 : 1;
		char c = start[p + one - 1];
		bool same;

		if (one == 1 && c == '*') {
			star = p++;
			from = i;
			continue;
		}
		same = i < n && (one == 1 && c == '?'   ? true
		                 : one == 1 && c == '#' ? line[i] >= '0' && line[i] <= '9'
		                                        : line[i] == (u8)c);
		if (same) {
			p += one;
			i++;
		} else if (star < len && from < n) {
			p = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	return true;
}

const char *ship_start_check(const char *start, u32 len)
{
	if (!len)
		return "empty";
	if (len > SHIP_START_MAX)
		return "longer than 64 bytes";
	if (start[0] == '*')
		return "begins with *, so every line would match";
	if (start[len - 1] == '\\' && (len < 2 || start[len - 2] != '\\'))
		return "ends with a backslash";
	return NULL;
}

static u32 line_end(const u8 *buf, u32 from, u32 n)
{
	while (from < n && buf[from] != '\n')
		from++;
	return from;
}

/*
 * Whether the line at buf + at goes on with the one before: 1, 0, or -1: what has arrived of it does not tell. A
 * pattern looks at 256 bytes of a line, so that it need not be here whole.
 */
#define START_LOOK 256u
static int goes_on(const struct ship_cut *rule, const u8 *buf, u32 at, u32 n, bool ended)
{
	u32 end;

	if (rule->multi == SHIP_LINES)
		return 0;
	if (at == n)
		return ended ? 0 : -1;
	if (rule->multi == SHIP_INDENT)
		return buf[at] == ' ' || buf[at] == '\t';
	end = line_end(buf, at, n - at > START_LOOK ? at + START_LOOK : n);
	if (end == n && n - at < START_LOOK && !ended)
		return -1;
	return !starts(rule->start, rule->start_len, buf + at, end - at);
}

/* ---- pieces ---- */

/* At most max bytes, not in the middle of a character. */
static u32 piece_end(const u8 *buf, u32 max)
{
	u32 back;

	for (back = 1; back < 4 && back < max; back++) {
		u8 c = buf[max - back];

		if ((c & 0xc0) == 0x80)
			continue;
		/* a character that begins here and would need more than what is left of the piece */
		return c >= 0xc2 && c <= 0xf4 && back < (c < 0xe0 ? 2u : c < 0xf0 ? 3u : 4u) ? max - back : max;
	}
	return max;
}

static bool piece(const u8 *buf, u32 max, struct ship_piece *out)
{
	out->bytes = out->text = piece_end(buf, max);
	out->more = true;
	return true;
}

static bool whole(const u8 *buf, u32 text, u32 bytes, struct ship_piece *out)
{
	out->bytes = bytes;
	out->text = text && bytes > text && buf[text - 1] == '\r' ? text - 1 : text;
	out->more = false;
	return true;
}

bool ship_cut(const struct ship_cut *rule, const u8 *buf, u32 n, bool ended, struct ship_piece *out)
{
	u32 at = 0, end;
	int on;

	if (!n)
		return false;
	for (;;) {
		end = line_end(buf, at, n);
		if (end > rule->max)
			return piece(buf, rule->max, out);
		if (end == n)
			return ended ? whole(buf, n, n, out) : false;
		on = goes_on(rule, buf, end + 1, n, ended);
		if (on < 0)
			return false;
		if (!on)
			return whole(buf, end, end + 1, out);
		at = end + 1;
	}
}
