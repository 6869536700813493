#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Log forwarding by the module over TLS (kTLS), handshakes by tfs ship tls-agent, to rsyslog (RELP, GnuTLS) and openssl s_server
# (syslog) in the same guest, one boot a kernel. Without TLS in the kernel the agent says so; without an agent, with a wrong
# authority or a wrong name no line leaves, and it is said why; what is no TLS socket is refused, each by its error; an unmount
# waits for none of this. Collector and agent are killed while writers write, with TLS 1.3 and 1.2 and each cipher: no
# durable line is missing. Tickets of TLS 1.3 go by; a KeyUpdate brings a new connection.
# usage: tls.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
. tests/logship/certificates.sh
plugins=/usr/lib/x86_64-linux-gnu/rsyslog
for p in rsyslogd:rsyslog openssl:openssl python3:python3 debugfs:e2fsprogs; do command -v ${p%:*} >/dev/null || skip "${p%:*} is missing: as root, apt-get install ${p#*:}"; done
[ -e $plugins/imrelp.so ] || skip "rsyslog's RELP is missing: as root, apt-get install rsyslog-relp"
compiled lines tests/kernel/lines.c
gcc -std=gnu11 -O2 -static -I. -Itfs/user -o "$tmp/need" tests/kernel/need.c || { echo "FAILED: need.c does not compile"; exit 1; }
mkdir "$tmp/pem"; certificates "$tmp/pem" || exit 1
pem() { # the certificates, for the guest
	echo "mkdir /pem"
	for f in ca.pem other.pem server.pem server.key client.pem client.key; do echo "cat >/pem/$f <<'P'"; cat "$tmp/pem/$f"; echo P; done
}
everything() {
	pem; echo "plugins=$plugins"
	cat <<'J'
fail() { echo "FAILED: $*"; cat /sys/fs/tfs/vda/ship_*; cat /tmp/said /tmp/heard; dmesg | grep ship | tail -5; exit 1; }
at() { echo "$(cut -d' ' -f1 /proc/uptime) $*"; }
counter() { cat /sys/fs/tfs/vda/ship_$1; }
pending() { tfs ship list /mnt --json | sed 's/.*"pending":\([0-9]*\).*/\1/' | awk '{ s += $1 } END { print s + 0 }'; }
until_() { local i=0; until eval "$*"; do i=$((i+1)); [ $i -lt 600 ] || fail "not within a time: $*"; sleep 0.2; done; }
all_sent() { until_ '[ "$(pending)" = 0 ]'; }
gone() { kill -9 $1; wait $1 2>/dev/null; }
agent() { tfs ship tls-agent /mnt --ca /pem/${1:-ca}.pem --cert /pem/client.pem --key /pem/client.key 2>>/tmp/said & agent=$!; }
rsyslog() { # [PRIORITIES]
	cat >/tmp/rs.conf <<R
global(workDirectory="/tmp" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="$plugins/imrelp")
template(name="json" type="list") { constant(value="{\"message\":\"") property(name="rawmsg" format="json") constant(value="\"}\n") }
ruleset(name="w" queue.type="Direct") { action(type="omfile" file="/c/out" template="json" sync="on" asyncWriting="off" flushOnTXEnd="on") }
input(type="imrelp" address="127.0.0.1" port="2514" ruleset="w" maxDataSize="64k" tls="on" tls.caCert="/pem/ca.pem" tls.myCert="/pem/server.pem"
	tls.myPrivKey="/pem/server.key" tls.authMode="certvalid" tls.prioritystring="${1:-NORMAL}")
R
	rm -f /tmp/rs.pid; rsyslogd -n -f /tmp/rs.conf -i /tmp/rs.pid >/tmp/heard 2>&1 & collector=$!
	until_ 'netstat -ltn | grep -q :2514'
}
mkdir -p /c /var/spool; mount -t ext4 /dev/vdb /c && echo '127.0.0.1 localhost' >/etc/hosts && : >/tmp/said && : >/tmp/heard || fail "the collector's disk"
mount -t tfs -o ship /dev/vda /mnt && mkdir /mnt/log /mnt/named && rsyslog || fail mount
tfs -q ship add /mnt/log 'relp+tls://localhost:2514?max=2048' '*.log' || fail "ship add"
if rmmod tls 2>/dev/null; then
	at "a kernel without TLS"
	tfs ship tls-agent /mnt --ca /pem/ca.pem 2>/tmp/said; [ $? = 3 ] && grep -q 'modprobe tls' /tmp/said || fail "without TLS"
	insmod /lib/tfs/tls.ko && : >/tmp/said || fail insmod
fi
at "nobody makes connections"
lines /mnt/log 1 2 50 10 0 || fail lines
until_ 'grep -q " waiting " /sys/fs/tfs/vda/ship_collectors'; dmesg | grep -q 'waits for tfs ship tls-agent' || fail "it is not said what is waited for"
timeout 20 umount /mnt || fail "an unmount waits for an agent"
mount -t tfs -o ship /dev/vda /mnt || fail mount
at "wrong sockets"
need /mnt || fail "wrong sockets"
at "a wrong authority, a wrong name"
agent other; until_ 'grep -q : /tmp/said || [ "$(counter tls_given)" != 0 ]'; [ "$(counter tls_given)" = 0 ] || fail "a stranger was given the lines: of a wrong authority"
grep -q "localhost:2514.*: expected a certificate for localhost, signed by one of /pem/other.pem" /tmp/said || fail "it is not said what was expected"
kill $agent; wait $agent || fail "the agent, ended by a signal, says $?"
tfs -q ship add /mnt/named 'relp+tls://127.0.0.1:2514' && echo 'round 99 writer 0 line 0:  end.' >/mnt/named/x && sync || fail "ship add"
agent; until_ 'grep -q "127.0.0.1:2514: expected a certificate for 127.0.0.1" /tmp/said || grep -qs "round 99" /c/out'
tfs -q ship remove /mnt $(tfs ship list /mnt --json | grep '//127' | sed 's/.*"rule":\([0-9]*\).*/\1/') || fail "ship remove"
[ ! -e /c/out ] || ! grep -q 'round 99' /c/out || fail "a stranger got a line: of a wrong name"
all_sent; [ "$(counter tls_given)" -ge 1 ] || fail "nobody gave a connection"
grep -q 'TlsTxSw.*[1-9]' /proc/net/tls_stat && grep -q 'TlsRxSw.*[1-9]' /proc/net/tls_stat || fail "the kernel did no TLS: $(cat /proc/net/tls_stat)"
at "collector and agent killed"
lines /mnt/log 2 3 300 20 100 & w=$!
until_ '[ "$(counter acknowledged)" -ge 200 ]'; gone $collector; sleep 0.3; rsyslog
until_ '[ "$(counter acknowledged)" -ge 400 ]'; gone $agent; gone $collector; sleep 1; rsyslog; agent
wait $w || fail lines; all_sent; [ "$(counter reconnects)" -ge 2 ] || fail "$(counter reconnects) reconnects"
n=3; for p in VERS-TLS1.3:AES-128-GCM VERS-TLS1.3:CHACHA20-POLY1305 VERS-TLS1.2:AES-256-GCM VERS-TLS1.2:AES-128-GCM VERS-TLS1.2:CHACHA20-POLY1305; do
	at "$p"; gone $collector; rsyslog "NORMAL:-VERS-ALL:-CIPHER-ALL:+${p%:*}:+${p#*:}"
	lines /mnt/log $n 1 60 10 0 && all_sent || fail "$p"; n=$((n + 1))
done
at "unmounted while one never reads, and an agent is there"
kill -STOP $collector; lines /mnt/log 9 1 300 50 0 || fail lines
timeout 60 umount /mnt || fail umount
wait $agent || fail "the agent, after an unmount, says $?"
gone $collector; mount -t tfs -o ship /dev/vda /mnt && rsyslog && agent && all_sent || fail "the second mount"
at "syslog, tickets, a change of keys"
mkdir /mnt/tcp; mkfifo /tmp/in; sleep 10000 >/tmp/in & keep=$!
openssl s_server -accept 6514 -cert /pem/server.pem -key /pem/server.key -tls1_3 -num_tickets 3 </tmp/in >/c/tcp 2>/tmp/heard & server=$!
until_ 'netstat -ltn | grep -q :6514'; before=$(counter tls_given)
tfs -q ship add /mnt/tcp 'tcp+tls://localhost?max=2048' && lines /mnt/tcp 10 1 100 10 0 || fail "ship add"
all_sent; [ "$(counter tls_given)" = $((before + 1)) ] || fail "tickets end a connection: $(counter tls_given) given, $before before"
echo k >/tmp/in; until_ 'grep -q "localhost.*6514\|tcp+tls.*error=-127" /sys/fs/tfs/vda/ship_collectors'
lines /mnt/tcp 11 1 100 10 0; all_sent; [ "$(counter tls_given)" = $((before + 2)) ] || fail "after a change of keys $(counter tls_given) given, $before before"
umount /mnt && wait $agent || fail "the last unmount"
sleep 1; kill $collector $server $keep; wait; umount /c || fail "umount /c"; at end
J
}
tcp_lines() { # what s_server took for data, among what it says itself
	python3 - "$tmp/tcp" >>"$tmp/out" <<'P'
import json, re, sys
data = open(sys.argv[1], 'rb').read()
for m in re.finditer(rb'(\d+) (?=<\d+>1 )', data):
    print(json.dumps({'message': data[m.end():m.end() + int(m.group(1))].decode()}))
P
}
for k in "${KERNELS[@]}"; do
	echo "== $k"; volume 512M; other 128M; everything | job; modules=()
	for m in tls gcm ctr ghash-generic chacha20poly1305 chacha_generic poly1305_generic; do modules+=(-o $m); done
	LIMIT=400 guest "${modules[@]}" -p "$tmp/lines" -p "$tmp/need" -p "$bin/tfs" -p rsyslogd -p openssl -f $plugins -a "$tmp/acks" "$tmp/t" "$tmp/e" || bad "in the guest"
	sound "the run"; e2fsck -fy "$tmp/e" >/dev/null 2>&1
	debugfs -R "dump /out $tmp/out" "$tmp/e" >/dev/null 2>&1; debugfs -R "dump /tcp $tmp/tcp" "$tmp/e" >/dev/null 2>&1
	[ $failed = 0 ] || continue
	tcp_lines; python3 tests/kernel/ship_lines.py "$tmp/out" "$tmp/acks" >"$tmp/said" 2>&1 || bad "at the collectors"
	sed "s/^/$k: /" "$tmp/said"
done
finish
