// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * mkfs.tfs: options, the device, and the order of things: old superblocks cleared, content, checkpoint, anchors,
 * superblocks last, so that an interrupted run leaves nothing mountable. Exit codes are enum mkfs_exit.
 */
#include "mkfs/mkfs.h"
#include "tfs/user/file_dev.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static const char usage[] =
	"usage: mkfs.tfs [options] IMAGE [SIZE]\n"
	"  --from DIR             fill the volume from a directory\n"
	"  --size N|auto          bytes, or 512M, 4G; auto: what the content needs and a reserve\n"
	"  --compress none|lz4|zlib[:LEVEL]   of new files (lz4)\n"
	"  --label TEXT  --uuid UUID  --segment-size N\n"
	"  --all-root             everything belongs to root\n"
	"  -f                     overwrite what looks like a filesystem\n"
	"  -q                     say nothing but errors\n"
	"SOURCE_DATE_EPOCH sets the time of creation, and the uuid when none is given.\n"
	"exit: 0 done, 1 usage, 2 source cannot be read, 3 image cannot be written, 4 no space\n";

struct options {
	const char *from, *size, *image;
	struct tfs_format_options format;
	bool force, quiet, all_root, uuid_given;
};

int mkfs_fail(int code, const char *object, const char *what)
{
	fprintf(stderr, "mkfs.tfs: %s: %s\n", object, what);
	return code;
}

int mkfs_failed(const char *object, int err)
{
	if (err == -ENOSPC)
		return mkfs_fail(MKFS_FULL, object, "does not fit into the volume; give a larger size or --size auto");
	return mkfs_fail(MKFS_DEVICE, object, strerror(-err));
}

static int size_parse(const char *text, u64 *out)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	const char *unit = "KMGTP", *u;

	if (end == text)
		return -1;
	if (*end && (u = strchr(unit, *end >= 'a' ? *end - 32 : *end))) {
		if (v >> (54 - 10 * (u - unit)))
			return -1;
		v <<= 10 * (u - unit + 1);
		end++;
		if (!strcmp(end, "iB"))
			end += 2;
	}
	*out = v;
	return *end ? -1 : 0;
}

static int uuid_parse(const char *text, u8 *out)
{
	int i = 0, hi, lo;

	while (*text && i < 16) {
		if (*text == '-') {
			text++;
			continue;
		}
		if (sscanf(text, "%1x%1x", (unsigned *)&hi, (unsigned *)&lo) != 2)
			return -1;
		out[i++] = (u8)(hi << 4 | lo);
		text += 2;
	}
	return i == 16 && !*text ? 0 : -1;
}

static int codec_parse(const char *text, struct tfs_format_options *f)
{
	if (!strcmp(text, "none"))
		f->codec = TFS_CODEC_NONE;
	else if (!strcmp(text, "lz4"))
		f->codec = TFS_CODEC_LZ4;
	else if (!strncmp(text, "zlib", 4) && (!text[4] || (text[4] == ':' && text[5] >= '1' && text[5] <= '9' && !text[6])))
		f->codec = TFS_CODEC_ZLIB, f->codec_level = text[4] ? (u8)(text[5] - '0') : 0;
	else
		return -1;
	return 0;
}

static int segment_parse(const char *text, struct tfs_format_options *f)
{
	u64 v;

	if (size_parse(text, &v) || !v || v & (v - 1) || v < 1ull << TFS_SEGMENT_BITS_MIN || v > 1ull << TFS_SEGMENT_BITS_MAX)
		return -1;
	f->segment_bits = (u32)__builtin_ctzll(v);
	return 0;
}

static int option_take(struct options *o, int c, const char *arg)
{
	switch (c) {
	case 'd':
		o->from = arg;
		return 0;
	case 's':
		o->size = arg;
		return 0;
	case 'c':
		return codec_parse(arg, &o->format);
	case 'l':
		return strlen(arg) < sizeof(o->format.label) ? (strcpy(o->format.label, arg), 0) : -1;
	case 'u':
		o->uuid_given = true;
		return uuid_parse(arg, o->format.uuid);
	case 'g':
		return segment_parse(arg, &o->format);
	case 'r':
		o->all_root = true;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	}
	return -1;
}

static int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option list[] = { { "from", 1, 0, 'd' },	     { "size", 1, 0, 's' },
					      { "compress", 1, 0, 'c' },     { "label", 1, 0, 'l' },
					      { "uuid", 1, 0, 'u' },	     { "segment-size", 1, 0, 'g' },
					      { "all-root", 0, 0, 'r' },     { "help", 0, 0, 'h' },
					      { 0, 0, 0, 0 } };
	int c;

	o->format.codec = TFS_CODEC_LZ4;
	while ((c = getopt_long(argc, argv, "fqL:U:", list, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		c = c == 'L' ? 'l' : c == 'U' ? 'u' : c;
		if (c == '?' || option_take(o, c, optarg))
			return mkfs_fail(MKFS_USAGE, c == '?' ? "options" : optarg, "not understood; see mkfs.tfs --help");
	}
	if (argc - optind < 1 || argc - optind > 2) {
		fputs(usage, stderr);
		return MKFS_USAGE;
	}
	o->image = argv[optind];
	if (argc - optind == 2)
		o->size = argv[optind + 1];
	return 0;
}

/* The time of creation and the uuid: from SOURCE_DATE_EPOCH, or now and random. */
static void identity(struct options *o)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct tfs_env env = tfs_user_env();
	u32 i, crc = 0;

	o->format.created = epoch ? (struct tfs_time){ tfs_cpu64(strtoull(epoch, NULL, 10)), 0, 0 } : env.now(NULL);
	if (o->uuid_given)
		return;
	if (!epoch && getrandom(o->format.uuid, 16, 0) == 16)
		return;
	for (i = 0; i < 4; i++) {
		crc = tfs_port_crc32c(crc + i, &o->format.created, sizeof(o->format.created));
		crc = tfs_port_crc32c(crc, o->format.label, sizeof(o->format.label));
		memcpy(o->format.uuid + 4 * i, &crc, 4);
	}
}

