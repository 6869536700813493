// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Sockets to listen on, and the names of those who connect. Numeric addresses only: nothing here waits for a resolver.
 */
#include "logship/logship.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *const logship_proto_names[] = {"relp", "tcp", "udp"};

/* "ADDRESS:PORT" in two. A port alone is loopback's. False: neither. */
static bool where_split(const char *where, char host[64], char port[8])
{
	const char *colon = strrchr(where, ':'), *from = where, *to = colon;

	if (!colon) {
		snprintf(host, 64, "127.0.0.1");
		return snprintf(port, 8, "%s", where) < 8;
	}
	if (*from == '[') {
		from++;
		if (to == from || to[-1] != ']')
			return false;
		to--;
	} else if (memchr(from, ':', (size_t)(colon - from))) {
		return false; /* an IPv6 address wants brackets */
	}
	return to - from < 64 && snprintf(host, 64, "%.*s", (int)(to - from), from) > 0 &&
	       snprintf(port, 8, "%s", colon + 1) < 8;
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char port[8] = "0";

	if (!getsockname(fd, (struct sockaddr *)&addr, &len))
		getnameinfo((struct sockaddr *)&addr, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
	return (unsigned)atoi(port);
}

int logship_listen(enum logship_proto proto, const char *where, unsigned *port)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
	                         .ai_socktype = proto == LOGSHIP_UDP ? SOCK_DGRAM : SOCK_STREAM};
	struct addrinfo *found;
	char host[64], service[8];
	int fd, on = 1;

	if (!where_split(where, host, service) || getaddrinfo(host, service, &hints, &found)) {
		tfs_cli_fail(0, where, "expected ADDRESS:PORT, [IPV6-ADDRESS]:PORT or PORT, in numbers");
		return -1;
	}
	fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && proto != LOGSHIP_UDP)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) || (proto != LOGSHIP_UDP && listen(fd, 64))) {
		tfs_cli_fail(0, where, "cannot listen for %s there: %s", logship_proto_names[proto], strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	} else {
		*port = port_of(fd);
	}
	freeaddrinfo(found);
	return fd;
}

void logship_peer_name(const struct sockaddr_storage *addr, char out[LOGSHIP_PEER_MAX])
{
	char host[48], port[8];
	socklen_t len = addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	if (getnameinfo((const struct sockaddr *)addr, len, host, sizeof(host), port, sizeof(port),
	                NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(out, LOGSHIP_PEER_MAX, "unknown");
	else
		snprintf(out, LOGSHIP_PEER_MAX, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
