/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-init: the first process of a sandbox with --init. Most programs are not made to be process 1: they reap no
 * orphans, and signals without a handler do nothing to a namespace's first process. This one starts the
 * command as its child, reaps whatever is left to it, forwards every signal to the command, and ends as the command
 * did (128 + n after signal n).
 *
 * The command leads a process group of its own, which gets the terminal, so that Ctrl-C reaches it once and
 * not a second time through us. Everything is blocked and taken by sigwaitinfo(2); nothing is allocated, no stdio.
 *
 * Usage: insula-init [--] COMMAND [ARGUMENT…]. 126 and 127 as a shell has them.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 125

static void say(const char *text)
{
	ssize_t n = write(2, text, strlen(text));

	(void)n; /* nobody to tell */
}

static int complain(const char *what, const char *why)
{
	say("insula-init: ");
	say(what);
	say(": ");
	say(why);
	say("\n");
	return errno == ENOENT ? 127 : 126;
}

/* Faults of our own must end us; all others can wait until we look. */
static sigset_t signals_to_take(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	return set;
}

static int run_command(char **argv, const sigset_t *old)
{
	/* SIGTTOU is blocked still, so a change of the foreground group cannot stop us. Without a terminal it fails,
	 * and there is nothing to change. */
	(void)setpgid(0, 0);
	(void)tcsetpgrp(0, getpid());
	sigprocmask(SIG_SETMASK, old, NULL);
	execvp(argv[0], argv);
	return complain(argv[0], strerror(errno));
}

static int exit_code(int status)
{
	int sig;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	sig = WTERMSIG(status);
	if (getpid() != 1) {
		/* Not a namespace's first process: a signal ends us, too. */
		sigset_t one;

		signal(sig, SIG_DFL);
		sigemptyset(&one);
		sigaddset(&one, sig);
		raise(sig);
		sigprocmask(SIG_UNBLOCK, &one, NULL);
	}
	return 128 + sig;
}

/* All that ended. True when the command is among them. */
static int reap(pid_t command, int *status)
{
	int found = 0, one;
	pid_t pid;

	while ((pid = waitpid(-1, &one, WNOHANG)) > 0)
		if (pid == command) {
			*status = one;
			found = 1;
		}
	return found;
}

int main(int argc, char **argv)
{
	int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1, status = 0;
	sigset_t set = signals_to_take(), old;
	pid_t command;

	if (first >= argc) {
		say("insula-init: usage: insula-init [--] COMMAND [ARGUMENT…]\n");
		return EXIT_USAGE;
	}
	sigprocmask(SIG_BLOCK, &set, &old);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
	command = fork();
	if (command < 0)
		return complain("fork", strerror(errno));
	if (command == 0)
		return run_command(argv + first, &old);
	for (;;) {
		int sig = sigwaitinfo(&set, NULL);

		if (sig == SIGCHLD && reap(command, &status))
			return exit_code(status);
		if (sig > 0 && sig != SIGCHLD)
			(void)kill(command, sig);
	}
}
