/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a container: its destructors, and what can be found wrong in it without
 * asking the kernel. A combination that the kernel would answer with a bare EINVAL somewhere in the
 * middle of set-up, or that would reach the host, is refused here with the field's name.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "isolate/sandbox.h"
#include "idmap.h"
#include "netdev.h"
#include "rlimit.h"
#include "sysctl.h"

#define UTS_NAME_MAX 64 /* __NEW_UTS_LEN */
#define MAJOR_MAX    ((1 << 12) - 1)
#define MINOR_MAX    ((1 << 20) - 1)

void iso_process_done(struct iso_process *p)
{
	strv_free(p->args);
	strv_free(p->env);
	free(p->cwd);
	free(p->user.additional_gids);
	free(p->rlimits);
	free(p->apparmor_profile);
	free(p->selinux_label);
	free(p->cpus_initial);
	free(p->cpus_final);
	*p = (struct iso_process){0};
}

void iso_config_done(struct iso_config *c)
{
	for (int i = 0; i < ISO_NS_COUNT; i++)
		free(c->ns[i].path);
	free(c->uid_maps.v);
	free(c->gid_maps.v);
	iso_rootfs_done(&c->rootfs);
	for (size_t i = 0; i < c->n_mounts; i++)
		iso_mount_done(&c->mounts[i]);
	free(c->mounts);
	for (size_t i = 0; i < c->n_devices; i++)
		free(c->devices[i].path);
	free(c->devices);
	for (size_t i = 0; i < c->n_net_devices; i++) {
		free(c->net_devices[i].host_name);
		free(c->net_devices[i].name);
	}
	free(c->net_devices);
	strv_free(c->masked_paths);
	strv_free(c->readonly_paths);
	for (size_t i = 0; i < c->n_sysctls; i++) {
		free(c->sysctls[i].key);
		free(c->sysctls[i].value);
	}
	free(c->sysctls);
	free(c->hostname);
	free(c->domainname);
	iso_seccomp_done(&c->seccomp);
	iso_landlock_done(&c->landlock);
	free(c->mount_label);
	free(c->memory_policy.nodes);
	*c = (struct iso_config){.rootfs.fd = -1};
}

static int check_namespaces(const struct iso_config *c, struct err *e)
{
	for (int i = 0; i < ISO_NS_COUNT; i++) {
		const struct iso_namespace *ns = &c->ns[i];
		const char *name = iso_ns_table[i].oci_name;

		if (ns->mode == ISO_NS_JOIN && (!ns->path || ns->path[0] != '/'))
			return err_invalid(e, "%s namespace: the path must be absolute", name);
		if (ns->mode != ISO_NS_JOIN && ns->path)
			return err_invalid(e, "%s namespace: a path, but nothing to join", name);
	}
	/* Everything mounted for the container would appear to whoever shares the namespace. */
	if (c->ns[ISO_NS_MOUNT].mode == ISO_NS_JOIN)
		return err_unsupported(e, "mount namespace '%s': joining one is not supported",
				       c->ns[ISO_NS_MOUNT].path);
	if (c->ns[ISO_NS_MOUNT].mode != ISO_NS_NEW) {
		err_invalid(e, "a container needs a mount namespace of its own");
		return err_hint(e, "add {\"type\": \"mount\"} to linux.namespaces");
	}
	return 0;
}

/* Is there an id that set-up can have: 0 inside, or the caller's own? */
static bool has_maker(const struct iso_id_maps *maps, uint32_t own)
{
	uint32_t host;

	if (iso_id_to_host(maps, 0, &host) == 0)
		return true;
	for (size_t i = 0; i < maps->n; i++)
		if (own >= maps->v[i].outside && own - maps->v[i].outside < maps->v[i].count)
			return true;
	return false;
}

static int check_maps(const struct iso_config *c, struct err *e)
{
	int r;

	r = iso_id_maps_check(&c->uid_maps, "uidMappings", e);
	if (r == 0)
		r = iso_id_maps_check(&c->gid_maps, "gidMappings", e);
	if (r < 0)
		return r;
	switch (c->ns[ISO_NS_USER].mode) {
	case ISO_NS_INHERIT:
		if (c->uid_maps.n || c->gid_maps.n)
			return err_invalid(e, "id mappings without a user namespace");
		return 0;
	case ISO_NS_JOIN:
		return 0;
	case ISO_NS_NEW:
		break;
	}
	if (!c->uid_maps.n || !c->gid_maps.n)
		return err_invalid(e, "a new user namespace needs uidMappings and gidMappings");
	/* Set-up runs as root of the namespace, or as its creator: what it makes must have an owner. */
	if (!has_maker(&c->uid_maps, geteuid()))
		return err_invalid(e, "uidMappings: neither id 0 nor the caller's own is mapped");
	if (!has_maker(&c->gid_maps, getegid()))
		return err_invalid(e, "gidMappings: neither id 0 nor the caller's own is mapped");
	return 0;
}

static int check_uts(const struct iso_config *c, const char *value, const char *field,
		     struct err *e)
{
	if (!value)
		return 0;
	if (c->ns[ISO_NS_UTS].mode == ISO_NS_INHERIT) {
		err_invalid(e, "%s '%s': it would rename the host", field, value);
		return err_hint(e, "add {\"type\": \"uts\"} to linux.namespaces");
	}
	if (strlen(value) > UTS_NAME_MAX)
		return err_invalid(e, "%s: longer than %d bytes", field, UTS_NAME_MAX);
	return 0;
}

