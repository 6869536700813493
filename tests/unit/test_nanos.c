// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Nanos volumes in memory: what the writer writes the reader reads; every bit of a small volume's log flipped, each
 * alone: an error, a report, or nothing that reads differently, but for what the format has no second statement of
 * (bytes of names, texts and numbers, references from one name to another): their share is printed, and framing,
 * headers and links are never among them. Then logs by bytes: circles, absurd lengths, torn ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tfs/nanos/nanos.h"
#include "tfs/user/file_dev.h"
#include "tfs/user/port.h"

#include <stdio.h>

#define BLOCKS 5120u
struct ram {
	struct tfs_dev dev;
	u8 *bytes;
};

static int ram_io(struct tfs_dev *dev, enum tfs_io_op op, u64 at, void *buf, u32 bytes, u32 flags)
{
	struct ram *r = (struct ram *)dev;

	(void)flags;
	if (at > dev->size || bytes > dev->size - at)
		return -EIO;
	if (op == TFS_IO_READ)
		memcpy(buf, r->bytes + at, bytes);
	else
		memcpy(r->bytes + at, buf, bytes);
	return 0;
}

static int ram_flush(struct tfs_dev *dev)
{
	(void)dev;
	return 0;
}

static const struct tfs_dev_ops ram_ops = {ram_io, ram_flush, NULL};

static u64 fixed(void *ctx)
{
	(void)ctx;
	return 42;
}
static const struct tfs_env env = {.random = fixed};

static struct ram ram_new(void)
{
	struct ram r = {.dev = {.ops = &ram_ops, .size = BLOCKS * NANOS_BLOCK}};

	r.bytes = calloc(BLOCKS, NANOS_BLOCK);
	assert_non_null(r.bytes);
	return r;
}

/* ---- a small volume of every kind of thing ---- */

static struct nanos_value text(struct nanos_vol *v, const char *s)
{
	struct nanos_value out;

	assert_int_equal(nanos_value_bytes(v, NANOS_STRING, s, (u32)strlen(s), &out), 0);
	return out;
}

static u32 tuple_in(struct nanos_vol *v, u32 in, const char *name)
{
	u32 t;

	assert_int_equal(nanos_object_new(v, NANOS_IS_TUPLE, &t), 0);
	assert_int_equal(nanos_set_named(v, in, name, nanos_object(NANOS_TUPLE, t)), 0);
	return t;
}

static u32 file_in(struct nanos_vol *v, struct ram *r, u32 names, const char *name, u64 start, u64 blocks, u64 size)
{
	u32 f = tuple_in(v, names, name), e = tuple_in(v, f, "extents");

	nanos_set_named(v, f, "filelength", nanos_int(size));
	nanos_set_named(v, f, "mtime", nanos_int(1700000000ull << 32));
	if (!blocks)
		return f;
	e = tuple_in(v, e, "0");
	nanos_set_named(v, e, "offset", nanos_int(start));
	nanos_set_named(v, e, "length", nanos_int(blocks));
	nanos_set_named(v, e, "allocated", nanos_int(blocks));
	for (u64 i = 0; i < blocks * NANOS_BLOCK; i++)
		r->bytes[start * NANOS_BLOCK + i] = (u8)(start * 7 + i * 13 + i / 512);
	return f;
}

static int place(void *arg, u64 *start)
{
	u64 *next = arg;

	*start = *next;
	*next += NANOS_EXTENSION;
	return *start + NANOS_EXTENSION > BLOCKS ? -ENOSPC : 0;
}

