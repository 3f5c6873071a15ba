/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of our own VMM with Linux's drivers: a machine with each of them boots Debian's stock kernel, and
 * tests/helpers/guest-devices.c uses them; this side answers. Where KVM cannot run Linux it is skipped: the lab host
 * (tests/lab/run) can.
 *
 * TEST_BLK_MIB: how much is written to the disk and read again (16).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "hypervisor/vm.h"

#include "../../hypervisor/cpio.h"
#include "../../hypervisor/kvm/acpi.h"
#include "../../hypervisor/kvm/boot_data.h"
#include "../../hypervisor/kvm/kernel_image.h"
#include "../../hypervisor/kvm/layout.h"
#include "../../hypervisor/kvm/machine.h"
#include "../../hypervisor/kvm/power.h"
#include "../../hypervisor/kvm/serial.h"
#include "../../hypervisor/kvm/virtio_balloon.h"
#include "../../hypervisor/kvm/virtio_blk.h"
#include "../../hypervisor/kvm/virtio_console.h"
#include "../../hypervisor/kvm/virtio_mmio.h"
#include "../../hypervisor/kvm/virtio_net.h"
#include "../../hypervisor/kvm/virtio_rng.h"
#include "../../hypervisor/kvm/virtio_vsock.h"
#include "../../hypervisor/modules.h"

#if defined(__x86_64__)

#define MEMORY_BYTES  (256ull << 20)
#define BALLOON_BYTES (64ull << 20)
#define DISK_BYTES    (2ull << 30)
#define GUEST_SECONDS 240
#define CMDLINE \
	"console=ttyS0 quiet panic=-1 cryptomgr.notests no_timer_check reboot=t net.ifnames=0"

struct world {
	char build[256], dir[64], vsock[80];
	struct machine *m;
	struct io_loop *loop;
	struct serial *serial;
	struct power power;
	struct virtio_mmio *t[8];
	struct acpi_virtio where[8];
	unsigned n;
	struct virtio_device *balloon;
	int report, net, disk[2], overlay, console, service;
	uint64_t end_source;
	pthread_t other_side;
	char text[4096]; /* what the guest reported */
	unsigned blk_mib;
	bool played; /* with the balloon */
	uint64_t balloon_reached, freed;
	struct err e;
};

static void ok(struct world *w, int r)
{
	if (r < 0)
		fail_msg("%s", w->e.text);
}

/* ---- the guest's files -------------------------------------------------------------------------- */

static int kernel_modules_dir(struct world *w)
{
	char path[512];
	struct dirent *entry;
	DIR *dir;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/kernel-tree/lib/modules", w->build);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir)
		closedir(dir);
	return fd;
}

static int make_initramfs(struct world *w)
{
	static const struct kernel_module_want wanted[] = {
		{"virtio_mmio", true},
		{"virtio_console", false},
		{"virtio_rng", false},
		{"virtio_blk", false},
		{"virtio_net", false},
		{"virtio_balloon", false},
		{"vmw_vsock_virtio_transport", false},
	};
	static const char *const dirs[] = {"dev", "proc", "sys", "modules"};
	struct kernel_modules modules;
	struct cpio c = {.fd = memfd_create("initramfs", MFD_CLOEXEC)};
	char path[512], name[128], order[4096] = "";
	_cleanup_free_ char *init = NULL;
	_cleanup_close_ int from = kernel_modules_dir(w), file = -EBADF;
	size_t len;

	snprintf(path, sizeof(path), "%s/tests/helpers/guest-devices", w->build);
	file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(from >= 0 && file >= 0);
	ok(w, fd_read_all(file, 8 << 20, &init, &len, path, &w->e));
	ok(w, kernel_modules_collect(from, wanted, ARRAY_SIZE(wanted), &modules, &w->e));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		ok(w, cpio_add_dir(&c, dirs[i], 0755, &w->e));
	ok(w, cpio_add_char_device(&c, "dev/console", 0600, 5, 1, &w->e));
	ok(w, cpio_add_file(&c, "init", 0755, init, len, &w->e));
	for (size_t i = 0; i < modules.n; i++) {
		snprintf(name, sizeof(name), "modules/%02zu.ko", i);
		ok(w, cpio_add_file(&c, name, 0644, modules.v[i].data, modules.v[i].len, &w->e));
		snprintf(order + strlen(order), sizeof(order) - strlen(order), "%s\n", name + 8);
	}
	ok(w, cpio_add_file(&c, "modules/order", 0644, order, strlen(order), &w->e));
	ok(w, cpio_finish(&c, &w->e));
	kernel_modules_done(&modules);
	return c.fd;
}

/* ---- the machine -------------------------------------------------------------------------------- */

