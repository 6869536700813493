// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Opening a volume: the chain of log extensions from block 0, the frames in each, and the records that they carry, to
 * END_OF_LOG or the first fault. An extension may neither overlap one read before (so a chain in a circle ends) nor
 * leave the volume; one extension is in memory at a time.
 */
#include "tfs/nanos/nanos.h"

#define MAGIC "NVMTFS"
#define MAGIC_LEN 6u
#define HEAD_LEN 9u           /* of an extension of NANOS_EXTENSION blocks: magic, version, length */
#define EXTENSION_MAX 131072u /* blocks: 64 MiB; known writers make 1 and 1024 */
#define EXTENSIONS_MAX 16384u
enum { FRAME_END = 1, FRAME_TUPLE, FRAME_MORE, FRAME_PAD, FRAME_LINK };

struct chain {
	struct nanos_vol *vol;
	const struct nanos_open_ops *ops;
	void *arg;
	u8 *buf; /* the extension */
	u64 buf_max;
	u64 start, len, at; /* its first block; its bytes; where reading is */
	bool old;
	u64 next_start, next_blocks; /* of a link; blocks 0: none */
	/* a record in pieces */
	u8 *staged;
	u32 staged_max, pieces;
	u64 staged_len, left, frame_at;
	bool ended;
};

static int fault(struct chain *c, enum nanos_fault_kind kind, u64 at, const char *what)
{
	c->vol->fault = (struct nanos_fault){.kind = kind, .what = what, .at = c->start * NANOS_BLOCK + at};
	return -EUCLEAN;
}

static int fault_numbers(struct chain *c, enum nanos_fault_kind kind, u64 at, const char *what, u64 expected, u64 found)
{
	fault(c, kind, at, what);
	c->vol->fault.numbers = true;
	c->vol->fault.expected = expected;
	c->vol->fault.found = found;
	return -EUCLEAN;
}

/* ---- the device ---- */

static int dev_read(struct tfs_dev *dev, u64 at, void *buf, u64 bytes)
{
	u8 *p = buf;
	int err = 0;

	for (u32 n; !err && bytes; at += n, p += n, bytes -= n) {
		n = bytes < 1u << 20 ? (u32)bytes : 1u << 20;
		err = dev->ops->io(dev, TFS_IO_READ, at, p, n, 0);
	}
	return err;
}

/* ---- extensions that were read ---- */

