/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table of `insula run`, and what can be judged by the flags alone.
 */
#include "run_options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "cgroups/limits.h"
#include "people.h"

#define FIELD(member) offsetof(struct run_opts, member)

#define HEADING(text)                               \
	{                                           \
		text, 0, OPT_HEADING, NULL, NULL, 0 \
	}

/* clang-format off */
static const struct opt run_opts[] = {
	HEADING("What runs"),
	{"rootfs", 0, OPT_STRING, "DIR", "a directory in the place of an image; / is this host's own system, its changes thrown away", FIELD(rootfs)},
	{"vm", 0, OPT_FLAG, NULL, "run it under a kernel of its own", FIELD(vm)},
	{"engine", 0, OPT_STRING, "ENGINE", "with --vm: what runs the kernel; auto (default), qemu, or kvm (our own)", FIELD(engine)},
	{"vcpus", 0, OPT_STRING, "N", "with --vm: its CPUs; default: --cpus, rounded up, or 1", FIELD(vcpus)},
	{"interactive", 'i', OPT_FLAG, NULL, "pass standard input", FIELD(interactive)},
	{"tty", 't', OPT_FLAG, NULL, "give it a terminal", FIELD(tty)},
	{"detach", 'd', OPT_FLAG, NULL, "do not stay: print its id; see insula logs, attach, wait", FIELD(detach)},
	{"entrypoint", 0, OPT_STRING, "COMMAND", "in the place of the image's entrypoint and command; \"\" is none", FIELD(entrypoint)},
	{"init", 0, OPT_FLAG, NULL, "an init as its first process, which reaps orphans and forwards signals", FIELD(init)},
	{"env", 'e', OPT_LIST, "NAME[=VALUE]", "set an environment variable; without a value: the caller's; NAME*: all that begin so", FIELD(env)},
	{"env-file", 0, OPT_LIST, "FILE", "read variables from a file, a NAME=VALUE per line", FIELD(env_files)},
	{"env-host", 0, OPT_FLAG, NULL, "pass the caller's whole environment", FIELD(env_host)},
	{"workdir", 'w', OPT_STRING, "DIR", "working directory; default: the image's, or /", FIELD(workdir)},
	{"user", 'u', OPT_STRING, "USER[:GROUP]", "names (of the root file system) or ids", FIELD(user)},
	{"group-add", 0, OPT_LIST, "GROUP", "a further group, by name or id", FIELD(groups)},
	{"pull", 0, OPT_STRING, "WHEN", "from its registry: missing (what the store has not; the default), always, or never", FIELD(pull)},
	{"tls-verify", 0, OPT_FLAG, NULL, "check the certificate of the registry (the default); =false takes any, and plain http", FIELD(tls_verify)},
	{"platform", 0, OPT_STRING, "OS/ARCH", "insist on a platform; only the host's can run", FIELD(platform)},
	{"quiet", 'q', OPT_FLAG, NULL, "no progress of what takes time", FIELD(quiet)},

	HEADING("A disk in the place of an image (--vm DISK.img): a whole guest system"),
	{"persist", 0, OPT_FLAG, NULL, "let it write to its disks; default: changes are thrown away", FIELD(persist)},
	{"disk", 0, OPT_LIST, "FILE[:ro]", "a further disk", FIELD(disks)},
	{"format", 0, OPT_STRING, "FORMAT", "of the disk: raw or qcow2; default: by its name (.img, .raw, .qcow2)", FIELD(format)},
	{"boot", 0, OPT_STRING, "HOW", "kernel (ours, from a disk that is one ext4 file system), bios or uefi; default: by a look at the disk", FIELD(boot)},
	{"root-partition", 0, OPT_NUMBER, "N", "boot our kernel with this partition as its root", FIELD(root_partition)},
	{"kernel", 0, OPT_STRING, "FILE", "boot this kernel (bzImage or vmlinux)", FIELD(kernel)},
	{"initrd", 0, OPT_STRING, "FILE", "its initramfs; --append names the root then", FIELD(initrd)},
	{"append", 0, OPT_STRING, "WORDS", "more for the kernel's command line", FIELD(append)},
	{"cloud-init", 0, OPT_STRING, "FILE", "a NoCloud seed with this user-data", FIELD(cloud_init)},
	{"detach-keys", 0, OPT_STRING, "KEYS", "leave its terminal by these; default: ctrl-p,ctrl-q; an empty text: none", FIELD(detach_keys)},

	HEADING("What it sees"),
	{"volume", 'v', OPT_LIST, "[DIR:]DIR[:WORDS]", "share a directory or file of the host; words: ro, O (changes to a directory are thrown away), nosuid, nodev, noexec, slave, …", FIELD(volumes)},
	{"mount", 0, OPT_LIST, "SPEC", "KEY=VALUE,…: type=bind|tmpfs|volume,source=…,destination=…,readonly,…", FIELD(mounts)},
	{"tmpfs", 0, OPT_LIST, "DIR[:OPTIONS]", "an empty directory in memory; options: size=, mode=, exec, …", FIELD(tmpfs)},
	{"read-only", 0, OPT_FLAG, NULL, "mount the root file system read-only", FIELD(read_only)},
	{"shm-size", 0, OPT_SIZE, "SIZE", "size of /dev/shm; default: 64m", FIELD(shm_bytes)},
	{"device", 0, OPT_LIST, "DEV[:DEV][:rwm]", "a device of the host, or a directory of them", FIELD(devices)},
	{"network", 0, OPT_STRING, "KIND", "none (default), host, or container:ID", FIELD(network)},
	{"net", 0, OPT_STRING, "KIND", "the same", FIELD(network)},
	{"hostname", 'h', OPT_STRING, "NAME", "host name; default: the id", FIELD(hostname)},
	{"domainname", 0, OPT_STRING, "NAME", "NIS domain name", FIELD(domainname)},
	{"add-host", 0, OPT_LIST, "NAME:ADDRESS", "a line for /etc/hosts", FIELD(hosts)},
	{"no-hosts", 0, OPT_FLAG, NULL, "leave the image's /etc/hosts", FIELD(no_hosts)},
	{"dns", 0, OPT_LIST, "ADDRESS", "a name server for /etc/resolv.conf; none: leave the image's file", FIELD(dns)},
	{"dns-search", 0, OPT_LIST, "DOMAIN", "a search domain; .: none", FIELD(dns_search)},
	{"dns-option", 0, OPT_LIST, "OPTION", "an option for /etc/resolv.conf", FIELD(dns_options)},
	{"dns-opt", 0, OPT_LIST, "OPTION", "the same", FIELD(dns_options)},

	HEADING("What it may"),
	{"cap-add", 0, OPT_LIST, "CAP", "add a capability, or ALL", FIELD(cap_add)},
	{"cap-drop", 0, OPT_LIST, "CAP", "drop a capability, or ALL", FIELD(cap_drop)},
	{"security-opt", 0, OPT_LIST, "OPTION", "seccomp=FILE|unconfined, no-new-privileges[=false], apparmor=PROFILE, label=disable, mask=PATHS, unmask=PATHS|ALL, systempaths=unconfined, writable-cgroups[=false]", FIELD(security)},
	{"privileged", 0, OPT_FLAG, NULL, "all capabilities and devices, no filter, nothing masked", FIELD(privileged)},
	{"userns", 0, OPT_STRING, "MODE", "user namespace: host (as root: none), private, keep-id, nomap", FIELD(userns)},
	{"ipc", 0, OPT_STRING, "MODE", "private (default), none (no /dev/shm), host, or container:ID", FIELD(ipc)},
	{"pid", 0, OPT_STRING, "MODE", "private (default), host, or container:ID", FIELD(pid)},
	{"uts", 0, OPT_STRING, "MODE", "private (default) or host", FIELD(uts)},
	{"device-cgroup-rule", 0, OPT_LIST, "RULE", "allow devices by number, such as 'c 42:* rwm'", FIELD(device_rules)},
	{"sysctl", 0, OPT_LIST, "NAME=VALUE", "a kernel parameter of its own namespaces", FIELD(sysctls)},

	HEADING("How much"),
	{"memory", 'm', OPT_SIZE, "SIZE", "memory limit; a microVM's RAM", FIELD(memory)},
	{"memory-swap", 0, OPT_SIZE_SIGNED, "SIZE", "limit of memory and swap together; -1: no limit of swap", FIELD(memory_swap)},
	{"memory-reservation", 0, OPT_SIZE, "SIZE", "memory that is taken from it last", FIELD(memory_reservation)},
	{"cpus", 0, OPT_CPUS, "N", "CPU limit, such as 0.5", FIELD(cpus)},
	{"cpu-weight", 0, OPT_NUMBER, "N", "its part among others, 1 to 10000; default: 100", FIELD(cpu_weight)},
	{"cpu-shares", 'c', OPT_NUMBER, "N", "the same as 2 to 262144; default: 1024", FIELD(cpu_shares)},
	{"cpu-quota", 0, OPT_SIGNED, "USEC", "CPU time per period", FIELD(cpu_quota)},
	{"cpu-period", 0, OPT_NUMBER, "USEC", "the period, 1000 to 1000000", FIELD(cpu_period)},
	{"cpuset-cpus", 0, OPT_STRING, "LIST", "only these CPUs, such as 0-3,7", FIELD(cpuset_cpus)},
	{"cpuset-mems", 0, OPT_STRING, "LIST", "only memory of these nodes", FIELD(cpuset_mems)},
	{"pids-limit", 0, OPT_SIGNED, "N", "limit of processes and threads; -1: none", FIELD(pids)},
	{"ulimit", 0, OPT_LIST, "NAME=SOFT[:HARD]", "a resource limit, such as nofile=1024:4096; -1: none", FIELD(ulimits)},
	{"oom-score-adj", 0, OPT_INTEGER, "N", "-1000 (never) to 1000 (first) when memory is short", FIELD(oom_score_adj)},

	HEADING("Its life"),
	{"name", 0, OPT_STRING, "NAME", "name it; default: a random id", FIELD(name)},
	{"replace", 0, OPT_FLAG, NULL, "remove another one of that name first", FIELD(replace)},
	{"rm", 0, OPT_FLAG, NULL, "remove the sandbox when it has ended", FIELD(remove)},
	{"cidfile", 0, OPT_STRING, "FILE", "write the id to a new file", FIELD(cidfile)},
	{"label", 'l', OPT_LIST, "NAME[=VALUE]", "attach a label", FIELD(labels)},
	{"label-file", 0, OPT_LIST, "FILE", "read labels from a file, one per line", FIELD(label_files)},
	{"annotation", 0, OPT_LIST, "NAME=VALUE", "an annotation of the OCI configuration", FIELD(annotations)},
	{"stop-signal", 0, OPT_STRING, "SIGNAL", "what insula stop sends first; default: the image's, or TERM", FIELD(stop_signal)},
	{"stop-timeout", 0, OPT_NUMBER, "SECONDS", "how long insula stop waits before KILL; default: 10", FIELD(stop_timeout)},
	{"log-driver", 0, OPT_STRING, "DRIVER", "with -d: k8s-file (default) or none", FIELD(log_driver)},
	{"log-opt", 0, OPT_LIST, "NAME=VALUE", "with -d: max-size=SIZE (10m) of a log file, max-file=N (2) of them", FIELD(log_opts)},
	{"explain", 0, OPT_FLAG, NULL, "print the plan and run nothing", FIELD(explain)},

	{"attach", 'a', OPT_REFUSED_VALUE, "STREAM", "use -d, or insula attach", 0},
	{"blkio-weight", 0, OPT_REFUSED_VALUE, "N", "block I/O limits are only in a bundle", 0},
	{"blkio-weight-device", 0, OPT_REFUSED_VALUE, "LIST", "block I/O limits are only in a bundle", 0},
	{"cgroup-conf", 0, OPT_REFUSED_VALUE, "FILE=VALUE", "linux.resources.unified of a bundle has it", 0},
	{"cgroup-parent", 0, OPT_REFUSED_VALUE, "PATH", "the group is chosen by us; linux.cgroupsPath of a bundle has it", 0},
	{"cgroupns", 0, OPT_REFUSED_VALUE, "MODE", "it is always private", 0},
	{"cgroups", 0, OPT_REFUSED_VALUE, "HOW", "limits are kept by a group, if the caller may make one", 0},
	{"cpu-rt-period", 0, OPT_REFUSED_VALUE, "USEC", "real-time scheduling is only in a bundle", 0},
	{"cpu-rt-runtime", 0, OPT_REFUSED_VALUE, "USEC", "real-time scheduling is only in a bundle", 0},
	{"device-read-bps", 0, OPT_REFUSED_VALUE, "LIMIT", "block I/O limits are only in a bundle", 0},
	{"device-read-iops", 0, OPT_REFUSED_VALUE, "LIMIT", "block I/O limits are only in a bundle", 0},
	{"device-write-bps", 0, OPT_REFUSED_VALUE, "LIMIT", "block I/O limits are only in a bundle", 0},
	{"device-write-iops", 0, OPT_REFUSED_VALUE, "LIMIT", "block I/O limits are only in a bundle", 0},
	{"disable-content-trust", 0, OPT_REFUSED, NULL, "digests are always checked", 0},
	{"disk-size", 0, OPT_REFUSED_VALUE, "SIZE", "there are no disks", 0},
	{"expose", 0, OPT_REFUSED_VALUE, "PORT", "there is no bridge; use --network host", 0},
	{"gpus", 0, OPT_REFUSED_VALUE, "DEVICES", "use --device, and -v for the driver's libraries", 0},
	{"health-cmd", 0, OPT_REFUSED_VALUE, "COMMAND", "there are no health checks", 0},
	{"health-interval", 0, OPT_REFUSED_VALUE, "TIME", "there are no health checks", 0},
	{"health-retries", 0, OPT_REFUSED_VALUE, "N", "there are no health checks", 0},
	{"health-start-interval", 0, OPT_REFUSED_VALUE, "TIME", "there are no health checks", 0},
	{"health-start-period", 0, OPT_REFUSED_VALUE, "TIME", "there are no health checks", 0},
	{"health-timeout", 0, OPT_REFUSED_VALUE, "TIME", "there are no health checks", 0},
	{"no-healthcheck", 0, OPT_HARMLESS, NULL, "there are none anyway", 0},
	{"ip", 0, OPT_REFUSED_VALUE, "ADDRESS", "there is no bridge", 0},
	{"ip6", 0, OPT_REFUSED_VALUE, "ADDRESS", "there is no bridge", 0},
	{"isolation", 0, OPT_REFUSED_VALUE, "KIND", "it is for Windows; --vm gives a kernel of its own", 0},
	{"kernel-memory", 0, OPT_REFUSED_VALUE, "SIZE", "the kernel has no such limit any more; --memory counts it", 0},
	{"link", 0, OPT_REFUSED_VALUE, "ID", "there is no bridge", 0},
	{"link-local-ip", 0, OPT_REFUSED_VALUE, "ADDRESS", "there is no bridge", 0},
	{"mac-address", 0, OPT_REFUSED_VALUE, "ADDRESS", "there is no bridge", 0},
	{"memory-swappiness", 0, OPT_REFUSED_VALUE, "N", "it exists on cgroup v1 only; --memory-swap limits what may be swapped", 0},
	{"network-alias", 0, OPT_REFUSED_VALUE, "NAME", "there is no bridge", 0},
	{"net-alias", 0, OPT_REFUSED_VALUE, "NAME", "there is no bridge", 0},
	{"oom-kill-disable", 0, OPT_REFUSED, NULL, "it exists on cgroup v1 only; --oom-score-adj -1000 spares a process", 0},
	{"pod", 0, OPT_REFUSED_VALUE, "POD", "there are no pods; --network, --ipc and --pid take container:ID", 0},
	{"publish", 'p', OPT_REFUSED_VALUE, "PORTS", "there is no bridge; use --network host", 0},
	{"publish-all", 'P', OPT_REFUSED, NULL, "there is no bridge; use --network host", 0},
	{"restart", 0, OPT_REFUSED_VALUE, "POLICY", "a sandbox that has ended is not started a second time", 0},
	{"runtime", 0, OPT_REFUSED_VALUE, "RUNTIME", "a sandbox is a container, or with --vm a microVM", 0},
	{"secret", 0, OPT_REFUSED_VALUE, "SECRET", "there is no store of secrets; use -v FILE:/run/secrets/NAME:ro", 0},
	{"sig-proxy", 0, OPT_REFUSED, NULL, "signals are always forwarded; use -d not to", 0},
	{"storage-opt", 0, OPT_REFUSED_VALUE, "OPTION", "there are no quotas of a root file system", 0},
	{"timezone", 0, OPT_REFUSED_VALUE, "ZONE", "use -e TZ=ZONE", 0},
	{"umask", 0, OPT_REFUSED_VALUE, "MASK", "only in a bundle", 0},
	{"use-api-socket", 0, OPT_REFUSED, NULL, "there is no daemon, so no socket", 0},
	{"volume-driver", 0, OPT_REFUSED_VALUE, "DRIVER", "there are no named volumes", 0},
	{"volumes-from", 0, OPT_REFUSED_VALUE, "ID", "there are no named volumes; give the same -v", 0},
};
/* clang-format on */
const struct opt_table cmd_run_options = OPT_TABLE(run_opts);

