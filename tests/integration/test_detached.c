/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detached sandboxes as a user has them: run -d, logs, attach, wait, stop, rm, with real terminals where one is meant; monitors and
 * callers that are killed; and nothing left behind.
 */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct world *world;

/* `insula words…` to its end. */
#define insula(...)      run_insula(world, ARGV(__VA_ARGS__))
#define run_d(name, ...) insula("run", "-d", "--name", name, "--rootfs", world->rootfs, __VA_ARGS__)

static void expect(struct run_result r, int code, const char *out)
{
	expect_result(r, code, out, NULL);
}

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What `inspect --format` says; caller frees. */
static char *inspected(const char *id, const char *template)
{
	struct run_result r = insula("inspect", "--format", template, id);
	char *text = strdup(r.out);

	text[strcspn(text, "\n")] = '\0';
	run_result_done(&r);
	return text;
}

static void expect_inspected(const char *id, const char *template, const char *value)
{
	char *text = inspected(id, template);

	if (strcmp(text, value) != 0)
		fail_msg("%s of '%s' is '%s', expected '%s'", template, id, text, value);
	free(text);
}

static pid_t monitor_of(const char *id)
{
	char *text = inspected(id, "{{.State.MonitorPid}}");
	pid_t pid = atoi(text);

	free(text);
	assert_true(pid > 0);
	return pid;
}

/* A child of ours that runs insula with these words. */
static pid_t start_insula(const char *const *words, bool pty, int *ret_fd)
{
	return start(insula_argv(world, words), pty, ret_fd);
}

static bool gone(void *arg)
{
	return kill(*(pid_t *)arg, 0) < 0;
}

static struct snapshot before;

static int take_snapshot(void **state)
{
	(void)state;
	before = snapshot_take(world);
	return 0;
}

/* Whatever a test left is removed; but a test that passed left nothing. */
static int nothing_left(void **state)
{
	struct snapshot after = snapshot_take(world);
	bool same = strcmp(before.text, after.text) == 0;

	(void)state;
	if (!same)
		fprintf(stderr, "left behind; before:\n%s\nafter:\n%s\n", before.text, after.text);
	free(before.text);
	free(after.text);
	run_result_done(&(struct run_result[]){insula("rm", "-fa")}[0]);
	return same ? 0 : -1;
}

/* ---- the ordinary life ---------------------------------------------------------------------- */

static void life(void **state)
{
	int fd;
	char buf[4096] = "";

	(void)state;
	expect(insula("run", "-di", "--name", "web", "--label", "tier=front", "--rootfs",
		      world->rootfs, "sh", "-c",
		      "echo ready; echo oops >&2; read x; echo got $x; exit 7"),
	       0, "web\n");
	pid_t logs = start_insula(ARGV("logs", "-f", "web"), false, &fd);

	assert_true(read_until(fd, "ready", buf, sizeof(buf), 20));
	expect_inspected("web", "{{.State.Status}} {{.State.Running}} {{.Kind}}",
			 "running true container");
	expect(insula("ps", "--format", "{{.ID}} {{.State}} {{index .Labels \"tier\"}}"), 0,
	       "web running front\n");
	/* One who attaches hands it its line, stays to the end and ends as it did. */
	struct run_result r = run(&(struct run_spec){
		.argv = insula_argv(world, ARGV("attach", "web")), .input = "line\n"});

	assert_int_equal(r.code, 7);
	assert_string_equal(r.out, "got line\n");
	run_result_done(&r);
	assert_int_equal(finish(logs, 20), 0);
	assert_true(read_until(fd, "got line\n", buf, sizeof(buf), 5));
	close(fd);
	expect(insula("wait", "web"), 0, "7\n");
	r = insula("ps", "-a");
	assert_non_null(strstr(r.out, "exited (7)"));
	run_result_done(&r);
	expect(insula("ps", "-q"), 0, "");
	expect_inspected("web", "{{.State.ExitCode}}", "7");
	/* Each stream to its own. */
	expect_result(insula("logs", "web"), 0, "ready\ngot line\n", "oops\n");
	expect(insula("logs", "--tail", "1", "web"), 0, "got line\n");
	expect(insula("rm", "web"), 0, "web\n");
}

