// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs convert: a volume of one kind becomes one of the other, ours or the Nanos kernel's. dump.tfs writes a tar archive
 * of the one into a pipe and mkfs.tfs makes the other of it, each in the folder of this program or on PATH: so names,
 * content, holes, links, times and xattrs go the way that is tested for both. Says what the target cannot keep.
 */
#define _GNU_SOURCE
#include "admin/admin.h"
#include "tfs/user/nanos_dev.h"
#include "tfs/user/tools.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct source {
	bool nanos, config; /* config: the root tuple has more than names */
	char label[65], uuid[37];
};

static int nanos_look(struct source *s, struct tfs_file_dev *dev, const struct tfs_env *env, const char *path)
{
	struct nanos_vol *v;
	int err = nanos_open(&dev->dev, env, NULL, NULL, &v);

	if (err)
		return tfs_cli_fail(ADMIN_DAMAGE, path, "cannot be read: %s; run fsck.tfs", strerror(-err));
	snprintf(s->label, sizeof(s->label), "%s", v->label);
	tfs_cli_uuid_text(v->uuid, s->uuid);
	s->config = nanos_find(v, 1, "program") || nanos_find(v, 1, "mounts") || nanos_find(v, 1, "environment") ||
	            nanos_find(v, 1, "arguments");
	nanos_close(v);
	return 0;
}

static int source_look(struct admin *a, struct source *s)
{
	struct tfs_env env = tfs_user_env();
	struct tfs_nanos_place place;
	struct tfs_file_dev dev;
	struct tfs_super super;
	int err = tfs_file_dev_open(&dev, a->target.path, a->offset, false, 0), code = 0;

	if (err)
		return tfs_cli_fail(ADMIN_DAMAGE, a->target.path, "%s", tfs_file_dev_error(err));
	err = tfs_nanos_find(&dev, &env, a->partition ? "nanos" : NULL, a->partition, &place);
	s->nanos = err == 1;
	if (err < 0) {
		code = tfs_cli_fail(err == -ENOENT ? ADMIN_USAGE : ADMIN_DAMAGE, a->target.path, "%s", place.why);
	} else if (s->nanos) {
		code = nanos_look(s, &dev, &env, a->target.path);
	} else if (tfs_probe(&dev.dev, &env, &super, NULL)) {
		code = tfs_cli_fail(ADMIN_DAMAGE, a->target.path, "expected a volume of ours or of the Nanos kernel");
	} else {
		snprintf(s->label, sizeof(s->label), "%.64s", (const char *)super.label);
		tfs_cli_uuid_text(super.uuid, s->uuid);
	}
	tfs_file_dev_close(&dev);
	return code;
}

/* Exit codes of both; -1: not even started. */
static int pipe_run(char *const from[], char *const to[], int *read_code, int *make_code)
{
	int ends[2];
	pid_t reader, maker;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	reader = tfs_tool_start(from, -1, ends[1]);
	maker = tfs_tool_start(to, ends[0], -1);
	close(ends[0]);
	close(ends[1]);
	*read_code = reader > 0 ? tfs_tool_end(reader) : 128;
	*make_code = maker > 0 ? tfs_tool_end(maker) : 128;
	return reader > 0 && maker > 0 ? 0 : -1;
}

static void losses_tell(const struct admin *a, struct source *s)
{
	if (a->quiet)
		return;
	if (s->nanos && s->config)
		tfs_cli_warn(a->target.path,
		             "note: the configuration in its root is not kept; dump.tfs config prints it");
	if (s->nanos)
		tfs_cli_warn(a->target.path, "note: has no owners and modes: all is root's, 0755 and 0644");
	else
		tfs_cli_warn(a->target.path,
		             "note: snapshots, owners, and modes but for exec and readonly are not kept");
	if (!s->nanos && strlen(s->label) > NANOS_LABEL_MAX) {
		s->label[NANOS_LABEL_MAX] = 0;
		tfs_cli_warn(a->target.path, "note: its label is cut to '%s'", s->label);
	}
}

int admin_convert(struct admin *a)
{
	struct source s = {0};
	char dump[TFS_TOOL_PATH], mkfs[TFS_TOOL_PATH], offset[32];
	int code = source_look(a, &s), read_code = 0, make_code = 0;
	char *from[] = {(char *)tfs_tool_find("dump.tfs", dump),
	                "tar",
	                "-q",
	                "--offset",
	                offset,
	                (char *)(uintptr_t)a->target.path,
	                a->partition ? "--partition" : NULL,
	                (char *)a->partition,
	                NULL};
	char *to[] = {(char *)tfs_tool_find("mkfs.tfs", mkfs),
	              a->quiet ? "-q" : "-j2",
	              "--format",
	              s.nanos ? "tfs" : "nanos",
	              "--label",
	              s.label,
	              "--uuid",
	              s.uuid,
	              "--tar",
	              "-",
	              a->arg[0],
	              a->args > 1 ? a->arg[1] : NULL,
	              NULL};

	if (code)
		return code;
	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)a->offset);
	losses_tell(a, &s);
	if (pipe_run(from, to, &read_code, &make_code))
		return tfs_cli_fail(ADMIN_REFUSED, NULL, "dump.tfs and mkfs.tfs cannot be started: %s",
		                    strerror(errno));
	if (make_code)
		return tfs_cli_fail(ADMIN_REFUSED, a->arg[0], "was not made: mkfs.tfs ended with %d", make_code);
	if (read_code)
		return tfs_cli_fail(ADMIN_DAMAGE, a->arg[0], "holds what could be read of %s: dump.tfs ended with %d",
		                    a->target.path, read_code);
	return 0;
}
