/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as an overlay of layers shows them. The expectations are written by hand; where overlayfs can be mounted, a
 * real overlay over the same directories must agree on every path.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../runtime/scratch_dir.h"
#include "base/cleanup.h"
#include "images/rootfs.h"

static struct scratch *scratch;
static char *layers[4];
static struct img_image image = {.name = (char *)"test", .layers = layers};

static char *in(const char *layer, const char *name)
{
	static char path[1024];

	snprintf(path, sizeof(path), "%s/%s/%s", scratch->path, layer, name);
	return path;
}

static void dir(const char *layer, const char *name)
{
	assert_int_equal(mkdir(in(layer, name), 0755), 0);
}

static void file(const char *layer, const char *name, const char *text)
{
	int fd = open(in(layer, name), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void link_to(const char *layer, const char *name, const char *target)
{
	assert_int_equal(symlink(target, in(layer, name)), 0);
}

static void whiteout(const char *layer, const char *name)
{
	assert_int_equal(mknod(in(layer, name), S_IFCHR, makedev(0, 0)), 0);
}

static void opaque(const char *layer, const char *name)
{
	assert_int_equal(setxattr(in(layer, name), "user.overlay.opaque", "y", 1, 0), 0);
}

static void make_low(void)
{
	dir("low", "etc");
	file("low", "etc/passwd", "low");
	file("low", "etc/only-low", "low");
	file("low", "etc/gone", "low");
	dir("low", "hidden");
	file("low", "hidden/file", "low");
	dir("low", "dir-to-file");
	file("low", "dir-to-file/x", "low");
	file("low", "file-to-dir", "low");
	dir("low", "real");
	file("low", "real/through", "low");
	dir("low", "came-back");
	file("low", "came-back/old", "low");
	link_to("low", "loop", "loop");
	link_to("low", "up", "../../../../etc/passwd");
}

static void make_middle(void)
{
	dir("mid", "etc");
	file("mid", "etc/passwd", "mid");
	whiteout("mid", "etc/gone");
	dir("mid", "hidden");
	opaque("mid", "hidden");
	file("mid", "hidden/other", "mid");
	file("mid", "dir-to-file", "mid");
	dir("mid", "file-to-dir");
	file("mid", "file-to-dir/x", "mid");
	whiteout("mid", "came-back");
	assert_int_equal(mkfifo(in("mid", "fifo"), 0644), 0);
}

static void make_top(void)
{
	dir("top", "etc");
	link_to("top", "etc/relative", "only-low");
	link_to("top", "etc/absolute", "/real/through");
	link_to("top", "link-to-dir", "real");
	link_to("top", "etc/out", "../../../../../../etc/only-low");
	dir("top", "came-back");
	file("top", "came-back/new", "top");
}

static const struct {
	const char *path, *text; /* NULL: not there */
} expected[] = {
	{"/etc/passwd", "mid"},
	{"etc/passwd", "mid"},
	{"/etc/only-low", "low"},
	{"/etc/gone", NULL},
	{"/hidden/file", NULL},
	{"/hidden/other", "mid"},
	{"/dir-to-file", "mid"},
	{"/dir-to-file/x", NULL},
	{"/file-to-dir/x", "mid"},
	{"/came-back/old", NULL},
	{"/came-back/new", "top"},
	{"/etc/relative", "low"},
	{"/etc/absolute", "low"},
	{"/link-to-dir/through", "low"},
	{"/link-to-dir/../etc/passwd", "mid"},
	{"/etc/out", "low"},
	{"/up", "mid"},
	{"/etc/../etc/./passwd", "mid"},
	{"//etc//passwd", "mid"},
	{"/nothing", NULL},
	{"/nothing/below", NULL},
	{"/etc/passwd/below", NULL},
};

static int set_up(void **state)
{
	scratch = scratch_new();
	if (!scratch)
		return -1;
	*state = scratch;
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"top", "mid", "low"};

		if (mkdir(in(names[i], ""), 0755) < 0 || !(layers[i] = strdup(in(names[i], ""))))
			return -1;
		layers[i][strlen(layers[i]) - 1] = '\0';
	}
	make_low();
	make_middle();
	make_top();
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < 3; i++)
		free(layers[i]);
	scratch_free(*state);
	return 0;
}

static struct img_rootfs opened(void)
{
	const struct img_source from = {.image = &image};
	struct img_rootfs r;

	assert_int_equal(img_rootfs_open(&from, IMG_FORM_DIRECTORY, &r, NULL), 0);
	return r;
}

static void test_expected(void **state)
{
	struct img_rootfs r = opened();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		_cleanup_free_ char *text = NULL;
		struct err e = ERR_INIT;
		int x = img_rootfs_read(&r, expected[i].path, 100, &text, &e);

		if (!expected[i].text && (x != -ENOENT || e.text[0]))
			fail_msg("%s: %d %s", expected[i].path, x, e.text);
		if (expected[i].text && (x < 0 || !STREQ(text, expected[i].text)))
			fail_msg("%s: '%s', not '%s': %s", expected[i].path, text ?: "-",
				 expected[i].text, e.text);
	}
	img_rootfs_done(&r);
}

static void expect_refused(const struct img_rootfs *r, const char *path, int errnum)
{
	struct err e = ERR_INIT;
	char *text = NULL;

	assert_int_equal(img_rootfs_read(r, path, 2, &text, &e), -errnum);
	assert_null(text);
	assert_true(e.text[0] && strstr(e.text, path));
}

static void test_refused(void **state)
{
	struct img_rootfs r = opened();
	char deep[4096] = "";

	(void)state;
	expect_refused(&r, "/loop", ELOOP);
	expect_refused(&r, "/fifo", EINVAL); /* and does not hang */
	expect_refused(&r, "/etc", EINVAL);
	assert_int_equal(img_rootfs_read(&r, "/etc/passwd", 2, &(char *){NULL}, NULL), -EFBIG);
	memset(deep, 'x', sizeof(deep) - 1);
	assert_int_equal(img_rootfs_read(&r, deep, 2, &(char *){NULL}, NULL), -ENAMETOOLONG);
	img_rootfs_done(&r);
}

/* In a child with a mount namespace of its own: 0 agreed, 1 not, 77 no overlay here. */
static int compare_with_kernel(void)
{
	char options[4096], path[2048];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	snprintf(options, sizeof(options), "lowerdir=%s:%s:%s,userxattr", layers[0], layers[1],
		 layers[2]);
	snprintf(path, sizeof(path), "%s/merged", scratch->path);
	mkdir(path, 0755);
	if (mount("overlay", path, "overlay", MS_RDONLY, options) < 0)
		return 77;
	/* Absolute links are the root's. */
	if (chroot(path) < 0 || chdir("/") < 0)
		return 77;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		char text[16] = "";
		int fd = open(expected[i].path, O_RDONLY | O_CLOEXEC);

		if ((fd < 0) != !expected[i].text)
			return 1;
		if (fd >= 0 &&
		    (read(fd, text, sizeof(text) - 1) < 0 || !STREQ(text, expected[i].text)))
			return 1;
	}
	return 0;
}

static void test_kernel_agrees(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(compare_with_kernel());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("no overlay can be mounted here\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expected),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kernel_agrees),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
