# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# SQLite: $transactions transactions of one client, with a rollback journal and with a write-ahead log, synchronous=full.
script() {
	echo "pragma synchronous=full;"
	i=0; while [ $i -lt $transactions ]; do i=$((i + 1))
		echo "begin immediate; insert into t(who,data) values($i % 7,randomblob(300)); update t set data=randomblob(200) where id=$((i / 2)); commit;"
	done
}
script >/tmp/sql
for mode in delete wal; do
	lite() {
		sqlite3 /mnt/$mode.db "pragma journal_mode=$mode; create table t(id integer primary key, who int, data blob); create index i on t(who);" >/dev/null
		m $disk $fs "SQLite, journal_mode=$mode" tps $transactions sh -c "sqlite3 /mnt/$mode.db </tmp/sql >/dev/null"
	}
	each lite
done
