/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd by libzstd: the only file that includes it. Frames, skippable ones among them, follow each other; a frame may ask for a
 * window of 128 MiB at most, which is what the library's own tools take.
 * Spec: RFC 8878.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <zstd.h>

#include "inflate.h"

#define WINDOW_LOG_MAX 27

struct zstd {
	ZSTD_DStream *stream;
	bool inside; /* a frame has begun and not ended */
};

static void zstd_free(void *d)
{
	struct zstd *z = d;

	ZSTD_freeDStream(z->stream);
	free(z);
}

static int zstd_init(void **ret, struct err *e)
{
	struct zstd *z = calloc(1, sizeof(*z));

	if (!z)
		return err_nomem(e);
	z->stream = ZSTD_createDStream();
	if (!z->stream || ZSTD_isError(ZSTD_initDStream(z->stream)) ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(z->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		zstd_free(z);
		return err_nomem(e);
	}
	*ret = z;
	return 0;
}

static int zstd_run(void *d, struct inflate_io *io, struct err *e)
{
	struct zstd *z = d;
	ZSTD_inBuffer in = {.src = io->in, .size = io->in_len};
	ZSTD_outBuffer out = {.dst = io->out, .size = io->out_len};
	size_t left;

	if (!z->inside && io->in_len == 0)
		return 0;
	left = ZSTD_decompressStream(z->stream, &out, &in);
	if (ZSTD_isError(left))
		return err_invalid(e, "the zstd data: %s", ZSTD_getErrorName(left));
	io->in += in.pos;
	io->in_len -= in.pos;
	io->out += out.pos;
	io->out_len -= out.pos;
	z->inside = left != 0;
	return 0;
}

static int zstd_finish(void *d, struct err *e)
{
	const struct zstd *z = d;

	return z->inside ? err_invalid(e, "the zstd stream ends in the middle") : 0;
}

const struct inflate_ops inflate_zstd_ops = {
	.init = zstd_init,
	.free = zstd_free,
	.run = zstd_run,
	.finish = zstd_finish,
};
