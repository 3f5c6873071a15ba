/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MicroVMs of ordinary users, with and without subordinate ids: the same life as a container's, with the ids that the user
 * has. Ada has a range, Bob has none. A guest boots in seconds, so each test asks for much.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADA_UID 4721
#define BOB_UID 4722

/* Of the host's own, which nobody of the users is in. */
#define OTHER_GROUP 4799

/* Group set-up: two users in one world. */
static struct world *world;
static struct world ada, bob;
static const struct world *const both[] = {&ada, &bob};
#define FOR_BOTH(w) \
	for (const struct world *const *at_ = both, *w; at_ < both + 2 && (w = *at_); at_++)

#define VM(...)     ARGV("run", "--rm", "--vm", __VA_ARGS__)
#define HOST(...)   VM("--rootfs", "/", __VA_ARGS__)
#define DIR(w, ...) VM("--rootfs", (w)->rootfs, __VA_ARGS__)
#define SH(text)    "sh", "-c", text

static void file_of(const struct user *u, const char *dir, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", u->home_at, dir);
	if (mkdir(path, 0700) == 0)
		assert_int_equal(chown(path, u->uid, u->gid), 0);
	snprintf(path, sizeof(path), "%s/%s/%s", u->home_at, dir, name);
	write_file(path, text, 0600);
	assert_int_equal(chown(path, u->uid, u->gid), 0);
}

static int set_up(void **state)
{
	if (world_setup(state) < 0)
		return -1;
	world = *state;
	ada = world_as(world, world_add_user(world, "ada", ADA_UID, "300000:65536"));
	bob = world_as(world, world_add_user(world, "bob", BOB_UID, NULL));
	FOR_BOTH(w)
	{
		file_of(w->user, ".", "file", "mine\n");
		file_of(w->user, ".ssh", "id", "key\n");
		file_of(w->user, "data", "in", "data\n");
	}
	return 0;
}

static struct stat look(const char *dir, const char *name)
{
	struct stat st;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (lstat(path, &st) < 0)
		fail_msg("%s is missing", path);
	return st;
}

/* ---- a directory ------------------------------------------------------------------------------------------- */

static void root_is_the_user(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		expect_result(
			run_insula(w, DIR(w, SH("id -u; stat -c %u /made 2>/dev/null; "
						"echo one > /made; mkdir /dir; stat -c %u /made; "
						"exit 7"))),
			7, "0\n0\n", "");
		/* What a guest's root makes is the user's, and stays. */
		assert_int_equal(look(w->rootfs, "made").st_uid, w->user->uid);
		assert_int_equal(look(w->rootfs, "made").st_gid, w->user->gid);
		assert_int_equal(look(w->rootfs, "dir").st_uid, w->user->uid);
	}
}

static void a_read_only_root(void **state)
{
	(void)state;
	FOR_BOTH(w)
	expect_result(run_insula(w, VM("--read-only", "--rootfs", w->rootfs,
				       SH("cat /made; echo x > /made"))),
		      1, "one\n", "Read-only file system");
}

/* The guest's other users are the subordinate ids; without, there are none, and the error is the kernel's. */
static void other_ids(void **state)
{
	(void)state;
	expect_result(
		run_insula(&ada, DIR(&ada, SH("touch /seven && chown 7:9 /seven && stat -c %u:%g "
					      "/seven && chown 70000 /seven"))),
		1, "7:9\n", "Invalid argument");
	assert_int_equal(look(ada.rootfs, "seven").st_uid, 300006);
	assert_int_equal(look(ada.rootfs, "seven").st_gid, 300008);
	expect_result(run_insula(&ada, VM("-u", "7:9", "-v", "/home/ada/data:/data", "--rootfs",
					  ada.rootfs, SH("id -u; rm /seven; cat /data/in"))),
		      1, "7\n", "Permission denied");
	expect_result(run_insula(&bob, DIR(&bob, SH("touch /seven && chown 7:9 /seven"))), 1, "",
		      "Invalid argument");
	expect_error(run_insula(&bob, VM("-u", "7", "--rootfs", bob.rootfs, "true")), 125,
		     "user 7|/etc/subuid");
}

