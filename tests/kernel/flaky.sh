#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A device that fails (dm-flakey, dm's error target) under journalled clients: writes that fail, all or those of data alone, for good or
# for a moment; writes that are dropped; reads that fail; bytes changed on the way. The volume never gives wrong data, acknowledges
# nothing that did not reach the device, does what errors= says (a panic is then the right end), and once the device is whole a mount
# finds what was acknowledged, in order. usage: flaky.sh [-n ROUNDS] [-s SEED] [KERNEL]...   (default 4 rounds of each fault)
n=4 seed=$RANDOM
while getopts n:s: o; do case $o in n) n=$OPTARG ;; s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
command -v dmsetup >/dev/null || skip "dmsetup is missing: as root, apt-get install dmsetup"
for p in client right kfeat; do compiled $p tests/kernel/$p.c; done
flaky() { # OPTION... : the job, after what is on standard input
	cat - tests/kernel/job_flaky.sh | job
	guest -p "$tmp/client" -p "$tmp/right" -p "$tmp/kfeat" -p dmsetup -p "$bin/mkfs.tfs" -p "$bin/fsck.tfs" -o dm_flakey "$@" "$tmp/t"
}
for k in "${KERNELS[@]}"; do
	echo "== $k, seed $seed"; rm -f "$tmp/t"; truncate -s 64M "$tmp/t"
	echo "SEED=$seed ROUNDS=$n" | LIMIT=${LIMIT:-1200} flaky || bad "seed $seed"
	echo "PANIC=1" | flaky -l "$tmp/log" >"$tmp/out" 2>&1; code=$?
	[ $code = 125 ] && grep -q 'Kernel panic.*tfs: dm-0: .*errors=panic' "$tmp/log" || { bad "errors=panic ended with $code"; tail -5 "$tmp/out"; }
done
finish
