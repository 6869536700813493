#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Bad input to every tool: options without, with malformed, too large and negative values; images that are none; volumes cut
# off at every structure; a full standard output. Each gets a message and the documented exit code, and no image changes that
# was not to be changed. Needs no root and no FUSE. `test_input.sh PART...`, parts are the functions part_*.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000
bin=$(realpath "${BIN:-build/bin}")
tmp=$(mktemp -d) now=setup
trap '[ $? = 0 ] || echo "FAILED in $now; repeat: tests/cli/test_input.sh $now"; chmod -R u+rwX "$tmp"; rm -rf "$tmp"' EXIT
cd "$tmp"
mk=$bin/mkfs.tfs dump=$bin/dump.tfs fsck=$bin/fsck.tfs fuse=$bin/tfs-fuse
fail() { echo "FAILED: $*"; head -5 e; exit 1; }
expect() { # CODES COMMAND...: one of the codes, within 20 s, a message unless it is 0, and nothing like a crash
	local want=$1 got=0; shift
	timeout 20 "$@" >o 2>e </dev/null || got=$?
	case " $want " in *" $got "*) ;; *) fail "expected exit $want, found $got: $*" ;; esac
	[ $got = 0 ] || [ -s e ] || [ -s o ] || fail "no message: $*"
	! grep -q 'internal error\|Sanitizer\|runtime error' e || fail "broke down: $*"
}
mkdir src mnt; echo small >src/small; seq 1 60000 >src/text; mkdir src/d; ln -s small src/sym
"$mk" -q --from src a.img 32M
cp a.img whole.img
unchanged() { cmp -s a.img whole.img || fail "the image was changed: $*"; }

part_options() {
	local v
	for v in --from --tar --manifest --size --compress -L -U --segment-size -j; do expect 1 $mk n.img $v; done
	for v in '' -1 -16M 0 15M 1X 16MM 16M5 0x1000000 1e9 ' 32M' 32M' ' 17P 99999999999999999999 18446744073709551616 18446744073709551615P autoo; do
		expect 1 $mk --size "$v" n.img; expect 1 $mk n.img "$v"
	done
	for v in '' 0 1 -256K 128K 300K 128M 1P x; do expect 1 $mk --segment-size "$v" n.img 64M; done
	expect 1 $mk --segment-size 64M n.img 64M # fewer than four segments
	expect 1 $mk --segment-size 256K n.img 16P
	expect 1 $mk -f --segment-size 64M a.img 64M; expect 1 $mk -f --segment-size 16M a.img; unchanged # before anything is lost
	for v in '' 0 -1 65 99999999999999999999 2x; do expect 1 $mk -j "$v" n.img 64M; done
	for v in '' LZ4 zlib: zlib:0 zlib:13 zlib:-1 zlib9 lz4:1 zstd; do expect 1 $mk --compress "$v" n.img 64M; done
	for v in '' 1 0123456789abcdef0123456789abcde 0123456789abcdef0123456789abcdef0 g123456789abcdef0123456789abcdef -; do expect 1 $mk -U "$v" n.img 64M; done
	for v in x -1 -5 1.5 99999999999999999999 9223372036854775808; do SOURCE_DATE_EPOCH=$v expect 1 $mk n.img 64M; done
	expect 1 $mk --frob n.img 64M; expect 1 $mk n.img 64M extra; expect 3 $mk ''; expect 3 $mk '' 64M
	[ ! -e n.img ] || fail "an image was made"

	for v in --offset --name --type --ino --addr -o; do expect 1 $dump find a.img $v; done
	for v in '' -1 1X 17P 99999999999999999999; do expect 1 $dump super a.img --offset "$v"; done
	for v in '' -1 x 1x 99999999999999999999; do
		expect 1 $dump find a.img --ino "$v"; expect 1 $dump find a.img --addr "$v"; expect 1 $dump object a.img "$v"
	done
	expect 1 $dump find a.img --addr 18446744073709551615; expect 1 $dump object a.img 18446744073709551615; expect 1 $dump object a.img 0
	expect 1 $dump find a.img --type ''; expect 1 $dump find a.img --type fz; expect 1 $dump tree a.img ''; expect 1 $dump --frob
	expect 2 $dump super a.img --offset 1; expect 2 $dump super a.img --offset 32M; expect 2 $dump super a.img --offset 16P
	expect 1 $dump ls a.img "$(printf 'n%.0s' $(seq 300))"; expect 1 $dump cat a.img small/x; expect 1 $dump ls ''

	for v in -C --offset --undo --restore; do expect 16 $fsck a.img $v; done
	for v in '' x 1x 99 99999999999999999999 -; do expect 16 $fsck -n -C "$v" a.img; done
	expect 0 $fsck -n -C -1 a.img
	for v in '' -1 1X 17P; do expect 16 $fsck -n --offset "$v" a.img; done
	expect 8 $fsck -n --offset 1 a.img; expect 8 $fsck -n --offset 32M a.img; expect 8 $fsck -n --offset 16P a.img
	expect 16 $fsck; expect 16 $fsck -n a.img b.img; expect 16 $fsck -n -y a.img; expect 16 $fsck -n -p a.img; expect 16 $fsck -n --undo u a.img
	expect 16 $fsck --frob a.img; expect 8 $fsck a.img # no terminal to ask on
	expect 8 $fsck -y --restore none a.img; expect 8 $fsck -y --restore src/text a.img; expect 8 $fsck -y --undo none/u a.img
	expect 8 $fsck -n ''

	for v in --offset --cache -o; do expect 1 $fuse a.img mnt $v; done
	for v in '' -1 1X 17P; do expect 1 $fuse --offset "$v" a.img mnt; expect 1 $fuse --cache "$v" a.img mnt; done
	expect 1 $fuse; expect 1 $fuse a.img; expect 1 $fuse a.img mnt extra; expect 1 $fuse --frob a.img mnt
	expect 1 $fuse -o "$(printf 'n%.0s' $(seq 5000))" a.img mnt
	expect 2 $fuse --offset 1 a.img mnt
	expect 3 $fuse a.img nowhere; expect 3 $fuse a.img src/small; expect 3 $fuse a.img ''
	cp whole.img a.img # a mount that failed may have replayed: not the matter here
}

