// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The log that dm-log-writes kept of a disk: rebuilds the disk as a power cut could have left it. Everything up to a
 * chosen flush is there; of what was written after it, until the next flush, each sector range is there or not by
 * chance, and the last one may be torn. usage: marks LOG                       the number of flushes, and of entries
 *               marks LOG IMAGE FLUSH SEED     makes IMAGE (which holds the disk as it was before); prints the last
 * mark
 *                                              ("acknowledged N") that came before FLUSH
 * Exit code 1: the log is not one of dm-log-writes.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC 0x6a736677736872ull
#define FLUSH 1u
#define FUA 2u
#define DISCARD 4u
#define MARK 8u

struct super {
	uint64_t magic, version, entries;
	uint32_t sector;
} __attribute__((packed));

struct entry {
	uint64_t sector, sectors, flags, bytes;
};

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % n;
}

static void get(int fd, void *to, size_t n, uint64_t at)
{
	if (pread(fd, to, n, (off_t)at) == (ssize_t)n)
		return;
	fprintf(stderr, "marks: the log ends before %llu\n", (unsigned long long)at + n);
	exit(1);
}

static void apply(int log, int image, const struct entry *e, uint64_t at, uint32_t sector, uint64_t sectors)
{
	static uint8_t buf[1 << 20];
	uint64_t left = sectors * sector, to = e->sector * sector;

	memset(buf, 0, sizeof(buf));
	while (left) {
		size_t n = left < sizeof(buf) ? left : sizeof(buf);

		if (!(e->flags & DISCARD))
			get(log, buf, n, at);
		if (pwrite(image, buf, n, (off_t)to) != (ssize_t)n) {
			perror("marks: writing the image");
			exit(1);
		}
		at += n;
		to += n;
		left -= n;
	}
}

int main(int argc, char **argv)
{
	uint64_t flushes = 0, stop, at, mark = 0, pending = 0;
	struct super s;
	int log, image = -1;

	if (argc != 2 && argc != 5)
		return fprintf(stderr, "usage: marks LOG [IMAGE FLUSH SEED]\n"), 2;
	log = open(argv[1], O_RDONLY);
	if (argc == 5)
		image = open(argv[2], O_RDWR);
	if (log < 0 || (argc == 5 && image < 0))
		return perror("marks: open"), 1;
	stop = argc == 5 ? strtoull(argv[3], NULL, 10) : UINT64_MAX;
	seed = argc == 5 ? strtoull(argv[4], NULL, 10) : 0;
	get(log, &s, sizeof(s), 0);
	s.sector = le32toh(s.sector);
	if (le64toh(s.magic) != MAGIC || le64toh(s.version) != 1 || s.sector < 512 || s.sector > 4096)
		return fprintf(stderr, "marks: %s is no log of dm-log-writes\n", argv[1]), 1;
	at = s.sector;
	for (uint64_t i = 0; i < le64toh(s.entries); i++) {
		struct entry e;
		uint64_t data;
		char text[400] = "";

		get(log, &e, sizeof(e), at);
		e = (struct entry){le64toh(e.sector), le64toh(e.sectors), le64toh(e.flags), le64toh(e.bytes)};
		data = at + s.sector;
		if (e.flags & MARK) {
			get(log, text, e.bytes < sizeof(text) ? e.bytes : sizeof(text) - 1, at + sizeof(e));
			if (flushes <= stop)
				mark = strtoull(text, NULL, 10);
		}
		at = data + (e.flags & (MARK | DISCARD) ? 0 : e.sectors * s.sector);
		if (e.flags & FLUSH && flushes++ == stop)
			break; /* what came after this flush was not sent yet */
		if (image < 0 || e.flags & MARK || !e.sectors)
			continue;
		/* before the flush that ends the run: by chance */
		if (flushes == stop && !(e.flags & FUA)) {
			uint64_t sectors = e.sectors;

			pending++;
			if (rnd(3) == 0)
				continue;
			if (rnd(8) == 0)
				sectors = rnd((uint32_t)sectors);
			apply(log, image, &e, data, s.sector, sectors);
			continue;
		}
		apply(log, image, &e, data, s.sector, e.sectors);
	}
	if (image < 0)
		printf("%llu flushes %llu entries\n", (unsigned long long)flushes,
		       (unsigned long long)le64toh(s.entries));
	else
		printf("acknowledged %llu pending %llu\n", (unsigned long long)mark, (unsigned long long)pending);
	return image >= 0 && fsync(image) ? 1 : 0;
}
