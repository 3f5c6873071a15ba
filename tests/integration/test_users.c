/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary users, with and without subordinate ids: what works for them as for root, what is refused and how that is said.
 * Ada has a range, Bob has none, and each other's things are out of reach.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ADA_UID 4711
#define BOB_UID 65534

/* Group set-up: two users in one world. */
static struct world *world;
static struct world ada, bob;
static const struct world *const both[] = {&ada, &bob};
#define FOR_BOTH(w) \
	for (const struct world *const *at_ = both, *w; at_ < both + 2 && (w = *at_); at_++)

static void file_of(const struct user *u, const char *path, const char *text)
{
	char full[512], *slash;

	snprintf(full, sizeof(full), "%s/%s", u->home_at, path);
	for (slash = strchr(full + strlen(u->home_at) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(full, 0755) == 0)
			assert_int_equal(chown(full, u->uid, u->gid), 0);
		*slash = '/';
	}
	write_file(full, text, 0644);
	assert_int_equal(chown(full, u->uid, u->gid), 0);
}

static int set_up(void **state)
{
	if (world_setup(state) < 0)
		return -1;
	world = *state;
	ada = world_as(world, world_add_user(world, "ada", ADA_UID, "100000:65536"));
	bob = world_as(world, world_add_user(world, "bob", BOB_UID, NULL));
	FOR_BOTH(w)
	{
		char path[128];

		/* Root has a second group there, as in many images. */
		snprintf(path, sizeof(path), "%s/etc/group", w->rootfs);
		write_file(path, "root:x:0:\nada:x:1815:\nmath:x:1843:ada,root\n", 0644);
		file_of(w->user, "file", "mine\n");
		file_of(w->user, ".ssh/id", "key\n");
		file_of(w->user, ".bash_history", "secret words\n");
		file_of(w->user, ".config/gh/hosts.yml", "token\n");
		file_of(w->user, ".config/app/settings", "harmless\n");
		file_of(w->user, "project/code", "code\n");
	}
	return 0;
}

static struct run_result run_in(const struct world *w, const char *cwd, const char *const *words)
{
	return run(&(struct run_spec){
		.argv = insula_argv(w, words), .user = w->user, .cwd = cwd, .detaching = true});
}

#define HOST(...)   ARGV("run", "--rm", "--rootfs", "/", __VA_ARGS__)
#define DIR(w, ...) ARGV("run", "--rm", "--rootfs", (w)->rootfs, __VA_ARGS__)
#define SH(text)    "sh", "-c", text

/* ---- the host's own system ----------------------------------------------------------------- */

static void the_user_stays_himself(void **state)
{
	char expected[256];

	(void)state;
	FOR_BOTH(w)
	{
		snprintf(expected, sizeof(expected), "%u\n%u\n%s\n%s\n", w->user->uid, w->user->gid,
			 w->user->home, w->user->home);
		expect_result(run_insula(w, HOST(SH("id -u; id -g; pwd; echo $HOME"))), 0, expected,
			      "");
	}
}

static void the_system_is_read_only(void **state)
{
	static const char *const places[] = {"/", "/usr/", "/etc/", "/var/lib/", "/bin/"};
	char text[128];

	(void)state;
	FOR_BOTH(w)
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(text, sizeof(text), "echo x > %sinsula-test", places[i]);
		expect_result(run_insula(w, HOST(SH(text))), 2, "", "Read-only file system");
	}
}

/* Before Linux 6.6 tmpfs lacks what an overlay in a user namespace notes the removal of a directory in; then the changes go to
 * the user's store, in his home, if its file system has it. */
static bool tmpfs_has_attributes(void)
{
	int fd = memfd_create("trial", MFD_CLOEXEC);
	bool has = fsetxattr(fd, "user.overlay.trial", "y", 1, 0) == 0;

	close(fd);
	return has;
}

static bool directories_go(const struct world *w)
{
	if (tmpfs_has_attributes() ||
	    setxattr(w->user->home_at, "user.overlay.trial", "y", 1, 0) == 0)
		return true;
	print_message("neither tmpfs nor %s can note that a directory was removed\n",
		      w->user->home_at);
	return false;
}

/* Of sandboxes that are gone nothing is left in the store. */
static void expect_no_storage(const struct world *w)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "find %s/.local/share/insula/sandboxes -mindepth 2 2>/dev/null; :",
		 w->user->home_at);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", text)}), 0, "", NULL);
}

