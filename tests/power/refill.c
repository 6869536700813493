// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs-power --refill[=CYCLES[:SEED]]: a volume is filled to ENOSPC, files of it are deleted at random, and it is filled
 * again: the same as --torture with so little in a cycle that a million are run in minutes, for what only shows after
 * that many. Whole files without compression, one cycle in four under a snapshot, some with the compactor. Always: what
 * was promised is written, what is removed is removed (while no snapshot holds it), a full volume says that nothing is
 * available, contents are what was written; every 256 cycles the accounting is exact; and at the end the empty volume
 * has all its room. Deterministic by its seed.
 */
#include "tests/power/power.h"

#include <stdio.h>

#define FILES 320u
#define WINDOWS_MAX 4u
#define WINDOW 16u

static struct tfs_vol *vol;
static struct file {
	u64 ino;
	u32 version, blocks;
} files[FILES];
static u32 versions, cycle_now, fulls, held;
static bool snapshot;

static void wrong(const char *what, int err)
{
	char text[120];

	snprintf(text, sizeof(text), "cycle %u: %s: error %d", cycle_now, what, err);
	power_fail("refill", text);
}

static void must(int err, const char *what)
{
	if (err < 0)
		wrong(what, err);
}

static u32 name_of(u32 f, char *name)
{
	return (u32)snprintf(name, 16, "f%u", f);
}

/* ---- files ---- */

static void block_fill(u8 *p, u32 version, u32 block)
{
	u64 mark[2] = {version, block};

	memcpy(p, mark, sizeof(mark));
	memcpy(p + TFS_BLOCK - sizeof(mark), mark, sizeof(mark));
}

/* One window; promised: as a host that delays its data does. */
static int put(struct file *file, u32 blocks, bool promised)
{
	static u8 data[WINDOW * TFS_BLOCK];
	struct tfs_encoded e = {.blocks = blocks, .bytes = blocks * TFS_BLOCK, .buf = data};
	int err = promised ? tfs_reserve(vol, blocks) : 0;
	u32 i;

	if (err)
		return err;
	for (i = 0; i < blocks; i++)
		block_fill(data + i * TFS_BLOCK, file->version, file->blocks + i);
	err = tfs_write(vol, file->ino, file->blocks, &e, (file->blocks + blocks) * (u64)TFS_BLOCK, NULL);
	if (promised) {
		must(err, "a promised write");
		tfs_unreserve(vol, blocks);
	}
	if (!err)
		file->blocks += blocks;
	return err;
}

/* -ENOSPC: the volume is full, and the file is as long as it got. */
static int make(u32 f, u64 r)
{
	struct tfs_create c = {.mode = 0100644};
	struct file *file = &files[f];
	u32 windows = (u32)(r >> 8) % (WINDOWS_MAX + 1);
	char name[16];
	u32 len = name_of(f, name);
	int err = tfs_create(vol, TFS_INO_ROOT, name, len, &c, &file->ino);

	if (err) {
		file->ino = 0;
		return err;
	}
	file->version = ++versions;
	file->blocks = 0;
	while (!err && windows--)
		err = put(file, windows ? WINDOW : 1 + (u32)(r >> 16) % WINDOW, r & 1);
	return err;
}

static void check(u32 f)
{
	static u8 got[WINDOWS_MAX * WINDOW * TFS_BLOCK], want[TFS_BLOCK];
	const struct file *file = &files[f];
	s64 n = tfs_read(vol, file->ino, 0, got, sizeof(got));
	u32 b;

	if (n != file->blocks * (s64)TFS_BLOCK) {
		wrong("read", n < 0 ? (int)n : -EINVAL);
		return;
	}
	for (b = 0; b < file->blocks; b++) {
		block_fill(want, file->version, b);
		if (memcmp(got + b * TFS_BLOCK, want, TFS_BLOCK))
			wrong("a block does not hold what was written", 0);
	}
}

/* While a snapshot holds what was there removing is growth, and may find no space: the name stays, or an orphan. */
static void drop(u32 f)
{
	char name[16];
	u32 len = name_of(f, name);
	u64 ino;
	int err = tfs_unlink(vol, TFS_INO_ROOT, name, len, false, &ino);

	if (snapshot && err == -ENOSPC)
		return;
	while (!err && (err = tfs_evict(vol, ino)) > 0)
		err = 0;
	if (err && !(snapshot && err == -ENOSPC))
		wrong("unlink", err);
	files[f].ino = 0;
}

/* ---- cycles ---- */

static void fill(void)
{
	u32 f = (u32)power_random() % FILES, tries;
	struct tfs_stat st;
	int err = 0;

	for (tries = 0; !err && tries < FILES; tries++, f = (f + 1) % FILES)
		if (!files[f].ino)
			err = make(f, power_random());
	if (!err)
		return;
	if (err != -ENOSPC)
		wrong("write", err);
	fulls++;
	tfs_statfs(vol, &st);
	if (!snapshot && st.available > WINDOW + 8) /* a window, and its items */
		wrong("full, and statfs calls blocks available", (int)st.available);
}

