/* SPDX-License-Identifier: Apache-2.0 */
/* Policy, priorities, processors, memory nodes, execution domain and clocks, as the workload itself sees them. */
#include "box.h"

#include <sched.h>
#include <sys/personality.h>
#include <sys/utsname.h>

/* Field `n` (counted as in proc_pid_stat(5)) of a /proc/PID/stat whose name has no blank. */
static long stat_field(const char *text, int n)
{
	for (int i = 1; i < n; i++) {
		text = strchr(text, ' ');
		assert_non_null(text);
		text++;
	}
	return strtol(text, NULL, 10);
}
enum { FIELD_NICE = 19, FIELD_RT_PRIORITY = 40, FIELD_POLICY = 41 };

static void nothing_asked_for_changes_nothing(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_args(&b.p, "cat", "/proc/self/stat", NULL);
	box_run_ok(&b);
	assert_int_equal(stat_field(b.out, FIELD_POLICY), sched_getscheduler(0));
}

static void policies(void **state)
{
	static const struct {
		const char *name;
		int nice, policy;
	} rows[] = {{"SCHED_OTHER", 7, SCHED_OTHER},
		    {"SCHED_BATCH", 3, SCHED_BATCH},
		    {"SCHED_IDLE", 0, SCHED_IDLE}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		b.p.scheduler.present = true;
		b.p.scheduler.nice = rows[i].nice;
		assert_int_equal(iso_sched_policy_parse(rows[i].name, &b.p.scheduler.policy), 0);
		box_args(&b.p, "cat", "/proc/self/stat", NULL);
		box_run_ok(&b);
		assert_int_equal(stat_field(b.out, FIELD_POLICY), rows[i].policy);
		assert_int_equal(stat_field(b.out, FIELD_NICE), rows[i].nice);
	}
}

static bool may_be_realtime(void)
{
	struct sched_param p = {.sched_priority = 1}, old = {0};

	if (sched_setscheduler(0, SCHED_FIFO, &p) < 0)
		return false;
	sched_setscheduler(0, SCHED_OTHER, &old);
	return true;
}

static void real_time(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.p.scheduler = (struct iso_scheduler){.present = true, .policy = SCHED_RR, .priority = 12};
	box_args(&b.p, "cat", "/proc/self/stat", NULL);
	if (!may_be_realtime()) {
		/* Then the error says what it takes. */
		assert_int_equal(box_run(&b), -EPERM);
		assert_contains(b.e.text,
				"process.scheduler: set SCHED_RR: Operation not permitted");
		assert_contains(b.e.hint, "RLIMIT_RTPRIO");
		assert_contains(b.e.hint, "realtimeRuntime");
		return;
	}
	box_run_ok(&b);
	assert_int_equal(stat_field(b.out, FIELD_POLICY), SCHED_RR);
	assert_int_equal(stat_field(b.out, FIELD_RT_PRIORITY), 12);
}

/* The host's privileges do not count in a user namespace. */
static void real_time_in_a_user_namespace(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_map_ids(&b, 100000);
	b.p.scheduler =
		(struct iso_scheduler){.present = true, .policy = SCHED_FIFO, .priority = 1};
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -EPERM);
	assert_contains(b.e.text, "SCHED_FIFO");
	assert_contains(b.e.hint, "CAP_SYS_NICE on the host");
}

/* SCHED_DEADLINE must be set by the last process before the exec, as it cannot fork. */
static void deadline(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.p.scheduler = (struct iso_scheduler){.present = true,
					       .policy = 6,
					       .runtime_nsec = 10000000,
					       .deadline_nsec = 100000000,
					       .period_nsec = 100000000};
	box_args(&b.p, "cat", "/proc/self/stat", NULL);
	if (box_run(&b) < 0) {
		assert_contains(b.e.text, "process.scheduler: set SCHED_DEADLINE");
		assert_true(*b.e.hint);
		print_message("# SCHED_DEADLINE is not for us here: %s\n", b.e.text);
		skip();
	}
	assert_int_equal(stat_field(b.out, FIELD_POLICY), 6);
}

static void io_priority(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.p.io_priority = (struct iso_io_priority){.present = true, .level = 5};
	assert_int_equal(iso_io_class_parse("IOPRIO_CLASS_BE", &b.p.io_priority.io_class), 0);
	box_args(&b.p, "ionice", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "best-effort: prio 5\n");
}

