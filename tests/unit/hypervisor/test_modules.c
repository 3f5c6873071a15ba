/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Module order. The trees are made here: small ELF files with a .modinfo section, and the lists
 * that a kernel package holds.
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

#include <elf.h>

#include "base/path.h"
#include "base/str.h"
#include "../../../hypervisor/modules.h"

static char dir[64];
static int scratch_fd;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/insula-modules-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	scratch_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scratch_fd < 0 || mkdirat(scratch_fd, "kernel", 0755) < 0)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	_cleanup_close_ int tmp = path_open_dir("/tmp", NULL);

	(void)state;
	close(scratch_fd);
	return path_remove_tree_at(tmp, strrchr(dir, '/') + 1, NULL);
}

/* The least that is a module: header, .modinfo, section names, section table. */
static size_t make_ko(char *buf, const char *depends)
{
	static const char names[] = "\0.modinfo\0.shstrtab";
	size_t info = sizeof(Elf64_Ehdr), info_len, at;
	Elf64_Ehdr h = {
		.e_type = ET_REL, .e_machine = EM_X86_64, .e_shentsize = sizeof(Elf64_Shdr)};
	Elf64_Shdr s[3] = {0};

	info_len =
		(size_t)sprintf(buf + info, "license=GPL%cdepends=%s%cname=x", 0, depends, 0) + 1;
	at = info + info_len;
	memcpy(buf + at, names, sizeof(names));
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_shnum = 3;
	h.e_shstrndx = 2;
	h.e_shoff = at + sizeof(names);
	s[1] = (Elf64_Shdr){.sh_name = 1, .sh_offset = info, .sh_size = info_len};
	s[2] = (Elf64_Shdr){.sh_name = 10, .sh_offset = at, .sh_size = sizeof(names)};
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + h.e_shoff, s, sizeof(s));
	return h.e_shoff + sizeof(s);
}

static void put(const char *name, const void *data, size_t len)
{
	char path[192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put_module(const char *file, const char *depends)
{
	char buf[4096], path[128];
	size_t len = make_ko(buf, depends);

	snprintf(path, sizeof(path), "kernel/%s.ko", file);
	put(path, buf, len);
}

static void put_lists(const char *order, const char *builtin)
{
	put("modules.order", order, strlen(order));
	put("modules.builtin", builtin, strlen(builtin));
}

static int collect(const struct kernel_module_want *want, size_t n, char *names, struct err *e)
{
	struct kernel_modules m = {0};
	int r = kernel_modules_collect(scratch_fd, want, n, &m, e);

	names[0] = '\0';
	for (size_t i = 0; i < m.n; i++)
		sprintf(names + strlen(names), "%s%s", i ? " " : "", m.v[i].name);
	kernel_modules_done(&m);
	return r;
}

static void test_dependencies_come_first_and_once(void **state)
{
	const struct kernel_module_want want[] = {
		{"virtio-net", false}, {"fs", false}, {"base", false}};
	struct err e = ERR_INIT;
	char names[256];

	(void)state;
	put_lists("kernel/virtio-net.ko\nkernel/fs.ko\nkernel/base.ko\nkernel/mid_one.ko\n",
		  "kernel/lib/crc.ko\n");
	put_module("virtio-net", "mid_one,base,crc");
	put_module("mid_one", "base");
	put_module("base", "");
	put_module("fs", "mid-one");
	assert_int_equal(collect(want, 3, names, &e), 0);
	assert_string_equal(names, "base mid_one virtio_net fs");
}

static void test_missing_and_optional(void **state)
{
	const struct kernel_module_want optional[] = {{"absent", true}, {"a", false}};
	const struct kernel_module_want needed[] = {{"a", false}, {"absent", false}};
	const struct kernel_module_want builtin[] = {{"crc", false}};
	const struct kernel_module_want broken[] = {{"b", true}};
	struct err e = ERR_INIT;
	char names[256];

	(void)state;
	put_lists("kernel/a.ko\nkernel/b.ko\n", "kernel/lib/crc.ko\n");
	put_module("a", "");
	put_module("b", "nowhere");
	assert_int_equal(collect(optional, 2, names, &e), 0);
	assert_string_equal(names, "a");
	assert_int_equal(collect(builtin, 1, names, &e), 0);
	assert_string_equal(names, "");
	assert_int_equal(collect(needed, 2, names, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "'absent'"));
	/* What a module that is there depends on is never optional. */
	assert_int_equal(collect(broken, 1, names, &e), -ENOENT);
	assert_non_null(strstr(e.text, "'nowhere'"));
}

static void test_listed_file_that_is_not_there(void **state)
{
	const struct kernel_module_want want[] = {{"ghost", false}};
	struct err e = ERR_INIT;
	char names[256];

	(void)state;
	put_lists("kernel/ghost.ko\n", "");
	assert_int_equal(collect(want, 1, names, &e), -ENOENT);
	assert_non_null(strstr(e.text, "kernel/ghost.ko"));
}

static void test_circle_ends(void **state)
{
	const struct kernel_module_want want[] = {{"a", false}};
	struct err e = ERR_INIT;
	char names[256];

	(void)state;
	put_lists("kernel/a.ko\nkernel/b.ko\n", "");
	put_module("a", "b");
	put_module("b", "a");
	assert_int_equal(collect(want, 1, names, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "circle"));
}

static void test_xz(void **state)
{
	const struct kernel_module_want want[] = {{"packed", false}};
	struct err e = ERR_INIT;
	char names[256], command[256];

	(void)state;
	if (access("/usr/bin/xz", X_OK) < 0) {
		print_message("# skip: xz is not installed\n");
		skip();
	}
	put_lists("kernel/packed.ko\n", "");
	put_module("packed", "");
	snprintf(command, sizeof(command), "xz %s/kernel/packed.ko", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(collect(want, 1, names, &e), 0);
	assert_string_equal(names, "packed");
	put("kernel/packed.ko.xz", "not xz at all", 13);
	assert_true(collect(want, 1, names, &e) < 0);
}

/* Every truncation and every damaged byte is refused or harmless: no read outside the buffer (a
 * sanitizer run sees it), no crash. */
static void test_damaged_modules(void **state)
{
	char good[4096], *copy;
	size_t len = make_ko(good, "one,two");
	char *depends = NULL;

	(void)state;
	assert_int_equal(kernel_module_depends(good, len, &depends, NULL), 0);
	assert_string_equal(depends, "one,two");
	free(depends);
	for (size_t n = 0; n < len; n++) {
		depends = NULL;
		copy = malloc(n ? n : 1);
		memcpy(copy, good, n);
		assert_int_equal(kernel_module_depends(copy, n, &depends, NULL), -EBADMSG);
		assert_null(depends);
		free(copy);
	}
	for (size_t i = 0; i < len; i++) {
		depends = NULL;
		copy = malloc(len);
		memcpy(copy, good, len);
		copy[i] = (char)0xff;
		kernel_module_depends(copy, len, &depends, NULL);
		free(depends);
		free(copy);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_dependencies_come_first_and_once),
		T(test_missing_and_optional),
		T(test_listed_file_that_is_not_there),
		T(test_circle_ends),
		T(test_xz),
		cmocka_unit_test(test_damaged_modules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
