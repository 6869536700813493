// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Files that lost their last name while lines of them were still to be forwarded, the orphans that hold what was cut
 * off others, and what every state must hold of them: from the record that took the name, or the lines, to the last
 * state before the lines arrived, their rule went, or the core said that it gave some up for want of space, the file is
 * there, without a name, and all from its cursor on reads as it was. They lie outside of the hash of a state, since what the core gives up has no record. ops.c tells of each name
 * that went, and after every call; state.c asks when it judges a state.
 */
#include "tests/power/power.h"
#include "tfs/ship.h"

#include <stdio.h>
#include <stdlib.h>

#define OWED 128
static struct owed {
	u64 ino, from, upto; /* owed in states from..upto, as tfs_sequence counts */
	u32 size, acked;     /* acked: what the live volume said last */
	u8 *data;
} owed[OWED];
static u32 count;
static struct tfs_vol *live; /* NULL: none, or it is being unmounted */
static u8
    copies[POWER_FILES / 8]; /* orphans that an operation made, by number, modulo: snapshots may bring them back */
static u64 before, lost;     /* as of the last call: its sequence, and what was given up so far */

static u64 lost_now(struct tfs_vol *vol)
{
	struct tfs_stat st;

	tfs_statfs(vol, &st);
	return st.lost_bytes;
}

/* What calls did that are no operation of the table, promises of space for one, is looked at now: what they gave up is
 * known to this volume alone. */
static void leave(struct tfs_vol *vol)
{
	power_owed_called(vol);
	live = live == vol ? NULL : live;
}

int power_unmount(struct tfs_vol *vol)
{
	leave(vol);
	return tfs_unmount(vol);
}

void power_abandon(struct tfs_vol *vol)
{
	leave(vol);
	tfs_abandon(vol);
}

void power_owed_mounted(struct tfs_vol *vol)
{
	live = vol;
	lost = 0;
}

void power_owed_first(struct tfs_vol *vol)
{
	memset(copies, 0, sizeof(copies));
	power_owed_begin(vol);
}

void power_owed_begin(struct tfs_vol *vol)
{
	while (count)
		free(owed[--count].data);
	live = vol;
	before = tfs_sequence(vol);
	lost = lost_now(vol);
}

/* The lowest cursor of a rule that is there; size: nothing is owed. */
static u64 lowest(struct tfs_vol *vol, u64 ino, u64 size)
{
	struct power_ship s;
	u64 low = size;
	u32 i;

	if (power_ship_load(vol, ino, &s))
		return size;
	for (i = 0; i < s.cursors; i++)
		low = s.acked[i] < low ? s.acked[i] : low;
	return low;
}

void power_owed_unlinked(struct tfs_vol *vol, u64 ino)
{
	struct tfs_attr a;
	u64 low = model_unsent(ino, &a);

	if (!live || !low-- || a.size > POWER_FILE_MAX || count == OWED)
		return;
	owed[count] = (struct owed){ino, tfs_sequence(vol), ~0ull, (u32)a.size, (u32)low, malloc(a.size)};
	memcpy(owed[count++].data, power_file(ino), a.size);
}

void power_owed_cut(struct tfs_vol *vol, u64 ino, u64 copy, u64 from, u64 to)
{
	copies[copy % POWER_FILES / 8] |= (u8)(1u << copy % 8);
	if (!live || vol != live || lost_now(vol) != lost)
		return;
	if (!copy)
		power_fail("kept", "lines that are still to be sent were cut off, and nothing was counted as lost");
	else if (to <= POWER_FILE_MAX && count < OWED) {
		owed[count] = (struct owed){copy, tfs_sequence(vol), ~0ull, (u32)to, (u32)from, malloc(to)};
		memcpy(owed[count++].data, power_file(ino), to);
	}
}

bool power_owed_has(u64 ino)
{
	u32 i = 0;

	while (i < count && (owed[i].ino != ino || owed[i].upto != ~0ull))
		i++;
	return i < count;
}

u64 power_owed_any(u32 *size)
{
	u32 i = 0;

	while (i < count && owed[i].upto != ~0ull)
		i++;
	*size = i < count ? owed[i].size : 0;
	return i < count ? owed[i].ino : 0;
}

/* What does the live volume have of it? */
static void look(struct tfs_vol *vol, struct owed *o, bool gave_up)
{
	struct tfs_attr a, unused;
	u64 low;

	if (gave_up) { /* no record says which, nor how far */
		o->upto = before ? before - 1 : 0;
		return;
	}
	if (!model_unsent(o->ino, &unused)) {
		o->upto = before;
		return;
	}
	if (tfs_getattr(vol, o->ino, &a) || a.nlink || a.size != o->size) {
		power_fail("kept", "a file whose lines are still to be sent went, and nothing was counted as lost");
		o->upto = 0;
		return;
	}
	low = lowest(vol, o->ino, o->size);
	if (low > o->acked && low >= model_unsent(o->ino, &unused))
		power_fail("kept", "a cursor moved, and nothing had arrived");
	o->acked = (u32)low;
}

void power_owed_called(struct tfs_vol *vol)
{
	u64 now;
	u32 i;

	if (vol != live)
		return;
	now = lost_now(vol);
	for (i = 0; i < count; i++)
		if (owed[i].upto == ~0ull)
			look(vol, &owed[i], now != lost);
	before = tfs_sequence(vol);
	lost = now;
}

/* One in a state that was recovered. must: it is owed; else it may have gone, but not in part. */
static const char *judge(struct tfs_vol *vol, const struct owed *o, bool must)
{
	static u8 buf[POWER_FILE_MAX];
	struct tfs_attr a;
	u64 low;

	if (tfs_getattr(vol, o->ino, &a) || a.nlink || a.size != o->size)
		return must ? "a file whose lines are still to be sent is not there" : NULL;
	low = lowest(vol, o->ino, o->size);
	if (must && low > o->acked)
		return "a file's cursor lies behind what arrived";
	if (tfs_read(vol, o->ino, low, buf, o->size - (u32)low) != (s64)(o->size - low) ||
	    memcmp(buf, o->data + low, o->size - low))
		return "lines that are still to be sent read differently";
	return NULL;
}

/* Of what is offered as cut off a file: an operation did that. */
static const char *copies_judge(struct tfs_vol *vol, u64 rule)
{
	struct tfs_ship_file f;
	u64 ino = 0;

	for (; !tfs_ship_file_next(vol, rule, &ino, ~0u, &f); ino = f.ino + 1)
		if (f.origin != f.ino && !(copies[f.ino % POWER_FILES / 8] >> f.ino % 8 & 1))
			return "an orphan counts whose lines nobody cut off";
	return NULL;
}

/* NULL, or what is wrong. A read-only mount frees and gives up nothing. */
const char *power_owed_judge(struct tfs_vol *vol)
{
	u64 seq = tfs_sequence(vol);
	static struct tfs_ship_rule_info info;
	const char *why = NULL;
	u64 rule;
	bool sure;
	u32 i;

	if (!live)
		return NULL;
	for (rule = 0; seq <= before && !why && !tfs_ship_rule_next(vol, &rule, &info); rule++)
		why = copies_judge(vol, rule);
	sure = seq <= before && lost_now(live) == lost && !lost_now(vol);
	for (i = 0; i < count && !why; i++)
		if (owed[i].from <= seq)
			why = judge(vol, &owed[i], sure && seq <= owed[i].upto);
	return why;
}
