#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The main job on real input: a volume from a directory, a look inside, out again, compared file by file.
# usage: demo.sh [DIR]   (default: /usr/include)
set -eu
dir=${1:-/usr/include}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
set -x
build/bin/mkfs.tfs --from "$dir" --label demo "$tmp/volume.img"
build/bin/dump.tfs super "$tmp/volume.img"
build/bin/dump.tfs ls "$tmp/volume.img" | tail -3
build/bin/dump.tfs extract "$tmp/volume.img" "$tmp/out"
diff -r --no-dereference "$dir" "$tmp/out"
{ set +x; } 2>/dev/null
echo "the volume holds what $dir holds"
