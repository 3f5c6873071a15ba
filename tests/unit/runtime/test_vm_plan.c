/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a microVM: memory, vCPUs, the host's limits, and refusals, which come before any work.
 * What needs a kernel and an engine is skipped where there is none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../runtime/driver_vm.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/runtime.h"

#define MIB (1ull << 20)

static struct rt_ctx ctx = {.log = {.fd = -1}};

/* A sandbox with these annotations and this linux.resources. */
static void sandbox(struct sandbox *s, const char *annotations, const char *resources)
{
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	struct json *doc = NULL;

	*s = (struct sandbox){.ctx = &ctx, .pidfd = -1, .sync_fd = -1, .console_fd = -1};
	cg_limits_init(&s->plan.limits);
	s->state.id = strdup("plan");
	assert_int_equal(
		str_printf(&text,
			   "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/\"},"
			   "\"process\":{\"args\":[\"/bin/true\"],\"cwd\":\"/\"},"
			   "\"annotations\":{%s},\"linux\":{\"namespaces\":[{\"type\":\"pid\"},"
			   "{\"type\":\"network\"},{\"type\":\"mount\"}],\"resources\":{%s}}}",
			   annotations, resources),
		0);
	if (json_parse(text, strlen(text), "test", &doc, &e) < 0 ||
	    oci_config_read(doc, "/", &s->config, &e) < 0)
		fail_msg("%s", e.text);
}

static void done(struct sandbox *s)
{
	vm_private_free(s->priv);
	free(s->state.id);
	oci_config_done(&s->config);
	cg_limits_done(&s->plan.limits);
}

static void skip_without_guest(void)
{
	struct vm_kernel k = {0};
	struct err e = ERR_INIT;

	setenv("INSULA_GUEST_DIR", "build/guest", 0);
	if (geteuid() != 0) {
		print_message("# skip: a microVM needs root\n");
		skip();
	}
	if (vm_find_guest_kernel(&k, &e) < 0) {
		print_message("# skip: %s\n", e.text);
		skip();
	}
	vm_kernel_done(&k);
}

static void plan(struct sandbox *s)
{
	struct err e = ERR_INIT;

	if (vm_plan(s, &e) < 0) {
		if (e.kind == ERR_NOT_FOUND) { /* no engine installed */
			print_message("# skip: %s\n", e.text);
			skip();
		}
		fail_msg("%s", e.text);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *annotations, *resources;
		enum err_kind kind;
		const char *word;
	} cases[] = {
		{"", "\"memory\":{\"limit\":33554432}", ERR_LIMIT, "needs at least"},
		{"\"org.insula.vm.memory\":\"16m\"", "", ERR_LIMIT, "needs at least"},
		{"\"org.insula.vm.memory\":\"lots\"", "", ERR_INVALID, "lots"},
		{"\"org.insula.vm.vcpus\":\"0\"", "", ERR_INVALID, "vcpus"},
		{"\"org.insula.vm.vcpus\":\"-1\"", "", ERR_INVALID, "vcpus"},
		{"\"org.insula.vm.accel\":\"xen\"", "", ERR_INVALID, "xen"},
		{"\"org.insula.vm.boot-timeout\":\"0\"", "", ERR_INVALID, "boot-timeout"},
		{"\"org.insula.vm.boot-timeout\":\"soon\"", "", ERR_INVALID, "soon"},
	};

	(void)state;
	if (geteuid() != 0) {
		print_message("# skip: a microVM needs root\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = ERR_INIT;
		struct sandbox s;

		sandbox(&s, cases[i].annotations, cases[i].resources);
		assert_true(vm_plan(&s, &e) < 0);
		assert_int_equal(e.kind, cases[i].kind);
		if (!strstr(e.text, cases[i].word))
			fail_msg("'%s' is not in '%s'", cases[i].word, e.text);
		done(&s);
	}
}

static void test_defaults(void **state)
{
	struct sandbox s;

	(void)state;
	skip_without_guest();
	sandbox(&s, "", "");
	plan(&s);
	assert_int_equal(s.plan.guest_memory_bytes, 512 * MIB);
	assert_int_equal(s.plan.vcpus, 1);
	/* nobody asked for a limit, so the host sets none */
	assert_true(s.plan.limits.memory_bytes <= 0);
	done(&s);
}

static void test_memory_of_host_is_more_than_the_guests(void **state)
{
	struct sandbox s;
	uint64_t total;

	(void)state;
	skip_without_guest();
	/* 300 MiB and a bit: a guest has whole MiB and never more than was asked for */
	sandbox(&s, "", "\"memory\":{\"limit\":314600000,\"swap\":414600000}");
	plan(&s);
	assert_int_equal(s.plan.guest_memory_bytes, 300 * MIB);
	total = (uint64_t)s.plan.limits.memory_bytes;
	assert_true(total > 300 * MIB);
	/* the swap beyond memory stays what it was */
	assert_int_equal(s.plan.limits.memory_swap_bytes - s.plan.limits.memory_bytes, 100000000);
	done(&s);

	/* a throwaway root is memory of the host's: it comes on top, and is bounded */
	sandbox(&s, "\"org.insula.rootfs\":\"throwaway\"", "\"memory\":{\"limit\":314572800}");
	plan(&s);
	assert_int_equal((uint64_t)s.plan.limits.memory_bytes, total + 150 * MIB);
	done(&s);
}

static void test_limits_of_the_guest_do_not_hit_the_engine(void **state)
{
	struct sandbox s;

	(void)state;
	skip_without_guest();
	sandbox(&s, "",
		"\"pids\":{\"limit\":5},\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]");
	plan(&s);
	assert_int_equal(s.plan.limits.pids_max, CG_UNSET);
	assert_int_equal(s.plan.limits.n_devices, 0);
	done(&s);
}

static void test_vcpus_follow_the_quota(void **state)
{
	const long host = sysconf(_SC_NPROCESSORS_ONLN);
	static const struct {
		const char *cpu;
		long vcpus;
	} cases[] = {
		{"\"quota\":50000,\"period\":100000", 1},
		{"\"quota\":100000,\"period\":100000", 1},
		{"\"quota\":100001,\"period\":100000", 2},
		{"\"quota\":200000", 2}, /* the period's default is 100 ms */
		{"\"quota\":-1", 1},
	};

	(void)state;
	skip_without_guest();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = NULL;
		struct sandbox s;

		assert_int_equal(str_printf(&text, "\"cpu\":{%s}", cases[i].cpu), 0);
		sandbox(&s, "", text);
		plan(&s);
		assert_int_equal(s.plan.vcpus, cases[i].vcpus > host ? host : cases[i].vcpus);
		done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_memory_of_host_is_more_than_the_guests),
		cmocka_unit_test(test_limits_of_the_guest_do_not_hit_the_engine),
		cmocka_unit_test(test_vcpus_follow_the_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
