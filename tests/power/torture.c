// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs-power --torture[=ROUNDS[:SEED]]: a volume is filled to ENOSPC, emptied at random and refilled, again and again,
 * by files of all kinds that share content, with checkpoints, mounts and kills in between, half of the rounds with the
 * compactor at work, one in four with a snapshot that is deleted or rolled back to at its end, and now and then on a
 * device that grew. Always: what was promised never meets ENOSPC, nor what frees space while no snapshot holds it; sync,
 * checkpoint, compaction, deleting and rolling back, unmount and mount never fail; every byte is what was written last;
 * the accounting is exact; and an empty volume has all its room again. No crash states here (workload.c makes them), so
 * a round costs a few milliseconds. Deterministic by its seed.
 */
#include "tests/power/power.h"

#include <stdio.h>
#include <stdlib.h>

#define FILES 48u
#define FILE_BLOCKS 256u
#define WINDOW 16u
#define OPS_A_ROUND 1200
#define GROWTH (POWER_SIZE_LARGE - POWER_SIZE)

static struct tfs_vol *vol;
static u64 round_now, empty_available;
static struct file {
	u64 ino, size;
	u32 version[FILE_BLOCKS]; /* 0: a hole */
} files[FILES], snapped[FILES];
static u32 versions, fulls, rollbacks, shares, grown;
static bool grew;     /* since the volume was empty */
static bool snapshot; /* there is one, of snapped */

static void wrong(const char *what, int err)
{
	char text[100];

	snprintf(text, sizeof(text), "%s: error %d", what, err);
	power_fail("torture", text);
}

static void name_of(u32 f, char *name)
{
	snprintf(name, 16, "t%u", f);
}

/* ---- contents: by version, some of them compressible ---- */

static void block_fill(u8 *p, u32 version)
{
	u64 r = version * 0x9e3779b97f4a7c15ull | 1;
	u32 i;

	for (i = 0; i < TFS_BLOCK; i += 8) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		if (version % 3 == 0 && i % 64)
			memcpy(p + i, "log-stru", 8);
		else
			memcpy(p + i, &r, 8);
	}
}

static int put(u32 f, u32 block, u32 blocks, u32 kind)
{
	static u8 data[WINDOW * TFS_BLOCK], scratch[WINDOW * TFS_BLOCK];
	struct file *file = &files[f];
	struct tfs_encoded e;
	u32 version[WINDOW], i;
	u64 size = (block + blocks) * (u64)TFS_BLOCK;
	int err;

	for (i = 0; i < blocks; i++) {
		version[i] = ++versions * 3 + (kind ? 1 : 0);
		block_fill(data + i * TFS_BLOCK, version[i]);
	}
	tfs_encode(kind == 2 ? TFS_CODEC_ZLIB : TFS_CODEC_LZ4, 0, data, blocks, scratch, &e);
	err = tfs_write(vol, file->ino, block, &e, size, NULL);
	if (err)
		return err;
	memcpy(file->version + block, version, blocks * sizeof(version[0]));
	if (size > file->size)
		file->size = size;
	return 0;
}

static void file_check(u32 f)
{
	static u8 got[FILE_BLOCKS * TFS_BLOCK], want[TFS_BLOCK];
	const struct file *file = &files[f];
	s64 n = tfs_read(vol, file->ino, 0, got, sizeof(got));
	u32 b;

	if (n != (s64)file->size) {
		wrong("read", n < 0 ? (int)n : -EINVAL);
		return;
	}
	for (b = 0; b * (u64)TFS_BLOCK < file->size; b++) {
		memset(want, 0, sizeof(want));
		if (file->version[b])
			block_fill(want, file->version[b]);
		if (memcmp(got + b * TFS_BLOCK, want, TFS_BLOCK)) {
			wrong("a block does not hold what was written", 0);
			return;
		}
	}
}

/* ---- operations ---- */

