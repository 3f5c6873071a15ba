/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI documents for tests: a smallest one, and members set by path. A path is written as the support
 * table writes it: "linux.namespaces[network].path" makes linux.namespaces = [{"type":"network",
 * "path": …}], "mounts[].source" an array with one object.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"

#define DOCUMENT_SMALLEST                                               \
	"{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}," \
	" \"process\": {\"cwd\": \"/\", \"args\": [\"sh\"]}}"

static inline struct json *document_parse(const char *text)
{
	struct err e = ERR_INIT;
	struct json *v = NULL;

	if (strcmp(text, "null") == 0) /* no value of its own */
		return NULL;
	if (json_parse(text, strlen(text), "test", &v, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	return v;
}

/* Below `object`: "a.b[c].d" = value. `object` is an object; rest starts with a member's name. */
static inline void document_put(struct json *object, const char *rest, struct json *value)
{
	char key[64], word[64] = "";
	size_t n = strcspn(rest, ".[=");
	bool in_array = rest[n] == '[';
	struct json *array, *element;

	assert_true(n < sizeof(key));
	memcpy(key, rest, n);
	key[n] = '\0';
	rest += n;
	if (in_array) {
		n = strcspn(rest, "]");
		assert_true(n < sizeof(word));
		memcpy(word, rest + 1, n - 1);
		word[n - 1] = '\0';
		rest += n + 1;
		array = json_object_member(object, key, false);
		if (!array) {
			assert_int_equal(json_set(object, key, json_new_array()), 0);
			array = json_object_member(object, key, false);
		}
		if ((*rest == '\0' || *rest == '=') && !*word) {
			assert_int_equal(json_push(array, value), 0);
			return;
		}
		element = json_array_member(array, 0);
		if (!element) {
			assert_int_equal(json_push(array, json_new_object()), 0);
			element = json_array_member(array, 0);
		}
		if (*word)
			assert_int_equal(json_set(element, "type", json_new_string(word)), 0);
		if (*rest == '\0')
			json_free(value);
		else
			document_put(element, rest + 1, value);
		return;
	}
	if (*rest == '.') {
		element = json_object_member(object, key, true);
		assert_non_null(element);
		document_put(element, rest + 1, value);
		return;
	}
	if (value)
		assert_int_equal(json_set(object, key, value), 0);
	else
		json_remove(object, key);
}

/* The smallest document with one member set to a JSON text. */
static inline struct json *document_with(const char *path, const char *json_text)
{
	struct json *document = document_parse(DOCUMENT_SMALLEST);

	if (path)
		document_put(document, path, document_parse(json_text));
	return document;
}
