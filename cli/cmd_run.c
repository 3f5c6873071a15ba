/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula run: from a person's flags to a sandbox, its terminal, and its exit code.
 */
#include <stdio.h>

#include "attend.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "people.h"
#include "run_detached.h"
#include "run_options.h"

static int explain(struct cli *cli, struct rt_create_request *c, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	int r = rt_explain(&cli->ctx, c, &text, e);

	if (r >= 0)
		printf("%s\n", text);
	return r;
}

static int run(struct cli *cli, const struct run_opts *o, const struct rt_run_request *request,
	       struct err *e)
{
	char id[13];
	_cleanup_sandbox_ struct sandbox *s = NULL;
	_cleanup_close_ int null = o->interactive ? -1 : path_open_null(e);
	struct rt_create_request c = {
		.id = request->name ? request->name : (rt_new_id(id), id),
		.driver = request->driver,
		.io = {{null, -1, -1}, -1, 0},
		.name = request->name,
		.labels = o->labels,
		.ephemeral = o->remove,
		.stop_timeout_sec = -1,
	};
	int r;

	if (!o->interactive && null < 0)
		return null;
	r = rt_run_document(&cli->ctx, request, c.id, &c.document, e);
	if (r < 0)
		return r;
	if (o->explain)
		return explain(cli, &c, e);
	if (o->detach)
		return run_detached(cli, o, &c, false, e);
	attend_hold();
	r = rt_create(&cli->ctx, &c, &s, e);
	if (r < 0)
		return attend_interrupted(r, e);
	r = attend_start(s, o->interactive, e);
	/* One whose command never ran is of no use to anybody, named or not. */
	if (o->remove || r < 0) {
		struct err ignored = ERR_INIT;
		int d = rt_delete(&cli->ctx, c.id, true, r < 0 ? &ignored : e);

		if (r >= 0 && d < 0)
			return d;
	}
	return attend_interrupted(r, e);
}

int cmd_run(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct run_opts o;
	struct run_parts parts = {0};
	struct rt_run_request request;
	int first, r;

	run_opts_init(&o);
	r = command_parse(cli, argc, argv, true, &o, &first, e);
	if (r >= 0)
		r = run_opts_check(&o, argc, argv, first, e);
	if (r >= 0)
		r = run_parts_take(&o, &parts, e);
	if (r >= 0) {
		run_request_fill(&o, &parts, argv + first, &request);
		r = run(cli, &o, &request, e);
	}
	run_parts_done(&parts);
	run_opts_done(&o);
	return r;
}
