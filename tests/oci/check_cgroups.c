/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups: where the container is, what its group allows, as seen from the host on v1 and v2; who owns it
 * (config-linux.md, Control groups and below).
 */
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- limits ----------------------------------------------------------------------------- */

struct limit {
	const char *name; /* of the check */
	const char *member, *value;
	const char *v1_controller, *v1_file, *v1_text;
	const char *v2_controller, *v2_file, *v2_text;
};

#define MIB "67108864"
static const struct limit limits[] = {
	{"memory.limit", "linux.resources.memory", "{\"limit\": " MIB "}", "memory",
	 "memory.limit_in_bytes", MIB, "memory", "memory.max", MIB},
	{"memory.reservation", "linux.resources.memory", "{\"reservation\": " MIB "}", "memory",
	 "memory.soft_limit_in_bytes", MIB, "memory", "memory.low", MIB},
	{"memory.swap", "linux.resources.memory", "{\"limit\": " MIB ", \"swap\": 134217728}",
	 "memory", "memory.memsw.limit_in_bytes", "134217728", "memory", "memory.swap.max", MIB},
	{"memory.unlimited", "linux.resources.memory", "{\"limit\": -1}", "memory",
	 "memory.limit_in_bytes", "9223372036854771712", "memory", "memory.max", "max"},
	{"memory.swappiness", "linux.resources.memory", "{\"swappiness\": 33}", "memory",
	 "memory.swappiness", "33", NULL, NULL, NULL},
	{"memory.disableOOMKiller", "linux.resources.memory",
	 "{\"limit\": " MIB ", \"disableOOMKiller\": true}", "memory", "memory.oom_control",
	 "oom_kill_disable 1", NULL, NULL, NULL},
	{"cpu.shares", "linux.resources.cpu", "{\"shares\": 512}", "cpu", "cpu.shares", "512",
	 "cpu", "cpu.weight", "20"},
	{"cpu.quota", "linux.resources.cpu", "{\"quota\": 20000, \"period\": 50000}", "cpu",
	 "cpu.cfs_quota_us", "20000", "cpu", "cpu.max", "20000 50000"},
	{"cpu.period", "linux.resources.cpu", "{\"quota\": 20000, \"period\": 50000}", "cpu",
	 "cpu.cfs_period_us", "50000", "cpu", "cpu.max", "20000 50000"},
	{"cpu.burst", "linux.resources.cpu",
	 "{\"quota\": 20000, \"period\": 50000, \"burst\": 10000}", "cpu", "cpu.cfs_burst_us",
	 "10000", "cpu", "cpu.max.burst", "10000"},
	{"cpu.idle", "linux.resources.cpu", "{\"idle\": 1}", "cpu", "cpu.idle", "1", "cpu",
	 "cpu.idle", "1"},
	{"cpu.realtimeRuntime", "linux.resources.cpu",
	 "{\"realtimePeriod\": 1000000, \"realtimeRuntime\": 0}", "cpu", "cpu.rt_runtime_us", "0",
	 NULL, NULL, NULL},
	{"cpu.realtimePeriod", "linux.resources.cpu",
	 "{\"realtimePeriod\": 500000, \"realtimeRuntime\": 0}", "cpu", "cpu.rt_period_us",
	 "500000", NULL, NULL, NULL},
	{"cpu.cpus", "linux.resources.cpu", "{\"cpus\": \"0\"}", "cpuset", "cpuset.cpus", "0",
	 "cpuset", "cpuset.cpus", "0"},
	{"cpu.mems", "linux.resources.cpu", "{\"mems\": \"0\"}", "cpuset", "cpuset.mems", "0",
	 "cpuset", "cpuset.mems", "0"},
	{"pids.limit", "linux.resources.pids", "{\"limit\": 123}", "pids", "pids.max", "123",
	 "pids", "pids.max", "123"},
	{"pids.unlimited", "linux.resources.pids", "{\"limit\": -1}", "pids", "pids.max", "max",
	 "pids", "pids.max", "max"},
	{"blockIO.weight", "linux.resources.blockIO", "{\"weight\": 300}", "blkio",
	 "blkio.bfq.weight", "300", "io", "io.bfq.weight", "default 300"},
	{"hugepageLimits", "linux.resources.hugepageLimits",
	 "[{\"pageSize\": \"2MB\", \"limit\": 4194304}]", "hugetlb", "hugetlb.2MB.limit_in_bytes",
	 "4194304", "hugetlb", "hugetlb.2MB.max", "4194304"},
	{"network.classID", "linux.resources.network", "{\"classID\": 1048577}", "net_cls",
	 "net_cls.classid", "1048577", NULL, NULL, NULL},
	{"network.priorities", "linux.resources.network",
	 "{\"priorities\": [{\"name\": \"lo\", \"priority\": 7}]}", "net_prio",
	 "net_prio.ifpriomap", "lo 7", NULL, NULL, NULL},
	{"rdma", "linux.resources.rdma", "{}", "rdma", "rdma.max", "", "rdma", "rdma.max", ""},
	{"unified", "linux.resources.unified", "{\"pids.max\": \"77\"}", NULL, NULL, NULL, "pids",
	 "pids.max", "77"},
};

