/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two JSON forms of a state: state.json, which only we read, and the document of the OCI
 * specification, which `state` prints and hooks get on their standard input.
 *
 * state.json is written by us in a directory that only we may write, and is still read as strictly
 * as a configuration: a power loss or a curious administrator may have left anything there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/oci.h"
#include "state_internal.h"

#define STATE_FORMAT 1

/* What the file holds that is not a plain member of struct state. */
struct state_file {
	struct state state; /* first: the table's offsets count from here */
	uint32_t format;
	char *status;
};

static int read_pid(const struct json_at *at, void *target, struct err *e)
{
	int32_t pid;
	int r = json_get_i32(at, &pid, e);

	if (r < 0)
		return r;
	if (pid < 0)
		return json_error(at, e, "a process id cannot be negative");
	*(pid_t *)target = pid;
	return 0;
}

#define F(member) offsetof(struct state_file, state.member)
static const struct json_field state_fields[] = {
	{"format", json_read_u32, offsetof(struct state_file, format), true, -1},
	{"status", json_read_string, offsetof(struct state_file, status), true, -1},
	{"bundle", json_read_string, F(bundle), true, -1},
	{"driver", json_read_string, F(driver), true, -1},
	{"cgroup", json_read_string, F(cgroup_path), true, -1},
	{"scope", json_read_string, F(scope), false, -1},
	{"rootfs", json_read_string, F(rootfs), false, -1},
	{"ociVersion", json_read_string, F(version), true, -1},
	{"owner", json_read_string, F(owner), false, -1},
	{"annotations", json_read_strv, F(annotations), false, -1},
	{"labels", json_read_strv, F(labels), false, -1},
	{"liveMounts", json_read_strv, F(live_mounts), false, -1},
	{"command", json_read_string, F(command), false, -1},
	{"name", json_read_string, F(name), false, -1},
	{"ephemeral", json_read_bool, F(ephemeral), false, -1},
	{"image", json_read_string, F(image), false, -1},
	{"imageId", json_read_string, F(image_id), false, -1},
	{"storage", json_read_string, F(storage), false, -1},
	{"stopSignal", json_read_string, F(stop_signal), false, -1},
	{"stopTimeout", json_read_i64, F(stop_timeout_sec), false, -1},
	{"monitorPid", read_pid, F(monitor.pid), false, -1},
	{"monitorStartTicks", json_read_u64, F(monitor.start_ticks), false, -1},
	{"logDriver", json_read_string, F(log_driver), false, -1},
	{"logError", json_read_string, F(log_error), false, -1},
	{"stdinOpen", json_read_bool, F(stdin_open), false, -1},
	{"terminal", json_read_bool, F(terminal), false, -1},
	{"pid", read_pid, F(host.pid), true, -1},
	{"startTicks", json_read_u64, F(host.start_ticks), true, -1},
	{"created", json_read_i64, F(created_unix_nsec), false, -1},
	{"started", json_read_i64, F(started_unix_nsec), false, -1},
	{"finished", json_read_i64, F(finished_unix_nsec), false, -1},
	{"exitCode", json_read_i32, F(exit_code), false, -1},
};
#undef F

/* A damaged path must never lead a cleanup to somebody else's group. */
static bool is_group_path(const char *path)
{
	if (path[0] == '\0')
		return true;
	if (path[0] != '/' || str_has_suffix(path, "/.."))
		return false;
	return !strstr(path, "/../");
}

static int check_file(const struct state_file *f, struct err *e)
{
	enum rt_status unused;

	if (f->format != STATE_FORMAT)
		return err_unsupported(e, "format %u, written by another version of insula",
				       f->format);
	if (rt_status_parse(f->status, &unused) < 0)
		return err_invalid(e, "status: '%s' is none", f->status);
	if (!is_group_path(f->state.cgroup_path))
		return err_invalid(e, "cgroup: '%s' is not the path of a group",
				   f->state.cgroup_path);
	return 0;
}

int state_from_file(const struct json *doc, struct state *ret, struct err *e)
{
	struct json_at top = json_top(doc);
	struct state_file f = {0};
	int r;

	state_init(&f.state);
	if (json_type_of(doc) != JSON_OBJECT)
		return err_invalid(e, "not an object");
	r = json_read_object(&top, state_fields, ARRAY_SIZE(state_fields), &f, e);
	if (r == 0)
		r = check_file(&f, e);
	if (r < 0) {
		state_done(&f.state);
		free(f.status);
		return r;
	}
	(void)rt_status_parse(f.status, &f.state.saved);
	free(f.status);
	*ret = f.state;
	return 0;
}

static int set_string(struct json *o, const char *key, const char *value)
{
	if (!value)
		return 0;
	return json_set(o, key, json_new_string(value));
}

