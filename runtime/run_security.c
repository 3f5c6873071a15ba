/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox of `insula run` may: --security-opt, and what of the kernel's files is hidden or read-only.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "default_paths.h"
#include "run_document.h"
#include "runtime/seccomp_default.h"

/* ---- --security-opt --------------------------------------------------------------------- */

static int take_seccomp(struct run_security *s, const char *value, struct err *e)
{
	int r;

	json_free(s->profile);
	s->profile = NULL;
	if (STREQ(value, "unconfined")) {
		s->seccomp = RUN_SECCOMP_UNCONFINED;
	} else if (STREQ(value, "builtin") || STREQ(value, "default")) {
		s->seccomp = RUN_SECCOMP_DEFAULT;
	} else {
		r = run_seccomp_file(value, s->caps, &s->profile, e);
		if (r < 0)
			return err_wrap(e, "seccomp profile '%s'", value);
		s->seccomp = RUN_SECCOMP_FILE;
	}
	return 0;
}

static int take_bool(const char *value, bool *ret, struct err *e)
{
	if (!*value || STREQ(value, "true"))
		*ret = true;
	else if (STREQ(value, "false"))
		*ret = false;
	else
		return err_invalid(e, "'%s' is not true or false", value);
	return 0;
}

static int take_no_new_privileges(struct run_security *s, const char *value, struct err *e)
{
	s->has_no_new_privileges = true;
	return take_bool(value, &s->no_new_privileges, e);
}

static int take_apparmor(struct run_security *s, const char *value, struct err *e)
{
	free(s->apparmor);
	s->apparmor = NULL;
	/* Without a profile of ours, a sandbox is unconfined by AppArmor anyway. */
	if (STREQ(value, "unconfined"))
		return 0;
	s->apparmor = strdup(value);
	return s->apparmor ? 0 : err_nomem(e);
}

static int take_label(struct run_security *s, const char *value, struct err *e)
{
	(void)s;
	/* We give no labels, so there is nothing to switch off. */
	if (STREQ(value, "disable"))
		return 0;
	return err_unsupported(e, "SELinux labels are not computed; only label=disable is done");
}

static int take_paths(char ***v, const char *value, struct err *e)
{
	_cleanup_strv_ char **paths = NULL;

	if (strv_split(value, ':', &paths) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < strv_len(paths); i++) {
		_cleanup_free_ char *clean = NULL;

		if (paths[i][0] != '/')
			return err_invalid(e, "'%s' is not an absolute path", paths[i]);
		if (path_normalize(paths[i], &clean) < 0 || strv_push(v, clean) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int take_mask(struct run_security *s, const char *value, struct err *e)
{
	return take_paths(&s->masked, value, e);
}

static int take_unmask(struct run_security *s, const char *value, struct err *e)
{
	if (STREQ(value, "ALL") || STREQ(value, "all"))
		return strv_push(&s->unmasked, "ALL") < 0 ? err_nomem(e) : 0;
	return take_paths(&s->unmasked, value, e);
}

static int take_systempaths(struct run_security *s, const char *value, struct err *e)
{
	if (!STREQ(value, "unconfined"))
		return err_invalid(e, "'%s' is not unconfined", value);
	return take_unmask(s, "ALL", e);
}

static int take_writable_cgroups(struct run_security *s, const char *value, struct err *e)
{
	return take_bool(value, &s->writable_cgroups, e);
}

static const struct {
	const char *name;
	bool may_be_bare; /* without a value */
	int (*take)(struct run_security *s, const char *value, struct err *e);
} options[] = {
	{"seccomp", false, take_seccomp},
	{"no-new-privileges", true, take_no_new_privileges},
	{"apparmor", false, take_apparmor},
	{"label", false, take_label},
	{"mask", false, take_mask},
	{"unmask", false, take_unmask},
	{"systempaths", false, take_systempaths},
	{"writable-cgroups", true, take_writable_cgroups},
};

static const char *const refused_options[][2] = {
	{"proc-opts", "options of /proc are fixed"},
	{"credentialspec", "it is for Windows"},
};

static int take_option(struct run_security *s, const char *flag, struct err *e)
{
	size_t n = strcspn(flag, "=:"); /* docker took ':' before '=' */

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strlen(options[i].name) != n || memcmp(options[i].name, flag, n) != 0)
			continue;
		if (!options[i].may_be_bare && (!flag[n] || !flag[n + 1]))
			return err_invalid(e, "'%s' needs a value", options[i].name);
		return options[i].take(s, flag[n] ? flag + n + 1 : "", e);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused_options); i++)
		if (strlen(refused_options[i][0]) == n &&
		    memcmp(refused_options[i][0], flag, n) == 0)
			return err_unsupported(e, "not supported: %s", refused_options[i][1]);
	err_invalid(e, "unknown option");
	return err_hint(e, "there are seccomp, no-new-privileges, apparmor, label, mask, unmask, "
			   "systempaths and writable-cgroups");
}

