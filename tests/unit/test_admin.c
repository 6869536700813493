// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Requests of tfs/ioctl.h: what is not of a request must be zero, names are checked, numbers that are not known are
 * ENOTTY; batches of items put together are all items; a snapshot that was deleted reads as stale in a view of it, and
 * the volume goes on being read and written around views.
 */
#include "tests/unit/ram.h"

#include "tfs/ioctl.h"

static u64 snapshot_make(const char *name)
{
	struct tfs_ioc_snapshot s = {.name_len = (u32)strlen(name)};

	memcpy(s.name, name, s.name_len);
	assert_int_equal(tfs_admin(vol, TFS_IOC_SNAPSHOT_CREATE, &s), 0);
	return s.epoch;
}

static u64 file_make(const char *name)
{
	struct tfs_create c = {.mode = 0100644};
	u64 ino;

	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, name, (u32)strlen(name), &c, &ino), 0);
	return ino;
}

/* Each 4 bytes of a request that are set where it wants zeros are refused: `given` bytes at the front are its own. */
static void zeros_wanted(u32 request, const void *good, u32 bytes, u32 given)
{
	u8 *arg = malloc(bytes);

	for (u32 at = given; at + 4 <= bytes; at += 4) {
		memcpy(arg, good, bytes);
		arg[at] ^= 1;
		if (tfs_admin(vol, request, arg) != -EINVAL)
			fail_msg("request %08x takes something at byte %u", request, at);
	}
	free(arg);
}

