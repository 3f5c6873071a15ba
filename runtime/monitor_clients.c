/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who are connected to a monitor.
 *
 * A client that does not take output holds the workload up, as a slow terminal would; but not for ever: after
 * a while without progress it is dropped (monitor_loop.c). Input that the workload does not read is held in one buffer; whoever sends more waits,
 * and only they: other clients are still served.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "attach_wire.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "monitor.h"

static void drop(struct monitor_client *c)
{
	c->fd = fd_close(c->fd);
	c->owes = 0;
	c->held = false;
}

void monitor_clients_sweep(struct monitor *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_clients; i++)
		if (m->clients[i].fd >= 0)
			m->clients[n++] = m->clients[i];
	m->n_clients = n;
}

void monitor_clients_accept(struct monitor *m)
{
	while (m->n_clients < MONITOR_CLIENTS_MAX) {
		int fd = attach_accept(m->listen_fd);

		if (fd < 0)
			return;
		m->clients[m->n_clients++] = (struct monitor_client){.fd = fd};
	}
}

static void greet(struct monitor *m, struct monitor_client *c, uint8_t wishes)
{
	uint8_t answer = (m->is_terminal ? ATTACH_HAS_TERMINAL : 0) |
			 (m->in_fd >= 0 ? ATTACH_TAKES_INPUT : 0);

	c->output = wishes & ATTACH_WANTS_OUTPUT;
	if (attach_send(c->fd, ATTACH_WELCOME, &answer, 1) < 0)
		drop(c);
}

static void resize(const struct monitor *m, const char *data, size_t len)
{
	struct attach_size size;

	if (!m->is_terminal || m->streams[0].fd < 0 || len != sizeof(size))
		return;
	memcpy(&size, data, sizeof(size));
	(void)ioctl(m->streams[0].fd, TIOCSWINSZ,
		    &(struct winsize){.ws_row = size.rows, .ws_col = size.columns});
}

void monitor_client_read(struct monitor *m, size_t i)
{
	struct monitor_client *c = &m->clients[i];
	char message[ATTACH_MESSAGE_MAX];
	ssize_t n = recv(c->fd, message, 1, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 1 && message[0] == ATTACH_INPUT && m->in_end > m->in_start && m->in_fd >= 0) {
		c->held = true;
		return;
	}
	if (n == 1)
		n = recv(c->fd, message, sizeof(message), 0);
	if (n <= 0) {
		drop(c);
		return;
	}
	switch (message[0]) {
	case ATTACH_HELLO:
		greet(m, c, n > 1 ? (uint8_t)message[1] : 0);
		break;
	case ATTACH_INPUT:
		if (m->in_fd < 0)
			break;
		m->in_start = 0;
		m->in_end = (size_t)n - 1;
		memcpy(m->in, message + 1, m->in_end);
		break;
	case ATTACH_SIZE:
		resize(m, message + 1, (size_t)n - 1);
		break;
	default:
		drop(c);
	}
}

/* -EAGAIN: later. Any other failure ends it. */
static void give(struct monitor *m, struct monitor_client *c, unsigned stream)
{
	const struct monitor_stream *s = &m->streams[stream];
	ssize_t n;

	do {
		n = send(c->fd, s->message, 1 + s->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		c->owes &= (uint8_t) ~(1u << stream);
	else if (errno == EAGAIN)
		c->owes |= (uint8_t)(1u << stream);
	else
		drop(c);
}

void monitor_stream_offer(struct monitor *m, unsigned stream)
{
	m->streams[stream].message[0] = stream == 0 ? ATTACH_OUT : ATTACH_ERR;
	for (size_t i = 0; i < m->n_clients; i++)
		if (m->clients[i].fd >= 0 && m->clients[i].output)
			give(m, &m->clients[i], stream);
}

void monitor_client_retry(struct monitor *m, size_t i)
{
	for (unsigned stream = 0; stream < ARRAY_SIZE(m->streams); stream++)
		if (m->clients[i].owes & (1u << stream))
			give(m, &m->clients[i], stream);
}

bool monitor_stream_is_owed(const struct monitor *m, unsigned stream)
{
	for (size_t i = 0; i < m->n_clients; i++)
		if (m->clients[i].owes & (1u << stream))
			return true;
	return false;
}

void monitor_drop_stalled(struct monitor *m)
{
	for (size_t i = 0; i < m->n_clients; i++)
		if (m->clients[i].owes)
			drop(&m->clients[i]);
	monitor_clients_sweep(m);
}

void monitor_clients_end(struct monitor *m, int exit_code)
{
	int32_t code = exit_code;
	int fd;

	/* From here on connecting is refused; those in the queue are still served. */
	(void)shutdown(m->listen_fd, SHUT_RDWR);
	for (size_t i = 0; i < m->n_clients; i++) {
		(void)attach_send(m->clients[i].fd, ATTACH_EXIT, &code, sizeof(code));
		drop(&m->clients[i]);
	}
	m->n_clients = 0;
	while ((fd = attach_accept(m->listen_fd)) >= 0) {
		(void)attach_send(fd, ATTACH_EXIT, &code, sizeof(code));
		fd_close(fd);
	}
	m->listen_fd = fd_close(m->listen_fd);
}
