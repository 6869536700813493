// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Paths of tuples, for messages: of the names that lead to a tuple the first from the root on. Tuples have no way up
 * that can be trusted, so all names are collected once, and anew when they have changed. Called by fsck.tfs and
 * dump.tfs.
 */
#include "tfs/nanos/nanos.h"

#define DEPTH_MAX 4096u /* components that are shown */

void nanos_paths_free(struct nanos_paths *p)
{
	tfs_port_free(p->name);
	tfs_port_free(p->parent);
	*p = (struct nanos_paths){0};
}

int nanos_paths_collect(struct nanos_vol *vol, struct nanos_paths *p)
{
	u32 *queue, read = 0, write = 0, n = vol->entries;

	nanos_paths_free(p);
	p->name = tfs_port_alloc(n * sizeof(u32));
	p->parent = tfs_port_alloc(n * sizeof(u32));
	queue = tfs_port_alloc(n * sizeof(u32));
	if (!p->name || !p->parent || !queue) {
		tfs_port_free(queue);
		nanos_paths_free(p);
		return -ENOMEM;
	}
	p->count = n;
	memset(p->name, 0, n * sizeof(u32));
	memset(p->parent, 0, n * sizeof(u32));
	if (n > 1)
		queue[write++] = 1;
	while (read < write) {
		u32 dir = queue[read++], names = nanos_children(vol, dir);

		for (u32 i = names ? vol->entry[names].first : 0; i; i = vol->attr[i].next) {
			u32 t = (u32)vol->attr[i].v.n;

			if (vol->attr[i].v.type != NANOS_TUPLE || t == 1 || p->name[t])
				continue;
			p->name[t] = i;
			p->parent[t] = dir;
			if (nanos_children(vol, t))
				queue[write++] = t;
		}
	}
	tfs_port_free(queue);
	return 0;
}

const char *nanos_path_of_name(struct nanos_vol *vol, const struct nanos_paths *p, u32 dir, u32 attr, char *buf,
                               size_t size)
{
	size_t at = size - 1;
	u32 len, steps = 0;

	buf[at] = 0;
	while (attr) {
		const u8 *name = nanos_bytes(vol, vol->attr[attr].name, &len);

		if (at < len + 1 || steps++ > DEPTH_MAX)
			break;
		at -= len;
		memcpy(buf + at, name, len);
		for (u32 i = 0; i < len; i++)
			if (!buf[at + i])
				buf[at + i] = '?';
		attr = dir < p->count ? p->name[dir] : 0;
		dir = dir < p->count ? p->parent[dir] : 0;
		if (attr)
			buf[--at] = '/';
	}
	return buf[at] ? buf + at : "/";
}

const char *nanos_path_of_found(struct nanos_vol *vol, const struct nanos_paths *p, const struct nanos_found *f,
                                char *buf, size_t size)
{
	if (f->attr && f->in && f->in == nanos_children(vol, f->object))
		return nanos_path_of_name(vol, p, f->object, f->attr, buf, size);
	return nanos_path_of(vol, p, f->object, buf, size);
}

/* "object N": no name leads to it. */
static const char *number_text(u32 tuple, char *buf, size_t size)
{
	char *at = buf + size - 1;

	*at = 0;
	do
		*--at = (char)('0' + tuple % 10);
	while (tuple /= 10);
	return memcpy(at - 7, "object ", 7);
}

const char *nanos_path_of(struct nanos_vol *vol, const struct nanos_paths *p, u32 tuple, char *buf, size_t size)
{
	if (tuple == 1)
		return "/";
	if (tuple < p->count && p->name[tuple])
		return nanos_path_of_name(vol, p, p->parent[tuple], p->name[tuple], buf, size);
	return number_text(tuple, buf, size);
}
