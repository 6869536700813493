// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The kernel's own messages as lines of a file: records made harmless, and the lines that stand between them where a
 * machine's start begins, messages are missing, or a mount ends, by which the next one knows where to go on. What the
 * module says of forwarding itself is left out, or a collector that fails would be told of its own failures, and fail
 * again. Pure; no locks.
 */
#include "logship/ship/ship.h"

#define OWN_SHIP                                                                                                       \
	"tfs: log forwarding: " /* longer than a process's name: many messages begin with that, and it is its user's */
#define OWN_KMSG "tfs: kernel messages: "
#define FACILITY_USER 1u
#define PRI_MAX 191u
#define NS 1000000000ull

static bool begins(const u8 *at, const u8 *end, const char *with)
{
	while (*with)
		if (at == end || *at++ != (u8)*with++)
			return false;
	return true;
}

/* Decimal digits from *at on, as many as a u64 holds; false: none, or too many. */
static bool number_take(const u8 **at, const u8 *end, u64 *v)
{
	const u8 *from = *at;

	for (*v = 0; *at < end && **at >= '0' && **at <= '9'; ++*at) {
		if (*at - from == 19)
			return false;
		*v = *v * 10 + (u64)(**at - '0');
	}
	return *at > from;
}

/* Behind "<PRI>", *pri: its value; without one, begin and what a message without a level is. */
static const u8 *pri_take(const u8 *begin, const u8 *end, u32 *pri)
{
	const u8 *at = begin + 1;
	u64 v;

	*pri = SHIP_NOTICE;
	if (begin == end || *begin != '<' || !number_take(&at, end, &v) || at == end || *at != '>')
		return begin;
	*pri = v <= PRI_MAX ? (u32)v : FACILITY_USER << 3 | (u32)(v & 7);
	return at + 1;
}

/* Of the kernel's alone: nobody writes to /dev/kmsg with its facility, 0. Behind the time, and the caller that some
 * kernels are built to name. */
static bool is_own(const u8 *at, const u8 *end, u32 pri)
{
	u32 i;

	for (i = 0; i < 2 && at < end && *at == '['; i++) {
		while (at < end && *at != ']')
			at++;
		at += at < end;
	}
	at += at < end && *at == ' ';
	return pri < 8 && (begins(at, end, OWN_SHIP) || begins(at, end, OWN_KMSG));
}

static void put_escaped(struct ship_out *o, const u8 *at, const u8 *end)
{
	for (; at < end; at++) {
		if (*at >= ' ' && *at < 127 && *at != '\\') {
			ship_put(o, at, 1);
		} else {
			ship_put(o, "\\x", 2);
			ship_put_hex(o, *at, 2);
		}
	}
}

static void put_pri(struct ship_out *o, u32 pri)
{
	ship_put(o, "<", 1);
	ship_put_u64(o, pri);
	ship_put(o, ">", 1);
}

u32 ship_kmsg(struct ship_out *o, const u8 *record, u32 n)
{
	const u8 *at = record, *end = record + n;
	u32 worst = SHIP_KMSG_NONE;

	while (at < end) {
		const u8 *stop = at, *text;
		u32 pri;

		while (stop < end && *stop != '\n')
			stop++;
		text = pri_take(at, stop, &pri);
		if (!is_own(text, stop, pri)) {
			put_pri(o, pri);
			put_escaped(o, text, stop);
			ship_put(o, "\n", 1);
			worst = (pri & 7) < worst ? pri & 7 : worst;
		}
		at = stop + (stop < end);
	}
	return worst;
}

/* ---- lines between ---- */

static void put_head(struct ship_out *o, u32 severity, u64 ns)
{
	u64 limit;

	put_pri(o, severity);
	ship_put_text(o, "[");
	for (limit = 10000 * NS; limit > NS && ns < limit; limit /= 10) /* five wide, as the kernel's */
		ship_put_text(o, " ");
	ship_put_u64(o, ns / NS);
	ship_put_text(o, ".");
	ship_put_padded(o, (u32)(ns % NS / 1000), 6);
	ship_put_text(o, "] " OWN_KMSG);
}

static void put_boot(struct ship_out *o, const u8 boot[16])
{
	ship_put_text(o, "boot ");
	ship_put_boot(o, boot);
}

void ship_kmsg_begin(struct ship_out *o, u64 ns, const u8 boot[16], const char *release, s64 wall)
{
	put_head(o, SHIP_NOTICE, ns);
	put_boot(o, boot);
	ship_put_text(o, ", Linux ");
	ship_put_text(o, release);
	ship_put_text(o, ", ");
	ship_put_time(o, wall, 0);
	ship_put_text(o, "\n");
}

void ship_kmsg_lost(struct ship_out *o, u64 ns, u64 lost)
{
	put_head(o, SHIP_WARNING, ns);
	ship_put_u64(o, lost);
	ship_put_text(o, " messages are missing here: overwritten or cleared before they were read\n");
}

#define END_BEHIND_BOOT ", all before message "
void ship_kmsg_end(struct ship_out *o, u64 ns, const u8 boot[16], u64 next)
{
	put_head(o, SHIP_NOTICE, ns);
	put_boot(o, boot);
	ship_put_text(o, END_BEHIND_BOOT);
	ship_put_u64(o, next);
	ship_put_text(o, "\n");
}

/* The text of ship_kmsg_end behind its time. */
static bool end_parse(const u8 *at, const u8 *end, const u8 boot[16], u64 *next)
{
	u8 text[sizeof(OWN_KMSG END_BEHIND_BOOT) + 5 + 32];
	struct ship_out o = {.buf = text, .size = sizeof(text)};

	ship_put_text(&o, OWN_KMSG);
	put_boot(&o, boot);
	ship_put_text(&o, END_BEHIND_BOOT);
	if ((u32)(end - at) < o.len || memcmp(at, text, o.len))
		return false;
	at += o.len;
	return number_take(&at, end, next) && at == end;
}

bool ship_kmsg_resume(const u8 *tail, u32 n, const u8 boot[16], u64 *next)
{
	const u8 *end = tail + n, *at;
	u32 pri;

	if (!n || *--end != '\n')
		return false;
	for (at = end; at > tail && at[-1] != '\n';)
		at--;
	at = pri_take(at, end, &pri);
	if (pri != SHIP_NOTICE || *at != '[') /* at end there is the \n */
		return false;
	while (*at != ']' && at < end)
		at++;
	return end - at > 2 && at[1] == ' ' && end_parse(at + 2, end, boot, next);
}
