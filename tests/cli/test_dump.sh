#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# dump.tfs: every command shows what is there, in words and in JSON; extract and tar bring a tree back as it was; damage and
# crafted images are reported with their exit codes and harm nothing; full disks, deep trees, no root. Needs no root.
# Repeat one part: tests/cli/test_dump.sh PART..., parts are the functions part_*. SAN=1 uses the sanitizer build.
set -eu
export SOURCE_DATE_EPOCH=1700000000 LC_ALL=C
bin=$(realpath "${BIN:-build/bin${SAN:+-san}}")
mk=$bin/mkfs.tfs craft=$bin/tfs-craft
case $bin in *-san) SAN=1 ;; esac
tmp=$(mktemp -d)
now=setup
trap '[ $? = 0 ] || echo "FAILED in $now; repeat: tests/cli/test_dump.sh $now"; chmod -R u+rwx "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
cp "$bin/dump.tfs" "$tmp/" # where an unprivileged user may get at it
dump=$tmp/dump.tfs
fail() { echo "FAILED: $*"; exit 1; }
expect() { # CODE COMMAND...: standard output in $tmp/o, errors in $tmp/e
	local want=$1 got=0; shift
	timeout 60 "$@" >"$tmp/o" 2>"$tmp/e" || got=$?
	[ "$got" = "$want" ] || { cat "$tmp/e"; fail "expected exit $want, found $got: $*"; }
	[ "$want" = 0 ] || [ -s "$tmp/e" ] || fail "no message: $*"
}
has() { grep -qE -e "$1" "$tmp/o" || { head -20 "$tmp/o"; fail "expected '$1' in the output"; }; }
says() { grep -qE -e "$1" "$tmp/e" || { head -20 "$tmp/e"; fail "expected '$1' among the messages"; }; }
ino_of() { "$dump" ls -d -i "$1" "$2" | awk '{print $1}'; }
listing() { (cd "$1" && find . ! -type d -printf '%p %y %m %n %s %T@ %l\n' -o -type d -printf '%p %y %m %T@\n' | sort); }
le64() { local i v=$1; for i in 1 2 3 4 5 6 7 8; do printf %02x $((v & 255)); v=$((v >> 8)); done; }
hex() { printf %s "$1" | od -An -tx1 | tr -d ' \n'; }

t=$tmp/src; mkdir -p "$t/dir/sub" "$t/empty"
echo small >"$t/small"; seq 1 100000 >"$t/dir/text"; ln "$t/small" "$t/dir/hard"; ln "$t/small" "$t/dir/sub/hard"
ln -s ../small "$t/dir/sym"; : >"$t/zero"; mkfifo "$t/fifo"
truncate -s 50000000 "$t/sparse"; printf middle | dd of="$t/sparse" bs=1 seek=20000000 conv=notrunc status=none
truncate -s 70000000 "$t/hole"; printf x >"$t/$(printf 'b\377')"; printf u >"$t/$(printf '\303\274')"
chmod 4751 "$t/dir/text"; chmod 1777 "$t/empty"; chmod 500 "$t/dir/sub"
touch -d '2001-02-03 04:05:06.123456789' "$t/small" "$t/dir/sub" "$t/dir"
"$mk" -q --compress none --from "$t" "$tmp/a.img" 64M
cp "$tmp/a.img" "$tmp/log.img"; "$craft" log "$tmp/log.img"

