#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# PostgreSQL on the volume: initdb with checksums, pgbench, a server killed under load and recovering, amcheck and pg_checksums.
# usage: pgbench.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$pg" ] || skip "postgresql is missing: as root, apt-get install postgresql"
version=$(basename "$(dirname "$pg")")
for k in "${KERNELS[@]}"; do
	{
		echo "pg=$pg"
		cat <<'J'
fail() { echo "FAILED: $*"; tail -20 /mnt/pg/log 2>/dev/null; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu LC_ALL=C PGUSER=postgres PGHOST=/tmp
echo 'postgres:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd; echo 'postgres:x:1000:' >>/etc/group; chmod 1777 /tmp /dev/shm
as() { su postgres -c "export PATH=$pg:/bin LC_ALL=C PGUSER=postgres PGHOST=/tmp; $*"; }
mount -t tfs /dev/vda /mnt || exit 1; mkdir /mnt/pg; chown postgres /mnt/pg; chmod 700 /mnt/pg
at initdb; as "initdb -k -A trust -D /mnt/pg/d" >/tmp/initdb 2>&1 || { cat /tmp/initdb; fail initdb; }
echo "unix_socket_directories='/tmp'
listen_addresses=''
shared_buffers=16MB
max_wal_size=48MB
min_wal_size=32MB
checkpoint_timeout=30s" >>/mnt/pg/d/postgresql.conf
start() { as "pg_ctl -w -t 120 -D /mnt/pg/d -l /mnt/pg/log start" >/dev/null || fail "start"; }
# pg_ctl has ended when the server removed its pid file, which it does before it ends: until then the volume is its folder
stop() { p=$(head -1 /mnt/pg/d/postmaster.pid); as "pg_ctl -w -t 120 -D /mnt/pg/d $* stop" >/dev/null || fail "stop"; while [ -n "$(readlink /proc/$p/cwd)" ]; do sleep 0.1; done; }
start; at "pgbench -i"; as "pgbench -i -q -s 2 postgres" >/dev/null 2>&1 || fail "pgbench -i"
at "pgbench"; as "pgbench -c 4 -j 2 -T 20 postgres" 2>&1 | grep -E 'tps|processed'
at "killed under load"; ( as "pgbench -n -c 4 -j 2 -T 20 postgres" >/dev/null 2>&1 ) & sleep 8; stop -m immediate; wait
umount /mnt && mount -t tfs /dev/vda /mnt || fail remount; start
check() {
	s=$(as "psql -Atc 'select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches) and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)' postgres") && [ "$s" = t ] || fail "$1: sums differ: $s"
	as "psql -Atc 'create extension if not exists amcheck' -c \"select bt_index_check(indexrelid, true) from pg_index join pg_class on oid=indexrelid where relam=403 and relpersistence='p'\" postgres" >/dev/null || fail "$1: amcheck"
}
check recovered; at "checked"; stop
as "pg_checksums -c -D /mnt/pg/d" | grep -E 'Bad checksums: *0$' || fail "checksums"
umount /mnt || fail umount; at end
J
	} | job
	volume 400M; LIMIT=${LIMIT:-500} guest -m 1500 -f "$pg" -f "/usr/lib/postgresql/$version/lib" -f "/usr/share/postgresql/$version" -f /usr/share/zoneinfo "$tmp/t" || bad "PostgreSQL"; sound "PostgreSQL"
done
finish
