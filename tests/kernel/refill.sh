#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A volume filled to ENOSPC, emptied at random and filled again, without and with snapshots, remounted in between (tests/kernel/refill.c):
# nothing accepted is lost, removing always works, nothing leaks, and the host finds the volume sound.
# usage: refill.sh [-t SECONDS] [-s SEED] [KERNEL]...   (SECONDS: in the guest, default 60; issue 4's hour: -t 3600)
seconds=60 seed=$RANDOM
while getopts t:s: o; do case $o in t) seconds=$OPTARG ;; s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
compiled refill tests/kernel/refill.c
for k in "${KERNELS[@]}"; do
	{
		echo "part=$((seconds / 4)) seed=$seed"
		cat <<'J'
mount -t tfs /dev/vda /mnt || exit 1
for snapshots in "" 1 "" 1; do
	refill /mnt $part $seed $snapshots || { df /mnt; grep . /sys/fs/tfs/vda/*; exit 1; }
	seed=$((seed + 1))
	umount /mnt && mount -t tfs /dev/vda /mnt || { echo "FAILED: remount"; exit 1; }
done
umount /mnt
J
	} | job
	volume 48M; echo "== $k, seed $seed"
	LIMIT=$((seconds * 2 + 240)) guest -p "$tmp/refill" -p "$bin/tfs" "$tmp/t" || bad "refill.sh -t $seconds -s $seed"
	sound "the run"
done
finish
