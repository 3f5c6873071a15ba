/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration says, and what we make of it.
 */
#include "oci_document.h"

#include <linux/capability.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/oci.h"

/* Read the smallest document with a member set; fails the test on an error. */
static void read_with(const char *path, const char *value, struct oci_config *ret)
{
	struct err e = ERR_INIT;
	struct json *document = document_with(path, value);

	if (oci_config_read(document, "/bundle", ret, &e) < 0)
		fail_msg("%s = %s: %s", path, value, e.text);
}

static void test_smallest(void **state)
{
	struct oci_config c;

	(void)state;
	read_with(NULL, NULL, &c);
	assert_string_equal(c.version, "1.0.2");
	assert_string_equal(c.isolation.rootfs.path, "/bundle/rootfs");
	assert_false(c.isolation.rootfs.readonly);
	assert_int_equal(c.isolation.rootfs.fd, -1);
	assert_int_equal(c.isolation.rootfs.kind, ISO_ROOTFS_DIRECTORY);
	assert_true(c.has_process);
	assert_string_equal(c.process.args[0], "sh");
	assert_null(c.process.args[1]);
	assert_int_equal(c.process.user.uid, 0);
	assert_false(c.process.user.has_umask);
	assert_false(c.process.caps.present);
	assert_false(c.process.has_oom_score_adj);
	assert_int_equal(c.limits.memory_bytes, CG_UNSET);
	assert_int_equal(c.limits.pids_max, CG_UNSET);
	assert_int_equal(c.limits.n_devices, 0);
	for (int i = 0; i < ISO_NS_COUNT; i++)
		assert_int_equal(c.isolation.ns[i].mode, ISO_NS_INHERIT);
	assert_false(c.isolation.seccomp.present);
	oci_config_done(&c);
	oci_config_done(&c); /* twice is harmless */
}

static void test_versions(void **state)
{
	static const char *const good[] = {"1.0.0",  "1.0.2-dev",   "1.1.0-rc.2", "1.3.0",
					   "1.99.0", "1.2.1+build", "1.0.0-rc5",  "1.2.0-dev+x"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct oci_config c;
		char text[32];

		snprintf(text, sizeof(text), "\"%s\"", good[i]);
		read_with("ociVersion", text, &c);
		assert_string_equal(c.version, good[i]);
		oci_config_done(&c);
	}
}

static void test_process_absent(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("process", "null", &c);
	assert_false(c.has_process);
	oci_config_done(&c);
}

static void test_unknown_members(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("linux.resources.futureThing", "{\"a\": [1, 2]}", &c);
	oci_config_done(&c);
	read_with("process.futureThing", "7", &c);
	oci_config_done(&c);
}

static void test_mounts(void **state)
{
	struct oci_config c;
	struct iso_mount *m;

	(void)state;
	read_with("mounts",
		  "[{\"destination\": \"proc\", \"type\": \"proc\", \"source\": \"proc\"},"
		  " {\"destination\": \"/a\", \"type\": \"bind\", \"source\": \"data\","
		  "  \"options\": [\"rbind\", \"ro\", \"rslave\"]},"
		  " {\"destination\": \"/b\", \"type\": \"none\", \"source\": \"/x\","
		  "  \"options\": [\"bind\"]},"
		  " {\"destination\": \"/c\", \"type\": \"bind\", \"source\": \"/x\"},"
		  " {\"destination\": \"/t\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
		  "  \"options\": [\"nosuid\", \"size=64k\", \"mode=755\"]}]",
		  &c);
	assert_int_equal(c.isolation.n_mounts, 5);
	m = c.isolation.mounts;
	/* A relative destination counts from the root; a relative source from the bundle, but only
	 * where it is a path. */
	assert_string_equal(m[0].destination, "/proc");
	assert_string_equal(m[0].source, "proc");
	assert_string_equal(m[0].type, "proc");
	assert_int_equal(m[0].source_fd, -1);
	assert_string_equal(m[1].source, "/bundle/data");
	assert_null(m[1].type);
	assert_int_equal(m[1].flags & (ISO_MOUNT_BIND | ISO_MOUNT_REC),
			 ISO_MOUNT_BIND | ISO_MOUNT_REC);
	assert_true(m[1].attr_set & MOUNT_ATTR_RDONLY);
	assert_int_equal(m[1].propagation, MS_SLAVE | MS_REC);
	assert_int_equal(m[2].flags & (ISO_MOUNT_BIND | ISO_MOUNT_REC), ISO_MOUNT_BIND);
	assert_null(m[2].type);
	assert_int_equal(m[3].flags & ISO_MOUNT_BIND, ISO_MOUNT_BIND);
	assert_string_equal(m[4].data, "size=64k,mode=755");
	assert_true(m[4].attr_set & MOUNT_ATTR_NOSUID);
	oci_config_done(&c);
}

