/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of the specification and options of the runc command line on the whole way, from config.json to what the workload sees:
 * how processes are run, clocks, id-mapped mounts, seccomp notifications, sockets passed on, pidfds, groups of an exec.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"

static struct world *world;
static char socket_path[100];

static struct run_result run_bundle(const char *dir)
{
	return run_oci(world, ARGV("run", "--bundle", dir, world->id));
}

static void in_the_background(const char *dir)
{
	expect_result(run_oci(world, ARGV("run", "--detach", "--bundle", dir, world->id)), 0, "",
		      NULL);
}

static void force_delete(void)
{
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* The descriptor that comes over a connection to the listener, with its text. Usable in a forked process. */
static int take_descriptor(int listener, char *text, size_t size)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {text, size - 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = listener, .events = POLLIN};
	int fd = -1, s = poll(&p, 1, 60000) == 1 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
	struct cmsghdr *c;
	ssize_t n = s < 0 ? -1 : recvmsg(s, &msg, MSG_CMSG_CLOEXEC);

	if (s >= 0)
		close(s);
	text[n > 0 ? n : 0] = '\0';
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* ---- how processes are run ------------------------------------------------------------------ */

static void how_the_first_process_is_run(void **state)
{
	const char *dir =
		bundle(world, "run",
		       "busybox ionice; uname -m; set -- $(cat /proc/self/stat); echo nice ${19} "
		       "policy ${41}",
		       CHANGES("process.scheduler",
			       "{\"policy\": \"SCHED_BATCH\", \"nice\": 9, \"flags\": []}",
			       "process.ioPriority", "{\"class\": \"IOPRIO_CLASS_IDLE\"}",
			       "linux.personality", "{\"domain\": \"LINUX32\"}"));
	struct utsname there;
	char expected[160];

	(void)state;
	/* What the kernel tells the same persona here. */
	assert_true(personality(PER_LINUX32) >= 0);
	uname(&there);
	personality(PER_LINUX);
	snprintf(expected, sizeof(expected), "idle\n%s\nnice 9 policy 3\n", there.machine);
	expect_result(run_bundle(dir), 0, expected, NULL);
}

static void clocks(void **state)
{
	const char *dir;
	char *text = read_file("/proc/uptime");
	struct run_result r;

	(void)state;
	dir = bundle(world, "time", "cut -d. -f1 /proc/uptime",
		     CHANGES("linux.namespaces",
			     "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"time\"}]",
			     "linux.timeOffsets", "{\"boottime\": {\"secs\": 1000000000}}",
			     "hostname", "null"));
	r = run_bundle(dir);
	if (r.code != 0 || atoll(r.out) < 1000000000 + atoll(text))
		fail_msg("%d: %s%s", r.code, r.out, r.err);
	run_result_done(&r);
	free(text);
}

/* An exec is run as its own process object says, and by default as the container's. */
static void how_a_further_process_is_run(void **state)
{
	char file[128];
	const char *dir = bundle(
		world, "more", "sleep 1000",
		CHANGES("process.ioPriority", "{\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 6}"));

	(void)state;
	in_the_background(dir);
	expect_result(run_oci(world, ARGV("exec", world->id, "busybox", "ionice")), 0,
		      "best-effort: prio 6\n", NULL);
	snprintf(file, sizeof(file), "%s/process.json", world->dir);
	write_file(file,
		   "{\"args\": [\"sh\", \"-c\", \"busybox ionice; grep Cpus_allowed_list "
		   "/proc/self/status\"],"
		   " \"cwd\": \"/\", \"env\": [\"PATH=/bin:/usr/bin\"],"
		   " \"ioPriority\": {\"class\": \"IOPRIO_CLASS_IDLE\"},"
		   " \"execCPUAffinity\": {\"final\": \"0\"}}",
		   0644);
	expect_result(run_oci(world, ARGV("exec", "--process", file, world->id)), 0,
		      "idle\nCpus_allowed_list:\t0\n", NULL);
	force_delete();
}

/* ---- mounts --------------------------------------------------------------------------------- */

static void id_mapped_mount(void **state)
{
	char source[128], mounts[512];
	struct run_result r;

	(void)state;
	snprintf(source, sizeof(source), "%s/mapped", world->dir);
	mkdir(source, 0755);
	assert_int_equal(chown(source, 1234, 1235), 0);
	snprintf(mounts, sizeof(mounts),
		 "[{\"destination\": \"/data\", \"type\": \"bind\", \"source\": \"%s\","
		 " \"options\": [\"rbind\", \"ridmap\"],"
		 " \"uidMappings\": [{\"containerID\": 1234, \"hostID\": 7, \"size\": 1}],"
		 " \"gidMappings\": [{\"containerID\": 1235, \"hostID\": 8, \"size\": 1}]}]",
		 source);
	r = run_bundle(bundle(world, "idmap", "stat -c %u:%g /data", CHANGES("mounts", mounts)));
	if (strstr(r.err, "cannot be id-mapped by this kernel")) {
		print_message("# %s", r.err);
		run_result_done(&r);
		skip();
	}
	expect_result(r, 0, "7:8\n", NULL);
}

static void relative_destination(void **state)
{
	(void)state;
	expect_result(
		run_bundle(bundle(world, "relative",
				  "test -d /data/here && grep -c ' /data ' /proc/mounts",
				  CHANGES("mounts", "[{\"destination\": \"proc\", \"type\": "
						    "\"proc\", \"source\": \"proc\"},"
						    " {\"destination\": \"data\", \"type\": "
						    "\"tmpfs\", \"source\": \"x\"},"
						    " {\"destination\": \"data/here\", \"type\": "
						    "\"tmpfs\", \"source\": \"x\"}]"))),
		0, "1\n", NULL);
}

/* ---- seccomp notifications ------------------------------------------------------------------ */

/* In a process of its own: checks the message, answers each mkdir with ENOMSG, ends with the container. */
static _Noreturn void be_agent(int listener)
{
	char text[16384];
	int fd = take_descriptor(listener, text, sizeof(text));
	struct json *doc = NULL;
	struct json_at top, state, at, fds, name;
	int64_t pid = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || json_parse(text, strlen(text), "state", &doc, NULL) < 0)
		_exit(10);
	top = json_top(doc);
	if (!json_member(&top, "fds", &fds) || json_array_len(&fds) != 1)
		_exit(11);
	name = json_array_at(&fds, 0);
	if (strcmp(json_peek_string(&name), "seccompFd") != 0)
		_exit(12);
	if (!json_member(&top, "metadata", &at) || strcmp(json_peek_string(&at), "any text") != 0)
		_exit(13);
	if (!json_member(&top, "pid", &at) || json_get_i64(&at, &pid, NULL) < 0 ||
	    kill((pid_t)pid, 0) < 0)
		_exit(14);
	if (!json_member(&top, "state", &state) || !json_member(&state, "id", &at) ||
	    strcmp(json_peek_string(&at), world->id) != 0)
		_exit(15);
	for (;;) {
		struct seccomp_notif req = {0};
		struct seccomp_notif_resp resp = {0};
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, 60000) <= 0 || (p.revents & POLLHUP))
			_exit(0);
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
			continue;
		resp.id = req.id;
		resp.error = -ENOMSG;
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	}
}

