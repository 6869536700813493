#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A Ceph of one monitor, one OSD and one RGW on loopback, below a folder, on ports that are free. For tests only.
#   ceph.sh start DIR [memstore|bluestore]   prints its URL; user AKTEST / SKTEST, bucket "tfs", bucket "locked" with Object Lock
#   ceph.sh kill DIR     all three with signal 9      ceph.sh again DIR   starts what was killed (bluestore)
#   ceph.sh stop DIR
# Needs radosgw ceph-mon ceph-osd ceph-common; 77: they are not installed.
set -e
verb=$1 D=$2 STORE=${3:-memstore}
[ -n "$D" ] || { sed -n '3,7p' "$0"; exit 2; }
command -v ceph-mon >/dev/null && command -v ceph-osd >/dev/null && command -v radosgw >/dev/null || exit 77
case $D in /*) ;; *) D=$PWD/$D ;; esac
CA="--conf $D/ceph.conf"

ports() { # N: free ones, one a line
	python3 -c 'import socket,sys
s=[socket.socket() for _ in range(int(sys.argv[1]))]
for x in s: x.bind(("127.0.0.1",0))
for x in s: print(x.getsockname()[1])' "$1"
}

wait_http() { # what answers is up
	for _ in $(seq 600); do curl -s -o /dev/null "$(cat "$D/url")" && return; sleep .05; done
	echo "ceph.sh: radosgw does not answer; see $D/out"; return 1
}

up() {
	ceph-mon $CA -i a
	ceph-osd $CA -i 0 >>"$D/out/start" 2>&1
	radosgw $CA -n client.rgw
	wait_http
}

each() { # COMMAND PID: rgw, OSD, monitor, in the order they may end
	for f in client.rgw osd.0 mon.a; do
		p=$(cat "$D/out/$f.pid" 2>/dev/null) && "$1" "$p"
	done
	true
}
end() {
	kill "$1" 2>/dev/null || return 0
	for _ in $(seq 100); do [ -d "/proc/$1" ] || return 0; sleep .1; done
	kill -9 "$1"
}
end_hard() {
	kill -9 "$1" 2>/dev/null || return 0
	for _ in $(seq 100); do [ -d "/proc/$1" ] || return 0; sleep .1; done
}

start() {
	rm -rf "$D"; mkdir -p "$D"/{mon,osd0,out,rgw}
	mapfile -t port < <(ports 3)
	echo "http://127.0.0.1:${port[2]}" >"$D/url"
	cat >"$D/ceph.conf" <<C
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = [v2:127.0.0.1:${port[0]},v1:127.0.0.1:${port[1]}]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $D/kr
auth allow insecure global id reclaim = true
mon warn on insecure global id reclaim allowed = false
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
osd pool default pg num = 1
osd pool default pgp num = 1
mon max pg per osd = 1000
mon pg warn min per osd = 0
run dir = $D/out
pid file = $D/out/\$type.\$id.pid
admin socket = $D/out/\$type.\$id.asok
log file = $D/out/\$type.\$id.log
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
paxos propose interval = 0.02
mon tick interval = 1
mon client hunt interval = 0.5
mon client ping interval = 2
osd mon report interval = 1
[mon]
mon data = $D/mon
mon initial members = a
mon data avail crit = 1
mon data avail warn = 2
[osd]
osd data = $D/osd0
osd objectstore = $STORE
memstore device bytes = 6442450944
bluestore block size = 8589934592
bluestore fsck on mount = false
osd memory target = 939524096
bluestore cache autotune = false
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port[2]} tcp_nodelay=1
rgw thread pool size = 32
rgw enable usage log = false
rgw gc max objs = 1
rgw lc max objs = 1
rgw usage max shards = 1
rgw override bucket index max shards = 1
rgw num rados handles = 1
rgw dns name = localhost
rgw data = $D/rgw
rgw multipart min part size = 1
C
	ceph-authtool --create-keyring "$D/kr" --gen-key -n mon. --cap mon 'allow *' >/dev/null
	for who in client.admin client.rgw; do
		ceph-authtool "$D/kr" --gen-key -n $who --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
	done
	ceph-authtool "$D/kr" --gen-key -n osd.0 --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
	monmaptool --create --fsid "$(sed -n 's/^fsid = //p' "$D/ceph.conf")" --addv a "[v2:127.0.0.1:${port[0]},v1:127.0.0.1:${port[1]}]" \
		"$D/monmap" >/dev/null
	ceph-mon $CA --mkfs -i a --monmap "$D/monmap" --keyring "$D/kr"
	ceph-mon $CA -i a
	cat /proc/sys/kernel/random/uuid >"$D/osd0.uuid"
	ceph $CA osd new "$(cat "$D/osd0.uuid")" >/dev/null
	ceph $CA auth import -i "$D/kr" 2>/dev/null
	ceph-osd $CA -i 0 --mkfs --osd-uuid "$(cat "$D/osd0.uuid")" >"$D/out/osd.mkfs" 2>&1
	ceph-osd $CA -i 0 >>"$D/out/start" 2>&1
	radosgw $CA -n client.rgw
	wait_http
	radosgw-admin $CA user create --uid=t --display-name=t --access-key=AKTEST --secret-key=SKTEST >/dev/null
	"$(dirname "$0")/s3.py" "$(cat "$D/url")" AKTEST SKTEST PUT /tfs
	"$(dirname "$0")/s3.py" "$(cat "$D/url")" AKTEST SKTEST PUT /locked x-amz-bucket-object-lock-enabled=true
	cat "$D/url"
}

case $verb in
start) start ;;
again) up ;;
kill) each end_hard ;;
stop) each end ;;
*) exit 2 ;;
esac
