/* SPDX-License-Identifier: Apache-2.0 */
/* Filters, by what they do to a process that installed them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/seccomp.h>

#include "base/cleanup.h"
#include "isolate/seccomp.h"

#define RULES_MAX 4

static uint32_t action(const char *name)
{
	uint32_t a = 0;

	assert_int_equal(iso_seccomp_action_parse(name, &a), 0);
	return a;
}

static int op(const char *name)
{
	int o = 0;

	assert_int_equal(iso_seccomp_op_parse(name, &o), 0);
	return o;
}

/* Compile, install in a child, run probe there: its exit status, or 128 + signal. */
static int outcome(const struct iso_seccomp *s, int (*probe)(void))
{
	struct iso_bpf bpf = {0};
	struct err e = ERR_INIT;
	int status;
	pid_t pid;

	if (iso_seccomp_compile(s, &bpf, &e) < 0)
		fail_msg("%s", e.text);
	pid = fork();
	if (pid == 0) {
		signal(SIGSYS, SIG_DFL); /* cmocka catches it */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    iso_seccomp_install(&bpf, NULL) < 0)
			_exit(99);
		_exit(probe());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	iso_bpf_done(&bpf);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int getpgid_errno(void)
{
	return syscall(SYS_getpgid, 0) < 0 ? errno : 0;
}

static int rule_outcome(const char *name, bool has_errno, uint32_t errno_ret)
{
	char *names[] = {"getpgid", NULL};
	struct iso_seccomp_rule rule = {.names = names,
					.action = action(name),
					.has_errno_ret = has_errno,
					.errno_ret = errno_ret};
	struct iso_seccomp s = {.present = true,
				.default_action = action("SCMP_ACT_ALLOW"),
				.rules = &rule,
				.n_rules = 1};

	return outcome(&s, getpgid_errno);
}

static void every_action(void **state)
{
	(void)state;
	assert_int_equal(rule_outcome("SCMP_ACT_ALLOW", false, 0), 0);
	assert_int_equal(rule_outcome("SCMP_ACT_LOG", false, 0), 0);
	assert_int_equal(rule_outcome("SCMP_ACT_ERRNO", false, 0), EPERM);
	assert_int_equal(rule_outcome("SCMP_ACT_ERRNO", true, ENOSYS), ENOSYS);
	assert_int_equal(rule_outcome("SCMP_ACT_ERRNO", true, 0), 0);
	/* Nobody traces: the call fails. */
	assert_int_equal(rule_outcome("SCMP_ACT_TRACE", false, 0), ENOSYS);
	assert_int_equal(rule_outcome("SCMP_ACT_TRAP", false, 0), 128 + SIGSYS);
	assert_int_equal(rule_outcome("SCMP_ACT_KILL", false, 0), 128 + SIGSYS);
	assert_int_equal(rule_outcome("SCMP_ACT_KILL_THREAD", false, 0), 128 + SIGSYS);
	assert_int_equal(rule_outcome("SCMP_ACT_KILL_PROCESS", false, 0), 128 + SIGSYS);
}

static uint64_t probe_value;
static int getpgid_of_value(void)
{
	/* -1 as a pid is never found: ESRCH unless the filter answers. */
	return syscall(SYS_getpriority, 0x7fff, probe_value, 0) < 0 ? errno : 0;
}

static bool matches(const char *op_name, uint64_t value, uint64_t value_two, uint64_t given)
{
	char *names[] = {"getpriority", NULL};
	struct iso_seccomp_arg arg = {
		.index = 1, .value = value, .value_two = value_two, .op = op(op_name)};
	struct iso_seccomp_rule rule = {.names = names,
					.action = action("SCMP_ACT_ERRNO"),
					.has_errno_ret = true,
					.errno_ret = 77,
					.args = &arg,
					.n_args = 1};
	struct iso_seccomp s = {.present = true,
				.default_action = action("SCMP_ACT_ALLOW"),
				.rules = &rule,
				.n_rules = 1};

	probe_value = given;
	return outcome(&s, getpgid_of_value) == 77;
}

static void every_operator(void **state)
{
	uint64_t big = UINT64_C(0xffffffff00000005);

	(void)state;
	assert_true(matches("SCMP_CMP_EQ", big, 0, big));
	assert_false(matches("SCMP_CMP_EQ", big, 0, 5));
	assert_true(matches("SCMP_CMP_NE", 5, 0, 6));
	assert_false(matches("SCMP_CMP_NE", 5, 0, 5));
	assert_true(matches("SCMP_CMP_LT", 5, 0, 4));
	assert_false(matches("SCMP_CMP_LT", 5, 0, 5));
	assert_true(matches("SCMP_CMP_LE", 5, 0, 5));
	assert_false(matches("SCMP_CMP_LE", 5, 0, 6));
	assert_true(matches("SCMP_CMP_GT", 5, 0, UINT64_MAX));
	assert_false(matches("SCMP_CMP_GT", 5, 0, 5));
	assert_true(matches("SCMP_CMP_GE", 5, 0, 5));
	assert_false(matches("SCMP_CMP_GE", 5, 0, 4));
	assert_true(matches("SCMP_CMP_MASKED_EQ", 0xf0, 0x50, 0xff5f));
	assert_false(matches("SCMP_CMP_MASKED_EQ", 0xf0, 0x50, 0xff6f));
}

/* Two conditions on one argument: either suffices. On two arguments: both must hold. */
static void several_conditions(void **state)
{
	char *names[] = {"getpriority", NULL};
	struct iso_seccomp_arg args[] = {{.index = 1, .value = 5, .op = op("SCMP_CMP_EQ")},
					 {.index = 1, .value = 9, .op = op("SCMP_CMP_EQ")}};
	struct iso_seccomp_rule rule = {.names = names,
					.action = action("SCMP_ACT_ERRNO"),
					.has_errno_ret = true,
					.errno_ret = 77,
					.args = args,
					.n_args = 2};
	struct iso_seccomp s = {.present = true,
				.default_action = action("SCMP_ACT_ALLOW"),
				.rules = &rule,
				.n_rules = 1};

	(void)state;
	probe_value = 5;
	assert_int_equal(outcome(&s, getpgid_of_value), 77);
	probe_value = 9;
	assert_int_equal(outcome(&s, getpgid_of_value), 77);
	probe_value = 6;
	assert_int_not_equal(outcome(&s, getpgid_of_value), 77);
	args[1] = (struct iso_seccomp_arg){.index = 0, .value = 1, .op = op("SCMP_CMP_EQ")};
	probe_value = 5;
	assert_int_not_equal(outcome(&s, getpgid_of_value), 77);
	args[1].value = 0x7fff;
	assert_int_equal(outcome(&s, getpgid_of_value), 77);
}

static void names_of_newer_kernels_are_skipped(void **state)
{
	char *names[] = {"no_such_call_yet", "getpgid", NULL};
	struct iso_seccomp_rule rules[] = {
		{.names = names, .action = action("SCMP_ACT_ERRNO")},
		/* Says what the default says. */
		{.names = names, .action = action("SCMP_ACT_ALLOW")},
	};
	struct iso_seccomp s = {.present = true,
				.default_action = action("SCMP_ACT_ALLOW"),
				.rules = rules,
				.n_rules = 2};

	(void)state;
	assert_int_equal(outcome(&s, getpgid_errno), EPERM);
}

static void the_native_architecture_is_always_in(void **state)
{
	char *names[] = {"getpgid", NULL};
	struct iso_seccomp_rule rule = {.names = names, .action = action("SCMP_ACT_ERRNO")};
	uint32_t other;
	struct iso_seccomp s = {.present = true,
				.default_action = action("SCMP_ACT_ALLOW"),
				.rules = &rule,
				.n_rules = 1,
				.arches = &other,
				.n_arches = 1};

	(void)state;
	assert_int_equal(iso_seccomp_arch_parse("SCMP_ARCH_AARCH64", &other), 0);
	assert_int_equal(outcome(&s, getpgid_errno), EPERM);
	assert_int_equal(iso_seccomp_arch_parse("SCMP_ARCH_X86_64", &other), 0);
	assert_int_equal(outcome(&s, getpgid_errno), EPERM);
}

static void flags_are_taken_by_the_kernel(void **state)
{
	static const char *const flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
					    "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
	struct iso_seccomp s = {.present = true, .default_action = action("SCMP_ACT_ALLOW")};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		uint32_t f;

		assert_int_equal(iso_seccomp_flag_parse(flags[i], &f), 0);
		s.flags |= f;
	}
	assert_int_equal(outcome(&s, getpgid_errno), 0);
}