void run_opts_init(struct run_opts *o)
{
	*o = (struct run_opts){
		.tls_verify = true,
		.memory = CG_UNSET,
		.memory_swap = CG_UNSET,
		.memory_reservation = CG_UNSET,
		.shm_bytes = CG_UNSET,
		.cpus = CG_UNSET,
		.cpu_shares = CG_UNSET,
		.cpu_weight = CG_UNSET,
		.cpu_quota = CG_UNSET,
		.cpu_period = CG_UNSET,
		.pids = CG_UNSET,
		.oom_score_adj = CG_UNSET,
		.stop_timeout = -1,
		.root_partition = -1,
	};
}

void run_opts_done(struct run_opts *o)
{
	char **lists[] = {o->env,      o->env_files, o->groups,      o->volumes,
			  o->mounts,   o->tmpfs,     o->devices,     o->device_rules,
			  o->hosts,    o->dns,       o->dns_search,  o->dns_options,
			  o->cap_add,  o->cap_drop,  o->security,    o->sysctls,
			  o->ulimits,  o->labels,    o->label_files, o->annotations,
			  o->log_opts, o->disks};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_free(lists[i]);
}

/* What resolvers take for a name (RFC 1123), as long as the kernel keeps it. */
static bool is_host_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	return n > 0 && n <= 64 && s[n] == '\0' && s[0] != '-' && s[0] != '.';
}

