// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Faults in the kernel while a volume is mounted, used, synced and unmounted, for tests/kernel/nomem.sh (which says
 * what must hold). Runs in the debugging kernel as root: `nomem TEMPLATE nth memory|device FROM STEP LAST` lets the Nth
 * allocation (or request to the device) of one pass fail, for N = FROM, FROM + STEP ... to LAST or until a pass has
 * fewer; `nomem TEMPLATE storm ROUNDS SEED` lets one of a hundred fail, of all tasks that work for the volume. Every
 * pass begins with a copy of the volume TEMPLATE. What fsync said is kept must be there after the volume was unmounted,
 * or cut off as by a crash, and mounted again without faults. Want of memory alone may fail calls, but it loses nothing
 * and leaves nothing half done: what the volume shows when it has passed is what the next mount shows.
 */
#define _GNU_SOURCE
#include "tests/kernel/shown.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define IMAGE "/tmp/nomem.img"
#define LOOP "/dev/loop0"
#define MNT "/mnt"
#define SHUTDOWN _IOR('X', 125, uint32_t)

static int kmsg;
static char now[64]; /* the pass, for messages */

static void say(const char *fmt, ...)
{
	char line[400];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n > 0 && write(kmsg, line, n) < 0)
		perror("kmsg");
}

_Noreturn static void bad(const char *fmt, ...)
{
	char line[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	printf("FAILED: %s: %s\n", now, line);
	fflush(stdout);
	say("nomem: FAILED: %s: %s\n", now, line);
	_exit(1); /* the next passes would tell no more */
}

/* What the kernel said since the last time: complaints are this pass's. */
static void log_check(void)
{
	static const char *const complaints[] = {"internal error", "BUG:", "WARNING:", "KASAN"};
	static int log = -1;
	char record[8192];
	ssize_t n;

	if (log < 0) {
		log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
		lseek(log, 0, SEEK_END);
		return;
	}
	while ((n = read(log, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE))
		for (size_t i = 0; n > 0 && i < sizeof(complaints) / sizeof(*complaints); i++) {
			record[n] = 0;
			if (strstr(record, complaints[i]) && !strstr(record, "nomem: "))
				bad("the kernel says %.200s", strchr(record, ';') ? strchr(record, ';') + 1 : record);
		}
}

static void fatal(const char *what)
{
	printf("FAILED: %s: %s: %s\n", now, what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static bool put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

	if (fd >= 0)
		close(fd);
	return good;
}

static void setting(const char *name, const char *value)
{
	char path[200];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", name);
	if (!put(path, value))
		fatal(path);
}

/* ---- what is known to be kept ---- */

#define FILES 16
#define BYTES 200000
struct file { /* in shared memory: a storm's workers each have one set */
	char name[64];
	bool known; /* false: it was changed and nothing was acknowledged since */
	bool there;
	uint32_t size;
	unsigned char data[BYTES];
};
static struct file *files; /* of this worker */

static struct file *file_of(const char *name)
{
	for (int i = 0; i < FILES; i++) {
		if (!files[i].name[0])
			snprintf(files[i].name, sizeof(files[i].name), "%s", name);
		if (!strcmp(files[i].name, name))
			return &files[i];
	}
	fatal("too many files");
	return NULL;
}

static void check_file(struct file *f)
{
	static unsigned char found[BYTES + 1];
	int fd = open(f->name, O_RDONLY);
	ssize_t n = 0, got;

	if (!f->known)
		goto out;
	if ((fd >= 0) != f->there) {
		bad("%s: expected it to be %s, open says %s", f->name, f->there ? "there" : "gone", strerror(errno));
		goto out;
	}
	while (fd >= 0 && (got = read(fd, found + n, sizeof(found) - n)) > 0)
		n += got;
	if (f->there && (n != f->size || memcmp(found, f->data, n))) {
		ssize_t at = 0;

		while (at < n && at < f->size && found[at] == f->data[at])
			at++;
		bad("%s: acknowledged %u bytes, found %zd, the first that differs at %zd", f->name, f->size, n, at);
	}
out:
	if (fd >= 0)
		close(fd);
}

static void check_all(struct file *set)
{
	for (int i = 0; i < FILES && set[i].name[0]; i++)
		check_file(&set[i]);
}

/* ---- operations: errors are counted, never lost ---- */

static unsigned long *errors; /* by errno, shared */

static bool ok(long result)
{
	if (result >= 0)
		return true;
	errors[errno & 127]++;
	return false;
}

static uint32_t rng;
static uint32_t rnd(void)
{
	rng = rng * 1664525u + 1013904223u;
	return rng >> 8;
}

static void fill(unsigned char *p, uint32_t n)
{
	bool text = rnd() % 2;

	for (uint32_t i = 0; i < n; i++)
		p[i] = text ? (unsigned char)"log-structured "[i & 15] : rnd();
}

static int opened(struct file *f, int flags)
{
	int fd = open(f->name, flags, 0644);

	ok(fd);
	return fd;
}

/* Want of memory loses nothing: whoever syncs again, and is told that it is done, has it all. */
static bool synced(int fd, int how)
{
	for (int i = 0; i < 3; i++) {
		if (ok(how == 1 ? fdatasync(fd) : fsync(fd)))
			return true;
		if (errno != ENOMEM)
			return false;
	}
	return false;
}

static bool changed(long result) /* a read-only volume changed nothing: what was known stays so */
{
	return result >= 0 || errno != EROFS;
}

/* Written at `at`, then synced: acknowledged if both said so. What was unknown stays so, unless all of it is written.
 */
static void write_sync(const char *name, uint32_t at, uint32_t n, int how)
{
	struct file *f = file_of(name);
	bool was = f->known && f->there;
	int fd = opened(f, O_RDWR | O_CREAT | (at ? 0 : O_TRUNC) | (how == 2 ? O_DIRECT : 0));
	static unsigned char data[BYTES] __attribute__((aligned(4096)));
	ssize_t done;

	f->known = f->known && !changed(fd);
	if (fd < 0)
		return;
	fill(data, n);
	done = pwrite(fd, data, n, at);
	if (ok(done) && done == (ssize_t)n && synced(fd, how) && (was || !at)) {
		if (at > f->size || !f->there)
			memset(f->data + (at ? f->size : 0), 0, at ? at - f->size : 0);
		memcpy(f->data + at, data, n);
		f->size = at && f->size > at + n ? f->size : at + n;
		f->there = f->known = true;
	}
	close(fd);
}

static sigjmp_buf faulted;
static void fault(int sig)
{
	siglongjmp(faulted, sig);
}

static void map_sync(const char *name, uint32_t at, uint32_t n)
{
	struct file *f = file_of(name);
	bool was = f->known && f->there && f->size >= at + n;
	int fd = was ? opened(f, O_RDWR) : -1;
	unsigned char *p;

	if (fd < 0)
		return;
	f->known = false;
	p = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (!ok(p == MAP_FAILED ? -1 : 0))
		return;
	if (!sigsetjmp(faulted, 1)) {
		fill(p + at, n);
		bool done = false;

		for (int i = 0; i < 3 && !(done = ok(msync(p, f->size, MS_SYNC))) && errno == ENOMEM; i++)
			;
		if (done) {
			memcpy(f->data + at, p + at, n);
			f->known = true;
		}
	} else {
		errors[EFAULT]++;
	}
	munmap(p, f->size);
}

static bool dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	bool good = ok(fd) && synced(fd, 0);

	if (fd >= 0)
		close(fd);
	return good;
}

static void move(const char *dir, const char *from, const char *to)
{
	struct file *f = file_of(from), *t = file_of(to);
	bool was = f->known && f->there;

	int moved = rename(from, to);

	if (!ok(moved) && !changed(moved))
		return;
	f->known = t->known = false;
	if (!moved && was && dir_sync(dir)) {
		f->there = false;
		t->there = true;
		t->size = f->size;
		memcpy(t->data, f->data, f->size);
		f->known = t->known = true;
	}
}

static void removed(const char *dir, const char *name)
{
	struct file *f = file_of(name);

	int gone = unlink(name);

	if (!ok(gone) && !changed(gone))
		return;
	f->known = false;
	if (!gone && dir_sync(dir)) {
		f->there = false;
		f->known = true;
	}
}

static void cut(const char *name, uint32_t size)
{
	struct file *f = file_of(name);
	bool was = f->known && f->there;
	int fd = opened(f, O_RDWR);

	if (fd < 0) /* nothing changed */
		return;
	f->known = false;
	if (ok(ftruncate(fd, size)) && synced(fd, 0) && was) {
		if (size > f->size)
			memset(f->data + f->size, 0, size - f->size);
		f->size = size;
		f->known = true;
	}
	close(fd);
}

static void punch(const char *name, uint32_t at, uint32_t n)
{
	struct file *f = file_of(name);
	bool was = f->known && f->there && at + n <= f->size;
	int fd = opened(f, O_RDWR);

	if (fd < 0) /* nothing changed */
		return;
	f->known = false;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* what is zeroed in part is read first */
	if (ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n)) && synced(fd, 0) && was) {
		memset(f->data + at, 0, n);
		f->known = true;
	}
	ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 100000));
	close(fd);
}

