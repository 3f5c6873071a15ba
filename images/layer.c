/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the entries of a tar to the calls of a sink.
 *
 * Whiteouts and opaque marks hide what lower layers have, wherever in the tar they stand, and never what the same layer has;
 * that this comes out right in whatever order is the sink's duty, which sees both sides. Hard links never leave the layer: the
 * target is a plain path like any other and must exist already.
 *
 * Spec: OCI image-spec layer.md "Applying Changesets".
 */
#include "layer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "layer_path.h"

/* Far beyond real images; small beside a disk or a memory. */
const struct layer_limits layer_limits_default = {
	.tar = {.entries = 1000000,
		.extended_bytes = 1u << 20,
		.xattr_bytes = 256u << 10,
		.extents = 256u << 10},
	.file_bytes = UINT64_C(16) << 40,
};

struct layer {
	const struct layer_sink *sink;
	const struct layer_limits *limits;
	struct layer_report *report;
	struct layer_path path, target; /* too large for a stack of many frames */
	struct tar_xattr *xattrs;       /* owned array of borrowed values */
	size_t cap_xattrs;
};

void layer_note(struct layer_report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->note[0])
		return;
	va_start(ap, fmt);
	vsnprintf(r->note, sizeof(r->note), fmt, ap);
	va_end(ap);
}

/* overlayfs' own attributes would let an image redirect a directory to any other, or un-hide; the rest of trusted.* cannot be
 * set by the unprivileged. SELinux, IMA, EVM, Smack and AppArmor attributes are the host's policy. */
