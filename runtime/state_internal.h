/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share about a sandbox's state, beyond runtime/state.h.
 */
#pragma once

#include <stdbool.h>

#include "base/json.h"
#include "cgroups/cgroup.h"
#include "runtime/state.h"

/* Files of a state directory. */
#define STATE_FILE    "state.json"
#define CONFIG_FILE   "config.json"
#define DELETING_FILE "deleting"

#define STATE_FILE_MAX (1u << 20)

/* Empty, RT_CREATING, exit code unknown. state_done() on a zeroed structure is fine too. */
void state_init(struct state *s);
int rt_status_parse(const char *name, enum rt_status *ret);

/* The process behind pidfd ended; -1 counts as ended. */
bool pidfd_has_ended(int pidfd);
/* state_status() by what the caller knows already: the host process's pidfd or -1; whether its
 * cgroup is frozen. */
enum rt_status state_status_by(const struct state_dir *d, const struct state *s, int pidfd,
			       bool frozen);

/* state_dir.c: usable as the name of a directory. ERR_INVALID. */
int state_check_id(const char *id, struct err *e);
/* state_dir.c: -EEXIST with ERR_EXISTS and a hint when ROOT/ID is there, 0 when it is not or cannot be
 * looked at. Only for what is said: state_dir_create() decides. */
int state_dir_check_free(const char *root, const char *id, struct err *e);

/* state_json.c: the file's form, both ways. The id is not read from the file: the directory's name
 * is the id. */
int state_to_file_text(const struct state *s, char **ret, size_t *ret_len, struct err *e);
int state_from_file(const struct json *doc, struct state *ret, struct err *e);
/* The form that engines and hooks read. pid 0: none. Spec: OCI runtime-spec runtime.md "State". */
int state_to_oci_text(const struct state *s, enum rt_status status, pid_t pid, bool pretty,
		      char **ret, struct err *e);
