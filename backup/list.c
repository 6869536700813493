// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* `list`, `show` and `status`: what manifests say, as lines or as JSON, one object a line. Nothing else is read. */
#include "backup/backup.h"

#include <json-c/json.h>
#include <time.h>

static char *time_text(s64 seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, 32, "@%lld", (long long)seconds);
	return out;
}

static struct json_object *backup_json(const struct bk_backup *b)
{
	const struct bk_manifest *m = b->m;
	const struct tfs_super *s = (const struct tfs_super *)m->super;
	struct json_object *o = json_object_new_object();
	char text[40];
	u64 index = 0;

	for (u32 i = 0; i < b->shards; i++)
		index += tfs_le64(b->shard[i].size);
	tfs_json_u64(o, "backup", b->sequence);
	tfs_json_text(o, "time", time_text((s64)tfs_le64(m->time), text));
	tfs_json_text(o, "created", time_text((s64)tfs_le64(m->created.sec), text));
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)b->volume);
	tfs_json_text(o, "volume", text);
	tfs_cli_uuid_text(s->uuid, text);
	tfs_json_text(o, "uuid", text);
	tfs_json_text(o, "format", tfs_le32(m->flags) & BK_NANOS ? "nanos" : "tfs");
	tfs_json_bytes(o, "label", s->label, strnlen((char *)s->label, sizeof(s->label)));
	tfs_json_bytes(o, "host", m->host, strnlen((char *)m->host, sizeof(m->host)));
	tfs_json_bytes(o, "snapshot", m->name, m->name_len);
	tfs_json_u64(o, "epoch", tfs_le64(m->epoch));
	tfs_json_u64(o, "base", tfs_le64(m->base));
	tfs_json_u64(o, "inodes", tfs_le64(m->inodes));
	tfs_json_u64(o, "size", tfs_le64(s->size));
	tfs_json_u64(o, "added", tfs_le64(m->added));
	tfs_json_u64(o, "sent", tfs_le64(m->sent));
	tfs_json_u64(o, "shards", b->shards);
	tfs_json_u64(o, "index", index);
	return o;
}

static void backup_line(const struct bk_backup *b)
{
	const struct tfs_super *s = (const struct tfs_super *)b->m->super;
	char text[40], added[16];

	printf("%6llu  %s  %10s  ", (unsigned long long)b->sequence, time_text((s64)tfs_le64(b->m->created.sec), text),
	       tfs_cli_human(tfs_le64(b->m->added), added));
	if (b->m->base)
		printf("on %-6llu  ", (unsigned long long)tfs_le64(b->m->base));
	else
		printf("full       ");
	tfs_cli_uuid_text(s->uuid, text);
	printf("%.8s ", text);
	tfs_cli_print_name(stdout, (char *)s->label, strnlen((char *)s->label, sizeof(s->label)));
	printf("  ");
	tfs_cli_print_name(stdout, (char *)b->m->name, b->m->name_len);
	putchar('\n');
}

int bk_cmd_list(struct bk_repo *r)
{
	for (size_t i = 0; i < r->chain.lives; i++) {
		struct bk_backup b;
		int code = bk_backup_load(r, &r->chain.live[i], &b);

		if (code == BK_OVERTAKEN)
			continue;
		if (code)
			return code;
		if (bk_same_volume(r->o, &b) && r->o->json)
			tfs_json_line(stdout, backup_json(&b));
		else if (bk_same_volume(r->o, &b))
			backup_line(&b);
		bk_backup_free(&b);
	}
	return 0;
}

int bk_cmd_show(struct bk_repo *r, const char *which)
{
	struct json_object *o;
	struct bk_backup b;
	int code = bk_backup_find(r, which, &b);

	if (code)
		return code;
	o = backup_json(&b);
	if (r->o->json) {
		tfs_json_line(stdout, o);
	} else {
		json_object_object_foreach(o, key, value)
		{
			const char *text = json_object_get_string(value);

			printf("%-9s ", key);
			tfs_cli_print_name(stdout, text, strlen(text));
			putchar('\n');
		}
		json_object_put(o);
	}
	bk_backup_free(&b);
	return 0;
}

/* One line a volume: its newest backup and how old that is, by this machine's clock. */
int bk_cmd_status(struct bk_repo *r)
{
	s64 now = (s64)time(NULL);
	char text[32];

	if (!r->o->json && r->chain.head)
		printf("newest manifest %llu of %s, %zu backups kept\n", (unsigned long long)r->chain.head,
		       time_text((s64)r->chain.head_time, text), r->chain.lives);
	for (size_t i = r->chain.lives; i--;) {
		bool newer = false;
		struct bk_backup b;
		u64 count = 0;
		int code;

		for (size_t j = 0; j < r->chain.lives; j++) {
			count += r->chain.live[j].volume == r->chain.live[i].volume;
			newer |= j > i && r->chain.live[j].volume == r->chain.live[i].volume;
		}
		if (newer)
			continue;
		code = bk_backup_load(r, &r->chain.live[i], &b);
		if (code == BK_OVERTAKEN)
			continue;
		if (code)
			return code;
		if (r->o->json) {
			struct json_object *o = backup_json(&b);

			tfs_json_u64(o, "age", (u64)(now - (s64)tfs_le64(b.m->created.sec)));
			tfs_json_u64(o, "backups", count);
			tfs_json_line(stdout, o);
		} else {
			backup_line(&b);
			printf("        %llu backups, the newest %lld s old\n", (unsigned long long)count,
			       (long long)(now - (s64)tfs_le64(b.m->created.sec)));
		}
		bk_backup_free(&b);
	}
	return 0;
}