/* Does the device carry something that people would miss? */
static const char *signature(struct tfs_dev *dev)
{
	static u8 block[3 * TFS_BLOCK];

	if (dev->size < sizeof(block) || dev->ops->io(dev, TFS_IO_READ, 0, block, sizeof(block), 0))
		return NULL;
	if (!tfs_super_check(block + TFS_SUPER_OFFSET, 0))
		return "holds a TFS volume; -f overwrites it";
	if (block[1080] == 0x53 && block[1081] == 0xef)
		return "holds an ext2/3/4 filesystem; -f overwrites it";
	if (!memcmp(block, "XFSB", 4))
		return "holds an XFS filesystem; -f overwrites it";
	if (block[510] == 0x55 && block[511] == 0xaa)
		return "holds a partition table or boot sector; -f overwrites it";
	return NULL;
}

static int mounted(const char *path)
{
	char line[4096], real[4096];
	FILE *f = fopen("/proc/self/mounts", "r");
	int hit = 0;

	if (!f || !realpath(path, real)) {
		if (f)
			fclose(f);
		return 0;
	}
	while (!hit && fgets(line, sizeof(line), f))
		hit = !strncmp(line, real, strlen(real)) && line[strlen(real)] == ' ';
	fclose(f);
	return hit;
}

static int size_choose(struct options *o, u64 *size, bool *automatic)
{
	*automatic = o->size && !strcmp(o->size, "auto");
	if (!o->size && o->from && access(o->image, F_OK))
		*automatic = true;
	if (*automatic) {
		*size = 96ull << 20;
		if (o->from && mkfs_estimate(o->from, size))
			return MKFS_SOURCE;
		*size = (*size + *size / 4) & ~4095ull;
		return 0;
	}
	if (o->size && size_parse(o->size, size))
		return mkfs_fail(MKFS_USAGE, o->size, "expected a size such as 512M or auto");
	if (o->size && *size < TFS_MIN_VOLUME)
		return mkfs_fail(MKFS_USAGE, o->size, "expected at least 16M");
	return 0;
}

static int fill(struct mkfs *m, const struct options *o, struct tfs_file_dev *dev, bool automatic)
{
	u64 size = 0;
	int err = o->from ? mkfs_walk(m, o->from) : 0;

	if (err)
		return err;
	if (automatic) {
		size = tfs_format_min_size(m->vol);
		size = (size + size / 16 + 4095) & ~4095ull;
		if (size > dev->dev.size)
			size = dev->dev.size;
	}
	err = tfs_format_finish(m->vol, size);
	if (!err && size && ftruncate(dev->fd, (off_t)size))
		err = -errno;
	return err ? mkfs_failed(o->image, err) : 0;
}

static int build(struct options *o, struct tfs_file_dev *dev, bool automatic)
{
	struct tfs_env env = tfs_fixed_env(&o->format.created, 1);
	struct mkfs m = { .codec = o->format.codec, .level = o->format.codec_level, .all_root = o->all_root };
	struct tfs_stat st;
	int err;

	o->format.size = dev->dev.size;
	err = tfs_format(&dev->dev, &env, &o->format, &m.vol);
	if (err)
		return err == -EINVAL ? mkfs_fail(MKFS_USAGE, o->image, "size and segment size do not go together") :
					mkfs_failed(o->image, err);
	err = fill(&m, o, dev, automatic);
	tfs_statfs(m.vol, &st);
	tfs_abandon(m.vol);
	if (!err && !o->quiet)
		printf("%s: %llu files, %llu of %llu KiB used, segments of %u KiB\n", o->image, (unsigned long long)m.files,
		       (unsigned long long)st.live_units / 2, (unsigned long long)st.blocks * 4,
		       (1u << st.segment_bits) / 1024);
	return err;
}

int main(int argc, char **argv)
{
	static struct options o;
	struct tfs_file_dev dev;
	bool automatic;
	const char *old;
	u64 size = 0;
	int err = options_parse(&o, argc, argv);

	if (!err)
		err = size_choose(&o, &size, &automatic);
	if (err)
		return err;
	identity(&o);
	if (mounted(o.image))
		return mkfs_fail(MKFS_DEVICE, o.image, "is mounted");
	if (!o.force && !tfs_file_dev_open(&dev, o.image, 0, false, 0)) {
		old = signature(&dev.dev);
		tfs_file_dev_close(&dev);
		if (old)
			return mkfs_fail(MKFS_DEVICE, o.image, old);
	}
	err = tfs_file_dev_open(&dev, o.image, 0, true, size);
	if (err)
		return mkfs_fail(MKFS_DEVICE, o.image, err == -ENOENT ? "does not exist; give a size to make it" : strerror(-err));
	if (dev.dev.size < TFS_MIN_VOLUME)
		return mkfs_fail(MKFS_DEVICE, o.image, "is smaller than 16 MiB");
	err = build(&o, &dev, automatic);
	if (tfs_file_dev_close(&dev) && !err)
		err = mkfs_fail(MKFS_DEVICE, o.image, "cannot be written to the end");
	return err;
}
