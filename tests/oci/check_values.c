/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that are invalid, or that this machine cannot give: each is an error of create, and no container is left
 * (config.md, Valid values; runtime.md, Create).
 */
#include "suite.h"

#include <unistd.h>

#define BAD(name, how, member, value)                                                    \
	{                                                                                \
		"values." name, "ValidValues", how, LIST(member, value), .refused = true \
	}
#define WITHIN(name, how, ...)                                                         \
	{                                                                              \
		"values." name, "ValidValues", how, LIST(__VA_ARGS__), .refused = true \
	}

static void refuse_or_skip(const struct check *c, const char *there, const char *what)
{
	struct box b;

	if (access(there, F_OK) == 0)
		check_skip("%s", what);
	box_bundle(&b, c->config);
	/* What is of the process may be applied by start. */
	if (box_create(&b) == 0 && box_start(&b) == 0)
		check_fail("accepted");
}

static void apparmor(const struct check *c)
{
	refuse_or_skip(c, "/sys/kernel/security/apparmor", "this kernel has AppArmor");
}

static void selinux(const struct check *c)
{
	refuse_or_skip(c, "/sys/fs/selinux/status", "this kernel has SELinux");
}

static void resctrl(const struct check *c)
{
	refuse_or_skip(c, "/sys/fs/resctrl/schemata", "resctrl is mounted here");
}

#define RATE(member, value) "linux.resources.blockIO", "{\"" member "\": [" value "]}"

