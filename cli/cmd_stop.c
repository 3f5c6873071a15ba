/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula stop: ask them all to end at once, and end each by force whose time is over.
 *
 * A sandbox is stopped when its end was noted, so that what `ps -a` says right after is the truth, and nothing of one that was
 * to be removed is left.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "people.h"
#include "runtime/attach.h"
#include "several.h"

#define DEFAULT_SECONDS 10

/* After KILL: an uninterruptible wait in the kernel may last, but not be waited for without end. */
#define KILL_SECONDS 60

struct stop_opts {
	int64_t seconds; /* -1: the sandbox's own */
	const char *signal;
	bool all, ignore;
};

static const struct opt stop_opts[] = {
	{"time", 't', OPT_SIGNED, "SECONDS",
	 "wait so long before KILL, -1: for ever; default: what --stop-timeout said, or 10",
	 offsetof(struct stop_opts, seconds)},
	{"signal", 's', OPT_STRING, "SIGNAL",
	 "send this; default: what --stop-signal or the image said, or TERM",
	 offsetof(struct stop_opts, signal)},
	{"all", 'a', OPT_FLAG, NULL, "all that run", offsetof(struct stop_opts, all)},
	{"ignore", 'i', OPT_FLAG, NULL, "a missing one is no error",
	 offsetof(struct stop_opts, ignore)},
};
const struct opt_table cmd_stop_options = OPT_TABLE(stop_opts);

/* One that is being stopped. */
struct stopping {
	const char *word;
	char *id;
	struct rt_waiter *waiter; /* NULL: done */
	int64_t deadline_msec;    /* -1: none */
	bool killed;
};

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int signal_of(const struct stop_opts *o, const struct sandbox *s, int *ret, struct err *e)
{
	const char *name = o->signal ? o->signal : s->state.stop_signal;

	*ret = SIGTERM;
	if (name && signal_parse(name, ret) < 0)
		return err_invalid(e, "'%s' is not a signal", name);
	return 0;
}

static int64_t deadline_of(const struct stop_opts *o, int64_t configured, bool given)
{
	int64_t seconds = given ? o->seconds : configured >= 0 ? configured : DEFAULT_SECONDS;

	return seconds < 0 ? -1 : now_msec() + seconds * 1000;
}

/* It ended by itself meanwhile. */
static int forgive_ended(int r, struct err *e)
{
	if (r != -ESRCH)
		return r;
	err_clear(e);
	return 0;
}

static int begin(struct cli *cli, const struct stop_opts *o, bool time_given, struct stopping *t,
		 struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	enum rt_status status;
	int sig, r = resolve_sandbox(&cli->ctx, t->word, &t->id, e);

	if (r >= 0)
		r = rt_open(&cli->ctx, t->id, false, &s, e);
	if (r >= 0)
		r = signal_of(o, s, &sig, e);
	if (r < 0)
		return r;
	status = state_status(&s->dir, &s->state);
	if (status == RT_CREATING)
		return err_set(e, ERR_STATE, EBUSY, "'%s' is still being created", t->id);
	r = rt_waiter_open(&cli->ctx, t->id, &t->waiter, e);
	if (r < 0 || status == RT_STOPPED)
		return r;
	t->deadline_msec = deadline_of(o, s->state.stop_timeout_sec, time_given);
	/* What waits at its gate or is frozen takes no signal but this. */
	if (status != RT_RUNNING) {
		sig = SIGKILL;
		t->killed = true;
	}
	return forgive_ended(rt_kill(s, sig, false, e), e);
}

static int kill_it(struct cli *cli, struct stopping *t, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r;

	if (t->killed)
		return err_set(e, ERR_STATE, ETIMEDOUT,
			       "'%s' did not end within %d seconds after KILL", t->id,
			       KILL_SECONDS);
	t->killed = true;
	t->deadline_msec = now_msec() + KILL_SECONDS * 1000;
	r = rt_open(&cli->ctx, t->id, false, &s, e);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	return r < 0 ? r : forgive_ended(rt_kill(s, SIGKILL, false, e), e);
}

/* Look whether it has ended, or its time has. */
static int proceed(struct cli *cli, struct stopping *t, struct err *e)
{
	int code, r = rt_waiter_check(t->waiter, &code, e);

	if (r == 0 && t->deadline_msec >= 0 && now_msec() >= t->deadline_msec)
		r = kill_it(cli, t, e);
	if (r > 0)
		printf("%s\n", t->word);
	if (r != 0) {
		rt_waiter_close(t->waiter);
		t->waiter = NULL;
	}
	return r < 0 ? r : 0;
}

static int next_deadline(const struct stopping *v, size_t n)
{
	int64_t least = -1, now = now_msec();

	for (size_t i = 0; i < n; i++)
		if (v[i].waiter && v[i].deadline_msec >= 0 &&
		    (least < 0 || v[i].deadline_msec < least))
			least = v[i].deadline_msec;
	if (least < 0)
		return -1;
	/* A day at a time is more than anybody asks for. */
	return least <= now ? 0 : least - now > 86400000 ? 86400000 : (int)(least - now);
}

static int wait_for_all(struct cli *cli, struct stopping *v, size_t n, int *result, struct err *e)
{
	_cleanup_free_ struct pollfd *p = calloc(n + 1, sizeof(*p));

	if (!p)
		return err_nomem(e);
	for (;;) {
		size_t left = 0;

		for (size_t i = 0; i < n; i++) {
			struct err one = ERR_INIT;

			if (v[i].waiter)
				several_note(cli, proceed(cli, &v[i], &one), &one, result, e);
			p[i] = (struct pollfd){.fd = v[i].waiter ? rt_waiter_fd(v[i].waiter) : -1,
					       .events = POLLIN};
			left += v[i].waiter != NULL;
		}
		if (left == 0)
			return *result;
		if (poll(p, n, next_deadline(v, n)) < 0 && errno != EINTR)
			return err_sys(e, errno, "wait");
	}
}

static int stop_all(struct cli *cli, const struct stop_opts *o, bool time_given, char **words,
		    struct err *e)
{
	size_t n = strv_len(words);
	struct stopping *v = calloc(n + 1, sizeof(*v));
	int result = 0, r;

	if (!v)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++) {
		struct err one = ERR_INIT;

		v[i] = (struct stopping){.word = words[i], .deadline_msec = -1};
		r = begin(cli, o, time_given, &v[i], &one);
		if (r < 0 && v[i].waiter) {
			rt_waiter_close(v[i].waiter);
			v[i].waiter = NULL;
		}
		if (r < 0 && o->ignore && one.kind == ERR_NOT_FOUND)
			continue;
		several_note(cli, r, &one, &result, e);
	}
	r = wait_for_all(cli, v, n, &result, e);
	for (size_t i = 0; i < n; i++) {
		rt_waiter_close(v[i].waiter);
		free(v[i].id);
	}
	free(v);
	return r;
}

static bool is_alive(enum rt_status status)
{
	return status == RT_RUNNING || status == RT_PAUSED || status == RT_CREATED;
}

int cmd_stop(struct cli *cli, int argc, char **argv, struct err *e)
{
	const int64_t not_given = INT64_MIN;
	struct stop_opts o = {.seconds = not_given};
	_cleanup_strv_ char **words = NULL;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	if (o.seconds > INT32_MAX)
		return err_invalid(e, "--time: at most %d", INT32_MAX);
	r = several_words(cli, argc, argv, first, o.all, is_alive, &words, e);
	return r < 0 ? r : stop_all(cli, &o, o.seconds != not_given, words, e);
}
