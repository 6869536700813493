// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is shared: passes 2 and 4 count the references to each item of REFS from nothing and compare. Of a compressed
 * extent the item is all of it, counted once for each window; of raw content it is up to a window's blocks, each
 * counted by itself, so what is wrong about one is put right in runs of equal counts. In a repair all is counted again,
 * and what other fixes changed is written (fsck_refs_again). What is shared and has no item is found by fsck_twice.c.
 */
#include "fsck/fsck.h"

#include <stdlib.h>

struct fsck_ref *fsck_ref_at(const struct fsck *f, u64 addr)
{
	size_t lo = 0, hi = f->refs;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->ref[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return f->ref + lo;
}

struct fsck_ref *fsck_ref_of(const struct fsck *f, const struct tfs_ptr *ptr)
{
	struct fsck_ref *r = f->refs ? fsck_ref_at(f, ptr->addr) : NULL;

	return r && r < f->ref + f->refs && r->addr == ptr->addr && r->len == ptr->len && !(ptr->flags & TFS_PTR_GANG)
	           ? r
	           : NULL;
}

static u32 ref_blocks(const struct fsck_ref *r)
{
	return r->len / TFS_UNITS_PER_BLOCK;
}

struct fsck_ref *fsck_ref_over(const struct fsck *f, u64 addr)
{
	struct fsck_ref *r = f->refs ? fsck_ref_at(f, addr + 1) : NULL;

