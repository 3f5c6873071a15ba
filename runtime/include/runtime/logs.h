/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log of a detached sandbox: across rotated files, and on while it grows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct rt_ctx;
struct rt_log;

/* What was written by one read of the monitor, a line of the workload or a part of one. The text is the workload's: any bytes but
 * a newline, valid until the next call. */
struct rt_log_record {
	int64_t unix_nsec;
	bool is_stderr;
	bool partial; /* no line end behind it */
	const char *text;
	size_t len;
};

/* Open the log of a sandbox. ERR_STATE, with a hint, when it keeps none (not detached, or --log-driver none). `follow`: rt_log_wait() will be
 * called. */
int rt_log_open(struct rt_ctx *ctx, const char *id, bool follow, struct rt_log **ret,
		struct err *e);
void rt_log_close(struct rt_log *l); /* NULL-safe */
static inline void rt_log_closep(struct rt_log **l)
{
	rt_log_close(*l);
}
#define _cleanup_log_ __attribute__((cleanup(rt_log_closep)))

/* The same of files in a directory, whose writer is watched by pidfd (-1: it is gone). Both descriptors are taken over on success. */
int rt_log_open_dir(int dirfd, int writer_pidfd, bool follow, struct rt_log **ret, struct err *e);

/* The next record: 1; nothing more for the moment: 0. Lines that are no records (a torn write of a crashed host) are left out. */
int rt_log_next(struct rt_log *l, struct rt_log_record *ret, struct err *e);

/* Only the last `lines` lines of what is there now. Before the first rt_log_next(). */
int rt_log_tail(struct rt_log *l, uint64_t lines, struct err *e);

/* Wait until there may be more: 1; 0: the writer has ended and all was read; -ETIMEDOUT after timeout_msec (-1: never). */
int rt_log_wait(struct rt_log *l, int timeout_msec, struct err *e);
