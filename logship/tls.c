// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A TCP connection with TLS on it, for RELP and syslog (RFC 5425): libcurl connects, shakes hands and verifies the
 * certificate and its name, exactly as it does for HTTPS (tfs/web/), and then hands over a stream. Always: without a
 * verified certificate there is no stream. The socket is not to be read beside it. Called by link.c.
 */
#include "logship/logship.h"
#include "tfs/web/web.h"

#include <string.h>

/* Not 0: a signal came. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return logship_stopped;
}

static int connect_failed(struct logship_link *l, CURLcode code, const char *error)
{
	int err = logship_curl_error(code, &l->final);

	snprintf(l->said, sizeof(l->said), "%.200s", error[0] ? error : curl_easy_strerror(code));
	return err;
}

int logship_tls_open(struct logship_link *l, const struct logship_way *way)
{
	const struct ship_target *t = way->target;
	const char *left = strchr(t->host, ':') ? "[" : "", *right = *left ? "]" : "";
	static char error[CURL_ERROR_SIZE];
	struct tfs_web_trust trust;
	curl_socket_t fd = CURL_SOCKET_BAD;
	char url[300];
	CURLcode code;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(l->tls = curl_easy_init()))
		return -ENOMEM;
	logship_trust(way, &trust);
	tfs_web_setup(l->tls, "https", "", &trust);
	snprintf(url, sizeof(url), "https://%s%s%s:%u/", left, t->host, right, t->port);
	curl_easy_setopt(l->tls, CURLOPT_URL, url);
	curl_easy_setopt(l->tls, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(l->tls, CURLOPT_PROXY, "");           /* one of HTTP is none for this */
	curl_easy_setopt(l->tls, CURLOPT_SSL_ENABLE_ALPN, 0L); /* it is no HTTP */
	curl_easy_setopt(l->tls, CURLOPT_CONNECTTIMEOUT_MS, (long)way->timeout_ms);
	curl_easy_setopt(l->tls, CURLOPT_TIMEOUT_MS, (long)way->timeout_ms);
	curl_easy_setopt(l->tls, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(l->tls, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(l->tls, CURLOPT_ERRORBUFFER, error);
	error[0] = 0;
	code = curl_easy_perform(l->tls);
	curl_easy_setopt(l->tls, CURLOPT_ERRORBUFFER, NULL);
	if (code != CURLE_OK)
		return connect_failed(l, code, error);
	if (curl_easy_getinfo(l->tls, CURLINFO_ACTIVESOCKET, &fd) || fd == CURL_SOCKET_BAD)
		return -ENOTCONN;
	l->fd = fd;
	return 0;
}

ssize_t logship_tls_send(struct logship_link *l, const u8 *buf, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_send(l->tls, buf, len, &n);

	return code == CURLE_OK ? (ssize_t)n : code == CURLE_AGAIN ? -EAGAIN : -ECONNRESET;
}

ssize_t logship_tls_recv(struct logship_link *l, u8 *buf, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(l->tls, buf, len, &n);

	return code == CURLE_OK ? (ssize_t)n : code == CURLE_AGAIN ? -EAGAIN : -ECONNRESET;
}

void logship_tls_close(struct logship_link *l)
{
	if (l->tls)
		curl_easy_cleanup(l->tls); /* the socket, too */
	l->tls = NULL;
	l->fd = -1;
}
