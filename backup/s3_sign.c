// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Signature Version 4. libcurl 7.88 could sign, but sends no x-amz-content-sha256 and signs the query as it stands: S3
 * servers answer 403 to that. The MACs are libsodium's; the sequence is checked with Amazon's published examples
 * (tests/unit/test_sign.c), other signers and servers.
 */
#include "backup/s3_sign.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text ---- */

static bool make_room(struct s3_text *t, size_t more)
{
	size_t room = t->room ? t->room : 256;
	char *larger;

	if (t->failed)
		return false;
	while (room - t->length <= more)
		room *= 2;
	if (room != t->room) {
		larger = realloc(t->s, room);
		if (!larger) {
			t->failed = true;
			return false;
		}
		t->s = larger;
		t->room = room;
	}
	return true;
}

void s3_text_add_bytes(struct s3_text *t, const void *bytes, size_t length)
{
	if (!make_room(t, length))
		return;
	if (length)
		memcpy(t->s + t->length, bytes, length);
	t->length += length;
	t->s[t->length] = 0;
}

void s3_text_add(struct s3_text *t, const char *s)
{
	s3_text_add_bytes(t, s, strlen(s));
}

void s3_text_printf(struct s3_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !make_room(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->s + t->length, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->length += (size_t)n;
}

void s3_text_encode(struct s3_text *t, const char *s, bool keep_slashes)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c) ||
		    (c == '/' && keep_slashes))
			s3_text_add_bytes(t, &c, 1);
		else
			s3_text_printf(t, "%%%02X", c);
	}
}

void s3_text_free(struct s3_text *t)
{
	free(t->s);
	memset(t, 0, sizeof(*t));
}

/* ---- canonical form ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct s3_text *)a)->s, ((const struct s3_text *)b)->s);
}

/* Sorted by the encoded name, then value: "name=value" does that but for names that one begins the other ('=' sorts
 * above
 * '-' and '.'), so a byte 1 stands for the sign until all are sorted. */
void s3_sign_query(struct s3_text *out, const struct s3_pair *query, unsigned n)
{
	struct s3_text each[S3_MAX_QUERY] = {{0}};

	for (unsigned i = 0; i < n; i++) {
		s3_text_encode(&each[i], query[i].name, false);
		s3_text_add(&each[i], "\1");
		s3_text_encode(&each[i], query[i].value, false);
		out->failed |= each[i].failed;
	}
	if (!out->failed)
		qsort(each, n, sizeof(each[0]), by_text);
	for (unsigned i = 0; i < n; i++) {
		if (!out->failed) {
			*strchr(each[i].s, 1) = '=';
			s3_text_printf(out, "%s%s", i ? "&" : "", each[i].s);
		}
		s3_text_free(&each[i]);
	}
}

static int by_header(const void *a, const void *b)
{
	return strcmp(((const struct s3_pair *)a)->name, ((const struct s3_pair *)b)->name);
}

/* Blanks around and runs of them inside do not count. */
static void add_trimmed(struct s3_text *out, const char *value)
{
	value += strspn(value, " \t");
	while (*value) {
		size_t word = strcspn(value, " \t");

		s3_text_add_bytes(out, value, word);
		value += word;
		value += strspn(value, " \t");
		if (*value)
			s3_text_add(out, " ");
	}
}

static void sorted_headers(const struct s3_to_sign *r, struct s3_pair out[S3_MAX_HEADERS])
{
	memcpy(out, r->headers, r->header_count * sizeof(*out));
	qsort(out, r->header_count, sizeof(*out), by_header);
}

static void add_signed_names(struct s3_text *out, const struct s3_pair *sorted, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		s3_text_printf(out, "%s%s", i ? ";" : "", sorted[i].name);
}

void s3_sign_canonical(struct s3_text *out, const struct s3_to_sign *r)
{
	struct s3_pair sorted[S3_MAX_HEADERS];

	sorted_headers(r, sorted);
	s3_text_printf(out, "%s\n%s\n", r->method, r->path);
	s3_sign_query(out, r->query, r->queries);
	s3_text_add(out, "\n");
	for (unsigned i = 0; i < r->header_count; i++) {
		s3_text_printf(out, "%s:", sorted[i].name);
		add_trimmed(out, sorted[i].value);
		s3_text_add(out, "\n");
	}
	s3_text_add(out, "\n");
	add_signed_names(out, sorted, r->header_count);
	s3_text_printf(out, "\n%s", r->payload_sha256);
}

/* ---- MACs ---- */

void s3_sha256_hex(const void *data, size_t length, char out[65])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, data ? data : (const void *)"", length);
	sodium_bin2hex(out, 65, digest, sizeof(digest));
}

static void mac(unsigned char out[32], const unsigned char *key, size_t key_length, const char *text)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_length);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, strlen(text));
	crypto_auth_hmacsha256_final(&state, out);
}

static void signing_key(const struct s3_to_sign *r, const char *day, unsigned char key[32])
{
	struct s3_text secret = {0};

	memset(key, 0, 32);
	s3_text_printf(&secret, "AWS4%s", r->secret_key);
	if (secret.s) {
		mac(key, (unsigned char *)secret.s, secret.length, day);
		sodium_memzero(secret.s, secret.room);
	}
	s3_text_free(&secret);
	mac(key, key, 32, r->region);
	mac(key, key, 32, r->service);
	mac(key, key, 32, "aws4_request");
}

void s3_sign(struct s3_text *out, const struct s3_to_sign *r)
{
	struct s3_pair sorted[S3_MAX_HEADERS];
	struct s3_text canonical = {0}, text = {0};
	unsigned char key[32], signature[32];
	char day[9], hex[65];

	snprintf(day, sizeof(day), "%.8s", r->time);
	s3_sign_canonical(&canonical, r);
	s3_sha256_hex(canonical.s, canonical.length, hex);
	s3_text_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", r->time, day, r->region, r->service,
	               hex);
	signing_key(r, day, key);
	if (canonical.failed || text.failed) {
		out->failed = true;
	} else {
		mac(signature, key, sizeof(key), text.s);
		sodium_bin2hex(hex, sizeof(hex), signature, sizeof(signature));
		sorted_headers(r, sorted);
		s3_text_printf(out,
		               "AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request,SignedHeaders=", r->access_key,
		               day, r->region, r->service);
		add_signed_names(out, sorted, r->header_count);
		s3_text_printf(out, ",Signature=%s", hex);
	}
	sodium_memzero(key, sizeof(key));
	s3_text_free(&canonical);
	s3_text_free(&text);
}
