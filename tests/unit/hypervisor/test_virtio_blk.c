/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device: what a guest writes is what it reads, through extents and an overlay too; nothing outside of the disk
 * is ever touched; read-only is the host's word; requests in flight survive nothing but are waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "virtio_driver.h"

#include "../../../hypervisor/kvm/virtio_blk.h"

#define HEADER VD_DATA
#define BODY   (VD_DATA + 0x1000)
#define STATUS (VD_DATA + 0x800)
#define FLUSH  (1ull << VIRTIO_BLK_F_FLUSH)
#define TRIM   (1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES)
#define ALL    (FLUSH | TRIM)

#define DISK_BYTES (1u << 20)

struct fixture {
	struct vd v;
	int a, b, overlay;
};

/* Bytes that tell where they belong. */
static uint8_t pattern(uint64_t at, uint8_t seed)
{
	return (uint8_t)(at * 13 + at / 509 + seed);
}

static int make_file(uint64_t bytes, uint8_t seed)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	uint8_t block[4096];

	for (uint64_t at = 0; fd >= 0 && at < bytes; at += sizeof(block)) {
		for (unsigned i = 0; i < sizeof(block); i++)
			block[i] = pattern(at + i, seed);
		if (pwrite(fd, block, bytes - at < sizeof(block) ? bytes - at : sizeof(block),
			   (off_t)at) < 0)
			return -1;
	}
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || vd_prepare(&f->v) < 0)
		return -1;
	f->a = make_file(DISK_BYTES, 1);
	f->b = make_file(DISK_BYTES, 2);
	f->overlay = memfd_create("overlay", MFD_CLOEXEC);
	return f->a < 0 || f->b < 0 || f->overlay < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vd_done(&f->v);
	close(f->a);
	close(f->b);
	close(f->overlay);
	free(f);
	return 0;
}

static void attach_disk(struct fixture *f, const struct disk_config *c, uint64_t features)
{
	struct virtio_blk_setup s = {.loop = f->v.loop, .serial = "insula-0"};
	struct virtio_device *d;

	assert_int_equal(disk_open(c, &s.disk, &f->v.last), 0);
	assert_int_equal(virtio_blk_new(&s, &d, &f->v.last), 0);
	assert_int_equal(vd_attach(&f->v, d), 0);
	assert_true(vd_start(&f->v, features));
}

/* One file as one disk. */
static void plain(struct fixture *f, uint64_t features)
{
	const struct disk_extent x = {.fd = f->a};
	const struct disk_config c = {.extents = &x, .n = 1, .overlay_fd = -1};

	attach_disk(f, &c, features);
}

static void layered(struct fixture *f, uint64_t features)
{
	const struct disk_extent x = {.fd = f->a};
	const struct disk_config c = {.extents = &x, .n = 1, .overlay_fd = f->overlay};

	attach_disk(f, &c, features);
}

static int wait_used(struct fixture *f, uint32_t *ret_len)
{
	int head;

	while ((head = vd_used(&f->v, 0, ret_len)) < 0) {
		struct pollfd p = {.fd = f->v.irq_fd, .events = POLLIN};

		if (poll(&p, 1, 10000) != 1)
			fail_msg("no interrupt");
		vd_interrupts(&f->v);
	}
	return head;
}

static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t bytes,
		       bool to_guest)
{
	const struct virtio_blk_outhdr h = {.type = type, .sector = sector};
	struct vd_buf b[3] = {{HEADER, sizeof(h), false}};
	uint8_t *status = vd_ptr(&f->v, STATUS);
	unsigned n = 1;

	memcpy(vd_ptr(&f->v, HEADER), &h, sizeof(h));
	if (bytes)
		b[n++] = (struct vd_buf){BODY, bytes, to_guest};
	b[n++] = (struct vd_buf){STATUS, 1, true};
	*status = 0xee;
	vd_send(&f->v, 0, b, n);
	wait_used(f, NULL);
	return *status;
}

static uint8_t rd(struct fixture *f, uint64_t sector, uint32_t bytes)
{
	return request(f, VIRTIO_BLK_T_IN, sector, bytes, true);
}

