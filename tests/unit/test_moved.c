// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* backup/moved_write.c: lists that are written as one lead where the lists led, in one step each, and to what is needed only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backup/backup.h"

#include <stdlib.h>

#define RANGES 40u
#define ROUNDS 12u
#define SIZE (1u << 20)

static u8 pack[ROUNDS + 2][BK_HASH]; /* pack 0 is where all ranges were put */
static struct bk_repo repo;
static size_t lists; /* that were merged */
static struct place {
	u32 pack, at;
} now[RANGES]; /* the model */

static u32 first_at(u32 range)
{
	return 64 + range * 1024;
}

static void start(void)
{
	memset(&repo, 0, sizeof(repo));
	for (u32 i = 0; i < ROUNDS + 2; i++)
		memset(pack[i], (int)(i * 37 + 1), BK_HASH); /* not in the order of time */
	for (u32 i = 0; i < RANGES; i++)
		now[i] = (struct place){0, first_at(i)};
}

/* What every other, every third... range is moved by in this round: all that lie in one pack, or some of them. */
static void round_moves(struct bk_moves *m, u32 round)
{
	u32 from = now[round * 7 % RANGES].pack, to = round + 1;

	for (u32 i = 0; i < RANGES; i++) {
		if (now[i].pack != from || (round % 3 && i % (round % 3 + 1)))
			continue;
		assert_int_equal(
		    bk_moves_add(m, (struct bk_move){pack[from], pack[to], now[i].at, 64 + i * 2048, SIZE}), 0);
		now[i] = (struct place){to, 64 + i * 2048};
	}
}

/* The list as the repository's newest. */
static void put(struct bk_moves *m, u64 generation)
{
	struct bk_moved_list l;
	size_t len;
	u8 *plain = bk_moved_encode(m, generation, &len);

	assert_non_null(plain);
	assert_null(bk_moved_decode(&l, plain, len));
	assert_int_equal(l.generation, generation);
	l.plain = plain;
	assert_int_equal(bk_grow(&repo.moved, &repo.moveds_max, repo.moveds + 1, sizeof(l)), 0);
	memmove(repo.moved + 1, repo.moved, repo.moveds * sizeof(l));
	repo.moved[0] = l;
	repo.moveds++;
}

static u32 steps(u32 range)
{
	const u8 *name = pack[0];
	u32 n = 0, at = first_at(range);
	const struct bk_moved_entry *e;
	size_t list;

	for (; (e = bk_moved_step(&repo, name, at, &list)); n++) {
		name = repo.moved[list].target[tfs_le32(e->target)].pack;
		at = tfs_le32(e->to);
	}
	return n;
}

static void as_the_model(u32 range)
{
	struct bk_now n;

	assert_null(bk_moved_follow(&repo, pack[0], first_at(range), &n));
	assert_int_equal(n.offset, now[range].at);
	if (now[range].pack)
		assert_memory_equal(n.pack->pack, pack[now[range].pack], BK_HASH);
	else
		assert_null(n.pack);
}

static bool all(void *arg, const u8 name[BK_HASH])
{
	(void)arg;
	(void)name;
	return true;
}

static bool not_this(void *arg, const u8 name[BK_HASH])
{
	return memcmp(arg, name, BK_HASH) != 0;
}

/* The first rounds as lists of their own; the last one is what is moved while they are written as one. */
static void chains(u32 rounds, struct bk_moves *last)
{
	u32 longest = 0;

	start();
	for (u32 i = 0; i < rounds; i++) {
		struct bk_moves m = {0};

		round_moves(&m, i);
		if (m.count)
			put(&m, i + 1);
		free(m.move);
	}
	for (u32 i = 0; i < RANGES; i++) {
		as_the_model(i);
		longest = steps(i) > longest ? steps(i) : longest;
	}
	assert_true(longest >= 3);
	round_moves(last, rounds);
}

static void merged_leads_there_in_one_step(void **state)
{
	(void)state;
	for (u32 rounds = 6; rounds <= ROUNDS; rounds++) {
		struct bk_moves m = {0};

		chains(rounds, &m);
		assert_int_equal(bk_moved_merge(&repo, &m, BK_MOVED_MAX, all, NULL, &lists), 0);
		put(&m, 100); /* beside the old lists, as it is at first */
		for (u32 i = 0; i < RANGES; i++)
			as_the_model(i);
		while (repo.moveds > 1) {
			free(repo.moved[repo.moveds - 1].group);
			free(repo.moved[--repo.moveds].plain);
		}
		for (u32 i = 0; i < RANGES; i++) {
			as_the_model(i);
			assert_int_equal(steps(i), now[i].pack ? 1 : 0);
		}
		bk_moved_free(&repo);
		free(m.move);
	}
}

