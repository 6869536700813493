#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Log forwarding by the module (-o ship) to tfs-logship receive in the same guest, which writes durably to a disk of its own. One boot:
# what is inert, refused, rotated, truncated, unlinked; collectors that are killed, come back, never read; remounts, a freeze, an unmount
# meanwhile; a mount in a network namespace. Then the guest is killed N times while writers write and sync, rename, truncate and punch their files, and the collector is killed, too:
# of the lines that were durable none is missing at the end, and after a clean unmount nothing is sent again.
# usage: ship.sh [-n N] [-q] [KERNEL]...   (N: default 10; -q: part of the first boot alone)
n=10 quick=
while getopts n:q o; do case $o in n) n=$OPTARG ;; q) quick=1 n=0 ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
command -v debugfs >/dev/null || skip "debugfs is missing: as root, apt-get install e2fsprogs"
compiled lines tests/kernel/lines.c
collected() { # what the collector wrote to the second disk
	e2fsck -fy "$tmp/e" >/dev/null 2>&1; debugfs -R "dump /out $tmp/out" "$tmp/e" >/dev/null 2>&1; [ -s "$tmp/out" ]
}
checked() { # [once]
	collected && python3 tests/kernel/ship_lines.py "$tmp/out" "$tmp/acks" "$@" >"$tmp/said" 2>&1 || bad "at the collector"
	sed "s/^/$k: /" "$tmp/said"
}
prelude() {
	cat <<'J'
fail() { echo "FAILED: $*"; cat /sys/fs/tfs/vda/ship_* 2>/dev/null; dmesg | grep ship | tail -5; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
collector() { # PORT [OPTION]...
	tfs-logship receive ${proto:---relp} 127.0.0.1:$1 --json -o /c/out 2>/tmp/heard & collector=$!
	until grep -q 'listening for' /tmp/heard; do kill -0 $collector || fail "collector: $(cat /tmp/heard)"; sleep 0.05; done
}
gone() { kill -9 $collector; wait $collector 2>/dev/null; } # ash says Killed
counter() { cat /sys/fs/tfs/vda/ship_$1; }
pending() { tfs ship list /mnt --json | sed 's/.*"pending":\([0-9]*\).*/\1/' | awk '{ s += $1 } END { print s + 0 }'; }
until_() { local i=0; until eval "$*"; do i=$((i+1)); [ $i -lt 1200 ] || fail "not within a time: $*"; sleep 0.1; done; }
all_sent() { until_ '[ "$(pending)" = 0 ]'; }
mkdir -p /c; mount -t ext4 /dev/vdb /c || fail "the collector's disk"
J
}
first_boot() {
	prelude; echo "quick=$quick"
	cat <<'J'
mount -t tfs /dev/vda /mnt && mkdir /mnt/log || fail mount
tfs -q ship add /mnt/log 'relp://127.0.0.1:2514?max=2048' '*.log' || fail "ship add"
collector 2514
at "inert without -o ship"
lines /mnt/log 1 2 50 10 0 || fail lines
[ ! -s /c/out ] && [ -z "$(cat /sys/fs/tfs/vda/ship_collectors)" ] && ! ps | grep -q '[t]fs-ship' || fail "sent without -o ship"
at "remounted with it"
mount -o remount,ship /mnt && grep -q 'tfs rw.*,ship' /proc/mounts || fail "remount,ship: $(grep tfs /proc/mounts)"
all_sent; [ "$(wc -l </c/out)" -ge 100 ] || fail "$(wc -l </c/out) lines arrived"
at "several writers, renamed files, the collector killed twice"
lines /mnt/log 2 3 300 20 100 & w=$!
until_ '[ "$(counter acknowledged)" -ge 300 ]'; gone; sleep 0.3; collector 2514
until_ '[ "$(counter acknowledged)" -ge 600 ]'; gone; wait $w || fail lines; collector 2514
all_sent; gone; lines /mnt/log 10 1 30 10 0 || fail lines
until_ '[ "$(counter reconnects)" -ge 1 ]'; [ "$(pending)" -gt 0 ] || fail "a cursor moved while nobody collects"; collector 2514; all_sent
if [ -z "$quick" ]; then
at "copied and truncated, unlinked, not synced"
for r in 3 4; do
	lines /mnt/log $r 2 60 10 0 || fail lines; all_sent
	for f in /mnt/log/w0.log /mnt/log/w1.log; do cp $f $f.old; : >$f; done
done
lines /mnt/log 5 2 60 0 0 || fail lines; for t in 0 1; do echo "5 $t 60" >/dev/ack; done # nobody syncs
until_ 'grep -q "round 5 writer 0 line 59:" /c/out && grep -q "round 5 writer 1 line 59:" /c/out' # what is not written back is not counted as pending
all_sent; rm /mnt/log/w0.log; sync; lines /mnt/log 6 1 30 10 0 || fail "after unlink"; all_sent
at "unlinked while nobody collects, then a remount"
gone; lines /mnt/log 11 2 60 10 0 || fail lines; lines /mnt/log 12 1 60 0 0 && echo "12 0 60" >/dev/ack || fail lines; rm /mnt/log/w0.log /mnt/log/w1.log # 12: nobody synced
[ "$(counter kept_bytes)" -gt 0 ] || fail "nothing is kept of what was removed"
umount /mnt && mount -t tfs -o ship /dev/vda /mnt || fail "remount"; [ "$(counter kept_bytes)" -gt 0 ] || fail "nothing is kept after a mount"
collector 2514; all_sent; until_ '[ "$(counter kept_bytes)" = 0 ]'; [ "$(counter lost_bytes)" = 0 ] || fail "lost: $(counter lost_bytes)"
at "copied and truncated, punched, while nobody collects, then a remount"
gone; lines /mnt/log 13 2 60 10 0 || fail lines; lines /mnt/log 14 2 60 0 0 && echo "14 0 60" >/dev/ack && echo "14 1 60" >/dev/ack || fail lines # 14: nobody synced
for f in /mnt/log/w0.log /mnt/log/w1.log; do cp $f $f.old; : >$f; done; lines /mnt/log 15 3 100 10 30 || fail lines
kept=$(counter kept_bytes); [ "$kept" -gt 16384 ] || fail "of what was cut off $kept bytes are kept"
umount /mnt && mount -t tfs -o ship /dev/vda /mnt || fail "remount"; [ "$(counter kept_bytes)" -ge "$kept" ] || fail "after a mount $(counter kept_bytes) of $kept bytes are kept"
collector 2514; all_sent; until_ '[ "$(counter kept_bytes)" = 0 ]'; [ "$(counter lost_bytes)" = 0 ] || fail "lost: $(counter lost_bytes)"
at "a line without an end"
printf 'half' >/mnt/log/h.log; sync; sleep 2; ! grep -q ' half' /c/out || fail "half a line was sent"
printf ' a line\n' >>/mnt/log/h.log; all_sent; until_ 'grep -q " half a line" /c/out'
exec 5>>/mnt/log/o.log; printf 'open half' >&5; rm /mnt/log/o.log; sync; sleep 2.5; ! grep -q ' open half' /c/out || fail "what may go on was sent"
exec 5>&-; until_ 'grep -q " open half" /c/out' # nobody has it any more: it goes, though nothing else happens
at "remounted, frozen"
lines /mnt/log 7 2 200 10 50 & w=$!
for i in 1 2 3; do sleep 0.3; fsfreeze --freeze /mnt && sleep 0.3 && fsfreeze --unfreeze /mnt || fail "freeze"; done; wait $w
mount -o remount,ro /mnt || fail "remount,ro"; ! ps | grep -q '[t]fs-ship' || fail "a thread is left when it is read-only"
mount -o remount,rw /mnt || fail "remount,rw"; all_sent
mount -o remount,noship /mnt; ! ps | grep -q '[t]fs-ship' || fail "a thread is left with noship"; mount -o remount,ship /mnt
at "a name for a collector, too many, rules that go"
tfs -q ship add /mnt/log 'relp://localhost:2514' 'x.log' || fail "ship add"
grep -q 'relp://localhost:2514 refused' /sys/fs/tfs/vda/ship_collectors && dmesg | grep -q 'resolves no names' || fail "a name is not refused: $(cat /sys/fs/tfs/vda/ship_collectors)"
for i in $(seq 1 18); do mkdir -p /mnt/m$i; tfs -q ship add /mnt/m$i "relp://127.0.0.1:$((3000 + i))" || fail "rule $i"; done
[ "$(wc -l </sys/fs/tfs/vda/ship_collectors)" = 16 ] && dmesg | grep -q 'more than 16 collectors' || fail "$(wc -l </sys/fs/tfs/vda/ship_collectors) threads"
tfs -q ship remove /mnt $(tfs ship list /mnt --json | grep -v 2514?max | sed 's/.*"rule":\([0-9]*\).*/\1/') || fail "ship remove"
[ "$(wc -l </sys/fs/tfs/vda/ship_collectors)" = 1 ] || fail "threads stay: $(cat /sys/fs/tfs/vda/ship_collectors)"
at "by TCP and UDP, at most 100 a second"
relp=$collector; proto=--tcp collector 2601; tcp=$collector; proto=--udp collector 2602; udp=$collector collector=$relp; mkdir /mnt/tcp /mnt/udp
tfs -q ship add /mnt/tcp 'tcp://127.0.0.1:2601' && tfs -q ship add /mnt/udp 'udp://127.0.0.1:2602?rate=100' || fail "ship add"
lines /mnt/tcp 8 1 300 50 0 && lines /mnt/udp 9 1 60 20 0 || fail lines; all_sent
until_ 'grep -q "round 8 writer 0 line 299:" /c/out && grep -q "round 9 writer 0 line 59:" /c/out'
at "mounted in a network namespace, whose loopback is another"
all_sent; umount /mnt || fail umount
unshare -n sh -c 'ip link set lo up; tfs-logship receive --relp 127.0.0.1:2514 --json -o /c/inside 2>/tmp/inside & echo $! >/tmp/inside.pid
	until grep -q "listening for" /tmp/inside; do kill -0 $! || exit 1; sleep 0.05; done; mount -t tfs -o ship /dev/vda /mnt' || fail "in a namespace: $(cat /tmp/inside)"
echo 'said outside' >/mnt/log/n.log; sync; until_ 'grep -q " said outside" /c/inside'; all_sent; ! grep -q ' said outside' /c/out || fail "sent by who wrote, not by who mounted"
umount /mnt && kill $(cat /tmp/inside.pid) && mount -t tfs -o ship /dev/vda /mnt || fail remount
fi
at "unmounted while one never reads"
live=$collector; collector 2700; dead=$collector collector=$live; kill -STOP $dead # its kernel takes connections
mkdir /mnt/dead; tfs -q ship add /mnt/dead 'relp://127.0.0.1:2700' && echo "x" >/mnt/dead/x && sync && sleep 1 || fail "ship add"
umount /mnt || fail umount; at unmounted
mount -t tfs -o ship /dev/vda /mnt || fail "mount -o ship"
r=$(tfs ship list /mnt --json | grep ':2700' | sed 's/.*"rule":\([0-9]*\).*/\1/'); tfs -q ship remove /mnt $r || fail "ship remove $r"
all_sent; before=$(wc -l </c/out); sleep 1.5; [ "$(wc -l </c/out)" = "$before" ] || fail "sent again after an unmount"
kill -9 $dead; wait $dead 2>/dev/null; umount /mnt || fail umount
kill $collector $tcp $udp; wait $collector $tcp $udp; umount /c || fail "umount /c"; at end
J
}
for k in "${KERNELS[@]}"; do
	echo "== $k"; volume 4G; other 256M # of what is cut off a hundredth is kept
	first_boot | job; programs=(-p "$tmp/lines" -p "$bin/tfs" -p "$bin/tfs-logship")
	LIMIT=400 guest "${programs[@]}" -a "$tmp/acks" "$tmp/t" "$tmp/e" || bad "in the guest"
	sound "the first boot"; checked
	[ "$n" -gt 0 ] && [ $failed = 0 ] || continue
	for i in $(seq 1 "$n"); do
		{ prelude; echo "i=1$i"; cat <<'J'
mount -t tfs -o ship /dev/vda /mnt || fail mount
collector 2514
( while sleep 1.3; do gone; sleep 0.4; collector 2514; done ) &
lines /mnt/log $i 3 0 15 200
J
		} | job
		guest "${programs[@]}" -a "$tmp/acks.new" -m 512 -k "$((RANDOM % 7 + 1)).$((RANDOM % 90 + 10))" "$tmp/t" "$tmp/e" || { bad "kill $i"; break; }
		cat "$tmp/acks.new" >>"$tmp/acks"; sound "kill $i"; [ $failed = 0 ] || break
	done
	{ prelude; cat <<'J'
mount -t tfs -o ship /dev/vda /mnt && collector 2514 && all_sent && umount /mnt || fail "the last boot"
before=$(wc -l </c/out); mount -t tfs -o ship /dev/vda /mnt; sleep 1.5; [ "$(pending)" = 0 ] && [ "$(wc -l </c/out)" = "$before" ] || fail "sent again after a clean unmount"
umount /mnt && kill $collector; wait $collector; umount /c
J
	} | job
	guest "${programs[@]}" -a "$tmp/acks.new" "$tmp/t" "$tmp/e" || bad "the last boot"
	sound "the last boot"; checked; echo "$k: $n kills"
done
finish
