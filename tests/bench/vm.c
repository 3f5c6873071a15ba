/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own VMM beside QEMU's microvm and q35 machines, all on KVM, with the same kernel (the extracted vmlinux, which QEMU
 * enters by PVH), initramfs, memory, disk and network. Counted, not timed: it runs in the lab with tests/lab/run -i,
 * where the processor's time stamp counts instructions. What it reads is the kernel's own trace:
 *
 *	start		from the start of the command to the first entry into the guest
 *	guest, exits	instructions between entries and exits, and exits, from there to the guest's init
 *	memory		anonymous memory of the VMM at the end, and that of its files; the guest's is shared memory
 *	block, net	exits and system calls of the VMM per request (tests/helpers/guest-bench.c)
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "hypervisor/vm.h"

#include "../../hypervisor/cpio.h"
#include "../../hypervisor/modules.h"

#define TRACING    "/sys/kernel/tracing"
#define REQUESTS   128 /* as in tests/helpers/guest-bench.c */
#define DISK_BYTES (16 << 20)
#define MEMORY_MIB 256
#define WORDS      "quiet panic=-1 cryptomgr.notests net.ifnames=0"
#define GUEST_SEC  600
#define PHASES     6
#define TAP_FD     50
#define CONSOLE    "/run/bench-vm.console"
#define QEMU       "/usr/bin/qemu-system-x86_64"

static char build[256], initramfs[] = "/run/bench-vm.initramfs", disk[] = "/run/bench-vm.disk";
static struct vm_kernel kernel;

struct result {
	const char *name;
	bool ok;
	uint64_t start; /* instructions from the command to the first entry */
	uint64_t guest; /* instructions of the guest from there to its init */
	uint64_t exits[PHASES], calls[PHASES]; /* by mark */
	long anonymous_kib, file_kib;
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void trace(const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), TRACING "/%s", file);
	put(path, text);
}

/* ---- ingredients -------------------------------------------------------------------------------- */

static void make_initramfs(void)
{
	static const struct kernel_module_want wanted[] = {
		{"virtio_mmio", true},
		{"virtio_pci", true},
		{"virtio_blk", true},
		{"virtio_net", true},
	};
	static const char *const dirs[] = {"dev", "proc", "sys", "modules"};
	struct cpio c = {.fd = open(initramfs, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
	struct kernel_modules modules;
	struct err e = ERR_INIT;
	char path[512], name[128], order[4096] = "", *init = NULL;
	int from, r = 0;
	size_t len;

	snprintf(path, sizeof(path), "%s/kernel-tree/lib/modules/%s", build, kernel.release);
	from = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/tests/helpers/guest-bench", build);
	if (from < 0 || path_read_file_at(AT_FDCWD, path, 8 << 20, &init, &len, &e) < 0 ||
	    kernel_modules_collect(from, wanted, ARRAY_SIZE(wanted), &modules, &e) < 0)
		die("ingredients of the guest");
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		r |= cpio_add_dir(&c, dirs[i], 0755, &e);
	r |= cpio_add_char_device(&c, "dev/console", 0600, 5, 1, &e);
	r |= cpio_add_file(&c, "init", 0755, init, len, &e);
	for (size_t i = 0; i < modules.n; i++) {
		snprintf(name, sizeof(name), "modules/%02zu.ko", i);
		r |= cpio_add_file(&c, name, 0644, modules.v[i].data, modules.v[i].len, &e);
		snprintf(order + strlen(order), sizeof(order) - strlen(order), "%s\n", name + 8);
	}
	r |= cpio_add_file(&c, "modules/order", 0644, order, strlen(order), &e);
	if (r < 0 || cpio_finish(&c, &e) < 0)
		die("initramfs");
	close(c.fd);
	close(from);
	free(init);
	kernel_modules_done(&modules);
}

static void make_disk(void)
{
	static char block[65536];
	int fd = open(disk, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (size_t i = 0; i < DISK_BYTES / sizeof(block); i++) {
		memset(block, (int)i, sizeof(block));
		if (write(fd, block, sizeof(block)) != sizeof(block))
			die(disk);
	}
	close(fd);
}

static int open_tap(void)
{
	struct ifreq r = {.ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.9.8.1")};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		die("tap");
	memcpy(&r.ifr_addr, &a, sizeof(a));
	if (ioctl(s, SIOCSIFADDR, &r) < 0)
		die("tap: address");
	a.sin_addr.s_addr = inet_addr("255.255.255.0");
	memcpy(&r.ifr_netmask, &a, sizeof(a));
	ioctl(s, SIOCSIFNETMASK, &r);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, &r) < 0)
		die("tap: up");
	close(s);
	return fd;
}

/* ---- the host's side: an echo that looks at the VMM when the guest is at its end ------------------- */

static long status_kib(const char *pid, const char *field)
{
	char path[300], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0)
			kib = atol(line + strlen(field) + 1);
	if (f)
		fclose(f);
	return kib;
}

static void look_at_vmm(const char *comm, long *anonymous, long *file)
{
	DIR *d = opendir("/proc");
	struct dirent *p;

	while (d && (p = readdir(d))) {
		char path[300], name[64] = "";
		FILE *f;

		if (p->d_name[0] < '0' || p->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", p->d_name);
		f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f) && strncmp(name, comm, strlen(comm)) == 0) {
			*anonymous = status_kib(p->d_name, "RssAnon");
			*file = status_kib(p->d_name, "RssFile");
		}
		if (f)
			fclose(f);
	}
	closedir(d);
}

