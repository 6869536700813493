# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Small writes made durable one by one, by one thread and by several. $syncs: of each row.
prepare() { mkdir -p /mnt/s && syncs prepare /mnt/s 16 1; }
append1() { m $disk $fs "fsync: append 4 KiB, 1 thread" ops/s $syncs syncs append /mnt/s 1 $syncs; }
append16() { m $disk $fs "fsync: append 4 KiB, 16 threads" ops/s $syncs syncs append /mnt/s 16 $((syncs / 16)); }
over1() { m $disk $fs "fsync: random 4 KiB overwrite, 1 thread" ops/s $syncs syncs overwrite /mnt/s 1 $syncs; }
over16() { m $disk $fs "fsync: random 4 KiB overwrite, 16 threads" ops/s $syncs syncs overwrite /mnt/s 16 $((syncs / 16)); }
create1() { mkdir /mnt/c1; m $disk $fs "fsync: create 4 KiB and its folder, 1 thread" ops/s $syncs syncs create /mnt/c1 1 $syncs; }
create16() { mkdir /mnt/c16; m $disk $fs "fsync: create 4 KiB and its folder, 16 threads" ops/s $syncs syncs create /mnt/c16 16 $((syncs / 16)); }
for r in prepare append1 append16 over1 over16 create1 create16; do each $r; done
