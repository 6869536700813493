// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs ship: rules of log forwarding, mounted or not. A rule is put on a directory (or a file) and then on all that is
 * below it already, in this order, so that what is made meanwhile has it too. A collector that nobody could send to is
 * refused here: the volume takes any text.
 */
#define _GNU_SOURCE
#include "admin/admin.h"
#include "logship/ship/ship.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int ship_fail(const struct admin *a, const char *object, int err)
{
	switch (err) {
	case -ENOENT:
		return tfs_cli_fail(ADMIN_USAGE, object, "no such rule, file or directory; see tfs ship list");
	case -ENOTDIR:
	case -EINVAL:
		return tfs_cli_fail(ADMIN_USAGE, object, "expected a file or a directory of this volume");
	case -EMLINK:
		return tfs_cli_fail(ADMIN_REFUSED, object,
		                    "has as many rules as can be, 16; tfs ship remove takes one away");
	case -ENOSPC:
		return tfs_cli_fail(ADMIN_REFUSED, object, "no space left for it");
	}
	return admin_fail(a, object, err);
}

/* ---- add ---- */

static int collector_check(const char *text)
{
	static struct ship_target t;
	const char *why = strlen(text) > TFS_SHIP_TARGET_MAX ? "expected at most 1024 bytes"
	                                                     : ship_target_parse(text, (u32)strlen(text), &t);

	return why ? tfs_cli_fail(ADMIN_USAGE, text, "%s", why) : 0;
}

/* The text with the host's address, of now, in the place of its name: the kernel resolves none. NULL after a message.
 * With TLS it stays, also for the kernel: who shakes hands resolves it, and the certificate is for it. */
static const char *collector_resolve(const char *text)
{
	static char out[TFS_SHIP_TARGET_MAX + 1];
	const char *host = strstr(text, "://");
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	char name[256], address[64];
	size_t n = host && !memchr(text, '+', (size_t)(host - text)) ? strcspn(host + 3, ":?[") : 0;
	int err, len;

	if (!n) /* a file, an IPv6 address, or FORMAT+https */
		return text;
	snprintf(name, sizeof(name), "%.*s", (int)n, host + 3);
	err = getaddrinfo(name, NULL, &hints, &found);
	if (err) {
		tfs_cli_fail(ADMIN_USAGE, name, "%s", gai_strerror(err));
		return NULL;
	}
	err = getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
	len = snprintf(out, sizeof(out), "%.*s://%s%s%s%s", (int)(host - text), text,
	               found->ai_family == AF_INET6 ? "[" : "", address, found->ai_family == AF_INET6 ? "]" : "",
	               host + 3 + n);
	freeaddrinfo(found);
	if (!err && len > 0 && (size_t)len < sizeof(out))
		return out;
	tfs_cli_fail(ADMIN_USAGE, name, "%s", err ? gai_strerror(err) : "expected at most 1024 bytes with its address");
	return NULL;
}

int admin_ship_add(struct admin *a)
{
	const char *collector = a->arg[0], *pattern = a->args > 1 ? a->arg[1] : "",
	           *place = a->path ? a->path : a->target.path;
	struct tfs_ioc_ship_rule r = {.acked = a->from_start ? 0 : TFS_SHIP_END};
	struct tfs_line l;
	u64 files = 1;
	bool dir = false;
	int err, code = collector_check(collector);

	if (code)
		return code;
	if (a->resolve)
		collector = collector_resolve(collector);
	if (!collector)
		return ADMIN_USAGE;
	if (strlen(pattern) > TFS_SHIP_PATTERN_MAX)
		return tfs_cli_fail(ADMIN_USAGE, pattern, "expected a pattern of at most 255 bytes");
	err = place_find(a, a->path, &r.ino, &dir);
	if (err)
		return ship_fail(a, place, err);
	r.pattern_len = (u32)strlen(pattern);
	r.target_len = (u32)strlen(collector);
	memcpy(r.pattern, pattern, r.pattern_len);
	memcpy(r.target, collector, r.target_len);
	err = target_request(&a->target, TFS_IOC_SHIP_ADD, &r);
	if (err)
		return ship_fail(a, place, err);
	code = dir ? ship_below(a, &r, &files) : 0;
	if (a->quiet && !a->json)
		return code;
	tfs_line_begin(&l, a->json, 0, "added");
	tfs_line_num(&l, "rule", r.rule);
	tfs_line_num(&l, "files", files);
	tfs_line_end(&l);
	return code;
}

