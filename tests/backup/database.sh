# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced (POSIX sh; in a guest by busybox) by tests/backup/test_database.sh and tests/kernel/backup.sh: a database under load on a
# volume is backed up by the daemon, restored elsewhere, started and checked by the recipes of docs/BACKUP.md, word for word but
# for paths. What is shown: whatever a client saw committed before a run began is in that run's backup, and nothing is missing
# between. The caller sets DB (sqlite postgresql redis mariadb), LIVE and BACK (where the volume and what is restored are mounted), T (a
# folder for sockets and notes, of whoever runs databases), R (a repository that is there), DOC, BK (tfs-backup), TFS_BACKUP_KEY_FILE, RUNS (3);
# and functions: as_db COMMAND (by whoever runs databases), restored N (backup N on BACK), away (BACK is unmounted again).
RUNS=${RUNS:-3}
die() { echo "FAILED: $DB: $*"; cat "$T/daemon.log" "$T"/*.err 2>/dev/null | tail -30; exit 1; }
recipe() { # NAME: the block below <!-- recipe: NAME -->
	awk -v want="<!-- recipe: $1 -->" '$0 == want { on = 1; next } on && /^```/ { if (++fence == 2) exit; next } on && fence' "$DOC" |
		sed "s,/srv/db,$LIVE,g; s,/mnt,$BACK,g; s,/tmp\([/ ]\),$T\1,g; s,^store = .*,store = $R,; s,every 15m,every 1s,"
}
follow() { # NAME
	recipe "$1" >"$T/$1.sh"; [ -s "$T/$1.sh" ] || die "no recipe $1 in $DOC"
	as_db "sh -ex $T/$1.sh" </dev/null >"$T/$1.out" 2>"$T/$1.err" || die "recipe $1: $(cat "$T/$1.out")"
}

# ---- the databases: make and start; one transaction (WHO N), 0 when it was answered; other work; rows of each client that are restored ----
case $DB in
sqlite)
	start_() { as_db "sqlite3 $LIVE/app.db 'pragma journal_mode=wal; create table t(who int, n int, data blob, primary key(who, n)); create table noise(id integer primary key, data blob)'" >/dev/null; }
	commit_() { sqlite3 -bail -cmd '.timeout 600000' "$LIVE/app.db" "begin immediate; insert into t values($1,$2,randomblob(2000)); update t set data=randomblob(3000) where who=$1 and n=$2/2; commit"; }
	noise_() { while [ ! -e "$T/stop" ]; do echo "begin immediate; insert into noise(data) values(randomblob(20000)); delete from noise where id<(select max(id) from noise)-50; commit;"; done | sqlite3 -cmd '.timeout 600000' "$LIVE/app.db"; }
	counts_() { sqlite3 -separator ' ' "$BACK/app.db" 'select who, count(*), max(n) from t group by who order by who'; }
	stop_() { :; } ;;
postgresql)
	sql() { as_db "psql -qAt -F ' ' -v ON_ERROR_STOP=1 -h $T -d postgres -c \"$1\""; }
	start_() {
		as_db "initdb -k -A trust -D $LIVE/pg" >"$T/initdb.out" 2>&1 || die "initdb: $(cat "$T/initdb.out")"
		printf "shared_buffers=16MB\nmax_wal_size=48MB\nmin_wal_size=32MB\n" >>"$LIVE/pg/postgresql.conf"
		as_db "pg_ctl -w -t 1200 -D $LIVE/pg -l $T/live.err -o '-k $T -h \"\"' start" >/dev/null && sql 'create table t(who int, n int, data text, primary key(who, n))' &&
			as_db "pgbench -i -q -s 1 -h $T postgres" >/dev/null 2>&1
	}
	commit_() { sql "insert into t values($1,$2,repeat('x',500)); update t set data=repeat('y',1000) where who=$1 and n=$2/2"; }
	noise_() { as_db "pgbench -n -c 2 -T 100000 -h $T postgres"; }
	counts_() { sql 'select who, count(*), max(n) from t group by who order by who'; }
	stop_() { as_db "pg_ctl -w -m fast -D $1/pg stop"; } ;;
redis)
	start_() {
		as_db "mkdir $LIVE/redis" && as_db "redis-server --port 0 --unixsocket $T/live.sock --dir $LIVE/redis --save '' --appendonly yes --appendfsync always --auto-aof-rewrite-min-size 1mb --daemonize yes --logfile $T/live.err" >/dev/null
		until [ "$(redis-cli -s "$T/live.sock" ping 2>/dev/null)" = PONG ]; do sleep 0.1; done
	}
	commit_() { [ "$(redis-cli -s "$T/live.sock" set "t:$1:$2" "$(seq -s ' ' 1 300)")" = OK ]; }
	noise_() { redis-benchmark -s "$T/live.sock" -t set -c 2 -n 50000 -d 300 -r 200; }
	counts_() { redis-cli -s "$T/restored.sock" --scan --pattern 't:*' | awk -F: '{ n[$2]++; if ($3 > m[$2]) m[$2] = $3 + 0 } END { for (w in n) print w, n[w], m[w] }' | sort; }
	stop_() { case $1 in "$LIVE") redis-cli -s "$T/live.sock" shutdown nosave ;; *) redis-cli -s "$T/restored.sock" shutdown ;; esac; } ;;
mariadb)
	sql() { mariadb -u root -S "$1" -N -e "$2"; }
	start_() {
		as_db "mariadb-install-db --no-defaults --datadir=$LIVE/mysql --auth-root-authentication-method=normal --skip-test-db" >"$T/install.out" 2>&1 || die "install: $(cat "$T/install.out")"
		as_db "mariadbd --no-defaults --datadir=$LIVE/mysql --socket=$T/live.sock --skip-networking --pid-file=$T/live.pid --innodb-log-file-size=8M --innodb-buffer-pool-size=16M" 2>"$T/live.err" &
		until mariadb-admin -u root -S "$T/live.sock" ping >/dev/null 2>&1; do kill -0 $! 2>/dev/null || die "mariadbd ended"; sleep 0.2; done
		sql "$T/live.sock" 'create database app; create table app.t(who int, n int, data text, primary key(who, n)) engine=innodb; create table app.noise(id int primary key, data text) engine=innodb'
	}
	commit_() { sql "$T/live.sock" "start transaction; insert into app.t values($1,$2,repeat('x',500)); update app.t set data=repeat('y',1000) where who=$1 and n=$2 div 2; commit"; }
	noise_() { i=0; while [ ! -e "$T/stop" ]; do i=$((i + 1)); echo "replace into app.noise values($((i % 50)), repeat('z', $((i % 20000))));"; done | mariadb -u root -S "$T/live.sock"; }
	counts_() { sql "$T/restored.sock" 'select who, count(*), max(n) from app.t group by who order by who' | tr '\t' ' '; }
	stop_() { case $1 in "$LIVE") s=live ;; *) s=restored ;; esac; mariadb-admin -u root -S "$T/$s.sock" shutdown; while [ -e "$T/$s.pid" ]; do sleep 0.1; done; } ;;
esac

client() { # WHO: one transaction after the other; what was answered is written down then
	n=0
	while [ ! -e "$T/stop" ]; do
		n=$((n + 1))
		commit_ "$1" $n >"$T/client$1.err" 2>&1 || { [ -e "$T/stop" ] || echo "client $1, transaction $n: $(cat "$T/client$1.err")" >>"$T/broken"; return; }
		echo $n >>"$T/acked.$1"
	done
}
made() { ls "$T" | grep -c '^before\.[0-9]' || true; }

# ---- load, and the schedule beside it ----
rm -f "$T/stop"; start_ || die "does not start"
: >"$T/acked.1"; : >"$T/acked.2"
client 1 & c1=$!
client 2 & c2=$!
noise_ >/dev/null 2>&1 & noise=$!
until [ "$(tail -n 1 "$T/acked.1")" -ge 5 ] 2>/dev/null && [ "$(tail -n 1 "$T/acked.2")" -ge 5 ] 2>/dev/null; do [ ! -e "$T/broken" ] || die "$(cat "$T/broken")"; sleep 0.1; done
cat >"$T/post" <<P
[ "\$TFS_BACKUP_RESULT" = 0 ] || exit 0
mv $T/before.now $T/before.\$((\$(ls $T | grep -c '^before\.[0-9]') + 1))
P
{ echo "state = $T/state"; recipe job; echo "pre = for c in 1 2; do tail -n 1 $T/acked.\$c; done >$T/before.now"; echo "post = sh $T/post"; } >"$T/conf"
$BK daemon --config "$T/conf" >"$T/daemon.log" 2>&1 & daemon=$!
while [ "$(made)" -lt "$RUNS" ]; do
	[ ! -e "$T/broken" ] || die "$(cat "$T/broken")"
	kill -0 $daemon 2>/dev/null || die "the daemon ended"
	! grep -q 'no backup' "$T/daemon.log" || die "a run failed"
	sleep 0.1
done
kill $daemon; wait $daemon || die "the daemon ended with $?"
touch "$T/stop"; wait $c1 $c2; kill $noise 2>/dev/null; wait $noise 2>/dev/null
[ ! -e "$T/broken" ] || die "$(cat "$T/broken")"
stop_ "$LIVE" >/dev/null 2>&1 || die "does not stop"

# ---- restored elsewhere, started, checked ----
last=$(made)
for k in 1 "$last"; do
	restored "$k" || die "restore of backup $k"
	follow "$DB-check"
	counts_ >"$T/counts" || die "backup $k: the rows cannot be read"
	for c in 1 2; do
		had=$(sed -n "${c}p" "$T/before.$k")
		found=$(sed -n "s/^$c \([0-9]*\) .*/\1/p" "$T/counts") most=$(sed -n "s/^$c [0-9]* \([0-9]*\)$/\1/p" "$T/counts")
		[ "${had:-0}" -ge 5 ] || die "backup $k: only '$had' transactions of client $c before it: no load"
		[ "${found:-0}" -ge "$had" ] && [ "$found" = "$most" ] || die "backup $k: client $c had seen $had committed; $found are there, the last is $most"
		echo "$DB, backup $k, client $c: $had committed before it, $found in it"
	done
	[ "$DB" = sqlite ] || stop_ "$BACK" >/dev/null 2>&1 || die "backup $k: does not stop"
	away || die "unmount of what was restored"
done
