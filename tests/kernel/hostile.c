// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Mounts packed images (tests/kernel/pack.h) read-write, one after the other, and does to each what a host may: every
 * system call that ends in the module, on what the image says it holds, errors being fine. What is not fine the
 * kernel's log has, or the watch: an image that takes longer than its time. `hostile PACK WORKERS`: each worker has a
 * loop device and a folder in /tmp of its own. Runs in the guest as root, called by tests/kernel/hostile.sh.
 */
#define _GNU_SOURCE
#include "tests/kernel/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define WORKERS 8
#define PATHS 160
#define OPERATIONS 48
#define SECONDS_MAX 250 /* for an image; most take less than one */

struct counts { /* of a worker, in shared memory */
	unsigned int tried, mounted, read_only, refused, again, errors;
};
static struct counts *counts;

static int kmsg;
static char name_now[128];

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

static void broken(const char *what)
{
	say("hostile: FAILED: %s: %s: %s\n", name_now, what, strerror(errno));
	printf("FAILED: %s: %s: %s\n", name_now, what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void late(int sig)
{
	(void)sig;
	errno = ETIMEDOUT;
	broken("no end");
}

static uint32_t rng;
static uint32_t rnd(void)
{
	rng = rng * 1664525u + 1013904223u;
	return rng >> 8;
}

/* ---- building an image ---- */

static unsigned char *base[65536];
static unsigned int base_pages;
static uint16_t base_page[PACK_PAGES];

static void page_read(int pack, void *to, off_t at)
{
	if (pread(pack, to, PACK_PAGE, at) != PACK_PAGE)
		broken("reading the pack");
}

static void base_load(int pack, const struct pack_head *h, off_t at)
{
	for (unsigned int i = 0; i < base_pages; i++) {
		free(base[base_page[i]]);
		base[base_page[i]] = NULL;
	}
	base_pages = h->pages;
	memcpy(base_page, h->page, sizeof(base_page));
	for (unsigned int i = 0; i < h->pages; i++) {
		base[h->page[i]] = malloc(PACK_PAGE);
		page_read(pack, base[h->page[i]], at + i * (off_t)PACK_PAGE);
	}
}

static void image_build(int fd, int pack, const struct pack_head *h, off_t at)
{
	static unsigned char page[PACK_PAGE];

	if (ftruncate(fd, 0) || ftruncate(fd, h->size))
		broken("truncating the image");
	for (unsigned int i = 0; i < base_pages; i++)
		if (pwrite(fd, base[base_page[i]], PACK_PAGE, base_page[i] * (off_t)PACK_PAGE) != PACK_PAGE)
			broken("writing the image");
	for (unsigned int i = 0; i < h->pages; i++) {
		page_read(pack, page, at + i * (off_t)PACK_PAGE);
		if (pwrite(fd, page, PACK_PAGE, h->page[i] * (off_t)PACK_PAGE) != PACK_PAGE)
			broken("writing the image");
	}
}

/* ---- looking ---- */

static char *path[PATHS];
static int paths;
static char root[32];
static char buffer[1 << 18];

static void path_add(const char *dir, const char *entry)
{
	if (paths < PATHS && strlen(dir) + strlen(entry) < 3500 && asprintf(&path[paths], "%s/%s", dir, entry) > 0)
		paths++;
}

static void paths_free(void)
{
	while (paths)
		free(path[--paths]);
}

/* Every directory found is read in turn, a cycle too, until there are enough. */
static void walk(void)
{
	struct dirent *e;
	int n;

	paths_free();
	path_add(root, ".");
	for (int i = 0; i < paths; i++) {
		int fd = open(path[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		DIR *d = fd < 0 ? NULL : fdopendir(fd);

		if (fd >= 0 && !d)
			close(fd);
		for (n = 0; d && n < 400 && (e = readdir(d)); n++)
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
				path_add(path[i], e->d_name);
		if (d && n) {
			rewinddir(d);
			seekdir(d, (long)rnd() << 20);
			readdir(d);
		}
		if (d)
			closedir(d);
	}
}

static sigjmp_buf faulted;
static void fault(int sig)
{
	siglongjmp(faulted, sig);
}

static void map_use(int fd, bool change)
{
	off_t at = (off_t)(rnd() % 20) * 4096;
	size_t n = 4096u * (1 + rnd() % 17);
	volatile char sum = 0;
	volatile char *p =
	    mmap(NULL, n, PROT_READ | (change ? PROT_WRITE : 0), rnd() % 4 ? MAP_SHARED : MAP_PRIVATE, fd, at);

	if (p == MAP_FAILED)
		return;
	if (!sigsetjmp(faulted, 1))
		for (size_t i = 0; i < n; i += 4096) {
			sum += p[i];
			if (change)
				p[i + rnd() % 4096] = sum;
		}
	if (change)
		msync((void *)p, n, rnd() % 2 ? MS_SYNC : MS_ASYNC);
	munmap((void *)p, n);
}

static void xattrs_look(const char *p)
{
	static char names[65536];
	ssize_t n = llistxattr(p, names, sizeof(names));

	for (ssize_t at = 0, i = 0; at < n && i < 20; at += strlen(names + at) + 1, i++)
		lgetxattr(p, names + at, buffer, rnd() % 4 ? 65536 : 3);
}

static void file_look(int fd, off_t size)
{
	static char map[sizeof(struct fiemap) + 32 * sizeof(struct fiemap_extent)];
	struct fiemap *f = (struct fiemap *)map;
	off_t at = 0;

	if (pread(fd, buffer, sizeof(buffer), 0) < 0 || pread(fd, buffer, 70000, size > 65536 ? size - 65536 : 0) < 0)
		counts->errors++;
	for (int i = 0; i < 12 && at >= 0; i++)
		at = lseek(fd, at, i & 1 ? SEEK_HOLE : SEEK_DATA);
	memset(map, 0, sizeof(map));
	f->fm_length = FIEMAP_MAX_OFFSET;
	f->fm_flags = rnd() % 2 ? FIEMAP_FLAG_SYNC : 0;
	f->fm_extent_count = 32;
	ioctl(fd, FS_IOC_FIEMAP, f);
	map_use(fd, false);
}

static void handle_look(const char *p)
{
	union {
		struct file_handle h;
		unsigned char all[sizeof(struct file_handle) + 128];
	} h = {.h.handle_bytes = 128};
	int mount_id, dir, fd;

	if (name_to_handle_at(AT_FDCWD, p, &h.h, &mount_id, 0))
		return;
	if (rnd() % 4 == 0)
		h.all[sizeof(h.h) + rnd() % 12] ^= 1 << rnd() % 8;
	dir = open(root, O_RDONLY | O_DIRECTORY);
	fd = open_by_handle_at(dir, &h.h, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
}

static void look(void)
{
	struct stat st;

	walk();
	for (int i = 0; i < paths; i++) {
		int fd;

		if (lstat(path[i], &st))
			continue;
		xattrs_look(path[i]);
		if (i % 4 == 0)
			handle_look(path[i]);
		if (S_ISLNK(st.st_mode) && readlink(path[i], buffer, 4096) < 0)
			counts->errors++;
		fd = S_ISREG(st.st_mode) ? open(path[i], O_RDONLY | O_NOFOLLOW) : -1;
		if (fd < 0)
			continue;
		file_look(fd, st.st_size);
		close(fd);
	}
}

/* ---- changing ---- */

static const char *some(void)
{
	return path[rnd() % paths];
}

/* A name that is new, or one that is there, in some directory. */
static const char *target(int which)
{
	static char name[2][4000];
	const char *p = some();
	char *slash;

	if (rnd() % 3 == 0)
		return p;
	snprintf(name[which], sizeof(name[which]), "%s", p);
	slash = strrchr(name[which], '/');
	if (rnd() % 2 || !slash)
		slash = name[which] + strlen(name[which]);
	snprintf(slash, sizeof(name[which]) - (slash - name[which]), "/new%u", rnd() % 7);
	return name[which];
}

static off_t some_size(void)
{
	static const off_t size[] = {0,    1,     100,   3072,    3073,      4096,
	                             5000, 65536, 70000, 1 << 20, 1ll << 40, 0x7fffffffffffffffll};

	return size[rnd() % 12];
}

static off_t some_place(void)
{
	return rnd() % 8 ? (off_t)(rnd() % 50) * 4096 + (rnd() % 2 ? rnd() % 4096 : 0) : some_size();
}

static void file_change(int fd)
{
	static const int modes[] = {0,
	                            FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_ZERO_RANGE,
	                            FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_COLLAPSE_RANGE};
	struct timespec t[2] = {{rnd(), rnd()}, {rnd(), rnd()}};
	off_t at = some_place();
	int other, flags = 0;

	switch (rnd() % 13) {
	case 0:
		ftruncate(fd, some_size());
		break;
	case 1:
		fallocate(fd, modes[rnd() % 6], some_place(), rnd() % 8 ? 1 + rnd() % 300000 : some_size());
		break;
	case 2:
		map_use(fd, true);
		break;
	case 3:
		fsync(fd);
		break;
	case 4:
		fdatasync(fd);
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		break;
	case 5:
		other = open(some(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
		if (other >= 0) {
			loff_t from = some_place();

			copy_file_range(fd, &from, other, &at, rnd() % 200000, 0);
			sendfile(other, fd, &from, rnd() % 200000);
			ioctl(other, FICLONE, fd);
			close(other);
		}
		break;
	case 6:
		ioctl(fd, FS_IOC_GETFLAGS, &flags);
		flags ^= 1 << rnd() % 20;
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
		break;
	case 7:
		futimens(fd, t);
		fchmod(fd, rnd() & 07777);
		fchown(fd, rnd(), rnd());
		break;
	case 8:
		posix_fadvise(fd, 0, 0, rnd() % 2 ? POSIX_FADV_DONTNEED : POSIX_FADV_WILLNEED);
		break;
	default:
		memset(buffer, rnd(), 4096);
		pwrite(fd, buffer, 1 + rnd() % (rnd() % 3 ? 9000 : sizeof(buffer)), at);
	}
}

static void name_change(void)
{
	static const unsigned int how[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT};
	const char *to = target(0);
	int fd;

	switch (rnd() % 11) {
	case 0:
		fd = open(to, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK | (rnd() % 2 ? O_TRUNC : 0), 0644);
		if (fd >= 0) {
			pwrite(fd, buffer, rnd() % 6000, 0);
			close(fd);
		}
		break;
	case 1:
		mkdir(to, 0755);
		break;
	case 2:
		symlink(some(), to);
		break;
	case 3:
		mknod(to, rnd() % 2 ? S_IFIFO | 0600 : S_IFCHR | 0600, 0x103);
		break;
	case 4:
		link(some(), to);
		break;
	case 5:
		unlink(some());
		break;
	case 6:
		rmdir(some());
		break;
	case 7:
		fd = open(some(), O_TMPFILE | O_RDWR, 0600);
		if (fd >= 0) {
			pwrite(fd, buffer, rnd() % 70000, 0);
			if (rnd() % 2) {
				snprintf(buffer, 64, "/proc/self/fd/%d", fd);
				linkat(AT_FDCWD, buffer, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
			}
			close(fd);
		}
		break;
	default:
		renameat2(AT_FDCWD, some(), AT_FDCWD, to, how[rnd() % 5]);
	}
}

static void xattr_change(void)
{
	static const char *const name[] = {
	    "user.a", "user.big", "user.new", "trusted.x", "security.x", "user.small", "system.posix_acl_access"};
	const char *n = name[rnd() % 7];

	memset(buffer, 'x', 66000);
	if (rnd() % 3)
		lsetxattr(some(), n, buffer, rnd() % 2 ? rnd() % 30 : rnd() % 66000, rnd() % 4 ? 0 : XATTR_CREATE);
	else
		lremovexattr(some(), n);
}

static void volume_change(const char *options)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY);
	struct fstrim_range trim = {0, UINT64_MAX, 0};
	struct statfs st;

	if (fd < 0)
		return;
	switch (rnd() % 7) {
	case 0:
	case 1:
		syncfs(fd);
		break;
	case 2:
		if (!ioctl(fd, FIFREEZE, 0) && ioctl(fd, FITHAW, 0))
			broken("thaw");
		break;
	case 3:
		ioctl(fd, FITRIM, &trim);
		break;
	case 4:
		close(fd);
		fd = -1;
		if (!mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY | MS_NODEV, options)) {
			walk();
			mount(NULL, root, NULL, MS_REMOUNT | MS_NODEV, options);
		}
		break;
	default:
		fstatfs(fd, &st);
		fsync(fd);
	}
	if (fd >= 0)
		close(fd);
}

static void change(const char *options)
{
	for (int i = 0; i < OPERATIONS; i++) {
		uint32_t what = rnd() % 16;
		int fd;

		if (!paths)
			path_add(root, ".");
		if (what < 6) {
			name_change();
		} else if (what < 8) {
			xattr_change();
		} else if (what == 8) {
			volume_change(options);
		} else {
			fd = open(some(), (rnd() % 8 ? O_RDWR : O_WRONLY | O_APPEND) | O_NOFOLLOW | O_NONBLOCK |
			                      (rnd() % 6 ? 0 : O_DIRECT));
			if (fd >= 0) {
				file_change(fd);
				close(fd);
			}
		}
		if (i == OPERATIONS / 2)
			walk();
	}
}

static void empty(void)
{
	walk();
	for (int i = paths; i-- > 1;)
		if (unlink(path[i]) && rmdir(path[i]))
			counts->errors++;
}

/* ---- an image ---- */

static void unmounted(void)
{
	for (int i = 0; umount2(root, 0); i++) {
		if (errno != EBUSY || i == 100)
			broken("unmount");
		usleep(50000);
	}
}

static void image_use(const char *device, uint32_t seed)
{
	static const char *const options[] = {"errors=continue", "errors=continue", "errors=remount-ro",
	                                      "errors=continue,discard"};
	const char *o = options[seed % 4];
	bool writable = !mount(device, root, "tfs", MS_NODEV | MS_NOSUID | (seed % 3 ? MS_NOATIME : MS_STRICTATIME), o);
	struct statvfs st;

	rng = seed;
	if (!writable && mount(device, root, "tfs", MS_NODEV | MS_RDONLY, o)) {
		counts->refused++;
		return;
	}
	if (writable && !statvfs(root, &st) && st.f_flag & ST_RDONLY)
		writable = false; /* its log is damaged */
	counts->mounted += writable;
	counts->read_only += !writable;
	look();
	if (writable || seed % 2)
		change(o);
	if (seed % 5 == 0)
		empty();
	unmounted();
	if (mount(device, root, "tfs", MS_NODEV | (seed % 2 ? MS_RDONLY : 0), o))
		return;
	counts->again++;
	look();
	unmounted();
}

static void image(int fd, int loop, const char *device, int pack, const struct pack_head *h, off_t at)
{
	struct loop_config c = {.fd = fd};

	counts->tried++;
	say("hostile: %s\n", name_now);
	image_build(fd, pack, h, at);
	if (ioctl(loop, LOOP_CONFIGURE, &c))
		broken("loop device");
	alarm(SECONDS_MAX);
	image_use(device, h->seed);
	alarm(0);
	while (ioctl(loop, LOOP_CLR_FD, 0))
		if (errno != EBUSY)
			broken("giving up the loop device");
}

static void work(const char *pack_path, int me, int workers)
{
	int pack = open(pack_path, O_RDONLY | O_CLOEXEC), fd, loop, n = 0;
	char device[32], file[32];
	struct pack_head h;
	off_t at = 0;

	snprintf(device, sizeof(device), "/dev/loop%d", me);
	snprintf(file, sizeof(file), "/tmp/hostile%d", me);
	snprintf(root, sizeof(root), "/tmp/mnt%d", me);
	mkdir(root, 0755);
	fd = open(file, O_RDWR | O_CREAT, 0600);
	loop = open(device, O_RDWR);
	if (pack < 0 || fd < 0 || loop < 0)
		broken("pack, image or loop device");
	signal(SIGALRM, late);
	signal(SIGBUS, fault);
	signal(SIGSEGV, fault);
	for (; pread(pack, &h, sizeof(h), at) == sizeof(h) && h.magic == PACK_MAGIC;
	     at += (h.pages + 1) * (off_t)PACK_PAGE) {
		if (h.base) {
			base_load(pack, &h, at + PACK_PAGE);
			continue;
		}
		snprintf(name_now, sizeof(name_now), "%.103s", h.name);
		if (n++ % workers == me)
			image(fd, loop, device, pack, &h, at + PACK_PAGE);
	}
	paths_free();
	_exit(0);
}

int main(int argc, char **argv)
{
	int workers = argc == 3 ? atoi(argv[2]) : 0, bad = 0, status;
	struct counts sum = {0};

	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (workers < 1 || workers > WORKERS || kmsg < 0) {
		fprintf(stderr, "usage: hostile PACK WORKERS (1 to %d), as root\n", WORKERS);
		return 2;
	}
	counts = mmap(NULL, WORKERS * sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < workers; i++)
		if (!fork()) {
			counts += i;
			work(argv[1], i, workers);
		}
	while (wait(&status) > 0)
		bad |= status;
	for (int i = 0; i < workers; i++) {
		sum.tried += counts[i].tried;
		sum.mounted += counts[i].mounted;
		sum.read_only += counts[i].read_only;
		sum.refused += counts[i].refused;
		sum.again += counts[i].again;
	}
	printf("%u images: %u mounted read-write, %u read-only, %u refused; %u mounted again after use\n", sum.tried,
	       sum.mounted, sum.read_only, sum.refused, sum.again);
	return bad != 0 || !sum.mounted;
}
