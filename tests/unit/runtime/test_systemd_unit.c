/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of scopes and slices, limits and annotations as properties: what systemd is asked for, without a bus.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "../../../runtime/systemd_unit.h"

static const struct {
	const char *wanted, *id;
	bool user;
	const char *name, *slice; /* NULL: refused */
} names[] = {
	{NULL, "web", false, "insula-web.scope", "system.slice"},
	{"", "web", true, "insula-web.scope", "user.slice"},
	{"machine.slice:libpod:123", "x", false, "libpod-123.scope", "machine.slice"},
	{":libpod:123", "x", false, "libpod-123.scope", "system.slice"},
	{"::123", "x", true, "123.scope", "user.slice"},
	{"machine-libpod_pod_7.slice:libpod:1", "x", false, "libpod-1.scope",
	 "machine-libpod_pod_7.slice"},
	{"-.slice:a:b", "x", false, "a-b.scope", "-.slice"},
	{"/machine.slice/a.scope", "x", false, NULL, NULL},
	{"a:b", "x", false, NULL, NULL},
	{"a.slice:b:c:d", "x", false, NULL, NULL},
	{"a.slice:b:", "x", false, NULL, NULL},
	{"a.slice:b:c/../d", "x", false, NULL, NULL},
	{"a.slice:b:c d", "x", false, NULL, NULL},
	{"a.slice:b:c\nd", "x", false, NULL, NULL},
	{"a.slice:b:c@d", "x", false, NULL, NULL},
	{"a.service:b:c", "x", false, NULL, NULL},
	{"a--b.slice:b:c", "x", false, NULL, NULL},
	{"-a.slice:b:c", "x", false, NULL, NULL},
	{"a-.slice:b:c", "x", false, NULL, NULL},
	{".slice:b:c", "x", false, NULL, NULL},
	{"../x.slice:b:c", "x", false, NULL, NULL},
	{"a.slice:b:c.slice", "x", false, NULL, NULL},
	{NULL, "a+b", false, NULL, NULL},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct systemd_unit u = {0};
		struct err e = ERR_INIT;
		int r = systemd_unit_resolve(names[i].wanted, names[i].id, names[i].user, &u, &e);

		if (!names[i].name) {
			assert_true(r < 0);
			assert_true(e.text[0]);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(u.name, names[i].name);
		assert_string_equal(u.slice, names[i].slice);
		systemd_unit_done(&u);
	}
}

static void test_long_name(void **state)
{
	struct systemd_unit u = {0};
	struct err e = ERR_INIT;
	char wanted[400] = "a.slice:b:";

	(void)state;
	memset(wanted + 10, 'x', 300);
	assert_int_equal(systemd_unit_resolve(wanted, "x", false, &u, &e), -EINVAL);
	assert_non_null(strstr(e.text, "longer than 255"));
}

