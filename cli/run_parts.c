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
#include "env_file.h"
#include "people.h"
#include "run_options.h"

void run_parts_done(struct run_parts *p)
{
	strv_free(p->env);
	strv_free(p->labels);
	strv_free(p->annotations);
	for (size_t i = 0; i < p->n_volumes; i++) {
		free(p->volumes[i].source);
		free(p->volumes[i].destination);
		free(p->volumes[i].options);
	}
	free(p->volumes);
	free(p->network);
	free(p->ipc);
	free(p->pid);
}

static int bad_volume(const char *flag, struct err *e)
{
	err_invalid(e, "-v '%s' is not [SOURCE:]DESTINATION[:OPTIONS]", flag);
	return err_hint(e, "the destination is an absolute path in the sandbox");
}

/* A path of the host has a slash; any other word would be a volume's name. */
static int take_source(const char *flag, const char *word, char **ret, struct err *e)
{
	if (!strchr(word, '/') && !STREQ(word, ".") && !STREQ(word, "..")) {
		err_unsupported(e, "-v '%s': named volumes are not supported yet", flag);
		return err_hint(e, "for a directory write ./%s", word);
	}
	*ret = realpath(word, NULL);
	if (*ret)
		return 0;
	if (errno != ENOENT)
		return err_sys(e, errno, "-v '%s': '%s'", flag, word);
	err_set(e, ERR_NOT_FOUND, ENOENT, "-v '%s': '%s' does not exist", flag, word);
	return err_hint(e, "make it first: mkdir -p %s", word);
}

/* "DESTINATION", or "SOURCE:DESTINATION[:OPTIONS]". */
static int take_volume(const char *flag, struct rt_volume *ret, struct err *e)
{
	_cleanup_strv_ char **parts = NULL;
	size_t n;
	int r;

	if (strv_split(flag, ':', &parts) < 0)
		return err_nomem(e);
	n = strv_len(parts);
	if (n > 3 || !*parts[0] || parts[n > 1][0] != '/')
		return bad_volume(flag, e);
	r = n > 1 ? take_source(flag, parts[0], &ret->source, e) : 0;
	if (r < 0)
		return r;
	ret->destination = strdup(parts[n > 1]);
	ret->options = n == 3 ? strdup(parts[2]) : NULL;
	return !ret->destination || (n == 3 && !ret->options) ? err_nomem(e) : 0;
}

static int take_volumes(const struct run_opts *o, struct run_parts *p, struct err *e)
{
	size_t n = strv_len(o->volumes);

	p->volumes = calloc(n + 1, sizeof(*p->volumes));
	if (!p->volumes)
		return err_nomem(e);
	while (p->n_volumes < n) {
		int r = take_volume(o->volumes[p->n_volumes], &p->volumes[p->n_volumes], e);

		p->n_volumes++; /* even a half one is freed */
		if (r < 0)
			return r;
	}
	return 0;
}

/* Files first: a flag wins. A label without a value has an empty one. */
static int take_labels(const struct run_opts *o, struct run_parts *p, struct err *e)
{
	_cleanup_strv_ char **all = NULL;
	int r = 0;

	for (char *const *f = o->label_files; f && *f && r == 0; f++) {
		r = env_file_read(*f, false, &all, e);
		if (r < 0)
			return err_wrap(e, "--label-file");
	}
	for (char *const *l = o->labels; l && *l; l++)
		if (strv_push(&all, *l) < 0)
			return err_nomem(e);
	for (char *const *l = all; l && *l; l++) {
		_cleanup_free_ char *whole = NULL;

		if (str_printf(&whole, "%s%s", *l, strchr(*l, '=') ? "" : "=") < 0 ||
		    strv_env_set(&p->labels, whole) < 0)
			return err_nomem(e);
	}
	return 0;
}

