// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The structures of a Nanos volume: super, log, tree, object, and two that ours have not: config, the configuration
 * that the root tuple holds besides names, as JSON; and crashlog. Objects are shown one a line, each with the numbers
 * of those it refers to, so that no depth or circle matters; config alone nests, as far as NEST.
 */
#include "fsck/dump.h"

#include <json-c/json.h>
#include <stdlib.h>

#define NEST 64u

/* ---- values ---- */

static struct json_object *bytes_json(const struct nanos_vol *vol, const struct nanos_value *v)
{
	struct json_object *box = json_object_new_object(), *out;
	u32 len;
	const u8 *p = nanos_bytes(vol, v->n, &len);

	tfs_json_bytes(box, "v", p, len);
	out = json_object_object_get(box, "v");
	if (!out) { /* not UTF-8: {"hex": ...} */
		struct json_object *hex = json_object_get(json_object_object_get(box, "v_hex"));

		out = json_object_new_object();
		json_object_object_add(out, "hex", hex);
	} else if (v->type == NANOS_BYTES && len == 1 && !p[0]) {
		out = NULL; /* null_value, a flag */
	} else {
		json_object_get(out);
	}
	json_object_put(box);
	return out;
}

static struct json_object *scalar_json(const struct nanos_vol *vol, const struct nanos_value *v)
{
	struct json_object *o;

	switch (v->type) {
	case NANOS_TUPLE:
	case NANOS_VECTOR:
		o = json_object_new_object();
		tfs_json_u64(o, v->type == NANOS_TUPLE ? "tuple" : "vector", v->n);
		return o;
	case NANOS_INT:
		if (v->negative && v->n <= 1ull << 63)
			return json_object_new_int64((int64_t)(0 - v->n));
		return json_object_new_uint64(v->n);
	default:
		return bytes_json(vol, v);
	}
}

/* Names that are not UTF-8 are escaped, as in messages. */
static void member_add(const struct nanos_vol *vol, struct json_object *o, u32 name, struct json_object *value)
{
	char key[1024];
	u32 len;
	const u8 *p = nanos_bytes(vol, name, &len);

	tfs_cli_escape(key, sizeof(key), (const char *)p, len);
	json_object_object_add(o, key, value);
}

static void value_print(const struct nanos_vol *vol, const struct nanos_value *v)
{
	struct json_object *o = scalar_json(vol, v);

	fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), stdout);
	json_object_put(o);
}

static void object_text(struct nanos_vol *vol, u32 n)
{
	const struct nanos_entry *e = &vol->entry[n];
	u32 len;

	printf("%s %u", e->kind == NANOS_IS_TUPLE ? "tuple" : "vector", n);
	for (u32 i = e->first; i; i = vol->attr[i].next) {
		const struct nanos_attr *a = &vol->attr[i];

		if (a->v.type == NANOS_NONE)
			continue;
		putchar(' ');
		if (a->name) {
			const u8 *name = nanos_bytes(vol, a->name, &len);

			tfs_cli_print_name(stdout, (const char *)name, len);
			putchar('=');
		}
		value_print(vol, &a->v);
	}
	putchar('\n');
}

static void object_show(struct dump *d, u32 n)
{
	struct nanos_vol *vol = d->nanos;
	const struct nanos_entry *e = &vol->entry[n];
	struct json_object *o, *members;

	if (!d->json) {
		object_text(vol, n);
		return;
	}
	o = json_object_new_object();
	tfs_json_text(o, "what", e->kind == NANOS_IS_TUPLE ? "tuple" : "vector");
	tfs_json_u64(o, "number", n);
	tfs_json_u64(o, "names", e->links);
	members = e->kind == NANOS_IS_TUPLE ? json_object_new_object() : json_object_new_array();
	for (u32 i = e->first; i; i = vol->attr[i].next) {
		const struct nanos_attr *a = &vol->attr[i];

		if (a->v.type == NANOS_NONE)
			continue;
		if (a->name)
			member_add(vol, members, a->name, scalar_json(vol, &a->v));
		else
			json_object_array_add(members, scalar_json(vol, &a->v));
	}
	json_object_object_add(o, "values", members);
	tfs_json_line(stdout, o);
}

int dump_nanos_tree(struct dump *d)
{
	if (d->args || d->items)
		return tfs_cli_fail(DUMP_USAGE, "tree", "a Nanos volume has one tree, of tuples");
	for (u32 n = 1; n < d->nanos->entries && !ferror(stdout); n++)
		if (d->nanos->entry[n].kind != NANOS_IS_SYMBOL)
			object_show(d, n);
	return 0;
}

