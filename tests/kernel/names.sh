#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Many files in one directory: made, listed, found, half of them removed while listed, the rest after a remount.
# usage: names.sh [-n N] [KERNEL]...   (N: default 200000; a million takes an hour under TCG)
n=200000
while getopts n: o; do case $o in n) n=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
for k in "${KERNELS[@]}"; do
	{
		echo "n=$n"
		cat <<'J'
fail() { echo "FAILED: $*"; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
mount -t tfs /dev/vda /mnt || exit 1
mkdir /mnt/d; cd /mnt/d; at "making $n"
seq 1 $n | sed 's/^/a-file-of-many-/' | xargs -n 500 touch || fail "making"
at listing; [ "$(ls | grep -c many)" = $n ] || fail "a listing has other than $n names"
[ "$(ls | sort | uniq -d | wc -l)" = 0 ] || fail "a listing has names twice"
cd /; umount /mnt && mount -t tfs /dev/vda /mnt || fail remount; cd /mnt/d
at finding; for i in 1 77 $((n / 2)) $n; do [ -e a-file-of-many-$i ] || fail "$i is not found"; done; [ -e a-file-of-many-0 ] && fail "0 is found"
at removing; find . -name '*[02468]' | xargs -n 500 rm || fail "removing while listing"
[ "$(ls | grep -c many)" = $((n - n / 2)) ] || fail "other than half are left"
cd /; rm -r /mnt/d || fail "rm -r"; at end; umount /mnt
J
	} | job
	volume 1G; LIMIT=${LIMIT:-1500} guest "$tmp/t" || bad "$n files"; sound "$n files"
done
finish
