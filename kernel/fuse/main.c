// SPDX-License-Identifier: GPL-2.0
/*
 * tfs-fuse: mounts a volume read-write without root. Options, the mount, the loop (requests, and once a second what is
 * due: write back after 5 s, a checkpoint after 30 s; when idle, steps of the compactor), and an end that leaves a
 * clean volume. Exit codes: usage text.
 */
#include "kernel/fuse/fuse_host.h"
#include "tfs/fuse/view.h"
#include "tfs/user/file_dev.h"
#include "tfs/user/nanos_dev.h"
#include "tfs/user/rollback.h"
#include "tfs/user/port.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: tfs-fuse [options] IMAGE DIR\n"
    "  -o OPTION[,...]   ro, noatime, nodiratime, compact=off|auto, allow_other, and others of\n"
    "                    mount.fuse3(8);\n"
    "                    snapshot=NAME: that one, read-only;\n"
    "                    rollback=NAME: goes back to that one for good, what came after is lost\n"
    "  -f                stay in the foreground\n"
    "  --offset N        the volume begins at byte N of IMAGE\n"
    "  --partition root|boot|N   of a bootable image of the Nanos kernel\n"
    "  --cache SIZE      unwritten data kept at most (64M)\n"
    "Unmount with `fusermount3 -u DIR`; the volume is clean when tfs-fuse has ended.\n"
    "exit: 0 unmounted clean, 1 usage, 2 image cannot be opened or is damaged, 3 cannot be "
    "mounted, 4 not everything written\n";

enum { EXIT_USED_WRONG = 1, EXIT_IMAGE = 2, EXIT_MOUNT = 3, EXIT_LOST = 4 };

#define WRITE_BACK_MS 5000u
#define CHECKPOINT_MS 30000u
#define END_TRIES 60u
#define END_WAIT_US 50000u