static void a_start_that_fails(void **state)
{
	(void)state;
	expect_error(run_d("x", "nothing-of-the-kind"), 127, "nothing-of-the-kind|not found");
	expect_error(run_d("x", "/etc"), 126, "/etc");
	expect_error(insula("run", "-d", "--rootfs", "/nowhere", "true"), 125, "/nowhere");
	expect_error(
		insula("run", "-d", "--log-driver", "journald", "--rootfs", world->rootfs, "true"),
		125, "journald");
	expect_error(
		insula("run", "-d", "--log-opt", "colour=red", "--rootfs", world->rootfs, "true"),
		125, "colour");
	expect(insula("ps", "-aq"), 0, "");
	expect(run_d("x", "sleep", "1000"), 0, "x\n");
	/* The name is taken: the error says so, and the one that has it goes on. */
	expect_error(run_d("x", "sleep", "1000"), 125, "x|exists");
	expect_inspected("x", "{{.State.Status}}", "running");
	expect(insula("rm", "-f", "x"), 0, "x\n");
}

static void removed_at_its_end(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		int fd;
		char path[64], link[64], buf[256] = "";
		bool connected = false;

		expect(insula("run", "-di", "--rm", "--name", "brief", "--rootfs", world->rootfs,
			      "sh", "-c", "read x; exit 9"),
		       0, "brief\n");
		pid_t waiter = start_insula(ARGV("wait", "brief"), false, &fd);

		/* It connects under the lock of the state, so from its socket on the end cannot slip by. */
		for (int64_t end = now_msec() + 20000; !connected && now_msec() < end;)
			for (int n = 3; n < 16 && !connected; n++) {
				ssize_t len;

				snprintf(path, sizeof(path), "/proc/%d/fd/%d", waiter, n);
				len = readlink(path, link, sizeof(link) - 1);
				connected = len > 7 && memcmp(link, "socket:", 7) == 0;
			}
		assert_true(connected);
		struct run_result r = run(&(struct run_spec){
			.argv = insula_argv(world, ARGV("attach", "brief")), .input = "\n"});

		assert_int_equal(r.code, 9);
		run_result_done(&r);
		assert_int_equal(finish(waiter, 20), 0);
		assert_true(read_until(fd, "9\n", buf, sizeof(buf), 5));
		assert_string_equal(buf, "9\n");
		close(fd);
		expect_error(insula("wait", "brief"), 125, "brief");
	}
}

static void created_then_started(void **state)
{
	(void)state;
	expect(insula("create", "--name", "later", "--rootfs", world->rootfs, "sh", "-c",
		      "echo now; exit 3"),
	       0, "later\n");
	expect_inspected("later", "{{.State.Status}}", "created");
	expect(insula("ps", "-q"), 0, "later\n");
	expect(insula("logs", "later"), 0, "");
	expect(insula("start", "later"), 0, "later\n");
	expect(insula("wait", "later"), 0, "3\n");
	expect(insula("logs", "later"), 0, "now\n");
	expect_error(insula("start", "later"), 125, "later|ended");
	expect(insula("rm", "later"), 0, "later\n");
	/* One that never was started is stopped and removed like any other. */
	expect(insula("create", "--rm", "--name", "later", "--rootfs", world->rootfs, "true"), 0,
	       "later\n");
	expect(insula("stop", "later"), 0, "later\n");
	expect(insula("ps", "-aq"), 0, "");
}

/* ---- output --------------------------------------------------------------------------------- */

static void bytes_are_kept(void **state)
{
	static const char all[] = "a\0b\xff\x1b[31m\r\nno end";

	(void)state;
	expect(run_d("bin", "sh", "-c",
		     "printf 'a\\0b\\377\\033[31m\\r\\nno '; sleep 0.2; printf 'end'"),
	       0, "bin\n");
	expect(insula("wait", "bin"), 0, "0\n");
	struct run_result r = insula("logs", "bin");

	assert_int_equal(r.out_len, sizeof(all) - 1);
	assert_memory_equal(r.out, all, sizeof(all) - 1);
	run_result_done(&r);
	/* One time per line, though the second was written in two parts. */
	r = insula("logs", "-t", "bin");
	assert_int_equal(r.out_len,
			 sizeof(all) - 1 + 2 * strlen("2026-01-31T12:00:00.123456789Z "));
	run_result_done(&r);
	expect(insula("logs", "--since", "2100-01-01", "bin"), 0, "");
	expect(insula("logs", "--until", "1h", "bin"), 0, "");
	expect_error(insula("logs", "--since", "yesterday", "bin"), 125, "--since|yesterday");
	expect(insula("rm", "bin"), 0, "bin\n");
}

