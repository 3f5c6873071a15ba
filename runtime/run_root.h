/* SPDX-License-Identifier: Apache-2.0 */
/* root.path of `insula run`, and for an image the annotations that name its layers. Both 0 or -ENOMEM. Internal to this folder. */
#pragma once

#include "run_document.h"

int run_root_add(struct json *root, const struct run_build *b);
int run_layers_add(struct json *annotations, const struct run_build *b);
