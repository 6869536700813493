// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs convert: a volume of one kind becomes one of the other, ours or the Nanos kernel's. dump.tfs writes a tar archive
 * of the one into a pipe and mkfs.tfs makes the other of it, each in the folder of this program or on PATH: so names,
 * content, holes, links, times and xattrs go the way that is tested for both. Says what the target cannot keep: here by
 * kind, and how much of it, mkfs.tfs.
 */
#define _GNU_SOURCE
#include "admin/admin.h"
#include "tfs/user/nanos_dev.h"
#include "tfs/user/tools.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

struct source {
	bool nanos, config; /* config: the root tuple has more than names */
	char label[65], uuid[37];
};

/* What the root tuple has besides names, times and xattrs: it is what the machine runs on. */
static bool config_is_there(struct nanos_vol *v)
{
	static const char *const kept[] = {"children", "mtime", "atime", ".."};

	for (u32 i = v->entries > 1 ? v->entry[1].first : 0; i; i = v->attr[i].next) {
		bool other = v->attr[i].v.type != NANOS_NONE;
		u32 len;
		const u8 *name = nanos_bytes(v, v->attr[i].name, &len);

		for (size_t k = 0; k < sizeof(kept) / sizeof(*kept); k++)
			other &= strlen(kept[k]) != len || memcmp(kept[k], name, len) != 0;
		if (other && !memchr(name, '.', len))
			return true;
	}
	return false;
}

static int nanos_look(struct source *s, struct tfs_file_dev *dev, const struct tfs_env *env, const char *path)
{
	struct nanos_vol *v;
	int err = nanos_open(&dev->dev, env, NULL, NULL, &v);

	if (err)
		return tfs_cli_fail(ADMIN_DAMAGE, path, "cannot be read: %s; run fsck.tfs", strerror(-err));
	snprintf(s->label, sizeof(s->label), "%s", v->label);
	tfs_cli_uuid_text(v->uuid, s->uuid);
	s->config = config_is_there(v);
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

/* What the target cannot keep, whether or not there is any of it; the first one only of a root filesystem. */
static const char *const from_nanos[] = {"the configuration in its root (dump.tfs config prints it)", "sockets",
                                         "blocks promised to a file and not written", NULL};
static const char *const from_ours[] = {"snapshots",
                                        "owners",
                                        "modes but for exec and readonly",
                                        "times but that of modification",
                                        "devices, fifos and sockets",
                                        "rules of log forwarding",
                                        NULL};

static void losses_tell(const struct admin *a, struct source *s, const char *const *lost)
{
	bool cut = !s->nanos && strlen(s->label) > NANOS_LABEL_MAX;
	char all[400] = "";

	if (cut)
		s->label[NANOS_LABEL_MAX] = 0;
	if (a->quiet || a->json)
		return;
	for (u32 i = 0; lost[i]; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", lost[i]);
	tfs_cli_warn(a->target.path, "note: not kept: %s", all);
	if (s->nanos)
		tfs_cli_warn(a->target.path, "note: has no owners and modes: all is root's, 0755 and 0644");
	if (cut)
		tfs_cli_warn(a->target.path, "note: its label is cut to '%s'", s->label);
}

static void report(const struct admin *a, const struct source *s, const char *const *lost, int read_code)
{
	struct json_object *list = json_object_new_array();
	struct tfs_line l;

	for (u32 i = 0; lost[i]; i++)
		json_object_array_add(list, json_object_new_string(lost[i]));
	tfs_line_begin(&l, true, 0, "converted");
	tfs_line_text(&l, "from", a->target.path);
	tfs_line_text(&l, "from_format", s->nanos ? "nanos" : "tfs");
	tfs_line_text(&l, "to", a->arg[0]);
	tfs_line_text(&l, "to_format", s->nanos ? "tfs" : "nanos");
	tfs_line_bool(&l, "whole", !read_code);
	json_object_object_add(l.o, "not_kept", list);
	tfs_line_end(&l);
}

int admin_convert(struct admin *a)
{
	struct source s = {0};
	char dump[TFS_TOOL_PATH], mkfs[TFS_TOOL_PATH], offset[32];
	int code = source_look(a, &s), read_code = 0, make_code = 0, n = 0;
	const char *const *lost = s.nanos ? from_nanos + !s.config : from_ours;
	char *from[] = {(char *)tfs_tool_find("dump.tfs", dump),
	                "tar",
	                "-q",
	                "--offset",
	                offset,
	                (char *)(uintptr_t)a->target.path,
	                a->partition ? "--partition" : NULL,
	                (char *)a->partition,
	                NULL};
	char *to[14] = {(char *)tfs_tool_find("mkfs.tfs", mkfs),
	                "--format",
	                s.nanos ? "tfs" : "nanos",
	                "--label",
	                s.label,
	                "--uuid",
	                s.uuid,
	                "--tar",
	                "-",
	                a->arg[0],
	                a->args > 1 ? a->arg[1] : NULL};

	if (code)
		return code;
	while (to[n])
		n++;
	if (a->json)
		to[n++] = "--json";
	if (a->quiet)
		to[n++] = "-q";
	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)a->offset);
	losses_tell(a, &s, lost);
	if (pipe_run(from, to, &read_code, &make_code))
		return tfs_cli_fail(ADMIN_REFUSED, NULL, "dump.tfs and mkfs.tfs cannot be started: %s",
		                    strerror(errno));
	if (make_code)
		return tfs_cli_fail(ADMIN_REFUSED, a->arg[0], "was not made: mkfs.tfs ended with %d", make_code);
	if (a->json)
		report(a, &s, lost, read_code);
	if (read_code)
		return tfs_cli_fail(ADMIN_DAMAGE, a->arg[0], "holds what could be read of %s: dump.tfs ended with %d",
		                    a->target.path, read_code);
	return 0;
}
