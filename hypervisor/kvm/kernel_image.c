/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kind of kernel is it, and where does it go. The file is read by offset (never mapped: it might be
 * cut while we look, and a mapping would answer with a signal); headers are copied once and then checked.
 *
 * Sources: kernel Documentation/arch/x86/boot.rst (bzImage, 64-bit boot protocol).
 */
#include "kernel_image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "kernel_elf.h"
#include "layout.h"

/* Offsets in a bzImage. */
#define SETUP_SECTS     0x1f1
#define BOOT_FLAG       0x1fe
#define HEADER_JUMP_LEN 0x201
#define HEADER_MAGIC    0x202
#define HEADER_VERSION  0x206
#define LOADFLAGS       0x211
#define INITRD_ADDR_MAX 0x22c
#define XLOADFLAGS      0x236
#define CMDLINE_SIZE    0x238
#define PREF_ADDRESS    0x258
#define INIT_SIZE       0x260
#define HEADER_END      0x264 /* of what we read */

#define PROTOCOL_64_ENTRY 0x20c
#define LOADED_HIGH       1u
#define XLF_KERNEL_64     1u
#define ENTRY_64_OFFSET   0x200u
#define SECTOR            512u
#define SETUP_SECTS_OLD   4u /* what 0 stands for */

/* Larger is no kernel, and would only be read for nothing. */
#define KERNEL_FILE_MAX (1ull << 30)

