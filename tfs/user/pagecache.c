// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Dirty files in a hash by inode; a file's dirty windows in an array by position. A window holds 16 blocks; `valid`
 * says which hold the file's content, `dirty` which the volume does not know. Always: dirty is a part of valid; bytes
 * past the end of the file are zero; a window has a reservation for the blocks from its first dirty one to its last, or
 * all of these are preallocated. What is clean is not kept: the kernel above caches pages.
 */
#include "tfs/user/pagecache.h"
#include "tfs/user/port.h"

#include <stdlib.h>
#include <time.h>

#define WINDOW_BLOCKS 16u
#define WINDOW_BYTES (WINDOW_BLOCKS * TFS_BLOCK)
#define BUCKETS 1024u

struct window {
	u64 index;    /* of 64 KiB */
	u32 reserved; /* blocks, as given to tfs_reserve; 0: none */
	u16 valid, dirty;
	u8 data[WINDOW_BYTES];
};

struct file {
	struct file *hash_next, *prev, *next; /* list of dirty files, oldest first */
	u64 ino, size, since_ms;
	struct tfs_time mtime;
	struct window **window;
	u32 windows, windows_max;
	int error; /* of the last attempt to write it back */
	u8 codec, level;
};

struct tfs_cache {
	struct tfs_vol *vol;
	struct file *bucket[BUCKETS], *first, *last;
	u64 bytes, max_bytes;
	u8 scratch[WINDOW_BYTES];
};

u64 tfs_cache_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

int tfs_cache_create(struct tfs_vol *vol, u64 max_bytes, struct tfs_cache **out)
{
	struct tfs_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->vol = vol;
	c->max_bytes = max_bytes < 1u << 20 ? 1u << 20 : max_bytes;
	*out = c;
	return 0;
}

/* ---- files ---- */

static struct file *file_find(const struct tfs_cache *c, u64 ino)
{
	struct file *f = c->bucket[ino % BUCKETS];

	while (f && f->ino != ino)
		f = f->hash_next;
	return f;
}

static int file_get(struct tfs_cache *c, u64 ino, struct file **out)
{
	struct file *f = file_find(c, ino);
	struct tfs_attr a;
	int err;

	*out = f;
	if (f)
		return 0;
	err = tfs_getattr(c->vol, ino, &a);
	if (err)
		return err;
	if ((a.mode & 0170000) != 0100000)
		return (a.mode & 0170000) == 0040000 ? -EISDIR : -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->ino = ino;
	f->size = a.size;
	f->mtime = a.mtime;
	f->codec = a.codec;
	f->level = a.codec_level;
	f->since_ms = tfs_cache_now();
	f->hash_next = c->bucket[ino % BUCKETS];
	c->bucket[ino % BUCKETS] = f;
	f->prev = c->last;
	*(c->last ? &c->last->next : &c->first) = f;
	c->last = f;
	*out = f;
	return 0;
}

static void file_free(struct tfs_cache *c, struct file *f)
{
	struct file **p = &c->bucket[f->ino % BUCKETS];

	while (*p != f)
		p = &(*p)->hash_next;
	*p = f->hash_next;
	*(f->prev ? &f->prev->next : &c->first) = f->next;
	*(f->next ? &f->next->prev : &c->last) = f->prev;
	free(f->window);
	free(f);
}

/* ---- windows ---- */

