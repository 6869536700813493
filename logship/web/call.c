// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One request to a collector over libcurl, and its answer. Always: a certificate is verified; the credentials come from
 * a file that others cannot read, are read anew for each link, and go only to the collector that the configuration
 * names them for, never unencrypted over a network. One handle serves the process, since it keeps connections: one link
 * at a time. Called by deliver.c.
 */
#include "logship/web/deliver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define ANSWER_MAX (16u << 20)
#define ENDING_MS 2000u

/* ---- what comes in ---- */

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct web *w = arg;
	char value[256];

	if (n > 5 && !strncmp(line, "HTTP/", 5)) /* of this answer, not of one before it */
		w->retry_after = 0;
	else if (tfs_web_header(line, n, "retry-after", value, sizeof(value)))
		w->retry_after = tfs_web_retry_after(value, time(NULL));
	return size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct web *w = arg;

	if (w->answer_len + n > ANSWER_MAX)
		return 0;
	if (w->answer_size - w->answer_len < n) {
		size_t larger = 2 * (w->answer_len + n);
		char *p = realloc(w->answer, larger);

		if (!p)
			return 0;
		w->answer = p;
		w->answer_size = larger;
	}
	memcpy(w->answer + w->answer_len, data, n);
	w->answer_len += n;
	return size * n;
}

/* Not 0: a signal came some time ago. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct web *w = arg;

	(void)a, (void)b, (void)c, (void)d;
	if (!logship_stopped)
		return 0;
	if (!w->stopped_ms)
		w->stopped_ms = logship_now_ms();
	return logship_now_ms() - w->stopped_ms > ENDING_MS;
}

/* ---- setting up ---- */

static int add_header(struct web *w, const char *line)
{
	struct curl_slist *longer = curl_slist_append(w->headers, line);

	if (!longer)
		return -ENOMEM;
	w->headers = longer;
	return 0;
}

static int credentials_fail(struct web *w, int err, const char *path, const char *why)
{
	snprintf(w->said, sizeof(w->said), "%.150s: %s", path, why);
	w->final = true;
	return err;
}

/* "Bearer abc", "Splunk 1234-...", "ApiKey ...", "Basic ...": the file's first line is the header's value. */
static int add_credentials(struct web *w, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	static char line[4096 + 16];
	size_t at = (size_t)snprintf(line, sizeof(line), "Authorization: ");
	ssize_t n = fd < 0 ? -1 : read(fd, line + at, sizeof(line) - 1 - at);
	struct stat st;

	if (n < 0 || fstat(fd, &st)) {
		err = credentials_fail(w, -EACCES, path, strerror(errno));
	} else if (st.st_mode & 07) {
		err = credentials_fail(w, -EACCES, path, "others may read it: chmod o= first");
	} else {
		line[at + (size_t)n] = 0;
		line[at + strcspn(line + at, "\r\n")] = 0;
		err = line[at] ? add_header(w, line)
		               : credentials_fail(w, -EACCES, path, "expected a line such as Bearer TOKEN, found none");
	}
	if (fd >= 0)
		close(fd);
	explicit_bzero(line, sizeof(line));
	return err;
}

/* By its address: a name that begins with 127. may lead anywhere. (What localhost is libcurl knows without asking.) */
static bool is_here(const char *host)
{
	struct in_addr four;

	return !strcmp(host, "localhost") || !strcmp(host, "::1") ||
	       (inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127);
}

static int add_headers(struct web *w)
{
	const struct ship_target *t = w->way->target;
	const char *credentials = w->way->set ? w->way->set->authorization_file : "";
	char line[128];
	int err;

	snprintf(line, sizeof(line), "Content-Type: %s", w->format->type);
	err = add_header(w, line);
	if (!err)
		err = add_header(w, "Expect:"); /* takes it out: a round trip for each request */
	if (!err && t->gzip)
		err = add_header(w, "Content-Encoding: gzip");
	if (!err && t->transport == SHIP_LOKI && t->name[0]) {
		snprintf(line, sizeof(line), "X-Scope-OrgID: %s", t->name);
		err = add_header(w, line);
	}
	if (err || !*credentials)
		return err;
	if (!t->tls && !is_here(t->host))
		return credentials_fail(w, -EACCES, w->way->text,
		                        "credentials do not go over http to another machine: use https");
	return add_credentials(w, credentials);
}

