/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What container runtimes were broken by, where workloads, configurations and callers reach for the host while a container
 * is made or somebody comes in later. One test or more for each known class, named by its first CVE where there is one; the
 * built programs are run as an engine would run them. What lies in images and on descriptors is in
 * test_security_images.c; what `insula run` gives by default, and microVMs, in test_security_defaults.c.
 *
 * TEST_ONLY=<text> runs only the tests whose name contains it.
 */
#include "hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world *world;

/* ---- CVE-2019-5736: the runtime's own program ------------------------------------------------- */

/* The world with a copy of insula-oci, so that a test that fails spoils no build. */
static struct world with_copy(void)
{
	struct world w = *world;

	snprintf(w.oci, sizeof(w.oci), "%s/oci-copy", world->dir);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/cp", world->oci, w.oci)}), 0, "",
		      NULL);
	return w;
}

static void expect_same_program(const struct world *w)
{
	expect_result(run(&(struct run_spec){.argv = ARGV("/usr/bin/cmp", world->oci, w->oci)}), 0,
		      "", "");
}

/* Exec `command` until the watching container has told `word`; all it told is in buf. Who watches sees us for
 * a fraction of a millisecond each time, so it may take many; mostly it takes a few. */
#define EXECS_MAX 3000
static void exec_until(const struct world *w, int fd, const char *command, const char *word,
		       char *buf, size_t size)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < EXECS_MAX && !strstr(buf, word) && !strstr(buf, "wrote"); i++) {
		struct run_result r = run_oci(w, ARGV("exec", w->id, command));
		ssize_t n = read(fd, buf + strlen(buf), size - strlen(buf) - 1);

		buf[strlen(buf) + (n > 0 ? (size_t)n : 0)] = '\0';
		run_result_done(&r);
	}
	if (!strstr(buf, "wrote"))
		(void)read_until(fd, word, buf, size, 5);
}

#define TRACER "[\"CAP_KILL\", \"CAP_DAC_OVERRIDE\", \"CAP_SYS_PTRACE\"]"
#define TRACER_SETS \
	"{\"bounding\": " TRACER ", \"permitted\": " TRACER ", \"effective\": " TRACER "}"

/* Detached: a program that runs cannot be written to anyway, so nobody but who comes in may run it. */
static int start_watch(const struct world *w, const char *const *changes, char *buf, size_t size)
{
	const char *root = text("%s/image-watch", w->dir);
	const char *dir = bundle(w, "watch", "exec hostile watch", changes);
	int fd;

	write_file(text("%s/bin/trap", root), "#!/proc/self/exe\n", 0755);
	pid_t pid = start(oci_argv(w, ARGV("run", "--detach", "--bundle", dir, w->id)), false, &fd);

	if (!read_until(fd, "watching\n", buf, size, 30))
		fail_msg("not ready: %s", buf);
	assert_int_equal(finish(pid, 30), 0);
	return fd;
}

static void end_watch(const struct world *w, int fd)
{
	expect_result(run_oci(world, ARGV("delete", "--force", w->id)), 0, "", NULL);
	close(fd);
	expect_same_program(w);
}

static void expect_denied(const char *const *changes)
{
	const struct world w = with_copy();
	char buf[65536] = "";
	int fd = start_watch(&w, changes, buf, sizeof(buf));

	exec_until(&w, fd, "true", "denied", buf, sizeof(buf));
	if (!strstr(buf, "denied") || strstr(buf, "grabbed"))
		fail_msg("expected to be denied and to grab nothing: %s", buf);
	end_watch(&w, fd);
}

/* Who comes in cannot be looked into by a workload with the usual privileges. */
static void who_comes_in_is_not_seen(void **state)
{
	(void)state;
	expect_denied(CHANGES("root.path", quoted(image(world, "watch")), "process.capabilities",
			      "{\"bounding\": [\"CAP_KILL\", \"CAP_DAC_OVERRIDE\"]}"));
}

