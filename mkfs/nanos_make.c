// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * mkfs.tfs --format nanos: the order of things. Content first, behind block 3073 as the kernel's own mkfs puts it, then
 * the log, whose first extension has its place before the data and the others behind it, and block 0 last: so an
 * interrupted run leaves nothing that mounts. Same input, same bytes.
 */
#include "mkfs/nanos.h"

#include <json-c/json.h>
#include <stdlib.h>

struct layout {
	struct mkfs_fill *f;
	struct mkfs_nanos *m;
};

static int extension_place(void *arg, u64 *start)
{
	struct layout *l = arg;
	int err;

	if (!l->m->log) {
		l->m->log = true;
		*start = 1;
		return 0;
	}
	err = mkfs_nanos_room(l->f, l->m->next + NANOS_EXTENSION);
	if (err)
		return err;
	*start = l->m->next;
	l->m->next += NANOS_EXTENSION;
	return 0;
}

static void losses_tell(const struct mkfs_options *o, const struct mkfs_nanos *m)
{
	if (o->quiet || o->json)
		return;
	if (m->left_out)
		tfs_cli_warn(NULL, "note: %llu devices and fifos left out: the format has none",
		             (unsigned long long)m->left_out);
	if (m->names)
		tfs_cli_warn(NULL, "note: %llu names are not UTF-8: they are kept, and its kernel opens none of them",
		             (unsigned long long)m->names);
	if (m->times)
		tfs_cli_warn(NULL, "note: times of %llu files lie outside of 1970 to 2106, which is all the format has",
		             (unsigned long long)m->times);
	if (m->owners || m->modes)
		tfs_cli_warn(NULL, "note: not kept: owners of %llu files, modes of %llu; the format has neither",
		             (unsigned long long)m->owners, (unsigned long long)m->modes);
}

static void report(const struct mkfs_options *o, const struct mkfs_fill *f, const struct mkfs_nanos *m, u64 size)
{
	char used[16], total[16], uuid[37], name[1024];
	struct json_object *j;

	if (o->json) {
		j = json_object_new_object();
		tfs_cli_uuid_text(m->vol->uuid, uuid);
		tfs_json_text(j, "image", o->image);
		tfs_json_text(j, "format", "nanos");
		tfs_json_text(j, "uuid", uuid);
		tfs_json_text(j, "label", m->vol->label);
		tfs_json_u64(j, "files", f->files);
		tfs_json_u64(j, "bytes_used", m->next * NANOS_BLOCK);
		tfs_json_u64(j, "size", size);
		tfs_json_u64(j, "owners_not_kept", m->owners);
		tfs_json_u64(j, "modes_not_kept", m->modes);
		tfs_json_u64(j, "names_not_utf8", m->names);
		tfs_json_u64(j, "times_not_kept", m->times);
		tfs_json_u64(j, "left_out", m->left_out);
		tfs_json_line(stdout, j);
	} else if (!o->quiet) {
		tfs_cli_escape(name, sizeof(name), o->image, strlen(o->image));
		printf("%s: %llu files, %s of %s used, Nanos volume of version %u\n", name,
		       (unsigned long long)f->files, tfs_cli_human(m->next * NANOS_BLOCK, used),
		       tfs_cli_human(size, total), NANOS_VERSION);
	}
	losses_tell(o, m);
}

static u64 final_size(const struct mkfs_nanos *m, const struct mkfs_plan_nanos *p, u64 size)
{
	u64 need = m->next * NANOS_BLOCK;

	if (!p->automatic)
		return size;
	need = (need + need / 16 + TFS_BLOCK - 1) & ~(u64)(TFS_BLOCK - 1);
	return need > MKFS_NANOS_MIN ? need : MKFS_NANOS_MIN;
}

static int finish(struct mkfs_fill *f, struct mkfs_nanos *m, const struct mkfs_options *o,
                  const struct mkfs_plan_nanos *p)
{
	struct layout l = {f, m};
	u64 size;
	int err;

	memcpy(m->vol->uuid, o->format.uuid, 16);
	memcpy(m->vol->label, o->format.label, NANOS_LABEL_MAX);
	m->vol->blocks = ~0ull / NANOS_BLOCK;
	err = nanos_write(m->vol, &f->target->dev, extension_place, &l);
	size = final_size(m, p, f->target->dev.size);
	if (!err && p->automatic && size > f->target->dev.size)
		err = mkfs_target_grow(f->target, size);
	if (!err && p->automatic)
		err = mkfs_target_cut(f->target, size);
	if (!err)
		err = mkfs_target_done(f->target);
	tfs_progress_end(&f->progress);
	if (err == -ENOSPC && !f->target->error)
		return tfs_cli_fail(MKFS_FULL, o->image, "the log does not fit; give a larger size or --size auto");
	if (err)
		return mkfs_target_failed(f->target, err);
	report(o, f, m, size);
	return 0;
}

int mkfs_nanos_make(struct mkfs_options *o, const struct mkfs_plan_nanos *p,
                    int (*fill)(struct mkfs_fill *f, const struct mkfs_options *o))
{
	static struct mkfs_fill f;
	static struct mkfs_nanos m;
	struct mkfs_target t;
	int err = mkfs_target_open(&t, o, p->found, p->automatic ? MKFS_NANOS_MIN : p->size);

	if (err)
		return err;
	f.target = &t;
	f.sink = &mkfs_sink_nanos;
	f.nanos = &m;
	f.grows = p->automatic;
	mkfs_fill_env(&f, &o->format.created);
	tfs_progress_start(&f.progress, !p->progress, -1, 2);
	tfs_progress_pass(&f.progress, "files", p->files);
	if (mkfs_nanos_begin(&m, &f.env)) {
		err = tfs_cli_fail(MKFS_DEVICE, o->image, "out of memory");
	} else {
		m.vol->blocks = ~0ull / NANOS_BLOCK; /* the volume grows as it is filled */
		m.vol->linked = true;                /* the sink counts links itself */
		err = o->config ? mkfs_nanos_config(&m, o->config) : 0;
		if (!err)
			err = fill(&f, o);
		if (!err)
			err = finish(&f, &m, o, p);
		nanos_close(m.vol);
	}
	free(f.late);
	if (mkfs_target_close(&t) && !err)
		err = tfs_cli_fail(MKFS_DEVICE, o->image, "cannot be written to its end: %s", strerror(errno));
	return err;
}
