/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls to systemd's manager. Starting and stopping are jobs: the answer to the call only names the job, and a signal
 * JobRemoved tells how it ended. The signal may come before the answer is looked at, so it is awaited from before the call.
 *
 * Source: org.freedesktop.systemd1(5).
 */
#include "systemd_bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "systemd_message.h"

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER     "/org/freedesktop/systemd1"
#define IFACE       "org.freedesktop.systemd1.Manager"
#define IFACE_UNIT  "org.freedesktop.systemd1.Unit"

#define PRIVATE_SOCKET "/run/systemd/private"

#define CALL_USEC (UINT64_C(30) * 1000000)
/* A stop may wait for what a unit's KillSignal and time limit allow; by now all its processes were killed. */
#define JOB_USEC (UINT64_C(60) * 1000000)

struct job {
	char *path;
	char *result;
};

static void job_done(struct job *j)
{
	free(j->path);
	free(j->result);
}

/* ---- the bus --------------------------------------------------------------------------------- */

static int open_private(bool user, sd_bus **ret)
{
	_cleanup_free_ char *address = NULL;
	const char *run = getenv("XDG_RUNTIME_DIR");
	sd_bus *bus = NULL;
	int r;

	if (user && (!run || run[0] != '/'))
		return -ENOENT;
	r = user ? str_printf(&address, "unix:path=%s/systemd/private", run)
		 : str_printf(&address, "unix:path=%s", PRIVATE_SOCKET);
	if (r == 0)
		r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

int systemd_bus_open(bool user, sd_bus **ret, struct err *e)
{
	sd_bus *bus = NULL;
	int r = user ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);

	if (r < 0 && open_private(user, &bus) < 0) {
		err_sys(e, r, "connect to %s", user ? "your systemd manager" : "systemd");
		return err_hint(e, user ? "log in through a session that starts one, or have the "
					  "administrator run 'loginctl enable-linger'; or use "
					  "--cgroup-manager cgroupfs"
					: "is systemd the init of this host? else use "
					  "--cgroup-manager cgroupfs");
	}
	sd_bus_set_method_call_timeout(bus, CALL_USEC);
	*ret = bus;
	return 0;
}

/* What systemd says, for our error. Consumes nothing. */
static int bus_failed(int r, const sd_bus_error *error, const char *what, const char *unit,
		      struct err *e)
{
	if (error->message)
		return err_set(e, ERR_SYSTEM, -r, "%s '%s': systemd says: %s", what, unit,
			       error->message);
	return err_sys(e, r, "%s '%s' by systemd", what, unit);
}

static int new_call(sd_bus *bus, const char *method, sd_bus_message **ret, struct err *e)
{
	int r = sd_bus_message_new_method_call(bus, ret, DESTINATION, MANAGER, IFACE, method);

	return r < 0 ? err_sys(e, r, "call systemd's %s", method) : 0;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static int on_job_removed(sd_bus_message *m, void *arg, sd_bus_error *unused)
{
	const char *path, *unit, *result;
	struct job *j = arg;
	uint32_t id;

	(void)unused;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0 && j->path &&
	    !j->result && STREQ(path, j->path))
		j->result = strdup(result);
	return 0;
}

static int watch_jobs(sd_bus *bus, struct job *j, sd_bus_slot **ret, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_match_signal(bus, ret, DESTINATION, MANAGER, IFACE, "JobRemoved",
				    on_job_removed, j);

	/* Without a subscriber systemd sends no signals. */
	if (r >= 0)
		r = sd_bus_call_method(bus, DESTINATION, MANAGER, IFACE, "Subscribe", &error, NULL,
				       NULL);
	if (r < 0)
		bus_failed(r, &error, "wait for", "jobs", e);
	sd_bus_error_free(&error);
	return r < 0 ? r : 0;
}

static int64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int await_job(sd_bus *bus, const struct job *j, const char *what, const char *unit,
		     struct err *e)
{
	int64_t deadline = now_usec() + (int64_t)JOB_USEC;

