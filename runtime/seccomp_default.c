/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default system call filter: an allow list.
 *
 *	allowed    what programs in a container use: the groups of `allowed_groups`
 *	EPERM      calls that reach the host, other users, or a large part of the kernel that no
 *	           container needs: `refused_groups`, each with its reason. With one of the
 *	           capabilities that such a call is made for, it is allowed: who asks for the
 *	           capability asks for the call, and the kernel checks it anyway.
 *	ENOSYS     every other call, and so each one that a newer kernel brings: the answer that
 *	           libraries know as "use the older way". It is also the answer for clone3(2), whose
 *	           flags lie in memory where a filter cannot look: libc falls back to clone(2).
 *
 * Some calls are allowed with some arguments only: see `conditional`. Names that an architecture or
 * libseccomp does not know are skipped by the compiler.
 *
 * 32-bit x86 programs do not run under it: there, socketcall(2) hides the arguments of socket(2) in
 * memory, and libseccomp answers a rule about socket by letting every socketcall for a socket
 * through. The filter ends a process that makes such a call.
 *
 * Source: the kernel's system call tables (arch/x86/entry/syscalls, include/uapi/asm-generic/
 * unistd.h) and the manual pages of the calls.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/seccomp_default.h"

#define CAP(name) (UINT64_C(1) << (CAP_##name))

/* Newer than the headers that we build with. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static const char *const allowed_groups[] = {
	/* files: open, read, write, attributes */
	"open openat openat2 creat close close_range read write readv writev pread64 pwrite64 "
	"preadv pwritev preadv2 pwritev2 lseek _llseek dup dup2 dup3 fcntl fcntl64 ioctl flock "
	"fsync fdatasync sync syncfs sync_file_range sync_file_range2 arm_sync_file_range "
	"truncate truncate64 ftruncate ftruncate64 fallocate fadvise64 fadvise64_64 "
	"arm_fadvise64_64 readahead sendfile sendfile64 splice tee vmsplice copy_file_range "
	"cachestat",
	/* names and directories */
	"access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat "
	"oldstat oldlstat oldfstat statx statfs statfs64 fstatfs fstatfs64 getdents getdents64 "
	"readdir getcwd chdir fchdir mkdir mkdirat rmdir link linkat unlink unlinkat symlink "
	"symlinkat readlink readlinkat rename renameat renameat2 mknod mknodat chmod fchmod "
	"fchmodat fchmodat2 chown chown32 fchown fchown32 lchown lchown32 fchownat umask utime "
	"utimes utimensat utimensat_time64 futimesat name_to_handle_at getxattr lgetxattr "
	"fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr "
	"flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat",
	/* watching files */
	"inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark",
	/* memory */
	"mmap mmap2 munmap mremap mprotect madvise mincore mlock mlock2 munlock mlockall "
	"munlockall msync brk remap_file_pages membarrier memfd_create memfd_secret mseal "
	"pkey_alloc pkey_free pkey_mprotect map_shadow_stack",
	/* processes and threads; clone is conditional */
	"fork vfork execve execveat exit exit_group wait4 waitid waitpid kill tkill tgkill "
	"pidfd_open pidfd_send_signal getpid getppid gettid getpgid getpgrp setpgid getsid setsid "
	"set_tid_address set_robust_list get_robust_list set_thread_area get_thread_area set_tls "
	"prctl arch_prctl rseq restart_syscall",
	"futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue",
	/* 16-bit segments (wine), the ARM private calls that user space cannot do itself */
	"modify_ldt breakpoint cacheflush usr26 usr32",
	/* a process that debugs its own children; the kernel checks capabilities of the target */
	"ptrace process_vm_readv process_vm_writev",
	/* what a program does to confine itself further */
	"seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self "
	"lsm_get_self_attr lsm_list_modules",
	/* scheduling and limits of one's own */
	"sched_yield sched_getparam sched_setparam sched_getscheduler sched_setscheduler "
	"sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min "
	"sched_getaffinity sched_setaffinity sched_rr_get_interval sched_rr_get_interval_time64 "
	"getpriority setpriority nice ioprio_get ioprio_set getrlimit ugetrlimit setrlimit "
	"prlimit64 getrusage getcpu times sysinfo uname olduname oldolduname",
	/* identity; what may be changed is a matter of capabilities */
	"getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid "
	"getresuid32 getresgid getresgid32 setuid setuid32 setgid setgid32 setreuid setreuid32 "
	"setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 "
	"setfsgid setfsgid32 getgroups getgroups32 setgroups setgroups32 capget capset",
	/* signals */
	"rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait "
	"rt_sigtimedwait_time64 rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn sigreturn "
	"sigaltstack "
	"sigaction sigprocmask sigpending sigsuspend signal sgetmask ssetmask pause signalfd "
	"signalfd4",
	/* waiting for events */
	"poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create "
	"epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 "
	"eventfd eventfd2 pipe pipe2",
	/* time; setting the clock is adjtimex's own check */
	"time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 "
	"clock_nanosleep clock_nanosleep_time64 nanosleep adjtimex alarm getitimer setitimer "
	"timer_create timer_delete timer_gettime timer_gettime64 timer_settime timer_settime64 "
	"timer_getoverrun timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
	"timerfd_settime64",
	"getrandom",
	/* sockets; socket is conditional, and so socketpair is only of its families */
	"socketpair bind connect listen accept accept4 getsockname getpeername getsockopt "
	"setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 "
	"shutdown",
	/* System V and POSIX IPC, of the sandbox's own namespace */
	"shmget shmat shmdt shmctl semget semop semtimedop semtimedop_time64 semctl msgget msgsnd "
	"msgrcv msgctl ipc mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive "
	"mq_timedreceive_time64 mq_notify mq_getsetattr",
	/* the old asynchronous I/O, which databases use */
	"io_setup io_submit io_getevents io_pgetevents io_pgetevents_time64 io_cancel io_destroy",
};

