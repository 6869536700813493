/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput; it links the core, fuzz/port.c (a port
 * whose checksum is a constant, so that mutated images need no mending), fuzz/ram.c, fuzz/base.c and fuzz/use.c, and
 * either libFuzzer or fuzz/main.c. A finding is an abort, a sanitizer report, a leak, a hang or too much memory.
 */
#ifndef TFS_FUZZ_H
#define TFS_FUZZ_H

#include "tfs/vol.h"

#define FUZZ_SIZE (16u << 20)
#define FUZZ_PAGES (FUZZ_SIZE / TFS_BLOCK)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max); /* libFuzzer's */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed);

/* ---- mutate.c: one aligned field of a structure of n bytes becomes another value ---- */
u32 fuzz_random(u32 *state);
void fuzz_mutate_field(u8 *structure, u32 n, u32 at, u32 *state);

/* ---- port.c ---- */
#define FUZZ_CRC 0x5a5a5a5au /* the checksum of everything */
extern bool fuzz_compress;   /* false: LZ4 does not compress, so nodes are stored as they are and can be patched */
/* "fuzz: WHAT: what is wrong", then abort. */
void fuzz_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define FUZZ_CHECK(cond, ...)                                                                                          \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			fuzz_fail(__VA_ARGS__);                                                                        \
	} while (0)
/* The n-th allocation from now on fails (0: none). Returns how many it still was until then, 0 when it has failed. */
long fuzz_fail_alloc(long n);
/* Ends an input: nothing may be left allocated. */
void fuzz_end(void);

/* ---- ram.c: one device, an overlay over a base image ---- */
extern struct tfs_dev fuzz_dev;
extern struct tfs_env fuzz_env;
extern bool fuzz_no_writes; /* a write is a finding */
void fuzz_ram_reset(void);  /* back to the base; clock and random numbers too */
/* Random numbers that an input cannot name beforehand: nobody forges the next log's generation. */
void fuzz_ram_salt(const void *data, size_t bytes);
void fuzz_ram_keep(void);    /* what the device holds becomes the base */
void fuzz_ram_select(u32 n); /* one of three bases */
void fuzz_ram_zero(void);    /* the base becomes zeros */
u8 *fuzz_ram_page(u32 page); /* to be changed */
const u8 *fuzz_ram_look(u32 page);
const u32 *fuzz_ram_touched(u32 *count); /* pages that are not the base's */

/* ---- base.c: small volumes made by real operations ---- */
void fuzz_base_empty(void);  /* as mkfs leaves it, kept as base */
void fuzz_base_filled(void); /* every kind of item, two levels of FS tree, kept as base, clean */
void fuzz_base_full(void);   /* a file that leaves no two free blocks together */
#define FUZZ_WIDE 1210u
void fuzz_base_wide(void); /* a directory of so many links, an FS root that is almost full */
/* The same as filled, mounted read-write and abandoned: an anchor with a log position and nothing in the log. */
extern bool fuzz_snapshots; /* the filled base gets some */
void fuzz_base_logging(void);
const u32 *fuzz_base_used(u32 *count); /* pages that are not all zero, ascending */
int fuzz_mount(u32 flags, struct tfs_vol **vol);
int fuzz_write(struct tfs_vol *vol, u64 ino, u64 block, u32 blocks, u64 size, int codec, u32 seed);
void fuzz_pattern(u8 *out, u32 bytes, u32 seed); /* seed % 3: text, noise, zeros */
int fuzz_evict(struct tfs_vol *vol, u64 ino);
/* Newest anchor and checkpoint of the device, as found. */
void fuzz_anchor(struct tfs_anchor *anchor, struct tfs_super *super);

/* ---- use.c: what a host may do to a mounted volume, errors being fine ---- */
void fuzz_look(struct tfs_vol *vol); /* every name, attribute, byte, node, segment */
void fuzz_change(struct tfs_vol *vol, u32 seed, u32 steps);
/* Read-only with and without replay, then read-write, changes, unmount, and a look at the result. strict: what the
 * core wrote itself must mount again. */
void fuzz_use(u32 seed, bool strict);

/* ---- account.c: live units counted from the trees are those in SPACE ---- */
void fuzz_account(struct tfs_vol *vol);

/* ---- reading an input, zeros behind its end ---- */
struct fuzz_in {
	const u8 *at, *end;
};
static inline u32 fuzz_left(const struct fuzz_in *in)
{
	return (u32)(in->end - in->at);
}
static inline u32 fuzz_u8(struct fuzz_in *in)
{
	return in->at < in->end ? *in->at++ : 0;
}
static inline u32 fuzz_u16(struct fuzz_in *in)
{
	u32 low = fuzz_u8(in);

	return low | fuzz_u8(in) << 8;
}
static inline u32 fuzz_bytes(struct fuzz_in *in, void *out, u32 n)
{
	u32 got = n < fuzz_left(in) ? n : fuzz_left(in);

	if (got)
		memcpy(out, in->at, got);
	in->at += got;
	return got;
}

#endif
