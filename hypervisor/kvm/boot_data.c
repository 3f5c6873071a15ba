/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot protocols' data (layout.h has the addresses). All of it is written before the first vCPU runs,
 * little-endian as the host is.
 *
 * Sources: kernel Documentation/arch/x86/boot.rst and zero-page.rst; Xen's
 * public/arch-x86/hvm/start_info.h (version 1).
 */
#include "boot_data.h"

#include <string.h>

#include "base/cleanup.h"
#include "layout.h"

enum { E820_RAM = 1, E820_RESERVED = 2 };

struct map_entry {
	uint64_t start, bytes;
	uint32_t type;
};
#define MAP_MAX 4

static unsigned memory_map(const struct guest_memory *m, struct map_entry map[MAP_MAX])
{
	unsigned n = 0;

	map[n++] = (struct map_entry){0, LOW_RAM_END, E820_RAM};
	map[n++] = (struct map_entry){LOW_RAM_END, KERNEL_START - LOW_RAM_END, E820_RESERVED};
	map[n++] = (struct map_entry){KERNEL_START, m->region[0].bytes - KERNEL_START, E820_RAM};
	if (m->n_regions > 1)
		map[n++] = (struct map_entry){m->region[1].start, m->region[1].bytes, E820_RAM};
	return n;
}

/* ---- the zero page ---------------------------------------------------------------------------- */

#define ZP_ACPI_RSDP        0x070
#define ZP_EXT_INITRD_AT    0x0c0
#define ZP_E820_ENTRIES     0x1e8
#define ZP_VID_MODE         0x1fa
#define ZP_BOOT_FLAG        0x1fe
#define ZP_HEADER_MAGIC     0x202
#define ZP_VERSION          0x206
#define ZP_LOADER           0x210
#define ZP_LOADFLAGS        0x211
#define ZP_INITRD_AT        0x218
#define ZP_INITRD_BYTES     0x21c
#define ZP_CMDLINE          0x228
#define ZP_KERNEL_ALIGNMENT 0x230
#define ZP_E820_TABLE       0x2d0

#define LOADER_UNDEFINED 0xffu
#define LOADED_HIGH      1u
#define VID_MODE_NORMAL  0xffffu

struct e820_entry {
	uint64_t start, bytes;
	uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "boot protocol");

static void put(uint8_t *page, size_t at, uint64_t value, size_t bytes)
{
	memcpy(page + at, &value, bytes);
}

static int write_zero_page(const struct guest_memory *m, const struct loaded_kernel *k,
			   uint64_t initrd_at, uint64_t initrd_bytes)
{
	uint8_t page[GUEST_PAGE_BYTES] = {0};
	struct map_entry map[MAP_MAX];
	unsigned n = memory_map(m, map);

	if (k->has_setup) {
		memcpy(page + SETUP_HEADER_AT, k->setup, sizeof(k->setup));
	} else {
		put(page, ZP_BOOT_FLAG, 0xaa55, 2);
		memcpy(page + ZP_HEADER_MAGIC, "HdrS", 4);
		put(page, ZP_VERSION, 0x20c, 2);
		put(page, ZP_LOADFLAGS, LOADED_HIGH, 1);
		put(page, ZP_KERNEL_ALIGNMENT, 0x1000000, 4);
	}
	put(page, ZP_VID_MODE, VID_MODE_NORMAL, 2);
	put(page, ZP_LOADER, LOADER_UNDEFINED, 1);
	put(page, ZP_INITRD_AT, initrd_at, 4); /* below 4 GiB, as all low memory */
	put(page, ZP_INITRD_BYTES, initrd_bytes, 4);
	put(page, ZP_EXT_INITRD_AT, 0, 8); /* the upper halves of both */
	put(page, ZP_CMDLINE, BOOT_CMDLINE, 4);
	put(page, ZP_ACPI_RSDP, ACPI_RSDP, 8);
	put(page, ZP_E820_ENTRIES, n, 1);
	for (unsigned i = 0; i < n; i++) {
		struct e820_entry entry = {map[i].start, map[i].bytes, map[i].type};

		memcpy(page + ZP_E820_TABLE + i * sizeof(entry), &entry, sizeof(entry));
	}
	return guest_write(m, GPA(BOOT_ZERO_PAGE), page, sizeof(page));
}

/* ---- PVH ---------------------------------------------------------------------------------------- */

#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules_at, cmdline_at, rsdp_at, map_at;
	uint32_t map_entries, reserved;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "start_info version 1");

struct pvh_module {
	uint64_t at, bytes, cmdline_at, reserved;
};

struct pvh_map_entry {
	uint64_t start, bytes;
	uint32_t type, reserved;
};

