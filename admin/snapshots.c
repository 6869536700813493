// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Snapshots by name: users know names, requests take epochs. Several names are tried one by one, and what fails does
 * not keep the others from being done. Called by the snapshot commands.
 */
#include "admin/admin.h"

int snapshot_next(struct admin *a, struct tfs_ioc_snapshot *s, bool usage)
{
	int err;

	do {
		u64 from = s->epoch;

		memset(s, 0, sizeof(*s));
		s->epoch = from;
		s->flags = usage ? TFS_SNAP_USAGE : 0;
		err = target_request(&a->target, TFS_IOC_SNAPSHOT_NEXT, s);
	} while (!err && s->flags & TFS_SNAP_DYING && ++s->epoch);
	return err;
}

int snapshot_find(struct admin *a, const char *name, u64 *epoch)
{
	struct tfs_ioc_snapshot s = {0};
	int err;

	for (; !(err = snapshot_next(a, &s, false)); s.epoch++)
		if (s.name_len == strlen(name) && !memcmp(s.name, name, s.name_len)) {
			*epoch = s.epoch;
			return 0;
		}
	return admin_fail(a, err == -ENOENT ? name : NULL, err);
}

static void changed_line(const struct admin *a, const char *what, const char *name, u64 epoch)
{
	struct tfs_line l;

	if (!a->json)
		return;
	tfs_line_begin(&l, true, 0, what);
	tfs_line_bytes(&l, "name", name, strlen(name));
	tfs_line_num(&l, "epoch", epoch);
	tfs_line_end(&l);
}

int snapshot_change(struct admin *a, u32 request, const char *what, const char *name, const char *new_name)
{
	struct tfs_ioc_snapshot s = {0};
	const char *put = request == TFS_IOC_SNAPSHOT_CREATE ? name : new_name;
	int code = request == TFS_IOC_SNAPSHOT_CREATE ? 0 : snapshot_find(a, name, &s.epoch), err;

	if (code)
		return code;
	if (put && strlen(put) > TFS_NAME_MAX)
		return admin_fail(a, put, -ENAMETOOLONG);
	if (put)
		memcpy(s.name, put, s.name_len = (u32)strlen(put));
	err = target_request(&a->target, request, &s);
	if (err == -EINVAL && request == TFS_IOC_SNAPSHOT_RELEASE)
		return tfs_cli_fail(ADMIN_USAGE, name, "is not held");
	if (err)
		return admin_fail(a, err == -EROFS || err == -EPERM ? NULL : put ? put : name, err);
	changed_line(a, what, put ? put : name, s.epoch);
	return 0;
}

static int each(struct admin *a, u32 request, const char *what)
{
	int first = 0;

	for (int i = 0; i < a->args; i++) {
		int code = snapshot_change(a, request, what, a->arg[i], NULL);

		if (!first)
			first = code;
	}
	return first;
}

int admin_snapshot_create(struct admin *a)
{
	return snapshot_change(a, TFS_IOC_SNAPSHOT_CREATE, "created", a->arg[0], NULL);
}

int admin_snapshot_rename(struct admin *a)
{
	return snapshot_change(a, TFS_IOC_SNAPSHOT_RENAME, "renamed", a->arg[0], a->arg[1]);
}

int admin_snapshot_delete(struct admin *a)
{
	return each(a, TFS_IOC_SNAPSHOT_DELETE, "deleted");
}

int admin_snapshot_hold(struct admin *a)
{
	return each(a, TFS_IOC_SNAPSHOT_HOLD, "held");
}

int admin_snapshot_release(struct admin *a)
{
	return each(a, TFS_IOC_SNAPSHOT_RELEASE, "released");
}
