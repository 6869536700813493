# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# A volume that has been full for long: a file takes four fifths of it, and 4 KiB at random in that are overwritten, $full times the
# volume's size in all, synced every 64; then again with the volume filled to 90 and to 95%. What the disk wrote for each, how fast,
# and how the aged file reads from one end to the other, and at the end after defragmenting it. $full: times the size, in tenths.
clean_at_once
f() { fio --name=x --thread --ioengine=psync --randrepeat=1 --randseed=$percent --refill_buffers=1 --output=/tmp/o "$@" >/dev/null || { cat /tmp/o >&2; return 1; }; }
fill_up() { # what df called available when the volume was empty is the whole
	if [ $percent = 80 ]; then
		kb_left >/tmp/whole.$fs
		f --filename=/mnt/aged --rw=write --bs=128k --size=$(($(cat /tmp/whole.$fs) * 80 / 100))k --end_fsync=1
	else
		f --filename=/mnt/more.$percent --rw=write --bs=128k --size=$(($(kb_left) - $(cat /tmp/whole.$fs) * (100 - percent) / 100))k --end_fsync=1
	fi || echo "$fs: cannot be filled to $percent%" >&2
}
overwrite() {
	mb=$((disk_mb * full / 10 / 3)); n=$((mb * 256))
	before=$(written)
	m -s /mnt $disk $fs "full: random 4 KiB, a sync every 64, $percent% full" ops/s $n sh -c "fio --name=x --thread --ioengine=psync --randrepeat=1 --randseed=$percent --filename=/mnt/aged --rw=randwrite --norandommap --bs=4k --io_size=${mb}m --fsync=64 --overwrite=1 --output=/tmp/o >/dev/null || { cat /tmp/o >&2; exit 1; }"
	[ -n "$went" ] || return 0
	written_row "random 4 KiB, a sync every 64, $percent% full"
}
read_aged() {
	cold
	m $disk $fs "full: sequential read of the aged file, $percent% full" MB/s $(($(stat -c %s /mnt/aged) >> 20)) dd if=/mnt/aged of=/dev/null bs=128k
}
defragment() { # those that have a tool for it and write elsewhere
	case $fs in tfs*) tool="tfs -q defrag /mnt" ;; btrfs) tool="btrfs -q filesystem defragment -f /mnt/aged" ;; *) return 0 ;; esac
	m -s /mnt $disk $fs "full: defragmenting, $percent% full" s 1 $tool
	cold
	m $disk $fs "full: sequential read then, $percent% full" MB/s $(($(stat -c %s /mnt/aged) >> 20)) dd if=/mnt/aged of=/dev/null bs=128k
}
disk_mb=$(($(cat /sys/block/vda/size) / 2048))
for percent in 80 90 95; do each fill_up; each overwrite; each read_aged; done
each defragment
