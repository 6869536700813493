#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-backup beside restic on the same tree and server in one run, and rclone and s3cmd copying the image, for the cost of doing
# without: a database file of MIB (128) whose pages do not compress, and a tree of sources. First backup; backup after 1% of the
# database's 8 KiB pages were changed at random; restore; everything read; prune after the first was forgotten. Of each: requests, bytes sent
# and received, both with headers, as the proxy counts them (tests/backup/proxy.py), what the store grew by, and peak memory: counts, which a busy
# machine does not change. Seconds are printed, too; they mean something on an idle one.
# The server is Ceph's RGW in memory (tests/backup/ceph.sh); STORE=dir: directories instead. What is not installed is left out.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."
bin=$(realpath "${BIN:-build/bin}") mib=${MIB:-128} here=$PWD
tmp=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/bench.XXXXXX")
server= proxy=
end() { [ -z "$proxy" ] || kill $proxy; fusermount3 -uq "$tmp/mnt" 2>/dev/null || true; [ -z "$server" ] || tests/backup/ceph.sh stop "$tmp/ceph"; rm -rf "$tmp"; }
trap end EXIT
export AWS_ACCESS_KEY_ID=AKTEST AWS_SECRET_ACCESS_KEY=SKTEST AWS_EC2_METADATA_DISABLED=true no_proxy='*'
unset AWS_CA_BUNDLE AWS_PROFILE AWS_REGION AWS_ENDPOINT_URL
export RCLONE_CONFIG=/dev/null TFS_BACKUP_KEY_FILE=$tmp/key RESTIC_PASSWORD=x XDG_CACHE_HOME=$tmp/cache HOME=$tmp
head -c 64 /dev/urandom >"$tmp/key"
if [ "${STORE:-rgw}" = rgw ]; then
	server=$(tests/backup/ceph.sh start "$tmp/ceph" memstore) || { echo "no RGW (STORE=dir goes without)"; exit 77; }
	tests/backup/proxy.py "$tmp/port" "$server" & proxy=$!
	until [ -s "$tmp/port" ]; do kill -0 $proxy || exit 1; sleep 0.1; done
	behind=$server server=http://127.0.0.1:$(cat "$tmp/port")
	options=(-o "endpoint=$server")
	tfs=s3://tfs/tfs restic=s3:$server/tfs/restic
	printf '[default]\naccess_key = AKTEST\nsecret_key = SKTEST\nhost_base = %s\nhost_bucket = %s\nuse_https = False\n' "${server#http://}" "${server#http://}" >"$tmp/s3cfg"
	export RCLONE_CONFIG_R_TYPE=s3 RCLONE_CONFIG_R_PROVIDER=Ceph RCLONE_CONFIG_R_ENV_AUTH=true RCLONE_CONFIG_R_ENDPOINT=$server
	stored() { "$bin/store_tool" -o endpoint="$behind" "s3://tfs/$1" list | awk '{n += $2} END {print n + 0}'; }
else
	options=() tfs=$tmp/store/tfs restic=$tmp/store/restic; mkdir "$tmp/store"
	stored() { [ ! -d "$tmp/store/$1" ] || find "$tmp/store/$1" -type f -printf '%s\n' | awk '{n += $1} END {print n + 0}'; }
fi

