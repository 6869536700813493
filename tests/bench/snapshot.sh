#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Snapshots of a large volume of many files that a database works on: FILES (200000) files of 1 to 160 KiB, codec none, and PostgreSQL's, made
# by mkfs.tfs and mounted by the module in a guest that counts its instructions: its clock is a billion of them a second and stands
# still for the host's other work; only while nothing runs does it go on as the host's (so a disk's answer takes what the host takes).
#   load     pgbench, RATE (300) transactions a second for SECONDS_EACH (12), and beside it a writer that syncs 4 KiB every 2 ms: with no
#            snapshot and one plain checkpoint; with a snapshot a second; with one of these deleted a second
#   diff     one snapshot before and one after 1% of the files were overwritten (4 KiB each): `tfs snapshot diff` beside a walk over all
#            names and attributes of one of them, nothing cached; and the same for 1% that lie together
#   delete   the oldest of these; then a tenth of the files is removed and the last goes, which held them
# usage: snapshot.sh [-q] [KERNEL]   (-q: 5,000 files, to see that it runs; default: the newest kernel). A table on standard output, and
# in docs/bench/snapshot.md without -q. IMAGES (/var/tmp): where the volume lies, some 13 GB. Exit code: 0; 1: something failed; 77: skipped
quick=
[ "${1:-}" != -q ] || { quick=1; shift; }
. "$(dirname "$0")/../kernel/lib.sh"
. tests/bench/pg.sh
k=${KERNELS[-1]} files=${FILES:-200000}
[ -z "$quick" ] || files=${FILES:-5000}
folder=$(mktemp -d "${IMAGES:-/var/tmp}/tfs-snapshot.XXXXXX"); trap 'rm -rf "$tmp" "$folder"' EXIT
for p in measure latency snapload; do compiled $p tests/bench/$p.c; done
pg_database 4
sizes=(1 5 12 24 40 64 100 160) # KiB, a file after the other
for i in ${!sizes[@]}; do openssl enc -aes-128-ctr -pass pass:$i -nosalt -in /dev/zero 2>/dev/null | head -c $((sizes[i] * 1024)) >"$tmp/c$i"; done
awk -v n="$files" -v c="$tmp/c" 'BEGIN { for (i = 0; i < n; i++) printf "d%04d/f%06d type=file content=%s%d\n", i / 100, i, c, i % 8 }' >"$tmp/list"
size=${SIZE:-$((files * 64 / 1024 + 800))M}
ln -s "$folder/t" "$tmp/t"
"$bin/mkfs.tfs" -q --compress none --from "$tmp/src" --manifest "$tmp/list" --size "$size" "$folder/t" || exit 1
echo "volume made: $size, $(du -m "$folder/t" | cut -f1) MiB used of the host's disk, $(date +%T)"
{
	echo "files=$files rate=${RATE:-300} seconds=${SECONDS_EACH:-12}"
	pg_prelude
	cat <<'J'
at() { echo "# $(cut -d' ' -f1 /proc/uptime) $*"; }
counter() { cat /sys/fs/tfs/vda/$1; }
up() { mount -t tfs -o noatime /dev/vda /srv/db || fail mount; }
cold() { umount /srv/db && echo 3 >/proc/sys/vm/drop_caches && up; }
held() { echo "held $1 $(counter checkpoint_held_ns) $(counter checkpoint_waits) $(counter checkpoints)"; }
gone() { while [ "$(counter snapshots_dying)" != 0 ]; do sleep 0.05; done; }
under_load() { # NAME WHAT-latency-TAKES...: pgbench, and beside it the writer
	name=$1; shift; at "$name, $(date +%s)"
	as "pgbench -n -c 4 -R $rate -T $seconds -l --log-prefix=/tmp/m/l$name postgres" >/tmp/m/pgbench 2>&1 & load=$!
	latency beside /srv/db/latency $seconds "$@" >/tmp/m/latency || fail latency
	wait $load || fail pgbench
	sed "s/^/fsync|$name|/" /tmp/m/latency; echo "pgbench $name $(pg_latency l$name)"; held $name
	cat /tmp/m/l$name.* | sort -nk3 | awk 'END { print "# the longest transaction ended at " $5 "." $6 }'
}
up; pg_start; as "pgbench -n -c 4 -t 100 postgres" >/dev/null 2>&1 || fail pgbench
at "waiting for a checkpoint, so that the next falls into the first load"
n=$(counter checkpoints); while [ $(counter checkpoints) = $n ]; do echo >/srv/db/x; sleep 0.3; done; sleep $((30 - seconds / 2))
held none; under_load plain /sys/fs/tfs/vda
under_load creates "sync -f /srv/db" 'tfs -q snapshot create /srv/db s$N'
[ "$(counter snapshots)" -ge $((seconds / 3)) ] || fail "$(counter snapshots) snapshots in $seconds s"
made=$(counter snapshots); echo "made $made"
under_load deletes "sync -f /srv/db" '[ ! -e /srv/db/.snapshots/s$N ] || tfs -q snapshot delete /srv/db s$N'
grep checkpoint /tmp/m/log | sed 's/^/# /'
pg_stop; for s in $(ls /srv/db/.snapshots); do tfs -q snapshot delete /srv/db $s; done; gone

at diff
tfs -q snapshot create /srv/db before || fail create
spread=$(snapload change /srv/db 0 $files 99) || fail change
sync -f /srv/db; tfs -q snapshot create /srv/db after || fail create
together=$(snapload change /srv/db $((files / 2)) $((files / 2 + files / 100)) 1) || fail change
sync -f /srv/db; tfs -q snapshot create /srv/db later || fail create
differ() { # NAME OPTION OLDER NEWER CHANGED: nine times (of processor time only ticks are counted), nothing cached; all that changed is found
	for i in 1 2 3 4 5 6 7 8 9; do cold; measure vda diff $1 s 1 sh -c "tfs snapshot diff $2 /srv/db $3 $4 >/tmp/m/diff" || fail diff; done
	n=$(grep -c ^modified /tmp/m/diff); [ $n = $5 ] || fail "$1: $5 files were changed, found $n: $(head -3 /tmp/m/diff)"
}
differ spread "" before after $spread
n=$(grep -c "^modified .*path='d[0-9]*/f" /tmp/m/diff); [ $n = $spread ] || fail "$spread files were changed, found paths of $n"
measure vda diff cached s 1 sh -c 'tfs snapshot diff /srv/db before after >/tmp/m/diff' || fail diff
differ spread-inodes -i before after $spread
differ together "" after later $together
differ together-inodes -i after later $together
cold; measure vda walk all s 1 sh -c 'snapload walk /srv/db/.snapshots/after >/tmp/m/walk' || fail walk
measure vda walk cached s 1 sh -c 'snapload walk /srv/db/.snapshots/after >/tmp/m/walk' || fail walk
[ $(cat /tmp/m/walk) -ge $files ] || fail "the walk met $(cat /tmp/m/walk) files of $files"
echo "changed $spread $together $(cat /tmp/m/walk)"
tfs -q snapshot delete /srv/db after || fail delete; gone

t=/sys/kernel/tracing; mount -t tracefs none $t 2>/dev/null; echo 'p:freeing tfs_snapshot_step' >$t/kprobe_events && echo 1 >$t/events/kprobes/freeing/enable || fail "no kprobe"
steps() { awk '$1 == "freeing" { print $2 }' $t/kprobe_profile; }
deleted() { # SNAPSHOT
	sync -f /srv/db; h=$(counter snapshot_bytes) f=$(counter free_blocks) n=$(steps)
	measure vda delete $1 s 1 sh -c "tfs -q snapshot delete /srv/db $1; while [ \$(cat /sys/fs/tfs/vda/snapshots_dying) != 0 ]; do sleep 0.01; done" || fail "delete $1"
	echo "freed $1 $((h - $(counter snapshot_bytes))) $(($(steps) - n)) $(($(counter free_blocks) - f))"
}
at delete
deleted before
i=0; while [ $i -lt $((files / 1000)) ]; do rm -r /srv/db/$(printf d%04d $i) || fail rm; i=$((i + 1)); done
deleted later
held end; umount /srv/db || fail umount; at end
J
} >"$tmp/$name.sh"
tests/kernel/guest.sh -t "${LIMIT:-3000}" -i -m 2000 -p "$bin/tfs" -p "$tmp/measure" -p "$tmp/latency" -p "$tmp/snapload" "${pg_options[@]}" "$k" "$tmp/$name.sh" "$tmp/t" | tee "$tmp/said"
[ "${PIPESTATUS[0]}" = 0 ] || { bad "in the guest"; finish; }
sound "snapshots"
tests/bench/snapshot_report.sh "$k" "$files" "${size%M} MiB" <"$tmp/said" >"$tmp/table" || { bad "the report"; finish; }
cat "$tmp/table"
[ -n "$quick" ] || cp "$tmp/table" docs/bench/snapshot.md
finish
