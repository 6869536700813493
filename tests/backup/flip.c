// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * bk-flip REPOSITORY STEP IMAGE: in a repository with one backup, every STEPth byte of every object is changed, every
 * object is cut by a byte, removed, and swapped with another of its kind. Each time `verify --read-data` and `restore`
 * must say so. The two are called in this process, thousands of times. What restore does not look at it cannot notice: the
 * first bytes of a pack (8, where prune made it 32) and lists of what is condemned; then it must restore what it did before
 * the change, byte for byte. Prints how many changes were tried.
 */
#define _GNU_SOURCE
#include "backup/backup.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct object {
	char *path;
	u8 *data;
	size_t len;
};
static struct object object[4096];
static size_t objects;
static const char *repo, *image;
static bool prunes; /* it has moved lists */
static u64 tried, missed, elsewhere;
static struct bk_options o = {.quiet = true, .read_percent = 100};

static int object_add(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct object *b = &object[objects];
	FILE *f;

	(void)ftw;
	if (type != FTW_F)
		return 0;
	if (objects == sizeof(object) / sizeof(*object))
		return -1;
	*b = (struct object){strdup(path), malloc((size_t)st->st_size + 1), (size_t)st->st_size};
	f = fopen(path, "r");
	if (!f || fread(b->data, 1, b->len, f) != b->len)
		return -1;
	fclose(f);
	objects++;
	prunes = prunes || strstr(path, "/moved/");
	return 0;
}

static void put(const struct object *b, const u8 *data, size_t len)
{
	FILE *f = fopen(b->path, "w");

	if (!f || (len && fwrite(data, 1, len, f) != len) || fclose(f))
		exit(3);
}

static int verify(void)
{
	struct bk_repo r;
	int code = bk_repo_open(&r, repo, &o, true);

	if (!code)
		code = bk_cmd_verify(&r);
	bk_repo_close(&r);
	return code;
}

static int restore(void)
{
	struct bk_repo r;
	int code;

	unlink(image);
	code = bk_repo_open(&r, repo, &o, true);
	if (!code)
		code = bk_cmd_restore(&r, "latest");
	bk_repo_close(&r);
	return code;
}

static bool is_pack(const struct object *b)
{
	return strstr(b->path, "/packs/") != NULL;
}

/* What was restored before anything was changed; blocks that are drawn anew by each restore (anchors) do not count. */
static char right[4096];
static bool anew[1 << 16];

static bool as_before(bool first)
{
	static u8 a[TFS_BLOCK], b[TFS_BLOCK];
	FILE *x = fopen(image, "r"), *y = fopen(right, "r");
	size_t n = 1, m, block = 0, differ = 0;

	for (; x && y && n && block < sizeof(anew); block++) {
		n = fread(a, 1, sizeof(a), x);
		m = fread(b, 1, sizeof(b), y);
		if (n == m && !memcmp(a, b, n))
			continue;
		if (first)
			anew[block] = true;
		differ += n != m || first || !anew[block];
	}
	if (x)
		fclose(x);
	if (y)
		fclose(y);
	return x && y && !n && differ <= (first ? 4u : 0u);
}

/* blind: restore does not look there. */
static void check(const struct object *b, const char *what, size_t at, bool blind)
{
	int v = verify(), s = restore();

	tried++;
	if (v && s)
		return;
	if (v && blind && as_before(false)) {
		elsewhere++;
		return;
	}
	missed++;
	printf("%s: %s %zu: not noticed by %s\n", b->path, what, at, v ? "restore" : "verify");
}

static bool is_blind(const struct object *b, size_t at)
{
	return is_pack(b) ? at < sizeof(struct bk_head) + (prunes ? BK_NONCE : 0)
	                  : strstr(b->path, "/condemned/") != NULL;
}

static void flips(const struct object *b, size_t step)
{
	u8 *data = malloc(b->len + 1);
	size_t every = b->len < 2000 && step > 1 ? (step + 7) / 8 : step;

	memcpy(data, b->data, b->len);
	for (size_t i = tried % every; i < b->len; i += every) {
		data[i] ^= (u8)(1u << (i * 5 + tried) % 8);
		put(b, data, b->len);
		check(b, "byte", i, is_blind(b, i));
		data[i] = b->data[i];
	}
	if (b->len) {
		put(b, data, b->len - 1);
		check(b, "cut at", b->len - 1, is_blind(b, SIZE_MAX));
	}
	unlink(b->path);
	check(b, "removed", 0, is_blind(b, SIZE_MAX));
	put(b, b->data, b->len);
	free(data);
}

/* Where one object's content stands under another's name, both of one folder. */
static void swaps(const struct object *b)
{
	for (size_t i = 0; i < objects; i++) {
		const char *kind = is_pack(b)                   ? "/packs/"
		                   : strstr(b->path, "/index/") ? "/index/"
		                   : strstr(b->path, "/moved/") ? "/moved/"
		                                                : NULL;

		if (&object[i] == b || !kind || !strstr(object[i].path, kind))
			continue;
		put(b, object[i].data, object[i].len);
		check(b, "swapped with", i, false);
	}
	put(b, b->data, b->len);
}

int main(int argc, char **argv)
{
	int v, s;

	if (argc != 4 || !freopen("/dev/null", "w", stderr))
		return 2;
	repo = argv[1];
	image = argv[3];
	o.to = image;
	o.store = tfs_store_options_new();
	tfs_cli_start("bk-flip");
	if (nftw(repo, object_add, 16, FTW_PHYS))
		return 2;
	snprintf(right, sizeof(right), "%s.right", image);
	v = verify();
	s = restore();
	if (!s && !rename(image, right))
		s = restore();
	if (v || s || !as_before(true)) {
		printf("the repository is not whole before: verify %d, restore %d\n", v, s);
		return 2;
	}
	for (size_t i = 0; i < objects; i++) {
		flips(&object[i], strtoul(argv[2], NULL, 0));
		swaps(&object[i]);
	}
	if (verify()) {
		printf("the repository is not whole afterwards\n");
		return 2;
	}
	unlink(right);
	printf("%llu changes, %llu of them where restore does not look, %llu not noticed\n", (unsigned long long)tried,
	       (unsigned long long)elsewhere, (unsigned long long)missed);
	return missed ? 1 : 0;
}
