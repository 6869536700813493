// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * dump.tfs: looking into a volume without mounting it and without root. This file has the options and the command
 * table. Opens the image read-only; the log of a crashed volume is replayed in memory, so what one sees is what a mount
 * would show. Never writes to the image. docs/man/dump.tfs.8 is the manual.
 */
#include "fsck/dump.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

static const char usage[] =
    "usage: dump.tfs COMMAND IMAGE [ARGUMENTS] [OPTIONS]\n"
    "  super IMAGE                      superblocks, sizes, state\n"
    "  anchors IMAGE                    all 8 anchor slots and the checkpoint of the chosen one\n"
    "  log IMAGE                        log writes and records past the anchor\n"
    "  tree IMAGE [fs|space|snap|refs]  nodes; --items: what is in them\n"
    "  segments IMAGE                   state and live units of each\n"
    "  object IMAGE INO                 an inode and all its items\n"
    "  ls IMAGE [PATH]                  names, sorted; -l long, -R everything below, -d PATH itself, -i inode\n"
    "                                   numbers, -U unsorted, -0 raw names that end with NUL\n"
    "  stat IMAGE PATH...               all attributes and xattrs\n"
    "  cat IMAGE PATH...                contents to standard output\n"
    "  find IMAGE [PATH]                --name GLOB  --type fdlbcps  --ino N  --addr UNIT  -0\n"
    "  extract IMAGE DIR [PATH]         all files, as they were\n"
    "  tar IMAGE [PATH]                 a pax archive, to standard output or -o FILE\n"
    "  snapshots IMAGE                  and what deleting each would free\n"
    "  diff IMAGE OLDER [NEWER]         what changed between snapshots, or until now; -i numbers, no paths\n"
    "Nanos volumes and images: super log tree object ls stat cat find extract tar, and\n"
    "  config IMAGE                     the root tuple's configuration, as JSON\n"
    "  crashlog IMAGE                   the messages that a crashed kernel left\n"
    "options: --snapshot NAME (look into it), --json, --offset N[KMGT], --no-replay (last checkpoint only),\n"
    "         --format tfs|nanos (else by content), --partition root|boot|1-4 of a Nanos image, -q (no progress)\n"
    "exit: 0 done, 1 usage or no such path, 2 damage, 3 cannot write or the host refuses\n";

enum need { NEED_DEVICE, NEED_SUPER, NEED_MOUNT };
struct command {
	const char *name;
	int (*run)(struct dump *d);   /* NULL: only of Nanos volumes */
	int (*nanos)(struct dump *d); /* of such a volume; NULL: none */
	enum need need;
	int min, max;        /* arguments after IMAGE */
	const char *letters; /* options beyond those of all commands */
};
static const struct command commands[] = {
    {"super", dump_cmd_super, dump_nanos_super, NEED_DEVICE, 0, 0, ""},
    {"anchors", dump_cmd_anchors, NULL, NEED_SUPER, 0, 0, ""},
    {"log", dump_cmd_log, dump_nanos_log, NEED_SUPER, 0, 0, ""},
    {"tree", dump_cmd_tree, dump_nanos_tree, NEED_MOUNT, 0, 1, "I"},
    {"segments", dump_cmd_segments, NULL, NEED_MOUNT, 0, 0, ""},
    {"object", dump_cmd_object, dump_nanos_object, NEED_MOUNT, 1, 1, ""},
    {"ls", dump_cmd_ls, dump_cmd_ls, NEED_MOUNT, 0, 1, "lRUdi01"},
    {"stat", dump_cmd_stat, dump_cmd_stat, NEED_MOUNT, 1, 4096, ""},
    {"cat", dump_cmd_cat, dump_cmd_cat, NEED_MOUNT, 1, 4096, ""},
    {"find", dump_cmd_find, dump_cmd_find, NEED_MOUNT, 0, 1, "0NTMA"},
    {"extract", dump_cmd_extract, dump_cmd_extract, NEED_MOUNT, 1, 2, ""},
    {"tar", dump_cmd_tar, dump_cmd_tar, NEED_MOUNT, 0, 1, "o"},
    {"snapshots", dump_cmd_snapshots, NULL, NEED_MOUNT, 0, 0, ""},
    {"diff", dump_cmd_diff, NULL, NEED_MOUNT, 1, 2, "i"},
    {"config", NULL, dump_nanos_config, NEED_MOUNT, 0, 0, ""},
    {"crashlog", NULL, dump_nanos_crashlog, NEED_MOUNT, 0, 0, ""},
};

