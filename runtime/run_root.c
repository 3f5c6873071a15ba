/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of `insula run`: a directory, or the layers of an image under what the sandbox writes.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"
#include "run_root.h"

/* An image's is mounted on a directory of the sandbox's own; without one there is nothing to run, only to show. */
int run_root_add(struct json *root, const struct run_build *b)
{
	_cleanup_free_ char *mount_point = NULL;

	if (!b->request->image)
		return json_set(root, "path", json_new_string(b->rootfs.path));
	if (b->request->storage && str_printf(&mount_point, "%s/rootfs", b->request->storage) < 0)
		return -ENOMEM;
	return json_set(root, "path", json_new_string(mount_point ?: "/"));
}

int run_layers_add(struct json *annotations, const struct run_build *b)
{
	const struct img_image *image = b->request->image;
	_cleanup_json_ struct json *layers = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (!image)
		return 0;
	layers = json_new_strv(image->layers);
	if (!layers || json_to_text(layers, false, &text, &len) < 0 ||
	    json_set(annotations, ANNOTATION_ROOTFS, json_new_string("layers")) < 0 ||
	    json_set(annotations, ANNOTATION_LAYERS, json_new_string(text)) < 0)
		return -ENOMEM;
	if (b->request->ephemeral &&
	    json_set(annotations, ANNOTATION_EPHEMERAL, json_new_string("true")) < 0)
		return -ENOMEM;
	return b->request->storage ? json_set(annotations, ANNOTATION_UPPER,
					      json_new_string(b->request->storage))
				   : 0;
}
