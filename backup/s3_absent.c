// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Put if absent.
 *
 * By the server: one PUT with If-None-Match: *. Whether it honours that is asked once per open, with an object of the
 * store's own: servers exist that answer 501 (Swift), and such that ignore the header and overwrite (Ceph until 16 for
 * uploads in parts, many until 2024). Never in parts: completing is conditional nowhere. A put whose answer was lost is
 * repeated and finds itself: 412, and the object bears this put's token.
 *
 * By claims, for servers without: put a claim (an object of its own, named after the object), list the claims; if there
 * is another one, take one's own back, wait a random time and begin again. Whoever is alone looks whether the object is
 * there, puts it, and takes the claim back. Of two writers at least one sees the other's claim, because a claim is put
 * before the listing and listings are consistent. What remains weaker than the server's own: a writer that is stopped
 * between listing and put for longer than CLAIM_LIVES may overwrite. So the put must end within half of that.
 */
#include "backup/s3.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLAIM_LIVES = 1200 }; /* seconds, by the store's clock, after which a claim's writer is taken for dead */

static const char probe_name[] = S3_OWN "probe";

struct absent {
	struct s3_page page;
	char claim[TFS_STORE_NAME_MAX + 64];
	bool claimed, probed;
	unsigned rounds;
	s64 first_ms, claimed_ms, wait_until_ms;
	int result; /* after the claim is taken back; -EAGAIN: begin again */
	char error[TFS_STORE_ERROR_MAX];
};

static void start_claim(struct s3_job *j);

static struct absent *absent_of(struct s3_job *j)
{
	return j->state;
}

static void start_or_fail(struct s3_job *j, struct s3_call *c, void (*done)(struct s3_call *))
{
	if (s3_call_start(c, done, j))
		s3_job_fail(j, -ENOMEM, "no memory");
}

/* ---- by the server ---- */

static void looked(struct s3_call *c)
{
	struct s3_job *j = c->arg;

	if (!c->result && !strcmp(c->reply.token, j->token))
		s3_job_end(j, 0, NULL);
	else if (!c->result)
		s3_job_fail(j, -EEXIST, "it is there already");
	else
		s3_job_end(j, c->result, c->error);
}

static void put_done(struct s3_call *c)
{
	struct s3_job *j = c->arg;

	if (c->result == -EEXIST) /* libcurl, too, repeats what it sent over a connection that was closed meanwhile */
		start_or_fail(j, s3_call_new(j->store, "HEAD", "put if absent", j->r->name), looked);
	else if (c->result == -EOPNOTSUPP && j->store->o.conditional == TFS_STORE_COND_SERVER)
		s3_job_fail(
		    j, -EOPNOTSUPP,
		    "the server has no conditional put (501): use -o conditional=claims, for all writers alike");
	else
		s3_job_end(j, c->result, c->error);
}

static void start_conditional(struct s3_job *j)
{
	struct s3_call *c = s3_put_call(j);

	if (c)
		c->what = "put if absent";
	s3_call_header(c, "if-none-match", "*");
	start_or_fail(j, c, put_done);
}

/* ---- which way? ---- */

static void start_probe(struct s3_job *j);

static void start_known(struct s3_job *j)
{
	if (j->store->conditional == TFS_STORE_COND_SERVER)
		start_conditional(j);
	else if (j->store->conditional == TFS_STORE_COND_CLAIMS)
		start_claim(j);
	else
		start_probe(j);
}

static void probed(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct s3_store *s = j->store;

	if (c->result == -EEXIST && s->conditional == TFS_STORE_COND_AUTO) {
		s->conditional = TFS_STORE_COND_SERVER;
	} else if (c->result == -EOPNOTSUPP || (!c->result && absent_of(j)->probed)) {
		if (s->conditional == TFS_STORE_COND_AUTO)
			tfs_store_note(&s->s, "%s: the server %s conditional puts: claims are used instead", s->s.url,
			               c->result ? "has no" : "ignores");
		s->conditional = TFS_STORE_COND_CLAIMS;
	} else if (c->result && c->result != -EEXIST) {
		s3_job_end(j, c->result, c->error);
		return;
	}
	absent_of(j)->probed = true;
	start_known(j);
}

/* Done twice when the first one is answered with success: now it must fail. A success that was repeated says nothing.
 */
