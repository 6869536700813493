#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What backups do to transactions on a volume that the module has mounted: pgbench in a guest, which counts its instructions (what the host
# does meanwhile has no part in processor time, and little in the rest), in rounds of a fixed number of transactions by turns without and with
# tfs-backup's daemon beside it, which backs up every EVERY (3) seconds into memory. Of each kind: transactions a second, processor time
# of all that runs in the guest a transaction, and how long transactions took at most: a snapshot that stalls shows there.
# (backup_load.sh: the same on tfs-fuse.) ROUNDS (2) of each kind, TRANSACTIONS (4000) each. usage: backup_guest.sh [KERNEL] (default: the newest)
. "$(dirname "$0")/../kernel/lib.sh"
. tests/bench/pg.sh
k=${KERNELS[-1]}
pg_database 4
"$bin/mkfs.tfs" -q --from "$tmp/src" --size 800M "$tmp/t" || exit 1
{
	echo "n=${TRANSACTIONS:-4000} rounds=${ROUNDS:-2} every=${EVERY:-3}"
	pg_prelude
	cat <<'J'
export TFS_BACKUP_KEY_FILE=/root/key; dd if=/dev/urandom of=/root/key bs=64 count=1 2>/dev/null
mount -t tfs /dev/vda /srv/db || fail mount
R=/tmp/m/repo; tfs-backup init $R --grace 1h >/dev/null && tfs-backup -q run $R /srv/db || fail "the first backup"
pg_start
printf 'state = /tmp/m/state\n[job db]\nvolume = /srv/db\nstore = %s\nschedule = every %ss\n' $R $every >/tmp/m/conf
busy() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat; } # of 10 ms
now() { awk '{ print int($1 * 100) }' /proc/uptime; }
backups() { tfs-backup list $R | grep -c .; }
round() { # WITH
	had=$(backups) daemon=
	[ $1 = 0 ] || { tfs-backup daemon --config /tmp/m/conf >/tmp/m/daemon 2>&1 & daemon=$!; }
	b=$(busy) t=$(now)
	as "pgbench -n -c 4 -t $((n / 4)) -l --log-prefix=/tmp/m/l$1.$2 postgres" >/tmp/m/pgbench 2>&1 || fail pgbench
	t=$(($(now) - t))
	[ $1 = 0 ] || { w=0; until tfs-backup jobs --config /tmp/m/conf >/dev/null 2>&1; do w=$((w + 1)); [ $w -lt 300 ] || fail "the daemon's run does not end"; sleep 0.1; done; }
	echo "round $1 $n $t $(($(busy) - b)) $(($(backups) - had))"
	[ -z "$daemon" ] || { kill $daemon; wait $daemon; }
}
as "pgbench -n -c 4 -t 100 postgres" >/dev/null 2>&1 || fail pgbench
i=0; while [ $i -lt $rounds ]; do if [ $((i % 2)) = 0 ]; then round 0 $i; round 1 $i; else round 1 $i; round 0 $i; fi; i=$((i + 1)); done
for w in 0 1; do echo "latency $w $(pg_latency l$w)"; done
pg_stop
tfs-backup -q verify $R --read-data || fail verify
umount /srv/db || fail umount
J
} >"$tmp/$name.sh"
tests/kernel/guest.sh -t "${LIMIT:-3000}" -i -m 2000 -p "$bin/tfs-backup" "${pg_options[@]}" "$k" "$tmp/$name.sh" "$tmp/t" | tee "$tmp/said"
[ "${PIPESTATUS[0]}" = 0 ] || { bad "in the guest"; finish; }
sound "pgbench and backups"
awk '$1 == "round" { t[$2] += $3; cs[$2] += $4; c[$2] += $5; b += $6 } $1 == "latency" { l[$2] = sprintf("half within %.1f ms, 99%% within %.1f ms, all within %.1f ms", $3 / 1000, $4 / 1000, $5 / 1000) }
END {
	if (!b || !t[0]) { print "no backup was made in a round"; exit 1 }
	printf "without: %.0f transactions a second, %.2f ms of processor each; %s\n", t[0] * 100 / cs[0], c[0] * 10 / t[0], l[0]
	printf "with a backup every %.1f s (%d): %.0f, %.2f ms; %s\n", cs[1] / 100 / b, b, t[1] * 100 / cs[1], c[1] * 10 / t[1], l[1]
	printf "one backup: %.2f s of processor of a billion instructions a second\n", (c[1] - c[0] * t[1] / t[0]) / 100 / b
}' "$tmp/said" || failed=1
finish
