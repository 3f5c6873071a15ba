/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user sees, as one table that both kinds must satisfy: the same command lines give the same output and the
 * same exit code in a container and in a microVM. Where a kind cannot do a thing, its refusal is asserted.
 *
 * TEST_KIND=container or TEST_KIND=vm runs one kind only; TEST_ONLY=<text> only scenarios whose name contains it.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_WORDS 16

struct scenario {
	const char *name;
	const char *const
		flags[MAX_WORDS]; /* of `insula run`; {DATA} is a host directory of the test */
	const char *const command[MAX_WORDS]; /* in the sandbox */
	const char *input;
	int code;
	const char *out;          /* exactly; NULL: not looked at */
	const char *out_contains; /* NULL: not looked at */
	const char *err_contains;
	const char *vm_refusal; /* a microVM refuses with 125 and this text */
};

#define DOCKER_CAPS "00000000a80425fb"

static const struct scenario scenarios[] = {
	/* output and exit codes */
	{"output", {}, {"echo", "hello", "world"}, .out = "hello world\n"},
	{"exit code 0", {}, {"true"}, .out = ""},
	{"exit code 1", {}, {"false"}, .code = 1},
	{"exit code 42", {}, {"sh", "-c", "exit 42"}, .code = 42},
	{"exit code 255", {}, {"sh", "-c", "exit 255"}, .code = 255},
	{"standard error is separate",
	 {},
	 {"sh", "-c", "echo out; echo err >&2"},
	 .out = "out\n",
	 .err_contains = "err\n"},
	{"arguments arrive as they are",
	 {},
	 {"sh", "-c", "for a; do echo \"[$a]\"; done", "x", "a b", "", "$HOME", "*"},
	 .out = "[a b]\n[]\n[$HOME]\n[*]\n"},
	{"missing command",
	 {},
	 {"no-such-command"},
	 .code = 127,
	 .err_contains = "executable file not found in"},
	{"missing path",
	 {},
	 {"/no/such/path"},
	 .code = 127,
	 .err_contains = "no such file or directory"},
	{"unexecutable file", {}, {"/etc/plain"}, .code = 126, .err_contains = "permission denied"},
	{"directory as command", {}, {"/etc"}, .code = 126, .err_contains = "/etc"},
	{"killed by a fault", {}, {"probe", "segv"}, .code = 128 + SIGSEGV},
	{"a child killed by a signal",
	 {},
	 {"sh", "-c", "sh -c 'kill -TERM $$'; exit $?"},
	 .code = 128 + SIGTERM},

	/* environment */
	{"environment",
	 {"-e", "A=1", "-e", "B=x y", "-e", "TEST_PASSED"},
	 {"sh", "-c", "echo $A $B $TEST_PASSED"},
	 .out = "1 x y through\n"},
	{"default environment",
	 {"--hostname", "box"},
	 {"env"},
	 .out_contains = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	{"home of the user", {"-u", "ada"}, {"sh", "-c", "echo $HOME"}, .out = "/home\n"},
	{"the host's environment stays outside",
	 {},
	 {"sh", "-c", "env | grep -c TEST_ || true"},
	 .out = "0\n"},

	/* identity */
	{"root by default", {}, {"id", "-u"}, .out = "0\n"},
	{"user by number",
	 {"-u", "1234:4321"},
	 {"sh", "-c", "id -u; id -g; id -G"},
	 .out = "1234\n4321\n4321\n"},
	{"user by name, with groups",
	 {"-u", "ada"},
	 {"sh", "-c", "id -u; id -G"},
	 .out = "1815\n1815 1843\n"},
	{"unknown user",
	 {"-u", "nobody-here"},
	 {"true"},
	 .code = 125,
	 .err_contains = "nobody-here"},
	{"capabilities",
	 {},
	 {"sh", "-c", "grep -E 'CapEff|CapBnd' /proc/self/status | grep -c " DOCKER_CAPS},
	 .out = "2\n"},
	{"no capabilities for a user",
	 {"-u", "1234"},
	 {"grep", "CapEff", "/proc/self/status"},
	 .out = "CapEff:\t0000000000000000\n"},
	{"no inheritable and no ambient capabilities",
	 {},
	 {"grep", "-E", "CapInh|CapAmb", "/proc/self/status"},
	 .out = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n"},
	{"system calls are filtered",
	 {},
	 {"grep", "Seccomp:", "/proc/self/status"},
	 .out = "Seccomp:\t2\n"},

	/* working directory */
	{"working directory", {"-w", "/data"}, {"pwd"}, .out = "/data\n"},
	{"missing working directory is made", {"-w", "/made/here"}, {"pwd"}, .out = "/made/here\n"},
	{"working directory by default", {}, {"pwd"}, .out = "/\n"},

	/* streams */
	{"standard input", {"-i"}, {"cat"}, .input = "one\ntwo\n", .out = "one\ntwo\n"},
	{"no standard input without -i", {}, {"cat"}, .input = "ignored", .out = ""},
	{"only the standard descriptors", {}, {"probe", "fds"}, .out = "0 1 2 \n"},
	{"signals are at their defaults", {}, {"probe", "signals"}, .out = "end\n"},

	/* what it sees */
	{"process 1", {}, {"sh", "-c", "echo $$"}, .out = "1\n"},
	{"only its own processes",
	 {},
	 {"sh", "-c", "ls -d /proc/[0-9]* | wc -l | grep -qx '[1-6]' && echo few"},
	 .out = "few\n"},
	{"host name", {"--hostname", "box"}, {"hostname"}, .out = "box\n"},
	{"only a loopback device", {}, {"ls", "/sys/class/net"}, .out = "lo\n"},
	{"loopback is up", {}, {"grep", "-c", "lo:", "/proc/net/dev"}, .out = "1\n"},
	{"kernel settings are read-only",
	 {},
	 {"sh", "-c", "echo 1 > /proc/sys/vm/drop_caches"},
	 .code = 1,
	 .err_contains = "Read-only file system"},
	{"kernel memory is masked", {}, {"sh", "-c", "cat /proc/keys | wc -c"}, .out = "0\n"},
	{"devices",
	 {},
	 {"sh", "-c", "echo x > /dev/null; head -c 3 /dev/zero | wc -c; stat -c %a /dev/null"},
	 .out = "3\n666\n"},
	{"no other devices can be opened",
	 {},
	 {"sh", "-c", "ls /dev | grep -cE '^(sd|vd|nvme|kvm|mem|kmsg|loop)' || true"},
	 .out = "0\n"},

	/* volumes and the root file system */
	{"volume",
	 {"-v", "{DATA}:/data"},
	 {"sh", "-c", "cat /data/given; echo made > /data/made-inside; cat /data/made-inside"},
	 .out = "from the host\nmade\n"},
	{"read-only volume",
	 {"-v", "{DATA}:/data:ro"},
	 {"sh", "-c", "cat /data/given; touch /data/x"},
	 .code = 1,
	 .out = "from the host\n",
	 .err_contains = "Read-only file system"},
	{"a file as volume",
	 {"-v", "{DATA}/given:/etc/given:ro"},
	 {"cat", "/etc/given"},
	 .out = "from the host\n"},
	{"missing volume",
	 {"-v", "/no/such/dir:/data"},
	 {"true"},
	 .code = 125,
	 .err_contains = "/no/such/dir"},
	{"read-only root",
	 {"--read-only"},
	 {"touch", "/new"},
	 .code = 1,
	 .err_contains = "Read-only file system"},
	{"writable root", {}, {"sh", "-c", "echo kept > /tmp/a; cat /tmp/a"}, .out = "kept\n"},

	/* limits */
	{"memory limit", {"--memory", "160m"}, {"probe", "eat", "400"}, .code = 128 + SIGKILL},
	{"memory within the limit",
	 {"--memory", "512m"},
	 {"probe", "eat", "32"},
	 .out = "ate it\n"},
	{"process limit", {"--pids-limit", "10"}, {"probe", "fork", "50"}, .out = "9\n"},
	{"memory limit too low for a kernel",
	 {"--memory", "16m"},
	 {"true"},
	 .out = "",
	 .vm_refusal = "a microVM needs at least"},

	/* refusals */
	{"unknown flag", {"--hostnam", "x"}, {"true"}, .code = 125, .err_contains = "--hostname"},
	{"flag of a later step",
	 {"--publish", "80:80"},
	 {"true"},
	 .code = 125,
	 .err_contains = "--publish"},
	{"limit that is no number",
	 {"--memory", "lots"},
	 {"true"},
	 .code = 125,
	 .err_contains = "'lots'"},
};

static bool is_vm;

static const char *kind(void)
{
	return is_vm ? "vm" : "container";
}

/* argv for `insula run` of this kind; {DATA} becomes `data`. Returned words live in `store`. */
struct line {
	const char *v[3 * MAX_WORDS];
	char store[MAX_WORDS][256];
	size_t n, stored;
};

static void push(struct line *l, const char *word, const char *data)
{
	const char *mark = data ? strstr(word, "{DATA}") : NULL;

	if (mark) {
		char *s = l->store[l->stored++];

		snprintf(s, sizeof(l->store[0]), "%.*s%s%s", (int)(mark - word), word, data,
			 mark + 6);
		word = s;
	}
	l->v[l->n++] = word;
	l->v[l->n] = NULL;
}

static void begin(struct line *l, const struct world *w)
{
	*l = (struct line){0};
	push(l, w->insula, NULL);
	push(l, "--root", NULL);
	push(l, w->state, NULL);
	push(l, "run", NULL);
	if (is_vm)
		push(l, "--vm", NULL);
	push(l, "--rm", NULL);
	push(l, "--rootfs", NULL);
	push(l, w->rootfs, NULL);
}

static void words(struct line *l, const char *const *v, const char *data)
{
	for (; *v; v++)
		push(l, *v, data);
}

static void fail_with(const struct scenario *s, const struct run_result *r, const char *what)
{
	fail_msg("%s (%s): %s\n exit code %d\n stdout: %s\n stderr: %s", s->name, kind(), what,
		 r->code, r->out, r->err);
}

static void check(const struct scenario *s, const struct run_result *r)
{
	int code = s->code;
	const char *err = s->err_contains;

	if (is_vm && s->vm_refusal) {
		code = 125;
		err = s->vm_refusal;
	}
	if (r->code != code)
		fail_with(s, r, "wrong exit code");
	if (err && !strstr(r->err, err))
		fail_with(s, r, err);
	if (is_vm && s->vm_refusal)
		return;
	if (s->out && strcmp(s->out, r->out) != 0)
		fail_with(s, r, s->out);
	if (s->out_contains && !strstr(r->out, s->out_contains))
		fail_with(s, r, s->out_contains);
	if (!err && code < 125 && r->err_len > 0)
		fail_with(s, r, "unexpected text on standard error");
}

/* cmocka gives a test only the group's state, so the table's row comes by initial_state: the world is global. */
static struct world *world;

static void run_scenario(void **state)
{
	const struct scenario *s = *state;
	char data[128], path[160];
	struct snapshot before = snapshot_take(world);
	struct line l;

	snprintf(data, sizeof(data), "%s/data", world->dir);
	mkdir(data, 0755);
	snprintf(path, sizeof(path), "%s/given", data);
	write_file(path, "from the host\n", 0644);
	setenv("TEST_PASSED", "through", 1);
	begin(&l, world);
	words(&l, s->flags, data);
	words(&l, s->command, NULL);
	struct run_result r = run(&(struct run_spec){.argv = l.v, .input = s->input});

	check(s, &r);
	if (strcmp(s->name, "volume") == 0) {
		snprintf(path, sizeof(path), "%s/made-inside", data);
		char *made = read_file(path);

		assert_non_null(made);
		assert_string_equal(made, "made\n");
		free(made);
	}
	run_result_done(&r);
	struct snapshot after = snapshot_take(world);

	snapshot_compare(&before, &after);
}

/* ---- scenarios that need more than one line ----------------------------------------------- */

static pid_t start_sandbox(const char *const *flags, const char *const *command, bool pty,
			   int *ret_fd)
{
	struct line l;

	begin(&l, world);
	words(&l, flags, NULL);
	words(&l, command, NULL);
	return start(l.v, pty, ret_fd);
}

static struct run_result insula(const char *const *argv)
{
	struct line l = {0};

	push(&l, world->insula, NULL);
	push(&l, "--root", NULL);
	push(&l, world->state, NULL);
	words(&l, argv, NULL);
	return run(&(struct run_spec){.argv = l.v});
}

static void expect(struct run_result r, int code, const char *out, const char *err)
{
	if (r.code != code || (out && strcmp(r.out, out) != 0) || (err && !strstr(r.err, err)))
		fail_msg("%s: exit code %d (expected %d)\n stdout: %s\n stderr: %s", kind(), r.code,
			 code, r.out, r.err);
	run_result_done(&r);
}

static void large_streams(void **state)
{
	enum { SIZE = 3 << 20 };
	char *big = malloc(SIZE);
	struct line l;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', SIZE);
	begin(&l, world);
	words(&l, ARGV("-i"), NULL);
	words(&l, ARGV("sh", "-c", "wc -c; probe zeros 5000000"), NULL);
	struct run_result r = run(&(struct run_spec){.argv = l.v, .input = big, .input_len = SIZE});

	free(big);
	assert_int_equal(r.code, 0);
	assert_memory_equal(r.out, "3145728\n", 8);
	assert_int_equal(r.out_len, 8 + 5000000);
	for (size_t i = 8; i < r.out_len; i++)
		assert_int_equal(r.out[i], 0);
	run_result_done(&r);
}

/* A reader that goes away is the workload's SIGPIPE or write error, not a hang. */
static void closed_reader(void **state)
{
	int fd;
	char buf[64] = "";
	pid_t pid = start_sandbox(ARGV("-i"),
				  ARGV("sh", "-c", "echo first; probe zeros 90000000; exit 5"),
				  false, &fd);

	(void)state;
	assert_true(read_until(fd, "first", buf, sizeof(buf), 120));
	close(fd);
	assert_int_not_equal(finish(pid, 60), 999);
}

static void terminal(void **state)
{
	int fd;
	char buf[4096] = "";
	pid_t pid = start_sandbox(
		ARGV("-it"), ARGV("sh", "-c", "tty; test -t 0 -a -t 1 -a -t 2 && echo all; exit 6"),
		true, &fd);

	(void)state;
	assert_true(read_until(fd, "all\r\n", buf, sizeof(buf), 120));
	assert_non_null(strstr(buf, "/dev/pts/0"));
	assert_int_equal(finish(pid, 60), 6);
	close(fd);
}

static void terminal_size(void **state)
{
	int fd;
	char buf[4096] = "";
	struct winsize size = {.ws_row = 40, .ws_col = 100};
	pid_t pid = start_sandbox(ARGV("-it", "--name", "sized"), ARGV("probe", "size"), true, &fd);

	(void)state;
	assert_true(read_until(fd, "24x80", buf, sizeof(buf), 120));
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	assert_true(read_until(fd, "40x100", buf, sizeof(buf), 60));
	expect(insula(ARGV("kill", "sized")), 0, "sized\n", NULL);
	assert_int_equal(finish(pid, 60), 128 + SIGKILL);
	close(fd);
}

static void terminal_interrupt(void **state)
{
	int fd;
	char buf[4096] = "";
	pid_t pid = start_sandbox(ARGV("-it"), ARGV("probe", "await"), true, &fd);

	(void)state;
	assert_true(read_until(fd, "ready", buf, sizeof(buf), 120));
	assert_int_equal(write(fd, "\003", 1), 1);
	assert_true(read_until(fd, "got 2", buf, sizeof(buf), 60));
	assert_int_equal(finish(pid, 60), 40);
	close(fd);
}

static void terminal_input(void **state)
{
	int fd;
	char buf[4096] = "";
	pid_t pid = start_sandbox(ARGV("-it"),
				  ARGV("sh", "-c", "echo ask; read a; echo answer=$a; cat; exit 8"),
				  true, &fd);

	(void)state;
	assert_true(read_until(fd, "ask", buf, sizeof(buf), 120));
	assert_int_equal(write(fd, "yes\n", 4), 4);
	assert_true(read_until(fd, "answer=yes", buf, sizeof(buf), 60));
	assert_int_equal(write(fd, "\004", 1), 1); /* end of file */
	assert_int_equal(finish(pid, 60), 8);
	close(fd);
}

static void signal_is_forwarded(void **state)
{
	int fd;
	char buf[256] = "";
	pid_t pid = start_sandbox(ARGV("-i"), ARGV("probe", "await"), false, &fd);

	(void)state;
	assert_true(read_until(fd, "ready", buf, sizeof(buf), 120));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(finish(pid, 60), 40);
	assert_true(read_until(fd, "got 15", buf, sizeof(buf), 10));
	close(fd);
}

static void life_of_a_named_sandbox(void **state)
{
	int fd;
	char buf[256] = "";
	pid_t pid = start_sandbox(ARGV("--name", "blue", "-e", "COLOUR=blue"),
				  ARGV("probe", "await"), false, &fd);

	(void)state;
	assert_true(read_until(fd, "ready", buf, sizeof(buf), 120));
	struct run_result r = insula(ARGV("ps"));

	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out, "blue"));
	assert_non_null(strstr(r.out, kind()));
	assert_non_null(strstr(r.out, "up "));
	run_result_done(&r);
	/* exec sees the same sandbox. */
	expect(insula(ARGV("exec", "blue", "sh", "-c", "echo $COLOUR; exit 7")), 7, "blue\n", NULL);
	expect(insula(ARGV("exec", "-u", "ada", "-w", "/tmp", "-e", "X=1", "blue", "sh", "-c",
			   "id -u; pwd; echo $X")),
	       0, "1815\n/tmp\n1\n", NULL);
	expect(insula(ARGV("exec", "blue", "no-such-command")), 127, "",
	       "executable file not found in");
	expect(insula(ARGV("exec", "blue", "/etc/plain")), 126, "", "permission denied");
	expect(insula(ARGV("exec", "blue", "sh", "-c", "sh -c 'kill -KILL $$'")), 128 + SIGKILL, "",
	       NULL);
	expect(insula(ARGV("exec", "blue", "grep", "-E", "CapInh|CapAmb", "/proc/self/status")), 0,
	       "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n", NULL);
	/* the name is taken */
	struct line l;

	begin(&l, world);
	words(&l, ARGV("--name", "blue", "true"), NULL);
	expect(run(&(struct run_spec){.argv = l.v}), 125, "", "blue");
	expect(insula(ARGV("rm", "blue")), 125, "", "insula");
	expect(insula(ARGV("kill", "-s", "USR1", "blue")), 0, "blue\n", NULL);
	assert_int_equal(finish(pid, 60), 40);
	assert_true(read_until(fd, "got 10", buf, sizeof(buf), 10));
	expect(insula(ARGV("exec", "blue", "true")), 125, "", "blue");
	close(fd);
}

