/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store and its worker process (insula-layer) say to each other: modes, descriptors, reports.
 *
 * The worker parses what is hostile; it reaches nothing but the descriptors below. The store starts it (img_worker_fn),
 * feeds it, and believes nothing of what it says that can be checked: what goes in was counted and
 * hashed by the store on its way, what comes back through a pipe is bounded and hostile. A DiffID is of
 * bytes that only the worker sees (they are decompressed there), so it is computed there; a worker that lies about it could
 * as well have written other files.
 *
 *	mode	args	3	4	5	6
 *	extract	-	input	directory	report	lock (held, not used)
 *	erofs	-	input	file	report	lock (held, not used)
 *	list	-	archive	records	report
 *	inflate	-	input	output	report
 *	remove	NAME	parent	report
 *
 * extract: `input` is a pipe or file with one layer, a tar: plain, gzip or zstd, told by its first bytes. It is read to its
 *	end, also behind the tar's end (the DiffID covers all of it). `directory` (O_RDONLY) is empty and belongs to the
 *	store; the worker fills it in the form of an overlayfs lower directory mounted with "userxattr": whiteouts are
 *	character devices 0:0, an opaque directory has user.overlay.opaque = "y". The mode, owner, times and
 *	extended attributes of the layer's root entry go to `directory` itself; without such an entry it is 0755 0:0.
 *	`directory` itself is opaque when the layer hides all below it; overlayfs looks for that everywhere but on the root
 *	of a layer, so that the layers below are to be left out of the mount.
 *	Nothing is synchronised to disk: the store does that. `lock` keeps the lock of the
 *	temporary alive for as long as the worker is.
 * erofs: the same input becomes one EROFS image in `file`, which is empty and open for reading and writing. Whiteouts and marks
 *	are as above; the superblock is written last. What a directory cannot have (devices) an image has.
 * list: `archive` is a seekable regular file with an uncompressed tar. `records` is a pipe (see below).
 * inflate: `input` is a gzip or zstd stream, `output` a pipe that gets it decompressed; plain input is refused.
 * remove: removes the tree NAME (a plain component) of `parent`, whatever its files' owners and modes are among the ids of the
 *	worker. A missing one is success.
 *
 * 0 is /dev/null; 1 and 2 are too. The worker exits with 0 after a report with error.kind ERR_NONE, with 1 after a report
 * with an error, and with anything else without one. A reader that went away (EPIPE) ends it. It
 * dies with its parent.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define IMG_WORKER_PROGRAM "insula-layer"

#define IMG_WORKER_EXTRACT "extract"
#define IMG_WORKER_EROFS   "erofs"
#define IMG_WORKER_LIST    "list"
#define IMG_WORKER_INFLATE "inflate"
#define IMG_WORKER_REMOVE  "remove"

/* The one message on the report descriptor, in one write() (it fits PIPE_BUF); padding and unused parts are 0. */
struct img_worker_report {
	struct err error;
	uint64_t entries; /* extract, list: of the tar */
	uint64_t
		bytes; /* extract, erofs, inflate: decompressed, all of the input; list: of the archive */
	char diff_id[72]; /* extract, erofs: "sha256:" and 64 lower case digits; else "" */
	/* extract, erofs: what the layer asks for and the result has not */
	uint64_t devices_left; /* nobody can make devices in a user namespace; 0:0 */
	uint64_t
		xattrs_left; /* overlayfs' own, of the host's policies, or not possible on its file system */
	uint64_t owners_left; /* files of other ids, where there is one id only */
	char note[256];       /* the first of them, for people; or "" */
};
_Static_assert(sizeof(struct img_worker_report) <= 4096, "a report must fit PIPE_BUF");

/*
 * list: a record per entry that is a regular file, a symlink or a hard link, in the order of the archive. Others (directories
 * and more) are left out. A record is five strings, each ended by a NUL:
 *
 *	kind	"f" file, "s" symlink, "h" hard link
 *	offset	of the data in the archive, decimal; "0" unless a file
 *	size	of the data, decimal; "0" unless a file
 *	name	as in the archive, with "./" in front and double slashes removed; never empty, absolute, or with ".."
 *	target	of a link, as in the archive; else ""
 *
 * After the last record the pipe is closed. Sparse files are refused. The store stops reading at these bounds.
 */
#define IMG_WORKER_LIST_MAX_BYTES   (16u << 20)
#define IMG_WORKER_LIST_MAX_ENTRIES 65536u
