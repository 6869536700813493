// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A Nanos volume as what mkfs.tfs fills: names and attributes go into the tree in memory, content to the device at
 * once, one block behind the other, so that a file written without a break is one extent for each 32 MiB. What the
 * format cannot hold (devices, fifos) is left out and counted, and so are owners and modes that go.
 */
#include "mkfs/nanos.h"

static struct mkfs_nanos *nanos_of(struct mkfs_fill *f)
{
	return f->nanos;
}

int mkfs_nanos_begin(struct mkfs_nanos *m, const struct tfs_env *env)
{
	static const char *const names[] = {"exec",  "readonly", "extents", "filelength", "mtime",   "atime",
	                                    "nlink", "offset",   "length",  "allocated",  "children"};
	u32 *symbols[] = {&m->exec,  &m->readonly, &m->extents, &m->filelength, &m->mtime,   &m->atime,
	                  &m->nlink, &m->offset,   &m->length,  &m->allocated,  &m->children};
	int err = nanos_new(env, &m->vol);

	m->next = NANOS_DATA_START;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !err; i++) {
		*symbols[i] = nanos_symbol(m->vol, names[i], (u32)strlen(names[i]), true);
		if (!*symbols[i])
			err = -ENOMEM;
	}
	return err;
}

/* ---- attributes ---- */

static int time_set(struct mkfs_nanos *m, u64 ino, const struct tfs_time *t)
{
	u64 sec = tfs_le64(t->sec), v;
	int err;

	if (sec >> 32) { /* before 1970, after 2106: the nearest there is */
		m->times++;
		v = sec >> 63 ? 0 : ~0ull;
		return nanos_set(m->vol, (u32)ino, m->mtime, nanos_int(v))
		           ?: nanos_set(m->vol, (u32)ino, m->atime, nanos_int(v));
	}
	v = sec << 32 | ((u64)tfs_le32(t->nsec) << 32) / 1000000000;
	if (v >> 32 != sec)
		v = sec << 32 | 0xffffffff;
	/* down, so that reading gives no later time; one more where that would lose the nanosecond */
	if (((v & 0xffffffff) * 1000000000 >> 32) < tfs_le32(t->nsec))
		v++;
	err = nanos_set(m->vol, (u32)ino, m->mtime, nanos_int(v));
	return err ? err : nanos_set(m->vol, (u32)ino, m->atime, nanos_int(v));
}

static int flag_set(struct mkfs_nanos *m, u64 ino, u32 name, bool on)
{
	struct nanos_value v = {0};
	int err = on ? nanos_value_bytes(m->vol, NANOS_BYTES, "", 1, &v) : 0;

	return err ? err : nanos_set(m->vol, (u32)ino, name, v);
}

static int mode_set(struct mkfs_nanos *m, u64 ino, u32 mode)
{
	bool dir = nanos_children(m->vol, (u32)ino) != 0, exec = !dir && mode & 0111, fixed = !dir && !(mode & 0222);
	u32 shown = ((dir || exec) ? 0755 : 0644) & ~(fixed ? 0222u : 0u);
	int err;

	m->modes += nanos_node_of(m->vol, (u32)ino) != NANOS_LINK && (mode & 07777) != shown;
	if (dir || nanos_node_of(m->vol, (u32)ino) != NANOS_FILE)
		return 0;
	err = flag_set(m, ino, m->exec, exec);
	return err ? err : flag_set(m, ino, m->readonly, fixed);
}

static int theirs_setattr(struct mkfs_fill *f, u64 ino, u32 mask, const struct tfs_attr *a)
{
	struct mkfs_nanos *m = nanos_of(f);
	int err = 0;

	if (ino == MKFS_NANOS_LEFT_OUT)
		return 0;
	if (mask & TFS_SET_MODE) {
		err = mode_set(m, ino, a->mode);
		m->owners += a->uid || a->gid;
	}
	return err || !(mask & TFS_SET_MTIME) ? err : time_set(m, ino, &a->mtime);
}

static int theirs_getattr(struct mkfs_fill *f, u64 ino, struct tfs_attr *out)
{
	return nanos_getattr_quick(nanos_of(f)->vol, ino, out);
}

/* ---- names ---- */

static int text_set(struct mkfs_nanos *m, u32 tuple, const char *name, const void *text, u32 len)
{
	struct nanos_value v;
	int err = nanos_value_bytes(m->vol, NANOS_STRING, text, len, &v);

	return err ? err : nanos_set_named(m->vol, tuple, name, v);
}

static int object_set(struct mkfs_nanos *m, u32 tuple, u32 name)
{
	u32 object;
	int err = nanos_object_new(m->vol, NANOS_IS_TUPLE, &object);

	return err ? err : nanos_set(m->vol, tuple, name, nanos_object(NANOS_TUPLE, object));
}

