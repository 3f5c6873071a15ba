/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch [CIRCUMSTANCE…] -- PROGRAM [ARGUMENT…]: runs a program for a caller whose surroundings are hostile, careless or
 * restricted, as an engine, an init system or an outer container may leave them:
 *
 *	no-openat2 ERRNO	an outer seccomp filter answers openat2(2) with that error
 *	ambient			all capabilities are inheritable and ambient
 *	signals			SIGPIPE and SIGHUP are ignored, SIGTERM and SIGUSR1 blocked
 *	leak			descriptors 3 to 12 are the host's root directory, and survive exec
 *	bind SOURCE TARGET	in a mount namespace of its own, SOURCE is on TARGET
 *	chroot DIR		in a mount namespace of its own, all of the host is on DIR, and that is its root directory
 *	user UID		becomes that user, without capabilities
 *	groups GID		is in that supplementary group
 *	key NAME		has a session keyring with that key
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
	exit(99);
}

static void refuse_openat2(unsigned errnum)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errnum & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		die("install the filter");
}

static void make_ambient(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		die("read the capabilities");
	d[0].inheritable = d[0].permitted;
	d[1].inheritable = d[1].permitted;
	if (syscall(SYS_capset, &h, d) < 0)
		die("make them inheritable");
	for (int cap = 0; cap < 64; cap++)
		if (d[cap / 32].permitted & (1u << cap % 32) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			die("make them ambient");
}

static void spoil_signals(void)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static void leak_root(void)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	for (int i = 3; i <= 12; i++)
		if (fd < 0 || (i != fd && dup2(fd, i) < 0))
			die("open the root");
}

static void bind_privately(const char *source, const char *target)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(source, target, NULL, MS_BIND, NULL) < 0)
		die("bind");
}

static void live_in_chroot(const char *dir)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("/", dir, NULL, MS_BIND | MS_REC, NULL) < 0 || chroot(dir) < 0 || chdir("/") < 0)
		die("chroot");
}

static void become(unsigned id)
{
	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		die("become the user");
}

static void join(gid_t group)
{
	if (setgroups(1, &group) < 0)
		die("join the group");
}

static void keep_key(const char *name)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
	    syscall(SYS_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)
		die("keep a key");
}

int main(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!strcmp(argv[i], "no-openat2") && i + 1 < argc)
			refuse_openat2((unsigned)atoi(argv[++i]));
		else if (!strcmp(argv[i], "ambient"))
			make_ambient();
		else if (!strcmp(argv[i], "signals"))
			spoil_signals();
		else if (!strcmp(argv[i], "leak"))
			leak_root();
		else if (!strcmp(argv[i], "bind") && i + 2 < argc)
			bind_privately(argv[i + 1], argv[i + 2]), i += 2;
		else if (!strcmp(argv[i], "chroot") && i + 1 < argc)
			live_in_chroot(argv[++i]);
		else if (!strcmp(argv[i], "user") && i + 1 < argc)
			become((unsigned)atoi(argv[++i]));
		else if (!strcmp(argv[i], "groups") && i + 1 < argc)
			join((gid_t)atoi(argv[++i]));
		else if (!strcmp(argv[i], "key") && i + 1 < argc)
			keep_key(argv[++i]);
		else
			break;
	}
	if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
		fprintf(stderr, "launch: what is '%s'?\n", i < argc ? argv[i] : "");
		return 99;
	}
	execv(argv[i + 1], argv + i + 1);
	die(argv[i + 1]);
}
