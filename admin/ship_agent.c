// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * tfs ship tls-agent: connections with TLS for the kernel's log forwarding. Reads from the module what it needs
 * (tfs/ioctl.h, TFS_IOC_SHIP_AGENT), and for each need a process of its own connects, shakes hands and lays the socket
 * down, so that a collector that is slow or gone holds up no other; it gives up before the kernel does. Holds nothing of
 * the volume, so that it can be unmounted, with which the agent ends; stopped at any moment it leaves nothing behind.
 */
#define _GNU_SOURCE
#include "admin/agent.h"
#include "logship/ship/ship.h"

#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>

/* What was said last about each collector, by the processes before: shared memory. The same is not said twice in a row. */
#define SAID 16u
struct said {
	char target[1025], text[AGENT_SAID];
};

struct agent {
	struct agent_trust trust;
	struct said *said;
	int fd;
};

static void tell(struct agent *g, const char *target, const char *text)
{
	struct said *s = NULL;

	for (u32 i = 0; !s && i < SAID; i++)
		if (!g->said[i].target[0] || !strcmp(g->said[i].target, target))
			s = &g->said[i];
	if (s && !strcmp(s->text, text))
		return;
	if (s) {
		snprintf(s->target, sizeof(s->target), "%s", target);
		snprintf(s->text, sizeof(s->text), "%s", text);
	}
	if (text[0])
		tfs_cli_warn(target, "%s", text);
}

/* ---- one connection ---- */

static int connect_one(const struct addrinfo *a, int *fd)
{
	struct timeval limit = {.tv_sec = AGENT_STEP_MS / 1000};
	int err;

	*fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* of connect, too */
	setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (!connect(*fd, a->ai_addr, a->ai_addrlen))
		return 0;
	err = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	close(*fd);
	return err;
}

static int connect_any(const struct ship_target *t, int *fd, char said[AGENT_SAID])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *a;
	char port[8];
	int err;

	snprintf(port, sizeof(port), "%u", t->port);
	err = getaddrinfo(t->host, port, &hints, &found);
	if (err) {
		snprintf(said, AGENT_SAID, "no address: %s", gai_strerror(err));
		return -EHOSTUNREACH;
	}
	err = -EHOSTUNREACH;
	for (a = found; a && err; a = a->ai_next)
		err = connect_one(a, fd);
	freeaddrinfo(found);
	if (err)
		snprintf(said, AGENT_SAID, "no connection: %s", strerror(-err));
	return err;
}

static int connection_make(struct agent *g, const char *target, int *fd, char said[AGENT_SAID])
{
	static struct ship_target t;
	const char *why = ship_target_parse(target, (u32)strlen(target), &t);
	int err;

	if (why || !t.tls || (t.transport != SHIP_RELP && t.transport != SHIP_TCP)) {
		snprintf(said, AGENT_SAID, "%s", why ? why : "expected relp+tls:// or tcp+tls://");
		return -EINVAL;
	}
	err = connect_any(&t, fd, said);
	if (err)
		return err;
	err = agent_handshake(*fd, t.host, &g->trust, said);
	if (err)
		close(*fd);
	return err;
}

/* In a process of its own. */
static void need_serve(struct agent *g, struct tfs_ioc_ship_need *q)
{
	char target[sizeof(q->target) + 1], said[AGENT_SAID] = "";
	int fd = -1, err;

	snprintf(target, sizeof(target), "%.*s", (int)q->target_len, q->target);
	err = connection_make(g, target, &fd, said);
	q->fd = err ? -1 : fd;
	q->error = (u32)-err;
	q->target_len = 0;
	if (ioctl(g->fd, TFS_IOC_SHIP_GIVE, q) && errno != ESTALE && errno != ENODEV)
		snprintf(said, sizeof(said), "the kernel does not take the connection: %s", strerror(errno));
	tell(g, target, said);
}

static int need_fork(struct agent *g, struct tfs_ioc_ship_need *q)
{
	pid_t parent = getpid(), child = fork();

	if (child)
		return child < 0 ? -errno : 0;
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	alarm(AGENT_END_S);
	if (getppid() == parent)
		need_serve(g, q);
	_exit(0);
}

/* ---- all ---- */

static void on_signal(int sig)
{
	(void)sig;
	_exit(0);
}

static int needs_serve(struct agent *g, const char *path)
{
	struct tfs_ioc_ship_need q;
	u64 known = 0;
	int err = 0;

	while (!err) {
		memset(&q, 0, sizeof(q));
		q.need = known;
		if (ioctl(g->fd, TFS_IOC_SHIP_NEED, &q)) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		known = q.need;
		err = need_fork(g, &q);
	}
	return err == -ENODEV ? 0 : tfs_cli_fail(ADMIN_REFUSED, path, "%s", strerror(-err));
}

/* Paths stay good from another directory: this one may be in the volume. */
static int trust_take(const struct admin *a, struct agent *g)
{
	const struct {
		const char *given;
		const char **path;
	} all[] = {{a->ca, &g->trust.ca}, {a->cert, &g->trust.cert}, {a->key, &g->trust.key}};
	static char said[AGENT_SAID];
	const char *why;

	if (a->key && !a->cert)
		return tfs_cli_fail(ADMIN_USAGE, a->key, "expected --cert with --key");
	for (u32 i = 0; i < 3; i++) {
		*all[i].path = all[i].given ? realpath(all[i].given, NULL) : NULL;
		if (all[i].given && !*all[i].path)
			return tfs_cli_fail(ADMIN_USAGE, all[i].given, "%s", strerror(errno));
	}
	why = agent_trust_check(&g->trust, said);
	return why ? tfs_cli_fail(ADMIN_USAGE, NULL, "%s", why) : 0;
}

static int desk_open(struct admin *a, struct agent *g)
{
	static const struct target_codes codes = {ADMIN_USAGE, ADMIN_DAMAGE, ADMIN_REFUSED, NULL};
	int code = target_open(&a->target, &codes, a->target.path, 0, false);

	if (code)
		return code;
	g->fd = a->target.mounted ? ioctl(a->target.fd, TFS_IOC_SHIP_AGENT) : -1;
	if (g->fd < 0)
		code = a->target.mounted && errno != ENOTTY
		           ? admin_fail(a, NULL, -errno)
		           : tfs_cli_fail(ADMIN_USAGE, a->target.path,
		                          "expected a directory of a volume that the kernel has mounted, by a module "
		                          "of this version");
	target_close(&a->target);
	return code;
}

int admin_ship_agent(struct admin *a)
{
	struct agent g = {.fd = -1};
	int code = trust_take(a, &g);

	if (!code && !agent_kernel_has_tls())
		code = tfs_cli_fail(ADMIN_REFUSED, NULL, "the kernel has no TLS for sockets: modprobe tls");
	if (!code)
		code = desk_open(a, &g);
	if (code)
		return code;
	g.said = mmap(NULL, SAID * sizeof(*g.said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g.said == MAP_FAILED || chdir("/"))
		return tfs_cli_fail(ADMIN_REFUSED, a->target.path, "%s", strerror(errno));
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	return needs_serve(&g, a->target.path);
}
