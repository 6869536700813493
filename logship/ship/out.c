// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Bytes, numbers and characters: what cutting, formatting and parsing share. Pure; no locks. */
#include "logship/ship/ship.h"

void ship_put(struct ship_out *o, const void *bytes, u32 n)
{
	u32 room = o->len < o->size ? o->size - o->len : 0, i;
	u8 *to = o->buf + o->len;

	if (n <= 8 && n <= room)
		for (i = 0; i < n; i++) /* most are a character or two, and a call costs more */
			to[i] = ((const u8 *)bytes)[i];
	else if (room)
		memcpy(to, bytes, n < room ? n : room);
	o->len = n > 0xffffffffu - o->len ? 0xffffffffu : o->len + n; /* stays too long */
}

void ship_put_text(struct ship_out *o, const char *text)
{
	u32 n = 0;

	while (text[n])
		n++;
	ship_put(o, text, n);
}

void ship_put_u64(struct ship_out *o, u64 v)
{
	char digits[20];
	u32 n = sizeof(digits);

	do
		digits[--n] = (char)('0' + v % 10);
	while (v /= 10);
	ship_put(o, digits + n, (u32)sizeof(digits) - n);
}

void ship_put_padded(struct ship_out *o, u32 v, u32 digits)
{
	char text[10];
	u32 i;

	for (i = digits; i--; v /= 10)
		text[i] = (char)('0' + v % 10);
	ship_put(o, text, digits);
}

void ship_put_hex(struct ship_out *o, u64 v, u32 digits)
{
	char text[16];
	u32 i;

	for (i = digits; i--; v >>= 4)
		text[i] = "0123456789abcdef"[v & 15];
	ship_put(o, text, digits);
}

void ship_put_boot(struct ship_out *o, const u8 boot[16])
{
	u64 half[2] = {0, 0};
	u32 i;

	for (i = 0; i < 16; i++)
		half[i / 8] = half[i / 8] << 8 | boot[i];
	ship_put_hex(o, half[0], 16);
	ship_put_hex(o, half[1], 16);
}

u32 ship_digits(const u8 *at, const u8 *end, u32 max_digits, u32 *v)
{
	u32 n = 0;

	*v = 0;
	while (at + n < end && at[n] >= '0' && at[n] <= '9') {
		if (n == max_digits || (n == 1 && at[0] == '0'))
			return 0;
		*v = *v * 10 + (at[n++] - '0');
	}
	return n;
}

u32 ship_utf8(const u8 *at, u32 n)
{
	u32 len, i, min;
	u32 c = at[0];

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (n < len)
		return 0;
	min = len == 2 ? 0x80 : len == 3 ? 0x800 : 0x10000;
	c &= 0x7f >> len;
	for (i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	return c < min || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

bool ship_same_word(const u8 *at, u32 n, const char *word)
{
	u32 i;

	for (i = 0; i < n && word[i]; i++) {
		u8 c = at[i] >= 'A' && at[i] <= 'Z' ? at[i] | 0x20 : at[i];

		if (c != (u8)word[i])
			return false;
	}
	return i == n && !word[i];
}