static void io_priority_of_real_time_needs_privilege(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_map_ids(&b, 100000);
	b.p.io_priority = (struct iso_io_priority){.present = true, .io_class = 1};
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -EPERM);
	assert_contains(b.e.text, "process.ioPriority: set IOPRIO_CLASS_RT 0");
	assert_contains(b.e.hint, "CAP_SYS_NICE");
}

static void execution_domain(void **state)
{
	_cleanup_box_ struct box b;
	struct utsname here, there = {0};

	(void)state;
	box_init(&b);
	b.c.has_personality = true;
	b.c.personality = PER_LINUX32;
	box_args(&b.p, "uname", "-m", NULL);
	box_run_ok(&b);
	/* What the kernel tells the same persona here. */
	assert_true(personality(PER_LINUX32) >= 0);
	uname(&there);
	personality(PER_LINUX);
	uname(&here);
	b.out[strcspn(b.out, "\n")] = '\0';
	assert_string_equal(b.out, there.machine);
	assert_string_not_equal(there.machine, here.machine);
}

static void memory_policy(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	if (access("/proc/self/numa_maps", F_OK) < 0) {
		print_message("# the kernel has no NUMA\n");
		skip();
	}
	box_init(&b);
	b.c.memory_policy.present = true;
	assert_int_equal(iso_memory_mode_parse("MPOL_BIND", &b.c.memory_policy.mode), 0);
	assert_int_equal(iso_memory_flag_parse("MPOL_F_STATIC_NODES", &b.c.memory_policy.flags), 0);
	b.c.memory_policy.nodes = strdup("0");
	box_args(&b.p, "cat", "/proc/self/numa_maps", NULL);
	box_run_ok(&b);
	assert_contains(b.out, " bind=static:0 ");
}

static void a_node_that_is_not_there(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	if (access("/proc/self/numa_maps", F_OK) < 0)
		skip();
	box_init(&b);
	b.c.memory_policy.present = true;
	assert_int_equal(iso_memory_mode_parse("MPOL_BIND", &b.c.memory_policy.mode), 0);
	b.c.memory_policy.nodes = strdup("63");
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -EINVAL);
	assert_contains(b.e.text, "linux.memoryPolicy: set MPOL_BIND for nodes '63'");
	assert_contains(b.e.hint, "resources.cpu.mems");
}

/* ---- clocks --------------------------------------------------------------------------------- */

static double uptime_of(const char *text)
{
	return strtod(text, NULL);
}

static double own_uptime(void)
{
	char text[64] = "";
	int fd = open("/proc/uptime", O_RDONLY | O_CLOEXEC);

	drain(fd, text, sizeof(text));
	close(fd);
	return uptime_of(text);
}

static void clocks(bool userns)
{
	_cleanup_box_ struct box b;
	double before;

	box_init(&b);
	if (userns)
		box_map_ids(&b, 100000);
	b.c.ns[ISO_NS_TIME].mode = ISO_NS_NEW;
	b.c.time_offsets[ISO_CLOCK_BOOTTIME] =
		(struct iso_time_offset){.present = true, .secs = 1000000};
	b.c.time_offsets[ISO_CLOCK_MONOTONIC] =
		(struct iso_time_offset){.present = true, .secs = 5000, .nanosecs = 7};
	box_args(&b.p, "cat", "/proc/uptime", "/proc/self/timens_offsets", NULL);
	before = own_uptime();
	box_run_ok(&b);
	assert_true(uptime_of(b.out) >= before + 1000000);
	assert_true(uptime_of(b.out) <= own_uptime() + 1000000);
	/* proc_pid_timens_offsets(5): name, seconds, nanoseconds */
	assert_contains(b.out, "monotonic        5000         7");
	assert_contains(b.out, "boottime      1000000         0");
	/* Nobody else's clock moved. */
	assert_true(own_uptime() < before + 900000);
}

static void clocks_are_ahead(void **state)
{
	(void)state;
	clocks(false);
}

static void clocks_are_ahead_in_a_user_namespace(void **state)
{
	(void)state;
	clocks(true);
}

static void a_clock_below_zero(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.c.ns[ISO_NS_TIME].mode = ISO_NS_NEW;
	b.c.time_offsets[ISO_CLOCK_MONOTONIC] =
		(struct iso_time_offset){.present = true, .secs = -4000000000};
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -ERANGE);
	assert_contains(b.e.text, "linux.timeOffsets.monotonic");
	assert_contains(b.e.hint, "negative");
}

