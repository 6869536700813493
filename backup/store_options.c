// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Options of stores: one table of keys, from which parsing, its messages and the help come. */
#include "backup/store_impl.h"
#include "tfs/user/cli.h"

#include <stdlib.h>

enum kind { TEXT, NUMBER, SIZE, CHOICE, LOCK };

static const char *const styles[] = {"auto", "path", "host", NULL};
static const char *const conditionals[] = {"auto", "server", "claims", NULL};
static const char *const locks[] = {"none", "governance", "compliance", NULL};

static const struct key {
	const char *name;
	enum kind kind;
	size_t at;
	u64 min, max;
	const char *const *choices;
	const char *help;
} keys[] = {
#define AT(field) offsetof(struct tfs_store_options, field)
    {"endpoint", TEXT, AT(endpoint), 0, 0, NULL,
     "URL of the server (AWS_ENDPOINT_URL_S3; default: Amazon's of the region)"},
    {"region", TEXT, AT(region), 0, 0, NULL, "region to sign for (AWS_REGION; us-east-1)"},
    {"style", CHOICE, AT(style), 0, 0, styles,
     "path or host: bucket in the path or in the host's name; auto: host on Amazon only"},
    {"profile", TEXT, AT(profile), 0, 0, NULL, "section of the AWS configuration files (AWS_PROFILE; default)"},
    {"credentials", TEXT, AT(credentials), 0, 0, NULL,
     "file with aws_access_key_id, aws_secret_access_key, aws_session_token"},
    {"metadata", TEXT, AT(metadata), 0, 0, NULL, "URL of the instance metadata service; none: do not ask it"},
    {"ca-file", TEXT, AT(ca_file), 0, 0, NULL, "certificates to trust instead of the system's (PEM)"},
    {"storage-class", TEXT, AT(storage_class), 0, 0, NULL, "class of new objects, such as STANDARD_IA"},
    {"lock", LOCK, AT(lock), 0, 0, locks,
     "governance:30d or compliance:30d: Object Lock retention of new objects (s h d w y)"},
    {"conditional", CHOICE, AT(conditional), 0, 0, conditionals,
     "put if absent: by the server, by claims, or auto: what the server can do"},
    {"parallel", NUMBER, AT(parallel), 1, 64, NULL, "requests at a time (8)"},
    {"bandwidth", SIZE, AT(bandwidth), 0, 1ull << 40, NULL, "bytes a second, sent and received (0: no limit)"},
    {"part-size", SIZE, AT(part_size), 64u << 10, 1u << 30, NULL,
     "objects above it are put in parallel parts of it (16M; most servers take 5M at least)"},
    {"stall", NUMBER, AT(stall), 1, 3600, NULL, "seconds without a byte after which a transfer is repeated (30)"},
    {"patience", NUMBER, AT(patience), 1, 86400, NULL, "seconds one request may take, with all its retries (900)"},
#undef AT
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

void tfs_store_options_default(struct tfs_store_options *o)
{
	memset(o, 0, sizeof(*o));
	o->parallel = 8;
	o->part_size = 16u << 20;
	o->stall = 30;
	o->patience = 900;
}

struct tfs_store_options *tfs_store_options_new(void)
{
	struct tfs_store_options *o = malloc(sizeof(*o));

	if (o)
		tfs_store_options_default(o);
	return o;
}

void tfs_store_options_free(struct tfs_store_options *o)
{
	for (size_t i = 0; o && i < KEYS; i++)
		if (keys[i].kind == TEXT)
			free(*(char **)((char *)o + keys[i].at));
	free(o);
}

static int choose(const char *const *choices, const char *text, size_t len)
{
	for (int i = 0; choices[i]; i++)
		if (strlen(choices[i]) == len && !memcmp(choices[i], text, len))
			return i;
	return -1;
}

static int set_number(const char *text, u64 min, u64 max, u64 *out)
{
	char *end;
	unsigned long long v;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return -1;
	*out = v;
	return 0;
}

/* "governance:30d" */
static int set_lock(struct tfs_store_options *o, const char *text)
{
	static const char units[] = "shdwy";
	static const u64 seconds[] = {1, 3600, 86400, 7 * 86400, 365 * 86400};
	const char *colon = strchr(text, ':'), *unit;
	int mode = choose(locks, text, colon ? (size_t)(colon - text) : strlen(text));
	char number[16];
	size_t digits;
	u64 n;

	if (mode < 0 || (mode == TFS_STORE_LOCK_NONE) != !colon)
		return -1;
	o->lock = (enum tfs_store_lock_mode)mode;
	if (!colon)
		return 0;
	digits = strspn(colon + 1, "0123456789");
	unit = digits && colon[1 + digits] ? strchr(units, colon[1 + digits]) : NULL;
	if (!unit || colon[2 + digits] || digits >= sizeof(number))
		return -1;
	memcpy(number, colon + 1, digits);
	number[digits] = 0;
	if (set_number(number, 1, 36500ull * 86400 / seconds[unit - units], &n))
		return -1;
	o->lock_seconds = n * seconds[unit - units];
	return 0;
}

static int set_value(struct tfs_store_options *o, const struct key *k, const char *value)
{
	char *at = (char *)o + k->at;
	int chosen;
	u64 size;

	switch (k->kind) {
	case TEXT: {
		char *copy = *value && !strpbrk(value, "\r\n") ? strdup(value) : NULL;

		if (!copy)
			return -1;
		free(*(char **)at);
		*(char **)at = copy;
		return 0;
	}
	case NUMBER:
		return set_number(value, k->min, k->max, (u64 *)at);
	case SIZE:
		if (tfs_cli_size(value, &size) || size < k->min || size > k->max)
			return -1;
		*(u64 *)at = size;
		return 0;
	case CHOICE:
		chosen = choose(k->choices, value, strlen(value));
		if (chosen < 0)
			return -1;
		*(unsigned *)at = (unsigned)chosen;
		return 0;
	case LOCK:
		return set_lock(o, value);
	}
	return -1;
}

int tfs_store_option(struct tfs_store_options *o, const char *key_value, char error[TFS_STORE_ERROR_MAX])
{
	size_t len = strcspn(key_value, "=");

	for (size_t i = 0; i < KEYS; i++) {
		if (strlen(keys[i].name) != len || memcmp(keys[i].name, key_value, len))
			continue;
		if (key_value[len] && !set_value(o, &keys[i], key_value + len + 1))
			return 0;
		return tfs_store_say(error, -EINVAL, "option %s: expected %s=VALUE, %s", key_value, keys[i].name,
		                     keys[i].help);
	}
	return tfs_store_say(error, -EINVAL, "option %s: there is no such option of a store; see --help", key_value);
}

const char *tfs_store_option_help(void)
{
	static char text[2560];
	size_t at = 0;

	for (size_t i = 0; !text[sizeof(text) - 1] && i < KEYS && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  %-14s %s\n", keys[i].name, keys[i].help);
	return text;
}
