/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process object: read alone, and written for a guest so that reading it again gives the same.
 */
#include "oci_document.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "runtime/oci.h"

static const char full[] =
	"{\"terminal\": true, \"consoleSize\": {\"height\": 25, \"width\": 80},"
	" \"user\": {\"uid\": 1000, \"gid\": 1001, \"umask\": 63, \"additionalGids\": [5, 6]},"
	" \"args\": [\"a b\", \"\"], \"env\": [\"A=\", \"B=c=d\"], \"cwd\": \"/w\","
	" \"capabilities\": {\"bounding\": [\"CAP_KILL\", \"CAP_CHOWN\"],"
	"   \"effective\": [\"CAP_KILL\"], \"permitted\": [\"CAP_KILL\"],"
	"   \"inheritable\": [], \"ambient\": [\"CAP_KILL\"]},"
	" \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 10,"
	"   \"hard\": 18446744073709551615}],"
	" \"noNewPrivileges\": true, \"oomScoreAdj\": -5, \"apparmorProfile\": \"p\","
	" \"selinuxLabel\": \"l\", \"scheduler\": {\"policy\": \"SCHED_DEADLINE\","
	"   \"flags\": [\"SCHED_FLAG_RECLAIM\", \"SCHED_FLAG_RESET_ON_FORK\"],"
	"   \"runtime\": 1000000, \"deadline\": 2000000, \"period\": 3000000},"
	" \"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 6},"
	" \"execCPUAffinity\": {\"initial\": \"0\", \"final\": \"0-1,3\"}}";

static void check_full(const struct iso_process *p)
{
	assert_true(p->terminal);
	assert_int_equal(p->rows, 25);
	assert_int_equal(p->cols, 80);
	assert_int_equal(p->user.uid, 1000);
	assert_int_equal(p->user.gid, 1001);
	assert_true(p->user.has_umask);
	assert_int_equal(p->user.umask, 077);
	assert_int_equal(p->user.n_additional_gids, 2);
	assert_int_equal(p->user.additional_gids[1], 6);
	assert_string_equal(p->args[0], "a b");
	assert_string_equal(p->args[1], "");
	assert_null(p->args[2]);
	assert_string_equal(p->env[0], "A=");
	assert_string_equal(p->env[1], "B=c=d");
	assert_string_equal(p->cwd, "/w");
	assert_true(p->caps.present);
	assert_true(p->caps.set[ISO_CAP_BOUNDING] == (1 << CAP_KILL | 1 << CAP_CHOWN));
	assert_true(p->caps.set[ISO_CAP_EFFECTIVE] == 1 << CAP_KILL);
	assert_true(p->caps.set[ISO_CAP_PERMITTED] == 1 << CAP_KILL);
	assert_true(p->caps.set[ISO_CAP_INHERITABLE] == 0);
	assert_true(p->caps.set[ISO_CAP_AMBIENT] == 1 << CAP_KILL);
	assert_int_equal(p->n_rlimits, 1);
	assert_int_equal(p->rlimits[0].resource, RLIMIT_NOFILE);
	assert_int_equal(p->rlimits[0].soft, 10);
	assert_true(p->rlimits[0].hard == UINT64_MAX);
	assert_true(p->no_new_privileges);
	assert_true(p->has_oom_score_adj);
	assert_int_equal(p->oom_score_adj, -5);
	assert_string_equal(p->apparmor_profile, "p");
	assert_string_equal(p->selinux_label, "l");
	assert_true(p->scheduler.present);
	assert_int_equal(p->scheduler.policy, 6); /* sched(7): SCHED_DEADLINE */
	assert_int_equal(p->scheduler.flags, 1 | 2);
	assert_int_equal(p->scheduler.runtime_nsec, 1000000);
	assert_int_equal(p->scheduler.deadline_nsec, 2000000);
	assert_int_equal(p->scheduler.period_nsec, 3000000);
	assert_true(p->io_priority.present);
	assert_int_equal(p->io_priority.io_class, 2); /* ioprio_set(2): IOPRIO_CLASS_BE */
	assert_int_equal(p->io_priority.level, 6);
	assert_string_equal(p->cpus_initial, "0");
	assert_string_equal(p->cpus_final, "0-1,3");
}

static void test_read_write_read(void **state)
{
	struct json *document = document_parse(full), *written;
	struct json_at top = json_top(document);
	struct iso_process p, again;
	struct err e = ERR_INIT;

	(void)state;
	if (oci_process_read(&top, &p, &e) < 0)
		fail_msg("%s", e.text);
	check_full(&p);

	written = oci_process_to_json(&p);
	assert_non_null(written);
	top = json_top(written);
	if (oci_process_read(&top, &again, &e) < 0)
		fail_msg("%s", e.text);
	check_full(&again);
	iso_process_done(&p);
	iso_process_done(&again);
	json_free(written);
	json_free(document);
}

/* What is not there must not come back as something. */
static void test_absent_stays_absent(void **state)
{
	struct json *document = document_parse("{\"args\": [\"x\"], \"cwd\": \"/\"}"), *written;
	struct json_at top = json_top(document);
	struct iso_process p, again;

	(void)state;
	assert_int_equal(oci_process_read(&top, &p, NULL), 0);
	written = oci_process_to_json(&p);
	top = json_top(written);
	assert_int_equal(oci_process_read(&top, &again, NULL), 0);
	assert_false(again.caps.present);
	assert_false(again.has_oom_score_adj);
	assert_false(again.user.has_umask);
	assert_int_equal(again.n_rlimits, 0);
	assert_null(again.apparmor_profile);
	assert_null(again.selinux_label);
	assert_false(again.scheduler.present);
	assert_false(again.io_priority.present);
	assert_null(again.cpus_initial);
	assert_null(again.cpus_final);
	assert_int_equal(again.rows, 0);
	iso_process_done(&p);
	iso_process_done(&again);
	json_free(written);
	json_free(document);
}

/* Spec: consoleSize MUST be ignored without a terminal. */
static void test_console_size_without_terminal(void **state)
{
	struct json *document = document_parse("{\"args\": [\"x\"], \"cwd\": \"/\","
					       " \"consoleSize\": {\"height\": \"no\"}}");
	struct json_at top = json_top(document);
	struct iso_process p;

	(void)state;
	assert_int_equal(oci_process_read(&top, &p, NULL), 0);
	assert_int_equal(p.rows, 0);
	iso_process_done(&p);
	json_free(document);
}

/* On failure the output is left alone and nothing leaks (seen by the sanitizer). */
static void test_failure_leaves_output(void **state)
{
	struct json *document =
		document_parse("{\"args\": [\"x\"], \"cwd\": \"/\", \"env\": [\"A=1\"],"
			       " \"rlimits\": [{\"type\": \"RLIMIT_CORE\"}]}");
	struct json_at top = json_top(document);
	struct iso_process p = {.rows = 7};

	(void)state;
	assert_true(oci_process_read(&top, &p, NULL) < 0);
	assert_int_equal(p.rows, 7);
	assert_null(p.args);
	json_free(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write_read),
		cmocka_unit_test(test_absent_stays_absent),
		cmocka_unit_test(test_console_size_without_terminal),
		cmocka_unit_test(test_failure_leaves_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
