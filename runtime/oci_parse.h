/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of the parts of an OCI configuration, one file each, in the form that a table of `struct
 * json_field` takes: cursor, target, error. Internal to this folder; runtime/oci.h is the way in.
 */
#pragma once

#include "base/json.h"
#include "runtime/oci.h"

/* "throwaway" or "directory": how root.path is used, see isolate/rootfs.h. `insula run --rootfs /`
 * asks for the former. */
#define ANNOTATION_ROOTFS "org.insula.rootfs"
/* "layers": an overlay over directories of the image store. Only in documents that `insula run` made: whoever may annotate an
 * engine's container must not choose directories of the host. */
#define ANNOTATION_LAYERS    "org.insula.rootfs.layers" /* JSON array of directories, topmost first */
#define ANNOTATION_UPPER     "org.insula.rootfs.upper"     /* directory with diff and work */
#define ANNOTATION_EPHEMERAL "org.insula.rootfs.ephemeral" /* "true": upper goes with the sandbox */

/* oci_rootfs.c: what the annotations say of the root file system. */
int oci_read_rootfs_kind(const struct oci_config *c, struct iso_rootfs *rootfs, struct err *e);
/* Refuse, in a bundle, what only documents of our own may say. */
int oci_check_bundle_annotations(const struct oci_config *c, struct err *e);

int oci_read_process(const struct json_at *at, void *process, struct err *e);
int oci_read_vm(const struct json_at *at, void *vm, struct err *e); /* oci_vm */
void oci_vm_done(struct oci_vm *vm);
int oci_read_hooks(const struct json_at *at, void *hooks, struct err *e);      /* hooks[] */
int oci_read_linux(const struct json_at *at, void *config, struct err *e);     /* oci_config */
int oci_read_resources(const struct json_at *at, void *limits, struct err *e); /* cg_limits */
/* Without a look at combinations: of an update, which may need what holds already. */
int oci_read_resources_unchecked(const struct json_at *at, void *limits, struct err *e);
/* Members of resources; target: cg_limits. */
int oci_read_block_io(const struct json_at *at, void *limits, struct err *e);
int oci_read_page_limits(const struct json_at *at, void *limits, struct err *e);
int oci_read_rdma(const struct json_at *at, void *limits, struct err *e);
int oci_read_network_limits(const struct json_at *at, void *limits, struct err *e);
int oci_read_seccomp(const struct json_at *at, void *seccomp, struct err *e);   /* iso_seccomp */
int oci_read_mounts(const struct json_at *at, void *isolation, struct err *e);  /* iso_config */
int oci_read_devices(const struct json_at *at, void *isolation, struct err *e); /* iso_config */
int oci_read_namespaces(const struct json_at *at, void *ns_table, struct err *e);
/* oci_scheduling.c: members of process; targets: iso_scheduler, iso_io_priority, iso_process. */
int oci_read_scheduler(const struct json_at *at, void *scheduler, struct err *e);
int oci_read_io_priority(const struct json_at *at, void *priority, struct err *e);
int oci_read_cpu_affinity(const struct json_at *at, void *process, struct err *e);
struct json *oci_scheduler_to_json(const struct iso_scheduler *s);
struct json *oci_io_priority_to_json(const struct iso_io_priority *p);
/* … and of linux; targets: iso_config, iso_memory_policy. */
int oci_read_net_devices(const struct json_at *at, void *isolation, struct err *e);
int oci_read_personality(const struct json_at *at, void *isolation, struct err *e);
int oci_read_time_offsets(const struct json_at *at, void *isolation, struct err *e);
int oci_read_memory_policy(const struct json_at *at, void *policy, struct err *e);

int oci_read_id_maps(const struct json_at *at, void *maps, struct err *e); /* iso_id_maps */

/* A string that is an absolute path, and one that is not empty. Targets: char *. */
int oci_read_absolute_path(const struct json_at *at, void *target, struct err *e);
/* "" is absence, as engines send it: the target stays NULL. */
int oci_read_string_or_none(const struct json_at *at, void *target, struct err *e);
int oci_read_word(const struct json_at *at, void *target, struct err *e);
/* At most 64 bytes, the kernel's limit; "" is absence. Target: char *. */
int oci_read_hostname(const struct json_at *at, void *target, struct err *e);
/* An array of absolute paths. Target: char **. */
int oci_read_absolute_paths(const struct json_at *at, void *target, struct err *e);
/* A user or group id: 2^32-1 is no id, since setuid(2) and chown(2) take it for "leave". */
int oci_read_id(const struct json_at *at, void *target, struct err *e);

/* Every member of an object of strings: `take` gets key and value; both are borrowed. */
int oci_read_string_map(const struct json_at *at,
			int (*take)(const struct json_at *at, const char *key, const char *value,
				    void *target, struct err *e),
			void *target, struct err *e);

/* An array of words, each of which `parse` turns into bits of *flags; `what` names one in an error. */
int oci_read_flags(const struct json_at *at, int (*parse)(const char *word, uint32_t *ret),
		   const char *what, uint32_t *flags, struct err *e);

/* "0-3,7": what cpuset files take. Target: char *. */
int oci_read_cpu_list(const struct json_at *at, void *target, struct err *e);
