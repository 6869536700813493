#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A database under load on a volume that the module has mounted: backed up by the schedule of tfs-backup's daemon, restored to another
# device, mounted, started and checked by the recipes of docs/BACKUP.md; every transaction that a client saw committed before a run
# is in its backup (tests/backup/database.sh). A database that is not installed is left out, and said; none: 77.
# usage: backup.sh [sqlite|postgresql|redis|mariadb]... [KERNEL]...
. "$(dirname "$0")/lib.sh"
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1) version=$(basename "$(dirname "${pg:-/x/x}")") ran=
dbs=() PATH=$PATH:/usr/sbin
for a in "$@"; do case $a in sqlite | postgresql | redis | mariadb) dbs+=("$a") ;; esac; done
[ ${#dbs[@]} -gt 0 ] || dbs=(sqlite redis postgresql mariadb)
# What of it goes into the guest; nothing: it is not installed.
files() {
	case $1 in
	sqlite) needs sqlite3 && echo "-p sqlite3" ;;
	redis) needs redis-server && echo "-p redis-server -p redis-cli -p redis-benchmark" ;;
	postgresql) needs "$pg/postgres" && echo "-f $pg -f /usr/lib/postgresql/$version/lib -f /usr/share/postgresql/$version -f /usr/share/zoneinfo" ;;
	mariadb) needs mariadbd && echo "-f /usr/sbin/mariadbd -p mariadb -p mariadb-admin -p mariadb-check -f /usr/bin/my_print_defaults -f /usr/bin/resolveip -f /usr/bin/mariadb-install-db -f /usr/share/mysql -f /usr/lib/mysql/plugin" ;;
	esac
}
needs() { command -v "$1" >/dev/null; }
for k in "${KERNELS[@]}"; do for DB in "${dbs[@]}"; do
	with=$(files "$DB") || { echo "LEFT OUT: $DB is not installed: as root, apt-get install sqlite3 postgresql redis-server mariadb-server"; continue; }
	{
		echo "DB=$DB DOC=$PWD/docs/BACKUP.md pg=$pg"
		cat <<'J'
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu LC_ALL=C PATH=$pg:/usr/bin:/bin:/usr/sbin:/sbin TFS_BACKUP_KEY_FILE=/root/key
echo 'postgres:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd; echo 'postgres:x:1000:' >>/etc/group; chmod 1777 /tmp /dev/shm
hostname localhost; echo '127.0.0.1 localhost' >>/etc/hosts # MariaDB wants to find itself
T=/tmp/t LIVE=/srv/db BACK=/mnt BK=tfs-backup R=/tmp/repo
mkdir -p $T $LIVE $BACK; chown postgres $T; dd if=/dev/urandom of=/root/key bs=64 count=1 2>/dev/null
mount -t tfs /dev/vda $LIVE && chown postgres $LIVE || exit 1
as_db() { su postgres -c "export LD_LIBRARY_PATH=$LD_LIBRARY_PATH LC_ALL=C PATH=$PATH; $1"; }
restored() { tfs-backup -q restore $R $1 --to /dev/vdb --force && fsck.tfs -fn --data /dev/vdb >/tmp/fsck && mount -t tfs /dev/vdb $BACK; }
away() { n=0; until umount $BACK 2>/dev/null; do n=$((n + 1)); [ $n -lt 600 ] || return 1; sleep 0.1; done; } # a server has said that it ended before it has
tfs-backup init $R --grace 1h || exit 1
J
		echo ". $PWD/tests/backup/database.sh"
		cat <<'J'
tfs-backup -q verify $R --read-data || { echo "FAILED: verify"; exit 1; }
n=0; until umount $LIVE 2>/dev/null; do n=$((n + 1)); [ $n -lt 600 ] || break; sleep 0.1; done; ! grep -q " $LIVE tfs " /proc/mounts || { echo "FAILED: unmount"; exit 1; }
echo "$DB: $(cut -d' ' -f1 /proc/uptime) s"
J
	} | job
	echo "== $k: $DB"; volume 500M; rm -f "$tmp/r"; truncate -s 500M "$tmp/r"
	# shellcheck disable=SC2086
	LIMIT=${LIMIT:-2400} guest -m 2500 -p "$bin/tfs-backup" -p "$bin/fsck.tfs" -f "$PWD/docs/BACKUP.md" -f "$PWD/tests/backup/database.sh" $with "$tmp/t" "$tmp/r" || bad "$DB"
	sound "$DB"; ran=1
done; done
[ -n "$ran" ] || skip "no database is installed: as root, apt-get install sqlite3 postgresql redis-server mariadb-server"
finish
