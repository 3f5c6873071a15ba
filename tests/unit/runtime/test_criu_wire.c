/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to and from criu, byte by byte as protobuf has them, and answers that are none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../runtime/criu_wire.h"

static void expect_bytes(struct strbuf *b, const char *bytes, size_t n)
{
	assert_false(b->failed);
	assert_int_equal(b->len, n);
	assert_memory_equal(b->data, bytes, n);
	strbuf_done(b);
}

static void written(void **state)
{
	struct strbuf b = {0};

	(void)state;
	wire_number(&b, 1, 1);
	wire_number(&b, 34, 3);
	wire_number(&b, 2, 300);
	expect_bytes(&b, "\x08\x01\x90\x02\x03\x10\xac\x02", 8);
	b = (struct strbuf){0};
	wire_text(&b, 10, "dump.log");
	expect_bytes(&b,
		     "\x52\x08"
		     "dump.log",
		     10);
	b = (struct strbuf){0};
	wire_text_and_text(&b, 23, "/a", "/b");
	wire_text_and_number(&b, 27, "x", 7);
	expect_bytes(&b, "\xba\x01\x08\x0a\x02/a\x12\x02/b\xda\x01\x05\x0a\x01x\x10\x07", 19);
	b = (struct strbuf){0};
	wire_text_and_text(&b, 25, NULL, "/g");
	expect_bytes(&b, "\xca\x01\x04\x12\x02/g", 7);
	b = (struct strbuf){0};
	wire_number(&b, 1, UINT64_MAX);
	expect_bytes(&b, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
}

static void answers(void **state)
{
	static const char restored[] = "\x08\x02\x10\x01\x22\x03\x08\xac\x02";
	static const char notified[] = "\x08\x06\x10\x01\x2a\x09\x0a\x04post\x10\x96\x01";
	static const char failed[] = "\x08\x01\x10\x00\x38\x16\x4a\x02no";
	static const char unknown[] = "\x08\x01\x10\x01\xa5\x06zzzz\xa1\x06zzzzzzzz\xa2\x06\x01z";
	struct criu_reply r;

	(void)state;
	assert_int_equal(wire_read_reply(restored, sizeof(restored) - 1, &r), 0);
	assert_true(r.success && r.type == CRIU_RESTORE && r.pid == 300);
	assert_int_equal(wire_read_reply(notified, sizeof(notified) - 1, &r), 0);
	assert_true(r.type == CRIU_NOTIFY && r.pid == 150);
	assert_string_equal(r.script, "post");
	assert_int_equal(wire_read_reply(failed, sizeof(failed) - 1, &r), 0);
	assert_true(!r.success && r.error == 22);
	assert_string_equal(r.message, "no");
	assert_int_equal(wire_read_reply(unknown, sizeof(unknown) - 1, &r), 0);
	assert_true(r.success);
	/* Every beginning of an answer is an answer or an error, and is read no further. */
	for (size_t n = 0; n < sizeof(notified) - 1; n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, notified, n);
		(void)wire_read_reply(copy, n, &r);
		free(copy);
	}
}

static void no_answers(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
		{"\x08", 1},
		{"\x08\x80", 2},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12},
		{"\x2a\x05xx", 4},
		{"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
		{"\x2a\x02\x0a\x09", 4},
		{"\x0b", 1},
		{"\x09zzz", 4},
		{"\x0dz", 2},
	};
	struct criu_reply r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(wire_read_reply(rows[i].bytes, rows[i].n, &r), -EBADMSG);
}

static void long_texts_are_cut(void **state)
{
	struct strbuf b = {0}, inner = {0};
	char text[1000];
	struct criu_reply r;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	wire_text(&inner, 1, text);
	wire_message(&b, 5, inner.data, inner.len);
	wire_text(&b, 9, text);
	assert_int_equal(wire_read_reply(b.data, b.len, &r), 0);
	assert_int_equal(strlen(r.script), sizeof(r.script) - 1);
	assert_int_equal(strlen(r.message), sizeof(r.message) - 1);
	strbuf_done(&b);
	strbuf_done(&inner);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written),
		cmocka_unit_test(answers),
		cmocka_unit_test(no_answers),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
