// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The configuration of a root filesystem, from JSON as `dump.tfs config` prints it: objects become tuples, arrays
 * vectors, strings strings, {"hex": digits} a string that is not UTF-8, whole numbers integers, null a flag. What else
 * JSON has, the format has not. json-c reads at most 32 levels, which bounds the recursion here.
 */
#include "mkfs/nanos.h"

#include <json-c/json.h>
#include <stdlib.h>

static int wrong(const char *path, const char *name, const char *what)
{
	char object[4200];

	snprintf(object, sizeof(object), "%s: %s", path, name);
	return tfs_cli_fail(MKFS_USAGE, object, "%s", what);
}

static int value_take(struct mkfs_nanos *m, const char *path, const char *name, struct json_object *j,
                      struct nanos_value *v);

static int members_take(struct mkfs_nanos *m, const char *path, struct json_object *j, u32 tuple)
{
	struct nanos_value v;
	int err = 0;

	json_object_object_foreach(j, key, member)
	{
		err = *key ? value_take(m, path, key, member, &v) : wrong(path, "", "expected a name");
		if (!err && nanos_set_named(m->vol, tuple, key, v))
			err = tfs_cli_fail(MKFS_DEVICE, path, "out of memory");
		if (err)
			break;
	}
	return err;
}

static int items_take(struct mkfs_nanos *m, const char *path, const char *name, struct json_object *j, u32 vector)
{
	struct nanos_value v;
	int err = 0;

	for (size_t i = 0; i < json_object_array_length(j) && !err; i++) {
		err = value_take(m, path, name, json_object_array_get_idx(j, i), &v);
		if (!err && nanos_append(m->vol, vector, v))
			err = tfs_cli_fail(MKFS_DEVICE, path, "out of memory");
	}
	return err;
}

/* {"hex": "00ff"} alone stands for a string that is not UTF-8. The digits, or NULL. */
static const char *hex_of(struct json_object *j)
{
	struct json_object *hex;
	const char *text;

	if (!json_object_is_type(j, json_type_object) || json_object_object_length(j) != 1 ||
	    !json_object_object_get_ex(j, "hex", &hex) || !json_object_is_type(hex, json_type_string))
		return NULL;
	text = json_object_get_string(hex);
	return strlen(text) % 2 || strspn(text, "0123456789abcdef") != strlen(text) ? NULL : text;
}

static int hex_take(struct mkfs_nanos *m, const char *hex, struct nanos_value *v)
{
	static const char digit[] = "0123456789abcdef";
	u32 len = (u32)strlen(hex) / 2;
	u8 *bytes = malloc(len + 1);
	int err = bytes ? 0 : -ENOMEM;

	for (u32 i = 0; !err && i < len; i++)
		bytes[i] = (u8)((strchr(digit, hex[2 * i]) - digit) << 4 | (strchr(digit, hex[2 * i + 1]) - digit));
	if (!err)
		err = nanos_value_bytes(m->vol, NANOS_STRING, bytes, len, v);
	free(bytes);
	return err;
}

static int value_take(struct mkfs_nanos *m, const char *path, const char *name, struct json_object *j,
                      struct nanos_value *v)
{
	const char *hex = hex_of(j);
	s64 n;
	u32 object;
	int err = 0;

	if (hex)
		return hex_take(m, hex, v) ? tfs_cli_fail(MKFS_DEVICE, path, "out of memory") : 0;
	switch (json_object_get_type(j)) {
	case json_type_null:
		err = nanos_value_bytes(m->vol, NANOS_BYTES, "", 1, v);
		break;
	case json_type_string:
		err = nanos_value_bytes(m->vol, NANOS_STRING, json_object_get_string(j),
		                        (u32)json_object_get_string_len(j), v);
		break;
	case json_type_int:
		n = json_object_get_int64(j);
		*v = nanos_int(n < 0 ? 0 - (u64)n : json_object_get_uint64(j));
		v->negative = n < 0;
		break;
	case json_type_object:
	case json_type_array:
		if (nanos_object_new(
		        m->vol, json_object_is_type(j, json_type_object) ? NANOS_IS_TUPLE : NANOS_IS_VECTOR, &object))
			return tfs_cli_fail(MKFS_DEVICE, path, "out of memory");
		*v = nanos_object(json_object_is_type(j, json_type_object) ? NANOS_TUPLE : NANOS_VECTOR, object);
		return v->type == NANOS_TUPLE ? members_take(m, path, j, object) : items_take(m, path, name, j, object);
	default:
		return wrong(path, name,
		             "expected an object, array, string, whole number or null; a flag that is on is null, "
		             "or \"t\"");
	}
	return err ? tfs_cli_fail(MKFS_DEVICE, path, "out of memory") : 0;
}

/* json-c's own reader of files tells neither what is wrong nor where. */
static int file_parse(const char *path, struct json_object **out)
{
	FILE *f = fopen(path, "re");
	struct json_tokener *t = json_tokener_new();
	enum json_tokener_error why = json_tokener_continue;
	size_t before = 0, n;
	char buf[4096];

	*out = NULL;
	while (f && t && why == json_tokener_continue && (n = fread(buf, 1, sizeof(buf), f))) {
		*out = json_tokener_parse_ex(t, buf, (int)n);
		why = json_tokener_get_error(t);
		before += why == json_tokener_continue ? n : json_tokener_get_parse_end(t);
	}
	if (!f || ferror(f))
		tfs_cli_fail(0, path, "cannot be read: %s", strerror(errno));
	else if (!t)
		tfs_cli_fail(0, path, "out of memory");
	else if (why != json_tokener_success)
		tfs_cli_fail(0, path, "expected JSON, found at byte %zu: %s", before,
		             why == json_tokener_continue ? "its end" : json_tokener_error_desc(why));
	if (f)
		fclose(f);
	if (t)
		json_tokener_free(t);
	return *out ? 0 : MKFS_SOURCE;
}

int mkfs_nanos_config(struct mkfs_nanos *m, const char *path)
{
	struct json_object *j;
	int err = file_parse(path, &j);

	if (err)
		return err;
	if (!json_object_is_type(j, json_type_object))
		err = tfs_cli_fail(MKFS_USAGE, path, "expected a JSON object");
	else if (json_object_object_get_ex(j, "children", NULL))
		err = wrong(path, "children", "files come from --from, --tar or --manifest");
	else
		err = members_take(m, path, j, 1);
	json_object_put(j);
	return err;
}
