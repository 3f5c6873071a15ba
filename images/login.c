/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in and out. A credential file is read, changed and replaced while its directory is locked, so that two logins at once both
 * stay; what else is in it is kept. A file that is a symlink is replaced where it leads to.
 */
#include "images/login.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "base64.h"
#include "credential_files.h"
#include "credential_helper.h"
#include "credentials.h"
#include "fetch_client.h"
#include "registry.h"

#define DOCKER_KEY "https://index.docker.io/v1/"

/* ---- names --------------------------------------------------------------------------------------------- */

int img_login_name(const char *registry, char **ret, struct err *e)
{
	_cleanup_free_ char *name = credential_key(registry ?: "docker.io");

	if (!name)
		return err_nomem(e);
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= 0x20 || strchr("\\?#@\x7f", *p))
			return err_invalid(e, "'%.80s' is no registry: HOST[:PORT][/PATH]", name);
	if (!*name || *name == '/' || str_has_suffix(name, "/"))
		return err_invalid(e, "'%.80s' is no registry: HOST[:PORT][/PATH]", name);
	*ret = TAKE_PTR(name);
	return 0;
}

static int split(const char *name, struct registry_place *ret, struct err *e)
{
	const char *slash = strchr(name, '/');

	ret->host = strndup(name, strcspn(name, "/"));
	ret->repository = strdup(slash ? slash + 1 : "");
	return ret->host && ret->repository ? 0 : err_nomem(e);
}

static void place_done(struct registry_place *p)
{
	free(p->host);
	free(p->repository);
}

/* ---- a credential file ------------------------------------------------------------------------------------ */

struct auth_file {
	char *path, *base;
	int dir; /* locked */
	struct json *doc;
};

static void auth_file_done(struct auth_file *f)
{
	fd_close(f->dir);
	free(f->path);
	free(f->base);
	json_free(f->doc);
}

