#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# make install-module and make install-dkms: the module lands where modprobe looks, and dkms(8) builds it from what was
# installed alone, for every kernel with headers. In folders of its own; nothing of this machine's is changed.
# usage: install.sh [KERNEL]...
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAILED: $*; repeat: tests/kernel/install.sh"; cat "$tmp/o"; exit 1; }
[ $# -gt 0 ] || set -- $(for v in $(ls /lib/modules 2>/dev/null); do [ ! -e "/usr/src/linux-headers-$v" ] || echo "$v"; done)
[ $# -gt 0 ] || { echo "SKIPPED: no kernel headers here: as root, make kernel-deps"; exit 77; }
run() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$@" >"$tmp/o" 2>&1 || fail "$*"; }
has() { [ "$(modinfo -F name "$1" 2>&1)" = tfs ] && [[ "$(modinfo -F vermagic "$1")" == "$2 "* ]] || fail "$1 is no module of $2"; }

for k in "$@"; do
	run make install-module "K=$k" "DESTDIR=$tmp/root"
	has "$tmp/root/lib/modules/$k/updates/tfs.ko" "$k"
done
run make install-dkms "DESTDIR=$tmp/root"
command -v dkms >/dev/null || { echo "SKIPPED: install: the module installs; dkms is missing: as root, apt-get install --no-install-recommends dkms"; exit 77; }
mkdir "$tmp/tree"
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kernel/linux/dkms.conf)
trees=(--dkmstree "$tmp/tree" --sourcetree "$tmp/root/usr/src")
run dkms add "tfs/$version" "${trees[@]}"
for k in "$@"; do
	run dkms build "tfs/$version" -k "$k" "${trees[@]}"
	has "$(find "$tmp/tree/tfs/$version/$k" -name 'tfs.ko*' | head -1)" "$k"
done
echo "install: as expected"
