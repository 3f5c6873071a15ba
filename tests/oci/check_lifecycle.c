/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations: create, start, kill, delete, state, in the order they are meant for and in others (runtime.md).
 */
#include "suite.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const holds[] = {"process.args", "[\"/inspect\", \"hold\"]", NULL};
static const char *const ends[] = {"process.args", "[\"/inspect\", \"exit\", \"3\"]", NULL};

static void want_status(const struct box *b, const char *wanted)
{
	char *status = box_state(b, "status");

	if (strcmp(status, wanted) != 0)
		check_fail("the status is '%s', wanted '%s'", status, wanted);
	free(status);
}

static void want_error(int code, const char *what)
{
	if (code == 0)
		check_fail("%s works", what);
}

/* ---- create ----------------------------------------------------------------------------- */

static void created(const struct check *c)
{
	struct box b;

	(void)c;
	box_created(&b, holds);
	want_status(&b, "created");
	if (kill(box_pid(&b), 0) < 0)
		check_fail("there is no process %d", box_pid(&b));
}

static void process_waits(const struct check *c)
{
	struct box b;
	char *text;

	(void)c;
	box_created(&b,
		    LIST("process.args",
			 "[\"/bin/sh\", \"-c\", \"echo ran > /work/ran; exec /inspect hold\"]"));
	text = slurp("%s/work/ran", b.rootfs);
	if (text)
		check_fail("the program ran before start");
	if (box_start(&b) != 0)
		check_fail("start failed");
	box_await_line(&b, "ready");
	if (!slurp("%s/work/ran", b.rootfs))
		check_fail("the program did not run after start");
}

static void config_is_read_once(const struct check *c)
{
	struct box b;

	(void)c;
	box_created(&b, LIST("process.args", "[\"/inspect\", \"first\", \"hold\"]", "hostname",
			     "\"first\""));
	box_change(&b, LIST("process.args", "[\"/inspect\", \"second\", \"hold\"]", "hostname",
			    "\"second\""));
	if (box_start(&b) != 0)
		check_fail("start failed");
	box_await_line(&b, "arg1=first");
	box_await_line(&b, "hostname=first");
}

static void config_may_vanish(const struct check *c)
{
	struct box b;
	char path[200];

	(void)c;
	box_created(&b, holds);
	snprintf(path, sizeof(path), "%s/config.json", b.bundle);
	unlink(path);
	if (box_start(&b) != 0)
		check_fail("start failed");
	box_await_line(&b, "ready");
	box_kill(&b, "KILL");
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
}

static void id_twice(const struct check *c)
{
	struct box b, other;

	(void)c;
	box_started(&b, holds);
	box_await_line(&b, "ready");
	pid_t pid = box_pid(&b);

	box_bundle(&other, holds);
	want_error(runtime_verb("twice", LIST("create", "--bundle", other.bundle, b.id)),
		   "a second create of the id");
	want_status(&b, "running");
	if (box_pid(&b) != pid)
		check_fail("the first container changed");
}

static void id_again(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, ends);
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	if (box_create(&b) != 0)
		check_fail("create of the same id failed: %s", complaint(b.id));
	want_status(&b, "created");
}

static void bad_id(const struct check *c)
{
	struct box b;

	box_bundle(&b, holds);
	want_error(runtime_verb("bad-id", LIST("create", "--bundle", b.bundle, c->arg)), "create");
}

static void no_words(const struct check *c)
{
	want_error(runtime_verb("no-words", LIST(c->arg)), c->arg);
}

static void unknown_id(const struct check *c)
{
	want_error(runtime_verb("unknown", LIST(c->arg, "ocisuite-nobody")), c->arg);
}

static void unapplied_leaves_nothing(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b,
		   LIST("mounts[]",
			"{\"destination\": \"/m\", \"type\": \"tmpfs\", \"source\": \"x\"}",
			"mounts[]",
			"{\"destination\": \"/m/n\", \"type\": \"nosuchfs\", \"source\": \"x\"}",
			"linux.resources.pids", "{\"limit\": 50}"));
	want_error(box_create(&b), "create");
	box_must_be_gone(&b);
	/* The id is free. */
	box_change(&b, LIST("mounts", "[]"));
	if (box_create(&b) != 0)
		check_fail("a create without the fault fails: %s", complaint(b.id));
}

