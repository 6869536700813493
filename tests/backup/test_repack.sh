#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# prune repacks a pack of which little is needed: what is needed is read from the new one, the old one goes with the prune after
# the grace time, nothing else is written; again with what was moved before; killed before its changes; beside a run and a second
# prune that are under way; a list that is changed or lost is noticed. Counts, not times. usage: test_repack.sh [STEP]
. "$(dirname "$0")/lib.sh"
step=${1:-4} points=0
i=$tmp/v.img
age() { find "$R" -type f -exec touch -d '2 hours ago' {} +; } # as if all had been put then
bytes() { find "$R/packs" -type f -printf '%s\n' | awk '{n += $1} END {print n + 0}'; }
moved() { find "$R/moved" -type f 2>/dev/null | wc -l; }
packs() { find "$R/packs" -type f | sort; }
keep() { rm -rf "$tmp/repo0"; cp -a "$R" "$tmp/repo0"; cp "$i" "$tmp/v0.img"; }
back() { rm -rf "$R" "$i" "$XDG_STATE_HOME"; cp -a "$tmp/repo0" "$R"; cp "$tmp/v0.img" "$i"; }
is() { [ "$("$bk" tar "$R" "$1" | sha256sum)" = "$2" ] || fail "$3: backup $1 differs"; }
whole() { expect 0 "$bk" verify "$R" --read-data; is latest "$now" "$1"; is 2 "$want" "$1"; }
change() { "$bin/bk-change" "$i" pages db "$1" "$2"; } # so many pages, by this seed
back_up() { expect 0 "$bk" run "$R" "$i" --pack-size 1M "$@"; }

# ---- most of a database changes, the first backup is forgotten: its packs are needed for little ----
"$bin/mkfs.tfs" -q --compress none --size 32M "$i"
"$bin/bk-change" "$i" file db 1200
expect 0 "$bk" init "$R" --grace 1h
back_up
for seed in 1 2 3 4; do change 1500 $seed; done # 1 page of 150 is as it was, 1 range of 10 has one
back_up; want=$(tree "$i")
change 20 3; back_up; now=$(tree "$i")
expect 0 "$bk" forget "$R" 1
expect 0 "$bk" prune "$R"; has '; 0 packs repacked' # all is too young
age; keep; cp -a "$R" "$tmp/first"; before=$(bytes)
expect 0 "$bk" prune "$R" --dry-run --json; n=$(field repacked)
[ "$n" -ge 2 ] && [ "$(moved)" = 0 ] && [ "$(bytes)" = "$before" ] || fail "$n packs would be repacked; a dry run writes nothing"
expect 0 "$bk" prune "$R" --repack 0 --json; [ "$(field repacked)" = 0 ] || fail "--repack 0"
back; expect 0 "$bk" prune "$R" --json; [ "$(field repacked)" = "$n" ] || fail "$(field repacked) packs repacked, $n expected"
written=$(field written) condemned=$(field condemned_bytes)
[ "$written" -gt 50000 ] && [ $((written * 4)) -lt "$condemned" ] || fail "$written bytes written to be rid of $condemned"
whole repacked
expect 0 "$bk" prune "$R" --json; [ "$(field repacked) $(field condemned) $(field deleted)" = "0 0 0" ] || fail "what is condemned does not wait"
age; expect 0 "$bk" prune "$R" --json; [ "$(field deleted)" -ge "$n" ] || fail "$(field deleted) objects deleted"
[ "$(bytes)" -le $((before - condemned + written)) ] || fail "$(bytes) bytes are left of $before"
whole "the old packs are deleted"; same latest "$i"
change 10 4; back_up --json; [ "$(field base)" != 0 ] || fail "what was repacked is no base"
same latest "$i"

# ---- what was moved is moved again; lists do not pile up ----
for round in 1 2 3 4 5 6 7 8 9 10 11 12; do
	change 900 5$round; back_up; [ $((round % 3)) != 0 ] || expect 0 "$bk" forget "$R" --keep-last 2
	age; expect 0 "$bk" prune "$R" --repack 95% --json; [ "$round" != 3 ] || [ "$(field repacked)" -gt 0 ] || fail "round $round: nothing is repacked"
	expect 0 "$bk" prune "$R" --repack 95% --json; [ "$(field repacked)" = 0 ] || fail "round $round: what was moved is moved again"
	[ $((round % 4)) != 0 ] || expect 0 "$bk" verify "$R" --read-data
	is latest "$(tree "$i")" "round $round"
done
for _ in 1 2; do age; expect 0 "$bk" prune "$R" --repack 0; done
[ "$(moved)" -le 10 ] || fail "$(moved) lists are left"
age; expect 0 "$bk" prune "$R" --repack 80% --json; [ "$(field repacked)" = 0 ] || fail "packs that were repacked are still there"
expect 0 "$bk" verify "$R" --read-data; same latest "$i"

