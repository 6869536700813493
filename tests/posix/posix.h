/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * posix: what POSIX and Linux's manual pages say of a filesystem, fact by fact, on a directory of any filesystem. Here:
 * what the areas (one file each) share. A test is a function that runs in a fresh directory of its own, as root unless
 * it takes another user on; each OK, ERR or IS in it is one fact and prints one line. A fact that is known not to hold
 * on some filesystem is preceded by differs(), with the reason: it is run and printed all the same.
 */
#ifndef POSIX_H
#define POSIX_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* ---- facts (main.c) ---- */
void fact_result(int got, int want, int or_want, const char *text, int line);
bool fact_true(bool good, const char *text, int line);
#define OK(call) fact_result((call) < 0 ? errno : 0, 0, 0, #call, __LINE__)
#define ERR(e, call) fact_result((call) < 0 ? errno : 0, e, e, #call, __LINE__)
#define ERR2(e, f, call) fact_result((call) < 0 ? errno : 0, e, f, #call, __LINE__)
#define IS(cond) fact_true(cond, #cond, __LINE__)

void about(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* which round of a loop; "" ends it */
enum { ON_FUSE = 1, ON_TMPFS = 2, ON_EXT = 4, ON_TFS = 8 };
void differs(int on, const char *why); /* the next fact may fail there */
void skip(const char *why);            /* the rest of this test is not run */
int filesystem(void);                  /* one of ON_*, or 0 */

/* ---- tests, by area ---- */
struct test {
	const char *name;
	void (*run)(void);
	bool root; /* needs other users or devices */
};
extern const struct test path_tests[], mode_tests[], create_tests[], name_tests[], rename_tests[], size_tests[],
    time_tests[], data_tests[], dir_tests[], xattr_tests[], acl_tests[], volume_tests[], readonly_tests[];
#define TESTS_END                                                                                                      \
	{                                                                                                              \
		NULL, NULL, false                                                                                      \
	}

/* ---- helpers (util.c) ---- */
enum kind { FILE_, DIR_, FIFO_, BLOCK_, CHAR_, SOCKET_, SYMLINK_, KINDS };
extern const char *const kind_name[KINDS];
int make(enum kind k, const char *path, mode_t mode); /* mode as given, whatever the umask; 0 or -1 */
int make_for(enum kind k, const char *path, mode_t mode, uid_t uid, gid_t gid);
int drop(const char *path); /* unlink or rmdir */
int create(const char *path, mode_t mode);
int write_file(const char *path, const char *text); /* made or emptied first */
struct stat look(const char *path);                 /* lstat; all zero when it is not there */
bool there(const char *path);
bool same_time(struct timespec a, struct timespec b);
bool later(struct timespec a, struct timespec b); /* a is later than b */
void nap(void);                                   /* until a filesystem's clock has moved on */
void fill_name(char *name, size_t len, char c);   /* len times c, and NUL */
void become(uid_t uid, gid_t gid, gid_t also);    /* also: another group of theirs, or NOBODY_ELSE */
void root_again(void);
#define NOBODY_ELSE ((gid_t)-1)
#define ALICE 65534u
#define BOB 65533u
#define CAROL 65532u
extern void *volatile nowhere; /* an address where nothing is */
const char *elsewhere(void);   /* a directory on another filesystem, or NULL */

#endif