/* ---- start ------------------------------------------------------------------------------ */

static void running(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, holds);
	box_await_line(&b, "ready");
	want_status(&b, "running");
}

static void stopped(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, ends);
	box_await(&b, "stopped");
}

static void start_running(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, holds);
	box_await_line(&b, "ready");
	pid_t pid = box_pid(&b);

	want_error(box_start(&b), "start");
	want_status(&b, "running");
	if (box_pid(&b) != pid)
		check_fail("it is another process now");
}

static void start_stopped(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, ends);
	box_await(&b, "stopped");
	want_error(box_start(&b), "start");
	want_status(&b, "stopped");
}

static void start_without_process(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, LIST("process", "null"));
	if (box_create(&b) != 0)
		return; /* refused at once: it could not be started either */
	want_error(box_start(&b), "start");
}

static void create_without_process(const struct check *c)
{
	struct box b;

	(void)c;
	box_created(&b, LIST("process", "null"));
	want_status(&b, "created");
}

static void program_missing(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, LIST("process.args", "[\"/no/such/program\"]"));
	if (box_create(&b) == 0)
		want_error(box_start(&b), "start");
}

/* ---- kill ------------------------------------------------------------------------------- */

static void signal_arrives(const struct check *c)
{
	struct box b;
	char line[32];

	box_started(&b, holds);
	box_await_line(&b, "ready");
	if (box_kill(&b, c->arg) != 0)
		check_fail("kill failed");
	snprintf(line, sizeof(line), "signal=%s",
		 isdigit((unsigned char)*c->arg) ? "USR2" : c->arg);
	box_await_line(&b, line);
}

static void kill_created(const struct check *c)
{
	struct box b;

	(void)c;
	box_created(&b, holds);
	if (box_kill(&b, "KILL") != 0)
		check_fail("kill failed");
	box_await(&b, "stopped");
}

static void kill_stopped(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, ends);
	box_await(&b, "stopped");
	want_error(box_kill(&b, "TERM"), "kill");
	want_status(&b, "stopped");
}

static void kill_by_no_signal(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, holds);
	box_await_line(&b, "ready");
	want_error(box_kill(&b, "NOSUCHSIGNAL"), "kill");
	want_status(&b, "running");
}

/* ---- delete ----------------------------------------------------------------------------- */

static void deleted(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, LIST("process.args", "[\"/inspect\", \"exit\", \"0\"]", "mounts[]",
			     "{\"destination\": \"/m\", \"type\": \"tmpfs\", \"source\": \"x\"}"));
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	box_must_be_gone(&b);
}

static void delete_running(const struct check *c)
{
	struct box b;

	(void)c;
	box_started(&b, holds);
	box_await_line(&b, "ready");
	want_error(box_delete(&b), "delete");
	want_status(&b, "running");
	box_kill(&b, "USR1");
	box_await_line(&b, "signal=USR1");
}

static void delete_created(const struct check *c)
{
	struct box b;

	(void)c;
	box_created(&b, holds);
	want_error(box_delete(&b), "delete");
	want_status(&b, "created");
}

static void bundle_stays(const struct check *c)
{
	struct box b;
	char *text, path[200];

	(void)c;
	box_bundle(&b, LIST("mounts[]",
			    "{\"destination\": \"/m\", \"source\": \"@BUNDLE@/volume\", \"type\": "
			    "\"none\", \"options\": [\"bind\"]}",
			    "process.args", "[\"/inspect\", \"exit\", \"0\"]"));
	snprintf(path, sizeof(path), "%s/volume", b.bundle);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/volume/kept", b.bundle);
	put_file(path, "kept\n", 0644);
	if (box_create(&b) != 0 || box_start(&b) != 0)
		check_fail("it does not start: %s", complaint(b.id));
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	text = slurp("%s", path);
	if (!text || !slurp("%s/etc/plain", b.rootfs) || !slurp("%s/config.json", b.bundle))
		check_fail("files of the bundle or of a bound directory are gone");
}

