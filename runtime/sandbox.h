/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs share about an open sandbox: making the handle, filling it step by step, asking
 * what is true, killing it. Internal to this folder.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"
#include "runtime/runtime.h"

/* An empty handle. NULL when out of memory; rt_close() frees it at every stage. */
struct sandbox *sandbox_new(struct rt_ctx *ctx);

/* Fill s->state from the open s->dir, and what follows from it: driver, pidfd. Call again after
 * taking the lock, for what others saved meanwhile. A creation that died before its first save is
 * no error: it looks like an empty one of the default driver. */
int sandbox_load(struct sandbox *s, struct err *e);

/* Take the lock and reload. -ENOENT when it was deleted meanwhile. */
int sandbox_lock(struct sandbox *s, struct err *e);
void sandbox_unlock(struct sandbox *s);

/* Read the saved configuration unless it is there already. */
int sandbox_need_config(struct sandbox *s, struct err *e);
/* Write s->config.document as the saved configuration. The lock is held. */
int sandbox_save_config(struct sandbox *s, struct err *e);
/* Open the cgroup unless it is open. Success with s->cgroup NULL: it has none. */
int sandbox_need_cgroup(struct sandbox *s, struct err *e);

/* It has one of its own, and s->cgroup is that. */
bool sandbox_has_cgroup(struct sandbox *s);

/* What is true now; cheaper than state_status() as it uses the handles and what the context knows of the host. */
enum rt_status sandbox_status(struct sandbox *s);

/* Save with a new status. The lock is held. */
int sandbox_save(struct sandbox *s, enum rt_status status, struct err *e);

/* SIGKILL to the host process (thawed if frozen), wait until it is gone, reap it if it is ours. */
int sandbox_kill(struct sandbox *s, struct err *e);

/* After a failed step: if the kernel killed a process of the sandbox for its memory limit, then
 * whatever error that ended in, this is the reason, and e says so. */
void sandbox_explain_oom(struct sandbox *s, struct err *e);

/* Run the hooks of a kind (s->config is loaded) with the state document of this moment; pid is as
 * those hooks see it. No lock may be held. Failures of poststop hooks are logged, not returned. */
int sandbox_run_hooks(struct sandbox *s, enum oci_hook_kind kind, enum rt_status status, pid_t pid,
		      struct err *e);

/* Its seccomp filter, compiled or from the cache (s->config is loaded); n = 0 when it has none. */
int sandbox_filter(struct sandbox *s, struct iso_bpf *ret, struct err *e);

/* notify.c: the agent of its filter's notifications, for as long as a process of the sandbox is being made. */
struct notify {
	struct iso_notify iso;
	struct sandbox *sandbox;
	enum rt_status status; /* as the agent is told */
};
#define NOTIFY_NONE                                      \
	{                                                \
		.iso = {.socket = -1, .message_fd = -1 } \
	}
/* Connect to it, if bpf notifies. *ret_iso is n's, or NULL. */
int notify_open(struct notify *n, struct sandbox *s, enum rt_status status,
		const struct iso_bpf *bpf, const struct iso_notify **ret_iso, struct err *e);
void notify_done(struct notify *n);

/* Nanoseconds since 1970. */
int64_t now_unix_nsec(void);

/* hooks.c: run all hooks of a list in order, `state_text` on the standard input of each. The first
 * failure ends it, unless `failed` is given: then each failure is handed to it and the next one
 * runs. */
typedef void (*hook_failed_fn)(void *arg, const struct err *error);
int hooks_run(const struct oci_hooks *hooks, enum oci_hook_kind kind, const char *state_text,
	      hook_failed_fn failed, void *arg, struct err *e);

/* pid_file.c: write it so that a reader sees the whole number or no file. */
int pid_file_write(const char *path, pid_t pid, struct err *e);
void pid_file_remove(const char *path);

/* console.c: hand the master of a terminal to whoever listens on an engine's console socket. */
int console_send(int socket, int master, struct err *e);

/* relay.c: add the signals that a command without a terminal gets as we get them. */
void relay_forwarded_signals(sigset_t *set);

/* helper_program.c: where a program of ours lies: beside ourselves, or where `make install` puts it. */
int helper_program_find(const char *name, char **ret, struct err *e);
