/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: names of images, and the JSON of images: manifests, indexes, configurations, a docker archive's contents. The first
 * byte chooses. What is taken keeps the promises that the store builds on: digests are digests, a
 * name shown is the same name again, a configuration written is read as the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../images/digest.h"
#include "../../images/manifest.h"
#include "base/cleanup.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static bool same(const char *a, const char *b)
{
	return a && b ? STREQ(a, b) : a == b;
}

static void reference(const char *text)
{
	struct img_reference r = {0}, again = {0};
	_cleanup_free_ char *shown = NULL;
	struct err e = ERR_INIT;

	if (img_reference_parse(text, &r, &e) < 0) {
		MUST(e.text[0]);
		return;
	}
	MUST(r.transport == IMG_STORED ? r.name != NULL : r.path && *r.path);
	MUST(!r.digest || digest_is_valid(r.digest));
	MUST(img_reference_text(&r, &shown) == 0);
	MUST(img_reference_parse(shown, &again, &e) == 0);
	MUST(again.transport == r.transport && same(again.name, r.name) && same(again.tag, r.tag) &&
	     same(again.path, r.path) && same(again.digest, r.digest));
	img_reference_done(&r);
	img_reference_done(&again);
}

static void descriptor(const struct descriptor *d)
{
	MUST(d->media_type && digest_is_valid(d->digest) && d->size_bytes <= INT64_MAX);
}

static void manifest(const struct json_at *top)
{
	enum media_kind kind;
	struct manifest m = {0};
	struct index x = {0};

	if (manifest_kind(top, NULL, &kind, NULL) < 0)
		return;
	MUST(kind == MEDIA_INDEX || kind == MEDIA_MANIFEST);
	if (kind == MEDIA_MANIFEST && manifest_read(top, &m, NULL) == 0) {
		descriptor(&m.config);
		MUST(m.n_layers <= IMG_LAYERS_MAX);
		for (size_t i = 0; i < m.n_layers; i++)
			descriptor(&m.layers[i]);
	}
	if (kind == MEDIA_INDEX && index_read(top, &x, NULL) == 0)
		for (size_t i = 0; i < x.n; i++)
			descriptor(&x.v[i]);
	manifest_done(&m);
	index_done(&x);
}

static void config(const struct json_at *top)
{
	_cleanup_free_ char *text = NULL, *second = NULL;
	_cleanup_json_ struct json *doc = NULL;
	struct img_config c = {0}, again = {0};
	struct json_at at;
	size_t len, second_len;

	if (image_config_read(top, &c, NULL) < 0)
		return;
	MUST(c.diff_ids && *c.diff_ids);
	for (char **v = c.diff_ids; *v; v++)
		MUST(digest_is_valid(*v));
	MUST(image_config_write(&c, &text, &len) == 0);
	MUST(json_parse(text, len, "again", &doc, NULL) == 0);
	at = json_top(doc);
	MUST(image_config_read(&at, &again, NULL) == 0);
	MUST(image_config_write(&again, &second, &second_len) == 0);
	MUST(len == second_len && memcmp(text, second, len) == 0);
	img_config_done(&c);
	img_config_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *doc = NULL;
	struct docker_manifest docker = {0};
	struct json_at top;

	if (size < 1)
		return 0;
	if (data[0] == 'r') {
		_cleanup_free_ char *text = strndup((const char *)data + 1, size - 1);

		MUST(text);
		reference(text);
		return 0;
	}
	if (json_parse((const char *)data + 1, size - 1, "fuzz", &doc, NULL) < 0)
		return 0;
	top = json_top(doc);
	if (data[0] == 'm')
		manifest(&top);
	if (data[0] == 'c')
		config(&top);
	if (data[0] == 'd' && docker_manifest_read(&top, &docker, NULL) == 0)
		docker_manifest_done(&docker);
	return 0;
}
