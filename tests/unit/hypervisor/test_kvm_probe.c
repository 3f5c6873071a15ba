/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM probe: the same verdict every time, kept for the boot, and a cache that is believed only
 * if nobody else can have written it. That the cache is used shows by turning its verdict round.
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

#include "base/path.h"
#include "base/str.h"
#include "hypervisor/vm.h"

#define CACHE ".kvm-probe"

static char dir[64];
static int scratch_fd;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/insula-probe-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	scratch_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return scratch_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	_cleanup_close_ int tmp = path_open_dir("/tmp", NULL);

	(void)state;
	close(scratch_fd);
	return path_remove_tree_at(tmp, strrchr(dir, '/') + 1, NULL);
}

static enum vm_kvm_verdict probe(int cache)
{
	_cleanup_free_ char *why = NULL;
	enum vm_kvm_verdict v = vm_kvm_probe(cache, &why);

	assert_non_null(why);
	assert_true(str_has_prefix(why, "/dev/kvm "));
	return v;
}

/* The verdict, where there is a device that can be tried. */
static enum vm_kvm_verdict try_or_skip(void)
{
	enum vm_kvm_verdict v = probe(scratch_fd);

	if (v == VM_KVM_ABSENT || v == VM_KVM_FORBIDDEN) {
		print_message("# skip: /dev/kvm is absent or forbidden here\n");
		skip();
	}
	return v;
}

static void write_cache(const char *text)
{
	assert_int_equal(
		path_replace_file_at(scratch_fd, CACHE, text, strlen(text), 0600, false, NULL), 0);
}

/* Turn the stored outcome round: 0 works, 4 is one of the failures. */
static enum vm_kvm_verdict turn_round(void)
{
	_cleanup_free_ char *text = NULL;
	char *outcome;
	bool works;

	assert_int_equal(path_read_file_at(scratch_fd, CACHE, 4096, &text, NULL, NULL), 0);
	outcome = strchr(text, '\n');
	assert_non_null(outcome);
	works = STREQ(outcome, "\n0\n");
	outcome[1] = works ? '4' : '0';
	outcome[2] = '\n';
	outcome[3] = '\0';
	write_cache(text);
	return works ? VM_KVM_TOO_WEAK : VM_KVM_WORKS;
}

static void test_verdict_is_stable(void **state)
{
	enum vm_kvm_verdict first = probe(-1);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(probe(-1), first);
	assert_int_equal(probe(scratch_fd), first);
	assert_int_equal(probe(scratch_fd), first);
	assert_int_equal(vm_kvm_probe(-1, NULL), first);
}

static void test_verdict_is_kept(void **state)
{
	enum vm_kvm_verdict turned;
	struct stat st;

	(void)state;
	try_or_skip();
	assert_int_equal(fstatat(scratch_fd, CACHE, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	turned = turn_round();
	assert_int_equal(probe(scratch_fd), turned);
}

static void test_strangers_cache_is_not_believed(void **state)
{
	enum vm_kvm_verdict v = try_or_skip();

	(void)state;
	if (geteuid() != 0) {
		print_message("# skip: only root can give a file away\n");
		skip();
	}
	turn_round();
	assert_int_equal(fchownat(scratch_fd, CACHE, 65534, 65534, 0), 0);
	assert_int_equal(probe(scratch_fd), v);
}

static void test_writable_cache_is_not_believed(void **state)
{
	enum vm_kvm_verdict v = try_or_skip();

	(void)state;
	turn_round();
	assert_int_equal(fchmodat(scratch_fd, CACHE, 0622, 0), 0);
	assert_int_equal(probe(scratch_fd), v);
}

static void test_symlink_is_not_followed(void **state)
{
	enum vm_kvm_verdict v = try_or_skip();

	(void)state;
	turn_round();
	assert_int_equal(renameat(scratch_fd, CACHE, scratch_fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", scratch_fd, CACHE), 0);
	assert_int_equal(probe(scratch_fd), v);
}

static void test_other_boots_cache_is_not_believed(void **state)
{
	enum vm_kvm_verdict v = try_or_skip();
	_cleanup_free_ char *text = NULL;

	(void)state;
	turn_round();
	assert_int_equal(path_read_file_at(scratch_fd, CACHE, 4096, &text, NULL, NULL), 0);
	text[0] = text[0] == '0' ? '1' : '0';
	write_cache(text);
	assert_int_equal(probe(scratch_fd), v);
}

static void test_junk_is_not_believed(void **state)
{
	enum vm_kvm_verdict v = try_or_skip();
	_cleanup_free_ char *good = NULL;
	char big[2048];

	(void)state;
	assert_int_equal(path_read_file_at(scratch_fd, CACHE, 4096, &good, NULL, NULL), 0);
	*strchr(good, '\n') = '\0';
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	write_cache("");
	assert_int_equal(probe(scratch_fd), v);
	write_cache(big);
	assert_int_equal(probe(scratch_fd), v);
	write_cache(good); /* the key alone */
	assert_int_equal(probe(scratch_fd), v);
	for (size_t i = 0; i < 3; i++) {
		const char *const outcomes[] = {"-1", "99", "0x"};
		_cleanup_free_ char *text = NULL;

		assert_int_equal(str_printf(&text, "%s\n%s\n", good, outcomes[i]), 0);
		write_cache(text);
		assert_int_equal(probe(scratch_fd), v);
	}
	/* A FIFO in its place must not block anybody. */
	assert_int_equal(unlinkat(scratch_fd, CACHE, 0), 0);
	assert_int_equal(mkfifoat(scratch_fd, CACHE, 0600), 0);
	assert_int_equal(probe(scratch_fd), v);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_verdict_is_stable),
		T(test_verdict_is_kept),
		T(test_strangers_cache_is_not_believed),
		T(test_writable_cache_is_not_believed),
		T(test_symlink_is_not_followed),
		T(test_other_boots_cache_is_not_believed),
		T(test_junk_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
