/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rows of hostile-host.c share: facts about the fake host (given as words NAME=VALUE), ways to say what came
 * out, and small steps.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* REFUSED: nothing was learned or changed. BREACH: something was. TRIED: it went through in here, and the outside must
 * tell whether it got anywhere. ABSENT: the host has nothing to attack. */
enum verdict { REFUSED, BREACH, TRIED, ABSENT };

static char **facts;
static char detail[256];

__attribute__((unused)) static const char *fact(const char *name)
{
	size_t n = strlen(name);

	for (char **f = facts; f && *f; f++)
		if (strncmp(*f, name, n) == 0 && (*f)[n] == '=')
			return *f + n + 1;
	return "";
}

__attribute__((unused, format(printf, 1, 2))) static enum verdict breach(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(detail, sizeof(detail), format, ap);
	va_end(ap);
	return BREACH;
}

__attribute__((unused)) static enum verdict refused(const char *what)
{
	snprintf(detail, sizeof(detail), "%.180s: %.60s", what, strerror(errno));
	return REFUSED;
}

/* A call that must not even reach the kernel's own checks of its arguments. */
__attribute__((unused)) static enum verdict kernel_call(const char *name, long r)
{
	if (r >= 0)
		return breach("%s works", name);
	if (errno == EPERM || errno == EACCES || errno == ENOSYS || errno == EAFNOSUPPORT)
		return refused(name);
	return breach("%s got to the kernel: %s", name, strerror(errno));
}

__attribute__((unused)) static bool holds(const char *buf, size_t n, const char *what)
{
	return *what && memmem(buf, n, what, strlen(what));
}

/* Does the file hold the host's secret mark? */
__attribute__((unused)) static bool has_mark(const char *path)
{
	static char buf[65536];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n > 0 && holds(buf, (size_t)n, fact("mark"));
}

/* Any file below (not crossing links), at most so deep. */
__attribute__((unused)) static bool tree_has_mark(const char *path, int depth)
{
	DIR *d = depth > 0 ? opendir(path) : NULL;
	struct dirent *entry;
	bool found = false;

	if (!d)
		return has_mark(path);
	while (!found && (entry = readdir(d))) {
		char below[4096];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    entry->d_type == DT_LNK)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		found = entry->d_type == DT_DIR ? tree_has_mark(below, depth - 1) : has_mark(below);
		if (found && !detail[0])
			snprintf(detail, sizeof(detail), "%.200s", below);
	}
	closedir(d);
	return found;
}

__attribute__((unused)) static enum verdict look_for_mark(const char *path, int depth)
{
	if (tree_has_mark(path, depth))
		return detail[0] ? BREACH : breach("%s", path);
	return refused(path);
}

/* name: a path, or '@' and an abstract one. */
__attribute__((unused)) static enum verdict connect_to(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!*name)
		return ABSENT;
	strncpy(a.sun_path, name, sizeof(a.sun_path) - 1);
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	else
		len = sizeof(a);
	if (s >= 0 && connect(s, (struct sockaddr *)&a, len) == 0)
		return breach("connected to %s", name);
	return refused(name);
}

/* Only opened: nothing is written, lest the machine suffers when a defence is missing. */
__attribute__((unused)) static enum verdict open_for_writing(const char *const *paths)
{
	for (; *paths; paths++) {
		int fd = open(*paths, O_WRONLY | O_CLOEXEC | O_NOCTTY);

		if (fd >= 0)
			return breach("%s can be written", *paths);
		refused(*paths);
	}
	return REFUSED;
}

/* In a child, so that it can change its namespaces; what it says in `detail` comes along. */
__attribute__((unused)) static enum verdict in_child(enum verdict (*fn)(void))
{
	int status, fds[2];
	pid_t pid;

	if (pipe(fds) < 0 || (pid = fork()) < 0)
		return refused("fork");
	if (pid == 0) {
		enum verdict v = fn();

		(void)!write(fds[1], detail, strlen(detail));
		_exit((int)v);
	}
	close(fds[1]);
	memset(detail, 0, sizeof(detail));
	(void)!read(fds[0], detail, sizeof(detail) - 1);
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		snprintf(detail, sizeof(detail), "killed");
		return REFUSED;
	}
	return (enum verdict)WEXITSTATUS(status);
}