static void expect_refused(const struct iso_seccomp *s, int want, const char *text)
{
	struct iso_bpf bpf = {.n = 7};
	struct err e = ERR_INIT;

	assert_int_equal(iso_seccomp_compile(s, &bpf, &e), want);
	assert_int_equal(bpf.n, 7);
	if (!strstr(e.text, text))
		fail_msg("'%s' is not in '%s'", text, e.text);
}

static void refused_by_name(void **state)
{
	char *names[] = {"getpgid", NULL};
	struct iso_seccomp_arg arg = {.index = 0, .op = op("SCMP_CMP_EQ")};
	struct iso_seccomp_rule rule = {
		.names = names, .action = action("SCMP_ACT_NOTIFY"), .args = &arg, .n_args = 1};
	struct iso_seccomp s = {.present = true,
				.default_action = action("SCMP_ACT_ALLOW"),
				.rules = &rule,
				.n_rules = 1};
	uint32_t big_endian;

	(void)state;
	expect_refused(&s, -EINVAL, "SCMP_ACT_NOTIFY");
	rule.action = action("SCMP_ACT_ALLOW");
	rule.has_errno_ret = true;
	expect_refused(&s, -EINVAL, "syscalls[0]: errnoRet");
	rule.action = action("SCMP_ACT_ERRNO");
	rule.errno_ret = 4096;
	expect_refused(&s, -EINVAL, "4096");
	rule.errno_ret = 1;
	arg.index = 6;
	expect_refused(&s, -EINVAL, "syscalls[0].args[0]: index 6");
	arg.index = 0;
	arg.op = 99;
	expect_refused(&s, -EINVAL, "operator");
	arg.op = op("SCMP_CMP_EQ");
	s.flags = 1u << 30;
	expect_refused(&s, -EINVAL, "flags");
	s.flags = 0;
	names[0] = NULL;
	expect_refused(&s, -EINVAL, "no names");
	names[0] = "getpgid";
	assert_int_equal(iso_seccomp_arch_parse("SCMP_ARCH_S390X", &big_endian), 0);
	s.arches = &big_endian;
	s.n_arches = 1;
	expect_refused(&s, -ENOTSUP, "SCMP_ARCH_S390X");
}

