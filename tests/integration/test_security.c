/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What container runtimes were broken by: images, configurations and workloads that reach for the host while a container
 * is made, or while somebody comes in later. One test or more for each known class, named by its first CVE where there is
 * one; the built programs are run as an engine would run them. What `insula run` gives by default, and microVMs, are in
 * test_security_defaults.c.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world *world;

#define MOUNT(to, type, from, options)                                              \
	"{\"destination\": \"" to "\", \"type\": \"" type "\", \"source\": \"" from \
	"\", \"options\": [" options "]}"
#define PROC     MOUNT("/proc", "proc", "proc", "")
#define DEV      MOUNT("/dev", "tmpfs", "tmpfs", "\"mode=755\"")
#define DEVPTS   MOUNT("/dev/pts", "devpts", "devpts", "\"newinstance\", \"ptmxmode=0666\"")
#define NO_MASKS "linux.maskedPaths", "null", "linux.readonlyPaths", "null"
#define CAP_SETS(list)          \
	"process.capabilities", \
		"{\"bounding\": [" list "], \"effective\": [" list "], \"permitted\": [" list "]}"

static struct run_result oci_run(const char *dir)
{
	return run_oci(world, ARGV("run", "--bundle", dir, world->id));
}

/* Refused in words, with nothing on standard output. */
static void expect_refusal(const char *dir, const char *words)
{
	expect_error(oci_run(dir), 1, words);
	expect_ids(world, NO_WORDS);
}

static pid_t start_ready(const char *dir, const char *word, int *ret_fd)
{
	char buf[4096] = "";
	pid_t pid = start(oci_argv(world, ARGV("run", "--bundle", dir, world->id)), false, ret_fd);

	if (!read_until(*ret_fd, word, buf, sizeof(buf), 30))
		fail_msg("not ready: %s", buf);
	return pid;
}

static void end(pid_t pid, int fd)
{
	expect_result(run_oci(world, ARGV("kill", world->id, "KILL")), 0, "", NULL);
	assert_int_equal(finish(pid, 30), 128 + SIGKILL);
	close(fd);
}

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

/* Exec `command` until the watching container has told `word`; all it told is in buf. */
static void exec_until(const struct world *w, int fd, const char *command, const char *word,
		       char *buf, size_t size)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 100 && !strstr(buf, word); i++) {
		struct run_result r = run_oci(w, ARGV("exec", w->id, command));
		ssize_t n = read(fd, buf + strlen(buf), size - strlen(buf) - 1);

		buf[strlen(buf) + (n > 0 ? (size_t)n : 0)] = '\0';
		run_result_done(&r);
	}
	(void)read_until(fd, word, buf, size, 5);
}

static pid_t start_watch(const struct world *w, const char *caps, int *ret_fd, char *buf,
			 size_t size)
{
	const char *root = image(w, "watch");
	const char *dir = bundle(w, "watch", "exec hostile watch",
				 CHANGES("root.path", quoted(root), "process.capabilities", caps));

	write_file(text("%s/bin/trap", root), "#!/proc/self/exe\n", 0755);
	pid_t pid = start(oci_argv(w, ARGV("run", "--bundle", dir, w->id)), false, ret_fd);

	if (!read_until(*ret_fd, "watching\n", buf, size, 30))
		fail_msg("not ready: %s", buf);
	return pid;
}

/* Who comes in cannot be looked into by a workload with the usual privileges. */
static void who_comes_in_is_not_seen(void **state)
{
	const struct world w = with_copy();
	char buf[65536] = "";
	int fd;
	pid_t pid = start_watch(&w, "{\"bounding\": [\"CAP_KILL\", \"CAP_DAC_OVERRIDE\"]}", &fd,
				buf, sizeof(buf));

	(void)state;
	exec_until(&w, fd, "true", "denied", buf, sizeof(buf));
	if (!strstr(buf, "denied") || strstr(buf, "grabbed"))
		fail_msg("expected to be denied and to grab nothing: %s", buf);
	end(pid, fd);
	expect_same_program(&w);
}

