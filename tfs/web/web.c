// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What HTTP and TLS connections of the tools have in common: tfs/web/web.h says what. No state. */
#include "tfs/web/web.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY 86400

void tfs_web_setup(CURL *curl, const char *protocols, const char *agent, const struct tfs_web_trust *trust)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, agent);
	if (trust->ca_file) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, trust->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* else the system's authorities count beside them */
	}
	if (!trust->cert_file)
		return;
	curl_easy_setopt(curl, CURLOPT_SSLCERT, trust->cert_file);
	curl_easy_setopt(curl, CURLOPT_SSLKEY, trust->key_file ? trust->key_file : trust->cert_file);
}

bool tfs_web_header(const char *line, size_t length, const char *name, char *value, size_t room)
{
	size_t n = strlen(name);

	if (length <= n || strncasecmp(line, name, n) || line[n] != ':')
		return false;
	line += n + 1;
	length -= n + 1;
	while (length && (*line == ' ' || *line == '\t'))
		line++, length--;
	while (length && strchr("\r\n \t", line[length - 1]))
		length--;
	snprintf(value, room, "%.*s", (int)length, line);
	return true;
}

u32 tfs_web_retry_after(const char *value, s64 now)
{
	size_t digits = strspn(value, "0123456789");
	s64 wait = 0;

	if (digits && !value[digits])
		for (size_t i = 0; i < digits && wait < DAY; i++)
			wait = wait * 10 + (value[i] - '0');
	else if (!digits)
		wait = (s64)curl_getdate(value, NULL) - now;
	return wait <= 0 ? 0 : wait < DAY ? (u32)wait : DAY;
}
