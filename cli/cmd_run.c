/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula run: from a person's flags to a sandbox, its terminal, and its exit code.
 */
#include "people.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "attend.h"

struct run_opts {
	const char *rootfs, *name, *hostname, *workdir, *user, *network;
	char **env, **volumes, **labels;
	int64_t memory, cpus, pids;
	bool interactive, tty, remove, vm, read_only, explain;
};

#define FIELD(member) offsetof(struct run_opts, member)

static const struct opt run_opts[] = {
	{"rootfs", 0, OPT_STRING, "DIR", "root file system; / is this host's own, thrown away",
	 FIELD(rootfs)},
	{"vm", 0, OPT_FLAG, NULL, "run it under a kernel of its own", FIELD(vm)},
	{"interactive", 'i', OPT_FLAG, NULL, "pass standard input", FIELD(interactive)},
	{"tty", 't', OPT_FLAG, NULL, "give it a terminal", FIELD(tty)},
	{"rm", 0, OPT_FLAG, NULL, "remove the sandbox when it has ended", FIELD(remove)},
	{"name", 0, OPT_STRING, "NAME", "name it; default: a random id", FIELD(name)},
	{"env", 'e', OPT_LIST, "NAME[=VALUE]",
	 "set an environment variable; without a value: the caller's", FIELD(env)},
	{"volume", 'v', OPT_LIST, "DIR:DIR[:ro]", "share a directory or file of the host",
	 FIELD(volumes)},
	{"workdir", 'w', OPT_STRING, "DIR", "working directory; default: /", FIELD(workdir)},
	{"user", 'u', OPT_STRING, "USER[:GROUP]", "names (of the root file system) or ids",
	 FIELD(user)},
	{"hostname", 0, OPT_STRING, "NAME", "host name; default: the id", FIELD(hostname)},
	{"memory", 'm', OPT_SIZE, "SIZE", "memory limit; a microVM's RAM", FIELD(memory)},
	{"cpus", 0, OPT_CPUS, "N", "CPU limit, such as 0.5", FIELD(cpus)},
	{"pids-limit", 0, OPT_SIGNED, "N", "limit of processes and threads; -1: none", FIELD(pids)},
	{"network", 0, OPT_STRING, "KIND", "none (default) or host", FIELD(network)},
	{"read-only", 0, OPT_FLAG, NULL, "mount the root file system read-only", FIELD(read_only)},
	{"label", 'l', OPT_LIST, "NAME=VALUE", "attach a label", FIELD(labels)},
	{"explain", 0, OPT_FLAG, NULL, "print the plan and run nothing", FIELD(explain)},

	{"detach", 'd', OPT_REFUSED, NULL, "there is no monitor for detached sandboxes", 0},
	{"replace", 0, OPT_REFUSED, NULL, "use insula rm -f first", 0},
	{"env-file", 0, OPT_REFUSED_VALUE, "FILE", "use -e", 0},
	{"env-host", 0, OPT_REFUSED, NULL, "use -e NAME", 0},
	{"mount", 0, OPT_REFUSED_VALUE, "SPEC", "use -v", 0},
	{"tmpfs", 0, OPT_REFUSED_VALUE, "DIR", "only in a bundle", 0},
	{"publish", 'p', OPT_REFUSED_VALUE, "PORTS", "there is no bridge; use --network host", 0},
	{"cpu-weight", 0, OPT_REFUSED_VALUE, "N", "only in a bundle", 0},
	{"cpuset-cpus", 0, OPT_REFUSED_VALUE, "LIST", "only in a bundle", 0},
	{"memory-swap", 0, OPT_REFUSED_VALUE, "SIZE", "only in a bundle", 0},
	{"ulimit", 0, OPT_REFUSED_VALUE, "LIMIT", "only in a bundle", 0},
	{"sysctl", 0, OPT_REFUSED_VALUE, "NAME=VALUE", "only in a bundle", 0},
	{"dns", 0, OPT_REFUSED_VALUE, "ADDRESS", "there is no network to ask it over", 0},
	{"add-host", 0, OPT_REFUSED_VALUE, "NAME:ADDRESS", "there is no network", 0},
	{"cap-add", 0, OPT_REFUSED_VALUE, "CAP", "only in a bundle", 0},
	{"cap-drop", 0, OPT_REFUSED_VALUE, "CAP", "only in a bundle", 0},
	{"security-opt", 0, OPT_REFUSED_VALUE, "OPTION", "only in a bundle", 0},
	{"privileged", 0, OPT_REFUSED, NULL, "only in a bundle", 0},
	{"userns", 0, OPT_REFUSED_VALUE, "MODE", "only in a bundle", 0},
	{"ipc", 0, OPT_REFUSED_VALUE, "MODE", "only in a bundle", 0},
	{"pid", 0, OPT_REFUSED_VALUE, "MODE", "only in a bundle", 0},
	{"uts", 0, OPT_REFUSED_VALUE, "MODE", "only in a bundle", 0},
	{"init", 0, OPT_REFUSED, NULL, "start an init of the root file system", 0},
	{"entrypoint", 0, OPT_REFUSED_VALUE, "COMMAND", "a directory has none", 0},
	{"device", 0, OPT_REFUSED_VALUE, "DEVICE", "only in a bundle", 0},
	{"group-add", 0, OPT_REFUSED_VALUE, "GROUP", "only in a bundle", 0},
	{"shm-size", 0, OPT_REFUSED_VALUE, "SIZE", "only in a bundle", 0},
	{"oom-score-adj", 0, OPT_REFUSED_VALUE, "N", "only in a bundle", 0},
	{"cidfile", 0, OPT_REFUSED_VALUE, "FILE", "use --name", 0},
	{"platform", 0, OPT_REFUSED_VALUE, "PLATFORM", "there are no images", 0},
	{"pull", 0, OPT_REFUSED_VALUE, "WHEN", "there are no images", 0},
	{"stop-signal", 0, OPT_REFUSED_VALUE, "SIGNAL", "use insula kill -s", 0},
	{"stop-timeout", 0, OPT_REFUSED_VALUE, "SECONDS", "use insula stop -t", 0},
	{"restart", 0, OPT_REFUSED_VALUE, "POLICY", "there is no monitor", 0},
	{"log-driver", 0, OPT_REFUSED_VALUE, "DRIVER", "output goes to the terminal", 0},
	{"log-opt", 0, OPT_REFUSED_VALUE, "OPTION", "output goes to the terminal", 0},
	{"engine", 0, OPT_REFUSED_VALUE, "ENGINE", "QEMU is the only one", 0},
	{"kernel", 0, OPT_REFUSED_VALUE, "KERNEL", "set INSULA_GUEST_DIR", 0},
	{"vcpus", 0, OPT_REFUSED_VALUE, "N", "--cpus, rounded up, gives their number", 0},
	{"disk-size", 0, OPT_REFUSED_VALUE, "SIZE", "there are no disks", 0},
	{"cloud-init", 0, OPT_REFUSED_VALUE, "FILE", "there are no disk images", 0},
};
const struct opt_table cmd_run_options = OPT_TABLE(run_opts);

