#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What lay beside something that is needed, and is needed by nobody: nodes of a forgotten backup, in one block with nodes of a kept one,
# and in blocks between them. Their pack is repacked and deleted. The first must have been moved along, for a block is read whole; the
# others are gone, and no reader of a backup may ask for them, not even to read ahead. usage: test_gaps.sh
. "$(dirname "$0")/lib.sh"
i=$tmp/v.img files=8000
age() { find "$R" -type f -exec touch -d '2 hours ago' {} +; } # as if all had been put then
quiet() { expect 0 "$@"; [ ! -s "$tmp/e" ] || fail "asked for what nobody needs: ${*:2}"; } # the store would have said that it is not there
old_go() { # all that was needed of the packs before is moved, and they are deleted
	expect 0 "$bk" forget "$R" --keep-last 1
	age; expect 0 "$bk" prune "$R" --repack 99% --json; [ "$(field condemned)" -gt 0 ] || fail "nothing goes"
	age; expect 0 "$bk" prune "$R" --repack 0 --json; [ "$(field deleted)" -gt 0 ] || fail "nothing went"
}
whole() {
	quiet "$bk" find "$R" latest /; [ "$(grep -c . "$tmp/o")" -gt $files ] || fail "names are missing"
	quiet "$bk" verify "$R" --read-data; quiet "$bk" prune "$R" --repack 0
	same latest "$i"
}
change() { "$bin/bk-change" "$i" every "$1" $files "$2"; expect 0 "$bk" run "$R" "$i"; }
# Whole blocks with no node between leaves of the directory that follow each other, so few that a reader would read over them.
gaps() { "$bin/dump.tfs" tree "$i" fs | grep ' lo_a=1 ' | sed -n 's/.* level=0 addr=\([0-9]*\) len=\([0-9]*\) .*/\1 \2/p' |
	awk '$1 > end && $1 - end <= 16 && int($1 / 8) > int((end + 7) / 8) {n++} {end = $1 + $2} END {print n + 0}'; }

"$bin/mkfs.tfs" -q --size 32M "$i"; expect 0 "$bk" init "$R" --grace 1h

# ---- beside something needed, in one block: in one pack, of which a part is moved ----
change 1 1; change 55 2
old_go; whole

# ---- between leaves: a file had all the room that they are written to then, so that something of it lay in each gap ----
rm -rf "$R" "$i"; "$bin/mkfs.tfs" -q --size 32M "$i"; expect 0 "$bk" init "$R" --grace 1h
"$bin/bk-change" "$i" file big 6000; expect 0 "$bk" run "$R" "$i"; "$bin/bk-change" "$i" cut big; expect 0 "$bk" run "$R" "$i"
met=0 # a reader that comes from elsewhere does not read on over one: so several
for ((seed = 1; met < 4; seed++)); do
	[ $seed -lt 60 ] || fail "only $met gaps between leaves were met"
	"$bin/bk-change" "$i" names $files $seed $((seed - 1)); expect 0 "$bk" run "$R" "$i"; n=$(gaps)
	[ "$n" = 0 ] || { met=$((met + n)); old_go; whole; }
done
echo "ok, $met gaps"
