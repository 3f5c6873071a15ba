/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload that means harm: what tests/integration/test_security*.c runs inside of sandboxes.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define PIDS_MAX 65536

/* ---- watch: get at the program of whoever comes in from outside ---------------------------------- */

static bool is_same_file(const struct stat *a, const char *path)
{
	struct stat b;

	return stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* As soon as nobody executes it any more. */
static void overwrite(int fd)
{
	char path[64];
	int out;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int tries = 0; tries < 3000; tries++) {
		out = open(path, O_WRONLY | O_CLOEXEC);
		if (out >= 0 || errno != ETXTBSY)
			break;
		usleep(1000);
	}
	if (out >= 0 && pwrite(out, "EVIL", 4, 0) == 4)
		puts("wrote");
	else
		printf("refused: %s\n", strerror(errno));
	if (out >= 0)
		close(out);
}

/* Each pid is told about once for each thing that is seen of it. */
static void look_at(const char *pid)
{
	static char told[PIDS_MAX];
	char path[300];
	struct stat st;
	int n = atoi(pid) % PIDS_MAX, fd;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM) && !(told[n] & 1)) {
		told[n] |= 1;
		puts("denied");
	}
	if (fd < 0)
		return;
	if (!(told[n] & 2) && fstat(fd, &st) == 0 && !is_same_file(&st, "/bin/busybox") &&
	    !is_same_file(&st, "/proc/self/exe")) {
		told[n] |= 2;
		puts("grabbed");
		overwrite(fd);
	}
	close(fd);
}

static _Noreturn void watch(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("watching");
	for (;;) {
		DIR *d = opendir("/proc");

		for (struct dirent *entry; d && (entry = readdir(d));)
			if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) > 1)
				look_at(entry->d_name);
		if (d)
			closedir(d);
	}
}

/* ---- try: what must not work ------------------------------------------------------------------ */

/* Nothing is written: the files are the host's where a sandbox fails to keep them. */
static int open_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* system calls that the usual filter forbids, beyond what missing capabilities do */
static int calls(void)
{
	static const struct {
		const char *name;
		long number, args[3];
	} all[] = {
		{"keyctl", SYS_keyctl, {KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0}},
		{"add_key", SYS_add_key, {0, 0, 0}},
		{"unshare", SYS_unshare, {CLONE_NEWUSER, 0, 0}},
		{"userfaultfd", SYS_userfaultfd, {1, 0, 0}},
		{"perf_event_open", SYS_perf_event_open, {0, 0, -1}},
		{"bpf", SYS_bpf, {-1, 0, 0}},
		{"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0}},
		{"kexec_load", SYS_kexec_load, {-1, -1, 0}},
		{"init_module", SYS_init_module, {0, 0, 0}},
		{"mount", SYS_mount, {0, 0, 0}},
		{"reboot", SYS_reboot, {0, 0, 0}},
		{"io_uring_setup", SYS_io_uring_setup, {0, 0, 0}},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		long r = syscall(all[i].number, all[i].args[0], all[i].args[1], all[i].args[2]);

		if (r >= 0 || (errno != EPERM && errno != ENOSYS))
			printf("%s: %s\n", all[i].name, r < 0 ? strerror(errno) : "works");
	}
	puts("end");
	return 0;
}

/* connect PATH: to a Unix socket. */
static int try_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return printf("%s\n", strerror(errno)) < 0;
	return puts("connected") < 0;
}

/* key NAME: in the session keyring that it was started with. */
static int find_key(const char *name)
{
	if (syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0) < 0)
		return printf("%s\n", strerror(errno)) < 0;
	return puts("found") < 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (!strcmp(word, "watch"))
		watch();
	if (!strcmp(word, "calls"))
		return calls();
	if (!strcmp(word, "connect") && argc > 2)
		return try_connect(argv[2]);
	if (!strcmp(word, "key") && argc > 2)
		return find_key(argv[2]);
	/* write PATH…: says for each whether it can be opened for that */
	if (!strcmp(word, "write")) {
		for (int i = 2; i < argc; i++)
			printf("%s: %s\n", argv[i],
			       open_write(argv[i]) < 0 ? strerror(errno) : "open");
		return 0;
	}
	if (!strcmp(word, "ids")) /* what a setuid program got */
		return printf("%u %u %u\n", getuid(), geteuid(), getegid()) < 0;
	fprintf(stderr, "hostile: unknown word '%s'\n", word);
	return 2;
}
