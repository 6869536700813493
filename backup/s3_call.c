// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One HTTP call with all its attempts, and the loop that drives many at a time over libcurl's multi interface.
 *
 * A call waits (due_ms: backoff), then runs as one transfer, signed anew for each attempt, then is judged (s3_error.c):
 * done, given up, or waiting again. At most `parallel` transfers run; connections are kept by libcurl. A call is
 * repeated until its deadline, which is `patience` after its first attempt; a server from which nothing ever came gets
 * 30 s of it. One attempt may take what is left of that and the time its bytes need at 4 KB/s.
 */
#include "backup/s3.h"
#include "tfs/web/web.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum { FIRST_CONTACT_MS = 30000, LONGEST_WAIT_MS = 20000, MAX_TEXT = 16 << 20 };

static s64 clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (s64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

s64 s3_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

s64 s3_boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

s64 s3_wall(const struct s3_store *s)
{
	return (s64)time(NULL) + s->skew;
}

u32 s3_random(u32 below)
{
	return randombytes_uniform(below);
}

/* ---- making and freeing ---- */

static void call_free(struct s3_call *c)
{
	for (unsigned i = 0; i < c->queries; i++)
		free((char *)c->query[i].value);
	for (unsigned i = 0; i < c->header_count; i++)
		free((char *)c->headers[i].value);
	curl_slist_free_all(c->wire_headers);
	s3_text_free(&c->text);
	free(c->own_body);
	free(c->name);
	free(c->key);
	free(c);
}

struct s3_call *s3_call_new(struct s3_store *s, const char *method, const char *what, const char *name)
{
	struct s3_call *c = calloc(1, sizeof(*c));
	struct s3_text key = {0};

	if (!c)
		return NULL;
	c->store = s;
	c->method = method;
	c->what = what;
	if (!name)
		return c;
	s3_text_printf(&key, "%s%s", s->prefix, name);
	c->key = key.s;
	c->name = strdup(name);
	if (!c->key || key.failed || !c->name) {
		call_free(c);
		return NULL;
	}
	return c;
}

static const char *copy(struct s3_call *c, const char *value)
{
	char *s = strdup(value);

	c->text.failed |= !s;
	return s;
}

void s3_call_query(struct s3_call *c, const char *name, const char *value)
{
	if (c)
		c->query[c->queries++] = (struct s3_pair){name, copy(c, value)};
}

/* Eight places are left for those of an attempt. */
void s3_call_header(struct s3_call *c, const char *name, const char *value)
{
	if (c)
		c->headers[c->header_count++] = (struct s3_pair){name, copy(c, value)};
}

int s3_call_start(struct s3_call *c, void (*done)(struct s3_call *), void *arg)
{
	if (c && c->text.failed) {
		call_free(c);
		c = NULL;
	}
	if (!c)
		return -ENOMEM;
	c->done = done;
	c->arg = arg;
	*c->store->waiting_end = c;
	c->store->waiting_end = &c->next;
	return 0;
}

/* ---- what comes in ---- */

static s64 date_of(const char *value)
{
	time_t t = curl_getdate(value, NULL);

	return t > 0 ? (s64)t : 0;
}

static void take_range(struct s3_reply *r, const char *value)
{
	unsigned long long first, last, total;

	if (sscanf(value, "bytes %llu-%llu/%llu", &first, &last, &total) != 3)
		return;
	r->ranged = true;
	r->range_first = first;
	r->range_last = last;
	r->range_total = total;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct s3_call *c = arg;
	struct s3_reply *r = &c->reply;
	size_t length = size * n;
	char value[256];

	if (length > 5 && !strncmp(line, "HTTP/", 5)) /* of this answer, not of a 100 before it */
		memset(r, 0, sizeof(*r));
	else if (tfs_web_header(line, length, "date", value, sizeof(value)))
		r->date = date_of(value);
	else if (tfs_web_header(line, length, "last-modified", value, sizeof(value)))
		r->modified = date_of(value);
	else if (tfs_web_header(line, length, "content-length", value, sizeof(value)))
		r->content_length = strtoull(value, NULL, 10), r->has_length = true;
	else if (tfs_web_header(line, length, "content-range", value, sizeof(value)))
		take_range(r, value);
	else if (tfs_web_header(line, length, "retry-after", value, sizeof(value)))
		r->retry_after = tfs_web_retry_after(value, s3_wall(c->store));
	else if (tfs_web_header(line, length, "x-amz-object-lock-retain-until-date", value, sizeof(value)))
		r->locked_until = s3_time_of(value);
	else if (tfs_web_header(line, length, "x-amz-object-lock-legal-hold", value, sizeof(value)))
		r->locked_until = !strcasecmp(value, "ON") ? -1 : r->locked_until;
	else if (!tfs_web_header(line, length, "etag", r->etag, sizeof(r->etag)) &&
	         !tfs_web_header(line, length, "x-amz-request-id", r->request_id, sizeof(r->request_id)) &&
	         !tfs_web_header(line, length, "x-amz-bucket-region", r->region, sizeof(r->region)))
		tfs_web_header(line, length, "x-amz-meta-tfs", r->token, sizeof(r->token));
	return length;
}

/* Of a success the range goes to the caller's buffer; a server that knows no ranges sends all, from its start. */
static void take_content(struct s3_call *c, const char *data, size_t length)
{
	if (c->reply.status == 200 && c->skipped < c->offset) {
		u64 skip = c->offset - c->skipped < length ? c->offset - c->skipped : length;

		c->skipped += skip;
		data += skip;
		length -= (size_t)skip;
	}
	if (length > c->length - c->got) {
		c->too_long = c->reply.status == 206;
		length = c->length - c->got;
	}
	if (length)
		memcpy((u8 *)c->into + c->got, data, length);
	c->got += length;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct s3_call *c = arg;
	size_t length = size * n;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->reply.status);
	if (c->into && !c->asking && c->reply.status < 300) {
		take_content(c, data, length);
	} else {
		if (c->text.length + length > MAX_TEXT)
			return 0;
		s3_text_add_bytes(&c->text, data, length);
		if (c->text.failed)
			return 0;
	}
	return length;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
	struct s3_call *c = arg;
	size_t length = size * n < c->body_length - c->sent ? size * n : c->body_length - c->sent;

	if (length)
		memcpy(to, (const u8 *)c->body + c->sent, length);
	c->sent += length;
	return length;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct s3_call *c = arg;

	if (origin != SEEK_SET || offset < 0 || (u64)offset > c->body_length)
		return CURL_SEEKFUNC_FAIL;
	c->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- an attempt ---- */

static const char *method_of(const struct s3_call *c)
{
	return c->asking ? "GET" : c->method;
}

static void add_path(struct s3_text *t, const struct s3_call *c)
{
	const struct s3_store *s = c->store;

	s3_text_add(t, "/");
	if (s->path_style) {
		s3_text_encode(t, s->bucket, false);
		if (c->key)
			s3_text_add(t, "/");
	}
	if (c->key)
		s3_text_encode(t, c->key, true);
}

static void add_wire_header(struct s3_call *c, const char *name, const char *value)
{
	struct s3_text line = {0};
	struct curl_slist *longer;

	s3_text_printf(&line, "%s: %s", name, value);
	longer = line.failed ? NULL : curl_slist_append(c->wire_headers, line.s);
	c->text.failed |= !longer;
	if (longer)
		c->wire_headers = longer;
	s3_text_free(&line);
}

static void sign_attempt(struct s3_call *c, const char *path)
{
	struct s3_store *s = c->store;
	struct s3_pair headers[S3_MAX_HEADERS];
	unsigned n = c->header_count;
	char stamp[32], range[64];
	time_t now = (time_t)s3_wall(s);
	struct tm tm;
	struct s3_to_sign sign = {.method = method_of(c),
	                          .path = path,
	                          .query = c->query,
	                          .queries = c->queries,
	                          .headers = headers,
	                          .payload_sha256 = c->sha256,
	                          .time = stamp,
	                          .region = s->region,
	                          .service = "s3",
	                          .access_key = s->credentials.access_key,
	                          .secret_key = s->credentials.secret_key};
	struct s3_text authorization = {0};

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	memcpy(headers, c->headers, n * sizeof(headers[0]));
	headers[n++] = (struct s3_pair){"host", s->host};
	headers[n++] = (struct s3_pair){"x-amz-date", stamp};
	headers[n++] = (struct s3_pair){"x-amz-content-sha256", c->sha256};
	if (s->credentials.token)
		headers[n++] = (struct s3_pair){"x-amz-security-token", s->credentials.token};
	if (c->asking || c->ranged) {
		snprintf(range, sizeof(range), "bytes=%llu-%llu", c->asking ? 0ull : (unsigned long long)c->offset,
		         c->asking ? 0ull : (unsigned long long)(c->offset + c->length - 1));
		headers[n++] = (struct s3_pair){"range", range};
	}
	sign.header_count = n;
	s3_sign(&authorization, &sign);
	c->text.failed |= authorization.failed;
	for (unsigned i = 0; i < n; i++)
		add_wire_header(c, headers[i].name, headers[i].value);
	if (authorization.s)
		add_wire_header(c, "authorization", authorization.s);
	add_wire_header(c, "expect", ""); /* takes it out: a round trip for each object */
	s3_text_free(&authorization);
}

static s64 deadline_of(const struct s3_call *c)
{
	u64 patience = c->store->o.patience * 1000;

	if (c->deadline_ms)
		return c->deadline_ms;
	return c->first_ms + (s64)(c->store->answered || patience < FIRST_CONTACT_MS ? patience : FIRST_CONTACT_MS);
}

static void set_body(struct s3_call *c)
{
	if (!strcmp(c->method, "HEAD") && !c->asking) {
		curl_easy_setopt(c->curl, CURLOPT_NOBODY, 1L);
	} else if (!strcmp(c->method, "PUT") || c->body_length) {
		curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->body_length);
		curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(c->curl, CURLOPT_READDATA, c);
		curl_easy_setopt(c->curl, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c->curl, CURLOPT_SEEKDATA, c);
	} else if (!strcmp(c->method, "POST")) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, 0L);
		add_wire_header(c, "content-type", "application/octet-stream");
	}
	if (strcmp(method_of(c), "HEAD"))
		curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method_of(c));
}

