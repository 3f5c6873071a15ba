/* SPDX-License-Identifier: Apache-2.0 */
/* The store's side of images/fetch.h: one process that speaks to one registry. Internal to this folder. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "images/fetch.h"
#include "store.h"

struct fetch_client {
	pid_t pid; /* 0: none */
	int requests, answers, stream;
	int cancel; /* borrowed; a stream is given up when it becomes readable or its other end goes; or -1 */
	/* the stream being read */
	struct fetch_request request;
	uint64_t done;
	bool begun;
	bool resumed; /* its beginning is an earlier process's */
};

/* certificates: a descriptor (see images/fetch.h), borrowed. */
int fetch_client_start(struct img_store *s, const struct fetch_registry *registry, int certificates,
		       struct fetch_client *ret, struct err *e);
/* Ends the process. */
void fetch_client_stop(struct fetch_client *c);

/* A manifest or small blob, not verified. media_type (128 bytes) may be NULL. Caller frees *ret. */
int fetch_client_get(struct fetch_client *c, enum fetch_kind kind, const char *reference,
		     uint64_t size_bytes, char **ret, size_t *ret_len, char *media_type,
		     struct err *e);

/* A blob as the source of a layer (struct blob.read): it is asked for at the first read. `digest` is borrowed. */
int fetch_client_blob(struct fetch_client *c, const char *digest, uint64_t size_bytes,
		      struct blob *ret, struct err *e);

/* Have the registry have the first size_bytes of fd, a regular file: FETCH_PUT_BLOB by digest, FETCH_PUT_MANIFEST by tag or digest
 * (media_type "" for a blob). */
int fetch_client_put(struct fetch_client *c, enum fetch_kind kind, const char *reference, int fd,
		     uint64_t size_bytes, const char *media_type, struct err *e);
