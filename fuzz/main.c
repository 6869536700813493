// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A target without libFuzzer: runs every file given, and every file in every directory given, in order of their names.
 * An input that takes more than 20 seconds ends the run as a hang. Before each input its name is noted, and a crash
 * prints it: that is the command to repeat just this one.
 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char current[4096];
static const char *program;
static unsigned long inputs;

static void say(const char *s)
{
	if (write(2, s, strlen(s)) < 0)
		return;
}

static void failed(int sig)
{
	signal(SIGABRT, SIG_DFL);
	say(sig == SIGALRM ? "fuzz: hang: input not done after 20 s\nrepeat: " : "repeat: ");
	say(program);
	say(" ");
	say(current);
	say("\n");
	signal(sig, SIG_DFL);
	raise(sig == SIGALRM ? SIGABRT : sig);
}

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max)
{
	(void)data;
	(void)max;
	return size; /* nothing is mutated here */
}

static int run_file(const char *path)
{
	static u8 buf[1 << 20];
	FILE *f = fopen(path, "rb");
	u8 *exact;
	size_t n;

	if (!f) {
		fprintf(stderr, "%s: %s: expected a readable file: %s\n", program, path, strerror(errno));
		return 1;
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	snprintf(current, sizeof(current), "%s", path);
	exact = malloc(n ? n : 1); /* of its own, so that a sanitizer sees a read past its end */
	if (!exact)
		return 1;
	memcpy(exact, buf, n);
	alarm(20);
	LLVMFuzzerTestOneInput(exact, n);
	alarm(0);
	free(exact);
	inputs++;
	return 0;
}

static int run_dir(const char *path)
{
	struct dirent **list;
	char name[4096];
	int n = scandir(path, &list, NULL, alphasort), i, bad = n < 0;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			bad |= run_file(name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return bad;
}

int main(int argc, char **argv)
{
	int i, bad = 0;

	program = argv[0];
	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", program);
		return 2;
	}
	signal(SIGABRT, failed);
	signal(SIGALRM, failed);
#if !defined(__SANITIZE_ADDRESS__)
	signal(SIGSEGV, failed);
	signal(SIGFPE, failed);
#endif
	for (i = 1; i < argc; i++) {
		struct stat st;

		bad |= !stat(argv[i], &st) && S_ISDIR(st.st_mode) ? run_dir(argv[i]) : run_file(argv[i]);
	}
	printf("%s: %lu inputs, %s\n", program, inputs, bad ? "some could not be read" : "no finding");
	return bad;
}
