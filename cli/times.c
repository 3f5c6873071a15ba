/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as people write them (times.h).
 */
#include "times.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/str.h"

#define NSEC 1000000000LL

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_digits(const char **s, int n, int least, int most, int *ret)
{
	int v = 0;

	for (; n > 0; n--, (*s)++) {
		if (!is_digit(**s))
			return false;
		v = v * 10 + (**s - '0');
	}
	*ret = v;
	return v >= least && v <= most;
}

/* ".123", at most nanoseconds; nothing is 0. */
static bool take_fraction(const char **s, int64_t *ret)
{
	int64_t unit = NSEC / 10, v = 0;

	if (**s == '.') {
		(*s)++;
		if (!is_digit(**s))
			return false;
		for (; is_digit(**s); (*s)++, unit /= 10)
			v += unit * (**s - '0');
	}
	*ret = v;
	return true;
}

/* "", "Z", "+02:00". */
static bool take_zone(const char *s, int *ret_seconds)
{
	int hours, minutes, sign = *s == '-' ? -1 : 1;

	*ret_seconds = 0;
	if (!*s || STREQ(s, "Z"))
		return true;
	if (*s != '+' && *s != '-')
		return false;
	s++;
	if (!take_digits(&s, 2, 0, 23, &hours) || *s++ != ':' ||
	    !take_digits(&s, 2, 0, 59, &minutes) || *s)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool parse_date(const char *s, int64_t *ret)
{
	struct tm tm = {0};
	int64_t fraction = 0;
	int zone = 0;

	if (!take_digits(&s, 4, 1970, 2261, &tm.tm_year) || *s++ != '-' ||
	    !take_digits(&s, 2, 1, 12, &tm.tm_mon) || *s++ != '-' ||
	    !take_digits(&s, 2, 1, 31, &tm.tm_mday))
		return false;
	if (*s == 'T' || *s == ' ') {
		s++;
		if (!take_digits(&s, 2, 0, 23, &tm.tm_hour) || *s++ != ':' ||
		    !take_digits(&s, 2, 0, 59, &tm.tm_min))
			return false;
		if (*s == ':' && (s++, !take_digits(&s, 2, 0, 60, &tm.tm_sec)))
			return false;
		if (!take_fraction(&s, &fraction))
			return false;
	}
	if (!take_zone(s, &zone))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ret = ((int64_t)timegm(&tm) - zone) * NSEC + fraction;
	return true;
}

/* Five digits or more, and less than the year 2262: what is shorter is a duration in seconds. */
static bool parse_seconds(const char *s, int64_t *ret)
{
	size_t n = strspn(s, "0123456789");
	int64_t v = 0, fraction;

	if (n < 5 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (s[i] - '0');
	s += n;
	if (v >= INT64_MAX / NSEC || !take_fraction(&s, &fraction) || *s)
		return false;
	*ret = v * NSEC + fraction;
	return true;
}

int time_parse(const char *text, int64_t now_unix_nsec, const char *flag, int64_t *ret,
	       struct err *e)
{
	uint64_t ago_usec;

	if (parse_date(text, ret) || parse_seconds(text, ret))
		return 0;
	if (parse_duration(text, &ago_usec) == 0 && ago_usec < (uint64_t)now_unix_nsec / 1000) {
		*ret = now_unix_nsec - (int64_t)ago_usec * 1000;
		return 0;
	}
	err_invalid(e, "%s: '%s' is not a time", flag, text);
	return err_hint(e, "2026-01-31T12:00:00Z, seconds since 1970, or 10m for ten minutes ago");
}
