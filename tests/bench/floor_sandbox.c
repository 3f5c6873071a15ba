/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of `insula run`: makes the sandbox that a plan describes, and nothing else: namespaces, mounts, masks,
 * the loopback interface, pivot_root, capabilities, a filter as long as the default one, execve, wait. The plan (written by sandbox.c from the
 * configuration that insula run made) is only a list of calls, a line each, fields divided by tabs:
 *
 *	user UID GID			a user namespace of this one user
 *	group				a group of each v1 hierarchy, with the rules of devices
 *	throwaway PATH…			overlays over the host's root and the other mounts, in one tmpfs
 *	bound				a tmpfs with the names of the host's root, each bound read-only
 *	layers TOP LOWER		the overlay of an image, written to TOP
 *	home PATH			an overlay over a directory of the host, in a tmpfs
 *	fs TYPE TARGET FLAGS DATA	a new file system
 *	cgroups TARGET			the hierarchies, as the sandbox sees them
 *	bind SOURCE TARGET FLAGS
 *	dev				nodes and links of /dev
 *	mask TARGET, maskdir TARGET, readonly TARGET
 *
 *	floor_sandbox PLAN COMMAND [ARGUMENT…]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
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
#include <sys/wait.h>
#include <unistd.h>

/* As long as the default profile's program. */
#define FILTER_LEN 640

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

#define NEW "/tmp" /* where the new root is built, in our own mount namespace */

