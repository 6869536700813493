#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-logship to collectors of HTTP: in each format every line arrives, at a stub written from the specifications (stub.py), through refusals,
# Retry-After, resets, answers that are lost and bodies that are too large; what is refused for good is in the dead-letter file, or stops
# it; credentials and certificates. What one identity has come twice of differs in nothing.
# usage: test_web.sh [NAME of a case]
set -u
cd "$(dirname "$0")/../.." || exit 2
bin=$PWD/${BIN:-build/bin} ship=$PWD/${BIN:-build/bin}/tfs-logship
tmp=$(mktemp -d) pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
unset http_proxy https_proxy HTTPS_PROXY ALL_PROXY all_proxy
. tests/logship/certificates.sh
failed=0 FILES=3 LINES=300
fail() { echo "FAILED: $case: $*; repeat: $0 $case"; failed=1; }
check() { python3 tests/logship/taken.py "$tmp/out" "$@" >"$tmp/checked" 2>&1 || fail "$(cat "$tmp/checked")"; [ -z "${VERBOSE-}" ] || cat "$tmp/checked"; }
quiet() { local want=$1 got=0; shift; "$@" >"$tmp/said" 2>&1 || got=$?; [ $got = "$want" ] || fail "expected exit $want, found $got: $*: $(tail -3 "$tmp/said")"; }
said() { grep -q "$1" "$tmp/said" || fail "nothing of '$1' is said: $(cat "$tmp/said")"; }
stub() { # OPTION...; listens at $port
	: >"$tmp/out"; : >"$tmp/heard"; python3 tests/logship/stub.py "$tmp/out" "$@" >"$tmp/heard" 2>&1 & pid=$!
	local n=0; until grep -q '^port' "$tmp/heard"; do n=$((n + 1)); [ $n -lt 3000 ] && kill -0 "$pid" 2>/dev/null || { cat "$tmp/heard"; pid=; return 1; }; sleep 0.02; done
	port=$(sed -n 's/^port //p' "$tmp/heard")
}
stop() { # the stub had nothing to find fault with
	kill "$pid"; wait "$pid" || fail "the stub says: $(cat "$tmp/heard")"; pid=
	grep -q 'faults left 0' "$tmp/heard" || fail "not all faults were met: $(cat "$tmp/heard")"
}
image() { # [NAME]: of $FILES files of $LINES lines, made once
	local all=$tmp/${1:-all}
	[ -e "$all.img" ] || { mkdir "$all"; python3 tests/logship/lines.py make "$all" $FILES $LINES
		"$bin/mkfs.tfs" -q --size 32M --from "$all" "$all.img" && "$bin/tfs" -q ship add "$all.img" 'stdout:?max=512' '*.log' --from-start; }
	cp "$all.img" "$tmp/i.img"
}
config() { printf '%s\n' "$@" >"$tmp/conf"; }
drain() { # EXIT TARGET [OPTION...]
	local want=$1 to=$2; shift 2; quiet "$want" "$ship" drain "$tmp/i.img" --to "$to" -c "$tmp/conf" "$@"; }
pending() { "$ship" status "$tmp/i.img" | awk '{ sub(/.*pending=/, ""); n += $0 } END { print n + 0 }'; }
url() { echo "$1+http://127.0.0.1:$port?max=512&batch=${BATCH:-32768}"; }
token() { install -m 600 /dev/null "$tmp/token"; echo "${1:-Splunk 12345678-abcd}" >"$tmp/token"; config "dead-letter = $tmp/dead" "[splunk+http://127.0.0.1:$port]" "authorization-file = $tmp/token"; }
small() { FILES=1 LINES=60 image small; } # GELF: a request a message

