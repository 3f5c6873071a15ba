/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows about processes, terminals, keys and shared memory; part of hostile-host.c.
 */
#pragma once

#include <linux/keyctl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <termios.h>
#include <ctype.h>

#include "hostile-host.h"

static pid_t victim(void)
{
	return (pid_t)atoi(fact("pid"));
}

/* Is the process of that number the host's victim? Another pid namespace has others, or none. */
static bool victim_is_seen(void)
{
	char path[64], name[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)victim());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	return strncmp(name, "hostile-victim", 14) == 0;
}

static enum verdict process_list(void)
{
	return victim_is_seen() ? breach("process %d of the host is listed", (int)victim())
				: refused("/proc");
}

static enum verdict trace(void)
{
	if (ptrace(PTRACE_SEIZE, victim(), NULL, NULL) < 0)
		return refused("ptrace");
	if (!victim_is_seen())
		return REFUSED;
	ptrace(PTRACE_DETACH, victim(), NULL, NULL);
	return breach("a process of the host can be traced");
}

static enum verdict read_memory(void)
{
	char buf[64] = "";
	void *address = (void *)strtoull(fact("address"), NULL, 16);
	struct iovec to = {buf, sizeof(buf)}, from = {address, sizeof(buf)};
	ssize_t n = process_vm_readv(victim(), &to, 1, &from, 1, 0);

	if (n > 0 && holds(buf, (size_t)n, fact("mark")))
		return breach("memory of a process of the host");
	return refused("process_vm_readv");
}

static enum verdict write_memory(void)
{
	char path[64];
	void *address = (void *)strtoull(fact("address"), NULL, 16);
	struct iovec to = {address, 4}, from = {"EVIL", 4};
	int fd;

	if (process_vm_writev(victim(), &from, 1, &to, 1, 0) == 4 && victim_is_seen())
		return breach("process_vm_writev");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)victim());
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && victim_is_seen() && pwrite(fd, "EVIL", 4, (off_t)(uintptr_t)address) == 4)
		return breach("%s", path);
	return refused(path);
}

static enum verdict environments(void)
{
	static const char *const files[] = {"environ", "cmdline", "root/etc/shadow"};
	DIR *d = opendir("/proc");
	struct dirent *entry;
	char path[320];

	while (d && (entry = readdir(d))) {
		/* This program's own words hold the mark. */
		if (!isdigit((unsigned char)entry->d_name[0]) || !victim_is_seen())
			continue;
		for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
			snprintf(path, sizeof(path), "/proc/%s/%s", fact("pid"), files[i]);
			if (has_mark(path))
				return breach("%s", path);
		}
	}
	if (d)
		closedir(d);
	return REFUSED;
}

static enum verdict through_init(void)
{
	char path[512];

	snprintf(path, sizeof(path), "/proc/1/root%s", fact("otherfile"));
	if (has_mark(path) || has_mark("/proc/1/root/etc/shadow"))
		return breach("%s", path);
	snprintf(path, sizeof(path), "/proc/1/cwd/../../../../../..%s", fact("otherfile"));
	return has_mark(path) ? breach("%s", path) : refused(path);
}

static enum verdict signals(void)
{
	int fd = (int)syscall(SYS_pidfd_open, victim(), 0);
	bool seen = victim_is_seen(), sent = kill(victim(), SIGUSR1) == 0;

	if (fd >= 0 && seen)
		sent |= syscall(SYS_pidfd_send_signal, fd, SIGUSR2, NULL, 0) == 0;
	return sent && seen ? breach("process %d of the host got a signal", (int)victim())
			    : refused("kill");
}

static enum verdict steal_descriptor(void)
{
	int fd = (int)syscall(SYS_pidfd_open, victim(), 0);

	if (fd >= 0 && syscall(SYS_pidfd_getfd, fd, 0, 0) >= 0 && victim_is_seen())
		return breach("a descriptor of a process of the host");
	return refused("pidfd_getfd");
}

