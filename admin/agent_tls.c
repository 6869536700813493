// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A TLS handshake on a connected socket, by GnuTLS, and the keys that came out of it given to the kernel (kTLS), both
 * ways: from then on what is written to the socket goes encrypted, and nothing of the session is left here. Always: the
 * certificate is verified, and that it is for the collector's name or address; nothing turns that off. Only what the
 * kernel can go on with is offered: TLS 1.3 and 1.2, AES-GCM and ChaCha20-Poly1305. Called by admin/ship_agent.c, in a
 * process of its own.
 */
#include "admin/agent.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#define OFFERED "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305"
#define RECORD_BYTES 16384u /* the kernel's, always */

/* ---- whom to trust, who we are ---- */

/* A message, or NULL. */
static const char *trust_load(const struct agent_trust *trust, gnutls_certificate_credentials_t *out,
                              char said[AGENT_SAID])
{
	const char *key = trust->key ? trust->key : trust->cert;
	int n = gnutls_certificate_allocate_credentials(out);

	if (n < 0)
		return gnutls_strerror(n);
	n = trust->ca ? gnutls_certificate_set_x509_trust_file(*out, trust->ca, GNUTLS_X509_FMT_PEM)
	              : gnutls_certificate_set_x509_system_trust(*out);
	if (n <= 0) {
		snprintf(said, AGENT_SAID, "%.150s: expected certificates of authorities in PEM%s%.60s",
		         trust->ca ? trust->ca : "the system's authorities", n ? ", found: " : ", found none",
		         n ? gnutls_strerror(n) : "");
		return said;
	}
	if (!trust->cert)
		return NULL;
	n = gnutls_certificate_set_x509_key_file(*out, trust->cert, key, GNUTLS_X509_FMT_PEM);
	if (n >= 0)
		return NULL;
	snprintf(said, AGENT_SAID, "%.80s, %.80s: expected a certificate and its key in PEM, found: %.60s", trust->cert,
	         key, gnutls_strerror(n));
	return said;
}

const char *agent_trust_check(const struct agent_trust *trust, char said[AGENT_SAID])
{
	gnutls_certificate_credentials_t all = NULL;
	const char *why = trust_load(trust, &all, said);

	if (all)
		gnutls_certificate_free_credentials(all);
	return why;
}

/* ---- the kernel's keys ---- */

union keys {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm128;
	struct tls12_crypto_info_aes_gcm_256 gcm256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

/* TLS 1.2 sends a number with each record that must not come twice under a key; the record's own is such a one. TLS 1.3
 * has the other part of the IV there. */
#define GCM_FILL(k, bits)                                                                                              \
	do {                                                                                                           \
		(k)->info.cipher_type = TLS_CIPHER_AES_GCM_##bits;                                                     \
		memcpy((k)->salt, iv.data, sizeof((k)->salt));                                                         \
		memcpy((k)->iv, tls13 ? iv.data + sizeof((k)->salt) : number, sizeof((k)->iv));                        \
		memcpy((k)->key, key.data, sizeof((k)->key));                                                          \
		memcpy((k)->rec_seq, number, sizeof((k)->rec_seq));                                                    \
	} while (0)

/* Bytes of *k, 0: the session has what the kernel knows not. */
static socklen_t keys_fill(gnutls_session_t session, bool reading, union keys *k)
{
	bool tls13 = gnutls_protocol_get_version(session) == GNUTLS_TLS1_3;
	gnutls_datum_t mac, iv, key;
	u8 number[8];

	memset(k, 0, sizeof(*k));
	if (gnutls_record_get_state(session, reading, &mac, &iv, &key, number) < 0)
		return 0;
	k->info.version = tls13 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
	switch (gnutls_cipher_get(session)) {
	case GNUTLS_CIPHER_AES_128_GCM:
		GCM_FILL(&k->gcm128, 128);
		return sizeof(k->gcm128);
	case GNUTLS_CIPHER_AES_256_GCM:
		GCM_FILL(&k->gcm256, 256);
		return sizeof(k->gcm256);
	case GNUTLS_CIPHER_CHACHA20_POLY1305:
		k->info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(k->chacha.iv, iv.data, sizeof(k->chacha.iv));
		memcpy(k->chacha.key, key.data, sizeof(k->chacha.key));
		memcpy(k->chacha.rec_seq, number, sizeof(k->chacha.rec_seq));
		return sizeof(k->chacha);
	default:
		return 0;
	}
}

static int keys_set(int fd, gnutls_session_t session, bool reading)
{
	union keys k;
	socklen_t len = keys_fill(session, reading, &k);
	int err = !len ? -EPROTO : setsockopt(fd, SOL_TLS, reading ? TLS_RX : TLS_TX, &k, len) ? -errno : 0;

	gnutls_memset(&k, 0, sizeof(k));
	return err;
}

static int kernel_take(int fd, gnutls_session_t session, char said[AGENT_SAID])
{
	int err = 0;

	if (gnutls_record_get_max_size(session) < RECORD_BYTES || gnutls_record_check_pending(session)) {
		snprintf(said, AGENT_SAID, "the collector wants records that the kernel does not make");
		return -EPROTO;
	}
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		err = -errno;
	if (!err)
		err = keys_set(fd, session, false);
	if (!err)
		err = keys_set(fd, session, true);
	if (err)
		snprintf(said, AGENT_SAID, "the kernel does not take %s: %s",
		         gnutls_cipher_get_name(gnutls_cipher_get(session)), strerror(-err));
	return err;
}

bool agent_kernel_has_tls(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && (!setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) || errno == ENOTCONN);