# ---- of each round something stays where it was moved to: from nine lists on they are written as one ----
merged=0
for round in 1 2 3 4 5 6 7 8 9 10 11; do
	"$bin/bk-change" "$i" file "stays$round" 20; "$bin/bk-change" "$i" file goes 20; back_up; "$bin/bk-change" "$i" file goes 20; back_up
	expect 0 "$bk" forget "$R" --keep-last 1; age; had=$(moved)
	expect 0 "$bk" prune "$R" --repack 95% --json; took=$(field merged)
	[ "$(field repacked)" -gt 0 ] || fail "round $round: nothing is repacked"
	[ "$took" = 0 ] || { [ "$took" = "$had" ] && [ "$had" -gt 8 ] || fail "round $round: $took of $had lists are written as one"; merged=$((merged + 1)); }
	expect 0 "$bk" verify "$R" --read-data; is latest "$(tree "$i")" "round $round"
done
[ $merged -gt 0 ] || fail "$(moved) lists, and they were never written as one"
for _ in 1 2; do age; expect 0 "$bk" prune "$R" --repack 0; done
[ "$(moved)" -lt 8 ] || fail "$(moved) lists are left, though they were written as one"
expect 0 "$bk" verify "$R" --read-data; same latest "$i"

# ---- beside a run that began before, and another prune ----
back; change 30 60
STOP_AT=packs/ LD_PRELOAD=$bin/die.so "$bk" run "$R" "$i" >"$tmp/run" 2>&1 & run=$!
stopped $run; expect 0 "$bk" prune "$R" --repack 95%; expect 0 "$bk" prune "$R"; kill -CONT $run; wait $run || fail "a run beside prune: $(cat "$tmp/run")"
expect 0 "$bk" verify "$R" --read-data; same latest "$i"; is 2 "$want" "beside a run"
for where in packs/ moved/ condemned/; do
	back
	STOP_AT=$where LD_PRELOAD=$bin/die.so "$bk" prune "$R" --repack 95% >"$tmp/run" 2>&1 & run=$!
	stopped $run; expect 0 "$bk" prune "$R" --repack 50%
	change 300 70; back_up; kill -CONT $run; wait $run || fail "two prunes, at $where: $(cat "$tmp/run")"
	for _ in 1 2 3; do expect 0 "$bk" verify "$R" --read-data; is latest "$(tree "$i")" "two prunes, at $where"; is 2 "$want" "two prunes, at $where"; age; expect 0 "$bk" prune "$R"; done
done

# ---- killed before each change that a prune makes, at its first and its second visit ----
for ((k = 1; ; k += step)); do
	back; killed $k "$bk" prune "$R" || break
	points=$((points + 1)); whole "killed at $k"
	expect 0 "$bk" prune "$R"; whole "killed at $k, again"
	age; expect 0 "$bk" prune "$R"; whole "killed at $k, deleted"
done
[ $points -ge 3 ] || fail "killed only $points times"
back; packs >"$tmp/had"; expect 0 "$bk" prune "$R"; new=$(packs | comm -13 "$tmp/had" - | head -1); age; keep
[ -n "$new" ] || fail "no new pack"
for ((k = 1; ; k += step)); do
	back; killed $k "$bk" prune "$R" || break
	points=$((points + 1)); whole "second visit, killed at $k"
	expect 0 "$bk" prune "$R"; whole "second visit, killed at $k, again"
done

# ---- a new pack is lost while the old one is still there, condemned: nothing is deleted ----
back; mv "$new" "$tmp/lost"; find "$R" -type f | sort >"$tmp/had"
expect 2 "$bk" prune "$R"; says 'nothing is pruned'; find "$R" -type f | sort | cmp - "$tmp/had" || fail "something was deleted, or written"
mv "$tmp/lost" "$new"; expect 0 "$bk" prune "$R"; whole "a pack was lost and found"

# ---- a list changed, lost: noticed ----
back; expect 0 "$bk" prune "$R"; list=$(find "$R/moved" -type f | head -1); expect 0 "$bk" verify "$R"
chmod u+w "$list"; cp "$list" "$tmp/list"; printf x | dd of="$list" bs=1 seek=70 conv=notrunc status=none
expect 2 "$bk" verify "$R"; expect 2 "$bk" restore "$R" latest --to "$tmp/none"; says 'moved/'
rm "$list"; expect 2 "$bk" verify "$R"; says 'is missing'; expect 2 "$bk" restore "$R" 2 --to "$tmp/none" --force
cp "$tmp/list" "$list"; expect 0 "$bk" verify "$R" --read-data

# ---- copying took longer than the grace time: no list leads to packs that another prune may have taken ----
rm -rf "$tmp/repo0"; cp -a "$tmp/first" "$tmp/repo0"; back
SLEPT=3700 STOP_AT=packs/ LD_PRELOAD=$bin/die.so "$bk" prune "$R" >"$tmp/run" 2>&1 & run=$!
stopped $run; kill -CONT $run; code=0; wait $run || code=$?
[ $code = 7 ] && grep -q 'grace time' "$tmp/run" || fail "copying took longer than the grace time: exit $code: $(cat "$tmp/run")"
[ "$(moved)" = 0 ] || fail "a list was put all the same"
expect 0 "$bk" prune "$R" --json; [ "$(field repacked)" = "$n" ] || fail "the next prune does not go on"
whole "after a prune that took too long"
echo "ok, killed $points times"
