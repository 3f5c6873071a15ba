/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces and id maps.
 * Spec: OCI runtime-spec config-linux.md "Namespaces", "User namespace mappings"; namespaces(7).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum iso_ns {
	ISO_NS_USER,
	ISO_NS_MOUNT,
	ISO_NS_PID,
	ISO_NS_NETWORK,
	ISO_NS_IPC,
	ISO_NS_UTS,
	ISO_NS_CGROUP,
	ISO_NS_TIME,
	ISO_NS_COUNT,
};

enum iso_ns_mode {
	ISO_NS_INHERIT, /* the caller's */
	ISO_NS_NEW,
	ISO_NS_JOIN, /* that of `path` */
};

struct iso_namespace {
	enum iso_ns_mode mode;
	char *path; /* owned; only for ISO_NS_JOIN */
};

struct iso_id_map {
	uint32_t inside, outside, count;
};

struct iso_id_maps {
	struct iso_id_map *v; /* owned */
	size_t n;
};

/* Static facts: OCI name ("pid", "network", "mount", ...), CLONE_NEW* flag, name under
 * /proc/PID/ns. */
struct iso_ns_info {
	const char *oci_name;
	uint64_t clone_flag;
	const char *proc_name;
};
extern const struct iso_ns_info iso_ns_table[ISO_NS_COUNT];

/* OCI name to namespace. 0 or -EINVAL. */
int iso_ns_parse(const char *oci_name, enum iso_ns *ret);

/* Open the namespace that a configuration names by path; checked to be one, and of that kind. Returns an fd or -errno. */
int iso_ns_open_path(enum iso_ns ns, const char *path, struct err *e);
/* Open /proc/PID/ns/NAME. Returns an fd or -errno. */
int iso_ns_open(pid_t pid, enum iso_ns ns, struct err *e);

/* Maps are checked for overlap and overflow before they are written. */
int iso_id_maps_check(const struct iso_id_maps *maps, const char *what, struct err *e);
int iso_id_maps_write(pid_t pid, const struct iso_id_maps *uid, const struct iso_id_maps *gid,
		      struct err *e);

/* Outside id of an inside one: 0, or -ERANGE if it is not mapped. No maps: identity. */
int iso_id_to_host(const struct iso_id_maps *maps, uint32_t inside, uint32_t *ret);
