// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * mutated [-s] FIRST COUNT | mutated [-s] NAME: sound volumes one thing of which was changed, all checksums right (mutate_pick.c),
 * are mounted and used in every way the core has (fuzz/use.c): errors are right; a crash, an internal error, a write by
 * who only reads, or no end is not. The same as hostile.sh does in a kernel, some hundred times as fast. Without NAME
 * all named changes and COUNT random ones, each in a process of its own over a private copy. -s: the volume has
 * snapshots. Silent but for what failed and a line with the counts.
 */
#include "fuzz/fuzz.h"
#include "tests/fsck/mutate.h"
#include "tfs/user/port.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_MAX 60 /* of processor time, for one: most take milliseconds */

bool fuzz_no_writes, fuzz_compress = true;
static u8 *image;
static u64 ticks;
static bool snapshots;
static unsigned int tried, unmade, failed;
static volatile enum { BEGUN, MADE, USED } * stage; /* shared with the child */

void fuzz_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* ---- the device ---- */

static int image_io(struct tfs_dev *d, enum tfs_io_op op, u64 off, void *data, u32 n, u32 flags)
{
	(void)flags;
	FUZZ_CHECK(off % TFS_BLOCK == 0 && n % TFS_BLOCK == 0 && off <= d->size && n <= d->size - off,
	           "request: expected whole blocks within the device, found %llu+%u", (unsigned long long)off, n);
	if (op == TFS_IO_READ) {
		memcpy(data, image + off, n);
		return 0;
	}
	FUZZ_CHECK(!fuzz_no_writes, "write at %llu by who only reads", (unsigned long long)off);
	memcpy(image + off, data, n);
	return 0;
}

static int image_flush(struct tfs_dev *d)
{
	(void)d;
	return 0;
}

static struct tfs_time image_now(void *ctx)
{
	(void)ctx;
	return (struct tfs_time){.sec = tfs_cpu64(++ticks)};
}

static u64 image_random(void *ctx)
{
	(void)ctx;
	return ++ticks * 0x9e3779b97f4a7c15ull | 1;
}

static const struct tfs_dev_ops image_ops = {image_io, image_flush, NULL};
static struct tfs_dev dev = {.ops = &image_ops};
static const struct tfs_env env = {.now = image_now, .random = image_random};

int fuzz_mount(u32 flags, struct tfs_vol **out)
{
	struct tfs_mount_options opt = {.flags = flags};

	return tfs_mount(&dev, &env, &opt, out);
}

/* ---- one change, in a child ---- */

static void quiet(int level, const char *line)
{
	(void)level;
	(void)line;
}

static int child(const char *name)
{
	struct tfs_mount_options opt = {0};
	u32 seed = 0;
	const char *c;

	for (c = name; *c; c++)
		seed = seed * 31 + (u8)*c;
	setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS_MAX, SECONDS_MAX});
	alarm(SECONDS_MAX * 10); /* of the clock, for whoever waits instead of working */
	tfs_user_log_sink(quiet);
	must(tfs_mount(&dev, &env, &opt, &vol), "mount");
	if (snapshots)
		snaps_make_some(4);
	*stage = MADE;
	if (mutate_damage(name))
		fuzz_fail("%s: no such mutation", name);
	must(tfs_unmount(vol), "unmount");
	*stage = USED;
	fuzz_use(seed | 7, false); /* with all removed at the end */
	fuzz_use(seed, false);
	return 0;
}

static void judge(const char *name, int status)
{
	tried++;
	if (!status)
		return;
	if (*stage == MADE && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 2) { /* must(): refused before the unmount was over */
		unmade++;
		return;
	}
	failed++;
	printf("FAILED: %s: %s %d while it was %s; repeat: build/bin/mutated%s %s\n", name,
	       WIFSIGNALED(status) ? "signal" : "exit code",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), *stage == USED ? "used" : "made",
	       snapshots ? " -s" : "", name);
	fflush(stdout);
}

static void one(const char *name, bool aloud)
{
	int status = 0;
	pid_t pid;

	*stage = BEGUN;
	fflush(stdout);
	pid = fork();
	must(pid < 0 ? -errno : 0, "fork");
	if (!pid) {
		if (!aloud && !freopen("/dev/null", "w", stderr))
			_exit(1);
		exit(child(name));
	}
	must(waitpid(pid, &status, 0) < 0 ? -errno : 0, "waitpid");
	judge(name, status);
}

static void named(void *arg, const struct mutation *m)
{
	(void)arg;
	one(m->name, false);
}

/* The volume that all changes are made to, mapped so that each process changes a copy. */
static void base_load(void)
{
	char path[] = "/tmp/mutated.XXXXXX";
	int fd = mkstemp(path);
	off_t size;

	must(fd < 0 ? -errno : 0, path);
	volume_make(path);
	size = lseek(fd, 0, SEEK_END);
	dev.size = (u64)size;
	image = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(image == MAP_FAILED ? -errno : 0, path);
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	u64 seed, end;

	tfs_cli_start("mutated");
	snapshots = argc > 1 && !strcmp(argv[1], "-s");
	argv += snapshots;
	argc -= snapshots;
	if (argc != 2 && argc != 3)
		return 2;
	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(stage == MAP_FAILED ? -errno : 0, "memory");
	base_load();
	if (argc == 2) {
		one(argv[1], true);
		return failed != 0;
	}
	mutate_each(named, NULL);
	for (seed = strtoull(argv[1], NULL, 10), end = seed + strtoull(argv[2], NULL, 10); seed < end; seed++) {
		char name[40];

		snprintf(name, sizeof(name), "random:%llu", (unsigned long long)seed);
		one(name, false);
	}
	printf("%u changed volumes used, %u could not be made, %u failed\n", tried - unmade, unmade, failed);
	if (unmade > tried / 4)
		printf("FAILED: so few could be made that it proves nothing\n");
	return failed || unmade > tried / 4;
}
