/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who we are to the server: access key, secret and, for temporary ones, a session token and the time they expire.
 * Looked for in this order, the first that has any counts: the file of option `credentials`; the environment (not when
 * option `profile` is given); the profile in the AWS files credentials and config; the instance metadata service
 * (version 2).
 */
#ifndef TFS_BACKUP_S3_CREDENTIALS_H
#define TFS_BACKUP_S3_CREDENTIALS_H

#include "backup/store_options.h"

struct s3_credentials {
	char *access_key, *secret_key, *token; /* token NULL: none */
	s64 expires;                           /* seconds since 1970; 0: not known */
	char source[96];                       /* for messages */
};

/* 0, or -EACCES, -EIO, -ENOMEM with the text in error. On failure c is as it was. */
int s3_credentials_load(struct s3_credentials *c, const struct tfs_store_options *o, char *error);
void s3_credentials_free(struct s3_credentials *c); /* wipes the secret */
/* A setting (`region`, `endpoint_url`) of the profile, or NULL; the caller frees it. */
char *s3_profile_setting(const struct tfs_store_options *o, const char *key);
/* "2013-05-24T00:00:00Z", fractions ignored: seconds since 1970, 0: not a time. */
s64 s3_time_of(const char *text);

#endif