static void set_options(struct s3_call *c, const char *url)
{
	const struct tfs_store_options *o = &c->store->o;
	CURL *curl = c->curl;
	s64 left = deadline_of(c) - s3_now_ms() + (s64)((c->body_length + c->length) / 4);

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, c);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->curl_error);
	tfs_web_setup(curl, "http,https", "tfs-backup/0.1", &(struct tfs_web_trust){.ca_file = o->ca_file});
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->stall * 1000));
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)o->stall);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(left > 1000 ? left : 1000));
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 262144L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 262144L);
	if (o->bandwidth) {
		curl_easy_setopt(curl, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)o->bandwidth);
		curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)o->bandwidth);
	}
	set_body(c);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, c->wire_headers);
}

/* Keys known, and not about to expire. */
static int need_credentials(struct s3_call *c, bool anew)
{
	struct s3_store *s = c->store;
	char error[TFS_STORE_ERROR_MAX];
	bool soon = s->credentials.expires && s3_wall(s) + 300 >= s->credentials.expires;
	int err;

	if (s->have_credentials && !anew && !soon)
		return 0;
	err = s3_credentials_load(&s->credentials, &s->o, error);
	if (!err) {
		if (s->have_credentials)
			tfs_store_note(&s->s, "%s: credentials renewed from %s", s->s.url, s->credentials.source);
		s->have_credentials = true;
		return 0;
	}
	if (s->have_credentials && (anew || s->credentials.expires > s3_wall(s)))
		return 0; /* still good, or the old ones' refusal says more than this */
	return tfs_store_say(c->error, err, "%s: %s", s->s.url, error);
}