/* One that may trace everything gets hold of a sealed copy. */
static void the_program_cannot_be_overwritten(void **state)
{
#define TRACER "[\"CAP_KILL\", \"CAP_DAC_OVERRIDE\", \"CAP_SYS_PTRACE\"]"
	const struct world w = with_copy();
	char buf[65536] = "";
	int fd;
	pid_t pid = start_watch(&w,
				"{\"bounding\": " TRACER ", \"permitted\": " TRACER
				", \"effective\": " TRACER "}",
				&fd, buf, sizeof(buf));

	(void)state;
	exec_until(&w, fd, "true", "grabbed", buf, sizeof(buf));
	exec_until(&w, fd, "/bin/trap", "refused", buf, sizeof(buf));
	if (!strstr(buf, "grabbed") || !strstr(buf, "refused") || strstr(buf, "wrote"))
		fail_msg("expected to grab it and to be refused: %s", buf);
	end(pid, fd);
	expect_same_program(&w);
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
	expect_result(oci_run(dir), 0, "77\n", "");
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

			expect_refusal(dir, k == 0 ? fields[i][1] : "");
			expect_nothing_written(fake);
		}
}

static void labels_of_an_exec_are_not_diverted(void **state)
{
	static const char *const flags[][2] = {{"--process-label", "SELinux label"},
					       {"--apparmor", "AppArmor profile"}};
	const char *fake = fake_proc();
	int fd;
	pid_t pid = start_ready(bundle(world, "label-exec", "echo ready; sleep 1000",
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
	end(pid, fd);
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
		expect_refusal(bundle(world, "link", "echo started",
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
	pid_t exchanger = exchange_for_ever(root);
	int started = 0;

	for (int i = 0; i < 40; i++) {
		struct run_result r = oci_run(dir);

		started += r.code == 0;
		run_result_done(&r);
	}
	assert_int_equal(waitpid(exchanger, NULL, WNOHANG), 0);
	kill(exchanger, SIGKILL);
	assert_int_equal(waitpid(exchanger, NULL, 0), exchanger);
	expect_outside_untouched(world);
	expect_ids(world, NO_WORDS);
	/* Otherwise the way to the mounts was not walked at all. */
	assert_true(started > 0);
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
		end(pid, fd);
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
	expect_result(oci_run(dir), 0, "tried\n", "");
}

/* ---- CVE-2024-21626: descriptors of the host ---------------------------------------------------------- */

static const char *const cwd_forms[] = {"/proc/self/fd/%d", "/proc/self/fd/%d/../../..", "/link/%d",
					"/proc/thread-self/fd/%d"};

static const char *root_with_link(void)
{
	const char *root = image(world, "cwd");

	assert_int_equal(symlink("/proc/self/fd", text("%s/link", root)), 0);
	return root;
}

/* All in one go, since it is about numbers: whichever works for any of them prints where it is. */
static void cwd_on_a_descriptor(void **state)
{
	const char *root = root_with_link();

	(void)state;
	for (int i = 3; i <= 30; i++) {
		char cwd[64];

		snprintf(cwd, sizeof(cwd), i <= 12 ? cwd_forms[i % 4] : cwd_forms[0], i);
		const char *dir =
			bundle(world, "cwd", "pwd; ls",
			       CHANGES("root.path", quoted(root), "process.cwd", quoted(cwd)));
		struct run_spec s = {
			.argv = launched(ARGV("leak"),
					 oci_argv(world, ARGV("run", "--bundle", dir, world->id)))};

		expect_error(run(&s), 1, "process.cwd");
	}
	expect_ids(world, NO_WORDS);
}

static void cwd_of_an_exec_on_a_descriptor(void **state)
{
	const char *root = root_with_link();
	int fd;
	pid_t pid = start_ready(bundle(world, "cwd-exec", "echo ready; sleep 1000",
				       CHANGES("root.path", quoted(root))),
				"ready", &fd);

	(void)state;
	for (int i = 3; i <= 30; i++) {
		const char *cwd = i <= 12 ? text("/proc/self/fd/%d", i) : text("/link/%d", i);
		struct run_spec s = {
			.argv = launched(ARGV("leak"),
					 oci_argv(world, ARGV("exec", "--cwd", cwd, world->id, "sh",
							      "-c", "pwd; ls")))};

		expect_error(run(&s), 1, "process.cwd");
	}
	end(pid, fd);
}

static void descriptors_of_init(void **state)
{
	const char *dir = bundle(world, "fds", "probe fds; echo ready; sleep 1000", NULL);
	char buf[4096] = "";
	int fd;
	pid_t pid = start(
		launched(ARGV("leak"), oci_argv(world, ARGV("run", "--bundle", dir, world->id))),
		false, &fd);

	(void)state;
	assert_true(read_until(fd, "ready\n", buf, sizeof(buf), 30));
	assert_string_equal(buf, "0 1 2 \nready\n");
	struct run_spec s = {.argv = launched(ARGV("leak"), oci_argv(world, ARGV("exec", world->id,
										 "probe", "fds")))};

	expect_result(run(&s), 0, "0 1 2 \n", "");
	end(pid, fd);
}

/* ---- CVE-2025-31133: what masks a path ------------------------------------------------------------------ */

#define MASK_ETC "linux.maskedPaths", "[\"/etc/secret\"]", "linux.readonlyPaths", "null"

static const char *image_with_secret(void)
{
	const char *root = image(world, "null");

	write_file(text("%s/etc/secret", root), "secret\n", 0644);
	write_file(text("%s/etc/target", root), "target\n", 0644);
	assert_int_equal(symlink("/etc/target", text("%s/dev/null", root)), 0);
	return root;
}

static void dev_null_of_the_image(void **state)
{
	const char *root = image_with_secret();
	const char *bound =
		text("[" PROC ", {\"destination\": \"/dev\", \"type\": \"bind\", \"source\": "
		     "\"%s/dev\", \"options\": [\"rbind\"]}]",
		     root);
	static const char script[] = "cat /etc/secret; echo x > /etc/secret; cat /etc/target";

	(void)state;
	/* where the image's is covered, or is somebody's own /dev */
	expect_result(oci_run(bundle(world, "null", script,
				     CHANGES("root.path", quoted(root), "mounts",
					     "[" PROC ", " DEV "]", MASK_ETC))),
		      0, "target\n", "");
	expect_result(
		oci_run(bundle(world, "null", script,
			       CHANGES("root.path", quoted(root), "mounts", bound, MASK_ETC))),
		0, "target\n", "");
	/* where it would be used */
	expect_refusal(bundle(world, "null", script,
			      CHANGES("root.path", quoted(root), "mounts", "[" PROC "]", MASK_ETC)),
		       "/dev/null|something else");
}

static void dev_null_of_the_host(void **state)
{
	const char *file = text("%s/not-null", world->dir);
	const char *dir = bundle(
		world, "null", "cat /etc/plain",
		CHANGES("linux.maskedPaths", "[\"/etc/plain\"]", "linux.readonlyPaths", "null"));
	struct run_spec s = {
		.argv = launched(ARGV("bind", file, "/dev/null"),
				 oci_argv(world, ARGV("run", "--bundle", dir, world->id)))};

	(void)state;
	write_file(file, "not null\n", 0666);
	expect_error(run(&s), 1, "/dev/null|not character device 1:3");
}

/* ---- CVE-2025-52565: consoles ------------------------------------------------------------------------------ */

/* Runs with a terminal; what comes over the console socket is closed at once. */
static struct run_result run_with_console(const char *dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/console", world->dir);
	unlink(addr.sun_path);
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s, 1), 0);
	struct run_result r = run_oci(world, ARGV("create", "--console-socket", addr.sun_path,
						  "--bundle", dir, world->id));

	close(s);
	if (r.code == 0)
		expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);
	return r;
}

static void console_goes_astray(void **state)
{
	const char *out = outside(world), *root = image(world, "console");
	const char *file =
		text("{\"type\": \"bind\", \"source\": \"%s/file\", \"options\": [\"bind\"]", out);
	const struct {
		const char *mounts, *words; /* words NULL: it works */
	} rows[] = {
		/* no /dev at all, and devpts somewhere else */
		{"[" PROC "]", "terminal|devpts"},
		{"[" PROC ", " MOUNT("/data", "devpts", "devpts", "") "]", "terminal|devpts"},
		/* a directory that looks like one */
		{text("[" PROC ", " DEV
		      ", {\"destination\": \"/dev/pts\", \"type\": \"bind\", \"source\": "
		      "\"%s/pts\", \"options\": [\"bind\"]}]",
		      world->dir),
		 "terminal|devpts"},
		/* its multiplexer is something else */
		{text("[" PROC ", " DEV ", " DEVPTS ", %s, \"destination\": \"/dev/pts/ptmx\"}]",
		      file),
		 "/dev/pts/ptmx"},
		/* the console is a link to a file of the image */
		{"[" PROC ", " MOUNT("/dev", "tmpfs", "tmpfs", "\"tmpcopyup\"") ", " DEVPTS "]",
		 "/dev/console"},
		/* a devpts in a /dev that is the image's: nothing is put there */
		{"[" PROC ", " DEVPTS "]", NULL},
	};
	char *before, *after;

	(void)state;
	expect_result(
		run(&(struct run_spec){
			.argv = ARGV("/bin/sh", "-ec",
				     "mkdir -p \"$0/pts\"; for i in 0 1 2 3; do : > \"$0/pts/$i\"; "
				     "done; : > \"$0/pts/ptmx\"; mkdir \"$1/dev/pts\";"
				     "ln -s /etc/plain \"$1/dev/console\"",
				     world->dir, root)}),
		0, "", "");
	before = tree_text("/dev");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct run_result r = run_with_console(
			bundle(world, "console", "true",
			       CHANGES("root.path", quoted(root), "mounts", rows[i].mounts,
				       "process.terminal", "true", NO_MASKS)));

		if (rows[i].words)
			expect_error(r, 1, rows[i].words);
		else
			expect_result(r, 0, "", "");
	}
	after = tree_text("/dev");
	assert_string_equal(before, after);
	free(before);
	free(after);
	char *plain = read_file(text("%s/etc/plain", root));

	assert_string_equal(plain, "just text\n");
	free(plain);
	expect_outside_untouched(world);
}