	if (fd >= 0)
		close(fd);
	return has;
}

/* ---- the handshake ---- */

static int handshake_failed(gnutls_session_t session, const struct agent_trust *trust, const char *host, int n,
                            char said[AGENT_SAID])
{
	gnutls_datum_t text = {0};

	if (n == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
		gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(session),
		                                             GNUTLS_CRT_X509, &text, 0);
		snprintf(said, AGENT_SAID, "expected a certificate for %.60s, signed by one of %.60s; found: %.110s",
		         host, trust->ca ? trust->ca : "the system's authorities", text.data ? (char *)text.data : "?");
		gnutls_free(text.data);
		for (size_t i = strlen(said); i && said[i - 1] == ' '; i--) /* its sentences end so */
			said[i - 1] = 0;
		return -EKEYREJECTED;
	}
	if (n == GNUTLS_E_FATAL_ALERT_RECEIVED)
		snprintf(said, AGENT_SAID, "the collector ends the handshake with alert %d: %s",
		         gnutls_alert_get(session), gnutls_alert_get_name(gnutls_alert_get(session)));
	else
		snprintf(said, AGENT_SAID, "expected a TLS handshake, found: %s", gnutls_strerror(n));
	return n == GNUTLS_E_TIMEDOUT ? -ETIMEDOUT : -EPROTO;
}

static int session_setup(gnutls_session_t session, gnutls_certificate_credentials_t all, const char *host, int fd)
{
	u8 address[16];
	bool name = inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1;
	int n = gnutls_priority_set_direct(session, OFFERED, NULL);

	if (n >= 0)
		n = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, all);
	if (n >= 0 && name)
		n = gnutls_server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
	gnutls_session_set_verify_cert(session, host, 0);
	gnutls_transport_set_int(session, fd);
	gnutls_handshake_set_timeout(session, AGENT_STEP_MS);
	return n;
}

int agent_handshake(int fd, const char *host, const struct agent_trust *trust, char said[AGENT_SAID])
{
	gnutls_certificate_credentials_t all = NULL;
	gnutls_session_t session;
	const char *why = trust_load(trust, &all, said);
	int n, err;

	if (!why && (n = gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT)) < 0)
		why = gnutls_strerror(n);
	if (why) {
		snprintf(said, AGENT_SAID, "%s", why == said ? said : why);
		return -ENOKEY;
	}
	n = session_setup(session, all, host, fd);
	while (n >= 0 && (n = gnutls_handshake(session)) < 0 && !gnutls_error_is_fatal(n))
		n = 0;
	err = n < 0 ? handshake_failed(session, trust, host, n, said) : kernel_take(fd, session, said);
	gnutls_deinit(session); /* says nothing to the other end */
	gnutls_certificate_free_credentials(all);
	return err;
}