static int fill_file(struct json *o, const struct state *s)
{
	if (json_set(o, "format", json_new_u64(STATE_FORMAT)) < 0 ||
	    set_string(o, "status", rt_status_name(s->saved)) < 0 ||
	    set_string(o, "id", s->id) < 0 || set_string(o, "bundle", s->bundle) < 0 ||
	    set_string(o, "driver", s->driver) < 0 ||
	    set_string(o, "cgroup", s->cgroup_path ? s->cgroup_path : "") < 0 ||
	    set_string(o, "scope", s->scope) < 0 || set_string(o, "rootfs", s->rootfs) < 0 ||
	    set_string(o, "ociVersion", s->version) < 0 || set_string(o, "owner", s->owner) < 0 ||
	    set_string(o, "command", s->command) < 0 || set_string(o, "name", s->name) < 0 ||
	    set_string(o, "image", s->image) < 0 || set_string(o, "imageId", s->image_id) < 0 ||
	    set_string(o, "storage", s->storage) < 0 ||
	    set_string(o, "stopSignal", s->stop_signal) < 0 ||
	    set_string(o, "logDriver", s->log_driver) < 0 ||
	    set_string(o, "logError", s->log_error) < 0)
		return -ENOMEM;
	if (json_set(o, "annotations", json_new_strv(s->annotations)) < 0 ||
	    json_set(o, "labels", json_new_strv(s->labels)) < 0 ||
	    json_set(o, "liveMounts", json_new_strv(s->live_mounts)) < 0 ||
	    json_set(o, "ephemeral", json_new_bool(s->ephemeral)) < 0 ||
	    json_set(o, "stdinOpen", json_new_bool(s->stdin_open)) < 0 ||
	    json_set(o, "terminal", json_new_bool(s->terminal)) < 0 ||
	    json_set(o, "stopTimeout", json_new_i64(s->stop_timeout_sec)) < 0 ||
	    json_set(o, "monitorPid", json_new_i64(s->monitor.pid)) < 0 ||
	    json_set(o, "monitorStartTicks", json_new_u64(s->monitor.start_ticks)) < 0 ||
	    json_set(o, "pid", json_new_i64(s->host.pid)) < 0 ||
	    json_set(o, "startTicks", json_new_u64(s->host.start_ticks)) < 0 ||
	    json_set(o, "created", json_new_i64(s->created_unix_nsec)) < 0 ||
	    json_set(o, "started", json_new_i64(s->started_unix_nsec)) < 0 ||
	    json_set(o, "finished", json_new_i64(s->finished_unix_nsec)) < 0 ||
	    json_set(o, "exitCode", json_new_i64(s->exit_code)) < 0)
		return -ENOMEM;
	return 0;
}

int state_to_file_text(const struct state *s, char **ret, size_t *ret_len, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || fill_file(o, s) < 0 || json_to_text(o, false, ret, ret_len) < 0)
		return err_nomem(e);
	return 0;
}

/* RFC 3339 in UTC with nanoseconds, as engines parse `created`. */
static void format_time(int64_t unix_nsec, char *buf, size_t size)
{
	time_t sec = (time_t)(unix_nsec / 1000000000);
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%09dZ", (int)(unix_nsec % 1000000000));
}

static struct json *annotations_object(char *const *annotations)
{
	struct json *o = json_new_object();

	for (char *const *a = annotations; o && a && *a; a++) {
		const char *eq = strchr(*a, '=');
		_cleanup_free_ char *key = eq ? strndup(*a, (size_t)(eq - *a)) : strdup(*a);

		if (!key || json_set(o, key, json_new_string(eq ? eq + 1 : "")) < 0) {
			json_free(o);
			return NULL;
		}
	}
	return o;
}

int state_to_oci_text(const struct state *s, enum rt_status status, pid_t pid, bool pretty,
		      char **ret, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object();
	char created[64];

	if (!o ||
	    json_set(o, "ociVersion", json_new_string(s->version ? s->version : OCI_VERSION)) < 0 ||
	    set_string(o, "id", s->id) < 0 || json_set(o, "pid", json_new_i64(pid)) < 0 ||
	    set_string(o, "status", rt_status_name(status)) < 0 ||
	    json_set(o, "bundle", json_new_string(s->bundle ? s->bundle : "")) < 0 ||
	    set_string(o, "rootfs", s->rootfs) < 0)
		return err_nomem(e);
	if (s->created_unix_nsec > 0) {
		format_time(s->created_unix_nsec, created, sizeof(created));
		if (set_string(o, "created", created) < 0)
			return err_nomem(e);
	}
	if (s->annotations && s->annotations[0] &&
	    json_set(o, "annotations", annotations_object(s->annotations)) < 0)
		return err_nomem(e);
	if (json_set(o, "owner", json_new_string(s->owner ? s->owner : "")) < 0 ||
	    json_to_text(o, pretty, ret, NULL) < 0)
		return err_nomem(e);
	return 0;
}
