/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the strict JSON reader. What it takes must survive a round: written as text and read
 * again, it gives the same text. So a disagreement between our look at the raw text and json-c's
 * shows, not only a crash.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Ibase/include -Ibase \
 *		tests/fuzz/fuzz_json.c base/[a-z]*.c -ljson-c -o fuzz_json
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* Every value by every way of reading. */
static void visit(const struct json_at *at)
{
	_cleanup_free_ char *path = json_path(at), *s = NULL;
	struct json_at child;
	struct err e = ERR_INIT;
	size_t pos = 0, n = json_array_len(at);
	int64_t i = 0;
	uint64_t u = 0;

	MUST(path);
	switch (json_type_of(at->value)) {
	case JSON_INT:
		MUST(json_get_i64(at, &i, &e) == 0 || json_get_u64(at, &u, &e) == 0);
		break;
	case JSON_STRING:
		MUST(json_get_string(at, &s, &e) == 0);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_DOUBLE:
		MUST(json_get_i64(at, &i, &e) == -EINVAL && e.text[0]);
		break;
	}
	for (size_t k = 0; k < n; k++) {
		child = json_array_at(at, k);
		visit(&child);
	}
	while (json_next_member(at, &pos, &child)) {
		struct json_at same;

		if (json_type_of(child.value) != JSON_NULL)
			MUST(json_member(at, child.key, &same) && same.value == child.value);
		visit(&child);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *doc = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL, *second = NULL;
	struct err e = ERR_INIT;
	struct json_at top;
	size_t len, second_len;

	if (json_parse((const char *)data, size, "fuzz", &doc, &e) < 0) {
		/* Refused by our own look, with a reason; never by json-c behind it. */
		MUST(e.kind == ERR_INVALID && !doc && strncmp(e.text, "fuzz: ", 6) == 0);
		return 0;
	}
	top = json_top(doc);
	visit(&top);
	MUST(json_to_text(doc, false, &text, &len) == 0);
	MUST(json_parse(text, len, "fuzz", &again, &e) == 0);
	MUST(json_to_text(again, false, &second, &second_len) == 0);
	MUST(len == second_len && memcmp(text, second, len) == 0);
	return 0;
}