static void begin_reply(struct s3_call *c)
{
	memset(&c->reply, 0, sizeof(c->reply));
	c->text.length = 0;
	if (c->text.s)
		c->text.s[0] = 0;
	c->got = c->sent = 0;
	c->skipped = 0;
	c->too_long = false;
	c->curl_error[0] = 0;
	curl_slist_free_all(c->wire_headers);
	c->wire_headers = NULL;
}

static int run_attempt(struct s3_call *c)
{
	struct s3_store *s = c->store;
	struct s3_text path = {0}, query = {0}, url = {0};
	int err = need_credentials(c, false);

	if (err)
		return err;
	begin_reply(c);
	c->curl = s->idle_count ? s->idle[--s->idle_count] : curl_easy_init();
	if (!c->curl)
		return tfs_store_say(c->error, -ENOMEM, "%s: no memory", s->s.url);
	if (!c->sha256[0])
		s3_sha256_hex(c->body, c->body_length, c->sha256);
	add_path(&path, c);
	s3_sign_query(&query, c->query, c->queries);
	s3_text_printf(&url, "%s%s%s%s", s->scheme_host, path.s ? path.s : "", c->queries ? "?" : "",
	               query.s ? query.s : "");
	if (!path.failed && !query.failed && !url.failed) {
		sign_attempt(c, path.s);
		set_options(c, url.s);
	} else {
		c->text.failed = true;
	}
	s3_text_free(&path);
	s3_text_free(&query);
	s3_text_free(&url);
	if (c->text.failed || curl_multi_add_handle(s->multi, c->curl) != CURLM_OK) {
		curl_easy_cleanup(c->curl);
		c->curl = NULL;
		return tfs_store_say(c->error, -ENOMEM, "%s: no memory", s->s.url);
	}
	c->attempts++;
	s->s.stats.requests++;
	s->running++;
	c->next = s->active;
	s->active = c;
	return 0;
}

