/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay with real terminals: an outer one, which plays the person's, and an inner one, on
 * which a process runs. The relay runs in a child whose standard streams are the outer slave (or
 * whatever a test gives it); the test types into the outer master and reads from it.
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "runtime/runtime.h"
#include "scratch_dir.h"

/* What the child with the relay in it tells, besides its exit code. */
struct told {
	int result; /* of rt_relay_run() */
	int status; /* wait status of the workload */
	bool restored;
	pid_t workload;
};

struct stage {
	int outer, outer_slave; /* the person's terminal */
	pid_t relay;
	struct told *told; /* shared with the child */
};

struct wish {
	const char *script; /* the workload, run by sh on the inner terminal */
	bool no_console;    /* without an inner terminal */
	bool not_interactive;
	int in, out; /* the relay's stdin and stdout; -1: the outer terminal */
};

static pid_t start_workload(const struct wish *w, int *ret_master)
{
	struct winsize size = {.ws_row = 5, .ws_col = 5};
	pid_t pid;

	if (w->no_console) {
		*ret_master = -1;
		pid = fork();
	} else {
		pid = forkpty(ret_master, NULL, NULL, &size);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		proc_reset_signals();
		execl("/bin/busybox", "sh", "-c", w->script, NULL);
		_exit(127);
	}
	return pid;
}

static _Noreturn void relay_child(struct stage *s, const struct wish *w)
{
	struct termios before, after;
	struct rt_relay r = {
		.interactive = !w->not_interactive, .forward_signals = true, .is_exec = true};
	sigset_t all;
	int terminal;

	/* A test may signal as soon as the workload speaks; the relay finds it pending. */
	sigfillset(&all);
	sigdelset(&all, SIGPIPE);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	ioctl(s->outer_slave, TIOCSCTTY, 0);
	dup2(w->in >= 0 ? w->in : s->outer_slave, 0);
	dup2(w->out >= 0 ? w->out : s->outer_slave, 1);
	dup2(s->outer_slave, 2);
	terminal = s->outer_slave;
	tcgetattr(terminal, &before);
	r.pid = s->told->workload = start_workload(w, &r.console_fd);
	s->told->result = rt_relay_run(&r, &s->told->status, NULL);
	tcgetattr(terminal, &after);
	s->told->restored = before.c_lflag == after.c_lflag && before.c_iflag == after.c_iflag &&
			    before.c_oflag == after.c_oflag;
	/* What an ended relay leaves running is not this test's. */
	if (s->told->result < 0) {
		kill(r.pid, SIGKILL);
		waitpid(r.pid, NULL, 0);
	}
	_exit(0);
}

static struct stage begin(const struct wish *w)
{
	struct winsize size = {.ws_row = 31, .ws_col = 97};
	struct stage s;