	while (!j->result) {
		int64_t left = deadline - now_usec();
		int r = sd_bus_process(bus, NULL);

		if (r > 0)
			continue;
		if (r == 0 && left <= 0)
			r = -ETIMEDOUT;
		if (r == 0)
			r = sd_bus_wait(bus, (uint64_t)left);
		if (r < 0 && r != -EINTR)
			return err_sys(e, r, "%s '%s': wait for systemd", what, unit);
	}
	if (STREQ(j->result, "done"))
		return 0;
	return err_set(e, ERR_SYSTEM, EIO, "%s '%s': systemd's job ended as '%s'", what, unit,
		       j->result);
}

/* Send a message that begins a job. */
static int call_job(sd_bus *bus, sd_bus_message *m, struct job *j, sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	const char *path;
	int r = sd_bus_call(bus, m, CALL_USEC, error, &reply);

	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0) {
		j->path = strdup(path);
		r = j->path ? 0 : -ENOMEM;
	}
	sd_bus_message_unref(reply);
	return r;
}

static void reset_failed(sd_bus *bus, const char *unit)
{
	sd_bus_call_method(bus, DESTINATION, MANAGER, IFACE, "ResetFailedUnit", NULL, NULL, "s",
			   unit);
}

/* ---- starting -------------------------------------------------------------------------------- */

static int append_own(sd_bus_message *m, const struct systemd_request *r, pid_t pid)
{
	static const char *const accounting[] = {"MemoryAccounting", "CPUAccounting",
						 "TasksAccounting", "IOAccounting"};
	int x = sd_bus_message_append(
		m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", r->description, "Slice", "s",
		r->slice ? r->slice : "", "Delegate", "b", 1, "PIDs", "au", 1, (uint32_t)pid,
		"DefaultDependencies", "b", 0, "CollectMode", "s", "inactive-or-failed");

	for (size_t i = 0; x >= 0 && i < ARRAY_SIZE(accounting); i++)
		x = sd_bus_message_append(m, "(sv)", accounting[i], "b", 1);
	return x;
}

static int start_message(sd_bus *bus, const struct systemd_request *r, pid_t pid,
			 sd_bus_message **ret, struct err *e)
{
	sd_bus_message *m = NULL;
	int x = new_call(bus, "StartTransientUnit", &m, e);

	if (x < 0)
		return x;
	x = sd_bus_message_append(m, "ss", r->unit, "fail");
	if (x >= 0)
		x = sd_bus_message_open_container(m, 'a', "(sv)");
	if (x >= 0)
		x = append_own(m, r, pid);
	if (x < 0)
		err_sys(e, x, "make the message for '%s'", r->unit);
	else
		x = systemd_append_properties(m, r->properties, e);
	if (x >= 0)
		x = sd_bus_message_close_container(m);
	if (x >= 0)
		x = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (x < 0) {
		sd_bus_message_unref(m);
		return x;
	}
	*ret = m;
	return 0;
}

static int start_failed(int r, const sd_bus_error *error, const char *unit, struct err *e)
{
	if (sd_bus_error_has_name(error, "org.freedesktop.systemd1.UnitExists")) {
		err_set(e, ERR_EXISTS, EEXIST, "systemd unit '%s' exists already", unit);
		return err_hint(e, "another sandbox, of this or another runtime, has this name");
	}
	bus_failed(r, error, "start systemd unit", unit, e);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
		return err_hint(e, "the system's manager takes orders of root only");
	return r;
}

int systemd_bus_start(sd_bus *bus, const struct systemd_request *r, pid_t pid, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	struct job j = {0};
	sd_bus_slot *slot = NULL;
	int x = watch_jobs(bus, &j, &slot, e);

	for (int attempt = 0; x == 0; attempt++) {
		sd_bus_message *m = NULL;

		x = start_message(bus, r, pid, &m, e);
		if (x < 0)
			break;
		x = call_job(bus, m, &j, &error);
		sd_bus_message_unref(m);
		/* One that failed and was not collected keeps its name; a living one is not touched by this. */
		if (x < 0 && attempt == 0 &&
		    sd_bus_error_has_name(&error, "org.freedesktop.systemd1.UnitExists")) {
			sd_bus_error_free(&error);
			reset_failed(bus, r->unit);
			x = 0;
			continue;
		}
		x = x < 0 ? start_failed(x, &error, r->unit, e)
			  : await_job(bus, &j, "start systemd unit", r->unit, e);
		break;
	}
	sd_bus_error_free(&error);
	sd_bus_slot_unref(slot);
	job_done(&j);
	return x;
}

