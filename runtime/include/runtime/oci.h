/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI configuration as parsed: one schema, whose parts are the input types of the leaves.
 * Spec: OCI runtime-spec 1.3 config.md, config-linux.md, config-vm.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "cgroups/limits.h"
#include "isolate/sandbox.h"

#define OCI_VERSION \
	"1.3.0" /* the version that `spec` writes and `features` names as ours at most; 1.0.0 is \
		   the least */

enum oci_hook_kind {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
	OCI_HOOK_KIND_COUNT,
};

struct oci_hook {
	char *path;
	char **args, **env;
	int32_t timeout_sec;
	bool has_timeout;
};

struct oci_hooks {
	struct oci_hook *v;
	size_t n;
};

/* A full guest system: the disk that it boots from, and a kernel if that does not bring one. */
struct oci_vm {
	char *image_path, *image_format; /* path NULL: there is none */
	char *kernel_path, *initrd;
	char **kernel_parameters;
};

struct oci_config {
	char *version;
	struct iso_config isolation; /* root, mounts, hostname, linux.* but resources */
	struct iso_process process;
	bool has_process;
	struct cg_limits limits; /* linux.resources */
	struct oci_vm vm;        /* with an image there is no root */
	char *cgroups_path;
	struct oci_hooks hooks[OCI_HOOK_KIND_COUNT];
	char **annotations;    /* strv of "key=value", in document order */
	struct json *document; /* the whole, as it came: for the guest, for state, for engines */
};

void oci_config_done(struct oci_config *c);

/* Read a document into *ret. Checks types, ranges, the version, required members; not what a driver
 * can do (that is driver_check()). `bundle` resolves root.path and relative mount sources; document
 * is taken over only on success. */
int oci_config_read(struct json *document, const char *bundle, struct oci_config *ret,
		    struct err *e);

/* BUNDLE/config.json. */
int oci_config_load(const char *bundle, struct oci_config *ret, struct err *e);

/* A process object alone (exec --process FILE). */
int oci_process_read(const struct json_at *at, struct iso_process *ret, struct err *e);
/* The JSON of a process, for a guest. NULL when out of memory. */
struct json *oci_process_to_json(const struct iso_process *p);

/* The names in process.capabilities that the running kernel does not know, each with a blank before it, for a warning.
 * *ret stays NULL when there are none; the caller frees. -ENOMEM. */
int oci_unknown_capabilities(const struct oci_config *c, char **ret);

const char *oci_annotation(const struct oci_config *c, const char *key); /* borrowed or NULL */
const char *oci_hook_name(enum oci_hook_kind k);                         /* "createRuntime" */

/* The document that `insula-oci spec` prints: an ordinary container with a shell on a terminal. */
struct json *oci_spec_default(void);
/* … by an ordinary user: a user namespace in which `uid` and `gid` of the host are root, the host's network and /sys, no
 * resources. */
struct json *oci_spec_rootless(uint32_t uid, uint32_t gid);
