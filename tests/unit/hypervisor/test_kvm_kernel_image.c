/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading kernels: good ones land where they say; each lie that a file can tell is refused with a text that names it, and
 * nothing of it is believed.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../hypervisor/kvm/kernel_image.h"
#include "../../../hypervisor/kvm/layout.h"

#define MIB(n) ((uint64_t)(n) << 20)

static struct guest_memory m;

static int setup(void **state)
{
	(void)state;
	return guest_memory_create(MIB(32), &m, NULL);
}

static int teardown(void **state)
{
	(void)state;
	guest_memory_done(&m);
	return 0;
}

static int file_of(const void *data, size_t bytes)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	return fd;
}

static int load(const void *data, size_t bytes, enum kernel_entry_choice choice,
		struct loaded_kernel *ret, struct err *e)
{
	int fd = file_of(data, bytes), r = kernel_image_load(fd, choice, &m, ret, e);

	close(fd);
	return r;
}

static void assert_refused(const void *data, size_t bytes, const char *words)
{
	struct loaded_kernel k = {.rip = 77};
	struct err e = ERR_INIT;
	int r = load(data, bytes, KERNEL_ENTRY_AUTO, &k, &e);

	if (r >= 0 || !strstr(e.text, words))
		fail_msg("expected '%s', got %d '%s'", words, r, e.text);
	assert_int_equal(k.rip, 77);
}

/* ---- bzImage ------------------------------------------------------------------------------------ */

#define BZ_SETUP  1024u /* one setup sector and the boot sector */
#define BZ_KERNEL 4096u

static uint8_t bz[BZ_SETUP + BZ_KERNEL];

static void put16(size_t at, uint16_t v)
{
	memcpy(bz + at, &v, 2);
}

static void put32(size_t at, uint32_t v)
{
	memcpy(bz + at, &v, 4);
}

static void put64(size_t at, uint64_t v)
{
	memcpy(bz + at, &v, 8);
}

static void make_bz(void)
{
	memset(bz, 0, sizeof(bz));
	memset(bz + BZ_SETUP, 0xab, BZ_KERNEL);
	bz[0x1f1] = 1;
	put16(0x1fe, 0xaa55);
	bz[0x200] = 0xeb;
	bz[0x201] = 0x6a; /* the header ends at 0x26c */
	memcpy(bz + 0x202, "HdrS", 4);
	put16(0x206, 0x20f);
	bz[0x211] = 1;
	put32(0x22c, 0x7fffffff);
	put16(0x236, 1);
	put32(0x238, 2047);
	put64(0x258, 0x1000000);
	put32(0x260, 0x100000);
}

static void test_bzimage(void **state)
{
	struct loaded_kernel k;
	struct err e = ERR_INIT;

	(void)state;
	make_bz();
	assert_int_equal(load(bz, sizeof(bz), KERNEL_ENTRY_AUTO, &k, &e), 0);
	assert_int_equal(k.entry, KERNEL_ENTRY_LINUX64);
	assert_int_equal(k.rip, 0x100200);
	assert_int_equal(k.end, 0x1100000);
	assert_int_equal(k.initrd_addr_max, 0x7fffffff);
	assert_int_equal(k.cmdline_max, 2047);
	assert_true(k.has_setup);
	assert_memory_equal(k.setup, bz + 0x1f1, 0x26c - 0x1f1);
	assert_memory_equal(guest_range(&m, GPA(0x100000), BZ_KERNEL), bz + BZ_SETUP, BZ_KERNEL);
	assert_int_equal(*(uint8_t *)guest_range(&m, GPA(0x100000 + BZ_KERNEL), 1), 0);
	assert_int_equal(load(bz, sizeof(bz), KERNEL_ENTRY_ONLY_PVH, &k, &e), -ENOTSUP);
}

