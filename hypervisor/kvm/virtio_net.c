/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between a tap and two queues. Offloads are those that the driver acknowledged: what it may send is the
 * tap's to check (the kernel parses the header of each frame), what it may get is set by TUNSETOFFLOAD.
 *
 * A frame for the guest is read into a buffer of ours first, since its length says how many of the driver's buffers it
 * takes; while there are too few, it waits there and the others wait in the tap. A frame from the guest is written from
 * its buffers at once; while the tap is full, the queue waits.
 */
#include "virtio_net.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define QUEUE_RX       0u
#define QUEUE_TX       1u
#define QUEUE_SIZE     256u
#define BURST          64u
#define HEADER_BYTES   12u
#define FRAME_MIN      14u                           /* an Ethernet header */
#define PACKET_MAX     (HEADER_BYTES + 65535u + 18u) /* the largest IP packet, Ethernet, a VLAN tag */
#define OFFSET_BUFFERS 10u                           /* num_buffers in the header */

_Static_assert(sizeof(struct virtio_net_hdr_v1) == HEADER_BYTES, "wire format");

struct net {
	struct virtio_device d;
	struct virtio_net_config config;
	int fd;
	bool is_socket;
	uint64_t source;
	bool tx_full;
	bool rx_starved;     /* a frame waits for buffers */
	uint32_t packet_len; /* of what waits in packet; 0: nothing */
	struct virtq_chain first, next;
	struct virtq_used used[QUEUE_SIZE];
	uint8_t packet[PACKET_MAX];
};

/* What a tap may hand over only to a driver that can take it. */
static const struct {
	unsigned feature, flag;
} offloads[] = {
	{VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM},
	{VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
	{VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6},
	{VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
};

static struct net *of(struct virtio_device *d)
{
	return (struct net *)(void *)d;
}

static bool link_up(const struct net *n)
{
	return n->config.status & VIRTIO_NET_S_LINK_UP;
}

static void watch(struct net *n)
{
	io_loop_change(n->d.loop, n->source,
		       (n->rx_starved ? 0 : EPOLLIN) | (n->tx_full ? EPOLLOUT : 0));
}

/* ---- to the guest ------------------------------------------------------------------------------- */

static void put_back(struct net *n, unsigned taken)
{
	while (taken)
		virtq_unpop(&n->d.queue[QUEUE_RX], n->used[--taken].head);
}

enum outcome { DELIVERED, NO_BUFFERS, DROPPED };

/* Lay the waiting frame into as many buffers as it needs. */
static enum outcome deliver(struct net *n)
{
	unsigned max = virtio_has(&n->d, VIRTIO_NET_F_MRG_RXBUF) ? n->d.queue[QUEUE_RX].size : 1;
	struct err e = ERR_INIT;
	uint16_t buffers;
	uint32_t done = 0;
	unsigned k = 0;

	while (done < n->packet_len) {
		struct virtq_chain *c = k ? &n->next : &n->first;
		size_t len;

		if (k == max) {
			put_back(n, k);
			return DROPPED;
		}
		if (!virtio_take(&n->d, QUEUE_RX, c)) {
			put_back(n, k);
			return NO_BUFFERS;
		}
		if (c->n_out || !c->in_bytes) {
			err_set(&e, ERR_INVALID, EPROTO, "a buffer for input that is not writable");
			virtio_fail(&n->d, &e);
			return DROPPED;
		}
		len = virtq_copy_in(c, 0, n->packet + done, n->packet_len - done);
		n->used[k++] = (struct virtq_used){.head = c->head, .written = (uint32_t)len};
		done += (uint32_t)len;
	}
	buffers = (uint16_t)k;
	virtq_copy_in(&n->first, OFFSET_BUFFERS, &buffers, sizeof(buffers));
	virtq_push_many(&n->d.queue[QUEUE_RX], n->used, k);
	return DELIVERED;
}

/* The next frame from the host. False: none for now. */
static bool read_packet(struct net *n)
{
	ssize_t len;

	do
		len = read(n->fd, n->packet, sizeof(n->packet));
	while (len < 0 && errno == EINTR);
	if (len <= 0)
		return false;
	/* Never seen from a tap; a socket's peer may send anything. Cut, so that it is dropped as too short. */
	n->packet_len = len >= HEADER_BYTES + FRAME_MIN ? (uint32_t)len : 0;
	return true;
}

static void to_guest(struct net *n)
{
	struct virtio_device *d = &n->d;

	/* A driver without that queue, or one that has failed: the loop is not to spin about it. */
	n->rx_starved = !d->active || !d->queue[QUEUE_RX].active;
	if (n->rx_starved) {
		watch(n);
		return;
	}
	for (unsigned i = 0; i < BURST && d->active; i++) {
		if (!n->packet_len && !read_packet(n))
			break;
		if (!n->packet_len || !link_up(n)) {
			n->packet_len = 0;
			continue;
		}
		if (deliver(n) == NO_BUFFERS) {
			n->rx_starved = true;
			break;
		}
		n->packet_len = 0;
	}
	virtio_signal(d, QUEUE_RX);
	watch(n);
}

/* ---- from the guest ----------------------------------------------------------------------------- */

static ssize_t write_packet(struct net *n, const struct virtq_chain *c)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)c->iov, .msg_iovlen = c->n_out};

	if (n->is_socket)
		return sendmsg(n->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	return writev(n->fd, c->iov, c->n_out);
}

