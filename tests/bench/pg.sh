# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced after tests/kernel/lib.sh by the benches that run PostgreSQL in a guest: the database is made on the host, where it takes
# seconds, and goes into the volume by mkfs.tfs --from; whoever owns it is nobody in the guest, too.
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$pg" ] || skip "postgresql is missing: as root, apt-get install postgresql"
version=$(basename "$(dirname "$pg")")
pg_options=(-f "$pg" -f "/usr/lib/postgresql/$version/lib" -f "/usr/share/postgresql/$version" -f /usr/share/zoneinfo) # of guest.sh
pg_database() { # SCALE: pgbench's tables in $tmp/src/pg
	local as=(); [ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp)
	chmod 711 "$tmp"; mkdir -m 777 "$tmp/src" "$tmp/sock"
	"${as[@]}" "$pg/initdb" -A trust -U postgres --locale=C -E UTF8 -D "$tmp/src/pg" >"$tmp/initdb" 2>&1 || { cat "$tmp/initdb"; bad initdb; finish; }
	printf "shared_buffers=32MB\nmax_wal_size=64MB\nmin_wal_size=32MB\ncheckpoint_timeout=30s\nautovacuum=off\n" >>"$tmp/src/pg/postgresql.conf"
	"${as[@]}" "$pg/pg_ctl" -w -t 600 -D "$tmp/src/pg" -l "$tmp/sock/log" -o "-k $tmp/sock -h ''" start >/dev/null &&
		"${as[@]}" "$pg/pgbench" -i -q -s "$1" -U postgres -h "$tmp/sock" postgres >/dev/null 2>&1 || bad "pgbench -i"
	"${as[@]}" "$pg/pg_ctl" -w -t 600 -D "$tmp/src/pg" stop >/dev/null || bad "stop"
}
pg_prelude() { # of the guest's script: the volume is at /srv/db, what is said and made beside it at /tmp/m, which is memory
	echo "pg=$pg"
	cat <<'J'
fail() { echo "FAILED: $*"; tail -20 /tmp/m/log /tmp/m/daemon /tmp/m/pgbench 2>/dev/null; exit 1; }
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu LC_ALL=C PATH=$pg:/usr/bin:/bin:/usr/sbin:/sbin PGUSER=postgres PGHOST=/tmp
echo 'nobody:x:65534:65534::/tmp:/bin/sh' >>/etc/passwd; echo 'nogroup:x:65534:' >>/etc/group; chmod 1777 /tmp /dev/shm
mkdir -p /tmp/m /srv/db; mount -t tmpfs none /tmp/m; chmod 777 /tmp/m
as() { su nobody -c "export LD_LIBRARY_PATH=$LD_LIBRARY_PATH PATH=$PATH LC_ALL=C PGUSER=postgres PGHOST=/tmp; $*"; }
pg_start() { as "pg_ctl -w -t 1200 -D /srv/db/pg -l /tmp/m/log -o '-k /tmp -h \"\"' start" >/dev/null || fail start; }
# pg_ctl has ended when the server removed its pid file, which it does before it ends
pg_stop() { p=$(head -1 /srv/db/pg/postmaster.pid); as "pg_ctl -w -t 1200 -D /srv/db/pg -m fast stop" >/dev/null || fail stop; while [ -d /proc/$p ]; do sleep 0.1; done; }
# What pgbench's logs NAME.* say: how long half, 99% and all transactions took at most, in us.
pg_latency() { cat /tmp/m/$1.* | awk '{ print $3 }' | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[int(NR * .99)], v[NR], NR }'; }
J
}
