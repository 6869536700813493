#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Volumes of the Nanos kernel. tests/nanos has two that others made: mkfs-small by its mkfs, live-small by its kernel. Every
# file of them must come out with its SHA-256, symlinks, hard link, xattr, holes and sizes as an independent reader has them.
# usage: test_nanos.sh [SECTION...]; odd=REGEX: of the odd volumes those whose names match
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
	run 0 timeout 60 $dump config "$tmp/live-small.img"; grep -q tuple "$tmp/out" && bad "config follows .."
	run 0 $dump super --json "$tmp/live-small.img"; said '"label":"datavol"'; said '"records":1212,'
	run 0 $dump log "$tmp/live-small.img"; said 'end at=23249 records=1212'
	run 0 $dump tree "$tmp/live-small.img"; said 'tuple 25 extents={"tuple":26}'
	run 0 $dump object "$tmp/live-small.img" 5 --json
	run 1 $dump segments "$tmp/live-small.img"; said 'a Nanos volume has no such thing'
	run 1 $dump crashlog "$tmp/live-small.img"; said 'expected a bootable image'
	head -c 2000000 "$tmp/live-small.img" >"$tmp/cut.img"
	run 2 $dump extract "$tmp/cut.img" "$tmp/cut"; said 'outside of the volume: its content is not read'
	[ -e "$tmp/cut/big" ] && bad "a file whose content is cut off was extracted"
	run 2 $dump tar -o "$tmp/cut.tar" "$tmp/cut.img"
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
	run 1 $dump ls --offset $off --partition 1 "$i"; said 'expected --partition root, boot'
	run 1 $dump ls --offset $off --partition 4 "$i"
	run 0 $dump crashlog --offset $off "$i"; said 'boot_id        77'; said 'exit_code      -5'; said 'at \x1b[31m0x10'
	run 0 $dump crashlog --json --offset $off "$i"; said '"exit_code":-5,'
	run 0 $dump extract --offset $off "$i" "$tmp/root"
	(cd "$tmp/root" && sha256sum --quiet -c) <"$here/live-small.sha256" >"$tmp/out" 2>&1 || bad "root filesystem of an image"
	# the boot filesystem converted and mounted; a partition that is none
	facts "$tmp/mkfs-small.img" >"$tmp/facts"
	run 0 $bin/tfs convert -q --offset $off --partition boot "$i" "$tmp/boot.ours"
	run 0 $dump extract "$tmp/boot.ours" "$tmp/boot.dir"; same "$tmp/boot.dir" "$tmp/facts" "the boot filesystem, converted"
	run 1 $bin/tfs convert -q --offset $off --partition 1 "$i" "$tmp/none"; said 'expected --partition root, boot'
	run 1 $bin/tfs df --partition boot "$tmp/boot.ours"; said 'takes no such option'
	run 0 $bin/fsck.tfs -n --offset $off --partition boot "$i"; said '12 records'
	mkdir -p "$tmp/none.d"; run 1 $bin/tfs-fuse --offset $off --partition 1 "$i" "$tmp/none.d"; said 'expected --partition root, boot'
	[ -e /dev/fuse ] || return 0
	mkdir "$tmp/mnt.boot"; run 0 $bin/tfs-fuse --offset $off --partition boot "$i" "$tmp/mnt.boot"; same "$tmp/mnt.boot" "$tmp/facts" "the boot filesystem, mounted"
	fusermount3 -u "$tmp/mnt.boot" || bad "cannot be unmounted"
}

