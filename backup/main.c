// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs-backup: snapshots of TFS volumes in a repository, on a local directory or S3-compatible storage. This file has
 * the options and the command table. docs/man/tfs-backup.1 is the manual, docs/REPOSITORY.md the format.
 */
#include "backup/backup.h"
#include "backup/schedule.h"
#include "fsck/dump.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

static const char usage[] =
    "usage: tfs-backup COMMAND REPOSITORY [ARGUMENTS] [OPTIONS]\n"
    "  init REPOSITORY                  makes one; --grace SECONDS, --kdf-memory SIZE\n"
    "  run REPOSITORY VOLUME            a directory of a mounted volume, or an image or device that is\n"
    "                                   not mounted; --snapshot NAME, --full; a Nanos volume, too:\n"
    "                                   --partition root|boot|N\n"
    "  list REPOSITORY                  backups, oldest first\n"
    "  show REPOSITORY BACKUP           all that is known of one\n"
    "  status REPOSITORY                the newest of each volume\n"
    "  verify REPOSITORY                --read-data[=N%]: packs are read, too\n"
    "  restore REPOSITORY BACKUP        --to IMAGE, DEVICE or DIRECTORY; --force; --format tfs|nanos\n"
    "  mount REPOSITORY BACKUP DIR      read-only, by FUSE; --foreground, --allow-other; ends with\n"
    "                                   fusermount3 -u DIR\n"
    "  diff REPOSITORY OLDER NEWER      what changed between two backups of one volume\n"
    "  ls REPOSITORY BACKUP [PATH]      -l long, -R everything below, -0 raw names that end with NUL\n"
    "  stat|cat REPOSITORY BACKUP PATH...\n"
    "  find REPOSITORY BACKUP [PATH]\n"
    "  extract REPOSITORY BACKUP DIR [PATH]\n"
    "  tar REPOSITORY BACKUP [PATH]     to standard output\n"
    "  forget REPOSITORY [BACKUP...]    --keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly\n"
    "                                   --keep-yearly N; --dry-run\n"
    "  prune REPOSITORY                 deletes what nothing needs; --dry-run; packs of which less than\n"
    "                                   --repack 25% is needed are written anew, 0: none\n"
    "  key REPOSITORY add|list|remove [KEY]   --new-passphrase-file, --new-key-file, --label\n"
    "  daemon | job NAME | jobs         on a schedule: tfs-backup daemon --help, tfs-backup.conf(5)\n"
    "BACKUP: its number, its snapshot's name, or \"latest\"; --volume UUID, NUMBER or LABEL where there are several\n"
    "options: --passphrase-file F, --key-file F (else TFS_BACKUP_PASSPHRASE, TFS_BACKUP_KEY_FILE, a terminal),\n"
    "         --expect N, --force, --state DIR, --offset N, --pack-size SIZE, --json, -q,\n"
    "         -o KEY=VALUE of the store:\n";
static const char exits[] =
    "exit: 0 done, 1 usage or no such thing, 2 damage in the repository, 3 the store, 4 the volume,\n"
    "      5 passphrase or key, 6 the repository was set back, 7 overtaken (run it again), 8 this machine\n";

struct call {
	struct bk_repo *r;
	const char *url;
	char **arg;
	int args;
};

static int cmd_run(struct call *c)
{
	return bk_cmd_run(c->r, c->arg[0]);
}
static int cmd_list(struct call *c)
{
	return bk_cmd_list(c->r);
}
static int cmd_show(struct call *c)
{
	return bk_cmd_show(c->r, c->arg[0]);
}
static int cmd_status(struct call *c)
{
	return bk_cmd_status(c->r);
}
static int cmd_verify(struct call *c)
{
	return bk_cmd_verify(c->r);
}
static int cmd_restore(struct call *c)
{
	return bk_cmd_restore(c->r, c->arg[0]);
}
static int cmd_mount(struct call *c)
{
	return bk_cmd_mount(c->r, c->arg[0], c->arg[1]);
}
static int cmd_diff(struct call *c)
{
	return bk_cmd_diff(c->r, c->arg[0], c->arg[1]);
}
static int cmd_forget(struct call *c)
{
	return bk_cmd_forget(c->r, c->arg, c->args);
}
static int cmd_prune(struct call *c)
{
	return bk_cmd_prune(c->r);
}
static int cmd_key(struct call *c)
{
	return bk_repo_key_command(c->r, c->arg[0], c->args > 1 ? c->arg[1] : NULL);
}

