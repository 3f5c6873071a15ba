/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the formats of compression have in common: reading, telling the format, and the bounds of what may come out.
 */
#include "inflate.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define IN_BYTES (256u << 10)

struct inflate {
	int fd, cancel_fd;
	struct inflate_limits limits;
	enum inflate_format format;
	const struct inflate_ops *ops; /* NULL: plain */
	void *decoder;
	bool begun, in_ended;
	uint8_t *buf;
	const uint8_t *in;
	size_t in_len;
	uint64_t in_bytes, out_bytes;
};

static const struct {
	const char *name;
	const struct inflate_ops *ops;
} formats[] = {
	[INFLATE_PLAIN] = {"uncompressed", NULL},
	[INFLATE_GZIP] = {"gzip", &inflate_gzip_ops},
	[INFLATE_ZSTD] = {"zstd", &inflate_zstd_ops},
};

/* First bytes. A zstd stream may begin with a skippable frame (0x184D2A50 to 5F, little endian). */
static const struct magic {
	uint8_t bytes[6], mask0;
	size_t len;
	enum inflate_format format;
	const char *refused; /* known, and not done */
} magics[] = {
	{{0x1f, 0x8b}, 0xff, 2, INFLATE_GZIP, NULL},
	{{0x28, 0xb5, 0x2f, 0xfd}, 0xff, 4, INFLATE_ZSTD, NULL},
	{{0x50, 0x2a, 0x4d, 0x18}, 0xf0, 4, INFLATE_ZSTD, NULL},
	{{'B', 'Z', 'h'}, 0xff, 3, INFLATE_PLAIN, "bzip2"},
	{{0xfd, '7', 'z', 'X', 'Z', 0}, 0xff, 6, INFLATE_PLAIN, "xz"},
	{{0x04, 0x22, 0x4d, 0x18}, 0xff, 4, INFLATE_PLAIN, "lz4"},
	{{'P', 'K', 3, 4}, 0xff, 4, INFLATE_PLAIN, "zip"},
};

const char *inflate_format_name(enum inflate_format format)
{
	return formats[format].name;
}

enum inflate_format inflate_format_of(const struct inflate *i)
{
	return i->format;
}

int inflate_new(int fd, int cancel_fd, const struct inflate_limits *limits, struct inflate **ret,
		struct err *e)
{
	struct inflate *i = calloc(1, sizeof(*i));

	if (!i)
		return err_nomem(e);
	i->buf = malloc(IN_BYTES);
	if (!i->buf) {
		free(i);
		return err_nomem(e);
	}
	i->fd = fd;
	i->cancel_fd = cancel_fd;
	i->limits = *limits;
	i->in = i->buf;
	*ret = i;
	return 0;
}

void inflate_free(struct inflate *i)
{
	if (!i)
		return;
	if (i->decoder)
		i->ops->free(i->decoder);
	free(i->buf);
	free(i);
}

/* ---- input ------------------------------------------------------------------------------- */

static int wait_for_input(const struct inflate *i, struct err *e)
{
	struct pollfd p[2] = {{.fd = i->fd, .events = POLLIN},
			      {.fd = i->cancel_fd, .events = POLLIN}};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "wait for input");
	return p[1].revents ? err_set(e, ERR_SYSTEM, ECANCELED, "cancelled") : 0;
}

/* Append to what is held. */
static int fill(struct inflate *i, struct err *e)
{
	ssize_t n;
	int r;

	if (i->in != i->buf)
		memmove(i->buf, i->in, i->in_len);
	i->in = i->buf;
	r = i->cancel_fd >= 0 ? wait_for_input(i, e) : 0;
	if (r < 0)
		return r;
	do
		n = read(i->fd, i->buf + i->in_len, IN_BYTES - i->in_len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "read the input");
	if (n == 0)
		i->in_ended = true;
	i->in_len += (size_t)n;
	i->in_bytes += (uint64_t)n;
	return 0;
}

static int begin(struct inflate *i, struct err *e)
{
	int r;

	while (!i->in_ended && i->in_len < sizeof(magics[0].bytes)) {
		r = fill(i, e);
		if (r < 0)
			return r;
	}
	if (i->in_len == 0)
		return err_invalid(e, "the input is empty");
	for (size_t m = 0; m < ARRAY_SIZE(magics); m++) {
		const struct magic *g = &magics[m];

		if (i->in_len < g->len || (i->in[0] & g->mask0) != g->bytes[0] ||
		    memcmp(i->in + 1, g->bytes + 1, g->len - 1) != 0)
			continue;
		if (g->refused)
			return err_unsupported(e, "%s compression", g->refused);
		i->format = g->format;
		break;
	}
	i->begun = true;
	i->ops = formats[i->format].ops;
	return i->ops ? i->ops->init(&i->decoder, e) : 0;
}

/* ---- output ------------------------------------------------------------------------------ */

static int check_bounds(const struct inflate *i, struct err *e)
{
	if (i->out_bytes > i->limits.out_bytes)
		return err_set(e, ERR_LIMIT, EFBIG, "more than %llu bytes come out of it",
			       (unsigned long long)i->limits.out_bytes);
	if (i->ops && i->out_bytes > i->limits.ratio_free_bytes &&
	    i->out_bytes / i->limits.ratio > i->in_bytes)
		return err_set(
			e, ERR_LIMIT, EFBIG,
			"%llu bytes decompress to more than %llu: more than %llu times as much",
			(unsigned long long)i->in_bytes, (unsigned long long)i->out_bytes,
			(unsigned long long)i->limits.ratio);
	return 0;
}

static void copy_plain(struct inflate *i, struct inflate_io *io)
{
	size_t n = i->in_len < io->out_len ? i->in_len : io->out_len;

	memcpy(io->out, i->in, n);
	io->in += n;
	io->in_len -= n;
	io->out += n;
	io->out_len -= n;
}

/* Into *io what there is; 1 when nothing more will come. */
static int step(struct inflate *i, struct inflate_io *io, struct err *e)
{
	size_t room = io->out_len, held = i->in_len;
	int r = 0;

	io->in = i->in;
	io->in_len = i->in_len;
	if (i->ops)
		r = i->ops->run(i->decoder, io, e);
	else
		copy_plain(i, io);
	if (r < 0)
		return r;
	i->in = io->in;
	i->in_len = io->in_len;
	i->out_bytes += room - io->out_len;
	r = check_bounds(i, e);
	/* Output may be held back though all input is used: only a step without effect is the end. */
	if (r < 0 || io->out_len != room || i->in_len != held)
		return r;
	if (!i->in_ended)
		return fill(i, e);
	if (i->in_len)
		return err_invalid(e, "bytes behind the end of the %s stream",
				   formats[i->format].name);
	r = i->ops ? i->ops->finish(i->decoder, e) : 0;
	return r < 0 ? r : 1;
}

int inflate_read(struct inflate *i, void *buf, size_t cap, size_t *ret_len, struct err *e)
{
	struct inflate_io io = {.out = buf, .out_len = cap};
	int r = i->begun ? 0 : begin(i, e);

	while (r == 0 && io.out_len > 0)
		r = step(i, &io, e);
	if (r < 0)
		return r;
	*ret_len = cap - io.out_len;
	return 0;
}