static enum virtio_step from_guest(struct virtio_device *d, unsigned queue, struct virtq_chain *c,
				   struct err *e)
{
	struct net *n = of(d);
	ssize_t r = 0;

	if (c->n_in) {
		err_set(e, ERR_INVALID, EPROTO, "a writable buffer for output");
		return VIRTIO_FAIL;
	}
	if (c->out_bytes >= HEADER_BYTES + FRAME_MIN && c->out_bytes <= PACKET_MAX && link_up(n))
		do
			r = write_packet(n, c);
		while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == ENOBUFS) && !n->tx_full) {
		n->tx_full = true;
		watch(n);
		return VIRTIO_STOP;
	}
	/* What the tap refuses otherwise (a header that makes no sense, a link that is down) is lost, as on a wire. */
	virtq_push(&d->queue[queue], c->head, 0);
	return VIRTIO_NEXT;
}

static void on_tap(void *self, uint32_t events)
{
	struct net *n = self;

	if (n->tx_full && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		n->tx_full = false;
		virtio_run(&n->d, QUEUE_TX, from_guest);
		watch(n);
	}
	if (events & EPOLLIN)
		to_guest(n);
	/* A tap that was taken away, a peer that is gone: the cable is out. */
	if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) {
		io_loop_remove(n->d.loop, &n->source);
		virtio_net_set_link(&n->d, false);
	}
}

static void net_notify(struct virtio_device *d, unsigned queue)
{
	struct net *n = of(d);

	if (queue == QUEUE_RX)
		to_guest(n);
	else if (!n->tx_full)
		virtio_run(d, queue, from_guest);
}

/* ---- the device --------------------------------------------------------------------------------- */

static void net_config_read(struct virtio_device *d, uint32_t offset, void *data, uint32_t len)
{
	virtio_config_copy(&of(d)->config, sizeof(of(d)->config), offset, data, len);
}

/* Spec: 5.1.3.1. */
static bool net_features_ok(_unused_ const struct virtio_device *d, uint64_t features)
{
	static const struct {
		unsigned feature;
		uint64_t needs; /* one of these */
	} rules[] = {
		{VIRTIO_NET_F_GUEST_TSO4, VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM)},
		{VIRTIO_NET_F_GUEST_TSO6, VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM)},
		{VIRTIO_NET_F_GUEST_ECN,
		 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6)},
		{VIRTIO_NET_F_HOST_TSO4, VIRTIO_BIT(VIRTIO_NET_F_CSUM)},
		{VIRTIO_NET_F_HOST_TSO6, VIRTIO_BIT(VIRTIO_NET_F_CSUM)},
		{VIRTIO_NET_F_HOST_ECN,
		 VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (features & VIRTIO_BIT(rules[i].feature) && !(features & rules[i].needs))
			return false;
	return true;
}

