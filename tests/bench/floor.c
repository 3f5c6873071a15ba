/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of the benchmark: a minimal program that does what a container start cannot avoid, and nothing else:
 * clone3 into new namespaces, the loopback interface, the usual mounts, device nodes, masks, pivot_root, a cgroup with three limits and the rules of devices, a seccomp
 * filter, capabilities, execve, wait, clean up. No configuration, no state, no checks: every number is written in here.
 *
 *	floor ROOTFS COMMAND [ARGUMENT…]		FLOOR_SECCOMP=0: without the filter, FLOOR_NETNS=0: in the caller's network
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP2_MAGIC 0x63677270

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void put(int dir, const char *file, const char *value)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	/* A controller that this host lacks has no file. */
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		die(file);
	close(fd);
}

/* ---- cgroups: the same groups and limits as the bundle of the benchmark ------------------- */

static const char *const v1[] = {"cpu",     "cpuacct", "cpuset", "memory", "devices",
				 "freezer", "blkio",   "pids",   "systemd"};
#define N_V1 (sizeof(v1) / sizeof(*v1))
static char group[64];

static bool is_v2(void)
{
	struct statfs s;

	return statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == CGROUP2_MAGIC;
}

static int make_group_at(const char *base)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", base, group);
	if (mkdir(path, 0755) < 0)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_group_v2(void)
{
	int fd = make_group_at("/sys/fs/cgroup");

	if (fd < 0)
		die("cgroup");
	put(fd, "memory.max", "268435456");
	put(fd, "cpu.max", "200000 100000");
	put(fd, "pids.max", "64");
	return fd;
}

/* Those of the usual devices. On v2 they are a program for the kernel, which the floor leaves out. */
static const char *const rules[] = {"c *:* m",   "b *:* m",    "c 1:3 rwm", "c 1:5 rwm",
				    "c 1:7 rwm", "c 1:8 rwm",  "c 1:9 rwm", "c 5:0 rwm",
				    "c 5:2 rwm", "c 136:* rwm"};

static void make_group_v1(int fds[N_V1])
{
	for (size_t i = 0; i < N_V1; i++) {
		char base[64];

		snprintf(base, sizeof(base), "/sys/fs/cgroup/%s", v1[i]);
		fds[i] = make_group_at(base);
		if (fds[i] < 0)
			continue;
		if (!strcmp(v1[i], "memory"))
			put(fds[i], "memory.limit_in_bytes", "268435456");
		if (!strcmp(v1[i], "cpu"))
			put(fds[i], "cpu.cfs_quota_us", "200000");
		if (!strcmp(v1[i], "pids"))
			put(fds[i], "pids.max", "64");
		if (!strcmp(v1[i], "cpuset")) {
			put(fds[i], "cpuset.cpus", "0-1");
			put(fds[i], "cpuset.mems", "0");
		}
		if (!strcmp(v1[i], "devices")) {
			put(fds[i], "devices.deny", "a");
			for (size_t k = 0; k < sizeof(rules) / sizeof(*rules); k++)
				put(fds[i], "devices.allow", rules[k]);
		}
	}
}

static void remove_groups(bool v2)
{
	char path[256];

	for (size_t i = 0; i < (v2 ? 1 : N_V1); i++) {
		snprintf(path, sizeof(path), v2 ? "/sys/fs/cgroup%s/%s" : "/sys/fs/cgroup/%s/%s",
			 v2 ? "" : v1[i], group);
		rmdir(path);
	}
}

/* ---- inside ------------------------------------------------------------------------------- */

static void mount_at(const char *type, const char *where, unsigned long flags, const char *data)
{
	if (mount(type, where, type, flags, data) < 0)
		die(where);
}

static const struct {
	const char *name;
	unsigned minor;
} nodes[] = {
	{"dev/null", 3}, {"dev/zero", 5}, {"dev/full", 7}, {"dev/random", 8}, {"dev/urandom", 9}};

static const char *const masked_files[] = {"proc/kcore", "proc/keys", "proc/timer_list",
					   "proc/sched_debug", "proc/latency_stats"};
static const char *const masked_dirs[] = {"proc/acpi", "proc/scsi", "sys/firmware"};
static const char *const readonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
				       "proc/sysrq-trigger"};

