/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a sandbox on disk: one directory ROOT/ID (0700) with
 *
 *	state.json	this structure, replaced atomically
 *	config.json	the effective configuration
 *	gate		the start gate (base/sync.h)
 *	control		a VM's control socket
 *	attach		the socket of a detached sandbox's monitor (runtime/attach.h)
 *	log, log.N	its output, where it has no storage of its own
 *
 * The lock is flock(2) on the directory itself; it is never held while a hook runs, and never
 * across sandboxes. A directory without state.json is a creation that died; it is listed, and
 * deletable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"

/* Spec: OCI runtime-spec runtime.md "State". PAUSED is the field's common extension. */
enum rt_status {
	RT_CREATING,
	RT_CREATED,
	RT_RUNNING,
	RT_PAUSED,
	RT_STOPPED,
	RT_STATUS_COUNT,
};
const char *rt_status_name(enum rt_status s);

struct state {
	char *id;
	char *bundle;
	char *driver;      /* driver's name */
	char *cgroup_path; /* "" for none */
	char *scope;       /* the systemd unit that the group is, or NULL */
	char *rootfs;      /* for `list` and engines */
	char *version;     /* ociVersion of the configuration */
	char *owner;       /* user who created it */
	char **annotations;
	char **live_mounts; /* added while it ran: strv "MOUNT-ID DESTINATION", oldest first */
	char **labels;      /* of `insula run`: strv "key=value" */
	char *command;      /* for `ps` */
	char *name;         /* of `insula run --name`, or NULL */
	bool ephemeral;     /* --rm */
	char *image;        /* name of the image as given, or NULL */
	char *image_id;
	char *storage;     /* the sandbox's directory in the store, removed with it, or NULL */
	char *stop_signal; /* name, or NULL: TERM */
	int64_t stop_timeout_sec; /* -1: the default */
	struct proc_id monitor;   /* of a detached one; pid 0: none */
	char *log_driver;         /* of a detached one: "k8s-file" or "none"; else NULL */
	char *log_error;          /* that and why output is missing in the log, or NULL */
	bool stdin_open;          /* a detached one's standard input is kept for attach */
	bool terminal;
	enum rt_status saved; /* what was written; state_status() tells what is */
	struct proc_id host;  /* the host process; pid 0 before it exists */
	int64_t created_unix_nsec, started_unix_nsec, finished_unix_nsec;
	int32_t exit_code; /* -1: unknown or not ended */
};

void state_done(struct state *s);

/* A sandbox's directory, open and perhaps locked. */
struct state_dir {
	int rootfd; /* ROOT */
	int fd;     /* ROOT/ID */
	char *id;
	bool locked;
};
void state_dir_done(struct state_dir *d); /* drops the lock */

/* Make ROOT/ID, locked. -EEXIST with ERR_EXISTS and a hint. ROOT is made 0700 when missing. */
int state_dir_create(const char *root, const char *id, struct state_dir *ret, struct err *e);
/* Open ROOT/ID, taking the lock if asked (blocking). ERR_NOT_FOUND. */
int state_dir_open(const char *root, const char *id, bool lock, struct state_dir *ret,
		   struct err *e);
int state_dir_lock(struct state_dir *d, struct err *e);
void state_dir_unlock(struct state_dir *d);
/* Unlocked: from now on a lock is ours alone. One that was taken through a descriptor of which a child has a copy lasts until the
 * child has closed that, too, even when we are killed. */
int state_dir_reopen(struct state_dir *d, struct err *e);
/* Remove it all. The lock must be held. */
int state_dir_remove(struct state_dir *d, struct err *e);

int state_save(const struct state_dir *d, const struct state *s, struct err *e);
/* -ENOENT when the creation died before the first save: *ret then holds id, RT_CREATING and nothing
 * else. */
int state_load(const struct state_dir *d, struct state *ret, struct err *e);

/* What is true now: looks at the process (by pid and start time) and at the gate. */
enum rt_status state_status(const struct state_dir *d, const struct state *s);

/* All ids under ROOT, sorted strv; a missing ROOT is none. */
int state_list(const char *root, char ***ret_ids, struct err *e);
