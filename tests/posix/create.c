// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Making things: open with its flags, mkdir, mknod, mkfifo, symlink; modes under the umask, owners, times of the new
 * inode and of its directory; what must not be opened so. open(2), mkdir(2), mknod(2), symlink(2).
 */
#include "tests/posix/posix.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static int open_close(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags, mode);

	return fd < 0 ? -1 : close(fd);
}

static int make_mode(enum kind k, const char *path, mode_t mode)
{
	return k == FILE_  ? open_close(path, O_CREAT | O_EXCL | O_RDWR, mode)
	       : k == DIR_ ? mkdir(path, mode)
	                   : mknod(path, S_IFIFO | mode, 0);
}

static void mode_and_umask(void)
{
	static const mode_t rows[][3] = {/* umask, asked, given */
	                                 {022, 0755, 0755}, {022, 0151, 0151},  {022, 0777, 0755}, {077, 0151, 0100},
	                                 {070, 0345, 0305}, {0501, 0345, 0244}, {0, 0777, 0777},   {0777, 0777, 0}};

	for (int k = FILE_; k <= FIFO_; k++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			about("a %s, umask 0%o, mode 0%o", kind_name[k], rows[i][0], rows[i][1]);
			umask(rows[i][0]);
			OK(make_mode((enum kind)k, "x", rows[i][1]));
			IS((look("x").st_mode & 07777) == rows[i][2]);
			OK(drop("x"));
		}
	umask(0);
	about("%s", "");
	OK(mkdir("d", 07777)); /* set-id bits are not taken from mkdir */
	IS((look("d").st_mode & 07777) == 01777);
	OK(open_close("f", O_CREAT | O_WRONLY, 07777));
	IS((look("f").st_mode & 07777) == 07777);
}

static void owner(void)
{
	OK(chmod(".", 0777));
	for (int k = FILE_; k < KINDS; k++) {
		if (k == BLOCK_ || k == CHAR_)
			continue;
		about("a %s", kind_name[k]);
		become(ALICE, BOB, NOBODY_ELSE);
		OK(make((enum kind)k, "x", 0644));
		IS(look("x").st_uid == ALICE && look("x").st_gid == BOB);
		OK(drop("x"));
		root_again();
	}
	become(ALICE, BOB, NOBODY_ELSE);
	about("%s", "");
	ERR(EPERM, mknod("x", S_IFBLK | 0644, makedev(1, 2)));
	ERR(EPERM, mknod("x", S_IFCHR | 0644, makedev(1, 3)));
	OK(mknod("x", S_IFREG | 0644, 0));
	OK(drop("x"));
	OK(mknod("x", 0644, 0)); /* no type: a file */
	IS(S_ISREG(look("x").st_mode));
	root_again();
}

static void made_times(void)
{
	for (int k = 0; k < KINDS; k++) {
		struct stat dir = look("."), x, after;

		if (geteuid() && (k == BLOCK_ || k == CHAR_))
			continue;
		about("a %s", kind_name[k]);
		nap();
		OK(make((enum kind)k, "x", 0644));
		x = look("x");
		after = look(".");
		IS(later(x.st_atim, dir.st_ctim) && later(x.st_mtim, dir.st_ctim) && later(x.st_ctim, dir.st_ctim));
		IS(later(after.st_mtim, dir.st_mtim) && later(after.st_ctim, dir.st_ctim));
		IS(same_time(after.st_atim, dir.st_atim));
		IS(after.st_nlink == dir.st_nlink + (k == DIR_));
		IS(x.st_nlink == (k == DIR_ ? 2 : 1));
		nap();
		dir = look(".");
		ERR(EEXIST, make_mode(FILE_, "x", 0644));
		ERR(EEXIST, mkdir("x", 0755));
		ERR(EEXIST, mkfifo("x", 0644));
		ERR(EEXIST, symlink("y", "x"));
		after = look(".");
		IS(same_time(after.st_mtim, dir.st_mtim) && same_time(after.st_ctim, dir.st_ctim));
		OK(drop("x"));
	}
	about("%s", "");
	ERR(EEXIST, mkdir(".", 0755));
	ERR(EEXIST, mkdir("..", 0755));
	ERR(EEXIST, symlink("x", "."));
	ERR(EEXIST, mkdir("/", 0755));
}

static void devices(void)
{
	static const struct {
		unsigned major, minor;
	} numbers[] = {{1, 3}, {0, 0}, {255, 255}, {256, 256}, {4095, 1048575}};

	for (int k = 0; k < 10; k++) {
		mode_t type = k & 1 ? S_IFBLK : S_IFCHR;
		dev_t dev = makedev(numbers[k / 2].major, numbers[k / 2].minor);

		about("%u:%u", numbers[k / 2].major, numbers[k / 2].minor);
		OK(mknod("x", type | 0600, dev));
		IS((look("x").st_mode & S_IFMT) == type && look("x").st_rdev == dev && !look("x").st_size);
		OK(drop("x"));
	}
	about("%s", "");
	ERR2(EPERM, EINVAL, mknod("x", S_IFDIR | 0755, 0));
	ERR(EINVAL, mknod("x", S_IFLNK | 0755, 0));
	OK(mknod("x", S_IFSOCK | 0755, 0));
	IS(S_ISSOCK(look("x").st_mode));
	OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	if (open_close("null", O_RDWR, 0) && errno == EACCES)
		skip("mounted nodev");
	else
		OK(open_close("null", O_RDWR, 0));
	OK(mknod("none", S_IFCHR | 0666, makedev(4095, 1)));
	ERR(ENXIO, open_close("none", O_RDWR, 0));
}

