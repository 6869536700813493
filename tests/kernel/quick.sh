#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The kernel tests of make test, one boot a kernel: system calls give the same results as on ext4 and as the crash simulator's model
# says; the module stays while it is in use; a tree is copied in, the volume
# mounted again and the tree compared; the volume is filled by write and through mmap, says so, loses nothing and becomes usable
# again; the host finds it sound. Then the guest is killed once, and what was acknowledged is there (kill.sh), and snapshots
# are made, read and deleted (snapshots.sh -q).
# usage: quick.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
compiled differ tests/fuse/differ.c
compiled full tests/kernel/full.c
gcc -std=gnu11 -O2 -static -I. -Itfs/user -o "$tmp/modelled" tests/kernel/modelled.c tests/power/ops.c || { echo "FAILED: modelled does not compile"; exit 1; }
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { echo "FAILED: $*"; df /mnt; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
mkdir -p /ref; mount -t tfs /dev/vda /mnt && mount -t ext4 /dev/vdb /ref || fail mount
mkdir -p /ref/p/r /mnt/r; chmod 777 /ref/p/r /mnt/r
for seed in 1 2; do at "differential, seed $seed"; differ /ref/p/r /mnt/r $seed 6000 || fail "differential, seed $seed"; done
at "modelled"
mkdir /mnt/model; modelled /mnt/model 1 500 'umount /mnt && mount -t tfs /dev/vda /mnt' || fail "the module and the model differ"
! rmmod tfs 2>/dev/null || fail "rmmod of a module in use"
mkdir -p /two; mount -t tfs /dev/vda /two && umount /mnt && touch /two/x && mount -t tfs /dev/vda /mnt && umount /two && rm /mnt/x || fail "one device mounted twice"
at "a tree"
mkdir /mnt/d; dd if=/dev/urandom of=/mnt/d/random bs=64k count=80 2>/dev/null; cp -a /lib /bin /mnt/d/
for i in 0 1 2 3 4 5 6 7 8 9; do for j in 0 1 2 3 4 5 6 7 8 9; do echo $i$j >/mnt/d/a-file-with-a-long-name-$i$j; done; done
(cd /mnt/d; find . -type f | sort | xargs md5sum) >/tmp/sums; md5sum /tmp/sums >/dev/null
umount /mnt && mount -t tfs /dev/vda /mnt || fail remount
(cd /mnt/d && md5sum -c -s /tmp/sums) || fail "a tree reads differently after a remount"
mount -o remount,ro /mnt || fail "remount,ro"; touch /mnt/x 2>/dev/null && fail "a read-only mount was written"
mount -o remount,rw /mnt && touch /mnt/x || fail "remount,rw"
rm -r /mnt/d || fail rm
at "full by write"
dd if=/dev/urandom of=/mnt/keep bs=1M count=3 2>/dev/null; sum=$(md5sum </mnt/keep)
dd if=/dev/urandom of=/tmp/r bs=1M count=8 2>/dev/null
i=0; while cp /tmp/r /mnt/fill$i 2>/dev/null; do i=$((i+1)); [ $i -lt 40 ] || fail "40 times 8 MB fit into 96 MiB"; done
sync; set -- $(df -k /mnt | tail -1); [ $4 -lt 5000 ] || fail "full, but $4 KB are available of $2"
for j in $(seq 0 $((i-1))); do cmp /tmp/r /mnt/fill$j || fail "file $j that was written in full differs"; done
rm /mnt/fill* || fail "a full volume does not unlink"
at "full by mmap"
mkdir /mnt/m; full /mnt/m 4000000 || fail "full by mmap"
[ "$(md5sum </mnt/keep)" = "$sum" ] || fail "a full volume changed another file"
rm -r /mnt/m || fail "a full volume does not unlink"
dd if=/dev/urandom of=/mnt/again bs=1M count=50 2>/dev/null && sync || fail "space did not come back"
umount /mnt || fail umount
at end
J
	echo "== $k"; volume 96M; other 64M
	LIMIT=250 guest -p "$tmp/differ" -p "$tmp/modelled" -p "$tmp/full" "$tmp/t" "$tmp/e" || bad "in the guest"
	sound "the run"
	LIMIT=100 tests/kernel/kill.sh -n 1 "$k" || failed=1
	tests/kernel/snapshots.sh -q "$k" || failed=1
done
finish
