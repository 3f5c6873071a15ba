/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula save: images of the store to an archive or a layout.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "images/image.h"
#include "people.h"
#include "progress.h"

struct save_opts {
	const char *output, *format;
	bool quiet;
};

static const struct opt save_opts[] = {
	{"output", 'o', OPT_STRING, "FILE", "write there, not to standard output",
	 offsetof(struct save_opts, output)},
	{"format", 0, OPT_STRING, "FORMAT",
	 "docker-archive (the default), oci-archive, or oci-dir (-o names the directory)",
	 offsetof(struct save_opts, format)},
	{"quiet", 'q', OPT_FLAG, NULL, "no progress", offsetof(struct save_opts, quiet)},
	{"compress", 0, OPT_REFUSED, NULL, "layers of OCI formats are as they came", 0},
	{"multi-image-archive", 'm', OPT_HARMLESS, NULL, "an archive may hold several anyway", 0},
	{"platform", 0, OPT_REFUSED_VALUE, "PLATFORM", "the store has this host's", 0},
};
const struct opt_table cmd_save_options = OPT_TABLE(save_opts);

static int parse_format(const char *text, enum img_transport *ret, struct err *e)
{
	static const struct {
		const char *name;
		enum img_transport form;
	} known[] = {
		{"docker-archive", IMG_DOCKER_ARCHIVE},
		{"oci-archive", IMG_OCI_ARCHIVE},
		{"oci-dir", IMG_OCI_LAYOUT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (STREQ(known[i].name, text)) {
			*ret = known[i].form;
			return 0;
		}
	err_invalid(e, "--format '%s'", text);
	return err_hint(e, "docker-archive, oci-archive, oci-dir");
}

/* A file is written in one go; one that could not be finished is removed. Standard output and pipes are written as they are. */
static int save_to_file(struct img_store *store, const struct img_reference *images, size_t n,
			enum img_transport form, const char *path, const struct img_progress *p,
			struct err *e)
{
	_cleanup_free_ char *cwd = NULL, *full = NULL;
	_cleanup_close_ int fd = -1, root = -1;
	struct stat st;
	int r;

	root = path_open_dir("/", e);
	if (root < 0)
		return root;
	cwd = *path == '/' ? strdup("") : getcwd(NULL, 0);
	if (!cwd || str_printf(&full, "%s/%s", cwd, path) < 0)
		return err_nomem(e);
	fd = path_open_in_root(root, full, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, 0644, e);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "'%s'", path);
	r = img_save(store, images, n, form, fd, NULL, p, e);
	if (r == 0 && S_ISREG(st.st_mode) && fsync(fd) < 0)
		r = err_sys(e, errno, "'%s'", path);
	if (r < 0 && S_ISREG(st.st_mode))
		path_unlink_at(AT_FDCWD, path, NULL);
	return r;
}

static int save_to(struct img_store *store, const struct save_opts *o,
		   const struct img_reference *images, size_t n, const struct img_progress *p,
		   struct err *e)
{
	enum img_transport form = IMG_DOCKER_ARCHIVE;
	int r = o->format ? parse_format(o->format, &form, e) : 0;

	if (r < 0)
		return r;
	if (form == IMG_OCI_LAYOUT && !o->output) {
		err_invalid(e, "--format oci-dir writes a directory");
		return err_hint(e, "name it with -o DIR");
	}
	if (form == IMG_OCI_LAYOUT)
		return img_save(store, images, n, form, -1, o->output, p, e);
	if (o->output && !STREQ(o->output, "-"))
		return save_to_file(store, images, n, form, o->output, p, e);
	if (isatty(STDOUT_FILENO)) {
		err_invalid(e, "an archive is not for a terminal");
		return err_hint(e, "insula save -o FILE, or > FILE");
	}
	return img_save(store, images, n, form, STDOUT_FILENO, NULL, p, e);
}

static int save(struct cli *cli, const struct save_opts *o, char **words, size_t n, struct err *e)
{
	struct img_reference *images = calloc(n, sizeof(*images));
	struct img_store *store;
	struct progress progress;
	int r = images ? 0 : err_nomem(e);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = img_reference_parse(words[i], &images[i], e);
	if (r == 0)
		r = rt_images(&cli->ctx, &store, e);
	if (r == 0) {
		progress_init(&progress, o->quiet);
		r = save_to(store, o, images, n, &progress.calls, e);
		progress_done(&progress);
	}
	for (size_t i = 0; images && i < n; i++)
		img_reference_done(&images[i]);
	free(images);
	return r;
}

int cmd_save(struct cli *cli, int argc, char **argv, struct err *e)
{
	struct save_opts o = {0};
	int first, r = command_parse(cli, argc, argv, false, &o, &first, e);

	if (r >= 0)
		r = command_words(cli, argc, first, 1, INT32_MAX, e);
	return r < 0 ? r : save(cli, &o, argv + first, (size_t)(argc - first), e);
}
