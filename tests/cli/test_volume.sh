#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs rollback, grow and scrub on volumes that are not mounted: what they do and leave, what is refused and how, that scrub
# finds what fsck.tfs --data finds, and goes on where it was stopped.
# usage: test_volume.sh
set -eu
export LC_ALL=C
bin=$(realpath "${BIN:-build/bin}")
t=$bin/tfs fsck=$bin/fsck.tfs dump=$bin/dump.tfs
tmp=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$tmp"' EXIT
i=$tmp/i.img
fail() { echo "FAILED: $*; repeat: tests/cli/test_volume.sh"; head -20 "$tmp/o" "$tmp/e" 2>/dev/null; exit 1; }
expect() { # CODE COMMAND...
	local want=$1 got=0; shift
	timeout 60 "$@" >"$tmp/o" 2>"$tmp/e" || got=$?
	[ "$got" = "$want" ] || fail "expected exit $want, found $got: $*"
}
has() { grep -qE -e "$1" "$tmp/o" || fail "expected '$1' in the output"; }
says() { grep -qE -e "$1" "$tmp/e" || fail "expected '$1' in the message"; }
poke() { printf '\245\132' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
"$bin/mutate" make "$tmp/base.img"; "$bin/mutate" "$tmp/base.img" snapshots:4

# back to "one": its files, no later snapshot, all space free again
cp "$tmp/base.img" "$i"; "$dump" tar --snapshot one "$i" >"$tmp/one.tar"
expect 1 "$t" rollback "$i" none; says 'no such snapshot'
expect 1 "$t" rollback "$i"; expect 1 "$t" rollback "$i" one two
expect 0 "$t" snapshot hold "$i" three; cp "$i" "$tmp/held.img"
expect 3 "$t" rollback "$i" one; says 'snapshot three was made later and is held'
expect 0 "$t" snapshot release "$i" three; expect 0 "$t" snapshot hold "$i" one
expect 0 "$t" rollback "$i" one; [ ! -s "$tmp/o" ] || fail "rollback prints something"
"$dump" tar "$i" | cmp - "$tmp/one.tar" || fail "other files than the snapshot holds"
expect 0 "$fsck" -fn --data "$i"
[ "$("$t" --json snapshot list "$i" | wc -l)" = 1 ] || fail "later snapshots are still there"
expect 0 "$t" --json rollback "$i" one; has '^\{"what":"rolled-back","name":"one"\}$'
expect 0 "$fsck" -fn --data "$i"
expect 1 "$t" rollback "$tmp" one # a directory of no volume

# larger: a file by its size, a device by its own
expect 0 "$t" --json grow "$i" 100M; has '"before":33554432,"size":104857600'
expect 0 "$fsck" -fn --data "$i"; [ "$(stat -c %s "$i")" = 104857600 ] || fail "size of the file"
expect 0 "$t" grow "$i"; has 'before=104857600 size=104857600'
truncate -s 300M "$i"; expect 0 "$t" grow "$i"; has 'size=314572800'; expect 0 "$fsck" -fn --data "$i"
for bad in 100M 0 x 1P; do expect 1 "$t" grow "$i" $bad; done 2>/dev/null
"$dump" tar "$i" | cmp - "$tmp/one.tar" || fail "other files than before it grew"

# scrub finds nothing in a sound volume, and in damaged ones what fsck.tfs finds, snapshots' data and nodes, too
truncate -s 33554432 "$tmp/base.img"; cp "$tmp/base.img" "$i"
expect 0 "$t" scrub "$i"; has '^scrub state=done bytes=[1-9][0-9]* nodes=[1-9][0-9]* places=[1-9][0-9]* damaged=0$'
all=$(grep -o 'bytes=[0-9]*' "$tmp/o")
read -r node data _ <<<"$("$bin/mutate" "$i" where)"
old=$("$dump" tree "$i" snap --items --json | python3 -c 'import json, sys
for line in sys.stdin:
    d = json.loads(line)
    if d["what"] == "snapshot": print(d["addr"] * 512); break')
both() { # NUMBER: of the problem
	expect 2 "$t" scrub "$i"; has "\\($1\\):"; grep -o "($1): .*" "$tmp/o" | sort -u >"$tmp/scrub"
	expect 4 "$fsck" -fn --data "$i"; [ "$1" = 70 ] || return 0
	grep -o "($1): .*" "$tmp/o" | sort -u | cmp - "$tmp/scrub" || fail "fsck.tfs says something else"
}
poke "$i" $((data + 200)); both 70
expect 2 "$t" --json scrub "$i"; has '"problem":70,"name":"data-bad"'
cp "$tmp/base.img" "$i"; poke "$i" $((node + 70)); both 10
cp "$tmp/base.img" "$i"; poke "$i" $((old + 70)); expect 2 "$t" scrub "$i"; has 'in snapshot of epoch [0-9]+: a tree node is damaged'

# stopped by a signal, at a low rate, and gone on with: each place once
cp "$tmp/base.img" "$i"; "$bin/mutate" "$i" fill:2000
expect 0 "$t" scrub "$i"; all=$(grep -o ' bytes=[0-9]*' "$tmp/o")
"$t" -q --json scrub --rate 2M --cursor "$tmp/cursor" "$i" >"$tmp/o" 2>"$tmp/e" & pid=$!
for _ in $(seq 200); do sleep 0.05; kill -0 $pid 2>/dev/null && kill -TERM $pid; [ -s "$tmp/cursor" ] && break; done
wait $pid || true
has '"state":"stopped"'; [ -s "$tmp/cursor" ] || fail "no cursor was left"
expect 0 "$t" scrub --cursor "$tmp/cursor" "$i"; has "state=done$all "; [ ! -e "$tmp/cursor" ] || fail "the cursor is still there"
echo nonsense >"$tmp/cursor"; expect 1 "$t" scrub --cursor "$tmp/cursor" "$i"; says 'begin anew'
expect 1 "$t" scrub --rate x "$i"; says 'expected bytes a second'
expect 0 "$t" df "$i"
echo "volume: as expected"
