/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as values: which are refused and with what words, and the conversions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cgroups/limits.h"

struct row {
	size_t offset;
	int64_t value;
	const char *error; /* a part of it; NULL: fine */
};
#define M(member) offsetof(struct cg_limits, member)

static const struct row rows[] = {
	{M(memory_bytes), 1, NULL},
	{M(memory_bytes), -1, NULL},
	{M(memory_bytes), INT64_MAX, NULL},
	{M(memory_bytes), -2, "memory limit -2 bytes is out of range"},
	{M(memory_bytes), 0, "memory limit 0 bytes"},
	{M(memory_low_bytes), 0, NULL},
	{M(memory_low_bytes), -5, "memory reservation"},
	{M(memory_swap_bytes), -1, NULL},
	{M(memory_swap_bytes), 4096, "without a memory limit"},
	{M(cpu_quota_usec), 1000, NULL},
	{M(cpu_quota_usec), -1, NULL},
	{M(cpu_quota_usec), 999, "cpu quota 999 us is out of range"},
	{M(cpu_quota_usec), 0, "cpu quota 0 us"},
	{M(cpu_period_usec), 1000, NULL},
	{M(cpu_period_usec), 1000000, NULL},
	{M(cpu_period_usec), 999, "cpu period"},
	{M(cpu_period_usec), 1000001, "cpu period"},
	{M(cpu_period_usec), -1, "cpu period"},
	{M(cpu_shares), 2, NULL},
	{M(cpu_shares), 262144, NULL},
	{M(cpu_shares), 1, "cpu shares"},
	{M(cpu_shares), 262145, "cpu shares"},
	{M(cpu_weight), 1, NULL},
	{M(cpu_weight), 10000, NULL},
	{M(cpu_weight), 0, "cpu weight"},
	{M(cpu_weight), 10001, "cpu weight"},
	{M(pids_max), 1, NULL},
	{M(pids_max), -1, NULL},
	{M(pids_max), -2, "pids limit"},
	{M(pids_max), 0, "pids limit"},
};

static void ranges(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = ERR_INIT;
		struct cg_limits l;
		int r;

		cg_limits_init(&l);
		memcpy((char *)&l + rows[i].offset, &rows[i].value, sizeof(int64_t));
		r = cg_limits_check(&l, &e);
		if (!rows[i].error) {
			assert_int_equal(r, 0);
			continue;
		}
		assert_int_equal(e.kind, ERR_INVALID);
		assert_true(r < 0);
		assert_non_null(strstr(e.text, rows[i].error));
	}
}

static void swap_counts_memory_too(void **state)
{
	struct err e = ERR_INIT;
	struct cg_limits l;

	(void)state;
	cg_limits_init(&l);
	l.memory_bytes = 8192;
	l.memory_swap_bytes = 8192;
	assert_int_equal(cg_limits_check(&l, &e), 0);
	l.memory_swap_bytes = 4096;
	assert_true(cg_limits_check(&l, &e) < 0);
	assert_non_null(strstr(e.text, "below the memory limit"));
}

