/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this runtime recognises, for engines, independent of the host it runs on.
 * Spec: OCI runtime-spec features.md, features-linux.md.
 */
#pragma once

#include "base/err.h"

/* The JSON text, pretty. Built from the tables that do the work, so that
 * it cannot promise more. Caller frees. */
int rt_features_json(char **ret, struct err *e);
