// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What backup/store.h says, asked of every store whose URL is given: store_test [-o KEY=VALUE]... [-t TEST] [-r ROUNDS
 * of the race] URL... Each test works below a prefix of its own, so that it can be run twice on one store, and leaves
 * it empty.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backup/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *url;
static struct tfs_store_options *options;
static struct tfs_store *store;
static char place[64]; /* of this test */

static void note(void *arg, const char *line)
{
	(void)arg;
	if (getenv("TFS_STORE_NOTES"))
		fprintf(stderr, "note: %s\n", line);
}

static struct tfs_store *open_store(void)
{
	char error[TFS_STORE_ERROR_MAX];
	struct tfs_store *s;

	if (tfs_store_open(&s, url, options, TFS_STORE_CREATE, error))
		fail_msg("%s", error);
	tfs_store_notes(s, note, NULL);
	return s;
}

static const char *in_place(const char *name)
{
	static char names[8][TFS_STORE_NAME_MAX + 1];
	static unsigned next;
	char *out = names[next++ % 8];

	snprintf(out, sizeof(names[0]), "%s/%s", place, name);
	return out;
}

#define ok(call)                                                                                                       \
	do {                                                                                                           \
		int err_ = (call);                                                                                     \
		if (err_)                                                                                              \
			fail_msg("%s: %d: %s", #call, err_, tfs_store_error(store));                                   \
	} while (0)

/* Content that differs at every place and by seed. */
static u8 *content(size_t length, u32 seed)
{
	u8 *data = malloc(length + 1);

	assert_non_null(data);
	for (size_t i = 0; i < length; i++) {
		seed = seed * 1664525u + 1013904223u;
		data[i] = (u8)(seed >> 24);
	}
	return data;
}

static void put_content(const char *name, size_t length, u32 seed, unsigned flags)
{
	u8 *data = content(length, seed);

	ok(tfs_store_put(store, name, data, length, flags));
	free(data);
}

static void expect_content(const char *name, size_t length, u32 seed)
{
	u8 *want = content(length, seed);
	size_t got;
	void *data;

	ok(tfs_store_load(store, name, (size_t)1 << 30, &data, &got));
	assert_int_equal(got, length);
	assert_memory_equal(data, want, length);
	free(data);
	free(want);
}

static int delete_entry(void *arg, const struct tfs_store_entry *e)
{
	(void)arg;
	return tfs_store_delete(store, e->name);
}

static int start(void **state)
{
	static unsigned number;

	(void)state;
	snprintf(place, sizeof(place), "t%ld.%u", (long)getpid(), number++);
	store = open_store();
	return 0;
}

static int end(void **state)
{
	(void)state;
	ok(tfs_store_list(store, in_place(""), NULL, delete_entry, NULL));
	tfs_store_close(store);
	return 0;
}

/* ---- put, get, stat, delete ---- */

static void every_size(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 100000, 300000, (5u << 20) + 1, (12u << 20) + 345};
	u64 size;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		put_content(in_place("object"), sizes[i], (u32)i, 0);
		expect_content(in_place("object"), sizes[i], (u32)i);
		ok(tfs_store_stat(store, in_place("object"), &size, NULL));
		assert_int_equal(size, sizes[i]);
	}
}

static void absent(void **state)
{
	u8 byte;
	void *data;
	size_t got;

	(void)state;
	assert_int_equal(tfs_store_get(store, in_place("none"), 0, &byte, 1, &got), -ENOENT);
	assert_non_null(strstr(tfs_store_error(store), in_place("none")));
	assert_int_equal(tfs_store_get(store, in_place("none"), 0, &byte, 0, &got), -ENOENT);
	assert_int_equal(tfs_store_load(store, in_place("none"), 10, &data, &got), -ENOENT);
	assert_null(data);
	assert_int_equal(tfs_store_stat(store, in_place("none"), NULL, NULL), -ENOENT);
	ok(tfs_store_delete(store, in_place("none")));
	put_content(in_place("there"), 10, 1, 0);
	ok(tfs_store_delete(store, in_place("there")));
	assert_int_equal(tfs_store_stat(store, in_place("there"), NULL, NULL), -ENOENT);
}