static const struct limit *limit_named(const char *name)
{
	for (size_t i = 0; i < COUNT(limits); i++)
		if (strcmp(limits[i].name, name) == 0)
			return &limits[i];
	check_fail("fixture: %s", name);
}

/* Whether this machine has it, seen in our own group; the container's is another one. */
static bool machine_has(const struct limit *l, bool *ret_v2)
{
	char dir[512];

	if (l->v1_controller && cgroup_of(getpid(), l->v1_controller, ret_v2, dir, sizeof(dir)) &&
	    !*ret_v2)
		return true;
	return l->v2_controller &&
	       cgroup_of(getpid(), l->v2_controller, ret_v2, dir, sizeof(dir)) && *ret_v2;
}

static bool first_line_is(const char *text, const char *wanted)
{
	size_t len = strlen(wanted);

	return strncmp(text, wanted, len) == 0 && (text[len] == '\n' || !text[len]);
}

static void limit_is_set(const struct check *c)
{
	const struct limit *l = limit_named(c->arg);
	char dir[512], path[640], *text;
	struct box b;
	bool v2;

	if (!machine_has(l, &v2))
		check_skip("no such controller here: %s",
			   l->v2_controller ? l->v2_controller : l->v1_controller);
	char own[512];

	/* Kernels without groups of real time have no such files, not even at the root. */
	if (strncmp(c->arg, "cpu.realtime", 12) == 0 &&
	    cgroup_of(getpid(), "cpu", &v2, own, sizeof(own))) {
		snprintf(path, sizeof(path), "%s/%s", own, l->v1_file);
		if (access(path, F_OK) < 0)
			check_skip("this kernel has no %s", l->v1_file);
	}
	const char *file = v2 ? l->v2_file : l->v1_file, *wanted = v2 ? l->v2_text : l->v1_text;

	box_bundle(&b, LIST(l->member, l->value));
	box_create(&b);
	if (!box_exists(&b)) {
		if (strstr(complaint(b.id), "file") && strcmp(c->arg, "blockIO.weight") == 0)
			check_skip("no I/O scheduler with weights here");
		check_fail("create failed: %s", complaint(b.id));
	}
	if (!cgroup_of(box_pid(&b), v2 ? l->v2_controller : l->v1_controller, &v2, dir,
		       sizeof(dir)))
		check_fail("the container is in no group of the controller");
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	text = slurp("%s", path);
	if (!text)
		check_skip("this kernel has no %s", file);
	if (*wanted && !first_line_is(text, wanted)) {
		text[strcspn(text, "\n")] = '\0';
		check_fail("%s: '%s', wanted '%s'", file, text, wanted);
	}
}

/* With the unified hierarchy only; without one, and without that controller in it, it must be refused. */
static void unified_refused(const struct check *c)
{
	struct box b;

	(void)c;
	box_bundle(&b, LIST("linux.resources.unified", "{\"nosuchcontroller.max\": \"1\"}"));
	if (box_create(&b) == 0)
		check_fail("accepted");
	box_must_be_gone(&b);
}

/* ---- where ------------------------------------------------------------------------------ */

static void group_of_box(const struct box *b, char *dir, size_t size)
{
	bool v2;

	if (!cgroup_of(box_pid(b), "pids", &v2, dir, size))
		check_skip("there is no pids controller");
}

static void absolute_path(const struct check *c)
{
	char dir[512], expected[3][200];
	struct box b;

	(void)c;
	box_created(&b, NULL);
	group_of_box(&b, dir, sizeof(dir));
	snprintf(expected[0], sizeof(expected[0]), "/sys/fs/cgroup%s", b.cgroup);
	snprintf(expected[1], sizeof(expected[1]), "/sys/fs/cgroup/pids%s", b.cgroup);
	snprintf(expected[2], sizeof(expected[2]), "/sys/fs/cgroup/unified%s", b.cgroup);
	/* A runtime may put the process one below, into a group of that group's own (v2 knows no processes in inner groups). */
	for (size_t i = 0; i < 3; i++)
		if (strncmp(dir, expected[i], strlen(expected[i])) == 0)
			return;
	check_fail("it is in %s", dir);
}

