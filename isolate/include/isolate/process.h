/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process of a sandbox (the first, or an exec'd one) is given: arguments, identity,
 * capabilities, limits.
 * Spec: OCI runtime-spec config.md "Process", "POSIX process", "Linux Process".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "isolate/scheduling.h"

enum iso_cap_set {
	ISO_CAP_EFFECTIVE,
	ISO_CAP_BOUNDING,
	ISO_CAP_INHERITABLE,
	ISO_CAP_PERMITTED,
	ISO_CAP_AMBIENT,
	ISO_CAP_SET_COUNT,
};

/* Bit n is capability n. `present` false: leave the process without any capabilities configuration
 * (OCI: "capabilities" absent), which we take as *no* capabilities. */
struct iso_caps {
	bool present;
	uint64_t set[ISO_CAP_SET_COUNT];
};

/* "CAP_CHOWN" or "chown" to its number through libcap; -EINVAL for a name nobody knows, -ENOTSUP
 * for one newer than the running kernel. */
int iso_cap_parse(const char *name, int *ret);
/* "CAP_CHOWN"; NULL beyond the last. Static storage per number. */
const char *iso_cap_name(int cap);
/* Highest capability of the running kernel. */
int iso_cap_last(void);
/* Capabilities that the calling process holds and so can hand on: its permitted ones that are in
 * its bounding set. Others that a configuration asks for are left out without an error
 * (OCI: "SHOULD NOT fail"); the runtime warns of them. A process in a user namespace of its own
 * can be given all. */
uint64_t iso_caps_held(void);
/* Those of a configuration that no process of ours could be given: not held (`in_userns`: all are held there), or ambient
 * without being permitted and inheritable. */
uint64_t iso_caps_ungrantable(const struct iso_caps *caps, bool in_userns);

struct iso_rlimit {
	int resource;        /* RLIMIT_* */
	uint64_t soft, hard; /* RLIM_INFINITY is UINT64_MAX */
};
int iso_rlimit_parse(const char *oci_name, int *ret); /* "RLIMIT_NOFILE" */
const char *iso_rlimit_name(int resource);

struct iso_user {
	uint32_t uid, gid;
	uint32_t *additional_gids; /* owned */
	size_t n_additional_gids;
	uint32_t umask;
	bool has_umask;
};

struct iso_process {
	char **args; /* owned strv; at least one for the first process */
	char **env;
	char *cwd; /* absolute, in the sandbox */
	struct iso_user user;
	struct iso_caps caps;
	struct iso_rlimit *rlimits;
	size_t n_rlimits;
	bool terminal;
	uint16_t rows, cols; /* 0: leave */
	bool no_new_privileges;
	int32_t oom_score_adj;
	bool has_oom_score_adj;
	char *apparmor_profile;
	char *selinux_label;
	struct iso_scheduler scheduler;
	struct iso_io_priority io_priority;
	char *cpus_initial,
		*cpus_final; /* of an exec'd process: lists of CPUs before and in the container's group, or NULL */
};

void iso_process_done(struct iso_process *p);

/* Resolve "user", "user:group", "uid:gid", ... against /etc/passwd and /etc/group *inside* rootfd
 * (read with O_NOFOLLOW and O_NONBLOCK, regular files only, at most 1 MiB, uids below 2^32-1).
 * Fills user and, if ret_home is not NULL, the home directory ("/" when unknown; caller frees). "",
 * ":", "1:", ":1" are errors. Needs no passwd file for numeric ids. */
int iso_user_resolve(int rootfd, const char *spec, struct iso_user *user, char **ret_home,
		     struct err *e);
/* The same with the texts of the two files, either of which may be NULL (there is none): for a root file system that is
 * no directory. */
int iso_user_resolve_text(const char *passwd, const char *group, const char *spec,
			  struct iso_user *user, char **ret_home, struct err *e);
