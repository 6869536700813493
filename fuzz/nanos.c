// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Target: a Nanos volume, its log from the input. The first byte says how: whether what is in the input comes behind a
 * sound header (the usual case) or is the device's begin, byte for byte. Read, looked at through every call, checked;
 * then repaired as fsck -y does, which must leave a volume that a second run finds sound.
 */
#include "fuzz/check.h"
#include "fsck/fsck_nanos.h"

#include <stdlib.h>

#define BLOCKS 4200u
static u8 *device;

static int ram_io(struct tfs_dev *dev, enum tfs_io_op op, u64 at, void *buf, u32 bytes, u32 flags)
{
	(void)flags;
	if (at > dev->size || bytes > dev->size - at)
		return -EIO;
	FUZZ_CHECK(op == TFS_IO_READ || !fuzz_no_writes, "nanos: fsck -n wrote");
	memcpy(op == TFS_IO_READ ? (u8 *)buf : device + at, op == TFS_IO_READ ? device + at : (u8 *)buf, bytes);
	return 0;
}

static int ram_flush(struct tfs_dev *dev)
{
	(void)dev;
	return 0;
}

static int name_look(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	static char text[TFS_XATTR_MAX];
	struct nanos_vol *v = arg;
	struct tfs_attr a;
	int n;

	(void)name;
	(void)type;
	(void)next;
	FUZZ_CHECK(len && len <= TFS_NAME_MAX && !memchr(name, '/', len), "nanos: a name that leads elsewhere");
	if (nanos_getattr(v, ino, &a))
		return 0;
	nanos_readlink(v, ino, text, sizeof(text));
	nanos_read(v, ino, 0, text, 4096);
	if (a.size)
		nanos_read(v, ino, a.size - 1, text, 4096);
	nanos_seek(v, ino, 0, true);
	nanos_seek(v, ino, 0, false);
	n = nanos_listxattr(v, ino, text, sizeof(text));
	if (n > 0)
		nanos_getxattr(v, ino, text, (u32)strlen(text), text, sizeof(text));
	return 0;
}

static void look(struct tfs_dev *dev)
{
	struct nanos_vol *v;
	u64 pos;

	if (nanos_open(dev, &fuzz_env, NULL, NULL, &v))
		return;
	for (u32 t = 1; t < v->entries; t++) {
		pos = 0;
		nanos_readdir(v, t, &pos, name_look, v);
	}
	nanos_close(v);
}

static struct fsck run(struct tfs_dev *dev, enum fsck_mode mode, int *err)
{
	static struct fsck f;
	struct fsck_nanos n = {.f = &f, .dev = dev, .force = true};

	memset(&f, 0, sizeof(f));
	f.image = "image";
	f.mode = mode;
	f.quiet = true;
	f.progress.fd = -1;
	fsck_env = fuzz_env;
	*err = fsck_nanos_check(&n);
	if (!*err && mode == MODE_YES && f.fixed && !f.log_kept)
		*err = fsck_nanos_repair(&n, NULL, NULL);
	fsck_nanos_free(&n);
	return f;
}

static void check(struct tfs_dev *dev)
{
	struct fsck f;
	int err;

	fuzz_no_writes = true;
	run(dev, MODE_CHECK, &err);
	fuzz_no_writes = false;
	f = run(dev, MODE_YES, &err);
	if (err || f.left)
		return;
	f = run(dev, MODE_CHECK, &err);
	FUZZ_CHECK(!err && !f.found, "nanos: expected a sound volume after a repair, found %u problems, error %d",
	           f.found, err);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct tfs_dev_ops ops = {ram_io, ram_flush, NULL};
	static const u8 first[] = "NVMTFS\5\1"
	                          "0123456789abcdef"
	                          "l\0\5\1\x88\0\1",
	                later[] = "NVMTFS\5\x88\0";
	struct tfs_dev dev = {.ops = &ops, .size = BLOCKS * NANOS_BLOCK};
	struct fuzz_in in = {data, data + size};
	u32 how = fuzz_u8(&in);

	if (!device)
		device = malloc(BLOCKS * NANOS_BLOCK);
	memset(device, 0, BLOCKS * NANOS_BLOCK);
	if (how & 1) {
		fuzz_bytes(&in, device, BLOCKS * NANOS_BLOCK);
	} else {
		memcpy(device, first, sizeof(first) - 1);
		memcpy(device + NANOS_BLOCK, later, 9);
		if (how & 2)
			device[NANOS_BLOCK + 6] = 4;
		fuzz_bytes(&in, device + NANOS_BLOCK + 9, (NANOS_EXTENSION - 1) * NANOS_BLOCK);
	}
	fuzz_quiet(true);
	look(&dev);
	check(&dev);
	fuzz_quiet(false);
	fuzz_end();
	return 0;
}
