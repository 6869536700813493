// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs-power --flip: one bit wrong anywhere. A small volume (directories, files inline, raw, LZ4, zlib and sparse, large
 * and small xattrs, hard links, a symlink) with synced records in an unclean log; in every byte that reading it depends
 * on one bit is flipped (--flip=all: each of the eight), it is mounted read-only and walked whole. Either something
 * says so (EIO or EUCLEAN and a message, or the damaged mark), or names, attributes and contents are the same as ever,
 * or the end of the log that no other head confirms is cut off: then it is exactly the state of an earlier record.
 * So in the blocks of gangs, on a volume whose free space is single blocks. Last, a log write is replaced by another
 * that is whole and fits its place (what a stale mirror gives back): the chain must tell.
 */
#include "tests/power/power.h"
#include "tfs/user/port.h"

#include <stdio.h>
#include <stdlib.h>

static u64 last_seq, generation, volume;
#define PAGES (POWER_SIZE / TFS_BLOCK)
static u8 used[PAGES]; /* pages that a mount or the walk reads */
static unsigned long messages;
static unsigned long refused, same, cut;
bool power_flip_all;

static void count(int level, const char *line)
{
	messages++;
	if (power_verbose)
		printf("  [%d] %s\n", level, line);
}

/* ---- the volume ---- */

static void run(struct tfs_vol *vol, const char *const *names)
{
	int i;

	for (; *names; names++) {
		for (i = 0; i < power_ops() && strcmp(power_op_name(i), *names); i++)
			;
		power_must(i == power_ops() ? -EINVAL : power_op_run(vol, i), *names);
		power_step(vol);
	}
}

static struct tfs_vol *open_run(void)
{
	struct tfs_mount_options opt = {0};
	struct tfs_env env = power_env_model();
	struct tfs_vol *vol;

	power_must(tfs_mount(&power_run.dev, &env, &opt, &vol), "mount");
	power_begin(vol);
	return vol;
}

static void volume_make(void)
{
	static const char *const before[] = {"write a 64K compressible",
	                                     "overwrite a 4K at 20K",
	                                     "write a at 300K",
	                                     "link a l",
	                                     "mkdir e",
	                                     "symlink s",
	                                     "write d/c 130K",
	                                     "truncate d/c 70000",
	                                     "setxattr a big",
	                                     "setxattr d small",
	                                     "create b",
	                                     "preallocate b grow",
	                                     NULL};
	static const char *const logged[] = {
	    "codec a",   "overwrite a bytes", "sync", "create d/n", "sync", "setxattr a small", "chown d", "sync",
	    "mkdir d/e", "write b inline",    "sync", "rename a b", "sync", "rename b a",       "sync",    "rmdir e",
	    "sync",      "chmod a",           NULL};
	struct tfs_vol *vol;

	power_model_reset();
	power_clock = 1000;
	vol = open_run();
	run(vol, before);
	power_must(power_unmount(vol), "unmount");
	vol = open_run();
	run(vol, logged);
	power_must(tfs_sync(vol), "sync");
	last_seq = tfs_sequence(vol);
	power_abandon(vol);
	power_base_take();
}

/* ---- one state ---- */

/* Records below this are confirmed by a whole log head in the image. */
static u64 confirmed(void)
{
	u64 most = 0;
	u32 i;

	for (i = 0; i < PAGES; i++) {
		static u8 buf[64 * TFS_BLOCK];
		const struct tfs_log_head *h = (const struct tfs_log_head *)power_crash.page[i];
		u32 j, n = tfs_le32(h->head.length) / TFS_BLOCK + 1;

		if (tfs_le32(h->head.magic) != TFS_MAGIC || n > 64 || i + n > PAGES)
			continue;
		for (j = 0; j < n; j++)
			memcpy(buf + j * TFS_BLOCK, power_crash.page[i + j], TFS_BLOCK);
		h = (const struct tfs_log_head *)buf;
		if (!tfs_log_head_check(h, volume) && tfs_le64(h->generation) == generation &&
		    tfs_le64(h->durable) > most)
			most = tfs_le64(h->durable);
	}
	return most;
}

