/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest program for the test of our VMM's devices with Linux's own drivers: /init of a guest that uses each of them, writes a
 * line per device ("blk ok", "net failed: …") to the port "test.report", and powers off. The other side is
 * tests/integration/test_kvm_devices.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_packet.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK (256u << 10)

static int report_fd = -1;

static void tell(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	printf("%s", line);
	fflush(stdout);
	if (report_fd >= 0 && write(report_fd, line, (size_t)n) != n)
		printf("report: %s\n", strerror(errno));
}

static int failed(const char *device, const char *step)
{
	tell("%s failed: %s: %s\n", device, step, strerror(errno));
	return -1;
}

static void load_modules(void)
{
	FILE *order = fopen("/modules/order", "re");
	char name[128], path[192];

	while (order && fgets(name, sizeof(name), order)) {
		int fd;

		name[strcspn(name, "\n")] = 0;
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
			printf("module %s: %s\n", name, strerror(errno));
		close(fd);
	}
	if (order)
		fclose(order);
}

/* A port by its name; udev would make the links. */
static int open_port(const char *name)
{
	for (int i = 0; i < 500; i++) {
		for (int k = 0; k < 8; k++) {
			char path[80], got[64] = {0};
			int fd, n;

			snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport%dp%d/name",
				 i % 8, k);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			n = fd >= 0 ? (int)read(fd, got, sizeof(got) - 1) : -1;
			close(fd);
			if (n <= 0 || strncmp(got, name, strlen(name)) != 0)
				continue;
			snprintf(path, sizeof(path), "/dev/vport%dp%d", i % 8, k);
			fd = open(path, O_RDWR | O_CLOEXEC);
			if (fd >= 0)
				return fd;
		}
		usleep(20000);
	}
	return -1;
}

static uint64_t word(uint64_t at)
{
	at = (at + 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
	return at ^ at >> 29;
}

static int test_blk(uint64_t bytes)
{
	int fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC), other;
	uint64_t range[2] = {4096, 1 << 20}, *buf, size = 0;
	char serial[32] = {0};

	if (fd < 0 || posix_memalign((void **)&buf, 4096, CHUNK))
		return failed("blk", "open");
	if (ioctl(fd, BLKGETSIZE64, &size) < 0 || size < bytes)
		return failed("blk", "size");
	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		for (unsigned i = 0; i < CHUNK / 8; i++)
			buf[i] = word(at + i);
		if (pwrite(fd, buf, CHUNK, (off_t)at) != CHUNK)
			return failed("blk", "write");
	}
	if (fsync(fd) < 0)
		return failed("blk", "flush");
	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		if (pread(fd, buf, CHUNK, (off_t)at) != CHUNK)
			return failed("blk", "read");
		for (unsigned i = 0; i < CHUNK / 8; i++)
			if (buf[i] != word(at + i))
				return failed("blk", "compare");
	}
	if (ioctl(fd, BLKDISCARD, range) < 0 || ioctl(fd, BLKZEROOUT, range) < 0)
		return failed("blk", "discard");
	if (pread(fd, buf, 4096, 8192) != 4096 || buf[0] || buf[511])
		return failed("blk", "zeroes");
	other = open("/sys/block/vda/serial", O_RDONLY | O_CLOEXEC);
	if (read(other, serial, sizeof(serial)) <= 0 || strncmp(serial, "test-disk", 9) != 0)
		return failed("blk", "serial");
	close(other);
	other = open("/dev/vdb", O_RDWR | O_CLOEXEC);
	if (other >= 0 && write(other, "x", 1) == 1 && fsync(other) == 0)
		return failed("blk", "read-only disk was written");
	tell("blk ok\n");
	return 0;
}