static void volumes_and_memory(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char volume[128], thrown[128], text[64];

		snprintf(volume, sizeof(volume), "%s/data:/data", w->user->home);
		snprintf(thrown, sizeof(thrown), "%s/data:/thrown:O", w->user->home);
		/* The RAM is a limit by itself: no control group is needed. */
		expect_result(
			run_insula(w,
				   VM("-v", volume, "-v", thrown, "-m", "200m", "--rootfs",
				      w->rootfs,
				      SH("cat /data/in; echo x > /data/out; echo y > /thrown/no; "
					 "cat /thrown/in; "
					 "awk '/MemTotal/ {print ($2 <= 200 * 1024)}' "
					 "/proc/meminfo"))),
			0, "data\ndata\n1\n", "");
		snprintf(text, sizeof(text), "%s", "data/out");
		assert_int_equal(look(w->user->home_at, text).st_uid, w->user->uid);
		char path[256];

		snprintf(path, sizeof(path), "%s/data/no", w->user->home_at);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void what_is_refused(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		expect_error(run_insula(w, VM("--cpus", "1", "--rootfs", w->rootfs, "true")), 125,
			     "cpu controller");
		expect_error(run_insula(w, VM("--network", "host", "--rootfs", w->rootfs, "true")),
			     125, "--network host|network devices");
		expect_error(run_insula(w, VM("--rootfs", w->rootfs, "not-there")), 127,
			     "not-there|not found");
	}
}

/* ---- the host's own system --------------------------------------------------------------------------------- */

static void the_hosts_own_system(void **state)
{
	static const char script[] =
		"id -u; pwd; cat file; echo new > file; cat file; echo x > /usr/x || echo kept; "
		"cat ~ada/.ssh/id ~bob/.ssh/id 2>/dev/null; ls /home; cat /etc/shadow; cat "
		"data/in; "
		"exit 4";

	(void)state;
	FOR_BOTH(w)
	{
		char expected[256], path[256];

		snprintf(expected, sizeof(expected), "%u\n%s\nmine\nnew\nkept\n%s\ndata\n",
			 w->user->uid, w->user->home, w->user->name);
		expect_result(run_insula(w, HOST(SH(script))), 4, expected,
			      "Read-only file system");
		/* Nothing of it remains. */
		snprintf(path, sizeof(path), "%s/file", w->user->home_at);
		char *text = read_file(path);

		assert_string_equal(text, "mine\n");
		free(text);
	}
}

static void as_root_of_the_own_system(void **state)
{
	(void)state;
	FOR_BOTH(w)
	expect_result(run_insula(w, VM("-u", "0", "--rootfs", "/",
				       SH("id -u; stat -c %u file; cat .ssh/id; "
					  "umount .ssh; cat .ssh/id"))),
		      1, "0\n0\n", NULL);
}

/* A user who has groups: without a range nobody in his namespace can leave them. */
static void who_has_groups(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char mounts[64], uid[16], gid[16], groups[32], home[80], runtime[160];

		snprintf(mounts, sizeof(mounts), "--mount=/proc/%d/fd/%d", (int)getpid(),
			 w->user->mounts);
		snprintf(uid, sizeof(uid), "%u", w->user->uid);
		snprintf(gid, sizeof(gid), "%u", w->user->gid);
		snprintf(groups, sizeof(groups), "%u,%u", w->user->gid, OTHER_GROUP);
		snprintf(home, sizeof(home), "HOME=%s", w->user->home);
		snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", w->user->runtime);
		expect_result(run(&(struct run_spec){
				      .cwd = "/",
				      .detaching = true,
				      .argv = ARGV("/usr/bin/nsenter", mounts, "/usr/bin/setpriv",
						   "--reuid", uid, "--regid", gid, "--groups",
						   groups, "/usr/bin/env", home, runtime, w->insula,
						   "run", "--rm", "--vm", "--rootfs", w->rootfs,
						   "sh", "-c", "echo x > /of-groups; id -G")}),
			      0, "0\n", NULL);
		assert_int_equal(look(w->rootfs, "of-groups").st_gid, w->user->gid);
	}
}

/* ---- a life ------------------------------------------------------------------------------------------------ */

