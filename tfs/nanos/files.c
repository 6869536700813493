// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The tree as files: what a tuple is goes by the attributes it has; names, sizes, extents, links. The answers are those
 * of tfs.h's calls of the same names, with numbers of tuples as inode numbers (the root is 1 in both). What cannot be
 * (a name with '/', an extent outside of the volume) is left out here and is fsck's to report: nothing read here leads
 * out of a directory or the volume. The format has neither owners nor modes: root's, 0755 and 0644.
 */
#include "tfs/nanos/nanos.h"

enum { IFCHR = 0020000, IFDIR = 0040000, IFREG = 0100000, IFLNK = 0120000, IFSOCK = 0140000 };

bool nanos_name_valid(const u8 *name, u32 len)
{
	if (!len || len > TFS_NAME_MAX || (len <= 2 && name[0] == '.' && name[len - 1] == '.'))
		return false;
	for (u32 i = 0; i < len; i++)
		if (!name[i] || name[i] == '/')
			return false;
	return true;
}

static bool is_tuple(const struct nanos_vol *vol, u64 ino)
{
	return ino && ino < vol->entries && vol->entry[ino].kind == NANOS_IS_TUPLE;
}

u32 nanos_children(struct nanos_vol *vol, u32 dir)
{
	const struct nanos_value *v = nanos_find(vol, dir, "children");

	return v && v->type == NANOS_TUPLE ? (u32)v->n : 0;
}

static bool is_text(const struct nanos_value *v)
{
	return v && (v->type == NANOS_BYTES || v->type == NANOS_STRING);
}

enum nanos_node nanos_node_of(struct nanos_vol *vol, u32 tuple)
{
	if (nanos_children(vol, tuple))
		return NANOS_DIR;
	if (is_text(nanos_find(vol, tuple, "linktarget")))
		return NANOS_LINK;
	if (nanos_find(vol, tuple, "extents") || nanos_find(vol, tuple, "filelength"))
		return NANOS_FILE;
	if (nanos_find(vol, tuple, "socket"))
		return NANOS_SOCKET;
	if (nanos_find(vol, tuple, "special") || nanos_find(vol, tuple, "rdev"))
		return NANOS_DEVICE;
	return NANOS_NO_NODE;
}

/* What is nothing else yet is a file: mkfs writes names first and what files are later. */
static u32 mode_of(struct nanos_vol *vol, u32 tuple)
{
	switch (nanos_node_of(vol, tuple)) {
	case NANOS_DIR:
		return IFDIR | 0755;
	case NANOS_LINK:
		return IFLNK | 0777;
	case NANOS_SOCKET:
		return IFSOCK | 0644;
	case NANOS_DEVICE:
		return IFCHR | 0644;
	default:
		return IFREG | (nanos_find(vol, tuple, "exec") ? 0755 : 0644);
	}
}

/* ---- names ---- */

static u32 *queue_new(u32 n)
{
	return n > 1u << 29 ? NULL : tfs_port_alloc(n * sizeof(u32));
}

/* Counts for each tuple the names that lead to it from the root; a directory is entered once. */
int nanos_links(struct nanos_vol *vol)
{
	u32 *queue, read = 0, write = 0, len;

	if (vol->linked || !is_tuple(vol, 1))
		return 0;
	queue = queue_new(vol->entries);
	if (!queue)
		return -ENOMEM;
	queue[write++] = 1;
	vol->entry[1].links = 1;
	while (read < write) {
		u32 names = nanos_children(vol, queue[read++]);

		for (u32 i = names ? vol->entry[names].first : 0; i; i = vol->attr[i].next) {
			const struct nanos_attr *a = &vol->attr[i];
			const u8 *name = nanos_bytes(vol, a->name, &len);

			if (a->v.type != NANOS_TUPLE || !nanos_name_valid(name, len))
				continue;
			if (!vol->entry[a->v.n].links++ && nanos_children(vol, (u32)a->v.n))
				queue[write++] = (u32)a->v.n;
		}
	}
	tfs_port_free(queue);
	vol->linked = true;
	return 0;
}

int nanos_lookup(struct nanos_vol *vol, u64 dir, const char *name, u32 len, u64 *ino, u8 *type)
{
	u32 names = is_tuple(vol, dir) ? nanos_children(vol, (u32)dir) : 0;
	struct nanos_attr *a;

	if (!names)
		return is_tuple(vol, dir) ? -ENOTDIR : -ENOENT;
	if (!nanos_name_valid((const u8 *)name, len))
		return len > TFS_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	a = nanos_get(vol, names, nanos_symbol(vol, name, len, false));
	if (!a || a->v.type != NANOS_TUPLE)
		return -ENOENT;
	*ino = a->v.n;
	*type = (u8)(mode_of(vol, (u32)a->v.n) >> 12);
	return 0;
}

