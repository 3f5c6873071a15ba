/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QMP client against a well-behaved QEMU, and against one that a guest has taken over. QEMU
 * here is the other end of a socket pair, and what it says is written beforehand.
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

#include <sys/socket.h>

#include "../../../hypervisor/qmp.h"

#define GREETING \
	"{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"

struct fixture {
	int ours, peer;
	struct qmp q;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int sv[2];

	if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	f->ours = sv[0];
	f->peer = sv[1];
	qmp_init(&f->q, f->ours);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->ours);
	if (f->peer >= 0)
		close(f->peer);
	free(f);
	return 0;
}

static void say(struct fixture *f, const char *s)
{
	assert_int_equal(write(f->peer, s, strlen(s)), strlen(s));
}

static void test_negotiates(void **state)
{
	struct fixture *f = *state;
	char sent[256] = "";

	say(f, GREETING "{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(qmp_negotiate(&f->q, 1000, &f->e), 0);
	assert_true(read(f->peer, sent, sizeof(sent) - 1) > 0);
	assert_string_equal(sent, "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
}

static void test_events_between_are_kept(void **state)
{
	struct fixture *f = *state;

	say(f,
	    "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\r\n"
	    "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"}}\r\n"
	    "{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(qmp_execute(&f->q, "stop", 1000, &f->e), 0);
	assert_string_equal(f->q.shutdown_reason, "guest-shutdown");
	assert_false(f->q.eof);
}

static void test_refusal_is_told(void **state)
{
	struct fixture *f = *state;

	say(f,
	    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}, \"id\": 1}\n");
	assert_int_equal(qmp_execute(&f->q, "stop", 1000, &f->e), -EIO);
	assert_string_equal(f->e.text, "qmp: stop: no such thing");
}

static void test_silence_has_an_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(qmp_negotiate(&f->q, 50, &f->e), -ETIMEDOUT);
}

static void test_end_of_stream(void **state)
{
	struct fixture *f = *state;

	close(f->peer);
	f->peer = -1;
	assert_int_equal(qmp_negotiate(&f->q, 1000, &f->e), -EPIPE);
	assert_int_equal(qmp_handle(&f->q, &f->e), -EPIPE);
}

static void test_malformed_lines(void **state)
{
	static const char *const lines[] = {
		"\n",
		"hello\n",
		"[]\n",
		"null\n",
		"{}\n",
		"{\"return\": {}\n",
		"{\"return\": {}, \"return\": 1, \"id\": 1}\n",
		"{\"return\": {}, \"id\": \"1\"}\n",
		"{\"return\": {}, \"id\": -1}\n",
		"{\"return\": {}, \"id\": 99999999999999999999999}\n",
		"{\"error\": \"text\", \"id\": 1}\n",
		"{\"other\": 1}\n",
		"{\"return\": \"\377\"}\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct fixture *f;
		void *s;

		assert_int_equal(setup(&s), 0);
		f = s;
		say(f, lines[i]);
		if (qmp_execute(&f->q, "stop", 1000, &f->e) != -EPROTO)
			fail_msg("accepted: %s", lines[i]);
		/* It is never believed again. */
		say(f, "{\"return\": {}, \"id\": 2}\n");
		assert_true(f->q.eof);
		assert_true(qmp_execute(&f->q, "cont", 100, &f->e) < 0);
		teardown(&s);
	}
}

static void test_answer_to_another_question(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"return\": {}, \"id\": 7}\n");
	assert_int_equal(qmp_execute(&f->q, "stop", 1000, &f->e), -EPROTO);
}

static void test_line_without_end(void **state)
{
	struct fixture *f = *state;
	static char junk[4096];
	int r = 0;

	memset(junk, ' ', sizeof(junk));
	for (size_t sent = 0; r == 0 && sent < 1 << 20; sent += sizeof(junk)) {
		assert_int_equal(write(f->peer, junk, sizeof(junk)), sizeof(junk));
		r = qmp_handle(&f->q, &f->e);
	}
	assert_int_equal(r, -EPROTO);
}

static void test_long_strings_are_cut(void **state)
{
	struct qmp_message m;
	char line[4096], big[1024];

	(void)state;
	memset(big, 'A', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	snprintf(line, sizeof(line), "{\"event\":\"%s\",\"data\":{\"reason\":\"%s\"}}", big, big);
	assert_int_equal(qmp_parse(line, strlen(line), &m, NULL), 0);
	assert_int_equal(m.kind, QMP_EVENT);
	assert_int_equal(strlen(m.name), sizeof(m.name) - 1);
	assert_int_equal(strlen(m.text), sizeof(m.text) - 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_negotiates),
		T(test_events_between_are_kept),
		T(test_refusal_is_told),
		T(test_silence_has_an_end),
		T(test_end_of_stream),
		cmocka_unit_test(test_malformed_lines),
		T(test_answer_to_another_question),
		T(test_line_without_end),
		cmocka_unit_test(test_long_strings_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
