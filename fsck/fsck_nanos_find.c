// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Where a log goes on whose link, or the header behind it, is damaged. Extensions have no owner and a volume keeps
 * those of logs that were rebuilt, so a candidate is taken only when it is the single one: it lies where nothing else
 * of the log does, has an extension's form, and its first frame continues what the log has: a record's rest of no more
 * than what is missing, or a record that decodes with the dictionary so far. Of more than one none is taken but the one
 * that --log-at names; the message has them all.
 */
#include "fsck/fsck_nanos.h"

#define STEP 2048u /* blocks read at a time */
#define SHOWN_MAX 8u
enum { FRAME_END = 1, FRAME_TUPLE, FRAME_MORE, FRAME_PAD, FRAME_LINK };

static bool in_log(const struct nanos_vol *vol, u64 block)
{
	for (u32 i = 0; i < vol->exts; i++)
		if (block >= vol->ext[i].start && block - vol->ext[i].start < vol->ext[i].blocks)
			return true;
	return false;
}

/* Does what begins at the frame continue the log? left: bytes missing of a record. */
static bool continues(const struct nanos_join *j, const u8 *p, u64 len)
{
	struct nanos_fault f;
	u64 at = 9, total, n;

	while (at < len && p[at] == FRAME_PAD)
		at++;
	if (at == len)
		return false;
	switch (p[at++]) {
	case FRAME_MORE:
		return j->left && nanos_varint(p, len, &at, &n) && n && n <= j->left && n <= len - at;
	case FRAME_TUPLE:
		if (j->left || !nanos_varint(p, len, &at, &total) || !nanos_varint(p, len, &at, &n) || !n ||
		    n > total || n > len - at)
			return false;
		return n < total || nanos_fits(j->vol, p + at, n, &f);
	case FRAME_END:
		return !j->left && j->vol->entries > 1;
	}
	return false;
}

static bool head_right(const u8 *p)
{
	return nanos_probe(p) && p[7] == 0x88 && p[8] == 0;
}

/* The link is right and what it leads to has a damaged header. */
static bool headless(struct fsck_nanos *n, const struct nanos_fault *f, struct nanos_join *j, u8 *buf)
{
	if (f->kind != NANOS_FAULT_HEAD || !j->start || j->blocks != NANOS_EXTENSION ||
	    n->dev->ops->io(n->dev, TFS_IO_READ, j->start * NANOS_BLOCK, buf, NANOS_EXTENSION * NANOS_BLOCK, 0))
		return false;
	j->headless = true;
	return continues(j, buf, NANOS_EXTENSION * NANOS_BLOCK);
}

struct found {
	u64 start[SHOWN_MAX]; /* the first of them */
	u32 count;
	bool named; /* the one of --log-at is among them */
};

/* Those that begin in the blocks read. */
static void candidates(struct fsck_nanos *n, const struct nanos_join *j, const u8 *buf, u64 at, u32 blocks,
                       struct found *c)
{
	for (u32 i = 0; i < blocks; i++) {
		static u8 whole[NANOS_EXTENSION * NANOS_BLOCK];

		if (!head_right(buf + i * NANOS_BLOCK) || in_log(j->vol, at + i) ||
		    at + i + NANOS_EXTENSION > j->vol->blocks)
			continue;
		if (n->dev->ops->io(n->dev, TFS_IO_READ, (at + i) * NANOS_BLOCK, whole, sizeof(whole), 0) ||
		    !continues(j, whole, sizeof(whole)))
			continue;
		if (c->count < SHOWN_MAX)
			c->start[c->count] = at + i;
		c->count++;
		c->named |= at + i == n->log_at;
	}
}

static void choice_tell(const struct fsck_nanos *n, const struct nanos_fault *f, const struct found *c)
{
	char list[SHOWN_MAX * 22] = "";
	size_t len = 0;

	for (u32 i = 0; i < c->count && i < SHOWN_MAX; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %llu", (unsigned long long)c->start[i]);
	tfs_cli_fail(
	    0, n->f->image,
	    "log byte %llu: %u places look like where it goes on, at blocks%s%s; a log that was "
	    "written anew leaves the old one. Was a repair cut off, --restore its undo file first; else --log-at "
	    "BLOCK takes one: try each with -n, or with --to",
	    (unsigned long long)f->at, c->count, list, c->count > SHOWN_MAX ? " ..." : "");
}

static bool search(struct fsck_nanos *n, const struct nanos_fault *f, struct nanos_join *j, u8 *buf)
{
	struct found c = {.count = 0};

	for (u64 at = 1; at < j->vol->blocks; at += STEP) {
		u32 blocks = j->vol->blocks - at < STEP ? (u32)(j->vol->blocks - at) : STEP;

		if (!n->dev->ops->io(n->dev, TFS_IO_READ, at * NANOS_BLOCK, buf, blocks * NANOS_BLOCK, 0))
			candidates(n, j, buf, at, blocks, &c);
	}
	j->blocks = NANOS_EXTENSION;
	j->headless = false;
	j->start = c.named ? n->log_at : c.start[0];
	if (c.count > 1 && !c.named)
		choice_tell(n, f, &c);
	return c.count == 1 || c.named;
}

bool fsck_nanos_relink(void *arg, const struct nanos_fault *f, struct nanos_join *j)
{
	static u8 buf[STEP * NANOS_BLOCK];
	struct fsck_nanos *n = arg;

	return headless(n, f, j, buf) || search(n, f, j, buf);
}
