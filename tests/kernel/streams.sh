#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The operation streams of the differential tests, by seed, on the module, on ext4 and on models: differ makes each call on TFS and on
# ext4 (results, errno, attributes, which times change; as root and as a user); modelled runs the crash simulator's operations on each and
# holds results, names, attributes, contents and xattrs against its model, also after remounts; exercise holds files against a model of their bytes
# while their pages are dropped; stress lets several processes meet in one tree; listing reads directories that change; posix states
# what POSIX and the manual pages say, once more on a read-only mount. usage: streams.sh [-n CALLS] [-s SEED] [KERNEL]...
n=40000 seed=$RANDOM
while getopts n:s: o; do case $o in n) n=$OPTARG ;; s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
for p in differ exercise listing stress; do compiled $p tests/fuse/$p.c; done
gcc -std=gnu11 -O2 -static -I. -o "$tmp/posix" tests/posix/*.c -pthread || { echo "FAILED: posix does not compile"; exit 1; }
gcc -std=gnu11 -O2 -static -I. -Itfs/user -o "$tmp/modelled" tests/kernel/modelled.c tests/power/ops.c || { echo "FAILED: modelled does not compile"; exit 1; }
for k in "${KERNELS[@]}"; do
	{
		echo "n=$n seed=$seed"
		cat <<'J'
fail() { echo "FAILED: $*"; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
sound() { umount /mnt || fail umount; fsck.tfs -fn --data /dev/vda >/tmp/fsck || { cat /tmp/fsck; fail "fsck after $*"; }; }
fresh() { mkfs.tfs -q -f "$@" /dev/vda && mount -t tfs /dev/vda /mnt || fail mount; rm -rf /ref/p; mkdir -p /ref/p/r /mnt/r; chmod 777 /ref/p/r /mnt/r; }
mkdir -p /ref; mount -t ext4 /dev/vdb /ref || fail ext4
for s in 0 1 2; do
	case $s in 0) o=none ;; 1) o=lz4 ;; 2) o=zlib ;; esac
	fresh --compress $o; at "differ, seed $((seed + s)), $o"
	differ /ref/p/r /mnt/r $((seed + s)) $((n / 3)) || fail "TFS and ext4 differ"; sound differ
done
fresh; at "differ with times"; differ /ref/p/r /mnt/r $seed $((n / 20)) times || fail "TFS and ext4 differ in times"; sound "differ with times"
for s in 0 1; do
	fresh --compress $([ $s = 0 ] && echo none || echo lz4)
	mkdir /mnt/e
	at "exercise, seed $((seed + s))"
	exercise - - /mnt/e $((seed + s)) $((n / 8)) || fail "TFS and the model of bytes differ"
	listing /mnt/l $((500 + s * 1500)) $((seed + s)) 200 || fail "listing"
	sound exercise
done
for s in 0 1 2; do
	case $s in 0) o=none ;; 1) o=lz4 ;; 2) o=zlib ;; esac
	fresh --compress $o; mkdir /mnt/m; rm -rf /ref/m; mkdir /ref/m; at "modelled, seed $((seed + s)), $o: ext4, TFS"
	modelled /ref/m $((seed + s)) $((n / 24)) 'umount /ref && mount -t ext4 /dev/vdb /ref' || fail "ext4 and the model differ"
	modelled /mnt/m $((seed + s)) $((n / 24)) 'umount /mnt && mount -t tfs /dev/vda /mnt' || fail "TFS and the model differ"
	sound modelled
done
fresh; mkdir /mnt/tree /mnt/e; at "stress beside exercise"
exercise - - /mnt/e $seed $((n / 8)) & e=$!
stress /mnt/tree 3 $seed $((n / 20)) || fail stress
wait $e || fail "exercise beside stress"; sound stress
fresh; at posix
posix /ref/p >/tmp/ext4; posix /mnt >/tmp/posix || { grep -v '^ok' /tmp/posix | head -20; fail "posix on TFS"; }
echo "posix: TFS $(tail -1 /tmp/posix); ext4 $(tail -1 /tmp/ext4)"
posix --prepare /mnt || fail "posix --prepare"; sound posix; mount -t tfs -o ro /dev/vda /mnt; posix --readonly /mnt >/tmp/posix || { grep '^not' /tmp/posix; fail "posix --readonly"; }
at end; umount /mnt
J
	} | job
	echo "== $k, seed $seed"; volume 96M; other 96M
	LIMIT=${LIMIT:-1500} guest -p "$tmp/differ" -p "$tmp/modelled" -p "$tmp/exercise" -p "$tmp/listing" -p "$tmp/stress" -p "$tmp/posix" -p "$bin/mkfs.tfs" -p "$bin/fsck.tfs" \
		"$tmp/t" "$tmp/e" || bad "seed $seed: streams.sh -s $seed"
done
finish
