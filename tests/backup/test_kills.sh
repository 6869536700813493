#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# kill -9 of run, forget, prune (which repacks) and restore at random points, one after the other on one volume and repository, which
# are never put back: after each kill the repository verifies (every tenth with all its data), the same command again ends well,
# and the newest backup is the volume. (test_kill.sh: every point, from one state.) Ends with how often what was killed, and what
# was put twice by runs. usage: test_kills.sh [KILLS] [SEED]
. "$(dirname "$0")/lib.sh"
kills=${1:-100} RANDOM=${2:-1} seed=${2:-1} done_=0 round=0 twice=0 worst=0
self="$0 $kills $seed"
declare -A killed=([run]=0 [forget]=0 [prune]=0 [restore]=0)
i=$tmp/v.img
"$bin/mkfs.tfs" -q --compress none --size 64M "$i"; "$bin/bk-change" "$i" file db 2000; "$bin/bk-change" "$i" some 1 40
expect 0 "$bk" init "$R" --grace 1h
expect 0 "$bk" run "$R" "$i" --pack-size 1M
packs() { find "$R/packs" -type f ! -name '.tmp*' -printf '%s\n' | awk '{n += $1} END {print n + 0}'; }
die() { # WHAT COMMAND...: killed before one of its first changes, or it ended by itself
	local code=0 what=$1; shift
	{ DIE_AT=$((RANDOM % $( [ $what = forget ] && echo 8 || echo 30) + 1)) LD_PRELOAD=$bin/die.so "$@" >"$tmp/o" 2>"$tmp/e"; } 2>/dev/null || code=$?
	[ $code = 0 ] && return
	[ $code = 137 ] || fail "exit $code: $*"
	killed[$what]=$((killed[$what] + 1)) done_=$((done_ + 1))
	if [ $((done_ % 10)) = 0 ]; then expect 0 "$bk" verify "$R" --read-data; else expect 0 "$bk" verify "$R"; fi
}
is_newest() { [ "$("$bk" tar "$R" latest | sha256sum)" = "$(tree "$i")" ] || fail "after $done_ kills the newest backup is not the volume"; }
one_run() {
	local before after there
	"$bin/bk-change" "$i" pages db $((RANDOM % 600 + 1)) $RANDOM; "$bin/bk-change" "$i" some $RANDOM $((RANDOM % 20))
	before=$(packs); die run "$bk" run "$R" "$i" --pack-size 1M
	there=$(($(packs) - before)); expect 0 "$bk" run "$R" "$i" --pack-size 1M --json
	after=$(($(packs) - before - there))
	if grep -q '"resumed":true' "$tmp/o"; then # what was put before the kill is not put again
		after=$(($(field sent) - after)); [ $after -le 100000 ] || fail "$after bytes were sent again"
		twice=$((twice + 1)); [ $after -le $worst ] || worst=$after
	fi
	is_newest
}
while [ $done_ -lt "$kills" ]; do
	round=$((round + 1))
	case $((RANDOM % 8)) in
	0 | 1 | 2) one_run ;;
	3) one_run; had=$("$bk" list "$R" | grep -c .); [ "$had" -le 3 ] || had=3
		die forget "$bk" forget "$R" --keep-last 3; expect 0 "$bk" forget "$R" --keep-last 3
		had=$((had + $(grep -c 'is kept: a run that is under way builds on it' "$tmp/e" || true))) # killed before its snapshot was there, its intent counts for a grace time
		expect 0 "$bk" list "$R"; [ "$(grep -c . "$tmp/o")" = "$had" ] || fail "expected $had backups" ;;
	4 | 5) find "$R" -type f -exec touch -d '2 hours ago' {} +; die prune "$bk" prune "$R" --repack 60%; expect 0 "$bk" prune "$R" --repack 60%; is_newest ;;
	*) rm -f "$tmp/restored"; die restore "$bk" restore "$R" latest --to "$tmp/restored"
		expect 0 "$bk" restore "$R" latest --to "$tmp/restored" --force; expect 0 "$bin/fsck.tfs" -fn --data "$tmp/restored"
		[ "$("$bk" tar "$R" latest | sha256sum)" = "$(tree "$tmp/restored")" ] || fail "restored again, it differs" ;;
	esac
done
expect 0 "$bk" verify "$R" --read-data; is_newest; same latest "$i"
echo "ok, seed $seed: killed run ${killed[run]}, forget ${killed[forget]}, prune ${killed[prune]}, restore ${killed[restore]} times in $round rounds; $twice runs went on, which sent $worst bytes again at most"
