// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Runs a command and prints what it cost as one line of the benchmark's results:
 *   FS|ROW|VALUE|UNIT|SECONDS|KERNEL|USER|REQUESTS|READ|WRITTEN|FLUSHES|BUSY
 * VALUE is AMOUNT / SECONDS, or SECONDS for the unit s; KERNEL and USER are the seconds of CPU time of the whole
 * machine (interrupts and kernel threads included: nothing else runs in it); READ and WRITTEN are KB at the disk, BUSY
 * the share of the time, in percent, in which it had a request. What the command leaves dirty is part of it: with -s
 * the folder's filesystem is synced before the clock stops. usage: measure [-s FOLDER] DISK FS ROW UNIT AMOUNT
 * COMMAND...   Exit code: the command's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READS = 0, READ_SECTORS = 2, WRITES = 4, WRITTEN_SECTORS = 6, BUSY_MS = 9, FLUSHES = 15, FIELDS = 17 };

struct sample {
	double time, user, kernel;
	unsigned long long disk[FIELDS];
};

static int must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(2);
	}
	return ok;
}

static void disk_sample(const char *disk, struct sample *s)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", disk);
	f = fopen(path, "r");
	must(f != NULL, path);
	memset(s->disk, 0, sizeof(s->disk));
	for (int i = 0; i < FIELDS; i++)
		if (fscanf(f, "%llu", &s->disk[i]) != 1)
			break;
	fclose(f);
}

static void cpu_sample(struct sample *s)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	double tick = (double)sysconf(_SC_CLK_TCK);
	FILE *f = fopen("/proc/stat", "r");

	must(f != NULL, "/proc/stat");
	must(fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
	            &softirq) == 7,
	     "/proc/stat");
	fclose(f);
	s->user = (double)(user + nice) / tick;
	s->kernel = (double)(system + irq + softirq) / tick;
}

static struct sample sample(const char *disk)
{
	struct timespec t;
	struct sample s;

	disk_sample(disk, &s);
	cpu_sample(&s);
	clock_gettime(CLOCK_MONOTONIC, &t);
	s.time = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	return s;
}

static int run(char **command)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	must(child > 0 && waitpid(child, &status, 0) == child, "fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void settle(const char *folder)
{
	int fd = open(folder, O_RDONLY);

	must(fd >= 0 && !syncfs(fd) && !close(fd), folder);
}

int main(int argc, char **argv)
{
	const char *folder = NULL, *disk;
	struct sample a, b;
	unsigned long long d[FIELDS];
	double seconds;
	int code;

	if (argc > 2 && !strcmp(argv[1], "-s")) {
		folder = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 7)
		return fprintf(stderr, "usage: measure [-s FOLDER] DISK FS ROW UNIT AMOUNT COMMAND...\n"), 2;
	disk = argv[1];
	a = sample(disk);
	code = run(argv + 6);
	if (folder)
		settle(folder);
	b = sample(disk);
	for (int i = 0; i < FIELDS; i++)
		d[i] = b.disk[i] - a.disk[i];
	seconds = b.time - a.time;
	if (!code)
		printf("%s|%s|%.2f|%s|%.2f|%.2f|%.2f|%llu|%llu|%llu|%llu|%.0f\n", argv[2], argv[3],
		       strcmp(argv[4], "s") ? atof(argv[5]) / seconds : seconds, argv[4], seconds, b.kernel - a.kernel,
		       b.user - a.user, d[READS] + d[WRITES], d[READ_SECTORS] / 2, d[WRITTEN_SECTORS] / 2, d[FLUSHES],
		       (double)d[BUSY_MS] / 10 / seconds);
	return code;
}
