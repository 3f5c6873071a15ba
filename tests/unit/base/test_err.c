/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error value: kinds, frames, causes, hints, cutting, and errors from other processes.
 */
#include "check.h"

static void set_wrap_read_from_outside_in(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_sys(&e, EPERM, "mount '%s' on '%s'", "proc", "/proc"), -EPERM);
	assert_int_equal(err_wrap(&e, "create '%s'", "c1"), -EPERM);
	assert_string_equal(e.text,
			    "create 'c1': mount 'proc' on '/proc': Operation not permitted");
	assert_int_equal(e.kind, ERR_SYSTEM);
	assert_int_equal(e.errnum, EPERM);
}

static void sign_of_errnum_does_not_matter(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_sys(&e, -ENOENT, "open"), -ENOENT);
	assert_string_equal(e.text, "open: No such file or directory");
	assert_int_equal(err_set(&e, ERR_STATE, -EBUSY, "x"), -EBUSY);
	assert_int_equal(e.errnum, EBUSY);
}

static void zero_errnum_is_eio(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, ERR_INVALID, 0, "x"), -EIO);
	assert_int_equal(err_sys(&e, 0, "x"), -EIO);
}

static void set_forgets_what_was_there(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INVALID, EINVAL, "first");
	err_hint(&e, "do this");
	err_set(&e, ERR_STATE, EBUSY, "second");
	assert_string_equal(e.text, "second");
	assert_string_equal(e.hint, "");
}

static void null_only_gives_the_number(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_INVALID, EINVAL, "x"), -EINVAL);
	assert_int_equal(err_sys(NULL, EPERM, "x"), -EPERM);
	assert_int_equal(err_wrap(NULL, "x"), -EIO);
	assert_int_equal(err_hint(NULL, "x"), -EIO);
	assert_int_equal(err_nomem(NULL), -ENOMEM);
	err_clear(NULL);
	err_sanitize(NULL);
}

static void wrap_of_nothing_still_says_where(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_wrap(&e, "step"), -EIO);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_string_equal(e.text, "step");
}

static void first_hint_wins(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INVALID, EINVAL, "x");
	assert_int_equal(err_hint(&e, "inner"), -EINVAL);
	assert_int_equal(err_hint(&e, "outer"), -EINVAL);
	assert_string_equal(e.hint, "inner");
}

static void arguments_may_be_the_error_itself(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INVALID, EINVAL, "abc");
	err_set(&e, ERR_INVALID, EINVAL, "<%s>", e.text);
	assert_string_equal(e.text, "<abc>");
	err_wrap(&e, "[%s]", e.text);
	assert_string_equal(e.text, "[<abc>]: <abc>");
}

static void long_message_is_cut_with_dots(void **state)
{
	struct err e = ERR_INIT;
	char big[4000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&e, ERR_INVALID, EINVAL, "%s", big);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_string_equal(e.text + strlen(e.text) - 4, "x...");
	err_sys(&e, ENOENT, "%s", big);
	assert_has(e.text, "x...: No such file or directory");
}

static void cut_leaves_whole_characters(void **state)
{
	struct err e = ERR_INIT;
	char big[4001];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa4", 2);
	big[4000] = '\0';
	for (size_t shift = 0; shift < 2; shift++) {
		err_set(&e, ERR_INVALID, EINVAL, "%s%s", shift ? "x" : "", big);
		assert_string_equal(e.text + strlen(e.text) - 5, "\xc3\xa4...");
	}
}

static void wrapping_for_ever_keeps_frame_and_cause(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_sys(&e, ENOSPC, "write");
	for (int i = 0; i < 1000; i++) {
		char frame[32];

		snprintf(frame, sizeof(frame), "layer %d", i);
		assert_int_equal(err_wrap(&e, "layer %d", i), -ENOSPC);
		assert_int_equal(strncmp(e.text, frame, strlen(frame)), 0);
		assert_has(e.text + strlen(e.text) - 30, "write: No space left on device");
		assert_true(strlen(e.text) < sizeof(e.text));
	}
	assert_has(e.text, "layer 999: ...");
	assert_has(e.text, "layer 0: write: No space left on device");
}

static void sanitize_repairs_a_hostile_error(void **state)
{
	struct err e;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	err_sanitize(&e);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_int_equal(e.errnum, EIO);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(e.text[0], '?');
	assert_int_equal(strlen(e.hint), sizeof(e.hint) - 1);

	e = ERR_INIT;
	strcpy(e.text, "a\033[31mb\nc\xc3\xa4\x7f\xc2\x9b");
	e.kind = ERR_STATE;
	e.errnum = 4096;
	err_sanitize(&e);
	assert_string_equal(e.text, "a?[31mb?c\xc3\xa4???");
	assert_int_equal(e.kind, ERR_STATE);
	assert_int_equal(e.errnum, EIO);

	e = ERR_INIT;
	err_sanitize(&e);
	assert_int_equal(e.kind, ERR_INTERNAL);
}

/* Names come from bundles, images and command lines; the text goes to a terminal. */
static void words_of_others_stay_one_plain_line(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_INVALID, EINVAL, "id '%s'", "a\n\033[31mb\xc2\x9b\xc3\xa4\xff");
	err_wrap(&e, "create '%s'", "x\ty");
	err_hint(&e, "not '%s'", "\r");
	assert_string_equal(e.text, "create 'x?y': id 'a??[31mb??\xc3\xa4?'");
	assert_string_equal(e.hint, "not '?'");
}

static void every_kind_has_a_name(void **state)
{
	(void)state;
	for (int k = 0; k < ERR_KIND_COUNT; k++)
		assert_non_null(err_kind_name((enum err_kind)k));
	assert_string_equal(err_kind_name(ERR_UNSUPPORTED), "unsupported");
	assert_string_equal(err_kind_name((enum err_kind)99), "unknown");
}

static void shorthands_set_kind_and_number(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_invalid(&e, "bad %d", 1), -EINVAL);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_string_equal(e.text, "bad 1");
	assert_int_equal(err_unsupported(&e, "no"), -ENOTSUP);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_int_equal(err_nomem(&e), -ENOMEM);
	assert_string_equal(e.text, "out of memory");
	err_clear(&e);
	assert_int_equal(e.kind, ERR_NONE);
	assert_string_equal(e.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_wrap_read_from_outside_in),
		cmocka_unit_test(sign_of_errnum_does_not_matter),
		cmocka_unit_test(zero_errnum_is_eio),
		cmocka_unit_test(set_forgets_what_was_there),
		cmocka_unit_test(null_only_gives_the_number),
		cmocka_unit_test(wrap_of_nothing_still_says_where),
		cmocka_unit_test(first_hint_wins),
		cmocka_unit_test(arguments_may_be_the_error_itself),
		cmocka_unit_test(long_message_is_cut_with_dots),
		cmocka_unit_test(cut_leaves_whole_characters),
		cmocka_unit_test(wrapping_for_ever_keeps_frame_and_cause),
		cmocka_unit_test(sanitize_repairs_a_hostile_error),
		cmocka_unit_test(words_of_others_stay_one_plain_line),
		cmocka_unit_test(every_kind_has_a_name),
		cmocka_unit_test(shorthands_set_kind_and_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
