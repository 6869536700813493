#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# make install puts these files there and no others; what is installed runs; mkfs(8) and fsck(8) find it in PATH and hand its
# exit codes on. Needs no root: into a folder of its own.
set -eu
export LC_ALL=C SOURCE_DATE_EPOCH=1700000000
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAILED: $*; repeat: tests/cli/test_install.sh"; exit 1; }
expect() { # CODE COMMAND...
	local want=$1 got=0; shift
	"$@" >"$tmp/o" 2>"$tmp/e" || got=$?
	[ "$got" = "$want" ] || { cat "$tmp/o" "$tmp/e"; fail "expected exit $want, found $got: $*"; }
}

# MAKEFLAGS: of the make that runs this
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory install "DESTDIR=$tmp/root" PREFIX=/usr >"$tmp/o" 2>&1 || { cat "$tmp/o"; fail "make install"; }
cat >"$tmp/want" <<'L'
755 ./usr/bin/tfs-backup
755 ./usr/bin/tfs-fuse
755 ./usr/bin/tfs-logship
755 ./usr/sbin/dump.tfs
755 ./usr/sbin/fsck.tfs
755 ./usr/sbin/mkfs.tfs
755 ./usr/sbin/tfs
644 ./usr/lib/systemd/system/tfs-backup.service
644 ./usr/lib/systemd/system/tfs-backup@.service
644 ./usr/lib/systemd/system/tfs-backup@.timer
644 ./usr/lib/systemd/system/tfs-logship@.service
644 ./usr/lib/systemd/system/tfs-snapshot@.service
644 ./usr/lib/systemd/system/tfs-snapshot@.timer
644 ./usr/lib/systemd/system/tfs-tls-agent@.service
644 ./usr/share/man/man1/tfs-backup.1
644 ./usr/share/man/man1/tfs-fuse.1
644 ./usr/share/man/man1/tfs-logship.1
644 ./usr/share/man/man5/tfs-backup.conf.5
644 ./usr/share/man/man5/tfs.5
644 ./usr/share/man/man8/dump.tfs.8
644 ./usr/share/man/man8/fsck.tfs.8
644 ./usr/share/man/man8/mkfs.tfs.8
644 ./usr/share/man/man8/tfs.8
L
(cd "$tmp/root" && find . ! -type d -printf '%m %p\n' | sort -k2) >"$tmp/found"
LC_ALL=C sort -k2 -o "$tmp/want" "$tmp/want"; diff "$tmp/want" "$tmp/found" || fail "make install: expected (<) and found (>) differ"
for m in "$tmp"/root/usr/share/man/*/*; do
	grep -q '^\.SH EXAMPLES' "$m" || fail "${m##*/} lacks EXAMPLES"
	case $m in *.[18]) grep -q '^\.SH "\?EXIT STATUS' "$m" || fail "${m##*/} lacks EXIT STATUS" ;; esac
	! grep -q '@[A-Z]*@' "$m" || fail "${m##*/} holds a place that was not filled"
	! command -v man >/dev/null || [ -z "$(man -l --warnings "$m" 2>&1 >/dev/null)" ] || fail "${m##*/}: $(man -l --warnings "$m" 2>&1 >/dev/null)"
done

export PATH="$tmp/root/usr/sbin:$tmp/root/usr/bin:$PATH" # not last: mkfs(8) spoils the last folder of PATH
cd "$tmp"
grep -q '^ExecStart=/usr/sbin/tfs snapshot auto %f' "$tmp/root/usr/lib/systemd/system/tfs-snapshot@.service" &&
	grep -q '^ExecStart=/usr/sbin/tfs ship tls-agent %f' "$tmp/root/usr/lib/systemd/system/tfs-tls-agent@.service" || fail "the unit does not call what is installed"
grep -q '^ExecStart=/usr/bin/tfs-backup daemon' "$tmp/root/usr/lib/systemd/system/tfs-backup.service" || fail "the daemon's unit does not call what is installed"
grep -q '^ExecStart=/usr/bin/tfs-logship run %f' "$tmp/root/usr/lib/systemd/system/tfs-logship@.service" || fail "the forwarder's unit does not call what is installed"
for t in mkfs.tfs fsck.tfs dump.tfs tfs tfs-fuse tfs-backup tfs-logship; do
	[ "$(command -v $t)" = "$(echo "$tmp"/root/usr/*bin/$t)" ] || fail "$t is not the installed one"
	expect 0 $t --help; grep -q "^usage: $t" o || fail "$t --help"
done
mkdir src; echo hello >src/file
expect 0 mkfs.tfs -q --from src a.img; expect 0 fsck.tfs -fn a.img; expect 0 dump.tfs cat a.img file; grep -q hello o || fail "content"

if ! command -v mkfs >/dev/null || ! command -v fsck >/dev/null; then echo "install: as expected; SKIPPED: mkfs(8) and fsck(8) are not here"; exit 0; fi
for t in mkfs fsck; do
	for d in /sbin /sbin/fs.d /sbin/fs; do # where they look before PATH
		[ ! -e "$d/$t.tfs" ] || { echo "SKIPPED: $d/$t.tfs is installed here and would be taken"; exit 77; }
	done
done
truncate -s 32M b.img
expect 0 mkfs -t tfs b.img; expect 0 dump.tfs ls b.img
expect 3 mkfs -t tfs b.img; grep -q 'holds data already' e || fail "mkfs -t tfs: message"
expect 0 mkfs -t tfs -f -q -L label b.img; [ ! -s o ] || fail "mkfs -t tfs does not hand -q on"
expect 0 dump.tfs super b.img; grep -q 'label  *label' o || { cat o; fail "mkfs -t tfs does not hand -L on"; }
expect 1 mkfs -t tfs c.img 1M
# a name without / is an option to fsck(8)
expect 0 fsck -t tfs -n "$PWD/b.img"; expect 0 fsck -t tfs -n -f "$PWD/b.img"; grep -q sound o || fail "fsck -t tfs does not hand -f on"
expect 0 fsck.tfs -fn b.img
# the first superblock lost : -n leaves it (4), -p mends it (1), then it is sound (0)
dd if=/dev/zero of=b.img bs=4096 seek=1 count=1 conv=notrunc status=none
expect 4 fsck -t tfs -n -f "$PWD/b.img"
expect 1 fsck -t tfs -p "$PWD/b.img"
expect 0 fsck -t tfs -n -f "$PWD/b.img"
head -c 20000000 /dev/zero >none.img
expect 8 fsck -t tfs -n "$PWD/none.img"
expect 16 fsck -t tfs "$PWD/b.img" --frob
echo "install: as expected"
