#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A database under load on a volume that tfs-fuse has mounted, backed up by the daemon's schedule, restored, started, checked:
# database.sh has the rest. Servers that refuse to be root's run as nobody, and so does all else. tests/kernel/backup.sh does it with
# the module. Needs /dev/fuse and the database; exits 77 without. usage: test_database.sh [sqlite|postgresql|redis|mariadb]
DB=${1:-sqlite} RUNS=${RUNS:-3}
case $DB in
sqlite) needs=sqlite3 ;; redis) needs=redis-server ;; mariadb) needs=mariadbd ;;
postgresql) needs=initdb; PATH=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1):$PATH ;;
*) echo "usage: $0 [sqlite|postgresql|redis|mariadb]" >&2; exit 2 ;;
esac
export PATH=$PATH:/usr/sbin
command -v $needs >/dev/null || { echo "SKIPPED: $needs is missing: as root, apt-get install sqlite3 postgresql redis-server mariadb-server"; exit 77; }
if [ "$DB" != sqlite ] && [ "$(id -u)" = 0 ]; then
	cd "$(dirname "$0")/../.." && HOME=/tmp exec setpriv --reuid=nobody --regid=nogroup --clear-groups tests/backup/test_database.sh "$DB"
fi
here=$(dirname "$0") DOC=$(realpath "$(dirname "$0")/../../docs/BACKUP.md")
. "$here/lib.sh"
T=$tmp/t LIVE=$tmp/live BACK=$tmp/back BK=$bk i=$tmp/v.img
mkdir "$T" "$LIVE" "$BACK"
# whatever was begun ends with the mounts: servers by their own data going away, clients by the note to stop
cleanup() {
	set +e; touch "$T/stop"
	for f in "$T"/*.pid "$LIVE"/pg/postmaster.pid "$BACK"/pg/postmaster.pid; do [ ! -s "$f" ] || kill "$(head -n 1 "$f")"; done 2>/dev/null
	for p in ${c1:-} ${c2:-} ${noise:-} ${daemon:-}; do kill "$p"; done 2>/dev/null
	for s in live restored; do [ ! -S "$T/$s.sock" ] || redis-cli -s "$T/$s.sock" shutdown nosave 2>/dev/null; done
	fusermount3 -quz "$LIVE"; fusermount3 -quz "$BACK"; wait; rm -rf "$tmp"
}
trap cleanup EXIT
up() { # IMAGE DIRECTORY
	"$bin/tfs-fuse" -f "$1" "$2" 2>"$T/fuse.err" & pid=$!
	until mountpoint -q "$2"; do kill -0 $pid 2>/dev/null || return 1; sleep 0.05; done
}
as_db() { sh -c "$1"; }
restored() {
	rm -f "$tmp/r.img"
	expect 0 "$bk" restore "$R" "$1" --to "$tmp/r.img"
	expect 0 "$bin/fsck.tfs" -fn --data "$tmp/r.img"
	up "$tmp/r.img" "$BACK"
}
away() { # a server has said that it ended before it has
	local n=0
	until fusermount3 -u "$BACK" 2>/dev/null; do n=$((n + 1)); [ $n -lt 600 ] || return 1; sleep 0.1; done
	wait $pid
}
echo "/ uid=$(id -u) gid=$(id -g)" >"$tmp/own"
"$bin/mkfs.tfs" -q --manifest "$tmp/own" "$i" 600M
up "$i" "$LIVE" || { echo "SKIPPED: FUSE cannot be mounted here: $(cat "$T/fuse.err")"; exit 77; }
expect 0 "$bk" init "$R" --grace 1h
set +eu
. "$here/database.sh"
set -eu
expect 0 "$bk" verify "$R" --read-data
echo "ok: $DB, $(made) backups"
