/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log that a monitor keeps of a detached sandbox's output. Internal to this folder; the reading side is
 * runtime/logs.h.
 *
 * Files `log` (the current one), `log.1`, `log.2` … (older) in one directory. A record is a line
 *
 *	2026-01-31T12:00:00.123456789Z stdout F text
 *
 * where F (full) ends a line of the workload and P (partial) does not: the next record of the same stream goes on. The format
 * is Kubernetes' ("k8s-file" of podman), so that tools for it read ours.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LOG_FILE_NAME "log"

/* Content of one record at most, what a monitor reads at once; a whole record is never longer than LOG_RECORD_MAX. */
#define LOG_CHUNK_MAX  8192
#define LOG_RECORD_MAX (LOG_CHUNK_MAX + 64)

#define LOG_MAX_FILES_MAX 100
#define LOG_NAME_MAX      16

enum log_stream { LOG_STDOUT, LOG_STDERR };

struct log_writer {
	int dirfd, fd; /* borrowed; owned. dirfd -1: nothing is kept */
	uint64_t max_bytes;
	unsigned max_files;
	uint64_t size;          /* of the current file, whole records only */
	uint64_t lost_bytes;    /* of the workload's output, that could not be written */
	int lost_errno;         /* why, of the last loss; 0: nothing was lost */
	int64_t lost_unix_nsec; /* when it began */
};

/* Go on behind what is there. */
int log_writer_open(struct log_writer *w, int dirfd, uint64_t max_bytes, unsigned max_files,
		    struct err *e);
void log_writer_done(struct log_writer *w);

/* Write len (at most LOG_CHUNK_MAX) bytes of one stream, all with one time. Waits for a slow disk. What cannot be written (no
 * space) is counted in `lost_bytes`; a record is in the file as a whole or not at all. */
void log_write(struct log_writer *w, enum log_stream stream, const char *data, size_t len,
	       int64_t unix_nsec);

/* "log" for 0, else "log.N". */
const char *log_name(unsigned n, char buf[LOG_NAME_MAX]);
