// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * An agent that gives wrong things, for tls.sh: usage: need MOUNTPOINT. Takes a need that waits there (another agent would take
 * it, too), answers it with what is no TCP socket with TLS, and expects the error that tfs/ioctl.h names for each; the
 * need is open all the time. 0: all as expected.
 */
#define _GNU_SOURCE
#include "tfs/ioctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int desk, failed;

static int answer(u64 need, int fd, u32 error)
{
	struct tfs_ioc_ship_need q = {.need = need, .fd = fd, .error = error};

	return ioctl(desk, TFS_IOC_SHIP_GIVE, &q) ? errno : 0;
}

static void expect(const char *what, int want, int found)
{
	if (want == found)
		return;
	printf("FAILED: need: %s: expected %s, found %s\n", what, strerror(want), strerror(found));
	failed = 1;
}

/* Connected to one of our own, on loopback. */
static int connected(int *listening)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*listening = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(*listening, (struct sockaddr *)&a, len) || listen(*listening, 1) ||
	    getsockname(*listening, (struct sockaddr *)&a, &len) || connect(fd, (struct sockaddr *)&a, len))
		expect("connect", 0, errno);
	return fd;
}

/* Keys that nobody else has. */
static int keys(int fd, int way)
{
	struct tls12_crypto_info_aes_gcm_128 k = {
	    .info = {.version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};

	return setsockopt(fd, 282 /* SOL_TLS */, way, &k, sizeof(k)) ? errno : 0;
}

static void elsewhere(u64 need)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int listening, tcp;

	expect("unshare", 0, unshare(CLONE_NEWNET) ? errno : 0);
	expect("lo", 0, ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &lo) ? errno : 0);
	tcp = connected(&listening);
	expect("tls", 0, setsockopt(tcp, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ? errno : 0);
	expect("TLS_TX", 0, keys(tcp, TLS_TX));
	expect("one way", ENOPROTOOPT, answer(need, tcp, 0));
	expect("TLS_RX", 0, keys(tcp, TLS_RX));
	expect("of another namespace", EXDEV, answer(need, tcp, 0));
}

int main(int argc, char **argv)
{
	struct tfs_ioc_ship_need q = {0}, bad = {.fd = 1};
	int dir = open(argc == 2 ? argv[1] : "", O_RDONLY | O_DIRECTORY), pipes[2], listening, tcp, n;

	desk = ioctl(dir, TFS_IOC_SHIP_AGENT);
	if (desk < 0 || pipe(pipes))
		return perror("need"), 1;
	close(dir);
	expect("NEED with an fd", EINVAL, ioctl(desk, TFS_IOC_SHIP_NEED, &bad) ? errno : 0);
	expect("another request", ENOTTY, ioctl(desk, TFS_IOC_SHIP_NEXT, &q) ? errno : 0);
	if (ioctl(desk, TFS_IOC_SHIP_NEED, &q) || !q.need || !q.target_len)
		return perror("TFS_IOC_SHIP_NEED"), 1;
	n = dup(pipes[0]);
	close(n);
	expect("no descriptor", EBADF, answer(q.need, n, 0));
	expect("neither", EINVAL, answer(q.need, -1, 0));
	expect("a pipe", ENOTSOCK, answer(q.need, pipes[0], 0));
	expect("the desk", ENOTSOCK, answer(q.need, desk, 0));
	expect("UDP", EPROTOTYPE, answer(q.need, socket(AF_INET, SOCK_DGRAM, 0), 0));
	expect("a local socket", EPROTOTYPE, answer(q.need, socket(AF_UNIX, SOCK_STREAM, 0), 0));
	expect("not connected", ENOTCONN, answer(q.need, socket(AF_INET, SOCK_STREAM, 0), 0));
	tcp = connected(&listening);
	expect("listening", ENOTCONN, answer(q.need, listening, 0));
	expect("plain", ENOPROTOOPT, answer(q.need, tcp, 0));
	expect("tls", 0, setsockopt(tcp, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ? errno : 0);
	expect("without keys", ENOPROTOOPT, answer(q.need, tcp, 0));
	elsewhere(q.need);
	expect("a need that never was", ESTALE, answer(q.need + 1000, -1, EIO));
	expect("an error", 0, answer(q.need, -1, ECONNREFUSED));
	expect("answered", ESTALE, answer(q.need, -1, ECONNREFUSED));
	return failed;
}