mkdir "$tmp/tree" "$tmp/mnt"
cp -r /usr/include "$tmp/tree/include"
head -c "${mib}M" /dev/urandom >"$tmp/tree/database"
"$bin/mkfs.tfs" -q --from "$tmp/tree" --size $((mib * 2 + 512))M "$tmp/image"
pages=$((mib * 128)) changed=$((mib * 128 / 100))
change() { # FILE: the same pages of it, with the same new content, wherever it is
	python3 - "$1" $pages $changed <<'P'
import os, random, sys
random.seed(7)
with open(sys.argv[1], "r+b") as f:
    for page in random.sample(range(int(sys.argv[2])), int(sys.argv[3])):
        f.seek(page * 8192)
        f.write(random.randbytes(8192))
    os.fsync(f.fileno())
P
}
row() { # NAME WHAT COMMAND...
	local name=$1 what=$2 before; shift 2
	before=$(stored "$name")
	[ -z "$server" ] || curl -s "$server/_fault?none&0"
	/usr/bin/time -f '%e %M' -o "$tmp/time" "$@" >"$tmp/out" 2>&1 || { cat "$tmp/out"; exit 1; }
	[ -z "$server" ] || curl -s "$server/_count" >"$tmp/count"
	printf '%-7s %-24s %s store %+8.1f MB  %4d MB peak  %7.2f s\n' "$name" "$what" "$([ -z "$server" ] || awk '{ printf "%5d requests %7.1f MB sent %7.1f MB received", $1, $3 / 1e6, $4 / 1e6 }' "$tmp/count")" \
		"$(echo "$before $(stored "$name")" | awk '{print ($2 - $1) / 1e6}')" "$(($(tail -1 "$tmp/time" | cut -d' ' -f2) / 1024))" "$(cut -d' ' -f1 "$tmp/time")"
}
have() { command -v "$1" >/dev/null || { echo "$1 is not installed: left out"; return 1; }; }

echo "tree: $(du -sm "$tmp/tree" | cut -f1) MB, image: $(du -m "$tmp/image" | cut -f1) MB; 1% of the pages: $((changed * 8192 / 1000000)).$((changed * 8192 / 100000 % 10)) MB; $(nproc) cores"
"$bin/tfs-backup" init "$tfs" "${options[@]}" >"$tmp/out" 2>&1 || { cat "$tmp/out"; exit 1; }
row tfs "first backup" "$bin/tfs-backup" run -q "$tfs" "$tmp/image" "${options[@]}"
have restic && { restic -q -r "$restic" init >"$tmp/out" 2>&1; row restic "first backup" restic -q -r "$restic" backup "$tmp/tree"; }
[ -z "$server" ] || ! have rclone || row rclone "copy of the image" rclone copyto "$tmp/image" r:tfs/rclone/image
[ -z "$server" ] || ! have s3cmd || row s3cmd "copy of the image" s3cmd -q -c "$tmp/s3cfg" put "$tmp/image" s3://tfs/s3cmd/image
"$bin/tfs-fuse" "$tmp/image" "$tmp/mnt"; change "$tmp/mnt/database"; fusermount3 -u "$tmp/mnt"
for _ in $(seq 100); do pgrep -f "tfs-fuse $tmp/image" >/dev/null || break; sleep .1; done
change "$tmp/tree/database"
row tfs "1% of the pages changed" "$bin/tfs-backup" run -q "$tfs" "$tmp/image" "${options[@]}"
have restic && row restic "1% of the pages changed" restic -q -r "$restic" backup "$tmp/tree"
row tfs "restore" "$bin/tfs-backup" restore -q "$tfs" latest --to "$tmp/back.img" "${options[@]}"
"$bin/fsck.tfs" -fn --data "$tmp/back.img" >"$tmp/out" 2>&1 || { cat "$tmp/out"; exit 1; }
"$bin/dump.tfs" cat "$tmp/back.img" database | cmp - "$tmp/tree/database"
have restic && row restic "restore" restic -q -r "$restic" restore latest --target "$tmp/back"
row tfs "verify --read-data" "$bin/tfs-backup" verify -q --read-data "$tfs" "${options[@]}"
have restic && row restic "check --read-data" restic -q -r "$restic" check --read-data
row tfs "forget" "$bin/tfs-backup" forget -q --keep-last 1 "$tfs" "${options[@]}"
row tfs "prune (condemns)" "$bin/tfs-backup" prune -q "$tfs" "${options[@]}"
have restic && row restic "forget --prune" restic -q -r "$restic" forget --keep-last 1 --prune
