// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * receive: a small collector, to try things out and to test against. One thread, rounds: wait, read from all who have
 * something, write and sync once, answer. So a RELP sender is told "200 OK" of nothing that a crash could lose.
 */
#define _GNU_SOURCE
#include "logship/logship.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENERS_MAX 16u
#define PEERS_MAX 512u
#define DATAGRAMS 64u /* of one socket in a round */

struct listener {
	enum logship_proto proto;
	int fd;
};
struct receive {
	struct listener listener[LISTENERS_MAX];
	struct logship_peer *peer[PEERS_MAX];
	u32 listeners, peers;
	struct logship_output out;
	u64 count; /* ends after so many messages; 0: never */
};

static volatile sig_atomic_t stopped, rotated;

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		rotated = 1;
	else
		stopped = 1;
}

/* They come only while we wait, so that no one is overlooked in between. */
static void signals_set(sigset_t *waiting)
{
	struct sigaction a = {.sa_handler = on_signal};
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGHUP);
	sigprocmask(SIG_BLOCK, &blocked, waiting);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- who connects ---- */

static void peer_accept(struct receive *r, const struct listener *l)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char name[LOGSHIP_PEER_MAX];
	int fd = accept4(l->fd, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct logship_peer *p;

	if (fd < 0)
		return;
	logship_peer_name(&addr, name);
	p = logship_peer_new(l->proto, fd, name);
	if (!p) {
		tfs_cli_warn(name, "refused: out of memory");
		close(fd);
		return;
	}
	r->peer[r->peers++] = p;
}

static int datagrams_read(struct receive *r, const struct listener *l)
{
	static u8 buf[65536];
	u32 i;

	for (i = 0; i < DATAGRAMS; i++) {
		struct sockaddr_storage addr;
		socklen_t len = sizeof(addr);
		char name[LOGSHIP_PEER_MAX];
		ssize_t n = recvfrom(l->fd, buf, sizeof(buf), 0, (struct sockaddr *)&addr, &len);

		if (n < 0)
			break;
		logship_peer_name(&addr, name);
		if (logship_output_add(&r->out, l->proto, name, buf, (u32)n))
			return -ENOMEM;
	}
	return 0;
}

/* ---- a round ---- */

/* Listeners first, then peers, in their order. */
static void poll_fill(const struct receive *r, struct pollfd *p)
{
	u32 i;

	for (i = 0; i < r->listeners; i++)
		p[i] = (struct pollfd){.fd = r->peers < PEERS_MAX || r->listener[i].proto == LOGSHIP_UDP
		                                 ? r->listener[i].fd
		                                 : -1, /* full: who wants in waits */
		                       .events = POLLIN};
	p += r->listeners;
	for (i = 0; i < r->peers; i++)
		p[i] = (struct pollfd){.fd = r->peer[i]->fd,
		                       .events = (short)((r->peer[i]->closing || r->peer[i]->stalled ? 0 : POLLIN) |
		                                         (r->peer[i]->answer_len ? POLLOUT : 0))};
}

static int round_read(struct receive *r, const struct pollfd *p)
{
	u32 i, peers = r->peers;
	int err = 0;

	for (i = 0; !err && i < peers; i++)
		if (p[r->listeners + i].revents)
			err = logship_peer_read(r->peer[i], &r->out);
	for (i = 0; !err && i < r->listeners; i++) {
		if (!p[i].revents)
			continue;
		if (r->listener[i].proto == LOGSHIP_UDP)
			err = datagrams_read(r, &r->listener[i]);
		else if (r->peers < PEERS_MAX)
			peer_accept(r, &r->listener[i]);
	}
	return err ? tfs_cli_fail(LOGSHIP_OUTPUT, NULL, "out of memory; what this round brought was not acknowledged")
	           : 0;
}

static void round_answer(struct receive *r)
{
	u32 i, kept = 0;

	for (i = 0; i < r->peers; i++) {
		if (logship_peer_send(r->peer[i]))
			r->peer[kept++] = r->peer[i];
		else
			logship_peer_free(r->peer[i]);
	}
	r->peers = kept;
}

static int serve(struct receive *r, const sigset_t *waiting)
{
	static struct pollfd p[LISTENERS_MAX + PEERS_MAX];
	int code = 0;

	while (!code && !stopped && !(r->count && r->out.messages >= r->count)) {
		poll_fill(r, p);
		if (ppoll(p, r->listeners + r->peers, NULL, waiting) >= 0)
			code = round_read(r, p);
		if (!code)
			code = rotated ? logship_output_reopen(&r->out) : logship_output_sync(&r->out);
		rotated = 0;
		if (!code)
			round_answer(r);
	}
	return code;
}

