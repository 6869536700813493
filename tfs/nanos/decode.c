// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A record's bytes into the tree. Twice over: first only looking, with the kinds of what the record itself adds to the
 * dictionary, and when all of it is sound once more for good. So a record counts whole or not at all, and a crafted one
 * changes nothing. The stack of open tuples is on the heap and bounded. Called by open.c.
 */
#include "tfs/nanos/nanos.h"

#define DEPTH_MAX 16384u

struct frame {
	u32 object; /* 0: only looking */
	u32 vector;
	u64 left; /* pairs, or values */
};

struct decode {
	struct nanos_vol *vol;
	const u8 *p;
	u64 len, at;
	bool old, look; /* look: change nothing */
	struct nanos_fault *fault;
	struct frame *stack;
	u32 depth, stack_max;
};

struct head {
	bool immediate;
	u8 type;
	u64 length;
};
enum { WIRE_BYTES, WIRE_TUPLE, WIRE_VECTOR, WIRE_INT, WIRE_STRING };

static int wrong(struct decode *d, u64 at, const char *what)
{
	*d->fault = (struct nanos_fault){.kind = NANOS_FAULT_RECORD, .what = what, .at = at};
	return -EUCLEAN;
}

static int wrong_numbers(struct decode *d, u64 at, const char *what, u64 expected, u64 found)
{
	wrong(d, at, what);
	d->fault->numbers = true;
	d->fault->expected = expected;
	d->fault->found = found;
	return -EUCLEAN;
}

bool nanos_varint(const u8 *p, u64 len, u64 *at, u64 *out)
{
	u64 v = 0;

	for (u32 n = 0; n < 10 && *at < len; n++) {
		u8 b = p[(*at)++];

		if (v >> 57)
			return false;
		v = v << 7 | (b & 0x7f);
		if (!(b & 0x80)) {
			*out = v;
			return true;
		}
	}
	return false;
}

/* Version 5: 3 bits of type, 3 of length; version 4: 1 and 5. */
static int head_read(struct decode *d, struct head *h)
{
	u64 start = d->at, more;
	u8 b;

	if (d->at == d->len)
		return wrong(d, start, "record ends where a value should begin");
	b = d->p[d->at++];
	h->immediate = b >> 7;
	h->type = d->old ? b >> 6 & 1 : b >> 4 & 7;
	h->length = d->old ? b & 31 : b & 7;
	if (!(b & (d->old ? 32 : 8)))
		return 0;
	more = d->at;
	if (!nanos_varint(d->p, d->len, &d->at, &h->length))
		return wrong(d, start, "length of a value does not end");
	if (d->at - more > 6)
		return wrong(d, start, "length of a value is absurd");
	h->length |= (u64)(b & (d->old ? 31 : 7)) << 7 * (d->at - more);
	return 0;
}

static int dictionary_add(struct decode *d, enum nanos_kind kind, u32 first)
{
	u32 n;

	if (nanos_object_new(d->vol, kind, &n))
		return -ENOMEM;
	d->vol->entry[n].first = first;
	return 0;
}

static int entry_check(struct decode *d, u64 at, u64 index, enum nanos_kind kind)
{
	u32 count = d->vol->entries ? d->vol->entries - 1 : 0;

	if (!index || index > count)
		return wrong_numbers(d, at, "reference to what the dictionary does not have", count, index);
	if (d->vol->entry[index].kind != kind)
		return wrong_numbers(d, at, "reference to a dictionary entry of another kind", kind,
		                     d->vol->entry[index].kind);
	return 0;
}

/* A pair's name: the symbol's place in the arena; only looking: 0. */
static int name_read(struct decode *d, u32 *name)
{
	u64 at = d->at;
	struct head h;
	int err = head_read(d, &h);

	*name = 0;
	if (err)
		return err;
	if (h.type != WIRE_BYTES)
		return wrong_numbers(d, at, "type of an attribute's name", WIRE_BYTES, h.type);
	if (!h.immediate) {
		err = entry_check(d, at, h.length, NANOS_IS_SYMBOL);
		if (!err)
			*name = d->vol->entry[h.length].first;
		return err;
	}
	if (h.length > d->len - d->at)
		return wrong_numbers(d, at, "name is longer than its record", d->len - d->at, h.length);
	if (!d->look) {
		*name = nanos_symbol(d->vol, d->p + d->at, (u32)h.length, true);
		if (!*name)
			return -ENOMEM;
	}
	d->at += h.length;
	return dictionary_add(d, NANOS_IS_SYMBOL, *name);
}

static int push(struct decode *d, u32 object, bool vector, u64 count)
{
	int err;

	if (d->depth == DEPTH_MAX)
		return wrong_numbers(d, d->at, "tuples nested too deep", DEPTH_MAX, DEPTH_MAX + 1);
	err = nanos_grow(&d->stack, &d->stack_max, d->depth + 1, sizeof(*d->stack));
	if (!err)
		d->stack[d->depth++] = (struct frame){object, vector, count};
	return err;
}

