// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What was received, as lines: the message with control characters escaped, or a JSON object. Lines gather in memory
 * during a round; a sync writes them, as whole lines, and makes them durable. After a failed sync the file may end in a
 * part of a line: the next start ends it.
 */
#include "logship/logship.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int output_fail(const struct logship_output *o, const char *what)
{
	return tfs_cli_fail(LOGSHIP_OUTPUT, o->path ? o->path : "standard output", "%s: %s", what, strerror(errno));
}

static int write_all(int fd, const u8 *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A line that was cut off was acknowledged to nobody: it comes again, behind this one's end. */
static int end_last_line(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last;

	if (end <= 0)
		return 0; /* empty, or a pipe */
	if (pread(fd, &last, 1, end - 1) != 1)
		return -1;
	return last == '\n' ? 0 : write_all(fd, (const u8 *)"\n", 1);
}

/* The file's name is durable, too. */
static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, err = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(folder);
	return err;
}

static int file_open(struct logship_output *o)
{
	struct stat st;

	o->fd = open(o->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (o->fd < 0)
		return output_fail(o, "cannot be opened for appending");
	if (fstat(o->fd, &st) || (S_ISREG(st.st_mode) && (end_last_line(o->fd) || sync_folder(o->path))))
		return output_fail(o, "cannot be made ready for appending");
	return 0;
}

int logship_output_open(struct logship_output *o, const char *path, bool json)
{
	*o = (struct logship_output){.path = path, .fd = STDOUT_FILENO, .json = json};
	return path ? file_open(o) : 0;
}

static u8 *room(struct logship_output *o, size_t need)
{
	if (o->size - o->len < need) {
		size_t size = o->size + need + 65536;
		u8 *larger = realloc(o->buf, size);

		if (!larger)
			return NULL;
		o->buf = larger;
		o->size = size;
	}
	return o->buf + o->len;
}

static struct json_object *as_json(enum logship_proto proto, const char *peer, const u8 *msg, u32 len)
{
	struct json_object *o = json_object_new_object();
	struct ship_identity id;

	if (!o)
		return NULL;
	tfs_json_text(o, "transport", logship_proto_names[proto]);
	tfs_json_text(o, "peer", peer);
	if (ship_identity_find(msg, len, &id)) {
		char volume[17];

		snprintf(volume, sizeof(volume), "%016llx", (unsigned long long)id.volume);
		tfs_json_text(o, "volume", volume);
		tfs_json_u64(o, "ino", id.ino);
		tfs_json_u64(o, "generation", id.generation);
		tfs_json_u64(o, "offset", id.offset);
		tfs_json_u64(o, "crc", id.crc);
	}
	tfs_json_bytes(o, "message", msg, len);
	return o;
}

int logship_output_add_object(struct logship_output *o, struct json_object *line)
{
	const char *text = line ? json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN) : NULL;
	size_t len = text ? strlen(text) : 0;
	u8 *to = text ? room(o, len + 1) : NULL;

	if (to) {
		memcpy(to, text, len);
		to[len] = '\n';
		o->len += len + 1;
	}
	json_object_put(line);
	return to ? 0 : -ENOMEM;
}

int logship_output_add(struct logship_output *o, enum logship_proto proto, const char *peer, const u8 *msg, u32 len)
{
	size_t need = 4 * (size_t)len + 2;
	u8 *to;

	o->messages++;
	o->bytes += len;
	if (o->json)
		return logship_output_add_object(o, as_json(proto, peer, msg, len));
	to = room(o, need);
	if (!to)
		return -ENOMEM;
	tfs_cli_escape((char *)to, need, (const char *)msg, len);
	need = strlen((char *)to);
	to[need] = '\n';
	o->len += need + 1;
	return 0;
}

int logship_output_sync(struct logship_output *o)
{
	if (!o->len)
		return 0;
	if (write_all(o->fd, o->buf, o->len))
		return output_fail(o, "cannot be written; nothing since the last line was acknowledged");
	o->len = 0;
	if (o->path && fdatasync(o->fd) && errno != EINVAL && errno != EROFS) /* EINVAL: a pipe or terminal */
		return output_fail(o, "cannot be synced; nothing since the last sync was acknowledged");
	return 0;
}

int logship_output_reopen(struct logship_output *o)
{
	int code = logship_output_sync(o);

	if (code || !o->path)
		return code;
	close(o->fd);
	return file_open(o);
}

void logship_output_close(struct logship_output *o)
{
	if (o->path && o->fd >= 0)
		close(o->fd);
	free(o->buf);
}