/* The hierarchies as the container sees them. */
static void mount_cgroups(bool v2)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char path[64];

	if (v2) {
		mount_at("cgroup2", "sys/fs/cgroup", flags | MS_RDONLY, NULL);
		return;
	}
	mount_at("tmpfs", "sys/fs/cgroup", flags, "mode=755,size=1m");
	for (size_t i = 0; i < N_V1; i++) {
		snprintf(path, sizeof(path), "sys/fs/cgroup/%s", v1[i]);
		if (mkdir(path, 0755) < 0)
			die(path);
		mount_at("cgroup", path, flags | MS_RDONLY,
			 strcmp(v1[i], "systemd") ? v1[i] : "none,name=systemd");
	}
	if (mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
		die("sys/fs/cgroup");
}

static void loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		die("lo");
	close(fd);
}

static void build_root(const char *root, bool v2)
{
	const unsigned long nsd = MS_NOSUID | MS_NOEXEC | MS_NODEV;

	if (mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(root) < 0)
		die(root);
	mount_at("proc", "proc", nsd, NULL);
	mount_at("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	if (mkdir("dev/pts", 0755) || mkdir("dev/shm", 0755) || mkdir("dev/mqueue", 0755))
		die("dev");
	mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
		 "newinstance,ptmxmode=0666,mode=0620,gid=5");
	mount_at("tmpfs", "dev/shm", nsd, "mode=1777,size=65536k");
	mount_at("mqueue", "dev/mqueue", nsd, NULL);
	mount_at("sysfs", "sys", nsd | MS_RDONLY, NULL);
	mount_cgroups(v2);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		if (mknod(nodes[i].name, S_IFCHR | 0666, makedev(1, nodes[i].minor)) < 0)
			die(nodes[i].name);
	if (mknod("dev/tty", S_IFCHR | 0666, makedev(5, 0)) || symlink("pts/ptmx", "dev/ptmx") ||
	    symlink("/proc/self/fd", "dev/fd") || symlink("/proc/self/fd/0", "dev/stdin") ||
	    symlink("/proc/self/fd/1", "dev/stdout") || symlink("/proc/self/fd/2", "dev/stderr"))
		die("dev");
	for (size_t i = 0; i < sizeof(masked_files) / sizeof(*masked_files); i++)
		mount("dev/null", masked_files[i], NULL, MS_BIND, NULL);
	for (size_t i = 0; i < sizeof(masked_dirs) / sizeof(*masked_dirs); i++)
		mount("tmpfs", masked_dirs[i], "tmpfs", MS_RDONLY, NULL);
	for (size_t i = 0; i < sizeof(readonly) / sizeof(*readonly); i++)
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) == 0)
			mount(NULL, readonly[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | nsd,
			      NULL);
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		die("pivot_root");
}

/* As long as a real profile's program: a walk through 300 numbers. */
static void filter(void)
{
	static struct sock_filter f[304];
	struct sock_fprog prog = {.filter = f};
	unsigned n = 0;

	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					      offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < 300; i++)
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 10000 + i, 0, 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		die("seccomp");
}

static bool asked(const char *variable)
{
	return !getenv(variable) || strcmp(getenv(variable), "0") != 0;
}

int main(int argc, char **argv)
{
	const bool v2 = is_v2();
	int fds[N_V1], group_fd = -1, go[2], status;
	struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
					   CLONE_NEWUTS | CLONE_NEWNET,
				  .exit_signal = SIGCHLD};

	if (argc < 3)
		return 125;
	if (!asked("FLOOR_NETNS"))
		args.flags &= ~(uint64_t)CLONE_NEWNET;
	snprintf(group, sizeof(group), "insula-floor-%d", getpid());
	if (v2) {
		group_fd = make_group_v2();
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)group_fd;
	} else {
		make_group_v1(fds);
	}
	if (pipe2(go, O_CLOEXEC) < 0)
		die("pipe");
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		die("clone3");
	if (pid == 0) {
		char c;

		close(go[1]);
		if (read(go[0], &c, 1) < 0 || unshare(CLONE_NEWCGROUP) < 0)
			die("unshare");
		if (args.flags & CLONE_NEWNET)
			loopback_up();
		build_root(argv[1], v2);
		if (sethostname("floor", 5) < 0)
			die("sethostname");
		for (int cap = 0; cap <= 40; cap++)
			if (cap != 5 && cap != 10 && cap != 29)
				prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (asked("FLOOR_SECCOMP"))
			filter();
		execv(argv[2], argv + 2);
		die(argv[2]);
	}
	for (size_t i = 0; !v2 && i < N_V1; i++) {
		char text[16];

		if (fds[i] < 0)
			continue;
		snprintf(text, sizeof(text), "%d", pid);
		put(fds[i], "cgroup.procs", text);
	}
	close(go[1]);
	if (waitpid(pid, &status, 0) != pid)
		die("wait");
	remove_groups(v2);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
