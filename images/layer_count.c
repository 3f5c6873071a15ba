/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink that keeps nothing: for looking through a layer without unpacking it. It holds what layer_read() promises to every
 * sink against what comes, so that a fuzzer can find where a promise is broken.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "layer.h"
#include "layer_path.h"

static int broken(const char *what, struct err *e)
{
	return err_set(e, ERR_INTERNAL, EPROTO, "a promise to the sink: %s", what);
}

static int check_path(const struct layer_path *p, struct err *e)
{
	unsigned depth = 0;

	if (strlen(p->text) != p->len || p->len >= LAYER_PATH_MAX || p->base > p->len)
		return broken("a path's length", e);
	for (const char *c = p->text; *c; depth++) {
		size_t n = strcspn(c, "/");

		if (n == 0 || n > LAYER_COMPONENT_MAX || (n == 1 && c[0] == '.') ||
		    (n == 2 && c[0] == '.' && c[1] == '.') || (c[n] == '/' && !c[n + 1]))
			return broken("a path's parts", e);
		if (!c[n] && p->base != (size_t)(c - p->text))
			return broken("a path's last part", e);
		c += n + (c[n] == '/');
	}
	return depth == p->depth && depth <= LAYER_DEPTH_MAX ? 0 : broken("a path's depth", e);
}

static int check_meta(const struct layer_meta *m, struct err *e)
{
	if (m->mtime.tv_nsec < 0 || m->mtime.tv_nsec >= 1000000000 || m->uid == UINT32_MAX ||
	    m->gid == UINT32_MAX)
		return broken("times and owners", e);
	for (size_t i = 0; i < m->n_xattrs; i++)
		if (!layer_xattr_wanted(m->xattrs[i].name))
			return broken("attributes", e);
	return 0;
}

static int check(const struct layer_path *p, const struct layer_meta *m, struct err *e)
{
	int r = check_path(p, e);

	return r < 0 ? r : check_meta(m, e);
}

static int count_directory(_unused_ void *sink, const struct layer_path *path,
			   const struct layer_meta *m, struct err *e)
{
	return check(path, m, e);
}

static int count_file(void *sink, const struct layer_path *path, const struct layer_meta *m,
		      uint64_t size, _unused_ bool sparse, struct err *e)
{
	struct layer_counter *c = sink;

	c->size = size;
	c->offset = 0;
	return path->len == 0 ? broken("a file for a root", e) : check(path, m, e);
}

static int count_file_data(void *sink, uint64_t offset, _unused_ const void *data, size_t len,
			   struct err *e)
{
	struct layer_counter *c = sink;

	if (len == 0 || offset < c->offset || offset > c->size || len > c->size - offset)
		return broken("data in order and inside the file", e);
	c->offset = offset + len;
	c->bytes += len;
	return 0;
}

static int count_file_end(_unused_ void *sink, _unused_ struct err *e)
{
	return 0;
}

static int count_symlink(_unused_ void *sink, const struct layer_path *path, const char *target,
			 const struct layer_meta *m, struct err *e)
{
	return *target ? check(path, m, e) : broken("a symlink to nothing", e);
}

static int count_hardlink(_unused_ void *sink, const struct layer_path *path,
			  const struct layer_path *target, struct err *e)
{
	int r = check_path(path, e);

	return r < 0 ? r : check_path(target, e);
}

static int count_node(_unused_ void *sink, const struct layer_path *path,
		      const struct layer_meta *m, _unused_ uint32_t major, _unused_ uint32_t minor,
		      struct err *e)
{
	return check(path, m, e);
}

static int count_mark(_unused_ void *sink, const struct layer_path *path, struct err *e)
{
	return check_path(path, e);
}

static int count_finish(_unused_ void *sink, _unused_ struct err *e)
{
	return 0;
}

static const struct layer_sink_ops ops = {
	.directory = count_directory,
	.file = count_file,
	.file_data = count_file_data,
	.file_end = count_file_end,
	.symlink = count_symlink,
	.hardlink = count_hardlink,
	.node = count_node,
	.whiteout = count_mark,
	.opaque = count_mark,
	.finish = count_finish,
};

struct layer_sink layer_sink_count(struct layer_counter *c)
{
	return (struct layer_sink){.ops = &ops, .data = c};
}
