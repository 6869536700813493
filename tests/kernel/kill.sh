#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The guest is killed N times at a random time while journalled clients (client.c) and a noisy neighbour work on a volume that is
# mostly full. After each kill the host's fsck finds nothing, the next boot mounts, and what was acknowledged is there, in order.
# usage: kill.sh [-n N] [-s SEED] [KERNEL]...   (N: default 100 for each kernel)
n=100 seed=$RANDOM
while getopts n:s: o; do case $o in n) n=$OPTARG ;; s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
threads=4
compiled client tests/kernel/client.c
for k in "${KERNELS[@]}"; do
	RANDOM=$seed; acked=0
	volume 192M; : >"$tmp/acks"
	for i in $(seq 0 "$n"); do
		{
			echo "i=$i n=$n seed=$seed threads=$threads"
			echo "cat >/tmp/acks <<'A'"; tail -n 400 "$tmp/acks"; echo A
			cat <<'J'
mount -t tfs /dev/vda /mnt || exit 1
[ $i = 0 ] && { dd if=/dev/urandom of=/mnt/ballast bs=1M count=110 2>/dev/null; sync; }
p=$((i-1))
[ $i = 0 ] || client check /mnt/r$p $seed$p $threads /tmp/acks >/tmp/found || { cat /tmp/found; exit 1; }
rm -rf /mnt/noise /mnt/r$p || exit 1
if [ $i = $n ]; then umount /mnt; exit; fi
mkdir /mnt/r$i /mnt/noise
( j=0; while :; do j=$((j+1)); cp -r /lib/tfs /mnt/noise/$j 2>/dev/null; dd if=/dev/urandom of=/mnt/noise/big bs=100k count=$((j % 60 + 1)) 2>/dev/null
  [ $((j % 3)) = 0 ] && rm -rf /mnt/noise/*; [ $((j % 5)) = 0 ] && sync; done ) &
client run /mnt/r$i $seed$i $threads
J
		} | job
		options=(-p "$tmp/client" -a "$tmp/acks.new" -m 512)
		[ "$i" = "$n" ] || options+=(-k "$((RANDOM % 6)).$((RANDOM % 90 + 10))")
		guest "${options[@]}" "$tmp/t" || { cp "$tmp/t" "build/kill-$k-$i.img"; bad "kill $i, seed $seed: kill.sh -n $n -s $seed; the volume: build/kill-$k-$i.img"; break; }
		mv "$tmp/acks.new" "$tmp/acks"; acked=$((acked + $(wc -l <"$tmp/acks")))
		sound "kill $i, seed $seed"; [ $failed = 0 ] || { cp "$tmp/t" "build/kill-$k-$i.img"; break; }
	done
	echo "$k: $i kills, $acked operations acknowledged, seed $seed"
done
finish