static const struct check value_checks[] = {
	BAD("root.readonly", "a string for a boolean", "root.readonly", "\"yes\""),
	BAD("root.path", "a number for a path", "root.path", "7"),
	BAD("hostname", "a number for a name", "hostname", "7"),
	BAD("hostname.long", "a name that the kernel does not take", "hostname",
	    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "\""),
	WITHIN("hostname.no-uts", "a name without a UTS namespace of its own", "hostname",
	       "\"mine\"", "linux.namespaces",
	       "[{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"network\"}, {\"type\": "
	       "\"ipc\"}]"),
	BAD("process.terminal", "a number for a boolean", "process.terminal", "1"),
	BAD("process.args.type", "a string for an array", "process.args", "\"/inspect\""),
	BAD("process.args.element", "a number among the words", "process.args",
	    "[\"/inspect\", 1]"),
	BAD("process.cwd.missing", "no working directory", "process.cwd", "null"),
	BAD("process.env.type", "an object for an array", "process.env", "{\"A\": \"b\"}"),
	BAD("process.user.uid.negative", "a negative uid", "process.user",
	    "{\"uid\": -1, \"gid\": 0}"),
	BAD("process.user.uid.word", "a name for a uid", "process.user",
	    "{\"uid\": \"root\", \"gid\": 0}"),
	BAD("process.user.uid.huge", "a uid above 32 bits", "process.user",
	    "{\"uid\": 4294967296, \"gid\": 0}"),
	BAD("process.user.umask", "a word for a umask", "process.user",
	    "{\"uid\": 0, \"gid\": 0, \"umask\": \"022\"}"),
	BAD("process.user.additionalGids", "a word among the groups", "process.user",
	    "{\"uid\": 0, \"gid\": 0, \"additionalGids\": [\"wheel\"]}"),
	BAD("process.capabilities", "an array for an object", "process.capabilities",
	    "[\"CAP_KILL\"]"),
	BAD("process.oomScoreAdj.high", "above 1000", "process.oomScoreAdj", "1001"),
	BAD("process.oomScoreAdj.word", "a word", "process.oomScoreAdj", "\"low\""),
	BAD("process.rlimits.order", "a soft limit above the hard one", "process.rlimits",
	    "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 200, \"hard\": 100}]"),
	BAD("process.rlimits.negative", "a negative limit", "process.rlimits",
	    "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": -1, \"hard\": 100}]"),
	BAD("process.scheduler.policy", "an unknown policy", "process.scheduler",
	    "{\"policy\": \"SCHED_FLY\"}"),
	BAD("process.scheduler.priority", "a real-time priority above 99", "process.scheduler",
	    "{\"policy\": \"SCHED_FIFO\", \"priority\": 100}"),
	BAD("process.scheduler.nice", "a nice value of 100", "process.scheduler",
	    "{\"policy\": \"SCHED_OTHER\", \"nice\": 100}"),
	BAD("process.scheduler.flags", "an unknown flag", "process.scheduler",
	    "{\"policy\": \"SCHED_OTHER\", \"flags\": [\"SCHED_FLAG_FLY\"]}"),
	BAD("process.ioPriority.class", "an unknown class", "process.ioPriority",
	    "{\"class\": \"IOPRIO_CLASS_FLY\", \"priority\": 0}"),
	BAD("process.ioPriority.priority", "a level of 8", "process.ioPriority",
	    "{\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 8}"),
	BAD("linux.personality.domain", "an unknown domain", "linux.personality",
	    "{\"domain\": \"HPUX\"}"),
	BAD("linux.personality.flags", "a flag, of which the specification has none",
	    "linux.personality", "{\"domain\": \"LINUX\", \"flags\": [\"ADDR_NO_RANDOMIZE\"]}"),
	BAD("mounts.type", "an object for an array", "mounts", "{\"destination\": \"/m\"}"),
	BAD("mounts.options", "a string for an array", "mounts",
	    "[{\"destination\": \"/m\", \"type\": \"tmpfs\", \"source\": \"x\", \"options\": "
	    "\"ro\"}]"),
	BAD("linux.uidMappings.no-user", "maps without a user namespace", "linux.uidMappings",
	    "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 10}]"),
	BAD("linux.cgroupsPath", "a number for a path", "linux.cgroupsPath", "7"),
	BAD("linux.resources.memory.limit", "a word for a limit", "linux.resources.memory",
	    "{\"limit\": \"1g\"}"),
	BAD("linux.resources.memory.huge", "a limit above 63 bits", "linux.resources.memory",
	    "{\"limit\": 9223372036854775808}"),
	BAD("linux.resources.cpu.quota", "a quota below the kernel's least", "linux.resources.cpu",
	    "{\"quota\": 1, \"period\": 100000}"),
	BAD("linux.resources.cpu.cpus", "processors that are not there", "linux.resources.cpu",
	    "{\"cpus\": \"4090\"}"),
	BAD("linux.resources.cpu.cpus.word", "no list of processors", "linux.resources.cpu",
	    "{\"cpus\": \"all\"}"),
	BAD("linux.resources.cpu.mems", "memory nodes that are not there", "linux.resources.cpu",
	    "{\"mems\": \"900\"}"),
	BAD("linux.resources.pids.limit", "a word for a number", "linux.resources.pids",
	    "{\"limit\": \"many\"}"),
	BAD("linux.resources.devices.access", "an unknown letter", "linux.resources.devices",
	    "[{\"allow\": true, \"type\": \"c\", \"major\": 1, \"minor\": 3, \"access\": "
	    "\"rwx\"}]"),
	BAD("linux.resources.devices.type", "an unknown type", "linux.resources.devices",
	    "[{\"allow\": true, \"type\": \"q\", \"major\": 1, \"minor\": 3, \"access\": \"rw\"}]"),
	BAD("linux.resources.hugepageLimits", "an unknown page size",
	    "linux.resources.hugepageLimits", "[{\"pageSize\": \"3MB\", \"limit\": 4096}]"),
	{"values.linux.resources.blockIO.weightDevice", "BlkIOWeightOrLeafWeightExist",
	 "neither weight nor leafWeight",
	 LIST(RATE("weightDevice", "{\"major\": 8, \"minor\": 0}")), .refused = true},
	{"values.linux.intelRdt", "IntelRdtNoMountedResctrlError",
	 "cache allocation where resctrl is not mounted", .run = resctrl,
	 .config = LIST("linux.intelRdt", "{\"closID\": \"x\", \"schemata\": [\"L3:0=f\"]}")},
	{"values.process.apparmorProfile", "PropApplyFailGenError",
	 "a profile where the kernel has no AppArmor", .run = apparmor,
	 .config = LIST("process.apparmorProfile", "\"nobody-loaded-this\"")},
	{"values.process.selinuxLabel", "PropApplyFailGenError",
	 "a label where the kernel has no SELinux", .run = selinux,
	 .config = LIST("process.selinuxLabel", "\"system_u:system_r:container_t:s0\"")},
};
CHECKS(value_checks);
