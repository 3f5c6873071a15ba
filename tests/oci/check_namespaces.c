/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces: new ones, those of the caller, those of a path; id maps; time offsets (config-linux.md).
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *type, *file;
	int flag;
} kinds[] = {
	{"pid", "pid", CLONE_NEWPID},          {"network", "net", CLONE_NEWNET},
	{"mount", "mnt", CLONE_NEWNS},         {"ipc", "ipc", CLONE_NEWIPC},
	{"uts", "uts", CLONE_NEWUTS},          {"user", "user", CLONE_NEWUSER},
	{"cgroup", "cgroup", CLONE_NEWCGROUP}, {"time", "time", 0x00000080},
};

static size_t kind_of(const char *type)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return i;
	check_fail("fixture: %s", type);
}

static void ns_of(const char *who, const char *file, char *ret, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", who, file);
	ssize_t n = readlink(path, ret, size - 1);

	if (n < 0)
		check_skip("this kernel has no %s namespaces", file);
	ret[n] = '\0';
}

/* The list of an ordinary container, without or with the type, or with it by a path. */
static void namespaces_json(const char *type, const char *path, bool with, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "[");
	const char *comma = "";

	for (size_t i = 0; i < COUNT(kinds); i++) {
		bool ordinary = i < 5, is = strcmp(kinds[i].type, type) == 0;

		if (is ? !with : !ordinary)
			continue;
		n += (size_t)snprintf(ret + n, size - n, "%s{\"type\": \"%s\"", comma,
				      kinds[i].type);
		if (is && path)
			n += (size_t)snprintf(ret + n, size - n, ", \"path\": \"%s\"", path);
		n += (size_t)snprintf(ret + n, size - n, "}");
		comma = ", ";
	}
	snprintf(ret + n, size - n, "]");
}

#define MAP_0 "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]"

/* Where its user namespace is a new one, the container's ids own the files. */
static char *report_with(struct box *b, const char *type, const char *path, bool with)
{
	char json[512];
	bool new_user = strcmp(type, "user") == 0 && with && !path;

	namespaces_json(type, path, with, json, sizeof(json));
	box_bundle(b, LIST("linux.namespaces", json));
	/* What belongs to such a namespace cannot be mounted without it. */
	if (!with && strcmp(type, "network") == 0)
		box_change(b, LIST("mounts", "[{\"destination\": \"/proc\", \"type\": \"proc\", "
					     "\"source\": \"proc\"},"
					     "{\"destination\": \"/dev\", \"type\": \"tmpfs\", "
					     "\"source\": \"tmpfs\"}]"));
	if (new_user)
		box_change(b, LIST("linux.uidMappings", MAP_0, "linux.gidMappings", MAP_0));
	if (runtime_verb(b->id, LIST("run", "--bundle", b->bundle, b->id)) != 0)
		check_fail("run failed: %s", complaint(b->id));
	return text_of(b->id, "out");
}

static void is_new(const struct check *c)
{
	const char *file = kinds[kind_of(c->arg)].file;
	char ours[64], key[32], *theirs;
	struct box b;

	ns_of("self", file, ours, sizeof(ours));
	snprintf(key, sizeof(key), "ns.%s", file);
	theirs = report_get(report_with(&b, c->arg, NULL, true), key);
	if (!theirs || strcmp(theirs, ours) == 0)
		check_fail("it is in %s, as we are", theirs ? theirs : "none");
}

static void is_the_callers(const struct check *c)
{
	const char *file = kinds[kind_of(c->arg)].file;
	char ours[64], want[128];
	struct box b;

	ns_of("self", file, ours, sizeof(ours));
	snprintf(want, sizeof(want), "ns.%s=%s", file, ours);
	report_want(report_with(&b, c->arg, NULL, false), LIST(want));
}

/* A process that holds namespaces of one kind, with a child in them where only children are. */
static pid_t holder(size_t kind)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		check_fail("fixture: pipe");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(kinds[kind].flag) < 0)
			_exit(1);
		if (strcmp(kinds[kind].type, "pid") == 0 || strcmp(kinds[kind].type, "time") == 0) {
			if (fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				(void)!write(ready[1], "x", 1);
				for (;;)
					pause();
			}
		} else {
			(void)!write(ready[1], "x", 1);
		}
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		check_skip("such a namespace cannot be made here");
	return pid;
}