static void refusal(const char *state, int err, unsigned long said)
{
	refused++;
	if (err && err != -EIO && err != -EUCLEAN)
		power_fail(state, "the error is neither EIO nor EUCLEAN");
	if (messages == said)
		power_fail(state, "refused without a message");
}

static void judge_open(struct tfs_vol *vol, const char *state, unsigned long said)
{
	u64 seq = tfs_sequence(vol), hash;
	struct tfs_stat st;
	const char *why;
	int err;

	tfs_statfs(vol, &st);
	hash = power_walk(vol, false, &err);
	why = err ? NULL : power_account_dev(vol, &power_crash.dev);
	if (st.damaged || err || (why && messages != said)) {
		refusal(state, err, said);
		return;
	}
	if (why)
		power_fail(state, why);
	if (!power_known(seq) || seq > last_seq || hash != power_want(seq)) {
		power_fail(state, "something else is read, and nothing says so");
	} else if (seq == last_seq) {
		same++;
	} else {
		cut++;
		if (seq < confirmed())
			power_fail(state, "records are cut off that a later head confirms");
	}
}

static void judge(const char *state)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_RO};
	struct tfs_env env = power_env();
	unsigned long said = messages;
	struct tfs_vol *vol;
	int err = tfs_mount(&power_crash.dev, &env, &opt, &vol);

	power_states++;
	if (err) {
		refusal(state, err, said);
	} else {
		judge_open(vol, state, said);
		power_abandon(vol);
	}
	power_dev_reset(&power_crash);
}

static void flip(char kind, u32 page, u32 byte, u32 bit)
{
	u8 *copy = power_dev_alloc(&power_crash);
	char state[80];

	memcpy(copy, power_base[page], TFS_BLOCK);
	copy[byte] ^= (u8)(1u << bit);
	power_dev_page(&power_crash, page, copy);
	snprintf(state, sizeof(state), "block %u byte %u bit %u", page, byte, bit);
	snprintf(power_workload, sizeof(power_workload), "%c%u,%u,%u", kind, page, byte, bit);
	judge(state);
}

/* ---- which bytes ---- */

static void reads_note(void)
{
	struct tfs_anchor anchor;
	struct tfs_super super;
	struct tfs_env env = power_env();
	u32 i, tail = PAGES - TFS_TAIL_SIZE / TFS_BLOCK;

	power_crash.reads = used;
	judge("nothing flipped");
	power_crash.reads = NULL;
	used[1] = used[PAGES - 1] = 1;
	for (i = 0; i < TFS_ANCHOR_SLOTS; i++)
		used[TFS_ANCHOR_OFFSET / TFS_BLOCK + i] = used[tail + i] = 1;
	power_must(tfs_probe(&power_crash.dev, &env, &super, &anchor), "probe");
	volume = tfs_le64(super.head.volume);
	generation = tfs_le64(anchor.log.generation);
	if (same != 1)
		power_fail("nothing flipped", "is not read as what was written");
}

static bool page_empty(u32 page)
{
	u32 i;

	for (i = 0; i < TFS_BLOCK; i++)
		if (power_base[page][i])
			return false;
	return true;
}

static void page_flip(u32 page)
{
	u32 step = page_empty(page) ? 997 : 1, byte, bit; /* of a block of zeros a few bytes */

	for (byte = 0; byte < TFS_BLOCK; byte += step)
		for (bit = 0; bit < 8; bit++)
			if (power_flip_all || bit == (byte * 5 + byte / 8 + page) % 8)
				flip('x', page, byte, bit);
}

/* ---- another write in a log write's place ---- */

