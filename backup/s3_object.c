// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Requests of callers as calls: get, stat, delete and a put of one call here; puts in parts (s3_multipart.c) and puts
 * if absent (s3_absent.c) go further. Every put stamps its object with a random token (x-amz-meta-tfs), by which it is
 * known again when an answer was lost.
 */
#include "backup/s3.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void s3_job_end(struct s3_job *j, int result, const char *error)
{
	struct s3_store *s = j->store;
	struct tfs_store_request *r = j->r;
	struct s3_job **p = &s->jobs;

	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	if (result && error)
		tfs_store_say(r->error, 0, "%s", error);
	free(j->state);
	free(j);
	tfs_store_complete(&s->s, r, result);
}

void s3_job_fail(struct s3_job *j, int result, const char *reason)
{
	static const char *const ops[] = {"put", "get", "stat", "delete"};
	char error[TFS_STORE_ERROR_MAX];

	tfs_store_say(error, 0, "%s: %s: %s: %s", j->store->s.url, j->r->name, ops[j->r->op], reason);
	s3_job_end(j, result, error);
}

void s3_job_end_call(struct s3_job *j, const struct s3_call *c)
{
	s3_job_end(j, c->result, c->error);
}

static void end_simply(struct s3_call *c)
{
	s3_job_end_call(c->arg, c);
}

/* ---- get ---- */

static void get_sized(struct s3_call *c)
{
	struct s3_job *j = c->arg;

	j->r->size = c->reply.content_length;
	if (!c->result && j->r->length && j->r->offset < j->r->size)
		c->result = tfs_store_say(c->error, -EIO, "%s: %s: get: the server says that byte %llu of %llu is none",
		                          j->store->s.url, j->r->name, (unsigned long long)j->r->offset,
		                          (unsigned long long)j->r->size);
	s3_job_end_call(j, c);
}

