/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox of `insula run` may: capabilities, namespaces, system calls, hidden paths.
 */
#include <linux/capability.h>

#include "base/cleanup.h"
#include "default_paths.h"
#include "landlock_document.h"
#include "run_document.h"
#include "runtime/seccomp_default.h"

/* docker's and podman's usual set of a container's root. */
static const int default_caps[] = {
	CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
	CAP_MKNOD,      CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
	CAP_SETFCAP,    CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_KILL,
	CAP_SYS_CHROOT, CAP_AUDIT_WRITE,
};

uint64_t run_caps(const struct run_build *b)
{
	uint64_t set = 0;

	(void)b;
	for (size_t i = 0; i < ARRAY_SIZE(default_caps); i++)
		set |= UINT64_C(1) << default_caps[i];
	return set;
}

static struct json *make_namespaces(enum vio_network_kind network)
{
	switch (network) {
	case VIO_NETWORK_NONE:
		return run_fixed(
			"[{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"}, "
			"{\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}]");
	case VIO_NETWORK_HOST:
		return run_fixed("[{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, "
				 "{\"type\": \"mount\"}, {\"type\": \"cgroup\"}]");
	}
	return NULL;
}

/* Behind Landlock nobody changes mounts, which is what CAP_SYS_ADMIN was asked for. */
static bool wants_landlock(const struct run_build *b)
{
	return b->rootfs.host_root && !b->request->privileged &&
	       !(run_caps(b) & UINT64_C(1) << CAP_SYS_ADMIN);
}

int run_add_security(struct json *document, const struct run_build *b, struct json *masked,
		     struct err *e)
{
	_cleanup_json_ struct json *owned = masked;
	struct json *l = json_object_member(document, "linux", true);

	if (!l || json_set(l, "namespaces", make_namespaces(b->network)) < 0 ||
	    json_set(l, "seccomp", rt_seccomp_default(run_caps(b))) < 0 ||
	    json_set(l, "maskedPaths", TAKE_PTR(owned)) < 0 ||
	    json_set(l, "readonlyPaths", run_fixed(DEFAULT_READONLY_PATHS_JSON)) < 0)
		return err_nomem(e);
	return wants_landlock(b) ? run_add_landlock(document, b->rootfs.fd, e) : 0;
}
