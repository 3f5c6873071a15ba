/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile program in a sandbox of the host's own system: known ways to learn or change something outside.
 *
 *	hostile-host rows				name, attempt and what counts as a breach of each
 *	hostile-host try all|NAME[,NAME…] FACT=VALUE…	"NAME<tab>refused|BREACH|tried|absent<tab>detail" for each
 *	hostile-host victim MARK			a process of the fake host, with secrets in it
 *	hostile-host whoami				the effective user
 *
 * Each row runs in a process of its own with a time limit, so that no row spoils another. Nothing here harms a machine whose
 * defences are missing: files of the kernel are opened and not written, times are set to what they are.
 */
#include "hostile-files.h"
#include "hostile-kernel.h"
#include "hostile-processes.h"

#define ROW_SECONDS 10

static const struct row {
	const char *name;
	enum verdict (*try)(void);
	const char *what, *breach;
} rows[] = {
	/* files */
	{"other-home", other_home, "read another user's home", "a file's text"},
	{"own-keys", own_keys, "read the user's own keys, tokens and cookies", "a key's text"},
	{"shadow", shadow, "read /etc/shadow", "its text"},
	{"root-home", root_home, "read /root", "a file's text"},
	{"host-keys", host_keys, "read the machine's SSH keys", "a key's text"},
	{"run-files", run_files, "read tokens below /run", "a file's text"},
	{"spool", mail_and_cron, "read mail and cron jobs", "a file's text"},
	{"tmp-files", tmp_files, "read files of others in /tmp", "a file's text"},
	{"posix-shm", posix_shm, "read shared memory in /dev/shm", "its text"},
	{"xauthority", xauthority, "read ~/.Xauthority", "the cookie"},
	{"environment", environment, "look for secrets in the environment",
	 "the caller's variable"},
	{"descriptors", descriptors, "use descriptors that the caller left open", "one is open"},
	{"cwd-escape", working_directory, "climb from cwd and through links of /proc",
	 "a hidden file"},
	{"chroot-escape", chroot_escape, "chroot(2) and climb out", "a hidden file"},
	{"by-handle", by_handle, "open files by number (open_by_handle_at)", "the call is made"},
	{"mknod", make_nodes, "make nodes of disks and memory", "one can be opened"},
	{"device-nodes", device_nodes, "open the host's devices", "one opens"},
	{"inotify", watch_files, "watch another user's file", "a watch"},
	{"persist-home", persist_at_home, "plant in .bashrc, autostart, units, …",
	 "the host's home changed"},
	{"persist-system", persist_in_system, "plant in /etc, /usr, cron and at",
	 "the host's system changed"},
	{"shared-places", shared_places, "leave files in /tmp, /var/tmp, /dev/shm",
	 "they are on the host"},
	{"destroy", destroy, "delete, empty, rename files", "they changed on the host"},
	/* sockets */
	{"ssh-agent", socket_agent, "connect to $SSH_AUTH_SOCK", "connected"},
	{"gpg-agent", socket_gpg, "connect to ~/.gnupg/S.gpg-agent", "connected"},
	{"system-bus", socket_systembus, "connect to the system D-Bus", "connected"},
	{"session-bus", socket_userbus, "connect to the session D-Bus", "connected"},
	{"abstract-bus", socket_abstractbus, "connect to an abstract D-Bus socket", "connected"},
	{"x11", socket_x11, "connect to /tmp/.X11-unix/X0", "connected"},
	{"abstract-x11", socket_abstractx11, "connect to @/tmp/.X11-unix/X0", "connected"},
	{"wayland", socket_wayland, "connect to the Wayland display", "connected"},
	{"pipewire", socket_pipewire, "connect to PipeWire: microphone, screen", "connected"},
	{"docker", socket_docker, "connect to docker.sock", "connected"},
	{"podman", socket_podman, "connect to podman.sock", "connected"},
	{"systemd", socket_systemd, "connect to the user's systemd", "connected"},
	{"journal", socket_journal, "connect to the journal", "connected"},
	{"local-port", reach_local_ports, "connect to a port of 127.0.0.1", "connected"},
	/* processes */
	{"process-list", process_list, "list processes of the host", "one is seen"},
	{"ptrace", trace, "trace a process of the same user", "attached"},
	{"read-memory", read_memory, "process_vm_readv", "its memory"},
	{"write-memory", write_memory, "process_vm_writev, /proc/PID/mem", "its memory changed"},
	{"environments", environments, "read /proc/PID/environ and root", "the secret"},
	{"proc-1", through_init, "climb through /proc/1/root", "a hidden file"},
	{"signals", signals, "signal a process of the same user", "it arrived"},
	{"pidfd-getfd", steal_descriptor, "take a descriptor of a process", "taken"},
	{"limits", change_limits, "change limits and priority of a process", "changed"},
	{"setns", enter_namespaces, "enter the host's namespaces", "entered"},
	{"keyring-read", read_keys, "read a key of the user's keyring", "its payload"},
	{"keyring-add", add_keys, "add a key to the user's keyring", "it is on the host"},
	{"sysv-shm", sysv_memory, "attach a System V segment", "its text"},
	{"mqueue", message_queues, "open a POSIX message queue", "opened"},
	{"tiocsti", inject, "push a command into the caller's terminal",
	 "the caller's shell reads it"},
	{"tty-settings", terminal_settings, "change the caller's terminal", "it stays so"},
	/* the kernel */
	{"kernel-log", kernel_log, "read the kernel's log", "a line"},
	{"kernel-files", kernel_files, "read /proc/kcore, timers, keys, …", "a byte"},
	{"sysrq", sysrq, "open /proc/sysrq-trigger", "for writing"},
	{"proc-sys", kernel_switches, "open core_pattern, modprobe, …", "for writing"},
	{"sys", sys_files, "open switches of /sys", "for writing"},
	{"cgroups", cgroups, "make groups, open release_agent", "for writing"},
	{"mount", mount_something, "mount tmpfs, proc, a bind", "mounted"},
	{"umount", unmask, "take masks away", "unmounted"},
	{"remount", remount, "remount read-only places writable", "remounted"},
	{"new-mount-calls", new_mount_calls, "fsopen, open_tree, move_mount", "a mount"},
	{"pivot-root", pivot, "pivot_root", "done"},
	{"userns-gain", user_namespace, "a user namespace, then mounts", "anything unhidden"},
	{"userns-surface", user_namespace_surface, "make a user namespace", "made"},
	{"clone-userns", clone_namespace, "the same by clone and clone3", "made"},
	{"modules", modules, "load a module", "the kernel looks at it"},
	{"kexec", kexec, "load another kernel", "the kernel looks at it"},
	{"reboot", reboot_machine, "reboot", "the kernel looks at it"},
	{"swap-acct", swap, "swapon, acct", "the kernel looks at it"},
	{"bpf", bpf, "bpf(2)", "the kernel looks at it"},
	{"perf", perf, "perf_event_open", "the kernel looks at it"},
	{"userfaultfd", fault_handler, "userfaultfd", "the kernel looks at it"},
	{"io-uring", uring, "io_uring_setup", "the kernel looks at it"},
	{"fanotify", fanotify, "fanotify_init", "the kernel looks at it"},
	{"io-ports", ports, "iopl, ioperm", "the kernel looks at it"},
	{"other-abis", other_calls, "x32 and 32-bit system calls past the filter", "answered"},
	{"set-time", set_time, "set the clock", "set"},
	{"set-hostname", set_hostname, "rename the host", "the host's name changed"},
	{"no-aslr", no_randomisation, "switch address randomisation off", "done"},
	{"raw-sockets", raw_sockets, "raw and packet sockets", "in the host's network"},
	{"netlink", change_network, "change interfaces", "in the host's network"},
	{"odd-families", odd_families, "AF_VSOCK, AF_ALG, AF_KEY, …", "a socket"},
	/* what keeps it in */
	{"seccomp-flag", no_filter, "run without a system call filter", "there is none"},
	{"no-new-privs", new_privileges, "gain privileges by an exec", "not forbidden"},
	{"capabilities", capabilities, "hold strong capabilities", "one is held"},
	{"setuid", setuid_program, "execute a setuid program", "another user"},
};

