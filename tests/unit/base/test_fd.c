/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: whole reads and writes, caps, close-on-exec, standard streams, sealed memory.
 */
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int pipe_with(const char *text, size_t len)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(write(p[1], text, len), len);
	close(p[1]);
	return p[0];
}

static void close_keeps_errno(void **state)
{
	(void)state;
	errno = EXDEV;
	assert_int_equal(fd_close(-1), -EBADF);
	assert_int_equal(fd_close(1 << 20), -EBADF);
	assert_int_equal(errno, EXDEV);
}

static void read_exact_tells_the_ends_apart(void **state)
{
	_cleanup_close_ int fd = pipe_with("abcde", 5);
	struct err e = ERR_INIT;
	char buf[8] = "";

	(void)state;
	assert_int_equal(fd_read_exact(fd, buf, 3, "the pipe", &e), 0);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(fd_read_exact(fd, buf, 3, "the pipe", &e), -EPIPE);
	assert_has(e.text, "read the pipe");
	assert_int_equal(fd_read_exact(fd, buf, 3, "the pipe", &e), -ENODATA);
	assert_int_equal(fd_read_exact(fd, buf, 0, "the pipe", &e), 0);
	assert_int_equal(fd_read_exact(-1, buf, 1, "nothing", &e), -EBADF);
}

static void read_all_has_a_cap(void **state)
{
	static const size_t caps[] = {0, 1, 4, 5, 6, 100000, SIZE_MAX};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		_cleanup_close_ int fd = pipe_with("ab\0de", 5);
		_cleanup_free_ char *buf = NULL;
		size_t len = 77;
		int r = fd_read_all(fd, caps[i], &buf, &len, "x", &e);

		assert_int_equal(r, caps[i] < 5 ? -EFBIG : 0);
		if (r == 0) {
			assert_int_equal(len, 5);
			assert_memory_equal(buf, "ab\0de\0", 6);
		} else {
			assert_null(buf);
			assert_int_equal(len, 77);
		}
	}
}

static void read_all_of_files_and_nothing(void **state)
{
	_cleanup_close_ int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_RDONLY),
			    stat_fd = open("/proc/self/maps", O_RDONLY), dir = open("/", O_RDONLY);
	_cleanup_free_ char *a = NULL, *b = NULL, *c = NULL;
	size_t len;

	(void)state;
	assert_int_equal(fd_read_all(zero, 10000, &a, &len, "zero", NULL), -EFBIG);
	assert_int_equal(fd_read_all(null, 0, &b, &len, "null", NULL), 0);
	assert_int_equal(len, 0);
	assert_string_equal(b, "");
	/* procfs says size 0 and delivers in pieces */
	assert_int_equal(fd_read_all(stat_fd, 1 << 20, &c, &len, "maps", NULL), 0);
	assert_true(len > 100);
	assert_int_equal(strlen(c), len);
	assert_int_equal(fd_read_all(dir, 10, &a, &len, "dir", NULL), -EISDIR);
}

/* Interrupted all the time, and by a pipe that takes little at once. */
static void on_alarm(int sig)
{
	(void)sig;
}

static void write_all_survives_interruptions(void **state)
{
	struct itimerval every = {{0, 500}, {0, 500}}, never = {0};
	struct sigaction sa = {.sa_handler = on_alarm}, before;
	size_t len = 3 << 20;
	char *out = malloc(len), *in = malloc(len);
	struct err e = ERR_INIT;
	int p[2], status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(i * 7 + i / 251);
	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(p[1]);
		_exit(fd_read_exact(p[0], in, len, "pipe", NULL) == 0 && memcmp(in, out, len) == 0
			      ? 0
			      : 1);
	}
	close(p[0]);
	sigaction(SIGALRM, &sa, &before);
	setitimer(ITIMER_REAL, &every, NULL);
	assert_ok(fd_write_all(p[1], out, len, "pipe", &e), &e);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	free(out);
	free(in);
}

