/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's side of tfs/port.h: types and memory functions by the core's names. */
#ifndef TFS_HOST_H
#define TFS_HOST_H

#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>

/* without POPCNT the builtins call libgcc, which the kernel does not have */
#define __builtin_popcount(x) hweight32(x)
#define __builtin_popcountll(x) hweight64(x)

#define TFS_BUG_ON(cond) BUG_ON(cond)

#endif
