/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula run IMAGE: from the word to an image that is ready; pulled first where it is missing, or always.
 */
#include "run_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "progress.h"
#include "pull_opts.h"

static int pull(struct img_store *store, const struct run_opts *o,
		const struct img_reference *reference, const struct img_progress *p, struct err *e)
{
	const struct pull_opts opts = {.platform = o->platform, .tls_verify = o->tls_verify};
	_cleanup_free_ char *id = NULL;
	struct img_pull_params how;
	int r = pull_opts_take(&opts, &how, e);

	return r < 0 ? r : img_pull(store, reference, &how, p, &id, e);
}

/* A whole id is no name that a registry could know. */
static bool is_pullable(const struct img_reference *r)
{
	return r->transport == IMG_STORED && strchr(r->name, '/');
}

/* A name without a host may have been pulled, or be pulled now, from where registries.conf says. */
static int pull_and_open(struct img_store *store, const struct run_opts *o,
			 struct img_reference *reference, const struct img_progress *p,
			 struct img_image *ret, struct err *e)
{
	int r = pull(store, o, reference, p, e);

	if (r == 0)
		r = img_reference_qualify(store, reference, environ, e);
	return r < 0 ? r : img_image_open(store, reference, p, ret, e);
}

static int open_present(struct img_store *store, struct img_reference *reference,
			const struct img_progress *p, struct img_image *ret, struct err *e)
{
	struct err why = ERR_INIT;
	int r = img_image_open(store, reference, p, ret, &why);

	if (r < 0 && why.kind == ERR_NOT_FOUND && reference->unqualified) {
		r = img_reference_qualify(store, reference, environ, &why);
		if (r == 0)
			r = img_image_open(store, reference, p, ret, &why);
	}
	if (r < 0)
		*e = why;
	return r;
}

static int open_or_pull(struct img_store *store, const struct run_opts *o,
			struct img_reference *reference, const struct img_progress *p,
			struct img_image *ret, struct err *e)
{
	const char *when = o->pull ? o->pull : "missing";
	struct err why = ERR_INIT;
	int r;

	if (STREQ(when, "always") && is_pullable(reference))
		return pull_and_open(store, o, reference, p, ret, e);
	r = open_present(store, reference, p, ret, &why);
	if (r < 0 && why.kind == ERR_NOT_FOUND && STREQ(when, "missing") && is_pullable(reference))
		return pull_and_open(store, o, reference, p, ret, e);
	if (r < 0)
		*e = why;
	return r;
}

int run_image_open(struct cli *cli, const struct run_opts *o, const char *word,
		   struct img_image *ret, struct err *e)
{
	struct img_reference reference = {0};
	struct img_store *store = NULL;
	struct progress progress;
	int r = img_reference_parse(word, &reference, e);

	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0) {
		progress_init(&progress, o->quiet);
		r = open_or_pull(store, o, &reference, &progress.calls, ret, e);
		progress_done(&progress);
	}
	img_reference_done(&reference);
	return r;
}
