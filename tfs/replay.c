// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Recovery: what the log says past the anchor. First the chain of writes is followed to its end, every head and CRC
 * checked, and the run pinned; then the records are applied in order. Data of records that no head confirms as durable
 * is verified, and the first that fails ends the replay: what a crash tore. A later head that proves the lost record
 * was durable, or names a newer anchor, is damage and not a crash: the volume stays read-only. Works in memory only.
 */
#include "tfs/vol.h"

struct scan {
	struct tfs_vol *vol;
	struct tfs_log_position pos; /* CPU order: where the next write should be */
	u64 durable;                 /* the highest that a head of the chain states */
	u64 epoch;                   /* of the last head */
	u64 anchor;                  /* newest named */
	u32 carried;                 /* writes in a row in which no record begins */
	u8 *buf;                     /* one write */
	u8 *ahead;                   /* AHEAD_BLOCKS blocks of a run, read last */
	u64 ahead_addr;
	u32 ahead_blocks; /* in it */
	struct {
		u64 durable, anchor; /* the highest that a write past the end of the chain states, */
		u64 addr;            /* and one that does */
	} late;
};

#define SCAN_BUFFER (TFS_LOG_BUFFER + 2 * TFS_BLOCK)
/* The longest record spans no more writes. Crafted writes that follow each other in a circle, which chained CRCs do not
 * keep out, cannot advance the sequence, so this bounds them. */
#define CARRIED_MAX (TFS_REC_MAX / (TFS_BLOCK - (u32)sizeof(struct tfs_log_head)) + 1)

#define AHEAD_BLOCKS (TFS_LOG_BUFFER / TFS_BLOCK)

/* Blocks of a run, of which `left` blocks follow from addr on: read in large pieces, since a mount reads whole runs. */
static int blocks_read(struct scan *s, u64 addr, u32 blocks, u32 left, u8 *to)
{
	int err = 0;

	while (!err && blocks) {
		u64 in = (addr - s->ahead_addr) / TFS_UNITS_PER_BLOCK;

		if (addr < s->ahead_addr || in >= s->ahead_blocks) {
			s->ahead_addr = addr;
			s->ahead_blocks = left < AHEAD_BLOCKS ? left : AHEAD_BLOCKS;
			in = 0;
			err =
			    tfs_dev_io(s->vol, TFS_IO_READ, addr * TFS_UNIT, s->ahead, s->ahead_blocks * TFS_BLOCK, 0);
			if (err)
				s->ahead_blocks = 0;
		}
		if (!err)
			memcpy(to, s->ahead + in * TFS_BLOCK, TFS_BLOCK);
		addr += TFS_UNITS_PER_BLOCK;
		to += TFS_BLOCK;
		left--;
		blocks--;
	}
	return err;
}

/* The write at a place, if it is one of ours. 0, or -ENOENT for anything else; -EIO when the device fails. */
static int write_read(struct scan *s, u64 addr, u32 blocks_left)
{
	struct tfs_log_head *h = (struct tfs_log_head *)s->buf;
	u32 length;
	int err = blocks_read(s, addr, 1, blocks_left, s->buf);

	if (err)
		return err;
	length = tfs_le32(h->head.length);
	if (tfs_le32(h->head.magic) != TFS_MAGIC || tfs_le16(h->head.type) != TFS_BT_LOG || length < sizeof(*h) ||
	    length > SCAN_BUFFER || (length + TFS_BLOCK - 1) / TFS_BLOCK > blocks_left)
		return -ENOENT;
	if (length > TFS_BLOCK)
		err = blocks_read(s, addr + TFS_UNITS_PER_BLOCK, (length - 1) / TFS_BLOCK, blocks_left - 1,
		                  s->buf + TFS_BLOCK);
	if (err)
		return err;
	if (tfs_log_head_check(h, s->vol->volume) || tfs_le64(h->generation) != s->pos.generation ||
	    tfs_le64(h->addr) != addr)
		return -ENOENT;
	return 0;
}

static bool run_valid(const struct tfs_vol *vol, u64 addr, u32 blocks)
{
	return blocks <= vol->segment_blocks && addr % TFS_UNITS_PER_BLOCK == 0 &&
	       tfs_space_valid(vol, addr, blocks * TFS_UNITS_PER_BLOCK);
}

static u32 write_blocks(const struct tfs_log_head *h)
{
	return (tfs_le32(h->head.length) + TFS_BLOCK - 1) / TFS_BLOCK;
}

/* Is the head the one that comes next, as far as places and numbers tell? One that begins a run tells what comes after.
 */
