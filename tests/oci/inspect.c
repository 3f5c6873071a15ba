/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inspector: a static program that the suite's containers run. It prints what a process inside sees, one "key=value" a
 * line, and then does what its words ask for:
 *
 *	stat PATH   read PATH   write PATH   cat PATH   link PATH   exec PATH   call NAME NUMBER
 *	hold        say "ready", then which signals come, until TERM
 *	exit N
 *
 * Words that it does not know are arguments to be looked at, nothing else. It works without any file in its root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void show_words(char **argv)
{
	for (int i = 0; argv[i]; i++)
		printf("arg%d=%s\n", i, argv[i]);
	for (int i = 0; environ[i]; i++)
		printf("env.%s\n", environ[i]);
}

static void show_ids(void)
{
	gid_t groups[256];
	int n = getgroups(256, groups);
	mode_t mask = umask(0);
	char cwd[PATH_MAX];

	umask(mask);
	printf("uid=%u\neuid=%u\ngid=%u\negid=%u\n", getuid(), geteuid(), getgid(), getegid());
	printf("groups=");
	for (int i = 0; i < n; i++)
		printf("%s%u", i ? "," : "", groups[i]);
	printf("\numask=%04o\n", mask);
	printf("cwd=%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : strerror(errno));
	printf("pid=%d\nppid=%d\nsid=%d\n", getpid(), getppid(), getsid(0));
}

static const char *const cap_names[] = {"CHOWN",
					"DAC_OVERRIDE",
					"DAC_READ_SEARCH",
					"FOWNER",
					"FSETID",
					"KILL",
					"SETGID",
					"SETUID",
					"SETPCAP",
					"LINUX_IMMUTABLE",
					"NET_BIND_SERVICE",
					"NET_BROADCAST",
					"NET_ADMIN",
					"NET_RAW",
					"IPC_LOCK",
					"IPC_OWNER",
					"SYS_MODULE",
					"SYS_RAWIO",
					"SYS_CHROOT",
					"SYS_PTRACE",
					"SYS_PACCT",
					"SYS_ADMIN",
					"SYS_BOOT",
					"SYS_NICE",
					"SYS_RESOURCE",
					"SYS_TIME",
					"SYS_TTY_CONFIG",
					"MKNOD",
					"LEASE",
					"AUDIT_WRITE",
					"AUDIT_CONTROL",
					"SETFCAP",
					"MAC_OVERRIDE",
					"MAC_ADMIN",
					"SYSLOG",
					"WAKE_ALARM",
					"BLOCK_SUSPEND",
					"AUDIT_READ",
					"PERFMON",
					"BPF",
					"CHECKPOINT_RESTORE"};

static void show_cap_set(const char *set, uint64_t bits)
{
	const char *comma = "";

	printf("cap.%s=", set);
	for (size_t i = 0; i < sizeof(cap_names) / sizeof(*cap_names); i++) {
		if (!(bits >> i & 1))
			continue;
		printf("%sCAP_%s", comma, cap_names[i]);
		comma = ",";
	}
	putchar('\n');
}

static uint64_t probe_caps(int (*has)(int cap))
{
	uint64_t bits = 0;

	for (int i = 0; i < 64; i++)
		bits |= has(i) == 1 ? UINT64_C(1) << i : 0;
	return bits;
}

static int in_bounding(int cap)
{
	return prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
}

static int in_ambient(int cap)
{
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0);
}

static void show_caps(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {0};

	syscall(SYS_capget, &head, data);
	show_cap_set("effective", data[0].effective | (uint64_t)data[1].effective << 32);
	show_cap_set("permitted", data[0].permitted | (uint64_t)data[1].permitted << 32);
	show_cap_set("inheritable", data[0].inheritable | (uint64_t)data[1].inheritable << 32);
	show_cap_set("bounding", probe_caps(in_bounding));
	show_cap_set("ambient", probe_caps(in_ambient));
}

static void show_rlimits(void)
{
	static const struct {
		const char *name;
		int what;
	} limits[] = {
		{"AS", RLIMIT_AS},
		{"CORE", RLIMIT_CORE},
		{"CPU", RLIMIT_CPU},
		{"DATA", RLIMIT_DATA},
		{"FSIZE", RLIMIT_FSIZE},
		{"LOCKS", RLIMIT_LOCKS},
		{"MEMLOCK", RLIMIT_MEMLOCK},
		{"MSGQUEUE", RLIMIT_MSGQUEUE},
		{"NICE", RLIMIT_NICE},
		{"NOFILE", RLIMIT_NOFILE},
		{"NPROC", RLIMIT_NPROC},
		{"RSS", RLIMIT_RSS},
		{"RTPRIO", RLIMIT_RTPRIO},
		{"RTTIME", RLIMIT_RTTIME},
		{"SIGPENDING", RLIMIT_SIGPENDING},
		{"STACK", RLIMIT_STACK},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct rlimit l = {0};

		getrlimit(limits[i].what, &l);
		printf("rlimit.%s.soft=%llu\n", limits[i].name, (unsigned long long)l.rlim_cur);
		printf("rlimit.%s.hard=%llu\n", limits[i].name, (unsigned long long)l.rlim_max);
	}
}