static void on_report(void *arg, const char *device, bool fatal, const struct err *error)
{
	(void)fatal;
	machine_end(arg, MACHINE_FAILED, "%s: %s", device, error->text);
}

static void place(struct world *w, struct virtio_device *d)
{
	uint64_t at = VIRTIO_MMIO_START + (uint64_t)w->n * VIRTIO_MMIO_BYTES;
	struct virtio_mmio_setup s = {
		.memory = machine_memory(w->m), .loop = w->loop, .reporter = {on_report, w->m}};
	struct bus_range range;

	ok(w, machine_irq(w->m, VIRTIO_GSI_FIRST + w->n, &s.irq, &w->e));
	ok(w, virtio_mmio_new(&s, d, &w->t[w->n], &w->e));
	range = virtio_mmio_range(w->t[w->n], at);
	ok(w, bus_add(machine_mmio(w->m), &range, &w->e));
	for (unsigned q = 0; q < virtio_mmio_queues(w->t[w->n]); q++)
		ok(w, machine_notify(w->m, at + VIRTIO_MMIO_NOTIFY_OFFSET, q,
				     virtio_mmio_notify_fd(w->t[w->n], q), &w->e));
	w->where[w->n] =
		(struct acpi_virtio){(uint32_t)at, VIRTIO_MMIO_BYTES, VIRTIO_GSI_FIRST + w->n};
	w->n++;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void add_disks(struct world *w)
{
	struct virtio_blk_setup s = {.loop = w->loop, .serial = "test-disk"};
	struct disk_extent x = {.offset = 0};
	struct disk_config c = {.extents = &x, .n = 1};
	struct virtio_device *d;

	for (unsigned i = 0; i < 2; i++) {
		w->disk[i] = memfd_create("disk", MFD_CLOEXEC);
		assert_int_equal(ftruncate(w->disk[i], i ? 1 << 20 : (off_t)DISK_BYTES), 0);
		x.fd = w->disk[i];
		c.read_only = i == 1;
		c.overlay_fd = i == 0 ? w->overlay : -1;
		ok(w, disk_open(&c, &s.disk, &w->e));
		ok(w, virtio_blk_new(&s, &d, &w->e));
		place(w, d);
	}
}

static void add_devices(struct world *w)
{
	const int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	struct virtio_vsock_setup vsock = {.guest_cid = 42, .path = w->vsock};
	struct virtio_net_setup net = {.mac = {2, 0, 0, 0, 0, 0x17}};
	struct virtio_console_port port = {.name = "test.report"};
	struct virtio_device *d;
	char path[100];
	int sv[2];

	ok(w, virtio_rng_new(&d, &w->e));
	place(w, d);
	assert_int_equal(socketpair(AF_UNIX, kind, 0, sv), 0);
	port.in_fd = port.out_fd = sv[0];
	w->report = sv[1];
	ok(w, virtio_console_new(&port, 1, &d, &w->e));
	close(sv[0]);
	place(w, d);
	add_disks(w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sv), 0);
	net.fd = sv[0];
	w->net = sv[1];
	ok(w, virtio_net_new(&net, &d, &w->e));
	place(w, d);
	vsock.listen_fd = listen_at(w->vsock);
	snprintf(path, sizeof(path), "%s_80", w->vsock);
	w->service = listen_at(path);
	ok(w, virtio_vsock_new(&vsock, &d, &w->e));
	place(w, d);
	ok(w, virtio_balloon_new(&w->balloon, &w->e));
	place(w, w->balloon);
}

static void on_power(void *arg, enum power_event event)
{
	machine_end(arg, event == POWER_OFF ? MACHINE_POWERED_OFF : MACHINE_RESTARTED, "power");
}

static void on_end(void *self, uint32_t events)
{
	struct world *w = self;

	(void)events;
	io_loop_stop(w->loop);
	io_loop_change(w->loop, w->end_source, 0);
}

static void build_machine(struct world *w)
{
	struct machine_setup s = {.kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC),
				  .memory_bytes = MEMORY_BYTES,
				  .vcpus = 2};
	struct bus_range range;
	struct irq_line irq;
	int sv[2];

	ok(w, machine_new(&s, &w->m, &w->e));
	ok(w, io_loop_new(&w->loop, &w->e));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	w->console = sv[1];
	ok(w, machine_irq(w->m, SERIAL_GSI, &irq, &w->e));
	ok(w, serial_new(w->loop, sv[0], irq, &w->serial, &w->e));
	range = serial_range(w->serial, SERIAL_PORT);
	ok(w, bus_add(machine_ports(w->m), &range, &w->e));
	w->power = (struct power){on_power, w->m};
	range = power_range(&w->power, POWER_PORT);
	ok(w, bus_add(machine_ports(w->m), &range, &w->e));
	add_devices(w);
	ok(w,
	   io_loop_add(w->loop, machine_end_fd(w->m), EPOLLIN, on_end, w, &w->end_source, &w->e));
}

