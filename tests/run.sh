#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Runs the tests one after the other, says what each proves, and how to repeat one that fails.
set -u
passed=0 failed=0 skipped=0
run() { # WHAT COMMAND...
	local what=$1; shift
	echo "== $what"
	local code=0; "$@" || code=$?
	case $code in
	0) passed=$((passed + 1)) ;;
	77) skipped=$((skipped + 1)); echo "SKIPPED: $what" ;;
	*) failed=$((failed + 1)); echo "FAILED: $what; repeat: $*" ;;
	esac
	# as root some programs put a file in its place, and then it is other tests that fail
	[ -c /dev/null ] || { failed=$((failed + 1)); echo "FAILED: /dev/null is no device any more, since: $what"; }
}
run "the core refers to nothing of its host beyond the port" tests/unit/hostless.sh
for t in build/bin/test_*; do [ -x "$t" ] && run "unit: $(basename "$t")" "$t"; done
run "crash simulator: every workload of one and two operations, and random histories" \
	build/bin/tfs-power --histories 800 --length 300
run "crash simulator: some workloads of three operations (make soak: all)" build/bin/tfs-power --triples=0:5000
run "torture: filled to ENOSPC, emptied at random, refilled; with and without the compactor" build/bin/tfs-power --torture=128
run "refill: thousands of times full, with and without snapshots; nothing leaks" build/bin/tfs-power --refill=8192
run "cost table: KB, writes and flushes of durable operations" build/bin/tfs-power --costs
run "faults: every allocation and every request fails once" build/bin/tfs-power --faults
run "flips: a bit wrong in every byte read gives an error or nothing" build/bin/tfs-power --flip
run "fuzzers: seeds and past findings" tests/fuzz/replay.sh
run "fsck: each mutation is reported, mended in one run, and gone in the next" tests/fsck/test_fsck.sh
run "tfs rollback, grow, scrub" tests/cli/test_volume.sh
run "growing: cut off at each write" tests/fsck/test_grow.sh
run "crafted volumes, checksums right: used in every way" build/bin/mutated 1 2000
run "crafted volumes with snapshots, checksums right: used in every way" build/bin/mutated -s 1 2000
run "fsck: repairs that are cut off at each write leave what the next run mends" tests/fsck/stop.sh
run "fsck: Nanos volumes: repairs cut off at each write are brought back or mended" tests/nanos/stop.sh torn first
run "tfs-fuse: system calls as on tmpfs; full, killed, read back" tests/fuse/test_fuse.sh
run "tfs-fuse: snapshots made, listed, compared, deleted on a mounted volume" tests/fuse/test_snapshots.sh
run "kernel: as ext4, a tree, full, killed, in each installed kernel" tests/kernel/quick.sh
run "tfs-fuse: a file replaced by rename is never empty after a kill" tests/fuse/test_replace.sh
run "backup: what a store promises, of a directory" tests/backup/test_store.sh
run "systemd takes the units" tests/backup/test_units.sh
run "backup: schedules: jobs, hooks, states, the daemon" tests/backup/test_schedule.sh
run "backup: S3: signatures, the suite, messages, faults at every request" tests/backup/test_s3.sh
run "backup: what is restored is what was backed up; keys, forget, stores set back, two writers" tests/backup/test_backup.sh
run "backup: versions of the format: an old repository is read, newer ones are refused by name" tests/backup/test_format.sh
run "backup: Nanos volumes: to either format and back, only what changed" tests/backup/test_nanos.sh
run "backup: bytes changed, objects cut, removed and swapped are noticed by verify and restore" tests/backup/test_damage.sh
run "backup: run, forget, prune and restore killed, then again" tests/backup/test_kill.sh 11
run "backup: of a volume that tfs-fuse has mounted, under writers" tests/backup/test_mounted.sh
run "backup: SQLite under load, by the schedule: every transaction acknowledged before a run is restored" tests/backup/test_database.sh sqlite
run "backup: prune repacks: killed, beside runs and other prunes; what is needed stays" tests/backup/test_repack.sh 6
run "backup: what lay beside what is needed, in one block and between: moved along, or never asked for" tests/backup/test_gaps.sh
run "backup: full, read-only, gone, expired, clocks, keys: the messages of the guide, and going on" tests/backup/test_faults.sh
run "backup: mounted in place: as the volume was, read-only, in bounded memory" tests/backup/test_mount.sh
run "backup: an incremental run sends at most 1.2 times what changed" tests/backup/test_size.sh
run "tfs-logship receive: what is acknowledged is in the file, killed again and again" tests/logship/test_receive.sh
run "tfs-logship drain and run: nothing durable and unacknowledged is missing, killed again and again; rsyslog" tests/logship/test_drain.sh
run "tfs-logship to HTTP: each format as specified; faults, partial success, dead letters: nothing missing, no document twice" \
	tests/logship/test_web.sh each faults dead
run "tfs-logship over TLS: syslog (RFC 5425) and RELP to rsyslog: nothing missing; strangers get nothing" tests/logship/test_tls.sh
run "tfs-logship to systemd-journal-remote, ended in between: every line, as it was written" tests/logship/test_collectors.sh
for t in tests/cli/test_*.sh; do [ -x "$t" ] && run "cli: $(basename "$t")" "$t"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
