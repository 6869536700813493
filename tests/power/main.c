// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The crash simulator. A workload runs on a recording RAM device; at every flush crash states are made (crash.c), and
 * each is recovered read-write and compared: the sequence it recovered to must be at or above what was durable, and
 * names, attributes and contents must be exactly those of that sequence. Accounting must be exact. Workloads
 * (workload.c): every one of one and of two operations of the table, random histories, a log that runs in circles, and
 * sharing under snapshots;
 * --seconds N: histories alone, others each time; --from SEED: histories alone from that seed on, and where to go on;
 * --triples[=FROM[:COUNT]]: every one of three, for --seconds N or to the end, and where to go on. --exhaust N: all subsets of up to N writes in flight. A failure prints an id that
 * --replay repeats. Other modes: --costs (cost.c), --faults (faults.c), --flip (flip.c), --torture (torture.c), --refill (refill.c);
 * --image (image.c).
 */
#include "tests/power/power.h"
#include "tfs/user/port.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool replay(const char *id)
{
	power_verbose = 1;
	return power_torture_replay(id) || power_refill_replay(id) || power_faults_replay(id) ||
	       power_flip_replay(id) || power_workload_replay(id);
}

static void quiet(int level, const char *line)
{
	if (power_verbose)
		printf("  [%d] %s\n", level, line);
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct report {
	unsigned long states, failures;
	double seconds; /* of processor time: others may be at work */
};

static int histories = 20, length = 200, seconds;
static u64 from; /* seed of the first history, 0: not given */
static double started;

static bool time_left(void)
{
	return now(CLOCK_MONOTONIC) - started < seconds;
}

/*
 * What a mode runs one after the other, by number: shared by its processes, each of which takes the next. All below it
 * were begun, and are done when the run is over, so a later run goes on there.
 */
static struct {
	u64 *next, first, end;
} todo;

static void todo_set(u64 first, u64 count)
{
	todo.next = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (todo.next == MAP_FAILED)
		power_must(-ENOMEM, "mmap");
	*todo.next = todo.first = first;
	todo.end = count < ~first ? first + count : ~0ull;
}

/* False: nothing is left, or no time. */
static bool todo_take(u64 *n)
{
	if (seconds && !time_left())
		return false;
	*n = __atomic_fetch_add(todo.next, 1, __ATOMIC_RELAXED);
	return *n < todo.end;
}

static void todo_report(const char *what, const char *option)
{
	u64 next = *todo.next < todo.end ? *todo.next : todo.end;

	printf("%s %llu to below %llu were run; go on with %s%llu\n", what, (unsigned long long)todo.first,
	       (unsigned long long)next, option, (unsigned long long)next);
}

static void crashes(int part, int parts)
{
	u64 seed;

	if (!seconds && !from) {
		power_churn((u64)part + 1, 1200);
		power_wedge((u64)part + 1, 8);
		power_pairs(part, parts);
	}
	while (todo_take(&seed))
		power_history(seed, length);
}

static void histories_set(void)
{
	u64 first = from ? from : seconds ? (u64)time(NULL) * 1000 + 1 : 1;

	todo_set(first, seconds ? ~0ull : (u64)histories);
}

/* Volumes of 64 rounds each: what fails is found again in a moment. */
static void torture(int part, int parts)
{
	u64 seed;

	(void)part;
	(void)parts;
	while (todo_take(&seed))
		power_torture(seed, 64);
}

#define REFILL_CYCLES 4096u
static void refill(int part, int parts)
{
	u64 seed;

	(void)part;
	(void)parts;
	while (todo_take(&seed))
		power_refill(seed, REFILL_CYCLES);
}

/* where: NULL, ROUNDS or ROUNDS:SEED; rounds of a volume */
static void rounds_set(const char *where, u32 each)
{
	unsigned long long rounds = 8ull * each, seed = 1;

	if (where)
		sscanf(where, "%llu:%llu", &rounds, &seed);
	todo_set(seed, (rounds + each - 1) / each);
}

static void triples(int part, int parts)
{
	u64 i;

	(void)part;
	(void)parts;
	while (todo_take(&i))
		power_triple(i);
}

/* where: NULL, FROM or FROM:COUNT */
static void triples_set(const char *where)
{
	unsigned long long first = 0, count = power_triples();

	if (where && (sscanf(where, "%llu:%llu", &first, &count) < 1 || first >= power_triples())) {
		fprintf(stderr, "power: --triples=%s: expected FROM or FROM:COUNT, FROM below %llu\n", where,
		        (unsigned long long)power_triples());
		exit(2);
	}
	todo_set(first, count < power_triples() - first ? count : power_triples() - first);
}

/* A workload that kills its process is named, too; then things take their course (a sanitizer has its say). */
static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction before[sizeof(deadly) / sizeof(deadly[0])];

static void died(int signal)
{
	u32 i;

	fprintf(stderr, "FAILED crash by signal %d; repeat: tfs-power --replay '%s'\n", signal, power_workload);
	for (i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		sigaction(deadly[i], &before[i], NULL);
	if (signal == SIGABRT)
		raise(signal);
}

static void deaths_watch(void)
{
	struct sigaction a = {.sa_handler = died};
	u32 i;

	for (i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		sigaction(deadly[i], &a, &before[i]);
}

static void child(void (*mode)(int part, int parts), int part, int parts, int fd)
{
	struct report r;
	double t0 = now(CLOCK_PROCESS_CPUTIME_ID);

	deaths_watch();
	mode(part, parts);
	free(power_run.flight);
	r = (struct report){power_states, power_failures, now(CLOCK_PROCESS_CPUTIME_ID) - t0};
	if (write(fd, &r, sizeof(r)) != sizeof(r))
		exit(2);
	exit(power_failures != 0);
}

/* The parts of a mode, a process each. */
static int spread(const char *what, void (*mode)(int part, int parts), int jobs)
{
	int i, status, bad = 0, pipes[2];
	unsigned long all = 0;
	double cpu = 0;

	if (pipe(pipes))
		return 2;
	for (i = 0; i < jobs; i++)
		if (!fork())
			child(mode, i, jobs, pipes[1]);
	close(pipes[1]);
	for (i = 0; i < jobs; i++) {
		struct report r = {0, 0, 0};

		wait(&status);
		bad += !WIFEXITED(status) || WEXITSTATUS(status);
		if (WIFEXITED(status) && WEXITSTATUS(status) < 2 && read(pipes[0], &r, sizeof(r)) == sizeof(r)) {
			all += r.states;
			cpu += r.seconds;
		}
	}
	printf("%s: %d operations, %lu states, %.0f states a second and core\n", what, power_ops(), all,
	       cpu > 0 ? (double)all / cpu : 0);
	return bad != 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"replay", 1, 0, 'r'},  {"histories", 1, 0, 'h'}, {"length", 1, 0, 'l'},   {"jobs", 1, 0, 'j'},
	    {"seconds", 1, 0, 's'}, {"costs", 0, 0, 'c'},     {"faults", 0, 0, 'f'},   {"flip", 2, 0, 'x'},
	    {"triples", 2, 0, 't'}, {"exhaust", 1, 0, 'e'},   {"failures", 1, 0, 'm'}, {"torture", 2, 0, 'T'},
	    {"refill", 2, 0, 'R'},  {"image", 1, 0, 'i'},     {"from", 1, 0, 'F'},     {0, 0, 0, 0}};
	void (*mode)(int part, int parts) = crashes;
	const char *what = "crash simulator";
	int c, bad, jobs = 2;

	mallopt(M_MMAP_THRESHOLD, 1 << 30); /* a mount's buffers come and go thousands of times a second */
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	tfs_user_log_sink(quiet);
	power_base_make(POWER_SIZE, TFS_CODEC_LZ4);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			return power_costs();
		case 'f':
			mode = power_faults;
			what = "faults met";
			break;
		case 'x':
			mode = power_flip;
			what = "flip";
			power_flip_all = optarg && !strcmp(optarg, "all");
			break;
		case 't':
			mode = triples;
			what = "triples";
			triples_set(optarg);
			break;
		case 'T':
			mode = torture;
			what = "torture, states are rounds";
			rounds_set(optarg, 64);
			break;
		case 'R':
			mode = refill;
			what = "refill, states are cycles";
			rounds_set(optarg, REFILL_CYCLES);
			break;
		case 'F':
			from = strtoull(optarg, NULL, 10);
			break;
		case 'e':
			power_exhaust = (u32)atoi(optarg);
			break;
		case 'i':
			power_image(optarg);
			return 0;
		case 'r':
			if (!replay(optarg)) {
				fprintf(stderr, "power: '%s': expected an id as a failure prints it\n", optarg);
				return 2;
			}
			printf("%lu states, %lu failures\n", power_states, power_failures);
			return power_failures != 0;
		case '?':
			return 2;
		default:
			*(c == 'h'   ? &histories
			  : c == 'l' ? &length
			  : c == 's' ? &seconds
			  : c == 'm' ? &power_failures_max
			             : &jobs) = atoi(optarg);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "power: '%s': expected options alone\n", argv[optind]);
		return 2;
	}
	started = now(CLOCK_MONOTONIC);
	if (mode == crashes)
		histories_set();
	bad = spread(what, mode, jobs < 1 ? 1 : jobs);
	if (mode == triples)
		todo_report("workloads of three", "--triples=");
	else if (mode == torture)
		todo_report("volumes of 64 rounds, seeds", "--torture=ROUNDS:");
	else if (mode == refill)
		todo_report("volumes of 4096 cycles, seeds", "--refill=CYCLES:");
	else if (mode == crashes && (seconds || from))
		todo_report("histories, seeds", "--from ");
	return bad;
}