static bool fits(struct scan *s, const struct tfs_log_head *h)
{
	const struct tfs_log_position *p = &s->pos;
	bool run_known = p->next != 0;

	if (tfs_le64(h->run) != p->run || tfs_le32(h->run_blocks) != p->run_blocks)
		return false;
	if (run_known && (tfs_le64(h->next) != p->next || tfs_le32(h->next_blocks) != p->next_blocks))
		return false;
	return tfs_le64(h->sequence) == p->sequence && tfs_le64(h->epoch) >= s->epoch &&
	       tfs_le32(h->carry) <= tfs_le32(h->bytes) &&
	       (u64)write_blocks(h) + tfs_le32(h->beside) <= p->run_blocks - p->offset &&
	       run_valid(s->vol, tfs_le64(h->next), tfs_le32(h->next_blocks));
}

/*
 * And does it name the write before it? Within a generation no two writes fit one place (sequence numbers go up, what a
 * run held before it was used again is lower), so another name proves that the write before was exchanged.
 */
static bool chains(struct scan *s, const struct tfs_log_head *h)
{
	if (!fits(s, h))
		return false;
	if (tfs_le32(h->prev_crc) == s->pos.prev_crc)
		return true;
	if (!s->vol->damaged)
		tfs_err(
		    s->vol,
		    "log write at unit %llu follows a write with CRC %08x, found %08x before it: damage; read-only; "
		    "run fsck.tfs",
		    (unsigned long long)tfs_le64(h->addr), tfs_le32(h->prev_crc), s->pos.prev_crc);
	s->vol->damaged = true;
	return false;
}

/* On to the next run when this one is full. False: it is not known, the chain ends. */
static bool run_next(struct scan *s)
{
	struct tfs_log_position *p = &s->pos;

	if (p->offset < p->run_blocks)
		return true;
	if (!p->next)
		return false;
	p->run = p->next;
	p->run_blocks = p->next_blocks;
	p->next = p->next_blocks = 0;
	p->offset = 0;
	return true;
}

/* Steps over one write of the chain, which is then in s->buf. -ENOENT: the chain ends before it. */
static int scan_next(struct scan *s)
{
	struct tfs_log_head *h = (struct tfs_log_head *)s->buf;
	int err;

	if (!run_next(s))
		return -ENOENT;
	err = write_read(s, s->pos.run + (u64)s->pos.offset * TFS_UNITS_PER_BLOCK, s->pos.run_blocks - s->pos.offset);
	if (err)
		return err;
	if (!chains(s, h))
		return -ENOENT;
	s->carried = h->records ? 0 : s->carried + 1;
	if (s->carried > CARRIED_MAX)
		return -ENOENT;
	s->pos.next = tfs_le64(h->next);
	s->pos.next_blocks = tfs_le32(h->next_blocks);
	s->pos.offset += write_blocks(h) + tfs_le32(h->beside);
	s->pos.prev_crc = tfs_le32(h->head.crc);
	s->pos.sequence += tfs_le32(h->records);
	s->epoch = tfs_le64(h->epoch);
	if (tfs_le64(h->durable) > s->durable)
		s->durable = tfs_le64(h->durable);
	if (tfs_le64(h->anchor) > s->anchor)
		s->anchor = tfs_le64(h->anchor);
	return 0;
}

/* ---- evidence past the break ---- */

/* A whole write of the generation at addr, if there is one, is noted. */
static int evidence_at(struct scan *s, u64 addr, u32 blocks_left)
{
	const struct tfs_log_head *h = (const struct tfs_log_head *)s->buf;
	int err = write_read(s, addr, blocks_left);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (tfs_le64(h->durable) > s->late.durable) {
		s->late.durable = tfs_le64(h->durable);
		s->late.addr = addr;
	}
	if (tfs_le64(h->anchor) > s->late.anchor) {
		s->late.anchor = tfs_le64(h->anchor);
		s->late.addr = addr;
	}
	if (tfs_le64(h->epoch) > s->epoch)
		s->epoch = tfs_le64(h->epoch);
	return 0;
}

static int run_evidence(struct scan *s, u64 run, u32 from, u32 blocks)
{
	int err = 0;

	for (; !err && from < blocks; from++)
		err = evidence_at(s, run + (u64)from * TFS_UNITS_PER_BLOCK, blocks - from);
	return err;
}

/* What the rest of the run and the whole next one hold. No epoch that any head names may be used again. */
static int evidence(struct scan *s)
{
	struct tfs_log_position p = s->pos;
	int err = run_evidence(s, p.run, p.offset, p.run_blocks);

	if (!err && p.next)
		err = run_evidence(s, p.next, 0, p.next_blocks);
	return err;
}

static void evidence_judge(const struct scan *s, u64 lost)
{
	if (s->late.durable <= lost && s->late.anchor <= s->vol->anchor)
		return;
	tfs_err(s->vol,
	        "log breaks at record %llu, but the write at unit %llu shows records below %llu durable: "
	        "damage; read-only; run fsck.tfs",
	        (unsigned long long)lost, (unsigned long long)s->late.addr, (unsigned long long)s->late.durable);
	s->vol->damaged = true;
}

