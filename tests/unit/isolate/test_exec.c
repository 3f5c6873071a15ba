/* SPDX-License-Identifier: Apache-2.0 */
/* Further processes in a running container. */
#include "box.h"

#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define BIT(n) (UINT64_C(1) << (n))

/* A running container that ends when `hold` is closed, and a process to be run in it. */
struct guest {
	struct box box;
	int hold;
	struct iso_process p;
	struct iso_exec_params params;
	struct iso_init proc;
	struct err e;
	int status;
	char out[BOX_OUT];
};

static void guest_start(struct guest *g)
{
	int hold[2];

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	g->box.params.stdio.fds[0] = hold[0];
	box_args(&g->box.p, "cat", NULL);
	if (box_create(&g->box) < 0 || iso_init_start(&g->box.init, &g->box.e) < 0)
		fail_msg("%s", g->box.e.text);
	close(hold[0]);
	g->hold = hold[1];
	g->params.init_pidfd = g->box.init.pidfd;
	g->params.init_pid = g->box.init.pid;
}

static void guest_init(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	box_init(&g->box);
	box_process(&g->p);
	g->hold = -1;
	g->proc = (struct iso_init){.pid = -1, .pidfd = -1, .sync_fd = -1, .console_fd = -1};
	g->params = (struct iso_exec_params){
		.config = &g->box.c,
		.process = &g->p,
		.stdio.fds = {-1, -1, -1},
		.cgroup_fd = -1,
		.keep_keyring = true,
	};
}

static void guest_done(struct guest *g)
{
	iso_init_done(&g->proc, true);
	iso_process_done(&g->p);
	if (g->hold >= 0)
		close(g->hold);
	box_done(&g->box);
}
#define _cleanup_guest_ __attribute__((cleanup(guest_done)))

static int guest_exec(struct guest *g)
{
	int pipe_fds[2], r;

	box_must(pipe2(pipe_fds, O_CLOEXEC) == 0, "pipe");
	g->params.stdio.fds[1] = g->params.stdio.fds[2] = pipe_fds[1];
	r = iso_exec_spawn(&g->params, &g->proc, &g->e);
	close(pipe_fds[1]);
	if (r == 0) {
		drain(g->proc.console_fd >= 0 ? g->proc.console_fd : pipe_fds[0], g->out,
		      sizeof(g->out));
		assert_int_equal(waitpid(g->proc.pid, &g->status, 0), g->proc.pid);
		g->proc.pid = -1;
	}
	close(pipe_fds[0]);
	return r;
}

#define guest_exec_ok(g)                                                                      \
	do {                                                                                  \
		if (guest_exec(g) < 0)                                                        \
			fail_msg("%s (hint: %s)", (g)->e.text, (g)->e.hint);                  \
		if ((g)->status != 0)                                                         \
			fail_msg("status %#x, output '%s'", (unsigned)(g)->status, (g)->out); \
	} while (0)

static void runs_in_every_namespace_of_it(void **state)
{
	_cleanup_guest_ struct guest g;

	(void)state;
	guest_init(&g);
	guest_start(&g);
	box_args(&g.p, "sh", "-c",
		 "for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done", NULL);
	guest_exec_ok(&g);
	for (int ns = 0; ns < ISO_NS_COUNT; ns++) {
		char path[64], link[64];
		ssize_t n;

		if (g.box.c.ns[ns].mode == ISO_NS_INHERIT)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)g.box.init.pid,
			 iso_ns_table[ns].proc_name);
		n = readlink(path, link, sizeof(link) - 1);
		assert_true(n > 0);
		link[n] = '\0';
		assert_contains(g.out, link);
	}
}

static void is_our_child_and_has_its_own_status(void **state)
{
	_cleanup_guest_ struct guest g;

	(void)state;
	guest_init(&g);
	guest_start(&g);
	free(g.p.cwd);
	g.p.cwd = strdup("/tmp");
	g.p.user = (struct iso_user){.uid = 5, .gid = 6, .umask = 077, .has_umask = true};
	box_args(&g.p, "sh", "-c", "pwd; id -u; id -g; umask; exit 9", NULL);
	if (guest_exec(&g) < 0)
		fail_msg("%s", g.e.text);
	assert_string_equal(g.out, "/tmp\n5\n6\n0077\n");
	assert_int_equal(WEXITSTATUS(g.status), 9);
}

