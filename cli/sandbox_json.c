/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox as JSON (sandbox_json.h), and its status in words.
 */
#include "sandbox_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "output.h"

#define COMMAND_WIDTH 28
#define ID_WIDTH      64

/* ---- status ------------------------------------------------------------------------------- */

static bool monitor_is_gone(const struct state *st)
{
	_cleanup_close_ int pidfd = -1;

	if (st->monitor.pid <= 0)
		return false;
	pidfd = proc_open(&st->monitor, NULL);
	return pidfd < 0;
}

const char *status_word(enum rt_status status)
{
	return status == RT_STOPPED ? "exited" : rt_status_name(status);
}

const char *status_text(const struct sandbox *s, enum rt_status status, char buf[STATUS_TEXT_MAX])
{
	char age[OUT_TIME_MAX];
	bool lost = status != RT_STOPPED && monitor_is_gone(&s->state);

	switch (status) {
	case RT_STOPPED:
		if (s->state.exit_code >= 0)
			snprintf(buf, STATUS_TEXT_MAX, "exited (%d)", s->state.exit_code);
		else
			snprintf(buf, STATUS_TEXT_MAX, "exited (unknown)");
		break;
	case RT_RUNNING:
	case RT_PAUSED:
		snprintf(buf, STATUS_TEXT_MAX, "up %s%s%s",
			 out_age(s->state.started_unix_nsec, age),
			 status == RT_PAUSED ? " (paused)" : "", lost ? " (monitor gone)" : "");
		break;
	case RT_CREATING:
	case RT_CREATED:
	case RT_STATUS_COUNT:
		snprintf(buf, STATUS_TEXT_MAX, "%s%s", rt_status_name(status),
			 lost ? " (monitor gone)" : "");
	}
	return buf;
}

/* Why nobody knows its exit code, or NULL when somebody does. */
static const char *unknown_cause(const struct state *st, enum rt_status status, char *buf,
				 size_t size)
{
	if (status != RT_STOPPED || st->exit_code >= 0)
		return NULL;
	if (st->host.pid <= 0)
		return "its creation was interrupted";
	if (st->monitor.pid > 0) {
		snprintf(
			buf, size,
			"its monitor (process %d) ended before it: nobody could note its exit code",
			(int)st->monitor.pid);
		return buf;
	}
	return "the process that started it ended before it: nobody could note its exit code";
}

/* ---- members ------------------------------------------------------------------------------ */

static int set_text(struct json *o, const char *key, const char *value)
{
	return json_set(o, key, json_new_string(value ? value : ""));
}

/* As scripts know them; "" for never. */
static int set_time(struct json *o, const char *key, int64_t unix_nsec)
{
	char text[OUT_TIME_MAX];

	return set_text(o, key, unix_nsec > 0 ? out_time(unix_nsec, text) : "");
}

static struct json *labels_object(char *const *labels)
{
	struct json *o = json_new_object();

	for (char *const *l = labels; o && l && *l; l++) {
		const char *eq = strchr(*l, '=');
		_cleanup_free_ char *key = eq ? strndup(*l, (size_t)(eq - *l)) : strdup(*l);

		if (!key || set_text(o, key, eq ? eq + 1 : "") < 0) {
			json_free(o);
			return NULL;
		}
	}
	return o;
}

/* What it was made of: the image, or the directory. */
static const char *image_of(const struct state *st)
{
	return st->image ? st->image : st->rootfs;
}

static const char *shortened(const char *text, char *buf, size_t size)
{
	if (!text)
		return "";
	if (snprintf(buf, size, "%s", text) >= (int)size)
		snprintf(buf + size - 4, 4, "...");
	return buf;
}

static int fill_row(struct json *o, const struct sandbox *s, enum rt_status status, bool truncate)
{
	const struct state *st = &s->state;
	char text[STATUS_TEXT_MAX], command[COMMAND_WIDTH], age[OUT_TIME_MAX],
		ago[OUT_TIME_MAX + 8];

	snprintf(ago, sizeof(ago), "%s ago", out_age(st->created_unix_nsec, age));
	if (set_text(o, "Names", st->name ? st->name : st->id) < 0 ||
	    set_text(o, "Kind", st->driver) < 0 || set_text(o, "Image", image_of(st)) < 0 ||
	    set_text(o, "Command",
		     truncate ? shortened(st->command, command, sizeof(command)) : st->command) <
		    0 ||
	    set_time(o, "CreatedAt", st->created_unix_nsec) < 0 ||
	    set_text(o, "RunningFor", ago) < 0 ||
	    set_text(o, "Status", status_text(s, status, text)) < 0 ||
	    set_text(o, "State", status_word(status)) < 0 ||
	    json_set(o, "ExitCode", json_new_i64(st->exit_code)) < 0 ||
	    json_set(o, "Pid", json_new_i64(status == RT_STOPPED ? 0 : st->host.pid)) < 0 ||
	    json_set(o, "Labels", labels_object(st->labels)) < 0)
		return -ENOMEM;
	return 0;
}

