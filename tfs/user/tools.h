/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* One tool started by another: found beside it, or on PATH, with its standard input or output at a pipe's end. */
#ifndef TFS_USER_TOOLS_H
#define TFS_USER_TOOLS_H

#include <sys/types.h>

#define TFS_TOOL_PATH 4096u
/* Where the tool of this name is: in this program's folder, in sbin or bin beside that, else its name, for PATH. */
const char *tfs_tool_find(const char *name, char buf[TFS_TOOL_PATH]);
/* in, out: descriptors that become standard input and output, or -1: as they are. Negative: errno says why not. */
pid_t tfs_tool_start(char *const argv[], int in, int out);
int tfs_tool_end(pid_t pid); /* waits: its exit code; 128: a signal ended it */

#endif
