#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Every kernel test, one after the other, and how long they took. usage: all.sh [KERNEL]...   (KERNEL: a version; default: all
# installed) or all.sh debug: what is meant for the debugging kernels, there with fewer rounds where a round is a boot.
set -u
cd "$(dirname "$0")/../.."
passed=0 failed=0 skipped=0
run() { # TEST [ARGUMENT]...
	[ -x "tests/kernel/$1.sh" ] || return
	echo "== tests/kernel/$1.sh ${*:2}"
	local code=0 started=$SECONDS; "tests/kernel/$1.sh" "${@:2}" || code=$?
	case $code in
	0) passed=$((passed + 1)) ;;
	77) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)); echo "FAILED: tests/kernel/$1.sh ${*:2}" ;;
	esac
	echo "   $((SECONDS - started)) s"
}
if [ "$*" = debug ]; then
	for t in verdict quick features module streams flaky fio sqlite memory enospc freeze kmsg tls sparse refill stress pgbench; do run $t debug; done
	run names -n 10000 debug
	run kill -n 5 debug
	run snapshots -n 2 debug
	run ship -n 2 debug
	run power -n 8 debug
	run hostile -n 30 debug
	run nomem -e 200 -r 4 debug
	run hostile -n 1000 -a uml
	run nomem -e 1 -r 100 uml
else
	for t in verdict install quick snapshots ship torture tls kmsg features module devices streams flaky nfs compile fio sqlite memory enospc freeze sparse refill names stress pgbench backup hostile power kill; do
		run $t "$@"
	done
fi
echo "$passed passed, $failed failed, $skipped skipped, $SECONDS s"
[ $failed = 0 ]