/* ---- CVE-2026-41579: /dev of the image is a link -------------------------------------------------------------- */

static void dev_is_a_link(void **state)
{
	const char *out = outside(world);
	const char *targets[] = {"/tmp", text("%s/dir", out), "../../outside/dir",
				 "../outside/dir"};
	const char *const mounts[] = {"[" PROC "]", "[" PROC ", " DEV ", " DEVPTS "]"};
	char *before = tree_text("/dev");

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 2; k++) {
			const char *root = image(world, "dev");
			const char *dev = text("%s/dev", root);

			remove_tree(dev);
			assert_int_equal(symlink(targets[i], dev), 0);
			struct run_result r = oci_run(bundle(
				world, "dev", "echo x > /dev/null && echo works",
				CHANGES("root.path", quoted(root), "mounts", mounts[k], NO_MASKS)));

			/* In the image's own /tmp they do no harm; elsewhere there may be nothing to make them in. */
			if (i == 0)
				assert_string_equal(r.out, "works\n");
			run_result_done(&r);
			expect_outside_untouched(world);
		}
	char *after = tree_text("/dev");

	assert_string_equal(before, after);
	assert_int_equal(access("/tmp/ptmx", F_OK), -1);
	assert_int_equal(access("/tmp/stdin", F_OK), -1);
	free(before);
	free(after);
}

