/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces of ordinary users: which ids they may map, and work that must be done among those
 * ids (files of a container's image belong to subordinate ids, which their owner can neither
 * change nor remove from outside).
 * Spec: user_namespaces(7), subuid(5), newuidmap(1).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "isolate/namespace.h"

/*
 * The maps that the calling user may have: 0 inside is the caller; 1 and up are the caller's ranges of
 * /etc/subuid and /etc/subgid, in order, by name or by number. Without ranges, or without newuidmap and newgidmap, the
 * single entry alone (*ret_single true, and *ret_why, which may be NULL, says in a line what is missing; the caller
 * frees it). For root in the initial user namespace: all ids, each to itself.
 */
int iso_user_maps(struct iso_id_maps *ret_uid, struct iso_id_maps *ret_gid, bool *ret_single,
		  char **ret_why, struct err *e);
void iso_id_maps_done(struct iso_id_maps *maps);

/*
 * Run fn(arg) in a child process in a new user namespace with these maps, as its root with all capabilities
 * over it (and with further new namespaces: `clone_flags`, CLONE_NEW*). The child ends with what fn returns, 0 to 255, or
 * 255 when it could not begin, which is an error here. *ret_pid is a child of the caller. The caller is single-threaded.
 */
int iso_userns_spawn(const struct iso_id_maps *uid, const struct iso_id_maps *gid,
		     uint64_t clone_flags, int (*fn)(void *arg), void *arg, pid_t *ret_pid,
		     struct err *e);

/* The same in the user namespace of process `pid` (identified by pidfd), which the caller must own: for signals to, and
 * looks at, processes of ids that are not the caller's. Waits for the end: *ret_status is what fn returned. */
int iso_userns_enter(int pidfd, int (*fn)(void *arg), void *arg, int *ret_status, struct err *e);