# Proves: every command's output names what is there; the defaults are those of the manual.
part_show() {
	expect 0 $dump super "$tmp/a.img"; has '^  clean +yes'; has '^superblock copy=last .*state=whole'
	expect 0 $dump anchors "$tmp/a.img"; has 'chosen clean'; has '^  root tree=fs addr=[1-9]'
	[ "$(grep -c ^anchor "$tmp/o")" = 8 ] || fail "expected 8 anchor slots"
	expect 0 $dump tree "$tmp/a.img" fs; has '^node tree=fs level=0 .*count='
	expect 0 $dump tree "$tmp/a.img" --items; has "dirent .*name='sparse'"; has "map segment=0"
	expect 0 $dump segments "$tmp/a.img"; has '^segment number=0 unit=128 state=(part|full)'
	has '^free_runs at_least=64 runs='; has '^space segments=[0-9]* whole_free_segments=[0-9]* used_blocks='
	expect 0 $dump ls "$tmp/a.img"
	[ "$(head -3 "$tmp/o" | tr '\n' ' ')" = 'b\xff dir empty ' ] || fail "ls is not sorted and escaped: $(head -3 "$tmp/o")"
	expect 0 $dump ls -0 "$tmp/a.img"; cmp <(head -c 3 "$tmp/o") <(printf 'b\377\0')
	expect 0 $dump ls -l "$tmp/a.img" dir; has '^-rwsr-x--x +1 .* 588895 .* text$'; has 'sym -> \.\./small$'
	expect 0 $dump ls -R "$tmp/a.img"; has '^dir/sub/hard$'
	expect 0 $dump ls -l -d "$tmp/a.img" /dir/; has '^drwx.* dir$'
	expect 0 $dump stat "$tmp/a.img" small; has 'modified +2001-02-03T..:05:06.123456789Z'; has '^links +3'
	expect 0 $dump cat "$tmp/a.img" small dir/text; cmp "$tmp/o" <(cat "$t/small" "$t/dir/text")
	expect 0 $dump object "$tmp/a.img" "$(ino_of "$tmp/a.img" dir/text)"; has '^extent .*codec=none addr=.* crcs='
	addr=$(sed -n 's/.* addr=\([0-9]*\) .*/\1/p' "$tmp/o" | head -1)
	expect 0 $dump find "$tmp/a.img" --addr "$((addr + 1))"; has '^dir/text$'
	expect 0 $dump find "$tmp/a.img" --addr 8; has superblock
	expect 0 $dump find "$tmp/a.img" --name '*ar*' --type f
	[ "$(sort "$tmp/o" | tr '\n' ' ')" = 'dir/hard dir/sub/hard sparse ' ] || fail "find: $(cat "$tmp/o")"
	expect 0 $dump find "$tmp/a.img" dir --ino "$(ino_of "$tmp/a.img" small)"; [ "$(wc -l <"$tmp/o")" = 2 ] || fail "expected two names below dir"
}

# Proves: wrong use and wrong paths are exit 1 with a message; what is no volume is exit 2; standard output full is exit 3.
part_codes() {
	expect 1 $dump; expect 1 $dump frobnicate "$tmp/a.img"; expect 1 $dump ls; expect 1 $dump ls --items "$tmp/a.img"
	expect 1 $dump ls "$tmp/none.img"; expect 1 $dump ls "$tmp/a.img" no/such; expect 1 $dump cat "$tmp/a.img" dir
	expect 1 $dump object "$tmp/a.img" 999999; expect 1 $dump object "$tmp/a.img" x; expect 1 $dump tree "$tmp/a.img" fi
	expect 1 $dump find "$tmp/a.img" --type x; expect 1 $dump find "$tmp/a.img" --addr 99999999; expect 1 $dump ls "$tmp/a.img" small/x
	expect 1 $dump super "$tmp/a.img" --offset 1X; expect 1 $dump tar "$tmp/a.img" --json
	expect 2 $dump super "$dump"; expect 2 $dump ls "$dump"; expect 2 $dump log "$dump"
	for c in "ls -l" "tar" "cat small" "tree --items" "log" "tar --output /dev/full"; do
		set -- $c; local cmd=$1 got=0; shift
		$dump "$cmd" "$tmp/a.img" "$@" >/dev/full 2>"$tmp/e" || got=$?
		[ "$got" = 3 ] && [ -s "$tmp/e" ] || fail "full standard output of $c: expected 3, found $got"
	done
}

# Proves: each line of --json output is an object, and no command lacks it.
part_json() {
	local c
	for c in super anchors log tree "tree --items" segments "object 1" ls "ls -lR" "stat small dir" "cat small" \
		"find --name *" "find --addr 130" "extract $tmp/oj small" "tar -o $tmp/j.tar"; do
		set -f; set -- $c; set +f; local cmd=$1; shift
		set -f; expect 0 $dump "$cmd" "$tmp/log.img" "$@" --json; set +f
		[ -s "$tmp/o" ] || fail "no output: $c --json"
		! grep -qvE '^\{"what":".*\}$' "$tmp/o" || fail "not JSON lines: $c: $(grep -vE '^\{"what":".*\}$' "$tmp/o" | head -1)"
		! command -v python3 >/dev/null || python3 -c 'import json,sys; [json.loads(l) for l in sys.stdin]' <"$tmp/o" || fail "bad JSON: $c"
	done
	expect 0 $dump ls "$tmp/a.img" --json; has '"path_hex":"62ff"'
}

