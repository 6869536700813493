// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* CRC-32C of the user port: the published check value, and whatever is computed in one go equals it piece by piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tfs/port.h"

static void known(void **state)
{
	(void)state;
	assert_int_equal(tfs_port_crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(tfs_port_crc32c(0, "", 0), 0);
}

static void in_pieces(void **state)
{
	static u8 data[9000];
	u32 n, at, whole, pieces, r = 1;

	(void)state;
	for (n = 0; n < sizeof(data); n++)
		data[n] = (u8)((r = r * 1103515245u + 12345) >> 16);
	for (n = 0; n < sizeof(data); n += 1 + n % 7) {
		whole = tfs_port_crc32c(7, data, n);
		pieces = 7;
		for (at = 0; at < n; at += 13)
			pieces = tfs_port_crc32c(pieces, data + at, n - at < 13 ? n - at : 13);
		assert_int_equal(whole, pieces);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(in_pieces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
