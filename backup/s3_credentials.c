// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Finding credentials. The metadata service is asked over a connection of its own, without a proxy, with 2 s for each
 * of its three answers: it is on the same host, or there is none.
 */
#define _GNU_SOURCE
#include "backup/s3_credentials.h"
#include "backup/s3_sign.h"
#include "backup/store_impl.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

static void forget(char **secret)
{
	if (*secret)
		sodium_memzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void s3_credentials_free(struct s3_credentials *c)
{
	forget(&c->access_key);
	forget(&c->secret_key);
	forget(&c->token);
}

s64 s3_time_of(const char *text)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!end || (*end && *end != '.' && *end != 'Z'))
		return 0;
	return (s64)timegm(&tm);
}

/* ---- files ---- */

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n && strchr(" \t\r\n", s[n - 1]))
		s[--n] = 0;
	return s;
}

/* "[profile x]" and "[x]" both name x. */
static bool section_is(char *line, const char *section)
{
	char *name = trim(line + 1), *end = strchr(name, ']');

	if (!end)
		return false;
	*end = 0;
	name = trim(name);
	if (!strncmp(name, "profile ", 8) || !strncmp(name, "profile\t", 8))
		name = trim(name + 8);
	return !strcmp(name, section);
}

/* The value of key in [section] of an INI file, or before any section; section NULL: anywhere. Lines that begin with a
 * blank belong to settings of settings and are left alone. NULL: not there; the caller frees it. */
static char *ini_value(const char *path, const char *section, const char *key)
{
	FILE *f = fopen(path, "re");
	char *line = NULL, *value = NULL, *equals;
	size_t room = 0;
	bool inside = !section;

	if (!f)
		return NULL;
	while (getline(&line, &room, f) >= 0) {
		if (*line == '[' && section)
			inside = section_is(line, section);
		if (!inside || strchr("[#; \t\n", *line))
			continue;
		equals = strchr(line, '=');
		if (!equals)
			continue;
		*equals = 0;
		if (!strcmp(trim(line), key)) {
			free(value);
			value = strdup(trim(equals + 1));
		}
	}
	if (line)
		sodium_memzero(line, room);
	free(line);
	fclose(f);
	if (value && !*value)
		forget(&value);
	return value;
}

static char *home_file(const char *variable, const char *name)
{
	const char *given = getenv(variable), *home = getenv("HOME");
	char *path = NULL;

	if (given && *given)
		return strdup(given);
	if (!home || asprintf(&path, "%s/.aws/%s", home, name) < 0)
		return NULL;
	return path;
}

static const char *profile_name(const struct tfs_store_options *o)
{
	const char *name = o->profile ? o->profile : getenv("AWS_PROFILE");

	return name && *name ? name : "default";
}

static char *profile_value(const struct tfs_store_options *o, const char *key, bool config_first)
{
	static const char *const variables[] = {"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"};
	static const char *const names[] = {"credentials", "config"};
	char *value = NULL;

	for (int i = 0; i < 2 && !value; i++) {
		int which = config_first ? 1 - i : i;
		char *path = home_file(variables[which], names[which]);

		if (path)
			value = ini_value(path, profile_name(o), key);
		free(path);
	}
	return value;
}

char *s3_profile_setting(const struct tfs_store_options *o, const char *key)
{
	return profile_value(o, key, true);
}

static int from_file(struct s3_credentials *c, const char *path, char *error)
{
	struct stat st;

	if (stat(path, &st))
		return tfs_store_say(error, -EACCES, "%s: credentials: %s", path, strerror(errno));
	c->access_key = ini_value(path, NULL, "aws_access_key_id");
	c->secret_key = ini_value(path, NULL, "aws_secret_access_key");
	c->token = ini_value(path, NULL, "aws_session_token");
	snprintf(c->source, sizeof(c->source), "%s", path);
	if (!c->access_key || !c->secret_key)
		return tfs_store_say(
		    error, -EACCES,
		    "%s: credentials: expected lines aws_access_key_id = ... and aws_secret_access_key = ...", path);
	return 0;
}

static bool from_environment(struct s3_credentials *c)
{
	const char *access = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY"),
	           *token = getenv("AWS_SESSION_TOKEN");

	if (!access || !*access || !secret || !*secret)
		return false;
	c->access_key = strdup(access);
	c->secret_key = strdup(secret);
	c->token = token && *token ? strdup(token) : NULL;
	snprintf(c->source, sizeof(c->source), "the environment");
	return true;
}

static bool from_profile(struct s3_credentials *c, const struct tfs_store_options *o)
{
	c->access_key = profile_value(o, "aws_access_key_id", false);
	c->secret_key = profile_value(o, "aws_secret_access_key", false);
	c->token = profile_value(o, "aws_session_token", false);
	snprintf(c->source, sizeof(c->source), "profile %s", profile_name(o));
	return c->access_key && c->secret_key;
}

/* ---- instance metadata ---- */

