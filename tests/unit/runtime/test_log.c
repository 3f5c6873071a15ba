/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a detached sandbox: records, rotation, reading, a disk that is full; and the detach keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../runtime/attach_keys.h"
#include "../../../runtime/log_write.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "runtime/logs.h"

#define SECOND 1000000000LL
/* 2026-01-31T12:00:00Z */
#define NOON (1769860800 * SECOND)

struct place {
	char path[64];
	int dir;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->path, "/tmp/insula-log.XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	for (unsigned n = 0; n <= LOG_MAX_FILES_MAX; n++) {
		char name[LOG_NAME_MAX];

		unlinkat(p->dir, log_name(n, name), 0);
	}
	close(p->dir);
	rmdir(p->path);
	free(p);
	return 0;
}

static void write_text(struct log_writer *w, enum log_stream stream, const char *text, int64_t at)
{
	log_write(w, stream, text, strlen(text), at);
}

static char *file_text(struct place *p, const char *name)
{
	char *text = NULL;

	assert_int_equal(path_read_file_at(p->dir, name, 1 << 24, &text, NULL, NULL), 0);
	return text;
}

static void records(void **state)
{
	struct place *p = *state;
	struct log_writer w;

	assert_int_equal(log_writer_open(&w, p->dir, 1 << 20, 2, NULL), 0);
	write_text(&w, LOG_STDOUT, "one\n\ntw", NOON + 5);
	write_text(&w, LOG_STDERR, "bad\n", NOON + SECOND);
	write_text(&w, LOG_STDOUT, "o\n", NOON + 2 * SECOND);
	log_writer_done(&w);
	char *text = file_text(p, "log");

	assert_string_equal(text, "2026-01-31T12:00:00.000000005Z stdout F one\n"
				  "2026-01-31T12:00:00.000000005Z stdout F \n"
				  "2026-01-31T12:00:00.000000005Z stdout P tw\n"
				  "2026-01-31T12:00:01.000000000Z stderr F bad\n"
				  "2026-01-31T12:00:02.000000000Z stdout F o\n");
	free(text);
	/* Another writer goes on behind it. */
	assert_int_equal(log_writer_open(&w, p->dir, 1 << 20, 2, NULL), 0);
	write_text(&w, LOG_STDOUT, "more\n", NOON);
	log_writer_done(&w);
	text = file_text(p, "log");
	assert_non_null(strstr(text, "F o\n2026-01-31T12:00:00.000000000Z stdout F more\n"));
	free(text);
}

static struct rt_log *open_log(struct place *p)
{
	struct rt_log *l = NULL;

	assert_int_equal(rt_log_open_dir(fcntl(p->dir, F_DUPFD_CLOEXEC, 3), -1, false, &l, NULL),
			 0);
	return l;
}

static void read_back(void **state)
{
	struct place *p = *state;
	struct log_writer w;
	struct rt_log_record r;

	assert_int_equal(log_writer_open(&w, p->dir, 1 << 20, 2, NULL), 0);
	log_write(&w, LOG_STDERR, "a\0b\xff part", 9, NOON + 7);
	struct rt_log *l = open_log(p);

	assert_int_equal(rt_log_next(l, &r, NULL), 1);
	assert_true(r.is_stderr && r.partial);
	assert_int_equal(r.unix_nsec, NOON + 7);
	assert_int_equal(r.len, 9);
	assert_memory_equal(r.text, "a\0b\xff part", 9);
	assert_int_equal(rt_log_next(l, &r, NULL), 0);
	/* The same reader sees what comes. */
	write_text(&w, LOG_STDERR, "\n", NOON + 8);
	assert_int_equal(rt_log_next(l, &r, NULL), 1);
	assert_true(!r.partial && r.len == 0);
	rt_log_close(l);
	log_writer_done(&w);
}

