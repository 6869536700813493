#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# SQLite, with a rollback journal and with a write-ahead log: transactions by two processes, integrity_check, again after a remount.
# usage: sqlite.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
command -v sqlite3 >/dev/null || skip "sqlite3 is missing: as root, apt-get install sqlite3"
for k in "${KERNELS[@]}"; do
	job <<'J'
mount -t tfs /dev/vda /mnt || exit 1
fail() { echo "FAILED: $*"; exit 1; }
for mode in delete wal; do
	db=/mnt/$mode.db
	sqlite3 $db "pragma journal_mode=$mode; create table t(id integer primary key, who int, n int, data blob); create index i on t(who, n);" >/dev/null || fail "create"
	load() {
		( echo ".timeout 60000"; echo "pragma synchronous=full;"
		for n in $(seq 1 60); do
			echo "begin immediate; insert into t(who,n,data) values($1,$n,randomblob(3000)),($1,$n+1000,randomblob(100)); update t set data=randomblob(500) where who=$1 and n=$n/2; delete from t where who=$1 and n=$n-30; commit;"
		done ) | sqlite3 $db || fail "load $1"
	}
	load 1 & load 2; wait
	[ "$(sqlite3 $db 'pragma integrity_check')" = ok ] || fail "$mode: integrity_check"
	n=$(sqlite3 $db 'select count(*) from t'); [ $n = 180 ] || fail "$mode: $n rows, not 180"
	sum=$(sqlite3 $db 'select * from t order by id' | md5sum)
	umount /mnt && mount -t tfs /dev/vda /mnt || fail remount
	[ "$(sqlite3 $db 'pragma integrity_check')" = ok ] || fail "$mode: integrity_check after a remount"
	[ "$(sqlite3 $db 'select * from t order by id' | md5sum)" = "$sum" ] || fail "$mode: other rows after a remount"
	sqlite3 $db vacuum && [ "$(sqlite3 $db 'pragma integrity_check')" = ok ] || fail "$mode: vacuum"
	echo "$mode: $n rows"
done
umount /mnt
J
	volume 64M; guest -p sqlite3 "$tmp/t" || bad "SQLite"; sound "SQLite"
done
finish
