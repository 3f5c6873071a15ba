/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor process and with it its helpers (engine, file server) are kept from.
 *
 * There is: a mount namespace of its own (the host's /run is hidden from it), network, IPC and UTS
 * namespaces, the sandbox's control group, no new privileges, not dumpable, no core files, every
 * helper killed with it. The engine and the file server add their own seccomp filters and the file
 * server gives up all but file capabilities.
 *
 * There is not yet: a user of its own, an empty root, a seccomp filter around the monitor itself.
 * It needs root to build the shared tree; afterwards it holds descriptors only, which is what a
 * jail will rest on.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/self.h"
#include "vmm.h"

static int join_network(const struct iso_namespace *ns, struct err *e)
{
	_cleanup_close_ int fd = -EBADF;

	if (ns->mode != ISO_NS_JOIN) {
		/* Its network device, if it has one, is given as a descriptor; the process itself
		 * needs no network. */
		if (unshare(CLONE_NEWNET) < 0)
			return err_sys(e, errno, "make a network namespace");
		return 0;
	}
	fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "join the network namespace '%s'", ns->path);
	return 0;
}

int vmm_isolate(const struct iso_config *c, struct err *e)
{
	int r = join_network(&c->ns[ISO_NS_NETWORK], e);

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
	return 0;
}
