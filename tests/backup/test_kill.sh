#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# kill -9 of init, run, forget and prune before calls that change anything, on the volume or in the store (STEP: every so
# many). After each the repository verifies; the same command again ends well, what was there in whole is not sent
# again, nothing is left over, and what is restored is what was backed up. usage: test_kill.sh [STEP]
. "$(dirname "$0")/lib.sh"
step=${1:-7} points=0
i=$tmp/v.img
volume "$i" 32M; "$bin/bk-change" "$i" file big 2000
age() { find "$R" -type f -exec touch -d "$1" {} +; } # as if all had been put then
back() { rm -rf "$R" "$i" "$XDG_STATE_HOME"; cp -a "$tmp/repo0" "$R"; cp "$tmp/v0.img" "$i"; }
packs() { find "$R/packs" -type f ! -name '.tmp*' 2>/dev/null | wc -l; }
bytes() { find "$R/packs" -type f ! -name '.tmp*' -printf '%s\n' 2>/dev/null | awk '{n += $1} END {print n + 0}'; }

# ---- init: again makes it, or it is there; no key is left of the one that was killed ----
left=0
for ((n = 1; ; n++)); do
	rm -rf "$R"; killed $n "$bk" init "$R" --grace 1h || break
	points=$((points + 1))
	if [ -e "$R/config" ]; then expect 1 "$bk" init "$R"; else left=$((left + $(ls "$R/keys" 2>/dev/null | wc -l))); expect 0 "$bk" init "$R" --grace 1h; fi
	expect 0 "$bk" key "$R" list; [ "$(grep -c . "$tmp/o")" = 1 ] || fail "init killed at $n: not one key"
	expect 0 "$bk" verify "$R"
done
[ $left -gt 0 ] || fail "no init that was killed left a key: nothing was tested"
rm -rf "$R"

# ---- run, in full: many packs ----
expect 0 "$bk" init "$R" --grace 1h
cp -a "$R" "$tmp/repo0"; cp "$i" "$tmp/v0.img"
expect 0 "$bk" run "$R" "$i" --pack-size 1M --json; full=$(field sent); want=$(tree "$i"); n_packs=$(packs)
[ "$n_packs" -ge 8 ] || fail "only $n_packs packs"
for ((n = 1; ; n += step)); do
	back
	killed $n "$bk" run "$R" "$i" --pack-size 1M || break
	points=$((points + 1)); there=$(bytes)
	expect 0 "$bk" verify "$R" --read-data
	expect 0 "$bk" run "$R" "$i" --pack-size 1M --json
	if grep -q '"resumed":true' "$tmp/o"; then
		[ $(($(field sent) + there)) -le $((full + 100000)) ] || fail "killed at $n: $there bytes were there, $(field sent) of $full sent again"
	elif [ "$(field base)" = 0 ]; then
		[ "$there" = 0 ] || fail "killed at $n: not resumed, though packs were there"
	fi
	expect 0 "$bk" verify "$R" --read-data; [ "$(packs)" = "$n_packs" ] || fail "killed at $n: $(packs) packs, expected $n_packs"
	[ "$("$bk" tar "$R" latest | sha256sum)" = "$want" ] || fail "killed at $n: the backup differs"
	[ "$(find "$R/intents" -type f 2>/dev/null | wc -l)" -le 1 ] || fail "killed at $n: intents are left" # one without a snapshot ends by its age
	[ "$("$bin/dump.tfs" snapshots "$i" | grep -c 'tfs-backup.*holds=1')" = 1 ] || fail "killed at $n: snapshots are left"
done
[ $((points * step)) -ge 60 ] || fail "only $points points in run"

# ---- run, incremental: then from what is restored, again ----
back; expect 0 "$bk" run "$R" "$i"; "$bin/bk-change" "$i" some 4 40
rm -rf "$tmp/repo0"; cp -a "$R" "$tmp/repo0"; cp "$i" "$tmp/v0.img"; want=$(tree "$i")
for ((n = 2; ; n += step)); do
	back
	killed $n "$bk" run "$R" "$i" || break
	points=$((points + 1))
	expect 0 "$bk" verify "$R"
	expect 0 "$bk" run "$R" "$i" --json; [ "$(field base)" != 0 ] || fail "killed at $n: a full backup"
	same latest "$tmp/v0.img"
