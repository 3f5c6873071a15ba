/* SPDX-License-Identifier: Apache-2.0 */
/* What this runtime can do, for engines. Spec: OCI runtime-spec features.md, features-linux.md. */
#pragma once

#include "base/err.h"

/* The JSON text of `insula-oci features`. Caller frees. */
int rt_features_json(char **ret, struct err *e);