static void killed_from_outside(void **state)
{
	int fd;
	char buf[256] = "";
	pid_t pid = start_sandbox(ARGV("--name", "red"), ARGV("probe", "await"), false, &fd);

	(void)state;
	assert_true(read_until(fd, "ready", buf, sizeof(buf), 120));
	expect(insula(ARGV("kill", "red")), 0, "red\n", NULL);
	assert_int_equal(finish(pid, 60), 128 + SIGKILL);
	close(fd);
}

static void stopped_with_term(void **state)
{
	int fd;
	char buf[256] = "";
	pid_t pid = start_sandbox(ARGV("--name", "green"), ARGV("probe", "await"), false, &fd);

	(void)state;
	assert_true(read_until(fd, "ready", buf, sizeof(buf), 120));
	expect(insula(ARGV("stop", "-t", "60", "green")), 0, "green\n", NULL);
	assert_int_equal(finish(pid, 60), 40);
	close(fd);
}

/* Without --rm the end is remembered until it is removed. */
static void kept_after_the_end(void **state)
{
	struct line l = {0};

	(void)state;
	words(&l, ARGV(world->insula, "--root", world->state, "run"), NULL);
	if (is_vm)
		push(&l, "--vm", NULL);
	words(&l, ARGV("--name", "kept", "--rootfs", world->rootfs, "sh", "-c", "exit 3"), NULL);
	expect(run(&(struct run_spec){.argv = l.v}), 3, "", NULL);
	struct run_result r = insula(ARGV("ps", "-a"));

	assert_non_null(strstr(r.out, "exited (3)"));
	run_result_done(&r);
	expect(insula(ARGV("ps", "-q")), 0, "", NULL);
	expect(insula(ARGV("rm", "kept")), 0, "kept\n", NULL);
	expect(insula(ARGV("ps", "-aq")), 0, "", NULL);
}

