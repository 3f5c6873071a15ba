/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters: the configuration's rules, compiled by libseccomp to a BPF program that is
 * installed by a plain seccomp(2) call. Compiling happens in the creator, never in the child.
 * Spec: OCI runtime-spec config-linux.md "Seccomp"; seccomp(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct iso_seccomp_arg {
	uint32_t index; /* 0..5 */
	uint64_t value, value_two;
	int op; /* enum scmp_compare, as iso_seccomp_op_parse() gives it */
};

struct iso_seccomp_rule {
	char **names;    /* owned strv */
	uint32_t action; /* SCMP_ACT_* with errno in it */
	uint32_t errno_ret;
	bool has_errno_ret;
	struct iso_seccomp_arg *args; /* owned */
	size_t n_args;
};

struct iso_seccomp {
	bool present;
	uint32_t default_action;
	uint32_t default_errno_ret;
	bool has_default_errno_ret;
	uint32_t *arches; /* SCMP_ARCH_*, owned */
	size_t n_arches;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
	char *listener_path, *listener_metadata;
	struct iso_seccomp_rule *rules; /* owned */
	size_t n_rules;
};

/* A compiled program: array of struct sock_filter. */
struct iso_bpf {
	void *insns; /* owned */
	uint16_t n;
	uint32_t flags;
	bool wants_notify;
};

void iso_seccomp_done(struct iso_seccomp *s);
void iso_bpf_done(struct iso_bpf *b);

/* OCI words. -EINVAL for unknown ones. */
int iso_seccomp_action_parse(const char *oci_name, uint32_t *ret);
int iso_seccomp_op_parse(const char *oci_name, int *ret);
int iso_seccomp_arch_parse(const char *oci_name, uint32_t *ret);
int iso_seccomp_flag_parse(const char *oci_name, uint32_t *ret);
/* NULL-terminated lists for `features`. Static. */
const char *const *iso_seccomp_action_names(void);
const char *const *iso_seccomp_op_names(void);
const char *const *iso_seccomp_arch_names(void);
const char *const *iso_seccomp_flag_names(void);

/* Compile. Names unknown to libseccomp are skipped (as runc and crun do: profiles are written for
 * newer kernels), everything else is an error that names the rule. So are two rules for one call that
 * libseccomp cannot join (ERR_UNSUPPORTED). An absent filter gives n = 0. */
int iso_seccomp_compile(const struct iso_seccomp *s, struct iso_bpf *ret, struct err *e);

/* The same through a cache of compiled programs: cache_dirfd is an open directory of the caller's own,
 * mode 0700, which holds nothing else. One that others could write to (or -1) is not used, and no
 * trouble with the cache is an error. */
int iso_seccomp_compile_cached(const struct iso_seccomp *s, int cache_dirfd, struct iso_bpf *ret,
			       struct err *e);

/* Install in the calling thread. *ret_notify_fd (may be NULL) is the listener or -1.
 * Async-signal-safe. Returns 0 or -errno. */
int iso_seccomp_install(const struct iso_bpf *b, int *ret_notify_fd);