static int write_pvh(const struct guest_memory *m, uint64_t initrd_at, uint64_t initrd_bytes)
{
	struct map_entry map[MAP_MAX];
	unsigned n = memory_map(m, map);
	struct pvh_map_entry entries[MAP_MAX] = {0};
	struct pvh_module module = {.at = initrd_at, .bytes = initrd_bytes};
	struct pvh_start_info info = {
		.magic = PVH_MAGIC,
		.version = 1,
		.n_modules = initrd_bytes != 0,
		.modules_at = initrd_bytes ? BOOT_PVH_MODULES : 0,
		.cmdline_at = BOOT_CMDLINE,
		.rsdp_at = ACPI_RSDP,
		.map_at = BOOT_ZERO_PAGE,
		.map_entries = n,
	};
	int r;

	for (unsigned i = 0; i < n; i++)
		entries[i] = (struct pvh_map_entry){
			.start = map[i].start, .bytes = map[i].bytes, .type = map[i].type};
	r = guest_write(m, GPA(BOOT_PVH_INFO), &info, sizeof(info));
	if (r == 0)
		r = guest_write(m, GPA(BOOT_PVH_MODULES), &module, sizeof(module));
	if (r == 0)
		r = guest_write(m, GPA(BOOT_ZERO_PAGE), entries, n * sizeof(entries[0]));
	return r;
}

/* ---- both ------------------------------------------------------------------------------------- */

/* Flat segments, accessed already. The 64-bit protocol wants code at 0x10 and data at 0x18. */
static const uint64_t gdt_linux64[] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};
static const uint64_t gdt_pvh[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0};
_Static_assert(BOOT_GDT + sizeof(gdt_linux64) <= BOOT_IDT, "the IDT follows");

#define PTE_TABLE 0x3u  /* present, writable */
#define PTE_LARGE 0x83u /* and a page of 2 MiB */

/* Identity for the first GiB. */
static int write_page_tables(const struct guest_memory *m)
{
	uint64_t pd[512], entry = BOOT_PDPT | PTE_TABLE;
	int r;

	for (uint64_t i = 0; i < ARRAY_SIZE(pd); i++)
		pd[i] = i << 21 | PTE_LARGE;
	r = guest_write(m, GPA(BOOT_PML4), &entry, sizeof(entry));
	entry = BOOT_PD | PTE_TABLE;
	if (r == 0)
		r = guest_write(m, GPA(BOOT_PDPT), &entry, sizeof(entry));
	if (r == 0)
		r = guest_write(m, GPA(BOOT_PD), pd, sizeof(pd));
	return r;
}

/* A kernel that knows no other way to restart jumps to the firmware, in real mode. There is none, but this:
 *	mov dx, POWER_PORT + POWER_RESET; mov al, POWER_RESET_VALUE; out dx, al; hlt; jmp to the hlt */
static const uint8_t firmware[] = {0xba,
				   (POWER_PORT + POWER_RESET) & 0xff,
				   (POWER_PORT + POWER_RESET) >> 8,
				   0xb0,
				   POWER_RESET_VALUE,
				   0xee,
				   0xf4,
				   0xeb,
				   0xfd};
_Static_assert(BIOS_RESET + sizeof(firmware) <= KERNEL_START, "below the kernel");

static int write_tables(const struct guest_memory *m, enum kernel_entry entry)
{
	const uint64_t no_idt = 0;
	int r = -EINVAL;

	switch (entry) {
	case KERNEL_ENTRY_LINUX64:
		r = guest_write(m, GPA(BOOT_GDT), gdt_linux64, sizeof(gdt_linux64));
		if (r == 0)
			r = write_page_tables(m);
		break;
	case KERNEL_ENTRY_PVH:
		r = guest_write(m, GPA(BOOT_GDT), gdt_pvh, sizeof(gdt_pvh));
		break;
	}
	if (r == 0)
		r = guest_write(m, GPA(BOOT_IDT), &no_idt, sizeof(no_idt));
	if (r == 0)
		r = guest_write(m, GPA(BIOS_RESET), firmware, sizeof(firmware));
	return r;
}

int boot_data_write(const struct guest_memory *m, const struct loaded_kernel *k,
		    const char *cmdline, uint64_t initrd_at, uint64_t initrd_bytes, struct err *e)
{
	size_t len = strlen(cmdline);
	size_t max = k->cmdline_max < BOOT_CMDLINE_MAX ? k->cmdline_max : BOOT_CMDLINE_MAX - 1;
	int r;

	if (len > max)
		return err_invalid(e, "kernel command line: %zu bytes, this kernel takes %zu", len,
				   max);
	r = guest_write(m, GPA(BOOT_CMDLINE), cmdline, len + 1);
	if (r == 0)
		r = write_tables(m, k->entry);
	if (r == 0)
		r = k->entry == KERNEL_ENTRY_PVH ? write_pvh(m, initrd_at, initrd_bytes)
						 : write_zero_page(m, k, initrd_at, initrd_bytes);
	if (r < 0)
		return err_set(e, ERR_LIMIT, -r, "boot data: the guest has less than 1 MiB");
	return 0;
}