int kernel_read_at(const struct kernel_file *f, uint64_t at, void *to, size_t bytes,
		   const char *what, struct err *e)
{
	uint8_t *p = to;

	if (at > f->bytes || bytes > f->bytes - at)
		return err_invalid(e, "%s: the file ends before its %s", f->name, what);
	while (bytes) {
		ssize_t n = pread(f->fd, p, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "%s: read its %s", f->name, what);
		if (n == 0)
			return err_invalid(e, "%s: the file ended while its %s was read", f->name,
					   what);
		p += n;
		at += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int kernel_load_at(const struct kernel_file *f, uint64_t from, uint64_t bytes,
		   const struct guest_memory *m, uint64_t to, const char *what, struct err *e)
{
	char size[STR_SIZE_MAX];
	void *host;

	if (bytes == 0)
		return 0;
	if (to < KERNEL_START)
		return err_invalid(e, "%s: its %s would lie at 0x%jx, below 1 MiB", f->name, what,
				   (uintmax_t)to);
	host = guest_range(m, GPA(to), bytes);
	if (!host)
		return err_set(e, ERR_LIMIT, ENOSPC,
			       "%s: its %s (%s at 0x%jx) does not fit the guest's memory", f->name,
			       what, str_size(bytes, size), (uintmax_t)to);
	return kernel_read_at(f, from, host, bytes, what, e);
}

static int open_file(int fd, const char *name, uint64_t max, struct kernel_file *ret, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_invalid(e, "%s: not a regular file", name);
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return err_invalid(e, "%s: %jd bytes are too many", name, (intmax_t)st.st_size);
	*ret = (struct kernel_file){.fd = fd, .name = name, .bytes = (uint64_t)st.st_size};
	return 0;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static int check_bzimage(const struct kernel_file *f, const uint8_t *head, struct err *e)
{
	if (get16(head + BOOT_FLAG) != 0xaa55)
		return err_invalid(e, "%s: a bzImage without its boot flag", f->name);
	if (get16(head + HEADER_VERSION) < PROTOCOL_64_ENTRY)
		return err_unsupported(e,
				       "%s: boot protocol %u.%02u has no 64-bit entry (2.12 has)",
				       f->name, head[HEADER_VERSION + 1], head[HEADER_VERSION]);
	if (!(head[LOADFLAGS] & LOADED_HIGH))
		return err_unsupported(e, "%s: a zImage", f->name);
	if (!(get16(head + XLOADFLAGS) & XLF_KERNEL_64))
		return err_unsupported(e, "%s: no 64-bit kernel", f->name);
	return 0;
}

static int load_bzimage(const struct kernel_file *f, const uint8_t *head,
			const struct guest_memory *m, struct loaded_kernel *ret, struct err *e)
{
	struct loaded_kernel k = {.entry = KERNEL_ENTRY_LINUX64, .has_setup = true};
	uint64_t sects = head[SETUP_SECTS] ? head[SETUP_SECTS] : SETUP_SECTS_OLD;
	uint64_t from = (sects + 1) * SECTOR, start, need = get32(head + INIT_SIZE);
	size_t header_end = HEADER_MAGIC + (size_t)head[HEADER_JUMP_LEN];
	int r = check_bzimage(f, head, e);

	if (r < 0)
		return r;
	if (header_end < HEADER_END || header_end > SETUP_HEADER_AT + SETUP_HEADER_MAX)
		return err_invalid(e, "%s: its setup header ends at 0x%zx", f->name, header_end);
	if (from >= f->bytes || f->bytes - from <= ENTRY_64_OFFSET)
		return err_invalid(e, "%s: the file ends before its kernel", f->name);
	/* The decompressor moves itself up to the preferred address and wants init_size bytes there. */
	start = get64(head + PREF_ADDRESS);
	if (start < KERNEL_START)
		start = KERNEL_START;
	if (f->bytes - from > need)
		need = f->bytes - from;
	if (start >= GUEST_GAP_START || !guest_range(m, GPA(start), need))
		return err_set(e, ERR_LIMIT, ENOSPC,
			       "%s: it needs the memory from 0x%jx to 0x%jx to start, which the "
			       "guest has not",
			       f->name, (uintmax_t)start, (uintmax_t)(start + need));
	r = kernel_read_at(f, SETUP_HEADER_AT, k.setup, header_end - SETUP_HEADER_AT,
			   "setup header", e);
	if (r == 0)
		r = kernel_load_at(f, from, f->bytes - from, m, KERNEL_START, "kernel", e);
	if (r < 0)
		return r;
	k.rip = KERNEL_START + ENTRY_64_OFFSET;
	k.end = start + need;
	k.initrd_addr_max = get32(head + INITRD_ADDR_MAX);
	k.cmdline_max = get32(head + CMDLINE_SIZE);
	*ret = k;
	return 0;
}

int kernel_image_load(int fd, enum kernel_entry_choice choice, const struct guest_memory *m,
		      struct loaded_kernel *ret, struct err *e)
{
	uint8_t head[HEADER_END] = {0};
	struct kernel_file f;
	int r = open_file(fd, "guest kernel", KERNEL_FILE_MAX, &f, e);

	if (r < 0)
		return r;
	r = kernel_read_at(&f, 0, head, f.bytes < sizeof(head) ? f.bytes : sizeof(head), "header",
			   e);
	if (r < 0)
		return r;
	if (memcmp(head, "\177ELF", 4) == 0)
		return kernel_elf_load(&f, choice, m, ret, e);
	if (memcmp(head + HEADER_MAGIC, "HdrS", 4) != 0)
		return err_invalid(e, "guest kernel: neither a bzImage nor an ELF kernel");
	if (f.bytes < sizeof(head))
		return err_invalid(e, "guest kernel: the file ends in its header");
	if (choice == KERNEL_ENTRY_ONLY_PVH)
		return err_unsupported(e, "guest kernel: a bzImage has no PVH entry");
	return load_bzimage(&f, head, m, ret, e);
}

int initrd_load(int fd, const struct loaded_kernel *k, const struct guest_memory *m,
		uint64_t *ret_at, uint64_t *ret_bytes, struct err *e)
{
	uint64_t top = m->region[0].start + m->region[0].bytes, at;
	char size[STR_SIZE_MAX];
	struct kernel_file f;
	int r = open_file(fd, "initramfs", GUEST_GAP_START, &f, e);

	if (r < 0)
		return r;
	if (f.bytes == 0) {
		*ret_at = *ret_bytes = 0;
		return 0;
	}
	if (k->initrd_addr_max < top)
		top = k->initrd_addr_max + 1;
	at = (top - (f.bytes < top ? f.bytes : top)) & ~(uint64_t)(GUEST_PAGE_BYTES - 1);
	if (f.bytes > top || at < k->end) {
		err_set(e, ERR_LIMIT, ENOSPC,
			"initramfs: %s do not fit the guest's memory beside its kernel",
			str_size(f.bytes, size));
		return err_hint(e, "give the guest more memory");
	}
	r = kernel_load_at(&f, 0, f.bytes, m, at, "content", e);
	if (r < 0)
		return r;
	*ret_at = at;
	*ret_bytes = f.bytes;
	return 0;
}