static void the_home_is_thrown_away(void **state)
{
	char path[256];

	(void)state;
	FOR_BOTH(w)
	{
		expect_result(run_insula(w, HOST(SH("cat file; echo changed > file; cat file; "
						    "mkdir new && echo made > new/x && cat new/x; "
						    "rm project/code && ls project"))),
			      0, "mine\nchanged\nmade\n", "");
		if (directories_go(w))
			expect_result(run_insula(w, HOST(SH("rm -r project && mkdir project && ls "
							    "project; rmdir project; ls"))),
				      0, "file\n", "");
		snprintf(path, sizeof(path), "%s/file", w->user->home_at);
		char *text = read_file(path);

		assert_string_equal(text, "mine\n");
		free(text);
		snprintf(path, sizeof(path), "%s/new", w->user->home_at);
		assert_int_equal(access(path, F_OK), -1);
		snprintf(path, sizeof(path), "%s/project/code", w->user->home_at);
		assert_int_equal(access(path, F_OK), 0);
		expect_no_storage(w);
	}
}

static pid_t start_sandbox(const struct world *w, const char *name, const char *user,
			   const char *root, int *ret_fd)
{
	char buf[4096] = "";
	pid_t pid =
		start_as(w->user,
			 insula_argv(w, ARGV("run", "--name", name, "-u", user, "--rootfs", root,
					     SH("trap '' TERM; echo ready; sleep 1000 & wait"))),
			 false, ret_fd);

	if (!read_until(*ret_fd, "ready", buf, sizeof(buf), 60))
		fail_msg("sandbox %s: %s", name, buf);
	return pid;
}

/* Killed with its sandbox, which only `rm` finds then. */
static void changes_go_with_the_sandbox(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char text[160];
		int fd;
		pid_t pid = start_sandbox(w, "killed", "0", "/", &fd);

		snprintf(text, sizeof(text), "cd %s && echo changed > file && rm -r %s && cat file",
			 w->user->home, directories_go(w) ? "project" : "project/code");
		expect_result(run_insula(w, ARGV("exec", "killed", "sh", "-c", text)), 0,
			      "changed\n", "");
		assert_int_equal(kill(pid, SIGKILL), 0);
		expect_result(run_insula(w, ARGV("rm", "-f", "killed")), 0, NULL, "");
		finish(pid, 60);
		close(fd);
		expect_no_storage(w);
	}
}

/* Also with -u 0, and from a working directory above or inside. */
static void keys_in_the_home_are_hidden(void **state)
{
	static const char look[] =
		"cat ~ada/.ssh/id ~bob/.ssh/id ~ada/.config/gh/hosts.yml ~bob/.config/gh/hosts.yml "
		"2>/dev/null; cat ~ada/.bash_history ~bob/.bash_history 2>/dev/null; "
		"cat /home/*/.config/app/settings";

	(void)state;
	FOR_BOTH(w)
	{
		expect_result(run_insula(w, HOST(SH(look))), 0, "harmless\n", NULL);
		expect_result(
			run_insula(w, ARGV("run", "--rm", "-u", "0", "--rootfs", "/", SH(look))), 0,
			"harmless\n", NULL);
		expect_result(run_in(w, "/home", HOST(SH(look))), 0, "harmless\n", NULL);
	}
	expect_result(run_in(&bob, "/home/bob/.ssh", HOST(SH("pwd; ls /home/bob/.ssh"))), 0,
		      "/home/bob\n", "hidden");
	expect_result(run_insula(&bob, ARGV("run", "--rm", "-v", "/home/bob/.ssh:/home/bob/.ssh:ro",
					    "--rootfs", "/", SH("cat .ssh/id"))),
		      0, "key\n", "");
}

