/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `spec` and `features`: what we write, we take; what we promise is known to our parsers.
 */
#include "oci_document.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/driver.h"
#include "runtime/features.h"
#include "runtime/oci.h"

static const struct driver container = {.name = "container", .id = DRIVER_CONTAINER};
static const struct driver vm = {.name = "vm", .id = DRIVER_VM};

static bool has(char *const *v, const char *s)
{
	for (; v && *v; v++)
		if (STREQ(*v, s))
			return true;
	return false;
}

static void test_spec_is_taken(void **state)
{
	struct oci_config c;
	struct err e = ERR_INIT;
	struct json *document = oci_spec_default();
	uint64_t caps = 1ull << CAP_AUDIT_WRITE | 1ull << CAP_KILL | 1ull << CAP_NET_BIND_SERVICE;

	(void)state;
	assert_non_null(document);
	if (oci_config_read(document, "/b", &c, &e) < 0 ||
	    iso_config_check(&c.isolation, &c.process, &e) < 0 ||
	    driver_check_config(&container, &c, &e) < 0 || driver_check_config(&vm, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(c.version, OCI_VERSION);
	assert_string_equal(c.isolation.rootfs.path, "/b/rootfs");
	assert_true(c.isolation.rootfs.readonly);
	assert_true(c.process.terminal);
	assert_string_equal(c.process.args[0], "sh");
	assert_string_equal(c.process.cwd, "/");
	assert_true(c.process.no_new_privileges);
	assert_true(c.process.caps.set[ISO_CAP_BOUNDING] == caps);
	assert_true(c.process.caps.set[ISO_CAP_EFFECTIVE] == caps);
	assert_true(c.process.caps.set[ISO_CAP_PERMITTED] == caps);
	/* CVE-2022-29162: never unless asked for. */
	assert_true(c.process.caps.set[ISO_CAP_INHERITABLE] == 0);
	assert_true(c.process.caps.set[ISO_CAP_AMBIENT] == 0);
	assert_int_equal(c.process.rlimits[0].soft, 1024);
	assert_int_equal(c.isolation.n_mounts, 7);
	assert_int_equal(c.isolation.ns[ISO_NS_CGROUP].mode, ISO_NS_NEW);
	assert_int_equal(c.isolation.ns[ISO_NS_NETWORK].mode, ISO_NS_NEW);
	assert_int_equal(c.isolation.ns[ISO_NS_USER].mode, ISO_NS_INHERIT);
	assert_true(has(c.isolation.masked_paths, "/proc/kcore"));
	assert_true(has(c.isolation.masked_paths, "/proc/interrupts"));
	assert_true(has(c.isolation.masked_paths, "/sys/devices/virtual/powercap"));
	assert_true(has(c.isolation.readonly_paths, "/proc/sys"));
	assert_false(c.limits.devices[0].allow);
	oci_config_done(&c);
}

static struct json *features(void)
{
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;

	if (rt_features_json(&text, &e) < 0)
		fail_msg("%s", e.text);
	return document_parse(text);
}

static struct json_at member(const struct json_at *at, const char *key)
{
	struct json_at child;

	if (!json_member(at, key, &child))
		fail_msg("no %s", key);
	return child;
}

static bool enabled(const struct json_at *at, const char *key)
{
	struct json_at o = member(at, key), flag = member(&o, "enabled");
	bool v;

	assert_int_equal(json_get_bool(&flag, &v, NULL), 0);
	return v;
}

/* Spec: the runtime MUST recognise the elements. */
static void test_features_words_are_known(void **state)
{
	struct json *f = features();
	struct json_at top = json_top(f), hooks = member(&top, "hooks");
	struct json_at options = member(&top, "mountOptions"), l = member(&top, "linux");
	struct json_at list = member(&l, "namespaces"), caps = member(&l, "capabilities");
	struct json_at seccomp = member(&l, "seccomp"), actions = member(&seccomp, "actions");
	bool notify = false;

	(void)state;
	assert_int_equal(json_array_len(&hooks), OCI_HOOK_KIND_COUNT);
	for (size_t i = 0; i < json_array_len(&list); i++) {
		struct json_at item = json_array_at(&list, i);
		enum iso_ns ns;

		assert_int_equal(iso_ns_parse(json_peek_string(&item), &ns), 0);
	}
	assert_int_equal(json_array_len(&list), ISO_NS_COUNT);
	assert_true(json_array_len(&caps) >= 41);
	for (size_t i = 0; i < json_array_len(&caps); i++) {
		struct json_at item = json_array_at(&caps, i);
		int cap, r = iso_cap_parse(json_peek_string(&item), &cap);

		assert_true(r == 0 || r == -ENOTSUP);
	}
	assert_true(json_array_len(&options) > 50);
	for (size_t i = 0; i < json_array_len(&actions); i++) {
		struct json_at item = json_array_at(&actions, i);

		notify |= strcmp(json_peek_string(&item), "SCMP_ACT_NOTIFY") == 0;
	}
	assert_true(notify);
	json_free(f);
}

/* Every promised mount option must be taken in a configuration. */
static void test_features_mount_options(void **state)
{
	struct json *f = features();
	struct json_at top = json_top(f), options = member(&top, "mountOptions");

	(void)state;
	for (size_t i = 0; i < json_array_len(&options); i++) {
		struct json_at item = json_array_at(&options, i);
		struct iso_mount m = {.source_fd = -1};
		struct err e = ERR_INIT;

		if (iso_mount_option(&m, json_peek_string(&item), &e) < 0)
			fail_msg("%s: %s", json_peek_string(&item), e.text);
		iso_mount_done(&m);
	}
	json_free(f);
}

static void test_features_versions_and_flags(void **state)
{
	struct json *f = features();
	struct json_at top = json_top(f), min = member(&top, "ociVersionMin");
	struct json_at max = member(&top, "ociVersionMax"), l = member(&top, "linux");
	struct json_at ext = member(&l, "mountExtensions"), policy, modes;

	(void)state;
	assert_string_equal(json_peek_string(&min), "1.0.0");
	assert_string_equal(json_peek_string(&max), OCI_VERSION);
	assert_true(enabled(&l, "seccomp"));
	assert_false(enabled(&l, "intelRdt"));
	assert_true(enabled(&ext, "idmap"));
	/* New in 1.3 (features-linux.md). */
	policy = member(&l, "memoryPolicy");
	modes = member(&policy, "modes");
	assert_int_equal(json_array_len(&modes), 7);
	modes = member(&policy, "flags");
	assert_int_equal(json_array_len(&modes), 3);
	assert_true(json_member(&l, "netDevices", &policy));
	json_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec_is_taken),
		cmocka_unit_test(test_features_words_are_known),
		cmocka_unit_test(test_features_mount_options),
		cmocka_unit_test(test_features_versions_and_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
