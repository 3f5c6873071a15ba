/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the JSON files share: the strict look at the raw text, and access to values for the readers.
 */
#pragma once

#include "base/json.h"

/* Refuse what json_scan.c's opening lists. `what` names the document. 0 or -EINVAL. */
int json_scan(const char *text, size_t len, const char *what, struct err *e);

/* An integer as sign and magnitude, since -2^63..2^64-1 fits no C type. */
struct json_integer {
	bool negative;
	uint64_t magnitude;
};
/* False if v is no integer. */
bool json_integer_of(const struct json *v, struct json_integer *ret);
bool json_bool_of(const struct json *v);          /* v is a JSON_BOOL */
const char *json_string_of(const struct json *v); /* borrowed; NULL if v is no string */

/* "a string", "an integer", ... */
const char *json_type_text(enum json_type type);