enum need { NEED_STORE, NEED_KEY, NEED_CHAIN };
static const struct command {
	const char *name;
	int (*run)(struct call *c);
	enum need need;
	int min, max; /* arguments after REPOSITORY */
	const char *letters;
} commands[] = {
    {"init", NULL, NEED_STORE, 0, 0, "gkL"},
    {"run", cmd_run, NEED_CHAIN, 1, 1, "SFOpy"},
    {"list", cmd_list, NEED_CHAIN, 0, 0, "v"},
    {"show", cmd_show, NEED_CHAIN, 1, 1, "v"},
    {"status", cmd_status, NEED_CHAIN, 0, 0, ""},
    {"verify", cmd_verify, NEED_CHAIN, 0, 0, "r"},
    {"restore", cmd_restore, NEED_CHAIN, 1, 1, "vtT"},
    {"mount", cmd_mount, NEED_CHAIN, 2, 2, "vGW"},
    {"diff", cmd_diff, NEED_CHAIN, 2, 2, "v"},
    {"ls", NULL, NEED_CHAIN, 1, 2, "vlR0"},
    {"stat", NULL, NEED_CHAIN, 2, 4096, "v"},
    {"cat", NULL, NEED_CHAIN, 2, 4096, "v"},
    {"find", NULL, NEED_CHAIN, 1, 2, "v0"},
    {"extract", NULL, NEED_CHAIN, 2, 3, "v"},
    {"tar", NULL, NEED_CHAIN, 1, 2, "v"},
    {"forget", cmd_forget, NEED_CHAIN, 0, 4096, "123456nv"},
    {"prune", cmd_prune, NEED_CHAIN, 0, 0, "nz"},
    {"key", cmd_key, NEED_KEY, 1, 2, "NPLk"},
};

static const struct option list[] = {{"passphrase-file", 1, 0, 'A'},
                                     {"key-file", 1, 0, 'B'},
                                     {"new-passphrase-file", 1, 0, 'P'},
                                     {"new-key-file", 1, 0, 'N'},
                                     {"label", 1, 0, 'L'},
                                     {"state", 1, 0, 'C'},
                                     {"expect", 1, 0, 'E'},
                                     {"force", 0, 0, 'f'},
                                     {"grace", 1, 0, 'g'},
                                     {"kdf-memory", 1, 0, 'k'},
                                     {"pack-size", 1, 0, 'p'},
                                     {"offset", 1, 0, 'O'},
                                     {"snapshot", 1, 0, 'S'},
                                     {"full", 0, 0, 'F'},
                                     {"volume", 1, 0, 'v'},
                                     {"to", 1, 0, 't'},
                                     {"format", 1, 0, 'T'},
                                     {"partition", 1, 0, 'y'},
                                     {"read-data", 2, 0, 'r'},
                                     {"keep-last", 1, 0, '1'},
                                     {"keep-hourly", 1, 0, '2'},
                                     {"keep-daily", 1, 0, '3'},
                                     {"keep-weekly", 1, 0, '4'},
                                     {"keep-monthly", 1, 0, '5'},
                                     {"keep-yearly", 1, 0, '6'},
                                     {"dry-run", 0, 0, 'n'},
                                     {"repack", 1, 0, 'z'},
                                     {"foreground", 0, 0, 'G'},
                                     {"allow-other", 0, 0, 'W'},
                                     {"json", 0, 0, 'J'},
                                     {"quiet", 0, 0, 'q'},
                                     {"option", 1, 0, 'o'},
                                     {"help", 0, 0, 'h'},
                                     {0, 0, 0, 0}};

