/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start gate. The host process of a sandbox is a child here that waits at the gate; the outcome it
 * owes is told by exit codes and by what the opener gets.
 */
#include "check.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/sync.h"

static struct scratch scratch;

static int make_scratch(void **state)
{
	(void)state;
	scratch_make(&scratch);
	return 0;
}

static int drop_scratch(void **state)
{
	(void)state;
	scratch_drop(&scratch);
	return 0;
}

/* Wait in a child, then let `outcome` (NULL: success) be known. The child exits 0 if it got an order,
 * else with the errno. */
static pid_t waiter(int gate, int sync_fd, int others_end, const struct err *outcome)
{
	pid_t pid = fork();
	int owed;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(others_end);
	owed = gate_wait(gate, sync_fd, NULL);
	if (owed < 0)
		_exit(-owed);
	if (fcntl(owed, F_GETFD) != FD_CLOEXEC)
		_exit(200);
	if (outcome)
		sync_send_error(owed, outcome);
	else if (sync_send(owed, SYNC_STARTED, 0, -1, NULL) < 0)
		_exit(201);
	_exit(0);
}

/* A waiter that takes the order, says this much and ends. */
static pid_t odd_waiter(int gate, int32_t first, int32_t second)
{
	const int32_t said[] = {first, second};
	pid_t pid = fork();
	int owed;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	owed = gate_wait(gate, -1, NULL);
	if (owed < 0)
		_exit(-owed);
	for (int i = 0; i < 2; i++)
		if (said[i] && sync_send(owed, (enum sync_type)said[i], 0, -1, NULL) < 0)
			_exit(201);
	_exit(0);
}

