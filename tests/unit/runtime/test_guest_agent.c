/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of a guest, without a guest: it runs in a child over a socket pair, and the test is its
 * host. Creating a sandbox is left to the integration tests; here is what an agent owes a host in
 * every state.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../runtime/guest.h"
#include "base/cleanup.h"

#define PATIENCE_MSEC 20000

struct fixture {
	pid_t pid;
	int fd;
	struct agent_conn *c;
};

static void start(struct fixture *f, const struct err *boot_error)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		struct guest_agent_options o = {.fd = sv[1], .boot_error = boot_error};
		struct err e = ERR_INIT;

		close(sv[0]);
		_exit(guest_agent_run(&o, &e) < 0);
	}
	close(sv[1]);
	f->fd = sv[0];
	assert_int_equal(agent_conn_new(f->fd, &f->c), 0);
}

/* Its exit status. */
static int stop(struct fixture *f)
{
	int status;

	agent_conn_free(f->c);
	close(f->fd);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void say(struct fixture *f, enum agent_type type, uint32_t proc, uint16_t flags,
		const void *payload, size_t len)
{
	struct agent_header h = {
		.type = (uint8_t)type, .proc = proc, .flags = flags, .length = (uint32_t)len};
	struct pollfd p = {.fd = f->fd, .events = POLLOUT};

	assert_int_equal(agent_send(f->c, &h, payload), 0);
	while (agent_conn_wants_write(f->c) && agent_conn_flush(f->c, NULL) == 0)
		assert_true(poll(&p, 1, PATIENCE_MSEC) > 0);
}

/* The next frame; false at the end of the connection. */
static bool hear(struct fixture *f, struct agent_frame *ret)
{
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	int r;

	while ((r = agent_conn_next(f->c, ret, NULL)) == 0) {
		assert_true(poll(&p, 1, PATIENCE_MSEC) > 0);
		if (agent_conn_fill(f->c, NULL) < 0)
			return false;
	}
	assert_int_equal(r, 1);
	return true;
}

static void expect_hello(struct fixture *f)
{
	struct agent_frame frame;

	assert_true(hear(f, &frame));
	assert_int_equal(frame.h.type, AGENT_HELLO);
	assert_int_equal(frame.h.value, AGENT_VERSION);
}

static void expect_error(struct fixture *f, uint32_t proc, enum err_kind kind, const char *word)
{
	struct agent_frame frame;
	struct err e;

	assert_true(hear(f, &frame));
	assert_int_equal(frame.h.type, AGENT_ERROR);
	assert_int_equal(frame.h.proc, proc);
	memcpy(&e, frame.payload, sizeof(e));
	assert_int_equal(e.kind, kind);
	if (!strstr(e.text, word))
		fail_msg("'%s' is not in '%s'", word, e.text);
}

static void test_hello_then_shutdown(void **state)
{
	struct fixture f;
	struct agent_frame frame;

	(void)state;
	start(&f, NULL);
	expect_hello(&f);
	say(&f, AGENT_SHUTDOWN, 0, 0, NULL, 0);
	assert_false(hear(&f, &frame));
	assert_int_equal(stop(&f), 0);
}

static void test_ends_with_the_channel(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, NULL);
	expect_hello(&f);
	assert_int_equal(stop(&f), 0);
}

static void test_boot_error_reaches_the_host(void **state)
{
	struct err e = ERR_INIT;
	struct fixture f;

	(void)state;
	err_set(&e, ERR_SYSTEM, EINVAL, "mount 'insula'");
	start(&f, &e);
	expect_error(&f, 0, ERR_SYSTEM, "mount 'insula'");
	assert_int_equal(stop(&f), 0);
}

static void test_exec_and_start_without_a_sandbox(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, NULL);
	expect_hello(&f);
	say(&f, AGENT_EXEC, 3, 0, "{}", 2);
	expect_error(&f, 3, ERR_STATE, "not running");
	say(&f, AGENT_EXEC, 4, 0, NULL, 0); /* not even a document */
	expect_error(&f, 4, ERR_STATE, "not running");
	say(&f, AGENT_START, 0, 0, NULL, 0);
	expect_error(&f, 0, ERR_STATE, "");
	assert_int_equal(stop(&f), 0);
}