/* ---- command line ---- */

static void usage(void)
{
	printf("usage: tfs-logship receive [OPTION]...\n"
	       "Receives log lines and writes them to a file, durably before it acknowledges them.\n"
	       "      --relp WHERE    RELP (acknowledged)\n"
	       "      --tcp WHERE     syslog over TCP: octet counted (RFC 6587), or lines\n"
	       "      --udp WHERE     syslog over UDP (RFC 5426)\n"
	       "  -o, --output FILE   append to FILE (default: standard output, which is not synced)\n"
	       "      --json          an object a line: transport, peer, message, and TFS's identity of it\n"
	       "      --count N       end after N messages\n"
	       "  -h, --help\n"
	       "WHERE: ADDRESS:PORT, [IPV6-ADDRESS]:PORT, or PORT of 127.0.0.1; port 0: any that is free. Without "
	       "--relp,\n"
	       "--tcp and --udp: --relp 2514. SIGHUP: FILE was renamed, go on in a new one. SIGTERM, SIGINT: end.\n"
	       "Exit code: 0, 1 wrong usage, 2 cannot listen, 3 cannot write.\n");
}

static int listener_add(struct receive *r, enum logship_proto proto, const char *where)
{
	struct listener *l = &r->listener[r->listeners];
	unsigned port;

	if (r->listeners == LISTENERS_MAX)
		return tfs_cli_fail(LOGSHIP_USAGE, where, "expected at most %u places to listen", LISTENERS_MAX);
	*l = (struct listener){.proto = proto, .fd = logship_listen(proto, where, &port)};
	if (l->fd < 0)
		return LOGSHIP_NETWORK;
	r->listeners++;
	tfs_cli_warn(where, "listening for %s on port %u", logship_proto_names[proto], port);
	return 0;
}

static const struct option options[] = {
    {"relp", required_argument, NULL, 'R'}, {"tcp", required_argument, NULL, 'T'},
    {"udp", required_argument, NULL, 'U'},  {"output", required_argument, NULL, 'o'},
    {"json", no_argument, NULL, 'j'},       {"count", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
};

/* Everything but the sockets, which are opened when the rest is known to be right. -1: --help. */
static int options_parse(struct receive *r, int argc, char **argv, const char **path, bool *json)
{
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 'R':
		case 'T':
		case 'U':
			break;
		case 'o':
			*path = optarg;
			break;
		case 'j':
			*json = true;
			break;
		case 'c':
			r->count = strtoull(optarg, &end, 10);
			if (*optarg < '1' || *optarg > '9' || *end)
				return tfs_cli_fail(LOGSHIP_USAGE, optarg, "expected a number of messages, 1 or more");
			break;
		case 'h':
			usage();
			return -1;
		default:
			return tfs_cli_fail(LOGSHIP_USAGE, NULL, "see tfs-logship receive --help");
		}
	}
	if (optind < argc)
		return tfs_cli_fail(LOGSHIP_USAGE, argv[optind],
		                    "expected options only; see tfs-logship receive --help");
	return 0;
}

static int listeners_open(struct receive *r, int argc, char **argv)
{
	int c, code = 0;

	optind = 1;
	while (!code && (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1)
		if (c == 'R' || c == 'T' || c == 'U')
			code = listener_add(r, c == 'R' ? LOGSHIP_RELP : c == 'T' ? LOGSHIP_TCP : LOGSHIP_UDP, optarg);
	if (!code && !r->listeners)
		code = listener_add(r, LOGSHIP_RELP, "2514");
	return code;
}

int logship_receive(int argc, char **argv)
{
	static struct receive r;
	const char *path = NULL;
	bool json = false;
	sigset_t waiting;
	int code = options_parse(&r, argc, argv, &path, &json);

	if (code)
		return code < 0 ? tfs_cli_end(0, LOGSHIP_OUTPUT) : code;
	signals_set(&waiting);
	code = logship_output_open(&r.out, path, json);
	if (!code)
		code = listeners_open(&r, argc, argv);
	if (!code)
		code = serve(&r, &waiting);
	while (r.peers)
		logship_peer_free(r.peer[--r.peers]);
	while (r.listeners)
		close(r.listener[--r.listeners].fd);
	logship_output_close(&r.out);
	return code;
}
