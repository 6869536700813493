// SPDX-License-Identifier: GPL-2.0
/*
 * Reading directories. A batch of entries is copied under sbi->lock and given to user space without it. f_pos: 0 and 1
 * are the dots, then the volume's position plus 2, which stays when other names come and go.
 */
#include "tfs_linux.h"

#include <linux/slab.h>

#define BATCH_BYTES 16384

struct batch {
	u8 *buf;
	u32 used;
};
struct batch_entry {
	u64 ino, next;
	u8 type, len;
	char name[];
};

static int gather(void *arg, const char *name, u32 len, u64 ino, u8 type, u64 next)
{
	struct batch *b = arg;
	struct batch_entry *e = (struct batch_entry *)(b->buf + b->used);
	u32 bytes = ALIGN(sizeof(*e) + len, 8);

	if (b->used + bytes > BATCH_BYTES)
		return 1;
	e->ino = ino;
	e->next = next;
	e->type = type;
	e->len = len;
	memcpy(e->name, name, len);
	b->used += bytes;
	return 0;
}

static bool give(struct dir_context *ctx, const struct batch *b)
{
	u32 at = 0;

	while (at < b->used) {
		const struct batch_entry *e = (const struct batch_entry *)(b->buf + at);

		if (!dir_emit(ctx, e->name, e->len, e->ino, e->type))
			return false;
		ctx->pos = e->next + 2;
		at += ALIGN(sizeof(*e) + e->len, 8);
	}
	return true;
}

static int iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *dir = file_inode(file);
	struct batch b;
	int err = 0;

	if (!dir_emit_dots(file, ctx))
		return 0;
	b.buf = kvmalloc(BATCH_BYTES, GFP_KERNEL);
	if (!b.buf)
		return -ENOMEM;
	do {
		u64 pos = ctx->pos - 2;

		b.used = 0;
		err = tfs_readdir(tfs_enter_inode(dir), dir->i_ino, &pos, gather, &b);
		tfs_leave_inode(dir);
	} while (!err && b.used && give(ctx, &b));
	kvfree(b.buf);
	return tfs_user_err(err);
}

/* Positions use 57 bits. */
static loff_t seek(struct file *file, loff_t offset, int whence)
{
	return generic_file_llseek_size(file, offset, whence, LLONG_MAX, 0);
}

const struct file_operations tfs_dir_ops = {
    .llseek = seek,
    .read = generic_read_dir,
    .iterate_shared = iterate,
    .fsync = tfs_fsync,
    .unlocked_ioctl = tfs_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
};
