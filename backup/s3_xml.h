/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The XML that S3 servers answer with, by expat: it streams, brings no network and no entities, and is 170 KB. */
#ifndef TFS_BACKUP_S3_XML_H
#define TFS_BACKUP_S3_XML_H

#include <stddef.h>

/* Calls element at the end of each, with the path of its names ("ListBucketResult/Contents/Key") and the text that is
 * directly in it. 0, -EINVAL: not well-formed, nested or long beyond what S3 answers, or with a document type; elements
 * before that were handed over. */
int s3_xml_parse(const char *data, size_t length, void (*element)(void *arg, const char *path, const char *text),
                 void *arg);

#endif