static void the_working_directory(void **state)
{
	char path[256], text[512];

	(void)state;
	FOR_BOTH(w)
	{
		/* below the home */
		snprintf(path, sizeof(path), "%s/project", w->user->home);
		snprintf(text, sizeof(text), "%s\ncode\n", path);
		expect_result(run_in(w, path, HOST(SH("pwd; cat code; rm code"))), 0, text, "");
		/* in a place that is fresh otherwise: only it is seen there */
		snprintf(text, sizeof(text), "%s\nhome\nroot\nrun\n", w->user->dir);
		expect_result(
			run_in(w, w->user->dir,
			       HOST(SH("pwd; touch made && rm root/bin/sh made home/file; ls"))),
			0, text, "");
		snprintf(path, sizeof(path), "%s/home/file", w->user->dir);
		assert_int_equal(access(path, F_OK), 0);
		/* the system, and what is not there */
		expect_result(run_in(w, "/usr/bin", HOST("pwd")), 0, "/usr/bin\n", "");
		expect_result(run_in(w, "/", HOST("pwd")), 0, "/\n", "");
		snprintf(text, sizeof(text), "%s\n", w->user->home);
		expect_result(run_in(w, "/proc", HOST("pwd")), 0, text, "working directory");
		expect_result(run_in(w, "/usr",
				     ARGV("run", "--rm", "-w", "/etc", "--rootfs", "/", "pwd")),
			      0, "/etc\n", "");
	}
}

static void what_is_fresh(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		expect_result(run_in(w, "/",
				     HOST(SH("ls -A /tmp /var/tmp /run /sys/fs/cgroup | "
					     "grep -v : | grep .; ls /home"))),
			      0, w == &ada ? "ada\n" : "bob\n", "");
		expect_result(run_insula(w, HOST(SH("touch /tmp/x /var/tmp/x /run/x /dev/shm/x"))),
			      0, "", "");
		expect_result(
			run_insula(w, HOST(SH("ls -d /proc/[0-9]* | wc -l | grep -qx '[1-6]' && "
					      "echo few; ls /sys/class/net"))),
			0, "few\nlo\n", "");
	}
}

static void no_home_at_all(void **state)
{
	struct run_spec s = {.user = bob.user, .detaching = true, .cwd = "/"};
	const char *env[] = {"HOME=/nonexistent", NULL, NULL};
	char run_dir[200];

	(void)state;
	snprintf(run_dir, sizeof(run_dir), "XDG_RUNTIME_DIR=%s", bob.user->runtime);
	env[1] = run_dir;
	s.env = env;
	s.argv = insula_argv(&bob, HOST(SH("pwd; cd; pwd; touch x")));
	/* The passwd file knows better. */
	expect_result(run(&s), 0, "/\n/home/bob\n", "");
}

/* ---- a directory ------------------------------------------------------------------------------ */

static void root_is_the_user(void **state)
{
	char path[256];
	struct stat st;

	(void)state;
	FOR_BOTH(w)
	{
		expect_result(run_insula(w, DIR(w, SH("id -u; echo x > /data/made"))), 0, "0\n",
			      "");
		snprintf(path, sizeof(path), "%s/data/made", w->rootfs);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, w->user->uid);
		assert_int_equal(unlink(path), 0);
	}
}

static void other_users_in_it(void **state)
{
	char path[256];
	struct stat st;

	(void)state;
	expect_result(
		run_insula(&ada, DIR(&ada, SH("touch /data/made; chown 1815:1815 /data/made"))), 0,
		"", "");
	snprintf(path, sizeof(path), "%s/data/made", ada.rootfs);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 100000 + 1814);
	unlink(path);
	expect_result(run_insula(&ada, ARGV("run", "--rm", "-u", "ada", "--rootfs", ada.rootfs,
					    SH("id -u; id -G"))),
		      0, "1815\n1815 1843\n", "");
	expect_error(run_insula(&bob, ARGV("run", "-u", "ada", "--rootfs", bob.rootfs, "true")),
		     125, "1815|/etc/subuid|usermod --add-subuids");
	expect_error(run_insula(&ada, ARGV("run", "-u", "99999", "--rootfs", ada.rootfs, "true")),
		     125, "99999|/etc/subuid");
}

/* Where only one group is mapped, the others that /etc/group gives to root fall away. */
static void groups_of_root(void **state)
{
	int fd;

	(void)state;
	expect_result(run_insula(&ada, DIR(&ada, "id", "-G")), 0, "0 1843\n", "");
	expect_result(run_insula(&bob, DIR(&bob, "id", "-G")), 0, "0\n", "");
	pid_t pid = start_sandbox(&bob, "groups", "0", bob.rootfs, &fd);

	expect_result(run_insula(&bob, ARGV("exec", "-u", "root", "groups", "id", "-G")), 0, "0\n",
		      "");
	expect_result(run_insula(&bob, ARGV("rm", "-f", "groups")), 0, NULL, "");
	finish(pid, 60);
	close(fd);
	expect_error(run_insula(&bob,
				ARGV("run", "--group-add", "math", "--rootfs", bob.rootfs, "true")),
		     125, "group|/etc/subuid");
}

