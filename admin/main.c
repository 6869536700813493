// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs: the commands, their options, and what an error means. docs/man/tfs.8 is the manual.
 */
#include "admin/admin.h"

#include <getopt.h>
#include <stdlib.h>

static const char usage[] =
    "usage: tfs COMMAND TARGET [ARGUMENTS] [OPTIONS]\n"
    "TARGET: a directory of a mounted volume, or an image or device that is not mounted\n"
    "  snapshot create TARGET NAME          what the volume holds now\n"
    "  snapshot list TARGET                 all, and what deleting each would free\n"
    "  snapshot rename TARGET OLD NEW\n"
    "  snapshot delete TARGET NAME...       and what it alone holds comes free, in the background\n"
    "  snapshot hold TARGET NAME...         it cannot be deleted until it is released as often\n"
    "  snapshot release TARGET NAME...\n"
    "  snapshot diff TARGET OLDER [NEWER]   what changed between two, or until now; -i numbers, no paths\n"
    "  snapshot auto TARGET                 one named by the time, and of those older what the options keep:\n"
    "                                       --keep-last N  --keep-hourly N  --keep-daily N  --keep-weekly N\n"
    "                                       --keep-monthly N  --keep-yearly N  --prefix TEXT  -n (say, do not do)\n"
    "  df TARGET                            space: used, held by snapshots, free and in which pieces\n"
    "  compact TARGET [off|auto|now]        gathers free space; without an argument: the state\n"
    "  defrag TARGET                        what lies scattered comes to lie in one piece a window; --path FILE in "
    "TARGET\n"
    "                                       (default: all files), -n (count, move nothing)\n"
    "  convert TARGET NEW [SIZE]            an image of ours becomes one of the Nanos kernel, or the other way round;\n"
    "                                       --partition root|boot|N of a bootable image\n"
    "  rollback TARGET NAME                 back to that snapshot: what came later is lost; not of what is mounted\n"
    "  grow TARGET [SIZE]                   to all of its device, or an image to that size; nothing shrinks\n"
    "  scrub TARGET                         verifies every live byte; --rate BYTES a second, --cursor FILE to go on\n"
    "                                       where it was stopped\n"
    "  ship add TARGET COLLECTOR [PATTERN]  lines that come into files here are to go there: relp://HOST:PORT, "
    "tcp://,\n"
    "                                       udp://; --path PATH in TARGET, --from-start (what is there, too),\n"
    "                                       --resolve (the address in place of a name)\n"
    "  ship list TARGET                     rules, and how much each has to send\n"
    "  ship remove TARGET RULE...\n"
    "  ship tls-agent TARGET                makes the connections with TLS that the kernel needs, until it is ended:\n"
    "                                       --ca FILE (whom to trust), --cert FILE --key FILE (who we are)\n"
    "options: --json, --offset N[KMGT] (of the volume in an image), -q (no progress)\n"
    "exit: 0 done, 1 usage or no such snapshot, 2 no volume or damage, 3 refused: in use, held, full, not permitted\n";

struct command {
	const char *group, *name; /* group NULL: one word */
	int (*run)(struct admin *a);
	int min, max;        /* arguments after TARGET */
	int writes;          /* from so many arguments on it changes something; -1: never */
	const char *letters; /* options beyond those of all commands */
};
static const struct command commands[] = {
    {"snapshot", "create", admin_snapshot_create, 1, 1, 0, ""},
    {"snapshot", "list", admin_snapshot_list, 0, 0, -1, ""},
    {"snapshot", "rename", admin_snapshot_rename, 2, 2, 0, ""},
    {"snapshot", "delete", admin_snapshot_delete, 1, 4096, 0, ""},
    {"snapshot", "hold", admin_snapshot_hold, 1, 4096, 0, ""},
    {"snapshot", "release", admin_snapshot_release, 1, 4096, 0, ""},
    {"snapshot", "diff", admin_snapshot_diff, 1, 2, -1, "i"},
    {"snapshot", "auto", admin_snapshot_auto, 0, 0, 0, "nP012345"},
    {NULL, "df", admin_df, 0, 0, -1, ""},
    {NULL, "compact", admin_compact, 0, 1, 1, ""},
    {NULL, "defrag", admin_defrag, 0, 0, 0, "pn"},
    {NULL, "convert", admin_convert, 1, 2, -1, "T"},
    {NULL, "rollback", admin_rollback, 1, 1, 0, ""},
    {NULL, "grow", admin_grow, 0, 1, 0, ""},
    {NULL, "scrub", admin_scrub, 0, 0, -1, "RC"},
    {"ship", "add", admin_ship_add, 1, 2, 0, "pFA"},
    {"ship", "list", admin_ship_list, 0, 0, -1, ""},
    {"ship", "remove", admin_ship_remove, 1, 4096, 0, ""},
    {"ship", "tls-agent", admin_ship_agent, 0, 0, -1, "abk"},
};

