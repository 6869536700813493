// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Starting another tool of this package: see tools.h. Called by tfs convert and tfs-backup restore. */
#define _GNU_SOURCE
#include "tfs/user/tools.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *tfs_tool_find(const char *name, char buf[TFS_TOOL_PATH])
{
	static const char *const place[] = {"/", "/../sbin/", "/../bin/"};
	ssize_t n = readlink("/proc/self/exe", buf, TFS_TOOL_PATH - 256);
	char *slash;

	if (n <= 0)
		return name;
	buf[n] = 0;
	slash = strrchr(buf, '/');
	for (size_t i = 0; slash && i < sizeof(place) / sizeof(*place); i++) {
		snprintf(slash, 256, "%s%s", place[i], name);
		if (!access(buf, X_OK))
			return buf;
	}
	return name;
}

pid_t tfs_tool_start(char *const argv[], int in, int out)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	signal(SIGPIPE, SIG_DFL);
	if ((in >= 0 && dup2(in, 0) < 0) || (out >= 0 && dup2(out, 1) < 0))
		_exit(127);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int tfs_tool_end(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
