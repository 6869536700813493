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

/* Rate and time left are of this pass. In its first second neither says anything. */
static void show_bytes(const struct tfs_progress *p, u64 ms, unsigned seconds)
{
	char done[16], total[16], rate[16];
	u64 each = ms >= 1000 ? (u64)((double)p->done * 1000 / (double)ms) : 0, left;

	fprintf(stderr, "\r[%u/%u] %s, %s", p->step, p->steps, p->pass, tfs_cli_human(p->done, done));
	if (p->total)
		fprintf(stderr, "/%s", tfs_cli_human(p->total, total));
	fprintf(stderr, ", %llu %s", (unsigned long long)p->objects, p->of);
	if (each)
		fprintf(stderr, ", %s/s", tfs_cli_human(each, rate));
	fprintf(stderr, ", %u:%02u", seconds / 60, seconds % 60);
	if (each && p->total > p->done) {
		left = (p->total - p->done) / each;
		fprintf(stderr, ", %llu:%02u left", (unsigned long long)(left / 60), (unsigned)(left % 60));
	}
	fputs("\033[K", stderr);
}

static void show(struct tfs_progress *p)
{
	u64 now = now_ms();
	unsigned seconds = (unsigned)((now - p->start_ms) / 1000);

	if (p->on && p->of)
		show_bytes(p, now - p->pass_ms, seconds);
	else if (p->on && p->total)
		fprintf(stderr, "\r[%u/%u] %s, %llu/%llu, %u:%02u\033[K", p->step, p->steps, p->pass,
		        (unsigned long long)p->done, (unsigned long long)p->total, seconds / 60, seconds % 60);
	else if (p->on)
		fprintf(stderr, "\r[%u/%u] %s, %llu, %u:%02u\033[K", p->step, p->steps, p->pass,
		        (unsigned long long)p->done, seconds / 60, seconds % 60);
	if (p->fd >= 0)
		dprintf(p->fd, "%u %llu %llu\n", p->step, (unsigned long long)p->done,
		        (unsigned long long)(p->total ? p->total : p->done));
	p->shown = true;
	p->last_ms = now;
}

void tfs_progress_pass_bytes(struct tfs_progress *p, const char *pass, u64 total, const char *of)
{
	p->pass = pass;
	p->step++;
	p->done = 0;
	p->total = total;
	p->objects = 0;
	p->of = of;
	p->pass_ms = now_ms();
	if (p->on || p->fd >= 0)
		show(p);
}

void tfs_progress_pass(struct tfs_progress *p, const char *pass, u64 total)
{
	tfs_progress_pass_bytes(p, pass, total, NULL);
}

void tfs_progress_objects(struct tfs_progress *p, u64 n)
{
	p->objects = n;
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
