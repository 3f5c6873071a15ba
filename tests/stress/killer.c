/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills the programs under test at random moments: commands, creators, first processes that wait at their gate, monitors,
 * and with microVMs their machines. It sees no process but the test's descendants: the pid namespace is the test's own.
 */
#include "stress.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEAN_MSEC 250
/* What is frozen only dies when it is thawed; others do at once. */
#define DYING_MSEC 2000

static bool is_ours(const char *pid, bool with_vm)
{
	static const char *const names[] = {"insula", "virtiofsd", "qemu-system"};
	char path[300], name[64] = "", exe[512] = "", self[512] = "";
	int fd;

	/* The test's own processes, also those that are about to execute a command. */
	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0 ||
	    readlink(path, exe, sizeof(exe) - 1) <= 0 || strcmp(exe, self) == 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = read(fd, name, sizeof(name) - 1) > 0;

	close(fd);
	for (size_t i = 0; ok && i < (with_vm ? 3 : 1); i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static pid_t choose(struct chance *chance, bool with_vm)
{
	pid_t chosen = 0;
	unsigned n = 0;
	DIR *d = opendir("/proc");

	for (struct dirent *entry; d && (entry = readdir(d));) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == 1 ||
		    !is_ours(entry->d_name, with_vm))
			continue;
		if (chance_below(chance, ++n) == 0)
			chosen = atoi(entry->d_name);
	}
	if (d)
		closedir(d);
	return chosen;
}

static void kill_one(const struct stress *s, struct chance *chance)
{
	pid_t pid = choose(chance, s->with_vm);
	int pidfd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct pollfd p = {pidfd, POLLIN, 0};
	char name[16];

	snprintf(name, sizeof(name), "%d", (int)pid);
	/* Looked at again, now that the number cannot become another's. */
	if (pidfd >= 0 && is_ours(name, s->with_vm)) {
		atomic_fetch_add(&s->board->killings, 1);
		if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0)
			poll(&p, 1, DYING_MSEC);
		atomic_fetch_add(&s->board->killings, 1);
	}
	if (pidfd >= 0)
		close(pidfd);
}

void killer_run(const struct stress *s)
{
	struct chance chance;

	chance_seed(&chance, s->seed ^ 0x6b696c6c);
	while (!atomic_load(&s->board->stop) && !atomic_load(&s->board->failed)) {
		poll(NULL, 0, (int)chance_below(&chance, 2 * MEAN_MSEC));
		kill_one(s, &chance);
	}
}
