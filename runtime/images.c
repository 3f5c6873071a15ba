/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's image store: where it is, what the ids of its layers' files mean, who unpacks.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "caller.h"
#include "image_worker.h"
#include "images/image.h"
#include "isolate/userns.h"
#include "runtime/runtime.h"
#include "storage.h"

#define STORE_OF_ROOT "/var/lib/insula"

/* ---- where ------------------------------------------------------------------------------------ */

static int default_path(char **ret, struct err *e)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

	if (caller_is_hosts_root())
		return str_printf(ret, STORE_OF_ROOT) < 0 ? err_nomem(e) : 0;
	if (data && data[0] == '/')
		return str_printf(ret, "%s/insula", data) < 0 ? err_nomem(e) : 0;
	if (home && home[0] == '/')
		return str_printf(ret, "%s/.local/share/insula", home) < 0 ? err_nomem(e) : 0;
	err_invalid(e, "no directory for images: neither XDG_DATA_HOME nor HOME is set");
	return err_hint(e, "set HOME, or give --store DIR");
}

int rt_store_set(struct rt_ctx *ctx, const char *path, struct err *e)
{
	_cleanup_free_ char *joined = NULL, *flat = NULL, *cwd = NULL;

	if (!*path)
		return err_invalid(e, "--store: an empty path");
	if (*path != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return err_sys(e, errno, "--store '%s': working directory", path);
	}
	if (str_printf(&joined, "%s%s%s", cwd ?: "", cwd ? "/" : "", path) < 0 ||
	    path_normalize(joined, &flat) < 0)
		return err_nomem(e);
	free(ctx->store_path);
	ctx->store_path = TAKE_PTR(flat);
	return 0;
}

int store_path(struct rt_ctx *ctx, const char **ret, struct err *e)
{
	int r = ctx->store_path ? 0 : default_path(&ctx->store_path, e);

	if (r == 0)
		*ret = ctx->store_path;
	return r;
}

/* ---- whose files --------------------------------------------------------------------------------- */

uint64_t store_hash(const char *text)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return h;
}

static void add_maps(struct strbuf *b, const struct iso_id_maps *maps)
{
	for (size_t i = 0; i < maps->n; i++)
		strbuf_addf(b, "%u:%u:%u ", maps->v[i].inside, maps->v[i].outside,
			    maps->v[i].count);
	strbuf_add(b, "/");
}

/* Layers extracted for one map of ids are of no use under another; a name for ours. */
static int ids_name(char **ret, struct err *e)
{
	_cleanup_(iso_id_maps_done) struct iso_id_maps uid = {0}, gid = {0};
	_cleanup_free_ char *text = NULL;
	struct strbuf b = {0};
	bool single;
	int r;

	if (caller_is_hosts_root()) {
		*ret = strdup("0");
		return *ret ? 0 : err_nomem(e);
	}
	r = iso_user_maps(&uid, &gid, &single, NULL, e);
	if (r < 0)
		return r;
	add_maps(&b, &uid);
	add_maps(&b, &gid);
	if (strbuf_take(&b, &text) < 0)
		return err_nomem(e);
	return str_printf(ret, "%016" PRIx64, store_hash(text)) < 0 ? err_nomem(e) : 0;
}

int rt_images(struct rt_ctx *ctx, struct img_store **ret, struct err *e)
{
	_cleanup_free_ char *ids = NULL;
	struct img_store_params p = {.worker = image_worker_start, .log = &ctx->log};
	int r;

	if (!ctx->images) {
		r = store_path(ctx, &p.path, e);
		if (r == 0)
			r = ids_name(&ids, e);
		p.ids = ids;
		if (r == 0)
			r = img_store_open(&p, &ctx->images, e);
		if (r < 0)
			return r;
	}
	*ret = ctx->images;
	return 0;
}

/* ---- who uses them --------------------------------------------------------------------------------- */

int rt_images_in_use(struct rt_ctx *ctx, char ***ret, struct err *e)
{
	_cleanup_strv_ char **ids = NULL, **used = NULL;
	int r = state_list(ctx->root, &ids, e);

	for (char **v = ids; r == 0 && v && *v; v++) {
		_cleanup_(state_dir_done) struct state_dir d = {.rootfd = -1, .fd = -1};
		struct state st = {0};

		/* One that goes meanwhile, or is being made, has no say. */
		if (state_dir_open(ctx->root, *v, false, &d, NULL) == 0 &&
		    state_load(&d, &st, NULL) == 0 && st.image_id &&
		    strv_push(&used, st.image_id) < 0)
			r = err_nomem(e);
		state_done(&st);
	}
	if (r == 0)
		*ret = TAKE_PTR(used);
	return r;
}