/* Rotated many times under a reader that follows: every line, once, in order. */
static void followed_across_rotation(void **state)
{
	int fd;
	size_t size = 4 << 20;
	char *buf = calloc(1, size), *at = buf;

	(void)state;
	assert_non_null(buf);
	expect(insula("run", "-di", "--name", "much", "--log-opt", "max-size=16k", "--log-opt",
		      "max-file=100", "--rootfs", world->rootfs, "sh", "-c",
		      "read x; seq 1 10000; echo end"),
	       0, "much\n");
	pid_t logs = start_insula(ARGV("logs", "-f", "much"), false, &fd);
	struct run_result r = run(&(struct run_spec){
		.argv = insula_argv(world, ARGV("attach", "--no-stdin=false", "much")),
		.input = "\n"});

	assert_int_equal(r.code, 0);
	run_result_done(&r);
	assert_true(read_until(fd, "end\n", buf, size, 30));
	for (int i = 1; i <= 10000; i++) {
		char line[16];
		int n = snprintf(line, sizeof(line), "%d\n", i);

		if (strncmp(at, line, (size_t)n) != 0)
			fail_msg("line %d is '%.20s'", i, at);
		at += n;
	}
	assert_string_equal(at, "end\n");
	assert_int_equal(finish(logs, 20), 0);
	close(fd);
	free(buf);
	expect(insula("logs", "-n", "2", "much"), 0, "10000\nend\n");
	expect(insula("rm", "much"), 0, "much\n");
}

static void bounded_by_rotation(void **state)
{
	char path[256];
	off_t total = 0;

	(void)state;
	expect(insula("run", "-d", "--name", "much", "--log-opt", "max-size=8k", "--log-opt",
		      "max-file=3", "--rootfs", world->rootfs, "seq", "1", "5000"),
	       0, "much\n");
	expect(insula("wait", "much"), 0, "0\n");
	for (int i = 0; i < 5; i++) {
		struct stat st;

		snprintf(path, sizeof(path), i ? "%s/much/log.%d" : "%s/much/log", world->state, i);
		assert_int_equal(stat(path, &st) == 0, i < 3);
		total += i < 3 ? st.st_size : 0;
	}
	assert_in_range(total, 12 << 10, 24 << 10);
	struct run_result r = insula("logs", "much");

	/* The last lines without a gap. */
	assert_true(r.out_len > 100);
	assert_string_equal(r.out + r.out_len - 10, "4999\n5000\n");
	run_result_done(&r);
	expect(insula("rm", "much"), 0, "much\n");
}

static void no_log(void **state)
{
	int fd;
	char buf[256] = "";

	(void)state;
	expect(insula("run", "-d", "--log-driver", "none", "--name", "mute", "--rootfs",
		      world->rootfs, "sh", "-c", "echo x; sleep 1000"),
	       0, "mute\n");
	expect_error(insula("logs", "mute"), 125, "mute|--log-driver none");
	expect(insula("rm", "-f", "mute"), 0, "mute\n");
	pid_t here = start_insula(ARGV("run", "--rm", "--name", "here", "--rootfs", world->rootfs,
				       "sh", "-c", "echo up; sleep 1000"),
				  false, &fd);

	assert_true(read_until(fd, "up", buf, sizeof(buf), 20));
	expect_error(insula("logs", "here"), 125, "here|-d");
	expect_error(insula("attach", "here"), 125, "here|-d");
	/* One that somebody is attending can be waited for as well. */
	expect(insula("stop", "-t", "0", "here"), 0, "here\n");
	assert_int_equal(finish(here, 20), 137);
	close(fd);
}

