// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A ring of jobs between one producer, some workers and one taker. Always: taken <= begun <= pushed <= taken + slots;
 * the taker sees jobs in the order they were pushed, whoever worked on them. Each slot keeps its two buffers, so memory
 * is bounded by the number of slots whatever is read. Called by the producers and by fill.c.
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

struct mkfs_pool {
	pthread_mutex_t lock;
	pthread_cond_t room, work, done;
	struct mkfs_job *job;
	u64 slots, pushed, begun, taken; /* counters that only grow */
	u64 awaited;                     /* the job whose end wakes the taker */
	bool stop, ending, taker_waits;
	u32 idle; /* workers that wait */
	u8 codec, level;
	struct mkfs_file *kept;
	pthread_t thread[MKFS_JOBS_MAX];
	u32 threads;
};

static struct mkfs_job *at(struct mkfs_pool *p, u64 n)
{
	return &p->job[n % p->slots];
}

u32 mkfs_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);

	return n < 1 ? 1 : (u32)n > MKFS_JOBS_MAX ? MKFS_JOBS_MAX : (u32)n;
}

void mkfs_job_fail(struct mkfs_job *job, int code, const char *fmt, ...)
{
	va_list ap;

	job->code = code;
	va_start(ap, fmt);
	vsnprintf(job->what, sizeof(job->what), fmt, ap);
	va_end(ap);
}

/* ---- workers ---- */

static struct mkfs_job *work_get(struct mkfs_pool *p)
{
	struct mkfs_job *job = NULL;

	pthread_mutex_lock(&p->lock);
	while (!job && !p->stop) {
		if (p->begun < p->pushed) {
			job = at(p, p->begun++);
			if (job->ready) /* nothing to be done with it */
				job = NULL;
			continue;
		}
		p->idle++;
		pthread_cond_wait(&p->work, &p->lock);
		p->idle--;
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

static void work_done(struct mkfs_pool *p, struct mkfs_job *job)
{
	bool wake;

	pthread_mutex_lock(&p->lock);
	job->ready = true;
	wake = p->taker_waits && job == at(p, p->awaited);
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->done);
}

static void *worker(void *arg)
{
	struct mkfs_pool *p = arg;
	struct mkfs_encoder *encoder = mkfs_encoder_new(p->codec, p->level);
	struct mkfs_job *job;

	while ((job = work_get(p))) {
		if (!encoder)
			mkfs_job_fail(job, MKFS_DEVICE, "out of memory");
		else if (job->work)
			job->work(job);
		if (!job->code && job->bytes)
			mkfs_encode(encoder, job);
		work_done(p, job);
	}
	mkfs_encoder_free(encoder);
	return NULL;
}

/* ---- the ring ---- */

struct mkfs_pool *mkfs_pool_new(u32 workers, u8 codec, u8 level)
{
	struct mkfs_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->room, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	p->codec = codec;
	p->level = level;
	p->slots = 2 * workers + 124; /* 16 MiB or a little more */
	p->job = calloc(p->slots, sizeof(*p->job));
	while (p->job && p->threads < workers && !pthread_create(&p->thread[p->threads], NULL, worker, p))
		p->threads++;
	if (p->threads)
		return p;
	mkfs_pool_free(p);
	return NULL;
}

static void job_clear(struct mkfs_job *job)
{
	u8 *data = job->data, *scratch = job->scratch;

	free(job->text);
	free(job->xattrs);
	mkfs_line_free(job->line);
	memset(job, 0, sizeof(*job));
	job->data = data;
	job->scratch = scratch;
}

struct mkfs_job *mkfs_pool_slot(struct mkfs_pool *p)
{
	struct mkfs_job *job = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->stop && p->pushed - p->taken == p->slots)
		pthread_cond_wait(&p->room, &p->lock);
	if (!p->stop)
		job = at(p, p->pushed);
	pthread_mutex_unlock(&p->lock);
	if (!job)
		return NULL;
	job_clear(job);
	if (!job->data)
		job->data = malloc(2 * MKFS_WINDOW);
	if (!job->data)
		mkfs_job_fail(job, MKFS_DEVICE, "out of memory");
	else
		job->scratch = job->data + MKFS_WINDOW;
	return job;
}

void mkfs_pool_push(struct mkfs_pool *p, struct mkfs_job *job)
{
	bool idle;

	pthread_mutex_lock(&p->lock);
	job->ready = job->code || (!job->work && !job->bytes);
	p->pushed++;
	idle = p->idle && !job->ready;
	p->ending |= job->code || job->kind == JOB_LAST;
	if (p->taker_waits && ((job->ready && job == at(p, p->awaited)) || p->ending))
		pthread_cond_signal(&p->done);
	pthread_mutex_unlock(&p->lock);
	if (idle)
		pthread_cond_signal(&p->work);
}

/*
 * Who has to wait waits for a quarter of the ring, or it would be woken for every job. The producer never waits for
 * that: the ring would have to be full. It says when it ends; then, or when the others are done sooner, the next job it
 * is.
 */
static void taker_aims(struct mkfs_pool *p)
{
	p->awaited = p->taken + p->slots / 4;
	if (p->ending || (p->awaited < p->pushed && at(p, p->awaited)->ready))
		p->awaited = p->taken;
}

struct mkfs_job *mkfs_pool_take(struct mkfs_pool *p)
{
	struct mkfs_job *job;

	pthread_mutex_lock(&p->lock);
	job = at(p, p->taken);
	while (p->taken == p->pushed || !job->ready) {
		taker_aims(p);
		p->taker_waits = true;
		pthread_cond_wait(&p->done, &p->lock);
		p->taker_waits = false;
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

void mkfs_pool_release(struct mkfs_pool *p)
{
	bool wake;

	pthread_mutex_lock(&p->lock);
	if (p->begun == p->taken) /* no worker came by: it was ready when it was pushed */
		p->begun++;
	p->taken++;
	/* in batches: waking the producer for every slot costs more than the slots are worth */
	wake = p->pushed - p->taken == p->slots * 3 / 4;
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->room);
}

void mkfs_pool_stop(struct mkfs_pool *p)
{
	u32 i;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->room);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	p->threads = 0;
}

void mkfs_pool_keep(struct mkfs_pool *p, struct mkfs_file *file)
{
	p->kept = file;
}

static void file_drop(struct mkfs_file *file)
{
	close(file->fd);
	free(file);
}

/* What was pushed and never taken still owns things. */
static void job_drop(struct mkfs_job *job)
{
	if (job->kind == JOB_END && job->file)
		file_drop(job->file);
	if (job->kind == JOB_UP && job->dir)
		mkfs_dir_free(job->dir);
	job_clear(job);
	free(job->data);
}

void mkfs_pool_free(struct mkfs_pool *p)
{
	u64 i;

	if (p->kept)
		file_drop(p->kept);
	for (i = 0; p->job && i < p->slots; i++)
		job_drop(&p->job[i]);
	free(p->job);
	free(p);
}
