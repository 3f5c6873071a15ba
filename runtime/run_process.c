/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of `insula run`: its command, environment, identity and limits, from flags over an image's
 * configuration over docker's defaults.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroups/limits.h"
#include "oci_parse.h"
#include "run_document.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const struct img_config *run_image_config(const struct rt_run_request *r)
{
	return r->image ? &r->image->config : NULL;
}

/* ---- command ---------------------------------------------------------------------------- */

static int push_all(char ***v, char *const *more)
{
	for (; more && *more; more++)
		if (strv_push(v, *more) < 0)
			return -ENOMEM;
	return 0;
}

/* A word, or podman's list of words in JSON. "" is none. */
static int take_entrypoint(const char *flag, char ***v, struct err *e)
{
	_cleanup_json_ struct json *list = NULL;
	struct json_at at;

	if (!*flag)
		return 0;
	if (*flag != '[')
		return strv_push(v, flag) < 0 ? err_nomem(e) : 0;
	if (json_parse(flag, strlen(flag), "--entrypoint", &list, e) < 0)
		return -EINVAL;
	at = json_top(list);
	return json_get_strv(&at, v, e);
}

/* Docker's rule: another entrypoint makes the image's command meaningless. */
int run_command(const struct rt_run_request *r, char ***ret, struct err *e)
{
	const struct img_config *c = run_image_config(r);
	_cleanup_strv_ char **v = NULL;
	bool has_args = r->args && *r->args;
	int rc = 0;

	if (r->entrypoint)
		rc = take_entrypoint(r->entrypoint, &v, e);
	else if (c && push_all(&v, c->entrypoint) < 0)
		rc = err_nomem(e);
	if (rc < 0)
		return rc;
	if (push_all(&v, has_args ? r->args : NULL) < 0 ||
	    (!has_args && !r->entrypoint && c && push_all(&v, c->cmd) < 0))
		return err_nomem(e);
	if (!v) {
		err_invalid(e, "no command given%s", c ? ", and the image has none" : "");
		return err_hint(e, "add it behind %s", c ? "the image" : "the flags");
	}
	*ret = TAKE_PTR(v);
	return 0;
}

