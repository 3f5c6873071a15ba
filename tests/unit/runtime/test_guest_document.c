/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest is told: the configuration in its guest form. Each case reads a document as a user
 * would write it, rewrites it, and looks at the result through the same parser that the guest uses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../runtime/vmm_document.h"
#include "base/cleanup.h"
#include "base/str.h"

#define PROCESS "\"process\":{\"args\":[\"/bin/true\"],\"cwd\":\"/\"}"
#define NS      "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"mount\"}]"

struct pair {
	struct oci_config host, guest;
	struct json *doc;
};

static void read_config(const char *text, const char *bundle, struct oci_config *ret)
{
	struct err e = ERR_INIT;
	struct json *doc = NULL;

	if (json_parse(text, strlen(text), "test", &doc, &e) < 0 ||
	    oci_config_read(doc, bundle, ret, &e) < 0)
		fail_msg("%s", e.text);
}

static void rewrite(const char *text, struct pair *p)
{
	struct err e = ERR_INIT;
	_cleanup_free_ char *out = NULL;

	read_config(text, "/bundle", &p->host);
	assert_int_equal(vmm_guest_document(&p->host, "thehost", &p->doc, &e), 0);
	/* through text, as it travels */
	assert_int_equal(json_to_text(p->doc, false, &out, NULL), 0);
	read_config(out, "/", &p->guest);
}

static void done(struct pair *p)
{
	oci_config_done(&p->host);
	oci_config_done(&p->guest);
	json_free(p->doc);
}

static bool has(const struct json *doc, const char *a, const char *b)
{
	struct json_at top = json_top(doc), x, y;

	return json_member(&top, a, &x) && (!b || json_member(&x, b, &y));
}

static void test_root_and_binds(void **state)
{
	struct pair p = {0};

	(void)state;
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS
		",\"root\":{\"path\":\"/srv/app\",\"readonly\":true},"
		"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"destination\":\"/data\",\"source\":\"/srv/"
		"data\",\"options\":[\"rbind\",\"ro\"]},"
		"{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"rel\"}],"
		"\"linux\":{" NS "}}",
		&p);
	assert_string_equal(p.guest.isolation.rootfs.path, "/run/insula/share/rootfs");
	assert_true(p.guest.isolation.rootfs.readonly);
	/* a tmpfs for /dev comes first, since nothing is mounted there */
	assert_int_equal(p.guest.isolation.n_mounts, 4);
	assert_string_equal(p.guest.isolation.mounts[0].destination, "/dev");
	assert_string_equal(p.guest.isolation.mounts[0].type, "tmpfs");
	assert_string_equal(p.guest.isolation.mounts[1].source, "proc");
	/* the number is the place in the user's document */
	assert_string_equal(p.guest.isolation.mounts[2].source, "/run/insula/share/mounts/1");
	assert_true(p.guest.isolation.mounts[2].flags & ISO_MOUNT_REC);
	assert_int_equal(p.guest.isolation.mounts[2].attr_set, p.host.isolation.mounts[1].attr_set);
	assert_string_equal(p.guest.isolation.mounts[3].source, "/run/insula/share/mounts/2");
	/* the user's document is untouched */
	assert_string_equal(p.host.isolation.mounts[1].source, "/srv/data");
	done(&p);
}

/* The host makes the layer: in the guest there is none over it, and the other words stay. */
static void test_a_throwaway_bind(void **state)
{
	struct pair p = {0};

	(void)state;
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS ",\"root\":{\"path\":\"/srv/app\"},"
		"\"mounts\":[{\"destination\":\"/data\",\"source\":\"/srv/data\","
		"\"options\":[\"rbind\",\"throwaway\",\"nosuid\"]}],\"linux\":{" NS "}}",
		&p);
	assert_true(p.host.isolation.mounts[0].flags & ISO_MOUNT_THROWAWAY);
	assert_int_equal(p.guest.isolation.mounts[1].flags, ISO_MOUNT_BIND | ISO_MOUNT_REC);
	assert_int_equal(p.guest.isolation.mounts[1].attr_set, p.host.isolation.mounts[0].attr_set);
	done(&p);
}

static void test_dev_is_kept(void **state)
{
	struct pair p = {0};

	(void)state;
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS ",\"root\":{\"path\":\"/srv/app\"},"
		"\"mounts\":[{\"destination\":\"/dev/\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
		"\"options\":[\"size=1m\"]}],\"linux\":{" NS "}}",
		&p);
	assert_int_equal(p.guest.isolation.n_mounts, 1);
	assert_string_equal(p.guest.isolation.mounts[0].data, "size=1m");
	done(&p);
}

static void test_namespaces(void **state)
{
	struct pair p = {0};

	(void)state;
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS ",\"root\":{\"path\":\"/srv/app\"},"
		"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\","
		"\"path\":\"/run/netns/x\"},{\"type\":\"mount\"}]}}",
		&p);
	assert_int_equal(p.guest.isolation.ns[ISO_NS_PID].mode, ISO_NS_NEW);
	assert_int_equal(p.guest.isolation.ns[ISO_NS_MOUNT].mode, ISO_NS_NEW);
	assert_int_equal(p.guest.isolation.ns[ISO_NS_UTS].mode, ISO_NS_NEW);
	assert_int_equal(p.guest.isolation.ns[ISO_NS_IPC].mode, ISO_NS_NEW);
	assert_int_equal(p.guest.isolation.ns[ISO_NS_CGROUP].mode, ISO_NS_NEW);
	assert_int_equal(p.guest.isolation.ns[ISO_NS_USER].mode, ISO_NS_INHERIT);
	/* a path of the host means nothing there */
	assert_int_equal(p.guest.isolation.ns[ISO_NS_NETWORK].mode, ISO_NS_NEW);
	assert_null(p.guest.isolation.ns[ISO_NS_NETWORK].path);
	done(&p);
}