static void capabilities_and_signals(void **state)
{
	_cleanup_guest_ struct guest g;

	(void)state;
	guest_init(&g);
	guest_start(&g);
	g.p.caps.set[ISO_CAP_BOUNDING] = BIT(CAP_CHOWN);
	g.p.caps.set[ISO_CAP_PERMITTED] = BIT(CAP_CHOWN);
	g.p.caps.set[ISO_CAP_EFFECTIVE] = BIT(CAP_CHOWN);
	g.p.no_new_privileges = true;
	box_args(&g.p, "cat", "/proc/self/status", NULL);
	signal(SIGPIPE, SIG_IGN);
	guest_exec_ok(&g);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(status_hex(g.out, "CapBnd:"), BIT(CAP_CHOWN));
	assert_int_equal(status_hex(g.out, "CapPrm:"), BIT(CAP_CHOWN));
	assert_int_equal(status_hex(g.out, "CapEff:"), BIT(CAP_CHOWN));
	assert_int_equal(status_hex(g.out, "CapInh:"), 0);
	assert_int_equal(status_hex(g.out, "CapAmb:"), 0);
	assert_int_equal(status_hex(g.out, "SigIgn:"), 0);
	assert_int_equal(status_hex(g.out, "SigBlk:"), 0);
	assert_contains(g.out, "NoNewPrivs:\t1");
}

static void no_descriptor_of_ours_is_open_inside(void **state)
{
	_cleanup_guest_ struct guest g;
	int leak = open("/", O_RDONLY);

	(void)state;
	guest_init(&g);
	guest_start(&g);
	box_args(&g.p, "ls", "/proc/self/fd", NULL);
	guest_exec_ok(&g);
	close(leak);
	assert_string_equal(g.out, "0\n1\n2\n3\n");
}

static void cwd_through_a_descriptor_is_refused(void **state)
{
	(void)state;
	for (int n = 3; n <= 20; n++) {
		_cleanup_guest_ struct guest g;

		guest_init(&g);
		guest_start(&g);
		free(g.p.cwd);
		assert_true(asprintf(&g.p.cwd, "/proc/self/fd/%d", n) > 0);
		box_args(&g.p, "pwd", NULL);
		assert_true(guest_exec(&g) < 0);
		assert_contains(g.e.text, "process.cwd");
	}
}

static void a_user_namespace_is_entered(void **state)
{
	_cleanup_guest_ struct guest g;

	(void)state;
	guest_init(&g);
	box_map_ids(&g.box, 300000);
	guest_start(&g);
	g.p.user.uid = 33;
	g.p.has_oom_score_adj = true;
	g.p.oom_score_adj = 77;
	box_args(&g.p, "sh", "-c",
		 "id -u; tr -s ' ' </proc/self/uid_map; cat /proc/self/oom_score_adj", NULL);
	guest_exec_ok(&g);
	assert_string_equal(g.out, "33\n 0 300000 65536\n77\n");
}

/* Its root is the container's also where the tree was moved onto "/" instead of pivoted into. */
static void a_container_without_pivot(void **state)
{
	_cleanup_guest_ struct guest g;

	(void)state;
	guest_init(&g);
	g.box.params.no_pivot = true;
	guest_start(&g);
	box_args(&g.p, "sh", "-c", "ls -d /bin/badinterp /work /home /root 2>/dev/null; pwd; true",
		 NULL);
	guest_exec_ok(&g);
	assert_string_equal(g.out, "/bin/badinterp\n/\n");
}

