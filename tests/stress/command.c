/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command of a client: run, perhaps killed at a random moment, and its end looked at. Whatever it is, it may neither
 * hang nor die of a signal that nobody sent, and a failure says something.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Eight clients on two loaded processors; a microVM boots in software there. */
#define HANGS_SEC    240
#define HANGS_VM_SEC 600
/* What waits for a paused sandbox that another client may have paused. */
#define PATIENCE_MSEC 10000

#define KILL_PERCENT 14

static double now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void chance_seed(struct chance *c, uint64_t seed)
{
	c->state = seed;
}

/* splitmix64 */
static uint64_t next(struct chance *c)
{
	uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned chance_below(struct chance *c, unsigned n)
{
	return (unsigned)(next(c) % n);
}

bool chance_percent(struct chance *c, unsigned percent)
{
	return chance_below(c, 100) < percent;
}

/* ---- telling ------------------------------------------------------------------------------------ */

static void note(struct client *c, const char *const *words, const struct answer *a, double usec)
{
	char **place = &c->history[c->n_history++ % (sizeof(c->history) / sizeof(*c->history))];
	char line[2048];
	size_t n = (size_t)snprintf(line, sizeof(line), "%10.0f", now_usec() - usec);

	for (; *words && n < sizeof(line); words++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s", *words);
	if (n < sizeof(line))
		snprintf(line + n, sizeof(line) - n, "  -> %d%s%s in %.0f us  %.300s", a->code,
			 a->killed ? " (killed)" : "", a->undisturbed ? "" : " (others killed)",
			 usec, a->err);
	line[strcspn(line, "\n")] = '\0';
	free(*place);
	*place = strdup(line);
	if (c->stress->verbose)
		fprintf(stderr, "%u: %s\n", c->number, line);
}

void finding(struct client *c, const struct answer *a, const char *format, ...)
{
	const unsigned kept = sizeof(c->history) / sizeof(*c->history);
	unsigned first = c->n_history > kept ? c->n_history - kept : 0;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	va_list ap;

	atomic_store(&c->stress->board->failed, true);
	if (!f)
		_exit(2);
	fprintf(f, "FOUND by client %u (SEED=%llu): ", c->number,
		(unsigned long long)c->stress->seed);
	va_start(ap, format);
	vfprintf(f, format, ap);
	va_end(ap);
	if (a)
		fprintf(f, "\n exit code: %d\n stdout: %s\n stderr: %s", a->code, a->out, a->err);
	fprintf(f, "\n its last commands (microseconds, words, exit code, error):\n");
	for (unsigned i = first; i < c->n_history; i++)
		fprintf(f, "  %s\n", c->history[i % kept]);
	fclose(f);
	/* In one write, since others may speak at the same time. */
	if (text && write(2, text, size) < 0)
		_exit(3);
	_exit(1);
}

/* ---- running -------------------------------------------------------------------------------------- */

static char *text_of(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)(size > 0 ? size : 0) + 1);

	if (!text || (size > 0 && pread(fd, text, (size_t)size, 0) != size))
		_exit(2);
	close(fd);
	return text;
}

static pid_t spawn(const struct client *c, const char *const *words, int out, int err)
{
	const struct world *w = c->stress->world;
	bool people = strcmp(words[0], "insula") == 0;
	char store[160];
	const char *line[40];
	size_t n = 0;
	pid_t pid;

	snprintf(store, sizeof(store), "%s/store", w->dir);
	line[n++] = people ? w->insula : w->oci;
	line[n++] = "--root";
	line[n++] = w->state;
	if (people) {
		line[n++] = "--store";
		line[n++] = store;
	}
	for (words += people; *words && n + 1 < sizeof(line) / sizeof(*line); words++)
		line[n++] = *words;
	line[n] = NULL;
	pid = fork();
	if (pid < 0)
		_exit(2);
	if (pid == 0) {
		setpgid(0, 0);
		if (dup2(open("/dev/null", O_RDONLY), 0) < 0 || dup2(out, 1) < 0 ||
		    dup2(err, 2) < 0)
			_exit(126);
		syscall(SYS_close_range, 3, ~0U, 0);
		execv(line[0], (char *const *)line);
		_exit(126);
	}
	return pid;
}

/* False: it has not ended by then. */
static bool wait_end(int pidfd, double usec)
{
	double until = now_usec() + usec;
	struct pollfd p = {pidfd, POLLIN, 0};

	for (;;) {
		double left = until - now_usec();
		struct timespec t = {.tv_sec = (time_t)(left / 1e6)};

		if (left <= 0)
			return poll(&p, 1, 0) > 0;
		t.tv_nsec = (long)((left - (double)t.tv_sec * 1e6) * 1e3);
		if (ppoll(&p, 1, &t, NULL) > 0)
			return true;
	}
}

static void kill_it(int pidfd, struct client *c, struct answer *a)
{
	static const int signals[] = {SIGKILL, SIGKILL, SIGKILL, SIGTERM, SIGINT};
	int sig = signals[chance_below(&c->chance, 5)];

	a->killed = syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) == 0;
	atomic_fetch_add(&c->stress->board->killed, 1);
}

static bool is_plain(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

static void judge(struct client *c, const struct answer *a, int status, const char *what)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig && sig != SIGKILL && !(a->killed && (sig == SIGTERM || sig == SIGINT)))
		finding(c, a, "%s died of signal %d", what, sig);
	if (!is_plain(a->err))
		finding(c, a, "%s: control characters in its errors", what);
	if (!sig && a->code != 0 && !a->err[0] && strcmp(what, "exec") != 0 &&
	    strcmp(what, "run") != 0)
		finding(c, a, "%s failed without a word", what);
}

struct answer command(struct client *c, unsigned verb, enum mercy mercy, const char *const *words)
{
	struct board *b = c->stress->board;
	unsigned long before = atomic_load(&b->killings);
	int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
	double begin = now_usec(), *usual = &c->usual_usec[verb], took;
	pid_t pid = spawn(c, words, out, err);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status;
	struct answer a = {.code = -1};
	bool ended = false;

	if (pidfd < 0)
		_exit(2);
	if (mercy != SPARE && chance_percent(&c->chance, KILL_PERCENT)) {
		ended = wait_end(pidfd, *usual * 1.3 * chance_below(&c->chance, 1000) / 1000);
		if (!ended)
			kill_it(pidfd, c, &a);
	}
	if (!ended && mercy == MAY_KILL_LATE && !wait_end(pidfd, PATIENCE_MSEC * 1e3)) {
		a.killed = true;
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	}
	bool hangs = !wait_end(pidfd, (c->stress->with_vm ? HANGS_VM_SEC : HANGS_SEC) * 1e6);

	if (hangs) /* with what it does: for who looks at the core pattern or the report */
		kill(-pid, SIGABRT);
	if (waitpid(pid, &status, 0) != pid)
		_exit(2);
	close(pidfd);
	took = now_usec() - begin;
	if (WIFEXITED(status))
		a.code = WEXITSTATUS(status);
	a.killed = a.killed || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	a.undisturbed = !a.killed && before % 2 == 0 && atomic_load(&b->killings) == before;
	if (!a.killed)
		*usual = *usual > 0 ? *usual * 0.9 + took * 0.1 : took;
	a.out = text_of(out);
	a.err = text_of(err);
	atomic_fetch_add(&b->commands, 1);
	note(c, words, &a, took);
	if (hangs)
		finding(c, &a, "%s hangs", words[0]);
	judge(c, &a, status, words[0]);
	return a;
}

void answer_done(struct answer *a)
{
	free(a->out);
	free(a->err);
	a->out = a->err = NULL;
}
