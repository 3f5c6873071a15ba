/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each flag of `insula run` by what it does inside, in containers and in microVMs: docker's and podman's
 * documentation says what that is. In a container every row runs alone. A microVM takes seconds to boot, so
 * there all rows of one group share a run: their flags together, their scripts one after the other.
 *
 * TEST_KIND=container or TEST_KIND=vm runs one kind only.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 96
#define GROUPS    4

static struct world *world;

struct row {
	const char *name;
	int group;                   /* of microVMs; 0: containers only */
	const char *const flags[12]; /* {DIR}: a directory of the test */
	const char *script, *out;
};

static const struct row rows[] = {
	/* ---- what runs */
	{"environment files, and a flag wins",
	 1,
	 {"--env-file", "{DIR}/env", "-e", "OVER=flag"},
	 "echo $FROM_FILE $OVER \"$QUOTED\" $FROM_CALLER",
	 "file flag \"as it is\" through\n"},
	{"working directory", 1, {"-w", "/data"}, "pwd", "/data\n"},
	{"groups by name and id",
	 1,
	 {"--group-add", "math", "--group-add", "4242"},
	 "id -G",
	 "0 1843 4242\n"},
	{"init is process 1 and ends as the command does",
	 2,
	 {"--init"},
	 "cat /proc/1/comm; sh -c 'sleep 0 & exit 0'",
	 "insula-init\n"},
	/* ---- its files */
	{"names",
	 1,
	 {"--hostname", "box", "--domainname", "lab"},
	 "hostname; cat /etc/hostname; cat /proc/sys/kernel/domainname; grep 127.0.1.1 /etc/hosts",
	 "box\nbox\nlab\n127.0.1.1\tbox.lab\tbox\n"},
	{"more hosts",
	 1,
	 {"--add-host", "db:10.0.0.5", "--add-host", "six:[fd00::5]"},
	 "grep -E 'db|six' /etc/hosts",
	 "10.0.0.5\tdb\nfd00::5\tsix\n"},
	{"resolver",
	 1,
	 {"--dns", "192.0.2.1", "--dns-search", "example.org", "--dns-option", "ndots:2"},
	 "cat /etc/resolv.conf",
	 "nameserver 192.0.2.1\nsearch example.org\noptions ndots:2\n"},
	{"tmpfs",
	 1,
	 {"--tmpfs", "/scratch:size=1m,mode=700"},
	 "stat -c %a /scratch; touch /scratch/x && grep -c ' /scratch tmpfs "
	 "rw,nosuid,nodev,noexec.*size=1024k' /proc/mounts",
	 "700\n1\n"},
	{"mount of a directory with a comma, read-only",
	 1,
	 {"--mount", "type=bind,\"source={DIR}/a,b\",destination=/c,readonly"},
	 "cat /c/file; touch /c/x 2>/dev/null || echo refused",
	 "shared\nrefused\n"},
	{"mount of a tmpfs, read-only",
	 1,
	 {"--mount", "type=tmpfs,dst=/t,tmpfs-size=2m,tmpfs-mode=1700,ro"},
	 "stat -c %a /t; grep -c ' /t tmpfs ro,.*size=2048k' /proc/mounts",
	 "1700\n1\n"},
	{"volume of a relative path", 1, {"-v", "./a,b:/rel:ro"}, "cat /rel/file", "shared\n"},
	{"volume whose changes are thrown away",
	 1,
	 {"-v", "{DIR}/a,b:/o:O"},
	 "echo mine > /o/file; cat /o/file",
	 "mine\n"},
	{"anonymous volume begins with what is there",
	 1,
	 {"-v", "/home"},
	 "cat /home/note; touch /home/x && echo writable",
	 "kept\nwritable\n"},
	{"read-only root",
	 2,
	 {"--read-only"},
	 "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo shm",
	 "refused\nshm\n"},
	{"size of shared memory",
	 2,
	 {"--shm-size", "3m"},
	 "grep -c ' /dev/shm tmpfs .*size=3072k' /proc/mounts",
	 "1\n"},
	{"no shared memory", 3, {"--ipc", "none"}, "test -e /dev/shm || echo none", "none\n"},
	/* ---- what it may */
	{"capabilities",
	 2,
	 {"--cap-drop", "ALL", "--cap-add", "net_raw"},
	 "grep CapEff /proc/self/status",
	 "CapEff:\t0000000000002000\n"},
	{"capability of another user",
	 0,
	 {"-u", "ada", "--cap-add", "CAP_NET_ADMIN"},
	 "grep -E 'CapEff|CapAmb' /proc/self/status",
	 "CapEff:\t0000000000001000\nCapAmb:\t0000000000001000\n"},
	{"no new privileges",
	 2,
	 {"--security-opt", "no-new-privileges"},
	 "grep NoNewPrivs /proc/self/status",
	 "NoNewPrivs:\t1\n"},
	{"seccomp profile of a file",
	 2,
	 {"--security-opt", "seccomp={DIR}/profile.json"},
	 "mkdir /tmp/x 2>&1; true",
	 "mkdir: can't create directory '/tmp/x': Inappropriate ioctl for device\n"},
	{"no seccomp",
	 0,
	 {"--security-opt", "seccomp=unconfined"},
	 "grep Seccomp: /proc/self/status",
	 "Seccomp:\t0\n"},
	{"masks",
	 2,
	 {"--security-opt", "mask=/etc/plain", "--security-opt", "unmask=/proc/sys"},
	 "wc -c < /etc/plain; grep -c ' /proc/sys ' /proc/mounts; true",
	 "0\n0\n"},
	{"no masks",
	 0,
	 {"--security-opt", "systempaths=unconfined"},
	 "grep -c -E ' /proc/(sys|kcore|keys) ' /proc/mounts; true",
	 "0\n"},
	{"privileged",
	 3,
	 {"--privileged"},
	 "grep Seccomp: /proc/self/status; grep -c ' /sys sysfs rw' /proc/mounts; grep -c ' "
	 "/proc/' /proc/mounts; grep CapEff /proc/self/status | grep -c -E 'ff(ff|fe)ffffff$'",
	 "Seccomp:\t0\n1\n0\n1\n"},
	{"sysctl",
	 2,
	 {"--sysctl", "net.ipv4.ip_forward=1"},
	 "cat /proc/sys/net/ipv4/ip_forward",
	 "1\n"},
	{"a device",
	 0,
	 {"--device", "/dev/null:/dev/other:rw"},
	 "echo x > /dev/other && test -c /dev/other && echo there",
	 "there\n"},
	/* ---- how much */
	{"resource limits",
	 2,
	 {"--ulimit", "nofile=99:100", "--ulimit", "core=0"},
	 "ulimit -n; ulimit -Hn; ulimit -c",
	 "99\n100\n0\n"},
	{"first to be killed",
	 2,
	 {"--oom-score-adj", "300"},
	 "cat /proc/self/oom_score_adj",
	 "300\n"},
};
#define N_ROWS (sizeof(rows) / sizeof(*rows))

