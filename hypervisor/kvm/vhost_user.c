/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of vhost-user: a header of three words, a payload, descriptors beside the first byte. Each setting is
 * acknowledged where the backend can do that (REPLY_ACK), so that an error is known at the step that caused it.
 */
#include "vhost_user.h"

#include <errno.h>
#include <linux/vhost_types.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define FLAGS_VERSION    1u
#define FLAGS_VERSION_IN 3u /* the version's bits */
#define FLAG_REPLY       4u
#define FLAG_NEED_REPLY  8u

#define F_PROTOCOL_FEATURES  (1ull << 30)
#define PROTOCOL_F_MQ        (1ull << 0)
#define PROTOCOL_F_REPLY_ACK (1ull << 3)

/* A backend that does not answer for so long is as good as dead. File servers may sit on a slow disk. */
#define ANSWER_TIMEOUT_MSEC 30000

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
};

static const char *const request_names[] = {
	[GET_FEATURES] = "GET_FEATURES",
	[SET_FEATURES] = "SET_FEATURES",
	[SET_OWNER] = "SET_OWNER",
	[SET_MEM_TABLE] = "SET_MEM_TABLE",
	[SET_VRING_NUM] = "SET_VRING_NUM",
	[SET_VRING_ADDR] = "SET_VRING_ADDR",
	[SET_VRING_BASE] = "SET_VRING_BASE",
	[GET_VRING_BASE] = "GET_VRING_BASE",
	[SET_VRING_KICK] = "SET_VRING_KICK",
	[SET_VRING_CALL] = "SET_VRING_CALL",
	[GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[SET_VRING_ENABLE] = "SET_VRING_ENABLE",
};

struct header {
	uint32_t request, flags, size;
};

struct memory_table {
	uint32_t n, padding;
	struct {
		uint64_t guest, bytes, user, file_offset;
	} region[GUEST_REGIONS_MAX];
};

struct message {
	struct header h;
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct memory_table memory;
	} p;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct header) == 12, "wire format");

static int wait_for(int fd, short events, const struct timespec *until)
{
	struct pollfd p = {.fd = fd, .events = events};
	struct timespec now;
	int64_t left;
	int r;

	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = (until->tv_sec - now.tv_sec) * 1000 +
		       (until->tv_nsec - now.tv_nsec) / 1000000;
		r = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : -errno;
}

static struct timespec deadline(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ANSWER_TIMEOUT_MSEC / 1000;
	return t;
}

