// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Writers of log files, for ship.sh and torture.sh: each thread appends numbered lines to a file, some in two writes,
 * syncs now and then and says after it in /dev/ack how many are durable. Rotation: after some hundreds a writer renames
 * its file, truncates it, or punches all that it holds; or, with WAYS, a thread does it to all files whenever it likes,
 * as logrotate does, and a writer finds out later. What a crash left of a last line is ended first. ship_lines.py knows
 * what a line looks like.
 *
 * usage: lines FOLDER ROUND THREADS LINES SYNC ROTATE [PAUSE WAYS]
 * LINES 0: until killed; SYNC 0: never; ROTATE 0: never; PAUSE: microseconds after each line, at most.
 * WAYS, a letter each: r renamed, u unlinked, c copied and truncated, p punched, l linked under one name more; s: two
 * writers a file, which do not know of each other; n: no such thread, but a new file every ROTATE lines: thousands.
 * An acknowledgement is one line "ROUND THREAD LINES". No line is cut in two by rotation: that is no filesystem's fault.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_MAX 16
#define LONG_LINE 40000 /* more than one message holds, whatever a rule says */
#define OLD_KEPT 5      /* names of what was rotated, a file */

static const char *folder, *ways = "";
static int round_, threads, lines, sync_every, rotate_every, pause_us, share = 1, ack = -1;

struct log {
	char path[256];
	pthread_rwlock_t whole; /* read: a line is being written; write: none is */
	char old[OLD_KEPT][300];
	int olds;
};
static struct log logs[THREADS_MAX];

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* ---- writers ---- */

/* Of many lengths, up to some messages. */
static int line_make(char *buf, int t, int n)
{
	unsigned x = (unsigned)(round_ * 7919 + t * 104729 + n) * 2654435761u;
	int len = sprintf(buf, "round %d writer %d line %d: ", round_, t, n);
	int fill = x % 997 == 7 ? LONG_LINE : x % 97 == 5 ? 5000 : (int)(x >> 20 & 127);

	for (int i = 0; i < fill; i++)
		buf[len++] = (char)('a' + (i + n) % 26);
	return len + sprintf(buf + len, " end.\n");
}

static void line_end(int fd, const char *path)
{
	char last = '\n';
	off_t size = lseek(fd, 0, SEEK_END);

	must(!size || pread(fd, &last, 1, size - 1) == 1, path);
	must(last == '\n' || write(fd, "\n", 1) == 1, path);
}

static int file_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0644);

	must(fd >= 0, path);
	if (share == 1) /* the other one's line may be half written by a reader's eyes */
		line_end(fd, path);
	return fd;
}

static void durable(int fd, int t, int n)
{
	char said[64];
	int len = sprintf(said, "%d %d %d\n", round_, t, n);

	must(!(strchr(ways, 'n') ? syncfs(fd) : fsync(fd)), "fsync");
	must(ack < 0 || write(ack, said, (size_t)len) == len, "/dev/ack");
	usleep(1000);
}

/* Up to the next block, by empty lines, of which nothing is sent: a hole ends there, and no line goes on behind it. */
static void punch(int fd, const char *path)
{
	static char ends[4096];
	off_t size = lseek(fd, 0, SEEK_END);
	size_t n = (size_t)(-size & 4095);

	memset(ends, '\n', sizeof(ends));
	must(write(fd, ends, n) == (ssize_t)n, path);
	if (!size)
		return;
	must(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size + (off_t)n), path);
}

/* By the writer itself. */
static int rotate(int fd, const char *path, int t, int n)
{
	char old[300];

	switch (strchr(ways, 'n') ? 2 : (n / rotate_every + t) % 3) {
	case 0:
		must(!ftruncate(fd, 0), path);
		return fd;
	case 1:
		punch(fd, path);
		return fd;
	}
	snprintf(old, sizeof(old), "%s/w%d.%d.%d.log", folder, t, round_, n);
	must(!rename(path, old), old);
	close(fd);
	return file_open(path);
}

/* A file that was renamed or unlinked is written until somebody looks. */
static int found_out(int fd, const char *path)
{
	struct stat mine, there;

	must(!fstat(fd, &mine), path);
	if (!stat(path, &there) && there.st_ino == mine.st_ino)
		return fd;
	close(fd);
	return file_open(path);
}

static void line_write(struct log *g, int fd, const char *buf, int len, int n)
{
	int part = n % 7 == 3 && share == 1 ? len / 2 : len;

	pthread_rwlock_rdlock(&g->whole);
	must(write(fd, buf, (size_t)part) == part, g->path);
	if (part < len) {
		if (pause_us && n % 3 == 0)
			usleep(30000);
		must(write(fd, buf + part, (size_t)(len - part)) == len - part, g->path);
	}
	pthread_rwlock_unlock(&g->whole);
}

