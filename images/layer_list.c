/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies where in an archive. Headers are read, data is stepped over: the archive of a large image is indexed without
 * reading its layers.
 */
#include "layer_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "layer.h"
#include "layer_path.h"

#define READ_BYTES  (32u << 10)
#define FLUSH_BYTES (32u << 10)

/* A regular file as a source; read by position. */
struct file_source {
	int fd;
	uint64_t offset, size; /* of the file */
	size_t at, len;        /* of buf that is to be used */
	uint8_t buf[READ_BYTES];
};

static int file_peek(void *arg, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct file_source *f = arg;

	if (f->at == f->len) {
		ssize_t n;

		do
			n = pread(f->fd, f->buf, sizeof(f->buf), (off_t)f->offset);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_sys(e, errno, "read the archive");
		f->at = 0;
		f->len = (size_t)n;
		f->offset += (uint64_t)n;
	}
	*ret = f->buf + f->at;
	*ret_len = f->len - f->at;
	return 0;
}

static void file_consume(void *arg, size_t n)
{
	struct file_source *f = arg;

	f->at += n;
}

static int file_skip(void *arg, uint64_t n, struct err *e)
{
	struct file_source *f = arg;
	uint64_t held = f->len - f->at;

	if (n <= held) {
		f->at += (size_t)n;
		return 0;
	}
	n -= held;
	f->at = f->len = 0;
	if (f->offset > f->size || n > f->size - f->offset)
		return err_invalid(e, "the archive ends in the middle");
	f->offset += n;
	return 0;
}

/* ---- records ----------------------------------------------------------------------------- */

static void add_string(struct strbuf *b, const char *s)
{
	strbuf_add_len(b, s, strlen(s) + 1);
}

static int add_record(struct strbuf *b, const struct tar_entry *n, struct layer_path *path,
		      struct err *e)
{
	static const char *const kinds[] = {
		[TAR_FILE] = "f", [TAR_HARDLINK] = "h", [TAR_SYMLINK] = "s"};
	char offset[24], size[24];
	int r;

	if (n->type != TAR_FILE && n->type != TAR_HARDLINK && n->type != TAR_SYMLINK)
		return 0;
	r = layer_path_read(n->name, path, e);
	if (r < 0)
		return r;
	if (path->len == 0)
		return err_invalid(e, "the root can be nothing but a directory");
	if (n->sparse)
		return err_unsupported(e, "a sparse file in an archive of an image");
	snprintf(offset, sizeof(offset), "%" PRIu64, n->type == TAR_FILE ? n->data_offset : 0);
	snprintf(size, sizeof(size), "%" PRIu64, n->size);
	add_string(b, kinds[n->type]);
	add_string(b, offset);
	add_string(b, size);
	add_string(b, path->text);
	add_string(b, n->type == TAR_FILE ? "" : n->link);
	return b->failed ? err_nomem(e) : 0;
}

static int flush(struct strbuf *b, int out, struct err *e)
{
	int r = fd_write_all(out, b->data, b->len, "the records", e);

	b->len = 0;
	return r;
}

static int list_entries(struct tar_reader *tar, int out, struct layer_path *path, struct err *e)
{
	_cleanup_(strbuf_done) struct strbuf b = {0};
	const struct tar_entry *n;
	int r;

	while ((r = tar_next(tar, &n, e)) > 0) {
		r = add_record(&b, n, path, e);
		if (r < 0)
			return err_wrap(e, "'%.1024s'", n->name);
		if (b.len >= FLUSH_BYTES)
			r = flush(&b, out, e);
		if (r < 0)
			return r;
	}
	return r < 0 || b.len == 0 ? r : flush(&b, out, e);
}

int layer_list(int archive, int out, uint64_t *ret_entries, uint64_t *ret_bytes, struct err *e)
{
	_cleanup_free_ struct file_source *f = calloc(1, sizeof(*f));
	_cleanup_free_ struct layer_path *path = calloc(1, sizeof(*path));
	struct tar_source source = {
		.peek = file_peek, .consume = file_consume, .skip = file_skip, .arg = f};
	struct tar_reader *tar;
	struct stat st;
	int r;

	if (!f || !path)
		return err_nomem(e);
	if (fstat(archive, &st) < 0)
		return err_sys(e, errno, "look at the archive");
	if (!S_ISREG(st.st_mode))
		return err_invalid(e, "the archive is not a regular file");
	f->fd = archive;
	f->size = (uint64_t)st.st_size;
	r = tar_reader_new(&source, &layer_limits_default.tar, &tar, e);
	if (r < 0)
		return r;
	r = list_entries(tar, out, path, e);
	*ret_entries = tar_reader_entries(tar);
	*ret_bytes = f->size;
	tar_reader_free(tar);
	return r;
}
