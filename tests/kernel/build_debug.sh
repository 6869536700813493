#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Builds the debugging kernel from Debian's linux-source-6.1 in build/debug-kernel, with KASAN, lockdep, kmemleak and fault
# injection as debug.config says; some 20 minutes of one core, 1.5 GB. A second run builds only what changed.
# usage: build_debug.sh   (JOBS: how many compilers, default 1)   Then: make test-debug
set -eu
cd "$(dirname "$0")/../.."
source=/usr/src/linux-source-6.1.tar.xz out=build/debug-kernel
[ -e $source ] || { echo "$source is missing: as root, apt-get install linux-source-6.1 flex bison bc libelf-dev libssl-dev" >&2; exit 77; }
for p in flex bison bc xz; do command -v $p >/dev/null || { echo "$p is missing: as root, apt-get install flex bison bc xz-utils" >&2; exit 77; }; done
mkdir -p $out
if [ ! -e $out/source/.complete ] || [ $source -nt $out/source/.complete ]; then
	rm -rf $out/source; mkdir $out/source; tar -xf $source -C $out/source --strip-components=1; touch $out/source/.complete
fi
if [ tests/kernel/debug.config -nt $out/source/.config ]; then
	# each line of debug.config must have taken: a dependency that is missing drops it silently
	(cd $out/source && KCONFIG_ALLCONFIG="$OLDPWD/tests/kernel/debug.config" make -s allnoconfig >/dev/null)
	missing=$(grep -E '^CONFIG_' tests/kernel/debug.config | while read -r line; do grep -qxF "$line" $out/source/.config || echo "$line"; done)
	[ -z "$missing" ] || { echo "the configuration did not take:" >&2; echo "$missing" >&2; rm $out/source/.config; exit 1; }
fi
nice -n 15 make -s -C $out/source -j"${JOBS:-1}" bzImage modules
make -s -C $out/source kernelrelease >$out/version
echo "built $(cat $out/version): $out/source/arch/x86/boot/bzImage"
