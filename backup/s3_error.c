// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What an answer means. One table from S3's error codes to an errno, whether it makes sense to repeat the call, and
 * what a person should do; what has no code goes by the HTTP status or libcurl's result.
 */
#include "backup/s3.h"
#include "backup/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct meaning {
	const char *code;
	int err;
	enum s3_next next;
	const char *advice;
} meanings[] = {
    {"NoSuchBucket", -ENOENT, S3_GIVE_UP,
     "there is no such bucket: was it deleted, or is the name, endpoint or region another?"},
    {"NoSuchKey", -ENOENT, S3_GIVE_UP, NULL},
    {"NoSuchUpload", -ENOENT, S3_GIVE_UP,
     "the upload was ended meanwhile (a lifecycle rule, or a clean-up with too short a grace time); run it again"},
    {"AccessDenied", -EACCES, S3_GIVE_UP,
     "these credentials may not do this: look at the policies of the user and of the bucket"},
    {"AllAccessDisabled", -EACCES, S3_GIVE_UP, "the provider closed the bucket"},
    {"AccountProblem", -EACCES, S3_GIVE_UP, "the provider closed the account"},
    {"UserSuspended", -EACCES, S3_GIVE_UP, "the user is suspended on the server"},
    {"InvalidAccessKeyId", -EACCES, S3_NEW_CREDENTIALS,
     "the server does not know this access key: was it deleted, or is it for another endpoint?"},
    {"SignatureDoesNotMatch", -EACCES, S3_GIVE_UP,
     "the secret key does not belong to the access key (or a proxy changes requests)"},
    {"AuthorizationHeaderMalformed", -EACCES, S3_GIVE_UP, "signed for another region than the server's"},
    {"ExpiredToken", -EACCES, S3_NEW_CREDENTIALS, "the credentials have expired: renew them and run it again"},
    {"ExpiredTokenException", -EACCES, S3_NEW_CREDENTIALS, "the credentials have expired: renew them and run it again"},
    {"TokenRefreshRequired", -EACCES, S3_NEW_CREDENTIALS, "the credentials have expired: renew them and run it again"},
    {"RequestExpired", -EACCES, S3_NEW_CREDENTIALS, "the credentials have expired: renew them and run it again"},
    {"InvalidToken", -EACCES, S3_NEW_CREDENTIALS,
     "the session token is not valid: renew the credentials and run it again"},
    {"RequestTimeTooSkewed", -EACCES, S3_NEW_CLOCK, "this machine's clock is wrong: set it (timedatectl set-ntp true)"},
    {"PermanentRedirect", -EIO, S3_GIVE_UP, "the bucket is in another region"},
    {"TemporaryRedirect", -EIO, S3_GIVE_UP,
     "the bucket is new and its name not known everywhere yet: wait, or name its region's endpoint"},
    {"IllegalLocationConstraintException", -EIO, S3_GIVE_UP, "the bucket is in another region"},
    {"InvalidObjectState", -EACCES, S3_GIVE_UP,
     "the object is in an archive class: restore it there first (aws s3api restore-object)"},
    {"InvalidStorageClass", -EINVAL, S3_GIVE_UP, "the server has no such storage class (option storage-class)"},
    {"ObjectLockConfigurationNotFoundError", -EINVAL, S3_GIVE_UP,
     "the bucket was made without Object Lock (option lock)"},
    {"QuotaExceeded", -ENOSPC, S3_GIVE_UP, "the quota is used up: raise it, or forget backups and prune"},
    {"InsufficientStorage", -ENOSPC, S3_GIVE_UP, "the server is full: add room, or forget backups and prune"},
    {"XMinioStorageFull", -ENOSPC, S3_GIVE_UP, "the server is full: add room, or forget backups and prune"},
    {"EntityTooLarge", -EFBIG, S3_GIVE_UP, "larger than the server takes: use a smaller option part-size"},
    {"EntityTooSmall", -EINVAL, S3_GIVE_UP, "smaller parts than the server takes: use a larger option part-size"},
    {"NotImplemented", -EOPNOTSUPP, S3_GIVE_UP, "the server cannot do this"},
    {"PreconditionFailed", -EEXIST, S3_GIVE_UP, NULL},
    {"SlowDown", -ETIMEDOUT, S3_AGAIN, "the server asks for fewer requests: lower option parallel, or try again later"},
    {"ServiceUnavailable", -ETIMEDOUT, S3_AGAIN, "the server is overloaded or down: try again later"},
    {"Busy", -ETIMEDOUT, S3_AGAIN, "the server is overloaded: try again later"},
    {"TooManyRequests", -ETIMEDOUT, S3_AGAIN,
     "the server asks for fewer requests: lower option parallel, or try again later"},
    {"RequestLimitExceeded", -ETIMEDOUT, S3_AGAIN,
     "the server asks for fewer requests: lower option parallel, or try again later"},
    {"RequestTimeout", -ETIMEDOUT, S3_AGAIN, "the connection is too slow for the server: lower option parallel"},
    {"InternalError", -EIO, S3_AGAIN,
     "the server has an error of its own: try again later, tell its operator the request id"},
    {"OperationAborted", -EIO, S3_AGAIN, "another request was in the way: run it again"},
    {"ConditionalRequestConflict", -EIO, S3_AGAIN, "another writer was in the way: run it again"},
    {"IncompleteBody", -EIO, S3_AGAIN, "the network cuts requests off"},
    {"BadDigest", -EIO, S3_AGAIN, "the network or the server's memory changes bytes"},
    {"XAmzContentSHA256Mismatch", -EIO, S3_AGAIN, "the network or the server's memory changes bytes"},
};