# made by mkfs.tfs, read by the independent reader and by dump.tfs
make_() {
	local i src=$tmp/src; export SOURCE_DATE_EPOCH=1700000000
	mkdir -p "$src/a/b/c" "$src/many"
	seq 20000 >"$src/a/nums"; echo hi >"$src/a/b/hi"; ln -s ../nums "$src/a/b/link"; ln "$src/a/nums" "$src/a/b/hard"; ln "$src/a/nums" "$src/zz"
	truncate -s 3M "$src/a/hole"; echo end >>"$src/a/hole"; truncate -s 100000 "$src/a/all-hole"; : >"$src/a/empty"; : >"$src/$(printf 'h\303\251 x')"
	setfattr -n user.x -v val "$src/a/b/hi" 2>/dev/null
	for i in $(seq 3000); do echo "$i" >"$src/many/a-rather-long-name-of-a-file-$i"; done
	python3 -c 'import sys
with open(sys.argv[1], "wb") as f:
    for i in range(3000):
        f.seek(i * 8192)
        f.write(b"%d" % i * 100)' "$src/pieces" # as many extents
	head -c 40000000 /dev/zero | tr '\0' x >"$src/large"; chmod 755 "$src/a/b/hi"; chmod 400 "$src/a/nums"
	"$here/tree.py" "$src" >"$tmp/tree.src"
	run 0 $bin/mkfs.tfs --format nanos --from "$src" -L vol -U 00112233445566778899aabbccddeeff "$tmp/m.img"
	facts "$tmp/m.img" >"$tmp/facts"; head -1 "$tmp/all" >"$tmp/out"; said '"label": "vol"'; said '"uuid": "00112233445566778899aabbccddeeff"'; said '"version": 5'
	diff "$tmp/tree.src" "$tmp/facts" >"$tmp/out" || bad "the independent reader finds other files"
	run 0 $bin/fsck.tfs -n "$tmp/m.img"; said sound
	run 0 $dump extract "$tmp/m.img" "$tmp/made"; same "$tmp/made" "$tmp/tree.src" "extracted files differ"
	[ "$(stat -c '%a %Y' "$tmp/made/a/b/hi" "$tmp/made/a/nums")" = "$(stat -c '%a %Y' "$src/a/b/hi" "$src/a/nums" | sed 's/^400/444/')" ] || bad "modes or times"
	[ "$(stat -c %y "$tmp/made/large")" = "$(stat -c %y "$src/large")" ] || bad "nanoseconds of a time"
	[ "$($dump log "$tmp/m.img" | grep -c '^extension')" -ge 2 ] || bad "extensions"
	[ "$($dump log "$tmp/m.img" | sed -n 's/.* length=\([0-9]*\) .*/\1/p' | sort -n | tail -1)" -lt 100000 ] || bad "a long record: what its kernel stages has a limit"
	run 0 $bin/mkfs.tfs -q -j 1 --format nanos --from "$src" -L vol -U 00112233445566778899aabbccddeeff "$tmp/m2.img"
	cmp "$tmp/m.img" "$tmp/m2.img" || bad "the same input gives another image"
	# by a tar, with a size; a config; a manifest that adds and replaces; what the format has not
	(cd "$src" && tar --xattrs --sparse -cf "$tmp/src.tar" .)
	echo '{"program":"/a/b/hi","arguments":["x",""],"environment":{"A":"b"},"mounts":{"vol":"/mnt"},"debug":null,"n":[-5,18446744073709551615]}' >"$tmp/config"
	printf 'a/b/hi content=%s\nnew/file type=file mode=0644 content=%s\na/fifo type=fifo\nmany type=dir\n' "$tmp/config" "$tmp/config" >"$tmp/manifest"
	run 0 $bin/mkfs.tfs --format nanos --tar "$tmp/src.tar" --manifest "$tmp/manifest" --config "$tmp/config" -L root "$tmp/t.img" 64M
	said '1 devices and fifos left out'
	[ "$(stat -c %s "$tmp/t.img")" = $((64 << 20)) ] || bad "size"
	facts "$tmp/t.img" >"$tmp/facts"; grep -v '"path": "\(a/b/hi\|new\|new/file\)"' "$tmp/facts" | diff <(grep -v '"path": "a/b/hi"' "$tmp/tree.src") - >"$tmp/out" || bad "tar: the independent reader finds other files"
	run 0 $dump config --json "$tmp/t.img"; diff <(python3 -c 'import json, sys; print(json.dumps({k: v for k, v in json.load(sys.stdin).items() if k not in ("mtime", "atime")}))' <"$tmp/out") <(python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)))' <"$tmp/config") || bad "config"
	run 0 $dump cat "$tmp/t.img" new/file; cmp -s "$tmp/out" "$tmp/config" || bad "manifest's content"
	run 0 $bin/fsck.tfs -n "$tmp/t.img"
	run 4 $bin/mkfs.tfs --format nanos --from "$src" "$tmp/no.img" 8M; said 'does not fit'; [ ! -e "$tmp/no.img" ] || bad "a volume that does not fit is there"
	run 1 $bin/mkfs.tfs --format nanos -L "$(printf '%032d' 1)" "$tmp/no.img" 8M; said 'at most 31 bytes'
	run 1 $bin/mkfs.tfs --config "$tmp/config" "$tmp/no.img" 16M; said 'is for --format nanos'
	echo '{"children":{}}' >"$tmp/c2"; run 1 $bin/mkfs.tfs --format nanos --config "$tmp/c2" "$tmp/no.img" 8M; said 'files come from'
	printf '{"a":\n' >"$tmp/c2"; run 2 $bin/mkfs.tfs --format nanos --config "$tmp/c2" "$tmp/no.img" 8M; said 'expected JSON, found at byte 6: its end'
	run 1 $bin/mkfs.tfs --format nanos --compress zlib "$tmp/no.img" 8M; said 'never compressed'
	mkdir "$tmp/odd.times"; touch -d '1960-05-06' "$tmp/odd.times/old"; touch -d '2200-01-01' "$tmp/odd.times/new"; touch "$tmp/odd.times/$(printf '\377x')"; touch -d '1990-01-01' "$tmp/odd.times"
	run 0 $bin/mkfs.tfs --format nanos --from "$tmp/odd.times" "$tmp/times.img"; said 'times of 2 files lie outside of 1970 to 2106'; said '1 names are not UTF-8'
	run 0 $dump ls -l "$tmp/times.img"; said '1970-01-01 00:00:00 old'; said '2106-02-07 06:28:15 new'
	run 0 $bin/mkfs.tfs --format nanos "$tmp/empty.img" 3M; run 0 $dump ls "$tmp/empty.img"; facts "$tmp/empty.img" >/dev/null
}

