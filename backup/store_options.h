/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The options of stores, as parsed: store_options.c has the list of keys. A directory takes `bandwidth` and refuses `lock`; the rest is of S3. */
#ifndef TFS_BACKUP_STORE_OPTIONS_H
#define TFS_BACKUP_STORE_OPTIONS_H

#include "backup/store.h"

enum tfs_store_lock_mode { TFS_STORE_LOCK_NONE, TFS_STORE_LOCK_GOVERNANCE, TFS_STORE_LOCK_COMPLIANCE };
enum tfs_store_conditional { TFS_STORE_COND_AUTO, TFS_STORE_COND_SERVER, TFS_STORE_COND_CLAIMS };
enum tfs_store_style { TFS_STORE_STYLE_AUTO, TFS_STORE_STYLE_PATH, TFS_STORE_STYLE_HOST };

struct tfs_store_options {
	/* NULL: from the environment, the profile, or a default */
	char *endpoint, *region, *profile, *credentials, *ca_file, *storage_class, *metadata;
	enum tfs_store_style style;
	enum tfs_store_conditional conditional;
	enum tfs_store_lock_mode lock;
	u64 lock_seconds;
	u64 parallel;  /* 1 to 64 requests at a time */
	u64 bandwidth; /* bytes a second, both directions together; 0: no limit */
	u64 part_size; /* bytes; objects above it are put in parts */
	u64 stall;     /* seconds without a byte, after which a transfer is given up and repeated */
	u64 patience;  /* seconds that one request may take, retries and waits included */
};

void tfs_store_options_default(struct tfs_store_options *o);

#endif
