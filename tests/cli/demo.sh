#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The main job on real input: a data volume is built from a directory, checked, listed, mounted without root, changed,
# unmounted; mounted and changed by the Linux kernel in a virtual machine; checked again and compared file by file; its log forwarded; backed
# up into a directory, or, with S3=1 in the environment, into the S3 of a Ceph on loopback; restored and compared.
# usage: demo.sh [DIR]   (default: /usr/include)
set -eu
dir=${1:-/usr/include}
tmp=$(mktemp -d)
trap '[ ! -d "$tmp/ceph" ] || tests/backup/ceph.sh stop "$tmp/ceph"; fusermount3 -qu "$tmp/mnt" 2>/dev/null || true; rm -rf "$tmp"' EXIT
say() { printf '\n# %s\n' "$*"; }
show() { echo "\$ ${*//$tmp\//}"; "$@"; }

say "build a volume from $dir"
show build/bin/mkfs.tfs --from "$dir" --label demo --size 256M "$tmp/volume.img"
say "check it, look inside"
show build/bin/fsck.tfs -fn --data "$tmp/volume.img"
show build/bin/dump.tfs super "$tmp/volume.img"
show build/bin/dump.tfs ls -lR "$tmp/volume.img" | tail -3
cp -a "$dir" "$tmp/expected"; mkdir "$tmp/mnt"

change() { # the same changes to the mounted volume and to a copy of the directory
	mkdir "$1/new"; seq 1 100000 >"$1/new/numbers"; ln "$1/new/numbers" "$1/new/again"; ln -s numbers "$1/new/link"
	find "$1" -name '*.h' -type f -size -2k | sort | head -50 | while read -r f; do mv "$f" "$f.renamed"; done
	find "$1" -name '*.h' -type f | sort | head -20 | while read -r f; do echo '/* changed */' >>"$f"; done
	truncate -s 10M "$1/new/sparse"; chmod 600 "$1/new/numbers"
}
say "mount it without root, change it, unmount"
if "$PWD/build/bin/tfs-fuse" -f "$tmp/volume.img" "$tmp/mnt" & pid=$!; then :; fi
for _ in $(seq 100); do mountpoint -q "$tmp/mnt" && break; kill -0 $pid 2>/dev/null || break; sleep 0.05; done
if mountpoint -q "$tmp/mnt"; then
	show df -h "$tmp/mnt"
	change "$tmp/mnt"; change "$tmp/expected"
	show fusermount3 -u "$tmp/mnt"; wait $pid
else
	wait $pid || true
	echo "FUSE cannot be mounted on this machine: the steps 'mount, change, unmount' are left out"
fi
change_in_kernel() { # FOLDER: by a shell script that the guest's busybox and this machine understand
	cat <<-C
	set -e; export LC_ALL=C; cd $1
	mkdir -p kernel/deep/er; seq 1 200000 >kernel/numbers; cp kernel/numbers kernel/copy; tail -c 300000 kernel/numbers >kernel/deep/tail
	find . -name '*.h' -type f | sort | tail -200 | while read -r f; do cp "\$f" kernel/deep/er/; echo '/* seen by the kernel */' >>"\$f"; done
	find . -name '*.h' -type f | sort | head -100 | while read -r f; do mv "\$f" "\$f.moved"; done
	find . -name 'a*.h' -type f | sort | while read -r f; do rm "\$f"; done
	ln -s ../numbers kernel/deep/link; ln kernel/copy kernel/again; truncate -s 1000 kernel/copy; truncate -s 5000000 kernel/sparse
	sync
	C
}
k=$(for v in $(ls /lib/modules 2>/dev/null); do if [ -e "/boot/vmlinuz-$v" ] && [ -e "/usr/src/linux-headers-$v" ]; then echo "$v"; fi; done | sort -V | tail -1)
if [ -n "$k" ] && command -v qemu-system-x86_64 cpio modprobe busybox >/dev/null; then
	say "mount it in Linux $k, in a virtual machine, and work on it there"
	show make -s module "K=$k"
	{ echo 'mount -t tfs /dev/vda /mnt || exit 1; uname -sr; df -h /mnt; ( '; change_in_kernel /mnt; echo ' ) || exit 1; umount /mnt'; } >"$tmp/in-the-guest.sh"
	show tests/kernel/guest.sh "$k" "$tmp/in-the-guest.sh" "$tmp/volume.img"
	change_in_kernel "$tmp/expected" | sh
