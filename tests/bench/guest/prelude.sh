# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# In the guest, before each group of rows. $fss are the filesystems, the first on /dev/vda and so on; $round turns their order.
# `each FUNCTION` calls it for every one in turn, a different one first each time, with $fs, $disk and the volume at /mnt.
turn=$round
type_of() { echo "${1%-lz4}"; }
disk_of() {
	i=0; for f in $fss; do [ "$f" != "$1" ] || break; i=$((i + 1)); done
	printf 'vd'; printf "\\$(printf %03o $((97 + i)))"
}
up() {
	mount -t "$(type_of $fs)" -o noatime /dev/$disk /mnt || return 1
	# NILFS2 frees nothing without its cleaner, which mount.nilfs2 starts
	[ $fs != nilfs2 ] || nilfs_cleanerd /dev/$disk /mnt >/dev/null 2>&1
}
down() {
	cd /
	i=0; while ! umount /mnt 2>/dev/null; do
		for p in $(pidof nilfs_cleanerd); do kill $p; done
		i=$((i + 1)); [ $i -lt 100 ] || { echo "no unmount of $fs" >&2; return 1; }; sleep 0.1
	done
}
cold() { down && echo 3 >/proc/sys/vm/drop_caches && up; }
# [-s FOLDER] DISK FS ROW UNIT AMOUNT COMMAND... What fails is said and has no row, and leaves went empty.
m() { went=1; measure "$@" || { echo "$fs: ${*} failed: $?" >&2; went=; }; }
each() {
	set -- "$1" $fss
	f=$1; shift
	i=0; while [ $i -lt $((turn % $#)) ]; do set -- "$@" "$1"; shift; i=$((i + 1)); done
	turn=$((turn + 1))
	for fs in "$@"; do disk=$(disk_of $fs); up && { $f; down || exit 1; }; done
}

# ---- of groups that fill a volume: full, kept ----
kb_left() { df -k /mnt | tail -1 | awk '{print $4}'; }
written() { awk '{print $7 / 2, $16}' /sys/block/$disk/stat; }
# ROW: KB and flushes of each of $n operations since $before, which `written` gave, and KB of each until the unmount
written_row() {
	middle=$(written); down; after=$(written); up
	echo "$before $middle $after" | awk -v n=$n -v row="$fs|$1" '{ printf "%s|%.2f|%.3f|%.2f\n", row, ($3 - $1) / n, ($4 - $2) / n, ($5 - $1) / n }'
}
# NILFS2's cleaner leaves alone what is younger than an hour, by default: nothing here gets that old
clean_at_once() { sed -i 's/^protection_period.*/protection_period 1/; s/^clean_check_interval.*/clean_check_interval 1/' /etc/nilfs_cleanerd.conf; }
