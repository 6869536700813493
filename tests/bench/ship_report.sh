#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What tests/bench/ship.sh said, as the table docs/bench/ship.md. usage: ship_report.sh KERNEL <OUTPUT
awk -v kernel="$1" '
{ v[$1, $2, 0] = $3; for (i = 4; i <= NF; i++) v[$1, $2, i - 3] = $i }
function n(x) { return x == "" ? "-" : x }
function us(t, lines) { return lines ? sprintf("%.1f", t * 10000 / lines) : "-" }
function busy(s) { return v["throughput", s, 0] ? sprintf("%.0f", v["throughput", s, 5] * v["throughput", s, 2] / v["throughput", s, 0]) : "-" }
function ratio(a, b) { return b ? sprintf("%.2f", a / b) : "-" }
END {
	t = "throughput"; d = "delay"; w = "writers"; l = "lost"
	print "# Log forwarding beside rsyslog and netconsole: kernel " kernel "\n"
	print "Made by `tests/bench/ship.sh`, which says how each row is measured: one guest of QEMU (TCG) with one processor of a billion instructions a second, so that"
	print "what the host does has no part in it. The collector is `tfs-logship receive`, into memory, for all. RELP acknowledges each message; rsyslog is Debian 12'\''s 8.2302 with imfile and omrelp as they come.\n"
	print "| row | TFS | rsyslog | TFS / rsyslog |\n|---|---|---|---|"
	print "| lines a second at the collector | " v[t, "tfs", 2] " | " v[t, "rsyslog", 2] " | " ratio(v[t, "tfs", 2], v[t, "rsyslog", 2]) " |"
	print "| processor time of the sender, us a line | " us(v[t, "tfs", 5], v[t, "tfs", 0]) " | " us(v[t, "rsyslog", 5], v[t, "rsyslog", 0]) " | " ratio(v[t, "tfs", 5] / v[t, "tfs", 0], v[t, "rsyslog", 5] / v[t, "rsyslog", 0]) " |"
	print "| lines a second of the writers meanwhile | " v[w, "up", 0] " | " v[w, "rsyslog", 0] " | " ratio(v[w, "up", 0], v[w, "rsyslog", 0]) " |"
	print "| delay of a line that is synced, ms: median, 99th percentile | " v[d, "tfs-1", 3] ", " v[d, "tfs-1", 4] " | " v[d, "rsyslog-1", 3] ", " v[d, "rsyslog-1", 4] " | |"
	print "| the same of one that nobody syncs | " v[d, "tfs-0", 3] ", " v[d, "tfs-0", 4] " | " v[d, "rsyslog-0", 3] ", " v[d, "rsyslog-0", 4] " | TFS sends what is durable; rsyslog what a crash may take back |"
	print "\nOf the time that its lines took, TFS'\''s sender was busy " busy("tfs") "%, rsyslog'\''s " busy("rsyslog") "%: it waited for answers (128 messages on their way at most), and may be faster to another collector. Its processor time a line has no part in that."
	print "\n| writers, lines a second | nobody sends | collector up | down | takes connections, never reads |\n|---|---|---|---|---|"
	print "| TFS | " v[w, "none", 0] " | " v[w, "up", 0] " | " v[w, "down", 0] " | " v[w, "deaf", 0] " |"
	print "\n| 1,000 lines a second for 10 s, the collector gone for 3 s | written | arrived | lost |\n|---|---|---|---|"
	split("relp udp netconsole", k, " "); split("TFS, RELP|rsyslog, UDP|netconsole (kernel messages)", name, "|")
	for (i = 1; i <= 3; i++) print "| " name[i] " | " v[l, k[i], 0] " | " v[l, k[i], 1] " | " v[l, k[i], 0] - v[l, k[i], 1] " |"
}'
