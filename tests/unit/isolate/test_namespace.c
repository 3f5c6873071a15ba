/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces, id maps, and the configuration's checks. */
#include <sched.h>
#include <sys/mount.h>

#include "box.h"

#include "../../../isolate/spawn.h"

static void names(void **state)
{
	enum iso_ns ns;

	(void)state;
	for (int i = 0; i < ISO_NS_COUNT; i++) {
		assert_int_equal(iso_ns_parse(iso_ns_table[i].oci_name, &ns), 0);
		assert_int_equal(ns, i);
	}
	assert_int_equal(iso_ns_parse("mnt", &ns), -EINVAL);
	assert_int_equal(iso_ns_parse("", &ns), -EINVAL);
	assert_int_equal(iso_ns_parse("PID", &ns), -EINVAL);
}

static void open_of_a_process(void **state)
{
	struct err e = ERR_INIT;
	int fd = iso_ns_open(getpid(), ISO_NS_MOUNT, &e);
	char link[64], want[64];
	ssize_t n;

	(void)state;
	assert_true(fd >= 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, want, sizeof(want) - 1);
	assert_true(n > 0);
	want[n] = '\0';
	assert_contains(want, "mnt:[");
	close(fd);
	assert_true(iso_ns_open(0x7ffffff0, ISO_NS_MOUNT, &e) < 0);
	assert_contains(e.text, "mount namespace");
}

