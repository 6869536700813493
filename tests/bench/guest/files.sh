# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Many small files made, looked at and listed with nothing cached, and removed. $files: how many.
make_files() { mkdir -p /mnt/f; m -s /mnt $disk $fs "files: create, 1 KiB each" files/s $files files create /mnt/f $files; }
stat_files() { cold; m $disk $fs "files: stat, cold" files/s $files files stat /mnt/f $files; }
list_files() { cold; m $disk $fs "files: readdir, cold" files/s $files files list /mnt/f $files; }
unlink_files() { cold; m -s /mnt $disk $fs "files: unlink" files/s $files files unlink /mnt/f $files; }
for r in make_files stat_files list_files unlink_files; do each $r; done