static void look(const char *dir)
{
	DIR *d = opendir(dir);
	static char buffer[70000];
	char path[400];
	struct dirent *e;
	struct stat st;

	if (!ok(d ? 0 : -1))
		return;
	while ((e = readdir(d))) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] == '.' || !ok(lstat(path, &st)))
			continue;
		ok(llistxattr(path, buffer, sizeof(buffer)));
		if (S_ISLNK(st.st_mode))
			ok(readlink(path, buffer, sizeof(buffer)));
		fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY) : -1;
		if (fd >= 0) {
			while (ok(st.st_size = read(fd, buffer, sizeof(buffer))) && st.st_size > 0)
				;
			ok(lseek(fd, 0, SEEK_HOLE));
			close(fd);
		}
	}
	closedir(d);
}

/* In a folder of its own. */
static void work(const char *dir)
{
	char a[64], b[64], c[64], other[64];
	static char value[5000];
	int fd;

	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(b, sizeof(b), "%s/b", dir);
	snprintf(c, sizeof(c), "%s/c", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	ok(mkdir(dir, 0755));
	write_sync(a, 0, 100000, 0);
	write_sync(b, 0, 50, 1);
	write_sync(a, 30000, 70000, 1);
	write_sync(a, 135168, 8192, 2);
	move(dir, b, c);
	map_sync(a, 5000, 20000);
	punch(a, 8192, 16384);
	punch(a, 41000, 21000);
	ok(chmod(a, 0640));
	ok(setxattr(dir, "user.big", value, sizeof(value), 0));
	ok(setxattr(dir, "user.small", "v", 1, 0));
	ok(symlink("nowhere", other));
	ok(link(a, b));
	ok(unlink(b));
	cut(a, 70000);
	write_sync(b, 0, 20000, 0);
	removed(dir, c);
	fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	if (ok(fd)) {
		ok(pwrite(fd, value, sizeof(value), 4096));
		close(fd);
	}
	ok(rename(other, c));
	ok(unlink(c));
	look(dir);
}

/* Of the volume itself. */
static void work_volume(void)
{
	struct fstrim_range trim = {0, UINT64_MAX, 0};
	int fd = open(MNT, O_RDONLY | O_DIRECTORY);
	struct statfs st;

	if (!ok(fd))
		return;
	ok(statfs(MNT, &st));
	ok(ioctl(fd, FITRIM, &trim));
	if (ok(ioctl(fd, FIFREEZE, 0)))
		while (ioctl(fd, FITHAW, 0) && errno != EINVAL)
			ok(-1);
	ok(syncfs(fd));
	close(fd);
	if (ok(mount(NULL, MNT, NULL, MS_REMOUNT | MS_RDONLY, NULL)))
		ok(mount(NULL, MNT, NULL, MS_REMOUNT, NULL));
}

/* ---- passes ---- */

static int image = -1, loop = -1;
static unsigned char *template_data;
static off_t template_size;
static char *before; /* what the volume showed; NULL: it may show something else after the next mount */

static void shown_before(void)
{
	struct statvfs st;

	if (!statvfs(MNT, &st) && !(st.f_flag & ST_RDONLY))
		before = shown(MNT);
}

static void shown_check(void)
{
	char *after = before ? shown(MNT) : NULL, was[400], is[400];

	if (after && shown_differ(before, after, was, is, sizeof(was)))
		bad("the next mount shows\n  %s\nfor\n  %s", is, was);
	free(after);
	free(before);
	before = NULL;
}

static void image_copy(void)
{
	static const unsigned char zeros[4096];

	if (ftruncate(image, 0) || ftruncate(image, template_size))
		fatal("image");
	for (off_t at = 0; at < template_size; at += 4096)
		if (memcmp(template_data + at, zeros, 4096) && pwrite(image, template_data + at, 4096, at) != 4096)
			fatal("image");
}

static void attach(void)
{
	struct loop_config c = {.fd = image};

	while (ioctl(loop, LOOP_CONFIGURE, &c))
		if (errno != EBUSY)
			fatal("loop device");
}

static void detach(void)
{
	while (ioctl(loop, LOOP_CLR_FD, 0))
		if (errno == ENXIO)
			return;
		else if (errno != EBUSY)
			fatal("giving up the loop device");
}

static void unmounted(void)
{
	for (int i = 0; umount2(MNT, 0); i++) {
		if (errno == ENOMEM || (errno == EBUSY && i < 200)) {
			usleep(errno == EBUSY ? 20000 : 0);
			continue;
		}
		bad("unmount: %s", strerror(errno));
	}
}

static void crash(void)
{
	uint32_t how = 2;
	int fd = open(MNT, O_RDONLY | O_DIRECTORY);

	if (fd >= 0 && ioctl(fd, SHUTDOWN, &how))
		bad("shutdown: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void sound(void)
{
	int status;

	if (!fork()) {
		int null = open("/tmp/fsck", O_RDWR | O_CREAT | O_TRUNC, 0644);

		dup2(null, 1);
		dup2(null, 2);
		execlp("fsck.tfs", "fsck.tfs", "-fn", "--data", IMAGE, NULL);
		_exit(99);
	}
	if (wait(&status) < 0 || status) {
		system("head -5 /tmp/fsck");
		bad("fsck.tfs ended with %d", WEXITSTATUS(status));
	}
}

static void nth(unsigned int n)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", n);
	if (!put("/proc/thread-self/fail-nth", value))
		fatal("fail-nth");
}

static unsigned int nth_left(void)
{
	char value[16] = "";
	int fd = open("/proc/thread-self/fail-nth", O_RDONLY);

	if (fd < 0 || read(fd, value, sizeof(value) - 1) < 0)
		return 0; /* the very last was the open's own */
	close(fd);
	return strtoul(value, NULL, 10);
}

static struct file *sets;
static unsigned int refused, stopped;

/* After the faults: the volume must mount, hold what was acknowledged, and be sound. */
static void recovered(int workers)
{
	if (mount(LOOP, MNT, "tfs", 0, "")) {
		bad("mount without faults: %s", strerror(errno));
		return;
	}
	for (int i = 0; i < workers; i++)
		check_all(sets + i * FILES);
	shown_check();
	look(MNT);
	unmounted();
}

static bool pass_nth(unsigned int n, bool memory)
{
	struct statfs st;
	bool mounted;
	unsigned int left;

	rng = n;
	memset(sets, 0, FILES * sizeof(*sets));
	image_copy();
	attach();
	nth(n);
	mounted = ok(mount(LOOP, MNT, "tfs", 0, ""));
	if (mounted) {
		look(MNT);
		work(MNT "/new");
		work_volume();
		if (n % 3 != 2 && memory && !nth_left())
			shown_before();
		if (n % 3 != 2)
			umount2(MNT, 0);
	}
	left = nth_left();
	nth(0);
	refused += !mounted;
	if (mounted && !statfs(MNT, &st) && st.f_type == 0x54465376) {
		check_all(sets);
		stopped += st.f_flags & ST_RDONLY ? 1 : 0;
		if (n % 3 == 2)
			crash();
		unmounted();
	}
	recovered(1);
	detach();
	sound();
	return left;
}

static void injection(bool memory)
{
	static const char *const kind[] = {"failslab", "fail_page_alloc", "fail_make_request"};
	char name[64];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s/verbose", kind[i]);
		setting(name, "0");
		snprintf(name, sizeof(name), "%s/times", kind[i]);
		setting(name, "-1");
	}
	setting("failslab/ignore-gfp-wait", memory ? "N" : "Y");
	setting("fail_page_alloc/ignore-gfp-wait", memory ? "N" : "Y");
	setting("fail_page_alloc/ignore-gfp-highmem", memory ? "N" : "Y");
	setting("fail_page_alloc/min-order", memory ? "0" : "9");
	if (!put("/sys/block/loop0/make-it-fail", memory ? "0" : "1"))
		fatal("make-it-fail");
}

static void errors_print(const char *what)
{
	printf("%s; errors seen:", what);
	for (int i = 0; i < 128; i++)
		if (errors[i])
			printf(" %s %lu", strerrorname_np(i), errors[i]);
	printf("\n");
	fflush(stdout);
	memset(errors, 0, 128 * sizeof(*errors));
}

static void all_nth(const char *kind, unsigned int from, unsigned int step, unsigned int last)
{
	unsigned int n, passes = 0;
	char what[100];

	injection(!strcmp(kind, "memory"));
	for (n = from; n <= last; n += step, passes++) {
		snprintf(now, sizeof(now), "%s, fault %u", kind, n);
		say("nomem: %s\n", now);
		bool over = pass_nth(n, !strcmp(kind, "memory"));

		log_check();
		if (over)
			break;
	}
	snprintf(what, sizeof(what), "%s: %u passes, the last fault at most %u; %u mounts refused, %u volumes stopped",
	         kind, passes, n, refused, stopped);
	errors_print(what);
}

/* ---- storm ---- */

/* Kernel threads that may work for the volume, and what makes them. */
static void threads_fail(const char *value)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char path[300], comm[32];

	while (d && (e = readdir(d))) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		fd = e->d_name[0] < '1' || e->d_name[0] > '9' ? -1 : open(path, O_RDONLY);
		memset(comm, 0, sizeof(comm));
		if (fd < 0 || read(fd, comm, sizeof(comm) - 1) < 0)
			comm[0] = 0;
		if (fd >= 0)
			close(fd);
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail", e->d_name);
		if (!strncmp(comm, "kworker", 7) || !strncmp(comm, "kthreadd", 8))
			put(path, value);
	}
	if (d)
		closedir(d);
}

