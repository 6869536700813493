// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The tree of a Nanos volume: each thing that nanos_check finds becomes a problem with the path of its file, and when
 * it is to be repaired a change of the tree. Data is not given up where a name or a number can be changed: an
 * impossible name becomes one in lost+found, a link count follows the names, a lost root gets back what no other name
 * leads to.
 */
#include "fsck/fsck_nanos.h"

#include <stdlib.h>

/* ---- lost+found ---- */

static int dir_new(struct fsck_nanos *n, u32 *out, u32 *names)
{
	int err = nanos_object_new(n->vol, NANOS_IS_TUPLE, out);

	if (!err)
		err = nanos_object_new(n->vol, NANOS_IS_TUPLE, names);
	if (!err)
		err = nanos_set_named(n->vol, *out, "children", nanos_object(NANOS_TUPLE, *names));
	return err;
}

static int lost_open(struct fsck_nanos *n)
{
	const struct nanos_value *v;
	u32 root = nanos_children(n->vol, 1), dir;
	char name[32] = "lost+found";
	int err;

	if (n->lost)
		return 0;
	for (u32 i = 1; (v = nanos_find(n->vol, root, name)); i++) {
		if (v->type == NANOS_TUPLE && nanos_children(n->vol, (u32)v->n)) {
			n->lost = nanos_children(n->vol, (u32)v->n);
			return 0;
		}
		snprintf(name, sizeof(name), "lost+found.%u", i);
	}
	err = dir_new(n, &dir, &n->lost);
	return err ? err : nanos_set_named(n->vol, root, name, nanos_object(NANOS_TUPLE, dir));
}

static int lost_put(struct fsck_nanos *n, u32 tuple)
{
	char name[32];
	int err = lost_open(n);

	snprintf(name, sizeof(name), "#%u", tuple);
	return err ? err : nanos_set_named(n->vol, n->lost, name, nanos_object(NANOS_TUPLE, tuple));
}

/* The root's names are gone: what is a file or directory, and stands in no directory, gets a name again. */
static int root_mend(struct fsck_nanos *n)
{
	struct nanos_vol *vol = n->vol;
	u32 entries = vol->entries, names;
	u8 *held = calloc(entries, 1);
	int err = held ? nanos_object_new(vol, NANOS_IS_TUPLE, &names) : -ENOMEM;

	if (!err)
		err = nanos_set_named(vol, 1, "children", nanos_object(NANOS_TUPLE, names));
	for (u32 t = 2; t < entries && !err; t++) {
		u32 dir = vol->entry[t].kind == NANOS_IS_TUPLE ? nanos_children(vol, t) : 0;

		for (u32 i = dir ? vol->entry[dir].first : 0; i; i = vol->attr[i].next)
			if (vol->attr[i].v.type == NANOS_TUPLE && vol->attr[i].v.n < entries)
				held[vol->attr[i].v.n] = 1;
	}
	for (u32 t = 2; t < entries && !err; t++) {
		if (vol->entry[t].kind != NANOS_IS_TUPLE || held[t] || nanos_node_of(vol, t) == NANOS_NO_NODE)
			continue;
		err = lost_put(n, t);
	}
	free(held);
	return err;
}

/* ---- what is done about each ---- */

static int attr_remove(struct fsck_nanos *n, const struct nanos_found *f)
{
	n->vol->attr[f->attr].v = (struct nanos_value){0};
	return 0;
}

static int name_mend(struct fsck_nanos *n, const struct nanos_found *f)
{
	struct nanos_value v = n->vol->attr[f->attr].v;

	attr_remove(n, f);
	/* one that is a way up, or stands elsewhere too, is no loss */
	if (v.type != NANOS_TUPLE || v.n == 1 || n->paths.name[v.n] != f->attr ||
	    nanos_node_of(n->vol, (u32)v.n) == NANOS_NO_NODE)
		return 0;
	return lost_put(n, (u32)v.n);
}