static void load_guest(struct world *w)
{
	struct guest_memory *mem = machine_memory(w->m);
	struct acpi_config acpi = {.vcpus = 2, .virtio = w->where, .n_virtio = w->n};
	_cleanup_close_ int kernel = -EBADF, initramfs = make_initramfs(w);
	struct loaded_kernel k;
	struct x86_start start;
	uint64_t at, bytes;
	char text[512];

	snprintf(text, sizeof(text), "%s/guest/vmlinux", w->build);
	kernel = open(text, O_RDONLY | O_CLOEXEC);
	ok(w, kernel_image_load(kernel, KERNEL_ENTRY_AUTO, mem, &k, &w->e));
	ok(w, initrd_load(initramfs, &k, mem, &at, &bytes, &w->e));
	snprintf(text, sizeof(text), CMDLINE " test.blk_mib=%u", w->blk_mib);
	ok(w, boot_data_write(mem, &k, text, at, bytes, &w->e));
	ok(w, acpi_write(mem, &acpi, &w->e));
	start = (struct x86_start){.entry = k.entry, .rip = k.rip};
	ok(w, machine_create_vcpus(w->m, &start, &w->e));
}

/* ---- the other side of the devices: one thread --------------------------------------------------- */

#define ECHOES 2

struct echo {
	int fd;
	uint8_t held[65536];
	size_t n;
};

static void echo_on(struct echo *x, short events)
{
	ssize_t n;

	if (events & (POLLIN | POLLHUP)) {
		n = recv(x->fd, x->held + x->n, sizeof(x->held) - x->n, MSG_DONTWAIT);
		if (n > 0)
			x->n += (size_t)n;
		else if (n == 0)
			x->fd = fd_close(x->fd);
	}
	if (x->fd >= 0 && x->n && events & POLLOUT) {
		n = send(x->fd, x->held, x->n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			memmove(x->held, x->held + n, x->n - (size_t)n);
			x->n -= (size_t)n;
		}
	}
}

/* The host's connection to the guest's port 5000; after its greeting it is an echo as well. */
static int connect_guest(struct world *w)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[32];
	size_t n = 0;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", w->vsock);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    write(fd, "CONNECT 5000\n", 13) != 13)
		return -1;
	while (n < sizeof(line) && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	return strncmp(line, "OK ", 3) == 0 ? fd : -1;
}

