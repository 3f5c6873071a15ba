/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip by libisal: the only file that includes it. Members follow each other without anything between or behind them; each has its
 * checksum and length verified by the library.
 * Spec: RFC 1952.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <isa-l/igzip_lib.h>

#include "inflate.h"

struct gzip {
	struct inflate_state state;
	bool inside; /* a member has begun and not ended */
};

static int gzip_init(void **ret, struct err *e)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (!g)
		return err_nomem(e);
	isal_inflate_init(&g->state);
	g->state.crc_flag = ISAL_GZIP;
	*ret = g;
	return 0;
}

static int explain(int code, struct err *e)
{
	switch (code) {
	case ISAL_INVALID_WRAPPER:
		return err_invalid(e, "no gzip member where one must be");
	case ISAL_UNSUPPORTED_METHOD:
		return err_invalid(e, "a gzip member of an unknown method");
	case ISAL_INCORRECT_CHECKSUM:
		return err_invalid(e, "the gzip checksum is wrong");
	case ISAL_NEED_DICT:
		return err_invalid(e, "gzip with a dictionary");
	default:
		return err_invalid(e, "the gzip data is damaged");
	}
}

static int gzip_run(void *d, struct inflate_io *io, struct err *e)
{
	struct gzip *g = d;
	struct inflate_state *s = &g->state;
	size_t room = io->out_len > UINT32_MAX ? UINT32_MAX : io->out_len;
	size_t have = io->in_len > UINT32_MAX ? UINT32_MAX : io->in_len;
	int code;

	if (!g->inside && have == 0)
		return 0;
	if (!g->inside && s->block_state == ISAL_BLOCK_FINISH) {
		/* The library would wait for a whole header before it looks. */
		if (io->in[0] != 0x1f)
			return err_invalid(e, "bytes behind the end of the gzip stream");
		isal_inflate_reset(s);
		s->crc_flag = ISAL_GZIP;
	}
	g->inside = true;
	s->next_in = (uint8_t *)io->in; /* is not written to */
	s->avail_in = (uint32_t)have;
	s->next_out = io->out;
	s->avail_out = (uint32_t)room;
	code = isal_inflate(s);
	if (code < 0 || code == ISAL_NEED_DICT)
		return explain(code, e);
	io->in += have - s->avail_in;
	io->in_len -= have - s->avail_in;
	io->out += room - s->avail_out;
	io->out_len -= room - s->avail_out;
	if (s->block_state == ISAL_BLOCK_FINISH)
		g->inside = false;
	return 0;
}

static int gzip_finish(void *d, struct err *e)
{
	const struct gzip *g = d;

	return g->inside ? err_invalid(e, "the gzip stream ends in the middle") : 0;
}

const struct inflate_ops inflate_gzip_ops = {
	.init = gzip_init,
	.free = free,
	.run = gzip_run,
	.finish = gzip_finish,
};
