/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of a container that runs already: added and removed from outside. Source: open_tree(2), move_mount(2), setns(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "isolate/sandbox.h"

/* Whose. The caller has one thread and went through self_seal(). */
struct iso_live {
	int init_pidfd;
	pid_t init_pid;
	const struct iso_config *config; /* the container's; its mounts are those to be added */
};

/* What can be said of config->mounts without the container: kinds and options that only a creation has are refused. */
int iso_live_mounts_check(const struct iso_config *c, struct err *e);

/*
 * Add config->mounts in order, all or none. Sources are opened as at a creation, in a copy of the caller's mount namespace;
 * destinations are resolved inside the container's root, and made if they are missing. When all are in place `keep` gets
 * their mount ids (statx(2), STATX_MNT_ID), one for each; if it fails, or we are killed before it returns, they are taken
 * back. -ESRCH (ERR_STATE): the container ended.
 */
typedef int (*iso_live_keep_fn)(void *arg, const uint64_t *ids, size_t n, struct err *e);
int iso_live_mounts_add(const struct iso_live *c, iso_live_keep_fn keep, void *arg, struct err *e);

/* Where the kernel shows the mount that `path` of the container leads to, and whether it is on a directory. -ENOENT without an
 * error text: nothing is there, or it is no mount point. Caller frees. */
int iso_live_mount_place(const struct iso_live *c, const char *path, char **ret,
			 bool *ret_directory, struct err *e);
/* Set MOUNT_ATTR_* on mounts that are there already, each named by where the kernel shows it; no link is followed. For who
 * let another program make them and does not rely on it. */
struct iso_live_attrs {
	char *place;
	uint64_t set, rec_set; /* the mount; and all below */
};
int iso_live_mounts_protect(const struct iso_live *c, const struct iso_live_attrs *v, size_t n,
			    struct err *e);
/* 1 when a process's mount namespace has a mount of this id, 0 when not, or -errno. */
int iso_live_has_mount(pid_t pid, uint64_t id, struct err *e);

/* Take off the mounts with these ids, and what is mounted below them, wherever in its tree the container has them by now. Open
 * files stay usable. One that is gone already is no error. */
int iso_live_mounts_remove(const struct iso_live *c, const uint64_t *ids, size_t n, struct err *e);
