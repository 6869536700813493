#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# The results in FOLDER (build/bench/KERNEL... of tests/bench/guest.sh) as a table and a plot. usage: report.sh [FOLDER [OUT]]
# Without FOLDER: all that is in build/bench.
# OUT (default docs/bench): OUT/NAME.md and OUT/NAME.svg, NAME the folder's with characters of file names only.
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || { for f in build/bench/*/; do tests/bench/report.sh "$f" || exit; done; exit 0; }
from=${1%/} out=${2:-docs/bench}
cpus="two CPUs"; case $from in *-counted) cpus="one CPU that counts its instructions, a billion a second" ;; esac
name=$(basename "$from" | tr -c 'a-zA-Z0-9.\n' -); limit=$(cat "$from/limit" 2>/dev/null || true)
mkdir -p "$out"; shopt -s nullglob
files=(); for g in rows aged full kept sync sqlite pgbench fio files tree mount latency; do files+=("$from/$g".[0-9]*); done
[ ${#files[@]} -gt 0 ] || { echo "nothing in $from: run tests/bench/guest.sh" >&2; exit 2; }
{
	echo "# TFS beside ext4, XFS, btrfs, F2FS and NILFS2: kernel ${name%%-amd64*}"
	echo; echo "Made by \`make bench\`; how each row is measured is in tests/bench/guest/. All filesystems as their mkfs and mount make them, but for"
	echo "noatime, in one guest of QEMU (TCG), $cpus, raw images in the host's memory. Disks: $([ -z "$limit" ] && echo unthrottled || echo "at most ${limit%,*} requests and ${limit#*,} bytes a second each, flushes not counted")."
	[ "$limit" != 100,4369067 ] || echo "That is a thirtieth of an ordinary cloud disk (gp3: 3,000 requests, 125 MiB/s), about as much slower as the guest's processor is in TCG."
	[ ! -e "$from/quick" ] || echo "Some rows are of \`guest.sh -q\`, a tenth of the size; rows that are missing were not run."
	echo "tfs has codec none; tfs-lz4 is beside, without being compared. ![ratios]($name.svg)"
	awk -v limit="$limit" -v svg="$out/$name.svg" -f tests/bench/report.awk "${files[@]}"
} >"$out/$name.md"
echo "$out/$name.md"