static void reserved(void **state)
{
	struct tfs_ioc_snapshot s = {0};
	struct tfs_ioc_info info = {0};
	struct tfs_ioc_spread spread = {.count = 1};
	struct tfs_ioc_compact step = {.what = TFS_COMPACT_STEP, .blocks = 4}, mode = {.what = TFS_COMPACT_OFF};
	struct tfs_ioc_defrag defrag = {.ino = 1, .last = TFS_INO_MAX, .blocks = 1, .places = 2};
	struct tfs_ioc_defrag wrong[] = {{.ino = 0, .last = 1, .blocks = 1, .places = 2},
	                                 {.ino = TFS_INO_MAX + 1, .last = 1, .blocks = 1, .places = 2},
	                                 {.ino = 1, .last = TFS_INO_MAX + 1, .blocks = 1, .places = 2},
	                                 {.ino = 1, .block = 1ull << 56, .last = 1, .blocks = 1, .places = 2},
	                                 {.ino = 1, .last = 1, .blocks = 0, .places = 2},
	                                 {.ino = 1, .last = 1, .blocks = 4097, .places = 2},
	                                 {.ino = 1, .last = 1, .blocks = 1, .places = 1},
	                                 {.ino = 1, .last = 1, .blocks = 1, .places = 2, .flags = 2}};
	static struct tfs_ioc_items items;
	static struct tfs_ioc_raw raw;

	(void)state;
	ram_format(32u << 20);
	s.epoch = snapshot_make("one");
	zeros_wanted(TFS_IOC_INFO, &info, sizeof(info), 0);
	zeros_wanted(TFS_IOC_SPREAD, &spread, sizeof(spread), 16);
	zeros_wanted(TFS_IOC_SNAPSHOT_NEXT, &s, sizeof(s), 12);
	zeros_wanted(TFS_IOC_SNAPSHOT_DELETE, &s, sizeof(s), 8);
	zeros_wanted(TFS_IOC_SNAPSHOT_HOLD, &s, sizeof(s), 8);
	zeros_wanted(TFS_IOC_SNAPSHOT_RELEASE, &s, sizeof(s), 8);
	s.name_len = 3;
	memcpy(s.name, "new", 3);
	zeros_wanted(TFS_IOC_SNAPSHOT_RENAME, &s, sizeof(s), 20);
	s.epoch = 0;
	zeros_wanted(TFS_IOC_SNAPSHOT_CREATE, &s, sizeof(s), 20);
	zeros_wanted(TFS_IOC_COMPACT, &step, sizeof(step), 16);
	zeros_wanted(TFS_IOC_COMPACT, &mode, sizeof(mode), 4);
	zeros_wanted(TFS_IOC_DEFRAG, &defrag, sizeof(defrag), 36);
	for (u32 i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(tfs_admin(vol, TFS_IOC_DEFRAG, &wrong[i]), -EINVAL);
	assert_int_equal(tfs_admin(vol, TFS_IOC_DEFRAG, &defrag), 0);
	for (u32 at = 52; at < offsetof(struct tfs_ioc_items, data); at += 4) {
		memset(&items, 0, sizeof(items));
		((u8 *)&items)[at] = 1;
		assert_int_equal(tfs_admin(vol, TFS_IOC_ITEMS, &items), -EINVAL);
	}
	for (u32 at = 28; at < offsetof(struct tfs_ioc_raw, data); at += 4) {
		memset(&raw, 0, sizeof(raw));
		raw.snapshot = s.epoch;
		((u8 *)&raw)[at] = 1;
		assert_int_equal(tfs_admin(vol, TFS_IOC_RAW, &raw), -EINVAL);
	}
	assert_int_equal(tfs_admin(vol, TFS_IOC_INFO + 1, &info), -ENOTTY);
	assert_int_equal(tfs_admin(vol, TFS_IOC(1, u64), &info), -ENOTTY);
	assert_int_equal(tfs_admin(vol, TFS_IOC_INFO, &info), 0);
	assert_int_equal(info.snapshots, 1);
	assert_true(info.requests >> 23 & 1 && !(info.requests >> 24 & 1));
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

static void names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b"};
	struct tfs_ioc_snapshot s = {0};

	(void)state;
	ram_format(32u << 20);
	for (u32 i = 0; i < 4; i++) {
		memset(&s, 0, sizeof(s));
		s.name_len = (u32)strlen(bad[i]);
		memcpy(s.name, bad[i], s.name_len);
		assert_int_equal(tfs_admin(vol, TFS_IOC_SNAPSHOT_CREATE, &s), -EINVAL);
	}
	memset(s.name, 'a', 256);
	s.name_len = 256;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SNAPSHOT_CREATE, &s), -ENAMETOOLONG);
	s.name_len = 257;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SNAPSHOT_CREATE, &s), -EINVAL);
	memset(&s, 0, sizeof(s));
	s.name_len = 3;
	memcpy(s.name, "a\0b", 3);
	assert_int_equal(tfs_admin(vol, TFS_IOC_SNAPSHOT_CREATE, &s), -EINVAL);
	snapshot_make("one");
	memset(&s, 0, sizeof(s));
	s.name_len = 3;
	memcpy(s.name, "one", 3);
	assert_int_equal(tfs_admin(vol, TFS_IOC_SNAPSHOT_CREATE, &s), -EEXIST);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