static const struct meaning *by_code(const char *code)
{
	for (size_t i = 0; *code && i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (!strcmp(meanings[i].code, code))
			return &meanings[i];
	return NULL;
}

/* For answers without a body (HEAD) and servers with codes of their own. */
static const struct meaning *by_status(long status)
{
	static const struct {
		long status;
		struct meaning m;
	} statuses[] = {
	    {301, {NULL, -EIO, S3_GIVE_UP, "the bucket is in another region"}},
	    {307, {NULL, -EIO, S3_GIVE_UP, "the bucket is in another region"}},
	    {401, {NULL, -EACCES, S3_GIVE_UP, "the server takes other credentials (or this is no S3 server)"}},
	    {403,
	     {NULL, -EACCES, S3_GIVE_UP,
	      "refused: look at credentials, and at the policies of the user and of the bucket"}},
	    {404, {NULL, -ENOENT, S3_GIVE_UP, NULL}},
	    {408, {NULL, -ETIMEDOUT, S3_AGAIN, "the connection is too slow for the server: lower option parallel"}},
	    {409, {NULL, -EIO, S3_AGAIN, "another request was in the way: run it again"}},
	    {412, {NULL, -EEXIST, S3_GIVE_UP, NULL}},
	    {413,
	     {NULL, -EFBIG, S3_GIVE_UP,
	      "larger than the server, or a proxy before it, takes: use a smaller option part-size"}},
	    {429,
	     {NULL, -ETIMEDOUT, S3_AGAIN,
	      "the server asks for fewer requests: lower option parallel, or try again later"}},
	    {501, {NULL, -EOPNOTSUPP, S3_GIVE_UP, "the server cannot do this"}},
	    {503, {NULL, -ETIMEDOUT, S3_AGAIN, "the server is overloaded or down: try again later"}},
	    {504, {NULL, -ETIMEDOUT, S3_AGAIN, "a proxy gets no answer from the server: try again later"}},
	    {507, {NULL, -ENOSPC, S3_GIVE_UP, "the server is full: add room, or forget backups and prune"}},
	};
	static const struct meaning server = {NULL, -EIO, S3_AGAIN,
	                                      "the server has an error of its own: try again later"},
	                            other = {NULL, -EIO, S3_GIVE_UP,
	                                     "not an answer expected here: is this an S3 server?"};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return &statuses[i].m;
	return status >= 500 ? &server : &other;
}

static const struct meaning *by_curl(CURLcode code)
{
	static const struct meaning again = {NULL, -EIO, S3_AGAIN, "the network breaks connections: run it again"},
	                            silent = {NULL, -ETIMEDOUT, S3_AGAIN,
	                                      "the server does not answer: is the endpoint right, and up?"},
	                            trust = {NULL, -EACCES, S3_GIVE_UP,
	                                     "the server's certificate is not trusted: is the endpoint right? "
	                                     "An own authority's certificate goes into option ca-file"},
	                            file = {NULL, -EACCES, S3_GIVE_UP,
	                                    "the certificates of option ca-file cannot be read"},
	                            memory = {NULL, -ENOMEM, S3_GIVE_UP, NULL},
	                            url = {NULL, -EINVAL, S3_GIVE_UP, "look at option endpoint"};

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
		return &silent;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return &trust;
	case CURLE_SSL_CACERT_BADFILE:
		return &file;
	case CURLE_OUT_OF_MEMORY:
		return &memory;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return &url;
	default:
		return &again;
	}
}

