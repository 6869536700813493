// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A filesystem exerciser: random calls on a few files against a model of their bytes. It mounts the image itself, and
 * unmounts and mounts it again in between; every byte is compared when it is read, and all at each remount. Pages are
 * dropped from the kernel before most reads, so that the host answers them. Prints the seed and the last calls when
 * something differs.
 * usage: exercise TFS-FUSE IMAGE DIR SEED COUNT; TFS-FUSE "-": DIR is a directory of any filesystem, nothing is
 * mounted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES 4
#define FILE_MAX 700000u
#define CALLS_KEPT 24

struct model {
	int fd, direct; /* of the same file; direct -1: O_DIRECT is not offered */
	size_t size;
	bool unlinked;
	uint8_t data[FILE_MAX + 8192]; /* zeros past size */
};
static struct model file[FILES];
static uint8_t *buf; /* FILE_MAX + 8192, aligned for O_DIRECT */
static char **args;
static pid_t server;
static uint64_t state;
static long call_number;
static char calls[CALLS_KEPT][120];

static uint32_t rnd(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static void note(const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(calls[call_number % CALLS_KEPT], sizeof(*calls), "%ld ", call_number);

	va_start(ap, fmt);
	vsnprintf(calls[call_number++ % CALLS_KEPT] + n, sizeof(*calls) - (size_t)n, fmt, ap);
	va_end(ap);
}

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "exercise: ");
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nthe last calls (file, offset, bytes):\n");
	for (long i = call_number < CALLS_KEPT ? 0 : call_number - CALLS_KEPT; i < call_number; i++)
		fprintf(stderr, "  %s\n", calls[i % CALLS_KEPT]);
	fprintf(stderr, "repeat: exercise %s %s %s %s %s\n", args[1], args[2], args[3], args[4], args[5]);
	_exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		fail("%s: %s", what, strerror(errno));
}

/* ---- the mount ---- */

static bool mounted(void)
{
	struct stat a, b;
	char up[4200];

	snprintf(up, sizeof(up), "%s/..", args[3]);
	return !stat(args[3], &a) && !stat(up, &b) && a.st_dev != b.st_dev;
}

static void mount_up(void)
{
	static const char *const cache[] = {"1M", "2M", "64M"};
	const char *size = cache[rnd(3)];

	if (!strcmp(args[1], "-"))
		return;
	note("mount --cache %s", size);
	server = fork();
	if (!server) {
		execl(args[1], args[1], "-f", "--cache", size, args[2], args[3], NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && !mounted(); i++)
		usleep(10000);
	if (!mounted())
		fail("tfs-fuse does not mount");
}

static void mount_down(void)
{
	char line[4300];
	int status;

	if (!strcmp(args[1], "-"))
		return;
	note("unmount");
	snprintf(line, sizeof(line), "fusermount3 -u '%s'", args[3]);
	for (int i = 0; system(line); i++, usleep(100000)) /* others look at mounts too */
		must(i < 50, "fusermount3 -u");
	must(waitpid(server, &status, 0) == server, "waitpid");
	if (status)
		fail("tfs-fuse ended with status 0x%x", status);
}

/* ---- files ---- */

static const char *path_of(int i)
{
	static char path[4200];

	snprintf(path, sizeof(path), "%s/file%d", args[3], i);
	return path;
}

static void file_open(int i, int flags)
{
	struct model *f = &file[i];

	f->fd = open(path_of(i), O_RDWR | flags, 0644);
	must(f->fd >= 0, "open");
	f->direct = open(path_of(i), O_RDWR | O_DIRECT);
	f->unlinked = false;
}

static void file_close(int i)
{
	must(!close(file[i].fd), "close");
	if (file[i].direct >= 0)
		must(!close(file[i].direct), "close");
}

static void forget_pages(const struct model *f)
{
	if (rnd(4)) /* what is dirty is written first, so that nothing stays */
		must(!sync_file_range(f->fd, 0, 0, 7) && !posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED),
		     "dropping pages");
}