/* Rules and cursors of log forwarding, as a sender outside of the kernel works with them. */
static void forwarding(void **state)
{
	struct tfs_ioc_ship_rule r = {.ino = TFS_INO_ROOT, .pattern_len = 2, .target_len = 10}, next = {0};
	struct tfs_ioc_ship_cursor c = {0};
	static struct tfs_ioc_ship_files q;
	static struct tfs_ioc_ship_read read;
	static u8 data[TFS_BLOCK];
	struct tfs_encoded e = {.blocks = 1, .bytes = TFS_BLOCK, .buf = data};
	u64 before, ino, rule;

	(void)state;
	ram_format(32u << 20);
	memcpy(r.pattern, "l*", 2);
	memcpy(r.target, "udp://[::]", 10);
	before = file_make("l0");
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_NEXT, &next), -ENOENT);
	for (u32 at = offsetof(struct tfs_ioc_ship_rule, reserved);
	     at < offsetof(struct tfs_ioc_ship_rule, target) + 1024; at += 4) {
		struct tfs_ioc_ship_rule bad = r;

		if (at / 4 == offsetof(struct tfs_ioc_ship_rule, pattern) / 4 ||
		    (at >= offsetof(struct tfs_ioc_ship_rule, target) &&
		     at < offsetof(struct tfs_ioc_ship_rule, target) + 12))
			continue;
		((u8 *)&bad)[at] = 1;
		assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ADD, &bad), -EINVAL);
	}
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ADD, &r), 0);
	rule = next.rule = r.rule;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_NEXT, &next), 0);
	assert_memory_equal(next.pattern, "l*", 3);
	assert_string_equal(next.target, "udp://[::]");
	ino = file_make("l1");
	file_make("m");
	memset(data, 'x', 3000);
	assert_int_equal(tfs_write(vol, ino, 0, &e, 3000, NULL), 0);

	q.rule = rule; /* what was there before has no cursor */
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_FILES, &q), 0);
	assert_true(q.count == 1 && !q.more && q.file[0].ino == ino && q.file[0].size == 3000 && !q.file[0].acked);
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_FILES, &q), -EINVAL); /* as it came back */
	c = (struct tfs_ioc_ship_cursor){.rule = rule, .ino = before};
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ACKED, &c), -ENOENT);
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_MARK, &c), 0);
	c.acked = 1;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ACKED, &c), -EINVAL);
	c = (struct tfs_ioc_ship_cursor){.rule = rule, .ino = ino, .acked = 2000};
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ACKED, &c), 0);
	c.acked = 1000; /* it does not go back */
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ACKED, &c), 0);
	read.ino = ino;
	read.offset = 2000;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_READ, &read), 0);
	assert_true(read.bytes == 1000 && read.data[999] == 'x');
	assert_int_equal(tfs_truncate(vol, ino, 1500), 0);
	c.acked = 3000; /* the rest of what was there before arrives */
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ACKED, &c), 0);
	c.acked = 1500;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ACKED, &c), -ESTALE);
	memset(&read, 0, sizeof(read));
	read.ino = ino;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_READ, &read), -ESTALE);
	read.generation = 1;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_READ, &read), 0);
	assert_int_equal(read.bytes, 1500);
	memset(&q, 0, sizeof(q));
	q.rule = rule;
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_FILES, &q), 0);
	assert_true(q.count == 2 && q.file[1].acked == 1500 && q.file[1].generation == 1);
	next = (struct tfs_ioc_ship_rule){.rule = rule};
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_REMOVE, &next), 0);
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_REMOVE, &next), -ENOENT);
	assert_int_equal(tfs_admin(vol, TFS_IOC_SHIP_ACKED, &c), -ENOENT);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