static int test_net(void)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));
	struct ifreq ifr = {.ifr_name = "eth0"};
	uint8_t out[1514], in[2000];

	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return failed("net", "eth0");
	memcpy(out, ifr.ifr_hwaddr.sa_data, 6); /* it comes back, to us */
	memcpy(out + 6, ifr.ifr_hwaddr.sa_data, 6);
	out[12] = 0x88;
	out[13] = 0xb5;
	ifr.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 || ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		return failed("net", "up");
	addr.sll_ifindex = ifr.ifr_ifindex;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return failed("net", "bind");
	for (unsigned i = 0; i < 500; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		unsigned n = 60 + i * 37 % 1450;

		for (unsigned k = 14; k < n; k++)
			out[k] = (uint8_t)(k + i);
		if (send(fd, out, n, 0) != (ssize_t)n)
			return failed("net", "send");
		do {
			if (poll(&p, 1, 20000) != 1)
				return failed("net", "nothing comes back");
			if (recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &len) !=
			    (ssize_t)n)
				return failed("net", "length");
		} while (from.sll_pkttype == PACKET_OUTGOING);
		if (memcmp(in, out, n) != 0)
			return failed("net", "compare");
	}
	tell("net ok\n");
	return 0;
}

/* Send a pattern and expect it back, in both directions at once. */
static int echo(int fd, size_t bytes)
{
	size_t sent = 0, got = 0;
	uint8_t buf[16384];

	while (got < bytes) {
		struct pollfd p = {.fd = fd,
				   .events = (short)(POLLIN | (sent < bytes ? POLLOUT : 0))};
		ssize_t n;

		if (poll(&p, 1, 20000) != 1)
			return -1;
		if (p.revents & POLLOUT) {
			size_t k = bytes - sent < sizeof(buf) ? bytes - sent : sizeof(buf);

			for (size_t i = 0; i < k; i++)
				buf[i] = (uint8_t)word(sent + i);
			n = send(fd, buf, k, MSG_DONTWAIT);
			sent += n > 0 ? (size_t)n : 0;
		}
		if (p.revents & (POLLIN | POLLHUP)) {
			n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
			for (ssize_t i = 0; i < n; i++)
				if (buf[i] != (uint8_t)word(got + (size_t)i))
					return -1;
			if (n == 0)
				return -1;
			got += n > 0 ? (size_t)n : 0;
		}
	}
	return 0;
}

static int test_vsock(void)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = 80};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), listener;

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return failed("vsock", "connect to the host");
	if (echo(fd, 1 << 20) < 0)
		return failed("vsock", "echo of the host");
	close(fd);
	addr.svm_port = 81;
	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return failed("vsock", "a port where nobody listens");
	close(fd);
	addr.svm_cid = VMADDR_CID_ANY;
	addr.svm_port = 5000;
	listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 1) < 0)
		return failed("vsock", "listen");
	tell("vsock listens\n");
	fd = accept(listener, NULL, NULL);
	if (fd < 0 || echo(fd, 1 << 20) < 0)
		return failed("vsock", "connection of the host");
	close(fd);
	tell("vsock ok\n");
	return 0;
}

static void test_rng(void)
{
	char name[64] = {0}, bytes[64];
	int fd = open("/sys/class/misc/hw_random/rng_current", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, name, sizeof(name) - 1) <= 0 ||
	    strncmp(name, "virtio_rng", 10) != 0) {
		failed("rng", name);
		return;
	}
	close(fd);
	fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, bytes, sizeof(bytes)) <= 0)
		failed("rng", "read");
	else
		tell("rng ok\n");
}

/* Touch most of it, so that the balloon has something to give back. */
static void use_memory(void)
{
	const size_t bytes = 128u << 20;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	memset(p, 1, bytes);
	munmap(p, bytes);
}

static uint64_t parameter(const char *name)
{
	char line[2048] = {0};
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	char *at;

	if (read(fd, line, sizeof(line) - 1) < 0)
		return 0;
	close(fd);
	at = strstr(line, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

int main(void)
{
	char c;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	report_fd = open_port("test.report");
	tell("start\n");
	test_rng();
	test_blk(parameter("test.blk_mib=") << 20);
	test_net();
	test_vsock();
	use_memory();
	/* The host plays with the balloon, and says when it has seen enough. */
	tell("balloon please\n");
	if (report_fd < 0 || read(report_fd, &c, 1) != 1)
		failed("port", "read");
	tell("end\n");
	sync();
	usleep(100000);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