/* Nor by one with every privilege over its own user namespace, in which who comes in has no more. */
static void who_comes_into_a_user_namespace_is_not_seen(void **state)
{
	static const char map[] = "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]";

	(void)state;
	expect_denied(CHANGES(
		"root.path", quoted(image(world, "watch")), "process.capabilities", TRACER_SETS,
		"linux.uidMappings", map, "linux.gidMappings", map, "linux.namespaces",
		"[{\"type\": \"user\"}, {\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": "
		"\"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}]"));
}

/* One that may trace everything gets hold of a sealed copy. */
static void the_program_cannot_be_overwritten(void **state)
{
	const struct world w = with_copy();
	char buf[65536] = "";
	int fd = start_watch(&w,
			     CHANGES("root.path", quoted(image(&w, "watch")),
				     "process.capabilities", TRACER_SETS),
			     buf, sizeof(buf));

	(void)state;
	exec_until(&w, fd, "true", "refused", buf, sizeof(buf));
	for (int i = 0; i < 5; i++) {
		struct run_result r = run_oci(&w, ARGV("exec", w.id, "/bin/trap"));

		run_result_done(&r);
	}
	if (!strstr(buf, "grabbed") || !strstr(buf, "refused") || strstr(buf, "wrote"))
		fail_msg("expected to grab it and to be refused: %s", buf);
	end_watch(&w, fd);
}

/* What a container's first process is while it waits for its start, and nothing of it is the program on disk. */
static void who_waits_has_no_link_to_the_program(void **state)
{
	const struct world w = with_copy();
	const char *dir = bundle(&w, "waits", "true", NULL);
	char link[256] = "", maps[65536];
	int fd;

	(void)state;
	expect_result(run_oci(&w, ARGV("create", "--bundle", dir, w.id)), 0, "", "");
	char *pid = oci_state(&w, w.id, "pid");

	if (readlink(text("/proc/%s/exe", pid), link, sizeof(link) - 1) < 0 ||
	    strncmp(link, "/memfd:", 7) != 0)
		fail_msg("the link is to '%s'", link);
	fd = open(text("/proc/%s/maps", pid), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (ssize_t n; (n = read(fd, maps, sizeof(maps) - 1)) > 0;) {
		maps[n] = '\0';
		assert_null(strstr(maps, "oci-copy"));
	}
	close(fd);
	free(pid);
	expect_result(run_oci(&w, ARGV("delete", "--force", w.id)), 0, "", NULL);
}

static void entrypoint_is_our_own_program(void **state)
{
	const struct world w = with_copy();
	const char *root = image(&w, "entry");
	const char *dir =
		bundle(&w, "entry", "",
		       CHANGES("root.path", quoted(root), "process.args", "[\"/bin/trap\"]"));

	(void)state;
	write_file(text("%s/bin/trap", root), "#!/proc/self/exe\n", 0755);
	struct run_result r = run_oci(&w, ARGV("run", "--bundle", dir, w.id));

	/* It is a program like any other, that does not know the command. */
	assert_int_equal(r.code, 1);
	assert_string_equal(r.out, "");
	run_result_done(&r);
	expect_same_program(&w);
	expect_ids(world, NO_WORDS);
}

/* ---- CVE-2019-19921, CVE-2025-52881: writes to a procfs that is none --------------------------- */

static const char *fake_proc(void)
{
	const char *dir = text("%s/fake-proc", world->dir);
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV(
			"/bin/sh", "-ec",
			"rm -rf \"$0\"; mkdir -p \"$0/sys/net/ipv4\" \"$0/self/attr/apparmor\";"
			"for f in sys/net/ipv4/ip_unprivileged_port_start self/attr/exec "
			"self/attr/current self/attr/apparmor/exec; do : > \"$0/$f\"; done;"
			"ln -s self \"$0/thread-self\"; ln -s self \"$0/1\"",
			dir)});

	assert_int_equal(r.code, 0);
	run_result_done(&r);
	return dir;
}

static const char *mounts_with_fake_proc(const char *fake)
{
	return text("[%s, %s, {\"destination\": \"/proc\", \"type\": \"bind\", \"source\": \"%s\", "
		    "\"options\": [\"rbind\"]}]",
		    DEV, MOUNT("/data", "proc", "proc", ""), fake);
}

