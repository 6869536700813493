#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# guest.sh itself: exit codes of scripts come through, and a panic, a warning, a hang and a guest that ends silently are failures,
# on both machine types. usage: verdict.sh [KERNEL]...
. "$(dirname "$0")/lib.sh"
k=${KERNELS[-1]}
expect() { # CODE MACHINE SCRIPT
	echo "$3" | job; LIMIT=$4 guest -M "$2" -l "$tmp/log" >"$tmp/out" 2>&1; local code=$?
	[ $code = "$1" ] || { bad "'$3' on $2 ended with $code, not $1"; tail -3 "$tmp/out"; }
}
expect 0 q35 'echo fine' 90
expect 3 microvm 'exit 3' 90
expect 125 q35 'echo c >/proc/sysrq-trigger' 90
expect 125 microvm 'echo "WARNING: CPU: 0 PID: 1 at nowhere" >/dev/kmsg' 90
expect 125 microvm 'poweroff -f' 90
expect 124 q35 'sleep 1000' 40
finish
