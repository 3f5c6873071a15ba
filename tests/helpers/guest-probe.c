/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest program for tests of the hypervisor folder: /init of a guest that speaks no protocol. It
 * loads the modules, finds the agent's port and the shared tree, and does what the kernel's command
 * line asks by `probe=`:
 *
 *	report  write one line of "key=value" words to the port, then power off
 *	echo    write "ready", then send back every line that it reads
 *	panic   end init, so that the kernel panics
 *	flood   write "ready", then print to the console for ever
 *	links   data through vsock and network with an echo on the host, and as an echo for the host; write "ok", or what
 *	        failed; then as echo
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT "org.insula.agent"

static void die(const char *what)
{
	printf("guest-probe: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static int load_modules(void)
{
	FILE *order = fopen("/modules/order", "re");
	char name[128], path[192];
	int n = 0;

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
		n++;
	}
	fclose(order);
	return n;
}

static int open_port(void)
{
	for (int attempt = 0; attempt < 1000; attempt++) {
		DIR *d = opendir("/sys/class/virtio-ports");
		struct dirent *de;
		char path[512], name[64];

		while (d && (de = readdir(d))) {
			FILE *f;

			snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", de->d_name);
			f = fopen(path, "re");
			if (!f)
				continue;
			if (fgets(name, sizeof(name), f) && strcmp(name, PORT "\n") == 0) {
				fclose(f);
				snprintf(path, sizeof(path), "/dev/%s", de->d_name);
				closedir(d);
				return open(path, O_RDWR | O_CLOEXEC);
			}
			fclose(f);
		}
		if (d)
			closedir(d);
		usleep(10000);
	}
	return -1;
}

/* The first word of a file of the shared tree, or "-". */
static void read_share(char *buf, size_t size)
{
	int fd;
	ssize_t n;

	snprintf(buf, size, "-");
	if (mount("insula", "/mnt", "virtiofs", 0, NULL) < 0)
		return;
	fd = open("/mnt/hello", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, size - 1);
	if (n > 0)
		buf[n] = '\0';
	buf[strcspn(buf, " \n")] = '\0';
	close(fd);
	fd = open("/mnt/from-guest", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0 && write(fd, "hi\n", 3) == 3)
		close(fd);
}

static void report(int port, int modules)
{
	char line[512], word[64];
	struct utsname u;
	long kib = sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024);
	int n, node;

	uname(&u);
	read_share(word, sizeof(word));
	/* A device node in the host's tree must not be possible. */
	node = mknod("/mnt/node", S_IFCHR | 0666, 0x103) < 0 ? errno : 0;
	n = snprintf(line, sizeof(line),
		     "release=%s cpus=%ld memory_kib=%ld modules=%d hello=%s mknod=%d\n", u.release,
		     sysconf(_SC_NPROCESSORS_ONLN), kib, modules, word, node);
	if (write(port, line, (size_t)n) != n)
		die("write report");
}

static void echo(int port)
{
	char buf[4096];
	ssize_t n;

	if (write(port, "ready\n", 6) != 6)
		die("write");
	while ((n = read(port, buf, sizeof(buf))) > 0)
		if (write(port, buf, (size_t)n) != n)
			die("write");
}

static void flood(int port)
{
	static const char junk[] = "\033]0;title\007\033[31mred\033[0m \001\002\377 endless\n";

	if (write(port, "ready\n", 6) != 6)
		die("write");
	for (;;)
		if (write(STDOUT_FILENO, junk, sizeof(junk) - 1) < 0)
			die("console");
}

/* ---- links ------------------------------------------------------------------------------------ */

#define LINK_BYTES (1u << 20)
#define CHUNK      65536u

static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static void send_pattern(int fd)
{
	static unsigned char buf[CHUNK];

	for (size_t at = 0; at < LINK_BYTES;) {
		size_t done = 0;

		for (size_t i = 0; i < CHUNK; i++)
			buf[i] = pattern(at + i);
		while (done < CHUNK) {
			ssize_t n = write(fd, buf + done, CHUNK - done);

			if (n <= 0)
				_exit(1);
			done += (size_t)n;
		}
		at += CHUNK;
	}
	shutdown(fd, SHUT_WR);
	_exit(0);
}

/* What goes out comes back, byte by byte, while more goes out. NULL, or what failed. */
static const char *exchange(int fd)
{
	static unsigned char buf[CHUNK];
	pid_t writer = fork();
	size_t at = 0;
	ssize_t n;
	int status;

	if (writer == 0)
		send_pattern(fd);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (buf[i] != pattern(at))
				return "other bytes came back";
	if (waitpid(writer, &status, 0) != writer || status)
		return "sending failed";
	return at == LINK_BYTES ? NULL : "not all came back";
}

static const char *through_vsock(void)
{
	struct sockaddr_vm here = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 5000};
	struct sockaddr_vm host = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = 80};
	struct sockaddr_vm nobody = host;
	static char buf[CHUNK];
	int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *r;
	ssize_t n;

	if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 ||
	    listen(listener, 1) < 0)
		return "vsock: listen";
	nobody.svm_port = 81;
	if (connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)) == 0 || errno != ECONNRESET)
		return "vsock: a port where nobody listens";
	close(fd);
	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0)
		return "vsock: connect";
	if ((r = exchange(fd)))
		return r;
	close(fd);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			return "vsock: echo";
	close(fd);
	return n == 0 ? NULL : "vsock: accept";
}

static const char *through_network(void)
{
	struct ifreq r = {.ifr_name = "eth0"};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.9.8.2")};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&r.ifr_addr, &a, sizeof(a));
	if (ioctl(fd, SIOCSIFADDR, &r) < 0)
		return "network: set the address";
	a.sin_addr.s_addr = inet_addr("255.255.255.0");
	memcpy(&r.ifr_netmask, &a, sizeof(a));
	if (ioctl(fd, SIOCSIFNETMASK, &r) < 0)
		return "network: set the mask";
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return "network: up";
	a.sin_addr.s_addr = inet_addr("10.9.8.1");
	a.sin_port = htons(80);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return "network: connect";
	return exchange(fd);
}

static void links(int port)
{
	const char *r = through_vsock();
	char line[128];

	if (!r)
		r = through_network();
	snprintf(line, sizeof(line), "%s%s%s\n", r ? r : "ok", r ? ": " : "",
		 r ? strerror(errno) : "");
	if (write(port, line, strlen(line)) < 0)
		die("write");
	echo(port);
}

int main(void)
{
	/* The kernel hands words of the form name=value that it does not know to init's environment.
	 */
	const char *what = getenv("probe");
	int port, modules;

	if (!what)
		what = "report";
	if (mount("proc", "/proc", "proc", 0, NULL) < 0 ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) < 0 ||
	    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
		die("mount");
	if (strcmp(what, "panic") == 0)
		return 1;
	modules = load_modules();
	port = open_port();
	if (port < 0)
		die("port");
	if (strcmp(what, "echo") == 0)
		echo(port);
	else if (strcmp(what, "links") == 0)
		links(port);
	else if (strcmp(what, "flood") == 0)
		flood(port);
	else
		report(port, modules);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
