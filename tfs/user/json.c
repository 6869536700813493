// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* JSON lines by json-c, which writes strings as they come: so bytes that are not UTF-8 go out in hex under another key.
 */
#include "tfs/user/cli.h"

#include <json-c/json.h>
#include <stdlib.h>

bool tfs_cli_is_utf8(const char *s, size_t len)
{
	char out[8 * 256 + 1];

	/* the escaper turns exactly the bad bytes into \x80..\xff */
	for (size_t at = 0; at < len;) {
		size_t n = len - at < 256 ? len - at : 256;

		while (n < len - at && n && ((unsigned char)s[at + n] & 0xc0) == 0x80)
			n--; /* not through a character */
		if (!n)
			return false;
		tfs_cli_escape(out, sizeof(out), s + at, n);
		for (const char *p = out; (p = strchr(p, '\\')); p += 2)
			if (p[1] == 'x' && p[2] >= '8')
				return false;
		at += n;
	}
	return true;
}

void tfs_json_bytes(struct json_object *o, const char *key, const void *bytes, size_t len)
{
	const u8 *b = bytes;
	char name[64], *hex;

	if (tfs_cli_is_utf8(bytes, len)) {
		json_object_object_add(o, key, json_object_new_string_len(bytes, (int)len));
		return;
	}
	hex = malloc(2 * len + 1);
	if (!hex)
		return;
	for (size_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", b[i]);
	snprintf(name, sizeof(name), "%s_hex", key);
	json_object_object_add(o, name, json_object_new_string(hex));
	free(hex);
}

void tfs_json_text(struct json_object *o, const char *key, const char *text)
{
	tfs_json_bytes(o, key, text, strlen(text));
}

void tfs_json_u64(struct json_object *o, const char *key, u64 v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

void tfs_json_bool(struct json_object *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

void tfs_json_line(FILE *f, struct json_object *o)
{
	fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), f);
	fputc('\n', f);
	json_object_put(o);
}
