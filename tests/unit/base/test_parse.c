/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict parsers, by tables of input, result and value.
 */
#include "check.h"

#include "base/cleanup.h"
#include "base/str.h"

#define UNTOUCHED 4711

struct row {
	const char *text;
	int r;
	uint64_t value;
};

static void check(const char *what, int (*parse)(const char *, uint64_t *), const struct row *rows,
		  size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = UNTOUCHED;
		int r = parse(rows[i].text, &v);

		if (r != rows[i].r || v != (r == 0 ? rows[i].value : UNTOUCHED))
			fail_msg("%s '%s': %d, %llu", what, rows[i].text, r, (unsigned long long)v);
	}
}
#define CHECK(parse, rows) check(#parse, parse, rows, ARRAY_SIZE(rows))

static void u64(void **state)
{
	static const struct row rows[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999999", -ERANGE, 0},
		{"99999999999999999999999999x", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1\n", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"\xd9\xa1", -EINVAL, 0}, /* a digit, but not of ours */
	};

	(void)state;
	CHECK(parse_u64, rows);
}

static void u32_and_octal(void **state)
{
	uint32_t v = 1;

	(void)state;
	assert_int_equal(parse_u32("4294967295", &v), 0);
	assert_int_equal(v, UINT32_MAX);
	assert_int_equal(parse_u32("4294967296", &v), -ERANGE);
	assert_int_equal(v, UINT32_MAX);
	assert_int_equal(parse_octal("0755", &v), 0);
	assert_int_equal(v, 0755);
	assert_int_equal(parse_octal("8", &v), -EINVAL);
	assert_int_equal(parse_octal("79", &v), -EINVAL);
	assert_int_equal(parse_octal("37777777777", &v), 0);
	assert_int_equal(v, UINT32_MAX);
	assert_int_equal(parse_octal("40000000000", &v), -ERANGE);
	assert_int_equal(parse_octal("", &v), -EINVAL);
}

static void i64(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t value;
	} rows[] = {
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"-9223372036854775808", 0, INT64_MIN},
		{"-9223372036854775809", -ERANGE, 0},
		{"-0", 0, 0},
		{"-1", 0, -1},
		{"-", -EINVAL, 0},
		{"--1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t v = UNTOUCHED;

		assert_int_equal(parse_i64(rows[i].text, &v), rows[i].r);
		assert_true(v == (rows[i].r == 0 ? rows[i].value : UNTOUCHED));
	}
}

static void sizes(void **state)
{
	static const struct row rows[] = {
		{"512", 0, 512},
		{"512b", 0, 512},
		{"0", 0, 0},
		{"64k", 0, 65536},
		{"64K", 0, 65536},
		{"1.5g", 0, 1610612736},
		{"10MiB", 0, 10485760},
		{"10mb", 0, 10485760},
		{"10mi", 0, 10485760},
		{".5k", 0, 512},
		{"0.1k", 0, 102},
		{"2t", 0, UINT64_C(2) << 40},
		{"16777215t", 0, UINT64_C(16777215) << 40},
		{"16777216t", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"0.0001k", -ERANGE, 0}, /* a tenth of a byte must not become 0 */
		{"1.5", -EINVAL, 0},
		{"1.0", 0, 1},
		{"1.5b", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"1.k", -EINVAL, 0},
		{".", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"k", -EINVAL, 0},
		{"-1k", -EINVAL, 0},
		{"1 k", -EINVAL, 0},
		{"1kk", -EINVAL, 0},
		{"1bb", -EINVAL, 0},
		{"1bi", -EINVAL, 0},
		{"1kbi", -EINVAL, 0},
		{"1p", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"1,5g", -EINVAL, 0},
		{"0.1234567890123456789g", -EINVAL, 0},
	};

	(void)state;
	CHECK(parse_size, rows);
}

static void cpus(void **state)
{
	static const struct row rows[] = {
		{"0.5", 0, 500000},
		{"2", 0, 2000000},
		{"1.25", 0, 1250000},
		{".5", 0, 500000},
		{"0.000001", 0, 1},
		{"1.5000000000", 0, 1500000},
		{"0", -ERANGE, 0},
		{"0.0", -ERANGE, 0},
		{"0.0000001", -EINVAL, 0},
		{"1.2345678", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"1c", -EINVAL, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"18446744073710", -ERANGE, 0},
	};

	(void)state;
	CHECK(parse_cpus, rows);
}

static void durations(void **state)
{
	static const struct row rows[] = {
		{"10", 0, 10000000},
		{"0", 0, 0},
		{"0.5", 0, 500000},
		{"10s", 0, 10000000},
		{"1m30s", 0, 90000000},
		{"250ms", 0, 250000},
		{"5us", 0, 5},
		{"1d2h3m4s5ms6us", 0, UINT64_C(93784005006)},
		{"1.5h", 0, UINT64_C(5400000000)},
		{"1m1ms", 0, 60001000},
		{"1m30", -EINVAL, 0},
		{"30s1m", -EINVAL, 0},
		{"1s1s", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"1s ", -EINVAL, 0},
		{"0.1us", -ERANGE, 0},
		{"18446744073709551615us", 0, UINT64_MAX},
		{"18446744073709551616us", -ERANGE, 0},
		{"18446744073709s551616us", -ERANGE, 0},
		{"213503983d", -ERANGE, 0},
	};

	(void)state;
	CHECK(parse_duration, rows);
}

static void sizes_for_people(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{1610612736, "1.5 GiB"},
		{1048575, "1 MiB"},
		{1047552, "1023 KiB"},
		{UINT64_MAX, "16 EiB"},
	};
	char buf[STR_SIZE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(str_size(rows[i].bytes, buf), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64),
		cmocka_unit_test(u32_and_octal),
		cmocka_unit_test(i64),
		cmocka_unit_test(sizes),
		cmocka_unit_test(cpus),
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
