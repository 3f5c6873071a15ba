/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of stored images: a small file each, replaced whole, so that there is nothing to lock. And finding what
 * a person meant.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "base/path.h"
#include "base/str.h"
#include "digest.h"
#include "store.h"

#define ID_PREFIX_MIN 4
#define SHOWN_MAX     8 /* names in the text of an error */

void stored_name_done(struct stored_name *n)
{
	free(n->name);
	free(n->tag);
	free(n->id);
	*n = (struct stored_name){0};
}

void name_all_free(struct stored_name *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stored_name_done(&v[i]);
	free(v);
}

/* A name may be longer than a file's and has slashes: its digest is neither. */
static int file_of(const char *name, const char *tag, char ret[DIGEST_MAX], struct err *e)
{
	_cleanup_free_ char *text = NULL;

	if (str_printf(&text, "%s:%s", name, tag ? tag : "latest") < 0)
		return err_nomem(e);
	digest_of(text, strlen(text), ret);
	memmove(ret, digest_hex(ret), DIGEST_HEX_LEN + 1);
	return 0;
}

int name_set(struct img_store *s, const char *name, const char *tag, const char *id, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	char file[DIGEST_MAX];
	size_t len;
	int r = file_of(name, tag, file, e);

	if (r < 0)
		return r;
	if (!o || json_set(o, "name", json_new_string(name)) < 0 ||
	    json_set(o, "tag", json_new_string(tag ? tag : "latest")) < 0 ||
	    json_set(o, "id", json_new_string(id)) < 0 || json_to_text(o, false, &text, &len) < 0)
		return err_nomem(e);
	r = FAULT("image-name", e);
	if (r == 0)
		r = path_replace_file_at(s->names, file, text, len, 0600, true, e);
	return r < 0 ? err_wrap(e, "name the image '%s'", name) : 0;
}

int name_remove(struct img_store *s, const char *name, const char *tag, struct err *e)
{
	char file[DIGEST_MAX];
	int r = file_of(name, tag, file, e);

	return r < 0 ? r : path_unlink_at(s->names, file, e);
}

static int read_name(struct img_store *s, const char *file, struct stored_name *ret, struct err *e)
{
	static const struct json_field fields[] = {
		JSON_REQUIRED(struct stored_name, name, "name", json_read_string),
		JSON_REQUIRED(struct stored_name, tag, "tag", json_read_string),
		JSON_REQUIRED(struct stored_name, id, "id", json_read_string),
	};
	_cleanup_json_ struct json *doc = NULL;
	struct stored_name n = {0};
	struct json_at top;
	int r = json_parse_file_at(s->names, file, STORE_SMALL_FILE_MAX, &doc, e);

	if (r < 0)
		return r;
	top = json_top(doc);
	r = json_read_object(&top, fields, ARRAY_SIZE(fields), &n, e);
	/* An id becomes a path. */
	if (r == 0 &&
	    (strlen(n.id) != DIGEST_HEX_LEN || strspn(n.id, "0123456789abcdef") != DIGEST_HEX_LEN))
		r = err_invalid(e, "'%s' is not an id", n.id);
	if (r < 0) {
		stored_name_done(&n);
		return err_wrap(e, "names/%s", file);
	}
	*ret = n;
	return 0;
}

int name_get(struct img_store *s, const char *name, const char *tag, char **ret_id, struct err *e)
{
	struct stored_name n = {0};
	char file[DIGEST_MAX];
	int r = file_of(name, tag, file, e);

	if (r == 0)
		r = read_name(s, file, &n, NULL);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return read_name(s, file, &n, e);
	*ret_id = TAKE_PTR(n.id);
	stored_name_done(&n);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct stored_name *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->tag, y->tag);
}

int name_all(struct img_store *s, struct stored_name **ret, size_t *ret_n, struct err *e)
{
	_cleanup_strv_ char **files = NULL;
	struct stored_name *v;
	size_t n = 0;
	int r = store_read_dir(s->names, "", &files, e);

	if (r < 0)
		return r;
	v = calloc(strv_len(files) + 1, sizeof(*v));
	if (!v)
		return err_nomem(e);
	for (char **f = files; f && *f; f++)
		/* Temporaries of others come and go. */
		if (strlen(*f) == DIGEST_HEX_LEN && read_name(s, *f, &v[n], NULL) == 0)
			n++;
	qsort(v, n, sizeof(*v), compare_names);
	*ret = v;
	*ret_n = n;
	return 0;
}

