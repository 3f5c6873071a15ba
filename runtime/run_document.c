/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a person asked for to an OCI document, with docker's defaults. The document goes the way of any
 * other; nothing is passed beside it. The parts are made in run_*.c.
 */
#include <string.h>

#include "base/cleanup.h"
#include "creation.h"
#include "default_paths.h"
#include "oci_parse.h"
#include "run_document.h"
#include "run_userns.h"

static void build_done(struct run_build *b)
{
	img_rootfs_done(&b->rootfs);
	free(b->user.additional_gids);
	free(b->home);
}

struct json *run_fixed(const char *text)
{
	struct json *v = NULL;

	return json_parse(text, strlen(text), "default", &v, NULL) < 0 ? NULL : v;
}

/* mounts and linux together: hiding the host's secrets takes both. */
static int add_isolation(struct json *document, const struct run_build *b, struct err *e)
{
	_cleanup_json_ struct json *mounts = run_fixed(DEFAULT_MOUNTS_JSON);
	_cleanup_json_ struct json *masked = run_fixed(DEFAULT_MASKED_PATHS_JSON);
	struct json *l = json_object_member(document, "linux", true);
	int r = 0;

	if (!mounts || !masked || !l)
		return err_nomem(e);
	if (b->rootfs.host_root)
		r = run_hide_host(mounts, masked, b->rootfs.fd, b->request, &b->user, b->home, e);
	if (r == 0)
		r = run_add_volumes(mounts, b->request, e);
	if (r < 0)
		return r;
	if (json_set(document, "mounts", TAKE_PTR(mounts)) < 0 ||
	    json_set(l, "resources", run_make_resources(b->request)) < 0)
		return err_nomem(e);
	return run_add_security(document, b, TAKE_PTR(masked), e);
}

static int add_annotations(struct json *document, const struct run_build *b)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o ||
	    (b->request->driver &&
	     json_set(o, ANNOTATION_ISOLATION, json_new_string(b->request->driver)) < 0) ||
	    (b->rootfs.host_root &&
	     json_set(o, ANNOTATION_ROOTFS, json_new_string("throwaway")) < 0))
		return -ENOMEM;
	return json_set(document, "annotations", TAKE_PTR(o));
}

static int add_top(struct json *document, const struct run_build *b)
{
	const struct rt_run_request *r = b->request;
	_cleanup_json_ struct json *root = json_new_object();

	if (!root || json_set(root, "path", json_new_string(b->rootfs.path)) < 0 ||
	    json_set(root, "readonly", json_new_bool(r->read_only)) < 0 ||
	    json_set(document, "ociVersion", json_new_string(OCI_VERSION)) < 0 ||
	    json_set(document, "root", TAKE_PTR(root)) < 0 ||
	    json_set(document, "hostname", json_new_string(r->hostname ? r->hostname : b->id)) < 0)
		return -ENOMEM;
	return add_annotations(document, b);
}

static int make_document(const struct run_build *b, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *document = json_new_object();
	int r;

	if (!document || add_top(document, b) < 0)
		return err_nomem(e);
	r = run_add_process(document, b, e);
	if (r == 0)
		r = add_isolation(document, b, e);
	if (r == 0)
		r = run_user_namespace(b, document, RUN_USERNS_DEFAULT, e);
	if (r == 0)
		*ret = TAKE_PTR(document);
	return r;
}

int rt_run_document(struct rt_ctx *ctx, const struct rt_run_request *r, const char *id,
		    struct json **ret, struct err *e)
{
	struct run_build b = {.ctx = ctx, .request = r, .id = id, .rootfs.fd = -1};
	const struct img_source from = {.directory = r->rootfs, .image = r->image};
	int rc = 0;

	if (r->network)
		rc = vio_network_parse(r->network, &b.network, e);
	else
		b.network = VIO_NETWORK_NONE;
	if (rc == 0)
		rc = img_rootfs_open(&from, IMG_FORM_DIRECTORY, &b.rootfs, e);
	if (rc == 0)
		rc = run_user_self(&b, e);
	if (rc == 0)
		rc = iso_user_resolve(b.rootfs.fd, r->user ? r->user : "0", &b.user, &b.home, e);
	if (rc >= 0)
		rc = make_document(&b, ret, e);
	build_done(&b);
	return rc;
}
