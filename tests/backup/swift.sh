#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Swift with its s3api on loopback, on free ports, below a folder. For tests only.
#   swift.sh start DIR    prints its URL; user test:tester / testing, bucket "tfs"       swift.sh stop DIR
# Needs swift-proxy swift-account swift-container swift-object memcached (77: not installed), and, since Swift reads its hash
# suffix from there alone, writes /etc/swift/swift.conf when that does not exist.
set -e
D=$2
[ -n "$D" ] || { sed -n '3,6p' "$0"; exit 2; }
if [ "$1" = stop ]; then
	while read -r p; do kill "$p" 2>/dev/null || true; done <"$D/pids"; exit 0
fi
command -v swift-proxy-server >/dev/null && command -v memcached >/dev/null || exit 77
rm -rf "$D"; mkdir -p "$D"/node/d1 "$D"/out
here=$(cd "$(dirname "$0")" && pwd)
U=$(id -un); ! id swift >/dev/null 2>&1 || U=swift
mapfile -t port < <(python3 -c 'import socket
s=[socket.socket() for _ in range(5)]
for x in s: x.bind(("127.0.0.1",0))
for x in s: print(x.getsockname()[1])')
cd "$D"
common() {
	printf '[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = %s\nworkers = 0\nuser = %s\nswift_dir = %s\nlog_level = WARNING\nlog_address = %s/none\n' \
		"$1" "$U" "$D" "$D"
}
i=0
for n in account container object; do
	swift-ring-builder $n.builder create 2 1 1 >/dev/null
	swift-ring-builder $n.builder add "r1z1-127.0.0.1:${port[i]}/d1" 1 >/dev/null
	swift-ring-builder $n.builder rebalance >/dev/null || true
	{ common "${port[i]}"; printf 'devices = %s/node\nmount_check = false\ndisable_fallocate = true\n[pipeline:main]\npipeline = %s-server\n[app:%s-server]\nuse = egg:swift#%s\n' "$D" $n $n $n; } >$n.conf
	i=$((i + 1))
done
{
	common "${port[3]}"
	cat <<C
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
dns_compliant_bucket_names = true
min_segment_size = 1
check_bucket_owner = false
s3_acl = false
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${port[4]}
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
C
	for f in catch_errors gatekeeper listing_formats bulk copy slo symlink; do printf '[filter:%s]\nuse = egg:swift#%s\n' $f $f; done
} >proxy.conf
printf '[swift-hash]\nswift_hash_path_suffix = x\nswift_hash_path_prefix = y\n[swift-constraints]\n' >swift.conf
[ -e /etc/swift/swift.conf ] || { mkdir -p /etc/swift && cp swift.conf /etc/swift/swift.conf; }
chown -R "$U" "$D"
memcached -l 127.0.0.1 -p "${port[4]}" -u nobody >/dev/null 2>&1 & echo $! >pids
for n in account container object proxy; do
	"/usr/bin/swift-$n-server" "$D/$n.conf" >"out/$n.log" 2>&1 & echo $! >>pids
done
for _ in $(seq 600); do curl -s -o /dev/null "http://127.0.0.1:${port[3]}/info" && break; sleep .05; done
"$here/s3.py" "http://127.0.0.1:${port[3]}" test:tester testing PUT /tfs >/dev/null
echo "http://127.0.0.1:${port[3]}"