int run_security_take(const struct rt_run_request *r, struct run_security *ret, struct err *e)
{
	int rc = run_caps_take(r, &ret->caps, &ret->added_caps, e);

	if (rc < 0)
		return rc;
	if (r->privileged) {
		ret->seccomp = RUN_SECCOMP_UNCONFINED;
		ret->writable_cgroups = true;
		if (strv_push(&ret->unmasked, "ALL") < 0)
			return err_nomem(e);
	}
	for (char *const *flag = r->security; flag && *flag; flag++)
		if (take_option(ret, *flag, e) < 0)
			return err_wrap(e, "--security-opt '%s'", *flag);
	return 0;
}

void run_security_done(struct run_security *s)
{
	json_free(s->profile);
	free(s->apparmor);
	strv_free(s->masked);
	strv_free(s->unmasked);
}

/* ---- in the document -------------------------------------------------------------------- */

/* The path itself, or all below it with a star at the end. */
static bool is_unmasked(const struct run_security *s, const char *path)
{
	for (char *const *u = s->unmasked; u && *u; u++) {
		size_t n = strlen(*u);

		if (STREQ(*u, "ALL") || STREQ(*u, path) ||
		    (n > 2 && STREQ(*u + n - 2, "/*") && strncmp(path, *u, n - 1) == 0))
			return true;
	}
	return false;
}

static int add_paths(struct json *list, const struct run_security *s, const char *fixed)
{
	_cleanup_json_ struct json *all = run_fixed(fixed);
	struct json_at at = json_top(all);

	for (size_t i = 0; all && i < json_array_len(&at); i++) {
		struct json_at item = json_array_at(&at, i);
		const char *path = json_peek_string(&item);

		if (!is_unmasked(s, path) && json_push(list, json_new_string(path)) < 0)
			return -ENOMEM;
	}
	return all ? 0 : -ENOMEM;
}

static int add_seccomp(struct json *l, const struct run_security *s)
{
	switch (s->seccomp) {
	case RUN_SECCOMP_UNCONFINED:
		return 0;
	case RUN_SECCOMP_DEFAULT:
		return json_set(l, "seccomp", rt_seccomp_default(s->caps));
	case RUN_SECCOMP_FILE:
		return json_set(l, "seccomp", json_copy(s->profile));
	}
	return -EINVAL;
}

int run_security_add(struct json *document, const struct run_build *b, struct json *masked,
		     struct err *e)
{
	_cleanup_json_ struct json *hidden = masked, *readonly = json_new_array();
	const struct run_security *s = &b->security;
	struct json *l = json_object_member(document, "linux", true);

	if (!l || !hidden || !readonly || add_paths(hidden, s, DEFAULT_MASKED_PATHS_JSON) < 0 ||
	    add_paths(readonly, s, DEFAULT_READONLY_PATHS_JSON) < 0)
		return err_nomem(e);
	for (char *const *m = s->masked; m && *m; m++)
		if (json_push(hidden, json_new_string(*m)) < 0)
			return err_nomem(e);
	if (json_set(l, "namespaces", run_namespaces_json(&b->ns)) < 0 || add_seccomp(l, s) < 0 ||
	    json_set(l, "maskedPaths", TAKE_PTR(hidden)) < 0 ||
	    json_set(l, "readonlyPaths", TAKE_PTR(readonly)) < 0)
		return err_nomem(e);
	return 0;
}
