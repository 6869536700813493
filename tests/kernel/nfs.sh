#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The kernel's NFS server exports the volume (nfs-kernel-server's daemons, in the guest), and the same kernel mounts it as version 3 and
# as 4.2: files made, renamed, linked, read back; names of many; handles of what was removed on the server are stale; the server and
# the volume under it restart, and clients go on with what they hold open; what NFS acknowledged is there after the volume stopped as
# by a crash, directory entries too, that nobody synced. usage: nfs.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
for p in rpcbind rpc.nfsd rpc.mountd exportfs mount.nfs; do
	command -v $p >/dev/null || skip "$p is missing: as root, apt-get install --no-install-recommends nfs-kernel-server"
done
for p in right kfeat; do compiled $p tests/kernel/$p.c; done
for k in "${KERNELS[@]}"; do
	job <<'J'
fail() { echo "FAILED: $*"; cat /tmp/daemons; dmesg | tail; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
mkdir -p /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs /run/rpcbind /n /m
: >/var/lib/nfs/etab; : >/var/lib/nfs/rmtab; echo '127.0.0.1 localhost' >/etc/hosts; echo '/mnt 127.0.0.1(rw,no_root_squash,no_subtree_check,insecure)' >/etc/exports
echo 'passwd: files' >/etc/nsswitch.conf
mount -t nfsd nfsd /proc/fs/nfsd || fail nfsd; mount -t rpc_pipefs p /var/lib/nfs/rpc_pipefs
printf '_rpc:x:107:65534::/run/rpcbind:/bin/false\nnobody:x:65534:65534::/:/bin/false\n' >>/etc/passwd; echo 'nogroup:x:65534:' >>/etc/group
rpcbind -f >>/tmp/daemons 2>&1 & i=0; until netstat -lt 2>/dev/null | grep -q :111 || netstat -ltn | grep -q ':111 '; do i=$((i + 1)); [ $i -lt 100 ] || fail rpcbind; sleep 0.1; done
serve() { exportfs -ra 2>>/tmp/daemons || fail exportfs; rpc.nfsd -G 10 -L 10 4 >>/tmp/daemons 2>&1 || fail rpc.nfsd; }
rest() { rpc.nfsd 0 || fail "rpc.nfsd 0"; exportfs -ua; exportfs -f; }
mkfs.tfs -q -f /dev/vda && mount -t tfs /dev/vda /mnt || fail mount
serve; rpc.mountd -p 20048 >>/tmp/daemons 2>&1 || fail rpc.mountd
at "the server runs"
for v in 3 4.2; do
	at "version $v"
	case $v in 3) o=vers=3,nolock ;; *) o=vers=$v ;; esac
	mount.nfs 127.0.0.1:/mnt /n -o $o,actimeo=1 || fail "mount as version $v"; grep ' /n nfs' /proc/mounts | grep -q "vers=$v" || fail "another version"
	mkdir /n/r; right make /n/r 0 30 && right check /n/r 0 30 all && right check /mnt/r 0 30 all || fail "files"
	cp -a /lib /n/lib && diff -r /lib /n/lib >/dev/null && diff -r /lib /mnt/lib || fail "a tree"
	i=0; mkdir /n/many; while [ $i -lt 300 ]; do : >/n/many/a-name-of-many-$i; i=$((i + 1)); done
	[ "$(ls /n/many | grep -c many-)" = 300 ] || fail "a listing"
	find /n/many -name '*[13579]' | xargs -n 50 rm || fail "removing while listing"; [ "$(ls /n/many | wc -l)" = 150 ] || fail "half of many names"
	echo one >/n/a; mv /n/a /n/b; ln /n/b /n/c; ln -s b /n/s; mkdir /n/d; mv /n/d /n/d2; mv /n/c /n/d2/c; rm /n/b
	[ "$(cat /mnt/d2/c)" = one ] && [ "$(stat -c %h /n/d2/c)" = 1 ] && [ "$(readlink /n/s)" = b ] && [ ! -e /mnt/d ] || fail "names"
	truncate -s 5000000000 /n/large && echo end >>/n/large && [ "$(tail -c 4 /mnt/large)" = end ] && rm /n/large || fail "a large file"

	at "what is removed on the server, or its directory replaced"
	echo here >/n/gone; mkdir /n/dir; echo x >/n/dir/x; cat /n/gone /n/dir/x >/dev/null; exec 7</n/gone; cd /n/dir
	rm /mnt/gone; rm -r /mnt/dir; mkdir /mnt/dir; echo other >/mnt/dir/x; echo there >/mnt/gone; sleep 2; echo 3 >/proc/sys/vm/drop_caches
	kfeat stale 7 || fail "a removed file's handle is not stale"
	! cat x 2>/dev/null || fail "a removed directory's handle is not stale"; cd /; exec 7<&-
	[ "$(cat /n/gone)" = there ] && [ "$(cat /n/dir/x)" = other ] || fail "what took its place"

	at "the server and the volume restart"
	exec 7</n/r/10 8>>/n/open; echo before >&8; cd /n/lib
	rest; umount /mnt || fail "umount of what was exported"; mount -t tfs /dev/vda /mnt || fail "mount again"; serve; echo 3 >/proc/sys/vm/drop_caches
	echo after >&8 || fail "writing to what was open"; exec 8>&-; [ "$(cat /mnt/open)" = "before
after" ] || fail "what was open: $(cat /mnt/open)"
	cmp /proc/self/fd/7 /mnt/r/10 || fail "reading what was open"; exec 7<&-; ls tfs.ko >/dev/null || fail "a working directory"; cd /
	right check /n/r 0 30 all || fail "after a restart"

	at "a crash under the server"
	right make /n/r 30 35; mkdir /n/kept; : >/n/empty; mv /n/open /n/moved; ln -s to /n/symlink; chmod 600 /n/r/1; rm /n/r/2
	kfeat shutdown /mnt 2 || fail shutdown
	rest; umount /mnt || fail umount; mount -t tfs /dev/vda /mnt || fail "mount after a crash"; serve
	for x in kept empty moved symlink; do [ -e /mnt/$x ] || [ -L /mnt/$x ] || lost="$lost $x"; done
	[ ! -e /mnt/r/2 ] || lost="$lost unlink"; [ "$(stat -c %a /mnt/r/1)" = 600 ] || lost="$lost chmod"
	[ -z "$lost" ] || fail "acknowledged by NFS, and lost:$lost"
	right check /n/r 30 35 all || fail "after a crash"; [ -d /n/kept ] || fail "the client's view"
	umount /n || fail "umount of NFS"; rm -rf /mnt/*
done
rest; umount /mnt || fail umount; fsck.tfs -fn --data /dev/vda >/tmp/fsck || { cat /tmp/fsck; fail fsck; }
killall rpc.mountd rpcbind; at end
J
	echo "== $k"; volume 128M
	programs=(-p "$tmp/right" -p "$tmp/kfeat" -p "$bin/mkfs.tfs" -p "$bin/fsck.tfs")
	for p in rpcbind rpc.nfsd rpc.mountd exportfs mount.nfs; do programs+=(-p $p); done
	for f in /etc/netconfig /etc/services /etc/protocols /etc/rpc; do [ ! -e $f ] || programs+=(-f $f); done
	LIMIT=${LIMIT:-1200} guest "${programs[@]}" -o nfsd -o nfs -o nfsv3 -o nfsv4 "$tmp/t" || bad "in the guest"
done
finish
