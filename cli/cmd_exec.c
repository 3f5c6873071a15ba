/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula exec: a further command in a running sandbox, of either kind.
 */
#include "people.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attend.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "env_file.h"
#include "exec_process.h"

struct exec_opts {
	const char *workdir, *user;
	char **env, **env_files;
	bool interactive, tty, detach, privileged;
};

#define FIELD(member) offsetof(struct exec_opts, member)

static const struct opt exec_opts[] = {
	{"interactive", 'i', OPT_FLAG, NULL, "pass standard input", FIELD(interactive)},
	{"tty", 't', OPT_FLAG, NULL, "give it a terminal", FIELD(tty)},
	{"detach", 'd', OPT_FLAG, NULL, "do not stay; its output goes nowhere", FIELD(detach)},
	{"env", 'e', OPT_LIST, "NAME[=VALUE]",
	 "set an environment variable; without a value: the caller's", FIELD(env)},
	{"env-file", 0, OPT_LIST, "FILE", "read variables from a file, a NAME=VALUE per line",
	 FIELD(env_files)},
	{"workdir", 'w', OPT_STRING, "DIR", "working directory", FIELD(workdir)},
	{"user", 'u', OPT_STRING, "USER[:GROUP]", "names (of the root file system) or ids",
	 FIELD(user)},
	{"privileged", 0, OPT_FLAG, NULL, "all capabilities", FIELD(privileged)},
	{"detach-keys", 0, OPT_REFUSED_VALUE, "KEYS",
	 "a command that was begun here is not left; use -d", 0},
};
const struct opt_table cmd_exec_options = OPT_TABLE(exec_opts);

/* What is derived from the flags, and freed. */
struct exec_parts {
	struct iso_user user;
	char **env, **caps;
};

static void parts_done(struct exec_parts *p)
{
	free(p->user.additional_gids);
	strv_free(p->env);
	strv_free(p->caps);
}

static int take_all_caps(char ***v, struct err *e)
{
	for (int cap = 0; cap <= iso_cap_last(); cap++)
		if (iso_cap_name(cap) && strv_push(v, iso_cap_name(cap)) < 0)
			return err_nomem(e);
	return 0;
}

/* Another user is at home elsewhere, unless a flag says where. */
static int take_user(struct sandbox *s, const char *spec, struct exec_parts *p, struct err *e)
{
	_cleanup_free_ char *home = NULL, *assignment = NULL;
	int r = rt_resolve_user(s, spec, &p->user, &home, e);

	if (r < 0 || strv_env_get(p->env, "HOME"))
		return r;
	if (str_printf(&assignment, "HOME=%s", home) < 0 || strv_push(&p->env, assignment) < 0)
		return err_nomem(e);
	return 0;
}

/* A name without a value is the caller's to give: if he has none, it stays as the sandbox has it. */
static void drop_unset(char **env)
{
	char **to = env;

	for (char **v = env; v && *v; v++) {
		if (strchr(*v, '='))
			*to++ = *v;
		else
			free(*v);
	}
	if (env)
		*to = NULL;
}

static int take_parts(struct sandbox *s, const struct exec_opts *o, struct exec_parts *p,
		      struct err *e)
{
	int r = env_take_all(false, o->env_files, o->env, &p->env, e);

	drop_unset(p->env);
	if (r >= 0 && o->user)
		r = take_user(s, o->user, p, e);
	if (r >= 0 && o->privileged)
		r = take_all_caps(&p->caps, e);
	return r;
}

static int build_process(struct sandbox *s, const struct exec_opts *o, char **args,
			 struct iso_process *ret, struct err *e)
{
	_cleanup_(parts_done) struct exec_parts parts = {0};
	_cleanup_json_ struct json *doc = NULL;
	struct exec_changes c = {
		.args = args,
		.cwd = o->workdir,
		.user = o->user ? &parts.user : NULL,
		.set_gids = true,
		.tty = o->tty,
	};
	int r = take_parts(s, o, &parts, e);

	c.env = parts.env;
	c.caps = parts.caps;
	if (r >= 0)
		r = exec_process_json(s, &c, &doc, e);
	if (r < 0)
		return r;
	struct json_at top = json_top(doc);

	return oci_process_read(&top, ret, e);
}

static int run(struct sandbox *s, const struct exec_opts *o, char **args, struct err *e)
{
	_cleanup_(iso_process_done) struct iso_process process = {0};
	_cleanup_close_ int null = o->interactive ? -1 : path_open_null(e), console = -1;
	int out = o->detach ? null : -1;
	struct rt_exec_request request = {.process = &process, .io = {{null, out, out}, -1, 0}};
	pid_t pid;
	int r;

	if (!o->interactive && null < 0)
		return null;
	r = build_process(s, o, args, &process, e);
	if (r >= 0)
		r = rt_exec(s, &request, &pid, &console, e);
	if (r < 0 || o->detach)
		return r;
	return attend_exec(s, pid, console, o->interactive, e);
}

static int check(const struct exec_opts *o, struct err *e)
{
	if (o->workdir && *o->workdir != '/')
		return err_invalid(e, "--workdir '%s' is not an absolute path", o->workdir);
	if (o->detach && (o->interactive || o->tty)) {
		err_unsupported(e, "-d with -%c: nobody would be there", o->tty ? 't' : 'i');
		return err_hint(e, "leave it away, or run it in the foreground");
	}
	if (o->tty && o->interactive && !isatty(0)) {
		err_invalid(e, "-t with -i: standard input is not a terminal");
		return err_hint(e, "leave -t away to pass a file or a pipe");
	}
	return 0;
}

int cmd_exec(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct exec_opts o = {0};
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_free_ char *id = NULL;
	int first, r = command_parse(cli, argc, argv, true, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 2, -1, e);
	if (r >= 0)
		r = check(&o, e);
	if (r >= 0)
		r = resolve_sandbox(&cli->ctx, argv[first], &id, e);
	if (r >= 0)
		r = rt_open(&cli->ctx, id, true, &s, e);
	if (r >= 0)
		r = run(s, &o, argv + first + 1, e);
	strv_free(o.env);
	strv_free(o.env_files);
	return r;
}