/* ---- command lines ---------------------------------------------------------------------- */

struct line {
	const char *v[WORDS_MAX];
	char text[WORDS_MAX][256];
	size_t n;
};

static void push(struct line *l, const char *word)
{
	const char *at = strstr(word, "{DIR}");

	assert_true(l->n + 1 < WORDS_MAX);
	snprintf(l->text[l->n], sizeof(l->text[0]), "%.*s%s%s", at ? (int)(at - word) : 1000, word,
		 at ? world->dir : "", at ? at + strlen("{DIR}") : "");
	l->v[l->n] = l->text[l->n];
	l->n++;
	l->v[l->n] = NULL;
}

static void begin(struct line *l, bool vm)
{
	static const char *const head[] = {"--rm", "-e", "FROM_CALLER", "--rootfs"};

	l->n = 0;
	push(l, world->insula);
	push(l, "--root");
	push(l, world->state);
	push(l, "run");
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		push(l, head[i]);
	push(l, world->rootfs);
	if (vm)
		push(l, "--vm");
}

/* In the test's directory, with a variable of its own, and nothing may be left. */
static struct run_result go(const struct line *l)
{
	struct snapshot before = snapshot_take(world);
	struct run_result r = run(&(struct run_spec){.argv = l->v, .cwd = world->dir});
	struct snapshot after = snapshot_take(world);

	snapshot_compare(&before, &after);
	return r;
}

