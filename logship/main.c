// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* tfs-logship: its commands. Each has a file. */
#include "logship/logship.h"

#include <string.h>

static const struct command {
	const char *name, *what;
	int (*run)(int argc, char **argv);
} commands[] = {
    {"status", "what each rule of a volume has to send", logship_status},
    {"tail", "prints the lines that were not acknowledged", logship_tail},
    {"drain", "sends them, of a mounted volume or an image", logship_drain},
    {"run", "goes on sending, of a mounted volume", logship_run},
    {"receive", "a small collector for RELP and syslog", logship_receive},
};

static void usage(void)
{
	size_t i;

	printf("usage: tfs-logship COMMAND [OPTION]...\n");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].what);
	printf("tfs-logship COMMAND --help says more.\n");
}

int main(int argc, char **argv)
{
	size_t i;

	tfs_cli_start("tfs-logship");
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		usage();
		return tfs_cli_end(0, LOGSHIP_OUTPUT);
	}
	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return tfs_cli_fail(LOGSHIP_USAGE, argc > 1 ? argv[1] : NULL, "expected a command; see tfs-logship --help");
}