static void detached_exec_logs_kill(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		struct snapshot before = snapshot_take(w);

		expect_result(run_insula(w, ARGV("run", "-d", "--vm", "--name", "one", "--rootfs",
						 "/", SH("echo begun; exec sleep 1000"))),
			      0, NULL, "");
		expect_result(run_insula(w, ARGV("ps", "--format", "{{.Names}} {{.Status}}")), 0,
			      NULL, "");
		expect_status(w, "one", "running");
		expect_result(
			run(&(struct run_spec){
				.argv = insula_argv(w, ARGV("exec", "-i", "one", "sh", "-c",
							    "id -u; cat; cat ~/.ssh/id; exit 6")),
				.user = w->user,
				.input = "piped\n"}),
			6, NULL, NULL);
		expect_result(run_insula(w, ARGV("exec", "-u", "0", "one", "id", "-u")), 0, "0\n",
			      "");
		expect_result(run_insula(w, ARGV("logs", "one")), 0, "begun\n", "");
		/* Nobody else reaches it. */
		expect_error(run_insula(w == &ada ? &bob : &ada, ARGV("exec", "one", "true")), 125,
			     "one");
		expect_error(run_insula(w, ARGV("pause", "one")), 125, "cgroup");
		expect_result(run_insula(w, ARGV("exec", "one", "true")), 0, "", "");
		expect_result(run_insula(w, ARGV("kill", "one")), 0, NULL, "");
		expect_status(w, "one", "stopped");
		expect_result(run_insula(w, ARGV("rm", "one")), 0, NULL, "");

		struct snapshot after = snapshot_take(w);

		snapshot_compare(&before, &after);
	}
}

static bool is_there(void *path)
{
	return access(path, F_OK) == 0;
}

static void stop_and_removal_by_force(void **state)
{
	char ready[256];

	(void)state;
	FOR_BOTH(w)
	{
		struct snapshot before = snapshot_take(w);

		expect_result(run_insula(w, ARGV("run", "-d", "--vm", "--name", "two", "--rootfs",
						 w->rootfs,
						 SH("trap 'exit 9' TERM; touch /ready; while :; do "
						    "sleep 1; done"))),
			      0, NULL, "");
		snprintf(ready, sizeof(ready), "%s/ready", w->rootfs);
		assert_true(eventually(is_there, ready, 60));
		expect_result(run_insula(w, ARGV("stop", "two")), 0, NULL, "");
		expect_result(run_insula(w, ARGV("wait", "two")), 0, "9\n", "");
		expect_result(run_insula(w, ARGV("rm", "two")), 0, NULL, "");
		expect_result(run_insula(w, ARGV("run", "-d", "--vm", "--name", "two", "--rootfs",
						 w->rootfs, "sleep", "1000")),
			      0, NULL, "");
		expect_result(run_insula(w, ARGV("rm", "-f", "two")), 0, NULL, "");

		struct snapshot after = snapshot_take(w);

		snapshot_compare(&before, &after);
	}
}

static void a_terminal(void **state)
{
	(void)state;
	FOR_BOTH(w)
	{
		char text[4096] = "";
		int fd;
		pid_t pid = start_as(
			w->user,
			insula_argv(w, ARGV("run", "--rm", "-it", "--vm", "--rootfs", w->rootfs,
					    SH("stty size; read x; echo got-$x; exit 5"))),
			true, &fd);

		assert_true(read_until(fd, "24 80", text, sizeof(text), 60));
		assert_int_equal(write(fd, "word\n", 5), 5);
		assert_true(read_until(fd, "got-word", text, sizeof(text), 60));
		assert_int_equal(finish(pid, 60), 5);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_the_user),
		cmocka_unit_test(a_read_only_root),
		cmocka_unit_test(other_ids),
		cmocka_unit_test(volumes_and_memory),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(the_hosts_own_system),
		cmocka_unit_test(as_root_of_the_own_system),
		cmocka_unit_test(who_has_groups),
		cmocka_unit_test(detached_exec_logs_kill),
		cmocka_unit_test(stop_and_removal_by_force),
		cmocka_unit_test(a_terminal),
	};

	if (vm_missing()) {
		printf("1..0 # SKIP microVMs: %s\n", vm_missing());
		return 0;
	}
	return cmocka_run_group_tests_name("users, vm", tests, set_up, world_teardown);
}