static void row_alone(void **state)
{
	const struct row *row = *state;
	struct line l;

	begin(&l, false);
	for (size_t i = 0; row->flags[i]; i++)
		push(&l, row->flags[i]);
	push(&l, "sh");
	push(&l, "-c");
	push(&l, row->script);
	expect_result(go(&l), 0, row->out, "");
}

static void group_in_a_vm(void **state)
{
	int group = (int)(intptr_t)*state;
	static char script[8192], out[8192];
	size_t s = 0, o = 0;
	struct line l;

	begin(&l, true);
	script[0] = out[0] = '\0';
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct row *row = &rows[i];

		if (row->group != group)
			continue;
		for (size_t k = 0; row->flags[k]; k++)
			push(&l, row->flags[k]);
		s += (size_t)snprintf(script + s, sizeof(script) - s, "echo '[%s]'\n%s\n",
				      row->name, row->script);
		o += (size_t)snprintf(out + o, sizeof(out) - o, "[%s]\n%s", row->name, row->out);
	}
	push(&l, "sh");
	push(&l, "-c");
	l.v[l.n++] = script;
	l.v[l.n] = NULL;
	expect_result(go(&l), 0, out, NULL);
}

/* ---- what is wrong ---------------------------------------------------------------------- */

static const struct {
	const char *const flags[8];
	const char *error; /* words of it, separated by '|' */
} bad[] = {
	{{"--env-file", "{DIR}/missing"}, "--env-file|missing|No such file"},
	{{"--env-file", "{DIR}/bad-env"}, "bad-env|line 2|blank"},
	{{"-e", "=x"}, "-e|name"},
	{{"-env", "X"}, "-env|did you mean --env"},
	{{"-rm"}, "-rm|did you mean --rm"},
	{{"--hostnam", "x"}, "unknown flag --hostnam|did you mean --hostname"},
	{{"-v", "a:/a:/b:c"}, "-v|SOURCE"},
	{{"-v", "data:/a"}, "named volumes|./data"},
	{{"-v", "./nothing-here:/a"}, "nothing-here|does not exist|mkdir"},
	{{"-v", "/tmp:/a:Z"}, "'Z'|SELinux"},
	{{"-v", "/tmp:/a", "--tmpfs", "/a"}, "--tmpfs|two mounts on '/a'"},
	{{"--mount", "type=bind,dst=/a"}, "--mount|source"},
	{{"--mount", "type=bind,src=/tmp"}, "--mount|destination"},
	{{"--mount", "type=image,src=x,dst=/a"}, "--mount|type=image|not supported"},
	{{"--mount", "type=volume,src=x,dst=/a"}, "--mount|named volumes"},
	{{"--mount", "type=tmpfs,dst=/a,bind-propagation=slave"}, "bind-propagation|tmpfs"},
	{{"--mount", "type=tmpfs,dst=/a,fast"}, "unknown key 'fast'"},
	{{"--mount", "\"type=tmpfs,dst=/a"}, "closed"},
	{{"--tmpfs", "/a:size=much"}, "--tmpfs|size=much"},
	{{"--tmpfs", "a"}, "--tmpfs|absolute"},
	{{"--tmpfs", "/a:fast"}, "--tmpfs|unknown option 'fast'"},
	{{"--device", "/dev/nothing-here"}, "--device|nothing-here"},
	{{"--device", "/etc/hostname"}, "--device|not a device"},
	{{"--device", "/dev/null:/x:rq"}, "--device|'rq'"},
	{{"--device-cgroup-rule", "q 1:2 r"}, "--device-cgroup-rule|TYPE"},
	{{"--cap-add", "NET_ADMN"}, "NET_ADMN|did you mean NET_ADMIN"},
	{{"--cap-add", "ALL", "--cap-drop", "all"}, "contradict"},
	{{"--security-opt", "seccomp={DIR}/missing"}, "seccomp profile|missing"},
	{{"--security-opt", "seccomp={DIR}/env"}, "seccomp profile|env"},
	{{"--security-opt", "label=type:x"}, "--security-opt|SELinux"},
	{{"--security-opt", "nothing"}, "--security-opt|unknown"},
	{{"--security-opt", "mask=etc"}, "--security-opt|absolute"},
	{{"--userns", "auto"}, "--userns auto"},
	{{"--ipc", "shareable"}, "--ipc shareable|/dev/shm"},
	{{"--ipc", "x"}, "--ipc 'x'|private"},
	{{"--pid", "container:nobody"}, "--pid|nobody"},
	{{"--uts", "host", "--hostname", "x"}, "--hostname|--uts host"},
	{{"--network", "bridge"}, "bridge|none"},
	{{"--network", "container:"}, "no sandbox"},
	{{"--add-host", "x"}, "--add-host|NAME:ADDRESS"},
	{{"--add-host", "x:host-gateway"}, "host-gateway|bridge"},
	{{"--dns", "example.org"}, "--dns|address"},
	{{"--dns-search", "a b"}, "--dns-search"},
	{{"--hostname", "a_b"}, "--hostname"},
	{{"--ulimit", "nofiles=1"}, "--ulimit|names no limit"},
	{{"--ulimit", "nofile=2:1"}, "--ulimit|above"},
	{{"--sysctl", "kernel.panic=1"}, "kernel.panic|host"},
	{{"--sysctl", "x"}, "--sysctl|NAME=VALUE"},
	{{"--memory-swap", "1g"}, "--memory-swap|--memory"},
	{{"--memory", "64m", "--memory-swap", "32m"}, "--memory-swap|less"},
	{{"--cpus", "1", "--cpu-quota", "50000"}, "--cpus|--cpu-quota"},
	{{"--cpu-weight", "20000"}, "--cpu-weight|10000"},
	{{"--cpuset-cpus", "3-1"}, "--cpuset-cpus|3-1"},
	{{"--oom-score-adj", "2000"}, "--oom-score-adj|1000"},
	{{"--oom-kill-disable"}, "--oom-kill-disable|cgroup v1"},
	{{"--restart", "always"}, "--restart"},
	{{"--publish", "80:80"}, "--publish|bridge"},
	{{"--health-cmd", "true"}, "--health-cmd"},
	{{"--pull", "newer"}, "--pull newer|always"},
	{{"--pull", "sometimes"}, "--pull|missing"},
	{{"--platform", "linux/vax"}, "--platform|vax"},
	{{"--stop-signal", "HELLO"}, "--stop-signal|HELLO"},
	{{"--name", "a+b"}, "--name"},
	{{"--replace"}, "--replace|--name"},
	{{"--label", "=x"}, "--label|name"},
	{{"--annotation", "org.insula.rootfs=x"}, "--annotation|org.insula.rootfs"},
	{{"--init", "--pid", "host"}, "--init|--pid host"},
	{{"--vm", "--network", "host"}, "--network host|vm"},
	{{"--vm", "--pid", "host"}, "--pid host|vm"},
};