/* ---- options ---- */

static int number(const char *text, u64 *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || errno)
		return tfs_cli_fail(DUMP_USAGE, text, "expected a number");
	return 0;
}

static int option_value(struct dump *d, int c, const char *value)
{
	switch (c) {
	case 'O':
		if (tfs_cli_size(value, &d->dev.offset))
			return tfs_cli_fail(DUMP_USAGE, value, "expected an offset such as 1048576 or 1M");
		return 0;
	case 'N':
		d->glob = value;
		return 0;
	case 'T':
		if (!*value || value[strspn(value, "fdlbcps")])
			return tfs_cli_fail(DUMP_USAGE, value, "expected letters of fdlbcps");
		d->types = value;
		return 0;
	case 'M':
		d->by_ino = true;
		return number(value, &d->ino);
	case 'A':
		d->by_addr = true;
		return number(value, &d->addr);
	case 'o':
		d->output = value;
		return 0;
	case 'S':
		d->snapshot = value;
		return 0;
	case 'F':
		d->format = value;
		return strcmp(value, "tfs") && strcmp(value, "nanos")
		           ? tfs_cli_fail(DUMP_USAGE, value, "expected --format tfs or nanos")
		           : 0;
	case 'X':
		d->partition = value;
		return 0;
	}
	return DUMP_USAGE;
}