/* Until the guest says "end"; the two figures go into the pipe. */
static pid_t start_echo(const char *comm, int *ret_pipe)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7)}, from;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), p[2];
	long kib[2] = {0, 0};
	char buf[2048];
	pid_t pid;

	if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || pipe2(p, O_CLOEXEC) < 0)
		die("echo");
	pid = fork();
	if (pid) {
		close(p[1]);
		close(s);
		*ret_pipe = p[0];
		return pid;
	}
	alarm(GUEST_SEC);
	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&from, &size);
		bool end = n == 3 && memcmp(buf, "end", 3) == 0;

		if (end) {
			look_at_vmm(comm, &kib[0], &kib[1]);
			if (write(p[1], kib, sizeof(kib)) < 0)
				_exit(1);
		}
		if (n > 0)
			sendto(s, buf, (size_t)n, 0, (struct sockaddr *)&from, size);
		if (end)
			_exit(0);
	}
}

/* ---- contenders --------------------------------------------------------------------------------- */

static bool run_ours(int tap)
{
	static const struct log_sink sink = {.fd = -1};
	int fd = open(disk, O_RDWR | O_CLOEXEC);
	const struct vm_disk disks[] = {{.fd = fd}};
	struct vm_config c = {.name = "bench",
			      .kernel = &kernel,
			      .cmdline = "net.ifnames=0",
			      .memory_bytes = (uint64_t)MEMORY_MIB << 20,
			      .vcpus = 1,
			      .engine = VM_ENGINE_KVM,
			      .run_dir = "/run",
			      .cache_dirfd = -1,
			      .helper_dir = build,
			      .net_tap_fd = tap,
			      .disks = disks,
			      .n_disks = 1,
			      .log = &sink};
	struct err e = ERR_INIT;
	char *why = NULL;
	struct vm *vm;
	bool ok;

	trace("trace_marker", "command");
	if (vm_start(&c, &vm, &e) < 0) {
		fprintf(stderr, "bench: %s\n", e.text);
		return false;
	}
	for (;;) {
		struct pollfd p = {.fd = vm_poll_fd(vm), .events = POLLIN};

		if (poll(&p, 1, GUEST_SEC * 1000) <= 0 || vm_handle(vm, &why) < 0)
			break;
	}
	ok = why && strcmp(why, "the guest powered off") == 0;
	if (!ok)
		fprintf(stderr, "bench: %s\n%s\n", why ? why : "time was up", vm_console_tail(vm));
	vm_kill(vm);
	free(why);
	close(fd);
	return ok;
}