static int make(u32 f)
{
	struct tfs_create c = {.mode = 0100644};
	char name[16];
	int err;

	name_of(f, name);
	memset(&files[f], 0, sizeof(files[f]));
	err = tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &files[f].ino);
	if (err)
		files[f].ino = 0;
	return err;
}

/* While a snapshot holds what was there, freeing is growth, and may find no space. */
static bool held_back(int err)
{
	return snapshot && err == -ENOSPC;
}

static void drop(u32 f)
{
	char name[16];
	u64 ino;
	int err;

	name_of(f, name);
	err = tfs_unlink(vol, TFS_INO_ROOT, name, (u32)strlen(name), false, &ino);
	if (held_back(err))
		return;
	while (!err && (err = tfs_evict(vol, ino)) > 0)
		err = 0;
	if (err && !held_back(err)) /* the orphan waits for a mount */
		wrong("unlink", err);
	files[f].ino = 0;
}

static void cut(u32 f, u32 block)
{
	struct file *file = &files[f];
	int err;

	if (block * (u64)TFS_BLOCK >= file->size)
		return;
	err = tfs_truncate(vol, file->ino, block * (u64)TFS_BLOCK);
	if (held_back(err))
		return;
	if (err)
		wrong("truncate", err);
	file->size = block * (u64)TFS_BLOCK;
	memset(file->version + block, 0, (FILE_BLOCKS - block) * sizeof(file->version[0]));
}

static void punch(u32 f, u32 block, u32 blocks)
{
	int err;

	if (blocks > FILE_BLOCKS - block)
		blocks = FILE_BLOCKS - block;
	err = tfs_punch(vol, files[f].ino, block, blocks);
	if (held_back(err))
		return;
	if (err)
		wrong("punch", err);
	memset(files[f].version + block, 0, blocks * sizeof(files[f].version[0]));
}

/* Delayed data, as hosts have it. */
static int put_promised(u32 f, u32 block, u32 blocks, u32 kind)
{
	int err = tfs_reserve(vol, blocks);

	if (err)
		return err;
	if (power_random() % 4 == 0 && tfs_checkpoint(vol))
		wrong("checkpoint", 0);
	err = put(f, block, blocks, kind);
	tfs_unreserve(vol, blocks);
	if (err)
		wrong("a promised write", err);
	return 0;
}

/* Steps of a reflink; what is done when one finds no space stays done. */
static int share(u32 from, u32 at, u32 to, u32 block, u32 blocks)
{
	struct file *a = &files[from], *b = &files[to];
	u32 whole = (u32)(a->size / TFS_BLOCK), done = 0;

	if (at >= whole || (from == to && at < block + blocks && block < at + blocks))
		return 0;
	if (blocks > whole - at)
		blocks = whole - at;
	if (blocks > FILE_BLOCKS - block)
		blocks = FILE_BLOCKS - block;
	while (done < blocks) {
		s64 n = tfs_reflink(vol, a->ino, at + done, b->ino, block + done, blocks - done,
		                    (block + blocks) * (u64)TFS_BLOCK, NULL);

		if (n < 0)
			return (int)n;
		memcpy(b->version + block + done, a->version + at + done, (size_t)n * sizeof(b->version[0]));
		done += (u32)n;
		if ((block + done) * (u64)TFS_BLOCK > b->size)
			b->size = (block + done) * (u64)TFS_BLOCK;
	}
	shares++;
	return 0;
}

static void mount_again(bool kill)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_DISCARD};
	struct tfs_env env = power_env();
	int err = kill ? tfs_sync(vol) : 0;

	if (err)
		wrong("sync", err);
	if (kill)
		power_abandon(vol);
	else if ((err = power_unmount(vol)))
		wrong("unmount", err);
	err = tfs_mount(&power_plain, &env, &opt, &vol);
	power_must(err, "torture: mount of a full volume");
}

/* ---- snapshots, and a larger device ---- */