static void test_bad_documents(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, NULL);
	expect_hello(&f);
	/* in two pieces, and no JSON */
	say(&f, AGENT_CREATE, 0, AGENT_MORE, "{\"ociVersion\":", 14);
	say(&f, AGENT_CREATE, 0, 0, "oops", 4);
	expect_error(&f, 0, ERR_INVALID, "configuration");
	/* there is one attempt, whatever it was */
	say(&f, AGENT_CREATE, 0, 0, "{}", 2);
	expect_error(&f, 0, ERR_STATE, "already");
	assert_int_equal(stop(&f), 0);
}

static void test_empty_document(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, NULL);
	expect_hello(&f);
	say(&f, AGENT_CREATE, 0, 0, NULL, 0);
	expect_error(&f, 0, ERR_INVALID, "configuration");
	assert_int_equal(stop(&f), 0);
}

/* They crossed the EXIT of their process on the way. */
static void test_late_frames_are_no_error(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, NULL);
	expect_hello(&f);
	say(&f, AGENT_DATA, 8, 0, "late", 4);
	say(&f, AGENT_CREDIT, 8, 0, NULL, 0);
	say(&f, AGENT_SIGNAL, 8, 0, NULL, 0);
	say(&f, AGENT_RESIZE, 8, 0, NULL, 0);
	say(&f, AGENT_EXEC, 9, 0, "{}", 2);
	expect_error(&f, 9, ERR_STATE, "");
	assert_int_equal(stop(&f), 0);
}

static void test_nonsense_ends_it(void **state)
{
	static const struct {
		enum agent_type type;
		uint32_t proc;
	} bad[] = {
		{AGENT_HELLO, 0},   {AGENT_EXIT, 0},
		{AGENT_STARTED, 1}, {AGENT_CREATE, 4}, /* process 0 only */
		{AGENT_EXEC, 0},                       /* never process 0 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct agent_frame frame;
		struct fixture f;

		start(&f, NULL);
		expect_hello(&f);
		say(&f, bad[i].type, bad[i].proc, 0, NULL, 0);
		assert_false(hear(&f, &frame));
		assert_int_equal(stop(&f), 1);
	}
}

static void test_endless_document_ends_it(void **state)
{
	static char chunk[AGENT_PAYLOAD_MAX];
	struct pollfd p = {.events = POLLOUT};
	struct fixture f;

	(void)state;
	start(&f, NULL);
	expect_hello(&f);
	p.fd = f.fd;
	for (size_t sent = 0; sent < 4 * AGENT_DOCUMENT_MAX; sent += sizeof(chunk)) {
		struct agent_header h = {
			.type = AGENT_CREATE, .flags = AGENT_MORE, .length = sizeof(chunk)};

		assert_int_equal(agent_send(f.c, &h, chunk), 0);
		while (agent_conn_wants_write(f.c)) {
			if (agent_conn_flush(f.c, NULL) < 0) {
				assert_true(sent >= AGENT_DOCUMENT_MAX);
				assert_int_equal(stop(&f), 1);
				return;
			}
			assert_true(poll(&p, 1, PATIENCE_MSEC) > 0);
		}
	}
	fail_msg("it took everything");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_then_shutdown),
		cmocka_unit_test(test_ends_with_the_channel),
		cmocka_unit_test(test_boot_error_reaches_the_host),
		cmocka_unit_test(test_exec_and_start_without_a_sandbox),
		cmocka_unit_test(test_bad_documents),
		cmocka_unit_test(test_empty_document),
		cmocka_unit_test(test_late_frames_are_no_error),
		cmocka_unit_test(test_nonsense_ends_it),
		cmocka_unit_test(test_endless_document_ends_it),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