static int read_doc(struct auth_file *f, struct err *e)
{
	struct json_at top;
	int r;

	if (faccessat(f->dir, f->base, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
		f->doc = json_new_object();
		return f->doc ? 0 : err_nomem(e);
	}
	r = json_parse_file_at(f->dir, f->base, CREDENTIAL_FILE_MAX, &f->doc, e);
	if (r < 0)
		return r;
	top = json_top(f->doc);
	return json_type_of(top.value) == JSON_OBJECT ? 0
						      : json_error(&top, e, "expected an object");
}

static int open_dir(struct auth_file *f, struct err *e)
{
	_cleanup_free_ char *dir = NULL;
	char real[PATH_MAX];
	const char *path = realpath(f->path, real) ? real : f->path, *slash;
	int r;

	slash = strrchr(path, '/');
	dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	f->base = strdup(slash ? slash + 1 : path);
	if (!dir || !f->base)
		return err_nomem(e);
	if (!*f->base)
		return err_invalid(e, "it is no file");
	r = slash ? path_mkdir_p(dir, 0700, e) : 0;
	if (r < 0)
		return r;
	f->dir = path_open_dir(dir, e);
	return f->dir < 0 ? f->dir : store_flock(f->dir, LOCK_EX, e);
}

/* The one that a login writes to. */
static int auth_file_open(const struct img_pull_params *how, struct auth_file *f, struct err *e)
{
	_cleanup_strv_ char **files = NULL;
	int r = credential_files(how->authfile, how->env, &files, e);

	if (r < 0)
		return r;
	f->path = files ? strdup(files[0]) : NULL;
	if (!f->path)
		return err_nomem(e);
	r = open_dir(f, e);
	if (r == 0)
		r = read_doc(f, e);
	return r < 0 ? err_wrap(e, "credentials in '%s'", f->path) : 0;
}

static int auth_file_write(struct auth_file *f, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (json_to_text(f->doc, true, &text, &len) < 0)
		return err_nomem(e);
	r = path_replace_file_at(f->dir, f->base, text, len, 0600, true, e);
	explicit_bzero(text, len);
	return r < 0 ? err_wrap(e, "credentials in '%s'", f->path) : 0;
}

/* Remove the entries of that name, however it is written; *ret_key, if not NULL, is the way that was found. */
static int remove_entries(struct auth_file *f, const char *name, char **ret_key, struct err *e)
{
	struct json_at top = json_top(f->doc), auths, entry;
	_cleanup_strv_ char **keys = NULL;
	size_t pos = 0;

	if (!json_member(&top, "auths", &auths))
		return 0;
	if (json_type_of(auths.value) != JSON_OBJECT)
		return json_error(&auths, e, "expected an object");
	while (json_next_member(&auths, &pos, &entry)) {
		_cleanup_free_ char *key = credential_key(entry.key);

		if (!key || (STREQ(key, name) && strv_push(&keys, entry.key) < 0))
			return err_nomem(e);
	}
	for (char **k = keys; k && *k; k++)
		json_remove(json_object_member(f->doc, "auths", false), *k);
	if (ret_key && keys && !(*ret_key = strdup(keys[0])))
		return err_nomem(e);
	return keys ? 1 : 0;
}

/* base64 of USER:PASSWORD. */
static int new_entry(const char *user, const char *password, struct json **ret, struct err *e)
{
	_cleanup_free_ char *pair = NULL, *text = NULL;
	struct json *o = json_new_object();

	if (str_printf(&pair, "%s:%s", user, password) == 0)
		text = base64_encode(pair, strlen(pair));
	if (pair)
		explicit_bzero(pair, strlen(pair));
	if (!o || !text || json_set(o, "auth", json_new_string(text)) < 0) {
		json_free(o);
		o = NULL;
	}
	if (text)
		explicit_bzero(text, strlen(text));
	*ret = o;
	return o ? 0 : err_nomem(e);
}

static int put_entry(struct auth_file *f, const char *name, const char *user, const char *password,
		     struct err *e)
{
	_cleanup_free_ char *key = NULL;
	const char *fresh =
		STREQ(name, "docker.io") && STREQ(f->base, "config.json") ? DOCKER_KEY : name;
	struct json *auths, *entry;
	int r = remove_entries(f, name, &key, e);

	if (r >= 0)
		r = new_entry(user, password, &entry, e);
	if (r < 0)
		return r;
	auths = json_object_member(f->doc, "auths", true);
	if (!auths) {
		json_free(entry);
		return err_nomem(e);
	}
	return json_set(auths, key ?: fresh, entry) < 0 ? err_nomem(e) : auth_file_write(f, e);
}

/* ---- login ---------------------------------------------------------------------------------------------- */

static int ask_registry(struct img_store *s, const struct fetch_registry *g, const char *host,
			const struct img_pull_params *how, struct err *e)
{
	_cleanup_close_ int certificates = registry_certificates(host, how->env, e);
	struct fetch_client c = {.cancel = -1};
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (certificates < 0)
		return certificates;
	r = fetch_client_start(s, g, certificates, &c, e);
	if (r == 0)
		r = fetch_client_get(&c, FETCH_PING, "", 0, &text, &len, NULL, e);
	fetch_client_stop(&c);
	return r;
}

static int fill(const struct registry_place *place, const char *user, const char *password,
		const struct img_pull_params *how, struct fetch_registry *g, struct err *e)
{
	const struct registry_place host = {
		.host = place->host, .repository = (char *)"", .insecure = place->insecure};
	int r = registry_fill(&host, how, g, e);

	if (r < 0)
		return r;
	if (!*user || strchr(user, ':') || strpbrk(user, "\r\n"))
		return err_invalid(e, "'%.64s' is not the name of a user", user);
	if (!*password || strpbrk(password, "\r\n"))
		return err_invalid(e, "the password is empty, or of several lines");
	if (strlen(user) >= sizeof(g->user) || strlen(password) >= sizeof(g->password))
		return err_invalid(e, "the user's name or the password is too long");
	memcpy(g->user, user, strlen(user) + 1);
	memcpy(g->password, password, strlen(password) + 1);
	return 0;
}

static int check(struct img_store *s, const char *name, struct registry_place *place,
		 const char *user, const char *password, const struct img_pull_params *how,
		 struct err *e)
{
	_cleanup_free_ struct fetch_registry *g = calloc(1, sizeof(*g));
	struct registries c = {0};
	int r = g ? registries_load(how->env, &c, e) : err_nomem(e);

	if (r == 0)
		r = registries_host(&c, name, &place->insecure, e);
	registries_done(&c);
	if (r == 0)
		r = fill(place, user, password, how, g, e);
	if (r == 0)
		r = ask_registry(s, g, place->host, how, e);
	if (g)
		explicit_bzero(g, sizeof(*g));
	return r;
}

static int keep(const char *name, const struct registry_place *place, const char *user,
		const char *password, const struct img_pull_params *how, struct err *e)
{
	_cleanup_(auth_file_done) struct auth_file f = {.dir = -1};
	const char *helper;
	struct json_at top;
	int r = auth_file_open(how, &f, e);

	if (r < 0)
		return r;
	top = json_top(f.doc);
	helper = credential_helper_of(&top, place->host);
	if (!helper)
		return put_entry(&f, name, user, password, e);
	if (*place->repository)
		return err_unsupported(e,
				       "a helper (docker-credential-%.32s) keeps no credentials "
				       "for parts of a registry",
				       helper);
	return credential_helper_store(helper, place->host, user, password, how->env, e);
}

int img_login(struct img_store *s, const char *registry, const char *user, const char *password,
	      const struct img_pull_params *how, struct err *e)
{
	_cleanup_(place_done) struct registry_place place = {0};
	_cleanup_free_ char *name = NULL;
	int r = img_login_name(registry, &name, e);

	if (r < 0)
		return r;
	r = split(name, &place, e);
	if (r == 0)
		r = check(s, name, &place, user, password, how, e);
	if (r == 0)
		r = keep(name, &place, user, password, how, e);
	return r < 0 ? err_wrap(e, "login to '%s'", name) : 0;
}

/* ---- logout ----------------------------------------------------------------------------------------------- */

static int forget(struct auth_file *f, const char *name, const struct registry_place *place,
		  char *const *env, struct err *e)
{
	struct json_at top = json_top(f->doc);
	const char *helper = *place->repository ? NULL : credential_helper_of(&top, place->host);
	struct fetch_registry g = {0};
	int r, removed = remove_entries(f, name, NULL, e);

	if (removed < 0)
		return removed;
	if (helper) {
		r = credential_helper_get(helper, place->host, env, &g, NULL);
		explicit_bzero(&g, sizeof(g));
		if (r == 0) {
			r = credential_helper_erase(helper, place->host, env, e);
			if (r < 0)
				return r;
			removed = 1;
		}
	}
	if (!removed)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "'%s' has no credentials for it", f->path);
	return auth_file_write(f, e);
}

