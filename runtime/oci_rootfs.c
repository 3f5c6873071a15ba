/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kind of a root file system, from annotations: `insula run` says by them what OCI has no field for, since a
 * document is all that creator, monitor and later commands share.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"

static int read_layers(const char *text, struct iso_rootfs *rootfs, struct err *e)
{
	_cleanup_json_ struct json *v = NULL;
	struct json_at top;
	int r;

	if (!text)
		return err_invalid(e, "annotations[\"%s\"]: missing", ANNOTATION_LAYERS);
	r = json_parse(text, strlen(text), ANNOTATION_LAYERS, &v, e);
	if (r < 0)
		return r;
	top = json_top(v);
	return oci_read_absolute_paths(&top, &rootfs->layers, e);
}

static int read_upper(const char *text, struct iso_rootfs *rootfs, struct err *e)
{
	if (!text)
		return 0;
	if (*text != '/')
		return err_invalid(e, "annotations[\"%s\"]: '%s' is not an absolute path",
				   ANNOTATION_UPPER, text);
	rootfs->upper = strdup(text);
	return rootfs->upper ? 0 : err_nomem(e);
}

int oci_read_rootfs_kind(const struct oci_config *c, struct iso_rootfs *rootfs, struct err *e)
{
	const char *kind = oci_annotation(c, ANNOTATION_ROOTFS);
	const char *ephemeral = oci_annotation(c, ANNOTATION_EPHEMERAL);
	int r;

	if (!kind || STREQ(kind, "directory"))
		return 0;
	if (STREQ(kind, "throwaway")) {
		rootfs->kind = ISO_ROOTFS_THROWAWAY;
		return 0;
	}
	if (!STREQ(kind, "layers"))
		return err_invalid(
			e, "annotations[\"%s\"]: '%s' is neither 'directory' nor 'throwaway'",
			ANNOTATION_ROOTFS, kind);
	rootfs->kind = ISO_ROOTFS_LAYERS;
	rootfs->ephemeral = ephemeral && STREQ(ephemeral, "true");
	r = read_layers(oci_annotation(c, ANNOTATION_LAYERS), rootfs, e);
	return r < 0 ? r : read_upper(oci_annotation(c, ANNOTATION_UPPER), rootfs, e);
}

int oci_check_bundle_annotations(const struct oci_config *c, struct err *e)
{
	static const char *const own[] = {ANNOTATION_LAYERS, ANNOTATION_UPPER,
					  ANNOTATION_EPHEMERAL};
	const char *kind = oci_annotation(c, ANNOTATION_ROOTFS);

	if (kind && STREQ(kind, "layers"))
		return err_invalid(e,
				   "annotations[\"%s\"]: 'layers' is not taken from a bundle: "
				   "only insula run mounts layers of its store",
				   ANNOTATION_ROOTFS);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (oci_annotation(c, own[i]))
			return err_invalid(e, "annotations[\"%s\"] is not taken from a bundle",
					   own[i]);
	return 0;
}