static void storm_set(const char *probability, bool device)
{
	setting("failslab/task-filter", "Y");
	setting("fail_page_alloc/task-filter", "Y");
	setting("fail_make_request/task-filter", "Y");
	setting("failslab/probability", device ? "0" : probability);
	setting("fail_page_alloc/probability", device ? "0" : probability);
	setting("fail_make_request/probability", device ? probability : "0");
}

static void storm_worker(int i, uint32_t seed)
{
	char dir[32];

	files = sets + i * FILES;
	rng = seed + i;
	put("/proc/self/make-it-fail", "1");
	for (int r = 0; r < 3; r++) {
		snprintf(dir, sizeof(dir), MNT "/%d", i);
		work(dir);
		if (i == 0)
			sync();
	}
	_exit(0);
}

static void pass_storm(uint32_t seed)
{
	bool device = seed % 4 == 3;
	int workers = 4;

	memset(sets, 0, workers * FILES * sizeof(*sets));
	injection(!device);
	image_copy();
	attach();
	if (mount(LOOP, MNT, "tfs", 0, ""))
		fatal("mount");
	threads_fail("1");
	storm_set("1", device);
	for (int i = 0; i < workers; i++)
		if (!fork())
			storm_worker(i, seed);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	if (seed % 2)
		crash();
	else
		sync();
	if (seed % 3 == 0)
		unmounted(); /* in the storm, too */
	storm_set("0", device);
	threads_fail("0");
	if (seed % 3 && seed % 2 == 0 && !device)
		shown_before();
	if (seed % 3)
		unmounted();
	recovered(workers);
	detach();
	sound();
}

