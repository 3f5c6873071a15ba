/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: references, the store, what an image says about the command in it.
 *
 * An image is a list of layers and a configuration. The store keeps both; a layer is unpacked once, into an EROFS image where
 * those can be mounted and a directory elsewhere, by a worker process without privileges (insula-layer) that this folder asks the
 * caller for, because it knows no namespaces. Everything that comes from an archive is hostile until its digest was checked, and its
 * contents still are afterwards.
 *
 * Spec: OCI image-spec 1.1 (image-layout.md, manifest.md, config.md, layer.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"

/* ---- references ------------------------------------------------------------------------- */

enum img_transport {
	IMG_STORED, /* a name in the store: "debian", "debian:12", "host/name:tag@sha256:…", or an id */
	IMG_OCI_LAYOUT,     /* oci:DIR[:TAG] */
	IMG_OCI_ARCHIVE,    /* oci-archive:FILE[:TAG] */
	IMG_DOCKER_ARCHIVE, /* docker-archive:FILE[:NAME[:TAG]] */
	IMG_ARCHIVE, /* either kind of archive, told by what is in it; img_load() only, never parsed */
};

struct img_reference {
	enum img_transport transport;
	char *path; /* owned; of the archive or layout; NULL for a stored one */
	char *name; /* owned; stored: normalised "docker.io/library/debian", archives: the name asked for, or NULL */
	char *tag;        /* owned; or NULL */
	char *digest;     /* owned; "sha256:…", or NULL */
	bool unqualified; /* stored: no host was written; `name` has docker.io */
};

/* Names as docker and podman take them. ERR_INVALID says what is wrong with it. */
int img_reference_parse(const char *text, struct img_reference *ret, struct err *e);
void img_reference_done(struct img_reference *r);
/* As people write it: "debian:12", without what is implied. Caller frees. */
int img_reference_text(const struct img_reference *r, char **ret);

/* ---- what an image says ------------------------------------------------------------------ */

/* Spec: image-spec config.md "Properties". All owned; NULL where the image is silent. */
struct img_config {
	char **env, **entrypoint, **cmd; /* strv */
	char *user, *workdir, *stop_signal;
	char **volumes, **exposed_ports; /* strv of their names */
	char **labels;                   /* strv "NAME=VALUE" */
	char *os, *architecture, *variant, *created, *author;
	char **diff_ids; /* strv "sha256:…", lowest layer first */
};
void img_config_done(struct img_config *c);

struct img_image {
	char *name;   /* owned; for people */
	char *id;     /* owned; hex digest of the configuration */
	char *digest; /* owned; "sha256:…" of the manifest, or NULL (docker archives) */
	struct img_config config;
	char **layers; /* strv of directories and of files with EROFS images, topmost first */
	uint64_t size_bytes;
};
void img_image_done(struct img_image *i);

/* ---- the store --------------------------------------------------------------------------- */

struct img_store;

/* Start insula-layer with `args` (args[0] is "insula-layer"), its descriptors 3, 4, … being fds[0], fds[1], …; among the ids of
 * the store's owner (a user namespace), with nothing else to reach. *ret_pid is a child of the caller. */
/* modes and descriptors: images/worker.h */
typedef int (*img_worker_fn)(void *arg, char *const *args, const int *fds, size_t n_fds,
			     pid_t *ret_pid, struct err *e);

/* Mount the EROFS image in a regular file, read-only: a descriptor of its root, which keeps the mount. */
typedef int (*img_mount_fn)(int image_fd, struct err *e);

struct img_store_params {
	const char *path; /* absolute; made 0700 when missing */
	/* What the ids of extracted files are relative to: names the set of layer directories, since files extracted
	 * for one map of ids are of no use to another: "0" for root, a digest of the map otherwise. Letters and digits. */
	const char *ids;
	img_worker_fn worker;
	img_worker_fn
		fetch;    /* the same for insula-fetch (images/fetch.h); NULL: nothing is pulled */
	void *worker_arg; /* of both */
	/* NULL: layers are directories. Else they are EROFS images, if it turns out that one in the store can be mounted. */
	img_mount_fn mount;
	const struct log_sink *log;
};
int img_store_open(const struct img_store_params *p, struct img_store **ret, struct err *e);
void img_store_close(struct img_store *s); /* NULL-safe */

/* Progress of what takes time; may be NULL. Called from the calling thread. total 0: unknown. */
struct img_progress {
	void (*layer)(void *arg, const char *digest, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Make an image usable: find it, verify it, extract the layers that are not there yet. ERR_NOT_FOUND with what is there. */
int img_image_open(struct img_store *s, const struct img_reference *r, const struct img_progress *p,
		   struct img_image *ret, struct err *e);

/* A root file system's tar (plain, gzip, zstd; "-" is standard input), or a directory, as an image of one layer called
 * `name`. `config` may be NULL. *ret_id: caller frees. */
int img_import(struct img_store *s, const char *path, const char *name,
	       const struct img_config *config, const struct img_progress *p, char **ret_id,
	       struct err *e);

/* Keep an archive's or layout's image under the names that it has there; without any it is known by its id alone.
 * *ret_names: strv of them, or of the id; the caller frees it. */
int img_load(struct img_store *s, const struct img_reference *from, const struct img_progress *p,
	     char ***ret_names, struct err *e);

struct img_pull_params {
	const char *platform; /* "linux/amd64[/v1]", "amd64"; NULL: this host's best */
	/* Certificates are not verified, and plain http will do. Without it they are, and only this host itself (localhost,
	 * 127.0.0.0/8, ::1) may speak plain http. */
	bool any_tls;
	uint32_t stall_sec;   /* give up when nothing comes for so long; 0: 30 */
	const char *authfile; /* credentials are in this file and nowhere else; or NULL */
	/* Where configuration and credentials are looked for: HOME, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, REGISTRY_AUTH_FILE,
	 * CONTAINERS_REGISTRIES_CONF, DOCKER_CONFIG, SSL_CERT_FILE, PATH. */
	char *const *env;
};

/* A name without a host that registries.conf gives another meaning than docker.io's: r gets the full name that is in the
 * store, or the only one that it may mean; else it stays as it is. */
int img_reference_qualify(struct img_store *s, struct img_reference *r, char *const *env,
			  struct err *e);

/* Have an image (a name, IMG_STORED) as its registry has it now: what is not in the store is fetched and unpacked, and
 * the name leads to it from then on. *ret_id: caller frees. Nothing is kept of a pull that fails but whole layers. */
int img_pull(struct img_store *s, const struct img_reference *r, const struct img_pull_params *how,
	     const struct img_progress *p, char **ret_id, struct err *e);

/* Have a registry have a stored image under `to`, a name with or without a tag: with the manifest and the layers it came with, where the store
 * has all of them as they came, else with a new manifest over the same configuration and layers. Layers that are there, or in
 * another repository of that registry under which we know the image, are not sent. *ret_digest: of the manifest; caller frees. */
int img_push(struct img_store *s, const struct img_reference *image, const struct img_reference *to,
	     const struct img_pull_params *how, const struct img_progress *p, char **ret_digest,
	     struct err *e);

/* Write stored images to fd as a tar, IMG_DOCKER_ARCHIVE or IMG_OCI_ARCHIVE, or to `directory`, which is made or empty, as
 * IMG_OCI_LAYOUT (fd is not used then). OCI's forms have the layers as they came and, where it is one of OCI's, the manifest. */
int img_save(struct img_store *s, const struct img_reference *images, size_t n,
	     enum img_transport form, int fd, const char *directory, const struct img_progress *p,
	     struct err *e);

/* One more name for a stored image. */
int img_tag(struct img_store *s, const struct img_reference *image, const char *name,
	    struct err *e);

struct img_entry {
	char *name, *tag; /* as people write them; NULL for an image without a name */
	char *id;
	int64_t created_unix_sec;
	uint64_t size_bytes;
};
int img_list(struct img_store *s, struct img_entry **ret, size_t *ret_n, struct err *e);
void img_list_free(struct img_entry *v, size_t n);

/* Remove a name; the image with it when it was the last, and layers that no image and no sandbox uses. in_use: strv of image
 * ids that sandboxes use; refused with ERR_STATE. */
int img_remove(struct img_store *s, const struct img_reference *r, char *const *in_use,
	       struct err *e);
