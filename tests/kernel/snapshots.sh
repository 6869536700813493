#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Snapshots in the kernel, through the ioctls and the tool tfs: made under load, each holds what was written before it and is read
# again below .snapshots while the volume goes on; read-only in every way; deleted while a file of it is read; on a full volume;
# after a remount; mounted by themselves. Then the guest is killed N times while snapshots come and go, and the host finds the
# volume sound and each snapshot that was acknowledged with the content it was made of.
# usage: snapshots.sh [-n N] [-q] [KERNEL]...   (N: default 10; -q: one boot and no kill, as part of quick.sh)
n=10
while getopts n:q o; do case $o in n) n=$OPTARG ;; q) n=0 ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { echo "FAILED: $*"; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
refused() { for c in "$@"; do e=$(sh -c "$c" 2>&1) && fail "$c: was done"; case $e in *Read-only*) ;; *) fail "$c: $e" ;; esac; done; }
counter() { cat /sys/fs/tfs/vda/$1; }
mount -t tfs /dev/vda /mnt || fail mount
at "made under load"
mkdir /mnt/d /mnt/noise; s=/mnt/.snapshots
( i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); dd if=/dev/urandom of=/mnt/noise/$((i % 40)) bs=30k count=$((i % 7 + 1)) 2>/dev/null; [ $((i % 9)) != 0 ] || rm -f /mnt/noise/1*; done ) & load=$!
for i in 1 2 3 4 5; do
	for j in 0 1 2 3; do dd if=/dev/urandom of=/mnt/d/$j bs=50k count=$((i + j)) 2>/dev/null; done # dirty pages, not synced
	mkdir -p /mnt/d/deep/$i; echo "number $i" >/mnt/d/deep/$i/f; ln -sf f /mnt/d/deep/$i/l; mv /mnt/d/deep/$i /mnt/d/deep/n$i
	(cd /mnt/d; find . | sort | grep -v '^.$'; find . -type f | sort | xargs md5sum) >/tmp/want$i
	tfs snapshot create /mnt s$i || fail "create $i"
done
[ "$(counter checkpoint_waits)" = 0 ] || fail "snapshots waited $(counter checkpoint_waits) times for the device under the core's lock"
at "held the core's lock for $(($(counter checkpoint_held_ns) / 1000)) us at most"
rm -r /mnt/d/deep; mkdir /mnt/d/deep; : >/mnt/d/0; rm /mnt/d/1
for round in 1 2; do
	for i in 1 2 3 4 5; do
		(cd $s/s$i/d && { find . | sort | grep -v '^.$'; find . -type f | sort | xargs md5sum; }) >/tmp/found$i || fail "reading s$i"
		cmp /tmp/want$i /tmp/found$i || { diff /tmp/want$i /tmp/found$i | head -5; fail "s$i is not what it was made of, round $round"; }
	done
	echo 3 >/proc/sys/vm/drop_caches
done
touch /tmp/stop; wait $load; rm -r /mnt/noise
at "names"
[ "$(ls $s | tr '\n' ' ')" = "s1 s2 s3 s4 s5 " ] || fail "list: $(ls $s)"
! ls -a /mnt | grep -q snapshots || fail ".snapshots is listed"
[ "$(stat -c %d $s/s1/d)" != "$(stat -c %d /mnt/d)" ] && [ "$(stat -c %d $s/s1/d)" != "$(stat -c %d $s/s2/d)" ] || fail "st_dev"
[ "$(stat -c %i $s/s1/d)" = "$(stat -c %i /mnt/d)" ] || fail "st_ino"
[ "$(stat -c %d $s/s1/d)" = "$(stat -c %d $s/s1/d/0)" ] || fail "st_dev within one"
! stat $s/none 2>/dev/null || fail "a snapshot that is not there"; [ "$(readlink $s/s1/d/deep/n1/l)" = f ] || fail readlink
at "read-only"
refused "touch $s/s1/new" "echo x >>$s/s1/d/0" "rm $s/s1/d/0" "mkdir $s/s1/new" "mkdir $s/new" "rmdir $s/s1" "chmod 700 $s/s1/d" "chown 1 $s/s1/d/0" "ln -s x $s/s1/d/sym" \
	"mv $s/s1/d/0 $s/s1/d/9" "mv /mnt/d/2 $s/s1/d/9" "mv $s/s1 $s/x" "rmdir $s" "mv $s /mnt/x" "touch $s/s1/d/0" "truncate -s 0 $s/s1/d/0"
