#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# fsck.tfs: one thing is changed in a sound volume, checksums right; fsck -n must report it by number and write nothing, fsck
# -y must mend it in one run, the next run must find nothing, and the rest must still be there. Then damage by bytes:
# superblocks, anchors, nodes, data. usage: test_fsck.sh [MUTATION]
set -u
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
bin=${BIN:-build/bin}
fsck=$bin/fsck.tfs mutate=$bin/mutate dump=$bin/dump.tfs i=$tmp/i.img failed=0
bad() { echo "FAILED: $*; repeat: tests/fsck/test_fsck.sh $name"; sed 's/^/   /' "$tmp/out" | head -20; failed=1; }
run() { local want=$1 got=0; shift; "$@" >"$tmp/out" 2>&1 || got=$?; [ "$got" = "$want" ] || bad "expected exit $want, found $got: ${*//$tmp\//}"; }
name=base
$mutate make "$tmp/base.img" || exit 1
run 0 $fsck -fn --data "$tmp/base.img"
while read -r name problem left data; do
	[ $# = 0 ] || [ "$1" = "$name" ] || continue
	deep=(); [ "$data" = 0 ] || deep=(--data)
	cp "$tmp/base.img" "$i"
	$mutate "$i" "$name" || { bad "mutation"; continue; }
	cp "$i" "$tmp/before.img"
	run 4 $fsck -fn "${deep[@]}" "$i"
	grep -q "($problem):" "$tmp/out" || bad "expected problem $problem to be reported"
	cmp -s "$i" "$tmp/before.img" || bad "fsck -n wrote to the image"
	run 4 $fsck -fn "${deep[@]}" --json "$i"
	grep -q "\"problem\":$problem," "$tmp/out" || bad "expected problem $problem in the JSON"
	if [ "$left" = 1 ]; then run 4 $fsck -fy "${deep[@]}" "$i"; continue; fi
	run 1 $fsck -fy "${deep[@]}" --undo "$tmp/undo" "$i"; cp "$tmp/out" "$tmp/out.y"
	run 0 $fsck -fn --data "$i"
	run 0 $dump ls -R "$i"
	for f in big packed shared clone clone2 raws rawc; do
		case $name:$f in ref-unfit:clone | range:* | future:* | gang:packed | pieces:packed | far:big | tail:big | root-gone:* | inode-gone:*) continue ;; esac
		[ "$($dump cat "$tmp/base.img" $f | md5sum)" = "$($dump cat "$i" $f | md5sum)" ] || bad "content of $f changed"
	done
	# whoever shares goes on to share
	case $name in ref-over*) ;; ref-* | claim-blocks) grep -q '(5[04]):' "$tmp/out.y" && bad "places counted as used twice" ;; esac
	case $name in # who shared a place still has its content, at its own
	claim) [ "$($dump cat "$i" packed | head -c 65536 | md5sum)" = "$($dump cat "$i" dir/sub/deep | md5sum)" ] || bad "the copy differs" ;;
	claim-all | claim-blocks) [ "$($dump cat "$i" big | md5sum)" = "$($dump cat "$i" dir/sub/deep | md5sum)" ] || bad "the copy differs" ;;
	claim-full) # the first owner keeps the places, the other gets copies while there is room for any
		grep -q '(54): expected room for a copy, found the volume full' "$tmp/out.y" || bad "expected copies without room"
		[ "$($dump cat "$tmp/before.img" fill | md5sum)" = "$($dump cat "$i" dir/sub/deep | md5sum)" ] || bad "content of the owner changed"
		cp "$tmp/before.img" "$tmp/p.img"; run 4 $fsck -fn --data "$tmp/p.img"; cp "$tmp/out" "$tmp/out.n"; run 8 $fsck -fp "$tmp/p.img"; grep -q "nothing was changed" "$tmp/out" || bad "-p: no message"
		run 4 $fsck -fn --data "$tmp/p.img"; cmp -s "$tmp/out" "$tmp/out.n" || bad "-p gave something up" ;; # copies stand in free places
	claim-raw) [ "$($dump cat "$i" big | tail -c +20481 | head -c 45056 | md5sum)" = "$($dump cat "$i" dir/sub/deep | tail -c +20481 | md5sum)" ] || bad "the copy differs" ;;
	empty-leaf) [ "$($dump ls "$i" many | wc -l)" = 333 ] || bad "names were lost with the index node" ;;
	acl-version | acl-order) $dump stat "$i" dir/b | grep -q '0604' || bad "the mask of a removed list stays as the group's rights: $($dump stat "$i" dir/b)" ;;
	acl-far) $dump stat "$i" dir/sub/deep | grep -q 0604 || bad "a large list: $($dump stat "$i" dir/sub/deep)" ;;
	acl-default) $dump stat "$i" same | grep -q 0755 || bad "the mode went with a default list" ;;
	claim-node) [ "$($dump ls "$i" dir | wc -l)" = 403 ] || bad "names were lost with the leaf" ;;
	esac
	run 1 $fsck --restore "$tmp/undo" "$i"; rm -f "$tmp/undo"
	cmp -s "$i" "$tmp/before.img" || bad "the undo file did not bring the image back"
