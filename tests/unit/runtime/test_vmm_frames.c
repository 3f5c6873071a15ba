/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest against the monitor process: whatever does not fit what the agent was asked ends
 * the VM (an error from vmm_frames_read()), and no word of it is taken for an exit status, an error
 * text or output. The guest here is the other end of a socket pair.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../runtime/vmm.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sync.h"

struct fixture {
	struct vmm m;
	struct agent_conn *guest;
	int ours, theirs, creator;
	int out; /* read end of process 0's stdout */
	struct err e;
};

static struct vmm_proc *add_proc(struct fixture *f, uint32_t number)
{
	struct vmm_proc *p;
	int fds[3], pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fds[1] = pipes[1];
	fds[2] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (number == 0)
		f->out = pipes[0];
	else
		close(pipes[0]);
	assert_int_equal(vmm_proc_new(number, false, fds, &p, &f->e), 0);
	f->m.procs[f->m.n_procs++] = p;
	return p;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int sv[2], sync[2];

	if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0 ||
	    sync_pair(sync, &f->e) < 0)
		return -1;
	f->ours = sv[0];
	f->theirs = sv[1];
	f->creator = sync[1];
	f->m.sync_fd = sync[0];
	f->m.gate_fd = f->m.owed_fd = f->m.control_fd = -1;
	f->m.console_master = f->m.console_slave = -1;
	f->m.next_number = 1;
	add_proc(f, 0);
	*state = f;
	return agent_conn_new(sv[0], &f->m.conn) < 0 || agent_conn_new(sv[1], &f->guest) < 0 ? -1
											     : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	while (f->m.n_procs)
		vmm_proc_free(f->m.procs[--f->m.n_procs]);
	agent_conn_free(f->m.conn);
	agent_conn_free(f->guest);
	fd_close(f->ours);
	fd_close(f->theirs);
	fd_close(f->creator);
	fd_close(f->m.sync_fd);
	fd_close(f->out);
	free(f);
	return 0;
}

/* The guest says it; what does the monitor make of it? */
static int hear(struct fixture *f, const struct agent_header *h, const void *payload)
{
	err_clear(&f->e);
	assert_int_equal(agent_send(f->guest, h, payload), 0);
	assert_int_equal(agent_conn_flush(f->guest, NULL), 0);
	return vmm_frames_read(&f->m, &f->e);
}

static int say(struct fixture *f, enum agent_type type, uint32_t proc, uint32_t value)
{
	const struct agent_header h = {.type = (uint8_t)type, .proc = proc, .value = value};

	return hear(f, &h, NULL);
}

static int data(struct fixture *f, uint32_t proc, enum agent_stream stream, size_t len)
{
	static char zeros[AGENT_PAYLOAD_MAX];
	const struct agent_header h = {.type = AGENT_DATA,
				       .proc = proc,
				       .stream = (uint8_t)stream,
				       .length = (uint32_t)len};

	return hear(f, &h, zeros);
}

/* ---- what an agent of ours does ----------------------------------------------------------- */

static void test_the_ordinary_way(void **state)
{
	struct fixture *f = *state;
	enum sync_type type;
	char byte;

	f->m.phase = VMM_CREATING;
	assert_int_equal(say(f, AGENT_CREATED, 0, 0), 0);
	assert_int_equal(f->m.phase, VMM_CREATED);
	assert_int_equal(sync_recv(f->creator, "monitor", &type, NULL, NULL, &f->e), 0);
	assert_int_equal(type, SYNC_READY);
	f->m.phase = VMM_STARTING;
	assert_int_equal(say(f, AGENT_STARTED, 0, 0), 0);
	assert_int_equal(f->m.phase, VMM_RUNNING);
	assert_int_equal(data(f, 0, AGENT_STDOUT, 1), 0);
	assert_int_equal(say(f, AGENT_EXIT, 0, 42 << 8), 0);
	/* the end is not the end before the output is out */
	assert_false(vmm_proc_is_over(f->m.procs[0]));
	assert_int_equal(vmm_proc_service(f->m.procs[0], f->m.conn), 0);
	assert_true(vmm_proc_is_over(f->m.procs[0]));
	assert_int_equal(f->m.procs[0]->status, 42 << 8);
	assert_int_equal(read(f->out, &byte, 1), 1);
}

static void test_error_of_the_guest_is_made_safe(void **state)
{
	struct fixture *f = *state;
	const struct agent_header h = {.type = AGENT_ERROR, .length = sizeof(struct err)};
	struct err hostile;

	memset(&hostile, 0x1b, sizeof(hostile)); /* escape sequences, and no terminator */
	f->m.phase = VMM_CREATING;
	assert_true(hear(f, &h, &hostile) < 0);
	assert_in_range(f->e.kind, ERR_NONE + 1, ERR_KIND_COUNT - 1);
	assert_in_range(f->e.errnum, 1, 4095);
	assert_null(memchr(f->e.text, 0x1b, sizeof(f->e.text)));
	assert_non_null(memchr(f->e.text, 0, sizeof(f->e.text)));
	assert_non_null(memchr(f->e.hint, 0, sizeof(f->e.hint)));
}

/* ---- what it never does ------------------------------------------------------------------- */

