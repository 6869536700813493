// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Listings, page by page: keys come URL-encoded (they may hold bytes that XML cannot), must be in order, and go to the
 * caller when a page is whole. Then the server's clock, and what interrupted puts left.
 */
#include "backup/s3.h"
#include "backup/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>

/* A blocking call's answer; over first, for s3_call_wait. */
struct answer {
	bool over;
	int result;
	int (*take)(struct answer *a, struct s3_call *c); /* of a success; NULL: nothing */
	struct s3_page page;
	void *more;
	char *error;
};

static void answered(struct s3_call *c)
{
	struct answer *a = c->arg;

	a->result = c->result;
	if (!a->result && a->take)
		a->result = a->take(a, c);
	if (a->result)
		tfs_store_say(a->error, 0, "%s", c->error);
	a->over = true;
}

static int ask(struct s3_store *s, struct s3_call *c, struct answer *a)
{
	int err;

	a->over = false;
	a->error = s->s.error;
	err = s3_call_wait(c, answered, a);
	return err ? tfs_store_fail(&s->s, err, "%s: no memory", s->s.url) : a->result;
}

/* ---- one page ---- */

/* %41 -> A, + -> blank, in place. */
static void url_decode(char *s)
{
	char *out = s;
	unsigned byte;

	for (; *s; s++) {
		if (*s == '+')
			*out++ = ' ';
		else if (*s == '%' && sscanf(s + 1, "%2x", &byte) == 1 && s[1] && s[2])
			*out++ = (char)byte, s += 2;
		else
			*out++ = *s;
	}
	*out = 0;
}

struct page_parsing {
	struct s3_page *page;
	bool encoded, truncated, root;
	char *key, *token;
	u64 size;
	s64 time;
};

static void set_text(struct page_parsing *p, char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	p->page->bad |= !*to;
}

static void add_entry(struct page_parsing *p)
{
	struct s3_page *page = p->page;
	struct s3_listed *larger;

	if (!p->key)
		return;
	if (page->count == page->room) {
		size_t room = page->room ? 2 * page->room : 256;

		larger = realloc(page->entries, room * sizeof(*larger));
		if (!larger) {
			page->bad = true;
			return;
		}
		page->entries = larger;
		page->room = room;
	}
	page->entries[page->count++] = (struct s3_listed){.name = p->key, .size = p->size, .time = p->time};
	p->key = NULL;
}

static void take_element(void *arg, const char *path, const char *text)
{
	struct page_parsing *p = arg;
	static const char contents[] = "ListBucketResult/Contents";

	if (!strncmp(path, contents, sizeof(contents) - 1)) {
		path += sizeof(contents) - 1;
		if (!*path)
			add_entry(p);
		else if (!strcmp(path, "/Key"))
			set_text(p, &p->key, text);
		else if (!strcmp(path, "/Size"))
			p->size = strtoull(text, NULL, 10);
		else if (!strcmp(path, "/LastModified"))
			p->time = s3_time_of(text);
	} else if (!strcmp(path, "ListBucketResult/IsTruncated")) {
		p->truncated = !strcmp(text, "true");
	} else if (!strcmp(path, "ListBucketResult/NextContinuationToken")) {
		set_text(p, &p->token, text);
	} else if (!strcmp(path, "ListBucketResult/EncodingType")) {
		p->encoded = !strcmp(text, "url");
	} else if (!strcmp(path, "ListBucketResult")) {
		p->root = true;
	}
}

static int by_server(const char *what, struct s3_store *s, struct s3_call *c)
{
	return tfs_store_say(c->error, -EIO, "%s: list: %s: is this an S3 server, without a cache in between?",
	                     s->s.url, what);
}

/* Whether keys are encoded may be said after them, so they are decoded when all are there; then the store's prefix is
 * taken off. */
static int finish_page(struct s3_store *s, struct s3_call *c, struct page_parsing *p)
{
	struct s3_page *page = p->page;
	size_t prefix = strlen(s->prefix);

	for (size_t i = 0; i < page->count; i++) {
		char *name = page->entries[i].name;

		if (p->encoded)
			url_decode(name);
		if (strncmp(name, s->prefix, prefix))
			return by_server("a name outside of what was asked for", s, c);
		memmove(name, name + prefix, strlen(name + prefix) + 1);
		if (i && strcmp(page->entries[i - 1].name, name) >= 0)
			return by_server("names out of order", s, c);
	}
	if (!p->truncated)
		return 0;
	if (!page->count || !p->token)
		return by_server(page->count ? "more pages, and no token for the next"
		                             : "a page that is empty and not the last",
		                 s, c);
	page->next = p->token;
	p->token = NULL;
	return 0;
}

