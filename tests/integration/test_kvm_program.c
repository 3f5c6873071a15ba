/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insula-kvm as the engine starts it: with descriptors and a configuration, in its jail, with a small kernel of our own
 * that needs no more than a KVM which emulates. What it tells of the end, what it does when ordered, what it is
 * to others on the host, and that it never outlives the engine.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "hypervisor/kvm_process.h"
#include "../../hypervisor/kvm/wire.h"
#include "../../hypervisor/kvm/machine.h"

#define PATIENCE_MSEC 60000
#define KERNEL_AT     0x1000000u

/* Says "up", then waits for a byte on the serial port: 'q' switches off, 'c' crashes. */
__asm__(".pushsection .rodata\n"
	"waiting_kernel:\n"
	"	movw $0x3f8, %dx\n"
	"	movb $'u', %al\n	outb %al, %dx\n"
	"	movb $'p', %al\n	outb %al, %dx\n"
	"1:	movw $0x3fd, %dx\n"
	"	inb %dx, %al\n"
	"	testb $1, %al\n"
	"	jz 1b\n"
	"	movw $0x3f8, %dx\n"
	"	inb %dx, %al\n"
	"	cmpb $'c', %al\n"
	"	jne 2f\n"
	"	ud2\n"
	"2:	movw $0x601, %dx\n"
	"	movb $0x34, %al\n	outb %al, %dx\n"
	"3:	jmp 3b\n"
	"waiting_kernel_end:\n"
	".popsection\n");
extern const uint8_t waiting_kernel[] __attribute__((visibility("hidden")));
extern const uint8_t waiting_kernel_end[] __attribute__((visibility("hidden")));

struct vmm {
	pid_t pid;
	int pidfd, control, console;
};
static struct vmm vmm;
static char *program;

static int make_kernel(bool broken)
{
	size_t n = (size_t)(waiting_kernel_end - waiting_kernel);
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr ph;
	} elf = {
		.h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		      .e_type = ET_EXEC,
		      .e_machine = EM_X86_64,
		      .e_entry = KERNEL_AT,
		      .e_phoff = sizeof(Elf64_Ehdr),
		      .e_phentsize = sizeof(Elf64_Phdr),
		      .e_phnum = 1},
		.ph = {.p_type = PT_LOAD,
		       .p_offset = sizeof(elf),
		       .p_paddr = KERNEL_AT,
		       .p_filesz = n,
		       .p_memsz = n},
	};
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	if (broken)
		elf.ph.p_filesz = elf.ph.p_memsz = 1u << 20;
	assert_int_equal(write(fd, &elf, sizeof(elf)), sizeof(elf));
	assert_int_equal(write(fd, waiting_kernel, n), (ssize_t)n);
	return fd;
}

static struct wire_config config(void)
{
	return (struct wire_config){.version = WIRE_VERSION,
				    .type = WIRE_CONFIG,
				    .memory_bytes = 32u << 20,
				    .vcpus = 2,
				    .name = "t",
				    .cmdline = "x"};
}

static void pair_of(int type, int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
}

static void launch(const void *message, size_t bytes, bool broken_kernel)
{
	_cleanup_close_ int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int kernel = make_kernel(broken_kernel);
	_cleanup_close_ int initramfs = memfd_create("initramfs", MFD_CLOEXEC);
	int control[2], console[2];
	struct err e = ERR_INIT;

	pair_of(SOCK_SEQPACKET, control);
	pair_of(SOCK_STREAM, console);

	const struct proc_fd_map fds[] = {
		{control[1], KVM_PROCESS_FD_CONTROL}, {kvm, KVM_PROCESS_FD_KVM},
		{kernel, KVM_PROCESS_FD_KERNEL},      {initramfs, KVM_PROCESS_FD_INITRAMFS},
		{console[1], KVM_PROCESS_FD_CONSOLE},
	};
	char *const argv[] = {program, NULL};
	const struct proc_spawn spawn = {
		.argv = argv, .fds = fds, .n_fds = 5, .cgroup_fd = -1, .death_signal = 9};

	if (proc_spawn(&spawn, &vmm.pid, &vmm.pidfd, &e) < 0)
		fail_msg("%s", e.text);
	close(control[1]);
	close(console[1]);
	vmm.control = control[0];
	vmm.console = console[0];
	assert_int_equal(wire_send(vmm.control, message, bytes, &e), 0);
}

static struct wire_message hear(void)
{
	struct wire_message m;
	struct err e = ERR_INIT;

	if (wire_receive(vmm.control, &m, PATIENCE_MSEC, &e) != 1)
		fail_msg("the process said nothing: %s", e.text);
	return m;
}

static struct wire_message order(enum wire_type type)
{
	struct wire_message m = {.version = WIRE_VERSION, .type = type};