/* ---- options ---- */

static int number(const char *text, u64 min, u64 max, u64 *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *out < min || *out > max)
		return tfs_cli_fail(BK_USAGE, text, "expected a number from %llu to %llu", (unsigned long long)min,
		                    (unsigned long long)max);
	return 0;
}

static int size(const char *text, u64 min, u64 max, u64 *out)
{
	char low[16], high[16];

	if (tfs_cli_size(text, out) || *out < min || *out > max)
		return tfs_cli_fail(BK_USAGE, text, "expected a size from %s to %s", tfs_cli_human(min, low),
		                    tfs_cli_human(max, high));
	return 0;
}

static int count(const char *text, u32 *out)
{
	u64 n;
	int code = number(text, 1, 1000000, &n);

	*out = (u32)n;
	return code;
}

/* "5%", "5", or nothing: all. */
static int percent(const char *text, u32 min, u32 *out)
{
	char *end;
	unsigned long n = text ? strtoul(text, &end, 10) : 100;

	if (text && (*text < '0' || *text > '9' || (*end && strcmp(end, "%")) || n < min || n > 100))
		return tfs_cli_fail(BK_USAGE, text, "expected a percentage from %u%% to 100%%", min);
	*out = (u32)n;
	return 0;
}

/* "24h", "7d", "90": seconds. */
static int seconds(const char *text, u64 *out)
{
	static const char unit[] = "smhdw";
	static const u64 factor[] = {1, 60, 3600, 86400, 7 * 86400};
	size_t digits = strspn(text, "0123456789");
	const char *u = text[digits] && !text[digits + 1] ? strchr(unit, text[digits]) : NULL;

	*out = strtoull(text, NULL, 10) * (u ? factor[u - unit] : 1);
	if (!digits || digits > 9 || (text[digits] && !u) || !*out || *out > 366 * 86400)
		return tfs_cli_fail(BK_USAGE, text, "expected a time such as 24h or 7d, up to a year");
	return 0;
}

static int store_option(struct bk_options *o, const char *value)
{
	char error[TFS_STORE_ERROR_MAX];

	if (!tfs_store_option(o->store, value, error))
		return 0;
	return tfs_cli_fail(BK_USAGE, NULL, "%s", error);
}

static const char **text_of(struct bk_options *o, int c)
{
	switch (c) {
	case 'A':
		return &o->passphrase_file;
	case 'B':
		return &o->key_file;
	case 'P':
		return &o->new_passphrase_file;
	case 'N':
		return &o->new_key_file;
	case 'L':
		return &o->label;
	case 'C':
		return &o->state;
	case 'S':
		return &o->snapshot;
	case 'v':
		return &o->volume;
	case 't':
		return &o->to;
	case 'T':
		return &o->format;
	case 'y':
		return &o->partition;
	}
	return NULL;
}

static bool *flag_of(struct bk_options *o, int c)
{
	return c == 'f'   ? &o->force
	       : c == 'F' ? &o->full
	       : c == 'n' ? &o->dry_run
	       : c == 'J' ? &o->json
	       : c == 'q' ? &o->quiet
	       : c == 'G' ? &o->foreground
	       : c == 'W' ? &o->allow_other
	       : c == 'l' ? &o->dump_long
	       : c == 'R' ? &o->dump_recursive
	       : c == '0' ? &o->dump_null
	                  : NULL;
}