static void volume_make(struct ram *r)
{
	struct nanos_vol *v;
	u64 next = 1;
	u32 root, dir, f;

	assert_int_equal(nanos_new(&env, &v), 0);
	root = nanos_children(v, 1);
	f = file_in(v, r, root, "one", 3073, 3, 1500);
	nanos_set_named(v, f, "user.note", text(v, "hello world"));
	dir = tuple_in(v, root, "directory");
	dir = tuple_in(v, dir, "children");
	file_in(v, r, dir, "empty", 0, 0, 0);
	file_in(v, r, dir, "two", 3076, 8, 4096);
	nanos_set_named(v, f, "nlink", nanos_int(2));
	nanos_set_named(v, dir, "hard", nanos_object(NANOS_TUPLE, f));
	f = tuple_in(v, root, "soft");
	nanos_set_named(v, f, "linktarget", text(v, "directory/two"));
	nanos_set_named(v, 1, "program", text(v, "/one"));
	memcpy(v->label, "small", 5);
	memset(v->uuid, 0x5a, 16);
	assert_int_equal(nanos_write(v, &r->dev, place, &next), 0);
	nanos_close(v);
}

/* ---- what is read, as one number ---- */

static void mix(u64 *sum, const void *p, size_t n)
{
	for (const u8 *b = p; n--; b++)
		*sum = (*sum ^ *b) * 0x100000001b3ull;
}

static u64 file_sum(struct nanos_vol *v, u64 ino, const struct tfs_attr *a)
{
	static u8 buf[65536];
	u64 sum = a->size, at = 0;
	s64 n;

	while (at < a->size && at < 1u << 20 && (n = nanos_read(v, ino, at, buf, sizeof(buf))) > 0) {
		mix(&sum, buf, (size_t)n);
		at += (u64)n;
	}
	return sum;
}

struct walk {
	struct nanos_vol *v;
	u64 sum;
	u64 dirs[64];
	u32 count, names;
};

static int name_take(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct walk *w = arg;
	char list[512], value[512];
	struct tfs_attr a;
	u64 sum = 0xcbf29ce484222325ull;
	int n;

	(void)next;
	if (w->names++ > 1000)
		return 1;
	mix(&sum, name, len);
	mix(&sum, &type, 1);
	if (nanos_getattr(w->v, ino, &a))
		return 0;
	mix(&sum, &a.size, 8);
	mix(&sum, &a.mode, 4);
	mix(&sum, &a.mtime, sizeof(a.mtime));
	mix(&sum, &a.atime, sizeof(a.atime));
	if (type == 8)
		a.size = file_sum(w->v, ino, &a), mix(&sum, &a.size, 8);
	n = type == 10 ? nanos_readlink(w->v, ino, value, sizeof(value)) : 0;
	if (n > 0)
		mix(&sum, value, (size_t)n);
	n = nanos_listxattr(w->v, ino, list, sizeof(list));
	if (n > 0)
		mix(&sum, list, (size_t)n);
	for (int i = 0, got; i < n; i += (int)strlen(list + i) + 1) {
		got = nanos_getxattr(w->v, ino, list + i, (u32)strlen(list + i), value, sizeof(value));
		if (got > 0)
			mix(&sum, value, (size_t)got);
	}
	w->sum += sum; /* in whatever order */
	if (type == 4 && w->count < 64)
		w->dirs[w->count++] = ino;
	return 0;
}

static u64 volume_sum(struct nanos_vol *v)
{
	struct walk w = {.v = v, .dirs = {1}, .count = 1};
	const struct nanos_value *p = nanos_find(v, 1, "program");
	u32 len;

	if (p && p->type >= NANOS_BYTES && (p->type == NANOS_STRING || p->type == NANOS_BYTES)) {
		const u8 *s = nanos_bytes(v, p->n, &len);

		mix(&w.sum, s, len);
	}
	mix(&w.sum, v->label, sizeof(v->label));
	mix(&w.sum, v->uuid, 16);
	for (u32 i = 0; i < w.count; i++) {
		u64 pos = 0;

		nanos_readdir(v, w.dirs[i], &pos, name_take, &w);
	}
	return w.sum;
}

static int count(void *arg, const struct nanos_found *f)
{
	(void)f;
	++*(u32 *)arg;
	return 0;
}

enum outcome { REFUSED, REPORTED, SAME, SILENT };
static enum outcome outcome(struct ram *r, u64 sum)
{
	struct nanos_vol *v;
	u32 found = 0;
	enum outcome o = SAME;