static void a_directory_of_somebody_else(void **state)
{
	(void)state;
	expect_result(run_insula(&ada, DIR(world, SH("echo fine"))), 0, "fine\n", NULL);
	expect_result(run_insula(&ada, DIR(world, SH("echo x > /data/x"))), 1, "",
		      "Permission denied");
}

/* ---- life --------------------------------------------------------------------------------------- */

static void exec_kill_ps_rm(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		const char *user = w == &ada ? "1815" : "0"; /* a subordinate id */
		char expected[256];
		struct snapshot before = snapshot_take(w);
		int fd;
		pid_t pid = start_sandbox(w, "one", user, w->rootfs, &fd);

		snprintf(expected, sizeof(expected), "%s\n", user);
		expect_result(run_insula(w, ARGV("exec", "one", "id", "-u")), 0, expected, "");
		expect_result(run_insula(w, ARGV("exec", "-u", "0", "one", "id", "-u")), 0, "0\n",
			      "");
		expect_result(run_insula(w, ARGV("exec", "one", SH("exit 7"))), 7, "", "");
		expect_result(run_insula(w, ARGV("ps", "-q")), 0, NULL, "");
		expect_error(run_insula(w, ARGV("rm", "one")), 125, "one");
		expect_result(run_insula(w, ARGV("kill", "one")), 0, NULL, "");
		assert_int_equal(finish(pid, 60), 128 + SIGKILL);
		close(fd);
		expect_result(run_insula(w, ARGV("rm", "one")), 0, NULL, "");

		pid = start_sandbox(w, "two", user, w->rootfs, &fd);
		expect_result(run_insula(w, ARGV("rm", "-f", "two")), 0, NULL, "");
		assert_int_equal(finish(pid, 60), 128 + SIGKILL);
		close(fd);

		struct snapshot after = snapshot_take(w);

		snapshot_compare(&before, &after);
	}
}

static void the_host_system_can_be_entered(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char uid[16], expected[32];
		int fd;

		snprintf(uid, sizeof(uid), "%u", w->user->uid);
		pid_t pid = start_sandbox(w, "host", uid, "/", &fd);

		snprintf(expected, sizeof(expected), "%s\n", uid);
		expect_result(run_insula(w, ARGV("exec", "host", "id", "-u")), 0, expected, "");
		expect_result(run_insula(w, ARGV("stop", "-t", "0", "host")), 0, NULL, "");
		assert_int_equal(finish(pid, 60), 128 + SIGKILL);
		close(fd);
		expect_result(run_insula(w, ARGV("rm", "-f", "host")), 0, NULL, "");
	}
}

static void strangers(void **state)
{
	int fd;
	pid_t pid = start_sandbox(&ada, "private", "0", ada.rootfs, &fd);
	struct run_spec s = {
		.user = bob.user,
		.argv = ARGV(bob.insula, "--root", ada.state, "kill", "private"),
		.detaching = true,
	};

	(void)state;
	expect_result(run_insula(&bob, ARGV("ps", "-aq")), 0, "", "");
	expect_error(run_insula(&bob, ARGV("rm", "private")), 125, "private");
	expect_error(run(&s), 125, "ermission denied");
	expect_result(run_insula(&ada, ARGV("exec", "private", "echo", "alive")), 0, "alive\n", "");
	expect_result(run_insula(&ada, ARGV("rm", "-f", "private")), 0, NULL, "");
	finish(pid, 60);
	close(fd);
}

static void a_terminal(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char buf[8192] = "";
		int fd;
		pid_t pid = start_as(w->user,
				     insula_argv(w, ARGV("run", "--rm", "-it", "--rootfs", "/",
							 SH("tty; stty size; read x; echo got $x; "
							    "exit 5"))),
				     true, &fd);

		assert_true(read_until(fd, "24 80", buf, sizeof(buf), 60));
		assert_non_null(strstr(buf, "/dev/pts/"));
		assert_int_equal(write(fd, "word\n", 5), 5);
		assert_true(read_until(fd, "got word", buf, sizeof(buf), 60));
		assert_int_equal(finish(pid, 60), 5);
		close(fd);
	}
}

