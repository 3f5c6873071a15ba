/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the document of `insula run`; internal to run_*.c.
 */
#pragma once

#include "base/json.h"
#include "images/rootfs.h"
#include "isolate/process.h"
#include "runtime/runtime.h"
#include "vio/network.h"

/* A mount that was asked for, checked, on its way into the document. All owned. */
struct run_mount {
	char *destination; /* normalised */
	char *type, *source;
	char **options; /* strv */
};

struct run_mounts {
	struct run_mount *v;
	size_t n;
	size_t n_anonymous; /* volumes of the sandbox's own, so far */
};

/* --network, --pid, --ipc, --uts: whose a namespace is. */
enum run_whose {
	RUN_OWN,
	RUN_HOSTS,
	RUN_SANDBOXS, /* another sandbox's */
};

struct run_namespace {
	enum run_whose whose;
	char *path; /* owned; of another sandbox's */
};

struct run_namespaces {
	struct run_namespace network, pid, ipc, uts;
	bool no_shm;           /* --ipc none */
	char *peer_id;         /* owned; whose network it is, or NULL */
	char *peer_hostname;   /* owned */
	char *peer_domainname; /* owned */
};

enum run_seccomp { RUN_SECCOMP_DEFAULT, RUN_SECCOMP_UNCONFINED, RUN_SECCOMP_FILE };

/* --security-opt, taken apart. */
struct run_security {
	enum run_seccomp seccomp;
	struct json *profile; /* owned; the file's, as linux.seccomp */
	bool has_no_new_privileges, no_new_privileges;
	char *apparmor;            /* owned */
	char **masked, **unmasked; /* owned strv; "ALL" alone unmasks everything */
	bool writable_cgroups;
	uint64_t caps;       /* what its root has */
	uint64_t added_caps; /* those asked for by name, which another user gets, too */
};

/* What the parts are made from. */
struct run_build {
	struct rt_ctx *ctx; /* NULL in tests */
	const struct rt_run_request *request;
	const char *id;
	struct img_rootfs rootfs;
	struct iso_user user;
	char *home;
	struct run_namespaces ns;
	struct run_security security;
	struct run_mounts mounts; /* of the caller and the image, in their order */
	char *hostname;           /* owned; of the sandbox; the host's with --uts host */
	int userns;               /* enum run_userns_mode */
	const char *init;         /* path of the init program in the sandbox, or NULL */
};

/* Constant JSON text; NULL without memory. */
struct json *run_fixed(const char *text);

/* ---- the parts, in the order in which they need each other ------------------------------- */

int run_namespaces_take(struct rt_ctx *ctx, const struct rt_run_request *r,
			struct run_namespaces *ret, struct err *e);
void run_namespaces_done(struct run_namespaces *ns);
struct json *run_namespaces_json(const struct run_namespaces *ns); /* NULL without memory */

int run_security_take(const struct rt_run_request *r, struct run_security *ret, struct err *e);
void run_security_done(struct run_security *s);
/* linux.seccomp, maskedPaths, readonlyPaths; `masked` (an array: what else is hidden) is taken over. */
int run_security_add(struct json *document, const struct run_build *b, struct json *masked,
		     struct err *e);

/* --cap-add, --cap-drop, --privileged. */
int run_caps_take(const struct rt_run_request *r, uint64_t *ret_caps, uint64_t *ret_added,
		  struct err *e);

/* A seccomp profile as docker and podman write it, or linux.seccomp as it is, for these capabilities. */
int run_seccomp_file(const char *path, uint64_t caps, struct json **ret, struct err *e);

/* -v, --mount, --tmpfs and the image's volumes. */
int run_mounts_take(const struct rt_run_request *r, struct run_mounts *ret, struct err *e);
void run_mounts_done(struct run_mounts *m);
/* options: comma separated. Refuses a destination that is no absolute path, the root, or taken. */
int run_mounts_push(struct run_mounts *m, const char *destination, const char *type,
		    const char *source, const char *options, struct err *e);
