// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A run of every kind of request through the fault proxy (proxy.py), with each fault at each request in turn: every one
 * completes as it does without the fault, or fails with the errno that the fault means; data is never wrong, and after
 * the fault all works as before. store_fault [-o KEY=VALUE]... [-f FAULT] PROXY-URL STORE-URL
 */
#include "backup/store.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGE = 300000, SMALL = 5000 }; /* large: three parts and a bit of part-size=96K */

static const struct fault {
	const char *name;
	int may;    /* an errno that some requests may end with; 0: all complete */
	bool lossy; /* ends what it hits: then others may miss the object */
} faults[] = {
    {"slowdown", 0, false},      {"throttle", 0, false},      {"error500", 0, false},     {"denied", -EACCES, true},
    {"expired", 0, false},       {"skewed", 0, false},        {"reset-early", 0, false},  {"reset-request", 0, false},
    {"error500-late", 0, false}, {"lost", 0, false},          {"reset-answer", 0, false}, {"truncated", 0, false},
    {"stalled", 0, false},       {"slow", 0, false},          {"other-range", 0, false},  {"unsaid", 0, false},
    {"error200", 0, false},      {"error200-late", 0, false}, {"etag", 0, false},
};

static const char *proxy, *url, *prefix;
static struct tfs_store_options *options;
static struct tfs_store *store;
static const struct fault *fault;
static unsigned position, scenario, failures;
static u8 data[LARGE], back[LARGE + 100];

static size_t keep(char *text, size_t size, size_t n, void *arg)
{
	snprintf(arg, 64, "%.*s", (int)(size * n), text);
	return size * n;
}

/* Asks the proxy; its answer's text into out (64 bytes). */
static void control(const char *path, char *out)
{
	char address[256];
	CURL *curl = curl_easy_init();
	CURLcode code;

	snprintf(address, sizeof(address), "%s%s", proxy, path);
	curl_easy_setopt(curl, CURLOPT_URL, address);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
	code = curl_easy_perform(curl);
	curl_easy_cleanup(curl);
	if (code) {
		fprintf(stderr, "store_fault: proxy: %s\n", curl_easy_strerror(code));
		exit(2);
	}
}

static const char *at(const char *name)
{
	static char names[4][128];
	static unsigned next;
	char *out = names[next++ % 4];

	snprintf(out, sizeof(names[0]), "%s/%u/%s", prefix, scenario, name);
	return out;
}

static void wrong(const char *what, int err)
{
	printf("%s at request %u: %s: %d %s\n", fault->name, position, what, err, tfs_store_error(store));
	failures++;
}

/* want: what it gives without a fault. The errno a fault may give counts, too, and what is missing after that. */
static bool check(const char *what, int err, int want)
{
	static unsigned lost_in;

	if (err == want)
		return !err;
	if (fault->may && err == fault->may) {
		lost_in = scenario;
		return false;
	}
	if (!fault->lossy || lost_in != scenario || (err != -ENOENT && err != 0))
		wrong(what, err);
	return false;
}

static void check_bytes(const char *what, size_t got, size_t want, const u8 *from)
{
	if (got != want || memcmp(back, from, want))
		wrong(what, (int)got);
}

static int count(void *arg, const struct tfs_store_entry *e)
{
	(void)e;
	++*(unsigned *)arg;
	return 0;
}

