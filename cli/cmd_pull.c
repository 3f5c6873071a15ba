/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula pull: an image from its registry into the store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "images/image.h"
#include "people.h"
#include "progress.h"
#include "pull_opts.h"

#define TIMEOUT_MAX_SEC 3600

struct pull_cmd {
	struct pull_opts how;
	bool quiet;
};

static const struct opt pull_opts[] = {
	{"platform", 0, OPT_STRING, "OS/ARCH[/VARIANT]",
	 "of an image for several; only what this host can run",
	 offsetof(struct pull_cmd, how.platform)},
	{"tls-verify", 0, OPT_FLAG, NULL,
	 "check the registry's certificate (the default); =false takes any, and plain http",
	 offsetof(struct pull_cmd, how.tls_verify)},
	{"timeout", 0, OPT_STRING, "TIME", "give up when nothing comes for so long; default 30s",
	 offsetof(struct pull_cmd, how.timeout)},
	{"authfile", 0, OPT_STRING, "FILE", "credentials are in this file and nowhere else",
	 offsetof(struct pull_cmd, how.authfile)},
	{"quiet", 'q', OPT_FLAG, NULL, "no progress", offsetof(struct pull_cmd, quiet)},
	{"all-tags", 'a', OPT_REFUSED, NULL, "name the tags", 0},
	{"creds", 0, OPT_REFUSED_VALUE, "USER:PASSWORD",
	 "everybody can see the words of a command: use insula login", 0},
	{"disable-content-trust", 0, OPT_HARMLESS, NULL, "digests are always checked", 0},
};
const struct opt_table cmd_pull_options = OPT_TABLE(pull_opts);

int pull_opts_take(const struct pull_opts *o, struct img_pull_params *ret, struct err *e)
{
	uint64_t usec = 0;

	if (o->timeout && (parse_duration(o->timeout, &usec) < 0 || usec < 1000000 ||
			   usec > UINT64_C(1000000) * TIMEOUT_MAX_SEC))
		return err_invalid(e, "--timeout '%s': from 1s to 1h", o->timeout);
	*ret = (struct img_pull_params){
		.platform = o->platform,
		.authfile = o->authfile,
		.any_tls = !o->tls_verify,
		.stall_sec = (uint32_t)(usec / 1000000),
		.env = environ,
	};
	return 0;
}

static int pull(struct cli *cli, const struct pull_cmd *o, const char *word, struct err *e)
{
	_cleanup_free_ char *id = NULL;
	struct img_reference reference = {0};
	struct img_pull_params how;
	struct img_store *store;
	struct progress progress;
	int r = pull_opts_take(&o->how, &how, e);

	if (r == 0)
		r = img_reference_parse(
			str_has_prefix(word, "docker://") ? word + strlen("docker://") : word,
			&reference, e);
	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0) {
		progress_init(&progress, o->quiet);
		r = img_pull(store, &reference, &how, &progress.calls, &id, e);
		progress_done(&progress);
	}
	img_reference_done(&reference);
	if (r == 0)
		printf("%s\n", id);
	return r;
}

int cmd_pull(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct pull_cmd o = {.how.tls_verify = true};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 1, e);
	return r < 0 ? r : pull(cli, &o, argv[first], e);
}
