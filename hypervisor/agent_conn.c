/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framed connection between host and guest agent, for both ends.
 *
 * Receiving: bytes collect in one buffer of fixed size that holds the largest frame; a frame is
 * handed out where it lies. The peer decides nothing about our memory: its length is compared with
 * the table below before a byte of the payload is waited for, so a frame that is too long, or of a
 * type or shape that does not exist, is refused as soon as its header is complete.
 *
 * Sending: frames are appended to a queue with a cap. Stream data is kept small by credit
 * (hypervisor/agent_stream.h); the cap is for everything else.
 */
#include "hypervisor/agent.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define HEADER_SIZE sizeof(struct agent_header)
#define RX_SIZE     (HEADER_SIZE + AGENT_PAYLOAD_MAX)
#define TX_MAX      (8u << 20)
#define TX_KEEP     (256u << 10) /* an empty queue larger than this is given back */

struct agent_conn {
	int fd;
	size_t rx_start, rx_end; /* unread bytes of rx */
	/* The byte that the terminator of the frame handed out last took the place of. */
	uint8_t *patched;
	uint8_t patched_byte;
	uint8_t *tx;
	size_t tx_start, tx_end, tx_cap;
	uint8_t rx[RX_SIZE + 1];
};

/* What a frame of each type may look like. */
struct frame_rule {
	const char *name;
	uint32_t min, max; /* bytes of payload */
	uint16_t flags;
	bool has_stream;
};

static const struct frame_rule frame_rules[] = {
	[AGENT_HELLO] = {"HELLO", 0, 0, 0, false},
	[AGENT_CREATED] = {"CREATED", 0, 0, 0, false},
	[AGENT_STARTED] = {"STARTED", 0, 0, 0, false},
	[AGENT_ERROR] = {"ERROR", sizeof(struct err), sizeof(struct err), 0, false},
	[AGENT_EXIT] = {"EXIT", 0, 0, 0, false},
	[AGENT_CREATE] = {"CREATE", 0, AGENT_PAYLOAD_MAX, AGENT_MORE, false},
	[AGENT_EXEC] = {"EXEC", 0, AGENT_PAYLOAD_MAX, AGENT_MORE, false},
	[AGENT_START] = {"START", 0, 0, 0, false},
	[AGENT_SIGNAL] = {"SIGNAL", 0, 0, AGENT_ALL, false},
	[AGENT_RESIZE] = {"RESIZE", 0, 0, 0, false},
	[AGENT_SHUTDOWN] = {"SHUTDOWN", 0, 0, 0, false},
	[AGENT_TIME] = {"TIME", 8, 8, 0, false},
	[AGENT_DATA] = {"DATA", 0, AGENT_PAYLOAD_MAX, 0, true},
	[AGENT_CREDIT] = {"CREDIT", 0, 0, 0, true},
};
_Static_assert(ARRAY_SIZE(frame_rules) == AGENT_TYPE_COUNT, "a rule for each type");
_Static_assert(sizeof(struct err) <= AGENT_PAYLOAD_MAX, "an error must fit a frame");

int agent_conn_new(int fd, struct agent_conn **ret)
{
	struct agent_conn *c = malloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->fd = fd;
	c->rx_start = c->rx_end = 0;
	c->patched = NULL;
	c->tx = NULL;
	c->tx_start = c->tx_end = c->tx_cap = 0;
	*ret = c;
	return 0;
}

void agent_conn_free(struct agent_conn *c)
{
	if (!c)
		return;
	free(c->tx);
	free(c);
}

/* ---- sending ---------------------------------------------------------------------------- */

/* Make room for n more bytes at the end of the queue. */
static int tx_reserve(struct agent_conn *c, size_t n)
{
	size_t used = c->tx_end - c->tx_start, cap = c->tx_cap ? c->tx_cap : 4096;
	uint8_t *grown;

	if (used + n > TX_MAX)
		return -ENOBUFS;
	if (c->tx_end + n <= c->tx_cap)
		return 0;
	if (c->tx_start) {
		memmove(c->tx, c->tx + c->tx_start, used);
		c->tx_start = 0;
		c->tx_end = used;
		if (used + n <= c->tx_cap)
			return 0;
	}
	while (cap < used + n)
		cap *= 2;
	grown = realloc(c->tx, cap);
	if (!grown)
		return -ENOMEM;
	c->tx = grown;
	c->tx_cap = cap;
	return 0;
}

int agent_send(struct agent_conn *c, const struct agent_header *h, const void *payload)
{
	struct agent_header wire = {
		.length = htole32(h->length),
		.type = h->type,
		.stream = h->stream,
		.flags = htole16(h->flags),
		.proc = htole32(h->proc),
		.value = htole32(h->value),
	};
	int r;

	if (h->length > AGENT_PAYLOAD_MAX)
		return -EMSGSIZE;
	r = tx_reserve(c, HEADER_SIZE + h->length);
	if (r < 0)
		return r;
	memcpy(c->tx + c->tx_end, &wire, HEADER_SIZE);
	if (h->length)
		memcpy(c->tx + c->tx_end + HEADER_SIZE, payload, h->length);
	c->tx_end += HEADER_SIZE + h->length;
	return 0;
}