/* The host's own system: seen, hidden where it must be, and changed only for the sandbox. */
static void host_system(void **state)
{
	static const char script[] = "cat /etc/debian_version; echo changed > "
				     "/etc/insula-test-mark; cat /etc/insula-test-mark;"
				     "cat /etc/shadow 2>/dev/null | wc -c; ls -A /root | wc -l;"
				     "echo $$; grep NoNewPrivs /proc/self/status";
	struct line l = {0};
	char expected[256];
	char *version = read_file("/etc/debian_version");

	(void)state;
	if (!version)
		skip();
	words(&l, ARGV(world->insula, "--root", world->state, "run"), NULL);
	if (is_vm)
		push(&l, "--vm", NULL);
	words(&l, ARGV("--rm", "--rootfs", "/", "sh", "-c", script), NULL);
	snprintf(expected, sizeof(expected), "%schanged\n0\n0\n1\nNoNewPrivs:\t1\n", version);
	free(version);
	expect(run(&(struct run_spec){.argv = l.v}), 0, expected, NULL);
	assert_int_equal(access("/etc/insula-test-mark", F_OK), -1);
}

static int host_pid(const char *name)
{
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV(world->oci, "--root", world->state, "state", name)});
	const char *at = strstr(r.out, "\"pid\":");
	int pid = at ? atoi(at + 6) : 0;

	run_result_done(&r);
	assert_true(pid > 0);
	return pid;
}

