#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Allocations and requests to the device that fail while a volume is mounted, used, synced, frozen, unmounted (tests/kernel/nomem.c).
# What must hold: the kernel stays silent, nothing leaks, each error is reported, what fsync acknowledged is there after the next
# mount without faults, whether the volume was unmounted or cut off, and fsck finds nothing. Every N, or each STEPth, fails on its
# own in a pass of its own; then storms, in which one of a hundred fails. Only in the debugging kernels: others have no fault injection.
# usage: nomem.sh [-e STEP] [-r ROUNDS] [-s SEED] [-k memory|device|storm] [-f FIRST] [-m LAST] debug|uml
#   (defaults 17 and 8; -k: just these faults; -f, -m: none before the FIRSTth, none after the LASTth)
step=17 rounds=8 seed=$RANDOM kinds="memory device storm" first=1 last=1000000
while getopts e:r:s:k:f:m: o; do case $o in e) step=$OPTARG ;; r) rounds=$OPTARG ;; s) seed=$OPTARG ;; k) kinds=$OPTARG ;; f) first=$OPTARG ;; m) last=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
case "${1:-}" in debug | uml) ;; *) echo "SKIPPED: tests/kernel/nomem.sh: for the debugging kernels: make debug-kernel; nomem.sh debug"; exit 77 ;; esac
. "$(dirname "$0")/lib.sh"
gcc -O2 -static -I. -o "$tmp/nomem" tests/kernel/nomem.c tests/kernel/shown.c || { echo "FAILED: nomem does not compile"; exit 1; }
for k in "${KERNELS[@]}"; do
	"$bin/mutate" make "$tmp/t" || exit 1
	{
		echo "step=$step from=$((seed % step + first)) rounds=$rounds seed=$seed kinds='$kinds' last=$last"
		cat <<'J'
bad=0
# a mounted volume keeps the slabs of bios: where making one fails the kernel loses its name (sysfs_slab_add in 6.1)
mkdir /keep; mount -t tfs -o ro /dev/vda /keep || exit 1
for kind in $kinds; do
	case $kind in
	memory) nomem /dev/vda nth memory $from $step $last || bad=1 ;;
	device) nomem /dev/vda nth device $from $(((step + 3) / 4)) $last || bad=1 ;;
	storm) nomem /dev/vda storm $rounds $seed || bad=1 ;;
	esac
done
exit $bad
J
	} | job
	LIMIT=${LIMIT:-900} guest -m 1024 -p "$tmp/nomem" -p "$bin/fsck.tfs" "$tmp/t" || bad "faults, nomem.sh -e $step -r $rounds -s $seed"
done
finish
