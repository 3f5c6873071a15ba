/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of a container that runs: what `insula-oci mounts add` puts there is seen inside as it was asked for, what `remove`
 * takes is gone, and a container that plays with its directories meanwhile gains nothing.
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static struct world *world;
static char source[96]; /* a directory of the host with the file "given" */

static struct run_result mounts_in(const struct world *w, const char *verb, const char *list)
{
	return run(&(struct run_spec){.argv = oci_argv(w, ARGV("mounts", verb, w->id, "-")),
				      .user = w->user,
				      .input = list});
}

static void expect_mounts(const struct world *w, const char *verb, const char *list)
{
	expect_result(mounts_in(w, verb, list), 0, "", "");
}

static void background(const struct world *w, const char *dir)
{
	expect_result(run_oci(w, ARGV("run", "--detach", "--bundle", dir, w->id)), 0, "", NULL);
}

static void expect_inside(const struct world *w, const char *command, int code, const char *out)
{
	expect_result(run_oci(w, ARGV("exec", w->id, "sh", "-c", command)), code, out, NULL);
}

/* In static storage. */
static const char *bind_of(const char *to, const char *options)
{
	static char text[4][512];
	static unsigned next;
	char *t = text[next++ % 4];

	snprintf(t, sizeof(text[0]),
		 "[{\"destination\": \"%s\", \"type\": \"bind\", \"source\": \"%s\", "
		 "\"options\": [\"bind\"%s]}]",
		 to, source, options);
	return t;
}

static void added_and_removed(void **state)
{
	char list[768];

	(void)state;
	background(world, bundle(world, "plain", "sleep 1000", NULL));
	snprintf(list, sizeof(list),
		 "[{\"destination\": \"/new/place\", \"type\": \"bind\", \"source\": \"%s\", "
		 "\"options\": [\"rbind\", \"ro\"]}, {\"destination\": \"/scratch\", \"type\": "
		 "\"tmpfs\", \"source\": \"tmpfs\", \"options\": [\"size=64k\", \"noexec\"]}]",
		 source);
	expect_mounts(world, "add", list);
	expect_inside(world, "cat /new/place/given; touch /new/place/x 2>/dev/null || echo closed",
		      0, "from the host\nclosed\n");
	expect_inside(world, "grep -c ' /scratch tmpfs rw,.*noexec.*size=64k' /proc/mounts", 0,
		      "1\n");
	expect_mounts(world, "remove", list);
	expect_inside(world, "ls /new/place /scratch; grep -c -e /new -e /scratch /proc/mounts", 1,
		      "/new/place:\n\n/scratch:\n0\n");
	expect_error(mounts_in(world, "remove", list), 1,
		     "no mount was added on '/new/place'|for the life of a container");
}

/* Even the first one is taken back. */
static void all_or_none(void **state)
{
	char list[768];

	(void)state;
	background(world, bundle(world, "none", "sleep 1000", NULL));
	snprintf(list, sizeof(list),
		 "[{\"destination\": \"/one\", \"type\": \"bind\", \"source\": \"%s\", "
		 "\"options\": [\"bind\"]}, {\"destination\": \"/two\", \"type\": \"tmpfs\", "
		 "\"source\": \"tmpfs\", \"options\": [\"size=nonsense\"]}]",
		 source);
	expect_error(mounts_in(world, "add", list), 1,
		     "add mounts to|mount 'tmpfs' on '/two'|size=nonsense");
	expect_inside(world, "grep -c -e /one -e /two /proc/mounts", 1, "0\n");
	expect_error(mounts_in(world, "remove", bind_of("/one", "")), 1, "no mount was added");
	/* Nothing is wrong with the container. */
	expect_mounts(world, "add", bind_of("/one", ""));
	expect_inside(world, "cat /one/given", 0, "from the host\n");
}

static void newest_first_on_one_place(void **state)
{
	static const char tmpfs[] = "[{\"destination\": \"/data\", \"type\": \"tmpfs\", "
				    "\"source\": \"tmpfs\", \"options\": []}]";

	(void)state;
	background(world, bundle(world, "twice", "sleep 1000", NULL));
	expect_mounts(world, "add", bind_of("/data", ""));
	expect_mounts(world, "add", tmpfs);
	expect_inside(world, "ls /data", 0, "");
	expect_mounts(world, "remove", tmpfs);
	expect_inside(world, "cat /data/given", 0, "from the host\n");
	expect_mounts(world, "remove", bind_of("/data", ""));
	expect_inside(world, "ls /data", 0, "");
}

