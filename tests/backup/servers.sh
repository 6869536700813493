#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# make test-backup: the stores against real servers. Ceph RGW in memory (or, with bluestore, on a disk): the suite, Object Lock, every fault at every request, of the store and of
# whole backups, objects exchanged with s3cmd and awscli (when installed). RGW on a disk: what was acknowledged is there after kill -9. Swift's
# s3api (when installed), which has no conditional puts. 77: no Ceph here.
# STEP=N: whole backups through the proxy with the fault at every Nth request (on Swift, which is slow, every 8th without it). usage: servers.sh [memstore|bluestore]
set -u
cd "$(dirname "$0")/../.."
here=tests/backup BIN=${BIN:-build/bin}
command -v radosgw >/dev/null || { echo "radosgw ceph-mon ceph-osd ceph-common are not installed"; exit 77; }
T=$(mktemp -d)
end() { for d in memory disk; do [ ! -d "$T/$d" ] || $here/ceph.sh stop "$T/$d"; done; [ ! -d "$T/swift" ] || $here/swift.sh stop "$T/swift"
	kill $(jobs -p) 2>/dev/null; rm -rf "$T"; }
trap end EXIT
fail() { echo "servers: $*"; [ ! -s "$T/out" ] || tail -30 "$T/out"; exit 1; }
step() { echo "-- $*"; }
export AWS_ACCESS_KEY_ID=AKTEST AWS_SECRET_ACCESS_KEY=SKTEST AWS_EC2_METADATA_DISABLED=true HOME=$T no_proxy='*'
unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 http_proxy https_proxy

S=$($here/ceph.sh start "$T/memory" "${1:-memstore}") || fail "RGW (${1:-memstore}) does not start"
tool() { "$BIN/store_tool" -o endpoint="$S" -o patience=60 "$@"; }
step "RGW: the suite"
"$BIN/store_test" -o endpoint="$S" -o part-size=5M "s3://tfs/präfix + %41" >"$T/out" 2>&1 || fail "the suite on RGW"

step "RGW: Object Lock"
echo x | tool -o lock=governance:1h s3://locked/p put a >"$T/out" 2>&1 || fail "put with a lock"
head -c 300000 /dev/zero | tool -o lock=governance:1h -o part-size=64K s3://locked/p put large >"$T/out" 2>&1 || fail "put of what would be parts with a lock"
for name in a large; do
	code=0; tool -o lock=governance:1h s3://locked/p delete $name >"$T/out" 2>&1 || code=$?
	[ $code = 1 ] || fail "delete of a locked object: $code"
done

step "other clients read what we put, and we what they put"
head -c 3000000 /dev/urandom >"$T/random"
tool -o part-size=1M s3://tfs/x put mine <"$T/random" || fail put
if command -v s3cmd >/dev/null; then
	printf '[default]\naccess_key = AKTEST\nsecret_key = SKTEST\nhost_base = %s\nhost_bucket = %s\nuse_https = False\n' "${S#http://}" "${S#http://}" >"$T/s3cfg"
	s3cmd -q -c "$T/s3cfg" get s3://tfs/x/mine "$T/got" >"$T/out" 2>&1 && cmp -s "$T/got" "$T/random" || fail "s3cmd get"
	s3cmd -q -c "$T/s3cfg" put "$T/random" s3://tfs/x/theirs >"$T/out" 2>&1 || fail "s3cmd put"
	tool s3://tfs/x get theirs | cmp -s - "$T/random" || fail "get of what s3cmd put"
else echo "s3cmd is not installed: left out"; fi
if aws --version >/dev/null 2>&1; then
	aws --endpoint-url "$S" --region us-east-1 s3 cp --quiet s3://tfs/x/mine "$T/got2" >"$T/out" 2>&1 && cmp -s "$T/got2" "$T/random" || fail "aws get"
	aws --endpoint-url "$S" --region us-east-1 s3 cp --quiet "$T/random" s3://tfs/x/aws >"$T/out" 2>&1 || fail "aws put"
	tool s3://tfs/x get aws | cmp -s - "$T/random" || fail "get of what aws put"
else echo "awscli is not installed: left out"; fi

step "RGW through the proxy: every fault at every request"
$here/proxy.py "$T/proxyport" "$S" & for _ in $(seq 200); do [ -e "$T/proxyport" ] && break; sleep .05; done
P=http://127.0.0.1:$(cat "$T/proxyport")
"$BIN/store_fault" -o endpoint="$P" -o part-size=96K -o stall=1 -o patience=60 "$P" s3://tfs/faults >"$T/out" 2>&1 || fail "faults"
cat "$T/out"
step "RGW through the proxy: backups, every fault at every request of a run"
$here/run_faults.sh "$S" || fail "backups through the proxy"
$here/ceph.sh stop "$T/memory"

step "RGW on a disk: kill -9 of all of it while objects are put"
S=$($here/ceph.sh start "$T/disk" bluestore) || fail "RGW on a disk does not start"
for round in 1 2 3; do
	mkdir -p "$T/acked"
	for writer in 1 2 3 4; do
		(for i in $(seq 200); do
			head -c $((1000 * i)) /dev/urandom >"$T/w$writer"
			tool -o stall=2 -o patience=2 s3://tfs/kill put "r$round/$writer-$i" <"$T/w$writer" 2>/dev/null || exit
			sha256sum <"$T/w$writer" >"$T/acked/$writer-$i"
		done) &
		writers[writer]=$!
	done
	sleep $((2 + round)); $here/ceph.sh kill "$T/disk"; wait "${writers[@]}"
	$here/ceph.sh again "$T/disk" >"$T/out" 2>&1 || fail "RGW does not come back"
	n=0
	for ack in "$T"/acked/*; do
		[ -e "$ack" ] || continue
		tool s3://tfs/kill get "r$round/${ack##*/}" 2>"$T/out" | sha256sum | cmp -s - "$ack" || fail "lost: round $round, ${ack##*/}"
		n=$((n + 1))
	done
	echo "round $round: $n acknowledged, all there"; rm -r "$T/acked"
	[ $n -gt 0 ] || fail "nothing was acknowledged: nothing was tested"
done
$here/ceph.sh stop "$T/disk"

if command -v swift-proxy-server >/dev/null; then
	step "Swift s3api: the suite, put if absent by claims"
	S=$($here/swift.sh start "$T/swift") || fail "Swift does not start"
	export AWS_ACCESS_KEY_ID=test:tester AWS_SECRET_ACCESS_KEY=testing
	"$BIN/store_test" -o endpoint="$S" -o part-size=5M -o patience=120 -r 3 s3://tfs/p >"$T/out" 2>&1 || fail "the suite on Swift"
	step "Swift through the proxy: backups, every fault at every 8th request of a run"
	STEP=${STEP:-8} $here/run_faults.sh "$S" || fail "backups on Swift through the proxy"
else echo "Swift is not installed: left out"; fi
echo ok