	assert_int_equal(wire_send(vmm.control, &m, sizeof(m), NULL), 0);
	return hear();
}

static int wait_status(void)
{
	int status = -1;

	assert_int_equal(proc_wait_exit(vmm.pidfd, PATIENCE_MSEC, NULL), 0);
	assert_int_equal(proc_reap(vmm.pid, &status, NULL), 0);
	vmm.pid = 0;
	return status;
}

static void start_waiting(void)
{
	struct wire_config c = config();
	struct wire_message m;
	struct pollfd p;
	char said[2];

	launch(&c, sizeof(c), false);
	m = hear();
	if (m.type != WIRE_READY)
		fail_msg("%s", m.text);
	p = (struct pollfd){.fd = vmm.console, .events = POLLIN};
	assert_int_equal(poll(&p, 1, PATIENCE_MSEC), 1);
	assert_int_equal(recv(vmm.console, said, 2, MSG_WAITALL), 2);
	assert_memory_equal(said, "up", 2);
}

static int group_setup(void **state)
{
	_cleanup_free_ char *dir = NULL;

	(void)state;
	if (path_program_dir(&dir, NULL) < 0)
		return -1;
	return str_printf(&program, "%s/../../insula-kvm", dir);
}

static int group_teardown(void **state)
{
	(void)state;
	free(program);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	vmm = (struct vmm){.pidfd = -1, .control = -1, .console = -1};
	return 0;
}

static int teardown(void **state)
{
	int status;

	(void)state;
	if (vmm.pid > 0 && proc_signal(vmm.pidfd, SIGKILL, NULL) == 0)
		proc_reap(vmm.pid, &status, NULL);
	close(vmm.pidfd);
	close(vmm.control);
	close(vmm.console);
	return 0;
}

#define NEED_KVM()                                                           \
	do {                                                                 \
		if (access("/dev/kvm", R_OK | W_OK) < 0) {                   \
			print_message("# skip: no /dev/kvm to be opened\n"); \
			skip();                                              \
		}                                                            \
	} while (0)

static void test_to_the_end(void **state)
{
	static const struct {
		const char *byte;
		enum machine_end end;
		const char *words;
	} rows[] = {
		{"q", MACHINE_POWERED_OFF, "powered off"},
		{"c", MACHINE_CRASHED, "triple fault"},
	};

	NEED_KVM();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wire_message m;

		start_waiting();
		assert_int_equal(write(vmm.console, rows[i].byte, 1), 1);
		m = hear();
		assert_int_equal(m.type, WIRE_ENDED);
		assert_int_equal(m.value[0], rows[i].end);
		assert_non_null(strstr(m.text, rows[i].words));
		assert_int_equal(wait_status(), 0);
		teardown(state);
		setup(state);
	}
}

static void test_orders(void **state)
{
	struct wire_message m;
	uint64_t exits;

	(void)state;
	NEED_KVM();
	start_waiting();
	assert_int_equal(order(WIRE_PAUSE).type, WIRE_DONE);
	assert_int_equal(order(WIRE_PAUSE).type, WIRE_DONE);
	exits = order(WIRE_STATS).value[0];
	poll(NULL, 0, 20);
	assert_true(exits >= 2 && order(WIRE_STATS).value[0] == exits); /* it stands */
	assert_int_equal(order(WIRE_RESUME).type, WIRE_DONE);
	do
		m = order(WIRE_STATS);
	while (m.value[0] == exits); /* and goes on */
	m = order((enum wire_type)33);
	assert_int_equal(m.type, WIRE_REFUSED);
	assert_non_null(strstr(m.text, "unknown order 33"));
	assert_int_equal(order(WIRE_STOP).type, WIRE_DONE);
	m = hear();
	assert_true(m.type == WIRE_ENDED && m.value[0] == MACHINE_STOPPED);
	assert_int_equal(wait_status(), 0);
}

static void assert_status_line(const char *text, const char *name, const char *value)
{
	const char *line = strstr(text, name);

	if (!line || strncmp(line + strlen(name), value, strlen(value)) != 0)
		fail_msg("%s is not %s", name, value);
}

static bool same_namespace(pid_t pid, const char *kind)
{
	char ours[64], theirs[64], a[64] = "", b[64] = "";

	snprintf(ours, sizeof(ours), "/proc/self/ns/%s", kind);
	snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", pid, kind);
	assert_true(readlink(ours, a, sizeof(a) - 1) > 0);
	assert_true(readlink(theirs, b, sizeof(b) - 1) > 0);
	return STREQ(a, b);
}