static void open_flags(void)
{
	OK(create("f", 0644));
	OK(mkdir("d", 0755));
	OK(symlink("f", "s"));
	OK(symlink("d", "sd"));
	OK(symlink("nowhere", "dangling"));
	OK(mkfifo("p", 0644));
	ERR(EEXIST, open_close("f", O_CREAT | O_EXCL | O_RDWR, 0644));
	ERR(EEXIST, open_close("d", O_CREAT | O_EXCL | O_RDONLY, 0644));
	ERR(EEXIST, open_close("s", O_CREAT | O_EXCL | O_RDWR, 0644));
	ERR(EEXIST, open_close("dangling", O_CREAT | O_EXCL | O_RDWR, 0644));
	IS(!there("nowhere"));
	ERR(EISDIR, open_close("d", O_WRONLY, 0));
	ERR(EISDIR, open_close("d", O_RDWR, 0));
	ERR(EISDIR, open_close("d", O_CREAT, 0644));
	ERR(EISDIR, open_close("d", O_RDONLY | O_TRUNC, 0));
	OK(open_close("d", O_RDONLY, 0));
	ERR(ENOTDIR, open_close("f", O_DIRECTORY, 0));
	ERR(ENOTDIR, open_close("s", O_DIRECTORY, 0));
	ERR(ENOTDIR, open_close("p", O_DIRECTORY | O_NONBLOCK, 0));
	OK(open_close("sd", O_DIRECTORY, 0));
	ERR(ELOOP, open_close("s", O_NOFOLLOW, 0));
	ERR2(ELOOP, ENOTDIR, open_close("sd", O_NOFOLLOW | O_DIRECTORY, 0));
	OK(open_close("s", O_NOFOLLOW | O_PATH, 0));
	OK(open_close("f", O_NOFOLLOW, 0));
	ERR(ENXIO, open_close("p", O_WRONLY | O_NONBLOCK, 0));
	OK(open_close("p", O_RDONLY | O_NONBLOCK, 0));
	OK(open_close("dangling", O_CREAT | O_WRONLY, 0600));
	IS(S_ISREG(look("nowhere").st_mode) && S_ISLNK(look("dangling").st_mode));
	ERR(EINVAL, open_close("f", O_RDONLY | O_DIRECTORY | O_TMPFILE | 0, 0)); /* O_TMPFILE must write */
}

static void open_socket(void)
{
	OK(make(SOCKET_, "x", 0777));
	ERR(ENXIO, open_close("x", O_RDONLY, 0));
	ERR(ENXIO, open_close("x", O_WRONLY, 0));
}

/* A mode asked for holds for later opens, not for the one that makes the file. */
static void open_while_making(void)
{
	int fd;

	OK(chmod(".", 0777));
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(fd = open("x", O_CREAT | O_RDWR, 0));
	OK(ftruncate(fd, 100));
	OK((int)write(fd, "x", 1));
	ERR(EACCES, open_close("x", O_RDONLY, 0));
	OK(close(fd));
	root_again();
	IS(look("x").st_size == 100);
}

static void truncate_at_open(void)
{
	struct stat a, b;

	OK(write_file("x", "text"));
	a = look("x");
	nap();
	OK(open_close("x", O_WRONLY | O_TRUNC, 0));
	b = look("x");
	IS(!b.st_size && later(b.st_mtim, a.st_mtim) && later(b.st_ctim, a.st_ctim));
	nap();
	OK(open_close("x", O_WRONLY | O_TRUNC, 0)); /* of an empty file */
	IS(later(look("x").st_mtim, b.st_mtim));
	OK(write_file("x", "text"));
	OK(open_close("x", O_WRONLY | O_CREAT, 0));
	IS(look("x").st_size == 4);
	ERR(EISDIR, open_close(".", O_WRONLY | O_TRUNC, 0));
	if (geteuid())
		return;
	OK(chmod("x", 0644));
	become(ALICE, ALICE, NOBODY_ELSE);
	ERR(EACCES, open_close("x", O_RDONLY | O_TRUNC, 0));
	root_again();
	IS(look("x").st_size == 4);
	OK(chmod("x", 0666));
	become(ALICE, ALICE, NOBODY_ELSE);
	OK(open_close("x", O_RDONLY | O_TRUNC, 0));
	root_again();
	IS(!look("x").st_size);
}

