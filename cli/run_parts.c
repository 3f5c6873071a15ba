/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the flags of `insula run`, as written, to the request that the runtime takes.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroups/limits.h"
#include "run_options.h"

void run_parts_done(struct run_parts *p)
{
	strv_free(p->env);
	for (size_t i = 0; i < p->n_volumes; i++) {
		free(p->volumes[i].source);
		free(p->volumes[i].destination);
		free(p->volumes[i].options);
	}
	free(p->volumes);
}

/* "NAME=VALUE", or "NAME" for the caller's value (nothing if it has none, as docker does). */
static int take_env(char *const *flags, char ***ret, struct err *e)
{
	for (; flags && *flags; flags++) {
		const char *equals = strchr(*flags, '=');
		const char *value = equals ? NULL : getenv(*flags);
		_cleanup_free_ char *assignment = NULL;

		if (equals == *flags || !**flags)
			return err_invalid(e, "-e '%s': a variable needs a name", *flags);
		if (!equals && !value)
			continue;
		if (!equals && str_printf(&assignment, "%s=%s", *flags, value) < 0)
			return err_nomem(e);
		if (strv_env_set(ret, assignment ? assignment : *flags) < 0)
			return err_nomem(e);
	}
	return 0;
}

/* "SOURCE:DESTINATION[:OPTIONS]". */
static int take_volume(const char *flag, struct rt_volume *ret, struct err *e)
{
	_cleanup_strv_ char **parts = NULL;
	size_t n;

	if (strv_split(flag, ':', &parts) < 0)
		return err_nomem(e);
	n = strv_len(parts);
	if (n < 2 || n > 3 || !*parts[0] || parts[1][0] != '/') {
		err_invalid(e, "-v '%s' is not SOURCE:DESTINATION[:OPTIONS]", flag);
		return err_hint(e, "the destination is an absolute path in the sandbox");
	}
	if (!strchr(parts[0], '/') && !STREQ(parts[0], ".") && !STREQ(parts[0], "..")) {
		err_unsupported(e, "-v '%s': named volumes are not supported yet", flag);
		return err_hint(e, "for a directory write ./%s", parts[0]);
	}
	ret->source = realpath(parts[0], NULL);
	if (!ret->source)
		return err_sys(e, errno, "-v '%s': '%s'", flag, parts[0]);
	ret->destination = strdup(parts[1]);
	ret->options = n == 3 ? strdup(parts[2]) : NULL;
	return !ret->destination || (n == 3 && !ret->options) ? err_nomem(e) : 0;
}

int run_parts_take(const struct run_opts *o, struct run_parts *p, struct err *e)
{
	size_t n = strv_len(o->volumes);
	int r = take_env(o->env, &p->env, e);

	if (r < 0)
		return r;
	p->volumes = calloc(n + 1, sizeof(*p->volumes));
	if (!p->volumes)
		return err_nomem(e);
	for (; p->n_volumes < n;) {
		r = take_volume(o->volumes[p->n_volumes], &p->volumes[p->n_volumes], e);
		p->n_volumes++; /* even a half one is freed */
		if (r < 0)
			return r;
	}
	return 0;
}

void run_request_fill(const struct run_opts *o, const struct run_parts *p, char **args,
		      struct rt_run_request *r)
{
	*r = (struct rt_run_request){
		.rootfs = o->rootfs,
		.args = args,
		.env = p->env,
		.volumes = p->volumes,
		.n_volumes = p->n_volumes,
		.workdir = o->workdir,
		.user = o->user,
		.hostname = o->hostname,
		.name = o->name,
		.network = o->network,
		.interactive = o->interactive,
		.tty = o->tty,
		.read_only = o->read_only,
		.memory_bytes = o->memory,
		.cpus_micro = o->cpus,
		.pids_limit = o->pids,
		.shm_bytes = CG_UNSET,
		.memory_swap_bytes = CG_UNSET,
		.cpu_weight = CG_UNSET,
		.oom_score_adj = CG_UNSET,
		.stop_timeout_sec = -1,
		.driver = driver_name_of(o->vm ? DRIVER_VM : DRIVER_CONTAINER),
		.labels = o->labels,
	};
}