else
	echo "NOT SHOWN: the part in the Linux kernel needs QEMU and a kernel with its headers: as root, make kernel-deps"
fi
say "check it again, compare file by file"
show build/bin/fsck.tfs -f -p --data "$tmp/volume.img"
show build/bin/dump.tfs extract "$tmp/volume.img" "$tmp/out"
show diff -r --no-dereference "$tmp/expected" "$tmp/out"
echo; echo "the volume holds exactly what it should"

say "forward its log: rules and cursors are in the volume; the lines of a machine that died are drained from its image"
mkdir "$tmp/logs"; for n in 1 2 3; do echo "line $n of the service"; done >"$tmp/logs/service.log"
show build/bin/mkfs.tfs -q --from "$tmp/logs" --size 16M "$tmp/dead.img"
build/bin/tfs-logship receive --relp 0 -o "$tmp/received" 2>"$tmp/said" & pid=$!
for _ in $(seq 500); do grep -q 'on port' "$tmp/said" && break; sleep 0.02; done
show build/bin/tfs ship add "$tmp/dead.img" "relp://127.0.0.1:$(sed -n 's/.*on port //p' "$tmp/said")" '*.log' --from-start
show build/bin/tfs-logship status "$tmp/dead.img"
show build/bin/tfs-logship drain "$tmp/dead.img"
show cat "$tmp/received"
show build/bin/tfs-logship status "$tmp/dead.img"
kill $pid; wait $pid

head -c 64 /dev/urandom >"$tmp/key"; export TFS_BACKUP_KEY_FILE=$tmp/key XDG_STATE_HOME=$tmp/state
if [ -n "${S3:-}" ]; then
	say "start a Ceph with its S3 gateway on loopback, everything in memory"
	export AWS_ACCESS_KEY_ID=AKTEST AWS_SECRET_ACCESS_KEY=SKTEST AWS_EC2_METADATA_DISABLED=true no_proxy='*'
	unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
	show tests/backup/ceph.sh start "$tmp/ceph" memstore || { echo "Ceph's RGW is missing or does not start: as root, apt-get install radosgw ceph-mon ceph-osd ceph-common"; exit 1; }
	repo=s3://tfs/demo at=(-o "endpoint=$(cat "$tmp/ceph/url")") where="a bucket"
else
	repo=$tmp/backup at=() where="a directory"
fi
say "back it up, encrypted, into $where; change it; back it up again: only what changed is sent"
show build/bin/tfs-backup init "$repo" "${at[@]}"
show build/bin/tfs-backup run "$repo" "$tmp/volume.img" "${at[@]}"
show build/bin/bk-change "$tmp/volume.img" file changed 4
show build/bin/tfs-backup run "$repo" "$tmp/volume.img" "${at[@]}"
show build/bin/tfs-backup diff "$repo" 1 2 "${at[@]}"
show build/bin/tfs-backup verify "$repo" --read-data "${at[@]}"
say "restore the first one onto a new image, as on a machine that has only the key, and compare"
export XDG_STATE_HOME=$tmp/fresh
show build/bin/tfs-backup restore "$repo" 1 --to "$tmp/restored.img" "${at[@]}"
show build/bin/fsck.tfs -fn --data "$tmp/restored.img"
rm -rf "$tmp/out"; show build/bin/dump.tfs extract "$tmp/restored.img" "$tmp/out"
show diff -r --no-dereference "$tmp/expected" "$tmp/out"
echo; echo "the restored volume holds exactly what was backed up"