static void cpuset_lists(void **state)
{
	static const struct {
		const char *list;
		int ok;
	} lists[] = {
		{"0", 1},        {"0-3,7", 1},    {"0-10:2/4", 1}, {"0,1,2", 1},      {"", 0},
		{"3-1", 0},      {"0,", 0},       {",0", 0},       {"a", 0},          {"0-", 0},
		{"-1", 0},       {"0 1", 0},      {"0\n1", 0},     {"99999", 0},      {"0-10:2", 0},
		{"0-10:5/4", 0}, {"0-10:1/0", 0}, {"0--1", 0},     {"4294967296", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct err e = ERR_INIT;
		struct cg_limits l;

		cg_limits_init(&l);
		l.cpuset_cpus = (char *)(uintptr_t)lists[i].list;
		assert_int_equal(cg_limits_check(&l, &e) == 0, lists[i].ok);
		cg_limits_init(&l);
		l.cpuset_mems = (char *)(uintptr_t)lists[i].list;
		assert_int_equal(cg_limits_check(&l, NULL) == 0, lists[i].ok);
		if (!lists[i].ok)
			assert_non_null(strstr(e.text, "cpuset cpus"));
	}
}

static int check_file(const char *file, const char *value, struct err *e)
{
	struct cg_unified u = {(char *)(uintptr_t)file, (char *)(uintptr_t)value};
	struct cg_limits l;

	cg_limits_init(&l);
	l.unified = &u;
	l.n_unified = 1;
	return cg_limits_check(&l, e);
}

static void unified_names(void **state)
{
	static const char *const bad[] = {"../memory.max",
					  "/memory.max",
					  "a/b.c",
					  "",
					  "..",
					  ".hidden",
					  "memory",
					  "cgroup.procs",
					  "cgroup.threads",
					  "cgroup.kill",
					  "cgroup.freeze",
					  "cgroup.type",
					  "cgroup.subtree_control"};
	struct cg_unified twice[] = {{(char *)(uintptr_t) "io.max", (char *)(uintptr_t) "1"},
				     {(char *)(uintptr_t) "io.max", (char *)(uintptr_t) "2"}};
	struct err e = ERR_INIT;
	struct cg_limits l;

	(void)state;
	assert_int_equal(check_file("memory.high", "1000000", NULL), 0);
	assert_int_equal(check_file("cgroup.max.depth", "3", NULL), 0);
	assert_true(check_file("memory.high", "", NULL) < 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(check_file(bad[i], "1", NULL) < 0);
	cg_limits_init(&l);
	l.unified = twice;
	l.n_unified = 2;
	assert_true(cg_limits_check(&l, &e) < 0);
	assert_non_null(strstr(e.text, "'io.max' is given twice"));
}

static void device_rules(void **state)
{
	static const struct {
		struct cg_device_rule rule;
		int ok;
	} table[] = {
		{{true, 'c', 1, 3, true, true, true}, 1},
		{{false, 'a', -1, -1, true, true, true}, 1},
		{{true, 'x', 1, 3, true, true, true}, 0},
		{{true, 'c', -2, 3, true, true, true}, 0},
		{{true, 'c', 1, 1 << 20, true, true, true}, 0},
		{{true, 'c', 4096, 3, true, true, true}, 0},
		{{true, 'c', 1, 3, false, false, false}, 0},
		{{true, 0, 1, 3, true, true, true}, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct cg_device_rule rule = table[i].rule;
		struct cg_limits l;

		cg_limits_init(&l);
		l.devices = &rule;
		l.n_devices = 1;
		assert_int_equal(cg_limits_check(&l, NULL) == 0, table[i].ok);
	}
}

/* --cpus: what the kernel takes, and the asked share within one per cent of a thousandth CPU. */
static void cpus(void **state)
{
	static const uint64_t asked[] = {1,      500,    1000,    2000,    9999,     10000, 15000,
					 100000, 500000, 1000000, 1250000, 64000000, 333333};

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct cg_limits l;
		double got;

		cg_limits_init(&l);
		cg_limits_set_cpus(&l, asked[i]);
		assert_int_equal(cg_limits_check(&l, NULL), 0);
		got = (double)l.cpu_quota_usec / (double)l.cpu_period_usec * 1e6;
		/* Under 0.001 CPU nothing less than 1 ms in 1 s exists. */
		if (asked[i] >= 1000)
			assert_true(got > (double)asked[i] * 0.99 && got < (double)asked[i] * 1.01);
		else
			assert_true(got <= 1000.1);
	}
	{
		struct cg_limits l;

		cg_limits_init(&l);
		cg_limits_set_cpus(&l, 500000);
		assert_int_equal(l.cpu_period_usec, 100000);
		assert_int_equal(l.cpu_quota_usec, 50000);
		cg_limits_set_cpus(&l, UINT64_MAX);
		assert_int_equal(cg_limits_check(&l, NULL), 0);
	}
}

static void weights(void **state)
{
	(void)state;
	assert_int_equal(cg_weight_of_shares(2), 1);
	assert_int_equal(cg_weight_of_shares(262144), 10000);
	assert_int_equal(cg_weight_of_shares(1024), 39);
	assert_int_equal(cg_weight_of_shares(0), 1);
	assert_int_equal(cg_weight_of_shares(UINT64_MAX), 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),       cmocka_unit_test(swap_counts_memory_too),
		cmocka_unit_test(cpuset_lists), cmocka_unit_test(unified_names),
		cmocka_unit_test(device_rules), cmocka_unit_test(cpus),
		cmocka_unit_test(weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
