#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-logship receive: all three transports; what it acknowledged is in the file, though it is killed again and again; what cannot
# be written is not acknowledged; rotation; senders that talk nonsense. The RELP client is an independent one (relp.py).
# usage: test_receive.sh [NAME of a case]
set -u
cd "$(dirname "$0")/../.." || exit 2
bin=$PWD/${BIN:-build/bin}/tfs-logship
tmp=$(mktemp -d) pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
failed=0
fail() { echo "FAILED: $case: $*; repeat: $0 $case"; failed=1; }

start() { # OPTION...: in the background; port[1..]: where it listens
	"$bin" receive "$@" 2>"$tmp/said" & pid=$!
	local n=0 want; want=$(printf '%s\n' "$@" | grep -c -- '--\(relp\|tcp\|udp\)')
	until [ "$(grep -c 'listening for' "$tmp/said")" = "$want" ]; do
		n=$((n + 1)); [ $n -lt 500 ] && kill -0 "$pid" 2>/dev/null || { cat "$tmp/said"; return 1; }
		sleep 0.02
	done
	mapfile -t port < <(echo; sed -n 's/.*on port //p' "$tmp/said")
}
stop() { kill "${1:--TERM}" "$pid"; wait "$pid" 2>/dev/null; code=$?; pid=; }

transports() {
	start --relp 0 --tcp 0 --udp 0 -o "$tmp/out" || return
	python3 tests/logship/relp.py "${port[1]}" 1 300 >"$tmp/acked" || fail "the RELP client failed"
	printf '5 <1>ab7 <1>a\nbc<13>a line\r\n<13>another\n' >"/dev/tcp/127.0.0.1/${port[2]}"
	printf '<14>a datagram' >"/dev/udp/127.0.0.1/${port[3]}"
	local n=0; until [ "$(wc -l <"$tmp/out")" = 305 ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.02; done
	stop
	[ "$code" = 0 ] || fail "exit code $code"
	grep -c 'message [0-9]* ä tail$' "$tmp/out" | grep -qx 300 || fail "expected 300 messages by RELP"
	for line in '<1>ab' '<1>a\\nbc' '<13>a line' '<13>another' '<14>a datagram'; do
		grep -qxF "${line/\\\\/\\}" "$tmp/out" || fail "expected the line $line in: $(tail -5 "$tmp/out")"
	done
}
killed() { # the same port again, so that the client finds it
	start --relp 0 -o "$tmp/out" || return
	local at=${port[1]} round seen
	python3 tests/logship/relp.py "$at" 1 100000000 30 >"$tmp/acked" & local client=$!
	for round in 1 2 3 4 5 6 7 8 9 10; do
		seen=$(wc -l <"$tmp/acked")
		until [ "$(wc -l <"$tmp/acked")" -ge $((seen + 150)) ] || ! kill -0 $client 2>/dev/null; do sleep 0.01; done
		cp "$tmp/acked" "$tmp/before" # what it had said before it was killed
		stop -KILL
		sed 's/.*/message & /' "$tmp/before" | sort -u >"$tmp/want"
		grep -o 'message [0-9]* ' "$tmp/out" | sort -u >"$tmp/have"
		comm -23 "$tmp/want" "$tmp/have" >"$tmp/missing"
		[ -s "$tmp/missing" ] && fail "round $round: acknowledged and not there: $(head -3 "$tmp/missing")"
		start --relp "$at" -o "$tmp/out" || return
	done
	kill $client 2>/dev/null || fail "the client failed"
	wait $client 2>/dev/null
	stop
	! grep -vE '^<13>1 - host app - - - message [0-9]+ ä tail$' "$tmp/out" | grep -vE '^(<13>1 - host app.*)?$' | head -3 | grep . ||
		fail "expected messages, whole or cut off by a kill"
}
full() {
	start --relp 0 -o /dev/full || return
	timeout 3 python3 tests/logship/relp.py "${port[1]}" 1 5 >"$tmp/acked"
	wait "$pid"; code=$?; pid=
	[ "$code" = 3 ] || fail "exit code $code, expected 3"
	[ ! -s "$tmp/acked" ] || fail "acknowledged what was not written: $(cat "$tmp/acked")"
	grep -q '/dev/full: cannot be written' "$tmp/said" || fail "said: $(cat "$tmp/said")"
}
rotated() {
	start --relp 0 -o "$tmp/out" || return
	python3 tests/logship/relp.py "${port[1]}" 1 10 >/dev/null
	mv "$tmp/out" "$tmp/out.1"
	kill -HUP "$pid"
	local n=0; until [ -e "$tmp/out" ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.02; done
	python3 tests/logship/relp.py "${port[1]}" 11 10 >/dev/null
	stop
	[ "$(wc -l <"$tmp/out.1") $(wc -l <"$tmp/out")" = "10 10" ] || fail "expected 10 lines in each file"
}
torn() { # a line that a crash cut off is ended, not continued
	printf 'whole\nhal' >"$tmp/out"
	start --relp 0 --json --count 1 -o "$tmp/out" || return
	timeout 20 python3 tests/logship/relp.py "${port[1]}" 7 1 >/dev/null
	wait "$pid"; code=$?; pid=
	[ "$code" = 0 ] && [ "$(sed -n 2p "$tmp/out")" = hal ] || fail "exit code $code, $(cat "$tmp/out")"
	sed -n 3p "$tmp/out" | python3 -c 'import json,sys; o = json.load(sys.stdin)
assert o["transport"] == "relp" and o["message"].endswith("message 7 ä tail"), o' || fail "expected the message as JSON"
}
nonsense() {
	start --relp 0 --tcp 0 -o "$tmp/out" || return
	printf 'GET / HTTP/1.0\r\n\r\n' >"/dev/tcp/127.0.0.1/${port[1]}"
	printf '99999999 x' >"/dev/tcp/127.0.0.1/${port[2]}"
	printf '9 <1>half' >"/dev/tcp/127.0.0.1/${port[2]}"
	python3 - "${port[1]}" <<'P' || fail "syslog before open was not refused"
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
s.sendall(b"1 syslog 3 abc\n")
assert s.recv(100).startswith(b"1 rsp 34 500 "), "answer"
P
	python3 tests/logship/relp.py "${port[1]}" 1 3 >/dev/null # it serves others still
	stop
	[ "$code" = 0 ] && [ "$(wc -l <"$tmp/out")" = 3 ] || fail "exit code $code, $(cat "$tmp/out")"
	[ "$(grep -c 'closed\|ended within' "$tmp/said")" = 3 ] || fail "said: $(cat "$tmp/said")"
}
usage() {
	local a
	for a in "--relp x:y" "--relp 1.2.3.4.5:1" "--count 0" "extra" "--tcp ::1:5"; do
		timeout 20 "$bin" receive $a >/dev/null 2>"$tmp/said"; code=$?
		[ $code = 1 ] || [ $code = 2 ] || fail "$a: exit code $code"
		[ -s "$tmp/said" ] || fail "$a: no message"
	done
	"$bin" receive --help | grep -q 'Exit code' || fail "no help"
}
for case in ${1:-transports killed full rotated torn nonsense usage}; do
	rm -f "$tmp"/*; [ -z "$pid" ] || stop -KILL
	$case
done
[ $failed = 0 ] && echo "tfs-logship receive: sound"
exit $failed
