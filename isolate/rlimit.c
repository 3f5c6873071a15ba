/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource limits: the table of names, and setting them in the process they are for.
 * Spec: OCI runtime-spec config.md "POSIX process", rlimits; getrlimit(2).
 */
#include "rlimit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"

static const char *const names[] = {
	[RLIMIT_CPU] = "RLIMIT_CPU",           [RLIMIT_FSIZE] = "RLIMIT_FSIZE",
	[RLIMIT_DATA] = "RLIMIT_DATA",         [RLIMIT_STACK] = "RLIMIT_STACK",
	[RLIMIT_CORE] = "RLIMIT_CORE",         [RLIMIT_RSS] = "RLIMIT_RSS",
	[RLIMIT_NPROC] = "RLIMIT_NPROC",       [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
	[RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",   [RLIMIT_AS] = "RLIMIT_AS",
	[RLIMIT_LOCKS] = "RLIMIT_LOCKS",       [RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
	[RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE", [RLIMIT_NICE] = "RLIMIT_NICE",
	[RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",     [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
};
_Static_assert(ARRAY_SIZE(names) == RLIMIT_NLIMITS, "a resource without a name");

int iso_rlimit_parse(const char *oci_name, int *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (STREQ(names[i], oci_name)) {
			*ret = (int)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *iso_rlimit_name(int resource)
{
	if (resource < 0 || (size_t)resource >= ARRAY_SIZE(names))
		return NULL;
	return names[resource];
}

int rlimits_check(const struct iso_process *p, struct err *e)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct iso_rlimit *l = &p->rlimits[i];
		const char *name = iso_rlimit_name(l->resource);

		if (!name)
			return err_invalid(e, "rlimits[%zu]: no such resource", i);
		if (seen & UINT32_C(1) << l->resource)
			return err_invalid(e, "rlimits[%zu]: %s is given twice", i, name);
		seen |= UINT32_C(1) << l->resource;
		if (l->soft > l->hard)
			return err_invalid(e,
					   "rlimits[%zu]: soft %s %" PRIu64
					   " is above the hard limit %" PRIu64,
					   i, name, l->soft, l->hard);
	}
	return 0;
}

static int set_failed(const struct iso_rlimit *l, const struct rlimit64 *old, int errnum,
		      struct err *e)
{
	err_sys(e, errnum, "set %s to %" PRIu64 ":%" PRIu64, iso_rlimit_name(l->resource), l->soft,
		l->hard);
	if (errnum == EPERM && l->hard > old->rlim_max)
		err_hint(e,
			 "the hard limit here is %" PRIu64
			 " and raising it needs CAP_SYS_RESOURCE; "
			 "ask for at most that, or raise it for whoever starts the container",
			 (uint64_t)old->rlim_max);
	else if (errnum == EPERM && l->resource == RLIMIT_NOFILE)
		err_hint(e, "the kernel's ceiling is sysctl fs.nr_open");
	return -errnum;
}

int rlimits_raise_hard(pid_t pid, const struct iso_process *p, struct err *e)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct iso_rlimit *l = &p->rlimits[i];
		struct rlimit64 old, new;

		if (prlimit64(pid, l->resource, NULL, &old) < 0)
			return err_sys(e, errno, "read %s of process %d",
				       iso_rlimit_name(l->resource), (int)pid);
		if (l->hard <= old.rlim_max)
			continue;
		new = (struct rlimit64){.rlim_cur = old.rlim_cur, .rlim_max = l->hard};
		if (prlimit64(pid, l->resource, &new, NULL) < 0)
			return set_failed(l, &old, errno, e);
	}
	return 0;
}

int rlimits_apply(const struct iso_process *p, struct err *e)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct iso_rlimit *l = &p->rlimits[i];
		struct rlimit64 new = {.rlim_cur = l->soft, .rlim_max = l->hard}, old = {0};

		if (prlimit64(0, l->resource, NULL, &old) < 0)
			return err_sys(e, errno, "read %s", iso_rlimit_name(l->resource));
		if (prlimit64(0, l->resource, &new, NULL) < 0)
			return set_failed(l, &old, errno, e);
	}
	return 0;
}
