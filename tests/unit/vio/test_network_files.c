/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/hosts and /etc/resolv.conf as text: hosts(5), resolv.conf(5), docker's and podman's words for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "vio/network_files.h"

static char *hosts(const struct vio_hosts *h)
{
	struct err e = ERR_INIT;
	char *text = NULL;

	if (vio_hosts_text(h, &text, &e) < 0)
		fail_msg("%s", e.text);
	return text;
}

static void test_hosts(void **state)
{
	char *const extra[] = {"db:10.0.0.5", "six:fd00::5",  "brackets:[fd00::6]",
			       "eq=10.0.0.7", "a;b:10.0.0.8", NULL};
	const struct vio_hosts h = {.hostname = "box", .domainname = "lab", .extra = extra};
	char *text = hosts(&h);

	(void)state;
	assert_true(strncmp(text, "127.0.0.1\tlocalhost\n", 20) == 0);
	assert_non_null(strstr(text, "\n::1\tlocalhost "));
	assert_non_null(strstr(text,
			       "\n10.0.0.5\tdb\nfd00::5\tsix\nfd00::6\tbrackets\n10.0.0.7\teq\n"
			       "10.0.0.8\ta\tb\n127.0.1.1\tbox.lab\tbox\n"));
	free(text);
	text = hosts(&(struct vio_hosts){.hostname = "a.b.c"});
	assert_non_null(strstr(text, "\n127.0.1.1\ta.b.c\ta\n"));
	free(text);
	/* The host's own, with no newline at its end, and no name of ours. */
	text = hosts(&(struct vio_hosts){.base = "127.0.0.1 localhost", .extra = extra + 3});
	assert_string_equal(text, "127.0.0.1 localhost\n10.0.0.7\teq\n10.0.0.8\ta\tb\n");
	free(text);
}

static void test_bad_hosts(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "x:",
					  ":10.0.0.1",
					  "x:10.0.0",
					  "x:y",
					  "x y:10.0.0.1",
					  "x\n:10.0.0.1",
					  "x:10.0.0.1\n1.2.3.4 evil",
					  "x:[10.0.0.1",
					  "-x:10.0.0.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *const extra[] = {(char *)bad[i], NULL};
		struct err e = ERR_INIT;
		char *text = NULL;

		if (vio_hosts_text(&(struct vio_hosts){.extra = extra}, &text, &e) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_null(text);
	}
	char *const gateway[] = {"host.docker.internal:host-gateway", NULL};
	char *text = NULL;

	assert_int_equal(vio_hosts_text(&(struct vio_hosts){.extra = gateway}, &text, NULL),
			 -ENOTSUP);
}

static const char host_file[] = "# made by hand\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n"
				"search corp.example\noptions edns0";

static void test_resolver(void **state)
{
	char *const one[] = {"192.0.2.1", NULL}, *const zone[] = {"fe80::1%eth0", NULL};
	char *const search[] = {"a.b", "c", NULL}, *const none[] = {".", NULL};
	char *const options[] = {"ndots:2", "rotate", NULL};
	const struct {
		struct vio_resolver r;
		const char *text;
	} cases[] = {
		{{0}, ""},
		{{.servers = one, .search = search, .options = options},
		 "nameserver 192.0.2.1\nsearch a.b c\noptions ndots:2 rotate\n"},
		{{.servers = zone}, "nameserver fe80::1%eth0\n"},
		{{.base = host_file},
		 "# made by hand\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch corp.example\n"
		 "options edns0\n"},
		{{.base = host_file, .servers = one},
		 "# made by hand\nsearch corp.example\noptions edns0\nnameserver 192.0.2.1\n"},
		{{.base = host_file, .search = none, .options = options},
		 "# made by hand\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n"
		 "options ndots:2 rotate\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = NULL;

		assert_int_equal(vio_resolver_text(&cases[i].r, &text, NULL), 0);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

static void test_bad_resolver(void **state)
{
	char *const server[] = {"1.2.3", NULL}, *const line[] = {"1.2.3.4\nsearch x", NULL};
	char *const search[] = {"a b", NULL}, *const both[] = {".", "a", NULL};
	char *const option[] = {"a\nb", NULL}, *const empty[] = {"", NULL};
	const struct vio_resolver bad[] = {
		{.servers = server}, {.servers = line},  {.search = search}, {.search = both},
		{.options = option}, {.options = empty}, {.servers = empty}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *text = NULL;

		assert_int_equal(vio_resolver_text(&bad[i], &text, NULL), -EINVAL);
		assert_null(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_bad_hosts),
		cmocka_unit_test(test_resolver),
		cmocka_unit_test(test_bad_resolver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
