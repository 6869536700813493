// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations. A folio that becomes dirty holds one block, marked by its private flag, until its write back is over.
 * The core is asked for a window's worth at a time; what is not with a folio waits in sbi->pool.
 * A reservation whose block was written is spent: it goes back to the core, a window's worth at a time too, and never
 * to another folio.
 */
#include "tfs_linux.h"

#include <linux/backing-dev.h>

#define CHUNK TFS_WINDOW_BLOCKS
#define POOL_MAX (4 * CHUNK)

static bool pool_take(struct tfs_sb *s)
{
	bool got;

	spin_lock(&s->pool_lock);
	got = s->pool > 0;
	s->pool -= got;
	spin_unlock(&s->pool_lock);
	return got;
}

static int reserve(struct super_block *sb)
{
	struct tfs_sb *s = tfs_sb(sb);
	int err;

	if (pool_take(s))
		return 0;
	err = tfs_reserve(tfs_enter(sb), CHUNK);
	tfs_leave(sb);
	if (err)
		return err;
	spin_lock(&s->pool_lock);
	s->pool += CHUNK - 1;
	spin_unlock(&s->pool_lock);
	return 0;
}

/* Writes back every file and waits. (try_to_writeback_inodes_sb leaves it at a run that is under way.) The caller may
 * hold i_rwsem and mmap_lock; writing back takes neither. */
static void write_back_all(struct super_block *sb)
{
	if (!down_read_trylock(&sb->s_umount))
		return;
	writeback_inodes_sb(sb, WB_REASON_FS_FREE_SPACE);
	up_read(&sb->s_umount);
}

bool tfs_space_retry(struct super_block *sb, int err, bool *again)
{
	if (err != -ENOSPC || *again)
		return false;
	*again = true;
	tfs_pool_drain(tfs_sb(sb));
	write_back_all(sb);
	return true;
}

static bool preallocated(struct inode *inode, pgoff_t block)
{
	int got = tfs_preallocated(tfs_enter(inode->i_sb), inode->i_ino, block, 1);

	tfs_leave(inode->i_sb);
	return got > 0;
}

/* What is promised at full size may turn out smaller: write back, this file first, then the others. What fallocate
 * promised needs nothing else, unless it was written meanwhile: tfs_reservation_keep asks again. */
int tfs_reserve_block(struct inode *inode, pgoff_t block)
{
	int err = reserve(inode->i_sb), tries;

	if (err == -ENOSPC && preallocated(inode, block))
		return TFS_PREALLOCATED;
	for (tries = 0; err == -ENOSPC && tries < 3; tries++) {
		filemap_fdatawrite(inode->i_mapping);
		if (tries)
			write_back_all(inode->i_sb);
		err = reserve(inode->i_sb);
	}
	return tfs_user_err(err);
}

static unsigned int surplus(struct tfs_sb *s, unsigned int n, unsigned int keep)
{
	unsigned int chunks = 0;

	spin_lock(&s->pool_lock);
	s->pool += n;
	if (s->pool > keep)
		chunks = (s->pool - keep) / CHUNK;
	s->pool -= chunks * CHUNK;
	spin_unlock(&s->pool_lock);
	return chunks;
}

static void give_back(struct tfs_sb *s, unsigned int chunks)
{
	struct tfs_vol *vol;

	if (!chunks)
		return;
	vol = tfs_enter(s->sb);
	while (chunks--)
		tfs_unreserve(vol, CHUNK);
	tfs_leave(s->sb);
}

void tfs_unreserve_blocks(struct super_block *sb, unsigned int n)
{
	give_back(tfs_sb(sb), surplus(tfs_sb(sb), n, POOL_MAX));
}

void tfs_unreserve_block(struct super_block *sb, int got)
{
	if (got != TFS_PREALLOCATED)
		tfs_unreserve_blocks(sb, 1);
}

void tfs_reservations_spent(struct super_block *sb, unsigned int n)
{
	struct tfs_sb *s = tfs_sb(sb);
	unsigned int chunks;

	spin_lock(&s->pool_lock);
	s->spent += n;
	chunks = s->spent / CHUNK;
	s->spent %= CHUNK;
	spin_unlock(&s->pool_lock);
	give_back(s, chunks);
}

/* All that makes whole chunks; what is left counts as spent, so that none is given out twice. */
void tfs_pool_drain(struct tfs_sb *s)
{
	unsigned int sum;

	spin_lock(&s->pool_lock);
	sum = s->pool + s->spent;
	s->pool = 0;
	s->spent = sum % CHUNK;
	spin_unlock(&s->pool_lock);
	give_back(s, sum / CHUNK);
}

/* With the folio locked no write back of it begins, and when none is under way the promise stays what it is. */
int tfs_reservation_keep(struct folio *folio, int got)
{
	struct inode *inode = folio->mapping->host;

	if (got == TFS_PREALLOCATED) {
		folio_wait_writeback(folio);
		return preallocated(inode, folio->index) ? 0 : -EAGAIN;
	}
	if (folio_test_private(folio))
		tfs_unreserve_blocks(inode->i_sb, 1);
	else
		folio_attach_private(folio, (void *)1);
	return 0;
}

bool tfs_reservation_take(struct folio *folio)
{
	if (!folio_test_private(folio))
		return false;
	folio_detach_private(folio);
	return true;
}