int admin_fail(const struct admin *a, const char *object, int err)
{
	static const struct {
		int err, code;
		const char *text;
	} meanings[] = {
	    {ENOENT, ADMIN_USAGE, "no such snapshot; see tfs snapshot list"},
	    {EEXIST, ADMIN_USAGE, "there is a snapshot of that name"},
	    {ENAMETOOLONG, ADMIN_USAGE, "expected a name of at most 255 bytes"},
	    {EINVAL, ADMIN_USAGE, "expected a name of 1 to 255 bytes without /, not . or .."},
	    {EBUSY, ADMIN_REFUSED, "is held; tfs snapshot release lets it go"},
	    {ENOSPC, ADMIN_REFUSED, "no space left; deleting snapshots or files gives some"},
	    {EROFS, ADMIN_REFUSED, "is read-only"},
	    {EPERM, ADMIN_REFUSED, "not permitted; of a volume that the kernel has mounted, root administers"},
	    {ENOTTY, ADMIN_REFUSED, "what has it mounted does not know this request: it is older than this tool"},
	    {EUCLEAN, ADMIN_DAMAGE, "is damaged; run fsck.tfs"},
	    {EIO, ADMIN_DAMAGE, "cannot be read or written; fsck.tfs says more"},
	};

	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (meanings[i].err == -err)
			return tfs_cli_fail(meanings[i].code, object ? object : a->target.path, "%s", meanings[i].text);
	return tfs_cli_fail(ADMIN_REFUSED, object ? object : a->target.path, "%s", strerror(-err));
}

/* ---- options ---- */

static int option_take(struct admin *a, int c, const char *value)
{
	char *end;

	if (c >= '0' && c < '0' + KEEPS) {
		errno = 0;
		a->keep[c - '0'] = strtoull(value, &end, 10);
		if (*value < '0' || *value > '9' || *end || errno || a->keep[c - '0'] > 100000)
			return tfs_cli_fail(ADMIN_USAGE, value, "expected how many to keep, at most 100000");
		return 0;
	}
	switch (c) {
	case 'J':
		a->json = true;
		return 0;
	case 'q':
		a->quiet = true;
		return 0;
	case 'i':
		a->inodes = true;
		return 0;
	case 'n':
		a->dry_run = true;
		return 0;
	case 'P':
		a->prefix = value;
		return 0;
	case 'C':
		a->cursor = value;
		return 0;
	case 'p':
		a->path = value;
		return 0;
	case 'F':
		a->from_start = true;
		return 0;
	case 'A':
		a->resolve = true;
		return 0;
	case 'T':
		a->partition = value;
		return 0;
	case 'a':
		a->ca = value;
		return 0;
	case 'b':
		a->cert = value;
		return 0;
	case 'k':
		a->key = value;
		return 0;
	case 'R':
		if (tfs_cli_size(value, &a->rate) || !a->rate)
			return tfs_cli_fail(ADMIN_USAGE, value, "expected bytes a second, such as 50M");
		return 0;
	default: /* O */
		if (tfs_cli_size(value, &a->offset))
			return tfs_cli_fail(ADMIN_USAGE, value, "expected an offset such as 1048576 or 1M");
		return 0;
	}
}