/* The first line of a file. */
static bool first_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static void show_kernel_words(void)
{
	struct utsname u;
	char line[256];

	uname(&u);
	printf("hostname=%s\ndomainname=%s\nmachine=%s\n", u.nodename, u.domainname, u.machine);
	printf("no_new_privs=%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	printf("personality=%#x\n", (unsigned)personality(0xffffffff));
	if (first_line("/proc/self/oom_score_adj", line, sizeof(line)))
		printf("oom_score_adj=%s\n", line);
	if (first_line("/proc/self/uid_map", line, sizeof(line)))
		printf("uid_map=%s\n", line);
	if (first_line("/proc/self/gid_map", line, sizeof(line)))
		printf("gid_map=%s\n", line);
}

struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void show_scheduling(void)
{
	static const char *const policies[] = {"OTHER", "FIFO", "RR",      "BATCH",
					       "4",     "IDLE", "DEADLINE"};
	struct sched_attributes a = {.size = sizeof(a)};
	unsigned long io = (unsigned long)syscall(SYS_ioprio_get, 1, 0);
	int mode = -1;
	unsigned long nodes[16] = {0};

	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) == 0 && a.policy < 7)
		printf("sched.policy=%s\nsched.nice=%d\nsched.priority=%u\nsched.flags=%#llx\n"
		       "sched.runtime=%llu\n",
		       policies[a.policy], a.nice, a.priority, (unsigned long long)a.flags,
		       (unsigned long long)a.runtime);
	printf("ioprio=%lu:%lu\n", io >> 13, io & 7);
	if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof(nodes) * 8, 0, 0) == 0)
		printf("mempolicy=%#x:%#lx\n", (unsigned)mode, nodes[0]);
}

static void show_namespaces(void)
{
	static const char *const names[] = {"pid", "net",  "mnt",    "ipc",
					    "uts", "user", "cgroup", "time"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[64], target[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		n = readlink(path, target, sizeof(target) - 1);
		if (n > 0)
			printf("ns.%s=%.*s\n", names[i], (int)n, target);
	}
}

/* Open descriptors, without a listing of /proc: a filter of the test may forbid what that needs. */
static void show_descriptors(void)
{
	const char *comma = "";

	printf("fds=");
	for (int fd = 0; fd < 256; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		printf("%s%d", comma, fd);
		comma = ",";
	}
	putchar('\n');
	for (int fd = 3; fd < 8; fd++) {
		char text[64];
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		if (n > 0)
			printf("fd%d=%.*s\n", fd, (int)strcspn(text, "\n"), text);
	}
}

static void show_terminal(void)
{
	struct winsize w = {0};
	char name[64];

	printf("tty=%d%d%d\n", isatty(0), isatty(1), isatty(2));
	if (!isatty(0))
		return;
	if (ttyname_r(0, name, sizeof(name)) == 0)
		printf("tty.name=%s\n", name);
	ioctl(0, TIOCGWINSZ, &w);
	printf("tty.size=%ux%u\n", w.ws_row, w.ws_col);
	printf("tty.controlling=%d\n", tcgetsid(0) == getsid(0));
}

/* One line of mountinfo: "mount PATH:options=…", ":type", ":source", ":super", ":peers". */
static void show_mount(char *line)
{
	char *field[12] = {0}, *save = NULL, *word, peers[256] = "";
	int n = 0;

	for (word = strtok_r(line, " ", &save); word && n < 6; word = strtok_r(NULL, " ", &save))
		field[n++] = word;
	for (; word && strcmp(word, "-") != 0; word = strtok_r(NULL, " ", &save))
		snprintf(peers + strlen(peers), sizeof(peers) - strlen(peers), "%s%.*s",
			 *peers ? "," : "", (int)strcspn(word, ":"), word);
	char *type = strtok_r(NULL, " ", &save), *source = strtok_r(NULL, " ", &save);
	char *super = strtok_r(NULL, " ", &save);

	if (n < 6 || !super)
		return;
	printf("mount %s:options=%s\nmount %s:type=%s\nmount %s:source=%s\nmount %s:super=%s\n"
	       "mount %s:peers=%s\n",
	       field[4], field[5], field[4], type, field[4], source, field[4], super, field[4],
	       peers);
}

static void show_mounts(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		show_mount(line);
	}
	if (f)
		fclose(f);
}

