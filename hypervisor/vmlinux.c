/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlinux out of bzImage. The decompressor at the start of a bzImage is what software emulation
 * spends a sixth of the boot in; an engine that starts the ELF kernel at its PVH entry skips it.
 * (The decompressor also is what moves the kernel's text to a random address. Within a guest that
 * runs one workload this was weighed less than the time; the guest's page tables and heap are
 * still randomised by the kernel itself.)
 *
 * Sources: kernel Documentation/arch/x86/boot.rst (setup header), lib/decompress_unlz4.c's input
 * as described in the LZ4 "legacy frame" and "block" formats, Xen's elfnote.h (PVH note).
 */
#include "vmlinux.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define VMLINUX_BYTES_MAX (256u << 20)

#define SETUP_SECTS     0x1f1
#define SETUP_MAGIC     0x202
#define SETUP_VERSION   0x206
#define SETUP_PAYLOAD   0x248
#define SETUP_HEADER    0x250
#define PAYLOAD_VERSION 0x208 /* protocol that brought payload_offset */

#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_LEGACY_BLOCK (8u << 20)
#define LZ4_MATCH_MIN    4

#define XEN_ELFNOTE_PHYS32_ENTRY 18

static int broken(struct err *e, const char *why)
{
	return err_set(e, ERR_INVALID, EBADMSG, "kernel image: %s", why);
}

static uint32_t get32(const void *p)
{
	const uint8_t *b = p;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* A length that goes on in bytes of 255. False if the input ends within. */
static bool read_length(const unsigned char **p, const unsigned char *end, size_t *len)
{
	unsigned char c;

	do {
		if (*p == end || *len > VMLINUX_BYTES_MAX)
			return false;
		c = *(*p)++;
		*len += c;
	} while (c == 255);
	return true;
}

ssize_t lz4_decode_block(const unsigned char *src, size_t src_len, unsigned char *dst, size_t cap)
{
	const unsigned char *p = src, *end = src + src_len;
	size_t out = 0;

	while (p < end) {
		unsigned token = *p++;
		size_t literals = token >> 4, match = token & 15, distance;

		if (literals == 15 && !read_length(&p, end, &literals))
			return -EBADMSG;
		if (literals > (size_t)(end - p) || literals > cap - out)
			return -EBADMSG;
		memcpy(dst + out, p, literals);
		out += literals;
		p += literals;
		if (p == end) /* the last sequence is literals only */
			break;
		if (end - p < 2)
			return -EBADMSG;
		distance = p[0] | (size_t)p[1] << 8;
		p += 2;
		if (match == 15 && !read_length(&p, end, &match))
			return -EBADMSG;
		match += LZ4_MATCH_MIN;
		if (distance == 0 || distance > out || match > cap - out)
			return -EBADMSG;
		/* Byte by byte: source and destination may overlap, that is how runs are written.
		 */
		for (; match > 0; match--, out++)
			dst[out] = dst[out - distance];
	}
	return (ssize_t)out;
}

/* Blocks of the legacy frame up to the four bytes that the kernel's build appends: the size. */
static int decode_payload(const unsigned char *p, size_t len, char **ret, size_t *ret_len,
			  struct err *e)
{
	_cleanup_free_ unsigned char *out = NULL;
	size_t size, done = 0;

	if (len < 12)
		return broken(e, "payload too short");
	size = get32(p + len - 4);
	if (size == 0 || size > VMLINUX_BYTES_MAX)
		return broken(e, "payload of impossible size");
	len -= 4;
	out = malloc(size);
	if (!out)
		return err_nomem(e);
	for (size_t at = 4; at < len;) {
		size_t cap = size - done < LZ4_LEGACY_BLOCK ? size - done : LZ4_LEGACY_BLOCK;
		size_t block;
		ssize_t n;

		if (len - at < 4 || (block = get32(p + at)) > len - at - 4)
			return broken(e, "payload ends within a block");
		n = lz4_decode_block(p + at + 4, block, out + done, cap);
		if (n <= 0)
			return broken(e, "payload is not valid LZ4");
		done += (size_t)n;
		at += 4 + block;
	}
	if (done != size)
		return broken(e, "payload shorter than it says");
	*ret = (char *)TAKE_PTR(out);
	*ret_len = size;
	return 0;
}

/* Does one PT_NOTE segment hold the PVH entry? */
static bool notes_have_pvh(const char *p, size_t len)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t name, desc;

		memcpy(&n, p, sizeof(n));
		name = ((size_t)n.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)n.n_descsz + 3) & ~(size_t)3;
		p += sizeof(n);
		len -= sizeof(n);
		if (name > len || desc > len - name)
			return false;
		if (n.n_type == XEN_ELFNOTE_PHYS32_ENTRY && n.n_namesz == 4 &&
		    memcmp(p, "Xen", 4) == 0)
			return true;
		p += name + desc;
		len -= name + desc;
	}
	return false;
}

static bool elf_has_pvh(const char *elf, size_t len)
{
	Elf64_Ehdr h;

	if (len < sizeof(h))
		return false;
	memcpy(&h, elf, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_machine != EM_X86_64 || h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phoff > len ||
	    (size_t)h.e_phnum * sizeof(Elf64_Phdr) > len - h.e_phoff)
		return false;
	for (size_t i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, elf + h.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_NOTE && ph.p_offset <= len &&
		    ph.p_filesz <= len - ph.p_offset &&
		    notes_have_pvh(elf + ph.p_offset, ph.p_filesz))
			return true;
	}
	return false;
}

static int not_such(struct err *e, const char *why)
{
	return err_unsupported(e, "kernel image: %s", why);
}

int vmlinux_extract(const char *image, size_t len, char **ret, size_t *ret_len, struct err *e)
{
	const unsigned char *p = (const unsigned char *)image;
	_cleanup_free_ char *elf = NULL;
	size_t base, offset, size, elf_len = 0;
	int r;

	if (len < SETUP_HEADER || memcmp(p + SETUP_MAGIC, "HdrS", 4) != 0)
		return not_such(e, "no bzImage");
	if ((p[SETUP_VERSION] | p[SETUP_VERSION + 1] << 8) < PAYLOAD_VERSION)
		return not_such(e, "boot protocol before 2.08");
	base = ((p[SETUP_SECTS] ? p[SETUP_SECTS] : 4u) + 1) * 512;
	offset = get32(p + SETUP_PAYLOAD);
	size = get32(p + SETUP_PAYLOAD + 4);
	if (base > len || offset > len - base || size > len - base - offset || size < 4)
		return broken(e, "payload outside the file");
	p += base + offset;
	if (get32(p) != LZ4_LEGACY_MAGIC)
		return not_such(e, "not compressed with LZ4");
	r = decode_payload(p, size, &elf, &elf_len, e);
	if (r < 0)
		return r;
	if (!elf_has_pvh(elf, elf_len))
		return not_such(e, "no PVH entry");
	*ret = TAKE_PTR(elf);
	*ret_len = elf_len;
	return 0;
}
