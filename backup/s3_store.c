// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* s3://BUCKET/PREFIX: where the server is, which bucket and prefix, for which region to sign; open and close. */
#include "backup/s3.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static void s3_close(struct tfs_store *ts)
{
	struct s3_store *s = s3_of(ts);
	struct tfs_store_options *o = &s->o;

	s3_calls_close(s);
	while (s->jobs) {
		struct s3_job *j = s->jobs;

		s->jobs = j->next;
		free(j->state);
		free(j);
	}
	curl_multi_cleanup(s->multi);
	s3_credentials_free(&s->credentials);
	free(s->bucket);
	free(s->prefix);
	free(s->scheme_host);
	free(s->host);
	free(s->region);
	free(o->profile);
	free(o->credentials);
	free(o->ca_file);
	free(o->storage_class);
	free(o->metadata);
	tfs_store_fini(ts);
	free(s);
	curl_global_cleanup();
}

static const struct tfs_store_ops s3_ops = {
    .start = s3_start,
    .step = s3_step,
    .list = s3_list,
    .now = s3_server_now,
    .clean = s3_clean,
    .close = s3_close,
};

static bool good_bucket(const char *name, size_t length)
{
	if (length < 3 || length > 63)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && !strchr("-._", name[i]))
			return false;
	return true;
}

/* "bucket/a/b/" -> bucket, prefix "a/b/" */
static int take_url(struct s3_store *s, const char *url, char *error)
{
	const char *bucket = url + 5, *prefix;
	size_t length = strcspn(bucket, "/"), n;
	struct s3_text p = {0};

	if (!good_bucket(bucket, length))
		return tfs_store_say(error, -EINVAL,
		                     "%s: expected s3://BUCKET/PREFIX, the bucket of 3 to 63 of a-z 0-9 . - _", url);
	prefix = bucket + length;
	prefix += strspn(prefix, "/");
	n = strlen(prefix);
	while (n && prefix[n - 1] == '/')
		n--;
	if (n > 400)
		return tfs_store_say(error, -EINVAL, "%s: expected a prefix of at most 400 bytes", url);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)prefix[i] < 0x20 || prefix[i] == 0x7f)
			return tfs_store_say(error, -EINVAL, "%.60s...: control characters in the prefix", url);
	s3_text_add_bytes(&p, prefix, n);
	s3_text_add(&p, n ? "/" : "");
	s->bucket = strndup(bucket, length);
	s->prefix = p.s;
	return p.failed || !s->bucket ? tfs_store_say(error, -ENOMEM, "%s: no memory", url) : 0;
}

/* The first that is given: option, environment, profile. The caller frees it. */
static char *setting(const struct tfs_store_options *o, const char *option, const char *variable, const char *variable2,
                     const char *key)
{
	const char *value = option;

	if (!value || !*value)
		value = getenv(variable);
	if (!value || !*value)
		value = getenv(variable2);
	return value && *value ? strdup(value) : s3_profile_setting(o, key);
}

/* scheme://host[:port] of the endpoint, the bucket's name before the host when it stands there. */
static int take_endpoint(struct s3_store *s, const char *endpoint, bool amazon, char *error)
{
	const char *scheme = strstr(endpoint, "://"), *host = scheme ? scheme + 3 : endpoint;
	size_t length = strcspn(host, "/");
	bool http = !strncasecmp(endpoint, "http://", 7), https = !strncasecmp(endpoint, "https://", 8);
	struct s3_text url = {0}, name = {0};

	if ((!http && !https) || !length || strspn(host + length, "/") != strlen(host + length) ||
	    strpbrk(host, "@?# \t\r\n"))
		return tfs_store_say(error, -EINVAL, "endpoint %s: expected https://HOST[:PORT]", endpoint);
	if (s->o.style == TFS_STORE_STYLE_AUTO)
		s->path_style = !amazon || strchr(s->bucket, '.') || strchr(s->bucket, '_');
	else
		s->path_style = s->o.style == TFS_STORE_STYLE_PATH;
	s3_text_printf(&name, "%s%s%.*s", s->path_style ? "" : s->bucket, s->path_style ? "" : ".", (int)length, host);
	s3_text_printf(&url, "%s://%s", http ? "http" : "https", name.s ? name.s : "");
	s->host = name.s;
	s->scheme_host = url.s;
	return name.failed || url.failed ? tfs_store_say(error, -ENOMEM, "%s: no memory", endpoint) : 0;
}

static int take_server(struct s3_store *s, const struct tfs_store_options *o, char *error)
{
	char *endpoint = setting(o, o->endpoint, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "endpoint_url");
	struct s3_text amazon = {0};
	bool given = endpoint;
	int err;

	s->region = setting(o, o->region, "AWS_REGION", "AWS_DEFAULT_REGION", "region");
	if (!s->region)
		s->region = strdup("us-east-1");
	if (!s->region || strspn(s->region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
	                      strlen(s->region)) {
		free(endpoint);
		return tfs_store_say(error, -EINVAL, "region %s: expected letters, digits and dashes",
		                     s->region ? s->region : "");
	}
	if (!given)
		s3_text_printf(&amazon, "https://s3.%s.amazonaws.com%s", s->region,
		               strncmp(s->region, "cn-", 3) ? "" : ".cn");
	err = take_endpoint(s,
	                    given      ? endpoint
	                    : amazon.s ? amazon.s
	                               : "",
	                    !given || strstr(endpoint, ".amazonaws.com"), error);
	free(endpoint);
	s3_text_free(&amazon);
	return err;
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int take_options(struct s3_store *s, const struct tfs_store_options *o, char *error)
{
	s->o = *o;
	s->o.endpoint = s->o.region = NULL; /* used once, below */
	s->conditional = o->conditional;
	if (copy_text(&s->o.profile, o->profile) | copy_text(&s->o.credentials, o->credentials) |
	    copy_text(&s->o.ca_file, o->ca_file) | copy_text(&s->o.storage_class, o->storage_class) |
	    copy_text(&s->o.metadata, o->metadata))
		return tfs_store_say(error, -ENOMEM, "store: no memory");
	return 0;
}

int tfs_store_s3_open(struct tfs_store **out, const char *url, const struct tfs_store_options *o, char *error)
{
	struct s3_store *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return tfs_store_say(error, -ENOMEM, "%s: no memory", url);
	if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(s);
		return tfs_store_say(error, -EIO, "%s: libsodium or libcurl cannot be started", url);
	}
	s->waiting_end = &s->waiting;
	s->multi = curl_multi_init();
	err = take_options(s, o, error);
	if (!err && (!s->multi || tfs_store_init(&s->s, &s3_ops, url, (unsigned)o->parallel)))
		err = tfs_store_say(error, -ENOMEM, "%s: no memory", url);
	if (!err)
		err = take_url(s, url, error);
	if (!err)
		err = take_server(s, o, error);
	if (!err) {
		char why[TFS_STORE_ERROR_MAX];

		err = s3_credentials_load(&s->credentials, &s->o, why);
		s->have_credentials = !err;
		if (err)
			tfs_store_say(error, 0, "%s: %s", url, why);
	}
	if (err) {
		s3_close(&s->s);
		return err;
	}
	curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)o->parallel + 2);
	*out = &s->s;
	return 0;
}
