/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being with a detached sandbox from outside: its terminal or output, and its end. Both go through the socket `attach` that the
 * sandbox's monitor holds in the state directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct rt_ctx;

/* ---- waiting ----------------------------------------------------------------------------- */

/*
 * Somebody who waits for the end of a sandbox, whoever's child it is. Opened while the sandbox is there, it
 * learns the exit code even if the sandbox is removed at its end: its monitor tells everybody who is
 * connected, after it noted the code and, with --rm, removed the sandbox. Of a sandbox without a monitor the
 * end is seen by its host process, and the code is what its parent notes.
 */
struct rt_waiter;

/* ERR_NOT_FOUND. One that has ended already is fine. */
int rt_waiter_open(struct rt_ctx *ctx, const char *id, struct rt_waiter **ret, struct err *e);
void rt_waiter_close(struct rt_waiter *w); /* NULL-safe */
static inline void rt_waiter_closep(struct rt_waiter **w)
{
	rt_waiter_close(*w);
}
#define _cleanup_waiter_ __attribute__((cleanup(rt_waiter_closep)))

/* Becomes readable (poll) when rt_waiter_check() may have news. Belongs to the waiter. */
int rt_waiter_fd(const struct rt_waiter *w);
/* 1: ended, with its exit code (-1: nobody could note it); 0: not yet. */
int rt_waiter_check(struct rt_waiter *w, int *ret_exit_code, struct err *e);
/* The two together. -ETIMEDOUT after timeout_msec (-1: never). */
int rt_waiter_wait(struct rt_waiter *w, int timeout_msec, int *ret_exit_code, struct err *e);

/* ---- attaching --------------------------------------------------------------------------- */

struct rt_attach {
	bool no_stdin;
	bool sig_proxy;          /* forward our signals; never with a terminal */
	const char *detach_keys; /* as rt_detach_keys() made them; n_detach_keys 0: none */
	size_t n_detach_keys;
	bool start; /* start it (it waits at its gate) once we hear it, so that nothing of its output is missed */
};

/*
 * Copy between our standard streams and a running sandbox's until it ends or the detach keys are typed. From now on: what was written before is in the log.
 * *ret_exit_code: -1 when nobody could note it. *ret_detached: by keys. ERR_STATE when it does not run or has no monitor.
 * Our terminal is restored in every case.
 */
int rt_attach_run(struct rt_ctx *ctx, const char *id, const struct rt_attach *a, int *ret_exit_code,
		  bool *ret_detached, struct err *e);

/* "ctrl-p,ctrl-q", "ctrl-@", "a,b"; "" is none. At most 16 keys. ERR_INVALID. */
#define RT_DETACH_KEYS_MAX 16
int rt_detach_keys_parse(const char *text, char ret_keys[RT_DETACH_KEYS_MAX], size_t *ret_n,
			 struct err *e);
