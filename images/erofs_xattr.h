/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of an inode as EROFS has them on disk. Where a file system would look at a value before it takes it,
 * nobody does here, so we do: a capability or an access control list that is none would make its file unusable. Internal to
 * the writer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Zero-initialise. */
struct erofs_xattrs {
	uint8_t *data; /* owned */
	size_t len, cap;
};
void erofs_xattrs_clear(struct erofs_xattrs *x); /* keeps the room */
void erofs_xattrs_done(struct erofs_xattrs *x);
/* What another one has; into an empty one. */
int erofs_xattrs_copy(struct erofs_xattrs *x, const uint8_t *data, size_t len, struct err *e);

/*
 * Take in one attribute of a file or directory with the permission bits *mode. An access control list changes these
 * as it does when it is set; one that says no more than they do is not kept, as file systems do it. 1: taken; 0: it is
 * not possible, *ret_why says why.
 */
int erofs_xattrs_take(struct erofs_xattrs *x, bool directory, const char *name, const void *value,
		      size_t len, uint32_t *mode, const char **ret_why, struct err *e);
