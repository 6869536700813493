// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * dump.tfs: looking into a volume without mounting it and without root. Opens the image read-only; the log of a crashed
 * volume is replayed in memory, so what one sees is what a mount would show. Never writes to the image.
 */
#include "fsck/dump.h"
#include "tfs/user/file_dev.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] = "usage: dump.tfs super IMAGE\n"
			    "       dump.tfs ls IMAGE [PATH]        everything below, one a line\n"
			    "       dump.tfs stat IMAGE PATH\n"
			    "       dump.tfs cat IMAGE PATH\n"
			    "       dump.tfs extract IMAGE DIR      all files, as they were\n"
			    "options: --offset N   the volume begins N bytes into IMAGE\n"
			    "exit: 0 done, 1 usage or no such path, 2 not a sound volume, 3 cannot write\n";

int dump_fail(int code, const char *object, const char *what)
{
	fprintf(stderr, "dump.tfs: ");
	dump_name(stderr, object, strlen(object));
	fprintf(stderr, ": %s\n", what);
	return code;
}

/* Names may hold anything: control and non-ASCII bytes that are no UTF-8 are shown as \xNN. */
static size_t utf8_len(const u8 *p, size_t left)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 && p[0] >= 0xc2 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0, i;

	if (!n || n > left || (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)))
		return 0;
	for (i = 1; i < n; i++)
		if (p[i] >> 6 != 2)
			return 0;
	return n == 2 && p[0] == 0xc2 && p[1] < 0xa0 ? 0 : n; /* C1 controls */
}

void dump_name(FILE *out, const char *name, size_t len)
{
	const u8 *p = (const u8 *)name;
	size_t n;

	for (; len; p += n ? n : 1, len -= n ? n : 1) {
		n = utf8_len(p, len);
		if (!n || *p == '\\')
			fprintf(out, "\\x%02x", *p), n = 0;
		else
			fwrite(p, 1, n, out);
	}
}

static int resolve(struct tfs_vol *vol, const char *path, u64 *ino)
{
	*ino = TFS_INO_ROOT;
	while (*path) {
		size_t n = strcspn(path, "/");
		u8 type;
		int err = n ? tfs_lookup(vol, *ino, path, (u32)n, ino, &type) : 0;

		if (err)
			return err;
		path += n + (path[n] == '/');
	}
	return 0;
}

/* ---- commands ---- */

static int cmd_super(struct tfs_vol *vol)
{
	const struct tfs_super *s = tfs_super_of(vol);
	struct tfs_stat st;
	int i;

	tfs_statfs(vol, &st);
	printf("label          ");
	dump_name(stdout, (const char *)s->label, strnlen((const char *)s->label, sizeof(s->label)));
	printf("\nuuid           ");
	for (i = 0; i < 16; i++)
		printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", s->uuid[i]);
	printf("\nvolume         %016llx\nsize           %llu\nsegments       %llu of %u bytes\n",
	       (unsigned long long)st.volume, (unsigned long long)st.size, (unsigned long long)st.segments,
	       1u << st.segment_bits);
	printf("bytes in use   %llu\nblocks         %llu, free %llu, available %llu\ninodes         %llu\n",
	       (unsigned long long)st.live_units * 512, (unsigned long long)st.blocks, (unsigned long long)st.free,
	       (unsigned long long)st.available, (unsigned long long)st.inodes);
	printf("epoch          %llu\nnext record    %llu\nclean          %s\ndamaged        %s\n",
	       (unsigned long long)st.epoch, (unsigned long long)st.sequence, st.was_clean ? "yes" : "no, log replayed",
	       st.damaged ? "yes" : "no");
	return st.damaged ? 2 : 0;
}

static int show(struct tfs_vol *vol, u64 ino, const char *path)
{
	struct tfs_attr a;
	char target[4096];
	int n, err = tfs_getattr(vol, ino, &a);

	if (err)
		return dump_fail(2, path, strerror(-err));
	printf("%06o %u %u:%u %llu %lld.%09u ", a.mode, a.nlink, a.uid, a.gid, (unsigned long long)a.size,
	       (long long)tfs_le64(a.mtime.sec), tfs_le32(a.mtime.nsec));
	dump_name(stdout, path, strlen(path));
	if ((a.mode & 0170000) == 0120000) {
		n = tfs_readlink(vol, ino, target, sizeof(target));
		if (n < 0)
			return dump_fail(2, path, strerror(-n));
		printf(" -> ");
		dump_name(stdout, target, (size_t)n);
	}
	putchar('\n');
	return 0;
}