int s3_page_parse(struct s3_store *s, struct s3_call *c, struct s3_page *page)
{
	struct page_parsing p = {.page = page};
	int err;

	memset(page, 0, sizeof(*page));
	err = s3_xml_parse(c->text.s ? c->text.s : "", c->text.length, take_element, &p);
	if (err || !p.root)
		err = by_server("not a listing", s, c);
	else if (page->bad)
		err = tfs_store_say(c->error, -ENOMEM, "%s: list: no memory", s->s.url);
	else
		err = finish_page(s, c, &p);
	free(p.key);
	free(p.token);
	return err;
}

void s3_page_free(struct s3_page *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->entries[i].name);
	free(p->entries);
	free(p->next);
	memset(p, 0, sizeof(*p));
}

struct s3_call *s3_list_call(struct s3_store *s, const char *prefix, const char *after, const char *token)
{
	struct s3_call *c = s3_call_new(s, "GET", "list", NULL);
	struct s3_text whole = {0};

	s3_call_query(c, "list-type", "2");
	s3_call_query(c, "encoding-type", "url");
	s3_text_printf(&whole, "%s%s", s->prefix, prefix);
	s3_call_query(c, "prefix", whole.s ? whole.s : "");
	if (token)
		s3_call_query(c, "continuation-token", token);
	if (*after && !token) {
		whole.length = 0;
		s3_text_printf(&whole, "%s%s", s->prefix, after);
		s3_call_query(c, "start-after", whole.s ? whole.s : "");
	}
	if (c) {
		c->text.failed |= whole.failed;
		c->xml = true;
	}
	s3_text_free(&whole);
	return c;
}

/* ---- all pages ---- */

static int take_page(struct answer *a, struct s3_call *c)
{
	return s3_page_parse(c->store, c, &a->page);
}

static int hand_over(struct s3_store *s, const struct s3_page *page,
                     int (*entry)(void *arg, const struct tfs_store_entry *e), void *arg)
{
	int err = 0;

	for (size_t i = 0; !err && i < page->count; i++) {
		const struct s3_listed *l = &page->entries[i];
		struct tfs_store_entry e = {.name = l->name, .size = l->size, .time = l->time};

		if (tfs_store_name_ok(l->name))
			err = entry(arg, &e);
		else if (l->name[0] != '.' && !s->told_foreign) {
			s->told_foreign = true;
			tfs_store_note(&s->s, "%s: objects that are not ours are left alone, such as '%.80s'", s->s.url,
			               l->name);
		}
	}
	return err;
}

int s3_list(struct tfs_store *ts, const char *prefix, const char *after,
            int (*entry)(void *arg, const struct tfs_store_entry *e), void *arg)
{
	struct s3_store *s = s3_of(ts);
	char *token = NULL, *last = NULL;
	int err;

	for (;;) {
		struct answer a = {.take = take_page};
		struct s3_call *c = s3_list_call(s, prefix, after, token);

		err = ask(s, c, &a);
		if (!err && last && a.page.count && strcmp(a.page.entries[0].name, last) <= 0)
			err = tfs_store_fail(ts, -EIO, "%s: list: the server's pages go back", ts->url);
		free(last);
		last = !err && a.page.count ? strdup(a.page.entries[a.page.count - 1].name) : NULL;
		if (!err)
			err = hand_over(s, &a.page, entry, arg);
		free(token);
		token = a.page.next;
		a.page.next = NULL;
		s3_page_free(&a.page);
		if (err || !token)
			break;
	}
	free(token);
	free(last);
	return err;
}

/* ---- the clock ---- */

int s3_server_now(struct tfs_store *ts, s64 *seconds)
{
	struct s3_store *s = s3_of(ts);
	struct answer a = {0};
	int err = 0;

	if (!s->server_date || s3_boot_ms() - s->server_date_ms > 3600000) {
		struct s3_call *c = s3_list_call(s, "", "", NULL);

		s3_call_query(c, "max-keys", "1");
		s->server_date = 0;
		err = ask(s, c, &a);
	}
	if (!err && !s->server_date)
		err =
		    tfs_store_fail(ts, -EIO, "%s: the server's answers have no date: is a proxy in between?", ts->url);
	if (!err)
		*seconds = s->server_date + (s3_boot_ms() - s->server_date_ms) / 1000;
	return err;
}

/* ---- leftovers ---- */

struct uploads {
	struct answer a; /* first */
	struct one_upload {
		char *key, *id;
		s64 time;
	} * list;
	size_t count;
	char *next_key, *next_id;
	struct one_upload now;
	bool truncated, encoded, failed;
};

static void keep(struct uploads *u, char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	u->failed |= !*to;
}

