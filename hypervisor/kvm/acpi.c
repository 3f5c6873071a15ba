/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSDP → XSDT → FADT (→ DSDT), MADT, laid out one after the other in what e820 calls reserved.
 *
 * Source: ACPI 6.4, 5.2 (tables), 4.8.3 (sleep and reset registers). The revision that we claim is 6.4's
 * FADT (6, minor 4), 276 bytes.
 */
#include "acpi.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "aml.h"
#include "layout.h"

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 36, "5.2.6");

struct address {
	uint8_t space, bits, offset, access;
	uint64_t at;
} __attribute__((packed));
enum { SPACE_PORT = 1, ACCESS_BYTE = 1 };

struct fadt {
	struct header h;
	uint32_t facs, dsdt;
	uint8_t reserved1, profile;
	uint16_t sci;
	uint8_t unused1[61]; /* the registers of machines that are not hardware-reduced */
	uint16_t boot_flags;
	uint8_t reserved2;
	uint32_t flags;
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct address unused2[8];
	struct address sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));
_Static_assert(sizeof(struct fadt) == 276, "5.2.9");
_Static_assert(offsetof(struct fadt, boot_flags) == 109 && offsetof(struct fadt, flags) == 112 &&
		       offsetof(struct fadt, reset) == 116 && offsetof(struct fadt, x_dsdt) == 140,
	       "5.2.9");

/* IA-PC boot flags: nothing legacy, no i8042; no VGA, no CMOS clock. */
#define BOOT_NO_VGA  (1u << 2)
#define BOOT_NO_CMOS (1u << 5)

#define FADT_WBINVD          (1u << 0)
#define FADT_NO_POWER_BUTTON (1u << 4) /* no fixed one */
#define FADT_NO_SLEEP_BUTTON (1u << 5)
#define FADT_RESET_REGISTER  (1u << 10)
#define FADT_HW_REDUCED      (1u << 20)

#define PROFILE_UNSPECIFIED 0

/* A stretch of guest memory that tables are put into. */
struct tables {
	const struct guest_memory *m;
	uint64_t next;
};

static uint8_t checksum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *b++);
	return (uint8_t)-sum;
}

static struct header header(const char *signature, uint8_t revision, size_t length)
{
	struct header h = {.length = (uint32_t)length,
			   .revision = revision,
			   .oem_revision = 1,
			   .creator_revision = 1};

	memcpy(h.signature, signature, 4);
	memcpy(h.oem, "INSULA", 6);
	memcpy(h.oem_table, "INSULAVM", 8);
	memcpy(h.creator, "INSU", 4);
	return h;
}

/* Complete a table's checksum and place it; its address in *ret. */
static int place(struct tables *t, void *table, size_t length, uint64_t *ret, struct err *e)
{
	struct header *h = table;
	uint64_t at = (t->next + 63) & ~(uint64_t)63;

	if (length > ACPI_TABLES_END - at)
		return err_set(e, ERR_INTERNAL, ENOSPC, "ACPI: no room for table %.4s",
			       h->signature);
	h->checksum = 0;
	h->checksum = checksum(table, length);
	if (guest_write(t->m, GPA(at), table, length) < 0)
		return err_set(e, ERR_LIMIT, EFAULT, "ACPI: the guest has less than 1 MiB");
	t->next = at + length;
	*ret = at;
	return 0;
}

/* ---- DSDT ------------------------------------------------------------------------------------- */

static void describe_serial(struct aml *a)
{
	aml_open_device(a, "COM1");
	aml_name_eisaid(a, "_HID", "PNP0501");
	aml_name_integer(a, "_UID", 0);
	aml_open_resources(a);
	aml_resource_ports(a, SERIAL_PORT, SERIAL_PORTS);
	aml_resource_interrupt(a, SERIAL_GSI);
	aml_close_resources(a);
	aml_close(a);
}

static void describe_virtio(struct aml *a, unsigned i, const struct acpi_virtio *v)
{
	char name[8];

	snprintf(name, sizeof(name), "VR%02X", i & 0xff);
	aml_open_device(a, name);
	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_integer(a, "_UID", i);
	aml_name_integer(a, "_CCA", 1);
	aml_open_resources(a);
	aml_resource_memory(a, v->at, v->bytes);
	aml_resource_interrupt(a, v->gsi);
	aml_close_resources(a);
	aml_close(a);
}

static int place_dsdt(struct tables *t, const struct acpi_config *c, uint64_t *ret, struct err *e)
{
	/* S5 is the only sleep state: the value that the guest writes to switch off. */
	static const uint8_t s5[] = {ACPI_SLEEP_TYPE_S5, ACPI_SLEEP_TYPE_S5, 0, 0};
	uint8_t table[8192];
	struct header h;
	struct aml a;
	long n;

	aml_init(&a, table + sizeof(h), sizeof(table) - sizeof(h));
	aml_open_scope(&a, "\\_SB_");
	describe_serial(&a);
	for (unsigned i = 0; i < c->n_virtio; i++)
		describe_virtio(&a, i, &c->virtio[i]);
	aml_close(&a);
	aml_name_package(&a, "\\_S5_", s5, sizeof(s5));
	n = aml_finish(&a);
	if (n < 0)
		return err_set(e, ERR_INTERNAL, ENOSPC, "ACPI: the DSDT is too large");
	h = header("DSDT", 2, sizeof(h) + (size_t)n); /* 2: integers have 64 bits */
	memcpy(table, &h, sizeof(h));
	return place(t, table, sizeof(h) + (size_t)n, ret, e);
}

