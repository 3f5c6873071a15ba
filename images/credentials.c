/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to show to a registry: the files of podman, skopeo and buildah, and docker's. What is in them never
 * gets into an error or a log.
 *
 * Spec: containers-auth.json(5); docker's config.json.
 */
#include "credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base64.h"
#include "credential_helper.h"
#include "credential_files.h"

/* ---- keys ------------------------------------------------------------------------------------------------- */

/* "https://index.docker.io/v1/" is "docker.io"; a path that names an interface's version is none. Caller frees. */
char *credential_key(const char *text)
{
	static const char *const docker[] = {"index.docker.io", "registry-1.docker.io"};
	const char *key = text;
	char *own, *slash;

	if (str_has_prefix(key, "https://"))
		key += strlen("https://");
	else if (str_has_prefix(key, "http://"))
		key += strlen("http://");
	own = strdup(key);
	if (!own)
		return NULL;
	slash = strchr(own, '/');
	if (slash && (str_has_prefix(slash, "/v1") || str_has_prefix(slash, "/v2") || key != text ||
		      slash[1] == '\0'))
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(docker); i++)
		if (STREQ(own, docker[i]))
			memcpy(own, "docker.io", sizeof("docker.io")); /* is shorter */
	return own;
}

/* How well a key fits: its length, or 0. "host/a" fits "host/a/b", not "host/ab". */
static size_t fit(const char *key, const char *place)
{
	size_t len = strlen(key);

	return str_has_prefix(place, key) && (place[len] == '\0' || place[len] == '/') ? len : 0;
}

/* ---- one entry --------------------------------------------------------------------------------------------- */

static int put(char *to, size_t size, const char *from, size_t len, struct err *e)
{
	if (len >= size || memchr(from, '\0', len))
		return err_invalid(e, "credentials that are too long or not text");
	memcpy(to, from, len);
	to[len] = '\0';
	return 0;
}

static int take_auth(const char *auth, struct fetch_registry *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	char *colon;
	int r = base64_decode(auth, &text, &len);

	if (r == -ENOMEM)
		return err_nomem(e);
	colon = r == 0 ? memchr(text, ':', len) : NULL;
	if (!colon)
		return err_invalid(e, "'auth' is not base64 of USER:PASSWORD");
	r = put(ret->user, sizeof(ret->user), text, (size_t)(colon - text), e);
	if (r == 0)
		r = put(ret->password, sizeof(ret->password), colon + 1,
			len - (size_t)(colon + 1 - text), e);
	explicit_bzero(text, len);
	return r;
}

static const char *text_of(const struct json_at *at, const char *key)
{
	struct json_at member;
	const char *s = json_member(at, key, &member) ? json_peek_string(&member) : NULL;

	return s && *s ? s : NULL;
}

/* -ENOENT without an error text: an entry that says nothing (docker leaves "{}" where a helper knows). */
static int take_entry(const struct json_at *entry, struct fetch_registry *ret, struct err *e)
{
	const char *token, *auth;

	if (json_type_of(entry->value) != JSON_OBJECT)
		return json_error(entry, e, "expected an object");
	token = text_of(entry, "identitytoken");
	auth = text_of(entry, "auth");
	if (token) {
		*ret->user = '\0';
		return put(ret->password, sizeof(ret->password), token, strlen(token), e);
	}
	return auth ? take_auth(auth, ret, e) : -ENOENT;
}

/* ---- one file ------------------------------------------------------------------------------------------------ */

static int find_in_auths(const struct json_at *top, const char *place, struct fetch_registry *ret,
			 struct err *e)
{
	struct json_at auths, entry, best = {0};
	size_t pos = 0, best_fit = 0;

	if (!json_member(top, "auths", &auths))
		return -ENOENT;
	if (json_type_of(auths.value) != JSON_OBJECT)
		return json_error(&auths, e, "expected an object");
	while (json_next_member(&auths, &pos, &entry)) {
		_cleanup_free_ char *key = credential_key(entry.key);

		if (!key)
			return err_nomem(e);
		if (fit(key, place) > best_fit) {
			best_fit = fit(key, place);
			best = entry;
		}
	}
	return best_fit ? take_entry(&best, ret, e) : -ENOENT;
}

const char *credential_helper_of(const struct json_at *top, const char *host)
{
	struct json_at helpers;
	const char *name = NULL;

	if (json_member(top, "credHelpers", &helpers) && json_type_of(helpers.value) == JSON_OBJECT)
		name = text_of(&helpers, host);
	return name ? name : text_of(top, "credsStore");
}

static int find_in_file(const char *path, const char *host, const char *place, char *const *env,
			struct fetch_registry *ret, struct err *e)
{
	_cleanup_json_ struct json *doc = NULL;
	const char *helper;
	struct json_at top;
	int r;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return -ENOENT;
	r = json_parse_file_at(AT_FDCWD, path, CREDENTIAL_FILE_MAX, &doc, e);
	if (r < 0)
		return r;
	top = json_top(doc);
	if (json_type_of(top.value) != JSON_OBJECT)
		return json_error(&top, e, "expected an object");
	r = find_in_auths(&top, place, ret, e);
	if (r != -ENOENT)
		return r;
	helper = credential_helper_of(&top, host);
	return helper ? credential_helper_get(helper, host, env, ret, e) : -ENOENT;
}

/* The first file that knows the registry. */
int credentials_find(const char *host, const char *repository, const struct img_pull_params *how,
		     struct fetch_registry *ret, struct err *e)
{
	_cleanup_free_ char *place = NULL;
	_cleanup_strv_ char **files = NULL;
	int r = credential_files(how->authfile, how->env, &files, e);

	if (r == 0 && str_printf(&place, "%s%s%s", host, *repository ? "/" : "", repository) < 0)
		r = err_nomem(e);
	for (char **f = files; r == 0 && f && *f; f++) {
		r = find_in_file(*f, host, place, how->env, ret, e);
		if (r == 0)
			return 0;
		if (r != -ENOENT)
			return err_wrap(e, "credentials in '%s'", *f);
		r = 0;
	}
	return r;
}