static void show_console(void)
{
	FILE *f = fopen(CONSOLE, "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

static bool run_qemu(int tap, const char *machine, const char *blk, const char *net)
{
	char drive[64], m[96], memory[16];
	static const char console[] = "file:" CONSOLE;
	const char *const argv[] = {QEMU,
				    "-nodefaults",
				    "-no-user-config",
				    "-display",
				    "none",
				    "-no-reboot",
				    "-accel",
				    "kvm",
				    "-cpu",
				    "host",
				    "-smp",
				    "1",
				    "-machine",
				    m,
				    "-m",
				    memory,
				    "-object",
				    "memory-backend-memfd,id=ram,share=on,size=256M",
				    "-kernel",
				    kernel.image,
				    "-initrd",
				    initramfs,
				    "-append",
				    "console=ttyS0 " WORDS " no_timer_check reboot=t",
				    "-serial",
				    console,
				    "-drive",
				    drive,
				    "-device",
				    blk,
				    "-netdev",
				    "tap,id=n,fd=50",
				    "-device",
				    net,
				    NULL};
	int status;
	pid_t pid;

	snprintf(drive, sizeof(drive), "file=%s,if=none,id=d,format=raw", disk);
	snprintf(m, sizeof(m), "%s,memory-backend=ram", machine);
	snprintf(memory, sizeof(memory), "%dM", MEMORY_MIB);
	trace("trace_marker", "command");
	pid = fork();
	if (pid == 0) {
		alarm(GUEST_SEC);
		if (dup2(tap, TAP_FD) == TAP_FD)
			execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) == pid && status == 0)
		return true;
	fprintf(stderr, "bench: %s ended with 0x%x\n", machine, status);
	show_console();
	return false;
}

/* ---- the trace ---------------------------------------------------------------------------------- */

struct event {
	long pid;
	uint64_t at;
	const char *what; /* "kvm_exit: …" */
};

/* "  NAME-PID   [000] flags STAMP: EVENT: …" */
static bool read_event(char *line, struct event *ret)
{
	char *cpu = strstr(line, " ["), *colon, *stamp, *dash;

	if (line[0] == '#' || !cpu)
		return false;
	*cpu = '\0';
	dash = strrchr(line, '-');
	colon = strstr(cpu + 1, ": ");
	if (!dash || !colon)
		return false;
	*colon = '\0';
	stamp = strrchr(cpu + 1, ' ');
	if (!stamp)
		return false;
	*ret = (struct event){atol(dash + 1), strtoull(stamp + 1, NULL, 10), colon + 2};
	return true;
}

static bool is(const struct event *e, const char *name)
{
	return strncmp(e->what, name, strlen(name)) == 0;
}

static void read_trace(struct result *r, pid_t echo)
{
	FILE *f = fopen(TRACING "/trace", "re");
	uint64_t command = 0, entered = 0;
	unsigned phase = 0;
	char line[1024];

	if (!f)
		die("trace");
	while (fgets(line, sizeof(line), f)) {
		struct event e;

		if (!read_event(line, &e))
			continue;
		if (is(&e, "tracing_mark_write: command"))
			command = e.at;
		else if (is(&e, "kvm_entry:")) {
			if (!r->start)
				r->start = e.at - command;
			entered = e.at;
		} else if (is(&e, "kvm_exit:") && r->start) {
			r->exits[phase]++;
			if (phase == 0)
				r->guest += e.at - entered;
		} else if (is(&e, "sys_enter:") && e.pid != echo && e.pid != getpid()) {
			r->calls[phase]++;
		} else if (is(&e, "kvm_cpuid: func 40004d00 idx ")) {
			unsigned long n =
				strtoul(e.what + strlen("kvm_cpuid: func 40004d00 idx "), NULL, 16);

			if (n < PHASES)
				phase = (unsigned)n;
		}
	}
	fclose(f);
	if (r->ok && phase != 5) {
		fprintf(stderr, "bench: %s stopped at mark %u\n", r->name, phase);
		show_console();
	}
	r->ok = r->ok && phase == 5;
}

/* Programs, libraries and files are in the page cache: what is compared is work, not a disk. */
static void warm_up(int which)
{
	static const char *const firmware[] = {"bios-microvm.bin", "bios-256k.bin", "pvh.bin",
					       "linuxboot_dma.bin", "kvmvapic.bin"};
	char script[2048];
	size_t n = (size_t)snprintf(script, sizeof(script), "cat '%s' '%s' '%s' ", kernel.image,
				    initramfs, disk);

	for (size_t i = 0; which && i < ARRAY_SIZE(firmware); i++)
		n += (size_t)snprintf(script + n, sizeof(script) - n, "/usr/share/qemu/%s ",
				      firmware[i]);
	if (which)
		snprintf(script + n, sizeof(script) - n,
			 ">/dev/null 2>&1; echo quit | " QEMU " -M %s -accel kvm -S -display none "
			 "-nodefaults -monitor stdio >/dev/null 2>&1",
			 which == 1 ? "microvm" : "q35");
	else
		snprintf(script + n, sizeof(script) - n,
			 ">/dev/null 2>&1; '%s/insula-kvm' >/dev/null 2>&1", build);
	if (system(script) < 0)
		die("warm up");
}

static void set_up_trace(void)
{
	char pid[32];

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	trace("tracing_on", "0");
	trace("buffer_size_kb", "98304");
	trace("trace_clock", "x86-tsc");
	trace("options/event-fork", "1");
	trace("events/kvm/kvm_entry/enable", "1");
	trace("events/kvm/kvm_exit/enable", "1");
	trace("events/kvm/kvm_cpuid/enable", "1");
	trace("events/raw_syscalls/sys_enter/enable", "1");
	snprintf(pid, sizeof(pid), "%d", getpid());
	trace("set_event_pid", pid);
}

static struct result contest(const char *name, int which)
{
	struct result r = {.name = name};
	long kib[2] = {0, 0};
	int memory_pipe, tap = open_tap();
	pid_t echo = start_echo(which == 0 ? "insula-kvm" : "qemu-system", &memory_pipe);

	warm_up(which);
	trace("trace", "");
	trace("tracing_on", "1");
	if (which == 0)
		r.ok = run_ours(tap);
	else if (which == 1)
		r.ok = run_qemu(tap, "microvm", "virtio-blk-device,drive=d",
				"virtio-net-device,netdev=n");
	else
		r.ok = run_qemu(tap, "q35", "virtio-blk-pci,drive=d",
				"virtio-net-pci,netdev=n,romfile=");
	trace("tracing_on", "0");
	if (!r.ok)
		kill(echo, SIGKILL);
	if (read(memory_pipe, kib, sizeof(kib)) != sizeof(kib)) {
		if (r.ok)
			show_console();
		r.ok = false;
	}
	waitpid(echo, NULL, 0);
	close(memory_pipe);
	close(tap);
	r.anonymous_kib = kib[0];
	r.file_kib = kib[1];
	read_trace(&r, echo);
	return r;
}

static void show(const struct result *r)
{
	if (!r->ok) {
		printf("%-14s did not reach its end\n", r->name);
		return;
	}
	printf("%-14s %8.1f %10.1f %8ju %8.1f %8.1f %7.2f %7.2f %7.2f %7.2f\n", r->name,
	       (double)r->start / 1e6, (double)r->guest / 1e6, (uintmax_t)r->exits[0],
	       (double)r->anonymous_kib / 1024, (double)r->file_kib / 1024,
	       (double)r->exits[2] / REQUESTS, (double)r->calls[2] / REQUESTS,
	       (double)r->exits[4] / REQUESTS, (double)r->calls[4] / REQUESTS);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"insula-kvm", "qemu microvm", "qemu q35"};
	const char *only = argc > 1 ? argv[1] : "012";
	struct err e = ERR_INIT;
	char guest[320];
	char *why = NULL;
	bool ok = true;

	if (readlink("/proc/self/exe", build, sizeof(build) - 1) <= 0)
		die("/proc/self/exe");
	for (int i = 0; i < 3; i++)
		*strrchr(build, '/') = '\0';
	if (vm_kvm_probe(-1, &why) != VM_KVM_WORKS) {
		printf("bench: %s; run it in the lab: make bench-vm\n", why);
		return 1;
	}
	snprintf(guest, sizeof(guest), "%s/guest", build);
	if (vm_kernel_find((char *[]){guest, NULL}, &kernel, &e) < 0)
		die(e.text);
	make_initramfs();
	free(kernel.initramfs);
	kernel.initramfs = initramfs;
	make_disk();
	if (unshare(CLONE_NEWNET) < 0)
		die("unshare");
	set_up_trace();
	printf("million instructions: from the command to the guest, of the guest to init; exits "
	       "to init; MiB\n"
	       "of the VMM: anonymous, files; per block request: exits, calls; per network "
	       "request: exits, calls\n"
	       "%-14s %8s %10s %8s %8s %8s %7s %7s %7s %7s\n",
	       "", "start", "guest", "exits", "anon", "files", "blk ex", "blk sc", "net ex",
	       "net sc");
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		struct result r;

		if (!strchr(only, '0' + i))
			continue;
		r = contest(names[i], i);
		show(&r);
		ok = ok && r.ok;
	}
	return !ok;
}
