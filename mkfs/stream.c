// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The bytes of an archive, decoded, within bounds that hold for any input. Two readers of libarchive, one behind the
 * other: the first only undoes compression, the second (tar.c) sees the tar format alone, and what it takes for one
 * header is limited here: names, attributes and maps of holes are kept in memory until their entry is known. xz is
 * decoded here and not by libarchive, which gives liblzma all memory that a stream asks for: up to 4 GiB for a few
 * hundred kilobytes of input. zstd's window is limited by its library to 128 MiB; the others need a few megabytes.
 * Called by tar.c, in the producer's thread.
 */
#include "mkfs/mkfs.h"

#include <archive.h>
#include <lzma.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE (256u << 10)
#define XZ_MEMORY (128ull << 20) /* xz -9 needs 65 MiB */
#define HEADER_MAX (8u << 20)    /* of one entry, with a map of some 400,000 holes */

struct mkfs_stream {
	int fd;
	struct archive *raw;
	lzma_stream xz;
	bool is_xz, ended; /* ended: the file, xz has not said so yet */
	bool in_header;
	u64 header; /* bytes read for it */
	u8 in[PIECE], out[PIECE];
	char why[200];
};

static ssize_t read_some(int fd, void *buf, size_t bytes)
{
	ssize_t n;

	do
		n = read(fd, buf, bytes);
	while (n < 0 && errno == EINTR);
	return n;
}

static la_ssize_t failed(struct mkfs_stream *s, struct archive *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	archive_set_error(a, EIO, "%s", s->why);
	return -1;
}

/* ---- what the first reader reads ---- */

static la_ssize_t xz_failed(struct mkfs_stream *s, struct archive *a, lzma_ret r)
{
	if (r == LZMA_MEMLIMIT_ERROR)
		return failed(
		    s, a,
		    "xz: expected to need at most %llu MiB of memory, found %llu; trust it and decode it before: "
		    "xz -dc FILE | mkfs.tfs --tar -",
		    XZ_MEMORY >> 20, (unsigned long long)(lzma_memusage(&s->xz) >> 20) + 1);
	return failed(s, a, "xz: %s",
	              r == LZMA_MEM_ERROR   ? "out of memory"
	              : r == LZMA_BUF_ERROR ? "is cut off"
	                                    : "damaged");
}

static la_ssize_t xz_read(struct mkfs_stream *s, struct archive *a, const void **buf)
{
	lzma_ret r = LZMA_OK;

	s->xz.next_out = s->out;
	s->xz.avail_out = PIECE;
	while (s->xz.avail_out && r == LZMA_OK) {
		if (!s->xz.avail_in && !s->ended) {
			ssize_t n = read_some(s->fd, s->in, PIECE);

			if (n < 0)
				return failed(s, a, "cannot be read: %s", strerror(errno));
			s->xz.next_in = s->in;
			s->xz.avail_in = (size_t)n;
			s->ended = !n;
		}
		r = lzma_code(&s->xz, s->ended ? LZMA_FINISH : LZMA_RUN);
	}
	if (r != LZMA_OK && r != LZMA_STREAM_END)
		return xz_failed(s, a, r);
	*buf = s->out;
	return (la_ssize_t)(PIECE - s->xz.avail_out);
}

static la_ssize_t raw_read(struct archive *a, void *ctx, const void **buf)
{
	struct mkfs_stream *s = ctx;
	ssize_t n;

	if (s->is_xz)
		return xz_read(s, a, buf);
	*buf = s->in;
	if (s->xz.avail_in) { /* what was looked at */
		n = (ssize_t)s->xz.avail_in;
		s->xz.avail_in = 0;
		return n;
	}
	n = read_some(s->fd, s->in, PIECE);
	return n < 0 ? failed(s, a, "cannot be read: %s", strerror(errno)) : n;
}

/* Looks at the first bytes, as many as a pipe gives at a time. */
static int start(struct mkfs_stream *s)
{
	static const u8 magic[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
	ssize_t n = 1;

	s->xz.next_in = s->in;
	while (s->xz.avail_in < sizeof(magic) && n > 0) {
		n = read_some(s->fd, s->in + s->xz.avail_in, PIECE - s->xz.avail_in);
		if (n > 0)
			s->xz.avail_in += (size_t)n;
	}
	if (n < 0)
		return -1;
	s->is_xz = s->xz.avail_in >= sizeof(magic) && !memcmp(s->in, magic, sizeof(magic));
	return s->is_xz && lzma_stream_decoder(&s->xz, XZ_MEMORY, LZMA_CONCATENATED) != LZMA_OK ? -1 : 0;
}

static int raw_open(struct mkfs_stream *s)
{
	struct archive_entry *e;
	int r;

	s->raw = archive_read_new();
	if (!s->raw)
		return -1;
	archive_read_support_format_raw(s->raw);
	archive_read_support_format_empty(s->raw);
	archive_read_support_filter_gzip(s->raw);
	archive_read_support_filter_bzip2(s->raw);
	archive_read_support_filter_zstd(s->raw);
	archive_read_support_filter_lz4(s->raw);
	r = archive_read_open(s->raw, s, NULL, raw_read, NULL);
	if (r == ARCHIVE_OK)
		r = archive_read_next_header(s->raw, &e);
	if (r == ARCHIVE_OK || r == ARCHIVE_EOF)
		return 0;
	snprintf(s->why, sizeof(s->why), "%s", archive_error_string(s->raw));
	return -1;
}

/* ---- what the second reader reads ---- */

static la_ssize_t decoded_read(struct archive *a, void *ctx, const void **buf)
{
	struct mkfs_stream *s = ctx;
	size_t len = 0;
	la_int64_t off;
	int r;

	do
		r = archive_read_data_block(s->raw, buf, &len, &off);
	while (r == ARCHIVE_OK && !len);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return failed(s, a, "%s", archive_error_string(s->raw) ? archive_error_string(s->raw) : "damaged");
	if (s->in_header && s->header > HEADER_MAX)
		return failed(s, a, "expected a header of at most %u MiB, found more", HEADER_MAX >> 20);
	if (s->in_header)
		s->header += len;
	return (la_ssize_t)len;
}

struct mkfs_stream *mkfs_stream_open(int fd, struct archive *a, char *why, size_t size)
{
	struct mkfs_stream *s = calloc(1, sizeof(*s));

	snprintf(why, size, "out of memory");
	if (!s)
		return NULL;
	s->fd = fd;
	snprintf(s->why, sizeof(s->why), "%s", "cannot be read");
	mkfs_stream_header(s, true);
	if (!start(s) && !raw_open(s) && archive_read_open(a, s, NULL, decoded_read, NULL) == ARCHIVE_OK)
		return s;
	snprintf(why, size, "%s", archive_error_string(a) ? archive_error_string(a) : s->why);
	mkfs_stream_close(s);
	return NULL;
}

void mkfs_stream_header(struct mkfs_stream *s, bool begins)
{
	s->in_header = begins;
	s->header = 0;
}

void mkfs_stream_close(struct mkfs_stream *s)
{
	if (s->is_xz)
		lzma_end(&s->xz);
	archive_read_free(s->raw);
	free(s);
}