static void test_out_of_turn(void **state)
{
	static const struct {
		enum vmm_phase phase;
		enum agent_type type;
		uint32_t proc, value;
	} bad[] = {
		{VMM_CREATING, AGENT_HELLO, 0, AGENT_VERSION}, /* twice */
		{VMM_BOOTING, AGENT_HELLO, 0, AGENT_VERSION + 1},
		{VMM_BOOTING, AGENT_CREATED, 0, 0},
		{VMM_RUNNING, AGENT_CREATED, 0, 0},
		{VMM_CREATING, AGENT_CREATED, 7, 0},
		{VMM_CREATED, AGENT_STARTED, 0, 0}, /* nobody ordered it */
		{VMM_RUNNING, AGENT_STARTED, 9, 0}, /* no such process */
		{VMM_CREATING, AGENT_EXIT, 0, 0},   /* there is nothing to end */
		{VMM_RUNNING, AGENT_EXIT, 9, 0},
		{VMM_RUNNING, AGENT_EXIT, 0, 0x7f},    /* "stopped" is no end */
		{VMM_RUNNING, AGENT_EXIT, 0, 0xffff},  /* "continued" neither */
		{VMM_RUNNING, AGENT_EXIT, 0, 0x10000}, /* not a wait status */
		{VMM_RUNNING, AGENT_DATA, 9, 0},
		{VMM_RUNNING, AGENT_CREDIT, 9, 1},
		{VMM_RUNNING, AGENT_CREDIT, 0, AGENT_WINDOW + 1},
		{VMM_RUNNING, AGENT_CREDIT, 0, UINT32_MAX},
		/* orders of the host's */
		{VMM_RUNNING, AGENT_START, 0, 0},
		{VMM_RUNNING, AGENT_SIGNAL, 0, 9},
		{VMM_RUNNING, AGENT_SHUTDOWN, 0, 0},
		{VMM_RUNNING, AGENT_CREATE, 0, 0},
		{VMM_RUNNING, AGENT_EXEC, 1, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture *f;
		int r;

		assert_int_equal(setup(state), 0);
		f = *state;
		f->m.phase = bad[i].phase;
		r = say(f, bad[i].type, bad[i].proc, bad[i].value);
		if (r >= 0)
			fail_msg("case %zu was accepted", i);
		assert_int_not_equal(f->e.kind, ERR_NONE);
		assert_false(f->m.procs[0]->exited);
		teardown(state);
	}
}

static void test_error_is_only_an_answer(void **state)
{
	struct fixture *f = *state;
	const struct agent_header h = {.type = AGENT_ERROR, .length = sizeof(struct err)};
	struct err error = ERR_INIT;

	err_set(&error, ERR_CMD_NOT_FOUND, ENOENT, "believe me");
	f->m.phase = VMM_RUNNING;
	assert_true(hear(f, &h, &error) < 0);
	assert_int_equal(f->e.kind, ERR_INTERNAL);
	assert_null(strstr(f->e.text, "believe me"));
}

static void test_more_output_than_granted(void **state)
{
	struct fixture *f = *state;
	size_t sent = 0;
	int r = 0;

	f->m.phase = VMM_RUNNING;
	while (r == 0 && sent < 64u << 20) {
		r = data(f, 0, AGENT_STDOUT, AGENT_PAYLOAD_MAX);
		sent += AGENT_PAYLOAD_MAX;
	}
	assert_true(r < 0);
	assert_int_equal(sent, AGENT_WINDOW + AGENT_PAYLOAD_MAX);
}

static void test_streams_of_the_wrong_kind(void **state)
{
	struct fixture *f = *state;

	f->m.phase = VMM_RUNNING;
	f->m.procs[0]->started = true;
	assert_true(data(f, 0, AGENT_STDIN, 1) < 0); /* output on an input */
}

static void test_nothing_after_the_end(void **state)
{
	struct fixture *f = *state;

	f->m.phase = VMM_RUNNING;
	assert_int_equal(say(f, AGENT_EXIT, 0, 0), 0);
	assert_true(data(f, 0, AGENT_STDOUT, 1) < 0);
	assert_true(say(f, AGENT_EXIT, 0, 1 << 8) < 0);
	assert_int_equal(f->m.procs[0]->status, 0);
}

/* An exec that was not answered yet has neither output nor an end. */
static void test_exec_before_its_answer(void **state)
{
	struct fixture *f = *state;

	f->m.phase = VMM_RUNNING;
	add_proc(f, 1);
	assert_true(data(f, 1, AGENT_STDOUT, 1) < 0);
	assert_true(say(f, AGENT_EXIT, 1, 0) < 0);
}

/* A guest that floods with frames makes the monitor keep nothing. */
static void test_credit_flood_is_bounded(void **state)
{
	struct fixture *f = *state;

	f->m.phase = VMM_RUNNING;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(say(f, AGENT_CREDIT, 0, 0), 0);
	assert_false(agent_conn_wants_write(f->m.conn));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_the_ordinary_way),           T(test_error_of_the_guest_is_made_safe),
		cmocka_unit_test(test_out_of_turn), T(test_error_is_only_an_answer),
		T(test_more_output_than_granted),   T(test_streams_of_the_wrong_kind),
		T(test_nothing_after_the_end),      T(test_exec_before_its_answer),
		T(test_credit_flood_is_bounded),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