/* A position is that of an attribute in the array; it goes up along a tuple's chain. */
int nanos_readdir(struct nanos_vol *vol, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg)
{
	u32 names = is_tuple(vol, dir) ? nanos_children(vol, (u32)dir) : 0, i, len;

	if (!names)
		return is_tuple(vol, dir) ? -ENOTDIR : -ENOENT;
	for (i = *pos ? (u32)*pos : vol->entry[names].first; *pos != ~0ull && i && i < vol->attrs;) {
		const struct nanos_attr *a = &vol->attr[i];
		const u8 *name = nanos_bytes(vol, a->name, &len);
		u64 next = a->next ? a->next : ~0ull;

		if (a->v.type == NANOS_TUPLE && nanos_name_valid(name, len) &&
		    emit(arg, (const char *)name, len, a->v.n, (u8)(mode_of(vol, (u32)a->v.n) >> 12), next))
			return 0;
		*pos = next;
		i = a->next;
	}
	*pos = ~0ull;
	return 0;
}

/* ---- attributes ---- */

static struct tfs_time time_of(struct nanos_vol *vol, u32 tuple, const char *name)
{
	u64 t;

	if (nanos_number(vol, nanos_find(vol, tuple, name), &t))
		t = 0;
	return (struct tfs_time){tfs_cpu64(t >> 32), tfs_cpu32((u32)((t & 0xffffffff) * 1000000000 >> 32)), 0};
}

static void dir_attr(struct nanos_vol *vol, u32 names, struct tfs_attr *out)
{
	u32 len;

	out->nlink = 2;
	for (u32 i = vol->entry[names].first; i; i = vol->attr[i].next) {
		const struct nanos_attr *a = &vol->attr[i];
		const u8 *name = nanos_bytes(vol, a->name, &len);

		if (a->v.type != NANOS_TUPLE || !nanos_name_valid(name, len))
			continue;
		out->size++;
		out->nlink += nanos_children(vol, (u32)a->v.n) != 0;
	}
}

static int file_attr(struct nanos_vol *vol, u32 ino, struct tfs_attr *out)
{
	u64 blocks = 0;
	int err = nanos_extents(vol, ino);

	if (nanos_number(vol, nanos_find(vol, ino, "filelength"), &out->size) || out->size > TFS_FILE_SIZE_MAX)
		out->size = 0;
	for (u32 i = 0; i < vol->extents; i++)
		blocks += vol->extent[i].allocated;
	out->blocks = (blocks + TFS_BLOCK / NANOS_BLOCK - 1) / (TFS_BLOCK / NANOS_BLOCK);
	return err;
}

int nanos_getattr_quick(struct nanos_vol *vol, u64 ino, struct tfs_attr *out)
{
	if (!is_tuple(vol, ino))
		return -ENOENT;
	memset(out, 0, sizeof(*out));
	out->ino = ino;
	out->mode = mode_of(vol, (u32)ino);
	out->nlink = vol->entry[ino].links;
	out->mtime = time_of(vol, (u32)ino, "mtime");
	out->atime = time_of(vol, (u32)ino, "atime");
	out->ctime = out->btime = out->mtime;
	if (nanos_find(vol, (u32)ino, "readonly"))
		out->mode &= ~0222u;
	return 0;
}

int nanos_getattr(struct nanos_vol *vol, u64 ino, struct tfs_attr *out)
{
	u64 rdev = 0;
	u32 len;
	int err = nanos_links(vol);

	if (!err)
		err = nanos_getattr_quick(vol, ino, out);
	if (err)
		return err;
	switch (out->mode & 0170000) {
	case IFDIR:
		dir_attr(vol, nanos_children(vol, (u32)ino), out);
		break;
	case IFREG:
		return file_attr(vol, (u32)ino, out);
	case IFLNK:
		nanos_bytes(vol, nanos_find(vol, (u32)ino, "linktarget")->n, &len);
		out->size = len;
		break;
	case IFCHR:
		if (!nanos_number(vol, nanos_find(vol, (u32)ino, "rdev"), &rdev)) {
			out->rdev_major = rdev >> 8 & 0xfff;
			out->rdev_minor = (u32)((rdev & 0xff) | (rdev >> 12 & 0xfff00));
		}
	}
	return 0;
}