static int check_names(const struct run_opts *o, struct err *e)
{
	/* podman's set, which is docker's and names of one letter. */
	if (o->name && (!str_is_name(o->name) || strchr(o->name, '+'))) {
		err_invalid(e, "--name '%s': not a valid name", o->name);
		return err_hint(e, "letters, digits, '_', '.' and '-', at most 128");
	}
	if (o->replace && !o->name)
		return err_invalid(e, "--replace without --name: nothing to replace");
	if (o->hostname && !is_host_name(o->hostname))
		return err_invalid(e, "--hostname '%s': letters, digits, '-' and '.', at most 64",
				   o->hostname);
	if (o->domainname && !is_host_name(o->domainname))
		return err_invalid(e, "--domainname '%s': letters, digits, '-' and '.', at most 64",
				   o->domainname);
	return 0;
}

static int check_pull(const struct run_opts *o, struct err *e)
{
	if (!o->pull || STREQ(o->pull, "missing") || STREQ(o->pull, "never") ||
	    STREQ(o->pull, "always"))
		return 0;
	if (STREQ(o->pull, "newer"))
		return err_unsupported(e, "--pull newer: always fetches only what is not there");
	return err_invalid(e, "--pull '%s' is not missing, always or never", o->pull);
}

static int check_values(const struct run_opts *o, struct err *e)
{
	int sig;

	if (!o->vm && (o->engine || o->vcpus))
		return err_invalid(e, "--%s is for microVMs: add --vm",
				   o->engine ? "engine" : "vcpus");
	if (o->pids == 0)
		return err_invalid(e, "--pids-limit 0: nothing could run");
	if (o->stop_signal && signal_parse(o->stop_signal, &sig) < 0)
		return err_invalid(e, "--stop-signal: '%s' is not a signal", o->stop_signal);
	if (o->stop_timeout > 86400)
		return err_invalid(e, "--stop-timeout: at most a day (86400)");
	for (char *const *l = o->labels; l && *l; l++)
		if (**l == '\0' || **l == '=')
			return err_invalid(e, "--label '%s': a label needs a name", *l);
	return check_pull(o, e);
}