static void same_place_twice(const struct check *c)
{
	char first[512], second[512], value[96];
	struct box b;

	snprintf(value, sizeof(value), "\"%s\"", c->arg);
	if (*c->arg)
		box_created(&b, LIST("linux.cgroupsPath", value));
	else
		box_created(&b, NULL);
	group_of_box(&b, first, sizeof(first));
	box_kill(&b, "KILL");
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	if (box_create(&b) != 0)
		check_fail("the second create failed: %s", complaint(b.id));
	group_of_box(&b, second, sizeof(second));
	if (strcmp(first, second) != 0)
		check_fail("first %s, then %s", first, second);
}

static void path_that_climbs(const struct check *c)
{
	char dir[512];
	struct box b;

	(void)c;
	box_bundle(&b, LIST("linux.cgroupsPath", "\"/../../../insula-oci-suite-climbs\""));
	if (box_create(&b) != 0)
		return;
	group_of_box(&b, dir, sizeof(dir));
	if (strstr(dir, ".."))
		check_fail("it is in %s", dir);
	if (access("/insula-oci-suite-climbs", F_OK) == 0)
		check_fail("it left the hierarchy");
}

static void group_is_removed(const struct check *c)
{
	char dir[512];
	struct box b;

	(void)c;
	box_started(&b, LIST("process.args", "[\"/inspect\", \"exit\", \"0\"]"));
	box_await(&b, "stopped");
	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/pids%s", b.cgroup);
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	box_must_be_gone(&b);
}

/* The group above, which the runtime made too, or found, is no container's. */
static void group_above_stays(const struct check *c)
{
	char dir[512], above[600], beside[700];
	struct box b;

	(void)c;
	box_started(&b, LIST("process.args", "[\"/inspect\", \"hold\"]"));
	group_of_box(&b, dir, sizeof(dir));
	/* The suite's own: the one that all containers' groups are in. */
	char *cut = strstr(dir, env.cgroup);

	if (!cut)
		check_fail("it is in %s", dir);
	cut[strlen(env.cgroup)] = '\0';
	snprintf(above, sizeof(above), "%s", dir);
	snprintf(beside, sizeof(beside), "%s/beside", above);
	if (mkdir(beside, 0755) < 0 && errno != EEXIST)
		check_fail("fixture: %s", strerror(errno));
	box_kill(&b, "KILL");
	box_await(&b, "stopped");
	if (box_delete(&b) != 0)
		check_fail("delete failed");
	if (access(beside, F_OK) < 0)
		check_fail("a group beside the container's is gone");
	rmdir(beside);
}

/* v1, or a group that is mounted read-only or not at all, belongs to nobody else. */
static void group_owner(const struct check *c)
{
	char dir[512];
	struct box b;
	struct stat st;

	(void)c;
	box_created(&b, LIST("process.user", "{\"uid\": 1000, \"gid\": 1000}"));
	group_of_box(&b, dir, sizeof(dir));
	if (stat(dir, &st) == 0 && st.st_uid != 0)
		check_fail("the group belongs to %u", st.st_uid);
}

/* ---- devices ---------------------------------------------------------------------------- */

#define LOOK "process.args", "[\"/inspect\", \"read\", \"/dev/zero\", \"write\", \"/work/x\"]"
#define KMSG                                                                                       \
	"linux.devices", "[{\"path\": \"/work/x\", \"type\": \"c\", \"major\": 1, \"minor\": 11, " \
			 "\"fileMode\": 438}]"
#define RULES "linux.resources.devices"
#define RULE(allow, major, minor, access)                                                 \
	"{\"allow\": " allow ", \"type\": \"c\", \"major\": " major ", \"minor\": " minor \
	", \"access\": \"" access "\"}"
#define DENY_ALL "{\"allow\": false, \"access\": \"rwm\"}"

static void with_rules(const struct check *c)
{
	char rules[256];
	struct box b;

	snprintf(rules, sizeof(rules), "[%s]", c->arg);
	report_want(box_run(&b, LIST(KMSG, RULES, rules, LOOK)), c->want);
}

#define LIMIT_CHECK(limit_name, requirement, how)                                     \
	{                                                                             \
		"linux.resources." limit_name, requirement, how, .run = limit_is_set, \
								 .arg = limit_name    \
	}