/* Settings of a microVM travel in the configuration. */
static int take_annotations(const struct run_opts *o, struct run_parts *p, struct err *e)
{
	const char *const own[][2] = {{"org.insula.vm.engine", o->engine},
				      {"org.insula.vm.vcpus", o->vcpus}};

	if (strv_copy(o->annotations, &p->annotations) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		char *whole;

		if (!own[i][1])
			continue;
		if (str_printf(&whole, "%s=%s", own[i][0], own[i][1]) < 0 ||
		    strv_consume(&p->annotations, whole) < 0)
			return err_nomem(e);
	}
	return 0;
}

/* "container:web" to "container:ID", by name or the beginning of an id. */
static int take_shared(const struct rt_ctx *ctx, const char *flag, const char *value, char **ret,
		       struct err *e)
{
	static const char prefix[] = "container:";
	_cleanup_free_ char *id = NULL;
	int r;

	if (!value)
		return 0;
	if (!str_has_prefix(value, prefix)) {
		*ret = strdup(value);
		return *ret ? 0 : err_nomem(e);
	}
	r = resolve_sandbox(ctx, value + strlen(prefix), &id, e);
	if (r < 0)
		return err_wrap(e, "--%s", flag);
	return str_printf(ret, "%s%s", prefix, id) < 0 ? err_nomem(e) : 0;
}

int run_parts_take(const struct rt_ctx *ctx, const struct run_opts *o, struct run_parts *p,
		   struct err *e)
{
	int r = env_take_all(o->env_host, o->env_files, o->env, &p->env, e);

	if (r == 0)
		r = take_volumes(o, p, e);
	if (r == 0)
		r = take_labels(o, p, e);
	if (r == 0)
		r = take_annotations(o, p, e);
	if (r == 0)
		r = take_shared(ctx, "network", o->network, &p->network, e);
	if (r == 0)
		r = take_shared(ctx, "ipc", o->ipc, &p->ipc, e);
	return r < 0 ? r : take_shared(ctx, "pid", o->pid, &p->pid, e);
}

void run_request_fill(const struct run_opts *o, const struct run_parts *p, char **args,
		      struct rt_run_request *r)
{
	*r = (struct rt_run_request){
		.rootfs = o->rootfs,
		.args = args,
		.entrypoint = o->entrypoint,
		.env = p->env,
		.workdir = o->workdir,
		.user = o->user,
		.groups = o->groups,
		.interactive = o->interactive,
		.tty = o->tty,
		.init = o->init,
		.volumes = p->volumes,
		.n_volumes = p->n_volumes,
		.mounts = o->mounts,
		.tmpfs = o->tmpfs,
		.devices = o->devices,
		.read_only = o->read_only,
		.shm_bytes = o->shm_bytes,
		.hostname = o->hostname,
		.domainname = o->domainname,
		.network = p->network,
		.userns = o->userns,
		.ipc = p->ipc,
		.pid = p->pid,
		.uts = o->uts,
		.hosts = o->hosts,
		.no_hosts = o->no_hosts,
		.dns = o->dns,
		.dns_search = o->dns_search,
		.dns_options = o->dns_options,
		.cap_add = o->cap_add,
		.cap_drop = o->cap_drop,
		.security = o->security,
		.sysctls = o->sysctls,
		.ulimits = o->ulimits,
		.privileged = o->privileged,
		.memory_bytes = o->memory,
		.memory_swap_bytes = o->memory_swap,
		.memory_reservation_bytes = o->memory_reservation,
		.cpus_micro = o->cpus,
		.cpu_weight = o->cpu_weight,
		.cpu_shares = o->cpu_shares,
		.cpu_quota_usec = o->cpu_quota,
		.cpu_period_usec = o->cpu_period,
		.pids_limit = o->pids,
		.oom_score_adj = o->oom_score_adj,
		.cpuset_cpus = o->cpuset_cpus,
		.cpuset_mems = o->cpuset_mems,
		.device_rules = o->device_rules,
		.name = o->name,
		.driver = driver_name_of(o->vm ? DRIVER_VM : DRIVER_CONTAINER),
		.labels = p->labels,
		.annotations = p->annotations,
		.stop_signal = o->stop_signal,
		.stop_timeout_sec = o->stop_timeout,
	};
}
