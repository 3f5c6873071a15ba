/* SPDX-License-Identifier: Apache-2.0 */
/* The work of insula-fetch (images/fetch.h has what it promises to the store). Its main() shuts itself in and runs it. */
#pragma once

#include "base/err.h"

/* What must happen while files can still be opened: the certificates are read, libraries made ready. */
int fetch_worker_prepare(struct err *e);
/* Serve requests until there are no more. Returns the exit status. */
int fetch_worker_run(void);
/* Answer the first request with an error. */
void fetch_worker_fail(const struct err *why);