	if (nanos_open(&r->dev, &env, NULL, NULL, &v))
		return REFUSED;
	if (v->fault.kind == NANOS_SOUND)
		assert_int_equal(nanos_check(v, count, &found), 0);
	if (volume_sum(v) != sum) /* read in any case: it must not crash */
		o = SILENT;
	if (v->fault.kind != NANOS_SOUND || found)
		o = REPORTED;
	nanos_close(v);
	return o;
}

/* ---- tests ---- */

struct frames {
	u64 at[256], head[256], end;
	u32 n;
};

static void frame_note(void *arg, u64 at, u64 length, u32 pieces)
{
	struct frames *f = arg;
	u8 b[10];

	assert_int_equal(pieces, 1);
	f->at[f->n] = at;
	f->head[f->n++] = 1 + 2 * nanos_varint_put(b, length);
}

/* What each byte of the log is, by a decoder that trusts it. */
enum part { FRAMING, HEADER, TEXT, NUMBER, REFERENCE, PARTS };
static u8 part[BLOCKS * NANOS_BLOCK];

static u64 varint_mark(const u8 *p, u64 at, enum part as)
{
	do
		part[at] = (u8)as;
	while (p[at++] & 0x80);
	return at;
}

static u64 value_mark(const u8 *p, u64 at, bool name)
{
	u8 h = p[at];
	u32 type = h >> 4 & 7, len = h & 7;
	u64 begin = at++;

	for (bool more = h & 8; more; at++) {
		len = len << 7 | (p[at] & 0x7f);
		more = p[at] & 0x80;
	}
	memset(part + begin, HEADER, at - begin);
	if (name || !type || type == 4) {
		if (!(h & 0x80)) /* its length is a number of the dictionary */
			memset(part + begin, REFERENCE, at - begin);
		else
			memset(part + at, TEXT, len);
		return h & 0x80 ? at + len : at;
	}
	if (type == 3)
		return varint_mark(p, at, NUMBER);
	if (!(h & 0x80))
		at = varint_mark(p, at, REFERENCE);
	for (u32 i = 0; i < len; i++) {
		if (type == 1)
			at = value_mark(p, at, true);
		at = value_mark(p, at, false);
	}
	return at;
}

static void parts_mark(const u8 *p, const struct frames *f, u64 first_end)
{
	memset(part, FRAMING, sizeof(part));
	memset(part + 8, TEXT, first_end - 8); /* uuid and label */
	for (u32 i = 0; i < f->n; i++)
		assert_int_equal(value_mark(p, f->at[i] + f->head[i], false), i + 1 < f->n ? f->at[i + 1] : f->end);
}

static void flips(void **state)
{
	static const char *const names[] = {"framing", "headers of values", "text", "numbers", "references"};
	const struct nanos_open_ops ops = {.record = frame_note};
	struct frames f = {.n = 0};
	struct ram r = ram_new();
	u32 counts[4] = {0}, of[PARTS] = {0}, silent[PARTS] = {0}, bits = 0;
	struct nanos_vol *v;
	u64 sum, end, first_end;

	(void)state;
	volume_make(&r);
	assert_int_equal(nanos_open(&r.dev, &env, &ops, &f, &v), 0);
	assert_int_equal(v->fault.kind, NANOS_SOUND);
	sum = volume_sum(v);
	f.end = end = v->log_end;
	first_end = 9 - 1 + 16 + 6; /* magic, version, length 1; uuid; "small" and its NUL */
	nanos_close(v);
	assert_int_equal(outcome(&r, sum), SAME);
	parts_mark(r.bytes, &f, first_end);
	for (u64 at = 0; at <= end; at = at == first_end + 4 ? NANOS_BLOCK : at + 1)
		for (int bit = 0; bit < 8; bit++) {
			enum outcome o;

			r.bytes[at] ^= (u8)(1 << bit);
			o = outcome(&r, sum);
			r.bytes[at] ^= (u8)(1 << bit);
			counts[o]++;
			bits++;
			of[part[at]]++;
			silent[part[at]] += o == SILENT;
			if (part[at] <= HEADER && o == SILENT)
				fail_msg("byte %llu bit %d of framing or a header: something else is read, and nothing "
				         "says so",
				         (unsigned long long)at, bit);
		}
	printf("flips of %u bits: %u refused, %u reported, %u read the same, %u cannot be told (%u%%)\n", bits,
	       counts[REFUSED], counts[REPORTED], counts[SAME], counts[SILENT], counts[SILENT] * 100 / bits);
	for (int i = 0; i < PARTS; i++)
		printf("  of %u bits in %s: %u cannot be told\n", of[i], names[i], silent[i]);
	assert_true(counts[SILENT] * 100 / bits < 60);
	free(r.bytes);
	assert_int_equal(tfs_user_allocs(), 0);
}

