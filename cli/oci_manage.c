/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-oci: the commands for a sandbox that exists, and for looking at what there is.
 */
#include "oci.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "output.h"
#include "runtime/features.h"
#include "runtime/seccomp_default.h"
#include "runtime/support.h"

/* Commands that take an id and nothing else. */
static int open_only_word(struct cli *cli, int argc, char **argv, bool with_config,
			  struct sandbox **ret, struct err *e)
{
	char none;
	int first, r = command_parse(cli, argc, argv, false, &none, &first, e);

	if (r < 0)
		return r;
	r = command_words(cli, argc, first, 1, 1, e);
	if (r < 0)
		return r;
	return rt_open(&cli->ctx, argv[first], with_config, ret, e);
}

int oci_start(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_(rt_notify_closep) struct rt_notify_proxy *notify = NULL;
	int r = open_only_word(cli, argc, argv, true, &s, e);

	if (r >= 0)
		r = rt_notify_open(s, rt_notify_address(), &notify, e);
	if (r >= 0)
		r = rt_start(s, e);
	return r < 0 ? r : rt_notify_wait(notify, s, e);
}

int oci_state(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_free_ char *text = NULL;
	int r = open_only_word(cli, argc, argv, false, &s, e);

	if (r < 0)
		return r;
	r = rt_state_json(s, &text, e);
	if (r < 0)
		return r;
	printf("%s\n", text);
	return 0;
}

int oci_pause(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = open_only_word(cli, argc, argv, false, &s, e);

	return r < 0 ? r : rt_pause(s, e);
}

int oci_resume(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int r = open_only_word(cli, argc, argv, false, &s, e);

	return r < 0 ? r : rt_resume(s, e);
}

/* ---- kill --------------------------------------------------------------------------------- */

struct kill_opts {
	bool all;
};

static const struct opt kill_opts[] = {
	{"all", 'a', OPT_FLAG, NULL, "signal every process of the sandbox",
	 offsetof(struct kill_opts, all)},
};
const struct opt_table oci_kill_options = OPT_TABLE(kill_opts);

int oci_kill(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct kill_opts o = {0};
	_cleanup_sandbox_ struct sandbox *s = NULL;
	int sig = SIGTERM, first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	r = command_words(cli, argc, first, 1, 2, e);
	if (r < 0)
		return r;
	if (argc - first == 2 && signal_parse(argv[first + 1], &sig) < 0)
		return err_invalid(e, "'%s' is not a signal", argv[first + 1]);
	r = rt_open(&cli->ctx, argv[first], false, &s, e);
	return r < 0 ? r : rt_kill(s, sig, o.all, e);
}

/* ---- delete ------------------------------------------------------------------------------- */

struct delete_opts {
	bool force;
};

static const struct opt delete_opts[] = {
	{"force", 'f', OPT_FLAG, NULL, "kill it first; a missing one is no error",
	 offsetof(struct delete_opts, force)},
};
const struct opt_table oci_delete_options = OPT_TABLE(delete_opts);

int oci_delete(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct delete_opts o = {0};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	r = command_words(cli, argc, first, 1, 1, e);
	return r < 0 ? r : rt_delete(&cli->ctx, argv[first], o.force, e);
}

/* ---- list --------------------------------------------------------------------------------- */

struct list_opts {
	const char *format;
	bool quiet;
};

static const struct opt list_opts[] = {
	{"format", 'f', OPT_STRING, "FORMAT", "table (default) or json",
	 offsetof(struct list_opts, format)},
	{"quiet", 'q', OPT_FLAG, NULL, "only the ids", offsetof(struct list_opts, quiet)},
};
const struct opt_table oci_list_options = OPT_TABLE(list_opts);

static int list_json(struct cli *cli, char **ids)
{
	bool first = true;

	printf("[");
	for (; ids && *ids; ids++) {
		_cleanup_sandbox_ struct sandbox *s = NULL;
		_cleanup_free_ char *text = NULL;

		/* Deleted since we listed it: not there any more. */
		if (rt_open(&cli->ctx, *ids, false, &s, NULL) < 0 ||
		    rt_state_json(s, &text, NULL) < 0)
			continue;
		printf("%s%s", first ? "" : ",\n", text);
		first = false;
	}
	printf("]\n");
	return 0;
}