#define MKDIR "mkdir: can't create directory '/tmp/x': No message of desired type\n"

static void notifications(void **state)
{
	char filter[400];
	int listener = listen_at(socket_path);
	const char *dir;
	pid_t agents[2];

	(void)state;
	snprintf(filter, sizeof(filter),
		 "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"%s\","
		 " \"listenerMetadata\": \"any text\", \"syscalls\": [{\"names\": [\"mkdir\","
		 " \"mkdirat\"], \"action\": \"SCMP_ACT_NOTIFY\"}]}",
		 socket_path);
	dir = bundle(world, "notify", "mkdir /tmp/x 2>/dev/null; sleep 1000",
		     CHANGES("linux.seccomp", filter));
	for (int i = 0; i < 2; i++) {
		agents[i] = fork();
		if (agents[i] == 0)
			be_agent(listener);
	}
	in_the_background(dir);
	/* A further process has a filter, and so a message, of its own. */
	expect_result(
		run_oci(world, ARGV("exec", world->id, "sh", "-c", "mkdir /tmp/x 2>&1; true")), 0,
		MKDIR, NULL);
	force_delete();
	for (int i = 0; i < 2; i++)
		assert_int_equal(finish(agents[i], 60), 0);
	close(listener);
	unlink(socket_path);
	expect_error(run_bundle(dir), 1, "linux.seccomp.listenerPath|agent must listen");
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static void pidfds(void **state)
{
	const char *dir = bundle(world, "pidfd", "sleep 1000", NULL);
	int listener = listen_at(socket_path), fd;
	struct pollfd p = {.events = POLLIN};
	char text[64];

	(void)state;
	expect_result(run_oci(world, ARGV("create", "--pidfd-socket", socket_path, "--bundle", dir,
					  world->id)),
		      0, "", NULL);
	fd = take_descriptor(listener, text, sizeof(text));
	assert_true(fd >= 0);
	expect_result(run_oci(world, ARGV("start", world->id)), 0, "", NULL);
	expect_result(run_oci(world, ARGV("exec", "--detach", "--pidfd-socket", socket_path,
					  world->id, "true")),
		      0, "", NULL);
	p.fd = take_descriptor(listener, text, sizeof(text));
	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, 60000), 1); /* it ended */
	close(p.fd);
	/* The first is that of the container's own process. */
	assert_int_equal(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0), 0);
	expect_status(world, world->id, "stopped");
	close(fd);
	close(listener);
	unlink(socket_path);
	force_delete();
	expect_error(run_oci(world, ARGV("create", "--pidfd-socket", socket_path, "--bundle", dir,
					 world->id)),
		     1, "pidfd socket|No such file");
}