/* ---- the end of an attempt ---- */

static void leave_active(struct s3_call *c)
{
	struct s3_store *s = c->store;
	struct s3_call **p = &s->active;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->next = NULL;
	s->running--;
	curl_multi_remove_handle(s->multi, c->curl);
	curl_easy_reset(c->curl);
	if (s->idle_count < sizeof(s->idle) / sizeof(s->idle[0]))
		s->idle[s->idle_count++] = c->curl;
	else
		curl_easy_cleanup(c->curl);
	c->curl = NULL;
}

static void finish(struct s3_call *c)
{
	c->done(c);
	call_free(c);
}

static void wait_again(struct s3_call *c, s64 in_ms)
{
	c->due_ms = s3_now_ms() + in_ms;
	*c->store->waiting_end = c;
	c->store->waiting_end = &c->next;
}

/* Exponential, half of it random, so that clients which failed together do not come back together. */
static s64 backoff(const struct s3_call *c)
{
	unsigned shift = c->attempts < 9 ? c->attempts - 1 : 8;
	u32 most = 100u << shift < LONGEST_WAIT_MS ? 100u << shift : LONGEST_WAIT_MS;
	s64 wait = most / 2 + s3_random(most / 2 + 1), asked = (s64)c->reply.retry_after * 1000;

	if (asked > 60000)
		asked = 60000;
	return wait > asked ? wait : asked;
}

static void give_up(struct s3_call *c, CURLcode code)
{
	s3_explain(c, code);
	if (!c->result)
		c->result = -EIO;
	finish(c);
}

static void note_server(struct s3_call *c)
{
	struct s3_store *s = c->store;

	s->answered |= c->reply.status != 0;
	if (c->reply.date) {
		s->server_date = c->reply.date;
		s->server_date_ms = s3_boot_ms();
	}
	s->bucket_seen |= (c->reply.status >= 200 && c->reply.status < 300) || !strcmp(c->reply.code, "NoSuchKey");
	s->s.stats.sent += c->sent;
	s->s.stats.received += c->got;
}

static void again(struct s3_call *c, CURLcode code)
{
	struct s3_store *s = c->store;
	s64 wait = backoff(c);

	if (s3_now_ms() + wait > deadline_of(c)) {
		give_up(c, code);
		return;
	}
	c->asking = false;
	s->s.stats.retries++;
	if (s->s.note) {
		s3_explain(c, code);
		tfs_store_note(&s->s, "%s; again in %lld.%lld s", c->error, (long long)wait / 1000,
		               (long long)wait / 100 % 10);
	}
	wait_again(c, wait);
}

