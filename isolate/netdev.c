/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices of the host that move into a container's network namespace. The kernel takes the addresses off a
 * device that moves, so they are read before and set again. When the namespace goes, the kernel gives hardware
 * back to the host and destroys virtual devices.
 * Spec: OCI runtime-spec config-linux.md "Network Devices"; rtnetlink(7).
 */
#include "netdev.h"

#include <errno.h>
#include <net/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define ADDRESSES_MAX 256
#define REPLY_SIZE    (32u << 10)

struct address {
	struct ifaddrmsg head;
	unsigned char local[16], peer[16], broadcast[4];
	size_t local_len, peer_len, broadcast_len;
};

struct request {
	struct nlmsghdr head;
	char body[256];
};

/* ---- without the kernel ----------------------------------------------------------------------- */

/* As dev_valid_name() of the kernel has it. */
static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < IFNAMSIZ && !STREQ(s, ".") && !STREQ(s, "..") &&
	       strcspn(s, "/: \t\n\v\f\r%") == n;
}

/* "eth%d": the least number that is free in the container. Spec: config-linux.md "Network Devices". */
static bool is_template(const char *s)
{
	size_t n = strlen(s);
	char stem[IFNAMSIZ] = "";

	if (n < 3 || n >= IFNAMSIZ || !STREQ(s + n - 2, "%d"))
		return false;
	memcpy(stem, s, n - 2);
	return is_name(stem);
}

int netdev_check(const struct iso_config *c, struct err *e)
{
	if (c->n_net_devices && c->ns[ISO_NS_NETWORK].mode == ISO_NS_INHERIT) {
		err_invalid(e, "netDevices: the container has the host's network");
		return err_hint(e, "add {\"type\": \"network\"} to linux.namespaces");
	}
	for (size_t i = 0; i < c->n_net_devices; i++) {
		const struct iso_net_device *d = &c->net_devices[i];

		if (!is_name(d->host_name) || (!is_name(d->name) && !is_template(d->name)))
			return err_invalid(e, "netDevices: '%s' is no name of a network device",
					   is_name(d->host_name) ? d->name : d->host_name);
		if (STREQ(d->name, "lo") || STREQ(d->host_name, "lo"))
			return err_invalid(e, "netDevices: 'lo' belongs to its network namespace");
		for (size_t k = 0; k < i; k++)
			if (STREQ(c->net_devices[k].name, d->name) && !is_template(d->name))
				return err_invalid(e, "netDevices: two devices of the name '%s'",
						   d->name);
	}
	return 0;
}

/* ---- rtnetlink -------------------------------------------------------------------------------- */

static void put(struct request *q, int type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	if (len == 0 || NLMSG_ALIGN(q->head.nlmsg_len) + RTA_SPACE(len) > sizeof(*q))
		return; /* a name and a few addresses: it fits */
	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_SPACE(len));
}

static struct request request_of(int type, int flags, const void *head, size_t len)
{
	struct request q = {.head = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
				     .nlmsg_type = (uint16_t)type,
				     .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)}};

	memcpy(q.body, head, len);
	return q;
}