static int value_take(struct bk_options *o, int c, const char *value)
{
	u32 *keep[] = {&o->keep_last,   &o->keep_hourly,  &o->keep_daily,
	               &o->keep_weekly, &o->keep_monthly, &o->keep_yearly};

	switch (c) {
	case 'E':
		return number(value, 1, ~0ull >> 1, &o->expect);
	case 'g':
		return seconds(value, &o->grace);
	case 'k':
		return size(value, 8 << 10, 4ull << 30, &o->kdf_memory);
	case 'p':
		return size(value, 1 << 20, BK_PACK_MAX, &o->pack_bytes);
	case 'O':
		return size(value, 0, 1ull << 54, &o->offset);
	case 'r':
		return percent(value, 1, &o->read_percent);
	case 'z':
		return percent(value, 0, &o->repack);
	case 'o':
		return store_option(o, value);
	}
	return c >= '1' && c <= '6' ? count(value, keep[c - '1']) : BK_USAGE;
}

static int option_take(struct bk_options *o, int c, const char *value)
{
	const char **text = text_of(o, c);
	bool *flag = flag_of(o, c);

	if (text)
		*text = value;
	else if (flag)
		*flag = true;
	else
		return value_take(o, c, value);
	return 0;
}

static void help(FILE *f)
{
	fputs(usage, f);
	fputs(tfs_store_option_help(), f);
	fputs(exits, f);
}

/* -1: help was printed. */
static int options_parse(struct bk_options *o, int argc, char **argv, const struct command **cmd)
{
	char used[64];
	int c, n = 0, err = 0;

	while (!err && (c = getopt_long(argc, argv, "lR0qo:h", list, NULL)) != -1) {
		if (c == 'h')
			return help(stdout), -1;
		if (c == '?')
			return tfs_cli_fail(BK_USAGE, NULL, "see tfs-backup --help");
		if (!strchr("ABCEfJqo", c) && n < (int)sizeof(used))
			used[n++] = (char)c;
		err = option_take(o, c, optarg);
	}
	if (err)
		return err;
	if (argc - optind < 2)
		return help(stderr), BK_USAGE;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, argv[optind]))
			*cmd = &commands[i];
	if (!*cmd)
		return tfs_cli_fail(BK_USAGE, argv[optind], "expected a command; see tfs-backup --help");
	while (n--)
		if (!strchr((*cmd)->letters, used[n]))
			return tfs_cli_fail(BK_USAGE, (*cmd)->name, "takes no such option; see tfs-backup --help");
	n = argc - optind - 2;
	if (n < (*cmd)->min || n > (*cmd)->max)
		return tfs_cli_fail(BK_USAGE, (*cmd)->name, "expected %s arguments; see tfs-backup --help",
		                    n < (*cmd)->min ? "more" : "fewer");
	return 0;
}

/* ---- running ---- */

static int run(const struct bk_options *o, const struct command *cmd, char **arg, int args)
{
	struct bk_repo r;
	struct call c = {.r = &r, .url = arg[0], .arg = arg + 1, .args = args - 1};
	int code;

	if (cmd->need == NEED_STORE)
		return bk_repo_init(c.url, o);
	code = bk_repo_open(&r, c.url, o, cmd->need == NEED_CHAIN);
	if (!code)
		code = cmd->run ? cmd->run(&c) : bk_cmd_look(&r, cmd->name, c.arg[0], c.arg + 1, c.args - 1);
	bk_repo_close(&r);
	return code;
}

int main(int argc, char **argv)
{
	static struct bk_options o = {.grace = 86400, .kdf_memory = 256 << 20, .pack_bytes = 16 << 20, .repack = 25};
	const struct command *cmd = NULL;
	int code;

	tfs_cli_start("tfs-backup");
	signal(SIGPIPE, SIG_IGN);
	code = sched_main(argc, argv); /* commands without a repository of their own */
	if (code >= 0)
		return code;
	o.store = tfs_store_options_new();
	if (!o.store)
		return bk_no_memory();
	code = options_parse(&o, argc, argv, &cmd);
	if (!code) {
		o.adding = !strcmp(cmd->name, "key");
		code = run(&o, cmd, argv + optind + 1, argc - optind - 1);
	}
	tfs_store_options_free(o.store);
	code = tfs_cli_end(code < 0 ? 0 : code, BK_HOST);
	dump_end_by_signal();
	return code;
}
