# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# As full.sh, with a snapshot kept that is renewed each time a twentieth of the volume's size was written, as one a day would be: of
# those that have snapshots (btrfs, NILFS2, TFS). The file that is overwritten takes two fifths of the volume, others what is missing
# to 40, 80 and 90%; a third of $full times the volume's size at each. Who finds no space has no row, and says how far it came.
clean_at_once
fill_up() { # what df called available when the volume was empty is the whole
	[ -e /tmp/whole.$fs ] || kb_left >/tmp/whole.$fs
	name=/mnt/more.$percent; [ $percent != 40 ] || name=/mnt/aged
	fio --name=x --thread --ioengine=psync --refill_buffers=1 --randseed=$percent --output=/tmp/o --filename=$name --rw=write --bs=128k \
		--size=$(($(kb_left) - $(cat /tmp/whole.$fs) * (100 - percent) / 100))k --end_fsync=1 >/dev/null || { cat /tmp/o >&2; echo "$fs: cannot be filled to $percent%" >&2; }
}
cat >/tmp/days <<'D'
renew() { # the new one is there before the old one goes
	old=$(cat /tmp/day.$fs 2>/dev/null)
	case $fs in
	btrfs) btrfs subvolume snapshot -r /mnt /mnt/.$1 >/dev/null && { [ -z "$old" ] || btrfs subvolume delete -c /mnt/.$old >/dev/null; } ;;
	nilfs2)
		old=$(lscp -s /dev/$disk | awk 'NR > 1 { print $1 }'); mkcp -s /dev/$disk || return 1
		for c in $old; do chcp cp /dev/$disk $c || return 1; done ;;
	tfs*) tfs -q snapshot create /mnt $1 && { [ -z "$old" ] || tfs -q snapshot delete /mnt $old; } ;;
	esac && echo $1 >/tmp/day.$fs
}
for i in $(seq $count); do
	renew day$percent.$i && fio --name=x --thread --ioengine=psync --randrepeat=1 --randseed=$((percent * 1000 + i)) --filename=/mnt/aged \
		--rw=randwrite --norandommap --bs=4k --io_size=${step}k --fsync=64 --overwrite=1 --output=/tmp/o >/dev/null || {
		tail -3 /tmp/o >&2; echo "$fs: at $percent% full no more after $((i - 1)) of $count twentieths of the volume's size" >&2; exit 1
	}
done
D
age() {
	count=$((full * 20 / 30)); step=$((disk_mb * 1024 / 20)); n=$((count * step / 4)); before=$(written)
	export fs disk percent count step
	m -s /mnt $disk $fs "kept: random 4 KiB, a sync every 64, a snapshot kept, $percent% full" ops/s $n sh /tmp/days
	[ -n "$went" ] || return 0
	written_row "random 4 KiB, a sync every 64, a snapshot kept, $percent% full"
}
with_snapshots() { case $fs in btrfs | nilfs2 | tfs*) fill_up; age ;; esac; }
disk_mb=$(($(cat /sys/block/vda/size) / 2048))
for percent in 40 80 90; do each with_snapshots; done