static void set_url(struct web *w)
{
	const struct ship_target *t = w->way->target;
	bool colons = strchr(t->host, ':'), elastic = t->transport == SHIP_ELASTIC && !t->path[0];
	static char url[1200];

	snprintf(url, sizeof(url), "%s://%s%s%s:%u%s%s%s", t->tls ? "https" : "http", colons ? "[" : "", t->host,
	         colons ? "]" : "", t->port, elastic ? "/" : "",
	         elastic ? t->name[0] ? t->name : "logs-tfs-default" : t->path, t->path[0] ? "" : w->format->path);
	curl_easy_setopt(w->curl, CURLOPT_URL, url);
}

static void set_options(struct web *w)
{
	struct tfs_web_trust trust;

	logship_trust(w->way, &trust);
	tfs_web_setup(w->curl, w->way->target->tls ? "https" : "http", "tfs-logship/0.1", &trust);
	set_url(w);
	/* what does not leave this machine, credentials among it, does not by a proxy */
	if (is_here(w->way->target->host))
		curl_easy_setopt(w->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, w->error);
	curl_easy_setopt(w->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(w->curl, CURLOPT_HEADERDATA, w);
	curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
	curl_easy_setopt(w->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(w->curl, CURLOPT_XFERINFODATA, w);
	curl_easy_setopt(w->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(w->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)w->way->timeout_ms);
	curl_easy_setopt(w->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(w->curl, CURLOPT_LOW_SPEED_TIME, (long)(w->way->timeout_ms + 999) / 1000);
	curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, w->headers);
	curl_easy_setopt(w->curl, CURLOPT_POST, 1L);
}

int web_call_open(struct web *w)
{
	static CURL *kept;
	int err = add_headers(w);

	if (err)
		return err;
	if (!kept && (curl_global_init(CURL_GLOBAL_DEFAULT) || !(kept = curl_easy_init())))
		return -ENOMEM;
	w->curl = kept;
	curl_easy_reset(kept); /* connections stay */
	set_options(w);
	return 0;
}

void web_call_close(struct web *w)
{
	if (w->curl)
		curl_easy_reset(w->curl); /* it refers to w no more */
	curl_slist_free_all(w->headers);
	free(w->answer);
	free(w->packed);
}

/* ---- a request ---- */

static int pack(struct web *w, size_t *len)
{
	z_stream z = {.next_in = w->body.buf, .avail_in = w->body.len};
	size_t need;
	int err;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	need = deflateBound(&z, w->body.len);
	if (need > w->packed_size) {
		free(w->packed);
		w->packed = malloc(need);
		w->packed_size = w->packed ? need : 0;
	}
	z.next_out = w->packed;
	z.avail_out = (u32)w->packed_size;
	err = w->packed && deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -ENOMEM;
	*len = w->packed_size - z.avail_out;
	deflateEnd(&z);
	return err;
}

int logship_curl_error(int code, bool *final)
{
	switch (code) {
	case CURLE_ABORTED_BY_CALLBACK:
		return -EINTR;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_PEER_FAILED_VERIFICATION: /* whoever answers is not whom the rule names, or trusts not us */
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		*final = true;
		return -EACCES;
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	default:
		return -ECONNRESET;
	}
}

static int of_curl(struct web *w, CURLcode code)
{
	snprintf(w->said, sizeof(w->said), "%.200s",
	         code == CURLE_WRITE_ERROR ? "the answer is longer than 16 MiB, or there is no memory for it"
	         : w->error[0]             ? w->error
	                                   : curl_easy_strerror(code));
	return logship_curl_error(code, &w->final);
}

int web_call(struct web *w, struct web_answer *a)
{
	const u8 *bytes = w->body.buf;
	size_t len = w->body.len;
	CURLcode code;
	long status = 0;
	int err = w->way->target->gzip ? pack(w, &len) : 0;

	if (err)
		return err;
	if (w->way->target->gzip)
		bytes = w->packed;
	w->answer_len = 0;
	w->retry_after = 0;
	w->error[0] = 0;
	curl_easy_setopt(w->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, (const char *)bytes);
	curl_easy_setopt(w->curl, CURLOPT_TIMEOUT_MS, (long)(w->way->timeout_ms + len / 4)); /* 4 KB/s */
	code = curl_easy_perform(w->curl);
	if (code != CURLE_OK)
		return of_curl(w, code);
	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
	*a = (struct web_answer){.status = (u32)status, .body = w->answer, .len = w->answer_len};
	return 0;
}