static int fill_broken(struct json *o)
{
	static const char *const empty[] = {"Names",   "Kind",      "Image",
					    "Command", "CreatedAt", "RunningFor"};

	for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
		if (set_text(o, empty[i], "") < 0)
			return -ENOMEM;
	if (set_text(o, "Status", "broken (unreadable state)") < 0 ||
	    set_text(o, "State", "broken") < 0 || json_set(o, "ExitCode", json_new_i64(-1)) < 0 ||
	    json_set(o, "Pid", json_new_i64(0)) < 0 || json_set(o, "Labels", json_new_object()) < 0)
		return -ENOMEM;
	return 0;
}

struct json *sandbox_row_json(const struct sandbox *s, const char *id, enum rt_status status,
			      bool truncate)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || set_text(o, "ID", id) < 0 ||
	    (s ? fill_row(o, s, status, truncate) : fill_broken(o)) < 0)
		return NULL;
	return TAKE_PTR(o);
}

/* ---- inspect ------------------------------------------------------------------------------ */

static int set_log(struct json *o, const struct state *st)
{
	_cleanup_free_ char *path = NULL;

	if (set_text(o, "logDriver", st->log_driver ? st->log_driver : "none") < 0 ||
	    set_text(o, "logError", st->log_error) < 0)
		return -ENOMEM;
	if (st->log_driver && STREQ(st->log_driver, "k8s-file") &&
	    str_printf(&path, "%s/log", st->storage ? st->storage : st->bundle) < 0)
		return -ENOMEM;
	return set_text(o, "logPath", path);
}

static int fill_state(struct json *o, const struct state *st, enum rt_status status)
{
	char cause[160];

	if (set_text(o, "status", status_word(status)) < 0 ||
	    json_set(o, "running", json_new_bool(status == RT_RUNNING || status == RT_PAUSED)) <
		    0 ||
	    json_set(o, "paused", json_new_bool(status == RT_PAUSED)) < 0 ||
	    json_set(o, "exitCode", json_new_i64(st->exit_code)) < 0 ||
	    set_text(o, "error", unknown_cause(st, status, cause, sizeof(cause))) < 0 ||
	    set_time(o, "startedAt", st->started_unix_nsec) < 0 ||
	    set_time(o, "finishedAt", st->finished_unix_nsec) < 0 ||
	    json_set(o, "monitorPid", json_new_i64(monitor_is_gone(st) ? 0 : st->monitor.pid)) < 0)
		return -ENOMEM;
	return 0;
}

static int fill_inspect(struct json *o, const struct state *st)
{
	if (set_text(o, "kind", st->driver) < 0 || set_text(o, "image", st->image) < 0 ||
	    set_text(o, "imageId", st->image_id) < 0 || set_text(o, "command", st->command) < 0 ||
	    json_set(o, "labels", labels_object(st->labels)) < 0 ||
	    json_set(o, "autoRemove", json_new_bool(st->ephemeral)) < 0 ||
	    json_set(o, "tty", json_new_bool(st->terminal)) < 0 ||
	    json_set(o, "openStdin", json_new_bool(st->stdin_open)) < 0 ||
	    set_text(o, "stopSignal", st->stop_signal ? st->stop_signal : "TERM") < 0 ||
	    json_set(o, "stopTimeout",
		     json_new_i64(st->stop_timeout_sec >= 0 ? st->stop_timeout_sec : 10)) < 0 ||
	    set_text(o, "storage", st->storage) < 0 || set_text(o, "cgroup", st->cgroup_path) < 0)
		return -ENOMEM;
	return set_log(o, st);
}

int sandbox_inspect_json(struct sandbox *s, struct json **ret, struct err *e)
{
	_cleanup_json_ struct json *o = json_new_object(), *state = NULL;
	_cleanup_free_ char *oci = NULL;
	const struct state *st = &s->state;
	enum rt_status status = rt_status(s);
	int r = rt_state_json(s, &oci, e);

	if (r == 0)
		r = json_parse(oci, strlen(oci), "state", &state, e);
	if (r < 0)
		return r;
	if (!o || set_text(o, "id", st->id) < 0 ||
	    set_text(o, "name", st->name ? st->name : st->id) < 0 ||
	    set_time(o, "created", st->created_unix_nsec) < 0 || fill_inspect(o, st) < 0 ||
	    fill_state(state, st, status) < 0 || json_set(o, "state", TAKE_PTR(state)) < 0 ||
	    json_set(o, "config", json_copy(s->config.document)) < 0)
		return err_nomem(e);
	*ret = TAKE_PTR(o);
	return 0;
}