static int file_make(struct fsck_nanos *n, u32 tuple)
{
	u32 extents;
	int err = nanos_object_new(n->vol, NANOS_IS_TUPLE, &extents);

	if (!err)
		err = nanos_set_named(n->vol, tuple, "extents", nanos_object(NANOS_TUPLE, extents));
	return err ? err : nanos_set_named(n->vol, tuple, "filelength", nanos_int(0));
}

static int length_mend(struct fsck_nanos *n, u32 file)
{
	u64 end = 0;
	int err = nanos_extents(n->vol, file);

	for (u32 i = 0; i < n->vol->extents; i++)
		if (!n->vol->extent[i].uninited)
			end = (n->vol->extent[i].block + n->vol->extent[i].length) * NANOS_BLOCK;
	n->vol->cached = 0;
	return err ? err : nanos_set_named(n->vol, file, "filelength", nanos_int(end));
}

static int flag_set(struct fsck_nanos *n, const struct nanos_found *f)
{
	struct nanos_value v;
	int err = nanos_value_bytes(n->vol, NANOS_BYTES, "", 1, &v);

	return err ? err : nanos_set_named(n->vol, (u32)n->vol->attr[f->attr].v.n, "uninited", v);
}

static int extents_mend(struct fsck_nanos *n, const struct nanos_found *f)
{
	if (f->attr)
		return attr_remove(n, f);
	return nanos_set_named(n->vol, f->object, "extents", (struct nanos_value){0}) ?: file_make(n, f->object);
}

/* A volume that was cut off: what begins in it keeps the blocks that are there. */
static int range_mend(struct fsck_nanos *n, const struct nanos_found *f)
{
	u32 tuple = (u32)n->vol->attr[f->attr].v.n;
	struct nanos_extent e;
	u64 there;
	int err = nanos_extent_of(n->vol, tuple, &e);

	if (err || !e.start || e.start >= n->vol->blocks)
		return attr_remove(n, f);
	there = n->vol->blocks - e.start;
	if (e.length > there)
		err = nanos_set_named(n->vol, tuple, "length", nanos_int(there));
	return err ? err : nanos_set_named(n->vol, tuple, "allocated", nanos_int(there));
}

static int target_mend(struct fsck_nanos *n, u32 node)
{
	struct nanos_value v;
	int err = nanos_value_bytes(n->vol, NANOS_STRING, "lost-target", 11, &v);

	return err ? err : nanos_set_named(n->vol, node, "linktarget", v);
}

/* A directory or file keeps its other attributes and gets names or extents of its own: none. */
static int roles_mend(struct fsck_nanos *n, const struct nanos_found *f)
{
	u32 own;
	int err;

	if (f->in != f->object)
		return attr_remove(n, f);
	err = nanos_object_new(n->vol, NANOS_IS_TUPLE, &own);
	if (!err)
		n->vol->attr[f->attr].v = nanos_object(NANOS_TUPLE, own);
	return err;
}

static int mend(struct fsck_nanos *n, const struct nanos_found *f)
{
	n->vol->cached = 0;
	switch (f->problem) {
	case NANOS_ROOT:
		return root_mend(n);
	case NANOS_NAME:
		return name_mend(n, f);
	case NANOS_UNKNOWN:
		return file_make(n, f->object);
	case NANOS_TARGET:
		return target_mend(n, f->object);
	case NANOS_LENGTH:
		return length_mend(n, f->object);
	case NANOS_NLINK:
		return nanos_set_named(n->vol, f->object, "nlink", nanos_int(f->expected));
	case NANOS_EXTENT:
		return extents_mend(n, f);
	case NANOS_BEYOND:
		return flag_set(n, f);
	case NANOS_RANGE:
		return range_mend(n, f);
	case NANOS_ROLES:
		return roles_mend(n, f);
	default:
		return attr_remove(n, f);
	}
}

/* ---- reporting ---- */

