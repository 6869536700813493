#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Hostile images: items of a sound volume are changed at random, checksums right (build/bin/mutate), and bytes are flipped; each
# image is mounted read-write and used: listed, read, written, renamed, removed, synced. Errors are right; complaints of the
# kernel are not, and it must not hang. usage: hostile.sh [-n N] [-s SEED] [KERNEL]...   (N images, default 300; best on `debug`)
n=300 seed=$RANDOM
while getopts n:s: o; do case $o in n) n=$OPTARG ;; s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
"$bin/mutate" make "$tmp/base" || exit 1
mkdir "$tmp/images"; made=0
for i in $(seq "$seed" $((seed + n - 1))); do
	cp --sparse=always "$tmp/base" "$tmp/images/$i"
	"$bin/mutate" "$tmp/images/$i" "random:$i" >/dev/null 2>&1 || true # it did not open after the change: as good
	made=$((made + 1))
done
for f in fuzz/corpus/image/*; do [ ! -f "$f" ] || cp "$f" "$tmp/images/corpus-$(basename "$f")"; done
for k in "${KERNELS[@]}"; do
	job <<'J'
mkdir -p /images; mount -t ext4 /dev/vda /images || exit 1
tried=0 mounted=0
cat >/tmp/use.sh <<'U'
	ls -lRa /mnt; for f in $(find /mnt -type f | head -60); do head -c 300000 $f; done; find /mnt -type l | xargs -n 20 ls -l
	for d in $(find /mnt -type d | head -20); do
		echo new >$d/new; mkdir $d/newdir; mv $d/new $d/newdir/moved; ln $d/newdir/moved $d/link; ln -s x $d/sym
	done
	for f in $(find /mnt -type f | head -30); do echo more >>$f; truncate -s 100000 $f; dd if=/dev/zero of=$f bs=4k seek=3 count=2 conv=notrunc; done
	sync
	for f in $(find /mnt -type f | head -15); do rm -f $f; done
	dd if=/dev/urandom of=/mnt/big bs=64k count=30; rm -rf /mnt/*; sync
U
for i in /images/*; do
	[ -f $i ] || continue
	tried=$((tried+1)); echo "image $i" >/dev/kmsg
	cp $i /tmp/image; l=$(losetup -f); losetup $l /tmp/image || exit 1
	if mount -t tfs $l /mnt 2>/dev/null; then mounted=$((mounted+1))
		timeout 200 sh /tmp/use.sh >/dev/null 2>&1; [ $? != 143 ] || { echo "no end in 200 s: $i"; exit 1; }
		umount /mnt || { echo "no unmount: $i"; exit 1; }; fi
	losetup -d $l
done
echo "$tried images, $mounted of them mounted"; [ $mounted -gt 0 ]
J
	rm -f "$tmp/e"; truncate -s $((64 + n * 2))M "$tmp/e"; mke2fs -q -F -t ext4 -O ^has_journal -d "$tmp/images" "$tmp/e" 2>/dev/null || { bad "no room for the images"; continue; }
	LIMIT=${LIMIT:-900} guest -m 768 -o loop "$tmp/e" || bad "images of seed $seed (the last line 'image ...' of the log names it)"
	echo "$k: images $seed to $((seed + n - 1)) and the corpus"
done
finish
