// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The load and the measure of tests/bench/ship.sh: `write` appends numbered lines that say when they were written,
 * `sink` is what a collector's output is piped into: it counts each line once, however often it came, and how long it
 * was under way, and keeps that in a file which `wait` and `said` look into while it runs.
 *
 * usage: shipload write FOLDER WRITERS LINES SYNC RATE   SYNC: every so many lines, 0 once at the end; RATE: lines a
 *                                                        second of each writer, 0 as fast as it can. Prints lines a second
 *        shipload kmsg LINES RATE                        the same into /dev/kmsg
 *        shipload sink FILE                              until its input ends; goes on with what FILE has
 *        shipload wait FILE LINES SECONDS                until so many came; 1: not within that
 *        shipload said FILE                              lines, repeats, lines a second, delay in ms: median, 99th percentile
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 16
#define LINES (1u << 18)

struct said {
	unsigned lines, repeats;
	long long first, last; /* ns: of the clock, when they came */
	float delay[LINES];    /* ms, as they came */
	unsigned char seen[WRITERS][LINES / 8];
};

static const char *folder;
static int lines, sync_every, rate;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* ---- writing ---- */

static void pace(long long begin, int n)
{
	long long early = rate ? begin + n * 1000000000ll / rate - now() : 0;

	if (early > 0)
		usleep((useconds_t)(early / 1000));
}

/* Some 120 bytes, as a service's log has. */
static int line_make(char *buf, int t, int n)
{
	return sprintf(buf,
	               "line=%d.%d at=%lld GET /api/v1/things/%d 200 %d bytes in %d ms from 10.0.%d.%d agent=curl "
	               "id=%08x\n",
	               t, n, now(), n * 7 % 10007, n * 31 % 9973, n % 97, t, n % 251, (unsigned)n * 2654435761u);
}

static void *writer(void *arg)
{
	int t = (int)(long)arg, fd;
	long long begin = now();
	char buf[300];

	snprintf(buf, sizeof(buf), "%s/w%d.log", folder, t);
	fd = open(buf, O_WRONLY | O_CREAT | O_APPEND, 0644);
	must(fd >= 0, buf);
	for (int n = 0; n < lines; n++) {
		int len;

		pace(begin, n);
		len = line_make(buf, t, n);
		must(write(fd, buf, (size_t)len) == len, "write");
		if (sync_every && (n + 1) % sync_every == 0)
			must(!fdatasync(fd), "fdatasync");
	}
	must(!fsync(fd), "fsync");
	close(fd);
	return NULL;
}

static int write_all(char **arg)
{
	int writers = atoi(arg[1]);
	pthread_t thread[WRITERS];
	long long begin = now();

	folder = arg[0];
	lines = atoi(arg[2]);
	sync_every = atoi(arg[3]);
	rate = atoi(arg[4]);
	must(writers <= WRITERS && lines <= (int)LINES, "too many");
	for (long t = 0; t < writers; t++)
		must(!pthread_create(&thread[t], NULL, writer, (void *)t), "thread");
	for (int t = 0; t < writers; t++)
		pthread_join(thread[t], NULL);
	printf("%.0f\n", (double)writers * lines / ((double)(now() - begin) / 1e9));
	return 0;
}

static int kmsg_all(char **arg)
{
	int fd = open("/dev/kmsg", O_WRONLY);
	long long begin = now();
	char buf[300] = "<6>";

	must(fd >= 0, "/dev/kmsg");
	lines = atoi(arg[0]);
	rate = atoi(arg[1]);
	for (int n = 0; n < lines; n++) {
		int len = 3 + line_make(buf + 3, 0, n);

		pace(begin, n);
		must(write(fd, buf, (size_t)len) == len, "/dev/kmsg");
	}
	return 0;
}

/* ---- counting ---- */

static struct said *said_open(const char *path, int create)
{
	int fd = open(path, O_RDWR | (create ? O_CREAT : 0), 0644);
	struct said *s;

	must(fd >= 0 && (!create || !ftruncate(fd, sizeof(*s))), path);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(s != MAP_FAILED, path);
	return s;
}

static void take(struct said *s, const char *text)
{
	const char *at = strstr(text, "line=");
	unsigned t, n;
	long long sent, came = now();

	if (!at || sscanf(at, "line=%u.%u at=%lld", &t, &n, &sent) != 3 || t >= WRITERS || n >= LINES)
		return;
	if (s->seen[t][n / 8] >> n % 8 & 1) {
		s->repeats++;
		return;
	}
	s->seen[t][n / 8] |= (unsigned char)(1u << n % 8);
	if (!s->lines)
		s->first = came;
	s->last = came;
	if (s->lines < LINES)
		s->delay[s->lines] = (float)((double)(came - sent) / 1e6);
	__atomic_add_fetch(&s->lines, 1, __ATOMIC_RELEASE);
}

static int sink(char **arg)
{
	struct said *s = said_open(arg[0], 1);
	char *text = NULL;
	size_t room = 0;

	while (getline(&text, &room, stdin) > 0)
		take(s, text);
	return 0;
}

static int wait_for(char **arg)
{
	struct said *s = said_open(arg[0], 0);
	unsigned want = (unsigned)atoi(arg[1]);

	for (int ms = atoi(arg[2]) * 1000; ms > 0; ms -= 20) {
		if (__atomic_load_n(&s->lines, __ATOMIC_ACQUIRE) >= want)
			return 0;
		usleep(20000);
	}
	return 1;
}

static int by_size(const void *a, const void *b)
{
	return *(const float *)a < *(const float *)b ? -1 : *(const float *)a > *(const float *)b;
}

static int say(char **arg)
{
	struct said *s = said_open(arg[0], 0);
	unsigned n = s->lines < LINES ? s->lines : LINES;
	float *sorted = malloc((n + 1) * sizeof(*sorted));

	must(sorted != NULL, "memory");
	memcpy(sorted, s->delay, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_size);
	printf("%u %u %.0f %.1f %.1f\n", s->lines, s->repeats,
	       s->last > s->first ? (s->lines - 1) / ((double)(s->last - s->first) / 1e9) : 0,
	       n ? (double)sorted[n / 2] : 0, n ? (double)sorted[n * 99ull / 100] : 0);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **);
	} command[] = {
	    {"write", 5, write_all}, {"kmsg", 2, kmsg_all}, {"sink", 1, sink}, {"wait", 3, wait_for}, {"said", 1, say}};

	for (unsigned i = 0; i < sizeof(command) / sizeof(command[0]); i++)
		if (argc == 2 + command[i].args && !strcmp(argv[1], command[i].name))
			return command[i].run(argv + 2);
	return 2;
}
