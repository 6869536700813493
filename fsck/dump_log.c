// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The log as it lies on the device: from the anchor's position along the chain of writes, as recovery follows it, but
 * without applying anything, so it also works where a mount fails. Every length is checked against the buffer it is in.
 * It ends: each write takes blocks, and a chain that goes round must have writes in which no record begins, of which
 * only as many may follow each other as the longest record needs. Called by log, segments and find --addr.
 */
#include "fsck/dump.h"

#include <stdlib.h>

#define WRITE_MAX (160u << 10) /* the core writes 136 KiB at most */
#define RECORD_MAX 16384u
#define CARRIED_MAX 8u /* writes without a record's beginning, one after the other */

struct scan {
	struct dump *d;
	const struct dump_log_ops *ops;
	void *arg;
	struct tfs_log_position pos; /* CPU order: where the next write should be */
	struct dump_log_end *end;
	u64 epoch, chosen, last_run;
	u32 carried;
	u8 *buf;   /* one write */
	u8 *stash; /* of a record that is not whole yet */
	u32 stashed;
	u64 sequence; /* of the record at stash's front */
};

static const char *write_read(struct scan *s, u64 addr, u32 blocks_left)
{
	struct tfs_log_head *h = (struct tfs_log_head *)s->buf;
	const char *why;
	u32 length;

	if (dump_read(s->d, addr, TFS_UNITS_PER_BLOCK, s->buf))
		return "cannot be read";
	length = tfs_le32(h->head.length);
	if (tfs_le32(h->head.magic) != TFS_MAGIC || tfs_le16(h->head.type) != TFS_BT_LOG)
		return "no log write here";
	if (length < sizeof(*h) || length > WRITE_MAX || (length + TFS_BLOCK - 1) / TFS_BLOCK > blocks_left)
		return "length of the write out of range";
	if (length > TFS_BLOCK && dump_read(s->d, addr + TFS_UNITS_PER_BLOCK,
	                                    (length - 1) / TFS_BLOCK * TFS_UNITS_PER_BLOCK, s->buf + TFS_BLOCK))
		return "cannot be read";
	why = tfs_log_head_check(h, tfs_le64(s->d->super.head.volume));
	if (why)
		return why;
	if (tfs_le64(h->generation) != s->pos.generation)
		return "a write of another generation";
	return tfs_le64(h->addr) == addr ? NULL : "a write that belongs elsewhere";
}

static u32 write_blocks(const struct tfs_log_head *h)
{
	return (tfs_le32(h->head.length) + TFS_BLOCK - 1) / TFS_BLOCK;
}

static const char *chain_check(struct scan *s, const struct tfs_log_head *h)
{
	const struct tfs_log_position *p = &s->pos;

	if (tfs_le64(h->run) != p->run || tfs_le32(h->run_blocks) != p->run_blocks)
		return "a write of another run";
	if (p->next && (tfs_le64(h->next) != p->next || tfs_le32(h->next_blocks) != p->next_blocks))
		return "names another next run than the write before";
	if (tfs_le32(h->prev_crc) != p->prev_crc || tfs_le64(h->sequence) != p->sequence)
		return "does not continue the chain";
	if (tfs_le64(h->epoch) < s->epoch || tfs_le32(h->carry) > tfs_le32(h->bytes) ||
	    (u64)write_blocks(h) + tfs_le32(h->beside) > p->run_blocks - p->offset)
		return "epoch, carry or data beside it out of range";
	if (!dump_place_valid(s->d, tfs_le64(h->next), (u64)tfs_le32(h->next_blocks) * TFS_UNITS_PER_BLOCK))
		return "next run out of range";
	s->carried = h->records ? 0 : s->carried + 1;
	return s->carried > CARRIED_MAX ? "more writes without a record than a record needs: crafted" : NULL;
}

static void run_tell(struct scan *s, u64 addr, u32 blocks)
{
	if (s->ops->run && addr && addr != s->last_run)
		s->ops->run(s->arg, addr, blocks);
	s->last_run = addr;
}

/* The records that are whole by now. NULL, or what is wrong. */
static const char *records_take(struct scan *s, const struct tfs_log_head *h)
{
	u32 bytes = tfs_le32(h->bytes), at = 0, len;

	memcpy(s->stash + s->stashed, h + 1, bytes);
	s->stashed += bytes;
	while (s->stashed - at >= sizeof(struct tfs_rec_head)) {
		const struct tfs_rec_head *rec = (const struct tfs_rec_head *)(s->stash + at);

		len = tfs_le32(rec->len);
		if (len < sizeof(*rec) || len % 8 || len > RECORD_MAX)
			return "record length out of range";
		if (len > s->stashed - at)
			break;
		if (s->ops->record)
			s->ops->record(s->arg, s->sequence, rec);
		s->sequence++;
		at += len;
	}
	s->stashed -= at;
	memmove(s->stash, s->stash + at, s->stashed);
	return NULL;
}

