// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Content of files on the host: read once, forward, window by window, holes passed over. A file that shrinks, grows or
 * is touched between its first look and its last is an error that names it: an image of half an update is worse than
 * none. Called by walk.c and manifest.c (producer) and, for the reading itself, by workers.
 */
#define _GNU_SOURCE
#include "mkfs/mkfs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool mkfs_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static void changed(struct mkfs_job *job, const char *how)
{
	mkfs_job_fail(job, MKFS_SOURCE, "%s while it was read; stop what writes to it, or take a snapshot", how);
}

/* job->bytes from job->off on */
static void window_read(struct mkfs_job *job, int fd)
{
	u32 got = 0;

	while (got < job->bytes) {
		ssize_t n = pread(fd, job->data + got, job->bytes - got, (off_t)(job->off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			mkfs_job_fail(job, MKFS_SOURCE, "cannot be read: %s", strerror(errno));
		else if (!n)
			changed(job, "became shorter");
		if (n <= 0)
			return;
		got += (u32)n;
	}
}

static void window_work(struct mkfs_job *job)
{
	window_read(job, job->file->fd);
}

void mkfs_file_small(struct mkfs_job *job)
{
	struct stat st, after;
	int fd = openat(job->dir->fd, job->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		mkfs_job_fail(job, MKFS_SOURCE, "cannot be opened: %s", strerror(errno));
		return;
	}
	/* the first look was the producer's: node carries what it saw */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (u64)st.st_size != job->node.size ||
	    (u64)st.st_mtim.tv_sec != tfs_le64(job->node.mtime.sec) ||
	    (u32)st.st_mtim.tv_nsec != tfs_le32(job->node.mtime.nsec))
		changed(job, "changed");
	else
		window_read(job, fd);
	if (!job->code)
		mkfs_xattr_read(job, fd, NULL);
	if (!job->code && (fstat(fd, &after) || !mkfs_same_file(&st, &after)))
		changed(job, "changed");
	close(fd);
}

static int window_send(struct mkfs_pool *p, struct mkfs_file *file, u64 off)
{
	struct mkfs_job *job = mkfs_pool_slot(p);
	u64 size = (u64)file->st.st_size;

	if (!job)
		return -1;
	job->kind = JOB_DATA;
	job->file = file;
	job->off = off;
	job->total = size;
	job->bytes = size - off < MKFS_WINDOW ? (u32)(size - off) : MKFS_WINDOW;
	job->work = window_work;
	mkfs_pool_push(p, job);
	return 0;
}

/* Start of the first window at or after `off` with data in it; size: none. */
static u64 window_next(const struct mkfs_file *file, u64 off, u64 *data_end)
{
	u64 size = (u64)file->st.st_size;
	off_t data, hole;

	if (off < *data_end)
		return off;
	data = lseek(file->fd, (off_t)off, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return size;
	hole = data < 0 ? -1 : lseek(file->fd, data, SEEK_HOLE);
	*data_end = hole < 0 ? size : (u64)hole; /* no such thing here: all is data */
	return data < 0 ? off : (u64)data & ~(u64)(MKFS_WINDOW - 1);
}

int mkfs_file_send(struct mkfs_pool *p, struct mkfs_file *file)
{
	u64 size = (u64)file->st.st_size, off = 0, end = 0;
	struct mkfs_job *job;

	mkfs_pool_keep(p, file);
	if ((u64)file->st.st_blocks * 512 >= size)
		end = size; /* no holes to look for */
	for (off = window_next(file, 0, &end); off < size; off = window_next(file, off + MKFS_WINDOW, &end))
		if (window_send(p, file, off))
			return -1;
	job = mkfs_pool_slot(p);
	if (!job)
		return -1;
	job->kind = JOB_END;
	job->file = file;
	job->total = size;
	mkfs_pool_keep(p, NULL);
	mkfs_pool_push(p, job);
	return 0;
}
