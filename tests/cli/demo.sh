#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The main job on real input: a data volume is built from a directory, checked, listed, mounted without root, changed,
# unmounted, checked again and compared file by file. usage: demo.sh [DIR]   (default: /usr/include)
set -eu
dir=${1:-/usr/include}
tmp=$(mktemp -d)
trap 'fusermount3 -qu "$tmp/mnt" 2>/dev/null || true; rm -rf "$tmp"' EXIT
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
say "check it again, compare file by file"
show build/bin/fsck.tfs -f -p --data "$tmp/volume.img"
show build/bin/dump.tfs extract "$tmp/volume.img" "$tmp/out"
show diff -r --no-dereference "$tmp/expected" "$tmp/out"
echo; echo "the volume holds exactly what it should"