static void ranges(void **state)
{
	static const struct {
		u64 offset;
		size_t length, got;
	} cases[] = {{0, 10, 10},     {500, 100, 100}, {999, 1, 1}, {999, 5, 1},        {1000, 5, 0}, {1001, 5, 0},
	             {0, 1000, 1000}, {0, 2000, 1000}, {0, 0, 0},   {1ull << 40, 7, 0}, {250, 0, 0}};
	u8 *want = content(1000, 7), got_bytes[2001];
	size_t got;

	(void)state;
	put_content(in_place("object"), 1000, 7, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(got_bytes, 0xee, sizeof(got_bytes));
		ok(tfs_store_get(store, in_place("object"), cases[i].offset, got_bytes, cases[i].length, &got));
		assert_int_equal(got, cases[i].got);
		if (got)
			assert_memory_equal(got_bytes, want + cases[i].offset, got);
		assert_int_equal(got_bytes[cases[i].length], 0xee);
	}
	put_content(in_place("empty"), 0, 0, 0);
	ok(tfs_store_get(store, in_place("empty"), 0, got_bytes, 10, &got));
	assert_int_equal(got, 0);
	free(want);
}

static void load_bounds(void **state)
{
	void *data;
	size_t got;

	(void)state;
	put_content(in_place("object"), 1000, 3, 0);
	assert_int_equal(tfs_store_load(store, in_place("object"), 999, &data, &got), -EFBIG);
	assert_null(data);
	ok(tfs_store_load(store, in_place("object"), 1000, &data, &got));
	assert_int_equal(got, 1000);
	assert_int_equal(((u8 *)data)[1000], 0);
	free(data);
}

static void names(void **state)
{
	static const char *const bad[] = {"",     "/a", "a/", "a//b", ".",   "..",       "a/../b",
	                                  "a/.b", ".a", "A",  "a b",  "a\n", "\xc3\xa4", "a%41"};
	char longest[TFS_STORE_NAME_MAX + 2], part[203];
	u8 byte = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(tfs_store_put(store, bad[i], &byte, 1, 0), -EINVAL);
		assert_int_equal(tfs_store_delete(store, bad[i]), -EINVAL);
	}
	memset(longest, 'x', sizeof(longest));
	for (size_t i = 100; i < TFS_STORE_NAME_MAX; i += 100)
		longest[i] = '/';
	longest[TFS_STORE_NAME_MAX] = 0;
	memcpy(longest, place, strlen(place));
	ok(tfs_store_put(store, longest, &byte, 1, 0));
	ok(tfs_store_delete(store, longest));
	longest[TFS_STORE_NAME_MAX] = 'x';
	longest[TFS_STORE_NAME_MAX + 1] = 0;
	assert_int_equal(tfs_store_put(store, longest, &byte, 1, 0), -EINVAL);
	memset(part, 'y', 201);
	part[201] = 0;
	assert_int_equal(tfs_store_put(store, part, &byte, 1, 0), -EINVAL);
	assert_int_equal(tfs_store_put(store, "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", &byte, 1, 0), -EINVAL);
	ok(tfs_store_put(store, in_place("a-._0/z.9_-"), &byte, 1, 0));
}

/* ---- conditional puts ---- */

static void if_absent(void **state)
{
	u8 other = 9;

	(void)state;
	put_content(in_place("manifest"), 5000, 1, TFS_STORE_IF_ABSENT);
	assert_int_equal(tfs_store_put(store, in_place("manifest"), &other, 1, TFS_STORE_IF_ABSENT), -EEXIST);
	expect_content(in_place("manifest"), 5000, 1);
	put_content(in_place("manifest"), 5000, 2, 0);
	expect_content(in_place("manifest"), 5000, 2);
	ok(tfs_store_delete(store, in_place("manifest")));
	put_content(in_place("manifest"), 0, 1, TFS_STORE_IF_ABSENT);
	assert_int_equal(tfs_store_put(store, in_place("manifest"), &other, 1, TFS_STORE_IF_ABSENT), -EEXIST);
}