static int result_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void open_starts_the_waiter(void **state)
{
	struct err e = ERR_INIT;
	struct stat st;
	int gate = gate_listen(scratch.fd, &e);
	pid_t pid;

	(void)state;
	assert_ok(gate, &e);
	assert_int_equal(fcntl(gate, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstatat(scratch.fd, "gate", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_true(gate_is_waiting(scratch.fd));
	pid = waiter(gate, -1, -1, NULL);
	close(gate);
	assert_true(gate_is_waiting(scratch.fd));
	assert_true(gate_is_waiting(scratch.fd)); /* looking is no order */
	assert_ok(gate_open(scratch.fd, &e), &e);
	assert_int_equal(result_of(pid), 0);
	/* the socket's file is left, nobody listens: it was started */
	assert_false(gate_is_waiting(scratch.fd));
	assert_int_equal(gate_open(scratch.fd, &e), -ECONNREFUSED);
	assert_int_equal(e.kind, ERR_STATE);
}

static void failure_of_the_exec_arrives(void **state)
{
	struct err e = ERR_INIT, failure = ERR_INIT;
	int gate = gate_listen(scratch.fd, &e);
	pid_t pid;

	(void)state;
	err_set(&failure, ERR_CMD_NOT_EXEC, EACCES, "exec '/x'");
	pid = waiter(gate, -1, -1, &failure);
	close(gate);
	assert_int_equal(gate_open(scratch.fd, &e), -EACCES);
	assert_int_equal(e.kind, ERR_CMD_NOT_EXEC);
	assert_string_equal(e.text, "exec '/x'");
	assert_int_equal(result_of(pid), 0);
}

/* Killed behind the gate: not a start. */
static void death_before_the_exec_is_no_start(void **state)
{
	_cleanup_close_ int gate = gate_listen(scratch.fd, NULL);
	struct err e = ERR_INIT;
	pid_t pid = odd_waiter(gate, 0, 0);

	(void)state;
	assert_int_equal(gate_open(scratch.fd, &e), -EPIPE);
	assert_int_equal(e.kind, ERR_INTERNAL); /* the gate did take the order */
	assert_has(e.text, "died before its command ran");
	assert_int_equal(result_of(pid), 0);
}

/* The exec itself failed, after all was prepared for it. */
static void failure_after_started_arrives(void **state)
{
	_cleanup_close_ int gate = gate_listen(scratch.fd, NULL);
	struct err e = ERR_INIT, failure = ERR_INIT;
	pid_t pid;

	(void)state;
	err_set(&failure, ERR_CMD_NOT_FOUND, ENOENT, "exec '/x'");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int owed = gate_wait(gate, -1, NULL);

		if (owed < 0 || sync_send(owed, SYNC_STARTED, 0, -1, NULL) < 0)
			_exit(1);
		sync_send_error(owed, &failure);
		_exit(0);
	}
	assert_int_equal(gate_open(scratch.fd, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_CMD_NOT_FOUND);
	assert_int_equal(result_of(pid), 0);
}

static void odd_answers_are_no_start(void **state)
{
	_cleanup_close_ int gate = gate_listen(scratch.fd, NULL);
	struct err e = ERR_INIT;
	pid_t pid = odd_waiter(gate, SYNC_READY, 0);

	(void)state;
	assert_int_equal(gate_open(scratch.fd, &e), -EPROTO);
	assert_int_equal(result_of(pid), 0);
	pid = odd_waiter(gate, SYNC_STARTED, SYNC_STARTED);
	assert_int_equal(gate_open(scratch.fd, &e), -EPROTO);
	assert_int_equal(result_of(pid), 0);
}

static void no_gate_no_waiter(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_false(gate_is_waiting(scratch.fd));
	assert_int_equal(gate_open(scratch.fd, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_STATE);
}

static void second_gate_is_refused(void **state)
{
	_cleanup_close_ int a = gate_listen(scratch.fd, NULL);
	struct err e = ERR_INIT;

	(void)state;
	assert_true(a >= 0);
	assert_int_equal(gate_listen(scratch.fd, &e), -EADDRINUSE);
	assert_has(e.text, "gate");
}

static void any_depth_of_directory(void **state)
{
	_cleanup_close_ int deep = dup(scratch.fd), gate = -EBADF;
	struct err e = ERR_INIT;
	char name[201];

	(void)state;
	memset(name, 'd', 200);
	name[200] = '\0';
	for (int i = 0; i < 3; i++) {
		int next;

		assert_int_equal(mkdirat(deep, name, 0700), 0);
		next = openat(deep, name, O_PATH | O_DIRECTORY);
		close(deep);
		deep = next;
	}
	gate = gate_listen(deep, &e);
	assert_ok(gate, &e);
	assert_true(gate_is_waiting(deep));
}

static int connect_raw(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/gate", scratch.path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void visitors_without_an_order_are_dropped(void **state)
{
	static const int32_t wrong[2] = {SYNC_GO, 0};
	struct err e = ERR_INIT;
	int gate = gate_listen(scratch.fd, &e), fd;
	pid_t pid = waiter(gate, -1, -1, NULL);

	(void)state;
	close(gate);
	fd = connect_raw(); /* says nothing, and stays: dropped after its time */
	assert_true(fd >= 0);
	close(connect_raw());
	{
		int other = connect_raw();

		/* The second may find it closed already. */
		assert_int_equal(send(other, wrong, sizeof(wrong), MSG_NOSIGNAL), 8);
		(void)!send(other, "garbage", 7, MSG_NOSIGNAL);
		close(other);
	}
	assert_ok(gate_open(scratch.fd, &e), &e);
	close(fd);
	assert_int_equal(result_of(pid), 0);
}

static int open_as_stranger(void *arg)
{
	struct err e = ERR_INIT;
	int r;

	(void)arg;
	if (setgid(65533) < 0 || setuid(65533) < 0)
		return 1;
	r = gate_open(scratch.fd, &e);
	if (r != -EPERM)
		return 2;
	return strstr(e.text, "another user") ? 0 : 3;
}

/* Even where the file system lets somebody through. */
static void strangers_are_refused(void **state)
{
	struct err e = ERR_INIT;
	int gate = gate_listen(scratch.fd, &e);
	pid_t pid = waiter(gate, -1, -1, NULL);

	(void)state;
	close(gate);
	assert_int_equal(fchmod(scratch.fd, 0777), 0);
	assert_int_equal(fchmodat(scratch.fd, "gate", 0777, 0), 0);
	assert_int_equal(in_child(open_as_stranger, NULL), 0);
	assert_ok(gate_open(scratch.fd, &e), &e); /* root may */
	assert_int_equal(result_of(pid), 0);
}

/* Until process `pid` waits in a receiving system call, that is, has said what it has to say. */
static void wait_until_it_listens(pid_t pid)
{
	char path[48], text[32] = "";
	long nr = -1;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	while (nr != SYS_recvfrom && nr != SYS_recvmsg) {
		int fd = open(path, O_RDONLY);

		assert_true(fd >= 0);
		assert_true(read(fd, text, sizeof(text) - 1) > 0);
		close(fd);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		nr = strtol(text, NULL, 10); /* "running" reads as 0 */
	}
}

/* Its order lies unread when we close: the refusal must still arrive, and not a bare reset. */
static void refusal_outlives_the_reset(void **state)
{
	_cleanup_close_ int gate = gate_listen(scratch.fd, NULL);
	struct err e = ERR_INIT;
	pid_t pid;

	(void)state;
	assert_int_equal(fchmod(scratch.fd, 0777), 0);
	assert_int_equal(fchmodat(scratch.fd, "gate", 0777, 0), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(open_as_stranger(NULL));
	}
	wait_until_it_listens(pid);
	assert_int_equal(gate_accept(gate, &e), -EAGAIN);
	assert_int_equal(result_of(pid), 0);
}

static int open_as_owner(void *arg)
{
	(void)arg;
	if (setgid(65533) < 0 || setuid(65533) < 0)
		return 1;
	return gate_open(scratch.fd, NULL) == 0 ? 0 : 2;
}

/* The gate of a user is for that user and for root, seen from a user namespace, too. */
static int wait_in_user_namespace(void *arg)
{
	int gate, owed;

	if (unshare(CLONE_NEWUSER) < 0) /* no mapping at all: every uid reads as 65534 */
		return 1;
	gate = *(int *)arg;
	owed = gate_wait(gate, -1, NULL);
	return owed >= 0 ? -sync_send(owed, SYNC_STARTED, 0, -1, NULL) : -owed;
}

static void waits_in_a_user_namespace(void **state)
{
	struct err e = ERR_INIT;
	int gate = gate_listen(scratch.fd, &e);
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(wait_in_user_namespace(&gate));
	}
	close(gate);
	assert_ok(gate_open(scratch.fd, &e), &e);
	assert_int_equal(result_of(pid), 0);
}

static void owner_may_open(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(fchmod(scratch.fd, 0777), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int gate, owed, status;
		pid_t opener;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setgid(65533) < 0 || setuid(65533) < 0)
			_exit(100);
		gate = gate_listen(scratch.fd, NULL);
		if (gate < 0)
			_exit(101);
		opener = fork();
		if (opener == 0)
			_exit(open_as_owner(NULL));
		owed = gate_wait(gate, -1, NULL);
		if (owed < 0 || sync_send(owed, SYNC_STARTED, 0, -1, NULL) < 0)
			_exit(102);
		/* So that it is told the end, too. */
		close(owed);
		_exit(waitpid(opener, &status, 0) == opener ? WEXITSTATUS(status) : 103);
	}
	assert_int_equal(result_of(pid), 0);
}

/* ---- the synchronisation channel beside the gate ---- */

static void start_by_the_channel(void **state)
{
	struct err e = ERR_INIT;
	enum sync_type type;
	int p[2], gate = gate_listen(scratch.fd, &e);
	pid_t pid;

	(void)state;
	assert_ok(sync_pair(p, &e), &e);
	pid = waiter(gate, p[1], p[0], NULL);
	close(p[1]);
	close(gate);
	assert_ok(sync_send(p[0], SYNC_COMMIT, 0, -1, &e), &e);
	assert_ok(sync_send(p[0], SYNC_START, 0, -1, &e), &e);
	assert_ok(sync_expect(p[0], "init", SYNC_STARTED, NULL, NULL, &e), &e);
	assert_int_equal(sync_recv(p[0], "init", &type, NULL, NULL, &e), -EPIPE); /* it happened */
	assert_int_equal(result_of(pid), 0);
	close(p[0]);
}

static void start_by_the_channel_without_a_gate(void **state)
{
	struct err e = ERR_INIT, failure = ERR_INIT;
	int p[2];
	pid_t pid;

	(void)state;
	err_set(&failure, ERR_CMD_NOT_FOUND, ENOENT, "exec 'x'");
	assert_ok(sync_pair(p, &e), &e);
	pid = waiter(-1, p[1], p[0], &failure);
	close(p[1]);
	assert_ok(sync_send(p[0], SYNC_START, 0, -1, &e), &e);
	assert_int_equal(sync_expect(p[0], "init", SYNC_STARTED, NULL, NULL, &e), -ENOENT);
	assert_string_equal(e.text, "exec 'x'");
	assert_int_equal(result_of(pid), 0);
	close(p[0]);
}

static void creator_that_dies_before_commit_ends_it(void **state)
{
	struct err e = ERR_INIT;
	int p[2], gate = gate_listen(scratch.fd, &e);
	pid_t pid;

	(void)state;
	assert_ok(sync_pair(p, &e), &e);
	pid = waiter(gate, p[1], p[0], NULL);
	close(gate);
	close(p[1]);
	close(p[0]);
	assert_int_equal(result_of(pid), EPIPE);
}

static void creator_may_leave_after_commit(void **state)
{
	struct err e = ERR_INIT;
	int p[2], gate = gate_listen(scratch.fd, &e);
	pid_t pid;

	(void)state;
	assert_ok(sync_pair(p, &e), &e);
	pid = waiter(gate, p[1], p[0], NULL);
	close(gate);
	close(p[1]);
	assert_ok(sync_send(p[0], SYNC_COMMIT, 0, -1, &e), &e);
	close(p[0]);
	assert_ok(gate_open(scratch.fd, &e), &e);
	assert_int_equal(result_of(pid), 0);
}

static void nobody_left_to_order(void **state)
{
	struct err e = ERR_INIT;
	int p[2];
	pid_t pid;

	(void)state;
	assert_ok(sync_pair(p, &e), &e);
	pid = waiter(-1, p[1], p[0], NULL);
	close(p[1]);
	assert_ok(sync_send(p[0], SYNC_COMMIT, 0, -1, &e), &e);
	close(p[0]);
	assert_int_equal(result_of(pid), EPIPE);
}

static void messages_out_of_turn_are_refused(void **state)
{
	struct err e = ERR_INIT;
	int p[2], gate = gate_listen(scratch.fd, &e);
	pid_t pid;

	(void)state;
	assert_ok(sync_pair(p, &e), &e);
	pid = waiter(gate, p[1], p[0], NULL);
	close(p[1]);
	close(gate);
	assert_ok(sync_send(p[0], SYNC_GO, 0, -1, &e), &e);
	assert_int_equal(result_of(pid), EPROTO);
	close(p[0]);
}

static void accept_for_an_event_loop(void **state)
{
	_cleanup_close_ int gate = gate_listen(scratch.fd, NULL), visitor = -EBADF, owed = -EBADF;
	static const int32_t start[2] = {SYNC_START, 0};
	struct err e = ERR_INIT;

	(void)state;
	fcntl(gate, F_SETFL, O_NONBLOCK);
	assert_int_equal(gate_accept(gate, &e), -EAGAIN);
	close(connect_raw());
	assert_int_equal(gate_accept(gate, &e), -EAGAIN);
	visitor = connect_raw();
	assert_int_equal(send(visitor, start, sizeof(start), 0), 8);
	owed = gate_accept(gate, &e);
	assert_ok(owed, &e);
	assert_int_equal(fcntl(owed, F_GETFD), FD_CLOEXEC);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_scratch, drop_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(open_starts_the_waiter),
		T(failure_of_the_exec_arrives),
		T(death_before_the_exec_is_no_start),
		T(failure_after_started_arrives),
		T(odd_answers_are_no_start),
		T(no_gate_no_waiter),
		T(second_gate_is_refused),
		T(any_depth_of_directory),
		T(visitors_without_an_order_are_dropped),
		T(strangers_are_refused),
		T(refusal_outlives_the_reset),
		T(waits_in_a_user_namespace),
		T(owner_may_open),
		T(start_by_the_channel),
		T(start_by_the_channel_without_a_gate),
		T(creator_that_dies_before_commit_ends_it),
		T(creator_may_leave_after_commit),
		T(nobody_left_to_order),
		T(messages_out_of_turn_are_refused),
		T(accept_for_an_event_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