int agent_send_document(struct agent_conn *c, enum agent_type type, uint32_t proc, const char *text,
			size_t len)
{
	size_t frames = len / AGENT_PAYLOAD_MAX + 1;
	int r;

	if (len > AGENT_DOCUMENT_MAX)
		return -EFBIG;
	/* All or nothing: half a document in the queue could not be taken back. */
	r = tx_reserve(c, len + frames * HEADER_SIZE);
	if (r < 0)
		return r;
	do {
		size_t n = len < AGENT_PAYLOAD_MAX ? len : AGENT_PAYLOAD_MAX;
		struct agent_header h = {
			.length = (uint32_t)n,
			.type = (uint8_t)type,
			.flags = len > n ? AGENT_MORE : 0,
			.proc = proc,
		};

		r = agent_send(c, &h, text);
		if (r < 0)
			return r;
		text += n;
		len -= n;
	} while (len);
	return 0;
}

int agent_send_error(struct agent_conn *c, uint32_t proc, const struct err *error)
{
	struct agent_header h = {.length = sizeof(*error), .type = AGENT_ERROR, .proc = proc};

	return agent_send(c, &h, error);
}

bool agent_conn_wants_write(const struct agent_conn *c)
{
	return c->tx_end > c->tx_start;
}

int agent_conn_flush(struct agent_conn *c, struct err *e)
{
	while (c->tx_end > c->tx_start) {
		ssize_t n = write(c->fd, c->tx + c->tx_start, c->tx_end - c->tx_start);

		if (n > 0) {
			c->tx_start += (size_t)n;
			continue;
		}
		if (n == 0 || errno == EAGAIN)
			return 0;
		if (errno == EINTR)
			continue;
		return err_sys(e, errno, "write to the agent connection");
	}
	c->tx_start = c->tx_end = 0;
	if (c->tx_cap > TX_KEEP) {
		free(c->tx);
		c->tx = NULL;
		c->tx_cap = 0;
	}
	return 0;
}

/* ---- receiving -------------------------------------------------------------------------- */

/* Take the terminator out that agent_conn_next() put behind its frame. */
static void rx_unpatch(struct agent_conn *c)
{
	if (c->patched)
		*c->patched = c->patched_byte;
	c->patched = NULL;
}

int agent_conn_fill(struct agent_conn *c, struct err *e)
{
	rx_unpatch(c);
	if (c->rx_start) {
		memmove(c->rx, c->rx + c->rx_start, c->rx_end - c->rx_start);
		c->rx_end -= c->rx_start;
		c->rx_start = 0;
	}
	while (c->rx_end < RX_SIZE) {
		ssize_t n = read(c->fd, c->rx + c->rx_end, RX_SIZE - c->rx_end);

		if (n > 0) {
			c->rx_end += (size_t)n;
			/* One read is enough for a level-triggered poll; a second one would only
			 * learn that there is nothing. */
			return 0;
		}
		/* A socket's peer that died with something of ours unread is reported as a reset. */
		if (n == 0 || errno == ECONNRESET)
			return err_set(e, ERR_SYSTEM, EPIPE, "the agent connection ended%s",
				       c->rx_end ? " inside a frame" : "");
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR)
			return err_sys(e, errno, "read from the agent connection");
	}
	return 0;
}

static int check_header(const struct agent_header *h, struct err *e)
{
	const struct frame_rule *rule;

	if (h->type == 0 || h->type >= AGENT_TYPE_COUNT)
		return err_set(e, ERR_INVALID, EPROTO, "agent protocol: unknown frame type %u",
			       h->type);
	rule = &frame_rules[h->type];
	if (h->length < rule->min || h->length > rule->max)
		return err_set(e, ERR_INVALID, EPROTO, "agent protocol: %s with %u bytes",
			       rule->name, h->length);
	if (h->flags & ~rule->flags)
		return err_set(e, ERR_INVALID, EPROTO, "agent protocol: %s with flags 0x%x",
			       rule->name, h->flags);
	if (h->stream >= (rule->has_stream ? AGENT_STREAM_COUNT : 1))
		return err_set(e, ERR_INVALID, EPROTO, "agent protocol: %s with stream %u",
			       rule->name, h->stream);
	return 0;
}

int agent_conn_next(struct agent_conn *c, struct agent_frame *ret, struct err *e)
{
	struct agent_header h;
	size_t have;
	int r;

	rx_unpatch(c);
	have = c->rx_end - c->rx_start;
	if (have < HEADER_SIZE)
		return 0;
	memcpy(&h, c->rx + c->rx_start, HEADER_SIZE);
	h.length = le32toh(h.length);
	h.flags = le16toh(h.flags);
	h.proc = le32toh(h.proc);
	h.value = le32toh(h.value);
	r = check_header(&h, e);
	if (r < 0)
		return r;
	if (have < HEADER_SIZE + h.length)
		return 0;
	ret->h = h;
	ret->payload = c->rx + c->rx_start + HEADER_SIZE;
	c->rx_start += HEADER_SIZE + h.length;
	c->patched = c->rx + c->rx_start; /* rx has a byte to spare for the last */
	c->patched_byte = *c->patched;
	*c->patched = 0;
	return 1;
}
