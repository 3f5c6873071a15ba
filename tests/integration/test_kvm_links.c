/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ties a guest of our own VMM to the host, through the facade and the VMM's jail: vsock both ways, a tap with TCP
 * both ways, the balloon in and out with the guest's statistics, the shared directory; and several machines in a row and at
 * a time. Where KVM cannot run Linux it is skipped: the lab host (tests/lab/run) can.
 *
 * TEST_BOOTS: how many boots (3). TEST_AT_ONCE: how many at a time (2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "hypervisor/vm.h"

#include "../../hypervisor/cpio.h"
#include "../../hypervisor/modules.h"

#define PATIENCE_SEC  180
#define BALLOON_BYTES (48ull << 20)
#define LINK_BYTES    (1u << 20) /* as in tests/helpers/guest-probe.c */

static char build[256], dir[64], share[80], run_dir[80], vsock_path[80], initramfs[80];
static struct vm_kernel kernel;
static struct err e;

static void ok(int r)
{
	if (r < 0)
		fail_msg("%s", e.text);
}

/* ---- the guest's files -------------------------------------------------------------------------- */

static int modules_dir(void)
{
	char path[512];
	struct dirent *entry;
	DIR *d;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/kernel-tree/lib/modules", build);
	d = opendir(path);
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			fd = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d)
		closedir(d);
	return fd;
}

static void make_initramfs(void)
{
	static const struct kernel_module_want wanted[] = {
		{"virtio_mmio", true},
		{"virtio_console", false},
		{"fuse", false},
		{"virtiofs", false},
		{"virtio_net", false},
		{"virtio_balloon", false},
		{"vmw_vsock_virtio_transport", false},
	};
	static const char *const dirs[] = {"dev", "proc", "sys", "mnt", "modules"};
	struct kernel_modules modules;
	char path[512], name[128], order[4096] = "";
	_cleanup_free_ char *init = NULL;
	_cleanup_close_ int from = modules_dir();
	_cleanup_close_ int to = open(initramfs, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct cpio c = {.fd = to};
	size_t len;

	assert_true(from >= 0 && to >= 0);
	snprintf(path, sizeof(path), "%s/tests/helpers/guest-probe", build);
	ok(path_read_file_at(AT_FDCWD, path, 8 << 20, &init, &len, &e));
	ok(kernel_modules_collect(from, wanted, ARRAY_SIZE(wanted), &modules, &e));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		ok(cpio_add_dir(&c, dirs[i], 0755, &e));
	ok(cpio_add_char_device(&c, "dev/console", 0600, 5, 1, &e));
	ok(cpio_add_file(&c, "init", 0755, init, len, &e));
	for (size_t i = 0; i < modules.n; i++) {
		snprintf(name, sizeof(name), "modules/%02zu.ko", i);
		ok(cpio_add_file(&c, name, 0644, modules.v[i].data, modules.v[i].len, &e));
		snprintf(order + strlen(order), sizeof(order) - strlen(order), "%s\n", name + 8);
	}
	ok(cpio_add_file(&c, "modules/order", 0644, order, strlen(order), &e));
	ok(cpio_finish(&c, &e));
	kernel_modules_done(&modules);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct vm_config config(const char *cmdline)
{
	static const struct log_sink sink = {.fd = -1};

	return (struct vm_config){.name = "links",
				  .kernel = &kernel,
				  .cmdline = cmdline,
				  .engine = VM_ENGINE_KVM,
				  .helper_dir = build,
				  .memory_bytes = 160ull << 20,
				  .vcpus = 1,
				  .share_dir = share,
				  .run_dir = run_dir,
				  .cache_dirfd = -1,
				  .net_tap_fd = -1,
				  .log = &sink};
}

/* ---- waiting ------------------------------------------------------------------------------------ */

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Serve it until a line of the agent's is there. */
static void read_line(struct vm *vm, char *line, size_t size)
{
	int64_t end = now_msec() + PATIENCE_SEC * 1000;
	_cleanup_free_ char *why = NULL;
	size_t len = 0;

	while (!memchr(line, '\n', len)) {
		struct pollfd p[2] = {{.fd = vm_poll_fd(vm), .events = POLLIN},
				      {.fd = vm_agent_fd(vm), .events = POLLIN}};

		if (now_msec() > end)
			fail_msg("the guest is silent; its console: %s", vm_console_tail(vm));
		assert_true(poll(p, 2, 1000) >= 0);
		if (p[1].revents & POLLIN) {
			ssize_t n = read(vm_agent_fd(vm), line + len, size - len - 1);

			len += n > 0 ? (size_t)n : 0;
			line[len] = '\0';
		}
		if (p[0].revents && vm_handle(vm, &why) < 0 && !memchr(line, '\n', len))
			fail_msg("%s; its console: %s", why, vm_console_tail(vm));
	}
}

static void wait_end(struct vm *vm)
{
	int64_t end = now_msec() + PATIENCE_SEC * 1000;
	_cleanup_free_ char *why = NULL;

	for (;;) {
		struct pollfd p = {.fd = vm_poll_fd(vm), .events = POLLIN};

		if (now_msec() > end)
			fail_msg("the guest does not end; its console: %s", vm_console_tail(vm));
		assert_true(poll(&p, 1, 1000) >= 0);
		if (p.revents && vm_handle(vm, &why) < 0)
			break;
	}
	assert_string_equal(why, "the guest powered off");
}

/* ---- the host's side of the links: a process ------------------------------------------------------ */

static void echo(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0, k; done < n; done += k) {
			k = write(fd, buf + done, (size_t)(n - done));
			if (k <= 0)
				_exit(2);
		}
	if (n < 0)
		_exit(3);
	close(fd);
}

/* To the guest's port 5000, which is an echo: in steps, so that nothing waits for itself. */
static void use_guests_echo(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	unsigned char out[4096], in[4096];
	char line[32] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", vsock_path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    write(fd, "CONNECT 5000\n", 13) != 13)
		_exit(4);
	for (size_t n = 0; n < sizeof(line) - 1 && !strchr(line, '\n'); n++)
		if (read(fd, line + n, 1) != 1)
			_exit(5);
	if (strncmp(line, "OK ", 3) != 0)
		_exit(6);
	for (unsigned round = 0; round < LINK_BYTES / sizeof(out); round++) {
		for (size_t i = 0; i < sizeof(out); i++)
			out[i] = (unsigned char)(round * 17 + i * 3);
		if (write(fd, out, sizeof(out)) != sizeof(out) ||
		    recv(fd, in, sizeof(in), MSG_WAITALL) != sizeof(in) ||
		    memcmp(in, out, sizeof(in)) != 0)
			_exit(7);
	}
	close(fd);
}

static pid_t start_host_side(int vsock_service, int tcp_service)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	alarm(PATIENCE_SEC);
	echo(accept(vsock_service, NULL, NULL));
	use_guests_echo();
	echo(accept(tcp_service, NULL, NULL));
	_exit(0);
}

