/* SPDX-License-Identifier: Apache-2.0 */
/* Names of capabilities. Their application is seen in test_init.c and test_exec.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <linux/capability.h>

#include "isolate/process.h"

static void both_spellings(void **state)
{
	int cap = -1;

	(void)state;
	assert_int_equal(iso_cap_parse("CAP_CHOWN", &cap), 0);
	assert_int_equal(cap, CAP_CHOWN);
	assert_int_equal(iso_cap_parse("sys_admin", &cap), 0);
	assert_int_equal(cap, CAP_SYS_ADMIN);
	assert_int_equal(iso_cap_parse("Cap_Checkpoint_Restore", &cap), 0);
	assert_int_equal(cap, CAP_CHECKPOINT_RESTORE);
}

static void what_is_no_name(void **state)
{
	static const char *const bad[] = {
		"",
		"CAP_",
		"CAP_NOSUCH",
		"0",
		"12",
		"all",
		"ALL",
		"CAP_CHOWN ",
		" chown",
		"cap_chown=ep",
		"CAP_CAP_CHOWN",
		"CAP_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
	int cap = 1234;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (iso_cap_parse(bad[i], &cap) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(cap, 1234);
}

static void every_name_comes_back(void **state)
{
	(void)state;
	for (int i = 0; i <= CAP_LAST_CAP; i++) {
		int cap = -1, r = iso_cap_parse(iso_cap_name(i), &cap);

		assert_int_equal(r, i <= iso_cap_last() ? 0 : -ENOTSUP);
		if (r == 0)
			assert_int_equal(cap, i);
	}
	assert_null(iso_cap_name(-1));
	assert_null(iso_cap_name(64));
}

static void last_is_the_kernels(void **state)
{
	FILE *f = fopen("/proc/sys/kernel/cap_last_cap", "re");
	int last = -1;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &last), 1);
	fclose(f);
	assert_int_equal(iso_cap_last(), last);
}

static void held_is_what_status_says(void **state)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long permitted = 0, bounding = 0;
	char line[256];

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		(void)!sscanf(line, "CapPrm: %llx", &permitted);
		(void)!sscanf(line, "CapBnd: %llx", &bounding);
	}
	fclose(f);
	assert_int_equal(iso_caps_held(), permitted & bounding);
}

/* What buildah writes: ambient ones without inheritable ones. And what we do not hold. */
static void what_cannot_be_granted(void **state)
{
	struct iso_caps caps = {.present = true};
	uint64_t held = iso_caps_held();

	(void)state;
	assert_true(iso_caps_ungrantable(&caps, false) == 0);
	caps.set[ISO_CAP_PERMITTED] = caps.set[ISO_CAP_AMBIENT] = 1;
	assert_true(iso_caps_ungrantable(&caps, true) == 1);
	caps.set[ISO_CAP_INHERITABLE] = 1;
	assert_true(iso_caps_ungrantable(&caps, true) == 0);
	caps.set[ISO_CAP_BOUNDING] = UINT64_MAX;
	assert_true(iso_caps_ungrantable(&caps, false) == ~held);
	assert_true(iso_caps_ungrantable(&caps, true) == 0);
	caps.present = false;
	assert_true(iso_caps_ungrantable(&caps, false) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_granted),
		cmocka_unit_test(both_spellings),
		cmocka_unit_test(what_is_no_name),
		cmocka_unit_test(every_name_comes_back),
		cmocka_unit_test(last_is_the_kernels),
		cmocka_unit_test(held_is_what_status_says),
	};

	return cmocka_run_group_tests_name("isolate/caps", tests, NULL, NULL);
}