/* Another tool's file may have some. */
static void hint_others(const struct registry_place *place, const struct img_pull_params *how,
			struct err *e)
{
	struct fetch_registry g = {0};

	if (credentials_find(place->host, place->repository, how, &g, NULL) == 0 &&
	    (*g.user || *g.password))
		err_hint(e, "another file has some: podman logout, or docker logout");
	explicit_bzero(&g, sizeof(g));
}

int img_logout(const char *registry, const struct img_pull_params *how, struct err *e)
{
	_cleanup_(place_done) struct registry_place place = {0};
	_cleanup_(auth_file_done) struct auth_file f = {.dir = -1};
	_cleanup_free_ char *name = NULL;
	int r = img_login_name(registry, &name, e);

	if (r < 0)
		return r;
	r = split(name, &place, e);
	if (r == 0)
		r = auth_file_open(how, &f, e);
	if (r == 0)
		r = forget(&f, name, &place, how->env, e);
	if (r == -ENOENT && !how->authfile)
		hint_others(&place, how, e);
	return r < 0 ? err_wrap(e, "logout from '%s'", name) : 0;
}

int img_logout_all(const struct img_pull_params *how, struct err *e)
{
	_cleanup_(auth_file_done) struct auth_file f = {.dir = -1};
	int r = auth_file_open(how, &f, e);

	if (r < 0)
		return r;
	json_remove(f.doc, "auths");
	return auth_file_write(&f, e);
}

int img_login_user(const char *registry, const struct img_pull_params *how, char **ret,
		   struct err *e)
{
	_cleanup_(place_done) struct registry_place place = {0};
	_cleanup_free_ struct fetch_registry *g = calloc(1, sizeof(*g));
	_cleanup_free_ char *name = NULL;
	int r = g ? img_login_name(registry, &name, e) : err_nomem(e);

	if (r < 0)
		return r;
	r = split(name, &place, e);
	if (r == 0)
		r = credentials_find(place.host, place.repository, how, g, e);
	if (r == 0 && !*g->user && !*g->password) {
		r = err_set(e, ERR_NOT_FOUND, ENOENT, "not logged in to '%s'", name);
		err_hint(e, "insula login %s", name);
	}
	if (r == 0 && !(*ret = strdup(*g->user ? g->user : "<token>")))
		r = err_nomem(e);
	explicit_bzero(g, sizeof(*g));
	return r;
}