/* ---- a living scope ---------------------------------------------------------------------------- */

/* *ret_ours false: there is none, or it is somebody else's. */
static int check_ours(sd_bus *bus, const struct systemd_request *r, bool *ret_ours, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *description = NULL;
	sd_bus_message *reply = NULL;
	const char *path;
	int x = sd_bus_call_method(bus, DESTINATION, MANAGER, IFACE, "GetUnit", &error, &reply, "s",
				   r->unit);

	*ret_ours = false;
	if (x >= 0)
		x = sd_bus_message_read(reply, "o", &path);
	if (x >= 0) {
		sd_bus_error_free(&error);
		x = sd_bus_get_property_string(bus, DESTINATION, path, IFACE_UNIT, "Description",
					       &error, &description);
	}
	if (x >= 0)
		*ret_ours = STREQ(description, r->description);
	else if (sd_bus_error_has_name(&error, "org.freedesktop.systemd1.NoSuchUnit") ||
		 sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
		x = 0;
	else
		bus_failed(x, &error, "look at systemd unit", r->unit, e);
	sd_bus_error_free(&error);
	sd_bus_message_unref(reply);
	return x < 0 ? x : 0;
}

int systemd_bus_stop(sd_bus *bus, const struct systemd_request *r, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	sd_bus_slot *slot = NULL;
	struct job j = {0};
	bool ours;
	int x = check_ours(bus, r, &ours, e);

	if (x < 0 || !ours)
		return x;
	x = watch_jobs(bus, &j, &slot, e);
	if (x == 0)
		x = new_call(bus, "StopUnit", &m, e);
	if (x == 0) {
		x = sd_bus_message_append(m, "ss", r->unit, "replace");
		if (x >= 0)
			x = call_job(bus, m, &j, &error);
		if (x >= 0)
			x = await_job(bus, &j, "stop systemd unit", r->unit, e);
		else if (sd_bus_error_has_name(&error, "org.freedesktop.systemd1.NoSuchUnit"))
			x = 0;
		else
			bus_failed(x, &error, "stop systemd unit", r->unit, e);
	}
	if (x == 0)
		reset_failed(bus, r->unit);
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	sd_bus_slot_unref(slot);
	job_done(&j);
	return x;
}

int systemd_bus_attach(sd_bus *bus, const struct systemd_request *r, pid_t pid, struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int x = sd_bus_call_method(bus, DESTINATION, MANAGER, IFACE, "AttachProcessesToUnit",
				   &error, NULL, "ssau", r->unit, "", 1, (uint32_t)pid);

	if (x < 0)
		bus_failed(x, &error, "move a process into systemd unit", r->unit, e);
	sd_bus_error_free(&error);
	return x < 0 ? x : 0;
}

int systemd_bus_set(sd_bus *bus, const struct systemd_request *r, const struct json *properties,
		    struct err *e)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	struct json_at top = json_top(properties);
	sd_bus_message *m = NULL;
	int x;

	if (!properties || json_array_len(&top) == 0)
		return 0;
	x = new_call(bus, "SetUnitProperties", &m, e);
	if (x < 0)
		return x;
	x = sd_bus_message_append(m, "sb", r->unit, 1);
	if (x >= 0)
		x = sd_bus_message_open_container(m, 'a', "(sv)");
	if (x >= 0)
		x = systemd_append_properties(m, properties, e);
	if (x >= 0)
		x = sd_bus_message_close_container(m);
	if (x >= 0)
		x = sd_bus_call(bus, m, CALL_USEC, &error, NULL);
	if (x < 0 && (error.message || !e || !e->kind))
		bus_failed(x, &error, "set properties of systemd unit", r->unit, e);
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	return x < 0 ? x : 0;
}