static void *writer(void *arg)
{
	int t = (int)(long)arg, fd;
	struct log *g = &logs[t / share];
	unsigned seed = (unsigned)(round_ * 31 + t);
	char *buf = malloc(LONG_LINE + 100);

	must(buf != NULL, "malloc");
	fd = file_open(g->path);
	for (int n = 0; !lines || n < lines; n++) {
		line_write(g, fd, buf, line_make(buf, t, n), n);
		if (sync_every && (n + 1) % sync_every == 0) {
			durable(fd, t, n + 1);
			if (*ways)
				fd = found_out(fd, g->path);
		}
		if (rotate_every && (n + 1) % rotate_every == 0) {
			if (sync_every && !strchr(ways, 'n')) /* a sync of the next file says nothing of this one */
				durable(fd, t, n + 1);
			fd = rotate(fd, g->path, t, n);
		}
		if (pause_us)
			usleep((useconds_t)rand_r(&seed) % (useconds_t)pause_us);
	}
	if (sync_every && lines)
		durable(fd, t, lines);
	close(fd);
	free(buf);
	return NULL;
}

/* ---- somebody who rotates all files ---- */

/* One name more of those that are old, and the oldest goes. */
static void old_add(struct log *g, const char *name)
{
	char *place = g->old[g->olds++ % OLD_KEPT];

	must(!*place || !unlink(place) || errno == ENOENT, place);
	strcpy(place, name);
}

static void named(struct log *g, int way, const char *name)
{
	int err = way == 'r' ? rename(g->path, name) : link(g->path, name);

	must(!err || errno == ENOENT, name);
	if (!err)
		old_add(g, name);
}

static void copy(struct log *g)
{
	char to[300], buf[8192];
	int from = open(g->path, O_RDONLY), fd;
	ssize_t n;

	if (from < 0)
		return;
	snprintf(to, sizeof(to), "%s.1", g->path); /* no rule's name */
	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	must(fd >= 0, to);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		must(write(fd, buf, (size_t)n) == n, to);
	close(from);
	close(fd);
}

/* Truncates or punches what has the name now. */
static void empty(struct log *g, int way)
{
	int fd = open(g->path, O_RDWR | O_APPEND);

	if (fd < 0)
		return;
	pthread_rwlock_wrlock(&g->whole);
	if (way == 'p')
		punch(fd, g->path);
	else
		must(!ftruncate(fd, 0), g->path);
	pthread_rwlock_unlock(&g->whole);
	close(fd);
}

static void *rotator(void *arg)
{
	static const char known[] = "rucpl";
	unsigned seed = (unsigned)round_;

	for (int n = 0;; n++) {
		struct log *g = &logs[rand_r(&seed) % (unsigned)((threads + share - 1) / share)];
		int way = known[rand_r(&seed) % 5];
		char name[300];

		usleep(20000 + (useconds_t)rand_r(&seed) % 150000);
		snprintf(name, sizeof(name), "%.*s.%c%d.%d.log", (int)strlen(g->path) - 4, g->path, way, round_, n);
		if (!strchr(ways, way))
			continue;
		if (way == 'u')
			must(!unlink(g->path) || errno == ENOENT, g->path);
		if (way == 'r' || way == 'l')
			named(g, way, name);
		if (way == 'c')
			copy(g);
		if (way == 'c' || way == 'p')
			empty(g, way);
	}
	return arg;
}

/* ---- what was there before ---- */

/* Half a last line is ended; half of what is rotated goes, whether it was sent or not. */
static void leftover(const char *name)
{
	size_t len = strlen(name);
	char path[300];
	int fd;

	if (len < 4 || strcmp(name + len - 4, ".log"))
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_APPEND);
	must(fd >= 0, path);
	line_end(fd, path);
	close(fd);
	if (strchr(name, '.') != name + len - 4 && name[len - 5] & 2)
		must(!unlink(path), path);
}

static void leftovers(void)
{
	struct dirent **all;
	int n = scandir(folder, &all, NULL, alphasort);

	must(n >= 0, folder);
	while (n--)
		leftover(all[n]->d_name);
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS_MAX], other;

	if (argc != 7 && argc != 9)
		return 2;
	folder = argv[1];
	round_ = atoi(argv[2]);
	threads = atoi(argv[3]);
	lines = atoi(argv[4]);
	sync_every = atoi(argv[5]);
	rotate_every = atoi(argv[6]);
	if (argc == 9) {
		pause_us = atoi(argv[7]);
		ways = argv[8];
		share = strchr(ways, 's') ? 2 : 1;
		leftovers();
	}
	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	ack = open("/dev/ack", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < threads; i++) {
		snprintf(logs[i].path, sizeof(logs[i].path), "%s/w%d.log", folder, i);
		must(!pthread_rwlock_init(&logs[i].whole, NULL), "lock");
	}
	for (long t = 0; t < threads; t++)
		must(!pthread_create(&thread[t], NULL, writer, (void *)t), "thread");
	if (*ways && !strchr(ways, 'n'))
		must(!pthread_create(&other, NULL, rotator, NULL), "thread");
	for (int t = 0; t < threads; t++)
		must(!pthread_join(thread[t], NULL), "thread");
	return 0;
}
