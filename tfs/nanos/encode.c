// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The tree as records of a new log, in version 5, with a dictionary of its own: first the root tuple with all it has
 * but its names, then the names of each directory in records of about RECORD bytes, breadth first; the extents of a file
 * that has many likewise. So a record that is lost at the log's end costs some names and not the volume, and neither
 * reader nor writer needs the whole tree, or a file in a million pieces, at once. What has several names is whole under the first and a reference under the others. `..` is never written. The
 * order is that of the tree, so the same tree gives the same bytes. Called by write.c.
 */
#include "tfs/nanos/nanos.h"

#define RECORD 16384u
#define MANY 256u /* extents: more go into records of their own */
enum { WIRE_BYTES, WIRE_TUPLE, WIRE_VECTOR, WIRE_INT, WIRE_STRING };

struct buffer {
	u8 *p;
	u32 len, max;
};

struct open_object {
	u32 attr; /* next to write */
	bool vector;
};

struct encode {
	struct nanos_vol *vol;
	const struct nanos_sink *sink;
	u32 *index; /* of each object in the new dictionary, 0: not written yet */
	u32 last;   /* index given last */
	u32 *queue; /* tuples with records of their own */
	u32 queued;
	u32 children, extents, up;
	struct buffer out, head;
	struct open_object *stack;
	u32 depth, stack_max;
	int err; /* the first: bytes behind it do not matter */
};

/* ---- bytes ---- */

static void put(struct encode *e, struct buffer *b, const void *bytes, u32 len)
{
	if (!e->err && (u64)b->len + len > 0xffff0000u)
		e->err = -EFBIG;
	if (!e->err)
		e->err = nanos_grow(&b->p, &b->max, (u64)b->len + len, 1);
	if (e->err)
		return;
	if (len)
		memcpy(b->p + b->len, bytes, len);
	b->len += len;
}

static void put_byte(struct encode *e, struct buffer *b, u8 v)
{
	put(e, b, &v, 1);
}

u32 nanos_varint_put(u8 out[10], u64 v)
{
	u32 n = 1;

	for (u64 rest = v >> 7; rest; rest >>= 7)
		n++;
	for (u32 i = n; i--; v >>= 7)
		out[i] = (u8)((v & 0x7f) | (i + 1 < n ? 0x80 : 0));
	return n;
}

static void put_varint(struct encode *e, struct buffer *b, u64 v)
{
	u8 bytes[10];

	put(e, b, bytes, nanos_varint_put(bytes, v));
}

static void put_head(struct encode *e, struct buffer *b, bool immediate, u8 type, u64 length)
{
	u8 first = (u8)(immediate << 7 | type << 4);
	u32 more = 0;

	while (length >> 7 * more > 7)
		more++;
	put_byte(e, b, (u8)(first | (more ? 8 : 0) | (u8)(length >> 7 * more)));
	for (u32 i = more; i--;)
		put_byte(e, b, (u8)((length >> 7 * i & 0x7f) | (i ? 0x80 : 0)));
}

/* ---- names and values ---- */

/* A symbol's index in the new dictionary stands beside its length in the arena. */
static void put_name(struct encode *e, struct buffer *b, u32 name)
{
	u32 len, index;
	const u8 *p = nanos_bytes(e->vol, name, &len);

	memcpy(&index, e->vol->arena + name + 4, 4);
	if (index) {
		put_head(e, b, false, WIRE_BYTES, index);
		return;
	}
	put_head(e, b, true, WIRE_BYTES, len);
	put(e, b, p, len);
	index = ++e->last;
	memcpy(e->vol->arena + name + 4, &index, 4);
}

static bool written(const struct encode *e, const struct nanos_attr *a)
{
	return a->v.type != NANOS_NONE && a->name != e->up;
}

static u32 live(const struct encode *e, u32 object)
{
	u32 n = 0;

	for (u32 i = e->vol->entry[object].first; i; i = e->vol->attr[i].next)
		n += written(e, &e->vol->attr[i]);
	return n;
}

static void open_push(struct encode *e, u32 object, bool vector)
{
	if (!e->err)
		e->err = nanos_grow(&e->stack, &e->stack_max, e->depth + 1ull, sizeof(*e->stack));
	if (!e->err)
		e->stack[e->depth++] = (struct open_object){e->vol->entry[object].first, vector};
}

/* A directory's names, or extents that are many: they follow in records of their own. */
static bool later(const struct encode *e, const struct nanos_attr *a)
{
	return a->v.type == NANOS_TUPLE &&
	       (a->name == e->children || (a->name == e->extents && e->vol->entry[a->v.n].slots > MANY));
}