static void end_upload(struct uploads *u)
{
	struct one_upload *larger = realloc(u->list, (u->count + 1) * sizeof(*larger));

	u->failed |= !larger;
	if (!larger)
		return;
	u->list = larger;
	u->list[u->count++] = u->now;
	memset(&u->now, 0, sizeof(u->now));
}

static void take_upload(void *arg, const char *path, const char *text)
{
	struct uploads *u = arg;
	static const char root[] = "ListMultipartUploadsResult/";

	if (strncmp(path, root, sizeof(root) - 1))
		return;
	path += sizeof(root) - 1;
	if (!strcmp(path, "Upload/Key"))
		keep(u, &u->now.key, text);
	else if (!strcmp(path, "Upload/UploadId"))
		keep(u, &u->now.id, text);
	else if (!strcmp(path, "Upload/Initiated"))
		u->now.time = s3_time_of(text);
	else if (!strcmp(path, "Upload"))
		end_upload(u);
	else if (!strcmp(path, "NextKeyMarker"))
		keep(u, &u->next_key, text);
	else if (!strcmp(path, "NextUploadIdMarker"))
		keep(u, &u->next_id, text);
	else if (!strcmp(path, "IsTruncated"))
		u->truncated = !strcmp(text, "true");
	else if (!strcmp(path, "EncodingType"))
		u->encoded = !strcmp(text, "url");
}

static int take_uploads(struct answer *a, struct s3_call *c)
{
	struct uploads *u = (struct uploads *)a;

	if (s3_xml_parse(c->text.s ? c->text.s : "", c->text.length, take_upload, u) || u->failed)
		return by_server("not a listing of uploads", c->store, c);
	for (size_t i = 0; u->encoded && i < u->count; i++)
		if (u->list[i].key)
			url_decode(u->list[i].key);
	if (u->encoded && u->next_key)
		url_decode(u->next_key);
	return 0;
}

static void uploads_free(struct uploads *u, bool markers)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->list[i].key);
		free(u->list[i].id);
	}
	free(u->list);
	free(u->now.key);
	free(u->now.id);
	if (markers) {
		free(u->next_key);
		free(u->next_id);
	}
}

static int abort_upload(struct s3_store *s, const struct one_upload *u)
{
	const char *name = u->key + strlen(s->prefix);
	struct s3_call *c = s3_call_new(s, "DELETE", "abort of an old upload", name);
	struct answer a = {0};
	int err;

	s3_call_query(c, "uploadId", u->id);
	err = ask(s, c, &a);
	return err == -ENOENT ? 0 : err;
}

static int clean_uploads(struct s3_store *s, s64 before, u64 *removed)
{
	char *key = NULL, *id = NULL;
	bool more = true;
	int err = 0;

	while (!err && more) {
		struct uploads u = {.a = {.take = take_uploads}};
		struct s3_call *c = s3_call_new(s, "GET", "list of uploads", NULL);

		if (c)
			c->xml = true;
		s3_call_query(c, "uploads", "");
		s3_call_query(c, "encoding-type", "url");
		s3_call_query(c, "prefix", s->prefix);
		if (key)
			s3_call_query(c, "key-marker", key);
		if (key && id)
			s3_call_query(c, "upload-id-marker", id);
		err = ask(s, c, &u.a);
		for (size_t i = 0; !err && i < u.count; i++) {
			struct one_upload *one = &u.list[i];

			if (!one->key || !one->id || strncmp(one->key, s->prefix, strlen(s->prefix)) || !one->time ||
			    one->time > before)
				continue;
			err = abort_upload(s, one);
			*removed += !err;
		}
		more = u.truncated && u.next_key &&
		       (!key || strcmp(key, u.next_key) || (id && u.next_id && strcmp(id, u.next_id)));
		free(key);
		free(id);
		key = u.next_key;
		id = u.next_id;
		uploads_free(&u, false);
	}
	free(key);
	free(id);
	return err;
}

static int clean_claims(struct s3_store *s, s64 before, u64 *removed)
{
	struct answer a = {.take = take_page};
	int err = ask(s, s3_list_call(s, S3_CLAIMS, "", NULL), &a);

	for (size_t i = 0; !err && i < a.page.count; i++) {
		struct answer gone = {0};

		if (a.page.entries[i].time > before)
			continue;
		err = ask(s, s3_call_new(s, "DELETE", "taking an old claim back", a.page.entries[i].name), &gone);
		*removed += !err;
	}
	s3_page_free(&a.page);
	return err;
}

int s3_clean(struct tfs_store *ts, s64 seconds, u64 *removed)
{
	s64 now;
	int err = s3_server_now(ts, &now);

	*removed = 0;
	if (!err)
		err = clean_uploads(s3_of(ts), now - seconds, removed);
	if (!err)
		err = clean_claims(s3_of(ts), now - (seconds < 86400 ? 86400 : seconds), removed);
	return err;
}
