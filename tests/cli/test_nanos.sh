#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Volumes of the Nanos kernel. tests/nanos has two that others made: mkfs-small by its mkfs, live-small by its kernel. Every
# file of them must come out with its SHA-256, symlinks, hard link, xattr, holes and sizes as an independent reader has them.
# usage: test_nanos.sh [SECTION...]
set -u
export LC_ALL=C
bin=${BIN:-build/bin} failed=0
here=tests/nanos
command -v python3 >/dev/null || { echo "SKIPPED: python3 is missing"; exit 77; }
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
dump=$bin/dump.tfs
bad() { echo "FAILED: $*; repeat: tests/cli/test_nanos.sh $section"; head -20 "$tmp/out" | sed 's/^/   /'; failed=1; }
run() { local want=$1 got=0; shift; "$@" >"$tmp/out" 2>&1 || got=$?; [ "$got" = "$want" ] || bad "expected exit $want, found $got: ${*//$tmp\//}"; }
said() { grep -qF -- "$1" "$tmp/out" || bad "expected '$1'"; }
facts() { "$here/reader.py" "$@" >"$tmp/all" 2>"$tmp/out" || bad "the independent reader refuses ${*//$tmp\//}"; tail -n +2 "$tmp/all" | sed 's/"mtime": [0-9]*, //'; }
same() { "$here/tree.py" "$1" >"$tmp/tree"; diff "$tmp/tree" "$2" >"$tmp/out" || bad "$3"; }
for v in mkfs-small live-small; do xz -dc "$here/$v.img.xz" >"$tmp/$v.img" || exit 1; done

samples() {
	for v in mkfs-small live-small; do
		facts "$tmp/$v.img" >"$tmp/facts"
		run 0 $dump extract "$tmp/$v.img" "$tmp/$v"
		same "$tmp/$v" "$tmp/facts" "$v: extracted files differ from what the independent reader has"
		(cd "$tmp/$v" && sha256sum --quiet -c) <"$here/$v.sha256" >"$tmp/out" 2>&1 || bad "$v: a file has another SHA-256"
		[ "$(find "$tmp/$v" -type f -links 1 -o -type f -links +1 | wc -l)" -ge "$(wc -l <"$here/$v.sha256")" ] || bad "$v: files are missing"
		mkdir "$tmp/$v.tar"; $dump tar "$tmp/$v.img" | tar -x --xattrs -C "$tmp/$v.tar" || bad "$v: tar"
		same "$tmp/$v.tar" "$tmp/facts" "$v: tar differs from what the independent reader has"
		while read -r sum path; do
			[ "$($dump cat "$tmp/$v.img" "$path" | sha256sum | cut -c-64)" = "$sum" ] || bad "$v: cat $path"
		done <"$here/$v.sha256"
	done
	run 0 $dump stat "$tmp/live-small.img" hard; said 'links       2'
	# the file with an xattr was removed later on; its tuple is still in the log
	run 0 $dump object "$tmp/live-small.img" 25; said 'user.note="hello world"'
	run 0 $dump ls -l "$tmp/live-small.img" link; said '2026-11-24 02:49:41 link -> dir0/file-0.txt'
	run 0 $dump find "$tmp/live-small.img" --type l; said dangling
	run 0 $dump config --json "$tmp/mkfs-small.img"; said '{"arguments":["a","b","c"],"environment":{"USER":"root","PWD":"/"},"program":"/etc/a.txt"}'
	run 0 $dump super --json "$tmp/live-small.img"; said '"label":"datavol"'; said '"records":1212,'
	run 0 $dump log "$tmp/live-small.img"; said 'end at=23249 records=1212'
	run 0 $dump tree "$tmp/live-small.img"; said 'tuple 25 extents={"tuple":26}'
	run 0 $dump object "$tmp/live-small.img" 5 --json
	run 1 $dump segments "$tmp/live-small.img"; said 'a Nanos volume has no such thing'
	run 1 $dump crashlog "$tmp/live-small.img"; said 'expected a bootable image'
	run 1 $dump ls "$tmp/live-small.img" none; said 'no such file'
	run 2 $dump ls --format tfs "$tmp/live-small.img"; said 'expected a TFS superblock'
}

# a bootable image: boot code, crash log, ESP, boot and root filesystem; also behind an offset
image() {
	local i=$tmp/boot.img off=$((3 << 20))
	truncate -s $((off + (40 << 20))) "$i"
	python3 - "$i" $off "$tmp/mkfs-small.img" "$tmp/live-small.img" <<-'EOP'
	import struct, sys
	path, off, boot, root = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], 'rb').read(), open(sys.argv[4], 'rb').read()
	esp, bootfs = 1 << 20, 4 << 20
	first = 100 * 512 + 4096
	places = [(0xef, first, esp), (0x83, first + esp, bootfs), (0x83, first + esp + bootfs, 8 << 20)]
	table = b''.join(struct.pack('<B3sB3sII', 0, b'', kind, b'', at // 512, size // 512) for kind, at, size in places)
	with open(path, 'r+b') as f:
	    f.seek(off + 446), f.write(table), f.seek(off + 510), f.write(b'\x55\xaa')
	    f.seek(off + first - 4096), f.write(b'KLOG' + struct.pack('<Qi', 77, -5) + b'page fault\nat \x1b[31m0x10\n')
	    f.seek(off + first + esp), f.write(boot)
	    f.seek(off + first + esp + bootfs), f.write(root)
	EOP
	run 0 $dump super --offset $off "$i"; said 'number=3 type=83'; said 'label          datavol'
	run 0 $dump ls --offset $off "$i"; said 'appended'
	run 0 $dump ls --offset $off --partition boot "$i"; said etc
	run 0 $dump ls --offset $off --partition 2 "$i"; said etc
	run 1 $dump ls --offset $off --partition 1 "$i"; said 'expected a partition with a volume'
	run 1 $dump ls --offset $off --partition 4 "$i"
	run 0 $dump crashlog --offset $off "$i"; said 'boot_id        77'; said 'exit_code      -5'; said 'at \x1b[31m0x10'
	run 0 $dump crashlog --json --offset $off "$i"; said '"exit_code":"-5"'
	run 0 $dump extract --offset $off "$i" "$tmp/root"
	(cd "$tmp/root" && sha256sum --quiet -c) <"$here/live-small.sha256" >"$tmp/out" 2>&1 || bad "root filesystem of an image"
}

sections='samples image'
[ $# = 0 ] && set -- $sections
for section; do $section; done
[ $failed = 0 ] && echo "nanos: as expected"
exit $failed