/* A running program is not written, a file being written is not run. */
static void busy_program(void)
{
	pid_t child;
	int fd, status, gate[2];
	char c;

	if (system("cp \"$(command -v sleep)\" ./run 2>/dev/null") || system("./run 0 2>/dev/null") || pipe(gate)) {
		skip("mounted noexec");
		return;
	}
	child = fork();
	if (!child) {
		close(gate[0]);
		fcntl(gate[1], F_SETFD, FD_CLOEXEC); /* closed by the exec */
		execl("./run", "run", "100", NULL);
		_exit(127);
	}
	close(gate[1]);
	IS(read(gate[0], &c, 1) == 0);
	ERR(ETXTBSY, open_close("run", O_WRONLY, 0));
	ERR(ETXTBSY, open_close("run", O_RDWR | O_TRUNC, 0));
	ERR(ETXTBSY, truncate("run", 0));
	OK(rename("run", "run2"));
	OK(unlink("run2"));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(gate[0]);
	IS(!system("cp \"$(command -v sleep)\" ./run"));
	OK(fd = open("run", O_WRONLY));
	IS(system("./run 0 2>/dev/null") != 0);
	close(fd);
	IS(system("./run 0") == 0);
}

static void symlinks(void)
{
	static const size_t lengths[] = {1, 2, 59, 60, 255, 1023, 2048, 4094, 4095};
	char target[5000], got[5000];
	struct stat s;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		about("%zu bytes", lengths[i]);
		fill_name(target, lengths[i], 't');
		differs(lengths[i] > 4000 ? ON_EXT : 0, "a block holds the target and a NUL");
		OK(symlink(target, "s"));
		if (!there("s"))
			continue;
		IS(readlink("s", got, sizeof(got)) == (ssize_t)lengths[i] && !memcmp(got, target, lengths[i]));
		s = look("s");
		IS(S_ISLNK(s.st_mode) && s.st_size == (off_t)lengths[i] && (s.st_mode & 07777) == 0777);
		IS(readlink("s", got, 1) == 1);
		OK(drop("s"));
	}
	about("%s", "");
	fill_name(target, 4096, 't');
	ERR(ENAMETOOLONG, symlink(target, "s"));
	ERR(ENOENT, symlink("", "s"));
	OK(create("f", 0644));
	ERR(EINVAL, (int)readlink("f", got, sizeof(got)));
	ERR(EINVAL, (int)readlink(".", got, sizeof(got)));
	OK(symlink("/nowhere/at all/\xff\x01", "s"));
	ERR(EINVAL, (int)readlink("s", got, 0));
	ERR(EFAULT, (int)readlink("s", nowhere, 100));
}

static void unnamed(void)
{
	char path[40];
	int fd = open(".", O_TMPFILE | O_RDWR, 0644);
	struct stat s;

	if (fd < 0) {
		ERR(EOPNOTSUPP, fd);
		skip("O_TMPFILE is not offered");
		return;
	}
	IS(write(fd, "text", 4) == 4);
	OK(fstat(fd, &s));
	IS(!s.st_nlink && s.st_size == 4);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "x", AT_SYMLINK_FOLLOW));
	IS(look("x").st_nlink == 1 && look("x").st_size == 4 && look("x").st_ino == s.st_ino);
	close(fd);
	OK(fd = open(".", O_TMPFILE | O_EXCL | O_RDWR, 0644));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ERR(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "y", AT_SYMLINK_FOLLOW));
	close(fd);
}

static void fifos_and_sockets(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int in, out, s, c;
	char b[8];

	OK(mkfifo("p", 0600));
	OK(in = open("p", O_RDONLY | O_NONBLOCK));
	OK(out = open("p", O_WRONLY));
	IS(write(out, "text", 4) == 4 && read(in, b, 8) == 4 && !memcmp(b, "text", 4));
	IS(!look("p").st_size);
	ERR(ESPIPE, lseek(in, 0, SEEK_SET) < 0 ? -1 : 0);
	close(in);
	close(out);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(bind(s, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(s, 1));
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	close(c);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	ERR(EADDRINUSE, bind(c, (struct sockaddr *)&a, sizeof(a)));
	OK(rename("sock", "moved"));
	strcpy(a.sun_path, "moved");
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	close(c);
	close(s);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	ERR(ECONNREFUSED, connect(c, (struct sockaddr *)&a, sizeof(a)));
	close(c);
}

const struct test create_tests[] = {{"mode-and-umask", mode_and_umask, false},
                                    {"owner", owner, true},
                                    {"times", made_times, false},
                                    {"devices", devices, true},
                                    {"open-flags", open_flags, false},
                                    {"open-socket", open_socket, false},
                                    {"open-while-making", open_while_making, true},
                                    {"truncate-at-open", truncate_at_open, false},
                                    {"busy-program", busy_program, false},
                                    {"symlinks", symlinks, false},
                                    {"unnamed", unnamed, false},
                                    {"fifos-and-sockets", fifos_and_sockets, false},
                                    TESTS_END};
