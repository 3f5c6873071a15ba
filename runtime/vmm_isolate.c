/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor process and with it its helpers (engine, file server) are kept from.
 *
 * There is: a mount namespace of its own (the host's /run is hidden from it), network, IPC and UTS
 * namespaces, the sandbox's control group, no new privileges, not dumpable, no core files, every
 * helper killed with it and started with few capabilities. The engine and the file server add their own seccomp
 * filters.
 *
 * A configuration with a user namespace (every ordinary user's has one) gets it here: a container's processes would live
 * in it, and of a microVM its monitor does. So it mounts as a container's init does, and what the file server does for the
 * guest's users reaches the ids that are mapped. The creator writes the maps, since the namespace itself may not.
 *
 * An ordinary user's supplementary groups it keeps, other than a container: one of them may be what opens /dev/kvm. The
 * file server leaves them. Where only the user's own id is mapped the kernel lets nobody do that, and virtiofsd takes it for an error;
 * so there a filter tells it that it has none.
 *
 * There is not yet: an empty root, a seccomp filter around the monitor itself. As root, it needs that to build the
 * shared tree; afterwards it holds descriptors only, which is what a jail will rest on.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/self.h"
#include "base/str.h"
#include "base/sync.h"
#include "isolate/seccomp.h"
#include "vmm.h"

/* ---- user namespace --------------------------------------------------------------------- */

static int enter_user_namespace(int sync_fd, struct err *e)
{
	bool was_root = geteuid() == 0;
	int r;

	if (unshare(CLONE_NEWUSER) < 0) {
		err_sys(e, errno, "make a user namespace for the monitor process");
		return err_hint(e, "this host may allow ordinary users no user namespaces (sysctl "
				   "kernel.unprivileged_userns_clone, user.max_user_namespaces)");
	}
	r = sync_send(sync_fd, SYNC_PID, getpid(), -1, e);
	if (r == 0)
		r = sync_expect(sync_fd, "the creator", SYNC_PID, NULL, NULL, e);
	if (r < 0)
		return r;
	if (was_root && setgroups(0, NULL) < 0)
		return err_sys(e, errno, "leave root's groups");
	/* EINVAL: root is not mapped. We stay who we are, and have the capabilities all the same. */
	if ((setresgid(0, 0, 0) < 0 && errno != EINVAL) ||
	    (setresuid(0, 0, 0) < 0 && errno != EINVAL))
		return err_sys(e, errno, "become root of the user namespace");
	return 0;
}

/* Nobody in this user namespace can leave groups: let nobody see them, either. */
static int hide_groups(struct err *e)
{
	char *name[] = {(char *)"getgroups", NULL};
	/* "An error" that is none: the call returns 0. */
	struct iso_seccomp_rule rule = {.names = name, .has_errno_ret = true};
	struct iso_seccomp filter = {.present = true, .rules = &rule, .n_rules = 1};
	_cleanup_(iso_bpf_done) struct iso_bpf bpf = {0};
	_cleanup_free_ char *setgroups = NULL;
	int r;

	if (path_read_file_at(AT_FDCWD, "/proc/self/setgroups", 64, &setgroups, NULL, NULL) < 0 ||
	    !str_has_prefix(setgroups, "deny") || getgroups(0, NULL) == 0)
		return 0;
	if (iso_seccomp_action_parse("SCMP_ACT_ALLOW", &filter.default_action) < 0 ||
	    iso_seccomp_action_parse("SCMP_ACT_ERRNO", &rule.action) < 0)
		return err_set(e, ERR_INTERNAL, EINVAL, "hide groups from the file server");
	r = iso_seccomp_compile(&filter, &bpf, e);
	if (r < 0)
		return err_wrap(e, "hide groups from the file server");
	r = iso_seccomp_install(&bpf, NULL);
	return r < 0 ? err_sys(e, r, "hide groups from the file server") : 0;
}

/* ---- the others ------------------------------------------------------------------------- */

static int join_network(const struct iso_namespace *ns, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;

	if (ns->mode != ISO_NS_JOIN) {
		/* Its network device, if it has one, is given as a descriptor; the process itself
		 * needs no network. */
		if (unshare(CLONE_NEWNET) == 0)
			return 0;
		err_sys(e, errno, "make a network namespace");
		return err_hint(e, "new namespaces need CAP_SYS_ADMIN, or a user namespace in the "
				   "configuration");
	}
	fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "join the network namespace '%s'", ns->path);
	return 0;
}

int vmm_isolate(const struct iso_config *c, int sync_fd, struct err *e)
{
	int r = 0;

	if (c->ns[ISO_NS_USER].mode == ISO_NS_NEW)
		r = enter_user_namespace(sync_fd, e);
	if (r == 0)
		r = join_network(&c->ns[ISO_NS_NETWORK], e);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_sys(e, errno, "make namespaces for the monitor process");
	/* What the host unmounts goes away here too; what we mount stays here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(e, errno, "make mounts private");
	return 0;
}

int vmm_drop(struct err *e)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "no new privileges");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys(e, errno, "no core files");
	self_undumpable();
	return hide_groups(e);
}