/* Send, and wait for the kernel's answer: 0 or -errno. */
static int ask(int fd, const struct request *q)
{
	char reply[1024];
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	ssize_t n;

	if (send(fd, q, q->head.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, reply, sizeof(reply), 0);
	if (n < 0)
		return -errno;
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static int open_netlink(struct err *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? err_sys(e, errno, "open a netlink socket") : fd;
}

/* The socket stays in the namespace that it was made in; we come back at once. */
static int open_netlink_in(int ns_fd, struct err *e)
{
	_cleanup_close_ int own = iso_ns_open(getpid(), ISO_NS_NETWORK, e), fd = -EBADF;

	if (own < 0)
		return own;
	if (setns(ns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "enter the container's network namespace");
	fd = open_netlink(e);
	if (setns(own, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "return to our network namespace");
	return fd < 0 ? fd : TAKE_FD(fd);
}

/* ---- addresses -------------------------------------------------------------------------------- */

static void take_bytes(const struct rtattr *a, unsigned char *to, size_t size, size_t *ret_len)
{
	if (RTA_PAYLOAD(a) > size)
		return;
	*ret_len = RTA_PAYLOAD(a);
	memcpy(to, RTA_DATA(a), *ret_len);
}

/* One of the device's that is not bound to the link and was not made by the kernel for a time. */
static void take_address(const struct nlmsghdr *h, int index, struct address *v, size_t *n)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	int len = (int)IFA_PAYLOAD(h);
	uint32_t flags = m->ifa_flags;
	struct address a = {.head = *m};

	for (const struct rtattr *r = IFA_RTA(m); RTA_OK(r, len); r = RTA_NEXT(r, len)) {
		if (r->rta_type == IFA_LOCAL)
			take_bytes(r, a.local, sizeof(a.local), &a.local_len);
		else if (r->rta_type == IFA_ADDRESS)
			take_bytes(r, a.peer, sizeof(a.peer), &a.peer_len);
		else if (r->rta_type == IFA_BROADCAST)
			take_bytes(r, a.broadcast, sizeof(a.broadcast), &a.broadcast_len);
		else if (r->rta_type == IFA_FLAGS && RTA_PAYLOAD(r) == sizeof(flags))
			memcpy(&flags, RTA_DATA(r), sizeof(flags));
	}
	if ((int)m->ifa_index == index && m->ifa_scope == RT_SCOPE_UNIVERSE &&
	    (flags & IFA_F_PERMANENT) && *n < ADDRESSES_MAX)
		v[(*n)++] = a;
}

static int read_addresses(int fd, int index, struct address *v, size_t *ret_n, struct err *e)
{
	const struct ifaddrmsg all = {.ifa_family = AF_UNSPEC};
	struct request q = request_of(RTM_GETADDR, NLM_F_DUMP, &all, sizeof(all));
	_cleanup_free_ char *reply = malloc(REPLY_SIZE);

	if (!reply)
		return err_nomem(e);
	if (send(fd, &q, q.head.nlmsg_len, 0) < 0)
		return err_sys(e, errno, "ask for addresses");
	for (;;) {
		ssize_t got = recv(fd, reply, REPLY_SIZE, 0);
		int left = (int)got;

		if (got < 0)
			return err_sys(e, errno, "read addresses");
		for (const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
		     NLMSG_OK(h, (unsigned)left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return err_sys(e, ((const struct nlmsgerr *)NLMSG_DATA(h))->error,
					       "read addresses");
			if (h->nlmsg_type == RTM_NEWADDR)
				take_address(h, index, v, ret_n);
		}
	}
}

static int set_address(int fd, int index, const struct address *a, struct err *e)
{
	struct ifaddrmsg head = {.ifa_family = a->head.ifa_family,
				 .ifa_prefixlen = a->head.ifa_prefixlen,
				 .ifa_index = (unsigned)index};
	struct request q;
	int r;

	/* Duplicates were looked for where it came from; a wait for that would make the address useless at the start. */
	if (head.ifa_family == AF_INET6)
		head.ifa_flags = IFA_F_NODAD;
	q = request_of(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	put(&q, IFA_LOCAL, a->local, a->local_len);
	put(&q, IFA_ADDRESS, a->peer, a->peer_len);
	put(&q, IFA_BROADCAST, a->broadcast, a->broadcast_len);
	r = ask(fd, &q);
	return r < 0 ? err_sys(e, r, "set an address again") : 0;
}

/* ---- moving ----------------------------------------------------------------------------------- */

static int index_of(int fd, const char *name)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, SIOCGIFINDEX, &ifr) < 0 ? -errno : ifr.ifr_ifindex;
}

static int move_link(int fd, int index, int ns_fd, const char *name, struct err *e)
{
	const struct ifinfomsg head = {.ifi_index = index};
	struct request q = request_of(RTM_NEWLINK, NLM_F_ACK, &head, sizeof(head));
	int r;

	put(&q, IFLA_NET_NS_FD, &ns_fd, sizeof(ns_fd));
	put(&q, IFLA_IFNAME, name, strlen(name) + 1);
	r = ask(fd, &q);
	if (r == 0)
		return 0;
	err_sys(e, r, "move it into the container's network namespace as '%s'", name);
	switch (r) {
	case -EPERM:
		return err_hint(e, "it needs CAP_NET_ADMIN on the host");
	case -EEXIST:
		return err_hint(e, "the namespace has a device of that name");
	case -EINVAL:
		return err_hint(
			e, "devices such as bridges and tunnels can be bound to their namespace");
	}
	return r;
}

static int bring_up(int fd, int index, struct err *e)
{
	const struct ifinfomsg head = {
		.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct request q = request_of(RTM_NEWLINK, NLM_F_ACK, &head, sizeof(head));
	int r = ask(fd, &q);

	return r < 0 ? err_sys(e, r, "bring it up") : 0;
}

/* The name that the device gets: its own, or that of the template with the first free number from *number on. */
static int pick_name(int inside, const char *wanted, unsigned *number, char *ret, size_t size,
		     struct err *e)
{
	size_t stem = strlen(wanted) - 2;

	if (!is_template(wanted)) {
		snprintf(ret, size, "%s", wanted);
		return 0;
	}
	for (;; (*number)++) {
		int n = snprintf(ret, size, "%.*s%u", (int)stem, wanted, *number);

		if (n < 0 || (size_t)n >= size)
			return err_set(e, ERR_INVALID, ENFILE, "no number is left for '%s'",
				       wanted);
		if (index_of(inside, ret) < 0)
			return 0;
	}
}

/* In a namespace that others use, too, somebody may take the number that was free. */
static int move_as(int host, int inside, int ns_fd, int index, const struct iso_net_device *d,
		   char *ret_name, size_t size, struct err *e)
{
	unsigned number = 0;
	int r;

	do {
		err_clear(e);
		r = pick_name(inside, d->name, &number, ret_name, size, e);
		if (r == 0)
			r = move_link(host, index, ns_fd, ret_name, e);
		number++;
	} while (r == -EEXIST && is_template(d->name));
	return r;
}

static int move_one(int host, int inside, int ns_fd, const struct iso_net_device *d, struct err *e)
{
	_cleanup_free_ struct address *addresses = calloc(ADDRESSES_MAX, sizeof(*addresses));
	int index = index_of(host, d->host_name), r;
	char name[IFNAMSIZ];
	size_t n = 0;

	if (!addresses)
		return err_nomem(e);
	if (index < 0)
		return err_sys(e, index, "look for it on the host");
	r = read_addresses(host, index, addresses, &n, e);
	if (r == 0)
		r = move_as(host, inside, ns_fd, index, d, name, sizeof(name), e);
	if (r < 0)
		return r;
	index = index_of(inside, name);
	if (index < 0)
		return err_sys(e, index, "look for '%s' in the container", name);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = set_address(inside, index, &addresses[i], e);
	return r < 0 ? r : bring_up(inside, index, e);
}

int netdev_move_all(pid_t pid, const struct iso_config *c, struct err *e)
{
	_cleanup_close_ int ns_fd = -EBADF, host = -EBADF, inside = -EBADF;

	if (c->n_net_devices == 0)
		return 0;
	ns_fd = iso_ns_open(pid, ISO_NS_NETWORK, e);
	if (ns_fd < 0)
		return ns_fd;
	host = open_netlink(e);
	if (host < 0)
		return host;
	inside = open_netlink_in(ns_fd, e);
	if (inside < 0)
		return inside;
	for (size_t i = 0; i < c->n_net_devices; i++) {
		const struct iso_net_device *d = &c->net_devices[i];

		if (move_one(host, inside, ns_fd, d, e) < 0)
			return err_wrap(e, "network device '%s'", d->host_name);
	}
	return 0;
}