static void test_namespaces(void **state)
{
	struct oci_config c;

	(void)state;
	read_with(
		"linux.namespaces",
		"[{\"type\": \"pid\"}, {\"type\": \"network\", \"path\": \"/run/netns/a\"},"
		" {\"type\": \"mount\", \"path\": \"\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"},"
		" {\"type\": \"user\"}, {\"type\": \"cgroup\"}, {\"type\": \"time\"}]",
		&c);
	assert_int_equal(c.isolation.ns[ISO_NS_PID].mode, ISO_NS_NEW);
	assert_int_equal(c.isolation.ns[ISO_NS_NETWORK].mode, ISO_NS_JOIN);
	assert_string_equal(c.isolation.ns[ISO_NS_NETWORK].path, "/run/netns/a");
	assert_int_equal(c.isolation.ns[ISO_NS_MOUNT].mode, ISO_NS_NEW);
	assert_int_equal(c.isolation.ns[ISO_NS_TIME].mode, ISO_NS_NEW);
	oci_config_done(&c);
}

static void test_id_maps(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("linux.uidMappings",
		  "[{\"containerID\": 0, \"hostID\": 1000, \"size\": 1},"
		  " {\"containerID\": 1, \"hostID\": 100000, \"size\": 65535}]",
		  &c);
	assert_int_equal(c.isolation.uid_maps.n, 2);
	assert_int_equal(c.isolation.uid_maps.v[1].inside, 1);
	assert_int_equal(c.isolation.uid_maps.v[1].outside, 100000);
	assert_int_equal(c.isolation.uid_maps.v[1].count, 65535);
	assert_int_equal(c.isolation.gid_maps.n, 0);
	oci_config_done(&c);
}

static void test_linux_rest(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("linux",
		  "{\"devices\": [{\"path\": \"/dev/fuse\", \"type\": \"c\", \"major\": 10,"
		  "   \"minor\": 229, \"fileMode\": 8630, \"uid\": 1, \"gid\": 2},"
		  "  {\"path\": \"/dev/fifo\", \"type\": \"p\"}],"
		  " \"sysctl\": {\"net.ipv4.ip_forward\": \"1\"},"
		  " \"maskedPaths\": [\"/proc/kcore\"], \"readonlyPaths\": [\"/proc/sys\"],"
		  " \"rootfsPropagation\": \"rshared\", \"mountLabel\": \"\","
		  " \"cgroupsPath\": \"/a/b\"}",
		  &c);
	assert_int_equal(c.isolation.n_devices, 2);
	assert_int_equal(c.isolation.devices[0].type, 'c');
	assert_int_equal(c.isolation.devices[0].major, 10);
	assert_int_equal(c.isolation.devices[0].minor, 229);
	assert_true(c.isolation.devices[0].has_mode);
	assert_int_equal(c.isolation.devices[0].mode, 0666); /* 020666 as st_mode has it */
	assert_int_equal(c.isolation.devices[0].uid, 1);
	assert_int_equal(c.isolation.devices[0].gid, 2);
	assert_false(c.isolation.devices[1].has_mode);
	assert_int_equal(c.isolation.n_sysctls, 1);
	assert_string_equal(c.isolation.sysctls[0].key, "net.ipv4.ip_forward");
	assert_string_equal(c.isolation.sysctls[0].value, "1");
	assert_string_equal(c.isolation.masked_paths[0], "/proc/kcore");
	assert_string_equal(c.isolation.readonly_paths[0], "/proc/sys");
	assert_int_equal(c.isolation.rootfs.propagation, MS_SHARED | MS_REC);
	assert_null(c.isolation.mount_label);
	assert_string_equal(c.cgroups_path, "/a/b");
	oci_config_done(&c);
}

