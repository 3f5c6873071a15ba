/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula attach: be with a detached sandbox until it ends, or until the detach keys.
 */
#include <stdio.h>

#include "base/cleanup.h"
#include "people.h"
#include "runtime/attach.h"

struct attach_opts {
	const char *keys;
	bool no_stdin, sig_proxy;
};

static const struct opt attach_opts[] = {
	{"detach-keys", 0, OPT_STRING, "KEYS",
	 "leave a terminal by these; default: ctrl-p,ctrl-q; an empty text: none",
	 offsetof(struct attach_opts, keys)},
	{"no-stdin", 0, OPT_FLAG, NULL, "only watch", offsetof(struct attach_opts, no_stdin)},
	{"sig-proxy", 0, OPT_FLAG, NULL,
	 "without a terminal: forward signals to it (default: true)",
	 offsetof(struct attach_opts, sig_proxy)},
};
const struct opt_table cmd_attach_options = OPT_TABLE(attach_opts);

int attach_result(const char *id, bool detached, int code, struct err *e)
{
	if (detached) {
		fprintf(stderr, "\ninsula: left '%s', which goes on; insula attach %s comes back\n",
			id, id);
		return 0;
	}
	if (code < 0)
		return err_set(e, ERR_STATE, ECHILD, "'%s' has ended, and nobody could note how",
			       id);
	return code;
}

int cmd_attach(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct attach_opts o = {.keys = "ctrl-p,ctrl-q", .sig_proxy = true};
	struct rt_attach a = {0};
	_cleanup_free_ char *id = NULL;
	char keys[RT_DETACH_KEYS_MAX];
	bool detached = false;
	int code = -1, first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 1, e);
	if (r >= 0)
		r = rt_detach_keys_parse(o.keys, keys, &a.n_detach_keys, e);
	if (r >= 0)
		r = resolve_sandbox(&cli->ctx, argv[first], &id, e);
	if (r < 0)
		return r;
	a.detach_keys = keys;
	a.no_stdin = o.no_stdin;
	a.sig_proxy = o.sig_proxy;
	r = rt_attach_run(&cli->ctx, id, &a, &code, &detached, e);
	if (r < 0)
		return r;
	return attach_result(id, detached, code, e);
}
