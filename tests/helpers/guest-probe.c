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
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
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
	else if (strcmp(what, "flood") == 0)
		flood(port);
	else
		report(port, modules);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