struct ls {
	struct tfs_vol *vol;
	const char *path;
	u32 depth;
	int err;
};

static int ls_dir(struct tfs_vol *vol, u64 ino, const char *path, u32 depth);

static int ls_entry(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct ls *l = arg;
	char *path;

	(void)next;
	path = malloc(strlen(l->path) + len + 2);
	if (!path)
		return l->err = dump_fail(3, l->path, "out of memory");
	sprintf(path, "%s%s%.*s", l->path, *l->path ? "/" : "", (int)len, name);
	l->err = show(l->vol, ino, path);
	if (!l->err && type == 4)
		l->err = ls_dir(l->vol, ino, path, l->depth + 1);
	free(path);
	return l->err;
}

static int ls_dir(struct tfs_vol *vol, u64 ino, const char *path, u32 depth)
{
	struct ls l = { vol, path, depth, 0 };
	u64 pos = 0;
	int err;

	if (depth > 2048)
		return dump_fail(2, path, "directories nest deeper than 2048; a cycle?");
	err = tfs_readdir(vol, ino, &pos, ls_entry, &l);
	return l.err ? l.err : err ? dump_fail(2, path, strerror(-err)) : 0;
}

static int cmd_cat(struct tfs_vol *vol, u64 ino, const char *path)
{
	static u8 buf[65536];
	u64 at = 0;
	s64 n;

	while ((n = tfs_read(vol, ino, at, buf, sizeof(buf))) > 0) {
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			return dump_fail(3, "standard output", strerror(errno));
		at += (u64)n;
	}
	return n < 0 ? dump_fail(2, path, "content cannot be read; fsck names the place") : 0;
}

static int command(struct tfs_vol *vol, const char *name, const char *path)
{
	u64 ino;

	if (!strcmp(name, "super"))
		return cmd_super(vol);
	if (!strcmp(name, "extract"))
		return path ? dump_extract(vol, path) : dump_fail(1, "extract", "expected a directory to write to");
	if (resolve(vol, path ? path : "", &ino))
		return dump_fail(1, path, "no such file or directory in the volume");
	if (!strcmp(name, "ls")) {
		struct tfs_attr a;

		if (!tfs_getattr(vol, ino, &a) && (a.mode & 0170000) == 0040000)
			return ls_dir(vol, ino, path ? path : "", 0);
		return show(vol, ino, path);
	}
	if (!path)
		return dump_fail(1, name, "expected a path");
	if (!strcmp(name, "stat"))
		return show(vol, ino, path);
	return cmd_cat(vol, ino, path);
}

int main(int argc, char **argv)
{
	static const struct option list[] = { { "offset", 1, 0, 'o' }, { "help", 0, 0, 'h' }, { 0, 0, 0, 0 } };
	struct tfs_mount_options opt = { .flags = TFS_MOUNT_RO };
	struct tfs_env env = tfs_user_env();
	struct tfs_file_dev dev;
	struct tfs_vol *vol;
	u64 offset = 0;
	int c, err;

	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (c == 'o')
			offset = strtoull(optarg, NULL, 0);
		else
			return fputs(usage, c == 'h' ? stdout : stderr), c != 'h';
	}
	if (argc - optind < 2 || argc - optind > 3 || !strstr(" super ls stat cat extract ", argv[optind]))
		return fputs(usage, stderr), 1;
	err = tfs_file_dev_open(&dev, argv[optind + 1], offset, false, 0);
	if (err)
		return dump_fail(1, argv[optind + 1], err == -EBUSY ? "another tool is writing it" : strerror(-err));
	err = tfs_mount(&dev.dev, &env, &opt, &vol);
	if (err)
		return dump_fail(2, argv[optind + 1],
				 err == -EINVAL ? "expected a TFS superblock at byte 4096 or in the last block, found none" :
				 err == -EUCLEAN ? "is damaged" : strerror(-err));
	err = command(vol, argv[optind], argv[optind + 2]);
	tfs_unmount(vol);
	tfs_file_dev_close(&dev);
	if (fflush(stdout) || ferror(stdout))
		err = dump_fail(3, "standard output", strerror(errno));
	return err;
}