/* One or two lines, exit code 125, and nothing was made. */
static void bad_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct line l;

		begin(&l, false);
		for (size_t k = 0; bad[i].flags[k]; k++)
			push(&l, bad[i].flags[k]);
		push(&l, "true");
		expect_error(go(&l), 125, bad[i].error);
	}
}

static void a_vm_takes_no_devices_of_the_host(void **state)
{
	struct line l;

	(void)state;
	begin(&l, true);
	push(&l, "--device");
	push(&l, "/dev/null:/dev/other");
	push(&l, "true");
	expect_error(go(&l), 125, "linux.devices|vm");
}

/* ---- stories ---------------------------------------------------------------------------- */

static char *namespace_of(const char *pid, const char *name)
{
	char path[64], *text = calloc(1, 128);

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, name);
	assert_true(text && readlink(path, text, 126) > 0);
	strcat(text, "\n");
	return text;
}

static void shared_with_the_host(void **state)
{
	static const char *const pairs[][2] = {
		{"--pid", "pid"}, {"--ipc", "ipc"}, {"--uts", "uts"}, {"--network", "net"}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char *host = namespace_of("self", pairs[i][1]), path[64];
		struct line l;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", pairs[i][1]);
		begin(&l, false);
		push(&l, pairs[i][0]);
		push(&l, "host");
		push(&l, "readlink");
		push(&l, path);
		expect_result(go(&l), 0, host, "");
		free(host);
	}
}

