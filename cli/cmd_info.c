/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula info and version: what this host offers to both kinds.
 */
#include "people.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "help.h"
#include "runtime/info.h"

int cmd_info(struct cli *cli, int argc, char **argv, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char none;
	int first, r = command_parse(cli, argc, argv, false, &none, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 0, e);
	if (r >= 0)
		r = rt_info_text(&cli->ctx, &text, e);
	if (r >= 0)
		fputs(text, stdout);
	return r;
}

int cmd_version(struct cli *cli, int argc, char **argv, struct err *e)
{
	char none;
	int first, r = command_parse(cli, argc, argv, false, &none, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 0, e);
	if (r >= 0)
		help_print_version(cli->program);
	return r;
}