/* What the request borrows from and must be freed. */
struct run_parts {
	char **env;
	struct rt_volume *volumes;
	size_t n_volumes;
};

static void run_parts_done(struct run_parts *p)
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

static int take_parts(const struct run_opts *o, struct run_parts *p, struct err *e)
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

/* What resolvers take for a name (RFC 1123), as long as the kernel keeps it. */
static bool is_host_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	return n > 0 && n <= 64 && s[n] == '\0' && s[0] != '-' && s[0] != '.';
}

static int check(const struct run_opts *o, int argc, char **argv, int first, struct err *e)
{
	if (!o->rootfs && first < argc) {
		err_unsupported(e, "'%s': images are not supported yet", argv[first]);
		return err_hint(e,
				"give the root file system as a directory: --rootfs DIR COMMAND");
	}
	if (!o->rootfs || first >= argc) {
		err_invalid(e, "%s", o->rootfs ? "no command given" : "no root file system given");
		return err_hint(e, "insula run --rootfs DIR COMMAND; / is this host's own system");
	}
	if (o->name && !str_is_name(o->name)) {
		err_invalid(e, "--name '%s': not a valid name", o->name);
		return err_hint(e, "letters, digits, '_', '.', '+' and '-', at most 128");
	}
	if (o->hostname && !is_host_name(o->hostname))
		return err_invalid(e, "--hostname '%s': letters, digits, '-' and '.', at most 64",
				   o->hostname);
	if (o->pids == 0)
		return err_invalid(e, "--pids-limit 0: nothing could run");
	if (o->tty && !isatty(0) && o->interactive) {
		err_invalid(e, "-t with -i: standard input is not a terminal");
		return err_hint(e, "leave -t away to pass a file or a pipe");
	}
	return 0;
}

static void fill_request(const struct run_opts *o, const struct run_parts *p, char **args,
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

static int explain(struct cli *cli, struct rt_create_request *c, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r = rt_explain(&cli->ctx, c, &text, e);

	if (r >= 0)
		printf("%s\n", text);
	return r;
}

static int run(struct cli *cli, const struct run_opts *o, const struct rt_run_request *request,
	       struct err *e)
{
	char id[13];
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_close_ int null = o->interactive ? -1 : path_open_null(e);
	struct rt_create_request c = {
		.id = request->name ? request->name : (rt_new_id(id), id),
		.driver = request->driver,
		.io = {{null, -1, -1}, -1, 0},
		.name = request->name,
		.labels = o->labels,
		.ephemeral = o->remove,
		.stop_timeout_sec = -1,
	};
	int r;

	if (!o->interactive && null < 0)
		return null;
	r = rt_run_document(&cli->ctx, request, c.id, &c.document, e);
	if (r < 0)
		return r;
	if (o->explain)
		return explain(cli, &c, e);
	attend_hold();
	r = rt_create(&cli->ctx, &c, &s, e);
	if (r < 0)
		return attend_interrupted(r, e);
	r = attend_start(s, o->interactive, e);
	/* One whose command never ran is of no use to anybody, named or not. */
	if (o->remove || r < 0) {
		struct err ignored = ERR_INIT;
		int d = rt_delete(&cli->ctx, c.id, true, r < 0 ? &ignored : e);

		if (r >= 0 && d < 0)
			return d;
	}
	return attend_interrupted(r, e);
}

int cmd_run(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct run_opts o = {.memory = CG_UNSET, .cpus = CG_UNSET, .pids = CG_UNSET};
	struct run_parts parts = {0};
	struct rt_run_request request;
	int first, r = command_parse(cli, argc, argv, true, &o, &first, e);

	if (r >= 0)
		r = check(&o, argc, argv, first, e);
	if (r >= 0)
		r = take_parts(&o, &parts, e);
	if (r >= 0) {
		fill_request(&o, &parts, argv + first, &request);
		r = run(cli, &o, &request, e);
	}
	run_parts_done(&parts);
	strv_free(o.env);
	strv_free(o.volumes);
	strv_free(o.labels);
	return r;
}
