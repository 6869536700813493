// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: operations against fuzz/model.c. The input is 8 bytes of which the first tells the base (bits 0 and 1: empty,
 * fragmented, wide) and whether nodes are compressed (bit 2: not), then 8 bytes an operation: {kind, directory, inode,
 * second directory, name, second name, two bytes of size}; kind's bit 6 makes an allocation of that operation fail, bit
 * 7 compares what it touched. Each must return what the model says, and after a crash the volume must equal the model
 * after some prefix of the operations that holds everything synced. At the end everything is compared and the space
 * accounted for.
 */
#include "fuzz/model.h"

#define OPS_MAX 300u
#define CRASHES_MAX 12u

struct done {
	struct op op;
	u64 sequence; /* the volume's after it */
};

static struct done history[OPS_MAX];
static u32 dones, crashes;
static u64 durable;
static struct model_base base;
static struct tfs_vol *vol;
static bool made;

static void note_durable(void *ctx, u64 sequence)
{
	(void)ctx;
	if (sequence > durable) /* a checkpoint that began before a sync says less than it */
		durable = sequence;
}

/* ---- decoding ---- */

static u64 some_block(u32 b)
{
	static const u64 block[] = {
	    0, 0, 1, 3, 8, 15, 16, 17, 31, 32, 40, 64, 1000, 1ull << 31, (1ull << 51) - 16, (1ull << 51) - 1};

	return b < 0xf8 ? block[b % 16] : b == 0xff ? ~0ull - 4 : (1ull << 51) + b - 0xf8;
}

static u64 some_size(u32 b, u32 c)
{
	static const u64 size[] = {0,         1,      100,    3072,       3073,
	                           4095,      4096,   4097,   60000,      65536,
	                           65537,     131072, 200000, 1ull << 33, 0x7fffffffffffffffull,
	                           1ull << 63};

	return b & 0x80 ? (b & 0x7f) * 2048 + c : size[b % 16];
}

static u32 some_name(u32 b)
{
	return b < 208 ? b % 10 : b % MODEL_NAMES;
}

static u64 some_inode(u32 b, bool file)
{
	u64 ino = model_pick(b, false);
	u32 i;

	if (b >= 0xfc)
		return b == 0xff ? 0 : model_next_ino() + b;
	for (i = 1; file && b < 0xe0 && i < 64 && !model_is_file(ino); i++)
		ino = model_pick(b + i, false);
	return ino;
}

static void decode_data(struct op *op, const u8 *b)
{
	u64 end;

	op->ino = some_inode(b[2], true);
	op->block = some_block(b[4]);
	op->blocks = op->kind == OP_WRITE || op->kind == OP_CLONE ? b[5] % 18u
	             : b[5] < 0xf0                                ? b[5] * (b[3] % 4u + 1)
	                                                          : 1ull << (b[5] % 16 + 48);
	op->size = some_size(b[6], b[7]);
	op->codec = b[7] % 3;
	op->seed = b[6] + b[3];
	if (op->kind == OP_CLONE) { /* often the same place of its window */
		op->parent = some_inode(b[1], true);
		op->from = b[7] >= 0xf8 ? some_block(b[7]) : b[7] & 0x40 ? b[7] % 64u : op->block % 16 + b[7] % 4u * 16;
	} else if (op->kind != OP_WRITE) {
		return;
	}
	if (b[3] < 0xf0 && op->blocks) { /* mostly inside of a window */
		u64 high = op->kind == OP_CLONE && op->from % 16 > op->block % 16 ? op->from : op->block;
		u64 room = 16 - high % 16;

		op->blocks = op->blocks > room ? room : op->blocks;
	}
	end = (op->block + op->blocks) * TFS_BLOCK - b[6] * 16u;
	op->size = end > model_size(op->ino) ? end : model_size(op->ino);
	if (op->size <= TFS_INLINE_MAX && b[7] & 0x80)
		op->codec = TFS_CODEC_NONE;
}

