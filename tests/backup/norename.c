// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* For LD_PRELOAD: a filesystem without RENAME_NOREPLACE, such as NFS; the directory store then links. With LOST_LINK set
 * the link is done and its answer lost, as a server's may be: the caller sees EEXIST of its own link. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	(void)from_fd, (void)from, (void)to_fd, (void)to, (void)flags;
	errno = EINVAL;
	return -1;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	int (*real)(int, const char *, int, const char *, int) =
	    (int (*)(int, const char *, int, const char *, int))dlsym(RTLD_NEXT, "linkat");
	int result = real(from_fd, from, to_fd, to, flags);

	if (!result && getenv("LOST_LINK")) {
		errno = EEXIST;
		return -1;
	}
	return result;
}
