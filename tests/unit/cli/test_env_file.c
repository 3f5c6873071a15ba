/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment files and -e, by docker's rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

#include "../../../cli/env_file.h"

/* What a text gives, joined by '|'; or the error's text. */
static const char *parse(const char *text, size_t len, bool caller)
{
	static char buf[4096];
	char path[PATH_FD_MAX];
	_cleanup_strv_ char **v = NULL;
	struct err e = ERR_INIT;
	int fd = fd_sealed_memfd("env", text, len, NULL);

	assert_true(fd >= 0);
	buf[0] = '\0';
	if (env_file_read(path_of_fd(fd, path), caller, &v, &e) < 0)
		snprintf(buf, sizeof(buf), "! %s", e.text);
	for (char **x = v; e.kind == ERR_NONE && x && *x; x++)
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), "%s%s", buf[0] ? "|" : "",
			 *x);
	close(fd);
	return buf;
}

#define PARSE(text) parse(text, sizeof(text) - 1, true)

static void test_files(void **state)
{
	(void)state;
	setenv("OUTSIDE", "seen", 1);
	unsetenv("NOWHERE");
	assert_string_equal(PARSE(""), "");
	assert_string_equal(PARSE("A=1\nB=2"), "A=1|B=2");
	assert_string_equal(PARSE("A=1\r\nB=2\r\n"), "A=1|B=2");
	assert_string_equal(PARSE("# no\n\n \t# nor this\n  A=x # y"), "A=x # y");
	assert_string_equal(PARSE("A=\"x\"\nB='y'\nC==z="), "A=\"x\"|B='y'|C==z=");
	assert_string_equal(PARSE("A=\n"), "A=");
	assert_string_equal(PARSE("\xef\xbb\xbf"
				  "A=1"),
			    "A=1");
	assert_string_equal(PARSE("OUTSIDE\nNOWHERE\nZ=1"), "OUTSIDE=seen|Z=1");
	assert_string_equal(parse("OUTSIDE", 7, false), "OUTSIDE"); /* as for labels */
}

static void test_bad_files(void **state)
{
	(void)state;
	assert_non_null(strstr(PARSE("A=1\n=2"), "line 2"));
	assert_non_null(strstr(PARSE("A B=2"), "blank"));
	assert_non_null(strstr(PARSE("A\0=1"), "NUL"));
	assert_int_equal(env_file_read("/nonexistent/env", true, &(char **){NULL}, NULL), -ENOENT);
}

static void test_flags(void **state)
{
	_cleanup_strv_ char **v = NULL;

	(void)state;
	setenv("OUTSIDE", "seen", 1);
	setenv("XYZ_1", "a", 1);
	setenv("XYZ_2", "b", 1);
	unsetenv("NOWHERE");
	assert_int_equal(env_take_flag("A=b=c", &v, NULL), 0);
	assert_int_equal(env_take_flag("OUTSIDE", &v, NULL), 0);
	assert_int_equal(env_take_flag("NOWHERE", &v, NULL), 0); /* takes it away */
	assert_int_equal(env_take_flag("XYZ_*", &v, NULL), 0);
	assert_int_equal(strv_len(v), 5);
	assert_string_equal(v[0], "A=b=c");
	assert_string_equal(v[1], "OUTSIDE=seen");
	assert_string_equal(v[2], "NOWHERE");
	assert_string_equal(strv_env_get(v, "XYZ_1"), "a");
	assert_string_equal(strv_env_get(v, "XYZ_2"), "b");
	assert_int_equal(env_take_flag("=x", &v, NULL), -EINVAL);
	assert_int_equal(env_take_flag("", &v, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