static void decode_values(struct op *op, const u8 *b)
{
	static const u32 mode[] = {0100644, 0100600, 0100755, 0040755, 0040700, 0040777, 0120777, 0020666,
	                           0060600, 0010644, 0140600, 0100000, 0040000, 0100644, 0040755, 0120777};
	static const u32 target[] = {0, 1, 18, 300, 2000, 4095, 4096, 50};
	static const u32 value[] = {0, 1, 30, 1000, 2048, 2049, 5000, 65536};

	op->mode = mode[b[6] % 16];
	op->uid = b[6] * 257u + b[7];
	op->seed = b[7] + b[5];
	op->nsec = b[5] < 0xf0 ? b[5] : 1000000000u + b[5];
	op->len = op->kind == OP_CREATE ? target[b[7] % 8] : b[6] == 0xff ? 65537 : value[b[6] % 8];
	op->dir = b[6] & 1;
	op->codec = b[6] % 4;
	op->window_bits = (u8)(b[7] < 0xe0 ? 16 : b[7] % 32);
	op->flags = op->kind == OP_RENAME    ? (b[6] < 0xf0 ? (u32[]){0, 0, 1, 2, 4, 5, 2, 4}[b[6] % 8] : b[6] % 16)
	            : op->kind == OP_SETATTR ? (b[4] | (b[3] & 1u) << 8 | (b[3] > 0xf8 ? 0x200u : 0))
	                                     : (b[7] < 0x80 ? 0u : b[7] % 4u);
}

static void decode(struct op *op, const u8 *b)
{
	static const u8 kind[32] = {
	    OP_CREATE, OP_CREATE, OP_CREATE,     OP_CREATE,   OP_LINK,     OP_UNLINK,      OP_UNLINK, OP_RENAME,
	    OP_RENAME, OP_RENAME, OP_SETATTR,    OP_SETXATTR, OP_SETXATTR, OP_REMOVEXATTR, OP_WRITE,  OP_WRITE,
	    OP_WRITE,  OP_WRITE,  OP_WRITE,      OP_TRUNCATE, OP_TRUNCATE, OP_PUNCH,       OP_CLONE,  OP_PREALLOC,
	    OP_EVICT,  OP_SYNC,   OP_CHECKPOINT, OP_STEP,     OP_COMPACT,  OP_REMOUNT,     OP_CRASH,  OP_LOOK};

	memset(op, 0, sizeof(*op));
	op->kind = kind[b[0] % 32];
	op->parent = model_pick(b[1], b[1] < 0xe0);
	op->parent2 = model_pick(b[3], b[3] < 0xe0);
	op->ino = some_inode(b[2], false);
	op->name = (u8)some_name(b[4]);
	op->name2 = (u8)some_name(b[5]);
	if (op->kind >= OP_WRITE && op->kind <= OP_CLONE)
		decode_data(op, b);
	else
		decode_values(op, b);
}

/* ---- doing ---- */

static int vol_create(const struct op *op)
{
	static char target[4096];
	struct tfs_create c = {.mode = op->mode, .uid = op->uid, .gid = ~op->uid, .rdev_major = op->seed};
	u64 due = model_next_ino(), ino = 0;
	u32 len;
	const char *name = model_name(op->name, &len);
	int err;

	memset(target, 'a' + (int)(op->seed % 26), sizeof(target));
	if ((op->mode & 0170000) == 0120000) {
		c.target = target;
		c.target_len = op->len;
	}
	err = tfs_create(vol, op->parent, name, len, &c, &ino);
	FUZZ_CHECK(err || ino == due, "create: expected inode %llu, found %llu", (unsigned long long)due,
	           (unsigned long long)ino);
	return err;
}

static int vol_rename(const struct op *op)
{
	u32 len, len2;
	const char *name = model_name(op->name, &len), *name2 = model_name(op->name2, &len2);
	u64 victim;

	return tfs_rename(vol, op->parent, name, len, op->parent2, name2, len2, op->flags, &victim);
}

static int vol_setattr(const struct op *op)
{
	struct tfs_attr a = {.mode = op->mode,
	                     .uid = op->uid,
	                     .gid = ~op->uid,
	                     .user_flags = op->seed,
	                     .codec = op->codec,
	                     .window_bits = op->window_bits};

	a.atime.nsec = a.mtime.nsec = a.ctime.nsec = a.btime.nsec = tfs_cpu32(op->nsec);
	return tfs_setattr(vol, op->ino, op->flags, &a);
}

static int vol_setxattr(const struct op *op)
{
	static u8 value[65536 + 1];
	u32 len;
	const char *name = model_xattr(op->name, &len);

	fuzz_pattern(value, op->len, op->seed);
	return tfs_setxattr(vol, op->ino, name, len, value, op->len, op->flags);
}

