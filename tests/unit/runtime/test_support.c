/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The support table: every field of the specification has a row; every refused row refuses, by its
 * name and for its driver only; nothing that asks for nothing is refused; what engines send to a
 * container by default passes.
 */
#include "oci_document.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/driver.h"
#include "runtime/features.h"
#include "runtime/support.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct driver drivers[DRIVER_COUNT] = {
	[DRIVER_CONTAINER] = {.name = "container", .id = DRIVER_CONTAINER},
	[DRIVER_VM] = {.name = "vm", .id = DRIVER_VM},
};

static int check(enum driver_id id, struct json *document, struct err *e)
{
	struct oci_config c = {.document = document};

	return driver_check_config(&drivers[id], &c, e);
}

/* Everything that runtime-spec 1.3 defines: config.md, config-linux.md, config-vm.md. */
static const char *const spec_fields[] = {
	"ociVersion",
	"root.path",
	"root.readonly",
	"mounts[].destination",
	"mounts[].source",
	"mounts[].type",
	"mounts[].options[]",
	"mounts[].uidMappings",
	"mounts[].gidMappings",
	"process.terminal",
	"process.consoleSize",
	"process.cwd",
	"process.env",
	"process.args",
	"process.commandLine",
	"process.user.uid",
	"process.user.gid",
	"process.user.umask",
	"process.user.additionalGids",
	"process.user.username",
	"process.rlimits[].type",
	"process.rlimits[].soft",
	"process.rlimits[].hard",
	"process.capabilities.effective",
	"process.capabilities.bounding",
	"process.capabilities.inheritable",
	"process.capabilities.permitted",
	"process.capabilities.ambient",
	"process.noNewPrivileges",
	"process.oomScoreAdj",
	"process.apparmorProfile",
	"process.selinuxLabel",
	"process.scheduler.policy",
	"process.scheduler.nice",
	"process.scheduler.priority",
	"process.scheduler.flags",
	"process.scheduler.runtime",
	"process.scheduler.deadline",
	"process.scheduler.period",
	"process.ioPriority.class",
	"process.ioPriority.priority",
	"process.execCPUAffinity.initial",
	"process.execCPUAffinity.final",
	"hostname",
	"domainname",
	"hooks.prestart",
	"hooks.createRuntime",
	"hooks.createContainer",
	"hooks.startContainer",
	"hooks.poststart",
	"hooks.poststop",
	"annotations",
	"linux.namespaces[pid]",
	"linux.namespaces[network]",
	"linux.namespaces[mount]",
	"linux.namespaces[ipc]",
	"linux.namespaces[uts]",
	"linux.namespaces[user]",
	"linux.namespaces[cgroup]",
	"linux.namespaces[time]",
	"linux.namespaces[pid].path",
	"linux.namespaces[network].path",
	"linux.namespaces[mount].path",
	"linux.namespaces[ipc].path",
	"linux.namespaces[uts].path",
	"linux.namespaces[user].path",
	"linux.namespaces[cgroup].path",
	"linux.namespaces[time].path",
	"linux.uidMappings",
	"linux.gidMappings",
	"linux.timeOffsets.boottime",
	"linux.timeOffsets.monotonic",
	"linux.devices[].type",
	"linux.devices[].path",
	"linux.devices[].major",
	"linux.devices[].minor",
	"linux.devices[].fileMode",
	"linux.devices[].uid",
	"linux.devices[].gid",
	"linux.netDevices",
	"linux.cgroupsPath",
	"linux.resources.devices[].allow",
	"linux.resources.devices[].type",
	"linux.resources.devices[].major",
	"linux.resources.devices[].minor",
	"linux.resources.devices[].access",
	"linux.resources.memory.limit",
	"linux.resources.memory.reservation",
	"linux.resources.memory.swap",
	"linux.resources.memory.kernel",
	"linux.resources.memory.kernelTCP",
	"linux.resources.memory.swappiness",
	"linux.resources.memory.disableOOMKiller",
	"linux.resources.memory.useHierarchy",
	"linux.resources.memory.checkBeforeUpdate",
	"linux.resources.cpu.shares",
	"linux.resources.cpu.quota",
	"linux.resources.cpu.burst",
	"linux.resources.cpu.period",
	"linux.resources.cpu.realtimeRuntime",
	"linux.resources.cpu.realtimePeriod",
	"linux.resources.cpu.cpus",
	"linux.resources.cpu.mems",
	"linux.resources.cpu.idle",
	"linux.resources.blockIO.weight",
	"linux.resources.blockIO.leafWeight",
	"linux.resources.blockIO.weightDevice[].weight",
	"linux.resources.blockIO.weightDevice[].leafWeight",
	"linux.resources.blockIO.throttleReadBpsDevice",
	"linux.resources.blockIO.throttleWriteBpsDevice",
	"linux.resources.blockIO.throttleReadIOPSDevice",
	"linux.resources.blockIO.throttleWriteIOPSDevice",
	"linux.resources.hugepageLimits",
	"linux.resources.network.classID",
	"linux.resources.network.priorities",
	"linux.resources.pids.limit",
	"linux.resources.rdma",
	"linux.resources.unified",
	"linux.intelRdt.closID",
	"linux.intelRdt.schemata",
	"linux.intelRdt.l3CacheSchema",
	"linux.intelRdt.memBwSchema",
	"linux.intelRdt.enableMonitoring",
	"linux.memoryPolicy.mode",
	"linux.memoryPolicy.nodes",
	"linux.memoryPolicy.flags",
	"linux.sysctl",
	"linux.seccomp.defaultAction",
	"linux.seccomp.defaultErrnoRet",
	"linux.seccomp.architectures",
	"linux.seccomp.flags",
	"linux.seccomp.listenerPath",
	"linux.seccomp.listenerMetadata",
	"linux.seccomp.syscalls[].names",
	"linux.seccomp.syscalls[].action",
	"linux.seccomp.syscalls[].errnoRet",
	"linux.seccomp.syscalls[].args",
	"linux.rootfsPropagation",
	"linux.maskedPaths",
	"linux.readonlyPaths",
	"linux.mountLabel",
	"linux.personality.domain",
	"linux.personality.flags",
	"vm.hypervisor.path",
	"vm.hypervisor.parameters",
	"vm.kernel.path",
	"vm.kernel.parameters",
	"vm.kernel.initrd",
	"vm.image.path",
	"vm.image.format",
	"vm.hwConfig.deviceTree",
	"vm.hwConfig.vcpus",
	"vm.hwConfig.memory",
	"vm.hwConfig.dtdevs",
	"vm.hwConfig.iomems",
	"vm.hwConfig.irqs",
	"solaris",
	"windows",
	"zos",
	"freebsd",
	/* verbs of the field's runtimes */
	"verb:create",
	"verb:start",
	"verb:run",
	"verb:state",
	"verb:kill",
	"verb:delete",
	"verb:exec",
	"verb:exec --cgroup",
	"verb:exec --ignore-paused",
	"verb:NOTIFY_SOCKET",
	"verb:list",
	"verb:ps",
	"verb:pause",
	"verb:resume",
	"verb:update",
	"verb:events",
	"verb:spec",
	"verb:features",
	"verb:checkpoint",
	"verb:restore",
	"verb:mounts",
};

