#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Builds the debugging kernel from Debian's linux-source-6.1 in build/debug-kernel, with KASAN, lockdep, kmemleak and fault
# injection as debug.config says; some 15 minutes of one core; or, as uml.config says, user-mode Linux with the same in
# build/uml-kernel, half of that. Both from one tree, build/linux-source-6.1 (1.3 GB). A second run builds only what changed.
# usage: build_debug.sh [uml]   (JOBS: how many compilers, default 1)   Then: make test-debug
set -eu
cd "$(dirname "$0")/../.."
source=/usr/src/linux-source-6.1.tar.xz what=${1:-debug} arch=(ARCH=x86) targets=(bzImage modules)
case $what in debug) ;; uml) arch=(ARCH=um) targets=(linux modules) ;; *) echo "usage: build_debug.sh [uml]" >&2; exit 2 ;; esac
out=build/$what-kernel config=tests/kernel/$what.config
[ -e $source ] || { echo "$source is missing: as root, apt-get install linux-source-6.1 flex bison bc libelf-dev libssl-dev" >&2; exit 77; }
for p in flex bison bc xz; do command -v $p >/dev/null || { echo "$p is missing: as root, apt-get install flex bison bc xz-utils" >&2; exit 77; }; done
tree=build/linux-source-6.1 complete=$tree/.complete-2 # another number after a change to what follows
if [ ! -e $complete ] || [ $source -nt $complete ]; then
	rm -rf $tree; mkdir -p $tree
	tar -xf $source -C $tree --strip-components=1
	# KASAN where data of a filesystem is handled, and in what is built for the kernel later; everywhere else its checks cost
	# half of the time, of the build as of the guest
	sed -i '/^ifneq ($(CONFIG_KASAN_HW_TAGS),y)/,/^endif/s|$(KASAN_SANITIZE)y)|$(KASAN_SANITIZE)$(if $(filter fs fs/% block mm io_uring lib /%,$(obj)),y,n))|' $tree/scripts/Makefile.lib
	grep -q 'filter fs fs/% block' $tree/scripts/Makefile.lib
	# user-mode Linux 6.1 saves 2.7 KB of a task's registers; where the processor has more, the host takes none of it back and
	# no program starts. Then the old way does, which knows of no vectors' upper halves: guest.sh keeps the C library
	# from using them.
	sed -i 's/if (ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov) == 0)/if (!ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, \&iov) \&\& !ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, \&iov))/' \
		$tree/arch/x86/um/os-Linux/registers.c
	# and walks a task's mappings without their lock, which lockdep reports
	sed -i '/^void force_flush_all/,/^}/{s/\tfor_each_vma(vmi, vma)/\tmmap_read_lock(mm);\n&/;s/^}/\tmmap_read_unlock(mm);\n}/}' $tree/arch/um/kernel/tlb.c
	touch $complete
fi
mkdir -p $out/source
# what is built lies apart from the tree
make -s -C $tree "${arch[@]}" O="$PWD/$out/source" outputmakefile
if [ $config -nt $out/source/.config ]; then
	# each line of it must have taken: a dependency that is missing drops it silently
	(cd $out/source && KCONFIG_ALLCONFIG="$OLDPWD/$config" make -s "${arch[@]}" allnoconfig >/dev/null)
	missing=$(grep -E '^CONFIG_' $config | while read -r line; do grep -qxF "$line" $out/source/.config || echo "$line"; done)
	[ -z "$missing" ] || { echo "the configuration did not take:" >&2; echo "$missing" >&2; rm $out/source/.config; exit 1; }
fi
nice -n 15 make -s -C $out/source "${arch[@]}" -j"${JOBS:-1}" "${targets[@]}"
make -s -C $out/source "${arch[@]}" kernelrelease >$out/version
echo "built $(cat $out/version) in $out"
