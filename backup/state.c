// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What this machine has seen of a repository: the newest manifest's number and digest, in a file of its own. A store
 * that shows an older state than that was rewound. Files: --state DIR, else $XDG_STATE_HOME/tfs-backup, else
 * ~/.local/state/tfs-backup, else /var/lib/tfs-backup. A file that cannot be kept is a warning: backups matter more.
 */
#include "backup/backup.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void path_make(const struct bk_repo *r, char *path, size_t size, const char *end)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char id[33];

	bk_hex(r->config.id, sizeof(r->config.id), id);
	if (r->o->state)
		snprintf(path, size, "%s/%s%s", r->o->state, id, end);
	else if (xdg && *xdg == '/')
		snprintf(path, size, "%s/tfs-backup/%s%s", xdg, id, end);
	else if (home && *home == '/')
		snprintf(path, size, "%s/.local/state/tfs-backup/%s%s", home, id, end);
	else
		snprintf(path, size, "/var/lib/tfs-backup/%s%s", id, end);
}

static void folders_make(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0700);
		*p = '/';
	}
}

static bool state_read(const struct bk_repo *r, u64 *sequence, u8 digest[BK_HASH])
{
	char path[4096], hex[2 * BK_HASH + 1];
	unsigned long long n;
	FILE *f;
	bool ok;

	path_make(r, path, sizeof(path), "");
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fscanf(f, "%llu %64s", &n, hex) == 2 && strlen(hex) == 2 * BK_HASH && bk_unhex(hex, digest, BK_HASH);
	fclose(f);
	if (!ok)
		tfs_cli_warn(path, "is no state of a repository: it is made anew");
	*sequence = ok ? n : 0;
	return ok;
}

void bk_state_save(const struct bk_repo *r)
{
	char path[4096], temp[4096], hex[2 * BK_HASH + 1];
	FILE *f;
	bool ok;

	path_make(r, path, sizeof(path), "");
	path_make(r, temp, sizeof(temp), ".new");
	folders_make(temp);
	bk_hex(r->chain.head_digest, BK_HASH, hex);
	f = fopen(temp, "we");
	ok =
	    f && fprintf(f, "%llu %s\n", (unsigned long long)r->chain.head, hex) > 0 && !fflush(f) && !fsync(fileno(f));
	if (f && fclose(f))
		ok = false;
	if (!ok || rename(temp, path))
		tfs_cli_warn(path, "cannot be written: %s; a store that is rewound is not noticed by this machine",
		             strerror(errno));
}

/* The digest of a manifest, if the chain as it was read tells it. */
static const u8 *digest_of(const struct bk_repo *r, u64 sequence)
{
	const struct bk_listed *l = bk_chain_find(r, sequence);

	for (size_t i = 0; i < r->chain.seens; i++)
		if (r->chain.seen[i].sequence == sequence)
			return r->chain.seen[i].digest;
	return l ? l->digest : NULL;
}

static int rewound(const struct bk_repo *r, u64 sequence, const char *who)
{
	return tfs_cli_fail(
	    BK_REWOUND, r->url,
	    "was set back: its newest manifest is %llu, and %s saw %llu; the store, or who may write to it, "
	    "has removed or replaced backups. Newer ones may be in its older versions; --force goes on "
	    "with what is there",
	    (unsigned long long)r->chain.head, who, (unsigned long long)sequence);
}

int bk_state_check(struct bk_repo *r)
{
	u8 digest[BK_HASH];
	const u8 *now;
	u64 sequence;
	bool bad = false;

	if (r->o->expect > r->chain.head)
		return rewound(r, r->o->expect, "--expect");
	if (state_read(r, &sequence, digest)) {
		now = digest_of(r, sequence);
		bad = sequence > r->chain.head || (now && memcmp(now, digest, BK_HASH));
		if (bad && !r->o->force)
			return rewound(r, sequence, "this machine");
		if (sequence == r->chain.head && !bad)
			return 0;
	}
	bk_state_save(r);
	return 0;
}