static const char *at(const char *path)
{
	static char buf[4096];

	snprintf(buf, sizeof(buf), NEW "%s", path);
	return buf;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* ---- control groups ------------------------------------------------------------------------ */

static const char *const v1[] = {"cpu",     "cpuacct", "cpuset", "memory", "devices",
				 "freezer", "blkio",   "pids",   "systemd"};
#define N_V1 (sizeof(v1) / sizeof(*v1))

static void group_path(char *buf, size_t size, const char *hierarchy, const char *file)
{
	snprintf(buf, size, "/sys/fs/cgroup/%s/insula-floor%s", hierarchy, file);
}

static void make_groups(void)
{
	static const char *const rules[] = {"c *:* m",   "b *:* m",    "c 1:3 rwm", "c 1:5 rwm",
					    "c 1:7 rwm", "c 1:8 rwm",  "c 1:9 rwm", "c 5:0 rwm",
					    "c 5:2 rwm", "c 136:* rwm"};
	char path[128];

	for (size_t i = 0; i < N_V1; i++) {
		group_path(path, sizeof(path), v1[i], "");
		if (mkdir(path, 0755) < 0 && errno != ENOENT)
			die(path);
	}
	group_path(path, sizeof(path), "cpuset", "/cpuset.cpus");
	put(path, "0-1");
	group_path(path, sizeof(path), "cpuset", "/cpuset.mems");
	put(path, "0");
	group_path(path, sizeof(path), "devices", "/devices.deny");
	put(path, "a");
	group_path(path, sizeof(path), "devices", "/devices.allow");
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		put(path, rules[i]);
}

static void join_groups(void)
{
	char path[128];

	for (size_t i = 0; i < N_V1; i++) {
		group_path(path, sizeof(path), v1[i], "/tasks");
		put(path, "0");
	}
}

static void remove_groups(void)
{
	char path[128];

	for (size_t i = 0; i < N_V1; i++) {
		group_path(path, sizeof(path), v1[i], "");
		rmdir(path);
	}
}

static void mount_cgroups(const char *target)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
	char path[128];

	if (!access("/sys/fs/cgroup/cgroup.controllers", F_OK)) {
		if (mount("cgroup2", at(target), "cgroup2", flags, NULL) < 0)
			die(target);
		return;
	}
	if (mount("tmpfs", at(target), "tmpfs", flags & ~MS_RDONLY, "mode=755,size=1m") < 0)
		die(target);
	for (size_t i = 0; i < N_V1; i++) {
		snprintf(path, sizeof(path), NEW "%s/%s", target, v1[i]);
		if (mkdir(path, 0755) < 0 ||
		    mount("cgroup", path, "cgroup", flags,
			  strcmp(v1[i], "systemd") ? v1[i] : "none,name=systemd") < 0)
			die(path);
	}
	if (mount(NULL, at(target), NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0)
		die(target);
}

/* ---- roots ----------------------------------------------------------------------------------- */

/* An overlay over `lower` from directory `n` of the tmpfs that is at `top`. */
static void overlay(const char *top, int n, const char *lower, const char *target, bool user)
{
	char data[4096], upper[256], work[256];

	snprintf(upper, sizeof(upper), "%s/%d", top, n);
	snprintf(work, sizeof(work), "%s/%dw", top, n);
	if (mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0)
		die(upper);
	snprintf(data, sizeof(data), "lowerdir=%s,upperdir=%s,workdir=%s%s", lower, upper, work,
		 user ? ",userxattr" : "");
	if (mount("floor", target, "overlay", 0, data) < 0)
		die(data);
}

static void throwaway(char **f)
{
	if (mount("tmpfs", NEW, "tmpfs", 0, "mode=700") < 0 || mkdir(NEW "/root", 0755) < 0)
		die(NEW);
	overlay(NEW, 0, "/", NEW "/root", false);
	for (int i = 1; f[i]; i++) {
		char target[512];

		snprintf(target, sizeof(target), NEW "/root%s", f[i]);
		overlay(NEW, i, f[i], target, false);
	}
	if (mount(NEW "/root", NEW, NULL, MS_MOVE, NULL) < 0 &&
	    mount(NEW "/root", NEW, NULL, MS_BIND | MS_REC, NULL) < 0)
		die("move");
}

static void bind_entry(int from, const char *name, bool directory)
{
	struct mount_attr attr = {.attr_set =
					  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				  .propagation = MS_PRIVATE};
	char target[512];
	int fd;

	snprintf(target, sizeof(target), NEW "/%s", name);
	if (directory ? mkdir(target, 0755) : mknod(target, S_IFREG | 0444, 0))
		die(target);
	fd = open_tree(from, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) ||
	    move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die(target);
	close(fd);
}

static void bound(void)
{
	int from = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = opendir("/");

	if (!dir || mount("tmpfs", NEW, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		die(NEW);
	for (struct dirent *e; (e = readdir(dir));) {
		char target[512], link[512];
		ssize_t n;

		if (e->d_name[0] == '.')
			continue;
		snprintf(target, sizeof(target), NEW "/%s", e->d_name);
		if (e->d_type == DT_LNK) {
			n = readlinkat(from, e->d_name, link, sizeof(link) - 1);
			link[n > 0 ? n : 0] = '\0';
			if (n < 0 || symlink(link, target) < 0)
				die(target);
		} else if (strstr("proc sys dev run tmp", e->d_name)) {
			mkdir(target, 0755);
		} else {
			bind_entry(from, e->d_name, e->d_type == DT_DIR);
		}
	}
	closedir(dir);
	close(from);
}

/* Made and removed for each run, as a sandbox's own storage is. */
static const char *const own_dirs[] = {"", "/diff", "/work"};

static void make_own_dirs(const char *top)
{
	char path[512];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", top, own_dirs[i]);
		if (mkdir(path, 0755) < 0)
			die(path);
	}
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void layers(char **f)
{
	char data[4096];

	snprintf(data, sizeof(data),
		 "upperdir=%s/diff,workdir=%s/work,lowerdir=%s,userxattr,volatile", f[1], f[1],
		 f[2]);
	if (mount("floor", NEW, "overlay", 0, data) < 0)
		die(data);
}

/* The host's directory is hidden by the mount that the overlay's tmpfs is on, but was opened before. */
static void home(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char lower[64];

	if (mkdir(at(path), 0700) < 0 && errno != EEXIST)
		die(path);
	if (fd < 0 || mount("tmpfs", at(path), "tmpfs", 0, "mode=700") < 0)
		die(path);
	snprintf(lower, sizeof(lower), "/proc/self/fd/%d", fd);
	overlay(at(path), 0, lower, at(path), true);
	close(fd);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void remount(const char *target, unsigned long flags)
{
	if (mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | flags, NULL) < 0)
		die(target);
}

static void make_dev(bool user)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
		     {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"},
					       {"pts/ptmx", "ptmx"}};
	char path[64], host[64];

	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		snprintf(path, sizeof(path), NEW "/dev/%s", nodes[i].name);
		snprintf(host, sizeof(host), "/dev/%s", nodes[i].name);
		if (user ? mknod(path, S_IFREG | 0666, 0) || mount(host, path, NULL, MS_BIND, NULL)
			 : mknod(path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)))
			die(path);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		snprintf(path, sizeof(path), NEW "/dev/%s", links[i][1]);
		if (symlink(links[i][0], path) < 0)
			die(path);
	}
}

