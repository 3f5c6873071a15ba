/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting helpers and hooks. What the started program sees is looked at from inside, through
 * /proc/self of a shell: its descriptors, signals, session and environment.
 */
#include "check.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"

/* Run a shell script with a map; its standard output comes back. */
static char *output_of(struct proc_spawn *s, const char *script)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
	struct proc_fd_map fds[16];
	struct err e = ERR_INIT;
	char *text = NULL;
	int p[2], status;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	for (size_t i = 0; i < s->n_fds; i++)
		fds[i] = s->fds[i];
	fds[s->n_fds] = (struct proc_fd_map){p[1], 1};
	s->argv = argv;
	s->fds = fds;
	s->n_fds++;
	assert_ok(proc_spawn(s, &pid, NULL, &e), &e);
	close(p[1]);
	assert_ok(fd_read_all(p[0], 65536, &text, NULL, "output", &e), &e);
	close(p[0]);
	assert_ok(proc_reap(pid, &status, &e), &e);
	assert_int_equal(status, 0);
	return text;
}

/* A file of one letter, so that a descriptor can be recognised. */
static int letter(char c)
{
	int fd = fd_sealed_memfd("letter", &c, 1, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void only_mapped_descriptors_arrive(void **state)
{
	_cleanup_close_ int a = letter('a'),
			    open_one = dup(a); /* not close-on-exec: must not leak */
	struct proc_fd_map fds[] = {{a, 7}};
	struct proc_spawn s = {.fds = fds, .n_fds = 1, .cgroup_fd = -1};
	_cleanup_free_ char *out = NULL;

	(void)state;
	/* By number, since listing the directory opens one more. */
	out = output_of(&s, "i=0; while [ $i -lt 200 ]; do test -e /proc/$$/fd/$i && echo $i; "
			    "i=$((i+1)); done; readlink /proc/$$/fd/0 /proc/$$/fd/2; cat <&7");
	assert_string_equal(out, "0\n1\n2\n7\n/dev/null\n/dev/null\na");
	(void)open_one;
}

/* Root's program has these alone, though an exec gives root all; what is not named cannot come back. */
static void limited_capabilities(void **state)
{
	struct proc_spawn s = {.limit_caps = true,
			       .caps = UINT64_C(1) << CAP_CHOWN | UINT64_C(1) << CAP_SETFCAP,
			       .cgroup_fd = -1};
	_cleanup_free_ char *out = NULL;

	(void)state;
	if (geteuid() != 0) {
		print_message("# skip: only root has capabilities to limit\n");
		skip();
	}
	out = output_of(&s, "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | tr -d '\\t '");
	assert_string_equal(out, "CapInh:0000000080000001\nCapPrm:0000000080000001\n"
				 "CapEff:0000000080000001\nCapAmb:0000000080000001\n");
}

static void permuted_maps(void **state)
{
	/* Three letters on three numbers, rotated; the first source is in the way of the report. */
	static const struct {
		int from[3], to[3];
	} rows[] = {
		{{20, 21, 22}, {20, 21, 22}}, {{20, 21, 22}, {21, 20, 22}},
		{{20, 21, 22}, {21, 22, 20}}, {{20, 21, 22}, {22, 20, 21}},
		{{20, 21, 22}, {3, 4, 5}},    {{3, 4, 5}, {5, 3, 4}},
		{{3, 4, 5}, {4, 5, 6}},       {{6, 5, 4}, {5, 4, 3}},
		{{20, 20, 20}, {3, 20, 21}},  {{20, 21, 20}, {21, 20, 19}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proc_fd_map fds[3];
		struct proc_spawn s = {.fds = fds, .n_fds = 3, .cgroup_fd = -1};
		_cleanup_free_ char *out = NULL, *script = NULL, *want = NULL;
		int high[3];

		/* Sources at their numbers; whatever stood there is put back by closing. */
		for (int k = 0; k < 3; k++) {
			_cleanup_close_ int fd = letter((char)('a' + rows[i].from[k] % 26));

			fds[k] = (struct proc_fd_map){rows[i].from[k], rows[i].to[k]};
			high[k] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		}
		for (int k = 0; k < 3; k++)
			assert_int_equal(dup3(high[k], rows[i].from[k], O_CLOEXEC),
					 rows[i].from[k]);
		str_printf(&script, "for n in %d %d %d; do cat /proc/self/fd/$n; done", fds[0].to,
			   fds[1].to, fds[2].to);
		str_printf(&want, "%c%c%c", 'a' + fds[0].from % 26, 'a' + fds[1].from % 26,
			   'a' + fds[2].from % 26);
		out = output_of(&s, script);
		if (!STREQ(out, want))
			fail_msg("row %zu: '%s', expected '%s'", i, out, want);
		for (int k = 0; k < 3; k++) {
			close(high[k]);
			close(rows[i].from[k]);
		}
	}
}

/* stdin and stdout exchanged: 0 becomes 1 and 1 becomes 0, with the report pipe in between. */
static int swap_standard_streams(void *arg)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)"read x; echo got-$x >&0", NULL};
	struct proc_fd_map fds[] = {{0, 1}, {1, 0}};
	struct proc_spawn s = {.argv = argv, .fds = fds, .n_fds = 2, .cgroup_fd = -1};
	char buf[32] = "";
	int in[2], out[2], status;
	pid_t pid;

	(void)arg;
	if (pipe(in) < 0 || pipe(out) < 0 || write(in[1], "y\n", 2) != 2)
		return 1;
	/* our 1 is what it shall read, our 0 is what it shall write */
	argv[2] = (char *)"read x; echo got-$x";
	if (dup2(in[0], 1) < 0 || dup2(out[1], 0) < 0)
		return 2;
	for (int fd = 3; fd < 16; fd++)
		if (fd != out[0])
			close(fd);
	if (proc_spawn(&s, &pid, NULL, NULL) < 0 || proc_reap(pid, &status, NULL) < 0)
		return 3;
	if (status != 0 || read(out[0], buf, sizeof(buf)) != 6)
		return 4;
	return STREQ(buf, "got-y\n") ? 0 : 5;
}

