/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images, callers and a forbidden place for the tests of security (hostile.h).
 */
#include "hostile.h"

#include <sched.h>
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

int hostile_init(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("a mount namespace for the test");
		return -1;
	}
	return 0;
}

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