static void test_jail(void **state)
{
	static const char *const namespaces[] = {"mnt", "net", "ipc", "uts", "cgroup"};
	_cleanup_free_ char *status = NULL;
	char path[64];
	const char *uid;
	DIR *d;
	unsigned n = 0;

	(void)state;
	NEED_KVM();
	start_waiting();
	snprintf(path, sizeof(path), "/proc/%d/status", vmm.pid);
	assert_int_equal(path_read_file_at(AT_FDCWD, path, 65536, &status, NULL, NULL), 0);
	uid = strstr(status, "\nUid:\t");
	assert_non_null(uid);
	assert_true(strtoul(uid + 6, NULL, 10) >= 0x70000000ul || geteuid() != 0);
	assert_status_line(status, "CapPrm:\t", "0000000000000000");
	assert_status_line(status, "CapEff:\t", "0000000000000000");
	assert_status_line(status, "CapBnd:\t", "0000000000000000");
	assert_status_line(status, "NoNewPrivs:\t", "1");
	assert_status_line(status, "Seccomp:\t", "2");
	assert_status_line(status, "Groups:\t", " \n");
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (same_namespace(vmm.pid, namespaces[i]))
			fail_msg("its %s namespace is ours", namespaces[i]);
	/* Each thread is filtered. */
	snprintf(path, sizeof(path), "/proc/%d/task", vmm.pid);
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *t; (t = readdir(d));) {
		_cleanup_free_ char *text = NULL;
		char name[400];

		if (t->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s/status", path, t->d_name);
		assert_int_equal(path_read_file_at(AT_FDCWD, name, 65536, &text, NULL, NULL), 0);
		if (strstr(text, "Name:\tinsula-kvm"))
			assert_status_line(text, "Seccomp:\t", "2");
		n++;
	}
	closedir(d);
	assert_true(n >= 3); /* the loop and two vCPUs */
	/* Nothing is in its root. */
	snprintf(path, sizeof(path), "/proc/%d/root", vmm.pid);
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *t; (t = readdir(d));)
		assert_int_equal(t->d_name[0], '.');
	closedir(d);
}

static void test_engine_gone(void **state)
{
	(void)state;
	NEED_KVM();
	start_waiting();
	close(vmm.control);
	vmm.control = -1;
	assert_int_equal(wait_status(), 0);
}

static void assert_fails(const void *message, size_t bytes, bool broken_kernel, const char *words)
{
	void *state = NULL;
	struct wire_message m;

	launch(message, bytes, broken_kernel);
	m = hear();
	assert_int_equal(m.type, WIRE_FAILED);
	if (!strstr(m.text, words))
		fail_msg("'%s' is not in '%s'", words, m.text);
	assert_int_equal(WEXITSTATUS(wait_status()), 1);
	teardown(&state);
	setup(&state);
}

static void test_bad_configurations(void **state)
{
	struct wire_config c = config();

	(void)state;
	NEED_KVM();
	assert_fails("short", 5, false, "a message of 5 bytes");
	c.version = 9;
	assert_fails(&c, sizeof(c), false, "version 9 in place of 1");
	c = config();
	c.type = WIRE_STOP;
	assert_fails(&c, sizeof(c), false, "message 5 instead");
	c = config();
	c.has = 0x80;
	assert_fails(&c, sizeof(c), false, "unknown descriptors 0x80");
	c = config();
	memset(c.cmdline, 'x', sizeof(c.cmdline));
	assert_fails(&c, sizeof(c), false, "command line without an end");
	c = config();
	strcpy(c.name, "a\nb");
	assert_fails(&c, sizeof(c), false, "unprintable");
	c = config();
	c.vcpus = 1000;
	assert_fails(&c, sizeof(c), false, "vCPUs: 1000 is not in 1..");
	c = config();
	c.memory_bytes = 12345;
	assert_fails(&c, sizeof(c), false, "not whole pages");
	c = config();
	c.memory_bytes = 8u << 20;
	assert_fails(&c, sizeof(c), false, "does not fit the guest's memory");
	c = config();
	assert_fails(&c, sizeof(c), true, "the file ends before its segment 0");
	c.entry = 2;
	assert_fails(&c, sizeof(c), false, "no PVH entry");
}

static void test_called_by_hand(void **state)
{
	char *const argv[] = {program, NULL};
	const struct proc_spawn spawn = {.argv = argv, .cgroup_fd = -1};
	struct err e = ERR_INIT;

	(void)state;
	assert_true(proc_run(&spawn, NULL, 0, PATIENCE_MSEC, "insula-kvm", &e) < 0);
	assert_non_null(strstr(e.text, "a part of insula"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_to_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_jail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_engine_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_configurations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_called_by_hand, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

#else

static void test_nothing(void **state)
{
	(void)state;
	print_message("# skip: the engine kvm is for x86-64\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
