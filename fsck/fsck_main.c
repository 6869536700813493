// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * fsck.tfs: options, the summary and the exit bits of fsck(8), which are enum fsck_exit. What is done lies in
 * fsck_run.c.
 */
#include "fsck/fsck_nanos.h"
#include "tfs/user/file_dev.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] = "usage: fsck.tfs [options] IMAGE\n"
                            "  -n            change nothing, answer no to everything\n"
                            "  -y            answer yes to everything\n"
                            "  -a, -p        repair without asking what loses nothing; stop at anything else\n"
                            "  -f            check although the volume is clean\n"
                            "  --data        read all data and verify its checksums (implies -f)\n"
                            "  -C FD         progress to a file descriptor, as fsck(8) wants it\n"
                            "  --json        one JSON object a line: problems, then a summary\n"
                            "  -q            say nothing about a sound volume\n"
                            "  --offset N    the volume begins at byte N of IMAGE\n"
                            "  --undo FILE   save every block that is changed; --restore FILE puts them back\n"
                            "  --to FILE     of a Nanos volume: repair a copy\n"
                            "  --format tfs|nanos  --partition root|boot|1-4   else: what the content says, root\n"
                            "  --log-at BLOCK  where the log of a Nanos volume goes on, when it cannot be told\n"
                            "  --problems    list all that is known to go wrong\n"
                            "exit: 0 sound, 1 repaired, 4 problems left, 8 could not be done, 16 usage, 32 cancelled\n";

struct options {
	const char *image, *undo, *restore, *to, *format, *partition;
	u64 log_at;
	u64 offset;
	bool no, yes, preen, force;
	int fd;
};

/* As e2fsck: a negative number is none. */
static int progress_fd(const char *text, int *fd)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (end == text || *end || errno || n > INT_MAX || (n >= 0 && fcntl((int)n, F_GETFD) < 0))
		return tfs_cli_fail(FSCK_USAGE, text, "expected the number of an open file descriptor");
	*fd = n < 0 ? -1 : (int)n;
	return 0;
}

