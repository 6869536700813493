#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# mkfs.tfs, case by case; needs no root. Each case says what it proves; `test_mkfs.sh CASE` repeats just one.
set -eEu
export SOURCE_DATE_EPOCH=1700000000 LC_ALL=C
bin=$(realpath "${BIN:-build/bin}") only=${1:-}
mk=$bin/mkfs.tfs dump=$bin/dump.tfs fsck=$bin/fsck.tfs
tmp=$(mktemp -d)
shm=/dev/shm/${tmp##*/}
trap 'chmod -R u+rwX "$tmp" 2>/dev/null; rm -rf "$tmp" "$shm"' EXIT
case_name= proves=
trap 'fail "line $LINENO went wrong"' ERR

fail() {
	echo "FAILED $case_name ($proves): $*; repeat: tests/cli/test_mkfs.sh $case_name"
	[ ! -s err ] || sed 's/^/  /' err
	exit 1
}
expect() { # CODE COMMAND...: exit code, and a message when it is not 0
	local want=$1 got=0; shift
	"$@" >stdout 2>err || got=$?
	[ "$got" = "$want" ] || fail "expected exit $want, found $got: $*"
	[ "$want" = 0 ] || [ -s err ] || fail "no message: $*"
	! grep -q "internal error\|Sanitizer" err || fail "broke down: $*"
}
says() { grep -qF -- "$1" err || fail "the message does not say '$1'"; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ: $3"; }
equal() { [ "$1" = "$2" ] || fail "expected '$2', found '$1': $3"; }
unmountable() { expect 2 $dump ls "$1"; }
absent() { # a new image's name is not taken, and nothing else of it is there either
	[ ! -e "$1" ] && [ ! -L "$1" ] || fail "$1 was left behind"
	none_left
}
none_left() { [ -z "$(find . -name '.*.mkfs.tfs.*')" ] || fail "temporary files were left: $(find . -name '.*.mkfs.tfs.*')"; }
listing() { # everything that a tree's files have, but what belongs to the host's own directories
	(cd "$1" && find . ! -type d -printf '%p %y %m %n %s %T@ %l\n' -o -type d -printf '%p %y %m %T@\n' | sort)
}
same_tree() {
	diff -r --no-dereference "$1" "$2" >err 2>&1 || fail "contents of $1 and $2 differ"
	diff <(listing "$1") <(listing "$2") >err || fail "attributes of $1 and $2 differ"
}
tree() { # a tree with some of everything that a user can make
	local t=$1; mkdir -p "$t/dir/sub" "$t/empty"
	echo small >"$t/small"; seq 1 200000 >"$t/dir/text"; head -c 300001 /dev/zero | openssl enc -rc4 -K 11 2>/dev/null >"$t/dir/random" ||
		seq 7 40007 | tr -d '\n' >"$t/dir/random"
	: >"$t/zero"; ln "$t/small" "$t/dir/hard"; ln "$t/small" "$t/a-hard"; ln -s ../small "$t/dir/sym"; ln -s nowhere "$t/dangling"
	truncate -s 5000000 "$t/sparse"; printf tail | dd of="$t/sparse" bs=1 seek=4000000 conv=notrunc status=none
	truncate -s 70000 "$t/hole"
	printf 'x' >"$t/$(printf 'new\nline\001\377')"; chmod 4751 "$t/dir/text"; chmod 1777 "$t/empty"
	# more than there are buffers, each after others of another length
	for i in $(seq 300); do echo "file $i" >"$t/dir/sub/f$i"; seq $((i * 7919 % 900)) 1700 >"$t/dir/sub/g$i"; done
	touch -d '2001-02-03 04:05:06.123456789' "$t/dir/random" "$t/dir/sub"
	setfattr -n user.a -v b "$t/small" 2>/dev/null || python3 -c "import os,sys; os.setxattr(sys.argv[1],'user.b',b'2'); os.setxattr(sys.argv[1],'user.a',b'1'*3000)" "$t/small" 2>/dev/null || true
}

t_same_image() {
	tree src
	expect 0 $mk -q -f --size auto -j 1 --from src a.img
	expect 0 $mk -q -f --size auto -j 2 --from src b.img; same a.img b.img "1 and 2 threads"
	expect 0 $mk -q -f --size auto -j 13 --from src b.img; same a.img b.img "1 and 13 threads"
	mkdir copy # the same tree made in another order, with its holes filled
	(cd src && find . -mindepth 1 -print0 | sort -zr | tar -c --format=pax --xattrs --no-recursion --null -T - | tar -xp --xattrs -C ../copy)
	cp --sparse=never -p src/sparse copy/sparse; touch -r src/dir copy/dir; touch -r src copy
	expect 0 $mk -q -f --size auto --from copy b.img; same a.img b.img "a copy in another order of creation"
	expect 0 $mk -q -f --size auto --from src b.img; same a.img b.img "once more, over an old image"
	if [ -w /dev/shm ]; then # a tmpfs lists the newest first, others by a hash of the name
		rm -rf "$shm"; mkdir -p "$shm/a" "$shm/b"
		for i in $(seq 40); do echo $i >"$shm/a/f$i"; echo $((41 - i)) >"$shm/b/f$((41 - i))"; done
		touch -d @1600000000 "$shm"/[ab] "$shm"/[ab]/*
		expect 0 $mk -q -f --size auto --from "$shm/a" a.img
		expect 0 $mk -q -f --size auto --from "$shm/b" b.img; same a.img b.img "directories that list in another order"
		rm -rf "$shm"
	fi
	for c in none zlib:9; do
		expect 0 $mk -q -f --size auto -j 1 --compress $c --from src a.img
		expect 0 $mk -q -f --size auto -j 5 --compress $c --from src b.img; same a.img b.img "$c with 1 and 5 threads"
	done
	for n in 256K 1M 4M; do # a segment size of one's own with a size of its own
		expect 0 $mk -q -f --size auto --segment-size $n --from src a.img; expect 0 $dump ls a.img
	done
}
t_tree() {
	tree src
	for c in none lz4 zlib:1; do
		rm -rf out a.img; expect 0 $mk --compress $c --from src a.img
		expect 0 $dump extract a.img out; same_tree src out
	done
	[ "$(du -k out/sparse | cut -f1)" -lt 200 ] || fail "holes were filled"
}
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" stdout; }
t_twins() {
	local one c
	mkdir src one; seq 1 40000 >src/a; cp -p src/a one/
	cp -p src/a src/b; { head -c 65536 src/a; seq 9 9000; } >src/c; { cat src/a; echo more; } >src/longer
	head -c 57344 src/a >src/front; { head -c 8192 /dev/zero; cat src/front; } >src/behind-zeros # the same stored bytes
	for c in lz4 zlib:1; do
		rm -rf out; expect 0 $mk --json -f --compress $c --from one a.img 32M; one=$(number bytes_used)
		equal "$(number bytes_shared)" 0 "nothing to share"
		expect 0 $mk --json -f --compress $c --from src a.img 32M
		[ "$(number bytes_used)" -lt $((one * 2)) ] || fail "nothing is shared: $(cat stdout), one file $one"
		expect 0 "$bin/fsck.tfs" -fn --data a.img; expect 0 $dump extract a.img out; same_tree src out
	done
	# an archive that replaces what others share
	(cd src && tar -cf ../t.tar a b && printf 'gone\n' >../a && tar -rf ../t.tar -C .. a && tar -rf ../t.tar longer)
	rm -rf out; expect 0 $mk -f -q --tar t.tar a.img 32M; expect 0 "$bin/fsck.tfs" -fn --data a.img
	expect 0 $dump extract a.img out; same a out/a "replaced"; same src/b out/b "shared with what was replaced"
	same src/longer out/longer "shares after a replacement"
}
t_tar() {
	local f
	tree src; mkfifo src/pipe
	mkdir -p "src/$(printf 'l%.0s' $(seq 120))/$(printf 'm%.0s' $(seq 120))"; echo deep >"src/$(printf 'l%.0s' $(seq 120))/$(printf 'm%.0s' $(seq 120))/n"
	rm "src/$(printf 'new\nline\001\377')" # tar -t and the like have trouble, not mkfs: tested by hand below
	echo x >"src/$(printf 'e\314\201 bad\377')"
	for f in gnu pax; do
		tar -S --format=$f --xattrs -cf t.$f -C src .
		rm -rf out a.img; expect 0 $mk -q --tar t.$f a.img
		expect 0 $dump extract a.img out; rm -f src/pipe out/pipe; mkfifo src/pipe out/pipe
		touch -r src out; touch -r src/pipe out/pipe
		diff -r --no-dereference -x pipe src out || fail "$f: contents differ"
		[ $f = gnu ] || diff <(listing src | grep -v pipe) <(listing out | grep -v pipe) || fail "$f: attributes differ"
	done
	gzip -c t.pax | $mk -q --tar - b.img || fail "from standard input"
	same a.img b.img "a file, and compressed through a pipe"
	head -c 100000 t.pax >short; expect 2 $mk -q --tar short c.img; absent c.img
	expect 2 $mk --tar src/dir/text c.img -f
	expect 2 $mk --tar none.tar c.img -f
}
py() { python3 - "$@" <<'P'
import io, sys, tarfile
def add(t, name, data=None, **kw):
    i = tarfile.TarInfo(name)
    for k, v in kw.items(): setattr(i, k, v)
    if data is not None: i.size = len(data)
    t.addfile(i, io.BytesIO(data) if data is not None else None)
D, S, L = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
A = {
 'dotdot': [('a/../../x', b'1', {})], 'dots': [('..', None, dict(type=D))],
 'through': [('l', None, dict(type=S, linkname='/etc')), ('l/x', b'1', {})],
 'through2': [('d', None, dict(type=D)), ('d/l', None, dict(type=S, linkname='.')), ('d/l/m/x', b'1', {})],
 'file': [('f', b'1', {}), ('f/x', b'1', {})],
 'hard': [('h', None, dict(type=L, linkname='none'))], 'hardout': [('h', None, dict(type=L, linkname='../etc/passwd'))],
 'hardlate': [('h', None, dict(type=L, linkname='f')), ('f', b'1', {})],
 'hardthrough': [('l', None, dict(type=S, linkname='/')), ('h', None, dict(type=L, linkname='l/x'))],
 'nonempty': [('d/x', b'1', {}), ('d', b'2', {})], 'long': [('n' * 300, b'1', {})],
 'rootfile': [('.', b'1', {})],
 'good': [('/abs/f', b'one', dict(mtime=5)), ('.//abs/./g', b'g', {}), ('rep', b'first', {}), ('rep', b'second', {}),
          ('d', None, dict(type=D, mode=0o700, mtime=7)), ('d/x', b'x' * 100000, {}), ('d', None, dict(type=D, mode=0o711, mtime=9)),
          ('e', None, dict(type=D)), ('e', b'now a file', {}), ('s', None, dict(type=S, linkname='/etc')), ('s', b'now a file', {}),
          ('h1', b'hard', {}), ('h2', None, dict(type=L, linkname='./h1')), ('h1', b'new', {}), ('h2', None, dict(type=L, linkname='/h2')),
          ('k', None, dict(type=S, linkname='../../out'))],
}
with tarfile.open('t.tar', 'w') as t:
    for n, d, kw in A[sys.argv[1]]: add(t, n, d, **kw)
P
}
t_tar_hostile() {
	local c
	for c in dotdot:root dots:root through:symbolic through2:symbolic file:"not a directory" hard:"hard link" hardout:root \
		hardlate:"hard link" hardthrough:symbolic nonempty:"not empty" long:255 rootfile:root; do
		py "${c%%:*}"; rm -f a.img
		expect 2 $mk -q --tar t.tar a.img; says "${c#*:}"; absent a.img
	done
}
t_tar_compressed() {
	local c
	tree src; tar --format=pax -cf t.tar -C src .; expect 0 $mk -q --tar t.tar a.img
	for c in gzip bzip2 xz zstd lz4; do
		command -v $c >/dev/null || { echo "  not run here: $c (not installed)"; continue; }
		$c -c <t.tar >t.z; rm -f b.img; expect 0 $mk -q --tar t.z b.img; same a.img b.img $c
		rm b.img; (head -c 3 t.z; sleep 0.1; tail -c +4 t.z) | $mk -q --tar - b.img; same a.img b.img "$c through a pipe in pieces"
		head -c 20000 t.z >short; rm b.img; expect 2 $mk -q --tar short b.img; absent b.img
	done
	{ head -c 100000 t.tar | xz -c; tail -c +100001 t.tar | xz -c; } >t.z; expect 0 $mk -q --tar t.z b.img; same a.img b.img "two xz streams"
	printf 'neither a stream nor padding' >>t.z; rm b.img; expect 2 $mk -q --tar t.z b.img; says "xz: damaged"
}
hungry() { # KIND: an archive of a few kilobytes that asks for much memory
	python3 - "$1" <<-'P'
	import io, lzma, struct, sys, tarfile, zlib
	def make(body, pax):
	    i = tarfile.TarInfo('f'); i.size = len(body); i.pax_headers = pax
	    return i.tobuf(tarfile.PAX_FORMAT) + body + bytes(-len(body) % 512) + bytes(1024)
	if sys.argv[1] == 'xz': # a dictionary of 1.5 GiB
	    x = bytearray(lzma.compress(make(bytes(5000000), {})))
	    n = (x[12] + 1) * 4; at = x.index(b'\x21\x01', 12) + 2; x[at] = 35
	    x[12 + n - 4:12 + n] = struct.pack('<I', zlib.crc32(x[12:12 + n - 4]))
	    sys.stdout.buffer.write(x)
	else: # twenty million holes
	    body = b'20000000\n' + b''.join(b'%d\n0\n' % (k % 10) for k in range(10)) * 2000000
	    sys.stdout.buffer.write(zlib.compress(make(body + bytes(-len(body) % 512),
	        {'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'f', 'GNU.sparse.realsize': '100'}), 1, 31))
	P
}
t_tar_memory() {
	local c
	for c in xz:"at most 128 MiB of memory" holes:"header of at most 8 MiB"; do
		hungry "${c%%:*}" >t.z
		expect 2 /usr/bin/time -f %M -o kb $mk -q --tar t.z a.img; says "${c#*:}"; absent a.img
		[ "$(tail -1 kb)" -le 131072 ] || fail "${c%%:*}: expected at most 128 MB of memory, found $(tail -1 kb) KB"
	done
}
t_tar_rules() {
	py good; expect 0 $mk -q --tar t.tar a.img
	expect 0 $dump extract a.img out
	equal "$(cat out/abs/f out/abs/g)" oneg "leading / and ./ stripped"
	equal "$(cat out/rep out/e out/s)" "secondnow a filenow a file" "the last of repeated entries"
	equal "$(cat out/h1 out/h2)" "newhard" "a hard link keeps what it linked to"
	equal "$(stat -c '%a %Y' out/d)" "711 9" "a directory's last attributes"
	equal "$(stat -c '%a' out/abs)" 755 "a missing parent"
	equal "$(readlink out/k)" ../../out "a symlink is only a text"
}
t_manifest() {
	tree src; cp src/dir/text content
	cat >m <<-'M'
	# comment
	/ mode=0700 mtime=11
	small uid=12 gid=13 mode=0600 mtime=1.5 xattr.user.k=00ff
	dir/text content=content
	zero type=dir
	zero/in type=file content=content mode=0640
	add\040sp\x41ce type=file
	new/dirs/node type=file
	p type=fifo
	so type=sock
	l type=link target=a\040b
	dangling target=elsewhere
	dir/sub/f1 type=link target=f2
	M
	expect 0 $mk -q --from src --manifest m a.img
	expect 0 $dump ls a.img
	rm -rf x; expect 0 $dump extract a.img x
	cmp -s x/dir/text content && cmp -s x/zero/in content || fail "content= is not there"
	equal "$(readlink x/l) $(readlink x/dangling) $(readlink x/dir/sub/f1)" "a b elsewhere f2" "targets"
	equal "$(stat -c '%a %Y' x)" "700 11" "the root"
	equal "$(stat -c '%a %Y' x/small)" "600 1" "attributes"
	[ -f "x/add spAce" ] && [ -d x/new/dirs ] || fail "added nodes are not there"
	tar -cf t.tar -C src .; expect 0 $mk -q --tar t.tar --manifest m b.img
	printf 'dev/c type=char device=5:1 mode=0666\ndev/b type=block device=8:17\n' >m2
	expect 0 $mk -q --manifest m2 c.img; expect 0 $dump stat c.img dev/b; grep -q "0644 brw-r--r--" stdout || fail "a device: $(cat stdout)"
	if [ "$(id -u)" = 0 ] && mknod probe c 1 3 2>/dev/null; then
		expect 0 $dump extract c.img dev; equal "$(stat -c %t:%T dev/dev/b) $(stat -c %a:%t:%T dev/dev/c)" "8:11 666:5:1" "devices"
	fi
	rm c.img
	expect 2 $mk -q --manifest /dev/null c.img
	local line n=0
	while IFS= read -r line; do
		n=$((n + 1)); printf '# one\n\n%s\n' "$line" >bad; rm -f c.img
		expect 2 $mk -q --from src --manifest bad c.img; says "bad:3"
		absent c.img
	done <<-'M'
	f type=nothing
	f mode=9
	f mode=
	f uid=x
	f novalue
	f color=red
	f type=file mode=1 mode=2
	f type=link
	f type=char
	f type=char device=1
	f type=dir target=x
	f type=dir content=m
	../f type=file
	f\9 type=file
	f\000 type=file
	f mtime=never
	f type=file xattr.user.a=0
	f type=file xattr.user.a=zz
	f type=file xattr.system.posix_acl_access=02000000
	nothere mode=600
	small/x type=file
	dir/sym/x type=file
	dir type=file
	f type=file content=none
	/ type=file
	small target=x
	M
}
t_malformed_acl() {
	python3 - t.tar <<-'P'
	import sys, tarfile
	with tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT) as t:
	    i = tarfile.TarInfo('odd'); i.pax_headers = {'SCHILY.xattr.system.posix_acl_access': '\x01\0\0\0'}; t.addfile(i)
	P
	expect 2 $mk -q --tar t.tar a.img; says "odd"; says "version is not 2"; absent a.img
}
t_dry_run() {
	tree src; mkdir scratch
	TMPDIR=scratch expect 0 $mk --dry-run --json --from src no.img; cp stdout j
	[ ! -e no.img ] || fail "it made the image"
	[ -z "$(ls -A scratch)" ] || fail "it left its temporary file"
	local need; need=$(python3 -c "import json;d=json.load(open('j'));assert d['dry_run'];print(d['size_needed'])")
	expect 0 $mk -q --from src a.img $need
	expect 0 $mk --dry-run --from src
	grep -q "needs at least $need bytes" stdout || fail "the size needed is not printed"
	cp a.img b.img; expect 0 $mk --dry-run --from src b.img; same a.img b.img "a dry run over an image"
}
t_json() {
	mkdir src; echo x >src/f; mkdir src/d
	expect 0 $mk --json -L 'my "label"' -U 01234567-89ab-cdef-0123-456789abcdef --from src a.img 32M
	python3 - <<-'P' || fail "JSON: $(cat stdout)"
	import json
	t = open('stdout').read(); assert t.count('\n') == 1; d = json.loads(t)
	assert d['image'] == 'a.img' and d['label'] == 'my "label"' and d['uuid'] == '01234567-89ab-cdef-0123-456789abcdef'
	assert d['files'] == 2 and d['size'] == 32 << 20 and d['segment_size'] == 256 << 10 and 0 < d['bytes_used'] < 1 << 20
	P
}
t_changing() {
	mkdir src; head -c 150000000 /dev/zero | tr '\0' 'a' >src/big
	local how
	for how in 'echo x >>src/big' 'truncate -s 149000000 src/big' 'touch src/big'; do
		head -c 150000000 /dev/zero | tr '\0' 'a' >src/big
		(sleep 0.03; while [ -e go ]; do eval "$how"; sleep 0.002; done) & : >go
		local got=0; $mk -f -q --compress zlib:9 --from src a.img >stdout 2>err || got=$?
		rm -f go; wait
		equal "$got" 2 "exit code when: $how"; says src/big; says "while it was read"; absent a.img
	done
	mkdir many; for i in $(seq 3000); do echo $i >many/$i; done
	(while [ -e go ]; do date >many/2999; done) & : >go
	local got=0; $mk -f -q --from many a.img >stdout 2>err || got=$?
	rm -f go; wait
	[ $got = 0 ] || { equal "$got" 2 "a small file that changes"; says many/2999; }
	expect 1 $mk -f -q --from src src/image.img; says "itself"
}
t_source_errors() {
	expect 2 $mk --from none a.img; says none
	mkdir src; echo x >src/secret; chmod 0 src/secret
	if [ "$(id -u)" != 0 ]; then expect 2 $mk --from src a.img; says src/secret; fi
	expect 2 $mk --from src/secret a.img
	expect 1 $mk --from src --tar x a.img; expect 1 $mk; expect 1 $mk a.img 1M; expect 1 $mk a.img 1Q
	expect 1 $mk --compress lzma a.img 64M; expect 1 $mk --compress zlib:13 a.img 64M; expect 1 $mk --compress zlib:0 a.img 64M; expect 1 $mk -j 0 a.img 64M; expect 1 $mk -U xyz a.img 64M
	expect 1 $mk --size 64M a.img 64M; expect 1 $mk --segment-size 3M a.img 64M; expect 1 $mk --frob a.img
	expect 1 $mk -L "$(printf 'l%.0s' $(seq 64))" a.img 64M
	expect 3 $mk no.img; says "give a size"
	expect 3 $mk /nowhere/no.img 64M; says "its directory"
	expect 3 $mk /dev/null 64M; mkdir d; expect 3 $mk d 64M
	expect 0 $mk -V; grep -q mkfs.tfs stdout || fail "-V"
	expect 0 $mk --help; grep -q 'exit: 0' stdout || fail "--help"
}
t_overwrite() {
	truncate -s 64M a.img; mke2fs -q -F a.img
	expect 3 $mk a.img; says ext; cmp -s -n 2000 a.img /dev/zero && fail "it was changed all the same"
	expect 0 $mk -q -f a.img
	expect 0 $dump ls a.img
	blkid -p a.img >stdout 2>&1 && fail "the old signature is still there: $(cat stdout)"
	expect 3 $mk a.img; says TFS
	dd if=/dev/zero of=a.img bs=4096 seek=1 count=1 conv=notrunc status=none
	expect 3 $mk a.img; says TFS # by its second superblock
	truncate -s 64M b.img # a partition table, and a swap area
	printf '\0\1\1\0\203\1\1\1\0\10\0\0\0\120\0\0' | dd of=b.img bs=1 seek=446 conv=notrunc status=none
	printf '\125\252' | dd of=b.img bs=1 seek=510 conv=notrunc status=none
	expect 3 $mk b.img; says dos
	truncate -s 64M c.img; printf SWAPSPACE2 | dd of=c.img bs=1 seek=4086 conv=notrunc status=none
	printf '\1\0\0\0\377\77' | dd of=c.img bs=1 seek=1024 conv=notrunc status=none
	expect 3 $mk c.img; says swap
	truncate -s 64M e.img; expect 0 $mk -q e.img; expect 0 $dump ls e.img
	(flock 9; expect 3 $mk -f -q a.img) 9<a.img; says "another tool"
}
t_full() {
	mkdir src; head -c 30000000 /dev/urandom >src/large
	expect 4 $mk -q --from src a.img 16M; says "larger size"; absent a.img
	expect 0 $mk -q -f --size auto --from src a.img; expect 4 $mk -q -f --from src a.img 20M; unmountable a.img # an old volume does not stay
	(ulimit -f 20000; expect 3 $mk -q --from src b.img 64M); absent b.img
	cat >disk.sh <<-'S'
	mount -t tmpfs -o size=20m none d && { "$1" -q --from src d/i.img 64M; echo $? >code; ls -A d | wc -l >>code; }
	S
	mkdir d
	if unshare -rm bash disk.sh "$mk" "$dump" 2>err && [ -s code ]; then
		equal "$(tr '\n' ' ' <code)" "3 0 " "a full disk under the image"; says "disk that holds the image is full"
	else
		echo "  not run here: a full disk under the image (no user namespaces)"
	fi
}
t_interrupted() {
	mkdir src; for i in 1 2 3; do seq $i 3000000 >src/$i; done
	expect 0 $mk -q --from src a.img 256M; expect 0 $dump ls a.img
	local bytes pid
	for bytes in 300000 1000000 3000000; do # what it wiped first is less
		cp a.img b.img; $mk -q -f --compress zlib:9 -j 1 --from src b.img & pid=$!
		written $pid $bytes; kill -9 $pid
		! wait $pid 2>/dev/null || fail "the run was over before it could be interrupted"
		unmountable b.img
	done
}
written() { # PID BYTES: waits until the process has written so much
	until grep -q . "/proc/$1/io" && [ "$(awk '/^wchar/ {print $2}' "/proc/$1/io")" -gt "$2" ]; do
		kill -0 "$1" 2>/dev/null || fail "over before it could be interrupted"
		sleep 0.01
	done
}
big() { [ -e "$1" ] || { mkdir "$1"; for i in 1 2 3; do seq $i 3000000 >"$1/$i"; done; }; }
cut_off() { # SIGNAL IMAGE: mkfs of a new image, interrupted while it writes
	local pid got=0
	env --default-signal=INT $mk -q --compress zlib:9 -j 1 --from big "$2" 64M 2>err & pid=$! # a background job ignores it
	written $pid 300000
	kill "-$1" $pid; wait $pid 2>/dev/null || got=$?
	equal $got $((128 + $1)) "exit code after signal $1"
}
t_new_file() {
	local s
	big big
	for s in 1 2 9 15; do cut_off $s new.img; absent new.img; done
	expect 0 $mk -q --from big new.img 64M; expect 0 $dump ls new.img; none_left
	equal "$(stat -c %a new.img)" "$(printf %o $((0666 & ~$(umask))))" "permissions of a new image"
	equal "$(stat -c %s new.img)" $((64 << 20)) "size of a new image"
	ln -s nothing l.img; expect 3 $mk l.img 64M; says "symbolic link"; [ ! -e nothing ] || fail "it was made"
	ln -s new.img k.img; expect 0 $mk -q -f k.img; [ -L k.img ] || fail "a symbolic link to an image was replaced"
	# the name is taken meanwhile: what took it stays
	mkfifo pipe; $mk -q --tar pipe late.img 64M 2>err & local pid=$! got=0
	exec 8>pipe
	for _ in $(seq 300); do ls -l /proc/$pid/fd | grep -q '(deleted)' && break; sleep 0.1; done # it has looked, and writes
	echo mine >late.img; tar -c big/1 >&8; exec 8>&-
	wait $pid || got=$?
	equal $got 3 "exit code when the name is taken meanwhile"; says "appeared"; equal "$(cat late.img)" mine "what took the name"
	mkdir in; expect 1 $mk -q --from . in/a.img 64M; says "source itself"; absent in/a.img
}
t_new_file_named() { # without /proc a file without a name cannot get one: as on a filesystem without O_TMPFILE
	local s
	big big
	cat >hidden.sh <<-'S'
	mount -t tmpfs none /proc || exit 77
	mk=$1 image=$2 signal=$3
	env --default-signal=INT $mk -q --compress zlib:9 -j 1 --from big $image 64M 2>err & pid=$!
	n=0
	if [ $signal != 0 ]; then
		until [ -n "$(find . -name ".$image.mkfs.tfs.*" -size +300k)" ]; do n=$((n + 1)); [ $n -lt 5000 ] || exit 76; done
		[ ! -e $image ] || exit 75
		kill -$signal $pid
	fi
	wait $pid
	S
	hidden() { local got=0; unshare -rm bash hidden.sh "$mk" "$@" 2>>err || got=$?; [ $got = "$want" ] || fail "expected $want, found $got: signal $2"; }
	if ! unshare -rm mount -t tmpfs none /proc 2>/dev/null; then echo "  not run here (no user namespaces)"; return; fi
	for s in 1 2 15; do want=$((128 + s)) hidden a.img $s; absent a.img; done
	want=137 hidden a.img 9; [ ! -e a.img ] || fail "half of it has its final name"
	equal "$(find . -name '.a.img.mkfs.tfs.*' | wc -l)" 1 "temporary files after kill -9"
	want=0 hidden a.img 0; expect 0 $dump ls a.img
	equal "$(find . -name '.a.img.mkfs.tfs.*' | wc -l)" 1 "temporary files after a run that went well"
	s=$(printf 'n%.0s' $(seq 255)); want=0 hidden "$s" 0; expect 0 $dump ls "$s"
}
t_old_file() {
	big big; mkdir small; echo x >small/f
	truncate -s 64M a.img; chmod 640 a.img; ln a.img b.img; local ino; ino=$(stat -c %i a.img)
	expect 0 $mk -q --from small a.img
	equal "$(stat -c '%i %a %h %s' a.img)" "$ino 640 2 $((64 << 20))" "an empty file that was there is filled in place"
	expect 0 $mk -q -f --from small a.img 32M
	equal "$(stat -c '%i %a %s' a.img)" "$ino 640 $((32 << 20))" "an old image gets the size that is given"
	expect 4 $mk -q -f --from big a.img 16M; unmountable a.img
	equal "$(stat -c '%i %s' a.img)" "$ino $((32 << 20))" "an image file after a run that failed"
	: >e.img; expect 4 $mk -q --from big e.img 16M; equal "$(stat -c %s e.img)" 0 "an empty file after a run that failed"
	expect 0 $mk -q -f --size auto --from small a.img
	local size; size=$(stat -c %s a.img); head -c 1000 /dev/urandom >bad.tar
	expect 2 $mk -q -f --size auto --tar bad.tar a.img; unmountable a.img
	equal "$(stat -c '%i %s' a.img)" "$ino $size" "an image file after a run with auto that failed"
}
stream() { # MIB: a tar archive with two files of so many MiB that no codec makes smaller
	python3 - "$1" <<-'P'
	import random, sys, tarfile
	random.seed(1); block = random.randbytes(1 << 20); w = sys.stdout.buffer.write
	for name in 'ab':
	    i = tarfile.TarInfo(name); i.size = int(sys.argv[1]) << 20; w(i.tobuf())
	    for n in range(int(sys.argv[1])): w(block)
	w(bytes(1024))
	P
}
t_auto() {
	stream 600 >s.tar; expect 0 $mk -q --segment-size 256K --tar s.tar a.img # begins with 768 MiB
	expect 0 $fsck -fn a.img
	tar -xf s.tar a; $dump cat a.img b >b; cmp a b || fail "content differs"
	[ "$(stat -c %s a.img)" -lt $((1600 << 20)) ] || fail "the end was not cut off"
	if ! (ulimit -f 1100000; expect 3 $mk -q --segment-size 256K --tar s.tar b.img; says "so large"); then exit 1; fi
	absent b.img; rm s.tar a b a.img
	mkdir src; truncate -s 1T src/hole; printf tail | dd of=src/hole bs=1 seek=$((900 << 30)) conv=notrunc status=none
	expect 0 $mk -q --from src a.img; expect 0 $fsck -fn a.img
	[ "$(stat -c %s a.img)" -lt $((32 << 20)) ] || fail "a sparse file of 1 TiB took $(stat -c %s a.img) bytes"
	expect 0 $dump extract a.img out; cmp -i $((900 << 30)) src/hole out/hole -n 10 && cmp -n 4096 src/hole out/hole || fail "the sparse file differs"
	equal "$(stat -c %s out/hole)" $((1 << 40)) "its size"
}
t_memory() {
	mkdir src; truncate -s 3G src/hole; head -c 400000000 /dev/zero | tr '\0' 'b' >src/big
	/usr/bin/time -f %M -o kb $mk -q --from src a.img || fail "3.4 GB"
	[ "$(tail -1 kb)" -le 131072 ] || fail "400 MB of data took $(tail -1 kb) KB of memory, expected at most 128 MB"
	rm -rf src a.img; mkdir src
	python3 -c "
import os
for i in range(200000):
	fd = os.open('src/%06d' % i, os.O_CREAT | os.O_WRONLY); os.write(fd, b'%02d' % (i % 100)); os.close(fd)"
	/usr/bin/time -f %M -o kb $mk -q --from src a.img || fail "200,000 files"
	[ "$(tail -1 kb)" -le 262144 ] || fail "200,000 files took $(tail -1 kb) KB of memory, expected at most 256 MB"
	equal "$($dump ls a.img | wc -l)" 200000 "files in the volume"
}

run() { # CASE WHAT-IT-PROVES
	case_name=$1 proves=$2
	[ -z "$only" ] || [ "$only" = "$1" ] || return 0
	case $bin:$1 in *-san:*memory | *-san:new_file_named) return 0 ;; esac # its own memory counts too, and it wants /proc
	echo "mkfs $1: $2"
	mkdir "$tmp/$1"
	cd "$tmp/$1"
	"t_$1"
	cd "$tmp"
	chmod -R u+rwX "$1"; rm -rf "${tmp:?}/$1"
}
run same_image "the same content gives the same bytes: any number of threads, order of creation, holes or zeros"
run tree "a tree goes in and comes out the same, with every codec"
run twins "content that is there already is shared, and each file is its own"
run tar "GNU and pax archives: xattrs, sparse files, hard links, long names, nanoseconds; cut off ones are errors"
run tar_compressed "each compression gives the same image; a cut or damaged one is an error"
run tar_memory "an archive that asks for gigabytes of memory is refused"
run tar_rules "names stripped, parents made, the last of repeated entries wins"
run tar_hostile "nothing in an archive leads out of the root or through its own symlinks"
run malformed_acl "an ACL that is none is refused, with the name of what has it"
run manifest "a manifest overrides and adds; each kind of mistake names its line"
run dry_run "a dry run touches nothing and names a size that is enough"
run json "one line of JSON"
run changing "a source that changes while it is read is an error that names it"
run source_errors "bad options, sources and targets have their exit codes"
run overwrite "what libblkid knows is refused, and with -f wiped"
run full "a full volume and a full disk are told apart, and leave nothing mountable"
run interrupted "an interrupted run leaves neither the old volume nor half a new one"
run new_file "a new image has no name until it is whole: errors, signals and kill -9 leave nothing"
run new_file_named "the same where files without a name cannot be had"
run old_file "a file that was there is written in place; its size changes only when one is given"
run auto "auto begins small and grows with the content; sparse files of any size take what is in them"
run memory "memory is bounded: 128 MB whatever the files' sizes, 256 MB for 200,000 files"
echo "mkfs: all as expected"
