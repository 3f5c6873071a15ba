/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decisions of the default system call filter, one by one: every call that the kernel's headers name is in one of these
 * groups, whatever the architecture, so that a call of a new kernel is noticed (tests/unit/runtime/test_seccomp_table.c). What
 * is in none gets ENOSYS. docs/seccomp.md is made from this table.
 *
 * Sources: the kernel's system call tables (arch/x86/entry/syscalls, include/uapi/asm-generic/unistd.h) and the manual
 * pages of the calls.
 */
#include <linux/capability.h>

#include "base/cleanup.h"
#include "seccomp_table.h"

#define CAP(name) (UINT64_C(1) << (CAP_##name))

/* Newer than the headers that we build with. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

/* clang-format off */
const struct call_group call_groups[] = {
	{CALL_ALLOWED, "Files",
	 "open openat openat2 creat close close_range read write readv writev "
	 "pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek llseek dup dup2 "
	 "dup3 fcntl fcntl64 flock fsync fdatasync sync syncfs sync_file_range "
	 "sync_file_range2 arm_sync_file_range truncate truncate64 ftruncate "
	 "ftruncate64 fallocate fadvise64 fadvise64_64 arm_fadvise64_64 readahead "
	 "sendfile sendfile64 splice tee vmsplice copy_file_range cachestat",
	 0, "open, read, write; all checked by the kernel's file permissions and the sandbox's mounts"},
	{CALL_ALLOWED, "Names and directories",
	 "access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 "
	 "fstatat64 newfstatat oldstat oldlstat oldfstat statx statfs statfs64 "
	 "fstatfs fstatfs64 getdents getdents64 readdir getcwd chdir fchdir mkdir "
	 "mkdirat rmdir link linkat unlink unlinkat symlink symlinkat readlink "
	 "readlinkat rename renameat renameat2 mknod mknodat chmod fchmod fchmodat "
	 "fchmodat2 chown chown32 fchown fchown32 lchown lchown32 fchownat umask "
	 "utime utimes utimensat utimensat_time64 futimesat name_to_handle_at "
	 "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr "
	 "setxattrat listxattr llistxattr flistxattr listxattrat removexattr "
	 "lremovexattr fremovexattr removexattrat file_getattr file_setattr",
	 0, "look up, make, rename, remove, attributes; device nodes need CAP_MKNOD and the devices of the control group"},
	{CALL_ALLOWED, "Watching files",
	 "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch "
	 "fanotify_mark",
	 0, "of files that can be opened anyway; fanotify_mark is of no use without fanotify_init"},
	{CALL_ALLOWED, "Memory",
	 "mmap mmap2 munmap mremap mprotect madvise mincore mlock mlock2 munlock "
	 "mlockall munlockall msync brk remap_file_pages membarrier memfd_create "
	 "memfd_secret mseal pkey_alloc pkey_free pkey_mprotect map_shadow_stack",
	 0, "the process's own"},
	{CALL_ALLOWED, "Processes and threads",
	 "fork vfork execve execveat exit exit_group wait4 waitid waitpid kill "
	 "tkill tgkill pidfd_open pidfd_send_signal getpid getppid gettid getpgid "
	 "getpgrp setpgid getsid setsid set_tid_address set_robust_list "
	 "get_robust_list set_thread_area get_thread_area set_tls prctl arch_prctl "
	 "rseq restart_syscall uprobe uretprobe",
	 0, "the sandbox's own; clone is conditional, clone3 absent"},
	{CALL_ALLOWED, "Futexes",
	 "futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue",
	 0, "locks of threads"},
	{CALL_ALLOWED, "What wine and old ARM programs need",
	 "modify_ldt breakpoint cacheflush usr26 usr32",
	 0, "16-bit segments; ARM's private calls that user space cannot do itself"},
	{CALL_ALLOWED, "Debugging one's own",
	 "ptrace process_vm_readv process_vm_writev",
	 0, "the kernel checks that the target is no stronger, and processes outside are not in the pid namespace; safe against the filter since Linux 4.8"},
	{CALL_ALLOWED, "Confining oneself",
	 "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self "
	 "lsm_get_self_attr lsm_list_modules",
	 0, "what a program does to fence itself in further"},
	{CALL_ALLOWED, "Scheduling and limits",
	 "sched_yield sched_getparam sched_setparam sched_getscheduler "
	 "sched_setscheduler sched_getattr sched_setattr sched_get_priority_max "
	 "sched_get_priority_min sched_getaffinity sched_setaffinity "
	 "sched_rr_get_interval sched_rr_get_interval_time64 getpriority "
	 "setpriority nice ioprio_get ioprio_set getrlimit ugetrlimit setrlimit "
	 "prlimit64 getrusage getcpu times sysinfo uname olduname oldolduname",
	 0, "of processes in the pid namespace; raising needs capabilities"},
	{CALL_ALLOWED, "Identity",
	 "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 "
	 "getresuid getresuid32 getresgid getresgid32 setuid setuid32 setgid "
	 "setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 "
	 "setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 getgroups "
	 "getgroups32 setgroups setgroups32 capget capset",
	 0, "what may be changed is a matter of capabilities"},
	{CALL_ALLOWED, "Signals",
	 "rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait "
	 "rt_sigtimedwait_time64 rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn "
	 "sigreturn sigaltstack sigaction sigprocmask sigpending sigsuspend signal "
	 "sgetmask ssetmask pause signalfd signalfd4",
	 0, "to processes in the pid namespace"},
	{CALL_ALLOWED, "Waiting for events",
	 "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 "
	 "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait "
	 "epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 pipe pipe2",
	 0, "poll, epoll, eventfd, pipes"},
	{CALL_ALLOWED, "Time",
	 "time gettimeofday clock_gettime clock_gettime64 clock_getres "
	 "clock_getres_time64 clock_nanosleep clock_nanosleep_time64 nanosleep "
	 "adjtimex alarm getitimer setitimer timer_create timer_delete "
	 "timer_gettime timer_gettime64 timer_settime timer_settime64 "
	 "timer_getoverrun timerfd_create timerfd_gettime timerfd_gettime64 "
	 "timerfd_settime timerfd_settime64",
	 0, "reading, sleeping, timers; adjtimex sets only with CAP_SYS_TIME"},
	{CALL_ALLOWED, "Random numbers",
	 "getrandom",
	 0, "what every libc starts with"},
	{CALL_ALLOWED, "Sockets",
	 "bind connect listen accept accept4 getsockname getpeername getsockopt "
	 "setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg "
	 "recvmmsg_time64 shutdown",
	 0, "of the families that socket and socketpair let through"},
	{CALL_ALLOWED, "IPC",
	 "shmget shmat shmdt shmctl semget semop semtimedop semtimedop_time64 "
	 "semctl msgget msgsnd msgrcv msgctl ipc mq_open mq_unlink mq_timedsend "
	 "mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify "
	 "mq_getsetattr",
	 0, "of the sandbox's own namespace"},
	{CALL_ALLOWED, "Old asynchronous I/O",
	 "io_setup io_submit io_getevents io_pgetevents io_pgetevents_time64 "
	 "io_cancel io_destroy",
	 0, "io_submit and friends, which databases use"},
	{CALL_REFUSED, "Mounts and namespaces",
	 "mount umount umount2 pivot_root fsopen fsconfig fsmount fspick "
	 "move_mount open_tree open_tree_attr mount_setattr statmount listmount "
	 "setns unshare listns",
	 CAP(SYS_ADMIN), "the kernel's largest surface for an unprivileged user, and a way around masked and read-only paths"},
	{CALL_REFUSED, "The machine's administration",
	 "sethostname setdomainname quotactl quotactl_fd swapon swapoff "
	 "lookup_dcookie fanotify_init nfsservctl bdflush",
	 CAP(SYS_ADMIN), "the host's name, quotas, swap, and events of whole file systems"},
	{CALL_REFUSED, "Another kernel",
	 "kexec_load kexec_file_load reboot",
	 CAP(SYS_BOOT), "ends this one"},
	{CALL_REFUSED, "Kernel modules",
	 "init_module finit_module delete_module create_module query_module "
	 "get_kernel_syms",
	 CAP(SYS_MODULE), "code in the kernel"},
	{CALL_REFUSED, "Programs in the kernel",
	 "bpf",
	 CAP(SYS_ADMIN) | CAP(BPF), "a verifier with a history, and side channels"},
	{CALL_REFUSED, "Performance counters",
	 "perf_event_open",
	 CAP(SYS_ADMIN) | CAP(PERFMON), "a large interface, and side channels"},
	{CALL_REFUSED, "Files by number",
	 "open_by_handle_at",
	 CAP(DAC_READ_SEARCH), "opens any file of a file system, past every mount and root: the way out of a container known as \"shocker\""},
	{CALL_REFUSED, "Keys",
	 "keyctl add_key request_key",
	 0, "keyrings are of no namespace: they are the host's"},
	{CALL_REFUSED, "Page faults in user space",
	 "userfaultfd",
	 CAP(SYS_PTRACE), "stops the kernel in the middle of a copy: the helper of many exploits of races"},
	{CALL_REFUSED, "Inside of other processes",
	 "pidfd_getfd kcmp process_madvise process_mrelease",
	 CAP(SYS_PTRACE), "descriptors and internals of others"},
	{CALL_REFUSED, "Ports and interrupts",
	 "iopl ioperm pciconfig_read pciconfig_write pciconfig_iobase",
	 CAP(SYS_RAWIO), "the machine's hardware"},
	{CALL_REFUSED, "The clock",
	 "settimeofday stime clock_settime clock_settime64 clock_adjtime "
	 "clock_adjtime64",
	 CAP(SYS_TIME), "it is the host's"},
	{CALL_REFUSED, "The kernel's log",
	 "syslog",
	 CAP(SYSLOG), "addresses, and what others do"},
	{CALL_REFUSED, "Process accounting",
	 "acct",
	 CAP(SYS_PACCT), "of the whole host"},
	{CALL_REFUSED, "Hanging up terminals",
	 "vhangup",
	 CAP(SYS_TTY_CONFIG), "ends the session of others on a terminal"},
	{CALL_REFUSED, "Changing the root",
	 "chroot",
	 CAP(SYS_CHROOT), "needs the capability anyway; without it nobody tries"},
	{CALL_REFUSED, "Placement of memory",
	 "mbind set_mempolicy set_mempolicy_home_node get_mempolicy move_pages "
	 "migrate_pages",
	 CAP(SYS_NICE), "also of other processes, and tells where memory lies"},
	{CALL_REFUSED, "The 8086 mode",
	 "vm86 vm86old",
	 0, "a corner of 32-bit x86 with a history of holes"},
	{CALL_ABSENT, "clone3",
	 "clone3",
	 CAP(SYS_ADMIN), "its flags lie in memory, where a filter cannot look; libc falls back to clone"},
	{CALL_ABSENT, "io_uring",
	 "io_uring_setup io_uring_enter io_uring_register",
	 0, "does what other calls do, past the filter, and has a history of holes; libraries fall back"},
	{CALL_ABSENT, "Gone or never there",
	 "_sysctl sysfs uselib ustat afs_syscall break ftime getpmsg putpmsg gtty "
	 "stty idle lock mpx prof profil security tuxcall ulimit vserver "
	 "multiplexer",
	 0, "no kernel of today has them, or nobody calls them"},
	{CALL_ABSENT, "Sockets in one call",
	 "socketcall",
	 0, "of 32-bit x86, whose programs do not run (see above): its arguments lie in memory, where a filter cannot look"},
	{CALL_CONDITIONAL, "Threads and processes",
	 "clone",
	 0, "without CAP_SYS_ADMIN only without a flag for a new namespace (EPERM)"},
	{CALL_CONDITIONAL, "Terminals and devices",
	 "ioctl",
	 0, "all but TIOCSTI and TIOCLINUX (EPERM), which push input into a terminal; the lower 32 bits count, as they do for the kernel"},
	{CALL_CONDITIONAL, "Execution domains",
	 "personality",
	 0, "Linux and 32-bit Linux, with and without a release of \"2.6\", and the question; others switch on emulations or switch address randomisation off (ENOSYS)"},
	{CALL_CONDITIONAL, "Socket families",
	 "socket",
	 0, "AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET; others (EAFNOSUPPORT) load kernel modules that hardly anybody looks at, AF_VSOCK speaks to the hypervisor past the network namespace, AF_ALG to the kernel's crypto code"},
	{CALL_CONDITIONAL, "Pairs of sockets",
	 "socketpair",
	 0, "AF_UNIX; for others (EOPNOTSUPP, as the kernel says) it would load the module of the family first"},
};
/* clang-format on */
const size_t call_groups_len = ARRAY_SIZE(call_groups);
