/* SPDX-License-Identifier: GPL-2.0 */
/* /sys/fs/tfs: a folder for each mounted volume, from mount until before its last checkpoint. */
#ifndef TFS_SYSFS_H
#define TFS_SYSFS_H

struct tfs_sb;
int tfs_sysfs_init(void);
void tfs_sysfs_exit(void);
int tfs_sysfs_add(struct tfs_sb *s);
void tfs_sysfs_remove(struct tfs_sb *s);

#endif
