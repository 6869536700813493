// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* tfs snapshot list: a table for people, all that is known of each for programs. */
#include "admin/admin.h"

static void json_line(const struct tfs_ioc_snapshot *s, const struct tfs_time *created)
{
	struct tfs_line l;
	char id[33];

	for (u32 n = 0; n < sizeof(s->id); n++)
		snprintf(id + 2 * n, 3, "%02x", s->id[n]);
	tfs_line_begin(&l, true, 0, "snapshot");
	tfs_line_bytes(&l, "name", s->name, s->name_len);
	tfs_line_time(&l, "created", created);
	tfs_line_num(&l, "epoch", s->epoch);
	tfs_line_text(&l, "id", id);
	tfs_line_num(&l, "inodes", s->inodes);
	tfs_line_num(&l, "referenced", s->referenced);
	tfs_line_num(&l, "exclusive", s->exclusive);
	tfs_line_num(&l, "holds", s->holds);
	tfs_line_end(&l);
}

static void text_line(const struct tfs_ioc_snapshot *s, const struct tfs_time *created)
{
	char time[48], referenced[16], exclusive[16];

	tfs_time_text(created, time);
	if (strlen(time) > 19 && time[10] == 'T')
		strcpy(time + 19, "Z"); /* to the second */
	printf("%-20s %10s %10s %5u  ", time, tfs_cli_human(s->referenced, referenced),
	       tfs_cli_human(s->exclusive, exclusive), s->holds);
	tfs_cli_print_name(stdout, s->name, s->name_len);
	putchar('\n');
}

int admin_snapshot_list(struct admin *a)
{
	struct tfs_ioc_snapshot s = {0};
	bool head = false;
	int err;

	for (; !(err = snapshot_next(a, &s, true)); s.epoch++) {
		struct tfs_time created = {.sec = tfs_cpu64((u64)s.created), .nsec = tfs_cpu32(s.created_nsec)};

		if (a->json) {
			json_line(&s, &created);
			continue;
		}
		if (!head)
			puts("CREATED              REFERENCED  EXCLUSIVE HOLDS  NAME");
		head = true;
		text_line(&s, &created);
	}
	return err == -ENOENT ? 0 : admin_fail(a, NULL, err);
}
