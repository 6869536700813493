#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# tfs-logship to collectors other than rsyslog: syslog-ng by TCP (RFC 6587), systemd-journal-remote by HTTP, the latter ended and
# started again in between: every line arrives, and reads as it was written. Debian lets
# syslog-ng not be installed beside rsyslog: its case runs when SYSLOG_NG is a folder that its packages were unpacked into (dpkg -x).
# usage: test_collectors.sh [NAME of a case]
set -u
cd "$(dirname "$0")/../.." || exit 2
bin=$PWD/${BIN:-build/bin} ship=$PWD/${BIN:-build/bin}/tfs-logship
tmp=$(mktemp -d) pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
failed=0 FILES=3 LINES=600 skipped=
fail() { echo "FAILED: $case: $*; repeat: $0 $case"; failed=1; }
check() { python3 tests/logship/lines.py check "$tmp/out" $FILES $LINES "$@" >"$tmp/checked" 2>&1 || fail "$(cat "$tmp/checked")"; [ -z "${VERBOSE-}" ] || cat "$tmp/checked"; }
pending() { "$ship" status "$tmp/i.img" | awk '{ sub(/.*pending=/, ""); n += $0 } END { print n + 0 }'; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
image() {
	[ -e "$tmp/all.img" ] || { mkdir "$tmp/src"; python3 tests/logship/lines.py make "$tmp/src" $FILES $LINES
		"$bin/mkfs.tfs" -q --size 32M --from "$tmp/src" "$tmp/all.img" && "$bin/tfs" -q ship add "$tmp/all.img" 'stdout:' '*.log' --from-start; }
	cp "$tmp/all.img" "$tmp/i.img"; : >"$tmp/out"
}
stop() { kill "${1:--TERM}" "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; pid=; }
until_() { local n=0; until "$@" >/dev/null 2>&1 || [ $n = 600 ]; do n=$((n + 1)); sleep 0.1; done; }
drain() { "$ship" drain -q "$tmp/i.img" --to "$1" --retry 1h 2>"$tmp/said" || fail "drain ended with $?: $(tail -3 "$tmp/said")"; [ "$(pending)" = 0 ] || fail "something is pending"; }

# ---- syslog-ng ----
syslog_ng() {
	local root=${SYSLOG_NG-} lib
	[ -x "$root/usr/sbin/syslog-ng" ] || { echo "   $case: SKIPPED: SYSLOG_NG names no folder with syslog-ng-core and libwrap0 unpacked (dpkg -x; apt-get install libivykis0 libnet1)"; skipped=1; return 1; }
	lib=$root/usr/lib/syslog-ng/3.38
	cat >"$tmp/ng.conf" <<C
@version: 3.38
@module syslogformat
@module affile
@module afsocket
options { log-msg-size(65536); keep-hostname(yes); flush-lines(1); };
source s { syslog(ip(127.0.0.1) port($port) transport(tcp) flags(store-raw-message)); };
destination d { file("$tmp/out" template("\${RAWMSG}\n") fsync(yes)); };
log { source(s); destination(d); };
C
	LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/usr/lib/syslog-ng:$lib "$root/usr/sbin/syslog-ng" -F -f "$tmp/ng.conf" -R "$tmp/ng.persist" -p "$tmp/ng.pid" -c "$tmp/ng.ctl" \
		--module-path="$lib" >"$tmp/heard" 2>&1 & pid=$!
	until_ test -e "$tmp/ng.ctl"
}
still() { local last=-1 size; until size=$(wc -c <"$tmp/out"); [ "$size" = "$last" ]; do last=$size; sleep 1; done; }
ng_tcp() {
	syslog_ng || return; image; drain "tcp://127.0.0.1:$port?max=512"; still; stop; check
}

# ---- systemd-journal-remote ----
remote=/lib/systemd/systemd-journal-remote
journal_remote() { "$remote" --listen-http="127.0.0.1:$port" --output="$tmp/j/remote.journal" --split-mode=none >"$tmp/heard" 2>&1 & pid=$!; until_ python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"; }
arrived() { [ "$(journalctl -D "$tmp/j" -q -o cat | head -n "$1" | wc -l)" -ge "$1" ]; }
journal() {
	[ -x $remote ] || { echo "   $case: SKIPPED: systemd-journal-remote is missing: as root, apt-get install systemd-journal-remote"; skipped=1; return; }
	image; mkdir -p "$tmp/j"; journal_remote
	( until_ arrived 600; kill "$pid"; sleep 1 ) & local killer=$!
	"$ship" drain -q "$tmp/i.img" --to "journal+http://127.0.0.1:$port?max=512&batch=16384" --retry 5m 2>"$tmp/said" & local drain=$!
	wait $killer; wait "$pid" 2>/dev/null; journal_remote; wait $drain || fail "drain ended with $?: $(tail -3 "$tmp/said")"
	[ "$(pending)" = 0 ] || fail "something is pending"; stop
	journalctl -D "$tmp/j" -q -o json --all 2>"$tmp/said" | python3 tests/logship/journal.py >"$tmp/out" || fail "journalctl: $(head -3 "$tmp/said")"
	check
}
for case in ${*:-journal ${SYSLOG_NG:+ng_tcp}}; do $case; done
[ -z "$skipped" ] || [ $failed = 1 ] || exit 77
[ $failed = 0 ] && echo "other collectors: as expected"
exit $failed
