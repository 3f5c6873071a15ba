/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables and times for people.
 */
#include "output.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

void out_table_init(struct out_table *t, const char *const *head, size_t n)
{
	*t = (struct out_table){.n_columns = n};
	out_table_add(t, head);
}

/* Names come from configurations: nothing in them may steer the terminal. */
static char *printable(const char *s)
{
	char *copy = strdup(s && *s ? s : "-");

	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return copy;
}

void out_table_add(struct out_table *t, const char *const *cells)
{
	size_t have = t->n_rows * t->n_columns;
	char **grown = reallocarray(t->cells, have + t->n_columns, sizeof(*grown));

	if (!grown) {
		t->failed = 1;
		return;
	}
	t->cells = grown;
	for (size_t i = 0; i < t->n_columns; i++) {
		grown[have + i] = printable(cells[i]);
		if (!grown[have + i])
			t->failed = 1;
	}
	t->n_rows++;
}

static void column_widths(const struct out_table *t, int *widths)
{
	for (size_t i = 0; i < t->n_rows * t->n_columns; i++) {
		int w = (int)strlen(t->cells[i]);

		if (w > widths[i % t->n_columns])
			widths[i % t->n_columns] = w;
	}
}

int out_table_print(struct out_table *t, struct err *e)
{
	int widths[OUT_COLUMNS_MAX] = {0};
	int failed = t->failed;

	if (!failed) {
		column_widths(t, widths);
		for (size_t i = 0; i < t->n_rows * t->n_columns; i++) {
			bool last = i % t->n_columns == t->n_columns - 1;

			if (last)
				printf("%s\n", t->cells[i]);
			else
				printf("%-*s  ", widths[i % t->n_columns], t->cells[i]);
		}
	}
	out_table_done(t);
	return failed ? err_nomem(e) : 0;
}

void out_table_done(struct out_table *t)
{
	for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct out_table){0};
}

const char *out_time(int64_t unix_nsec, char buf[OUT_TIME_MAX])
{
	time_t seconds = unix_nsec / 1000000000;
	struct tm tm;

	if (unix_nsec <= 0 || !gmtime_r(&seconds, &tm) ||
	    !strftime(buf, OUT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(buf, OUT_TIME_MAX, "-");
	return buf;
}

const char *out_age(int64_t unix_nsec, char buf[OUT_TIME_MAX])
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	int64_t age = (int64_t)time(NULL) - unix_nsec / 1000000000;

	if (unix_nsec <= 0) {
		snprintf(buf, OUT_TIME_MAX, "-");
		return buf;
	}
	if (age < 0)
		age = 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		int64_t n = age / units[i].seconds;

		if (n == 0 && i + 1 < ARRAY_SIZE(units))
			continue;
		snprintf(buf, OUT_TIME_MAX, "%lld %s%s", (long long)n, units[i].name,
			 n == 1 ? "" : "s");
		break;
	}
	return buf;
}
