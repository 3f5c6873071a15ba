/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console ring with friendly and with hostile writers: what comes out is printable, whole lines
 * where possible, and never more than the ring holds.
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

#include "../../../hypervisor/console_ring.h"

static void add(struct console_ring *r, const char *s)
{
	console_ring_add(r, s, strlen(s));
}

static void test_last_lines(void **state)
{
	struct console_ring r = {0};

	(void)state;
	assert_string_equal(console_ring_tail(&r, 3), "");
	add(&r, "one\r\ntwo\nthr");
	add(&r, "ee\nfour\n\n");
	assert_string_equal(console_ring_tail(&r, 2), "three\nfour");
	assert_string_equal(console_ring_tail(&r, 10), "one\ntwo\nthree\nfour");
	assert_string_equal(console_ring_tail(&r, 1), "four");
}

static void test_overwritten_line_is_left_out(void **state)
{
	struct console_ring r = {0};
	char line[32];
	const char *text;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		add(&r, line);
	}
	text = console_ring_tail(&r, 100000);
	assert_true(strlen(text) < CONSOLE_RING_BYTES);
	assert_memory_equal(text, "line ", 5);
	assert_string_equal(text + strlen(text) - 9, "line 9999");
}

static void test_line_longer_than_the_ring(void **state)
{
	struct console_ring r = {0};

	(void)state;
	for (int i = 0; i < 100000; i++)
		add(&r, "x");
	assert_int_equal(strlen(console_ring_tail(&r, 5)), CONSOLE_RING_BYTES);
	add(&r, "\nlast");
	assert_string_equal(console_ring_tail(&r, 5), "last");
}

static void test_escape_sequences_vanish(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"a\033[31mred\033[0mb", "aredb"},
		{"\033]0;evil title\007text", "text"},
		{"\033]52;c;ZXZpbA==\033\\text", "text"},
		{"\033P1$r evil\033\\x", "x"},
		{"\033(Bplain", "plain"},
		{"\033cplain", "plain"},
		{"\033]open string\nnext", "\nnext"},
		{"\033[12;\nnext", "\nnext"},
		{"bell\007 nul", "bell? nul"},
		{"\302\2331m c1", "??1m c1"},
		{"tab\tx\177", "tab x?"},
		{"over\rwritten", "overwritten"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct console_ring whole = {0}, pieces = {0};

		add(&whole, rows[i].in);
		assert_string_equal(console_ring_tail(&whole, 10), rows[i].out);
		/* The same when every byte comes alone. */
		for (const char *p = rows[i].in; *p; p++)
			console_ring_add(&pieces, p, 1);
		assert_string_equal(console_ring_tail(&pieces, 10), rows[i].out);
	}
}

static void test_any_bytes_come_out_printable(void **state)
{
	struct console_ring r = {0};
	uint32_t x = 12345;

	(void)state;
	console_ring_add(&r, "\0\0", 2);
	for (int i = 0; i < 200000; i++) {
		unsigned char c;

		x = x * 1664525 + 1013904223;
		c = (unsigned char)(x >> 24);
		console_ring_add(&r, &c, 1);
	}
	for (const char *p = console_ring_tail(&r, 1000); *p; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p <= 0x7e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_lines),
		cmocka_unit_test(test_overwritten_line_is_left_out),
		cmocka_unit_test(test_line_longer_than_the_ring),
		cmocka_unit_test(test_escape_sequences_vanish),
		cmocka_unit_test(test_any_bytes_come_out_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
