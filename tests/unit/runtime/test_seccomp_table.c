/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the default filter: every call of this machine's headers is decided by name, none twice, each with a reason; and
 * its document says all of it.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "runtime/seccomp_default.h"

#include "../../../runtime/seccomp_table.h"

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static size_t times_decided(const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < call_groups_len; i++)
		n += has_word(call_groups[i].names, name);
	return n;
}

/* "#define __NR_openat 257" and how other architectures' headers write it. */
static bool call_of(const char *line, char *name, size_t size)
{
	static const char *const not_calls[] = {"syscalls", "arch_specific_syscall", "SYSCALL_BASE",
						"OABI_SYSCALL_BASE"};
	static const char start[] = "#define __NR_";
	size_t n;

	if (strncmp(line, start, sizeof(start) - 1) != 0)
		return false;
	line += sizeof(start) - 1;
	n = strcspn(line, " \t\n");
	if (n == 0 || n >= size)
		return false;
	memcpy(name, line, n);
	name[n] = '\0';
	for (size_t i = 0; i < sizeof(not_calls) / sizeof(*not_calls); i++)
		if (strcmp(name, not_calls[i]) == 0)
			return false;
	return true;
}

static unsigned check_header(const char *path, unsigned *undecided)
{
	FILE *f = fopen(path, "re");
	char line[256], name[64];
	unsigned seen = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (!call_of(line, name, sizeof(name)))
			continue;
		seen++;
		if (times_decided(name) > 0)
			continue;
		print_message("%s: %s is not decided\n", path, name);
		++*undecided;
	}
	if (f)
		fclose(f);
	return seen;
}

static void test_every_call_is_decided(void **state)
{
	/* Of this architecture, of those that its kernel runs too, and of all newer ones. */
	static const char *const headers[] = {
		"/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
		"/usr/include/x86_64-linux-gnu/asm/unistd_32.h",
		"/usr/include/x86_64-linux-gnu/asm/unistd_x32.h",
		"/usr/include/aarch64-linux-gnu/asm/unistd.h",
		"/usr/include/arm-linux-gnueabihf/asm/unistd-common.h",
		"/usr/include/asm-generic/unistd.h",
	};
	unsigned undecided = 0, seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		seen += check_header(headers[i], &undecided);
	assert_true(seen > 250);
	assert_int_equal(undecided, 0);
	assert_int_equal(times_decided("a_call_of_tomorrow"), 0);
}

static void test_none_is_decided_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < call_groups_len; i++) {
		char **names = NULL;

		assert_int_equal(strv_split(call_groups[i].names, ' ', &names), 0);
		for (char **n = names; *n; n++) {
			for (const char *p = *n; *p; p++)
				assert_true(islower((unsigned char)*p) ||
					    isdigit((unsigned char)*p) || *p == '_');
			if (times_decided(*n) != 1)
				fail_msg("%s", *n);
			for (char **m = names; m < n; m++)
				assert_string_not_equal(*m, *n);
		}
		strv_free(names);
	}
}

static void test_document(void **state)
{
	struct err e = ERR_INIT;
	char *text = NULL;

	(void)state;
	assert_int_equal(rt_seccomp_markdown(&text, &e), 0);
	for (size_t i = 0; i < call_groups_len; i++) {
		const struct call_group *g = &call_groups[i];
		char **names = NULL, quoted[80];

		assert_true(g->title[0] && g->reason[0] && g->names[0]);
		assert_non_null(strstr(text, g->title));
		assert_non_null(strstr(text, g->reason));
		assert_int_equal(strv_split(g->names, ' ', &names), 0);
		for (char **n = names; *n; n++) {
			snprintf(quoted, sizeof(quoted), "`%s`", *n);
			assert_non_null(strstr(text, quoted));
		}
		strv_free(names);
	}
	assert_null(strstr(text, "(null)"));
	assert_non_null(strstr(text, "`CAP_SYS_ADMIN` or `CAP_BPF`"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call_is_decided),
		cmocka_unit_test(test_none_is_decided_twice),
		cmocka_unit_test(test_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
