/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo stack and the log sink.
 */
#include "check.h"

#include <regex.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/undo.h"

static char order[64];

static void note(void *arg)
{
	strcat(order, arg);
}

static void undo_runs_backwards_and_once(void **state)
{
	struct undo u = {.n = 0};

	(void)state;
	order[0] = '\0';
	undo_push(&u, note, (void *)"a");
	undo_push(&u, note, (void *)"b");
	undo_push(&u, note, (void *)"c");
	undo_run(&u);
	undo_run(&u);
	assert_string_equal(order, "cba");
}

static void forgotten_undo_does_nothing(void **state)
{
	(void)state;
	order[0] = '\0';
	{
		_cleanup_undo_ struct undo kept = {.n = 0};
		_cleanup_undo_ struct undo undone = {.n = 0};

		undo_push(&kept, note, (void *)"k");
		undo_push(&undone, note, (void *)"u");
		undo_forget(&kept);
	}
	assert_string_equal(order, "u");
}

static void push_on_a_full_stack_leaks_nothing(void **state)
{
	struct undo u = {.n = 0};

	(void)state;
	order[0] = '\0';
	for (int i = 0; i < UNDO_MAX; i++)
		undo_push(&u, note, (void *)".");
	undo_push(&u, note, (void *)"x");
	assert_string_equal(order, "x");
	undo_run(&u);
	assert_string_equal(order, "x................");
}

/* Everything that reached the sink. */
static char *logged(int fd)
{
	char *text = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_ok(fd_read_all(fd, 1 << 20, &text, NULL, "log", &e), &e);
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
	return text;
}

static int log_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void text_lines(void **state)
{
	_cleanup_close_ int fd = log_file();
	struct log_sink sink = {.fd = fd, .level = LOG_LEVEL_INFO};
	_cleanup_free_ char *a = NULL, *b = NULL;
	struct err e = ERR_INIT;

	(void)state;
	log_to(&sink, LOG_LEVEL_WARNING, "odd %d", 7);
	log_to(&sink, LOG_LEVEL_DEBUG, "not wanted");
	log_to(&sink, LOG_LEVEL_INFO, "a\nerror: forged\033[31m");
	a = logged(fd);
	assert_string_equal(a, "warning: odd 7\ninfo: a?error: forged?[31m\n");
	err_set(&e, ERR_INVALID, EINVAL, "bad");
	log_error_value(&sink, &e);
	err_hint(&e, "do this");
	log_error_value(&sink, &e);
	b = logged(fd);
	assert_string_equal(b, "error: bad\nerror: bad\nhint: do this\n");
}

static void json_lines_are_json(void **state)
{
	_cleanup_close_ int fd = log_file();
	struct log_sink sink = {.fd = fd, .json = true, .level = LOG_LEVEL_DEBUG};
	char huge[20000];
	struct err e = ERR_INIT;
	const char *const messages[] = {"plain", "q\"\\/\n\t\x01\x7f", "\xc3\xa4\xf0\x9f\x98\x80",
					"\xff\xc3", huge};
	regex_t when;

	(void)state;
	memset(huge, '\x01', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(regcomp(&when, "^2[0-9]{3}-[01][0-9]-[0-3][0-9]T[0-9:]{8}Z$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		_cleanup_json_ struct json *doc = NULL;
		_cleanup_free_ char *line = NULL;
		struct json_at top, at;

		log_to(&sink, LOG_LEVEL_ERROR, "%s", messages[i]);
		line = logged(fd);
		assert_int_equal(line[strlen(line) - 1], '\n');
		assert_ok(json_parse(line, strlen(line), "line", &doc, &e), &e);
		top = json_top(doc);
		assert_true(json_member(&top, "level", &at));
		assert_string_equal(json_peek_string(&at), "error");
		assert_true(json_member(&top, "time", &at));
		assert_int_equal(regexec(&when, json_peek_string(&at), 0, NULL, 0), 0);
		assert_true(json_member(&top, "msg", &at));
		if (i < 3)
			assert_string_equal(json_peek_string(&at), messages[i]);
		else if (i == 3)
			assert_string_equal(json_peek_string(&at), "\xef\xbf\xbd\xef\xbf\xbd");
		else
			assert_string_equal(
				json_peek_string(&at) + strlen(json_peek_string(&at)) - 3, "...");
	}
	regfree(&when);
}

static void json_error_has_its_hint(void **state)
{
	_cleanup_close_ int fd = log_file();
	struct log_sink sink = {.fd = fd, .json = true, .level = LOG_LEVEL_ERROR};
	_cleanup_free_ char *line = NULL;
	struct err e = ERR_INIT;

	(void)state;
	log_error_value(&sink, &e); /* no error, no line */
	err_set(&e, ERR_INVALID, EINVAL, "bad");
	err_hint(&e, "do this");
	log_error_value(&sink, &e);
	line = logged(fd);
	assert_int_equal(strncmp(line,
				 "{\"level\":\"error\",\"msg\":\"bad (hint: do this)\",\"time\":\"",
				 53),
			 0);
}

static void no_sink_no_line(void **state)
{
	struct log_sink closed = {.fd = -1, .level = LOG_LEVEL_DEBUG};

	(void)state;
	errno = EXDEV;
	log_to(&closed, LOG_LEVEL_ERROR, "x");
	log_to(NULL, LOG_LEVEL_ERROR, "x");
	closed.fd = 1 << 20;
	log_to(&closed, LOG_LEVEL_ERROR, "x");
	assert_int_equal(errno, EXDEV); /* logging is not allowed to be noticed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undo_runs_backwards_and_once),
		cmocka_unit_test(forgotten_undo_does_nothing),
		cmocka_unit_test(push_on_a_full_stack_leaks_nothing),
		cmocka_unit_test(text_lines),
		cmocka_unit_test(json_lines_are_json),
		cmocka_unit_test(json_error_has_its_hint),
		cmocka_unit_test(no_sink_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