static void bad_commands_are_told_apart(void **state)
{
	static const struct {
		const char *command;
		enum err_kind kind;
		const char *text;
	} rows[] = {
		{"nosuch", ERR_CMD_NOT_FOUND,
		 "exec: \"nosuch\": executable file not found in $PATH"},
		{"/x", ERR_CMD_NOT_FOUND, "exec: \"/x\": stat /x: no such file or directory"},
		{"/bin/noexec", ERR_CMD_NOT_EXEC, "exec: \"/bin/noexec\": permission denied"},
		{"badinterp", ERR_CMD_NOT_FOUND, "/bin/no-such-shell"},
		{"garbage", ERR_CMD_NOT_EXEC, "exec format error"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_guest_ struct guest g;

		guest_init(&g);
		guest_start(&g);
		box_args(&g.p, rows[i].command, NULL);
		assert_true(guest_exec(&g) < 0);
		assert_string_equal(err_kind_name((enum err_kind)g.e.kind),
				    err_kind_name(rows[i].kind));
		assert_contains(g.e.text, rows[i].text);
	}
}

/* Also into a user namespace, which has no say over the group. */
static void is_born_in_its_group(void **state)
{
	char path[64];
	int fd = group_make(path);

	(void)state;
	if (fd < 0) {
		print_message("# skip: no writable cgroup2\n");
		skip();
	}
	for (int userns = 0; userns < 2; userns++) {
		_cleanup_guest_ struct guest g;

		guest_init(&g);
		if (userns)
			box_map_ids(&g.box, 100000);
		g.box.params.cgroup_fd = g.params.cgroup_fd = fd;
		guest_start(&g);
		box_args(&g.p, "grep", "^0::", "/proc/self/cgroup", NULL);
		guest_exec_ok(&g);
		assert_string_equal(g.out, "0::/\n");
	}
	group_remove(fd, path);
}

static void terminal(void **state)
{
	_cleanup_guest_ struct guest g;

	(void)state;
	guest_init(&g);
	guest_start(&g);
	g.p.terminal = true;
	g.p.rows = 12;
	g.p.cols = 34;
	box_args(&g.p, "sh", "-c", "stty size; tty; echo ctl >/dev/tty", NULL);
	guest_exec_ok(&g);
	assert_string_equal(g.out, "12 34\r\n/dev/pts/0\r\nctl\r\n");
}

static void a_container_that_ended_is_not_running(void **state)
{
	_cleanup_guest_ struct guest g;

	(void)state;
	guest_init(&g);
	guest_start(&g);
	kill(g.box.init.pid, SIGKILL);
	assert_true(ends_soon(g.box.init.pidfd));
	box_args(&g.p, "true", NULL);
	assert_int_equal(guest_exec(&g), -ESRCH);
	assert_string_equal(err_kind_name((enum err_kind)g.e.kind), "state");
	assert_contains(g.e.text, "not running");
}

/* In the process: it exists in the container by now. Tell the test's helper, and wait for the end. */
static int tell_and_wait(void *arg, struct err *e)
{
	const int *tell = arg;

	(void)e;
	if (write(*tell, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* The process dies with init; init itself only ends when the process is reaped. */
static void a_container_that_ends_meanwhile_is_not_running(void **state)
{
	_cleanup_guest_ struct guest g;
	int tell[2], status;
	pid_t killer;
	char byte;

	(void)state;
	guest_init(&g);
	guest_start(&g);
	assert_int_equal(pipe(tell), 0);
	killer = fork();
	if (killer == 0) {
		close(tell[1]);
		if (read(tell[0], &byte, 1) == 1)
			kill(g.box.init.pid, SIGKILL);
		_exit(0);
	}
	g.params.enter_groups = tell_and_wait;
	g.params.enter_arg = &tell[1];
	box_args(&g.p, "true", NULL);
	assert_int_equal(guest_exec(&g), -ESRCH);
	assert_contains(g.e.text, "not running");
	close(tell[0]);
	close(tell[1]);
	assert_int_equal(waitpid(killer, &status, 0), killer);
}

static int refuse_entry(void *arg, struct err *e)
{
	pid_t *shared = arg;

	shared[0] = getpid();
	shared[1] = (pid_t)geteuid();
	return err_invalid(e, "no place for it");
}

static void a_failing_entry_ends_it(void **state)
{
	_cleanup_guest_ struct guest g;
	pid_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	guest_init(&g);
	guest_start(&g);
	g.params.enter_groups = refuse_entry;
	g.params.enter_arg = shared;
	box_args(&g.p, "true", NULL);
	assert_int_equal(guest_exec(&g), -EINVAL);
	assert_contains(g.e.text, "no place for it");
	/* It was called in the process itself, which the teardown finds gone. */
	assert_true(shared[0] > 1 && shared[0] != getpid());
	assert_int_equal(shared[1], (pid_t)geteuid());
	munmap(shared, 4096);
}

#define life(f) cmocka_unit_test_teardown(f, no_children_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		life(runs_in_every_namespace_of_it),
		life(is_our_child_and_has_its_own_status),
		life(capabilities_and_signals),
		life(no_descriptor_of_ours_is_open_inside),
		life(cwd_through_a_descriptor_is_refused),
		life(a_user_namespace_is_entered),
		life(a_container_without_pivot),
		life(bad_commands_are_told_apart),
		life(is_born_in_its_group),
		life(terminal),
		life(a_container_that_ended_is_not_running),
		life(a_container_that_ends_meanwhile_is_not_running),
		life(a_failing_entry_ends_it),
	};

	box_prepare_tree();
	return cmocka_run_group_tests_name("isolate/exec", tests, NULL, NULL);
}
