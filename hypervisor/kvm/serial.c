/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of a 16550A, without modem lines. Time is not emulated: a byte is sent at once.
 *
 * What the reader of the console does not take in waits in a ring; when that is full the transmitter says
 * "not empty", as a slow line would, and what a guest writes nevertheless is lost. Input is taken from the
 * host only as far as there is room, so it waits in the socket.
 *
 * The interrupt is an edge: it is raised when a cause appears, and again when the driver enables or
 * acknowledges one and another is left.
 *
 * Source: National Semiconductor, PC16550D data sheet.
 */
#include "serial.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "layout.h"

enum {
	REG_DATA = 0, /* RBR, THR; DLL */
	REG_IER = 1,  /* DLM */
	REG_IIR = 2,  /* FCR */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCRATCH = 7,
};

#define IER_RECEIVED    0x01u
#define IER_TRANSMITTER 0x02u
#define IER_MASK        0x0fu

#define IIR_NONE        0x01u
#define IIR_TRANSMITTER 0x02u
#define IIR_RECEIVED    0x04u
#define IIR_FIFOS       0xc0u

#define FCR_ENABLE      0x01u
#define FCR_CLEAR_INPUT 0x02u

#define LCR_DIVISOR 0x80u

#define MCR_MASK     0x1fu
#define MCR_LOOPBACK 0x10u

#define LSR_DATA_READY  0x01u
#define LSR_TRANSMITTER 0x60u /* holding register and shift register empty */

#define MSR_CONNECTED 0xb0u /* carrier, data set ready, clear to send */

#define OUTPUT_MAX (64u << 10)
#define INPUT_MAX  64u

struct serial {
	struct io_loop *loop;
	struct irq_line irq;
	int fd;
	uint64_t source;
	uint32_t events; /* what the loop watches for */
	uint8_t ier, lcr, mcr, scratch, divisor[2];
	bool fifos;
	bool sent;    /* the transmitter became empty and nobody asked why yet */
	bool hung_up; /* nobody is there any more */
	uint32_t input_start, input_len, output_start, output_len;
	uint8_t input[INPUT_MAX];
	uint8_t output[OUTPUT_MAX];
};

/* ---- the host's side -------------------------------------------------------------------------- */

static void watch(struct serial *s)
{
	uint32_t events = 0;

	if (!s->hung_up)
		events = (s->input_len < INPUT_MAX ? EPOLLIN : 0) | (s->output_len ? EPOLLOUT : 0);
	if (events == s->events)
		return;
	if (io_loop_change(s->loop, s->source, events) == 0)
		s->events = events;
}

static void flush(struct serial *s)
{
	while (s->output_len) {
		uint32_t n = OUTPUT_MAX - s->output_start;
		ssize_t done;

		if (n > s->output_len)
			n = s->output_len;
		done = write(s->fd, s->output + s->output_start, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN)
			return;
		if (done <= 0) {
			/* Nobody listens: a guest talks on without. */
			s->hung_up = true;
			s->output_len = 0;
			return;
		}
		s->output_start = (s->output_start + (uint32_t)done) % OUTPUT_MAX;
		s->output_len -= (uint32_t)done;
	}
}

static void add_input(struct serial *s, uint8_t byte)
{
	if (s->input_len == INPUT_MAX)
		return;
	s->input[(s->input_start + s->input_len++) % INPUT_MAX] = byte;
}