static void shared_with_a_sandbox(void **state)
{
	char buf[256] = "";
	struct line l;
	int fd;

	(void)state;
	begin(&l, false);
	push(&l, "--name");
	push(&l, "first");
	push(&l, "--add-host");
	push(&l, "peer:192.0.2.7");
	push(&l, "sh");
	push(&l, "-c");
	push(&l, "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; hostname; echo ready; "
		 "sleep 600");
	pid_t pid = start(l.v, false, &fd);

	assert_true(read_until(fd, "ready", buf, sizeof(buf), 60));
	*strstr(buf, "ready") = '\0';
	begin(&l, false);
	push(&l, "--network");
	push(&l, "container:fir"); /* the beginning of a name will do */
	push(&l, "--ipc");
	push(&l, "container:first");
	push(&l, "sh");
	push(&l, "-c");
	push(&l, "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; hostname; "
		 "grep -q peer /etc/hosts && kill -0 1");
	expect_result(run(&(struct run_spec){.argv = l.v}), 0, buf, "");
	expect_result(run_insula(world, ARGV("kill", "first")), 0, "first\n", NULL);
	assert_int_equal(finish(pid, 60), 128 + 9);
	close(fd);
}

static void identity_file(void **state)
{
	char path[160], *text;
	struct stat st;
	struct line l;

	(void)state;
	snprintf(path, sizeof(path), "%s/cid", world->dir);
	begin(&l, false);
	push(&l, "--cidfile");
	push(&l, path);
	push(&l, "--name");
	push(&l, "known");
	push(&l, "true");
	expect_result(run(&(struct run_spec){.argv = l.v}), 0, "", "");
	text = read_file(path);
	assert_non_null(text);
	assert_string_equal(text, "known");
	free(text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	expect_error(run(&(struct run_spec){.argv = l.v}), 125, "--cidfile|exists");
	assert_int_equal(unlink(path), 0);
	/* A command that never ran leaves none. */
	l.v[l.n - 1] = "no-such-command";
	expect_error(run(&(struct run_spec){.argv = l.v}), 127, "no-such-command");
	assert_int_equal(access(path, F_OK), -1);
}

/* A name that is taken is refused, but for --replace. What is wrong is found before the other is gone. */
static void replace(void **state)
{
	const char *const words[] = {"run",         "-d",    "--name", "taken", "--rootfs",
				     world->rootfs, "sleep", "600",    NULL};
	struct run_spec detached = {.argv = insula_argv(world, words), .detaching = true};

	(void)state;
	expect_result(run(&detached), 0, "taken\n", NULL);
	expect_error(run_insula(world,
				ARGV("run", "--name", "taken", "--rootfs", world->rootfs, "true")),
		     125, "taken|exists");
	expect_error(run_insula(world, ARGV("run", "--name", "taken", "--replace", "-v",
					    "/nothing-here:/a", "--rootfs", world->rootfs, "true")),
		     125, "nothing-here");
	expect_result(run_insula(world, ARGV("exec", "taken", "echo", "alive")), 0, "alive\n", "");
	expect_result(run_insula(world, ARGV("run", "--rm", "--name", "taken", "--replace",
					     "--rootfs", world->rootfs, "echo", "new")),
		      0, "new\n", "");
	expect_error(run_insula(world, ARGV("exec", "taken", "true")), 125, "taken");
}

/* The init program reaps what the command leaves to it, forwards signals, and ends as the command does. */
static void init(void **state)
{
	char buf[256] = "";
	struct line l;
	int fd;

	(void)state;
	begin(&l, false);
	push(&l, "--init");
	push(&l, "--name");
	push(&l, "reaped");
	push(&l, "sh");
	push(&l, "-c");
	/* An orphan that has ended keeps its entry in /proc until it is reaped. */
	push(&l, "trap 'exit 7' USR1; sh -c 'sh -c \"echo \\$\\$ > /dev/shm/pid\" &'; "
		 "until test -s /dev/shm/pid; do :; done; "
		 "while test -d /proc/$(cat /dev/shm/pid); do :; done; echo ready; "
		 "while :; do sleep 0.1; done");
	pid_t pid = start(l.v, false, &fd);

	assert_true(read_until(fd, "ready", buf, sizeof(buf), 60));
	expect_result(run_insula(world, ARGV("kill", "-s", "USR1", "reaped")), 0, "reaped\n", NULL);
	assert_int_equal(finish(pid, 60), 7);
	close(fd);
	begin(&l, false);
	push(&l, "--init");
	push(&l, "no-such-command");
	expect_error(go(&l), 127, "no-such-command");
}

/* What stops a sandbox is the flag's signal, and how long it is waited for. */
static void stop_signal(void **state)
{
	const char *const words[] = {"run",
				     "-d",
				     "--rm",
				     "--name",
				     "polite",
				     "--stop-signal",
				     "INT",
				     "-v",
				     "",
				     "--rootfs",
				     world->rootfs,
				     "sh",
				     "-c",
				     "trap 'echo stopped > /data/mark; exit' INT; "
				     "echo x > /data/ready; while :; do sleep 0.1; done",
				     NULL};
	const char *argv[24], *const *all;
	char volume[200], ready[200], mark[200], *text = NULL;
	size_t n = 0;

	(void)state;
	snprintf(volume, sizeof(volume), "%s/a,b:/data", world->dir);
	snprintf(ready, sizeof(ready), "%s/a,b/ready", world->dir);
	snprintf(mark, sizeof(mark), "%s/a,b/mark", world->dir);
	all = insula_argv(world, words);
	for (; all[n]; n++)
		argv[n] = *all[n] ? all[n] : volume;
	argv[n] = NULL;
	expect_result(run(&(struct run_spec){.argv = argv, .detaching = true}), 0, "polite\n",
		      NULL);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c",
							  "until [ -s \"$0\" ]; do :; done", ready),
					     .timeout_sec = 60}),
		      0, "", "");
	expect_result(run_insula(world, ARGV("stop", "polite")), 0, "polite\n", NULL);
	text = read_file(mark);
	assert_non_null(text);
	assert_string_equal(text, "stopped\n");
	free(text);
	unlink(ready);
	unlink(mark);
}