/* Starts n processes that all run `work` on a store of their own from the same moment on; their exit codes. */
static void in_processes(int n, int (*work)(int me), int codes[])
{
	int gate[2];
	pid_t pids[16];

	assert_int_equal(pipe(gate), 0);
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i]) {
			char byte;

			close(gate[1]);
			store = open_store();
			if (read(gate[0], &byte, 1))
				_exit(99);
			_exit(work(i));
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < n; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		codes[i] = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

static int round_number, rounds = 10;

static int put_mine(int me)
{
	char name[32];
	u8 data = (u8)me;
	int err;

	snprintf(name, sizeof(name), "race%d", round_number);
	err = tfs_store_put(store, in_place(name), &data, 1, TFS_STORE_IF_ABSENT);
	return -err;
}

static void race(void **state)
{
	int codes[8];

	(void)state;
	for (round_number = 0; round_number < rounds; round_number++) {
		int winners = 0, winner = -1;
		char name[32];
		size_t got;
		u8 data;

		in_processes(4, put_mine, codes);
		for (int i = 0; i < 4; i++) {
			if (codes[i] == 0)
				winners++, winner = i;
			else
				assert_int_equal(codes[i], EEXIST);
		}
		assert_int_equal(winners, 1);
		snprintf(name, sizeof(name), "race%d", round_number);
		ok(tfs_store_get(store, in_place(name), 0, &data, 1, &got));
		assert_int_equal(data, winner);
	}
}

/* Two write the same object again and again, one reads: it is always one of them, whole. */
static int write_or_read(int me)
{
	size_t length = (size_t)(1 + me) << 18, got;
	u8 *data = content(length, (u32)me);
	void *read_data;
	int err;

	for (int i = 0; i < 10; i++) {
		if (me < 2) {
			if (tfs_store_put(store, in_place("shared"), data, length, 0))
				return 1;
			continue;
		}
		err = tfs_store_load(store, in_place("shared"), 1u << 20, &read_data, &got);
		if (err == -EIO || err == -ENOENT)
			continue; /* changed between two ranges, or not yet there */
		if (err)
			return 2;
		free(data);
		data = content(got, got == 1u << 18 ? 0 : 1);
		if ((got != 1u << 18 && got != 2u << 18) ||
		    memcmp(data, read_data, got < (256u << 10) ? got : 256u << 10))
			return 3;
		free(read_data);
	}
	return 0;
}

static void two_writers(void **state)
{
	int codes[3];

	(void)state;
	in_processes(3, write_or_read, codes);
	for (int i = 0; i < 3; i++)
		assert_int_equal(codes[i], 0);
}

/* ---- listing ---- */

struct listed {
	char names[64][80];
	u64 sizes[64];
	unsigned count, stop;
};

static int note_entry(void *arg, const struct tfs_store_entry *e)
{
	struct listed *l = arg;

	assert_true(l->count < 64);
	snprintf(l->names[l->count], sizeof(l->names[0]), "%s", e->name + strlen(place) + 1);
	l->sizes[l->count++] = e->size;
	return l->count == l->stop ? 7 : 0;
}

static void expect_list(const char *prefix, const char *after, const char *const *want)
{
	struct listed l = {0};
	unsigned n = 0;

	ok(tfs_store_list(store, in_place(prefix), after ? in_place(after) : NULL, note_entry, &l));
	for (; want[n]; n++)
		assert_string_equal(n < l.count ? l.names[n] : "(end)", want[n]);
	assert_int_equal(l.count, n);
}

#define LIST(prefix, after, ...) expect_list(prefix, after, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void lists(void **state)
{
	static const char *const all[] = {"a/z", "a-b", "a.b", "a_b", "b/c/d", "b/c/e", "b/c0", "b/d", "c", "d/0"};
	struct listed l = {.stop = 2};

	(void)state;
	LIST("", NULL);
	for (unsigned i = 0; i < 10; i++)
		put_content(in_place(all[i]), i, i, 0);
	LIST("", NULL, "a-b", "a.b", "a/z", "a_b", "b/c/d", "b/c/e", "b/c0", "b/d", "c", "d/0");
	LIST("a", NULL, "a-b", "a.b", "a/z", "a_b");
	LIST("a/", NULL, "a/z");
	LIST("b/c", NULL, "b/c/d", "b/c/e", "b/c0");
	LIST("b/c/", NULL, "b/c/d", "b/c/e");
	LIST("b/c/d", NULL, "b/c/d");
	LIST("b/c/dd", NULL);
	LIST("x", NULL);
	LIST("", "a/z", "a_b", "b/c/d", "b/c/e", "b/c0", "b/d", "c", "d/0");
	LIST("", "a/zz", "a_b", "b/c/d", "b/c/e", "b/c0", "b/d", "c", "d/0");
	LIST("b/", "b/c/d", "b/c/e", "b/c0", "b/d");
	LIST("b/", "b/d");
	LIST("", "d/0");
	assert_int_equal(tfs_store_list(store, in_place(""), NULL, note_entry, &l), 7);
	assert_int_equal(l.count, 2);
	l.count = l.stop = 0;
	ok(tfs_store_list(store, in_place(""), NULL, note_entry, &l));
	assert_int_equal(l.sizes[0], 1);
	assert_int_equal(l.sizes[2], 0);
	assert_int_equal(l.sizes[9], 9);
}

/* ---- many at a time ---- */

enum { MANY = 1100 };

struct many {
	struct tfs_store_request r;
	char name[TFS_STORE_NAME_MAX + 1];
	u8 bytes[8];
	unsigned calls;
};

static void many_done(struct tfs_store_request *r)
{
	struct many *m = r->arg;

	m->calls++;
}

static int count_entry(void *arg, const struct tfs_store_entry *e)
{
	unsigned *n = arg, number;

	assert_int_equal(sscanf(e->name + strlen(place), "/many/%u", &number), 1);
	assert_int_equal(number, *n);
	assert_int_equal(e->size, number % 9);
	++*n;
	return number % 100 ? 0 : tfs_store_delete(store, e->name); /* the callback may use the store */
}

static void many_at_a_time(void **state)
{
	struct many *m = calloc(MANY, sizeof(*m));
	unsigned n = 0;

	(void)state;
	assert_non_null(m);
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/%04u", i);
		strcpy(m[i].name, in_place(name));
		memcpy(m[i].bytes, &i, sizeof(i));
		m[i].r = (struct tfs_store_request){.op = TFS_STORE_PUT,
		                                    .name = m[i].name,
		                                    .data = m[i].bytes,
		                                    .length = i % 9,
		                                    .done = many_done,
		                                    .arg = &m[i]};
		tfs_store_start(store, &m[i].r);
		tfs_store_wait(store, 99);
	}
	tfs_store_wait(store, 0);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(m[i].calls, 1);
		if (m[i].r.result)
			fail_msg("%s", m[i].r.error);
		m[i].r.op = TFS_STORE_GET;
		m[i].r.buffer = m[i].bytes;
		memset(m[i].bytes, 0xff, 8);
		tfs_store_start(store, &m[i].r);
	}
	assert_int_equal(tfs_store_step(store, 0) > 0, 1);
	tfs_store_wait(store, 0);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(m[i].calls, 2);
		assert_int_equal(m[i].r.result, 0);
		assert_int_equal(m[i].r.got, i % 9);
		if (i % 9 >= 4)
			assert_memory_equal(m[i].bytes, &i, 4);
	}
	ok(tfs_store_list(store, in_place("many/"), NULL, count_entry, &n));
	assert_int_equal(n, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		m[i].r.op = TFS_STORE_DELETE;
		tfs_store_start(store, &m[i].r);
	}
	tfs_store_wait(store, 0);
	LIST("", NULL);
	free(m);
}