/* libseccomp would never come back from this. The two are what a profile would say otherwise: a single condition
 * beside it, or an equality first. */
static void circles_are_refused(void **state)
{
	char *names[] = {"close", "getpgid", NULL};
	struct iso_seccomp_arg one[] = {{.index = 4, .op = op("SCMP_CMP_NE"), .value = 1},
					{.index = 0, .op = op("SCMP_CMP_NE")}};
	struct iso_seccomp_arg two[] = {{.index = 0, .op = op("SCMP_CMP_NE")},
					{.index = 5, .op = op("SCMP_CMP_NE")}};
	struct iso_seccomp_rule rules[] = {
		{.names = names, .action = action("SCMP_ACT_ERRNO"), .args = one, .n_args = 2},
		{.names = names + 1, .action = action("SCMP_ACT_ERRNO"), .args = two, .n_args = 2},
	};
	struct iso_seccomp s = {.present = true,
				.default_action = action("SCMP_ACT_ALLOW"),
				.rules = rules,
				.n_rules = 2};
	struct iso_bpf bpf = {0};
	struct err e = ERR_INIT;

	(void)state;
	expect_refused(&s, -ENOTSUP, "syscalls[0] and [1]");
	rules[1].n_args = 1;
	assert_int_equal(iso_seccomp_compile(&s, &bpf, &e), 0);
	iso_bpf_done(&bpf);
	rules[1].n_args = 2;
	one[1].op = two[0].op = op("SCMP_CMP_EQ");
	assert_int_equal(iso_seccomp_compile(&s, &bpf, &e), 0);
	iso_bpf_done(&bpf);
}

static void absent_gives_nothing(void **state)
{
	struct iso_seccomp s = {0};
	struct iso_bpf bpf = {.n = 7};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(iso_seccomp_compile(&s, &bpf, &e), 0);
	assert_int_equal(bpf.n, 0);
	assert_int_equal(iso_seccomp_install(&bpf, NULL), 0);
}

static void words(void **state)
{
	uint32_t v;
	int o;

	(void)state;
	for (const char *const *n = iso_seccomp_action_names(); *n; n++)
		assert_int_equal(iso_seccomp_action_parse(*n, &v), 0);
	for (const char *const *n = iso_seccomp_op_names(); *n; n++)
		assert_int_equal(iso_seccomp_op_parse(*n, &o), 0);
	for (const char *const *n = iso_seccomp_arch_names(); *n; n++)
		assert_int_equal(iso_seccomp_arch_parse(*n, &v), 0);
	for (const char *const *n = iso_seccomp_flag_names(); *n; n++)
		assert_int_equal(iso_seccomp_flag_parse(*n, &v), 0);
	assert_int_equal(iso_seccomp_action_parse("ALLOW", &v), -EINVAL);
	assert_int_equal(iso_seccomp_op_parse("", &o), -EINVAL);
	assert_int_equal(iso_seccomp_arch_parse("x86_64", &v), -EINVAL);
	assert_int_equal(iso_seccomp_flag_parse("SECCOMP_FILTER_FLAG_NEW_LISTENER", &v), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(every_action),
		cmocka_unit_test(every_operator),
		cmocka_unit_test(several_conditions),
		cmocka_unit_test(names_of_newer_kernels_are_skipped),
		cmocka_unit_test(the_native_architecture_is_always_in),
		cmocka_unit_test(flags_are_taken_by_the_kernel),
		cmocka_unit_test(refused_by_name),
		cmocka_unit_test(circles_are_refused),
		cmocka_unit_test(absent_gives_nothing),
	};

	return cmocka_run_group_tests_name("isolate/seccomp", tests, NULL, NULL);
}
