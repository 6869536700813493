/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Volumes of the Nanos unikernel ("NVMTFS", versions 4 and 5): reading them, and writing their logs. docs/NANOS.md has
 * the format. All metadata is one log of tuples, so a volume is read by decoding that log into a tree in memory;
 * nothing of it is checksummed. What always holds: every length, offset, count and reference is checked before it is
 * used; nothing recurses; memory is proportional to the log's bytes that were really read; a record counts whole or not
 * at all. At the first fault reading stops, the tree is what the records before it say, and `fault` says what and
 * where.
 *
 * Used by the host tools only: it belongs neither to the kernel module nor to the core, and asks of its host what
 * tfs/port.h has and nothing else. One thread at a time. Functions return 0, a count or a negative errno.
 */
#ifndef TFS_NANOS_H
#define TFS_NANOS_H

#include "tfs/tfs.h"

#define NANOS_BLOCK 512u
#define NANOS_EXTENSION 1024u /* blocks of a log extension behind the first, which has 1 */
#define NANOS_LABEL_MAX 31u
#define NANOS_VERSION 5u
#define NANOS_EXTENT_MAX 65536u /* blocks: 32 MiB */
#define NANOS_DATA_START 3073u  /* block 0, one log extension, two that its kernel reserves at each mount */

/* ---- the tree ---- */
enum nanos_type { NANOS_NONE, NANOS_BYTES, NANOS_TUPLE, NANOS_VECTOR, NANOS_INT, NANOS_STRING };
struct nanos_value {
	u64 n; /* BYTES, STRING: offset in the arena; TUPLE, VECTOR: number of the object; INT: magnitude */
	u8 type;
	bool negative;
};
struct nanos_attr {           /* of a tuple; of a vector, without a name */
	struct nanos_value v; /* NONE: removed */
	u32 name;             /* a symbol: offset in the arena, the same for the same bytes */
	u32 next;             /* 0: the last */
};
/* What the log numbers in order of first appearance; 1 is the root tuple. */
enum nanos_kind { NANOS_IS_SYMBOL, NANOS_IS_TUPLE, NANOS_IS_VECTOR };
struct nanos_entry {
	u32 first, last; /* attributes; of a symbol `first` is its offset in the arena */
	u32 slots;       /* attributes, removed ones too */
	u32 links;       /* names that lead to it, counted by nanos_links */
	u8 kind;
};

/* What is wrong and where: `at` in bytes of the volume; expected and found, when `numbers` is set. */
enum nanos_fault_kind {
	NANOS_SOUND,
	NANOS_FAULT_HEAD,   /* an extension's header */
	NANOS_FAULT_LINK,   /* the chain of extensions */
	NANOS_FAULT_FRAME,  /* record framing, or the log's end is missing */
	NANOS_FAULT_RECORD, /* a record's content */
};
struct nanos_fault {
	enum nanos_fault_kind kind;
	const char *what;
	u64 at, expected, found;
	bool numbers;
};

struct nanos_run {
	u64 start, blocks;
};
struct nanos_extent { /* of a file, in blocks of 512 bytes, ascending by block */
	u64 block, start, length, allocated;
	bool uninited; /* reads as zeros */
	u32 object;
};

struct nanos_vol {
	struct tfs_dev *dev;
	const struct tfs_env *env;
	u64 blocks;  /* of the device */
	u32 version; /* the newest in the chain */
	u8 uuid[16];
	char label[NANOS_LABEL_MAX + 1];
	struct nanos_fault fault;

	/* arena: u32 length, u32 dictionary index while a log is written, then the bytes */
	u8 *arena;
	u64 arena_used, arena_max;
	struct nanos_entry *entry; /* [0] is not used */
	u32 entries, entries_max;
	struct nanos_attr *attr; /* [0] is not used */
	u32 attrs, attrs_max;
	u32 *symbol; /* hash of symbols, 0: free */
	u32 symbols, symbols_max;
	u32 *big; /* hash of the attributes of tuples with many, 0: free */
	u32 bigs, bigs_max;
	u64 seed;

	struct nanos_run *ext; /* the log's extensions, ascending by place */
	u32 exts, exts_max;
	u64 records, log_end; /* log_end: byte where END_OF_LOG is, or where reading stopped */
	u64 record_at;        /* where the last whole record, or header, ends */

	struct nanos_extent *extent; /* of `cached` */
	u32 extents, extents_max, cached;
	bool linked;
	bool broken; /* `cached` has extents that are none, or overlap: its content is not read */
};

/* ---- open.c ---- */
/* Reads the log. -EINVAL: no Nanos volume; -ENOMEM; -EIO when block 0 cannot be read. A fault in the log is no error:
 * see vol->fault; then the tree holds the records before it. The device is the caller's. */