static void test_every_field_has_a_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(spec_fields); i++)
		if (!support_covering(spec_fields[i]))
			fail_msg("no row for %s", spec_fields[i]);
}

/* And every row is about a field: no row that a typing error keeps from ever meeting anything. */
static void test_every_row_is_a_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < support_table_len; i++) {
		const char *name = support_table[i].name;
		size_t len = strcspn(name, "="), j;

		for (j = 0; j < COUNT(spec_fields); j++)
			if (strncmp(spec_fields[j], name, len) == 0 &&
			    (!spec_fields[j][len] || strchr(".[", spec_fields[j][len])))
				break;
		if (j == COUNT(spec_fields))
			fail_msg("row %s is no field of the specification", name);
	}
}

static void test_rows_are_unique_and_reasoned(void **state)
{
	(void)state;
	for (size_t i = 0; i < support_table_len; i++) {
		const struct support_row *row = &support_table[i];

		assert_ptr_equal(support_find(row->name), row);
		for (unsigned d = 0; d < DRIVER_COUNT; d++)
			if (row->by_driver[d].level != SUPPORT_YES && !row->by_driver[d].how)
				fail_msg("%s has no reason", row->name);
	}
}

/* The look-up relies on it: below a refused row everything is refused. */
static void test_nothing_allowed_below_a_refusal(void **state)
{
	(void)state;
	for (size_t i = 0; i < support_table_len; i++) {
		for (size_t j = 0; j < support_table_len; j++) {
			const char *above = support_table[i].name, *name = support_table[j].name;
			size_t len = strlen(above);

			if (i == j || strncmp(name, above, len) != 0 || !strchr(".[", name[len]))
				continue;
			for (unsigned d = 0; d < DRIVER_COUNT; d++)
				if (support_table[i].by_driver[d].level == SUPPORT_NO)
					assert_int_equal(support_table[j].by_driver[d].level,
							 SUPPORT_NO);
		}
	}
}

