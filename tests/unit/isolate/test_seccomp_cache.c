/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of compiled filters: what comes out is always what compiling gives, whatever lies in the
 * directory; and what is there and good spares the compiler.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "isolate/seccomp.h"

struct cache {
	char path[64], file[NAME_MAX + 1];
	int fd;
	char *names[8];
	struct iso_seccomp_rule rule;
	struct iso_seccomp filter;
};

static uint32_t action(const char *name)
{
	uint32_t a = 0;

	assert_int_equal(iso_seccomp_action_parse(name, &a), 0);
	return a;
}

/* Allows everything but what is named. */
static void deny(struct cache *c, const char *name, uint32_t errnum)
{
	c->names[0] = (char *)name;
	c->names[1] = NULL;
	c->rule = (struct iso_seccomp_rule){.names = c->names,
					    .action = action("SCMP_ACT_ERRNO"),
					    .has_errno_ret = true,
					    .errno_ret = errnum};
	c->filter = (struct iso_seccomp){.present = true,
					 .default_action = action("SCMP_ACT_ALLOW"),
					 .rules = &c->rule,
					 .n_rules = 1};
}

static int set_up(void **state)
{
	struct cache *c = calloc(1, sizeof(*c));

	strcpy(c->path, "/tmp/insula-filters-XXXXXX");
	if (!mkdtemp(c->path))
		return -1;
	c->fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	deny(c, "mkdir", EXDEV);
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	struct cache *c = *state;

	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = path_remove_tree_at(tmp, c->path + strlen("/tmp/"), NULL);

	close(tmp);
	close(c->fd);
	if (r < 0)
		return -1;
	free(c);
	return 0;
}

/* How many files there are; the name of the last one seen goes to c->file. */
static size_t count(struct cache *c)
{
	DIR *d = opendir(c->path);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.'))
			continue;
		strcpy(c->file, e->d_name);
		n++;
	}
	closedir(d);
	return n;
}