struct options {
	const char *image, *dir, *partition;
	const char *snapshot; /* NULL: the volume itself */
	const char *rollback; /* NULL: as it is */
	char fuse[16384];     /* for libfuse */
	u64 offset, cache;
	bool foreground, read_only, noatime, nodiratime, compact_off;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---- options ---- */

/* What is so anyway, and what fstab(5) says to mount(8) and others. */
static bool option_of_others(const char *name)
{
	static const char *const names[] = {"rw",    "defaults", "relatime", "noauto",  "auto",  "nofail",
	                                    "users", "user",     "nouser",   "_netdev", "owner", "group"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strncmp(name, "x-", 2) || !strncmp(name, "comment=", 8);
}

static int mount_option(struct options *o, const char *name)
{
	size_t used = strlen(o->fuse);

	if (!strcmp(name, "noatime") || !strcmp(name, "nodiratime")) {
		*(name[2] == 'a' ? &o->noatime : &o->nodiratime) = true;
		return 0;
	}
	if (!strncmp(name, "compact=", 8)) {
		o->compact_off = !strcmp(name + 8, "off");
		if (o->compact_off || !strcmp(name + 8, "auto"))
			return 0;
		tfs_cli_fail(0, name, "expected compact=off or compact=auto");
		return -1;
	}
	if (option_of_others(name))
		return 0;
	if (!strncmp(name, "rollback=", 9)) {
		o->rollback = name + 9;
		return 0;
	}
	if (!strncmp(name, "snapshot=", 9)) {
		o->snapshot = name + 9;
		name = "ro";
	}
	if (!strcmp(name, "ro"))
		o->read_only = true;
	if (used + strlen(name) + 2 > sizeof(o->fuse)) {
		tfs_cli_fail(0, NULL, "the options of -o are longer than %zu bytes", sizeof(o->fuse) - 1);
		return -1;
	}
	strcat(strcat(o->fuse, ","), name);
	return 0;
}

static int mount_options(struct options *o, char *list)
{
	char *save = NULL, *name;

	for (name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (mount_option(o, name))
			return -1;
	return 0;
}

static int size_option(const char *text, u64 *out)
{
	if (!tfs_cli_size(text, out))
		return 0;
	tfs_cli_fail(0, text, "expected bytes, or a size such as 64M");
	return -1;
}

static int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option list[] = {
	    {"offset", 1, 0, 'O'}, {"cache", 1, 0, 'C'}, {"partition", 1, 0, 'P'}, {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
	int c, err = 0;

	o->cache = 64u << 20;
	strcpy(o->fuse, "default_permissions,subtype=tfs,max_read=1048576");
	while (!err && (c = getopt_long(argc, argv, "fo:", list, NULL)) != -1) {
		if (c == 'f')
			o->foreground = true;
		else if (c == 'o')
			err = mount_options(o, optarg);
		else if (c == 'O')
			err = size_option(optarg, &o->offset);
		else if (c == 'C')
			err = size_option(optarg, &o->cache);
		else if (c == 'P')
			o->partition = optarg;
		else if (c == 'h')
			exit((fputs(usage, stdout), tfs_cli_end(0, EXIT_IMAGE)));
		else
			err = 1;
	}
	if (err > 0 || (!err && argc - optind != 2))
		return fputs(usage, stderr), EXIT_USED_WRONG;
	if (err)
		return EXIT_USED_WRONG; /* said already */
	if (o->rollback && o->read_only)
		return tfs_cli_fail(EXIT_USED_WRONG, o->rollback, "rollback= writes: leave out ro and snapshot=");
	o->image = argv[optind];
	o->dir = argv[optind + 1];
	return 0;
}

/* ---- the loop ---- */

/* Nothing is due for a volume that nobody writes. What fails stays dirty, and fsync and the end report it. */
static void due_work(struct host *h, u64 *checkpoint_ms)
{
	u64 now = tfs_cache_now();

	if (h->read_only)
		return;
	tfs_cache_flush_old(h->cache, now > WRITE_BACK_MS ? now - WRITE_BACK_MS : 0);
	if (now - *checkpoint_ms < CHECKPOINT_MS)
		return;
	*checkpoint_ms = now;
	tfs_checkpoint(h->vol);
}

/*
 * Nobody has asked for anything for a while: a step of the compactor. How long to wait for the next request before
 * another, in ms. Once it found nothing worth it, it is not asked again before something was written.
 */
#define IDLE_MS 1000
#define COMPACT_BLOCKS 64u

static int idle_work(struct host *h)
{
	int more;

	if (h->read_only || h->compact_seen == tfs_sequence(h->vol))
		return IDLE_MS;
	more = tfs_compact_step(h->vol, COMPACT_BLOCKS, 0);
	if (more <= 0)
		h->compact_seen = tfs_sequence(h->vol);
	return more > 0 ? 0 : IDLE_MS;
}

static int serve(struct fuse_session *se, struct host *h)
{
	struct fuse_buf buf = {0};
	struct pollfd p = {.fd = fuse_session_fd(se), .events = POLLIN};
	u64 checkpoint_ms = tfs_cache_now(), work_ms = checkpoint_ms, sequence = 0;
	int n = 0, wait = IDLE_MS;

	while (!stop && !fuse_session_exited(se)) {
		if (h->dying && !h->read_only)
			h->dying = tfs_snapshot_step(h->vol) > 0;
		n = poll(&p, 1, h->dying ? 0 : wait);
		if (!n && h->dying)
			continue;
		if (!n)
			wait = idle_work(h);
		if (n > 0) {
			wait = IDLE_MS;
			n = fuse_session_receive_buf(se, &buf);
			if (n == -EINTR || n == -EAGAIN)
				continue;
			if (n <= 0)
				break;
			if (buf.flags & FUSE_BUF_IS_FD || !host_raw(se, h, buf.mem, buf.size))
				fuse_session_process_buf(se, &buf);
		}
		if (tfs_cache_now() - work_ms < 1000)
			continue;
		work_ms = tfs_cache_now();
		if (tfs_sequence(h->vol) == sequence) /* nothing new since the last checkpoint */
			checkpoint_ms = work_ms;
		due_work(h, &checkpoint_ms);
		if (checkpoint_ms == work_ms)
			sequence = tfs_sequence(h->vol);
	}
	free(buf.mem);
	return stop || n == -ENODEV || n > 0 ? 0 : n;
}

static void signals_set(void)
{
	struct sigaction a = {.sa_handler = on_signal};

	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int volume_close(struct host *h, const char *image)
{
	int err, end;

	host_inodes_free(h); /* what has no name is not written first */
	err = tfs_cache_flush_all(h->cache);
	tfs_cache_free(h->cache);
	end = tfs_unmount(h->vol);
	if (!err)
		err = end;
	if (err)
		tfs_cli_fail(0, image, "not everything could be written: %s; what was synced is safe", strerror(-err));
	return err ? EXIT_LOST : 0;
}

static int mounted_run(struct options *o, struct host *h, struct fuse_session *se)
{
	int err;

	signals_set();
	if (!o->foreground) {
		if (fuse_daemonize(0))
			return EXIT_MOUNT;
		tfs_cli_to_syslog();
	}
	err = serve(se, h);
	if (err)
		tfs_cli_fail(0, o->dir, "the kernel's requests cannot be read: %s", strerror(-err));
	return err ? EXIT_MOUNT : 0;
}

static int session_run(struct options *o, struct host *h)
{
	char *argv[] = {"tfs-fuse", "-o", o->fuse};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *se;
	int code;

	fuse_source_add(o->fuse, sizeof(o->fuse), o->image);
	se = fuse_session_new(&args, &host_ops, sizeof(host_ops), h);
	if (!se)
		return EXIT_USED_WRONG; /* libfuse has said why */
	if (fuse_session_mount(se, o->dir)) {
		fuse_session_destroy(se);
		return tfs_cli_fail(EXIT_MOUNT, o->dir,
		                    "cannot be mounted; expected a directory of yours and /dev/fuse");
	}
	code = mounted_run(o, h, se);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	return code;
}

static int snapshot_open(const struct options *o, struct host *h)
{
	u64 epoch;
	int err = tfs_snapshot_find(h->vol, o->snapshot, (u32)strlen(o->snapshot), &epoch);

	if (!err)
		err = tfs_view_open(h->vol, epoch);
	if (!err)
		return 0;
	tfs_abandon(h->vol);
	return tfs_cli_fail(EXIT_IMAGE, o->snapshot, "%s",
	                    err == -ENOENT ? "no such snapshot; see dump.tfs snapshots" : "is damaged; run fsck.tfs");
}

static int rollback(const struct options *o, struct host *h)
{
	char why[TFS_NAME_MAX * 4 + 160];

	if (!tfs_user_rollback(h->vol, o->rollback, why, sizeof(why)))
		return 0;
	tfs_abandon(h->vol);
	return tfs_cli_fail(EXIT_IMAGE, o->rollback, "%s", why);
}

static int volume_open(struct options *o, struct host *h, struct tfs_file_dev *dev)
{
	struct tfs_mount_options opt = {.flags = o->read_only ? TFS_MOUNT_RO : TFS_MOUNT_FREES, .cache_nodes = 4096};
	struct tfs_env env = tfs_user_env();
	struct tfs_stat st;
	int err = tfs_mount(&dev->dev, &env, &opt, &h->vol);

	if (err)
		return tfs_cli_fail(EXIT_IMAGE, o->image, "%s",
		                    err == -EINVAL    ? "expected a TFS superblock, found none"
		                    : err == -EUCLEAN ? "is damaged; run fsck.tfs"
		                                      : strerror(-err));
	tfs_statfs(h->vol, &st);
	if (st.damaged && !o->read_only) {
		tfs_abandon(h->vol);
		return tfs_cli_fail(EXIT_IMAGE, o->image, "its log is damaged; run fsck.tfs, or mount with -o ro");
	}
	err = o->snapshot ? snapshot_open(o, h) : o->rollback ? rollback(o, h) : 0;
	if (err)
		return err;
	h->read_only = o->read_only;
	h->one_snapshot = o->snapshot;
	h->noatime = o->noatime;
	h->nodiratime = o->nodiratime;
	h->dying = st.dying;
	tfs_compact_set(h->vol, o->compact_off);
	h->timeout = 1.0;
	h->buf = malloc(HOST_READ_MAX);
	if (!h->buf || tfs_cache_create(h->vol, o->cache, &h->cache))
		return tfs_cli_fail(EXIT_IMAGE, o->image, "out of memory");
	return 0;
}

/* A mount that was just ended holds the image for a moment longer, while it writes the rest. */
static int device_open(struct tfs_file_dev *dev, const struct options *o)
{
	int err = -EBUSY;

	for (u32 tries = 0; err == -EBUSY && tries < END_TRIES; tries++) {
		if (tries)
			usleep(END_WAIT_US);
		err = tfs_file_dev_open(dev, o->image, o->offset, !o->read_only, 0);
	}
	return err;
}

/* A volume made by root belongs to root: better said now than by every call. */
static void owner_hint(struct host *h, const struct options *o)
{
	struct tfs_attr a;

	if (h->read_only || !geteuid() || tfs_getattr(h->vol, TFS_INO_ROOT, &a) || a.uid == geteuid() || a.mode & 022)
		return;
	tfs_cli_warn(o->image,
	             "its root directory belongs to user %u with mode %o: you cannot write there; make it with "
	             "mkfs.tfs --from a directory of yours, or --manifest with a line '/ uid=%u'",
	             a.uid, a.mode & 07777, geteuid());
}

/* ---- a volume of the Nanos kernel: read-only ---- */

static int view_run(struct options *o, struct view_host *h)
{
	static const int codes[] = {0, EXIT_USED_WRONG, EXIT_MOUNT, EXIT_MOUNT};

	fuse_source_add(o->fuse, sizeof(o->fuse), o->image);
	return codes[view_serve(h, o->fuse, sizeof(o->fuse), o->dir, o->foreground)];
}

/* Nothing is written, so whoever writes to the image elsewhere is kept away by a shared lock only. */
static int nanos_run(struct options *o)
{
	struct tfs_env env = tfs_user_env();
	struct tfs_nanos_place place;
	struct view_host h = {.ownerless = true};
	struct tfs_file_dev dev;
	struct nanos_vol *vol = NULL;
	int err = tfs_file_dev_open(&dev, o->image, o->offset, false, 0), code;

	if (err)
		return tfs_cli_fail(EXIT_IMAGE, o->image, "%s", tfs_file_dev_error(err));
	err = tfs_nanos_find(&dev, &env, "nanos", o->partition, &place);
	if (err < 0) {
		tfs_file_dev_close(&dev);
		return tfs_cli_fail(err == -ENOENT ? EXIT_USED_WRONG : EXIT_IMAGE, o->image, "%s", place.why);
	}
	err = nanos_open(&dev.dev, &env, NULL, NULL, &vol);
	if (err || vol->entries < 2)
		code = tfs_cli_fail(EXIT_IMAGE, o->image, "its log cannot be read; run fsck.tfs");
	else if (vol->fault.kind != NANOS_SOUND && !o->read_only)
		code = tfs_cli_fail(
		    EXIT_IMAGE, o->image,
		    "its log is damaged at byte %llu: %s; run fsck.tfs, or mount what is before with -o ro",
		    (unsigned long long)vol->fault.at, vol->fault.what);
	else {
		h.view = tfs_reader_of_nanos(vol);
		h.size = dev.dev.size;
		code = view_run(o, &h);
	}
	nanos_close(vol);
	tfs_file_dev_close(&dev);
	return code;
}

static bool is_nanos(const struct options *o)
{
	struct tfs_env env = tfs_user_env();
	struct tfs_nanos_place place;
	struct tfs_file_dev dev;
	bool is;

	if (o->partition)
		return true;
	if (tfs_file_dev_open(&dev, o->image, o->offset, false, 0))
		return false; /* the mount says why */
	is = tfs_nanos_find(&dev, &env, NULL, NULL, &place) == 1;
	tfs_file_dev_close(&dev);
	return is;
}

int main(int argc, char **argv)
{
	static struct options o;
	static struct host h;
	struct tfs_file_dev dev;
	int err, code;

	tfs_cli_start("tfs-fuse");
	code = options_parse(&o, argc, argv);
	if (code)
		return code;
	code = fuse_place_check(o.dir, EXIT_MOUNT);
	if (code)
		return code;
	if (is_nanos(&o))
		return nanos_run(&o);
	err = device_open(&dev, &o);
	if (err)
		return tfs_cli_fail(EXIT_IMAGE, o.image, "%s", tfs_file_dev_error(err));
	code = volume_open(&o, &h, &dev);
	if (code)
		return code;
	owner_hint(&h, &o);
	code = session_run(&o, &h);
	err = volume_close(&h, o.image);
	free(h.buf);
	tfs_file_dev_close(&dev);
	return code ? code : err;
}
