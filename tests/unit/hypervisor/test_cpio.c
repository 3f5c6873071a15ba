/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cpio writer, judged by the system's cpio: what it lists and extracts is what was added.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#include "base/fd.h"
#include "base/path.h"
#include "../../../hypervisor/cpio.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/insula-cpio-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_close_ int tmp = path_open_dir("/tmp", NULL);

	(void)state;
	return path_remove_tree_at(tmp, strrchr(dir, '/') + 1, NULL);
}

/* Open `name` in the scratch directory. */
static int scratch(const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static char *shell(const char *command)
{
	char line[512], *out = NULL;
	FILE *f;

	snprintf(line, sizeof(line), "cd %s && %s", dir, command);
	f = popen(line, "r");
	assert_non_null(f);
	assert_int_equal(fd_read_all(fileno(f), 1 << 20, &out, NULL, "output", NULL), 0);
	assert_int_equal(pclose(f), 0);
	return out;
}

static void test_system_cpio_reads_it(void **state)
{
	_cleanup_close_ int fd = scratch("a.cpio", O_RDWR | O_CREAT);
	_cleanup_free_ char *list = NULL, *content = NULL, *node = NULL;
	struct cpio c = {.fd = fd};

	(void)state;
	if (access("/usr/bin/cpio", X_OK) < 0) {
		print_message("# skip: cpio is not installed\n");
		skip();
	}
	/* Names and contents of every length modulo four. */
	assert_int_equal(cpio_add_dir(&c, "d", 0755, NULL), 0);
	assert_int_equal(cpio_add_char_device(&c, "d/console", 0600, 5, 1, NULL), 0);
	assert_int_equal(cpio_add_file(&c, "d/0", 0644, "", 0, NULL), 0);
	assert_int_equal(cpio_add_file(&c, "d/01", 0755, "1", 1, NULL), 0);
	assert_int_equal(cpio_add_file(&c, "d/012", 0644, "22", 2, NULL), 0);
	assert_int_equal(cpio_add_file(&c, "d/0123", 0644, "333", 3, NULL), 0);
	assert_int_equal(cpio_add_file(&c, "d/01234", 0644, "4444", 4, NULL), 0);
	assert_int_equal(cpio_finish(&c, NULL), 0);

	list = shell("cpio -t --quiet <a.cpio");
	assert_string_equal(list, "d\nd/console\nd/0\nd/01\nd/012\nd/0123\nd/01234\n");
	node = shell("cpio -tv --quiet <a.cpio | grep console | tr -s ' ' | cut -d' ' -f1,3-6");
	assert_string_equal(node, "crw------- root root 5, 1\n");
	content = shell("cpio -id --quiet d/0 'd/01*' <a.cpio && cat d/01 d/012 d/0123 d/01234 && "
			"stat -c ' %a %s' d/01 d/0");
	assert_string_equal(content, "1223334444 755 1\n 644 0\n");
}

static void test_equal_input_gives_equal_bytes(void **state)
{
	_cleanup_free_ char *one = NULL, *two = NULL;
	size_t len[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int fd = scratch(i ? "b2" : "b1", O_RDWR | O_CREAT);
		struct cpio c = {.fd = fd};

		assert_int_equal(cpio_add_file(&c, "init", 0755, "x", 1, NULL), 0);
		assert_int_equal(cpio_finish(&c, NULL), 0);
		lseek(fd, 0, SEEK_SET);
		assert_int_equal(fd_read_all(fd, 4096, i ? &two : &one, &len[i], "b", NULL), 0);
	}
	assert_int_equal(len[0], len[1]);
	assert_memory_equal(one, two, len[0]);
}

static void test_bad_names_are_refused(void **state)
{
	_cleanup_close_ int fd = scratch("c", O_RDWR | O_CREAT);
	struct cpio c = {.fd = fd};
	struct err e = ERR_INIT;
	char longname[300];

	(void)state;
	memset(longname, 'x', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	assert_int_equal(cpio_add_dir(&c, "", 0755, &e), -EINVAL);
	assert_int_equal(cpio_add_dir(&c, "/abs", 0755, &e), -EINVAL);
	assert_int_equal(cpio_add_dir(&c, longname, 0755, &e), -EINVAL);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0); /* nothing was written */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system_cpio_reads_it),
		cmocka_unit_test(test_equal_input_gives_equal_bytes),
		cmocka_unit_test(test_bad_names_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
