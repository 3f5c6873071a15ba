/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: a process that counts goes on from where it was, with its mounts as they were; and where criu cannot, or a
 * container is not for it, that is said. criu works in the lab (tests/lab/suite); where it does not, its reason is what is tested.
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
static char images[128], work[128], before[128], counter[160];
static bool works;

#define NAMESPACES                                                                      \
	"[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"ipc\"}, {\"type\": " \
	"\"uts\"}, {\"type\": \"cgroup\"}]"

static void needs_criu(void)
{
	if (works)
		return;
	print_message("criu does not work on this host\n");
	skip();
}

static long count(void *unused)
{
	char *text = read_file(counter);
	long n = text ? atol(text) : 0;

	(void)unused;
	free(text);
	return n;
}

static bool counts_beyond(void *limit)
{
	return count(NULL) > *(long *)limit;
}

static void expect_counting_beyond(long limit)
{
	assert_true(eventually(counts_beyond, &limit, 60));
}

/* Counts in the memory of a shell; ends with 7 when it is told to. Two directories of one file system, of which criu makes one
 * a bind of the other. */
static const char *counting(const char *name)
{
	char mounts[2048];

	snprintf(
		mounts, sizeof(mounts),
		"[{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"}, "
		"{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", "
		"\"options\": [\"mode=755\"]}, {\"destination\": \"/one\", \"type\": \"bind\", "
		"\"source\": \"%s/one\", \"options\": [\"bind\", \"ro\", \"nosuid\"]}, "
		"{\"destination\": \"/two\", \"type\": \"bind\", \"source\": \"%s/two\", "
		"\"options\": [\"bind\", \"ro\"]}, {\"destination\": \"/out\", \"type\": \"bind\", "
		"\"source\": \"%s/out\", \"options\": [\"bind\"]}]",
		world->dir, world->dir, world->dir);
	return bundle(world, name,
		      "i=0; while ! test -e /out/stop; do i=$((i+1)); echo $i >/out/new; "
		      "mv /out/new /out/count; busybox usleep 100000; done; exit 7",
		      CHANGES("linux.namespaces", NAMESPACES, "mounts", mounts));
}

