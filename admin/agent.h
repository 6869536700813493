/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* tfs ship tls-agent: what its two files share. ship_agent.c talks to the kernel, agent_tls.c to a collector. */
#ifndef ADMIN_AGENT_H
#define ADMIN_AGENT_H

#include "admin/admin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define AGENT_STEP_MS 20000u /* for connecting to an address, and for the handshake */
#define AGENT_END_S 50u      /* for all of it: less than the kernel waits */
#define AGENT_SAID 400u

struct agent_trust {            /* paths, NULL: not given */
	const char *ca;         /* instead of the system's authorities */
	const char *cert, *key; /* who we are; key NULL: in cert */
};
/* NULL, or what is wrong with them, perhaps in said. */
const char *agent_trust_check(const struct agent_trust *trust, char said[AGENT_SAID]);
bool agent_kernel_has_tls(void);
/* On a connected socket: 0, and the kernel does TLS on it, or a negative errno, and said has why. host: a name or an
 * address, for which the certificate must be. */
int agent_handshake(int fd, const char *host, const struct agent_trust *trust, char said[AGENT_SAID]);

#endif
