// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Durable small writes by several threads, each in files of its own.
 * usage: syncs append|overwrite|create|prepare FOLDER THREADS N     N operations by each thread
 * append: 4 KiB to the end of a file, fsync; overwrite: 4 KiB at a random block of a 4 MiB file (made by prepare),
 * fdatasync; create: a new file of 4 KiB, fsync, and fsync of its folder.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS 1024u

static int folder, n;
static const char *what;

static void must(int ok, const char *of)
{
	if (ok)
		return;
	perror(of);
	exit(1);
}

static void fill(char *block, unsigned int *state)
{
	for (size_t at = 0; at < 4096; at += 4) {
		*state = *state * 1103515245u + 12345u;
		memcpy(block + at, state, 4);
	}
}

static void put(int fd, const char *block, off_t at)
{
	must(pwrite(fd, block, 4096, at) == 4096, "write");
}

static void create(int dir, int i, const char *block)
{
	char name[32];
	int fd;

	sprintf(name, "f%d", i);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	must(fd >= 0, name);
	put(fd, block, 0);
	must(!fsync(fd) && !close(fd) && !fsync(dir), "fsync");
}

static void *work(void *arg)
{
	unsigned int id = (unsigned int)(size_t)arg, state = id + 1;
	char name[32], block[4096];
	int fd, dir;

	sprintf(name, "d%u", id);
	mkdirat(folder, name, 0755);
	dir = openat(folder, name, O_RDONLY | O_DIRECTORY);
	must(dir >= 0, name);
	fd = openat(dir, *what == 'a' ? "append" : "file", O_RDWR | O_CREAT, 0644);
	must(fd >= 0, "file");
	for (int i = 0; i < (*what == 'p' ? (int)BLOCKS : n); i++) {
		fill(block, &state);
		switch (*what) {
		case 'a':
			put(fd, block, i * 4096);
			must(!fsync(fd), "fsync");
			break;
		case 'o':
			put(fd, block, (off_t)(state >> 8) % BLOCKS * 4096);
			must(!fdatasync(fd), "fdatasync");
			break;
		case 'c':
			create(dir, i, block);
			break;
		default:
			put(fd, block, i * 4096);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[64];
	int threads = argc == 5 ? atoi(argv[3]) : 0;

	n = argc == 5 ? atoi(argv[4]) : 0;
	if (threads < 1 || threads > 64 || n < 1 || !strchr("aocp", *argv[1]))
		return fprintf(stderr, "usage: syncs append|overwrite|create|prepare FOLDER THREADS N\n"), 2;
	what = argv[1];
	folder = open(argv[2], O_RDONLY | O_DIRECTORY);
	must(folder >= 0, argv[2]);
	for (int i = 0; i < threads; i++)
		must(!pthread_create(&thread[i], NULL, work, (void *)(size_t)i), "thread");
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
