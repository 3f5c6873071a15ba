/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent that a seccomp filter's notifications go to. The connection is made when the process is created, while the
 * host's paths are at hand and a missing agent can still be told; what goes over it, the container process state, is
 * sent by isolate/ once the filter is in force, with its descriptor.
 * Spec: OCI runtime-spec config-linux.md "The Container Process State".
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "sandbox.h"
#include "state_internal.h"

static struct json *state_object(const struct notify *n, pid_t pid, struct err *e)
{
	const struct sandbox *s = n->sandbox;
	_cleanup_free_ char *text = NULL;
	struct json *o = NULL;
	pid_t init = n->status == RT_RUNNING ? s->state.host.pid : pid;

	if (state_to_oci_text(&s->state, n->status, init, false, &text, e) < 0 ||
	    json_parse(text, strlen(text), "state", &o, e) < 0)
		return NULL;
	return o;
}

static int fill(void *arg, pid_t pid, int message_fd, struct err *e)
{
	static const char *const fds[] = {"seccompFd", NULL};
	const struct notify *n = arg;
	const struct sandbox *s = n->sandbox;
	const char *metadata = s->config.isolation.seccomp.listener_metadata;
	const char *version = s->state.version ? s->state.version : OCI_VERSION;
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (!o || json_set(o, "ociVersion", json_new_string(version)) < 0 ||
	    json_set(o, "fds", json_new_strv((char *const *)fds)) < 0 ||
	    json_set(o, "pid", json_new_i64(pid)) < 0 ||
	    (metadata && json_set(o, "metadata", json_new_string(metadata)) < 0) ||
	    json_set(o, "state", state_object(n, pid, e)) < 0 ||
	    json_to_text(o, false, &text, &len) < 0)
		return err_nomem(e);
	return fd_write_all(message_fd, text, len, "the container process state", e);
}

int notify_open(struct notify *n, struct sandbox *s, enum rt_status status,
		const struct iso_bpf *bpf, const struct iso_notify **ret_iso, struct err *e)
{
	const char *path = s->config.isolation.seccomp.listener_path;

	*ret_iso = NULL;
	if (!bpf->wants_notify)
		return 0;
	if (path[0] != '/')
		return err_invalid(e, "linux.seccomp.listenerPath: '%s' is not an absolute path",
				   path);
	n->sandbox = s;
	n->status = status;
	n->iso.fill = fill;
	n->iso.arg = n;
	n->iso.socket = rt_connect_socket(path, "linux.seccomp.listenerPath", e);
	if (n->iso.socket < 0) {
		err_hint(e, "the agent must listen there before the container is created");
		return n->iso.socket;
	}
	n->iso.message_fd = memfd_create("notify", MFD_CLOEXEC);
	if (n->iso.message_fd < 0)
		return err_sys(e, errno, "memfd_create");
	*ret_iso = &n->iso;
	return 0;
}

void notify_done(struct notify *n)
{
	fd_close(n->iso.socket);
	fd_close(n->iso.message_fd);
}
