/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images come from: an OCI layout (a directory) or an archive (a tar, perhaps compressed), as a set of named files.
 * Both are hostile. A layout's files are opened inside it, an archive's are found by the worker's list
 * of it and read from where they lie.
 */
#pragma once

#include "store.h"

struct archive_entry {
	char kind; /* 'f', 's', 'h' */
	uint64_t offset, size_bytes;
	const char *name, *target; /* into the list's text */
};

struct source {
	bool is_layout;
	int fd;     /* the layout's directory, or the archive, uncompressed */
	char *list; /* of an archive */
	struct archive_entry *entries;
	size_t n_entries;
};

/* The real path and the identity of the file that says which image it is (see store_archive.c), without reading
 * it. Caller frees both. Not settled: do not remember by it. ERR_NOT_FOUND, ERR_INVALID. */
int source_identify(const struct img_reference *r, char **ret_path, char **ret_identity,
		    bool *ret_settled, struct err *e);

/* Open, list. */
int source_open(struct img_store *s, const struct img_reference *r, struct source *ret,
		struct err *e);
void source_done(struct source *src);

bool source_has(const struct source *src, const char *name);

/* A file as bytes to read; *ret_fd is owned by the caller and may be -1 (then the blob uses the source's own). Symlinks and
 * hard links in an archive are followed inside it. ERR_NOT_FOUND. */
int source_find(const struct source *src, const char *name, struct blob *ret, int *ret_fd,
		struct err *e);

/* A small file (at most max_bytes). Caller frees. */
int source_read(const struct source *src, const char *name, size_t max_bytes, char **ret,
		size_t *ret_len, struct err *e);

/* A blob of known digest and size ("blobs/sha256/HEX"), verified. */
int source_read_blob(const struct source *src, const char *digest, uint64_t size_bytes, char **ret,
		     size_t *ret_len, struct err *e);

/* "blobs/sha256/HEX" of a valid digest; caller frees. */
int source_blob_name(const char *digest, char **ret);