static void compare(int i, const uint8_t *got, size_t off, size_t len)
{
	const uint8_t *want = file[i].data + off;

	for (size_t at = 0; at < len; at++)
		if (got[at] != want[at]) {
			size_t end = at;

			while (end < len && got[end] != want[end])
				end++;
			fail("file%d at %zu (block %zu): expected %02x, found %02x; %zu bytes differ; size %zu", i,
			     off + at, (off + at) / 4096, want[at], got[at], end - at, file[i].size);
		}
}

static void compare_all(int i)
{
	struct stat s;

	must(!fstat(file[i].fd, &s), "fstat");
	if ((size_t)s.st_size != file[i].size)
		fail("file%d: expected size %zu, found %zu", i, file[i].size, (size_t)s.st_size);
	must(pread(file[i].fd, buf, FILE_MAX, 0) == (ssize_t)file[i].size, "reading the whole file");
	compare(i, buf, 0, file[i].size);
}

/* ---- calls ---- */

static size_t any_length(void)
{
	static const uint32_t most[] = {10, 300, 3100, 4096, 5000, 20000, 70000, 200000};

	return 1 + rnd(most[rnd(8)]);
}

/* Near the end, at a block or window's border, or anywhere. */
static size_t any_offset(const struct model *f, size_t len)
{
	size_t off = rnd(3) ? rnd((uint32_t)f->size + 1) : rnd(4) ? rnd((uint32_t)f->size + 10000) : rnd(FILE_MAX);

	if (!rnd(3))
		off &= ~(size_t)4095;
	else if (!rnd(6))
		off &= ~(size_t)65535;
	return off + len > FILE_MAX ? rnd((uint32_t)(FILE_MAX - len)) : off;
}

static void fill(size_t len)
{
	uint32_t kind = rnd(3), run = 0;
	uint8_t c = 1;

	for (size_t i = 0; i < len; i++) {
		if (kind == 0 || !run) {
			c = (uint8_t)(1 + rnd(255));
			run = kind == 1 ? 1 + rnd(60) : 100000;
		}
		run--;
		buf[i] = c;
	}
}

static void grown(struct model *f, size_t end)
{
	if (end > f->size)
		f->size = end;
}

static void do_write(int i)
{
	struct model *f = &file[i];
	size_t len = any_length(), off = any_offset(f, len);
	int fd = f->fd;

	if (f->direct >= 0 && !rnd(5)) {
		fd = f->direct;
		off &= ~(size_t)4095;
		len = (len + 4095) & ~(size_t)4095;
		if (off + len > FILE_MAX)
			return;
	}
	fill(len);
	note("%s file%d %zu %zu", fd == f->fd ? "write" : "write O_DIRECT", i, off, len);
	must(pwrite(fd, buf, len, (off_t)off) == (ssize_t)len, "write");
	memcpy(f->data + off, buf, len);
	grown(f, off + len);
}

static void do_append(int i)
{
	struct model *f = &file[i];
	size_t len = 1 + rnd(6000);
	int fd = f->unlinked ? -1 : open(path_of(i), O_WRONLY | O_APPEND | (rnd(4) ? 0 : O_SYNC));

	if (fd < 0 || f->size + len > FILE_MAX) {
		if (fd >= 0)
			close(fd);
		return;
	}
	fill(len);
	note("append file%d %zu %zu", i, f->size, len);
	must(write(fd, buf, len) == (ssize_t)len && !close(fd), "append");
	memcpy(f->data + f->size, buf, len);
	f->size += len;
}

static void do_read(int i)
{
	struct model *f = &file[i];
	size_t len = any_length(), off = any_offset(f, len), want;
	bool direct = f->direct >= 0 && !rnd(5);

	forget_pages(f);
	if (direct) {
		off &= ~(size_t)4095;
		len = (len + 4095) & ~(size_t)4095;
	}
	want = off >= f->size ? 0 : f->size - off < len ? f->size - off : len;
	note("%s file%d %zu %zu", direct ? "read O_DIRECT" : "read", i, off, len);
	must(pread(direct ? f->direct : f->fd, buf, len, (off_t)off) == (ssize_t)want,
	     "read: another count than expected");
	compare(i, buf, off, want);
}