struct refused_group {
	const char *names;
	uint64_t unless; /* any of these capabilities lets them through; 0: never */
};

static const struct refused_group refused_groups[] = {
	/* New mounts and namespaces: the kernel's largest surface for an unprivileged user, and a
	 * way around masked and read-only paths. */
	{"mount umount umount2 pivot_root fsopen fsconfig fsmount fspick move_mount open_tree "
	 "open_tree_attr mount_setattr statmount listmount setns unshare",
	 CAP(SYS_ADMIN)},
	/* Names of the machine, quotas, swap, other things of the host's administrator. */
	{"sethostname setdomainname quotactl quotactl_fd swapon swapoff lookup_dcookie "
	 "fanotify_init",
	 CAP(SYS_ADMIN)},
	/* Another kernel, or code in this one. */
	{"kexec_load kexec_file_load reboot", CAP(SYS_BOOT)},
	{"init_module finit_module delete_module create_module query_module get_kernel_syms",
	 CAP(SYS_MODULE)},
	/* Programs in the kernel, and its performance counters: verifier bugs, side channels. */
	{"bpf", CAP(SYS_ADMIN) | CAP(BPF)},
	{"perf_event_open", CAP(SYS_ADMIN) | CAP(PERFMON)},
	/* Opens any file of a file system by number, past every mount and root (the way out of a
	 * container known as "shocker"). */
	{"open_by_handle_at", CAP(DAC_READ_SEARCH)},
	/* Keys are not of any namespace. */
	{"keyctl add_key request_key", 0},
	/* Stops the kernel in the middle of a copy: the helper of many exploits of races. */
	{"userfaultfd", CAP(SYS_PTRACE)},
	/* Descriptors and internals of other processes. */
	{"pidfd_getfd kcmp process_madvise process_mrelease", CAP(SYS_PTRACE)},
	/* Ports and interrupts of the machine. */
	{"iopl ioperm pciconfig_read pciconfig_write pciconfig_iobase", CAP(SYS_RAWIO)},
	/* The host's clock. */
	{"settimeofday stime clock_settime clock_settime64 clock_adjtime clock_adjtime64",
	 CAP(SYS_TIME)},
	/* The kernel's log: addresses, and what others do. */
	{"syslog", CAP(SYSLOG)},
	{"acct", CAP(SYS_PACCT)},
	{"vhangup", CAP(SYS_TTY_CONFIG)},
	{"chroot", CAP(SYS_CHROOT)},
	/* Placement of memory, also of other processes. */
	{"mbind set_mempolicy set_mempolicy_home_node get_mempolicy move_pages migrate_pages",
	 CAP(SYS_NICE)},
	/* The 8086 mode of 32-bit x86. */
	{"vm86 vm86old", 0},
};