static int vol_write(const struct op *op)
{
	static u8 any[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = (u32)op->blocks, .buf = any};

	if (!op->blocks || op->blocks > 16)
		return tfs_write(vol, op->ino, op->block, &e, op->size, NULL);
	return fuzz_write(vol, op->ino, op->block, (u32)op->blocks, op->size, op->codec, op->seed);
}

static int vol_do(const struct op *op)
{
	u32 len;
	const char *name = model_name(op->name, &len);

	switch (op->kind) {
	case OP_CREATE:
		return vol_create(op);
	case OP_LINK:
		return tfs_link(vol, op->ino, op->parent, name, len);
	case OP_UNLINK:
		return tfs_unlink(vol, op->parent, name, len, op->dir, NULL);
	case OP_RENAME:
		return vol_rename(op);
	case OP_SETATTR:
		return vol_setattr(op);
	case OP_SETXATTR:
		return vol_setxattr(op);
	case OP_REMOVEXATTR:
		name = model_xattr(op->name, &len);
		return tfs_removexattr(vol, op->ino, name, len);
	case OP_WRITE:
		return vol_write(op);
	case OP_TRUNCATE:
		return tfs_truncate(vol, op->ino, op->size);
	case OP_PUNCH:
		return tfs_punch(vol, op->ino, op->block, op->blocks);
	case OP_PREALLOC:
		return tfs_preallocate(vol, op->ino, op->block, op->blocks, op->size);
	case OP_CLONE:
		return tfs_clone(vol, op->parent, op->from, op->ino, op->block, (u32)op->blocks, op->size, NULL);
	}
	return fuzz_evict(vol, op->ino);
}

static bool may_be_full(const struct op *op, const struct tfs_stat *before)
{
	u64 need = op->kind == OP_PREALLOC ? op->blocks : 32;

	/* what frees space or only changes what is there must always work */
	if (op->kind == OP_UNLINK || op->kind == OP_TRUNCATE || op->kind == OP_PUNCH || op->kind == OP_EVICT ||
	    op->kind == OP_SETATTR || op->kind == OP_REMOVEXATTR)
		return false;
	return before->available < need + need / 32 + 64;
}

/* False when the allocation that was to fail made the operation fail. */
static bool modelled(const struct op *op, long fail)
{
	struct tfs_stat before;
	int got, due;

	if (op->kind == OP_EVICT)
		fail = 0; /* goes on from step to step: what is freed is freed */
	tfs_statfs(vol, &before);
	fuzz_fail_alloc(fail);
	got = vol_do(op);
	if (!fuzz_fail_alloc(0) && fail && got == -ENOMEM)
		return false;
	if (got == -ENOSPC && may_be_full(op, &before))
		return false;
	if (got == -EOPNOTSUPP && op->kind == OP_CLONE) /* what can be shared depends on how it is stored */
		return false;
	due = model_do(op);
	FUZZ_CHECK(got == due, "operation kind %u on inode %llu in %llu, %llu: expected %d, found %d", op->kind,
	           (unsigned long long)op->ino, (unsigned long long)op->parent, (unsigned long long)op->parent2, due,
	           got);
	if (!got && dones < OPS_MAX) {
		history[dones].op = *op;
		history[dones++].sequence = tfs_sequence(vol);
	}
	return true;
}

static void mount(void)
{
	int err = fuzz_mount(0, &vol);

	FUZZ_CHECK(!err, "mount: expected 0, found %d", err);
}

static void start(u32 which)
{
	struct tfs_attr a;

	fuzz_ram_select(which);
	mount();
	FUZZ_CHECK(!which || !tfs_getattr(vol, 2, &a), "base: no inode 2");
	base.size = which == 1 ? a.size : 0;
	base.hidden = which == 2 ? FUZZ_WIDE : 0;
	model_reset(&base);
	model_compare(vol, 0);
}

static void mount_after(void)
{
	mount();
	model_evict_orphans();
	model_compare(vol, 0);
}