static void do_map(int i)
{
	struct model *f = &file[i];
	size_t len = any_length(), off = any_offset(f, len), page = off & ~(size_t)4095;
	bool writes = rnd(2);
	uint8_t *m;

	if (off >= f->size)
		return;
	if (len > f->size - off)
		len = f->size - off;
	if (!writes)
		forget_pages(f);
	note("%s file%d %zu %zu", writes ? "mmap write" : "mmap read", i, off, len);
	m = mmap(NULL, off - page + len, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, (off_t)page);
	must(m != MAP_FAILED, "mmap");
	if (writes) {
		fill(len);
		memcpy(m + (off - page), buf, len);
		memcpy(f->data + off, buf, len);
		if (rnd(2))
			must(!msync(m, off - page + len, MS_SYNC), "msync");
	} else {
		compare(i, m + (off - page), off, len);
	}
	must(!munmap(m, off - page + len), "munmap");
}

static void do_truncate(int i)
{
	struct model *f = &file[i];
	size_t size = rnd(4) ? any_offset(f, 0) : rnd(4000);

	note("truncate file%d %zu", i, size);
	must(!ftruncate(f->fd, (off_t)size), "ftruncate");
	if (size < f->size)
		memset(f->data + size, 0, f->size - size);
	f->size = size;
}

/* Where a filesystem offers it: what lies behind the range moves. */
static void shift_range(struct model *f, int mode, size_t off, size_t len)
{
	bool inserts = mode & FALLOC_FL_INSERT_RANGE;

	if (inserts ? off >= f->size || f->size + len > FILE_MAX : off + len >= f->size)
		return;
	if (fallocate(f->fd, mode, (off_t)off, (off_t)len)) {
		must(errno == EOPNOTSUPP || errno == EINVAL, "shifting a range");
		return;
	}
	if (inserts) {
		memmove(f->data + off + len, f->data + off, f->size - off);
		memset(f->data + off, 0, len);
		f->size += len;
		return;
	}
	memmove(f->data + off, f->data + off + len, f->size - off - len);
	memset(f->data + f->size - len, 0, len);
	f->size -= len;
}

static void do_fallocate(int i)
{
	static const int modes[] = {0,
	                            FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_ZERO_RANGE,
	                            FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_COLLAPSE_RANGE,
	                            FALLOC_FL_INSERT_RANGE};
	struct model *f = &file[i];
	size_t len = any_length(), off = any_offset(f, len);
	int mode = modes[rnd(8)];

	note("fallocate file%d %zu %zu mode 0x%x", i, off, len, (unsigned)mode);
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
		shift_range(f, mode, off & ~(size_t)4095, (len + 4095) & ~(size_t)4095);
		return;
	}
	if (fallocate(f->fd, mode, (off_t)off, (off_t)len)) {
		must(errno == EOPNOTSUPP, "fallocate");
		return;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && off < f->size)
		memset(f->data + off, 0, len < f->size - off ? len : f->size - off);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grown(f, off + len);
}

/* ---- from one file to another, or within one ---- */

struct span {
	struct model *from, *to;
	size_t at, to_at, len;
};

/* Within one file the two do not overlap. */
static bool span_any(int i, struct span *s, size_t unit)
{
	s->from = &file[i];
	s->to = &file[rnd(FILES)];
	s->len = any_length();
	s->at = any_offset(s->from, s->len) & ~(unit - 1);
	s->to_at = any_offset(s->to, s->len) & ~(unit - 1);
	if (s->at >= s->from->size)
		return false;
	if (s->len > s->from->size - s->at)
		s->len = s->from->size - s->at;
	if (s->at + s->len < s->from->size)
		s->len &= ~(unit - 1);
	if (s->from == s->to && s->at < s->to_at + s->len && s->to_at < s->at + s->len)
		return false;
	return s->len && s->to_at + s->len <= FILE_MAX;
}

static void span_moved(const struct span *s, size_t len)
{
	memmove(s->to->data + s->to_at, s->from->data + s->at, len);
	grown(s->to, s->to_at + len);
}

static void do_copy(int i)
{
	struct span s;
	loff_t at, to;
	ssize_t n;

	if (!span_any(i, &s, rnd(2) ? 4096 : 1)) /* whole blocks may be shared */
		return;
	at = (loff_t)s.at;
	to = (loff_t)s.to_at;
	note("copy file%d %zu %zu to file%d %zu", i, s.at, s.len, (int)(s.to - file), s.to_at);
	n = copy_file_range(s.from->fd, &at, s.to->fd, &to, s.len, 0);
	must(n > 0 && (size_t)n <= s.len, "copy_file_range");
	span_moved(&s, (size_t)n);
}