	if (!r || r == f->ref)
		return NULL;
	r--;
	return r->addr + r->len > addr && (addr - r->addr) % TFS_UNITS_PER_BLOCK == 0 &&
	               r->len % TFS_UNITS_PER_BLOCK == 0 && ref_blocks(r) <= FSCK_WINDOW_BLOCKS
	           ? r
	           : NULL;
}

/* ---- counting ---- */

/* The first of them claims the place. */
int fsck_use_shared(struct fsck *f, const struct tfs_ptr *ptr)
{
	struct fsck_ref *r = fsck_ref_of(f, ptr);

	return r && r->found++ ? 0 : fsck_use(f, ptr);
}

static int raw_begin(struct fsck_ref *r)
{
	if (r->raw)
		return 0;
	r->raw = calloc(1, sizeof(*r->raw));
	if (!r->raw)
		return -ENOMEM;
	for (u32 i = 0; i < ref_blocks(r); i++) /* an item that says nothing is wrong, whatever is found */
		r->raw->stated[i] = r->there && !r->count ? ~0u : r->count;
	return 0;
}

int fsck_use_raw(struct fsck *f, const struct tfs_ptr *ptr)
{
	struct tfs_ptr block = *ptr;
	int err = 0;

	if (!f->refs)
		return fsck_use(f, ptr);
	block.len = TFS_UNITS_PER_BLOCK;
	for (; !err && block.addr < ptr->addr + ptr->len; block.addr += TFS_UNITS_PER_BLOCK) {
		struct fsck_ref *r = fsck_ref_over(f, block.addr);

		err = r ? raw_begin(r) : 0;
		if (!err && (!r || !r->raw->found[(block.addr - r->addr) / TFS_UNITS_PER_BLOCK]++))
			err = fsck_use(f, &block);
	}
	return err;
}

void fsck_refs_reset(struct fsck *f)
{
	for (size_t i = 0; i < f->refs; i++) {
		f->ref[i].found = 0;
		if (f->ref[i].raw)
			memset(f->ref[i].raw->found, 0, sizeof(f->ref[i].raw->found));
	}
}

void fsck_refs_free(struct fsck *f)
{
	for (size_t i = 0; i < f->refs; i++)
		free(f->ref[i].raw);
	free(f->ref);
}

/* ---- writing what was found ---- */

typedef int (*ref_write_fn)(struct fsck *f, u64 addr, u32 len, u32 count); /* count 0: there is to be none */

static int write_fix(struct fsck *f, u64 addr, u32 len, u32 count)
{
	struct tfs_ref value = {tfs_cpu32(len), tfs_cpu32(count)};
	struct tfs_key key = {addr, 0};

	fsck_fix_add(f, count ? FIX_PUT : FIX_DEL, TFS_TREE_REFS, key, 0, count ? &value : NULL, sizeof(value));
	return 0;
}

static int write_now(struct fsck *f, u64 addr, u32 len, u32 count)
{
	struct tfs_ref value = {tfs_cpu32(len), tfs_cpu32(count)};
	struct tfs_key key = {addr, 0};
	int err = count ? tfs_repair_put(f->vol, TFS_TREE_REFS, key, &value, sizeof(value))
	                : tfs_repair_del(f->vol, TFS_TREE_REFS, key);

	return err == -ENOENT ? 0 : err;
}

static u32 counted(u32 found)
{
	return found > 1 ? found : 0;
}

static bool by_block(const struct fsck_ref *r)
{
	return r->raw && !r->found;
}

/* -1: as stated; else the first block that differs. */
static int raw_differs(const struct fsck_ref *r)
{
	for (u32 i = 0; i < ref_blocks(r); i++)
		if (r->raw->stated[i] != counted(r->raw->found[i]))
			return (int)i;
	return -1;
}

static bool run_begins(const u32 *count, u32 i)
{
	return count[i] && (!i || count[i] != count[i - 1]);
}

static int raw_write(struct fsck *f, struct fsck_ref *r, ref_write_fn fn)
{
	u32 n = ref_blocks(r), want[FSCK_WINDOW_BLOCKS], i, end;
	int err = 0;

	for (i = 0; i < n; i++)
		want[i] = counted(r->raw->found[i]);
	for (i = 0; !err && i < n; i++) {
		u64 addr = r->addr + i * TFS_UNITS_PER_BLOCK;

		for (end = i + 1; end < n && want[end] == want[i]; end++)
			;
		if (run_begins(want, i))
			err = fn(f, addr, (end - i) * TFS_UNITS_PER_BLOCK, want[i]);
		else if (run_begins(r->raw->stated, i))
			err = fn(f, addr, 0, 0);
	}
	memcpy(r->raw->stated, want, n * sizeof(want[0]));
	return err;
}

static int whole_write(struct fsck *f, struct fsck_ref *r, ref_write_fn fn)
{
	r->count = counted(r->found);
	for (u32 i = 0; r->raw && i < ref_blocks(r); i++)
		r->raw->stated[i] = r->count;
	return fn(f, r->addr, r->len, r->count);
}

/* ---- comparing ---- */

static void ref_compare(struct fsck *f, struct fsck_ref *r)
{
	bool raw = by_block(r);
	int block = raw ? raw_differs(r) : -1;
	u32 at = block > 0 ? (u32)block : 0;
	char object[64];

	if (raw ? block < 0 : r->found > 1 && r->count == r->found)
		return;
	snprintf(object, sizeof(object), "shared range at unit %llu",
	         (unsigned long long)r->addr + at * TFS_UNITS_PER_BLOCK);
	r->left = !fsck_problem(f, FSCK_REF_COUNT, object, "expected %u, found %u", raw ? r->raw->found[at] : r->found,
	                        raw && r->raw->stated[at] != ~0u ? r->raw->stated[at] : r->count);
	if (r->left)
		return;
	if (raw)
		raw_write(f, r, write_fix);
	else
		whole_write(f, r, write_fix);
}

void fsck_refs_compare(struct fsck *f)
{
	for (size_t i = 0; i < f->refs; i++)
		ref_compare(f, &f->ref[i]);
}

int fsck_refs_again(struct fsck *f)
{
	int err = 0;

	for (size_t i = 0; !err && i < f->refs; i++) {
		struct fsck_ref *r = &f->ref[i];

		if (r->left)
			continue;
		if (by_block(r))
			err = raw_differs(r) >= 0 ? raw_write(f, r, write_now) : 0;
		else if (r->count != counted(r->found))
			err = whole_write(f, r, write_now);
	}
	return err;
}