bool layer_xattr_wanted(const char *name)
{
	static const char *const wanted[] = {
		"security.capability",
		"system.posix_acl_access",
		"system.posix_acl_default",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (STREQ(name, wanted[i]))
			return true;
	return str_has_prefix(name, "user.") && !str_has_prefix(name, "user.overlay.") &&
	       !STREQ(name, "user.overlay");
}

/* ---- entries ----------------------------------------------------------------------------- */

static int choose_xattrs(struct layer *l, const struct tar_entry *n, struct layer_meta *m,
			 struct err *e)
{
	if (n->n_xattrs > l->cap_xattrs) {
		struct tar_xattr *v = reallocarray(l->xattrs, n->n_xattrs, sizeof(*v));

		if (!v)
			return err_nomem(e);
		l->xattrs = v;
		l->cap_xattrs = n->n_xattrs;
	}
	m->xattrs = l->xattrs;
	for (size_t i = 0; i < n->n_xattrs; i++) {
		if (layer_xattr_wanted(n->xattrs[i].name)) {
			l->xattrs[m->n_xattrs++] = n->xattrs[i];
			continue;
		}
		l->report->xattrs_left++;
		layer_note(l->report, "'%s': the attribute %s is not the image's to set",
			   l->path.text, n->xattrs[i].name);
	}
	return 0;
}

static int read_file(struct layer *l, struct tar_reader *tar, const struct tar_entry *n,
		     const struct layer_meta *m, struct err *e)
{
	const struct layer_sink_ops *ops = l->sink->ops;
	const uint8_t *data;
	uint64_t offset;
	size_t len;
	int r;

	if (n->size > l->limits->file_bytes)
		return err_set(e, ERR_LIMIT, EFBIG, "%llu bytes, more than %llu",
			       (unsigned long long)n->size,
			       (unsigned long long)l->limits->file_bytes);
	r = ops->file(l->sink->data, &l->path, m, n->size, n->sparse, e);
	if (r < 0)
		return r;
	while ((r = tar_data(tar, &offset, &data, &len, e)) > 0) {
		r = ops->file_data(l->sink->data, offset, data, len, e);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = ops->file_end(l->sink->data, e);
	l->report->files += r == 0;
	return r;
}

static int read_hardlink(struct layer *l, const struct tar_entry *n, struct err *e)
{
	int r = layer_path_read(n->link, &l->target, e);

	if (r < 0)
		return err_wrap(e, "hard link to '%s'", n->link);
	if (l->target.len == 0 || STREQ(l->target.text, l->path.text))
		return err_invalid(e, "a hard link to %s", l->target.len ? "itself" : "the root");
	r = l->sink->ops->hardlink(l->sink->data, &l->path, &l->target, e);
	l->report->hardlinks += r == 0;
	return r < 0 ? err_wrap(e, "hard link to '%s'", n->link) : 0;
}

static int read_symlink(struct layer *l, const struct tar_entry *n, const struct layer_meta *m,
			struct err *e)
{
	int r;

	if (!*n->link)
		return err_invalid(e, "a symlink to nothing");
	if (strlen(n->link) >= LAYER_PATH_MAX)
		return err_set(e, ERR_LIMIT, ENAMETOOLONG, "a symlink longer than %d bytes",
			       LAYER_PATH_MAX - 1);
	r = l->sink->ops->symlink(l->sink->data, &l->path, n->link, m, e);
	l->report->symlinks += r == 0;
	return r;
}

static int read_entry(struct layer *l, struct tar_reader *tar, const struct tar_entry *n,
		      struct err *e)
{
	const struct layer_sink_ops *ops = l->sink->ops;
	void *sink = l->sink->data;
	struct layer_meta m = {.mode = n->mode, .uid = n->uid, .gid = n->gid, .mtime = n->mtime};
	int r;

	if (l->path.len == 0 && n->type != TAR_DIRECTORY)
		return err_invalid(e, "the root of a layer can be nothing but a directory");
	r = choose_xattrs(l, n, &m, e);
	if (r < 0)
		return r;
	switch (n->type) {
	case TAR_FILE:
		return read_file(l, tar, n, &m, e);
	case TAR_HARDLINK:
		return read_hardlink(l, n, e);
	case TAR_SYMLINK:
		return read_symlink(l, n, &m, e);
	case TAR_DIRECTORY:
		r = ops->directory(sink, &l->path, &m, e);
		l->report->directories += r == 0;
		return r;
	case TAR_FIFO:
		m.mode |= S_IFIFO;
		r = ops->node(sink, &l->path, &m, 0, 0, e);
		l->report->fifos += r == 0;
		return r;
	case TAR_CHAR_DEVICE:
		m.mode |= S_IFCHR;
		return ops->node(sink, &l->path, &m, n->major, n->minor, e);
	case TAR_BLOCK_DEVICE:
		m.mode |= S_IFBLK;
		return ops->node(sink, &l->path, &m, n->major, n->minor, e);
	}
	return err_set(e, ERR_INTERNAL, EINVAL, "an entry of no type");
}

static int read_marked(struct layer *l, const struct tar_entry *n, enum layer_mark mark,
		       struct err *e)
{
	const struct layer_sink_ops *ops = l->sink->ops;
	int r;

	switch (mark) {
	case LAYER_MARK_AUFS:
		l->report->aufs_left++;
		layer_note(l->report, "'%s': a file system's bookkeeping", l->path.text);
		return 0;
	case LAYER_MARK_NONE:
	case LAYER_MARK_WHITEOUT:
	case LAYER_MARK_OPAQUE:
		break;
	}
	/* Files, and hard links among themselves, is how they come. */
	if (n->type != TAR_FILE && n->type != TAR_HARDLINK)
		return err_invalid(e, "a whiteout that is no file");
	if (mark == LAYER_MARK_OPAQUE) {
		r = ops->opaque(l->sink->data, &l->target, e);
		l->report->opaques += r == 0;
	} else {
		r = ops->whiteout(l->sink->data, &l->target, e);
		l->report->whiteouts += r == 0;
	}
	return r;
}

static int take_entry(struct layer *l, struct tar_reader *tar, const struct tar_entry *n,
		      struct err *e)
{
	enum layer_mark mark;
	int r = layer_path_read(n->name, &l->path, e);

	if (r == 0)
		r = layer_path_mark(&l->path, &mark, &l->target, e);
	if (r == 0)
		r = mark == LAYER_MARK_NONE ? read_entry(l, tar, n, e) : read_marked(l, n, mark, e);
	return r < 0 ? err_wrap(e, "'%.1024s'", n->name) : 0;
}

int layer_read(const struct tar_source *source, const struct layer_limits *limits,
	       const struct layer_sink *sink, struct layer_report *report, struct err *e)
{
	struct layer *l = calloc(1, sizeof(*l));
	const struct tar_entry *n;
	struct tar_reader *tar;
	int r;

	if (!l)
		return err_nomem(e);
	l->sink = sink;
	l->limits = limits;
	l->report = report;
	r = tar_reader_new(source, &limits->tar, &tar, e);
	if (r < 0) {
		free(l);
		return r;
	}
	while ((r = tar_next(tar, &n, e)) > 0) {
		r = take_entry(l, tar, n, e);
		if (r < 0)
			break;
	}
	report->entries = tar_reader_entries(tar);
	tar_reader_free(tar);
	free(l->xattrs);
	free(l);
	return r < 0 ? r : sink->ops->finish(sink->data, e);
}