i=$tmp/i.img
mended() { # WHAT NUMBER: -n reports and writes nothing; -y with --to and with --undo; sound; undone
	cp "$i" "$tmp/before"
	run 4 $bin/fsck.tfs -n "$i"; said "($2)"; cmp -s "$i" "$tmp/before" || bad "$1: -n wrote"
	run 4 $bin/fsck.tfs -y "$i"; said 'a repair needs --undo FILE, or --to FILE'; cmp -s "$i" "$tmp/before" || bad "$1: wrote without a way back"
	rm -f "$tmp/copy" "$tmp/undo"
	run 1 $bin/fsck.tfs -y --to "$tmp/copy" "$i"; said "repaired in the copy $tmp/copy"; cmp -s "$i" "$tmp/before" || bad "$1: --to wrote to the image"
	run 0 $bin/fsck.tfs -n "$tmp/copy"; facts "$tmp/copy" >"$tmp/facts.copy"
	run 1 $bin/fsck.tfs -y --undo "$tmp/undo" "$i"; run 0 $bin/fsck.tfs -n "$i"; facts "$i" >"$tmp/facts.mended"
	cmp -s "$tmp/facts.copy" "$tmp/facts.mended" || bad "$1: copy and image were mended differently"
	run 1 $bin/fsck.tfs --restore "$tmp/undo" "$i"; cmp -s "$i" "$tmp/before" || bad "$1: the undo file did not bring the image back"
}