static int node_make(struct mkfs_nanos *m, const struct tfs_create *c, u32 *tuple)
{
	int err = nanos_object_new(m->vol, NANOS_IS_TUPLE, tuple);

	if (err)
		return err;
	switch (c->mode & S_IFMT) {
	case S_IFDIR:
		return object_set(m, *tuple, m->children);
	case S_IFLNK:
		return text_set(m, *tuple, "linktarget", c->target, c->target_len);
	case S_IFSOCK:
		return flag_set(m, *tuple, nanos_symbol(m->vol, "socket", 6, true), true);
	default:
		err = object_set(m, *tuple, m->extents);
		return err ? err : nanos_set(m->vol, *tuple, m->filelength, nanos_int(0));
	}
}

static int name_set(struct mkfs_nanos *m, u64 parent, const char *name, u32 len, struct nanos_value v)
{
	u32 names = nanos_children(m->vol, (u32)parent), symbol;

	if (!names)
		return -ENOTDIR;
	if (!nanos_name_valid((const u8 *)name, len))
		return len > TFS_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
	m->names += v.type && !tfs_cli_is_utf8(name, len);
	symbol = nanos_symbol(m->vol, name, len, true);
	return symbol ? nanos_set(m->vol, names, symbol, v) : -ENOMEM;
}

static int links_add(struct mkfs_nanos *m, u64 ino, int n)
{
	struct nanos_entry *e = &m->vol->entry[ino];

	e->links = (u32)((int)e->links + n);
	if (e->links < 2 && !nanos_get(m->vol, (u32)ino, m->nlink))
		return 0;
	return nanos_set(m->vol, (u32)ino, m->nlink, nanos_int(e->links));
}

static int theirs_create(struct mkfs_fill *f, u64 parent, const char *name, u32 len, const struct tfs_create *c,
                         u64 *ino)
{
	struct mkfs_nanos *m = nanos_of(f);
	u32 type = c->mode & S_IFMT, tuple;
	int err;

	if (type == S_IFCHR || type == S_IFBLK || type == S_IFIFO) {
		m->left_out++;
		*ino = MKFS_NANOS_LEFT_OUT;
		return 0;
	}
	err = node_make(m, c, &tuple);
	if (!err)
		err = name_set(m, parent, name, len, nanos_object(NANOS_TUPLE, tuple));
	if (err)
		return err;
	*ino = tuple;
	m->owners += c->uid || c->gid;
	m->vol->entry[tuple].links = 1;
	err = mode_set(m, tuple, c->mode);
	return err ? err : time_set(m, tuple, &f->now);
}

static int theirs_lookup(struct mkfs_fill *f, u64 parent, const char *name, u32 len, u64 *ino, u8 *type)
{
	return nanos_lookup(nanos_of(f)->vol, parent, name, len, ino, type);
}

static int theirs_link(struct mkfs_fill *f, u64 ino, u64 parent, const char *name, u32 len)
{
	struct mkfs_nanos *m = nanos_of(f);
	int err;

	if (ino == MKFS_NANOS_LEFT_OUT)
		return 0;
	err = name_set(m, parent, name, len, nanos_object(NANOS_TUPLE, (u32)ino));
	return err ? err : links_add(m, ino, 1);
}

static int theirs_unlink(struct mkfs_fill *f, u64 parent, const char *name, u32 len, bool dir, u64 *ino)
{
	struct mkfs_nanos *m = nanos_of(f);
	struct tfs_attr a;
	u8 type;
	int err = nanos_lookup(m->vol, parent, name, len, ino, &type);

	if (!err && dir && !(err = nanos_getattr(m->vol, *ino, &a)) && a.size)
		err = -ENOTEMPTY;
	if (!err)
		err = name_set(m, parent, name, len, (struct nanos_value){0});
	return err ? err : links_add(m, *ino, -1);
}

/* Its blocks stay unused; whoever mounts the volume finds them free. */
static int theirs_evict(struct mkfs_fill *f, u64 ino)
{
	(void)f;
	(void)ino;
	return 0;
}

static int theirs_setxattr(struct mkfs_fill *f, u64 ino, const char *name, u32 len, const void *value, u32 value_len)
{
	struct mkfs_nanos *m = nanos_of(f);
	struct nanos_value v;
	u32 symbol;
	int err;

	if (ino == MKFS_NANOS_LEFT_OUT)
		return 0;
	symbol = nanos_symbol(m->vol, name, len, true);
	err = symbol ? nanos_value_bytes(m->vol, NANOS_STRING, value, value_len, &v) : -ENOMEM;
	return err ? err : nanos_set(m->vol, (u32)ino, symbol, v);
}

/* ---- content ---- */