# Proves: an image inside a bigger file is found at its offset, given with or without a suffix.
part_offset() {
	truncate -s 1M "$tmp/disk"; cat "$tmp/a.img" >>"$tmp/disk"; truncate -s +64K "$tmp/disk"
	expect 0 $dump cat "$tmp/disk" small --offset 1M; cmp "$tmp/o" "$t/small"
	expect 0 $dump cat "$tmp/disk" small --offset=1048576
	expect 2 $dump cat "$tmp/disk" small; says offset
	rm "$tmp/disk"
}

# Proves: the log is decoded to its end, records of every kind; --no-replay shows the state before it; cut in the middle of a
# write it ends there with the reason.
part_log() {
	local k
	expect 0 $dump log "$tmp/log.img"
	for k in create link rename setattr xattr write punch prealloc truncate unlink; do has "record .*type=$k "; done
	has "name='user.small' removed"; has '^    extent block=16 .*codec=lz4'; has "^end .*reason='no log write here'"
	expect 0 $dump ls -R "$tmp/log.img"; has '^logged/third$'
	expect 0 $dump ls -R "$tmp/log.img" --no-replay; ! grep -q third "$tmp/o" || fail "--no-replay replays"
	expect 0 $dump segments "$tmp/log.img"; has ' log$'
	run=$("$dump" log "$tmp/log.img" | sed -n 's/^write unit=\([0-9]*\).*/\1/p' | head -1)
	expect 0 $dump find "$tmp/log.img" --addr "$run"; has 'log run'
	cp "$tmp/log.img" "$tmp/cut.img"
	printf '\0\0' | dd of="$tmp/cut.img" bs=1 seek=$((run * 512 + 600)) conv=notrunc status=none
	expect 0 $dump log "$tmp/cut.img"; has "^end .*reason='CRC differs'"
}

# Proves: 60 logs and 60 leaves with changed bytes and right checksums never crash, hang or give an undefined exit code.
part_garbled() {
	local i c got
	for i in $(seq 60); do
		cp "$tmp/log.img" "$tmp/g.img"; "$craft" garble "$tmp/g.img" "$i"
		for c in log "ls -R" tar; do
			set -- $c; got=0
			timeout 20 $dump "$1" "$tmp/g.img" ${2:+"$2"} >/dev/null 2>"$tmp/e" || got=$?
			[ $got = 0 ] || [ $got = 2 ] || { cat "$tmp/e"; fail "seed $i, $c: exit $got; repeat: tfs-craft garble IMAGE $i"; }
		done
		cp "$tmp/a.img" "$tmp/g.img"; "$craft" leaf "$tmp/g.img" "$i"
		for c in "tree --items" "extract $tmp/gx" "find --addr 130"; do
			set -- $c; cmd=$1; shift; got=0
			timeout 20 $dump $cmd "$tmp/g.img" "$@" >/dev/null 2>"$tmp/e" || got=$?
			[ $got = 0 ] || [ $got = 2 ] || [ $got = 3 ] || { cat "$tmp/e"; fail "seed $i, $c: exit $got; repeat: tfs-craft leaf IMAGE $i"; }
		done
	done
}