static int options_parse(struct options *o, struct fsck *f, int argc, char **argv)
{
	static const struct option list[] = {{"data", 0, 0, 'D'},      {"json", 0, 0, 'J'},    {"offset", 1, 0, 'O'},
	                                     {"undo", 1, 0, 'U'},      {"restore", 1, 0, 'R'}, {"problems", 0, 0, 'L'},
	                                     {"help", 0, 0, 'h'},      {"to", 1, 0, 'T'},      {"format", 1, 0, 'F'},
	                                     {"partition", 1, 0, 'X'}, {"log-at", 1, 0, 'A'},  {0, 0, 0, 0}};
	int c;

	o->fd = -1;
	while ((c = getopt_long(argc, argv, "nyapfqC:", list, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->no = true;
			break;
		case 'y':
			o->yes = true;
			break;
		case 'a':
		case 'p':
			o->preen = true;
			break;
		case 'f':
			o->force = true;
			break;
		case 'q':
			f->quiet = true;
			break;
		case 'D':
			f->data = o->force = true;
			break;
		case 'J':
			f->json = true;
			break;
		case 'C':
			if (progress_fd(optarg, &o->fd))
				return FSCK_USAGE;
			break;
		case 'U':
			o->undo = optarg;
			break;
		case 'R':
			o->restore = optarg;
			break;
		case 'T':
			o->to = optarg;
			break;
		case 'F':
			o->format = optarg;
			if (strcmp(optarg, "tfs") && strcmp(optarg, "nanos"))
				return tfs_cli_fail(FSCK_USAGE, optarg, "expected --format tfs or nanos");
			break;
		case 'X':
			o->partition = optarg;
			break;
		case 'A':
			if (tfs_cli_size(optarg, &o->log_at) || !o->log_at)
				return tfs_cli_fail(FSCK_USAGE, optarg, "expected the number of a block");
			break;
		case 'O':
			if (tfs_cli_size(optarg, &o->offset))
				return tfs_cli_fail(FSCK_USAGE, optarg,
				                    "expected an offset in bytes, such as 1048576 or 1M");
			break;
		case 'L':
			fsck_list_problems();
			exit(tfs_cli_end(FSCK_OK, FSCK_FAILED));
		case 'h':
			fputs(usage, stdout);
			exit(tfs_cli_end(FSCK_OK, FSCK_FAILED));
		default:
			fputs(usage, stderr);
			return FSCK_USAGE;
		}
	}
	if (argc - optind != 1 || o->no + o->yes + o->preen > 1 || (o->no && (o->undo || o->restore || o->to)) ||
	    (o->to && (o->undo || o->restore))) {
		fputs(usage, stderr);
		return FSCK_USAGE;
	}
	o->image = argv[optind];
	f->mode = o->no ? MODE_CHECK : o->yes ? MODE_YES : o->preen ? MODE_PREEN : MODE_ASK;
	return 0;
}

/* ---- the end ---- */

static void summary(struct fsck *f, int code, bool checked)
{
	u64 blocks = f->st.blocks, free = f->st.free;

	tfs_progress_end(&f->progress);
	if (f->stop_preen)
		tfs_cli_fail(
		    0, f->image,
		    "unexpected inconsistency; run fsck.tfs without -a or -p; but for superblocks and anchors, "
		    "the repairs above were not made");
	else if (f->log_kept && f->mode == MODE_ASK)
		tfs_cli_fail(
		    0, f->image,
		    "a repair would give up the rest of the log; but for superblocks and anchors, the repairs above "
		    "were not made");
	if (f->quiet && !code)
		return;
	if (!f->json) {
		printf("%s: %s, %llu inodes, %llu of %llu blocks free", f->image,
		       code & FSCK_LEFT    ? "has problems"
		       : code & FSCK_FIXED ? "repaired"
		       : checked           ? "sound"
		                           : "clean",
		       (unsigned long long)f->st.inodes, (unsigned long long)free, (unsigned long long)blocks);
		printf(f->found ? "; %u problems, %u repaired\n" : "\n", f->found, f->fixed);
		return;
	}
	printf("{\"image_exit\":%d,\"checked\":%s,\"problems\":%u,\"repaired\":%u,\"inodes\":%llu,\"blocks\":%llu,"
	       "\"free\":%llu}\n",
	       code, checked ? "true" : "false", f->found, f->fixed, (unsigned long long)f->st.inodes,
	       (unsigned long long)blocks, (unsigned long long)free);
}

static int conclude(struct fsck *f, int err)
{
	bool checked = f->objects != 0;

	if (err == -EINVAL && !f->live)
		return FSCK_FAILED; /* said already */
	if (err)
		return tfs_cli_fail(err == -EUCLEAN ? FSCK_LEFT : FSCK_FAILED, f->image, "%s%s%s",
		                    err == -EUCLEAN ? "cannot be opened and there is no second copy to repair it from"
		                                    : strerror(-err),
		                    *fsck_core_message() ? ": " : "", fsck_core_message());
	if (f->stop_preen || f->log_kept) {
		f->left = f->found;
		f->fixed = 0;
	}
	err = f->left ? FSCK_LEFT : f->fixed ? FSCK_FIXED : FSCK_OK;
	summary(f, err, checked);
	return err;
}

static int run(struct options *o, struct fsck *f, struct tfs_file_dev *file)
{
	struct tfs_nanos_place place;
	struct fsck_nanos_options nanos = {o->image, o->to, o->undo, o->restore, &place, o->log_at, o->fd};
	int err, code;

	f->dev = &file->dev;
	f->image = o->image;
	fsck_env = tfs_user_env();
	err = tfs_nanos_find(file, &fsck_env, o->format, o->partition, &place);
	if (err == -EINVAL && !o->partition) /* asked for: block 0 may be what is damaged */
		err = 1;
	if (err < 0)
		return tfs_cli_fail(FSCK_USAGE, o->image, "%s", place.why);
	if (err || (o->restore && fsck_nanos_undo_is(o->restore)))
		return fsck_nanos_run(f, file, &nanos);
	if (o->to)
		return tfs_cli_fail(FSCK_USAGE, o->image, "--to is for Nanos volumes; --undo keeps a way back here");
	if (o->restore)
		return fsck_undo_restore(o->restore, f->dev) ? FSCK_FAILED : FSCK_FIXED;
	if (o->undo) {
		err = fsck_undo_open(&file->dev, o->undo, &f->dev);
		if (err)
			return tfs_cli_fail(FSCK_FAILED, o->undo, "expected a file that can be created: %s",
			                    strerror(-err));
	}
	tfs_progress_start(&f->progress, f->quiet || f->json, o->fd, 4);
	code = conclude(f, fsck_check(f, o->force));
	if (o->undo && fsck_undo_close(f->dev))
		code |= tfs_cli_fail(FSCK_FAILED, o->undo, "cannot be written to the end");
	return code;
}

/* Ends at once: before the last checkpoint of a repair nothing has changed, and a checkpoint may be cut off anywhere.
 */
static void on_signal(int sig)
{
	(void)sig;
	_exit(FSCK_CANCELLED);
}

int main(int argc, char **argv)
{
	static struct options o;
	static struct fsck f;
	struct tfs_file_dev file;
	int err;

	tfs_cli_start("fsck.tfs");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	err = options_parse(&o, &f, argc, argv);
	if (err)
		return err;
	if (f.mode == MODE_ASK && !o.restore && !isatty(STDIN_FILENO))
		return tfs_cli_fail(FSCK_FAILED, o.image, "no terminal to ask on; give -n, -p or -y");
	err = tfs_file_dev_open(&file, o.image, o.offset, (f.mode != MODE_CHECK && !o.to) || o.restore, 0);
	if (err)
		return tfs_cli_fail(FSCK_FAILED, o.image, "%s", tfs_file_dev_error(err));
	err = run(&o, &f, &file);
	fsck_free(&f);
	if (tfs_file_dev_close(&file) && !(err & FSCK_FAILED))
		err |= tfs_cli_fail(FSCK_FAILED, o.image, "cannot be written to the end");
	return tfs_cli_end(err, FSCK_FAILED);
}