/* Every length at which the log could have been cut off: what whole records say, and a report. */
static void torn(void **state)
{
	struct ram r = ram_new();
	struct nanos_vol *v;
	u64 end, whole, last;

	(void)state;
	volume_make(&r);
	assert_int_equal(nanos_open(&r.dev, &env, NULL, NULL, &v), 0);
	end = last = v->log_end;
	whole = v->records;
	nanos_close(v);
	while (end-- > NANOS_BLOCK + 9) {
		memset(r.bytes + end, 0, 2);
		assert_int_equal(nanos_open(&r.dev, &env, NULL, NULL, &v), 0);
		assert_int_not_equal(v->fault.kind, NANOS_SOUND);
		if (v->records > whole || v->fault.at > last)
			fail_msg("cut at %llu: %llu records of %llu, fault at %llu: %s", (unsigned long long)end,
			         (unsigned long long)v->records, (unsigned long long)whole,
			         (unsigned long long)v->fault.at, v->fault.what);
		whole = v->records;
		nanos_close(v);
	}
	for (u64 size = BLOCKS; size--;) { /* a device that ends early */
		r.dev.size = size * NANOS_BLOCK;
		if (size > 8 && size % 97)
			continue;
		assert_true(outcome(&r, 0) != SAME);
	}
	free(r.bytes);
	assert_int_equal(tfs_user_allocs(), 0);
}

static void put(struct ram *r, u64 at, const void *bytes, size_t n)
{
	memcpy(r->bytes + at, bytes, n);
}

#define FIRST                                                                                                          \
	"NVMTFS\5\1"                                                                                                   \
	"0123456789abcdef"                                                                                             \
	"l\0"
#define LATER "NVMTFS\5\x88\0"

/* A log by bytes; what must be wrong with it. */
static void refuses(const char *later, size_t n, enum nanos_fault_kind kind, const char *what)
{
	struct ram r = ram_new();
	struct nanos_vol *v;

	put(&r, 0, FIRST "\5\1\x88\0\1", sizeof(FIRST "\5\1\x88\0\1") - 1);
	put(&r, NANOS_BLOCK, LATER, sizeof(LATER) - 1);
	put(&r, NANOS_BLOCK + 9, later, n);
	assert_int_equal(nanos_open(&r.dev, &env, NULL, NULL, &v), 0);
	if (v->fault.kind != kind || (what && strcmp(v->fault.what, what)))
		fail_msg("expected '%s' (%d), found '%s' (%d)", what, kind, v->fault.what, v->fault.kind);
	nanos_close(v);
	free(r.bytes);
	assert_int_equal(tfs_user_allocs(), 0);
}
#define REFUSES(later, kind, what) refuses(later, sizeof(later) - 1, NANOS_FAULT_##kind, what)

