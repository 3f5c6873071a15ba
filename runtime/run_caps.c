/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --cap-add, --cap-drop, --privileged: docker's rules. "ALL" on one side is the set that the other side's names
 * change; a name on both sides cannot be meant.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "run_document.h"

/* docker's and podman's usual set of a container's root. */
static const int default_caps[] = {
	CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
	CAP_MKNOD,      CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
	CAP_SETFCAP,    CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_KILL,
	CAP_SYS_CHROOT, CAP_AUDIT_WRITE,
};

#define BIT(cap) (UINT64_C(1) << (cap))

struct wish {
	uint64_t named;
	bool all;
};

static int unknown(const char *flag, const char *name, struct err *e)
{
	const char *bare = strncasecmp(name, "cap_", 4) == 0 ? name + 4 : name;
	const char *best = NULL;
	unsigned best_distance = 4;

	for (int cap = 0; cap <= iso_cap_last(); cap++) {
		const char *known = iso_cap_name(cap);
		_cleanup_free_ char *upper = strdup(bare);
		unsigned d;

		if (!known || !upper)
			continue;
		for (char *c = upper; *c; c++)
			if (*c >= 'a' && *c <= 'z')
				*c = (char)(*c - 'a' + 'A');
		d = str_distance(upper, known + strlen("CAP_"));
		if (d < best_distance) {
			best_distance = d;
			best = known;
		}
	}
	err_invalid(e, "%s '%s' is not a capability", flag, name);
	if (best)
		return err_hint(e, "did you mean %s?", best + strlen("CAP_"));
	return err_hint(e, "capabilities(7) has their names; ALL is every one");
}

static int take(const char *flag, char *const *names, struct wish *w, struct err *e)
{
	for (; names && *names; names++) {
		int cap, r;

		if (strcasecmp(*names, "all") == 0) {
			w->all = true;
			continue;
		}
		r = iso_cap_parse(*names, &cap);
		if (r == -ENOTSUP)
			return err_unsupported(e, "%s '%s': this kernel is older than it", flag,
					       *names);
		if (r < 0)
			return unknown(flag, *names, e);
		w->named |= BIT(cap);
	}
	return 0;
}

static uint64_t all_caps(void)
{
	int last = iso_cap_last();

	return last >= 63 ? UINT64_MAX : BIT(last + 1) - 1;
}

static uint64_t usual_caps(void)
{
	uint64_t set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(default_caps); i++)
		set |= BIT(default_caps[i]);
	return set;
}

static int check_both(const struct wish *add, const struct wish *drop, struct err *e)
{
	if (add->all && drop->all)
		return err_invalid(e, "--cap-add ALL and --cap-drop ALL contradict each other");
	for (int cap = 0; cap < 64; cap++)
		if (add->named & drop->named & BIT(cap))
			return err_invalid(e, "%s is both added and dropped", iso_cap_name(cap));
	return 0;
}

int run_caps_take(const struct rt_run_request *r, uint64_t *ret_caps, uint64_t *ret_added,
		  struct err *e)
{
	struct wish add = {0}, drop = {0};
	uint64_t base;
	int rc = take("--cap-add", r->cap_add, &add, e);

	if (rc == 0)
		rc = take("--cap-drop", r->cap_drop, &drop, e);
	if (rc == 0)
		rc = check_both(&add, &drop, e);
	if (rc < 0)
		return rc;
	if (drop.all)
		base = 0;
	else
		base = add.all || r->privileged ? all_caps() : usual_caps();
	*ret_caps = (base | add.named) & ~drop.named;
	*ret_added = add.all ? *ret_caps : add.named;
	return 0;
}