/* ---- finding ----------------------------------------------------------------------------------- */

static int missing(struct img_store *s, const struct img_reference *r, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct strbuf there = {0};
	struct stored_name *v = NULL;
	size_t n = 0;

	if (img_reference_text(r, &text) < 0)
		return err_nomem(e);
	err_set(e, ERR_NOT_FOUND, ENOENT, "image '%s' is not in the store", text);
	if (name_all(s, &v, &n, NULL) == 0 && n > 0) {
		for (size_t i = 0; i < n && i < SHOWN_MAX; i++) {
			_cleanup_free_ char *one = NULL;
			const bool by_digest = digest_is_valid(v[i].tag);
			const struct img_reference other = {.name = v[i].name,
							    .tag = by_digest ? NULL : v[i].tag,
							    .digest = by_digest ? v[i].tag : NULL};

			if (img_reference_text(&other, &one) == 0)
				strbuf_addf(&there, "%s%s", i ? ", " : "", one);
		}
		if (n > SHOWN_MAX)
			strbuf_add(&there, ", …");
		err_hint(e, "there are: %s; insula pull, load or import brings more",
			 there.data ? there.data : "");
	}
	err_hint(e,
		 "insula pull NAME, insula load -i ARCHIVE and insula import TAR NAME bring images "
		 "in, and oci:DIR, oci-archive:FILE, docker-archive:FILE run without");
	strbuf_done(&there);
	name_all_free(v, n);
	return -ENOENT;
}

static int by_digest(struct img_store *s, const char *digest, char *const *ids, char **ret_id)
{
	for (; ids && *ids; ids++) {
		struct img_config config = {0};
		_cleanup_free_ char *have = NULL;

		if (image_peek(s, *ids, &config, &have, NULL) < 0)
			continue;
		img_config_done(&config);
		if (have && STREQ(have, digest)) {
			*ret_id = strdup(*ids);
			return *ret_id ? 0 : -ENOMEM;
		}
	}
	return -ENOENT;
}

/* A name without a host and a tag may be the beginning of an id. */
static const char *id_part(const struct img_reference *r)
{
	const char *name = r->name;

	if (str_has_prefix(name, "docker.io/library/"))
		name += strlen("docker.io/library/");
	return !r->tag && !r->digest && strlen(name) >= ID_PREFIX_MIN &&
			       strlen(name) <= DIGEST_HEX_LEN &&
			       name[strspn(name, "0123456789abcdef")] == '\0'
		       ? name
		       : NULL;
}

static int by_id(const char *part, char *const *ids, char **ret_id, struct err *e)
{
	const char *found = NULL;

	for (; ids && *ids; ids++) {
		if (!str_has_prefix(*ids, part))
			continue;
		if (found)
			return err_invalid(e, "'%s' is the beginning of several ids: %.20s, %.20s",
					   part, found, *ids);
		found = *ids;
	}
	if (!found)
		return -ENOENT;
	*ret_id = strdup(found);
	return *ret_id ? 0 : err_nomem(e);
}

int name_resolve(struct img_store *s, const struct img_reference *r, char **ret_id,
		 bool *ret_by_name, struct err *e)
{
	_cleanup_strv_ char **ids = NULL;
	/* One that was pulled by digest has that in the place of a tag. */
	int x = name_get(s, r->name, r->digest ? r->digest : r->tag, ret_id, e);

	*ret_by_name = x == 0 && !r->digest;
	if (x != -ENOENT)
		return x;
	x = image_ids(s, &ids, e);
	if (x < 0)
		return x;
	x = -ENOENT;
	if (r->digest)
		x = by_digest(s, r->digest, ids, ret_id);
	else if (id_part(r))
		x = by_id(id_part(r), ids, ret_id, e);
	if (x == -ENOMEM)
		return err_nomem(e);
	return x == -ENOENT ? missing(s, r, e) : x;
}