/* ---- list ---- */

struct sum {
	u64 files, behind, pending; /* behind: of the files; pending: bytes */
};

static int rule_sum(struct admin *a, u64 rule, struct sum *s)
{
	static struct tfs_ioc_ship_files q;
	u64 ino = 0;
	bool more = true;

	*s = (struct sum){0};
	while (more) {
		int err;

		memset(&q, 0, sizeof(q));
		q.rule = rule;
		q.ino = ino;
		err = target_request(&a->target, TFS_IOC_SHIP_FILES, &q);
		if (err)
			return err;
		for (u32 i = 0; i < q.count; i++) {
			s->files++;
			s->behind += q.file[i].acked < q.file[i].size;
			s->pending += q.file[i].size - q.file[i].acked;
		}
		ino = q.ino;
		more = q.more;
	}
	return 0;
}

static void rule_print(const struct admin *a, const struct tfs_ioc_ship_rule *r, const struct sum *s)
{
	struct tfs_line l;
	char pending[16];

	if (!a->json) {
		printf("%-8llu %8llu %8llu %10s %8llu  ", (unsigned long long)r->rule, (unsigned long long)s->files,
		       (unsigned long long)s->behind, tfs_cli_human(s->pending, pending), (unsigned long long)r->ino);
		tfs_cli_print_name(stdout, r->target, r->target_len);
		if (r->pattern_len)
			putchar(' ');
		tfs_cli_print_name(stdout, r->pattern, r->pattern_len);
		putchar('\n');
		return;
	}
	tfs_line_begin(&l, true, 0, "rule");
	tfs_line_num(&l, "rule", r->rule);
	tfs_line_num(&l, "on", r->ino);
	tfs_line_bytes(&l, "target", r->target, r->target_len);
	tfs_line_bytes(&l, "pattern", r->pattern, r->pattern_len);
	tfs_line_num(&l, "files", s->files);
	tfs_line_num(&l, "behind", s->behind);
	tfs_line_num(&l, "pending", s->pending);
	tfs_line_end(&l);
}

int admin_ship_list(struct admin *a)
{
	bool head = false;
	u64 rule = 0;
	int err;

	for (;;) {
		struct tfs_ioc_ship_rule r = {.rule = rule};
		struct sum s;

		err = target_request(&a->target, TFS_IOC_SHIP_NEXT, &r);
		if (!err)
			err = rule_sum(a, r.rule, &s);
		if (err)
			break;
		if (!head && !a->json)
			puts("RULE        FILES   BEHIND    PENDING ON INODE  COLLECTOR, PATTERN");
		head = true;
		rule_print(a, &r, &s);
		rule = r.rule + 1;
	}
	return err == -ENOENT ? 0 : ship_fail(a, NULL, err);
}

/* ---- remove ---- */

int admin_ship_remove(struct admin *a)
{
	int code = 0;

	for (int i = 0; i < a->args; i++) {
		struct tfs_ioc_ship_rule r = {0};
		char *end;
		int err;

		errno = 0;
		r.rule = strtoull(a->arg[i], &end, 10);
		if (a->arg[i][0] < '0' || a->arg[i][0] > '9' || *end || errno) {
			code = tfs_cli_fail(ADMIN_USAGE, a->arg[i], "expected a rule's number; see tfs ship list");
			continue;
		}
		err = target_request(&a->target, TFS_IOC_SHIP_REMOVE, &r);
		if (err)
			code = ship_fail(a, a->arg[i], err);
	}
	return code;
}