static int list_table(struct cli *cli, char **ids, struct err *e)
{
	static const char *const head[] = {"ID",     "PID",     "STATUS", "KIND",
					   "BUNDLE", "CREATED", "OWNER"};
	struct out_table t;

	out_table_init(&t, head, ARRAY_SIZE(head));
	for (; ids && *ids; ids++) {
		_cleanup_sandbox_ struct sandbox *s = NULL;
		char pid[16], created[OUT_TIME_MAX];

		if (rt_open(&cli->ctx, *ids, false, &s, NULL) < 0)
			continue;
		enum rt_status status = rt_status(s);

		snprintf(pid, sizeof(pid), "%d", status == RT_STOPPED ? 0 : s->state.host.pid);
		out_time(s->state.created_unix_nsec, created);
		out_table_row(&t, s->state.id, pid, rt_status_name(status), s->state.driver,
			      s->state.bundle, created, s->state.owner);
	}
	return out_table_print(&t, e);
}

int oci_list(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct list_opts o = {0};
	_cleanup_strv_ char **ids = NULL;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	r = command_words(cli, argc, first, 0, 0, e);
	if (r < 0)
		return r;
	if (o.format && !STREQ(o.format, "json") && !STREQ(o.format, "table"))
		return err_invalid(e, "--format: '%s' is not table or json", o.format);
	r = state_list(cli->ctx.root, &ids, e);
	if (r < 0)
		return r;
	if (o.quiet) {
		for (char **id = ids; id && *id; id++)
			printf("%s\n", *id);
		return 0;
	}
	return o.format && STREQ(o.format, "json") ? list_json(cli, ids) : list_table(cli, ids, e);
}

/* ---- spec and features -------------------------------------------------------------------- */

struct spec_opts {
	const char *bundle;
	bool rootless, print;
};

static const struct opt spec_opts[] = {
	{"bundle", 'b', OPT_STRING, "DIR", "where config.json is written; default: here",
	 offsetof(struct spec_opts, bundle)},
	{"print", 0, OPT_FLAG, NULL, "write to standard output", offsetof(struct spec_opts, print)},
	{"rootless", 0, OPT_FLAG, NULL,
	 "for an ordinary user: a user namespace with the caller as root",
	 offsetof(struct spec_opts, rootless)},
};
const struct opt_table oci_spec_options = OPT_TABLE(spec_opts);

int oci_spec(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct spec_opts o = {0};
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dir = -1;
	size_t len;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r < 0)
		return r;
	r = command_words(cli, argc, first, 0, 0, e);
	if (r < 0)
		return r;
	doc = o.rootless ? oci_spec_rootless(geteuid(), getegid()) : oci_spec_default();
	if (!doc || json_to_text(doc, true, &text, &len) < 0)
		return err_nomem(e);
	if (o.print) {
		printf("%s\n", text);
		return 0;
	}
	dir = path_open_dir(o.bundle ? o.bundle : ".", e);
	if (dir < 0)
		return dir;
	r = path_create_file_at(dir, "config.json", text, len, 0666, e);
	if (r == -EEXIST)
		err_hint(e, "remove it, or print to standard output with --print");
	return r;
}

struct features_opts {
	bool markdown, seccomp;
};

static const struct opt features_opts[] = {
	{"markdown", 0, OPT_FLAG, NULL, "print docs/oci-support.md: each field and verb, per kind",
	 offsetof(struct features_opts, markdown)},
	{"seccomp-markdown", 0, OPT_FLAG, NULL,
	 "print docs/seccomp.md: the default filter, call by call",
	 offsetof(struct features_opts, seccomp)},
};
const struct opt_table oci_features_options = OPT_TABLE(features_opts);

int oci_features(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct features_opts o = {0};
	_cleanup_free_ char *text = NULL;
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 0, e);
	if (r >= 0)
		r = o.markdown  ? support_write_markdown(&text, e)
		    : o.seccomp ? rt_seccomp_markdown(&text, e)
				: rt_features_json(&text, e);
	if (r < 0)
		return r;
	printf("%s\n", text);
	return 0;
}