static void expect_nothing_written(const char *fake)
{
	struct run_result r = run(&(struct run_spec){
		.argv = ARGV("/usr/bin/find", fake, "-type", "f", "-size", "+0")});

	expect_result(r, 0, "", "");
}

/* A sysctl is really set, whatever the container's /proc is. */
static void sysctl_is_not_diverted(void **state)
{
	const char *fake = fake_proc();
	const char *dir =
		bundle(world, "sysctl", "cat /data/sys/net/ipv4/ip_unprivileged_port_start",
		       CHANGES("mounts", mounts_with_fake_proc(fake), NO_MASKS, "linux.sysctl",
			       "{\"net.ipv4.ip_unprivileged_port_start\": \"77\"}"));

	(void)state;
	expect_result(bundle_run(world, dir), 0, "77\n", "");
	expect_nothing_written(fake);
}

/* A label that the kernel did not take is never believed to be set. */
static void labels_are_not_diverted(void **state)
{
	static const char *const fields[][2] = {{"process.selinuxLabel", "SELinux label"},
						{"process.apparmorProfile", "AppArmor profile"}};
	const char *fake = fake_proc();
	const char *mounts[] = {
		mounts_with_fake_proc(fake),
		"[" PROC ", " MOUNT("/proc/self/attr", "tmpfs", "tmpfs", "") "]",
		"[" PROC ", " MOUNT("/proc/1/attr", "tmpfs", "tmpfs", "") "]",
	};

	(void)state;
	if (access("/sys/kernel/security/apparmor", F_OK) == 0 ||
	    access("/sys/fs/selinux/enforce", F_OK) == 0)
		skip();
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 3; k++) {
			const char *dir =
				bundle(world, "label", "echo started",
				       CHANGES("mounts", mounts[k], NO_MASKS, fields[i][0],
					       "\"system_u:system_r:no_t\""));

			expect_refusal(world, dir, k == 0 ? fields[i][1] : "");
			expect_nothing_written(fake);
		}
}

static void labels_of_an_exec_are_not_diverted(void **state)
{
	static const char *const flags[][2] = {{"--process-label", "SELinux label"},
					       {"--apparmor", "AppArmor profile"}};
	const char *fake = fake_proc();
	int fd;
	pid_t pid = bundle_start(world,
				 bundle(world, "label-exec", "echo ready; sleep 1000",
					CHANGES("mounts", mounts_with_fake_proc(fake), NO_MASKS)),
				 "ready", &fd);

	(void)state;
	if (access("/sys/kernel/security/apparmor", F_OK) != 0 &&
	    access("/sys/fs/selinux/enforce", F_OK) != 0)
		for (size_t i = 0; i < 2; i++)
			expect_error(run_oci(world, ARGV("exec", flags[i][0], "no_such", world->id,
							 "true")),
				     1, flags[i][1]);
	expect_nothing_written(fake);
	bundle_end(world, pid, fd);
}

/* ---- CVE-2023-27561: /proc or /sys is a symlink in the image -------------------------------------- */