static bool state_is_there(void *arg)
{
	char path[160];

	(void)arg;
	snprintf(path, sizeof(path), "%s/impatience/state.json", world->state);
	return access(path, F_OK) == 0;
}

/* Ctrl-C while the guest boots: everything is taken back, and the exit code tells. */
static void interrupted_while_created(void **state)
{
	struct snapshot before = snapshot_take(world);
	int fd;
	pid_t pid = start_sandbox(ARGV("--name", "impatience"), ARGV("true"), false, &fd);

	(void)state;
	assert_true(eventually(state_is_there, NULL, 30));
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(finish(pid, 60), 128 + SIGINT);
	close(fd);
	struct snapshot after = snapshot_take(world);

	snapshot_compare(&before, &after);
}

/* What is hidden of the host's system is not even in the tree that the guest's kernel is handed: looked at
 * through the namespace of the host process. */
static void hidden_from_the_guest_kernel(void **state)
{
	int fd;
	char buf[256] = "", path[128];
	struct line l = {0};
	struct stat st;

	(void)state;
	words(&l, ARGV(world->insula, "--root", world->state, "run", "--vm", "--rm"), NULL);
	words(&l, ARGV("--name", "curious", "--rootfs", "/", "sh", "-c", "echo ready; sleep 600"),
	      NULL);
	pid_t pid = start(l.v, false, &fd);

	assert_true(read_until(fd, "ready", buf, sizeof(buf), 120));
	int monitor = host_pid("curious");

	snprintf(path, sizeof(path), "/proc/%d/root/run/share/rootfs/etc/passwd", monitor);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	snprintf(path, sizeof(path), "/proc/%d/root/run/share/rootfs/etc/shadow", monitor);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	snprintf(path, sizeof(path), "/proc/%d/root/run/share/rootfs/root", monitor);
	struct run_result r = run(&(struct run_spec){.argv = ARGV("/bin/ls", "-A", path)});

	assert_string_equal(r.out, "");
	run_result_done(&r);
	expect(insula(ARGV("kill", "curious")), 0, "curious\n", NULL);
	assert_int_equal(finish(pid, 60), 128 + SIGKILL);
	close(fd);
}