/* The log's disk is full: output is lost and that is said; the workload and its exit code are not. */
static void full_disk(void **state)
{
	char small[256], *error;
	const char *line[16] = {world->insula, "--root", small};
	struct run_result r;

	(void)state;
	snprintf(small, sizeof(small), "%s/small", world->dir);
	assert_int_equal(mkdir(small, 0700), 0);
	assert_int_equal(mount("tmpfs", small, "tmpfs", 0, "size=512k,mode=700"), 0);
#define AT_SMALL(...)                                                    \
	(memcpy(line + 3, ARGV(__VA_ARGS__), sizeof(ARGV(__VA_ARGS__))), \
	 run(&(struct run_spec){.argv = line, .detaching = true}))
	r = AT_SMALL("run", "-d", "--name", "loud", "--rootfs", world->rootfs, "sh", "-c",
		     "seq 1 100000; exit 4");
	expect(r, 0, "loud\n");
	expect(AT_SMALL("wait", "loud"), 0, "4\n");
	expect(AT_SMALL("inspect", "-f", "{{.State.ExitCode}}", "loud"), 0, "4\n");
	r = AT_SMALL("inspect", "-f", "{{.LogError}}", "loud");
	error = r.out;
	assert_non_null(strstr(error, "bytes of output are not in the log: No space left"));
	run_result_done(&r);
	r = AT_SMALL("logs", "loud");
	assert_int_equal(r.code, 0);
	assert_memory_equal(r.out, "1\n2\n3\n", 6);
	run_result_done(&r);
	expect(AT_SMALL("rm", "loud"), 0, "loud\n");
	assert_int_equal(umount2(small, 0), 0);
	assert_int_equal(rmdir(small), 0);
}

/* ---- terminals ------------------------------------------------------------------------------ */