/* ---- CVE-2026-30892, CVE-2024-9676, CVE-2024-40635: users ------------------------------------------------------ */

static struct run_result run_as(const char *root, const char *user)
{
	struct run_spec s = {.argv = insula_argv(world, ARGV("run", "--rm", "-u", user, "--rootfs",
							     root, "hostile", "ids")),
			     .timeout_sec = 20};

	return run(&s);
}

static void user_texts(void **state)
{
	static const struct {
		const char *user, *out; /* out NULL: refused */
	} rows[] = {
		{"", NULL},
		{":", NULL},
		{"1:", NULL},
		{":1", NULL},
		{"::", NULL},
		{"1:1:", NULL},
		{"1:1:1", NULL},
		{"-1", NULL},
		{"+1", NULL},
		{" 1", NULL},
		{"1 ", NULL},
		{"0x1", NULL},
		{"1\n", NULL},
		{"4294967295", NULL},
		{"4294967296", NULL},
		{"18446744073709551616", NULL},
		{"1:4294967295", NULL},
		{"1:4294967296", NULL},
		{"../etc", NULL},
		{"1", "1 1 0\n"},
		{"1:2", "1 1 2\n"},
		{"ada", "1815 1815 1815\n"},
		{"ada:math", "1815 1815 1843\n"},
		{"4294967294", "4294967294 4294967294 0\n"},
	};
	const char *root = image(world, "users");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct run_result r = run_as(root, rows[i].user);

		if (rows[i].out)
			expect_result(r, 0, rows[i].out, "");
		else
			expect_error(r, 125, "");
	}
}

