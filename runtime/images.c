/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's image store: what the ids of its layers' files mean, who unpacks, who uses it.
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
#include "image_fetch.h"
#include "image_worker.h"
#include "images/image.h"
#include "isolate/erofs.h"
#include "isolate/userns.h"
#include "runtime/runtime.h"
#include "storage.h"

/* ---- whose files --------------------------------------------------------------------------------- */

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
	struct img_store_params p = {
		.worker = image_worker_start, .fetch = image_fetch_start, .log = &ctx->log};
	int r;

	if (!ctx->images) {
		r = store_path(ctx, &p.path, e);
		if (r == 0)
			r = ids_name(&ids, e);
		p.ids = ids;
		/* Nobody else may mount a file system that lies in a file. */
		p.mount = caller_is_hosts_root() ? iso_erofs_mount : NULL;
		if (r == 0)
			r = img_store_open(&p, &ctx->images, e);
		if (r < 0)
			return r;
		ctx->images_close = img_store_close;
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
