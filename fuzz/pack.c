// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A target's inputs as images, for a host that is not in this program: `fuzz-pack-TARGET [-m N] [-s SEED] OUT
 * FILE|DIR...` appends to OUT (tests/kernel/pack.h) the image that each input makes, then N that inputs chosen at
 * random make after a few mutations, by the target's own mutator and by bytes. Links in place of fuzz/use.c and
 * fuzz/main.c: where those would use an image, it is written. The images have fuzz/port.c's constant checksum, so
 * whoever mounts them needs that too (build.sh's second argument).
 */
#include "fuzz/fuzz.h"
#include "tests/kernel/pack.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUTS 20000u
#define INPUT_MAX 6000u

static struct {
	u8 *data;
	size_t bytes;
	char name[96];
} input[INPUTS];
static u32 inputs, images, left_out;
static FILE *out;
static const char *name_now;

static void part_write(bool base, u32 seed, const u32 *page, u32 pages)
{
	static struct pack_head h;
	u32 i;

	memset(&h, 0, sizeof(h));
	h.magic = PACK_MAGIC;
	h.base = base;
	h.pages = pages;
	h.seed = seed;
	h.size = FUZZ_SIZE;
	snprintf(h.name, sizeof(h.name), "%s", base ? "base" : name_now);
	for (i = 0; i < pages; i++)
		h.page[i] = (uint16_t)page[i];
	if (fwrite(&h, sizeof(h), 1, out) != 1)
		fuzz_fail("pack: expected to write: %s", strerror(errno));
	for (i = 0; i < pages; i++)
		if (fwrite(fuzz_ram_look(page[i]), TFS_BLOCK, 1, out) != 1)
			fuzz_fail("pack: expected to write: %s", strerror(errno));
}

/* In place of fuzz/use.c's: the image is as the target made it. */
void fuzz_use(u32 seed, bool strict)
{
	const u32 *page;
	u32 pages;

	(void)strict;
	page = fuzz_ram_touched(&pages);
	if (pages > PACK_PAGES) {
		left_out++;
		return;
	}
	part_write(false, seed, page, pages);
	images++;
}

/* The base is there once the target has run: it makes it then. */
static void base_write(void)
{
	const u32 *page;
	u32 pages;

	fuzz_ram_reset();
	page = fuzz_base_used(&pages);
	FUZZ_CHECK(pages <= PACK_PAGES, "pack: expected at most %u pages in the base, found %u", (u32)PACK_PAGES,
	           pages);
	part_write(true, 0, page, pages);
}

/* ---- inputs ---- */

static void input_add(const char *path, const char *file)
{
	static u8 buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	FUZZ_CHECK(f, "pack: %s: expected a readable file: %s", path, strerror(errno));
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	if (inputs == INPUTS || !n)
		return;
	input[inputs].data = malloc(n);
	FUZZ_CHECK(input[inputs].data, "pack: no memory");
	memcpy(input[inputs].data, buf, n);
	input[inputs].bytes = n;
	snprintf(input[inputs].name, sizeof(input[inputs].name), "%.95s", file);
	inputs++;
}

static void inputs_add(const char *path)
{
	struct dirent **list;
	struct stat st;
	char name[4096];
	int n, i;

	FUZZ_CHECK(!stat(path, &st), "pack: %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode)) {
		input_add(path, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
		return;
	}
	n = scandir(path, &list, NULL, alphasort);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && !stat(name, &st) && S_ISREG(st.st_mode))
			input_add(name, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

/* ---- mutations ---- */

static u32 rng = 1;

/* What libFuzzer would do, the little of it that reaches far: bytes change, a part goes or comes twice. */
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max)
{
	u32 at = size ? fuzz_random(&rng) % (u32)size : 0, n = 1 + fuzz_random(&rng) % 32;

	if (n > size - at)
		n = (u32)size - at;
	switch (fuzz_random(&rng) % 4) {
	case 0:
		memmove(data + at, data + at + n, size - at - n);
		return size - n;
	case 1:
		if (size + n > max)
			return size;
		memmove(data + at + n, data + at, size - at);
		return size + n;
	case 2:
		for (; n; n--)
			data[at++] = (u8)fuzz_random(&rng);
		return size;
	default:
		if (n)
			data[at] ^= (u8)(1 << fuzz_random(&rng) % 8);
		return size;
	}
}

static void mutated(u32 number)
{
	static u8 buf[INPUT_MAX + 64];
	u32 i = fuzz_random(&rng) % inputs, n = 1 + fuzz_random(&rng) % 4;
	size_t bytes = input[i].bytes;
	char name[104];

	memcpy(buf, input[i].data, bytes);
	while (n--)
		bytes = LLVMFuzzerCustomMutator(buf, bytes, INPUT_MAX, number * 2654435761u + n);
	snprintf(name, sizeof(name), "%.80s~%u", input[i].name, number);
	name_now = name;
	LLVMFuzzerTestOneInput(buf, bytes);
}

int main(int argc, char **argv)
{
	u32 more = 0, seed = 1, i, from;
	const u8 nothing[1] = {0};
	int o;

	while ((o = getopt(argc, argv, "m:s:")) > 0)
		if (o == 'm')
			more = (u32)strtoul(optarg, NULL, 0);
		else if (o == 's')
			seed = (u32)strtoul(optarg, NULL, 0);
		else
			return 2;
	if (argc - optind < 2) {
		fprintf(stderr, "usage: %s [-m MUTATED] [-s SEED] OUT FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	for (i = (u32)optind + 1; i < (u32)argc; i++)
		inputs_add(argv[i]);
	FUZZ_CHECK(inputs, "pack: expected inputs, found none");
	out = fopen("/dev/null", "w"); /* the first run makes the base */
	FUZZ_CHECK(out, "pack: no /dev/null");
	name_now = "";
	LLVMFuzzerTestOneInput(nothing, 1);
	fclose(out);
	out = fopen(argv[optind], "ab");
	FUZZ_CHECK(out, "pack: %s: %s", argv[optind], strerror(errno));
	base_write();
	images = left_out = 0;
	for (i = 0; i < inputs; i++) {
		name_now = input[i].name;
		LLVMFuzzerTestOneInput(input[i].data, input[i].bytes);
	}
	rng = seed;
	from = images;
	for (i = 0; images < from + more && i < 4 * more; i++)
		mutated(seed + i);
	if (fclose(out))
		fuzz_fail("pack: expected to write: %s", strerror(errno));
	printf("%u images: %u of %u inputs, %u of mutated ones; %u larger ones left out\n", images, from, inputs,
	       images - from, left_out);
	return 0;
}