static void what_nobody_needs_is_left_out(void **state)
{
	struct bk_moves m = {0};
	struct bk_now n;
	u8 gone[BK_HASH];

	(void)state;
	chains(6, &m);
	m.count = 0; /* nothing is moved beside: these ranges are where the lists say */
	assert_null(bk_moved_follow(&repo, pack[0], first_at(0), &n));
	assert_non_null(n.pack);
	memcpy(gone, n.pack->pack, BK_HASH);
	assert_int_equal(bk_moved_merge(&repo, &m, BK_MOVED_MAX, not_this, gone, &lists), 0);
	for (size_t i = 0; i < m.count; i++)
		assert_memory_not_equal(m.move[i].to_pack, gone, BK_HASH);
	assert_true(m.count > 0);
	bk_moved_free(&repo);
	free(m.move);
}

static u64 used_lists(void)
{
	struct bk_now n;
	u64 bits = 0;

	for (u32 i = 0; i < RANGES; i++) {
		assert_null(bk_moved_follow(&repo, pack[0], first_at(i), &n));
		bits |= n.lists;
	}
	return bits;
}

/* What is too long for one list is left where it is, by whole lists; those that were taken in are in nobody's way any more. */
static void a_list_has_a_greatest_length(void **state)
{
	size_t full = 0, some = 0;

	(void)state;
	for (size_t max = 8192; max; max -= 64) {
		struct bk_moves m = {0};
		size_t len, batch, had;
		u64 used;

		chains(ROUNDS, &m);
		batch = m.count;
		had = repo.moveds;
		assert_int_equal(bk_moved_merge(&repo, &m, max, all, NULL, &lists), 0);
		assert_true(lists || m.count == batch);
		full += lists == had;
		some += lists && lists < had;
		free(bk_moved_encode(&m, 100, &len));
		assert_true(len <= max || !lists);
		put(&m, 100);
		for (u32 i = 0; i < RANGES; i++)
			as_the_model(i);
		used = used_lists();
		for (size_t i = repo.moveds; i--;) {
			if (used >> i & 1)
				continue;
			free(repo.moved[i].group);
			free(repo.moved[i].plain);
			memmove(&repo.moved[i], &repo.moved[i + 1], (--repo.moveds - i) * sizeof(*repo.moved));
		}
		assert_true(repo.moveds <= had + 1 - lists);
		for (u32 i = 0; i < RANGES; i++)
			as_the_model(i);
		bk_moved_free(&repo);
		free(m.move);
	}
	assert_true(full && some);
}

/* Many ranges in all: two lists of 600,000 each become one. */
static void many_become_one(void **state)
{
	struct bk_moves m = {0};
	u32 most = 600000;

	(void)state;
	start();
	for (u32 i = 1; i <= 2; i++) {
		m.count = 0;
		for (u32 n = 0; n < most; n++)
			assert_int_equal(
			    bk_moves_add(&m, (struct bk_move){pack[i], pack[i + 2], 64 + n, 64 + n, BK_PACK_MAX}), 0);
		put(&m, i);
	}
	m.count = 0;
	assert_int_equal(bk_moved_merge(&repo, &m, BK_MOVED_MAX, all, NULL, &lists), 0);
	assert_int_equal(lists, 2);
	assert_int_equal(m.count, 2 * most);
	bk_moved_free(&repo);
	free(m.move);
}

/* Two prunes at a time moved one range: the higher generation counts, in the list of both, too. */
static void the_higher_generation_counts(void **state)
{
	struct bk_moves m = {0};
	struct bk_now n;

	(void)state;
	start();
	for (u32 i = 1; i <= 2; i++) {
		m.count = 0;
		assert_int_equal(bk_moves_add(&m, (struct bk_move){pack[0], pack[i], 64, 128 * i, SIZE}), 0);
		put(&m, i);
	}
	m.count = 0;
	assert_int_equal(bk_moved_merge(&repo, &m, BK_MOVED_MAX, all, NULL, &lists), 0);
	assert_int_equal(m.count, 1);
	put(&m, 3);
	assert_null(bk_moved_follow(&repo, pack[0], 64, &n));
	assert_memory_equal(n.pack->pack, pack[2], BK_HASH);
	assert_int_equal(n.offset, 256);
	bk_moved_free(&repo);
	free(m.move);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(merged_leads_there_in_one_step), cmocka_unit_test(what_nobody_needs_is_left_out),
	    cmocka_unit_test(a_list_has_a_greatest_length),   cmocka_unit_test(many_become_one),
	    cmocka_unit_test(the_higher_generation_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
