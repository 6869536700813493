// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Restoring a backup as a volume that is made anew: of a Nanos volume to either format, of one of ours as a Nanos
 * volume. The way is that of tfs convert: the backup as a tar archive into a pipe, at whose other end mkfs.tfs makes
 * the volume. Also the view that leaves out what only a shadow has.
 */
#define _GNU_SOURCE
#include "backup/nanos.h"
#include "tfs/user/tools.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool bk_is_nanos(const struct bk_backup *b)
{
	return tfs_le32(b->m->flags) & BK_NANOS;
}

/* ---- the view ---- */

static int listxattr(void *vol, u64 ino, char *buf, u32 size)
{
	int n = tfs_listxattr(vol, ino, NULL, 0), kept = 0;
	char *all = n > 0 ? malloc((size_t)n) : NULL;

	if (n > 0)
		n = all ? tfs_listxattr(vol, ino, all, (u32)n) : -ENOMEM;
	for (int at = 0, len; n > 0 && at < n; at += len) {
		len = (int)strlen(all + at) + 1;
		if (!strncmp(all + at, BK_NANOS_XATTR, strlen(BK_NANOS_XATTR)))
			continue;
		if (size && (u32)(kept + len) > size) {
			n = -ERANGE;
			break;
		}
		if (size)
			memcpy(buf + kept, all + at, (size_t)len);
		kept += len;
	}
	free(all);
	return n < 0 ? n : kept;
}

struct tfs_reader bk_nanos_view(struct tfs_vol *vol)
{
	static struct tfs_reader_ops ops;
	struct tfs_reader r = tfs_reader_of(vol);

	ops = *r.ops;
	ops.listxattr = listxattr;
	r.ops = &ops;
	return r;
}

/* ---- what the root has of the volume ---- */

struct kept {
	int config; /* a file in memory with JSON; -1: none */
	u64 size;   /* bytes; 0: not known */
};

static int kept_read(struct tfs_vol *vol, struct kept *k)
{
	static char piece[TFS_XATTR_MAX];
	char name[64];
	int n = 0;

	k->config = memfd_create("config", 0);
	for (u32 i = 0; k->config >= 0; i++) {
		snprintf(name, sizeof(name), BK_NANOS_CONFIG, i);
		n = tfs_getxattr(vol, TFS_INO_ROOT, name, (u32)strlen(name), piece, sizeof(piece));
		if (n < 0)
			break;
		if (write(k->config, piece, (size_t)n) != n)
			return -ENOMEM;
	}
	if (k->config < 0)
		return -errno;
	if (n != -ENODATA)
		return n;
	n = tfs_getxattr(vol, TFS_INO_ROOT, BK_NANOS_SIZE, strlen(BK_NANOS_SIZE), piece, 32);
	if (n > 0 && n < 32) {
		piece[n] = 0;
		k->size = strtoull(piece, NULL, 10);
	}
	return n < 0 ? n : 0;
}

static int kept_find(struct bk_repo *r, const struct bk_backup *b, struct kept *k)
{
	struct bk_image i;
	int code, err;

	if (!bk_is_nanos(b))
		return 0;
	code = bk_image_open(&i, r, b);
	if (code)
		return code;
	err = kept_read(i.vol, k);
	code = !err ? 0
	       : i.code
	           ? i.code
	           : tfs_cli_fail(BK_DAMAGE, NULL, "the volume's configuration cannot be read: %s", strerror(-err));
	bk_image_close(&i);
	return code;
}

/* ---- making the volume ---- */

int bk_nanos_restores(const struct bk_options *o, const struct bk_backup *b, bool *yes)
{
	bool theirs = o->format && !strcmp(o->format, "nanos");

	*yes = bk_is_nanos(b) || theirs;
	if (!o->format || theirs || !strcmp(o->format, "tfs"))
		return 0;
	return tfs_cli_fail(BK_USAGE, o->format, "expected --format tfs or nanos");
}