static int send_message(const struct vhost_user *vu, const struct message *m, const int *fds,
			unsigned n_fds)
{
	const struct timespec until = deadline();
	size_t len = sizeof(m->h) + m->h.size, done = 0;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(GUEST_REGIONS_MAX * sizeof(int))];
	} control = {0};

	while (done < len) {
		struct iovec iov = {.iov_base = (uint8_t *)(uintptr_t)m + done,
				    .iov_len = len - done};
		struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;
		int r;

		if (done == 0 && n_fds) {
			h.msg_control = control.bytes;
			h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
			control.header.cmsg_level = SOL_SOCKET;
			control.header.cmsg_type = SCM_RIGHTS;
			control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
			memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
		}
		r = wait_for(vu->fd, POLLOUT, &until);
		if (r < 0)
			return r;
		n = sendmsg(vu->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

/* Without room for control messages the kernel closes descriptors that come along. */
static int receive_bytes(const struct vhost_user *vu, void *to, size_t len,
			 const struct timespec *until)
{
	for (size_t done = 0; done < len;) {
		int r = wait_for(vu->fd, POLLIN, until);
		ssize_t n;

		if (r < 0)
			return r;
		n = recv(vu->fd, (uint8_t *)to + done, len - done, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

/* The answer to `request`, whose payload has exactly this size. */
static int receive_answer(const struct vhost_user *vu, enum request request, void *payload,
			  uint32_t size)
{
	const struct timespec until = deadline();
	struct header h;
	int r = receive_bytes(vu, &h, sizeof(h), &until);

	if (r < 0)
		return r;
	if (h.request != request || h.size != size || !(h.flags & FLAG_REPLY) ||
	    (h.flags & FLAGS_VERSION_IN) != FLAGS_VERSION)
		return -EPROTO;
	return receive_bytes(vu, payload, size, &until);
}

static int failed(enum request request, int r, struct err *e)
{
	if (r == -EPROTO)
		return err_set(e, ERR_INTERNAL, EPROTO, "vhost-user %s: an answer that is none",
			       request_names[request]);
	return err_sys(e, r, "vhost-user %s", request_names[request]);
}

/* A setting; waits for its acknowledgement if the backend gives any. */
static int set(const struct vhost_user *vu, enum request request, struct message *m, uint32_t size,
	       const int *fds, unsigned n_fds, struct err *e)
{
	uint64_t status = 0;
	int r;

	m->h = (struct header){
		.request = request,
		.flags = FLAGS_VERSION | (vu->acks ? FLAG_NEED_REPLY : 0),
		.size = size,
	};
	r = send_message(vu, m, fds, n_fds);
	if (r == 0 && vu->acks)
		r = receive_answer(vu, request, &status, sizeof(status));
	if (r < 0)
		return failed(request, r, e);
	if (status)
		return err_set(e, ERR_INTERNAL, EIO, "vhost-user %s: refused (%ju)",
			       request_names[request], (uintmax_t)status);
	return 0;
}

static int set_u64(const struct vhost_user *vu, enum request request, uint64_t value, int fd,
		   struct err *e)
{
	struct message m = {.p.u64 = value};

	return set(vu, request, &m, sizeof(value), &fd, fd >= 0, e);
}

static int set_state(const struct vhost_user *vu, enum request request, unsigned index,
		     unsigned num, struct err *e)
{
	struct message m = {.p.state = {.index = index, .num = num}};

	return set(vu, request, &m, sizeof(m.p.state), NULL, 0, e);
}

static int get_u64(const struct vhost_user *vu, enum request request, uint64_t *ret, struct err *e)
{
	const struct message m = {.h = {.request = request, .flags = FLAGS_VERSION}};
	uint64_t value;
	int r = send_message(vu, &m, NULL, 0);

	if (r == 0)
		r = receive_answer(vu, request, &value, sizeof(value));
	if (r < 0)
		return failed(request, r, e);
	*ret = value;
	return 0;
}

int vhost_user_open(struct vhost_user *vu, int fd, struct err *e)
{
	struct message owner = {0};
	uint64_t protocol = 0;
	int r;

	*vu = (struct vhost_user){.fd = fd};
	r = get_u64(vu, GET_FEATURES, &vu->features, e);
	if (r == 0 && vu->features & F_PROTOCOL_FEATURES) {
		r = get_u64(vu, GET_PROTOCOL_FEATURES, &protocol, e);
		protocol &= PROTOCOL_F_MQ | PROTOCOL_F_REPLY_ACK;
		if (r == 0)
			r = set_u64(vu, SET_PROTOCOL_FEATURES, protocol, -1, e);
		vu->has_protocol = true;
		vu->acks = protocol & PROTOCOL_F_REPLY_ACK;
	}
	if (r == 0)
		r = set(vu, SET_OWNER, &owner, 0, NULL, 0, e);
	if (r < 0)
		vhost_user_close(vu);
	return r;
}

void vhost_user_close(struct vhost_user *vu)
{
	vu->fd = fd_close(vu->fd);
}

int vhost_user_set_features(struct vhost_user *vu, uint64_t features, struct err *e)
{
	return set_u64(vu, SET_FEATURES, features | (vu->has_protocol ? F_PROTOCOL_FEATURES : 0),
		       -1, e);
}

int vhost_user_set_memory(struct vhost_user *vu, const struct guest_memory *m, struct err *e)
{
	struct message msg = {0};
	int fds[GUEST_REGIONS_MAX];

	for (unsigned i = 0; i < m->n_regions; i++) {
		msg.p.memory.region[i].guest = m->region[i].start;
		msg.p.memory.region[i].bytes = m->region[i].bytes;
		msg.p.memory.region[i].user = m->region[i].start;
		msg.p.memory.region[i].file_offset = m->region[i].file_offset;
		fds[i] = m->fd;
	}
	msg.p.memory.n = m->n_regions;
	return set(vu, SET_MEM_TABLE, &msg,
		   (uint32_t)(8 + m->n_regions * sizeof(msg.p.memory.region[0])), fds, m->n_regions,
		   e);
}

int vhost_user_start_queue(struct vhost_user *vu, unsigned index, const struct virtq *q,
			   int kick_fd, int call_fd, struct err *e)
{
	struct message addr = {.p.addr = {
				       .index = index,
				       .desc_user_addr = q->desc,
				       .used_user_addr = q->used,
				       .avail_user_addr = q->avail,
			       }};
	int r = set_state(vu, SET_VRING_NUM, index, q->size, e);

	if (r == 0)
		r = set_state(vu, SET_VRING_BASE, index, 0, e);
	if (r == 0)
		r = set(vu, SET_VRING_ADDR, &addr, sizeof(addr.p.addr), NULL, 0, e);
	/* The call first: the kick's descriptor is what starts the queue. */
	if (r == 0)
		r = set_u64(vu, SET_VRING_CALL, index, call_fd, e);
	if (r == 0)
		r = set_u64(vu, SET_VRING_KICK, index, kick_fd, e);
	if (r == 0 && vu->has_protocol)
		r = set_state(vu, SET_VRING_ENABLE, index, 1, e);
	return r < 0 ? err_wrap(e, "start queue %u", index) : 0;
}

int vhost_user_stop_queue(struct vhost_user *vu, unsigned index, struct err *e)
{
	struct message m = {
		.h = {.request = GET_VRING_BASE, .flags = FLAGS_VERSION, .size = sizeof(m.p.state)},
		.p.state = {.index = index},
	};
	struct vhost_vring_state answer;
	int r = send_message(vu, &m, NULL, 0);

	if (r == 0)
		r = receive_answer(vu, GET_VRING_BASE, &answer, sizeof(answer));
	if (r == 0 && answer.index != index)
		r = -EPROTO;
	if (r < 0) {
		failed(GET_VRING_BASE, r, e);
		return err_wrap(e, "stop queue %u", index);
	}
	return 0;
}
