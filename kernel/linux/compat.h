/* SPDX-License-Identifier: GPL-2.0 */
/* Where Debian's 6.1 and 6.12 differ, by what probe.sh found. The rest of the module sees one kernel. */
#ifndef TFS_COMPAT_H
#define TFS_COMPAT_H

#include "tfs_probe.h"
#include <linux/fs.h>
#include <linux/version.h>
#include <linux/writeback.h>

/* TFS_NO_IDMAP: of whoever comes by no mount */
#if TFS_HAS_IDMAP
typedef struct mnt_idmap tfs_idmap;
#define TFS_NO_IDMAP (&nop_mnt_idmap)
#define TFS_RENAME_IDMAPS .old_mnt_idmap = TFS_NO_IDMAP, .new_mnt_idmap = TFS_NO_IDMAP
#else
typedef struct user_namespace tfs_idmap;
#define TFS_NO_IDMAP (&init_user_ns)
#define TFS_RENAME_IDMAPS .old_mnt_userns = TFS_NO_IDMAP, .new_mnt_userns = TFS_NO_IDMAP
#endif

#if !TFS_HAS_TIME_ACCESSORS
#define inode_get_atime(i) ((i)->i_atime)
#define inode_get_mtime(i) ((i)->i_mtime)
#define inode_get_ctime(i) ((i)->i_ctime)
#define inode_set_atime_to_ts(i, t) ((i)->i_atime = (t))
#define inode_set_mtime_to_ts(i, t) ((i)->i_mtime = (t))
#define inode_set_ctime_to_ts(i, t) ((i)->i_ctime = (t))
#endif

#if TFS_HAS_FILLATTR_MASK
#define tfs_fillattr(idmap, mask, inode, st) generic_fillattr(idmap, mask, inode, st)
#else
#define tfs_fillattr(idmap, mask, inode, st) generic_fillattr(idmap, inode, st)
#endif

#if TFS_HAS_UPDATE_TIME_NOW
#define TFS_UPDATE_TIME(name) static int name(struct inode *inode, struct timespec64 *given, int flags)
#define tfs_time_given(inode) (*given)
#else
#define TFS_UPDATE_TIME(name) static int name(struct inode *inode, int flags)
#define tfs_time_given(inode) current_time(inode)
#endif

#if TFS_HAS_WRITE_BEGIN_FOLIO
typedef struct folio tfs_write_page;
#define tfs_write_folio(p) (p)
#define tfs_folio_write(f) (f)
#else
typedef struct page tfs_write_page;
#define tfs_write_folio(p) page_folio(p)
#define tfs_folio_write(f) (&(f)->page)
#endif

#if TFS_HAS_WRITEPAGE_FOLIO
#define TFS_WRITEPAGE(name) static int name(struct folio *folio, struct writeback_control *wbc, void *data)
#define TFS_WRITEPAGE_FOLIO
#else
#define TFS_WRITEPAGE(name) static int name(struct page *page, struct writeback_control *wbc, void *data)
#define TFS_WRITEPAGE_FOLIO struct folio *folio = page_folio(page);
#endif

#if TFS_HAS_SPLICE_FILEMAP
#define TFS_SPLICE_READ filemap_splice_read
#else
#define TFS_SPLICE_READ generic_file_splice_read
#endif

/* A habit, not an interface, so no header shows it: 6.12's ext4 takes set-id bits away also when a punch finds nothing.
 */
#define TFS_PUNCH_ALWAYS_MODIFIES (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0))

#if TFS_HAS_GET_INODE_ACL
#define TFS_SET_ACL(name) int name(tfs_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type)
#define TFS_ACL_INODE d_inode(dentry)
#define TFS_ACL_OPS .get_inode_acl = tfs_get_acl, .set_acl = tfs_set_acl
#define TFS_ACL_HANDLERS /* the VFS has its own */
#define tfs_acl_chmod(idmap, dentry) posix_acl_chmod(idmap, dentry, d_inode(dentry)->i_mode)
#else
#define TFS_SET_ACL(name) int name(tfs_idmap *idmap, struct inode *inode_, struct posix_acl *acl, int type)
#define TFS_ACL_INODE inode_
#define TFS_ACL_OPS .get_acl = tfs_get_acl, .set_acl = tfs_set_acl
#define TFS_ACL_HANDLERS &posix_acl_access_xattr_handler, &posix_acl_default_xattr_handler,
#define tfs_acl_chmod(idmap, dentry) posix_acl_chmod(idmap, d_inode(dentry), d_inode(dentry)->i_mode)
#endif

#if TFS_HAS_BDEV_FREEZE
#define tfs_bdev_freeze bdev_freeze
#define tfs_bdev_thaw bdev_thaw
#else
#define tfs_bdev_freeze freeze_bdev
#define tfs_bdev_thaw thaw_bdev
#endif

#endif