/* What the process left running inside goes with it. */
static void processes_are_gone(const struct check *c)
{
	struct box b;
	char *procs;

	(void)c;
	box_started(&b, LIST("process.args", "[\"/bin/sh\", \"-c\", \"/inspect hold & exit 0\"]"));
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	procs = slurp("/sys/fs/cgroup/pids%s/cgroup.procs", b.cgroup);
	if (procs && *procs)
		check_fail("a process is left in the group");
	box_must_be_gone(&b);
}

/* ---- state ------------------------------------------------------------------------------ */

static void state_member(const struct check *c)
{
	struct box b;
	char *value;

	box_created(&b, LIST("process.args", "[\"/inspect\", \"hold\"]", "annotations",
			     "{\"com.example.key\": \"value\", \"com.example.empty\": \"\"}"));
	value = box_state(&b, c->arg);
	if (!*value)
		check_fail("%s is missing", c->arg);
	if (strcmp(c->arg, "id") == 0 && strcmp(value, b.id) != 0)
		check_fail("id: '%s'", value);
	if (strcmp(c->arg, "bundle") == 0 && strcmp(value, b.bundle) != 0)
		check_fail("bundle: '%s', wanted '%s'", value, b.bundle);
	if (strcmp(c->arg, "pid") == 0 && kill(atoi(value), 0) < 0)
		check_fail("there is no process %s", value);
	if (strcmp(c->arg, "annotations") == 0 &&
	    (!strstr(value, "\"com.example.key\"") || !strstr(value, "\"value\"") ||
	     !strstr(value, "\"com.example.empty\"")))
		check_fail("annotations: %s", value);
	if (strcmp(c->arg, "ociVersion") == 0 &&
	    (!isdigit((unsigned char)value[0]) || value[1] != '.' || !strchr(value + 2, '.')))
		check_fail("ociVersion: '%s'", value);
}

static void bundle_is_absolute(const struct check *c)
{
	struct box b;
	char *value;

	(void)c;
	box_bundle(&b, holds);
	if (chdir(b.bundle) < 0 || runtime_verb(b.id, LIST("create", "--bundle", ".", b.id)) != 0)
		check_fail("create in the bundle failed: %s", complaint(b.id));
	value = box_state(&b, "bundle");
	if (strcmp(value, b.bundle) != 0)
		check_fail("bundle: '%s', wanted '%s'", value, b.bundle);
}

static void without_annotations(const struct check *c)
{
	struct box b;
	char *value;

	(void)c;
	box_created(&b, holds);
	value = box_state(&b, "annotations");
	if (*value && strcmp(value, "{}") != 0 && strcmp(value, "{ }") != 0)
		check_fail("annotations: %s", value);
}

#define WITHOUT_ID(verb, requirement)                                                       \
	{                                                                                   \
		"lifecycle." verb ".no-id", requirement, verb " without an id is an error", \
			.run = no_words, .arg = verb                                        \
	}
#define UNKNOWN_ID(verb, requirement)                                                        \
	{                                                                                    \
		"lifecycle." verb ".unknown-id", requirement,                                \
			verb " of an unknown id is an error", .run = unknown_id, .arg = verb \
	}
#define BAD_ID(name, id)                                                                          \
	{                                                                                         \
		"lifecycle.create.id." name, "CreateWithUniqueID", "the id '" id "' is an error", \
			.run = bad_id, .arg = id                                                  \
	}
#define STATE(member)                                                                          \
	{                                                                                      \
		"lifecycle.state." member, "QueryStateImplement", member, .run = state_member, \
									  .arg = member        \
	}