# damage to the log: reported, repaired in a copy or with a way back, sound afterwards
check_() {
	local n o=$tmp/live-small.img
	poke() { printf "$2" | dd of="$i" bs=1 seek="$1" conv=notrunc status=none; }
	kept() { for n; do grep -qF "\"path\": \"$n\"" "$tmp/facts.mended" || bad "$n is gone"; done; }
	facts "$o" >"$tmp/facts.sound"
	cp "$o" "$i"; poke 23249 '\0'; mended torn-end 102; cmp -s "$tmp/facts.mended" "$tmp/facts.sound" || bad "files differ after a cut tail"
	cp "$o" "$i"; dd if=/dev/zero of="$i" bs=512 seek=45 count=2 conv=notrunc status=none; mended torn-sector 103; kept dir0 hard
	cp "$o" "$i"; poke 700 '\377'; mended record 103
	cp "$o" "$i"; poke 512 'X'; mended header 100; cmp -s "$tmp/facts.mended" "$tmp/facts.sound" || bad "files differ after a header was mended"
	cp "$o" "$i"; poke 33 '\7'; mended link-elsewhere 100; cmp -s "$tmp/facts.mended" "$tmp/facts.sound" || bad "files differ after a chain was mended"
	cp "$o" "$i"; poke 33 '\277\377\177'; mended link 101; cmp -s "$tmp/facts.mended" "$tmp/facts.sound" || bad "files differ after a chain was mended"
	cp "$o" "$i"; poke 23249 '\5\1\210\0'; mended circle 101; cmp -s "$tmp/facts.mended" "$tmp/facts.sound" || bad "files differ after a circle was cut"
	# cut off: sound files stay, of the others what is there; the rest reads as zeros
	head -c 5000000 "$o" >"$i"; mended cut-off 113; grep -v '"path": "big"' "$tmp/facts.sound" >"$tmp/facts.kept"
	grep -v '"path": "big"' "$tmp/facts.mended" | cmp -s - "$tmp/facts.kept" || bad "sound files differ after the volume was cut off"
	cmp <($dump cat "$o" big | head -c 85504) <($dump cat "$tmp/copy" big | head -c 85504) || bad "what was left of a file is gone"
	# block 0 is lost: what the content says is nothing, so it has to be said; label and uuid are gone
	facts "$o" >"$tmp/facts.sound"; cp "$o" "$i"; head -c 512 /dev/urandom | dd of="$i" conv=notrunc status=none; cp "$i" "$tmp/before"
	run 8 $bin/fsck.tfs -n "$i"
	run 4 $bin/fsck.tfs -n --format nanos "$i"; said '(100)'; said 'the log goes on at block 1'
	run 1 $bin/fsck.tfs -y --format nanos --to "$tmp/copy0" "$i"; run 0 $bin/fsck.tfs -n "$tmp/copy0"
	facts "$tmp/copy0" | cmp -s - "$tmp/facts.sound" || bad "files differ after block 0 was lost"
	# and again, in what was repaired: the log before that is still there, and which is newer nobody knows
	cp "$tmp/copy0" "$i"; head -c 512 /dev/zero | dd of="$i" conv=notrunc status=none
	run 4 $bin/fsck.tfs -n --format nanos "$i"; said '2 places look like where it goes on'
	run 4 $bin/fsck.tfs -y --format nanos --to "$tmp/copy2" "$i"; [ ! -e "$tmp/copy2" ] || bad "one of two logs was taken"
	run 4 $bin/fsck.tfs -n --format nanos "$i"
	n=$(sed -n 's/.* at blocks 1 \([0-9]*\);.*/\1/p' "$tmp/out"); rm -f "$tmp/copy1"
	run 4 $bin/fsck.tfs -n --format nanos --log-at $((n + 1)) "$i"; said '2 places look like'
	run 1 $bin/fsck.tfs -y --format nanos --log-at "$n" --to "$tmp/copy1" "$i"; facts "$tmp/copy1" | cmp -s - "$tmp/facts.sound" || bad "files differ after --log-at"
	run 16 $bin/fsck.tfs -n --partition 2 "$o"
	run 0 $bin/fsck.tfs -p "$o"
}

