/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the support table (runtime/driver.h has its type): what is said about a field or a
 * verb, and the whole as a document.
 *
 * A row's name is a path in the OCI configuration or "verb:NAME". In a path, "[]" stands for every
 * element of an array, "[word]" for those elements whose member "type" is word, and a trailing
 * "=WORD" narrows the row to that value:
 *
 *	process.rlimits[]
 *	linux.namespaces[network].path
 *	linux.seccomp.defaultAction=SCMP_ACT_NOTIFY
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "runtime/driver.h"

/* The row of exactly that name, or NULL. */
const struct support_row *support_find(const char *name);

/* Is the field or verb of that row done by at least one driver? False for a name without a row. */
bool support_by_any(const char *name);

/* The longest row that covers a path: the row itself, or one of an object or array above it. NULL
 * when there is none. */
const struct support_row *support_covering(const char *path);

/* Does a value ask for anything, where `row` is not supported? null, false, 0, "", [] and objects of
 * such members do not, save for rows where they mean something. */
bool support_value_asks(const char *row, const struct json_at *at);

/* "PROGRAM: TEST" that proves what the row says, or NULL: support_proofs.c lacks it. */
const char *support_proof(const struct support_row *row);

/* docs/oci-support.md, from the table. Caller frees. ERR_INTERNAL for a row without a test. */
int support_write_markdown(char **ret, struct err *e);