/* A root file system without the files stays without them, unless a flag needs one. */
static void no_mount_points(void **state)
{
	char path[256], root[200];
	struct stat st;

	(void)state;
	snprintf(root, sizeof(root), "%s/bare", world->dir);
	make_rootfs(root);
	expect_result(run_insula(world, ARGV("run", "--rm", "--hostname", "box", "--rootfs", root,
					     "sh", "-c", "hostname; ls /etc")),
		      0, "box\ngroup\npasswd\nplain\n", "");
	expect_result(run_insula(world, ARGV("run", "--rm", "--add-host", "db:10.0.0.5", "--rootfs",
					     root, "grep", "db", "/etc/hosts")),
		      0, "10.0.0.5\tdb\n", "");
	snprintf(path, sizeof(path), "%s/etc/hosts", root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0); /* a mount point and no more */
	snprintf(path, sizeof(path), "%s/etc/resolv.conf", root);
	assert_int_equal(access(path, F_OK), -1);
}

static void entrypoint(void **state)
{
	struct line l;

	(void)state;
	begin(&l, false);
	push(&l, "--entrypoint");
	push(&l, "[\"echo\", \"a b\"]");
	push(&l, "--");
	push(&l, "-n");
	expect_result(go(&l), 0, "a b -n\n", "");
}

/* Of exec, in the same way. */
static void exec_flags(void **state)
{
	const char *const words[] = {"run",   "-d",         "--name",   "host",
				     "-e",    "HOME=/root", "--rootfs", world->rootfs,
				     "sleep", "600",        NULL};
	char env[160];

	(void)state;
	snprintf(env, sizeof(env), "%s/env", world->dir);
	expect_result(run(&(struct run_spec){.argv = insula_argv(world, words), .detaching = true}),
		      0, "host\n", NULL);
	expect_result(run_insula(world, ARGV("exec", "-u", "ada", "--env-file", env, "-e", "A=1",
					     "-w", "/data", "host", "sh", "-c",
					     "id -un; echo $HOME $FROM_FILE $A; pwd")),
		      0, "ada\n/home file 1\n/data\n", "");
	expect_result(run_insula(world, ARGV("exec", "--privileged", "host", "sh", "-c",
					     "grep CapEff /proc/self/status | grep -c -E "
					     "'ff(ff|fe)ffffff$'")),
		      0, "1\n", "");
	expect_result(run_insula(world, ARGV("exec", "-d", "host", "sh", "-c",
					     "echo done > /tmp/mark; sleep 600")),
		      0, "", "");
	expect_result(
		run_insula(world, ARGV("exec", "host", "sh", "-c",
				       "until grep -q done /tmp/mark 2>/dev/null; do :; done; "
				       "rm /tmp/mark")),
		0, "", "");
	expect_error(run_insula(world, ARGV("exec", "-w", "data", "host", "true")), 125,
		     "--workdir|absolute");
	expect_error(run_insula(world, ARGV("exec", "-d", "-t", "host", "true")), 125,
		     "-d with -t");
	expect_result(run_insula(world, ARGV("rm", "-f", "host")), 0, "host\n", NULL);
}