/* Every kind of request; some at the same time. */
static void run(void)
{
	struct tfs_store_request puts[4];
	unsigned n = 0;
	size_t got;
	u64 size;
	s64 time;

	check("put", tfs_store_put(store, at("a"), data, SMALL, 0), 0);
	check("put in parts", tfs_store_put(store, at("large"), data, LARGE, 0), 0);
	check("put if absent", tfs_store_put(store, at("manifest"), data, 100, TFS_STORE_IF_ABSENT), 0);
	check("put if absent, there", tfs_store_put(store, at("manifest"), data + 1, 100, TFS_STORE_IF_ABSENT),
	      -EEXIST);
	memset(back, 0, sizeof(back));
	if (check("get", tfs_store_get(store, at("manifest"), 0, back, 200, &got), 0))
		check_bytes("get", got, 100,
		            fault->lossy && back[0] == data[1] ? data + 1 : data); /* the second put's */
	memset(back, 0, sizeof(back));
	if (check("get range", tfs_store_get(store, at("large"), 123456, back, 100000, &got), 0))
		check_bytes("get range", got, 100000, data + 123456);
	memset(back, 0, sizeof(back));
	if (check("get to the end", tfs_store_get(store, at("large"), LARGE - 10, back, 100, &got), 0))
		check_bytes("get to the end", got, 10, data + LARGE - 10);
	if (check("get past the end", tfs_store_get(store, at("large"), LARGE + 10, back, 100, &got), 0) && got)
		wrong("get past the end", (int)got);
	if (check("stat", tfs_store_stat(store, at("large"), &size, &time), 0) && size != LARGE)
		wrong("stat: size", (int)size);
	check("get absent", tfs_store_get(store, at("none"), 0, back, 10, &got), -ENOENT);
	for (unsigned i = 0; i < 4; i++) {
		static char names[4][128];

		snprintf(names[i], sizeof(names[0]), "%s", at("many"));
		names[i][strlen(names[i]) - 1] = (char)('0' + i);
		puts[i] = (struct tfs_store_request){
		    .op = TFS_STORE_PUT, .name = names[i], .data = data, .length = SMALL + i};
		tfs_store_start(store, &puts[i]);
	}
	tfs_store_wait(store, 0);
	for (unsigned i = 0; i < 4; i++)
		check("put, several", puts[i].result, 0);
	if (check("list", tfs_store_list(store, at(""), NULL, count, &n), 0) && n != 7 && !fault->lossy)
		wrong("list: entries", (int)n);
	check("delete", tfs_store_delete(store, at("a")), 0);
	check("stat deleted", tfs_store_stat(store, at("a"), NULL, NULL), -ENOENT);
}

static int delete_entry(void *arg, const struct tfs_store_entry *e)
{
	(void)arg;
	return tfs_store_delete(store, e->name);
}

/* Scenarios with the fault at 1, 2, ... until it is past the last request. How often it was done. */
static unsigned try_fault(void)
{
	char error[TFS_STORE_ERROR_MAX], answer[64], path[64];
	unsigned total = 0, count_now = 0, done = 0;

	for (position = 1; position == 1 || position <= count_now; position++) {
		scenario++;
		if (tfs_store_open(&store, url, options, 0, error)) {
			fprintf(stderr, "store_fault: %s\n", error);
			exit(2);
		}
		snprintf(path, sizeof(path), "/_fault?%s&%u", fault->name, position);
		control(path, answer);
		run();
		control("/_count", answer);
		sscanf(answer, "%u %u", &count_now, &done);
		control("/_fault?none&0", answer);
		total += done;
		if (tfs_store_list(store, at(""), NULL, delete_entry, NULL))
			wrong("afterwards", 0);
		tfs_store_close(store);
	}
	return total;
}

int main(int argc, char **argv)
{
	char error[TFS_STORE_ERROR_MAX], text[64];
	const char *only = NULL;
	int c;

	options = tfs_store_options_new();
	while ((c = getopt(argc, argv, "o:f:")) != -1) {
		if (c == 'f')
			only = optarg;
		else if (c != 'o' || tfs_store_option(options, optarg, error))
			return fprintf(stderr, "store_fault: %s\n", error), 2;
	}
	if (argc - optind != 2)
		return fprintf(stderr, "usage: store_fault [-o KEY=VALUE]... [-f FAULT] PROXY-URL STORE-URL\n"), 2;
	proxy = argv[optind];
	url = argv[optind + 1];
	snprintf(text, sizeof(text), "f%ld", (long)getpid());
	prefix = text;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 2654435761u >> 13);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		unsigned done;

		fault = &faults[i];
		if (only && strcmp(only, fault->name))
			continue;
		done = try_fault();
		printf("%-14s done %u times at %u places\n", fault->name, done, position - 1);
		if (!done) {
			printf("%s was never done: nothing was tested\n", fault->name);
			failures++;
		}
		fflush(stdout);
	}
	tfs_store_options_free(options);
	return failures != 0;
}