static uint64_t memory_blocks(struct world *w)
{
	struct stat st;

	return fstat(machine_memory(w->m)->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static uint64_t wait_balloon(struct world *w, uint64_t target)
{
	uint64_t got = 0;

	io_loop_lock(w->loop);
	virtio_balloon_set_target(w->balloon, target);
	io_loop_unlock(w->loop);
	for (int i = 0; i < 600; i++) {
		io_loop_lock(w->loop);
		got = virtio_balloon_actual(w->balloon);
		io_loop_unlock(w->loop);
		if (got == target || machine_ended(w->m, NULL, 0) != MACHINE_RUNS)
			break;
		poll(NULL, 0, 50);
	}
	return got;
}

/* In and out again. */
static void play_balloon(struct world *w)
{
	uint64_t before = memory_blocks(w);

	w->played = true;
	w->balloon_reached = wait_balloon(w, BALLOON_BYTES);
	w->freed = before - memory_blocks(w);
	if (wait_balloon(w, 0) != 0)
		w->balloon_reached = 0;
	(void)!write(w->report, "g", 1);
}

/* Lines of the guest; what they ask for is done here. */
static void on_report_bytes(struct world *w, struct echo *vsock)
{
	size_t have = strlen(w->text);
	ssize_t n = recv(w->report, w->text + have, sizeof(w->text) - 1 - have, MSG_DONTWAIT);

	if (n <= 0)
		return;
	if (strstr(w->text, "vsock listens\n") && vsock->fd < 0 && !strstr(w->text, "vsock ok\n"))
		vsock->fd = connect_guest(w);
	if (strstr(w->text, "balloon please\n") && !w->played)
		play_balloon(w);
}

static void *other_side(void *arg)
{
	static struct echo vsock[ECHOES];
	struct world *w = arg;
	uint8_t frame[70000];

	vsock[0].fd = vsock[1].fd = -1;
	while (machine_ended(w->m, NULL, 0) == MACHINE_RUNS) {
		struct pollfd p[6] = {{w->net, POLLIN, 0},
				      {w->report, POLLIN, 0},
				      {w->console, POLLIN, 0},
				      {w->service, POLLIN, 0}};
		ssize_t n;

		for (unsigned i = 0; i < ECHOES; i++)
			p[4 + i] = (struct pollfd){
				vsock[i].fd,
				(short)((vsock[i].n < sizeof(vsock[i].held) ? POLLIN : 0) |
					(vsock[i].n ? POLLOUT : 0)),
				0};
		if (poll(p, 6, 200) <= 0)
			continue;
		if (p[0].revents & POLLIN) {
			n = recv(w->net, frame, sizeof(frame), MSG_DONTWAIT);
			if (n > 0)
				(void)!send(w->net, frame, (size_t)n, 0);
		}
		if (p[1].revents)
			on_report_bytes(w, &vsock[1]);
		if (p[2].revents) {
			n = recv(w->console, frame, sizeof(frame), MSG_DONTWAIT);
			if (n > 0)
				(void)!write(2, frame, (size_t)n);
		}
		if (p[3].revents && vsock[0].fd < 0)
			vsock[0].fd = accept4(w->service, NULL, NULL, SOCK_CLOEXEC);
		for (unsigned i = 0; i < ECHOES; i++)
			if (vsock[i].fd >= 0 && p[4 + i].fd == vsock[i].fd)
				echo_on(&vsock[i], p[4 + i].revents);
	}
	for (unsigned i = 0; i < ECHOES; i++)
		fd_close(vsock[i].fd);
	return NULL;
}

/* ---- the test ----------------------------------------------------------------------------------- */

static void prepare(struct world *w)
{
	const char *mib = getenv("TEST_BLK_MIB");
	char exe[256] = {0};

	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	for (unsigned i = 0; i < 3; i++)
		*strrchr(exe, '/') = 0;
	snprintf(w->build, sizeof(w->build), "%s", exe);
	snprintf(w->dir, sizeof(w->dir), "/tmp/insula-test-devices.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->vsock, sizeof(w->vsock), "%s/v", w->dir);
	w->blk_mib = mib ? (unsigned)atoi(mib) : 16;
	w->overlay = memfd_create("overlay", MFD_CLOEXEC);
	w->report = w->net = w->console = -1;
}

static void clean_up(struct world *w)
{
	char path[100];

	machine_stop(w->m);
	pthread_join(w->other_side, NULL);
	while (w->n)
		virtio_mmio_free(w->t[--w->n]);
	serial_free(w->serial);
	io_loop_remove(w->loop, &w->end_source);
	machine_free(w->m);
	io_loop_free(w->loop);
	unlink(w->vsock);
	snprintf(path, sizeof(path), "%s_80", w->vsock);
	unlink(path);
	rmdir(w->dir);
}

static void *watchdog(void *arg)
{
	struct world *w = arg;
	struct pollfd p = {.fd = machine_end_fd(w->m), .events = POLLIN};

	int seconds = GUEST_SECONDS + 2 * (int)w->blk_mib;

	if (poll(&p, 1, seconds * 1000) == 0)
		machine_end(w->m, MACHINE_STOPPED, "the guest took longer than %d seconds",
			    seconds);
	return NULL;
}

static void test_linux_uses_every_device(void **state)
{
	static const char *const wanted[] = {"rng ok\n", "blk ok\n", "net ok\n", "vsock ok\n",
					     "end\n"};
	static struct world w;
	struct stat disk;
	enum machine_end end;
	pthread_t dog;
	_cleanup_free_ char *weak = NULL;
	char why[256] = "";

	(void)state;
	if (vm_kvm_probe(-1, &weak) != VM_KVM_WORKS) {
		print_message("# skip: %s\n", weak ? weak : "no KVM");
		skip();
	}
	prepare(&w);
	build_machine(&w);
	load_guest(&w);
	assert_int_equal(pthread_create(&w.other_side, NULL, other_side, &w), 0);
	assert_int_equal(pthread_create(&dog, NULL, watchdog, &w), 0);
	ok(&w, machine_run(w.m, &w.e));
	ok(&w, io_loop_run(w.loop, &w.e));
	pthread_join(dog, NULL);
	end = machine_ended(w.m, why, sizeof(why));
	clean_up(&w);
	print_message("%s", w.text);
	if (end != MACHINE_POWERED_OFF)
		fail_msg("the machine ended otherwise: %s", why);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!strstr(w.text, wanted[i]))
			fail_msg("no '%.*s' in the guest's report", (int)strcspn(wanted[i], "\n"),
				 wanted[i]);
	assert_int_equal(w.balloon_reached, BALLOON_BYTES);
	assert_true(w.freed > BALLOON_BYTES / 4);
	/* All that was written is in the overlay. */
	assert_int_equal(fstat(w.disk[0], &disk), 0);
	assert_int_equal(disk.st_blocks, 0);
}

#else

/* Our VMM is for x86-64. */
static void test_linux_uses_every_device(void **state)
{
	(void)state;
	print_message("# skip: our VMM is for x86-64\n");
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_linux_uses_every_device)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
