/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where credentials lie: REGISTRY_AUTH_FILE alone where it is set; else containers' file of the session, the lasting one, docker's.
 * Spec: containers-auth.json(5).
 */
#include "credential_files.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

static int add(char ***v, const char *dir, const char *rest, struct err *e)
{
	char *path;

	if (!dir || !*dir)
		return 0;
	return str_printf(&path, "%s%s", dir, rest) < 0 || strv_consume(v, path) < 0 ? err_nomem(e)
										     : 0;
}

int credential_files(const char *authfile, char *const *env, char ***ret, struct err *e)
{
	const char *own = authfile ?: strv_env_get(env, "REGISTRY_AUTH_FILE"),
		   *run = strv_env_get(env, "XDG_RUNTIME_DIR"),
		   *config = strv_env_get(env, "XDG_CONFIG_HOME"),
		   *docker = strv_env_get(env, "DOCKER_CONFIG"), *home = strv_env_get(env, "HOME");
	_cleanup_free_ char *without = NULL;
	_cleanup_strv_ char **v = NULL;
	int r;

	if (own && *own) {
		r = add(&v, own, "", e);
		if (r == 0)
			*ret = TAKE_PTR(v);
		return r;
	}
	/* Where podman has it without a session's directory. */
	if (str_printf(&without, "/run/containers/%u", (unsigned)geteuid()) < 0)
		return err_nomem(e);
	r = run && *run ? add(&v, run, "/containers/auth.json", e)
			: add(&v, without, "/auth.json", e);
	if (r == 0)
		r = config && *config ? add(&v, config, "/containers/auth.json", e)
				      : add(&v, home, "/.config/containers/auth.json", e);
	if (r == 0)
		r = docker && *docker ? add(&v, docker, "/config.json", e)
				      : add(&v, home, "/.docker/config.json", e);
	if (r == 0)
		*ret = TAKE_PTR(v);
	return r;
}
