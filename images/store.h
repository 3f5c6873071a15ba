/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store on disk, for the files of this folder.
 *
 *	STORE/				0700
 *	  .lock				shared while layers and images are added, exclusive while unused ones are swept
 *	  layers/IDS/HEX/diff/		a layer, extracted; HEX are the digits of its DiffID
 *	  layers/erofs1/HEX/layer.erofs	the same as an EROFS image, of the first version of our writer; whoever's the ids are
 *	  layers/SET/HEX/layer.json	its size, and which blob it was unpacked from (SET: IDS or erofs1)
 *	  layers/SET/.tmp-HEX/		one that is being unpacked, or was when its process died
 *	  layers/SET/.lock-HEX		held by that process and its worker
 *	  images/ID/			config.json and manifest.json as they came; image.json, written last, makes it an image.
 *					flock: shared while it is used or written, exclusive while it is removed
 *	  blobs/HEX			what a layer was extracted from, as it came; HEX are the digits of its digest
 *	  blobs/.part-HEX		one that did not come whole, or is coming: then it is locked
 *	  names/HEX			{"name", "tag", "id"}; HEX digests name and tag
 *	  archives/HEX			which image an archive or layout had, and the identity of the file that said so
 *	  sandboxes/			of the runtime
 *
 * A name appears by one rename, last; so whatever is killed when, what is found is whole. A lock that can be taken
 * belongs to nobody alive: what it protected is removed.
 */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "digest.h"
#include "images/image.h"

#define STORE_SMALL_FILE_MAX (256u << 10) /* of ours */

struct img_store {
	char *path, *ids;
	int fd;     /* STORE */
	int layers; /* STORE/layers/IDS: directories */
	int erofs; /* STORE/layers/erofs1: EROFS images; -1: they cannot be mounted by this caller */
	img_mount_fn mount;
	enum { EROFS_UNKNOWN, EROFS_WORKS, EROFS_FAILS } erofs_state;
	int images, names, archives, blobs;
	int adding;  /* .lock, held shared; -1: not */
	int *in_use; /* images opened: descriptors that hold their locks */
	size_t n_in_use;
	img_worker_fn worker, fetch;
	void *worker_arg;
	struct log_sink log;
};

/* ---- store.c ---------------------------------------------------------------------------------- */

/* Before anything is added, and when all is there that names it. Sweeps what the dead left. */
int store_begin_adding(struct img_store *s, struct err *e);
void store_end_adding(struct img_store *s);
/* Nobody adds now, and nobody begins to until the descriptor is closed; -EWOULDBLOCK without an error text. */
int store_lock_all(struct img_store *s, struct err *e);

/* flock(2), EINTR retried. -EWOULDBLOCK (no error text) with LOCK_NB. */
int store_flock(int fd, int operation, struct err *e);

/* Open or make lock file `name`, lock it exclusively, and see that it still is the file of that name. With
 * `wait` false -EWOULDBLOCK without an error text when somebody has it. Returns the descriptor. */
int store_lock_file(int dirfd, const char *name, bool wait, struct err *e);
/* The other way: the file is removed while it is held. */
void store_unlock_file(int dirfd, const char *name, int fd);

/* Remove a tree of any owner among the store's ids, by the worker where we may not. */
int store_remove_tree(struct img_store *s, int dirfd, const char *name, struct err *e);

/* The names in a directory that begin with `prefix` (strv, sorted). */
int store_read_dir(int dirfd, const char *prefix, char ***ret, struct err *e);

/* ---- store_erofs.c ------------------------------------------------------------------------------ */

#define STORE_EROFS_SET "erofs1" /* a writer whose images differ gets another name */

/* Can an EROFS image that lies in this store be mounted? Tried once, with a small one. */
bool store_erofs_works(struct img_store *s);

/* ---- store_layer.c ------------------------------------------------------------------------------ */

/* Bytes of a layer (or of any file in an archive). */
struct blob {
	int fd;        /* borrowed */
	bool seekable; /* read with pread() at offset */
	uint64_t offset;
	uint64_t size_bytes; /* UINT64_MAX: until the end */
	const char *digest;  /* of these bytes, or NULL: unknown */
	/* Where they come from in the place of fd: at least one byte, or *ret_len 0 at the end. Or NULL. */
	int (*read)(void *arg, void *buf, size_t len, size_t *ret_len, struct err *e);
	/* Begin behind so many bytes, fewer than there are; before the first read. NULL: it always begins at its start. */
	int (*skip)(void *arg, uint64_t bytes, struct err *e);
	void *arg;
};
/* What comes behind `done` bytes; *ret_len 0 at the end. */
int blob_read(const struct blob *from, uint64_t done, void *buf, size_t len, size_t *ret_len,
	      struct err *e);

/* ---- store_blob.c --------------------------------------------------------------------------------- */

struct kept_blob {
	char digest[DIGEST_MAX]; /* "": none */
	uint64_t size_bytes;
};

