// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* mkfs.tfs: its command line. The man page docs/man/mkfs.tfs.8 says the same at more length. Called by main.c. */
#include "mkfs/mkfs.h"
#include "tfs/nanos/nanos.h"

#include <getopt.h>
#include <stdlib.h>

static const char usage[] =
    "usage: mkfs.tfs [options] IMAGE [SIZE]\n"
    "  --from DIR             fill the volume from a directory\n"
    "  --tar FILE|-           fill it from a tar archive, compressed or not; -: standard input\n"
    "  --manifest FILE        lines 'PATH KEY=VALUE...' that change entries and add new ones; see mkfs.tfs(8)\n"
    "  --size N|auto          bytes, or 512M, 4G; auto: what the content needs and a reserve\n"
    "  --compress none|lz4|zlib[:LEVEL]   of new files (lz4)\n"
    "  -L, --label TEXT  -U, --uuid UUID  --segment-size N\n"
    "  --format tfs|nanos     nanos: a volume of the Nanos kernel; no modes, owners, devices in it\n"
    "  --config FILE          of such a volume: the root tuple's configuration, JSON\n"
    "  --all-root             everything belongs to root, but for what the manifest says\n"
    "  --dry-run              make it in a temporary file, say how much it takes, and throw it away\n"
    "  --json                 one line of JSON about the volume\n"
    "  -f                     overwrite what looks like a filesystem\n"
    "  -q                     say nothing but errors\n"
    "  -V, --version  -h, --help\n"
    "SOURCE_DATE_EPOCH sets the time of creation, and the uuid when none is given.\n"
    "exit: 0 done, 1 usage, 2 source cannot be read or changed while it was read, 3 image cannot be written, 4 no "
    "space\n";

#define CODECS "expected none, lz4, zlib or zlib:1 to zlib:12"

/* Levels are libdeflate's here; what is written later, by zlib, has only 9. */
static int level_parse(const char *text, struct mkfs_options *o)
{
	char *end;
	unsigned long level = strtoul(text + 5, &end, 10);

	if (text[5] < '1' || text[5] > '9' || *end || level > 12)
		return tfs_cli_fail(MKFS_USAGE, text, CODECS);
	o->level = (u8)level;
	o->format.codec = TFS_CODEC_ZLIB;
	o->format.codec_level = (u8)(level < 9 ? level : 9);
	return 0;
}

static int codec_parse(const char *text, struct mkfs_options *o)
{
	struct tfs_format_options *f = &o->format;

	o->codec_given = strcmp(text, "none") != 0;
	if (!strcmp(text, "none"))
		f->codec = TFS_CODEC_NONE;
	else if (!strcmp(text, "lz4"))
		f->codec = TFS_CODEC_LZ4;
	else if (!strcmp(text, "zlib"))
		f->codec = TFS_CODEC_ZLIB;
	else if (!strncmp(text, "zlib:", 5))
		return level_parse(text, o);
	else
		return tfs_cli_fail(MKFS_USAGE, text, CODECS);
	return 0;
}

static int segment_parse(const char *text, struct tfs_format_options *f)
{
	u64 v;

	if (tfs_cli_size(text, &v) || !v || v & (v - 1) || v < 1ull << TFS_SEGMENT_BITS_MIN ||
	    v > 1ull << TFS_SEGMENT_BITS_MAX)
		return tfs_cli_fail(MKFS_USAGE, text, "expected a segment size of 256K, 512K, 1M ... 64M");
	f->segment_bits = (u32)__builtin_ctzll(v);
	return 0;
}

static int label_parse(const char *text, struct tfs_format_options *f)
{
	if (strlen(text) >= sizeof(f->label))
		return tfs_cli_fail(MKFS_USAGE, text, "expected a label of at most %zu bytes", sizeof(f->label) - 1);
	memset(f->label, 0, sizeof(f->label));
	memcpy(f->label, text, strlen(text));
	return 0;
}

static int uuid_parse(const char *text, struct mkfs_options *o)
{
	o->uuid_given = true;
	return tfs_cli_uuid(text, o->format.uuid)
	           ? tfs_cli_fail(MKFS_USAGE, text, "expected a uuid: 32 hex digits, dashes as you like")
	           : 0;
}

static int jobs_parse(const char *text, struct mkfs_options *o)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || !n || n > MKFS_JOBS_MAX)
		return tfs_cli_fail(MKFS_USAGE, text, "expected a number of threads from 1 to %u", MKFS_JOBS_MAX);
	o->jobs = (u32)n;
	return 0;
}

