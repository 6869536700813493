// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One way to report a problem: text or a JSON line, and the decision whether it is repaired, by mode and class. What
 * the core says while a node is read is caught here and becomes the detail of the problem. Called by every pass.
 */
#include "fsck/fsck.h"
#include "tfs/user/port.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum class { SAFE, LOSS, NONE };
static const struct problem {
	int number;
	const char *name;
	enum class class;
	const char *what, *repair;
} list[] = {
#define P(number, id, text, class, what, repair) {number, text, class, what, repair},
    FSCK_PROBLEMS(P)
#undef P
};

static char core_line[512];

static void core_message(int level, const char *line)
{
	(void)level;
	snprintf(core_line, sizeof(core_line), "%s", line);
}

void fsck_core_quiet(void)
{
	core_line[0] = 0;
	tfs_user_log_sink(core_message);
}

const char *fsck_core_message(void)
{
	char *cut = strstr(core_line, "; run fsck.tfs");

	if (cut)
		*cut = 0;
	return core_line;
}

void fsck_list_problems(void)
{
	static const char *const class[] = {"safe", "loss", "none"};

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		printf("%d %s %s: %s; repair: %s\n", list[i].number, list[i].name, class[list[i].class], list[i].what,
		       list[i].repair);
}

static const struct problem *problem_of(enum fsck_problem p)
{
	size_t i = 0;

	while (list[i].number != (int)p)
		i++;
	return &list[i];
}

static bool ask(const struct problem *p)
{
	char line[64];

	fprintf(stderr, "  repair: %s? [y/n] ", p->repair);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static bool decide(struct fsck *f, const struct problem *p)
{
	if (p->class == NONE || f->mode == MODE_CHECK)
		return false;
	if (f->mode == MODE_YES)
		return true;
	if (f->mode == MODE_PREEN) {
		f->stop_preen |= p->class == LOSS;
		return p->class == SAFE;
	}
	return ask(p);
}

static void print_json(const struct problem *p, const char *object, const char *detail, bool fix)
{
	struct json_object *o = json_object_new_object();

	tfs_json_u64(o, "problem", (u64)p->number);
	tfs_json_text(o, "name", p->name);
	tfs_json_text(o, "object", object);
	tfs_json_text(o, "what", p->what);
	tfs_json_text(o, "detail", detail);
	tfs_json_text(o, "repair", p->repair);
	tfs_json_bool(o, "repaired", fix);
	tfs_json_line(stdout, o);
}

bool fsck_problem(struct fsck *f, enum fsck_problem number, const char *object, const char *fmt, ...)
{
	const struct problem *p = problem_of(number);
	char detail[700], safe[1400];
	va_list ap;
	bool fix;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	tfs_progress_end(&f->progress);
	if (!f->json) {
		printf("%s: %s: %s (%d): %s", f->image, tfs_cli_escape(safe, sizeof(safe), object, strlen(object)),
		       p->what, p->number, detail);
		fflush(stdout);
	}
	fix = decide(f, p);
	if (f->json)
		print_json(p, object, detail, fix);
	else
		printf("%s%s\n", fix ? "; repair: " : "", fix ? p->repair : "");
	f->found++;
	if (fix)
		f->fixed++;
	else
		f->left++;
	return fix;
}

/* ---- what the passes gather ---- */

int fsck_grow(void *array, size_t *max, size_t need, size_t size)
{
	void **a = array, *p;
	size_t n = *max ? *max : 256;

	if (need <= *max)
		return 0;
	while (n < need)
		n *= 2;
	p = realloc(*a, n * size);
	if (!p)
		return -ENOMEM;
	*a = p;
	*max = n;
	return 0;
}

struct tfs_key fsck_key(u64 ino, u32 type, u64 pos)
{
	return (struct tfs_key){ino, (u64)type << TFS_POS_BITS | pos};
}

void fsck_fix_add(struct fsck *f, enum fsck_fix_kind kind, int tree, struct tfs_key key, u64 n, const void *value,
                  u32 len)
{
	struct fsck_fix *x;

	if (fsck_grow(&f->fix, &f->fixes_max, f->fixes + 1, sizeof(*f->fix)))
		exit(tfs_cli_fail(FSCK_FAILED, f->image, "out of memory while noting repairs; nothing was changed"));
	x = &f->fix[f->fixes++];
	*x = (struct fsck_fix){kind, tree, key, n, len, NULL};
	if (value) {
		x->value = malloc(len ? len : 1);
		if (!x->value)
			exit(tfs_cli_fail(FSCK_FAILED, f->image,
			                  "out of memory while noting repairs; nothing was changed"));
		memcpy(x->value, value, len);
	}
}
