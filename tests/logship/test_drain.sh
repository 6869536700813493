#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-logship drain and run: every line that was durable and not acknowledged arrives, from the cursor on, over each transport, though the
# collector, the sender and what has the volume mounted are killed again and again; the cursor moves only over what was acknowledged;
# from images, and from a volume that tfs-fuse has mounted, with rotation. rsyslog's imrelp is a second collector, where it is installed.
# usage: test_drain.sh [NAME of a case]
set -u
cd "$(dirname "$0")/../.." || exit 2
bin=$PWD/${BIN:-build/bin} ship=$PWD/${BIN:-build/bin}/tfs-logship
tmp=$(mktemp -d) pid= other=
trap 'for p in $pid $other; do kill -9 "$p" 2>/dev/null; done; fusermount3 -uzq "$tmp/m" 2>/dev/null; rm -rf "$tmp"' EXIT
failed=0 FILES=3 LINES=800
fail() { echo "FAILED: $case: $*; repeat: $0 $case"; failed=1; }
check() { python3 tests/logship/lines.py check "$@" >"$tmp/checked" 2>&1 || fail "$(cat "$tmp/checked")"; }
quiet() { local want=$1 got=0; shift; "$@" >"$tmp/said" 2>&1 || got=$?; [ $got = "$want" ] || fail "expected exit $want, found $got: $*: $(tail -3 "$tmp/said")"; }

