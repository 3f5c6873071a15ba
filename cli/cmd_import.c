/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula import and load: images from files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "images/image.h"
#include "people.h"
#include "progress.h"

/* ---- --change ------------------------------------------------------------------------------------ */

/* A JSON list of words, or a line for the shell, as in a Dockerfile. */
static int set_command(char ***target, const char *value, struct err *e)
{
	_cleanup_json_ struct json *list = NULL;
	_cleanup_strv_ char **words = NULL;

	if (*value == '[') {
		struct json_at top;
		int r = json_parse(value, strlen(value), "list of words", &list, e);

		if (r < 0)
			return r;
		top = json_top(list);
		r = json_get_strv(&top, &words, e);
		if (r < 0)
			return r;
	} else if (strv_push(&words, "/bin/sh") < 0 || strv_push(&words, "-c") < 0 ||
		   strv_push(&words, value) < 0) {
		return err_nomem(e);
	}
	strv_free(*target);
	*target = TAKE_PTR(words);
	return 0;
}

static int set_string(char **target, const char *value, struct err *e)
{
	free(*target);
	*target = strdup(value);
	return *target ? 0 : err_nomem(e);
}

/* "NAME=VALUE", or the older "NAME VALUE". */
static int add_pair(char ***target, const char *value, struct err *e)
{
	_cleanup_free_ char *pair = strdup(value);
	char *separator = pair ? pair + strcspn(pair, "= ") : NULL;

	if (!pair)
		return err_nomem(e);
	if (!*separator || separator == pair)
		return err_invalid(e, "'%s' is not NAME=VALUE", value);
	*separator = '=';
	return strv_env_set(target, pair) < 0 ? err_nomem(e) : 0;
}

static int add_words(char ***target, const char *value, struct err *e)
{
	_cleanup_strv_ char **words = NULL;

	if (*value == '[')
		return set_command(target, value, e);
	if (strv_split(value, ' ', &words) < 0)
		return err_nomem(e);
	for (char **w = words; w && *w; w++)
		if (**w && strv_push(target, *w) < 0)
			return err_nomem(e);
	return 0;
}

static int set_signal(char **target, const char *value, struct err *e)
{
	int number;

	if (signal_parse(value, &number) < 0)
		return err_invalid(e, "'%s' is not a signal", value);
	return set_string(target, value, e);
}

static int set_absolute(char **target, const char *value, struct err *e)
{
	return *value == '/' ? set_string(target, value, e)
			     : err_invalid(e, "'%s' is not an absolute path", value);
}

static int apply(struct img_config *c, const char *word, const char *value, struct err *e)
{
	const struct {
		const char *word;
		int (*list)(char ***target, const char *value, struct err *e);
		char ***words;
		int (*set)(char **target, const char *value, struct err *e);
		char **text;
	} changes[] = {
		{"CMD", set_command, &c->cmd, NULL, NULL},
		{"ENTRYPOINT", set_command, &c->entrypoint, NULL, NULL},
		{"ENV", add_pair, &c->env, NULL, NULL},
		{"LABEL", add_pair, &c->labels, NULL, NULL},
		{"EXPOSE", add_words, &c->exposed_ports, NULL, NULL},
		{"VOLUME", add_words, &c->volumes, NULL, NULL},
		{"USER", NULL, NULL, set_string, &c->user},
		{"WORKDIR", NULL, NULL, set_absolute, &c->workdir},
		{"STOPSIGNAL", NULL, NULL, set_signal, &c->stop_signal},
	};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (strcasecmp(changes[i].word, word) == 0)
			return changes[i].list ? changes[i].list(changes[i].words, value, e)
					       : changes[i].set(changes[i].text, value, e);
	err_invalid(e, "'%s' cannot be changed", word);
	return err_hint(e,
			"CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR");
}

/* "CMD=…" (podman) or "CMD …" (docker). */
static int take_changes(char *const *changes, struct img_config *c, struct err *e)
{
	for (; changes && *changes; changes++) {
		_cleanup_free_ char *word = strdup(*changes);
		char *value = word ? word + strcspn(word, "= ") : NULL;
		int r;

		if (!word)
			return err_nomem(e);
		if (!*value)
			return err_invalid(e, "--change '%s': what to?", *changes);
		*value++ = '\0';
		r = apply(c, word, value + strspn(value, " "), e);
		if (r < 0)
			return err_wrap(e, "--change '%s'", *changes);
	}
	return 0;
}

