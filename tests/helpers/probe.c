/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small static program that scenarios run inside sandboxes: each word does one thing that busybox cannot do or
 * not tell exactly.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* eat MIB: touch so much memory, page by page. In small pieces, since a kernel may refuse a large one at once
 * (overcommit heuristics), which is not what a limit does. */
static int eat(const char *mib)
{
	enum { PIECE = 1 << 20 };

	for (unsigned long n = strtoul(mib, NULL, 10); n > 0; n--) {
		volatile char *p = malloc(PIECE);

		if (!p)
			return 1;
		for (size_t i = 0; i < PIECE; i += 4096)
			p[i] = 1;
	}
	puts("ate it");
	return 0;
}

/* fork MAX: how many children can exist at once. */
static int fork_many(const char *max)
{
	int n = 0, limit = atoi(max);

	for (; n < limit; n++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			pause();
			_exit(0);
		}
	}
	printf("%d\n", n);
	fflush(stdout);
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(NULL) > 0)
		;
	return 0;
}

/* fds: the open descriptors. */
static int fds(void)
{
	for (int i = 0; i < 1024; i++)
		if (fcntl(i, F_GETFD) >= 0)
			printf("%d ", i);
	puts("");
	return 0;
}

static void on_signal(int sig)
{
	dprintf(1, "got %d\n", sig);
	_exit(40);
}

/* await: say "ready", then exit 40 at the first signal that can be caught. */
static _Noreturn void await(void)
{
	for (int sig = 1; sig < 32; sig++)
		signal(sig, on_signal);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

/* signals: the dispositions that are not default, and the mask. */
static int signals(void)
{
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int sig = 1; sig < 65; sig++) {
		struct sigaction a;

		if (sigaction(sig, NULL, &a) == 0 && a.sa_handler != SIG_DFL)
			printf("disposition %d\n", sig);
		if (sigismember(&mask, sig) == 1)
			printf("blocked %d\n", sig);
	}
	puts("end");
	return 0;
}

/* size: the terminal's rows and columns, again after every change. */
static volatile sig_atomic_t changed = 1;
static void on_winch(int sig)
{
	(void)sig;
	changed = 1;
}
static _Noreturn void size(void)
{
	sigset_t block, none;

	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGWINCH);
	sigprocmask(SIG_BLOCK, &block, NULL);
	signal(SIGWINCH, on_winch);
	for (;;) {
		struct winsize w;

		if (changed && ioctl(0, TIOCGWINSZ, &w) == 0)
			printf("%dx%d\n", w.ws_row, w.ws_col);
		changed = 0;
		fflush(stdout);
		sigsuspend(&none);
	}
}

/* zeros BYTES */
static int zeros(const char *bytes)
{
	static char buf[65536];
	long left = atol(bytes);

	while (left > 0) {
		ssize_t n = write(1, buf, left < (long)sizeof(buf) ? (size_t)left : sizeof(buf));

		if (n <= 0)
			return 1;
		left -= n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (!strcmp(word, "eat") && argc > 2)
		return eat(argv[2]);
	if (!strcmp(word, "fork") && argc > 2)
		return fork_many(argv[2]);
	if (!strcmp(word, "zeros") && argc > 2)
		return zeros(argv[2]);
	if (!strcmp(word, "fds"))
		return fds();
	if (!strcmp(word, "await"))
		await();
	if (!strcmp(word, "signals"))
		return signals();
	if (!strcmp(word, "size"))
		size();
	if (!strcmp(word, "segv"))
		*(volatile int *)0 = 1;
	if (!strcmp(word, "nnp"))
		return printf("%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) < 0;
	fprintf(stderr, "probe: unknown word '%s'\n", word);
	return 2;
}
