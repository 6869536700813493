// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Whole images into a pack (tests/kernel/pack.h): `pack [-f N] [-s SEED] OUT BASE IMAGE...` appends BASE, then of each
 * IMAGE the pages that differ from it, then N images that are BASE with bytes changed at random where it holds
 * something. Called by tests/kernel/hostile.sh.
 */
#define _GNU_SOURCE
#include "tests/kernel/pack.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *out;
static unsigned char *base;
static size_t size;
static const unsigned char zeros[PACK_PAGE];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static unsigned char *image_map(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY);
	unsigned char *p;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die(path);
	close(fd);
	*bytes = st.st_size;
	return p;
}

/* against NULL: what is not zero, as a base */
static void part(const unsigned char *image, const unsigned char *against, uint32_t seed, const char *name)
{
	static struct pack_head h;

	memset(&h, 0, sizeof(h));
	h.magic = PACK_MAGIC;
	h.base = !against;
	h.seed = seed;
	h.size = size;
	snprintf(h.name, sizeof(h.name), "%.103s", name);
	for (size_t i = 0; i < size / PACK_PAGE; i++) {
		if (!memcmp(image + i * PACK_PAGE, against ? against + i * PACK_PAGE : zeros, PACK_PAGE))
			continue;
		if (h.pages == PACK_PAGES) {
			fprintf(stderr, "%s: left out: more than %u pages\n", name, (unsigned int)PACK_PAGES);
			return;
		}
		h.page[h.pages++] = (uint16_t)i;
	}
	fwrite(&h, sizeof(h), 1, out);
	for (uint32_t i = 0; i < h.pages; i++)
		if (fwrite(image + h.page[i] * (size_t)PACK_PAGE, PACK_PAGE, 1, out) != 1)
			die("writing the pack");
}

static uint32_t rng;
static uint32_t rnd(void)
{
	rng = rng * 1664525u + 1013904223u;
	return rng >> 8;
}

static void flipped(uint32_t seed)
{
	unsigned char *image = malloc(size);
	char name[40];

	if (!image)
		die("memory");
	memcpy(image, base, size);
	rng = seed;
	for (uint32_t n = 1 + rnd() % 12; n;) {
		size_t at = ((size_t)rnd() << 8 | rnd() % 256) % size;

		if (!base[at])
			continue;
		image[at] = (unsigned char)rnd();
		n--;
	}
	snprintf(name, sizeof(name), "flip-%u", seed);
	part(image, base, seed, name);
	free(image);
}

int main(int argc, char **argv)
{
	uint32_t flips = 0, seed = 1;
	size_t bytes;
	int o;

	while ((o = getopt(argc, argv, "f:s:")) > 0)
		if (o == 'f')
			flips = (uint32_t)strtoul(optarg, NULL, 0);
		else if (o == 's')
			seed = (uint32_t)strtoul(optarg, NULL, 0);
		else
			return 2;
	if (argc - optind < 2)
		return fprintf(stderr, "usage: pack [-f FLIPS] [-s SEED] OUT BASE IMAGE...\n"), 2;
	out = fopen(argv[optind], "ab");
	if (!out)
		die(argv[optind]);
	base = image_map(argv[optind + 1], &size);
	part(base, NULL, 0, "base");
	for (int i = optind + 2; i < argc; i++) {
		unsigned char *image = image_map(argv[i], &bytes);
		const char *name = strrchr(argv[i], '/');

		if (bytes == size)
			part(image, base, seed + i, name ? name + 1 : argv[i]);
		else
			fprintf(stderr, "%s: left out: %zu bytes, the base has %zu\n", argv[i], bytes, size);
		munmap(image, bytes);
	}
	while (flips--)
		flipped(seed + flips);
	if (fclose(out))
		die(argv[optind]);
	return 0;
}
