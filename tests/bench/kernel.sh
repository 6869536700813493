#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# KB written and flushes of durable operations, counted at the block device: TFS (codec none) beside ext4, XFS, btrfs, F2FS and NILFS2,
# all in one guest run. usage: kernel.sh [N [KERNEL]]   (N operations a row, default 100)   Exit 77: QEMU or a kernel is missing.
n=${1:-100}; [ $# = 0 ] || shift
cd "$(dirname "$0")/../.." && . tests/kernel/lib.sh
k=${KERNELS[-1]}
compiled rows tests/bench/rows.c
disks=() names=()
image() { # NAME MKFS...
	local what=$1; shift
	command -v "$1" >/dev/null || { echo "without $what: $1 is missing"; return; }
	rm -f "$tmp/$what"; truncate -s 512M "$tmp/$what"
	"$@" "$tmp/$what" >"$tmp/out" 2>&1 || { echo "without $what:"; tail -3 "$tmp/out"; return; }
	disks+=("$tmp/$what"); names+=("$what")
}
image ext4 mke2fs -q -F -t ext4 -E lazy_itable_init=0,lazy_journal_init=0
image xfs mkfs.xfs -q -f
image btrfs mkfs.btrfs -q -f
image f2fs mkfs.f2fs -q -f
image nilfs2 mkfs.nilfs2 -q
"$bin/mkfs.tfs" -q -f --compress none "$tmp/tfs" 512M && disks+=("$tmp/tfs") && names+=(tfs)
{
	echo "n=$n names='${names[*]}'"
	cat <<'J'
d=a
for name in $names; do
	mount -t $name /dev/vd$d /mnt || { echo "no mount of $name" >&2; d=$(echo $d | tr a-y b-z); continue; }
	mkdir /mnt/r; rows /mnt/r vd$d $name $n || exit 1; umount /mnt
	d=$(echo $d | tr a-y b-z)
done
J
} | job
LIMIT=${LIMIT:-500} guest -o xfs -o btrfs -o f2fs -o nilfs2 -p "$tmp/rows" "${disks[@]}" >"$tmp/rows.out" || { cat "$tmp/rows.out"; exit 1; }
echo "KB written / flushes for one operation, mean of $n, kernel $k:"
awk -F'|' '{ if (!($2 in seen)) { seen[$2] = 1; row[++rows] = $2 } if (!($1 in have)) { have[$1] = 1; fs[++n] = $1 } v[$2, $1] = $3 " / " $4 }
	END { h = "| operation |"; l = "|---|"; for (i = 1; i <= n; i++) { h = h " " fs[i] " |"; l = l "---|" } print h; print l
	for (r = 1; r <= rows; r++) { s = "| " row[r] " |"; for (i = 1; i <= n; i++) s = s " " v[row[r], fs[i]] " |"; print s } }' "$tmp/rows.out"
