/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration must not say: each row sets one member of an otherwise good document, and
 * the error must name the place in the document and the fault.
 */
#include <errno.h>

#include "oci_document.h"

#include "runtime/oci.h"

static const struct {
	const char *path, *value;
	const char *place, *fault; /* both must be in the text */
} rows[] = {
	{"ociVersion", "7", "ociVersion", "string"},
	{"ociVersion", "\"2.0.0\"", "ociVersion", "2.0.0"},
	{"ociVersion", "\"0.9.0\"", "ociVersion", "0.9.0"},
	{"ociVersion", "\"1.0\"", "ociVersion", "1.0"},
	{"ociVersion", "\"1.0.0.0\"", "ociVersion", "1.0.0.0"},
	{"ociVersion", "\"01.0.0\"", "ociVersion", "01.0.0"},
	{"ociVersion", "\"1.0.0-\"", "ociVersion", "1.0.0-"},
	{"ociVersion", "\"\"", "ociVersion", "version"},
	{"ociVersion", "\"1.99999999999999999999.0\"", "ociVersion", "1.999"},
	{"root", "null", "", "'root' is missing"},
	{"root", "{}", "root", "'path' is missing"},
	{"root.path", "\"\"", "root.path", "empty"},
	{"root.path", "1", "root.path", "string"},
	{"root.readonly", "\"yes\"", "root.readonly", "boolean"},
	{"hostname", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
	 "hostname", "64"},
	{"hostname", "1", "hostname", "string"},

	{"process.args", "null", "process", "'args' is missing"},
	{"process.args", "[]", "process.args", "command"},
	{"process.args", "\"sh\"", "process.args", "array"},
	{"process.args", "[\"sh\", 1]", "process.args[1]", "string"},
	{"process.cwd", "null", "process", "'cwd' is missing"},
	{"process.cwd", "\"tmp\"", "process.cwd", "absolute"},
	{"process.cwd", "\"\"", "process.cwd", "absolute"},
	{"process.env", "[\"A=1\", \"B\"]", "process.env[1]", "NAME=value"},
	{"process.env", "[\"=1\"]", "process.env[0]", "NAME=value"},
	{"process.user", "{}", "process.user", "'uid' is missing"},
	{"process.user", "{\"uid\": 1}", "process.user", "'gid' is missing"},
	{"process.user", "{\"uid\": -1, \"gid\": 0}", "process.user.uid", "-1"},
	{"process.user", "{\"uid\": 4294967295, \"gid\": 0}", "process.user.uid", "4294967295"},
	{"process.user", "{\"uid\": 4294967296, \"gid\": 0}", "process.user.uid", "4294967296"},
	{"process.user", "{\"uid\": 1e3, \"gid\": 0}", "process.user.uid", "integer"},
	{"process.user", "{\"uid\": \"0\", \"gid\": 0}", "process.user.uid", "integer"},
	{"process.user", "{\"uid\": 0, \"gid\": 0, \"umask\": 512}", "process.user.umask", "512"},
	{"process.user", "{\"uid\": 0, \"gid\": 0, \"additionalGids\": [1, -2]}",
	 "process.user.additionalGids[1]", "-2"},
	{"process.terminal", "1", "process.terminal", "boolean"},
	{"process.capabilities", "[]", "process.capabilities", "object"},
	{"process.capabilities", "{\"ambient\": \"CAP_KILL\"}", "process.capabilities.ambient",
	 "array"},
	{"process.capabilities", "{\"ambient\": [1]}", "process.capabilities.ambient[0]", "name"},
	{"process.rlimits", "[{\"type\": \"RLIMIT_FLY\", \"soft\": 1, \"hard\": 1}]",
	 "process.rlimits[0].type", "RLIMIT_FLY"},
	{"process.rlimits", "[{\"type\": \"RLIMIT_CORE\", \"soft\": 1}]", "process.rlimits[0]",
	 "'hard' is missing"},
	{"process.rlimits", "[{\"type\": \"RLIMIT_CORE\", \"soft\": 2, \"hard\": 1}]",
	 "process.rlimits[0]", "above"},
	{"process.rlimits",
	 "[{\"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": 1},"
	 " {\"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": 1}]",
	 "process.rlimits[1]", "twice"},
	{"process.rlimits", "[{\"type\": \"RLIMIT_CORE\", \"soft\": -1, \"hard\": 1}]",
	 "process.rlimits[0].soft", "-1"},
	{"process.oomScoreAdj", "1001", "process.oomScoreAdj", "1001"},
	{"process.oomScoreAdj", "-1001", "process.oomScoreAdj", "-1001"},
	{"process",
	 "{\"cwd\": \"/\", \"args\": [\"x\"], \"terminal\": true,"
	 " \"consoleSize\": {\"height\": 65536, \"width\": 1}}",
	 "process.consoleSize.height", "65536"},
	{"process",
	 "{\"cwd\": \"/\", \"args\": [\"x\"], \"terminal\": true,"
	 " \"consoleSize\": {\"height\": 24}}",
	 "process.consoleSize", "'width' is missing"},
	{"process.scheduler", "{}", "process.scheduler", "'policy' is missing"},
	{"process.scheduler.policy", "\"SCHED_FAST\"", "process.scheduler.policy", "SCHED_FAST"},
	{"process.scheduler.policy", "\"SCHED_ISO\"", "process.scheduler.policy", "SCHED_ISO"},
	{"process.scheduler", "{\"policy\": \"SCHED_OTHER\", \"nice\": 20}", "process.scheduler",
	 "nice 20"},
	{"process.scheduler", "{\"policy\": \"SCHED_FIFO\"}", "process.scheduler", "priority"},
	{"process.scheduler", "{\"policy\": \"SCHED_RR\", \"priority\": 100}",
	 "process.scheduler.priority", "100"},
	{"process.scheduler", "{\"policy\": \"SCHED_BATCH\", \"priority\": 1}", "process.scheduler",
	 "SCHED_FIFO and SCHED_RR"},
	{"process.scheduler", "{\"policy\": \"SCHED_BATCH\", \"runtime\": 1}", "process.scheduler",
	 "SCHED_DEADLINE"},
	{"process.scheduler",
	 "{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 3, \"deadline\": 2, \"period\": 4}",
	 "process.scheduler", "runtime <= deadline"},
	{"process.scheduler",
	 "{\"policy\": \"SCHED_OTHER\", \"flags\": [\"SCHED_FLAG_UTIL_CLAMP_MIN\"]}",
	 "process.scheduler.flags[0]", "cpu.uclamp"},
	{"process.scheduler", "{\"policy\": \"SCHED_OTHER\", \"flags\": [\"SCHED_FLAG_X\"]}",
	 "process.scheduler.flags[0]", "SCHED_FLAG_X"},
	{"process.ioPriority", "{\"class\": \"IOPRIO_CLASS_NONE\"}", "process.ioPriority.class",
	 "IOPRIO_CLASS_NONE"},
	{"process.ioPriority", "{\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 8}",
	 "process.ioPriority.priority", "8"},
	{"process.ioPriority", "{\"priority\": 1}", "process.ioPriority", "'class' is missing"},
	{"process.execCPUAffinity", "{\"initial\": \"0-\"}", "process.execCPUAffinity.initial",
	 "0-"},
	{"process.execCPUAffinity", "{\"final\": \"0, 1\"}", "process.execCPUAffinity.final",
	 "list"},
	{"linux.personality", "{}", "linux.personality", "'domain' is missing"},
	{"linux.personality", "{\"domain\": \"BSD\"}", "linux.personality.domain", "LINUX32"},
	{"linux.personality", "{\"domain\": \"LINUX\", \"flags\": [\"ADDR_NO_RANDOMIZE\"]}",
	 "linux.personality.flags", "empty"},
	{"linux.timeOffsets", "{\"realtime\": {\"secs\": 1}}", "linux.timeOffsets.realtime",
	 "monotonic"},
	{"linux.timeOffsets", "{\"boottime\": {\"secs\": 1, \"nanosecs\": 1000000000}}",
	 "linux.timeOffsets.boottime.nanosecs", "1000000000"},
	{"linux.netDevices", "[]", "linux.netDevices", "object"},
	{"linux.netDevices", "{\"eth0\": {\"name\": 1}}", "linux.netDevices.eth0.name", "string"},
	{"linux.memoryPolicy", "{\"nodes\": \"0\"}", "linux.memoryPolicy", "'mode' is missing"},
	{"linux.memoryPolicy", "{\"mode\": \"MPOL_NEAR\", \"nodes\": \"0\"}",
	 "linux.memoryPolicy.mode", "MPOL_NEAR"},
	{"linux.memoryPolicy", "{\"mode\": \"MPOL_BIND\", \"nodes\": \"a\"}",
	 "linux.memoryPolicy.nodes", "list"},
	{"linux.memoryPolicy", "{\"mode\": \"MPOL_BIND\"}", "linux.memoryPolicy", "needs nodes"},
	{"linux.memoryPolicy", "{\"mode\": \"MPOL_LOCAL\", \"nodes\": \"0\"}", "linux.memoryPolicy",
	 "takes no nodes"},
	{"linux.memoryPolicy",
	 "{\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_X\"]}",
	 "linux.memoryPolicy.flags[0]", "MPOL_F_X"},

	{"mounts", "{}", "mounts", "array"},
	{"mounts", "[{\"type\": \"tmpfs\"}]", "mounts[0]", "'destination' is missing"},
	{"mounts", "[{\"destination\": \"\", \"type\": \"tmpfs\"}]", "mounts[0].destination",
	 "empty"},
	{"mounts", "[{\"destination\": \"/a\"}]", "mounts[0]", "type"},
	{"mounts", "[{\"destination\": \"/a\", \"options\": [\"rbind\"]}]", "mounts[0]", "source"},
	{"mounts", "[{\"destination\": \"/a\", \"type\": \"tmpfs\", \"options\": [7]}]",
	 "mounts[0].options[0]", "string"},
	{"mounts", "[{\"destination\": \"/a\", \"type\": \"tmpfs\", \"options\": \"ro\"}]",
	 "mounts[0].options", "array"},

	{"mounts",
	 "[{\"destination\": \"/a\", \"type\": \"bind\", \"source\": \"/b\","
	 " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1, \"size\": 1}]}]",
	 "mounts[0]", "go together"},
	{"mounts",
	 "[{\"destination\": \"/a\", \"type\": \"bind\", \"source\": \"/b\","
	 " \"options\": [\"idmap=uids=0-0-1\"],"
	 " \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1, \"size\": 1}],"
	 " \"gidMappings\": [{\"containerID\": 0, \"hostID\": 1, \"size\": 1}]}]",
	 "mounts[0].options[0]", "idmap=uids"},
	{"mounts",
	 "[{\"destination\": \"/a\", \"type\": \"bind\", \"source\": \"/b\","
	 " \"gidMappings\": [{\"containerID\": 0, \"hostID\": 1}]}]",
	 "mounts[0].gidMappings[0]", "'size' is missing"},

	{"hooks", "[]", "hooks", "object"},
	{"hooks.poststop", "[{}]", "hooks.poststop[0]", "'path' is missing"},
	{"hooks.prestart", "[{\"path\": \"true\"}]", "hooks.prestart[0].path", "absolute"},
	{"hooks.createRuntime", "[{\"path\": \"/bin/true\", \"timeout\": 0}]",
	 "hooks.createRuntime[0].timeout", "greater"},
	{"hooks.createRuntime", "[{\"path\": \"/bin/true\", \"timeout\": -1}]",
	 "hooks.createRuntime[0].timeout", "-1"},
	{"hooks.poststart", "[{\"path\": \"/bin/true\", \"args\": 1}]", "hooks.poststart[0].args",
	 "array"},
	{"annotations", "{\"a\": 1}", "annotations.a", "string"},
	{"annotations", "{\"\": \"a\"}", "annotations", "name"},
	{"annotations", "[]", "annotations", "object"},
	{"annotations", "{\"org.insula.rootfs\": \"gone\"}", "annotations[\"org.insula.rootfs\"]",
	 "gone"},

	{"linux", "[]", "linux", "object"},
	{"linux.namespaces", "{}", "linux.namespaces", "array"},
	{"linux.namespaces", "[{}]", "linux.namespaces[0]", "'type' is missing"},
	{"linux.namespaces", "[{\"type\": \"net\"}]", "linux.namespaces[0]", "net"},
	{"linux.namespaces", "[{\"type\": \"pid\"}, {\"type\": \"pid\"}]", "linux.namespaces[1]",
	 "twice"},
	{"linux.namespaces", "[{\"type\": \"pid\", \"path\": \"x\"}]", "linux.namespaces[0]",
	 "absolute"},
	{"linux.uidMappings", "[{\"containerID\": 0, \"hostID\": 1}]", "linux.uidMappings[0]",
	 "'size' is missing"},
	{"linux.uidMappings", "[{\"containerID\": 0, \"hostID\": 1, \"size\": 0}]",
	 "linux.uidMappings[0]", "size"},
	{"linux.gidMappings", "[{\"containerID\": 1, \"hostID\": 1, \"size\": 4294967295}]",
	 "linux.gidMappings[0]", "last id"},
	{"linux.gidMappings",
	 "[{\"containerID\": 0, \"hostID\": 1, \"size\": 10},"
	 " {\"containerID\": 5, \"hostID\": 100, \"size\": 10}]",
	 "linux.gidMappings", ""},
	{"linux.devices", "[{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 1}]",
	 "linux.devices[0]", "minor"},
	{"linux.devices", "[{\"path\": \"dev/x\", \"type\": \"p\"}]", "linux.devices[0].path",
	 "absolute"},
	{"linux.devices", "[{\"path\": \"/dev/x\", \"type\": \"x\"}]", "linux.devices[0].type",
	 "'c'"},
	{"linux.devices", "[{\"path\": \"/dev/x\", \"type\": \"cb\"}]", "linux.devices[0].type",
	 "'c'"},
	{"linux.devices", "[{\"path\": \"/dev/x\", \"type\": \"\"}]", "linux.devices[0].type",
	 "'c'"},
	{"linux.devices",
	 "[{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 4096, \"minor\": 0}]",
	 "linux.devices[0].major", "4096"},
	{"linux.devices", "[{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 1, \"minor\": -1}]",
	 "linux.devices[0].minor", "-1"},
	{"linux.devices", "[{\"path\": \"/dev/x\", \"type\": \"p\", \"fileMode\": 134217728}]",
	 "linux.devices[0].fileMode", "134217728"},
	{"linux.rootfsPropagation", "\"public\"", "linux.rootfsPropagation", "public"},
	{"linux.maskedPaths", "[\"/a\", \"b\"]", "linux.maskedPaths[1]", "absolute"},
	{"linux.readonlyPaths", "[\"\"]", "linux.readonlyPaths[0]", "absolute"},
	{"linux.readonlyPaths", "\"/a\"", "linux.readonlyPaths", "array"},
	{"linux.sysctl", "{\"net.ipv4.ip_forward\": 1}", "linux.sysctl[\"net.ipv4.ip_forward\"]",
	 "string"},
	{"linux.cgroupsPath", "1", "linux.cgroupsPath", "string"},

	{"linux.resources.memory.limit", "-2", "linux.resources.memory.limit", "-2"},
	{"linux.resources.memory.limit", "9223372036854775808", "linux.resources.memory.limit",
	 "9223372036854775808"},
	{"linux.resources.memory.limit", "1.5", "linux.resources.memory.limit", "integer"},
	{"linux.resources.memory.limit", "\"1m\"", "linux.resources.memory.limit", "integer"},
	{"linux.resources.memory", "{\"limit\": 100000000, \"swap\": 50000000}", "linux.resources",
	 "swap"},
	{"linux.resources.cpu.quota", "999", "linux.resources.cpu.quota", "999"},
	{"linux.resources.cpu.quota", "-2", "linux.resources.cpu.quota", "-2"},
	{"linux.resources.cpu.period", "999", "linux.resources.cpu.period", "999"},
	{"linux.resources.cpu.period", "1000001", "linux.resources.cpu.period", "1000001"},
	{"linux.resources.cpu.period", "-1", "linux.resources.cpu.period", "-1"},
	{"linux.resources.cpu.shares", "1", "linux.resources.cpu.shares", "1"},
	{"linux.resources.cpu.shares", "262145", "linux.resources.cpu.shares", "262145"},
	{"linux.resources.cpu.cpus", "\"0-\"", "linux.resources.cpu.cpus", "0-"},
	{"linux.resources.cpu.cpus", "\"0,\"", "linux.resources.cpu.cpus", "0,"},
	{"linux.resources.cpu.cpus", "\"3-1\"", "linux.resources.cpu.cpus", "3-1"},
	{"linux.resources.cpu.cpus", "\"0-1-2\"", "linux.resources.cpu.cpus", "0-1-2"},
	{"linux.resources.cpu.cpus", "\"99999999999999999999\"", "linux.resources.cpu.cpus", "999"},
	{"linux.resources.cpu.mems", "\"0\\n\"", "linux.resources.cpu.mems", "list"},
	{"linux.resources.pids.limit", "0", "linux.resources.pids.limit", "1"},
	{"linux.resources.pids.limit", "-2", "linux.resources.pids.limit", "-2"},
	{"linux.resources.pids.limit", "4194305", "linux.resources.pids.limit", "4194305"},
	{"linux.resources.devices", "[{\"access\": \"r\"}]", "linux.resources.devices[0]",
	 "'allow' is missing"},
	{"linux.resources.devices", "[{\"allow\": true, \"access\": \"rx\"}]",
	 "linux.resources.devices[0].access", "rx"},
	{"linux.resources.devices", "[{\"allow\": true, \"type\": \"p\"}]",
	 "linux.resources.devices[0].type", "'a'"},
	{"linux.resources.devices", "[{\"allow\": true, \"major\": -2}]",
	 "linux.resources.devices[0].major", "-2"},
	{"linux.resources.unified", "{\"../cgroup.procs\": \"1\"}", "linux.resources.unified",
	 ".."},
	{"linux.resources.unified", "{\"memory/high\": \"1\"}", "linux.resources.unified",
	 "memory/high"},
	{"linux.resources.unified", "{\"memory.d/../x.high\": \"1\"}", "linux.resources.unified",
	 "memory.d/"},
	{"linux.resources.unified", "{\"tasks\": \"1\"}", "linux.resources.unified", "tasks"},
	{"linux.resources.unified", "{\"memory.high\": 1}",
	 "linux.resources.unified[\"memory.high\"]", "string"},

	{"linux.seccomp", "{}", "linux.seccomp", "'defaultAction' is missing"},
	{"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_DANCE\"}", "linux.seccomp.defaultAction",
	 "SCMP_ACT_DANCE"},
	{"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 1}",
	 "linux.seccomp.defaultErrnoRet", "SCMP_ACT_ALLOW"},
	{"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 4096}",
	 "linux.seccomp.defaultErrnoRet", "4096"},
	{"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"VAX\"]}",
	 "linux.seccomp.architectures[0]", "VAX"},
	{"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"FLAG\"]}",
	 "linux.seccomp.flags[0]", "FLAG"},
	{"linux.seccomp", "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerMetadata\": \"x\"}",
	 "linux.seccomp", "listenerPath"},
	{"linux.seccomp",
	 "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [],"
	 " \"action\": \"SCMP_ACT_ERRNO\"}]}",
	 "linux.seccomp.syscalls[0].names", "system call"},
	{"linux.seccomp",
	 "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"bpf\"],"
	 " \"action\": \"SCMP_ACT_KILL\", \"errnoRet\": 1}]}",
	 "linux.seccomp.syscalls[0].errnoRet", "SCMP_ACT_KILL"},
	{"linux.seccomp",
	 "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"bpf\"],"
	 " \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 6, \"value\": 0,"
	 " \"op\": \"SCMP_CMP_EQ\"}]}]}",
	 "linux.seccomp.syscalls[0].args[0].index", "6"},
	{"linux.seccomp",
	 "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"bpf\"],"
	 " \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 0, \"value\": -1,"
	 " \"op\": \"SCMP_CMP_EQ\"}]}]}",
	 "linux.seccomp.syscalls[0].args[0].value", "-1"},
	{"linux.seccomp",
	 "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"bpf\"],"
	 " \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 0, \"value\": 1,"
	 " \"op\": \"=\"}]}]}",
	 "linux.seccomp.syscalls[0].args[0].op", "="},
};

