// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * mkfs.tfs: the order of things. What is there is looked at, the sources are counted, old signatures cleared; content
 * goes in by the three kinds of thread of mkfs.h; then checkpoint, anchors, and the superblocks last, so that an
 * interrupted run leaves nothing mountable. Exit codes are enum mkfs_exit.
 */
#include "mkfs/nanos.h"

#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * Sizes for `auto`. Content that is small takes small segments; for more than SMALL, and for an archive, whose size is
 * not known and is the same through a pipe, segments are 1 MiB. The volume begins with GROW_SEGMENTS, gets more when
 * they are nearly full, and is cut at the end.
 */
#define SMALL (64ull << 20) /* from here on 1 MiB makes more than 64 segments */
#define STREAM_BITS 20
#define GROW_SEGMENTS 3072ull /* less than the 4 GiB that FAT lets a file have */

/* The time of creation and the uuid: from SOURCE_DATE_EPOCH, or now and random. */
static int identity(struct mkfs_options *o)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct tfs_env env = tfs_user_env();
	u32 i, crc = 0;
	char *end;

	if (epoch && *epoch) {
		errno = 0;
		o->format.created = (struct tfs_time){tfs_cpu64(strtoull(epoch, &end, 10)), 0, 0};
		if (*epoch < '0' || *epoch > '9' || *end || errno || tfs_le64(o->format.created.sec) >> 63)
			return tfs_cli_fail(MKFS_USAGE, "SOURCE_DATE_EPOCH", "expected seconds since 1970");
	} else {
		epoch = NULL;
		o->format.created = env.now(NULL);
	}
	if (o->uuid_given || (!epoch && getrandom(o->format.uuid, 16, 0) == 16))
		return 0;
	for (i = 0; i < 4; i++) {
		crc = tfs_port_crc32c(crc + i, &o->format.created, sizeof(o->format.created));
		crc = tfs_port_crc32c(crc, o->format.label, sizeof(o->format.label));
		memcpy(o->format.uuid + 4 * i, &crc, 4);
	}
	return 0;
}

/* ---- sizes ---- */

struct plan {
	struct mkfs_found found;
	struct mkfs_count count;
	u64 size; /* of the volume to be; 0: of what is there */
	bool automatic;
};

static u64 need(const struct mkfs_count *c)
{
	return c->bytes + c->files * 2048;
}

/* Counting is for the choice of segments, and to the end only for the progress line. */
static int sources_count(const struct mkfs_options *o, struct plan *p, bool progress)
{
	bool choose = p->automatic && !o->format.segment_bits;
	int err = 0;

	p->count.known = !o->tar;
	if (o->manifest)
		err = mkfs_manifest_check(o->manifest, &p->count);
	if (!err && o->from && (choose || progress))
		err = mkfs_walk_count(o->from, &p->count, progress ? ~0ull : SMALL);
	return err;
}

static void auto_size(struct mkfs_options *o, struct plan *p)
{
	u32 *bits = &o->format.segment_bits;

	if (!*bits)
		*bits = p->count.known && need(&p->count) < SMALL ? TFS_SEGMENT_BITS_MIN : STREAM_BITS;
	p->size = GROW_SEGMENTS << *bits;
}

u64 mkfs_size_min(const struct mkfs_options *o)
{
	return o->nanos ? MKFS_NANOS_MIN : TFS_MIN_VOLUME;
}

static int plan_make(struct mkfs_options *o, struct plan *p, bool progress)
{
	bool filled = o->from || o->tar || o->manifest;
	int err = mkfs_target_look(o, &p->found);

	if (err)
		return err;
	p->automatic = o->size ? !strcmp(o->size, "auto") : filled && !p->found.exists;
	if (!o->size && o->dry_run && !p->found.exists)
		p->automatic = true;
	if (p->automatic && p->found.block)
		return tfs_cli_fail(MKFS_USAGE, o->image,
		                    "'auto' is for image files; a device is used whole, or as far as SIZE");
	if (o->size && !p->automatic && tfs_cli_size(o->size, &p->size))
		return tfs_cli_fail(MKFS_USAGE, o->size, "expected a size such as 512M, or auto");
	if (o->size && !p->automatic && p->size < mkfs_size_min(o))
		return tfs_cli_fail(MKFS_USAGE, o->size, "expected at least %llu bytes",
		                    (unsigned long long)mkfs_size_min(o));
	err = sources_count(o, p, progress);
	if (!err && p->automatic)
		auto_size(o, p);
	return err;
}

