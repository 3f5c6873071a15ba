/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images, callers and a forbidden place for the tests of security (hostile.h).
 */
#include "hostile.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXTS     512
#define WORDS_MAX 96
#define WITNESS   "only the host's\n"
#define TREE_SHELL                                                                              \
	"find \"$0\" -printf '%P %y %m %s %l\\n' | sed 's/^\\(.* d [0-7]*\\) [0-9]* /\\1 /' | " \
	"sort"

const char *text(const char *format, ...)
{
	static char kept[TEXTS][2048];
	static unsigned next;
	char *buf = kept[next++ % TEXTS];
	va_list args;

	va_start(args, format);
	assert_true(vsnprintf(buf, sizeof(kept[0]), format, args) < (int)sizeof(kept[0]));
	va_end(args);
	return buf;
}

const char *quoted(const char *s)
{
	return text("\"%s\"", s);
}

static void shell(const char *script, const char *a, const char *b)
{
	struct run_result r = run(&(struct run_spec){.argv = ARGV("/bin/sh", "-ec", script, a, b)});

	if (r.code != 0)
		fail_msg("%s: exit code %d: %s", script, r.code, r.err);
	run_result_done(&r);
}

const char *image(const struct world *w, const char *name)
{
	const char *dir = text("%s/image-%s", w->dir, name);
	char hostile[512];

	build_path("tests/helpers/hostile", hostile, sizeof(hostile));
	shell("rm -rf \"$1\"; cp -a \"$0\" \"$1\"; rm -rf \"$1/dev\"; mkdir \"$1/dev\"", w->rootfs,
	      dir);
	shell("cp \"$0\" \"$1/bin/hostile\"", hostile, dir);
	return dir;
}

void make_tree(const char *path)
{
	shell("mkdir -p \"$0\"", path, "");
}

void remove_tree(const char *path)
{
	shell("rm -rf \"$0\"", path, "");
}

const char *outside(const struct world *w)
{
	const char *dir = text("%s/outside", w->dir);

	shell("rm -rf \"$0\"; mkdir -p \"$0/dir\"", dir, "");
	write_file(text("%s/file", dir), WITNESS, 0644);
	return dir;
}

char *tree_text(const char *dir)
{
	struct run_result r =
		run(&(struct run_spec){.argv = ARGV("/bin/sh", "-c", TREE_SHELL, dir)});
	char *found = r.out;

	assert_int_equal(r.code, 0);
	r.out = NULL;
	run_result_done(&r);
	return found;
}

void expect_outside_untouched(const struct world *w)
{
	const char *dir = text("%s/outside", w->dir);
	char *file = read_file(text("%s/file", dir)), *tree = tree_text(dir);

	assert_non_null(file);
	assert_string_equal(file, WITNESS);
	assert_string_equal(tree, " d 755 \ndir d 755 \nfile f 644 16 \n");
	free(file);
	free(tree);
	char *mounts = read_file("/proc/self/mountinfo");

	assert_non_null(mounts);
	assert_null(strstr(mounts, dir));
	free(mounts);
}

const char *const *launched(const char *const *how, const char *const *argv)
{
	static const char *line[WORDS_MAX];
	static char launch[512];
	size_t n = 0;

	build_path("tests/helpers/launch", launch, sizeof(launch));
	line[n++] = launch;
	for (; *how; how++)
		line[n++] = *how;
	line[n++] = "--";
	for (; *argv; argv++) {
		assert_true(n + 1 < WORDS_MAX);
		line[n++] = *argv;
	}
	line[n] = NULL;
	return line;
}

/* ---- bundles ------------------------------------------------------------------------------------ */

struct run_result bundle_run(const struct world *w, const char *dir)
{
	return run_oci(w, ARGV("run", "--bundle", dir, w->id));
}

void expect_refusal(const struct world *w, const char *dir, const char *words)
{
	expect_error(bundle_run(w, dir), 1, words);
	expect_ids(w, NO_WORDS);
}

pid_t bundle_start(const struct world *w, const char *dir, const char *word, int *ret_fd)
{
	char buf[4096] = "";
	pid_t pid = start(oci_argv(w, ARGV("run", "--bundle", dir, w->id)), false, ret_fd);

	if (!read_until(*ret_fd, word, buf, sizeof(buf), 30))
		fail_msg("not ready: %s", buf);
	return pid;
}

void bundle_end(const struct world *w, pid_t pid, int fd)
{
	expect_result(run_oci(w, ARGV("kill", w->id, "KILL")), 0, "", NULL);
	assert_int_equal(finish(pid, 30), 128 + SIGKILL);
	close(fd);
}

/* ---- programs ------------------------------------------------------------------------------------ */

#define TESTS_MAX 32

/* What cmocka's functions are given is at hand in no other way. */
static struct {
	const struct world *world;
	struct snapshot at_first;
} current;

static int clear_up(void **state)
{
	const struct world *w = current.world;
	struct run_result r = run_oci(w, ARGV("list", "-q"));

	(void)state;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	for (char *save, *id = strtok_r(r.out, "\n", &save); id; id = strtok_r(NULL, "\n", &save)) {
		struct run_result d = run_oci(w, ARGV("delete", "--force", id));

		run_result_done(&d);
	}
	run_result_done(&r);
	return 0;
}

static void skipped(void **state)
{
	print_message("# skip: %s\n", (const char *)*state);
	skip();
}

static void nothing_is_left(void **state)
{
	struct snapshot after = snapshot_take(current.world);

	(void)state;
	snapshot_compare(&current.at_first, &after);
}

int hostile_group(const struct world *w, const char *name, const struct hostile_test *t, size_t n,
		  CMFixtureFunction setup, CMFixtureFunction teardown, const char *missing)
{
	struct CMUnitTest tests[TESTS_MAX];
	const char *only = getenv("TEST_ONLY");
	size_t taken = 0;

	assert_true(n <= TESTS_MAX);
	current.world = w;
	for (size_t i = 0; i < n; i++)
		if (!only || strstr(t[i].name, only))
			tests[taken++] =
				(struct CMUnitTest){.name = t[i].name,
						    .test_func = missing ? skipped : t[i].function,
						    .teardown_func = clear_up,
						    .initial_state = (void *)missing};
	return taken ? _cmocka_run_group_tests(name, tests, taken, setup, teardown) : 0;
}

/* Some tests compare /dev before and after: what others on the machine do in there meanwhile is not to be seen. */
static int own_dev(void)
{
	if (mount("shm", "/dev/shm", "tmpfs", 0, "mode=1777") < 0 && errno != ENOENT)
		return -1;
	return mount("pts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620,gid=5");
}

int hostile_open(struct world **ret)
{
	void *state;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    own_dev() < 0) {
		perror("a mount namespace for the test");
		return -1;
	}
	if (world_setup(&state) < 0)
		return -1;
	*ret = state;
	current.at_first = snapshot_take(*ret);
	return 0;
}

int hostile_close(struct world *w)
{
	static const struct hostile_test last = {"nothing is left", nothing_is_left};
	void *state = w;
	int failed = hostile_group(w, "what is left", &last, 1, NULL, NULL, NULL);

	return failed + (world_teardown(&state) < 0);
}

int hostile_main(const char *name, const struct hostile_test *t, size_t n, struct world **world)
{
	int failed;

	if (hostile_open(world) < 0)
		return 1;
	failed = hostile_group(*world, name, t, n, NULL, NULL, NULL);
	return failed + hostile_close(*world) != 0;
}