static uint8_t wr(struct fixture *f, uint64_t sector, uint32_t bytes)
{
	return request(f, VIRTIO_BLK_T_OUT, sector, bytes, false);
}

static void fill_body(struct fixture *f, uint32_t bytes, uint64_t at, uint8_t seed)
{
	uint8_t *p = vd_ptr(&f->v, BODY);

	for (uint32_t i = 0; i < bytes; i++)
		p[i] = pattern(at + i, seed);
}

static void body_is(struct fixture *f, uint32_t bytes, uint64_t at, uint8_t seed)
{
	const uint8_t *p = vd_ptr(&f->v, BODY);

	for (uint32_t i = 0; i < bytes; i++)
		if (p[i] != pattern(at + i, seed))
			fail_msg("byte %u of what was read: %u", i, p[i]);
}

static void body_is_zero(struct fixture *f, uint32_t bytes)
{
	const uint8_t *p = vd_ptr(&f->v, BODY);

	for (uint32_t i = 0; i < bytes; i++)
		if (p[i])
			fail_msg("byte %u of what was read: %u", i, p[i]);
}

static void test_configuration(void **state)
{
	struct fixture *f = *state;
	uint64_t capacity = 0;
	uint32_t seg_max = 0, blk_size = 0;

	plain(f, ALL);
	vd_config(&f->v, 0, &capacity, 8);
	vd_config(&f->v, 12, &seg_max, 4);
	vd_config(&f->v, 20, &blk_size, 4);
	assert_int_equal(capacity, DISK_BYTES / 512);
	assert_int_equal(seg_max, 126);
	assert_int_equal(blk_size, 512);
	assert_false(vd_offered(&f->v) & 1ull << VIRTIO_BLK_F_RO);
}

static void test_read_and_write(void **state)
{
	struct fixture *f = *state;
	uint8_t there[1024];

	plain(f, ALL);
	assert_int_equal(rd(f, 3, 8192), VIRTIO_BLK_S_OK);
	body_is(f, 8192, 3 * 512, 1);
	fill_body(f, 1024, 0, 77);
	assert_int_equal(wr(f, 100, 1024), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(f->a, there, sizeof(there), 100 * 512), sizeof(there));
	assert_memory_equal(there, vd_ptr(&f->v, BODY), sizeof(there));
	/* The last sector and no further. */
	assert_int_equal(rd(f, DISK_BYTES / 512 - 1, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, DISK_BYTES - 512, 1);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
}

/* Data in several buffers, the status byte behind data in one of them. */
static void test_odd_framing(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_IN, .sector = 8};
	const struct vd_buf b[] = {{HEADER, 10, false},
				   {HEADER + 10, 6, false},
				   {BODY, 100, true},
				   {BODY + 100, 413, true}};
	uint32_t len = 0;

	plain(f, ALL);
	memcpy(vd_ptr(&f->v, HEADER), &h, sizeof(h));
	*(uint8_t *)vd_ptr(&f->v, BODY + 512) = 0xee;
	vd_send(&f->v, 0, b, 4);
	wait_used(f, &len);
	assert_int_equal(len, 513);
	body_is(f, 512, 8 * 512, 1);
	assert_int_equal(*(uint8_t *)vd_ptr(&f->v, BODY + 512), 0);
}

