/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running hooks: programs that the configuration names, at fixed moments of a sandbox's life, with
 * the state document on their standard input.
 * Spec: OCI runtime-spec config.md "POSIX-platform Hooks": in the listed order; arguments and
 * environment exactly as configured; a timeout in seconds.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "sandbox.h"
#include "state_internal.h"

static int timeout_msec(const struct oci_hook *h)
{
	if (!h->has_timeout)
		return -1;
	return h->timeout_sec > INT_MAX / 1000 ? INT_MAX : h->timeout_sec * 1000;
}

static int run_one(const struct oci_hook *h, const char *what, const char *state_text,
		   struct err *e)
{
	char *only_path[] = {h->path, NULL}, *no_env[] = {NULL};
	struct proc_spawn spawn = {
		.path = h->path,
		.argv = h->args && h->args[0] ? h->args : only_path,
		/* Not configured is empty, not inherited: the caller's environment may hold
		 * secrets of an engine. */
		.env = h->env ? h->env : no_env,
		.cgroup_fd = -1,
	};

	if (h->path[0] != '/')
		return err_invalid(e, "%s: the path is not absolute", what);
	return proc_run(&spawn, state_text, strlen(state_text), timeout_msec(h), what, e);
}

int hooks_run(const struct oci_hooks *hooks, enum oci_hook_kind kind, const char *state_text,
	      hook_failed_fn failed, void *arg, struct err *e)
{
	for (size_t i = 0; i < hooks->n; i++) {
		_cleanup_free_ char *what = NULL;
		int r;

		if (str_printf(&what, "%s hook '%s'", oci_hook_name(kind), hooks->v[i].path) < 0)
			return err_nomem(e);
		r = run_one(&hooks->v[i], what, state_text, e);
		if (r == 0)
			continue;
		if (!failed)
			return r;
		failed(arg, e);
		err_clear(e);
	}
	return 0;
}

/* Spec: runtime.md "Lifecycle": a failing poststop hook is a warning, the others run all the same. */
static void log_failure(void *arg, const struct err *error)
{
	const struct sandbox *s = arg;

	log_to(&s->ctx->log, LOG_LEVEL_WARNING, "container '%s': %s", s->dir.id, error->text);
}

int sandbox_run_hooks(struct sandbox *s, enum oci_hook_kind kind, enum rt_status status, pid_t pid,
		      struct err *e)
{
	const struct oci_hooks *hooks = &s->config.hooks[kind];
	_cleanup_free_ char *text = NULL;
	int r;

	if (hooks->n == 0)
		return 0;
	r = state_to_oci_text(&s->state, status, pid, false, &text, e);
	if (r < 0)
		return r;
	return hooks_run(hooks, kind, text, kind == OCI_HOOK_POSTSTOP ? log_failure : NULL, s, e);
}