each() { # nothing goes wrong: all of it, once; a second time nothing is sent
	stub || return; token; rm -f "$tmp/dead"
	for f in otlp loki elastic splunk; do
		image; drain 0 "$(url $f)&app=me"; [ "$(pending)" = 0 ] || fail "$f: something is pending"
		drain 0 "$(url $f)"; said 'acknowledged=0'
	done
	check 4 $FILES $LINES once; : >"$tmp/out"
	small; drain 0 "$(url gelf)"; check 1 1 60 once; : >"$tmp/out"
	image; drain 0 "$(url loki)&tenant=me"; check 1 $FILES $LINES once; stop
	stub --want-auth 'Splunk 12345678-abcd' || return; token; image; http_proxy=http://127.0.0.1:9 drain 0 "$(url splunk)" --retry 0s; check 1 $FILES $LINES once; stop # a proxy would get what is not to leave this machine
	stub --gzip || return; config; image; drain 0 "$(url otlp)&gzip"; check 1 $FILES $LINES once; stop
}
faults() { # what is lost on the way goes again; an answer that is lost repeats a request, not a document
	local list=429,503,500,reset,cut,ok,empty,cut,429s,reset,ok,429d
	stub --faults $list,$list,$list,$list,some,some,ok,some || return; token; rm -f "$tmp/dead"
	for f in otlp loki splunk elastic; do image; drain 0 "$(BATCH=200000 url $f)" --retry 1h; done
	check 4 $FILES $LINES elastic; stop; [ ! -e "$tmp/dead" ] || fail "a dead letter of a fault that passes"
	stub --faults slow,ok,slow || return; config; image; drain 0 "$(url otlp)" --timeout 1s --retry 1h; check 1 $FILES $LINES; stop
	stub --faults huge || return; config; image; drain 2 "$(url otlp)" --retry 0s; said 'longer than 16 MiB'; drain 0 "$(url otlp)"; check 1 $FILES $LINES; stop
	stub --largest 9000 || return; config; image; drain 0 "$(url otlp)"; image; drain 0 "$(url elastic)"; check 2 $FILES $LINES once; stop
}
dead() { # each line that ends in 7: refused for good
	stub --bad 'line [0-9]*7:' || return; token; rm -f "$tmp/dead"
	for f in otlp loki elastic splunk; do
		image; drain 2 "$(url $f)"; said 'holds 90 messages'; [ "$(pending)" = 0 ] || fail "$f: something is pending"
	done
	check 4 $FILES $LINES elastic dead "$tmp/dead"
	[ "$(wc -l <"$tmp/dead")" = 360 ] || fail "$(wc -l <"$tmp/dead") dead letters, expected 360"
	: >"$tmp/out"; rm -f "$tmp/dead"; small; drain 2 "$(url gelf)"; check 1 1 60 once dead "$tmp/dead"
	# what waits before one keeps it from the file until its turn: each is there once, in order
	stop; stub --bad 'line [0-9]*7:' --faults some,some,some,some,some,some || return; token; rm -f "$tmp/dead"; image; local i=0
	until [ "$(pending)" = 0 ] || [ $i = 40 ]; do i=$((i + 1)); "$ship" drain "$tmp/i.img" --to "$(url elastic)" -c "$tmp/conf" --retry 0s >"$tmp/said" 2>&1; done
	check 1 $FILES $LINES elastic dead "$tmp/dead"; [ "$(wc -l <"$tmp/dead")" = 90 ] || fail "$(wc -l <"$tmp/dead") dead letters after some that wait, expected 90"
	stop; stub --bad 'line [0-9]*7:' || return
	# without a file for them it stops, before the first of them
	for f in otlp elastic; do
		: >"$tmp/out"; token; sed -i '/dead-letter/d' "$tmp/conf"; image; drain 2 "$(url $f)"; said 'no dead-letter file'
		[ "$(pending)" != 0 ] || fail "$f: the cursor went over a line that nobody has"
		token; rm -f "$tmp/dead"; drain 2 "$(url $f)"; [ $f = elastic ] || check 1 $FILES $LINES once dead "$tmp/dead" # the stub has the documents since above
	done
	# a file for them that cannot be written: nothing moves
	config "dead-letter = $tmp/none/dead"; small; drain 2 "$(url gelf)"; said 'none/dead'; [ "$(pending)" != 0 ] || fail "the cursor moved"
	stop
	# a partial success of OTLP does not say which: the request's are in the file, and not sent again
	stub --faults ok,partial || return; config "dead-letter = $tmp/dead"; rm -f "$tmp/dead"; image; drain 2 "$(url otlp)"; check 1 $FILES $LINES once dead "$tmp/dead" twice; stop
	grep -q '"unsure":true' "$tmp/dead" || fail 'that it is not known which is not said'
	grep -q 'one was too old' "$tmp/dead" || fail 'the reason is not in the file'
}
refused() { # what trying again does not mend: it says why, and nothing moves
	local before; rm -f "$tmp/dead"; image; before=$(pending)
	for fault in html 401 404; do
		stub --faults $fault || return; config "dead-letter = $tmp/dead"; drain 2 "$(url loki)" --retry 1h; said "${fault/html/page}"; stop
		[ "$(pending)" = "$before" ] || fail "$fault: the cursor moved"
	done
	grep -q $'\x1b' "$tmp/said" && fail 'the collector writes to the terminal'
	stub --faults 429long || return; drain 2 "$(url otlp)" --retry 30s; stop
	stub --want-auth 'Splunk other' || return; token; drain 2 "$(url splunk)" --retry 1h; said 401; stop
	stub --want-auth 'Splunk 12345678-abcd' || return; token; drain 2 "splunk+http://127.0.0.1:$port/of-others" --retry 1h; said 401; stop # a rule leads them nowhere else
	token; chmod 644 "$tmp/token"; drain 2 "$(url splunk)" --retry 1h; said 'others may read it'
	rm "$tmp/token"; drain 2 "$(url splunk)" --retry 1h; said 'No such file'
	token; config "[splunk+http://192.0.2.1:8088]" "authorization-file = $tmp/token"; drain 2 splunk+http://192.0.2.1 --retry 1h; said 'use https'
	config "[splunk+http://127.evil:8088]" "authorization-file = $tmp/token"; drain 2 splunk+http://127.evil --retry 0s; said 'use https'
	config; drain 2 "otlp+http://127.0.0.1:$port" --retry 0s # nobody is there any more
	[ "$(pending)" = "$before" ] && [ ! -e "$tmp/dead" ] || fail "the cursor moved"
	for line in '[otlp+https://h' '[file:x]' '[otlp+https://h]
x = 1' '[relp://h]
authorization-file = x' '[otlp+https://h]
[otlp+https://h:4318]' 'dead-letter ='; do config "$line"; drain 1 "$(url otlp)"; said 'line [12]'; done
	for t in 'otlp+https://h/a b' 'otlp://h' 'elastic+https://h?index=A' 'loki+https://h?tenant=' 'otlp+https://h?batch=1' 'gelf+https://h?index=a' 'otlp+http://h?gzip=1'; do quiet 1 "$ship" drain "$tmp/i.img" --to "$t"; done
}
tls() {
	certificates "$tmp" && stub --tls "$tmp/server.pem" "$tmp/server.key" || return
	local to="otlp+https://localhost:$port?max=512&gzip" before; image; before=$(pending)
	config; drain 2 "$to" --retry 1h; said 'ertificate'
	config "ca-file = $tmp/ca.pem"; drain 2 "otlp+https://127.0.0.1:$port" --retry 1h; said '127.0.0.1' # its name is another
	config "ca-file = $tmp/none"; drain 2 "$to" --retry 1h
	[ "$(pending)" = "$before" ] || fail "the cursor moved"
	kill "$pid"; wait "$pid"
	stub --gzip --want-auth 'Bearer a.b-c' --client-ca "$tmp/ca.pem" --tls "$tmp/server.pem" "$tmp/server.key" || return; to="otlp+https://localhost:$port?max=512&gzip"
	config "ca-file = $tmp/ca.pem"; drain 2 "$to" --retry 0s
	token 'Bearer a.b-c'; config "[otlp+https://localhost:$port]" "ca-file = $tmp/ca.pem" "cert-file = $tmp/client.pem" "key-file = $tmp/client.key" "authorization-file = $tmp/token"
	drain 0 "$to"; check 1 $FILES $LINES once; stop
}
killed() { # again and again, at any of its requests: documents are there once
	stub --bad 'line [0-9]*7:' || return; config "dead-letter = $tmp/dead"; image; : >"$tmp/dead"; local round=0 other
	until [ "$(pending)" = 0 ] || [ $round = 40 ]; do
		round=$((round + 1)); local had; had=$(wc -l <"$tmp/out")
		"$ship" drain -q "$tmp/i.img" --to "elastic+http://127.0.0.1:$port?max=512&batch=8192" -c "$tmp/conf" >/dev/null 2>&1 & other=$!
		[ $round -gt 20 ] || { while kill -0 $other 2>/dev/null && [ "$(wc -l <"$tmp/out")" -lt $((had + 3 * round)) ]; do :; done; kill -9 $other 2>/dev/null; }
		wait $other 2>/dev/null
	done
	[ "$(pending)" = 0 ] || fail "after $round rounds something is pending"
	check 1 $FILES $LINES once dead "$tmp/dead"; stop; quiet 0 "$bin/fsck.tfs" -fn "$tmp/i.img"
}
for case in ${*:-each faults dead refused tls killed}; do $case; done
[ $failed = 0 ] && echo "tfs-logship to collectors of HTTP: as expected"
exit $failed