static void type(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void a_terminal(void **state)
{
	char buf[8192] = "", again[8192] = "";
	int fd;

	(void)state;
	expect(insula("run", "-dit", "--name", "shell", "--rootfs", world->rootfs, "sh"), 0,
	       "shell\n");
	pid_t client = start_insula(ARGV("attach", "shell"), true, &fd);

	type(fd, "stty size; tty; echo mark-$((1+1))\n");
	assert_true(read_until(fd, "mark-2", buf, sizeof(buf), 20));
	assert_non_null(strstr(buf, "24 80"));
	assert_non_null(strstr(buf, "/dev/"));
	/* A lone ctrl-p is a key like any other; with ctrl-q behind it, it is a good-bye. */
	type(fd, "\x10x\x10\x11");
	assert_int_equal(finish(client, 20), 0);
	close(fd);
	expect_inspected("shell", "{{.State.Status}}", "running");
	client = start_insula(ARGV("attach", "--detach-keys", "ctrl-x", "shell"), true, &fd);
	type(fd, "\x15"
		 "echo back-$((2+3)); exit 5\n");
	assert_true(read_until(fd, "back-5", again, sizeof(again), 20));
	assert_int_equal(finish(client, 20), 5);
	close(fd);
	struct run_result r = insula("logs", "shell");

	assert_non_null(strstr(r.out, "mark-2"));
	assert_non_null(strstr(r.out, "back-5"));
	run_result_done(&r);
	expect_error(insula("attach", "shell"), 125, "shell|ended");
	expect(insula("rm", "shell"), 0, "shell\n");
}

/* Two see the same; what one types both see. */
static void two_at_one_terminal(void **state)
{
	char a[4096] = "", b[4096] = "";
	int fd_a, fd_b;

	(void)state;
	expect(insula("run", "-dit", "--name", "pair", "--rootfs", world->rootfs, "sh"), 0,
	       "pair\n");
	pid_t one = start_insula(ARGV("attach", "pair"), true, &fd_a);

	type(fd_a, "echo one-$((1+2))\n");
	assert_true(read_until(fd_a, "one-3", a, sizeof(a), 20));
	pid_t two = start_insula(ARGV("attach", "--no-stdin", "pair"), true, &fd_b);

	/* It is there as soon as it shows something. */
	for (int i = 0; i < 100 && !read_until(fd_b, "both", b, sizeof(b), 1); i++)
		type(fd_a, "echo bo''th\n");
	assert_non_null(strstr(b, "both"));
	type(fd_a, "exit 6\n");
	assert_int_equal(finish(one, 20), 6);
	assert_int_equal(finish(two, 20), 6);
	close(fd_a);
	close(fd_b);
	expect(insula("rm", "pair"), 0, "pair\n");
}

/* The terminal that it was started from is closed: it goes on, and is heard. */
static void outlives_its_terminal(void **state)
{
	char buf[4096] = "";
	int fd;

	(void)state;
	pid_t shell =
		start_insula(ARGV("run", "-d", "--name", "nohup", "--rootfs", world->rootfs, "sh",
				  "-c", "trap 'echo hup' HUP; while :; do sleep 0.1; done"),
			     true, &fd);

	assert_true(read_until(fd, "nohup", buf, sizeof(buf), 20));
	assert_int_equal(finish(shell, 20), 0);
	close(fd);
	expect_inspected("nohup", "{{.State.Status}}", "running");
	expect(insula("kill", "-s", "HUP", "nohup"), 0, "nohup\n");
	int logs_fd;
	char text[256] = "";
	pid_t logs = start_insula(ARGV("logs", "-f", "nohup"), false, &logs_fd);

	assert_true(read_until(logs_fd, "hup\n", text, sizeof(text), 20));
	expect(insula("rm", "-f", "nohup"), 0, "nohup\n");
	assert_int_equal(finish(logs, 20), 0);
	close(logs_fd);
	/* Only the one that we sent. */
	assert_string_equal(text, "hup\n");
}

/* ---- several -------------------------------------------------------------------------------- */

#define MANY 20

static void twenty_at_once(void **state)
{
	char names[MANY][16], script[MANY][64];
	pid_t pids[MANY];
	const char *words[MANY + 2] = {"wait"};
	char expected[MANY * 8] = "";

	(void)state;
	for (int i = 0; i < MANY; i++) {
		int fd;

		snprintf(names[i], sizeof(names[i]), "n%d", i);
		snprintf(script[i], sizeof(script[i]), "echo I am %d; exit %d", i, i);
		words[i + 1] = names[i];
		snprintf(expected + strlen(expected), 8, "%d\n", i);
		pids[i] = start_insula(ARGV("run", "-d", "--name", names[i], "--rootfs",
					    world->rootfs, "sh", "-c", script[i]),
				       false, &fd);
		close(fd);
	}
	for (int i = 0; i < MANY; i++) {
		int code = finish(pids[i], 60);

		/* Its output was closed above. */
		assert_true(code == 0 || code == 125 || code == 128 + SIGPIPE);
	}
	expect(run_insula(world, words), 0, expected);
	for (int i = 0; i < MANY; i++) {
		char line[32];

		snprintf(line, sizeof(line), "I am %d\n", i);
		expect(insula("logs", names[i]), 0, line);
	}
	struct run_result r = insula("rm", "-a");

	assert_int_equal(r.code, 0);
	run_result_done(&r);
	expect(insula("ps", "-aq"), 0, "");
}

static void stopped_together(void **state)
{
	int64_t begin;

	(void)state;
	/* They do not listen; one has a shorter time of its own, one listens to another signal. */
	for (int i = 0; i < 2; i++)
		expect(run_d(i ? "deaf2" : "deaf1", "sh", "-c",
			     "trap '' TERM; while :; do sleep 0.1; done"),
		       0, i ? "deaf2\n" : "deaf1\n");
	expect(run_d("kind", "sh", "-c", "trap 'exit 3' USR1; while :; do sleep 0.1; done"), 0,
	       "kind\n");
	begin = now_msec();
	struct run_result r = insula("stop", "-t", "3", "deaf1", "deaf2");

	assert_int_equal(r.code, 0);
	run_result_done(&r);
	assert_in_range(now_msec() - begin, 2900, 5900);
	expect(insula("ps", "-a", "--filter", "name=deaf", "--format", "{{.Status}}"), 0,
	       "exited (137)\nexited (137)\n");
	expect(insula("stop", "-s", "USR1", "kind"), 0, "kind\n");
	expect_inspected("kind", "{{.State.ExitCode}}", "3");
	/* Again is no error; nobody is. */
	expect(insula("stop", "kind"), 0, "kind\n");
	expect_error(insula("stop", "nobody"), 125, "nobody");
	expect(insula("ps", "-q", "-f", "exited=3"), 0, "kind\n");
	expect(insula("ps", "-q", "-f", "status=running"), 0, "");
	expect(insula("ps", "-aq", "-f", "id=deaf1", "-f", "id=ki", "-f", "kind=container"), 0,
	       "kind\ndeaf1\n");
	expect(insula("ps", "-ql"), 0, "kind\n");
	expect_error(insula("ps", "-f", "colour=red"), 125, "colour");
	expect_error(insula("ps", "--format", "{{.Colour}}"), 125, "Colour|ID");
	r = insula("rm", "-a");
	assert_int_equal(r.code, 0);
	run_result_done(&r);
}

/* Its log changes its files all the time while it is being removed. */
static void removed_while_loud(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		expect(insula("run", "-d", "--name", "loud", "--log-opt", "max-size=1k",
			      "--log-opt", "max-file=5", "--rootfs", world->rootfs, "sh", "-c",
			      "while :; do seq 1 1000; done"),
		       0, "loud\n");
		expect(insula("rm", "-f", "loud"), 0, "loud\n");
	}
}

