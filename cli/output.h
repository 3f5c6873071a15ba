/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and times for people. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define OUT_COLUMNS_MAX 12

struct out_table {
	size_t n_columns, n_rows;
	char **cells; /* row by row, the head first; a failed allocation leaves NULL and sets failed */
	int failed;
};

void out_table_init(struct out_table *t, const char *const *head, size_t n);
/* As many strings as there are columns; NULL prints as "-". */
void out_table_add(struct out_table *t, const char *const *cells);
#define out_table_row(t, ...) out_table_add((t), (const char *const[]){__VA_ARGS__})
/* Print, two blanks between columns, and free. Control characters become '?'. */
int out_table_print(struct out_table *t, struct err *e);
void out_table_done(struct out_table *t);

/* RFC 3339 in UTC; "-" for 0. */
#define OUT_TIME_MAX 32
const char *out_time(int64_t unix_nsec, char buf[OUT_TIME_MAX]);
/* "3 minutes", for ps. */
const char *out_age(int64_t unix_nsec, char buf[OUT_TIME_MAX]);
