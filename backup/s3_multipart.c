// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A large object in parts, several at a time: create, parts, complete; abort when something fails. What a killed
 * process leaves is found and aborted by tfs_store_clean.
 *
 * Completing is not repeated blindly: when its answer was lost, a second one says NoSuchUpload whether the first was
 * done or not. Then the object's token tells whose it is. An upload of which the server has lost a part, or whose part
 * it calls another than it confirmed, is put anew, twice at most.
 */
#include "backup/s3.h"
#include "backup/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_PARTS = 10000 };

struct upload {
	char id[1024];
	u64 part_size;
	unsigned parts, next, running, done, rounds;
	int result; /* of the first part that failed */
	char error[TFS_STORE_ERROR_MAX];
	char etags[][96];
};

static void start_create(struct s3_job *j);
static void start_parts(struct s3_job *j);

static struct upload *upload_of(struct s3_job *j)
{
	return j->state;
}

/* The first failure is told. */
static void fail(struct s3_job *j, int result, const char *error)
{
	struct upload *u = upload_of(j);

	if (!u->result) {
		u->result = result;
		tfs_store_say(u->error, 0, "%s", error);
	}
}

static void fail_own(struct s3_job *j, int result, const char *reason)
{
	char error[TFS_STORE_ERROR_MAX];

	tfs_store_say(error, 0, "%s: %s: put: %s", j->store->s.url, j->r->name, reason);
	fail(j, result, error);
}

/* ---- abort ---- */

static void aborted(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct upload *u = upload_of(j);

	(void)c;
	if (u->result == -EAGAIN) { /* put anew */
		u->result = 0;
		u->next = u->done = 0;
		u->id[0] = 0;
		start_create(j);
		return;
	}
	s3_job_end(j, u->result, u->error);
}

