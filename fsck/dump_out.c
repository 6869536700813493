// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What dump.tfs shows beside plain fields (tfs/user/lines.h): pointers, and words for numbers. */
#include "fsck/dump.h"

void dump_begin(struct dump *d, struct tfs_line *l, int indent, const char *what)
{
	tfs_line_begin(l, d->json, indent, what);
}

void dump_begin_tall(struct dump *d, struct tfs_line *l, const char *what)
{
	tfs_line_begin_tall(l, d->json, what);
}

void dump_ptr(struct tfs_line *l, const struct tfs_disk_ptr *p)
{
	tfs_line_num(l, "addr", tfs_le64(p->addr));
	tfs_line_num(l, "len", tfs_le16(p->len));
	tfs_line_num(l, "birth", tfs_le64(p->birth));
	tfs_line_hex(l, "crc", tfs_le32(p->crc), 8);
	tfs_line_bool(l, "gang", tfs_le16(p->flags) & TFS_PTR_GANG);
}

char *dump_mode_text(u32 mode, char out[12])
{
	static const char types[] = "?pc?d?b?-?l?s???";

	snprintf(out, 12, "%crwxrwxrwx", types[mode >> 12 & 15]);
	for (int i = 0; i < 9; i++)
		if (!(mode >> (8 - i) & 1))
			out[1 + i] = '-';
	if (mode & 04000)
		out[3] = mode & 0100 ? 's' : 'S';
	if (mode & 02000)
		out[6] = mode & 010 ? 's' : 'S';
	if (mode & 01000)
		out[9] = mode & 1 ? 't' : 'T';
	return out;
}

const char *dump_codec_text(u32 codec)
{
	return codec == TFS_CODEC_NONE   ? "none"
	       : codec == TFS_CODEC_LZ4  ? "lz4"
	       : codec == TFS_CODEC_ZLIB ? "zlib"
	                                 : "unknown";
}
