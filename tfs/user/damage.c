// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Words for what verifying found: for fsck.tfs --data and tfs scrub. The problem's own text is in fsck/problems.h. */
#include "tfs/user/damage.h"

#include <stdio.h>
#include <string.h>

void tfs_damage_object(const struct tfs_bad *b, char *out, size_t size)
{
	static const char *const tree[TFS_TREES] = {"FS", "SPACE", "SNAP", "REFS"};
	unsigned long long pos = b->key.b & TFS_POS_MASK, ino = b->key.a;
	int n;

	if (b->kind == TFS_BAD_NODE)
		n = snprintf(out, size, "%s tree node of level %u at unit %llu",
		             b->tree < TFS_TREES ? tree[b->tree] : "?", b->level, (unsigned long long)b->ptr.addr);
	else if (b->key.b >> TFS_POS_BITS == TFS_IT_XATTR)
		n = snprintf(out, size, "inode %llu xattr at %014llx", ino, pos);
	else
		n = snprintf(out, size, "inode %llu block %llu", ino, pos);
	if (b->snapshot && n > 0 && (size_t)n < size)
		snprintf(out + n, size - (size_t)n, " in snapshot of epoch %llu", (unsigned long long)b->snapshot);
}

void tfs_damage_detail(const struct tfs_bad *b, char *out, size_t size)
{
	unsigned long long addr = b->ptr.addr;

	if (b->err)
		snprintf(out, size, "units %llu+%u: expected to read them, found: %s", addr, b->ptr.len,
		         strerror(-b->err));
	else if (b->kind == TFS_BAD_CODE)
		snprintf(out, size, "expected codec %u to give %u blocks from unit %llu+%u, found other", b->expected,
		         b->found, addr, b->ptr.len);
	else if (b->kind == TFS_BAD_NODE && b->expected == b->found)
		snprintf(out, size, "units %llu+%u: expected a node that fits its place, found another", addr,
		         b->ptr.len);
	else if (b->block >= 0)
		snprintf(out, size, "block %d at unit %llu: expected CRC %08x, found %08x", b->block, addr, b->expected,
		         b->found);
	else
		snprintf(out, size, "units %llu+%u: expected CRC %08x, found %08x", addr, b->ptr.len, b->expected,
		         b->found);
}