static ino_t inode(struct cache *c)
{
	struct stat st;

	assert_int_equal(fstatat(c->fd, c->file, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600);
	assert_int_equal(st.st_uid, geteuid());
	return st.st_ino;
}

/* What the cache gives is what the compiler gives. */
static void check_program(const struct iso_seccomp *s, int fd)
{
	struct iso_bpf cached = {0}, fresh = {0};
	struct err e = ERR_INIT;

	if (iso_seccomp_compile_cached(s, fd, &cached, &e) < 0 ||
	    iso_seccomp_compile(s, &fresh, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(cached.n, fresh.n);
	assert_int_equal(cached.flags, fresh.flags);
	assert_int_equal(cached.wants_notify, fresh.wants_notify);
	assert_memory_equal(cached.insns, fresh.insns, fresh.n * 8u);
	iso_bpf_done(&cached);
	iso_bpf_done(&fresh);
}

/* Fill the cache, change its file by `spoil`, and see it ignored and made anew. */
static void check_spoilt(struct cache *c, void (*spoil)(struct cache *c))
{
	ino_t good;

	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
	spoil(c);
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
	good = inode(c);
	check_program(&c->filter, c->fd);
	assert_int_equal(inode(c), good);
}

static void spares_the_compiler(void **state)
{
	struct cache *c = *state, ban = {.fd = -1};
	struct iso_bpf program = {0};
	struct err e = ERR_INIT;
	int status;
	ino_t first;
	pid_t pid;

	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
	first = inode(c);
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
	assert_int_equal(inode(c), first);

	/* Where libseccomp cannot hand its program out, only the cache can give one. */
	deny(&ban, "memfd_create", EPERM);
	assert_int_equal(iso_seccomp_compile(&ban.filter, &program, &e), 0);
	pid = fork();
	if (pid == 0) {
		struct iso_bpf b = {0};

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    iso_seccomp_install(&program, NULL) < 0)
			_exit(99);
		if (iso_seccomp_compile(&c->filter, &b, &e) != -EPERM)
			_exit(1);
		_exit(iso_seccomp_compile_cached(&c->filter, c->fd, &b, &e) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	iso_bpf_done(&program);
}

static void each_input_has_its_own(void **state)
{
	struct cache *c = *state;
	uint32_t arch = 0;
	struct iso_seccomp_arg arg = {.index = 1, .value = 7};

	check_program(&c->filter, c->fd);
	deny(c, "mkdir", ENOSYS);
	check_program(&c->filter, c->fd);
	deny(c, "rmdir", EXDEV);
	check_program(&c->filter, c->fd);
	c->filter.default_action = action("SCMP_ACT_LOG");
	check_program(&c->filter, c->fd);
	assert_int_equal(iso_seccomp_flag_parse("SECCOMP_FILTER_FLAG_LOG", &c->filter.flags), 0);
	check_program(&c->filter, c->fd);
	assert_int_equal(iso_seccomp_arch_parse("SCMP_ARCH_AARCH64", &arch), 0);
	c->filter.arches = &arch;
	c->filter.n_arches = 1;
	check_program(&c->filter, c->fd);
	assert_int_equal(iso_seccomp_op_parse("SCMP_CMP_EQ", &arg.op), 0);
	c->rule.args = &arg;
	c->rule.n_args = 1;
	check_program(&c->filter, c->fd);
	arg.value = 8;
	check_program(&c->filter, c->fd);
	assert_int_equal(iso_seccomp_op_parse("SCMP_CMP_NE", &arg.op), 0);
	check_program(&c->filter, c->fd);
	arg.index = 2;
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 10);
}

/* "ab","c" is not "a","bc", and two rules are not one. */
static void lists_do_not_run_together(void **state)
{
	struct cache *c = *state;
	struct iso_seccomp_rule two[2];
	char *a[] = {(char *)"mkdir", NULL}, *b[] = {(char *)"rmdir", NULL};

	c->names[1] = (char *)"rmdir";
	c->names[2] = NULL;
	check_program(&c->filter, c->fd);
	two[0] = two[1] = c->rule;
	two[0].names = a;
	two[1].names = b;
	two[1].errno_ret = ENOSYS;
	c->filter.rules = two;
	c->filter.n_rules = 2;
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 2);
}

static void errors_are_the_compilers(void **state)
{
	struct cache *c = *state;
	struct iso_bpf b = {0};
	struct err e = ERR_INIT;

	c->rule.errno_ret = 5000;
	assert_int_equal(iso_seccomp_compile_cached(&c->filter, c->fd, &b, &e), -EINVAL);
	assert_non_null(strstr(e.text, "5000"));
	assert_int_equal(count(c), 0);
	c->filter.present = false;
	assert_int_equal(iso_seccomp_compile_cached(&c->filter, c->fd, &b, &e), 0);
	assert_int_equal(b.n, 0);
	assert_int_equal(count(c), 0);
}

/* ---- what somebody or something left there ----------------------------------------------------- */

static void truncate_it(struct cache *c)
{
	struct stat st;

	assert_int_equal(fstatat(c->fd, c->file, &st, 0), 0);
	int fd = openat(c->fd, c->file, O_WRONLY);

	assert_int_equal(ftruncate(fd, st.st_size - 8), 0);
	close(fd);
}

static void empty_it(struct cache *c)
{
	close(openat(c->fd, c->file, O_WRONLY | O_TRUNC));
}

static void lengthen_it(struct cache *c)
{
	int fd = openat(c->fd, c->file, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, "12345678", 8), 8);
	close(fd);
}

static void flip_at(struct cache *c, off_t from_end)
{
	int fd = openat(c->fd, c->file, O_RDWR);
	off_t at = lseek(fd, from_end, SEEK_END);
	char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* Its last instruction is the answer: allow would become something else. */
static void flip_program(struct cache *c)
{
	flip_at(c, -2);
}

static void open_to_others(struct cache *c)
{
	assert_int_equal(fchmodat(c->fd, c->file, 0620, 0), 0);
}

static void give_away(struct cache *c)
{
	assert_int_equal(fchownat(c->fd, c->file, 65534, 65534, 0), 0);
}

/* To a file with the right content: it might be somebody else's to change later. */
static void link_it(struct cache *c)
{
	char target[128];

	snprintf(target, sizeof(target), "%s.target", c->path);
	assert_int_equal(renameat(c->fd, c->file, AT_FDCWD, target), 0);
	assert_int_equal(symlinkat(target, c->fd, c->file), 0);
}

static void make_it_a_fifo(struct cache *c)
{
	assert_int_equal(unlinkat(c->fd, c->file, 0), 0);
	assert_int_equal(mkfifoat(c->fd, c->file, 0600), 0);
}

static void fill_it(struct cache *c)
{
	int fd = openat(c->fd, c->file, O_WRONLY);

	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	close(fd);
}

static void damaged_files(void **state)
{
	static void (*const spoil[])(struct cache *) = {truncate_it, empty_it, lengthen_it,
							flip_program, fill_it};

	for (size_t i = 0; i < ARRAY_SIZE(spoil); i++)
		check_spoilt(*state, spoil[i]);
}

static void planted_files(void **state)
{
	struct cache *c = *state;
	char target[128];

	check_spoilt(c, open_to_others);
	check_spoilt(c, make_it_a_fifo);
	check_spoilt(c, link_it);
	snprintf(target, sizeof(target), "%s.target", c->path);
	assert_int_equal(unlink(target), 0);
	if (geteuid() != 0) {
		print_message("# skip: files of another owner need root\n");
		return;
	}
	check_spoilt(c, give_away);
}

/* The name is a hash, and hashes may meet: here another filter's file bears the name of ours. */
static void another_input_under_the_same_name(void **state)
{
	struct cache *c = *state;
	char ours[NAME_MAX + 1];

	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
	strcpy(ours, c->file);
	assert_int_equal(unlinkat(c->fd, ours, 0), 0);
	deny(c, "rmdir", ENOSYS);
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
	assert_string_not_equal(ours, c->file);
	assert_int_equal(renameat(c->fd, c->file, c->fd, ours), 0);
	deny(c, "mkdir", EXDEV);
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
}

static void a_directory_of_others_is_not_used(void **state)
{
	struct cache *c = *state;

	assert_int_equal(fchmod(c->fd, 0720), 0);
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 0);
	assert_int_equal(fchmod(c->fd, 0700), 0);
	check_program(&c->filter, -1);
	assert_int_equal(count(c), 0);
	if (geteuid() == 0) {
		assert_int_equal(fchown(c->fd, 65534, 65534), 0);
		check_program(&c->filter, c->fd);
		assert_int_equal(count(c), 0);
		assert_int_equal(fchown(c->fd, 0, 0), 0);
	}
	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
}

static void the_oldest_make_room(void **state)
{
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct cache *c = *state;
	char first[NAME_MAX + 1];

	check_program(&c->filter, c->fd);
	assert_int_equal(count(c), 1);
	strcpy(first, c->file);
	assert_int_equal(utimensat(c->fd, first, old, 0), 0);
	for (uint32_t i = 1; i <= 40; i++) {
		deny(c, "mkdir", EXDEV + i);
		check_program(&c->filter, c->fd);
		assert_true(count(c) <= 32);
	}
	assert_int_equal(count(c), 32);
	assert_int_equal(faccessat(c->fd, first, F_OK, 0), -1);
}

#define with_cache(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_cache(spares_the_compiler),
		with_cache(each_input_has_its_own),
		with_cache(lists_do_not_run_together),
		with_cache(errors_are_the_compilers),
		with_cache(damaged_files),
		with_cache(planted_files),
		with_cache(another_input_under_the_same_name),
		with_cache(a_directory_of_others_is_not_used),
		with_cache(the_oldest_make_room),
	};

	return cmocka_run_group_tests_name("isolate/seccomp_cache", tests, NULL, NULL);
}