#define N_ROWS (sizeof(rows) / sizeof(*rows))

static bool is_wanted(const char *list, const char *name)
{
	size_t n = strlen(name);

	if (strcmp(list, "all") == 0)
		return true;
	for (const char *p = list; (p = strstr(p, name)); p += n)
		if ((p == list || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}

static void try_row(const struct row *row)
{
	static const char *const words[] = {"refused", "BREACH", "tried", "absent"};
	int status, fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		_exit(3);
	pid = fork();
	if (pid == 0) {
		enum verdict v;

		close(fds[0]);
		/* Row "descriptors" must not meet ours. */
		dup2(fds[1], 2);
		close(fds[1]);
		alarm(ROW_SECONDS);
		memset(detail, 0, sizeof(detail));
		v = row->try();
		(void)!write(2, detail, strlen(detail));
		_exit((int)v);
	}
	close(fds[1]);
	memset(detail, 0, sizeof(detail));
	(void)!read(fds[0], detail, sizeof(detail) - 1);
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("%s\tunknown\tcannot be tried\n", row->name);
	else if (WIFSIGNALED(status))
		printf("%s\t%s\tsignal %d\n", row->name,
		       WTERMSIG(status) == SIGALRM ? "unknown" : words[REFUSED], WTERMSIG(status));
	else
		printf("%s\t%s\t%s\n", row->name, words[WEXITSTATUS(status) & 3], detail);
	fflush(stdout);
}

/* ---- on the host's side ---------------------------------------------------------------------------- */

static volatile sig_atomic_t signalled;

static void count(int sig)
{
	(void)sig;
	signalled++;
}

/* Says where its secret lies, waits for the end of its input, then tells whether anything happened to it. */
static int be_victim(const char *mark)
{
	static char secret[64];
	long key, session;
	char c;

	snprintf(secret, sizeof(secret), "%s", mark);
	prctl(PR_SET_NAME, "hostile-victim");
	prctl(PR_SET_DUMPABLE, 1);
	signal(SIGUSR1, count);
	signal(SIGUSR2, count);
	key = syscall(SYS_add_key, "user", "insula-hostile", mark, strlen(mark),
		      KEY_SPEC_USER_KEYRING);
	session = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0);
	if (key > 0)
		syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, key, 600);
	printf("%lx %ld\n", (unsigned long)(uintptr_t)secret, key > 0 ? key : 0);
	fflush(stdout);
	while (read(0, &c, 1) != 0)
		continue;
	if (key > 0)
		syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
	key = syscall(SYS_keyctl, KEYCTL_SEARCH, session, "user", "insula-planted", 0);
	if (key > 0)
		syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
	printf("%d signals, %s, %s\n", (int)signalled,
	       strcmp(secret, mark) == 0 ? "memory as it was" : "memory changed",
	       key > 0 ? "a planted key" : "no key");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "whoami") == 0)
		return printf("%u\n", (unsigned)geteuid()) < 0;
	if (argc == 3 && strcmp(argv[1], "victim") == 0)
		return be_victim(argv[2]);
	if (argc == 2 && strcmp(argv[1], "rows") == 0) {
		for (size_t i = 0; i < N_ROWS; i++)
			printf("%s\t%s\t%s\n", rows[i].name, rows[i].what, rows[i].breach);
		return 0;
	}
	if (argc < 3 || strcmp(argv[1], "try") != 0)
		return 2;
	facts = argv + 3;
	for (size_t i = 0; i < N_ROWS; i++)
		if (is_wanted(argv[2], rows[i].name))
			try_row(&rows[i]);
	puts("end\t\t");
	return 0;
}