every_tool() { # WHAT IMAGE: it cannot be opened as a file, or is no volume
	expect "1 2" $dump super "$2"; expect "1 2" $dump ls "$2"; expect "1 2" $dump log "$2"; expect "1 2" $dump anchors "$2"
	expect 8 $fsck -n "$2"; expect 8 $fsck -y "$2"; expect 2 $fuse "$2" mnt; expect 2 $fuse -o ro "$2" mnt
}
part_images() {
	mkdir dir; mkfifo pipe; : >empty; head -c 20000000 /dev/urandom >foreign; head -c 5000 a.img >short; ln -s loop loop; ln -s none dangling
	for i in dir pipe empty foreign short loop dangling none none/none /dev/null /dev/zero /dev/full a.img/x; do every_tool x $i; done
	for i in dir pipe loop dangling none/none /dev/null a.img/x; do expect 3 $mk -f $i 64M; done
	expect 3 $mk empty; expect 3 $mk -f short; expect 0 $mk -q empty 16M
	if command -v mke2fs >/dev/null; then truncate -s 32M ext; mke2fs -q -F ext; cp ext ext2; every_tool x ext; expect 3 $mk ext; cmp ext ext2 || fail "a foreign filesystem was changed"; fi
	if [ "$(id -u)" != 0 ]; then
		chmod 0 a.img; every_tool x a.img; expect 3 $mk -f a.img
		chmod 400 a.img; expect 0 $fsck -n a.img; expect 0 $dump ls a.img; expect 8 $fsck -y a.img; expect 2 $fuse a.img mnt; expect 3 $mk -f a.img
		chmod 600 a.img
	fi
	unchanged
	printf 'x' >manifest; for i in pipe none src/small; do expect 2 $mk --from $i --size 64M n.img; done; for i in dir pipe none; do expect 2 $mk --manifest $i n.img 64M; done
	expect 2 $mk --tar dir n.img 64M; expect 2 $mk --tar none n.img 64M; [ ! -e n.img ] || fail "an image was made"
}

# A volume that ends early, wherever: the superblock names a size, and more is not looked for.
part_truncated() {
	local n
	for n in 0 1 4095 4096 4097 8191 8192 16384 20480 32768 65535 65536 65537 131072 327680 1000000 16777215 16777216 \
		33488896 33521664 33525760 33529856 33550336 33554431; do
		head -c $n whole.img >a.img
		every_tool x a.img
		[ "$(stat -c %s a.img)" = $n ] || fail "the length changed"
		cmp -s a.img <(head -c $n whole.img) || fail "a volume cut off at $n was changed"
	done
	# and one that says it is shorter than its file is sound
	cp whole.img a.img; truncate -s +12345 a.img; expect 0 $fsck -n a.img; expect 0 $dump ls a.img
	cp whole.img a.img
}

full() { # WANT COMMAND...: nothing that it says gets out
	local want=$1 got=0; shift
	timeout 20 "$@" >/dev/full 2>e </dev/null || got=$?
	[ $got = "$want" ] || fail "standard output full: expected exit $want, found $got: $*"
	grep -q 'standard output\|No space left' e || fail "standard output full: no message: $*"
}
part_full() {
	local v
	for v in super anchors log tree segments "object 1" ls "ls -lR" "stat small" "cat small" find tar; do
		set -- $v; local cmd=$1; shift
		full 3 $dump $cmd a.img "$@"; [ $cmd = tar ] || full 3 $dump $cmd a.img "$@" --json
	done
	full 3 $dump extract a.img out --json
	full 3 $dump --help; full 3 $mk --help; full 3 $mk -V; full 3 $mk n.img 32M; full 3 $mk -f --json n.img 32M; full 3 $mk --dry-run --from src
	full 8 $fsck -n a.img; full 8 $fsck -n --json a.img; full 8 $fsck --help; full 8 $fsck --problems; full 2 $fuse --help
	expect 3 $dump tar a.img -o /dev/full; expect 3 $dump extract a.img /dev/full; expect 3 $dump extract a.img src/small/x
	# and closed: what cannot be said is no success either
	for v in "$mk --help" "$dump ls a.img" "$fsck -n a.img"; do
		if timeout 20 $v >&- 2>e; then fail "standard output closed: exit 0: $v"; fi
	done
	unchanged
}

for now in ${*:-options images truncated full}; do echo "input: $now"; "part_$now"; done
echo "input: all as expected"