static void test_rows(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct oci_config c;
		struct err e = ERR_INIT;
		struct json *document;
		int r;

		document = document_with(rows[i].path, rows[i].value);
		r = oci_config_read(document, "/bundle", &c, &e);
		if (r == 0) {
			bad++;
			print_error("%s = %s was accepted\n", rows[i].path, rows[i].value);
			oci_config_done(&c);
			continue;
		}
		if (!strstr(e.text, rows[i].place) || !strstr(e.text, rows[i].fault)) {
			bad++;
			print_error("%s = %s: '%s' lacks '%s' or '%s'\n", rows[i].path,
				    rows[i].value, e.text, rows[i].place, rows[i].fault);
		}
		assert_true(e.kind == ERR_INVALID || e.kind == ERR_UNSUPPORTED);
		json_free(document); /* still ours */
	}
	assert_int_equal(bad, 0);
}

static void test_not_an_object(void **state)
{
	static const char *const texts[] = {"[]", "1", "\"x\"", "true"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json *document = document_parse(texts[i]);
		struct oci_config c;
		struct err e = ERR_INIT;

		assert_true(oci_config_read(document, "/bundle", &c, &e) < 0);
		json_free(document);
	}
}

static void test_missing_members(void **state)
{
	static const struct {
		const char *text, *place;
	} cases[] = {
		{"{}", "ociVersion"},
		{"{\"ociVersion\": \"1.0.0\"}", "root"},
		{"{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"/\"}, \"process\": {}}",
		 "process: member 'args'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *document = document_parse(cases[i].text);
		struct oci_config c;
		struct err e = ERR_INIT;

		assert_int_equal(oci_config_read(document, "/bundle", &c, &e), -EINVAL);
		if (!strstr(e.text, cases[i].place))
			fail_msg("'%s' lacks '%s'", e.text, cases[i].place);
		json_free(document);
	}
}

static void test_relative_without_bundle(void **state)
{
	struct json *document = document_parse(DOCUMENT_SMALLEST);
	struct oci_config c;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(oci_config_read(document, NULL, &c, &e), -EINVAL);
	assert_non_null(strstr(e.text, "root.path"));
	json_free(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_not_an_object),
		cmocka_unit_test(test_missing_members),
		cmocka_unit_test(test_relative_without_bundle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