static void streams_and_codes(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		struct run_spec s = {
			.argv = insula_argv(w, ARGV("run", "--rm", "-i", "--rootfs", "/", "cat")),
			.user = w->user,
			.input = "one\ntwo\n"};

		expect_result(run(&s), 0, "one\ntwo\n", "");
		expect_result(run_insula(w, HOST("no-such-command")), 127, "", "no-such-command");
	}
}

/* ---- what is refused --------------------------------------------------------------------------- */

static void limits_without_delegation(void **state)
{
	static const struct {
		const char *flag, *value, *controller;
	} rows[] = {
		{"--memory", "64m", "memory"},
		{"--cpus", "0.5", "cpu"},
		{"--pids-limit", "10", "pids"},
	};

	(void)state;
	FOR_BOTH(w)
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect_error(run_insula(w, ARGV("run", rows[i].flag, rows[i].value, "--rootfs", "/",
						"true")),
			     125, rows[i].controller);
}

/* A group of the test's own, handed to the user as the service manager does it; the test itself stands in a group
 * below, as a session does. */
struct delegation {
	char top[128], session[160];
};

static void write_group(const char *dir, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	write_file(path, text, 0644);
}

static void give(const char *dir, const struct user *u)
{
	static const char *const files[] = {"", "/cgroup.procs", "/cgroup.subtree_control",
					    "/cgroup.threads"};
	char path[256];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s%s", dir, files[i]);
		assert_int_equal(chown(path, u->uid, u->gid), 0);
	}
}

static void delegate(struct delegation *d, const struct user *u)
{
	char pid[16];

	snprintf(d->top, sizeof(d->top), "/sys/fs/cgroup/insula-test-%d", getpid());
	snprintf(d->session, sizeof(d->session), "%s/session", d->top);
	write_group("/sys/fs/cgroup", "cgroup.subtree_control", "+memory +cpu +pids");
	assert_int_equal(mkdir(d->top, 0755), 0);
	assert_int_equal(mkdir(d->session, 0755), 0);
	give(d->top, u);
	give(d->session, u);
	snprintf(pid, sizeof(pid), "%d", getpid());
	write_group(d->session, "cgroup.procs", pid);
}

static void take_back(const struct delegation *d)
{
	char pid[16], path[192];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_group("/sys/fs/cgroup", "cgroup.procs", pid);
	snprintf(path, sizeof(path), "%s/insula", d->top);
	rmdir(path); /* the runtime's own, empty */
	assert_int_equal(rmdir(d->session), 0);
	assert_int_equal(rmdir(d->top), 0);
}

static void limits_with_delegation(void **state)
{
	struct delegation d;

	(void)state;
	if (access("/sys/fs/cgroup/cgroup.subtree_control", F_OK) < 0) {
		print_message("this host is not purely cgroup v2\n");
		skip();
	}
	FOR_BOTH(w)
	{
		int fd;

		delegate(&d, w->user);
		struct run_result r =
			run_insula(w, ARGV("run", "--rm", "--memory", "64m", "--pids-limit", "20",
					   "--cpus", "0.5", "--rootfs", "/",
					   SH("cd /sys/fs/cgroup; cat memory.max pids.max cpu.max; "
					      "echo max > memory.max")));

		pid_t pid = start_sandbox(w, "limited", "0", w->rootfs, &fd);
		struct run_result pause = run_oci(w, ARGV("pause", "limited"));
		struct run_result paused = run_oci(w, ARGV("state", "limited"));
		struct run_result removed = run_insula(w, ARGV("rm", "-f", "limited"));

		finish(pid, 60);
		close(fd);
		take_back(&d);
		expect_result(r, 2, "67108864\n20\n50000 100000\n", "");
		expect_result(pause, 0, "", "");
		assert_non_null(strstr(paused.out, "\"paused\""));
		run_result_done(&paused);
		expect_result(removed, 0, NULL, "");
	}
}

/* Pausing needs a group of its own. */
static void pause_without_delegation(void **state)
{
	int fd;
	pid_t pid = start_sandbox(&bob, "awake", "0", bob.rootfs, &fd);

	(void)state;
	expect_error(run_oci(&bob, ARGV("pause", "awake")), 1, "pause|cgroup|delegated");
	expect_result(run_insula(&bob, ARGV("rm", "-f", "awake")), 0, NULL, "");
	finish(pid, 60);
	close(fd);
}

