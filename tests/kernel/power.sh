#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Power cuts inside the kernel: dm-log-writes records what the module sends to the disk while journalled clients work, and each
# acknowledgement as a mark. Afterwards the disk is rebuilt as it could be after a cut at many of its flushes - what was written
# since the flush before is there or not by chance - and each is checked by fsck and, in the guest, held against what the clients had
# been told. usage: power.sh [-n N] [-s SEED] [KERNEL]...   (N: cuts, default 40 for each kernel)
n=40 seed=$RANDOM
while getopts n:s: o; do case $o in n) n=$OPTARG ;; s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
command -v dmsetup >/dev/null || skip "dmsetup is missing: as root, apt-get install dmsetup"
compiled client tests/kernel/client.c
compiled marks tests/kernel/marks.c
size=96
for k in "${KERNELS[@]}"; do
	RANDOM=$seed
	volume ${size}M; cp "$tmp/t" "$tmp/before"; rm -f "$tmp/log"; truncate -s 3G "$tmp/log"
	{
		echo "seed=$seed sectors=$((size * 2048))"
		cat <<'J'
echo 0 $sectors log-writes /dev/vda /dev/vdb | dmsetup create rec || exit 1
[ -e /dev/mapper/rec ] || dmsetup mknodes
mount -t tfs /dev/mapper/rec /mnt || exit 1
dd if=/dev/urandom of=/mnt/ballast bs=1M count=40 2>/dev/null
( j=0; while [ $j -lt 12 ]; do j=$((j+1)); cp -r /lib/tfs /mnt/n$j; rm -rf /mnt/n$((j-1)); [ $((j % 3)) != 0 ] || sync; done ) &
mkdir /mnt/r; CLIENT_SECONDS=12 client run /mnt/r $seed 1 || exit 1
wait; umount /mnt || exit 1
dmsetup remove rec
J
	} | job
	guest -p "$tmp/client" -p dmsetup -o dm_log_writes -a "$tmp/acks" "$tmp/t" "$tmp/log" || { bad "recording"; continue; }
	sound "recording"
	read -r flushes _ entries _ < <("$tmp/marks" "$tmp/log") || { bad "no log"; continue; }
	echo "$k: $flushes flushes, $entries entries, $(wc -l <"$tmp/acks") acknowledgements"
	# all cuts are checked in one boot: an image for each would be a disk for each, so eight at a time
	i=0
	while [ $i -lt "$n" ]; do
		disks=() script="mkdir -p /acks; "
		for j in 0 1 2 3 4 5 6 7; do
			cp --sparse=always "$tmp/before" "$tmp/cut$j"
			at=$((RANDOM * 32768 + RANDOM)); at=$((at % flushes))
			said=$("$tmp/marks" "$tmp/log" "$tmp/cut$j" $at $((i + seed))) || { bad "rebuilding at flush $at"; break 2; }
			read -r _ acked _ <<<"$said"
			"$bin/fsck.tfs" -fn --data "$tmp/cut$j" >"$tmp/fsck" 2>&1 || { bad "fsck of a cut at flush $at, seed $seed"; head -5 "$tmp/fsck"; cp "$tmp/cut$j" "build/power-$k-$at.img"; }
			d=$(printf "\\x$(printf %x $((97 + j)))")
			script+="mount -t tfs /dev/vd$d /mnt || { echo 'flush $at: no mount'; exit 1; }; echo '0 $acked' >/acks/$j; "
			script+="if [ $acked != 0 ]; then client check /mnt/r $seed 1 /acks/$j >/tmp/found || { echo 'flush $at, seed $seed, $said:'; cat /tmp/found; bad=1; }; fi; "
			script+="echo x >/mnt/after || bad=1; umount /mnt || exit 1; "
			disks+=("$tmp/cut$j"); i=$((i + 1))
		done
		echo "$script exit \$bad" | job
		guest -p "$tmp/client" "${disks[@]}" || bad "a cut, seed $seed: power.sh -s $seed $k"
		for j in 0 1 2 3 4 5 6 7; do "$bin/fsck.tfs" -fn --data "$tmp/cut$j" >"$tmp/fsck" 2>&1 || { bad "fsck after recovery"; head -3 "$tmp/fsck"; }; done
		[ $failed = 0 ] || break
	done
	echo "$k: $i cuts, seed $seed"
done
finish