/* As a service manager passes them: descriptor 3, and an environment that names our process. */
static void sockets_to_listen_on(void **state)
{
	const char *dir = bundle(
		world, "listen",
		"echo $LISTEN_FDS $LISTEN_PID $$; cat <&3; test -e /proc/self/fd/4 || echo no more",
		NULL);
	char line[1200], file[128];

	(void)state;
	snprintf(file, sizeof(file), "%s/passed", world->dir);
	write_file(file, "passed\n", 0644);
	snprintf(line, sizeof(line),
		 "exec 3<%s; LISTEN_PID=$$ LISTEN_FDS=1 exec %s --root %s run --bundle %s %s", file,
		 world->oci, world->state, dir, world->id);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", line)}), 0,
		      "1 1 1\npassed\nno more\n", NULL);
	/* Meant for somebody else. */
	snprintf(line, sizeof(line),
		 "exec 3<%s; LISTEN_PID=1 LISTEN_FDS=1 exec %s --root %s run --bundle %s %s", file,
		 world->oci, world->state,
		 bundle(world, "listen",
			"echo \"<$LISTEN_FDS>\"; test -e /proc/self/fd/3 || echo none", NULL),
		 world->id);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", line)}), 0, "<>\nnone\n",
		      NULL);
}

/* ---- exec ----------------------------------------------------------------------------------- */

static void in_a_paused_container(void **state)
{
	int out = -1;
	char buf[256] = "";
	pid_t pid;

	(void)state;
	in_the_background(bundle(world, "paused", "sleep 1000", NULL));
	expect_result(run_oci(world, ARGV("pause", world->id)), 0, "", NULL);
	expect_error(run_oci(world, ARGV("exec", world->id, "true")), 1, "paused|resume");
	pid = start(oci_argv(world, ARGV("exec", "--ignore-paused", world->id, "echo", "thawed")),
		    false, &out);
	expect_result(run_oci(world, ARGV("resume", world->id)), 0, "", NULL);
	assert_true(read_until(out, "thawed", buf, sizeof(buf), 60));
	assert_int_equal(finish(pid, 60), 0);
	close(out);
	force_delete();
}