/* "a[word].b=VALUE" as the document's place would name its beginning: "a[0].b". */
static void expected_place(const char *row, char *ret, size_t size)
{
	size_t n = 0;

	for (; *row && *row != '='; row++) {
		if (n + 4 >= size)
			fail();
		ret[n++] = *row;
		if (*row != '[')
			continue;
		ret[n++] = '0';
		row = strchr(row, ']') - 1;
	}
	ret[n] = '\0';
}

/* A document whose value under the row asks for something. */
static struct json *document_asking(const char *row)
{
	const char *word = strchr(row, '=');
	char text[96];

	if (!word)
		return document_with(row, STREQ(row, "linux.netDevices") ? "{\"eth0\": {}}"
									 : "\"asks\"");
	snprintf(text, sizeof(text), "\"%s\"", word + 1);
	return document_with(row, text);
}

/* The row that meets a value first: this one, or a refused one above it. */
static const struct support_row *refusing(const struct support_row *row, enum driver_id d)
{
	for (size_t i = 0; i < support_table_len; i++) {
		const struct support_row *above = &support_table[i];
		size_t len = strlen(above->name);

		if (above->by_driver[d].level == SUPPORT_NO &&
		    strncmp(row->name, above->name, len) == 0 &&
		    (!row->name[len] || strchr(".[", row->name[len])))
			return above;
	}
	return row;
}

static void test_refusals(void **state)
{
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < support_table_len; i++) {
		const struct support_row *row = &support_table[i];

		if (str_has_prefix(row->name, "verb:"))
			continue;
		for (unsigned d = 0; d < DRIVER_COUNT; d++) {
			struct json *document = document_asking(row->name);
			struct err e = ERR_INIT;
			char place[96];
			int r = check(d, document, &e);

			if (row->by_driver[d].level != SUPPORT_NO) {
				/* A row that is done may still have a refused value below it; this
				 * one has not, as its value is none of those. */
				if (r < 0)
					fail_msg("%s: refused for %s: %s", row->name,
						 drivers[d].name, e.text);
				json_free(document);
				continue;
			}
			seen++;
			expected_place(refusing(row, d)->name, place, sizeof(place));
			if (r != -ENOTSUP || e.kind != ERR_UNSUPPORTED)
				fail_msg("%s: not refused for %s", row->name, drivers[d].name);
			if (strncmp(e.text, place, strlen(place)) != 0 ||
			    !strstr(e.text, drivers[d].name) ||
			    !strstr(e.text, refusing(row, d)->by_driver[d].how))
				fail_msg("%s: '%s' lacks name, driver or reason", row->name,
					 e.text);
			json_free(document);
		}
	}
	assert_true(seen > 60);
}

/* What asks for nothing passes, wherever it stands. */
static void test_absence_in_every_form(void **state)
{
	static const char *const nothing[] = {"null", "false", "\"\"",
					      "[]",   "{}",    "{\"a\": null, \"b\": {\"c\": 0}}"};

	(void)state;
	for (size_t i = 0; i < support_table_len; i++) {
		const struct support_row *row = &support_table[i];

		if (str_has_prefix(row->name, "verb:") || strchr(row->name, '=') ||
		    strchr(row->name, '[') || STREQ(row->name, "linux.netDevices") ||
		    STREQ(row->name, "linux.resources.memory.swappiness"))
			continue;
		for (unsigned d = 0; d < DRIVER_COUNT; d++) {
			for (size_t k = 0; k < COUNT(nothing); k++) {
				struct json *document = document_with(row->name, nothing[k]);
				struct err e = ERR_INIT;

				if (check(d, document, &e) < 0)
					fail_msg("%s = %s: %s", row->name, nothing[k], e.text);
				json_free(document);
			}
		}
	}
}