/* ---- making it ---- */

static void *produce(void *arg)
{
	struct mkfs_source *s = arg;
	struct mkfs_job *job;
	bool ok = true;

	if (s->opt->from)
		ok = mkfs_walk(s);
	if (ok && s->opt->tar)
		ok = mkfs_tar(s);
	if (ok && s->opt->manifest)
		ok = mkfs_manifest(s);
	job = ok ? mkfs_pool_slot(s->pool) : NULL;
	if (job) {
		job->kind = JOB_LAST;
		mkfs_pool_push(s->pool, job);
	}
	return NULL;
}

static int fill(struct mkfs_fill *f, const struct mkfs_options *o)
{
	struct mkfs_source s = {.opt = o};
	pthread_t producer;
	int err;

	if (!o->from && !o->tar && !o->manifest)
		return 0;
	s.image_known =
	    !o->dry_run && !fstat(f->target->is_new ? f->target->newfile.dir : f->target->file.fd, &s.image);
	s.pool = mkfs_pool_new(o->jobs, o->format.codec, o->level);
	if (!s.pool || pthread_create(&producer, NULL, produce, &s))
		return tfs_cli_fail(MKFS_DEVICE, NULL, "threads cannot be started: %s", strerror(errno));
	err = mkfs_fill(f, s.pool);
	mkfs_pool_stop(s.pool);
	pthread_join(producer, NULL);
	mkfs_pool_free(s.pool);
	return err;
}

static u64 final_size(struct mkfs_fill *f, const struct plan *p)
{
	u64 size = tfs_format_min_size(f->vol);

	if (!p->automatic)
		return 0;
	size = (size + size / 16 + TFS_BLOCK - 1) & ~(u64)(TFS_BLOCK - 1);
	return size < f->target->dev.size ? size : f->target->dev.size;
}

/* An eighth stays free: more than the reserve, the slack and what is not on the disk yet. */
int mkfs_grow(struct mkfs_fill *f)
{
	u64 size = f->target->dev.size, more = GROW_SEGMENTS;
	struct tfs_stat st;
	int err;

	tfs_statfs(f->vol, &st);
	if (st.free > st.blocks / 8 || st.segments == TFS_SEGMENTS_MAX)
		return 0;
	if (more < st.segments / 4)
		more = st.segments / 4;
	if (more > TFS_SEGMENTS_MAX - st.segments)
		more = TFS_SEGMENTS_MAX - st.segments;
	size += more << st.segment_bits;
	if (size > TFS_MAX_VOLUME)
		return 0;
	err = mkfs_target_grow(f->target, size);
	if (!err)
		err = tfs_format_grow(f->vol, size);
	if (!err)
		return 0;
	tfs_progress_end(&f->progress);
	return mkfs_target_failed(f->target, err);
}

static void report_json(const struct mkfs_options *o, const struct mkfs_fill *f, const struct tfs_stat *st, u64 needed)
{
	struct json_object *j = json_object_new_object();
	char uuid[37];

	tfs_cli_uuid_text(o->format.uuid, uuid);
	tfs_json_text(j, "image", o->image);
	tfs_json_text(j, "uuid", uuid);
	tfs_json_text(j, "label", o->format.label);
	tfs_json_u64(j, "files", f->files);
	tfs_json_u64(j, "bytes_used", st->live_units * TFS_UNIT);
	tfs_json_u64(j, "bytes_shared", f->shared);
	tfs_json_u64(j, "size", st->size);
	tfs_json_u64(j, "segment_size", 1ull << st->segment_bits);
	if (o->dry_run) {
		tfs_json_bool(j, "dry_run", true);
		tfs_json_u64(j, "size_needed", needed);
	}
	tfs_json_line(stdout, j);
}

