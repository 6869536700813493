// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Writes the first inputs of fuzz/tar.c into DIR/tar: archives by libarchive in each of its tar formats, with what a
 * format can hold (sparse files, attributes, ACLs, hard links, devices), paths that want to lead out, entries that
 * replace each other, and a few compressed ones. Small, since most mutations hit what they are long with.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char out[1 << 20];
static const char *dir;
static struct archive *a;
static struct archive_entry *e;

static void fail(const char *what)
{
	fprintf(stderr, "fuzz-tar-seeds: %s: %s\n", what,
	        a && archive_error_string(a) ? archive_error_string(a) : strerror(errno));
	exit(1);
}

static void begin(int format, int filter)
{
	a = archive_write_new();
	if (!a || archive_write_set_format(a, format) || (filter && archive_write_add_filter(a, filter)))
		fail("format");
	archive_write_set_bytes_per_block(a, 512);
	archive_write_set_bytes_in_last_block(a, filter ? 1 : 512); /* zstd takes no zeros behind its end */
}

static void entry(const char *path, unsigned type, unsigned mode)
{
	e = archive_entry_new();
	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, mode);
	archive_entry_set_uid(e, 1000);
	archive_entry_set_gid(e, 100);
	archive_entry_set_mtime(e, 1500000000, 0);
	archive_entry_set_size(e, 0);
}

static void put(const void *data, size_t size)
{
	/* what a format cannot hold is left out */
	if (archive_write_header(a, e) >= ARCHIVE_WARN && size)
		archive_write_data(a, data, size);
	archive_entry_free(e);
}

static void file(const char *path, const char *text)
{
	entry(path, AE_IFREG, 0644);
	archive_entry_set_size(e, (la_int64_t)strlen(text));
	put(text, strlen(text));
}

static void folder(const char *path)
{
	entry(path, AE_IFDIR, 0755);
	put(NULL, 0);
}

static void symbolic(const char *path, const char *to)
{
	entry(path, AE_IFLNK, 0777);
	archive_entry_set_symlink(e, to);
	put(NULL, 0);
}

static void hard(const char *path, const char *to)
{
	entry(path, AE_IFREG, 0644);
	archive_entry_set_hardlink(e, to);
	put(NULL, 0);
}

/* ---- contents ---- */

static void plain(void)
{
	folder("d/");
	file("d/f", "some text\n");
	file("empty", "");
	symbolic("d/s", "../empty");
	hard("d/h", "d/f");
	entry("c", AE_IFCHR, 0600);
	archive_entry_set_rdevmajor(e, 1);
	archive_entry_set_rdevminor(e, 3);
	put(NULL, 0);
	entry("p", AE_IFIFO, 0600);
	put(NULL, 0);
}

static void hostile(void)
{
	symbolic("out", "/etc");
	symbolic("up", "..");
	file("ok", "x");
	file("/absolute", "x");
	file("./a/.//b", "x");
	hard("again", "./ok");
	hard("self", "self2");
}

static void replacing(void)
{
	file("x", "file");
	folder("x");
	file("x/y", "in it");
	hard("z", "x/y");
	file("x/y", "another");
	folder("w");
	file("w", "file again");
	hard("w", "z");
	symbolic("z", "w");
	folder("x");
	entry("./", AE_IFDIR, 0700);
	put(NULL, 0);
}

static void names(void)
{
	static char deep[3000], wide[256];
	size_t i;

	for (i = 0; i < 400; i += 2)
		memcpy(deep + i, "a/", 2);
	deep[i] = 0;
	file(deep, "deep");
	memset(wide, 'n', 255);
	file(wide, "wide");
	file("\xff\xfe\x01\x1b[m", "bytes");
	memset(deep, 't', 2500);
	symbolic("long", deep);
}

static void extended(void)
{
	static char big[3000];

	memset(big, 'v', sizeof(big));
	entry("x", AE_IFREG, 0600);
	archive_entry_xattr_add_entry(e, "user.small", "v", 1);
	archive_entry_xattr_add_entry(e, "user.none", "", 0);
	archive_entry_xattr_add_entry(e, "user.big", big, sizeof(big));
	archive_entry_set_mtime(e, -5, 123456789);
	put(NULL, 0);
	entry("acl", AE_IFDIR, 0750);
	archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_USER_OBJ, -1, NULL);
	archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 5, ARCHIVE_ENTRY_ACL_USER, 7, "someone");
	archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 5, ARCHIVE_ENTRY_ACL_GROUP_OBJ, -1, NULL);
	archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_MASK, -1, NULL);
	archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 0, ARCHIVE_ENTRY_ACL_OTHER, -1, NULL);
	archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, 7, ARCHIVE_ENTRY_ACL_USER_OBJ, -1, NULL);
	put(NULL, 0);
}

