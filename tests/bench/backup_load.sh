#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What backups do to transactions, on a volume that tfs-fuse has mounted: pgbench in rounds of a fixed number of transactions by turns
# without and with tfs-backup's daemon beside it, which backs up every EVERY (5) seconds into memory. Of each round: processor time of all that takes part
# (server, tfs-fuse, backups) a transaction, which a busy machine changes little, and transactions a second, which it does; the ratio of
# these over all rounds evens that out only as far as other load does not go by turns too. No real disk's queue is in it.
# ROUNDS (5) of each kind, TRANSACTIONS (2000) each. 77: no FUSE, no PostgreSQL. usage: backup_load.sh
PATH=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1):$PATH
command -v initdb >/dev/null || { echo "SKIPPED: as root, apt-get install postgresql"; exit 77; }
if [ "$(id -u)" = 0 ]; then cd "$(dirname "$0")/../.." && HOME=/tmp exec setpriv --reuid=nobody --regid=nogroup --clear-groups tests/bench/backup_load.sh; fi
. "$(dirname "$0")/../backup/lib.sh"
T=$tmp/t i=$tmp/v.img live=$tmp/live n=${TRANSACTIONS:-2000}; mkdir "$T" "$live"
pid= daemon=
cleanup() { set +e; [ -z "$daemon" ] || kill $daemon; pg_ctl -m immediate -D "$live/pg" stop >/dev/null 2>&1; fusermount3 -quz "$live"; wait; rm -rf "$tmp"; }
trap cleanup EXIT
echo "/ uid=$(id -u) gid=$(id -g)" >"$tmp/own"; "$bin/mkfs.tfs" -q --manifest "$tmp/own" "$i" 600M
"$bin/tfs-fuse" -f "$i" "$live" 2>"$T/fuse" & pid=$!
until mountpoint -q "$live"; do kill -0 $pid 2>/dev/null || { echo "SKIPPED: FUSE cannot be mounted here"; exit 77; }; sleep 0.05; done
initdb -k -A trust --locale=C -E UTF8 -D "$live/pg" >"$T/initdb" 2>&1 || fail "initdb"
printf "shared_buffers=32MB\nmax_wal_size=64MB\nmin_wal_size=32MB\ncheckpoint_timeout=30s\nautovacuum=off\n" >>"$live/pg/postgresql.conf"
pg_ctl -w -t 600 -D "$live/pg" -l "$T/log" -o "-k $T -h ''" start >/dev/null && pgbench -i -q -s 4 -h "$T" postgres >/dev/null 2>&1 || fail "PostgreSQL"
expect 0 "$bk" init "$R" --grace 1h; expect 0 "$bk" run "$R" "$live"
printf 'state = %s\n[job db]\nvolume = %s\nstore = %s\nschedule = every %ss\n' "$T/state" "$live" "$R" "${EVERY:-5}" >"$T/conf"
# processor time, in hundredths of a second, of what of ours runs, with children that ended
cpu() { # PID...
	local sum=0 p
	for p in "$@"; do sum=$((sum + $(sed 's/.*) //' "/proc/$p/stat" | awk '{ print $12 + $13 + $14 + $15 }'))); done
	echo $sum
}
server=$(head -1 "$live/pg/postmaster.pid")
sum() { # all of the server's processes, those that ended, tfs-fuse, and the daemon's
	# shellcheck disable=SC2046
	cpu "$server" $(pgrep -P "$server") "$pid" $daemon
}
round() { # WITH
	local before had began ended; daemon=
	had=$("$bk" list "$R" | wc -l)
	[ "$1" = 0 ] || { "$bk" daemon --config "$T/conf" >"$T/daemon" 2>&1 & daemon=$!; }
	before=$(sum) began=$(date +%s%N)
	pgbench -n -c 4 -t $((n / 4)) -h "$T" postgres >"$T/pgbench" 2>&1 || fail "pgbench"
	ended=$(date +%s%N)
	if [ "$1" = 1 ]; then # a backup under way counts whole
		until "$bk" jobs --config "$T/conf" >/dev/null 2>&1; do [ $(($(date +%s%N) - ended)) -lt 60000000000 ] || break; sleep 0.1; done
		sleep 0.2
	fi
	echo "$1 $n $(((ended - began) / 1000000)) $(($(sum) - before)) $(($("$bk" list "$R" | wc -l) - had))" | tee -a "$T/rounds" >&2
	[ -z "$daemon" ] || { kill $daemon; wait $daemon || true; daemon=; }
}
pgbench -n -c 4 -t $((n / 4)) -h "$T" postgres >/dev/null 2>&1
for ((k = 0; k < ${ROUNDS:-5}; k++)); do if [ $((k % 2)) = 0 ]; then round 0; round 1; else round 1; round 0; fi; done
expect 0 "$bk" verify "$R" --read-data
awk '{ t[$1] += $2; ms[$1] += $3; c[$1] += $4; b += $5 }
END {
	if (!b || !t[0]) { print "no backup was made in a round"; exit 1 }
	printf "without: %.2f ms of processor each, %.0f a second; with: %.2f ms, %.0f a second, a backup every %.1f s (%d)\n", c[0] * 10 / t[0], t[0] * 1000 / ms[0], c[1] * 10 / t[1], t[1] * 1000 / ms[1], ms[1] / 1000 / b, b
	printf "ratio of transactions a second: %.3f; processor time a transaction: %.3f; one backup: %.2f s of processor\n", (t[1] / ms[1]) / (t[0] / ms[0]), (c[1] / t[1]) / (c[0] / t[0]), (c[1] - c[0] * t[1] / t[0]) / 100 / b
}' "$T/rounds"
