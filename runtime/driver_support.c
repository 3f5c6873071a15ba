/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The support table: every field of the OCI runtime specification's configuration (1.3: config.md,
 * config-linux.md, config-vm.md) and every verb that the field's runtimes have, with what each
 * driver does about it. It is the one source of refusals, of `features` and of
 * docs/oci-support.md.
 *
 * A refused object is listed by its members, so that members unknown to the specification stay
 * without effect and members that ask for nothing stay without consequence. The order is that of
 * the specification; a refusal names the first row that meets a value. The syntax of names is
 * runtime/support.h's.
 */
#include "base/cleanup.h"
#include "runtime/driver.h"

#define YES                       \
	{                         \
		SUPPORT_YES, NULL \
	}
#define VIA(how)                 \
	{                        \
		SUPPORT_YES, how \
	}
#define NO(how)                 \
	{                       \
		SUPPORT_NO, how \
	}
#define MOOT(how)                 \
	{                         \
		SUPPORT_MOOT, how \
	}

#define ROW(name, container, vm)                                         \
	{                                                                \
		(name),                                                  \
		{                                                        \
			[DRIVER_CONTAINER] = container, [DRIVER_VM] = vm \
		}                                                        \
	}
#define BOTH(name, cell)                                              \
	{                                                             \
		(name),                                               \
		{                                                     \
			[DRIVER_CONTAINER] = cell, [DRIVER_VM] = cell \
		}                                                     \
	}

/* Reasons that several rows share. */
#define GUEST                VIA("done in the guest")
#define HOST_GROUP           VIA("limits the control group of the whole microVM on the host")
#define OWN_KERNEL           MOOT("a microVM has its own, by having its own kernel")
#define NO_JOIN              NO("a guest kernel cannot enter a namespace of the host")
#define ONLY_VM              NO("only for a microVM")
#define OTHER_OS(os)         NO("for " os " hosts; this runtime is for Linux")
#define OTHER_OS_IGNORED(os) MOOT("for " os " hosts; has no meaning on Linux")
#define NO_LEAF              NO("kernels since 5.0 know no leaf weights")
#define NO_GUEST_IDMAP       NO("the guest's file system of shared directories (virtiofs) maps no ids")
#define NO_GUEST_NET         NO("a microVM has no network devices yet")
#define NO_RDT               NO("cache and memory bandwidth allocation (resctrl) is not done")
#define NO_MPOL              NO("a guest has one memory node; resources.cpu.mems places the microVM's memory")
#define NO_KMEM              NO("kernel memory has no limit of its own any more; memory.limit counts it")
#define V1_ONLY              VIA("on cgroup v1, which alone has it; refused on v2")
#define NO_GUEST_CPUS \
	NO("the CPUs of a guest are not the host's; resources.cpu.cpus places the microVM")
#define NO_GUEST_IO                                                                            \
	NO("a guest's files are read and written by a process of the host; resources.blockIO " \
	   "limits it")
#define SYSTEM_ONLY VIA("of a guest that boots from vm.image; refused without one")
#define NO_NOTIFY   NO("the agent's socket is on the host, where a guest's kernel has no descriptors")

