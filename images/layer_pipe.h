/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression beside extraction: a thread reads, inflates and hashes into a ring of buffers; the caller's thread takes
 * the tar out of it (struct tar_source). Internal to this folder.
 */
#pragma once

#include "digest.h"
#include "inflate.h"
#include "tar_reader.h"

struct layer_pipe;

/* Reads `fd` (borrowed) until layer_pipe_free() or its end. */
int layer_pipe_new(int fd, const struct inflate_limits *limits, struct layer_pipe **ret,
		   struct err *e);
/* Ends the thread, even in the middle. NULL-safe. */
void layer_pipe_free(struct layer_pipe *p);

struct tar_source layer_pipe_source(struct layer_pipe *p);

/* After the source gave its end: the digest and the number of all decompressed bytes. */
void layer_pipe_result(struct layer_pipe *p, char ret_digest[DIGEST_MAX], uint64_t *ret_bytes);
