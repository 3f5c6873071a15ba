/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which form layers have in this store: an EROFS image where one that lies here can be mounted. That is tried, since it
 * hangs on the kernel, its modules, our privilege, and the file system below the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "digest.h"
#include "layer_erofs.h"
#include "store.h"

/* A layer without entries, in a file without a name. */
static int write_empty(int fd, struct err *e)
{
	struct layer_report report = {0};
	struct layer_erofs *image;
	char digest[DIGEST_MAX];
	struct layer_sink sink;
	int r;

	r = layer_erofs_new(&(struct layer_erofs_params){.fd = fd, .directories = 1}, &report,
			    &image, e);
	if (r < 0)
		return r;
	digest_of("", 0, digest);
	sink = layer_erofs_sink(image);
	r = sink.ops->finish(sink.data, e);
	if (r == 0)
		r = layer_erofs_seal(image, digest, e);
	layer_erofs_free(image);
	return r;
}

static int try_mount(struct img_store *s, struct err *e)
{
	_cleanup_close_ int fd = path_open_in_root(s->erofs, ".", O_RDWR | O_TMPFILE, 0600, e);
	_cleanup_close_ int mnt = -1;
	int r = fd < 0 ? fd : write_empty(fd, e);

	if (r < 0)
		return r;
	mnt = s->mount(fd, e);
	return mnt < 0 ? mnt : 0;
}

bool store_erofs_works(struct img_store *s)
{
	struct err why = ERR_INIT;

	if (s->erofs_state == EROFS_UNKNOWN) {
		s->erofs_state = s->mount && try_mount(s, &why) == 0 ? EROFS_WORKS : EROFS_FAILS;
		if (why.kind != ERR_NONE)
			log_to(&s->log, LOG_LEVEL_DEBUG, "layers are directories: %s", why.text);
	}
	return s->erofs_state == EROFS_WORKS;
}