static const struct {
	enum fsck_problem problem;
	const char *detail; /* expected, found */
} texts[] = {
    [NANOS_ROOT] = {FSCK_NROOT, "expected a tuple with children"},
    [NANOS_NAME] = {FSCK_NNAME, "expected 1 to %llu bytes without NUL and '/', neither . nor ..; found %llu bytes"},
    [NANOS_ENTRY] = {FSCK_NENTRY, "expected a value of type %llu, found %llu"},
    [NANOS_UNKNOWN] = {FSCK_NUNKNOWN, "expected children, extents, linktarget or socket"},
    [NANOS_DIR_TWICE] = {FSCK_NDIR_TWICE, "expected one name of object %llu"},
    [NANOS_TARGET] = {FSCK_NTARGET, "expected 1 to %llu bytes without NUL, found %llu"},
    [NANOS_LENGTH] = {FSCK_NLENGTH, "expected a number up to %llu"},
    [NANOS_NLINK] = {FSCK_NNLINK, "expected %llu, found %llu"},
    [NANOS_EXTENT] = {FSCK_NEXTENT, "expected a block number with offset, length and allocated blocks"},
    [NANOS_RANGE] = {FSCK_NRANGE, "expected an end up to block %llu, found %llu"},
    [NANOS_OVERLAP] = {FSCK_NOVERLAP, "expected a start at block %llu of the file or behind, found %llu"},
    [NANOS_BEYOND] = {FSCK_NBEYOND, "expected none from block %llu of the file on, found one at %llu"},
    [NANOS_TWICE] = {FSCK_NTWICE, ""}, /* twice_tell */
    [NANOS_TIME] = {FSCK_NTIME, "expected seconds and a fraction since 1970"},
    [NANOS_ROLES] = {FSCK_NROLES, "expected a tuple of its own, found object %llu, which is a part of something else"},
};

struct found_list {
	struct fsck_nanos *n;
	struct nanos_found *found;
	u32 count, max;
};

static int found_note(void *arg, const struct nanos_found *f)
{
	struct found_list *l = arg;
	int err = nanos_grow(&l->found, &l->max, l->count + 1ull, sizeof(*f));

	if (!err)
		l->found[l->count++] = *f;
	return err;
}

/* Who has the blocks that an extent of another has, too: which of both wrote last nobody knows. */
static void twice_tell(struct fsck_nanos *n, const struct nanos_found *f, char *detail, size_t size)
{
	char path[NANOS_PATH_SHOWN];
	const char *keeps = "the log";

	if (f->other)
		keeps = nanos_path_of(n->vol, &n->paths, f->other, path, sizeof(path));
	snprintf(detail, size,
	         "block %llu of the volume is in an extent of %.500s, which begins at %llu and keeps it%s",
	         (unsigned long long)f->found, keeps, (unsigned long long)f->expected,
	         f->other ? "; the content of either may be the other's" : "");
}

static bool decide(struct fsck_nanos *n, const struct nanos_found *f)
{
	char path[NANOS_PATH_SHOWN], detail[700];
	const char *object = nanos_path_of_found(n->vol, &n->paths, f, path, sizeof(path));

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(detail, sizeof(detail), texts[f->problem].detail, (unsigned long long)f->expected,
	         (unsigned long long)f->found);
#pragma GCC diagnostic pop
	if (f->problem == NANOS_TWICE)
		twice_tell(n, f, detail, sizeof(detail));
	return fsck_problem(n->f, texts[f->problem].problem, object, "%s", detail);
}

int fsck_nanos_tree(struct fsck_nanos *n)
{
	struct found_list l = {.n = n};
	int err;

	n->vol->linked = false;
	for (u32 i = 0; i < n->vol->entries; i++)
		n->vol->entry[i].links = 0;
	err = nanos_paths_collect(n->vol, &n->paths);
	if (!err)
		err = nanos_check(n->vol, found_note, &l);
	for (u32 i = 0; i < l.count && !err; i++) {
		if (!decide(n, &l.found[i]))
			continue;
		err = mend(n, &l.found[i]);
		n->again = true;
		n->changed++;
	}
	tfs_port_free(l.found);
	return err;
}
