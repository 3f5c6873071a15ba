/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users of a sandbox that exists already, for exec: by the passwd and group files of its root file system, which is a
 * directory, or the layers of an image under what the sandbox wrote.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "images/rootfs.h"
#include "isolate/erofs.h"
#include "sandbox.h"

#define DB_BYTES_MAX (1u << 20) /* as isolate reads them */

/* As if what it wrote were a layer: its changes come first. */
static int open_layers(const struct iso_rootfs *c, struct img_image *image, struct img_rootfs *ret,
		       struct err *e)
{
	const struct img_source from = {.image = image, .mount = iso_erofs_mount};

	if (c->upper) {
		_cleanup_free_ char *diff = NULL;

		if (str_printf(&diff, "%s/diff", c->upper) < 0 ||
		    strv_push(&image->layers, diff) < 0)
			return err_nomem(e);
	}
	for (char *const *l = c->layers; l && *l; l++)
		if (strv_push(&image->layers, *l) < 0)
			return err_nomem(e);
	return img_rootfs_open(&from, IMG_FORM_DIRECTORY, ret, e);
}

static int resolve_in_layers(const struct iso_rootfs *c, const char *spec, struct iso_user *ret,
			     char **ret_home, struct err *e)
{
	_cleanup_free_ char *passwd = NULL, *group = NULL;
	struct img_rootfs rootfs = {.fd = -1};
	struct img_image image = {0};
	int r = open_layers(c, &image, &rootfs, e);

	if (r == 0)
		r = img_rootfs_read(&rootfs, "/etc/passwd", DB_BYTES_MAX, &passwd, e);
	if (r == 0 || r == -ENOENT)
		r = img_rootfs_read(&rootfs, "/etc/group", DB_BYTES_MAX, &group, e);
	if (r == 0 || r == -ENOENT)
		r = iso_user_resolve_text(passwd, group, spec, ret, ret_home, e);
	img_rootfs_done(&rootfs);
	img_image_done(&image);
	return r;
}

int rt_resolve_user(struct sandbox *s, const char *spec, struct iso_user *ret, char **ret_home,
		    struct err *e)
{
	const struct iso_rootfs *c = &s->config.isolation.rootfs;
	_cleanup_close_ int root = -1;

	switch (c->kind) {
	case ISO_ROOTFS_DIRECTORY:
	case ISO_ROOTFS_THROWAWAY:
		root = path_open_dir(c->path, e);
		return root < 0 ? root : iso_user_resolve(root, spec, ret, ret_home, e);
	case ISO_ROOTFS_LAYERS:
		return resolve_in_layers(c, spec, ret, ret_home, e);
	}
	return -EINVAL;
}
