// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: fsck on a whole image. The input is image.c's. What is found there: fsck -n writes nothing; fsck -y repairs
 * what it finds, and a second run finds nothing, unless the first one left what nobody can repair; what it calls sound
 * can be walked, changed by operations, and is sound again afterwards.
 */
#include "fuzz/check.h"

/* The encoding and its mutator are that target's own. */
#define LLVMFuzzerTestOneInput fuzz_image_one
#include "fuzz/image.c"
#undef LLVMFuzzerTestOneInput

/* Errors that a hostile image may cause before anything can be repaired. */
static bool refused(int err)
{
	return err == -EINVAL || err == -EUCLEAN || err == -EIO || err == -EOPNOTSUPP || err == -EROFS;
}

static void changed(u32 seed)
{
	struct fuzz_checked c;

	fuzz_use(seed, true);
	fuzz_quiet(true);
	c = fuzz_fsck(MODE_CHECK, false);
	fuzz_quiet(false);
	FUZZ_CHECK(!c.err && !c.found,
	           "fsck: expected a sound volume after operations on a sound one, found %u problems, error %d",
	           c.found, c.err);
}

static void repair(bool data, u32 seed)
{
	struct fuzz_checked first, second;

	fuzz_quiet(true);
	first = fuzz_fsck(MODE_YES, data);
	fuzz_quiet(false);
	FUZZ_CHECK(!first.err || refused(first.err), "fsck: expected a repair, found error %d", first.err);
	if (first.err)
		return;
	fuzz_quiet(true);
	second = fuzz_fsck(MODE_YES, data);
	fuzz_quiet(false);
	FUZZ_CHECK(!second.err, "fsck: expected a second run, found error %d", second.err);
	FUZZ_CHECK(!second.fixed, "fsck: expected nothing to repair after a repair, found %u problems", second.fixed);
	FUZZ_CHECK(first.left || !second.found, "fsck: expected no problem after a repair, found %u", second.found);
	if (first.left)
		return;
	fuzz_walk(true);
	changed(seed);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, data + size};
	u32 seed = fuzz_u8(&in);
	bool verify;

	if (!uses) {
		fuzz_base_logging();
		used = fuzz_base_used(&uses);
	}
	fuzz_ram_reset();
	fuzz_ram_salt(data, size);
	while (fuzz_left(&in) > 5)
		patch(&in);
	verify = seed & 0x80;
	fuzz_no_writes = true;
	fuzz_quiet(true);
	fuzz_fsck(MODE_CHECK, verify);
	fuzz_quiet(false);
	fuzz_no_writes = false;
	repair(verify, seed);
	fuzz_end();
	return 0;
}