	s.told = mmap(NULL, sizeof(*s.told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(s.told != MAP_FAILED);
	assert_int_equal(openpty(&s.outer, &s.outer_slave, NULL, NULL, &size), 0);
	fcntl(s.outer, F_SETFD, FD_CLOEXEC);
	s.relay = fork_tied();
	if (s.relay == 0) {
		close(s.outer);
		relay_child(&s, w);
	}
	return s;
}

static struct told end(struct stage *s)
{
	struct told told;
	int status;

	assert_int_equal(waitpid(s->relay, &status, 0), s->relay);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	told = *s->told;
	munmap(s->told, sizeof(*s->told));
	close(s->outer);
	close(s->outer_slave);
	return told;
}

static void await(int fd, const char *word)
{
	char buf[8192];
	size_t n = 0;

	while (n < sizeof(buf) - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (poll(&p, 1, 20000) <= 0)
			break;
		got = read(fd, buf + n, sizeof(buf) - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		buf[n] = '\0';
		if (strstr(buf, word))
			return;
	}
	buf[n] = '\0';
	fail_msg("no '%s' in '%s'", word, buf);
}

static void type(const struct stage *s, const char *text)
{
	assert_int_equal(write(s->outer, text, strlen(text)), strlen(text));
}

static int setup(void **state)
{
	(void)state;
	limit_time(60);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alarm(0);
	return 0;
}

/* ---- with a terminal ---------------------------------------------------------------------- */

static void bytes_go_both_ways_and_the_status_comes_back(void **state)
{
	struct stage s = begin(&(struct wish){
		.script = "echo ready; read x; echo got-$x; exit 5", .in = -1, .out = -1});
	struct told t;

	(void)state;
	await(s.outer, "ready");
	type(&s, "word\n");
	await(s.outer, "got-word");
	t = end(&s);
	assert_int_equal(t.result, 0);
	assert_int_equal(proc_exit_code(t.status), 5);
	assert_true(t.restored);
}

static void a_death_by_signal_comes_back(void **state)
{
	struct stage s = begin(&(struct wish){.script = "kill -9 $$", .in = -1, .out = -1});
	struct told t = end(&s);

	(void)state;
	assert_true(WIFSIGNALED(t.status) && WTERMSIG(t.status) == SIGKILL);
	assert_true(t.restored);
}

/* Ctrl-C is a byte for the outer terminal and a signal on the inner one. */
static void control_c_is_for_the_workload(void **state)
{
	struct stage s = begin(
		&(struct wish){.script = "trap 'echo caught; n=1$n' INT; echo ready; "
					 "while [ \"$n\" != 11 ]; do sleep 0.05; done; exit 4",
			       .in = -1,
			       .out = -1});
	struct told t;

	(void)state;
	await(s.outer, "ready");
	type(&s, "\003");
	await(s.outer, "caught");
	type(&s, "\003");
	await(s.outer, "caught");
	t = end(&s);
	assert_int_equal(t.result, 0);
	assert_int_equal(proc_exit_code(t.status), 4);
	assert_true(t.restored);
}

static void the_size_is_ours_from_the_start_and_follows(void **state)
{
	struct winsize size = {.ws_row = 12, .ws_col = 34};
	struct stage s = begin(&(struct wish){
		.script = "trap 'stty size; exit 0' WINCH; while [ \"$(stty size)\" = '5 5' ]; do "
			  "sleep 0.02; done; stty size; while :; do sleep 0.05; done",
		.in = -1,
		.out = -1});

	(void)state;
	await(s.outer, "31 97");
	assert_int_equal(ioctl(s.outer, TIOCSWINSZ, &size), 0);
	/* The relay leads the session of the outer terminal, but in a background group or not,
	 * the kernel tells the foreground group; make sure that it is told. */
	kill(s.relay, SIGWINCH);
	await(s.outer, "12 34");
	assert_int_equal(end(&s).result, 0);
}

/* What was written just before the end must all arrive. */
static void the_tail_of_the_output_is_not_lost(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct stage s = begin(&(struct wish){
			.script = "i=0; while [ $i -lt 300 ]; do echo 0123456789012345678901234567"
				  "8901234567890123456789; i=$((i+1)); done; printf the-last-word",
			.in = -1,
			.out = -1,
			.not_interactive = true});
		char buf[65536];
		size_t n = 0;
		struct pollfd p = {.fd = s.outer, .events = POLLIN};

		while (poll(&p, 1, 20000) > 0) {
			ssize_t got = read(s.outer, buf + n, sizeof(buf) - 1 - n);

			if (got <= 0)
				break;
			n += (size_t)got;
			buf[n] = '\0';
			if (n >= 13 && strcmp(buf + n - 13, "the-last-word") == 0)
				break;
		}
		assert_true(n >= 13);
		assert_string_equal(buf + n - 13, "the-last-word");
		assert_int_equal(end(&s).result, 0);
	}
}

/* The workload closes its terminal and works on: no end, no spinning, no lost end. */
static void closing_the_terminal_is_not_the_end(void **state)
{
	struct stage s = begin(
		&(struct wish){.script = "echo first; exec </dev/null >/dev/null 2>&1; sleep 0.3; "
					 "echo second >/dev/tty; exit 6",
			       .in = -1,
			       .out = -1});
	struct told t;

	(void)state;
	await(s.outer, "first");
	await(s.outer, "second");
	t = end(&s);
	assert_int_equal(proc_exit_code(t.status), 6);
}

static void the_end_of_input_that_is_no_terminal_arrives(void **state)
{
	static const char *const texts[] = {"", "line\n", "half"};
	static const char *const want[] = {"[]", "[line]", "[half]"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		int in[2];
		struct stage s;
		struct told t;

		assert_int_equal(pipe2(in, O_CLOEXEC), 0);
		assert_int_equal(write(in[1], texts[i], strlen(texts[i])), strlen(texts[i]));
		close(in[1]);
		s = begin(&(struct wish){.script = "stty -echo; x=$(cat); echo \"[$x]\"; exit 8",
					 .in = in[0],
					 .out = -1});
		close(in[0]);
		await(s.outer, want[i]);
		t = end(&s);
		assert_int_equal(proc_exit_code(t.status), 8);
	}
}

static void a_signal_that_would_end_us_restores_the_terminal(void **state)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct stage s = begin(
			&(struct wish){.script = "echo ready; sleep 1000", .in = -1, .out = -1});
		struct termios raw;
		struct told t;

		await(s.outer, "ready");
		/* It is raw while the relay runs: the test would mean nothing otherwise. */
		tcgetattr(s.outer_slave, &raw);
		assert_false(raw.c_lflag & (ICANON | ISIG | ECHO));
		kill(s.relay, signals[i]);
		t = end(&s);
		assert_int_equal(t.result, -EIO); /* no error value was asked for */
		assert_true(t.restored);
	}
}

static void output_that_nobody_reads_is_an_error_not_a_death(void **state)
{
	int out[2];
	struct stage s;
	struct told t;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	close(out[0]);
	s = begin(&(struct wish){.script = "while :; do echo x; done", .in = -1, .out = out[1]});
	close(out[1]);
	t = end(&s);
	assert_true(t.result < 0);
	assert_true(t.restored);
}

/* ---- without ------------------------------------------------------------------------------ */

static void signals_are_forwarded(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
	int out[2];

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		char script[256], want[32];
		struct stage s;
		struct told t;

		snprintf(script, sizeof(script),
			 "trap 'echo got-%d; exit 3' %d; echo ready; while :; do sleep 0.05; done",
			 signals[i], signals[i]);
		snprintf(want, sizeof(want), "got-%d", signals[i]);
		s = begin(&(struct wish){
			.script = script, .no_console = true, .in = -1, .out = out[1]});
		await(out[0], "ready");
		kill(s.relay, signals[i]);
		await(out[0], want);
		t = end(&s);
		assert_int_equal(t.result, 0);
		assert_int_equal(proc_exit_code(t.status), 3);
	}
	close(out[0]);
	close(out[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bytes_go_both_ways_and_the_status_comes_back),
		T(a_death_by_signal_comes_back),
		T(control_c_is_for_the_workload),
		T(the_size_is_ours_from_the_start_and_follows),
		T(the_tail_of_the_output_is_not_lost),
		T(closing_the_terminal_is_not_the_end),
		T(the_end_of_input_that_is_no_terminal_arrives),
		T(a_signal_that_would_end_us_restores_the_terminal),
		T(output_that_nobody_reads_is_an_error_not_a_death),
		T(signals_are_forwarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
