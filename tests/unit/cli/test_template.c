/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --format templates, times as people write them, and the filters of ps.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../cli/ps_filter.h"
#include "../../../cli/template.h"
#include "../../../cli/times.h"
#include "base/cleanup.h"
#include "runtime/runtime.h"

static const char document[] =
	"{\"ID\": \"web\", \"state\": {\"exitCode\": 7, \"running\": false, \"error\": \"\"}, "
	"\"labels\": {\"a.b\": \"x y\"}, \"args\": [\"sh\", \"-c\"], \"none\": null}";

static void renders(void **state)
{
	static const struct {
		const char *template, *out, *heading;
	} rows[] = {
		{"{{.ID}}", "web", "ID"},
		{"{{ .State.ExitCode }}", "7", "EXITCODE"},
		{"{{.state.exitcode}} {{.State.Running}}", "7 false", "EXITCODE RUNNING"},
		{"a{{.State.Error}}b\\t\\n", "ab\t\n", "aERRORb\t\n"},
		{"{{json .Args}}", "[\"sh\",\"-c\"]", "ARGS"},
		{"{{json .ID}}", "\"web\"", "ID"},
		{"{{index .Labels \"a.b\"}}", "x y", "A.B"},
		{"{{index .Labels \"no\"}}", "", "NO"},
		{"{{json .None}}", "null", "NONE"},
		{"plain } {", "plain } {", "plain } {"},
	};
	struct json *doc = NULL;

	(void)state;
	assert_int_equal(json_parse(document, strlen(document), "test", &doc, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct strbuf out = {0}, head = {0};

		assert_int_equal(template_render(rows[i].template, doc, &out, NULL), 0);
		assert_string_equal(out.data, rows[i].out);
		assert_int_equal(template_heading(rows[i].template, &head, NULL), 0);
		assert_string_equal(head.data, rows[i].heading);
		strbuf_done(&out);
		strbuf_done(&head);
	}
	json_free(doc);
}

static void refuses(void **state)
{
	static const struct {
		const char *template;
		int error;
		const char *hint;
	} rows[] = {
		{"{{.Nothing}}", EINVAL, "ID, state"},  {"{{.State.Nothing}}", EINVAL, "exitCode"},
		{"{{.ID.Deeper}}", EINVAL, ""},         {"{{.ID", EINVAL, ""},
		{"{{range .Args}}", ENOTSUP, "{{json"}, {"{{if .ID}}", ENOTSUP, "{{json"},
		{"{{.ID | upper}}", ENOTSUP, "{{json"}, {"{{.State..ExitCode}}", ENOTSUP, ""},
		{"{{.State.}}", ENOTSUP, ""},           {"{{}}", ENOTSUP, ""},
		{"{{index .Labels a}}", ENOTSUP, ""},
	};
	struct json *doc = NULL;

	(void)state;
	assert_int_equal(json_parse(document, strlen(document), "test", &doc, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct strbuf out = {0};
		struct err e = ERR_INIT;

		assert_int_equal(template_render(rows[i].template, doc, &out, &e), -rows[i].error);
		assert_non_null(strstr(e.hint, rows[i].hint));
		strbuf_done(&out);
	}
	json_free(doc);
}

static void times(void **state)
{
	const int64_t second = 1000000000, now = 1769860800 * second; /* 2026-01-31T12:00:00Z */
	static const struct {
		const char *text;
		int64_t seconds, nsec;
	} rows[] = {
		{"2026-01-31T12:00:00Z", 1769860800, 0},
		{"2026-01-31T12:00:00", 1769860800, 0},
		{"2026-01-31 12:00", 1769860800, 0},
		{"2026-01-31T14:00:00+02:00", 1769860800, 0},
		{"2026-01-31T11:30:00.25-00:30", 1769860800, 250000000},
		{"2026-01-31T12:00:00.123456789Z", 1769860800, 123456789},
		{"2026-01-31", 1769817600, 0},
		{"1769860800", 1769860800, 0},
		{"1769860800.5", 1769860800, 500000000},
		{"10m", 1769860200, 0},
		{"1h30m", 1769855400, 0},
		{"90", 1769860710, 0},
	};
	static const char *const bad[] = {
		"",
		"yesterday",
		"2026-13-01",
		"2026-01-31T25:00:00",
		"2026-1-1",
		"2026-01-31T12:00:00X",
		"1769860800.",
		"99999999999999999999",
		"-5",
		"2026-01-31T12:00:00.",
		"2026-01-31T12:00:00+2",
	};
	struct err e = ERR_INIT;
	int64_t t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(time_parse(rows[i].text, now, "--since", &t, NULL), 0);
		assert_int_equal(t, rows[i].seconds * second + rows[i].nsec);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(time_parse(bad[i], now, "--since", &t, &e), -EINVAL);
}

static void filters(void **state)
{
	char *labels[] = {"tier=front", "plain", NULL};
	const struct sandbox s = {.state = {.name = "web-1",
					    .driver = "container",
					    .image = "alpine",
					    .labels = labels,
					    .exit_code = 3}};
	static const struct {
		const char *filters[4];
		bool fits;
	} rows[] = {
		{{NULL}, true},
		{{"name=web"}, true},
		{{"name=eb-"}, true},
		{{"name=db"}, false},
		{{"name=db", "name=web"}, true},
		{{"name=web", "exited=3"}, true},
		{{"name=web", "exited=4"}, false},
		{{"id=we"}, true},
		{{"id=eb"}, false},
		{{"status=exited"}, true},
		{{"status=running"}, false},
		{{"label=tier"}, true},
		{{"label=tier=front"}, true},
		{{"label=tier=back"}, false},
		{{"label=tie"}, false},
		{{"label=plain"}, true},
		{{"ancestor=alpine"}, true},
		{{"ancestor=alp"}, false},
		{{"kind=container"}, true},
		{{"kind=vm"}, false},
	};
	struct err e = ERR_INIT;
	bool all;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *const *list = (char *const *)rows[i].filters;

		assert_int_equal(ps_filter_check(list, &all, NULL), 0);
		assert_int_equal(ps_filter_fits(list, &s, "web-1", RT_STOPPED), rows[i].fits);
	}
	char *const broken[] = {"status=broken", NULL}, *const wrong[] = {"colour=red", NULL},
		    *const none[] = {"status=tired", NULL}, *const bare[] = {"name", NULL};

	assert_true(ps_filter_fits(broken, NULL, "web-1", RT_STOPPED));
	assert_int_equal(ps_filter_check(wrong, &all, &e), -EINVAL);
	assert_int_equal(ps_filter_check(none, &all, &e), -EINVAL);
	assert_int_equal(ps_filter_check(bare, &all, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renders),
		cmocka_unit_test(refuses),
		cmocka_unit_test(times),
		cmocka_unit_test(filters),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