collector() { # OPTION...; listens at $port, of before if there is one
	: >"$tmp/heard"; "$ship" receive --json -o "$tmp/out" "$@" 2>"$tmp/heard" & pid=$!
	local n=0; until grep -q 'listening for' "$tmp/heard"; do
		n=$((n + 1)); [ $n -lt 3000 ] && kill -0 "$pid" 2>/dev/null || { cat "$tmp/heard"; pid=; return 1; }
		sleep 0.02
	done
	port=$(sed -n 's/.*on port //p' "$tmp/heard" | head -1)
}
stop() { [ -z "$pid" ] || { kill "${1:--TERM}" "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; pid=; }; }
image() { # COLLECTOR: $tmp/i.img, whose lines go there
	mkdir -p "$tmp/src"; rm -f "$tmp"/src/* "$tmp/i.img"; : >"$tmp/out"
	python3 tests/logship/lines.py make "$tmp/src" $FILES $LINES
	"$bin/mkfs.tfs" -q --size 32M --from "$tmp/src" "$tmp/i.img" && "$bin/tfs" -q ship add "$tmp/i.img" "$1" '*.log' --from-start
}
pending() { "$ship" status "$tmp/i.img" --json | python3 -c 'import json,sys; print(sum(json.loads(l)["pending"] for l in sys.stdin))'; }

transports() {
	for t in relp tcp; do
		collector --$t 0 || return; image "$t://127.0.0.1:$port?max=512"
		"$ship" tail "$tmp/i.img" | cmp -s - <(cat "$tmp"/src/[0-2].log) || fail "tail prints something else than the files"
		quiet 0 "$ship" drain "$tmp/i.img" --retry 20s; quiet 0 "$ship" drain "$tmp/i.img"
		local n=0 last='' size; until size=$(wc -c <"$tmp/out"); [ "$size" = "$last" ] || [ $n = 300 ]; do last=$size n=$((n + 1)); sleep 0.2; done # TCP: what it has not read
		stop; check "$tmp/out" $FILES $LINES once
		[ "$(pending)" = 0 ] || fail "$t: something is pending"
		quiet 0 "$bin/fsck.tfs" -fn "$tmp/i.img"
	done
	image "file:$tmp/out?max=512"; quiet 2 "$ship" drain "$tmp/i.img"; grep -q "expected --files" "$tmp/said" && [ ! -s "$tmp/out" ] || fail "a rule of the volume writes a file"; quiet 0 "$ship" drain "$tmp/i.img" --files; check "$tmp/out" $FILES $LINES once escaped
	image "stdout:?max=512"; "$ship" drain "$tmp/i.img" --quiet >"$tmp/out" || fail "to standard output"; check "$tmp/out" $FILES $LINES once escaped
	collector --udp 0 || return; LINES=40 image "udp://127.0.0.1:$port?max=512"; quiet 0 "$ship" drain "$tmp/i.img"
	local n=0; until [ "$(wc -l <"$tmp/out")" -ge 120 ] || [ $n = 3000 ]; do n=$((n + 1)); sleep 0.02; done
	stop; check "$tmp/out" $FILES 40 once
}
# The collector ends after so many messages, in the middle of a window, and comes back; the sender is killed in between.
killed() {
	collector --relp 0 || return; image "relp://127.0.0.1:$port?max=512"; stop
	local round=0 at=$port
	until [ "$(pending)" = 0 ] || [ $round = 60 ]; do
		round=$((round + 1))
		collector --relp "$at" --count $((100 + 37 * round)) || return
		"$ship" drain -q "$tmp/i.img" --retry 0s >/dev/null 2>&1 & other=$!
		if [ $((round % 3)) = 0 ]; then
			local had; had=$(wc -l <"$tmp/out")
			while kill -0 $other 2>/dev/null && [ "$(wc -l <"$tmp/out")" -lt $((had + 20)) ]; do :; done
			kill -9 $other 2>/dev/null
		fi
		wait $other 2>/dev/null; other=; stop -9
	done
	[ "$(pending)" = 0 ] || fail "after $round rounds something is pending"
	check "$tmp/out" $FILES $LINES
	[ -n "${VERBOSE-}" ] && cat "$tmp/checked"
	quiet 0 "$bin/fsck.tfs" -fn "$tmp/i.img"
}
# Nobody there, one who never answers, not to the first message either, one who sends a byte of an answer now and then, for ever, and one who is no collector: all is pending afterwards as before.
refused() {
	collector --relp 0 || return; local at=$port; stop; image "relp://127.0.0.1:$at"; local before; before=$(pending)
	quiet 2 "$ship" drain "$tmp/i.img" --retry 0s; grep -q 'Connection refused' "$tmp/said" || fail "no reason is given: $(cat "$tmp/said")"
	for does in silent nonsense trickle late; do
		: >"$tmp/heard"; python3 - "$does" >"$tmp/heard" <<'P' & other=$!
import socket, sys, time
s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)
c = s.accept()[0]
if sys.argv[1] == 'nonsense': c.sendall(b'HTTP/1.1 400 no\r\n\r\n')
if sys.argv[1] == 'late': c.sendall(b'1 rsp 6 200 OK\n')
if sys.argv[1] in ('trickle', 'late'): # an answer of 1,000 bytes that takes 100 s
    c.sendall(b'%d rsp 1000 200 OK' % (1 if sys.argv[1] == 'trickle' else 2))
    try:
        for i in range(1000): c.sendall(b' '); time.sleep(0.1)
    except OSError: pass
time.sleep(20)
P
		local n=0; until [ -s "$tmp/heard" ] || [ $n = 3000 ]; do n=$((n + 1)); sleep 0.02; done
		quiet 2 timeout 60 "$ship" drain "$tmp/i.img" --to "relp://127.0.0.1:$(cat "$tmp/heard")" --timeout 300ms --retry 0s
		kill $other; wait $other 2>/dev/null; other=
	done
	[ "$(pending)" = "$before" ] || fail "the cursor moved although nobody acknowledged"
	quiet 1 "$ship" drain "$tmp/i.img" 99999; quiet 1 "$ship" drain "$tmp/i.img" x; quiet 1 "$ship" drain "$tmp/i.img" --to http://x; quiet 1 "$ship" drain
	quiet 1 "$ship" run "$tmp/i.img"; quiet 1 "$ship" drain "$tmp/none"; quiet 4 "$ship" drain "$tmp/src/0.log"
	printf 'host = me\nretry = 0s\n# no more\n\ntimeout=1s\n' >"$tmp/c"; quiet 2 "$ship" drain -c "$tmp/c" "$tmp/i.img"
	for line in 'x = 1' 'host' 'host =' 'timeout = 0' 'retry = 2d' 'files = perhaps'; do echo "$line" >"$tmp/c"; quiet 1 "$ship" drain -c "$tmp/c" "$tmp/i.img"; grep -q 'line 1' "$tmp/said" || fail "which line is not said"; done
}
# A last line without its end: of an image it goes, of what is mounted, or on request, it waits. Lines that belong together.
ends() {
	mkdir -p "$tmp/src"; rm -f "$tmp"/src/* "$tmp/i.img"; : >"$tmp/out"
	printf 'one\n\n\ntwo\n  and more\nthree' >"$tmp/src/a.log"
	"$bin/mkfs.tfs" -q --size 32M --from "$tmp/src" "$tmp/i.img" && "$bin/tfs" -q ship add "$tmp/i.img" "file:$tmp/out?multi=indent&facility=local0&severity=err&app=me" --from-start
	quiet 0 "$ship" drain "$tmp/i.img" --files --not-ended --host here; [ "$(pending)" = 5 ] || fail "the line without an end: $(pending) bytes pending"
	echo "files = yes" >"$tmp/c"; quiet 0 "$ship" drain "$tmp/i.img" -c "$tmp/c"; [ "$(pending)" = 0 ] || fail "the line without an end was not sent"
	sed -E 's/ \[tfs@.*\]//' "$tmp/out" >"$tmp/lines"
	printf '<131>1 - %s me - - one\n<131>1 - %s me - - two\\n  and more\n<131>1 - %s me - - three\n' here here "$(hostname)" | cmp -s - "$tmp/lines" || fail "messages: $(cat "$tmp/lines")"
	"$ship" status "$tmp/i.img" | grep -q "name='/a.log' generation=0 acked=26 size=26" || fail "status: $("$ship" status "$tmp/i.img")"
}
# Mounted: lines are written and synced while run sends; files are renamed, linked, truncated when all had arrived; the collector, run
# and tfs-fuse are killed.
mounted() {
	[ -e /dev/fuse ] && command -v fusermount3 >/dev/null || { echo "   mounted: SKIPPED: no /dev/fuse"; return; }
	collector --relp 0 || return; local at=$port n file=0 run= fuse= i=$tmp/f.img m=$tmp/m
	mkdir -p "$m"; rm -f "$tmp/out"; stop; "$bin/mkfs.tfs" -q --size 64M "$i"
	up() { "$bin/tfs-fuse" -f "$i" "$m" 2>"$tmp/fuse" & fuse=$!; n=0; until mountpoint -q "$m"; do n=$((n + 1)); [ $n -lt 3000 ] || { fail "does not mount: $(cat "$tmp/fuse")"; return 1; }; sleep 0.02; done; }
	go() { "$ship" run "$m" -q --interval 50ms --timeout 2s 2>"$tmp/ran" & run=$!; }
	crash() { kill -9 $run $fuse; wait $run $fuse 2>/dev/null; fusermount3 -uzq "$m"; }
	all_sent() { n=0; until [ "$("$ship" status "$m" --json | python3 -c 'import json,sys; print(sum(json.loads(l)["pending"] for l in sys.stdin))')" = 0 ]; do n=$((n + 1)); [ $n -lt 2400 ] || { fail "not all is sent"; return 1; }; sleep 0.05; done; }
	up || return; mkdir "$m/log"; "$bin/tfs" -q ship add "$m/log" "relp://127.0.0.1:$at" '*.log'
	go; collector --relp "$at"
	for file in 0 1 2 3 4 5; do
		python3 - "$m/log/app.log" $file <<'P' || fail "writing"
import os, sys
sys.argv[1:1] = ['make', '/dev/null', '0', '0']
sys.path.insert(0, 'tests/logship')
from lines import line
path, file = sys.argv[5:7]
f = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
for n in range(200):
    os.write(f, line(int(file), n) + b'\n')
    if n % 20 == 19: os.fsync(f)
P
		case $file in
		0) mkdir -p "$m/log/old"; mv "$m/log/app.log" "$m/log/old/app.1" ;;
		1) stop -9; mv "$m/log/app.log" "$m/app.2" ;; # out of the rule's directory, while nobody collects
		2) ln "$m/log/app.log" "$m/log/linked"; mv "$m/log/app.log" "$m/log/app.3"; crash; up; go; collector --relp "$at" ;;
		3) all_sent; : >"$m/log/app.log" ;; # a new generation of the same file
		4) crash; up; go ;;
		5) stop -9; rm "$m/log/app.log"; crash; up; go; collector --relp "$at" ;; # removed while nobody collects
		esac
	done
	all_sent; kill $run; wait $run || fail "run ended with $?: $(cat "$tmp/ran")"
	stop; fusermount3 -u "$m"; wait $fuse
	check "$tmp/out" 6 200
	[ -n "${VERBOSE-}" ] && cat "$tmp/checked"
	grep -q 'app.log' "$tmp/out" || fail "no message names its file"
	grep -o '"generation":1' "$tmp/out" | head -1 | grep -q . || fail "no message is of the second generation"
	quiet 0 "$bin/fsck.tfs" -fn "$i"
}
# tail -f prints what comes, whole lines, each once, whoever acknowledges them meanwhile; run counts, of a collector that is there and one that is not.
followed() {
	[ -e /dev/fuse ] && command -v fusermount3 >/dev/null || { echo "   followed: SKIPPED: no /dev/fuse"; return; }
	collector --relp 0 || return; stop; local m=$tmp/m n=0 fuse tail run dead=$port
	mkdir -p "$m"; rm -f "$tmp/out" "$tmp/prom" "$tmp/f.img"; "$bin/mkfs.tfs" -q --size 64M "$tmp/f.img"
	"$bin/tfs-fuse" -f "$tmp/f.img" "$m" 2>"$tmp/fuse" & fuse=$!; other=$fuse
	until mountpoint -q "$m"; do n=$((n + 1)); [ $n -lt 3000 ] || { fail "does not mount: $(cat "$tmp/fuse")"; return; }; sleep 0.02; done
	mkdir "$m/log" "$m/no"; "$bin/tfs" -q ship add "$m/log" "file:$tmp/out" '*.log'; "$bin/tfs" -q ship add "$m/no" "relp://127.0.0.1:$dead?app=a%22b"
	shows() { local n=0; until cmp -s "$tmp/tailed" "$tmp/want"; do n=$((n + 1)); [ $n -lt 1500 ] || { fail "tail -f shows $(cat "$tmp/tailed"), expected $(cat "$tmp/want")"; return; }; sleep 0.04; done; }
	metric() { awk -v a="tfs_logship_$1{rule=\"$2\"" 'index($0, a) == 1 { n = $NF } END { print n + 0 }' "$tmp/prom" 2>/dev/null; }
	reaches() { local n=0; until [ "$(metric "$1" "$2")" "$3" "$4" ]; do n=$((n + 1)); [ $n -lt 1500 ] || { fail "$1 of rule $2 is $(metric "$1" "$2"), expected $3 $4"; return; }; sleep 0.04; done; }
	local rules; mapfile -t rules < <("$bin/tfs" ship list "$m" --json | python3 -c 'import json, sys
for l in sys.stdin: print(json.loads(l)["rule"])')
	printf 'one\ntwo\npart' >"$m/log/a.log"
	"$ship" tail -f "$m" "${rules[0]}" >"$tmp/tailed" & tail=$!; : 
	printf 'one\ntwo\n' >"$tmp/want"; shows
	printf 'metrics = %s\nfiles = yes\nretry = 0s\ninterval = 50ms\n' "$tmp/prom" >"$tmp/c"; "$ship" run "$m" -q -c "$tmp/c" 2>"$tmp/ran" & run=$!
	reaches lines_acknowledged_total "${rules[0]}" = 2; reaches backlog_bytes "${rules[0]}" = 4
	printf 'ial\n' >>"$m/log/a.log"; printf 'partial\n' >>"$tmp/want"; shows
	printf 'other\n' >"$m/log/b.log"; printf 'other\n' >>"$tmp/want"; shows
	printf 'lost?\n' >"$m/no/x"
	reaches lines_acknowledged_total "${rules[0]}" = 4; reaches bytes_total "${rules[0]}" = 22; reaches backlog_bytes "${rules[0]}" = 0; reaches last_acknowledged_timestamp_seconds "${rules[0]}" -gt 1700000000
	reaches failures_total "${rules[1]}" -gt 1; reaches backlog_bytes "${rules[1]}" = 6; reaches last_error_timestamp_seconds "${rules[1]}" -gt 1700000000
	[ "$(metric failures_total "${rules[0]}")$(metric last_error_timestamp_seconds "${rules[0]}")$(metric lines_repeated_total "${rules[0]}")$(metric lines_acknowledged_total "${rules[1]}")" = 0000 ] || fail "counted what was not: $(cat "$tmp/prom")"
	collector --relp "$dead" && reaches lines_acknowledged_total "${rules[1]}" = 1; stop
	: >"$m/log/a.log"; printf 'anew\n' >>"$m/log/a.log"; printf 'anew\n' >>"$tmp/want"; shows
	kill $run; wait $run || fail "run ended with $?"; kill $tail; wait $tail || fail "tail ended with $?"; cmp "$tmp/tailed" "$tmp/want"
	[ "$(grep -c '^# TYPE' "$tmp/prom")" = 10 ] && [ "$(grep -vc '^#' "$tmp/prom")" = 20 ] && ! grep -vE '^(#|tfs_logship_[a-z_]+\{rule="[0-9]+",collector="([^"\\]|\\.)*"\} [0-9]+$)' "$tmp/prom" || fail "the file for Prometheus: $(cat "$tmp/prom")"
	[ "$(ls "$tmp"/prom*)" = "$tmp/prom" ] || fail "something is left beside the file for Prometheus"
	fusermount3 -u "$m"; wait $fuse; other=
	quiet 1 "$ship" tail -f "$tmp/f.img"
}
rsyslog() {
	[ -e /usr/lib/x86_64-linux-gnu/rsyslog/imrelp.so ] || { echo "   rsyslog: SKIPPED: imrelp is missing: as root, apt-get install rsyslog-relp"; return; }
	collector --relp 0 || return; stop; local at=$port n=0
	image "relp://127.0.0.1:$at?max=512"
	cat >"$tmp/rsyslog.conf" <<C
global(workDirectory="$tmp" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="imrelp")
template(name="raw" type="string" string="%rawmsg%\n")
ruleset(name="w" queue.type="Direct") { action(type="omfile" file="$tmp/out" template="raw" sync="on" asyncWriting="off" flushOnTXEnd="on") }
input(type="imrelp" address="127.0.0.1" port="$at" ruleset="w" maxDataSize="64k")
C
	start_rsyslog() { rsyslogd -n -f "$tmp/rsyslog.conf" -i "$tmp/rsyslog.pid" >"$tmp/heard" 2>&1 & other=$!; }
	start_rsyslog
	"$ship" drain -q "$tmp/i.img" --retry 30s 2>"$tmp/said" & pid=$!
	until [ "$(wc -l 2>/dev/null <"$tmp/out" || echo 0)" -ge 600 ] || [ $n = 3000 ]; do n=$((n + 1)); sleep 0.02; done
	kill $other; wait $other 2>/dev/null; start_rsyslog # in the middle of it
	wait $pid || fail "drain ended with $?: $(tail -3 "$tmp/said")"; pid=
	kill $other; wait $other 2>/dev/null; other=
	check "$tmp/out" $FILES $LINES
	[ -n "${VERBOSE-}" ] && cat "$tmp/checked"
}
for case in ${*:-transports killed refused ends mounted followed rsyslog}; do $case; done
[ $failed = 0 ] && echo "tfs-logship drain, run, status, tail: as expected"
exit $failed