static void start_probe(struct s3_job *j)
{
	struct s3_call *c = s3_call_new(j->store, "PUT", "asking for conditional puts", probe_name);

	if (c) {
		c->body = "tfs-backup asks with this object whether the server has conditional puts\n";
		c->body_length = strlen(c->body);
	}
	s3_call_header(c, "if-none-match", "*");
	start_or_fail(j, c, probed);
}

/* ---- by claims ---- */

static void unclaimed(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct absent *a = absent_of(j);
	u32 wait = 200 + s3_random(1000u << (a->rounds < 4 ? a->rounds : 4));

	if (a->result != -EAGAIN) {
		s3_job_end(j, a->result, a->error);
		return;
	}
	if (s3_now_ms() + wait > a->first_ms + (s64)j->store->o.patience * 1000) {
		s3_job_fail(
		    j, -ETIMEDOUT,
		    "other writers claim it all the time; of one that was killed the claim ends after 20 minutes: "
		    "run it again then");
		return;
	}
	a->rounds++;
	a->wait_until_ms = s3_now_ms() + wait;
	start_claim(j);
}

static void take_back(struct s3_job *j, int result, const char *error)
{
	struct absent *a = absent_of(j);
	struct s3_call *c = s3_call_new(j->store, "DELETE", "taking the claim back", a->claim);

	a->result = result;
	tfs_store_say(a->error, 0, "%s", error);
	start_or_fail(j, c, unclaimed);
}

static void claimed_put(struct s3_call *c)
{
	take_back(c->arg, c->result, c->error);
}

static void claimed_look(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct absent *a = absent_of(j);
	char error[TFS_STORE_ERROR_MAX];
	s64 until = a->claimed_ms + CLAIM_LIVES * 500;

	if (!c->result) {
		tfs_store_say(error, 0, "%s: %s: put if absent: it is there already", j->store->s.url, j->r->name);
		take_back(j, -EEXIST, error);
	} else if (c->result != -ENOENT || !strcmp(c->reply.code, "NoSuchBucket")) {
		take_back(j, c->result, c->error);
	} else if (s3_now_ms() > until) {
		take_back(j, -EAGAIN, "");
	} else {
		struct s3_call *put = s3_put_call(j);

		if (put)
			put->deadline_ms = until;
		start_or_fail(j, put, claimed_put);
	}
}

static void claims_listed(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct absent *a = absent_of(j);
	s64 now = c->reply.date ? c->reply.date : s3_wall(j->store);
	unsigned mine = 0, others = 0;

	if (!c->result)
		c->result = s3_page_parse(j->store, c, &a->page);
	for (size_t i = 0; i < a->page.count; i++) {
		if (!strcmp(a->page.entries[i].name, a->claim))
			mine++;
		else if (!a->page.entries[i].time || a->page.entries[i].time > now - CLAIM_LIVES)
			others++;
	}
	s3_page_free(&a->page);
	if (c->result)
		take_back(j, c->result, c->error);
	else if (mine != 1 || others)
		take_back(j, -EAGAIN, "");
	else
		start_or_fail(j, s3_call_new(j->store, "HEAD", "put if absent", j->r->name), claimed_look);
}

static void claimed(struct s3_call *c)
{
	struct s3_job *j = c->arg;
	struct absent *a = absent_of(j);
	char prefix[TFS_STORE_NAME_MAX + 32];

	if (c->result) {
		s3_job_end(j, c->result, c->error);
		return;
	}
	snprintf(prefix, sizeof(prefix), S3_CLAIMS "%s/.", j->r->name);
	a->claimed_ms = c->first_ms; /* before the server dated it */
	start_or_fail(j, s3_list_call(j->store, prefix, "", NULL), claims_listed);
}

static void start_claim(struct s3_job *j)
{
	struct absent *a = absent_of(j);
	struct s3_call *c;

	snprintf(a->claim, sizeof(a->claim), S3_CLAIMS "%s/.%s-%u", j->r->name, j->token, a->rounds);
	c = s3_call_new(j->store, "PUT", "claiming", a->claim);
	if (c)
		c->due_ms = a->wait_until_ms;
	start_or_fail(j, c, claimed);
}

void s3_absent_start(struct s3_job *j)
{
	struct absent *a = calloc(1, sizeof(*a));

	j->state = a;
	if (!a) {
		s3_job_fail(j, -ENOMEM, "no memory");
		return;
	}
	a->first_ms = s3_now_ms();
	if (j->r->length > S3_ONE_PUT)
		s3_job_fail(j, -EFBIG, "more than 5 GiB cannot be put if absent");
	else
		start_known(j);
}