/* ---- the others ------------------------------------------------------------------------------- */

static int place_fadt(struct tables *t, uint64_t dsdt, uint64_t *ret, struct err *e)
{
	struct fadt f = {
		.dsdt = (uint32_t)dsdt,
		.profile = PROFILE_UNSPECIFIED,
		.boot_flags = BOOT_NO_VGA | BOOT_NO_CMOS,
		.flags = FADT_WBINVD | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			 FADT_RESET_REGISTER | FADT_HW_REDUCED,
		.reset = {SPACE_PORT, 8, 0, ACCESS_BYTE, POWER_PORT + POWER_RESET},
		.reset_value = POWER_RESET_VALUE,
		.minor = 4,
		.x_dsdt = dsdt,
		.sleep_control = {SPACE_PORT, 8, 0, ACCESS_BYTE, POWER_PORT + POWER_SLEEP},
		.sleep_status = {SPACE_PORT, 8, 0, ACCESS_BYTE, POWER_PORT + POWER_STATUS},
	};

	f.h = header("FACP", 6, sizeof(f));
	memcpy(&f.hypervisor, "INSULA\0\0", 8);
	return place(t, &f, sizeof(f), ret, e);
}

struct madt_head {
	struct header h;
	uint32_t lapic_at, flags; /* flags 0: no PIC besides */
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length, uid, id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t at, gsi_base;
} __attribute__((packed));

#define MADT_LAPIC    0
#define MADT_IOAPIC   1
#define LAPIC_ENABLED 1u

static int place_madt(struct tables *t, unsigned vcpus, uint64_t *ret, struct err *e)
{
	uint8_t table[sizeof(struct madt_head) + sizeof(struct madt_ioapic) +
		      VCPUS_MAX * sizeof(struct madt_lapic)];
	struct madt_head head = {.lapic_at = LAPIC_ADDRESS};
	struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC, .length = sizeof(ioapic), .id = 0, .at = IOAPIC_ADDRESS};
	size_t n = sizeof(head);

	if (vcpus < 1 || vcpus > VCPUS_MAX)
		return err_invalid(e, "ACPI: %u vCPUs are not in 1..%u", vcpus, VCPUS_MAX);
	for (unsigned i = 0; i < vcpus; i++) {
		struct madt_lapic lapic = {.type = MADT_LAPIC,
					   .length = sizeof(lapic),
					   .uid = (uint8_t)i,
					   .id = (uint8_t)i,
					   .flags = LAPIC_ENABLED};

		memcpy(table + n, &lapic, sizeof(lapic));
		n += sizeof(lapic);
	}
	memcpy(table + n, &ioapic, sizeof(ioapic));
	n += sizeof(ioapic);
	head.h = header("APIC", 5, n);
	memcpy(table, &head, sizeof(head));
	return place(t, table, n, ret, e);
}

static int place_xsdt(struct tables *t, const uint64_t *entries, unsigned n, uint64_t *ret,
		      struct err *e)
{
	uint8_t table[sizeof(struct header) + 8 * sizeof(uint64_t)];
	size_t length = sizeof(struct header) + n * sizeof(uint64_t);
	struct header h = header("XSDT", 1, length);

	memcpy(table, &h, sizeof(h));
	memcpy(table + sizeof(h), entries, n * sizeof(uint64_t));
	return place(t, table, length, ret, e);
}

static int write_rsdp(const struct guest_memory *m, uint64_t xsdt, struct err *e)
{
	struct {
		char signature[8];
		uint8_t checksum;
		char oem[6];
		uint8_t revision;
		uint32_t rsdt, length;
		uint64_t xsdt;
		uint8_t checksum_all, reserved[3];
	} __attribute__((packed)) r = {
		.revision = 2,
		.length = 36,
		.xsdt = xsdt,
	};

	_Static_assert(sizeof(r) == 36, "5.2.5.3");
	memcpy(r.signature, "RSD PTR ", 8);
	memcpy(r.oem, "INSULA", 6);
	r.checksum = checksum(&r, 20); /* the part that ACPI 1.0 knows */
	r.checksum_all = checksum(&r, sizeof(r));
	if (guest_write(m, GPA(ACPI_RSDP), &r, sizeof(r)) < 0)
		return err_set(e, ERR_LIMIT, EFAULT, "ACPI: the guest has less than 1 MiB");
	return 0;
}

int acpi_write(const struct guest_memory *m, const struct acpi_config *c, struct err *e)
{
	struct tables t = {.m = m, .next = ACPI_TABLES};
	uint64_t dsdt, xsdt, entries[2];
	int r;

	if ((r = place_dsdt(&t, c, &dsdt, e)) < 0 ||
	    (r = place_fadt(&t, dsdt, &entries[0], e)) < 0 ||
	    (r = place_madt(&t, c->vcpus, &entries[1], e)) < 0 ||
	    (r = place_xsdt(&t, entries, 2, &xsdt, e)) < 0)
		return r;
	return write_rsdp(m, xsdt, e);
}
