/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table of `insula run`, and what can be judged by the flags alone.
 */
#include "run_options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cgroups/limits.h"
#include "people.h"

#define FIELD(member) offsetof(struct run_opts, member)

static const struct opt run_opts[] = {
	{"rootfs", 0, OPT_STRING, "DIR", "root file system; / is this host's own, thrown away",
	 FIELD(rootfs)},
	{"vm", 0, OPT_FLAG, NULL, "run it under a kernel of its own", FIELD(vm)},
	{"interactive", 'i', OPT_FLAG, NULL, "pass standard input", FIELD(interactive)},
	{"tty", 't', OPT_FLAG, NULL, "give it a terminal", FIELD(tty)},
	{"detach", 'd', OPT_FLAG, NULL, "do not stay: print its id; see insula logs, attach, wait",
	 FIELD(detach)},
	{"log-driver", 0, OPT_STRING, "DRIVER", "with -d: k8s-file (default) or none",
	 FIELD(log_driver)},
	{"log-opt", 0, OPT_LIST, "NAME=VALUE",
	 "with -d: max-size=SIZE (10m) of a log file, max-file=N (2) of them", FIELD(log_opts)},
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
	{"restart", 0, OPT_REFUSED_VALUE, "POLICY",
	 "a sandbox that ended stays so; use insula start", 0},
	{"detach-keys", 0, OPT_REFUSED_VALUE, "KEYS",
	 "a run in the foreground has no monitor to be left with; use -d, and attach --detach-keys",
	 0},
	{"sig-proxy", 0, OPT_REFUSED, NULL, "signals are always forwarded; use -d not to", 0},
	{"attach", 'a', OPT_REFUSED_VALUE, "STREAM", "use -d, or insula attach", 0},
	{"engine", 0, OPT_REFUSED_VALUE, "ENGINE", "QEMU is the only one", 0},
	{"kernel", 0, OPT_REFUSED_VALUE, "KERNEL", "set INSULA_GUEST_DIR", 0},
	{"vcpus", 0, OPT_REFUSED_VALUE, "N", "--cpus, rounded up, gives their number", 0},
	{"disk-size", 0, OPT_REFUSED_VALUE, "SIZE", "there are no disks", 0},
	{"cloud-init", 0, OPT_REFUSED_VALUE, "FILE", "there are no disk images", 0},
};
const struct opt_table cmd_run_options = OPT_TABLE(run_opts);

void run_opts_init(struct run_opts *o)
{
	*o = (struct run_opts){.memory = CG_UNSET, .cpus = CG_UNSET, .pids = CG_UNSET};
}

void run_opts_done(struct run_opts *o)
{
	strv_free(o->env);
	strv_free(o->volumes);
	strv_free(o->labels);
	strv_free(o->log_opts);
}

/* What resolvers take for a name (RFC 1123), as long as the kernel keeps it. */
static bool is_host_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	return n > 0 && n <= 64 && s[n] == '\0' && s[0] != '-' && s[0] != '.';
}

int run_opts_check(const struct run_opts *o, int argc, char **argv, int first, struct err *e)
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
	if (!o->detach && (o->log_driver || o->log_opts))
		return err_invalid(
			e, "--log-driver, --log-opt: only a detached sandbox (-d) has a log");
	if (o->tty && !isatty(0) && o->interactive && !o->detach) {
		err_invalid(e, "-t with -i: standard input is not a terminal");
		return err_hint(e, "leave -t away to pass a file or a pipe");
	}
	return 0;
}