static const struct check cgroup_checks[] = {
	{"linux.cgroupsPath.absolute", "CgroupsAbsPathRelToMount",
	 "an absolute path is below the mount point", .run = absolute_path},
	{"linux.cgroupsPath.same", "CgroupsPathAttach",
	 "the same absolute path is the same place twice", .run = same_place_twice, .arg = ""},
	{"linux.cgroupsPath.relative", "CgroupsPathAttach",
	 "the same relative path is the same place twice", .run = same_place_twice,
	 .arg = "ocisuite-relative"},
	{"linux.cgroupsPath.climbs", "CgroupsPathError",
	 "'..' is refused, or does not leave the hierarchy", .run = path_that_climbs},
	{"linux.cgroupsPath.removed", "DeleteResImplement", "delete removes the group",
	 .run = group_is_removed},
	{"linux.cgroupsPath.above", "DeleteOnlyCreatedRes",
	 "delete leaves the groups beside and above it", .run = group_above_stays},
	{"linux.cgroupsPath.owner", "configLinuxCgroupOwnership", "the group stays the operator's",
	 .run = group_owner},
	LIMIT_CHECK("memory.limit", "configLinuxMemory", "the limit is in the group's file"),
	LIMIT_CHECK("memory.reservation", "configLinuxMemory", "soft limit (v1), low (v2)"),
	LIMIT_CHECK("memory.swap", "configLinuxMemory",
		    "memory and swap together (v1), swap alone (v2)"),
	LIMIT_CHECK("memory.unlimited", "configLinuxMemory", "-1 is no limit"),
	LIMIT_CHECK("memory.swappiness", "configLinuxMemory", "v1 alone has it"),
	LIMIT_CHECK("memory.disableOOMKiller", "configLinuxMemory", "v1 alone has it"),
	LIMIT_CHECK("cpu.shares", "configLinuxCPU", "shares (v1), weight (v2)"),
	LIMIT_CHECK("cpu.quota", "configLinuxCPU", "microseconds in a period"),
	LIMIT_CHECK("cpu.period", "configLinuxCPU", "the period"),
	LIMIT_CHECK("cpu.burst", "configLinuxCPU", "what may be saved up"),
	LIMIT_CHECK("cpu.idle", "configLinuxCPU", "SCHED_IDLE for the group"),
	LIMIT_CHECK("cpu.realtimeRuntime", "configLinuxCPU", "v1 alone has it"),
	LIMIT_CHECK("cpu.realtimePeriod", "configLinuxCPU", "v1 alone has it"),
	LIMIT_CHECK("cpu.cpus", "configLinuxCPU", "processors"),
	LIMIT_CHECK("cpu.mems", "configLinuxCPU", "memory nodes"),
	LIMIT_CHECK("pids.limit", "configLinuxPIDS", "number of tasks"),
	LIMIT_CHECK("pids.unlimited", "configLinuxPIDS", "-1 is no limit"),
	LIMIT_CHECK("blockIO.weight", "configLinuxBlockIO", "weight"),
	LIMIT_CHECK("hugepageLimits", "configLinuxHugePageLimits", "huge pages"),
	LIMIT_CHECK("network.classID", "configLinuxNetwork", "v1 alone has it"),
	LIMIT_CHECK("network.priorities", "configLinuxNetwork", "v1 alone has it"),
	LIMIT_CHECK("rdma", "configLinuxRDMA", "an empty list asks for nothing"),
	LIMIT_CHECK("unified", "configLinuxUnified", "a file of v2, as it is"),
	{"linux.resources.unified.unknown", "configLinuxUnifiedError",
	 "a controller that is not there is refused", .run = unified_refused},
	{"linux.resources.devices.deny", "configLinuxDeviceAllowedlist",
	 "what is not allowed cannot be opened (/dev/kmsg's number)", .run = with_rules,
	 .arg = DENY_ALL, .want = LIST("write /work/x=EPERM")},
	{"linux.resources.devices.allow", "configLinuxDeviceAllowedlist", "what is allowed can",
	 .run = with_rules, .arg = DENY_ALL "," RULE("true", "1", "11", "rwm"),
	 .want = LIST("write /work/x=ok")},
	{"linux.resources.devices.access", "configLinuxDeviceAllowedlist", "reading is not writing",
	 .run = with_rules, .arg = DENY_ALL "," RULE("true", "1", "11", "r"),
	 .want = LIST("write /work/x=EPERM")},
	{"linux.resources.devices.order", "DevicesApplyInOrder",
	 "allowed, then denied: the last one counts", .run = with_rules,
	 .arg = DENY_ALL "," RULE("true", "1", "11", "rwm") "," RULE("false", "1", "11", "rwm"),
	 .want = LIST("write /work/x=EPERM")},
	{"linux.resources.devices.order.back", "DevicesApplyInOrder", "denied, then allowed",
	 .run = with_rules,
	 .arg = "{\"allow\": true, \"access\": \"rwm\"}," RULE("false", "1", "11", "rwm") "," RULE(
		 "true", "1", "11", "w"),
	 .want = LIST("write /work/x=ok")},
	{"linux.resources.devices.defaults", "DefaultDevices",
	 "the default devices work though all is denied", .run = with_rules, .arg = DENY_ALL,
	 .want = LIST("read /dev/zero=something")},
};
CHECKS(cgroup_checks);