static int check_sysctls(const struct iso_config *c, struct err *e)
{
	for (size_t i = 0; i < c->n_sysctls; i++) {
		_cleanup_free_ char *path = NULL;
		enum iso_ns ns;
		int r;

		r = sysctl_resolve(c->sysctls[i].key, &path, &ns, e);
		if (r < 0)
			return r;
		if (c->ns[ns].mode == ISO_NS_INHERIT)
			return err_invalid(
				e, "sysctl '%s': it would change the host; it needs a %s namespace",
				c->sysctls[i].key, iso_ns_table[ns].oci_name);
		if (!c->sysctls[i].value)
			return err_invalid(e, "sysctl '%s': no value", c->sysctls[i].key);
	}
	return 0;
}

static int check_device(const struct iso_device *d, size_t i, struct err *e)
{
	if (!d->path || d->path[0] != '/')
		return err_invalid(e, "devices[%zu]: the path must be absolute", i);
	if (d->type == '\0' || !strchr("cbup", d->type))
		return err_invalid(e, "device '%s': type must be c, b, u or p", d->path);
	if (d->type != 'p' &&
	    (d->major < 0 || d->major > MAJOR_MAX || d->minor < 0 || d->minor > MINOR_MAX))
		return err_invalid(e, "device '%s': no such number %" PRId64 ":%" PRId64, d->path,
				   d->major, d->minor);
	/* Docker gives the type with the mode (020666). */
	if (d->has_mode && (d->mode & ~(uint32_t)(S_IFMT | 07777)))
		return err_invalid(e, "device '%s': mode %o has more than permission bits", d->path,
				   d->mode);
	return 0;
}

static int check_mapped(const struct iso_config *c, const struct iso_id_maps *maps, uint32_t id,
			const char *field, struct err *e)
{
	uint32_t host;

	/* (id_t)-1 means "leave unchanged" to setresuid(2): the process would stay root. */
	if (id == UINT32_MAX)
		return err_invalid(e, "%s: %u is not an id", field, id);
	if (c->ns[ISO_NS_USER].mode == ISO_NS_NEW && iso_id_to_host(maps, id, &host) < 0) {
		err_invalid(e, "%s: %u is not mapped into the user namespace", field, id);
		return err_hint(e, "an ordinary user's ids come from /etc/subuid and /etc/subgid");
	}
	return 0;
}

static int check_user(const struct iso_config *c, const struct iso_user *u, struct err *e)
{
	int r;

	r = check_mapped(c, &c->uid_maps, u->uid, "process.user.uid", e);
	if (r == 0)
		r = check_mapped(c, &c->gid_maps, u->gid, "process.user.gid", e);
	for (size_t i = 0; r == 0 && i < u->n_additional_gids; i++)
		r = check_mapped(c, &c->gid_maps, u->additional_gids[i],
				 "process.user.additionalGids", e);
	if (r < 0)
		return r;
	if (u->has_umask && u->umask > 0777)
		return err_invalid(e, "process.user.umask: %o is not one", u->umask);
	return 0;
}

static int check_caps(const struct iso_caps *caps, struct err *e)
{
	if (!caps->present)
		return 0;
	if (caps->set[ISO_CAP_EFFECTIVE] & ~caps->set[ISO_CAP_PERMITTED])
		return err_invalid(e, "process.capabilities: an effective one is not permitted");
	/* An ambient one that is not inheritable cannot be granted, which is a warning (runtime/): buildah writes such. */
	return 0;
}

static int check_process(const struct iso_config *c, const struct iso_process *p, struct err *e)
{
	int r;

	if (!p->args || !p->args[0])
		return err_invalid(e, "process.args: no command");
	if (p->args[0][0] == '\0')
		return err_invalid(e, "process.args: the command is empty");
	if (!p->cwd || p->cwd[0] != '/')
		return err_invalid(e, "process.cwd: must be an absolute path");
	r = check_user(c, &p->user, e);
	if (r == 0)
		r = check_caps(&p->caps, e);
	if (r == 0)
		r = rlimits_check(p, e);
	if (r < 0)
		return r;
	if (p->has_oom_score_adj && (p->oom_score_adj < -1000 || p->oom_score_adj > 1000))
		return err_invalid(e, "process.oomScoreAdj: %d is not in -1000..1000",
				   p->oom_score_adj);
	if (iso_scheduler_check(&p->scheduler, e) < 0)
		return err_wrap(e, "process.scheduler");
	return 0;
}

static int check_time(const struct iso_config *c, struct err *e)
{
	for (int i = 0; i < ISO_CLOCK_COUNT; i++) {
		if (!c->time_offsets[i].present || c->ns[ISO_NS_TIME].mode == ISO_NS_NEW)
			continue;
		err_invalid(e,
			    "timeOffsets: the clocks of a namespace that has processes cannot be "
			    "moved");
		return err_hint(e, "add {\"type\": \"time\"} without a path to linux.namespaces");
	}
	return 0;
}

int iso_config_check(const struct iso_config *c, const struct iso_process *p, struct err *e)
{
	int r;

	r = check_namespaces(c, e);
	if (r == 0)
		r = check_maps(c, e);
	if (r == 0)
		r = check_uts(c, c->hostname, "hostname", e);
	if (r == 0)
		r = check_uts(c, c->domainname, "domainname", e);
	if (r == 0)
		r = check_time(c, e);
	if (r == 0)
		r = netdev_check(c, e);
	if (r == 0 && iso_memory_policy_check(&c->memory_policy, e) < 0)
		r = err_wrap(e, "memoryPolicy");
	if (r == 0)
		r = check_sysctls(c, e);
	for (size_t i = 0; r == 0 && i < c->n_mounts; i++) {
		r = idmap_check(c, &c->mounts[i], e);
		if (r < 0)
			return err_wrap(e, "mounts[%zu]", i);
	}
	for (size_t i = 0; r == 0 && i < c->n_devices; i++)
		r = check_device(&c->devices[i], i, e);
	if (r == 0 && p)
		r = check_process(c, p, e);
	return r;
}