/* A CPU limit holds on the host's side of both kinds: the quota of the host process's group. */
static void cpu_limit(void **state)
{
	int fd;
	char buf[256] = "", path[512], line[512];
	pid_t pid = start_sandbox(ARGV("--name", "slow", "--cpus", "0.5"), ARGV("probe", "await"),
				  false, &fd);
	bool found = false;

	(void)state;
	assert_true(read_until(fd, "ready", buf, sizeof(buf), 240));
	snprintf(path, sizeof(path), "/proc/%d/cgroup", host_pid("slow"));
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && !found) {
		char *group = strrchr(line, ':') + 1;

		group[strcspn(group, "\n")] = '\0';
		static const char *const quota[] = {
			"/sys/fs/cgroup%s/cpu.max", "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us",
			"/sys/fs/cgroup/cpu,cpuacct%s/cpu.cfs_quota_us"};
		static const char *const period[] = {
			NULL, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us",
			"/sys/fs/cgroup/cpu,cpuacct%s/cpu.cfs_period_us"};

		for (int i = 0; i < 3 && !found; i++) {
			long q = 0, p = 0;

			snprintf(path, sizeof(path), quota[i], group);
			char *text = read_file(path);

			if (!text)
				continue;
			int n = sscanf(text, "%ld %ld", &q, &p);

			free(text);
			if (n == 1 && period[i]) {
				snprintf(path, sizeof(path), period[i], group);
				text = read_file(path);
				assert_non_null(text);
				p = atol(text);
				free(text);
			}
			found = p > 0 && q * 2 == p;
		}
	}
	fclose(f);
	expect(insula(ARGV("kill", "slow")), 0, "slow\n", NULL);
	assert_int_equal(finish(pid, 60), 128 + SIGKILL);
	close(fd);
	assert_true(found);
}

