/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows about the kernel: its log, switches, mounts, namespaces, large interfaces; part of hostile-host.c.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/fanotify.h>
#include <sys/time.h>
#include <time.h>

#include "hostile-host.h"

static enum verdict kernel_log(void)
{
	char buf[512];
	int fd;

	if (syscall(SYS_syslog, 3, buf, sizeof(buf)) >= 0)
		return breach("syslog(2)");
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		return breach("/dev/kmsg");
	return refused("syslog");
}

static enum verdict kernel_files(void)
{
	static const char *const paths[] = {"/proc/kcore",
					    "/proc/timer_list",
					    "/proc/keys",
					    "/proc/interrupts",
					    "/proc/sched_debug",
					    "/sys/kernel/debug/x",
					    "/sys/firmware/efi/runtime"};
	char byte;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_NONBLOCK);

		if (fd >= 0 && read(fd, &byte, 1) == 1)
			return breach("%s", paths[i]);
	}
	return REFUSED;
}

static enum verdict sysrq(void)
{
	static const char *const paths[] = {"/proc/sysrq-trigger", NULL};

	return open_for_writing(paths);
}

static enum verdict kernel_switches(void)
{
	static const char *const paths[] = {
		"/proc/sys/kernel/core_pattern",     "/proc/sys/kernel/modprobe",
		"/proc/sys/vm/drop_caches",          "/proc/sys/kernel/randomize_va_space",
		"/proc/sys/fs/binfmt_misc/register", "/proc/irq/default_smp_affinity",
		"/proc/sys/kernel/hostname",         NULL};

	return open_for_writing(paths);
}

static enum verdict sys_files(void)
{
	static const char *const paths[] = {"/sys/power/state",          "/sys/kernel/mm/ksm/run",
					    "/sys/kernel/uevent_helper", "/sys/kernel/profiling",
					    "/sys/class/net/lo/mtu",     NULL};

	return open_for_writing(paths);
}

static enum verdict cgroups(void)
{
	static const char *const paths[] = {"/sys/fs/cgroup/cgroup.procs",
					    "/sys/fs/cgroup/memory/cgroup.procs",
					    "/sys/fs/cgroup/devices/devices.allow",
					    "/sys/fs/cgroup/devices/release_agent",
					    "/sys/fs/cgroup/memory/release_agent",
					    "/sys/fs/cgroup/pids/tasks",
					    "/sys/fs/cgroup/unified/cgroup.procs",
					    "/sys/fs/cgroup/cgroup.subtree_control",
					    NULL};

	static const char *const made[] = {"/sys/fs/cgroup/hostile",
					   "/sys/fs/cgroup/memory/hostile"};

	for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++) {
		char procs[64];
		bool is_group;

		snprintf(procs, sizeof(procs), "%s/cgroup.procs", made[i]);
		is_group = mkdir(made[i], 0755) == 0 && access(procs, F_OK) == 0;
		rmdir(made[i]);
		if (is_group)
			return breach("groups can be made");
	}
	return open_for_writing(paths);
}

/* ---- mounts --------------------------------------------------------------------------------------- */

static enum verdict mount_something(void)
{
	if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
		return umount2("/tmp", MNT_DETACH), breach("tmpfs");
	if (mount("proc", "/mnt", "proc", 0, NULL) == 0)
		return umount2("/mnt", MNT_DETACH), breach("proc");
	if (mount("/", "/mnt", NULL, MS_BIND, NULL) == 0)
		return umount2("/mnt", MNT_DETACH), breach("bind");
	return refused("mount");
}

static enum verdict unmask_child(void)
{
	static const char *const masks[] = {"/proc/kcore",
					    "/proc/keys",
					    "/proc/timer_list",
					    "/proc/interrupts",
					    "/etc/shadow",
					    "/home",
					    "/root",
					    "/run",
					    "/tmp",
					    "/proc/sys",
					    "/sys/fs/cgroup",
					    "/proc",
					    "/dev"};

	for (size_t i = 0; i < sizeof(masks) / sizeof(*masks); i++)
		if (umount2(masks[i], MNT_DETACH) == 0)
			return breach("unmounted %s", masks[i]);
	return refused("umount");
}

/* A namespace of this program's alone: whatever it can unmount there stays for those who come after. */
static enum verdict unmask(void)
{
	return in_child(unmask_child);
}

