/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula logs: what a detached sandbox wrote, its standard output to ours, its standard error to ours.
 *
 * The text is the workload's, byte by byte, also to a terminal: as with docker and podman, who does not trust it pipes it through
 * `cat -v`. Lines that were written in parts are joined again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "output.h"
#include "people.h"
#include "runtime/logs.h"
#include "times.h"

struct logs_opts {
	const char *tail, *since, *until;
	bool follow, timestamps, names;
};

static const struct opt logs_opts[] = {
	{"follow", 'f', OPT_FLAG, NULL, "stay, and print what comes until the sandbox ends",
	 offsetof(struct logs_opts, follow)},
	{"tail", 'n', OPT_STRING, "N", "only the last N lines; all (default)",
	 offsetof(struct logs_opts, tail)},
	{"since", 0, OPT_STRING, "TIME",
	 "not older than 2026-01-31T12:00:00Z, seconds since 1970, or 10m before now",
	 offsetof(struct logs_opts, since)},
	{"until", 0, OPT_STRING, "TIME", "not younger than that; with -f it ends then",
	 offsetof(struct logs_opts, until)},
	{"timestamps", 't', OPT_FLAG, NULL, "print the time in front of each line",
	 offsetof(struct logs_opts, timestamps)},
	{"details", 0, OPT_REFUSED, NULL, "nothing more is kept; use insula inspect", 0},
};
const struct opt_table cmd_logs_options = OPT_TABLE(logs_opts);

struct printing {
	const struct logs_opts *o;
	int64_t since, until; /* nanoseconds since 1970; until INT64_MAX: none */
	bool mid_line[2];     /* stdout, stderr: a line was begun */
};

static int64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* With nanoseconds, which sort and can be given to --since. */
static void print_time(FILE *to, int64_t nsec)
{
	time_t sec = (time_t)(nsec / 1000000000);
	char text[32];
	struct tm tm;

	gmtime_r(&sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(to, "%s.%09dZ ", text, (int)(nsec % 1000000000));
}

static int print_record(struct printing *p, const struct rt_log_record *r, struct err *e)
{
	FILE *to = r->is_stderr ? stderr : stdout;

	if (r->unix_nsec < p->since || r->unix_nsec > p->until)
		return 0;
	if (p->o->timestamps && !p->mid_line[r->is_stderr])
		print_time(to, r->unix_nsec);
	fwrite(r->text, 1, r->len, to);
	if (!r->partial)
		putc('\n', to);
	p->mid_line[r->is_stderr] = r->partial;
	return ferror(to) ? err_sys(e, EPIPE, "write the log") : 0;
}

static int print_all(struct rt_log *l, struct printing *p, struct err *e)
{
	struct rt_log_record record;
	int r;

	while ((r = rt_log_next(l, &record, e)) > 0) {
		r = print_record(p, &record, e);
		if (r < 0)
			return r;
	}
	if (fflush(stdout) != 0)
		return err_sys(e, errno, "write the log");
	return r;
}

static int until_msec(const struct printing *p)
{
	int64_t left = (p->until - now_nsec()) / 1000000;

	if (p->until == INT64_MAX)
		return -1;
	return left < 0 ? 0 : left > 86400000 ? 86400000 : (int)left + 1;
}

static int follow(struct rt_log *l, struct printing *p, struct err *e)
{
	for (;;) {
		int r = print_all(l, p, e);

		if (r >= 0)
			r = rt_log_wait(l, until_msec(p), e);
		if (r == -ETIMEDOUT && now_nsec() < p->until)
			continue;
		if (r == -ETIMEDOUT)
			return print_all(l, p, e);
		if (r <= 0)
			return r;
	}
}

static int take_times(const struct logs_opts *o, struct printing *p, struct err *e)
{
	int r = 0;

	p->until = INT64_MAX;
	if (o->since)
		r = time_parse(o->since, now_nsec(), "--since", &p->since, e);
	if (r >= 0 && o->until)
		r = time_parse(o->until, now_nsec(), "--until", &p->until, e);
	return r;
}

static int take_tail(const struct logs_opts *o, uint64_t *ret, struct err *e)
{
	*ret = UINT64_MAX;
	if (!o->tail || STREQ(o->tail, "all") || STREQ(o->tail, "-1"))
		return 0;
	if (parse_u64(o->tail, ret) < 0)
		return err_invalid(e, "--tail: '%s' is not a number of lines, or all", o->tail);
	return 0;
}

int cmd_logs(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct logs_opts o = {0};
	struct printing p = {.o = &o};
	_cleanup_log_ struct rt_log *l = NULL;
	_cleanup_free_ char *id = NULL;
	uint64_t tail;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 1, e);
	if (r >= 0)
		r = take_times(&o, &p, e);
	if (r >= 0)
		r = take_tail(&o, &tail, e);
	if (r >= 0)
		r = resolve_sandbox(&cli->ctx, argv[first], &id, e);
	if (r >= 0)
		r = rt_log_open(&cli->ctx, id, o.follow, &l, e);
	if (r >= 0 && tail != UINT64_MAX)
		r = rt_log_tail(l, tail, e);
	if (r < 0)
		return r;
	return o.follow ? follow(l, &p, e) : print_all(l, &p, e);
}