! ln $s/s1/d/2 /mnt/hard 2>/dev/null || fail "a hard link out of a snapshot"; ! mkdir $s 2>/dev/null || fail "mkdir .snapshots"; mkdir /mnt/x
mv /mnt/x $s 2>/dev/null && fail "moved into .snapshots"; rmdir /mnt/x || fail "gone after a move into .snapshots"
at "the tool"
tfs snapshot list /mnt >/tmp/l && [ "$(wc -l </tmp/l)" = 6 ] || fail "list: $(cat /tmp/l)"
tfs snapshot diff /mnt s4 s5 >/tmp/l; grep -q "created .*path='d/deep/n5/f'" /tmp/l && grep -q "modified .*path='d/0'" /tmp/l || fail "diff: $(cat /tmp/l)"
tfs snapshot diff /mnt s5 >/tmp/l; grep -q "deleted .*path='d/1'" /tmp/l || fail "diff to now: $(cat /tmp/l)"
tfs snapshot rename /mnt s2 zwei && [ -d $s/zwei/d ] && [ ! -e $s/s2 ] || fail rename; tfs snapshot hold /mnt zwei
tfs snapshot delete /mnt zwei 2>/dev/null; [ $? = 3 ] && [ -d $s/zwei/d ] || fail "a held one was deleted"; tfs snapshot release /mnt zwei || fail release
! tfs snapshot create /mnt s1 2>/dev/null && ! tfs snapshot create /mnt a/b 2>/dev/null && ! tfs snapshot create /mnt .. 2>/dev/null || fail "bad names"
tfs df /mnt | grep -q available || fail df; [ "$(counter snapshots)" = 5 ] && [ "$(counter snapshot_bytes)" -gt 0 ] || fail "counters of snapshots"
echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd; su nobody -s /bin/sh -c 'tfs snapshot create /mnt user; tfs snapshot list /mnt' 2>/dev/null && fail "not root, and done"
at "deleted under a reader"
exec 7<$s/s3/d/3 8<$s/s3/d/2; head -c 4096 <&7 >/dev/null; cp $s/s1/d/3 /tmp/keep3
tfs snapshot delete /mnt s3 || fail "delete under a reader"; ! ls $s | grep -q s3 || fail "s3 is still listed"; ! stat $s/s3 2>/dev/null || fail "s3 is still found"
i=0; while [ "$(tfs df --json /mnt | head -1 | grep -c dying)" != 0 ]; do sleep 0.2; i=$((i+1)); [ $i -lt 150 ] || fail "never freed"; done
sync; for i in 1 2 3; do dd if=/dev/urandom of=/mnt/over bs=1M count=8 2>/dev/null; sync; done; echo 3 >/proc/sys/vm/drop_caches
e=$(dd of=/tmp/stale bs=64k <&8 2>&1) && fail "a deleted snapshot is read from the device: $(wc -c </tmp/stale)"; case $e in *[Ss]tale*) ;; *) fail "not ESTALE: $e" ;; esac
exec 7<&- 8<&-; tfs snapshot create /mnt s3 && [ "$(md5sum </mnt/over)" = "$(md5sum <$s/s3/over)" ] || fail "a new one of the same name"
at "remount"
cp /tmp/want1 /mnt/want1; umount /mnt && mount -t tfs /dev/vda /mnt || fail remount
(cd $s/s1/d && { find . | sort | grep -v '^.$'; find . -type f | sort | xargs md5sum; }) | cmp - /tmp/want1 || fail "s1 after a remount"
umount /mnt; mount -t tfs -o snapshot=s1 /dev/vda /snap 2>/dev/null; mkdir -p /snap; mount -t tfs -o ro,snapshot=s1 /dev/vda /snap || fail "-o snapshot"
(cd /snap/d && { find . | sort | grep -v '^.$'; find . -type f | sort | xargs md5sum; }) | cmp - /tmp/want1 || fail "s1 mounted by itself"
refused "touch /snap/x" "mount -o remount,rw /snap && touch /snap/x"; grep -q 'snapshot=s1' /proc/mounts || fail "options shown"
! mount -t tfs -o ro /dev/vda /mnt 2>/dev/null || fail "the volume beside a snapshot of it"; [ ! -e /snap/.snapshots ] || fail ".snapshots in a snapshot"; umount /snap
! mount -t tfs -o ro,snapshot=none /dev/vda /snap 2>/dev/null || fail "a snapshot that is not there"; mount -t tfs /dev/vda /mnt || fail remount
! mount -t tfs -o ro,snapshot=s1 /dev/vda /snap 2>/dev/null || fail "a snapshot beside the volume"; mkdir -p /b; mount --bind $s/s1 /b && cmp /b/d/3 /tmp/keep3 && umount /b || fail "bound"
at "rollback"
refusal() { what=$1; shift; e=$("$@" 2>&1) && fail "$what: was done"; dmesg | grep -q "$what" || fail "expected: $what; found: $e"; }
tfs snapshot hold /mnt s5; refusal "goes with the first mount" mount -o remount,rollback=s1 /mnt; mkdir -p /twice; refusal "goes with its first mount" mount -t tfs -o rollback=s1 /dev/vda /twice
umount /mnt; refusal "leave out ro" mount -t tfs -o ro,rollback=s1 /dev/vda /mnt; refusal "rollback=none: no such" mount -t tfs -o rollback=none /dev/vda /mnt
refusal "a later snapshot is held" mount -t tfs -o rollback=s1 /dev/vda /mnt; mount -t tfs /dev/vda /mnt && [ -e $s/s5 ] && [ ! -e /mnt/d/1 ] || fail "a rollback that was refused did something"
tfs snapshot release /mnt s5; umount /mnt; mount -t tfs -o rollback=s1 /dev/vda /mnt || fail "mount -o rollback"; grep -q rollback /proc/mounts && fail "rollback stays an option"
for round in 1 2; do # and it stays so
	[ "$(ls $s)" = s1 ] || fail "snapshots after a rollback: $(ls $s)"
	(cd /mnt/d && { find . | sort | grep -v '^.$'; find . -type f | sort | xargs md5sum; }) | cmp - /tmp/want1 || fail "not what s1 holds, round $round"
	[ $round = 2 ] || { umount /mnt && mount -t tfs /dev/vda /mnt || fail remount; }