# Proves: a tree comes out of extract and of tar as it went in, again into the same directory, replacing what is there; nothing
# of ours is left behind; a part of the tree alone; holes stay holes.
part_extract() {
	expect 0 $dump extract "$tmp/a.img" "$tmp/out"
	diff <(listing "$t") <(listing "$tmp/out"); diff -r --no-dereference "$t/dir" "$tmp/out/dir" >/dev/null || fail "contents differ"
	cmp "$t/sparse" "$tmp/out/sparse"
	[ "$(du -k "$tmp/out/sparse" "$tmp/out/hole" | awk '{s+=$1} END {print s}')" -lt 100 ] || fail "holes were filled"
	rm "$tmp/out/zero" "$tmp/out/small"; mkdir "$tmp/keep"; echo mine >"$tmp/keep/mine"
	ln -s "$tmp/keep" "$tmp/out/zero"; echo other >"$tmp/out/small" # a link under a file's name is replaced, not followed
	chmod 700 "$tmp/out/dir/sub"; rm -rf "$tmp/out/dir/sub"; ln -s "$tmp/keep" "$tmp/out/dir/sub" # under a directory's too
	chmod 500 "$tmp/out/dir" "$tmp/out"
	expect 0 $dump extract "$tmp/a.img" "$tmp/out"
	diff <(listing "$t") <(listing "$tmp/out"); [ "$(ls "$tmp/keep")" = mine ] || fail "a symlink was followed"
	[ -z "$(find "$tmp/out" -name '.dump.tfs*')" ] || fail "private directory left"
	expect 0 $dump extract "$tmp/a.img" "$tmp/part" dir; [ "$(ls "$tmp/part" | wc -l)" = 4 ] || fail "part: $(ls "$tmp/part")"
	expect 0 $dump extract "$tmp/a.img" "$tmp/one" dir/text; cmp "$t/dir/text" "$tmp/one/text"
	expect 3 $dump extract "$tmp/a.img" "$tmp/one/text"
}

part_tar() {
	expect 0 $dump tar "$tmp/a.img" -o "$tmp/a.tar"; mkdir "$tmp/tar"
	tar -C "$tmp/tar" -xpf "$tmp/a.tar" 2>"$tmp/e" || { cat "$tmp/e"; fail "tar cannot read it"; }
	diff <(listing "$t") <(listing "$tmp/tar"); cmp "$t/sparse" "$tmp/tar/sparse"
	[ "$(stat -c %s "$tmp/a.tar")" -lt 1000000 ] || fail "holes are in the archive"
	expect 0 $dump tar "$tmp/a.img"; cmp "$tmp/o" "$tmp/a.tar"
	"$mk" -q --compress zlib --uuid 00112233445566778899aabbccddeeff --from "$t" "$tmp/b.img" 128M
	expect 0 $dump tar "$tmp/b.img"; cmp "$tmp/o" "$tmp/a.tar" || fail "the same content in another volume gives another archive"
	expect 0 $dump tar "$tmp/log.img" logged; says '1 sockets'
	tar tvf "$tmp/o" >"$tmp/list"; grep -q 'third link to ./file' "$tmp/list" && grep -q '1,3 .* ./device' "$tmp/list" || { cat "$tmp/list"; fail "tar of logged"; }
	expect 3 $dump tar "$tmp/a.img" -o "$tmp/none/a.tar"
	# what is no regular file keeps its name: /dev/stdout is a link to where the output goes
	ln -s "$tmp/linked.tar" "$tmp/link"; echo old >"$tmp/linked.tar"; expect 0 $dump tar "$tmp/a.img" -o "$tmp/link"
	[ -L "$tmp/link" ] && cmp "$tmp/linked.tar" "$tmp/a.tar" || fail "a link is replaced"
	ln -s /proc/self/fd/1 "$tmp/stdout"; expect 0 $dump tar "$tmp/a.img" -o "$tmp/stdout"; [ -L "$tmp/stdout" ] && cmp "$tmp/o" "$tmp/a.tar" || fail "a link to standard output is replaced"
	mkfifo "$tmp/pipe"; cat "$tmp/pipe" >"$tmp/piped.tar" & expect 0 $dump tar "$tmp/a.img" -o "$tmp/pipe"; wait; [ -p "$tmp/pipe" ] && cmp "$tmp/piped.tar" "$tmp/a.tar" || fail "a pipe is replaced"
}

