// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The journalled client: threads that each change a folder of their own and say in /dev/ack what they were told is
 * durable. After the machine was killed the same program replays the same stream in memory and holds the folder
 * against it:
 *
 *   names   symlinks, made, renamed, linked and removed in groups; a group is acknowledged after fsync of the folder.
 *           What is there is what the first j operations leave, for one j at or after the last acknowledged (order is
 * kept). files   overwritten, extended, truncated, each durable (fsync, fdatasync, O_DSYNC, msync) before it is
 * acknowledged. Only the operation after the last acknowledged may be there or not, page by page.
 *
 * usage: client run FOLDER SEED THREADS            until killed
 *        client check FOLDER SEED THREADS ACKS     exit code 0: as it must be; 1: not, and what
 *        client live FOLDER SEED THREADS ACKS      the same where the volume, its device failing, may refuse to read
 * An acknowledgement is one line "THREAD NUMBER". With CLIENT_SECONDS=N it ends by itself, and each acknowledgement of
 * its first thread is also a mark in the log of the dm-log-writes device named rec. With CLIENT_FAILING=1 each thread
 * goes on until it is refused something itself, and the exit code is 1 when all were.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <linux/dm-ioctl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 24
#define FILES 3
#define FILE_MAX (200 * 1024)
#define GROUP_MAX 8
#define PAGE 4096

enum kind { NAMES, WRITE, APPEND, CUT };

struct op {
	uint64_t number;
	enum kind kind;
	int file, how; /* how: which call makes it durable */
	uint32_t at, bytes;
	int names; /* operations in the group */
	struct name_op {
		int op, from, to;
	} name[GROUP_MAX];
};

struct file {
	uint32_t size;
	uint8_t data[FILE_MAX];
};

struct client {
	int thread, dir;
	uint64_t seed, number;
	uint64_t slot[SLOTS]; /* what the symlink says; 0: none */
	struct file file[FILES];
};

static int ack = -1, control = -1; /* device-mapper's, where acknowledgements are marks, too */
static time_t until;
static bool live, failing;
static unsigned long refused;

static void fail(const struct client *c, const char *what)
{
	fprintf(stderr, "client: thread %d, operation %llu: %s: %s\n", c->thread, (unsigned long long)c->number, what,
	        strerror(errno));
	if (!failing)
		exit(1);
	pthread_exit(NULL);
}

static uint32_t rnd(struct client *c, uint32_t n)
{
	c->seed = c->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(c->seed >> 33) % n;
}

/* ---- the stream: drawn from the seed and the model alone ---- */

static void draw(struct client *c, struct op *o)
{
	static const uint32_t sizes[] = {1, 100, 700, PAGE, 3 * PAGE + 5, 40000};

	*o = (struct op){.number = ++c->number, .file = (int)rnd(c, FILES), .how = (int)rnd(c, 4)};
	o->kind = (enum kind)rnd(c, 4);
	if (o->kind == CUT && rnd(c, 3))
		o->kind = NAMES;
	o->names = 1 + (int)rnd(c, GROUP_MAX);
	for (int i = 0; i < GROUP_MAX; i++)
		o->name[i] = (struct name_op){(int)rnd(c, 5), (int)rnd(c, SLOTS), (int)rnd(c, SLOTS)};
	o->bytes = 1 + rnd(c, sizes[rnd(c, 6)]);
	o->at = rnd(c, FILE_MAX - o->bytes);
	if (o->kind == WRITE && o->at > c->file[o->file].size)
		o->at = rnd(c, c->file[o->file].size + 1);
	if (o->kind == APPEND)
		o->at = c->file[o->file].size;
	if (o->at + o->bytes > FILE_MAX)
		o->kind = CUT;
	if (o->kind == CUT)
		o->at = rnd(c, c->file[o->file].size + 1);
}

static void fill(uint8_t *to, const struct op *o)
{
	uint64_t x = o->number * 0x9e3779b97f4a7c15ull + 1;

	for (uint32_t i = 0; i < o->bytes; i++) {
		if (i % 16 == 0)
			x = x * 6364136223846793005ull + 1;
		to[i] = (uint8_t)(x >> 56) ^ (uint8_t)i;
	}
}

static uint64_t name_id(const struct op *o, int i)
{
	return o->number * GROUP_MAX + (uint64_t)i;
}