static void maps_checked(void **state)
{
	static const struct {
		struct iso_id_map v[2];
		size_t n;
		const char *text; /* NULL: good */
	} rows[] = {
		{{{0, 100000, 65536}}, 1, NULL},
		{{{0, 1000, 1}, {1, 100000, 65536}}, 2, NULL},
		{{{0, 0, UINT32_MAX}}, 1, NULL},
		{{{0, 1, UINT32_MAX}}, 1, "overflow"},
		{{{UINT32_MAX, 1, 1}}, 1, "overflow"},
		{{{4294967000u, 1, 1000}}, 1, "overflow"},
		{{{0, 1, 0}}, 1, "size is 0"},
		{{{0, 1000, 10}, {9, 5000, 1}}, 2, "container ids overlap"},
		{{{0, 1000, 10}, {10, 1009, 5}}, 2, "host ids overlap"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iso_id_map v[2] = {rows[i].v[0], rows[i].v[1]};
		struct iso_id_maps maps = {v, rows[i].n};
		struct err e = ERR_INIT;
		int r = iso_id_maps_check(&maps, "uidMappings", &e);

		assert_int_equal(r, rows[i].text ? -EINVAL : 0);
		if (rows[i].text) {
			assert_contains(e.text, rows[i].text);
			assert_contains(e.text, "uidMappings[");
		}
	}
}

static void to_host(void **state)
{
	struct iso_id_map v[] = {{0, 1000, 1}, {1, 100000, 65535}};
	struct iso_id_maps maps = {v, 2}, none = {0};
	uint32_t id = 5;

	(void)state;
	assert_int_equal(iso_id_to_host(&maps, 0, &id), 0);
	assert_int_equal(id, 1000);
	assert_int_equal(iso_id_to_host(&maps, 65535, &id), 0);
	assert_int_equal(id, 165534);
	assert_int_equal(iso_id_to_host(&maps, 65536, &id), -ERANGE);
	assert_int_equal(id, 165534);
	assert_int_equal(iso_id_to_host(&none, 77, &id), 0);
	assert_int_equal(id, 77);
}

/* ---- the configuration ------------------------------------------------------------------------ */

typedef void (*change_fn)(struct box *b);

static void no_mount_ns(struct box *b)
{
	b->c.ns[ISO_NS_MOUNT].mode = ISO_NS_INHERIT;
}
static void join_mount_ns(struct box *b)
{
	b->c.ns[ISO_NS_MOUNT].mode = ISO_NS_JOIN;
	b->c.ns[ISO_NS_MOUNT].path = strdup("/proc/1/ns/mnt");
}
static void host_uts(struct box *b)
{
	b->c.ns[ISO_NS_UTS].mode = ISO_NS_INHERIT;
	b->c.hostname = strdup("x");
}
static void long_name(struct box *b)
{
	b->c.hostname = malloc(66);
	memset(b->c.hostname, 'a', 65);
	b->c.hostname[65] = '\0';
}
static void maps_without_userns(struct box *b)
{
	box_map_ids(b, 1000);
	b->c.ns[ISO_NS_USER].mode = ISO_NS_INHERIT;
}
static void userns_without_maps(struct box *b)
{
	b->c.ns[ISO_NS_USER].mode = ISO_NS_NEW;
}
static void root_unmapped(struct box *b)
{
	box_map_ids(b, 1000);
	b->c.uid_maps.v[0].inside = 1;
}
static void uid_unmapped(struct box *b)
{
	box_map_ids(b, 1000);
	b->p.user.uid = 70000;
}
static void uid_minus_one(struct box *b)
{
	b->p.user.uid = UINT32_MAX;
}
static void no_args(struct box *b)
{
	strv_free(b->p.args);
	b->p.args = NULL;
}
static void empty_command(struct box *b)
{
	box_args(&b->p, "", NULL);
}
static void relative_cwd(struct box *b)
{
	b->p.cwd[0] = '.';
}
static void no_cwd(struct box *b)
{
	free(b->p.cwd);
	b->p.cwd = NULL;
}
static void oom_out_of_range(struct box *b)
{
	b->p.has_oom_score_adj = true;
	b->p.oom_score_adj = 1001;
}
static void effective_alone(struct box *b)
{
	b->p.caps.set[ISO_CAP_EFFECTIVE] = 1;
}
static void device(struct box *b, const char *path, char type, int64_t major)
{
	b->c.devices = calloc(1, sizeof(struct iso_device));
	b->c.devices[0] = (struct iso_device){.path = strdup(path), .type = type, .major = major};
	b->c.n_devices = 1;
}
static void relative_device(struct box *b)
{
	device(b, "dev/x", 'c', 1);
}
static void odd_device(struct box *b)
{
	device(b, "/dev/x", 'x', 1);
}
static void device_number(struct box *b)
{
	device(b, "/dev/x", 'b', 4096);
}
static void negative_device(struct box *b)
{
	device(b, "/dev/x", 'c', -1);
}

static void what_the_configuration_may_not_say(void **state)
{
	static const struct {
		change_fn change;
		const char *text;
	} rows[] = {
		{no_mount_ns, "mount namespace"},
		{join_mount_ns, "mount namespace"},
		{host_uts, "rename the host"},
		{long_name, "hostname"},
		{maps_without_userns, "without a user namespace"},
		{userns_without_maps, "uidMappings"},
		{root_unmapped, "neither id 0"},
		{uid_unmapped, "70000 is not mapped"},
		{uid_minus_one, "process.user.uid"},
		{no_args, "process.args"},
		{empty_command, "process.args"},
		{relative_cwd, "process.cwd"},
		{no_cwd, "process.cwd"},
		{oom_out_of_range, "oomScoreAdj"},
		{effective_alone, "capabilities"},
		{relative_device, "devices[0]"},
		{odd_device, "/dev/x"},
		{device_number, "4096"},
		{negative_device, "-1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		box_args(&b.p, "true", NULL);
		assert_int_equal(iso_config_check(&b.c, &b.p, &b.e), 0);
		rows[i].change(&b);
		if (iso_config_check(&b.c, &b.p, &b.e) == 0)
			fail_msg("row %zu was taken", i);
		assert_contains(b.e.text, rows[i].text);
	}
}

static void sysctls(void **state)
{
	static const struct {
		const char *key, *text; /* NULL: good */
	} rows[] = {
		{"net.ipv4.ip_forward", NULL},
		{"net/ipv4/conf/eth0.100/forwarding", NULL},
		{"net.ipv4.conf.eth0/100.forwarding", NULL},
		{"kernel.shmmax", NULL},
		{"kernel.sem", NULL},
		{"fs.mqueue.msg_max", NULL},
		{"kernel.domainname", NULL},
		{"kernel.hostname", "hostname"},
		{"kernel.core_pattern", "belongs to the host"},
		{"kernel.shmmaxx", "belongs to the host"},
		{"vm.swappiness", "belongs to the host"},
		{"net", "belongs to the host"},
		{"net/../kernel/core_pattern", "not a name"},
		{"net.//.kernel.core_pattern", "not a name"},
		{"net//ipv4", "not a name"},
		{"net..ipv4", "not a name"},
		{"/net/ipv4", "not a name"},
		{"net/./x", "not a name"},
		{"net.", "not a name"},
		{"", "not a name"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;
		int r;

		box_init(&b);
		b.c.sysctls = calloc(1, sizeof(struct iso_sysctl));
		b.c.sysctls[0].key = strdup(rows[i].key);
		b.c.sysctls[0].value = strdup("1");
		b.c.n_sysctls = 1;
		box_args(&b.p, "true", NULL);
		r = iso_config_check(&b.c, &b.p, &b.e);
		if (r != (rows[i].text ? -EINVAL : 0))
			fail_msg("'%s': %d %s", rows[i].key, r, b.e.text);
		if (rows[i].text)
			assert_contains(b.e.text, rows[i].text);
	}
}

static void sysctl_of_a_shared_namespace(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.c.sysctls = calloc(1, sizeof(struct iso_sysctl));
	b.c.sysctls[0].key = strdup("net.ipv4.ip_forward");
	b.c.sysctls[0].value = strdup("1");
	b.c.n_sysctls = 1;
	b.c.ns[ISO_NS_NETWORK].mode = ISO_NS_INHERIT;
	box_args(&b.p, "true", NULL);
	assert_int_equal(iso_config_check(&b.c, &b.p, &b.e), -EINVAL);
	assert_contains(b.e.text, "network namespace");
}

/* ---- a /proc that is none ------------------------------------------------------------------------ */

/* In a mount namespace of its own: /proc is an ordinary directory with files of the names that are written. */
static bool false_proc(void)
{
	static const char *const names[] = {"uid_map", "gid_map", "setgroups", "oom_score_adj"};
	char path[64];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("false", "/proc", "tmpfs", 0, NULL) < 0 || mkdir("/proc/4321", 0755) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "/proc/4321/%s", names[i]);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	return true;
}

static bool is_written(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 || st.st_size > 0;
}

static int false_proc_for_maps(void)
{
	struct iso_id_map v = {0, 100000, 1};
	const struct iso_id_maps maps = {&v, 1};
	struct err e = ERR_INIT;

	if (!false_proc())
		return 2;
	if (iso_id_maps_write(4321, &maps, &maps, &e) == 0 || is_written("/proc/4321/uid_map") ||
	    is_written("/proc/4321/gid_map"))
		return 3;
	return strstr(e.text, "/proc/4321") ? 0 : 4;
}

static int false_proc_for_oom_score(void)
{
	const struct iso_process p = {.has_oom_score_adj = true, .oom_score_adj = 500};
	struct err e = ERR_INIT;

	if (!false_proc())
		return 2;
	if (spawn_privileged_settings(4321, &p, false, &e) == 0 ||
	    is_written("/proc/4321/oom_score_adj"))
		return 3;
	return strstr(e.text, "oomScoreAdj") ? 0 : 4;
}

static void expect_in_child(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* What is believed to be set would not be (CVE-2019-19921): nothing is written there, and it is an error. */
static void a_false_proc_takes_no_maps(void **state)
{
	(void)state;
	expect_in_child(false_proc_for_maps);
}

static void a_false_proc_takes_no_oom_score(void **state)
{
	(void)state;
	expect_in_child(false_proc_for_oom_score);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(open_of_a_process),
		cmocka_unit_test(maps_checked),
		cmocka_unit_test(to_host),
		cmocka_unit_test(what_the_configuration_may_not_say),
		cmocka_unit_test(sysctls),
		cmocka_unit_test(sysctl_of_a_shared_namespace),
		cmocka_unit_test(a_false_proc_takes_no_maps),
		cmocka_unit_test(a_false_proc_takes_no_oom_score),
	};

	return cmocka_run_group_tests_name("isolate/namespace", tests, NULL, NULL);
}
