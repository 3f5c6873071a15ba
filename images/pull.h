/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a pull. Internal to this folder. */
#pragma once

#include "fetch_client.h"
#include "resolve.h"

/* Where an image is pulled from. */
struct pull_origin {
	const struct fetch_registry *registry;
	int certificates;
};

/* Fetch and unpack the layers that the store has not, several at once. store_begin_adding() was called. */
int pull_layers(struct img_store *s, const struct pull_origin *from, const struct found_image *f,
		const struct img_progress *p, struct err *e);