static void test_limits(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("linux.resources",
		  "{\"memory\": {\"limit\": 64000000, \"reservation\": 32000000, \"swap\": -1},"
		  " \"cpu\": {\"shares\": 1024, \"quota\": 50000, \"period\": 100000,"
		  "   \"cpus\": \"0-3,7\", \"mems\": \"0\"},"
		  " \"pids\": {\"limit\": -1}, \"unified\": {\"memory.high\": \"60000000\"}}",
		  &c);
	assert_int_equal(c.limits.memory_bytes, 64000000);
	assert_int_equal(c.limits.memory_low_bytes, 32000000);
	assert_int_equal(c.limits.memory_swap_bytes, CG_MAX);
	assert_int_equal(c.limits.cpu_shares, 1024);
	assert_int_equal(c.limits.cpu_quota_usec, 50000);
	assert_int_equal(c.limits.cpu_period_usec, 100000);
	assert_int_equal(c.limits.cpu_weight, CG_UNSET);
	assert_string_equal(c.limits.cpuset_cpus, "0-3,7");
	assert_string_equal(c.limits.cpuset_mems, "0");
	assert_int_equal(c.limits.pids_max, CG_MAX);
	assert_int_equal(c.limits.n_unified, 1);
	assert_string_equal(c.limits.unified[0].file, "memory.high");
	assert_string_equal(c.limits.unified[0].value, "60000000");
	oci_config_done(&c);

	/* 0 is "not given"; for tasks it would be a limit, and is refused. */
	read_with("linux.resources",
		  "{\"memory\": {\"limit\": 0, \"swap\": 0},"
		  " \"cpu\": {\"shares\": 0, \"quota\": 0, \"period\": 0, \"cpus\": \"\"},"
		  " \"pids\": {}}",
		  &c);
	assert_int_equal(c.limits.memory_bytes, CG_UNSET);
	assert_int_equal(c.limits.memory_swap_bytes, CG_UNSET);
	assert_int_equal(c.limits.cpu_shares, CG_UNSET);
	assert_int_equal(c.limits.cpu_quota_usec, CG_UNSET);
	assert_int_equal(c.limits.cpu_period_usec, CG_UNSET);
	assert_null(c.limits.cpuset_cpus);
	assert_int_equal(c.limits.pids_max, CG_UNSET);
	oci_config_done(&c);
}

static bool allows(const struct cg_limits *l, char type, int64_t major, int64_t minor)
{
	bool allowed = true;

	for (size_t i = 0; i < l->n_devices; i++) {
		const struct cg_device_rule *d = &l->devices[i];

		if ((d->type == 'a' || d->type == type) && (d->major < 0 || d->major == major) &&
		    (d->minor < 0 || d->minor == minor) && d->read && d->write)
			allowed = d->allow;
	}
	return allowed;
}