/* More rules than an item holds; those that are gone make room. */
static void forwarding_full(void **state)
{
	u64 rule, dir = 0;
	struct tfs_create d = {.mode = 0040755};
	char target[TFS_SHIP_TARGET_MAX + 1];

	(void)state;
	ram_format(32u << 20);
	memset(target, 't', sizeof(target));
	assert_int_equal(tfs_create(vol, TFS_INO_ROOT, "d", 1, &d, &dir), 0);
	assert_int_equal(tfs_ship_add(vol, dir, "", 0, target, TFS_SHIP_TARGET_MAX + 1, 0, &rule), -EINVAL);
	for (u32 i = 0; i < 2 * TFS_SHIP_RULES_MAX; i++) {
		assert_int_equal(tfs_ship_add(vol, i % 2 ? dir : TFS_INO_ROOT, target, TFS_SHIP_PATTERN_MAX, target,
		                              TFS_SHIP_TARGET_MAX, 0, &rule),
		                 0);
	}
	assert_int_equal(tfs_ship_add(vol, dir, "", 0, "x", 1, 0, &rule), -EMLINK);
	assert_int_equal(tfs_rename(vol, TFS_INO_ROOT, "d", 1, TFS_INO_ROOT, "e", 1, 0, &(u64){0}), 0); /* gets none */
	assert_int_equal(tfs_ship_remove(vol, rule), 0);
	assert_int_equal(tfs_ship_mark(vol, dir, rule - 1, 0), 0); /* another's: there is room for one */
	assert_int_equal(tfs_ship_add(vol, dir, "", 0, "x", 1, 0, &rule), -EMLINK);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

#define FILES 3000u
static u32 found[FILES + 16];

/* Items of all batches: how many, and each inode of the files once. */
static u32 items_count(u64 older, u64 newer, u32 flags)
{
	static struct tfs_ioc_items q;
	u32 n = 0, at;
	u64 a = 0, b = 0;

	memset(found, 0, sizeof(found));
	do {
		memset(&q, 0, offsetof(struct tfs_ioc_items, data));
		q.older = older;
		q.newer = newer;
		q.flags = flags;
		q.a = a;
		q.b = b;
		assert_int_equal(tfs_admin(vol, TFS_IOC_ITEMS, &q), 0);
		for (at = 0; at < q.bytes; n++) {
			struct tfs_ioc_item i;

			memcpy(&i, q.data + at, sizeof(i));
			assert_true(i.bytes % 8 == 0 && i.bytes >= sizeof(i) && i.bytes <= q.bytes - at);
			assert_true(i.a > a || (i.a == a && i.b >= b));
			found[i.a < FILES ? i.a : FILES] += i.b >> TFS_POS_BITS == TFS_IT_INODE;
			at += i.bytes;
		}
		a = q.a;
		b = q.b;
	} while (q.more);
	return n;
}

static void batches(void **state)
{
	char name[16];
	u64 one, two, ino;

	(void)state;
	ram_format(64u << 20);
	one = snapshot_make("one");
	for (u32 i = 0; i < FILES - 10; i++) {
		ino = file_make((snprintf(name, sizeof(name), "f%u", i), name));
		if (i % 2) /* larger values than fit many times into a batch */
			assert_int_equal(tfs_setxattr(vol, ino, "user.x", 6, found, 1500, 0), 0);
	}
	two = snapshot_make("two");
	/* the root, and an inode and a name for each; an attribute for every second */
	assert_int_equal(items_count(0, two, 0), 1 + 2 * (FILES - 10) + (FILES - 10) / 2);
	assert_int_equal(items_count(0, 0, TFS_ITEMS_VALUES), 1 + 2 * (FILES - 10) + (FILES - 10) / 2);
	assert_int_equal(items_count(0, one, 0), 1);
	assert_int_equal(items_count(one, two, 0), 1 + 2 * (FILES - 10) + (FILES - 10) / 2);
	assert_int_equal(items_count(one, 0, TFS_ITEMS_VALUES), 1 + 2 * (FILES - 10) + (FILES - 10) / 2);
	for (u32 i = 2; i < FILES - 8; i++)
		assert_int_equal(found[i], 1);
	assert_int_equal(items_count(two, 0, 0), 0);
	tfs_unlink(vol, TFS_INO_ROOT, "f7", 2, false, &ino);
	while (tfs_evict(vol, ino) > 0)
		;
	assert_int_equal(items_count(two, 0, 0), 1 + 2 + 1);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

/* A view for a few calls, with changes and a checkpoint in pieces between them. */
static void views(void **state)
{
	struct tfs_view view;
	u64 epoch, ino, at;
	u8 type;

	(void)state;
	ram_format(32u << 20);
	file_make("old");
	epoch = snapshot_make("one");
	assert_int_equal(tfs_view_find(vol, epoch + 1, &view), -ENOENT);
	assert_int_equal(tfs_view_find(vol, epoch, &view), 0);
	file_make("new");
	for (u32 i = 0; i < 40; i++) {
		char name[16];

		file_make((snprintf(name, sizeof(name), "more%u", i), name));
		tfs_checkpoint_step(vol, 1);
		tfs_view_enter(vol, &view);
		assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, "old", 3, &ino, &type), 0);
		assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, "new", 3, &at, &type), -ENOENT);
		assert_int_equal(tfs_unlink(vol, TFS_INO_ROOT, "old", 3, false, &at), -EROFS);
		tfs_view_leave(vol);
		assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, "new", 3, &ino, &type), 0);
	}
	assert_int_equal(tfs_checkpoint(vol), 0);
	assert_int_equal(tfs_snapshot_delete(vol, epoch), 0);
	tfs_view_enter(vol, &view);
	assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, "old", 3, &ino, &type), -ESTALE);
	tfs_view_leave(vol);
	while (tfs_snapshot_step(vol) > 0)
		;
	assert_int_equal(tfs_lookup(vol, TFS_INO_ROOT, "old", 3, &ino, &type), 0);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