/* A container shares the host's kernel; a microVM has its own. */
static void kernel(void **state)
{
	struct line l;
	struct run_result host = run(
		&(struct run_spec){.argv = ARGV("/bin/cat", "/proc/sys/kernel/random/boot_id")});

	(void)state;
	begin(&l, world);
	words(&l, ARGV("cat", "/proc/sys/kernel/random/boot_id"), NULL);
	struct run_result inside = run(&(struct run_spec){.argv = l.v});

	assert_int_equal(inside.code, 0);
	assert_int_equal(strcmp(host.out, inside.out) == 0, !is_vm);
	run_result_done(&host);
	run_result_done(&inside);
}

static const struct {
	const char *name;
	CMUnitTestFunction function;
	bool only_vm;
} stories[] = {
	{"large streams", large_streams},
	{"closed reader", closed_reader},
	{"terminal", terminal},
	{"terminal size", terminal_size},
	{"terminal interrupt", terminal_interrupt},
	{"terminal input", terminal_input},
	{"signal is forwarded", signal_is_forwarded},
	{"life of a named sandbox", life_of_a_named_sandbox},
	{"killed from outside", killed_from_outside},
	{"stopped with TERM", stopped_with_term},
	{"kept after the end", kept_after_the_end},
	{"the host's system", host_system},
	{"hidden from the guest's kernel", hidden_from_the_guest_kernel, true},
	{"interrupted while it is created", interrupted_while_created, true},
	{"CPU limit", cpu_limit},
	{"kernel", kernel},
};

