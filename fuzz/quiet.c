// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Output of the tools' code is formatted, so that its arguments are read, and thrown away: the C library's streams are
 * exchanged for one that takes everything. libFuzzer and the sanitizers, which keep their own stream or write to the
 * descriptor, are heard all the time; so is fuzz_fail.
 */
#define _GNU_SOURCE
#include "fuzz/check.h"

#include <stdio.h>
#include <stdlib.h>

static ssize_t swallow(void *cookie, const char *buf, size_t size)
{
	static volatile char sink;

	(void)cookie;
	if (size) /* the sanitizers see both ends */
		sink = (char)(buf[0] ^ buf[size - 1]);
	(void)sink;
	return (ssize_t)size;
}

void fuzz_quiet(bool on)
{
	static FILE *nowhere, *out, *err;

	if (!nowhere) {
		nowhere = fopencookie(NULL, "w", (cookie_io_functions_t){.write = swallow});
		out = stdout;
		err = stderr;
		FUZZ_CHECK(nowhere, "output: expected a stream that takes everything");
	}
	if (getenv("FUZZ_VERBOSE"))
		return;
	fflush(stdout);
	stdout = on ? nowhere : out;
	stderr = on ? nowhere : err;
}
