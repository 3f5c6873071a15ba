/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value of --network.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vio/network.h"

static void test_known(void **state)
{
	enum vio_network_kind k;

	(void)state;
	assert_int_equal(vio_network_parse("none", &k, NULL), 0);
	assert_int_equal(k, VIO_NETWORK_NONE);
	assert_int_equal(vio_network_parse("host", &k, NULL), 0);
	assert_int_equal(k, VIO_NETWORK_HOST);
}

static void test_later_ones_are_refused_by_name(void **state)
{
	static const char *const names[] = {"bridge", "mynet", "None", "containers", "none "};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		enum vio_network_kind k = (enum vio_network_kind)42;
		struct err e = ERR_INIT;

		assert_int_equal(vio_network_parse(names[i], &k, &e), -ENOTSUP);
		assert_int_equal(e.kind, ERR_UNSUPPORTED);
		assert_non_null(strstr(e.text, names[i]));
		assert_non_null(strstr(e.hint, "none"));
		assert_int_equal(k, 42);
	}
}

static void test_another_sandboxs(void **state)
{
	enum vio_network_kind k;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(vio_network_parse("container:web", &k, NULL), 0);
	assert_int_equal(k, VIO_NETWORK_SANDBOX);
	assert_string_equal(vio_network_sandbox("container:web"), "web");
	assert_int_equal(vio_network_parse("container:", &k, &e), -EINVAL);
}

static void test_empty(void **state)
{
	enum vio_network_kind k;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(vio_network_parse("", &k, &e), -EINVAL);
	assert_int_equal(e.kind, ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_later_ones_are_refused_by_name),
		cmocka_unit_test(test_another_sandboxs),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