/* A directory of the sandbox's own, filled with what the root has there. */
int run_mounts_push_anonymous(struct run_mounts *m, const struct rt_run_request *r,
			      const char *destination, const char *options, struct err *e);
/* Is there a mount on `path`, or above it? */
bool run_mounts_cover(const struct run_mounts *m, const char *path);
int run_take_volume(struct run_mounts *m, const struct rt_run_request *r, const struct rt_volume *v,
		    struct err *e);
int run_take_mount_flag(struct run_mounts *m, const struct rt_run_request *r, const char *flag,
			struct err *e);
int run_take_tmpfs(struct run_mounts *m, const char *flag, struct err *e);
/* Docker makes a missing source, and leaves a directory of root's where a typing error was. */
int run_check_source(const char *source, struct err *e);
/* The words of a bind, of -v and --mount alike, appended to options. */
int run_bind_word(struct strbuf *options, const char *word, struct err *e);
/* The document's `mounts`, whole; hiding what must not be seen of a host's root appends to `masked`. */
int run_mounts_json(const struct run_build *b, struct json *masked, struct json **ret,
		    struct err *e);

/* /etc/hostname, /etc/hosts and /etc/resolv.conf: mounts in the document, texts in the files. */
int run_network_mounts(const struct run_build *b, struct json *mounts, struct err *e);
int run_network_texts(const struct run_build *b, struct rt_file **v, size_t *n, struct err *e);

/* run_throwaway.c: where the changes in throwaway layers go. The directory that takes them, if it is one, made with the other
 * files; and the last pass on the document's mounts, which names it. */
int run_throwaway_directory(const struct run_build *b, struct rt_file **v, size_t *n,
			    struct err *e);
int run_throwaway_add(const struct run_build *b, struct json *document, struct err *e);
/* Could a directory that is to be made at `path` hold such layers better than an old tmpfs? */
bool run_can_hold_throwaway(const char *path);

/* The init program of --init: its place in the sandbox, and its mount. */
const char *run_init_place(const struct run_mounts *m);
int run_init_mount(const struct run_build *b, struct json *mounts, struct err *e);

int run_process_add(struct json *document, const struct run_build *b, struct err *e);
/* What an image says, or NULL. */
const struct img_config *run_image_config(const struct rt_run_request *r);
/* The command: entrypoint and arguments of flags and image. *ret: fresh strv. */
int run_command(const struct rt_run_request *r, char ***ret, struct err *e);
int run_rlimits(const struct rt_run_request *r, struct iso_rlimit **ret, size_t *ret_n,
		struct err *e);

/* linux.resources, .devices */
int run_resources_json(const struct rt_run_request *r, struct json **ret, struct err *e);
/* Adds to `mounts`, an array, what a user namespace can only have as a mount. */
int run_devices_add(struct json *l, struct json *resources, struct json *mounts,
		    const struct run_build *b, struct err *e);
int run_sysctls_add(struct json *l, const struct rt_run_request *r, struct err *e);

/* ---- shared ------------------------------------------------------------------------------ */

/* {destination, type, source, options} appended to the array `mounts`; options is a comma separated
 * list. 0 or -ENOMEM. */
int run_add_mount(struct json *mounts, const char *destination, const char *type,
		  const char *source, const char *options);

/* A file that the sandbox binds, appended to v. text is taken over. */
int run_file_push(struct rt_file **v, size_t *n, const char *path, char *text, mode_t mode,
		  struct err *e);

/* The host's own root is the root file system (`rootfd` is it): give what must be fresh, hide what
 * must not be seen. Appends to the arrays `mounts` and `masked_paths`; volumes of the request win. */
int run_hide_host(struct json *mounts, struct json *masked_paths, int rootfd,
		  const struct rt_run_request *r, const struct iso_user *user, const char *home,
		  struct err *e);

/* Homes of people (in the root's passwd file) outside of /home, normalised; a directory that the system needs is
 * none. *ret is a fresh strv. */
int run_host_homes(int rootfd, char ***ret, struct err *e);