/* Shared blocks where they are offered; else told, and nothing changed. */
static void do_clone(int i)
{
	struct file_clone_range r = {0};
	struct span s;

	if (!span_any(i, &s, 4096))
		return;
	if (s.to_at + s.len < s.to->size && s.len & 4095) /* a part of a block goes at the end only */
		return;
	r.src_fd = s.from->fd;
	r.src_offset = s.at;
	r.src_length = s.len;
	r.dest_offset = s.to_at;
	note("clone file%d %zu %zu to file%d %zu", i, s.at, s.len, (int)(s.to - file), s.to_at);
	if (ioctl(s.to->fd, FICLONERANGE, &r))
		must(errno == EOPNOTSUPP || errno == ENOTTY, "FICLONERANGE");
	else
		span_moved(&s, s.len);
}

static void do_dedupe(int i)
{
	union {
		struct file_dedupe_range r;
		char bytes[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)];
	} d;
	struct file_dedupe_range_info *to = d.r.info;
	struct span s;

	if (!span_any(i, &s, 4096) || s.to_at + s.len > s.to->size)
		return;
	memset(&d, 0, sizeof(d));
	d.r.src_offset = s.at;
	d.r.src_length = s.len;
	d.r.dest_count = 1;
	to->dest_fd = s.to->fd;
	to->dest_offset = s.to_at;
	note("dedupe file%d %zu %zu to file%d %zu", i, s.at, s.len, (int)(s.to - file), s.to_at);
	if (ioctl(s.from->fd, FIDEDUPERANGE, &d)) {
		must(errno == EOPNOTSUPP || errno == ENOTTY, "FIDEDUPERANGE");
		return;
	}
	if (to->status == FILE_DEDUPE_RANGE_SAME &&
	    memcmp(s.from->data + s.at, s.to->data + s.to_at, to->bytes_deduped))
		fail("FIDEDUPERANGE takes different bytes for the same");
}

/* Two pieces, apart in memory, in one call. */
static void do_vector(int i)
{
	struct model *f = &file[i];
	size_t len = any_length(), off = any_offset(f, len), cut = rnd((uint32_t)len + 1), want;
	struct iovec v[2] = {{buf, cut}, {buf + cut, len - cut}};
	bool writes = rnd(2);

	note("%s file%d %zu %zu, cut at %zu", writes ? "pwritev" : "preadv", i, off, len, cut);
	if (writes) {
		fill(len);
		must(pwritev(f->fd, v, 2, (off_t)off) == (ssize_t)len, "pwritev");
		memcpy(f->data + off, buf, len);
		grown(f, off + len);
		return;
	}
	want = off >= f->size ? 0 : f->size - off < len ? f->size - off : len;
	must(preadv(f->fd, v, 2, (off_t)off) == (ssize_t)want, "preadv: another count than expected");
	compare(i, buf, off, want);
}

/* What is a hole must read as zeros. */
static void do_seek(int i)
{
	struct model *f = &file[i];
	off_t data, hole = 0;

	note("seek file%d", i);
	must(!fsync(f->fd), "fsync"); /* the kernel does not ask for mapped pages that are dirty */
	while ((size_t)hole < f->size) {
		data = lseek(f->fd, hole, SEEK_DATA);
		must(data >= hole || errno == ENXIO, "SEEK_DATA");
		for (size_t at = (size_t)hole; at < (data < 0 ? f->size : (size_t)data); at++)
			if (f->data[at])
				fail("file%d: SEEK_DATA says hole at %zu, expected data", i, at);
		if (data < 0)
			return;
		hole = lseek(f->fd, data, SEEK_HOLE);
		must(hole > data, "SEEK_HOLE");
	}
}

static void do_sync(int i)
{
	note("fsync file%d", i);
	must(!(rnd(2) ? fsync(file[i].fd) : fdatasync(file[i].fd)), "fsync");
}