static void test_bzimage_lies(void **state)
{
	(void)state;
	make_bz();
	put16(0x1fe, 0);
	assert_refused(bz, sizeof(bz), "boot flag");
	make_bz();
	put16(0x206, 0x20b);
	assert_refused(bz, sizeof(bz), "boot protocol 2.11");
	make_bz();
	bz[0x211] = 0;
	assert_refused(bz, sizeof(bz), "zImage");
	make_bz();
	put16(0x236, 2);
	assert_refused(bz, sizeof(bz), "no 64-bit kernel");
	make_bz();
	bz[0x201] = 0x10;
	assert_refused(bz, sizeof(bz), "setup header ends at 0x212");
	make_bz();
	bz[0x201] = 0xff;
	assert_refused(bz, sizeof(bz), "setup header ends");
	make_bz();
	bz[0x1f1] = 0xff;
	assert_refused(bz, sizeof(bz), "ends before its kernel");
	make_bz();
	put64(0x258, UINT64_MAX - 5);
	assert_refused(bz, sizeof(bz), "which the guest has not");
	make_bz();
	put64(0x258, 0x100000000);
	assert_refused(bz, sizeof(bz), "which the guest has not");
	make_bz();
	put32(0x260, UINT32_MAX);
	assert_refused(bz, sizeof(bz), "which the guest has not");
	make_bz();
	for (size_t n = 0; n < BZ_SETUP + 0x200; n += 7)
		if (n < 0x206)
			assert_refused(bz, n, "guest kernel: neither");
		else
			assert_refused(bz, n, "the file ends");
}

/* ---- ELF ---------------------------------------------------------------------------------------- */

struct elf {
	Elf64_Ehdr h;
	Elf64_Phdr ph[3];
	struct {
		Elf64_Nhdr h;
		char name[4];
		uint32_t entry;
	} note;
	uint8_t text[64], data[32];
};
static struct elf elf;

static void make_elf(void)
{
	elf = (struct elf){
		.h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		      .e_type = ET_EXEC,
		      .e_machine = EM_X86_64,
		      .e_entry = 0x1000010,
		      .e_phoff = offsetof(struct elf, ph),
		      .e_phentsize = sizeof(Elf64_Phdr),
		      .e_phnum = 3},
		.ph = {{.p_type = PT_LOAD,
			.p_offset = offsetof(struct elf, text),
			.p_vaddr = 0xffffffff81000000,
			.p_paddr = 0x1000000,
			.p_filesz = 64,
			.p_memsz = 64},
		       {.p_type = PT_LOAD,
			.p_offset = offsetof(struct elf, data),
			.p_paddr = 0x1200000,
			.p_filesz = 32,
			.p_memsz = 0x1000},
		       {.p_type = PT_NOTE,
			.p_offset = offsetof(struct elf, note),
			.p_filesz = sizeof(elf.note)}},
		.note = {{4, 4, 18}, "Xen", 0x1000020},
	};
	memset(elf.text, 0xcc, sizeof(elf.text));
	memset(elf.data, 0xdd, sizeof(elf.data));
}

static void test_elf(void **state)
{
	struct loaded_kernel k;
	struct err e = ERR_INIT;

	(void)state;
	make_elf();
	assert_int_equal(load(&elf, sizeof(elf), KERNEL_ENTRY_AUTO, &k, &e), 0);
	assert_int_equal(k.entry, KERNEL_ENTRY_PVH);
	assert_int_equal(k.rip, 0x1000020);
	assert_int_equal(k.end, 0x1201000);
	assert_false(k.has_setup);
	assert_memory_equal(guest_range(&m, GPA(0x1000000), 64), elf.text, 64);
	assert_memory_equal(guest_range(&m, GPA(0x1200000), 32), elf.data, 32);
	assert_int_equal(*(uint8_t *)guest_range(&m, GPA(0x1200020), 1), 0);
	assert_int_equal(load(&elf, sizeof(elf), KERNEL_ENTRY_ONLY_LINUX64, &k, &e), 0);
	assert_int_equal(k.entry, KERNEL_ENTRY_LINUX64);
	assert_int_equal(k.rip, 0x1000010);
	elf.note.h.n_type = 17;
	assert_int_equal(load(&elf, sizeof(elf), KERNEL_ENTRY_AUTO, &k, &e), 0);
	assert_int_equal(k.entry, KERNEL_ENTRY_LINUX64);
	assert_int_equal(load(&elf, sizeof(elf), KERNEL_ENTRY_ONLY_PVH, &k, &e), -ENOTSUP);
}

#define ELF_LIE(change, words)                            \
	do {                                              \
		make_elf();                               \
		change;                                   \
		assert_refused(&elf, sizeof(elf), words); \
	} while (0)