done < <($mutate list)
[ $# = 0 ] || exit $failed

# damage by bytes: place, what -n says, what -y does
poke() { printf '\xa5\x5a' | dd of="$i" bs=1 seek="$1" conv=notrunc status=none; }
size=$(stat -c %s "$tmp/base.img")
byte() { # NAME PLACE EXIT_OF_N EXIT_OF_Y EXIT_AFTER
	name=$1; cp "$tmp/base.img" "$i"; poke "$2"
	run "$3" $fsck -fn --data "$i"; run "$4" $fsck -fy --data "$i"; run "$5" $fsck -fn --data "$i"
}
byte super-first 4200 4 1 0
byte super-last $((size - 4096 + 100)) 4 1 0
for s in 0 1 2 3; do
	# slots that were never used are zeros: what was poked into them is damage too
	byte anchor-$s $((16384 + 4096 * s + 50)) 4 1 0
	byte anchor-copy-$s $((size - 32768 + 4096 * s + 50)) 4 1 0
done
read -r node data checkpoint list <<<"$($mutate "$tmp/base.img" where)"
byte list $((list + 200)) 4 1 0
# nothing leads to the trees: no repair may make an empty volume of it
byte checkpoint $((checkpoint + 200)) 4 4 4
poke $((checkpoint + 201)); cp "$i" "$tmp/before.img"; run 4 $fsck -fy "$i"; cmp -s "$i" "$tmp/before.img" || bad "fsck -y wrote without a checkpoint"
name=no-anchor; cp "$tmp/base.img" "$i"
for s in 0 1 2 3; do poke $((16384 + 4096 * s + 50)); poke $((size - 32768 + 4096 * s + 50)); done
poke 4200; cp "$i" "$tmp/before.img"; run 8 $fsck -fy "$i"; cmp -s "$i" "$tmp/before.img" || bad "fsck -y wrote without an anchor"
name=log-list; cp "$tmp/base.img" "$i"; $mutate "$i" log
read -r _ _ _ list <<<"$($mutate "$i" where)" # waits: mutate holds the image while it runs
sum=$($dump cat "$i" logged | md5sum)
poke $((list + 200)); run 1 $fsck -fy "$i"; run 0 $fsck -fn --data "$i"
[ "$sum" = "$($dump cat "$i" logged | md5sum)" ] || bad "what the log held was given up for a list block"
byte node $((node + 200)) 4 1 0
byte data $((data + 200)) 4 4 4

# a damaged index node costs nothing: the leaves below it are found, and no older form of them, nor what a file holds
index() { # FILES LEVEL [MUTATION]
	name="index-$*"
	$mutate make "$i" && $mutate "$i" "many:$1" && { [ $# = 2 ] || $mutate "$i" "$3"; } || bad "mutation"
	$dump tar "$i" >"$tmp/tar.before"
	poke $(($($mutate "$i" "where:$2") + 70)); cp "$i" "$tmp/index.img"
	run 4 $fsck -fn "$i"; grep -q "leaves that were below it are found" "$tmp/out" || bad "expected leaves to be found"
	run 1 $fsck -fy "$i"; run 0 $fsck -fn --data "$i"
	$dump tar "$i" 2>&1 | cmp -s - "$tmp/tar.before" || bad "content differs"
}
index 40000 1
index 40000 2
index 3000 1 copies
for n in 5 10 15 20 25 30 35 40; do # cut off: the leaves are still there for the next run
	cp "$tmp/index.img" "$i"; STOP_AT=$n LD_PRELOAD=build/bin/stop.so $fsck -fy "$i" >"$tmp/out" 2>&1
	timeout 60 $fsck -fy "$i" >"$tmp/out" 2>&1; run 0 $fsck -fn "$i"
	$dump tar "$i" 2>&1 | cmp -s - "$tmp/tar.before" || bad "cut off at write $n: content differs"
done
# the same where nearly nothing is free: the places of the leaves found are not written over before the repair is durable
name=index-full; $mutate make "$i" && $mutate "$i" many:8000 && $mutate "$i" fill:1200 || bad "mutation"
$dump tar "$i" >"$tmp/tar.before"; poke $(($($mutate "$i" where:1) + 70)); cp "$i" "$tmp/index.img"
for ((n = 1; n < 400; n += 5)); do
	cp "$tmp/index.img" "$i"; code=0; STOP_AT=$n LD_PRELOAD=build/bin/stop.so $fsck -fy "$i" >"$tmp/out" 2>&1 || code=$?
	[ $code = 99 ] || break
	timeout 60 $fsck -fy "$i" >"$tmp/out" 2>&1
	$dump tar "$i" 2>&1 | cmp -s - "$tmp/tar.before" || bad "cut off at write $n: content differs"
done
[ "$n" -gt 20 ] || bad "expected a repair of more than 20 writes, found $n"
name=index-log; $mutate make "$i"; $mutate "$i" many:3000; $dump ls -R "$i" | sort >"$tmp/ls"; $mutate "$i" log
poke $(($($mutate "$i" where:1) + 70)); run 1 $fsck -fy "$i"; run 0 $fsck -fn --data "$i"
$dump ls -R "$i" | sort | comm -23 "$tmp/ls" - | grep -q . && bad "names that the checkpoint held are gone"
name=both-supers; cp "$tmp/base.img" "$i"; poke 4200; poke $((size - 4000)); run 8 $fsck -fn "$i"; run 8 $fsck -fy "$i"
name=foreign; head -c 20000000 /dev/zero >"$i"; run 8 $fsck -fy "$i"
name=truncated; head -c 20000000 "$tmp/base.img" >"$i"; run 8 $fsck -fn "$i"
name=short; head -c 5000 "$tmp/base.img" >"$i"; run 8 $fsck -fn "$i"
name=usage; run 16 $fsck; run 16 $fsck -n -y "$i"; run 16 $fsck -n --restore "$tmp/undo" "$i"; run 8 $fsck -n "$tmp/none"
name=preen; cp "$tmp/base.img" "$i"; $mutate "$i" nlink; run 1 $fsck -fp "$i"; run 0 $fsck -fp "$i"
$mutate "$i" overlap; run 4 $fsck -fa "$i"
# an undo file serves the volume it was made from, in the states that the repair went through, and no other
name=undo-identity; rm -f "$tmp/undo"
refused() { # WHAT FILE
	cp "$i" "$tmp/before.img"; run 8 $fsck --restore "$2" "$i"
	grep -q "nothing was changed" "$tmp/out" && cmp -s "$i" "$tmp/before.img" || bad "$1: expected a refusal that changes nothing"
}
cp "$tmp/base.img" "$i"; $mutate "$i" nlink; cp "$i" "$tmp/start.img"
run 1 $fsck -fy --undo "$tmp/undo" "$i"; cp "$i" "$tmp/mended.img"
$mutate "$i" dir-nlink; refused "changed since" "$tmp/undo"
cp "$tmp/base.img" "$i"; refused "before the state it leads back to" "$tmp/undo"
cp "$tmp/mended.img" "$i"; truncate -s +4096 "$i"; refused "another size" "$tmp/undo"
build/bin/mkfs.tfs --size 32M "$tmp/other.img" >/dev/null 2>&1 || bad "mkfs.tfs"
cp "$tmp/other.img" "$i"; refused "another volume" "$tmp/undo"
cp "$tmp/mended.img" "$i"
cp "$tmp/undo" "$tmp/u"; printf 'x' | dd of="$tmp/u" bs=1 seek=9000 conv=notrunc status=none; refused "a damaged entry" "$tmp/u"
head -c 4000 "$tmp/undo" >"$tmp/u"; refused "no head" "$tmp/u"
run 1 $fsck --restore "$tmp/undo" "$i"; cmp -s "$i" "$tmp/start.img" || bad "the undo file did not bring the image back"
run 1 $fsck --restore "$tmp/undo" "$i"; cmp -s "$i" "$tmp/start.img" || bad "a second restore changed something"
name=undo-cut # a repair that the power ended at any write is taken back too
for ((n = 1; n < 200; n++)); do
	cp "$tmp/start.img" "$i"; rm -f "$tmp/undo"; code=0
	STOP_AT=$n LD_PRELOAD=build/bin/stop.so $fsck -fy --undo "$tmp/undo" "$i" >"$tmp/out" 2>&1 || code=$?
	[ $code = 99 ] || break
	cmp -s "$i" "$tmp/start.img" && continue
	run 1 $fsck --restore "$tmp/undo" "$i"; cmp -s "$i" "$tmp/start.img" || bad "cut off at write $n: not taken back"
done
[ "$n" -gt 15 ] || bad "expected a repair of more than 15 writes, found $n"
name=full-output; cp "$tmp/base.img" "$i"; run 8 sh -c "$fsck -fn $i >/dev/full"
tests/fsck/random.sh 1 150 || failed=1
[ $failed = 0 ] && echo "fsck: all as expected"
exit $failed
