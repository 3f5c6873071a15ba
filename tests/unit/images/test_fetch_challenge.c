/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Challenges, token answers and base64, as registries and credential files write them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../images/base64.h"
#include "../../../images/fetch_challenge.h"

static void expect(const char *text, enum challenge_scheme scheme, const char *realm,
		   const char *service, const char *scope)
{
	struct challenge c = {0};
	struct err e = ERR_INIT;

	assert_int_equal(challenge_parse(text, &c, &e), 0);
	assert_int_equal(c.scheme, scheme);
	assert_string_equal(c.realm ? c.realm : "-", realm);
	assert_string_equal(c.service ? c.service : "-", service);
	assert_string_equal(c.scope ? c.scope : "-", scope);
	challenge_done(&c);
}

static void challenges(void **state)
{
	(void)state;
	expect("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
	       "scope=\"repository:library/debian:pull\"",
	       CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
	       "repository:library/debian:pull");
	expect("Bearer realm=\"https://a/t\",scope=\"repository:x:pull,push\"", CHALLENGE_BEARER,
	       "https://a/t", "-", "repository:x:pull,push");
	expect("basic realm=\"a \\\"b\\\", c\"", CHALLENGE_BASIC, "a \"b\", c", "-", "-");
	expect("Basic", CHALLENGE_BASIC, "-", "-", "-");
	expect("Basic realm=x, Bearer realm=https://a/t , service=s", CHALLENGE_BEARER,
	       "https://a/t", "s", "-");
	expect("Negotiate YWJj==, Basic realm=\"r\"", CHALLENGE_BASIC, "r", "-", "-");
	expect("Digest a=b, c=\"d\"", CHALLENGE_NONE, "-", "-", "-");
	expect("Bearer error=\"invalid_token\"", CHALLENGE_NONE, "-", "-", "-");
	expect("", CHALLENGE_NONE, "-", "-", "-");
}

static void no_challenges(void **state)
{
	static const char *const bad[] = {
		"Bearer realm=\"x", "Bearer realm=\"x\" service=\"y\"", "=x",
		"\"Bearer\"",       "Bearer realm=a,realm=b",           "Bearer realm=\"a\nb\"",
		"Basic/x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct challenge c = {0};
		struct err e = ERR_INIT;

		assert_int_equal(challenge_parse(bad[i], &c, &e), -EINVAL);
		assert_int_equal(e.kind, ERR_INVALID);
	}
}

static void tokens(void **state)
{
	static const struct {
		const char *json, *text;
		unsigned sec;
	} good[] = {
		{"{\"token\":\"a.b\",\"expires_in\":300}", "a.b", 300},
		{"{\"access_token\":\"x\"}", "x", 60},
		{"{\"token\":\"t\",\"access_token\":\"x\",\"expires_in\":5}", "t", 60},
	};
	static const char *const bad[] = {"{}",
					  "[]",
					  "{\"token\":\"\"}",
					  "{\"token\":\"a b\"}",
					  "{\"token\":\"a\\r\\nX: y\"}",
					  "{\"token\":7}",
					  "x"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct token t;

		assert_int_equal(token_parse(good[i].json, strlen(good[i].json), &t, NULL), 0);
		assert_string_equal(t.text, good[i].text);
		assert_int_equal(t.expires_sec, good[i].sec);
		free(t.text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct token t;

		assert_true(token_parse(bad[i], strlen(bad[i]), &t, NULL) < 0);
	}
}

/* RFC 4648 section 10. */
static void base64(void **state)
{
	static const char *const rows[][2] = {
		{"", ""},        {"f", "Zg=="},          {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"ada:secret", "YWRhOnNlY3JldA=="}};
	static const char *const bad[] = {"Zg=", "Z", "Zg==Zg==", "Zm9v\n", "=AAA", "Zm 9"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *text = base64_encode(rows[i][0], strlen(rows[i][0])), *back;
		size_t len;

		assert_string_equal(text, rows[i][1]);
		assert_int_equal(base64_decode(text, &back, &len), 0);
		assert_int_equal(len, strlen(rows[i][0]));
		assert_string_equal(back, rows[i][0]);
		free(text);
		free(back);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *back;
		size_t len;

		assert_int_equal(base64_decode(bad[i], &back, &len), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenges),
		cmocka_unit_test(no_challenges),
		cmocka_unit_test(tokens),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests_name("challenges of registries", tests, NULL, NULL);
}
