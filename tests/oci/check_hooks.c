/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks: when, in what order, where, with what on their standard input, and what their failures do (config.md,
 * POSIX-platform Hooks; runtime.md, Lifecycle). Each hook writes its name into BUNDLE/log/order, its standard input, its
 * namespaces and its environment beside it; the process inside writes its name, too.
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

/* clang-format off */
#define SH(command) "{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"" command "\"], \"env\": [\"ONLY=this\"]}"
#define NOTES(name, at)                                                                                              \
	"echo " name " >> " at "/order; /bin/busybox cat > " at "/" name ".state; /bin/busybox env > " at "/" name ".env;" \
	" for n in mnt uts net pid; do /bin/busybox readlink /proc/self/ns/$n; done > " at "/" name ".ns"
#define HOST(name)   SH(NOTES(name, "@BUNDLE@/log"))
#define INSIDE(name) SH(NOTES(name, "/log"))
#define FAILS(name)  SH(NOTES(name, "@BUNDLE@/log") "; exit 1")

#define LOG_MOUNT "mounts[]", \
	"{\"destination\": \"/log\", \"type\": \"none\", \"source\": \"@BUNDLE@/log\", \"options\": [\"bind\"]}"
#define SAYS_PROCESS "process.args", "[\"/bin/sh\", \"-c\", \"echo process >> /log/order; exec /inspect hold\"]"

static const char *const all_hooks[] = {
	LOG_MOUNT, SAYS_PROCESS, "annotations", "{\"com.example.key\": \"value\"}",
	"hooks.prestart", "[" HOST("prestart") "]",
	"hooks.createRuntime", "[" HOST("createRuntime") "]",
	"hooks.createContainer", "[" HOST("createContainer") "]",
	"hooks.startContainer", "[" INSIDE("startContainer") "]",
	"hooks.poststart", "[" HOST("poststart") "]",
	"hooks.poststop", "[" HOST("poststop") "]",
	NULL,
};
/* clang-format on */

static void make_log(const struct box *b)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/log", b->bundle);
	mkdir(path, 0777);
	chmod(path, 0777);
	snprintf(path, sizeof(path), "%s/log/order", b->bundle);
	put_file(path, "", 0666);
}

static void bundle_with(struct box *b, const char *const *changes)
{
	box_bundle(b, LIST(LOG_MOUNT, SAYS_PROCESS));
	make_log(b);
	box_change(b, changes);
}

