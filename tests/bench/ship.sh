#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The module's log forwarding beside rsyslog (imfile, RELP and UDP) and netconsole, in one guest, which counts its instructions: what
# the host does meanwhile has no part in it. The same lines, files, volume and collector (tfs-logship receive, into memory).
#   throughput   lines that writers append at once: a second at the collector, the sender's processor time a line
#   delay        100 lines a second, synced each or never: from write to arrival
#   writers      lines a second of the writers alone: nobody sends; the collector is up, down, takes connections and never reads
#   lost         1,000 lines a second for 10 s, the collector gone from the 3rd to the 6th
# usage: ship.sh [-q] [KERNEL]   (-q: a tenth of it, to see that it runs; default: the newest kernel). A table on standard output,
# and in docs/bench/ship.md without -q.
quick=
[ "${1:-}" != -q ] || { quick=1; shift; }
. "$(dirname "$0")/../kernel/lib.sh"
for p in rsyslogd:rsyslog python3:python3; do command -v ${p%:*} >/dev/null || skip "${p%:*} is missing: as root, apt-get install ${p#*:}"; done
plugins=/usr/lib/x86_64-linux-gnu/rsyslog
[ -e $plugins/omrelp.so ] || skip "rsyslog's RELP is missing: as root, apt-get install rsyslog-relp"
k=${KERNELS[-1]}
compiled shipload tests/bench/shipload.c
{
	echo "quick=$quick"
	cat <<'J'
fail() { echo "FAILED: $*"; dmesg | tail -5; exit 1; }
until_() { local i=0; until eval "$*"; do i=$((i+1)); [ $i -lt 3000 ] || fail "not within a time: $*"; sleep 0.1; done; }
n=20000 seconds=10; [ -z "$quick" ] || { n=1000 seconds=1; }
mount -t tmpfs none /tmp/m 2>/dev/null || { mkdir -p /tmp/m; mount -t tmpfs none /tmp/m; }
ip link set lo up
collect() { # NAME TRANSPORT ADDRESS
	[ -n "$keep" ] || rm -f /tmp/m/$1
	{ tfs-logship receive $2 $3 & echo $! >/tmp/m/pid; wait; } 2>/tmp/m/heard | shipload sink /tmp/m/$1 & sink=$!
	until_ 'grep -q "listening for" /tmp/m/heard'; collector=$(cat /tmp/m/pid)
}
collected() { kill $collector; wait $sink; }
all_sent() { sync; until_ '[ "$(tfs ship list /mnt --json | sed "s/.*\"pending\":\([0-9]*\).*/\1/" | awk "{ s += \$1 } END { print s + 0 }")" = 0 ]'; }
arrived() { shipload wait /tmp/m/$1 $2 300 || fail "$1: $(shipload said /tmp/m/$1) of $2"; }
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' /proc/$1/stat; } # of 10 ms
shipper() { ps | awk '/[t]fs-ship/ { print $1 }'; }
rsyslog() { # CONFIGURATION
	mkdir -p /tmp/m/state; { echo "global(workDirectory=\"/tmp/m/state\")"; cat; } >/tmp/m/rs.conf
	rsyslogd -n -f /tmp/m/rs.conf -i /tmp/m/rs.pid & rs=$!; sleep 2; kill -0 $rs || fail rsyslogd
}
rsyslog_gone() { kill $rs; wait $rs; rm -rf /tmp/m/state; }
mounted() { mount -t tfs $1 /dev/vda /mnt || fail mount; }
followed() { # FILES ACTION
	rsyslog <<R
module(load="imfile")
module(load="omrelp")
input(type="imfile" file="$1" tag="log" ruleset="out")
ruleset(name="out") { action($2 template="RSYSLOG_SyslogProtocol23Format") }
R
}

mounted "-o ship"; mkdir /mnt/tfs /mnt/rs /mnt/none
tfs -q ship add /mnt/tfs 'relp://127.0.0.1:2514' || fail "ship add"
collect tfs --relp 127.0.0.1:2514; sleep 2
before=$(ticks $(shipper)); echo "writers up $(shipload write /mnt/tfs 2 $n 0 0)"; arrived tfs $((2 * n)); sleep 2
echo "throughput tfs $(shipload said /tmp/m/tfs) $(($(ticks $(shipper)) - before))"; collected
collect rs --relp 127.0.0.1:2515; followed '/mnt/rs/*.log' 'type="omrelp" target="127.0.0.1" port="2515"'
before=$(ticks $rs); echo "writers rsyslog $(shipload write /mnt/rs 2 $n 0 0)"; arrived rs $((2 * n)); sleep 2
echo "throughput rsyslog $(shipload said /tmp/m/rs) $(($(ticks $rs) - before))"; collected; rsyslog_gone

for sync in 1 0; do
	rm -f /mnt/tfs/* /mnt/rs/*; sync
	collect tfs --relp 127.0.0.1:2514; sleep 1; shipload write /mnt/tfs 1 $((100 * seconds)) $sync 100 >/dev/null; arrived tfs $((100 * seconds))
	echo "delay tfs-$sync $(shipload said /tmp/m/tfs)"; collected
	collect rs --relp 127.0.0.1:2515; followed '/mnt/rs/*.log' 'type="omrelp" target="127.0.0.1" port="2515"'
	shipload write /mnt/rs 1 $((100 * seconds)) $sync 100 >/dev/null; arrived rs $((100 * seconds))
	echo "delay rsyslog-$sync $(shipload said /tmp/m/rs)"; collected; rsyslog_gone
done

echo "writers none $(shipload write /mnt/none 2 $n 0 0)"
rm -f /mnt/tfs/*; echo "writers down $(shipload write /mnt/tfs 2 $n 0 0)"
collect still --relp 127.0.0.1:2514; kill -STOP $collector; sleep 3; rm -f /mnt/tfs/*; echo "writers deaf $(shipload write /mnt/tfs 2 $n 0 0)"
kill -CONT $collector; all_sent; collected

lost() { # NAME TRANSPORT ADDRESS WRITER LINES: what came, with the collector gone meanwhile; LINES: waits for so many
	collect $1 $2 $3
	eval "$4" & writer=$!
	sleep $((seconds * 3 / 10 + 1)); collected; sleep 3
	keep=1; collect $1 $2 $3; keep=; wait $writer; [ "$5" = 0 ] || arrived $1 $5
	sleep 3; collected
	echo "lost $1 $((1000 * seconds)) $(shipload said /tmp/m/$1)"
}
rm -f /mnt/tfs/* /mnt/rs/*; sync
lost relp --relp 127.0.0.1:2514 "shipload write /mnt/tfs 1 $((1000 * seconds)) 0 1000 >/dev/null" $((1000 * seconds))
followed '/mnt/rs/*.log' 'type="omfwd" protocol="udp" target="127.0.0.1" port="2516"'
lost udp --udp 127.0.0.1:2516 "shipload write /mnt/rs 1 $((1000 * seconds)) 0 1000 >/dev/null" 0; rsyslog_gone
ip addr add 10.9.0.1/24 dev eth0 && ip addr add 10.9.0.2/32 dev eth1 && ip link set eth0 up && ip link set eth1 up || fail "network cards"
for d in all eth1; do echo 1 >/proc/sys/net/ipv4/conf/$d/accept_local; echo 0 >/proc/sys/net/ipv4/conf/$d/rp_filter; done; sleep 3
mkdir -p /sys/kernel/config; mount -t configfs none /sys/kernel/config; t=/sys/kernel/config/netconsole/t; mkdir $t || fail netconsole
echo eth0 >$t/dev_name; echo 10.9.0.1 >$t/local_ip; echo 10.9.0.2 >$t/remote_ip; cat /sys/class/net/eth1/address >$t/remote_mac; echo 2517 >$t/remote_port; echo 8 >/proc/sys/kernel/printk; echo on >/proc/sys/kernel/printk_devkmsg; echo 1 >$t/enabled || fail "netconsole: $(dmesg | tail -3)"
lost netconsole --udp 10.9.0.2:2517 "shipload kmsg $((1000 * seconds)) 1000" 0
umount /mnt || fail umount
J
} >"$tmp/$name.sh"
volume 2G
tests/kernel/guest.sh -t 3000 -i -N -m 2048 -o netconsole -p "$tmp/shipload" -p "$bin/tfs" -p "$bin/tfs-logship" -p rsyslogd -f $plugins -f /lib/x86_64-linux-gnu/libgcc_s.so.1 "$k" "$tmp/$name.sh" "$tmp/t" >"$tmp/said" || { cat "$tmp/said"; bad "in the guest"; finish; }
grep -E '^(throughput|delay|writers|lost) ' "$tmp/said"
[ -n "$quick" ] || tests/bench/ship_report.sh "$k" <"$tmp/said" >docs/bench/ship.md
finish
