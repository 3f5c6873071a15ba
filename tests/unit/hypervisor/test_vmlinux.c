/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF kernel out of a bzImage: hand-made LZ4 blocks with known meaning, images that lie about
 * their parts, and every kind of damage.
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "../../../hypervisor/vmlinux.h"

#define BLOCK(s) ((const unsigned char *)(s)), sizeof(s) - 1

/* Source of the encodings: LZ4 block format description. */
static void test_blocks(void **state)
{
	unsigned char out[64];

	(void)state;
	assert_int_equal(lz4_decode_block(BLOCK("\x50hello"), out, sizeof(out)), 5);
	assert_memory_equal(out, "hello", 5);
	/* One literal, then a match of 4 + 5 at distance 1, then a last literal: a run. */
	assert_int_equal(lz4_decode_block(BLOCK("\x15"
						"a\x01\x00\x10z"),
					  out, sizeof(out)),
			 11);
	assert_memory_equal(out, "aaaaaaaaaaz", 11);
	/* A literal length of 15 + 3. */
	assert_int_equal(lz4_decode_block(BLOCK("\xf0\x03"
						"abcdefghijklmnopqr"),
					  out, sizeof(out)),
			 18);
	assert_memory_equal(out, "abcdefghijklmnopqr", 18);
}

static void test_bad_blocks(void **state)
{
	unsigned char out[64];

	(void)state;
	/* more literals than there are; a distance before the start; distance 0; cut in a distance;
	 * cut in a length; more output than there is room */
	assert_int_equal(lz4_decode_block(BLOCK("\x50hell"), out, sizeof(out)), -EBADMSG);
	assert_int_equal(lz4_decode_block(BLOCK("\x10"
						"a\x02\x00"),
					  out, sizeof(out)),
			 -EBADMSG);
	assert_int_equal(lz4_decode_block(BLOCK("\x10"
						"a\x00\x00"),
					  out, sizeof(out)),
			 -EBADMSG);
	assert_int_equal(lz4_decode_block(BLOCK("\x10"
						"a\x01"),
					  out, sizeof(out)),
			 -EBADMSG);
	assert_int_equal(lz4_decode_block(BLOCK("\xf0\xff\xff"), out, sizeof(out)), -EBADMSG);
	assert_int_equal(lz4_decode_block(BLOCK("\x50hello"), out, 4), -EBADMSG);
	assert_int_equal(lz4_decode_block(BLOCK("\x1f"
						"a\x01\x00\xff\xff\x00"),
					  out, sizeof(out)),
			 -EBADMSG);
}

static void put32(unsigned char *p, size_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

/* The least ELF with a PVH note (or with a note of another type). */
static size_t make_elf(unsigned char *buf, uint32_t note_type)
{
	Elf64_Ehdr h = {.e_machine = EM_X86_64,
			.e_phoff = sizeof(h),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1};
	Elf64_Nhdr n = {.n_namesz = 4, .n_descsz = 4, .n_type = note_type};
	Elf64_Phdr ph = {.p_type = PT_NOTE, .p_offset = sizeof(h) + sizeof(ph)};

	ph.p_filesz = sizeof(n) + 8;
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &ph, sizeof(ph));
	memcpy(buf + ph.p_offset, &n, sizeof(n));
	memcpy(buf + ph.p_offset + sizeof(n), "Xen\0\0\0\0\1", 8);
	return ph.p_offset + ph.p_filesz;
}

/* A bzImage around it: one setup sector, payload of a legacy frame with one block of literals. */
static size_t make_image(unsigned char *buf, uint32_t note_type, size_t *ret_elf_len)
{
	unsigned char elf[512], *p = buf + 1024, *block;
	size_t n = make_elf(elf, note_type), rest = n - 15;

	memset(buf, 0, 1024);
	buf[0x1f1] = 1;
	memcpy(buf + 0x202, "HdrS\x0f\x02", 6);
	put32(p, 0x184c2102);
	block = p + 8;
	*block++ = 0xf0;
	for (; rest >= 255; rest -= 255)
		*block++ = 255;
	*block++ = (unsigned char)rest;
	memcpy(block, elf, n);
	block += n;
	put32(p + 4, (size_t)(block - p - 8));
	put32(block, n);
	block += 4;
	put32(buf + 0x24c, (size_t)(block - p));
	*ret_elf_len = n;
	return (size_t)(block - buf);
}

static int extract(const unsigned char *image, size_t len, size_t *ret_len)
{
	/* A copy of the exact size: a sanitizer sees what reads beyond. */
	_cleanup_free_ char *copy = malloc(len ? len : 1), *elf = NULL;
	int r;

	assert_non_null(copy);
	memcpy(copy, image, len);
	r = vmlinux_extract(copy, len, &elf, ret_len, NULL);
	if (r < 0)
		assert_null(elf);
	else
		assert_memory_equal(elf, ELFMAG, SELFMAG);
	return r;
}

static void test_image(void **state)
{
	unsigned char image[4096];
	size_t elf_len, len, got = 0;

	(void)state;
	len = make_image(image, 18, &elf_len);
	assert_int_equal(extract(image, len, &got), 0);
	assert_int_equal(got, elf_len);
	/* No direct entry, another compression, an old protocol, no image at all: not such a one,
	 * which is not an error of the image. */
	make_image(image, 17, &elf_len);
	assert_int_equal(extract(image, len, &got), -ENOTSUP);
	make_image(image, 18, &elf_len);
	image[1024] = 0x28;
	assert_int_equal(extract(image, len, &got), -ENOTSUP);
	make_image(image, 18, &elf_len);
	image[0x206] = 7;
	assert_int_equal(extract(image, len, &got), -ENOTSUP);
	assert_int_equal(extract((const unsigned char *)"\177ELF", 4, &got), -ENOTSUP);
	/* A payload that lies outside, or says that it is huge. */
	make_image(image, 18, &elf_len);
	put32(image + 0x248, 0xfffffff0);
	assert_int_equal(extract(image, len, &got), -EBADMSG);
	make_image(image, 18, &elf_len);
	put32(image + 0x24c, 0xffffffff);
	assert_int_equal(extract(image, len, &got), -EBADMSG);
	make_image(image, 18, &elf_len);
	put32(image + len - 4, 0xffffffff);
	assert_int_equal(extract(image, len, &got), -EBADMSG);
}

static void test_damage(void **state)
{
	unsigned char image[4096];
	size_t elf_len, got, len = make_image(image, 18, &elf_len);

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_true(extract(image, n, &got) < 0);
	for (size_t i = 0; i < len; i++) {
		unsigned char kept = image[i];

		for (int bit = 0; bit < 8; bit++) {
			image[i] = (unsigned char)(kept ^ 1u << bit);
			extract(image, len, &got);
		}
		image[i] = kept;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_bad_blocks),
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