/* Most flags are judged where they are used, by the runtime; here are those that are ours alone. */
int run_opts_check(const struct run_opts *o, int argc, int first, struct err *e)
{
	int r;

	if (!o->rootfs && first >= argc) {
		err_invalid(e, "no image and no root file system given");
		return err_hint(e, "insula run IMAGE [COMMAND], or --rootfs DIR COMMAND; / is this "
				   "host's own system");
	}
	if (o->rootfs && first >= argc && (!o->entrypoint || !*o->entrypoint)) {
		err_invalid(e, "no command given");
		return err_hint(e, "insula run --rootfs DIR COMMAND; / is this host's own system");
	}
	r = check_names(o, e);
	if (r == 0)
		r = check_values(o, e);
	if (r < 0)
		return r;
	if (!o->detach && (o->log_driver || o->log_opts))
		return err_invalid(
			e, "--log-driver, --log-opt: only a detached sandbox (-d) has a log");
	if (o->tty && !isatty(0) && o->interactive && !o->detach) {
		err_invalid(e, "-t with -i: standard input is not a terminal");
		return err_hint(e, "leave -t away to pass a file or a pipe");
	}
	return 0;
}

int run_check_misplaced(const struct run_opts *o, const struct img_image *image, char *const *args,
			struct err *e)
{
	bool has_entrypoint =
		o->entrypoint ? *o->entrypoint != '\0'
			      : image && image->config.entrypoint && *image->config.entrypoint;