/* One operation on names in the model; false: it does not apply and is not made. */
static bool model_name(struct client *c, const struct op *o, int i)
{
	const struct name_op *n = &o->name[i];
	uint64_t *from = &c->slot[n->from], *to = &c->slot[n->to];

	switch (n->op) {
	case 0:
	case 1:
		if (*to)
			return false;
		*to = name_id(o, i);
		return true;
	case 2:
		if (!*from || from == to || *from == *to) /* rename of two links to one inode does nothing */
			return false;
		*to = *from;
		*from = 0;
		return true;
	case 3:
		if (!*from || *to)
			return false;
		*to = *from;
		return true;
	default:
		if (!*from)
			return false;
		*from = 0;
		return true;
	}
}

static void model_file(struct client *c, const struct op *o)
{
	struct file *f = &c->file[o->file];

	if (o->kind == CUT) {
		memset(f->data + o->at, 0, FILE_MAX - o->at);
		f->size = o->at;
		return;
	}
	fill(f->data + o->at, o);
	if (o->at + o->bytes > f->size)
		f->size = o->at + o->bytes;
}

/* ---- running ---- */

static void slot_name(char *to, int slot)
{
	sprintf(to, "s%02d", slot);
}

static void run_name(struct client *c, const struct op *o, int i)
{
	char from[8], to[8], target[300];
	int r;

	slot_name(from, o->name[i].from);
	slot_name(to, o->name[i].to);
	/* long targets do not fit into an inode item */
	sprintf(target, "%0*llu", name_id(o, i) % 3 ? 1 : 200, (unsigned long long)name_id(o, i));
	switch (o->name[i].op) {
	case 0:
	case 1:
		r = symlinkat(target, c->dir, to);
		break;
	case 2:
		r = renameat(c->dir, from, c->dir, to);
		break;
	case 3:
		r = linkat(c->dir, from, c->dir, to, 0);
		break;
	default:
		r = unlinkat(c->dir, from, 0);
	}
	if (r)
		fail(c, "names");
}

/* Of a page that the device does not give any more: a refusal like any other, of the thread that stores. */
static __thread sigjmp_buf store;

static void store_refused(int sig)
{
	(void)sig;
	siglongjmp(store, 1);
}