static void holder_path(size_t kind, pid_t pid, char *path, size_t size)
{
	bool of_children =
		strcmp(kinds[kind].type, "pid") == 0 || strcmp(kinds[kind].type, "time") == 0;

	snprintf(path, size, "/proc/%d/ns/%s%s", pid, kinds[kind].file,
		 of_children ? "_for_children" : "");
}

static void write_map(pid_t pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	put_file(path, "0 0 4294967295\n", 0644);
}

static void is_that_of_the_path(const struct check *c)
{
	size_t kind = kind_of(c->arg);
	pid_t pid = holder(kind);
	char path[64], want[128], target[64];
	struct box b;

	if (strcmp(c->arg, "user") == 0)
		write_map(pid, "uid_map"), write_map(pid, "gid_map");
	holder_path(kind, pid, path, sizeof(path));
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		check_skip("this kernel has no %s namespaces", c->arg);
	target[n] = '\0';
	snprintf(want, sizeof(want), "ns.%s=%s", kinds[kind].file, target);
	report_want(report_with(&b, c->arg, path, true), LIST(want));
}

static void namespaces_refused(const struct check *c)
{
	struct box b;

	box_bundle(&b, LIST("linux.namespaces", c->arg));
	if (box_create(&b) == 0)
		check_fail("accepted");
	box_must_be_gone(&b);
}

/* ---- user namespaces --------------------------------------------------------------------- */

static const char *const mapped[] = {
	"linux.namespaces",
	"[{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, "
	"{\"type\": \"mount\"},"
	" {\"type\": \"user\"}]",
	"linux.uidMappings",
	"[{\"containerID\": 0, \"hostID\": 100000, \"size\": 1000}, {\"containerID\": 1000, "
	"\"hostID\": 200000, \"size\": 5}]",
	"linux.gidMappings",
	"[{\"containerID\": 0, \"hostID\": 300000, \"size\": 1000}]",
	"process.args",
	"[\"/inspect\", \"cat\", \"/proc/self/uid_map\", \"stat\", \"/dev/null\", \"stat\", "
	"\"/etc/plain\"]",
	NULL,
};

static void files_keep_their_owner(const struct check *c)
{
	struct box b;
	struct stat before, after;
	char path[256];

	(void)c;
	box_bundle(&b, mapped);
	snprintf(path, sizeof(path), "%s/etc/plain", b.rootfs);
	stat(path, &before);
	if (runtime_verb(b.id, LIST("run", "--bundle", b.bundle, b.id)) != 0)
		check_fail("run failed: %s", complaint(b.id));
	if (stat(path, &after) < 0 || before.st_uid != after.st_uid ||
	    before.st_gid != after.st_gid)
		check_fail("the owner changed from %u to %u", before.st_uid, after.st_uid);
}

static void ids_on_the_host(const struct check *c)
{
	struct box b;
	char *status;

	(void)c;
	box_bundle(&b, mapped);
	box_change(&b, LIST("process.args", "[\"/inspect\", \"hold\"]", "process.user",
			    "{\"uid\": 7, \"gid\": 8}"));
	if (box_create(&b) != 0 || box_start(&b) != 0)
		check_fail("it does not start: %s", complaint(b.id));
	box_await_line(&b, "ready");
	status = slurp("/proc/%d/status", box_pid(&b));
	if (!strstr(status, "Uid:\t100007\t100007") || !strstr(status, "Gid:\t300008\t300008"))
		check_fail("the process has other ids on the host");
}

/* ---- time ------------------------------------------------------------------------------- */