/* Its streams are /dev/null, as an engine's shim or a service would have it. */
static void background(const char *dir)
{
	char line[1024];

	snprintf(line, sizeof(line),
		 "%s --root %s run --detach --bundle %s %s </dev/null >/dev/null 2>&1", world->oci,
		 world->state, dir, world->id);
	expect_result(run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", line)}), 0, "", "");
}

static struct run_result checkpoint(const char *flag)
{
	return run_oci(world, ARGV("checkpoint", "--image-path", images, "--work-path", work,
				   flag ? flag : "--file-locks", world->id));
}

static const char *const *restore_words(const char *dir, const char *flag)
{
	static const char *words[12];
	const char *const all[] = {
		"restore", "--image-path", images, "--work-path", work, "--bundle",
		dir,       world->id,      flag,   NULL};

	memcpy(words, all, sizeof(all));
	return words;
}

static void remove_images(void)
{
	char line[512];
	struct run_result r;

	snprintf(line, sizeof(line), "rm -rf %s %s %s %s/out/*", images, work, before, world->dir);
	r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", line)});
	run_result_done(&r);
}

static void goes_on(void **state)
{
	const char *dir = counting("goes");
	char pid_file[128], *pid, *text;
	long n;

	(void)state;
	needs_criu();
	snprintf(pid_file, sizeof(pid_file), "%s/pid", world->dir);
	background(dir);
	expect_counting_beyond(3);
	expect_result(checkpoint(NULL), 0, "", "");
	expect_ids(world, NO_WORDS); /* as runc has it */
	n = count(NULL);
	unlink(counter);
	expect_result(run(&(struct run_spec){
			      .argv = oci_argv(world, ARGV("restore", "--detach", "--image-path",
							   images, "--work-path", work, "--bundle",
							   dir, "--pid-file", pid_file, world->id)),
			      .detaching = true}),
		      0, NULL, "");
	expect_status(world, world->id, "running");
	pid = oci_state(world, world->id, "pid");
	text = read_file(pid_file);
	assert_string_equal(pid, text);
	free(pid);
	free(text);
	expect_counting_beyond(n);
	/* What was closed is closed, the files that were masked too. */
	expect_result(run_oci(world, ARGV("exec", world->id, "sh", "-c",
					  "touch /one/x 2>/dev/null || echo one; touch /two/x "
					  "2>/dev/null || echo two; touch /out/x && echo out; "
					  "grep ' /proc/k[a-z]* [a-z]* rw' /proc/mounts || "
					  "echo masks")),
		      0, "one\ntwo\nout\nmasks\n", "");
	expect_result(run_oci(world, ARGV("kill", world->id, "KILL")), 0, "", "");
	expect_status(world, world->id, "stopped");
	expect_result(run_oci(world, ARGV("delete", world->id)), 0, "", "");
	unlink(pid_file);
}

static void a_restore_that_stays(void **state)
{
	const char *dir = counting("stays");
	char stop[160];
	pid_t pid;
	long n;
	int fd;

	(void)state;
	needs_criu();
	background(dir);
	expect_counting_beyond(1);
	expect_result(checkpoint(NULL), 0, "", "");
	n = count(NULL);
	pid = start(oci_argv(world, restore_words(dir, NULL)), false, &fd);
	expect_counting_beyond(n);
	snprintf(stop, sizeof(stop), "%s/out/stop", world->dir);
	write_file(stop, "", 0644);
	assert_int_equal(finish(pid, 60), 7);
	close(fd);
	expect_ids(world, NO_WORDS);
}

static void leaves_it_running(void **state)
{
	long n;

	(void)state;
	needs_criu();
	background(counting("leaves"));
	expect_counting_beyond(1);
	expect_result(
		run_oci(world, ARGV("checkpoint", "--pre-dump", "--image-path", before, world->id)),
		0, "", "");
	n = count(NULL);
	expect_counting_beyond(n);
	expect_result(run_oci(world, ARGV("checkpoint", "--leave-running", "--parent-path",
					  "../before", "--image-path", images, world->id)),
		      0, "", "");
	n = count(NULL);
	expect_counting_beyond(n);
	expect_status(world, world->id, "running");
	expect_error(run_oci(world, ARGV("checkpoint", "--parent-path", before, "--image-path",
					 images, world->id)),
		     1, "--parent-path|relative");
}

static void other_mounts_than_then(void **state)
{
	const char *dir = counting("other");

	(void)state;
	needs_criu();
	background(dir);
	expect_counting_beyond(1);
	expect_result(checkpoint(NULL), 0, "", "");
	dir = bundle(world, "other", "true", CHANGES("linux.namespaces", NAMESPACES));
	expect_error(run_oci(world, restore_words(dir, NULL)), 1,
		     "the checkpoint has a bind mount on '/one'|configuration has none");
	expect_ids(world, NO_WORDS);
}

/* Its own reason, and the container is as it was. */
static void where_criu_cannot(void **state)
{
	long n;

	(void)state;
	if (works) {
		print_message("criu works on this host\n");
		skip();
	}
	background(counting("cannot"));
	expect_counting_beyond(1);
	expect_error(checkpoint(NULL), 1, "checkpoint|criu");
	n = count(NULL);
	expect_counting_beyond(n);
	expect_status(world, world->id, "running");
}

static void without_criu(void **state)
{
	const char *argv[16] = {"/usr/bin/env", "PATH=/nonexistent"};
	const char *const *words =
		oci_argv(world, ARGV("checkpoint", "--image-path", images, world->id));

	(void)state;
	background(counting("without"));
	for (size_t i = 0; words[i]; i++)
		argv[2 + i] = words[i];
	expect_error(run(&(struct run_spec){.argv = argv}), 1,
		     "there is no program criu|apt-get install criu");
	expect_status(world, world->id, "running");
}

static void not_for_criu(void **state)
{
	static const char maps[] = "[{\"containerID\": 0, \"hostID\": 200000, \"size\": 1000}]";
	char config[160];

	(void)state;
	expect_result(run_oci(world, ARGV("create", "--bundle", counting("not"), world->id)), 0,
		      NULL, NULL);
	expect_error(checkpoint(NULL), 1, "container not running: created");
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", "");

	assert_int_equal(chown(world->rootfs, 200000, 200000), 0);
	background(
		bundle(world, "userns", "sleep 1000",
		       CHANGES("linux.namespaces",
			       "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"ipc\"}, "
			       "{\"type\": \"uts\"}, {\"type\": \"network\"}, {\"type\": "
			       "\"user\"}]",
			       "linux.uidMappings", maps, "linux.gidMappings", maps)));
	expect_error(checkpoint(NULL), 1, "a container with a user namespace");
	expect_result(run_oci(world, ARGV("delete", "--force", world->id)), 0, "", "");
	assert_int_equal(chown(world->rootfs, 0, 0), 0);

	snprintf(config, sizeof(config), "%s/nowhere", world->dir);
	expect_error(run_oci(world, ARGV("restore", "--image-path", config, "--bundle",
					 counting("not"), world->id)),
		     1, "create|image path|nowhere");
	expect_error(run_oci(world, ARGV("--isolation", "vm", "restore", "--image-path", config,
					 "--bundle", counting("not"), world->id)),
		     1, "restore|criu knows processes");
	expect_ids(world, NO_WORDS);
}

static int clean(void **state)
{
	struct run_result r = run_oci(world, ARGV("delete", "--force", world->id));

	(void)state;
	run_result_done(&r);
	remove_images();
	return 0;
}

/* criu must do, and its images of a v1 host are not what we restore. */
static bool criu_works(void)
{
	struct run_result r;

	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) < 0)
		return false;
	r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", "criu check")});
	run_result_done(&r);
	return r.code == 0;
}

static void make_directories(void)
{
	static const char *const names[] = {"one", "two", "out"};
	char path[160];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", world->dir, names[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(images, sizeof(images), "%s/images", world->dir);
	snprintf(work, sizeof(work), "%s/work", world->dir);
	snprintf(before, sizeof(before), "%s/before", world->dir);
	snprintf(counter, sizeof(counter), "%s/out/count", world->dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(goes_on, clean),
		cmocka_unit_test_teardown(a_restore_that_stays, clean),
		cmocka_unit_test_teardown(leaves_it_running, clean),
		cmocka_unit_test_teardown(other_mounts_than_then, clean),
		cmocka_unit_test_teardown(where_criu_cannot, clean),
		cmocka_unit_test_teardown(without_criu, clean),
		cmocka_unit_test_teardown(not_for_criu, clean),
	};
	void *state;
	int failed;

	if (world_setup(&state) < 0)
		return 1;
	world = state;
	works = criu_works();
	make_directories();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (world_teardown(&state) < 0)
		failed++;
	return failed != 0;
}
