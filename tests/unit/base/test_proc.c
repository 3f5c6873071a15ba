/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: identity, pidfds, waiting, dying as somebody else died, cloning, signals by name.
 */
#include "check.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/proc.h"

/* A child that does nothing until it is killed, or until we die. */
static pid_t sleeper(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void identity_is_pid_and_start(void **state)
{
	struct proc_id self, again, other;
	struct err e = ERR_INIT;
	pid_t pid = sleeper();
	int fd;

	(void)state;
	assert_ok(proc_id_of(getpid(), &self, &e), &e);
	assert_ok(proc_id_of(getpid(), &again, &e), &e);
	assert_int_equal(self.pid, getpid());
	assert_true(self.start_ticks > 0 && self.start_ticks == again.start_ticks);
	assert_ok(proc_id_of(pid, &other, &e), &e);
	fd = proc_open(&other, &e);
	assert_ok(fd, &e);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	other.start_ticks++; /* the number went to another process */
	assert_int_equal(proc_open(&other, &e), -ESRCH);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	reap(pid);
}

/* A process may call itself ") Z 1 1 1 ...": the fields are those behind the last parenthesis. */
static int hostile_name(void *arg)
{
	struct proc_id plain, hostile;

	(void)arg;
	if (proc_id_of(getpid(), &plain, NULL) < 0)
		return 1;
	prctl(PR_SET_NAME, "x) Z 1 (9 1 ) 2");
	if (proc_id_of(getpid(), &hostile, NULL) < 0)
		return 2;
	return plain.start_ticks == hostile.start_ticks ? 0 : 3;
}

static void names_do_not_confuse_identity(void **state)
{
	(void)state;
	assert_int_equal(in_child(hostile_name, NULL), 0);
}

static void gone_and_zombie_are_esrch(void **state)
{
	pid_t pid = sleeper();
	struct err e = ERR_INIT;
	struct proc_id id;
	siginfo_t info;
	int fd;

	(void)state;
	assert_ok(proc_id_of(pid, &id, &e), &e);
	fd = proc_open(&id, &e);
	assert_ok(fd, &e);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_open(&id, &e), -ESRCH); /* a zombie */
	waitpid(pid, NULL, 0);
	assert_int_equal(proc_open(&id, &e), -ESRCH);
	assert_int_equal(proc_signal(fd, SIGTERM, &e), -ESRCH);
	assert_int_equal(proc_id_of(pid, &id, &e), -ESRCH);
	close(fd);
	id.pid = 0;
	assert_int_equal(proc_open(&id, &e), -ESRCH);
	id.pid = -1;
	assert_int_equal(proc_open(&id, &e), -ESRCH);
}

static void signal_wait_reap(void **state)
{
	pid_t pid = sleeper();
	struct err e = ERR_INIT;
	struct proc_id id;
	int fd, status;

	(void)state;
	assert_ok(proc_id_of(pid, &id, &e), &e);
	fd = proc_open(&id, &e);
	assert_ok(fd, &e);
	assert_int_equal(proc_wait_exit(fd, 0, &e), -ETIMEDOUT);
	assert_int_equal(proc_wait_exit(fd, 20, &e), -ETIMEDOUT);
	assert_int_equal(proc_signal(fd, 1000, &e), -EINVAL);
	assert_ok(proc_signal(fd, SIGTERM, &e), &e);
	assert_ok(proc_wait_exit(fd, -1, &e), &e);
	assert_ok(proc_reap(pid, &status, &e), &e);
	assert_int_equal(proc_exit_code(status), 128 + SIGTERM);
	assert_int_equal(proc_reap(pid, &status, &e), -ECHILD);
	close(fd);
}

static int exit_as(void *arg)
{
	proc_exit_as(*(int *)arg);
}

static int exit_status_of(int status)
{
	struct rlimit core = {0, 0};
	int got;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		getrlimit(RLIMIT_CORE, &core);
		core.rlim_cur = core.rlim_max;
		setrlimit(RLIMIT_CORE, &core);
		signal(SIGABRT, SIG_IGN);
		_exit(exit_as(&status));
	}
	assert_int_equal(waitpid(pid, &got, 0), pid);
	return got;
}

static void dies_as_it_died(void **state)
{
	static const int signals[] = {SIGTERM, SIGKILL, SIGABRT, SIGSEGV, SIGHUP};

	(void)state;
	assert_int_equal(exit_status_of(0), 0);
	assert_int_equal(WEXITSTATUS(exit_status_of(3 << 8)), 3);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		/* as waitpid() gives it, also with the core dump bit */
		int got = exit_status_of(signals[i] | 0x80);

		assert_true(WIFSIGNALED(got));
		assert_int_equal(WTERMSIG(got), signals[i]);
		assert_false(WCOREDUMP(got));
	}
}

static void blocked_signal_still_kills(void **state)
{
	sigset_t all, before;
	int got;

	(void)state;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	got = exit_status_of(SIGTERM);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_true(WIFSIGNALED(got) && WTERMSIG(got) == SIGTERM);
}

/* PID 1 of a namespace cannot be killed by its own signal: the shell's convention it is. */
static void first_process_of_a_namespace(void **state)
{
	int status = SIGTERM, got;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("# skip: needs root for a pid namespace\n");
		skip();
	}
	pid = proc_clone(CLONE_NEWPID, SIGCHLD, -1, NULL);
	assert_true(pid >= 0);
	if (pid == 0)
		proc_exit_as(status);
	assert_int_equal(waitpid(pid, &got, 0), pid);
	assert_true(WIFEXITED(got));
	assert_int_equal(WEXITSTATUS(got), 128 + SIGTERM);
}

