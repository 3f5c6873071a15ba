/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ordinary fences of a container, each by what gets through when it is missing: namespaces, ids and groups, devices,
 * limits. What is special about one of the holes that container runtimes had is in test_security.c and
 * test_security_images.c.
 *
 * TEST_ONLY=<text> runs only the tests whose name contains it.
 */
#include "hostile.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct world *world;

/* ---- namespaces --------------------------------------------------------------------------------- */

/* By default none is the host's; the user namespace is, for root. */
static void namespaces_of_its_own(void **state)
{
	static const char *const kinds[] = {"mnt", "pid", "ipc", "uts", "net", "cgroup"};
	const char *dir = bundle(
		world, "ns", "for n in /proc/self/ns/*; do readlink $n; done",
		CHANGES("linux.namespaces",
			"[{\"type\": \"mount\"}, {\"type\": \"pid\"}, {\"type\": \"ipc\"}, "
			"{\"type\": \"uts\"}, {\"type\": \"network\"}, {\"type\": \"cgroup\"}]"));

	(void)state;
	for (int oci = 0; oci < 2; oci++) {
		struct run_result r =
			oci ? bundle_run(world, dir)
			    : run_insula(world,
					 ARGV("run", "--rm", "--rootfs", world->rootfs, "sh", "-c",
					      "for n in /proc/self/ns/*; do readlink $n; done"));

		assert_int_equal(r.code, 0);
		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
			char own[64] = "";

			assert_true(readlink(text("/proc/self/ns/%s", kinds[i]), own,
					     sizeof(own) - 1) > 0);
			assert_non_null(strstr(r.out, text("%s:[", kinds[i])));
			if (strstr(r.out, own))
				fail_msg("%s of the host: %s", kinds[i], r.out);
		}
		run_result_done(&r);
	}
}

/* ---- the root directory ------------------------------------------------------------------------- */

/* A rescue system, an initramfs: the host itself runs in a chroot, and the root of the container's mount namespace is not the
 * container's root. Whoever comes in is in the container all the same. */
static void host_in_a_chroot(void **state)
{
	static const char script[] = "ls -d /data /usr /boot 2>/dev/null; cat /etc/plain";
	const char *place = text("%s/host-root", world->dir);
	const char *const *how = ARGV("chroot", place);
	const char *dir = bundle(world, "chroot", text("%s; echo ready; sleep 1000", script), NULL);
	char buf[4096] = "";
	int fd;
	pid_t pid;

	(void)state;
	make_tree(place);
	pid = start(launched(how, oci_argv(world, ARGV("run", "--bundle", dir, world->id))), false,
		    &fd);
	if (!read_until(fd, "ready\n", buf, sizeof(buf), 60) ||
	    strcmp(buf, "/data\njust text\nready\n") != 0)
		fail_msg("%s", buf);
	expect_result(run(&(struct run_spec){
			      .argv = launched(how, oci_argv(world, ARGV("exec", world->id, "sh",
									 "-c", script)))}),
		      0, "/data\njust text\n", "");
	bundle_end(world, pid, fd);
	assert_int_equal(rmdir(place), 0);
}

/* ---- ids and groups ------------------------------------------------------------------------------ */

#define IN_USERNS                                                                                  \
	"linux.uidMappings", "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]",        \
		"linux.gidMappings",                                                               \
		"[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]", "linux.namespaces", \
		"[{\"type\": \"user\"}, {\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": " \
		"\"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}]"

static struct run_result with_group(const char *const *words)
{
	return run(&(struct run_spec){
		.argv = launched(ARGV("groups", "4242"), oci_argv(world, words))});
}

/* A group of whoever starts a container, or comes into it, opens none of the host's files to it. */
static void groups_of_the_caller(void **state)
{
	static const char script[] = "grep ^Groups /proc/self/status; echo ready; sleep 1000";
	static const char user[] = "{\"uid\": 1000, \"gid\": 1000}";
	const char *dirs[] = {
		bundle(world, "groups", script, CHANGES("process.user", user)),
		bundle(world, "groups-userns", script, CHANGES("process.user", user, IN_USERNS)),
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char buf[4096] = "";
		int fd;
		pid_t pid = start(
			launched(ARGV("groups", "4242"),
				 oci_argv(world, ARGV("run", "--bundle", dirs[i], world->id))),
			false, &fd);

		assert_true(read_until(fd, "ready\n", buf, sizeof(buf), 60));
		assert_string_equal(buf, "Groups:\t \nready\n");
		expect_result(
			with_group(ARGV("exec", world->id, "grep", "^Groups", "/proc/self/status")),
			0, "Groups:\t \n", "");
		bundle_end(world, pid, fd);
	}
}

/* ---- descriptors ---------------------------------------------------------------------------------- */

/* More descriptors to be preserved than were passed: whatever has such a number is ours (a directory of the host's
 * control groups, say, and "../../.." from there is the host), and stays outside. */
static void descriptors_that_nobody_passed(void **state)
{
	const char *dir =
		bundle(world, "passed", "", CHANGES("process.args", "[\"probe\", \"fds\"]"));
	int fd;
	pid_t pid;

	(void)state;
	for (int n = 1; n < 24; n++)
		expect_error(run_oci(world, ARGV("run", "--preserve-fds", text("%d", n), "--bundle",
						 dir, world->id)),
			     1, "descriptor|to be preserved");
	pid = bundle_start(world, bundle(world, "passed", "echo ready; sleep 1000", NULL), "ready",
			   &fd);
	for (int n = 1; n < 24; n++)
		expect_error(run_oci(world, ARGV("exec", "--preserve-fds", text("%d", n), world->id,
						 "probe", "fds")),
			     1, "descriptor|to be preserved");
	bundle_end(world, pid, fd);
}

