#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# How fast and how small: about 20,000 files out of /usr, 500 to 700 MB, by mkfs.tfs and by the tools that make images of
# the same kind. All in one run, taking turns, the best of ROUNDS (3), so that a busy machine troubles all alike. Prints
# time, CPU time, peak memory and bytes in use, and what they are against the first row of each group.
# usage: mkfs.sh [DIR]   a source of your own instead
set -eu
export LC_ALL=C
bin=$(realpath "${BIN:-build/bin}") rounds=${ROUNDS:-3}
tmp=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
src=${1:-$tmp/src}

if [ -z "${1:-}" ]; then # every few of /usr's files, in a fixed order
	mkdir "$src"
	find /usr/include /usr/lib /usr/share /usr/bin -xdev -type f -size -24576k -readable 2>/dev/null | sort >"$tmp/all"
	awk -v step=$(($(wc -l <"$tmp/all") / 20000 + 1)) 'NR % step == 0' "$tmp/all" >"$tmp/list"
	tar -cf - -T "$tmp/list" 2>/dev/null | tar -xf - -C "$src"
fi
bytes=$(du -sb "$src" | cut -f1)
echo "source: $(find "$src" | wc -l) entries, $((bytes >> 20)) MiB; $(nproc) cores; the best of $rounds rounds"

used() { # TOOL: bytes in use of the image it made
	case $1 in
	tfs*) python3 -c "import json,sys; print(json.load(open('$tmp/json'))['bytes_used'])" ;;
	mke2fs) dumpe2fs -h "$tmp/img" 2>/dev/null | awk -F: '/^Block count/{b=$2}/^Free blocks/{f=$2}/^Block size/{s=$2}END{print (b-f)*s}' ;;
	*) stat -c %s "$tmp/img" ;;
	esac
}
run() { # NAME ROUND COMMAND...: a line "name seconds cpu kb bytes" into results
	local name=$1 round=$2; shift 2
	command -v "$1" >/dev/null || { [ "$round" != 1 ] || echo "  not measured: no $1"; return 0; }
	rm -f "$tmp/img"; [ "$name" != mke2fs ] || truncate -s $((bytes * 2 + (256 << 20))) "$tmp/img"
	sync -f "$tmp"
	/usr/bin/time -f '%e %U %S %M' -o "$tmp/time" "$@" >"$tmp/json" 2>"$tmp/err" || { cat "$tmp/err"; exit 1; }
	echo "$name $(awk '{print $1, $2 + $3, $4}' "$tmp/time") $(used "$name")" >>"$tmp/results"
}
for r in $(seq "$rounds"); do
	run mke2fs "$r" mke2fs -q -F -t ext4 -d "$src" "$tmp/img"
	run tfs-none "$r" "$bin/mkfs.tfs" --json --compress none --from "$src" "$tmp/img"
	run squashfs-lz4 "$r" mksquashfs "$src" "$tmp/img" -comp lz4 -b 64K -noappend -no-progress
	run erofs-lz4 "$r" mkfs.erofs -zlz4 -C65536 "$tmp/img" "$src"
	run tfs-lz4 "$r" "$bin/mkfs.tfs" --json --compress lz4 --from "$src" "$tmp/img"
	[ "$r" = 1 ] || continue # a minute each
	[ -n "${QUICK:-}" ] || run squashfs-gzip "$r" mksquashfs "$src" "$tmp/img" -comp gzip -b 64K -noappend -no-progress
	run tfs-zlib "$r" "$bin/mkfs.tfs" --json --compress zlib --from "$src" "$tmp/img"
	[ -n "${QUICK:-}" ] || run tfs-zlib6 "$r" "$bin/mkfs.tfs" --json --compress zlib:6 --from "$src" "$tmp/img"
done
awk '
	{ if (!($1 in t) || $2 < t[$1]) t[$1] = $2; if (!($1 in c) || $3 < c[$1]) c[$1] = $3
	  if ($4 > m[$1]) m[$1] = $4; u[$1] = $5 }
	function row(name, base) {
		if (!(name in t)) return
		printf "%-14s %7.2f s %7.2f s CPU %5d MB peak %7.1f MB in use", name, t[name], c[name], m[name] / 1024, u[name] / 1e6
		if (base in t) printf "   %5.2f x time  %5.2f x CPU  %5.2f x memory  %5.3f x bytes of %s", \
			t[name] / t[base], c[name] / c[base], m[name] / m[base], u[name] / u[base], base
		print ""
	}
	END {
		row("mke2fs", "mke2fs"); row("tfs-none", "mke2fs")
		row("squashfs-lz4", "squashfs-lz4"); row("erofs-lz4", "squashfs-lz4"); row("tfs-lz4", "squashfs-lz4"); row("tfs-lz4", "erofs-lz4")
		row("squashfs-gzip", "squashfs-gzip"); row("tfs-zlib", "squashfs-gzip"); row("tfs-zlib6", "squashfs-gzip")
	}' "$tmp/results"