#define N_SCENARIOS (sizeof(scenarios) / sizeof(*scenarios))
#define N_STORIES   (sizeof(stories) / sizeof(*stories))

static void skipped(void **state)
{
	print_message("# skip: %s\n", (const char *)*state);
	skip();
}

static int run_kind(bool vm)
{
	struct CMUnitTest tests[N_SCENARIOS + N_STORIES];
	char names[N_SCENARIOS + N_STORIES][96];
	const char *only = getenv("TEST_ONLY"), *missing = vm ? vm_missing() : NULL;
	size_t n = 0;

	is_vm = vm;
	for (size_t i = 0; i < N_SCENARIOS + N_STORIES; i++) {
		bool row = i < N_SCENARIOS;
		const char *name = row ? scenarios[i].name : stories[i - N_SCENARIOS].name;

		if ((only && !strstr(name, only)) ||
		    (!row && !vm && stories[i - N_SCENARIOS].only_vm))
			continue;
		snprintf(names[n], sizeof(names[n]), "%s: %s", kind(), name);
		tests[n] = (struct CMUnitTest){
			.name = names[n],
			.test_func = missing ? skipped
				     : row   ? run_scenario
					     : stories[i - N_SCENARIOS].function,
			.initial_state = missing ? (void *)missing
					 : row   ? (void *)&scenarios[i]
						 : NULL,
		};
		n++;
	}
	return _cmocka_run_group_tests(vm ? "scenarios, vm" : "scenarios, container", tests, n,
				       NULL, NULL);
}

int main(void)
{
	const char *wanted = getenv("TEST_KIND");
	int failed = 0;
	void *state;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	if (!wanted || strcmp(wanted, "container") == 0)
		failed += run_kind(false);
	if (!wanted || strcmp(wanted, "vm") == 0)
		failed += run_kind(true);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