static void proc_or_sys_is_a_link(void **state)
{
	const char *out = outside(world);
	const struct {
		const char *name, *target, *mounts;
	} rows[] = {
		{"proc", "/tmp", "[" PROC "]"},
		{"proc", "tmp", "[" PROC "]"},
		{"proc", text("%s/dir", out), "[" PROC "]"},
		{"proc", "/nowhere", "[" PROC "]"},
		{"sys", "/tmp", "[" PROC ", " MOUNT("/sys", "sysfs", "sysfs", "") "]"},
		{"sys", text("%s/dir", out), "[" PROC ", " MOUNT("/sys", "sysfs", "sysfs", "") "]"},
		{"var", "/tmp", "[" MOUNT("/var/proc", "proc", "proc", "") "]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *root = image(world, "link");
		const char *path = text("%s/%s", root, rows[i].name);

		remove_tree(path);
		assert_int_equal(symlink(rows[i].target, path), 0);
		expect_refusal(world,
			       bundle(world, "link", "echo started",
				      CHANGES("root.path", quoted(root), "mounts", rows[i].mounts,
					      NO_MASKS)),
			       text("'%s'|not a directory|symlink", rows[i].name));
	}
	expect_outside_untouched(world);
}

/* ---- CVE-2021-30465, CVE-2024-45310: exchanged while we mount ---------------------------------------- */

/* Exchanges "a" and "b" in a directory until it is killed. */
static pid_t exchange_for_ever(const char *dir)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	/* A test that fails ends without us. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (chdir(dir) < 0)
		_exit(1);
	for (;;)
		if (renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) < 0)
			_exit(1);
}

/* `a` is a directory at one moment, at the next one a link to a directory of the host. A container comes into being or
 * not; nothing of it ever lands outside. */
static void race(const char *target)
{
	const char *root = image(world, "race"), *mounts;

	assert_int_equal(mkdir(text("%s/a", root), 0755), 0);
	assert_int_equal(symlink(target, text("%s/b", root)), 0);
	mounts = text("[" PROC ", %s, %s, {\"destination\": \"/a/made.file\", \"type\": \"bind\", "
		      "\"source\": \"/etc/hostname\", \"options\": [\"bind\"]}]",
		      MOUNT("/a/made/deep", "tmpfs", "tmpfs", ""),
		      MOUNT("/a/dir", "tmpfs", "tmpfs", "\"tmpcopyup\""));

	const char *dir = bundle(
		world, "race", "echo x > /a/dir/written; echo started",
		CHANGES("root.path", quoted(root), "mounts", mounts, NO_MASKS, "linux.devices",
			"[{\"path\": \"/a/node\", \"type\": \"c\", \"major\": 1, \"minor\": 3}]",
			"process.cwd", "\"/a/cwd/deep\""));

	/* With nobody to race it starts: otherwise the way to the mounts would not be walked at all. */
	expect_result(bundle_run(world, dir), 0, "started\n", "");
	pid_t exchanger = exchange_for_ever(root);

	for (int i = 0; i < 40; i++) {
		struct run_result r = bundle_run(world, dir);

		run_result_done(&r);
	}
	assert_int_equal(waitpid(exchanger, NULL, WNOHANG), 0);
	kill(exchanger, SIGKILL);
	assert_int_equal(waitpid(exchanger, NULL, 0), exchanger);
	expect_outside_untouched(world);
	expect_ids(world, NO_WORDS);
}

static void race_to_an_absolute_link(void **state)
{
	(void)state;
	race(outside(world));
}

static void race_to_a_relative_link(void **state)
{
	(void)state;
	outside(world);
	race("../outside");
}

/* ---- CVE-2022-29162, CVE-2022-27650: inheritable capabilities ---------------------------------------- */

#define NO_INHERITED "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n"

static void inherited_capabilities(void **state)
{
	static const char *const caps[] = {
		"{\"bounding\": [\"CAP_KILL\"], \"permitted\": [\"CAP_KILL\"], \"effective\": "
		"[\"CAP_KILL\"]}",
		"null",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *dir =
			bundle(world, "caps",
			       "grep -E 'CapInh|CapAmb' /proc/self/status; echo ready; sleep 1000",
			       CHANGES("process.capabilities", caps[i]));
		char buf[4096] = "";
		int fd;
		pid_t pid =
			start(launched(ARGV("ambient"),
				       oci_argv(world, ARGV("run", "--bundle", dir, world->id))),
			      false, &fd);

		assert_true(read_until(fd, "ready\n", buf, sizeof(buf), 30));
		assert_string_equal(buf, NO_INHERITED "ready\n");
		for (size_t k = 0; k < 2; k++) {
			const char *const *words =
				k ? ARGV("exec", "--cap", "CAP_KILL", world->id, "grep", "-E",
					 "CapInh|CapAmb", "/proc/self/status")
				  : ARGV("exec", world->id, "grep", "-E", "CapInh|CapAmb",
					 "/proc/self/status");
			struct run_spec s = {
				.argv = launched(ARGV("ambient"), oci_argv(world, words))};

			expect_result(run(&s), 0, NO_INHERITED, "");
		}
		bundle_end(world, pid, fd);
	}
}

/* ---- CVE-2023-25809: cgroups without a cgroup namespace ----------------------------------------------- */

static void cgroups_of_the_host(void **state)
{
	static const char script[] =
		"n=0; for f in $(find /sys/fs/cgroup -name cgroup.procs -o -name "
		"release_agent -o -name notify_on_release); do n=$((n+1)); "
		"(echo 0 > $f) 2>/dev/null && echo wrote $f; done; "
		"for d in /sys/fs/cgroup /sys/fs/cgroup/*; do "
		"mkdir $d/made 2>/dev/null && echo made $d/made; done; "
		"[ $n -gt 0 ] && echo tried";
	const char *root = image(world, "cgroup");
	const char *dir = bundle(
		world, "cgroup", script,
		CHANGES("root.path", quoted(root), "linux.namespaces",
			"[{\"type\": \"mount\"}, {\"type\": \"pid\"}, {\"type\": \"ipc\"}, "
			"{\"type\": "
			"\"uts\"}, {\"type\": \"network\"}]",
			"mounts",
			"[" PROC ", " MOUNT("/sys", "sysfs", "sysfs", "\"ro\"") ", " MOUNT(
				"/sys/fs/cgroup", "cgroup", "cgroup", "\"rw\"") "]",
			CAP_SETS("\"CAP_DAC_OVERRIDE\", \"CAP_FOWNER\", \"CAP_SYS_RESOURCE\"")));

	(void)state;
	assert_int_equal(symlink("busybox", text("%s/bin/find", root)), 0);
	expect_result(bundle_run(world, dir), 0, "tried\n", "");
}

/* ---- hangs: an outer filter, and a filter that wants to be asked ---------------------------------------------- */

static void outer_filter_refuses_openat2(void **state)
{
	const char *out = outside(world);
	static const char *const errors[] = {"38" /* ENOSYS */, "1" /* EPERM */, "11" /* EAGAIN */};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const char *root = image(world, "filter");

		/* The walk keeps in the root just as well: what the links name is there, too. */
		make_tree(text("%s%s/dir", root, out));
		make_tree(text("%s/outside/dir", root));
		assert_int_equal(symlink(out, text("%s/absolute", root)), 0);
		assert_int_equal(symlink("../../outside", text("%s/relative", root)), 0);
		assert_int_equal(symlink("/proc/self/cwd/../..", text("%s/magic", root)), 0);

		const char *dir = bundle(
			world, "filter", "grep -c made /proc/mounts",
			CHANGES("root.path", quoted(root), "mounts",
				"[" PROC ", " DEV
				", " MOUNT("/absolute/made", "tmpfs", "tmpfs", "") ", " MOUNT(
					"/relative/made", "tmpfs", "tmpfs", "") "]"));
		const char *const *words = ARGV("run", "--bundle", dir, world->id);
		struct run_spec s = {
			.argv = launched(ARGV("no-openat2", errors[i]), oci_argv(world, words)),
			.timeout_sec = 30};

		expect_result(run(&s), 0, "2\n", "");
		dir = bundle(world, "filter", "echo started",
			     CHANGES("root.path", quoted(root), "process.cwd", "\"/magic\""));
		words = ARGV("run", "--bundle", dir, world->id);
		s.argv = launched(ARGV("no-openat2", errors[i]), oci_argv(world, words));
		expect_error(run(&s), 1, "process.cwd");
		expect_outside_untouched(world);
	}
}

