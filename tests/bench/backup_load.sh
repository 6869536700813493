#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What a backup does to transactions: pgbench on the module in a guest of one processor whose clock counts instructions, in rounds by
# turns without and with tfs-backup's daemon beside it, which backs up every EVERY (2) seconds into memory. Prints for each round the
# transactions a second, the processor time of everything for each, and the backups made; then the ratio, and what one backup cost.
# What it shows: the processor's and the module's side, the work that a snapshot, reading by TFS_IOC_RAW and sealing take from a
# database that has no other processor to go to; it is the same whatever else the host does, as far as the guest is never idle (the last
# column says how far it was). What it does not: a real disk's queue, or a network's. usage: backup_load.sh [KERNEL]
# ROUNDS (3) of each kind, SPAN (5) seconds each, on pgbench's SCALE (4).
. "$(dirname "$0")/../kernel/lib.sh"
bad() { echo "FAILED: $*; repeat: tests/bench/$name.sh $k"; failed=1; }
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$pg" ] || skip "postgresql is missing: as root, apt-get install postgresql"
version=$(basename "$(dirname "$pg")") k=${KERNELS[-1]}
# the cluster is made here, where it takes seconds
mkdir "$tmp/tree"; chmod 755 "$tmp" "$tmp/tree"; u=; [ "$(id -u)" != 0 ] || { u="setpriv --reuid=nobody --regid=nogroup --clear-groups"; chown nobody "$tmp/tree"; }
mkdir "$tmp/sock"; chmod 777 "$tmp/sock"
server() { $u "$pg/pg_ctl" -w -t 600 -D "$tmp/tree/pg" -l "$tmp/sock/log" -o "-k $tmp/sock -h ''" "$@" >/dev/null || { cat "$tmp/sock/log"; exit 1; }; }
HOME=/tmp $u "$pg/initdb" -k -A trust --locale=C -E UTF8 -U postgres -D "$tmp/tree/pg" >"$tmp/initdb" 2>&1 || { cat "$tmp/initdb"; exit 1; }
printf "shared_buffers=32MB\nmax_wal_size=64MB\nmin_wal_size=32MB\ncheckpoint_timeout=30s\nautovacuum=off\nlisten_addresses=''\n" >>"$tmp/tree/pg/postgresql.conf"
server start; $u "$pg/pgbench" -i -q -s "${SCALE:-4}" -h "$tmp/sock" -U postgres postgres >/dev/null 2>&1 || exit 1; server stop
rm -f "$tmp/t"; "$bin/mkfs.tfs" -q --from "$tmp/tree" --size 600M "$tmp/t" || exit 1
head -c 64 /dev/urandom >"$tmp/key"; chmod 644 "$tmp/key"
{
	echo "pg=$pg ROUNDS=${ROUNDS:-3} SPAN=${SPAN:-5} EVERY=${EVERY:-2} KEY=$tmp/key"
	cat <<'J'
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu LC_ALL=C TFS_BACKUP_KEY_FILE=$KEY
echo 'postgres:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd; echo 'postgres:x:1000:' >>/etc/group; chmod 1777 /tmp /dev/shm
as() { su postgres -c "export PATH=$pg:/bin LC_ALL=C PGUSER=postgres PGHOST=/tmp; $*"; }
mount -t tfs /dev/vda /mnt && chown -R postgres:postgres /mnt/pg || exit 1
as "pg_ctl -w -t 600 -D /mnt/pg -l /tmp/log -o '-k /tmp' start" >/dev/null || { cat /tmp/log; exit 1; }
tfs-backup -q init /tmp/repo --grace 1h && tfs-backup -q run /tmp/repo /mnt || exit 1
printf 'state = /tmp/state\n[job db]\nvolume = /mnt\nstore = /tmp/repo\nschedule = every %ss\n' $EVERY >/tmp/conf
cpu() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8, $5 + $6; exit }' /proc/stat; }
made() { tfs-backup list /tmp/repo | wc -l; }
load() { as "pgbench -n -c 4 -T $1 postgres" 2>&1 | sed -n 's/.*actually processed: \([0-9]*\).*/\1/p'; }
load $SPAN >/dev/null; sync
round() { # WITH
	daemon=; b=$(made)
	[ $1 = 0 ] || { tfs-backup daemon --config /tmp/conf >/tmp/daemon 2>&1 & daemon=$!; }
	set -- $1 $(cpu); t=$(load $SPAN); set -- $1 $2 $3 $(cpu)
	[ -z "$daemon" ] || { kill $daemon; wait $daemon; }
	b=$(($(made) - b))
	echo "round $1 $t $SPAN $(($4 - $2)) $(($5 - $3)) $b"
}
n=0; while [ $n -lt $ROUNDS ]; do n=$((n + 1)); if [ $((n % 2)) = 1 ]; then round 0; round 1; else round 1; round 0; fi; done
tfs-backup -q verify /tmp/repo --read-data || { echo "FAILED: verify"; exit 1; }
as "pg_ctl -w -D /mnt/pg -m fast stop" >/dev/null; n=0; until umount /mnt 2>/dev/null; do n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.1; done
J
} | job
echo "== $k: pgbench, 4 clients, one processor; backups every ${EVERY:-2} s of the guest"
LIMIT=${LIMIT:-7200} guest ${ICOUNT--i} -m 2500 -p "$bin/tfs-backup" -f "$tmp/key" -f "$pg" -f "/usr/lib/postgresql/$version/lib" -f "/usr/share/postgresql/$version" -f /usr/share/zoneinfo "$tmp/t" >"$tmp/said" || bad "the guest"
awk '
/^round/ {
	printf "%-16s %6d transactions in %d s, %.2f ms of processor each, %d backups, idle %.1f%%\n", $2 ? "with backups" : "without", $3, $4, $5 * 10 / $3, $7, 100 * $6 / ($5 + $6)
	n[$2]++; t[$2] += $3; c[$2] += $5; b += $7; s += $4 * $2; next
}
{ print }
END {
	if (!n[0] || !n[1] || !b) { print "no round, or no backup in one"; exit 1 }
	r = (t[1] / n[1]) / (t[0] / n[0])
	printf "ratio of transactions with to without: %.3f, with a backup every %.1f s; processor for each: %.3f\n", r, s / b, (c[1] / t[1]) / (c[0] / t[0])
	lost = (t[0] / n[0] - t[1] / n[1]) * n[1] / b
	printf "one backup took the place of %.0f transactions, %.2f s of the load; every 15 minutes that is %.2f%%\n", lost, lost / (t[0] / n[0]) * (s / n[1]), lost / (t[0] / n[0]) * (s / n[1]) / 9
}' "$tmp/said" || bad "nothing was measured"
sound "pgbench beside backups"
finish