/* The low-level command takes numbers only, and -1 means "unchanged" to the kernel: root. */
static void user_texts_of_an_exec(void **state)
{
	static const char *const refused[] = {"",           ":",           "1:", ":1",
					      "1:1:1",      "ada",         "-1", "4294967295",
					      "4294967296", "1:4294967295"};
	int fd;
	pid_t pid =
		start_ready(bundle(world, "user", "echo ready; sleep 1000", NULL), "ready", &fd);

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		expect_error(
			run_oci(world, ARGV("exec", "--user", refused[i], world->id, "id", "-u")),
			1, "");
	expect_result(run_oci(world, ARGV("exec", "--user", "7:8", world->id, "id", "-u")), 0,
		      "7\n", "");
	end(pid, fd);
}

static const char *const passwd_shapes[] = {
	/* a file of the host, by each kind of link */
	"rm \"$0/etc/$2\"; printf 'mallory:x:0:0::/:\\n' > \"$1/host-$2\"; ln -s \"$1/host-$2\" "
	"\"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; printf 'mallory:x:0:0::/:\\n' > \"$1/host-$2\"; "
	"ln -s \"../../host-$2\" \"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; ln -s /etc/shadow \"$0/etc/$2\"",
	"mv \"$0/etc\" \"$0/etc-was\"; mkdir -p \"$1/host-etc\"; "
	"printf 'mallory:x:0:0::/:\\n' > \"$1/host-etc/$2\"; ln -s \"$1/host-etc\" \"$0/etc\"",
	/* what never ends, or takes all memory */
	"rm \"$0/etc/$2\"; mkfifo \"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; mknod \"$0/etc/$2\" c 1 5",
	"truncate -s 100M \"$0/etc/$2\"; printf 'mallory:x:0:0::/:\\n' >> \"$0/etc/$2\"",
	"rm \"$0/etc/$2\"; mkdir \"$0/etc/$2\"",
	/* numbers that overflow to root's, or to \"unchanged\" */
	"printf 'mallory:x:4294967296:4294967296::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory:x:4294967295:4294967295::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory:x:-1:-1::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory:x::::/:\\n' > \"$0/etc/$2\"",
	"printf 'mallory\\n' > \"$0/etc/$2\"",
};

static void passwd_or_group_is_a_trap(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(passwd_shapes) / sizeof(*passwd_shapes); i++)
		for (int group = 0; group < 2; group++) {
			const char *root = image(world, "passwd"),
				   *file = group ? "group" : "passwd";
			struct run_spec s = {.argv = ARGV("/bin/sh", "-ec", passwd_shapes[i], root,
							  world->dir, file)};

			expect_result(run(&s), 0, "", "");
			expect_error(run_as(root, group ? "1:mallory" : "mallory"), 125, "mallory");
			/* a number needs no file */
			expect_result(run_as(root, "7:8"), 0, "7 7 8\n", "");
		}
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
	expect_refusal(bundle(world, "notify", "echo started",
			      CHANGES("linux.seccomp",
				      "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": "
				      "\"/tmp/s\", "
				      "\"syscalls\": [{\"names\": [\"mkdir\"], \"action\": "
				      "\"SCMP_ACT_NOTIFY\"}]}")),
		       "linux.seccomp|not supported");
}

/* ---- regressions: propagation and signals -------------------------------------------------------------------- */