static enum verdict remount(void)
{
	static const char *const paths[] = {"/", "/proc/sys", "/sys", "/usr", "/sys/fs/cgroup"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (mount(NULL, paths[i], NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
			return breach("%s", paths[i]);
	return refused("remount");
}

/* A mount that nobody attached gives something when a file of it can be opened. */
static enum verdict new_mount_calls(void)
{
	int fd = (int)syscall(SYS_fsopen, "proc", 0);

	if (fd >= 0 && syscall(SYS_fsconfig, fd, 6, NULL, NULL, 0) == 0)
		fd = (int)syscall(SYS_fsmount, fd, 0, 0);
	if (fd >= 0 && openat(fd, "version", O_RDONLY) >= 0)
		return breach("fsmount");
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc", 1);
	if (fd >= 0 && openat(fd, "version", O_RDONLY) >= 0)
		return breach("open_tree");
	if (syscall(SYS_move_mount, AT_FDCWD, "/run", AT_FDCWD, "/mnt", 0) == 0)
		return breach("move_mount");
	return refused("fsopen");
}

static enum verdict pivot(void)
{
	if (syscall(SYS_pivot_root, "/", "/") == 0 || syscall(SYS_pivot_root, "/tmp", "/tmp") == 0)
		return breach("pivot_root");
	return refused("pivot_root");
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

/* Root of a user namespace of one's own: allowed or not, it must not take anything away that hides. */
static enum verdict user_namespace_child(void)
{
	char map[64];
	unsigned uid = getuid(), gid = getgid();
	enum verdict v;

	if (unshare(CLONE_NEWUSER) < 0)
		return refused("unshare");
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_text("/proc/self/gid_map", map);
	if (unshare(CLONE_NEWNS) < 0) {
		snprintf(detail, sizeof(detail), "a user namespace, and no mounts in it");
		return REFUSED;
	}
	v = unmask_child();
	if (v == BREACH)
		return v;
	if (mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		return breach("remounted /proc/sys");
	snprintf(detail, sizeof(detail), "a user namespace, and nothing gained by it");
	return REFUSED;
}

static enum verdict user_namespace(void)
{
	return in_child(user_namespace_child);
}

/* The kernel's largest surface for who is nobody: is it there? */
static enum verdict user_namespace_surface_child(void)
{
	return unshare(CLONE_NEWUSER) == 0 || unshare(CLONE_NEWNS) == 0 ? breach("can be made")
									: refused("unshare");
}

static enum verdict user_namespace_surface(void)
{
	return in_child(user_namespace_surface_child);
}

static enum verdict clone_namespace(void)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, rest[6];
	} a = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &a, sizeof(a));

	if (pid < 0)
		pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return refused("clone");
	waitpid((pid_t)pid, NULL, 0);
	return breach("can be made");
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static enum verdict modules(void)
{
	enum verdict v = kernel_call("init_module", syscall(SYS_init_module, "x", 1, ""));

	return v == BREACH ? v : kernel_call("finit_module", syscall(SYS_finit_module, 0, "", 0));
}

static enum verdict kexec(void)
{
	return kernel_call("kexec_load", syscall(SYS_kexec_load, 0, 99, NULL, 0));
}

/* With numbers that mean nothing: the kernel looks at the capability first. */
static enum verdict reboot_machine(void)
{
	return kernel_call("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
}

static enum verdict swap(void)
{
	enum verdict v = kernel_call("swapon", syscall(SYS_swapon, "/nonexistent", 0));

	return v == BREACH ? v : kernel_call("acct", syscall(SYS_acct, "/nonexistent/file"));
}

static enum verdict bpf(void)
{
	union bpf_attr a = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	return kernel_call("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)));
}

static enum verdict perf(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE,
				    .size = sizeof(a),
				    .config = PERF_COUNT_SW_TASK_CLOCK,
				    .exclude_kernel = 1};

	return kernel_call("perf_event_open", syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
}

static enum verdict fault_handler(void)
{
	return kernel_call("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC | 1));
}

static enum verdict uring(void)
{
	unsigned params[30] = {0};

	return kernel_call("io_uring_setup", syscall(SYS_io_uring_setup, 4, params));
}

static enum verdict fanotify(void)
{
	return kernel_call("fanotify_init",
			   syscall(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY));
}

static enum verdict ports(void)
{
#ifdef __x86_64__
	enum verdict v = kernel_call("iopl", syscall(SYS_iopl, 3));

	return v == BREACH ? v : kernel_call("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
#else
	return ABSENT;
#endif
}

static enum verdict other_calls_child(void)
{
#ifdef __x86_64__
	long r;

	/* x32's getpid, then that of 32-bit x86: filters that know one way in only let them by. */
	r = syscall(0x40000000 | 39);
	if (r > 0)
		return breach("x32");
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	if (r > 0)
		return breach("32-bit system calls");
#endif
	return refused("x32");
}

static enum verdict other_calls(void)
{
	return in_child(other_calls_child);
}

static enum verdict set_time(void)
{
	struct timespec now;

	/* To what it is. */
	clock_gettime(CLOCK_REALTIME, &now);
	return clock_settime(CLOCK_REALTIME, &now) == 0 ? breach("clock_settime")
							: refused("clock_settime");
}

static enum verdict set_hostname(void)
{
	if (sethostname("planted", 7) < 0)
		return refused("sethostname");
	snprintf(detail, sizeof(detail), "renamed in here");
	return TRIED;
}

static enum verdict no_randomisation(void)
{
	long r = syscall(SYS_personality, 0x0040000);

	return r >= 0 ? breach("personality") : refused("personality");
}

/* ---- the network ------------------------------------------------------------------------------------ */

static bool in_hosts_network(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 && st.st_ino == strtoul(fact("netns"), NULL, 10);
}

static enum verdict raw_sockets(void)
{
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (s < 0)
		s = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (s >= 0 && in_hosts_network())
		return breach("in the host's network");
	return refused("socket");
}

static enum verdict change_network(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!in_hosts_network())
		return REFUSED;
	if (s < 0 || ioctl(s, SIOCGIFFLAGS, &r) < 0 || ioctl(s, SIOCSIFFLAGS, &r) < 0)
		return refused("SIOCSIFFLAGS");
	return breach("interfaces of the host can be changed");
}

static enum verdict reach_local_ports(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)atoi(fact("port"))),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!*fact("port"))
		return ABSENT;
	return connect(s, (struct sockaddr *)&a, sizeof(a)) == 0 ? breach("port %s", fact("port"))
								 : refused("connect");
}

static enum verdict odd_families(void)
{
	static const int families[] = {AF_VSOCK, AF_ALG,  AF_KEY,  AF_CAN, AF_BLUETOOTH,
				       AF_RDS,   AF_TIPC, AF_AX25, AF_X25, AF_APPLETALK};

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		for (int type = 1; type < 6; type++)
			if (socket(families[i], type | SOCK_CLOEXEC, 0) >= 0)
				return breach("family %d", families[i]);
	return refused("socket");
}

/* ---- what keeps us in -------------------------------------------------------------------------------- */

static long status_number(const char *key, int base)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	long v = -1;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			v = strtol(line + strlen(key) + 1, NULL, base);
	if (f)
		fclose(f);
	return v;
}

static enum verdict no_filter(void)
{
	return status_number("Seccomp", 10) == 2 ? REFUSED : breach("no system call filter");
}

static enum verdict new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? REFUSED : breach("not set");
}

/* Those of root that count beyond a user namespace. */
static enum verdict capabilities(void)
{
	unsigned long held = (unsigned long)status_number("CapEff", 16);
	static const unsigned strong[] = {CAP_SYS_ADMIN,  CAP_SYS_MODULE,      CAP_SYS_RAWIO,
					  CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_NET_ADMIN,
					  CAP_SYS_BOOT,   CAP_SYS_TIME};

	for (size_t i = 0; i < sizeof(strong) / sizeof(*strong); i++)
		if (held & 1ul << strong[i])
			return breach("capability %u", strong[i]);
	return REFUSED;
}

static enum verdict setuid_program(void)
{
	unsigned before = geteuid();
	int fds[2], status;
	char text[64] = "";
	pid_t pid;

	if (!*fact("setuid") || pipe(fds) < 0)
		return ABSENT;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execl(fact("setuid"), "setuid", "whoami", (char *)NULL);
		_exit(1);
	}
	close(fds[1]);
	(void)!read(fds[0], text, sizeof(text) - 1);
	waitpid(pid, &status, 0);
	if (!text[0])
		return REFUSED;
	return (unsigned)atoi(text) != before ? breach("effective user %s", text) : REFUSED;
}