/* Notes the run; false: it overlaps one that was. */
static int extension_note(struct nanos_vol *vol, u64 start, u64 blocks, bool *fresh)
{
	u32 lo = 0, hi = vol->exts;
	int err;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (vol->ext[mid].start < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	*fresh = !(lo < vol->exts && vol->ext[lo].start < start + blocks) &&
	         !(lo && vol->ext[lo - 1].start + vol->ext[lo - 1].blocks > start);
	if (!*fresh)
		return 0;
	err = nanos_grow(&vol->ext, &vol->exts_max, vol->exts + 1ull, sizeof(*vol->ext));
	if (err)
		return err;
	memmove(vol->ext + lo + 1, vol->ext + lo, (vol->exts - lo) * sizeof(*vol->ext));
	vol->ext[lo] = (struct nanos_run){start, blocks};
	vol->exts++;
	return 0;
}

/* It was none after all. */
static void extension_forget(struct nanos_vol *vol, u64 start)
{
	for (u32 i = 0; i < vol->exts; i++)
		if (vol->ext[i].start == start) {
			vol->exts--;
			memmove(vol->ext + i, vol->ext + i + 1, (vol->exts - i) * sizeof(*vol->ext));
			return;
		}
}

/* ---- headers ---- */

static int head_text_read(struct chain *c)
{
	struct nanos_vol *vol = c->vol;
	u32 n = 0;

	if (c->len - c->at < 16)
		return fault(c, NANOS_FAULT_HEAD, c->at, "no room for the uuid");
	memcpy(vol->uuid, c->buf + c->at, 16);
	c->at += 16;
	while (n <= NANOS_LABEL_MAX && c->at + n < c->len && c->buf[c->at + n])
		n++;
	if (n > NANOS_LABEL_MAX || c->at + n == c->len)
		return fault(c, NANOS_FAULT_HEAD, c->at, "label does not end");
	memcpy(vol->label, c->buf + c->at, n);
	c->at += n + 1;
	return 0;
}

static int head_read(struct chain *c, u64 blocks)
{
	u64 version, stated;

	c->at = MAGIC_LEN;
	if (memcmp(c->buf, MAGIC, MAGIC_LEN))
		return fault(c, NANOS_FAULT_HEAD, 0, "no log extension: its magic is missing");
	if (!nanos_varint(c->buf, c->len, &c->at, &version) || (version != 4 && version != 5))
		return fault_numbers(c, NANOS_FAULT_HEAD, MAGIC_LEN, "version of a log extension", NANOS_VERSION,
		                     version);
	if (!nanos_varint(c->buf, c->len, &c->at, &stated) || stated != blocks)
		return fault_numbers(c, NANOS_FAULT_HEAD, MAGIC_LEN + 1, "length of a log extension, in blocks", blocks,
		                     stated);
	c->old = version == 4;
	if (version > c->vol->version)
		c->vol->version = (u32)version;
	if (c->ops && c->ops->extension)
		c->ops->extension(c->arg, c->start, blocks, (u32)version);
	return c->start ? 0 : head_text_read(c);
}

bool nanos_probe(const void *block)
{
	const u8 *p = block;

	return !memcmp(p, MAGIC, MAGIC_LEN) && (p[MAGIC_LEN] == 4 || p[MAGIC_LEN] == 5);
}

/* ---- frames ---- */

static int record_done(struct chain *c, const u8 *p, u64 len, u64 at)
{
	struct nanos_fault f;
	int err = nanos_decode(c->vol, p, len, c->old, &f);

	if (err == -EUCLEAN) {
		/* of a record in pieces: the frame it begins with */
		f.at += c->pieces > 1 ? c->frame_at : c->start * NANOS_BLOCK + at;
		c->vol->fault = f;
	}
	if (err)
		return err;
	c->vol->records++;
	c->vol->record_at = c->start * NANOS_BLOCK + c->at;
	if (c->ops && c->ops->record)
		c->ops->record(c->arg, c->frame_at, len, c->pieces);
	return 0;
}

static int piece_take(struct chain *c, u64 frame, u64 len)
{
	u64 at = c->at;
	int err;

	if (len > c->len - c->at)
		return fault_numbers(c, NANOS_FAULT_FRAME, frame, "segment is longer than its log extension",
		                     c->len - c->at, len);
	if (!len)
		return fault(c, NANOS_FAULT_FRAME, frame, "segment of no bytes");
	c->at += len;
	c->pieces++;
	if (!c->staged_len && len == c->left) {
		c->left = 0;
		return record_done(c, c->buf + at, len, at);
	}
	err = nanos_grow(&c->staged, &c->staged_max, c->staged_len + len, 1);
	if (err)
		return err;
	memcpy(c->staged + c->staged_len, c->buf + at, len);
	c->staged_len += len;
	c->left -= len;
	if (c->left)
		return 0;
	len = c->staged_len;
	c->staged_len = 0;
	return record_done(c, c->staged, len, at);
}

static int tuple_read(struct chain *c, u64 frame)
{
	u64 total, len;

	if (c->left)
		return fault_numbers(c, NANOS_FAULT_FRAME, frame, "record begins inside another; bytes missing", 0,
		                     c->left);
	if (!nanos_varint(c->buf, c->len, &c->at, &total) || !nanos_varint(c->buf, c->len, &c->at, &len))
		return fault(c, NANOS_FAULT_FRAME, frame, "length of a record does not end");
	if (!total || len > total)
		return fault_numbers(c, NANOS_FAULT_FRAME, frame, "segment is longer than its record", total, len);
	c->left = total;
	c->pieces = 0;
	c->frame_at = c->start * NANOS_BLOCK + frame;
	return piece_take(c, frame, len);
}

static int more_read(struct chain *c, u64 frame)
{
	u64 len;

	if (!nanos_varint(c->buf, c->len, &c->at, &len))
		return fault(c, NANOS_FAULT_FRAME, frame, "length of a segment does not end");
	if (len > c->left)
		return fault_numbers(c, NANOS_FAULT_FRAME, frame, "segment continues past its record's end", c->left,
		                     len);
	return piece_take(c, frame, len);
}

/* NULL, or what is wrong with the place that a link names; most, found: the number that is. */
static const char *link_wrong(struct chain *c, u64 start, u64 blocks, u64 *most, u64 *found)
{
	*most = EXTENSION_MAX;
	*found = blocks;
	if (!blocks || blocks > EXTENSION_MAX)
		return "link to a log extension of an absurd length, in blocks";
	*most = 1;
	*found = start;
	if (!start)
		return "link to a log extension at block 0";
	*most = c->vol->blocks;
	*found = start > c->vol->blocks ? start : start + blocks;
	return *found > c->vol->blocks ? "link to a log extension that ends outside of the volume" : NULL;
}

static int link_read(struct chain *c, u64 frame)
{
	u64 start, blocks, most, found;
	const char *what;

	if (!nanos_varint(c->buf, c->len, &c->at, &start) || !nanos_varint(c->buf, c->len, &c->at, &blocks))
		return fault(c, NANOS_FAULT_LINK, frame, "link does not end");
	what = link_wrong(c, start, blocks, &most, &found);
	if (what)
		return fault_numbers(c, NANOS_FAULT_LINK, frame, what, most, found);
	c->next_start = start;
	c->next_blocks = blocks;
	return 0;
}

/*
 * A link whose frame byte was damaged into END_OF_LOG would cut the log silently. Who really ends a log there has not
 * written a link behind it that leads to an extension.
 */
static __attribute__((noinline)) bool link_follows(struct chain *c)
{
	u64 at = c->at, start, blocks, most, found;
	u8 block[NANOS_BLOCK];

	if (!nanos_varint(c->buf, c->len, &at, &start) || !nanos_varint(c->buf, c->len, &at, &blocks) ||
	    link_wrong(c, start, blocks, &most, &found) || blocks != NANOS_EXTENSION)
		return false;
	return !dev_read(c->vol->dev, start * NANOS_BLOCK, block, NANOS_BLOCK) && nanos_probe(block);
}

static int end_read(struct chain *c, u64 frame)
{
	if (c->left)
		return fault_numbers(c, NANOS_FAULT_FRAME, frame, "log ends inside a record; bytes missing", 0,
		                     c->left);
	if (link_follows(c))
		return fault(c, NANOS_FAULT_LINK, frame, "log ends where a link to its next extension should be");
	c->ended = true;
	return 0;
}

static int frames_read(struct chain *c)
{
	int err = 0;

	while (!err && !c->ended && !c->next_blocks) {
		u64 frame = c->at;

		c->vol->log_end = c->start * NANOS_BLOCK + frame;
		if (c->at == c->len)
			return fault(c, NANOS_FAULT_FRAME, frame, "log extension ends without END_OF_LOG or a link");
		switch (c->buf[c->at++]) {
		case FRAME_END:
			err = end_read(c, frame);
			break;
		case FRAME_TUPLE:
			err = tuple_read(c, frame);
			break;
		case FRAME_MORE:
			err = more_read(c, frame);
			break;
		case FRAME_PAD:
			break;
		case FRAME_LINK:
			err = link_read(c, frame);
			break;
		default:
			err = fault_numbers(c, NANOS_FAULT_FRAME, frame, "unknown frame", FRAME_END, c->buf[frame]);
		}
	}
	return err;
}

/* ---- the chain ---- */

static int buffer_room(struct chain *c, u64 bytes)
{
	if (bytes <= c->buf_max)
		return 0;
	tfs_port_free(c->buf);
	c->buf_max = 0;
	c->buf = tfs_port_alloc(bytes);
	if (!c->buf)
		return -ENOMEM;
	c->buf_max = bytes;
	return 0;
}

/* The extension's bytes; a device that ends or fails inside it is a fault there, and what comes before is read. */
static int extension_load(struct chain *c, u64 blocks)
{
	u64 n;
	int err = buffer_room(c, blocks * NANOS_BLOCK);

	c->len = blocks * NANOS_BLOCK;
	if (err)
		return err;
	if (!dev_read(c->vol->dev, c->start * NANOS_BLOCK, c->buf, c->len))
		return 0;
	for (n = 0; n < blocks; n++)
		if (dev_read(c->vol->dev, (c->start + n) * NANOS_BLOCK, c->buf + n * NANOS_BLOCK, NANOS_BLOCK))
			break;
	if (!n)
		return fault(c, NANOS_FAULT_LINK, 0, "log extension cannot be read");
	c->len = n * NANOS_BLOCK;
	return 0;
}

static int extension_read(struct chain *c, u64 start, u64 blocks, bool headless)
{
	u64 from = c->vol->log_end;
	bool fresh = false;
	bool many = c->vol->exts == EXTENSIONS_MAX;
	int err = many ? 0 : extension_note(c->vol, start, blocks, &fresh);

	if (err)
		return err;
	if (!fresh) {
		fault(c, NANOS_FAULT_LINK, 0,
		      many ? "log of more extensions than any has"
		           : "chain of log extensions comes back to one read before");
		c->vol->fault.at = from;
		return -EUCLEAN;
	}
	c->start = start;
	c->next_start = start;
	c->next_blocks = 0;
	err = extension_load(c, blocks);
	if (!err && headless)
		c->at = HEAD_LEN;
	else if (!err && (err = head_read(c, blocks)) && start)
		extension_forget(c->vol, start);
	if (!err && !c->vol->record_at)
		c->vol->record_at = start * NANOS_BLOCK + c->at;
	return err ? err : frames_read(c);
}

/* Behind a fault of the chain: the caller may know where it goes on. */
static bool rejoin(struct chain *c, struct nanos_join *j)
{
	const struct nanos_fault f = c->vol->fault;

	if (!c->ops || !c->ops->relink || (f.kind != NANOS_FAULT_HEAD && f.kind != NANOS_FAULT_LINK))
		return false;
	*j = (struct nanos_join){.vol = c->vol, .left = c->left};
	if (f.kind == NANOS_FAULT_HEAD && c->start) {
		j->start = c->start;
		j->blocks = c->len / NANOS_BLOCK;
	}
	if (!c->ops->relink(c->arg, &f, j))
		return false;
	c->vol->fault = (struct nanos_fault){0};
	if (c->vol->version < NANOS_VERSION)
		c->vol->version = NANOS_VERSION;
	return true;
}

static int chain_read(struct chain *c)
{
	struct nanos_join j = {.start = 0, .blocks = 1};
	int err;

	for (;;) {
		err = extension_read(c, j.start, j.blocks, j.headless);
		if (!err && c->ended)
			return 0;
		if (!err)
			j = (struct nanos_join){.start = c->next_start, .blocks = c->next_blocks};
		else if (err != -EUCLEAN || !rejoin(c, &j))
			break;
	}
	return err == -EUCLEAN ? 0 : err;
}

/* ---- volumes ---- */

static struct nanos_vol *vol_new(struct tfs_dev *dev, const struct tfs_env *env)
{
	struct nanos_vol *vol = tfs_port_alloc(sizeof(*vol));

	if (!vol)
		return NULL;
	memset(vol, 0, sizeof(*vol));
	vol->dev = dev;
	vol->env = env;
	vol->blocks = dev ? dev->size / NANOS_BLOCK : 0;
	vol->seed = env->random(env->ctx);
	return vol;
}

static __attribute__((noinline)) int first_look(struct tfs_dev *dev, bool force)
{
	u8 block[NANOS_BLOCK];
	int err = dev->size < NANOS_BLOCK ? -EINVAL : dev_read(dev, 0, block, NANOS_BLOCK);

	return err || force || nanos_probe(block) ? err : -EINVAL;
}

int nanos_open(struct tfs_dev *dev, const struct tfs_env *env, const struct nanos_open_ops *ops, void *arg,
               struct nanos_vol **out)
{
	struct chain c = {.ops = ops, .arg = arg};
	int err = first_look(dev, ops && ops->force);

	*out = NULL;
	if (err)
		return err;
	c.vol = vol_new(dev, env);
	if (!c.vol)
		return -ENOMEM;
	err = chain_read(&c);
	tfs_port_free(c.buf);
	tfs_port_free(c.staged);
	if (err) {
		nanos_close(c.vol);
		return err;
	}
	*out = c.vol;
	return 0;
}

int nanos_new(const struct tfs_env *env, struct nanos_vol **out)
{
	struct nanos_vol *vol = vol_new(NULL, env);
	u32 root, children;
	int err = vol ? nanos_object_new(vol, NANOS_IS_TUPLE, &root) : -ENOMEM;

	if (!err)
		err = nanos_object_new(vol, NANOS_IS_TUPLE, &children);
	if (!err)
		err = nanos_set_named(vol, root, "children", nanos_object(NANOS_TUPLE, children));
	if (err) {
		nanos_close(vol);
		return err;
	}
	vol->version = NANOS_VERSION;
	*out = vol;
	return 0;
}

void nanos_close(struct nanos_vol *vol)
{
	if (!vol)
		return;
	tfs_port_free(vol->arena);
	tfs_port_free(vol->entry);
	tfs_port_free(vol->attr);
	tfs_port_free(vol->symbol);
	tfs_port_free(vol->big);
	tfs_port_free(vol->ext);
	tfs_port_free(vol->extent);
	tfs_port_free(vol);
}
