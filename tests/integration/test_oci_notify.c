/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NOTIFY_SOCKET: a service manager, played by this test, hears of a container what a service may say, from `start`, from a
 * detached `run` and from one that stays; and a container that says more than it may, or lies, is not heard.
 */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct world *world;
static char address[128];
static int manager = -1;

/* The end of the service's speaker closes with it: BARRIER=1 is answered at once. */
static bool receive(char *text, size_t size, int timeout_msec)
{
	char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = {text, size - 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = manager, .events = POLLIN};
	ssize_t n = poll(&p, 1, timeout_msec) == 1
			    ? recvmsg(manager, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)
			    : -1;

	text[n > 0 ? n : 0] = '\0';
	for (struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL; c; c = CMSG_NXTHDR(&msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		/* None but that of our own program's barrier. */
		assert_string_equal(text, "BARRIER=1");
		for (size_t i = 0; i < count; i++)
			close(((int *)CMSG_DATA(c))[i]);
	}
	return n >= 0;
}

static void expect_heard(const char *expected)
{
	char text[8192];

	assert_true(receive(text, sizeof(text), 60000));
	assert_string_equal(text, expected);
}

static void expect_silence(void)
{
	char text[8192];

	if (receive(text, sizeof(text), 0))
		fail_msg("heard '%s'", text);
}

/* "VARIABLE=value program words…": by a shell, whose exec keeps the process. */
static const char *const *with_manager(const char *const *argv)
{
	static const char *words[24];
	static char variable[160];
	size_t n = 0;

	snprintf(variable, sizeof(variable), "NOTIFY_SOCKET=%s", address);
	words[n++] = "/usr/bin/env";
	words[n++] = variable;
	for (; *argv && n < 23; argv++)
		words[n++] = *argv;
	words[n] = NULL;
	return words;
}

static struct run_result notified(const char *const *words)
{
	return run(&(struct run_spec){.argv = with_manager(oci_argv(world, words)),
				      .detaching = true});
}

/* How a container without libsystemd speaks: a helper of the tests would do, too, but busybox has no datagram client for Unix
 * sockets. So the speaker is our own helper, bound into the container. */
static char speaker[512];

static const char *speaking(const char *name, const char *command, const char *const *more)
{
	char mounts[2048];
	const char *changes[16] = {"mounts", mounts};
	size_t n = 2;

	snprintf(mounts, sizeof(mounts),
		 "[{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"}, "
		 "{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", "
		 "\"options\": [\"mode=755\"]}, {\"destination\": \"/say\", \"type\": \"bind\", "
		 "\"source\": \"%s\", \"options\": [\"bind\", \"ro\"]}]",
		 speaker);
	for (; more && *more && n < 15; more++)
		changes[n++] = *more;
	changes[n] = NULL;
	return bundle(world, name, command, changes);
}

static void expect_main(const char *rest)
{
	char *pid = oci_state(world, world->id, "pid"), text[256];

	snprintf(text, sizeof(text), "MAINPID=%s\n%s", pid, rest);
	free(pid);
	expect_heard(text);
}

static void start_waits_for_ready(void **state)
{
	const char *dir = speaking("start",
				   "echo $NOTIFY_SOCKET >/where; /say 'STATUS=coming' 'READY=1'; "
				   "sleep 1000",
				   NULL);
	char there[160], *text;
	pid_t pid;
	int fd;

	(void)state;
	expect_result(notified(ARGV("create", "--bundle", dir, world->id)), 0, "", "");
	expect_silence();
	pid = start(with_manager(oci_argv(world, ARGV("start", world->id))), false, &fd);
	expect_heard("STATUS=coming");
	expect_status(world, world->id, "running");
	expect_main("READY=1");
	expect_heard("BARRIER=1");
	assert_int_equal(finish(pid, 60), 0);
	close(fd);
	snprintf(there, sizeof(there), "%s/where", world->rootfs);
	text = read_file(there);
	assert_string_equal(text, "/run/notify/notify.sock\n");
	free(text);
	unlink(there);
	expect_silence();
}

static void detached_run(void **state)
{
	(void)state;
	expect_result(
		notified(ARGV("run", "--detach", "--bundle",
			      speaking("detached", "/say READY=1; sleep 1000", NULL), world->id)),
		0, "", "");
	expect_main("READY=1");
	expect_heard("BARRIER=1");
	expect_silence();
}

/* The manager's process is ours already, and hears all of its life. */
static void run_that_stays(void **state)
{
	(void)state;
	expect_result(
		notified(ARGV("run", "--bundle",
			      speaking("stays",
				       "/say READY=1 STATUS=one WATCHDOG=1 STOPPING=1; exit 3",
				       NULL),
			      world->id)),
		3, "", "");
	expect_heard("READY=1");
	expect_heard("STATUS=one");
	expect_heard("WATCHDOG=1");
	expect_heard("STOPPING=1");
	expect_silence();
}

