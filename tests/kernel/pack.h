/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Many small images in one file, for tests/kernel/hostile.sh: an image is what differs from the base before it. Each
 * part is a header of 4096 bytes, then its pages of 4096 bytes in the order of head.page; a part of no magic ends the
 * file. Written by fuzz/pack.c and tests/kernel/pack.c on the host, read by tests/kernel/hostile.c in the guest, on one
 * machine: native integers.
 */
#ifndef TFS_TEST_PACK_H
#define TFS_TEST_PACK_H

#include <stdint.h>

#define PACK_MAGIC 0x4b434150u
#define PACK_PAGE 4096u
#define PACK_PAGES ((PACK_PAGE - 128) / 2)

struct pack_head {
	uint32_t magic;
	uint32_t base; /* 1: what the images behind it are laid over */
	uint32_t pages;
	uint32_t seed; /* of what is done with it */
	uint64_t size; /* bytes of the image, at most 256 MiB */
	char name[104];
	uint16_t page[PACK_PAGES]; /* their numbers, ascending or not */
};
_Static_assert(sizeof(struct pack_head) == PACK_PAGE, "a header is a page");

#endif
