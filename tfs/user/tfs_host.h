/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The user-space side of tfs/port.h: types and memory functions by the core's names. */
#ifndef TFS_HOST_H
#define TFS_HOST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#endif