static void test_elf_lies(void **state)
{
	(void)state;
	ELF_LIE(elf.h.e_ident[EI_CLASS] = ELFCLASS32, "not of x86-64");
	ELF_LIE(elf.h.e_machine = EM_AARCH64, "not of x86-64");
	ELF_LIE(elf.h.e_type = ET_DYN, "no fixed executable");
	ELF_LIE(elf.h.e_phentsize = 32, "3 program headers of 32 bytes");
	ELF_LIE(elf.h.e_phnum = 0, "0 program headers");
	ELF_LIE(elf.h.e_phnum = 0xffff, "65535 program headers");
	ELF_LIE(elf.h.e_phoff = sizeof(elf) - 8, "ends before its program headers");
	ELF_LIE(elf.h.e_phoff = UINT64_MAX - 8, "ends before its program headers");
	ELF_LIE(elf.ph[0].p_filesz = 65, "longer in the file than in memory");
	ELF_LIE(elf.ph[1].p_filesz = 0x800, "the file ends before its segment 1");
	ELF_LIE(elf.ph[0].p_offset = UINT64_MAX - 8, "the file ends before its segment 0");
	ELF_LIE(elf.ph[1].p_paddr = 0x8000, "segment 1 at impossible address");
	ELF_LIE(elf.ph[1].p_memsz = UINT64_MAX, "segment 1 at impossible address");
	ELF_LIE(elf.ph[1].p_paddr = UINT64_MAX - 0x2000, "does not fit");
	ELF_LIE(elf.ph[1].p_memsz = MIB(32), "does not fit");
	ELF_LIE(elf.ph[1].p_paddr = 0x1000020, "segments 0 and 1 overlap");
	ELF_LIE(elf.note.entry = 0x100, "its entry 0x100 is in no segment");
	ELF_LIE(elf.note.entry = 0x1000040, "is in no segment");
	ELF_LIE((elf.note.h.n_type = 1, elf.h.e_entry = 0), "its entry 0x0 is in no segment");
	ELF_LIE(elf.ph[2].p_offset = sizeof(elf), "ends before its notes");
	/* A note that lies about its own lengths is no note: the ordinary entry counts. */
	make_elf();
	elf.note.h.n_descsz = UINT32_MAX;

	struct loaded_kernel k;

	assert_int_equal(load(&elf, sizeof(elf), KERNEL_ENTRY_AUTO, &k, NULL), 0);
	assert_int_equal(k.entry, KERNEL_ENTRY_LINUX64);
	make_elf();
	for (size_t n = 4; n < offsetof(struct elf, data) + sizeof(elf.data); n++)
		assert_refused(&elf, n, "the file ends");
}

static void test_not_a_kernel(void **state)
{
	char text[4096] = "#!/bin/sh\n";
	struct err e = ERR_INIT;
	struct loaded_kernel k;
	int fd, pipes[2];

	(void)state;
	assert_refused(text, sizeof(text), "neither a bzImage nor an ELF kernel");
	assert_refused("", 0, "neither");
	fd = memfd_create("kernel", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)MIB(1025)), 0); /* sparse */
	assert_int_equal(kernel_image_load(fd, KERNEL_ENTRY_AUTO, &m, &k, &e), -EINVAL);
	assert_non_null(strstr(e.text, "too many"));
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(kernel_image_load(pipes[0], KERNEL_ENTRY_AUTO, &m, &k, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a regular file"));
	close(pipes[0]);
	close(pipes[1]);
}

static void test_initrd(void **state)
{
	struct loaded_kernel k = {.end = 0x1100000, .initrd_addr_max = 0x7fffffff};
	static char data[5000];
	uint64_t at = 1, bytes = 1;
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	memset(data, 'i', sizeof(data));
	fd = file_of(data, sizeof(data));
	assert_int_equal(initrd_load(fd, &k, &m, &at, &bytes, &e), 0);
	assert_int_equal(at, MIB(32) - 8192); /* whole pages, at the top */
	assert_int_equal(bytes, 5000);
	assert_memory_equal(guest_range(&m, GPA(at), 5000), data, 5000);
	k.initrd_addr_max = 0x1ffffff - 4096;
	assert_int_equal(initrd_load(fd, &k, &m, &at, &bytes, &e), 0);
	assert_int_equal(at, MIB(32) - 3 * 4096);
	k.end = MIB(32) - 4096; /* no room above the kernel */
	assert_int_equal(initrd_load(fd, &k, &m, &at, &bytes, &e), -ENOSPC);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_non_null(strstr(e.hint, "more memory"));
	k.end = 0;
	k.initrd_addr_max = 4095; /* below 1 MiB is not ours to give */
	assert_true(initrd_load(fd, &k, &m, &at, &bytes, &e) < 0);
	close(fd);
	fd = file_of("", 0);
	assert_int_equal(initrd_load(fd, &k, &m, &at, &bytes, &e), 0);
	assert_true(at == 0 && bytes == 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bzimage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bzimage_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_elf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_elf_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_initrd, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