static const char *result(int r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void do_stat(const char *path)
{
	struct stat st;
	const char *kind = "?";

	if (stat(path, &st) < 0) {
		printf("stat %s=%s\n", path, strerrorname_np(errno));
		return;
	}
	kind = S_ISCHR(st.st_mode)    ? "c"
	       : S_ISBLK(st.st_mode)  ? "b"
	       : S_ISFIFO(st.st_mode) ? "p"
	       : S_ISDIR(st.st_mode)  ? "d"
				      : "f";
	printf("stat %s=%s\nmode %s=%04o\nowner %s=%u:%u\n", path, kind, path, st.st_mode & 07777,
	       path, st.st_uid, st.st_gid);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		printf("number %s=%u:%u\n", path, major(st.st_rdev), minor(st.st_rdev));
}

/* How much can be read: a directory's entries, a file's bytes. */
static void do_read(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), n = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd < 0) {
		printf("read %s=%s\n", path, strerrorname_np(errno));
		return;
	}
	if (!d) {
		ssize_t got = read(fd, buf, sizeof(buf));

		if (got < 0)
			printf("read %s=%s\n", path, strerrorname_np(errno));
		else
			printf("read %s=%s\n", path, got ? "something" : "nothing");
		close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(d));)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	printf("read %s=%s\n", path, n ? "something" : "nothing");
	closedir(d);
}

/* Open for writing, in a directory make a file. Nothing is written. */
static void do_write(const char *path)
{
	char inside[PATH_MAX];
	struct stat st;
	int fd;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		snprintf(inside, sizeof(inside), "%s/made", path);
		fd = open(inside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		printf("write %s=%s\n", path, result(fd));
		if (fd >= 0)
			unlink(inside);
	} else {
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
		printf("write %s=%s\n", path, result(fd));
	}
	if (fd >= 0)
		close(fd);
}

static void do_exec(const char *path)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execl(path, path, "exit", "0", NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		printf("exec %s=signal %d\n", path, WTERMSIG(status));
	else
		printf("exec %s=%s\n", path,
		       WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok");
}

static void do_cat(const char *path)
{
	char line[1024];

	if (first_line(path, line, sizeof(line)))
		printf("cat %s=%s\n", path, line);
	else
		printf("cat %s=%s\n", path, strerrorname_np(errno));
}

static void do_link(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target));

	if (n < 0)
		printf("link %s=%s\n", path, strerrorname_np(errno));
	else
		printf("link %s=%.*s\n", path, (int)n, target);
}

static volatile sig_atomic_t trapped;

static void on_sys(int sig)
{
	trapped = sig;
}

/* System calls for filters to decide about: harmless with any argument. */
static void do_call(const char *name, const char *number)
{
	static const struct {
		const char *name;
		long nr;
	} calls[] = {
		{"sched_get_priority_max", SYS_sched_get_priority_max},
		{"sched_get_priority_min", SYS_sched_get_priority_min},
		{"getcpu", SYS_getcpu},
		{"sync", SYS_sync},
	};
	unsigned long arg = strtoul(number, NULL, 0);

	signal(SIGSYS, on_sys);
	trapped = 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (strcmp(calls[i].name, name) != 0)
			continue;
		int r = (int)syscall(calls[i].nr, arg, 0, 0);

		printf("call %s %s=%s\n", name, number, trapped ? "SIGSYS" : result(r));
	}
}

static volatile sig_atomic_t last_signal;

static void on_signal(int sig)
{
	last_signal = sig;
}

/* Stay, and say which signals come. */
static int hold(void)
{
	static const int signals[] = {SIGHUP,  SIGUSR1, SIGUSR2,  SIGTERM,
				      SIGQUIT, SIGINT,  SIGWINCH, SIGALRM};
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], on_signal);
	puts("ready");
	fflush(stdout);
	for (;;) {
		last_signal = 0;
		sigsuspend(&none);
		if (!last_signal)
			continue;
		printf("signal=%s\n", sigabbrev_np(last_signal));
		fflush(stdout);
		if (last_signal == SIGTERM)
			return 0;
	}
}

static int follow(char **word)
{
	static const struct {
		const char *name;
		void (*run)(const char *path);
	} acts[] = {
		{"stat", do_stat}, {"read", do_read}, {"write", do_write},
		{"cat", do_cat},   {"link", do_link}, {"exec", do_exec},
	};

	for (; *word; word++) {
		if (strcmp(*word, "hold") == 0)
			return hold();
		if (!word[1])
			break;
		if (strcmp(*word, "exit") == 0)
			return atoi(word[1]);
		for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
			if (strcmp(*word, acts[i].name) != 0)
				continue;
			acts[i].run(*++word);
			break;
		}
		if (*word && strcmp(*word, "call") == 0 && word[1] && word[2]) {
			do_call(word[1], word[2]);
			word += 2;
		}
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 65536);
	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	show_words(argv);
	show_ids();
	show_caps();
	show_rlimits();
	show_kernel_words();
	show_scheduling();
	show_namespaces();
	show_descriptors();
	show_terminal();
	show_mounts();
	fflush(stdout);
	return follow(argv + 1);
}
