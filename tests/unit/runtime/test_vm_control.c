/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's messages: what is sent arrives, descriptors with it; errors of the monitor
 * are told apart from the socket's own, whatever errno they carry; malformed ones are refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../runtime/vm_control.h"
#include "base/cleanup.h"

struct ends {
	int a, b;
};

static int setup(void **state)
{
	struct ends *x = malloc(sizeof(*x));
	int sv[2];

	if (!x || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	x->a = sv[0];
	x->b = sv[1];
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct ends *x = *state;

	close(x->a);
	close(x->b);
	free(x);
	return 0;
}

static void test_message_and_descriptors(void **state)
{
	struct ends *x = *state;
	struct control_message m = CONTROL_MESSAGE(CONTROL_EXEC, .value = -5, .flags = 2), got;
	struct err e = ERR_INIT;
	struct stat want, have;

	for (int i = 0; i < CONTROL_FD_COUNT; i++)
		m.fds[i] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(vm_control_send(x->a, &m, NULL, &e), 0);
	fstat(m.fds[0], &want);
	control_message_done(&m);
	assert_int_equal(control_recv(x->b, &got, &e), 0);
	assert_int_equal(got.type, CONTROL_EXEC);
	assert_int_equal(got.value, -5);
	assert_int_equal(got.flags, 2);
	for (int i = 0; i < CONTROL_FD_COUNT; i++) {
		assert_int_equal(fstat(got.fds[i], &have), 0);
		assert_int_equal(have.st_rdev, want.st_rdev);
		assert_true(fcntl(got.fds[i], F_GETFD) & FD_CLOEXEC);
	}
	control_message_done(&got);
}

static void test_nothing_and_end(void **state)
{
	struct ends *x = *state;
	struct control_message got;
	struct err e = ERR_INIT;

	assert_int_equal(control_recv(x->b, &got, &e), -EAGAIN);
	shutdown(x->a, SHUT_WR);
	assert_int_equal(control_recv(x->b, &got, &e), -EPIPE);
}

/* EAGAIN and EPIPE are what the socket itself says, too. */
static void test_errors_of_any_number(void **state)
{
	static const int numbers[] = {EAGAIN, EPIPE, ENOENT};
	struct ends *x = *state;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct control_message m = CONTROL_MESSAGE(CONTROL_ERROR), got;
		struct err sent = ERR_INIT, e = ERR_INIT;

		err_set(&sent, ERR_LIMIT, numbers[i], "too many");
		assert_int_equal(vm_control_send(x->a, &m, &sent, NULL), 0);
		assert_int_equal(control_recv(x->b, &got, &e), 1);
		assert_int_equal(e.kind, ERR_LIMIT);
		assert_string_equal(e.text, "too many");
		assert_int_equal(control_error(&e), -numbers[i]);
	}
}

static void test_malformed(void **state)
{
	static const struct {
		uint32_t words[4];
		size_t len;
	} bad[] = {
		{{CONTROL_OK, 0, 0, 0}, 15},         /* short */
		{{0, 0, 0, 0}, 16},                  /* no type */
		{{CONTROL_TYPE_COUNT, 0, 0, 0}, 16}, /* unknown type */
		{{CONTROL_ERROR, 0, 0, 0}, 16},      /* an error without one */
	};
	struct ends *x = *state;
	struct control_message got;
	char big[8192] = {CONTROL_OK};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(send(x->a, bad[i].words, bad[i].len, 0), bad[i].len);
		assert_int_equal(control_recv(x->b, &got, &e), -EPROTO);
	}
	assert_int_equal(send(x->a, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(control_recv(x->b, &got, NULL), -EPROTO);
	assert_int_equal(send(x->a, big, 17, 0), 17);
	assert_int_equal(control_recv(x->b, &got, NULL), -EPROTO);
}

static void test_names_in_a_deep_directory(void **state)
{
	char dir[] = "/tmp/insula-control-XXXXXX", deep[200];
	struct err e = ERR_INIT;
	int top, fd, listener, client, server;

	(void)state;
	memset(deep, 'd', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_non_null(mkdtemp(dir));
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(top, deep, 0700), 0);
	fd = openat(top, deep, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(control_connect(fd, &e) < 0);
	assert_int_equal(e.kind, ERR_STATE);
	listener = control_listen(fd, &e);
	assert_true(listener >= 0);
	assert_int_equal(control_accept(listener), -EAGAIN);
	client = control_connect(fd, &e);
	assert_true(client >= 0);
	server = control_accept(listener);
	assert_true(server >= 0);
	close(server);
	close(client);
	close(listener);
	unlinkat(fd, CONTROL_NAME, 0);
	close(fd);
	unlinkat(top, deep, AT_REMOVEDIR);
	close(top);
	rmdir(dir);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_message_and_descriptors),
		T(test_nothing_and_end),
		T(test_errors_of_any_number),
		T(test_malformed),
		cmocka_unit_test(test_names_in_a_deep_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