int nanos_readlink(struct nanos_vol *vol, u64 ino, char *buf, u32 size)
{
	const struct nanos_value *v = is_tuple(vol, ino) ? nanos_find(vol, (u32)ino, "linktarget") : NULL;
	const u8 *p;
	u32 len;

	if (!is_text(v))
		return -EINVAL;
	p = nanos_bytes(vol, v->n, &len);
	if (!len || len > TFS_SYMLINK_MAX)
		return -EUCLEAN;
	if (len > size)
		len = size;
	memcpy(buf, p, len);
	return (int)len;
}

/* ---- extended attributes: what has a dot in its name ---- */

static bool is_xattr(const struct nanos_vol *vol, const struct nanos_attr *a)
{
	u32 len;
	const u8 *name = nanos_bytes(vol, a->name, &len);
	bool dot = false;

	if (!is_text(&a->v) || len > TFS_NAME_MAX)
		return false;
	for (u32 i = 0; i < len; i++) {
		dot |= name[i] == '.' && i && i + 1 < len;
		if (!name[i])
			return false;
	}
	return dot;
}

int nanos_listxattr(struct nanos_vol *vol, u64 ino, char *buf, u32 size)
{
	u64 need = 0;
	u32 len;

	if (!is_tuple(vol, ino))
		return -ENOENT;
	for (u32 i = vol->entry[ino].first; i; i = vol->attr[i].next) {
		const u8 *name = nanos_bytes(vol, vol->attr[i].name, &len);

		if (!is_xattr(vol, &vol->attr[i]))
			continue;
		if (size && need + len + 1 > size)
			return -ERANGE;
		if (size) {
			memcpy(buf + need, name, len);
			buf[need + len] = 0;
		}
		need += len + 1;
	}
	return need > 1u << 30 ? -E2BIG : (int)need;
}

int nanos_getxattr(struct nanos_vol *vol, u64 ino, const char *name, u32 len, void *buf, u32 size)
{
	const struct nanos_attr *a;
	const u8 *p;

	if (!is_tuple(vol, ino))
		return -ENOENT;
	a = nanos_get(vol, (u32)ino, nanos_symbol(vol, name, len, false));
	if (!a || !is_xattr(vol, a))
		return -ENODATA;
	p = nanos_bytes(vol, a->v.n, &len);
	if (len > TFS_XATTR_MAX)
		return -E2BIG;
	if (size && len > size)
		return -ERANGE;
	if (size && len)
		memcpy(buf, p, len);
	return (int)len;
}

/* ---- contents ---- */

int nanos_extent_of(struct nanos_vol *vol, u32 tuple, struct nanos_extent *e)
{
	e->object = tuple;
	if (nanos_number(vol, nanos_find(vol, tuple, "offset"), &e->start) ||
	    nanos_number(vol, nanos_find(vol, tuple, "length"), &e->length))
		return -EINVAL;
	if (nanos_number(vol, nanos_find(vol, tuple, "allocated"), &e->allocated))
		e->allocated = e->length;
	e->uninited = nanos_find(vol, tuple, "uninited") != NULL;
	return 0;
}

static bool extent_sound(const struct nanos_vol *vol, const struct nanos_extent *e)
{
	return e->start && e->length && e->length <= e->allocated && e->start < vol->blocks &&
	       e->allocated <= vol->blocks - e->start && e->block <= TFS_FILE_SIZE_MAX / NANOS_BLOCK - e->length;
}

static bool before(const struct nanos_extent *a, const struct nanos_extent *b)
{
	return a->block != b->block ? a->block < b->block : a->object < b->object;
}

static void sift(struct nanos_extent *e, u32 i, u32 n)
{
	for (u32 child; (child = 2 * i + 1) < n; i = child) {
		struct nanos_extent t = e[i];

		if (child + 1 < n && before(&e[child], &e[child + 1]))
			child++;
		if (!before(&t, &e[child]))
			return;
		e[i] = e[child];
		e[child] = t;
	}
}

static void extents_sort(struct nanos_extent *e, u32 n)
{
	for (u32 i = n / 2; i--;)
		sift(e, i, n);
	while (n > 1) {
		struct nanos_extent t = e[--n];

		e[n] = e[0];
		e[0] = t;
		sift(e, 0, n);
	}
}