static void snapshot_make(void)
{
	int err = tfs_snapshot_create(vol, "s", 1, NULL);

	if (err && err != -ENOSPC)
		wrong("snapshot", err);
	if (err)
		return;
	memcpy(snapped, files, sizeof(files));
	snapshot = true;
}

/* What it held comes free by steps or by a mount, which also frees orphans that found no space. */
static void snapshot_end(u64 r)
{
	u64 epoch, held;
	int err = tfs_snapshot_find(vol, "s", 1, &epoch);

	if (!err && r & 1) {
		err = tfs_rollback(vol, epoch, &held);
		if (!err)
			memcpy(files, snapped, sizeof(files));
		rollbacks++;
	}
	if (err)
		wrong("rollback", err);
	if (r & 2)
		while ((err = tfs_snapshot_step(vol)) > 0)
			;
	if (!err)
		err = tfs_snapshot_delete(vol, epoch);
	if (err)
		wrong("snapshot delete", err);
	snapshot = false;
	if (r & 4)
		while ((err = tfs_snapshot_step(vol)) > 0)
			;
	if (err)
		wrong("snapshot step", err);
	mount_again(r & 8);
}

static void device_grow(u32 bytes)
{
	u64 old = power_plain.size;
	int err;

	bytes &= ~(TFS_BLOCK - 1);
	if (power_plain.size + bytes > POWER_SIZE_LARGE)
		return;
	power_plain.size += bytes;
	err = tfs_grow(vol, 0);
	if (err && err != -ENOSPC)
		wrong("grow", err);
	if (err)
		power_plain.size = old;
	else
		grown += bytes;
	grew |= !err;
}

static void must_go_on(int err, const char *what)
{
	if (err < 0)
		wrong(what, err);
}

static bool compacts(void)
{
	return round_now & 1;
}

static void account(void)
{
	const char *why = power_account_dev(vol, &power_plain);

	if (why)
		power_fail("torture", why);
}

static void now_and_then(u64 r)
{
	switch (r % 64) {
	case 0:
		must_go_on(tfs_checkpoint(vol), "checkpoint");
		break;
	case 1:
	case 2:
	case 3:
		must_go_on(tfs_checkpoint_step(vol, 3), "checkpoint step");
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		must_go_on(tfs_sync(vol), "sync");
		break;
	case 8:
		if (r >> 8 & 1)
			mount_again(r >> 9 & 1);
		break;
	case 9:
	case 10:
	case 11:
	case 12:
	case 13:
	case 14:
	case 15:
	case 16:
		if (compacts())
			must_go_on(tfs_compact_step(vol, 32, (u32)(r >> 8) % 3), "compaction");
		break;
	}
}

/* One write into a file that may be new. -ENOSPC: full. */
static int grow(u64 r)
{
	u32 f = (u32)(r >> 8) % FILES, block = (u32)(r >> 16) % FILE_BLOCKS, blocks = 1 + (u32)(r >> 24) % WINDOW;
	u32 kind = (u32)(r >> 32) % 3, source = (f + (u32)(r >> 40) % 5) % FILES;

	if (!files[f].ino)
		return make(f);
	if (r & 1)
		block &= ~(WINDOW - 1);
	if (blocks > WINDOW - block % WINDOW)
		blocks = WINDOW - block % WINDOW;
	if (!(r >> 36 & 7) && files[source].ino)
		return share(source, (u32)(r >> 48) % 64, f, block, 1 + (u32)(r >> 56) % 80);
	return r & 2 ? put_promised(f, block, blocks, kind) : put(f, block, blocks, kind);
}

static void shrink(u64 r)
{
	u32 f = (u32)(r >> 8) % FILES, block = (u32)(r >> 16) % FILE_BLOCKS;

	if (!files[f].ino)
		return;
	if (power_random() % 8 == 0)
		file_check(f);
	switch (r >> 40 & 3) {
	case 0:
		drop(f);
		break;
	case 1:
		cut(f, block);
		break;
	default:
		punch(f, block, 1 + (u32)(r >> 24) % 24);
	}
}

