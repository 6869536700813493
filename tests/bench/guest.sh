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
  -t IOPS,BPS throttled to this (default 100,4369067: a gp3 volume, 3000 and 125 MiB/s, a thirtieth of it, as the guest's processor is in TCG)
  -c          unthrottled, on one CPU that counts its instructions: for the CPU times, which the host's load does not touch
  -k KERNEL   (default: the newest that is installed)
  -d FOLDER   for the disks' images (default /dev/shm, so that no disk of the host has a part in it)
FULL: how much groups full and kept overwrite, in tenths of the volume's size (100).
Exit code: 0, or 1 when a row failed; 77: QEMU, a kernel or a program is missing.
U
	exit 2
}
quick= round=1 fss="ext4 xfs btrfs f2fs nilfs2 tfs tfs-lz4" throttle=100,4369067 kernel= images=/dev/shm suffix= count=
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
[ ${#groups[@]} -gt 0 ] || groups=(rows sync sqlite pgbench fio files tree mount latency aged full kept)
for g in "${groups[@]}"; do case $g in prelude | crash) false ;; *) [ -e "tests/bench/guest/$g.sh" ] ;; esac || { echo "no group $g; there are: rows sync sqlite pgbench fio files tree mount latency aged full kept" >&2; exit 2; }; done
for p in mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs mkfs.f2fs:f2fs-tools mkfs.nilfs2:nilfs-tools fio:fio sqlite3:sqlite3 tcc:tcc; do
	command -v ${p%:*} >/dev/null || skip "${p%:*} is missing: as root, apt-get install ${p#*:}"
done
disks=$(mktemp -d "$images/tfs-bench.XXXXXX"); trap 'rm -rf "$tmp" "$disks"' EXIT
out=build/bench/$k$suffix; mkdir -p "$out"; echo "$throttle" >"$out/limit"
[ -z "$quick" ] || : >"$out/quick"
programs="measure rows syncs files latency"
for p in $programs; do compiled $p tests/bench/$p.c; done

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

size=256 random=64 syncs=4000 files=100000 ops=300 aged=100000 lat=20000 transactions=2000 pg_transactions=20000 full=${FULL:-100}
[ -z "$quick" ] || { size=32 random=4 syncs=400 files=5000 ops=30 aged=2000 lat=2000 transactions=160 pg_transactions=4000 full=6; }

tools() { # a read-only disk with the compiler and the tree that is unpacked
	local at=$tmp/tools f
	rm -rf "$at"; mkdir -p "$at/usr" "$at/tree/own"
	cp -a /usr/include "$at/usr/include"; rm -rf "$at"/usr/include/c++ "$at"/usr/include/llvm*; cp -a /usr/lib/x86_64-linux-gnu/tcc "$at/tcc"
	cp -a "/usr/src/linux-headers-${k%-amd64}-common/include/${quick:+uapi}" "$at/tree/include"
	cp -a tfs "$at/tree/own/"
	for f in tfs/*.c; do tcc -c -I. -Itfs/user -o "$at/object" "$f" 2>/dev/null || rm "$at/tree/own/$f"; done # not all is C that tcc takes; it unlinks what -o names, /dev/null too
	rm -f "$at/object"
	[ "$(ls "$at"/tree/own/tfs/*.c | wc -l)" -ge 30 ] || { echo "tcc takes hardly any of tfs/*.c" >&2; exit 1; }
	tar -C "$at" -cf "$at/tree.tar" tree; rm -rf "$at/tree"
	truncate -s 1G "$disks/tools"; mke2fs -q -F -t ext4 -d "$at" "$disks/tools" || exit 1
	rm -rf "$at"
}
letter() { printf "vd\\x$(printf %x $((97 + $1)))"; } # the disk with this number
run_group() { # NAME
	local images=() f options=($count) volume=2G memory=1024
	case $1 in
	full | kept) volume=${VOLUME:-320M} ;; # XFS takes no less than 300
	aged) volume=${quick:+320M} volume=${volume:-512M} ;;
	tree) tools; options+=(-R "$disks/tools" -p tcc) ;;
	sqlite) options+=(-p sqlite3) ;;
	pgbench)
		pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1); memory=2500
		[ -n "$pg" ] || { echo "without pgbench: postgresql is missing"; return; }
		options+=(-f "$pg" -f "${pg%/bin}/lib" -f "/usr/share/postgresql/$(basename "${pg%/bin}")" -f /usr/share/zoneinfo) ;;
	esac
	for f in $fss; do image "$f" $volume; images+=("$disks/$f"); done
	for f in $programs; do options+=(-p "$tmp/$f"); done
	[ -z "$throttle" ] || options+=(-T "$throttle")
	for f in btrfs mkcp chcp lscp; do options+=(-p $f); done
	options+=(-m $memory -p "$bin/tfs" -o xfs -o btrfs -o f2fs -o nilfs2 -p fio -p nilfs_cleanerd -f /etc/nilfs_cleanerd.conf)
	if [ "$1" = mount ]; then
		in_guest crash -a "$tmp/ack" -k 5 "${options[@]}" >"$tmp/crash.out" 2>&1 || { cat "$tmp/crash.out"; bad "group mount: before the crash"; }
	fi
	in_guest "$1" "${options[@]}" | tee "$tmp/$1.out"
	local code=${PIPESTATUS[0]}
	grep -E '^[a-z0-9-]+\|' "$tmp/$1.out" >"$tmp/$1.rows"
	# what was measured before stays, but for the filesystems measured now
	[ ! -e "$out/$1.$round" ] || grep -vE "^($(echo $fss | tr ' ' '|'))\|" "$out/$1.$round" >>"$tmp/$1.rows"
	mv "$tmp/$1.rows" "$out/$1.$round"; rm -f "$disks"/*
	[ "$code" = 0 ] || bad "group $1: the guest ended with $code"
}
in_guest() { # JOB OPTION...
	local j=$1; shift
	{
		echo "fss='$fss' round=$round size=$size random=$random syncs=$syncs files=$files ops=$ops aged=$aged lat=$lat transactions=$transactions pg_transactions=$pg_transactions full=$full pg=${pg-}"
		echo "tools=$(letter ${#images[@]})"
		cat tests/bench/guest/prelude.sh "tests/bench/guest/$j.sh"
	} >"$tmp/$j.sh"
	tests/kernel/guest.sh -t "${LIMIT:-3600}" "$@" "$k" "$tmp/$j.sh" "${images[@]}"
}
for g in "${groups[@]}"; do echo "== $g, kernel $k, $(date +%H:%M)"; run_group "$g"; done
finish