/* Of extents that map one block the first keeps it all, the other goes. */
static void overlaps_drop(struct nanos_vol *vol)
{
	u32 kept = 0, had = vol->extents;

	for (u32 i = 0; i < vol->extents; i++)
		if (!kept || vol->extent[kept - 1].block + vol->extent[kept - 1].length <= vol->extent[i].block)
			vol->extent[kept++] = vol->extent[i];
	vol->extents = kept;
	vol->broken |= kept != had;
}

int nanos_extents(struct nanos_vol *vol, u32 file)
{
	const struct nanos_value *v;
	u32 len;
	int err = 0;

	if (vol->cached == file)
		return 0;
	vol->extents = vol->cached = 0;
	v = nanos_find(vol, file, "extents");
	vol->broken = v && v->type != NANOS_TUPLE;
	for (u32 i = v && v->type == NANOS_TUPLE ? vol->entry[v->n].first : 0; i && !err; i = vol->attr[i].next) {
		const struct nanos_attr *a = &vol->attr[i];
		const u8 *name = nanos_bytes(vol, a->name, &len);
		struct nanos_extent e;

		if (a->v.type == NANOS_NONE)
			continue;
		if (a->v.type != NANOS_TUPLE || nanos_decimal(name, len, &e.block) ||
		    nanos_extent_of(vol, (u32)a->v.n, &e) || !extent_sound(vol, &e)) {
			vol->broken = true;
			continue;
		}
		err = nanos_grow(&vol->extent, &vol->extents_max, vol->extents + 1ull, sizeof(e));
		if (!err)
			vol->extent[vol->extents++] = e;
	}
	if (err)
		return err;
	extents_sort(vol->extent, vol->extents);
	overlaps_drop(vol);
	vol->cached = file;
	return 0;
}

/* The first extent that holds data and ends behind the block; NULL: none. */
static const struct nanos_extent *extent_at(const struct nanos_vol *vol, u64 block)
{
	u32 lo = 0, hi = vol->extents;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (vol->extent[mid].block + vol->extent[mid].length <= block)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo < vol->extents && vol->extent[lo].uninited)
		lo++;
	return lo < vol->extents ? &vol->extent[lo] : NULL;
}

/* A part of the file that one extent, or a hole, holds; *n: bytes wanted, then done. */
static int part_read(struct nanos_vol *vol, u64 off, u8 *buf, u32 *n)
{
	const struct nanos_extent *e = extent_at(vol, off / NANOS_BLOCK);
	u64 begin = e ? e->block * NANOS_BLOCK : ~0ull, end;

	if (off < begin) {
		if (*n > begin - off)
			*n = (u32)(begin - off);
		memset(buf, 0, *n);
		return 0;
	}
	end = (e->block + e->length) * NANOS_BLOCK;
	if (*n > end - off)
		*n = (u32)(end - off);
	return vol->dev->ops->io(vol->dev, TFS_IO_READ, e->start * NANOS_BLOCK + (off - begin), buf, *n, 0);
}

static int file_open(struct nanos_vol *vol, u64 ino, u64 *size)
{
	struct tfs_attr a;
	int err = nanos_getattr(vol, ino, &a);

	if (!err && (a.mode & 0170000) != IFREG)
		err = -EINVAL;
	if (!err && vol->broken)
		err = -EIO;
	*size = a.size;
	return err;
}

s64 nanos_read(struct nanos_vol *vol, u64 ino, u64 off, void *buf, u32 len)
{
	u64 size, done = 0;
	int err = file_open(vol, ino, &size);

	if (err || off >= size)
		return err;
	if (len > size - off)
		len = (u32)(size - off);
	while (!err && done < len) {
		u32 n = (u32)(len - done);

		err = part_read(vol, off + done, (u8 *)buf + done, &n);
		done += n;
	}
	return err ? err : (s64)done;
}

s64 nanos_seek(struct nanos_vol *vol, u64 ino, u64 off, bool hole)
{
	const struct nanos_extent *e;
	u64 size;
	int err = file_open(vol, ino, &size);

	if (err)
		return err;
	if (off >= size)
		return -ENXIO;
	e = extent_at(vol, off / NANOS_BLOCK);
	if (!hole) {
		if (e && e->block * NANOS_BLOCK > off)
			off = e->block * NANOS_BLOCK;
		return e && off < size ? (s64)off : -ENXIO;
	}
	while (e && e->block * NANOS_BLOCK <= off && off < size) {
		off = (e->block + e->length) * NANOS_BLOCK;
		e = extent_at(vol, off / NANOS_BLOCK);
	}
	return (s64)(off < size ? off : size);
}
