/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the files of a saved image. What is copied is hashed on its way: a damaged disk must not become a damaged archive.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "save.h"
#include "tar_write.h"

#define CHUNK_BYTES (256u << 10)

void save_target_done(struct save_target *t)
{
	strv_free(t->has);
	t->has = NULL;
}

bool save_has(const struct save_target *t, const char *name)
{
	for (char **v = t->has; v && *v; v++)
		if (STREQ(*v, name))
			return true;
	return false;
}

/* A descriptor to write the data to; *ret_own: it is the file's own. */
static int begin(struct save_target *t, const char *name, uint64_t size, int *ret_own,
		 struct err *e)
{
	*ret_own = -1;
	if (strv_push(&t->has, name) < 0)
		return err_nomem(e);
	if (t->is_tar)
		return tar_write_header(t->fd, name, size, e);
	*ret_own =
		path_open_in_root(t->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644, e);
	return *ret_own < 0 ? *ret_own : 0;
}

static int end(struct save_target *t, int own, uint64_t size, struct err *e)
{
	if (t->is_tar)
		return tar_write_pad(t->fd, size, e);
	return fsync(own) < 0 ? err_sys(e, errno, "write it to the disk") : 0;
}

int save_text(struct save_target *t, const char *name, const char *text, size_t len, struct err *e)
{
	_cleanup_close_ int own = -1;
	int r;

	if (save_has(t, name))
		return 0;
	r = begin(t, name, len, &own, e);
	if (r == 0)
		r = fd_write_all(own >= 0 ? own : t->fd, text, len, name, e);
	return r < 0 ? r : end(t, own, len, e);
}

static int copy(int from, int to, uint64_t size, const char *digest, struct err *e)
{
	_cleanup_free_ char *buf = malloc(CHUNK_BYTES);
	char have[DIGEST_MAX];
	struct digest hash;

	if (!buf)
		return err_nomem(e);
	digest_init(&hash);
	while (size > 0) {
		ssize_t n = read(from, buf, size < CHUNK_BYTES ? (size_t)size : CHUNK_BYTES);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read");
		if (n == 0)
			return err_set(e, ERR_SYSTEM, EUCLEAN, "it ends too early: damaged");
		digest_add(&hash, buf, (size_t)n);
		r = fd_write_all(to, buf, (size_t)n, "what is saved", e);
		if (r < 0)
			return r;
		size -= (uint64_t)n;
	}
	digest_text(&hash, have);
	return STREQ(have, digest)
		       ? 0
		       : err_set(e, ERR_SYSTEM, EUCLEAN, "its digest is %s: damaged", have);
}

int save_stream(struct save_target *t, const char *name, int from, uint64_t size_bytes,
		const char *digest, struct err *e)
{
	_cleanup_close_ int own = -1;
	int r;

	if (save_has(t, name))
		return 0;
	r = begin(t, name, size_bytes, &own, e);
	if (r == 0)
		r = copy(from, own >= 0 ? own : t->fd, size_bytes, digest, e);
	if (r == 0)
		r = end(t, own, size_bytes, e);
	return r < 0 ? err_wrap(e, "'%s'", name) : 0;
}
