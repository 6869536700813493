// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `ls`, `stat`, `cat`, `find`, `extract` and `tar` of a backup: dump.tfs's own commands on the backup as a volume
 * (image.c), so that they print and refuse what dump.tfs does.
 */
#include "backup/nanos.h"
#include "fsck/dump.h"

static const struct {
	const char *name;
	int (*run)(struct dump *d);
} commands[] = {
    {"ls", dump_cmd_ls},     {"stat", dump_cmd_stat},       {"cat", dump_cmd_cat},
    {"find", dump_cmd_find}, {"extract", dump_cmd_extract}, {"tar", dump_cmd_tar},
};

static int code_of(const struct bk_image *i, int code)
{
	if (i->code)
		return i->code;
	return code == DUMP_DAMAGE ? BK_DAMAGE : code == DUMP_HOST ? BK_HOST : code ? BK_USAGE : 0;
}

static int look(struct bk_repo *r, const char *command, const char *which, char **arg, int args, const char *output)
{
	static struct dump d;
	struct bk_image image;
	struct bk_backup b;
	int code = bk_backup_find(r, which, &b);

	if (code)
		return code;
	code = bk_image_open(&image, r, &b);
	bk_backup_free(&b);
	if (code)
		return code;
	d = (struct dump){.vol = image.vol,
	                  .view = bk_nanos_view(image.vol),
	                  .super = image.front.super,
	                  .image = r->url,
	                  .arg = arg,
	                  .args = args,
	                  .output = output,
	                  .json = r->o->json,
	                  .quiet = r->o->quiet,
	                  .full_lines = r->o->dump_long,
	                  .recursive = r->o->dump_recursive,
	                  .null = r->o->dump_null};
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(command, commands[i].name))
			code = commands[i].run(&d);
	code = code_of(&image, code ? code : d.noted);
	bk_image_close(&image);
	return code;
}

int bk_cmd_look(struct bk_repo *r, const char *command, const char *which, char **arg, int args)
{
	return look(r, command, which, arg, args, NULL);
}

int bk_look_tar(struct bk_repo *r, const char *which, const char *output)
{
	return look(r, "tar", which, NULL, 0, output);
}