/* What a crash leaves is the state after some prefix, not shorter than what was durable. */
static void crash(bool sync)
{
	u64 last = tfs_sequence(vol);
	struct tfs_stat st;
	u32 i;
	int err = sync ? tfs_sync(vol) : 0;

	FUZZ_CHECK(!err && (!sync || durable >= last), "sync: expected all %llu records durable, found %llu, error %d",
	           (unsigned long long)last, (unsigned long long)durable, err);
	tfs_abandon(vol);
	err = fuzz_mount(0, &vol);
	FUZZ_CHECK(!err, "mount after a crash: expected 0, found %d", err);
	tfs_statfs(vol, &st);
	FUZZ_CHECK(!st.damaged && st.sequence >= durable && st.sequence <= last,
	           "mount after a crash: expected records up to %llu..%llu, found %llu", (unsigned long long)durable,
	           (unsigned long long)last, (unsigned long long)st.sequence);
	model_reset(&base);
	for (i = 0; i < dones && history[i].sequence <= st.sequence; i++)
		FUZZ_CHECK(!model_do(&history[i].op), "model: an operation cannot be repeated");
	dones = i;
	model_evict_orphans();
	model_compare(vol, 0);
}

static void remount(void)
{
	FUZZ_CHECK(!tfs_unmount(vol), "unmount failed");
	vol = NULL;
	mount_after();
}

static void other(const struct op *op, const u8 *b)
{
	int err = 0;

	switch (op->kind) {
	case OP_SYNC:
		err = tfs_sync(vol);
		break;
	case OP_CHECKPOINT:
		err = tfs_checkpoint(vol);
		break;
	case OP_STEP:
		err = tfs_checkpoint_step(vol, 1 + b[1] % 8);
		err = err > 0 ? 0 : err;
		break;
	case OP_COMPACT:
		err = tfs_compact_step(vol, 1 + b[2] % 64, b[1] % 3);
		err = err > 0 ? 0 : err;
		break;
	case OP_REMOUNT:
		remount();
		break;
	case OP_CRASH:
		if (crashes++ < CRASHES_MAX)
			crash(b[1] & 1);
		break;
	default:
		model_compare(vol, 0);
	}
	FUZZ_CHECK(!err, "operation kind %u: expected 0, found %d", op->kind, err);
}

static void step(const u8 *b)
{
	struct op op;

	decode(&op, b);
	if (op.kind >= OP_MODELLED) {
		other(&op, b);
		return;
	}
	modelled(&op, b[0] & 0x40 ? 1 + b[7] % 16 : 0);
	if (b[0] & 0x80) {
		model_compare(vol, op.ino);
		model_compare(vol, op.parent);
		model_compare(vol, op.parent2);
	}
}

/* Half of the time whole operations: one is changed, repeated elsewhere, taken out, or a new one put in. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed)
{
	u32 r = seed, n = (u32)(size / 8), i, k;
	u8 *at;

	if (fuzz_random(&r) % 2 || n < 2 || size + 8 > max)
		return LLVMFuzzerMutate(data, size, max);
	at = data + (i = fuzz_random(&r) % n) * 8;
	switch (fuzz_random(&r) % 4) {
	case 0:
		memmove(at, at + 8, size - i * 8 - 8);
		return size - 8;
	case 1:
		at[fuzz_random(&r) % 8] = (u8)fuzz_random(&r);
		return size;
	case 2:
		memmove(at + 8, at, size - i * 8); /* twice; one of them changed a little */
		at[1 + fuzz_random(&r) % 7] = (u8)fuzz_random(&r);
		return size + 8;
	}
	memmove(at + 8, at, size - i * 8);
	for (k = 0; k < 8; k++)
		at[k] = (u8)(k >= 1 && k <= 3 ? fuzz_random(&r) & 0x1f : fuzz_random(&r));
	return size + 8;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u32 n;

	if (!made) {
		fuzz_ram_select(1);
		fuzz_base_full();
		fuzz_ram_select(2);
		fuzz_base_wide();
		fuzz_ram_select(0);
		fuzz_base_empty();
		fuzz_env.durable = note_durable;
		made = true;
	}
	fuzz_compress = !(size && data[0] & 4);
	dones = crashes = 0;
	durable = 0;
	start(size ? (data[0] & 3) % 3 : 0);
	for (n = 1; n <= OPS_MAX && size >= (n + 1) * 8; n++)
		step(data + n * 8);
	model_compare(vol, 0);
	remount();
	fuzz_account(vol);
	FUZZ_CHECK(!tfs_unmount(vol), "unmount failed");
	base = (struct model_base){0, 0};
	model_reset(&base);
	fuzz_end();
	return 0;
}