static void filter_that_asks(void **state)
{
	(void)state;
	expect_refusal(world,
		       bundle(world, "notify", "echo started",
			      CHANGES("linux.seccomp",
				      "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": "
				      "\"/tmp/s\", "
				      "\"syscalls\": [{\"names\": [\"mkdir\"], \"action\": "
				      "\"SCMP_ACT_NOTIFY\"}]}")),
		       "linux.seccomp.listenerPath|'/tmp/s'");
}

/* ---- regressions: propagation and signals -------------------------------------------------------------------- */

/* The kinds of rootfsPropagation, with a volume that is a mount of its own. "" on success. */
static const char *spread_all(const char *volume)
{
	static const char *const kinds[] = {"null",        "\"private\"",   "\"slave\"",
					    "\"shared\"",  "\"rprivate\"",  "\"rslave\"",
					    "\"rshared\"", "\"unbindable\""};
	char *before = read_file("/proc/self/mountinfo"), *during, *after;
	const char *wrong = "";

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && !*wrong; i++) {
		int fd;
		const char *dir = bundle(
			world, "spread",
			"mount -t tmpfs x /data && mount -t tmpfs x /tmp/data && echo ready; sleep "
			"1000",
			CHANGES("linux.rootfsPropagation", kinds[i], CAP_SETS("\"CAP_SYS_ADMIN\""),
				"mounts",
				text("[" PROC ", " DEV ", " DEVPTS
				     ", {\"destination\": \"/tmp\", \"type\": "
				     "\"bind\", \"source\": \"%s\", \"options\": [\"rbind\"]}]",
				     volume)));
		pid_t pid = bundle_start(world, dir, "ready", &fd);

		during = read_file("/proc/self/mountinfo");
		bundle_end(world, pid, fd);
		after = read_file("/proc/self/mountinfo");
		if (strcmp(before, during) != 0 || strcmp(before, after) != 0)
			wrong = kinds[i];
		free(during);
		free(after);
	}
	free(before);
	return wrong;
}

