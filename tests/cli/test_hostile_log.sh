#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A log of two writes that each follow the other, with right CRCs (forged: CRC-32C is linear), is read to its end: recovery
# and dump.tfs both stop. Repeat: tests/cli/test_hostile_log.sh
set -eu
tmp=$(mktemp -d) bin=${BIN:-build/bin}
trap 'rm -rf "$tmp"' EXIT
"$bin"/mkfs.tfs -q "$tmp/a.img" 64M
"$bin"/tfs-craft loop "$tmp/a.img"
got=0; timeout 20 "$bin"/dump.tfs ls "$tmp/a.img" >/dev/null 2>&1 || got=$?
case $got in 0 | 2) ;; *) echo "expected exit 0 or 2 (damage), found $got (124: recovery goes round for ever)"; exit 1 ;; esac
timeout 20 "$bin"/dump.tfs log "$tmp/a.img" | grep -q 'more writes without a record' || { echo "log does not say why it stops"; exit 1; }
echo "hostile log: all as expected"
