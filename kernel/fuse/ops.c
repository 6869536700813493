// SPDX-License-Identifier: GPL-2.0
/* The table of operations, and what is agreed on with the kernel when the session begins. */
#include "kernel/fuse/fuse_host.h"

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned acls = FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;
	struct host *h = userdata;

	/* the kernel removes set-id bits itself and tells us the new mode */
	conn->want &= ~(unsigned)(FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_ATOMIC_O_TRUNC);
	conn->want |= conn->capable & (FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS);
	h->acls = (conn->capable & acls) == acls;
	if (h->acls)
		conn->want |= acls;
	conn->max_write = conn->max_read = HOST_READ_MAX;
	conn->time_gran = 1;
}

const struct fuse_lowlevel_ops host_ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .symlink = op_symlink,
    .create = op_create,
    .link = op_link,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .fsyncdir = op_fsyncdir,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .setxattr = op_setxattr,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .removexattr = op_removexattr,
    .statfs = op_statfs,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .flush = op_flush,
    .release = op_release,
    .fsync = op_fsync,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .copy_file_range = op_copy_file_range,
    .ioctl = op_ioctl,
};
