#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# What tests/bench/snapshot.sh said, as the table docs/bench/snapshot.md. usage: snapshot_report.sh KERNEL FILES VOLUME-SIZE <OUTPUT
awk -v kernel="$1" -v files="$2" -v size="$3" '
function ms(x) { return sprintf("%.1f", x) }
function ratio(a, b) { return b > 0 ? sprintf("%.1f", a / b) : "-" }
function within(value, bar) { return value <= bar ? "met" : "MISSED" }
function three(load, when) { k = load SUBSEP "fsync latency " when ", "; return (k "median") in v ? ms(v[k "median"]) ", " ms(v[k "99th percentile"]) ", " ms(v[k "longest"]) " of " n[k "median"] : "none met" }
function transactions(load) { return ms(pg[load, 1] / 1000) ", " ms(pg[load, 2] / 1000) ", " ms(pg[load, 3] / 1000) " of " pg[load, 4] }
function cost(what) { return sprintf("%.2f s, %.0f, %.1f", cpu[what] / runs[what], requests[what] / runs[what], kb[what] / runs[what] / 1024) }
function per(what) { return cpu[what] / runs[what] }
function took(what) { return elapsed[what] / runs[what] }
function asked(what) { return requests[what] / runs[what] }
function freed(what) { return sprintf("%.1f MB, %d, %.2f s, %.2f s", bytes[what] / 1e6, steps[what], elapsed["delete" SUBSEP what], cpu["delete" SUBSEP what]) }
function row(what, w, d) { print "| " what " | " cost(d) " | " ratio(per(w), per(d)) " | " ratio(took(w), took(d)) " | " ratio(asked(w), asked(d)) " | 50: " within(50, per(d) ? per(w) / per(d) : 50) " |" }
{ split($0, f, "|") }
f[1] == "fsync" && (f[3] == "before" || f[3] == "command") { k = f[2] SUBSEP f[3]; count[k]++; sum[k] += f[4]; if (f[4] > max[k]) max[k] = f[4] }
f[1] == "fsync" { v[f[2], f[3]] = f[4]; n[f[2], f[3]] = f[6] }
f[1] == "diff" || f[1] == "walk" || f[1] == "delete" { k = f[1] SUBSEP f[2]; runs[k]++; elapsed[k] += f[5]; cpu[k] += f[6] + f[7]; requests[k] += f[8]; kb[k] += f[9] }
$1 == "held" { held[$2] = $3 / 1e6; waits[$2] = $4; checkpoints[$2] = $5 }
$1 == "pgbench" { for (i = 3; i <= 6; i++) pg[$2, i - 2] = $i }
$1 == "made" { made = $2 }
$1 == "changed" { changed = $2; together = $3; met_by_walk = $4 }
$1 == "freed" { bytes[$2] = $3; steps[$2] = $4 }
END {
	c = "creates" SUBSEP "command"; b = "creates" SUBSEP "before"
	if (!made || !changed || !runs["walk", "all"] || !count[c] || !steps["later"]) { print "the run has no end" >"/dev/stderr"; exit 1 }
	print "# Snapshots of a volume of " files " files (" size ") that PostgreSQL works on: kernel " kernel "\n"
	print "Made by `tests/bench/snapshot.sh`, which says how each row is measured: one guest of QEMU (TCG) with one processor, whose clock is its instructions,"
	print "a billion a second. What the host does beside it does not move that clock, but while the guest waits for its disk, a file in the host'\''s memory, it goes on as"
	print "the host'\''s. The load: pgbench, 4 clients at a fixed rate (a transaction'\''s time counts from when it was due), and a writer that syncs 4 KiB every 2 ms.\n"
	print "| stall of writers | without a snapshot | " made " snapshots, one a second | each of them deleted | bar |\n|---|---|---|---|---|"
	printf "| longest that a step held the core'\''s lock since the mount, ms | %s | %s | %s | 10: %s |\n", ms(held["plain"]), ms(held["creates"]), ms(held["deletes"]), within(held["deletes"], 10)
	printf "| requests waited for under that lock, since the mount | %d | %d | %d | 0: %s |\n", waits["plain"], waits["creates"], waits["deletes"], within(waits["deletes"], 0)
	print "| checkpoints in that time | " checkpoints["plain"] - checkpoints["none"] " | " checkpoints["creates"] - checkpoints["plain"] " | " checkpoints["deletes"] - checkpoints["creates"] " | |"
	print "| fsync beside it, ms: median, 99th percentile, longest | " three("plain", "otherwise") " | " three("creates", "otherwise") " | " three("deletes", "otherwise") " | |"
	print "| fsync that met the checkpoint, the create, the delete | " three("plain", "during a checkpoint") " | " three("creates", "during the command") " | " three("deletes", "during the command") " | |"
	print "| a transaction, ms: median, 99th percentile, longest | " transactions("plain") " | " transactions("creates") " | " transactions("deletes") " | |"
	l = "creates" SUBSEP "fsync latency during the command, longest"; p = "plain" SUBSEP "fsync latency otherwise, longest"
	if (l in v) printf "| longest fsync that met a create, less the longest that met nothing, ms | | %s | | 10: %s |\n", ms(v[l] - v[p]), within(v[l] - v[p], 10)
	print "\n| create, ms of " count[c] " | mean | longest |\n|---|---|---|"
	print "| writing back what is dirty, just before (`sync -f`) | " ms(sum[b] / count[b]) " | " ms(max[b]) " |"
	print "| `tfs snapshot create`, its process among it, under the load | " ms(sum[c] / count[c]) " | " ms(max[c]) " |"
	print "\n| overwritten, of " files " files | processor time, requests read, MiB read | walk / diff: processor time | elapsed | requests | bar, of processor time |\n|---|---|---|---|---|---|"
	w = "walk" SUBSEP "all"; print "| (walk over " met_by_walk " files and their attributes, nothing cached) | " cost(w) " | | | | |"
	row(changed " spread over all folders, nothing cached", w, "diff" SUBSEP "spread"); row("the same, `-i` (no paths)", w, "diff" SUBSEP "spread-inodes")
	row(together " that lie together, nothing cached", w, "diff" SUBSEP "together"); row("the same, `-i`", w, "diff" SUBSEP "together-inodes")
	row(changed " spread, walk and diff a second time", "walk" SUBSEP "cached", "diff" SUBSEP "cached")
	print "\n| delete of the snapshot | freed, steps, time until all is free, processor time |\n|---|---|"
	print "| before the 1% | " freed("before") " |\n| which a tenth of the files was removed from | " freed("later") " |"
}'
