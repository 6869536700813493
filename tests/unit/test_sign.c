// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * backup/s3_sign.c against Amazon's published examples: those of the S3 manual (bucket examplebucket,
 * AKIAIOSFODNN7EXAMPLE) and the get-vanilla family of the Signature Version 4 test suite (AKIDEXAMPLE, service
 * "service").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backup/s3_sign.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct example {
	const char *method, *path;
	struct s3_pair query[4], headers[8];
	const char *payload, *signature;
};

static void expect(const struct example *e, const char *time, const char *service, const char *access,
                   const char *secret)
{
	struct s3_text out = {0};
	struct s3_to_sign r = {.method = e->method,
	                       .path = e->path,
	                       .query = e->query,
	                       .headers = e->headers,
	                       .time = time,
	                       .region = "us-east-1",
	                       .service = service,
	                       .access_key = access,
	                       .secret_key = secret};
	char hash[65];
	const char *signature;

	while (r.queries < 4 && e->query[r.queries].name)
		r.queries++;
	while (r.header_count < 8 && e->headers[r.header_count].name)
		r.header_count++;
	s3_sha256_hex(e->payload, e->payload ? strlen(e->payload) : 0, hash);
	r.payload_sha256 = hash;
	s3_sign(&out, &r);
	assert_false(out.failed);
	signature = strstr(out.s, ",Signature=");
	assert_non_null(signature);
	assert_string_equal(signature + 11, e->signature);
	s3_text_free(&out);
}

#define HOST                                                                                                           \
	{                                                                                                              \
		"host", "examplebucket.s3.amazonaws.com"                                                               \
	}
#define DATE                                                                                                           \
	{                                                                                                              \
		"x-amz-date", "20130524T000000Z"                                                                       \
	}

static void s3_manual(void **state)
{
	static const struct example examples[] = {
	    {"GET",
	     "/test.txt",
	     {{0}},
	     {HOST, {"range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY}, DATE},
	     NULL,
	     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	    {"PUT",
	     "/test%24file.text",
	     {{0}},
	     {HOST,
	      {"date", "Fri, 24 May 2013 00:00:00 GMT"},
	      DATE,
	      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
	      {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
	     "Welcome to Amazon S3.",
	     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	    {"GET",
	     "/",
	     {{"lifecycle", ""}},
	     {HOST, {"x-amz-content-sha256", EMPTY}, DATE},
	     NULL,
	     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	    {"GET",
	     "/",
	     {{"prefix", "J"}, {"max-keys", "2"}},
	     {HOST, {"x-amz-content-sha256", EMPTY}, DATE},
	     NULL,
	     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		expect(&examples[i], "20130524T000000Z", "s3", "AKIAIOSFODNN7EXAMPLE",
		       "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
}

static void test_suite(void **state)
{
#define SUITE                                                                                                          \
	{"host", "example.amazonaws.com"},                                                                             \
	{                                                                                                              \
		"x-amz-date", "20150830T123600Z"                                                                       \
	}
	static const struct example examples[] = {
	    {"GET", "/", {{0}}, {SUITE}, NULL, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	    {"POST", "/", {{0}}, {SUITE}, NULL, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	    {"GET",
	     "/",
	     {{"Param2", "value2"}, {"Param1", "value1"}},
	     {SUITE},
	     NULL,
	     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	    {"GET",
	     "/",
	     {{"Param1", "value1"}},
	     {SUITE},
	     NULL,
	     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	    {"GET",
	     "/",
	     {{0}},
	     {SUITE, {"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}},
	     NULL,
	     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		expect(&examples[i], "20150830T123600Z", "service", "AKIDEXAMPLE",
		       "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
}

static void query(void **state)
{
	static const struct s3_pair pairs[] = {
	    {"prefix", "a b/\xc3\xbc+~"}, {"prefix-x", "1"}, {"list-type", "2"}, {"Z", "="}, {"start-after", ""}};
	struct s3_text out = {0};

	(void)state;
	s3_sign_query(&out, pairs, 5);
	assert_string_equal(out.s, "Z=%3D&list-type=2&prefix=a%20b%2F%C3%BC%2B~&prefix-x=1&start-after=");
	s3_text_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(s3_manual), cmocka_unit_test(test_suite),
	                                   cmocka_unit_test(query)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