static int flag_take(struct mkfs_options *o, int c)
{
	bool *flag = c == 'f'   ? &o->force
	             : c == 'q' ? &o->quiet
	             : c == 'r' ? &o->all_root
	             : c == 'n' ? &o->dry_run
	             : c == 'J' ? &o->json
	                        : NULL;

	if (!flag)
		return tfs_cli_fail(MKFS_USAGE, NULL, "see mkfs.tfs --help");
	*flag = true;
	return 0;
}

static int option_take(struct mkfs_options *o, int c, const char *arg)
{
	switch (c) {
	case 'd':
		o->from = arg;
		return 0;
	case 't':
		o->tar = arg;
		return 0;
	case 'm':
		o->manifest = arg;
		return 0;
	case 's':
		o->size = arg;
		return 0;
	case 'c':
		return codec_parse(arg, o);
	case 'L':
		return label_parse(arg, &o->format);
	case 'U':
		return uuid_parse(arg, o);
	case 'g':
		return segment_parse(arg, &o->format);
	case 'C':
		o->config = arg;
		return 0;
	case 'F':
		o->nanos = !strcmp(arg, "nanos");
		return o->nanos || !strcmp(arg, "tfs")
		           ? 0
		           : tfs_cli_fail(MKFS_USAGE, arg, "expected --format tfs or nanos");
	case 'j':
		return jobs_parse(arg, o);
	}
	return flag_take(o, c);
}

static int operands_take(struct mkfs_options *o, int n, char **v)
{
	static char *nowhere[] = {"(dry run)"};

	if (n < 1 && o->dry_run) {
		v = nowhere;
		n = 1;
	}
	if (n < 1 || n > 2)
		return tfs_cli_fail(MKFS_USAGE, NULL, "expected IMAGE and perhaps SIZE; see mkfs.tfs --help");
	if (n == 2 && o->size)
		return tfs_cli_fail(MKFS_USAGE, v[1], "the size is given twice");
	if (o->from && o->tar)
		return tfs_cli_fail(MKFS_USAGE, NULL, "expected --from or --tar, not both");
	o->image = v[0];
	if (n == 2)
		o->size = v[1];
	return 0;
}

/* What does not go together with the kind of volume. */
static int format_check(struct mkfs_options *o)
{
	if (!o->nanos)
		return o->config ? tfs_cli_fail(MKFS_USAGE, "--config", "is for --format nanos") : 0;
	if (o->format.segment_bits)
		return tfs_cli_fail(MKFS_USAGE, "--segment-size", "a Nanos volume has no segments");
	if (o->codec_given)
		return tfs_cli_fail(MKFS_USAGE, "--compress", "a Nanos volume is never compressed");
	if (strlen(o->format.label) > NANOS_LABEL_MAX)
		return tfs_cli_fail(MKFS_USAGE, o->format.label, "expected a label of at most %u bytes",
		                    NANOS_LABEL_MAX);
	o->format.codec = TFS_CODEC_NONE;
	return 0;
}

int mkfs_options_parse(struct mkfs_options *o, int argc, char **argv, bool *done)
{
	static const struct option list[] = {
	    {"from", 1, 0, 'd'},    {"tar", 1, 0, 't'},          {"manifest", 1, 0, 'm'},
	    {"size", 1, 0, 's'},    {"compress", 1, 0, 'c'},     {"label", 1, 0, 'L'},
	    {"uuid", 1, 0, 'U'},    {"segment-size", 1, 0, 'g'}, {"all-root", 0, 0, 'r'},
	    {"dry-run", 0, 0, 'n'}, {"json", 0, 0, 'J'},         {"force", 0, 0, 'f'},
	    {"quiet", 0, 0, 'q'},   {"version", 0, 0, 'V'},      {"help", 0, 0, 'h'},
	    {"format", 1, 0, 'F'},  {"config", 1, 0, 'C'},       {0, 0, 0, 0}};
	int c, err = 0;

	o->format.codec = TFS_CODEC_LZ4;
	o->level = MKFS_ZLIB_LEVEL;
	o->jobs = mkfs_cpus();
	while (!err && (c = getopt_long(argc, argv, "fqhVL:U:j:", list, NULL)) != -1) {
		*done = c == 'h' || c == 'V';
		if (c == 'h')
			fputs(usage, stdout);
		if (c == 'V')
			printf("mkfs.tfs, TFS format version %u\n", TFS_VERSION);
		if (*done)
			return tfs_cli_end(MKFS_OK, MKFS_DEVICE);
		err = option_take(o, c, optarg);
	}
	if (!err)
		err = format_check(o);
	return err ? err : operands_take(o, argc - optind, argv + optind);
}
