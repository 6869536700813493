#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A source tree, this one, is unpacked in the guest and its fsck.tfs compiled by the host's gcc, make and binutils (on a disk of their
# own), on the volume and on ext4 at the same path: every file that comes out is the same, also after a remount; what was built runs
# from the volume; a second make finds nothing to do; all is removed. usage: compile.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
for p in gcc make as ld; do command -v $p >/dev/null || skip "$p is missing: as root, apt-get install gcc make"; done
command -v git >/dev/null && git rev-parse --git-dir >/dev/null 2>&1 && listed="git ls-files" || listed="find . -path ./build -prune -o -type f -print"
root=$tmp/tools
with() { # FILE...: at the same path on the tools disk, symlinks resolved
	local f; for f in "$@"; do [ -e "$root$f" ] || { mkdir -p "$root$(dirname "$f")"; cp -L "$f" "$root$f"; }; done
}
programs() { # FILE...: with their libraries
	with "$@"; local l; for l in $(ldd "$@" 2>/dev/null | grep -oE '/[^ ]+' | grep -v ':$' | sort -u); do with "$l"; done
}
mkdir -p "$root"/{bin,work,tmp,dev,proc}
cp "$(command -v busybox)" "$root/bin/busybox"; for a in sh mkdir find cat rm cp sed touch; do ln -s busybox "$root/bin/$a"; done
mkdir -p "$root/usr/bin"; for p in gcc make as ld; do f=$(command -v $p); programs "$(realpath "$f")"; cp -L "$f" "$root/usr/bin/$p"; done
for p in cc1 collect2 liblto_plugin.so; do programs "$(gcc -print-prog-name=$p | grep / || gcc -print-file-name=$p)"; done
for f in crtbeginS.o crtendS.o libgcc.a libgcc_s.so libgcc_s.so.1 Scrt1.o crti.o crtn.o libc.so libc.so.6 libc_nonshared.a libm.so.6 libmvec.so.1 libm.so \
	liblz4.so libz.so libjson-c.so; do
	p=$(gcc -print-file-name=$f); [ "$p" != "$f" ] && with "$(realpath -s "$p")"
done
with $(realpath /lib64/ld-linux-x86-64.so.2); with /lib64/ld-linux-x86-64.so.2
programs "$bin/fsck.tfs"
with $(gcc -M -std=gnu11 -I. -Itfs/user tfs/*.c tfs/user/*.c fsck/fsck*.c 2>/dev/null | grep -oE '(^| )/[^ ]+\.h' | sort -u)
$listed | grep -v '^\./\.git/' | tar cf "$root/source.tar" -T - || { echo "FAILED: packing the sources"; exit 1; }
"$bin/mkfs.tfs" -q "$root/image" 16M --from tfs || exit 1
truncate -s 400M "$tmp/tools.ext4"; mke2fs -q -F -t ext4 -O ^has_journal -d "$root" "$tmp/tools.ext4" || { echo "FAILED: the tools disk"; exit 1; }
rm -rf "$root"
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { echo "FAILED: $*"; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
mkdir -p /tools /ref; mount -t ext4 -o ro /dev/vdc /tools && mount -t ext4 /dev/vdb /ref && mount -t tfs /dev/vda /mnt || fail mount
mount -t tmpfs t /tools/tmp; mount -t devtmpfs d /tools/dev
in_tools() { PATH=/usr/bin:/bin chroot /tools "$@"; }
build() { # FOLDER: at /work
	mkdir -p $1/work && mount --bind $1/work /tools/work || fail bind
	at "unpacking on $1"; ( cd /tools/work && tar xf /tools/source.tar ) || fail tar
	at "compiling on $1"; in_tools sh -c 'cd /work && make -j2 CC=gcc CFLAGS="-O0 -Wno-frame-larger-than" build/bin/fsck.tfs' >/tmp/said 2>&1 || { tail -5 /tmp/said; fail make; }
	[ -n "$FIRST" ] || FIRST=$(wc -l </tmp/said)
	in_tools sh -c 'cd /work && make CC=gcc CFLAGS="-O0 -Wno-frame-larger-than" build/bin/fsck.tfs' >/tmp/said 2>&1; grep -q 'up to date' /tmp/said || { cat /tmp/said; fail "a second make builds again"; }
	umount /tools/work
}
same() { ( cd $1/work && find . -type f | sort | xargs md5sum ) >/tmp/sums$2; [ "$(wc -l </tmp/sums$2)" -gt 100 ] || fail "few files"; }
build /ref; build /mnt; same /ref 1; same /mnt 2; diff /tmp/sums1 /tmp/sums2 || fail "what was built on TFS differs from what was built on ext4"
at "$(wc -l </tmp/sums2) files are the same, $(grep -c '\.o$' /tmp/sums2) of them objects"
umount /mnt; mount -t tfs /dev/vda /mnt || fail "mount again"; same /mnt 2; diff /tmp/sums1 /tmp/sums2 || fail "after a remount"
mount --bind /mnt/work /tools/work; in_tools /work/build/bin/fsck.tfs -fn --data /image || fail "what was built does not run"; umount /tools/work
rm -r /mnt/work || fail "rm -r"; [ -z "$(ls -A /mnt)" ] || fail "something is left"; umount /mnt || fail umount
at end
J
	echo "== $k"; volume 128M; other 128M
	LIMIT=${LIMIT:-2400} guest "$tmp/t" "$tmp/e" "$tmp/tools.ext4" || bad "in the guest"; sound "compiling"
done
finish