static void in_a_group_below(void **state)
{
	(void)state;
	in_the_background(bundle(world, "below", "sleep 1000", NULL));
	expect_error(run_oci(world, ARGV("exec", "--cgroup", "gone", world->id, "true")), 1,
		     "--cgroup 'gone'|below the container's own");
	expect_error(run_oci(world, ARGV("exec", "--cgroup", "../..", world->id, "true")), 1,
		     "--cgroup");
	expect_error(run_oci(world, ARGV("exec", "--cgroup", "memory:x", world->id, "true")), 1,
		     "memory:x|single controllers");
	force_delete();
}

/* A group below the container's own in each hierarchy that it has one in; how many. */
static size_t make_groups_below(const char *name)
{
	char *pid = oci_state(world, world->id, "pid"), path[64], *text, *save = NULL;
	size_t made = 0;

	snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
	text = read_file(path);
	assert_non_null(text);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':') + 1, *group = strchr(names, ':'), below[512];
		struct stat st;

		*group++ = '\0';
		/* On v1 it need not be in each; a new one of cpuset has no CPUs. */
		if (!strstr(group, world->id) || strstr(names, "cpuset"))
			continue;
		if (strncmp(names, "name=", 5) == 0)
			names += 5;
		snprintf(below, sizeof(below), "/sys/fs/cgroup/%s%s", *names ? names : "unified",
			 group);
		if (!*names && stat(below, &st) < 0)
			snprintf(below, sizeof(below), "/sys/fs/cgroup%s", group);
		if (stat(below, &st) < 0)
			continue;
		strcat(below, name);
		assert_int_equal(mkdir(below, 0755), 0);
		made++;
	}
	free(text);
	free(pid);
	return made;
}

static void in_a_group_below_that_exists(void **state)
{
	char expected[64];
	size_t made;

	(void)state;
	in_the_background(bundle(world, "within", "sleep 1000", NULL));
	made = make_groups_below("/part");
	assert_true(made > 0);
	/* Seen from the container's own group, which is the root of its namespace. */
	snprintf(expected, sizeof(expected), "%zu\n", made);
	expect_result(run_oci(world, ARGV("exec", "--cgroup", "part", world->id, "grep", "-c",
					  ":/part$", "/proc/self/cgroup")),
		      0, expected, NULL);
	expect_result(run_oci(world, ARGV("exec", world->id, "grep", "-c", ":/part$",
					  "/proc/self/cgroup")),
		      1, "0\n", NULL);
	force_delete();
}

/* ---- spec ----------------------------------------------------------------------------------- */

static void rootless_spec(void **state)
{
	struct run_result r = run_oci(world, ARGV("spec", "--rootless", "--print"));
	struct json *doc = NULL;
	struct json_at top, lin, maps;

	(void)state;
	assert_int_equal(r.code, 0);
	assert_int_equal(json_parse(r.out, r.out_len, "spec", &doc, NULL), 0);
	top = json_top(doc);
	assert_true(json_member(&top, "linux", &lin));
	assert_true(json_member(&lin, "uidMappings", &maps));
	assert_non_null(strstr(r.out, "\"user\""));
	assert_null(strstr(r.out, "\"network\""));
	assert_null(strstr(r.out, "gid=5"));
	json_free(doc);
	run_result_done(&r);
}

/* A failed test leaves its container, which must not fail the next. */
static int clean(void **state)
{
	struct run_result r = run_oci(world, ARGV("delete", "--force", world->id));

	(void)state;
	run_result_done(&r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(how_the_first_process_is_run, clean),
		cmocka_unit_test_teardown(clocks, clean),
		cmocka_unit_test_teardown(how_a_further_process_is_run, clean),
		cmocka_unit_test_teardown(id_mapped_mount, clean),
		cmocka_unit_test_teardown(relative_destination, clean),
		cmocka_unit_test_teardown(notifications, clean),
		cmocka_unit_test_teardown(pidfds, clean),
		cmocka_unit_test_teardown(sockets_to_listen_on, clean),
		cmocka_unit_test_teardown(in_a_paused_container, clean),
		cmocka_unit_test_teardown(in_a_group_below, clean),
		cmocka_unit_test_teardown(in_a_group_below_that_exists, clean),
		cmocka_unit_test_teardown(rootless_spec, clean),
	};
	void *state;
	int failed;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	snprintf(socket_path, sizeof(socket_path), "%s/agent.sock", world->dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