struct nanos_join {            /* where the log goes on behind a link that is damaged */
	struct nanos_vol *vol; /* as far as it was read */
	u64 left;              /* bytes missing of the record that is being read */
	u64 start, blocks;     /* in: what the link said, 0 if unknown. out: the extension */
	bool headless;         /* out: its header is damaged too */
};
struct nanos_open_ops {
	bool force; /* block 0 may be damaged */
	/* A fault of kind HEAD or LINK: true when *j says where to go on. May be NULL. */
	bool (*relink)(void *arg, const struct nanos_fault *f, struct nanos_join *j);
	/* at: byte of the frame; length of the whole record's value; pieces: segments it came in. May be NULL. */
	void (*record)(void *arg, u64 at, u64 length, u32 pieces);
	void (*extension)(void *arg, u64 start, u64 blocks, u32 version);
};
int nanos_open(struct tfs_dev *dev, const struct tfs_env *env, const struct nanos_open_ops *ops, void *arg,
               struct nanos_vol **out);
int nanos_new(const struct tfs_env *env, struct nanos_vol **out); /* a root tuple with no names, for writers */
void nanos_close(struct nanos_vol *vol);
/* The first block's: magic and version. */
bool nanos_probe(const void *block);

/* ---- tree.c ---- */
const u8 *nanos_bytes(const struct nanos_vol *vol, u64 at, u32 *len);
u32 nanos_symbol(struct nanos_vol *vol, const void *name, u32 len, bool make); /* 0: not there, or no memory */
int nanos_object_new(struct nanos_vol *vol, enum nanos_kind kind, u32 *out);
/* NULL: none, or removed. */
struct nanos_attr *nanos_get(const struct nanos_vol *vol, u32 tuple, u32 name);
const struct nanos_value *nanos_find(struct nanos_vol *vol, u32 tuple, const char *name);
int nanos_set(struct nanos_vol *vol, u32 tuple, u32 name, struct nanos_value v); /* NONE removes */
int nanos_set_named(struct nanos_vol *vol, u32 tuple, const char *name, struct nanos_value v);
int nanos_append(struct nanos_vol *vol, u32 vector, struct nanos_value v);
int nanos_value_bytes(struct nanos_vol *vol, enum nanos_type type, const void *bytes, u32 len, struct nanos_value *out);
static inline struct nanos_value nanos_int(u64 n)
{
	return (struct nanos_value){.n = n, .type = NANOS_INT};
}
static inline struct nanos_value nanos_object(enum nanos_type type, u32 n)
{
	return (struct nanos_value){.n = n, .type = (u8)type};
}
/* Integers, and the decimal strings of version 4; -EINVAL: neither, negative, or too large. */
int nanos_number(const struct nanos_vol *vol, const struct nanos_value *v, u64 *out);
int nanos_decimal(const u8 *s, u32 len, u64 *out);
int nanos_grow(void *array, u32 *max, u64 need, size_t each); /* array: address of the pointer */

/* ---- decode.c ---- */
/* One record's value into the tree. 0; -EUCLEAN: f says what (at: byte of the value), and nothing has changed. */
int nanos_decode(struct nanos_vol *vol, const u8 *p, u64 len, bool old, struct nanos_fault *f);
/* Varint at p[*at]: false when it does not end before len or does not fit. */
bool nanos_varint(const u8 *p, u64 len, u64 *at, u64 *out);
/* Would the value decode, in version 5? Nothing changes. */
bool nanos_fits(struct nanos_vol *vol, const u8 *p, u64 len, struct nanos_fault *f);

/* ---- files.c: what a volume's names lead to ---- */
enum nanos_node { NANOS_NO_NODE, NANOS_DIR, NANOS_FILE, NANOS_LINK, NANOS_SOCKET, NANOS_DEVICE };
enum nanos_node nanos_node_of(struct nanos_vol *vol, u32 tuple);
u32 nanos_children(struct nanos_vol *vol, u32 dir); /* tuple of its names, 0: none */
bool nanos_name_valid(const u8 *name, u32 len);
int nanos_links(struct nanos_vol *vol); /* counts names */
/* Fills vol->extent, ascending; what cannot be one is left out, and vol->broken says so. */
int nanos_extents(struct nanos_vol *vol, u32 file);
int nanos_extent_of(struct nanos_vol *vol, u32 tuple, struct nanos_extent *e); /* all but block. -EINVAL */
/* As those of tfs.h. Inode numbers are numbers of tuples. */
int nanos_getattr(struct nanos_vol *vol, u64 ino, struct tfs_attr *out);
int nanos_getattr_quick(struct nanos_vol *vol, u64 ino, struct tfs_attr *out); /* without what counting takes */
int nanos_lookup(struct nanos_vol *vol, u64 dir, const char *name, u32 len, u64 *ino, u8 *type);
int nanos_readdir(struct nanos_vol *vol, u64 dir, u64 *pos, tfs_emit_fn emit, void *arg);
int nanos_readlink(struct nanos_vol *vol, u64 ino, char *buf, u32 size);
s64 nanos_read(struct nanos_vol *vol, u64 ino, u64 off, void *buf, u32 len);
s64 nanos_seek(struct nanos_vol *vol, u64 ino, u64 off, bool hole);
int nanos_listxattr(struct nanos_vol *vol, u64 ino, char *buf, u32 size);
int nanos_getxattr(struct nanos_vol *vol, u64 ino, const char *name, u32 len, void *buf, u32 size);