static void do_line(char **f, bool user)
{
	const char *what = f[0];

	if (!strcmp(what, "throwaway"))
		throwaway(f);
	else if (!strcmp(what, "bound"))
		bound();
	else if (!strcmp(what, "layers"))
		layers(f);
	else if (!strcmp(what, "home"))
		home(f[1]);
	else if (!strcmp(what, "dev"))
		make_dev(user);
	else if (!strcmp(what, "cgroups"))
		mount_cgroups(f[1]);
	else if (!strcmp(what, "fs")) {
		if (mkdir(at(f[2]), 0755) < 0 && errno != EEXIST && errno != EROFS)
			die(f[2]);
		if (mount(f[1], at(f[2]), f[1], strtoul(f[3], NULL, 10), f[4]) < 0)
			die(f[2]);
	} else if (!strcmp(what, "bind")) {
		if (access(at(f[2]), F_OK) < 0 && mknod(at(f[2]), S_IFREG | 0644, 0) < 0)
			die(f[2]);
		if (mount(f[1], at(f[2]), NULL, MS_BIND, NULL) < 0)
			die(f[2]);
		remount(at(f[2]), strtoul(f[3], NULL, 10));
	} else if (!strcmp(what, "mask")) {
		if (mount("/dev/null", at(f[1]), NULL, MS_BIND, NULL) < 0)
			die(f[1]);
	} else if (!strcmp(what, "maskdir")) {
		if (mount("tmpfs", at(f[1]), "tmpfs", MS_RDONLY, "size=4k,nr_inodes=2") < 0)
			die(f[1]);
	} else if (!strcmp(what, "readonly")) {
		if (mount(at(f[1]), at(f[1]), NULL, MS_BIND | MS_REC, NULL) < 0)
			die(f[1]);
		remount(at(f[1]), MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
	}
}

static void filter(void)
{
	static struct sock_filter f[FILTER_LEN];
	struct sock_fprog prog = {.filter = f, .len = FILTER_LEN};

	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    offsetof(struct seccomp_data, nr));
	for (unsigned i = 1; i < FILTER_LEN - 1; i++)
		f[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 10000 + i, 0, 0);
	f[FILTER_LEN - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		die("seccomp");
}

#define LINES_MAX  256
#define FIELDS_MAX 16

static char *lines[LINES_MAX][FIELDS_MAX + 1];
static int n_lines;

static void read_plan(const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *rest = text;

	if (n < 0)
		die(path);
	close(fd);
	for (char *line; n_lines < LINES_MAX && (line = strsep(&rest, "\n")) && *line; n_lines++)
		for (int i = 0; i < FIELDS_MAX && (lines[n_lines][i] = strsep(&line, "\t")); i++)
			;
}

static const char *const *option(const char *name)
{
	for (int i = 0; i < n_lines; i++)
		if (!strcmp(lines[i][0], name))
			return (const char *const *)lines[i];
	return NULL;
}

static void write_maps(pid_t pid, const char *const *user)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	put(path, "deny");
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	snprintf(text, sizeof(text), "%s %u 1", user[1], getuid());
	put(path, text);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	snprintf(text, sizeof(text), "%s %u 1", user[2], getgid());
	put(path, text);
}

static void loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		die("lo");
	close(fd);
}

static void inside(int go, char **argv)
{
	const char *const *user = option("user");
	char c;

	if (read(go, &c, 1) < 0)
		die("wait for the maps");
	if (option("group"))
		join_groups();
	loopback_up();
	if (unshare(CLONE_NEWCGROUP) < 0 || mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		die("slave mounts");
	for (int i = 0; i < n_lines; i++)
		do_line(lines[i], user != NULL);
	if (chdir(NEW) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("pivot_root");
	if (sethostname("floor", 5) < 0)
		die("sethostname");
	for (int cap = 0; cap <= 40; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	filter();
	execvp(argv[0], argv);
	die(argv[0]);
}

int main(int argc, char **argv)
{
	struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
					   CLONE_NEWUTS | CLONE_NEWNET,
				  .exit_signal = SIGCHLD};
	int go[2], status;

	if (argc < 3)
		return 125;
	read_plan(argv[1]);
	if (option("user"))
		args.flags |= CLONE_NEWUSER;
	if (option("group"))
		make_groups();
	if (option("layers"))
		make_own_dirs(option("layers")[1]);
	if (pipe2(go, O_CLOEXEC) < 0)
		die("pipe");
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		die("clone3");
	if (pid == 0) {
		close(go[1]);
		inside(go[0], argv + 2);
	}
	if (option("user"))
		write_maps(pid, option("user"));
	close(go[1]);
	if (waitpid(pid, &status, 0) != pid)
		die("wait");
	if (option("group"))
		remove_groups();
	if (option("layers"))
		nftw(option("layers")[1], remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
