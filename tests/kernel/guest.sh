#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Boots a stock Debian kernel in QEMU (TCG) with busybox, the module and given disks, and runs a script in it as root.
# usage: guest.sh VERSION SCRIPT DISK...   (disks are /dev/vda, /dev/vdb ...; extra programs: PROGRAMS="path ...")
# Ends with the script's exit code; 125: the guest broke (no end within T seconds, panic, oops, warning, hung task).
set -eu
k=$1 script=$2; shift 2
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
root=$tmp/root; mkdir -p "$root"/{bin,lib,lib64,proc,sys,dev,mnt,tmp,job}
cp /bin/busybox "$root/bin/"; cp "$script" "$root/job/run.sh"; cp "build/$k/tfs.ko" "$root/lib/zz-tfs.ko"
for p in ${PROGRAMS:-}; do
	cp "$p" "$root/bin/"
	ldd "$p" 2>/dev/null | grep -oE '/[^ ]+' | while read -r l; do mkdir -p "$root$(dirname "$l")"; cp -nL "$l" "$root$l"; done || true
done
: >"$root/lib/order"
for m in virtio_pci virtio_blk libcrc32c crc32c_generic lz4_compress lz4_decompress zlib_deflate ext4 dm_mod; do
	modprobe -S "$k" --show-depends $m 2>/dev/null | awk '/^insmod/{print $2}' | while read -r f; do
		b=$(basename "$f" .xz); [ -e "$root/lib/$b" ] && continue
		case $f in *.xz) xz -dc "$f" >"$root/lib/$b" ;; *) cp "$f" "$root/lib/$b" ;; esac; echo "$b" >>"$root/lib/order"
	done || true
done
cat >"$root/init" <<'I'
#!/bin/busybox sh
/bin/busybox --install -s /bin; export PATH=/bin HOME=/
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev; mount -t tmpfs t /tmp
for m in $(cat /lib/order); do insmod /lib/$m 2>/dev/null; done
insmod /lib/zz-tfs.ko || echo "GUEST-INSMOD-FAILED"
i=0; while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
sh /job/run.sh; echo "GUEST-EXIT $?"; sync; poweroff -f
I
chmod +x "$root/init"; (cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$tmp/initrd"
drives=(); for d in "$@"; do drives+=(-drive "file=$d,format=raw,if=virtio,cache=unsafe"); done
timeout "${T:-300}" qemu-system-x86_64 -M q35 -m "${MEM:-1024}" -smp 2 -cpu max -accel tcg,thread=multi -nographic -no-reboot -nic none \
	-kernel "/boot/vmlinuz-$k" -initrd "$tmp/initrd" "${drives[@]}" \
	-append "console=ttyS0 quiet panic=-1 oops=panic mitigations=off" </dev/null 2>&1 | tr -d '\r' >"$tmp/log" || true
sed '/GUEST-EXIT/,$d' "$tmp/log" | sed -n '/\[H\|SeaBIOS/!p' 
if grep -qE 'Kernel panic|Oops|WARNING:|BUG:|blocked for more than|possible circular locking|GUEST-INSMOD-FAILED' "$tmp/log" || ! grep -q GUEST-EXIT "$tmp/log"; then
	echo "guest broke or did not end within ${T:-300} s:"; tail -40 "$tmp/log"; exit 125
fi
exit "$(sed -n 's/^.*GUEST-EXIT //p' "$tmp/log")"