/* ---- import ---------------------------------------------------------------------------------------- */

struct import_opts {
	char **changes;
	bool quiet;
};

static const struct opt import_opts[] = {
	{"change", 'c', OPT_LIST, "WORD=VALUE",
	 "what the image says: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, "
	 "WORKDIR",
	 offsetof(struct import_opts, changes)},
	{"quiet", 'q', OPT_FLAG, NULL, "no progress", offsetof(struct import_opts, quiet)},
	{"message", 'm', OPT_REFUSED_VALUE, "TEXT", "use -c LABEL=", 0},
	{"platform", 0, OPT_REFUSED_VALUE, "PLATFORM", "it is for this host", 0},
};
const struct opt_table cmd_import_options = OPT_TABLE(import_opts);

static int check_file(const char *file, struct err *e)
{
	if (!str_has_prefix(file, "http://") && !str_has_prefix(file, "https://"))
		return 0;
	err_unsupported(e, "'%s': nothing here speaks to the network", file);
	return err_hint(e, "curl -L %s | insula import - NAME", file);
}

static int import(struct cli *cli, const struct import_opts *o, const char *file, const char *name,
		  struct err *e)
{
	_cleanup_free_ char *id = NULL;
	struct img_config config = {0};
	struct img_store *store;
	struct progress progress;
	int r = check_file(file, e);

	if (r == 0)
		r = take_changes(o->changes, &config, e);
	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0) {
		progress_init(&progress, o->quiet);
		r = img_import(store, file, name, &config, &progress.calls, &id, e);
		progress_done(&progress);
	}
	img_config_done(&config);
	if (r == 0)
		printf("%s\n", id);
	return r;
}

int cmd_import(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct import_opts o = {0};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, 2, e);
	if (r >= 0)
		r = import(cli, &o, argv[first], first + 1 < argc ? argv[first + 1] : NULL, e);
	strv_free(o.changes);
	return r;
}

/* ---- load ------------------------------------------------------------------------------------------ */

struct load_opts {
	const char *input;
	bool quiet;
};

static const struct opt load_opts[] = {
	{"input", 'i', OPT_STRING, "FILE",
	 "the archive: what docker save, podman save, buildah or skopeo wrote; or oci:DIR[:NAME]",
	 offsetof(struct load_opts, input)},
	{"quiet", 'q', OPT_FLAG, NULL, "no progress", offsetof(struct load_opts, quiet)},
	{"platform", 0, OPT_REFUSED_VALUE, "PLATFORM", "this host's is taken", 0},
};
const struct opt_table cmd_load_options = OPT_TABLE(load_opts);

/* A plain file may be either kind of archive. */
static int input_reference(const char *input, struct img_reference *ret, struct err *e)
{
	if (str_has_prefix(input, "oci:") || str_has_prefix(input, "oci-archive:") ||
	    str_has_prefix(input, "docker-archive:"))
		return img_reference_parse(input, ret, e);
	if (STREQ(input, "-")) {
		err_unsupported(e, "an archive from standard input");
		return err_hint(e, "write it to a file: its parts are not in the order of reading");
	}
	*ret = (struct img_reference){.transport = IMG_ARCHIVE, .path = strdup(input)};
	return ret->path ? 0 : err_nomem(e);
}

static int load(struct cli *cli, const struct load_opts *o, struct err *e)
{
	_cleanup_strv_ char **names = NULL;
	struct img_reference from = {0};
	struct img_store *store;
	struct progress progress;
	int r = input_reference(o->input, &from, e);

	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0) {
		progress_init(&progress, o->quiet);
		r = img_load(store, &from, &progress.calls, &names, e);
		progress_done(&progress);
	}
	img_reference_done(&from);
	for (char **v = names; r == 0 && v && *v; v++)
		printf("Loaded image: %s\n", *v);
	return r;
}

int cmd_load(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct load_opts o = {0};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 0, 1, e);
	if (r < 0)
		return r;
	if (!o.input && first < argc)
		o.input = argv[first];
	if (!o.input) {
		err_invalid(e, "no archive given");
		return err_hint(e, "insula load -i FILE");
	}
	return load(cli, &o, e);
}