static void mounts_never_reach_the_host(void **state)
{
	static const char *const kinds[] = {"null",        "\"private\"",   "\"slave\"",
					    "\"shared\"",  "\"rprivate\"",  "\"rslave\"",
					    "\"rshared\"", "\"unbindable\""};
	const char *dir;
	char *before, *during, *after;

	(void)state;
	/* What a host looks like after boot; the namespace is this test's own. */
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), 0);
	before = read_file("/proc/self/mountinfo");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int fd;

		dir = bundle(
			world, "spread",
			"mount -t tmpfs x /data && mount -t tmpfs x /mnt/data && echo ready; sleep "
			"1000",
			CHANGES("linux.rootfsPropagation", kinds[i], CAP_SETS("\"CAP_SYS_ADMIN\""),
				"mounts",
				text("[" PROC ", " DEV ", " DEVPTS
				     ", {\"destination\": \"/mnt\", \"type\": "
				     "\"bind\", \"source\": \"%s\", \"options\": [\"rbind\"]}]",
				     world->rootfs)));
		pid_t pid = start_ready(dir, "ready", &fd);

		during = read_file("/proc/self/mountinfo");
		end(pid, fd);
		after = read_file("/proc/self/mountinfo");
		/* The test's own namespace is private again before anything can fail. */
		if (strcmp(before, during) != 0 || strcmp(before, after) != 0) {
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
			fail_msg("rootfsPropagation %s:\n%s\nduring:\n%s\nafter:\n%s", kinds[i],
				 before, during, after);
		}
		free(during);
		free(after);
	}
	free(before);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
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
	pid = start_ready(bundle(world, "signals", "echo ready; sleep 1000", NULL), "ready", &fd);
	s.argv = launched(ARGV("signals"),
			  oci_argv(world, ARGV("exec", world->id, "probe", "signals")));
	expect_result(run(&s), 0, "end\n", "");
	end(pid, fd);
}

/* ---- all of them --------------------------------------------------------------------------------------------- */

/* After all that was tried, the host looks as before. */
static struct snapshot at_first;

static void nothing_is_left(void **state)
{
	struct snapshot after = snapshot_take(world);

	(void)state;
	snapshot_compare(&at_first, &after);
}

static const struct {
	const char *name;
	CMUnitTestFunction function;
} tests[] = {
	{"who comes in is not seen", who_comes_in_is_not_seen},
	{"the program cannot be overwritten", the_program_cannot_be_overwritten},
	{"the entrypoint is our own program", entrypoint_is_our_own_program},
	{"a sysctl is not diverted", sysctl_is_not_diverted},
	{"labels are not diverted", labels_are_not_diverted},
	{"labels of an exec are not diverted", labels_of_an_exec_are_not_diverted},
	{"/proc or /sys is a link", proc_or_sys_is_a_link},
	{"race to an absolute link", race_to_an_absolute_link},
	{"race to a relative link", race_to_a_relative_link},
	{"inherited capabilities", inherited_capabilities},
	{"cgroups of the host", cgroups_of_the_host},
	{"cwd on a descriptor", cwd_on_a_descriptor},
	{"cwd of an exec on a descriptor", cwd_of_an_exec_on_a_descriptor},
	{"descriptors of init", descriptors_of_init},
	{"/dev/null of the image", dev_null_of_the_image},
	{"/dev/null of the host", dev_null_of_the_host},
	{"a console goes astray", console_goes_astray},
	{"/dev is a link", dev_is_a_link},
	{"texts for a user", user_texts},
	{"texts for the user of an exec", user_texts_of_an_exec},
	{"passwd or group is a trap", passwd_or_group_is_a_trap},
	{"an outer filter refuses openat2", outer_filter_refuses_openat2},
	{"a filter that asks", filter_that_asks},
	{"mounts never reach the host", mounts_never_reach_the_host},
	{"signals of the caller", signals_of_the_caller},
	{"nothing is left", nothing_is_left},
};

#define N_TESTS (sizeof(tests) / sizeof(*tests))

/* One that failed takes no other along. */
static int clear_up(void **state)
{
	struct run_result r = run_oci(world, ARGV("list", "-q"));

	(void)state;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	for (char *save, *id = strtok_r(r.out, "\n", &save); id; id = strtok_r(NULL, "\n", &save)) {
		struct run_result d = run_oci(world, ARGV("delete", "--force", id));

		run_result_done(&d);
	}
	run_result_done(&r);
	return 0;
}

int main(void)
{
	struct CMUnitTest all[N_TESTS];
	const char *only = getenv("TEST_ONLY");
	size_t n = 0;
	int failed;
	void *state;

	if (hostile_init() < 0 || world_setup(&state) < 0)
		return 1;
	world = state;
	at_first = snapshot_take(world);
	for (size_t i = 0; i < N_TESTS; i++)
		if (!only || strstr(tests[i].name, only))
			all[n++] = (struct CMUnitTest){
				.name = tests[i].name,
				.test_func = tests[i].function,
				.teardown_func = clear_up,
			};
	failed = _cmocka_run_group_tests("security", all, n, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