static void hostile(void **state)
{
	(void)state;
	REFUSES("\5\1\x88\0", LINK, "chain of log extensions comes back to one read before");
	REFUSES("\5\0\1", LINK, "link to a log extension at block 0");
	REFUSES("\5\xbf\xff\xff\xff\xff\xff\xff\xff\x7f\1", LINK,
	        "link to a log extension that ends outside of the volume");
	REFUSES("\5\2\x88\0", LINK, "chain of log extensions comes back to one read before");
	REFUSES("\5\x90\0\x8f\xff\xff\xff\x7f", LINK, "link to a log extension of an absurd length, in blocks");
	REFUSES("\2\x8f\xff\xff\xff\xff\x7f\1\x90\1", FRAME, "log ends inside a record; bytes missing");
	REFUSES("\2\1\x8f\xff\xff\xff\xff\x7f", FRAME, "segment is longer than its record");
	REFUSES("\2\x8f\xff\xff\xff\x7f\x8f\xff\xff\xff\x7f", FRAME, "segment is longer than its log extension");
	REFUSES("\2\3\3\x98\xff\x7f\1", RECORD, "tuple has more attributes than its record has room for");
	REFUSES("\2\x0a\x0a\x98\xff\xff\xff\xff\xff\xff\xff\x7f\0", RECORD, NULL);
	REFUSES("\2\2\2\x10\x09\1", RECORD, "reference to what the dictionary does not have");
	REFUSES("\2\4\4\x91\x81x\x90\2\3\3\x11\2\1", RECORD, "reference to a dictionary entry of another kind");
	REFUSES("\2\4\4\x91\x85x\x90", RECORD, "name is longer than its record");
	REFUSES("\2\4\4\x91\x81x\xf0", RECORD, "type of a value");
	REFUSES("\2\5\5\x91\x81x\xb2\1", RECORD, "sign of an integer");
	REFUSES("\2\1\1\x80\1", RECORD, "record is no tuple");
	REFUSES("\2\2\2\x90\x90\1", RECORD, "record does not end with its value");
	REFUSES("\3\1\x90\1", FRAME, "segment continues past its record's end");
	REFUSES("\6", FRAME, "unknown frame");
	REFUSES("\0", FRAME, "unknown frame");
}

/* Tuples nested in one another, deeper than any stack: refused, and nothing recurses. */
static void deep(void **state)
{
	struct ram r = ram_new();
	struct nanos_vol *v;
	u64 at = NANOS_BLOCK + 9, n = 100000;
	u8 varint[10];
	u32 len = nanos_varint_put(varint, 3 * n + 1);

	(void)state;
	put(&r, 0, FIRST "\5\1\x88\0\1", sizeof(FIRST "\5\1\x88\0\1") - 1);
	put(&r, NANOS_BLOCK, LATER, 9);
	r.bytes[at++] = 2;
	put(&r, at, varint, len), at += len;
	put(&r, at, varint, len), at += len;
	for (u64 i = 0; i < n; i++, at += 3)
		put(&r, at, i ? "\x91\2" : "\x91\x81", 2), r.bytes[at + 2] = 0x91;
	at = NANOS_BLOCK + 9 + 1 + 2 * len;
	put(&r, at, "\x91\x81x", 3), at += 3;
	for (u64 i = 1; i < n + n / 2; i++, at += 2)
		put(&r, at, "\x91\2", 2);
	assert_int_equal(nanos_open(&r.dev, &env, NULL, NULL, &v), 0);
	assert_string_equal(v->fault.what, "tuples nested too deep");
	nanos_close(v);
	free(r.bytes);
}

/* No memory for the nth request: an error, and nothing kept. */
static void no_memory(void **state)
{
	struct ram r = ram_new();
	struct nanos_vol *v;

	(void)state;
	volume_make(&r);
	for (long n = 1;; n++) {
		u32 found = 0;
		int err;

		tfs_user_fail_alloc(n);
		err = nanos_open(&r.dev, &env, NULL, NULL, &v);
		if (!err) {
			err = nanos_check(v, count, &found);
			assert_true(!err || err == -ENOMEM);
			nanos_close(v);
		} else {
			assert_int_equal(err, -ENOMEM);
		}
		assert_int_equal(tfs_user_allocs(), 0);
		if (!tfs_user_alloc_failed())
			break;
	}
	tfs_user_fail_alloc(-1);
	free(r.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flips), cmocka_unit_test(torn),      cmocka_unit_test(hostile),
	    cmocka_unit_test(deep),  cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