static size_t collect(char *data, size_t size, size_t n, void *arg)
{
	struct s3_text *t = arg;

	if (t->length + size * n > 65536)
		return 0;
	s3_text_add_bytes(t, data, size * n);
	return t->failed ? 0 : size * n;
}

/* One answer of the service into out: 0, or -EIO with the reason in error. */
static int ask(CURL *curl, const char *base, const char *path, const char *header, bool put, struct s3_text *out,
               char *error)
{
	struct curl_slist *headers = curl_slist_append(NULL, header);
	char *url = NULL;
	long status = 0;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	s3_text_free(out);
	if (headers && asprintf(&url, "%s%s", base, path) >= 0) {
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, put ? "PUT" : "GET");
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 2000L);
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		code = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	}
	free(url);
	curl_slist_free_all(headers);
	if (code == CURLE_OK && status == 200 && out->s)
		return 0;
	return tfs_store_say(error, -EIO, "instance metadata: %s%s: %s, status %ld", base, path,
	                     code ? curl_easy_strerror(code) : "no answer to use", status);
}

static char *json_text(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string)
	           ? strdup(json_object_get_string(v))
	           : NULL;
}

static int take_json(struct s3_credentials *c, const char *text, char *error)
{
	struct json_object *o = json_tokener_parse(text);
	char *expires = o ? json_text(o, "Expiration") : NULL;

	if (o) {
		c->access_key = json_text(o, "AccessKeyId");
		c->secret_key = json_text(o, "SecretAccessKey");
		c->token = json_text(o, "Token");
		c->expires = expires ? s3_time_of(expires) : 0;
		json_object_put(o);
	}
	free(expires);
	if (!c->access_key || !c->secret_key)
		return tfs_store_say(error, -EACCES, "instance metadata: the role's answer has no keys");
	return 0;
}

static int from_metadata(struct s3_credentials *c, const char *base, char *error)
{
	static const char path[] = "/latest/meta-data/iam/security-credentials/";
	struct s3_text answer = {0}, header = {0}, role = {0};
	CURL *curl = curl_easy_init();
	int err = curl ? 0 : tfs_store_say(error, -ENOMEM, "instance metadata: no memory");

	if (!err)
		err = ask(curl, base, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", true, &answer,
		          error);
	if (!err) {
		s3_text_printf(&header, "X-aws-ec2-metadata-token: %s", answer.s);
		err = ask(curl, base, path, header.s, false, &answer, error);
	}
	if (!err) {
		s3_text_printf(&role, "%s%.*s", path, (int)strcspn(answer.s, "\r\n"), answer.s);
		err = ask(curl, base, role.s, header.s, false, &answer, error);
	}
	if (!err)
		err = take_json(c, answer.s, error);
	snprintf(c->source, sizeof(c->source), "instance metadata");
	if (answer.s)
		sodium_memzero(answer.s, answer.room);
	s3_text_free(&answer);
	s3_text_free(&header);
	s3_text_free(&role);
	curl_easy_cleanup(curl);
	return err;
}

/* NULL: not to be asked. */
static const char *metadata_url(const struct tfs_store_options *o)
{
	const char *disabled = getenv("AWS_EC2_METADATA_DISABLED"),
	           *given = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");

	if (o->metadata)
		return strcmp(o->metadata, "none") ? o->metadata : NULL;
	if (disabled && !strcasecmp(disabled, "true"))
		return NULL;
	return given && *given ? given : "http://169.254.169.254";
}

static int nothing_found(const struct tfs_store_options *o, const char *last, char *error)
{
	char *role = s3_profile_setting(o, "role_arn");
	int err = tfs_store_say(
	    error, -EACCES,
	    "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or add them to profile %s of "
	    "~/.aws/credentials, or name a file with -o credentials=FILE%s%s%s",
	    profile_name(o),
	    role ? " (roles of a profile are not assumed here: `aws configure export-credentials` makes keys)" : "",
	    *last ? "; " : "", last);

	free(role);
	return err;
}

int s3_credentials_load(struct s3_credentials *c, const struct tfs_store_options *o, char *error)
{
	struct s3_credentials found = {0};
	const char *metadata = metadata_url(o);
	char last[TFS_STORE_ERROR_MAX] = "";
	int err = 0;

	if (o->credentials) {
		err = from_file(&found, o->credentials, error);
	} else if (!(!o->profile && from_environment(&found)) && !from_profile(&found, o)) {
		s3_credentials_free(&found);
		err = metadata ? from_metadata(&found, metadata, last) : -EACCES;
		if (err)
			err = nothing_found(o, last, error);
	}
	if (!err && (!found.access_key || !found.secret_key))
		err = tfs_store_say(error, -ENOMEM, "credentials: no memory");
	if (!err && (strpbrk(found.access_key, "\r\n ") || (found.token && strpbrk(found.token, "\r\n "))))
		err = tfs_store_say(error, -EACCES, "credentials of %s: a key with blanks or line ends in it",
		                    found.source);
	if (err) {
		s3_credentials_free(&found);
		return err;
	}
	s3_credentials_free(c);
	*c = found;
	return 0;
}
