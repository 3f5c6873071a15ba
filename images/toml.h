/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of TOML as registries.conf is written in: tables, arrays of tables, and keys whose values are strings, booleans or arrays
 * of strings. What else TOML has is refused by name. Internal to this folder.
 * Spec: TOML 1.0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum toml_type {
	TOML_STRING,
	TOML_BOOL,
	TOML_STRINGS,
};

struct toml_value {
	enum toml_type type;
	char *string;
	bool flag;
	char **strings; /* strv */
};

/* Called in the order of the text; names and values are borrowed. An error ends the parsing, with the line in front. */
struct toml_handler {
	/* "[name]", or "[[name]]": array. Dotted names as they stand, without blanks. */
	int (*table)(void *arg, const char *name, bool array, struct err *e);
	int (*pair)(void *arg, const char *key, const struct toml_value *v, struct err *e);
	void *arg;
};

/* text is NUL-terminated behind len. */
int toml_parse(const char *text, size_t len, const struct toml_handler *h, struct err *e);