static void start_abort(struct s3_job *j)
{
	struct s3_call *c = s3_call_new(j->store, "DELETE", "abort of the upload", j->r->name);

	s3_call_query(c, "uploadId", upload_of(j)->id);
	if (c)
		c->deadline_ms = s3_now_ms() + 30000;
	if (s3_call_start(c, aborted, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

/* ---- complete ---- */

static void looked(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct upload *u = upload_of(j);

	if (!c->result && !strcmp(c->reply.token, j->token) && c->reply.content_length == j->r->length) {
		s3_job_end(j, 0, NULL); /* the answer was lost, not the object */
	} else if (++u->rounds < 3) {
		u->result = -EAGAIN;
		start_abort(j);
	} else {
		if (c->result && c->result != -ENOENT)
			fail(j, -EIO, c->error);
		fail_own(j, -EIO, "the server lost the upload, three times; look at its log and lifecycle rules");
		start_abort(j);
	}
}

static void start_look(struct s3_job *j)
{
	if (s3_call_start(s3_call_new(j->store, "HEAD", "put", j->r->name), looked, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

static void completed(struct s3_call *c)
{
	struct s3_job *j = c->arg;

	if (!c->result) {
		s3_job_end(j, 0, NULL);
	} else if (!strcmp(c->reply.code, "NoSuchUpload") || !strncmp(c->reply.code, "InvalidPart", 11) ||
	           c->reply.status == 404) {
		start_look(j);
	} else {
		fail(j, c->result, c->error);
		start_abort(j);
	}
}

static void start_complete(struct s3_job *j)
{
	struct upload *u = upload_of(j);
	struct s3_call *c = s3_call_new(j->store, "POST", "completing the put", j->r->name);
	struct s3_text xml = {0};

	s3_text_add(&xml, "<CompleteMultipartUpload>");
	for (unsigned i = 0; i < u->parts; i++)
		s3_text_printf(&xml, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", i + 1, u->etags[i]);
	s3_text_add(&xml, "</CompleteMultipartUpload>");
	s3_call_query(c, "uploadId", u->id);
	if (c) {
		c->body = c->own_body = xml.s;
		c->body_length = xml.length;
		c->text.failed |= xml.failed;
		c->xml = true;
	} else {
		s3_text_free(&xml);
	}
	if (s3_call_start(c, completed, j)) {
		fail_own(j, -ENOMEM, "no memory");
		start_abort(j);
	}
}

/* ---- parts ---- */

/* An etag goes into XML: what could change its meaning there is no etag. */
static bool good_etag(const char *etag)
{
	return *etag && !strpbrk(etag, "<>&");
}

/* A part's number stands in its call's offset, which a put does not use. */
static void part_done(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct upload *u = upload_of(j);

	if (c->result && !strcmp(c->reply.code, "NoSuchUpload") && u->rounds < 2 && !u->result) {
		u->rounds++;
		u->result = -EAGAIN;
	} else if (c->result) {
		fail(j, c->result, c->error);
	} else if (!good_etag(c->reply.etag)) {
		fail_own(j, -EIO, "the server gave a part no ETag: is a proxy in between?");
	} else {
		memcpy(u->etags[c->offset], c->reply.etag, sizeof(u->etags[0]));
		u->done++;
	}
	u->running--;
	start_parts(j);
}

static int start_part(struct s3_job *j, unsigned i)
{
	struct upload *u = upload_of(j);
	struct s3_call *c = s3_call_new(j->store, "PUT", "put of a part", j->r->name);
	u64 at = i * u->part_size, left = j->r->length - at;
	char number[16];

	snprintf(number, sizeof(number), "%u", i + 1);
	s3_call_query(c, "partNumber", number);
	s3_call_query(c, "uploadId", u->id);
	if (c) {
		c->body = (const u8 *)j->r->data + at;
		c->body_length = left < u->part_size ? (size_t)left : (size_t)u->part_size;
		c->offset = i;
	}
	return s3_call_start(c, part_done, j);
}

/* Keeps as many running as transfers may; after a failure waits for those that run. */
static void start_parts(struct s3_job *j)
{
	struct upload *u = upload_of(j);

	while (!u->result && u->next < u->parts && u->running < j->store->s.parallel) {
		if (start_part(j, u->next)) {
			fail_own(j, -ENOMEM, "no memory");
			break;
		}
		u->next++;
		u->running++;
	}
	if (u->running)
		return;
	if (u->result)
		start_abort(j);
	else
		start_complete(j);
}

/* ---- create ---- */

static void take_id(void *arg, const char *path, const char *text)
{
	struct upload *u = arg;

	if (!strcmp(path, "InitiateMultipartUploadResult/UploadId") && strlen(text) < sizeof(u->id))
		strcpy(u->id, text);
}

static void created(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct upload *u = upload_of(j);

	if (c->result) {
		s3_job_end(j, c->result, c->error);
		return;
	}
	u->id[0] = 0;
	if (!c->text.length || s3_xml_parse(c->text.s, c->text.length, take_id, u) || !u->id[0])
		s3_job_fail(j, -EIO, "the server began an upload and gave it no id: is this an S3 server?");
	else
		start_parts(j);
}

static void start_create(struct s3_job *j)
{
	struct s3_call *c = s3_call_new(j->store, "POST", "beginning the put", j->r->name);

	s3_call_query(c, "uploads", "");
	if (c) {
		s3_object_headers(j, c);
		c->xml = true;
	}
	if (s3_call_start(c, created, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

void s3_multipart_start(struct s3_job *j)
{
	u64 part_size = j->store->o.part_size, length = j->r->length;
	struct upload *u;

	while ((length + part_size - 1) / part_size > MAX_PARTS)
		part_size *= 2;
	u = calloc(1, sizeof(*u) + (length + part_size - 1) / part_size * sizeof(u->etags[0]));
	j->state = u;
	if (!u) {
		s3_job_fail(j, -ENOMEM, "no memory");
		return;
	}
	u->part_size = part_size;
	u->parts = (unsigned)((length + part_size - 1) / part_size);
	start_create(j);
}
