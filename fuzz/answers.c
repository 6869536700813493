// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: answers, what a collector of HTTP sends back. The first byte chooses the format, the second the status, the
 * third how many messages were sent. Always: a message is taken only under a status of 2xx, a dead one has a reason, no
 * more than was sent is decided, and what is said is printable.
 */
#include "fuzz/fuzz.h"

#include "logship/web/web.h"

#include <stdlib.h>

static const u32 statuses[] = {200, 204, 202, 299, 100, 301, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503};

static void printable(const char *text, size_t room)
{
	size_t n = strnlen(text, room);

	FUZZ_CHECK(n < room, "answers: a text does not end");
	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK(text[i] >= ' ' && text[i] <= '~', "answers: a text that is not printable");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct web_item items[8];
	struct web_item *list[8];
	struct web_verdict v;
	struct web_answer a;
	u32 n;

	if (size < 3 || size > 65536)
		return 0;
	memset(items, 0, sizeof(items));
	n = 1 + (u8)(data[2] - '0') % 8;
	for (u32 i = 0; i < n; i++)
		list[i] = &items[i];
	a = (struct web_answer){.status = statuses[(u8)(data[1] - '0') % (sizeof(statuses) / sizeof(*statuses))],
	                        .body = (const char *)data + 3,
	                        .len = size - 3};
	web_judge(web_format((enum ship_transport)(SHIP_OTLP + (u8)(data[0] - '0') % 5)), &a, list, n, &v);
	printable(v.why, sizeof(v.why));
	FUZZ_CHECK(v.next == WEB_DONE || v.why[0], "answers: no reason for waiting");
	FUZZ_CHECK(v.first < n, "answers: the first part is all of it");
	for (u32 i = 0; i < 8; i++) {
		FUZZ_CHECK(items[i].fate == WEB_WAITS || i < n, "answers: a message that was not sent");
		FUZZ_CHECK(items[i].fate != WEB_TAKEN || (a.status >= 200 && a.status < 300),
		           "answers: taken by an error");
		FUZZ_CHECK(items[i].fate != WEB_DEAD || items[i].reason[0], "answers: dead without a reason");
		printable(items[i].reason, sizeof(items[i].reason));
	}
	return 0;
}
