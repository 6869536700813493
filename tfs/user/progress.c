// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* One line of progress on a terminal, and fsck(8)'s machine form for -C. Quiet whenever standard error is no terminal.
 */
#include "tfs/user/cli.h"

#include <time.h>
#include <unistd.h>

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

void tfs_progress_start(struct tfs_progress *p, bool quiet, int fd, unsigned steps)
{
	memset(p, 0, sizeof(*p));
	p->on = !quiet && isatty(STDERR_FILENO);
	p->fd = fd;
	p->steps = steps;
	p->start_ms = p->last_ms = now_ms();
}

static void show(struct tfs_progress *p)
{
	unsigned seconds = (unsigned)((now_ms() - p->start_ms) / 1000);

	if (p->on && p->total)
		fprintf(stderr, "\r[%u/%u] %s, %llu/%llu, %u:%02u\033[K", p->step, p->steps, p->pass,
		        (unsigned long long)p->done, (unsigned long long)p->total, seconds / 60, seconds % 60);
	else if (p->on)
		fprintf(stderr, "\r[%u/%u] %s, %llu, %u:%02u\033[K", p->step, p->steps, p->pass,
		        (unsigned long long)p->done, seconds / 60, seconds % 60);
	if (p->fd >= 0)
		dprintf(p->fd, "%u %llu %llu\n", p->step, (unsigned long long)p->done,
		        (unsigned long long)(p->total ? p->total : p->done));
	p->shown = true;
	p->last_ms = now_ms();
}

void tfs_progress_pass(struct tfs_progress *p, const char *pass, u64 total)
{
	p->pass = pass;
	p->step++;
	p->done = 0;
	p->total = total;
	if (p->on || p->fd >= 0)
		show(p);
}

void tfs_progress_add(struct tfs_progress *p, u64 n)
{
	p->done += n;
	if ((p->on || p->fd >= 0) && now_ms() - p->last_ms >= 100)
		show(p);
}

void tfs_progress_end(struct tfs_progress *p)
{
	if (p->on && p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
