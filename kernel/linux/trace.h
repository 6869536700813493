/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints, /sys/kernel/tracing/events/tfs. Defined in trace.c. The macros are no C: laid out by hand. */
/* clang-format off */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tfs

#if !defined(TFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TFS_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

/* A record of the log, as it gets its number. type: enum tfs_rec_type of tfs/format.h */
TRACE_EVENT(tfs_op,
	TP_PROTO(struct super_block *sb, u64 sequence, unsigned int type, u64 ino),
	TP_ARGS(sb, sequence, type, ino),
	TP_STRUCT__entry(__field(dev_t, dev) __field(u64, sequence) __field(unsigned int, type) __field(u64, ino)),
	TP_fast_assign(__entry->dev = sb->s_dev; __entry->sequence = sequence; __entry->type = type; __entry->ino = ino;),
	TP_printk("dev %d:%d sequence %llu type %u ino %llu", MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->sequence, __entry->type, __entry->ino)
);

TRACE_EVENT(tfs_writeback,
	TP_PROTO(struct inode *inode, u64 block, unsigned int blocks, unsigned int stored, int err),
	TP_ARGS(inode, block, blocks, stored, err),
	TP_STRUCT__entry(__field(dev_t, dev) __field(u64, ino) __field(u64, block) __field(unsigned int, blocks)
			 __field(unsigned int, stored) __field(int, err)),
	TP_fast_assign(__entry->dev = inode->i_sb->s_dev; __entry->ino = inode->i_ino; __entry->block = block;
		       __entry->blocks = blocks; __entry->stored = stored; __entry->err = err;),
	TP_printk("dev %d:%d ino %llu block %llu blocks %u stored %u bytes err %d", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->ino, __entry->block, __entry->blocks, __entry->stored, __entry->err)
);

TRACE_EVENT(tfs_read,
	TP_PROTO(struct inode *inode, u64 block, unsigned int wanted, unsigned int bios, bool direct),
	TP_ARGS(inode, block, wanted, bios, direct),
	TP_STRUCT__entry(__field(dev_t, dev) __field(u64, ino) __field(u64, block) __field(unsigned int, wanted)
			 __field(unsigned int, bios) __field(bool, direct)),
	TP_fast_assign(__entry->dev = inode->i_sb->s_dev; __entry->ino = inode->i_ino; __entry->block = block;
		       __entry->wanted = wanted; __entry->bios = bios; __entry->direct = direct;),
	TP_printk("dev %d:%d ino %llu window at block %llu wanted %u bios %u direct %d", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->ino, __entry->block, __entry->wanted, __entry->bios, __entry->direct)
);

TRACE_EVENT(tfs_log_write,
	TP_PROTO(struct super_block *sb, u64 addr, u64 blocks),
	TP_ARGS(sb, addr, blocks),
	TP_STRUCT__entry(__field(dev_t, dev) __field(u64, addr) __field(u64, blocks)),
	TP_fast_assign(__entry->dev = sb->s_dev; __entry->addr = addr; __entry->blocks = blocks;),
	TP_printk("dev %d:%d unit %llu blocks %llu", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->addr,
		  __entry->blocks)
);

TRACE_EVENT(tfs_sync,
	TP_PROTO(struct super_block *sb, u64 sequence, bool joined, int err),
	TP_ARGS(sb, sequence, joined, err),
	TP_STRUCT__entry(__field(dev_t, dev) __field(u64, sequence) __field(bool, joined) __field(int, err)),
	TP_fast_assign(__entry->dev = sb->s_dev; __entry->sequence = sequence; __entry->joined = joined;
		       __entry->err = err;),
	TP_printk("dev %d:%d below sequence %llu joined %d err %d", MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->sequence, __entry->joined, __entry->err)
);

TRACE_EVENT(tfs_checkpoint,
	TP_PROTO(struct super_block *sb, u64 epoch, u64 nodes),
	TP_ARGS(sb, epoch, nodes),
	TP_STRUCT__entry(__field(dev_t, dev) __field(u64, epoch) __field(u64, nodes)),
	TP_fast_assign(__entry->dev = sb->s_dev; __entry->epoch = epoch; __entry->nodes = nodes;),
	TP_printk("dev %d:%d epoch %llu dirty nodes %llu", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->epoch,
		  __entry->nodes)
);

TRACE_EVENT(tfs_checkpoint_done,
	TP_PROTO(struct super_block *sb, u64 epoch),
	TP_ARGS(sb, epoch),
	TP_STRUCT__entry(__field(dev_t, dev) __field(u64, epoch)),
	TP_fast_assign(__entry->dev = sb->s_dev; __entry->epoch = epoch;),
	TP_printk("dev %d:%d epoch %llu", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->epoch)
);

TRACE_EVENT(tfs_mount,
	TP_PROTO(struct super_block *sb, bool read_only, int err),
	TP_ARGS(sb, read_only, err),
	TP_STRUCT__entry(__field(dev_t, dev) __field(bool, read_only) __field(int, err)),
	TP_fast_assign(__entry->dev = sb->s_dev; __entry->read_only = read_only; __entry->err = err;),
	TP_printk("dev %d:%d read_only %d err %d", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->read_only,
		  __entry->err)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
