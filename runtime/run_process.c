/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of `insula run`: its command, environment, identity.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "oci_parse.h"
#include "run_document.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Docker's environment: what is given wins over what is ours. */
static int make_env(const struct run_build *b, char ***ret)
{
	const struct rt_run_request *r = b->request;
	_cleanup_strv_ char **env = NULL;
	_cleanup_free_ char *hostname = NULL, *home = NULL;

	if (str_printf(&hostname, "HOSTNAME=%s", r->hostname ? r->hostname : b->id) < 0 ||
	    str_printf(&home, "HOME=%s", b->home) < 0 || strv_env_set(&env, DEFAULT_PATH) < 0 ||
	    strv_env_set(&env, hostname) < 0 || (r->tty && strv_env_set(&env, "TERM=xterm") < 0) ||
	    strv_env_set(&env, home) < 0)
		return -ENOMEM;
	for (char *const *v = r->env; v && *v; v++)
		if (strv_env_set(&env, *v) < 0)
			return -ENOMEM;
	*ret = TAKE_PTR(env);
	return 0;
}

int run_add_process(struct json *document, const struct run_build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	_cleanup_strv_ char **env = NULL;
	uint64_t caps = run_caps(b);
	struct iso_process p = {
		.args = (char **)r->args,
		.cwd = (char *)(r->workdir ? r->workdir : "/"),
		.user = b->user,
		.terminal = r->tty,
		/* Setuid programs of an image work, as with docker; on the host's own system there
		 * is nobody that an app should become. */
		.no_new_privileges = b->rootfs.host_root,
		.caps.present = true,
	};

	if (*p.cwd != '/')
		return err_invalid(e, "working directory '%s' is not an absolute path", p.cwd);
	if (make_env(b, &env) < 0)
		return err_nomem(e);
	p.env = env;
	/* Only root has them from the start; for others they are what a setuid program could get. */
	p.caps.set[ISO_CAP_BOUNDING] = caps;
	if (b->user.uid == 0)
		p.caps.set[ISO_CAP_PERMITTED] = p.caps.set[ISO_CAP_EFFECTIVE] = caps;
	if (json_set(document, "process", oci_process_to_json(&p)) < 0)
		return err_nomem(e);
	return 0;
}