static void standard_streams_may_be_exchanged(void **state)
{
	(void)state;
	assert_int_equal(in_child(swap_standard_streams, NULL), 0);
}

static void wrong_maps_are_refused(void **state)
{
	char *argv[] = {(char *)"/bin/true", NULL};
	static const struct proc_fd_map maps[][2] = {
		{{0, 5}, {1, 5}},
		{{-1, 5}, {0, 6}},
		{{0, -5}, {0, 6}},
	};
	struct err e = ERR_INIT;
	pid_t pid = 4711;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct proc_spawn s = {.argv = argv, .fds = maps[i], .n_fds = 2, .cgroup_fd = -1};

		assert_int_equal(proc_spawn(&s, &pid, NULL, &e), -EINVAL);
		assert_int_equal(pid, 4711);
	}
	{
		struct proc_fd_map closed = {1 << 19, 5};
		struct proc_spawn s = {.argv = argv, .fds = &closed, .n_fds = 1, .cgroup_fd = -1};

		assert_int_equal(proc_spawn(&s, &pid, NULL, &e), -EBADF);
		assert_has(e.text, "start '/bin/true': arrange descriptors: Bad file descriptor");
	}
}

static void failing_exec_is_told_at_once(void **state)
{
	static const struct {
		const char *program;
		int errnum;
	} rows[] = {{"/nonexistent", ENOENT}, {"/etc/passwd", EACCES}, {"/", EACCES}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *argv[] = {(char *)rows[i].program, NULL};
		struct proc_spawn s = {.argv = argv, .cgroup_fd = -1};
		struct err e = ERR_INIT;
		pid_t pid = 4711;
		int pidfd = 4711;

		assert_int_equal(proc_spawn(&s, &pid, &pidfd, &e), -rows[i].errnum);
		assert_has(e.text, rows[i].program);
		assert_has(e.text, "execute");
		assert_int_equal(e.kind, ERR_SYSTEM);
		assert_int_equal(pid, 4711);
		assert_int_equal(pidfd, 4711);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
		assert_int_equal(errno, ECHILD);
	}
}

/* The report's own pipe stands on a number that the map wants. */
static void failing_exec_is_told_under_a_full_map(void **state)
{
	char *argv[] = {(char *)"/nonexistent", NULL};
	struct proc_fd_map fds[60];
	struct proc_spawn s = {.argv = argv, .fds = fds, .n_fds = 60, .cgroup_fd = -1};
	_cleanup_close_ int a = letter('a');
	pid_t pid;

	(void)state;
	for (int i = 0; i < 60; i++)
		fds[i] = (struct proc_fd_map){a, i};
	assert_int_equal(proc_spawn(&s, &pid, NULL, NULL), -ENOENT);
}

