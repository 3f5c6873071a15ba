/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula run -d and insula create: what a monitor is told, and the id that is printed.
 */
#include "run_detached.h"

#include <stdio.h>
#include <string.h>

#include "attend.h"
#include "base/cleanup.h"
#include "base/str.h"

static int take_log_option(const char *option, struct rt_log_options *log, struct err *e)
{
	uint32_t files;

	if (str_has_prefix(option, "max-size=")) {
		if (parse_size(strchr(option, '=') + 1, &log->max_bytes) < 0 || !log->max_bytes)
			return err_invalid(e, "--log-opt %s: not a size such as 10m", option);
		return 0;
	}
	if (str_has_prefix(option, "max-file=")) {
		if (parse_u32(strchr(option, '=') + 1, &files) < 0 || files == 0)
			return err_invalid(e, "--log-opt %s: not a number of files", option);
		log->max_files = files;
		return 0;
	}
	err_unsupported(e, "--log-opt %s", option);
	return err_hint(e, "max-size=SIZE and max-file=N are there");
}

static int take_log(const struct run_opts *o, struct rt_log_options *log, struct err *e)
{
	int r = 0;

	log->driver = o->log_driver;
	for (char *const *option = o->log_opts; option && *option && r >= 0; option++)
		r = take_log_option(*option, log, e);
	return r < 0 ? r : rt_log_options_check(log, e);
}

int run_detached(struct cli *cli, const struct run_opts *o, struct rt_create_request *c,
		 bool only_create, struct err *e)
{
	int r = take_log(o, &c->log, e);

	if (r < 0) {
		json_free(TAKE_PTR(c->document));
		return r;
	}
	attend_hold();
	r = (only_create ? rt_create_detached : rt_run_detached)(&cli->ctx, c, o->interactive, e);
	if (r < 0)
		return attend_interrupted(r, e);
	printf("%s\n", c->id);
	return 0;
}