static void log_swap(u32 page)
{
	u8 *copy = power_dev_alloc(&power_crash);
	struct tfs_log_head *h = (struct tfs_log_head *)copy;
	struct tfs_rec_head *r = (struct tfs_rec_head *)(copy + sizeof(*h));
	char state[80];

	memcpy(copy, power_base[page], TFS_BLOCK);
	if (tfs_le32(h->head.magic) != TFS_MAGIC || tfs_log_head_check(h, volume) || !h->records || h->carry ||
	    tfs_le64(h->generation) != generation || tfs_le32(h->head.length) > TFS_BLOCK ||
	    tfs_le64(h->sequence) + tfs_le32(h->records) == last_seq) { /* nothing can tell of the last one */
		power_dev_reset(&power_crash);
		return;
	}
	r->time.sec = tfs_cpu64(tfs_le64(r->time.sec) + 1);
	h->head.crc = 0;
	h->head.crc = tfs_cpu32(tfs_port_crc32c(0, copy, tfs_le32(h->head.length)));
	power_dev_page(&power_crash, page, copy);
	snprintf(state, sizeof(state), "log write in block %u swapped", page);
	snprintf(power_workload, sizeof(power_workload), "x%u", page);
	judge(state);
}

/* ---- gangs: on a volume of its own, whose free space is single blocks ---- */

static void gangs_make(void)
{
	struct tfs_vol *vol;

	power_base_make(POWER_SIZE, TFS_CODEC_LZ4);
	power_model_reset();
	power_dev_reset(&power_run);
	power_clock = 1000;
	vol = open_run();
	power_shred(vol);
	power_must(power_unmount(vol), "unmount");
	vol = open_run();
	last_seq = tfs_sequence(vol);
	power_must(power_unmount(vol), "unmount");
	power_base_take();
	memset(used, 0, sizeof(used));
}

static bool gang_at(u32 page)
{
	const struct tfs_block_head *h = (const struct tfs_block_head *)power_base[page];

	return used[page] && tfs_le32(h->magic) == TFS_MAGIC && tfs_le16(h->type) == TFS_BT_GANG;
}

static void gang_flip(u32 page)
{
	u32 bytes = tfs_le32(((const struct tfs_block_head *)power_base[page])->length), byte, bit;

	for (byte = 0; byte < bytes; byte += byte < 128 ? 1 : 101)
		for (bit = 0; bit < 8; bit++)
			if (power_flip_all || bit == (byte + page) % 8)
				flip('g', page, byte, bit);
}

static void gangs_flip(void)
{
	u32 page, n = 0;

	for (page = 0; page < PAGES; page++)
		if (gang_at(page)) {
			gang_flip(page);
			n++;
		}
	if (!n)
		power_fail("gangs", "there are none to flip");
}

static void start(bool gangs)
{
	tfs_user_log_sink(count);
	refused = same = cut = 0;
	if (gangs)
		gangs_make();
	else
		volume_make();
	reads_note();
}

static void report(const char *what)
{
	printf("%s: %lu refused, %lu the same, %lu with the end of the log cut off\n", what, refused, same, cut);
	fflush(stdout);
}

void power_flip(int part, int parts)
{
	u32 page, n = 0, swaps;

	start(false);
	for (page = 0; page < PAGES; page++)
		if (used[page] && (int)(n++ % (u32)parts) == part)
			page_flip(page);
	swaps = (u32)power_states;
	for (page = 0; page < PAGES && !part; page++)
		log_swap(page);
	if (!part && power_states < swaps + 3)
		power_fail("log writes", "too few to swap");
	report("flip");
	if (part == parts - 1) {
		start(true);
		gangs_flip();
		report("flip, gangs");
	}
}

bool power_flip_replay(const char *id)
{
	u32 page, byte, bit;
	char kind;
	int n = sscanf(id, "%c%u,%u,%u", &kind, &page, &byte, &bit);

	if ((kind != 'x' && kind != 'g') || (n != 2 && n != 4))
		return false;
	start(kind == 'g');
	if (n == 2)
		log_swap(page);
	else
		flip(kind, page, byte, bit);
	return true;
}
