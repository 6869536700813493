// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs scrub: reads and verifies every live byte, mounted or not, at a chosen rate. What it has not looked at yet is in a
 * cursor that fits into a file: ended by a signal, or by an option, it goes on from there. Damage is said in the words of
 * fsck.tfs --data, which finds the same.
 */
#include "admin/admin.h"
#include "fsck/problems.h"
#include "tfs/user/damage.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define STEP_BYTES (1u << 20)

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---- the cursor's file ---- */

struct saved {
	char magic[8];
	struct tfs_ioc_scrub s;
};
static const char magic[8] = "TFSSCRB1";

/* 0: there is none yet. */
static int cursor_load(const char *path, u64 volume, struct tfs_ioc_scrub *s)
{
	struct saved f;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &f, sizeof(f));
	int err = errno;

	if (fd >= 0)
		close(fd);
	if (fd < 0 && err == ENOENT)
		return 0;
	if (n != sizeof(f) || memcmp(f.magic, magic, sizeof(magic)) || f.s.volume != volume)
		return tfs_cli_fail(ADMIN_USAGE, path, "%s",
		                    fd < 0 ? strerror(err)
		                           : "expected where a scrub of this volume stopped; remove it to begin anew");
	*s = f.s;
	return 0;
}

/* Whole or not at all. */
static int cursor_save(const char *path, const struct tfs_ioc_scrub *s)
{
	struct saved f = {.s = *s};
	char part[4096];
	int fd, n = snprintf(part, sizeof(part), "%s.part", path);
	bool good;

	memcpy(f.magic, magic, sizeof(magic));
	fd = n < (int)sizeof(part) ? open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
	good = fd >= 0 && write(fd, &f, sizeof(f)) == sizeof(f) && !fsync(fd);
	if (fd >= 0)
		good = !close(fd) && good;
	if (good && !rename(part, path))
		return 0;
	return tfs_cli_fail(ADMIN_REFUSED, path, "cannot be written: %s; the next scrub begins anew", strerror(errno));
}

/* ---- what was found ---- */

static void bad_print(struct admin *a, const struct tfs_ioc_bad *i)
{
	static const enum fsck_problem problem[] = {[TFS_BAD_NODE] = FSCK_NODE_BAD,
	                                            [TFS_BAD_DATA] = FSCK_DATA_BAD,
	                                            [TFS_BAD_CODE] = FSCK_DATA_CODE,
	                                            [TFS_BAD_GANG] = FSCK_GANG_BAD};
	static const struct {
		int number;
		const char *name, *what;
	} list[] = {
#define P(number, name, text, class, what, repair) {number, text, what},
	    FSCK_PROBLEMS(P)
#undef P
	};
	struct tfs_bad b = {.kind = i->kind <= TFS_BAD_GANG ? (enum tfs_bad_kind)i->kind : TFS_BAD_DATA,
	                    .tree = (u8)i->tree,
	                    .level = (u8)i->level,
	                    .key = {i->a, i->b},
	                    .snapshot = i->snapshot,
	                    .ptr = {.addr = i->addr, .len = (u16)i->units},
	                    .block = (int)i->block,
	                    .expected = i->expected,
	                    .found = i->found,
	                    .err = -(int)i->error};
	char object[TFS_DAMAGE_TEXT], detail[TFS_DAMAGE_TEXT];
	struct tfs_line l;
	size_t p = 0;

	while (list[p].number != (int)problem[b.kind])
		p++;
	tfs_damage_object(&b, object, sizeof(object));
	tfs_damage_detail(&b, detail, sizeof(detail));
	if (!a->json) {
		printf("%s: %s: %s (%d): %s\n", a->target.path, object, list[p].what, list[p].number, detail);
		return;
	}
	tfs_line_begin(&l, true, 0, "damage");
	tfs_line_num(&l, "problem", (u64)list[p].number);
	tfs_line_text(&l, "name", list[p].name);
	tfs_line_text(&l, "object", object);
	tfs_line_text(&l, "detail", detail);
	tfs_line_end(&l);
}

/* Sleeps until `bytes` since the start are no more than the rate allows. */
static void rate_keep(u64 bytes, u64 rate, const struct timespec *start)
{
	struct timespec now, wait;
	double due, passed;

	clock_gettime(CLOCK_MONOTONIC, &now);
	passed = (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
	due = rate ? (double)bytes / (double)rate - passed : 0;
	if (due <= 0)
		return;
	wait = (struct timespec){(time_t)due, (long)((due - (double)(time_t)due) * 1e9)};
	nanosleep(&wait, NULL);
}

static int summary(struct admin *a, const struct tfs_ioc_scrub *s)
{
	struct tfs_line l;

	if (!a->quiet || a->json) {
		tfs_line_begin(&l, a->json, 0, "scrub");
		tfs_line_text(&l, "state", s->more ? "stopped" : "done");
		tfs_line_num(&l, "bytes", s->bytes);
		tfs_line_num(&l, "nodes", s->nodes);
		tfs_line_num(&l, "places", s->places);
		tfs_line_num(&l, "damaged", s->damaged);
		tfs_line_end(&l);
	}
	return s->damaged ? ADMIN_DAMAGE : 0;
}

static int run(struct admin *a, struct tfs_ioc_scrub *s)
{
	struct tfs_progress p;
	struct timespec start;
	u64 begun = s->bytes, before;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &start);
	tfs_progress_start(&p, a->quiet || a->json, -1, 1);
	tfs_progress_pass(&p, "verifying, MiB", 0);
	do {
		before = s->bytes;
		s->budget = STEP_BYTES;
		err = target_request(&a->target, TFS_IOC_SCRUB, s);
		if (s->told)
			tfs_progress_end(&p);
		for (u32 i = 0; !err && i < s->told; i++)
			bad_print(a, &s->bad[i]);
		tfs_progress_add(&p, (s->bytes >> 20) - (before >> 20));
		rate_keep(s->bytes - begun, a->rate, &start);
	} while (!err && s->more && !stop);
	tfs_progress_end(&p);
	return err;
}

int admin_scrub(struct admin *a)
{
	struct sigaction act = {.sa_handler = on_signal};
	static struct tfs_ioc_scrub s;
	struct tfs_ioc_info info = {0};
	int err = target_request(&a->target, TFS_IOC_INFO, &info), code = 0;

	if (err)
		return admin_fail(a, NULL, err);
	s.volume = info.volume;
	s.more = 1;
	if (a->cursor)
		code = cursor_load(a->cursor, info.volume, &s);
	if (code)
		return code;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	err = run(a, &s);
	if (a->cursor && s.more)
		code = cursor_save(a->cursor, &s);
	else if (a->cursor)
		unlink(a->cursor);
	if (err)
		return admin_fail(a, NULL, err);
	return code ? code : summary(a, &s);
}
