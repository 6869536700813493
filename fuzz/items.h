/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How items are written in an input, for fuzz/items.c, which reads them, and fuzz/seeds.c, which writes them:
 * {object (1 byte; 255: 8 bytes follow), type (1 byte), position (1 byte; 255: 7 bytes follow), length (2 bytes),
 * value}. A type with its top bit set makes a SPACE key: {type << 56 | object, position}.
 */
#ifndef TFS_FUZZ_ITEMS_H
#define TFS_FUZZ_ITEMS_H

#include "fuzz/fuzz.h"

#include <stdlib.h>

#define FUZZ_VOLUME ((u64)FUZZ_CRC << 32 | FUZZ_CRC) /* what the volume id is derived to */

enum {
	FUZZ_ITEMS_CHECK,
	FUZZ_ITEMS_NODE,
	FUZZ_ITEMS_SUPER,
	FUZZ_ITEMS_ANCHOR,
	FUZZ_ITEMS_HEAD,
	FUZZ_ITEMS_SPACE,
	FUZZ_ITEMS_FS,
	FUZZ_ITEMS_COLUMNS
};

void fuzz_base_small(void);         /* base.c: FS and SPACE of one leaf each, not compressed; kept as base */
struct tfs_ptr fuzz_root(int tree); /* base.c: as the newest checkpoint has it */

static inline u64 fuzz_wide(struct fuzz_in *in, u32 bytes)
{
	u64 v = 0;
	u32 i, b = fuzz_u8(in);

	if (b != 255)
		return b;
	for (i = 0; i < bytes; i++)
		v |= (u64)fuzz_u8(in) << 8 * i;
	return v;
}

/* value: room for 64 KiB. False at the input's end. */
static inline bool fuzz_item_read(struct fuzz_in *in, struct tfs_key *key, void *value, u32 *len)
{
	u64 object, type, pos;
	u32 got;

	if (fuzz_left(in) < 5)
		return false;
	object = fuzz_wide(in, 8);
	type = fuzz_u8(in);
	pos = fuzz_wide(in, 7);
	*len = fuzz_u16(in);
	got = fuzz_bytes(in, value, *len);
	memset((u8 *)value + got, 0, *len - got);
	*key = type & 0x80 ? (struct tfs_key){(type & 0x7f) << 56 | object, pos}
	                   : (struct tfs_key){object, type << TFS_POS_BITS | (pos & TFS_POS_MASK)};
	return true;
}

#endif
