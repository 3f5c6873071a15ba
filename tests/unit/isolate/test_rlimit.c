/* SPDX-License-Identifier: Apache-2.0 */
/* Names of limits, what is refused in them, and the way out when a hard limit cannot be raised. */
#include "box.h"

#include <sys/resource.h>

static void names(void **state)
{
	int resource = -1;

	(void)state;
	assert_int_equal(iso_rlimit_parse("RLIMIT_NOFILE", &resource), 0);
	assert_int_equal(resource, RLIMIT_NOFILE);
	assert_int_equal(iso_rlimit_parse("RLIMIT_RTTIME", &resource), 0);
	assert_int_equal(resource, RLIMIT_RTTIME);
	assert_int_equal(iso_rlimit_parse("NOFILE", &resource), -EINVAL);
	assert_int_equal(iso_rlimit_parse("rlimit_nofile", &resource), -EINVAL);
	assert_int_equal(iso_rlimit_parse("", &resource), -EINVAL);
	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		assert_int_equal(iso_rlimit_parse(iso_rlimit_name(i), &resource), 0);
		assert_int_equal(resource, i);
	}
	assert_null(iso_rlimit_name(-1));
	assert_null(iso_rlimit_name(RLIMIT_NLIMITS));
}

static void check(struct iso_rlimit *l, size_t n, const char *text)
{
	_cleanup_box_ struct box b;

	box_init(&b);
	box_args(&b.p, "true", NULL);
	b.p.rlimits = l;
	b.p.n_rlimits = n;
	assert_int_equal(iso_config_check(&b.c, &b.p, &b.e), -EINVAL);
	assert_contains(b.e.text, text);
	b.p.rlimits = NULL;
}

static void refused(void **state)
{
	struct iso_rlimit twice[] = {{RLIMIT_CORE, 0, 0}, {RLIMIT_CORE, 1, 1}};
	struct iso_rlimit above[] = {{RLIMIT_NOFILE, 11, 10}};
	struct iso_rlimit infinite[] = {{RLIMIT_NOFILE, UINT64_MAX, 10}};

	(void)state;
	check(twice, 2, "RLIMIT_CORE is given twice");
	check(above, 1, "soft RLIMIT_NOFILE 11 is above the hard limit 10");
	check(infinite, 1, "above the hard limit 10");
}

/* Without CAP_SYS_RESOURCE, which a build machine may lack anyway: a child that drops it. */
static void raising_a_hard_limit_names_the_way_out(void **state)
{
	_cleanup_box_ struct box b;
	struct rlimit core, low;

	(void)state;
	if (iso_caps_held() & UINT64_C(1) << 24 /* CAP_SYS_RESOURCE */) {
		print_message("# skip: CAP_SYS_RESOURCE is held, nothing is refused\n");
		skip();
	}
	getrlimit(RLIMIT_CORE, &core);
	low = (struct rlimit){0, 1u << 20};
	setrlimit(RLIMIT_CORE, &low);
	box_init(&b);
	b.p.rlimits = calloc(1, sizeof(struct iso_rlimit));
	b.p.rlimits[0] = (struct iso_rlimit){RLIMIT_CORE, 0, 1u << 21};
	b.p.n_rlimits = 1;
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_create(&b), 0);
	assert_int_equal(iso_init_start(&b.init, &b.e), -EPERM);
	assert_contains(b.e.text, "RLIMIT_CORE");
	assert_contains(b.e.hint, "1048576");
	assert_contains(b.e.hint, "CAP_SYS_RESOURCE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(refused),
		cmocka_unit_test_teardown(raising_a_hard_limit_names_the_way_out, no_children_left),
	};

	box_prepare_tree();
	return cmocka_run_group_tests_name("isolate/rlimit", tests, NULL, NULL);
}
