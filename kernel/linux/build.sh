#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the module for one kernel: links to the sources under build/VERSION, kbuild runs there, so the source folders stay
# clean. usage: build.sh VERSION [crc] (VERSION: a folder of /usr/src/linux-headers-* without the prefix, or `debug` or `uml`:
# what make debug-kernel built, with UBSan; crc: into build/VERSION-crc a module that takes a constant for every checksum, to mount fuzzers'
# images: for tests/kernel/hostile.sh alone)
set -eu
k=$1 headers=/usr/src/linux-headers-$1 top=$PWD options=()
case $k in debug | uml) headers=$top/build/$k-kernel/source options+=(UBSAN_SANITIZE=y) ;; esac
# its stacks have 16 KiB also with KASAN: without marks around the variables on them, which double a frame
[ "$k" != uml ] || options+=(ARCH=um "CFLAGS_KASAN=-fsanitize=kernel-address --param asan-globals=1 --param asan-instrumentation-with-call-threshold=0 --param asan-stack=0")
case $k in debug | uml) k=$(cat "build/$k-kernel/version") ;; esac
out=build/$k
[ "${2:-}" != crc ] || { out+=-crc; options+=(KCFLAGS=-DTFS_CONSTANT_CRC=0x5a5a5a5au); }
[ -e "$headers/Makefile" ] || { echo "headers of $k are missing: as root, apt-get install linux-headers-$k" >&2; exit 1; }
common=${headers%-amd64}-common
case $1 in debug | uml) common=$top/build/linux-source-6.1 ;; esac # what is built lies apart from it
[ -d "$common" ] || common=$headers
mkdir -p "$out/include"
ln -sfn "$top/tfs" "$out/include/tfs"
for f in kernel/linux/*.c kernel/linux/*.h kernel/linux/Kbuild; do ln -sf "$top/$f" "$out/$(basename "$f")"; done
ln -sfn "$top/logship" "$out/include/logship"
for f in logship/ship/*.c; do ln -sf "$top/$f" "$out/framing_$(basename "$f")"; done
for f in tfs/*.c; do ln -sf "$top/$f" "$out/core_$(basename "$f")"; done
kernel/linux/probe.sh "$common" >"$out/tfs_probe.h.new"
cmp -s "$out/tfs_probe.h.new" "$out/tfs_probe.h" && rm "$out/tfs_probe.h.new" || mv "$out/tfs_probe.h.new" "$out/tfs_probe.h"
make -s -C "$headers" M="$top/$out" ${options[@]+"${options[@]}"} modules
