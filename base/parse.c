/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict parsers of numbers, sizes, shares of CPUs and durations (base/str.h). All calculate in
 * integers; a decimal fraction is scaled exactly in 128 bits. What would be rounded to nothing is
 * refused: a limit of 0 means "none" in too many places.
 */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Digits of `base` up to the first other character. -EINVAL when there are none. */
static int take_digits(const char **s, unsigned base, uint64_t *ret)
{
	const char *p = *s;
	uint64_t v = 0;

	for (; is_digit(*p) && (unsigned)(*p - '0') < base; p++)
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	if (p == *s)
		return -EINVAL;
	*s = p;
	*ret = v;
	return 0;
}

/* The whole of s must be digits; overflow is told from rubbish behind the overflow. */
static int parse_whole(const char *s, unsigned base, uint64_t max, uint64_t *ret)
{
	size_t n = strlen(s);
	uint64_t v = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		if (!is_digit(s[i]) || (unsigned)(s[i] - '0') >= base)
			return -EINVAL;
	r = take_digits(&s, base, &v);
	if (r < 0)
		return r;
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	return parse_whole(s, 10, UINT64_MAX, ret);
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t v;
	int r = parse_whole(s, 10, UINT32_MAX, &v);

	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

int parse_i64(const char *s, int64_t *ret)
{
	bool negative = s[0] == '-';
	uint64_t v;
	int r;

	r = parse_whole(negative ? s + 1 : s, 10, (uint64_t)INT64_MAX + negative, &v);
	if (r < 0)
		return r;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

int parse_octal(const char *s, uint32_t *ret)
{
	uint64_t v;
	int r = parse_whole(s, 8, UINT32_MAX, &v);

	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

/* ---- decimal fractions ---- */

#define FRACTION_DIGITS_MAX 18 /* 10^18 still fits 64 bits */

/* whole + part / scale, scale a power of ten */
struct decimal {
	uint64_t whole;
	uint64_t part, scale;
};

/* "12", "1.5", ".5"; not "1.", not ".". Trailing zeros of the fraction do not count. */
static int take_decimal(const char **s, struct decimal *ret)
{
	struct decimal d = {.scale = 1};
	const char *p = *s;
	size_t n = 0;
	int r;

	if (*p != '.') {
		r = take_digits(&p, 10, &d.whole);
		if (r < 0)
			return r;
	}
	if (*p == '.') {
		p++;
		if (!is_digit(*p))
			return -EINVAL;
		while (is_digit(p[n]))
			n++;
		*s = p + n;
		while (n > 0 && p[n - 1] == '0')
			n--;
		if (n > FRACTION_DIGITS_MAX)
			return -EINVAL;
		for (size_t i = 0; i < n; i++) {
			d.part = d.part * 10 + (uint64_t)(p[i] - '0');
			d.scale *= 10;
		}
	} else {
		*s = p;
	}
	*ret = d;
	return 0;
}

/* d × unit, rounded down; `exact` refuses to round. */
static int scale_decimal(const struct decimal *d, uint64_t unit, bool exact, uint64_t *ret)
{
	unsigned __int128 part = (unsigned __int128)d->part * unit;
	unsigned __int128 v = (unsigned __int128)d->whole * unit + part / d->scale;

	if (exact && part % d->scale != 0)
		return -EINVAL;
	if (v > UINT64_MAX)
		return -ERANGE;
	if (v == 0 && d->part != 0)
		return -ERANGE;
	*ret = (uint64_t)v;
	return 0;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
	static const char units[] = "bkmgt";
	const char *unit_at;
	struct decimal d;
	unsigned shift = 0;
	int r;

	r = take_decimal(&s, &d);
	if (r < 0)
		return r;
	if (*s != '\0') {
		unit_at = strchr(units, lower(*s));
		if (!unit_at)
			return -EINVAL;
		s++;
		shift = 10 * (unsigned)(unit_at - units);
		if (shift > 0) { /* "k", "ki", "kb", "kib" */
			if (lower(*s) == 'i')
				s++;
			if (lower(*s) == 'b')
				s++;
		}
		if (*s != '\0')
			return -EINVAL;
	}
	if (shift == 0 && d.part != 0)
		return -EINVAL; /* half a byte */
	return scale_decimal(&d, UINT64_C(1) << shift, false, ret_bytes);
}

int parse_cpus(const char *s, uint64_t *ret_microcpus)
{
	struct decimal d;
	uint64_t v;
	int r;

	r = take_decimal(&s, &d);
	if (r < 0)
		return r;
	if (*s != '\0')
		return -EINVAL;
	r = scale_decimal(&d, 1000000, true, &v);
	if (r < 0)
		return r;
	if (v == 0)
		return -ERANGE;
	*ret_microcpus = v;
	return 0;
}

/* Largest first: in "1m30s" each unit must be smaller than the one before it. Two-letter names
 * precede their one-letter beginnings. */
static const struct {
	const char *name;
	uint64_t usec;
} duration_units[] = {
	{"ms", 1000},
	{"us", 1},
	{"d", UINT64_C(86400000000)},
	{"h", UINT64_C(3600000000)},
	{"m", UINT64_C(60000000)},
	{"s", UINT64_C(1000000)},
};

static uint64_t take_duration_unit(const char **s)
{
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		if (str_has_prefix(*s, duration_units[i].name)) {
			*s += strlen(duration_units[i].name);
			return duration_units[i].usec;
		}
	}
	return 0;
}

int parse_duration(const char *s, uint64_t *ret_usec)
{
	uint64_t total = 0, before = UINT64_MAX;

	do {
		uint64_t unit, v;
		struct decimal d;
		int r = take_decimal(&s, &d);

		if (r < 0)
			return r;
		if (*s == '\0' && before == UINT64_MAX)
			unit = 1000000; /* a bare number */
		else
			unit = take_duration_unit(&s);
		if (unit == 0 || unit >= before)
			return -EINVAL;
		r = scale_decimal(&d, unit, false, &v);
		if (r < 0)
			return r;
		if (__builtin_add_overflow(total, v, &total))
			return -ERANGE;
		before = unit;
	} while (*s != '\0');
	*ret_usec = total;
	return 0;
}

const char *str_size(uint64_t bytes, char buf[STR_SIZE_MAX])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

	if (bytes < 1024) {
		snprintf(buf, STR_SIZE_MAX, "%u B", (unsigned)bytes);
		return buf;
	}
	for (unsigned i = 0;; i++) {
		unsigned __int128 unit = (unsigned __int128)1 << (10 * (i + 1));
		uint64_t tenths = (uint64_t)(((unsigned __int128)bytes * 10 + unit / 2) / unit);

		/* 1023.96 KiB reads 1 MiB, not 1024 KiB. */
		if (tenths >= 10240 && i + 1 < ARRAY_SIZE(units))
			continue;
		if (tenths % 10 == 0)
			snprintf(buf, STR_SIZE_MAX, "%u %s", (unsigned)(tenths / 10), units[i]);
		else
			snprintf(buf, STR_SIZE_MAX, "%u.%u %s", (unsigned)(tenths / 10),
				 (unsigned)(tenths % 10), units[i]);
		return buf;
	}
}
