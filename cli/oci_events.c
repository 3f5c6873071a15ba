/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci events and ps: what a sandbox uses, what happens to it, and its processes; in the forms that runc made
 * customary.
 */
#include "oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"

/* ---- events ------------------------------------------------------------------------------- */

struct events_opts {
	const char *interval;
	bool stats;
};

static const struct opt events_opts[] = {
	{"interval", 0, OPT_STRING, "TIME", "between two statistics; default: 5s",
	 offsetof(struct events_opts, interval)},
	{"stats", 0, OPT_FLAG, NULL, "print the statistics once",
	 offsetof(struct events_opts, stats)},
};
const struct opt_table oci_events_options = OPT_TABLE(events_opts);

/* One line. A reader that is gone ends us. */
static int print_event(void *arg, const char *type, const struct json *data)
{
	_cleanup_json_ struct json *o = json_new_object();
	_cleanup_free_ char *text = NULL;

	if (!o || json_set(o, "type", json_new_string(type)) < 0 ||
	    json_set(o, "id", json_new_string(arg)) < 0 ||
	    (data && json_set(o, "data", json_copy(data)) < 0) ||
	    json_to_text(o, false, &text, NULL) < 0)
		return -ENOMEM;
	printf("%s\n", text);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

static int print_once(struct sandbox *s, struct err *e)
{
	_cleanup_json_ struct json *data = NULL;
	int r = rt_stats_json(s, &data, e);

	if (r < 0)
		return r;
	return print_event(s->dir.id, "stats", data) < 0 ? err_nomem(e) : 0;
}

int oci_events(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct events_opts o = {0};
	_cleanup_sandbox_ struct sandbox *s = NULL;
	uint64_t usec = 5000000;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 1, e);
	if (r < 0)
		return r;
	if (o.interval && (parse_duration(o.interval, &usec) < 0 || usec < 1000000 ||
			   usec > UINT64_C(86400) * 1000000))
		return err_invalid(e, "--interval: '%s' is not a time between 1s and 24h",
				   o.interval);
	r = rt_open(&cli->ctx, argv[first], false, &s, e);
	if (r < 0)
		return r;
	if (o.stats)
		return print_once(s, e);
	r = rt_events(s, (unsigned)(usec / 1000000), print_event, s->dir.id, e);
	return r < 0 ? r : 0;
}

/* ---- ps ----------------------------------------------------------------------------------- */

struct ps_opts {
	const char *format;
};

static const struct opt ps_opts[] = {
	{"format", 'f', OPT_STRING, "FORMAT", "table (default), by ps(1), or json: only the pids",
	 offsetof(struct ps_opts, format)},
};
const struct opt_table oci_ps_options = OPT_TABLE(ps_opts);

static bool is_in(const pid_t *pids, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* The number in the column that the heading has "PID" over, counted in words. */
static int pid_column(const char *heading)
{
	_cleanup_free_ char *copy = strdup(heading);
	char *save = NULL;
	int column = 0;

	for (char *w = copy ? strtok_r(copy, " \t", &save) : NULL; w;
	     w = strtok_r(NULL, " \t", &save), column++)
		if (STREQ(w, "PID"))
			return column;
	return -1;
}

static long word_as_number(const char *line, int column)
{
	for (; column > 0; column--) {
		line += strspn(line, " \t");
		line += strcspn(line, " \t");
	}
	return strtol(line, NULL, 10);
}

static int print_table(char *text, const pid_t *pids, size_t n, struct err *e)
{
	char *save = NULL;
	char *line = strtok_r(text, "\n", &save);
	int column = line ? pid_column(line) : -1;

	if (column < 0) {
		err_invalid(e, "ps: its output has no PID column");
		return err_hint(e, "choose options of ps(1) that print one, such as -o pid,args");
	}
	printf("%s\n", line);
	while ((line = strtok_r(NULL, "\n", &save)))
		if (is_in(pids, n, word_as_number(line, column)))
			printf("%s\n", line);
	return 0;
}

#define PS_OUTPUT_MAX (16u << 20)

static int output_of_ps(char *const *args, char **ret, struct err *e)
{
	_cleanup_close_ int in = -1, out = -1;
	int fds[2], status, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	in = fds[0];
	out = fds[1];
	const struct proc_fd_map map[] = {{out, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
	const struct proc_spawn spawn = {
		.path = "/bin/ps", .argv = args, .fds = map, .n_fds = 2, .cgroup_fd = -1};

	r = proc_spawn(&spawn, &pid, NULL, e);
	if (r < 0)
		return err_hint(e, "install procps, or use --format json");
	out = fd_close(out);
	r = fd_read_all(in, PS_OUTPUT_MAX, ret, NULL, "the output of ps", e);
	in = fd_close(in);
	if (proc_reap(pid, &status, r < 0 ? NULL : e) < 0 || r < 0)
		return r < 0 ? r : -ECHILD;
	if (proc_exit_code(status) != 0)
		return err_set(e, ERR_SYSTEM, EINVAL, "ps ended with exit code %d",
			       proc_exit_code(status));
	return 0;
}

static int print_by_ps(char *const *options, const pid_t *pids, size_t n, struct err *e)
{
	_cleanup_strv_ char **args = NULL;
	_cleanup_free_ char *text = NULL;
	int r = strv_push(&args, "ps");

	for (; r >= 0 && *options; options++)
		r = strv_push(&args, *options);
	if (r >= 0 && strv_len(args) == 1)
		r = strv_push(&args, "-ef");
	if (r < 0)
		return err_nomem(e);
	r = output_of_ps(args, &text, e);
	return r < 0 ? r : print_table(text, pids, n, e);
}

int oci_ps(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct ps_opts o = {0};
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n;
	int first, r = command_parse(cli, argc, argv, true, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, -1, e);
	if (r < 0)
		return r;
	if (o.format && !STREQ(o.format, "json") && !STREQ(o.format, "table"))
		return err_invalid(e, "--format: '%s' is not table or json", o.format);
	r = rt_open(&cli->ctx, argv[first], false, &s, e);
	if (r == 0)
		r = rt_pids(s, &pids, &n, e);
	if (r < 0)
		return r;
	if (!o.format || STREQ(o.format, "table"))
		return print_by_ps(argv + first + 1, pids, n, e);
	printf("[");
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i ? "," : "", (int)pids[i]);
	printf("]\n");
	return 0;
}