static void fill(struct serial *s)
{
	uint8_t buf[INPUT_MAX];
	ssize_t n;

	if (s->input_len == INPUT_MAX)
		return;
	do
		n = read(s->fd, buf, INPUT_MAX - s->input_len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		s->hung_up = true;
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		add_input(s, buf[i]);
	if (s->ier & IER_RECEIVED)
		irq_raise(&s->irq);
}

static void ready(void *self, uint32_t events)
{
	struct serial *s = self;

	if (events & EPOLLOUT)
		flush(s);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		fill(s);
	watch(s);
}

/* ---- the guest's side ------------------------------------------------------------------------- */

static void send_byte(struct serial *s, uint8_t byte)
{
	if (s->mcr & MCR_LOOPBACK) {
		add_input(s, byte);
		if (s->ier & IER_RECEIVED)
			irq_raise(&s->irq);
	} else if (!s->hung_up && s->output_len < OUTPUT_MAX) {
		s->output[(s->output_start + s->output_len++) % OUTPUT_MAX] = byte;
		flush(s);
	}
	s->sent = true;
	if (s->ier & IER_TRANSMITTER)
		irq_raise(&s->irq);
}

static uint8_t receive_byte(struct serial *s)
{
	uint8_t byte;

	if (s->input_len == 0)
		return 0;
	byte = s->input[s->input_start];
	s->input_start = (s->input_start + 1) % INPUT_MAX;
	s->input_len--;
	/* An edge per byte: a driver that reads one byte per interrupt hears of the next. */
	if (s->input_len && (s->ier & IER_RECEIVED))
		irq_raise(&s->irq);
	return byte;
}

static uint8_t identify(struct serial *s)
{
	uint8_t fifos = s->fifos ? IIR_FIFOS : 0;

	if (s->input_len && (s->ier & IER_RECEIVED))
		return fifos | IIR_RECEIVED;
	if (s->sent && (s->ier & IER_TRANSMITTER)) {
		s->sent = false; /* reading it acknowledges it */
		return fifos | IIR_TRANSMITTER;
	}
	return fifos | IIR_NONE;
}

static uint8_t modem_status(const struct serial *s)
{
	/* Looped back: DTR → DSR, RTS → CTS, OUT1 → RI, OUT2 → DCD. */
	if (s->mcr & MCR_LOOPBACK)
		return (uint8_t)((s->mcr & 1) << 5 | (s->mcr & 2) << 3 | (s->mcr & 4) << 4 |
				 (s->mcr & 8) << 4);
	return MSR_CONNECTED;
}

static uint8_t read_register(struct serial *s, uint64_t offset)
{
	bool divisor = s->lcr & LCR_DIVISOR;

	switch (offset) {
	case REG_DATA:
		return divisor ? s->divisor[0] : receive_byte(s);
	case REG_IER:
		return divisor ? s->divisor[1] : s->ier;
	case REG_IIR:
		return identify(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return (uint8_t)((s->input_len ? LSR_DATA_READY : 0) |
				 (s->output_len < OUTPUT_MAX ? LSR_TRANSMITTER : 0));
	case REG_MSR:
		return modem_status(s);
	case REG_SCRATCH:
		return s->scratch;
	default: /* a number, not an enum: the range has eight ports */
		return 0xff;
	}
}

static void write_enable(struct serial *s, uint8_t value)
{
	uint8_t added = (uint8_t)(value & ~s->ier);

	s->ier = value & IER_MASK;
	if (added & IER_TRANSMITTER)
		s->sent = true;
	if ((added & IER_TRANSMITTER) || ((added & IER_RECEIVED) && s->input_len))
		irq_raise(&s->irq);
}

static void write_register(struct serial *s, uint64_t offset, uint8_t value)
{
	bool divisor = s->lcr & LCR_DIVISOR;

	switch (offset) {
	case REG_DATA:
		if (divisor)
			s->divisor[0] = value;
		else
			send_byte(s, value);
		break;
	case REG_IER:
		if (divisor)
			s->divisor[1] = value;
		else
			write_enable(s, value);
		break;
	case REG_IIR:
		s->fifos = value & FCR_ENABLE;
		if (value & FCR_CLEAR_INPUT)
			s->input_len = 0;
		break;
	case REG_LCR:
		s->lcr = value;
		break;
	case REG_MCR:
		s->mcr = value & MCR_MASK;
		break;
	case REG_SCRATCH:
		s->scratch = value;
		break;
	default: /* the status registers are read-only */
		break;
	}
}

static void serial_read(void *self, uint64_t offset, void *data, unsigned len)
{
	struct serial *s = self;
	uint8_t *p = data;

	io_loop_lock(s->loop);
	for (unsigned i = 0; i < len; i++)
		p[i] = read_register(s, offset + i);
	watch(s);
	io_loop_unlock(s->loop);
}

static void serial_write(void *self, uint64_t offset, const void *data, unsigned len)
{
	struct serial *s = self;
	const uint8_t *p = data;

	io_loop_lock(s->loop);
	for (unsigned i = 0; i < len; i++)
		write_register(s, offset + i, p[i]);
	watch(s);
	io_loop_unlock(s->loop);
}

int serial_new(struct io_loop *loop, int fd, struct irq_line irq, struct serial **ret,
	       struct err *e)
{
	struct serial *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_nomem(e);
	s->loop = loop;
	s->irq = irq;
	s->fd = fd;
	s->events = EPOLLIN;
	s->divisor[0] = 12; /* 9600 */
	r = io_loop_add(loop, fd, s->events, ready, s, &s->source, e);
	if (r < 0) {
		free(s);
		return err_wrap(e, "serial console");
	}
	*ret = s;
	return 0;
}

void serial_free(struct serial *s)
{
	if (!s)
		return;
	io_loop_remove(s->loop, &s->source);
	free(s);
}

struct bus_range serial_range(struct serial *s, uint64_t port)
{
	static const struct bus_ops ops = {serial_read, serial_write};

	return (struct bus_range){.start = port, .bytes = SERIAL_PORTS, .ops = &ops, .self = s};
}