static void mounts_never_reach_the_host(void **state)
{
	const char *volume = text("%s/volume", world->dir), *wrong;

	(void)state;
	make_tree(volume);
	assert_int_equal(mount("volume", volume, "tmpfs", 0, NULL), 0);
	make_tree(text("%s/data", volume));
	/* What a host looks like after boot; the namespace is this test's own. */
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), 0);
	wrong = spread_all(volume);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(umount2(volume, MNT_DETACH), 0);
	if (*wrong)
		fail_msg("rootfsPropagation %s: the host's mounts have changed", wrong);
}

static void signals_of_the_caller(void **state)
{
	const char *dir = bundle(world, "signals", "exec probe signals", NULL);
	const char *const *words = ARGV("run", "--bundle", dir, world->id);
	struct run_spec s = {.argv = launched(ARGV("signals"), oci_argv(world, words))};
	int fd;
	pid_t pid;

	(void)state;
	expect_result(run(&s), 0, "end\n", "");
	s.argv = launched(ARGV("signals"),
			  insula_argv(world, ARGV("run", "--rm", "--rootfs", world->rootfs, "probe",
						  "signals")));
	expect_result(run(&s), 0, "end\n", "");
	pid = bundle_start(world, bundle(world, "signals", "echo ready; sleep 1000", NULL), "ready",
			   &fd);
	s.argv = launched(ARGV("signals"),
			  oci_argv(world, ARGV("exec", world->id, "probe", "signals")));
	expect_result(run(&s), 0, "end\n", "");
	bundle_end(world, pid, fd);
}

/* ---- all of them ------------------------------------------------------------------------- */

static const struct hostile_test tests[] = {
	{"who comes in is not seen", who_comes_in_is_not_seen},
	{"who comes into a user namespace is not seen",
	 who_comes_into_a_user_namespace_is_not_seen},
	{"the program cannot be overwritten", the_program_cannot_be_overwritten},
	{"who waits has no link to the program", who_waits_has_no_link_to_the_program},
	{"the entrypoint is our own program", entrypoint_is_our_own_program},
	{"a sysctl is not diverted", sysctl_is_not_diverted},
	{"labels are not diverted", labels_are_not_diverted},
	{"labels of an exec are not diverted", labels_of_an_exec_are_not_diverted},
	{"/proc or /sys is a link", proc_or_sys_is_a_link},
	{"race to an absolute link", race_to_an_absolute_link},
	{"race to a relative link", race_to_a_relative_link},
	{"inherited capabilities", inherited_capabilities},
	{"cgroups of the host", cgroups_of_the_host},
	{"an outer filter refuses openat2", outer_filter_refuses_openat2},
	{"a filter that asks", filter_that_asks},
	{"mounts never reach the host", mounts_never_reach_the_host},
	{"signals of the caller", signals_of_the_caller},
};

int main(void)
{
	return hostile_main("security", tests, sizeof(tests) / sizeof(*tests), &world);
}
