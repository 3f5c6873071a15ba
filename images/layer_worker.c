/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modes of insula-layer: a table, a function each (images/worker.h). Nothing here knows that it is shut in; all a mode touches are the
 * descriptors that its row names.
 */
#include "images/layer_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "layer_dir.h"
#include "layer_erofs.h"
#include "layer_list.h"
#include "layer_pipe.h"

#define COPY_BYTES (256u << 10)

/* What comes out of a layer: hardly a real one is a hundred times its compressed size, but small ones of zeros may be. */
static const struct inflate_limits inflate_limits = {
	.out_bytes = UINT64_C(256) << 30,
	.ratio = 250,
	.ratio_free_bytes = UINT64_C(1) << 30,
};

static void tell(struct img_worker_report *ret, const struct layer_report *report)
{
	ret->entries = report->entries;
	ret->devices_left = report->devices_left;
	ret->xattrs_left = report->xattrs_left;
	ret->owners_left = report->owners_left;
	_Static_assert(sizeof(ret->note) == sizeof(report->note), "one note");
	memcpy(ret->note, report->note, sizeof(ret->note));
}

static int extract_from(struct layer_pipe *pipe, int dirfd, bool keep_owners,
			struct img_worker_report *ret, struct err *e)
{
	const struct layer_dir_params params = {.dirfd = dirfd,
						.opaque_xattr = LAYER_OPAQUE_USER,
						.keep_owners = keep_owners,
						.directories = layer_limits_default.tar.entries};
	struct tar_source source = layer_pipe_source(pipe);
	struct layer_report report = {0};
	struct layer_sink sink;
	struct layer_dir *dir;
	int r;

	r = layer_dir_new(&params, &report, &dir, e);
	if (r < 0)
		return r;
	sink = layer_dir_sink(dir);
	r = layer_read(&source, &layer_limits_default, &sink, &report, e);
	layer_dir_free(dir);
	if (r < 0)
		return r;
	tell(ret, &report);
	layer_pipe_result(pipe, ret->diff_id, &ret->bytes);
	return 0;
}

static int mode_extract(_unused_ char **args, bool keep_owners, struct img_worker_report *ret,
			struct err *e)
{
	struct layer_pipe *pipe;
	int r = layer_pipe_new(3, &inflate_limits, &pipe, e);

	if (r < 0)
		return r;
	r = extract_from(pipe, 4, keep_owners, ret, e);
	layer_pipe_free(pipe);
	return r;
}

static int write_erofs_from(struct layer_pipe *pipe, int fd, struct img_worker_report *ret,
			    struct err *e)
{
	const struct layer_erofs_params params = {.fd = fd,
						  .directories = layer_limits_default.tar.entries};
	struct tar_source source = layer_pipe_source(pipe);
	struct layer_report report = {0};
	struct layer_erofs *image;
	struct layer_sink sink;
	int r;

	r = layer_erofs_new(&params, &report, &image, e);
	if (r < 0)
		return r;
	sink = layer_erofs_sink(image);
	r = layer_read(&source, &layer_limits_default, &sink, &report, e);
	if (r == 0) {
		tell(ret, &report);
		layer_pipe_result(pipe, ret->diff_id, &ret->bytes);
		r = layer_erofs_seal(image, ret->diff_id, e);
	}
	layer_erofs_free(image);
	return r;
}

static int mode_erofs(_unused_ char **args, _unused_ bool keep_owners,
		      struct img_worker_report *ret, struct err *e)
{
	struct layer_pipe *pipe;
	int r = layer_pipe_new(3, &inflate_limits, &pipe, e);

	if (r < 0)
		return r;
	r = write_erofs_from(pipe, 4, ret, e);
	layer_pipe_free(pipe);
	return r;
}

static int mode_list(_unused_ char **args, _unused_ bool keep_owners, struct img_worker_report *ret,
		     struct err *e)
{
	int r = layer_list(3, 4, &ret->entries, &ret->bytes, e);

	close(4); /* the end of the records, before the report */
	return r;
}

static int copy_inflated(struct inflate *i, void *buf, uint64_t *ret_bytes, struct err *e)
{
	size_t len = COPY_BYTES;

	while (len == COPY_BYTES) {
		int r = inflate_read(i, buf, COPY_BYTES, &len, e);

		if (r == 0 && inflate_format_of(i) == INFLATE_PLAIN)
			r = err_invalid(e, "the input is neither gzip nor zstd");
		if (r == 0)
			r = fd_write_all(4, buf, len, "the output", e);
		if (r < 0)
			return r;
		*ret_bytes += len;
	}
	return 0;
}

static int mode_inflate(_unused_ char **args, _unused_ bool keep_owners,
			struct img_worker_report *ret, struct err *e)
{
	_cleanup_free_ void *buf = malloc(COPY_BYTES);
	struct inflate *i;
	int r;

	if (!buf)
		return err_nomem(e);
	r = inflate_new(3, -1, &inflate_limits, &i, e);
	if (r < 0)
		return r;
	r = copy_inflated(i, buf, &ret->bytes, e);
	inflate_free(i);
	return r;
}

static int mode_remove(char **args, _unused_ bool keep_owners,
		       _unused_ struct img_worker_report *ret, struct err *e)
{
	return path_remove_tree_at(3, args[0], e);
}

static const struct layer_mode modes[] = {
	{IMG_WORKER_EXTRACT, 0, 4, 5, mode_extract}, {IMG_WORKER_EROFS, 0, -1, 5, mode_erofs},
	{IMG_WORKER_LIST, 0, -1, 5, mode_list},      {IMG_WORKER_INFLATE, 0, -1, 5, mode_inflate},
	{IMG_WORKER_REMOVE, 1, 3, 4, mode_remove},
};

const struct layer_mode *layer_mode_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (STREQ(modes[i].name, name))
			return &modes[i];
	return NULL;
}

void layer_mode_run(const struct layer_mode *mode, char **args, bool keep_owners,
		    struct img_worker_report *ret)
{
	struct err e = ERR_INIT;

	if (mode->run(args, keep_owners, ret, &e) < 0)
		ret->error = e;
}

int layer_mode_report(const struct layer_mode *mode, const struct img_worker_report *report)
{
	ssize_t n;

	do
		n = write(mode->report_fd, report, sizeof(*report));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*report))
		return 2;
	return report->error.kind == ERR_NONE ? 0 : 1;
}
