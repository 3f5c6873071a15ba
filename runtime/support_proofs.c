/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which test proves a row of the support table: "PROGRAM: TEST", a unit or integration test; or "oci: CHECK", a check of
 * the validation suite (docs/oci-conformance.md). What both drivers refuse is proved by the test that asks for every row. The
 * document cannot be made while a row has none, and test_support looks for each test that is named.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/support.h"

static const struct {
	const char *row, *test;
} proofs[] = {
	{"ociVersion", "oci: ociVersion.1.3.0"},
	{"root.path", "oci: root.path.relative"},
	{"root.readonly", "oci: root.readonly"},
	{"mounts[].destination", "oci: mounts.destination.made"},
	{"mounts[].type", "oci: mounts.type.mqueue"},
	{"mounts[].source", "oci: mounts.source.directory"},
	{"mounts[].options[]", "oci: mounts.option.nosuid"},
	{"mounts[].options[]=idmap", "oci: mounts.idmap"},
	{"mounts[].options[]=ridmap", "oci: mounts.ridmap"},
	{"mounts[].uidMappings", "oci: mounts.idmap"},
	{"mounts[].gidMappings", "oci: mounts.idmap"},
	{"process.terminal", "oci: process.terminal"},
	{"process.consoleSize", "oci: process.consoleSize"},
	{"process.cwd", "oci: process.cwd"},
	{"process.env", "oci: process.env"},
	{"process.args", "oci: process.args"},
	{"process.user.uid", "oci: process.user.uid"},
	{"process.user.gid", "oci: process.user.gid"},
	{"process.user.umask", "oci: process.user.umask"},
	{"process.user.additionalGids", "oci: process.user.additionalGids"},
	{"process.user.username", "test_support: test_refusals"},
	{"process.rlimits[]", "oci: process.rlimits.soft"},
	{"process.capabilities", "oci: process.capabilities.effective"},
	{"process.noNewPrivileges", "oci: process.noNewPrivileges"},
	{"process.oomScoreAdj", "oci: process.oomScoreAdj"},
	{"process.apparmorProfile", "oci: values.process.apparmorProfile"},
	{"process.selinuxLabel", "oci: values.process.selinuxLabel"},
	{"process.scheduler.policy", "oci: process.scheduler.batch"},
	{"process.scheduler.nice", "oci: process.scheduler.other"},
	{"process.scheduler.priority", "test_scheduling: real_time"},
	{"process.scheduler.flags", "oci: process.scheduler.flags"},
	{"process.scheduler.runtime", "test_scheduling: deadline"},
	{"process.scheduler.deadline", "test_scheduling: deadline"},
	{"process.scheduler.period", "test_scheduling: deadline"},
	{"process.ioPriority.class", "oci: process.ioPriority.idle"},
	{"process.ioPriority.priority", "oci: process.ioPriority.be"},
	{"process.execCPUAffinity.initial", "test_scheduling: exec_on_given_processors"},
	{"process.execCPUAffinity.final", "oci: process.execCPUAffinity"},
	{"hostname", "oci: hostname"},
	{"domainname", "oci: domainname"},
	{"hooks.prestart", "oci: hooks.prestart"},
	{"hooks.createRuntime", "oci: hooks.createRuntime"},
	{"hooks.createContainer", "oci: hooks.createContainer"},
	{"hooks.startContainer", "oci: hooks.startContainer"},
	{"hooks.poststart", "oci: hooks.poststart"},
	{"hooks.poststop", "oci: hooks.poststop"},
	{"annotations", "oci: lifecycle.state.annotations"},
	{"linux.namespaces[pid]", "oci: linux.namespaces.pid.new"},
	{"linux.namespaces[pid].path", "oci: linux.namespaces.pid.path"},
	{"linux.namespaces[network]", "oci: linux.namespaces.network.new"},
	{"linux.namespaces[network].path", "oci: linux.namespaces.network.path"},
	{"linux.namespaces[mount]", "oci: linux.namespaces.mount.new"},
	{"linux.namespaces[ipc]", "oci: linux.namespaces.ipc.new"},
	{"linux.namespaces[ipc].path", "oci: linux.namespaces.ipc.path"},
	{"linux.namespaces[uts]", "oci: linux.namespaces.uts.new"},
	{"linux.namespaces[uts].path", "oci: linux.namespaces.uts.path"},
	{"linux.namespaces[user]", "oci: linux.namespaces.user.new"},
	{"linux.namespaces[user].path", "oci: linux.namespaces.user.path"},
	{"linux.namespaces[cgroup]", "oci: linux.namespaces.cgroup.new"},
	{"linux.namespaces[cgroup].path", "oci: linux.namespaces.cgroup.path"},
	{"linux.namespaces[time]", "oci: linux.namespaces.time.new"},
	{"linux.namespaces[time].path", "oci: linux.namespaces.time.path"},
	{"linux.uidMappings", "oci: linux.uidMappings"},
	{"linux.gidMappings", "oci: linux.gidMappings"},
	{"linux.timeOffsets", "oci: linux.timeOffsets"},
	{"linux.devices[]", "oci: linux.devices.character"},
	{"linux.netDevices", "oci: linux.netDevices"},
	{"linux.cgroupsPath", "oci: linux.cgroupsPath.absolute"},
	{"linux.resources.devices[]", "oci: linux.resources.devices.deny"},
	{"linux.resources.memory.limit", "oci: linux.resources.memory.limit"},
	{"linux.resources.memory.reservation", "oci: linux.resources.memory.reservation"},
	{"linux.resources.memory.swap", "oci: linux.resources.memory.swap"},
	{"linux.resources.memory.swappiness", "oci: linux.resources.memory.swappiness"},
	{"linux.resources.memory.disableOOMKiller", "oci: linux.resources.memory.disableOOMKiller"},
	{"linux.resources.cpu.shares", "oci: linux.resources.cpu.shares"},
	{"linux.resources.cpu.quota", "oci: linux.resources.cpu.quota"},
	{"linux.resources.cpu.period", "oci: linux.resources.cpu.period"},
	{"linux.resources.cpu.cpus", "oci: linux.resources.cpu.cpus"},
	{"linux.resources.cpu.mems", "oci: linux.resources.cpu.mems"},
	{"linux.resources.cpu.burst", "oci: linux.resources.cpu.burst"},
	{"linux.resources.cpu.idle", "oci: linux.resources.cpu.idle"},
	{"linux.resources.cpu.realtimeRuntime", "oci: linux.resources.cpu.realtimeRuntime"},
	{"linux.resources.cpu.realtimePeriod", "oci: linux.resources.cpu.realtimePeriod"},
	{"linux.resources.pids.limit", "oci: linux.resources.pids.limit"},
	{"linux.resources.blockIO.weight", "oci: linux.resources.blockIO.weight"},
	{"linux.resources.hugepageLimits", "oci: linux.resources.hugepageLimits"},
	{"linux.resources.network.classID", "oci: linux.resources.network.classID"},
	{"linux.resources.network.priorities", "oci: linux.resources.network.priorities"},
	{"linux.resources.memory.useHierarchy", "test_support: test_exceptions"},
	{"linux.resources.memory.checkBeforeUpdate", "test_oci_limits: update_refuses"},
	{"linux.resources.blockIO.weightDevice[].weight",
	 "test_oci_config: test_resources_of_devices"},
	{"linux.resources.blockIO.throttleReadBpsDevice", "test_group: body_io"},
	{"linux.resources.blockIO.throttleWriteBpsDevice", "test_group: body_io"},
	{"linux.resources.blockIO.throttleReadIOPSDevice", "test_group: body_io"},
	{"linux.resources.blockIO.throttleWriteIOPSDevice", "test_group: body_io"},
	{"linux.resources.rdma", "test_oci_config: test_resources_of_devices"},
	{"linux.resources.unified", "test_limits: unified_names"},
	{"linux.memoryPolicy.mode", "oci: linux.memoryPolicy.bind"},
	{"linux.memoryPolicy.nodes", "oci: linux.memoryPolicy.bind"},
	{"linux.memoryPolicy.flags", "oci: linux.memoryPolicy.flags"},
	{"linux.sysctl", "oci: linux.sysctl.ipc"},
	{"linux.seccomp.defaultAction", "oci: linux.seccomp.defaultErrnoRet"},
	{"linux.seccomp.defaultErrnoRet", "oci: linux.seccomp.defaultErrnoRet"},
	{"linux.seccomp.architectures", "oci: linux.seccomp.architectures"},
	{"linux.seccomp.flags", "oci: linux.seccomp.flag.LOG"},
	{"linux.seccomp.syscalls[]", "oci: linux.seccomp.errnoRet"},
	{"linux.seccomp.listenerPath", "oci: linux.seccomp.notify"},
	{"linux.seccomp.listenerMetadata", "oci: linux.seccomp.notify.metadata"},
	{"linux.seccomp.syscalls[].action=SCMP_ACT_NOTIFY", "oci: linux.seccomp.notify"},
	{"linux.rootfsPropagation", "oci: linux.rootfsPropagation.slave"},
	{"linux.maskedPaths", "oci: linux.maskedPaths.file"},
	{"linux.readonlyPaths", "oci: linux.readonlyPaths"},
	{"linux.mountLabel", "test_oci_config: test_linux_rest"},
	{"linux.personality.domain", "oci: linux.personality"},
	{"linux.personality.flags", "oci: values.linux.personality.flags"},
	{"vm.kernel.path", "test_support: test_refusals"},
	{"vm.kernel.parameters", "test_support: test_refusals"},
	{"vm.kernel.initrd", "test_support: test_refusals"},
	{"vm.image.path", "test_guest_system: powers_off"},
	{"vm.image.format", "test_guest_system: boots_qcow2"},
	{"verb:create", "oci: lifecycle.create"},
	{"verb:start", "oci: lifecycle.start"},
	{"verb:run", "oci: process.exit-code"},
	{"verb:state", "oci: lifecycle.state.status"},
	{"verb:kill", "oci: lifecycle.kill.USR1"},
	{"verb:delete", "oci: lifecycle.delete"},
	{"verb:exec", "test_oci: further_processes"},
	{"verb:list", "test_oci: lists"},
	{"verb:exec --cgroup", "test_oci_fields: in_a_group_below"},
	{"verb:exec --ignore-paused", "test_oci_fields: in_a_paused_container"},
	{"verb:NOTIFY_SOCKET", "test_oci_notify: start_waits_for_ready"},
	{"verb:spec", "test_oci: spec_runs"},
	{"verb:features", "oci: features.hooks"},
	{"verb:pause", "test_oci: further_processes"},
	{"verb:resume", "test_oci: further_processes"},
	{"verb:ps", "test_oci_limits: ps_lists"},
	{"verb:update", "test_oci_limits: update_changes_what_it_names"},
	{"verb:events", "test_oci_limits: events_tell"},
	{"verb:checkpoint", "test_oci_checkpoint: leaves_it_running"},
	{"verb:restore", "test_oci_checkpoint: goes_on"},
	{"verb:mounts", "test_oci_mounts: added_and_removed"},
};

static bool refused_by_all(const struct support_row *row)
{
	for (unsigned d = 0; d < DRIVER_COUNT; d++)
		if (row->by_driver[d].level != SUPPORT_NO)
			return false;
	return true;
}

const char *support_proof(const struct support_row *row)
{
	for (size_t i = 0; i < ARRAY_SIZE(proofs); i++)
		if (STREQ(proofs[i].row, row->name))
			return proofs[i].test;
	if (!refused_by_all(row))
		return NULL;
	return str_has_prefix(row->name, "verb:") ? "test_support: test_verbs"
						  : "test_support: test_refusals";
}
