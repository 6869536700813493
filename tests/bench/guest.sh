#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# TFS (codec none, and LZ4 beside it) and ext4, XFS, btrfs, F2FS and NILFS2 in the same guest, on disks throttled as an ordinary cloud's.
# What each group of rows measures is in tests/bench/guest/GROUP.sh; the results of all that ran are in build/bench, and
# tests/bench/report.sh makes docs/bench of them.
set -u
usage() {
	cat >&2 <<'U'
usage: tests/bench/guest.sh [OPTION]... [GROUP]...     without a group: all of them
  -q          quick: a tenth of the size, to see that it runs
  -n ROUND    keep the results as this round's (default 1); the report takes the median of the rounds
  -f "FS..."  only these of: ext4 xfs btrfs f2fs nilfs2 tfs tfs-lz4
  -u          unthrottled
  -t IOPS,BPS throttled to this (default 3000,125829120)
  -c          unthrottled, on one CPU that counts its instructions: for the CPU times, which the host's load does not touch
  -k KERNEL   (default: the newest that is installed)
  -d FOLDER   for the disks' images (default /dev/shm, so that no disk of the host has a part in it)
Exit code: 0, or 1 when a row failed; 77: QEMU, a kernel or a program is missing.
U
	exit 2
}
quick= round=1 fss="ext4 xfs btrfs f2fs nilfs2 tfs tfs-lz4" throttle=3000,125829120 kernel= images=/dev/shm suffix= count=
while getopts qn:f:uk:d:t:c o; do
	case $o in
	q) quick=1 ;; n) round=$OPTARG ;; f) fss=$OPTARG ;; u) throttle= suffix=-unthrottled ;; k) kernel=$OPTARG ;; d) images=$OPTARG ;; c) throttle= suffix=-counted count=-i ;; t) throttle=$OPTARG suffix=-$OPTARG ;; *) usage ;;
	esac
done
shift $((OPTIND - 1))
groups=("$@"); set --
. "$(dirname "$0")/../kernel/lib.sh"
k=${kernel:-${KERNELS[-1]}}
flock build kernel/linux/build.sh "$k" >"$tmp/build" 2>&1 || { cat "$tmp/build"; exit 1; }
[ ${#groups[@]} -gt 0 ] || groups=(fio sync files)
for g in "${groups[@]}"; do [ -e "tests/bench/guest/$g.sh" ] || { echo "no group $g: $(ls tests/bench/guest | tr '\n' ' ')" >&2; exit 2; }; done
for p in mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs mkfs.f2fs:f2fs-tools mkfs.nilfs2:nilfs-tools fio:fio; do
	command -v ${p%:*} >/dev/null || skip "${p%:*} is missing: as root, apt-get install ${p#*:}"
done
disks=$(mktemp -d "$images/tfs-bench.XXXXXX"); trap 'rm -rf "$tmp" "$disks"' EXIT
out=build/bench/$k$suffix; mkdir -p "$out"
for p in measure rows syncs files; do compiled $p tests/bench/$p.c; done

image() { # FS SIZE: a fresh volume, as its mkfs makes it without options
	local at=$disks/$1; rm -f "$at"; truncate -s "$2" "$at"
	case $1 in
	ext4) mke2fs -q -F -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 "$at" ;;
	tfs) "$bin/mkfs.tfs" -q -f --compress none "$at" "$2" ;;
	tfs-lz4) "$bin/mkfs.tfs" -q -f --compress lz4 "$at" "$2" ;;
	xfs | btrfs) mkfs.$1 -q -f "$at" ;;
	*) mkfs.$1 -q "$at" ;;
	esac >"$tmp/mkfs" 2>&1 || { cat "$tmp/mkfs"; exit 1; }
}
size=256 random=64 syncs=4000 files=100000 volume=2G memory=1024
[ -z "$quick" ] || { size=64 random=8 syncs=400 files=5000; }
run_group() { # NAME
	local images=() f options=($count)
	for f in $fss; do image "$f" $volume; images+=("$disks/$f"); done
	{
		echo "fss='$fss' round=$round size=$size random=$random syncs=$syncs files=$files"
		cat tests/bench/guest/prelude.sh "tests/bench/guest/$1.sh"
	} >"$tmp/$1.sh"
	for f in measure rows syncs files; do options+=(-p "$tmp/$f"); done
	[ -z "$throttle" ] || options+=(-T "$throttle")
	tests/kernel/guest.sh -t "${LIMIT:-3600}" -m $memory -o xfs -o btrfs -o f2fs -o nilfs2 -p fio -p nilfs_cleanerd -f /etc/nilfs_cleanerd.conf \
		"${options[@]}" "$k" "$tmp/$1.sh" "${images[@]}" | tee "$tmp/$1.out"
	local code=${PIPESTATUS[0]}
	grep -E '^[a-z0-9-]+\|' "$tmp/$1.out" >"$tmp/$1.rows"
	# what was measured before stays, but for the filesystems measured now
	[ ! -e "$out/$1.$round" ] || grep -vE "^($(echo $fss | tr ' ' '|'))\|" "$out/$1.$round" >>"$tmp/$1.rows"
	mv "$tmp/$1.rows" "$out/$1.$round"; rm -f "$disks"/*
	[ "$code" = 0 ] || bad "group $1: the guest ended with $code"
}
for g in "${groups[@]}"; do echo "== $g, kernel $k, $(date +%H:%M)"; run_group "$g"; done
finish
