/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people do with stored images: list, name, remove.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "digest.h"
#include "store.h"

/* ---- listing ---------------------------------------------------------------------------------------- */

/* RFC 3339 to seconds; 0 for what is none. Spec: image-spec config.md "created". */
static int64_t created_sec(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int hours = 0, minutes = 0;
	int64_t t;

	if (!rest)
		return 0;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	t = timegm(&tm);
	if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2d:%2d", &hours, &minutes) == 2)
		t -= (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return t;
}

static int fill_entry(struct img_store *s, const char *id, struct img_entry *ret, struct err *e)
{
	struct img_config config = {0};
	int r = image_peek(s, id, &config, NULL, e);

	if (r < 0)
		return r;
	ret->created_unix_sec = created_sec(config.created);
	for (char **v = config.diff_ids; v && *v; v++)
		ret->size_bytes += layer_size(s, *v);
	img_config_done(&config);
	ret->id = strdup(id);
	return ret->id ? 0 : err_nomem(e);
}

static int short_name(const char *name, char **ret)
{
	const struct img_reference r = {.name = (char *)name};

	return img_reference_text(&r, ret);
}

void img_list_free(struct img_entry *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].tag);
		free(v[i].id);
	}
	free(v);
}

static bool is_named(const struct stored_name *names, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (STREQ(names[i].id, id))
			return true;
	return false;
}

/* One that vanishes meanwhile, or whose files are damaged, is left out of a list. */
static int list(struct img_store *s, const struct stored_name *names, size_t n_names,
		char *const *ids, struct img_entry *v, size_t *n, struct err *e)
{
	for (size_t i = 0; i < n_names; i++) {
		struct img_entry *entry = &v[*n];

		if (fill_entry(s, names[i].id, entry, NULL) < 0)
			continue;
		(*n)++;
		/* Pulled by digest: it has no tag. */
		entry->tag = digest_is_valid(names[i].tag) ? NULL : strdup(names[i].tag);
		if ((!entry->tag && !digest_is_valid(names[i].tag)) ||
		    short_name(names[i].name, &entry->name) < 0)
			return err_nomem(e);
	}
	for (; ids && *ids; ids++)
		if (!is_named(names, n_names, *ids) && fill_entry(s, *ids, &v[*n], NULL) == 0)
			(*n)++;
	return 0;
}

int img_list(struct img_store *s, struct img_entry **ret, size_t *ret_n, struct err *e)
{
	_cleanup_strv_ char **ids = NULL;
	struct stored_name *names = NULL;
	struct img_entry *v = NULL;
	size_t n_names = 0, n = 0;
	int r = name_all(s, &names, &n_names, e);

	if (r == 0)
		r = image_ids(s, &ids, e);
	if (r == 0) {
		v = calloc(n_names + strv_len(ids) + 1, sizeof(*v));
		r = v ? list(s, names, n_names, ids, v, &n, e) : err_nomem(e);
	}
	name_all_free(names, n_names);
	if (r < 0) {
		img_list_free(v, n);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

/* ---- naming ----------------------------------------------------------------------------------------- */

static int parse_name(const char *text, struct img_reference *ret, struct err *e)
{
	int r = img_reference_parse(text, ret, e);

	if (r < 0)
		return r;
	if (ret->transport != IMG_STORED || ret->digest || !strchr(ret->name, '/')) {
		img_reference_done(ret);
		return err_invalid(e, "'%s' cannot name an image of the store", text);
	}
	return 0;
}

int img_tag(struct img_store *s, const struct img_reference *image, const char *name, struct err *e)
{
	_cleanup_free_ char *id = NULL;
	struct img_reference n = {0};
	struct img_image held = {0};
	bool by_name;
	int r;

	if (image->transport != IMG_STORED)
		return err_invalid(e, "only a stored image can be named; insula load stores one");
	r = parse_name(name, &n, e);
	if (r < 0)
		return r;
	r = name_resolve(s, image, &id, &by_name, e);
	if (r == 0)
		r = image_load(s, id, &held, e); /* held: it cannot go before it has the name */
	if (r == 0)
		r = name_set(s, n.name, n.tag, id, e);
	img_image_done(&held);
	img_reference_done(&n);
	return r;
}

/* ---- removing ---------------------------------------------------------------------------------------- */

/* Layers of no image. Whoever adds one just now keeps us from it: the next removal does it then. */
static int sweep(struct img_store *s, struct err *e)
{
	_cleanup_close_ int lock = store_lock_all(s, e);
	_cleanup_strv_ char **ids = NULL, **used = NULL, **blobs = NULL;
	int r;

	if (lock == -EWOULDBLOCK)
		return 0;
	if (lock < 0)
		return lock;
	layer_sweep_dead(s);
	image_sweep_dead(s);
	archive_sweep(s);
	r = image_ids(s, &ids, e);
	for (char **v = ids; r == 0 && v && *v; v++) {
		struct img_config config = {0};

		/* Of one that cannot be read we do not know what it needs. */
		r = image_peek(s, *v, &config, NULL, e);
		for (char **d = config.diff_ids; r == 0 && d && *d; d++)
			if (strv_push(&used, *d) < 0)
				r = err_nomem(e);
		img_config_done(&config);
	}
	if (r == 0)
		r = layer_sweep_unused(s, used, e);
	if (r == 0)
		r = layer_blobs(s, &blobs, e);
	if (r == 0)
		blob_sweep_unused(s, blobs, false);
	return r;
}

static size_t count_names(const struct stored_name *names, size_t n, const char *id)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += STREQ(names[i].id, id);
	return count;
}

static int check_unused(const char *id, char *const *in_use, struct err *e)
{
	for (; in_use && *in_use; in_use++)
		if (STREQ(*in_use, id)) {
			err_set(e, ERR_STATE, EBUSY, "image %.12s is used by a sandbox", id);
			return err_hint(e, "insula ps -a shows it, insula rm removes it");
		}
	return 0;
}

/* The names go last: what is killed in between is an image without a record under a name, which is not found and
 * can be removed again. */
static int remove_image(struct img_store *s, const char *id, const struct stored_name *names,
			size_t n, char *const *in_use, struct err *e)
{
	int r = check_unused(id, in_use, e);

	if (r == 0)
		r = image_drop(s, id, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (STREQ(names[i].id, id))
			r = name_remove(s, names[i].name, names[i].tag, e);
	return r < 0 ? r : sweep(s, e);
}

int img_remove(struct img_store *s, const struct img_reference *r, char *const *in_use,
	       struct err *e)
{
	_cleanup_free_ char *id = NULL;
	struct stored_name *names = NULL;
	size_t n = 0;
	bool by_name;
	int x;

	if (r->transport != IMG_STORED)
		return err_invalid(e, "only stored images are removed");
	x = name_resolve(s, r, &id, &by_name, e);
	if (x == 0)
		x = name_all(s, &names, &n, e);
	if (x == 0 && by_name && count_names(names, n, id) > 1)
		x = name_remove(s, r->name, r->tag, e);
	else if (x == 0)
		x = remove_image(s, id, names, n, in_use, e);
	name_all_free(names, n);
	return x;
}