/* ---- clone ---- */

static int clone_and_check(void *arg)
{
	int pidfd = -1, status;
	pid_t pid;

	if (arg && forbid_syscall(SYS_clone3, ENOSYS) < 0)
		return 1;
	pid = proc_clone(0, SIGCHLD, -1, &pidfd);
	if (pid < 0)
		return 2;
	if (pid == 0)
		_exit(42);
	if (pidfd < 0 || fcntl(pidfd, F_GETFD) != FD_CLOEXEC)
		return 3;
	if (proc_wait_exit(pidfd, 10000, NULL) < 0 || proc_reap(pid, &status, NULL) < 0)
		return 4;
	if (proc_exit_code(status) != 42)
		return 5;
	/* without SIGCHLD, reaped all the same */
	pid = proc_clone(0, 0, -1, NULL);
	if (pid == 0)
		_exit(7);
	if (pid < 0 || proc_reap(pid, &status, NULL) < 0 || proc_exit_code(status) != 7)
		return 6;
	return 0;
}

static int clone_into_cgroup_without_clone3(void *arg)
{
	(void)arg;
	if (forbid_syscall(SYS_clone3, ENOSYS) < 0)
		return 1;
	/* clone(2) cannot say where: not silently somewhere else. */
	return proc_clone(0, SIGCHLD, 0, NULL) == -ENOSYS ? 0 : 2;
}

static void clone_returns_like_fork(void **state)
{
	bool old_kernel = true;

	(void)state;
	assert_int_equal(in_child(clone_and_check, NULL), 0);
	assert_int_equal(in_child(clone_and_check, &old_kernel), 0);
	assert_int_equal(in_child(clone_into_cgroup_without_clone3, NULL), 0);
	assert_true(proc_clone(0, SIGCHLD, 1 << 20, NULL) < 0); /* no such descriptor */
}

/* ---- signals ---- */

static int inherited_signals(void *arg)
{
	struct sigaction sa;
	sigset_t set;

	(void)arg;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGRTMIN + 1, SIG_IGN);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	proc_reset_signals();
	sigprocmask(SIG_SETMASK, NULL, &set);
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		if (sigaction(sig, NULL, &sa) < 0)
			continue; /* libc's own */
		if (sa.sa_handler != SIG_DFL || sigismember(&set, sig) == 1)
			return sig;
	}
	return 0;
}

static void reset_forgets_ignored_and_blocked(void **state)
{
	(void)state;
	assert_int_equal(in_child(inherited_signals, NULL), 0);
}

static void signals_by_name(void **state)
{
	static const struct {
		const char *text;
		int r, sig;
	} rows[] = {
		{"TERM", 0, SIGTERM},
		{"SIGTERM", 0, SIGTERM},
		{"sigterm", 0, SIGTERM},
		{"15", 0, 15},
		{"KILL", 0, SIGKILL},
		{"USR1", 0, SIGUSR1},
		{"IOT", 0, SIGABRT},
		{"CLD", 0, SIGCHLD},
		{"POLL", 0, SIGPOLL},
		{"IO", 0, SIGIO},
		{"RTMIN", 0, 34},
		{"SIGRTMIN+3", 0, 37},
		{"RTMIN+30", 0, 64},
		{"RTMAX", 0, 64},
		{"RTMAX-1", 0, 63},
		{"64", 0, 64},
		{"0", -EINVAL, 0},
		{"65", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"SIG", -EINVAL, 0},
		{"SIGSIGTERM", -EINVAL, 0},
		{"TERM ", -EINVAL, 0},
		{"RTMIN+31", -EINVAL, 0},
		{"RTMIN-1", -EINVAL, 0},
		{"RTMAX+1", -EINVAL, 0},
		{"RTMIN+", -EINVAL, 0},
		{"RTMIN3", -EINVAL, 0},
		{"RTMIN+4294967297", -EINVAL, 0},
		{"EXIT", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int sig = 4711;

		if (signal_parse(rows[i].text, &sig) != rows[i].r ||
		    sig != (rows[i].r == 0 ? rows[i].sig : 4711))
			fail_msg("'%s' gives %d", rows[i].text, sig);
	}
	for (int sig = -1; sig < 70; sig++) {
		const char *name = signal_name(sig);
		int back = 0;

		if (sig < 1 || sig > 64 || sig == 32 || sig == 33) {
			assert_null(name);
			continue;
		}
		assert_non_null(name);
		assert_int_equal(signal_parse(name, &back), 0);
		assert_int_equal(back, sig);
	}
	assert_string_equal(signal_name(SIGTERM), "TERM");
	assert_string_equal(signal_name(37), "RTMIN+3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_is_pid_and_start),
		cmocka_unit_test(names_do_not_confuse_identity),
		cmocka_unit_test(gone_and_zombie_are_esrch),
		cmocka_unit_test(signal_wait_reap),
		cmocka_unit_test(dies_as_it_died),
		cmocka_unit_test(blocked_signal_still_kills),
		cmocka_unit_test(first_process_of_a_namespace),
		cmocka_unit_test(clone_returns_like_fork),
		cmocka_unit_test(reset_forgets_ignored_and_blocked),
		cmocka_unit_test(signals_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