/* Other fields, other processes, descriptors, floods of bytes: nothing of it. */
static void a_container_that_lies(void **state)
{
	(void)state;
	expect_result(
		notified(
			ARGV("run", "--bundle",
			     speaking("lies",
				      "/say MAINPID=1 FDSTORE=1 -fd BARRIER=1 -fd STATUS=passed "
				      "-long X -long STATUS= NOTIFYACCESS=all "
				      "\"$(printf 'MAINPID=1\\nREADY=1\\nWATCHDOG_USEC=0')\"; "
				      "ln -s /etc/passwd /run/notify/x 2>/dev/null || echo closed; "
				      "rm /run/notify/notify.sock 2>/dev/null || echo kept",
				      NULL),
			     world->id)),
		0, "closed\nkept\n", "");
	expect_heard("STATUS=passed");
	expect_heard("READY=1");
	expect_silence();
}

static void an_end_without_a_word(void **state)
{
	(void)state;
	expect_result(notified(ARGV("run", "--detach", "--bundle", speaking("mute", "exit 0", NULL),
				    world->id)),
		      0, "", "");
	expect_silence();
	expect_status(world, world->id, "stopped");
}

/* Another user than root, in a user namespace whose root may not walk to the state directory. */
static void in_a_user_namespace(void **state)
{
	static const char maps[] = "[{\"containerID\": 0, \"hostID\": 200000, \"size\": 1000}]";

	(void)state;
	assert_int_equal(chown(world->rootfs, 200000, 200000), 0);
	expect_result(
		notified(ARGV("run", "--bundle",
			      speaking("userns", "/say READY=1",
				       CHANGES("linux.namespaces",
					       "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, "
					       "{\"type\": \"user\"}, {\"type\": \"network\"}, "
					       "{\"type\": \"ipc\"}, {\"type\": \"uts\"}]",
					       "linux.uidMappings", maps, "linux.gidMappings", maps,
					       "process.user", "{\"uid\": 7, \"gid\": 7}")),
			      world->id)),
		0, "", "");
	expect_heard("READY=1");
	expect_silence();
	assert_int_equal(chown(world->rootfs, 0, 0), 0);
}

/* Nobody asked, and nobody listens: as always. */
static void without_a_manager(void **state)
{
	const char *dir = speaking(
		"none", "echo \"<$NOTIFY_SOCKET>\"; test -e /run/notify || echo none", NULL);

	(void)state;
	expect_result(run_oci(world, ARGV("run", "--bundle", dir, world->id)), 0, "<>\n", NULL);
	/* Created with one, started without: the service's word is lost, its work is not. */
	dir = speaking("lost", "/say READY=1 || echo unheard >/heard; sleep 1000", NULL);
	expect_result(notified(ARGV("create", "--bundle", dir, world->id)), 0, "", "");
	expect_result(run_oci(world, ARGV("start", world->id)), 0, "", "");
	expect_silence();
}

static void bad_addresses(void **state)
{
	static const struct {
		const char *address, *words;
	} rows[] = {
		{"NOTIFY_SOCKET=relative", "NOTIFY_SOCKET|'relative'|absolute path"},
		{"NOTIFY_SOCKET=vsock:2:1234", "NOTIFY_SOCKET|'vsock:2:1234'"},
		{"NOTIFY_SOCKET=/no/such/socket", "'/no/such/socket'|No such file"},
	};
	const char *dir = speaking("bad", "true", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *const *argv = oci_argv(world, ARGV("run", "--bundle", dir, world->id));
		const char *words[24] = {"/usr/bin/env", rows[i].address};

		for (size_t k = 0; argv[k]; k++)
			words[2 + k] = argv[k];
		expect_error(run(&(struct run_spec){.argv = words}), 1, rows[i].words);
		expect_ids(world, NO_WORDS);
	}
	expect_error(run(&(struct run_spec){.argv = with_manager(oci_argv(
						    world, ARGV("--isolation", "vm", "run",
								"--bundle", dir, world->id)))}),
		     1, "NOTIFY_SOCKET|a guest has no socket of the host|unset");
}

/* A failed test leaves its container, which must not fail the next; nor what it said. */
static int clean(void **state)
{
	struct run_result r = run_oci(world, ARGV("delete", "--force", world->id));
	char text[64];

	(void)state;
	run_result_done(&r);
	while (recv(manager, text, sizeof(text), MSG_DONTWAIT) >= 0)
		;
	return 0;
}

static void listen_as_manager(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(address, sizeof(address), "%s/manager.sock", world->dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/manager.sock", world->dir);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&a, sizeof(a)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(start_waits_for_ready, clean),
		cmocka_unit_test_teardown(detached_run, clean),
		cmocka_unit_test_teardown(run_that_stays, clean),
		cmocka_unit_test_teardown(a_container_that_lies, clean),
		cmocka_unit_test_teardown(an_end_without_a_word, clean),
		cmocka_unit_test_teardown(in_a_user_namespace, clean),
		cmocka_unit_test_teardown(without_a_manager, clean),
		cmocka_unit_test_teardown(bad_addresses, clean),
	};
	void *state;
	int failed;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	build_path("tests/helpers/say", speaker, sizeof(speaker));
	listen_as_manager();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	close(manager);
	unlink(address);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