/* The archive goes out while mkfs.tfs reads it. Both exit codes; -1: not started. */
static int pipe_through(struct bk_repo *r, const char *which, char *const argv[], int *made)
{
	char output[32];
	int ends[2], code;
	pid_t maker;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	maker = tfs_tool_start(argv, ends[0], -1);
	close(ends[0]);
	if (maker < 0) {
		close(ends[1]);
		return -1;
	}
	snprintf(output, sizeof(output), "/dev/fd/%d", ends[1]);
	code = bk_look_tar(r, which, output);
	close(ends[1]);
	*made = tfs_tool_end(maker);
	return code;
}

/* A Nanos volume is as large as its file: it was made as small as it can be. */
static int size_bring(const char *path, u64 size)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || (u64)st.st_size >= size)
		return 0;
	return truncate(path, (off_t)size) ? tfs_cli_fail(BK_VOLUME, path, "%s", strerror(errno)) : 0;
}

static int volume_make(struct bk_repo *r, const char *which, const struct bk_backup *b, const struct kept *k,
                       bool theirs)
{
	const struct tfs_super *super = (const struct tfs_super *)b->m->super;
	char label[65], uuid[37], config[32], mkfs[TFS_TOOL_PATH];
	char *argv[16];
	int n = 0, made = 0, code;

	snprintf(label, sizeof(label), "%.64s", (const char *)super->label);
	if (theirs && strlen(label) > NANOS_LABEL_MAX) {
		label[NANOS_LABEL_MAX] = 0;
		tfs_cli_warn(r->o->to, "note: the label is cut to '%s'", label);
	}
	tfs_cli_uuid_text(super->uuid, uuid);
	snprintf(config, sizeof(config), "/dev/fd/%d", k->config);
	argv[n++] = (char *)tfs_tool_find("mkfs.tfs", mkfs);
	argv[n++] = "--format";
	argv[n++] = theirs ? "nanos" : "tfs";
	argv[n++] = "--label";
	argv[n++] = label;
	argv[n++] = "--uuid";
	argv[n++] = uuid;
	if (r->o->force)
		argv[n++] = "-f";
	if (r->o->quiet)
		argv[n++] = "-q";
	if (theirs && k->config >= 0) {
		argv[n++] = "--config";
		argv[n++] = config;
	}
	argv[n++] = "--tar";
	argv[n++] = "-";
	argv[n++] = (char *)r->o->to;
	argv[n] = NULL;
	code = pipe_through(r, which, argv, &made);
	if (code < 0)
		return tfs_cli_fail(BK_HOST, argv[0], "cannot be started: %s", strerror(errno));
	if (made)
		return tfs_cli_fail(code && code != BK_HOST ? code : BK_VOLUME, r->o->to,
		                    "was not made: mkfs.tfs ended with %d", made);
	if (code)
		return tfs_cli_fail(code, r->o->to, "holds what could be read of backup %llu, and no more",
		                    (unsigned long long)b->sequence);
	return theirs ? size_bring(r->o->to, k->size) : 0;
}

int bk_nanos_restore(struct bk_repo *r, const char *which, const struct bk_backup *b)
{
	bool theirs = r->o->format ? !strcmp(r->o->format, "nanos") : bk_is_nanos(b);
	struct kept k = {.config = -1};
	struct stat st;
	int code;

	if (!stat(r->o->to, &st) && !r->o->force)
		return tfs_cli_fail(BK_USAGE, r->o->to, "exists; --force writes over it");
	code = kept_find(r, b, &k);
	if (!code && !theirs && !r->o->quiet)
		tfs_cli_warn(r->o->to, "note: the configuration of the Nanos volume is not kept in this format");
	if (!code)
		code = volume_make(r, which, b, &k, theirs);
	if (k.config >= 0)
		close(k.config);
	if (!code && !r->o->quiet)
		printf("backup %llu restored onto %s\n", (unsigned long long)b->sequence, r->o->to);
	return code;
}
