/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every inconsistency that fsck.tfs knows, once: number (never reused), name (of the JSON), class, what it is, what
 * repair does. Text, JSON, `fsck.tfs --problems` and the man page come from here. SAFE  repair loses nothing: -a and -p
 * do it LOSS  repair gives something up: it takes -y or a yes NONE  cannot be repaired here
 */
#ifndef FSCK_PROBLEMS_H
#define FSCK_PROBLEMS_H

#define FSCK_PROBLEMS(P)                                                                                               \
	P(1, SUPER_BAD, "super-bad", SAFE, "a superblock copy is damaged", "written again from the other copy")        \
	P(2, SUPER_DIFFERS, "super-differs", SAFE, "the superblock copies differ", "the first one is copied")          \
	P(3, ANCHOR_BAD, "anchor-bad", SAFE, "an anchor slot is damaged", "copied from its twin, or cleared")          \
	P(4, LOG_DAMAGED, "log-damaged", LOSS, "the log cannot be replayed to its end", "what follows is given up")    \
	P(10, NODE_BAD, "node-bad", LOSS, "a tree node is damaged", "what is found of it is kept, the rest given up")  \
	P(11, SPACE_NODE_BAD, "space-node-bad", SAFE, "a node of the space tree is damaged", "SPACE is built anew")    \
	P(20, INODE_MISSING, "inode-missing", LOSS, "items belong to an inode that is not there",                      \
	  "the inode is made again from its items")                                                                    \
	P(21, ROOT_MISSING, "root-missing", LOSS, "the root is no directory", "made again")                            \
	P(22, SIZE_WRONG, "size-wrong", SAFE, "size differs", "set to what was found")                                 \
	P(23, BLOCKS_WRONG, "blocks-wrong", SAFE, "block count differs", "set to what was found")                      \
	P(24, NLINK_WRONG, "nlink-wrong", SAFE, "link count differs", "set to what was found")                         \
	P(25, EXTENT_OVERLAP, "extent-overlap", LOSS, "two extents map the same block", "the second is removed")       \
	P(26, EXTENT_RANGE, "extent-range", LOSS, "an extent lies outside of the volume or of its window", "removed")  \
	P(27, ITEM_UNFIT, "item-unfit", LOSS, "an item does not fit the type of its inode", "removed")                 \
	P(28, TARGET_MISSING, "target-missing", LOSS, "a symlink has no target",                                       \
	  "points to 'lost-target' from now on")                                                                       \
	P(29, HASH_WRONG, "hash-wrong", SAFE, "a name stands under another name's hash", "moved to its own")           \
	P(30, NAME_TWICE, "name-twice", LOSS, "a directory holds one name twice", "the second is removed")             \
	P(31, ENTRY_DANGLING, "entry-dangling", LOSS, "an entry names an inode that is not there", "removed")          \
	P(32, ENTRY_TYPE, "entry-type", SAFE, "an entry states another type than its inode", "set to the inode's")     \
	P(33, DIR_TWO_NAMES, "dir-two-names", LOSS, "a directory has a second name", "the second is removed")          \
	P(34, DIR_PARENT, "dir-parent", SAFE, "a directory states another parent", "set to where its name is")         \
	P(35, UNREACHABLE, "unreachable", SAFE, "no name leads to an inode", "gets a name in lost+found")              \
	P(36, ORPHAN_WRONG, "orphan-wrong", SAFE, "the orphan list differs from the link counts", "made to agree")     \
	P(37, TAIL_FLAG, "tail-flag", SAFE, "the mark of content behind a file's end differs", "set or cleared")       \
	P(38, ACL_BAD, "acl-bad", LOSS, "an access control list is malformed",                                         \
	  "removed, and of an access list the rights of the mode's group, which were its mask")                        \
	P(39, SHIP_WRONG, "ship-wrong", SAFE, "a forwarding cursor belongs to no file, or lies past its end",          \
	  "removed, or set to the end")                                                                                \
	P(40, NEXT_INO, "next-ino", SAFE, "the next inode number is in use or none", "set above all")                  \
	P(41, COUNTERS, "counters", SAFE, "a counter of the volume differs", "set to what was found")                  \
	P(42, NAME_PLACE, "name-place", SAFE, "an inode states a place where its name is not", "set to where it is")   \
	P(50, UNIT_TWICE, "unit-twice", SAFE, "a place on the device is used twice", "gets a place of its own")        \
	P(51, SPACE_MAP, "space-map", SAFE, "the space map differs from what is in use", "SPACE is built anew")        \
	P(52, SPACE_COUNT, "space-count", SAFE, "a segment's counts differ", "SPACE is built anew")                    \
	P(53, GANG_BAD, "gang-bad", LOSS, "the list of places of an extent is damaged", "the extent is removed")       \
	P(54, UNIT_TAKEN, "unit-taken", LOSS, "a place is used twice and holds another's content", "removed")          \
	P(60, REF_COUNT, "ref-count", SAFE, "a shared extent's reference count differs", "set to what was found")      \
	P(65, SNAPSHOT_BAD, "snapshot-bad", LOSS, "a snapshot cannot be read whole", "it is deleted")                  \
	P(66, DEADLIST_WRONG, "deadlist-wrong", SAFE, "the deadlists differ from what snapshots alone hold",           \
	  "built anew")                                                                                                \
	P(67, OLD_STATE_BAD, "old-state-bad", SAFE, "what a rollback gave up cannot be read, or is in use",            \
	  "its space is free again at once")                                                                           \
	P(70, DATA_BAD, "data-bad", NONE, "data does not match its checksum", "none: restore the file")                \
	P(71, DATA_CODE, "data-code", NONE, "data matches its checksum and does not decode", "none: restore the file") \
	P(100, NLOG_HEAD, "nanos-log-head", LOSS, "the header of a Nanos log extension is damaged",                    \
	  "written anew; what cannot be found of the log is given up")                                                 \
	P(101, NLOG_LINK, "nanos-log-link", LOSS, "the chain of Nanos log extensions is broken",                       \
	  "linked to the extension found; what cannot be found of the log is given up")                                \
	P(102, NLOG_FRAME, "nanos-log-frame", LOSS, "the Nanos log cannot be read to its end",                         \
	  "cut at the last whole record")                                                                              \
	P(103, NLOG_RECORD, "nanos-log-record", LOSS,                                                                  \
	  "a record of the Nanos log contradicts itself or what is before", "it and what follows are given up")        \
	P(104, NROOT, "nanos-root", LOSS, "the root of a Nanos volume has no names",                                   \
	  "made anew; what no other name leads to gets one in lost+found")                                             \
	P(105, NNAME, "nanos-name", SAFE, "no file of a Nanos volume can have this name",                              \
	  "what it leads to gets a name in lost+found")                                                                \
	P(106, NENTRY, "nanos-entry", LOSS, "a name leads to no tuple", "removed")                                     \
	P(107, NUNKNOWN, "nanos-unknown", SAFE, "a tuple is nothing that can have a name", "becomes an empty file")    \
	P(108, NDIR_TWICE, "nanos-dir-twice", LOSS, "a directory has a second name, or is below itself",               \
	  "the second is removed")                                                                                     \
	P(109, NTARGET, "nanos-target", LOSS, "a symlink's target is none", "points to 'lost-target' from now on")     \
	P(110, NLENGTH, "nanos-length", LOSS, "a file's length is none", "set to the end of its extents")              \
	P(111, NNLINK, "nanos-nlink", SAFE, "link count differs", "set to what was found")                             \
	P(112, NEXTENT, "nanos-extent", LOSS, "an extent is malformed: the file is damaged", "removed")                \
	P(113, NRANGE, "nanos-range", LOSS, "an extent lies outside of the volume: the file is damaged",               \
	  "what lies in the volume is kept, the rest reads as zeros")                                                  \
	P(114, NOVERLAP, "nanos-overlap", LOSS, "two extents hold one block of a file: it is damaged",                 \
	  "the second is removed")                                                                                     \
	P(115, NBEYOND, "nanos-beyond", SAFE, "a written extent lies behind the end of its file",                      \
	  "marked as never written, so that nothing of it appears when the file grows")                                \
	P(116, NTWICE, "nanos-twice", LOSS, "blocks are used twice: the files that have them are damaged",             \
	  "the second extent is removed")                                                                              \
	P(117, NROLES, "nanos-roles", LOSS, "a tuple is used as two things", "the second loses it")                    \
	P(118, NTIME, "nanos-time", SAFE, "a time is no number, or a negative one", "removed")

enum fsck_problem {
#define P(number, name, text, class, what, repair) FSCK_##name = number,
	FSCK_PROBLEMS(P)
#undef P
};

#endif
