/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a mounted volume shows, as text, to be held against what its next mount shows: tests/kernel/nomem.c. */
#ifndef TFS_TESTS_SHOWN_H
#define TFS_TESTS_SHOWN_H

#include <stddef.h>

/* Each name below `top` in order, a line each: type and mode, links, owner, size, xattrs, content; then how many inodes
 * there are. What cannot be looked at says so in its line. The caller frees it. NULL: no memory. */
char *shown(const char *top);

/* The first line in which they differ: copied from each, up to `size` bytes. False: they are alike. */
_Bool shown_differ(const char *before, const char *after, char *line_before, char *line_after, size_t size);

#endif
