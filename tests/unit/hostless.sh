#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Links the core alone and fails on an undefined symbol that is not the port's (tfs/port.h) or the compiler's own.
# The framing of forwarded lines (logship/ship) goes into the kernel too, and may refer to less; so may the library for Nanos volumes.
set -eu
ld -r -o build/core.o build/obj/tfs/*.o
bad=$(nm -u build/core.o | awk '{print $2}' | grep -vxE 'tfs_port_(alloc|free|crc32c|compress|decompress|log|bug)|mem(cpy|move|set|cmp)|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__popcountdi2' || true)
[ -z "$bad" ] || { echo "the core refers to: $bad"; exit 1; }
if grep -nE '__KERNEL__|#include <' tfs/*.c tfs/*.h; then exit 1; fi
ld -r -o build/nanos.o build/obj/tfs/nanos/*.o
bad=$(nm -u build/nanos.o | awk '{print $2}' | grep -vxE 'tfs_port_(alloc|free)|mem(cpy|move|set|cmp)|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_' || true)
[ -z "$bad" ] || { echo "the library for Nanos volumes refers to: $bad"; exit 1; }
if grep -nE '__KERNEL__|#include <' tfs/nanos/*.[ch]; then exit 1; fi
ld -r -o build/ship.o build/obj/logship/ship/*.o
bad=$(nm -u build/ship.o | awk '{print $2}' | grep -vxE 'mem(cpy|move|set|cmp)|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_' || true)
[ -z "$bad" ] || { echo "the framing refers to: $bad"; exit 1; }
if grep -nE '__KERNEL__|#include <' logship/ship/*.[ch]; then exit 1; fi
