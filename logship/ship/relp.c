// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * RELP, the protocol of librelp and rsyslog (its own description, version 0): frames "TXNR COMMAND LEN[ DATA]\n", each
 * answered by one "TXNR rsp LEN CODE TEXT\n". A session is one connection; the client counts transactions from 1. Up to
 * a window of messages is on its way; what counts as acknowledged is the unbroken beginning, so that one number, an
 * offset in the file, says where to go on. Pure; the session is its owner's.
 */
#include "logship/ship/ship.h"

#define COMMAND_MAX 32u

void ship_relp_head(struct ship_out *o, u32 txnr, const char *command, u32 len)
{
	ship_put_u64(o, txnr);
	ship_put(o, " ", 1);
	ship_put_text(o, command);
	ship_put(o, " ", 1);
	ship_put_u64(o, len);
	if (len)
		ship_put(o, " ", 1);
}

static u32 command_len(const u8 *at, u32 n)
{
	u32 len = 0;

	while (len < n && len <= COMMAND_MAX &&
	       ((at[len] >= 'a' && at[len] <= 'z') || (at[len] >= 'A' && at[len] <= 'Z')))
		len++;
	return len;
}

/* Steps over a number and the blank behind it. 1: done, 0: more must come, -EINVAL. */
static int number(const u8 *buf, u32 n, u32 *at, u32 *v)
{
	u32 digits;

	if (*at == n)
		return 0;
	digits = ship_digits(buf + *at, buf + n, 9, v);
	if (!digits)
		return -EINVAL;
	*at += digits;
	return *at < n;
}

s64 ship_relp_parse(const u8 *buf, u32 n, u32 max, struct ship_relp_frame *f)
{
	u32 at = 0;
	int got = number(buf, n, &at, &f->txnr);

	if (got <= 0)
		return got;
	if (buf[at++] != ' ')
		return -EINVAL;
	f->command = buf + at;
	f->command_len = command_len(buf + at, n - at);
	at += f->command_len;
	if (f->command_len > COMMAND_MAX)
		return -EINVAL;
	if (at == n)
		return 0;
	if (!f->command_len || buf[at++] != ' ')
		return -EINVAL;
	got = number(buf, n, &at, &f->len);
	if (got <= 0)
		return got;
	if (f->len > max)
		return -EINVAL;
	f->data = buf + at;
	if (buf[at] == ' ') { /* with no data, too: librelp's servers send it so */
		f->data = buf + ++at;
		if (n - at < f->len)
			return 0;
		at += f->len;
	} else if (f->len) {
		return -EINVAL;
	}
	if (at == n)
		return 0;
	return buf[at] == '\n' ? (s64)at + 1 : -EINVAL;
}

bool ship_relp_is(const struct ship_relp_frame *f, const char *command)
{
	u32 n = 0;

	while (command[n])
		n++;
	return n == f->command_len && !memcmp(f->command, command, n);
}

/* ---- the client's session ---- */

void ship_relp_open(struct ship_relp *r, struct ship_out *o)
{
	static const char offers[] = "relp_version=0\nrelp_software=tfs\ncommands=syslog";

	memset(r, 0, sizeof(*r));
	r->next = 2; /* 1 is this */
	ship_relp_head(o, 1, "open", sizeof(offers) - 1);
	ship_put(o, offers, sizeof(offers) - 1);
	ship_put(o, "\n", 1);
}

static u32 after(u32 txnr)
{
	return txnr == SHIP_RELP_MAX_TXNR ? 1 : txnr + 1;
}

static u32 oldest(const struct ship_relp *r)
{
	return r->next > r->count ? r->next - r->count : r->next + (SHIP_RELP_MAX_TXNR - r->count);
}

u32 ship_relp_next(struct ship_relp *r, u32 window)
{
	u32 txnr = r->next;

	if (r->state != SHIP_RELP_READY || r->count >= (window < SHIP_RELP_WINDOW ? window : SHIP_RELP_WINDOW))
		return 0;
	r->next = after(txnr);
	r->count++;
	return txnr;
}

/* "200 OK..." */
static bool is_yes(const struct ship_relp_frame *f)
{
	return f->len >= 3 && !memcmp(f->data, "200", 3) && (f->len == 3 || f->data[3] == ' ' || f->data[3] == '\n');
}

static int over(struct ship_relp *r, int err)
{
	r->state = SHIP_RELP_OVER;
	return err;
}

/* The answers from the oldest message on, without a gap, leave the window. */
static int settle(struct ship_relp *r)
{
	int n = 0;

	while (r->count && r->answered[0] & 1) {
		u32 i;

		for (i = 0; i < SHIP_RELP_WINDOW / 64; i++)
			r->answered[i] =
			    r->answered[i] >> 1 | (i + 1 < SHIP_RELP_WINDOW / 64 ? r->answered[i + 1] << 63 : 0);
		r->count--;
		n++;
	}
	return n;
}

int ship_relp_answer(struct ship_relp *r, const struct ship_relp_frame *f)
{
	u32 place;

	if (r->state == SHIP_RELP_OVER)
		return -EINVAL;
	if (ship_relp_is(f, "serverclose"))
		return over(r, -ECONNRESET);
	if (!ship_relp_is(f, "rsp"))
		return over(r, -EINVAL);
	if (r->state == SHIP_RELP_OPENING) {
		if (f->txnr != 1)
			return over(r, -EINVAL);
		if (!is_yes(f))
			return over(r, -ECONNREFUSED);
		r->state = SHIP_RELP_READY;
		return 0;
	}
	place = f->txnr >= oldest(r) ? f->txnr - oldest(r) : f->txnr + (SHIP_RELP_MAX_TXNR - oldest(r));
	if (!f->txnr || place >= r->count || r->answered[place / 64] >> place % 64 & 1)
		return over(r, -EINVAL);
	if (!is_yes(f))
		return over(r, -ECONNREFUSED);
	r->answered[place / 64] |= 1ull << place % 64;
	return settle(r);
}

void ship_relp_close(struct ship_relp *r, struct ship_out *o)
{
	ship_relp_head(o, r->next, "close", 0);
	ship_put(o, "\n", 1);
	r->state = SHIP_RELP_OVER;
}