/* ---- reading an error's body ---- */

static void take_element(void *arg, const char *path, const char *text)
{
	struct s3_reply *r = arg;

	if (!strcmp(path, "Error/Code"))
		snprintf(r->code, sizeof(r->code), "%s", text);
	else if (!strcmp(path, "Error/Message"))
		snprintf(r->message, sizeof(r->message), "%s", text);
	else if (!strcmp(path, "Error/RequestId") && !r->request_id[0])
		snprintf(r->request_id, sizeof(r->request_id), "%s", text);
	else if (!strcmp(path, "Error/Region") && !r->region[0])
		snprintf(r->region, sizeof(r->region), "%s", text);
}

/* Reads code, message and region from an <Error> body. true: it is a whole document. */
static bool read_error(struct s3_call *c)
{
	return c->text.length && !s3_xml_parse(c->text.s, c->text.length, take_element, &c->reply);
}

/* ---- judging ---- */

/* A success must be whole, too. */
static enum s3_next judge_success(struct s3_call *c)
{
	const struct s3_reply *r = &c->reply;
	u64 want = c->length;

	c->result = 0;
	if (!c->ranged)
		return S3_DONE;
	c->result = -EIO;
	if (r->status == 206) {
		if (!r->ranged || r->range_first != c->offset || r->range_last < r->range_first ||
		    r->range_last >= r->range_total || r->range_last - r->range_first + 1 > want)
			return S3_AGAIN; /* another range than the one asked for */
		want = r->range_last - r->range_first + 1;
		if (want < c->length && r->range_last + 1 != r->range_total)
			return S3_AGAIN;
	} else if (!r->has_length) {
		return S3_AGAIN;
	} else {
		want = r->content_length <= c->offset ? 0 : r->content_length - c->offset;
		want = want < c->length ? want : c->length;
	}
	if (c->got != want || c->too_long)
		return S3_AGAIN;
	c->result = 0;
	return S3_DONE;
}

static bool is_locked(const struct s3_reply *r)
{
	return !strcmp(r->code, "ObjectLocked") ||
	       (!strcmp(r->code, "AccessDenied") &&
	        (strstr(r->message, "lock") || strstr(r->message, "WORM") || strstr(r->message, "retention")));
}

static const struct meaning *meaning_of(const struct s3_call *c)
{
	const struct meaning *m = by_code(c->reply.code);

	return m ? m : by_status(c->reply.status);
}

enum s3_next s3_judge(struct s3_call *c, CURLcode code)
{
	struct s3_reply *r = &c->reply;
	const struct meaning *m;
	s64 off;