# Proves: an interrupted run leaves no half file, no private directory and no temporary archive.
part_interrupt() {
	local i
	head -c 40000000 /dev/urandom >"$tmp/big"; mkdir "$tmp/bigdir"; for i in 1 2 3; do ln "$tmp/big" "$tmp/bigdir/$i"; cp "$tmp/big" "$tmp/bigdir/c$i"; done
	"$mk" -q --compress none --from "$tmp/bigdir" "$tmp/big.img" 256M
	for i in 0.02 0.05 0.1 0.2; do
		mkdir -p "$tmp/int"
		timeout -s TERM $i "$dump" extract "$tmp/big.img" "$tmp/int" 2>/dev/null || true
		timeout -s TERM $i "$dump" tar "$tmp/big.img" -o "$tmp/int.tar" 2>/dev/null || true
		[ -z "$(find "$tmp/int" -name '.dump.tfs*'; ls "$tmp"/int.tar.* 2>/dev/null)" ] || fail "left behind after $i s"
		find "$tmp/int" -type f ! -size 40000000c | { ! grep .; } || fail "half a file after $i s"
	done
	rm -rf "$tmp/big" "$tmp/bigdir" "$tmp/big.img" "$tmp/int"
}

# Proves: a damaged file is left out and named (exit 2), by extract, tar and cat; all others are there.
part_damage() {
	addr=$("$dump" object "$tmp/a.img" "$(ino_of "$tmp/a.img" dir/text)" | sed -n 's/^extent .*block=16 .* addr=\([0-9]*\) .*/\1/p')
	cp "$tmp/a.img" "$tmp/bad.img"; printf '\1\2' | dd of="$tmp/bad.img" bs=1 seek=$((addr * 512 + 9)) conv=notrunc status=none
	expect 2 $dump extract "$tmp/bad.img" "$tmp/bad"; says 'dir/text: content cannot be read'
	[ ! -e "$tmp/bad/dir/text" ] || fail "a damaged file has its name"
	diff <(listing "$t" | grep -v /text) <(listing "$tmp/bad")
	expect 2 $dump tar "$tmp/bad.img"; tar tf "$tmp/o" >"$tmp/list" 2>/dev/null || fail "archive is not whole"
	! grep -q text "$tmp/list" && grep -q ./zero "$tmp/list" || fail "members: $(cat "$tmp/list")"
	expect 2 $dump cat "$tmp/bad.img" dir/text; [ "$(stat -c %s "$tmp/o")" = 65536 ] || fail "cat gave what does not verify"
	expect 2 $dump cat "$tmp/bad.img" dir/text small; tail -c 6 "$tmp/o" | cmp - "$t/small"
}

# Proves: names that leave the target are refused by the verifier; a cycle of directories ends; two entries of one name, a
# symlink out of the target and a directory, write nothing through the link.
part_crafted() {
	local to c
	mkdir -p "$tmp/ct/outer/ring" "$tmp/ct/dd" "$tmp/outside"; echo evil >"$tmp/ct/dd/evil"; echo f >"$tmp/ct/qz"; ln -s "$tmp/outside" "$tmp/ct/sl"
	"$mk" -q --from "$tmp/ct" "$tmp/ct.img" 16M
	for to in 2e2e 2e2f 712f 7100; do
		cp "$tmp/ct.img" "$tmp/c.img"; "$craft" swap "$tmp/c.img" "02$(hex qz)" "02$to"
		for c in "ls -R" "extract $tmp/cx/in" "tar" "find"; do set -- $c; mkdir -p "$tmp/cx"; cmd=$1; shift; expect 2 $dump $cmd "$tmp/c.img" "$@"; done
		[ "$(find "$tmp/cx" | wc -l)" -le 2 ] || fail "something was extracted from a name $to: $(find "$tmp/cx")"
	done
	cp "$tmp/ct.img" "$tmp/c.img"
	"$craft" swap "$tmp/c.img" "$(le64 "$(ino_of "$tmp/ct.img" outer/ring)")0404$(hex ring)" "$(le64 "$(ino_of "$tmp/ct.img" outer)")0404$(hex ring)"
	for c in "ls -R" "extract $tmp/ring" "tar" "find"; do set -- $c; cmd=$1; shift; expect 2 $dump $cmd "$tmp/c.img" "$@"; says 'outer/ring: directory .* cycle'; done
	cmp "$tmp/ring/dd/evil" "$tmp/ct/dd/evil"
	cp "$tmp/ct.img" "$tmp/c.img"; "$craft" swap "$tmp/c.img" "02$(hex dd)" "02$(hex sl)"
	timeout 20 $dump extract "$tmp/c.img" "$tmp/twice" 2>"$tmp/e" || true
	[ -z "$(ls "$tmp/outside")" ] || fail "written through a symlink"
	cp "$tmp/ct.img" "$tmp/c.img"; "$craft" swap "$tmp/c.img" "$(hex "$tmp/outside")" "$(hex "$tmp" | sed 's/../00/3')$(hex /outside)"
	expect 2 $dump extract "$tmp/c.img" "$tmp/nul"; says 'sl: target'
}