done
i=0; while [ "$(counter snapshots_dying)" != 0 ]; do sleep 0.2; i=$((i+1)); [ $i -lt 150 ] || fail "what came after s1 is never freed"; done
at "full"
i=0; while dd if=/dev/urandom of=/mnt/fill$i bs=1M count=4 2>/dev/null; do i=$((i+1)); [ $i -lt 60 ] || fail "never full"; done; sync
cmp $s/s1/d/3 /tmp/keep3 || fail "a snapshot on a full volume"; tfs snapshot create /mnt full 2>/dev/null
rm /mnt/fill* || fail "rm on a full volume"; for x in $(ls $s); do tfs snapshot delete /mnt $x || fail "delete $x on a full volume"; done
i=0; while [ "$(counter snapshots_dying)" != 0 ]; do sleep 0.2; i=$((i+1)); [ $i -lt 150 ] || fail "never freed"; done
[ "$(counter snapshot_bytes)" = 0 ] || fail "without snapshots $(counter snapshot_bytes) bytes are held"; dd if=/dev/urandom of=/mnt/again bs=1M count=30 2>/dev/null && sync || fail "space did not come back"
at "the compactor"
rm /mnt/again; tfs compact /mnt | grep -q 'state  *auto' && tfs compact /mnt off && tfs compact /mnt | grep -q 'state  *off' || fail "compact off"
for i in $(seq 400); do dd if=/dev/urandom of=/mnt/c$i bs=20k count=4 2>/dev/null; done; for i in $(seq 2 2 400); do rm /mnt/c$i; done; sync; (cd /mnt; md5sum c*) >/tmp/sums
tfs compact /mnt now -q || fail "compact now"; echo 3 >/proc/sys/vm/drop_caches; (cd /mnt; md5sum -c -s /tmp/sums) || fail "content after compacting"
[ "$(counter moved_bytes)" -gt 0 ] && [ "$(counter whole_segments)" -gt 0 ] || fail "nothing moved"; cat /sys/fs/tfs/vda/free_runs >/dev/null || fail free_runs
mount -o remount,compact=auto /mnt && tfs compact /mnt | grep -q 'state  *auto' || fail "remount,compact=auto"
umount /mnt || fail umount
at end
J
	echo "== $k"; volume 96M
	LIMIT=280 guest -p "$bin/tfs" "$tmp/t" || bad "in the guest"
	sound "the run"
	[ "$n" -gt 0 ] || continue
	# killed while snapshots come and go; what was acknowledged is there
	volume 128M; : >"$tmp/acks"
	for i in $(seq 1 "$n"); do
		{
			echo "round=$i"
			cat <<'J'
mount -t tfs /dev/vda /mnt || exit 1
s=/mnt/.snapshots
for x in $(ls $s); do # all of each is readable, and is what its own list says
	[ ! -e $s/$x/sums ] || (cd $s/$x && md5sum -c -s sums) || { echo "FAILED: $x differs"; exit 1; }
done
( j=0; while :; do j=$((j+1)); dd if=/dev/urandom of=/mnt/noise$((j % 5)) bs=50k count=$((j % 30 + 1)) 2>/dev/null; done ) &
for j in $(seq 1 1000); do
	for f in a b c; do dd if=/dev/urandom of=/mnt/$f.$j bs=10k count=5 2>/dev/null; done; rm -f /mnt/?.$((j - 4))
	(cd /mnt; md5sum ?.*) >/mnt/sums
	tfs snapshot create /mnt r$round.$j && echo "+r$round.$j" >/dev/ack
	[ $j -lt 4 ] || { tfs snapshot delete /mnt r$round.$((j - 3)) && echo "-r$round.$((j - 3))" >/dev/ack; }
done
J
		} | job
		guest -p "$bin/tfs" -a "$tmp/acks.new" -k "$((RANDOM % 5)).$((RANDOM % 90 + 10))" "$tmp/t" || { bad "kill $i"; break; }
		cat "$tmp/acks.new" >>"$tmp/acks"
		sound "kill $i"
		"$bin/tfs" --json snapshot list "$tmp/t" >"$tmp/list" || bad "list after kill $i"
		for a in $(sed -n 's/^+//p' "$tmp/acks"); do
			if grep -qx -- "-$a" "$tmp/acks"; then
				! grep -q "\"name\":\"$a\"" "$tmp/list" || bad "kill $i: $a was deleted, and is there"
			elif ! grep -q "\"name\":\"$a\"" "$tmp/list"; then # its delete may have happened without being acknowledged: only the next in turn
				r=${a%.*} j=${a#*.}; grep -qx -- "+$r.$((j + 3))" "$tmp/acks" || bad "kill $i: $a was made, and is not there"
			else
				"$bin/dump.tfs" cat --snapshot "$a" "$tmp/t" sums >"$tmp/sums" || bad "kill $i: sums of $a"
				while read -r sum f; do [ "$("$bin/dump.tfs" cat --snapshot "$a" "$tmp/t" "$f" | md5sum | cut -d' ' -f1)" = "$sum" ] || bad "kill $i: $f in $a differs"; done <"$tmp/sums"
			fi
		done
		for x in $("$bin/tfs" --json snapshot list "$tmp/t" | sed 's/.*"name":"\([^"]*\)".*/\1/' | head -n -2); do "$bin/tfs" snapshot delete "$tmp/t" "$x"; echo "-$x" >>"$tmp/acks"; done
		[ $failed = 0 ] || { cp "$tmp/t" "build/snapshots-$k-$i.img"; break; }
	done
	echo "$k: $n kills, $(grep -c '^+' "$tmp/acks") snapshots acknowledged"
done
finish
