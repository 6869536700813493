#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-logship by syslog over TLS (RFC 5425) and RELP over TLS to rsyslog, which has GnuTLS: every line arrives, though rsyslog is restarted in
# between; certificates are verified both ways, names too, and nobody who has none gets a line.
# usage: test_tls.sh [NAME of a case]
set -u
cd "$(dirname "$0")/../.." || exit 2
bin=$PWD/${BIN:-build/bin} ship=$PWD/${BIN:-build/bin}/tfs-logship
tmp=$(mktemp -d) pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
. tests/logship/certificates.sh
failed=0 FILES=3 LINES=600
fail() { echo "FAILED: $case: $*; repeat: $0 $case"; failed=1; }
quiet() { local want=$1 got=0; shift; "$@" >"$tmp/said" 2>&1 || got=$?; [ $got = "$want" ] || fail "expected exit $want, found $got: $*: $(tail -3 "$tmp/said")"; }
said() { grep -q "$1" "$tmp/said" || fail "nothing of '$1' is said: $(cat "$tmp/said")"; }
check() { python3 tests/logship/lines.py check "$tmp/out" $FILES $LINES "$@" >"$tmp/checked" 2>&1 || fail "$(cat "$tmp/checked")"; [ -z "${VERBOSE-}" ] || cat "$tmp/checked"; }
pending() { "$ship" status "$tmp/i.img" | awk '{ sub(/.*pending=/, ""); n += $0 } END { print n + 0 }'; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
image() {
	[ -e "$tmp/all.img" ] || { mkdir "$tmp/src"; python3 tests/logship/lines.py make "$tmp/src" $FILES $LINES
		"$bin/mkfs.tfs" -q --size 32M --from "$tmp/src" "$tmp/all.img" && "$bin/tfs" -q ship add "$tmp/all.img" 'stdout:' '*.log' --from-start; }
	cp "$tmp/all.img" "$tmp/i.img"; : >"$tmp/out"
}
rsyslog() { # INPUT...: writes what it gets, raw, to $tmp/out
	cat >"$tmp/rsyslog.conf" <<C
global(workDirectory="$tmp" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off" defaultNetstreamDriver="gtls"
	defaultNetstreamDriverCAFile="$tmp/ca.pem" defaultNetstreamDriverCertFile="$tmp/server.pem" defaultNetstreamDriverKeyFile="$tmp/server.key")
template(name="raw" type="string" string="%rawmsg%\n")
ruleset(name="w" queue.type="Direct") { action(type="omfile" file="$tmp/out" template="raw" sync="on" asyncWriting="off" flushOnTXEnd="on") }
$*
C
	rsyslogd -n -f "$tmp/rsyslog.conf" -i "$tmp/rsyslog.pid" >"$tmp/heard" 2>&1 & pid=$!
}
stop() { # one that is just starting may not hear the first
	local n=0; while kill "$pid" 2>/dev/null && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done
	kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; pid=
}
relp() { rsyslog 'module(load="imrelp")
input(type="imrelp" address="127.0.0.1" port="'"$port"'" ruleset="w" maxDataSize="64k" tls="on" tls.caCert="'"$tmp/ca.pem"'" tls.myCert="'"$tmp/server.pem"'" tls.myPrivKey="'"$tmp/server.key"'" tls.authMode="certvalid")'; }
tcp() { rsyslog 'module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid" maxFrameSize="65536")
input(type="imtcp" address="127.0.0.1" port="'"$port"'" ruleset="w")'; }
wait_lines() { local n=0; until [ "$(wc -l 2>/dev/null <"$tmp/out" || echo 0)" -ge "$1" ] || [ $n = 6000 ]; do n=$((n + 1)); sleep 0.02; done; }
config() { printf '%s\n' "$@" >"$tmp/conf"; }
ours() { config "[$1]" "ca-file = $tmp/ca.pem" "cert-file = $tmp/client.pem" "key-file = $tmp/client.key"; }

missing() { [ -e /usr/lib/x86_64-linux-gnu/rsyslog/$1 ] || { echo "   $case: SKIPPED: $1 is missing: as root, apt-get install $2"; return 0; }; return 1; }

by_relp() { # restarted in the middle of it: RELP knows what arrived
	missing imrelp.so rsyslog-relp && return
	local to="relp+tls://localhost:$port" n=0; ours "$to"; image; relp
	"$ship" drain -q "$tmp/i.img" --to "$to?max=512" -c "$tmp/conf" --retry 1h 2>"$tmp/said" & local drain=$!
	wait_lines 300; stop; relp
	wait $drain || fail "drain ended with $?: $(tail -3 "$tmp/said")"
	stop; check; [ "$(pending)" = 0 ] || fail "something is pending"
}
by_tcp() { # what rsyslog's kernel had when it ended is lost, as the page says: not restarted
	missing lmnsd_gtls.so rsyslog-gnutls && return
	local to="tcp+tls://localhost:$port" n=0; ours "$to"; image; tcp
	quiet 0 "$ship" drain "$tmp/i.img" --to "$to?max=512" -c "$tmp/conf" --retry 1h
	local last='' size; until size=$(wc -c <"$tmp/out"); { [ "$size" = "$last" ] && grep -q "file 2 line $((LINES - 1))" "$tmp/out"; } || [ $n = 300 ]; do last=$size n=$((n + 1)); sleep 0.2; done
	stop; check; [ "$(pending)" = 0 ] || fail "something is pending"
}
strangers() { # a server of another name, of another authority, one that wants to know us, one that speaks no TLS
	missing imrelp.so rsyslog-relp && return
	local before; image; before=$(pending); relp
	local to="relp+tls://localhost:$port"; ours "$to"; quiet 0 "$ship" drain "$tmp/i.img" --to "$to?max=512" -c "$tmp/conf" --retry 1h; image
	ours "relp+tls://127.0.0.1:$port"; quiet 2 "$ship" drain "$tmp/i.img" --to "relp+tls://127.0.0.1:$port" -c "$tmp/conf" --retry 1h; said '127.0.0.1'
	for other in "ca-file = $tmp/other.pem" "ca-file = $tmp/none" ''; do
		config "$other"; quiet 2 "$ship" drain "$tmp/i.img" --to "$to" -c "$tmp/conf" --retry 1h; said 'ertificate\|CAfile'
	done
	config "ca-file = $tmp/ca.pem"; quiet 2 "$ship" drain "$tmp/i.img" --to "$to" -c "$tmp/conf" --retry 0s # no certificate of ours
	stop; rsyslog 'module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="'"$port"'" ruleset="w")'
	local n=0; until python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$port" 2>/dev/null || [ $n = 300 ]; do n=$((n + 1)); sleep 0.1; done
	to="tcp+tls://localhost:$port"; ours "$to"; quiet 2 "$ship" drain "$tmp/i.img" --to "$to" -c "$tmp/conf" --retry 0s --timeout 5s
	[ "$(pending)" = "$before" ] || fail "the cursor moved"
	stop; grep -q 'line [0-9]*:' "$tmp/out" && fail "a stranger got lines"
	config '[relp+tls://localhost]' 'authorization-file = x'; quiet 1 "$ship" drain "$tmp/i.img" --to "$to" -c "$tmp/conf"; said 'line 2'
}
certificates "$tmp" || exit 1
for case in ${*:-by_relp by_tcp strangers}; do $case; done
[ $failed = 0 ] && echo "tfs-logship over TLS: as expected"
exit $failed