/* What was called until now: "a b c". Static. */
static const char *order(const struct box *b)
{
	static char words[512];
	char *text = slurp("%s/log/order", b->bundle);

	snprintf(words, sizeof(words), "%s", text ? text : "");
	free(text);
	for (char *p = words; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	if (*words)
		words[strlen(words) - 1] = '\0';
	return words;
}

/* The whole life of a container with all hooks; each step must work. */
struct life {
	struct box b;
	char after_create[128], after_start[256], after_end[256], after_delete[256];
	char ns_mnt[64];
	pid_t pid;
};

static void read_ns(pid_t pid, char *ret, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	ssize_t n = readlink(path, ret, size - 1);

	ret[n < 0 ? 0 : n] = '\0';
}

static void live(struct life *l)
{
	box_bundle(&l->b, all_hooks);
	make_log(&l->b);
	if (box_create(&l->b) != 0)
		check_fail("create failed: %s", complaint(l->b.id));
	snprintf(l->after_create, sizeof(l->after_create), "%s", order(&l->b));
	l->pid = box_pid(&l->b);
	read_ns(l->pid, l->ns_mnt, sizeof(l->ns_mnt));
	if (box_start(&l->b) != 0)
		check_fail("start failed");
	snprintf(l->after_start, sizeof(l->after_start), "%s", order(&l->b));
	box_await_line(&l->b, "ready");
	box_kill(&l->b, "KILL");
	box_await(&l->b, "stopped");
	snprintf(l->after_end, sizeof(l->after_end), "%s", order(&l->b));
	if (box_delete(&l->b) != 0)
		check_fail("delete failed");
	snprintf(l->after_delete, sizeof(l->after_delete), "%s", order(&l->b));
}

/* ---- when ------------------------------------------------------------------------------- */

static void at_create(const struct check *c)
{
	struct life l;

	live(&l);
	if (strcmp(c->arg, "") == 0) {
		if (strcmp(l.after_create, "prestart createRuntime createContainer") != 0)
			check_fail("after create: '%s'", l.after_create);
	} else if (!strstr(l.after_create, c->arg)) {
		check_fail("after create: '%s'", l.after_create);
	}
}

static void at_start(const struct check *c)
{
	struct life l;
	const char *hook, *process;

	live(&l);
	hook = strstr(l.after_delete, "startContainer");
	process = strstr(l.after_delete, "process");
	if (strstr(l.after_create, c->arg))
		check_fail("called by create");
	if (!strstr(l.after_start, c->arg))
		check_fail("when start returns: '%s'", l.after_start);
	if (strcmp(c->arg, "startContainer") == 0 && (!process || hook > process))
		check_fail("called after the process: '%s'", l.after_delete);
}

static void at_delete(const struct check *c)
{
	struct life l;

	(void)c;
	live(&l);
	if (strstr(l.after_end, "poststop"))
		check_fail("called before delete");
	if (!strstr(l.after_delete, "poststop"))
		check_fail("when delete returns: '%s'", l.after_delete);
}

/* The resources are gone already when poststop runs. */
static void after_the_end(const struct check *c)
{
	struct box b;
	char *text;

	(void)c;
	bundle_with(&b,
		    LIST("hooks.poststop",
			 "[" SH("for i in /sys/fs/cgroup /sys/fs/cgroup/*; do"
				" test -e $i@CGROUP@/cgroup.procs && echo $i >> @BUNDLE@/log/left; "
				"done; echo poststop >> @BUNDLE@/log/order") "]"));
	if (box_create(&b) != 0)
		check_fail("create failed: %s", complaint(b.id));
	box_kill(&b, "KILL");
	box_await(&b, "stopped");
	box_delete(&b);
	text = slurp("%s/log/left", b.bundle);
	if (!strstr(order(&b), "poststop"))
		check_fail("not called");
	if (text)
		check_fail("the control group was still there");
}

static void listed_order(const struct check *c)
{
	struct box b;
	char member[48];
	static const char three[] = "[" SH("echo one >> @BUNDLE@/log/order") "," SH(
		"echo two >> @BUNDLE@/log/order") "," SH("echo three >> @BUNDLE@/log/order") "]";
	static const char three_inside[] = "[" SH("echo one >> /log/order") "," SH(
		"echo two >> /log/order") "," SH("echo three >> /log/order") "]";

	snprintf(member, sizeof(member), "hooks.%s", c->arg);
	bundle_with(&b, LIST(member, strcmp(c->arg, "startContainer") == 0 ? three_inside : three));
	if (box_create(&b) != 0 || box_start(&b) != 0)
		check_fail("it does not start: %s", complaint(b.id));
	box_await_line(&b, "ready");
	box_kill(&b, "KILL");
	box_await(&b, "stopped");
	box_delete(&b);
	if (!strstr(order(&b), "one") || !strstr(order(&b), "two") || !strstr(order(&b), "three") ||
	    strstr(order(&b), "one") > strstr(order(&b), "two") ||
	    strstr(order(&b), "two") > strstr(order(&b), "three"))
		check_fail("'%s'", order(&b));
}

/* ---- where, with what ------------------------------------------------------------------- */

static void in_namespace(const struct check *c, bool of_container)
{
	struct life l;
	char ours[64], *theirs;

	live(&l);
	read_ns(getpid(), ours, sizeof(ours));
	theirs = slurp("%s/log/%s.ns", l.b.bundle, c->arg);
	if (!theirs)
		check_fail("not called");
	theirs[strcspn(theirs, "\n")] = '\0';
	if (strcmp(theirs, of_container ? l.ns_mnt : ours) != 0)
		check_fail("its mount namespace is %s%s", theirs,
			   strcmp(theirs, ours) == 0 ? ", the runtime's" : "");
}

static void in_runtime_namespace(const struct check *c)
{
	in_namespace(c, false);
}

static void in_container_namespace(const struct check *c)
{
	in_namespace(c, true);
}

static const char *status_for(const char *hook)
{
	static const struct {
		const char *hook, *status;
	} rows[] = {
		{"prestart", "creating"},        {"createRuntime", "creating"},
		{"createContainer", "creating"}, {"startContainer", "created"},
		{"poststart", "running"},        {"poststop", "stopped"},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(rows[i].hook, hook) == 0)
			return rows[i].status;
	return "";
}

/* One member of what the hook read. */
static char *given(const struct life *l, const char *hook, const char *member)
{
	char *text = slurp("%s/log/%s.state", l->b.bundle, hook), *value = NULL;
	struct json *document = NULL;
	struct err e = ERR_INIT;
	struct json_at top, at, below;
	size_t len;

	if (!text || json_parse(text, strlen(text), "standard input", &document, &e) < 0)
		check_fail("its standard input is no state: %s", e.text);
	top = json_top(document);
	if (!json_member(&top, member, &at))
		check_fail("%s is missing", member);
	if (strcmp(member, "annotations") == 0 && json_member(&at, "com.example.key", &below))
		at = below;
	if (json_peek_string(&at))
		return strdup(json_peek_string(&at));
	json_to_text(at.value, false, &value, &len);
	return value;
}

static void want_given(const struct life *l, const char *hook, const char *member,
		       const char *wanted)
{
	char *value = given(l, hook, member);

	if (strcmp(value, wanted) != 0)
		check_fail("%s: '%s', wanted '%s'", member, value, wanted);
}

static void state_on_stdin(const struct check *c)
{
	struct life l;

	live(&l);
	free(given(&l, c->arg, "ociVersion"));
	want_given(&l, c->arg, "id", l.b.id);
	want_given(&l, c->arg, "bundle", l.b.bundle);
	want_given(&l, c->arg, "annotations", "value");
	want_given(&l, c->arg, "status", status_for(c->arg));
}

static void pid_on_stdin(const struct check *c)
{
	struct life l;
	char pid[16];

	live(&l);
	snprintf(pid, sizeof(pid), "%d", l.pid);
	want_given(&l, c->arg, "pid",
		   strcmp(c->arg, "startContainer") == 0 || strcmp(c->arg, "createContainer") == 0
			   ? "1"
			   : pid);
}

static void environment_given(const struct check *c)
{
	struct life l;
	char *text;

	setenv("OCISUITE_SECRET", "1", 1);
	live(&l);
	text = slurp("%s/log/%s.env", l.b.bundle, c->arg);
	if (!text || !strstr(text, "ONLY=this\n"))
		check_fail("ONLY=this is missing");
	if (strstr(text, "OCISUITE_SECRET"))
		check_fail("it has the runtime's environment");
}

/* ---- failures --------------------------------------------------------------------------- */

static void fails_at_create(const struct check *c)
{
	struct box b;
	char member[48];

	snprintf(member, sizeof(member), "hooks.%s", c->arg);
	bundle_with(&b, LIST(member, "[" FAILS("bad") "," HOST("next") "]", "hooks.poststop",
			     "[" HOST("poststop") "]"));
	if (box_create(&b) == 0)
		check_fail("create works");
	if (!strstr(order(&b), "bad"))
		check_fail("not called");
	box_must_be_gone(&b);
}

static void poststop_after_failure(const struct check *c)
{
	struct box b;
	char member[48];

	snprintf(member, sizeof(member), "hooks.%s", c->arg);
	bundle_with(&b,
		    LIST(member, "[" FAILS("bad") "]", "hooks.poststop", "[" HOST("poststop") "]"));
	if (box_create(&b) == 0)
		check_fail("create works");
	if (!strstr(order(&b), "poststop"))
		check_fail("called: '%s'", order(&b));
}

static bool is_not_running(const void *arg)
{
	const struct box *b = arg;
	char *status = box_state(b, "status");
	bool is = strcmp(status, "") == 0 || strcmp(status, "stopped") == 0;

	free(status);
	return is;
}

static void fails_at_start(const struct check *c)
{
	struct box b;
	char member[48];
	bool inside = strcmp(c->arg, "startContainer") == 0;

	snprintf(member, sizeof(member), "hooks.%s", c->arg);
	bundle_with(&b, LIST(member, inside ? "[" SH("echo bad >> /log/order; exit 1") "]"
					    : "[" FAILS("bad") "]"));
	if (box_create(&b) != 0)
		check_fail("create failed: %s", complaint(b.id));
	if (box_start(&b) == 0)
		check_fail("start works");
	if (!strstr(order(&b), "bad"))
		check_fail("not called");
	if (!await(is_not_running, &b))
		check_fail("the container still runs");
	if (inside && strstr(order(&b), "process"))
		check_fail("the process ran");
}

static void fails_at_delete(const struct check *c)
{
	struct box b;

	(void)c;
	bundle_with(&b, LIST("hooks.poststop", "[" FAILS("bad") "," HOST("next") "]"));
	if (box_create(&b) != 0)
		check_fail("create failed: %s", complaint(b.id));
	box_kill(&b, "KILL");
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	if (strcmp(order(&b), "bad next") != 0)
		check_fail("called: '%s'", order(&b));
	box_must_be_gone(&b);
}

/* The hook would take a minute; it gets a second. */
static void times_out(const struct check *c)
{
	struct box b;
	char member[48];
	struct timespec start, end;

	snprintf(member, sizeof(member), "hooks.%s", c->arg);
	bundle_with(&b, LIST(member, "[{\"path\": \"/bin/sleep\", \"args\": [\"sleep\", \"55\"], "
				     "\"timeout\": 1}]"));
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (box_create(&b) == 0)
		check_fail("create works");
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (end.tv_sec - start.tv_sec > 40)
		check_fail("it took %ld seconds", (long)(end.tv_sec - start.tv_sec));
	box_must_be_gone(&b);
}

static void missing_program(const struct check *c)
{
	struct box b;

	(void)c;
	bundle_with(&b, LIST("hooks.createRuntime", "[{\"path\": \"/nowhere/hook\"}]"));
	if (box_create(&b) == 0)
		check_fail("create works");
	box_must_be_gone(&b);
}

#define WHERE_HOST(name, requirement)                                                        \
	{                                                                                    \
		"hooks." name ".namespace", requirement, "in the runtime's mount namespace", \
			.run = in_runtime_namespace, .arg = name                             \
	}
#define WHERE_INSIDE(name, requirement)                                                        \
	{                                                                                      \
		"hooks." name ".namespace", requirement, "in the container's mount namespace", \
			.run = in_container_namespace, .arg = name                             \
	}
#define GIVEN(name)                                                                     \
	{                                                                               \
		"hooks." name ".state", "PosixHooksStateToStdin",                       \
			"its standard input: version, id, bundle, annotations, status", \
			.run = state_on_stdin, .arg = name                              \
	}
#define GIVEN_PID(name, how)                                                                   \
	{                                                                                      \
		"hooks." name ".pid", "runtimeStatePid", how, .run = pid_on_stdin, .arg = name \
	}
#define LISTED(name)                                                                           \
	{                                                                                      \
		"hooks." name ".order", "PosixHooksCalledInOrder",                             \
			"three of them, in the listed order", .run = listed_order, .arg = name \
	}

static const struct check hook_checks[] = {
	{"hooks.prestart", "PrestartHooksInvoke", "called by create", .run = at_create,
	 .arg = "prestart"},
	{"hooks.createRuntime", "configHooksCreateRuntime", "called by create", .run = at_create,
	 .arg = "createRuntime"},
	{"hooks.createContainer", "configHooksCreateContainer", "called by create",
	 .run = at_create, .arg = "createContainer"},
	{"hooks.create.order", "configHooksCreateContainer",
	 "create calls prestart, createRuntime, createContainer, and nothing else",
	 .run = at_create, .arg = ""},
	{"hooks.startContainer", "configHooksStartContainer", "called by start, before the process",
	 .run = at_start, .arg = "startContainer"},
	{"hooks.poststart", "PoststartTiming", "called by start, before it returns",
	 .run = at_start, .arg = "poststart"},
	{"hooks.poststop", "PoststopTiming", "called by delete, before it returns",
	 .run = at_delete},
	{"hooks.poststop.after", "PoststopHooksInvoke",
	 "the container's group is gone when it is called", .run = after_the_end},
	LISTED("prestart"),
	LISTED("createRuntime"),
	LISTED("createContainer"),
	LISTED("startContainer"),
	LISTED("poststart"),
	LISTED("poststop"),
	WHERE_HOST("prestart", "configHooksNamespace"),
	WHERE_HOST("createRuntime", "configHooksNamespace"),
	WHERE_INSIDE("createContainer", "configHooksNamespace"),
	WHERE_INSIDE("startContainer", "configHooksNamespace"),
	WHERE_HOST("poststart", "configHooksNamespace"),
	WHERE_HOST("poststop", "configHooksNamespace"),
	GIVEN("prestart"),
	GIVEN("createRuntime"),
	GIVEN("createContainer"),
	GIVEN("startContainer"),
	GIVEN("poststart"),
	GIVEN("poststop"),
	GIVEN_PID("createRuntime", "the pid as the host sees it"),
	GIVEN_PID("createContainer", "the pid as the container sees it"),
	GIVEN_PID("startContainer", "the pid as the container sees it"),
	GIVEN_PID("poststart", "the pid as the host sees it"),
	{"hooks.env", "configHooksEntry", "its environment is the listed one",
	 .run = environment_given, .arg = "createRuntime"},
	{"hooks.env.inside", "configHooksEntry", "inside, too", .run = environment_given,
	 .arg = "startContainer"},
	{"hooks.prestart.fails", "PrestartHookFailGenError",
	 "create is an error, and nothing is left", .run = fails_at_create, .arg = "prestart"},
	{"hooks.createRuntime.fails", "runtimeLifecycleHookFails",
	 "create is an error, and nothing is left", .run = fails_at_create, .arg = "createRuntime"},
	{"hooks.createContainer.fails", "runtimeLifecycleHookFails",
	 "create is an error, and nothing is left", .run = fails_at_create,
	 .arg = "createContainer"},
	{"hooks.createRuntime.fails.poststop", "runtimeLifecycleHookFails",
	 "and poststop is called", .run = poststop_after_failure, .arg = "createRuntime"},
	{"hooks.createContainer.fails.poststop", "runtimeLifecycleHookFails",
	 "and poststop is called", .run = poststop_after_failure, .arg = "createContainer"},
	{"hooks.startContainer.fails", "runtimeLifecycleHookFails",
	 "start is an error, the process does not run", .run = fails_at_start,
	 .arg = "startContainer"},
	{"hooks.poststart.fails", "runtimeLifecycleHookFails",
	 "start is an error, the container is stopped", .run = fails_at_start, .arg = "poststart"},
	{"hooks.poststop.fails", "PoststopHookFailGenWarn",
	 "delete works, the next hook is called, nothing is left", .run = fails_at_delete},
	{"hooks.timeout", "configHooksEntry",
	 "a hook is aborted after its timeout, and create is an error", .run = times_out,
	 .arg = "createRuntime"},
	{"hooks.timeout.container", "configHooksEntry", "also createContainer's", .run = times_out,
	 .arg = "createContainer"},
	{"hooks.timeout.zero", "PosixHooksTimeoutPositive", "a timeout of 0 is refused",
	 LIST("hooks.createRuntime", "[{\"path\": \"/bin/true\", \"timeout\": 0}]"),
	 .refused = true},
	{"hooks.timeout.negative", "PosixHooksTimeoutPositive", "a timeout of -1 is refused",
	 LIST("hooks.createRuntime", "[{\"path\": \"/bin/true\", \"timeout\": -1}]"),
	 .refused = true},
	{"hooks.path.relative", "PosixHooksPathAbs", "a relative path is refused",
	 LIST("hooks.createRuntime", "[{\"path\": \"true\"}]"), .refused = true},
	{"hooks.path.missing", "configHooksEntry", "a program that is not there is an error",
	 .run = missing_program},
};
CHECKS(hook_checks);