static void offsets_need_a_new_namespace(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.c.time_offsets[ISO_CLOCK_BOOTTIME] = (struct iso_time_offset){.present = true, .secs = 1};
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_run(&b), -EINVAL);
	assert_contains(b.e.text, "timeOffsets");
	assert_contains(b.e.hint, "\"time\"");
}

/* ---- exec ----------------------------------------------------------------------------------- */

/* Run `command` in a running container with the affinity; its output goes to out. */
static int exec_in(const char *initial, const char *final, struct err *e, char *out, size_t size)
{
	_cleanup_box_ struct box b;
	_cleanup_(iso_process_done) struct iso_process p;
	struct iso_init proc = {.pid = -1, .pidfd = -1, .sync_fd = -1, .console_fd = -1};
	int hold[2], pipe_fds[2], status, r;

	box_init(&b);
	box_must(pipe2(hold, O_CLOEXEC) == 0 && pipe2(pipe_fds, O_CLOEXEC) == 0, "pipes");
	b.params.stdio.fds[0] = hold[0];
	box_args(&b.p, "cat", NULL);
	if (box_create(&b) < 0 || iso_init_start(&b.init, &b.e) < 0)
		fail_msg("%s", b.e.text);
	close(hold[0]);
	box_process(&p);
	box_args(&p, "cat", "/proc/self/status", NULL);
	p.cpus_initial = initial ? strdup(initial) : NULL;
	p.cpus_final = final ? strdup(final) : NULL;
	r = iso_exec_spawn(&(struct iso_exec_params){.config = &b.c,
						     .process = &p,
						     .stdio.fds = {-1, pipe_fds[1], -1},
						     .cgroup_fd = -1,
						     .keep_keyring = true,
						     .init_pid = b.init.pid,
						     .init_pidfd = b.init.pidfd},
			   &proc, e);
	close(pipe_fds[1]);
	if (r == 0) {
		drain(pipe_fds[0], out, size);
		assert_int_equal(waitpid(proc.pid, &status, 0), proc.pid);
		assert_int_equal(status, 0);
		proc.pid = -1;
	}
	iso_init_done(&proc, true);
	close(pipe_fds[0]);
	close(hold[1]);
	return r;
}

static void exec_on_given_processors(void **state)
{
	struct err e = ERR_INIT;
	char out[BOX_OUT];
	cpu_set_t ours;
	int last = 0;

	(void)state;
	sched_getaffinity(0, sizeof(ours), &ours);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &ours))
			last = i;
	char list[16], line[48];

	snprintf(list, sizeof(list), "%d", last);
	snprintf(line, sizeof(line), "Cpus_allowed_list:\t%d\n", last);
	if (exec_in(NULL, list, &e, out, sizeof(out)) < 0)
		fail_msg("%s", e.text);
	assert_contains(out, line);
	/* Without a final set it is the container's, however it began. */
	if (CPU_COUNT(&ours) > 1) {
		if (exec_in(list, NULL, &e, out, sizeof(out)) < 0)
			fail_msg("%s", e.text);
		assert_null(strstr(out, line));
	}
}

static void exec_on_processors_that_are_not_there(void **state)
{
	struct err e = ERR_INIT;
	char out[BOX_OUT];

	(void)state;
	assert_int_equal(exec_in(NULL, "8000-8100", &e, out, sizeof(out)), -EINVAL);
	assert_contains(e.text, "process.execCPUAffinity.final: run on CPUs '8000-8100'");
	assert_contains(e.hint, "online");
	assert_int_equal(exec_in("99999", NULL, &e, out, sizeof(out)), -EINVAL);
	assert_contains(e.text, "process.execCPUAffinity.initial: '99999'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asked_for_changes_nothing),
		cmocka_unit_test(policies),
		cmocka_unit_test(real_time),
		cmocka_unit_test(real_time_in_a_user_namespace),
		cmocka_unit_test(deadline),
		cmocka_unit_test(io_priority),
		cmocka_unit_test(io_priority_of_real_time_needs_privilege),
		cmocka_unit_test(execution_domain),
		cmocka_unit_test(memory_policy),
		cmocka_unit_test(a_node_that_is_not_there),
		cmocka_unit_test(clocks_are_ahead),
		cmocka_unit_test(clocks_are_ahead_in_a_user_namespace),
		cmocka_unit_test(a_clock_below_zero),
		cmocka_unit_test(offsets_need_a_new_namespace),
		cmocka_unit_test(exec_on_given_processors),
		cmocka_unit_test(exec_on_processors_that_are_not_there),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	box_prepare_tree();
	return cmocka_run_group_tests(tests, NULL, no_children_left);
}