/* ---- records ---- */

/*
 * CRCs of what a record refers to: 0 good, -ENOENT not what was written, or an error. A device or an allocation that
 * fails is an error: it proves nothing about the record, which may be durable.
 */
static int stored_verify(struct tfs_vol *vol, const struct tfs_ptr *ptr)
{
	int err = tfs_read_ptr(vol, ptr, vol->scratch, false);

	if (!err && tfs_port_crc32c(0, vol->scratch, ptr->len * TFS_UNIT) != ptr->crc)
		err = -ENOENT;
	return err == -EUCLEAN ? -ENOENT : err; /* a gang's block that is not one */
}

static int extent_verify(struct tfs_vol *vol, const struct tfs_extent *e, u32 len)
{
	struct tfs_ptr ptr = tfs_ptr_cpu(&e->ptr);
	u32 i, n = tfs_le16(e->blocks);
	int err;

	if (len < TFS_EXTENT_HEAD || ptr.len * TFS_UNIT > TFS_SCRATCH)
		return -EUCLEAN;
	if (e->codec)
		return stored_verify(vol, &ptr);
	if (ptr.len != n * TFS_UNITS_PER_BLOCK || len < TFS_EXTENT_HEAD + 4 * n)
		return -EUCLEAN;
	err = tfs_read_ptr(vol, &ptr, vol->scratch, false);
	for (i = 0; !err && i < n; i++)
		if (tfs_port_crc32c(0, vol->scratch + i * TFS_BLOCK, TFS_BLOCK) != tfs_le32(e->crc[i]))
			err = -ENOENT;
	return err;
}

static int write_verify(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_write *w = (const struct tfs_rec_write *)rec;
	const u8 *at = (const u8 *)(w + 1), *end = (const u8 *)rec + tfs_le32(rec->len);
	u32 i;
	int err = 0;

	if (tfs_le32(rec->len) < sizeof(*w) || tfs_le16(rec->flags) & TFS_WRITE_INLINE)
		return 0;
	for (i = 0; !err && i < tfs_le32(w->count); i++) {
		u32 len;

		if (end - at < 16)
			return -EUCLEAN;
		memcpy(&len, at + 8, 4);
		len = tfs_le32(len);
		if (len > TFS_ITEM_MAX || (u32)(end - at) - 16 < ((len + 7) & ~7u))
			return -EUCLEAN;
		err = extent_verify(vol, (const struct tfs_extent *)(at + 16), len);
		at += 16 + ((len + 7) & ~7u);
	}
	return err;
}

static int xattr_verify(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	const struct tfs_rec_xattr *x = (const struct tfs_rec_xattr *)rec;
	struct tfs_disk_ptr d;
	struct tfs_ptr ptr;

	if (tfs_le32(rec->len) < sizeof(*x) || x->where != 1 ||
	    tfs_le32(rec->len) < sizeof(*x) + x->name_len + sizeof(d))
		return 0;
	memcpy(&d, (const u8 *)(x + 1) + x->name_len, sizeof(d));
	ptr = tfs_ptr_cpu(&d);
	if (ptr.len * TFS_UNIT > TFS_SCRATCH)
		return -EUCLEAN;
	return stored_verify(vol, &ptr);
}

static int data_verify(struct tfs_vol *vol, const struct tfs_rec_head *rec)
{
	if (tfs_le16(rec->type) == TFS_REC_WRITE || tfs_le16(rec->type) == TFS_REC_MOVE)
		return write_verify(vol, rec);
	if (tfs_le16(rec->type) == TFS_REC_XATTR)
		return xattr_verify(vol, rec);
	return 0;
}

struct feed {
	struct scan *s;
	u8 *stash; /* bytes of records not yet whole, 8-aligned */
	u32 bytes;
	u64 next;    /* sequence of the record at stash's front */
	u64 durable; /* below: not verified again */
	bool broken;
};

static int record_apply(struct feed *f, const struct tfs_rec_head *rec)
{
	struct tfs_vol *vol = f->s->vol;
	int err = f->next >= f->durable ? data_verify(vol, rec) : 0;

	if (err == -ENOENT) {
		f->broken = true;
		return 0;
	}
	tfs_placed_forget(vol);
	tfs_dead_reset(vol);
	tfs_gangs_forget(vol);
	if (!err)
		err = tfs_apply(vol, rec);
	if (!err)
		err = tfs_settle_drops(vol);
	if (err)
		tfs_err(vol, "log record %llu: expected to apply, found error %d; run fsck.tfs",
		        (unsigned long long)f->next, err);
	return err;
}

