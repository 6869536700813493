// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * status and tail (follow.c): looking at what is to be sent, without sending or moving anything. An image is opened for
 * reading alone.
 */
#include "logship/logship.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tfs/user/lines.h"

struct look {
	bool json, follow;
	u64 offset;
	const char *path;
	u64 rule; /* 0: all */
};

static int look_parse(struct look *o, int argc, char **argv, bool rule)
{
	static const struct option longs[] = {{"json", 0, NULL, 'J'},
	                                      {"offset", 1, NULL, 'O'},
	                                      {"follow", 0, NULL, 'f'},
	                                      {"help", 0, NULL, 'h'},
	                                      {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "fh", longs, NULL)) != -1) {
		if (c == 'h')
			return -1;
		if (c == 'J' && !rule)
			o->json = true;
		else if (c == 'f' && rule)
			o->follow = true;
		else if (c != 'O' || tfs_cli_size(optarg, &o->offset))
			return tfs_cli_fail(LOGSHIP_USAGE, argv[0], "see tfs-logship %s --help", argv[0]);
	}
	if (optind >= argc || argc > optind + 1 + rule)
		return tfs_cli_fail(LOGSHIP_USAGE, NULL, "expected TARGET; see tfs-logship %s --help", argv[0]);
	o->path = argv[optind];
	if (optind + 1 == argc)
		return 0;
	o->rule = strtoull(argv[optind + 1], NULL, 10);
	if (!o->rule || strspn(argv[optind + 1], "0123456789") != strlen(argv[optind + 1]))
		return tfs_cli_fail(LOGSHIP_USAGE, argv[optind + 1], "expected a rule's number; see tfs ship list");
	return 0;
}

/* Calls fn for each file of each rule. 0 or an exit code. */
static int files_each(struct logship_sender *s, u64 only,
                      int (*fn)(struct logship_sender *, const struct logship_rule *, const struct tfs_ioc_ship_file *,
                                void *),
                      void *arg)
{
	static struct logship_rule rule;
	u64 from = only;
	int err;

	while (!(err = logship_rule_next(s, from, &rule))) {
		struct tfs_ioc_ship_file *file = NULL;
		size_t files;

		if (only && rule.id != only) { /* the next one, where that is none */
			err = -ENOENT;
			break;
		}
		from = rule.id + 1;
		err = logship_files(s, rule.id, &file, &files);
		for (size_t i = 0; !err && i < files; i++)
			err = fn(s, &rule, &file[i], arg);
		free(file);
		if (err || only)
			break;
	}
	if (!err || (err == -ENOENT && !only))
		return 0;
	return err == -ENOENT ? tfs_cli_fail(LOGSHIP_USAGE, s->target.path, "no such rule; see tfs ship list")
	                      : tfs_cli_fail(LOGSHIP_VOLUME, s->target.path, "%s", strerror(-err));
}

/* ---- status ---- */

static int file_status(struct logship_sender *s, const struct logship_rule *rule, const struct tfs_ioc_ship_file *f,
                       void *arg)
{
	const struct look *o = arg;
	const char *name = logship_name_of(s, f->origin);
	struct tfs_line l;

	tfs_line_begin(&l, o->json, 0, "file");
	tfs_line_num(&l, "rule", rule->id);
	tfs_line_num(&l, "ino", f->ino);
	if (f->origin != f->ino) /* it holds what was cut off that */
		tfs_line_num(&l, "origin", f->origin);
	if (name)
		tfs_line_bytes(&l, "name", name, (u32)strlen(name));
	tfs_line_num(&l, "generation", f->generation);
	tfs_line_num(&l, "acked", f->acked);
	tfs_line_num(&l, "size", f->size);
	tfs_line_num(&l, "pending", f->size - f->acked);
	tfs_line_end(&l);
	return 0;
}

int logship_status(int argc, char **argv)
{
	static struct logship_sender s;
	struct look o = {0};
	int code = look_parse(&o, argc, argv, false);

	if (code < 0) {
		printf("usage: tfs-logship status TARGET [--json] [--offset N]\n"
		       "Each file that a rule of a volume (tfs ship list) holds for: how much of it was acknowledged.\n"
		       "Exit code: 0, 1 wrong usage, 3 cannot write, 4 the volume\n");
		return tfs_cli_end(0, LOGSHIP_OUTPUT);
	}
	if (!code)
		code = logship_open(&s, o.path, o.offset, false);
	if (code)
		return code;
	s.all = true;
	code = files_each(&s, 0, file_status, &o);
	return tfs_cli_end(logship_close(&s, code), LOGSHIP_OUTPUT);
}

/* ---- tail ---- */

/* Until a signal, or until nobody reads. */
static int follow(struct logship_sender *s, u64 rule)
{
	struct logship_tail t = {.follow = true};
	int code = 0;

	logship_signals();
	while (!code && !logship_stopped) {
		code = files_each(s, rule, logship_tail_file, &t);
		t.later = true;
		if (!code && fflush(stdout))
			break; /* tfs_cli_end says it */
		logship_sleep(500);
	}
	return code;
}

int logship_tail(int argc, char **argv)
{
	static struct logship_sender s;
	struct look o = {0};
	int code = look_parse(&o, argc, argv, true);

	if (code < 0) {
		printf("usage: tfs-logship tail TARGET [RULE] [-f] [--offset N]\n"
		       "Prints the lines that were not acknowledged, file by file, and changes nothing.\n"
		       "  -f, --follow  goes on with what comes, of a mounted volume, until it is stopped\n"
		       "Exit code: 0, 1 wrong usage, 3 cannot write, 4 the volume\n");
		return tfs_cli_end(0, LOGSHIP_OUTPUT);
	}
	if (!code)
		code = logship_open(&s, o.path, o.offset, false);
	if (code)
		return code;
	s.all = o.follow; /* of a file that has nothing behind, what comes is to be known */
	if (o.follow && !s.target.mounted)
		code = tfs_cli_fail(LOGSHIP_USAGE, o.path, "expected a mounted volume: to an image nothing comes");
	else
		code = o.follow ? follow(&s, o.rule)
		                : files_each(&s, o.rule, logship_tail_file, &(struct logship_tail){0});
	return tfs_cli_end(logship_close(&s, code), LOGSHIP_OUTPUT);
}