static void test_resources_of_devices(void **state)
{
	struct oci_config c;

	(void)state;
	read_with(
		"linux.resources",
		"{\"blockIO\": {\"weight\": 500, \"weightDevice\": [{\"major\": 8, \"minor\": 0, "
		"\"weight\": 10}], \"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 16, "
		"\"rate\": 18446744073709551615}], \"throttleWriteIOPSDevice\": [{\"major\": 8, "
		"\"minor\": 0, \"rate\": 300}]}, \"hugepageLimits\": [{\"pageSize\": \"2MB\", "
		"\"limit\": 209715200}], \"rdma\": {\"mlx5_1\": {\"hcaHandles\": 3}}, "
		"\"network\": {\"classID\": 1048577, \"priorities\": [{\"name\": \"eth0\", "
		"\"priority\": 500}]}, \"cpu\": {\"quota\": 20000, \"burst\": 5000, \"idle\": 0}, "
		"\"memory\": {\"limit\": 1048576, \"checkBeforeUpdate\": true}}",
		&c);
	assert_int_equal(c.limits.io_weight, 500);
	assert_int_equal(c.limits.n_io_weights, 1);
	assert_int_equal(c.limits.io_weights[0].value, 10);
	assert_int_equal(c.limits.n_io_max[CG_IO_READ_BPS], 1);
	assert_true(c.limits.io_max[CG_IO_READ_BPS][0].value == UINT64_MAX);
	assert_int_equal(c.limits.io_max[CG_IO_READ_BPS][0].minor, 16);
	assert_int_equal(c.limits.n_io_max[CG_IO_WRITE_BPS], 0);
	assert_int_equal(c.limits.io_max[CG_IO_WRITE_IOPS][0].value, 300);
	assert_int_equal(c.limits.n_pages, 1);
	assert_string_equal(c.limits.pages[0].size, "2MB");
	assert_int_equal(c.limits.pages[0].bytes, 209715200);
	assert_int_equal(c.limits.n_rdma, 1);
	assert_string_equal(c.limits.rdma[0].device, "mlx5_1");
	assert_int_equal(c.limits.rdma[0].handles, 3);
	assert_true(c.limits.rdma[0].objects == CG_UNSET);
	assert_int_equal(c.limits.net_class, 1048577);
	assert_int_equal(c.limits.net_priorities[0].priority, 500);
	assert_int_equal(c.limits.cpu_burst_usec, 5000);
	assert_int_equal(c.limits.cpu_idle, 0);
	assert_true(c.limits.memory_check_before);
	oci_config_done(&c);
}

static void test_device_rules(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("linux.resources.devices",
		  "[{\"allow\": false, \"access\": \"rwm\"},"
		  " {\"allow\": true, \"type\": \"c\", \"major\": 10, \"minor\": 229,"
		  "  \"access\": \"rw\"}, {\"allow\": true, \"type\": \"b\", \"major\": 8,"
		  "  \"minor\": -1}]",
		  &c);
	assert_false(c.limits.devices[0].allow);
	assert_int_equal(c.limits.devices[0].type, 'a');
	assert_int_equal(c.limits.devices[0].major, -1);
	assert_false(c.limits.devices[1].mknod);
	assert_true(c.limits.devices[2].mknod); /* no access given: all */
	assert_true(allows(&c.limits, 'c', 10, 229));
	assert_true(allows(&c.limits, 'b', 8, 16));
	assert_false(allows(&c.limits, 'c', 10, 232)); /* /dev/kvm */
	assert_false(allows(&c.limits, 'c', 1, 1));    /* /dev/mem */
	assert_false(allows(&c.limits, 'c', 1, 2));
	/* Spec: the default devices are there whatever the rules say. */
	assert_true(allows(&c.limits, 'c', 1, 3));
	assert_true(allows(&c.limits, 'c', 1, 5));
	assert_true(allows(&c.limits, 'c', 1, 7));
	assert_true(allows(&c.limits, 'c', 1, 8));
	assert_true(allows(&c.limits, 'c', 1, 9));
	assert_true(allows(&c.limits, 'c', 5, 0));
	assert_true(allows(&c.limits, 'c', 5, 2));
	assert_true(allows(&c.limits, 'c', 136, 77));
	oci_config_done(&c);
}

static void test_hooks(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("hooks",
		  "{\"prestart\": [{\"path\": \"/a\", \"args\": [\"a\", \"b\"], \"env\": [\"X=1\"],"
		  "  \"timeout\": 5}, {\"path\": \"/b\"}], \"poststop\": [{\"path\": \"/c\"}]}",
		  &c);
	assert_int_equal(c.hooks[OCI_HOOK_PRESTART].n, 2);
	assert_string_equal(c.hooks[OCI_HOOK_PRESTART].v[0].path, "/a");
	assert_string_equal(c.hooks[OCI_HOOK_PRESTART].v[0].args[1], "b");
	assert_string_equal(c.hooks[OCI_HOOK_PRESTART].v[0].env[0], "X=1");
	assert_true(c.hooks[OCI_HOOK_PRESTART].v[0].has_timeout);
	assert_int_equal(c.hooks[OCI_HOOK_PRESTART].v[0].timeout_sec, 5);
	assert_false(c.hooks[OCI_HOOK_PRESTART].v[1].has_timeout);
	assert_int_equal(c.hooks[OCI_HOOK_POSTSTOP].n, 1);
	assert_int_equal(c.hooks[OCI_HOOK_POSTSTART].n, 0);
	assert_string_equal(oci_hook_name(OCI_HOOK_CREATE_RUNTIME), "createRuntime");
	assert_string_equal(oci_hook_name(OCI_HOOK_POSTSTOP), "poststop");
	oci_config_done(&c);
}