/* Beside what TEMPLATE has: symlinks whose targets lie in other nodes than their inodes, and an ACL that all inherit.
 */
static void template_extend(void)
{
	static const unsigned char acl[] = {2,    0,    0,    0,    1,    0,    7,    0,    0xff, 0xff, 0xff,
	                                    0xff, 2,    0,    6,    0,    9,    0,    0,    0,    4,    0,
	                                    5,    0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,    7,    0,    0xff,
	                                    0xff, 0xff, 0xff, 0x20, 0,    5,    0,    0xff, 0xff, 0xff, 0xff};
	static char target[3900];
	char name[32];

	snprintf(now, sizeof(now), "before the faults");
	image_copy();
	attach();
	if (mount(LOOP, MNT, "tfs", 0, ""))
		fatal("mount");
	memset(target, 'x', sizeof(target) - 1);
	for (int i = 0; i < 24; i++) {
		snprintf(name, sizeof(name), MNT "/link%d", i);
		if (symlink(target, name))
			fatal(name);
	}
	if (setxattr(MNT, "system.posix_acl_default", acl, sizeof(acl), 0))
		fatal("default ACL");
	unmounted();
	detach();
	if (pread(image, template_data, template_size, 0) != template_size)
		fatal(IMAGE);
}

int main(int argc, char **argv)
{
	struct stat st;
	int fd;

	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	fd = argc == 5 || argc == 7 ? open(argv[1], O_RDONLY) : -1;
	if (fd < 0 || kmsg < 0) {
		fprintf(
		    stderr,
		    "usage: nomem TEMPLATE nth memory|device FROM STEP LAST, or nomem TEMPLATE storm ROUNDS SEED\n");
		return 2;
	}
	template_size = lseek(fd, 0, SEEK_END);
	template_data = mmap(NULL, template_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	sets = files =
	    mmap(NULL, 4 * FILES * sizeof(*files), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	errors = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	image = open(IMAGE, O_RDWR | O_CREAT, 0600);
	loop = open(LOOP, O_RDWR);
	if (template_data == MAP_FAILED || files == MAP_FAILED || errors == MAP_FAILED || image < 0 || loop < 0 ||
	    stat(MNT, &st))
		fatal("template, image or loop device");
	signal(SIGBUS, fault);
	signal(SIGSEGV, fault);
	template_extend();
	log_check();
	if (!strcmp(argv[2], "nth")) {
		all_nth(argv[3], strtoul(argv[4], NULL, 0), strtoul(argv[5], NULL, 0), strtoul(argv[6], NULL, 0));
	} else {
		uint32_t rounds = strtoul(argv[3], NULL, 0), seed = strtoul(argv[4], NULL, 0);
		char what[60];

		for (uint32_t i = 0; i < rounds; i++) {
			snprintf(now, sizeof(now), "storm %u", seed + i);
			say("nomem: %s\n", now);
			pass_storm(seed + i);
			log_check();
		}
		snprintf(what, sizeof(what), "storm: %u rounds", rounds);
		errors_print(what);
	}
	return 0;
}
