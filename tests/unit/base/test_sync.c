/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synchronisation channel: what passes, and what a hostile peer sends.
 */
#include "check.h"

#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/sync.h"

/* The message as it travels; the length decides, so the test builds its own. */
struct wire {
	int32_t type, value;
	struct err error;
};

static void make_pair(int p[2])
{
	struct err e = ERR_INIT;

	assert_ok(sync_pair(p, &e), &e);
}

static void drop_pair(int p[2])
{
	close(p[0]);
	close(p[1]);
}

static unsigned count_open(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void messages_pass_in_order(void **state)
{
	enum sync_type type;
	struct err e = ERR_INIT;
	int32_t value = 0;
	int p[2], fd = 4711;

	(void)state;
	make_pair(p);
	assert_int_equal(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(p[1], F_GETFD), FD_CLOEXEC);
	assert_ok(sync_send(p[0], SYNC_HOST_READY, 0, -1, &e), &e);
	assert_ok(sync_send(p[0], SYNC_PID, -5, -1, &e), &e);
	assert_ok(sync_recv(p[1], "the child", &type, &value, &fd, &e), &e);
	assert_int_equal(type, SYNC_HOST_READY);
	assert_int_equal(fd, -1);
	assert_ok(sync_expect(p[1], "the child", SYNC_PID, &value, NULL, &e), &e);
	assert_int_equal(value, -5);
	drop_pair(p);
}

static void descriptors_pass_close_on_exec(void **state)
{
	unsigned before = count_open();
	struct err e = ERR_INIT;
	struct stat a, b;
	int p[2], null = open("/dev/null", O_RDWR), got = -1;

	(void)state;
	make_pair(p);
	assert_ok(sync_send(p[0], SYNC_CONSOLE, 0, null, &e), &e);
	assert_ok(sync_expect(p[1], "x", SYNC_CONSOLE, NULL, &got, &e), &e);
	assert_true(got >= 0);
	assert_int_equal(fcntl(got, F_GETFD), FD_CLOEXEC);
	fstat(got, &a);
	fstat(null, &b);
	assert_int_equal(a.st_rdev, b.st_rdev);
	close(got);
	/* not wanted: closed, also on a mismatch */
	assert_ok(sync_send(p[0], SYNC_CONSOLE, 0, null, &e), &e);
	assert_ok(sync_expect(p[1], "x", SYNC_CONSOLE, NULL, NULL, &e), &e);
	assert_ok(sync_send(p[0], SYNC_CONSOLE, 0, null, &e), &e);
	got = 4711;
	assert_int_equal(sync_expect(p[1], "x", SYNC_READY, NULL, &got, &e), -EPROTO);
	assert_int_equal(got, 4711);
	close(null);
	drop_pair(p);
	assert_int_equal(count_open(), before);
}

static void unexpected_is_named(void **state)
{
	struct err e = ERR_INIT;
	int p[2];

	(void)state;
	make_pair(p);
	assert_ok(sync_send(p[0], SYNC_GO, 0, -1, &e), &e);
	assert_int_equal(sync_expect(p[1], "the creator", SYNC_COMMIT, NULL, NULL, &e), -EPROTO);
	assert_string_equal(e.text, "the creator sent 'go' where 'commit' was due");
	drop_pair(p);
}

static void end_of_file_is_death(void **state)
{
	enum sync_type type;
	struct err e = ERR_INIT;
	int p[2];

	(void)state;
	make_pair(p);
	close(p[0]);
	assert_int_equal(sync_recv(p[1], "the container's init", &type, NULL, NULL, &e), -EPIPE);
	assert_string_equal(e.text, "the container's init died");
	/* sending to the dead is an error, not a signal */
	assert_int_equal(sync_send(p[1], SYNC_GO, 0, -1, &e), -EPIPE);
	close(p[1]);

	/* died with our message unread */
	make_pair(p);
	assert_ok(sync_send(p[1], SYNC_GO, 0, -1, &e), &e);
	close(p[0]);
	assert_int_equal(sync_recv(p[1], "it", &type, NULL, NULL, &e), -EPIPE);
	close(p[1]);
}

static void errors_arrive_as_they_were(void **state)
{
	struct err sent = ERR_INIT, e = ERR_INIT;
	enum sync_type type;
	int p[2];

	(void)state;
	make_pair(p);
	err_set(&sent, ERR_CMD_NOT_FOUND, ENOENT, "exec 'nosuch'");
	err_hint(&sent, "is it in PATH");
	sync_send_error(p[0], &sent);
	assert_int_equal(sync_recv(p[1], "x", &type, NULL, NULL, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_CMD_NOT_FOUND);
	assert_string_equal(e.text, "exec 'nosuch'");
	assert_string_equal(e.hint, "is it in PATH");
	sync_send_error(p[0], &sent);
	assert_int_equal(sync_expect(p[1], "x", SYNC_READY, NULL, NULL, NULL), -ENOENT);
	/* an error without one must not look like success */
	sync_send_error(p[0], NULL);
	assert_true(sync_recv(p[1], "x", &type, NULL, NULL, &e) < 0);
	sent = ERR_INIT;
	sync_send_error(p[0], &sent);
	assert_true(sync_recv(p[1], "x", &type, NULL, NULL, &e) < 0);
	assert_int_equal(e.kind, ERR_INTERNAL);
	drop_pair(p);
}

/* It fails and leaves while our next message is under way: its reason counts, not its death. */
static void last_words_outlive_the_reset(void **state)
{
	struct err sent = ERR_INIT, e = ERR_INIT;
	enum sync_type type;
	int p[2];

	(void)state;
	make_pair(p);
	err_set(&sent, ERR_INVALID, EINVAL, "mount 'x'");
	assert_ok(sync_send(p[1], SYNC_GO, 0, -1, &e), &e);
	sync_send_error(p[0], &sent);
	close(p[0]);
	assert_int_equal(sync_recv(p[1], "init", &type, NULL, NULL, &e), -EINVAL);
	assert_string_equal(e.text, "mount 'x'");
	assert_int_equal(sync_recv(p[1], "init", &type, NULL, NULL, &e), -EPIPE);
	close(p[1]);
}

static void hostile_error_values_are_repaired(void **state)
{
	struct err e = ERR_INIT;
	enum sync_type type;
	struct wire w;
	int p[2], r;

	(void)state;
	make_pair(p);
	memset(&w, 'A', sizeof(w));
	w.type = SYNC_ERROR;
	w.error.errnum = 0;
	assert_int_equal(send(p[0], &w, sizeof(w), 0), sizeof(w));
	r = sync_recv(p[1], "x", &type, NULL, NULL, &e);
	assert_int_equal(r, -EIO);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	memset(&w.error, 0x1b, sizeof(w.error));
	w.error.errnum = INT32_MIN;
	assert_int_equal(send(p[0], &w, sizeof(w), 0), sizeof(w));
	assert_int_equal(sync_recv(p[1], "x", &type, NULL, NULL, &e), -EIO);
	assert_int_equal(e.text[0], '?');
	drop_pair(p);
}

static void other_lengths_and_types_are_refused(void **state)
{
	static const struct {
		int32_t type;
		size_t len;
	} rows[] = {
		{SYNC_GO, 1},
		{SYNC_GO, 4},
		{SYNC_GO, 7},
		{SYNC_GO, 9},
		{SYNC_GO, sizeof(struct wire)},
		{SYNC_ERROR, 8},
		{SYNC_ERROR, sizeof(struct wire) - 1},
		{SYNC_ERROR, sizeof(struct wire) + 1},
		{0, 8},
		{-1, 8},
		{SYNC_ERROR + 1, 8},
		{INT32_MAX, 8},
		{SYNC_GO, 60000},
	};
	char *big = calloc(1, 60000);
	int p[2];

	(void)state;
	make_pair(p);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum sync_type type = SYNC_READY;
		struct err e = ERR_INIT;

		memcpy(big, &rows[i].type, 4);
		assert_int_equal(send(p[0], big, rows[i].len, 0), rows[i].len);
		assert_int_equal(sync_recv(p[1], "the guest", &type, NULL, NULL, &e), -EPROTO);
		assert_string_equal(e.text, "the guest sent a malformed message");
		assert_int_equal(type, SYNC_READY);
	}
	free(big);
	drop_pair(p);
}

static void send_fds(int sock, const int *fds, size_t n)
{
	int32_t m[2] = {SYNC_CONSOLE, 0};
	struct iovec iov = {m, 8};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 8)];
	} control = {0};
	struct msghdr hdr = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = CMSG_SPACE(sizeof(int) * n)};

	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * n);
	assert_int_equal(sendmsg(sock, &hdr, 0), 8);
}