#define WITH_TIME                                                                         \
	"[{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"}, {\"type\": " \
	"\"uts\"}, {\"type\": \"mount\"},"                                                \
	" {\"type\": \"time\"}]"

/* /proc/uptime is CLOCK_BOOTTIME of the reader's namespace. */
static void clocks_are_ahead(const struct check *c)
{
	struct box b;
	struct timespec now;
	char *report, *value;

	(void)c;
	report = box_run(&b, LIST("linux.namespaces", WITH_TIME, "linux.timeOffsets",
				  "{\"boottime\": {\"secs\": 1000000}, \"monotonic\": {\"secs\": "
				  "5, \"nanosecs\": 7}}",
				  "process.args", "[\"/inspect\", \"cat\", \"/proc/uptime\"]"));
	value = report_get(report, "cat /proc/uptime");
	clock_gettime(CLOCK_BOOTTIME, &now);
	double ahead = strtod(value ? value : "0", NULL) - (double)now.tv_sec;

	if (ahead < 999000 || ahead > 1001000)
		check_fail("the clock since boot is %.0f s ahead, wanted 1000000", ahead);
}

#define ONE(type) "{\"type\": \"" type "\"}"
#define NEW(type, what)                                                                     \
	{                                                                                   \
		"linux.namespaces." type ".new", "NSNewNSWithoutPath", what, .run = is_new, \
									     .arg = type    \
	}
#define INHERITED(type)                                                                \
	{                                                                              \
		"linux.namespaces." type ".inherited", "NSInheritWithoutType",         \
			"not listed: the caller's", .run = is_the_callers, .arg = type \
	}
#define JOINED(type)                                                                       \
	{                                                                                  \
		"linux.namespaces." type ".path", "NSProcInPath", "with a path: that one", \
			.run = is_that_of_the_path, .arg = type                            \
	}

static const struct check namespace_checks[] = {
	NEW("pid", "a new one"),
	NEW("network", "a new one"),
	NEW("mount", "a new one"),
	NEW("ipc", "a new one"),
	NEW("uts", "a new one"),
	NEW("user", "a new one, with maps"),
	NEW("cgroup", "a new one"),
	NEW("time", "a new one"),
	{"linux.namespaces.pid.one", "NSNewNSWithoutPath",
	 "the process is the first one of a new pid namespace", LIST(NULL), LIST("pid=1")},
	INHERITED("pid"),
	INHERITED("network"),
	INHERITED("mount"),
	INHERITED("ipc"),
	INHERITED("uts"),
	INHERITED("user"),
	INHERITED("cgroup"),
	INHERITED("time"),
	JOINED("pid"),
	JOINED("network"),
	JOINED("mount"),
	JOINED("ipc"),
	JOINED("uts"),
	JOINED("user"),
	JOINED("cgroup"),
	JOINED("time"),
	{"linux.namespaces.path.relative", "NSPathAbs", "a relative path is refused",
	 .run = namespaces_refused,
	 .arg = "[" ONE("mount") ", {\"type\": \"network\", \"path\": \"proc/self/ns/net\"}]"},
	{"linux.namespaces.path.other-type", "NSPathMatchTypeError",
	 "a path to another type is refused", .run = namespaces_refused,
	 .arg = "[" ONE("mount") ", {\"type\": \"network\", \"path\": \"/proc/self/ns/uts\"}]"},
	{"linux.namespaces.path.no-namespace", "NSPathMatchTypeError",
	 "a path to a file is refused", .run = namespaces_refused,
	 .arg = "[" ONE("mount") ", {\"type\": \"network\", \"path\": \"/etc/passwd\"}]"},
	{"linux.namespaces.path.missing", "EnvCreateError", "a path to nothing is refused",
	 .run = namespaces_refused,
	 .arg = "[" ONE("mount") ", {\"type\": \"network\", \"path\": \"/nowhere/net\"}]"},
	{"linux.namespaces.twice", "NSErrorOnDup", "the same type twice is refused",
	 .run = namespaces_refused, .arg = "[" ONE("mount") ", " ONE("uts") ", " ONE("uts") "]"},
	{"linux.namespaces.unknown", "ValidValues", "an unknown type is refused",
	 .run = namespaces_refused, .arg = "[" ONE("mount") ", " ONE("kitchen") "]"},
	{"linux.uidMappings", "configLinuxUserNamespaceMappings", "the map is the configured one",
	 mapped, LIST("cat /proc/self/uid_map=         0     100000       1000", "uid=0")},
	{"linux.gidMappings", "configLinuxUserNamespaceMappings", "the map is the configured one",
	 mapped, LIST("gid_map=         0     300000       1000", "gid=0")},
	{"linux.uidMappings.host", "configLinuxUserNamespaceMappings",
	 "the process has the mapped ids on the host", .run = ids_on_the_host},
	{"linux.uidMappings.devices", "DefaultDevices", "the default devices are there, too",
	 mapped, LIST("stat /dev/null=c")},
	{"linux.uidMappings.files", "UserNSMapOwnershipRO", "the files' owners on the host stay",
	 .run = files_keep_their_owner},
	{"linux.timeOffsets", "configLinuxTimeOffset",
	 "the clock since boot is ahead by the offset", .run = clocks_are_ahead},
	{"linux.timeOffsets.no-namespace", "PropApplyFailGenError",
	 "offsets without a new time namespace are refused",
	 LIST("linux.timeOffsets", "{\"boottime\": {\"secs\": 1000}}"), .refused = true},
};
CHECKS(namespace_checks);