/* Keeping a blob while it is read. */
struct keeping {
	struct img_store *store;
	const struct blob *from;
	char part[DIGEST_HEX_LEN + 16];
	int fd;            /* of the part, locked; -1: not begun */
	uint64_t have, at; /* bytes of an earlier process; bytes that were read */
	bool begun, broken;
	struct digest hash; /* where from->digest is NULL */
};
/* *ret reads `from` and keeps what it reads. */
int keep_begin(struct img_store *s, const struct blob *from, struct keeping *k, struct blob *ret,
	       struct err *e);
/* All of it was read, and verified: give it its name. */
int keep_publish(struct keeping *k, struct kept_blob *ret, struct err *e);
/* After keep_begin() in every case. */
void keep_done(struct keeping *k);

/* Returns the descriptor of a kept blob. */
int blob_open(const struct img_store *s, const char *digest, uint64_t *ret_size, struct err *e);
/* Remove those that are not in `used` (strv of digests), and parts that are old, or all parts. The caller holds .lock exclusively. */
void blob_sweep_unused(struct img_store *s, char *const *used, bool parts);

/* Have the layer in the store; extract it if it is not. diff_id NULL: whatever it is (*ret_diff_id, caller frees). */
int layer_add(struct img_store *s, const char *diff_id, const struct blob *from,
	      const struct img_progress *p, char **ret_diff_id, struct err *e);
bool layer_exists(struct img_store *s, const char *diff_id);
/* Of one that exists: "STORE/layers/IDS/HEX/diff", or "STORE/layers/erofs1/HEX/layer.erofs"; caller frees. */
int layer_path(struct img_store *s, const char *diff_id, char **ret);
/* 0 when it is not known. */
uint64_t layer_size(struct img_store *s, const char *diff_id);
/* What it was extracted from. -ENOENT without an error text: that was not kept. */
int layer_blob(struct img_store *s, const char *diff_id, struct kept_blob *ret, struct err *e);
/* The blobs of all layers, of every map of ids (strv of digests). */
int layer_blobs(const struct img_store *s, char ***ret, struct err *e);
/* Remove what died while it was extracted. */
void layer_sweep_dead(struct img_store *s);
/* Remove those that are not in `used` (strv of diff ids). The caller holds .lock exclusively. */
int layer_sweep_unused(struct img_store *s, char *const *used, struct err *e);

/* ---- store_image.c ------------------------------------------------------------------------------- */

struct image_text {
	const char *config;
	size_t config_len;
	const char *manifest; /* or NULL */
	size_t manifest_len;
};

/* Write an image whose layers are all there. id: 64 digits. */
int image_add(struct img_store *s, const char *id, const struct image_text *t, struct err *e);
/* Load one by its full id, hold it until the store is closed. ERR_NOT_FOUND, also when a layer is missing. name is left NULL. */
int image_load(struct img_store *s, const char *id, struct img_image *ret, struct err *e);
/* Configuration and manifest as they came; the manifest NULL where there was none. Caller frees both. */
int image_texts(struct img_store *s, const char *id, char **ret_config, size_t *ret_config_len,
		char **ret_manifest, size_t *ret_manifest_len, struct err *e);
/* Only its configuration and manifest digest; for lists. */
int image_peek(struct img_store *s, const char *id, struct img_config *ret_config,
	       char **ret_digest, struct err *e);
/* Remove the record of one that nobody holds. ERR_STATE. */
int image_drop(struct img_store *s, const char *id, struct err *e);
void image_sweep_dead(struct img_store *s);
/* Full ids, sorted strv. */
int image_ids(struct img_store *s, char ***ret, struct err *e);

/* ---- store_name.c ---------------------------------------------------------------------------------- */

struct stored_name {
	char *name, *tag, *id;
};
void stored_name_done(struct stored_name *n);

int name_set(struct img_store *s, const char *name, const char *tag, const char *id, struct err *e);
int name_remove(struct img_store *s, const char *name, const char *tag, struct err *e);
/* *ret_id: caller frees. -ENOENT without an error text. */
int name_get(struct img_store *s, const char *name, const char *tag, char **ret_id, struct err *e);
int name_all(struct img_store *s, struct stored_name **ret, size_t *ret_n, struct err *e);
void name_all_free(struct stored_name *v, size_t n);
/* A reference of the store to a full id: name and tag (*ret_by_name), digest, id, unambiguous beginning of an id.
 * ERR_NOT_FOUND tells what is there. */
int name_resolve(struct img_store *s, const struct img_reference *r, char **ret_id,
		 bool *ret_by_name, struct err *e);

/* ---- store_archive.c --------------------------------------------------------------------------------- */

/* The image that an archive or layout had when the file of that identity was read. -ENOENT without an error text. */
int archive_recall(struct img_store *s, const char *key, const char *identity, char **ret_id,
		   struct err *e);
int archive_remember(struct img_store *s, const char *key, const char *identity, const char *id,
		     struct err *e);
/* Forget those whose images are gone. */
void archive_sweep(struct img_store *s);