int dump_nanos_object(struct dump *d)
{
	char *end;
	unsigned long long n = strtoull(d->arg[0], &end, 10);

	if (*end || *d->arg[0] < '0' || *d->arg[0] > '9')
		return tfs_cli_fail(DUMP_USAGE, d->arg[0], "expected the number of a tuple");
	if (!n || n >= d->nanos->entries || d->nanos->entry[n].kind == NANOS_IS_SYMBOL)
		return tfs_cli_fail(DUMP_USAGE, d->arg[0], "no tuple or vector has this number");
	object_show(d, (u32)n);
	return 0;
}

/* ---- config ---- */

struct nest {
	u32 object, attr; /* attr: next to add */
	struct json_object *into;
};

static void nest_add(struct nanos_vol *vol, struct nest *at, const struct nanos_attr *a, struct json_object *o)
{
	if (a->name)
		member_add(vol, at->into, a->name, o);
	else
		json_object_array_add(at->into, o);
}

static bool nests_in(const struct nest *stack, u32 depth, u64 object)
{
	for (u32 i = 0; i < depth; i++)
		if (stack[i].object == object)
			return true;
	return false;
}

/* The root tuple but for its names, and "..". What nests in itself or deeper than NEST ends as its number, and so does
 * all from where more was shown than there is: what many refer to is shown for each. */
struct json_object *dump_nanos_config_json(struct nanos_vol *vol)
{
	u32 depth = 1, left = vol->entries, names = nanos_symbol(vol, "children", 8, false);
	u32 up = nanos_symbol(vol, "..", 2, false);
	struct nest stack[NEST];

	stack[0] = (struct nest){1, vol->entry[1].first, json_object_new_object()};
	while (depth) {
		struct nest *at = &stack[depth - 1];
		const struct nanos_attr *a = &vol->attr[at->attr];
		bool nested = a->v.type == NANOS_TUPLE || a->v.type == NANOS_VECTOR;

		if (!at->attr) {
			depth--;
			continue;
		}
		at->attr = a->next;
		if (a->v.type == NANOS_NONE || (depth == 1 && a->name && (a->name == names || a->name == up)))
			continue;
		if (!nested || depth == NEST || !left || nests_in(stack, depth, a->v.n)) {
			nest_add(vol, at, a, scalar_json(vol, &a->v));
			continue;
		}
		left--;
		stack[depth].object = (u32)a->v.n;
		stack[depth].attr = vol->entry[a->v.n].first;
		stack[depth].into = a->v.type == NANOS_TUPLE ? json_object_new_object() : json_object_new_array();
		nest_add(vol, at, a, stack[depth].into);
		depth++;
	}
	return stack[0].into;
}

int dump_nanos_config(struct dump *d)
{
	struct json_object *o = dump_nanos_config_json(d->nanos);
	int how = JSON_C_TO_STRING_NOSLASHESCAPE |
	          (d->json ? JSON_C_TO_STRING_PLAIN : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);

	puts(json_object_to_json_string_ext(o, how));
	json_object_put(o);
	return 0;
}

/* ---- crashlog ---- */

int dump_nanos_crashlog(struct dump *d)
{
	struct tfs_file_dev whole = d->dev;
	struct nanos_klog k;
	struct tfs_line l;
	int err;

	if (!d->place.parts)
		return tfs_cli_fail(DUMP_USAGE, d->image, "expected a bootable image: a data volume has no crash log");
	whole.offset = d->place.before;
	whole.dev.size = d->place.whole;
	err = nanos_klog_read(&whole.dev, d->place.part, d->place.parts, &k);
	if (err)
		return tfs_cli_fail(DUMP_DAMAGE, d->image, "crash log cannot be read: %s", strerror(-err));
	dump_begin_tall(d, &l, "crash log");
	tfs_line_num(&l, "offset", k.offset);
	tfs_line_bool(&l, "written", k.present);
	if (k.present) {
		tfs_line_num(&l, "boot_id", k.boot_id);
		tfs_line_int(&l, "exit_code", (int)k.exit_code);
		if (d->json)
			tfs_line_bytes(&l, "messages", k.text, k.len);
	}
	tfs_line_end(&l);
	if (k.present && !d->json)
		for (u32 at = 0, n; at < k.len; at += n + 1, putchar('\n')) {
			n = (u32)strcspn(k.text + at, "\n");
			if (at + n > k.len)
				n = k.len - at;
			tfs_cli_print_name(stdout, k.text + at, n);
		}
	return 0;
}

