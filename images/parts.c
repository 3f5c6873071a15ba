/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a stored image to what others take: manifest, configuration, blobs. The manifest that it came with keeps its digest, but
 * holds only as long as the blobs are the ones that it names; the same layer may have come in another compression first, with another image.
 */
#include "parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "manifest.h"

#define OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"

void image_parts_done(struct image_parts *p)
{
	img_image_done(&p->image);
	free(p->config);
	free(p->manifest);
	free(p->media_type);
	free(p->layers);
	*p = (struct image_parts){0};
}

/* ---- layers ----------------------------------------------------------------------------------------- */

/* By its first bytes. Spec: RFC 1952, RFC 8878. */
static int media_type_of(struct img_store *s, struct image_part *part, struct err *e)
{
	_cleanup_close_ int fd = blob_open(s, part->digest, NULL, e);
	unsigned char head[4] = {0};

	if (fd < 0)
		return fd;
	if (pread(fd, head, sizeof(head), 0) < 0)
		return err_sys(e, errno, "read a kept layer");
	if (memcmp(head, "\x1f\x8b", 2) == 0)
		part->media_type = OCI_LAYER "+gzip";
	else if (memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0)
		part->media_type = OCI_LAYER "+zstd";
	else
		part->media_type = OCI_LAYER;
	return 0;
}

static int find_layers(struct img_store *s, struct image_parts *p, struct err *e)
{
	char **ids = p->image.config.diff_ids;

	p->layers = calloc(strv_len(ids) + 1, sizeof(*p->layers));
	if (!p->layers)
		return err_nomem(e);
	for (; ids && *ids; ids++) {
		struct image_part *part = &p->layers[p->n_layers++];
		struct kept_blob blob;
		int r = layer_blob(s, *ids, &blob, e);

		if (r == -ENOENT) {
			err_clear(e);
			err_set(e, ERR_NOT_FOUND, ENOENT,
				"the bytes that layer %.19s… came in were not kept", *ids);
			return err_hint(e, "remove the image and pull or load it again");
		}
		if (r < 0)
			return r;
		memcpy(part->digest, blob.digest, sizeof(part->digest));
		part->size_bytes = blob.size_bytes;
		part->diff_id = *ids;
		r = media_type_of(s, part, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- manifests ----------------------------------------------------------------------------------------- */

static bool names_our_blobs(const struct image_parts *p, const struct manifest *m)
{
	if (m->n_layers != p->n_layers || !STREQ(m->config.digest, p->config_digest) ||
	    m->config.size_bytes != p->config_len)
		return false;
	for (size_t i = 0; i < m->n_layers; i++)
		if (!STREQ(m->layers[i].digest, p->layers[i].digest) ||
		    m->layers[i].size_bytes != p->layers[i].size_bytes)
			return false;
	return true;
}

/* The one it came with: 1 when it will do. */
static int check_manifest(struct image_parts *p, bool oci, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	struct manifest m = {0};
	struct json_at top, type;
	const char *text;
	bool same;

	if (!p->manifest || json_parse(p->manifest, p->manifest_len, "manifest", &doc, NULL) < 0)
		return 0;
	top = json_top(doc);
	if (manifest_read(&top, &m, NULL) < 0)
		return 0;
	same = names_our_blobs(p, &m);
	text = json_member(&top, "mediaType", &type) ? json_peek_string(&type) : NULL;
	if (oci &&
	    (STREQ(m.config.media_type, DOCKER_CONFIG) || (text && !STREQ(text, OCI_MANIFEST))))
		same = false;
	if (same) {
		p->media_type = strdup(text                                        ? text
				       : STREQ(m.config.media_type, DOCKER_CONFIG) ? DOCKER_MANIFEST
										   : OCI_MANIFEST);
		if (!p->media_type) {
			manifest_done(&m);
			return err_nomem(e);
		}
	}
	manifest_done(&m);
	return same;
}

static struct json *descriptor(const char *media_type, const char *digest, uint64_t size)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "mediaType", json_new_string(media_type)) < 0 ||
	    json_set(o, "digest", json_new_string(digest)) < 0 ||
	    json_set(o, "size", json_new_u64(size)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static int write_manifest(struct image_parts *p, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	struct json *layers = json_new_array();

	for (size_t i = 0; layers && i < p->n_layers; i++)
		if (json_push(layers, descriptor(p->layers[i].media_type, p->layers[i].digest,
						 p->layers[i].size_bytes)) < 0) {
			json_free(layers);
			layers = NULL;
		}
	free(p->manifest);
	p->manifest = NULL;
	if (!o || json_set(o, "schemaVersion", json_new_u64(2)) < 0 ||
	    json_set(o, "mediaType", json_new_string(OCI_MANIFEST)) < 0 ||
	    json_set(o, "config", descriptor(OCI_CONFIG, p->config_digest, p->config_len)) < 0) {
		json_free(layers);
		return err_nomem(e);
	}
	if (json_set(o, "layers", layers) < 0 ||
	    json_to_text(o, false, &p->manifest, &p->manifest_len) < 0 ||
	    !(p->media_type = strdup(OCI_MANIFEST)))
		return err_nomem(e);
	return 0;
}

static int find(struct img_store *s, const char *id, bool oci, struct image_parts *p, struct err *e)
{
	int r = image_load(s, id, &p->image, e);

	if (r == 0)
		r = image_texts(s, id, &p->config, &p->config_len, &p->manifest, &p->manifest_len,
				e);
	if (r < 0)
		return r;
	digest_of(p->config, p->config_len, p->config_digest);
	r = find_layers(s, p, e);
	if (r == 0)
		r = check_manifest(p, oci, e);
	if (r == 0)
		r = write_manifest(p, e);
	if (r < 0)
		return r;
	digest_of(p->manifest, p->manifest_len, p->manifest_digest);
	return 0;
}

int image_parts_find(struct img_store *s, const char *id, bool oci, struct image_parts *ret,
		     struct err *e)
{
	struct image_parts p = {0};
	int r = find(s, id, oci, &p, e);

	if (r < 0) {
		image_parts_done(&p);
		return err_wrap(e, "image %.12s", id);
	}
	*ret = p;
	return 0;
}