done

# ---- restore: half a volume does not mount, and again with --force ----
for ((n = 1; ; n += 4 * step)); do
	rm -f "$tmp/restored"
	killed $n "$bk" restore "$R" latest --to "$tmp/restored" || break
	points=$((points + 1))
	if "$bin/dump.tfs" ls "$tmp/restored" >/dev/null 2>&1; then
		expect 0 "$bin/fsck.tfs" -fn --data "$tmp/restored"; [ "$(tree "$tmp/restored")" = "$want" ] || fail "killed at $n: half a volume mounts"
	fi
	expect 0 "$bk" restore "$R" latest --to "$tmp/restored" --force
	[ "$(tree "$tmp/restored")" = "$want" ] || fail "killed at $n: restored again, it differs"
done

# ---- forget ----
back
for n in 5 6 7; do "$bin/bk-change" "$i" some $n 20; expect 0 "$bk" run "$R" "$i"; done
rm -rf "$tmp/repo0"; cp -a "$R" "$tmp/repo0"; cp "$i" "$tmp/v0.img"
for ((n = 1; ; n += 2)); do
	back
	killed $n "$bk" forget "$R" 1 2 || break
	points=$((points + 1))
	expect 0 "$bk" verify "$R"
	code=0; "$bk" forget "$R" --keep-last 2 >"$tmp/o" 2>"$tmp/e" || fail "killed at $n: forget again"
	expect 0 "$bk" list "$R"; [ "$(wc -l <"$tmp/o")" = 2 ] || fail "killed at $n: not two backups are kept"
	same latest "$i"
	[ "$(find "$R/manifests" -type f ! -name '.*' | wc -l)" -le 4 ] || fail "killed at $n: manifests are left"
done

# ---- prune: a full backup that nothing builds on any more goes ----
back; expect 0 "$bk" run "$R" "$i" --full; "$bk" -q forget "$R" --keep-last 1
"$bk" -q run "$R" "$i"; "$bk" -q forget "$R" --keep-last 1
expect 0 "$bk" prune "$R"; has '^0 objects deleted; 0 '
age '2 hours ago'
expect 0 "$bk" prune "$R" --dry-run; has '^0 objects would be deleted; [1-9]'; [ ! -d "$R/condemned" ] || fail "a dry run condemns"
rm -rf "$tmp/repo0"; cp -a "$R" "$tmp/repo0"; cp "$i" "$tmp/v0.img"; all=$(packs)
for ((n = 1; ; n++)); do
	back
	killed $n "$bk" prune "$R" || break
	points=$((points + 1))
	expect 0 "$bk" verify "$R" --read-data
	expect 0 "$bk" prune "$R"; [ "$(packs)" = "$all" ] || fail "killed at $n: the first visit deletes"
done
expect 0 "$bk" prune "$R"; has '^0 objects deleted; 0 ' # what is condemned waits
age '2 hours ago'; rm -rf "$tmp/repo0"; cp -a "$R" "$tmp/repo0"
for ((n = 1; ; n++)); do
	back
	killed $n "$bk" prune "$R" || break
	points=$((points + 1))
	expect 0 "$bk" verify "$R" --read-data
	expect 0 "$bk" prune "$R"
	same latest "$i"
done
[ "$(packs)" -lt "$all" ] || fail "nothing was deleted"
same latest "$i"
expect 0 "$bk" run "$R" "$i" --json; [ "$(field base)" != 0 ] || fail "after prune the base is gone"

# ---- an old intent: the run starts anew ----
back
for ((n = 40; ; n -= 3)); do back; killed $n "$bk" run "$R" "$i" --full && [ -n "$(find "$R/intents" -type f ! -name '.*' 2>/dev/null)" ] && break; done
find "$R/intents" -type f -exec touch -d '40 minutes ago' {} +
expect 0 "$bk" run "$R" "$i" --full --json; grep -q '"resumed":false' "$tmp/o" || fail "went on with a run of 40 minutes ago"
expect 0 "$bk" verify "$R" --read-data
echo "ok, killed $points times"