/* ---- super ---- */

static void parts_show(struct dump *d, u64 chosen)
{
	struct tfs_line l;

	for (u32 i = 0; i < d->place.parts; i++) {
		dump_begin(d, &l, 0, "partition");
		tfs_line_num(&l, "number", i + 1);
		tfs_line_hex(&l, "type", d->place.part[i].type, 2);
		tfs_line_num(&l, "offset", d->place.part[i].offset);
		tfs_line_num(&l, "size", d->place.part[i].size);
		tfs_line_bool(&l, "volume", d->place.part[i].volume);
		tfs_line_bool(&l, "this", d->place.part[i].offset == chosen);
		tfs_line_end(&l);
	}
}

int dump_nanos_super(struct dump *d)
{
	const struct nanos_vol *vol = d->nanos;
	u64 counts[3] = {0}, log = 0;
	struct tfs_line l;
	char uuid[37];

	for (u32 i = 1; i < vol->entries; i++)
		counts[vol->entry[i].kind]++;
	for (u32 i = 0; i < vol->exts; i++)
		log += vol->ext[i].blocks;
	parts_show(d, d->dev.offset - d->place.before);
	tfs_cli_uuid_text(vol->uuid, uuid);
	dump_begin_tall(d, &l, "volume");
	tfs_line_text(&l, "format", "nanos");
	tfs_line_num(&l, "version", vol->version);
	tfs_line_bytes(&l, "label", vol->label, strlen(vol->label));
	tfs_line_text(&l, "uuid", uuid);
	tfs_line_num(&l, "size", d->dev.dev.size);
	tfs_line_num(&l, "log_extensions", vol->exts);
	tfs_line_num(&l, "log_bytes", log * NANOS_BLOCK);
	tfs_line_num(&l, "log_end", vol->log_end);
	tfs_line_num(&l, "records", vol->records);
	tfs_line_num(&l, "tuples", counts[NANOS_IS_TUPLE]);
	tfs_line_num(&l, "vectors", counts[NANOS_IS_VECTOR]);
	tfs_line_num(&l, "symbols", counts[NANOS_IS_SYMBOL]);
	tfs_line_bool(&l, "damaged", vol->fault.kind != NANOS_SOUND);
	tfs_line_end(&l);
	return 0;
}

/* ---- log ---- */

static void extension_show(void *arg, u64 start, u64 blocks, u32 version)
{
	struct tfs_line l;

	dump_begin(arg, &l, 0, "extension");
	tfs_line_num(&l, "block", start);
	tfs_line_num(&l, "blocks", blocks);
	tfs_line_num(&l, "version", version);
	tfs_line_end(&l);
}

static void record_show(void *arg, u64 at, u64 length, u32 pieces)
{
	struct tfs_line l;

	dump_begin(arg, &l, 2, "record");
	tfs_line_num(&l, "at", at);
	tfs_line_num(&l, "length", length);
	tfs_line_num(&l, "pieces", pieces);
	tfs_line_end(&l);
}

int dump_nanos_log(struct dump *d)
{
	static const struct nanos_open_ops ops = {.record = record_show, .extension = extension_show};
	struct tfs_line l;
	struct nanos_vol *vol;
	int err = nanos_open(&d->dev.dev, &d->env, &ops, d, &vol);

	if (err)
		return tfs_cli_fail(err == -ENOMEM ? DUMP_HOST : DUMP_DAMAGE, d->image, "log cannot be read: %s",
		                    strerror(-err));
	dump_begin(d, &l, 0, "end");
	tfs_line_num(&l, "at", vol->log_end);
	tfs_line_num(&l, "records", vol->records);
	tfs_line_text(&l, "why", vol->fault.kind == NANOS_SOUND ? "end of log" : vol->fault.what);
	tfs_line_end(&l);
	if (vol->fault.kind != NANOS_SOUND)
		dump_note(d, tfs_cli_fail(DUMP_DAMAGE, d->image, "log at byte %llu: %s; run fsck.tfs",
		                          (unsigned long long)vol->fault.at, vol->fault.what));
	nanos_close(vol);
	return d->noted;
}
