// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Whether stored content is what its pointers say: the one verifier of fsck.tfs --data and of scrub. It reads the device
 * and not what is in memory, and tells a function what does not match; it changes nothing and ends at nothing but want
 * of memory. A raw extent has a CRC for each block, everything else one over its stored units; what a codec made must
 * decode as well. Called between operations, so what a pointer of the moment names is there.
 */
#include "tfs/vol.h"

/* ---- data ---- */

struct check {
	struct tfs_bad bad;
	tfs_bad_fn fn;
	void *arg;
	int found; /* fn's answers, and whether there was one */
};

static void tell(struct check *c, enum tfs_bad_kind kind, int block, u32 expected, u32 found)
{
	c->bad.kind = kind;
	c->bad.block = block;
	c->bad.expected = expected;
	c->bad.found = found;
	c->found = 1;
	c->fn(c->arg, &c->bad);
}

static void raw_check(struct check *c, const struct tfs_extent *e, const u8 *buf)
{
	u32 i;

	for (i = 0; i < tfs_le16(e->blocks); i++) {
		u32 crc = tfs_port_crc32c(0, buf + i * TFS_BLOCK, TFS_BLOCK);

		if (crc != tfs_le32(e->crc[i]))
			tell(c, TFS_BAD_DATA, (int)i, tfs_le32(e->crc[i]), crc);
	}
}

int tfs_data_verify(struct tfs_vol *vol, struct tfs_key key, const void *value, u8 *buf, tfs_bad_fn fn, void *arg)
{
	const struct tfs_extent *e = tfs_key_type(key) == TFS_IT_EXTENT ? value : NULL;
	struct check c = {.bad = {.tree = TFS_TREE_FS, .key = key}, .fn = fn, .arg = arg};
	bool raw = e && !e->codec;
	u32 crc;
	int err;

	if (!tfs_item_ptr(TFS_TREE_FS, key, value, &c.bad.ptr))
		return 0;
	if (c.bad.ptr.len > TFS_VERIFY_UNITS || (e && tfs_le16(e->total) > TFS_VERIFY_UNITS / TFS_UNITS_PER_BLOCK))
		return -EOPNOTSUPP;
	err = tfs_read_ptr(vol, &c.bad.ptr, buf, false);
	if (err == -ENOMEM)
		return err;
	c.bad.err = err;
	crc = err || raw ? 0 : tfs_port_crc32c(0, buf, c.bad.ptr.len * TFS_UNIT);
	if (err)
		tell(&c, c.bad.ptr.flags & TFS_PTR_GANG && err == -EUCLEAN ? TFS_BAD_GANG : TFS_BAD_DATA, -1, 0, 0);
	else if (raw)
		raw_check(&c, e, buf);
	else if (crc != c.bad.ptr.crc)
		tell(&c, TFS_BAD_DATA, -1, c.bad.ptr.crc, crc);
	else if (e) {
		err = tfs_port_decompress(e->codec, buf + TFS_VERIFY_UNITS * TFS_UNIT, tfs_le16(e->total) * TFS_BLOCK,
		                          buf, c.bad.ptr.len * TFS_UNIT);
		if (err == -ENOMEM)
			return err;
		if (err)
			tell(&c, TFS_BAD_CODE, -1, e->codec, tfs_le16(e->total));
	}
	return c.found;
}

/* ---- nodes ---- */

int tfs_node_verify(struct tfs_vol *vol, int tree, int level, struct tfs_key lo, const struct tfs_ptr *ptr, u8 *buf,
                    tfs_bad_fn fn, void *arg)
{
	struct check c = {.bad = {.tree = (u8)tree, .level = (u8)level, .key = lo, .ptr = *ptr}, .fn = fn, .arg = arg};
	u32 crc, bytes = ptr->len * TFS_UNIT;
	const char *why = NULL;
	int err;

	if (bytes < TFS_UNIT || bytes > TFS_NODE_SIZE + TFS_UNIT)
		return tell(&c, TFS_BAD_NODE, -1, 0, 0), 1;
	err = tfs_read_ptr(vol, ptr, buf, false);
	if (err == -ENOMEM)
		return err;
	c.bad.err = err;
	crc = err ? 0 : tfs_port_crc32c(0, buf, bytes);
	if (err || crc != ptr->crc)
		return tell(&c, TFS_BAD_NODE, -1, ptr->crc, crc), 1;
	err = tfs_node_decode(buf + 2 * TFS_NODE_SIZE, buf, bytes, buf + 3 * TFS_NODE_SIZE, &why);
	if (err == -ENOMEM)
		return err;
	if (!why)
		why = tfs_node_check(buf + 2 * TFS_NODE_SIZE, vol->volume);
	if (why)
		return tell(&c, TFS_BAD_NODE, -1, ptr->crc, crc), 1;
	return 0;
}
