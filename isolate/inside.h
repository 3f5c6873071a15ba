/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps that a container's init takes inside its new namespaces, before the gate. Internal to this folder:
 * init.c calls them in this order, each in a file of its own. All run in the child of clone3 (single-threaded
 * creator), so they may allocate; what they open is close-on-exec. Each error names step and object.
 */
#pragma once

#include "isolate/sandbox.h"

/* What the steps share. Lives on init's stack. */
struct inside {
	const struct iso_init_params *params;
	const struct iso_config *config;
	int root_fd; /* root directory of the new tree (a mount point), from iso_rootfs_mount() */
	int proc_fd; /* private detached procfs (fsopen; never the container's), for writes to /proc/self/... */
	const int *
		mapped_fds; /* id-mapped trees of config->mounts, -1 where there is none; or NULL; borrowed */
	int *layer_mounts; /* of the root's layers, see struct iso_rootfs; or NULL; borrowed */
	int console_fd;    /* slave of the terminal, or -1 */
	int sync_fd;       /* channel to the creator; borrowed */
	char *command;     /* path of what will be executed; owned by init */
	bool userns; /* we are in a user namespace: of our own, or all of us in an outer one */
	int *attached_fd; /* not NULL: the mount that was attached last is kept here, owned by the caller */
	bool cgroupns; /* … and a cgroup namespace */
};

/* mounts.c: config->mounts in order, by descriptor, each on its destination below root_fd (created when missing); cgroup
 * mounts as params->cgroup_mounts say. Refuses a symlinked /proc or /sys destination. */
int inside_mounts(struct inside *in, struct err *e);

/* devices.c: the specification's default devices, symlinks (/dev/fd, stdin, stdout, stderr, ptmx, core when there) and
 * config->devices below root_fd; mknod, or a bind of the host's node in a user namespace. */
int inside_devices(struct inside *in, struct err *e);

/* masks.c: before the pivot and after all other mounts (and the createContainer hooks), on root_fd: the host's /dev/null
 * is then out of the container's reach. maskedPaths (directories: one shared read-only tmpfs; others: /dev/null whose fd
 * was verified to be character device 1:3) and readonlyPaths. A missing path is no error. */
int inside_masks(struct inside *in, struct err *e);

/* sysctl.c: through proc_fd only. */
int inside_sysctls(struct inside *in, struct err *e);

/* terminal.c: open /dev/pts/ptmx of the *container's* devpts below root_fd (verified: devpts magic, device 5:2), or of the
 * one at proc when the container has no devpts: -EOPNOTSUPP by name. Returns master; in->console_fd is the slave.
 * Binds the slave on /dev/console (created, no symlink followed) if /dev is a mount of ours. */
int inside_terminal(struct inside *in, int *ret_master, struct err *e);

/* pivot.c: make root_fd the root: pivot_root(".", ".") and detach of the old one, or MS_MOVE + chroot for no_pivot;
 * then readonly and rootfsPropagation of the root mount. */
int inside_pivot(struct inside *in, struct err *e);