static void test_exceptions(void **state)
{
	static const struct {
		const char *path, *value;
		bool refused;
	} cases[] = {
		{"linux.resources.memory.kernel", "-1", false},
		{"linux.resources.memory.kernel", "0", false},
		{"linux.resources.memory.kernel", "1", true},
		{"linux.resources.memory.kernelTCP", "-1", false},
		{"linux.resources.memory.useHierarchy", "true", false},
		{"linux.resources.blockIO", "{\"leafWeight\": 0, \"weightDevice\": []}", false},
		{"linux.resources.blockIO", "{\"leafWeight\": 10}", true},
		{"linux.memoryPolicy", "{\"mode\": \"MPOL_DEFAULT\", \"nodes\": \"\"}", false},
		{"linux.memoryPolicy", "{\"mode\": \"MPOL_BIND\", \"nodes\": \"0\"}", true},
		{"linux.netDevices", "{}", false},
		{"linux.netDevices", "{\"eth0\": {}}", true},
		{"linux.timeOffsets", "{\"monotonic\": {\"secs\": 0}}", false},
		{"linux.timeOffsets", "{\"monotonic\": {\"secs\": -1}}", true},
		{"linux.seccomp.defaultAction", "\"SCMP_ACT_NOTIFY\"", true},
		{"linux.seccomp.defaultAction", "\"SCMP_ACT_ALLOW\"", false},
		{"linux.intelRdt", "{\"futureMember\": 1}", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct json *document = document_with(cases[i].path, cases[i].value);
		struct err e = ERR_INIT;
		int r = check(DRIVER_VM, document, &e); /* it refuses more */

		if ((r < 0) != cases[i].refused)
			fail_msg("%s = %s: %s", cases[i].path, cases[i].value,
				 r < 0 ? e.text : "accepted");
		json_free(document);
	}
}

/* The second of several elements is found, and named. */
static void test_elements(void **state)
{
	struct json *document = document_with(
		"linux.namespaces", "[{\"type\": \"pid\"}, {\"type\": \"user\", \"path\": "
				    "\"/x\"}, 7, {}]");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(check(DRIVER_CONTAINER, document, &e), 0);
	assert_true(check(DRIVER_VM, document, &e) < 0);
	assert_true(str_has_prefix(e.text, "linux.namespaces[1].path"));
	json_free(document);
}

static void test_verbs(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned d = 0; d < DRIVER_COUNT; d++) {
		assert_int_equal(driver_check_verb(&drivers[d], "create", &e), 0);
		assert_int_equal(driver_check_verb(&drivers[d], "exec", &e), 0);
		assert_int_equal(driver_check_verb(&drivers[d], "checkpoint", &e),
				 d == DRIVER_VM ? -ENOTSUP : 0);
		assert_true(d != DRIVER_VM || str_has_prefix(e.text, "checkpoint:"));
		assert_int_equal(driver_check_verb(&drivers[d], "fly", &e), -EINVAL);
	}
}

/* What the engines send for an ordinary container, as seen in bundles of docker 20.10, podman 4.3
 * and containerd 1.6 (abridged to one of each kind of member). */
static const char *const engine_linux[] = {
	/* docker */
	"{\"sysctl\": {\"net.ipv4.ping_group_range\": \"0 2147483647\"},"
	" \"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"},"
	"   {\"allow\": true, \"type\": \"c\", \"major\": 1, \"minor\": 5, \"access\": \"rwm\"}],"
	"  \"memory\": {\"disableOOMKiller\": false}, \"cpu\": {\"shares\": 0},"
	"  \"pids\": {\"limit\": 2000}, \"blockIO\": {\"weight\": 0}},"
	" \"cgroupsPath\": \"/docker/abc\", \"namespaces\": [{\"type\": \"mount\"},"
	"  {\"type\": \"network\"}, {\"type\": \"uts\"}, {\"type\": \"pid\"}, {\"type\": \"ipc\"},"
	"  {\"type\": \"cgroup\"}],"
	" \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 1,"
	"  \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"],"
	"  \"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\"},"
	"   {\"names\": [\"personality\"], \"action\": \"SCMP_ACT_ALLOW\","
	"    \"args\": [{\"index\": 0, \"value\": 4294967295, \"op\": \"SCMP_CMP_EQ\"}]}]},"
	" \"maskedPaths\": [\"/proc/acpi\"], \"readonlyPaths\": [\"/proc/bus\"]}",
	/* podman */
	"{\"uidMappings\": null, \"resources\": {\"devices\": [{\"allow\": false,"
	"   \"access\": \"rwm\"}], \"memory\": {\"limit\": 64000000, \"swap\": 128000000,"
	"   \"swappiness\": null}, \"pids\": {\"limit\": 2048}}, \"cgroupsPath\":"
	"  \"/libpod_parent/libpod-abc\", \"namespaces\": [{\"type\": \"pid\"},"
	"  {\"type\": \"network\", \"path\": \"/run/netns/netns-1\"}, {\"type\": \"ipc\"},"
	"  {\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}],"
	" \"rootfsPropagation\": \"slave\","
	" \"mountLabel\": \"system_u:object_r:container_file_t:s0:c1,c2\","
	" \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": "
	"[\"bpf\"],"
	"   \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 1}], \"flags\": null},"
	" \"maskedPaths\": [\"/proc/acpi\"], \"readonlyPaths\": [\"/proc/asound\"]}",
	/* containerd */
	"{\"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]},"
	" \"cgroupsPath\": \"/default/abc\", \"namespaces\": [{\"type\": \"pid\"},"
	"  {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"},"
	"  {\"type\": \"network\"}], \"maskedPaths\": [\"/proc/acpi\"],"
	" \"readonlyPaths\": [\"/proc/bus\"]}",
};

