/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in the guest's address space (all guest-physical). What a boot needs lies in the
 * first 640 KiB, which the kernel leaves alone until it has read it; ACPI's tables lie where e820 says
 * "reserved", so that they stay.
 */
#pragma once

#include <stdint.h>

#define GUEST_PAGE_BYTES 4096u

/* Low memory ends where the gap for MMIO begins; what does not fit goes on at 4 GiB. */
#define GUEST_GAP_START        0xc0000000ull
#define GUEST_HIGH_START       0x100000000ull
#define GUEST_MEMORY_MAX_BYTES (1ull << 40)

#define BOOT_GDT            0x500u
#define BOOT_IDT            0x520u
#define BOOT_PVH_INFO       0x6000u
#define BOOT_PVH_MODULES    0x6040u
#define BOOT_ZERO_PAGE      0x7000u /* boot_params; in a PVH boot its memory map */
#define BOOT_STACK          0x8ff0u
#define BOOT_PML4           0x9000u
#define BOOT_PDPT           0xa000u
#define BOOT_PD             0xb000u
#define BOOT_IDENTITY_BYTES (1ull << 30) /* what the first page tables map */
#define BOOT_CMDLINE        0x20000u
#define BOOT_CMDLINE_MAX    2048u    /* the kernel's COMMAND_LINE_SIZE on x86 */
#define LOW_RAM_END         0x9fc00u /* what PCs call the extended BIOS data area begins here */
#define ACPI_TABLES         0xa0000u
#define ACPI_TABLES_END     0xe0000u
#define ACPI_RSDP           0xe0000u
#define BIOS_RESET          0xffff0u /* where a PC's firmware is entered */
#define KERNEL_START        0x100000u

/* One virtio device per page, with an interrupt line of its own. */
#define VIRTIO_MMIO_START  0xc0001000ull
#define VIRTIO_DEVICES_MAX 16u
#define VIRTIO_GSI_FIRST   5u

#define IOAPIC_ADDRESS  0xfec00000u
#define LAPIC_ADDRESS   0xfee00000u
#define KVM_TSS_ADDRESS 0xfffbd000u

/* I/O ports. */
#define SERIAL_PORT  0x3f8u
#define SERIAL_PORTS 8u
#define SERIAL_GSI   4u

/* ACPI's reset and sleep registers, a byte each. */
#define POWER_PORT         0x600u
#define POWER_PORTS        3u
#define POWER_RESET        0u
#define POWER_SLEEP        1u
#define POWER_STATUS       2u
#define POWER_RESET_VALUE  1u
#define ACPI_SLEEP_TYPE_S5 5u

/* APIC ids have 8 bits, and 255 means all. */
#define VCPUS_MAX 254u