static void do_reopen(int i)
{
	bool empties = !rnd(5);

	if (file[i].unlinked)
		empties = true;
	note("%s file%d", empties ? "reopen O_TRUNC" : "reopen", i);
	file_close(i);
	file_open(i, O_CREAT | (empties ? O_TRUNC : 0));
	if (empties) {
		memset(file[i].data, 0, file[i].size);
		file[i].size = 0;
	}
}

/* Over another file, whose content goes on without a name. */
static void do_rename(int i)
{
	int to = (int)rnd(FILES);
	char from[4200];
	struct model *f = &file[i], *t = &file[to];

	if (to == i || f->unlinked)
		return;
	note("rename file%d file%d", i, to);
	strcpy(from, path_of(i));
	must(!rename(from, path_of(to)), "rename");
	if (rnd(2)) /* as rotation does: the name that went away is made again, empty */
		compare_all(to);
	file_close(to);
	memcpy(t->data, f->data, sizeof(f->data));
	t->size = f->size;
	t->fd = f->fd;
	t->direct = f->direct;
	t->unlinked = false;
	file_open(i, O_CREAT | O_EXCL);
	memset(f->data, 0, f->size);
	f->size = 0;
}

static void do_unlink(int i)
{
	if (file[i].unlinked || rnd(4))
		return;
	note("unlink file%d", i);
	must(!unlink(path_of(i)), "unlink");
	file[i].unlinked = true;
}

static void do_stat(int i)
{
	struct stat s;

	note("stat file%d", i);
	must(!fstat(file[i].fd, &s), "fstat");
	if ((size_t)s.st_size != file[i].size || s.st_nlink != !file[i].unlinked)
		fail("file%d: expected size %zu and %d links, found %zu and %lu", i, file[i].size, !file[i].unlinked,
		     (size_t)s.st_size, (unsigned long)s.st_nlink);
}

static union {
	struct file_handle h;
	char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} handle;

/* A file's handle opens it after a remount, before anybody has looked up its name. */
static void handle_check(void)
{
	int dir = open(args[3], O_RDONLY | O_DIRECTORY), fd = open_by_handle_at(dir, &handle.h, O_RDONLY);
	struct stat s;

	must(fd >= 0 || errno == EPERM || errno == EOPNOTSUPP, "open_by_handle_at");
	if (fd >= 0) {
		must(!fstat(fd, &s) && (size_t)s.st_size == file[0].size, "the file of a handle");
		close(fd);
	}
	close(dir);
}

static void remount(void)
{
	int mount_id;

	for (int i = 0; i < FILES; i++) {
		if (file[i].unlinked)
			do_reopen(i);
		compare_all(i);
		file_close(i);
	}
	handle.h.handle_bytes = MAX_HANDLE_SZ;
	must(!name_to_handle_at(AT_FDCWD, path_of(0), &handle.h, &mount_id, 0) || errno == EOPNOTSUPP,
	     "name_to_handle_at");
	mount_down();
	mount_up();
	handle_check();
	for (int i = 0; i < FILES; i++) {
		file_open(i, 0);
		compare_all(i);
	}
}

static void (*const call[])(int) = {do_write, do_write, do_write,  do_append,   do_read,      do_read,
                                    do_read,  do_map,   do_map,    do_truncate, do_fallocate, do_fallocate,
                                    do_seek,  do_sync,  do_reopen, do_rename,   do_unlink,    do_stat,
                                    do_copy,  do_copy,  do_clone,  do_dedupe,   do_vector};

int main(int argc, char **argv)
{
	long count = argc == 6 ? atol(argv[5]) : 0;

	if (argc != 6 || count <= 0)
		return fputs("usage: exercise TFS-FUSE|- IMAGE DIR SEED COUNT\n", stderr), 2;
	args = argv;
	state = strtoull(argv[4], NULL, 0);
	buf = aligned_alloc(4096, (FILE_MAX + 3 * 4096) & ~4095u);
	must(buf != NULL, "memory");
	mount_up();
	for (int i = 0; i < FILES; i++)
		file_open(i, O_CREAT | O_EXCL);
	for (long n = 0; n < count; n++) {
		if (rnd(400))
			call[rnd(sizeof(call) / sizeof(*call))]((int)rnd(FILES));
		else
			remount();
	}
	remount();
	for (int i = 0; i < FILES; i++) {
		file_close(i);
		unlink(path_of(i));
	}
	mount_down();
	return 0;
}
