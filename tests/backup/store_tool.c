// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A store by hand, for tests: store_tool [-o KEY=VALUE]... URL COMMAND..., the exit code is the errno.
 *   put NAME [absent]   standard input      get NAME [OFFSET LENGTH]   stat NAME   delete NAME...   list [PREFIX]
 *   clean SECONDS       now                 help: the options
 */
#include "backup/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct tfs_store *store;

static int done(int err)
{
	if (err)
		fprintf(stderr, "store_tool: %s\n", tfs_store_error(store));
	return -err;
}

static void note(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "note: %s\n", line);
}

static int put(const char *name, unsigned flags)
{
	size_t room = 1 << 20, length = 0, n;
	u8 *data = malloc(room);
	int err;

	while (data && (n = fread(data + length, 1, room - length, stdin)) > 0) {
		length += n;
		if (length == room)
			data = realloc(data, room *= 2);
	}
	if (!data)
		return ENOMEM;
	err = tfs_store_put(store, name, data, length, flags);
	free(data);
	return done(err);
}

static int get(const char *name)
{
	void *data;
	size_t length;
	int err = tfs_store_load(store, name, (size_t)1 << 32, &data, &length);

	if (!err)
		fwrite(data, 1, length, stdout);
	free(data);
	return done(err);
}

static int get_range(const char *name, u64 offset, size_t length)
{
	u8 *buffer = malloc(length + 1);
	size_t got = 0;
	int err = buffer ? tfs_store_get(store, name, offset, buffer, length, &got) : -ENOMEM;

	fwrite(buffer, 1, got, stdout);
	free(buffer);
	return done(err);
}

static int print(void *arg, const struct tfs_store_entry *e)
{
	(void)arg;
	printf("%s %llu\n", e->name, (unsigned long long)e->size);
	return 0;
}

static int run(int argc, char **argv)
{
	const char *command = argv[0], *first = argc > 1 ? argv[1] : "";
	u64 size = 0;
	s64 time = 0;
	int err = 0;

	if (!strcmp(command, "put"))
		return put(first, argc > 2 ? TFS_STORE_IF_ABSENT : 0);
	if (!strcmp(command, "get"))
		return argc > 3 ? get_range(first, strtoull(argv[2], NULL, 10), strtoul(argv[3], NULL, 10))
		                : get(first);
	if (!strcmp(command, "stat")) {
		err = tfs_store_stat(store, first, &size, &time);
		if (!err)
			printf("%llu %lld\n", (unsigned long long)size, (long long)time);
	} else if (!strcmp(command, "delete")) {
		for (int i = 1; !err && i < argc; i++)
			err = tfs_store_delete(store, argv[i]);
	} else if (!strcmp(command, "list")) {
		err = tfs_store_list(store, first, NULL, print, NULL);
	} else if (!strcmp(command, "clean")) {
		err = tfs_store_clean(store, strtoll(first, NULL, 10), &size);
		if (!err)
			printf("%llu\n", (unsigned long long)size);
	} else if (!strcmp(command, "now")) {
		err = tfs_store_now(store, &time);
		if (!err)
			printf("%lld\n", (long long)time);
	} else {
		return 2;
	}
	return done(err);
}

int main(int argc, char **argv)
{
	struct tfs_store_options *o = tfs_store_options_new();
	char error[TFS_STORE_ERROR_MAX];
	int c, err;

	while ((c = getopt(argc, argv, "+o:")) != -1)
		if (c != 'o' || tfs_store_option(o, optarg, error))
			return tfs_store_options_free(o), fprintf(stderr, "store_tool: %s\n", error), EINVAL;
	if (argc - optind < 2)
		return tfs_store_options_free(o),
		       printf("usage: store_tool [-o KEY=VALUE]... URL COMMAND...\n%s", tfs_store_option_help()), 2;
	err = tfs_store_open(&store, argv[optind], o, TFS_STORE_CREATE, error);
	tfs_store_options_free(o);
	if (err)
		return fprintf(stderr, "store_tool: %s\n", error), -err;
	tfs_store_notes(store, note, NULL);
	err = run(argc - optind - 1, argv + optind + 1);
	tfs_store_close(store);
	return err;
}
