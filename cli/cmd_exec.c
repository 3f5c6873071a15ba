/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula exec: a further command in a running sandbox, of either kind.
 */
#include "people.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "attend.h"
#include "exec_process.h"

struct exec_opts {
	const char *workdir, *user;
	char **env;
	bool interactive, tty;
};

#define FIELD(member) offsetof(struct exec_opts, member)

static const struct opt exec_opts[] = {
	{"interactive", 'i', OPT_FLAG, NULL, "pass standard input", FIELD(interactive)},
	{"tty", 't', OPT_FLAG, NULL, "give it a terminal", FIELD(tty)},
	{"env", 'e', OPT_LIST, "NAME=VALUE", "set an environment variable", FIELD(env)},
	{"workdir", 'w', OPT_STRING, "DIR", "working directory", FIELD(workdir)},
	{"user", 'u', OPT_STRING, "USER[:GROUP]", "names (of the root file system) or ids",
	 FIELD(user)},
	{"detach", 'd', OPT_REFUSED, NULL, "there is no monitor", 0},
	{"privileged", 0, OPT_REFUSED, NULL, "an exec has what the sandbox has", 0},
};
const struct opt_table cmd_exec_options = OPT_TABLE(exec_opts);

/* Names are looked up where the sandbox's root file system was taken from. */
static int resolve_user(const struct sandbox *s, const char *spec, struct iso_user *ret,
			struct err *e)
{
	_cleanup_close_ int root = path_open_dir(s->config.isolation.rootfs.path, e);

	return root < 0 ? root : iso_user_resolve(root, spec, ret, NULL, e);
}

static int build_process(const struct sandbox *s, const struct exec_opts *o, char **args,
			 struct iso_process *ret, struct err *e)
{
	struct iso_user user = {0};
	_cleanup_json_ struct json *doc = NULL;
	struct exec_changes c = {
		.args = args,
		.env = o->env,
		.cwd = o->workdir,
		.user = o->user ? &user : NULL,
		.set_gids = true,
		.tty = o->tty,
	};
	int r = o->user ? resolve_user(s, o->user, &user, e) : 0;

	if (r >= 0)
		r = exec_process_json(s, &c, &doc, e);
	free(user.additional_gids);
	if (r < 0)
		return r;
	struct json_at top = json_top(doc);

	return oci_process_read(&top, ret, e);
}

static int run(struct sandbox *s, const struct exec_opts *o, char **args, struct err *e)
{
	_cleanup_(iso_process_done) struct iso_process process = {0};
	_cleanup_close_ int null = o->interactive ? -1 : path_open_null(e), console = -1;
	struct rt_exec_request request = {.process = &process, .io = {{null, -1, -1}, -1, 0}};
	pid_t pid;
	int r;

	if (!o->interactive && null < 0)
		return null;
	r = build_process(s, o, args, &process, e);
	if (r >= 0)
		r = rt_exec(s, &request, &pid, &console, e);
	return r < 0 ? r : attend_exec(s, pid, console, o->interactive, e);
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
		r = resolve_sandbox(&cli->ctx, argv[first], &id, e);
	if (r >= 0)
		r = rt_open(&cli->ctx, id, true, &s, e);
	if (r >= 0)
		r = run(s, &o, argv + first + 1, e);
	strv_free(o.env);
	return r;
}