static void frozen_and_going_on(void **state)
{
	(void)state;
	expect(run_d("ice", "sleep", "1000"), 0, "ice\n");
	expect(insula("pause", "ice"), 0, "ice\n");
	expect_inspected("ice", "{{.State.Status}}", "paused");
	expect(insula("unpause", "-a"), 0, "ice\n");
	expect_inspected("ice", "{{.State.Status}}", "running");
	expect(insula("pause", "ice"), 0, "ice\n");
	/* A frozen one is stopped all the same. */
	expect(insula("stop", "-t", "1", "ice"), 0, "ice\n");
	expect_inspected("ice", "{{.State.ExitCode}}", "137");
	expect(insula("rm", "ice"), 0, "ice\n");
}

static void a_broken_state_is_shown(void **state)
{
	char path[256];

	(void)state;
	expect(run_d("sick", "true"), 0, "sick\n");
	expect(insula("wait", "sick"), 0, "0\n");
	snprintf(path, sizeof(path), "%s/sick/state.json", world->state);
	write_file(path, "{\"format\":", 0600);
	expect(insula("ps", "--format", "{{.ID}} {{.State}}"), 0, "sick broken\n");
	expect(insula("rm", "-f", "sick"), 0, "sick\n");
}

/* ---- whoever is killed ---------------------------------------------------------------------- */

static void the_monitor_is_killed(void **state)
{
	char buf[256] = "";
	int fd;

	(void)state;
	expect(run_d("orphan", "sh", "-c", "echo alive; sleep 1000"), 0, "orphan\n");
	pid_t monitor = monitor_of("orphan");
	pid_t logs = start_insula(ARGV("logs", "-f", "orphan"), false, &fd);

	assert_true(read_until(fd, "alive\n", buf, sizeof(buf), 20));
	close(fd);
	buf[0] = '\0';
	pid_t waiter = start_insula(ARGV("wait", "orphan"), false, &fd);

	kill(monitor, SIGKILL);
	assert_true(eventually(gone, &monitor, 20));
	/* Who followed its log is told by its end. */
	assert_int_equal(finish(logs, 20), 0);
	/* It goes on, and that it has no monitor any more is said. */
	struct run_result r = insula("ps", "--format", "{{.Status}}");

	assert_non_null(strstr(r.out, "up "));
	assert_non_null(strstr(r.out, "(monitor gone)"));
	run_result_done(&r);
	expect(insula("exec", "orphan", "echo", "hi"), 0, "hi\n");
	expect(insula("logs", "-f", "orphan"), 0, "alive\n");
	expect_error(insula("attach", "orphan"), 125, "orphan|monitor");
	expect(insula("stop", "-t", "0", "orphan"), 0, "orphan\n");
	/* Nobody could note how it ended. Who waited meanwhile may have it from the kernel (6.15). */
	assert_int_equal(finish(waiter, 20), 0);
	assert_false(read_until(fd, "\n\n", buf, sizeof(buf), 5));
	if (strcmp(buf, "137\n") != 0)
		assert_string_equal(buf, "-1\n");
	close(fd);
	expect(insula("ps", "-a", "--format", "{{.Status}}"), 0, "exited (unknown)\n");
	r = insula("inspect", "--format", "{{.State.Error}}", "orphan");
	assert_non_null(strstr(r.out, "monitor"));
	run_result_done(&r);
	expect(insula("rm", "orphan"), 0, "orphan\n");
}