	if (has_entrypoint || !args || !*args || !opt_is_known(&cmd_run_options, *args))
		return 0;
	err_invalid(e, "'%s' stands behind the image, where the command begins", *args);
	return err_hint(e, "flags of insula run go before the image");
}

/* ---- --platform ------------------------------------------------------------------------- */

/* As images name them (Go's), by uname(2)'s. */
static const struct {
	const char *machine, *architecture;
} architectures[] = {
	{"x86_64", "amd64"},    {"aarch64", "arm64"}, {"armv7l", "arm"}, {"riscv64", "riscv64"},
	{"ppc64le", "ppc64le"}, {"s390x", "s390x"},   {"i686", "386"},
};

static const char *host_architecture(void)
{
	static struct utsname u; /* names are borrowed from it */

	if (uname(&u) < 0)
		return "unknown";
	for (size_t i = 0; i < ARRAY_SIZE(architectures); i++)
		if (STREQ(architectures[i].machine, u.machine))
			return architectures[i].architecture;
	return u.machine;
}

/* "linux/amd64", "linux/arm64/v8", "amd64". */
int run_check_platform(const char *platform, const struct img_image *image, struct err *e)
{
	const char *have = image && image->config.architecture ? image->config.architecture
							       : host_architecture();
	_cleanup_strv_ char **v = NULL;
	const char *os = "linux", *architecture;

	if (!platform)
		return 0;
	if (strv_split(platform, '/', &v) < 0)
		return err_nomem(e);
	architecture = v[0];
	if (v[1]) {
		os = v[0];
		architecture = v[1];
	}
	if (!*os || !*architecture || strv_len(v) > 3)
		return err_invalid(e, "--platform '%s' is not OS/ARCHITECTURE", platform);
	if (STREQ(os, "linux") && STREQ(architecture, have))
		return 0;
	return err_unsupported(e, "--platform %s: %s is linux/%s", platform,
			       image ? "the image" : "this host", have);
}
