#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A volume that lives full: what random overwrites write for each byte of data, and how they leave free space and file.
# Counts, no clocks. TIMES (2): how often the volume's size is written, 10 as the design asks takes ten minutes; SIZE: MiB (256).
set -eu
bin=${BIN:-build/bin} times=${TIMES:-2} size=${SIZE:-256}
for full in 80 90 95; do
	for batch in 1 64; do "$bin/tfs-age" --size "$size" --times "$times" --full $full --batch $batch; done
done
"$bin/tfs-age" --size "$size" --times "$times" --full 90 --batch 64 --hot 90
"$bin/tfs-age" --size "$size" --times "$times" --full 90 --batch 16 --codec 1
"$bin/tfs-age" --size "$size" --times "$times" --full 95 --batch 4 --codec 1 --window
# one snapshot kept, renewed each time a twentieth of the volume's size is written
for full in 80 90; do "$bin/tfs-age" --size "$size" --times "$times" --full $full --batch 64 --snapshot 5; done
# 16 times as large, with the memory for changed nodes that the smaller one has, and with four times that
[ "$size" != 256 ] || for nodes in 4096 16384; do "$bin/tfs-age" --size 4096 --times 1 --full 80 --batch 64 --nodes $nodes; done
