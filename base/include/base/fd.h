/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: whole reads and writes, passing, standing out of the way of an exec.
 * Every descriptor made here is close-on-exec.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* Close unless negative, keep errno. Returns -EBADF so that `fd = fd_close(fd)` reads well. */
int fd_close(int fd);

/* Write all of buf, retrying EINTR and short writes. No frame is added: `what` names the object
 * ("'memory.max'") in the error. SIGPIPE is the caller's business. */
int fd_write_all(int fd, const void *buf, size_t len, const char *what, struct err *e);

/* Read exactly len bytes. Returns 0, -ENODATA if the end came before the first byte, -EPIPE if
 * it came later. */
int fd_read_exact(int fd, void *buf, size_t len, const char *what, struct err *e);

/* Read to the end into a fresh NUL-terminated buffer (the terminator is not counted). More than
 * max_bytes is -EFBIG, never a silent cut. The caller frees *ret_buf. ret_len may be NULL. */
int fd_read_all(int fd, size_t max_bytes, char **ret_buf, size_t *ret_len, const char *what,
		struct err *e);

/* Set or clear O_NONBLOCK / FD_CLOEXEC. Return 0 or -errno. */
int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);

/* Duplicate to a close-on-exec descriptor ≥ 3. Returns it or -errno. */
int fd_dup_above_stdio(int fd);

/* Mark every descriptor ≥ first close-on-exec (close_range(2), /proc/self/fd walk on ENOSYS). */
int fd_cloexec_from(unsigned first, struct err *e);

/* Make sure 0, 1 and 2 are open (on /dev/null where they were not), so that no later open()
 * lands there. For main() of each program. */
int fd_sanitize_stdio(struct err *e);

/* A sealed memfd holding buf: no write, grow, shrink or further seals. Returns it or -errno. */
int fd_sealed_memfd(const char *name, const void *buf, size_t len, struct err *e);
