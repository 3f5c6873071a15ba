/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a container's first process, whole: from iso_init_spawn() to its exit status. */
#include "box.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/ioctl.h>

#include "base/sync.h"

#define BIT(n) (UINT64_C(1) << (n))

static void runs_and_reports_its_status(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.c.hostname = strdup("little");
	box_args(&b.p, "sh", "-c", "echo pid $$ on $(hostname) in $(pwd); exit 7", NULL);
	if (box_run(&b) < 0)
		fail_msg("%s", b.e.text);
	assert_string_equal(b.out, "pid 1 on little in /\n");
	assert_int_equal(WEXITSTATUS(b.status), 7);
}

static void capabilities_are_exactly_those_asked_for(void **state)
{
	_cleanup_box_ struct box b;
	uint64_t some = BIT(CAP_CHOWN) | BIT(CAP_KILL);

	(void)state;
	box_init(&b);
	b.p.caps.set[ISO_CAP_BOUNDING] = some | BIT(CAP_SETUID);
	b.p.caps.set[ISO_CAP_PERMITTED] = some;
	b.p.caps.set[ISO_CAP_EFFECTIVE] = some;
	box_args(&b.p, "cat", "/proc/self/status", NULL);
	box_run_ok(&b);
	/* Root gets at exec what the bounding set leaves. */
	assert_int_equal(status_hex(b.out, "CapBnd:"), some | BIT(CAP_SETUID));
	assert_int_equal(status_hex(b.out, "CapEff:"), some | BIT(CAP_SETUID));
	assert_int_equal(status_hex(b.out, "CapInh:"), 0);
	assert_int_equal(status_hex(b.out, "CapAmb:"), 0);
}

static void no_capabilities_section_means_none(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.p.caps.present = false;
	b.p.caps.set[ISO_CAP_BOUNDING] = ~UINT64_C(0);
	box_args(&b.p, "cat", "/proc/self/status", NULL);
	box_run_ok(&b);
	assert_int_equal(status_hex(b.out, "CapBnd:"), 0);
	assert_int_equal(status_hex(b.out, "CapEff:"), 0);
	assert_int_equal(status_hex(b.out, "CapPrm:"), 0);
}

static void ambient_capabilities_reach_a_plain_user(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	for (int i = 0; i < ISO_CAP_SET_COUNT; i++)
		b.p.caps.set[i] = BIT(CAP_NET_BIND_SERVICE);
	b.p.user.uid = b.p.user.gid = 1000;
	box_args(&b.p, "cat", "/proc/self/status", NULL);
	box_run_ok(&b);
	assert_int_equal(status_hex(b.out, "CapEff:"), BIT(CAP_NET_BIND_SERVICE));
	assert_int_equal(status_hex(b.out, "CapAmb:"), BIT(CAP_NET_BIND_SERVICE));
}