# Proves: 5,000 directories below each other need neither a deep stack nor many open files, and hard links no memory.
part_deep() {
	"$mk" -q "$tmp/deep.img" 64M; "$craft" deep "$tmp/deep.img" 5000
	(ulimit -n 32; [ -n "${SAN:-}" ] || ulimit -s 256; expect 0 $dump extract "$tmp/deep.img" "$tmp/deep"; expect 0 $dump find "$tmp/deep.img" --name bottom)
	[ "$(find "$tmp/deep" -type d | wc -l)" = 5001 ] && [ "$(find "$tmp/deep" -name bottom -size 8000c | wc -l)" = 1 ] || fail "not all there"
	rm -rf "$tmp/deep"
	mkdir "$tmp/links"; (cd "$tmp/links"; mkdir a b; for n in $(seq 3000); do : >a/$n; ln a/$n b/$n; done)
	"$mk" -q --from "$tmp/links" "$tmp/links.img" 64M
	(ulimit -n 32; expect 0 $dump extract "$tmp/links.img" "$tmp/links2")
	diff <(listing "$tmp/links") <(listing "$tmp/links2")
	[ "$(stat -c %i "$tmp/links2/a/77")" = "$(stat -c %i "$tmp/links2/b/77")" ] || fail "not linked"
	rm -rf "$tmp/links" "$tmp/links2"
}

# Proves: without root everything but device nodes comes out; they are named, counted and exit 3.
part_unprivileged() {
	local as=
	[ "$(id -u)" != 0 ] || as="setpriv --reuid=65534 --regid=65534 --clear-groups"
	mkdir "$tmp/user"; chmod 777 "$tmp/user"; chmod 644 "$tmp"/*.img
	expect 3 $as $dump extract "$tmp/log.img" "$tmp/user/out"
	says 'logged/device: device nodes can only be made by root'; says 'objects not or not fully extracted, 1 of them device'
	diff <(listing "$t" | tail -n +2) <(listing "$tmp/user/out" | tail -n +2 | grep -v '^./logged') || fail "differs"
	[ -f "$tmp/user/out/logged/third" ] || fail "a file whose xattr the host refuses is left out"
	[ -p "$tmp/user/out/logged/fifo" ] && [ -S "$tmp/user/out/logged/socket" ] || fail "fifo or socket missing"
	expect 3 $as $dump extract "$tmp/log.img" "$tmp/user/out" # again, over directories without write permission
}

# Proves: a full disk ends extract with exit 3 and no half file. Needs a user namespace for a small tmpfs.
part_full() {
	unshare -rm true 2>/dev/null || { echo "part_full: no user namespaces here, not run"; return; }
	mkdir -p "$tmp/full"
	unshare -rm bash -c 'mount -t tmpfs -o size=300k none "$1" && { "$2" extract "$3" "$1/x" 2>"$4"; echo $? >"$5"; find "$1" -name ".dump*" -o -name text ; }' \
		- "$tmp/full" "$dump" "$tmp/a.img" "$tmp/e" "$tmp/o" >"$tmp/list"
	[ "$(cat "$tmp/o")" = 3 ] || { cat "$tmp/e"; fail "expected exit 3, found $(cat "$tmp/o")"; }
	says 'No space left'; [ ! -s "$tmp/list" ] || fail "left: $(cat "$tmp/list")"
}

parts=${*:-$(declare -F | awk '{print $3}' | grep ^part_ )}
for p in $parts; do now=$p; "$p"; done
echo "dump: all as expected"
