# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced by the kernel tests. Each is run as tests/kernel/X.sh [KERNEL]...: without a kernel, in every one that is installed with
# its headers; `debug` and `uml` are what make debug-kernel built. A test writes its job (what runs in the guest) with `job`, makes volumes with
# `volume`, runs with `guest`, has the host check with `sound`, and ends with `finish`.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=$(basename "$0" .sh) failed=0 bin=$PWD/build/bin
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT; trap 'exit 130' INT TERM
skip() { echo "SKIPPED: tests/kernel/$name.sh: $*"; exit 77; }
bad() { echo "FAILED: $*; repeat: tests/kernel/$name.sh ${k:-}"; failed=1; }
finish() { exit $failed; }
for p in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio modprobe:kmod mke2fs:e2fsprogs; do
	command -v ${p%:*} >/dev/null || skip "${p%:*} is missing: as root, apt-get install ${p#*:}"
done
mkdir -p build # the lock of the module's build: tests may run beside each other
KERNELS=()
for k in "$@"; do case $k in debug | uml | [0-9].*) KERNELS+=("$k") ;; esac; done
if [ ${#KERNELS[@]} = 0 ]; then
	for k in $(ls /lib/modules 2>/dev/null | sort -V); do
		if [ -e "/boot/vmlinuz-$k" ] && [ -e "/usr/src/linux-headers-$k" ]; then KERNELS+=("$k"); fi
	done
fi
[ ${#KERNELS[@]} -gt 0 ] || skip "no kernel with its headers is installed: as root, apt-get install linux-image-amd64 linux-headers-amd64"
for k in "${KERNELS[@]}"; do flock build kernel/linux/build.sh "$k" >"$tmp/build" 2>&1 || { cat "$tmp/build"; echo "FAILED: the module does not build for $k"; exit 1; }; done

job() { cat >"$tmp/$name.sh"; }
volume() { # SIZE [MKFS-OPTION]...: a new, empty volume at $tmp/t
	local size=$1; shift
	rm -f "$tmp/t"; "$bin/mkfs.tfs" -q "$@" "$tmp/t" "$size" || exit 1
}
other() { # SIZE: a new ext4 at $tmp/e, for comparison
	rm -f "$tmp/e"; truncate -s "$1" "$tmp/e"; mke2fs -q -F -t ext4 -E lazy_itable_init=0 "$tmp/e"
}
compiled() { # NAME SOURCE: a static program at $tmp/NAME
	gcc -O2 -static -I. -o "$tmp/$1" "$2" -pthread || { echo "FAILED: $2 does not compile"; exit 1; }
}
guest() { # OPTION... DISK...: the job in kernel $k
	local options=()
	while [ $# -gt 0 ]; do case $1 in -n | -r | -i) options+=("$1"); shift ;; -?) options+=("$1" "$2"); shift 2 ;; *) break ;; esac; done
	local limit=${LIMIT:-300}; [ "$k" != debug ] || limit=$((limit * 5))
	tests/kernel/guest.sh -t "$limit" ${options[@]+"${options[@]}"} "$k" "$tmp/$name.sh" "$@"
}
sound() { # WHAT: the host finds the volume sound, data included
	"$bin/fsck.tfs" -fn --data "$tmp/t" >"$tmp/fsck" 2>&1 || { bad "fsck after $1"; head -5 "$tmp/fsck"; }
}