static const struct check lifecycle_checks[] = {
	{"lifecycle.create", "CreateNewContainer", "the status is 'created', there is a process",
	 .run = created},
	{"lifecycle.create.waits", "ProcNotRunAtResRequest",
	 "the program does not run before start", .run = process_waits},
	{"lifecycle.create.config-once", "ConfigUpdatesWithoutAffect",
	 "changes of config.json after create have no effect", .run = config_is_read_once},
	{"lifecycle.create.config-gone", "ConfigUpdatesWithoutAffect",
	 "start, kill and delete work without config.json", .run = config_may_vanish},
	{"lifecycle.create.twice", "CreateWithUniqueID",
	 "the same id again is an error, the first container stays", .run = id_twice},
	{"lifecycle.create.again", "runtimeDelete", "after delete the id is free", .run = id_again},
	BAD_ID("slash", "a/b"),
	BAD_ID("dots", ".."),
	BAD_ID("climbs", "../../tmp/x"),
	{"lifecycle.create.unapplied", "PropApplyFailNotCreate",
	 "what cannot be applied leaves no container, group, mount",
	 .run = unapplied_leaves_nothing},
	{"lifecycle.create.no-process", "configProcess", "process may be absent at create",
	 .run = create_without_process},
	{"lifecycle.start", "StartProcImplement", "the status is 'running'", .run = running},
	{"lifecycle.start.ends", "ProcImplement", "and 'stopped' when the process has ended",
	 .run = stopped},
	{"lifecycle.start.running", "StartNotCreatedGenError",
	 "start of a running one is an error, which runs on", .run = start_running},
	{"lifecycle.start.stopped", "StartNotCreatedHaveNoEffect",
	 "start of a stopped one is an error, which stays stopped", .run = start_stopped},
	{"lifecycle.start.no-process", "StartWithProcUnsetGenError",
	 "without process there is an error", .run = start_without_process},
	{"lifecycle.start.no-program", "EnvCreateError", "a program that is not there is an error",
	 .run = program_missing},
	{"lifecycle.kill.USR1", "KillSignalImplement", "by name", .run = signal_arrives,
	 .arg = "USR1"},
	{"lifecycle.kill.number", "KillSignalImplement", "by number (12)", .run = signal_arrives,
	 .arg = "12"},
	{"lifecycle.kill.HUP", "KillSignalImplement", "HUP", .run = signal_arrives, .arg = "HUP"},
	{"lifecycle.kill.WINCH", "KillSignalImplement", "WINCH", .run = signal_arrives,
	 .arg = "WINCH"},
	{"lifecycle.kill.created", "KillSignalImplement", "kill of a created one",
	 .run = kill_created},
	{"lifecycle.kill.stopped", "KillNonCreateRunGenError", "kill of a stopped one is an error",
	 .run = kill_stopped},
	{"lifecycle.kill.no-signal", "ValidValues",
	 "an unknown signal is an error, the process runs on", .run = kill_by_no_signal},
	{"lifecycle.delete", "DeleteResImplement", "nothing is left: state, group, mounts",
	 .run = deleted},
	{"lifecycle.delete.running", "DeleteNonStopGenError",
	 "delete of a running one is an error, which runs on", .run = delete_running},
	{"lifecycle.delete.created", "DeleteNonStopHaveNoEffect",
	 "delete of a created one is an error, which stays", .run = delete_created},
	{"lifecycle.delete.bundle", "DeleteOnlyCreatedRes", "the bundle and what was bound stay",
	 .run = bundle_stays},
	{"lifecycle.delete.processes", "UndoCreateSteps",
	 "further processes end with the first one", .run = processes_are_gone},
	WITHOUT_ID("state", "QueryWithoutIDGenError"),
	WITHOUT_ID("create", "CreateWithBundlePathAndID"),
	WITHOUT_ID("start", "StartWithoutIDGenError"),
	WITHOUT_ID("kill", "KillWithoutIDGenError"),
	WITHOUT_ID("delete", "DeleteWithoutIDGenError"),
	UNKNOWN_ID("state", "QueryNonExistGenError"),
	UNKNOWN_ID("start", "StartNotCreatedGenError"),
	UNKNOWN_ID("kill", "KillNonCreateRunGenError"),
	UNKNOWN_ID("delete", "DeleteNonStopGenError"),
	STATE("ociVersion"),
	STATE("id"),
	STATE("status"),
	STATE("pid"),
	STATE("bundle"),
	STATE("annotations"),
	{"lifecycle.state.bundle.absolute", "runtimeState",
	 "bundle is absolute though create was given '.'", .run = bundle_is_absolute},
	{"lifecycle.state.annotations.none", "runtimeState",
	 "without annotations an empty map, or none", .run = without_annotations},
};
CHECKS(lifecycle_checks);