static void path_may_differ_from_argv0(void **state)
{
	char *argv[] = {(char *)"hook-name", (char *)"-c", (char *)"test $0 = hook-name", NULL};
	struct proc_spawn s = {.path = "/bin/sh", .argv = argv, .cgroup_fd = -1};
	struct err e = ERR_INIT;
	int status;
	pid_t pid;

	(void)state;
	assert_ok(proc_spawn(&s, &pid, NULL, &e), &e);
	assert_ok(proc_reap(pid, &status, &e), &e);
	assert_int_equal(status, 0);
}

static void signals_are_as_new(void **state)
{
	struct proc_spawn s = {.cgroup_fd = -1};
	_cleanup_free_ char *out = NULL;
	sigset_t some, before;
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);

	(void)state;
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_BLOCK, &some, &before);
	out = output_of(&s, "exec cat /proc/self/status");
	sigprocmask(SIG_SETMASK, NULL, &some);
	assert_int_equal(sigismember(&some, SIGUSR1), 1); /* ours is as before */
	assert_int_equal(sigismember(&some, SIGUSR2), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, old);
	assert_has(out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
			"SigCgt:\t0000000000000000\n");
}

static void environment_and_session(void **state)
{
	char *env[] = {(char *)"ONLY=this", NULL};
	struct proc_spawn own = {.env = env, .new_session = true, .cgroup_fd = -1};
	struct proc_spawn inherit = {.cgroup_fd = -1};
	_cleanup_free_ char *a = NULL, *b = NULL;

	(void)state;
	/* field 6 of stat is the session: the shell's own pid */
	a = output_of(&own, "tr '\\0' '\\n' </proc/$$/environ; read -r p c s pp pg se r "
			    "</proc/$$/stat; test $se = $$ && echo leader");
	assert_string_equal(a, "ONLY=this\nleader\n");
	setenv("INHERITED", "yes", 1);
	b = output_of(&inherit, "echo $INHERITED");
	unsetenv("INHERITED");
	assert_string_equal(b, "yes\n");
}

/* The middle process dies; its child must follow. The pipe's end of file tells. */
static int spawn_with_death_signal(void *arg)
{
	char *argv[] = {(char *)"/bin/sleep", (char *)"1000", NULL};
	struct proc_fd_map fds[] = {{*(int *)arg, 9}};
	struct proc_spawn s = {
		.argv = argv, .fds = fds, .n_fds = 1, .death_signal = SIGKILL, .cgroup_fd = -1};
	pid_t pid;

	return proc_spawn(&s, &pid, NULL, NULL) == 0 ? 0 : 1;
}

static void child_dies_with_its_parent(void **state)
{
	char byte;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(in_child(spawn_with_death_signal, &p[1]), 0);
	close(p[1]);
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
}

static void pidfd_comes_with_it(void **state)
{
	char *argv[] = {(char *)"/bin/sleep", (char *)"1000", NULL};
	struct proc_spawn s = {.argv = argv, .death_signal = SIGKILL, .cgroup_fd = -1};
	_cleanup_close_ int pidfd = -EBADF;
	struct err e = ERR_INIT;
	int status;
	pid_t pid;

	(void)state;
	assert_ok(proc_spawn(&s, &pid, &pidfd, &e), &e);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_ok(proc_signal(pidfd, SIGTERM, &e), &e);
	assert_ok(proc_reap(pid, &status, &e), &e);
	assert_int_equal(proc_exit_code(status), 128 + SIGTERM);
}

static int spawn_without_close_range(void *arg)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c",
			(char *)"test ! -e /proc/$$/fd/50 -a -e /proc/$$/fd/51", NULL};
	struct proc_fd_map fds[] = {{0, 51}};
	struct proc_spawn s = {.argv = argv, .fds = fds, .n_fds = 1, .cgroup_fd = -1};
	int status;
	pid_t pid;

	(void)arg;
	dup2(0, 50);
	if (forbid_syscall(SYS_close_range, ENOSYS) < 0 || forbid_syscall(SYS_clone3, ENOSYS) < 0)
		return 1;
	if (proc_spawn(&s, &pid, NULL, NULL) < 0 || proc_reap(pid, &status, NULL) < 0)
		return 2;
	return status == 0 ? 0 : 3;
}

static void works_without_close_range_and_clone3(void **state)
{
	(void)state;
	assert_int_equal(in_child(spawn_without_close_range, NULL), 0);
}

/* ---- run to the end ---- */

static int run(const char *script, const char *input, int timeout_msec, struct err *e)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
	struct proc_spawn s = {.argv = argv, .cgroup_fd = -1};

	return proc_run(&s, input, input ? strlen(input) : 0, timeout_msec, "hook 'x'", e);
}

