// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Writers of log files, for ship.sh: each thread appends numbered lines to its own file, some in two writes, syncs now
 * and then and says after it in /dev/ack how many are durable, and after some hundreds it renames the file away,
 * truncates it, or punches all that it holds (rotation). What a crash left of a last line is ended first. ship_lines.py knows what a line looks like.
 *
 * usage: lines FOLDER ROUND THREADS LINES SYNC ROTATE   LINES 0: until killed; SYNC 0: never; ROTATE 0: never
 * An acknowledgement is one line "ROUND THREAD LINES".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static int round_, threads, lines, sync_every, rotate_every, ack = -1;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* Of many lengths, up to some pages. */
static int line_make(char *buf, int t, int n)
{
	unsigned x = (unsigned)(round_ * 7919 + t * 104729 + n) * 2654435761u;
	int len = sprintf(buf, "round %d writer %d line %d: ", round_, t, n);
	int fill = x % 97 == 5 ? 5000 : (int)(x >> 20 & 127);

	for (int i = 0; i < fill; i++)
		buf[len++] = (char)('a' + (i + n) % 26);
	return len + sprintf(buf + len, " end.\n");
}

static int file_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0644);
	char last = '\n';
	off_t size;

	must(fd >= 0, path);
	size = lseek(fd, 0, SEEK_END);
	must(!size || pread(fd, &last, 1, size - 1) == 1, path);
	must(last == '\n' || write(fd, "\n", 1) == 1, path);
	return fd;
}

static void durable(int fd, int t, int n)
{
	char said[64];
	int len = sprintf(said, "%d %d %d\n", round_, t, n);

	must(!fsync(fd), "fsync");
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
	must(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size + (off_t)n), path);
}

static int rotate(int fd, const char *path, int t, int n)
{
	char old[300];

	switch ((n / rotate_every + t) % 3) {
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

static void *writer(void *arg)
{
	int t = (int)(long)arg, fd;
	char path[256], buf[6000];

	snprintf(path, sizeof(path), "%s/w%d.log", folder, t);
	fd = file_open(path);
	for (int n = 0; !lines || n < lines; n++) {
		int len = line_make(buf, t, n), part = n % 7 == 3 ? len / 2 : len;

		must(write(fd, buf, (size_t)part) == part, path);
		must(part == len || write(fd, buf + part, (size_t)(len - part)) == len - part, path);
		if (sync_every && (n + 1) % sync_every == 0)
			durable(fd, t, n + 1);
		if (rotate_every && (n + 1) % rotate_every == 0) {
			if (sync_every) /* a sync of the next file says nothing of what this one holds */
				durable(fd, t, n + 1);
			fd = rotate(fd, path, t, n);
		}
	}
	if (sync_every && lines)
		durable(fd, t, lines);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[16];

	if (argc != 7)
		return 2;
	folder = argv[1];
	round_ = atoi(argv[2]);
	threads = atoi(argv[3]);
	lines = atoi(argv[4]);
	sync_every = atoi(argv[5]);
	rotate_every = atoi(argv[6]);
	ack = open("/dev/ack", O_WRONLY | O_CLOEXEC);
	for (long t = 0; t < threads && t < 16; t++)
		must(!pthread_create(&thread[t], NULL, writer, (void *)t), "thread");
	for (int t = 0; t < threads && t < 16; t++)
		pthread_join(thread[t], NULL);
	return 0;
}
