// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Messages on a TCP stream, RFC 6587: with a count before each (3.4.1), or, received only, with a line end (3.4.2).
 * Pure. */
#include "logship/ship/ship.h"

void ship_octet_head(struct ship_out *o, u32 len)
{
	ship_put_u64(o, len);
	ship_put(o, " ", 1);
}

static s64 parse_line(const u8 *buf, u32 n, u32 max, const u8 **msg, u32 *len)
{
	u32 look = n < max + 2 ? n : max + 2, end = 0; /* \r and \n may stand behind max bytes */

	while (end < look && buf[end] != '\n')
		end++;
	if (end == look)
		return look == max + 2 ? -EINVAL : 0;
	*msg = buf;
	*len = end && buf[end - 1] == '\r' ? end - 1 : end;
	return *len > max ? -EINVAL : (s64)end + 1;
}

s64 ship_octet_parse(const u8 *buf, u32 n, u32 max, const u8 **msg, u32 *len)
{
	u32 digits, v;

	if (!n)
		return 0;
	if (buf[0] < '0' || buf[0] > '9')
		return parse_line(buf, n, max, msg, len);
	digits = ship_digits(buf, buf + n, 9, &v);
	if (!digits || !v || v > max)
		return -EINVAL;
	if (digits == n)
		return 0;
	if (buf[digits] != ' ')
		return -EINVAL;
	if (n - digits - 1 < v)
		return 0;
	*msg = buf + digits + 1;
	*len = v;
	return (s64)digits + 1 + v;
}