int mkfs_nanos_room(struct mkfs_fill *f, u64 blocks)
{
	u64 need = blocks * NANOS_BLOCK, size = f->target->dev.size;

	if (need <= size)
		return 0;
	if (!f->grows)
		return -ENOSPC;
	size += size / 2;
	size = (size > need ? size : need) & ~(u64)(TFS_BLOCK - 1);
	return mkfs_target_grow(f->target, size + TFS_BLOCK);
}

static int extent_new(struct mkfs_nanos *m, u64 ino, u64 block, u64 start, u64 len)
{
	const struct nanos_attr *extents = nanos_get(m->vol, (u32)ino, m->extents);
	char name[24];
	u32 n = (u32)snprintf(name, sizeof(name), "%llu", (unsigned long long)block), symbol, tuple;
	u32 into = extents ? (u32)extents->v.n : 0;
	int err = into ? nanos_object_new(m->vol, NANOS_IS_TUPLE, &tuple) : -EUCLEAN;

	symbol = err ? 0 : nanos_symbol(m->vol, name, n, true);
	if (!err && !symbol)
		err = -ENOMEM;
	if (!err)
		err = nanos_set(m->vol, into, symbol, nanos_object(NANOS_TUPLE, tuple));
	if (!err)
		err = nanos_set(m->vol, tuple, m->offset, nanos_int(start));
	if (err)
		return err;
	m->tail = tuple;
	m->tail_of = ino;
	m->tail_block = block;
	m->tail_start = start;
	m->tail_len = 0;
	(void)len;
	return 0;
}

/* The extent written last becomes longer, or there is a new one. */
static int extent_put(struct mkfs_nanos *m, u64 ino, u64 block, u64 start, u64 len)
{
	int err = 0;

	if (!m->tail || m->tail_of != ino || m->tail_block + m->tail_len != block ||
	    m->tail_start + m->tail_len != start || m->tail_len + len > NANOS_EXTENT_MAX)
		err = extent_new(m, ino, block, start, len);
	m->tail_len += err ? 0 : len;
	if (!err)
		err = nanos_set(m->vol, m->tail, m->length, nanos_int(m->tail_len));
	return err ? err : nanos_set(m->vol, m->tail, m->allocated, nanos_int(m->tail_len));
}

static int size_set(struct mkfs_nanos *m, u64 ino, u64 size, bool grow)
{
	const struct nanos_attr *a = nanos_get(m->vol, (u32)ino, m->filelength);

	if (grow && a && a->v.n >= size)
		return 0;
	return nanos_set(m->vol, (u32)ino, m->filelength, nanos_int(size));
}

static int theirs_truncate(struct mkfs_fill *f, u64 ino, u64 size)
{
	struct mkfs_nanos *m = nanos_of(f);
	int err = 0;

	if (ino == MKFS_NANOS_LEFT_OUT)
		return 0;
	if (!size) { /* new content comes */
		m->tail = 0;
		m->vol->cached = 0;
		err = object_set(m, (u32)ino, m->extents);
	}
	return err ? err : size_set(m, ino, size, false);
}

static int theirs_put(struct mkfs_fill *f, const struct mkfs_job *job, u64 size)
{
	struct mkfs_nanos *m = nanos_of(f);
	u32 skip = job->first * TFS_BLOCK, bytes = job->e.blocks * TFS_BLOCK, done = 0;
	u64 block = (job->off + skip) / NANOS_BLOCK, blocks;
	int err;

	if (f->ino == MKFS_NANOS_LEFT_OUT)
		return 0;
	if (bytes > job->bytes - skip)
		bytes = job->bytes - skip;
	blocks = (bytes + NANOS_BLOCK - 1) / NANOS_BLOCK; /* what is behind the end in the last one is zeros */
	err = mkfs_nanos_room(f, m->next + blocks);
	for (u32 n; !err && done < blocks * NANOS_BLOCK; done += n) {
		n = (u32)(blocks * NANOS_BLOCK) - done;
		err = f->target->dev.ops->io(&f->target->dev, TFS_IO_WRITE, m->next * NANOS_BLOCK + done,
		                             job->data + skip + done, n, 0);
	}
	m->vol->cached = 0;
	if (!err)
		err = extent_put(m, f->ino, block, m->next, blocks);
	m->next += err ? 0 : blocks;
	return err ? err : size_set(m, f->ino, size, true);
}

static int theirs_grow(struct mkfs_fill *f)
{
	(void)f;
	return 0; /* as data comes */
}

const struct mkfs_sink_ops mkfs_sink_nanos = {theirs_create,   theirs_lookup, theirs_getattr, theirs_setattr,
                                              theirs_setxattr, theirs_link,   theirs_unlink,  theirs_evict,
                                              theirs_truncate, theirs_put,    theirs_grow};