static void run_feeds_and_judges(void **state)
{
	struct err e = ERR_INIT;
	char *big = malloc(1 << 20);

	(void)state;
	assert_ok(run("test \"$(cat)\" = '{\"id\":1}'", "{\"id\":1}", -1, &e), &e);
	assert_ok(run("test \"$(cat /dev/stdin)\" = abc", "abc", 10000, &e), &e);
	assert_ok(run("! read x", NULL, -1, &e), &e); /* no input: nothing there */
	assert_ok(run("! read x", "", -1, &e), &e);
	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	assert_ok(run("exit 0", big, -1, &e), &e); /* not read: nobody is killed by SIGPIPE */
	assert_ok(run("test $(wc -c) = 1048575", big, -1, &e), &e);
	free(big);
	assert_true(run("echo oops >&2; exit 3", NULL, -1, &e) < 0);
	assert_string_equal(e.text, "hook 'x': exit status 3: oops");
	assert_true(run("exit 1", NULL, -1, &e) < 0);
	assert_string_equal(e.text, "hook 'x': exit status 1");
	assert_true(run("kill -9 $$", NULL, -1, &e) < 0);
	assert_string_equal(e.text, "hook 'x': killed by SIGKILL");
	assert_int_equal(run("exec /nonexistent/x", NULL, -1, &e) < 0, 1);
	assert_has(e.text, "exit status 127");
}

static void run_keeps_the_end_of_stderr(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_true(run("i=0; while [ $i -lt 3000 ]; do echo line-$i; i=$((i+1)); done >&2; "
			"printf 'a\\033[31mb\\n\\n' >&2; exit 1",
			NULL, -1, &e) < 0);
	assert_has(e.text, "line-2999 a [31mb");
	assert_null(strstr(e.text, "line-1000 "));
	assert_true(strlen(e.text) > 900 && strlen(e.text) < 1100);
	assert_null(strchr(e.text, '\n'));
}

static void run_ends_at_its_time(void **state)
{
	struct timespec a, b;
	struct err e = ERR_INIT;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(run("echo before >&2; exec sleep 1000", NULL, 100, &e), -ETIMEDOUT);
	assert_has(e.text, "hook 'x': killed, as it did not end within 100 ms");
	/* closing stderr does not end the wait, nor does it spin */
	assert_int_equal(run("exec 2>&-; exec sleep 1000", NULL, 100, &e), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 60);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* A daemon that a hook leaves behind holds its stderr open; the hook itself is over. */
static void run_does_not_wait_for_grandchildren(void **state)
{
	_cleanup_close_ int hold = -EBADF;
	struct err e = ERR_INIT;
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)"cat <&8 >/dev/null & exit 0",
			NULL};
	struct proc_spawn s = {.argv = argv, .n_fds = 1, .cgroup_fd = -1};
	struct proc_fd_map map;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	map = (struct proc_fd_map){p[0], 8};
	hold = p[1]; /* cat lives until this closes */
	s.fds = &map;
	assert_ok(proc_run(&s, NULL, 0, 60000, "hook", &e), &e);
	close(p[0]);
}

static void run_refuses_taken_streams(void **state)
{
	char *argv[] = {(char *)"/bin/true", NULL};
	struct proc_fd_map map = {1, 2};
	struct proc_spawn s = {.argv = argv, .fds = &map, .n_fds = 1, .cgroup_fd = -1};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(proc_run(&s, NULL, 0, -1, "hook", &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_mapped_descriptors_arrive),
		cmocka_unit_test(limited_capabilities),
		cmocka_unit_test(permuted_maps),
		cmocka_unit_test(standard_streams_may_be_exchanged),
		cmocka_unit_test(wrong_maps_are_refused),
		cmocka_unit_test(failing_exec_is_told_at_once),
		cmocka_unit_test(failing_exec_is_told_under_a_full_map),
		cmocka_unit_test(path_may_differ_from_argv0),
		cmocka_unit_test(signals_are_as_new),
		cmocka_unit_test(environment_and_session),
		cmocka_unit_test(child_dies_with_its_parent),
		cmocka_unit_test(pidfd_comes_with_it),
		cmocka_unit_test(works_without_close_range_and_clone3),
		cmocka_unit_test(run_feeds_and_judges),
		cmocka_unit_test(run_keeps_the_end_of_stderr),
		cmocka_unit_test(run_ends_at_its_time),
		cmocka_unit_test(run_does_not_wait_for_grandchildren),
		cmocka_unit_test(run_refuses_taken_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
