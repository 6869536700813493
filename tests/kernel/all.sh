#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Every kernel test, one after the other. usage: all.sh [KERNEL]...   (KERNEL: a version or `debug`; default: all installed)
set -u
cd "$(dirname "$0")/../.."
passed=0 failed=0 skipped=0
for t in verdict install quick features module devices streams flaky nfs compile fio sqlite memory enospc freeze sparse names stress pgbench hostile power kill; do
	[ -x tests/kernel/$t.sh ] || continue
	echo "== tests/kernel/$t.sh $*"
	code=0; tests/kernel/$t.sh "$@" || code=$?
	case $code in
	0) passed=$((passed + 1)) ;;
	77) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)); echo "FAILED: tests/kernel/$t.sh $*" ;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