static int option_take(struct dump *d, int c, const char *value)
{
	bool *flag = c == 'J'   ? &d->json
	             : c == 'P' ? &d->no_replay
	             : c == 'q' ? &d->quiet
	             : c == 'I' ? &d->items
	             : c == 'l' ? &d->full_lines
	             : c == 'R' ? &d->recursive
	             : c == 'U' ? &d->unsorted
	             : c == 'd' ? &d->self
	             : c == 'i' ? &d->inodes
	             : c == '0' ? &d->null
	                        : NULL;

	if (c == '1')
		return 0;
	if (!flag)
		return option_value(d, c, value);
	*flag = true;
	return 0;
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Fills d and *cmd. -1: help was printed. */
static int options_parse(struct dump *d, int argc, char **argv, const struct command **cmd)
{
	static const struct option list[] = {
	    {"offset", 1, 0, 'O'},   {"json", 0, 0, 'J'},   {"no-replay", 0, 0, 'P'}, {"items", 0, 0, 'I'},
	    {"name", 1, 0, 'N'},     {"type", 1, 0, 'T'},   {"ino", 1, 0, 'M'},       {"addr", 1, 0, 'A'},
	    {"output", 1, 0, 'o'},   {"quiet", 0, 0, 'q'},  {"null", 0, 0, '0'},      {"help", 0, 0, 'h'},
	    {"snapshot", 1, 0, 'S'}, {"format", 1, 0, 'F'}, {"partition", 1, 0, 'X'}, {0, 0, 0, 0}};
	char used[64];
	int c, n = 0, err = 0;

	while (!err && (c = getopt_long(argc, argv, "lRUdi01qo:h", list, NULL)) != -1) {
		if (c == 'h')
			return fputs(usage, stdout), -1;
		if (c == '?')
			return tfs_cli_fail(DUMP_USAGE, NULL, "see dump.tfs --help");
		if (!strchr("OJPqSFX", c) && n < (int)sizeof(used))
			used[n++] = (char)c;
		err = option_take(d, c, optarg);
	}
	if (err)
		return err;
	if (argc - optind < 2)
		return fputs(usage, stderr), DUMP_USAGE;
	*cmd = command_find(argv[optind]);
	if (!*cmd)
		return tfs_cli_fail(DUMP_USAGE, argv[optind], "expected a command; see dump.tfs --help");
	if (d->snapshot &&
	    ((*cmd)->need != NEED_MOUNT || (*cmd)->run == dump_cmd_snapshots || (*cmd)->run == dump_cmd_diff))
		return tfs_cli_fail(DUMP_USAGE, (*cmd)->name, "looks at the whole volume: takes no --snapshot");
	while (n--)
		if (!strchr((*cmd)->letters, used[n]))
			return tfs_cli_fail(DUMP_USAGE, (*cmd)->name, "takes no such option; see dump.tfs --help");
	d->image = argv[optind + 1];
	d->arg = argv + optind + 2;
	d->args = argc - optind - 2;
	if (d->args < (*cmd)->min || d->args > (*cmd)->max)
		return tfs_cli_fail(DUMP_USAGE, (*cmd)->name, "expected %s arguments; see dump.tfs --help",
		                    d->args < (*cmd)->min ? "more" : "fewer");
	return 0;
}

/* ---- running ---- */

static int mount_failed(struct dump *d, int err)
{
	if (err == -EINVAL)
		return tfs_cli_fail(
		    DUMP_DAMAGE, d->image,
		    "expected a TFS superblock at byte 4096 or in the last block, found none; is --offset missing?");
	if (err == -ENOMEM)
		return tfs_cli_fail(DUMP_HOST, d->image, "out of memory");
	return tfs_cli_fail(DUMP_DAMAGE, d->image,
	                    "cannot be opened as a volume: %s; fsck.tfs says more, --no-replay leaves the log out",
	                    err == -EUCLEAN ? "damaged" : strerror(-err));
}

static int nanos_run(struct dump *d, const struct command *cmd)
{
	int err;

	if (!cmd->nanos || d->snapshot || d->by_addr)
		return tfs_cli_fail(DUMP_USAGE, cmd->name, "a Nanos volume has no such thing%s%s",
		                    d->snapshot ? ": --snapshot" : "", d->by_addr ? ": --addr" : "");
	if (cmd->nanos == dump_nanos_crashlog || cmd->nanos == dump_nanos_log)
		return cmd->nanos(d);
	err = dump_nanos_open(d);
	if (!err)
		err = cmd->nanos(d);
	nanos_close(d->nanos);
	return err ? err : d->noted;
}

static int run(struct dump *d, const struct command *cmd)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_RO | (d->no_replay ? TFS_MOUNT_NOREPLAY : 0)};
	struct tfs_stat st;
	int err = dump_nanos_find(d), code;

	if (err)
		return err < 0 ? -err : nanos_run(d, cmd);
	if (!cmd->run)
		return tfs_cli_fail(DUMP_USAGE, d->image, "expected a Nanos volume or image for %s, found none",
		                    cmd->name);
	err = cmd->need == NEED_DEVICE ? 0 : tfs_probe(&d->dev.dev, &d->env, &d->super, NULL);
	if (!err && cmd->need == NEED_MOUNT)
		err = tfs_mount(&d->dev.dev, &d->env, &opt, &d->vol);
	if (err)
		return mount_failed(d, err);
	d->view = tfs_reader_of(d->vol);
	code = d->vol ? dump_view(d) : 0;
	if (!code)
		code = cmd->run(d);
	if (d->vol) {
		tfs_view_close(d->vol);
		tfs_statfs(d->vol, &st);
		if (st.damaged)
			dump_note(d, DUMP_DAMAGE); /* the mount has said what and where */
		tfs_abandon(d->vol);
	}
	return code ? code : d->noted;
}

int main(int argc, char **argv)
{
	static struct dump d;
	const struct command *cmd = NULL;
	int err;

	tfs_cli_start("dump.tfs");
	err = options_parse(&d, argc, argv, &cmd);
	if (err)
		return err < 0 ? tfs_cli_end(0, DUMP_HOST) : err;
	d.env = tfs_user_env();
	err = tfs_file_dev_open(&d.dev, d.image, d.dev.offset, false, 0);
	if (err)
		return tfs_cli_fail(DUMP_USAGE, d.image, "%s", tfs_file_dev_error(err));
	err = run(&d, cmd);
	tfs_file_dev_close(&d.dev);
	err = tfs_cli_end(err, DUMP_HOST);
	dump_end_by_signal();
	return err;
}
