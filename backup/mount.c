// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * `mount`: a backup as a read-only file system, by FUSE. It is read in place, as ls and cat do it (image.c), through the
 * view that serves all that can only be read (tfs/fuse/view.c). Memory: the backup's index, and the caches of fetch.c
 * and of the core, whatever is read.
 */
#include "backup/nanos.h"
#include "tfs/fuse/view.h"

#include <string.h>

static int serve(struct bk_repo *r, struct bk_image *image, u64 sequence, const char *dir)
{
	static const int codes[] = {0, BK_USAGE, BK_HOST, BK_HOST};
	char list[8192] = "default_permissions,subtype=tfs-backup,max_read=1048576", source[4096];
	struct view_host h = {.view = bk_nanos_view(image->vol), .size = image->dev.size};

	if (r->o->allow_other)
		strcat(list, ",allow_other");
	snprintf(source, sizeof(source), "%s:%llu", r->url, (unsigned long long)sequence);
	fuse_source_add(list, sizeof(list), source);
	return codes[view_serve(&h, list, sizeof(list), dir, r->o->foreground)];
}

/* Whether anything can be read is better said now than by every call. */
static int root_check(struct bk_image *image)
{
	struct tfs_attr a;
	int err = tfs_getattr(image->vol, TFS_INO_ROOT, &a);

	return !err          ? 0
	       : image->code ? image->code
	                     : tfs_cli_fail(BK_DAMAGE, NULL, "the backup's root cannot be read: %s", strerror(-err));
}

int bk_cmd_mount(struct bk_repo *r, const char *which, const char *dir)
{
	struct bk_image image;
	struct bk_backup b;
	u64 sequence;
	int code = fuse_place_check(dir, BK_HOST);

	if (!code)
		code = bk_backup_find(r, which, &b);
	if (code)
		return code;
	sequence = b.sequence;
	code = bk_image_open(&image, r, &b);
	bk_backup_free(&b);
	if (code)
		return code;
	code = root_check(&image);
	if (!code)
		code = serve(r, &image, sequence, dir);
	bk_image_close(&image);
	return code;
}
