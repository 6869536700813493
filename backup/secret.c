// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Where a passphrase or key file comes from: --key-file, --passphrase-file, the environment, or the terminal, in this
 * order; for a new one the options and variables with NEW in their names, and, where those say nothing, when a
 * repository is made the usual ones. A passphrase is a file's first line. Nothing is ever taken from the command line,
 * which everybody on the machine can read.
 */
#include "backup/backup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_MAX 4096u
#define KEY_FILE_MIN 32u

void bk_secret_free(u8 *secret, size_t len)
{
	bk_wipe(secret, len);
	free(secret);
}

static int file_read(const char *path, u8 *buf, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	*len = 0;
	while (fd >= 0 && *len < SECRET_MAX && (n = read(fd, buf + *len, SECRET_MAX - *len)) > 0)
		*len += (size_t)n;
	if (fd < 0 || n < 0)
		n = -1;
	int err = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return tfs_cli_fail(BK_SECRET, path, "%s", strerror(err));
	return *len == SECRET_MAX ? tfs_cli_fail(BK_SECRET, path, "expected less than %u bytes", SECRET_MAX) : 0;
}

static int line_read(const char *prompt, u8 *buf, size_t *len)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	struct termios was, quiet;
	ssize_t n;

	if (fd < 0 || tcgetattr(fd, &was)) {
		if (fd >= 0)
			close(fd);
		return tfs_cli_fail(
		    BK_SECRET, NULL,
		    "no passphrase: give --passphrase-file, --key-file or TFS_BACKUP_PASSPHRASE, or a terminal to ask");
	}
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fd, TCSAFLUSH, &quiet);
	n = write(fd, prompt, strlen(prompt)) < 0 ? -1 : read(fd, buf, SECRET_MAX - 1);
	tcsetattr(fd, TCSAFLUSH, &was);
	if (write(fd, "\n", 1) < 0)
		n = -1;
	close(fd);
	*len = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : tfs_cli_fail(BK_SECRET, NULL, "no passphrase was given");
}

static void first_line(u8 *buf, size_t *len)
{
	u8 *end = memchr(buf, '\n', *len);

	if (end)
		*len = (size_t)(end - buf);
}

static int ask(bool fresh, u8 *buf, size_t *len)
{
	u8 again[SECRET_MAX];
	size_t again_len;
	int code = line_read(fresh ? "new passphrase: " : "passphrase: ", buf, len);

	if (!code)
		first_line(buf, len);
	if (code || !fresh)
		return code;
	code = line_read("the same again: ", again, &again_len);
	if (code)
		return code;
	first_line(again, &again_len);
	if (again_len != *len || memcmp(again, buf, *len))
		code = tfs_cli_fail(BK_SECRET, NULL, "the two passphrases differ");
	bk_wipe(again, sizeof(again));
	return code;
}

static int get(const char *key_file, const char *pass_file, const char *env, bool fresh, int *kind, u8 *buf,
               size_t *len)
{
	int code;

	*kind = key_file ? BK_KEY_FILE : BK_KEY_PASSPHRASE;
	if (key_file) {
		code = file_read(key_file, buf, len);
		if (!code && *len < KEY_FILE_MIN)
			code = tfs_cli_fail(BK_SECRET, key_file,
			                    "expected at least %u random bytes; make them by: head -c 64 /dev/urandom",
			                    KEY_FILE_MIN);
		return code;
	}
	if (pass_file)
		code = file_read(pass_file, buf, len);
	else if (env) {
		*len = strnlen(env, SECRET_MAX - 1);
		memcpy(buf, env, *len);
		code = 0;
	} else
		return ask(fresh, buf, len);
	if (!code)
		first_line(buf, len);
	return code;
}

int bk_secret_get(const struct bk_options *o, bool fresh, int *kind, u8 **secret, size_t *len)
{
	const char *key_file = o->key_file ? o->key_file : getenv("TFS_BACKUP_KEY_FILE");
	const char *pass_file = o->passphrase_file, *env = getenv("TFS_BACKUP_PASSPHRASE");
	const char *new_env = getenv("TFS_BACKUP_NEW_PASSPHRASE");
	u8 *buf = malloc(SECRET_MAX);
	int code;

	if (!buf)
		return bk_no_memory();
	if (o->passphrase_file && !o->key_file)
		key_file = NULL;
	if (fresh && (o->new_key_file || o->new_passphrase_file || new_env)) {
		key_file = o->new_key_file;
		pass_file = o->new_passphrase_file;
		env = new_env;
	} else if (fresh && o->adding) {
		key_file = pass_file = env = NULL;
	}
	code = get(key_file, pass_file, env, fresh, kind, buf, len);
	if (!code && !*len)
		code = tfs_cli_fail(BK_SECRET, NULL, "the passphrase is empty");
	if (code) {
		bk_secret_free(buf, SECRET_MAX);
		return code;
	}
	*secret = buf;
	return 0;
}
