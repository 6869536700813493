#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# dump.tfs and tfs-fuse with snapshots: the list, looking into one, what changed between two; wrong names are said to be
# wrong. The volume comes from tests/fsck/mutate.c: snapshots one, three and four; two was deleted.
# usage: test_snapshots.sh   Mounts only where /dev/fuse can be used.
set -eu
export LC_ALL=C
bin=$(realpath "${BIN:-build/bin}")
dump=$bin/dump.tfs
tmp=$(mktemp -d)
trap 'mountpoint -q "$tmp/m" && fusermount3 -u "$tmp/m"; rm -rf "$tmp"' EXIT
fail() { echo "FAILED: $*; repeat: tests/cli/test_snapshots.sh"; head -20 "$tmp/o" "$tmp/e" 2>/dev/null; exit 1; }
expect() { # CODE COMMAND...
	local want=$1 got=0; shift
	timeout 60 "$@" >"$tmp/o" 2>"$tmp/e" || got=$?
	[ "$got" = "$want" ] || fail "expected exit $want, found $got: $*"
	[ "$want" = 0 ] || [ -s "$tmp/e" ] || fail "no message: $*"
}
has() { grep -qE -e "$1" "$tmp/o" || fail "expected '$1' in the output"; }
lacks() { ! grep -qE -e "$1" "$tmp/o" || fail "expected no '$1' in the output"; }

for n in 1 3 4; do # as it was when that snapshot was made
	"$bin/mutate" make "$tmp/$n.img"; "$bin/mutate" "$tmp/$n.img" snapshots:$n
done
i=$tmp/4.img
"$bin/mutate" make "$tmp/then4.img"; cp "$i" "$tmp/all.img"
expect 0 "$bin/fsck.tfs" -fn --data "$i"
expect 0 "$dump" snapshots "$i"
has "^snapshot name='one' created=.* inodes=17 referenced=[1-9][0-9]* exclusive=[1-9]"; has "name='three'"; has "name='four'"; lacks two
[ "$(wc -l <"$tmp/o")" = 3 ] || fail "expected three snapshots"
expect 0 "$dump" --json snapshots "$i"; has '"name":"one".*"holds":0,"dying":false'

# what each holds is what the volume held then
for pair in 1:one 3:three; do
	n=${pair%:*} name=${pair#*:}
	"$dump" cat "$tmp/$n.img" dir/sub/deep >"$tmp/then"
	expect 0 "$dump" cat --snapshot "$name" "$i" dir/sub/deep; cmp "$tmp/o" "$tmp/then" || fail "content of $name"
	"$dump" ls -R "$tmp/$n.img" >"$tmp/then"
	expect 0 "$dump" ls -R --snapshot "$name" "$i"; cmp "$tmp/o" "$tmp/then" || fail "names of $name"
	expect 0 "$dump" tar --snapshot "$name" "$i" dir; tar -xOf "$tmp/o" --wildcards '*sub/deep' >"$tmp/x$n" 2>/dev/null
	cmp "$tmp/x$n" <("$dump" cat "$tmp/$n.img" dir/sub/deep) || fail "tar of $name"
done
expect 0 "$dump" cat "$i" dir/sub/deep; [ "$(stat -c %s "$tmp/o")" = 65536 ] || fail "the volume itself"

# what changed
expect 0 "$dump" diff "$i" one three
has "^deleted ino=[0-9]+ .*path='dir/one'"; has "^created ino=[0-9]+ type=file path='dir/two'"; has "^created ino=[0-9]+ .*path='dir/three'"
has "^modified ino=6 path='dir/sub/deep' xattrs size=196608"; has '^  range ino=6 from=65536 to=196608'; lacks four; lacks big
expect 0 "$dump" diff "$i" four; has '^modified ino=6 .*size=65536'; lacks created
expect 0 "$dump" diff -i "$i" one three; has '^created ino=[0-9]+ type=file$'; lacks path
expect 0 "$dump" diff --json "$i" three four; has '"what":"created","ino":[0-9]+,"type":"file","path":"dir/four"'; has '"what":"range","ino":6,"from":'
expect 0 "$dump" diff "$i" one one; [ ! -s "$tmp/o" ] || fail "a snapshot differs from itself"

# what is wrong
expect 1 "$dump" ls --snapshot none "$i"; expect 1 "$dump" diff "$i" none; expect 1 "$dump" diff "$i" two
expect 1 "$dump" diff "$i" three one; expect 1 "$dump" diff "$i"; expect 1 "$dump" super --snapshot one "$i"
expect 1 "$dump" snapshots --snapshot one "$i"

if [ -w /dev/fuse ] && command -v fusermount3 >/dev/null; then
	mkdir "$tmp/m"
	expect 2 "$bin/tfs-fuse" -o snapshot=none "$i" "$tmp/m"
	expect 0 "$bin/tfs-fuse" -o snapshot=three "$i" "$tmp/m"
	cmp "$tmp/m/dir/sub/deep" "$tmp/x3" || fail "content through a mount"
	[ "$(ls "$tmp/m/dir" | tr '\n' ' ')" = "a b sub three two " ] || fail "names through a mount"
	! touch "$tmp/m/new" 2>/dev/null || fail "a mounted snapshot can be written"
	fusermount3 -u "$tmp/m"
	cmp "$i" "$tmp/all.img" || fail "something was written to the image"

	# back to one of them, by a mount: all that came later is gone, and its space free
	expect 2 "$bin/tfs-fuse" -o rollback=none "$i" "$tmp/m"; grep -q "no such snapshot" "$tmp/e" || fail "expected a reason"
	expect 1 "$bin/tfs-fuse" -o ro,rollback=one "$i" "$tmp/m"
	expect 0 "$bin/tfs-fuse" -o rollback=one "$i" "$tmp/m"
	cmp "$tmp/m/dir/sub/deep" "$tmp/x1" || fail "content after a rollback"
	echo more >"$tmp/m/dir/more"; fusermount3 -u "$tmp/m"
	for n in $(seq 500); do pgrep -f "tfs-fuse.*$i" >/dev/null || break; sleep 0.02; done # it ends a moment later
	expect 0 "$bin/fsck.tfs" -fn --data "$i"
	expect 0 "$dump" snapshots "$i"; has "name='one'"; lacks three; lacks four; lacks old-state
	expect 0 "$dump" cat "$i" dir/more; has more
	exit 0
fi
cmp "$i" "$tmp/all.img" || fail "something was written to the image"