static void signals_are_as_a_new_process_expects(void **state)
{
	_cleanup_box_ struct box b;
	sigset_t set, old;

	(void)state;
	box_init(&b);
	box_args(&b.p, "cat", "/proc/self/status", NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	box_run_ok(&b);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(status_hex(b.out, "SigIgn:"), 0);
	assert_int_equal(status_hex(b.out, "SigBlk:"), 0);
}

static void no_descriptor_of_ours_is_open_inside(void **state)
{
	_cleanup_box_ struct box b;
	int leak = open("/", O_RDONLY); /* deliberately not close-on-exec */

	(void)state;
	box_init(&b);
	box_args(&b.p, "ls", "/proc/self/fd", NULL);
	box_run_ok(&b);
	close(leak);
	/* 3 is ls's own, of the directory it lists. */
	assert_string_equal(b.out, "0\n1\n2\n3\n");
}

/* In a process of its own, since it needs descriptor 3 of its choice. */
static int preserve_child(void)
{
	struct box b;
	int p[2], r;

	if (pipe(p) < 0 || dup2(p[0], 3) < 0 || write(p[1], "passed", 6) != 6)
		return 2;
	for (int fd = 4; fd < 64; fd++)
		close(fd);
	box_init(&b);
	b.params.stdio.preserve = 1;
	box_args(&b.p, "sh", "-c", "head -c 6 <&3; ls /proc/self/fd | tr '\\n' ' '", NULL);
	r = box_run(&b);
	if (r < 0 || strcmp(b.out, "passed0 1 2 3 4 ") != 0) {
		fprintf(stderr, "# %s, output '%s'\n", b.e.text, b.out);
		return 3;
	}
	box_done(&b);
	box_init(&b);
	b.params.stdio.preserve = 40;
	box_args(&b.p, "true", NULL);
	r = box_run(&b);
	return r == -EINVAL && strstr(b.e.text, "to be preserved, ") ? 0 : 4;
}

static void named_descriptors_are_preserved(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(preserve_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void bad_commands_are_told_apart_at_create(void **state)
{
	static const struct {
		const char *command;
		uint32_t uid;
		enum err_kind kind;
		const char *text;
	} rows[] = {
		{"nosuch", 0, ERR_CMD_NOT_FOUND,
		 "exec: \"nosuch\": executable file not found in $PATH"},
		{"/no/such", 0, ERR_CMD_NOT_FOUND,
		 "exec: \"/no/such\": stat /no/such: no such file or directory"},
		{"/bin/noexec", 0, ERR_CMD_NOT_EXEC, "exec: \"/bin/noexec\": permission denied"},
		{"noexec", 0, ERR_CMD_NOT_EXEC, "exec: \"noexec\": permission denied"},
		{"/bin", 0, ERR_CMD_NOT_EXEC, "exec: \"/bin\": permission denied"},
		{"/bin/rootonly", 1000, ERR_CMD_NOT_EXEC,
		 "exec: \"/bin/rootonly\": permission denied"},
		{"/dev/null", 0, ERR_CMD_NOT_EXEC, "exec: \"/dev/null\": permission denied"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		b.p.user.uid = rows[i].uid;
		box_args(&b.p, rows[i].command, NULL);
		assert_true(box_create(&b) < 0);
		assert_string_equal(err_kind_name((enum err_kind)b.e.kind),
				    err_kind_name(rows[i].kind));
		assert_contains(b.e.text, rows[i].text);
	}
}

static void what_only_exec_finds_out_is_told_at_start(void **state)
{
	static const struct {
		const char *command;
		enum err_kind kind;
		const char *text;
		int exit_code;
	} rows[] = {
		{"badinterp", ERR_CMD_NOT_FOUND, "/bin/no-such-shell", 127},
		{"garbage", ERR_CMD_NOT_EXEC, "exec format error", 126},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		box_args(&b.p, rows[i].command, NULL);
		assert_int_equal(box_create(&b), 0);
		assert_true(iso_init_start(&b.init, &b.e) < 0);
		assert_string_equal(err_kind_name((enum err_kind)b.e.kind),
				    err_kind_name(rows[i].kind));
		assert_contains(b.e.text, rows[i].text);
		assert_int_equal(waitpid(b.init.pid, &b.status, 0), b.init.pid);
		b.init.pid = -1;
		assert_int_equal(WEXITSTATUS(b.status), rows[i].exit_code);
	}
}

static void cwd_through_a_descriptor_is_refused(void **state)
{
	(void)state;
	for (int n = 3; n <= 20; n++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		free(b.p.cwd);
		assert_true(asprintf(&b.p.cwd, "/proc/self/fd/%d", n) > 0);
		box_args(&b.p, "pwd", NULL);
		assert_true(box_run(&b) < 0);
		assert_contains(b.e.text, "process.cwd");
	}
}

static void missing_cwd_is_made(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	free(b.p.cwd);
	b.p.cwd = strdup("/srv/app/data");
	box_args(&b.p, "sh", "-c", "pwd; stat -c %a .", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "/srv/app/data\n755\n");
}

static void root_may_enter_a_cwd_for_the_user(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	free(b.p.cwd);
	b.p.cwd = strdup("/private");
	b.p.user.uid = b.p.user.gid = 1000;
	box_args(&b.p, "true", NULL);
	box_run_ok(&b);
}

static void user_groups_and_umask(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.p.user = (struct iso_user){.uid = 1000, .gid = 1001, .umask = 027, .has_umask = true};
	b.p.user.additional_gids = calloc(2, sizeof(uint32_t));
	b.p.user.additional_gids[0] = 7;
	b.p.user.additional_gids[1] = 9;
	b.p.user.n_additional_gids = 2;
	box_args(&b.p, "sh", "-c", "id -u; id -g; grep ^Groups /proc/self/status; umask", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "1000\n1001\nGroups:\t7 9 \n0027\n");
}

static int failing_stage(void *arg, enum iso_stage stage, struct err *e)
{
	if (stage != *(enum iso_stage *)arg)
		return 0;
	return err_invalid(e, "hook %d says no", (int)stage);
}

static void failing_stage_ends_it(void **state)
{
	(void)state;
	for (enum iso_stage s = ISO_STAGE_CREATE_CONTAINER; s <= ISO_STAGE_START_CONTAINER; s++) {
		_cleanup_box_ struct box b;
		char text[32];

		box_init(&b);
		b.params.stage = failing_stage;
		b.params.stage_arg = &s;
		box_args(&b.p, "echo", "never", NULL);
		assert_int_equal(box_create(&b), s == ISO_STAGE_CREATE_CONTAINER ? -EINVAL : 0);
		if (s == ISO_STAGE_START_CONTAINER)
			assert_int_equal(iso_init_start(&b.init, &b.e), -EINVAL);
		snprintf(text, sizeof(text), "hook %d says no", (int)s);
		assert_contains(b.e.text, text);
		assert_true(ends_soon(b.init.pidfd));
	}
}

static int waiting_stage(void *arg, enum iso_stage stage, struct err *e)
{
	(void)stage;
	(void)!write(*(int *)arg, "x", 1);
	pause();
	return err_invalid(e, "woken");
}

static void killed_in_set_up_is_said(void **state)
{
	_cleanup_box_ struct box b;
	int arrived[2];
	pid_t killer;
	char c;

	(void)state;
	assert_int_equal(pipe2(arrived, O_CLOEXEC), 0);
	box_init(&b);
	b.params.stage = waiting_stage;
	b.params.stage_arg = &arrived[1];
	box_args(&b.p, "true", NULL);
	assert_int_equal(iso_init_spawn(&b.params, &b.init, &b.e), 0);
	killer = fork();
	if (killer == 0) {
		if (read(arrived[0], &c, 1) == 1)
			kill(b.init.pid, SIGKILL);
		_exit(0);
	}
	assert_int_equal(iso_init_prepare(&b.init, &b.e), -EPIPE);
	assert_contains(b.e.text, "init was killed during set-up");
	waitpid(killer, NULL, 0);
	close(arrived[0]);
	close(arrived[1]);
}

/* The creator as a process of its own that stops after `steps` steps and tells its child's pid. */
static _Noreturn void creator_that_stops(int tell, int steps)
{
	struct box b;
	int r;

	box_init(&b);
	box_args(&b.p, "sleep", "1000", NULL);
	r = iso_init_spawn(&b.params, &b.init, &b.e);
	if (r == 0 && steps > 1)
		r = iso_init_prepare(&b.init, &b.e);
	if (r == 0 && steps > 2)
		r = iso_init_commit(&b.init, &b.e);
	if (r < 0)
		fprintf(stderr, "# %s\n", b.e.text);
	if (write(tell, &b.init.pid, sizeof(b.init.pid)) != sizeof(b.init.pid))
		_exit(1);
	pause();
	_exit(1);
}

static void a_killed_creator_leaves_no_process(void **state)
{
	(void)state;
	for (int steps = 1; steps <= 3; steps++) {
		int tell[2], pidfd;
		pid_t creator, pid = -1;

		assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
		creator = fork();
		if (creator == 0)
			creator_that_stops(tell[1], steps);
		close(tell[1]);
		assert_int_equal(read(tell[0], &pid, sizeof(pid)), sizeof(pid));
		close(tell[0]);
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		assert_true(pidfd >= 0);
		kill(creator, SIGKILL);
		assert_int_equal(waitpid(creator, NULL, 0), creator);
		/* Reparented to us, the subreaper. */
		if (!ends_soon(pidfd)) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			fail_msg("after %d steps the container stayed", steps);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(pidfd);
	}
}

/* After the commit, whoever opens the gate starts it, and the creator may be gone. */
static void the_gate_starts_it_without_the_creator(void **state)
{
	struct err e = ERR_INIT;
	int out[2], tell[2], dir, status;
	pid_t creator, pid = -1;
	char text[64];

	(void)state;
	assert_int_equal(mkdir("/mnt/state", 0700), 0);
	dir = open("/mnt/state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	creator = fork();
	if (creator == 0) {
		struct box b;
		int r;

		box_init(&b);
		b.params.stdio.fds[1] = out[1];
		b.params.gate_fd = gate_listen(dir, &b.e);
		box_args(&b.p, "echo", "started", NULL);
		r = box_create(&b);
		if (r < 0)
			fprintf(stderr, "# %s\n", b.e.text);
		(void)!write(tell[1], &b.init.pid, sizeof(pid));
		_exit(0);
	}
	close(out[1]);
	assert_int_equal(read(tell[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(waitpid(creator, NULL, 0), creator);
	assert_true(gate_is_waiting(dir));
	if (gate_open(dir, &e) < 0)
		fail_msg("%s", e.text);
	drain(out[0], text, sizeof(text));
	assert_string_equal(text, "started\n");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(dir);
	close(out[0]);
	close(tell[0]);
	close(tell[1]);
}

static void limits(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.p.rlimits = calloc(1, sizeof(struct iso_rlimit));
	b.p.rlimits[0] = (struct iso_rlimit){7 /* NOFILE */, 20, 30};
	b.p.n_rlimits = 1;
	b.p.has_oom_score_adj = true;
	b.p.oom_score_adj = 555;
	box_args(&b.p, "sh", "-c", "ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "20\n30\n555\n");
}

static void network_and_sysctl(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.c.sysctls = calloc(1, sizeof(struct iso_sysctl));
	b.c.sysctls[0].key = strdup("net.ipv4.ip_forward");
	b.c.sysctls[0].value = strdup("1");
	b.c.n_sysctls = 1;
	box_args(&b.p, "sh", "-c",
		 "cat /proc/sys/net/ipv4/ip_forward; ifconfig lo | grep -o 'UP LOOPBACK'", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "1\nUP LOOPBACK\n");
}

static void user_namespace(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_map_ids(&b, 100000);
	/* The tree must belong to the namespace's root for it to be entered. */
	b.p.user.uid = b.p.user.gid = 12;
	b.p.has_oom_score_adj = true;
	b.p.oom_score_adj = 10;
	box_args(&b.p, "sh", "-c",
		 "id -u; tr -s ' ' </proc/self/uid_map; cat /proc/self/oom_score_adj", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "12\n 0 100000 65536\n10\n");
}

/* Engines' devpts always names a group; whether it is mapped must be found out here as well. */
static void user_namespace_with_the_callers_pids(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_map_ids(&b, 100000);
	b.c.ns[ISO_NS_PID].mode = ISO_NS_INHERIT;
	while (b.c.n_mounts > 0) /* a procfs is the pid namespace owner's to mount */
		iso_mount_done(&b.c.mounts[--b.c.n_mounts]);
	box_mount(&b, "tmpfs", "/dev", "mode=755");
	box_mount(&b, "devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5");
	box_args(&b.p, "stat", "-c", "%n", "/dev/pts/ptmx", NULL);
	box_run_ok(&b);
	assert_string_equal(b.out, "/dev/pts/ptmx\n");
}

/* The same without any privilege outside: one id mapped, no groups. A process of its own, since it
 * gives its own privileges up; after that it is not dumpable, like a sealed copy. */
static int unprivileged_creator(void)
{
	struct box b;

	if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
	    setresuid(65534, 65534, 65534) < 0)
		return 2;
	box_init(&b);
	box_map_ids(&b, 65534);
	b.c.uid_maps.v[0].count = b.c.gid_maps.v[0].count = 1;
	box_args(&b.p, "sh", "-c", "id -u; tr -s ' ' </proc/self/uid_map; cat /proc/self/setgroups",
		 NULL);
	if (box_run(&b) < 0 || strcmp(b.out, "0\n 0 65534 1\ndeny\n") != 0) {
		fprintf(stderr, "# '%s' (%s), output '%s'\n", b.e.text, b.e.hint, b.out);
		return 3;
	}
	box_done(&b);
	return 0;
}

static void user_namespace_without_privilege(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(unprivileged_creator());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void new_session_keyring(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.params.keep_keyring = false;
	box_args(&b.p, "true", NULL);
	box_run_ok(&b);
}

/* A label that cannot be given is never silently left out, whatever the container's /proc is. */
static void labels_fail_closed(void **state)
{
	(void)state;
	for (int selinux = 0; selinux < 2; selinux++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		box_mount(&b, "tmpfs", "/proc", NULL);
		if (selinux)
			b.p.selinux_label = strdup("no_such_u:no_such_r:no_such_t:s0");
		else
			b.p.apparmor_profile = strdup("no-such-profile");
		box_args(&b.p, "true", NULL);
		assert_int_equal(box_create(&b), 0);
		assert_int_equal(iso_init_start(&b.init, &b.e), -ENOTSUP);
		assert_contains(b.e.text, selinux ? "SELinux label 'no_such_u"
						  : "AppArmor profile 'no-such-profile'");
	}
}

static void filter_with_and_without_new_privileges(void **state)
{
	struct err e = ERR_INIT;
	char *names[] = {"mkdir", "mkdirat", NULL};
	struct iso_seccomp_rule rule = {
		.names = names, .errno_ret = 95 /* EOPNOTSUPP */, .has_errno_ret = true};
	struct iso_seccomp s = {.present = true, .rules = &rule, .n_rules = 1};
	struct iso_bpf bpf = {0};

	(void)state;
	iso_seccomp_action_parse("SCMP_ACT_ALLOW", &s.default_action);
	iso_seccomp_action_parse("SCMP_ACT_ERRNO", &rule.action);
	if (iso_seccomp_compile(&s, &bpf, &e) < 0)
		fail_msg("%s", e.text);
	for (int nnp = 0; nnp < 2; nnp++) {
		_cleanup_box_ struct box b;
		char line[32];

		box_init(&b);
		b.params.bpf = &bpf;
		b.p.no_new_privileges = nnp;
		box_args(&b.p, "sh", "-c", "mkdir /tmp/x; cat /proc/self/status", NULL);
		box_run_ok(&b);
		assert_contains(b.out, "Operation not supported");
		assert_contains(b.out, "Seccomp:\t2");
		snprintf(line, sizeof(line), "NoNewPrivs:\t%d", nnp);
		assert_contains(b.out, line);
	}
	iso_bpf_done(&bpf);
}

static void terminal(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.p.terminal = true;
	b.p.rows = 33;
	b.p.cols = 77;
	b.p.user.uid = 1000;
	box_args(&b.p, "sh", "-c",
		 "stty size; tty; stat -c '%u %a' $(tty); echo to-console >/dev/console; "
		 "stat -c %t:%T /dev/console; echo ctl >/dev/tty",
		 NULL);
	assert_int_equal(box_create(&b), 0);
	assert_true(b.init.console_fd >= 0);
	if (iso_init_start(&b.init, &b.e) < 0)
		fail_msg("%s", b.e.text);
	drain(b.init.console_fd, b.out, sizeof(b.out));
	assert_string_equal(b.out,
			    "33 77\r\n/dev/pts/0\r\n1000 620\r\nto-console\r\n88:0\r\nctl\r\n");
}

static void terminal_in_a_user_namespace(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	box_map_ids(&b, 100000);
	b.p.terminal = true;
	b.p.user.uid = 9;
	box_args(&b.p, "sh", "-c", "tty; stat -c '%u %a' $(tty); echo >/dev/console", NULL);
	if (box_create(&b) < 0 || iso_init_start(&b.init, &b.e) < 0)
		fail_msg("%s", b.e.text);
	drain(b.init.console_fd, b.out, sizeof(b.out));
	assert_string_equal(b.out, "/dev/pts/0\r\n9 620\r\n\r\n");
}

static void terminal_without_devpts_is_refused(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.c.n_mounts--; /* the devpts */
	iso_mount_done(&b.c.mounts[b.c.n_mounts]);
	b.p.terminal = true;
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_create(&b), -ENOTSUP);
	assert_contains(b.e.text, "/dev/pts");
}

static void joins_namespaces_by_path(void **state)
{
	static const enum iso_ns joined[] = {ISO_NS_NETWORK, ISO_NS_PID, ISO_NS_UTS};

	(void)state;
	for (int with_user = 0; with_user < 2; with_user++) {
		_cleanup_box_ struct box first, second;
		char want[4][64], path[64];
		int hold[2];

		assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
		box_init(&first);
		box_init(&second);
		first.params.stdio.fds[0] = hold[0];
		if (with_user) {
			box_map_ids(&first, 200000);
			second.c.ns[ISO_NS_USER].mode = ISO_NS_JOIN;
		}
		box_args(&first.p, "cat", NULL);
		assert_int_equal(box_create(&first), 0);
		assert_int_equal(iso_init_start(&first.init, &first.e), 0);
		close(hold[0]);
		for (size_t i = 0; i < ARRAY_SIZE(joined) + 1; i++) {
			enum iso_ns ns = i < ARRAY_SIZE(joined) ? joined[i] : ISO_NS_USER;
			ssize_t n;

			snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)first.init.pid,
				 iso_ns_table[ns].proc_name);
			n = readlink(path, want[i], sizeof(want[i]) - 1);
			assert_true(n > 0);
			want[i][n] = '\0';
			if (ns == ISO_NS_USER && !with_user)
				continue;
			second.c.ns[ns].mode = ISO_NS_JOIN;
			second.c.ns[ns].path = strdup(path);
		}
		box_args(&second.p, "sh", "-c",
			 "for n in net pid uts user; do readlink /proc/self/ns/$n; done", NULL);
		box_run_ok(&second);
		for (size_t i = 0; i < 4; i++)
			assert_contains(second.out, want[i]);
		close(hold[1]);
	}
}

static void bad_namespace_paths_are_refused(void **state)
{
	static const struct {
		const char *path, *text;
	} rows[] = {
		{"/proc/self/ns/uts", "another type"},
		{"/etc/passwd", "not a namespace"},
		{"/no/such", "No such file"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		b.c.ns[ISO_NS_NETWORK].mode = ISO_NS_JOIN;
		b.c.ns[ISO_NS_NETWORK].path = strdup(rows[i].path);
		box_args(&b.p, "true", NULL);
		assert_true(box_create(&b) < 0);
		assert_contains(b.e.text, rows[i].text);
		assert_contains(b.e.text, "network namespace");
	}
}

static void joining_our_own_uts_cannot_rename_the_host(void **state)
{
	_cleanup_box_ struct box b;

	(void)state;
	box_init(&b);
	b.c.ns[ISO_NS_UTS].mode = ISO_NS_JOIN;
	b.c.ns[ISO_NS_UTS].path = strdup("/proc/self/ns/uts");
	b.c.hostname = strdup("evil");
	box_args(&b.p, "true", NULL);
	assert_int_equal(box_create(&b), -EINVAL);
	assert_contains(b.e.text, "rename the host");
}

static void is_born_in_its_group(void **state)
{
	char path[64];
	int fd = group_make(path);

	(void)state;
	if (fd < 0) {
		print_message("# skip: no writable cgroup2\n");
		skip();
	}
	for (int own = 0; own < 2; own++) {
		_cleanup_box_ struct box b;

		box_init(&b);
		b.params.cgroup_fd = fd;
		b.c.ns[ISO_NS_CGROUP].mode = own ? ISO_NS_NEW : ISO_NS_INHERIT;
		box_args(&b.p, "grep", "^0::", "/proc/self/cgroup", NULL);
		box_run_ok(&b);
		if (own)
			assert_string_equal(b.out, "0::/\n");
		else
			assert_contains(b.out, strrchr(path, '/'));
	}
	group_remove(fd, path);
}

static void time_namespace(void **state)
{
	_cleanup_box_ struct box b;
	char own[64] = "";

	(void)state;
	if (readlink("/proc/self/ns/time", own, sizeof(own) - 1) < 0) {
		print_message("# skip: the kernel has no time namespaces\n");
		skip();
	}
	box_init(&b);
	b.c.ns[ISO_NS_TIME].mode = ISO_NS_NEW;
	box_args(&b.p, "readlink", "/proc/self/ns/time", NULL);
	box_run_ok(&b);
	assert_contains(b.out, "time:[");
	assert_null(strstr(b.out, own));
}

#define life(f) cmocka_unit_test_teardown(f, no_children_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		life(runs_and_reports_its_status),
		life(capabilities_are_exactly_those_asked_for),
		life(no_capabilities_section_means_none),
		life(ambient_capabilities_reach_a_plain_user),
		life(signals_are_as_a_new_process_expects),
		life(no_descriptor_of_ours_is_open_inside),
		life(named_descriptors_are_preserved),
		life(bad_commands_are_told_apart_at_create),
		life(what_only_exec_finds_out_is_told_at_start),
		life(cwd_through_a_descriptor_is_refused),
		life(missing_cwd_is_made),
		life(root_may_enter_a_cwd_for_the_user),
		life(user_groups_and_umask),
		life(failing_stage_ends_it),
		life(killed_in_set_up_is_said),
		life(a_killed_creator_leaves_no_process),
		life(the_gate_starts_it_without_the_creator),
		life(limits),
		life(network_and_sysctl),
		life(user_namespace),
		life(user_namespace_with_the_callers_pids),
		life(user_namespace_without_privilege),
		life(new_session_keyring),
		life(labels_fail_closed),
		life(filter_with_and_without_new_privileges),
		life(terminal),
		life(terminal_in_a_user_namespace),
		life(terminal_without_devpts_is_refused),
		life(joins_namespaces_by_path),
		life(bad_namespace_paths_are_refused),
		life(joining_our_own_uts_cannot_rename_the_host),
		life(is_born_in_its_group),
		life(time_namespace),
	};

	box_prepare_tree();
	return cmocka_run_group_tests_name("isolate/init", tests, NULL, NULL);
}