static void report(const struct mkfs_options *o, const struct mkfs_fill *f, u64 needed)
{
	char used[16], size[16], segment[16], need[16], name[1024];
	struct tfs_stat st;

	tfs_statfs(f->vol, &st);
	if (o->json) {
		report_json(o, f, &st, needed);
		return;
	}
	if (o->quiet)
		return;
	tfs_cli_escape(name, sizeof(name), o->image, strlen(o->image));
	printf("%s: %llu files, %s of %s used, segments of %s\n", name, (unsigned long long)f->files,
	       tfs_cli_human(st.live_units * TFS_UNIT, used), tfs_cli_human(st.size, size),
	       tfs_cli_human(1ull << st.segment_bits, segment));
	if (o->dry_run)
		printf("%s: needs at least %llu bytes (%s); nothing was written\n", name, (unsigned long long)needed,
		       tfs_cli_human(needed, need));
}

/* The volume is in memory and partly on the device: fill it, finish it. */
static int build(struct mkfs_fill *f, struct mkfs_options *o, const struct plan *p)
{
	u64 size, needed;
	int err = fill(f, o);

	if (err)
		return err;
	tfs_progress_pass(&f->progress, "finishing", 0);
	err = tfs_checkpoint(f->vol); /* nodes in memory are counted as if none compressed: write them first */
	size = final_size(f, p);
	needed = tfs_format_min_size(f->vol);
	if (!err && size && size < needed)
		err = -ENOSPC;
	if (!err)
		err = tfs_format_finish(f->vol, size);
	if (!err && size)
		err = mkfs_target_cut(f->target, size);
	if (!err)
		err = mkfs_target_done(f->target);
	tfs_progress_end(&f->progress);
	if (err == -ENOSPC && !f->target->error)
		return tfs_cli_fail(MKFS_FULL, o->image,
		                    "the last nodes do not fit; give a larger size or --size auto");
	if (err)
		return mkfs_target_failed(f->target, err);
	report(o, f, needed);
	return 0;
}

static int make(struct mkfs_options *o, struct plan *p, bool progress)
{
	static struct mkfs_fill f;
	struct mkfs_target t;
	int err;

	/* before anything is lost; a file or device that is too small gets its own message */
	o->format.size = p->size ? p->size : p->found.size;
	if (o->format.size >= TFS_MIN_VOLUME && tfs_format_check(&o->format))
		return tfs_cli_fail(MKFS_USAGE, o->image, "size and segment size do not go together");
	err = mkfs_target_open(&t, o, &p->found, p->size);
	if (err)
		return err;
	f.target = &t;
	f.sink = &mkfs_sink_ours;
	f.grows = p->automatic;
	mkfs_fill_env(&f, &o->format.created);
	tfs_progress_start(&f.progress, !progress, -1, 2);
	tfs_progress_pass(&f.progress, "files", p->count.known ? p->count.files : 0);
	o->format.size = p->size ? p->size : t.dev.size;
	err = tfs_format(&t.dev, &f.env, &o->format, &f.vol);
	if (err)
		err = mkfs_target_failed(&t, err);
	else {
		err = build(&f, o, p);
		tfs_abandon(f.vol);
	}
	free(f.late);
	mkfs_twins_free(&f);
	if (mkfs_target_close(&t) && !err)
		err = tfs_cli_fail(MKFS_DEVICE, o->image, "cannot be written to its end: %s", strerror(errno));
	return err;
}

static int make_nanos(struct mkfs_options *o, struct plan *p, bool progress)
{
	const struct mkfs_plan_nanos plan = {.found = &p->found,
	                                     .size = p->size,
	                                     .automatic = p->automatic,
	                                     .progress = progress,
	                                     .files = p->count.known ? p->count.files : 0};

	return mkfs_nanos_make(o, &plan, fill);
}

int main(int argc, char **argv)
{
	static struct mkfs_options o;
	struct plan plan = {0};
	struct rlimit files;
	bool done = false, progress;
	int err;

	tfs_cli_start("mkfs.tfs");
	err = mkfs_options_parse(&o, argc, argv, &done);
	if (err || done)
		return err;
	signal(SIGXFSZ, SIG_IGN); /* an error to report like others */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max; /* a directory is open for each level, and some files */
		setrlimit(RLIMIT_NOFILE, &files);
	}
	progress = !o.quiet && isatty(STDERR_FILENO);
	err = identity(&o);
	if (!err)
		err = plan_make(&o, &plan, progress);
	if (!err && o.nanos)
		err = make_nanos(&o, &plan, progress);
	else if (!err)
		err = make(&o, &plan, progress);
	return tfs_cli_end(err, MKFS_DEVICE);
}