/* Started and killed after ever longer times: what is there then is whole, and can be removed. */
static void the_caller_is_killed(void **state)
{
	(void)state;
	for (int i = 0; i < 24; i++) {
		int fd;
		pid_t pid = start_insula(ARGV("run", "-d", "--name", "half", "--rootfs",
					      world->rootfs, "sleep", "1000"),
					 false, &fd);
		struct pollfd out = {.fd = fd, .events = POLLIN};

		poll(&out, 1, i);
		kill(pid, SIGKILL);
		(void)finish(pid, 20);
		/* The monitor has the pipe as its standard error until the sandbox runs, or is gone. */
		char buf[512] = "";

		assert_false(read_until(fd, "\x01", buf, sizeof(buf), 30));
		close(fd);
		struct run_result r = insula("ps", "-a", "--format", "{{.ID}} {{.State}}");

		if (strcmp(r.out, "") != 0)
			assert_string_equal(r.out, "half running\n");
		run_result_done(&r);
		expect(insula("rm", "-f", "half"), 0, NULL);
	}
}

/* Ctrl-C while it is being created takes everything back. */
static void interrupted(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		int fd, code;
		pid_t pid = start_insula(ARGV("run", "-d", "--name", "half", "--rootfs",
					      world->rootfs, "sleep", "1000"),
					 false, &fd);
		char buf[512] = "";

		poll(NULL, 0, i);
		kill(pid, SIGINT);
		code = finish(pid, 20);
		assert_false(read_until(fd, "\x01", buf, sizeof(buf), 30));
		close(fd);
		/* Too early for us to hold it, in time, or too late. */
		if (code != 0 && code != 130)
			fail_msg("exit code %d: %s", code, buf);
		if (code == 130)
			expect(insula("ps", "-aq"), 0, "");
		expect(insula("rm", "-f", "half"), 0, NULL);
	}
}

static const struct {
	const char *name;
	bool found; /* a kill leaves something that ps shows */
} points[] = {
	{"monitor-forked", false},
	{"monitor-created", true},
	{"monitor-noted", true},
	{"monitor-started", true},
};

static struct run_result faulty(const char *program, const char *fault)
{
	char value[64];

	snprintf(value, sizeof(value), "%s", fault);
	assert_int_equal(setenv("INSULA_FAULT", value, 1), 0);
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV(program, "--root", world->state, "run", "-d", "--name", "f",
			     "--rootfs", world->rootfs, "sleep", "1000"),
		.detaching = true});

	unsetenv("INSULA_FAULT");
	return r;
}

static void each_step_fails_or_dies(void **state)
{
	char program[512], fault[64];

	(void)state;
	build_path("faults/insula", program, sizeof(program));
	if (access(program, X_OK) < 0) {
		print_message("[  SKIP    ] no program with fault points; run 'make faults'\n");
		skip();
	}
	struct run_result r = faulty(program, "trace");

	assert_int_equal(r.code, 0);
	for (const char *at = r.err; (at = strstr(at, "fault point: monitor"));) {
		bool known = false;

		at += strlen("fault point: ");
		for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
			known |= strncmp(at, points[i].name, strlen(points[i].name)) == 0;
		if (!known)
			fail_msg("a fault point without a row: %.30s", at);
	}
	run_result_done(&r);
	expect(insula("rm", "-f", "f"), 0, "f\n");
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		expect_error(faulty(program, points[i].name), 125, points[i].name);
		expect(insula("ps", "-aq"), 0, "");
		snprintf(fault, sizeof(fault), "%s:kill", points[i].name);
		expect_error(faulty(program, fault), 125, "monitor|died");
		expect(insula("ps", "-aq"), 0, points[i].found ? "f\n" : "");
		expect(insula("rm", "-f", "f"), 0, NULL);
	}
}