static enum verdict change_limits(void)
{
	struct rlimit l;

	if (prlimit(victim(), RLIMIT_CORE, NULL, &l) == 0 && victim_is_seen())
		return breach("limits of a process of the host");
	if (setpriority(PRIO_PROCESS, (id_t)victim(), 19) == 0 && victim_is_seen())
		return breach("priority of a process of the host");
	return refused("prlimit");
}

static enum verdict enter_namespaces(void)
{
	static const char *const kinds[] = {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup"};
	char path[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)victim(), kinds[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && victim_is_seen() && setns(fd, 0) == 0)
			return breach("the host's %s namespace", kinds[i]);
		refused(path);
	}
	return REFUSED;
}

/* ---- keys, shared memory, queues ---------------------------------------------------------------- */

static enum verdict read_keys(void)
{
	char buf[64] = "";
	long key = strtol(fact("key"), NULL, 10), n;

	if (!key)
		return ABSENT;
	n = syscall(SYS_keyctl, KEYCTL_READ, key, buf, sizeof(buf));
	if (n > 0 && holds(buf, sizeof(buf), fact("mark")))
		return breach("key %ld", key);
	key = syscall(SYS_request_key, "user", "insula-hostile", NULL, 0);
	if (key > 0 && syscall(SYS_keyctl, KEYCTL_READ, key, buf, sizeof(buf)) > 0 &&
	    holds(buf, sizeof(buf), fact("mark")))
		return breach("a key found by name");
	return refused("keyctl");
}

static enum verdict add_keys(void)
{
	long key = syscall(SYS_add_key, "user", "insula-planted", "x", 1, KEY_SPEC_USER_KEYRING);

	if (key < 0)
		return refused("add_key");
	/* In a user namespace of another uid range it is another keyring: the outside looks. */
	snprintf(detail, sizeof(detail), "added in here");
	return TRIED;
}

static enum verdict sysv_memory(void)
{
	const char *id = fact("shm");
	void *p;

	if (!*id)
		return ABSENT;
	p = shmat(shmget((key_t)strtol(fact("shmkey"), NULL, 10), 0, 0), NULL, 0);
	if (p == (void *)-1)
		p = shmat(atoi(id), NULL, SHM_RDONLY);
	if (p != (void *)-1 && holds(p, 64, fact("mark")))
		return breach("a System V segment of the host");
	return refused("shmat");
}

static enum verdict message_queues(void)
{
	mqd_t q = *fact("queue") ? mq_open(fact("queue"), O_RDONLY | O_NONBLOCK) : -1;

	return q >= 0 ? breach("queue %s of the host", fact("queue")) : refused("mq_open");
}

/* ---- the caller's terminal ---------------------------------------------------------------------- */

/* Standard error is not ours (see try_row()). */
static int terminal(void)
{
	return isatty(0) ? 0 : isatty(1) ? 1 : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static enum verdict inject(void)
{
	unsigned char sub[2] = {3, 0};
	int done = 0, fd = terminal();

	if (fd < 0)
		return ABSENT;
	for (const char *p = "id\n"; *p; p++)
		done += ioctl(fd, TIOCSTI, p) == 0;
	/* The kernel takes the lower half of the number only. */
	done += syscall(SYS_ioctl, fd, (1ul << 32) | TIOCSTI, "x") == 0;
	done += ioctl(fd, TIOCLINUX, sub) == 0;
	if (!done)
		return refused("TIOCSTI");
	snprintf(detail, sizeof(detail), "pushed into the terminal at hand");
	return TRIED;
}

static enum verdict terminal_settings(void)
{
	struct termios t;
	int fd = terminal();

	if (fd < 0 || tcgetattr(fd, &t) < 0)
		return ABSENT;
	t.c_lflag ^= ECHO | ISIG;
	t.c_cc[VINTR] = 'q';
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return refused("tcsetattr");
	snprintf(detail, sizeof(detail), "changed the terminal at hand");
	return TRIED;
}
