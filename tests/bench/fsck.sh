#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# fsck.tfs -fn beside e2fsck -fn on the same tree, taking turns, the best of ROUNDS (5): time, CPU time, peak memory.
# usage: fsck.sh [DIR]   (default: /usr/share and /usr/include)
set -eu
bin=$(realpath "${BIN:-build/bin}") rounds=${ROUNDS:-5}
tmp=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
src=${1:-$tmp/src}
[ -n "${1:-}" ] || { mkdir "$src"; cp -a /usr/share /usr/include "$src" 2>/dev/null || true; }
"$bin/mkfs.tfs" -q --compress none --from "$src" "$tmp/tfs"
truncate -s $(($(du -sb "$src" | cut -f1) * 2)) "$tmp/ext"; mke2fs -q -F -t ext4 -d "$src" "$tmp/ext"
run() { local name=$1; shift; /usr/bin/time -a -o "$tmp/times" -f "$name %e %U %S %M" "$@" >/dev/null 2>&1; }
for _ in $(seq "$rounds"); do
	run fsck.tfs "$bin/fsck.tfs" -fn "$tmp/tfs"
	run e2fsck e2fsck -fn "$tmp/ext"
done
echo "fsck of $(find "$src" | wc -l) entries, the best of $rounds"
awk '{c=$3+$4; if(!($1 in e)||$2<e[$1])e[$1]=$2; if(!($1 in u)||c<u[$1])u[$1]=c; m[$1]=$5}
	END{for(n in e)printf "%-10s %6.2f s %6.2f s CPU %7d KB  %.2f of e2fsck'"'"'s CPU time\n",n,e[n],u[n],m[n],u[n]/u["e2fsck"]}' "$tmp/times"
