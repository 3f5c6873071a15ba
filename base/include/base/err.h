/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error value. It is fixed-size and needs no allocation, so that a child after clone3() can
 * send it to its parent in one write (it fits PIPE_BUF) and so that "out of memory" can be told.
 *
 * A function that can fail returns 0 or a negative errno and takes `struct err *` as its last
 * parameter. The place that meets the failure *sets* the error; every layer above may *wrap* it
 * with a frame that says what that layer was doing, and to what. The text then reads from the
 * outside in:
 *
 *	create 'c1': mount 'proc' on '/proc': Operation not permitted
 *
 * Where we know a way out, err_hint() adds a last line. `e` may be NULL everywhere: the caller
 * then only wants the number.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_kind {
	ERR_NONE = 0,
	ERR_SYSTEM,        /* a system call failed; errnum is its errno */
	ERR_INVALID,       /* the input (flag, configuration, image, guest) is wrong */
	ERR_UNSUPPORTED,   /* known, valid, and not done by this driver or on this host */
	ERR_NOT_FOUND,     /* no such sandbox, image, ... */
	ERR_EXISTS,        /* the name is taken */
	ERR_STATE,         /* the operation does not fit the sandbox's status */
	ERR_CMD_NOT_FOUND, /* the workload's command does not exist: exit code 127 */
	ERR_CMD_NOT_EXEC,  /* the workload's command cannot be executed: exit code 126 */
	ERR_LIMIT,         /* a limit of the sandbox made the step fail (e.g. memory too low) */
	ERR_INTERNAL,      /* a bug of ours, or a helper process of ours died */
	ERR_KIND_COUNT,
};

struct err {
	int32_t kind;    /* enum err_kind */
	int32_t errnum;  /* positive errno; 0 only while kind is ERR_NONE */
	char text[2560]; /* frames and cause; NUL-terminated; "..." where it had to be cut */
	char hint[1024]; /* the way out, or "" */
};
_Static_assert(sizeof(struct err) <= 4096, "an error must fit PIPE_BUF");

#define ERR_INIT ((struct err){.kind = ERR_NONE})

/* Set `e` (whatever it held) to kind, errnum and text. Returns -errnum. The text does not repeat
 * strerror(errnum); err_sys() is the one that appends it. errnum 0 is turned into EIO. */
int err_set(struct err *e, enum err_kind kind, int errnum, const char *fmt, ...) _printf_(4, 5);

/* A failed system call: text, then ": " and strerror(errnum). Kind ERR_SYSTEM. Returns -errnum.
 * errnum may be given positive or negative. */
int err_sys(struct err *e, int errnum, const char *fmt, ...) _printf_(3, 4);

/* Put a frame in front: "<frame>: <what was there>". Returns the stored -errnum, so that
 * `return err_wrap(e, "mount '%s'", dst)` reads well. If `e` holds no error (callee was given
 * NULL) it returns -EIO. */
int err_wrap(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* Replace the hint, one line without a full stop at its end. The first hint set wins, as the
 * innermost layer knows most; a later one is dropped. Returns the stored -errnum. */
int err_hint(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* Forget. */
void err_clear(struct err *e);

/* Make an error that came from another process safe to use: known kind, errnum in 1..4095,
 * terminated texts without control characters. */
void err_sanitize(struct err *e);
/* The same for any text of such origin: ended within `size`, without control characters. */
void err_sanitize_text(char *text, size_t size);

/* "invalid", "unsupported", ... for logs and JSON. */
const char *err_kind_name(enum err_kind kind);

/* Shorthands. Each returns -errnum: EINVAL, ENOTSUP, ENOMEM. */
int err_invalid(struct err *e, const char *fmt, ...) _printf_(2, 3);
int err_unsupported(struct err *e, const char *fmt, ...) _printf_(2, 3);
int err_nomem(struct err *e);