/* A tuple or vector begins. */
static int object_begin(struct decode *d, u64 at, const struct head *h, struct nanos_value *v)
{
	bool vector = h->type == WIRE_VECTOR;
	enum nanos_kind kind = vector ? NANOS_IS_VECTOR : NANOS_IS_TUPLE;
	u64 index, least = vector ? 1 : 2;
	int err = 0;

	if (h->immediate) {
		err = dictionary_add(d, kind, 0);
		index = d->vol->entries - 1;
	} else if (!nanos_varint(d->p, d->len, &d->at, &index)) {
		return wrong(d, at, "reference does not end");
	} else {
		err = entry_check(d, at, index, kind);
	}
	if (err)
		return err;
	if (h->length > (d->len - d->at) / least)
		return wrong_numbers(d, at, "tuple has more attributes than its record has room for",
		                     (d->len - d->at) / least, h->length);
	*v = nanos_object(vector ? NANOS_VECTOR : NANOS_TUPLE, (u32)index);
	return push(d, d->look ? 0 : (u32)index, vector, h->length);
}

static int bytes_read(struct decode *d, u64 at, const struct head *h, struct nanos_value *v)
{
	enum nanos_type type = h->type == WIRE_STRING ? NANOS_STRING : NANOS_BYTES;
	int err = 0;

	if (!h->length && type == NANOS_BYTES) {
		v->type = NANOS_NONE; /* removes */
		return h->immediate ? 0 : wrong(d, at, "reference to dictionary entry 0");
	}
	if (!h->immediate) {
		err = type == NANOS_STRING ? wrong(d, at, "reference to a string")
		                           : entry_check(d, at, h->length, NANOS_IS_SYMBOL);
		if (!err)
			*v = (struct nanos_value){.n = d->vol->entry[h->length].first, .type = NANOS_BYTES};
		return err;
	}
	if (h->length > d->len - d->at)
		return wrong_numbers(d, at, "value is longer than its record", d->len - d->at, h->length);
	if (!d->look)
		err = nanos_value_bytes(d->vol, type, d->p + d->at, (u32)h->length, v);
	else
		v->type = (u8)type;
	d->at += h->length;
	return err;
}

static int value_read(struct decode *d, struct nanos_value *v)
{
	u64 at = d->at;
	struct head h;
	int err = head_read(d, &h);

	*v = (struct nanos_value){0};
	if (err)
		return err;
	switch (h.type) {
	case WIRE_TUPLE:
	case WIRE_VECTOR:
		return object_begin(d, at, &h, v);
	case WIRE_INT:
		if (!h.immediate || h.length > 1)
			return wrong_numbers(d, at, "sign of an integer", 0, h.length);
		v->type = NANOS_INT;
		v->negative = h.length;
		return nanos_varint(d->p, d->len, &d->at, &v->n) ? 0 : wrong(d, at, "integer does not end");
	case WIRE_BYTES:
	case WIRE_STRING:
		return bytes_read(d, at, &h, v);
	}
	return wrong_numbers(d, at, "type of a value", WIRE_STRING, h.type);
}

/* The next attribute of the innermost open tuple, which is not full. */
static int pair_read(struct decode *d)
{
	struct frame f = d->stack[d->depth - 1];
	struct nanos_value v;
	u32 name = 0;
	int err;

	d->stack[d->depth - 1].left--;
	err = f.vector ? 0 : name_read(d, &name);
	if (!err)
		err = value_read(d, &v);
	if (err || d->look)
		return err;
	return f.vector ? nanos_append(d->vol, f.object, v) : nanos_set(d->vol, f.object, name, v);
}

static int record_read(struct decode *d)
{
	struct nanos_value v;
	int err;

	d->at = 0;
	d->depth = 0;
	err = value_read(d, &v);
	if (!err && v.type != NANOS_TUPLE)
		err = wrong(d, 0, "record is no tuple");
	while (!err && d->depth) {
		if (d->stack[d->depth - 1].left)
			err = pair_read(d);
		else
			d->depth--;
	}
	if (!err && d->at != d->len)
		err = wrong_numbers(d, d->at, "record does not end with its value", d->len, d->at);
	return err;
}

static int look(struct decode *d)
{
	u32 entries = d->vol->entries;
	int err = d->len > 1u << 30 ? wrong(d, 0, "record is longer than 1 GiB") : record_read(d);

	d->vol->entries = entries;
	return err;
}

bool nanos_fits(struct nanos_vol *vol, const u8 *p, u64 len, struct nanos_fault *f)
{
	struct decode d = {.vol = vol, .p = p, .len = len, .look = true, .fault = f};
	int err = look(&d);

	tfs_port_free(d.stack);
	return !err;
}

int nanos_decode(struct nanos_vol *vol, const u8 *p, u64 len, bool old, struct nanos_fault *f)
{
	struct decode d = {.vol = vol, .p = p, .len = len, .old = old, .look = true, .fault = f};
	int err = look(&d);

	d.look = false;
	if (!err)
		err = record_read(&d);
	tfs_port_free(d.stack);
	return err;
}
