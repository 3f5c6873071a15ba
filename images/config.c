/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of an image: what to run in it, and which layers it is made of.
 * Spec: OCI image-spec config.md.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "digest.h"
#include "manifest.h"

void img_config_done(struct img_config *c)
{
	if (!c)
		return;
	strv_free(c->env);
	strv_free(c->entrypoint);
	strv_free(c->cmd);
	free(c->user);
	free(c->workdir);
	free(c->stop_signal);
	strv_free(c->volumes);
	strv_free(c->exposed_ports);
	strv_free(c->labels);
	free(c->os);
	free(c->architecture);
	free(c->variant);
	free(c->created);
	free(c->author);
	strv_free(c->diff_ids);
	*c = (struct img_config){0};
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* A set is written as an object: {"/data": {}}. */
static int read_names(const struct json_at *at, void *target, struct err *e)
{
	struct json_at member;
	size_t pos = 0;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object");
	while (json_next_member(at, &pos, &member))
		if (strv_push(target, member.key) < 0)
			return err_nomem(e);
	return 0;
}

static int read_labels(const struct json_at *at, void *target, struct err *e)
{
	struct json_at member;
	size_t pos = 0;

	if (json_type_of(at->value) != JSON_OBJECT)
		return json_error(at, e, "expected an object");
	while (json_next_member(at, &pos, &member)) {
		const char *value = json_peek_string(&member);
		char *label;

		if (!value)
			return json_error(&member, e, "expected a string");
		if (str_printf(&label, "%s=%s", member.key, value) < 0 ||
		    strv_consume(target, label) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int read_env(const struct json_at *at, void *target, struct err *e)
{
	_cleanup_strv_ char **env = NULL;
	int r = json_get_strv(at, &env, e);

	if (r < 0)
		return r;
	for (char **v = env; v && *v; v++)
		if (!strchr(*v, '=') || **v == '=')
			return json_error(at, e, "'%.64s' is not NAME=VALUE", *v);
	*(char ***)target = TAKE_PTR(env);
	return 0;
}

static int read_inner(const struct json_at *at, void *target, struct err *e)
{
	static const struct json_field fields[] = {
		JSON_FIELD(struct img_config, env, "Env", read_env),
		JSON_FIELD(struct img_config, entrypoint, "Entrypoint", json_read_strv),
		JSON_FIELD(struct img_config, cmd, "Cmd", json_read_strv),
		JSON_FIELD(struct img_config, user, "User", json_read_string),
		JSON_FIELD(struct img_config, workdir, "WorkingDir", json_read_string),
		JSON_FIELD(struct img_config, stop_signal, "StopSignal", json_read_string),
		JSON_FIELD(struct img_config, volumes, "Volumes", read_names),
		JSON_FIELD(struct img_config, exposed_ports, "ExposedPorts", read_names),
		JSON_FIELD(struct img_config, labels, "Labels", read_labels),
	};

	return json_read_object(at, fields, ARRAY_SIZE(fields), target, e);
}

static int read_rootfs(const struct json_at *at, void *target, struct err *e)
{
	struct json_at type, ids;
	struct img_config *c = target;
	int r;

	if (!json_member(at, "type", &type) || !json_peek_string(&type) ||
	    !STREQ(json_peek_string(&type), "layers"))
		return json_error(at, e, "the type is not 'layers'");
	if (!json_member(at, "diff_ids", &ids))
		return 0;
	r = json_get_strv(&ids, &c->diff_ids, e);
	if (r == 0 && strv_len(c->diff_ids) > IMG_LAYERS_MAX)
		return json_error(&ids, e, "more than %d layers", IMG_LAYERS_MAX);
	for (char **v = c->diff_ids; r == 0 && v && *v; v++)
		if (!digest_is_valid(*v))
			return json_error(&ids, e, "'%.80s' is not a digest", *v);
	return r;
}

/* Empty strings are how Go writes what is absent. */
static void drop_empty(char **s)
{
	if (*s && !**s) {
		free(*s);
		*s = NULL;
	}
}

static int check_platform(const struct img_config *c, struct err *e)
{
	if (platform_rank(c->os, c->architecture, c->variant) > 0)
		return 0;
	return err_unsupported(e, "the image is for %s/%s%s%s, and this host is linux/%s", c->os,
			       c->architecture, c->variant ? "/" : "", c->variant ?: "",
			       platform_host());
}

static int read_config(const struct json_at *at, struct img_config *c, struct err *e)
{
	static const struct json_field fields[] = {
		JSON_REQUIRED(struct img_config, architecture, "architecture", json_read_string),
		JSON_REQUIRED(struct img_config, os, "os", json_read_string),
		JSON_FIELD(struct img_config, variant, "variant", json_read_string),
		JSON_FIELD(struct img_config, created, "created", json_read_string),
		JSON_FIELD(struct img_config, author, "author", json_read_string),
		{"config", read_inner, 0, false, -1},
		{"rootfs", read_rootfs, 0, true, -1},
	};
	int r = json_read_object(at, fields, ARRAY_SIZE(fields), c, e);

	if (r < 0)
		return r;
	drop_empty(&c->user);
	drop_empty(&c->workdir);
	drop_empty(&c->stop_signal);
	drop_empty(&c->variant);
	if (strv_len(c->diff_ids) == 0)
		return err_invalid(e, "the image has no layers");
	return check_platform(c, e);
}

int image_config_read(const struct json_at *at, struct img_config *ret, struct err *e)
{
	struct img_config c = {0};
	int r = read_config(at, &c, e);

	if (r < 0)
		img_config_done(&c);
	else
		*ret = c;
	return r;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static int set_text(struct json *o, const char *key, const char *value)
{
	return value ? json_set(o, key, json_new_string(value)) : 0;
}

static int set_words(struct json *o, const char *key, char *const *words)
{
	return words ? json_set(o, key, json_new_strv(words)) : 0;
}

static int set_names(struct json *o, const char *key, char *const *names)
{
	struct json *set = names ? json_object_member(o, key, true) : NULL;

	if (names && !set)
		return -ENOMEM;
	for (; names && *names; names++)
		if (json_set(set, *names, json_new_object()) < 0)
			return -ENOMEM;
	return 0;
}

static int set_labels(struct json *o, char *const *labels)
{
	struct json *set = labels ? json_object_member(o, "Labels", true) : NULL;

	if (labels && !set)
		return -ENOMEM;
	for (; labels && *labels; labels++) {
		_cleanup_free_ char *name = strdup(*labels);
		char *value = name ? strchr(name, '=') : NULL;

		if (!name)
			return -ENOMEM;
		if (value)
			*value++ = '\0';
		if (json_set(set, name, json_new_string(value ?: "")) < 0)
			return -ENOMEM;
	}
	return 0;
}

int image_config_write(const struct img_config *c, char **ret, size_t *ret_len)
{
	_cleanup_json_ struct json *o = json_new_object();
	struct json *inner, *rootfs;

	inner = o ? json_object_member(o, "config", true) : NULL;
	rootfs = o ? json_object_member(o, "rootfs", true) : NULL;
	if (!inner || !rootfs || set_text(o, "architecture", c->architecture) < 0 ||
	    set_text(o, "os", c->os) < 0 || set_text(o, "variant", c->variant) < 0 ||
	    set_text(o, "created", c->created) < 0 || set_text(o, "author", c->author) < 0 ||
	    set_words(inner, "Env", c->env) < 0 ||
	    set_words(inner, "Entrypoint", c->entrypoint) < 0 ||
	    set_words(inner, "Cmd", c->cmd) < 0 || set_text(inner, "User", c->user) < 0 ||
	    set_text(inner, "WorkingDir", c->workdir) < 0 ||
	    set_text(inner, "StopSignal", c->stop_signal) < 0 ||
	    set_names(inner, "Volumes", c->volumes) < 0 ||
	    set_names(inner, "ExposedPorts", c->exposed_ports) < 0 ||
	    set_labels(inner, c->labels) < 0 || set_text(rootfs, "type", "layers") < 0 ||
	    set_words(rootfs, "diff_ids", c->diff_ids) < 0)
		return -ENOMEM;
	return json_to_text(o, false, ret, ret_len);
}
