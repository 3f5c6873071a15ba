/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of `insula run`: the ordinary ones of a container, and what the caller asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include "default_paths.h"
#include "run_document.h"

int run_add_mount(struct json *mounts, const char *destination, const char *type,
		  const char *source, const char *options)
{
	_cleanup_json_ struct json *m = json_new_object();
	_cleanup_strv_ char **words = NULL;

	if (!m || strv_split(options, ',', &words) < 0 ||
	    json_set(m, "destination", json_new_string(destination)) < 0 ||
	    json_set(m, "type", json_new_string(type)) < 0 ||
	    json_set(m, "source", json_new_string(source)) < 0 ||
	    json_set(m, "options", json_new_strv(words)) < 0)
		return -ENOMEM;
	return json_push(mounts, TAKE_PTR(m));
}

/* Words that -v takes, and what they become. */
static const struct {
	const char *word, *options; /* options NULL: nothing to add */
} volume_words[] = {
	{"rw", NULL},
	/* A read-only volume is so with all that is mounted below it. */
	{"ro", "ro,rro"},
	{"private", "private"},
	{"rprivate", "rprivate"}, /* and the default */
	{"slave", "slave"},       /* mounts made on the host later show up */
	{"rslave", "rslave"},
	{"bind", NULL},
	{"rbind", NULL},
	{"nosuid", "nosuid"},
	{"suid", "suid"},
	{"nodev", "nodev"},
	{"dev", "dev"},
	{"noexec", "noexec"},
	{"exec", "exec"},
};

/* Words that others take and we do not. */
static const struct {
	const char *word, *why;
} refused_volume_words[] = {
	{"z", "SELinux relabelling is not done"},
	{"Z", "SELinux relabelling is not done"},
	{"U", "changing owners of a volume is not done"},
	{"O", "overlays over a volume are not done"},
	{"idmap", "id-mapped mounts are not done"},
	{"shared", "mounts made in the sandbox never reach the host"},
	{"rshared", "mounts made in the sandbox never reach the host"},
};

static int take_volume_word(struct strbuf *options, const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(volume_words); i++) {
		if (!STREQ(volume_words[i].word, word))
			continue;
		if (volume_words[i].options)
			strbuf_addf(options, ",%s", volume_words[i].options);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused_volume_words); i++)
		if (STREQ(refused_volume_words[i].word, word))
			return err_unsupported(e, "option '%s' is not supported: %s", word,
					       refused_volume_words[i].why);
	return err_invalid(e, "unknown option '%s'", word);
}

static int volume_options(const struct rt_volume *v, char **ret, struct err *e)
{
	struct strbuf options = {0};
	_cleanup_strv_ char **words = NULL;
	int r = 0;

	if (v->options && strv_split(v->options, ',', &words) < 0)
		return err_nomem(e);
	/* The last word about propagation counts, so a given one wins over docker's default. */
	strbuf_add(&options, "rbind,rprivate");
	for (size_t i = 0; r == 0 && i < strv_len(words); i++)
		r = take_volume_word(&options, words[i], e);
	if (r < 0) {
		strbuf_done(&options);
		return r;
	}
	return strbuf_take(&options, ret) < 0 ? err_nomem(e) : 0;
}

/* Docker makes a missing source, and leaves a directory of root's where a typing error was. */
static int check_source(const char *source, struct err *e)
{
	_cleanup_close_ int root = -1, fd = -1;

	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	fd = path_open_in_root(root, source, O_PATH, 0, e);
	if (fd == -ENOENT) {
		err_set(e, ERR_NOT_FOUND, ENOENT, "the source does not exist");
		return err_hint(e, "make it first: mkdir -p %s", source);
	}
	return fd < 0 ? fd : 0;
}

static int add_volume(struct json *mounts, const struct rt_volume *v, struct err *e)
{
	_cleanup_free_ char *options = NULL, *destination = NULL;
	int r;

	if (v->source[0] != '/' || v->destination[0] != '/')
		return err_invalid(e, "source and destination must be absolute paths");
	if (path_normalize(v->destination, &destination) < 0)
		return err_nomem(e);
	if (STREQ(destination, "/"))
		return err_invalid(e, "the destination must not be the root");
	r = check_source(v->source, e);
	if (r == 0)
		r = volume_options(v, &options, e);
	if (r < 0)
		return r;
	if (run_add_mount(mounts, destination, "bind", v->source, options) < 0)
		return err_nomem(e);
	return 0;
}

int run_add_volumes(struct json *mounts, const struct rt_run_request *r, struct err *e)
{
	for (size_t i = 0; i < r->n_volumes; i++) {
		const struct rt_volume *v = &r->volumes[i];

		if (add_volume(mounts, v, e) < 0)
			return err_wrap(e, "volume '%s' on '%s'", v->source, v->destination);
	}
	return 0;
}