static int raw_ask(u64 snapshot, u64 offset, u32 bytes, u64 to)
{
	static struct tfs_ioc_raw q;

	memset(&q, 0, sizeof(q));
	q.snapshot = snapshot;
	q.offset = offset;
	q.bytes = bytes;
	q.to = to;
	return tfs_admin(vol, TFS_IOC_RAW, &q) ?: bytes && memcmp(q.data, ram + offset, bytes);
}

/* The blocks of the snapshot's root node, as the device has them. */
static u64 root_of(u64 epoch, u8 *out)
{
	struct tfs_ioc_snapshot s = {.epoch = epoch};
	u64 at;

	assert_int_equal(tfs_admin(vol, TFS_IOC_SNAPSHOT_NEXT, &s), 0);
	assert_int_equal(s.epoch, epoch);
	at = tfs_le64(s.fs.addr) * TFS_UNIT / TFS_BLOCK * TFS_BLOCK;
	assert_true(at >= TFS_SEGMENTS_OFFSET);
	memcpy(out, ram + at, TFS_BLOCK);
	return at;
}

/* Blocks are read while the snapshot is there, and are what they were; then no more. */
static void blocks(void **state)
{
	u64 epoch, at, size = 32u << 20;
	u8 root[TFS_BLOCK];
	char name[16];

	(void)state;
	ram_format(size);
	file_make("old");
	epoch = snapshot_make("one");
	at = root_of(epoch, root);
	assert_int_equal(raw_ask(epoch, at, TFS_BLOCK, 0), 0);
	assert_int_equal(raw_ask(epoch, 0, 0, 0), 0);
	assert_int_equal(raw_ask(epoch, size - TFS_BLOCK, TFS_BLOCK, 0), 0);
	assert_int_equal(raw_ask(epoch, size, TFS_BLOCK, 0), -EINVAL);
	assert_int_equal(raw_ask(epoch, ~0ull / TFS_BLOCK * TFS_BLOCK, TFS_BLOCK, 0), -EINVAL);
	assert_int_equal(raw_ask(epoch, at, TFS_IOC_RAW_DATA + TFS_BLOCK, 0), -EINVAL);
	assert_int_equal(raw_ask(epoch, at + 512, TFS_BLOCK, 0), -EINVAL);
	assert_int_equal(raw_ask(epoch, at, 512, 0), -EINVAL);
	assert_int_equal(raw_ask(epoch, at, TFS_BLOCK, 1), -EOPNOTSUPP);
	assert_int_equal(raw_ask(epoch + 1, at, TFS_BLOCK, 0), -ENOENT);
	assert_int_equal(raw_ask(0, at, TFS_BLOCK, 0), -ENOENT);
	for (u32 i = 0; i < 400; i++) { /* the old root is superseded again and again, its segment emptied */
		file_make((snprintf(name, sizeof(name), "f%u", i), name));
		assert_int_equal(tfs_checkpoint(vol), 0);
		assert_true(tfs_compact_step(vol, 64, TFS_COMPACT_NOW | TFS_COMPACT_FORCE) >= 0);
	}
	assert_memory_equal(ram + at, root, TFS_BLOCK);
	assert_int_equal(raw_ask(epoch, at, TFS_BLOCK, 0), 0);
	assert_int_equal(tfs_snapshot_delete(vol, epoch), 0);
	assert_int_equal(raw_ask(epoch, at, TFS_BLOCK, 0), -ENOENT);
	assert_int_equal(tfs_unmount(vol), 0);
	ram_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reserved),       cmocka_unit_test(names),
	                                   cmocka_unit_test(batches),        cmocka_unit_test(views),
	                                   cmocka_unit_test(blocks),         cmocka_unit_test(forwarding),
	                                   cmocka_unit_test(forwarding_full)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