const struct support_row support_table[] = {
	BOTH("ociVersion", VIA("1.0.0 up to, not including, 2.0.0")),
	ROW("root.path", YES, VIA("shared with the guest by virtiofs")),
	BOTH("root.readonly", YES),

	/* ---- mounts */
	BOTH("mounts[].destination", YES),
	BOTH("mounts[].type", YES),
	ROW("mounts[].source", YES, VIA("what is bound is shared with the guest by virtiofs")),
	BOTH("mounts[].options[]", YES),
	ROW("mounts[].options[]=idmap", YES, NO_GUEST_IDMAP),
	ROW("mounts[].options[]=ridmap", YES, NO_GUEST_IDMAP),
	ROW("mounts[].uidMappings", YES, NO_GUEST_IDMAP),
	ROW("mounts[].gidMappings", YES, NO_GUEST_IDMAP),

	/* ---- process */
	ROW("process.terminal", YES, GUEST),
	BOTH("process.consoleSize", YES),
	ROW("process.cwd", YES, GUEST),
	ROW("process.env", YES, GUEST),
	ROW("process.args", YES, GUEST),
	BOTH("process.commandLine", OTHER_OS("Windows")),
	ROW("process.user.uid", YES, GUEST),
	ROW("process.user.gid", YES, GUEST),
	ROW("process.user.umask", YES, GUEST),
	ROW("process.user.additionalGids", YES, GUEST),
	BOTH("process.user.username", OTHER_OS_IGNORED("Windows")),
	ROW("process.rlimits[]", YES, GUEST),
	ROW("process.capabilities", YES, GUEST),
	ROW("process.noNewPrivileges", YES, GUEST),
	ROW("process.oomScoreAdj", YES, GUEST),
	ROW("process.apparmorProfile", YES,
	    NO("the guest kernel loads no AppArmor profiles; ask the engine for no profile "
	       "(--security-opt apparmor=unconfined)")),
	ROW("process.selinuxLabel", YES,
	    NO("the guest kernel has no SELinux policy; ask the engine for no label "
	       "(--security-opt label=disable)")),
	ROW("process.scheduler.policy", YES, GUEST),
	ROW("process.scheduler.nice", YES, GUEST),
	ROW("process.scheduler.priority", YES, GUEST),
	ROW("process.scheduler.flags", YES, GUEST),
	ROW("process.scheduler.runtime", YES, GUEST),
	ROW("process.scheduler.deadline", YES, GUEST),
	ROW("process.scheduler.period", YES, GUEST),
	ROW("process.ioPriority.class", YES, NO_GUEST_IO),
	ROW("process.ioPriority.priority", YES, NO_GUEST_IO),
	ROW("process.execCPUAffinity.initial", VIA("of exec alone"), NO_GUEST_CPUS),
	ROW("process.execCPUAffinity.final", VIA("of exec alone"), NO_GUEST_CPUS),

	BOTH("hostname", YES),
	BOTH("domainname", YES),

	/* ---- hooks */
	BOTH("hooks.prestart", YES),
	BOTH("hooks.createRuntime", YES),
	ROW("hooks.createContainer", YES,
	    NO("a microVM has no container namespaces on the host; use createRuntime")),
	ROW("hooks.startContainer", YES,
	    NO("a microVM has no container namespaces on the host; use createRuntime, or a "
	       "wrapper in the image")),
	BOTH("hooks.poststart", YES),
	BOTH("hooks.poststop", YES),

	ROW("annotations",
	    VIA("kept, and shown by state; org.insula.isolation, org.insula.rootfs and "
		"org.insula.landlock are acted upon"),
	    VIA("kept, and shown by state; org.insula.isolation, org.insula.rootfs and "
		"org.insula.vm.memory, .vcpus, .engine, .accel, .boot-timeout, .boot, .root, "
		".persist, .disks and .cloud-init are acted "
		"upon; org.insula.landlock is moot, as the guest has its own kernel")),

	/* ---- linux: namespaces */
	ROW("linux.namespaces[pid]", YES, GUEST),
	ROW("linux.namespaces[network]", YES, OWN_KERNEL),
	ROW("linux.namespaces[mount]", YES, GUEST),
	ROW("linux.namespaces[ipc]", YES, OWN_KERNEL),
	ROW("linux.namespaces[uts]", YES, OWN_KERNEL),
	ROW("linux.namespaces[user]", YES,
	    VIA("the processes on the host run in it; the guest's ids are those mapped there")),
	ROW("linux.namespaces[cgroup]", YES, OWN_KERNEL),
	ROW("linux.namespaces[time]", YES, OWN_KERNEL),
	ROW("linux.namespaces[pid].path", YES, NO_JOIN),
	ROW("linux.namespaces[network].path", YES,
	    NO("a microVM has no network devices yet; ask the engine for --network none")),
	ROW("linux.namespaces[mount].path",
	    NO("mounts would be made, and the root be changed, for all who are in it"), NO_JOIN),
	ROW("linux.namespaces[ipc].path", YES, NO_JOIN),
	ROW("linux.namespaces[uts].path", YES, NO_JOIN),
	ROW("linux.namespaces[user].path", YES, NO_JOIN),
	ROW("linux.namespaces[cgroup].path", YES, NO_JOIN),
	ROW("linux.namespaces[time].path", YES, NO_JOIN),
	ROW("linux.uidMappings", YES, VIA("of the user namespace on the host")),
	ROW("linux.gidMappings", YES, VIA("of the user namespace on the host")),
	ROW("linux.timeOffsets", YES,
	    NO("a microVM has clocks of its own, which begin at its start")),

	/* ---- linux: devices, network devices */
	ROW("linux.devices[]", YES,
	    NO("devices of the host are not passed to a guest; the default ones are there")),
	ROW("linux.netDevices", YES, NO_GUEST_NET),

	/* ---- linux: control groups */
	BOTH("linux.cgroupsPath",
	     VIA("absolute: below the root of the hierarchies; relative: below "
		 "our own group's parent. With the systemd manager slice:prefix:name")),
	ROW("linux.resources.devices[]", YES, GUEST),
	ROW("linux.resources.memory.limit", YES,
	    VIA("is the guest's memory; the host's limit adds the engine's own need")),
	ROW("linux.resources.memory.reservation", YES, HOST_GROUP),
	ROW("linux.resources.memory.swap", YES, HOST_GROUP),
	BOTH("linux.resources.memory.kernel", NO_KMEM),
	BOTH("linux.resources.memory.kernelTCP", NO_KMEM),
	BOTH("linux.resources.memory.swappiness", V1_ONLY),
	BOTH("linux.resources.memory.disableOOMKiller", V1_ONLY),
	BOTH("linux.resources.memory.useHierarchy",
	     MOOT("always so: kernels since 5.11 know nothing else")),
	BOTH("linux.resources.memory.checkBeforeUpdate",
	     VIA("v2 would kill; v1 refuses such a limit by itself")),
	ROW("linux.resources.cpu.shares", YES, HOST_GROUP),
	ROW("linux.resources.cpu.quota", YES, HOST_GROUP),
	ROW("linux.resources.cpu.period", YES, HOST_GROUP),
	ROW("linux.resources.cpu.cpus", YES, HOST_GROUP),
	ROW("linux.resources.cpu.mems", YES, HOST_GROUP),
	ROW("linux.resources.cpu.burst", YES, HOST_GROUP),
	ROW("linux.resources.cpu.idle", YES, HOST_GROUP),
	BOTH("linux.resources.cpu.realtimeRuntime", V1_ONLY),
	BOTH("linux.resources.cpu.realtimePeriod", V1_ONLY),
	ROW("linux.resources.pids.limit", YES, GUEST),
	ROW("linux.resources.blockIO.weight", VIA("where an I/O scheduler knows weights"),
	    HOST_GROUP),
	BOTH("linux.resources.blockIO.leafWeight", NO_LEAF),
	ROW("linux.resources.blockIO.weightDevice[].weight",
	    VIA("where an I/O scheduler knows weights"), HOST_GROUP),
	BOTH("linux.resources.blockIO.weightDevice[].leafWeight", NO_LEAF),
	ROW("linux.resources.blockIO.throttleReadBpsDevice", YES, HOST_GROUP),
	ROW("linux.resources.blockIO.throttleWriteBpsDevice", YES, HOST_GROUP),
	ROW("linux.resources.blockIO.throttleReadIOPSDevice", YES, HOST_GROUP),
	ROW("linux.resources.blockIO.throttleWriteIOPSDevice", YES, HOST_GROUP),
	ROW("linux.resources.hugepageLimits",
	    VIA("usage, and reservations where the kernel counts them"),
	    NO("a guest has no huge pages of the host")),
	ROW("linux.resources.network.classID", V1_ONLY, NO_GUEST_NET),
	ROW("linux.resources.network.priorities", V1_ONLY, NO_GUEST_NET),
	ROW("linux.resources.rdma", YES, NO("devices of the host are not passed to a guest")),
	ROW("linux.resources.unified", VIA("written as it is, on cgroup v2"), HOST_GROUP),

	/* ---- linux: the rest */
	BOTH("linux.intelRdt.closID", NO_RDT),
	BOTH("linux.intelRdt.schemata", NO_RDT),
	BOTH("linux.intelRdt.l3CacheSchema", NO_RDT),
	BOTH("linux.intelRdt.memBwSchema", NO_RDT),
	BOTH("linux.intelRdt.enableMonitoring", NO_RDT),
	ROW("linux.memoryPolicy.mode", YES, NO_MPOL),
	ROW("linux.memoryPolicy.nodes", YES, NO_MPOL),
	ROW("linux.memoryPolicy.flags", YES, NO_MPOL),
	ROW("linux.sysctl", YES, GUEST),
	ROW("linux.seccomp.defaultAction", YES, GUEST),
	ROW("linux.seccomp.defaultErrnoRet", YES, GUEST),
	ROW("linux.seccomp.architectures", YES, GUEST),
	ROW("linux.seccomp.flags", YES, GUEST),
	ROW("linux.seccomp.syscalls[]", YES, GUEST),
	ROW("linux.seccomp.listenerPath", YES, NO_NOTIFY),
	ROW("linux.seccomp.listenerMetadata", YES, NO_NOTIFY),
	BOTH("linux.seccomp.defaultAction=SCMP_ACT_NOTIFY",
	     NO("it would hand over the calls that start the process, before there is an agent")),
	ROW("linux.seccomp.syscalls[].action=SCMP_ACT_NOTIFY", YES, NO_NOTIFY),
	ROW("linux.rootfsPropagation", YES, MOOT("no mount of the host reaches into a guest")),
	ROW("linux.maskedPaths", YES, GUEST),
	ROW("linux.readonlyPaths", YES, GUEST),
	ROW("linux.mountLabel", YES,
	    NO("the guest kernel has no SELinux policy; ask the engine for no label "
	       "(--security-opt label=disable)")),
	ROW("linux.personality.domain", YES, GUEST),
	BOTH("linux.personality.flags", VIA("must be empty: the specification has no flags yet")),

	/* ---- vm */
	ROW("vm.hypervisor.path", ONLY_VM, NO("the engine is chosen by what works on the host")),
	ROW("vm.hypervisor.parameters", ONLY_VM,
	    NO("parameters of an engine are not taken from a configuration")),
	ROW("vm.kernel.path", ONLY_VM, SYSTEM_ONLY),
	ROW("vm.kernel.parameters", ONLY_VM, SYSTEM_ONLY),
	ROW("vm.kernel.initrd", ONLY_VM, SYSTEM_ONLY),
	ROW("vm.image.path", ONLY_VM,
	    VIA("without root: the guest boots from this disk, and is the workload; refused with "
		"root")),
	ROW("vm.image.format", ONLY_VM, VIA("raw or qcow2; default: by the name's extension")),
	ROW("vm.hwConfig.deviceTree", ONLY_VM, NO("hardware is not passed through")),
	ROW("vm.hwConfig.vcpus", ONLY_VM, NO("not done; resources.cpu.quota gives the vCPUs")),
	ROW("vm.hwConfig.memory", ONLY_VM, NO("not done; resources.memory.limit gives the memory")),
	ROW("vm.hwConfig.dtdevs", ONLY_VM, NO("hardware is not passed through")),
	ROW("vm.hwConfig.iomems", ONLY_VM, NO("hardware is not passed through")),
	ROW("vm.hwConfig.irqs", ONLY_VM, NO("hardware is not passed through")),

	/* ---- other systems */
	BOTH("solaris", OTHER_OS("Solaris")),
	BOTH("windows", OTHER_OS("Windows")),
	BOTH("zos", OTHER_OS("z/OS")),
	BOTH("freebsd", OTHER_OS("FreeBSD")),

	/* ---- verbs */
	BOTH("verb:create", YES),
	BOTH("verb:start", YES),
	BOTH("verb:run", YES),
	BOTH("verb:state", YES),
	BOTH("verb:kill", YES),
	BOTH("verb:delete", YES),
	ROW("verb:exec", YES, GUEST),
	BOTH("verb:list", YES),
	ROW("verb:exec --cgroup", YES, NO("the processes of a guest share one group")),
	ROW("verb:exec --ignore-paused", VIA("it runs when the container is resumed"),
	    NO("nobody answers in a paused guest")),
	ROW("verb:NOTIFY_SOCKET",
	    VIA("a socket of its own; what speaks of the service is handed on"),
	    NO("a guest has no socket of the host")),
	BOTH("verb:spec", YES),
	BOTH("verb:features", YES),
	BOTH("verb:pause", YES),
	BOTH("verb:resume", YES),
	ROW("verb:ps", YES, VIA("lists the microVM's processes on the host")),
	ROW("verb:update", YES, VIA("of the host's control group; memory and pids are fixed")),
	ROW("verb:events", YES, VIA("as the host sees the microVM")),
	ROW("verb:checkpoint", VIA("by criu, as root; without terminal and user namespace"),
	    NO("criu knows processes, not machines")),
	ROW("verb:restore", VIA("by criu, as root; without terminal and user namespace"),
	    NO("criu knows processes, not machines")),
	ROW("verb:mounts",
	    VIA("add and remove; bind mounts and file systems that show no namespace"),
	    NO("what a guest sees of the host is fixed at its start")),
};
const size_t support_table_len = ARRAY_SIZE(support_table);