static void correct_clock(struct s3_call *c)
{
	struct s3_store *s = c->store;

	s->skew += c->reply.date - s3_wall(s);
	c->clock_set = true;
	tfs_store_note(&s->s, "%s: the server's clock is %lld s %s this machine's; requests are dated by the server's",
	               s->s.url, (long long)(s->skew < 0 ? -s->skew : s->skew), s->skew < 0 ? "behind" : "ahead of");
}

static void end_attempt(struct s3_call *c, CURLcode code)
{
	enum s3_next next;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->reply.status);
	leave_active(c);
	next = s3_judge(c, code);
	note_server(c);
	switch (next) {
	case S3_DONE:
		finish(c);
		break;
	case S3_GIVE_UP:
		give_up(c, code);
		break;
	case S3_AGAIN:
		again(c, code);
		break;
	case S3_ASK_WHY:
		c->asking = true;
		wait_again(c, 0);
		break;
	case S3_NEW_CLOCK:
		correct_clock(c);
		c->asking = false;
		wait_again(c, 0);
		break;
	case S3_NEW_CREDENTIALS:
		c->renewed = true;
		need_credentials(c, true);
		c->asking = false;
		wait_again(c, 0);
		break;
	}
}

/* ---- the loop ---- */

/* The next call may start when the bytes of those before have had their time. */
static bool bandwidth_allows(struct s3_store *s, const struct s3_call *c, s64 now)
{
	u64 bytes = c->body_length + c->length;

	if (!s->o.bandwidth)
		return true;
	if (now < s->next_start_ms)
		return false;
	s->next_start_ms = now + (s64)(bytes * 1000 / s->o.bandwidth);
	return true;
}

static void start_due(struct s3_store *s)
{
	struct s3_call **p = &s->waiting, *c;
	s64 now = s3_now_ms();

	while ((c = *p) && s->running < s->s.parallel) {
		if (c->due_ms > now) {
			p = &c->next;
			continue;
		}
		if (!bandwidth_allows(s, c, now))
			break;
		*p = c->next;
		if (!*p)
			s->waiting_end = p;
		c->next = NULL;
		if (!c->first_ms)
			c->first_ms = now;
		c->result = run_attempt(c);
		if (c->result) {
			finish(c); /* which may have started others */
			p = &s->waiting;
		}
	}
}

/* How long nothing can happen but by the network. */
static int until_due(const struct s3_store *s, int timeout_ms)
{
	s64 now = s3_now_ms(), wait = timeout_ms;

	for (const struct s3_call *c = s->waiting; c && s->running < s->s.parallel; c = c->next) {
		s64 due = c->due_ms > s->next_start_ms || !s->o.bandwidth ? c->due_ms : s->next_start_ms;

		if (due - now < wait)
			wait = due > now ? due - now : 0;
	}
	return (int)wait;
}

void s3_step(struct tfs_store *ts, int timeout_ms)
{
	struct s3_store *s = s3_of(ts);
	int running, left;
	CURLMsg *m;
	bool ended = false;

	start_due(s);
	if (!s->running && !s->waiting)
		return;
	curl_multi_perform(s->multi, &running);
	for (int pass = 0; pass < 2 && !ended; pass++) {
		while ((m = curl_multi_info_read(s->multi, &left))) {
			struct s3_call *c;
			CURLcode code = m->data.result;

			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
			end_attempt(c, code);
			ended = true;
		}
		if (!pass && !ended) {
			curl_multi_poll(s->multi, NULL, 0, until_due(s, timeout_ms), NULL);
			start_due(s);
			curl_multi_perform(s->multi, &running);
		}
	}
	start_due(s);
}

int s3_call_wait(struct s3_call *c, void (*done)(struct s3_call *), void *arg)
{
	struct s3_store *s = c ? c->store : NULL;
	const bool *over = arg;
	int err = s3_call_start(c, done, arg);

	while (!err && !*over)
		tfs_store_step(&s->s, 1000);
	return err;
}

void s3_calls_close(struct s3_store *s)
{
	while (s->active) {
		struct s3_call *c = s->active;

		leave_active(c);
		call_free(c);
	}
	while (s->waiting) {
		struct s3_call *c = s->waiting;

		s->waiting = c->next;
		call_free(c);
	}
	s->waiting_end = &s->waiting;
	while (s->idle_count)
		curl_easy_cleanup(s->idle[--s->idle_count]);
}