/* In front of it, the init program. */
static int full_command(const struct run_build *b, char ***ret, struct err *e)
{
	_cleanup_strv_ char **command = NULL, **v = NULL;
	int r = run_command(b->request, &command, e);

	if (r < 0)
		return r;
	if ((b->init && (strv_push(&v, b->init) < 0 || strv_push(&v, "--") < 0)) ||
	    push_all(&v, command) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(v);
	return 0;
}

/* ---- environment ------------------------------------------------------------------------ */

static void unset(char **env, const char *name)
{
	size_t n = strlen(name);
	char **to = env;

	for (char **v = env; v && *v; v++) {
		if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
			free(*v);
		else
			*to++ = *v;
	}
	if (env)
		*to = NULL;
}

/* A name without a value takes the variable away, as `-e NAME` does where the caller has none. */
static int add_env(char ***env, char *const *more)
{
	for (; more && *more; more++) {
		if (!strchr(*more, '='))
			unset(*env, *more);
		else if (strv_env_set(env, *more) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Docker's environment: what is given wins over the image's, and that over ours. */
static int make_env(const struct run_build *b, char ***ret)
{
	const struct rt_run_request *r = b->request;
	const struct img_config *c = run_image_config(r);
	_cleanup_strv_ char **env = NULL;
	_cleanup_free_ char *hostname = NULL, *home = NULL;

	if (str_printf(&hostname, "HOSTNAME=%s", b->hostname) < 0 ||
	    str_printf(&home, "HOME=%s", b->home) < 0 || strv_env_set(&env, DEFAULT_PATH) < 0 ||
	    strv_env_set(&env, hostname) < 0 || (r->tty && strv_env_set(&env, "TERM=xterm") < 0) ||
	    strv_env_set(&env, home) < 0 || (c && add_env(&env, c->env) < 0) ||
	    add_env(&env, r->env) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(env);
	return 0;
}

/* ---- limits ----------------------------------------------------------------------------- */

/* "nofile": RLIMIT_NOFILE. */
static int resource_of(const char *name, size_t len, int *ret)
{
	char oci[32] = "RLIMIT_";
	size_t n = strlen(oci);

	if (len == 0 || len + n >= sizeof(oci))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		oci[n + i] =
			name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
	oci[n + len] = '\0';
	return iso_rlimit_parse(oci, ret);
}

static int limit_value(const char *s, uint64_t *ret)
{
	if (STREQ(s, "-1") || STREQ(s, "unlimited")) {
		*ret = UINT64_MAX;
		return 0;
	}
	return parse_u64(s, ret);
}

/* Raising a hard limit takes a capability; the kernel would only say so when everything is built. */
static int check_hard(const struct iso_rlimit *l, const char *flag, struct err *e)
{
	struct rlimit own;

	if ((iso_caps_held() & UINT64_C(1) << 24 /* CAP_SYS_RESOURCE */) ||
	    getrlimit(l->resource, &own) < 0 || l->hard <= own.rlim_max)
		return 0;
	err_invalid(e, "--ulimit '%s': the hard limit here is %llu", flag,
		    (unsigned long long)own.rlim_max);
	return err_hint(e, "ask for at most that, or have it raised for you (limits.conf)");
}

static int take_ulimit(const char *flag, struct iso_rlimit *ret, struct err *e)
{
	const char *equals = strchr(flag, '=');
	_cleanup_free_ char *soft = equals ? strdup(equals + 1) : NULL;
	char *hard = soft ? strchr(soft, ':') : NULL;

	if (equals && !soft)
		return err_nomem(e);
	if (STREQ(flag, "host"))
		return 0;
	if (!equals || resource_of(flag, (size_t)(equals - flag), &ret->resource) < 0) {
		err_invalid(e, "--ulimit '%s' names no limit", flag);
		return err_hint(e, "such as nofile=1024:4096, nproc, core, stack, memlock, fsize");
	}
	if (hard)
		*hard++ = '\0';
	if (limit_value(soft, &ret->soft) < 0 || (hard && limit_value(hard, &ret->hard) < 0))
		return err_invalid(e, "--ulimit '%s' is not NAME=SOFT[:HARD]; -1 is no limit",
				   flag);
	if (!hard)
		ret->hard = ret->soft;
	if (ret->soft > ret->hard)
		return err_invalid(e, "--ulimit '%s': the soft limit is above the hard one", flag);
	return check_hard(ret, flag, e);
}

/* The last of a name counts. */
int run_rlimits(const struct rt_run_request *r, struct iso_rlimit **ret, size_t *ret_n,
		struct err *e)
{
	_cleanup_free_ struct iso_rlimit *v = calloc(strv_len(r->ulimits) + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return err_nomem(e);
	for (char *const *f = r->ulimits; f && *f; f++) {
		struct iso_rlimit l = {.resource = -1};
		size_t at = 0;
		int rc = take_ulimit(*f, &l, e);

		if (rc < 0)
			return rc;
		if (l.resource < 0) /* "host": the caller's, which are inherited */
			continue;
		while (at < n && v[at].resource != l.resource)
			at++;
		v[at] = l;
		n += at == n;
	}
	*ret = TAKE_PTR(v);
	*ret_n = n;
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int take_oom_score(const struct rt_run_request *r, struct iso_process *p, struct err *e)
{
	if (r->oom_score_adj == CG_UNSET)
		return 0;
	if (r->oom_score_adj < -1000 || r->oom_score_adj > 1000)
		return err_invalid(e, "--oom-score-adj %lld is not between -1000 and 1000",
				   (long long)r->oom_score_adj);
	p->oom_score_adj = (int32_t)r->oom_score_adj;
	p->has_oom_score_adj = true;
	return 0;
}

/* Only root has them from the start; for others they are what a setuid program could get, and those that were
 * asked for by name are theirs at once, as podman has it. */
static void take_caps(const struct run_build *b, struct iso_process *p)
{
	const struct run_security *s = &b->security;

	p->caps.present = true;
	p->caps.set[ISO_CAP_BOUNDING] = s->caps;
	if (b->user.uid == 0) {
		p->caps.set[ISO_CAP_PERMITTED] = p->caps.set[ISO_CAP_EFFECTIVE] = s->caps;
		return;
	}
	p->caps.set[ISO_CAP_PERMITTED] = p->caps.set[ISO_CAP_EFFECTIVE] = s->added_caps;
	p->caps.set[ISO_CAP_INHERITABLE] = p->caps.set[ISO_CAP_AMBIENT] = s->added_caps;
}

static const char *workdir_of(const struct rt_run_request *r)
{
	const struct img_config *c = run_image_config(r);

	if (r->workdir)
		return r->workdir;
	return c && c->workdir && *c->workdir ? c->workdir : "/";
}

static int set_process(struct json *document, const struct run_build *b, struct iso_process *p,
		       struct err *e)
{
	int r = run_rlimits(b->request, &p->rlimits, &p->n_rlimits, e);

	if (r == 0)
		r = take_oom_score(b->request, p, e);
	if (r == 0 && json_set(document, "process", oci_process_to_json(p)) < 0)
		r = err_nomem(e);
	free(p->rlimits);
	return r;
}

int run_process_add(struct json *document, const struct run_build *b, struct err *e)
{
	const struct rt_run_request *r = b->request;
	const struct run_security *s = &b->security;
	_cleanup_strv_ char **env = NULL, **args = NULL;
	struct iso_process p = {
		.cwd = (char *)workdir_of(r),
		.user = b->user,
		.terminal = r->tty,
		/* Setuid programs of an image work, as with docker; on the host's own system there
		 * is nobody that an app should become. */
		.no_new_privileges = s->has_no_new_privileges
					     ? s->no_new_privileges
					     : b->rootfs.host_root && !r->privileged,
		.apparmor_profile = s->apparmor,
	};
	int rc;

	if (*p.cwd != '/')
		return err_invalid(e, "working directory '%s' is not an absolute path", p.cwd);
	rc = full_command(b, &args, e);
	if (rc < 0)
		return rc;
	if (make_env(b, &env) < 0)
		return err_nomem(e);
	p.args = args;
	p.env = env;
	take_caps(b, &p);
	return set_process(document, b, &p, e);
}