static void test_engines_defaults_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(engine_linux); i++) {
		struct json *document = document_with("linux", engine_linux[i]);
		struct oci_config c;
		struct err e = ERR_INIT;

		document_put(document, "process.oomScoreAdj", json_new_i64(0));
		document_put(document, "process.apparmorProfile",
			     json_new_string("docker-default"));
		document_put(document, "hooks.prestart",
			     document_parse("[{\"path\": \"/usr/bin/dockerd\","
					    " \"args\": [\"libnetwork-setkey\"]}]"));
		if (oci_config_read(document, "/b", &c, &e) < 0 ||
		    driver_check_config(&drivers[DRIVER_CONTAINER], &c, &e) < 0)
			fail_msg("engine %zu: %s", i, e.text);
		oci_config_done(&c);
	}
}

static void test_markdown(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(support_write_markdown(&text, &e), 0);
	for (size_t i = 0; i < support_table_len; i++) {
		const char *name = support_table[i].name;
		char cell[128];

		if (str_has_prefix(name, "verb:"))
			name += 5;
		snprintf(cell, sizeof(cell), "| `%s` |", name);
		if (!strstr(text, cell))
			fail_msg("no line for %s", name);
	}
	/* One head and one cell per driver in each line of a table; no bar in a reason. */
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t bars = 0;

		for (const char *p = line; *line == '|' && *p; p++)
			bars += *p == '|';
		if (bars)
			assert_int_equal(bars, DRIVER_COUNT + 3);
	}
}

/* The text of a file of the source tree, or NULL. */
static char *source(const char *pattern, const char *name)
{
	char path[160];
	glob_t found = {0};
	char *text = NULL;
	size_t size = 1 << 20;

	snprintf(path, sizeof(path), pattern, name);
	if (glob(path, 0, NULL, &found) == 0) {
		FILE *f = fopen(found.gl_pathv[0], "r");

		text = calloc(1, size);
		assert_non_null(f);
		assert_non_null(text);
		assert_true(fread(text, 1, size - 1, f) < size - 1);
		fclose(f);
	}
	globfree(&found);
	return text;
}

/* Each test that the document names is there: in a program below tests/, or in the list of the validation suite's checks,
 * which `make test-oci` holds against the suite. */
static void test_proofs_exist(void **state)
{
	(void)state;
	if (access("tests/unit/runtime/test_support.c", R_OK) < 0) {
		print_message("not in the source tree\n");
		skip();
	}
	for (size_t i = 0; i < support_table_len; i++) {
		const char *proof = support_proof(&support_table[i]), *test;
		_cleanup_free_ char *text = NULL;
		char program[64], wanted[96];

		if (!proof)
			fail_msg("%s: no test in runtime/support_proofs.c", support_table[i].name);
		test = strchr(proof, ' ') + 1;
		snprintf(program, sizeof(program), "%.*s", (int)strcspn(proof, ":"), proof);
		if (STREQ(program, "oci")) {
			text = source("docs/%s-conformance.md", program);
			snprintf(wanted, sizeof(wanted), "| `%s` |", test);
		} else {
			text = source("tests/unit/*/%s.c", program);
			if (!text)
				text = source("tests/integration/%s.c", program);
			snprintf(wanted, sizeof(wanted), " %s(", test);
		}
		if (!text || !strstr(text, wanted))
			fail_msg("%s: there is no test '%s'", support_table[i].name, proof);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_has_a_row),
		cmocka_unit_test(test_every_row_is_a_field),
		cmocka_unit_test(test_rows_are_unique_and_reasoned),
		cmocka_unit_test(test_nothing_allowed_below_a_refusal),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_absence_in_every_form),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_engines_defaults_pass),
		cmocka_unit_test(test_markdown),
		cmocka_unit_test(test_proofs_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
