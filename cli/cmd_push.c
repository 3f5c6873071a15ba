/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula push: an image of the store to a registry.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "images/image.h"
#include "people.h"
#include "progress.h"
#include "pull_opts.h"

struct push_cmd {
	struct pull_opts how;
	bool quiet;
};

static const struct opt push_opts[] = {
	{"tls-verify", 0, OPT_FLAG, NULL,
	 "check the registry's certificate (the default); =false takes any, and plain http",
	 offsetof(struct push_cmd, how.tls_verify)},
	{"timeout", 0, OPT_STRING, "TIME", "give up when nothing moves for so long; default 30s",
	 offsetof(struct push_cmd, how.timeout)},
	{"authfile", 0, OPT_STRING, "FILE", "credentials are in this file and nowhere else",
	 offsetof(struct push_cmd, how.authfile)},
	{"quiet", 'q', OPT_FLAG, NULL, "no progress", offsetof(struct push_cmd, quiet)},
	{"all-tags", 'a', OPT_REFUSED, NULL, "name the tags", 0},
	{"creds", 0, OPT_REFUSED_VALUE, "USER:PASSWORD",
	 "everybody can see the words of a command: use insula login", 0},
	{"digestfile", 0, OPT_REFUSED_VALUE, "FILE", "the digest is printed: use > FILE", 0},
	{"format", 'f', OPT_REFUSED_VALUE, "FORMAT", "the manifest is the one the image came with",
	 0},
	{"compression-format", 0, OPT_REFUSED_VALUE, "FORMAT", "layers are pushed as they came", 0},
	{"sign-by", 0, OPT_REFUSED_VALUE, "KEY", "sign what was pushed, by its digest", 0},
	{"disable-content-trust", 0, OPT_HARMLESS, NULL, "nothing is signed", 0},
};
const struct opt_table cmd_push_options = OPT_TABLE(push_opts);

static int take_name(const char *word, struct img_reference *ret, struct err *e)
{
	return img_reference_parse(
		str_has_prefix(word, "docker://") ? word + strlen("docker://") : word, ret, e);
}

static int push(struct cli *cli, const struct push_cmd *o, const char *image, const char *to,
		struct err *e)
{
	struct img_reference from = {0}, where = {0};
	_cleanup_free_ char *digest = NULL;
	struct img_pull_params how;
	struct img_store *store;
	struct progress progress;
	int r = pull_opts_take(&o->how, &how, e);

	if (r == 0)
		r = img_reference_parse(image, &from, e);
	if (r == 0)
		r = take_name(to, &where, e);
	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0) {
		progress_init(&progress, o->quiet);
		r = img_push(store, &from, &where, &how, &progress.calls, &digest, e);
		progress_done(&progress);
	}
	img_reference_done(&from);
	img_reference_done(&where);
	if (r == 0)
		printf("%s\n", digest);
	return r;
}

int cmd_push(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct push_cmd o = {.how.tls_verify = true};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 2, e);
	return r < 0 ? r : push(cli, &o, argv[first], argv[argc - 1], e);
}