static void sparse(void)
{
	static char data[3 << 16];
	size_t size = 3 << 16;

	memset(data + 70000, 's', 100);
	memset(data + (2 << 16), 'e', 600);
	entry("sparse", AE_IFREG, 0644);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_sparse_add_entry(e, 70000, 100);
	archive_entry_sparse_add_entry(e, 2 << 16, 600);
	put(data, size);
}

static void text(void)
{
	static char lines[6000];
	size_t i;

	for (i = 0; i < sizeof(lines) - 1; i++)
		lines[i] = (char)("log-structured "[i % 15] + (i >> 9));
	file("text", lines);
	file("more", lines + 2000);
}

/* ---- archives ---- */

static void save(const char *name, size_t used)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tar/%s", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(out, 1, used, f) != used || fclose(f))
		fail(path);
}

static void make(const char *name, int format, int filter, void (*content)(void))
{
	size_t used = 0;

	begin(format, filter);
	if (archive_write_open_memory(a, out, sizeof(out), &used))
		fail(name);
	content();
	archive_write_close(a);
	archive_write_free(a);
	a = NULL;
	save(name, used);
}

static const char *one_path;

static void one(void)
{
	file(one_path, "x");
}

static void hostile_paths(void)
{
	static const char *const path[] = {"..",  "../x", "a/../../x", "a/..",  ".",   "/",
	                                   "./.", "//",   "a//b/",     "/../x", "...", "out/.."};
	char name[32];
	size_t i;

	for (i = 0; i < sizeof(path) / sizeof(*path); i++) {
		snprintf(name, sizeof(name), "path-%zu", i);
		one_path = path[i];
		make(name, ARCHIVE_FORMAT_TAR_USTAR, 0, one);
	}
}

/* A header by hand: libarchive writes neither the old GNU sparse form nor what is wrong. */
static void header(char *h, const char *name, char type, unsigned size)
{
	unsigned sum = 0, i;

	memset(h, 0, 512);
	snprintf(h, 100, "%s", name);
	memcpy(h + 100, "0000644\0000001000\0000000144", 24);
	snprintf(h + 124, 12, "%011o", size);
	memcpy(h + 136, "14000000000", 11);
	h[156] = type;
	memcpy(h + 257, "ustar  ", 8);
	if (type == 'S') {
		snprintf(h + 386, 12, "%011o", 65536);
		snprintf(h + 398, 12, "%011o", 512);
		snprintf(h + 483, 12, "%011o", 200000);
	}
	memset(h + 148, ' ', 8);
	for (i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
}

static void by_hand(void)
{
	memset(out, 0, 4096);
	header(out, "old-sparse", 'S', 512);
	memset(out + 512, 'S', 512);
	save("gnu-sparse", 2048);
	header(out, "././@LongLink", 'L', 513);
	memset(out + 512, 'n', 512);
	memset(out + 1024, 0, 512);
	memcpy(out + 1024, "/x", 2);
	header(out + 1536, "short", '0', 0);
	save("gnu-long", 3072);
	memset(out, 0, 4096);
	header(out, "contiguous", '7', 0);
	header(out + 512, "volume label", 'V', 0);
	header(out + 1024, "dumpdir", 'D', 0);
	header(out + 1536, "directory/", '0', 0);
	save("types", 3072);
	save("cut", 100);
	save("empty", 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int format;
	} forms[] = {{"ustar", ARCHIVE_FORMAT_TAR_USTAR},
	             {"gnu", ARCHIVE_FORMAT_TAR_GNUTAR},
	             {"pax", ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE}};
	static const struct {
		const char *name;
		void (*content)(void);
	} contents[] = {{"plain", plain}, {"hostile", hostile},   {"replacing", replacing},
	                {"names", names}, {"extended", extended}, {"sparse", sparse},
	                {"text", text}};
	char name[4096];
	size_t i, k;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	dir = argv[1];
	snprintf(name, sizeof(name), "%s/tar", dir);
	mkdir(dir, 0777);
	mkdir(name, 0777);
	for (i = 0; i < 3; i++)
		for (k = 0; k < sizeof(contents) / sizeof(*contents); k++) {
			if (i < 2 && contents[k].content == sparse) /* the older forms have no holes */
				continue;
			snprintf(name, sizeof(name), "%s-%s", forms[i].name, contents[k].name);
			make(name, forms[i].format, 0, contents[k].content);
		}
	make("gzip", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP, text);
	make("bzip2", ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_BZIP2, text);
	make("zstd", ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FILTER_ZSTD, sparse);
	make("lz4", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_LZ4, plain);
	hostile_paths();
	by_hand();
	return 0;
}
