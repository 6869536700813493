/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What every HTTP and TLS connection of the tools has in common, over libcurl: whom to trust, who we are, which
 * protocols, and how headers are read. Always: a server's certificate and its name are verified (libcurl's default,
 * which nothing here or elsewhere turns off), and a redirect is not followed. The S3 store (backup/s3_call.c) and
 * tfs-logship (logship/web/, logship/tls.c) set their handles up here and add what is their own.
 */
#ifndef TFS_WEB_H
#define TFS_WEB_H

#include "tfs/port.h"

#include <curl/curl.h>

struct tfs_web_trust {
	const char *ca_file; /* PEM, instead of the system's; NULL: those */
	const char *cert_file,
	    *key_file; /* who we are, for servers that ask; NULL: nobody. key_file NULL: in cert_file */
};
/* protocols: of libcurl's names, "https" or "http,https". HTTP/1.1: over one HTTP/2 connection a stalled transfer
 * stalls all. */
void tfs_web_setup(CURL *curl, const char *protocols, const char *agent, const struct tfs_web_trust *trust);
/* The value of the header `name` (small letters or not) when that is what this line is; cut off to fit. */
bool tfs_web_header(const char *line, size_t length, const char *name, char *value, size_t room);
/* Seconds to wait by a Retry-After: a number of them, or a date, which `now` (seconds since 1970) is compared with. 0:
 * neither, or passed. At most a day. */
u32 tfs_web_retry_after(const char *value, s64 now);

#endif