static int feed_write(struct feed *f)
{
	const struct tfs_log_head *h = (const struct tfs_log_head *)f->s->buf;
	u32 bytes = tfs_le32(h->bytes), at = 0;
	int err = 0;

	if (f->bytes + bytes > TFS_LOG_BUFFER + TFS_REC_MAX)
		return tfs_corrupt(f->s->vol, 0, "log record out of range");
	memcpy(f->stash + f->bytes, h + 1, bytes);
	f->bytes += bytes;
	while (!err && !f->broken && f->bytes - at >= sizeof(struct tfs_rec_head)) {
		const struct tfs_rec_head *rec = (const struct tfs_rec_head *)(f->stash + at);
		u32 len = tfs_le32(rec->len);

		if (len < sizeof(*rec) || len % 8 || len > TFS_REC_MAX)
			return tfs_corrupt(f->s->vol, 0, "log record length out of range");
		if (len > f->bytes - at)
			break;
		err = record_apply(f, rec);
		if (!err && !f->broken) {
			at += len;
			f->next++;
		}
	}
	memmove(f->stash, f->stash + at, f->bytes - at);
	f->bytes -= at;
	return err;
}

/* ---- the two passes ---- */

static void scan_start(struct scan *s, const struct tfs_anchor *a)
{
	s->pos = tfs_log_position_cpu(&a->log);
	s->epoch = tfs_le64(a->epoch);
	s->carried = 0;
}

static bool position_valid(const struct tfs_vol *vol, const struct tfs_log_position *p)
{
	return p->offset <= p->run_blocks && run_valid(vol, p->run, p->run_blocks) &&
	       run_valid(vol, p->next, p->next_blocks);
}

static int adopt(struct scan *s, u64 *last)
{
	int err = 0;

	if (s->pos.next && s->pos.next != *last) {
		*last = s->pos.next;
		err = tfs_log_adopt(s->vol, s->pos.next, 0, s->pos.next_blocks);
	}
	return err;
}

/* Pass one: to the end of the chain, pinning its runs. */
static int follow(struct scan *s)
{
	u64 last = 0;
	int err = tfs_log_adopt(s->vol, s->pos.run, s->pos.offset, s->pos.run_blocks);

	if (!err)
		err = adopt(s, &last);
	while (!err) {
		err = scan_next(s);
		if (!err)
			err = adopt(s, &last);
	}
	return err == -ENOENT ? 0 : err;
}

/* Pass two: apply, up to the record that is broken or not whole. */
static int apply_all(struct scan *s, struct feed *f, u64 end)
{
	int err = 0;

	while (!err && !f->broken && s->pos.sequence <= end) {
		err = scan_next(s);
		if (!err)
			err = feed_write(f);
	}
	return err == -ENOENT ? 0 : err;
}

/* What loading the checkpoint dirtied belongs to the epoch that recovery opens. */
static void epoch_raise(struct tfs_vol *vol, u64 epoch)
{
	struct tfs_node *n;

	vol->epoch = epoch;
	for (n = vol->dirty.first; n; n = n->next)
		n->epoch = epoch;
}

static int replay(struct tfs_vol *vol, const struct tfs_anchor *a, struct scan *s, struct feed *f)
{
	struct scan end;
	int err = follow(s);

	if (err)
		return err;
	err = evidence(s);
	if (err)
		return err;
	end = *s;
	epoch_raise(vol, s->epoch + 1);
	f->durable = s->durable;
	scan_start(s, a);
	err = apply_all(s, f, end.pos.sequence);
	vol->log.next = vol->log.pos.sequence = f->next;
	evidence_judge(&end, f->next);
	if (f->durable > f->next || end.anchor > vol->anchor) {
		tfs_err(vol,
		        "log: records below %llu were durable, found whole up to %llu: damage; read-only; run fsck.tfs",
		        (unsigned long long)f->durable, (unsigned long long)f->next);
		vol->damaged = true;
	}
	return err;
}

int tfs_replay(struct tfs_vol *vol, const struct tfs_anchor *anchor)
{
	struct scan s = {.vol = vol};
	struct feed f = {.s = &s};
	int err = -ENOMEM;

	scan_start(&s, anchor);
	vol->log.next = vol->log.pos.sequence = f.next = s.pos.sequence;
	if (!s.pos.generation)
		return 0;
	if (!position_valid(vol, &s.pos))
		return tfs_corrupt(vol, 0, "log position out of range");
	s.buf = tfs_port_alloc(SCAN_BUFFER + TFS_BLOCK);
	f.stash = tfs_port_alloc(TFS_LOG_BUFFER + TFS_REC_MAX);
	s.ahead = tfs_port_alloc(AHEAD_BLOCKS * TFS_BLOCK);
	if (s.buf && s.ahead && f.stash) {
		vol->replaying = true;
		err = replay(vol, anchor, &s, &f);
		vol->replaying = false;
	}
	tfs_port_free(s.ahead);
	tfs_port_free(s.buf);
	tfs_port_free(f.stash);
	return err;
}
