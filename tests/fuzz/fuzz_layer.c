/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a layer, from its tar's first block to the calls of a sink, which checks what it is promised. The
 * checksums of headers are put right first: a fuzzer would hardly get past them. Data comes in pieces of a size that the
 * first byte chooses, since a header may be cut in two anywhere.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"
#include "tar_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct pieces {
	const uint8_t *data;
	size_t len, piece;
};

static int pieces_peek(void *arg, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct pieces *p = arg;

	(void)e;
	*ret = p->data;
	*ret_len = p->len < p->piece ? p->len : p->piece;
	return 0;
}

static void pieces_consume(void *arg, size_t n)
{
	struct pieces *p = arg;

	if (n > p->len)
		abort();
	p->data += n;
	p->len -= n;
}

static void put_checksums_right(uint8_t *tar, size_t len)
{
	for (; len >= TAR_BLOCK; tar += TAR_BLOCK, len -= TAR_BLOCK) {
		unsigned sum = 0;
		char text[8];

		if (memcmp(tar + 257, "ustar", 5) != 0)
			continue;
		memset(tar + 148, ' ', 8);
		for (int i = 0; i < TAR_BLOCK; i++)
			sum += tar[i];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(tar + 148, text, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_counter counter = {0};
	struct layer_sink sink = layer_sink_count(&counter);
	struct layer_report report = {0};
	struct layer_limits limits = layer_limits_default;
	struct err e = ERR_INIT;
	struct pieces p;
	struct tar_source source = {.peek = pieces_peek, .consume = pieces_consume, .arg = &p};
	uint8_t *tar;
	int r;

	if (size < 1)
		return 0;
	/* Exactly as long as it is, so that the sanitizer sees a byte too far. */
	tar = malloc(size - 1 + (size == 1));
	if (!tar)
		return 0;
	memcpy(tar, data + 1, size - 1);
	put_checksums_right(tar, size - 1);
	p = (struct pieces){.data = tar, .len = size - 1, .piece = (size_t)data[0] * 64 + 1};
	limits.tar.extents = 1000;
	r = layer_read(&source, &limits, &sink, &report, &e);
	if (r < 0 && (e.kind == ERR_INTERNAL || e.kind == ERR_NONE))
		abort();
	free(tar);
	return 0;
}