/* A link of the container's leads to a place of the container's, and a mount is found by what it is, not where it was. */
static void a_container_that_moves_things(void **state)
{
	char there[160];
	struct stat st;

	(void)state;
	background(world, bundle(world, "moves",
				 "ln -s /../../../../../../proc /way; mkdir -p /w /etc/in; "
				 "ln -s ../../../../../../etc /up; echo ready >/sign; sleep 1000",
				 NULL));
	for (int i = 0; i < 600; i++) {
		struct run_result r = run_oci(world, ARGV("exec", world->id, "cat", "/sign"));
		bool ready = r.code == 0 && r.out_len > 0;

		run_result_done(&r);
		if (ready)
			break;
		assert_true(i < 599);
	}
	expect_mounts(world, "add", bind_of("/up/in", ""));
	expect_inside(world, "cat /etc/in/given", 0, "from the host\n");
	snprintf(there, sizeof(there), "%s/etc/in", world->rootfs);
	assert_int_equal(stat(there, &st), 0);
	assert_int_equal(stat("/etc/in", &st), -1);

	/* Where it was is now the way to a mask. */
	expect_mounts(world, "add", bind_of("/w/sys", ""));
	expect_inside(world, "mv /w /v && ln -s /proc /w && cat /v/sys/given", 0,
		      "from the host\n");
	expect_mounts(world, "remove", bind_of("/w/sys", ""));
	expect_inside(world, "ls /v/sys; grep -c ' /proc/sys proc ro,' /proc/mounts", 0, "1\n");
	/* A magic link leads nowhere. */
	expect_error(mounts_in(world, "add", bind_of("/proc/self/cwd/x", "")), 1, "mount '");
}

static void in_its_user_namespace(void **state)
{
	char root[192], command[512];
	const char *dir =
		bundle(world, "userns", "sleep 1000",
		       CHANGES("linux.namespaces",
			       "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"user\"}, "
			       "{\"type\": \"network\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}]",
			       "linux.uidMappings",
			       "[{\"containerID\": 0, \"hostID\": 200000, \"size\": 1000}]",
			       "linux.gidMappings",
			       "[{\"containerID\": 0, \"hostID\": 200000, \"size\": 1000}]"));

	(void)state;
	snprintf(root, sizeof(root), "%s", world->rootfs);
	assert_int_equal(chown(root, 200000, 200000), 0);
	background(world, dir);
	expect_mounts(world, "add", bind_of("/mine/data", ", \"ro\""));
	expect_inside(world,
		      "stat -c %u:%g /mine; cat /mine/data/given; "
		      "touch /mine/data/x 2>/dev/null || echo closed",
		      0, "0:0\nfrom the host\nclosed\n");
	snprintf(command, sizeof(command),
		 "[{\"destination\": \"/t\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", "
		 "\"options\": []}]");
	expect_mounts(world, "add", command);
	expect_inside(world, "touch /t/x && stat -c %u /t/x", 0, "0\n");
	expect_mounts(world, "remove", bind_of("/mine/data", ""));
	expect_inside(world, "ls /mine/data", 0, "");
	assert_int_equal(chown(root, 0, 0), 0);
}

/* tmpfs can be mapped since Linux 6.3; elsewhere the error says which file system cannot. */
static void id_mapped(void **state)
{
	static const char maps[] = "[{\"containerID\": 0, \"hostID\": 4321, \"size\": 1000}]";
	char list[768], file[128];
	struct run_result r;

	(void)state;
	background(world, bundle(world, "mapped", "sleep 1000", NULL));
	snprintf(file, sizeof(file), "%s/given", source);
	snprintf(list, sizeof(list),
		 "[{\"destination\": \"/data\", \"type\": \"bind\", \"source\": \"%s\", "
		 "\"options\": [\"bind\", \"idmap\"], \"uidMappings\": %s, \"gidMappings\": %s}]",
		 source, maps, maps);
	r = mounts_in(world, "add", list);
	if (r.code != 0 && strstr(r.err, "cannot be id-mapped by this kernel")) {
		run_result_done(&r);
		print_message("the file system of %s cannot be id-mapped here\n", source);
		skip();
	}
	expect_result(r, 0, "", "");
	expect_inside(world, "stat -c %u:%g /data/given", 0, "4321:4321\n");
	expect_mounts(world, "remove", list);
}

static void paused_and_created(void **state)
{
	const char *dir = bundle(world, "states", "cat /data/given", NULL);

	(void)state;
	expect_result(run_oci(world, ARGV("create", "--bundle", dir, world->id)), 0, "", NULL);
	expect_mounts(world, "add", bind_of("/data", ""));
	expect_inside(world, "cat /data/given", 0, "from the host\n");
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", NULL);

	background(world, bundle(world, "states", "sleep 1000", NULL));
	expect_result(run_oci(world, ARGV("pause", world->id)), 0, "", NULL);
	expect_mounts(world, "add", bind_of("/data", ""));
	expect_result(run_oci(world, ARGV("resume", world->id)), 0, "", NULL);
	expect_inside(world, "cat /data/given", 0, "from the host\n");
	expect_result(run_oci(world, ARGV("kill", world->id, "KILL")), 0, "", NULL);
	expect_status(world, world->id, "stopped");
	expect_error(mounts_in(world, "add", bind_of("/more", "")), 1,
		     "container not running: stopped");
	expect_error(mounts_in(world, "remove", bind_of("/data", "")), 1,
		     "container not running: stopped");
}