/* ---- running ---------------------------------------------------------------------------- */

static void make_files(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/env", world->dir);
	write_file(path,
		   "# a comment\nFROM_FILE=file\nOVER=file\n\n  QUOTED=\"as it is\"\nFROM_CALLER\n",
		   0644);
	snprintf(path, sizeof(path), "%s/bad-env", world->dir);
	write_file(path, "A=1\nB C=2\n", 0644);
	snprintf(path, sizeof(path), "%s/profile.json", world->dir);
	write_file(path,
		   "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
		   "{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_ERRNO\", "
		   "\"errnoRet\": 25, \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}},"
		   "{\"names\": [\"getpid\"], \"action\": \"SCMP_ACT_KILL\", "
		   "\"includes\": {\"arches\": [\"vax\"]}}]}",
		   0644);
	snprintf(path, sizeof(path), "%s/a,b", world->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/a,b/file", world->dir);
	write_file(path, "shared\n", 0644);
	/* Where the root file system has them, they are covered; it is never written to. */
	snprintf(path, sizeof(path), "%s/etc/hostname", world->rootfs);
	write_file(path, "the image's\n", 0644);
	snprintf(path, sizeof(path), "%s/etc/hosts", world->rootfs);
	write_file(path, "", 0644);
	snprintf(path, sizeof(path), "%s/home/note", world->rootfs);
	write_file(path, "kept\n", 0644);
}

static int in_containers(void)
{
	static const struct CMUnitTest stories[] = {
		cmocka_unit_test(bad_values),
		cmocka_unit_test(shared_with_the_host),
		cmocka_unit_test(shared_with_a_sandbox),
		cmocka_unit_test(identity_file),
		cmocka_unit_test(replace),
		cmocka_unit_test(entrypoint),
		cmocka_unit_test(no_mount_points),
		cmocka_unit_test(init),
		cmocka_unit_test(stop_signal),
		cmocka_unit_test(exec_flags),
	};
	struct CMUnitTest tests[N_ROWS];

	for (size_t i = 0; i < N_ROWS; i++)
		tests[i] = (struct CMUnitTest){.name = rows[i].name,
					       .test_func = row_alone,
					       .initial_state = (void *)&rows[i]};
	return _cmocka_run_group_tests("flags, container", tests, N_ROWS, NULL, NULL) +
	       cmocka_run_group_tests_name("stories of flags", stories, NULL, NULL);
}

static void skipped(void **state)
{
	print_message("# skip: %s\n", (const char *)*state);
	skip();
}

static int in_vms(void)
{
	static const char *const names[GROUPS] = {"vm: what it sees", "vm: what it may",
						  "vm: privileged", "vm: no devices of the host"};
	const char *missing = vm_missing();
	struct CMUnitTest tests[GROUPS];

	for (int i = 0; i < GROUPS; i++)
		tests[i] = (struct CMUnitTest){
			.name = names[i],
			.test_func = missing           ? skipped
				     : i == GROUPS - 1 ? a_vm_takes_no_devices_of_the_host
						       : group_in_a_vm,
			.initial_state = missing ? (void *)missing : (void *)(intptr_t)(i + 1)};
	return _cmocka_run_group_tests("flags, vm", tests, GROUPS, NULL, NULL);
}

int main(void)
{
	const char *wanted = getenv("TEST_KIND");
	int failed = 0;
	void *state;

	if (setenv("FROM_CALLER", "through", 1) < 0 || world_setup(&state) < 0)
		return 1;
	world = state;
	make_files();
	if (!wanted || strcmp(wanted, "container") == 0)
		failed += in_containers();
	if (!wanted || strcmp(wanted, "vm") == 0)
		failed += in_vms();
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