static void close_with_some(void **state)
{
	struct tfs_store *other = open_store();
	struct many m[20];

	(void)state;
	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < 20; i++) {
		snprintf(m[i].name, sizeof(m[i].name), "%s/%u", place, i);
		m[i].r = (struct tfs_store_request){.op = TFS_STORE_PUT,
		                                    .name = m[i].name,
		                                    .data = m[i].bytes,
		                                    .length = 8,
		                                    .done = many_done,
		                                    .arg = &m[i]};
		tfs_store_start(other, &m[i].r);
	}
	tfs_store_step(other, 0);
	tfs_store_close(other);
	for (unsigned i = 0; i < 20; i++)
		assert_true(m[i].calls <= 1 && m[i].calls == m[i].r.completed);
}

/* ---- clock and cleaning ---- */

static void clock_of_the_store(void **state)
{
	s64 before, after, time;

	(void)state;
	ok(tfs_store_now(store, &before));
	put_content(in_place("object"), 10, 1, 0);
	ok(tfs_store_stat(store, in_place("object"), NULL, &time));
	ok(tfs_store_now(store, &after));
	assert_true(time >= before - 1 && time <= after + 1);
}

static void clean_leaves_objects(void **state)
{
	u64 removed;

	(void)state;
	put_content(in_place("object"), 10, 1, 0);
	put_content(in_place("tmp-1"), 10, 1, 0);
	ok(tfs_store_clean(store, 0, &removed));
	LIST("", NULL, "object", "tmp-1");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
	    T(every_size),
	    T(absent),
	    T(ranges),
	    T(load_bounds),
	    T(names),
	    T(if_absent),
	    T(race),
	    T(two_writers),
	    T(lists),
	    T(many_at_a_time),
	    T(close_with_some),
	    T(clock_of_the_store),
	    T(clean_leaves_objects),
	};
	char error[TFS_STORE_ERROR_MAX];
	int c, failed = 0;

	options = tfs_store_options_new();
	while ((c = getopt(argc, argv, "o:r:t:")) != -1) {
		if (c == 't')
			cmocka_set_test_filter(optarg);
		else if (c == 'r')
			rounds = atoi(optarg);
		else if (c != 'o' || tfs_store_option(options, optarg, error))
			return fprintf(stderr, "store_test: %s\n", error), 2;
	}
	if (optind == argc)
		return fprintf(stderr, "usage: store_test [-o KEY=VALUE]... [-t TEST] [-r ROUNDS] URL...\n"), 2;
	for (; optind < argc; optind++) {
		url = argv[optind];
		printf("# %s\n", url);
		fflush(stdout);
		failed |= cmocka_run_group_tests_name(url, tests, NULL, NULL);
	}
	tfs_store_options_free(options);
	return failed != 0;
}