/* Nothing to read, or a range past the end (416 says no size that all servers agree on): how large is it? */
static void start_size(struct s3_job *j)
{
	if (s3_call_start(s3_call_new(j->store, "HEAD", "get", j->r->name), get_sized, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

static void get_done(struct s3_call *c)
{
	struct s3_job *j = c->arg;

	if (c->result && c->reply.status == 416) {
		start_size(j);
		return;
	}
	j->r->got = c->result ? 0 : c->got;
	j->r->size = c->reply.status == 206 ? c->reply.range_total : c->reply.content_length;
	s3_job_end_call(j, c);
}

static void start_get(struct s3_job *j)
{
	struct s3_call *c;

	if (!j->r->length || j->r->offset > UINT64_MAX - j->r->length) {
		start_size(j);
		return;
	}
	c = s3_call_new(j->store, "GET", "get", j->r->name);
	if (c) {
		c->into = j->r->buffer;
		c->offset = j->r->offset;
		c->length = j->r->length;
		c->ranged = true;
	}
	if (s3_call_start(c, get_done, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

/* ---- stat and delete ---- */

static void stat_done(struct s3_call *c)
{
	struct s3_job *j = c->arg;

	j->r->size = c->reply.content_length;
	j->r->time = c->reply.modified;
	s3_job_end_call(j, c);
}

static void delete_done(struct s3_call *c)
{
	struct s3_job *j = c->arg;

	if (c->result == -ENOENT && strcmp(c->reply.code, "NoSuchBucket"))
		c->result = 0; /* some servers say so */
	s3_job_end_call(j, c);
}

static void start_delete(struct s3_job *j)
{
	if (s3_call_start(s3_call_new(j->store, "DELETE", "delete", j->r->name), delete_done, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

/* A bucket with Object Lock keeps versions, and a plain delete only hides the newest: that is no error there. So look
 * whether it is locked first. */
static void lock_known(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	s64 until = c->reply.locked_until;

	if (c->result == -ENOENT && strcmp(c->reply.code, "NoSuchBucket")) {
		s3_job_end(j, 0, NULL);
	} else if (c->result) {
		s3_job_end_call(j, c);
	} else if (until < 0 || until > (c->reply.date ? c->reply.date : s3_wall(j->store))) {
		tfs_store_say(c->error, 0, "%s: %s: delete: locked %s; it can be deleted after that", j->store->s.url,
		              j->r->name, until < 0 ? "by a legal hold" : "until its retention ends");
		s3_job_end(j, -EPERM, c->error);
	} else {
		start_delete(j);
	}
}

/* ---- put ---- */

void s3_object_headers(struct s3_job *j, struct s3_call *c)
{
	const struct tfs_store_options *o = &j->store->o;
	char until[40];
	time_t t;
	struct tm tm;

	s3_call_header(c, "x-amz-meta-tfs", j->token);
	if (o->storage_class)
		s3_call_header(c, "x-amz-storage-class", o->storage_class);
	if (o->lock == TFS_STORE_LOCK_NONE)
		return;
	t = (time_t)(s3_wall(j->store) + (s64)o->lock_seconds);
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	s3_call_header(c, "x-amz-object-lock-mode", o->lock == TFS_STORE_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE");
	s3_call_header(c, "x-amz-object-lock-retain-until-date", until);
}

/* Amazon wants a checksum of what is locked: the one that is there anyhow. */
static void add_checksum(struct s3_call *c)
{
	unsigned char digest[32];
	char base64[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];

	s3_sha256_hex(c->body, c->body_length, c->sha256);
	sodium_hex2bin(digest, sizeof(digest), c->sha256, 64, NULL, NULL, NULL);
	sodium_bin2base64(base64, sizeof(base64), digest, sizeof(digest), sodium_base64_VARIANT_ORIGINAL);
	s3_call_header(c, "x-amz-checksum-sha256", base64);
}

struct s3_call *s3_put_call(struct s3_job *j)
{
	struct s3_call *c = s3_call_new(j->store, "PUT", "put", j->r->name);

	if (!c)
		return NULL;
	c->body = j->r->data;
	c->body_length = j->r->length;
	s3_object_headers(j, c);
	if (j->store->o.lock != TFS_STORE_LOCK_NONE)
		add_checksum(c);
	return c;
}

static void start_put(struct s3_job *j)
{
	unsigned char random[16];

	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(j->token, sizeof(j->token), random, sizeof(random));
	if (j->r->flags & TFS_STORE_IF_ABSENT)
		s3_absent_start(j);
	else if (j->store->o.lock != TFS_STORE_LOCK_NONE && j->r->length > S3_ONE_PUT)
		s3_job_fail(j, -EFBIG, "more than 5 GiB cannot be put with a lock");
	else if (j->store->o.lock == TFS_STORE_LOCK_NONE && j->r->length > j->store->o.part_size)
		s3_multipart_start(j);
	else if (s3_call_start(s3_put_call(j), end_simply, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

void s3_start(struct tfs_store *ts, struct tfs_store_request *r)
{
	struct s3_store *s = s3_of(ts);
	struct s3_job *j = calloc(1, sizeof(*j));
	int err = 0;

	if (!j) {
		tfs_store_complete(ts, r, tfs_store_say(r->error, -ENOMEM, "%s: no memory", ts->url));
		return;
	}
	j->store = s;
	j->r = r;
	j->next = s->jobs;
	s->jobs = j;
	switch (r->op) {
	case TFS_STORE_PUT:
		start_put(j);
		return;
	case TFS_STORE_GET:
		start_get(j);
		return;
	case TFS_STORE_STAT:
		err = s3_call_start(s3_call_new(s, "HEAD", "stat", r->name), stat_done, j);
		break;
	case TFS_STORE_DELETE:
		if (s->o.lock == TFS_STORE_LOCK_NONE)
			start_delete(j);
		else
			err = s3_call_start(s3_call_new(s, "HEAD", "delete", r->name), lock_known, j);
		break;
	}
	if (err)
		s3_job_fail(j, err, "no memory");
}
