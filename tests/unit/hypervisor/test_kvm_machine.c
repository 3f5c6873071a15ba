/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine with small guests of our own on this host's /dev/kvm, which need no device but what is tested: ports,
 * MMIO, the ways a guest ends, pause and resume, a second vCPU. They use no instruction that a KVM which emulates
 * cannot do. Without /dev/kvm they are skipped; elsewhere than on x86-64 there is nothing to test.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <poll.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)

#include "../../../hypervisor/kvm/boot_data.h"
#include "../../../hypervisor/kvm/layout.h"
#include "../../../hypervisor/kvm/machine.h"
#include "../../../hypervisor/kvm/power.h"
#include "../../../hypervisor/kvm/serial.h"

#define PATIENCE_MSEC 60000
#define DEVICE        0xc0001000u
#define COUNTER       0x300000u
#define MIB(n)        ((uint64_t)(n) << 20)

#define GUEST(name, code)                                                                \
	__asm__(".pushsection .rodata\n" #name ":\n" code #name "_end:\n.popsection\n"); \
	extern const uint8_t name[] __attribute__((visibility("hidden")));               \
	extern const uint8_t name##_end[] __attribute__((visibility("hidden")));

/* "ok\n" to the serial port, then off: sleep type 5, enable. */
GUEST(guest_hello, "	movw $0x3f8, %dx\n"
		   "	movb $'o', %al\n	outb %al, %dx\n"
		   "	movb $'k', %al\n	outb %al, %dx\n"
		   "	movb $'\\n', %al\n	outb %al, %dx\n"
		   "	movw $0x601, %dx\n"
		   "	movb $0x34, %al\n	outb %al, %dx\n"
		   "1:	jmp 1b\n")

GUEST(guest_reset, "	movw $0x600, %dx\n"
		   "	movb $1, %al\n	outb %al, %dx\n"
		   "1:	jmp 1b\n")

/* Accesses of each width; what was read at 8 is written at 16 plus one; nobody is at 0xc0002000 or port 0x999. */
GUEST(guest_mmio, "	movl $0xc0001000, %ebx\n"
		  "	movb $0x11, (%rbx)\n"
		  "	movw $0x2222, 2(%rbx)\n"
		  "	movl $0x33333333, 4(%rbx)\n"
		  "	movq 8(%rbx), %rax\n"
		  "	incq %rax\n"
		  "	movq %rax, 16(%rbx)\n"
		  "	movl 0x1000(%rbx), %eax\n"
		  "	movl %eax, 24(%rbx)\n"
		  "	movw $0x999, %dx\n"
		  "	inl %dx, %eax\n"
		  "	movl %eax, 28(%rbx)\n"
		  "	movw $0x601, %dx\n"
		  "	movb $0x34, %al\n	outb %al, %dx\n"
		  "1:	jmp 1b\n")

/* No interrupt table: a triple fault. */
GUEST(guest_crash, "	ud2\n")

GUEST(guest_count, "	movl $0x300000, %ebx\n"
		   "1:	incq (%rbx)\n"
		   "	jmp 1b\n")

/* Sends INIT and SIPI (vector 0x30: address 0x30000) to APIC id 1, waits for its mark, switches off. */
GUEST(guest_two, "	movl $0xfee00000, %ebx\n"
		 "	movl $0x01000000, 0x310(%rbx)\n"
		 "	movl $0x00004500, 0x300(%rbx)\n"
		 "	movl $0x01000000, 0x310(%rbx)\n"
		 "	movl $0x00004630, 0x300(%rbx)\n"
		 "	movl $0x31000, %ecx\n"
		 "1:	cmpl $0x5a5a5a5a, (%rcx)\n"
		 "	jne 1b\n"
		 "	movw $0x601, %dx\n"
		 "	movb $0x34, %al\n	outb %al, %dx\n"
		 "2:	jmp 2b\n")
GUEST(guest_second, "	.code16\n"
		    "	movw %cs, %ax\n"
		    "	movw %ax, %ds\n"
		    "	movl $0x5a5a5a5a, %ds:0x1000\n"
		    "1:	jmp 1b\n"
		    "	.code64\n")

/* The second one jumps to where a PC has its firmware; the first waits for ever. */
GUEST(guest_firmware, "	.code16\n"
		      "	ljmp $0xffff, $0\n"
		      "	.code64\n")

struct box {
	int kvm_fd, console[2];
	struct machine *machine;
	struct io_loop *loop;
	struct serial *serial;
	struct power power;
	struct irq_line irq;
	struct bus_range device;
	uint8_t registers[32];
};
static struct box box;

static void on_power(void *arg, enum power_event event)
{
	machine_end(arg, event == POWER_OFF ? MACHINE_POWERED_OFF : MACHINE_RESTARTED, "%s",
		    event == POWER_OFF ? "off" : "again");
}

static void device_read(void *self, uint64_t offset, void *data, unsigned len)
{
	memcpy(data, (uint8_t *)self + offset, len);
}

static void device_write(void *self, uint64_t offset, const void *data, unsigned len)
{
	memcpy((uint8_t *)self + offset, data, len);
}

static const struct bus_ops device_ops = {device_read, device_write};

/* Beyond the first GiB the guests see the fourth: devices and the local APIC, uncached. */
static void map_devices(struct guest_memory *m)
{
	uint64_t entry = 0xc000 | 3;

	assert_int_equal(guest_write(m, GPA(BOOT_PDPT + 3 * 8), &entry, 8), 0);
	for (uint64_t i = 0; i < 512; i++) {
		entry = (0xc0000000ull + (i << 21)) | 0x93;
		assert_int_equal(guest_write(m, GPA(0xc000 + i * 8), &entry, 8), 0);
	}
}

static void build(unsigned vcpus)
{
	struct machine_setup setup = {.kvm_fd = box.kvm_fd, .memory_bytes = MIB(8), .vcpus = vcpus};
	struct loaded_kernel k = {.entry = KERNEL_ENTRY_LINUX64, .cmdline_max = 100};
	struct err e = ERR_INIT;
	struct bus_range r;

	if (machine_new(&setup, &box.machine, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(io_loop_new(&box.loop, &e), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, box.console), 0);
	if (machine_irq(box.machine, SERIAL_GSI, &box.irq, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(serial_new(box.loop, box.console[0], box.irq, &box.serial, &e), 0);
	r = serial_range(box.serial, SERIAL_PORT);
	assert_int_equal(bus_add(machine_ports(box.machine), &r, &e), 0);
	box.power = (struct power){on_power, box.machine};
	r = power_range(&box.power, POWER_PORT);
	assert_int_equal(bus_add(machine_ports(box.machine), &r, &e), 0);
	box.device = (struct bus_range){DEVICE, sizeof(box.registers), &device_ops, box.registers};
	assert_int_equal(bus_add(machine_mmio(box.machine), &box.device, &e), 0);
	assert_int_equal(boot_data_write(machine_memory(box.machine), &k, "", 0, 0, &e), 0);
	map_devices(machine_memory(box.machine));
}

static void start(const uint8_t *code, const uint8_t *end)
{
	struct x86_start start = {KERNEL_ENTRY_LINUX64, KERNEL_START};
	struct err e = ERR_INIT;

	assert_int_equal(guest_write(machine_memory(box.machine), GPA(KERNEL_START), code,
				     (size_t)(end - code)),
			 0);
	if (machine_create_vcpus(box.machine, &start, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(machine_run(box.machine, &e), 0);
}

static enum machine_end wait_end(char text[256])
{
	struct pollfd p = {.fd = machine_end_fd(box.machine), .events = POLLIN};

	assert_int_equal(poll(&p, 1, PATIENCE_MSEC), 1);
	return machine_ended(box.machine, text, 256);
}

static int setup(void **state)
{
	(void)state;
	memset(&box, 0, sizeof(box));
	box.console[0] = box.console[1] = -1;
	box.kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_free(box.machine);
	serial_free(box.serial);
	if (box.loop)
		io_loop_free(box.loop);
	close(box.kvm_fd);
	close(box.console[0]);
	close(box.console[1]);
	return 0;
}

#define NEED_KVM()                                                           \
	do {                                                                 \
		if (box.kvm_fd < 0) {                                        \
			print_message("# skip: no /dev/kvm to be opened\n"); \
			skip();                                              \
		}                                                            \
	} while (0)

static void test_hello_and_off(void **state)
{
	char text[256] = "", said[16] = "";

	(void)state;
	NEED_KVM();
	build(1);
	assert_int_equal(machine_ended(box.machine, text, sizeof(text)), MACHINE_RUNS);
	start(guest_hello, guest_hello_end);
	assert_int_equal(wait_end(text), MACHINE_POWERED_OFF);
	assert_string_equal(text, "off");
	assert_int_equal(read(box.console[1], said, sizeof(said)), 3);
	assert_string_equal(said, "ok\n");
}

static void test_reset(void **state)
{
	char text[256];

	(void)state;
	NEED_KVM();
	build(1);
	start(guest_reset, guest_reset_end);
	assert_int_equal(wait_end(text), MACHINE_RESTARTED);
}

static void test_mmio(void **state)
{
	static const uint8_t nobody[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint64_t value = 0x1122334455667788;
	char text[256];

	(void)state;
	NEED_KVM();
	build(1);
	memcpy(box.registers + 8, &value, 8);
	start(guest_mmio, guest_mmio_end);
	assert_int_equal(wait_end(text), MACHINE_POWERED_OFF);
	assert_memory_equal(box.registers, "\x11\0\x22\x22\x33\x33\x33\x33", 8);
	memcpy(&value, box.registers + 16, 8);
	assert_true(value == 0x1122334455667789);
	assert_memory_equal(box.registers + 24, nobody, 8);

	struct machine_counts n;

	machine_counts(box.machine, &n);
	assert_true(n.mmio == 8 && n.ports == 2 && n.exits == 10);
}

static void test_crash(void **state)
{
	char text[256];

	(void)state;
	NEED_KVM();
	build(1);
	start(guest_crash, guest_crash_end);
	assert_int_equal(wait_end(text), MACHINE_CRASHED);
	assert_non_null(strstr(text, "triple fault"));
}

static uint64_t counter(void)
{
	return *(volatile uint64_t *)guest_range(machine_memory(box.machine), GPA(COUNTER), 8);
}

static void wait_counting(uint64_t from)
{
	while (counter() == from)
		poll(NULL, 0, 1);
}

static void test_pause_and_resume(void **state)
{
	uint64_t stood;
	char text[256];

	(void)state;
	NEED_KVM();
	build(1);
	start(guest_count, guest_count_end);
	wait_counting(0);
	for (int i = 0; i < 20; i++) {
		machine_pause(box.machine);
		machine_pause(box.machine); /* idempotent */
		stood = counter();
		poll(NULL, 0, 5);
		assert_true(counter() == stood);
		machine_resume(box.machine);
		wait_counting(stood);
	}
	/* Ending a paused one works as well. */
	machine_pause(box.machine);
	machine_end(box.machine, MACHINE_STOPPED, "enough");
	machine_end(box.machine, MACHINE_FAILED, "too late");
	assert_int_equal(wait_end(text), MACHINE_STOPPED);
	assert_string_equal(text, "enough");
}

static void test_second_vcpu(void **state)
{
	char text[256];

	(void)state;
	NEED_KVM();
	build(2);
	assert_int_equal(guest_write(machine_memory(box.machine), GPA(0x30000), guest_second,
				     (size_t)(guest_second_end - guest_second)),
			 0);
	start(guest_two, guest_two_end);
	assert_int_equal(wait_end(text), MACHINE_POWERED_OFF);
}

static void test_firmware_restarts(void **state)
{
	char text[256];

	(void)state;
	NEED_KVM();
	build(2);
	assert_int_equal(guest_write(machine_memory(box.machine), GPA(0x30000), guest_firmware,
				     (size_t)(guest_firmware_end - guest_firmware)),
			 0);
	start(guest_two, guest_two_end);
	assert_int_equal(wait_end(text), MACHINE_RESTARTED);
}

static int refuse(void *arg)
{
	*(int *)arg += 1;
	return -EACCES;
}

static void test_jail_refused(void **state)
{
	int calls = 0;
	struct machine_setup s = {.kvm_fd = box.kvm_fd,
				  .memory_bytes = MIB(2),
				  .vcpus = 1,
				  .enter = refuse,
				  .enter_arg = &calls};
	struct x86_start start_at = {KERNEL_ENTRY_LINUX64, KERNEL_START};
	struct err e = ERR_INIT;

	(void)state;
	NEED_KVM();
	assert_int_equal(machine_new(&s, &box.machine, &e), 0);
	assert_int_equal(machine_create_vcpus(box.machine, &start_at, &e), 0);
	assert_int_equal(machine_run(box.machine, &e), -EACCES);
	assert_int_equal(calls, 1);
	assert_non_null(strstr(e.text, "jail"));
}

static void test_bad_setups(void **state)
{
	struct machine_setup s = {.kvm_fd = box.kvm_fd, .memory_bytes = MIB(2), .vcpus = 0};
	struct machine *m = NULL;
	struct irq_line irq;
	struct err e = ERR_INIT;

	(void)state;
	NEED_KVM();
	assert_int_equal(machine_new(&s, &m, &e), -EINVAL);
	s.vcpus = 255;
	assert_int_equal(machine_new(&s, &m, &e), -EINVAL);
	assert_non_null(strstr(e.text, "vCPUs: 255 is not in 1.."));
	s.vcpus = 1;
	s.memory_bytes = 100;
	assert_int_equal(machine_new(&s, &m, &e), -EINVAL);
	s.memory_bytes = MIB(2);
	s.kvm_fd = STDERR_FILENO;
	assert_true(machine_new(&s, &m, &e) < 0);
	assert_null(m);
	build(1);
	assert_true(machine_irq(box.machine, SERIAL_GSI, &irq, &e) < 0); /* taken */
	assert_true(machine_irq(box.machine, 24, &irq, &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hello_and_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mmio, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_and_resume, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_vcpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_firmware_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_jail_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_setups, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_nothing(void **state)
{
	(void)state;
	print_message("# skip: the kvm engine is for x86-64\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
