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
	char path[4096], temp[4096], hex[2 * BK_HASH + 1], end[32];
	u8 digest[BK_HASH];
	u64 seen;
	FILE *f;
	bool ok;

	if (!r->o->force && state_read(r, &seen, digest) && seen > r->chain.head)
		return; /* by another program, which saw more */
	snprintf(end, sizeof(end), ".%ld", (long)getpid());
	path_make(r, path, sizeof(path), "");
	path_make(r, temp, sizeof(temp), end);
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

/* What was seen, and whether the chain as it was read contradicts that. */
static bool contradicts(const struct bk_repo *r, u64 sequence, const u8 digest[BK_HASH])
{
	const u8 *now = digest_of(r, sequence);

	return sequence > r->chain.head || (now && memcmp(now, digest, BK_HASH));
}

int bk_state_check(struct bk_repo *r)
{
	u8 digest[BK_HASH];
	u64 sequence = 0;
	bool known;
	int code;

	if (r->o->expect > r->chain.head)
		return rewound(r, r->o->expect, "--expect");
	known = state_read(r, &sequence, digest);
	if (known && contradicts(r, sequence, digest)) {
		/* another program on this machine may have seen more since the chain was read */
		code = bk_chain_load(r);
		if (code)
			return code;
		if (contradicts(r, sequence, digest) && !r->o->force)
			return rewound(r, sequence, "this machine");
	}
	if (!known || sequence != r->chain.head)
		bk_state_save(r);
	return 0;
}
