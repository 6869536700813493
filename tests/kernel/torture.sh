#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Torture of log forwarding by the module: rsyslogd (RELP, TCP, UDP; each line synced to a disk of its own) in a network namespace
# of its own in the guest, and between it and the sender a network that delays, loses, doubles and reorders packets, stalls, goes down, and
# whose connections are reset from either end; rsyslogd is killed all the time. Writers sync, write lines in halves and longer than a message;
# their files are renamed, unlinked, copied and truncated, punched, linked under a second name, two writers share one, and there are
# thousands of small ones. Each cycle is a boot. Most end with the guest killed while all of this goes on; the third of twenty stays until a network that
# was away for longer than the sender's patience is back and all was sent; in the fifth of ten, and one more at the end, nothing is disturbed.
# What is then expected at the collector stands in torture_lines.py: by RELP no durable line is missing. The volume is sound after each cycle.
# usage: torture.sh [-n CYCLES] [-s SEED] [KERNEL]...   (default: 5 cycles; SEED: what is disturbed, and about when)
n=5 seed=$RANDOM
while getopts n:s: o; do case $o in n) n=$OPTARG ;; s) seed=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
. "$(dirname "$0")/lib.sh"
plugins=/usr/lib/x86_64-linux-gnu/rsyslog
for p in rsyslogd:rsyslog python3:python3 debugfs:e2fsprogs ip:iproute2 tc:iproute2 ss:iproute2; do command -v ${p%:*} >/dev/null || skip "${p%:*} is missing: as root, apt-get install ${p#*:}"; done
[ -e $plugins/imrelp.so ] || skip "rsyslog's RELP is missing: as root, apt-get install rsyslog-relp"
compiled lines tests/kernel/lines.c
kept=$PWD/build/torture
bad() { echo "FAILED: $*; repeat: tests/kernel/torture.sh -n $n -s $seed $k"; failed=1; }

# ---- what is disturbed, by the seed ----
ms() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); } # MILLISECONDS: as seconds
between() { echo $((RANDOM % ($2 - $1) + $1)); }
disturbances() { # SECONDS: of the network
	local left=$(($1 * 1000)) wait for
	echo "network_goes() {"
	while [ $left -gt 0 ]; do
		wait=$(between 200 1500) for=$(between 100 1300); left=$((left - wait - for))
		echo "sleep $(ms "$wait")"
		case $((RANDOM % 8)) in
		0 | 1) echo "lossy $(between 1 60) $(between 1 40) $(between 1 30) $(between 1 60); sleep $(ms "$for"); calm" ;;
		2) echo "stall; sleep $(ms "$for"); calm" ;;
		3) echo "deaf; sleep $(ms "$for"); calm" ;;
		4) echo "down v0 $(ms "$for")" ;;
		5) echo "down v1 $(ms "$for")" ;;
		6) echo "reset_here" ;;
		7) echo "reset_there" ;;
		esac
	done
	echo "}"
}
kills() { # SECONDS: of the collector
	local left=$(($1 * 1000)) wait for
	echo "collector_dies() {"
	while [ $left -gt 0 ]; do
		wait=$(between 1500 5000) for=$(between 10 800); left=$((left - wait - for - 700))
		echo "sleep $(ms "$wait"); gone; sleep $(ms "$for"); collector"
	done
	echo "}"
}