static const struct {
	const char *verb, *list, *words;
} refusals[] = {
	{"add", "[]", "there is no mount in the list"},
	{"remove", "[]", "there is no mount in the list"},
	{"add", "{}", "expected an array of mounts"},
	{"add", "[{\"type\": \"tmpfs\"}]", "destination"},
	{"remove", "[{\"destination\": \"relative\"}]", "absolute path"},
	{"remove", "[{\"destination\": \"/proc\"}]", "no mount was added on '/proc'"},
	{"put", "[]", "'put' is not add or remove"},
	{"add", "[{\"destination\": \"/\", \"type\": \"tmpfs\", \"source\": \"t\"}]",
	 "root of the container"},
	{"add", "[{\"destination\": \"/p\", \"type\": \"proc\", \"source\": \"proc\"}]",
	 "a file system 'proc' in a container that exists"},
	{"add", "[{\"destination\": \"/p\", \"type\": \"cgroup\", \"source\": \"cgroup\"}]",
	 "a file system 'cgroup'"},
	{"add",
	 "[{\"destination\": \"/proc\", \"type\": \"bind\", \"source\": \"/\", \"options\": "
	 "[\"remount\", \"bind\"]}]",
	 "option 'remount'"},
	{"add",
	 "[{\"destination\": \"/t\", \"type\": \"tmpfs\", \"source\": \"t\", \"options\": "
	 "[\"tmpcopyup\"]}]",
	 "option 'tmpcopyup'"},
	{"add",
	 "[{\"destination\": \"/t\", \"type\": \"bind\", \"source\": \"/no/such\", \"options\": "
	 "[\"bind\"]}]",
	 "mount '/no/such' on '/t'|No such file"},
	{"add",
	 "[{\"destination\": \"/t\", \"type\": \"bind\", \"source\": \"/etc/passwd\", \"options\": "
	 "[\"bind\", \"idmap\"]}]",
	 "takes the container's|uidMappings"},
};

static void refused(void **state)
{
	(void)state;
	background(world, bundle(world, "refused", "sleep 1000", NULL));
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		expect_error(mounts_in(world, refusals[i].verb, refusals[i].list), 1,
			     refusals[i].words);
	expect_inside(world, "echo alive", 0, "alive\n");
}

static void of_an_ordinary_user(void **state)
{
	const struct user *u = world_add_user(world, "ada", 61001, "100000:65536");
	struct world w = world_as(world, u);
	char maps[160], kept[sizeof(source)];
	const char *dir;

	(void)state;
	snprintf(maps, sizeof(maps),
		 "[{\"containerID\": 0, \"hostID\": %u, \"size\": 1}, {\"containerID\": 1, "
		 "\"hostID\": 100000, \"size\": 65536}]",
		 u->uid);
	dir = bundle(&w, "user", "sleep 1000",
		     CHANGES("linux.namespaces",
			     "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"user\"}, "
			     "{\"type\": \"network\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, "
			     "{\"type\": \"cgroup\"}]",
			     "linux.uidMappings", maps, "linux.gidMappings", maps));
	memcpy(kept, source, sizeof(kept));
	snprintf(source, sizeof(source), "/etc");
	background(&w, dir);
	expect_mounts(&w, "add", bind_of("/data", ", \"rbind\", \"ro\""));
	expect_inside(&w, "grep -c ^ada: /data/passwd; touch /data/x 2>/dev/null || echo closed", 0,
		      "1\nclosed\n");
	expect_mounts(&w, "remove", bind_of("/data", ""));
	expect_inside(&w, "ls /data", 0, "");
	memcpy(source, kept, sizeof(kept));
	expect_result(run_oci(&w, ARGV("delete", "--force", w.id)), 0, "", NULL);
}

/* A failed test leaves its container, which must not fail the next. */
static int clean(void **state)
{
	struct run_result r = run_oci(world, ARGV("delete", "--force", world->id));

	(void)state;
	run_result_done(&r);
	return 0;
}

static void make_source(void)
{
	char file[128];

	snprintf(source, sizeof(source), "%s/source", world->dir);
	snprintf(file, sizeof(file), "%s/given", source);
	assert_int_equal(mkdir(source, 0755), 0);
	write_file(file, "from the host\n", 0644);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(added_and_removed, clean),
		cmocka_unit_test_teardown(all_or_none, clean),
		cmocka_unit_test_teardown(newest_first_on_one_place, clean),
		cmocka_unit_test_teardown(a_container_that_moves_things, clean),
		cmocka_unit_test_teardown(in_its_user_namespace, clean),
		cmocka_unit_test_teardown(id_mapped, clean),
		cmocka_unit_test_teardown(paused_and_created, clean),
		cmocka_unit_test_teardown(refused, clean),
		cmocka_unit_test_teardown(of_an_ordinary_user, clean),
	};
	void *state;
	int failed;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	make_source();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
