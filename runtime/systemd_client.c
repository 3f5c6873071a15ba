/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting insula-systemd and talking to it. Only sandboxes whose state names a scope get here.
 */
#include "systemd_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sync.h"
#include "caller.h"
#include "systemd_request.h"

/* Two processes are in the group for a moment: the placeholder and the first of the sandbox, which may have threads. A lower
 * limit waits until the placeholder is gone. */
#define TASKS_AT_START 16

static const char peer[] = "insula-systemd";

/* ---- the program ------------------------------------------------------------------------------- */

/* Whose it is: an id is unique in its state directory only. */
static int describe(const struct sandbox *s, char **ret)
{
	return str_printf(ret, "Insula sandbox %s of %s", s->dir.id, s->ctx->root);
}

static int request_new(struct sandbox *s, const char *verb, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *description = NULL;

	if (describe(s, &description) < 0 || !o || json_set(o, "verb", json_new_string(verb)) < 0 ||
	    json_set(o, "user", json_new_bool(!caller_is_hosts_root())) < 0 ||
	    json_set(o, "unit", json_new_string(s->state.scope)) < 0 ||
	    json_set(o, "description", json_new_string(description)) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(o);
	return 0;
}

static int spawn(struct sandbox *s, const char *program, int theirs, int params, struct err *e)
{
	char *argv[] = {(char *)program, NULL};
	const struct proc_fd_map fds[] = {{theirs, SYSTEMD_FD_SYNC}, {params, SYSTEMD_FD_REQUEST}};
	/* With our environment, which says where the user's bus is. */
	const struct proc_spawn p = {
		.argv = argv, .fds = fds, .n_fds = ARRAY_SIZE(fds), .cgroup_fd = -1};

	return proc_spawn(&p, &s->scope.pid, NULL, e);
}

static int open_program(struct sandbox *s, const struct json *request, struct err *e)
{
	_cleanup_close_ int params = -EBADF, ours = -EBADF, theirs = -EBADF;
	_cleanup_free_ char *program = NULL, *text = NULL;
	int pair[2], r;
	size_t len;

	r = helper_program_find(SYSTEMD_PROGRAM, &program, e);
	if (r < 0)
		return r;
	if (json_to_text(request, false, &text, &len) < 0)
		return err_nomem(e);
	params = fd_sealed_memfd("insula-systemd", text, len, e);
	if (params < 0)
		return params;
	r = sync_pair(pair, e);
	if (r < 0)
		return r;
	ours = pair[0];
	theirs = pair[1];
	/* Before anybody can send: a message sent earlier would not tell its sender. */
	if (setsockopt(theirs, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) < 0)
		return err_sys(e, errno, "prepare the channel to %s", peer);
	r = spawn(s, program, theirs, params, e);
	if (r == 0)
		s->scope.fd = TAKE_FD(ours);
	return r;
}

void scope_leave(struct sandbox *s)
{
	int status;

	s->scope.fd = fd_close(s->scope.fd);
	if (s->scope.pid > 0)
		(void)proc_reap(s->scope.pid, &status, NULL);
	s->scope.pid = 0;
}

/* One request, its answer, and the end. */
static int ask(struct sandbox *s, const struct json *request, struct err *e)
{
	int r = open_program(s, request, e);

	if (r == 0)
		r = sync_expect(s->scope.fd, peer, SYNC_STARTED, NULL, NULL, e);
	scope_leave(s);
	return r;
}

static bool is_v2(struct sandbox *s)
{
	struct cg_host *host;

	return rt_cgroups(s->ctx, &host, NULL) == 0 && cg_host_layout(host) == CG_LAYOUT_V2;
}

/* ---- making ------------------------------------------------------------------------------------ */

/* The unit's default would else be a limit that nobody asked for. */
static int add_tasks(const struct cg_limits *l, struct json *now, struct json *late)
{
	if (l->pids_max != CG_UNSET && l->pids_max != CG_MAX && l->pids_max < TASKS_AT_START) {
		char text[24];

		snprintf(text, sizeof(text), "%lld", (long long)l->pids_max);
		if (systemd_property(late, "TasksMax", "t", text) < 0)
			return -ENOMEM;
	}
	return l->pids_max == CG_UNSET
		       ? systemd_property(now, "TasksMax", "t", "18446744073709551615")
		       : 0;
}

static int start_request(struct sandbox *s, const char *slice, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *o = NULL, *now = json_new_array(), *late = json_new_array();
	struct cg_limits l = s->plan.limits; /* borrowed */
	int r = request_new(s, "start", &o, e);

	if (r < 0)
		return r;
	if (!now || !late || add_tasks(&l, now, late) < 0)
		return err_nomem(e);
	if (l.pids_max != CG_MAX && l.pids_max < TASKS_AT_START)
		l.pids_max = CG_UNSET;
	r = systemd_limit_properties(&l, is_v2(s), now, e);
	if (r == 0)
		r = systemd_annotation_properties(s->config.annotations, now, e);
	if (r < 0)
		return r;
	if (json_set(o, "slice", json_new_string(slice)) < 0 ||
	    json_set(o, "properties", TAKE_PTR(now)) < 0 || json_set(o, "late", TAKE_PTR(late)) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(o);
	return 0;
}

static int group_of(pid_t pid, const struct systemd_unit *u, char **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = path_read_file_at(-1, path, 1u << 16, &text, NULL, e);
	return r < 0 ? r : systemd_group_of(text, u, ret, e);
}

int scope_start(struct sandbox *s, const char *slice, char **ret_path, struct err *e)
{
	const struct systemd_unit u = {.name = s->state.scope, .slice = (char *)slice};
	_cleanup_json_ struct json *request = NULL;
	int32_t pid = 0;
	int r = start_request(s, slice, &request, e);

	if (r == 0)
		r = open_program(s, request, e);
	if (r == 0)
		r = sync_expect(s->scope.fd, peer, SYNC_HOST_READY, &pid, NULL, e);
	if (r == 0)
		r = group_of(pid, &u, ret_path, e);
	if (r < 0)
		scope_leave(s);
	return r;
}

int scope_settle(struct sandbox *s, struct err *e)
{
	int r = sync_send(s->scope.fd, SYNC_COMMIT, 0, -1, e);

	if (r == 0 || r == -EPIPE)
		r = sync_expect(s->scope.fd, peer, SYNC_STARTED, NULL, NULL, e);
	scope_leave(s);
	return r;
}

/* ---- moving in --------------------------------------------------------------------------------- */

bool scope_moves(const struct sandbox *s)
{
	return s->state.scope && !caller_is_hosts_root();
}

int scope_stand_by(struct sandbox *s, struct err *e)
{
	_cleanup_json_ struct json *request = NULL;
	int r;

	if (s->scope.fd >= 0)
		return 0; /* the one that made it */
	r = request_new(s, "attach", &request, e);
	if (r == 0)
		r = open_program(s, request, e);
	if (r == 0)
		r = sync_expect(s->scope.fd, peer, SYNC_HOST_READY, NULL, NULL, e);
	if (r < 0)
		scope_leave(s);
	return r;
}

int scope_enter(void *sandbox, struct err *e)
{
	struct sandbox *s = sandbox;
	int r = sync_send(s->scope.fd, SYNC_PID, 0, -1, e);

	if (r == 0 || r == -EPIPE)
		r = sync_expect(s->scope.fd, peer, SYNC_READY, NULL, NULL, e);
	return r;
}

/* ---- later ------------------------------------------------------------------------------------- */

int scope_update(struct sandbox *s, const struct cg_limits *l, struct err *e)
{
	_cleanup_json_ struct json *request = NULL, *properties = json_new_array();
	int r = request_new(s, "set", &request, e);

	if (r < 0)
		return r;
	if (!properties)
		return err_nomem(e);
	r = systemd_limit_properties(l, is_v2(s), properties, e);
	if (r < 0)
		return r;
	if (json_set(request, "properties", TAKE_PTR(properties)) < 0)
		return err_nomem(e);
	return ask(s, request, e);
}

int scope_stop(struct sandbox *s, struct err *e)
{
	_cleanup_json_ struct json *request = NULL;
	int r;

	scope_leave(s);
	if (!s->state.scope)
		return 0;
	r = request_new(s, "stop", &request, e);
	return r < 0 ? r : ask(s, request, e);
}
