// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What every command of dump.tfs stands on: the exit code noted so far, signals, and reads of the bare device, checked.
 * Apart from dump_main.c, so that tfs-backup can list and take out files of a backup with the same commands.
 */
#include "fsck/dump.h"

#include <signal.h>

int dump_note(struct dump *d, int code)
{
	if (code == DUMP_DAMAGE || !d->noted)
		d->noted = code;
	return code;
}

/* ---- signals: extract and tar remove what is half done ---- */

static volatile sig_atomic_t signal_seen;

static void on_signal(int sig)
{
	signal_seen = sig;
}

void dump_catch_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal};

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
}

bool dump_interrupted(void)
{
	return signal_seen != 0;
}

void dump_end_by_signal(void)
{
	if (!signal_seen)
		return;
	signal(signal_seen, SIG_DFL);
	raise(signal_seen);
}

/* ---- the device ---- */

int dump_read(struct dump *d, u64 addr, u32 units, void *buf)
{
	u64 at = addr * TFS_UNIT;

	if (addr >> 45 || addr % TFS_UNITS_PER_BLOCK || units % TFS_UNITS_PER_BLOCK || at > d->dev.dev.size ||
	    units * TFS_UNIT > d->dev.dev.size - at)
		return -EIO;
	return d->dev.dev.ops->io(&d->dev.dev, TFS_IO_READ, at, buf, units * TFS_UNIT, 0);
}

bool dump_place_valid(const struct dump *d, u64 addr, u64 units)
{
	u64 base = TFS_SEGMENTS_OFFSET / TFS_UNIT, bits = tfs_le32(d->super.segment_bits) - TFS_UNIT_BITS;
	u64 all = tfs_le64(d->super.segments) << bits;

	return units && addr >= base && addr - base < all && units <= all - (addr - base) &&
	       (addr - base) >> bits == (addr - base + units - 1) >> bits;
}

const char *dump_head_check(const void *block, int type, u64 volume, u32 max)
{
	struct tfs_block_head h;
	u32 length, crc;

	memcpy(&h, block, sizeof(h));
	length = tfs_le32(h.length);
	if (tfs_le32(h.magic) != TFS_MAGIC || tfs_le16(h.type) != type)
		return "wrong magic or type";
	if (tfs_le64(h.volume) != volume)
		return "of another volume";
	if (length < sizeof(h) || length > max)
		return "length out of range";
	crc = tfs_le32(h.crc);
	h.crc = 0;
	return crc == tfs_port_crc32c(tfs_port_crc32c(0, &h, sizeof(h)), (const u8 *)block + sizeof(h),
	                              length - sizeof(h))
	           ? NULL
	           : "CRC differs";
}
