// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * fsync's latency. usage: latency aged FILE N: N random overwrites of 4 KiB with fsync in a file that is there.
 * latency both FOLDER FILES COUNTERS: overwrites with fsync for 10 seconds, then for 50 while FILES new files become
 * part of a checkpoint; prints the median and the 99th percentile of both. COUNTERS: TFS's folder in sysfs, where the
 * epoch tells when a checkpoint begins and the count when it ends; -: the second part counts as a whole.
 * latency beside FILE SECONDS COUNTERS: one every 2 ms, those that meet a checkpoint and the others.
 * latency beside FILE SECONDS BEFORE COMMAND: every second BEFORE and then COMMAND run, in sh, with their number as $N;
 * prints what each took, and the latency of those fsyncs that meet COMMAND and of those that meet neither.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 200000u
#define IDLE_S 10
#define BUSY_S 50
#define PACE_US 2000
#define BETWEEN_US 1000000

static char block[4096];
static unsigned int random_state = 1;
static double idle[SAMPLES], busy[SAMPLES];
static atomic_bool running, over;
static atomic_bool preparing; /* BEFORE runs: such samples are of neither kind */
static atomic_uint turns;     /* of COMMAND that began: one may begin and end within a sample */
static const char *counters;

static void must(int ok, const char *of)
{
	if (ok)
		return;
	perror(of);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double once(int fd, off_t blocks)
{
	double start;

	random_state = random_state * 1103515245u + 12345u;
	memcpy(block, &random_state, sizeof(random_state));
	start = now();
	must(pwrite(fd, block, sizeof(block), (off_t)(random_state >> 4) % blocks * 4096) == 4096 && !fsync(fd),
	     "fsync");
	return now() - start;
}

static long counter(const char *name)
{
	char path[200];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", counters, name);
	f = fopen(path, "r");
	must(f && fscanf(f, "%ld", &n) == 1, path);
	fclose(f);
	return n;
}

/* Is a checkpoint on its way? Between the change of the epoch and that of the count. */
static void *watch(void *arg)
{
	long begun = counter("epoch"), done = counter("checkpoints");

	(void)arg;
	while (!over) {
		long epoch = counter("epoch"), count = counter("checkpoints");

		if (epoch - begun > count - done)
			running = true;
		else
			running = false;
		usleep(5000);
	}
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void result(const char *what, double *v, unsigned int n)
{
	if (!n) {
		fprintf(stderr, "no fsync %s\n", what);
		return;
	}
	qsort(v, n, sizeof(*v), by_size);
	printf("fsync latency %s, median|%.2f|ms|%u\n", what, v[n / 2] * 1e3, n);
	printf("fsync latency %s, 99th percentile|%.2f|ms|%u\n", what, v[n - 1 - n / 100] * 1e3, n);
}

static void make_files(const char *folder, int files)
{
	char name[300];

	for (int i = 0; i < files; i++) {
		int fd;

		if (i % 1000 == 0) {
			snprintf(name, sizeof(name), "%s/l%d", folder, i / 1000);
			must(!mkdir(name, 0755), name);
		}
		snprintf(name, sizeof(name), "%s/l%d/file-%d", folder, i / 1000, i);
		fd = open(name, O_WRONLY | O_CREAT, 0644);
		must(fd >= 0 && !close(fd), name);
	}
}

static int both(const char *folder, int files)
{
	unsigned int n = 0, b = 0;
	pthread_t watcher;
	char name[300];
	double end;
	int fd;

	snprintf(name, sizeof(name), "%s/latency", folder);
	fd = open(name, O_RDWR | O_CREAT, 0644);
	must(fd >= 0, name);
	for (int i = 0; i < 1024; i++)
		must(pwrite(fd, block, sizeof(block), i * 4096) == 4096, "write");
	sync();
	for (end = now() + IDLE_S; now() < end && n < SAMPLES;)
		idle[n++] = once(fd, 1024);
	make_files(folder, files);
	running = *counters == '-';
	if (!running)
		must(!pthread_create(&watcher, NULL, watch, NULL), "thread");
	for (end = now() + BUSY_S; now() < end && b < SAMPLES;) {
		bool before = running;
		double t = once(fd, 1024);

		if (before || running)
			busy[b++] = t;
	}
	over = true;
	if (*counters != '-')
		pthread_join(watcher, NULL);
	result("idle", idle, n);
	result(*counters == '-' ? "with much dirty" : "during a checkpoint", busy, b);
	return 0;
}

static void timed(const char *what, const char *command)
{
	double start = now();

	must(!system(command), command);
	printf("%s|%.2f|ms|1\n", what, (now() - start) * 1e3);
}

static void *take_turns(void *arg)
{
	char **command = arg, number[16];

	for (;;) {
		usleep(BETWEEN_US);
		if (over)
			return NULL;
		snprintf(number, sizeof(number), "%u", turns + 1);
		setenv("N", number, 1);
		preparing = true;
		timed("before", command[0]);
		running = true;
		turns++;
		preparing = false;
		timed("command", command[1]);
		running = false;
	}
}

static void longest(const char *what, const double *sorted, unsigned int n)
{
	if (n)
		printf("fsync latency %s, longest|%.2f|ms|%u\n", what, sorted[n - 1] * 1e3, n);
}

static int beside(const char *file, int seconds, char **command)
{
	const char *what = command ? "during the command" : "during a checkpoint";
	unsigned int n = 0, b = 0;
	pthread_t other;
	int fd = open(file, O_RDWR | O_CREAT, 0644);
	double end;

	must(fd >= 0, file);
	for (int i = 0; i < 1024; i++)
		must(pwrite(fd, block, sizeof(block), i * 4096) == 4096, "write");
	must(!fsync(fd), "fsync");
	must(!pthread_create(&other, NULL, command ? take_turns : watch, command), "thread");
	for (end = now() + seconds; now() < end && n < SAMPLES && b < SAMPLES; usleep(PACE_US)) {
		bool before = running, neither = preparing;
		unsigned int turn = turns;
		double t = once(fd, 1024);

		if (before || running || turn != turns)
			busy[b++] = t;
		else if (!neither && !preparing)
			idle[n++] = t;
	}
	over = true;
	pthread_join(other, NULL);
	result("otherwise", idle, n);
	longest("otherwise", idle, n);
	result(what, busy, b);
	longest(what, busy, b);
	return 0;
}

static int aged(const char *file, int n)
{
	struct stat st;
	int fd = open(file, O_RDWR);

	must(fd >= 0 && !fstat(fd, &st), file);
	while (n--)
		once(fd, st.st_size / 4096);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "aged"))
		return aged(argv[2], atoi(argv[3]));
	if ((argc == 5 || argc == 6) && !strcmp(argv[1], "beside")) {
		counters = argv[4];
		return beside(argv[2], atoi(argv[3]), argc == 6 ? argv + 4 : NULL);
	}
	if (argc != 5 || strcmp(argv[1], "both"))
		return fprintf(stderr, "usage: latency aged FILE N, latency both FOLDER FILES COUNTERS, "
		                       "latency beside FILE SECONDS COUNTERS|BEFORE [COMMAND]\n"),
		       2;
	counters = argv[4];
	return both(argv[2], atoi(argv[3]));
}