static void step(struct scan *s, const struct tfs_log_head *h)
{
	s->pos.next = tfs_le64(h->next);
	s->pos.next_blocks = tfs_le32(h->next_blocks);
	s->pos.offset += write_blocks(h) + tfs_le32(h->beside);
	s->pos.prev_crc = tfs_le32(h->head.crc);
	s->pos.sequence += tfs_le32(h->records);
	s->epoch = tfs_le64(h->epoch);
	s->end->writes++;
	if (tfs_le64(h->durable) > s->end->durable)
		s->end->durable = tfs_le64(h->durable);
	if (tfs_le64(h->anchor) > s->end->anchor)
		s->end->anchor = tfs_le64(h->anchor);
}

static const char *chain_follow(struct scan *s)
{
	const struct tfs_log_head *h = (const struct tfs_log_head *)s->buf;
	const char *why;

	run_tell(s, s->pos.run, s->pos.run_blocks);
	for (;;) {
		if (s->pos.offset == s->pos.run_blocks) {
			if (!s->pos.next)
				return "the run is full and none is named to follow";
			s->pos.run = s->pos.next;
			s->pos.run_blocks = s->pos.next_blocks;
			s->pos.next = s->pos.next_blocks = s->pos.offset = 0;
		}
		if (s->pos.next)
			run_tell(s, s->pos.next, s->pos.next_blocks);
		s->end->addr = s->pos.run + (u64)s->pos.offset * TFS_UNITS_PER_BLOCK;
		why = write_read(s, s->end->addr, s->pos.run_blocks - s->pos.offset);
		if (!why)
			why = chain_check(s, h);
		if (why)
			return why;
		if (s->ops->write)
			s->ops->write(s->arg, h);
		why = records_take(s, h);
		if (why)
			return why;
		step(s, h);
	}
}

/* ---- past the end: writes that prove that something was lost ---- */

static void later(struct scan *s, u64 run, u32 from, u32 blocks)
{
	const struct tfs_log_head *h = (const struct tfs_log_head *)s->buf;

	for (; from < blocks; from++) {
		if (write_read(s, run + (u64)from * TFS_UNITS_PER_BLOCK, blocks - from))
			continue;
		if (s->ops->later)
			s->ops->later(s->arg, h);
		if (tfs_le64(h->durable) > s->sequence || tfs_le64(h->anchor) > s->chosen)
			s->end->damaged = true;
	}
}

static void position_load(struct scan *s, const struct tfs_anchor *a)
{
	s->pos = tfs_log_position_cpu(&a->log);
	s->sequence = s->pos.sequence;
	s->chosen = s->epoch = tfs_le64(a->epoch);
}

static bool position_valid(const struct scan *s)
{
	const struct tfs_log_position *p = &s->pos;

	return p->offset <= p->run_blocks && dump_place_valid(s->d, p->run, (u64)p->run_blocks * TFS_UNITS_PER_BLOCK) &&
	       dump_place_valid(s->d, p->next, (u64)p->next_blocks * TFS_UNITS_PER_BLOCK) && p->run % 8 == 0 &&
	       p->next % 8 == 0;
}

static int scan_run(struct scan *s)
{
	struct dump_log_end *end = s->end;

	s->buf = malloc(WRITE_MAX + TFS_BLOCK);
	s->stash = malloc(WRITE_MAX + RECORD_MAX);
	if (!s->buf || !s->stash)
		return tfs_cli_fail(DUMP_HOST, s->d->image, "out of memory");
	end->why = chain_follow(s);
	end->sequence = s->sequence;
	later(s, s->pos.run, s->pos.offset, s->pos.run_blocks);
	if (s->pos.next)
		later(s, s->pos.next, 0, s->pos.next_blocks);
	if (end->durable > s->sequence || end->anchor > s->chosen)
		end->damaged = true;
	return 0;
}

int dump_log_scan(struct dump *d, const struct tfs_anchor *a, const struct dump_log_ops *ops, void *arg,
                  struct dump_log_end *end)
{
	struct scan s = {.d = d, .ops = ops, .arg = arg, .end = end};
	int err = 0;

	memset(end, 0, sizeof(*end));
	position_load(&s, a);
	end->sequence = s.sequence;
	if (!s.pos.generation)
		end->why = "the anchor names no log";
	else if (!position_valid(&s))
		end->why = "log position of the anchor out of range", end->damaged = true;
	else
		err = scan_run(&s);
	free(s.buf);
	free(s.stash);
	return err;
}