static void surplus_descriptors_are_closed(void **state)
{
	int fds[8] = {0, 0, 0, 0, 0, 0, 0, 0}, p[2];
	unsigned before = count_open();

	(void)state;
	make_pair(p);
	for (size_t n = 2; n <= 8; n++) {
		enum sync_type type;
		int got = 4711;

		send_fds(p[0], fds, n);
		assert_int_equal(sync_recv(p[1], "x", &type, NULL, &got, NULL), -EPROTO);
		assert_int_equal(got, 4711);
		assert_int_equal(count_open(), before + 2);
	}
	drop_pair(p);
}

/* Who holds a signal that asks to end is not kept waiting by a silent peer, and can still see which it was. */
static void a_held_signal_interrupts(void **state)
{
	struct err e = ERR_INIT;
	enum sync_type type;
	sigset_t term, old, pending;
	int p[2];

	(void)state;
	make_pair(p);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	raise(SIGTERM);
	assert_int_equal(sync_recv(p[0], "peer", &type, NULL, NULL, &e), -EINTR);
	sigpending(&pending);
	assert_int_equal(sigismember(&pending, SIGTERM), 1);
	/* What was said already is heard all the same. */
	err_clear(&e);
	assert_ok(sync_send(p[1], SYNC_GO, 0, -1, &e), &e);
	assert_ok(sync_recv(p[0], "peer", &type, NULL, NULL, &e), &e);
	assert_int_equal(type, SYNC_GO);
	assert_int_equal(sigtimedwait(&term, NULL, &(struct timespec){0}), SIGTERM);
	sigprocmask(SIG_SETMASK, &old, NULL);
	drop_pair(p);
}

static void errors_are_not_sent_as_messages(void **state)
{
	struct err e = ERR_INIT;
	int p[2];

	(void)state;
	make_pair(p);
	assert_int_equal(sync_send(p[0], SYNC_ERROR, 0, -1, &e), -EINVAL);
	assert_int_equal(sync_send(p[0], (enum sync_type)0, 0, -1, &e), -EINVAL);
	drop_pair(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_pass_in_order),
		cmocka_unit_test(descriptors_pass_close_on_exec),
		cmocka_unit_test(unexpected_is_named),
		cmocka_unit_test(end_of_file_is_death),
		cmocka_unit_test(errors_arrive_as_they_were),
		cmocka_unit_test(last_words_outlive_the_reset),
		cmocka_unit_test(hostile_error_values_are_repaired),
		cmocka_unit_test(other_lengths_and_types_are_refused),
		cmocka_unit_test(surplus_descriptors_are_closed),
		cmocka_unit_test(a_held_signal_interrupts),
		cmocka_unit_test(errors_are_not_sent_as_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