static void run_mapped(struct client *c, const struct op *o, int fd, const uint8_t *data)
{
	struct stat s;
	uint8_t *p;

	if (fstat(fd, &s))
		fail(c, "fstat");
	if (o->at + o->bytes > (uint32_t)s.st_size && ftruncate(fd, o->at + o->bytes))
		fail(c, "ftruncate");
	p = mmap(NULL, FILE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fail(c, "mmap");
	if (failing && sigsetjmp(store, 1)) {
		errno = EIO;
		fail(c, "a store through mmap");
	}
	memcpy(p + o->at, data, o->bytes);
	if (msync(p, FILE_MAX, MS_SYNC) || munmap(p, FILE_MAX) || fsync(fd))
		fail(c, "msync");
}

static void run_file(struct client *c, const struct op *o)
{
	static __thread uint8_t data[FILE_MAX];
	char name[8];
	int fd;

	sprintf(name, "f%d", o->file);
	fd = openat(c->dir, name, O_RDWR | (o->how == 2 ? O_DSYNC : 0));
	if (fd < 0)
		fail(c, name);
	fill(data, o);
	if (o->kind == CUT) {
		if (ftruncate(fd, o->at) || fsync(fd))
			fail(c, "ftruncate");
	} else if (o->how == 3) {
		run_mapped(c, o, fd, data);
	} else if (pwrite(fd, data, o->bytes, o->at) != (ssize_t)o->bytes || (o->how == 0   ? fsync(fd)
	                                                                      : o->how == 1 ? fdatasync(fd)
	                                                                                    : 0)) {
		fail(c, "pwrite");
	}
	close(fd);
}

/* dm-log-writes: "mark NUMBER". */
static void mark(const struct client *c)
{
	struct {
		struct dm_ioctl io;
		__u64 sector; /* as struct dm_target_msg */
		char text[64];
	} m = {.io = {.version = {4, 0, 0}, .data_size = sizeof(m), .data_start = sizeof(m.io), .name = "rec"}};

	sprintf(m.text, "mark %llu", (unsigned long long)c->number);
	if (ioctl(control, DM_TARGET_MSG, &m))
		fail(c, "mark");
}

static void *run(void *p)
{
	struct client *c = p;
	struct op o;
	char line[40];

	while (!until || time(NULL) < until) {
		draw(c, &o);
		if (o.kind == NAMES) {
			for (int i = 0; i < o.names; i++)
				if (model_name(c, &o, i))
					run_name(c, &o, i);
			if (o.how ? fsync(c->dir) : syncfs(c->dir))
				fail(c, "fsync of the folder");
		} else {
			model_file(c, &o);
			run_file(c, &o);
		}
		sprintf(line, "%d %llu\n", c->thread, (unsigned long long)o.number);
		if (write(ack, line, strlen(line)) < 0)
			fail(c, "acknowledging");
		if (control >= 0 && !c->thread)
			mark(c);
	}
	if (until)
		exit(0);
	return NULL;
}

/* ---- checking ---- */

/* The volume says that it cannot read: as good as the right answer, when its device fails. */
static bool refuses(void)
{
	bool it_does = live && errno == EIO;

	refused += it_does;
	return it_does;
}

static bool names_same(const struct client *c)
{
	char name[8], target[400];

	for (int i = 0; i < SLOTS; i++) {
		slot_name(name, i);
		ssize_t n = readlinkat(c->dir, name, target, sizeof(target) - 1);
		if (n < 0 && refuses())
			continue;
		if (n < 0 && errno != ENOENT)
			return false;
		target[n < 0 ? 0 : n] = 0;
		if (strtoull(target, NULL, 10) != c->slot[i])
			return false;
	}
	return true;
}

/* The names are as before o or as after one of its parts. c is left as before o when there is no such point. */
static bool names_fit(struct client *c, const struct op *next)
{
	if (names_same(c))
		return true;
	for (int i = 0; next && i < next->names; i++)
		if (model_name(c, next, i) && names_same(c))
			return true;
	return false;
}

/* A page as before or as after the next operation; of stores into a mapping any part may have happened. */
static bool page_fits(const uint8_t *now, const uint8_t *before, const uint8_t *after, uint32_t n, bool parts)
{
	uint32_t i = 0;

	while (parts && i < n && (now[i] == before[i] || now[i] == after[i]))
		i++;
	return i == n || !memcmp(now, before, n) || !memcmp(now, after, n);
}

/* Says what is wrong, but while states further on are tried. */
static bool quiet;
static int __attribute__((format(printf, 1, 2))) tell(const char *fmt, ...)
{
	va_list ap;

	if (!quiet) {
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
	}
	return 1;
}

static int file_fits(struct client *c, const struct file *then, int i, const struct op *next)
{
	static struct file now;
	const struct file *f = &c->file[i];
	bool unread[FILE_MAX / PAGE + 1] = {false};
	char name[8];
	int fd, wrong = 0;
	bool touched = next && next->kind != NAMES && next->file == i;

	sprintf(name, "f%d", i);
	memset(&now, 0, sizeof(now));
	fd = openat(c->dir, name, O_RDONLY);
	if (fd < 0 && refuses())
		return 0;
	if (fd < 0)
		fail(c, name);
	now.size = (uint32_t)lseek(fd, 0, SEEK_END);
	for (uint32_t at = 0; at < now.size && at < FILE_MAX; at += PAGE) {
		ssize_t n = pread(fd, now.data + at, PAGE, at);

		unread[at / PAGE] = n < 0 && refuses();
		if (!unread[at / PAGE] && n != (ssize_t)(now.size - at < PAGE ? now.size - at : PAGE))
			fail(c, "reading");
	}
	close(fd);
	/* a write beyond the end may have reached the volume in part */
	if (now.size != f->size && !(touched && now.size == then->size) &&
	    !(touched && next->kind != CUT && now.size > f->size && now.size < then->size))
		wrong = tell("file %d of thread %d is %u bytes long, not %u\n", i, c->thread, now.size, f->size);
	for (uint32_t at = 0; at < now.size && at < FILE_MAX && !wrong; at += PAGE) {
		uint32_t n = now.size - at < PAGE ? now.size - at : PAGE;

		if (!unread[at / PAGE] && !page_fits(now.data + at, f->data + at, (touched ? then : f)->data + at, n,
		                                     touched && next->kind != CUT && next->how == 3))
			wrong = tell("file %d of thread %d differs in the page at %u\n", i, c->thread, at);
	}
	return wrong;
}

static int judge(struct client *c, uint64_t acked)
{
	static struct file then[FILES];
	struct op next;
	int wrong = 0;

	while (c->number < acked) {
		draw(c, &next);
		if (next.kind != NAMES)
			model_file(c, &next);
		for (int i = 0; next.kind == NAMES && i < next.names; i++)
			model_name(c, &next, i);
	}
	draw(c, &next); /* may have happened, in part */
	memcpy(then, c->file, sizeof(then));
	if (next.kind != NAMES) {
		struct file *f = &then[next.file];

		if (next.kind == CUT) {
			memset(f->data + next.at, 0, FILE_MAX - next.at);
			f->size = next.at;
		} else {
			fill(f->data + next.at, &next);
			f->size = next.at + next.bytes > f->size ? next.at + next.bytes : f->size;
		}
	}
	for (int i = 0; i < FILES; i++)
		wrong |= file_fits(c, &then[i], i, &next);
	if (!names_fit(c, next.kind == NAMES ? &next : NULL))
		wrong |= tell("the names of thread %d are not those at any point after operation %llu\n", c->thread,
		              (unsigned long long)acked);
	if (wrong)
		tell("the last acknowledged operation was %llu; the next is kind %d file %d how %d at %u bytes %u\n",
		     (unsigned long long)acked, (int)next.kind, next.file, next.how, next.at, next.bytes);
	return wrong ? 1 : 0;
}

/*
 * /dev/ack does not wait for the host: what the guest wrote there last may be lost with the machine. A thread goes on
 * only when an operation is durable, so a state further on is as good; one before the last acknowledgement never is.
 */
#define ACKS_LOST 16
static int check(struct client *c, uint64_t acked)
{
	static struct client at;
	int more;

	quiet = true;
	for (more = 1; more <= ACKS_LOST; more++) {
		at = *c;
		if (!judge(&at, acked + (uint64_t)more - 1))
			break;
	}
	quiet = false;
	if (more > 1 && more <= ACKS_LOST)
		printf("thread %d: the last %d acknowledgements were lost on their way\n", c->thread, more - 1);
	return more <= ACKS_LOST ? 0 : judge(c, acked);
}

static void acks_read(const char *path, uint64_t *acked, int threads)
{
	FILE *f = fopen(path, "r");
	char line[100];
	int t;
	unsigned long long n;

	while (f && fgets(line, sizeof(line), f)) /* the last line may be cut off */
		if (strchr(line, '\n') && sscanf(line, "%d %llu", &t, &n) == 2 && t < threads && n > acked[t])
			acked[t] = n;
	if (f)
		fclose(f);
}

static void folder_open(struct client *c, const char *top, bool create)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/t%d", top, c->thread);
	if (create && mkdir(path, 0755))
		fail(c, path);
	c->dir = open(path, O_RDONLY | O_DIRECTORY);
	if (c->dir < 0 && !refuses())
		fail(c, path);
	for (int i = 0; create && i < FILES; i++) {
		sprintf(path, "f%d", i);
		close(openat(c->dir, path, O_RDWR | O_CREAT, 0644));
	}
	if (create && fsync(c->dir))
		fail(c, "fsync");
}

