/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /init of the guest that tests/bench/vm.c measures. It marks where it is by a CPUID leaf that means nothing, which
 * the host's tracing sees:
 *
 *	1	init runs
 *	2, 3	before and after REQUESTS reads of 4 KiB from /dev/vda, past the page cache
 *	4, 5	before and after REQUESTS packets to the host's echo and back
 *
 * Then it tells the host that it is at the end, waits for an answer, and powers off.
 */
#include <arpa/inet.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK_LEAF  0x40004d00u
#define REQUESTS   128u
#define BLOCK      4096u
#define DISK_BYTES (16u << 20)

static void die(const char *what)
{
	printf("guest-bench: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* CPUID leaves a guest whoever executes it. */
static void mark(unsigned number)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;

	__cpuid_count(MARK_LEAF, number, a, b, c, d);
#else
	(void)number; /* there is no engine of ours to measure */
#endif
}

static void load_modules(void)
{
	FILE *order = fopen("/modules/order", "re");
	char name[128], path[192];

	if (!order)
		die("/modules/order");
	while (fgets(name, sizeof(name), order)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
			die(path);
		close(fd);
	}
	fclose(order);
}

static void use_disk(void)
{
	int fd = open("/dev/vda", O_RDONLY | O_DIRECT | O_CLOEXEC);
	void *buf = NULL;

	if (fd < 0 || posix_memalign(&buf, BLOCK, BLOCK) || pread(fd, buf, BLOCK, 0) != BLOCK)
		die("/dev/vda");
	mark(2);
	for (unsigned i = 0; i < REQUESTS; i++)
		if (pread(fd, buf, BLOCK, (off_t)(i * 37 % (DISK_BYTES / BLOCK)) * BLOCK) != BLOCK)
			die("read");
	mark(3);
	free(buf);
	close(fd);
}

static int open_network(void)
{
	struct ifreq r = {.ifr_name = "eth0"};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.9.8.2")};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&r.ifr_addr, &a, sizeof(a));
	if (ioctl(fd, SIOCSIFADDR, &r) < 0)
		die("address");
	a.sin_addr.s_addr = inet_addr("255.255.255.0");
	memcpy(&r.ifr_netmask, &a, sizeof(a));
	if (ioctl(fd, SIOCSIFNETMASK, &r) < 0)
		die("mask");
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		die("up");
	a.sin_addr.s_addr = inet_addr("10.9.8.1");
	a.sin_port = htons(7);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("connect");
	return fd;
}

static void ask(int fd, const char *text, size_t size)
{
	char answer[2048];

	if (send(fd, text, size, 0) != (ssize_t)size ||
	    recv(fd, answer, sizeof(answer), 0) != (ssize_t)size)
		die("echo");
}

int main(void)
{
	static char packet[512];
	int fd;

	mark(1);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0 ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) < 0 ||
	    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
		die("mount");
	load_modules();
	use_disk();
	fd = open_network();
	ask(fd, packet, sizeof(packet)); /* the neighbour is known */
	mark(4);
	for (unsigned i = 0; i < REQUESTS; i++)
		ask(fd, packet, sizeof(packet));
	mark(5);
	ask(fd, "end", 3);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