/* ---- calls with conditions -------------------------------------------------------------- */

#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* s390 has the first two arguments of clone(2) the other way round. */
#if defined(__s390__)
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

struct conditional {
	const char *name;
	unsigned arg;
	const char *op;
	uint64_t value, value_two;
	int error;       /* 0: allow */
	uint64_t unless; /* no condition (and no other row) with one of these capabilities */
};

#define CLONE_REFUSED(flag)                                                            \
	{                                                                              \
		"clone", CLONE_FLAGS_ARG, "SCMP_CMP_MASKED_EQ", (flag), (flag), EPERM, \
			CAP(SYS_ADMIN)                                                 \
	}
#define PERSONALITY(value)                                        \
	{                                                         \
		"personality", 0, "SCMP_CMP_EQ", (value), 0, 0, 0 \
	}
/* Families are an int: the kernel does not look at the upper half of the register. All rows about one
 * argument compare the same halves, since libseccomp 2.5 does not go on to rows of another kind
 * once those of one kind were tried; so no SCMP_CMP_EQ, and no ranges. */
#define FAMILY(family)                                                        \
	{                                                                     \
		"socket", 0, "SCMP_CMP_MASKED_EQ", 0xffffffff, (family), 0, 0 \
	}
#define NO_FAMILIES(mask, bits)                                                    \
	{                                                                          \
		"socket", 0, "SCMP_CMP_MASKED_EQ", (mask), (bits), EAFNOSUPPORT, 0 \
	}

static const struct conditional conditional[] = {
	/* Threads and processes, no namespaces: see the first refused group. */
	{"clone", CLONE_FLAGS_ARG, "SCMP_CMP_MASKED_EQ", NEW_NAMESPACES, 0, 0, CAP(SYS_ADMIN)},
	CLONE_REFUSED(CLONE_NEWNS),
	CLONE_REFUSED(CLONE_NEWCGROUP),
	CLONE_REFUSED(CLONE_NEWUTS),
	CLONE_REFUSED(CLONE_NEWIPC),
	CLONE_REFUSED(CLONE_NEWUSER),
	CLONE_REFUSED(CLONE_NEWPID),
	CLONE_REFUSED(CLONE_NEWNET),

	/* Linux and 32-bit Linux, with and without "2.6" as the release, and the question. Others
	 * switch on emulations, or switch address randomisation off. */
	PERSONALITY(PER_LINUX),
	PERSONALITY(PER_LINUX32),
	PERSONALITY(UNAME26),
	PERSONALITY(PER_LINUX32 | UNAME26),
	PERSONALITY(0xffffffff),

	/* Families that containers use. The others load kernel modules on demand that hardly
	 * anybody looks at (and AF_VSOCK speaks to the hypervisor past the network namespace,
	 * AF_ALG to the kernel's crypto code). */
	FAMILY(AF_UNIX),
	FAMILY(AF_INET),
	FAMILY(AF_INET6),
	FAMILY(AF_NETLINK),
	FAMILY(AF_PACKET),
#if !defined(__s390__) && !defined(__powerpc__)
	/* All others up to 63, in few rules: by the bits that none of those above has. Programs that
	 * try a family expect the answer of a kernel without it, and not ENOSYS. Where the native
	 * architecture has socketcall(2), libseccomp takes no second action for socket. */
	NO_FAMILIES(32, 32), /* 32 to 63 */
	NO_FAMILIES(24, 24), /* 24 to 31 */
	NO_FAMILIES(20, 20), /* 20 to 23 */
	NO_FAMILIES(18, 18), /* 18 and 19 */
	NO_FAMILIES(28, 12), /* 12 to 15 */
	NO_FAMILIES(63, 11),
	NO_FAMILIES(62, 8), /* 8 and 9 */
	NO_FAMILIES(60, 4), /* 4 to 7 */
	NO_FAMILIES(63, 3),
	NO_FAMILIES(63, 0),
#endif
};