static void write_all_tells_a_full_device(void **state)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fd_write_all(fd, "x", 1, "'/dev/full'", &e), -ENOSPC);
	assert_string_equal(e.text, "write '/dev/full': No space left on device");
}

static void flags(void **state)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(fd_set_nonblock(fd, true), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(fd, false), 0);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_cloexec(fd, true), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_set_cloexec(fd, false), 0);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fd_set_cloexec(-1, false), -EBADF);
	assert_int_equal(fd_set_nonblock(-1, false), -EBADF);
}

static int dup_with_free_stdio(void *arg)
{
	int fd = open("/dev/null", O_RDONLY), copy;

	(void)arg;
	close(0);
	close(1);
	copy = fd_dup_above_stdio(fd);
	return copy >= 3 && fcntl(copy, F_GETFD) == FD_CLOEXEC && fd_dup_above_stdio(-1) == -EBADF
		       ? 0
		       : 1;
}

static void dup_stays_above_stdio(void **state)
{
	(void)state;
	assert_int_equal(in_child(dup_with_free_stdio, NULL), 0);
}

static int cloexec_from_ten(void *arg)
{
	int errnum = arg ? *(int *)arg : 0;

	for (int fd = 3; fd < 300; fd++)
		dup2(0, fd);
	if (errnum && forbid_syscall(SYS_close_range, errnum) < 0)
		return 1;
	if (fd_cloexec_from(10, NULL) < 0)
		return 2;
	for (int fd = 3; fd < 300; fd++)
		if (fcntl(fd, F_GETFD) != (fd < 10 ? 0 : FD_CLOEXEC))
			return 3;
	return 0;
}

static void cloexec_from_with_and_without_close_range(void **state)
{
	int errnums[] = {ENOSYS, EINVAL, EPERM};

	(void)state;
	assert_int_equal(in_child(cloexec_from_ten, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(errnums); i++)
		assert_int_equal(in_child(cloexec_from_ten, &errnums[i]), 0);
}

static int stdio_closed(void *arg)
{
	unsigned closed = *(unsigned *)arg;
	struct stat st;
	int next;

	for (int fd = 0; fd <= 2; fd++)
		if (closed & (1u << fd))
			close(fd);
	if (fd_sanitize_stdio(NULL) < 0)
		return 1;
	for (int fd = 0; fd <= 2; fd++) {
		if (fstat(fd, &st) < 0)
			return 2;
		if ((closed & (1u << fd)) && (!S_ISCHR(st.st_mode) || fcntl(fd, F_GETFD) != 0))
			return 3;
	}
	next = open("/", O_RDONLY);
	return next > 2 ? 0 : 4;
}

static void closed_standard_streams_are_filled(void **state)
{
	(void)state;
	for (unsigned closed = 0; closed < 8; closed++)
		assert_int_equal(in_child(stdio_closed, &closed), 0);
}

static void sealed_memory_stays_as_it_is(void **state)
{
	_cleanup_close_ int fd = -EBADF;
	struct err e = ERR_INIT;
	char buf[8] = "";

	(void)state;
	fd = fd_sealed_memfd("test", "hello", 5, &e);
	assert_ok(fd, &e);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(fd, buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 3), -1);
	assert_int_equal(ftruncate(fd, 30), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	assert_ptr_equal(mmap(NULL, 5, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_keeps_errno),
		cmocka_unit_test(read_exact_tells_the_ends_apart),
		cmocka_unit_test(read_all_has_a_cap),
		cmocka_unit_test(read_all_of_files_and_nothing),
		cmocka_unit_test(write_all_survives_interruptions),
		cmocka_unit_test(write_all_tells_a_full_device),
		cmocka_unit_test(flags),
		cmocka_unit_test(dup_stays_above_stdio),
		cmocka_unit_test(cloexec_from_with_and_without_close_range),
		cmocka_unit_test(closed_standard_streams_are_filled),
		cmocka_unit_test(sealed_memory_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