/* ---- encode.c, write.c: the tree as a new log ---- */
struct nanos_sink { /* bytes of records, one record at a time */
	int (*record)(void *arg, const u8 *value, u32 len);
	void *arg;
};
int nanos_encode(struct nanos_vol *vol, const struct nanos_sink *sink);
u32 nanos_varint_put(u8 out[10], u64 v); /* bytes */
/*
 * The whole log anew: its extensions where `place` says (NANOS_EXTENSION blocks each, -ENOSPC ends it), then a flush,
 * then block 0, which makes it the volume's, then a flush. Until block 0 is written the old log is what counts.
 */
int nanos_write(struct nanos_vol *vol, struct tfs_dev *dev, int (*place)(void *arg, u64 *start), void *arg);

/* ---- check.c: what a tree read without a fault can still have wrong ---- */
enum nanos_problem {
	NANOS_ROOT,      /* no root tuple, or it has no names */
	NANOS_NAME,      /* a name that no name can be */
	NANOS_ENTRY,     /* a name that leads to no tuple */
	NANOS_UNKNOWN,   /* a tuple that is neither file, directory, symlink, socket nor device */
	NANOS_DIR_TWICE, /* a directory with a second name, or below itself */
	NANOS_TARGET,    /* a symlink's target is empty, too long or has a NUL */
	NANOS_LENGTH,    /* a file's length is missing or none */
	NANOS_NLINK,     /* `nlink` differs from the names found */
	NANOS_EXTENT,    /* an extent's name, start or lengths are none */
	NANOS_RANGE,     /* an extent outside of the volume */
	NANOS_OVERLAP,   /* two extents hold one block of the file */
	NANOS_BEYOND,    /* written extents behind the end of the file */
	NANOS_TWICE,     /* blocks of the volume used twice */
	NANOS_TIME,      /* mtime or atime is no number, or a negative one */
	NANOS_ROLES,     /* a tuple that is a part of two things, or a part and something with a name */
};
struct nanos_found {
	enum nanos_problem problem;
	u32 object; /* tuple that has it: directory, file */
	u32 attr;   /* of which attribute of `in` */
	u32 in;     /* its names or its extents; 0: none */
	u64 expected, found;
	u32 other; /* TWICE: the file that keeps the blocks; 0: the log */
};
typedef int (*nanos_found_fn)(void *arg, const struct nanos_found *f); /* nonzero ends it */
/* The tree is not changed while it runs. fn may note what to change. */
int nanos_check(struct nanos_vol *vol, nanos_found_fn fn, void *arg);

/* ---- path.c: for messages ---- */
#define NANOS_PATH_SHOWN 4400u /* bytes that a path is written to, from the end */
struct nanos_paths {
	u32 *name, *parent, count; /* by tuple: the attribute that holds it, the directory; 0: none */
};
int nanos_paths_collect(struct nanos_vol *vol, struct nanos_paths *p); /* p: zeros, or collected before */
void nanos_paths_free(struct nanos_paths *p);
/* Of a tuple, "object N" when no name leads to it; of what is named by an attribute of a directory's names. */
const char *nanos_path_of(struct nanos_vol *vol, const struct nanos_paths *p, u32 tuple, char *buf, size_t size);
const char *nanos_path_of_name(struct nanos_vol *vol, const struct nanos_paths *p, u32 dir, u32 attr, char *buf,
                               size_t size);
/* The file, or the name in its directory, that a problem is of. */
const char *nanos_path_of_found(struct nanos_vol *vol, const struct nanos_paths *p, const struct nanos_found *f,
                                char *buf, size_t size);

/* ---- image.c: bootable images ---- */
struct nanos_part {
	u64 offset, size; /* bytes */
	u8 type;          /* of the MBR */
	bool volume;      /* begins as one */
};
#define NANOS_PARTS 4u
/* Partitions of an MBR of which one holds a volume. 0: how many are filled is *count; -EINVAL: no such image. */
int nanos_parts(struct tfs_dev *dev, struct nanos_part part[NANOS_PARTS], u32 *count);
#define NANOS_KLOG 4096u
struct nanos_klog {
	bool present; /* a crash was written there */
	u64 offset, boot_id;
	u32 exit_code; /* as a signed number */
	u32 len;
	char text[NANOS_KLOG - 16];
};
int nanos_klog_read(struct tfs_dev *dev, const struct nanos_part *part, u32 count, struct nanos_klog *out);

#endif
