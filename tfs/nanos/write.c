// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A new log on the device: extensions that hold the records, then block 0, which names the first of them. Block 0 is
 * one sector, so the change from the old log to the new is whole or not at all, whenever it is cut off; what the old
 * log used is not written before. Called by mkfs.tfs and by the repair of fsck.tfs.
 */
#include "tfs/nanos/nanos.h"

#define EXTENSION_BYTES (NANOS_EXTENSION * NANOS_BLOCK)
#define LINK_ROOM 21u                         /* frame and two varints of at most 10 bytes */
#define RECORD_HEAD 21u                       /* the same */
#define LEAST (LINK_ROOM + RECORD_HEAD + 32u) /* with less left, its kernel goes to the next extension */
enum { FRAME_END = 1, FRAME_TUPLE, FRAME_MORE, FRAME_PAD, FRAME_LINK };

struct writer {
	struct nanos_vol *vol;
	struct tfs_dev *dev;
	int (*place)(void *arg, u64 *start);
	void *arg;
	u8 *buf;
	u64 first, start;
	u32 at;
};

static int dev_write(struct tfs_dev *dev, u64 at, void *buf, u32 bytes)
{
	return dev->ops->io(dev, TFS_IO_WRITE, at, buf, bytes, 0);
}

static void put_byte(struct writer *w, u8 v)
{
	w->buf[w->at++] = v;
}

static void put_varint(struct writer *w, u64 v)
{
	w->at += nanos_varint_put(w->buf + w->at, v);
}

static void put_magic(struct writer *w, u64 blocks)
{
	memset(w->buf, 0, EXTENSION_BYTES); /* nothing of this machine's memory gets out */
	memcpy(w->buf, "NVMTFS", 6);
	w->at = 6;
	put_varint(w, NANOS_VERSION);
	put_varint(w, blocks);
}

static void put_link(struct writer *w, u64 start)
{
	put_byte(w, FRAME_LINK);
	put_varint(w, start);
	put_varint(w, NANOS_EXTENSION);
}

static int extension_write(struct writer *w)
{
	put_byte(w, FRAME_END); /* behind a link too, as its kernel does */
	return dev_write(w->dev, w->start * NANOS_BLOCK, w->buf, EXTENSION_BYTES);
}

static int extension_begin(struct writer *w)
{
	u64 next;
	int err = w->place(w->arg, &next);

	if (err)
		return err;
	if (w->start) {
		put_link(w, next);
		err = extension_write(w);
	} else {
		w->first = next;
	}
	w->start = next;
	put_magic(w, NANOS_EXTENSION);
	return err;
}

static int record_write(void *arg, const u8 *value, u32 len)
{
	struct writer *w = arg;
	u32 left = len, n;
	int err = 0;

	while (left && !err) {
		if (w->at + LEAST >= EXTENSION_BYTES) {
			err = extension_begin(w);
			continue;
		}
		n = EXTENSION_BYTES - w->at - LINK_ROOM - RECORD_HEAD;
		n = n < left ? n : left;
		put_byte(w, left == len ? FRAME_TUPLE : FRAME_MORE);
		if (left == len)
			put_varint(w, len);
		put_varint(w, n);
		memcpy(w->buf + w->at, value + (len - left), n);
		w->at += n;
		left -= n;
	}
	return err;
}

static int first_write(struct writer *w)
{
	u32 label = 0;

	put_magic(w, 1);
	memcpy(w->buf + w->at, w->vol->uuid, 16);
	w->at += 16;
	while (label < NANOS_LABEL_MAX && w->vol->label[label])
		label++;
	memcpy(w->buf + w->at, w->vol->label, label);
	w->at += label + 1;
	put_link(w, w->first);
	put_byte(w, FRAME_END);
	return dev_write(w->dev, 0, w->buf, NANOS_BLOCK);
}

int nanos_write(struct nanos_vol *vol, struct tfs_dev *dev, int (*place)(void *arg, u64 *start), void *arg)
{
	struct writer w = {.vol = vol, .dev = dev, .place = place, .arg = arg};
	const struct nanos_sink sink = {record_write, &w};
	int err;

	w.buf = tfs_port_alloc(EXTENSION_BYTES);
	if (!w.buf)
		return -ENOMEM;
	err = extension_begin(&w);
	if (!err)
		err = nanos_encode(vol, &sink);
	if (!err)
		err = extension_write(&w);
	if (!err)
		err = dev->ops->flush(dev);
	if (!err)
		err = first_write(&w);
	if (!err)
		err = dev->ops->flush(dev);
	tfs_port_free(w.buf);
	return err;
}