static void test_outside_of_the_disk(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t bytes;
	} bad[] = {
		{DISK_BYTES / 512, 512},
		{DISK_BYTES / 512 - 1, 1024},
		{UINT64_MAX, 512},
		{UINT64_MAX / 512, 512},
		{UINT64_MAX / 512 + 1, 512},
		{1ull << 55, 512},
		{UINT64_MAX - 1, 1024},
		{0, 511},
		{0, 513},
		{DISK_BYTES / 512 + 1, 1024},
	};
	struct fixture *f = *state;
	struct stat st;

	plain(f, ALL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(vd_ptr(&f->v, BODY), 0, 1024);
		assert_int_equal(rd(f, bad[i].sector, bad[i].bytes), VIRTIO_BLK_S_IOERR);
		body_is_zero(f, 1024);
		assert_int_equal(wr(f, bad[i].sector, bad[i].bytes), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(fstat(f->a, &st), 0);
	assert_int_equal(st.st_size, DISK_BYTES);
	assert_false(vd_broken(&f->v));
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	const struct disk_extent x = {.fd = f->a};
	const struct disk_config c = {.extents = &x, .n = 1, .overlay_fd = -1, .read_only = true};
	uint8_t before[512], after[512];

	attach_disk(f, &c, 0);
	assert_true(vd_offered(&f->v) & 1ull << VIRTIO_BLK_F_RO);
	assert_false(vd_offered(&f->v) & TRIM);
	pread(f->a, before, 512, 0);
	assert_int_equal(wr(f, 0, 512), VIRTIO_BLK_S_IOERR);
	pread(f->a, after, 512, 0);
	assert_memory_equal(before, after, 512);
	assert_int_equal(rd(f, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 16, false), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
}

static void test_get_id(void **state)
{
	struct fixture *f = *state;

	plain(f, ALL);
	memset(vd_ptr(&f->v, BODY), 0xff, 32);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(vd_ptr(&f->v, BODY), "insula-0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 21);
	/* A guest that gives less room gets less. */
	memset(vd_ptr(&f->v, BODY), 0xff, 32);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 3, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(vd_ptr(&f->v, BODY), "ins\xff", 4);
}

static void test_unknown_requests(void **state)
{
	struct fixture *f = *state;

	plain(f, ALL);
	assert_int_equal(request(f, 2, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(f, 0x80000000, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
	/* The wrong way round. */
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, true), VIRTIO_BLK_S_IOERR);
}

static void put_range(struct fixture *f, unsigned i, uint64_t sector, uint32_t sectors,
		      uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes r = {
		.sector = sector, .num_sectors = sectors, .flags = flags};

	memcpy((uint8_t *)vd_ptr(&f->v, BODY) + 16 * i, &r, 16);
}

static void zeroes_and_discard(struct fixture *f)
{
	put_range(f, 0, 3, 2, 0);
	put_range(f, 1, 16, 100, 1);
	assert_int_equal(request(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, false), VIRTIO_BLK_S_OK);
	assert_int_equal(rd(f, 2, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, 2 * 512, 1);
	assert_int_equal(rd(f, 3, 1024), VIRTIO_BLK_S_OK);
	body_is_zero(f, 1024);
	assert_int_equal(rd(f, 5, 11 * 512), VIRTIO_BLK_S_OK);
	body_is(f, 11 * 512, 5 * 512, 1);
	assert_int_equal(rd(f, 16, 100 * 512), VIRTIO_BLK_S_OK);
	body_is_zero(f, 100 * 512);
	assert_int_equal(rd(f, 116, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, 116 * 512, 1);
	put_range(f, 0, 1024, 256, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 16, false), VIRTIO_BLK_S_OK);
	assert_int_equal(rd(f, 1023, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, 1023 * 512, 1);
	assert_int_equal(rd(f, 1280, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, 1280 * 512, 1);
}

static void test_zeroes_and_discard(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	plain(f, ALL);
	fstat(f->a, &before);
	zeroes_and_discard(f);
	fstat(f->a, &after);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, before.st_size);
}

static void test_bad_ranges(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t sectors, flags, bytes;
		uint8_t status;
	} bad[] = {
		{VIRTIO_BLK_T_DISCARD, DISK_BYTES / 512, 1, 0, 16, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_DISCARD, UINT64_MAX, 1, 0, 16, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0, 16, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_DISCARD, 0, 1, 1, 16, VIRTIO_BLK_S_UNSUPP},
		{VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2, 16, VIRTIO_BLK_S_UNSUPP},
		{VIRTIO_BLK_T_WRITE_ZEROES, 1, DISK_BYTES / 512, 0, 16, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0, 15, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0, 0, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0, 16 * 17, VIRTIO_BLK_S_IOERR},
	};
	struct fixture *f = *state;

	plain(f, ALL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(vd_ptr(&f->v, BODY), 0, 4096);
		put_range(f, 0, bad[i].sector, bad[i].sectors, bad[i].flags);
		assert_int_equal(request(f, bad[i].type, 0, bad[i].bytes, false), bad[i].status);
	}
	assert_int_equal(rd(f, 0, 4096), VIRTIO_BLK_S_OK);
	body_is(f, 4096, 0, 1);
	assert_true(vd_start(&f->v, 0));
	put_range(f, 0, 0, 1, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 16, false), VIRTIO_BLK_S_UNSUPP);
}

/* A file, a part of another, and the first again, behind each other. */
static void test_extents(void **state)
{
	struct fixture *f = *state;
	const struct disk_extent x[] = {
		{.fd = f->a, .offset = 0, .bytes = 1024},
		{.fd = f->b, .offset = 512, .bytes = 1536},
		{.fd = f->a, .offset = 4096, .bytes = 512},
	};
	const struct disk_config c = {.extents = x, .n = 3, .overlay_fd = -1};
	const uint8_t *body = vd_ptr(&f->v, BODY);
	uint64_t capacity = 0;
	uint8_t there[512];

	attach_disk(f, &c, ALL);
	vd_config(&f->v, 0, &capacity, 8);
	assert_int_equal(capacity, 6);
	assert_int_equal(rd(f, 0, 3072), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 3072; i++) {
		uint8_t want = i < 1024   ? pattern(i, 1)
			       : i < 2560 ? pattern(512 + i - 1024, 2)
					  : pattern(4096 + i - 2560, 1);
		assert_int_equal(body[i], want);
	}
	assert_int_equal(rd(f, 5, 1024), VIRTIO_BLK_S_IOERR);
	fill_body(f, 1536, 0, 50);
	assert_int_equal(wr(f, 1, 1536), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(f->a, there, 512, 512), 512);
	assert_memory_equal(there, body, 512);
	assert_int_equal(pread(f->b, there, 512, 1024), 512);
	assert_memory_equal(there, body + 1024, 512);
	pread(f->a, there, 512, 1024);
	assert_int_equal(there[0], pattern(1024, 1));
}

static void test_bad_disks(void **state)
{
	struct fixture *f = *state;
	const struct disk_extent bad[] = {
		{.fd = f->a, .offset = DISK_BYTES + 1},
		{.fd = f->a, .offset = DISK_BYTES},
		{.fd = f->a, .bytes = DISK_BYTES + 512},
		{.fd = f->a, .bytes = 513},
		{.fd = f->a, .offset = UINT64_MAX, .bytes = 512},
		{.fd = f->a, .offset = 512, .bytes = DISK_BYTES},
		{.fd = f->v.irq_fd, .bytes = 512},
		{.fd = -1, .bytes = 512},
	};
	struct disk *d = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct disk_config c = {.extents = &bad[i], .n = 1, .overlay_fd = -1};

		assert_true(disk_open(&c, &d, &f->v.last) < 0);
		assert_non_null(strstr(f->v.last.text, "extent 0"));
	}
	const struct disk_config none = {.extents = bad, .n = 0, .overlay_fd = -1};
	assert_int_equal(disk_open(&none, &d, &f->v.last), -EINVAL);
	assert_null(d);
}

/* ---- the overlay -------------------------------------------------------------------------------- */

static void test_overlay_takes_the_changes(void **state)
{
	struct fixture *f = *state;
	uint8_t there[DISK_BYTES / 64];
	struct stat st;

	layered(f, ALL);
	/* In the middle of a block, over the border of two, whole ones. */
	fill_body(f, 512, 0, 60);
	assert_int_equal(wr(f, 1, 512), VIRTIO_BLK_S_OK);
	fill_body(f, 1024, 0, 61);
	assert_int_equal(wr(f, 15, 1024), VIRTIO_BLK_S_OK);
	fill_body(f, 3 * 4096 + 512, 0, 62);
	assert_int_equal(wr(f, 80, 3 * 4096 + 512), VIRTIO_BLK_S_OK);

	assert_int_equal(rd(f, 0, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, 0, 1);
	assert_int_equal(rd(f, 1, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, 0, 60);
	assert_int_equal(rd(f, 2, 13 * 512), VIRTIO_BLK_S_OK);
	body_is(f, 13 * 512, 2 * 512, 1);
	assert_int_equal(rd(f, 15, 1024), VIRTIO_BLK_S_OK);
	body_is(f, 1024, 0, 61);
	assert_int_equal(rd(f, 17, 63 * 512), VIRTIO_BLK_S_OK);
	body_is(f, 63 * 512, 17 * 512, 1);
	assert_int_equal(rd(f, 80, 3 * 4096 + 512), VIRTIO_BLK_S_OK);
	body_is(f, 3 * 4096 + 512, 0, 62);
	assert_int_equal(rd(f, 105, 512), VIRTIO_BLK_S_OK);
	body_is(f, 512, 105 * 512, 1);
	/* The disk below is what it was, and the overlay holds little more than what was written. */
	for (uint64_t at = 0; at < DISK_BYTES; at += sizeof(there)) {
		assert_int_equal(pread(f->a, there, sizeof(there), (off_t)at), sizeof(there));
		for (unsigned i = 0; i < sizeof(there); i++)
			assert_int_equal(there[i], pattern(at + i, 1));
	}
	fstat(f->overlay, &st);
	assert_true(st.st_blocks * 512 < 64 << 10);
}

static void test_overlay_zeroes_and_discard(void **state)
{
	struct fixture *f = *state;

	layered(f, ALL);
	zeroes_and_discard(f);
}

/* Against a plain array, with writes of any place and length. */
static void test_overlay_like_an_array(void **state)
{
	struct fixture *f = *state;
	static uint8_t model[DISK_BYTES];
	uint32_t random = 12345;

	layered(f, ALL);
	for (uint32_t i = 0; i < DISK_BYTES; i++)
		model[i] = pattern(i, 1);
	for (unsigned i = 0; i < 400; i++) {
		uint32_t sector, sectors;

		random = random * 1103515245 + 12345;
		sector = (random >> 8) % 2000;
		random = random * 1103515245 + 12345;
		sectors = 1 + (random >> 8) % 48;
		if (random & 1) {
			fill_body(f, sectors * 512, i, (uint8_t)i);
			memcpy(model + sector * 512, vd_ptr(&f->v, BODY), sectors * 512);
			assert_int_equal(wr(f, sector, sectors * 512), VIRTIO_BLK_S_OK);
		} else if (random & 2) {
			put_range(f, 0, sector, sectors, random >> 2 & 1);
			memset(model + sector * 512, 0, sectors * 512);
			assert_int_equal(request(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false),
					 VIRTIO_BLK_S_OK);
		} else {
			assert_int_equal(rd(f, sector, sectors * 512), VIRTIO_BLK_S_OK);
			assert_memory_equal(vd_ptr(&f->v, BODY), model + sector * 512,
					    sectors * 512);
		}
	}
	for (uint32_t s = 0; s < DISK_BYTES / 512; s += 64) {
		assert_int_equal(rd(f, s, 64 * 512), VIRTIO_BLK_S_OK);
		assert_memory_equal(vd_ptr(&f->v, BODY), model + s * 512, 64 * 512);
	}
}

static void test_overlay_is_there_after_a_flush(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = {.iov_base = vd_ptr(&f->v, BODY), .iov_len = 512};
	const struct disk_extent x = {.fd = f->a};
	const struct disk_config c = {.extents = &x, .n = 1, .overlay_fd = f->overlay};
	struct disk *d = NULL;

	layered(f, ALL);
	fill_body(f, 512, 0, 70);
	assert_int_equal(wr(f, 9, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	/* Not flushed: its bit is not in the file, so whoever opens it now sees the disk below. */
	assert_int_equal(wr(f, 33, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_open(&c, &d, &f->v.last), 0);
	assert_int_equal(disk_read(d, &iov, 1, 9 * 512, 512), 0);
	body_is(f, 512, 0, 70);
	assert_int_equal(disk_read(d, &iov, 1, 33 * 512, 512), 0);
	body_is(f, 512, 33 * 512, 1);
	disk_close(d);
}

/* Without FLUSH agreed on, a write that is answered is there. */
static void test_write_through(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = {.iov_base = vd_ptr(&f->v, BODY), .iov_len = 512};
	const struct disk_extent x = {.fd = f->a};
	const struct disk_config c = {.extents = &x, .n = 1, .overlay_fd = f->overlay};
	struct disk *d = NULL;

	layered(f, 0);
	fill_body(f, 512, 0, 70);
	assert_int_equal(wr(f, 9, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_open(&c, &d, &f->v.last), 0);
	assert_int_equal(disk_read(d, &iov, 1, 9 * 512, 512), 0);
	body_is(f, 512, 0, 70);
	disk_close(d);
}

static void test_bad_overlays(void **state)
{
	struct fixture *f = *state;
	const struct disk_extent x = {.fd = f->a}, part = {.fd = f->a, .bytes = 4096};
	struct disk_config c = {.extents = &x, .n = 1, .overlay_fd = f->b};
	struct disk *d = NULL;
	uint32_t block = 3;

	assert_int_equal(disk_open(&c, &d, &f->v.last), -EINVAL); /* some file */
	c.overlay_fd = f->v.irq_fd;
	assert_int_equal(disk_open(&c, &d, &f->v.last), -EINVAL);
	c.overlay_fd = f->overlay;
	assert_int_equal(disk_open(&c, &d, &f->v.last), 0);
	disk_close(d);
	d = NULL;
	c.extents = &part; /* of another disk */
	assert_int_equal(disk_open(&c, &d, &f->v.last), -EINVAL);
	assert_non_null(strstr(f->v.last.text, "belongs to a disk of"));
	c.extents = &x;
	assert_int_equal(ftruncate(f->overlay, 8192), 0);
	assert_int_equal(disk_open(&c, &d, &f->v.last), -EINVAL);
	assert_int_equal(pwrite(f->overlay, &block, 4, 12), 4);
	assert_int_equal(disk_open(&c, &d, &f->v.last), -EINVAL);
	assert_int_equal(ftruncate(f->overlay, 5), 0);
	assert_int_equal(disk_open(&c, &d, &f->v.last), -EINVAL);
	assert_null(d);
}

/* ---- trouble ------------------------------------------------------------------------------------ */

static void test_disk_that_vanishes(void **state)
{
	struct fixture *f = *state;

	plain(f, ALL);
	assert_int_equal(ftruncate(f->a, 4096), 0);
	assert_int_equal(rd(f, 100, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(rd(f, 100, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(rd(f, 0, 512), VIRTIO_BLK_S_OK);
	/* The operator hears of it, once. */
	assert_int_equal(f->v.reports, 1);
	assert_false(vd_broken(&f->v));
}

static void test_many_in_flight(void **state)
{
	struct fixture *f = *state;
	unsigned seen[VD_SIZE] = {0};

	plain(f, ALL);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 16; i++) {
			const struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_IN,
							    .sector = 8 * i};
			const struct vd_buf b[] = {{HEADER + 32 * i, 16, false},
						   {BODY + 4096 * i, 4096, true},
						   {STATUS + i, 1, true}};

			memcpy(vd_ptr(&f->v, HEADER + 32 * i), &h, sizeof(h));
			*(uint8_t *)vd_ptr(&f->v, STATUS + i) = 0xee;
			vd_publish(&f->v, 0, vd_chain(&f->v, 0, b, 3));
		}
		vd_kick(&f->v, 0);
		for (unsigned i = 0; i < 16; i++)
			seen[wait_used(f, NULL)]++;
		body_is(f, 16 * 4096, 0, 1);
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(*(uint8_t *)vd_ptr(&f->v, STATUS + i), 0);
	}
	for (unsigned i = 0, n = 0; i < VD_SIZE; n += seen[i++])
		assert_true(n <= 320);
}

/* On return from the reset nothing touches the guest's memory any more. */
static void test_reset_while_in_flight(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_IN, .sector = 0};
	const struct vd_buf b[] = {{HEADER, 16, false}, {BODY, 512 << 10, true}, {STATUS, 1, true}};

	plain(f, ALL);
	for (unsigned i = 0; i < 50; i++) {
		memcpy(vd_ptr(&f->v, HEADER), &h, sizeof(h));
		for (unsigned k = 0; k < 10; k++)
			vd_publish(&f->v, 0, vd_chain(&f->v, 0, b, 3));
		vd_kick(&f->v, 0);
		vd_write(&f->v, VIRTIO_MMIO_STATUS, 0);
		memset(vd_ptr(&f->v, BODY), 0, 512 << 10);
		memset(vd_ptr(&f->v, VD_QUEUE(0)), 0, 0x4000);
		assert_true(vd_start(&f->v, ALL));
		body_is_zero(f, 512 << 10);
		assert_int_equal(vd_used(&f->v, 0, NULL), -1);
	}
	assert_int_equal(rd(f, 0, 512), VIRTIO_BLK_S_OK);
}

static void test_no_room_for_header_or_status(void **state)
{
	static const struct {
		struct vd_buf b[2];
		unsigned n;
	} bad[] = {
		{{{HEADER, 15, false}, {STATUS, 1, true}}, 2},
		{{{HEADER, 16, false}}, 1},
		{{{STATUS, 1, true}}, 1},
		{{{HEADER, 16, false}, {STATUS, 0, true}}, 2},
	};
	struct fixture *f = *state;

	plain(f, ALL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->v.reports = 0;
		assert_true(vd_start(&f->v, ALL));
		vd_send(&f->v, 0, bad[i].b, bad[i].n);
		assert_true(vd_broken(&f->v));
		assert_int_equal(f->v.reports, 1);
	}
	assert_true(vd_start(&f->v, ALL));
	assert_int_equal(rd(f, 0, 512), VIRTIO_BLK_S_OK);
}

/* What the driver writes over the header after the kick changes nothing that was checked. */
static void test_header_changed_after_the_kick(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_outhdr good = {.type = VIRTIO_BLK_T_IN, .sector = 8},
				       bad = {.type = VIRTIO_BLK_T_OUT, .sector = UINT64_MAX};
	const struct vd_buf b[] = {{HEADER, 16, false}, {BODY, 4096, true}, {STATUS, 1, true}};

	plain(f, ALL);
	memcpy(vd_ptr(&f->v, HEADER), &good, sizeof(good));
	vd_send(&f->v, 0, b, 3);
	memcpy(vd_ptr(&f->v, HEADER), &bad, sizeof(bad));
	*vd_desc(&f->v, 0, 1) = (struct vring_desc){.addr = UINT64_MAX, .len = UINT32_MAX};
	wait_used(f, NULL);
	body_is(f, 4096, 8 * 512, 1);
}

static void test_bad_setups(void **state)
{
	struct fixture *f = *state;
	const struct disk_extent x = {.fd = f->a, .bytes = 512};
	const struct disk_config c = {.extents = &x, .n = 1, .overlay_fd = -1};
	struct virtio_blk_setup bad[] = {
		{.loop = f->v.loop, .block_bytes = 1024},
		{.loop = f->v.loop, .block_bytes = 4096}, /* of a disk of 512 bytes */
		{.loop = f->v.loop, .serial = "123456789012345678901"},
		{.loop = f->v.loop, .threads = 17},
	};
	struct virtio_device *d = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(disk_open(&c, &bad[i].disk, &f->v.last), 0);
		assert_int_equal(virtio_blk_new(&bad[i], &d, &f->v.last), -EINVAL);
	}
	assert_null(d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_configuration),
		T(test_read_and_write),
		T(test_odd_framing),
		T(test_outside_of_the_disk),
		T(test_read_only),
		T(test_get_id),
		T(test_unknown_requests),
		T(test_zeroes_and_discard),
		T(test_bad_ranges),
		T(test_extents),
		T(test_bad_disks),
		T(test_overlay_takes_the_changes),
		T(test_overlay_zeroes_and_discard),
		T(test_overlay_like_an_array),
		T(test_overlay_is_there_after_a_flush),
		T(test_write_through),
		T(test_bad_overlays),
		T(test_disk_that_vanishes),
		T(test_many_in_flight),
		T(test_reset_while_in_flight),
		T(test_no_room_for_header_or_status),
		T(test_header_changed_after_the_kick),
		T(test_bad_setups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