static void test_slices(void **state)
{
	static const struct {
		const char *slice, *path;
	} rows[] = {
		{"-.slice", "/"},
		{"a.slice", "/a.slice"},
		{"a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *path = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(systemd_slice_path(rows[i].slice, &path, &e), 0);
		assert_string_equal(path, rows[i].path);
	}
}

static void test_groups(void **state)
{
	static const struct {
		const char *text, *path;
	} rows[] = {
		{"0::/a.slice/a-b.slice/x.scope\n", "/a.slice/a-b.slice/x.scope"},
		{"0::/user.slice/u@1.service/a.slice/a-b.slice/x.scope\n",
		 "/user.slice/u@1.service/a.slice/a-b.slice/x.scope"},
		{"5:memory:/\n1:name=systemd:/a.slice/a-b.slice/x.scope\n0::/other\n",
		 "/a.slice/a-b.slice/x.scope"},
		{"0::/a.slice/a-b.slice/y.scope\n", NULL},
		{"0::/x.scope\n", NULL},
		{"5:memory:/a.slice/a-b.slice/x.scope\n", NULL},
		{"", NULL},
	};
	const struct systemd_unit u = {(char *)"x.scope", (char *)"a-b.slice"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *path = NULL;
		struct err e = ERR_INIT;
		int r = systemd_group_of(rows[i].text, &u, &path, &e);

		assert_int_equal(r < 0, !rows[i].path);
		if (rows[i].path)
			assert_string_equal(path, rows[i].path);
	}
}

/* ---- properties -------------------------------------------------------------------------------- */

static char *text_of(struct json *v)
{
	char *text = NULL;

	assert_int_equal(json_to_text(v, false, &text, NULL), 0);
	json_free(v);
	return text;
}

static char *limits_text(const struct cg_limits *l, bool v2)
{
	struct json *into = json_new_array();
	struct err e = ERR_INIT;

	assert_int_equal(systemd_limit_properties(l, v2, into, &e), 0);
	return text_of(into);
}

static void expect_limit(const struct cg_limits *l, const char *property)
{
	_cleanup_free_ char *text = limits_text(l, true);

	if (!strstr(text, property))
		fail_msg("no %s in %s", property, text);
}

static void test_no_limits(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct cg_limits l;

	(void)state;
	cg_limits_init(&l);
	text = limits_text(&l, true);
	assert_string_equal(text, "[]");
}

static void test_limits(void **state)
{
	_cleanup_free_ char *v1 = NULL;
	struct cg_limits l;

	(void)state;
	cg_limits_init(&l);
	l.memory_bytes = 1000;
	l.memory_swap_bytes = 1500;
	l.memory_low_bytes = 10;
	l.cpu_shares = 2;
	l.cpu_quota_usec = 12345;
	l.cpu_period_usec = 50000;
	l.pids_max = CG_MAX;
	l.cpuset_cpus = strdup("0-2,9");
	expect_limit(&l, "[\"MemoryMax\",\"t\",\"1000\"]");
	/* OCI counts both together, v2 swap alone. */
	expect_limit(&l, "[\"MemorySwapMax\",\"t\",\"500\"]");
	expect_limit(&l, "[\"MemoryLow\",\"t\",\"10\"]");
	expect_limit(&l, "[\"CPUWeight\",\"t\",\"1\"]");
	/* 24.69 % of a processor: whole percents, upwards. */
	expect_limit(&l, "[\"CPUQuotaPerSecUSec\",\"t\",\"250000\"]");
	expect_limit(&l, "[\"CPUQuotaPeriodUSec\",\"t\",\"50000\"]");
	expect_limit(&l, "[\"TasksMax\",\"t\",\"18446744073709551615\"]");
	expect_limit(&l, "[\"AllowedCPUs\",\"ay\",\"7\",\"2\"]");
	v1 = limits_text(&l, false);
	assert_non_null(strstr(v1, "[\"MemoryLimit\",\"t\",\"1000\"]"));
	assert_non_null(strstr(v1, "[\"CPUShares\",\"t\",\"2\"]"));
	assert_null(strstr(v1, "AllowedCPUs"));
	cg_limits_done(&l);
}

static void test_devices(void **state)
{
	struct cg_device_rule rules[] = {
		{false, 'a', -1, -1, true, true, true},
		{true, 'c', 1, 3, true, true, false},
		{true, 'b', 8, -1, true, false, false},
		{true, 'a', -1, -1, false, false, true},
	};
	_cleanup_free_ char *text = NULL;
	struct cg_limits l;

	(void)state;
	cg_limits_init(&l);
	l.devices = rules;
	l.n_devices = ARRAY_SIZE(rules);
	expect_limit(&l, "[\"DevicePolicy\",\"s\",\"strict\"]");
	expect_limit(&l, "[\"DeviceAllow\",\"a(ss)\",\"/dev/char/1:3\",\"rw\",\"block-8\",\"r\","
			 "\"block-*\",\"m\",\"char-*\",\"m\"]");
	/* What systemd cannot say is left to our own program alone: a wrong half would be worse. */
	rules[2].allow = false;
	text = limits_text(&l, true);
	assert_string_equal(text, "[]");
}

static const struct {
	const char *annotation, *property; /* NULL: refused */
} annotations[] = {
	{"org.systemd.property.TimeoutStopUSec=uint64 5", "[[\"TimeoutStopUSec\",\"t\",\"5\"]]"},
	{"org.systemd.property.TimeoutStopSec=uint64 5",
	 "[[\"TimeoutStopUSec\",\"t\",\"5000000\"]]"},
	{"org.systemd.property.CollectMode='inactive'", "[[\"CollectMode\",\"s\",\"inactive\"]]"},
	{"org.systemd.property.SendSIGHUP=true", "[[\"SendSIGHUP\",\"b\",\"true\"]]"},
	{"org.systemd.property.After=['a.service', \"b\"]",
	 "[[\"After\",\"as\",\"a.service\",\"b\"]]"},
	{"org.systemd.property.After=@as []", "[[\"After\",\"as\"]]"},
	{"org.systemd.property.Number=-7", "[[\"Number\",\"i\",\"-7\"]]"},
	{"org.systemd.property.Text='it\\'s'", "[[\"Text\",\"s\",\"it's\"]]"},
	{"org.other=1", "[]"},
	{"org.systemd.property.Slice='x.slice'", NULL},
	{"org.systemd.property.PIDs=uint32 1", NULL},
	{"org.systemd.property.Delegate=false", NULL},
	{"org.systemd.property.Description='x'", NULL},
	{"org.systemd.property.=1", NULL},
	{"org.systemd.property.lower=1", NULL},
	{"org.systemd.property.With Blank=1", NULL},
	{"org.systemd.property.Number=", NULL},
	{"org.systemd.property.Number=uint64 -1", NULL},
	{"org.systemd.property.Number=uint64 18446744073709551616", NULL},
	{"org.systemd.property.Number=byte 256", NULL},
	{"org.systemd.property.Number=2147483648", NULL},
	{"org.systemd.property.Text='open", NULL},
	{"org.systemd.property.Text='a' b", NULL},
	{"org.systemd.property.Text='\\x'", NULL},
	{"org.systemd.property.List=['a'", NULL},
	{"org.systemd.property.List=['a' 'b']", NULL},
	{"org.systemd.property.List=['a'] c", NULL},
	{"org.systemd.property.TimeoutStopSec='5'", NULL},
	{"org.systemd.property.TimeoutStopSec=uint64 18446744073709551615", NULL},
};

static void test_annotations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(annotations); i++) {
		char *strv[] = {(char *)annotations[i].annotation, NULL};
		struct json *into = json_new_array();
		_cleanup_free_ char *text = NULL;
		struct err e = ERR_INIT;
		int r = systemd_annotation_properties(strv, into, &e);

		text = text_of(into);
		if (!annotations[i].property) {
			if (r == 0)
				fail_msg("accepted: %s", annotations[i].annotation);
			assert_non_null(strstr(e.text, "org.systemd.property."));
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(text, annotations[i].property);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),     cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_slices),    cmocka_unit_test(test_groups),
		cmocka_unit_test(test_no_limits), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_devices),   cmocka_unit_test(test_annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