# ---- in the guest ----
prelude() {
	echo "i=$i plugins=$plugins"
	cat <<'J'
fail() { echo "FAILED: $*"; cat /sys/fs/tfs/vda/ship_*; tail -5 /tmp/heard; dmesg | grep 'log forw' | tail -5; exit 1; }
port=$(readlink -f /dev/ack); rm /dev/ack; mkfifo /dev/ack; exec 9<>/dev/ack # many have something to say, one may hold the port
heard() { cat /dev/ack >$port & } # with the first byte a kill's time begins
event() { echo "event $1" >&9; }
counter() { cat /sys/fs/tfs/vda/ship_$1; }
relp() { sed -n "s/^relp.* $1=\([0-9]*\).*/\1/p" /sys/fs/tfs/vda/ship_collectors; }
pending() { tfs ship list /mnt --json | sed 's/.*"pending":\([0-9]*\).*/\1/' | awk '{ s += $1 } END { print s + 0 }'; }
until_() { local i=0; until eval "$*"; do i=$((i+1)); [ $i -lt 1500 ] || fail "not within a time: $*"; sleep 0.2; done; }
# /bin/X: the shell has an ip and a tc itself, which can less
unshare -n sleep 100000 & there=$!
until_ '[ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
there() { nsenter -t $there -n "$@"; }
/bin/ip link add v0 type veth peer name v1 && /bin/ip link set v1 netns $there && /bin/ip addr add 10.9.0.1/24 dev v0 && /bin/ip link set v0 up || fail veth
there /bin/ip addr add 10.9.0.2/24 dev v1 && there /bin/ip link set v1 up || fail "veth in the namespace"
lossy() { event lossy; /bin/tc qdisc replace dev v0 root netem delay $1ms $2ms loss $3% duplicate 3% reorder $4% 50%; there /bin/tc qdisc replace dev v1 root netem delay $2ms $1ms loss $3% duplicate 3% reorder $4% 50%; }
stall() { event stall; /bin/tc qdisc replace dev v0 root netem loss 100%; there /bin/tc qdisc replace dev v1 root netem loss 100%; }
deaf() { event deaf; there /bin/tc qdisc replace dev v1 root netem loss 100%; } # lines arrive, and no acknowledgement comes back
calm() { /bin/tc qdisc del dev v0 root 2>/dev/null; there /bin/tc qdisc del dev v1 root; }
down() { event down; if [ $1 = v0 ]; then /bin/ip link set v0 down; sleep $2; /bin/ip link set v0 up; else there /bin/ip link set v1 down; sleep $2; there /bin/ip link set v1 up; fi; }
reset_here() { event reset; /bin/ss -tK dst 10.9.0.2 >/dev/null || fail "ss -K"; }
reset_there() { event reset; there /bin/ss -tK state established dst 10.9.0.1 >/dev/null || fail "ss -K"; }
starts=0
collector() {
	starts=$((starts + 1))
	cat >/tmp/rs.conf <<R
global(workDirectory="/tmp" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="$plugins/imrelp")
module(load="$plugins/imtcp")
module(load="$plugins/imudp")
template(name="json" type="list") { constant(value="{\"message\":\"") property(name="rawmsg" format="json") constant(value="\"}\n") }
R
	for p in relp tcp udp; do
		echo "ruleset(name=\"$p\" queue.type=\"Direct\") { action(type=\"omfile\" file=\"/c/out/$p.$starts\" template=\"json\" sync=\"on\" asyncWriting=\"off\" flushOnTXEnd=\"on\") }"
	done >>/tmp/rs.conf
	cat >>/tmp/rs.conf <<R
input(type="imrelp" address="10.9.0.2" port="2514" ruleset="relp" maxDataSize="64k")
input(type="imtcp" address="10.9.0.2" port="2515" ruleset="tcp")
input(type="imudp" address="10.9.0.2" port="2516" ruleset="udp" rcvbufSize="4m")
R
	rm -f /tmp/rs.pid; there rsyslogd -n -f /tmp/rs.conf -i /tmp/rs.pid >/tmp/heard 2>&1 &
	until_ '[ $(there netstat -ltn | grep -c ":251[45] ") = 2 ] && [ -s /tmp/rs.pid ]'
}
gone() { event kill; kill -9 $(cat /tmp/rs.pid); until_ '! kill -0 $(cat /tmp/rs.pid) 2>/dev/null'; }
# By TCP what the other end's kernel has has arrived: it is still to be written
written() { until_ 'set -- $(du -s /c/out); sleep 1; [ "$1" = "$(du -s /c/out | cut -f1)" ]'; }
ended() {
	sync; until_ '[ "$(pending)" = 0 ]'; written; [ "$(counter lost_bytes)" = 0 ] || fail "$(counter lost_bytes) bytes are lost"
	umount /mnt && kill $(cat /tmp/rs.pid) || fail umount
	until_ '! kill -0 $(cat /tmp/rs.pid) 2>/dev/null'; umount /c || fail "umount /c"; exit 0
}
rules() {
	mkdir /mnt/relp /mnt/shared /mnt/many /mnt/tcp /mnt/udp || fail mkdir
	for d in relp shared many; do tfs -q ship add /mnt/$d 'relp://10.9.0.2:2514?max=2048' '*.log' || fail "ship add"; done
	tfs -q ship add /mnt/tcp 'tcp://10.9.0.2:2515?max=2048' '*.log' && tfs -q ship add /mnt/udp 'udp://10.9.0.2:2516?max=1024' '*.log' || fail "ship add"
}
count=0; : >/tmp/wrote
writer() { (lines "$@" || { : >/tmp/failed; fail lines "$@"; }; echo >>/tmp/wrote) & count=$((count + 1)); }
writers() { # LINES: of each, 0: without end
	writer /mnt/relp ${i}0 5 $1 10 0 250000 rucpl
	writer /mnt/shared ${i}4 6 $1 10 0 250000 rucpls
	writer /mnt/tcp ${i}1 2 $1 10 0 250000 rucpl
	writer /mnt/udp ${i}2 1 $1 10 0 250000 rucpl
}
small() { writer /mnt/many ${i}3 4 $1 100 1 0 n; } # a file each line
wrote() { until_ '[ -e /tmp/failed ] || [ "$(wc -l </tmp/wrote)" = $count ]'; [ ! -e /tmp/failed ] || fail lines; }
mkdir -p /c /var/spool; mount -t ext4 /dev/vdb /c && mkdir /c/out && collector && mount -t tfs -o ship /dev/vda /mnt || fail mount
[ $i != 1 ] || rules
J
}
killed() { # SECONDS
	prelude; disturbances $(($1 + 5)); kills $(($1 + 5))
	[ $((i % 5)) != 2 ] || echo 'small 500'
	echo "writers 0; until_ '[ \$(relp acknowledged) -ge 20 ]'; heard; network_goes & collector_dies & wait"
}
away() { # the network is, for longer than the sender waits for anything
	prelude; disturbances 4; kills 6
	echo "heard; writers 200; network_goes & net=\$!; collector_dies; wait \$net; before=\$(relp reconnects)"
	case $((RANDOM % 3)) in 0) echo 'stall; sleep 40; calm' ;; 1) echo 'down v1 40' ;; 2) echo 'deaf; sleep 40; calm' ;; esac
	echo 'wrote; [ "$(relp reconnects)" -gt $before ] || fail "40 s without a network, and the connection is as before"; ended'
}
quiet() {
	prelude
	cat <<'J'
heard; small 150; writers 100; wrote
[ "$(counter reconnects)" = 0 ] || fail "$(counter reconnects) new connections, and nothing was disturbed"
ended
J
}
run() { # KIND [OPTION]...: cycle i
	local kind=$1 at=$tmp/cycles/$i; shift
	mkdir -p "$at"; echo "$kind" >"$at/kind"; rm -f "$tmp/e"; truncate -s 256M "$tmp/e"
	mke2fs -q -F -t ext4 -O ^has_journal "$tmp/e" # a sync of each line costs half there, and fsck below brings the rest in order
	LIMIT=500 guest -o veth -o sch_netem -o tcp_diag -p "$tmp/lines" -p "$bin/tfs" -p rsyslogd -p ip -p tc -p ss -f $plugins -a "$at/acks" -m 768 "$@" "$tmp/t" "$tmp/e" >"$tmp/guest" || bad "cycle $i ($kind), in the guest"
	cat "$tmp/guest"; ! grep -q FAILED "$tmp/guest" || bad "cycle $i ($kind), in the guest" # of a killed one, too
	sound "cycle $i ($kind)"
	e2fsck -fy "$tmp/e" >/dev/null 2>&1; debugfs -R "rdump /out $at" "$tmp/e" >/dev/null 2>&1
	[ -d "$at/out" ] || bad "cycle $i ($kind): the collector has nothing"
	[ $failed = 0 ]
}
for k in "${KERNELS[@]}"; do
	echo "== $k, seed $seed"; volume 4G; rm -rf "$tmp/cycles"; RANDOM=$seed
	for i in $(seq 1 $((n + 1))); do
		if [ "$i" -gt "$n" ] || [ $((i % 10)) = 5 ]; then
			quiet | job; run quiet || break
		elif [ $((i % 20)) = 3 ]; then
			away | job; run ended || break
		else
			for=$(between 4 14); killed "$for" | job; run killed -k "$for.$(between 10 99)" || break
		fi
	done
	[ $failed != 0 ] || python3 tests/kernel/torture_lines.py "$tmp/cycles" >"$tmp/said" 2>&1 || bad "at the collector"
	[ ! -e "$tmp/said" ] || sed "s/^/$k: /" "$tmp/said"
	[ $failed = 0 ] || { rm -rf "$kept"; mkdir -p "$kept"; cp -a "$tmp/cycles" "$tmp/t" "$kept/"; echo "what there was: $kept"; }
done
finish