static int listen_unix(const char *suffix)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", vsock_path, suffix);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int open_tap(void)
{
	struct ifreq r = {.ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.9.8.1")};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && s >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &r), 0);
	memcpy(&r.ifr_addr, &a, sizeof(a));
	assert_int_equal(ioctl(s, SIOCSIFADDR, &r), 0);
	a.sin_addr.s_addr = inet_addr("255.255.255.0");
	memcpy(&r.ifr_netmask, &a, sizeof(a));
	assert_int_equal(ioctl(s, SIOCSIFNETMASK, &r), 0);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
	close(s);
	return fd;
}

static int listen_tcp(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* ---- tests -------------------------------------------------------------------------------------- */

/* It answers in its own time. */
static void wait_balloon(struct vm *vm, uint64_t bytes, struct vm_stats *ret)
{
	int64_t end = now_msec() + PATIENCE_SEC * 1000;

	ok(vm_balloon(vm, bytes, &e));
	do {
		struct pollfd p = {.fd = vm_poll_fd(vm), .events = POLLIN};

		if (now_msec() > end)
			fail_msg("the balloon has %ju bytes", (uintmax_t)ret->balloon_bytes);
		if (poll(&p, 1, 50) > 0)
			assert_int_equal(vm_handle(vm, NULL), 0);
		ok(vm_stats(vm, ret, &e));
	} while (ret->balloon_bytes != bytes || ret->guest_answers < 2);
}

static void check_balloon(struct vm *vm)
{
	const uint32_t wanted = 1u << VM_GUEST_FREE_BYTES | 1u << VM_GUEST_TOTAL_BYTES;
	struct vm_stats in, out;

	wait_balloon(vm, BALLOON_BYTES, &in);
	assert_int_equal(in.guest_known & wanted, wanted);
	assert_true(in.guest[VM_GUEST_TOTAL_BYTES] < 160ull << 20);
	assert_true(in.guest[VM_GUEST_FREE_BYTES] < in.guest[VM_GUEST_TOTAL_BYTES]);
	assert_true(in.exits > 0 && in.port_accesses > 0 && in.mmio_accesses > 0);
	wait_balloon(vm, 0, &out);
	assert_true(out.exits > in.exits);
	assert_true(vm_balloon(vm, 1ull << 40, &e) < 0);
	assert_non_null(strstr(e.text, "balloon"));
}

static void test_links_both_ways(void **state)
{
	const struct vm_vsock vsock = {.guest_cid = 42, .path = vsock_path};
	_cleanup_close_ int old_net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int tap = -EBADF, tcp = -EBADF, service = -EBADF;
	struct vm_config c = config("net.ifnames=0 probe=links");
	char line[256] = "";
	struct vm *vm;
	int status;
	pid_t host;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	tap = open_tap();
	tcp = listen_tcp();
	service = listen_unix("_80");
	c.vcpus = 2;
	c.net_tap_fd = tap;
	c.vsock = &vsock;
	ok(vm_start(&c, &vm, &e));
	host = start_host_side(service, tcp);
	read_line(vm, line, sizeof(line));
	assert_string_equal(line, "ok\n");
	assert_int_equal(waitpid(host, &status, 0), host);
	assert_int_equal(status, 0);
	check_balloon(vm);
	assert_int_equal(access(vsock_path, F_OK), 0);
	vm_kill(vm);
	assert_int_equal(access(vsock_path, F_OK), -1);
	assert_int_equal(setns(old_net, CLONE_NEWNET), 0);
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)atoi(text) : otherwise;
}

/* Each finds the shared directory, says so, and powers off. */
static void test_boots_in_a_row_and_at_once(void **state)
{
	unsigned boots = number("TEST_BOOTS", 3), at_once = number("TEST_AT_ONCE", 2);

	(void)state;
	assert_in_range(at_once, 1, 32);
	for (unsigned done = 0; done < boots;) {
		unsigned n = boots - done < at_once ? boots - done : at_once;
		struct vm *vm[32];

		for (unsigned i = 0; i < n; i++) {
			struct vm_config c = config("probe=report");
			char name[32];

			snprintf(name, sizeof(name), "vm%u", i);
			c.name = name;
			c.vcpus = 1 + (done + i) % 2;
			ok(vm_start(&c, &vm[i], &e));
		}
		for (unsigned i = 0; i < n; i++) {
			char line[256] = "", want[32];

			read_line(vm[i], line, sizeof(line));
			snprintf(want, sizeof(want), " cpus=%u ", 1 + (done + i) % 2);
			if (!strstr(line, want) || !strstr(line, " hello=from-host "))
				fail_msg("boot %u: %s", done + i, line);
			wait_end(vm[i]);
			vm_kill(vm[i]);
		}
		done += n;
	}
}

static int set_up(void **state)
{
	char exe[256] = {0}, path[320];

	(void)state;
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) <= 0)
		return -1;
	for (unsigned i = 0; i < 3; i++)
		*strrchr(exe, '/') = 0;
	snprintf(build, sizeof(build), "%s", exe);
	snprintf(dir, sizeof(dir), "/tmp/insula-test-links.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(share, sizeof(share), "%s/share", dir);
	snprintf(run_dir, sizeof(run_dir), "%s/run", dir);
	snprintf(vsock_path, sizeof(vsock_path), "%s/vsock", dir);
	snprintf(initramfs, sizeof(initramfs), "%s/initramfs", dir);
	if (mkdir(share, 0755) < 0 || mkdir(run_dir, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/hello", share);
	write_text(path, "from-host\n");
	make_initramfs();
	snprintf(path, sizeof(path), "%s/guest", build);
	ok(vm_kernel_find((char *[]){path, NULL}, &kernel, &e));
	free(kernel.initramfs);
	kernel.initramfs = strdup(initramfs);
	return 0;
}

static int tear_down(void **state)
{
	_cleanup_close_ int tmp = path_open_dir("/tmp", NULL);

	(void)state;
	vm_kernel_done(&kernel);
	return path_remove_tree_at(tmp, strrchr(dir, '/') + 1, NULL);
}

/* A CID that is none of a guest's, a path that is no socket's, another engine. */
static void test_vsock_refusals(void **state)
{
	char long_path[200];
	struct vm_vsock v = {.guest_cid = 2, .path = "/run/x"};
	struct vm_config c = config(NULL);
	struct vm_kernel some = {.image = (char *)"/bin/sh", .initramfs = (char *)"/bin/sh"};

	(void)state;
	c.kernel = &some;
	c.share_dir = NULL;
	c.vsock = &v;
	assert_int_equal(vm_config_check(&c, &e), -EINVAL);
	assert_non_null(strstr(e.text, "CID 2"));
	v.guest_cid = 3;
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	v.path = long_path;
	assert_int_equal(vm_config_check(&c, &e), -EINVAL);
	assert_non_null(strstr(e.text, "too long"));
	v.path = "relative";
	assert_int_equal(vm_config_check(&c, &e), -EINVAL);
	v.path = "/run/x";
	c.engine = VM_ENGINE_QEMU;
	if (vm_config_check(&c, &e) != -ENOENT) { /* there is a QEMU */
		assert_int_equal(e.kind, ERR_UNSUPPORTED);
		assert_non_null(strstr(e.text, "vsock"));
	}
}

int main(void)
{
	const struct CMUnitTest refusals[] = {cmocka_unit_test(test_vsock_refusals)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links_both_ways),
		cmocka_unit_test(test_boots_in_a_row_and_at_once),
	};
	_cleanup_free_ char *why = NULL;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_ONLY"))
		cmocka_set_test_filter(getenv("TEST_ONLY"));
	failed = cmocka_run_group_tests_name("refusals", refusals, NULL, NULL);
	if (vm_kvm_probe(-1, &why) != VM_KVM_WORKS) {
		print_message("# skip: links and boots: %s\n", why ? why : "no KVM");
		return failed != 0;
	}
	failed += cmocka_run_group_tests_name("links", tests, set_up, tear_down);
	return failed != 0;
}