static void empty(u32 of)
{
	u32 f;

	for (f = 0; f < FILES; f++)
		if (files[f].ino && power_random() % 8 < of) {
			if (power_random() % 64 == 0)
				check(f);
			drop(f);
		}
}

static void snapshot_make(void)
{
	int err = tfs_snapshot_create(vol, "s", 1, NULL);

	if (err && err != -ENOSPC)
		wrong("snapshot", err);
	snapshot = !err;
	held += snapshot;
}

static void mount_again(bool kill)
{
	struct tfs_mount_options opt = {.flags = TFS_MOUNT_DISCARD};
	struct tfs_env env = power_env();

	if (kill) {
		must(tfs_sync(vol), "sync");
		power_abandon(vol);
	} else {
		must(power_unmount(vol), "unmount");
	}
	power_must(tfs_mount(&power_plain, &env, &opt, &vol), "refill: mount of a full volume");
}

/* Orphans that found no space wait for a mount. */
static void snapshot_end(void)
{
	u64 epoch;
	int err = tfs_snapshot_find(vol, "s", 1, &epoch);

	must(err ? err : tfs_snapshot_delete(vol, epoch), "snapshot delete");
	snapshot = false;
	while ((err = tfs_snapshot_step(vol)) > 0)
		;
	must(err, "snapshot step");
	mount_again(power_random() % 2);
}

static void account(void)
{
	const char *why;

	must(tfs_checkpoint(vol), "checkpoint");
	why = power_account_dev(vol, &power_plain);
	if (why)
		power_fail("refill", why);
}

static void cycle(void)
{
	u64 r = power_random();

	if (r % 4 == 0) /* before the volume is full, where it finds room, or tries it when it is */
		snapshot_make();
	fill();
	if (r % 16 == 1)
		snapshot_make();
	empty(1 + (u32)(r >> 8) % 8);
	if (snapshot && r & 64)
		fill();
	if (snapshot)
		snapshot_end();
	if (r >> 16 & 1)
		must(tfs_sync(vol), "sync");
	if ((r >> 20) % 16 == 0)
		must(tfs_compact_step(vol, 64, (u32)(r >> 32) % 3), "compaction");
	if ((r >> 24) % 64 == 0)
		mount_again(r >> 40 & 1);
}

static u64 available(void)
{
	struct tfs_stat st;

	must(tfs_checkpoint(vol), "checkpoint");
	must(tfs_checkpoint(vol), "checkpoint");
	tfs_statfs(vol, &st);
	return st.available;
}

static void volume_make(u64 size)
{
	struct tfs_format_options opt = {.size = size, .codec = TFS_CODEC_NONE, .uuid = "refill"};
	struct tfs_mount_options mount = {.flags = TFS_MOUNT_DISCARD};
	struct tfs_env env = power_env();

	power_plain_make(size, size);
	memset(files, 0, sizeof(files));
	snapshot = false;
	power_must(tfs_format(&power_plain, &env, &opt, &vol), "format");
	power_must(tfs_format_finish(vol, 0), "format");
	power_must(power_unmount(vol), "format");
	power_must(tfs_mount(&power_plain, &env, &mount, &vol), "mount");
}

void power_refill(u64 seed, u32 cycles)
{
	u64 before, after;
	u32 f;

	snprintf(power_workload, sizeof(power_workload), "refill%llu,%u", (unsigned long long)seed, cycles);
	power_rng = seed * 0x9e3779b97f4a7c15ull | 1;
	fulls = held = 0;
	volume_make(seed & 1 ? POWER_SIZE_LARGE : POWER_SIZE);
	before = available();
	for (cycle_now = 0; cycle_now < cycles; cycle_now++) {
		cycle();
		power_states++;
		if (cycle_now % 256 == 255)
			account();
	}
	for (f = 0; f < FILES; f++)
		if (files[f].ino)
			check(f);
	empty(8);
	after = available();
	account();
	if (after + 16 < before || after > before + 16)
		wrong("blocks available when empty are not what they were", (int)after - (int)before);
	if (power_verbose)
		printf("%u cycles, %u times full, %u under a snapshot\n", cycles, fulls, held);
	power_must(power_unmount(vol), "refill: unmount");
	if (cycles > 32 && (fulls < cycles / 4 || !held))
		power_fail("refill", "hardly ever full, or no snapshot: it proves nothing");
}

bool power_refill_replay(const char *id)
{
	unsigned long long seed;
	u32 cycles;

	if (sscanf(id, "refill%llu,%u", &seed, &cycles) != 2)
		return false;
	power_refill(seed, cycles);
	return true;
}
