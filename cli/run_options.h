/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of `insula run`, and how they become a request. Internal to cli/. */
#pragma once

#include "images/image.h"
#include "options.h"
#include "runtime/runtime.h"

/* Filled by the option table. Lists are owned, strings borrowed from argv. */
struct run_opts {
	/* what runs */
	const char *rootfs, *entrypoint, *workdir, *user, *platform, *pull, *engine, *vcpus;
	char **env, **env_files, **groups;
	bool vm, interactive, tty, detach, init, env_host, quiet;
	bool tls_verify;  /* of a registry that is pulled from; true unless it was said otherwise */
	bool only_create; /* no flag: insula create */
	/* a disk: run_system.h */
	const char *format, *boot, *kernel, *initrd, *append, *cloud_init, *detach_keys;
	char **disks;
	bool persist;
	int64_t root_partition;
	/* what it sees */
	const char *hostname, *domainname, *network;
	char **volumes, **mounts, **tmpfs, **devices, **device_rules;
	char **hosts, **dns, **dns_search, **dns_options;
	bool read_only, no_hosts;
	int64_t shm_bytes;
	/* what it may */
	const char *userns, *ipc, *pid, *uts;
	char **cap_add, **cap_drop, **security, **sysctls;
	bool privileged;
	/* how much */
	const char *cpuset_cpus, *cpuset_mems;
	char **ulimits;
	int64_t memory, memory_swap, memory_reservation, pids, oom_score_adj;
	int64_t cpus, cpu_shares, cpu_weight, cpu_quota, cpu_period;
	/* its life */
	const char *name, *cidfile, *stop_signal, *log_driver;
	char **labels, **label_files, **annotations, **log_opts;
	int64_t stop_timeout;
	bool remove, replace, explain;
};

/* What the request borrows from and must be freed. */
struct run_parts {
	char **env, **labels, **annotations;
	struct rt_volume *volumes;
	size_t n_volumes;
	char *network, *ipc, *pid; /* with the whole id of a sandbox that was named */
};

/* Nothing asked for. */
void run_opts_init(struct run_opts *o);
void run_opts_done(struct run_opts *o);
/* What can be judged by the flags alone. */
int run_opts_check(const struct run_opts *o, int argc, int first, struct err *e);

/* Looks up the sandboxes whose namespaces are to be shared. */
int run_parts_take(const struct rt_ctx *ctx, const struct run_opts *o, struct run_parts *p,
		   struct err *e);
void run_parts_done(struct run_parts *p);
/* r borrows from all of them. */
void run_request_fill(const struct run_opts *o, const struct run_parts *p, char **args,
		      struct rt_run_request *r);

/* A flag behind the image, where an image without an entrypoint would run it as a command. */
int run_check_misplaced(const struct run_opts *o, const struct img_image *image, char *const *args,
			struct err *e);

/* --platform against what there is to run; image NULL: a directory, which is the host's. */
int run_check_platform(const char *platform, const struct img_image *image, struct err *e);