/* What is no record is left out, whatever it is: a torn line, one without an end, a huge one, nonsense. */
static void hostile_files(void **state)
{
	static const char *const lines[] = {
		"2026-01-31T12:00:00.000000005Z stdout F",
		"2026-01-31T12:00:00.000000005Z stdout X x",
		"2026-01-31T12:00:00.00000000Z stdout F x",
		"9999",
		"",
		"\x01\x02",
		"2026-01-31T12:00:00.000000005Z stdlog F x",
	};
	struct place *p = *state;
	int fd = openat(p->dir, "log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char big[10000];
	struct rt_log_record r;

	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		dprintf(fd, "%s\n", lines[i]);
	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 20; i++)
		assert_int_equal(write(fd, big, sizeof(big)), sizeof(big));
	dprintf(fd, "\n2026-01-31T12:00:00.000000005Z stdout F good\n2026-01-31T12:00");
	close(fd);
	struct rt_log *l = open_log(p);

	assert_int_equal(rt_log_next(l, &r, NULL), 1);
	assert_int_equal(r.len, 4);
	assert_memory_equal(r.text, "good", 4);
	assert_int_equal(rt_log_next(l, &r, NULL), 0);
	rt_log_close(l);
	/* A symbolic link or a FIFO in its place is not followed, nor waited for. */
	assert_int_equal(unlinkat(p->dir, "log", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", p->dir, "log"), 0);
	assert_true(rt_log_open_dir(p->dir, -1, false, &l, NULL) < 0);
	struct log_writer w;

	assert_true(log_writer_open(&w, p->dir, 1 << 20, 2, NULL) < 0);
}

static void count_up(struct log_writer *w, int from, int to)
{
	for (int i = from; i <= to; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%d\n", i);
		write_text(w, LOG_STDOUT, line, NOON + i);
	}
}

/* The last lines, without a gap and in order. Returns how many. */
static int expect_run_up_to(struct rt_log *l, int last)
{
	struct rt_log_record r;
	int n = 0, before = 0, x;

	while ((x = rt_log_next(l, &r, NULL)) > 0) {
		int value = (int)strtol(r.text, NULL, 10);

		if (n++)
			assert_int_equal(value, before + 1);
		before = value;
	}
	assert_int_equal(x, 0);
	assert_int_equal(before, last);
	return n;
}

static void rotation(void **state)
{
	struct place *p = *state;
	struct log_writer w;

	assert_int_equal(log_writer_open(&w, p->dir, 1000, 3, NULL), 0);
	count_up(&w, 1, 10);
	struct rt_log *early = open_log(p);

	assert_int_equal(expect_run_up_to(early, 10), 10);
	/* Within what the three files hold, a reader that stands still for a while loses nothing. */
	count_up(&w, 11, 40);
	assert_int_equal(expect_run_up_to(early, 40), 30);
	count_up(&w, 41, 500);
	assert_int_equal(faccessat(p->dir, "log.2", F_OK, 0), 0);
	assert_int_not_equal(faccessat(p->dir, "log.3", F_OK, 0), 0);
	/* One that stood still for too long goes on with what is left. */
	int last = 40;

	for (struct rt_log_record r; rt_log_next(early, &r, NULL) > 0;) {
		int value = (int)strtol(r.text, NULL, 10);

		assert_true(value > last);
		last = value;
	}
	assert_int_equal(last, 500);
	rt_log_close(early);
	struct rt_log *l = open_log(p);
	int n = expect_run_up_to(l, 500);

	assert_in_range(n, 40, 70);
	rt_log_close(l);
	l = open_log(p);
	assert_int_equal(rt_log_tail(l, 30, NULL), 0);
	assert_int_equal(expect_run_up_to(l, 500), 30);
	rt_log_close(l);
	log_writer_done(&w);
}

static void one_file_only(void **state)
{
	struct place *p = *state;
	struct log_writer w;

	assert_int_equal(log_writer_open(&w, p->dir, 1000, 1, NULL), 0);
	count_up(&w, 1, 100);
	assert_int_not_equal(faccessat(p->dir, "log.1", F_OK, 0), 0);
	struct rt_log *l = open_log(p);

	assert_in_range(expect_run_up_to(l, 100), 1, 25);
	rt_log_close(l);
	log_writer_done(&w);
}

/* Nothing can be written for a while: what is in the file stays whole, and what comes later is in it again. */
static void no_space(void **state)
{
	struct place *p = *state;
	struct log_writer w;
	struct rlimit old, small;
	struct rt_log_record r;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100;
	assert_int_equal(log_writer_open(&w, p->dir, 1 << 20, 2, NULL), 0);
	write_text(&w, LOG_STDOUT, "first\n", NOON);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	write_text(&w, LOG_STDOUT, "lost, since it is much too long for the hundred bytes\n", NOON);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(w.lost_bytes, 54);
	assert_int_equal(w.lost_errno, EFBIG);
	write_text(&w, LOG_STDOUT, "second\n", NOON);
	log_writer_done(&w);
	struct rt_log *l = open_log(p);

	assert_int_equal(rt_log_next(l, &r, NULL), 1);
	assert_memory_equal(r.text, "first", 5);
	assert_int_equal(rt_log_next(l, &r, NULL), 1);
	assert_memory_equal(r.text, "second", 6);
	assert_int_equal(rt_log_next(l, &r, NULL), 0);
	rt_log_close(l);
}

/* ---- detach keys --------------------------------------------------------------------------- */

static void keys_are_parsed(void **state)
{
	char keys[RT_DETACH_KEYS_MAX];
	struct err e = ERR_INIT;
	size_t n = 99;

	(void)state;
	assert_int_equal(rt_detach_keys_parse("ctrl-p,ctrl-q", keys, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_memory_equal(keys, "\x10\x11", 2);
	assert_int_equal(rt_detach_keys_parse("ctrl-@,a,ctrl-_,ctrl-[", keys, &n, &e), 0);
	assert_memory_equal(keys, "\0a\x1f\x1b", 4);
	assert_int_equal(rt_detach_keys_parse("", keys, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(rt_detach_keys_parse("ctrl-", keys, &n, &e), -EINVAL);
	assert_int_equal(rt_detach_keys_parse("ctrl-P", keys, &n, &e), -EINVAL);
	assert_int_equal(rt_detach_keys_parse("a,,b", keys, &n, &e), -EINVAL);
	assert_int_equal(rt_detach_keys_parse("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", keys, &n, &e),
			 -EINVAL);
}

/* Typed in one piece or key by key, the same reaches the sandbox. */
static void keys_are_found(void **state)
{
	static const struct {
		const char *keys, *typed, *through;
		bool detached;
	} rows[] = {
		{"pq", "hello", "hello", false}, {"pq", "ab pq cd", "ab ", true},
		{"pq", "ppq", "p", true},        {"pq", "pxpq", "px", true},
		{"pp", "pap", "pa", false},      {"aab", "aaab", "a", true},
		{"abac", "ababac", "ab", true},  {"", "anything", "anything", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int whole = 0; whole < 2; whole++) {
			struct keys k = {.n = strlen(rows[i].keys)};
			char out[128] = "";
			size_t n = 0, len = strlen(rows[i].typed), got;
			bool detached = false;

			memcpy(k.v, rows[i].keys, k.n);
			for (size_t at = 0; at < len && !detached; at += whole ? len : 1) {
				detached = keys_filter(&k, rows[i].typed + at, whole ? len : 1,
						       out + n, &got);
				n += got;
			}
			out[n] = '\0';
			assert_int_equal(detached, rows[i].detached);
			/* What may still become the keys is held back. */
			if (detached || k.matched == 0)
				assert_string_equal(out, rows[i].through);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records, setup, teardown),
		cmocka_unit_test_setup_teardown(read_back, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_files, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(one_file_only, setup, teardown),
		cmocka_unit_test_setup_teardown(no_space, setup, teardown),
		cmocka_unit_test(keys_are_parsed),
		cmocka_unit_test(keys_are_found),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
