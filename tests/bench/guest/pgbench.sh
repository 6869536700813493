# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# PostgreSQL: pgbench's TPC-B, 8 clients, $pg_transactions transactions in all, the cluster made once and copied to each filesystem.
# Enough of them that PostgreSQL's own checkpoints (every 30 s) write the pages that changed, in no order: what a database on a
# disk of few requests waits for beside its log. The scale is the number of clients: with fewer branches than that, what is measured
# is clients that wait for each other's row. What was copied stays in memory, as a database's working set does.
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu LC_ALL=C PGUSER=postgres PGHOST=/tmp
echo 'postgres:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd; echo 'postgres:x:1000:' >>/etc/group; chmod 1777 /tmp /dev/shm
as() { su postgres -c "export PATH=$pg:/bin LC_ALL=C PGUSER=postgres PGHOST=/tmp; $*"; }
start() { as "pg_ctl -w -t 120 -D $1 -l /tmp/pg.log start" >/dev/null || { cat /tmp/pg.log >&2; exit 1; }; }
mkdir /tmp/pg && chown postgres /tmp/pg && chmod 700 /tmp/pg
as "initdb -A trust -D /tmp/pg/d" >/tmp/initdb 2>&1 || { cat /tmp/initdb; exit 1; }
echo "unix_socket_directories='/tmp'
listen_addresses=''
shared_buffers=32MB
max_wal_size=64MB
min_wal_size=32MB
checkpoint_timeout=30s" >>/tmp/pg/d/postgresql.conf
start /tmp/pg/d; as "pgbench -i -q -s 8 postgres" >/dev/null 2>&1; as "pg_ctl -w -D /tmp/pg/d stop" >/dev/null || exit 1
bench() {
	cp -a /tmp/pg /mnt/ && sync && start /mnt/pg/d
	as "pgbench -n -c 8 -j 2 -t 10 postgres" >/dev/null 2>&1
	m $disk $fs "pgbench, 8 clients" tps $pg_transactions su postgres -c "PATH=$pg:/bin PGUSER=postgres PGHOST=/tmp pgbench -n -c 8 -j 2 -t $((pg_transactions / 8)) postgres >/dev/null 2>&1"
	as "pg_ctl -w -D /mnt/pg/d stop" >/dev/null; rm -rf /mnt/pg
}
each bench