static void put_object(struct encode *e, struct buffer *b, const struct nanos_value *v, bool names)
{
	u8 wire = v->type == NANOS_VECTOR ? WIRE_VECTOR : WIRE_TUPLE;

	if (e->index[v->n]) {
		put_head(e, b, false, wire, 0);
		put_varint(e, b, e->index[v->n]);
		return;
	}
	e->index[v->n] = ++e->last;
	put_head(e, b, true, wire, names ? 0 : live(e, (u32)v->n));
	if (names)
		e->queue[e->queued++] = (u32)v->n;
	else
		open_push(e, (u32)v->n, v->type == NANOS_VECTOR);
}

static void put_value(struct encode *e, struct buffer *b, const struct nanos_value *v, bool names)
{
	const u8 *p;
	u32 len;

	switch (v->type) {
	case NANOS_TUPLE:
	case NANOS_VECTOR:
		put_object(e, b, v, names && v->type == NANOS_TUPLE);
		break;
	case NANOS_INT:
		put_head(e, b, true, WIRE_INT, v->negative);
		put_varint(e, b, v->n);
		break;
	default:
		p = nanos_bytes(e->vol, v->n, &len);
		put_head(e, b, true, v->type == NANOS_STRING ? WIRE_STRING : WIRE_BYTES, len);
		put(e, b, p, len);
	}
}

/* The value and all that hangs on it, but for the names of directories. */
static void put_tree(struct encode *e, struct buffer *b, const struct nanos_value *v)
{
	put_value(e, b, v, false);
	while (e->depth && !e->err) {
		struct open_object *o = &e->stack[e->depth - 1];
		const struct nanos_attr *a = &e->vol->attr[o->attr];

		if (!o->attr) {
			e->depth--;
			continue;
		}
		o->attr = a->next;
		if (!written(e, a))
			continue;
		if (!o->vector)
			put_name(e, b, a->name);
		put_value(e, b, &a->v, !o->vector && later(e, a));
	}
	e->depth = 0;
}

/* ---- records ---- */

static void record_end(struct encode *e, struct buffer *b)
{
	if (!e->err)
		e->err = e->sink->record(e->sink->arg, b->p, b->len);
	b->len = 0;
}

/* What has come together of a directory's names or a file's extents: "these of that tuple are so". */
static void names_end(struct encode *e, u32 names, u32 count)
{
	put_head(e, &e->head, false, WIRE_TUPLE, count);
	put_varint(e, &e->head, e->index[names]);
	put(e, &e->head, e->out.p, e->out.len);
	e->out.len = 0;
	record_end(e, &e->head);
}

static void put_names(struct encode *e, u32 names)
{
	u32 count = 0;

	for (u32 i = e->vol->entry[names].first; i && !e->err; i = e->vol->attr[i].next) {
		struct nanos_attr a = e->vol->attr[i];

		if (!written(e, &a))
			continue;
		put_name(e, &e->out, a.name);
		put_tree(e, &e->out, &a.v);
		count++;
		if (e->out.len >= RECORD) {
			names_end(e, names, count);
			count = 0;
		}
	}
	if (count)
		names_end(e, names, count);
}

static int encode_begin(struct encode *e)
{
	struct nanos_vol *vol = e->vol;
	u32 zero = 0;

	e->children = nanos_symbol(vol, "children", 8, true);
	e->extents = nanos_symbol(vol, "extents", 7, true);
	e->up = nanos_symbol(vol, "..", 2, true);
	e->index = tfs_port_alloc(vol->entries * sizeof(u32));
	e->queue = tfs_port_alloc(vol->entries * sizeof(u32));
	if (!e->children || !e->extents || !e->up || !e->index || !e->queue)
		return -ENOMEM;
	memset(e->index, 0, vol->entries * sizeof(u32));
	for (u32 i = 0; i < vol->symbols_max; i++)
		if (vol->symbol[i])
			memcpy(vol->arena + vol->symbol[i] + 4, &zero, 4);
	return 0;
}

int nanos_encode(struct nanos_vol *vol, const struct nanos_sink *sink)
{
	const struct nanos_value root = nanos_object(NANOS_TUPLE, 1);
	struct encode e = {.vol = vol, .sink = sink};

	e.err = encode_begin(&e);
	if (!e.err) {
		put_tree(&e, &e.out, &root);
		record_end(&e, &e.out);
	}
	for (u32 i = 0; i < e.queued && !e.err; i++)
		put_names(&e, e.queue[i]);
	tfs_port_free(e.index);
	tfs_port_free(e.queue);
	tfs_port_free(e.out.p);
	tfs_port_free(e.head.p);
	tfs_port_free(e.stack);
	return e.err;
}
