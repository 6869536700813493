#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What an incremental run puts is in proportion to what changed: 1% of a database's pages, at random, again and again; and
# next to nothing when nothing changed. Counts, not times. usage: test_size.sh
. "$(dirname "$0")/lib.sh"
i=$tmp/v.img
"$bin/mkfs.tfs" -q --compress none --size 128M "$i"
"$bin/bk-change" "$i" file db 16384
expect 0 "$bk" init "$R"
expect 0 "$bk" run "$R" "$i" --json; full=$(field store_sent)
[ "$full" -lt 69000000 ] || fail "64 MiB are $full bytes in the first backup"
for n in 1 2 3 4 5 6 7 8 9 10; do
	"$bin/bk-change" "$i" pages db 164 $n
	expect 0 "$bk" run "$R" "$i" --json
	added=$(field added) sent=$(field store_sent)
	[ "$added" -ge $((160 * 4096)) ] || fail "round $n: $added bytes changed"
	[ $((sent * 10)) -le $((added * 12)) ] || fail "round $n: $sent bytes sent for $added that changed: more than 1.2 times"
done
expect 0 "$bk" run "$R" "$i" --json; [ "$(field store_sent)" -lt 5000 ] || fail "nothing changed, and $(field store_sent) bytes were sent"
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	"$bin/bk-change" "$i" pages db 1 1$n
	expect 0 "$bk" run "$R" "$i" --json
done
expect 0 "$bk" show "$R" latest --json; [ "$(field shards)" -le 16 ] || fail "$(field shards) shards after 32 runs"
expect 0 "$bk" verify "$R" --read-data
same latest "$i"
echo ok