static int net_activate(struct virtio_device *d, struct err *e)
{
	struct net *n = of(d);
	unsigned flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offloads); i++)
		if (virtio_has(d, offloads[i].feature))
			flags |= offloads[i].flag;
	if (!n->is_socket && ioctl(n->fd, TUNSETOFFLOAD, flags) < 0)
		return err_sys(e, errno, "set the tap's offloads 0x%x", flags);
	return io_loop_add(d->loop, n->fd, EPOLLIN, on_tap, n, &n->source, e);
}

static void net_reset(struct virtio_device *d)
{
	struct net *n = of(d);

	io_loop_remove(d->loop, &n->source);
	n->tx_full = n->rx_starved = false;
	n->packet_len = 0;
}

static void net_free(struct virtio_device *d)
{
	fd_close(of(d)->fd);
	free(of(d));
}

static const struct virtio_device_ops net_ops = {
	.config_read = net_config_read,
	.features_ok = net_features_ok,
	.activate = net_activate,
	.notify = net_notify,
	.reset = net_reset,
	.free = net_free,
};

void virtio_net_set_link(struct virtio_device *d, bool up)
{
	struct net *n = of(d);

	if (link_up(n) == up)
		return;
	n->config.status ^= VIRTIO_NET_S_LINK_UP;
	d->transport->config_changed(d);
}

/* Is it what we can work with, and which of the guest's offloads can it do? */
static int check_fd(struct net *n, struct err *e)
{
	const unsigned all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	int header = HEADER_BYTES;
	struct ifreq ifr = {0};
	struct stat st;
	int r = fd_set_nonblock(n->fd, true);

	if (r < 0 || fstat(n->fd, &st) < 0)
		return err_sys(e, r < 0 ? r : errno, "tap");
	n->is_socket = S_ISSOCK(st.st_mode);
	if (n->is_socket)
		return 0;
	if (ioctl(n->fd, TUNGETIFF, &ifr) < 0)
		return err_sys(e, errno, "tap: ask for its kind");
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_VNET_HDR) ||
	    !(ifr.ifr_flags & IFF_NO_PI))
		return err_invalid(
			e, "tap '%.*s': it was not made with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR",
			IFNAMSIZ, ifr.ifr_name);
	if (ioctl(n->fd, TUNSETVNETHDRSZ, &header) < 0)
		return err_sys(e, errno, "tap '%.*s': set the header's size", IFNAMSIZ,
			       ifr.ifr_name);
	if (ioctl(n->fd, TUNSETOFFLOAD, all) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(offloads); i++)
			n->d.offered |= VIRTIO_BIT(offloads[i].feature);
	ioctl(n->fd, TUNSETOFFLOAD, 0);
	/* The kernel takes these from any guest. */
	n->d.offered |= VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |
			VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN);
	return 0;
}

int virtio_net_new(const struct virtio_net_setup *setup, struct virtio_device **ret, struct err *e)
{
	_cleanup_close_ int fd = setup->fd;
	struct net *n;
	int r;

	if (setup->mac[0] & 1)
		return err_invalid(e, "network: the MAC address is one of a group");
	if (setup->mtu && setup->mtu < 68)
		return err_invalid(e, "network: an MTU of %u is below 68", setup->mtu);
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_nomem(e);
	n->fd = TAKE_FD(fd);
	n->d.ops = &net_ops;
	n->d.name = "net";
	n->d.id = VIRTIO_ID_NET;
	n->d.offered = VIRTIO_FEATURES_RING | VIRTIO_BIT(VIRTIO_NET_F_MAC) |
		       VIRTIO_BIT(VIRTIO_NET_F_STATUS) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) |
		       (setup->mtu ? VIRTIO_BIT(VIRTIO_NET_F_MTU) : 0);
	n->d.config_bytes = sizeof(n->config);
	n->d.n_queues = 2;
	n->d.queue_size[QUEUE_RX] = n->d.queue_size[QUEUE_TX] = QUEUE_SIZE;
	memcpy(n->config.mac, setup->mac, sizeof(n->config.mac));
	n->config.status = VIRTIO_NET_S_LINK_UP;
	n->config.max_virtqueue_pairs = 1;
	n->config.mtu = setup->mtu;
	r = check_fd(n, e);
	if (r < 0) {
		net_free(&n->d);
		return err_wrap(e, "network");
	}
	*ret = &n->d;
	return 0;
}
