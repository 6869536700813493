# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# KB written and flushes of one durable operation, and KB for each until the filesystem is unmounted, checkpoints included. Each row
# begins on a filesystem that was just mounted. $ops: operations a row.
written() { awk '{print $7 / 2}' /sys/block/$disk/stat; }
prepare() { mkdir /mnt/r && rows /mnt/r $disk $fs $ops prepare; }
one() {
	before=$(written); line=$(rows /mnt/r $disk $fs $ops $row) || return
	down; after=$(written); up
	echo "$line|$(awk "BEGIN { printf \"%.1f\", ($after - $before) / $ops }")"
}
each prepare
for row in 0 1 2 3 4 5 6; do each one; done