/* ---- building --------------------------------------------------------------------------- */

static int add_rule(struct json *rules, char *const *names, int error, struct json *args)
{
	_cleanup_json_ struct json *owned_args = args;
	_cleanup_json_ struct json *rule = json_new_object();

	if (!rule || json_set(rule, "names", json_new_strv(names)) < 0 ||
	    json_set(rule, "action", json_new_string(error ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW")) <
		    0 ||
	    (error && json_set(rule, "errnoRet", json_new_i64(error)) < 0) ||
	    (args && json_set(rule, "args", TAKE_PTR(owned_args)) < 0))
		return -ENOMEM;
	return json_push(rules, TAKE_PTR(rule));
}

static int add_names(struct json *rules, const char *names, int error)
{
	_cleanup_strv_ char **v = NULL;

	if (strv_split(names, ' ', &v) < 0)
		return -ENOMEM;
	return add_rule(rules, v, error, NULL);
}

static int add_conditional(struct json *rules, const struct conditional *c)
{
	_cleanup_json_ struct json *args = json_new_array();
	_cleanup_json_ struct json *arg = json_new_object();
	char *names[] = {(char *)c->name, NULL};

	if (!args || !arg || json_set(arg, "index", json_new_u64(c->arg)) < 0 ||
	    json_set(arg, "value", json_new_u64(c->value)) < 0 ||
	    json_set(arg, "valueTwo", json_new_u64(c->value_two)) < 0 ||
	    json_set(arg, "op", json_new_string(c->op)) < 0 || json_push(args, TAKE_PTR(arg)) < 0)
		return -ENOMEM;
	return add_rule(rules, names, c->error, TAKE_PTR(args));
}

static struct json *rules_for(uint64_t caps)
{
	_cleanup_json_ struct json *rules = json_new_array();
	int r = rules ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(allowed_groups); i++)
		r = add_names(rules, allowed_groups[i], 0);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(refused_groups); i++)
		r = add_names(rules, refused_groups[i].names,
			      refused_groups[i].unless & caps ? 0 : EPERM);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(conditional); i++)
		if (!(conditional[i].unless & caps))
			r = add_conditional(rules, &conditional[i]);
	if (r == 0 && (caps & CAP(SYS_ADMIN)))
		r = add_names(rules, "clone clone3", 0);
	return r < 0 ? NULL : TAKE_PTR(rules);
}

/* The architecture that we were built for, and on ARM the 32-bit one that its kernels run too. */
static const char *const arches[] = {
#if defined(__x86_64__)
	"SCMP_ARCH_X86_64",
#elif defined(__aarch64__)
	"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
#elif defined(__riscv) && __riscv_xlen == 64
	"SCMP_ARCH_RISCV64",
#elif defined(__s390x__)
	"SCMP_ARCH_S390X", "SCMP_ARCH_S390",
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	"SCMP_ARCH_PPC64LE",
#endif
	NULL, /* none named: the compiler takes the native one */
};

static struct json *arches_to_json(void)
{
	_cleanup_json_ struct json *a = json_new_array();

	for (const char *const *n = arches; a && *n; n++)
		if (json_push(a, json_new_string(*n)) < 0)
			return NULL;
	return TAKE_PTR(a);
}

struct json *rt_seccomp_default(uint64_t caps)
{
	_cleanup_json_ struct json *o = json_new_object();

	if (!o || json_set(o, "defaultAction", json_new_string("SCMP_ACT_ERRNO")) < 0 ||
	    json_set(o, "defaultErrnoRet", json_new_i64(ENOSYS)) < 0 ||
	    json_set(o, "architectures", arches_to_json()) < 0 ||
	    json_set(o, "syscalls", rules_for(caps)) < 0)
		return NULL;
	return TAKE_PTR(o);
}
