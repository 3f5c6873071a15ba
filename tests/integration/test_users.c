/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary users, with and without subordinate ids: what works for them as for root, what is refused and how that is said.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_the_world_of_a_user(void **state)
{
	struct world *w = *state;
	const struct user *u = world_add_user(w, "ada", 4711, "100000:65536");
	struct run_result r =
		run(&(struct run_spec){.argv = ARGV("/bin/busybox", "sh", "-c",
						    "id -u; id -G; pwd; echo $XDG_RUNTIME_DIR; cat "
						    "/etc/subuid; touch f && echo own"),
				       .user = u});
	char expected[512];

	snprintf(expected, sizeof(expected), "4711\n4711\n/home/ada\n%s\nada:100000:65536\nown\n",
		 u->runtime);
	expect_result(r, 0, expected, NULL);
	struct world as = world_as(w, u);

	expect_result(run_oci(&as, ARGV("list", "-q")), 0, "", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_world_of_a_user, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