/* The first window at or after index. */
static u32 window_slot(const struct file *f, u64 index)
{
	u32 lo = 0, hi = f->windows;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (f->window[mid]->index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct window *window_find(const struct file *f, u64 index)
{
	u32 slot = window_slot(f, index);

	return slot < f->windows && f->window[slot]->index == index ? f->window[slot] : NULL;
}

static struct window *window_add(struct tfs_cache *c, struct file *f, u64 index)
{
	u32 slot = window_slot(f, index), max = f->windows_max;
	struct window *w, **grown;

	if (f->windows == max) {
		max = max ? max * 2 : 4;
		grown = realloc(f->window, max * sizeof(*grown));
		if (!grown)
			return NULL;
		f->window = grown;
		f->windows_max = max;
	}
	w = malloc(sizeof(*w));
	if (!w)
		return NULL;
	w->index = index;
	w->reserved = 0;
	w->valid = w->dirty = 0;
	memmove(&f->window[slot + 1], &f->window[slot], (f->windows - slot) * sizeof(*f->window));
	f->window[slot] = w;
	f->windows++;
	c->bytes += sizeof(*w);
	return w;
}

static void window_remove(struct tfs_cache *c, struct file *f, u32 slot)
{
	struct window *w = f->window[slot];

	if (w->reserved)
		tfs_unreserve(c->vol, w->reserved);
	memmove(&f->window[slot], &f->window[slot + 1], (f->windows - slot - 1) * sizeof(*f->window));
	f->windows--;
	c->bytes -= sizeof(*w);
	free(w);
}

void tfs_cache_drop(struct tfs_cache *c, u64 ino)
{
	struct file *f = file_find(c, ino);

	if (!f)
		return;
	while (f->windows)
		window_remove(c, f, f->windows - 1);
	file_free(c, f);
}

void tfs_cache_free(struct tfs_cache *c)
{
	while (c->first)
		tfs_cache_drop(c, c->first->ino);
	free(c);
}

bool tfs_cache_dirty_file(const struct tfs_cache *c, u64 ino)
{
	return file_find(c, ino) != NULL;
}

/* A block's content from the volume; past its end: zeros. */
static int block_fill(struct tfs_cache *c, const struct file *f, struct window *w, u32 b)
{
	u8 *at = w->data + b * TFS_BLOCK;
	s64 n;

	if (w->valid >> b & 1)
		return 0;
	n = tfs_read(c->vol, f->ino, w->index * WINDOW_BYTES + b * TFS_BLOCK, at, TFS_BLOCK);
	if (n < 0)
		return (int)n;
	memset(at + n, 0, TFS_BLOCK - (size_t)n);
	w->valid |= (u16)(1u << b);
	return 0;
}

/* ---- write back ---- */

static u32 first_of(u16 mask)
{
	return (u32)__builtin_ctz(mask);
}

static u32 last_of(u16 mask)
{
	return 31 - (u32)__builtin_clz(mask);
}

static u16 blocks_mask(u32 first, u32 last)
{
	return (u16)((2u << last) - (1u << first));
}

/* One range, one record: never torn within the window, unless a block between two dirty ones is damaged. */
static int window_encode(struct tfs_cache *c, struct file *f, struct window *w, u32 first, u32 last)
{
	u64 block = w->index * WINDOW_BLOCKS + first, end = (w->index * WINDOW_BLOCKS + last + 1) * TFS_BLOCK;
	u64 size = f->size < end ? f->size : end;
	struct tfs_encoded e;

	if (!block && size <= TFS_INLINE_MAX && f->size <= TFS_INLINE_MAX)
		e = (struct tfs_encoded){.blocks = 1, .bytes = TFS_BLOCK, .buf = w->data};
	else
		tfs_encode(f->codec, f->level, w->data + first * TFS_BLOCK, last - first + 1, c->scratch, &e);
	e.beside = f->windows == 1; /* little, and mostly on behalf of an fsync */
	return tfs_write(c->vol, f->ino, block, &e, size, &f->mtime);
}

static int window_flush(struct tfs_cache *c, struct file *f, struct window *w)
{
	int err = 0;

	while (!err && w->dirty) {
		u32 first = first_of(w->dirty), last = first, b;

		for (b = first; b <= last_of(w->dirty) && (err = block_fill(c, f, w, b)) != -EIO && !err; b++)
			if (w->dirty >> b & 1)
				last = b;
		if (err && err != -EIO)
			break;
		err = window_encode(c, f, w, first, last);
		if (!err)
			w->dirty &= (u16)~blocks_mask(first, last);
	}
	return err;
}

static int file_flush(struct tfs_cache *c, struct file *f)
{
	int err = 0;

	while (!err && f->windows) {
		struct window *w = f->window[0];

		err = window_flush(c, f, w);
		if (!err)
			window_remove(c, f, 0);
	}
	f->error = err;
	if (!err)
		file_free(c, f);
	return err;
}

int tfs_cache_flush(struct tfs_cache *c, u64 ino)
{
	struct file *f = file_find(c, ino);

	return f ? file_flush(c, f) : 0;
}

int tfs_cache_error(const struct tfs_cache *c, u64 ino)
{
	struct file *f = file_find(c, ino);

	return f ? f->error : 0;
}

int tfs_cache_flush_old(struct tfs_cache *c, u64 before_ms)
{
	struct file *f, *next;
	int first = 0;

	for (f = c->first; f; f = next) {
		int err;

		next = f->next;
		if (f->since_ms >= before_ms)
			break;
		err = file_flush(c, f);
		first = first ? first : err;
	}
	return first;
}

int tfs_cache_flush_all(struct tfs_cache *c)
{
	return tfs_cache_flush_old(c, ~0ull);
}

bool tfs_cache_shrink(struct tfs_cache *c)
{
	u64 before = c->bytes;

	tfs_cache_flush_all(c); /* a file that cannot be written says so itself */
	return c->bytes < before;
}

/* ---- writing ---- */

/* Space for `need` blocks. What was promised before stays promised if there is none. */
static int reserve_grow(struct tfs_cache *c, struct window *w, u32 need)
{
	u32 want = need > 1 ? WINDOW_BLOCKS : 1;
	int err;

	if (w->reserved >= need)
		return 0;
	err = tfs_reserve(c->vol, want);
	if (err == -ENOSPC && want > need)
		err = tfs_reserve(c->vol, want = need);
	if (err)
		return err;
	if (w->reserved)
		tfs_unreserve(c->vol, w->reserved);
	w->reserved = want;
	return 0;
}

static int space_get(struct tfs_cache *c, struct file *f, struct window *w, u16 dirty)
{
	u32 first = first_of(dirty), last = last_of(dirty);
	u64 block = w->index * WINDOW_BLOCKS;
	int err = reserve_grow(c, w, last - first + 1);

	if (err == -ENOSPC && tfs_preallocated(c->vol, f->ino, block + first, last - first + 1) > 0)
		err = 0; /* what is preallocated has its space already, also when there is no other */
	return err;
}

/* One window's part of a write. off: in the window. */
static int window_write(struct tfs_cache *c, struct file *f, struct window *w, u32 off, const u8 *buf, u32 len)
{
	u32 first = off / TFS_BLOCK, last = (off + len - 1) / TFS_BLOCK;
	u16 mask = blocks_mask(first, last);
	int err = space_get(c, f, w, w->dirty | mask);

	if (!err && off % TFS_BLOCK)
		err = block_fill(c, f, w, first);
	if (!err && (off + len) % TFS_BLOCK)
		err = block_fill(c, f, w, last);
	if (err)
		return err;
	if (buf)
		memcpy(w->data + off, buf, len);
	else
		memset(w->data + off, 0, len);
	w->valid |= mask;
	w->dirty |= mask;
	return 0;
}

static int part_write(struct tfs_cache *c, struct file *f, u64 off, const u8 *buf, u32 len)
{
	struct window *w = window_find(f, off / WINDOW_BYTES);
	bool fresh = !w;
	int err;

	if (!w)
		w = window_add(c, f, off / WINDOW_BYTES);
	if (!w)
		return -ENOMEM;
	err = window_write(c, f, w, (u32)(off % WINDOW_BYTES), buf, len);
	if (err && fresh)
		window_remove(c, f, window_slot(f, off / WINDOW_BYTES));
	return err;
}

static int room_make(struct tfs_cache *c)
{
	int err = c->bytes < c->max_bytes ? 0 : tfs_cache_flush_all(c);

	return c->bytes < c->max_bytes ? 0 : err; /* what stays is another file's affair, while there is room */
}

s64 tfs_cache_write(struct tfs_cache *c, u64 ino, u64 off, const void *buf, u32 len, const struct tfs_time *now)
{
	const u8 *from = buf;
	struct file *f = NULL;
	u32 done = 0;
	int err = !len ? 0 : off > TFS_FILE_SIZE_MAX - len ? -EFBIG : room_make(c);

	if (!err && len)
		err = file_get(c, ino, &f);
	while (!err && done < len) {
		u32 n = WINDOW_BYTES - (u32)((off + done) % WINDOW_BYTES);

		if (n > len - done)
			n = len - done;
		err = part_write(c, f, off + done, from ? from + done : NULL, n);
		if (err == -ENOSPC && c->bytes) { /* what was promised at full size may turn out small */
			tfs_cache_flush_all(c);
			err = file_get(c, ino, &f); /* it was freed when all was written */
			if (!err)
				err = part_write(c, f, off + done, from ? from + done : NULL, n);
		}
		if (err)
			break;
		done += n;
		if (off + done > f->size)
			f->size = off + done;
		f->mtime = *now;
	}
	if (f && !f->windows)
		file_free(c, f);
	return done ? (s64)done : err;
}

/* ---- reading ---- */

static void overlay(const struct window *w, u64 off, u8 *buf, u32 len)
{
	u64 base = w->index * WINDOW_BYTES;

	for (u32 b = 0; b < WINDOW_BLOCKS; b++) {
		u64 from = base + b * TFS_BLOCK, to = from + TFS_BLOCK;

		if (!(w->dirty >> b & 1) || to <= off || from >= off + len)
			continue;
		from = from < off ? off : from;
		to = to > off + len ? off + len : to;
		memcpy(buf + (from - off), w->data + (from - base), to - from);
	}
}

s64 tfs_cache_read(struct tfs_cache *c, u64 ino, u64 off, void *buf, u32 len)
{
	struct file *f = file_find(c, ino);
	s64 n;

	if (!f)
		return tfs_read(c->vol, ino, off, buf, len);
	if (off >= f->size)
		return 0;
	if (len > f->size - off)
		len = (u32)(f->size - off);
	n = tfs_read(c->vol, ino, off, buf, len);
	if (n < 0)
		return n;
	memset((u8 *)buf + n, 0, len - (size_t)n);
	for (u32 i = window_slot(f, off / WINDOW_BYTES);
	     i < f->windows && f->window[i]->index <= (off + len - 1) / WINDOW_BYTES; i++)
		overlay(f->window[i], off, buf, len);
	return len;
}

int tfs_cache_getattr(struct tfs_cache *c, u64 ino, struct tfs_attr *out)
{
	struct file *f = file_find(c, ino);
	int err = tfs_getattr(c->vol, ino, out);

	if (err || !f)
		return err;
	out->size = f->size;
	out->mtime = f->mtime;
	if (tfs_le64(f->mtime.sec) > tfs_le64(out->ctime.sec) ||
	    (f->mtime.sec == out->ctime.sec && tfs_le32(f->mtime.nsec) > tfs_le32(out->ctime.nsec)))
		out->ctime = f->mtime;
	for (u32 i = 0; i < f->windows; i++)
		out->blocks += (u32)__builtin_popcount(f->window[i]->dirty); /* an upper bound until it is written */
	return 0;
}

/* ---- truncating and zeroing ---- */

int tfs_cache_truncate(struct tfs_cache *c, u64 ino, u64 size)
{
	struct file *f = file_find(c, ino);
	u64 from;
	int err = 0;

	if (f && size < f->size && tfs_ship_unsent(c->vol, ino, f->size, &from) > 0)
		file_flush(c, f);  /* its lines come into the volume, which keeps them, as many as it takes */
	if (f && size < f->size) { /* what is cut off need not be written */
		while (f->windows && f->window[f->windows - 1]->index * WINDOW_BYTES >= size)
			window_remove(c, f, f->windows - 1);
		if (f->windows) {
			struct window *w = f->window[f->windows - 1];
			u64 in = size - w->index * WINDOW_BYTES;

			if (in < WINDOW_BYTES) {
				u32 keep = (u32)((in + TFS_BLOCK - 1) / TFS_BLOCK);

				memset(w->data + in, 0, WINDOW_BYTES - in);
				w->dirty &= (u16)((1u << keep) - 1);
				w->valid &= (u16)((1u << keep) - 1);
			}
		}
		f->size = size;
	}
	if (f)
		err = file_flush(c, f);
	return err ? err : tfs_truncate(c->vol, ino, size);
}

int tfs_cache_zero(struct tfs_cache *c, u64 ino, u64 off, u64 len, const struct tfs_time *now)
{
	u64 end = off + len, first = (off + TFS_BLOCK - 1) / TFS_BLOCK, last = end / TFS_BLOCK;
	struct tfs_attr a;
	s64 n = 0;
	int err = tfs_cache_flush(c, ino);

	if (!err)
		err = tfs_getattr(c->vol, ino, &a);
	if (err)
		return err;
	if (end > a.size) { /* the last block's tail is zero anyway */
		end = a.size;
		last = last * TFS_BLOCK < a.size ? (a.size + TFS_BLOCK - 1) / TFS_BLOCK : last;
	}
	if (off < end && first > last) /* within one block */
		return (n = tfs_cache_write(c, ino, off, NULL, (u32)(end - off), now)) < 0 ? (int)n : 0;
	if (first < last) /* first: lines which are to be forwarded are copied as they were */
		err = tfs_punch(c->vol, ino, first, last - first);
	if (err)
		return err;
	if (off < end && off % TFS_BLOCK && first * TFS_BLOCK > off)
		n = tfs_cache_write(c, ino, off, NULL, (u32)((first * TFS_BLOCK < end ? first * TFS_BLOCK : end) - off),
		                    now);
	if (n >= 0 && last * TFS_BLOCK < end && last >= first)
		n = tfs_cache_write(c, ino, last * TFS_BLOCK, NULL, (u32)(end - last * TFS_BLOCK), now);
	return n < 0 ? (int)n : tfs_cache_flush(c, ino);
}