static void test_only_guest_limits_travel(void **state)
{
	struct pair p = {0};

	(void)state;
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS ",\"root\":{\"path\":\"/srv/app\"},"
		"\"linux\":{" NS
		",\"cgroupsPath\":\"/a/b\",\"resources\":{\"memory\":{\"limit\":1000000},"
		"\"cpu\":{\"quota\":5000},\"pids\":{\"limit\":17},"
		"\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}}}",
		&p);
	assert_int_equal(p.guest.limits.pids_max, 17);
	/* the rule, and what the parser adds for every container */
	assert_int_equal(p.guest.limits.n_devices, p.host.limits.n_devices);
	assert_true(p.guest.limits.n_devices >= 1);
	assert_int_equal(p.guest.limits.memory_bytes, CG_UNSET);
	assert_int_equal(p.guest.limits.cpu_quota_usec, CG_UNSET);
	assert_null(p.guest.cgroups_path);
	done(&p);
}

static void test_host_business_stays_home(void **state)
{
	struct pair p = {0};

	(void)state;
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS ",\"root\":{\"path\":\"/srv/app\"},"
		"\"annotations\":{\"secret\":\"x\"},"
		"\"hooks\":{\"poststop\":[{\"path\":\"/bin/true\"}]},\"linux\":{" NS "}}",
		&p);
	assert_false(has(p.doc, "hooks", NULL));
	assert_false(has(p.doc, "annotations", NULL));
	assert_int_equal(p.guest.hooks[OCI_HOOK_POSTSTOP].n, 0);
	done(&p);
}

static void test_hostname(void **state)
{
	struct pair p = {0};

	(void)state;
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS
		",\"root\":{\"path\":\"/srv/app\"},\"linux\":{" NS "}}",
		&p);
	assert_string_equal(p.guest.isolation.hostname, "thehost");
	done(&p);
	p = (struct pair){0};
	rewrite("{\"ociVersion\":\"1.0.2\"," PROCESS ",\"hostname\":\"mine\","
		"\"root\":{\"path\":\"/srv/app\"},\"linux\":{" NS "}}",
		&p);
	assert_string_equal(p.guest.isolation.hostname, "mine");
	done(&p);
}

static void test_sharing_the_hosts_namespaces_is_refused(void **state)
{
	static const struct {
		const char *list, *word;
	} cases[] = {
		{"{\"type\":\"network\"},{\"type\":\"mount\"}", "pid"},
		{"{\"type\":\"pid\"},{\"type\":\"mount\"}", "network"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = NULL;
		struct err e = ERR_INIT;
		struct oci_config c;

		assert_int_equal(
			str_printf(&text,
				   "{\"ociVersion\":\"1.0.2\"," PROCESS
				   ",\"root\":{\"path\":\"/srv\"},\"linux\":{\"namespaces\":[%s]}}",
				   cases[i].list),
			0);
		read_config(text, "/", &c);
		assert_true(vmm_check_config(&c, &e) < 0);
		assert_int_equal(e.kind, ERR_UNSUPPORTED);
		assert_non_null(strstr(e.text, cases[i].word));
		assert_true(e.hint[0] != '\0');
		oci_config_done(&c);
	}
}

static void test_socket_and_device_binds_are_refused(void **state)
{
	static const char *const sources[] = {"/dev/null"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		_cleanup_free_ char *text = NULL;
		struct err e = ERR_INIT;
		struct oci_config c;

		assert_int_equal(
			str_printf(&text,
				   "{\"ociVersion\":\"1.0.2\"," PROCESS
				   ",\"root\":{\"path\":\"/srv\"},\"mounts\":[{\"destination\":"
				   "\"/d\",\"source\":\"%s\",\"options\":[\"bind\"]}],"
				   "\"linux\":{" NS "}}",
				   sources[i]),
			0);
		read_config(text, "/", &c);
		assert_true(vmm_check_config(&c, &e) < 0);
		assert_int_equal(e.kind, ERR_UNSUPPORTED);
		assert_non_null(strstr(e.text, sources[i]));
		oci_config_done(&c);
	}
}

static void test_nested_mount_points(void **state)
{
	static const struct {
		const char *destinations[3];
		bool last_is_nested;
	} cases[] = {
		{{"/proc", "/dev", "/dev/pts"}, true},
		{{"/proc", "/dev", "/device"}, false},
		{{"/a", "/a/", "/a/b"}, true},
		{{"/a/b", "/c", "/a"}, false},
		{{"/", "/x", "/y"}, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iso_mount m[3] = {0};
		struct iso_config c = {.mounts = m, .n_mounts = 3};

		for (int k = 0; k < 3; k++)
			m[k].destination = (char *)cases[i].destinations[k];
		assert_int_equal(vmm_mount_is_nested(&c, 2), cases[i].last_is_nested);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_and_binds),
		cmocka_unit_test(test_a_throwaway_bind),
		cmocka_unit_test(test_dev_is_kept),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_only_guest_limits_travel),
		cmocka_unit_test(test_host_business_stays_home),
		cmocka_unit_test(test_hostname),
		cmocka_unit_test(test_sharing_the_hosts_namespaces_is_refused),
		cmocka_unit_test(test_socket_and_device_binds_are_refused),
		cmocka_unit_test(test_nested_mount_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