/* ---- ordinary users ------------------------------------------------------------------------- */

static void life_of(const char *name, uid_t uid, const char *subids)
{
	struct world mine = world_as(world, world_add_user(world, name, uid, subids));
	struct run_result r;

	expect_result(run_insula(&mine, ARGV("run", "-di", "--name", "own", "--rootfs", mine.rootfs,
					     "sh", "-c", "echo hello; read x; exit 4")),
		      0, "own\n", NULL);
	r = run(&(struct run_spec){.argv = insula_argv(&mine, ARGV("attach", "own")),
				   .user = mine.user,
				   .input = "\n"});
	assert_int_equal(r.code, 4);
	run_result_done(&r);
	expect_result(run_insula(&mine, ARGV("wait", "own")), 0, "4\n", NULL);
	expect_result(run_insula(&mine, ARGV("logs", "own")), 0, "hello\n", NULL);
	expect_result(run_insula(&mine, ARGV("rm", "own")), 0, "own\n", NULL);
	expect_result(run_insula(&mine, ARGV("run", "-d", "--rm", "--name", "own", "--rootfs",
					     mine.rootfs, "sleep", "1000")),
		      0, "own\n", NULL);
	expect_result(run_insula(&mine, ARGV("stop", "-t", "0", "own")), 0, "own\n", NULL);
	expect_result(run_insula(&mine, ARGV("ps", "-aq")), 0, "", NULL);
}

static void ordinary_users(void **state)
{
	(void)state;
	life_of("ada", 41815, "100000:65536");
	life_of("bob", 41816, NULL);
}

/* ---- microVMs ------------------------------------------------------------------------------- */

static void a_microvm(void **state)
{
	char buf[8192] = "";
	int fd;

	(void)state;
	if (vm_missing()) {
		print_message("[  SKIP    ] %s\n", vm_missing());
		skip();
	}
	expect(insula("run", "-d", "--vm", "--name", "vm", "--rootfs", world->rootfs, "sh", "-c",
		      "echo from inside; echo aside >&2; exit 8"),
	       0, "vm\n");
	expect(insula("wait", "vm"), 0, "8\n");
	expect_result(insula("logs", "vm"), 0, "from inside\n", "aside\n");
	expect(insula("rm", "vm"), 0, "vm\n");
	expect(insula("run", "-dit", "--rm", "--vm", "--name", "vm", "--rootfs", world->rootfs,
		      "sh"),
	       0, "vm\n");
	pid_t client = start_insula(ARGV("attach", "vm"), true, &fd);

	type(fd, "stty size; echo in-$((3+4)); exit 2\n");
	assert_true(read_until(fd, "in-7", buf, sizeof(buf), 60));
	assert_non_null(strstr(buf, "24 80"));
	assert_int_equal(finish(client, 60), 2);
	close(fd);
	expect(insula("rm", "-f", "vm"), 0, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, take_snapshot, nothing_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(life),
		TEST(a_start_that_fails),
		TEST(removed_at_its_end),
		TEST(created_then_started),
		TEST(bytes_are_kept),
		TEST(followed_across_rotation),
		TEST(bounded_by_rotation),
		TEST(no_log),
		TEST(full_disk),
		TEST(a_terminal),
		TEST(two_at_one_terminal),
		TEST(outlives_its_terminal),
		TEST(twenty_at_once),
		TEST(stopped_together),
		TEST(removed_while_loud),
		TEST(frozen_and_going_on),
		TEST(a_broken_state_is_shown),
		TEST(the_monitor_is_killed),
		TEST(the_caller_is_killed),
		TEST(interrupted),
		TEST(each_step_fails_or_dies),
		/* No snapshot: the users stay as long as the world. */
		cmocka_unit_test(ordinary_users),
		TEST(a_microvm),
	};
	int failed;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	if (getenv("TEST_ONLY"))
		cmocka_set_test_filter(getenv("TEST_ONLY"));
	failed = cmocka_run_group_tests_name("detached", tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