/* ---- keys --------------------------------------------------------------------------------------- */

/* Without a filter that forbids the calls: the keyring itself is another. */
static void keys_of_the_caller(void **state)
{
	static const char missing[] = "Required key not available\n", name[] = "insula-test-key";
	const char *const *how = ARGV("key", name);
	const char *root = image(world, "keys"), *dir;
	struct run_result r;
	int fd;
	pid_t pid;

	(void)state;
	/* Found by whoever is no container, where the kernel has keys. */
	r = run(&(struct run_spec){
		.argv = launched(how, ARGV(text("%s/bin/hostile", root), "key", name))});
	if (strcmp(r.out, "found\n") != 0) {
		print_message("# skip: no keys here: %s%s", r.out, r.err);
		run_result_done(&r);
		skip();
	}
	run_result_done(&r);
	dir = bundle(world, "keys", text("hostile key %s", name),
		     CHANGES("root.path", quoted(root)));
	expect_result(run(&(struct run_spec){
			      .argv = launched(how, oci_argv(world, ARGV("run", "--bundle", dir,
									 world->id)))}),
		      0, missing, "");
	pid = bundle_start(
		world,
		bundle(world, "keys", "echo ready; sleep 1000", CHANGES("root.path", quoted(root))),
		"ready", &fd);
	expect_result(
		run(&(struct run_spec){
			.argv = launched(how, oci_argv(world, ARGV("exec", world->id, "hostile",
								   "key", name)))}),
		0, missing, "");
	bundle_end(world, pid, fd);
}

/* ---- devices ------------------------------------------------------------------------------------- */

/* Who may make nodes opens none but those that are allowed. 10:229 is FUSE's, which anybody may open where no rule
 * says otherwise; without its module it would be another error than the rule's. */
static void device_rules(void **state)
{
	static const char script[] =
		"for n in 10:229 1:1 1:11; do rm -f /tmp/n; "
		"busybox mknod /tmp/n c ${n%:*} ${n#*:}; "
		"(: < /tmp/n) 2>&1 | sed 's/.*: //'; done; "
		"busybox mknod /tmp/null c 1 3; echo x > /tmp/null && echo null";
	static const char refused[] = "Operation not permitted\nOperation not permitted\n"
				      "Operation not permitted\nnull\n";
	const char *root = image(world, "devices");
	const char *dir;

	(void)state;
	assert_int_equal(symlink("busybox", text("%s/bin/sed", root)), 0);
	dir = bundle(world, "devices", script,
		     CHANGES("root.path", quoted(root),
			     CAP_SETS("\"CAP_MKNOD\", \"CAP_SYS_RAWIO\", \"CAP_SYSLOG\", "
				      "\"CAP_DAC_OVERRIDE\""),
			     "linux.resources",
			     "{\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]}"));
	expect_result(bundle_run(world, dir), 0, refused, "");
	expect_result(run_insula(world, ARGV("run", "--rm", "--cap-add", "SYS_RAWIO", "--rootfs",
					     root, "sh", "-c", script)),
		      0, refused, "");
}

/* ---- terminals ------------------------------------------------------------------------------------ */

#define TTY_SCRIPT "if (: < /dev/tty) 2>/dev/null; then echo reached; else echo apart; fi"

static void expect_apart(const char *const *argv)
{
	char buf[4096] = "";
	int fd;
	pid_t pid = start(argv, true, &fd);
	bool said = read_until(fd, "apart", buf, sizeof(buf), 60);

	finish(pid, 60);
	close(fd);
	if (!said)
		fail_msg("%s", buf);
}

/* A standard stream may be the caller's terminal, but it is not the controlling one: /dev/tty leads nowhere, and
 * nothing is pushed into it or stopped by it. */
static void terminal_of_the_caller(void **state)
{
	const char *dir = bundle(world, "tty", TTY_SCRIPT, NULL);
	int fd;
	pid_t pid;

	(void)state;
	expect_apart(oci_argv(world, ARGV("run", "--bundle", dir, world->id)));
	expect_apart(insula_argv(world, ARGV("run", "--rm", "-i", "--rootfs", world->rootfs, "sh",
					     "-c", TTY_SCRIPT)));
	pid = bundle_start(world, bundle(world, "tty", "echo ready; sleep 1000", NULL), "ready",
			   &fd);
	expect_apart(oci_argv(world, ARGV("exec", world->id, "sh", "-c", TTY_SCRIPT)));
	bundle_end(world, pid, fd);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

static const struct hostile_test tests[] = {
	{"namespaces of its own", namespaces_of_its_own},
	{"a host in a chroot", host_in_a_chroot},
	{"groups of the caller", groups_of_the_caller},
	{"descriptors that nobody passed", descriptors_that_nobody_passed},
	{"keys of the caller", keys_of_the_caller},
	{"device rules", device_rules},
	{"terminal of the caller", terminal_of_the_caller},
};

int main(void)
{
	return hostile_main("fences", tests, sizeof(tests) / sizeof(*tests), &world);
}