/* ---- rounds ---- */

static void round_run(void)
{
	u32 frees = 1 + (u32)(power_random() % 64), i;
	bool snaps = round_now % 4 == 2;
	int err = 0;

	if (round_now % 16 == 9)
		device_grow((u32)(power_random() % (GROWTH / 4)));

	for (i = 0; i < OPS_A_ROUND && err != -ENOSPC; i++) {
		u64 r = power_random();

		if (snaps && !snapshot && i % 128 == 127)
			snapshot_make();
		err = grow(r);
		if (err && err != -ENOSPC)
			wrong("write", err);
		now_and_then(r >> 20);
	}
	fulls += err == -ENOSPC;
	for (i = 0; i < frees; i++) {
		shrink(power_random());
		now_and_then(power_random());
	}
	if (snapshot)
		snapshot_end(power_random());
}

/* All goes: the volume must have its room again. */
static void round_empty(void)
{
	struct tfs_stat st;
	u32 f;
	char text[80];

	for (f = 0; f < FILES; f++)
		if (files[f].ino) {
			file_check(f);
			drop(f);
		}
	must_go_on(tfs_checkpoint(vol), "checkpoint");
	must_go_on(tfs_checkpoint(vol), "checkpoint");
	tfs_statfs(vol, &st);
	if (grew && st.available > empty_available)
		empty_available = st.available;
	grew = false;
	if (st.available + 16 < empty_available || st.available > empty_available + 16) {
		snprintf(text, sizeof(text), "%llu blocks available when empty, %llu before",
		         (unsigned long long)st.available, (unsigned long long)empty_available);
		power_fail("torture", text);
	}
}

static void volume_make(u64 size)
{
	struct tfs_format_options opt = {.size = size, .codec = TFS_CODEC_LZ4, .uuid = "torture"};
	struct tfs_mount_options mount = {.flags = TFS_MOUNT_DISCARD};
	struct tfs_env env = power_env();
	struct tfs_stat st;

	power_plain_make(size, size + GROWTH);
	memset(files, 0, sizeof(files));
	grown = 0;
	snapshot = grew = false;
	power_must(tfs_format(&power_plain, &env, &opt, &vol), "format");
	power_must(tfs_format_finish(vol, 0), "format");
	power_must(power_unmount(vol), "format");
	power_must(tfs_mount(&power_plain, &env, &mount, &vol), "mount");
	power_must(tfs_checkpoint(vol), "checkpoint");
	tfs_statfs(vol, &st);
	empty_available = st.available;
}

static u32 moved(void)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return (u32)st.moved_blocks;
}

void power_torture(u64 seed, u64 rounds)
{
	snprintf(power_workload, sizeof(power_workload), "torture%llu,%llu", (unsigned long long)seed,
	         (unsigned long long)rounds);
	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	fulls = rollbacks = shares = 0;
	volume_make(seed & 1 ? POWER_SIZE_LARGE : POWER_SIZE);
	for (round_now = 0; round_now < rounds; round_now++) {
		round_run();
		power_states++;
		if (round_now % 16 == 15) {
			must_go_on(tfs_checkpoint(vol), "checkpoint");
			account();
		}
		if (round_now % 64 == 63)
			round_empty();
	}
	round_empty();
	account();
	if (power_verbose)
		printf("%u times full, %u ranges shared, %u rollbacks, %u bytes larger, %u blocks moved since the last "
		       "mount\n",
		       fulls, shares, rollbacks, grown, moved());
	power_must(power_unmount(vol), "torture: unmount");
	if ((!fulls || !shares || !rollbacks) && rounds > 32)
		power_fail("torture", "never full, shared or rolled back: it proves nothing");
}

bool power_torture_replay(const char *id)
{
	unsigned long long seed, rounds;

	if (sscanf(id, "torture%llu,%llu", &seed, &rounds) != 2)
		return false;
	power_torture(seed, rounds);
	return true;
}