	if (code != CURLE_OK && !(r->status >= 300 && code != CURLE_OUT_OF_MEMORY)) {
		m = by_curl(code);
		c->result = m->err;
		return m->next;
	}
	if (c->asking && (r->status < 300 || r->status == 416)) {
		c->result = -EIO;
		return S3_AGAIN; /* asked why it was refused, it is not any more */
	}
	if (r->status >= 200 && r->status < 300) {
		bool whole = !c->into && read_error(c);

		if (c->xml && !whole) {
			c->result = -EIO;
			return S3_AGAIN;
		}
		if (!r->code[0])
			return judge_success(c);
	} else {
		read_error(c);
	}
	m = meaning_of(c);
	c->result = m->err;
	if (!strcmp(c->method, "DELETE") && is_locked(r))
		c->result = -EPERM;
	/* A HEAD has no body to say that the clock is wrong; a difference of minutes does. */
	off = r->date ? r->date - s3_wall(c->store) : 0;
	if (m->next == S3_NEW_CLOCK || (r->status == 403 && !r->code[0] && (off > 300 || off < -300)))
		return c->clock_set || !r->date ? S3_GIVE_UP : S3_NEW_CLOCK;
	if (m->next == S3_NEW_CREDENTIALS)
		return c->renewed ? S3_GIVE_UP : S3_NEW_CREDENTIALS;
	if (!r->code[0] && !strcmp(c->method, "HEAD") && !c->asking && (r->status != 404 || !c->store->bucket_seen) &&
	    m->next == S3_GIVE_UP)
		return S3_ASK_WHY;
	return m->next;
}

/* ---- telling ---- */

static void tell_region(struct s3_call *c, struct s3_text *t)
{
	if (c->reply.region[0] && strcasecmp(c->reply.region, c->store->region))
		s3_text_printf(t, "; the bucket is in region %s, signed for %s: use -o region=%s", c->reply.region,
		               c->store->region, c->reply.region);
}

static void tell_clock(struct s3_call *c, struct s3_text *t)
{
	s64 off = c->reply.date ? c->reply.date - s3_wall(c->store) + c->store->skew : 0;

	if (!strcmp(c->reply.code, "RequestTimeTooSkewed") && (off > 60 || off < -60))
		s3_text_printf(t, "; the server's clock is %lld s %s", (long long)(off < 0 ? -off : off),
		               off < 0 ? "behind" : "ahead");
}

void s3_explain(struct s3_call *c, CURLcode code)
{
	const struct s3_reply *r = &c->reply;
	bool answered = code == CURLE_OK || r->status >= 300;
	const struct meaning *m = answered ? meaning_of(c) : by_curl(code);
	struct s3_text t = {0};

	s3_text_printf(&t, "%s: %s%s%s: ", c->store->s.url, c->name ? c->name : "", c->name ? ": " : "", c->what);
	if (!answered)
		s3_text_printf(&t, "%s", c->curl_error[0] ? c->curl_error : curl_easy_strerror(code));
	else if (r->status < 300 && !r->code[0])
		s3_text_printf(&t, "status %ld, but truncated or another range than asked for", r->status);
	else
		s3_text_printf(&t, "%ld%s%s", r->status, r->code[0] ? " " : "", r->code);
	if (answered && r->message[0])
		s3_text_printf(&t, " (%s)", r->message);
	if (answered && r->request_id[0])
		s3_text_printf(&t, ", request id %s", r->request_id);
	if (c->attempts > 1)
		s3_text_printf(&t, ", tried %u times in %lld s", c->attempts,
		               (long long)(s3_now_ms() - c->first_ms) / 1000);
	if (c->result == -EPERM)
		s3_text_add(&t, "; the object is locked and can be deleted when its retention ends");
	else if (m->advice && (!answered || r->status >= 300 || r->code[0]))
		s3_text_printf(&t, "; %s", m->advice);
	if (c->result == -EACCES && m->next == S3_NEW_CREDENTIALS)
		s3_text_printf(&t, " (they are from %s)", c->store->credentials.source);
	tell_region(c, &t);
	tell_clock(c, &t);
	tfs_store_say(c->error, 0, "%s", t.s ? t.s : strerror(ENOMEM));
	s3_text_free(&t);
}