static void a_mount_point_in_the_system(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char volume[128];

		snprintf(volume, sizeof(volume), "%s/project:/usr/insula-test", w->user->home);
		expect_error(
			run_insula(w, ARGV("run", "--rm", "-v", volume, "--rootfs", "/", "true")),
			125, "/usr/insula-test|Read-only file system|choose");
		snprintf(volume, sizeof(volume), "%s/project:/data", w->user->home);
		expect_result(run_insula(w, ARGV("run", "--rm", "-v", volume, "--rootfs", "/",
						 "cat", "/data/code")),
			      0, "code\n", "");
	}
}

static void throwaway_volumes(void **state)
{
	char path[256];

	(void)state;
	FOR_BOTH(w)
	{
		char volume[128];

		snprintf(volume, sizeof(volume), "%s/project:/data:O", w->user->home);
		expect_result(run_insula(w, ARGV("run", "--rm", "-v", volume, "--rootfs", w->rootfs,
						 SH("echo new > /data/code; cat /data/code"))),
			      0, "new\n", "");
		if (directories_go(w)) {
			/* The whole home, the store in it: also what the layer itself is made of is not seen. */
			char home[128];

			snprintf(home, sizeof(home), "%s:/data:O", w->user->home);
			expect_result(
				run_insula(w, ARGV("run", "--rm", "-v", home, "--rootfs", w->rootfs,
						   SH("rm -r /data/project && mkdir "
						      "/data/project && ls /data/project; "
						      "rm -r /data/.local; ls /data"))),
				0, "file\nproject\n", NULL);
			expect_no_storage(w);
		}
		snprintf(path, sizeof(path), "%s/project/code", w->user->home_at);
		char *text = read_file(path);

		assert_string_equal(text, "code\n");
		free(text);
	}
}

static void no_warning_when_nothing_was_asked(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		expect_result(run_insula(w, HOST("true")), 0, "", "");
		struct run_result r = run_insula(w, HOST("true"));

		assert_int_equal(r.err_len, 0);
		run_result_done(&r);
	}
}

static void a_wrong_range(void **state)
{
	struct world *w = *state;
	struct world eve = world_as(w, world_add_user(w, "eve", 4713, "200000:65536 200100:10"));

	expect_error(run_insula(&eve, ARGV("run", "--rootfs", eve.rootfs, "true")), 125,
		     "/etc/subuid|line|overlaps");
	/* Who needs no range is not bothered. */
	expect_result(run_insula(&eve, HOST(SH("echo fine"))), 0, "fine\n", "");
}

/* ---- where the state is ------------------------------------------------------------------------- */

static struct run_result without_runtime_dir(const struct user *u)
{
	char home[80];
	const char *env[] = {home, "PATH=/usr/bin:/bin", NULL};

	snprintf(home, sizeof(home), "HOME=%s", u->home);
	return run(&(struct run_spec){
		.user = u, .env = env, .detaching = true, .argv = ARGV(u->insula, "ps", "-aq")});
}

static void without_xdg_runtime_dir(void **state)
{
	char path[64];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/insula-%u", ADA_UID);
	if (access(path, F_OK) == 0) {
		print_message("%s exists and is not ours\n", path);
		skip();
	}
	expect_result(without_runtime_dir(ada.user), 0, "", "");
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, ADA_UID);
	assert_int_equal(rmdir(path), 0);
	/* Somebody was there before. */
	assert_int_equal(symlink(ada.user->runtime, path), 0);
	expect_error(without_runtime_dir(ada.user), 125, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_error(without_runtime_dir(ada.user), 125, path);
	assert_int_equal(rmdir(path), 0);
}

/* ---- the engines' command line ------------------------------------------------------------------- */

static const char *user_bundle(const struct world *w, const char *name, const char *command)
{
	static const char namespaces[] =
		"[{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"}, "
		"{\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}, "
		"{\"type\": \"user\"}]";
	char maps[160];

	if (w == &ada)
		snprintf(maps, sizeof(maps),
			 "[{\"containerID\": 0, \"hostID\": %u, \"size\": 1}, {\"containerID\": 1, "
			 "\"hostID\": 100000, \"size\": 65536}]",
			 w->user->uid);
	else
		snprintf(maps, sizeof(maps), "[{\"containerID\": 0, \"hostID\": %u, \"size\": 1}]",
			 w->user->uid);
	return bundle(w, name, command,
		      CHANGES("linux.namespaces", namespaces, "linux.uidMappings", maps,
			      "linux.gidMappings", maps));
}