int main(int argc, char **argv)
{
	bool running = argc == 5 && !strcmp(argv[1], "run");
	struct client *client[64];
	uint64_t acked[64] = {0};
	pthread_t thread[64];
	int threads, wrong = 0;

	live = argc == 6 && !strcmp(argv[1], "live");
	if (!running && !live && !(argc == 6 && !strcmp(argv[1], "check")))
		return fprintf(stderr,
		               "usage: client run FOLDER SEED THREADS | check | live FOLDER SEED THREADS ACKS\n"),
		       2;
	threads = atoi(argv[4]);
	if (threads < 1 || threads > 64)
		return fprintf(stderr, "client: %s threads: 1 to 64\n", argv[4]), 2;
	if (running)
		ack = open("/dev/ack", O_WRONLY);
	failing = running && getenv("CLIENT_FAILING");
	if (failing)
		signal(SIGBUS, store_refused);
	if (running && getenv("CLIENT_SECONDS")) {
		until = time(NULL) + atoi(getenv("CLIENT_SECONDS"));
		control = open("/dev/mapper/control", O_RDWR);
	} else
		acks_read(argv[5], acked, threads);
	for (int t = 0; t < threads; t++) {
		client[t] = calloc(1, sizeof(*client[t]));
		client[t]->thread = t;
		client[t]->seed = strtoull(argv[3], NULL, 10) * 1000 + (uint64_t)t;
		folder_open(client[t], argv[2], running);
	}
	for (int t = 0; t < threads; t++) {
		if (running) {
			pthread_create(&thread[t], NULL, run, client[t]);
			continue;
		}
		if (client[t]->dir >= 0)
			wrong |= check(client[t], acked[t]);
		printf("thread %d: %llu operations acknowledged\n", t, (unsigned long long)acked[t]);
	}
	if (live)
		printf("%lu reads refused\n", refused);
	for (int t = 0; running && t < threads; t++)
		pthread_join(thread[t], NULL);
	if (running)
		return 1;
	return wrong;
}
