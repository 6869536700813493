// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Time, and waiting that a signal ends. Called by all that sends. */
#include "logship/logship.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

u64 logship_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

void logship_sleep(u64 ms)
{
	u64 end = logship_now_ms() + ms;

	while (!logship_stopped && logship_now_ms() < end)
		usleep(10000);
}

/* Half to all of it, so that a thousand machines do not come back together. */
u32 logship_jitter(u32 ms)
{
	u32 r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (u32)(logship_now_ms() * 2654435761u) ^ (u32)getpid();
	return ms / 2 + r % (ms / 2 + 1);
}
