/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices that move into a container. The test is in a network namespace of its own, with a veth pair as "hardware". */
#include "box.h"

#include <net/if.h>

static void add_device(struct box *b, const char *host_name, const char *name)
{
	struct iso_net_device *v = realloc(b->c.net_devices, (b->c.n_net_devices + 1) * sizeof(*v));

	b->c.net_devices = v;
	v[b->c.n_net_devices++] =
		(struct iso_net_device){.host_name = strdup(host_name), .name = strdup(name)};
}

static void must_run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void make_pair(void)
{
	if (system("ip link add one type veth peer name other") != 0) {
		print_message("# no veth pairs here (module veth, package iproute2)\n");
		skip();
	}
	must_run("ip addr add 192.0.2.5/24 brd 192.0.2.255 dev one && "
		 "ip -6 addr add 2001:db8::5/64 nodad dev one && ip link set other up && "
		 "ip link set one up");
}

static void moves(bool userns)
{
	_cleanup_box_ struct box b;

	make_pair();
	box_init(&b);
	if (userns)
		box_map_ids(&b, 100000);
	add_device(&b, "one", "eth7");
	box_args(&b.p, "ip", "addr", "show", "dev", "eth7", NULL);
	box_run_ok(&b);
	assert_contains(b.out, "inet 192.0.2.5/24 brd 192.0.2.255");
	assert_contains(b.out, "inet6 2001:db8::5/64");
	assert_contains(b.out, ",UP");
	assert_int_equal(if_nametoindex("one"), 0);
	/* A virtual device goes with the namespace, and its peer with it: nothing is left. */
	(void)!system("ip link del other 2>/dev/null");
}

static void a_device_moves_with_its_addresses(void **state)
{
	(void)state;
	moves(false);
}

static void into_a_user_namespace(void **state)
{
	(void)state;
	moves(true);
}

static void a_template_of_a_name(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	make_pair();
	box_init(&b);
	add_device(&b, "one", "eth%d");
	box_args(&b.p, "ip", "addr", "show", "dev", "eth0", NULL);
	box_run_ok(&b);
	assert_contains(b.out, "inet 192.0.2.5/24");
	(void)!system("ip link del other 2>/dev/null");
}

static void a_device_that_is_not_there(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	add_device(&b, "gone0", "eth0");
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -ENODEV);
	assert_contains(b.e.text, "network device 'gone0': look for it on the host");
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *host_name, *name, *text;
	} rows[] = {
		{"one", "a/b", "'a/b' is no name"},
		{"", "eth0", "'' is no name"},
		{"one", "0123456789abcdef", "no name"},
		{"one", "eth%d0", "no name"},
		{"one", "%d", "no name"},
		{"one", "e/%d", "no name"},
		{"one", "lo", "'lo' belongs"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		add_device(&b, rows[i].host_name, rows[i].name);
		box_args(&b.p, "true", NULL);
		assert_int_equal(box_run(&b), -EINVAL);
		assert_contains(b.e.text, rows[i].text);
	}

	_cleanup_box_ struct box b;

	box_init(&b);
	b.c.ns[ISO_NS_NETWORK].mode = ISO_NS_INHERIT;
	add_device(&b, "one", "eth0");
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -EINVAL);
	assert_contains(b.e.hint, "\"network\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_moves_with_its_addresses),
		cmocka_unit_test(into_a_user_namespace),
		cmocka_unit_test(a_template_of_a_name),
		cmocka_unit_test(a_device_that_is_not_there),
		cmocka_unit_test(what_is_refused),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	box_must(unshare(CLONE_NEWNET) == 0, "network namespace");
	box_prepare_tree();
	return cmocka_run_group_tests(tests, NULL, no_children_left);
}
