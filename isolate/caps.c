/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities: names through libcap (this is the only file that knows it), and the two steps that
 * give a process exactly the sets of its configuration.
 *
 * The sets go to the kernel as bit masks by capset(2): nothing is allocated, and the order is ours.
 * What the caller itself does not hold cannot be granted; the specification asks not to fail then
 * ("Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be
 * granted"), so such bits are left out here, and iso_caps_held() lets the runtime name them.
 *
 * Spec: OCI runtime-spec config.md "Linux Process", capabilities; capabilities(7).
 */
#include "caps.h"

#include <ctype.h>
#include <limits.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CAP_NUMBER_MAX 63
#define CAP_NAME_MAX   32

/* Names in the form of the specification. libcap spells them in lower case and allocates each
 * answer, so the ones that its header knew when we were built are also kept here; newer ones come
 * as numbers. */
static const char *const names[] = {
	[CAP_CHOWN] = "CAP_CHOWN",
	[CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
	[CAP_FOWNER] = "CAP_FOWNER",
	[CAP_FSETID] = "CAP_FSETID",
	[CAP_KILL] = "CAP_KILL",
	[CAP_SETGID] = "CAP_SETGID",
	[CAP_SETUID] = "CAP_SETUID",
	[CAP_SETPCAP] = "CAP_SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
	[CAP_NET_ADMIN] = "CAP_NET_ADMIN",
	[CAP_NET_RAW] = "CAP_NET_RAW",
	[CAP_IPC_LOCK] = "CAP_IPC_LOCK",
	[CAP_IPC_OWNER] = "CAP_IPC_OWNER",
	[CAP_SYS_MODULE] = "CAP_SYS_MODULE",
	[CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
	[CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
	[CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
	[CAP_SYS_PACCT] = "CAP_SYS_PACCT",
	[CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
	[CAP_SYS_BOOT] = "CAP_SYS_BOOT",
	[CAP_SYS_NICE] = "CAP_SYS_NICE",
	[CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
	[CAP_SYS_TIME] = "CAP_SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
	[CAP_MKNOD] = "CAP_MKNOD",
	[CAP_LEASE] = "CAP_LEASE",
	[CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
	[CAP_SETFCAP] = "CAP_SETFCAP",
	[CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
	[CAP_SYSLOG] = "CAP_SYSLOG",
	[CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "CAP_AUDIT_READ",
	[CAP_PERFMON] = "CAP_PERFMON",
	[CAP_BPF] = "CAP_BPF",
	[CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};
_Static_assert(ARRAY_SIZE(names) == CAP_LAST_CAP + 1, "a capability without a name");

const char *iso_cap_name(int cap)
{
	if (cap < 0 || (size_t)cap >= ARRAY_SIZE(names))
		return NULL;
	return names[cap];
}

int iso_cap_last(void)
{
	return (int)cap_max_bits() - 1;
}

int iso_cap_parse(const char *name, int *ret)
{
	char lower[CAP_NAME_MAX];
	cap_value_t cap;
	size_t n = 0;

	if (strncasecmp(name, "CAP_", 4) != 0) {
		memcpy(lower, "cap_", 4);
		n = 4;
	}
	/* libcap also takes "all" and plain numbers; the specification has names only. */
	for (const char *p = name; *p; p++) {
		if (n + 1 >= sizeof(lower) || (!isalpha((unsigned char)*p) && *p != '_'))
			return -EINVAL;
		lower[n++] = (char)tolower((unsigned char)*p);
	}
	lower[n] = '\0';
	if (cap_from_name(lower, &cap) < 0 || cap < 0 || cap > CAP_NUMBER_MAX)
		return -EINVAL;
	if (cap > iso_cap_last())
		return -ENOTSUP;
	*ret = cap;
	return 0;
}

struct cap_state {
	uint64_t effective, permitted, inheritable;
};

static int state_get(struct cap_state *ret)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};

	if (capget(&h, d) < 0)
		return -errno;
	ret->effective = d[0].effective | (uint64_t)d[1].effective << 32;
	ret->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	ret->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	return 0;
}

static int state_set(const struct cap_state *s)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
		{(uint32_t)s->effective, (uint32_t)s->permitted, (uint32_t)s->inheritable},
		{(uint32_t)(s->effective >> 32), (uint32_t)(s->permitted >> 32),
		 (uint32_t)(s->inheritable >> 32)},
	};

	return capset(&h, d) < 0 ? -errno : 0;
}

static uint64_t wanted(const struct iso_caps *caps, enum iso_cap_set set)
{
	return caps->present ? caps->set[set] : 0;
}

/* Of `which`: a call for each. */
static uint64_t held_of(uint64_t which)
{
	struct cap_state s;
	uint64_t held = 0;

	if (state_get(&s) < 0)
		return 0;
	which &= s.permitted;
	for (int cap = 0; which >> cap; cap++)
		if ((which & UINT64_C(1) << cap) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			held |= UINT64_C(1) << cap;
	return held;
}

uint64_t iso_caps_held(void)
{
	return held_of((UINT64_C(2) << iso_cap_last()) - 1);
}

uint64_t iso_caps_ungrantable(const struct iso_caps *caps, bool in_userns)
{
	uint64_t lacking = 0;

	if (!caps->present)
		return 0;
	for (int i = 0; i < ISO_CAP_SET_COUNT && !in_userns; i++)
		lacking |= caps->set[i];
	if (!in_userns)
		lacking &= ~held_of(lacking);
	return lacking | (caps->set[ISO_CAP_AMBIENT] &
			  ~(caps->set[ISO_CAP_PERMITTED] & caps->set[ISO_CAP_INHERITABLE]));
}

int caps_drop_bounding(const struct iso_caps *caps, struct err *e)
{
	uint64_t keep = wanted(caps, ISO_CAP_BOUNDING);
	int last = iso_cap_last();

	for (int cap = 0; cap <= last; cap++) {
		if (keep & UINT64_C(1) << cap)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/* Who may drop none need not where there is none. */
		int failure = errno;

		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
			return err_sys(e, failure, "drop %s from the bounding set",
				       iso_cap_name(cap) ?: "a capability");
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "keep capabilities over the change of user");
	return 0;
}

static int ambient_apply(uint64_t set, struct err *e)
{
	/* Never inherit what our own caller left there (CVE-2022-29162). */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, errno, "clear the ambient capabilities");
	for (int cap = 0; cap <= CAP_NUMBER_MAX; cap++) {
		if (!(set & UINT64_C(1) << cap))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return err_sys(e, errno, "raise ambient capability %s",
				       iso_cap_name(cap) ?: "(unnamed)");
	}
	return 0;
}

int caps_apply(const struct iso_caps *caps, struct err *e)
{
	struct cap_state have, want;
	int r;

	r = state_get(&have);
	if (r < 0)
		return err_sys(e, r, "read own capabilities");
	want.permitted = wanted(caps, ISO_CAP_PERMITTED) & have.permitted;
	want.effective = wanted(caps, ISO_CAP_EFFECTIVE) & want.permitted;
	want.inheritable = wanted(caps, ISO_CAP_INHERITABLE) & (have.permitted | have.inheritable);
	r = state_set(&want);
	if (r < 0)
		return err_sys(e, r, "set capabilities");
	r = ambient_apply(wanted(caps, ISO_CAP_AMBIENT) & want.permitted & want.inheritable, e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_sys(e, errno, "end keeping capabilities");
	return 0;
}