/* How many words name it; 0: none does. */
static int command_find(char **word, int words, const struct command **out)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		const struct command *c = &commands[i];
		int n = c->group ? 2 : 1;

		if (words < n || strcmp(word[n - 1], c->name) || (c->group && strcmp(word[0], c->group)))
			continue;
		*out = c;
		return n;
	}
	return 0;
}

static int arguments_take(struct admin *a, int words, char **word, const char *used, const struct command **cmd)
{
	int n = command_find(word, words, cmd);

	if (!words)
		return fputs(usage, stderr), ADMIN_USAGE;
	if (!n)
		return tfs_cli_fail(ADMIN_USAGE, word[0], "expected a command; see tfs --help");
	for (; *used; used++)
		if (!strchr((*cmd)->letters, *used))
			return tfs_cli_fail(ADMIN_USAGE, (*cmd)->name, "takes no such option; see tfs --help");
	a->args = words - n - 1;
	a->arg = word + n + 1;
	if (a->args < (*cmd)->min || a->args > (*cmd)->max)
		return tfs_cli_fail(ADMIN_USAGE, (*cmd)->name, "expected %s arguments; see tfs --help",
		                    a->args < (*cmd)->min ? "more" : "fewer");
	a->target.path = word[n];
	return 0;
}

/* -1: help was printed. */
static int options_parse(struct admin *a, int argc, char **argv, const struct command **cmd)
{
	static const struct option list[] = {{"json", 0, 0, 'J'},
	                                     {"quiet", 0, 0, 'q'},
	                                     {"offset", 1, 0, 'O'},
	                                     {"inodes", 0, 0, 'i'},
	                                     {"dry-run", 0, 0, 'n'},
	                                     {"prefix", 1, 0, 'P'},
	                                     {"rate", 1, 0, 'R'},
	                                     {"cursor", 1, 0, 'C'},
	                                     {"path", 1, 0, 'p'},
	                                     {"from-start", 0, 0, 'F'},
	                                     {"resolve", 0, 0, 'A'},
	                                     {"keep-last", 1, 0, '0'},
	                                     {"keep-hourly", 1, 0, '1'},
	                                     {"keep-daily", 1, 0, '2'},
	                                     {"keep-weekly", 1, 0, '3'},
	                                     {"keep-monthly", 1, 0, '4'},
	                                     {"keep-yearly", 1, 0, '5'},
	                                     {"partition", 1, 0, 'T'},
	                                     {"ca", 1, 0, 'a'},
	                                     {"cert", 1, 0, 'b'},
	                                     {"key", 1, 0, 'k'},
	                                     {"help", 0, 0, 'h'},
	                                     {0, 0, 0, 0}};
	char used[64] = "";
	int c, n = 0, err = 0;

	while (!err && (c = getopt_long(argc, argv, "qinh", list, NULL)) != -1) {
		if (c == 'h')
			return fputs(usage, stdout), -1;
		if (c == '?')
			return tfs_cli_fail(ADMIN_USAGE, NULL, "see tfs --help");
		if (!strchr("JqO", c) && n < (int)sizeof(used) - 1)
			used[n++] = (char)c;
		err = option_take(a, c, optarg);
	}
	return err ? err : arguments_take(a, argc - optind, argv + optind, used, cmd);
}

int main(int argc, char **argv)
{
	static const struct target_codes codes = {ADMIN_USAGE, ADMIN_DAMAGE, ADMIN_REFUSED, NULL};
	static struct admin a = {.prefix = "auto-"};
	const struct command *cmd = NULL;
	int code, err;

	tfs_cli_start("tfs");
	code = options_parse(&a, argc, argv, &cmd);
	if (code)
		return code < 0 ? tfs_cli_end(0, ADMIN_REFUSED) : code;
	if (cmd->run == admin_convert || cmd->run == admin_ship_agent)
		return tfs_cli_end(cmd->run(&a), ADMIN_REFUSED);
	code = target_open(&a.target, &codes, a.target.path, a.offset,
	                   cmd->writes >= 0 && a.args >= cmd->writes && !a.dry_run);
	if (code)
		return code;
	code = cmd->run(&a);
	err = target_close(&a.target);
	if (err)
		code = admin_fail(&a, NULL, err);
	return tfs_cli_end(code, ADMIN_REFUSED);
}
