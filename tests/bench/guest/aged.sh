# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Random 4 KiB overwrites with fsync on a volume that is four fifths full, and all that the disk takes until the unmount. Then fsync's
# latency, with nothing else, and while much that is dirty goes to the disk. $aged: overwrites.
written() { awk '{print $7 / 2}' /sys/block/$disk/stat; }
fill_up() {
	kb=$(df -k /mnt | tail -1 | awk '{print int($4 * 0.8)}')
	fio --name=x --filename=/mnt/big --rw=write --bs=128k --size=${kb}k --thread --end_fsync=1 --output=/tmp/o >/dev/null || cat /tmp/o >&2
}
aged_row() {
	before=$(written); flushes=$(awk '{print $16}' /sys/block/$disk/stat)
	m $disk $fs "aged: random 4 KiB + fsync, 80% full" ops/s $aged latency aged /mnt/big $aged
	[ -n "$went" ] || return 0
	down; after=$(written); flushed=$(awk '{print $16}' /sys/block/$disk/stat); up
	awk "BEGIN { printf \"$fs|random 4 KiB + fsync at 80%% full|%.1f|%.2f|%.1f\\n\", ($after - $before) / $aged, ($flushed - $flushes) / $aged, ($after - $before) / $aged }"
}
each fill_up; each aged_row
