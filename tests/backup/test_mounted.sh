#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A run on a volume that tfs-fuse has mounted, while others write: what is in the backup is what was there when the snapshot
# was made, synced or not; the next ones are incremental by the volume's own diff, and from what is restored, too. A snapshot
# that somebody deletes while it is read ends the run with 7 and nothing else. Needs /dev/fuse; exits 77 without.
# usage: test_mounted.sh
. "$(dirname "$0")/lib.sh"
m=$tmp/m i=$tmp/v.img t=$bin/tfs pid= load=
mkdir "$m"
cleanup() { set +e; touch "$tmp/stop"; fusermount3 -quz "$m" 2>/dev/null; [ -z "$load" ] || kill $load 2>/dev/null; [ -z "$pid" ] || kill $pid 2>/dev/null; wait; rm -rf "$tmp"; }
trap cleanup EXIT
up() { # IMAGE OPTION...
	"$bin/tfs-fuse" -f "${@:2}" "$1" "$m" 2>"$tmp/log" & pid=$!
	until mountpoint -q "$m"; do kill -0 $pid 2>/dev/null || return 1; sleep 0.05; done
}
down() { fusermount3 -u "$m" || fail "unmount"; wait $pid || fail "tfs-fuse ended with $?: $(cat "$tmp/log")"; pid=; }
base() { "$t" snapshot list "$m" | awk '/tfs-backup/ {n = $NF} END {print n}'; } # the newest
held() { "$t" snapshot list "$m" | grep -c tfs-backup; }
echo "/ uid=$(id -u) gid=$(id -g)" >"$tmp/own"
"$bin/mkfs.tfs" -q --manifest "$tmp/own" "$i" 128M
up "$i" || { echo "SKIPPED: FUSE cannot be mounted here: $(cat "$tmp/log")"; exit 77; }
expect 0 "$bk" init "$R" --grace 1h

# ---- under writers; what is checked lies still, the rest goes on ----
mkdir "$m/d" "$m/noise"
( n=0; while [ ! -e "$tmp/stop" ]; do n=$((n + 1)); head -c $((n % 9 * 30000 + 500)) /dev/urandom >"$m/noise/$((n % 30))"; [ $((n % 7)) != 0 ] || rm -f "$m"/noise/2*; done ) 2>/dev/null & load=$!
for n in 1 2 3; do
	head -c $((n * 3000000)) /dev/urandom >"$m/d/random"; seq $n 90000 >"$m/d/numbers"; mkdir "$m/d/n$n"; echo "$n" >"$m/d/n$n/f" # nothing synced
	(cd "$m/d" && find . -type f | sort | xargs sha1sum) >"$tmp/sums$n"
	expect 0 "$bk" run "$R" "$m/d" --json; [ "$(field base)" = $((n - 1)) ] || fail "backup $n does not build on the one before"
	[ "$(held)" = 1 ] || fail "$(held) snapshots are kept for the next run"
	"$t" snapshot rename "$m" "$(base)" kept$n || fail rename # a base goes by its id; this one stays, to be looked at later
done
for n in 1 2 3; do
	rm -f "$tmp/restored"; expect 0 "$bk" restore "$R" $n --to "$tmp/restored"; expect 0 "$bin/fsck.tfs" -fn --data "$tmp/restored"
	mkdir "$tmp/x$n"; "$bin/dump.tfs" extract "$tmp/restored" "$tmp/x$n" d >/dev/null
	(cd "$tmp/x$n" && find . -type f | sort | xargs sha1sum) | cmp - "$tmp/sums$n" || fail "backup $n holds something else"
done

# ---- nothing changed but what the writers did: the increment is what they wrote ----
touch "$tmp/stop"; wait $load || true; load=; rm "$tmp/stop"
expect 0 "$bk" run "$R" "$m"; echo x >"$m/d/one"
expect 0 "$bk" run "$R" "$m" --json; [ "$(field added)" -lt 100000 ] || fail "one byte changed, $(field added) added"

# ---- a snapshot that is there; what others hold stays ----
"$t" snapshot create "$m" mine; rm "$m/d/one"
expect 0 "$bk" run "$R" "$m" --snapshot mine --json; [ "$(field base)" = 5 ] || fail "a named snapshot: base"
expect 0 "$bk" cat "$R" mine d/one; has '^x$'
expect 1 "$bk" run "$R" "$m" --snapshot none; says 'no such snapshot'
expect 1 "$bk" run "$R" "$m" --offset 4096
expect 4 "$bk" run "$R" "$i"; says 'directory'   # the image below the mount
expect 4 "$bk" run "$R" "$tmp/source-that-is-not-there"
mkdir -p "$tmp/plain"; expect 4 "$bk" run "$R" "$tmp/plain"; says 'mounted TFS volume'

# ---- deleted by somebody else while it is read ----
head -c 24000000 /dev/urandom >"$m/d/large"; old=$(base) before=$("$bk" list "$R" | wc -l)
STOP_AT=packs/ LD_PRELOAD=$bin/die.so "$bk" run "$R" "$m" --pack-size 1M >"$tmp/o" 2>"$tmp/e" & run=$!
stopped $run; s=$(base) # with the first of its packs in hand: over 20 MB are not read yet
[ "$s" != "$old" ] || fail "no new snapshot is seen"
"$t" snapshot delete "$m" "$s" 2>/dev/null && fail "it is not held"
"$t" snapshot release "$m" "$s"; "$t" snapshot delete "$m" "$s" || fail delete
kill -CONT $run
code=0; wait $run || code=$?; [ $code = 7 ] || fail "expected exit 7, found $code"; says 'deleted by somebody else'
[ "$("$bk" list "$R" | wc -l)" = "$before" ] || fail "it was committed"
expect 0 "$bk" run "$R" "$m" --json; [ "$(field base)" = 6 ] || [ "$(field base)" = 5 ] || fail "the base was $(field base)"
expect 0 "$bk" verify "$R" --read-data
down; "$bin/fsck.tfs" -fn --data "$i" >"$tmp/o" || fail "the volume after all that"
same latest "$i"
for n in 1 2 3; do [ "$("$bk" tar "$R" $n | sha256sum)" = "$(tree --snapshot kept$n "$i")" ] || fail "backup $n is not the snapshot"; done

# ---- read-only; and from what was restored the next is incremental ----
up "$i" -o ro; expect 4 "$bk" run "$R" "$m"; says 'read-only'; expect 0 "$bk" run "$R" "$m" --snapshot mine; down
cp "$tmp/restored" "$tmp/r.img"; up "$tmp/r.img"; echo more >"$m/d/more"
expect 0 "$bk" run "$R" "$m" --json; [ "$(field base)" != 0 ] && [ "$(field added)" -lt 200000 ] || fail "a restored volume is no base: $(cat "$tmp/o")"
down; same latest "$tmp/r.img"
echo ok