static void oci_life(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char name[48];

		snprintf(name, sizeof(name), "oci-%s", w->user->name);
		const char *dir = user_bundle(w, name, "id -u; exit 3");

		expect_result(run_oci(w, ARGV("run", "-b", dir, "a")), 3, "0\n", "");
		dir = user_bundle(w, name, "sleep 1000");
		expect_result(run_oci(w, ARGV("create", "-b", dir, "b")), 0, NULL, NULL);
		expect_status(w, "b", "created");
		expect_result(run_oci(w, ARGV("start", "b")), 0, "", "");
		expect_result(run_oci(w, ARGV("exec", "b", "id", "-u")), 0, "0\n", "");
		expect_result(run_oci(w, ARGV("kill", "b", "KILL")), 0, "", "");
		expect_status(w, "b", "stopped");
		expect_result(run_oci(w, ARGV("delete", "b")), 0, "", "");
		expect_ids(w, NO_WORDS);
	}
}

static void in_an_outer_user_namespace(void **state)
{
	char text[2048];

	(void)state;
	snprintf(
		text, sizeof(text),
		"%s --root %s run --rm --rootfs %s id -u && %s --root %s run --rm --rootfs / sh -c "
		"'id -u; echo x > /usr/x'",
		bob.insula, bob.state, bob.rootfs, bob.insula, bob.state);
	expect_result(run(&(struct run_spec){.user = bob.user,
					     .detaching = true,
					     .argv = ARGV("/usr/bin/unshare", "-Ur", "-m", "-p",
							  "-f", "--mount-proc", "sh", "-c", text)}),
		      2, "0\n0\n", "Read-only file system");
	snprintf(text, sizeof(text), "%s --root %s run --rm -m 64m --rootfs %s true", bob.insula,
		 bob.state, bob.rootfs);
	expect_error(run(&(struct run_spec){.user = bob.user,
					    .detaching = true,
					    .argv = ARGV("/usr/bin/unshare", "-Ur", "-m", "-p",
							 "-f", "--mount-proc", "sh", "-c", text)}),
		     125, "memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_user_stays_himself),
		cmocka_unit_test(the_system_is_read_only),
		cmocka_unit_test(the_home_is_thrown_away),
		cmocka_unit_test(changes_go_with_the_sandbox),
		cmocka_unit_test(keys_in_the_home_are_hidden),
		cmocka_unit_test(the_working_directory),
		cmocka_unit_test(what_is_fresh),
		cmocka_unit_test(no_home_at_all),
		cmocka_unit_test(root_is_the_user),
		cmocka_unit_test(other_users_in_it),
		cmocka_unit_test(groups_of_root),
		cmocka_unit_test(a_directory_of_somebody_else),
		cmocka_unit_test(exec_kill_ps_rm),
		cmocka_unit_test(the_host_system_can_be_entered),
		cmocka_unit_test(strangers),
		cmocka_unit_test(a_terminal),
		cmocka_unit_test(streams_and_codes),
		cmocka_unit_test(limits_without_delegation),
		cmocka_unit_test(limits_with_delegation),
		cmocka_unit_test(pause_without_delegation),
		cmocka_unit_test(a_mount_point_in_the_system),
		cmocka_unit_test(throwaway_volumes),
		cmocka_unit_test(no_warning_when_nothing_was_asked),
		cmocka_unit_test(a_wrong_range),
		cmocka_unit_test(without_xdg_runtime_dir),
		cmocka_unit_test(oci_life),
		cmocka_unit_test(in_an_outer_user_namespace),
	};

	/* What depends on the kernel and on cgroup v2; each of the others is no different on another host. */
	const struct CMUnitTest essentials[] = {
		cmocka_unit_test(the_home_is_thrown_away),
		cmocka_unit_test(changes_go_with_the_sandbox),
		cmocka_unit_test(other_users_in_it),
		cmocka_unit_test(limits_without_delegation),
		cmocka_unit_test(limits_with_delegation),
		cmocka_unit_test(throwaway_volumes),
		cmocka_unit_test(in_an_outer_user_namespace),
	};

	if (!getenv("TEST_SHORT"))
		return cmocka_run_group_tests_name("users", tests, set_up, world_teardown);
	print_message("# short: %zu of %zu tests\n", sizeof(essentials) / sizeof(*essentials),
		      sizeof(tests) / sizeof(*tests));
	return cmocka_run_group_tests_name("users", essentials, set_up, world_teardown);
}