static void test_annotations(void **state)
{
	struct oci_config c;

	(void)state;
	read_with("annotations",
		  "{\"b\": \"2\", \"a=x\": \"1\", \"org.insula.rootfs\": \"throwaway\"}", &c);
	assert_int_equal(strv_len(c.annotations), 3);
	assert_string_equal(c.annotations[0], "b=2"); /* document order */
	assert_string_equal(oci_annotation(&c, "b"), "2");
	assert_string_equal(oci_annotation(&c, "a=x"), "1");
	assert_null(oci_annotation(&c, "a"));
	assert_int_equal(c.isolation.rootfs.kind, ISO_ROOTFS_THROWAWAY);
	oci_config_done(&c);

	read_with(NULL, NULL, &c);
	assert_null(oci_annotation(&c, "b"));
	oci_config_done(&c);
}

/* Limits of rules are full 64-bit numbers. */
static void test_seccomp(void **state)
{
	struct oci_config c;
	struct iso_seccomp *s = &c.isolation.seccomp;

	(void)state;
	read_with("linux.seccomp",
		  "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38,"
		  " \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\"],"
		  " \"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"], \"listenerPath\": \"\","
		  " \"syscalls\": [{\"names\": [\"read\", \"nosuchcall\"],"
		  "   \"action\": \"SCMP_ACT_ALLOW\"},"
		  "  {\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 0,"
		  "   \"args\": [{\"index\": 5, \"value\": 9223372036854775808,"
		  "     \"valueTwo\": 18446744073709551615, \"op\": \"SCMP_CMP_MASKED_EQ\"}]}]}",
		  &c);
	assert_true(s->present);
	assert_true(s->has_default_errno_ret);
	assert_int_equal(s->default_errno_ret, 38);
	assert_int_equal(s->n_arches, 2);
	assert_int_equal(s->arches[1], SCMP_ARCH_X86);
	assert_true(s->flags != 0);
	assert_null(s->listener_path);
	assert_int_equal(s->n_rules, 2);
	assert_string_equal(s->rules[0].names[1], "nosuchcall");
	assert_int_equal(s->rules[0].action, SCMP_ACT_ALLOW);
	assert_true(s->rules[1].has_errno_ret);
	assert_int_equal(s->rules[1].errno_ret, 0);
	assert_int_equal(s->rules[1].args[0].index, 5);
	assert_true(s->rules[1].args[0].value == UINT64_C(1) << 63);
	assert_true(s->rules[1].args[0].value_two == UINT64_MAX);
	assert_int_equal(s->rules[1].args[0].op, SCMP_CMP_MASKED_EQ);
	oci_config_done(&c);
}

static void test_load(void **state)
{
	char dir[] = "/tmp/insula-test-bundle-XXXXXX", path[64], text[] = DOCUMENT_SMALLEST;
	char want[64];
	struct oci_config c;
	struct err e = ERR_INIT;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	/* No config.json: said by name, and what to do. */
	assert_true(oci_config_load(dir, &c, &e) < 0);
	assert_non_null(strstr(e.text, "config.json"));
	assert_true(e.hint[0] != '\0');

	snprintf(path, sizeof(path), "%s/config.json", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	fclose(f);
	err_clear(&e);
	if (oci_config_load(dir, &c, &e) < 0)
		fail_msg("%s", e.text);
	snprintf(want, sizeof(want), "%s/rootfs", dir);
	assert_string_equal(c.isolation.rootfs.path, want);
	oci_config_done(&c);
	unlink(path);
	rmdir(dir);

	assert_true(oci_config_load("/nonexistent/bundle", &c, &e) < 0);
	assert_non_null(strstr(e.text, "/nonexistent/bundle"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_process_absent),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_id_maps),
		cmocka_unit_test(test_linux_rest),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_device_rules),
		cmocka_unit_test(test_resources_of_devices),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_annotations),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
