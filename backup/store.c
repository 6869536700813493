// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What all stores share: the URL, names, the queue that bounds how many requests are worked on at a time, the one wait
 * loop, and the blocking calls, which are this loop until one request has completed.
 */
#include "backup/store_impl.h"

#include <stdio.h>
#include <stdlib.h>

int tfs_store_say(char *buf, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, TFS_STORE_ERROR_MAX, fmt, ap);
	va_end(ap);
	return err;
}

void tfs_store_note(struct tfs_store *s, const char *fmt, ...)
{
	char line[TFS_STORE_ERROR_MAX];
	va_list ap;

	if (!s->note)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	s->note(s->note_arg, line);
}

bool tfs_store_name_ok(const char *name)
{
	size_t len = strnlen(name, TFS_STORE_NAME_MAX + 1), part = 0;
	int parts = 1;

	if (!len || len > TFS_STORE_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789/._-") != len)
		return false;
	for (const char *c = name; *c; c++) {
		if (*c == '/') {
			if (!part || ++parts > 16)
				return false;
			part = 0;
		} else if (++part > 200 || (part == 1 && *c == '.')) {
			return false;
		}
	}
	return part > 0;
}

int tfs_store_init(struct tfs_store *s, const struct tfs_store_ops *ops, const char *url, unsigned parallel)
{
	s->ops = ops;
	s->parallel = parallel;
	s->queue_end = &s->queue;
	s->url = strdup(url);
	return s->url ? 0 : -ENOMEM;
}

void tfs_store_fini(struct tfs_store *s)
{
	free(s->url);
}

int tfs_store_open(struct tfs_store **out, const char *url, const struct tfs_store_options *options, unsigned flags,
                   char error[TFS_STORE_ERROR_MAX])
{
	struct tfs_store_options defaults;

	*out = NULL;
	error[0] = 0;
	tfs_store_options_default(&defaults);
	if (!options)
		options = &defaults;
	if (url[0] && !strstr(url, "://"))
		return tfs_store_dir_open(out, url, options, flags, error);
	if (!strncmp(url, "file:///", 8))
		return tfs_store_dir_open(out, url + 7, options, flags, error);
	if (!strncmp(url, "s3://", 5))
		return tfs_store_s3_open(out, url, options, error);
	return tfs_store_say(error, -EINVAL, "%s: expected PATH, file:///PATH or s3://BUCKET/PREFIX", url);
}

void tfs_store_close(struct tfs_store *s)
{
	if (s)
		s->ops->close(s);
}

const char *tfs_store_url(const struct tfs_store *s)
{
	return s->url;
}

const char *tfs_store_error(const struct tfs_store *s)
{
	return s->error;
}

const struct tfs_store_stats *tfs_store_stats(const struct tfs_store *s)
{
	return &s->stats;
}

void tfs_store_notes(struct tfs_store *s, void (*note)(void *arg, const char *line), void *arg)
{
	s->note = note;
	s->note_arg = arg;
}

/* ---- requests ---- */

void tfs_store_complete(struct tfs_store *s, struct tfs_store_request *r, int result)
{
	r->result = result;
	r->completed = true;
	r->job = NULL;
	if (!result)
		r->error[0] = 0;
	s->outstanding--;
	s->active--;
	if (r->done)
		r->done(r);
}

static void count(struct tfs_store *s, const struct tfs_store_request *r)
{
	u64 *counters[] = {&s->stats.puts, &s->stats.gets, &s->stats.stats, &s->stats.deletes};

	++*counters[r->op];
}

void tfs_store_start(struct tfs_store *s, struct tfs_store_request *r)
{
	r->result = 0;
	r->got = 0;
	r->size = 0;
	r->time = 0;
	r->completed = false;
	r->error[0] = 0;
	r->next = NULL;
	r->job = NULL;
	count(s, r);
	s->outstanding++;
	*s->queue_end = r;
	s->queue_end = &r->next;
}

static void start_next(struct tfs_store *s)
{
	struct tfs_store_request *r = s->queue;

	s->queue = r->next;
	if (!s->queue)
		s->queue_end = &s->queue;
	r->next = NULL;
	s->active++;
	if (tfs_store_name_ok(r->name))
		s->ops->start(s, r);
	else
		tfs_store_complete(
		    s, r,
		    tfs_store_say(r->error, -EINVAL, "%s: '%.80s' is not the name of an object", s->url, r->name));
}

unsigned tfs_store_step(struct tfs_store *s, int timeout_ms)
{
	unsigned before = s->outstanding;

	while (s->queue && s->active < s->parallel)
		start_next(s);
	s->ops->step(s, s->outstanding < before ? 0 : timeout_ms);
	while (s->queue && s->active < s->parallel)
		start_next(s);
	return s->outstanding;
}

void tfs_store_wait(struct tfs_store *s, unsigned left)
{
	while (s->outstanding > left)
		tfs_store_step(s, 1000);
}

int tfs_store_run(struct tfs_store *s, struct tfs_store_request *r)
{
	tfs_store_start(s, r);
	while (!r->completed)
		tfs_store_step(s, 1000);
	return r->result;
}

/* ---- blocking calls ---- */

static int run(struct tfs_store *s, struct tfs_store_request *r)
{
	int err = tfs_store_run(s, r);

	memcpy(s->error, r->error, sizeof(s->error));
	return err;
}

int tfs_store_put(struct tfs_store *s, const char *name, const void *data, size_t length, unsigned flags)
{
	struct tfs_store_request r = {
	    .op = TFS_STORE_PUT, .flags = flags, .name = name, .data = data, .length = length};

	return run(s, &r);
}

int tfs_store_get(struct tfs_store *s, const char *name, u64 offset, void *buffer, size_t length, size_t *got)
{
	struct tfs_store_request r = {
	    .op = TFS_STORE_GET, .name = name, .buffer = buffer, .offset = offset, .length = length};
	int err = run(s, &r);

	*got = r.got;
	return err;
}

int tfs_store_stat(struct tfs_store *s, const char *name, u64 *size, s64 *time)
{
	struct tfs_store_request r = {.op = TFS_STORE_STAT, .name = name};
	int err = run(s, &r);

	if (size)
		*size = r.size;
	if (time)
		*time = r.time;
	return err;
}

int tfs_store_delete(struct tfs_store *s, const char *name)
{
	struct tfs_store_request r = {.op = TFS_STORE_DELETE, .name = name};

	return run(s, &r);
}

/* Most objects that are loaded whole are small: one request, which also tells the size of a larger one. */
int tfs_store_load(struct tfs_store *s, const char *name, size_t max, void **data, size_t *length)
{
	size_t room = max < (256u << 10) ? max : (256u << 10);
	u8 *buffer = malloc(room + 1), *larger;
	struct tfs_store_request r = {.op = TFS_STORE_GET, .name = name, .buffer = buffer, .length = room};
	int err = buffer ? run(s, &r) : tfs_store_fail(s, -ENOMEM, "%s: %s: no memory", s->url, name);
	size_t first = r.got;

	*data = NULL;
	*length = 0;
	if (!err && r.size > max)
		err = tfs_store_fail(s, -EFBIG, "%s: %s: has %llu bytes, expected at most %zu", s->url, name,
		                     (unsigned long long)r.size, max);
	if (!err && r.size > first) {
		size_t size = (size_t)r.size;

		larger = realloc(buffer, size + 1);
		if (!larger) {
			err = tfs_store_fail(s, -ENOMEM, "%s: %s: no memory for %zu bytes", s->url, name, size);
		} else {
			buffer = larger;
			r = (struct tfs_store_request){.op = TFS_STORE_GET,
			                               .name = name,
			                               .buffer = buffer + first,
			                               .offset = first,
			                               .length = size - first};
			err = run(s, &r);
			if (!err && (r.got != size - first || r.size != size))
				err = tfs_store_fail(s, -EIO, "%s: %s: changed while it was read; repeat it", s->url,
				                     name);
			first += r.got;
		}
	}
	if (err) {
		free(buffer);
		return err;
	}
	buffer[first] = 0;
	*data = buffer;
	*length = first;
	return 0;
}

int tfs_store_list(struct tfs_store *s, const char *prefix, const char *after,
                   int (*entry)(void *arg, const struct tfs_store_entry *e), void *arg)
{
	s->stats.lists++;
	s->error[0] = 0;
	if (strlen(prefix) > TFS_STORE_NAME_MAX)
		return tfs_store_fail(s, -EINVAL, "%s: a prefix longer than a name", s->url);
	return s->ops->list(s, prefix, after ? after : "", entry, arg);
}

int tfs_store_now(struct tfs_store *s, s64 *seconds)
{
	s->error[0] = 0;
	return s->ops->now(s, seconds);
}

int tfs_store_clean(struct tfs_store *s, s64 seconds, u64 *removed)
{
	u64 n = 0;

	s->error[0] = 0;
	return s->ops->clean(s, seconds, removed ? removed : &n);
}