lightly() { # the same with less of it, for many
	cp "$i" "$tmp/before"; rm -f "$tmp/undo"
	run 4 $bin/fsck.tfs -n "$i"; said "($2)"
	run 1 $bin/fsck.tfs -y --undo "$tmp/undo" "$i"; run 0 $bin/fsck.tfs -n "$i"
	run 1 $bin/fsck.tfs --restore "$tmp/undo" "$i"; cmp -s "$i" "$tmp/before" || bad "$1: the undo file did not bring the image back"
}
# trees that contradict themselves, built byte by byte by tests/nanos/build.py: each reported by number and mended
odd() {
	for what in $("$here/build.py" list | grep -E -- "${only:-.}"); do
		number=${what##*:}; name=${what%:*}
		"$here/build.py" "$name" "$tmp/i.img" || { bad "build $name"; continue; }
		if [ "$number" = 0 ]; then
			run 0 $bin/fsck.tfs -n "$tmp/i.img"; facts "$tmp/i.img" >"$tmp/facts"
			run 0 $dump extract "$tmp/i.img" "$tmp/odd.$name"; same "$tmp/odd.$name" "$tmp/facts" "$name: extracted files differ from what the independent reader has"
			continue
		fi
		lightly "$name" "$number"
		want=2; case $number in 111 | 115) want=0 ;; esac # what is read is not in doubt there
		rm -rf "$tmp/odd.$name" "$tmp/outside"; run $want timeout 60 $dump extract "$tmp/before" "$tmp/odd.$name"
		[ ! -e "$tmp/outside" ] || bad "$name: extraction left its directory"
		[ ! -e "$tmp/odd.$name/bad" ] || bad "$name: a file with an extent that cannot be was extracted"
		case $name in extent-* | range*) cmp -s "$tmp/odd.$name/good" <(head -c 512 /dev/zero | tr '\0' '\22') || bad "$name: the sound file beside it was not extracted" ;; esac
	done
}

# to our format and back: the same files, label and uuid; and mounted read-only
convert() {
	local o=$tmp/live-small.img
	facts "$o" >"$tmp/facts"; uuid=$(head -1 "$tmp/all" | sed 's/.*"uuid": "\([0-9a-f]*\)".*/\1/')
	run 0 $bin/tfs convert "$o" "$tmp/ours.img"; said 'has no owners and modes'
	run 0 $bin/fsck.tfs -fn --data "$tmp/ours.img"
	run 0 $dump extract "$tmp/ours.img" "$tmp/ours"; same "$tmp/ours" "$tmp/facts" "files differ in our format"
	run 0 $dump super "$tmp/ours.img"; said 'label          datavol'; tr -d - <"$tmp/out" | grep -q "$uuid" || bad "uuid"
	run 0 $bin/tfs convert "$tmp/ours.img" "$tmp/back.img" 40M; said 'not kept: snapshots, owners, modes but for exec and readonly, times'
	facts "$tmp/back.img" | diff "$tmp/facts" - >"$tmp/out" || bad "files differ after the way back"
	run 0 $bin/fsck.tfs -n "$tmp/back.img"
	run 0 $bin/tfs convert "$tmp/mkfs-small.img" "$tmp/ours2.img"; said 'not kept: the configuration in its root'
	# any configuration, not only known names; and as JSON
	echo '{"klibs":"net"}' >"$tmp/c3"; run 0 $bin/mkfs.tfs -q --format nanos --config "$tmp/c3" "$tmp/c3.img" 3M
	run 0 $bin/tfs convert --json "$tmp/c3.img" "$tmp/c3.ours"; said '"what":"converted"'; said '"from_format":"nanos"'; said '"not_kept":["the configuration'
	python3 -c 'import json, sys; [json.loads(l) for l in sys.stdin]' <"$tmp/out" || bad "not one JSON object a line"
	run 2 $bin/tfs convert "$tmp/facts" "$tmp/none.img"; said 'expected a volume'
	run 3 $bin/tfs convert "$o" "$tmp/ours.img"; said 'was not made'
	head -c 2000000 "$o" >"$tmp/short.img"
	run 2 $bin/tfs convert "$tmp/short.img" "$tmp/rest.img"; said 'holds what could be read'
}

mounted() {
	[ -e /dev/fuse ] || { echo "no /dev/fuse: not mounted here"; return; }
	mkdir "$tmp/mnt"
	run 0 $bin/tfs-fuse "$tmp/live-small.img" "$tmp/mnt"
	facts "$tmp/live-small.img" >"$tmp/facts"; same "$tmp/mnt" "$tmp/facts" "files differ when mounted"
	(echo x >"$tmp/mnt/new") 2>/dev/null && bad "a file can be made"
	fusermount3 -u "$tmp/mnt" || bad "cannot be unmounted"
}

sections='samples image make_ check_ odd convert mounted'
[ $# = 0 ] && set -- $sections
for section; do
	only=; case $section in odd=*) only=${section#odd=} ;; esac
	${section%%=*}
done
[ $failed = 0 ] && echo "nanos: as expected"
exit $failed
